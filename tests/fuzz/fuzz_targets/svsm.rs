//! The services manifest of an SVSM, and the runtime claims of Azure's paravisor: no panic; a manifest that reads gives one
//! vTPM at most, and its bytes are those that are hashed.
#![no_main]

use attestation_verifier::{RuntimeClaims, SvsmManifest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match SvsmManifest::parse(bytes) {
        Ok(manifest) => {
            let _ = manifest.endorsement_key().map(|area| area.attests());
            assert_ne!(manifest.report_data(&[0; 64]), manifest.report_data(&[1; 64]));
        }
        Err(error) => assert!(!error.to_string().is_empty() && !error.fix().is_empty()),
    }
    match RuntimeClaims::parse(bytes) {
        Ok(claims) => {
            let _ = (claims.ak().to_string(), claims.ek().map(ToString::to_string), claims.complete().is_ok());
            let _ = (claims.user_data(), claims.vm_configuration());
        }
        Err(error) => assert!(!error.to_string().is_empty() && !error.fix().is_empty()),
    }
});
