//! Azure's HCL blobs: no panic, and the claims shown are those whose hash the report carries.
#![no_main]

use attestation_verifier::Hcl;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(hcl) = Hcl::parse(bytes) else { return };
    let Some(data) = hcl.report().signed_bytes().get(0x50..0x90).and_then(|data| data.first_chunk::<64>()) else {
        return;
    };
    if let Some(claims) = hcl.claims(data) {
        assert!(bytes.windows(claims.len().max(1)).any(|window| window == claims) || claims.is_empty());
    }
    assert!(hcl.claims(&[0; 64]).is_none(), "nothing hashes to zeros");
});
