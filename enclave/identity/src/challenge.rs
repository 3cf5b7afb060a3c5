//! Login by challenge: `GET /api/auth/challenge` and `POST /api/auth/verify`.
//!
//! Nothing is kept for a challenge until it is met. Its nonce proves itself (16 random bytes, when it was made, and a
//! MAC over them and the gateway), lives five minutes and counts once. The text to sign is rebuilt from the nonce, so a
//! caller chooses no part of it.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use evidence::{
    UnixSeconds, Wallet,
    json::{self, Limits, Value},
};
use gate::keep::{MarkKind, Marks, Pseudonyms, StoreError};

use crate::{Audience, eth, iso_8601};

/// How long a challenge can be met, in seconds.
pub const LIFE: u64 = 300;
/// Longest body of a login, in bytes.
pub const MAX_BODY: usize = 4096;

/// A challenge: what the caller gets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Challenge {
    /// Opaque to the caller, who sends it back.
    pub nonce: String,
    /// The text to sign with `personal_sign`.
    pub message: String,
}

/// A nonce of ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Nonce {
    random: [u8; 16],
    issued: UnixSeconds,
}

/// Why a login is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LoginFault {
    /// The body is not a small strict JSON object.
    Body,
    /// A member is missing or is no string.
    Member {
        /// Its name.
        name: &'static str,
    },
    /// `testMode` was sent. There is none.
    TestMode,
    /// `walletAddress` is none.
    Wallet(eth::WalletTextError),
    /// The nonce is not one of this gateway's.
    ForeignNonce,
    /// The nonce is older than [`LIFE`].
    Expired,
    /// The signature is not the wallet's over the challenge.
    Signature,
    /// The challenge was met before.
    Used,
}

impl Challenge {
    /// Makes a challenge. `random` must be unguessable and fresh.
    pub fn make(audience: &Audience, random: [u8; 16], pseudonyms: &impl Pseudonyms, now: UnixSeconds) -> Self {
        let nonce = Nonce { random, issued: now };
        Self { nonce: nonce.text(audience, pseudonyms), message: nonce.message(audience, pseudonyms) }
    }
}

/// What a caller sends to log in; nothing of it is checked.
#[derive(Clone, Eq, PartialEq)]
pub struct Login {
    wallet: Wallet,
    signature: String,
    nonce: String,
}

impl Login {
    /// Reads `{walletAddress, signature, nonce}`; other members are not looked at, but `testMode` is refused whatever
    /// its value.
    ///
    /// # Errors
    /// [`LoginFault`].
    pub fn parse(body: &[u8]) -> Result<Self, LoginFault> {
        let limits = Limits { bytes: MAX_BODY, depth: 8, number: 32, exponent: 99 };
        let object = json::parse(body, &limits).map_err(|_| LoginFault::Body)?;
        if object.as_object().ok_or(LoginFault::Body)?.iter().any(|(name, _)| name == "testMode") {
            return Err(LoginFault::TestMode);
        }
        let string = |name| object.member(name).and_then(Value::as_str).ok_or(LoginFault::Member { name });
        Ok(Self {
            wallet: eth::parse_wallet(string("walletAddress")?).map_err(LoginFault::Wallet)?,
            signature: string("signature")?.to_owned(),
            nonce: string("nonce")?.to_owned(),
        })
    }

    /// Checks that the wallet met one of our challenges, and uses the challenge up.
    ///
    /// # Errors
    /// `Ok(Err(fault))` if it did not, [`StoreError`] if nobody knows whether it was used.
    pub async fn verify(
        &self,
        audience: &Audience,
        marks: &impl Marks,
        pseudonyms: &impl Pseudonyms,
        now: UnixSeconds,
    ) -> Result<Result<Wallet, LoginFault>, StoreError> {
        let nonce = match self.check(audience, pseudonyms, now) {
            Ok(nonce) => nonce,
            Err(fault) => return Ok(Err(fault)),
        };
        let key = pseudonyms.of("challenge-used", &nonce.random);
        let fresh = marks.mark(MarkKind::Challenge, key, nonce.expires(), now).await?;
        Ok(if fresh { Ok(self.wallet) } else { Err(LoginFault::Used) })
    }

    fn check(&self, audience: &Audience, pseudonyms: &impl Pseudonyms, now: UnixSeconds) -> Result<Nonce, LoginFault> {
        let nonce = Nonce::open(&self.nonce, audience, pseudonyms).ok_or(LoginFault::ForeignNonce)?;
        if now >= nonce.expires() {
            return Err(LoginFault::Expired);
        }
        let message = nonce.message(audience, pseudonyms);
        match eth::recover_personal(message.as_bytes(), &self.signature) {
            Ok(signer) if signer == self.wallet => Ok(nonce),
            _ => Err(LoginFault::Signature),
        }
    }
}

impl Nonce {
    const BYTES: usize = 16 + 8 + 32;

    fn expires(self) -> UnixSeconds {
        UnixSeconds(self.issued.0.saturating_add(LIFE))
    }

    /// Fixed lengths first, so that no two inputs run together.
    fn mac(self, audience: &Audience, pseudonyms: &impl Pseudonyms) -> [u8; 32] {
        let input = [&self.random[..], &self.issued.0.to_be_bytes(), audience.as_str().as_bytes()].concat();
        pseudonyms.of("challenge", &input)
    }

    fn text(self, audience: &Audience, pseudonyms: &impl Pseudonyms) -> String {
        let bytes = [&self.random[..], &self.issued.0.to_be_bytes(), &self.mac(audience, pseudonyms)].concat();
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    fn open(text: &str, audience: &Audience, pseudonyms: &impl Pseudonyms) -> Option<Self> {
        // Base64 makes four characters of three bytes; a longer text is not worth decoding.
        if text.len() > Self::BYTES * 4 / 3 + 1 {
            return None;
        }
        let bytes: [u8; Self::BYTES] = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (random, rest) = bytes.split_first_chunk::<16>()?;
        let (issued, mac) = rest.split_first_chunk::<8>()?;
        let nonce = Self { random: *random, issued: UnixSeconds(u64::from_be_bytes(*issued)) };
        evidence::ct_eq(&nonce.mac(audience, pseudonyms), mac).then_some(nonce)
    }

    fn message(self, audience: &Audience, pseudonyms: &impl Pseudonyms) -> String {
        format!(
            "{} asks you to sign in with your wallet. This costs nothing and moves no money.\n\n\
             Purpose: session\nNonce: {}\nIssued At: {}\nExpiration Time: {}",
            audience.as_str(),
            self.text(audience, pseudonyms),
            iso_8601(self.issued),
            iso_8601(self.expires()),
        )
    }
}

impl LoginFault {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Body | Self::Member { .. } => "bad_login_body",
            Self::TestMode => "test_mode_refused",
            Self::Wallet(_) => "bad_wallet_address",
            Self::ForeignNonce => "bad_nonce",
            Self::Expired => "challenge_expired",
            Self::Signature => "bad_signature",
            Self::Used => "challenge_used",
        }
    }

    /// Whether what was sent is malformed, rather than not proven.
    pub fn is_malformed(&self) -> bool {
        matches!(self, Self::Body | Self::Member { .. } | Self::TestMode | Self::Wallet(_))
    }

    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Body | Self::Member { .. } => "send a JSON object with walletAddress, signature and nonce",
            Self::TestMode => "leave testMode out and sign the challenge",
            Self::Wallet(_) => "send walletAddress in lower case, or with its checksum",
            Self::ForeignNonce | Self::Expired | Self::Used => "ask /api/auth/challenge for a new one",
            Self::Signature => "sign the challenge's message with personal_sign, unchanged, by the wallet",
        }
    }
}

impl fmt::Display for LoginFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body => write!(f, "login: the body is not a JSON object of at most {MAX_BODY} bytes"),
            Self::Member { name } => write!(f, "login: member {name:?} is missing or is no string"),
            Self::TestMode => write!(f, "login: there is no test mode"),
            Self::Wallet(error) => write!(f, "login: {error}"),
            Self::ForeignNonce => write!(f, "login: this nonce is not of this gateway"),
            Self::Expired => write!(f, "login: the challenge is older than {LIFE} seconds"),
            Self::Signature => write!(f, "login: the signature is not the wallet's over the challenge"),
            Self::Used => write!(f, "login: the challenge was met before"),
        }
    }
}

impl std::error::Error for LoginFault {}
