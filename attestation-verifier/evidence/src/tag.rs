//! Every framing tag, once. A tag has one meaning; the version is part of it (docs/WIRE.md, table "Tags").

macro_rules! tags {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {
        $($(#[$doc])* pub const $name: &str = $text;)+
        /// All tags, in the order of docs/WIRE.md.
        pub const ALL: &[&str] = &[$($text),+];
    };
}

tags! {
    /// Digest C of the core.
    CORE = "sealgate/core/v1";
    /// Digest S_n of a state, and its signature.
    STATE = "sealgate/state/v1";
    /// One salt of an opening.
    OPENING = "sealgate/opening/v1";
    /// requestHash.
    REQUEST = "sealgate/request/v1";
    /// responseHash.
    RESPONSE = "sealgate/response/v1";
    /// callerRef.
    CALLER = "sealgate/caller/v1";
    /// paymentRef.
    PAYMENT = "sealgate/payment/v1";
    /// Leaf of the nonce tree.
    NONCE = "sealgate/nonce/v1";
    /// RD, the report data.
    REPORT_DATA = "sealgate/report-data/v1";
    /// Q, the qualifying data of a quote.
    QUOTE = "sealgate/quote/v1";
    /// Possession of the proof key beside an evidence answer.
    EVIDENCE = "sealgate/evidence/v1";
    /// Both signatures of a proof.
    PROOF = "sealgate/proof/v1";
    /// Digest of a proof's log entry.
    PROOF_ENTRY = "sealgate/proof-entry/v1";
    /// Info of the HKDF that makes the end of the HMAC chain.
    HMAC_SEED = "sealgate/hmac-seed/v1";
    /// One step of the HMAC chain.
    HMAC_CHAIN = "sealgate/hmac-chain/v1";
    /// The key that tags proofs in one epoch.
    HMAC_KEY = "sealgate/hmac-key/v1";
    /// Signature over a verdict of `/api/verify`.
    VERDICT = "sealgate/verdict/v1";
    /// Digest of the genesis entry: the lineage.
    GENESIS = "sealgate/genesis/v1";
    /// Additional data of a lasting key at rest.
    WRAP = "sealgate/wrap/v1";
    /// Name of an entry of the vault, made with a key of its own.
    VAULT_NAME = "sealgate/vault-name/v1";
    /// Info of the HKDF that makes the key of vault names from the vault master.
    VAULT_NAME_KEY = "sealgate/vault-name-key/v1";
    /// Info of the HKDF that makes the key of the vault's rows from the vault master.
    VAULT_ROW_KEY = "sealgate/vault-row-key/v1";
    /// Info of the HKDF that makes the key of the vault's pseudonyms from the vault master.
    VAULT_PSEUDONYM_KEY = "sealgate/vault-pseudonym-key/v1";
    /// Info of the HKDF that makes a wrapping key from `GATEWAY_SECRET_KEY`.
    ENV_KEY = "sealgate/env-key/v1";
    /// Additional data of a vault master wrapped for migration.
    ENV_WRAP = "sealgate/env-wrap/v1";
    /// Digest of the catalogue named in a state.
    CATALOGUE = "sealgate/catalogue/v1";
    /// Digest of the prices named in a state.
    PRICES = "sealgate/prices/v1";
    /// Digest of the token-signing keys named in a state.
    JWKS = "sealgate/jwks/v1";
    /// Signature over what became of a payment.
    SETTLEMENT = "sealgate/settlement/v1";
    /// Digest of a settlement's log entry.
    SETTLEMENT_ENTRY = "sealgate/settlement-entry/v1";
    /// Additional data of a secret in the vault.
    VAULT = "sealgate/vault/v1";
    /// Additional data of a row at rest.
    ROW = "sealgate/row/v1";
    /// A pseudonym at rest.
    PSEUDONYM = "sealgate/pseudonym/v1";
    /// What one payment pays for: server, tool, arguments, caller.
    PURCHASE = "sealgate/purchase/v1";
    /// Additional data of a sealed `requestState`: whose request it belongs to, and which.
    REQUEST_STATE = "sealgate/request-state/v1";
    /// Signature over a release manifest.
    RELEASE = "sealgate/release/v1";
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn tags_are_distinct_and_well_formed() {
        for (at, tag) in ALL.iter().enumerate() {
            assert!(tag.starts_with("sealgate/") && tag.ends_with("/v1") && tag.is_ascii(), "{tag}");
            assert!(!ALL[..at].contains(tag), "{tag} twice");
        }
    }
}
