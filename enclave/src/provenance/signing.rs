//! Signatures of release keys over envelopes (DSSE), made and looked at.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use evidence::dsse::{Envelope, EnvelopeSignature, key_id};

/// Adds the key's signature, in place of an earlier one by it. Whose a signature is, is found by checking it: under this
/// key's id there may stand somebody else's.
pub(super) fn sign(envelope: &mut Envelope, key: &SigningKey) {
    let message = envelope.message();
    let public = key.verifying_key();
    envelope.signatures.retain(|signature| !is_by(&public, &message, signature));
    let bytes = key.sign(&message).to_bytes().to_vec();
    envelope.signatures.push(EnvelopeSignature { key_id: key_id(public.as_bytes()), bytes });
}

/// Drops what none of these keys signed.
pub(super) fn keep(envelope: &mut Envelope, keys: &[VerifyingKey]) {
    let message = envelope.message();
    envelope.signatures.retain(|signature| keys.iter().any(|key| is_by(key, &message, signature)));
}

/// Ids of those of the keys that signed it.
pub(super) fn signed_by(envelope: &Envelope, keys: &[VerifyingKey]) -> Vec<String> {
    let message = envelope.message();
    let signed = |key: &&VerifyingKey| envelope.signatures.iter().any(|listed| is_by(key, &message, listed));
    keys.iter().filter(signed).map(|key| key_id(key.as_bytes())).collect()
}

fn is_by(key: &VerifyingKey, message: &[u8], signature: &EnvelopeSignature) -> bool {
    Signature::from_slice(&signature.bytes).is_ok_and(|signature| key.verify_strict(message, &signature).is_ok())
}
