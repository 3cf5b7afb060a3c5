//! Compact signatures (RFC 7515) of one key with ES256, read strictly. The library does the curve; what it leaves to its
//! user is done here, before the curve: the form, the header, duplicate names.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use evidence::json::{self, Limits, Value};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use sha2::{Digest, Sha256};

/// Longest text that is looked at, in bytes.
pub(crate) const MAX_BYTES: usize = 4096;

pub(crate) const LIMITS: Limits = Limits { bytes: MAX_BYTES, depth: 8, number: 32, exponent: 99 };

/// Members of a header that would change how the rest is read, or bring a key along. RFC 7515 4.1, RFC 7797, RFC 8725.
const REFUSED: [&str; 8] = ["crit", "b64", "zip", "jku", "jwk", "x5u", "x5c", "enc"];

/// A public key of P-256 (RFC 7518 6.2.1).
#[derive(Clone)]
pub struct PublicKey {
    x: String,
    y: String,
    kid: String,
    key: DecodingKey,
}

/// What a signature was made over.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signed {
    /// The header, an object.
    pub header: Value,
    /// The payload's bytes.
    pub payload: Vec<u8>,
}

/// Why a compact signature is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum JwsFault {
    /// Longer than 4096 bytes.
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Not three parts of base64url without padding, the first and last not empty.
    Form,
    /// The header is not strict JSON.
    Header,
    /// A member of the header that is refused whatever it says.
    HeaderMember {
        /// Its name.
        name: &'static str,
    },
    /// `alg` is not ES256: the key decides.
    Algorithm,
    /// `kid` names another key.
    KeyId,
    /// The signature does not hold.
    Signature,
}

impl PublicKey {
    /// From its coordinates, big-endian.
    pub fn new(x: &[u8; 32], y: &[u8; 32]) -> Option<Self> {
        let (x, y) = (BASE64_URL_SAFE_NO_PAD.encode(x), BASE64_URL_SAFE_NO_PAD.encode(y));
        let key = DecodingKey::from_ec_components(&x, &y).ok()?;
        // RFC 7638 3: the required members in the order of their names, no spaces.
        let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let kid = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(members));
        Some(Self { x, y, kid, key })
    }

    /// Calls it by a name of somebody else's instead of its thumbprint.
    pub fn named(self, kid: &str) -> Self {
        Self { kid: kid.to_owned(), ..self }
    }

    /// Its name: the thumbprint (RFC 7638).
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// As a JWK (RFC 7517) for signatures.
    pub fn jwk(&self) -> Value {
        let text = |text: &str| Value::String(text.to_owned());
        json::object([
            ("kty", text("EC")),
            ("crv", text("P-256")),
            ("x", text(&self.x)),
            ("y", text(&self.y)),
            ("kid", text(&self.kid)),
            ("alg", text("ES256")),
            ("use", text("sig")),
        ])
    }
}

/// Reads a compact signature and checks it under `key`.
///
/// # Errors
/// [`JwsFault`].
pub fn open(text: &str, key: &PublicKey) -> Result<Signed, JwsFault> {
    if text.len() > MAX_BYTES {
        return Err(JwsFault::TooLong { bytes: text.len() });
    }
    let (signed, signature) = text.rsplit_once('.').ok_or(JwsFault::Form)?;
    let (header, payload) = signed.split_once('.').ok_or(JwsFault::Form)?;
    let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| JwsFault::Form);
    let (header, payload) = (decode(header)?, decode(payload)?);
    if decode(signature)?.len() != 64 {
        return Err(JwsFault::Signature);
    }
    let header = json::parse(&header, &LIMITS).map_err(|_| JwsFault::Header)?;
    check_header(&header, key)?;
    match crypto::verify(signature, signed.as_bytes(), &key.key, Algorithm::ES256) {
        Ok(true) => Ok(Signed { header, payload }),
        Ok(false) | Err(_) => Err(JwsFault::Signature),
    }
}

fn check_header(header: &Value, key: &PublicKey) -> Result<(), JwsFault> {
    if header.as_object().is_none() {
        return Err(JwsFault::Header);
    }
    if let Some(name) = REFUSED.into_iter().find(|name| header.member(name).is_some()) {
        return Err(JwsFault::HeaderMember { name });
    }
    if header.member("alg").and_then(Value::as_str) != Some("ES256") {
        return Err(JwsFault::Algorithm);
    }
    match header.member("kid") {
        None => Ok(()),
        Some(kid) if kid.as_str() == Some(&key.kid) => Ok(()),
        Some(_) => Err(JwsFault::KeyId),
    }
}

impl fmt::Display for JwsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes } => write!(f, "{bytes} bytes, at most {MAX_BYTES} are looked at"),
            Self::Form => write!(f, "want three parts of base64url without padding"),
            Self::Header => write!(f, "its header is not a JSON object, or has a name twice"),
            Self::HeaderMember { name } => write!(f, "its header has {name:?}, which is refused"),
            Self::Algorithm => write!(f, "its algorithm is not ES256"),
            Self::KeyId => write!(f, "it names a key that is not ours"),
            Self::Signature => write!(f, "its signature does not hold"),
        }
    }
}

impl std::error::Error for JwsFault {}
