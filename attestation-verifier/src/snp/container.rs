//! What a report comes wrapped in: nothing, the guest driver's response, or Azure's HCL blob.

use crate::{Hcl, HclError, ReportError, SignedReport};

/// Bytes in which a report was found.
#[derive(Clone, Copy, Debug)]
pub enum Container<'a> {
    /// The bare 1184 bytes.
    Raw(SignedReport<'a>),
    /// Response buffer of `SNP_GET_REPORT` (Linux `sev-guest`): u32 status, u32 size, 24 reserved, report at 0x20.
    Response(SignedReport<'a>),
    /// Azure's vTPM index 0x01400001.
    Hcl(Hcl<'a>),
}

impl<'a> Container<'a> {
    /// Finds the report. Exactly these three shapes are known; nothing is searched for.
    ///
    /// # Errors
    /// [`ContainerError`].
    pub fn open(bytes: &'a [u8]) -> Result<Self, ContainerError> {
        /// Length of the driver's buffer.
        const RESPONSE: usize = 4000;
        if bytes.starts_with(b"HCLA") {
            return Ok(Self::Hcl(Hcl::parse(bytes)?));
        }
        if bytes.len() == RESPONSE {
            return Ok(Self::Response(response(bytes)?));
        }
        if bytes.len() != SignedReport::LENGTH {
            return Err(ContainerError::Unknown { found: bytes.len(), looks_like: looks_like(bytes) });
        }
        Ok(Self::Raw(SignedReport::parse(bytes)?))
    }

    /// The report inside.
    pub fn report(&self) -> SignedReport<'a> {
        match self {
            Self::Raw(report) | Self::Response(report) => *report,
            Self::Hcl(hcl) => hcl.report(),
        }
    }

    /// What it is, in words.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Raw(_) => "raw report",
            Self::Response(_) => "response of the guest driver",
            Self::Hcl(_) => "Azure HCL blob",
        }
    }
}

fn response(bytes: &[u8]) -> Result<SignedReport<'_>, ContainerError> {
    let (head, rest) = bytes.split_first_chunk::<32>().ok_or(ContainerError::Response)?;
    let (report, padding) = rest.split_at_checked(SignedReport::LENGTH).ok_or(ContainerError::Response)?;
    let mut expected = [0; 32];
    // Status 0, size 1184, 24 reserved bytes.
    if let Some(size) = expected.get_mut(4..8) {
        size.copy_from_slice(&[0xA0, 0x04, 0, 0]);
    }
    if *head != expected || padding.iter().any(|byte| *byte != 0) {
        return Err(ContainerError::Response);
    }
    Ok(SignedReport::parse(report)?)
}

fn looks_like(bytes: &[u8]) -> &'static str {
    match bytes {
        [] => "an empty file",
        [0x30, 0x80..=0x84, ..] => "a DER certificate",
        [b'{' | b'[', ..] => "JSON",
        _ if crate::snp::pem::is_pem(bytes) => "PEM",
        _ if crate::HostTable::recognises(bytes) => "a host's certificate table",
        _ if bytes.len() < SignedReport::LENGTH => "a truncated report",
        _ => "no evidence of a known kind",
    }
}

/// Bytes with no report in them.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ContainerError {
    /// None of the three shapes.
    #[error("{found} bytes, which look like {looks_like}; a report has 1184")]
    Unknown {
        /// Bytes received.
        found: usize,
        /// In words.
        looks_like: &'static str,
    },
    /// 4000 bytes that are no successful response of the guest driver.
    #[error("4000 bytes, but not a response of the guest driver: status 0, size 1184 and zeros around the report")]
    Response,
    /// The report inside is malformed.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The HCL blob is malformed.
    #[error(transparent)]
    Hcl(#[from] HclError),
}

impl ContainerError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Unknown { looks_like: "a DER certificate" | "PEM" | "a host's certificate table", .. } => {
                "give the report here and certificates with --vek"
            }
            Self::Unknown { .. } => {
                "give the raw 1184-byte report, the 4000-byte driver response or the Azure HCL blob"
            }
            Self::Response => "fetch the report again and look at the driver's status",
            Self::Report(error) => error.fix(),
            Self::Hcl(error) => error.fix(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_looks_like_is_said() {
        for (bytes, says) in [
            (&b""[..], "an empty file"),
            (&[0x30, 0x82, 0x05, 0x00], "a DER certificate"),
            (b"{\"report\":1}", "JSON"),
            (b"-----BEGIN CERTIFICATE-----", "PEM"),
            (&[2; 1183], "a truncated report"),
            (&[2; 1185], "no evidence of a known kind"),
        ] {
            match Container::open(bytes) {
                Err(ContainerError::Unknown { looks_like, .. }) => assert_eq!(looks_like, says),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_failed_response_is_no_evidence() {
        let mut bytes = [0; 4000];
        bytes[4..8].copy_from_slice(&[0xA0, 4, 0, 0]);
        assert!(matches!(Container::open(&bytes), Ok(Container::Response(_))));
        for at in [0, 4, 8, 31, 32 + 1184, 3999] {
            let mut bad = bytes;
            bad[at] ^= 1;
            assert!(matches!(Container::open(&bad), Err(ContainerError::Response)), "{at}");
        }
    }
}
