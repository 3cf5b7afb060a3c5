//! DSSE v1 (secure-systems-lab/dsse, envelope.md and protocol.md) with Ed25519.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use evidence::{
    json::{self, JsonError, Limits, Value, object},
    profile::{Members, ShapeError, from_base64, to_base64},
};
use sha2::{Digest as _, Sha256};

/// `payloadType` of in-toto statements.
pub(super) const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// Longest envelope, bytes.
pub(super) const MAX_BYTES: usize = 256 << 10;
/// Most signatures looked at.
const MAX_SIGNATURES: usize = 16;
/// What is read of an envelope and of the statement in it.
pub(super) const LIMITS: Limits = Limits { bytes: MAX_BYTES, depth: 16, number: 16, exponent: 0 };

/// SubjectPublicKeyInfo of an Ed25519 key but for the key itself (RFC 8410, section 4).
const SPKI_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// An envelope as it was read.
#[derive(Clone, Debug)]
pub(super) struct Envelope {
    /// The whole of it, to be served.
    pub(super) whole: Value,
    /// The signed bytes.
    pub(super) payload: Vec<u8>,
    signatures: Vec<Vec<u8>>,
}

/// Why a file is no envelope.
#[derive(Debug, thiserror::Error)]
pub(super) enum EnvelopeError {
    #[error("it is no JSON: {0}")]
    Json(#[from] JsonError),
    #[error("{0}")]
    Shape(#[from] ShapeError),
    #[error("its payload is {0:?}, want {PAYLOAD_TYPE:?}")]
    PayloadType(String),
    #[error("it has {0} signatures, at most {MAX_SIGNATURES} are looked at")]
    TooManySignatures(usize),
}

impl Envelope {
    /// Reads an envelope. Nothing is verified yet.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let whole = json::parse(bytes, &LIMITS)?;
        let mut members = Members::of(&whole, "envelope")?;
        let kind = members.string("payloadType")?;
        if kind != PAYLOAD_TYPE {
            return Err(EnvelopeError::PayloadType(kind.chars().take(128).collect()));
        }
        let payload = members.base64("payload")?;
        let listed = members.array("signatures")?;
        if listed.len() > MAX_SIGNATURES {
            return Err(EnvelopeError::TooManySignatures(listed.len()));
        }
        let mut signatures = Vec::with_capacity(listed.len());
        for signature in listed {
            // `keyid` is a hint (DSSE, protocol.md) and decides nothing.
            let signature = signature.member("sig").and_then(Value::as_str).and_then(from_base64);
            signatures.push(signature.ok_or_else(|| members.wrong("signatures", "want a sig in base64 in each"))?);
        }
        // Members that the specification does not name are to be ignored (DSSE, envelope.md).
        Ok(Self { payload, signatures, whole })
    }

    /// Signs a statement.
    pub(super) fn sign(payload: &[u8], key: &SigningKey) -> Value {
        let signature = key.sign(&pre_authentication(payload));
        object([
            ("payloadType", PAYLOAD_TYPE.into()),
            ("payload", to_base64(payload)),
            (
                "signatures",
                Value::Array(vec![object([
                    ("keyid", key_id(&key.verifying_key()).into()),
                    ("sig", to_base64(&signature.to_bytes())),
                ])]),
            ),
        ])
    }

    /// Ids of those of the keys that signed it.
    pub(super) fn signed_by(&self, keys: &[VerifyingKey]) -> Vec<String> {
        let message = pre_authentication(&self.payload);
        let signed = |key: &&VerifyingKey| {
            let mut signatures = self.signatures.iter().filter_map(|bytes| Signature::from_slice(bytes).ok());
            signatures.any(|signature| key.verify_strict(&message, &signature).is_ok())
        };
        keys.iter().filter(signed).map(key_id).collect()
    }
}

/// SHA-256 of a key's SubjectPublicKeyInfo, in hexadecimal.
pub(super) fn key_id(key: &VerifyingKey) -> String {
    hex::encode(Sha256::new().chain_update(SPKI_HEAD).chain_update(key.as_bytes()).finalize())
}

/// `PAE(type, body) = "DSSEv1" SP len(type) SP type SP len(body) SP body`
fn pre_authentication(body: &[u8]) -> Vec<u8> {
    let mut message = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), body.len()).into_bytes();
    message.extend_from_slice(body);
    message
}
