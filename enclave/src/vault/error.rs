//! Why the vault did not do what was asked. Names are named, values never.

use std::fmt;

use gate::{Refusal, keep::StoreError};

use super::name::{BadName, MAX_VALUE_BYTES, SecretName, ValueFault};

/// Most secrets of one wallet for one server.
pub(crate) const MAX_NAMES: usize = 64;
/// Most bytes of names and values of one wallet for one server. The bridge's launch message takes 1 MiB in all
/// (`bridge::MESSAGE_LIMIT`), the environment of a process on Linux a quarter of its stack limit.
pub(crate) const MAX_SERVER_BYTES: usize = 256 << 10;
/// Most bytes of names and values of one wallet in all. Wallets cost nothing, so none may take much of the vault's room.
pub(crate) const MAX_WALLET_BYTES: usize = 1 << 20;
/// Most servers for which one wallet stores secrets.
pub(crate) const MAX_SERVERS: usize = 64;

/// Why not.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub(crate) enum VaultError {
    /// A name that cannot be one.
    Name(BadName),
    /// A value that cannot be one.
    Value {
        /// Which.
        name: SecretName,
        /// Why.
        fault: ValueFault,
    },
    /// The same name twice in one request.
    Twice(SecretName),
    /// No secret was sent.
    Nothing,
    /// More secrets for one server than there is room for.
    TooMany {
        /// How many there would be.
        found: usize,
    },
    /// More bytes for one server than there is room for.
    TooLong {
        /// How many there would be.
        found: usize,
    },
    /// Secrets for more servers than there is room for.
    TooManyServers,
    /// More bytes of one wallet than there is room for.
    WalletFull {
        /// How many there would be.
        found: usize,
    },
    /// Others wrote the same secrets at the same time, again and again.
    Contended,
    /// A stored secret does not open: it was altered, swapped, or written under another key.
    Damaged,
    /// The store.
    Store(StoreError),
    /// No randomness.
    Randomness,
}

impl From<StoreError> for VaultError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for VaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(error) => write!(f, "{error}"),
            Self::Value { name, fault } => write!(f, "the value of secret {:?} {fault}", name.as_str()),
            Self::Twice(name) => write!(f, "secret {:?} stands twice in the request", name.as_str()),
            Self::Nothing => f.write_str("the request names no secret"),
            Self::TooMany { found } => {
                write!(f, "the server would have {found} secrets of this wallet, at most {MAX_NAMES} are kept")
            }
            Self::TooLong { found } => write!(
                f,
                "the secrets of this wallet for the server would have {found} bytes, at most {MAX_SERVER_BYTES} are kept"
            ),
            Self::WalletFull { found } => {
                write!(f, "the secrets of this wallet would have {found} bytes, at most {MAX_WALLET_BYTES} are kept")
            }
            Self::TooManyServers => {
                write!(f, "this wallet has secrets for {MAX_SERVERS} servers, more are not kept")
            }
            Self::Contended => f.write_str("the same secrets were being written by others"),
            Self::Damaged => {
                f.write_str("a stored secret does not open: it was altered, swapped, or written elsewhere")
            }
            Self::Store(error) => write!(f, "{error}"),
            Self::Randomness => f.write_str("the operating system gave no randomness"),
        }
    }
}

impl std::error::Error for VaultError {}

impl VaultError {
    /// How to fix it.
    pub(crate) fn fix(&self) -> String {
        match self {
            Self::Name(error) => error.fix().to_owned(),
            Self::Value { fault: ValueFault::Empty, .. } => {
                "leave the name away, or send DELETE to forget what is stored".to_owned()
            }
            Self::Value { .. } => format!("send UTF-8 text of 1 to {MAX_VALUE_BYTES} bytes without NUL"),
            Self::Twice(_) => "send each name once".to_owned(),
            Self::Nothing => "send {\"secrets\":{\"NAME\":\"value\"}}".to_owned(),
            Self::TooMany { .. } | Self::TooLong { .. } => {
                "send DELETE and store anew only what the server needs".to_owned()
            }
            Self::TooManyServers | Self::WalletFull { .. } => "send DELETE for a server whose secrets are no longer needed".to_owned(),
            Self::Contended => "send it again".to_owned(),
            Self::Damaged => {
                "send DELETE and store the secrets anew; and tell the operator, who finds more in the log".to_owned()
            }
            Self::Store(StoreError::Full { .. }) => {
                "delete secrets that are no longer needed, or tell the operator: a vault in memory takes 64 MiB in all, with \
                 VAULT_PERSISTENCE_DIR (vault.persistence_dir) it takes 256 MiB; beyond that, run another gateway"
                    .to_owned()
            }
            Self::Store(_) | Self::Randomness => "come back later; the operator finds more in the log".to_owned(),
        }
    }

    /// What a call is refused with that needs a secret and cannot have it.
    pub(crate) fn refusal(&self) -> Refusal {
        match self {
            Self::Contended => Refusal::Busy { retry_after_s: 1 },
            other => {
                tracing::error!(error = %other, "the vault did not give a secret");
                Refusal::Internal { part: "vault" }
            }
        }
    }
}
