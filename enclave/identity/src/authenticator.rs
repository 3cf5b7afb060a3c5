//! One answer to "who is calling?" from everything a request shows.

use std::sync::Arc;

use evidence::{UnixSeconds, Wallet};
use gate::keep::{Marks, Pseudonyms, Tokens};

use crate::{
    Audience, IdentityError,
    challenge::{Challenge, Login},
    session::{Opened, Sessions},
    signed_request::{Rules, SignedRequest},
    token_request::{Created, TokenRequest},
    wallet_token::{self, WalletToken},
};

/// Who is calling.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Authentication {
    /// `None`: nobody in particular.
    pub wallet: Option<Wallet>,
    /// What proved it.
    pub by: By,
    /// A bearer stood beside the signature and was not looked at.
    pub bearer_ignored: bool,
}

/// What proved who is calling.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum By {
    /// Nothing was shown.
    Nothing,
    /// A wallet token.
    WalletToken,
    /// A session.
    Session,
    /// The signature of this request.
    Signature,
}

/// Tells who is calling, and lets callers log in.
///
/// A signature wins over a bearer. Whatever is shown and does not hold is an error: nobody falls back to a bearer or to
/// being anonymous.
pub struct Authenticator<S, P> {
    /// Marks and tokens.
    store: Arc<S>,
    pseudonyms: Arc<P>,
    audience: Audience,
    sessions: Sessions,
    rules: Rules,
}

impl<S: Marks + Tokens, P: Pseudonyms> Authenticator<S, P> {
    /// `audience` is what challenges name; `sessions` have their own, which should be the same.
    pub fn new(store: Arc<S>, pseudonyms: Arc<P>, audience: Audience, sessions: Sessions, rules: Rules) -> Self {
        Self { store, pseudonyms, audience, sessions, rules }
    }

    /// Who sent this request?
    ///
    /// # Errors
    /// [`IdentityError`].
    pub async fn authenticate(
        &self,
        request: &SignedRequest<'_>,
        now: UnixSeconds,
    ) -> Result<Authentication, IdentityError> {
        let authorization = authorization(request)?;
        if request.has_signature() {
            let signer = request.verify(&self.rules, &*self.store, &*self.pseudonyms, now).await?;
            let signer = signer.map_err(IdentityError::Signature)?;
            let bearer_ignored = authorization.is_some();
            return Ok(Authentication { wallet: Some(signer.wallet), by: By::Signature, bearer_ignored });
        }
        let Some(authorization) = authorization else {
            return Ok(Authentication { wallet: None, by: By::Nothing, bearer_ignored: false });
        };
        let (wallet, by) = self.bearer(bearer(authorization)?, now).await?;
        Ok(Authentication { wallet: Some(wallet), by, bearer_ignored: false })
    }

    /// A new challenge. `random` must be unguessable and fresh.
    pub fn challenge(&self, random: [u8; 16], now: UnixSeconds) -> Challenge {
        Challenge::make(&self.audience, random, &*self.pseudonyms, now)
    }

    /// Opens a session for who met a challenge: `body` is that of `POST /api/auth/verify`. `id` must be fresh.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub async fn login(&self, body: &[u8], id: [u8; 16], now: UnixSeconds) -> Result<(Wallet, Opened), IdentityError> {
        let login = Login::parse(body).map_err(IdentityError::Login)?;
        let wallet = login.verify(&self.audience, &*self.store, &*self.pseudonyms, now).await?;
        let wallet = wallet.map_err(IdentityError::Login)?;
        let opened = self.sessions.open(wallet, id, now).map_err(|error| {
            IdentityError::Unavailable(gate::keep::StoreError::Unavailable { why: error.to_string() })
        })?;
        Ok((wallet, opened))
    }

    /// Makes a wallet token. `present` as in [`TokenRequest::create`]: the wallet that [`Self::authenticate`] knew by
    /// [`By::Session`] or [`By::Signature`], needed only after [`crate::token_request::TokenRequestFault::LogInFirst`].
    ///
    /// # Errors
    /// [`IdentityError`].
    pub async fn create_token(
        &self,
        request: &TokenRequest,
        signature: &str,
        present: Option<Wallet>,
        now: UnixSeconds,
    ) -> Result<Created, IdentityError> {
        let created = request.create(signature, present, &*self.store, &*self.pseudonyms, now).await?;
        created.map_err(IdentityError::TokenRequest)
    }

    /// Those who sign sessions, for the key set and the state.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    async fn bearer(&self, token: &str, now: UnixSeconds) -> Result<(Wallet, By), IdentityError> {
        if token.starts_with(wallet_token::PREFIX) {
            let token = WalletToken::verify(token, now).map_err(IdentityError::WalletToken)?;
            let admitted = token.admit(&*self.store, &*self.pseudonyms, now).await?;
            admitted.map_err(IdentityError::WalletToken)?;
            return Ok((token.wallet(), By::WalletToken));
        }
        // A JWT has two dots; anything else is not worth calling one.
        if token.bytes().filter(|byte| *byte == b'.').count() != 2 {
            return Err(IdentityError::UnknownBearer);
        }
        let session = self.sessions.verify(token, now).map_err(IdentityError::Session)?;
        session.admit(&*self.store, &*self.pseudonyms).await?.map_err(IdentityError::Session)?;
        Ok((session.wallet, By::Session))
    }
}

/// The one `Authorization` line, if there is one.
fn authorization<'a>(request: &SignedRequest<'a>) -> Result<Option<&'a [u8]>, IdentityError> {
    let mut lines = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    match (lines.next(), lines.next()) {
        (_, Some(_)) => Err(IdentityError::TwoAuthorizations),
        (Some((_, value)), None) => Ok(Some(*value)),
        (None, None) => Ok(None),
    }
}

/// The token of `Bearer <token>`; the scheme is read without case (RFC 9110 11.1), and one space follows it.
fn bearer(authorization: &[u8]) -> Result<&str, IdentityError> {
    let text = std::str::from_utf8(authorization).map_err(|_| IdentityError::UnknownScheme)?;
    let (scheme, token) = text.trim_matches([' ', '\t']).split_once(' ').ok_or(IdentityError::UnknownScheme)?;
    let token_form = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
    if scheme.eq_ignore_ascii_case("bearer") && token_form { Ok(token) } else { Err(IdentityError::UnknownScheme) }
}
