//! Signatures of release keys over envelopes (DSSE), made and looked at.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use evidence::dsse::{Envelope, EnvelopeSignature, key_id};

/// Adds the key's signature, in place of an earlier one by it.
pub(super) fn sign(envelope: &mut Envelope, key: &SigningKey) {
    let key_id = key_id(key.verifying_key().as_bytes());
    let bytes = key.sign(&envelope.message()).to_bytes().to_vec();
    envelope.signatures.retain(|signature| signature.key_id != key_id);
    envelope.signatures.push(EnvelopeSignature { key_id, bytes });
}

/// Ids of those of the keys that signed it.
pub(super) fn signed_by(envelope: &Envelope, keys: &[VerifyingKey]) -> Vec<String> {
    let message = envelope.message();
    let signed = |key: &&VerifyingKey| {
        let mut signatures = envelope.signatures.iter().filter_map(|listed| Signature::from_slice(&listed.bytes).ok());
        signatures.any(|signature| key.verify_strict(&message, &signature).is_ok())
    };
    keys.iter().filter(signed).map(|key| key_id(key.as_bytes())).collect()
}
