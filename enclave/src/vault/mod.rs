//! Secrets of users: each under a key that only this wallet, this server and this row have, and readable by nobody but
//! the server they are for (docs/WIRE.md, P10). Values leave as a container's environment; nothing else asks for them.

mod error;
mod name;
mod row;
mod status;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::Arc,
};

use evidence::{Digest, ServerId, Wallet};
use gate::keep::{Pseudonyms, VaultRow, VaultRows};
use platform::{
    Secret,
    keys::{EnvWrapError, VaultMaster},
};
use zeroize::Zeroizing;

use crate::{boot::Failure, config::VaultConfig};
pub(crate) use error::{MAX_NAMES, MAX_SERVER_BYTES, MAX_SERVERS, MAX_WALLET_BYTES, VaultError};
pub(crate) use name::SecretName;
use row::{Place, Stored};
pub(crate) use status::{Requirement, Status};

/// The kind of pseudonym by which a wallet's rows are found: its own, so that they link to no other table.
const PSEUDONYM: &str = "vault-wallet";

/// How often a write is tried again when others wrote in between.
const ATTEMPTS: usize = 16;

/// What the vault asks of the keeper of its master key.
pub(crate) trait VaultKeys: Send + Sync {
    /// `g` of docs/WIRE.md, P10.
    fn generation(&self) -> u32;

    /// The lookup name of an entry, an HMAC under a key of its own.
    fn entry_name(&self, parts: &[&[u8]]) -> [u8; 32];

    /// `HKDF-SHA256(master, 20-byte wallet ‖ 32-byte salt, server)`
    fn key_for(&self, wallet: &Wallet, salt: &[u8; 32], server: &ServerId) -> Secret<[u8; 32]>;
}

impl VaultKeys for VaultMaster {
    fn generation(&self) -> u32 {
        self.generation()
    }

    fn entry_name(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.entry_name(parts)
    }

    fn key_for(&self, wallet: &Wallet, salt: &[u8; 32], server: &ServerId) -> Secret<[u8; 32]> {
        self.key_for(wallet, salt, server)
    }
}

/// The name of the file that holds the master key under `GATEWAY_SECRET_KEY`.
const WRAPPED_MASTER: &str = "vault-master.wrapped";

/// The master key, the lineage it was made in, and where it comes from: sealed to the TPM, or, for a migration, under
/// `GATEWAY_SECRET_KEY` in the vault's directory. The first start with that variable wraps the sealed key; a directory
/// that is moved to another machine brings its own, and opens with it as long as the variable is set.
///
/// # Errors
/// [`Failure`]: the wrapped key is damaged or of another secret. It is never made anew over one that is there.
pub(crate) fn master(
    config: &VaultConfig,
    sealed: VaultMaster,
    lineage: Digest,
) -> Result<(VaultMaster, Digest, &'static str), Failure> {
    let (Some(secret), Some(directory)) = (&config.secret_key, &config.directory) else {
        return Ok((sealed, lineage, "tpm-sealed"));
    };
    let file = directory.join(WRAPPED_MASTER);
    let refused = |error: EnvWrapError| Failure::new(file.display().to_string(), error, error.fix());
    let failed = |error: std::io::Error| {
        Failure::new(file.display().to_string(), error, "see that the vault's directory belongs to this user")
    };
    match std::fs::read(&file) {
        Ok(wrapped) => {
            let (master, lineage) = VaultMaster::from_env_wrapped(secret, &wrapped).map_err(refused)?;
            Ok((master, lineage, "env"))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let wrapped = sealed.wrapped_by_env(secret, &lineage).map_err(refused)?;
            write_whole(&file, &wrapped).map_err(failed)?;
            Ok((sealed, lineage, "env"))
        }
        Err(error) => Err(failed(error)),
    }
}

/// Writes a file for this user alone, on disk before it has its name: a power cut leaves all of it or nothing.
fn write_whole(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let unfinished = file.with_extension("unfinished");
    let mut options = std::fs::OpenOptions::new();
    let mut out = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    out.write_all(bytes)?;
    out.sync_all()?;
    std::fs::rename(&unfinished, file)?;
    match file.parent() {
        Some(directory) => std::fs::File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

/// All secrets.
pub(crate) struct Vault<R, K> {
    rows: Arc<R>,
    keys: K,
    pseudonyms: Arc<dyn Pseudonyms>,
    lineage: Digest,
}

impl<R: VaultRows, K: VaultKeys> Vault<R, K> {
    pub(crate) fn new(rows: Arc<R>, keys: K, pseudonyms: Arc<dyn Pseudonyms>, lineage: Digest) -> Self {
        Self { rows, keys, pseudonyms, lineage }
    }

    /// Stores secrets beside those that are there, all or none, and says their names as they were given. A name that is
    /// there gets the new value.
    ///
    /// # Errors
    /// [`VaultError`]; then nothing was stored.
    pub(crate) async fn store(
        &self,
        wallet: &Wallet,
        server: &ServerId,
        secrets: Vec<(String, Zeroizing<String>)>,
    ) -> Result<Vec<String>, VaultError> {
        let secrets = checked(secrets)?;
        for _ in 0..ATTEMPTS {
            let there = self.of_wallet(wallet).await?;
            room(&there, server, &secrets)?;
            let mut rows = Vec::with_capacity(secrets.len());
            for (name, value) in &secrets {
                let before = there.iter().find(|stored| stored.server == *server && stored.name == *name);
                rows.push(self.sealed(wallet, server, name, before.map_or(1, |stored| stored.version + 1), value)?);
            }
            if self.rows.put(rows).await? {
                return Ok(secrets.into_iter().map(|(name, _)| name.as_str().to_owned()).collect());
            }
            // Somebody was faster. What they wrote counts towards the limits, so all of it is looked at again.
            tokio::task::yield_now().await;
        }
        Err(VaultError::Contended)
    }

    /// Names of what is stored for a server, ascending.
    ///
    /// # Errors
    /// [`VaultError`].
    pub(crate) async fn names(&self, wallet: &Wallet, server: &ServerId) -> Result<Vec<String>, VaultError> {
        let there = self.of_wallet(wallet).await?;
        let mut names = BTreeSet::new();
        for stored in usable(&there, server) {
            if !stored.belongs(&self.keys, wallet) {
                return Err(VaultError::Damaged);
            }
            names.insert(stored.name.as_str().to_owned());
        }
        Ok(names.into_iter().collect())
    }

    /// What is stored for a server, for its environment alone: names, ascending, and values.
    ///
    /// # Errors
    /// [`VaultError::Damaged`] if one of them does not open: a server is not started with half of its secrets.
    pub(crate) async fn environment(
        &self,
        wallet: &Wallet,
        server: &ServerId,
    ) -> Result<Vec<(String, Zeroizing<String>)>, VaultError> {
        let there = self.of_wallet(wallet).await?;
        let mut variables = BTreeMap::new();
        for stored in usable(&there, server) {
            let value = stored.belongs(&self.keys, wallet).then(|| stored.open(&self.keys, &self.lineage, wallet));
            let value = value.flatten().ok_or(VaultError::Damaged)?;
            variables.insert(stored.name.as_str().to_owned(), value);
        }
        Ok(variables.into_iter().collect())
    }

    /// The servers for which a wallet has stored something, ascending: those that are switched on again when it returns.
    ///
    /// # Errors
    /// [`VaultError`].
    pub(crate) async fn servers(&self, wallet: &Wallet) -> Result<Vec<ServerId>, VaultError> {
        let there = self.of_wallet(wallet).await?;
        let there = there.into_iter().filter(|stored| stored.belongs(&self.keys, wallet));
        let servers: BTreeSet<ServerId> = there.map(|stored| stored.server).collect();
        Ok(servers.into_iter().collect())
    }

    /// Forgets what is stored for a server, also what does not open any more. Says how many secrets there were.
    ///
    /// # Errors
    /// [`VaultError::Store`].
    pub(crate) async fn delete(&self, wallet: &Wallet, server: &ServerId) -> Result<u64, VaultError> {
        let rows = self.rows.of_wallet(self.pseudonym(wallet)).await?;
        let there: Vec<Stored> = rows.iter().filter_map(Stored::read).collect();
        let entries: Vec<[u8; 32]> = of_server(&there, server).map(|stored| stored.entry).collect();
        if entries.is_empty() {
            return Ok(0);
        }
        Ok(self.rows.delete(self.pseudonym(wallet), entries).await?)
    }

    /// Whether a wallet has stored what a server needs.
    ///
    /// # Errors
    /// [`VaultError`].
    pub(crate) async fn status(
        &self,
        wallet: &Wallet,
        server: &ServerId,
        requirements: &[Requirement<'_>],
    ) -> Result<Status, VaultError> {
        Ok(Status::of(self.names(wallet, server).await?, requirements))
    }

    async fn of_wallet(&self, wallet: &Wallet) -> Result<Vec<Stored>, VaultError> {
        let rows = self.rows.of_wallet(self.pseudonym(wallet)).await?;
        rows.iter().map(|row| Stored::read(row).ok_or(VaultError::Damaged)).collect()
    }

    fn pseudonym(&self, wallet: &Wallet) -> [u8; 32] {
        self.pseudonyms.of(PSEUDONYM, wallet.as_bytes())
    }

    fn sealed(
        &self,
        wallet: &Wallet,
        server: &ServerId,
        name: &SecretName,
        version: u64,
        value: &Zeroizing<String>,
    ) -> Result<VaultRow, VaultError> {
        let (mut salt, mut nonce) = ([0; 32], [0; 12]);
        let drawn = getrandom::fill(&mut salt).and_then(|()| getrandom::fill(&mut nonce));
        drawn.map_err(|_| VaultError::Randomness)?;
        let place = Place { lineage: &self.lineage, wallet, server, name, version };
        place.seal(&self.keys, self.pseudonym(wallet), value, &salt, &nonce).ok_or(VaultError::Damaged)
    }
}

impl<R, K> fmt::Debug for Vault<R, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(..)")
    }
}

fn of_server<'a>(there: &'a [Stored], server: &'a ServerId) -> impl Iterator<Item = &'a Stored> {
    there.iter().filter(move |stored| stored.server == *server)
}

/// What of it may reach the server.
fn usable<'a>(there: &'a [Stored], server: &'a ServerId) -> impl Iterator<Item = &'a Stored> {
    of_server(there, server).filter(|stored| !stored.name.is_reserved())
}

/// Names and values as they must be, each name once.
fn checked(secrets: Vec<(String, Zeroizing<String>)>) -> Result<Vec<(SecretName, Zeroizing<String>)>, VaultError> {
    if secrets.is_empty() {
        return Err(VaultError::Nothing);
    }
    let mut checked = Vec::with_capacity(secrets.len().min(MAX_NAMES));
    let mut seen = BTreeSet::new();
    for (name, value) in secrets {
        let name = SecretName::parse(&name).map_err(VaultError::Name)?;
        name::check_value(&value).map_err(|fault| VaultError::Value { name: name.clone(), fault })?;
        if !seen.insert(name.clone()) {
            return Err(VaultError::Twice(name));
        }
        checked.push((name, value));
    }
    Ok(checked)
}

/// Whether these find room beside what is there.
fn room(there: &[Stored], server: &ServerId, secrets: &[(SecretName, Zeroizing<String>)]) -> Result<(), VaultError> {
    let mut sizes: BTreeMap<&SecretName, usize> =
        of_server(there, server).map(|stored| (&stored.name, stored.bytes())).collect();
    if sizes.is_empty() {
        let others: BTreeSet<&ServerId> = there.iter().map(|stored| &stored.server).collect();
        if others.len() >= MAX_SERVERS {
            return Err(VaultError::TooManyServers);
        }
    }
    sizes.extend(secrets.iter().map(|(name, value)| (name, name.as_str().len() + value.len())));
    if sizes.len() > MAX_NAMES {
        return Err(VaultError::TooMany { found: sizes.len() });
    }
    let here: usize = sizes.values().sum();
    if here > MAX_SERVER_BYTES {
        return Err(VaultError::TooLong { found: here });
    }
    let elsewhere: usize = there.iter().filter(|stored| stored.server != *server).map(Stored::bytes).sum();
    match here.saturating_add(elsewhere) {
        found if found > MAX_WALLET_BYTES => Err(VaultError::WalletFull { found }),
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
