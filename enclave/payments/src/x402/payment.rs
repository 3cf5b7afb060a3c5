//! What arrives: `PaymentPayload` in three shapes, as base64 text or as an object.
//!
//! - version 1: `{x402Version:1, scheme, network, payload}`
//! - version 2: `{x402Version:2, resource?, accepted, payload, extensions?}`
//! - this ecosystem's hybrid: `{x402Version:2, scheme, network, payload}`
//!
//! `payload` is `{signature, authorization:{from,to,value,validAfter,validBefore,nonce}}`. Members that we do not know are
//! let through where the specification allows extension; an authorization has exactly its six.

use std::fmt;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use evidence::{
    UnixSeconds, Wallet,
    json::{JsonError, Limits, Value, parse},
};

use crate::reason::Reason;

/// Longest payment, as sent: three times the longest that a client of ours makes, with room for a wallet's deployment.
pub const MAX_PAYMENT_BYTES: usize = 16 << 10;

/// What a payment's JSON may cost.
const LIMITS: Limits = Limits { bytes: MAX_PAYMENT_BYTES, depth: 16, number: 32, exponent: 0 };

/// Longest signature: a deployment may be wrapped around one. Longer ones are no signature of anything.
const MAX_SIGNATURE_BYTES: usize = 4096;

/// Last second that our documents can name (docs/WIRE.md, P1).
const MAX_TIME: u64 = (1 << 53) - 1;

/// Which of the three shapes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dialect {
    /// x402 version 1.
    V1,
    /// x402 version 2.
    V2,
    /// `x402Version` 2 with version 1's members.
    Hybrid,
}

/// What the payer says to have accepted. Compared with our own offer, then forgotten.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Accepted {
    /// `exact`
    pub scheme: String,
    /// CAIP-2, or version 1's name.
    pub network: String,
    /// Version 2 only: amount in base units, token and payee.
    pub terms: Option<AcceptedTerms>,
}

/// The rest of version 2's `accepted`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AcceptedTerms {
    /// Decimal, `0|[1-9][0-9]*`.
    pub amount: String,
    /// The token.
    pub asset: Wallet,
    /// The payee.
    pub pay_to: Wallet,
    /// `extra.assetTransferMethod`.
    pub transfer_method: Option<String>,
}

/// A payment that can be read. Nothing about it is verified.
#[derive(Clone, Eq, PartialEq)]
pub struct Payment {
    /// How it was written.
    pub dialect: Dialect,
    /// What it says to accept.
    pub accepted: Accepted,
    /// `resource.url`, if it says what it pays for.
    pub resource: Option<String>,
    /// Who pays.
    pub from: Wallet,
    /// Who is paid.
    pub to: Wallet,
    /// Base units. `None`: more than 2⁶⁴ − 1.
    pub value: Option<u64>,
    /// Void up to and including this second.
    pub valid_after: UnixSeconds,
    /// Void from this second on.
    pub valid_before: UnixSeconds,
    /// Once for each payer and token.
    pub nonce: [u8; 32],
    /// As sent; 65 bytes from an account without code.
    pub signature: Vec<u8>,
}

impl fmt::Debug for Payment {
    /// Neither wallet nor signature.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payment").field("dialect", &self.dialect).field("value", &self.value).finish_non_exhaustive()
    }
}

/// Why a payment cannot be read.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PaymentError {
    /// More than [`MAX_PAYMENT_BYTES`].
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Not base64 of any kind.
    NotBase64,
    /// Not JSON.
    NotJson(JsonError),
    /// Neither an object nor base64 text of one.
    NotAnObject {
        /// What it is.
        found: &'static str,
    },
    /// Not version 1 or 2.
    Version,
    /// A member is missing or is not what it must be.
    Member {
        /// Which: `payload.authorization.nonce`.
        path: &'static str,
        /// What was wanted.
        wanted: &'static str,
    },
    /// An authorization with a seventh member.
    ExtraMember,
    /// Another way to move the token.
    OtherMethod,
    /// A time that no document of ours can name.
    TimeTooLate {
        /// Which member.
        path: &'static str,
    },
}

impl fmt::Display for PaymentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes } => {
                write!(f, "the payment is {bytes} bytes long, the limit is {MAX_PAYMENT_BYTES}")
            }
            Self::NotBase64 => f.write_str("the payment is not base64"),
            Self::NotJson(error) => write!(f, "the payment is not JSON: {}", without_names(error)),
            Self::NotAnObject { found } => write!(f, "the payment is {found}, not an object or base64 of one"),
            Self::Version => f.write_str("x402Version is neither 1 nor 2"),
            Self::Member { path, wanted } => write!(f, "{path}: want {wanted}"),
            Self::ExtraMember => f.write_str("payload.authorization has a member that EIP-3009 does not have"),
            Self::OtherMethod => f.write_str("the payment moves the token by something else than EIP-3009"),
            Self::TimeTooLate { path } => write!(f, "payload.authorization.{path} is beyond 2^53 seconds"),
        }
    }
}

/// What is wrong with the JSON, without text of the payer's.
fn without_names(error: &JsonError) -> String {
    match &error.fault {
        evidence::json::Fault::Duplicate(_) => format!("a member name appears twice, at byte {}", error.offset),
        _ => error.to_string(),
    }
}

impl std::error::Error for PaymentError {}

impl PaymentError {
    /// The word for programs.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Version => Reason::InvalidX402Version,
            Self::TimeTooLate { path: "validAfter" } => Reason::ValidAfter,
            Self::TimeTooLate { .. } => Reason::ValidBefore,
            Self::OtherMethod => Reason::InvalidPaymentRequirements,
            _ => Reason::InvalidPayload,
        }
    }

    /// How to fix it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "leave out what the payment does not need",
            Self::NotBase64 => "send the JSON text of the payment in base64, once",
            Self::NotJson(_) | Self::NotAnObject { .. } => "send one JSON object, as x402 describes PaymentPayload",
            Self::Version => "send x402Version 1 or 2, as a number",
            Self::Member { .. } | Self::ExtraMember => {
                "send payload.signature and payload.authorization with from, to, value, validAfter, validBefore and \
                 nonce, as x402's scheme `exact` on EVM describes"
            }
            Self::OtherMethod => "sign an EIP-3009 TransferWithAuthorization",
            Self::TimeTooLate { .. } => "choose a time of this millennium",
        }
    }
}

impl Payment {
    /// From a header's value: base64, standard or URL-safe, padded or not.
    ///
    /// # Errors
    /// [`PaymentError`].
    pub fn from_header(text: &[u8]) -> Result<Self, PaymentError> {
        if text.len() > MAX_PAYMENT_BYTES {
            return Err(PaymentError::TooLong { bytes: text.len() });
        }
        let text = text.trim_ascii();
        let alphabet = if text.iter().any(|byte| matches!(byte, b'-' | b'_')) { &URL_SAFE } else { &STANDARD };
        let json = alphabet.decode(text).map_err(|_| PaymentError::NotBase64)?;
        Self::of_object(&parse(&json, &LIMITS).map_err(PaymentError::NotJson)?)
    }

    /// From an MCP request's `_meta`: the object itself, or its base64 text.
    ///
    /// # Errors
    /// [`PaymentError`].
    pub fn from_value(value: &Value) -> Result<Self, PaymentError> {
        match value {
            Value::String(text) => Self::from_header(text.as_bytes()),
            Value::Object(_) => {
                let bytes = value.to_text().len();
                if bytes > MAX_PAYMENT_BYTES {
                    return Err(PaymentError::TooLong { bytes });
                }
                Self::of_object(value)
            }
            other => Err(PaymentError::NotAnObject { found: other.kind() }),
        }
    }

    fn of_object(value: &Value) -> Result<Self, PaymentError> {
        if value.as_object().is_none() {
            return Err(PaymentError::NotAnObject { found: value.kind() });
        }
        let (dialect, accepted) = match (value.member("x402Version"), value.member("accepted")) {
            (Some(Value::Number(version)), _) if version == "1" => (Dialect::V1, top_level(value)?),
            (Some(Value::Number(version)), Some(accepted)) if version == "2" => (Dialect::V2, Accepted::of(accepted)?),
            (Some(Value::Number(version)), None) if version == "2" => (Dialect::Hybrid, top_level(value)?),
            _ => return Err(PaymentError::Version),
        };
        let payload = value.member("payload").filter(|payload| payload.as_object().is_some());
        let payload = payload.ok_or(PaymentError::Member { path: "payload", wanted: "an object" })?;
        let Some(authorization) = payload.member("authorization") else {
            return Err(match payload.member("permit2Authorization") {
                Some(_) => PaymentError::OtherMethod,
                None => PaymentError::Member { path: "payload.authorization", wanted: "an object" },
            });
        };
        let signature = hex_bytes(payload.member("signature"), "payload.signature", "0x and hexadecimal digits")?;
        if signature.len() > MAX_SIGNATURE_BYTES {
            return Err(PaymentError::Member { path: "payload.signature", wanted: "at most 4096 bytes" });
        }
        let nonce = hex_bytes(
            authorization.member("nonce"),
            "payload.authorization.nonce",
            "0x and 64 hexadecimal digits (32 bytes)",
        )?;
        let payment = Self {
            dialect,
            accepted,
            resource: resource_url(value)?,
            from: wallet(authorization.member("from"), "payload.authorization.from")?,
            to: wallet(authorization.member("to"), "payload.authorization.to")?,
            value: decimal(authorization.member("value"), "payload.authorization.value")?.parse().ok(),
            valid_after: time(authorization.member("validAfter"), "payload.authorization.validAfter", "validAfter")?,
            valid_before: time(
                authorization.member("validBefore"),
                "payload.authorization.validBefore",
                "validBefore",
            )?,
            nonce: nonce.try_into().map_err(|_| PaymentError::Member {
                path: "payload.authorization.nonce",
                wanted: "exactly 32 bytes",
            })?,
            signature,
        };
        match authorization.as_object() {
            Some(members) if members.len() == 6 => Ok(payment),
            _ => Err(PaymentError::ExtraMember),
        }
    }
}

impl Accepted {
    fn of(value: &Value) -> Result<Self, PaymentError> {
        let method = value.member("extra").and_then(|extra| extra.member("assetTransferMethod"));
        let transfer_method = match method {
            None | Some(Value::Null) => None,
            Some(method) => Some(text(Some(method), "accepted.extra.assetTransferMethod")?),
        };
        Ok(Self {
            scheme: text(value.member("scheme"), "accepted.scheme")?,
            network: text(value.member("network"), "accepted.network")?,
            terms: Some(AcceptedTerms {
                amount: decimal(value.member("amount"), "accepted.amount")?.to_owned(),
                asset: wallet(value.member("asset"), "accepted.asset")?,
                pay_to: wallet(value.member("payTo"), "accepted.payTo")?,
                transfer_method,
            }),
        })
    }
}

fn top_level(value: &Value) -> Result<Accepted, PaymentError> {
    Ok(Accepted {
        scheme: text(value.member("scheme"), "scheme")?,
        network: text(value.member("network"), "network")?,
        terms: None,
    })
}

fn resource_url(value: &Value) -> Result<Option<String>, PaymentError> {
    // Version 2 has an object, some clients send version 1's plain text.
    let url = match value.member("resource") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(_)) => value.member("resource").and_then(|resource| resource.member("url")),
        plain => plain,
    };
    match url {
        None | Some(Value::Null) => Ok(None),
        url => text(url, "resource.url").map(|url| Some(url).filter(|url| !url.is_empty())),
    }
}

fn text(value: Option<&Value>, path: &'static str) -> Result<String, PaymentError> {
    value.and_then(Value::as_str).map(str::to_owned).ok_or(PaymentError::Member { path, wanted: "a string" })
}

/// `0|[1-9][0-9]*`, at most the 78 digits of a 256-bit number.
fn decimal<'a>(value: Option<&'a Value>, path: &'static str) -> Result<&'a str, PaymentError> {
    let text = value.and_then(Value::as_str).unwrap_or_default();
    let well_formed = !text.is_empty()
        && text.len() <= 78
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'));
    if well_formed { Ok(text) } else { Err(PaymentError::Member { path, wanted: "a decimal number as a string" }) }
}

fn time(value: Option<&Value>, path: &'static str, name: &'static str) -> Result<UnixSeconds, PaymentError> {
    let seconds = decimal(value, path)?.parse().ok().filter(|seconds| *seconds <= MAX_TIME);
    seconds.map(UnixSeconds).ok_or(PaymentError::TimeTooLate { path: name })
}

fn wallet(value: Option<&Value>, path: &'static str) -> Result<Wallet, PaymentError> {
    let wallet = value.and_then(Value::as_str).and_then(|text| text.parse().ok());
    wallet.ok_or(PaymentError::Member { path, wanted: "0x and 40 hexadecimal digits" })
}

fn hex_bytes(value: Option<&Value>, path: &'static str, wanted: &'static str) -> Result<Vec<u8>, PaymentError> {
    let digits = value.and_then(Value::as_str).and_then(|text| text.strip_prefix("0x"));
    digits.and_then(|digits| hex::decode(digits).ok()).ok_or(PaymentError::Member { path, wanted })
}

const LAX: GeneralPurposeConfig = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LAX);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LAX);

#[cfg(test)]
mod tests {
    use evidence::json::object;

    use super::*;

    fn authorization() -> Value {
        object([
            ("from", "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf".into()),
            ("to", "0x23618e81e3f5cdf7f54c3d65f7fbc0abf5b21e8f".into()),
            ("value", "500".into()),
            ("validAfter", "0".into()),
            ("validBefore", "1800003600".into()),
            ("nonce", format!("0x{}", "ab".repeat(32)).into()),
        ])
    }

    fn flat(version: u64, signature: String, more: Value) -> Value {
        object([
            ("x402Version", version.into()),
            ("scheme", "exact".into()),
            ("network", "base".into()),
            ("payload", object([("signature", signature.into()), ("authorization", authorization())])),
            ("more", more),
        ])
    }

    fn plain() -> Value {
        flat(1, format!("0x{}", "11".repeat(65)), Value::Null)
    }

    #[test]
    fn a_header_is_read_in_every_base64_that_clients_send() {
        let text = plain().to_text().replace("null", "\"???>>>\"");
        let standard = base64::engine::general_purpose::STANDARD.encode(&text);
        let unpadded = standard.trim_end_matches('=').to_owned();
        assert_ne!(standard, unpadded);
        let url_safe = standard.replace('+', "-").replace('/', "_");
        assert_ne!(standard, url_safe);
        let read = Payment::from_header(standard.as_bytes()).unwrap();
        assert_eq!((read.dialect, read.value, read.nonce), (Dialect::V1, Some(500), [0xab; 32]));
        for other in [unpadded, url_safe.trim_end_matches('=').to_owned(), url_safe, format!(" {standard} ")] {
            assert_eq!(Payment::from_header(other.as_bytes()), Ok(read.clone()), "{other}");
        }
        assert_eq!(Payment::from_header(format!("{standard},{standard}").as_bytes()), Err(PaymentError::NotBase64));
        assert_eq!(Payment::from_header(text.as_bytes()), Err(PaymentError::NotBase64));
    }

    #[test]
    fn one_byte_past_the_limit_is_too_long_before_anything_is_decoded() {
        let text = vec![b'!'; MAX_PAYMENT_BYTES + 1];
        assert_eq!(Payment::from_header(&text), Err(PaymentError::TooLong { bytes: MAX_PAYMENT_BYTES + 1 }));
        assert_eq!(Payment::from_header(&text[1..]), Err(PaymentError::NotBase64));
        let empty = flat(1, format!("0x{}", "11".repeat(65)), "".into()).to_text().len();
        let of = |bytes: usize| flat(1, format!("0x{}", "11".repeat(65)), "x".repeat(bytes - empty).into());
        assert!(Payment::from_value(&of(MAX_PAYMENT_BYTES)).is_ok());
        let found = Payment::from_value(&of(MAX_PAYMENT_BYTES + 1));
        assert_eq!(found, Err(PaymentError::TooLong { bytes: MAX_PAYMENT_BYTES + 1 }));
    }

    #[test]
    fn a_signature_and_an_amount_have_a_longest_form() {
        let signed = |bytes: usize| Payment::from_value(&flat(2, format!("0x{}", "11".repeat(bytes)), Value::Null));
        assert_eq!(signed(MAX_SIGNATURE_BYTES).unwrap().dialect, Dialect::Hybrid);
        assert!(matches!(signed(MAX_SIGNATURE_BYTES + 1), Err(PaymentError::Member { path: "payload.signature", .. })));
        let amount = |digits: usize| Value::from("9".repeat(digits));
        assert!(decimal(Some(&amount(78)), "value").is_ok());
        assert!(decimal(Some(&amount(79)), "value").is_err());
        for bad in ["", "00", "+1", "-1", "1.0", "1e3", "0x1", " 1", "1 ", "\u{661}"] {
            assert!(decimal(Some(&bad.into()), "value").is_err(), "{bad:?}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_and_no_name_of_the_payers_is_repeated() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(16), "]".repeat(16));
        let header = base64::engine::general_purpose::STANDARD.encode(deep);
        assert!(matches!(Payment::from_header(header.as_bytes()), Err(PaymentError::NotJson(_))));
        let twice = base64::engine::general_purpose::STANDARD.encode(r#"{"secret":1,"secret":2}"#);
        let error = Payment::from_header(twice.as_bytes()).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        let shown = format!("{:?}", Payment::from_value(&plain()).unwrap());
        assert!(!shown.contains("7e5f") && !shown.contains("17, 17"), "{shown}");
    }
}
