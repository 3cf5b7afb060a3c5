//! The services as doubles on loopback, answering with what the software processor made for three products.

mod crls;
mod imds;
mod kds;
pub(crate) mod service;
mod tls;

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use evidence::UnixSeconds;

use super::{
    Kds,
    pace::Pace,
    web::{Patience, Web},
};
use crate::Der;

/// 2026-06-01T00:00:00Z, when all vectors are valid.
pub(crate) const NOW: u64 = 1_780_272_000;

/// What the software processor made for one product (tests/vectors/psp).
pub(crate) struct Material {
    pub(crate) name: &'static str,
    pub(crate) report: Vec<u8>,
    pub(crate) vlek_report: Vec<u8>,
    pub(crate) vcek: Vec<u8>,
    pub(crate) vlek: Vec<u8>,
    pub(crate) ask: Vec<u8>,
    pub(crate) asvk: Vec<u8>,
    pub(crate) ark: Vec<u8>,
    /// Levels as AMD's service wants them, written out by hand.
    pub(crate) query: &'static str,
}

/// A file of the vectors.
pub(crate) fn vector(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/psp").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn material(name: &'static str, report: &str, query: &'static str) -> Material {
    let file = |file: &str| vector(&format!("{name}/{file}.der"));
    Material {
        name,
        report: vector(&format!("reports/{report}.bin")),
        vlek_report: vector(&format!("reports/{report}-vlek.bin")),
        vcek: file("vcek"),
        vlek: file("vlek"),
        ask: file("ask"),
        asvk: file("asvk"),
        ark: file("ark"),
        query,
    }
}

pub(crate) fn milan() -> Material {
    material("milan", "milan-v3", "blSPL=04&teeSPL=00&snpSPL=24&ucodeSPL=219")
}

pub(crate) fn genoa() -> Material {
    material("genoa", "genoa-v5", "blSPL=10&teeSPL=00&snpSPL=25&ucodeSPL=84")
}

pub(crate) fn turin() -> Material {
    material("turin", "turin-v5", "fmcSPL=01&blSPL=01&teeSPL=01&snpSPL=04&ucodeSPL=81")
}

impl Material {
    /// `Milan`
    fn product(&self) -> String {
        let (first, rest) = self.name.split_at(1);
        first.to_ascii_uppercase() + rest
    }

    /// CHIP_ID as the service wants it: 64 bytes, of Turin 8.
    fn hwid(&self) -> String {
        let length = if self.name == "turin" { 8 } else { 64 };
        hex::encode(&self.report[0x1A0..0x1A0 + length])
    }

    pub(crate) fn vcek_path(&self) -> String {
        format!("/vcek/v1/{}/{}?{}", self.product(), self.hwid(), self.query)
    }

    pub(crate) fn chain_path(&self, kind: &str) -> String {
        format!("/{kind}/v1/{}/cert_chain", self.product())
    }

    pub(crate) fn crl_path(&self, kind: &str) -> String {
        format!("/{kind}/v1/{}/crl", self.product())
    }

    /// Intermediate and root, in the order and form of AMD's service.
    pub(crate) fn chain(&self, intermediate: &[u8]) -> String {
        Der::new(intermediate.to_vec()).pem() + &Der::new(self.ark.clone()).pem()
    }
}

/// A clock that stands still except for the waits.
#[derive(Clone, Default)]
pub(crate) struct DoublePace {
    pub(crate) now: Arc<AtomicU64>,
    pub(crate) waits: Arc<Mutex<Vec<u64>>>,
}

impl DoublePace {
    pub(crate) fn at(now: u64) -> Self {
        Self { now: Arc::new(AtomicU64::new(now)), waits: Arc::default() }
    }

    pub(crate) fn later(&self, seconds: u64) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn waits(&self) -> Vec<u64> {
        self.waits.lock().expect("lock").clone()
    }
}

impl Pace for DoublePace {
    fn now(&self) -> UnixSeconds {
        UnixSeconds(self.now.load(Ordering::SeqCst))
    }

    fn wait(&self, time: Duration) {
        self.later(time.as_secs());
        self.waits.lock().expect("lock").push(time.as_secs());
    }

    fn chance(&self) -> u32 {
        0
    }
}

/// Patience for tests: the double is on loopback.
pub(crate) fn quick() -> Web {
    Web::new(Patience { connect: Duration::from_secs(2), total: Duration::from_secs(2) })
}

pub(crate) fn kds(base: &str, state_dir: &Path, pace: &DoublePace) -> Kds {
    Kds::with(base, state_dir, Kds::CRL_AGE, None, quick(), Box::new(pace.clone()))
}
