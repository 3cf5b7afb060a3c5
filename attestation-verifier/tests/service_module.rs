//! `attestation-verifier report --services-manifest`: a report that an SVSM asked for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test"
)]

#[path = "common/boot.rs"]
mod boot;
mod common;

use common::{Run, Said};
use software_psp::{QuoteKey, manifest_report_data, services_manifest};
use tempfile::TempDir;

const NONCE: [u8; 64] = [0x9E; 64];

struct Machine {
    dir: TempDir,
    manifest: Vec<u8>,
}

impl Machine {
    fn new() -> Self {
        let manifest = services_manifest(&QuoteKey::p256(&mut rsa::rand_core::OsRng));
        Self { dir: tempfile::tempdir().unwrap(), manifest }
    }

    /// The report covers the manifest of the machine; this one is shown beside it, with this nonce.
    fn judge(&self, shown: &[u8], nonce: &[u8; 64]) -> Said {
        let chip = boot::chip();
        let report = chip.report(&chip.request(3, manifest_report_data(&NONCE, &self.manifest)));
        let file = |name: &str, bytes: &[u8]| {
            let path = self.dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let manifest = file("manifest", shown);
        let run = Run::of(file("report", &report)).vek(file("vek", chip.vcek())).intermediate(file("ask", chip.ask()));
        let run = Run { trust_root: Some(file("ark", chip.ark())), ..run.at(boot::AT) };
        let nonce = hex::encode(nonce);
        run.with(&["--services-manifest", manifest.to_str().unwrap(), "--services-nonce", &nonce]).judge()
    }
}

#[test]
fn a_manifest_that_the_report_covers_names_the_endorsement_key_and_no_more() {
    let machine = Machine::new();
    let said = machine.judge(&machine.manifest, &NONCE);
    assert_eq!((said.word(), said.exit), ("accepted (test root)", 0), "{:?}", said.failures());
    assert_eq!((said.outcome("services-manifest"), said.outcome("vtpm")), ("pass", "not_checked"));
    assert!(!said.leaves_open("no-nonce") && said.leaves_open("code-unknown"));
}

#[test]
fn another_nonce_another_manifest_and_none_are_refused() {
    let machine = Machine::new();
    let said = machine.judge(&machine.manifest, &[0; 64]);
    assert_eq!((said.exit, said.outcome("report-data"), said.outcome("services-manifest")), (6, "fail", "not_checked"));
    let said = machine.judge(&Machine::new().manifest, &NONCE);
    assert_eq!((said.exit, said.outcome("report-data"), said.outcome("vtpm")), (6, "fail", "not_checked"));
    let said = machine.judge(&machine.manifest[..machine.manifest.len() - 1], &NONCE);
    assert_eq!((said.exit, said.outcome("services-manifest")), (2, "fail"));
}
