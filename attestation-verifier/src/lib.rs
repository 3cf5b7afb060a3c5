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
pub mod clock;
mod crypto;
mod der;
mod finding;
mod gateway;
mod not_proven;
mod policy;
mod show;
mod snp;
mod stage;
mod verdict;
mod vtpm;

pub use appraisal::{Appraisal, Question, appraise_report, malformed};
#[cfg(feature = "ring")]
pub use crypto::Ring;
#[cfg(feature = "rustcrypto")]
pub use crypto::RustCrypto;
pub use crypto::{BadSignature, Crypto};
pub use finding::{ExplainedEvent, Finding};
pub use gateway::{
    Attested, AttestedState, BootKind, BundleAppraisal, BundleQuestion, Paravisor, ProofQuestion, RegisterSet, Release,
    appraise_bundle, appraise_proof,
};
pub use not_proven::NotProven;
pub use policy::{
    ADVISORIES, ADVISORIES_DATE, About, AcceptedAdvisory, Advisory, AdvisoryStatus, Attack, Bit, Cause, Diagnosis,
    FirmwareRules, GuestRules, KnownAttack, Need, NotAVerdict, OnAdvisory, PRESETS, PerProduct, PlatformRules, Policy,
    PolicyError, PolicyField, ReportData, Rule, StaleCrl,
};
pub use show::{DISCLAIMER as SHOW_DISCLAIMER, Field, Part, ShowError, Shown, show};
pub use snp::{
    Authority, Certificate, CertificateError, Chain, ChainError, Collateral, CollateralError, Container,
    ContainerError, Crl, CrlError, EvidenceId, FirmwareVersion, Freshness, GuestPolicy, HostTable, HostTableError,
    KeyInfo, Link, PemError, PlatformInfo, Product, Report, ReportError, SignatureError, SignedReport, Tcb, TcbPart,
    Thim, ThimError, Trust, TrustAnchor, Vek, VekKind, Vmpl, one_certificate, roots,
};
pub use stage::{Appraised, Unverified, Verified};
pub use verdict::{Check, Class, Grade, Outcome, Times, Unchecked, Verdict};
pub use vtpm::{
    AttestError, AzureQuestion, ClaimsError, ClockInfo, EventMeaning, EventPolicy, GivenKey, Hcl, HclError, KeyError,
    KeyFileError, MarshalError, MarshalProblem, MeasuredBinary, PublicArea, PublicAreaError, Quote, QuoteError,
    QuoteQuestion, Registers, RegistersError, RuntimeClaims, SignatureForm, SignedQuote, SvsmError, SvsmManifest,
    TpmKey, VtpmKind, appraise_azure, appraise_event_log, appraise_quote, appraise_svsm, check_event_log, registers,
};
