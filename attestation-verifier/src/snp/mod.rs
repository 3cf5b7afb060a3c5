//! What the secure processor and AMD signed: report, certificates, revocation lists, and the shapes they come in.

mod bits;
mod certificate;
mod chain;
mod collateral;
mod container;
mod crl;
mod firmware;
mod host_table;
pub(crate) mod pem;
mod product;
mod report;
pub(crate) mod revocation;
pub mod roots;
mod signed_object;
mod tcb;
mod thim;
mod vek;
mod x509;

pub use bits::{GuestPolicy, PlatformInfo};
pub use certificate::{Authority, Certificate, CertificateError};
pub use chain::{Chain, ChainError, Link};
pub use collateral::{Collateral, CollateralError, one_certificate};
pub use container::{Container, ContainerError};
pub use crl::{Crl, CrlError, Freshness, Revocation};
pub use firmware::FirmwareVersion;
pub use host_table::{HostTable, HostTableError};
pub use pem::PemError;
pub use product::{Product, VekKind};
pub use report::{AttributedReport, EvidenceId, KeyInfo, Report, ReportError, SignatureError, SignedReport, Vmpl};
pub use roots::{Trust, TrustAnchor};
pub use tcb::{Tcb, TcbPart};
pub use thim::{Thim, ThimError};
pub use vek::Vek;
