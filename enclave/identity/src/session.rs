//! Sessions: what a login gives, a JWT (RFC 7519) of 24 hours, signed with ES256 by a key of this gateway.
//!
//! `typ` and `aud` are of this use alone (RFC 8725 3.11), so no other token of ours or of anybody passes as a session.
//! Claims: `iss`, `aud`, `sub`, `iat`, `exp`, `jti`, and what clients read, `walletAddress` and `expiresAt`.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use evidence::{
    Digest, UnixSeconds, Wallet, canon,
    json::{self, Value},
    tag,
};
use gate::keep::{Pseudonyms, StoreError, Tokens};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use p256::{SecretKey, elliptic_curve::sec1::ToEncodedPoint, pkcs8::DecodePrivateKey};

use crate::{
    Audience, eth, iso_8601,
    jws::{self, JwsFault, PublicKey},
    wallet_pseudonym,
};

/// How long a session lives, in seconds.
pub const LIFE: u64 = 86_400;
/// How far in the future `iat` and `nbf` may be, in seconds.
pub const SKEW: u64 = 30;
/// The `typ` of a session.
pub const TYP: &str = "session+jwt";

/// What the verifier of a JWT asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Demands<'a> {
    /// `iss`, compared as text.
    pub issuer: &'a str,
    /// `aud`, compared as text; a list is refused.
    pub audience: &'a str,
    /// `typ`, compared without case, with or without `application/`.
    pub typ: &'a str,
}

/// Makes and checks sessions.
pub struct Sessions {
    audience: Audience,
    signing: EncodingKey,
    public: PublicKey,
}

/// A session that was made.
pub struct Opened {
    /// The token. A secret.
    pub token: String,
    /// When it ends.
    pub expires: UnixSeconds,
}

/// A session that was shown and is ours. Whether it was revoked is not known yet: see [`Session::admit`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Session {
    /// Whose it is.
    pub wallet: Wallet,
    /// When it was made.
    pub issued: UnixSeconds,
    /// When it ends.
    pub expires: UnixSeconds,
}

/// The signing key is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyError;

/// Why a session is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SessionFault {
    /// As a compact signature.
    Jws(JwsFault),
    /// Its `typ` is of another use.
    Typ,
    /// Its claims are not strict JSON.
    Claims,
    /// A claim is missing or is not what it must be.
    Claim {
        /// Its name.
        name: &'static str,
    },
    /// It has ended.
    Expired {
        /// When.
        at: UnixSeconds,
    },
    /// It is from the future.
    NotYet,
    /// It was made before the wallet's epoch.
    Revoked,
}

impl Sessions {
    /// With a key of P-256 as PKCS #8 DER; `audience` is both issuer and audience.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn new(audience: Audience, pkcs8: &[u8]) -> Result<Self, KeyError> {
        let secret = SecretKey::from_pkcs8_der(pkcs8).map_err(|_| KeyError)?;
        let point = secret.public_key().to_encoded_point(false);
        let (Some(x), Some(y)) = (point.x(), point.y()) else { return Err(KeyError) };
        let public = PublicKey::new(&(*x).into(), &(*y).into()).ok_or(KeyError)?;
        Ok(Self { audience, signing: EncodingKey::from_ec_der(pkcs8), public })
    }

    /// Makes a session for a wallet that logged in. `id` must be fresh.
    ///
    /// # Errors
    /// [`KeyError`]: the key does not sign.
    pub fn open(&self, wallet: Wallet, id: [u8; 16], now: UnixSeconds) -> Result<Opened, KeyError> {
        let expires = UnixSeconds(now.0.saturating_add(LIFE));
        let text = |text: &str| Value::String(text.to_owned());
        let header = json::object([("alg", text("ES256")), ("typ", text(TYP)), ("kid", text(self.public.kid()))]);
        let claims = json::object([
            ("iss", text(self.audience.as_str())),
            ("aud", text(self.audience.as_str())),
            ("sub", text(&wallet.to_string())),
            ("iat", Value::from(now.0)),
            ("exp", Value::from(expires.0)),
            ("jti", Value::String(hex::encode(id))),
            ("walletAddress", Value::String(eth::checksummed(wallet))),
            ("expiresAt", Value::String(iso_8601(expires))),
        ]);
        let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_text());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = crypto::sign(signed.as_bytes(), &self.signing, Algorithm::ES256).map_err(|_| KeyError)?;
        Ok(Opened { token: format!("{signed}.{signature}"), expires })
    }

    /// Reads a session and checks all that it says about itself.
    ///
    /// # Errors
    /// [`SessionFault`].
    pub fn verify(&self, token: &str, now: UnixSeconds) -> Result<Session, SessionFault> {
        let demands = Demands { issuer: self.audience.as_str(), audience: self.audience.as_str(), typ: TYP };
        let claims = demands.check(token, &self.public, now)?;
        let sub = claims.member("sub").and_then(Value::as_str).and_then(|sub| sub.parse().ok());
        Ok(Session {
            wallet: sub.ok_or(SessionFault::Claim { name: "sub" })?,
            issued: seconds(&claims, "iat")?,
            expires: seconds(&claims, "exp")?,
        })
    }

    /// The key set that verifies sessions (RFC 7517 5): `{"keys":[…]}`.
    pub fn jwks(&self) -> Value {
        json::object([("keys", Value::Array(vec![self.public.jwk()]))])
    }

    /// `H("sealgate/jwks/v1", J(jwks))`, which the state names.
    pub fn jwks_digest(&self) -> Digest {
        evidence::hash(tag::JWKS, &[canon(&self.jwks()).as_bytes()])
    }
}

impl Demands<'_> {
    /// Checks a JWT under `key` and answers with its claims. `exp` is of our own clock, so it has no leeway.
    ///
    /// # Errors
    /// [`SessionFault`].
    pub fn check(&self, token: &str, key: &PublicKey, now: UnixSeconds) -> Result<Value, SessionFault> {
        let signed = jws::open(token, key).map_err(SessionFault::Jws)?;
        self.check_typ(&signed.header)?;
        let claims = json::parse(&signed.payload, &jws::LIMITS).map_err(|_| SessionFault::Claims)?;
        let text = |name: &'static str| {
            let text = claims.member(name).and_then(Value::as_str).filter(|text| !text.is_empty());
            text.ok_or(SessionFault::Claim { name })
        };
        for (name, wanted) in [("iss", self.issuer), ("aud", self.audience)] {
            if text(name)? != wanted {
                return Err(SessionFault::Claim { name });
            }
        }
        text("sub")?;
        text("jti")?;
        let expires = seconds(&claims, "exp")?;
        if expires <= now {
            return Err(SessionFault::Expired { at: expires });
        }
        let latest = UnixSeconds(now.0.saturating_add(SKEW));
        if seconds(&claims, "iat")? > latest || (claims.member("nbf").is_some() && seconds(&claims, "nbf")? > latest) {
            return Err(SessionFault::NotYet);
        }
        Ok(claims)
    }

    fn check_typ(&self, header: &Value) -> Result<(), SessionFault> {
        let typ = header.member("typ").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
        let typ = typ.strip_prefix("application/").unwrap_or(&typ);
        if typ == self.typ { Ok(()) } else { Err(SessionFault::Typ) }
    }
}

impl Session {
    /// Asks the store whether the wallet took its older credentials back.
    ///
    /// # Errors
    /// `Ok(Err(fault))` if it did, [`StoreError`] if nobody knows.
    pub async fn admit(
        &self,
        tokens: &impl Tokens,
        pseudonyms: &impl Pseudonyms,
    ) -> Result<Result<(), SessionFault>, StoreError> {
        let epoch = tokens.epoch(wallet_pseudonym(pseudonyms, self.wallet)).await?;
        let void = epoch.is_some_and(|epoch| self.issued < epoch);
        Ok(if void { Err(SessionFault::Revoked) } else { Ok(()) })
    }
}

/// A claim of whole seconds.
fn seconds(claims: &Value, name: &'static str) -> Result<UnixSeconds, SessionFault> {
    match claims.member(name) {
        Some(Value::Number(digits)) => digits.parse().map(UnixSeconds).map_err(|_| SessionFault::Claim { name }),
        _ => Err(SessionFault::Claim { name }),
    }
}

impl SessionFault {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Expired { .. } => "session_expired",
            Self::Revoked => "session_revoked",
            Self::NotYet => "session_not_yet_valid",
            Self::Jws(JwsFault::Signature | JwsFault::KeyId) => "session_bad_signature",
            Self::Jws(_) | Self::Typ | Self::Claims | Self::Claim { .. } => "session_malformed",
        }
    }
}

impl fmt::Display for SessionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jws(fault) => write!(f, "session: {fault}"),
            Self::Typ => write!(f, "session: its typ is not {TYP}"),
            Self::Claims => write!(f, "session: its claims are not a JSON object, or have a name twice"),
            Self::Claim { name } => write!(f, "session: claim {name:?} is missing or is not what it must be"),
            Self::Expired { at } => write!(f, "session: it ended at {}", iso_8601(*at)),
            Self::NotYet => write!(f, "session: it is more than {SKEW} seconds from the future"),
            Self::Revoked => write!(f, "session: revoked"),
        }
    }
}

impl std::error::Error for SessionFault {}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("session key: want a key of P-256 as PKCS #8 DER")
    }
}

impl std::error::Error for KeyError {}
