//! One secret at rest: AES-256-GCM (NIST SP 800-38D) under a key of its own, bound to everything that says whose, where
//! and which it is (docs/WIRE.md, P10).
//!
//! Body: `u8` form (1); server id, 36 bytes; `u8` length and the name; salt, 32; nonce, 12; ciphertext and tag.

use aes_gcm::{
    Aes256Gcm, KeyInit as _,
    aead::{Aead as _, Payload},
};
use evidence::{Digest, ServerId, Wallet, tag};
use gate::keep::VaultRow;
use zeroize::Zeroizing;

use super::{VaultKeys, name::SecretName};

/// The form of the body that this version writes and knows.
const FORM: u8 = 1;
const SERVER: usize = 36;
const SALT: usize = 32;
const NONCE: usize = 12;
const TAG: usize = 16;

/// Whose secret it is, and which.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    /// Who keeps the vault: lineage of this gateway (docs/WIRE.md, P4).
    pub(super) lineage: &'a Digest,
    /// Whose.
    pub(super) wallet: &'a Wallet,
    /// For which server.
    pub(super) server: &'a ServerId,
    /// Its name.
    pub(super) name: &'a SecretName,
    /// From 1, one more at each write.
    pub(super) version: u64,
}

/// A row read as far as that goes without opening it.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) server: ServerId,
    pub(super) name: SecretName,
    pub(super) version: u64,
    pub(super) entry: [u8; 32],
    salt: [u8; SALT],
    nonce: [u8; NONCE],
    ciphertext: Vec<u8>,
}

impl Place<'_> {
    /// The lookup name: says neither wallet nor server nor name.
    fn entry(&self, keys: &impl VaultKeys) -> [u8; 32] {
        entry(keys, self.wallet, self.server, self.name)
    }

    /// `T("sealgate/vault/v1", lineage, u32(g), entryName, serverId, name, u64(version))`
    fn additional(&self, keys: &impl VaultKeys) -> Vec<u8> {
        let generation = keys.generation().to_be_bytes();
        let (server, name) = (self.server.as_str().as_bytes(), self.name.as_str().as_bytes());
        let version = self.version.to_be_bytes();
        let parts: [&[u8]; 6] = [self.lineage, &generation, &self.entry(keys), server, name, &version];
        evidence::t(tag::VAULT, &parts)
    }

    /// Seals a value here, under a fresh salt and nonce. `None`: too long for the cipher, which no checked value is.
    pub(super) fn seal(
        &self,
        keys: &impl VaultKeys,
        pseudonym: [u8; 32],
        value: &Zeroizing<String>,
        salt: &[u8; SALT],
        nonce: &[u8; NONCE],
    ) -> Option<VaultRow> {
        let additional = self.additional(keys);
        let payload = Payload { msg: value.as_bytes(), aad: &additional };
        let ciphertext = keys
            .key_for(self.wallet, salt, self.server)
            .expose(|key| Aes256Gcm::new(key.into()).encrypt(nonce.into(), payload))
            .ok()?;
        let name = self.name.as_str().as_bytes();
        let mut body = vec![FORM];
        body.extend_from_slice(self.server.as_str().as_bytes());
        body.push(u8::try_from(name.len()).ok()?);
        for part in [name, salt, nonce, &ciphertext] {
            body.extend_from_slice(part);
        }
        Some(VaultRow { wallet: pseudonym, entry: self.entry(keys), version: self.version, body })
    }
}

impl Stored {
    /// Reads a row. `None`: it is none, or one of a later version.
    pub(super) fn read(row: &VaultRow) -> Option<Self> {
        let (form, rest) = row.body.split_first()?;
        let (server, rest) = rest.split_at_checked(SERVER)?;
        let (length, rest) = rest.split_first()?;
        let (name, rest) = rest.split_at_checked(usize::from(*length))?;
        let (salt, rest) = rest.split_first_chunk()?;
        let (nonce, ciphertext) = rest.split_first_chunk()?;
        let server = std::str::from_utf8(server).ok()?.parse().ok()?;
        let name = SecretName::stored(std::str::from_utf8(name).ok()?)?;
        (*form == FORM && ciphertext.len() > TAG).then(|| Self {
            server,
            name,
            version: row.version,
            entry: row.entry,
            salt: *salt,
            nonce: *nonce,
            ciphertext: ciphertext.to_vec(),
        })
    }

    /// Whether it lies where this wallet's secret of this name for this server lies.
    pub(super) fn belongs(&self, keys: &impl VaultKeys, wallet: &Wallet) -> bool {
        entry(keys, wallet, &self.server, &self.name) == self.entry
    }

    /// Bytes of name and value: what it takes of its server's room.
    pub(super) fn bytes(&self) -> usize {
        self.name.as_str().len() + self.ciphertext.len().saturating_sub(TAG)
    }

    /// The value. `None`: it was not sealed for this place.
    pub(super) fn open(&self, keys: &impl VaultKeys, lineage: &Digest, wallet: &Wallet) -> Option<Zeroizing<String>> {
        let place = Place { lineage, wallet, server: &self.server, name: &self.name, version: self.version };
        let additional = place.additional(keys);
        let payload = Payload { msg: &self.ciphertext, aad: &additional };
        let value = keys
            .key_for(wallet, &self.salt, &self.server)
            .expose(|key| Aes256Gcm::new(key.into()).decrypt((&self.nonce).into(), payload))
            .ok()?;
        String::from_utf8(value).ok().map(Zeroizing::new)
    }
}

fn entry(keys: &impl VaultKeys, wallet: &Wallet, server: &ServerId, name: &SecretName) -> [u8; 32] {
    keys.entry_name(&[wallet.as_bytes(), server.as_str().as_bytes(), name.as_str().as_bytes()])
}
