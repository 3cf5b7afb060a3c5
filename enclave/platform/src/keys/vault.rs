//! The vault master: names of entries, and one key per wallet and server.

use evidence::{Digest, ServerId, Wallet, tag};
use zeroize::Zeroizing;

use super::{NoRandomness, PseudonymKey, RowKey, derive};
use crate::{
    Secret,
    aead::{self, SealError},
};

/// The master's generation, until masters are turned over.
const GENERATION: u32 = 1;

/// Version of the form of a wrapped master.
const FORM: u8 = 1;

/// Shortest `GATEWAY_SECRET_KEY`, in bytes: 32 characters of base64 or hexadecimal are at least 128 bits if they were
/// drawn at random, and no rule tells whether they were.
const SHORTEST: usize = 32;

/// What all secrets of users are kept under.
#[derive(Debug)]
pub struct VaultMaster {
    master: Secret<[u8; 32]>,
    /// Made from the master; used for names, never for contents.
    names: Secret<[u8; 32]>,
}

/// Why a master was not wrapped or unwrapped with `GATEWAY_SECRET_KEY`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvWrapError {
    /// The secret is too short to be one.
    #[error("GATEWAY_SECRET_KEY has {length} bytes, {SHORTEST} are the least")]
    TooShort {
        /// Its length in bytes.
        length: usize,
    },
    /// No nonce could be made.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// Not in the form of a wrapped master.
    #[error("wrapped vault master: not one, or of an unknown version")]
    Malformed,
    /// Damaged, or wrapped with another secret.
    #[error("wrapped vault master: damaged, or wrapped with another GATEWAY_SECRET_KEY")]
    Refused,
}

impl EnvWrapError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::TooShort { .. } => {
                "make one with `openssl rand -hex 32` and keep it as safe as the secrets themselves"
            }
            Self::Randomness(_) => "the kernel's random generator does not answer: this machine cannot hold keys",
            Self::Malformed => "restore the wrapped master from a backup of the vault's directory",
            Self::Refused => {
                "give the GATEWAY_SECRET_KEY of the gateway that wrote this directory, or restore the backup"
            }
        }
    }
}

impl VaultMaster {
    pub(crate) fn new(master: Secret<[u8; 32]>) -> Self {
        let names = master.expose(|master| derive(master, &[], tag::VAULT_NAME_KEY.as_bytes()));
        Self { master, names }
    }

    /// Which master of its lineage or group this is: `g` of docs/WIRE.md, P10. From 1.
    pub fn generation(&self) -> u32 {
        GENERATION
    }

    /// Lookup name of an entry: M(key of names, "sealgate/vault-name/v1", parts). Says nothing without the key.
    pub fn entry_name(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.names.expose(|names| evidence::mac(names, tag::VAULT_NAME, parts))
    }

    /// The key of a wallet's secrets for one server under one salt: HKDF-SHA256 of the master, salt = the wallet's 20
    /// bytes ‖ 32 bytes, info = the server's id as text.
    pub fn key_for(&self, wallet: &Wallet, salt: &[u8; 32], server: &ServerId) -> Secret<[u8; 32]> {
        let salt = [wallet.as_bytes().as_slice(), salt].concat();
        self.master.expose(|master| derive(master, &salt, server.as_str().as_bytes()))
    }

    /// Seals the rows of the vault's own file. Made from the master, so that the file opens wherever the master does.
    pub fn row_key(&self) -> RowKey {
        RowKey::new(self.master.expose(|master| derive(master, &[], tag::VAULT_ROW_KEY.as_bytes())))
    }

    /// Makes the pseudonyms in the vault's own file: they meet those of no other file.
    pub fn pseudonym_key(&self) -> PseudonymKey {
        PseudonymKey::new(self.master.expose(|master| derive(master, &[], tag::VAULT_PSEUDONYM_KEY.as_bytes())))
    }

    /// The master and the lineage that it was made in, wrapped with `GATEWAY_SECRET_KEY`, so that the vault's directory
    /// can move to another machine: version byte ‖ nonce ‖ ciphertext of master ‖ lineage ‖ tag, AES-256-GCM under
    /// HKDF-SHA256 of the secret. Opens in any lineage, for that is its purpose: whoever has both bytes and secret has
    /// the vault.
    ///
    /// # Errors
    /// [`EnvWrapError::TooShort`], [`EnvWrapError::Randomness`].
    pub fn wrapped_by_env(&self, secret: &Secret<String>, lineage: &Digest) -> Result<Vec<u8>, EnvWrapError> {
        let key = env_key(secret)?;
        let content = self.master.expose(|master| Zeroizing::new([*master, *lineage].concat()));
        let sealed = key.expose(|key| aead::seal(key, &env_place(), &content));
        let sealed = sealed.map_err(|error| match error {
            SealError::Randomness(error) => EnvWrapError::Randomness(error),
            SealError::TooLong => EnvWrapError::Malformed,
        })?;
        Ok([&[FORM][..], &sealed].concat())
    }

    /// The master that [`VaultMaster::wrapped_by_env`] wrapped, and the lineage that it was made in.
    ///
    /// # Errors
    /// [`EnvWrapError`].
    pub fn from_env_wrapped(secret: &Secret<String>, wrapped: &[u8]) -> Result<(Self, Digest), EnvWrapError> {
        let key = env_key(secret)?;
        let sealed = match wrapped.split_first() {
            Some((&FORM, sealed)) if sealed.len() == aead::NONCE + 64 + aead::TAG => sealed,
            _ => return Err(EnvWrapError::Malformed),
        };
        let content = key.expose(|key| aead::open(key, &env_place(), sealed)).ok_or(EnvWrapError::Refused)?;
        let parts = content.expose(|content| {
            let (master, lineage) = content.split_first_chunk::<32>()?;
            Some((Secret::new(*master), Digest::try_from(lineage).ok()?))
        });
        let (master, lineage) = parts.ok_or(EnvWrapError::Malformed)?;
        Ok((Self::new(master), lineage))
    }
}

fn env_key(secret: &Secret<String>) -> Result<Secret<[u8; 32]>, EnvWrapError> {
    secret.expose(|secret| {
        if secret.len() < SHORTEST {
            return Err(EnvWrapError::TooShort { length: secret.len() });
        }
        Ok(derive(secret.as_bytes(), &[], tag::ENV_KEY.as_bytes()))
    })
}

fn env_place() -> Vec<u8> {
    evidence::t(tag::ENV_WRAP, &[&GENERATION.to_be_bytes()])
}

#[cfg(test)]
mod tests {
    use gate::keep::{Pseudonyms as _, RowCipher as _};

    use super::*;

    const LINEAGE: Digest = [0x11; 32];

    fn master() -> VaultMaster {
        VaultMaster::new(Secret::new([0x77; 32]))
    }

    fn secret(length: usize) -> Secret<String> {
        Secret::new("k".repeat(length))
    }

    fn server(last: char) -> ServerId {
        format!("0193e3a2-6b5c-5f7d-9c1e-2a4b6c8d0e1{last}").parse().expect("an id")
    }

    // Expected values: Python's `cryptography` (HKDF, AESGCM) and `hmac`, framing as in docs/WIRE.md, P0; master
    // b"\x77" * 32.

    /// `HKDF(SHA256, 32, salt=b"\xab" * 20 + b"\xcd" * 32, info=b"0193e3a2-6b5c-5f7d-9c1e-2a4b6c8d0e1f")`.
    #[test]
    fn a_key_is_the_one_that_another_library_derives() {
        let key = master().key_for(&Wallet::new([0xAB; 20]), &[0xCD; 32], &server('f'));
        assert!(
            key.expose(|key| hex::encode(key) == "3c246d8448362432ede144d35073def78b57b731ae38339cde80d68ca3d83111")
        );
    }

    /// `hmac(HKDF(SHA256, 32, salt=None, info=b"sealgate/vault-name-key/v1"), T("sealgate/vault-name/v1", b"a", b"bc"))`.
    #[test]
    fn a_name_is_the_framed_hmac_under_its_own_key() {
        assert_eq!(
            hex::encode(master().entry_name(&[b"a", b"bc"])),
            "d71b30ba34f8dc04eccccd52cbab72a7ff6c8e60536b684f72b2116b7aa1840b"
        );
        assert_ne!(master().entry_name(&[b"a", b"bc"]), master().entry_name(&[b"ab", b"c"]));
    }

    /// `hmac(HKDF(…, info=b"sealgate/vault-pseudonym-key/v1"), T("sealgate/pseudonym/v1", b"vault-wallet", b"\xab" * 20))`;
    /// `AESGCM(HKDF(…, info=b"sealgate/vault-row-key/v1")).encrypt(bytes(range(12)), b"the body", T("sealgate/row/v1",
    /// b"vault", b"\x01" * 32, (7).to_bytes(8, "big")))`, the nonce in front.
    #[test]
    fn the_file_of_the_vault_has_keys_of_its_own_that_come_with_the_master() {
        assert_eq!(
            hex::encode(master().pseudonym_key().of("vault-wallet", &[0xAB; 20])),
            "c56c8ec0eeefb9d0878ebd8c09548c27082cde19cf6a554d11ce2184309d632e"
        );
        let sealed =
            hex::decode("000102030405060708090a0b5b6a58a1f695f22f8937dbb7c3a715298a7db7b468de2ee7").expect("hex");
        assert_eq!(master().row_key().open("vault", &[1; 32], 7, &sealed), Ok(b"the body".to_vec()));
        let other = VaultMaster::new(Secret::new([0x78; 32]));
        assert!(other.row_key().open("vault", &[1; 32], 7, &sealed).is_err());
    }

    /// `AESGCM(HKDF(SHA256, 32, salt=None, info=b"sealgate/env-key/v1") of "k" * 32).encrypt(bytes(range(12)), master +
    /// b"\x11" * 32,
    /// T("sealgate/env-wrap/v1", (1).to_bytes(4, "big")))`, version byte and nonce in front.
    #[test]
    fn a_master_wrapped_elsewhere_opens_to_the_same_keys() {
        let wrapped = hex::decode("01000102030405060708090a0b237be3403310bf60c432700041dafa5496af99492f35701962ea539a93e5dd618f1ec6dce043c63f68dcb441a9aedef877e3b4848d867f76f0101173764fd8bf43c06fa2128834eacc393f4108eef2e5").expect("hex");
        let (opened, lineage) = VaultMaster::from_env_wrapped(&secret(32), &wrapped).expect("opened");
        assert_eq!(lineage, LINEAGE);
        assert_eq!(opened.entry_name(&[b"x"]), master().entry_name(&[b"x"]));
    }

    #[test]
    fn wallets_servers_salts_and_masters_have_keys_of_their_own() {
        let key = |master: u8, wallet: u8, salt: u8, last| {
            let master = VaultMaster::new(Secret::new([master; 32]));
            master.key_for(&Wallet::new([wallet; 20]), &[salt; 32], &server(last)).expose(|key| *key)
        };
        let same = key(1, 2, 3, 'a');
        assert_eq!(same, key(1, 2, 3, 'a'));
        for other in [key(9, 2, 3, 'a'), key(1, 9, 3, 'a'), key(1, 2, 9, 'a'), key(1, 2, 3, 'b')] {
            assert_ne!(same, other);
        }
    }

    #[test]
    fn a_wrapped_master_opens_with_its_secret_only_and_whole_only() {
        let wrapped = master().wrapped_by_env(&secret(40), &LINEAGE).expect("wrapped");
        let (opened, lineage) = VaultMaster::from_env_wrapped(&secret(40), &wrapped).expect("opened");
        assert_eq!(lineage, LINEAGE);
        assert_eq!(opened.entry_name(&[b"x"]), master().entry_name(&[b"x"]));
        assert_eq!(VaultMaster::from_env_wrapped(&secret(41), &wrapped).err(), Some(EnvWrapError::Refused));
        for bit in 0..wrapped.len() * 8 {
            let mut flipped = wrapped.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(VaultMaster::from_env_wrapped(&secret(40), &flipped).is_err(), "bit {bit}");
        }
        for length in 0..wrapped.len() {
            let cut = VaultMaster::from_env_wrapped(&secret(40), &wrapped[..length]);
            assert_eq!(cut.err(), Some(EnvWrapError::Malformed), "{length} bytes");
        }
        let longer = [&wrapped[..], &[0]].concat();
        assert_eq!(VaultMaster::from_env_wrapped(&secret(40), &longer).err(), Some(EnvWrapError::Malformed));
    }

    #[test]
    fn a_secret_one_byte_too_short_is_refused() {
        master().wrapped_by_env(&secret(32), &LINEAGE).expect("long enough");
        let error = master().wrapped_by_env(&secret(31), &LINEAGE).expect_err("too short");
        assert_eq!(error, EnvWrapError::TooShort { length: 31 });
        assert_eq!(VaultMaster::from_env_wrapped(&secret(31), &[]).err(), Some(error));
        assert_eq!(error.to_string(), "GATEWAY_SECRET_KEY has 31 bytes, 32 are the least");
    }

    #[test]
    fn the_master_does_not_print() {
        assert_eq!(format!("{:?}", master()), "VaultMaster { master: Secret(..), names: Secret(..) }");
    }
}
