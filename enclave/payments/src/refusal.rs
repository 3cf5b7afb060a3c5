//! Why a payment is not taken, and why a call that ran gives no reply.

use std::fmt;

use gate::{
    keep::StoreError,
    ledger::{ChainError, Word},
};

use crate::{reason::Reason, x402::PaymentError};

/// Why nothing was set aside. Holds no wallet and no signature.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PaymentRefusal {
    /// What was shown does not pay for this call.
    NotPaid {
        /// The word.
        reason: Reason,
        /// What is wrong.
        what: String,
        /// How to fix it.
        fix: &'static str,
    },
    /// The call that this payment pays for is running, or ran and its settlement is not seen yet. The same payment for
    /// the same call gives the reply later; it is charged once.
    Pending {
        /// The settling transaction, once there is one.
        transaction: Option<Word>,
    },
    /// The chain does not answer. Says nothing about the payer.
    ChainUnreachable(ChainError),
    /// The journal does not answer. Says nothing about the payer.
    StoreUnavailable(StoreError),
    /// The gateway cannot settle at the moment. Says nothing about the payer.
    CannotSettle(Cannot),
}

/// Why the gateway cannot settle at the moment.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Cannot {
    /// Its clock and the chain's differ too much.
    Clocks {
        /// Local seconds.
        local: u64,
        /// The newest block's.
        chain: u64,
    },
    /// Gas costs more than the operator allows.
    FeeTooHigh {
        /// Wei per gas.
        base_fee: u128,
        /// The limit.
        limit: u128,
    },
    /// The account that pays for gas is nearly empty.
    FeePayerEmpty,
    /// What the token answers cannot be read: it is not the configured contract.
    NotTheToken,
}

impl fmt::Display for Cannot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clocks { local, chain } => {
                write!(f, "the gateway's clock ({local}) and the chain's ({chain}) are too far apart")
            }
            Self::FeeTooHigh { base_fee, limit } => {
                write!(f, "gas costs {base_fee} wei at the moment, the gateway pays up to {limit}")
            }
            Self::FeePayerEmpty => f.write_str("the gateway's account for gas is empty"),
            Self::NotTheToken => f.write_str("the configured token does not answer as an EIP-3009 token does"),
        }
    }
}

impl fmt::Display for PaymentRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPaid { what, .. } => f.write_str(what),
            Self::Pending { .. } => f.write_str("this payment's call is not settled yet"),
            Self::ChainUnreachable(error) => error.fmt(f),
            Self::StoreUnavailable(error) => error.fmt(f),
            Self::CannotSettle(cannot) => cannot.fmt(f),
        }
    }
}

impl std::error::Error for PaymentRefusal {}

impl PaymentRefusal {
    pub(crate) fn not_paid(reason: Reason, what: impl Into<String>, fix: &'static str) -> Self {
        Self::NotPaid { reason, what: what.into(), fix }
    }

    /// The word for programs.
    pub fn reason(&self) -> Reason {
        match self {
            Self::NotPaid { reason, .. } => *reason,
            Self::Pending { .. } => Reason::SettlementPending,
            Self::ChainUnreachable(_) | Self::StoreUnavailable(_) | Self::CannotSettle(_) => {
                Reason::UnexpectedVerifyError
            }
        }
    }

    /// How to fix it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::NotPaid { fix, .. } => fix,
            Self::Pending { .. } => "call again with the same payment in a few seconds: it is charged once",
            Self::ChainUnreachable(_) | Self::StoreUnavailable(_) => "call again later; nothing was charged",
            Self::CannotSettle(_) => "call again later, and tell the operator; nothing was charged",
        }
    }
}

impl From<ChainError> for PaymentRefusal {
    fn from(error: ChainError) -> Self {
        Self::ChainUnreachable(error)
    }
}

impl From<StoreError> for PaymentRefusal {
    fn from(error: StoreError) -> Self {
        Self::StoreUnavailable(error)
    }
}

impl From<PaymentError> for PaymentRefusal {
    fn from(error: PaymentError) -> Self {
        Self::not_paid(error.reason(), error.to_string(), error.fix())
    }
}

/// Why the reply of a call that ran is withheld.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SettleError {
    /// It is not known yet. Never a failure: the same payment for the same call gives the reply once it is.
    Pending {
        /// The settling transaction, once there is one.
        transaction: Option<Word>,
    },
    /// The money did not come and will not: nothing was charged, and there is no reply.
    Refused {
        /// The word.
        reason: Reason,
        /// What happened.
        what: String,
    },
}

impl SettleError {
    /// The word for programs.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Pending { .. } => Reason::SettlementPending,
            Self::Refused { reason, .. } => *reason,
        }
    }

    /// How to fix it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Pending { .. } => "call again with the same payment in a few seconds: it is charged once",
            Self::Refused { .. } => {
                "sign a new authorization, and leave it and the money alone until the call is answered"
            }
        }
    }
}

impl fmt::Display for SettleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pending { .. } => f.write_str("the call ran, and its payment is not seen on the chain yet"),
            Self::Refused { what, .. } => f.write_str(what),
        }
    }
}

impl std::error::Error for SettleError {}

impl From<SettleError> for PaymentRefusal {
    fn from(error: SettleError) -> Self {
        match error {
            SettleError::Pending { transaction } => Self::Pending { transaction },
            SettleError::Refused { reason, what } => Self::not_paid(
                reason,
                what,
                "sign a new authorization, and leave it and the money alone until the call is answered",
            ),
        }
    }
}
