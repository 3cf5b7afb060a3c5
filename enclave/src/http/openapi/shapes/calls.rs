//! Calls, over REST and MCP, and what pays for them.

use serde_json::Value;
use utoipa::ToSchema;

use super::Anything;

/// The arguments of a tool: the object itself, not wrapped.
#[derive(ToSchema)]
#[schema(examples(json!({"message": "hello"})))]
pub(crate) struct Arguments {}

/// What a tool answered, its proof, and what was paid.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", examples(json!({
    "content": [{"type": "text", "text": "Echo: hello"}],
    "payment": {"verified": true, "settled": true, "amount": "500", "txHash": format!("0x{}", "ab".repeat(32))},
    "proof": {"proof": {"body": {}, "tag": "…", "signature": "…"}, "opening": {}, "settlement": null},
})))]
pub(crate) struct CallResult {
    /// Blocks, as the server sent them.
    content: Option<Vec<Value>>,
    structured_content: Option<Value>,
    /// Whether the tool says that it failed. A call that failed is proven and not charged.
    is_error: Option<bool>,
    payment: Option<Paid>,
    /// `{proof, opening, settlement}` (docs/WIRE.md, P5)
    #[schema(value_type = Object)]
    proof: Anything,
}

/// What was paid.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Paid {
    verified: bool,
    settled: bool,
    /// Base units of USDC.
    amount: String,
    tx_hash: String,
}

/// What a call costs and how it is paid: x402 version 1. Version 2 of the same stands in `PAYMENT-REQUIRED`.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", examples(json!({
    "x402Version": 1,
    "error": "payment_required",
    "accepts": [{
        "scheme": "exact", "network": "base", "maxAmountRequired": "500",
        "payTo": "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf",
        "asset": "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
    }],
    "message": "payment required; pay what accepts asks for and send it in PAYMENT-SIGNATURE or X-PAYMENT",
    "remediation": {"action": "pay", "text": "pay what accepts asks for"},
})))]
pub(crate) struct PaymentRequired {
    #[schema(rename = "x402Version")]
    x402_version: u32,
    /// Why, as a word of x402.
    error: String,
    #[schema(value_type = Vec<Object>)]
    accepts: Vec<Anything>,
    message: String,
    remediation: super::Remediation,
}

/// What calls cost.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", examples(json!({
    "enabled": true, "network": "eip155:8453", "usdcAddress": "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
    "recipientAddress": "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf",
    "feePayerAddress": "0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF", "pricePerCall": "0.0005",
    "pricePerCallBaseUnits": "500", "verifyPrice": "0.0005", "schemes": ["exact"], "x402Versions": [1, 2],
    "managedRelayEnabled": false,
})))]
pub(crate) struct PaymentsConfig {
    /// Whether calls cost something. The rest stands there only if they do.
    enabled: bool,
    /// CAIP-2.
    network: Option<String>,
    usdc_address: Option<String>,
    recipient_address: Option<String>,
    /// Who pays for gas.
    fee_payer_address: Option<String>,
    /// US dollars.
    price_per_call: String,
    price_per_call_base_units: Option<String>,
    verify_price: Option<String>,
    schemes: Option<Vec<String>>,
    #[schema(rename = "x402Versions")]
    x402_versions: Option<Vec<u32>>,
    managed_relay_enabled: Option<bool>,
}

/// A message of MCP. Its methods are MCP's to describe.
#[derive(ToSchema)]
#[schema(examples(json!({
    "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo", "arguments": {"message": "hello"}},
})))]
pub(crate) struct JsonRpcRequest {
    /// `2.0`
    jsonrpc: String,
    /// String or integer; none for a notification.
    id: Option<Value>,
    method: Option<String>,
    params: Option<Value>,
}

/// The answer to a message of MCP.
#[derive(ToSchema)]
#[schema(examples(json!({
    "jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": "Echo: hello"}]},
})))]
pub(crate) struct JsonRpcResponse {
    /// `2.0`
    jsonrpc: String,
    id: Value,
    result: Option<Value>,
    error: Option<Value>,
}

/// A proof as it was kept: without what opens it, which is its caller's.
#[derive(ToSchema)]
#[schema(examples(json!({"proof": {"body": {}, "tag": "…", "signature": "…"}})))]
pub(crate) struct KeptProof {
    /// docs/WIRE.md, P5
    #[schema(value_type = Object)]
    proof: Anything,
}

/// A proof to be judged: as the call gave it, or beside the request and the response that it opens.
#[derive(ToSchema)]
#[schema(examples(json!({"proof": {"body": {}, "tag": "…", "signature": "…"}, "opening": {}})))]
pub(crate) struct ProofQuestion {
    proof: Option<Value>,
    opening: Option<Value>,
    settlement: Option<Value>,
    /// The same, where `request`, `response` or `nonce` come with it.
    envelope: Option<Value>,
    request: Option<Value>,
    response: Option<Value>,
    /// Hexadecimal.
    nonce: Option<String>,
}

/// A verdict (docs/VERIFYING.md), signed.
#[derive(ToSchema)]
#[schema(examples(json!({
    "verdict": "accepted", "checks": [], "grade": "software",
    "signed": {"core": "c0…", "nonce": null, "verdict": "base64", "signature": "a1…"},
})))]
pub(crate) struct SignedVerdict {
    verdict: String,
    #[schema(value_type = Vec<Object>)]
    checks: Vec<Anything>,
    grade: String,
    signed: VerdictSignature,
}

/// The gateway's signature over a verdict.
#[derive(ToSchema)]
pub(crate) struct VerdictSignature {
    /// Digest of the core.
    core: String,
    nonce: Option<String>,
    /// The signed bytes, base64.
    verdict: String,
    signature: String,
}
