//! Wallet tokens, version 1: `mcpwt_` and base64url of JSON `{v:1, wallet, exp, msg, sig}`, as the verifiers of this
//! ecosystem take them. The wallet signed `msg` (EIP-191), three lines: what it is for, the wallet with its checksum,
//! and when it ends. The token proves itself; what we add is kept behind `Tokens`: a first use, from which it lives 90
//! days at most, a list of revoked ones, and the wallet's epoch.
//!
//! The text holds no time of issue, no audience and no permissions. So a token is as old as its first use here and is
//! good for everything. Of a wallet with an epoch no unknown token is taken, for nobody can tell when it was signed:
//! only those made here since (`token_request`), which count as used when they are made.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use evidence::{
    UnixSeconds, Wallet,
    json::{self, Limits, Value},
};
use gate::keep::{Pseudonyms, StoreError, Tokens};

use crate::{eth, parse_iso_8601, wallet_pseudonym};

/// How every token begins.
pub const PREFIX: &str = "mcpwt_";
/// Longest token, in bytes, its prefix included. Looked at before anything is decoded.
pub const MAX_BYTES: usize = 4096;
/// How long a token lives from its first use here, whatever it says: 90 days.
pub const MAX_LIFE: u64 = 90 * 86_400;

/// How far ahead the end of a token may lie: 366 days. What is kept of a token is kept until its end, and a client that
/// signs for a year gets one.
pub const MAX_AHEAD: u64 = 366 * 86_400;

const LIMITS: Limits = Limits { bytes: MAX_BYTES, depth: 8, number: 32, exponent: 99 };

/// First lines that are taken: both names under which the ecosystem's tokens are signed.
const PURPOSES: [&str; 2] = ["MCP Gateway Auth", "MCP Platform Auth"];

/// Why a token is refused. Holds nothing of the token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum WalletTokenFault {
    /// Longer than [`MAX_BYTES`].
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Not the prefix and unpadded base64url.
    NotBase64Url,
    /// Not strict JSON: broken, or with a name twice.
    NotJson,
    /// A member is missing or is not what it must be.
    Member {
        /// Its name.
        name: &'static str,
    },
    /// The signed text is not the three lines, or not about this wallet.
    Message,
    /// `exp` is not the instant in the signed text.
    Expiry,
    /// It has ended.
    Expired {
        /// When.
        at: UnixSeconds,
    },
    /// Its end lies more than [`MAX_AHEAD`] ahead.
    TooFar {
        /// When it would end.
        at: UnixSeconds,
    },
    /// It is not signed by its wallet.
    Signature,
    /// [`MAX_LIFE`] after its first use.
    TooOld {
        /// When it was first used.
        first_use: UnixSeconds,
    },
    /// This token was revoked, or all older credentials of the wallet were and this one is older or not known here.
    Revoked,
}

impl WalletTokenFault {
    /// A stable word for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLong { .. } => "wallet_token_too_long",
            Self::NotBase64Url | Self::NotJson | Self::Member { .. } | Self::Message | Self::Expiry => {
                "wallet_token_malformed"
            }
            Self::Expired { .. } => "wallet_token_expired",
            Self::TooFar { .. } => "wallet_token_too_far",
            Self::Signature => "wallet_token_bad_signature",
            Self::TooOld { .. } => "wallet_token_too_old",
            Self::Revoked => "wallet_token_revoked",
        }
    }

    /// What to do about it.
    pub fn fix(self) -> &'static str {
        match self {
            Self::Revoked => {
                "make a new one with POST /api/auth/create-token, as whoever has logged in: POST /api/auth/verify, then \
                 send its token as Authorization: Bearer"
            }
            Self::TooFar { .. } => "make one that ends within 366 days: POST /api/auth/create-token",
            _ => "get a new token: GET /api/auth/token-message, sign, POST /api/auth/create-token",
        }
    }
}

impl fmt::Display for WalletTokenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes } => write!(f, "wallet token: {bytes} bytes, at most {MAX_BYTES} are looked at"),
            Self::NotBase64Url => write!(f, "wallet token: want {PREFIX} and base64url without padding"),
            Self::NotJson => write!(f, "wallet token: its content is not JSON, or has a name twice"),
            Self::Member { name } => write!(f, "wallet token: member {name:?} is missing or is not what it must be"),
            Self::Message => write!(f, "wallet token: the signed text is not the three lines about this wallet"),
            Self::Expiry => write!(f, "wallet token: exp is not the instant in the signed text"),
            Self::Expired { at } => write!(f, "wallet token: it ended at {}", crate::iso_8601(*at)),
            Self::TooFar { at } => write!(
                f,
                "wallet token: it would end at {}, more than {} days ahead",
                crate::iso_8601(*at),
                MAX_AHEAD / 86_400
            ),
            Self::Signature => write!(f, "wallet token: it is not signed by its wallet"),
            Self::TooOld { first_use } => write!(
                f,
                "wallet token: first used at {}, and {} days are all it gets",
                crate::iso_8601(*first_use),
                MAX_LIFE / 86_400
            ),
            Self::Revoked => write!(f, "wallet token: revoked"),
        }
    }
}

impl std::error::Error for WalletTokenFault {}

/// A token that its wallet signed and that has not ended. Whether it was revoked is not known yet: see [`Self::admit`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WalletToken {
    wallet: Wallet,
    expires: UnixSeconds,
    message: String,
}

impl WalletToken {
    /// Reads a token and checks all that it says about itself.
    ///
    /// # Errors
    /// [`WalletTokenFault`].
    pub fn verify(text: &str, now: UnixSeconds) -> Result<Self, WalletTokenFault> {
        let token = Claim::parse(text)?;
        token.verify(now)
    }

    /// Whose it is.
    pub fn wallet(&self) -> Wallet {
        self.wallet
    }

    /// The end that was signed.
    pub fn expires(&self) -> UnixSeconds {
        self.expires
    }

    /// Names this token in the store: the pseudonym of the signed text, which holds the wallet. Another spelling of the
    /// same token, or a second signature over the same text, is the same token.
    pub fn fingerprint(&self, pseudonyms: &impl Pseudonyms) -> [u8; 32] {
        pseudonyms.of("token", self.message.as_bytes())
    }

    /// Asks the store whether the token is still good, and notes its first use. Answers with its last second here.
    ///
    /// # Errors
    /// `Ok(Err(fault))` if it is not, [`StoreError`] if nobody knows.
    pub async fn admit(
        &self,
        tokens: &impl Tokens,
        pseudonyms: &impl Pseudonyms,
        now: UnixSeconds,
    ) -> Result<Result<UnixSeconds, WalletTokenFault>, StoreError> {
        let fingerprint = self.fingerprint(pseudonyms);
        if tokens.is_denied(fingerprint).await? {
            return Ok(Err(WalletTokenFault::Revoked));
        }
        let wallet = wallet_pseudonym(pseudonyms, self.wallet);
        if tokens.epoch(wallet).await?.is_some() && tokens.known_since(fingerprint, self.expires).await?.is_none() {
            return Ok(Err(WalletTokenFault::Revoked));
        }
        self.use_noted(tokens, pseudonyms, now).await
    }

    /// [`Self::admit`] of a token that is being made: it may be unknown although its wallet has an epoch, if the wallet
    /// `is_present`. A signature alone is no sign of that: whoever holds an older token holds its signature.
    ///
    /// # Errors
    /// As [`Self::admit`]. `Ok(None)`: the wallet must show itself.
    pub(crate) async fn make(
        &self,
        is_present: bool,
        tokens: &impl Tokens,
        pseudonyms: &impl Pseudonyms,
        now: UnixSeconds,
    ) -> Result<Option<Result<UnixSeconds, WalletTokenFault>>, StoreError> {
        let fingerprint = self.fingerprint(pseudonyms);
        if tokens.is_denied(fingerprint).await? {
            return Ok(Some(Err(WalletTokenFault::Revoked)));
        }
        let wallet = wallet_pseudonym(pseudonyms, self.wallet);
        let is_unknown = tokens.known_since(fingerprint, self.expires).await?.is_none();
        if is_unknown && !is_present && tokens.epoch(wallet).await?.is_some() {
            return Ok(None);
        }
        self.use_noted(tokens, pseudonyms, now).await.map(Some)
    }

    async fn use_noted(
        &self,
        tokens: &impl Tokens,
        pseudonyms: &impl Pseudonyms,
        now: UnixSeconds,
    ) -> Result<Result<UnixSeconds, WalletTokenFault>, StoreError> {
        let first_use = tokens.first_use(self.fingerprint(pseudonyms), self.expires, now).await?;
        // Forgotten, so it ended before the clock was set back.
        let Some(first_use) = first_use else { return Ok(Err(WalletTokenFault::Expired { at: self.expires })) };
        // After the use is noted: an epoch raised meanwhile counts.
        let epoch = tokens.epoch(wallet_pseudonym(pseudonyms, self.wallet)).await?;
        if epoch.is_some_and(|epoch| first_use < epoch) {
            return Ok(Err(WalletTokenFault::Revoked));
        }
        let end = UnixSeconds(first_use.0.saturating_add(MAX_LIFE)).min(self.expires);
        Ok(if now < end { Ok(end) } else { Err(WalletTokenFault::TooOld { first_use }) })
    }
}

/// A token as read: nothing of it is checked.
struct Claim {
    wallet: Wallet,
    exp: u64,
    message: String,
    signature: String,
}

impl Claim {
    fn parse(text: &str) -> Result<Self, WalletTokenFault> {
        if text.len() > MAX_BYTES {
            return Err(WalletTokenFault::TooLong { bytes: text.len() });
        }
        let encoded = text.strip_prefix(PREFIX).ok_or(WalletTokenFault::NotBase64Url)?;
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(encoded).map_err(|_| WalletTokenFault::NotBase64Url)?;
        let object = json::parse(&bytes, &LIMITS).map_err(|_| WalletTokenFault::NotJson)?;
        if object.member("v") != Some(&Value::Number("1".into())) {
            return Err(WalletTokenFault::Member { name: "v" });
        }
        let string = |name| object.member(name).and_then(Value::as_str).ok_or(WalletTokenFault::Member { name });
        let wallet = eth::parse_wallet(string("wallet")?).map_err(|_| WalletTokenFault::Member { name: "wallet" })?;
        let exp = match object.member("exp") {
            Some(Value::Number(digits)) => digits.parse().map_err(|_| WalletTokenFault::Member { name: "exp" })?,
            _ => return Err(WalletTokenFault::Member { name: "exp" }),
        };
        Ok(Self { wallet, exp, message: string("msg")?.to_owned(), signature: string("sig")?.to_owned() })
    }

    fn verify(self, now: UnixSeconds) -> Result<WalletToken, WalletTokenFault> {
        let expires_text = self.expires_text().ok_or(WalletTokenFault::Message)?;
        let expires = parse_iso_8601(expires_text).map_err(|_| WalletTokenFault::Message)?;
        if expires.0 != self.exp {
            return Err(WalletTokenFault::Expiry);
        }
        if expires <= now {
            return Err(WalletTokenFault::Expired { at: expires });
        }
        if expires.0 - now.0 > MAX_AHEAD {
            return Err(WalletTokenFault::TooFar { at: expires });
        }
        let signer = eth::recover_personal(self.message.as_bytes(), &self.signature);
        if signer != Ok(self.wallet) {
            return Err(WalletTokenFault::Signature);
        }
        Ok(WalletToken { wallet: self.wallet, expires, message: self.message })
    }

    /// The text after `Expires: `, if the message is, byte for byte, the one we would have written around it.
    fn expires_text(&self) -> Option<&str> {
        let (_, expires) = self.message.rsplit_once("\nExpires: ")?;
        PURPOSES.iter().any(|purpose| message(purpose, self.wallet, expires) == self.message).then_some(expires)
    }
}

/// The text that a wallet signs.
fn message(purpose: &str, wallet: Wallet, expires: &str) -> String {
    format!("{purpose}\nWallet: {}\nExpires: {expires}", eth::checksummed(wallet))
}

/// The text that a wallet signs for a token of this gateway; `expires` is kept as it was given.
pub(crate) fn gateway_message(wallet: Wallet, expires: &str) -> String {
    message("MCP Gateway Auth", wallet, expires)
}

/// A token's text. The signature is of `msg` by `wallet`, or [`WalletToken::verify`] will not have it.
pub(crate) fn assemble(wallet: Wallet, exp: UnixSeconds, msg: &str, sig: &str) -> String {
    let object = json::object([
        ("v", Value::from(1)),
        ("wallet", Value::String(eth::checksummed(wallet))),
        ("exp", Value::from(exp.0)),
        ("msg", Value::String(msg.to_owned())),
        ("sig", Value::String(sig.to_owned())),
    ]);
    format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(object.to_text()))
}
