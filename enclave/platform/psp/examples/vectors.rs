//! Makes `tests/vectors/psp` anew: `cargo run -p software-psp --example vectors -- tests/vectors/psp`.
//!
//! The root keys live as long as this process, so the committed roots can sign nothing any more.

use std::{collections::BTreeSet, error::Error, fs, path::PathBuf, process::ExitCode};

use p384::ecdsa::SigningKey;
use rsa::rand_core::{CryptoRngCore, OsRng};
use serde_json::{Value, json};
use software_psp::{
    Authority, ChipId, CrlRequest, Intermediate, Product, REPORT_LENGTH, ReportRequest, Tcb, Vek, VekKind, VekRequest,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339, macros::datetime};

/// All authorities start here; their certificates end in 2049, within UTCTime.
const ROOT_FROM: OffsetDateTime = datetime!(2024-01-15 10:00 UTC);
/// VCEKs: until 2032.
const VCEK_FROM: OffsetDateTime = datetime!(2025-06-01 12:00 UTC);
/// VLEKs: until 2027.
const VLEK_FROM: OffsetDateTime = datetime!(2026-01-10 12:00 UTC);
/// Everything is valid here.
const NOW: OffsetDateTime = datetime!(2026-06-01 0:00 UTC);

const ACCEPTED: &str = "accepted (test root)";

type Change<T> = fn(&mut T);
type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match std::env::args_os().nth(1).map(PathBuf::from) {
        None => {
            eprintln!("usage: vectors DIR");
            ExitCode::from(1)
        }
        Some(dir) => match make(dir) {
            Ok(cases) => {
                eprintln!("{cases} cases");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        },
    }
}

fn make(dir: PathBuf) -> Outcome<usize> {
    let mut rng = OsRng;
    let mut set = Set::begin(dir)?;
    let milan = Fixture::make(Product::Milan, &mut rng)?;
    let genoa = Fixture::make(Product::Genoa, &mut rng)?;
    let turin = Fixture::make(Product::Turin, &mut rng)?;
    for fixture in [&milan, &genoa, &turin] {
        fixture.save(&mut set)?;
    }
    accepted(&mut set, &milan, &genoa, &turin)?;
    policy(&mut set, &milan)?;
    malformed(&mut set, &milan, &turin)?;
    binding(&mut set, &milan, &genoa, &turin, &mut rng)?;
    chain(&mut set, &milan, &genoa, &mut rng)?;
    revocation(&mut set, &milan, &genoa, &mut rng)?;
    set.finish()
}

fn accepted(set: &mut Set, milan: &Fixture, genoa: &Fixture, turin: &Fixture) -> Outcome<()> {
    let versions: [(&Fixture, &[u32]); 3] = [(milan, &[2, 3, 4]), (genoa, &[3, 5]), (turin, &[5])];
    for (fixture, versions) in versions {
        for version in versions {
            let id = format!("{}-v{version}", fixture.name());
            set.case(&id, &fixture.vcek.sign(&fixture.request(*version).body()), &fixture.case(), "plain")?;
        }
    }
    for (fixture, version) in [(milan, 2), (milan, 3), (genoa, 5), (turin, 5)] {
        let id = format!("{}-v{version}-vlek", fixture.name());
        set.case(&id, &fixture.vlek_report(version), &fixture.vlek_case(), "provider's key, which names no chip")?;
        let mut request = fixture.request(version);
        request.chip_id = ChipId::MASKED;
        let id = format!("{}-v{version}-masked-chip-id", fixture.name());
        let why = "the host masks the chip id: accepted, bound to no chip";
        set.case(&id, &fixture.vcek.sign(&request.body()), &fixture.case(), why)?;
    }
    let mut request = milan.request(3);
    request.policy = 0x12_0000 | 0x37;
    let why = "policy: no SMT, one socket, ABI at least 0.55";
    set.case("milan-v3-narrow-policy", &milan.vcek.sign(&request.body()), &milan.case(), why)?;
    let mut request = milan.request(3);
    request.guest_svn = 7;
    request.family_id = [0xFA; 16];
    request.image_id = [0x1A; 16];
    request.id_key_digest = [0x1D; 48];
    request.host_data = [0x05; 32];
    let why = "ID block and host data set";
    set.case("milan-v3-id-block", &milan.vcek.sign(&request.body()), &milan.case(), why)?;
    Ok(())
}

fn policy(set: &mut Set, milan: &Fixture) -> Outcome<()> {
    let cases: [(&str, Change<ReportRequest>, &str); 6] = [
        ("bit-17", |r| r.policy &= !(1 << 17), "guest policy bit 17 must be one"),
        ("debug", |r| r.policy |= 1 << 19, "guest policy allows DEBUG"),
        ("migrate-ma", |r| r.policy |= 1 << 18, "guest policy allows a migration agent"),
        ("vmpl-1", |r| r.vmpl = 1, "asked for at VMPL 1"),
        ("vmpl-3", |r| r.vmpl = 3, "asked for at VMPL 3"),
        ("vmpl-host", |r| r.vmpl = u32::MAX, "asked for by the host"),
    ];
    for (name, change, why) in cases {
        for version in [2, 3] {
            let mut request = milan.request(version);
            change(&mut request);
            let case = milan.case().rejected(5);
            set.case(&format!("fail-milan-v{version}-{name}"), &milan.vcek.sign(&request.body()), &case, why)?;
        }
    }
    Ok(())
}

fn malformed(set: &mut Set, milan: &Fixture, turin: &Fixture) -> Outcome<()> {
    let signed: [(&str, usize, u8, &str); 7] = [
        ("version-1", 0x000, 1, "report version 1 is unknown"),
        ("version-6", 0x000, 6, "report version 6 is unknown"),
        ("signature-algorithm", 0x034, 2, "signature algorithm 2 is unknown"),
        ("policy-bit-30", 0x00B, 0x40, "a reserved bit of the guest policy is set"),
        ("tcb-reserved", 0x182, 0x01, "a reserved byte of REPORTED_TCB is set"),
        ("reserved-1", 0x18B, 0x01, "a reserved byte before CHIP_ID is set"),
        ("reserved-2", 0x29F, 0x01, "the last signed byte, reserved, is set"),
    ];
    for (name, offset, byte, why) in signed {
        let mut body = milan.request(3).body();
        body.put(offset, &[byte]);
        set.case(&format!("fail-milan-v3-{name}"), &milan.vcek.sign(&body), &milan.case().rejected(2), why)?;
    }
    let unsigned = [
        ("r-padding", 0x2D0, "a byte above R must be zero"),
        ("s-padding", 0x32F, "a byte above S must be zero"),
        ("after-signature", 0x330, "the first byte after the signature must be zero"),
        ("last-byte", 0x49F, "the last byte must be zero"),
    ];
    for (name, offset, why) in unsigned {
        let mut report = milan.vcek.sign(&milan.request(3).body());
        *report.get_mut(offset).ok_or("offset")? ^= 1;
        set.case(&format!("fail-milan-v3-{name}"), &report, &milan.case().rejected(2), why)?;
    }
    for (name, cut) in [("empty", 0), ("truncated", REPORT_LENGTH - 1)] {
        let report = milan.vcek.sign(&milan.request(3).body());
        let why = "not 1184 bytes";
        set.case(&format!("fail-milan-v3-{name}"), report.split_at(cut).0, &milan.case().rejected(2), why)?;
    }
    let request = turin.request(2);
    let why = "version 2 cannot say how Turin's firmware levels are laid out";
    set.case("fail-turin-v2", &turin.vcek.sign(&request.body()), &turin.case().rejected(2), why)
}

fn binding(
    set: &mut Set,
    milan: &Fixture,
    genoa: &Fixture,
    turin: &Fixture,
    rng: &mut impl CryptoRngCore,
) -> Outcome<()> {
    for (fixture, version) in [(milan, 2), (milan, 3), (genoa, 5), (turin, 5)] {
        let name = fixture.name();
        let parts: [(&str, Change<Tcb>); 5] = [
            ("fmc", |t| t.fmc += 1),
            ("bootloader", |t| t.bootloader += 1),
            ("tee", |t| t.tee += 1),
            ("snp", |t| t.snp += 1),
            ("microcode", |t| t.microcode += 1),
        ];
        for (part, raise) in parts {
            if part == "fmc" && fixture.product() != Product::Turin {
                continue;
            }
            let mut request = fixture.request(version);
            raise(&mut request.tcb);
            let report = fixture.vcek.sign(&request.body());
            let why = format!("REPORTED_TCB has another {part} level than the certificate");
            set.case(&format!("fail-{name}-v{version}-tcb-{part}"), &report, &fixture.case().rejected(6), &why)?;
        }
        let mut request = fixture.request(version);
        request.chip_id.0[7] ^= 1;
        let report = fixture.vcek.sign(&request.body());
        let why = "CHIP_ID is not the certificate's HWID";
        set.case(&format!("fail-{name}-v{version}-hwid"), &report, &fixture.case().rejected(6), why)?;
    }
    // Right signature, right chain, but the report says it comes from another product.
    let mut request = milan.request(3);
    request.tcb = Tcb::recent(Product::Genoa);
    let why = "CPUID says Milan, the certificate chain says Genoa";
    let report = genoa.vcek.sign(&request.body());
    set.case("fail-milan-v3-under-genoa-chain", &report, &genoa.case().rejected(6), why)?;
    let mut request = turin.request(5);
    request.chip_id.0[8] = 1;
    let why = "Turin's CHIP_ID has eight bytes, the ninth is set";
    set.case("fail-turin-v5-long-chip-id", &turin.vcek.sign(&request.body()), &turin.case().rejected(6), why)?;
    // The kind in KEY_INFO against the certificate's kind.
    let vlek_claim = {
        let mut request = milan.request(3);
        request.signer = VekKind::Vlek;
        request.chip_id = ChipId::MASKED;
        milan.vcek.sign(&request.body())
    };
    let why = "SIGNING_KEY says VLEK, a VCEK signed";
    set.case("fail-milan-v3-says-vlek", &vlek_claim, &milan.case().rejected(6), why)?;
    let mut request = milan.request(3);
    request.chip_id = ChipId::MASKED;
    let why = "SIGNING_KEY says VCEK, a VLEK signed";
    let report = milan.vlek.sign(&request.body());
    set.case("fail-milan-v3-says-vcek", &report, &milan.vlek_case().rejected(6), why)?;
    let mut body = milan.request(3).body();
    body.put(0x048, &[7 << 2]);
    let why = "SIGNING_KEY says that nothing signed";
    set.case("fail-milan-v3-says-no-key", &milan.vcek.sign(&body), &milan.case().rejected(6), why)?;
    // The same chip before a firmware update: another key, another certificate.
    let earlier = VekRequest { tcb: Tcb { snp: 23, ..milan.vcek_request.tcb }, ..milan.vcek_request.clone() };
    let earlier = milan.authority.vek(&earlier, rng)?;
    let path = set.file("milan/vcek-earlier-tcb.der", earlier.der())?;
    let report = earlier.sign(&milan.request(3).body());
    let case = Case { vek: path, ..milan.case() }.rejected(6);
    set.case("fail-milan-v3-vcek-of-earlier-tcb", &report, &case, "signed by the key of the firmware before")
}

fn chain(set: &mut Set, milan: &Fixture, genoa: &Fixture, rng: &mut (impl CryptoRngCore + Copy)) -> Outcome<()> {
    let report = milan.vcek.sign(&milan.request(3).body());
    let mut flipped = report;
    *flipped.get_mut(0x090).ok_or("offset")? ^= 1;
    set.case("fail-milan-v3-measurement-flipped", &flipped, &milan.case().rejected(3), "one signed bit differs")?;
    let mut flipped = report;
    *flipped.get_mut(0x2A0).ok_or("offset")? ^= 1;
    set.case("fail-milan-v3-signature-flipped", &flipped, &milan.case().rejected(3), "one bit of R differs")?;
    let mut request = milan.request(3);
    request.mask_chip_key = true;
    let mut masked = [0; REPORT_LENGTH];
    for (slot, byte) in masked.iter_mut().zip(request.body().0) {
        *slot = byte;
    }
    let why = "MASK_CHIP_KEY: the signature is zero";
    set.case("fail-milan-v3-masked-chip-key", &masked, &milan.case().rejected(3), why)?;
    let why = "MASK_CHIP_KEY is set, and yet there is a signature";
    let report_masked = milan.vcek.sign(&request.body());
    set.case("fail-milan-v3-masked-chip-key-signed", &report_masked, &milan.case().rejected(3), why)?;

    let root_of_genoa = Case { trust_root: genoa.case().trust_root, ..milan.case() }.rejected(3);
    set.case("fail-milan-v3-genoa-root", &report, &root_of_genoa, "the named root did not sign this chain")?;
    let ask_of_genoa = Case { intermediate: genoa.case().intermediate, ..milan.case() }.rejected(3);
    set.case("fail-milan-v3-genoa-ask", &report, &ask_of_genoa, "the intermediate is of another product")?;
    let asvk = Case { intermediate: milan.vlek_case().intermediate, ..milan.case() }.rejected(3);
    set.case("fail-milan-v3-vcek-with-asvk", &report, &asvk, "a VCEK given with the ASVK")?;
    let ask = Case { intermediate: milan.case().intermediate, ..milan.vlek_case() }.rejected(3);
    set.case("fail-milan-v3-vlek-with-ask", &milan.vlek_report(3), &ask, "a VLEK given with the ASK")?;
    let root = Case { intermediate: milan.case().trust_root, ..milan.case() }.rejected(3);
    set.case("fail-milan-v3-root-as-intermediate", &report, &root, "the root is given as the intermediate")?;

    // Certificates that a careless authority could have signed.
    let vcek_by_asvk =
        milan.authority.endorse(Intermediate::Asvk, &milan.vcek_request, SigningKey::random(rng), rng)?;
    let vek = set.file("milan/vcek-by-asvk.der", vcek_by_asvk.der())?;
    let case = Case { vek, ..milan.vlek_case() }.rejected(3);
    let signed = vcek_by_asvk.sign(&milan.request(3).body());
    set.case("fail-milan-v3-vcek-by-asvk", &signed, &case, "a VCEK issued by the ASVK")?;
    let powerless = milan.authority.ask_without_authority(ROOT_FROM, rng)?;
    let intermediate = set.file("milan/ask-without-authority.der", &powerless)?;
    let case = Case { intermediate, ..milan.case() }.rejected(3);
    set.case("fail-milan-v3-ask-not-ca", &report, &case, "the intermediate's basic constraints deny it to sign")?;
    let stranger = Authority::generate(Product::Milan, ROOT_FROM, rng)?;
    let stranger_vcek = stranger.vek(&milan.vcek_request, rng)?;
    let vek = set.file("milan/vcek-of-stranger.der", stranger_vcek.der())?;
    let intermediate = set.file("milan/ask-of-stranger.der", stranger.intermediate(Intermediate::Ask).ok_or("ASK")?)?;
    let signed = stranger_vcek.sign(&milan.request(3).body());
    let case = Case { vek: vek.clone(), ..milan.case() }.rejected(3);
    set.case("fail-milan-v3-vcek-of-stranger", &signed, &case, "same names, another ASK's signature on the VCEK")?;
    let case = Case { vek, intermediate, ..milan.case() }.rejected(3);
    set.case("fail-milan-v3-chain-of-stranger", &signed, &case, "same names, another root's signature on the ASK")?;

    // Dates.
    let late = |case: Case, at| Case { at, ..case }.rejected(3);
    let vlek = milan.vlek_report(3);
    set.case(
        "fail-milan-v3-vlek-expired",
        &vlek,
        &late(milan.vlek_case(), datetime!(2027-01-10 12:00:01 UTC)),
        "one second after the VLEK's year",
    )?;
    let last = Case { at: datetime!(2027-01-10 12:00 UTC), ..milan.vlek_case() };
    set.case("milan-v3-vlek-last-second", &vlek, &last, "the VLEK's last second: notAfter is inclusive")?;
    set.case(
        "fail-milan-v3-vlek-not-yet-valid",
        &vlek,
        &late(milan.vlek_case(), VLEK_FROM - time::Duration::SECOND),
        "one second before the VLEK's year",
    )?;
    set.case(
        "fail-milan-v3-vcek-expired",
        &report,
        &late(milan.case(), datetime!(2032-06-01 12:00:01 UTC)),
        "one second after the VCEK's seven years",
    )?;
    set.case(
        "fail-milan-v3-before-the-root",
        &report,
        &late(milan.case(), ROOT_FROM - time::Duration::SECOND),
        "before any of these certificates was made",
    )
}

fn revocation(set: &mut Set, milan: &Fixture, genoa: &Fixture, rng: &mut impl CryptoRngCore) -> Outcome<()> {
    let request = |number, revoked: Vec<u64>| CrlRequest {
        number,
        this_update: datetime!(2026-01-01 0:00 UTC),
        next_update: datetime!(2027-01-01 0:00 UTC),
        revoked,
    };
    for fixture in [milan, genoa] {
        let name = fixture.name();
        let (ask, asvk) = (fixture.authority.serial(Intermediate::Ask), fixture.authority.serial(Intermediate::Asvk));
        let lists = [
            ("empty", vec![]),
            ("revokes-other", vec![ask + 0x40]),
            ("revokes-ask", vec![ask]),
            ("revokes-asvk", vec![asvk]),
        ];
        let report = fixture.vcek.sign(&fixture.request(3).body());
        let vlek = fixture.vlek_report(3);
        for (number, (list, revoked)) in lists.into_iter().enumerate() {
            let number = u64::try_from(number)? + 1;
            let crl = fixture.authority.crl(&request(number, revoked), rng)?;
            let crl = vec![set.file(&format!("{name}/{list}.crl"), &crl)?];
            let vcek_case = Case { crl: crl.clone(), ..fixture.case() };
            let vlek_case = Case { crl, ..fixture.vlek_case() };
            match list {
                "revokes-ask" => {
                    let id = format!("fail-{name}-v3-ask-revoked");
                    set.case(&id, &report, &vcek_case.rejected(4), "the list names the ASK")?;
                    set.case(&format!("{name}-v3-vlek-ask-revoked"), &vlek, &vlek_case, "the list names the ASK only")?;
                }
                "revokes-asvk" => {
                    let id = format!("fail-{name}-v3-vlek-asvk-revoked");
                    set.case(&id, &vlek, &vlek_case.rejected(4), "the list names the ASVK")?;
                    set.case(&format!("{name}-v3-asvk-revoked"), &report, &vcek_case, "the list names the ASVK only")?;
                }
                _ => set.case(&format!("{name}-v3-crl-{list}"), &report, &vcek_case, "a list that does not name it")?,
            }
        }
    }
    let foreign = Case { crl: vec!["genoa/revokes-ask.crl".into()], ..milan.case() }.rejected(4);
    let report = milan.vcek.sign(&milan.request(3).body());
    set.case("fail-milan-v3-crl-of-genoa", &report, &foreign, "a list by another root tells nothing about this chain")
}

/// One product's root with a chip and a provider.
struct Fixture {
    authority: Authority,
    vcek_request: VekRequest,
    vcek: Vek,
    vlek: Vek,
    measurement: [u8; 48],
    report_id: [u8; 32],
}

impl Fixture {
    fn make(product: Product, rng: &mut impl CryptoRngCore) -> Outcome<Self> {
        let started = std::time::Instant::now();
        let authority = Authority::generate(product, ROOT_FROM, rng)?.with_asvk(ROOT_FROM, rng)?;
        eprintln!("{product}: three RSA-4096 keys in {:.1} s", started.elapsed().as_secs_f64());
        let mut chip = [0; 64];
        rng.fill_bytes(&mut chip);
        let vcek_request = VekRequest {
            kind: VekKind::Vcek,
            tcb: Tcb::recent(product),
            chip_id: ChipId::new(product, chip),
            csp_id: String::new(),
            not_before: VCEK_FROM,
        };
        let vcek = authority.vek(&vcek_request, rng)?;
        let vlek_request = VekRequest {
            kind: VekKind::Vlek,
            csp_id: "CN=cloud.software-psp.invalid".into(),
            not_before: VLEK_FROM,
            ..vcek_request.clone()
        };
        let vlek = authority.vek(&vlek_request, rng)?;
        let (mut measurement, mut report_id) = ([0; 48], [0; 32]);
        rng.fill_bytes(&mut measurement);
        rng.fill_bytes(&mut report_id);
        Ok(Self { authority, vcek_request, vcek, vlek, measurement, report_id })
    }

    fn product(&self) -> Product {
        self.authority.product()
    }

    fn name(&self) -> String {
        self.product().name().to_lowercase()
    }

    fn save(&self, set: &mut Set) -> Outcome<()> {
        let name = self.name();
        set.file(&format!("{name}/ark.der"), self.authority.ark())?;
        set.file(&format!("{name}/ask.der"), self.authority.intermediate(Intermediate::Ask).ok_or("ASK")?)?;
        set.file(&format!("{name}/asvk.der"), self.authority.intermediate(Intermediate::Asvk).ok_or("ASVK")?)?;
        set.file(&format!("{name}/vcek.der"), self.vcek.der())?;
        set.file(&format!("{name}/vlek.der"), self.vlek.der())?;
        Ok(())
    }

    fn request(&self, version: u32) -> ReportRequest {
        let mut report_data = [0; 64];
        let text = format!("software psp vector, version {version}");
        report_data.split_at_mut(text.len()).0.copy_from_slice(text.as_bytes());
        let mut request = ReportRequest::new(self.product(), version, self.vcek_request.chip_id, report_data);
        request.measurement = self.measurement;
        request.report_id = self.report_id;
        request
    }

    fn vlek_report(&self, version: u32) -> [u8; REPORT_LENGTH] {
        let mut request = self.request(version);
        request.signer = VekKind::Vlek;
        request.chip_id = ChipId::MASKED;
        self.vlek.sign(&request.body())
    }

    fn case(&self) -> Case {
        let name = self.name();
        Case {
            vek: format!("{name}/vcek.der"),
            intermediate: format!("{name}/ask.der"),
            trust_root: format!("{name}/ark.der"),
            crl: vec![],
            at: NOW,
            exit: 0,
        }
    }

    fn vlek_case(&self) -> Case {
        let name = self.name();
        Case { vek: format!("{name}/vlek.der"), intermediate: format!("{name}/asvk.der"), ..self.case() }
    }
}

struct Case {
    vek: String,
    intermediate: String,
    trust_root: String,
    crl: Vec<String>,
    at: OffsetDateTime,
    exit: u8,
}

impl Case {
    fn rejected(self, exit: u8) -> Self {
        Self { exit, ..self }
    }
}

/// The directory being filled.
struct Set {
    dir: PathBuf,
    written: BTreeSet<String>,
    cases: Vec<Value>,
}

impl Set {
    /// Empties an earlier set; refuses to touch a directory that is none.
    fn begin(dir: PathBuf) -> Outcome<Self> {
        if dir.is_dir() && fs::read_dir(&dir)?.next().is_some() {
            if !dir.join("manifest.json").is_file() {
                return Err(format!("{}: not empty and not a vector set, name another directory", dir.display()).into());
            }
            for entry in ["manifest.json", "README.md"] {
                fs::remove_file(dir.join(entry)).ok();
            }
            for entry in ["milan", "genoa", "turin", "reports"] {
                fs::remove_dir_all(dir.join(entry)).ok();
            }
        }
        fs::create_dir_all(&dir)?;
        Ok(Self { dir, written: BTreeSet::new(), cases: vec![] })
    }

    fn file(&mut self, path: &str, bytes: &[u8]) -> Outcome<String> {
        if !self.written.insert(path.to_owned()) {
            return Err(format!("{path} is written twice").into());
        }
        let full = self.dir.join(path);
        fs::create_dir_all(full.parent().ok_or("no parent")?)?;
        fs::write(full, bytes)?;
        Ok(path.to_owned())
    }

    fn case(&mut self, id: &str, report: &[u8], case: &Case, why: &str) -> Outcome<()> {
        let report = self.file(&format!("reports/{id}.bin"), report)?;
        let mut entry = json!({
            "id": id,
            "report": report,
            "vek": case.vek,
            "intermediate": case.intermediate,
            "trust_root": case.trust_root,
            "at": case.at.format(&Rfc3339)?,
            "expect": if case.exit == 0 { ACCEPTED } else { "rejected" },
            "exit": case.exit,
            "why": why,
        });
        if let (false, Some(members)) = (case.crl.is_empty(), entry.as_object_mut()) {
            members.insert("crl".into(), json!(case.crl));
        }
        self.cases.push(entry);
        Ok(())
    }

    fn finish(self) -> Outcome<usize> {
        let mut text = serde_json::to_string_pretty(&Value::Array(self.cases.clone()))?;
        text.push('\n');
        fs::write(self.dir.join("manifest.json"), text)?;
        fs::write(self.dir.join("README.md"), README)?;
        Ok(self.cases.len())
    }
}

const README: &str = include_str!("vectors.md");
