//! AMD's key distribution service: the right questions, and what becomes of every kind of answer.

use std::{fs, sync::Barrier, thread, time::Duration};

use software_psp::{ChipId, Product, ReportRequest, Tcb};
use tempfile::TempDir;

use super::{
    DoublePace, Material, NOW, genoa, kds, milan,
    service::{Reply, Service},
    turin, vector,
};
use crate::{
    Chain, Collateral, CollateralError, EvidenceError, Kds,
    collateral::{pace::MachinePace, web::Patience, web::Web},
};

/// A service that has what a product needs, its revocation list excepted.
fn service(material: &Material) -> Service {
    let service = Service::start();
    service.on(&material.vcek_path(), [Reply::ok(material.vcek.clone())]);
    service.on(&material.chain_path("vcek"), [Reply::ok(material.chain(&material.ask))]);
    service.on(&material.chain_path("vlek"), [Reply::ok(material.chain(&material.asvk))]);
    service
}

struct Bench {
    service: Service,
    dir: TempDir,
    pace: DoublePace,
    kds: Kds,
}

fn bench(material: &Material) -> Bench {
    let (service, dir, pace) = (service(material), tempfile::tempdir().expect("directory"), DoublePace::at(NOW));
    let kds = kds(&service.base(), dir.path(), &pace);
    Bench { service, dir, pace, kds }
}

fn refused(answer: Result<Chain, EvidenceError>) -> CollateralError {
    match answer {
        Err(EvidenceError::Collateral(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn files(bench: &Bench) -> Vec<String> {
    let Ok(entries) = fs::read_dir(bench.dir.path().join("collateral")) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("entry").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

#[test]
fn each_product_is_asked_for_by_its_own_path() {
    for material in [milan(), genoa(), turin()] {
        let bench = bench(&material);
        let chain = bench.kds.endorse(&material.report).expect(material.name);
        assert_eq!(chain.vek.as_bytes(), material.vcek);
        assert_eq!((chain.intermediate.as_bytes(), chain.root.as_bytes()), (&*material.ask, &*material.ark));
        let asked = [material.chain_path("vcek"), material.vcek_path(), material.crl_path("vcek")];
        assert_eq!(bench.service.asked(), asked);
    }
    // The shape that Turin's addresses have, spelled out.
    let path = turin().vcek_path();
    let (hwid, query) = path.strip_prefix("/vcek/v1/Turin/").expect("product").split_once('?').expect("query");
    assert_eq!((hwid.len(), query), (16, "fmcSPL=01&blSPL=01&teeSPL=01&snpSPL=04&ucodeSPL=81"));
}

#[test]
fn what_was_fetched_is_never_asked_for_again() {
    let material = genoa();
    let bench = bench(&material);
    let first = bench.kds.endorse(&material.report).expect("fetched");
    let asked = bench.service.asked();
    assert_eq!(bench.kds.endorse(&material.report).expect("from memory"), first);
    // A restart, and AMD's service gone.
    let Bench { service, dir, pace, .. } = bench;
    let base = service.base();
    drop(service);
    let restarted = kds(&base, dir.path(), &pace);
    assert_eq!(restarted.endorse(&material.report).expect("from disk"), first);
    assert_eq!(asked.len(), 3);
}

#[test]
fn twenty_callers_make_one_request() {
    let material = genoa();
    let bench = bench(&material);
    let slow = Reply::ok(material.vcek.clone()).slow(Duration::from_millis(200));
    bench.service.on(&material.vcek_path(), [slow]);
    let start = Barrier::new(20);
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                start.wait();
                let chain = bench.kds.endorse(&material.report).expect("fetched");
                assert_eq!(chain.vek.as_bytes(), material.vcek);
            });
        }
    });
    for path in [material.vcek_path(), material.chain_path("vcek"), material.crl_path("vcek")] {
        assert_eq!(bench.service.count(&path), 1, "{path}");
    }
}

#[test]
fn twenty_callers_share_one_failure() {
    let material = genoa();
    let bench = bench(&material);
    bench.service.on(&material.vcek_path(), [Reply::status(503)]);
    let start = Barrier::new(20);
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                start.wait();
                let error = refused(bench.kds.endorse(&material.report));
                assert!(matches!(error, CollateralError::Status { status: 503, .. } | CollateralError::Waiting { .. }));
            });
        }
    });
    assert_eq!(bench.service.count(&material.vcek_path()), 4, "the attempts of one caller");
    bench.service.on(&material.vcek_path(), [Reply::ok(material.vcek.clone())]);
    bench.pace.later(60);
    bench.kds.endorse(&material.report).expect("the hold has passed");
}

#[test]
fn an_unknown_chip_or_level_is_named_and_not_asked_for_again_at_once() {
    let material = genoa();
    let bench = bench(&material);
    bench.service.on(&material.vcek_path(), [Reply::status(404)]);
    let error = refused(bench.kds.endorse(&material.report));
    let CollateralError::NotFound { hwid, tcb, .. } = &error else { panic!("{error:?}") };
    assert_eq!((hwid.as_str(), tcb.as_str()), (&*material.hwid(), "boot loader 10, tee 0, snp 25, microcode 84"));
    assert!(error.to_string().contains(&material.hwid()), "{error}");
    assert_eq!(bench.service.count(&material.vcek_path()), 1, "no second attempt");
    assert!(matches!(refused(bench.kds.endorse(&material.report)), CollateralError::NotFound { .. }));
    assert_eq!(bench.service.count(&material.vcek_path()), 1, "and not for the next caller");
    bench.pace.later(61);
    refused(bench.kds.endorse(&material.report));
    assert_eq!(bench.service.count(&material.vcek_path()), 2, "but after a minute");
}

#[test]
fn a_throttled_caller_waits_as_long_as_it_is_told() {
    let material = genoa();
    let bench = bench(&material);
    let throttled = Reply::status(429).header("Retry-After", "10");
    bench.service.on(&material.vcek_path(), [throttled.clone(), throttled, Reply::ok(material.vcek.clone())]);
    bench.kds.endorse(&material.report).expect("the third attempt");
    assert_eq!(bench.pace.waits(), [10, 10]);
}

#[test]
fn a_service_that_asks_for_long_patience_is_left_alone() {
    let material = genoa();
    let bench = bench(&material);
    let throttled = Reply::status(429).header("Retry-After", "120");
    bench.service.on(&material.vcek_path(), [throttled, Reply::ok(material.vcek.clone())]);
    let error = refused(bench.kds.endorse(&material.report));
    assert!(matches!(error, CollateralError::Status { status: 429, retry_after: Some(120), .. }), "{error:?}");
    bench.pace.later(119);
    let error = refused(bench.kds.endorse(&material.report));
    assert!(matches!(error, CollateralError::Waiting { .. }), "{error:?}");
    assert!(error.to_string().contains("1 s") && error.to_string().contains("429"), "{error}");
    assert_eq!((bench.pace.waits(), bench.service.count(&material.vcek_path())), (vec![], 1));
    bench.pace.later(1);
    bench.kds.endorse(&material.report).expect("after the time it asked for");
}

#[test]
fn no_caller_is_kept_waiting_longer_than_half_a_minute() {
    let material = genoa();
    for (wish, served) in [("30", true), ("31", false)] {
        let bench = bench(&material);
        let throttled = Reply::status(429).header("Retry-After", wish);
        bench.service.on(&material.vcek_path(), [throttled, Reply::ok(material.vcek.clone())]);
        assert_eq!(bench.kds.endorse(&material.report).is_ok(), served, "{wish} s");
    }
}

#[test]
fn a_failing_service_is_asked_four_times_with_growing_waits() {
    let material = genoa();
    for status in [500, 502, 503, 408] {
        let bench = bench(&material);
        bench.service.on(&material.chain_path("vcek"), [Reply::status(status)]);
        let error = refused(bench.kds.endorse(&material.report));
        assert!(matches!(error, CollateralError::Status { status: found, .. } if found == status), "{error:?}");
        assert_eq!((bench.pace.waits(), bench.service.asked().len()), (vec![2, 4, 8], 4));
        assert_eq!(files(&bench), Vec::<String>::new());
    }
}

#[test]
fn other_statuses_are_final() {
    let material = genoa();
    for (status, location) in [(301, "https://example.com/"), (403, ""), (204, "")] {
        let bench = bench(&material);
        bench.service.on(&material.vcek_path(), [Reply::status(status).header("Location", location)]);
        let error = refused(bench.kds.endorse(&material.report));
        assert!(matches!(error, CollateralError::Status { .. }), "{status}: {error:?}");
        assert_eq!((bench.pace.waits(), bench.service.count(&material.vcek_path())), (vec![], 1), "{status}");
    }
}

#[test]
fn a_slow_service_is_not_waited_for() {
    let material = genoa();
    let service = service(&material);
    service.on(&material.vcek_path(), [Reply::ok(material.vcek.clone()).slow(Duration::from_secs(5))]);
    let (dir, pace) = (tempfile::tempdir().expect("directory"), DoublePace::at(NOW));
    let patience = Patience { connect: Duration::from_millis(300), total: Duration::from_millis(300) };
    let kds = Kds::with(&service.base(), dir.path(), Kds::CRL_AGE, None, Web::new(patience), Box::new(pace.clone()));
    let started = std::time::Instant::now();
    let error = refused(kds.endorse(&material.report));
    assert!(matches!(&error, CollateralError::Silent { why, .. } if why.contains("in time")), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(4), "four attempts of 0.3 s: {:?}", started.elapsed());
    assert_eq!(pace.waits(), [2, 4, 8]);
}

#[test]
fn a_service_that_is_not_there_is_named_with_the_fix() {
    let material = genoa();
    let gone = Service::start().base();
    let (dir, pace) = (tempfile::tempdir().expect("directory"), DoublePace::at(NOW));
    let error = refused(kds(&gone, dir.path(), &pace).endorse(&material.report));
    assert!(matches!(error, CollateralError::Silent { .. }), "{error:?}");
    assert!(error.to_string().contains(&gone) && error.fix().contains("outgoing"), "{error}");
}

#[test]
fn wrong_answers_are_neither_used_nor_kept() {
    let material = milan();
    let mut truncated = material.vcek.clone();
    truncated.truncate(700);
    let mut trailing = material.vcek.clone();
    trailing.push(0);
    let mut flipped = material.vcek.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    for (answer, why) in [
        (b"<html>busy</html>".to_vec(), "VCEK: "),
        (Vec::new(), "VCEK: "),
        (truncated, "VCEK: "),
        (trailing, "follow the certificate"),
        (flipped, "not signed by"),
        (vector("milan/vcek-of-stranger.der"), ""),
        (vector("milan/vcek-earlier-tcb.der"), "the VCEK is for"),
        (genoa().vcek, "is no VCEK of Milan"),
        (material.vlek.clone(), "is no VCEK of Milan"),
        (material.ask.clone(), "is no VCEK of Milan"),
        (crate::Der::new(material.vcek.clone()).pem().into_bytes(), "VCEK: "),
    ] {
        let bench = bench(&material);
        bench.service.on(&material.vcek_path(), [Reply::ok(answer)]);
        let error = refused(bench.kds.endorse(&material.report));
        let CollateralError::Wrong { why: found, .. } = &error else { panic!("{error:?}") };
        assert!(found.contains(why), "{found}");
        assert_eq!(files(&bench), ["milan.vcek.chain.pem"], "{why}");
        assert_eq!(bench.service.count(&material.vcek_path()), 1, "{why}");
    }
}

#[test]
fn another_chips_certificate_is_refused() {
    // The report of one chip, and a service that answers with the certificate of another.
    let material = milan();
    let bench = bench(&material);
    let other = ReportRequest::new(Product::Milan, 3, ChipId([0x5A; 64]), [7; 64]);
    let mut report = other.body().0.to_vec();
    report.resize(software_psp::REPORT_LENGTH, 0);
    let path = format!("/vcek/v1/Milan/{}?{}", "5a".repeat(64), material.query);
    bench.service.on(&path, [Reply::ok(material.vcek.clone())]);
    let error = refused(bench.kds.endorse(&report));
    assert!(matches!(&error, CollateralError::Wrong { why, .. } if why.contains("the VCEK is of chip")), "{error:?}");
    assert_eq!(bench.service.count(&path), 1, "asked for by this chip's id");
}

#[test]
fn every_level_of_every_product_counts() {
    for (material, product) in [(milan(), Product::Milan), (genoa(), Product::Genoa), (turin(), Product::Turin)] {
        let now = Tcb::recent(product);
        let mut levels = vec![
            Tcb { bootloader: now.bootloader + 1, ..now },
            Tcb { tee: now.tee + 1, ..now },
            Tcb { snp: now.snp + 1, ..now },
            Tcb { microcode: now.microcode + 1, ..now },
        ];
        if product == Product::Turin {
            levels.push(Tcb { fmc: now.fmc + 1, ..now });
        }
        for tcb in levels {
            let bench = bench(&material);
            let mut report = material.report.clone();
            report[0x180..0x188].copy_from_slice(&tcb.bytes(product));
            let fmc = if product == Product::Turin { format!("fmcSPL={:02}&", tcb.fmc) } else { String::new() };
            let Tcb { bootloader, tee, snp, microcode, .. } = tcb;
            let query = format!("{fmc}blSPL={bootloader:02}&teeSPL={tee:02}&snpSPL={snp:02}&ucodeSPL={microcode:02}");
            let path = material.vcek_path().replace(material.query, &query);
            bench.service.on(&path, [Reply::ok(material.vcek.clone())]);
            let error = refused(bench.kds.endorse(&report));
            assert!(matches!(error, CollateralError::Wrong { .. }), "{query}: {error:?}");
            assert_eq!(bench.service.count(&path), 1, "{query}");
        }
    }
}

#[test]
fn wrong_chains_are_neither_used_nor_kept() {
    let material = milan();
    let (ask, ark) = (crate::Der::new(material.ask.clone()).pem(), crate::Der::new(material.ark.clone()).pem());
    let stranger = crate::Der::new(vector("milan/ask-of-stranger.der")).pem();
    // The root's key with a signature that is not its own.
    let mut unsigned = material.ark.clone();
    let last = unsigned.len() - 1;
    unsigned[last] ^= 1;
    let unsigned = crate::Der::new(unsigned).pem();
    for (chain, why) in [
        ("<html>busy</html>".to_owned(), "no certificate"),
        (ask.clone(), "not 2"),
        (ask.clone() + &ark + &ark, "not 2"),
        (ask.clone() + &ask, "not one intermediate and one root"),
        (genoa().chain(&genoa().ask), "is not the ASK of Milan"),
        (material.chain(&material.asvk), "is not the ASK of Milan"),
        (stranger + &ark, "not signed by"),
        (ask.clone() + &unsigned, "ARK: not signed by"),
        (ask.clone() + &crate::Der::new(genoa().ark).pem(), "is not the ARK of Milan"),
        (crate::Der::new(vector("milan/ask-without-authority.der")).pem() + &ark, ""),
        (ask + "-----BEGIN CERTIFICATE-----\nMII", "no END line"),
    ] {
        let bench = bench(&material);
        bench.service.on(&material.chain_path("vcek"), [Reply::ok(chain)]);
        let error = refused(bench.kds.endorse(&material.report));
        let CollateralError::Wrong { why: found, .. } = &error else { panic!("{error:?}") };
        assert!(found.contains(why), "{found} / {why}");
        assert_eq!(files(&bench), Vec::<String>::new(), "{why}");
    }
    // The order does not matter.
    let bench = bench(&material);
    let turned = ark + &crate::Der::new(material.ask.clone()).pem();
    bench.service.on(&material.chain_path("vcek"), [Reply::ok(turned)]);
    assert_eq!(bench.kds.endorse(&material.report).expect("both are there").root.as_bytes(), material.ark);
}

#[test]
fn an_answer_one_byte_too_long_is_not_read_to_its_end() {
    let material = genoa();
    let padded = |length| {
        let mut chain = material.chain(&material.ask).into_bytes();
        chain.resize(length, b'\n');
        chain
    };
    let bench = bench(&material);
    bench.service.on(&material.chain_path("vcek"), [Reply::ok(padded(64 * 1024 + 1))]);
    let error = refused(bench.kds.endorse(&material.report));
    assert!(matches!(error, CollateralError::TooLong { limit: 65_536, .. }), "{error:?}");
    bench.pace.later(61);
    bench.service.on(&material.chain_path("vcek"), [Reply::ok(padded(64 * 1024))]);
    bench.kds.endorse(&material.report).expect("64 KiB are read");
}

#[test]
fn a_damaged_cache_is_fetched_again_and_mended() {
    let material = genoa();
    let bench = bench(&material);
    let first = bench.kds.endorse(&material.report).expect("fetched");
    let names = files(&bench);
    assert_eq!(names.len(), 2, "{names:?}");
    for name in &names {
        let path = bench.dir.path().join("collateral").join(name);
        let good = fs::read(&path).expect("kept");
        let mut flipped = good.clone();
        flipped[good.len() / 2] ^= 0x10;
        let other = genoa()
            .chain(&genoa().ask)
            .replace(&crate::Der::new(genoa().ark).pem(), &crate::Der::new(milan().ark).pem());
        for bad in [
            Vec::new(),
            b"garbage".to_vec(),
            other.into_bytes(),
            good[..good.len() / 2].to_vec(),
            flipped,
            vec![b' '; 70_000],
        ] {
            fs::write(&path, &bad).expect("damaged");
            let before = bench.service.asked().len();
            let restarted = kds(&bench.service.base(), bench.dir.path(), &bench.pace);
            assert_eq!(restarted.endorse(&material.report).expect("fetched again"), first, "{name}");
            assert!(bench.service.asked().len() > before, "{name}: the service was asked");
            assert_eq!(fs::read(&path).expect("kept"), good, "{name}: mended");
        }
    }
}

#[test]
fn a_new_intermediate_takes_the_place_of_the_kept_one() {
    // The kept chain is coherent but another issuer's: AMD has replaced its intermediate since.
    let material = genoa();
    let bench = bench(&material);
    bench.kds.endorse(&material.report).expect("fetched");
    let pem = |name: &str| crate::Der::new(vector(&format!("../hostile/genoa/{name}.der"))).pem();
    let older = pem("ask") + &pem("ark");
    fs::write(bench.dir.path().join("collateral/genoa.vcek.chain.pem"), older).expect("replaced");
    let restarted = kds(&bench.service.base(), bench.dir.path(), &bench.pace);
    let chain = restarted.endorse(&material.report).expect("with the newer chain");
    assert_eq!(chain.intermediate.as_bytes(), material.ask);
    let asked = [material.vcek_path(), material.chain_path("vcek")];
    assert_eq!(bench.service.asked()[3..5], asked, "the kept chain was used first");
}

#[test]
fn what_cannot_be_asked_for_is_an_error_without_a_request() {
    let material = milan();
    let bench = bench(&material);
    let masked = vector("reports/milan-v3-masked-chip-id.bin");
    assert!(matches!(refused(bench.kds.endorse(&masked)), CollateralError::MaskedChip));
    let vlek = refused(bench.kds.endorse(&material.vlek_report));
    assert!(matches!(vlek, CollateralError::VlekFromHostOnly) && vlek.fix().contains("AWS"), "{vlek:?}");
    // Version 2 does not name its product, and nobody said whose processor this is.
    let unnamed = refused(bench.kds.endorse(&vector("reports/milan-v2.bin")));
    assert!(matches!(unnamed, CollateralError::UnknownProduct), "{unnamed:?}");
    for length in [0, 1183] {
        assert!(matches!(refused(bench.kds.endorse(&material.report[..length])), CollateralError::Report(_)));
    }
    let mut unknown = material.report.clone();
    unknown[0] = 6;
    assert!(matches!(refused(bench.kds.endorse(&unknown)), CollateralError::Report(_)));
    assert_eq!(bench.service.asked(), Vec::<String>::new());
}

#[test]
fn a_version_2_report_is_served_by_the_processors_own_word() {
    let material = milan();
    let (service, dir, pace) = (service(&material), tempfile::tempdir().expect("directory"), DoublePace::at(NOW));
    let product = Some(attestation_verifier::Product::Milan);
    let kds = Kds::with(&service.base(), dir.path(), Kds::CRL_AGE, product, super::quick(), Box::new(pace));
    let chain = kds.endorse(&vector("reports/milan-v2.bin")).expect("the same chip and levels");
    assert_eq!(chain.vek.as_bytes(), material.vcek);
}

#[test]
fn the_machines_own_clock_and_chance_serve_as_well() {
    let material = genoa();
    let (service, dir) = (service(&material), tempfile::tempdir().expect("directory"));
    let kds = Kds::with(&(service.base() + "/"), dir.path(), Kds::CRL_AGE, None, super::quick(), Box::new(MachinePace));
    assert_eq!(kds.endorse(&material.report).expect("fetched").vek.as_bytes(), material.vcek);
    assert_eq!(service.asked().first(), Some(&material.chain_path("vcek")), "no double slash");
    let head = service.head();
    assert!(head.iter().all(|line| !line.to_ascii_lowercase().starts_with("accept-encoding: gzip")), "{head:?}");
}

#[test]
fn an_https_address_is_not_answered_in_the_clear() {
    // The double speaks plain HTTP: what it says to a TLS greeting is no answer, and nothing panics for want of a
    // provider or of roots.
    let material = genoa();
    let (service, dir, pace) = (service(&material), tempfile::tempdir().expect("directory"), DoublePace::at(NOW));
    let base = service.base().replace("http://", "https://");
    let error = refused(kds(&base, dir.path(), &pace).endorse(&material.report));
    assert!(matches!(error, CollateralError::Silent { .. }), "{error:?}");
}

#[test]
fn the_environments_proxies_are_not_asked() {
    // The same program once more, one test of it, with proxies named at which nobody listens.
    let nobody = Service::start().base();
    let mut again = std::process::Command::new(std::env::current_exe().expect("this program"));
    again.args(["--exact", "collateral::tests::kds::each_product_is_asked_for_by_its_own_path"]);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        again.env(name, &nobody).env(name.to_ascii_lowercase(), &nobody);
    }
    let output = again.env_remove("NO_PROXY").env_remove("no_proxy").output().expect("run");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
