//! What the tests of this folder share.

use evidence::core::{Core, Platform};

/// A core of that platform and boot, which claims nothing.
pub(crate) fn core_of(platform: Platform, boot: &'static str) -> Core {
    Core {
        instance: [0; 32],
        lineage: [0; 32],
        platform,
        boot,
        vtpm: evidence::core::Vtpm { kind: "none", ak_name: None, ak_spki: None, ek_name: None },
        claims: evidence::core::Claims::default(),
        proof_key: evidence::Ed25519Public::new([3; 32]).unwrap(),
        peer_key: [0; 32],
        hmac_anchor: [0; 32],
        hmac_length: evidence::hmac_chain::LENGTH,
        release_keys: vec![],
        recovery: evidence::core::Recovery { kind: "none", keys: vec![] },
        sealing_pcrs: vec![],
        sealing_floor: 0,
    }
}
