//! Why a caller is not who they say, or why nobody knows.

use std::fmt;

use gate::keep::StoreError;

use crate::{
    challenge::LoginFault, session::SessionFault, signed_request::SignatureFault, token_request::TokenRequestFault,
    wallet_token::WalletTokenFault,
};

/// Why a caller is not known. Holds no credential.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum IdentityError {
    /// Two `Authorization` lines.
    TwoAuthorizations,
    /// `Authorization` of a scheme that is not `Bearer`, or with no token in it.
    UnknownScheme,
    /// A bearer that is neither a wallet token nor a session.
    UnknownBearer,
    /// A wallet token that is refused.
    WalletToken(WalletTokenFault),
    /// A session that is refused.
    Session(SessionFault),
    /// A signed request that is refused; a bearer beside it does not count.
    Signature(SignatureFault),
    /// A login that is refused.
    Login(LoginFault),
    /// A wallet token that was not made.
    TokenRequest(TokenRequestFault),
    /// The store does not say. Nobody is taken for anybody.
    Unavailable(StoreError),
}

/// What kind of answer an error is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// What was sent cannot be read: 400.
    Malformed,
    /// Nothing is proven: 401.
    Unauthenticated,
    /// Ours to mend: 503.
    Unavailable,
}

impl IdentityError {
    /// What kind of answer it is.
    pub fn class(&self) -> Class {
        match self {
            Self::TwoAuthorizations | Self::Signature(SignatureFault::TooLarge { .. }) => Class::Malformed,
            Self::Login(fault) if fault.is_malformed() => Class::Malformed,
            Self::TokenRequest(TokenRequestFault::Signature | TokenRequestFault::LogInFirst) => Class::Unauthenticated,
            Self::TokenRequest(_) => Class::Malformed,
            Self::Unavailable(_) => Class::Unavailable,
            _ => Class::Unauthenticated,
        }
    }

    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TwoAuthorizations => "two_authorizations",
            Self::UnknownScheme => "unknown_scheme",
            Self::UnknownBearer => "unknown_bearer",
            Self::WalletToken(fault) => fault.code(),
            Self::Session(fault) => fault.code(),
            Self::Signature(fault) => fault.code(),
            Self::Login(fault) => fault.code(),
            Self::TokenRequest(fault) => fault.code(),
            Self::Unavailable(_) => "identity_unavailable",
        }
    }

    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::TwoAuthorizations => "send one Authorization header",
            Self::UnknownScheme => "send Authorization: Bearer <token>, or sign the request (ERC-8128)",
            Self::WalletToken(fault) => fault.fix(),
            Self::UnknownBearer => "get a new token: GET /api/auth/token-message, sign, POST /api/auth/create-token",
            Self::Session(_) => "log in again: GET /api/auth/challenge, sign, POST /api/auth/verify",
            Self::Signature(fault) => fault.fix(),
            Self::Login(fault) => fault.fix(),
            Self::TokenRequest(fault) => fault.fix(),
            Self::Unavailable(_) => "try again later; this is the gateway's fault, not your credential's",
        }
    }
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TwoAuthorizations => write!(f, "Authorization: there are two"),
            Self::UnknownScheme => write!(f, "Authorization: not Bearer and a token"),
            Self::UnknownBearer => write!(f, "Authorization: neither a wallet token nor a session"),
            Self::WalletToken(fault) => write!(f, "{fault}"),
            Self::Session(fault) => write!(f, "{fault}"),
            Self::Signature(fault) => write!(f, "{fault}"),
            Self::Login(fault) => write!(f, "{fault}"),
            Self::TokenRequest(fault) => write!(f, "{fault}"),
            Self::Unavailable(error) => write!(f, "who is calling cannot be told now: {error}"),
        }
    }
}

impl std::error::Error for IdentityError {}

impl From<StoreError> for IdentityError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error)
    }
}
