//! Revocation lists: fresh where they can be had, kept while they are in force, never a reason to fail.

use std::{
    fs,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tempfile::TempDir;

use super::{
    DoublePace, Material, NOW, genoa, kds, milan,
    service::{Reply, Service},
    vector,
};
use crate::{Collateral, Der, Kds};

const DAY: u64 = 24 * 3600;
/// 2027-01-01T00:00:00Z, nextUpdate of the vectors' lists.
const NEXT_UPDATE: u64 = 1_798_761_600;

struct Bench {
    service: Service,
    dir: TempDir,
    pace: DoublePace,
    material: Material,
}

fn bench(material: Material, list: Reply) -> Bench {
    let service = Service::start();
    service.on(&material.vcek_path(), [Reply::ok(material.vcek.clone())]);
    service.on(&material.chain_path("vcek"), [Reply::ok(material.chain(&material.ask))]);
    service.on(&material.crl_path("vcek"), [list]);
    Bench { service, dir: tempfile::tempdir().expect("directory"), pace: DoublePace::at(NOW), material }
}

impl Bench {
    fn kds(&self) -> Kds {
        kds(&self.service.base(), self.dir.path(), &self.pace)
    }

    fn lists(&self, kds: &Kds) -> Vec<Vec<u8>> {
        let chain = kds.endorse(&self.material.report).expect("a list is no condition");
        chain.crls.iter().map(|list| Der::as_bytes(list).to_vec()).collect()
    }

    fn count(&self) -> usize {
        self.service.count(&self.material.crl_path("vcek"))
    }

    fn path(&self) -> std::path::PathBuf {
        self.dir.path().join(format!("collateral/{}.vcek.crl", self.material.name))
    }

    /// The kept file's age counts from when it was written, which the double's clock did not see.
    fn written_at(&self, at: u64) {
        let file = fs::OpenOptions::new().write(true).open(self.path()).expect("kept");
        file.set_modified(UNIX_EPOCH + Duration::from_secs(at)).expect("set");
    }

    /// Waits until the service has been asked that often.
    fn until_asked(&self, times: usize) {
        let started = Instant::now();
        while self.count() < times {
            assert!(started.elapsed() < Duration::from_secs(10), "asked {} times, not {times}", self.count());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn eventually(condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(10), "never");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_list_comes_with_the_first_evidence_and_stays_a_day() {
    let bench = bench(genoa(), Reply::ok(vector("genoa/empty.crl")));
    let kds = bench.kds();
    for _ in 0..3 {
        assert_eq!(bench.lists(&kds), [vector("genoa/empty.crl")]);
    }
    bench.pace.later(DAY - 1);
    bench.lists(&kds);
    assert_eq!(bench.count(), 1);
    bench.pace.later(1);
    // A newer one is fetched beside the call that finds it old.
    bench.service.on(&bench.material.crl_path("vcek"), [Reply::ok(vector("genoa/revokes-other.crl"))]);
    assert_eq!(bench.lists(&kds), [vector("genoa/empty.crl")]);
    eventually(|| bench.lists(&kds) == [vector("genoa/revokes-other.crl")]);
    assert_eq!(bench.count(), 2);
}

#[test]
fn a_kept_list_is_served_while_the_service_is_down() {
    let bench = bench(genoa(), Reply::ok(vector("genoa/empty.crl")));
    bench.lists(&bench.kds());
    bench.written_at(NOW);
    bench.service.on(&bench.material.crl_path("vcek"), [Reply::status(503)]);
    // A restart two days later.
    bench.pace.later(2 * DAY);
    let kds = bench.kds();
    for _ in 0..5 {
        assert_eq!(bench.lists(&kds), [vector("genoa/empty.crl")]);
    }
    bench.until_asked(2);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!((bench.count(), bench.pace.waits()), (2, vec![]), "one attempt, then the service is left alone");
    bench.pace.later(599);
    bench.lists(&kds);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(bench.count(), 2, "for ten minutes");
    bench.pace.later(1);
    bench.lists(&kds);
    bench.until_asked(3);
}

#[test]
fn a_list_past_its_time_is_not_served() {
    let bench = bench(genoa(), Reply::ok(vector("genoa/empty.crl")));
    bench.lists(&bench.kds());
    bench.service.on(&bench.material.crl_path("vcek"), [Reply::status(503)]);
    bench.pace.later(NEXT_UPDATE - NOW);
    bench.written_at(NEXT_UPDATE);
    let running = bench.kds();
    assert_eq!(bench.lists(&running).len(), 1, "nextUpdate itself is in force");
    bench.pace.later(1);
    assert_eq!(bench.lists(&running), Vec::<Vec<u8>>::new(), "nor from memory");
    let kds = bench.kds();
    assert_eq!(bench.lists(&kds), Vec::<Vec<u8>>::new());
    // The service has only the old one too.
    bench.service.on(&bench.material.crl_path("vcek"), [Reply::ok(vector("genoa/empty.crl"))]);
    bench.pace.later(700);
    assert_eq!(bench.lists(&bench.kds()), Vec::<Vec<u8>>::new());
}

#[test]
fn a_service_without_lists_costs_one_attempt_and_no_evidence() {
    for reply in [Reply::status(404), Reply::status(429).header("Retry-After", "5"), Reply::status(500)] {
        let bench = bench(genoa(), reply);
        let kds = bench.kds();
        for _ in 0..5 {
            assert_eq!(bench.lists(&kds), Vec::<Vec<u8>>::new());
        }
        assert_eq!((bench.count(), bench.pace.waits()), (1, vec![]));
    }
}

#[test]
fn wrong_lists_are_neither_served_nor_kept() {
    let good = vector("milan/empty.crl");
    let mut flipped = good.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    for (list, why) in [
        (b"<html>busy</html>".to_vec(), "HTML"),
        (good[..good.len() - 1].to_vec(), "truncated"),
        (flipped, "a flipped bit"),
        (vector("genoa/empty.crl"), "another product's"),
        (milan().ask, "a certificate"),
        (vec![0x30; 64 * 1024 + 1], "too long"),
    ] {
        let bench = bench(milan(), Reply::ok(list));
        assert_eq!(bench.lists(&bench.kds()), Vec::<Vec<u8>>::new(), "{why}");
        assert!(!bench.path().exists(), "{why}");
    }
    let early = bench(milan(), Reply::ok(good));
    early.pace.now.store(1_767_225_599, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(early.lists(&early.kds()), Vec::<Vec<u8>>::new(), "a second before thisUpdate");
}

#[test]
fn a_list_that_revokes_is_carried_like_any_other() {
    let bench = bench(genoa(), Reply::ok(vector("genoa/revokes-ask.crl")));
    assert_eq!(bench.lists(&bench.kds()), [vector("genoa/revokes-ask.crl")]);
}

#[test]
fn a_damaged_kept_list_is_fetched_again() {
    let bench = bench(genoa(), Reply::ok(vector("genoa/empty.crl")));
    bench.lists(&bench.kds());
    fs::write(bench.path(), "damaged").expect("written");
    assert_eq!(bench.lists(&bench.kds()), [vector("genoa/empty.crl")]);
    assert_eq!((bench.count(), fs::read(bench.path()).expect("mended")), (2, vector("genoa/empty.crl")));
}

#[test]
fn a_file_from_the_future_is_not_young() {
    let bench = bench(genoa(), Reply::ok(vector("genoa/empty.crl")));
    bench.lists(&bench.kds());
    let ahead = SystemTime::now().duration_since(UNIX_EPOCH).expect("now").as_secs() + 50 * DAY;
    bench.written_at(ahead);
    assert_eq!(bench.lists(&bench.kds()), [vector("genoa/empty.crl")]);
    bench.until_asked(2);
}
