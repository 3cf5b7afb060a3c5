//! Evidence bundles: no panic, a bundle that reads is written and read alike, and under AMD's roots nothing is accepted:
//! no seed is of AMD's.
#![no_main]

use attestation_verifier::{BundleQuestion, Policy, Ring, TrustAnchor, appraise_bundle, clock};
use evidence::bundle::Bundle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(bundle) = Bundle::from_bytes(bytes) {
        let Ok(written) = bundle.to_bytes() else { panic!("a bundle was read that cannot be written") };
        assert_eq!(Bundle::from_bytes(&written).as_ref(), Ok(&bundle));
    }
    let Some(at) = clock::parse("2026-03-01T00:00:00Z") else { return };
    let question = BundleQuestion { bundle: bytes, anchor: &TrustAnchor::Amd, nonce: None, crls: &[] };
    let verdict = appraise_bundle(question, &Policy::strict(), at, &Ring).verdict;
    let _ = verdict.to_json();
    assert_ne!(verdict.exit_code(), 0);
});
