//! Verifies AMD SEV-SNP evidence offline. A verdict depends on its arguments only (bytes, policy, time): nothing here
//! reads a clock, a file, the environment or the network. See docs/ARCHITECTURE.md; what a verdict does not prove is
//! in docs/THREATS.md.
//!
//! ```
//! use attestation_verifier::{Collateral, Policy, Question, Ring, TrustAnchor, appraise_report, clock};
//!
//! let at = clock::parse("2026-03-01T00:00:00Z").ok_or("time")?;
//! let (collateral, anchor) = (Collateral::default(), TrustAnchor::Amd);
//! let question = Question { evidence: b"no report", collateral: &collateral, anchor: &anchor, report_data: None };
//! let verdict = appraise_report(question, &Policy::strict(), at, &Ring).verdict;
//! assert_eq!((verdict.word(), verdict.exit_code()), ("rejected", 2));
//! # Ok::<(), &str>(())
//! ```

mod appraisal;
mod bits;
mod bundle;
mod certificate;
mod chain;
pub mod clock;
mod collateral;
mod container;
mod crl;
mod crypto;
mod event_log;
mod hcl;
mod host_table;
mod not_proven;
mod payment;
mod pem;
mod policy;
mod policy_checks;
mod product;
mod proof;
mod report;
mod revocation;
pub mod roots;
mod signed_object;
mod stage;
mod tcb;
mod vek;
mod verdict;

pub use appraisal::{Appraisal, Question, appraise_report, malformed};
pub use bits::{GuestPolicy, PlatformInfo};
pub use bundle::{Attested, AttestedState, BundleAppraisal, BundleQuestion, appraise_bundle};
pub use certificate::{Certificate, CertificateError};
pub use chain::{Chain, ChainError, Link};
pub use collateral::{Collateral, CollateralError, one_certificate};
pub use container::{Container, ContainerError};
pub use crl::{Crl, CrlError, Freshness};
pub use crypto::{BadSignature, Crypto, Ring};
pub use event_log::{RegistersError, check_event_log, registers};
pub use hcl::{Hcl, HclError};
pub use host_table::{HostTable, HostTableError};
pub use not_proven::NotProven;
pub use pem::PemError;
pub use policy::{Accept, Allowance, Demand, Floors, GuestRules, Need, PlatformRules, Policy, PolicyError, StaleCrl};
pub use product::{Product, VekKind};
pub use proof::{ProofQuestion, appraise_proof};
pub use report::{EvidenceId, KeyInfo, Report, ReportError, SignatureError, SignedReport, Vmpl};
pub use roots::{Trust, TrustAnchor};
pub use stage::{Unverified, Verified};
pub use tcb::{Tcb, TcbPart};
pub use vek::Vek;
pub use verdict::{Check, Class, Grade, Outcome, Times, Verdict};
