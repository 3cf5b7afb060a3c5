//! Hosts that give everything, something, nothing and nonsense.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::{
    certificate_table::tests::table_of,
    collateral::tests::{
        DoublePace, Material, NOW, genoa, kds, milan,
        service::{Reply, Service},
        turin, vector,
    },
};

/// A device that gives one report, whatever the bytes asked for, and the host's table.
struct DoubleDevice {
    answer: DeviceAnswer,
}

impl Device for DoubleDevice {
    fn report(&self, _: &[u8; 64]) -> Result<DeviceAnswer, EvidenceError> {
        Ok(self.answer.clone())
    }
}

fn hardware(kind: HardwareKind, device: Box<dyn Device>, kds: Option<Kds>) -> Hardware {
    Hardware { kind, device, kds, product: None, now: || UnixSeconds(NOW) }
}

fn device(report: &[u8], kind: VekKind, table: Vec<u8>) -> Box<dyn Device> {
    let answer =
        DeviceAnswer { report: report.to_vec(), vek_kind: kind, table, svsm_manifest: Some(b"manifest".to_vec()) };
    Box::new(DoubleDevice { answer })
}

struct Bench {
    service: Service,
    dir: TempDir,
}

/// AMD's service, with all that one product needs.
fn bench(material: &Material) -> Bench {
    let service = Service::start();
    service.on(&material.vcek_path(), [Reply::ok(material.vcek.clone())]);
    service.on(&material.chain_path("vcek"), [Reply::ok(material.chain(&material.ask))]);
    service.on(&material.chain_path("vlek"), [Reply::ok(material.chain(&material.asvk))]);
    Bench { service, dir: tempfile::tempdir().expect("directory") }
}

impl Bench {
    fn online(&self, report: &[u8], kind: VekKind, table: Vec<u8>) -> Result<Evidence, EvidenceError> {
        let kds = kds(&self.service.base(), self.dir.path(), &DoublePace::at(NOW));
        hardware(HardwareKind::Baremetal, device(report, kind, table), Some(kds)).collect(&[7; 64])
    }
}

fn offline(report: &[u8], kind: VekKind, table: Vec<u8>) -> Result<Evidence, EvidenceError> {
    hardware(HardwareKind::Baremetal, device(report, kind, table), None).collect(&[7; 64])
}

fn refused(answer: Result<Evidence, EvidenceError>) -> CollateralError {
    match answer {
        Err(EvidenceError::Collateral(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_full_table_needs_nobody_else() {
    for material in [milan(), genoa(), turin()] {
        let Material { report, vlek_report, vcek, vlek, ask, asvk, ark, .. } = &material;
        for (report, kind, vek, intermediate) in
            [(report, VekKind::Vcek, vcek, ask), (vlek_report, VekKind::Vlek, vlek, asvk)]
        {
            let table = table_of(Some((kind, vek)), Some(intermediate), Some(ark), None);
            let evidence = offline(report, kind, table).expect(material.name);
            assert_eq!((&evidence.report, evidence.vek_kind), (report, kind));
            assert_eq!((evidence.vek.as_bytes(), evidence.intermediate.as_bytes()), (&**vek, &**intermediate));
            assert_eq!((evidence.root.as_bytes(), evidence.crls), (&**ark, vec![]));
            assert_eq!(evidence.svsm_manifest.as_deref(), Some(&b"manifest"[..]));
        }
    }
}

#[test]
fn with_a_full_table_amds_service_is_asked_for_the_list_alone() {
    let material = genoa();
    let bench = bench(&material);
    bench.service.on(&material.crl_path("vcek"), [Reply::ok(vector("genoa/empty.crl"))]);
    let table = table_of(Some((VekKind::Vcek, &material.vcek)), Some(&material.ask), Some(&material.ark), None);
    let evidence = bench.online(&material.report, VekKind::Vcek, table).expect("evidence");
    assert_eq!(evidence.crls, [Der::new(vector("genoa/empty.crl"))]);
    assert_eq!(bench.service.asked(), [material.crl_path("vcek")]);
}

#[test]
fn aws_gives_a_vlek_and_amds_service_the_chain_above_it() {
    let material = milan();
    let bench = bench(&material);
    bench.service.on(&material.crl_path("vlek"), [Reply::ok(vector("milan/empty.crl"))]);
    let table = table_of(Some((VekKind::Vlek, &material.vlek)), None, None, None);
    let evidence = bench.online(&material.vlek_report, VekKind::Vlek, table).expect("evidence");
    assert_eq!((evidence.vek.as_bytes(), evidence.intermediate.as_bytes()), (&*material.vlek, &*material.asvk));
    assert_eq!(evidence.crls, [Der::new(vector("milan/empty.crl"))]);
    assert_eq!(bench.service.asked(), [material.chain_path("vlek"), material.crl_path("vlek")]);
}

#[test]
fn a_vlek_that_the_host_does_not_give_cannot_be_had() {
    let material = milan();
    let bench = bench(&material);
    for table in
        [Vec::new(), table_of(Some((VekKind::Vcek, &material.vcek)), Some(&material.ask), Some(&material.ark), None)]
    {
        let error = refused(bench.online(&material.vlek_report, VekKind::Vlek, table.clone()));
        assert!(matches!(error, CollateralError::VlekFromHostOnly), "{error:?}");
        assert!(error.fix().contains("AWS"));
        assert!(matches!(
            refused(offline(&material.vlek_report, VekKind::Vlek, table)),
            CollateralError::VlekFromHostOnly
        ));
    }
    assert_eq!(bench.service.asked(), Vec::<String>::new());
}

#[test]
fn a_host_that_gives_nothing_leaves_it_all_to_amds_service() {
    for material in [milan(), genoa(), turin()] {
        let bench = bench(&material);
        let evidence = bench.online(&material.report, VekKind::Vcek, Vec::new()).expect(material.name);
        assert_eq!((evidence.vek.as_bytes(), evidence.crls), (&*material.vcek, vec![]));
    }
}

#[test]
fn a_vcek_of_earlier_firmware_in_the_table_is_replaced_by_amds() {
    let material = milan();
    let bench = bench(&material);
    let earlier = vector("milan/vcek-earlier-tcb.der");
    let table = table_of(Some((VekKind::Vcek, &earlier)), Some(&material.ask), Some(&material.ark), None);
    let evidence = bench.online(&material.report, VekKind::Vcek, table.clone()).expect("evidence");
    assert_eq!(evidence.vek.as_bytes(), material.vcek);
    let error = refused(offline(&material.report, VekKind::Vcek, table));
    assert!(matches!(&error, CollateralError::Wrong { why, .. } if why.contains("the VCEK is for")), "{error:?}");
}

#[test]
fn issuers_that_do_not_issue_are_replaced_by_amds() {
    let material = milan();
    let other = genoa();
    for (intermediate, root) in
        [(Some(&other.ask), Some(&other.ark)), (Some(&material.ask), None), (None, Some(&material.ark))]
    {
        let bench = bench(&material);
        let table = table_of(
            Some((VekKind::Vcek, &material.vcek)),
            intermediate.map(Vec::as_slice),
            root.map(Vec::as_slice),
            None,
        );
        let evidence = bench.online(&material.report, VekKind::Vcek, table).expect("evidence");
        assert_eq!((evidence.intermediate.as_bytes(), evidence.root.as_bytes()), (&*material.ask, &*material.ark));
        assert_eq!(bench.service.count(&material.vcek_path()), 0, "the host's VCEK serves");
    }
}

#[test]
fn what_is_missing_without_amds_service_is_named() {
    let material = genoa();
    let (vcek, ask, ark) = (Some((VekKind::Vcek, &*material.vcek)), Some(&*material.ask), Some(&*material.ark));
    for (table, wanted) in [
        (Vec::new(), "VCEK"),
        (table_of(None, ask, ark, None), "VCEK"),
        (table_of(vcek, None, ark, None), "ASK"),
        (table_of(vcek, ask, None, None), "ARK"),
    ] {
        let error = refused(offline(&material.report, VekKind::Vcek, table));
        assert!(matches!(error, CollateralError::Offline { missing } if missing == wanted), "{wanted}: {error:?}");
    }
    let table = table_of(Some((VekKind::Vlek, &material.vlek)), None, ark, None);
    let error = refused(offline(&material.vlek_report, VekKind::Vlek, table));
    assert!(matches!(error, CollateralError::Offline { missing: "ASVK" }), "{error:?}");
    let table = table_of(vcek, Some(&milan().ask), Some(&milan().ark), None);
    let error = refused(offline(&material.report, VekKind::Vcek, table));
    assert!(matches!(&error, CollateralError::Wrong { why, .. } if why.contains("not the ASK of Genoa")), "{error:?}");
}

#[test]
fn a_broken_table_is_an_error_only_where_nobody_else_may_be_asked() {
    let material = genoa();
    let error = offline(&material.report, VekKind::Vcek, vec![1; 30]).expect_err("broken");
    assert!(matches!(error, EvidenceError::BadTable { .. }), "{error:?}");
    let bench = bench(&material);
    let evidence = bench.online(&material.report, VekKind::Vcek, vec![1; 30]).expect("from AMD's service");
    assert_eq!(evidence.vek.as_bytes(), material.vcek);
}

#[test]
fn the_hosts_revocation_list_serves_where_amds_cannot_be_had() {
    let material = genoa();
    let table = |list: &[u8]| {
        table_of(Some((VekKind::Vcek, &material.vcek)), Some(&material.ask), Some(&material.ark), Some(list))
    };
    let list = vector("genoa/empty.crl");
    let lists = |list: &[u8]| offline(&material.report, VekKind::Vcek, table(list)).expect("evidence").crls;
    assert_eq!(lists(&list), [Der::new(list.clone())]);
    for bad in [vector("milan/empty.crl"), b"garbage".to_vec()] {
        assert_eq!(lists(&bad), []);
    }
}

#[test]
fn a_masked_chip_lives_on_its_hosts_certificate_alone() {
    let material = genoa();
    let report = vector("reports/genoa-v5-masked-chip-id.bin");
    let table = table_of(Some((VekKind::Vcek, &material.vcek)), Some(&material.ask), Some(&material.ark), None);
    offline(&report, VekKind::Vcek, table).expect("the verifier says that it is bound to no chip");
    let error = refused(bench(&material).online(&report, VekKind::Vcek, Vec::new()));
    assert!(matches!(error, CollateralError::MaskedChip), "{error:?}");
}

#[test]
fn a_version_2_report_takes_its_product_from_the_hosts_certificate() {
    let material = milan();
    let report = vector("reports/milan-v2.bin");
    let table = table_of(Some((VekKind::Vcek, &material.vcek)), Some(&material.ask), Some(&material.ark), None);
    offline(&report, VekKind::Vcek, table).expect("named by the issuer");
    assert!(matches!(refused(offline(&report, VekKind::Vcek, Vec::new())), CollateralError::UnknownProduct));
}

#[test]
fn each_kind_has_its_name_and_hardware_behind_it() {
    for (kind, name) in [(HardwareKind::Gcp, "gcp"), (HardwareKind::Aws, "aws"), (HardwareKind::Baremetal, "baremetal")]
    {
        let hardware = hardware(kind, device(&[], VekKind::Vcek, Vec::new()), None);
        assert_eq!((hardware.platform(), hardware.tee_enabled()), (name, true));
        assert!(evidence::core::Platform::WORDS.contains(&name));
    }
}

fn config(dir: &TempDir) -> HardwareConfig {
    HardwareConfig {
        tsm_root: dir.path().join("tsm"),
        sev_guest_path: dir.path().join("sev-guest"),
        ..HardwareConfig::new(dir.path())
    }
}

fn open(config: HardwareConfig) -> Result<Hardware, EvidenceError> {
    Hardware::open(HardwareKind::Baremetal, config)
}

#[test]
fn configfs_goes_before_the_device_and_neither_is_an_error() {
    let dir = tempfile::tempdir().expect("directory");
    let error = open(config(&dir)).err().expect("neither");
    assert!(matches!(&error, EvidenceError::Device { path, .. } if path.ends_with("tsm")), "{error:?}");
    assert!(error.fix().contains("SEV-SNP guest"));

    fs::write(dir.path().join("sev-guest"), "").expect("written");
    let error = open(config(&dir)).expect("opened").collect(&[7; 64]).expect_err("a plain file");
    assert!(matches!(&error, EvidenceError::Device { path, .. } if path.ends_with("sev-guest")), "{error:?}");
    let error = open(HardwareConfig { svsm: true, ..config(&dir) }).err().expect("the device cannot ask an SVSM");
    assert!(matches!(error, EvidenceError::NoSvsm), "{error:?}");

    fs::create_dir(dir.path().join("tsm")).expect("made");
    let error = open(config(&dir)).expect("opened").collect(&[7; 64]).expect_err("no kernel behind it");
    assert!(matches!(&error, EvidenceError::Device { path, .. } if path.ends_with("provider")), "{error:?}");
}

#[test]
fn nothing_is_asked_or_written_before_evidence_is_wanted() {
    let dir = tempfile::tempdir().expect("directory");
    fs::create_dir(dir.path().join("tsm")).expect("made");
    let service = Service::start();
    open(HardwareConfig { kds_base: service.base(), ..config(&dir) }).expect("opened");
    assert_eq!(service.asked(), Vec::<String>::new());
    assert!(!dir.path().join("collateral").exists());
}
