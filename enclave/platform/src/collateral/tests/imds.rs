//! Azure's metadata service.

use std::{fs, sync::Barrier, thread, time::Duration};

use tempfile::TempDir;

use super::{
    DoublePace, Material, NOW, genoa, kds, milan, quick,
    service::{Reply, Service},
    turin, vector,
};
use crate::{Chain, Collateral, CollateralError, Der, EvidenceError, Imds};

const PATH: &str = "/metadata/THIM/amd/certification";

/// What the service says about a product, in its words.
fn answer(vek: &[u8], chain: &str, tcbm: &str) -> String {
    let text = |pem: &str| pem.replace('\n', "\\n");
    format!(
        r#"{{"vcekCert":"{}","tcbm":"{tcbm}","certificateChain":"{}","cacheControl":"86400"}}"#,
        text(&Der::new(vek.to_vec()).pem()),
        text(chain)
    )
}

fn of(material: &Material) -> String {
    answer(&material.vcek, &material.chain(&material.ask), &tcbm(&material.report))
}

/// REPORTED_TCB as a number in hexadecimal.
fn tcbm(report: &[u8]) -> String {
    hex::encode_upper(report[0x180..0x188].iter().rev().copied().collect::<Vec<u8>>())
}

struct Bench {
    service: Service,
    dir: TempDir,
    pace: DoublePace,
    imds: Imds,
}

fn bench(reply: Reply) -> Bench {
    let (service, dir, pace) = (Service::start(), tempfile::tempdir().expect("directory"), DoublePace::at(NOW));
    service.on(PATH, [reply]);
    let imds = imds(&service, &dir, &pace);
    Bench { service, dir, pace, imds }
}

fn imds(service: &Service, dir: &TempDir, pace: &DoublePace) -> Imds {
    Imds::with(&(service.base() + PATH), dir.path(), None, quick(), Box::new(pace.clone()))
}

fn refused(answer: Result<Chain, EvidenceError>) -> CollateralError {
    match answer {
        Err(EvidenceError::Collateral(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_product_is_endorsed_by_one_request_that_names_its_purpose() {
    for material in [milan(), genoa(), turin()] {
        let bench = bench(Reply::ok(of(&material)));
        let chain = bench.imds.endorse(&material.report).expect(material.name);
        assert_eq!(chain.vek.as_bytes(), material.vcek);
        assert_eq!((chain.intermediate.as_bytes(), chain.root.as_bytes()), (&*material.ask, &*material.ark));
        assert_eq!((bench.service.asked(), chain.crls), (vec![PATH.to_owned()], vec![]));
        assert!(bench.service.head().iter().any(|line| line.eq_ignore_ascii_case("metadata: true")));
    }
}

#[test]
fn what_it_said_is_kept_over_a_restart() {
    let material = genoa();
    let bench = bench(Reply::ok(of(&material)));
    let first = bench.imds.endorse(&material.report).expect("asked");
    assert_eq!(bench.imds.endorse(&material.report).expect("from memory"), first);
    bench.service.on(PATH, [Reply::status(500)]);
    assert_eq!(imds(&bench.service, &bench.dir, &bench.pace).endorse(&material.report).expect("from disk"), first);
    assert_eq!(bench.service.count(PATH), 1);
    for entry in fs::read_dir(bench.dir.path().join("collateral")).expect("directory") {
        fs::write(entry.expect("entry").path(), "damaged").expect("written");
    }
    bench.service.on(PATH, [Reply::ok(of(&material))]);
    assert_eq!(imds(&bench.service, &bench.dir, &bench.pace).endorse(&material.report).expect("asked again"), first);
}

#[test]
fn twenty_callers_make_one_request() {
    let material = genoa();
    let bench = bench(Reply::ok(of(&material)).slow(Duration::from_millis(200)));
    let start = Barrier::new(20);
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                start.wait();
                bench.imds.endorse(&material.report).expect("asked");
            });
        }
    });
    assert_eq!(bench.service.count(PATH), 1);
}

#[test]
fn a_busy_service_is_asked_again_and_a_slow_or_absent_one_is_named() {
    let material = genoa();
    let bench = bench(Reply::status(500));
    bench
        .service
        .on(PATH, [Reply::status(429).header("Retry-After", "5"), Reply::status(503), Reply::ok(of(&material))]);
    bench.imds.endorse(&material.report).expect("the third attempt");
    assert_eq!(bench.pace.waits(), [5, 4]);

    let gone = Service::start().base();
    let imds = Imds::with(&gone, bench.dir.path(), None, quick(), Box::new(bench.pace.clone()));
    let error = refused(imds.endorse(&milan().report));
    assert!(matches!(error, CollateralError::Silent { .. }), "{error:?}");

    let missing = self::bench(Reply::status(404));
    let error = refused(missing.imds.endorse(&material.report));
    assert!(matches!(error, CollateralError::Status { status: 404, .. }), "{error:?}");
    assert_eq!(missing.service.count(PATH), 1, "it will not be there in two seconds either");
}

#[test]
fn wrong_answers_are_neither_used_nor_kept() {
    let material = milan();
    let (chain, levels) = (material.chain(&material.ask), tcbm(&material.report));
    let good = of(&material);
    for (body, why) in [
        ("<html>busy</html>".to_owned(), "JSON"),
        (good[..good.len() / 2].to_owned(), "JSON"),
        (good.replace("\"cacheControl\"", "\"tcbm\""), "JSON"),
        (good.replace("vcekCert", "vlekCert"), "vcekCert"),
        (good.replace("certificateChain", "chain"), "certificateChain"),
        (answer(&material.vcek, &chain, "00"), "tcbm"),
        (answer(&material.vcek, &chain, "zz00000000000000"), "tcbm"),
        (answer(&material.vcek, &chain, "0000000000000004"), "for TCB 0000000000000004"),
        (answer(&vector("milan/vcek-earlier-tcb.der"), &chain, &levels), "the VCEK is for"),
        (answer(&vector("milan/vcek-of-stranger.der"), &chain, &levels), ""),
        (answer(&material.vlek, &chain, &levels), "is no VCEK of Milan"),
        (answer(&material.vcek, &genoa().chain(&genoa().ask), &levels), "is not the ASK of Milan"),
        (answer(&material.vcek, &material.chain(&vector("milan/ask-of-stranger.der")), &levels), "not signed by"),
        (answer(&material.vcek, &Der::new(material.ask.clone()).pem(), &levels), "not 2"),
    ] {
        let bench = bench(Reply::ok(body));
        let error = refused(bench.imds.endorse(&material.report));
        let CollateralError::Wrong { why: found, .. } = &error else { panic!("{error:?}") };
        assert!(found.contains(why), "{found} / {why}");
        assert!(!bench.dir.path().join("collateral").exists(), "{why}");
    }
    let long = bench(Reply::ok(vec![b' '; 64 * 1024 + 1]));
    assert!(matches!(refused(long.imds.endorse(&material.report)), CollateralError::TooLong { .. }));
}

#[test]
fn a_version_2_report_takes_its_product_from_the_certificate() {
    let material = milan();
    let report = vector("reports/milan-v2.bin");
    let bench = bench(Reply::ok(of(&material)));
    assert_eq!(bench.imds.endorse(&report).expect("named by the issuer").vek.as_bytes(), material.vcek);
    assert!(matches!(refused(bench.imds.endorse(&report[..1183])), CollateralError::Report(_)));
}

#[test]
fn its_evidence_carries_amds_revocation_list_where_that_can_be_had() {
    let material = genoa();
    let bench = bench(Reply::ok(of(&material)));
    let amd = Service::start();
    amd.on(&material.crl_path("vcek"), [Reply::ok(vector("genoa/empty.crl"))]);
    let lists = std::sync::Arc::new(kds(&amd.base(), bench.dir.path(), &bench.pace));
    let imds = bench.imds.with_lists_from(lists);
    let chain = imds.endorse(&material.report).expect("asked");
    assert_eq!(chain.crls.iter().map(Der::as_bytes).collect::<Vec<_>>(), [vector("genoa/empty.crl")]);
    assert_eq!(amd.asked(), [material.crl_path("vcek")], "certificates come from Azure");
}
