//! Azure's HCL blob, vTPM index 0x01400001: header of 0x20 bytes, report at 0x20, request data at 0x4C0 (u32 length,
//! version, report type, hash type, length of the runtime claims), then the claims, JSON. REPORT_DATA begins with the
//! hash of the claims; the rest of it is zero. Little-endian. Source: openhcl `hcl_report` and Azure guest attestation.

use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::{ReportError, SignedReport};

/// Largest blob looked at; the index holds 2,600 bytes.
const LONGEST: usize = 64 * 1024;
/// Where the request data begins.
const REQUEST: usize = 0x20 + SignedReport::LENGTH;

/// An HCL blob whose frame is in order. Whether the report speaks for the claims is [`Hcl::claims`].
#[derive(Clone, Copy, Debug)]
pub struct Hcl<'a> {
    report: SignedReport<'a>,
    hash: ClaimsHash,
    length: usize,
    after_header: &'a [u8],
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ClaimsHash {
    Sha256,
    Sha384,
    Sha512,
}

impl<'a> Hcl<'a> {
    /// Reads the frame.
    ///
    /// # Errors
    /// [`HclError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, HclError> {
        if bytes.len() > LONGEST {
            return Err(HclError::Length { found: bytes.len() });
        }
        let truncated = HclError::Length { found: bytes.len() };
        let word = |at: usize| {
            let word = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
            word.map(|word| u32::from_le_bytes(*word)).ok_or(truncated.clone())
        };
        if !bytes.starts_with(b"HCLA") {
            return Err(HclError::Magic);
        }
        let version = word(4)?;
        if !matches!(version, 1 | 2) {
            return Err(HclError::Version { found: version });
        }
        let kind = word(REQUEST + 8)?;
        if kind != 2 {
            return Err(HclError::Kind { found: kind });
        }
        let hash = match word(REQUEST + 12)? {
            1 => ClaimsHash::Sha256,
            2 => ClaimsHash::Sha384,
            3 => ClaimsHash::Sha512,
            found => return Err(HclError::Hash { found }),
        };
        let length = usize::try_from(word(REQUEST + 16)?).map_err(|_| truncated.clone())?;
        let after_header = bytes.get(REQUEST + 20..).ok_or(truncated.clone())?;
        if after_header.len() < length {
            return Err(truncated);
        }
        let report = bytes.get(0x20..REQUEST).ok_or(truncated)?;
        Ok(Self { report: SignedReport::parse(report)?, hash, length, after_header })
    }

    /// The report inside.
    pub fn report(&self) -> SignedReport<'a> {
        self.report
    }

    /// The runtime claims, if `report_data` is their hash followed by zeros. Newer blobs put a word of capabilities
    /// before the claims, so both places are tried: the hash decides.
    pub fn claims(&self, report_data: &[u8; 64]) -> Option<&'a [u8]> {
        [0, 4].into_iter().find_map(|skip| {
            let claims = self.after_header.get(skip..skip + self.length)?;
            let mut expected = [0; 64];
            let digest = self.hash.digest(claims);
            expected.get_mut(..digest.len())?.copy_from_slice(&digest);
            (expected == *report_data).then_some(claims)
        })
    }
}

impl ClaimsHash {
    fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha384 => Sha384::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }
}

/// A blob that is malformed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HclError {
    /// Too short for what it says it holds, or longer than 64 KiB.
    #[error("HCL blob: {found} bytes, which is not what its header says")]
    Length {
        /// Bytes received.
        found: usize,
    },
    /// Does not begin with `HCLA`.
    #[error("HCL blob: does not begin with HCLA")]
    Magic,
    /// A header version other than 1 and 2.
    #[error("HCL blob: header version {found}, known are 1 and 2")]
    Version {
        /// As found.
        found: u32,
    },
    /// Not a SEV-SNP report.
    #[error("HCL blob: report type {found}, known is 2 (SEV-SNP); 4 would be Intel TDX")]
    Kind {
        /// As found.
        found: u32,
    },
    /// An unknown hash of the runtime claims.
    #[error("HCL blob: hash type {found}, known are 1 (SHA-256), 2 (SHA-384) and 3 (SHA-512)")]
    Hash {
        /// As found.
        found: u32,
    },
    /// The report inside is malformed.
    #[error(transparent)]
    Report(#[from] ReportError),
}

impl HclError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Length { .. } | Self::Magic => "read vTPM index 0x01400001 again, whole",
            Self::Version { .. } | Self::Hash { .. } => "if a newer paravisor made this blob, use a newer verifier",
            Self::Kind { .. } => "this verifier checks AMD SEV-SNP evidence only",
            Self::Report(error) => error.fix(),
        }
    }
}
