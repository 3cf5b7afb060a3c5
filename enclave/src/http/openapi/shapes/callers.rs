//! Who is calling, and the secrets of callers.

use std::collections::BTreeMap;

use utoipa::ToSchema;

use super::Anything;

const WALLET: &str = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf";

/// What a wallet signs to log in, good once, for five minutes.
#[derive(ToSchema)]
#[schema(examples(json!({"nonce": "b7…", "message": "gateway.example asks for a signature …"})))]
pub(crate) struct LoginChallenge {
    nonce: String,
    /// To be signed as it is (EIP-191, `personal_sign`).
    message: String,
}

/// A signed challenge.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", examples(json!({"walletAddress": WALLET, "signature": "0x…", "nonce": "b7…"})))]
pub(crate) struct Login {
    wallet_address: String,
    /// 65 bytes, hexadecimal.
    signature: String,
    nonce: String,
}

/// A session of a day.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", examples(json!({
    "token": "eyJ…", "expiresAt": "2026-11-22T12:00:00.000Z", "walletAddress": WALLET,
})))]
pub(crate) struct Session {
    /// JWT (ES256).
    token: String,
    /// ISO 8601.
    expires_at: String,
    wallet_address: String,
}

/// The three lines of a wallet token.
#[derive(ToSchema)]
#[schema(examples(json!({
    "message": format!("MCP Gateway Auth\nWallet: {WALLET}\nExpires: 2026-12-21T12:00:00.000Z"),
})))]
pub(crate) struct TokenMessage {
    /// To be signed as it is (EIP-191).
    message: String,
}

/// A signed token message.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", examples(json!({
    "walletAddress": WALLET, "signature": "0x…", "expiresAt": "2026-12-21T12:00:00.000Z",
})))]
pub(crate) struct TokenOrder {
    wallet_address: String,
    signature: String,
    /// ISO 8601, as it was signed.
    expires_at: String,
    permissions: Option<Vec<String>>,
    server_id: Option<String>,
}

/// A wallet token.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", examples(json!({
    "token": "mcpwt_…", "walletAddress": WALLET, "expiresAt": "2026-12-21T12:00:00.000Z",
    "endsAt": "2026-12-21T12:00:00.000Z",
})))]
pub(crate) struct WalletToken {
    token: String,
    wallet_address: String,
    expires_at: String,
    /// When it ends here, which may be earlier.
    ends_at: String,
}

/// What to take back: one token, by whoever holds it, or everything of the wallet that asks.
#[derive(ToSchema)]
#[schema(examples(json!({"all": true})))]
pub(crate) struct Revocation {
    token: Option<String>,
    all: Option<bool>,
}

/// What was taken back.
#[derive(ToSchema)]
#[schema(examples(json!({"revoked": "all"})))]
pub(crate) struct Revoked {
    /// `token`, `all`
    revoked: String,
}

/// The keys that sign sessions (RFC 7517).
#[derive(ToSchema)]
#[schema(examples(json!({"keys": [{"kty": "EC", "crv": "P-256", "x": "…", "y": "…", "alg": "ES256", "use": "sig"}]})))]
pub(crate) struct Jwks {
    #[schema(value_type = Vec<Object>)]
    keys: Vec<Anything>,
}

/// Secrets by their names, which become variables of the server's environment.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", examples(json!({"secrets": {"API_KEY": "…"}})))]
pub(crate) struct Secrets {
    secrets: BTreeMap<String, String>,
    /// Where the address does not name the server.
    server_id: Option<String>,
}

/// What was stored.
#[derive(ToSchema)]
#[schema(examples(json!({"success": true, "stored": ["API_KEY"]})))]
pub(crate) struct SecretsStored {
    success: bool,
    stored: Vec<String>,
}

/// Names of what is stored. Values never leave.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", examples(json!({
    "serverId": "8e6c5ab2-4f60-5c9e-9a3b-3f1f0c2f7d10", "configuredSecrets": ["API_KEY"], "keys": ["API_KEY"],
})))]
pub(crate) struct SecretNames {
    server_id: String,
    configured_secrets: Vec<String>,
    /// The same, for older clients.
    keys: Vec<String>,
}

/// What a server needs and what is there.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", examples(json!({
    "serverId": "8e6c5ab2-4f60-5c9e-9a3b-3f1f0c2f7d10", "configured": ["API_KEY"], "required": ["API_KEY"],
    "optional": [], "missing": [], "ready": true, "injectionMode": "env",
})))]
pub(crate) struct SecretStatus {
    server_id: String,
    configured: Vec<String>,
    required: Vec<String>,
    optional: Vec<String>,
    missing: Vec<String>,
    ready: bool,
    /// `env`, `none`
    injection_mode: String,
}

/// What was deleted.
#[derive(ToSchema)]
#[schema(examples(json!({"success": true, "deleted": 1})))]
pub(crate) struct SecretsDeleted {
    success: bool,
    deleted: u64,
}
