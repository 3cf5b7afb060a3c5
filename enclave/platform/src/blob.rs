//! The sealed blob's file: lines of `entry value`, ended by a check over all of them. Nothing in it is secret, all of
//! it is needed; the check tells damage from a wrong machine before the TPM is asked.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::{Genesis, KeystoreError, PcrValues, state_file};

const HEAD: &str = "sealgate sealed-keys 1";

const NAME: &str = "sealed-keys";

/// What the TPM gave us to keep.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Sealed {
    /// TPM2B_PRIVATE's content: encrypted by the storage primary.
    pub(crate) private: Vec<u8>,
    /// TPMT_PUBLIC.
    pub(crate) public: Vec<u8>,
    /// Name of the storage primary: hash algorithm and SHA-256 of its public area. Another name is another or a cleared
    /// TPM.
    pub(crate) primary: Vec<u8>,
    /// The registers at the time.
    pub(crate) pcrs: PcrValues,
}

/// The file's content.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Blob {
    pub(crate) genesis: Genesis,
    pub(crate) sealed: Sealed,
}

/// Where it lies.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

impl Blob {
    /// Writes it, whole or not at all, and never over another.
    pub(crate) fn write(&self, dir: &Path) -> Result<(), KeystoreError> {
        state_file::create(dir, NAME, self.encode().as_bytes())
    }

    /// Reads it.
    pub(crate) fn read(dir: &Path) -> Result<Self, KeystoreError> {
        let path = path(dir);
        match state_file::read(&path)? {
            None => Err(KeystoreError::BlobMissing { path }),
            Some(text) => {
                text.and_then(|text| Self::decode(&text)).map_err(|part| KeystoreError::BlobDamaged { path, part })
            }
        }
    }

    pub(crate) fn encode(&self) -> String {
        let pcrs: Vec<String> =
            self.sealed.pcrs.values().iter().map(|(index, value)| format!("{index}:{}", hex::encode(value))).collect();
        let text = format!(
            "{HEAD}\ngenesis {}\nprimary {}\npublic {}\nprivate {}\npcrs sha256 {}\n",
            self.genesis.as_str(),
            hex::encode(&self.sealed.primary),
            hex::encode(&self.sealed.public),
            hex::encode(&self.sealed.private),
            pcrs.join(" "),
        );
        let check = hex::encode(Sha256::digest(&text));
        format!("{text}check {check}\n")
    }

    /// Or the part that is damaged.
    fn decode(text: &str) -> Result<Self, &'static str> {
        let mut lines = text.lines();
        if lines.next() != Some(HEAD) {
            return Err("head");
        }
        let mut value = |entry: &'static str| {
            lines.next().and_then(|line| line.strip_prefix(entry)?.strip_prefix(' ')).ok_or(entry)
        };
        let genesis = Genesis::parse(value("genesis")?).ok_or("genesis")?;
        let primary = hex::decode(value("primary")?).map_err(|_| "primary")?;
        let public = hex::decode(value("public")?).map_err(|_| "public")?;
        let private = hex::decode(value("private")?).map_err(|_| "private")?;
        let pcrs = pcrs(value("pcrs")?).ok_or("pcrs")?;
        value("check")?;
        let blob = Self { genesis, sealed: Sealed { private, public, primary, pcrs } };
        // Encoding again covers the check, the spelling of every number and everything behind the last line.
        if blob.encode() == text { Ok(blob) } else { Err("check") }
    }
}

fn pcrs(text: &str) -> Option<PcrValues> {
    let values = text.strip_prefix("sha256 ")?.split(' ').map(|entry| {
        let (index, value) = entry.split_once(':')?;
        let mut digest = [0; 32];
        hex::decode_to_slice(value, &mut digest).ok()?;
        Some((index.parse().ok()?, digest))
    });
    PcrValues::new(values.collect::<Option<_>>()?).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use evidence::UnixSeconds;

    use super::*;

    fn blob() -> Blob {
        Blob {
            genesis: Genesis::new([3; 32], UnixSeconds(1_795_000_000)),
            sealed: Sealed {
                private: vec![1, 2, 3],
                public: vec![4, 5],
                primary: vec![0, 0x0B, 6],
                pcrs: PcrValues::new(vec![(4, [7; 32]), (15, [0; 32])]).expect("ascending"),
            },
        }
    }

    #[test]
    fn a_blob_reads_back_as_itself() {
        assert_eq!(Blob::decode(&blob().encode()), Ok(blob()));
    }

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let text = blob().encode();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            if let Ok(changed) = String::from_utf8(bytes) {
                assert!(Blob::decode(&changed).is_err(), "byte {at} changed");
            }
            assert!(Blob::decode(&text[..at]).is_err(), "cut at {at}");
        }
        assert!(Blob::decode(&format!("{text}\n")).is_err(), "a line more");
    }

    #[test]
    fn a_blob_never_replaces_another() {
        let dir = tempfile::tempdir().expect("directory");
        blob().write(dir.path()).expect("first");
        assert!(matches!(blob().write(dir.path()), Err(KeystoreError::AlreadyInitialised { .. })));
        assert_eq!(Blob::read(dir.path()).expect("still there"), blob());
        assert_eq!(fs::read_dir(dir.path()).expect("directory").count(), 1, "no draft is left");
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("directory");
        blob().write(dir.path()).expect("written");
        let mode = fs::metadata(path(dir.path())).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
