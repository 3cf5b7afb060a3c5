//! What the gateway says of itself, and what proves it.

use utoipa::ToSchema;

use super::Anything;

/// What the gateway says of itself. A verifier believes the bundle, not this.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", examples(json!({
    "teeEnabled": true, "platform": "azure", "codeHash": "c0…", "publishedHash": null, "verified": false,
    "gitCommit": "91…", "instance": "00…", "core": "f9…", "stateHead": "c9…", "proofKey": "d7…", "epoch": 1,
    "selfCheck": {"verdict": "accepted"}, "note": "verify /api/attestation/bundle", "security": {"witness": "none"},
})))]
pub(crate) struct AttestationSummary {
    tee_enabled: bool,
    /// `azure`, `gcp`, `aws`, `baremetal`, `simulated`
    platform: String,
    /// SHA-256 of the executable, hexadecimal.
    code_hash: Option<String>,
    published_hash: Option<String>,
    /// Never true: a gateway cannot vouch for itself.
    verified: bool,
    git_commit: Option<String>,
    instance: String,
    core: String,
    state_head: String,
    proof_key: String,
    epoch: u64,
    #[schema(value_type = Object)]
    self_check: Anything,
    note: String,
    #[schema(value_type = Object)]
    security: Anything,
}

/// Where keys come from, how servers are locked in, what is not proven.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", examples(json!({
    "keySources": {"hmacSeed": "tpm-sealed"}, "tpm": {"kind": "paravisor"}, "sandbox": {"runtime": "runc"},
    "listener": {"tls": true}, "identities": {"anonymous": true}, "vault": {"persistent": true}, "witness": "none",
    "log": null, "notProven": ["database-freshness"],
})))]
pub(crate) struct SecurityProperties {
    #[schema(value_type = Object)]
    key_sources: Anything,
    #[schema(value_type = Object)]
    tpm: Anything,
    #[schema(value_type = Object)]
    sandbox: Anything,
    #[schema(value_type = Object)]
    listener: Anything,
    #[schema(value_type = Object)]
    identities: Anything,
    #[schema(value_type = Object)]
    vault: Anything,
    witness: String,
    log: Option<String>,
    not_proven: Vec<String>,
}

/// The raw report and its certificates.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", examples(json!({
    "report": "base64", "certificates": {"vcek": "PEM", "ask": "PEM", "ark": "PEM"}, "platform": "gcp",
    "answersNonce": false,
})))]
pub(crate) struct AttestationReport {
    /// 1184 bytes, base64.
    report: String,
    /// `vcek` or `vlek`, `ask`, `ark`, PEM.
    #[schema(value_type = Object)]
    certificates: Anything,
    platform: String,
    answers_nonce: bool,
}

/// Everything that offline verification needs (docs/WIRE.md).
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", examples(json!({
    "core": "base64", "states": [{}], "boot": {}, "offlineVerification": {"script": "#!/usr/bin/env bash"},
})))]
pub(crate) struct AttestationBundle {
    #[schema(value_type = Vec<Object>)]
    states: Vec<Anything>,
    offline_verification: OfflineVerification,
}

/// A script that verifies the bundle it comes with, with openssl and jq.
#[derive(ToSchema)]
pub(crate) struct OfflineVerification {
    script: String,
}

/// What the executable was built from.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", examples(json!({
    "codeHash": "c0…", "gitCommit": "91…", "sourceHash": "5e…", "buildTime": "2026-11-21T12:00:00Z", "dirty": false,
    "version": "0.1.0",
})))]
pub(crate) struct BuildInfo {
    code_hash: Option<String>,
    git_commit: Option<String>,
    source_hash: Option<String>,
    build_time: Option<String>,
    dirty: Option<bool>,
    version: String,
}

/// What was built from what (in-toto statement, SLSA v1), and whether a release key vouches for it.
#[derive(ToSchema)]
#[schema(examples(json!({"signed": false, "reason": "there is no file beside the program"})))]
pub(crate) struct Provenance {
    signed: bool,
}

/// How callers' secrets are encrypted, and who has the keys.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", examples(json!({
    "vault": {
        "algorithm": "AES-256-GCM", "keyDerivation": "HKDF-SHA256", "keyScope": "wallet and server",
        "associatedData": true, "lookup": "HMAC-SHA256", "masterKey": "tpm-sealed", "persistent": true,
    },
    "transport": {"tls": true, "spkiSha256": "6f…"},
    "keysLeaveTheGateway": false, "valuesAreServed": false, "signToDerive": false,
})))]
pub(crate) struct EncryptionModel {
    #[schema(value_type = Object)]
    vault: Anything,
    #[schema(value_type = Object)]
    transport: Anything,
    keys_leave_the_gateway: bool,
    values_are_served: bool,
    /// Whether callers' keys come from signatures of theirs, which whoever gets them to sign could have too.
    sign_to_derive: bool,
}

/// The summary in the words of older clients.
#[derive(ToSchema)]
#[schema(examples(json!({
    "attestation_available": true, "platform": "azure", "image_digest": "sha256:c0…", "encryption_enabled": true,
})))]
pub(crate) struct ShortAttestation {
    /// Whether hardware protects the gateway. It proves nothing by itself: verify the bundle.
    attestation_available: bool,
    platform: String,
    /// Of the executable.
    image_digest: Option<String>,
    encryption_enabled: bool,
}

/// Whether the gateway works.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", examples(json!({
    "status": "healthy", "servers": {"ready": 1, "total": 1}, "instances": 0,
    "securityPosture": {"attestationAvailability": {"teeEnabled": true}, "degraded": false, "degradedReasons": []},
})))]
pub(crate) struct Health {
    /// `healthy`, `degraded`
    status: String,
    #[schema(value_type = Object)]
    servers: Anything,
    /// Containers that run now.
    instances: u64,
    #[schema(value_type = Object)]
    security_posture: Anything,
}

/// What another reading of the configuration changed.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", examples(json!({
    "status": "updated", "invalidatedInstances": 2, "added": [], "changed": ["8e6c5ab2-4f60-5c9e-9a3b-3f1f0c2f7d10"],
    "removed": [], "state": 1,
})))]
pub(crate) struct Reloaded {
    /// `updated`
    status: String,
    /// Containers that were taken out of use.
    invalidated_instances: u64,
    /// Ids of servers that were not there.
    added: Vec<String>,
    /// Ids of servers that are other ones now, or were looked at again.
    changed: Vec<String>,
    /// Ids of servers that are gone.
    removed: Vec<String>,
    /// Number of the state in force (docs/WIRE.md, P4).
    state: u64,
}
