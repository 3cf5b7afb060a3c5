//! Why a signed request is refused, in the words of the deployed verifiers.

use std::fmt;

use evidence::UnixSeconds;

/// Why a signed request is refused. Codes that belong to what we never offer (class-bound and replayable signatures,
/// invalidation) do not exist here.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SignatureFault {
    /// Only one of `Signature` and `Signature-Input` is there.
    MissingHeaders,
    /// A signature has no input, or the other way round.
    LabelNotFound,
    /// More or longer than is looked at.
    TooLarge {
        /// What.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// `Signature-Input` is no dictionary of inner lists of quoted component names, or names what cannot be covered.
    BadSignatureInput,
    /// `Signature` is no dictionary of byte sequences, or has an empty one.
    BadSignatureBytes,
    /// It is of the draft of August 2026.
    OtherDialect,
    /// No signature has a keyid `erc8128:<chain>:<address>`, or of a chain that is not served.
    BadKeyId,
    /// `alg` is there: the keyid decides.
    AlgorithmNotAllowed,
    /// `created` or `expires` is missing, is no time, or they are the wrong way round.
    BadTime,
    /// It is from the future.
    NotYetValid {
        /// Its `created`.
        created: UnixSeconds,
    },
    /// It has ended.
    Expired {
        /// Its `expires`.
        expires: UnixSeconds,
    },
    /// It would live too long.
    ValidityTooLong {
        /// From `created` to `expires`, in seconds.
        seconds: u64,
        /// The limit.
        limit: u64,
    },
    /// It has no nonce, so it could be used again.
    ReplayableNotAllowed,
    /// The nonce is empty, longer than 128 bytes or no string.
    NonceRequired,
    /// It does not cover something of the request that it must.
    NotRequestBound {
        /// What.
        component: String,
    },
    /// There is a body, or its digest is covered, and no `Content-Digest` of sha-256 or sha-512.
    DigestRequired,
    /// `Content-Digest` is not that of the body.
    DigestMismatch,
    /// It is not of this request by this wallet.
    BadSignature,
    /// It was used before.
    Replay,
}

impl SignatureFault {
    /// A stable word for programs, that of the deployed verifiers where they have one.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingHeaders => "missing_headers",
            Self::LabelNotFound => "label_not_found",
            Self::TooLarge { .. } => "signature_too_large",
            Self::BadSignatureInput => "bad_signature_input",
            Self::BadSignatureBytes => "bad_signature_bytes",
            Self::OtherDialect => "dialect_not_supported",
            Self::BadKeyId => "bad_keyid",
            Self::AlgorithmNotAllowed => "alg_not_allowed",
            Self::BadTime => "bad_time",
            Self::NotYetValid { .. } => "not_yet_valid",
            Self::Expired { .. } => "expired",
            Self::ValidityTooLong { .. } => "validity_too_long",
            Self::ReplayableNotAllowed => "replayable_not_allowed",
            Self::NonceRequired => "nonce_required",
            Self::NotRequestBound { .. } => "not_request_bound",
            Self::DigestRequired => "digest_required",
            Self::DigestMismatch => "digest_mismatch",
            Self::BadSignature => "bad_signature",
            Self::Replay => "replay",
        }
    }

    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::MissingHeaders | Self::LabelNotFound => "send Signature-Input and Signature with the same label",
            Self::TooLarge { .. } => "send one signature that covers what Accept-Signature asks for",
            Self::BadSignatureInput => "write Signature-Input as RFC 9421 does: eth=(\"@authority\" …);created=…",
            Self::BadSignatureBytes => "write Signature as eth=:<base64 of 65 bytes>:",
            Self::OtherDialect => "sign as ERC-8128 version 1: keyid erc8128:<chain>:<address>, no tag",
            Self::BadKeyId => "use keyid erc8128:<chain>:<address> with a chain that this gateway serves",
            Self::AlgorithmNotAllowed => "leave alg out",
            Self::BadTime | Self::NotYetValid { .. } => "set your clock, and created before expires",
            Self::Expired { .. } | Self::Replay => "sign again, with a fresh nonce and time",
            Self::ValidityTooLong { .. } => "let the signature live a minute",
            Self::ReplayableNotAllowed | Self::NonceRequired => "add a fresh nonce of at most 128 bytes",
            Self::NotRequestBound { .. } => "cover what Accept-Signature asks for",
            Self::DigestRequired => "send Content-Digest: sha-256=:…: over the body and cover it",
            Self::DigestMismatch => "compute Content-Digest over the body as it is sent",
            Self::BadSignature => {
                "sign the signature base of this very request with personal_sign; low s, v 27 or 28, by the keyid's wallet"
            }
        }
    }
}

impl fmt::Display for SignatureFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "signed request: ")?;
        match self {
            Self::MissingHeaders => write!(f, "Signature and Signature-Input go together, one is missing"),
            Self::LabelNotFound => write!(f, "a label of Signature-Input is not in Signature"),
            Self::TooLarge { what, limit } => write!(f, "{what}: at most {limit}"),
            Self::BadSignatureInput => write!(f, "Signature-Input does not read, or covers what cannot be covered"),
            Self::BadSignatureBytes => write!(f, "Signature does not read as byte sequences"),
            Self::OtherDialect => write!(f, "tag erc8128 is of a draft that this gateway does not speak"),
            Self::BadKeyId => write!(f, "no keyid of ERC-8128 version 1 on a chain that is served"),
            Self::AlgorithmNotAllowed => write!(f, "alg is not allowed"),
            Self::BadTime => write!(f, "created and expires must be times, in that order"),
            Self::NotYetValid { created } => write!(f, "created at {}, which is to come", created.0),
            Self::Expired { expires } => write!(f, "expired at {}", expires.0),
            Self::ValidityTooLong { seconds, limit } => write!(f, "it lives {seconds} seconds, at most {limit}"),
            Self::ReplayableNotAllowed => write!(f, "it has no nonce"),
            Self::NonceRequired => write!(f, "its nonce is no string of 1 to 128 bytes"),
            Self::NotRequestBound { component } => write!(f, "it does not cover {component:?}"),
            Self::DigestRequired => write!(f, "the body's digest is missing"),
            Self::DigestMismatch => write!(f, "Content-Digest is not that of the body"),
            Self::BadSignature => write!(f, "it is not of this request by this wallet"),
            Self::Replay => write!(f, "its nonce was used before"),
        }
    }
}

impl std::error::Error for SignatureFault {}
