//! Where evidence comes from: one trait, one shape of answer, whatever the platform.

use std::{borrow::Cow, fmt, io, path::PathBuf};

use attestation_verifier::SvsmError;
use base64::{Engine, prelude::BASE64_STANDARD};
pub use software_psp::VekKind;
use software_psp::{PspError, REPORT_LENGTH};

use crate::{AzureError, CollateralError};

/// A DER certificate as it came; nothing about it has been checked.
#[derive(Clone, Eq, PartialEq)]
pub struct Der(Vec<u8>);

impl Der {
    /// Takes the bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// RFC 7468 text, 64 columns, `\n` at every line's end.
    pub fn pem(&self) -> String {
        let text = BASE64_STANDARD.encode(&self.0);
        let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
        for (at, letter) in text.chars().enumerate() {
            if at > 0 && at % 64 == 0 {
                pem.push('\n');
            }
            pem.push(letter);
        }
        pem.push_str("\n-----END CERTIFICATE-----\n");
        pem
    }
}

impl fmt::Debug for Der {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Der({} bytes)", self.0.len())
    }
}

/// A report with what a stranger needs to check it. Collected, not verified: the gateway runs the verifier on it before
/// it serves it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Evidence {
    /// 1184 bytes as the secure processor gave them.
    pub report: Vec<u8>,
    /// The certificate of the key that signed.
    pub vek: Der,
    /// Chip's or provider's key, by the report's KEY_INFO.
    pub vek_kind: VekKind,
    /// ASK or ASVK.
    pub intermediate: Der,
    /// ARK. Carried along; a verifier brings its own.
    pub root: Der,
    /// Revocation lists by the ARK, as AMD publishes them; none where they could not be had.
    pub crls: Vec<Der>,
    /// Azure: vTPM index 0x01400001, whole; the report is inside.
    pub hcl: Option<Vec<u8>>,
    /// SVSM: the services manifest that REPORT_DATA covers.
    pub svsm_manifest: Option<Vec<u8>>,
}

impl Evidence {
    /// MEASUREMENT, offset 0x090, 48 bytes.
    pub fn measurement(&self) -> [u8; 48] {
        field(&self.report, 0x090)
    }

    /// REPORT_DATA, offset 0x050, 64 bytes.
    pub fn report_data(&self) -> [u8; 64] {
        field(&self.report, 0x050)
    }
}

/// What answers a nonce on a platform.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LiveEvidence {
    /// A report over the nonce, and where there is a vTPM a quote beside it.
    Report,
    /// The quote alone: a new report takes seconds (Azure).
    Quote,
}

/// Asks the secure processor of one platform.
pub trait EvidenceSource: Send + Sync {
    /// `simulated`, `baremetal`, … as the core and the proof name it.
    fn platform(&self) -> &'static str;

    /// Whether hardware stands behind it.
    fn tee_enabled(&self) -> bool;

    /// What a nonce is answered with.
    fn live(&self) -> LiveEvidence {
        LiveEvidence::Report
    }

    /// A report over `report_data`. Takes milliseconds; processors serve one request at a time.
    ///
    /// # Errors
    /// [`EvidenceError`].
    fn collect(&self, report_data: &[u8; 64]) -> Result<Evidence, EvidenceError>;
}

/// Why there is no evidence.
#[derive(Debug)]
#[non_exhaustive]
pub enum EvidenceError {
    /// The software processor.
    Software(PspError),
    /// No device, or a file of its interface cannot be used.
    Device {
        /// What was attempted.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The interface belongs to another kind of processor.
    Provider {
        /// Its name; ours is `sev_guest`.
        found: String,
    },
    /// The secure processor's firmware answered with an error (AMD 56860, status codes).
    Firmware {
        /// Its code.
        code: u32,
        /// Its name.
        name: &'static str,
    },
    /// The host refused to pass the request on (GHCB 56421, SW_EXITINFO2 bits 63:32).
    Host {
        /// Its code.
        code: u32,
    },
    /// The kernel destroyed the key to the processor after a request went wrong, so that no sequence number is used
    /// twice.
    KeyGone,
    /// SVSM services were asked for, and there are none.
    NoSvsm,
    /// The SVSM's list of services cannot be read, or has no vTPM in it.
    SvsmManifest(SvsmError),
    /// Others used the interface at the same time, at every attempt.
    Busy {
        /// How often we tried.
        attempts: u32,
    },
    /// The report is not for the bytes we asked with, or has another length.
    WrongReport {
        /// What is wrong.
        what: &'static str,
    },
    /// The host's certificate table does not parse.
    BadTable {
        /// At what.
        what: &'static str,
    },
    /// The certificates could not be had, or do not fit.
    Collateral(CollateralError),
    /// Azure's paravisor.
    Azure(AzureError),
}

impl EvidenceError {
    /// What to do about it.
    pub fn fix(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Azure(error) => return error.fix(),
            Self::Software(error) => error.fix(),
            Self::Device { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "run as root: reports are for the owner of the machine"
            }
            Self::Device { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "run inside an SEV-SNP guest with Linux 6.7 or later, `modprobe sev-guest`, and configfs mounted at \
                 /sys/kernel/config; or use the simulated platform in development mode"
            }
            Self::Device { .. } => "see the kernel's log: `dmesg | grep -i sev`",
            Self::Provider { .. } => "this gateway speaks to SEV-SNP only: run it inside an SEV-SNP guest",
            Self::Firmware { .. } => {
                "see the kernel's log: `dmesg | grep -i sev`; if it lasts, update the host's firmware"
            }
            Self::Host { .. } => "ask whoever runs the host: its hypervisor does not pass attestation requests on",
            Self::KeyGone => "reboot this guest: its key to the secure processor is gone until then",
            Self::NoSvsm => "run below an SVSM with Linux 6.11 or later, or take the SVSM out of the configuration",
            Self::SvsmManifest(_) => "start the guest below an SVSM with a vTPM, COCONUT-SVSM for example",
            Self::Busy { .. } => "end the other program that asks for reports, or try again",
            Self::WrongReport { .. } => "do not trust this machine: what answers is not an SEV-SNP processor",
            Self::BadTable { .. } => "the host's certificate table is broken: on the host, load the certificates again",
            Self::Collateral(error) => error.fix(),
        })
    }
}

impl fmt::Display for EvidenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Software(error) => error.fmt(f),
            Self::Device { doing, path, .. } => write!(f, "evidence: {doing} {}", path.display()),
            Self::Provider { found } => write!(f, "evidence: the kernel's provider is `{found}`, not `sev_guest`"),
            Self::Firmware { code, name } => {
                write!(f, "evidence: the secure processor's firmware says {code:#04x}, {name}")
            }
            Self::Host { code } => write!(f, "evidence: the host refused the request with code {code}"),
            Self::KeyGone => f.write_str("evidence: the kernel has destroyed its key to the secure processor"),
            Self::NoSvsm => f.write_str("evidence: the kernel offers no services of an SVSM"),
            Self::SvsmManifest(error) => write!(f, "evidence: {error}"),
            Self::Busy { attempts } => write!(f, "evidence: the interface was in use at all of {attempts} attempts"),
            Self::WrongReport { what } => write!(f, "evidence: the report is not the one asked for: {what}"),
            Self::BadTable { what } => write!(f, "evidence: the host's certificate table: {what}"),
            Self::Collateral(error) => write!(f, "evidence: collateral: {error}"),
            Self::Azure(error) => write!(f, "evidence: {error}"),
        }
    }
}

impl std::error::Error for EvidenceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Software(error) => Some(error),
            Self::Device { source, .. } => Some(source),
            Self::Collateral(error) => error.source(),
            Self::Azure(error) => error.source(),
            _ => None,
        }
    }
}

impl From<AzureError> for EvidenceError {
    fn from(error: AzureError) -> Self {
        Self::Azure(error)
    }
}

impl From<CollateralError> for EvidenceError {
    fn from(error: CollateralError) -> Self {
        Self::Collateral(error)
    }
}

impl From<PspError> for EvidenceError {
    fn from(error: PspError) -> Self {
        Self::Software(error)
    }
}

/// A report of the right length over the right bytes; says which key signed. No signature is looked at here.
pub(crate) fn expect_report(report: &[u8], report_data: &[u8; 64]) -> Result<VekKind, EvidenceError> {
    if report.len() != REPORT_LENGTH {
        return Err(EvidenceError::WrongReport { what: "length" });
    }
    if field::<64>(report, 0x050) != *report_data {
        return Err(EvidenceError::WrongReport { what: "REPORT_DATA" });
    }
    signing_key(report)
}

/// Which key signed, by KEY_INFO bits 4:2.
pub(crate) fn signing_key(report: &[u8]) -> Result<VekKind, EvidenceError> {
    match u32::from_le_bytes(field(report, 0x048)) >> 2 & 7 {
        0 => Ok(VekKind::Vcek),
        1 => Ok(VekKind::Vlek),
        _ => Err(EvidenceError::WrongReport { what: "SIGNING_KEY" }),
    }
}

/// `N` bytes from `offset`; zeros where there are none.
fn field<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut out = [0; N];
    for (slot, byte) in out.iter_mut().zip(bytes.iter().skip(offset)) {
        *slot = *byte;
    }
    out
}
