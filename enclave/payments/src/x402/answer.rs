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
