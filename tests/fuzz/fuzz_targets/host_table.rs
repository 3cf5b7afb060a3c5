//! The certificate table that a host hands its guest: no panic.
#![no_main]

use attestation_verifier::{Collateral, HostTable};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = HostTable::recognises(bytes);
    let _ = HostTable::parse(bytes);
    let mut collateral = Collateral::default();
    let _ = (collateral.take_vek(bytes), collateral.take_crl(bytes));
});
