//! Lasting keys and their file: made once at `keys init`, each wrapped by the KEK under its own name, opened at every
//! boot. Lines of `name version wrapped`, ended by a check over all of them, which tells damage from another lineage.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{
    FeePayerKey, PseudonymKey, ReceiptKey, RowKey, SealedKeys, SessionKey, TlsKey, VaultMaster, account, curve,
};
use crate::{KeystoreError, Secret, WrappedSecret, state_file};

const HEAD: &str = "sealgate lasting-keys 1";
const NAME: &str = "lasting-keys";

/// The version every key of the file has, until keys are turned over.
const VERSION: u32 = 1;

const TLS: &str = "tls";
const SESSION: &str = "session";
const FEE_PAYER: &str = "fee-payer";
const RECEIPT: &str = "receipt";
const VAULT: &str = "vault-master";
const PSEUDONYM: &str = "pseudonym";
const ROW: &str = "row";

/// In the order of the file.
const NAMES: [&str; 7] = [TLS, SESSION, FEE_PAYER, RECEIPT, VAULT, PSEUDONYM, ROW];

/// What one boot has in common with the next, besides the sealed seed. Each key has one use and a type of its own.
#[derive(Debug)]
pub struct LastingKeys {
    /// TLS.
    pub tls: TlsKey,
    /// Session tokens (JWT).
    pub session: SessionKey,
    /// Settling transactions.
    pub fee_payer: FeePayerKey,
    /// EIP-712 receipts.
    pub receipt: ReceiptKey,
    /// Secrets of users.
    pub vault: VaultMaster,
    /// Pseudonyms at rest.
    pub pseudonym: PseudonymKey,
    /// Rows at rest.
    pub row: RowKey,
}

impl LastingKeys {
    /// Opens the file in the state directory `dir`: at every boot, after [`crate::keystore::unseal`].
    ///
    /// # Errors
    /// [`KeystoreError::LastingMissing`], [`KeystoreError::LastingDamaged`] or [`KeystoreError::File`]. Nothing is made
    /// again.
    pub fn open(dir: &Path, sealed: &SealedKeys) -> Result<Self, KeystoreError> {
        let path = path(dir);
        let Some(text) = state_file::read(&path)? else { return Err(KeystoreError::LastingMissing { path }) };
        text.and_then(|text| Self::from_text(&text, sealed))
            .map_err(|part| KeystoreError::LastingDamaged { path, part })
    }

    /// Or the part that is damaged.
    fn from_text(text: &str, sealed: &SealedKeys) -> Result<Self, &'static str> {
        let wrapped = decode(text)?;
        let mut lines = wrapped.iter();
        // In the order of NAMES: `decode` has seen to it.
        let mut next = |name: &'static str| {
            let wrapped = lines.next().ok_or(name)?;
            let key = sealed.unwrap(name, VERSION, wrapped).map_err(|_| name)?;
            let key = key.expose(|key| <[u8; 32]>::try_from(key.as_slice())).map_err(|_| name)?;
            Ok::<_, &'static str>(Secret::new(key))
        };
        Ok(Self {
            tls: TlsKey::new(&next(TLS)?).ok_or(TLS)?,
            session: SessionKey::new(&next(SESSION)?).ok_or(SESSION)?,
            fee_payer: FeePayerKey::new(&next(FEE_PAYER)?).ok_or(FEE_PAYER)?,
            receipt: ReceiptKey::new(&next(RECEIPT)?).ok_or(RECEIPT)?,
            vault: VaultMaster::new(next(VAULT)?),
            pseudonym: PseudonymKey::new(next(PSEUDONYM)?),
            row: RowKey::new(next(ROW)?),
        })
    }
}

/// Where the file lies.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

/// Makes all keys from `draw` and writes them, wrapped, mode 0600, whole or not at all, and never over others.
pub(crate) fn create(
    dir: &Path,
    sealed: &SealedKeys,
    mut draw: impl FnMut() -> Result<Secret<[u8; 32]>, KeystoreError>,
) -> Result<(), KeystoreError> {
    let path = path(dir);
    let mut wrapped = Vec::new();
    for name in NAMES {
        let key = loop {
            let key = draw()?;
            // A number that is no key of its curve: one in 2^32 for P-256, one in 2^128 for secp256k1.
            if fits(name, &key) {
                break key;
            }
        };
        let one = key.expose(|key| sealed.wrap(name, VERSION, key)).map_err(|error| match error {
            crate::WrapError::Randomness(error) => KeystoreError::Randomness(error),
            _ => KeystoreError::LastingDamaged { path: path.clone(), part: name },
        })?;
        wrapped.push(one);
    }
    let text = encode(&wrapped);
    // What cannot be opened now must not be kept.
    LastingKeys::from_text(&text, sealed).map_err(|part| KeystoreError::LastingDamaged { path, part })?;
    state_file::create(dir, NAME, text.as_bytes())
}

fn fits(name: &str, key: &Secret<[u8; 32]>) -> bool {
    match name {
        TLS | SESSION => curve::is_key(key),
        FEE_PAYER | RECEIPT => account::is_key(key),
        _ => true,
    }
}

fn encode(wrapped: &[WrappedSecret]) -> String {
    let mut text = format!("{HEAD}\n");
    for (name, wrapped) in NAMES.iter().zip(wrapped) {
        text += &format!("{name} {VERSION} {}\n", hex::encode(wrapped.as_bytes()));
    }
    let check = hex::encode(Sha256::digest(&text));
    format!("{text}check {check}\n")
}

/// All of [`NAMES`], or the part that is damaged.
fn decode(text: &str) -> Result<Vec<WrappedSecret>, &'static str> {
    let mut lines = text.lines();
    if lines.next() != Some(HEAD) {
        return Err("head");
    }
    let mut one = |name: &'static str| {
        let value = lines.next()?.strip_prefix(name)?.strip_prefix(' ')?.strip_prefix(&format!("{VERSION} "))?;
        WrappedSecret::from_bytes(&hex::decode(value).ok()?).ok()
    };
    let wrapped = NAMES.iter().map(|name| one(name).ok_or(*name)).collect::<Result<Vec<_>, _>>()?;
    // Encoding again covers the check, the spelling of every digit and everything behind the last line.
    if encode(&wrapped) == text { Ok(wrapped) } else { Err("check") }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use evidence::UnixSeconds;

    use super::*;
    use crate::Genesis;

    fn sealed(filler: u8) -> SealedKeys {
        SealedKeys::new(&Secret::new([filler; 64]), Genesis::new([filler; 32], UnixSeconds(0)))
    }

    fn made(sealed: &SealedKeys) -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().expect("directory");
        let mut drawn = 0;
        create(dir.path(), sealed, || {
            drawn += 1;
            Ok(Secret::new([drawn; 32]))
        })
        .expect("made");
        let text = fs::read_to_string(path(dir.path())).expect("file");
        (dir, text)
    }

    #[test]
    fn every_key_comes_from_its_own_draw_and_comes_back() {
        let (dir, _) = made(&sealed(1));
        let keys = LastingKeys::open(dir.path(), &sealed(1)).expect("opened");
        assert_eq!(keys.tls.spki_sha256(), TlsKey::new(&Secret::new([1; 32])).expect("key").spki_sha256());
        assert_eq!(keys.receipt.address(), ReceiptKey::new(&Secret::new([4; 32])).expect("key").address());
        assert!(!format!("{keys:?}").contains(|c: char| c.is_ascii_digit()), "{keys:?}");
    }

    #[test]
    fn what_is_no_key_of_its_curve_is_drawn_again() {
        let dir = tempfile::tempdir().expect("directory");
        let mut drawn = 0;
        create(dir.path(), &sealed(1), || {
            drawn += 1;
            // Zero and numbers beyond the order are no keys.
            Ok(Secret::new(match drawn {
                1 => [0; 32],
                2 => [0xFF; 32],
                other => [other; 32],
            }))
        })
        .expect("made");
        let keys = LastingKeys::open(dir.path(), &sealed(1)).expect("opened");
        assert_eq!(keys.tls.spki_sha256(), TlsKey::new(&Secret::new([3; 32])).expect("key").spki_sha256());
        assert_eq!(drawn, 9);
    }

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let (_dir, text) = made(&sealed(1));
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            if let Ok(changed) = String::from_utf8(bytes) {
                assert!(LastingKeys::from_text(&changed, &sealed(1)).is_err(), "byte {at} changed");
            }
            assert!(LastingKeys::from_text(&text[..at], &sealed(1)).is_err(), "cut at {at}");
        }
        assert!(LastingKeys::from_text(&format!("{text}\n"), &sealed(1)).is_err(), "a line more");
    }

    #[test]
    fn two_keys_that_change_places_do_not_open_even_with_a_right_check() {
        let (_dir, text) = made(&sealed(1));
        let mut wrapped = decode(&text).expect("decoded");
        wrapped.swap(2, 3);
        assert_eq!(LastingKeys::from_text(&encode(&wrapped), &sealed(1)).err(), Some(FEE_PAYER));
    }

    #[test]
    fn the_file_of_another_lineage_does_not_open() {
        let (_dir, text) = made(&sealed(1));
        assert_eq!(LastingKeys::from_text(&text, &sealed(2)).err(), Some(TLS));
    }

    #[test]
    fn no_key_is_in_the_file_in_clear() {
        let (_dir, text) = made(&sealed(1));
        for drawn in 1..=7_u8 {
            assert!(!text.contains(&hex::encode([drawn; 32])), "key {drawn}");
        }
    }

    #[test]
    fn a_missing_file_is_an_error_and_is_not_made() {
        let dir = tempfile::tempdir().expect("directory");
        let error = LastingKeys::open(dir.path(), &sealed(1)).expect_err("missing");
        assert!(matches!(error, KeystoreError::LastingMissing { .. }), "{error}");
        assert!(error.fix().contains("backup") && error.fix().contains("enclave keys init"), "{}", error.fix());
        assert_eq!(fs::read_dir(dir.path()).expect("directory").count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read_it_and_nothing_replaces_it() {
        use std::os::unix::fs::PermissionsExt;
        let (dir, text) = made(&sealed(1));
        let mode = fs::metadata(path(dir.path())).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = create(dir.path(), &sealed(1), || Ok(Secret::new([9; 32])));
        assert!(matches!(again, Err(KeystoreError::AlreadyInitialised { .. })));
        assert_eq!(fs::read_to_string(path(dir.path())).expect("file"), text);
        assert_eq!(fs::read_dir(dir.path()).expect("directory").count(), 1, "no draft is left");
    }
}
