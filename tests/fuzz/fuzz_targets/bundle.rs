//! Evidence bundles: no panic, also where every signature holds; a bundle that reads is written and read alike; and nothing
//! is plainly accepted.
#![no_main]

use std::sync::OnceLock;

use attestation_verifier::{BundleQuestion, Policy, Releases, TrustAnchor, appraise_bundle, clock, one_certificate};
use evidence::bundle::Bundle;
use libfuzzer_sys::fuzz_target;
use sealgate_fuzz::CountAsGood;

const ROOT: &[u8] = include_bytes!("../../vectors/demo/test-root.pem");

fuzz_target!(|bytes: &[u8]| {
    if let Ok(bundle) = Bundle::from_bytes(bytes) {
        let Ok(written) = bundle.to_bytes() else { panic!("a bundle was read that cannot be written") };
        assert_eq!(Bundle::from_bytes(&written).as_ref(), Ok(&bundle));
    }
    static ROOT_DER: OnceLock<Vec<u8>> = OnceLock::new();
    let root = ROOT_DER.get_or_init(|| one_certificate(ROOT).unwrap_or_default());
    let (Ok(anchor), Some(at)) = (TrustAnchor::named(root), clock::parse("2026-12-01T00:00:00Z")) else {
        panic!("the recorded root does not read");
    };
    for anchor in [&anchor, &TrustAnchor::Amd] {
        let question = BundleQuestion { bundle: bytes, anchor, nonce: None, crls: &[], releases: Releases::default() };
        let verdict = appraise_bundle(question, &Policy::strict(), at, &CountAsGood::Every).verdict;
        let _ = verdict.to_json();
        // No core is looked up anywhere, so the claim about the code stays open whatever else holds.
        assert_ne!(verdict.word(), "accepted");
    }
});
