//! `[identity]`, `[vault]`, `[tls]`, and the variables of the environment that stand for some of their settings.

use std::{collections::BTreeSet, path::PathBuf};

use evidence::Wallet;
use platform::Secret;
use serde::Deserialize;

use super::Fault;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawIdentity {
    #[serde(default)]
    operator_wallets: Vec<String>,
    #[serde(default)]
    enforce_operator_signatures: bool,
    auth: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawVault {
    persistence_dir: Option<PathBuf>,
    #[serde(default)]
    allow_env_master: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    names: Vec<String>,
    certificate: Option<PathBuf>,
}

/// Variables of the environment that the contract of this ecosystem names. Read once, at start.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    /// `ERC8128_ENFORCE_OPERATOR_MCP`
    pub(crate) enforce_operator: Option<String>,
    /// `OPERATOR_WALLETS`, separated by commas.
    pub(crate) operator_wallets: Option<String>,
    /// `VAULT_PERSISTENCE_DIR`
    pub(crate) vault_directory: Option<PathBuf>,
    /// `GATEWAY_SECRET_KEY`
    pub(crate) secret_key: Option<Secret<String>>,
}

impl Environment {
    /// Of this process.
    ///
    /// # Errors
    /// A variable holds no UTF-8.
    pub(crate) fn of_this_process() -> Result<Self, Fault> {
        let text = |name: &str| match std::env::var(name) {
            Ok(text) if text.is_empty() => Ok(None),
            Ok(text) => Ok(Some(text)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(_) => Err((format!("{name} holds no UTF-8"), "set it anew, or unset it".to_owned())),
        };
        Ok(Self {
            enforce_operator: text("ERC8128_ENFORCE_OPERATOR_MCP")?,
            operator_wallets: text("OPERATOR_WALLETS")?,
            vault_directory: text("VAULT_PERSISTENCE_DIR")?.map(PathBuf::from),
            secret_key: text("GATEWAY_SECRET_KEY")?.map(Secret::new),
        })
    }
}

/// Who must sign.
#[derive(Debug, Default)]
pub(crate) struct IdentityConfig {
    /// Wallets of operators.
    pub(crate) operators: BTreeSet<Wallet>,
    /// Those of them that must sign each request: none unless the rule is on.
    pub(crate) signers: BTreeSet<Wallet>,
    /// Whether the MCP endpoints are closed to callers who show nothing.
    pub(crate) auth_required: bool,
}

/// Where secrets are kept.
#[derive(Debug, Default)]
pub(crate) struct VaultConfig {
    /// The directory of the vault's file; in memory without one.
    pub(crate) directory: Option<PathBuf>,
    /// Wraps the vault's master key, for migration.
    pub(crate) secret_key: Option<Secret<String>>,
}

/// How the listener shows itself.
#[derive(Debug)]
pub(crate) struct TlsConfig {
    /// DNS names and addresses in the certificate.
    pub(crate) names: Vec<String>,
    /// PEM file with a certificate for our own key; without one the gateway signs its own.
    pub(crate) certificate: Option<PathBuf>,
}

impl IdentityConfig {
    pub(super) fn of(raw: &RawIdentity, environment: &Environment) -> Result<Self, Fault> {
        let enforce = match environment.enforce_operator.as_deref() {
            None => raw.enforce_operator_signatures,
            Some("true") => true,
            Some("false") => false,
            Some(other) => {
                let fix = "set it to true or false".to_owned();
                return Err((format!("ERC8128_ENFORCE_OPERATOR_MCP = {other:?}"), fix));
            }
        };
        let listed = environment.operator_wallets.as_deref().unwrap_or_default();
        let listed = listed.split(',').map(str::trim).filter(|text| !text.is_empty());
        let mut wallets = BTreeSet::new();
        for text in raw.operator_wallets.iter().map(String::as_str).chain(listed) {
            let wallet = text.parse().map_err(|error| {
                let fix = "list addresses, separated by commas in OPERATOR_WALLETS".to_owned();
                (format!("operator wallet {text:?}: {error}"), fix)
            })?;
            wallets.insert(wallet);
        }
        if enforce && wallets.is_empty() {
            return Err((
                "operators must sign, but no operator's wallet is named: the rule would hold for nobody".to_owned(),
                "set OPERATOR_WALLETS or identity.operator_wallets".to_owned(),
            ));
        }
        let auth_required = match raw.auth.as_deref() {
            None | Some("optional") => false,
            Some("required") => true,
            Some(other) => {
                return Err((format!("identity.auth = {other:?}"), "choose \"optional\" or \"required\"".to_owned()));
            }
        };
        let signers = if enforce { wallets.clone() } else { BTreeSet::new() };
        Ok(Self { signers, operators: wallets, auth_required })
    }
}

impl VaultConfig {
    pub(super) fn of(raw: RawVault, environment: Environment, simulated: bool) -> Result<Self, Fault> {
        if environment.secret_key.is_some() && !simulated && !raw.allow_env_master {
            return Err((
                "GATEWAY_SECRET_KEY is set: whoever can read this machine's environment could open the vault"
                    .to_owned(),
                "unset it (the sealed key serves), or set vault.allow_env_master = true for a migration".to_owned(),
            ));
        }
        let directory = environment.vault_directory.or(raw.persistence_dir);
        if environment.secret_key.is_some() && directory.is_none() {
            return Err((
                "GATEWAY_SECRET_KEY is set, but the vault is kept in memory: there is nothing to wrap".to_owned(),
                "set VAULT_PERSISTENCE_DIR or vault.persistence_dir, or unset GATEWAY_SECRET_KEY".to_owned(),
            ));
        }
        Ok(Self { directory, secret_key: environment.secret_key })
    }
}

impl TlsConfig {
    pub(super) fn of(raw: RawTls) -> Result<Self, Fault> {
        if raw.names.is_empty() || raw.names.len() > 64 {
            return Err((
                format!("tls.names lists {} names", raw.names.len()),
                "list the DNS names and addresses by which the gateway is reached, 1 to 64".to_owned(),
            ));
        }
        Ok(Self { names: raw.names, certificate: raw.certificate })
    }
}
