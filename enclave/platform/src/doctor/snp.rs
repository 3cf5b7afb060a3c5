//! The rows about SEV-SNP: whose machine, which device, what a report of it says, and where its certificates would come
//! from. No service is contacted; one report over 64 zero bytes is asked for, which attests nothing.

use std::{fs, io, path::Path};

use attestation_verifier::{Report, SignedReport, Vmpl};

use super::{Finding, State};
use crate::{
    EvidenceError, Imds, Kds, KernelDevice, SevGuest, Tsm, VekKind, certificate_table::HostTable, collateral::Subject,
    cpu, device::DeviceAnswer,
};

/// Who runs the host, as its firmware says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Cloud {
    Google,
    Amazon,
    Azure,
    /// Hyper-V elsewhere than in Azure.
    Microsoft,
    Other,
}

/// The chassis asset tag that every Azure VM has.
const AZURE_TAG: &str = "7783-7084-3265-9085-8269-3286-77";

/// What stands behind every row of a device.
const ROOT_OF_PROOF: &str =
    "reports signed by the secure processor: the root of every proof. Without it only `simulated` runs";

pub(super) fn rows(root: &Path) -> Vec<Finding> {
    let tsm_path = root.join(Tsm::ROOT.trim_start_matches('/'));
    let device_path = root.join(KernelDevice::PATH.trim_start_matches('/'));
    let asked = if tsm_path.is_dir() {
        Some(Tsm::at(&tsm_path).report(&[0; 64]))
    } else if device_path.exists() {
        Some(SevGuest::over(KernelDevice::at(&device_path), &device_path).report(&[0; 64]))
    } else {
        None
    };
    rows_with(root, asked)
}

fn rows_with(root: &Path, asked: Option<Result<DeviceAnswer, EvidenceError>>) -> Vec<Finding> {
    let (cloud, machine) = machine(root);
    vec![
        machine,
        processor(root),
        level(root),
        device(root, cloud),
        tsm(root),
        report(asked.as_ref(), cloud),
        collateral(asked.as_ref(), cloud, root),
    ]
}

fn machine(root: &Path) -> (Cloud, Finding) {
    let read = |name: &str| {
        let text = fs::read_to_string(root.join("sys/class/dmi/id").join(name)).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let (vendor, product) = (read("sys_vendor"), read("product_name"));
    let cloud = match vendor.as_deref() {
        Some("Google") => Cloud::Google,
        Some("Amazon EC2") => Cloud::Amazon,
        Some("Microsoft Corporation") if read("chassis_asset_tag").as_deref() == Some(AZURE_TAG) => Cloud::Azure,
        Some("Microsoft Corporation") => Cloud::Microsoft,
        _ => Cloud::Other,
    };
    let use_as = match cloud {
        Cloud::Google => "Google Cloud: platform = \"gcp\"",
        Cloud::Amazon => "AWS EC2: platform = \"aws\"",
        Cloud::Azure => "Azure: platform = \"azure\"",
        Cloud::Microsoft => "Hyper-V, not Azure: platform = \"baremetal\" if there is a device below",
        Cloud::Other => "no cloud we know: platform = \"baremetal\" if there is a device below",
    };
    let names: Vec<String> = [vendor, product].into_iter().flatten().collect();
    let (state, detail) = if names.is_empty() {
        (State::Unknown, "no names in /sys/class/dmi/id".to_owned())
    } else {
        (State::Found, format!("{}; {use_as}", names.join(", ")))
    };
    let proves = "nothing: the host writes these names. They only say which platform to try";
    (cloud, Finding { subject: "machine", state, detail, proves })
}

fn processor(root: &Path) -> Finding {
    let subject = "processor flags";
    let proves = "nothing by itself: a hypervisor can show any flag, and some hide these. Only a signed report proves \
                  SEV-SNP";
    let path = root.join("proc/cpuinfo");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            return Finding { subject, state: State::Unknown, detail: format!("/proc/cpuinfo: {error}"), proves };
        }
    };
    let flags: Vec<&str> = text
        .lines()
        .find_map(|line| line.strip_prefix("flags")?.split_once(':'))
        .map(|(_, flags)| flags.split_whitespace().filter(|flag| flag.starts_with("sev")).collect())
        .unwrap_or_default();
    let state = if flags.contains(&"sev_snp") { State::Found } else { State::Absent };
    let flags = if flags.is_empty() { "no sev flag".to_owned() } else { flags.join(" ") };
    let product =
        cpu::product(&path).map_or("of no SEV-SNP product we know".to_owned(), |product| format!("of {product}"));
    Finding { subject, state, detail: format!("{flags}; family and model {product}"), proves }
}

fn level(root: &Path) -> Finding {
    let subject = "privilege level";
    let proves = "nothing by itself; the report says at which level it was asked for";
    let (state, detail) = match fs::read_to_string(root.join("sys/devices/system/cpu/sev/vmpl")) {
        Ok(text) if text.trim() == "0" => (State::Found, "VMPL 0: nothing runs above this kernel".to_owned()),
        Ok(text) => {
            let level = text.trim();
            (State::Found, format!("VMPL {level}: an SVSM or a paravisor runs above this kernel"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            (State::Absent, "the kernel does not say (Linux 6.11 or later does, in an SEV-SNP guest)".to_owned())
        }
        Err(error) => (State::Unknown, error.to_string()),
    };
    Finding { subject, state, detail, proves }
}

fn device(root: &Path, cloud: Cloud) -> Finding {
    let there = root.join(KernelDevice::PATH.trim_start_matches('/')).exists();
    let detail = match (there, root.join(Tsm::ROOT.trim_start_matches('/')).is_dir(), cloud) {
        (true, true, _) => "/dev/sev-guest; configfs-tsm is used instead",
        (true, false, _) => "/dev/sev-guest; used, for there is no configfs-tsm",
        (false, _, Cloud::Azure) => "no /dev/sev-guest, as on every Azure VM: the paravisor asks for the reports",
        (false, ..) => "no /dev/sev-guest",
    };
    Finding {
        subject: "sev-guest device",
        state: if there { State::Found } else { State::Absent },
        detail: detail.into(),
        proves: "a guest that has it can ask the secure processor for reports",
    }
}

fn tsm(root: &Path) -> Finding {
    let path = root.join(Tsm::ROOT.trim_start_matches('/'));
    let (state, detail) = if path.is_dir() {
        match Tsm::at(&path).provider() {
            Ok(provider) if provider == "sev_guest" => (State::Found, "provider sev_guest".to_owned()),
            Ok(provider) => (State::Absent, format!("provider {provider}: not SEV-SNP")),
            Err(error) => refusal(&error),
        }
    } else {
        (State::Absent, format!("no {}", Tsm::ROOT))
    };
    Finding { subject: "configfs-tsm", state, detail, proves: ROOT_OF_PROOF }
}

fn report(asked: Option<&Result<DeviceAnswer, EvidenceError>>, cloud: Cloud) -> Finding {
    let (state, detail) = match asked {
        None if cloud == Cloud::Azure => (State::Absent, "see `azure report`".to_owned()),
        None => (State::Absent, "no device to ask".to_owned()),
        Some(Err(error)) => refusal(error),
        Some(Ok(answer)) => match described(answer) {
            Ok(text) => (State::Found, text),
            Err(why) => (State::Unknown, why),
        },
    };
    let proves = "what the processor says of this guest, once its signature is verified, which doctor does not do";
    Finding { subject: "snp report", state, detail, proves }
}

/// Version, product, level, key, chip and firmware levels, in words.
fn described(answer: &DeviceAnswer) -> Result<String, String> {
    let signed = SignedReport::parse(&answer.report).map_err(|error| error.to_string())?;
    let key = key_name(answer.vek_kind);
    let Some(product) = Report::check_shape(&signed).map_err(|error| error.to_string())? else {
        return Ok(format!("version 2, which names no product; signed by a {key}"));
    };
    let report = Report::decode(signed, product).map_err(|error| error.to_string())?;
    let level = match report.vmpl() {
        Vmpl::Guest(level) => format!("VMPL {level}"),
        Vmpl::Host => "asked for by the host, which no verifier accepts".to_owned(),
    };
    let chip = match (answer.vek_kind, report.chip_id_masked()) {
        (VekKind::Vcek, false) => "chip named",
        (VekKind::Vcek, true) => "chip hidden by the host",
        (VekKind::Vlek, _) => "no chip named, as with every VLEK",
    };
    let debug = if report.policy().debug() { "; DEBUG ALLOWED: the host may read this guest" } else { "" };
    let version = report.version();
    Ok(format!("version {version}, {product}, {level}, signed by a {key}, {chip}; {}{debug}", report.reported_tcb()))
}

fn collateral(asked: Option<&Result<DeviceAnswer, EvidenceError>>, cloud: Cloud, root: &Path) -> Finding {
    let (state, detail) = match asked {
        None if cloud == Cloud::Azure => {
            (State::Unknown, format!("Azure's metadata service ({}) would be asked; not contacted here", Imds::AZURE))
        }
        Some(Ok(answer)) => source_of(answer, root),
        None | Some(Err(_)) => (State::Unknown, "needs a report".to_owned()),
    };
    let proves = "the certificates make a report verifiable by strangers; they are checked against AMD's root, whoever \
                  hands them over";
    Finding { subject: "collateral", state, detail, proves }
}

/// Who would give which certificates. What only an answer of somebody's service would show is unknown here.
fn source_of(answer: &DeviceAnswer, root: &Path) -> (State, String) {
    let amd = format!("AMD's service ({}) would be asked; not contacted here", Kds::AMD);
    let key = key_name(answer.vek_kind);
    let table = match HostTable::parse(&answer.table) {
        Ok(table) => table,
        Err(error) if answer.vek_kind == VekKind::Vlek => return (State::Absent, error.to_string()),
        Err(error) => return (State::Unknown, format!("{error}; {amd}")),
    };
    let Some(vek) = table.vek(answer.vek_kind) else {
        return match answer.vek_kind {
            VekKind::Vcek => (State::Unknown, format!("the host gives no VCEK; {amd}")),
            VekKind::Vlek => {
                (State::Absent, "the host gives no VLEK, and nobody else can: the gateway will not start".to_owned())
            }
        };
    };
    let product = Subject::product_of(vek).or_else(|| cpu::product(&root.join("proc/cpuinfo")));
    let subject = match Subject::of(&answer.report, product) {
        Ok(subject) => subject,
        Err(error) => return (State::Unknown, error.to_string()),
    };
    match table.issuers().filter(|issuers| subject.check_issuers(issuers).is_ok()) {
        None => (State::Unknown, format!("the host gives the {key}; for the certificates above it {amd}")),
        Some(issuers) => match subject.check_vek(vek, &issuers) {
            Ok(()) => (
                State::Found,
                format!(
                    "the host gives {key}, {} and ARK; AMD's service is asked for the revocation list alone",
                    subject.issuer_name()
                ),
            ),
            Err(why) if answer.vek_kind == VekKind::Vcek => {
                (State::Unknown, format!("the host's do not fit: {why}; {amd}"))
            }
            Err(why) => (State::Absent, format!("the host's do not fit: {why}; the gateway will not start")),
        },
    }
}

fn refusal(error: &EvidenceError) -> (State, String) {
    match error {
        EvidenceError::Device { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            (State::Unknown, "no permission: run as root".to_owned())
        }
        EvidenceError::Device { source, .. } => (State::Unknown, format!("{error}: {source}")),
        EvidenceError::Provider { .. } => (State::Absent, error.to_string()),
        _ => (State::Unknown, error.to_string()),
    }
}

fn key_name(kind: VekKind) -> &'static str {
    match kind {
        VekKind::Vcek => "VCEK",
        VekKind::Vlek => "VLEK",
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::{
        certificate_table::tests::table_of,
        collateral::tests::{Material, genoa, milan, turin, vector},
    };

    fn root(files: &[(&str, &str)]) -> TempDir {
        let root = tempfile::tempdir().expect("directory");
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("parent")).expect("directory");
            fs::write(path, text).expect("written");
        }
        root
    }

    fn row(findings: &[Finding], subject: &str) -> (State, String) {
        let found = findings.iter().find(|finding| finding.subject == subject).expect("looked for");
        (found.state, found.detail.clone())
    }

    fn answer(report: &[u8], vek_kind: VekKind, table: Vec<u8>) -> Option<Result<DeviceAnswer, EvidenceError>> {
        Some(Ok(DeviceAnswer { report: report.to_vec(), vek_kind, table, svsm_manifest: None }))
    }

    fn full(material: &Material) -> Vec<u8> {
        table_of(Some((VekKind::Vcek, &material.vcek)), Some(&material.ask), Some(&material.ark), None)
    }

    #[test]
    fn each_cloud_is_known_by_the_names_its_hosts_write() {
        for (vendor, product, tag, wanted) in [
            ("Google", "Google Compute Engine", "", "platform = \"gcp\""),
            ("Amazon EC2", "m6a.large", "Amazon EC2", "platform = \"aws\""),
            ("Microsoft Corporation", "Virtual Machine", AZURE_TAG, "platform = \"azure\""),
            ("Microsoft Corporation", "Virtual Machine", "0000-0001", "not Azure"),
            ("QEMU", "Standard PC", "", "platform = \"baremetal\""),
        ] {
            let dmi = |name: &str| format!("sys/class/dmi/id/{name}");
            let root = root(&[
                (&dmi("sys_vendor"), &format!("{vendor}\n")),
                (&dmi("product_name"), &format!("{product}\n")),
                (&dmi("chassis_asset_tag"), &format!("{tag}\n")),
            ]);
            let (state, detail) = row(&rows(root.path()), "machine");
            assert_eq!(state, State::Found, "{vendor}");
            assert!(detail.contains(product) && detail.contains(wanted), "{detail}");
        }
    }

    #[test]
    fn an_azure_vm_is_not_told_that_a_device_is_missing() {
        let root = root(&[
            ("sys/class/dmi/id/sys_vendor", "Microsoft Corporation\n"),
            ("sys/class/dmi/id/chassis_asset_tag", &format!("{AZURE_TAG}\n")),
        ]);
        let findings = rows(root.path());
        assert!(row(&findings, "sev-guest device").1.contains("as on every Azure VM"));
        assert!(row(&findings, "snp report").1.contains("azure report"));
        let (state, detail) = row(&findings, "collateral");
        assert!(state == State::Unknown && detail.contains("169.254.169.254") && detail.contains("not contacted"));
    }

    #[test]
    fn a_bare_machine_offers_nothing_and_says_what_was_looked_at() {
        let root = root(&[]);
        let findings = rows(root.path());
        let states: Vec<_> = findings.iter().map(|finding| (finding.subject, finding.state)).collect();
        let wanted = [
            ("machine", State::Unknown),
            ("processor flags", State::Unknown),
            ("privilege level", State::Absent),
            ("sev-guest device", State::Absent),
            ("configfs-tsm", State::Absent),
            ("snp report", State::Absent),
            ("collateral", State::Unknown),
        ];
        assert_eq!(states, wanted);
        assert!(findings.iter().all(|finding| !finding.detail.is_empty() && !finding.proves.is_empty()));
    }

    #[test]
    fn flags_product_and_level_are_told() {
        let root = root(&[
            ("proc/cpuinfo", "cpu family\t: 25\nmodel\t\t: 17\nflags\t\t: fpu sev sev_es sev_snp\n"),
            ("sys/devices/system/cpu/sev/vmpl", "2\n"),
        ]);
        let findings = rows(root.path());
        let flags = row(&findings, "processor flags");
        assert_eq!(flags, (State::Found, "sev sev_es sev_snp; family and model of Genoa".to_owned()));
        assert!(row(&findings, "privilege level").1.contains("VMPL 2: an SVSM"));
    }

    #[test]
    fn a_device_that_is_none_is_not_called_found() {
        let plain = root(&[("dev/sev-guest", "")]);
        let findings = rows(plain.path());
        assert_eq!(row(&findings, "sev-guest device").0, State::Found);
        assert_eq!(row(&findings, "snp report").0, State::Unknown, "the file is there, a report does not come");
        let hollow = root(&[("sys/kernel/config/tsm/report/.kept", "")]);
        let findings = rows(hollow.path());
        assert_eq!(row(&findings, "configfs-tsm").0, State::Unknown);
        assert_eq!(row(&findings, "snp report").0, State::Unknown);
        assert_eq!(row(&findings, "collateral").0, State::Unknown);
    }

    #[test]
    fn the_report_is_told_in_words() {
        let nowhere = root(&[]);
        let told =
            |report: &[u8], kind| row(&rows_with(nowhere.path(), answer(report, kind, Vec::new())), "snp report").1;
        let genoa = genoa();
        assert_eq!(
            told(&genoa.report, VekKind::Vcek),
            "version 5, Genoa, VMPL 0, signed by a VCEK, chip named; boot loader 10, tee 0, snp 25, microcode 84"
        );
        assert!(told(&turin().report, VekKind::Vcek).contains("Turin, VMPL 0, signed by a VCEK, chip named; fmc 1"));
        assert!(told(&genoa.vlek_report, VekKind::Vlek).contains("no chip named, as with every VLEK"));
        assert!(told(&vector("reports/genoa-v5-masked-chip-id.bin"), VekKind::Vcek).contains("chip hidden"));
        assert!(told(&vector("reports/milan-v2.bin"), VekKind::Vcek).contains("version 2, which names no product"));
        assert!(told(&vector("reports/fail-milan-v3-debug.bin"), VekKind::Vcek).contains("DEBUG ALLOWED"));
        assert!(told(&vector("reports/fail-milan-v3-vmpl-host.bin"), VekKind::Vcek).contains("asked for by the host"));
        assert!(told(&vector("reports/fail-milan-v3-version-6.bin"), VekKind::Vcek).contains("VERSION"));
    }

    #[test]
    fn who_would_give_the_certificates_is_told_without_asking_anybody() {
        let nowhere = root(&[]);
        let told =
            |report: &[u8], kind, table| row(&rows_with(nowhere.path(), answer(report, kind, table)), "collateral");
        let milan = milan();
        let (vcek, vlek) = (VekKind::Vcek, VekKind::Vlek);
        let of_vlek = |intermediate, root| table_of(Some((vlek, &milan.vlek)), intermediate, root, None);
        let earlier = vector("milan/vcek-earlier-tcb.der");
        for (answer, state, wanted) in [
            (
                told(&milan.report, vcek, full(&milan)),
                State::Found,
                "VCEK, ASK and ARK; AMD's service is asked for the revocation list alone",
            ),
            (told(&milan.report, vcek, Vec::new()), State::Unknown, "gives no VCEK; AMD's service"),
            (told(&milan.report, vcek, vec![1; 30]), State::Unknown, "AMD's service"),
            (
                told(&milan.report, vcek, table_of(Some((vcek, &milan.vcek)), None, None, None)),
                State::Unknown,
                "above it AMD",
            ),
            (
                told(&milan.report, vcek, table_of(Some((vcek, &earlier)), Some(&milan.ask), Some(&milan.ark), None)),
                State::Unknown,
                "do not fit",
            ),
            (
                told(&milan.vlek_report, vlek, of_vlek(None, None)),
                State::Unknown,
                "gives the VLEK; for the certificates",
            ),
            (
                told(&milan.vlek_report, vlek, of_vlek(Some(&milan.asvk), Some(&milan.ark))),
                State::Found,
                "VLEK, ASVK and ARK; AMD's service is asked for the revocation list alone",
            ),
            (told(&milan.vlek_report, vlek, full(&milan)), State::Absent, "will not start"),
            (told(&milan.vlek_report, vlek, vec![1; 30]), State::Absent, "certificate table"),
            (told(&vector("reports/milan-v2.bin"), vcek, full(&milan)), State::Found, "the revocation list alone"),
        ] {
            assert!(answer.0 == state && answer.1.contains(wanted), "{answer:?}, not {state:?} {wanted}");
        }
    }

    #[test]
    fn a_refusal_is_told_with_its_reason() {
        let nowhere = root(&[]);
        let told = |error| row(&rows_with(nowhere.path(), Some(Err(error))), "snp report");
        let denied = EvidenceError::Device {
            doing: "open",
            path: "/dev/sev-guest".into(),
            source: io::ErrorKind::PermissionDenied.into(),
        };
        assert_eq!(told(denied), (State::Unknown, "no permission: run as root".to_owned()));
        assert_eq!(told(EvidenceError::Provider { found: "tdx_guest".into() }).0, State::Absent);
        assert!(told(EvidenceError::KeyGone).1.contains("destroyed"));
    }
}
