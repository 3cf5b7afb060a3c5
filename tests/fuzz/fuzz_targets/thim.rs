//! What Azure's metadata service answers: no panic, and an answer that reads gives certificates and no root.
#![no_main]

use attestation_verifier::{Certificate, Collateral, Thim};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Thim::recognises(bytes);
    let Ok(thim) = Thim::parse(bytes) else { return };
    let Ok(vek) = Certificate::parse(&thim.vek) else { panic!("not a certificate") };
    let intermediate = thim.intermediate.as_deref().map(Certificate::parse);
    assert!(!vek.subject().starts_with("ARK-"), "a root as endorsement key");
    assert!(!intermediate.is_some_and(|read| read.is_ok_and(|read| read.subject().starts_with("ARK-"))));
    let mut collateral = Collateral::default();
    let _ = collateral.take_vek(bytes);
});
