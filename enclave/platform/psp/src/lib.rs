//! A secure processor in software, for development and tests. It makes what AMD's makes, byte for byte in shape: a root
//! (ARK), an intermediate for chips (ASK) and one for cloud providers (ASVK), a P-384 endorsement key with all of AMD's
//! extensions, and signed reports of versions 2 to 5 for Milan, Genoa and Turin; and what virtual TPMs, Azure's paravisor
//! and an SVSM write beside them.
//!
//! **It proves nothing.** The root is made here, so whoever holds the file can sign anything; the certificates say so in
//! their organisation name, and a verifier accepts them only when the root is named on its command line.
//!
//! Sources: AMD 56860 rev 1.58 (report, table 23), AMD 57230 (certificates and key distribution), RFC 5280, RFC 4055.

mod authority;
mod certificate;
mod der;
mod error;
mod machine;
mod product;
mod report;
mod store;
mod vtpm;

pub use authority::{Authority, CrlRequest, Intermediate};
pub use certificate::{CA_YEARS, Draft, Extension, ORGANISATION, Scheme, VekKind, VekRequest};
pub use error::PspError;
pub use machine::SoftwarePsp;
pub use product::{ChipId, Product, Tcb};
pub use report::{Body, REPORT_LENGTH, ReportRequest, SIGNED_LENGTH, Vek};
pub use vtpm::{ClaimsHash, QuoteKey, QuoteRequest, hcl_blob, manifest_report_data, runtime_claims, services_manifest};
