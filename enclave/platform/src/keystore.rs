//! `keys init` once, unsealing at every start (docs, "Platform, keys and state").
//!
//! One TPM object of 64 bytes: HMAC seed ‖ KEK. It opens only in the registers it was sealed to; with 15 among them the
//! gateway extends 15 after unsealing, so it opens once per boot and never to what runs later.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use evidence::UnixSeconds;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{
    Genesis, PcrChange, PcrSet, Secret, Tpm, TpmError,
    blob::{self, Blob},
    keys::{self, NoRandomness, SealedKeys},
};

/// Why there are no keys. Each is a refusal to start.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeystoreError {
    /// The TPM itself: missing, closed to this user, failing.
    Tpm(TpmError),
    /// No randomness.
    Randomness(NoRandomness),
    /// `keys init` was run before; keys are never replaced.
    AlreadyInitialised {
        /// The blob that is there.
        path: PathBuf,
    },
    /// `keys init` was never run here, or the blob is lost.
    BlobMissing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The blob's file is not what was written.
    BlobDamaged {
        /// The file.
        path: PathBuf,
        /// Which entry; `tpm` when the TPM finds the fault.
        part: &'static str,
    },
    /// The sealed keys are here, the file of the lasting keys they open is not.
    LastingMissing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The file of the lasting keys is not what was written, or belongs to another lineage.
    LastingDamaged {
        /// The file.
        path: PathBuf,
        /// Which entry.
        part: &'static str,
    },
    /// Lasting keys are here, but not the sealed keys that open them.
    LastingWithoutSealed {
        /// The file of the lasting keys.
        path: PathBuf,
    },
    /// The machine is in another state than the one the keys were sealed to.
    WrongPcrs {
        /// Every register that differs.
        changed: Vec<PcrChange>,
    },
    /// The TPM's storage seed is another: it was cleared, or is another TPM.
    OtherTpm {
        /// Name of the storage primary that sealed.
        sealed: Vec<u8>,
        /// Name of the one that is here.
        now: Vec<u8>,
    },
    /// A file could not be read or written.
    File {
        /// What was attempted.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

/// Makes the keys: seals two to the TPM and wraps the lasting ones with the second: `enclave keys init`.
///
/// # Errors
/// [`KeystoreError::AlreadyInitialised`] or [`KeystoreError::LastingWithoutSealed`] if there are some, and whatever the
/// TPM or the file system answers.
pub fn init(tcti: &str, dir: &Path, pcrs: &PcrSet, now: UnixSeconds) -> Result<SealedKeys, KeystoreError> {
    let path = blob::path(dir);
    if path.exists() {
        return Err(KeystoreError::AlreadyInitialised { path });
    }
    let lasting = keys::path(dir);
    if lasting.exists() {
        return Err(KeystoreError::LastingWithoutSealed { path: lasting });
    }
    let mut tpm = Tpm::open(tcti)?;
    let both = mixed(&mut tpm, b"sealgate/sealed-keys/v1")?;
    let sealed = tpm.seal(&both, pcrs)?;
    let genesis = Genesis::new(*keys::random()?, now);
    let blob = Blob { genesis, sealed };
    // What cannot be opened now must not be kept: a TPM that lies or a bus that garbles shows here.
    let opened = open(&mut tpm, &blob, &path)?;
    if !opened.expose(|opened| both.expose(|both| evidence::ct_eq(opened, both))) {
        return Err(KeystoreError::Tpm(TpmError::Wrong { what: "unsealing gave other bytes than were sealed" }));
    }
    let keys = SealedKeys::new(&both, blob.genesis.clone());
    // The sealed keys come last: only with them does the lineage exist.
    keys::create(dir, &keys, || mixed(&mut tpm, b"sealgate/lasting-keys/v1"))?;
    if let Err(error) = blob.write(dir) {
        fs::remove_file(lasting).ok();
        return Err(error);
    }
    Ok(keys)
}

/// Opens the keys: at every start.
///
/// # Errors
/// One [`KeystoreError`] per reason, each with its own fix.
pub fn unseal(tcti: &str, dir: &Path) -> Result<SealedKeys, KeystoreError> {
    let blob = Blob::read(dir)?;
    let mut tpm = Tpm::open(tcti)?;
    let both = open(&mut tpm, &blob, &blob::path(dir))?;
    Ok(SealedKeys::new(&both, blob.genesis))
}

/// The set the keys in `dir` are sealed to.
///
/// # Errors
/// [`KeystoreError::BlobMissing`], [`KeystoreError::BlobDamaged`] or [`KeystoreError::File`].
pub fn sealed_to(dir: &Path) -> Result<PcrSet, KeystoreError> {
    Ok(Blob::read(dir)?.sealed.pcrs.set())
}

/// Neither the system's nor the TPM's generator alone decides: HKDF over both.
fn mixed<const N: usize>(tpm: &mut Tpm, info: &[u8]) -> Result<Secret<[u8; N]>, KeystoreError> {
    let system = keys::random::<64>()?;
    let device = tpm.random()?;
    let mut both = Zeroizing::new([0; N]);
    let hkdf = device.expose(|device| Hkdf::<Sha256>::new(Some(device), system.as_slice()));
    hkdf.expand(info, both.as_mut_slice())
        .map_err(|_| KeystoreError::Tpm(TpmError::Wrong { what: "HKDF refused the length of a key" }))?;
    Ok(Secret::new(*both))
}

fn open(tpm: &mut Tpm, blob: &Blob, path: &Path) -> Result<Secret<[u8; 64]>, KeystoreError> {
    let now = tpm.primary_name()?;
    if now != blob.sealed.primary {
        return Err(KeystoreError::OtherTpm { sealed: blob.sealed.primary.clone(), now });
    }
    tpm.unseal(&blob.sealed).map_err(|error| match error {
        TpmError::NotOurs => KeystoreError::BlobDamaged { path: path.to_owned(), part: "tpm" },
        TpmError::Policy => match tpm.read_pcrs(&blob.sealed.pcrs.set()).map(|now| blob.sealed.pcrs.changes(&now)) {
            Ok(changed) if !changed.is_empty() => KeystoreError::WrongPcrs { changed },
            // The registers are those on record and yet the policy fails: the record was changed.
            Ok(_) => KeystoreError::BlobDamaged { path: path.to_owned(), part: "pcrs" },
            Err(error) => KeystoreError::Tpm(error),
        },
        other => KeystoreError::Tpm(other),
    })
}

impl KeystoreError {
    pub(crate) fn file(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File { doing, path: path.to_owned(), source }
    }

    /// What to do about it.
    pub fn fix(&self) -> String {
        match self {
            Self::Tpm(error) => error.fix(),
            Self::Randomness(_) => "the kernel's random generator does not answer: this machine cannot hold keys".into(),
            Self::AlreadyInitialised { path } => format!(
                "nothing to do: the keys exist. To start a new lineage, and lose every key and stored secret of this one, \
                 move the state directory of {} away first",
                path.display()
            ),
            Self::BlobMissing { .. } => {
                "on a new machine run `enclave keys init`; if the file was lost, restore it from a backup (it is of use \
                 only with this TPM), else a new lineage must be made"
                    .into()
            }
            Self::BlobDamaged { .. } => {
                "restore the file from a backup; without one a new lineage must be made with `enclave keys init`".into()
            }
            Self::LastingMissing { path } => format!(
                "restore {} from a backup of this lineage; it is never made again, because what the lost keys protect \
                 (stored secrets, pending payments, the certificate's key) would be lost with them. Without a backup, or \
                 if these keys were made by a build that had no such file, move the state directory away and make a new \
                 lineage with `enclave keys init`",
                path.display()
            ),
            Self::LastingDamaged { path, .. } => format!(
                "restore {} from a backup of this lineage; without one, move the state directory away and make a new \
                 lineage with `enclave keys init`: stored secrets and what the accounts hold are then lost",
                path.display()
            ),
            Self::LastingWithoutSealed { path } => format!(
                "if `sealed-keys` was lost, restore it from a backup beside {0}; if `enclave keys init` was interrupted \
                 and never succeeded, move {0} away and run it again",
                path.display()
            ),
            Self::WrongPcrs { changed } if only_15(changed) => {
                "PCR 15 is extended at each start, so the keys open once per boot: reboot the machine. For development, \
                 where the gateway restarts and the TPM does not, leave 15 out of `pcrs` when running `enclave keys init`"
                    .into()
            }
            Self::WrongPcrs { changed } => {
                let parts: Vec<String> =
                    changed.iter().map(|change| format!("{} ({})", change.index, meaning(change.index))).collect();
                format!(
                    "boot what was booted when the keys were sealed; changed: {}. If the change is wanted, boot the old \
                     state once more and seal anew before changing",
                    parts.join(", ")
                )
            }
            Self::OtherTpm { .. } => {
                "the TPM was cleared or replaced, so what it sealed is gone for good: move the blob away and make a new \
                 lineage with `enclave keys init`"
                    .into()
            }
            Self::File { .. } => "check that the state directory exists and belongs to this user".into(),
        }
    }
}

fn only_15(changed: &[PcrChange]) -> bool {
    matches!(changed, [PcrChange { index: 15, sealed, .. }] if *sealed == [0; 32])
}

/// Who extends a register on a machine with UEFI and systemd (UAPI group's PCR registry).
fn meaning(index: u8) -> &'static str {
    match index {
        0 => "firmware code",
        1 => "firmware settings",
        2 => "option ROMs",
        3 => "option ROM settings",
        4 => "boot loader and kernel image",
        5 => "partition table and boot loader settings",
        6 => "machine maker",
        7 => "Secure Boot",
        8 => "kernel command line",
        9 => "initrd",
        10 => "IMA",
        11 => "unified kernel image",
        12 => "command line and credentials",
        13 => "system extensions",
        14 => "shim's keys",
        15 => "this gateway's core",
        _ => "unknown",
    }
}

impl fmt::Display for KeystoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tpm(error) => error.fmt(f),
            Self::Randomness(error) => error.fmt(f),
            Self::AlreadyInitialised { path } => write!(f, "{}: the keys were made before", path.display()),
            Self::BlobMissing { path } => write!(f, "{}: there are no sealed keys", path.display()),
            Self::BlobDamaged { path, part: "tpm" } => {
                write!(f, "{}: the sealed keys are damaged, the TPM refuses them", path.display())
            }
            Self::BlobDamaged { path, part } => {
                write!(f, "{}: the sealed keys are damaged at `{part}`", path.display())
            }
            Self::LastingMissing { path } => write!(f, "{}: there are no lasting keys", path.display()),
            Self::LastingDamaged { path, part } => {
                write!(f, "{}: the lasting keys are damaged at `{part}`, or of another lineage", path.display())
            }
            Self::LastingWithoutSealed { path } => {
                write!(f, "{}: lasting keys are here, the sealed keys that open them are not", path.display())
            }
            Self::WrongPcrs { changed } => {
                f.write_str("the machine is not in the state the keys were sealed to:")?;
                for change in changed {
                    let (sealed, now) = (hex::encode(change.sealed), hex::encode(change.now));
                    write!(f, " PCR {} held {sealed}, holds {now};", change.index)?;
                }
                Ok(())
            }
            Self::OtherTpm { sealed, now } => write!(
                f,
                "the TPM's storage key is {}, the keys were sealed under {}",
                hex::encode(now),
                hex::encode(sealed)
            ),
            Self::File { doing, path, .. } => write!(f, "{doing} {}", path.display()),
        }
    }
}

impl std::error::Error for KeystoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Tpm(error) => Some(error),
            Self::Randomness(error) => Some(error),
            Self::File { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<TpmError> for KeystoreError {
    fn from(error: TpmError) -> Self {
        Self::Tpm(error)
    }
}

impl From<NoRandomness> for KeystoreError {
    fn from(error: NoRandomness) -> Self {
        Self::Randomness(error)
    }
}
