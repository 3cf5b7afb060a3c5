//! DSSE v1 (secure-systems-lab/dsse: envelope.md, protocol.md): bytes, their type, and signatures over both. Whether a
//! signature holds is for those who check signatures.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::{
    json::{self, JsonError, Limits, Value, object},
    profile::{Members, ShapeError, from_base64, to_base64},
};

/// The longest envelope, in bytes.
pub const MAX_BYTES: usize = 64 << 10;
/// Most signatures of one envelope.
pub const MAX_SIGNATURES: usize = 16;
/// What is read of an envelope and of the JSON in it.
pub(crate) const LIMITS: Limits = Limits { bytes: MAX_BYTES, depth: 16, number: 16, exponent: 0 };

/// SubjectPublicKeyInfo of an Ed25519 key but for the key itself (RFC 8410, section 4).
const SPKI_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// An envelope. Nothing in it is verified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Envelope {
    /// What the payload is: `application/vnd.in-toto+json`.
    pub payload_type: String,
    /// The signed bytes.
    pub payload: Vec<u8>,
    /// At most [`MAX_SIGNATURES`].
    pub signatures: Vec<EnvelopeSignature>,
}

/// One signature of an envelope.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EnvelopeSignature {
    /// A hint that decides nothing (protocol.md); ours are [`key_id`].
    pub key_id: String,
    /// 64 bytes, if it is Ed25519.
    pub bytes: Vec<u8>,
}

/// Why bytes are no envelope.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum EnvelopeError {
    /// No JSON within the limits.
    Json(JsonError),
    /// A member is missing or has another shape.
    Shape(ShapeError),
    /// Another type of payload than was asked for.
    PayloadType {
        /// What it is.
        found: String,
        /// What was asked for.
        wanted: &'static str,
    },
    /// More than [`MAX_SIGNATURES`].
    TooManySignatures(usize),
}

impl fmt::Display for EnvelopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(f, "it is no JSON: {error}"),
            Self::Shape(error) => error.fmt(f),
            Self::PayloadType { found, wanted } => write!(f, "its payload is {found:?}, want {wanted:?}"),
            Self::TooManySignatures(found) => {
                write!(f, "it has {found} signatures, at most {MAX_SIGNATURES} are looked at")
            }
        }
    }
}

impl std::error::Error for EnvelopeError {}

impl From<JsonError> for EnvelopeError {
    fn from(error: JsonError) -> Self {
        Self::Json(error)
    }
}

impl From<ShapeError> for EnvelopeError {
    fn from(error: ShapeError) -> Self {
        Self::Shape(error)
    }
}

impl Envelope {
    /// Reads an envelope whose payload is of this type. Members that the specification does not name are ignored, as it
    /// says (envelope.md).
    ///
    /// # Errors
    /// [`EnvelopeError`].
    pub fn from_bytes(bytes: &[u8], payload_type: &'static str) -> Result<Self, EnvelopeError> {
        let whole = json::parse(bytes, &LIMITS)?;
        let mut members = Members::of(&whole, "envelope")?;
        let found = members.string("payloadType")?;
        if found != payload_type {
            return Err(EnvelopeError::PayloadType { found: found.chars().take(128).collect(), wanted: payload_type });
        }
        let payload = members.base64("payload")?;
        let listed = members.array("signatures")?;
        if listed.len() > MAX_SIGNATURES {
            return Err(EnvelopeError::TooManySignatures(listed.len()));
        }
        let read = listed.iter().map(|listed| {
            let bytes = listed.member("sig").and_then(Value::as_str).and_then(from_base64)?;
            let key_id = listed.member("keyid").and_then(Value::as_str).unwrap_or_default();
            Some(EnvelopeSignature { key_id: key_id.chars().take(128).collect(), bytes })
        });
        let signatures = read.collect::<Option<_>>();
        let signatures = signatures.ok_or_else(|| members.wrong("signatures", "want a sig in base64 in each"))?;
        Ok(Self { payload_type: found.to_owned(), payload, signatures })
    }

    /// The envelope as JSON.
    pub fn to_value(&self) -> Value {
        let signatures = self.signatures.iter().map(|signature| {
            object([("keyid", signature.key_id.as_str().into()), ("sig", to_base64(&signature.bytes))])
        });
        object([
            ("payloadType", self.payload_type.as_str().into()),
            ("payload", to_base64(&self.payload)),
            ("signatures", Value::Array(signatures.collect())),
        ])
    }

    /// What is signed: `PAE(type, body) = "DSSEv1" SP len(type) SP type SP len(body) SP body`, lengths in decimal.
    pub fn message(&self) -> Vec<u8> {
        let (kind, body) = (&self.payload_type, &self.payload);
        let mut message = format!("DSSEv1 {} {kind} {} ", kind.len(), body.len()).into_bytes();
        message.extend_from_slice(body);
        message
    }
}

/// Our `keyid` of an Ed25519 key: SHA-256 of its SubjectPublicKeyInfo in DER, in hexadecimal.
pub fn key_id(key: &[u8; 32]) -> String {
    hex::encode(Sha256::new().chain_update(SPKI_HEAD).chain_update(key).finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = "http://example.com/HelloWorld";

    fn envelope() -> Envelope {
        Envelope {
            payload_type: KIND.to_owned(),
            payload: b"hello world".to_vec(),
            signatures: vec![EnvelopeSignature { key_id: "a".to_owned(), bytes: vec![1; 64] }],
        }
    }

    #[test]
    fn the_message_is_that_of_the_specification() {
        // The example of DSSE, protocol.md.
        assert_eq!(envelope().message(), b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn an_envelope_is_read_as_it_was_written_and_may_say_more() {
        let text = envelope().to_value().to_text();
        assert_eq!(Envelope::from_bytes(text.as_bytes(), KIND), Ok(envelope()));
        let more = text.replacen('{', "{\"more\":[],", 1).replacen("{\"keyid\"", "{\"cert\":1,\"keyid\"", 1);
        assert_eq!(Envelope::from_bytes(more.as_bytes(), KIND), Ok(envelope()));
    }

    #[test]
    fn what_is_no_envelope_of_that_type_is_refused_with_the_reason() {
        let good = envelope().to_value().to_text();
        let many = Envelope { signatures: vec![envelope().signatures[0].clone(); MAX_SIGNATURES + 1], ..envelope() };
        for (bytes, said) in [
            (String::new(), "no JSON"),
            ("{}".to_owned(), "payloadType"),
            (good.replace("HelloWorld", "GoodNight"), "GoodNight"),
            (good.replace("\"payload\":\"", "\"payload\":\"!"), "base64"),
            (good.replace("\"sig\"", "\"gis\""), "signatures"),
            (good.replace("\"payload\":", "\"payload\":\"\",\"payload\":"), "payload"),
            (many.to_value().to_text(), "17 signatures"),
            (good + &" ".repeat(MAX_BYTES), "no JSON"),
        ] {
            let error = Envelope::from_bytes(bytes.as_bytes(), KIND).unwrap_err().to_string();
            assert!(error.contains(said), "{said}: {error}");
        }
        let most = Envelope { signatures: vec![envelope().signatures[0].clone(); MAX_SIGNATURES], ..envelope() };
        assert_eq!(Envelope::from_bytes(most.to_value().to_text().as_bytes(), KIND), Ok(most));
    }
}
