//! Reasons, in the words of x402 v2 (specification, "Error codes"; scheme `exact` on EVM).

/// Why a payment is not taken, as a word for programs.
///
/// Libraries in the wild use other words for the same: `network_mismatch` and `invalid_exact_evm_network_mismatch` for
/// `invalid_network`; `invalid_exact_evm_scheme` for `unsupported_scheme`; `invalid_exact_evm_signature` for
/// `invalid_exact_evm_payload_signature`; `invalid_exact_evm_recipient_mismatch`, `invalid_exact_evm_authorization_value`
/// and `invalid_exact_evm_insufficient_balance` without `payload`. These are never emitted here.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reason {
    /// Nothing was shown.
    PaymentRequired,
    /// Not x402 of version 1 or 2.
    InvalidX402Version,
    /// It cannot be read.
    InvalidPayload,
    /// What the payer accepted is not what was offered.
    InvalidPaymentRequirements,
    /// Another chain.
    InvalidNetwork,
    /// Another scheme.
    UnsupportedScheme,
    /// It pays somebody else.
    RecipientMismatch,
    /// It pays another amount.
    ValueMismatch,
    /// It is not valid yet.
    ValidAfter,
    /// It is not valid any more, or not for long enough.
    ValidBefore,
    /// It is not signed by the payer.
    Signature,
    /// The payer does not have as much, or not beside what else is set aside.
    InsufficientFunds,
    /// It was used, or cancelled, or pays for another call.
    NonceAlreadyUsed,
    /// The token would refuse it, or refused it.
    InvalidTransactionState,
    /// It is on its way and not seen on the chain yet.
    SettlementPending,
    /// Something of ours failed while checking.
    UnexpectedVerifyError,
    /// Something of ours failed while settling.
    UnexpectedSettleError,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::PaymentRequired,
        Self::InvalidX402Version,
        Self::InvalidPayload,
        Self::InvalidPaymentRequirements,
        Self::InvalidNetwork,
        Self::UnsupportedScheme,
        Self::RecipientMismatch,
        Self::ValueMismatch,
        Self::ValidAfter,
        Self::ValidBefore,
        Self::Signature,
        Self::InsufficientFunds,
        Self::NonceAlreadyUsed,
        Self::InvalidTransactionState,
        Self::SettlementPending,
        Self::UnexpectedVerifyError,
        Self::UnexpectedSettleError,
    ];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PaymentRequired => "payment_required",
            Self::InvalidX402Version => "invalid_x402_version",
            Self::InvalidPayload => "invalid_payload",
            Self::InvalidPaymentRequirements => "invalid_payment_requirements",
            Self::InvalidNetwork => "invalid_network",
            Self::UnsupportedScheme => "unsupported_scheme",
            Self::RecipientMismatch => "invalid_exact_evm_payload_recipient_mismatch",
            Self::ValueMismatch => "invalid_exact_evm_payload_authorization_value_mismatch",
            Self::ValidAfter => "invalid_exact_evm_payload_authorization_valid_after",
            Self::ValidBefore => "invalid_exact_evm_payload_authorization_valid_before",
            Self::Signature => "invalid_exact_evm_payload_signature",
            Self::InsufficientFunds => "insufficient_funds",
            Self::NonceAlreadyUsed => "invalid_exact_evm_nonce_already_used",
            Self::InvalidTransactionState => "invalid_transaction_state",
            Self::SettlementPending => "settlement_pending",
            Self::UnexpectedVerifyError => "unexpected_verify_error",
            Self::UnexpectedSettleError => "unexpected_settle_error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Reason;

    #[test]
    fn every_reason_has_a_word_of_its_own() {
        for (at, reason) in Reason::ALL.iter().enumerate() {
            assert!(Reason::ALL[..at].iter().all(|other| other.as_str() != reason.as_str()), "{reason:?}");
        }
    }
}
