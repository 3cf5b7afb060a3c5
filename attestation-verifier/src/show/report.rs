//! Every byte of a report: AMD 56860 rev 1.58, table 23.

use super::{Fields, Part, ShowError};
use crate::{GuestPolicy, PlatformInfo, Product, SignedReport, Tcb};

/// Length of a report.
const LENGTH: usize = SignedReport::LENGTH;

/// A report of any version, whatever is wrong with it.
pub(super) fn part(bytes: &[u8; LENGTH]) -> Part {
    let report = Bytes(bytes);
    let mut fields = Fields::default();
    let version = report.u32_at(0x000);
    let known = if (2..=5).contains(&version) { "" } else { "known are 2 to 5" };
    fields.add(0x000, "VERSION", version, known);
    fields.add(0x004, "GUEST_SVN", report.u32_at(0x004), "security version of the guest, by its ID block");
    policy(&report, &mut fields);
    bytes_field(&report, &mut fields, 0x010, 16, "FAMILY_ID", "by the ID block");
    bytes_field(&report, &mut fields, 0x020, 16, "IMAGE_ID", "by the ID block");
    let vmpl = report.u32_at(0x030);
    let asked = match vmpl {
        0..=3 => format!("asked for by the guest at privilege level {vmpl}"),
        u32::MAX => "asked for by the host".to_owned(),
        _ => "no level that exists".to_owned(),
    };
    fields.add(0x030, "VMPL", format!("{vmpl:#x}"), asked);
    let algorithm = report.u32_at(0x034);
    let meaning = if algorithm == 1 { "ECDSA P-384 with SHA-384" } else { "unknown; known is 1" };
    fields.add(0x034, "SIGNATURE_ALGO", algorithm, meaning);
    let product = product(&report, version);
    tcb(&report, &mut fields, 0x038, "CURRENT_TCB", product, "of the firmware that runs");
    platform(&report, &mut fields);
    key_info(&report, &mut fields);
    reserved(&report, &mut fields, 0x04C, 4);
    bytes_field(&report, &mut fields, 0x050, 64, "REPORT_DATA", "what the guest wanted signed");
    bytes_field(&report, &mut fields, 0x090, 48, "MEASUREMENT", "launch digest, SHA-384");
    bytes_field(&report, &mut fields, 0x0C0, 32, "HOST_DATA", "what the host said at launch");
    bytes_field(&report, &mut fields, 0x0E0, 48, "ID_KEY_DIGEST", "SHA-384 of the key that signed the ID block");
    bytes_field(&report, &mut fields, 0x110, 48, "AUTHOR_KEY_DIGEST", "SHA-384 of the key that signed the ID key");
    bytes_field(&report, &mut fields, 0x140, 32, "REPORT_ID", "of this run of the guest");
    bytes_field(&report, &mut fields, 0x160, 32, "REPORT_ID_MA", "of its migration agent");
    tcb(&report, &mut fields, 0x180, "REPORTED_TCB", product, "from which the signing key is derived");
    cpuid(&report, &mut fields, version);
    reserved(&report, &mut fields, 0x18B, 21);
    bytes_field(&report, &mut fields, 0x1A0, 64, "CHIP_ID", "of the processor; masked if zero");
    tcb(&report, &mut fields, 0x1E0, "COMMITTED_TCB", product, "below which the host cannot go any more");
    firmware(&report, &mut fields, 0x1E8, "CURRENT");
    reserved(&report, &mut fields, 0x1EB, 1);
    firmware(&report, &mut fields, 0x1EC, "COMMITTED");
    reserved(&report, &mut fields, 0x1EF, 1);
    tcb(&report, &mut fields, 0x1F0, "LAUNCH_TCB", product, "when the guest was launched or imported");
    if version >= 5 {
        fields.add(0x1F8, "LAUNCH_MIT_VECTOR", format!("{:#x}", report.u64_at(0x1F8)), "mitigations at launch");
        fields.add(0x200, "CURRENT_MIT_VECTOR", format!("{:#x}", report.u64_at(0x200)), "mitigations now");
    } else {
        reserved(&report, &mut fields, 0x1F8, 16);
    }
    reserved(&report, &mut fields, 0x208, 152);
    bytes_field(&report, &mut fields, 0x2A0, 72, "SIGNATURE.R", "little-endian");
    bytes_field(&report, &mut fields, 0x2E8, 72, "SIGNATURE.S", "little-endian");
    reserved(&report, &mut fields, 0x330, 368);
    Part { title: format!("report, {LENGTH} bytes, 0x000 to 0x29f signed"), fields: fields.0 }
}

/// The guest driver's buffer: status, size, the report.
pub(super) fn response(bytes: &[u8]) -> Result<Vec<Part>, ShowError> {
    let cut = || ShowError::new(bytes, "too short for the guest driver's response");
    let (head, rest) = bytes.split_first_chunk::<32>().ok_or_else(cut)?;
    let (report, _) = rest.split_first_chunk::<LENGTH>().ok_or_else(cut)?;
    let word = |at: usize| head.get(at..at + 4).and_then(|word| word.try_into().ok()).map_or(0, u32::from_le_bytes);
    let mut fields = Fields::default();
    fields.add(0x00, "STATUS", word(0), if word(0) == 0 { "success" } else { "the firmware refused" });
    fields.add(0x04, "REPORT_SIZE", word(4), "");
    Ok(vec![Part { title: "response, 4000 bytes, the report at 0x20".into(), fields: fields.0 }, part(report)])
}

struct Bytes<'a>(&'a [u8; LENGTH]);

impl Bytes<'_> {
    fn range(&self, from: usize, length: usize) -> &[u8] {
        self.0.get(from..from + length).unwrap_or_default()
    }

    fn chunk<const N: usize>(&self, from: usize) -> [u8; N] {
        self.range(from, N).try_into().unwrap_or([0; N])
    }

    fn u32_at(&self, from: usize) -> u32 {
        u32::from_le_bytes(self.chunk(from))
    }

    fn u64_at(&self, from: usize) -> u64 {
        u64::from_le_bytes(self.chunk(from))
    }
}

/// By CPUID; version 2 does not say.
fn product(report: &Bytes<'_>, version: u32) -> Option<Product> {
    let [family, model] = report.chunk(0x188);
    if version >= 3 { Product::from_cpuid(family, model) } else { None }
}

fn bytes_field(report: &Bytes<'_>, fields: &mut Fields, at: usize, length: usize, name: &str, meaning: &str) {
    let bytes = report.range(at, length);
    let meaning = if bytes.iter().all(|byte| *byte == 0) {
        format!("{meaning}; zero")
    } else if bytes.iter().all(|byte| *byte == 0xFF) {
        format!("{meaning}; none")
    } else {
        meaning.to_owned()
    };
    fields.add(at, name, hex::encode(bytes), meaning);
}

fn reserved(report: &Bytes<'_>, fields: &mut Fields, at: usize, length: usize) {
    let bytes = report.range(at, length);
    if bytes.iter().all(|byte| *byte == 0) {
        fields.add(at, "reserved", format!("{length} zero bytes"), "");
    } else {
        fields.add(at, "reserved", hex::encode(bytes), "must be zero in the versions we know");
    }
}

fn policy(report: &Bytes<'_>, fields: &mut Fields) {
    let policy = GuestPolicy(report.u64_at(0x008));
    let (major, minor) = policy.min_abi();
    let named = [
        (policy.smt(), "SMT allowed"),
        (policy.migration_agent(), "a migration agent may move it"),
        (policy.debug(), "DEBUG: the host may read and write it"),
        (policy.single_socket(), "one socket only"),
        (policy.cxl(), "CXL allowed"),
        (policy.aes_256_xts(), "AES-256-XTS required"),
        (policy.rapl_off(), "RAPL must be off"),
        (policy.ciphertext_hiding(), "ciphertext hiding required"),
        (policy.page_swap_off(), "no page swap or move"),
        (!policy.reserved_one(), "bit 17 is not set, which must be"),
        (policy.0 >> 26 != 0, "reserved bits above 25 are set"),
    ];
    let meaning = format!("firmware ABI {major}.{minor} or later{}", joined(&named));
    fields.add(0x008, "POLICY", format!("{:#x}", policy.0), meaning);
}

fn platform(report: &Bytes<'_>, fields: &mut Fields) {
    let info = PlatformInfo(report.u64_at(0x040));
    let named = [
        (info.smt(), "SMT on"),
        (info.tsme(), "TSME on"),
        (info.ecc(), "ECC memory"),
        (info.rapl_off(), "RAPL off"),
        (info.ciphertext_hiding(), "ciphertext hiding on"),
        (info.alias_check(), "memory aliases were looked for"),
        (info.iommu_write_safe(), "bit 6 (IOMMU write safe)"),
        (info.trusted_io(), "trusted I/O on"),
        (info.0 >> 8 != 0, "reserved bits above 7 are set"),
    ];
    let meaning = joined(&named);
    fields.add(0x040, "PLATFORM_INFO", format!("{:#x}", info.0), meaning.trim_start_matches(", "));
}

fn key_info(report: &Bytes<'_>, fields: &mut Fields) {
    let bits = report.u32_at(0x048);
    let signer = match bits >> 2 & 7 {
        0 => "signed by the VCEK",
        1 => "signed by the VLEK",
        7 => "signed by no key",
        _ => "signed by a key we do not know",
    };
    let named = [
        (bits & 1 == 1, "the ID key is signed by an author key"),
        (bits >> 1 & 1 == 1, "MASK_CHIP_KEY: the firmware was told not to sign"),
        (bits >> 5 != 0, "reserved bits above 4 are set"),
    ];
    fields.add(0x048, "KEY_INFO", format!("{bits:#x}"), format!("{signer}{}", joined(&named)));
}

fn tcb(report: &Bytes<'_>, fields: &mut Fields, at: usize, name: &str, product: Option<Product>, of: &str) {
    let bytes: [u8; 8] = report.chunk(at);
    let levels =
        |product| Tcb::decode(product, bytes).map_or("reserved bytes are set".to_owned(), |tcb| tcb.to_string());
    let meaning = match product {
        Some(product) => levels(product),
        // Version 2, or a processor that is not known.
        None => format!("in Milan's and Genoa's layout: {}", levels(Product::Milan)),
    };
    fields.add(at, name, hex::encode(bytes), format!("{meaning} ({of})"));
}

fn cpuid(report: &Bytes<'_>, fields: &mut Fields, version: u32) {
    if version <= 2 {
        return reserved(report, fields, 0x188, 3);
    }
    let [family, model, stepping] = report.chunk(0x188);
    let meaning = match Product::from_cpuid(family, model) {
        Some(product) => product.to_string(),
        None if Product::is_venice(family, model) => "Venice, whose root and layouts are not known here".to_owned(),
        None => "no product known here".to_owned(),
    };
    fields.add(0x188, "CPUID", format!("family {family:#x} model {model:#x} stepping {stepping}"), meaning);
}

fn firmware(report: &Bytes<'_>, fields: &mut Fields, at: usize, name: &str) {
    let [build, minor, major] = report.chunk(at);
    fields.add(at, format!("{name}_VERSION"), format!("{major}.{minor}.{build}"), "SNP firmware: major.minor.build");
}

/// The words that apply, each after a comma.
fn joined(named: &[(bool, &str)]) -> String {
    named.iter().filter(|(applies, _)| *applies).map(|(_, word)| format!(", {word}")).collect()
}

/// Names of fields by which offsets can be checked against the length.
#[cfg(test)]
pub(super) fn covered(fields: &[super::Field]) -> Vec<usize> {
    fields.iter().filter_map(|field| field.offset).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_in_a_field_and_the_fields_are_in_order() {
        for version in 0..=6_u8 {
            let mut bytes = [0; LENGTH];
            bytes[0] = version;
            let offsets = covered(&part(&bytes).fields);
            assert!(offsets.is_sorted(), "{offsets:x?}");
            // A byte that is changed changes what is shown.
            let before = part(&bytes);
            for at in 0..LENGTH {
                let mut changed = bytes;
                changed[at] ^= 0x10;
                assert_ne!(part(&changed), before, "version {version}, byte {at:#x}");
            }
        }
    }
}
