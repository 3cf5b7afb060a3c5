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
    /// ```
    /// use attestation_verifier::{SvsmError, SvsmManifest};
    ///
    /// assert_eq!(SvsmManifest::parse(b"").err(), Some(SvsmError::Length { found: 0 }));
    /// ```
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

#[cfg(test)]
mod tests {
    use rsa::rand_core::OsRng;
    use software_psp::{QuoteKey, manifest_report_data, services_manifest};

    use super::*;

    fn manifest() -> (Vec<u8>, [u8; 34]) {
        let key = QuoteKey::p384(&mut OsRng);
        (services_manifest(&key), key.name())
    }

    /// A manifest of these services: GUID, offset, length.
    fn made(entries: &[(u8, u32, u32)], data: usize) -> Vec<u8> {
        let length = HEADER + entries.len() * ENTRY + data;
        let count = u32::try_from(entries.len()).unwrap();
        let mut bytes = [&MANIFEST[..], &u32::try_from(length).unwrap().to_le_bytes(), &count.to_le_bytes()].concat();
        for (guid, offset, length) in entries {
            bytes.extend([&[*guid; 16][..], &offset.to_le_bytes(), &length.to_le_bytes()].concat());
        }
        bytes.resize(length, 0);
        bytes
    }

    #[test]
    fn a_manifest_names_the_endorsement_key_and_the_report_names_the_manifest() {
        let (bytes, name) = manifest();
        let read = SvsmManifest::parse(&bytes).unwrap();
        assert_eq!(read.endorsement_key().unwrap().name(), &name);
        assert_eq!(read.report_data(&[7; 64]), manifest_report_data(&[7; 64], &bytes));
        assert_ne!(read.report_data(&[7; 64]), read.report_data(&[8; 64]));
    }

    #[test]
    fn a_manifest_of_any_other_length_is_none() {
        let (bytes, _) = manifest();
        for length in 0..bytes.len() {
            assert!(SvsmManifest::parse(&bytes[..length]).is_err(), "{length}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(SvsmManifest::parse(&longer).unwrap_err(), SvsmError::Length { found: longer.len() });
        assert!(SvsmManifest::parse(&vec![0; LONGEST + 1]).is_err());
    }

    #[test]
    fn no_bit_of_the_frame_can_be_another_one_without_notice() {
        let (bytes, name) = manifest();
        for at in 0..HEADER + ENTRY {
            for bit in 0..8 {
                let mut other = bytes.clone();
                other[at] ^= 1 << bit;
                let key = SvsmManifest::parse(&other).and_then(|manifest| manifest.endorsement_key());
                assert!(!key.is_ok_and(|key| *key.name() == name), "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn entries_stay_in_their_places() {
        let parse = |bytes: &[u8]| SvsmManifest::parse(bytes).map(|_| ());
        assert_eq!(parse(&made(&[(1, 72, 8), (2, 80, 8)], 16)), Ok(()));
        assert_eq!(parse(&made(&[], 0)), Ok(()));
        for (entries, at) in [
            (vec![(1, 71, 8), (2, 80, 8)], 0),
            (vec![(1, 72, 8), (2, 79, 9)], 1),
            (vec![(1, 72, 8), (1, 80, 8)], 1),
            (vec![(1, 72, 8), (2, 81, 8)], 1),
            (vec![(1, u32::MAX, 8), (2, 80, 8)], 0),
            (vec![(1, 72, u32::MAX), (2, 80, 8)], 0),
            (vec![(1, 0, 8), (2, 80, 8)], 0),
        ] {
            assert_eq!(parse(&made(&entries, 16)), Err(SvsmError::Entry { at }), "{entries:?}");
        }
        let many =
            |count: u8| -> Vec<(u8, u32, u32)> { (0..count).map(|at| (at, 24 + 24 * u32::from(count), 0)).collect() };
        assert_eq!(parse(&made(&many(16), 0)), Ok(()));
        assert_eq!(parse(&made(&many(17), 0)), Err(SvsmError::TooManyServices));
        let no_vtpm = made(&[(1, 48, 8)], 8);
        assert_eq!(SvsmManifest::parse(&no_vtpm).unwrap().endorsement_key(), Err(SvsmError::NoVtpm));
    }
}
