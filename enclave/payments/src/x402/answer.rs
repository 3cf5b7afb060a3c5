//! What a paid answer says of its payment: `SettlementResponse`.

use evidence::json::{Value, object};

use crate::{
    purchase::SettledPayment,
    reason::Reason,
    x402::{Dialect, offer::checksummed},
};

/// `SettlementResponse` of a settled payment, for `PAYMENT-RESPONSE`, `X-PAYMENT-RESPONSE` and
/// `_meta["x402/payment-response"]`. It names the payer, so it goes to the payer only.
pub fn settlement_response(dialect: Dialect, settled: &SettledPayment) -> Value {
    object([
        ("success", true.into()),
        ("transaction", transaction(&settled.transaction)),
        ("network", network(dialect, &settled.authorization.network)),
        ("payer", checksummed(settled.authorization.from.as_bytes()).into()),
        ("amount", settled.authorization.value.units().to_string().into()),
    ])
}

/// `SettlementResponse` of one that is not. A transaction is named if one is on its way.
pub fn settlement_failed(dialect: Dialect, chain: &str, reason: Reason, pending: Option<&[u8; 32]>) -> Value {
    object([
        ("success", false.into()),
        ("errorReason", reason.as_str().into()),
        ("transaction", pending.map_or_else(|| "".into(), transaction)),
        ("network", network(dialect, chain)),
    ])
}

fn transaction(hash: &[u8; 32]) -> Value {
    format!("0x{}", hex::encode(hash)).into()
}

/// The chain in the words of who asked.
fn network(dialect: Dialect, chain: &str) -> Value {
    match (dialect, chain) {
        (Dialect::V1, "eip155:8453") => "base".into(),
        (Dialect::V1, "eip155:84532") => "base-sepolia".into(),
        _ => chain.into(),
    }
}

#[cfg(test)]
mod tests {
    use evidence::{UnixSeconds, UsdcAmount, Wallet, payment::Authorization};

    use super::*;

    #[test]
    fn a_settlement_is_told_in_the_words_of_who_paid() {
        let settled = SettledPayment {
            transaction: [0xab; 32],
            authorization: Authorization {
                network: "eip155:8453".to_owned(),
                asset: Wallet::new([1; 20]),
                from: "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf".parse().unwrap(),
                to: Wallet::new([2; 20]),
                value: UsdcAmount::from_units(500),
                valid_after: UnixSeconds(0),
                valid_before: UnixSeconds(1),
                nonce: [0; 32],
            },
            keep_until: UnixSeconds(0),
        };
        let hash = "ab".repeat(32);
        assert_eq!(
            settlement_response(Dialect::V2, &settled).to_text(),
            format!(
                r#"{{"success":true,"transaction":"0x{hash}","network":"eip155:8453","payer":"0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf","amount":"500"}}"#
            )
        );
        let v1 = settlement_response(Dialect::V1, &settled);
        assert_eq!(v1.member("network"), Some(&"base".into()));
        assert_eq!(
            settlement_failed(Dialect::V2, "eip155:8453", Reason::InsufficientFunds, None).to_text(),
            r#"{"success":false,"errorReason":"insufficient_funds","transaction":"","network":"eip155:8453"}"#
        );
    }
}
