//! Services manifest of an SVSM: AMD 58019 "Secure VM Service Module for SEV-SNP Guests", attestation protocol, calls
//! `SVSM_ATTEST_SERVICES` and `SVSM_ATTEST_SINGLE_SERVICE`. GUIDs and numbers are little-endian.
//!
//! A manifest is a header of 24 bytes (GUID, its length u32, number of services u32), an entry of 24 bytes for each
//! service (GUID, offset u32, length u32), then their data. The manifest of the vTPM service, version 0, is the public
//! area of its endorsement key. The report of VMPL 0 carries `REPORT_DATA = SHA-512(nonce ‖ manifest)`; the nonce is
//! the guest's, 64 bytes: here RD (docs/WIRE.md, P3).
//!
//! What the manifest does not name is the key that signs quotes. An endorsement key cannot sign. It can decrypt, which
//! shows to somebody that the attestation key is in the same TPM (`TPM2_ActivateCredential`), but only to the one who
//! chose the secret and kept it to himself until the answer came: whoever knows seed and secret can compute challenge
//! *and* answer for any attestation key and any endorsement key without a TPM. A recorded transcript therefore shows
//! nothing to a stranger, however completely it is recomputed, and this module does not take one. REPORT_DATA naming
//! the attestation key does not help either: the nonce is chosen by the guest, whose code is what the quote is to show.
//! So `manifest → EK` can pass here, and `EK → AK` stays open until a key that somebody else vouches for says so.

use sha2::{Digest as _, Sha512};

use super::public_area::{PublicArea, PublicAreaError};

/// 63849ebb-3d92-4670-a1ff-58f9c94b87bb
const MANIFEST: [u8; 16] = *b"\xBB\x9E\x84\x63\x92\x3D\x70\x46\xA1\xFF\x58\xF9\xC9\x4B\x87\xBB";
/// c476f1eb-0123-45a5-9641-b4e7dde5bfe3
const VTPM: [u8; 16] = *b"\xEB\xF1\x76\xC4\x23\x01\xA5\x45\x96\x41\xB4\xE7\xDD\xE5\xBF\xE3";
const HEADER: usize = 24;
const ENTRY: usize = 24;
/// The kernel's `manifestblob` is at most this long.
const LONGEST: usize = 32 * 1024;
/// Services of one manifest. Two are known.
const MOST_SERVICES: usize = 16;

/// A services manifest whose frame is in order. Whether a report speaks for it is [`SvsmManifest::report_data`].
#[derive(Clone, Debug)]
pub struct SvsmManifest<'a> {
    bytes: &'a [u8],
    services: Vec<([u8; 16], &'a [u8])>,
}

impl<'a> SvsmManifest<'a> {
    /// Reads the frame: the length is the whole of it, data lies behind the entries, no service is there twice, no two
    /// share a byte.
    ///
    /// # Errors
    /// [`SvsmError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, SvsmError> {
        let length = SvsmError::Length { found: bytes.len() };
        if bytes.len() > LONGEST {
            return Err(length);
        }
        let (header, after) = bytes.split_at_checked(HEADER).ok_or(length.clone())?;
        if !header.starts_with(&MANIFEST) {
            return Err(SvsmError::Guid);
        }
        if word(header, 16) != Some(bytes.len()) {
            return Err(length);
        }
        let count = word(header, 20).filter(|count| *count <= MOST_SERVICES);
        let count = count.ok_or(SvsmError::TooManyServices)?;
        let entries = after.get(..count * ENTRY).ok_or(length)?;
        let first = HEADER + entries.len();
        let mut taken: Vec<(usize, usize)> = Vec::new();
        let mut services: Vec<([u8; 16], &[u8])> = Vec::new();
        for (at, entry) in entries.chunks_exact(ENTRY).enumerate() {
            let bad = SvsmError::Entry { at };
            let guid = *entry.first_chunk::<16>().ok_or(bad.clone())?;
            let (offset, length) = (word(entry, 16).ok_or(bad.clone())?, word(entry, 20).ok_or(bad.clone())?);
            let end = offset.checked_add(length).ok_or(bad.clone())?;
            let overlaps = taken.iter().any(|(from, to)| offset < *to && *from < end);
            if offset < first || overlaps || services.iter().any(|(other, _)| *other == guid) {
                return Err(bad);
            }
            services.push((guid, bytes.get(offset..end).ok_or(bad)?));
            taken.push((offset, end));
        }
        Ok(Self { bytes, services })
    }

    /// What REPORT_DATA must be if the SVSM made this manifest for this nonce.
    pub fn report_data(&self, nonce: &[u8; 64]) -> [u8; 64] {
        Sha512::new().chain_update(nonce).chain_update(self.bytes).finalize().into()
    }

    /// The endorsement key of the vTPM service, manifest version 0.
    ///
    /// # Errors
    /// [`SvsmError::NoVtpm`], [`SvsmError::EndorsementKey`].
    pub fn endorsement_key(&self) -> Result<PublicArea, SvsmError> {
        let (_, data) = self.services.iter().find(|(guid, _)| *guid == VTPM).ok_or(SvsmError::NoVtpm)?;
        Ok(PublicArea::parse(data)?)
    }
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let word = bytes.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_le_bytes(*word)).ok()
}

/// A manifest that is malformed, or without a vTPM.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SvsmError {
    /// Another length than its header says, or longer than 32 KiB.
    #[error("services manifest: {found} bytes, which is not what its header says")]
    Length {
        /// Bytes received.
        found: usize,
    },
    /// Does not begin with the GUID of a manifest.
    #[error("services manifest: does not begin with 63849ebb-3d92-4670-a1ff-58f9c94b87bb")]
    Guid,
    /// More than 16 services.
    #[error("services manifest: more than 16 services")]
    TooManyServices,
    /// Data outside of the manifest or of its place, a service twice, data shared by two.
    #[error("services manifest: entry {at}: data outside of its place, or a service that is there twice")]
    Entry {
        /// Which, from 0.
        at: usize,
    },
    /// No vTPM service.
    #[error("services manifest: no vTPM service (c476f1eb-0123-45a5-9641-b4e7dde5bfe3)")]
    NoVtpm,
    /// The vTPM's data is no key.
    #[error("services manifest: endorsement key: {0}")]
    EndorsementKey(#[from] PublicAreaError),
}

impl SvsmError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Length { .. } | Self::Guid => "read manifestblob again, whole, with the report it came with",
            Self::NoVtpm => "ask for the manifest of all services, or of the vTPM service, version 0",
            Self::TooManyServices | Self::Entry { .. } | Self::EndorsementKey(_) => {
                "the SVSM that the report speaks for wrote this manifest: do not believe it"
            }
        }
    }
}
