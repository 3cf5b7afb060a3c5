//! Release manifests: no panic; what reads is written and read alike, in one spelling; each named key and nobody else must
//! have signed, even where every signature is counted as good; and a key that signed nothing makes nothing count.
#![no_main]

use attestation_verifier::{Release, Ring, Unverified};
use evidence::{
    Ed25519Public, canon,
    json::{Limits, parse},
    release::{ReleaseManifest, ReleaseSignature, SignedRelease},
};
use libfuzzer_sys::fuzz_target;
use sealgate_fuzz::CountAsGood;

/// The key of the first test of RFC 8032 section 7.1, which no seed is signed by.
const UNUSED: [u8; 32] = [
    0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1, 0x72,
    0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
];

fuzz_target!(|bytes: &[u8]| {
    if let Ok(file) = SignedRelease::from_bytes(bytes) {
        let Ok(written) = file.to_bytes() else { panic!("a file was read that cannot be written") };
        assert_eq!(SignedRelease::from_bytes(&written).as_ref(), Ok(&file));
        judge(file);
    }
    // What is inside is base64 there, which hides it from the fuzzer.
    manifest(bytes);
    if let Ok(value) = parse(bytes, &Limits::OURS) {
        manifest(canon(&value).as_bytes());
    }
});

fn manifest(bytes: &[u8]) {
    let Ok(manifest) = ReleaseManifest::from_bytes(bytes) else { return };
    assert_eq!(manifest.to_bytes().as_deref(), Ok(bytes), "one manifest, two spellings");
    let signed = |key: &Ed25519Public| ReleaseSignature { key: *key, value: [0; 64] };
    let signatures: Vec<_> = manifest.release_keys.iter().map(signed).collect();
    for missing in 0..signatures.len() {
        let mut left = signatures.clone();
        left.remove(missing);
        let draft = SignedRelease { bytes: bytes.to_vec(), signatures: left };
        assert!(
            Unverified(draft).verify(&manifest.release_keys, &CountAsGood::Every).is_err(),
            "a signature was not missed"
        );
    }
    let whole = SignedRelease { bytes: bytes.to_vec(), signatures };
    let Ok(verified) = Unverified(whole.clone()).verify(&manifest.release_keys, &CountAsGood::Every) else {
        panic!("every listed key has signed, and it does not count");
    };
    let release = Release::of(&verified);
    assert_eq!(release.registers.len(), manifest.registers.len());
    assert_eq!(Some(&release.code_hash), manifest.code_hash());
    if let Some((_, fewer)) = manifest.release_keys.split_first() {
        assert!(
            Unverified(whole.clone()).verify(fewer, &CountAsGood::Every).is_err(),
            "a key counted that nobody named"
        );
    }
    judge(whole);
}

fn judge(file: SignedRelease) {
    let Some(unused) = Ed25519Public::new(UNUSED) else { panic!("a key of RFC 8032") };
    assert!(Unverified(file).verify(&[unused], &Ring).is_err(), "accepted by a key that has signed nothing");
}
