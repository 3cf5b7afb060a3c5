//! Making a wallet token: the text to sign (`GET /api/auth/token-message`) and the token around it
//! (`POST /api/auth/create-token`).

use std::fmt;

use evidence::{UnixSeconds, Wallet};
use gate::keep::{Pseudonyms, StoreError, Tokens};

use crate::{
    InstantError, eth, parse_iso_8601,
    wallet_token::{self, WalletToken, WalletTokenFault},
};

/// What somebody wants a token for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TokenRequest {
    wallet: Wallet,
    expires_text: String,
    expires: UnixSeconds,
}

/// Why there is no token.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TokenRequestFault {
    /// `walletAddress` is none.
    Wallet(eth::WalletTextError),
    /// `expiresAt` is no instant.
    ExpiresAt(InstantError),
    /// `expiresAt` is past.
    Past {
        /// What was asked for.
        at: UnixSeconds,
    },
    /// `expiresAt` is more than [`wallet_token::MAX_AHEAD`] ahead.
    TooFar {
        /// What was asked for.
        at: UnixSeconds,
    },
    /// A narrower token was asked for. The signed text of version 1 has no place for that, so nobody could hold the
    /// token to it.
    NarrowerScope {
        /// Which member asked for it: `permissions` or `serverId`.
        member: &'static str,
    },
    /// The signature is not the wallet's over the text.
    Signature,
    /// The wallet revoked all it had, and nobody can tell whether this signature is from before: the wallet must show a
    /// session or sign the request.
    LogInFirst,
    /// This very text was signed before, and that token was revoked or is too old.
    Spent(WalletTokenFault),
}

/// A token that was made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Created {
    /// The token. A secret: it is shown to its owner once and not kept.
    pub token: String,
    /// Whose it is.
    pub wallet: Wallet,
    /// `expiresAt` as it was given, which is how it was signed.
    pub expires_at: String,
    /// When it ends here, which may be earlier: [`wallet_token::MAX_LIFE`] from now.
    pub ends: UnixSeconds,
}

impl TokenRequest {
    /// Reads a request. `expires_at` is kept as it is, to the character. An empty list of permissions and `*` are what a
    /// token gives anyway; anything else would be promised and not kept, and is refused.
    ///
    /// # Errors
    /// [`TokenRequestFault`], all of which are the asker's to mend.
    pub fn new(
        wallet_address: &str,
        expires_at: &str,
        permissions: &[&str],
        server_id: Option<&str>,
        now: UnixSeconds,
    ) -> Result<Self, TokenRequestFault> {
        let wallet = eth::parse_wallet(wallet_address).map_err(TokenRequestFault::Wallet)?;
        let expires = parse_iso_8601(expires_at).map_err(TokenRequestFault::ExpiresAt)?;
        if expires <= now {
            return Err(TokenRequestFault::Past { at: expires });
        }
        if expires.0 - now.0 > wallet_token::MAX_AHEAD {
            return Err(TokenRequestFault::TooFar { at: expires });
        }
        if !permissions.iter().all(|permission| matches!(*permission, "" | "*")) {
            return Err(TokenRequestFault::NarrowerScope { member: "permissions" });
        }
        if server_id.is_some_and(|id| !id.is_empty()) {
            return Err(TokenRequestFault::NarrowerScope { member: "serverId" });
        }
        Ok(Self { wallet, expires_text: expires_at.to_owned(), expires })
    }

    /// The text to sign with `personal_sign`.
    pub fn message(&self) -> String {
        wallet_token::gateway_message(self.wallet, &self.expires_text)
    }

    /// Makes the token from the wallet's signature and counts it as used, so that the wallet's next epoch ends it even
    /// if nobody ever shows it. `present` is the wallet that shows a session or has signed this request; it is needed
    /// once the wallet has an epoch.
    ///
    /// # Errors
    /// `Ok(Err(fault))` if there is none, [`StoreError`] if its first use could not be noted.
    pub async fn create(
        &self,
        signature: &str,
        present: Option<Wallet>,
        tokens: &impl Tokens,
        pseudonyms: &impl Pseudonyms,
        now: UnixSeconds,
    ) -> Result<Result<Created, TokenRequestFault>, StoreError> {
        let text = wallet_token::assemble(self.wallet, self.expires, &self.message(), signature);
        let Ok(token) = WalletToken::verify(&text, now) else { return Ok(Err(TokenRequestFault::Signature)) };
        Ok(match token.make(present == Some(self.wallet), tokens, pseudonyms, now).await? {
            None => Err(TokenRequestFault::LogInFirst),
            Some(Ok(ends)) => {
                Ok(Created { token: text, wallet: self.wallet, expires_at: self.expires_text.clone(), ends })
            }
            Some(Err(fault)) => Err(TokenRequestFault::Spent(fault)),
        })
    }
}

impl TokenRequestFault {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Wallet(_) => "bad_wallet_address",
            Self::ExpiresAt(_) | Self::Past { .. } | Self::TooFar { .. } => "bad_expires_at",
            Self::NarrowerScope { .. } => "scope_not_signable",
            Self::Signature => "bad_signature",
            Self::LogInFirst => "log_in_first",
            Self::Spent(_) => "token_spent",
        }
    }

    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Wallet(_) => "send walletAddress in lower case, or with its checksum",
            Self::ExpiresAt(_) | Self::Past { .. } => "send expiresAt as ISO 8601 in the future, with Z",
            Self::TooFar { .. } => "choose an expiresAt at most 366 days ahead",
            Self::NarrowerScope { .. } => "leave it out: a token of version 1 is good for everything",
            Self::Signature => "sign the text of /api/auth/token-message with personal_sign, unchanged, by the wallet",
            Self::LogInFirst => {
                "log in (GET /api/auth/challenge, sign, POST /api/auth/verify) and send the same again with its token as \
                 Authorization: Bearer"
            }
            Self::Spent(_) => "choose another expiresAt and sign again",
        }
    }
}

impl fmt::Display for TokenRequestFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wallet(error) => write!(f, "walletAddress: {error}"),
            Self::ExpiresAt(error) => write!(f, "expiresAt: {error}"),
            Self::Past { at } => write!(f, "expiresAt: {} is past", crate::iso_8601(*at)),
            Self::TooFar { at } => write!(
                f,
                "expiresAt: {} is more than {} days ahead",
                crate::iso_8601(*at),
                wallet_token::MAX_AHEAD / 86_400
            ),
            Self::NarrowerScope { member } => {
                write!(
                    f,
                    "{member}: the signed text of a wallet token has no place for it, so nothing could enforce it"
                )
            }
            Self::Signature => write!(f, "signature: not the wallet's over this text"),
            Self::LogInFirst => {
                write!(f, "this wallet revoked all it had: a new token is made for whoever has logged in since")
            }
            Self::Spent(fault) => write!(f, "a token with this text exists: {fault}"),
        }
    }
}

impl std::error::Error for TokenRequestFault {}
