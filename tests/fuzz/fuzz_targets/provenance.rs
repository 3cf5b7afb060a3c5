//! DSSE envelopes and the in-toto statements in them: no panic; what reads is written and read alike; nothing counts but what
//! every named key signed, byte for byte and as that type of payload; no program is taken that the statement does not name.
#![no_main]

use attestation_verifier::{BadSignature, Crypto, Program, ProvenanceQuestion, Ring, Unverified, appraise_provenance};
use evidence::{
    Ed25519Public,
    dsse::{Envelope, EnvelopeSignature, MAX_BYTES, MAX_SIGNATURES},
    provenance::{MAX_SUBJECTS, PAYLOAD_TYPE, Statement},
};
use libfuzzer_sys::fuzz_target;
use sealgate_fuzz::CountAsGood;

/// The keys of the first two tests of RFC 8032 section 7.1, which no seed is signed by.
const KEYS: [[u8; 32]; 2] = [
    [
        0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1,
        0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
    ],
    [
        0x3d, 0x40, 0x17, 0xc3, 0xe8, 0x43, 0x89, 0x5a, 0x92, 0xb7, 0x0a, 0xa7, 0x4d, 0x1b, 0x7e, 0xbc, 0x9c, 0x98,
        0x2c, 0xcf, 0x2e, 0xc4, 0x96, 0x8c, 0xc0, 0xcd, 0x55, 0xf1, 0x2a, 0xf4, 0x66, 0x0c,
    ],
];

/// Signatures that were made: this key over this message, with the key itself twice as the signature.
struct Recorded<'a> {
    message: &'a [u8],
    keys: &'a [Ed25519Public],
}

impl Recorded<'_> {
    fn signature(key: &Ed25519Public) -> EnvelopeSignature {
        // The id is a hint, and lies.
        EnvelopeSignature { key_id: "another".to_owned(), bytes: [*key.as_bytes(), *key.as_bytes()].concat() }
    }
}

impl Crypto for Recorded<'_> {
    fn rsa_pss_sha384(&self, _: &[u8], _: &[u8], _: &[u8]) -> Result<(), BadSignature> {
        Err(BadSignature)
    }

    fn rsa_pss_sha256(&self, _: &[u8], _: &[u8], _: &[u8]) -> Result<(), BadSignature> {
        Err(BadSignature)
    }

    fn rsa_pkcs1_sha256(&self, _: &[u8], _: &[u8], _: &[u8]) -> Result<(), BadSignature> {
        Err(BadSignature)
    }

    fn ecdsa_p384_sha384(&self, _: &[u8], _: &[u8], _: &[u8; 96]) -> Result<(), BadSignature> {
        Err(BadSignature)
    }

    fn ecdsa_p256_sha256(&self, _: &[u8], _: &[u8], _: &[u8; 64]) -> Result<(), BadSignature> {
        Err(BadSignature)
    }

    fn ed25519(&self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
        let made = self.keys.iter().any(|by| by.as_bytes() == key) && signature[..] == [*key, *key].concat();
        if made && message == self.message { Ok(()) } else { Err(BadSignature) }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let keys = KEYS.map(Ed25519Public::new);
    let [Some(one), Some(two)] = keys else { panic!("keys of RFC 8032") };
    if let Ok(envelope) = Envelope::from_bytes(bytes, PAYLOAD_TYPE) {
        assert!(envelope.signatures.len() <= MAX_SIGNATURES && envelope.payload_type == PAYLOAD_TYPE);
        let written = envelope.to_value().to_text();
        // An id that is not there is written as an empty one.
        if written.len() <= MAX_BYTES {
            assert_eq!(Envelope::from_bytes(written.as_bytes(), PAYLOAD_TYPE).as_ref(), Ok(&envelope));
        }
        statement(&envelope.payload);
        assert!(Unverified(envelope).verify(&[one], &Ring).is_err(), "accepted by a key that has signed nothing");
    }
    appraised(bytes, &[one, two]);
    // What is inside is base64 there, which hides it from the fuzzer.
    statement(bytes);
    signed(bytes, &[one, two]);
});

fn statement(payload: &[u8]) {
    let Ok(read) = Statement::from_payload(payload) else { return };
    let written = read.to_value().to_text();
    assert_eq!(Statement::from_payload(written.as_bytes()).as_ref(), Ok(&read));
    assert!((1..=MAX_SUBJECTS).contains(&read.subjects.len()));
    for (at, subject) in read.subjects.iter().enumerate() {
        assert!(subject.sha256.is_some() && subject.name.bytes().all(|byte| byte.is_ascii_graphic()));
        let before = read.subjects.iter().take(at);
        assert!(before.clone().all(|other| other.name != subject.name), "one name, two digests");
        assert_eq!(read.subject(&subject.name), subject.sha256.as_ref());
    }
    assert!(read.git_commit.is_some() && read.source_sha256.is_some());
}

/// A payload counts if it was signed by every key and is a statement, and not with one thing changed.
fn signed(payload: &[u8], keys: &[Ed25519Public; 2]) {
    let whole = Envelope {
        payload_type: PAYLOAD_TYPE.to_owned(),
        payload: payload.to_vec(),
        signatures: keys.iter().map(Recorded::signature).collect(),
    };
    let message = whole.message();
    let verify = |envelope: Envelope, recorded: &[Ed25519Public]| {
        Unverified(envelope).verify(keys, &Recorded { message: &message, keys: recorded }).is_ok()
    };
    assert_eq!(verify(whole.clone(), keys), Statement::from_payload(payload).is_ok());
    assert!(!verify(whole.clone(), &keys[..1]), "a signature was not missed");
    let [first, ..] = whole.signatures.as_slice() else { panic!("two signatures") };
    let twice = Envelope { signatures: vec![first.clone(), first.clone()], ..whole.clone() };
    assert!(!verify(twice, keys), "one person was two");
    let longer = Envelope { payload: [payload, b" "].concat(), ..whole.clone() };
    assert!(!verify(longer, keys), "a byte more was signed by nobody");
    // A space moved from the one into the other is the same text, but for the lengths.
    let other = Envelope { payload_type: format!("{PAYLOAD_TYPE} "), ..whole };
    assert!(!verify(other, keys), "another type was signed by nobody");
}

/// Whatever holds names the program that was asked for.
fn appraised(bytes: &[u8], keys: &[Ed25519Public]) {
    let program = Program { name: "enclave".to_owned(), sha256: [1; 32] };
    let question =
        ProvenanceQuestion { envelope: bytes, keys, programs: &[program], commit: Some(&[2; 20]), sbom: None };
    let finding = appraise_provenance(question, &CountAsGood::Every);
    let _ = finding.to_json();
    if finding.reason().is_none() {
        let Ok(envelope) = Envelope::from_bytes(bytes, PAYLOAD_TYPE) else { panic!("no envelope holds") };
        let Ok(read) = Statement::from_payload(&envelope.payload) else { panic!("no statement holds") };
        assert_eq!((read.subject("enclave"), read.git_commit), (Some(&[1; 32]), Some([2; 20])));
    }
}
