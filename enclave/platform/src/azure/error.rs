//! Why Azure's paravisor gave no evidence.

use std::{borrow::Cow, fmt};

use crate::TpmError;

/// The paravisor's blob could not be had, or does not fit.
#[derive(Debug)]
#[non_exhaustive]
pub enum AzureError {
    /// The vTPM.
    Tpm(TpmError),
    /// Index 0x01400001 is not defined.
    NoReport,
    /// The blob is of another kind of machine.
    NotSnp {
        /// Report type: 4 is Intel TDX.
        found: u32,
    },
    /// The claims have no user-data: this paravisor repeats nothing.
    NoUserData,
    /// Index 0x01400002 can neither be defined nor written.
    InputRefused(TpmError),
    /// Index 0x01400002 is there in another size.
    InputSize {
        /// Bytes.
        found: usize,
    },
    /// Claims that hash to REPORT_DATA, and yet cannot be read in one way only.
    Claims {
        /// What is wrong.
        what: String,
    },
    /// No blob fitted.
    NotRefreshed {
        /// How often it was read.
        attempts: u32,
        /// What was wrong with the last one.
        last: String,
    },
    /// The key in the claims is not the one that signs quotes.
    OtherKey {
        /// SHA-256 of the SubjectPublicKeyInfo at 0x81000003, hexadecimal.
        in_tpm: String,
        /// The same of HCLAkPub.
        in_claims: String,
    },
}

impl AzureError {
    /// What to do about it.
    pub fn fix(&self) -> Cow<'static, str> {
        match self {
            Self::Tpm(error) => error.fix().into(),
            Self::NoReport => {
                "run inside an Azure confidential VM of a DCas, DCads, ECas or ECads size (AMD SEV-SNP); a \
                               VM with Trusted Launch alone has no such report"
                    .into()
            }
            Self::NotSnp { .. } => {
                "this gateway speaks to AMD SEV-SNP only: choose a VM size whose family has an `a` (DCas, ECas …)"
                    .into()
            }
            Self::NoUserData => "this VM's paravisor is too old to bind a report to the gateway's keys: stop \
                                 (deallocate) the VM and start it again, so that Azure gives it the newest one, or \
                                 create it anew"
                .into(),
            Self::InputRefused(_) => {
                "the guest must own its vTPM: clear the owner's password (`tpm2_changeauth -c owner`), and free an NV \
                 index if there is no room (`tpm2_getcap handles-nv-index`)"
                    .into()
            }
            Self::InputSize { .. } => "remove the index and start again: `tpm2_nvundefine -C o 0x01400002`".into(),
            Self::Claims { .. } => {
                "do not trust this machine until Azure explains it; if its paravisor is newer, use a newer gateway"
                    .into()
            }
            Self::NotRefreshed { .. } => "end other programs that ask for reports (an attestation agent), and start \
                                          again; if it stays so, stop (deallocate) the VM and start it again"
                .into(),
            Self::OtherKey { .. } => "somebody with rights in this VM replaced the key at 0x81000003: restart the VM, \
                                      the paravisor then makes it anew; if it stays so, do not trust this machine"
                .into(),
        }
    }
}

impl fmt::Display for AzureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("azure: ")?;
        match self {
            Self::Tpm(error) => error.fmt(f),
            Self::NoReport => f.write_str("the vTPM has no index 0x01400001, where the paravisor keeps its report"),
            Self::NotSnp { found } => write!(f, "the paravisor's report is of type {found}; 2 is SEV-SNP, 4 Intel TDX"),
            Self::NoUserData => {
                f.write_str("the paravisor's claims have no `user-data`: it binds nothing of the guest")
            }
            Self::InputRefused(error) => write!(f, "index 0x01400002, which takes the user-data: {error}"),
            Self::InputSize { found } => write!(f, "index 0x01400002 holds {found} bytes, user-data has 64"),
            Self::Claims { what } => write!(f, "the claims in index 0x01400001: {what}"),
            Self::NotRefreshed { attempts, last } => {
                write!(f, "index 0x01400001 was read {attempts} times and never fitted; at last: {last}")
            }
            Self::OtherKey { in_tpm, in_claims } => write!(
                f,
                "the key at 0x81000003 (SHA-256 of its SPKI {in_tpm}) is not HCLAkPub of index 0x01400001 ({in_claims})"
            ),
        }
    }
}

impl std::error::Error for AzureError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Tpm(error) | Self::InputRefused(error) => Some(error),
            _ => None,
        }
    }
}
