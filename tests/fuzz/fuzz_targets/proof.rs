//! Proofs, and the requests and answers beside them: no panic, a proof that reads is written and read alike, and only the
//! recorded proof is accepted. The input is the proof; after a zero byte the request, after another the answer.
#![no_main]

use std::sync::OnceLock;

use attestation_verifier::{
    BadSignature, BundleQuestion, Crypto, Policy, ProofQuestion, Ring, TrustAnchor, appraise_proof, clock,
    one_certificate,
};
use evidence::{json, proof::Envelope};
use libfuzzer_sys::fuzz_target;

const BUNDLE: &[u8] = include_bytes!("../../vectors/demo/bundle.json");
const PROOF: &[u8] = include_bytes!("../../vectors/demo/proof.json");
const ROOT: &[u8] = include_bytes!("../../vectors/demo/test-root.pem");
const RECORDED: &str = include_str!("../../vectors/demo/recorded-at");

/// The recorded chain and report are not what is fuzzed here, and their signatures take a thousand times as long as the
/// rest: they count as good. The proof's own signature does not.
struct Quick;

impl Crypto for Quick {
    fn rsa_pss_sha384(&self, _: &[u8], _: &[u8], _: &[u8]) -> Result<(), BadSignature> {
        Ok(())
    }

    fn rsa_pkcs1_sha256(&self, _: &[u8], _: &[u8], _: &[u8]) -> Result<(), BadSignature> {
        Ok(())
    }

    fn ecdsa_p384_sha384(&self, _: &[u8], _: &[u8], _: &[u8; 96]) -> Result<(), BadSignature> {
        Ok(())
    }

    fn ed25519(&self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
        Ring.ed25519(key, message, signature)
    }
}

fuzz_target!(|bytes: &[u8]| {
    static ROOT_DER: OnceLock<Vec<u8>> = OnceLock::new();
    let root = ROOT_DER.get_or_init(|| one_certificate(ROOT).unwrap_or_default());
    let (Ok(anchor), Some(at)) = (TrustAnchor::named(root), clock::parse(RECORDED.trim())) else {
        panic!("the recorded root or time does not read");
    };
    let mut parts = bytes.splitn(3, |byte| *byte == 0);
    let envelope = parts.next().unwrap_or_default();
    let question = ProofQuestion {
        envelope,
        bundle: BundleQuestion { bundle: BUNDLE, anchor: &anchor, nonce: None, crls: &[] },
        request: parts.next(),
        response: parts.next(),
        challenge: None,
        payment: None,
        tag_key: None,
    };
    let verdict = appraise_proof(question, &Policy::strict(), at, &Quick);
    let _ = verdict.to_json();
    let read = Envelope::from_bytes(envelope);
    if let Ok(envelope) = &read {
        assert_eq!(Envelope::from_bytes(envelope.to_value().to_text().as_bytes()).as_ref(), Ok(envelope));
    }
    if verdict.exit_code() == 0 {
        let body = |envelope: Envelope| envelope.proof.body;
        assert_eq!(read.ok().map(body), Envelope::from_bytes(PROOF).ok().map(body), "accepted another proof");
        // What passes as the request is JSON, and with it the answer.
        for part in bytes.splitn(3, |byte| *byte == 0).skip(1) {
            assert!(json::parse(part, &json::Limits::THEIRS).is_ok());
        }
    }
});
