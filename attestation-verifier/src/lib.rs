//! Verifies AMD SEV-SNP evidence offline. A verdict depends on its arguments only (bytes, policy, time): nothing here
//! reads a clock, a file, the environment or the network.
//!
//! Three entry points give a [`Verdict`]: [`appraise_report`] for an attestation report with its certificates,
//! [`appraise_bundle`] for what a Sealgate gateway shows of itself, [`appraise_proof`] for one tool call. Each check in a
//! verdict is a row with a stable name that ends as pass, fail or not checked; the codes under `notProven` say what the
//! evidence cannot show, and `docs/THREATS.md` of the repository explains them.
//!
//! ```
//! # macro_rules! vector { ($name:literal) => { include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/", $name)) } }
//! # let report: &[u8] = vector!("registry/sev-8.0.0/report_milan.bin");
//! # let vcek: &[u8] = vector!("registry/sev-8.0.0/vcek_milan.der");
//! use attestation_verifier::{Collateral, Policy, Question, Ring, TrustAnchor, appraise_report, clock};
//!
//! let at = clock::parse("2026-03-01T00:00:00Z").ok_or("time")?;
//! // DER, PEM, a host's certificate table, or Azure's THIM answer.
//! let mut collateral = Collateral::default();
//! collateral.take_vek(vcek)?;
//! let anchor = TrustAnchor::Amd;
//! let question = Question { evidence: report, collateral: &collateral, anchor: &anchor, report_data: None };
//! let appraisal = appraise_report(question, &Policy::strict(), at, &Ring);
//! assert_eq!((appraisal.verdict.word(), appraisal.verdict.exit_code()), ("accepted", 0));
//! // What was not asked is not proven.
//! assert!(appraisal.verdict.not_proven.iter().any(|open| open.code() == "no-nonce"));
//! // Code that takes `&Appraised<Report>` cannot be called with a report that is merely signed.
//! let accepted = appraisal.accepted().map_err(|verdict| verdict.to_json())?;
//! assert_eq!(accepted.version(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Step by step
//! [`Unverified`] becomes [`Verified`] by a signature: a chain, a revocation list, a report. [`Appraised`] is what a
//! policy accepted. Who needs only a step takes it alone:
//!
//! ```
//! # macro_rules! vector { ($name:literal) => { include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/", $name)) } }
//! # let report: &[u8] = vector!("registry/sev-8.0.0/report_milan.bin");
//! # let vcek: &[u8] = vector!("registry/sev-8.0.0/vcek_milan.der");
//! use attestation_verifier::{Certificate, Chain, Product, Ring, SignedReport, TrustAnchor, Unverified, clock};
//!
//! let at = clock::parse("2026-03-01T00:00:00Z").ok_or("time")?;
//! let chain = Chain::assemble(Certificate::parse(vcek)?, None, &TrustAnchor::Amd)?;
//! let chain = Unverified(chain).verify(at, &Ring)?;
//! assert_eq!(chain.product(), Product::Milan);
//! assert_eq!(chain.vek().tcb().microcode, 115);
//! // A certificate issued again for the same key is the same signer.
//! assert!(chain.vek().same_signer(chain.vek()));
//! let signed = Unverified(SignedReport::parse(report)?).verify(&chain, &Ring)?;
//! let report = signed.decode()?;
//! assert!(!report.policy().debug());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Revocation lists
//! ```
//! # macro_rules! vector { ($name:literal) => { include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/", $name)) } }
//! # let list: &[u8] = vector!("psp/milan/revokes-ask.crl");
//! # let (ark, ask): (&[u8], &[u8]) = (vector!("psp/milan/ark.der"), vector!("psp/milan/ask.der"));
//! use attestation_verifier::{Certificate, Crl, Freshness, Ring, Unverified, clock};
//!
//! let (ark, ask) = (Certificate::parse(ark)?, Certificate::parse(ask)?);
//! let list = Unverified(Crl::parse(list)?).verify(&ark, &Ring)?;
//! assert!(list.revokes(&ask).is_some());
//! let at = clock::parse("2026-06-01T00:00:00Z").ok_or("time")?;
//! assert_eq!(list.freshness(at), Freshness::Current);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Azure
//! ```
//! # macro_rules! vector { ($name:literal) => { include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/", $name)) } }
//! # let blob: &[u8] = vector!("registry/az-snp-vtpm-0.8.2/hcl-report-snp.bin");
//! use attestation_verifier::{Container, Report};
//!
//! let Container::Hcl(hcl) = Container::open(blob)? else { return Err("an HCL blob".into()) };
//! // Of a report that nothing vouches for yet, only the shape.
//! Report::check_shape(&hcl.report())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Gateways and their proofs
//! ```
//! # macro_rules! vector { ($name:literal) => { include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/", $name)) } }
//! # let (bundle, proof): (&[u8], &[u8]) = (vector!("proofs/bundle.json"), vector!("proofs/pass_free_call.json"));
//! # let root: &[u8] = vector!("proofs/root.der");
//! use attestation_verifier::{
//!     BundleQuestion, Policy, ProofQuestion, Releases, Ring, TrustAnchor, appraise_bundle, appraise_proof, clock,
//! };
//!
//! let at = clock::parse("2026-06-01T00:00:00Z").ok_or("time")?;
//! // A simulated gateway: its root is named, and the verdict says so.
//! let anchor = TrustAnchor::named(root)?;
//! let bundle = BundleQuestion { bundle, anchor: &anchor, nonce: None, crls: &[], releases: Releases::default() };
//! let found = appraise_bundle(bundle, &Policy::strict(), at, &Ring);
//! assert_eq!(found.verdict.trust.map(|trust| trust.name()), Some("test"));
//! let question = ProofQuestion {
//!     envelope: proof,
//!     bundle,
//!     request: None,
//!     response: None,
//!     challenge: None,
//!     payment: None,
//!     tag_key: None,
//! };
//! let verdict = appraise_proof(question, &Policy::strict(), at, &Ring);
//! assert_eq!(verdict.check("chain").map(|row| row.outcome.name()), found.verdict.check("chain").map(|row| row.outcome.name()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Policies and signatures
//! [`Policy::strict`] is the preset; a file states every field or says why it is left unchecked. Signatures are checked by
//! whatever implements [`Crypto`]: `Ring` (feature `ring`), `AwsLc` (feature `aws-lc`), `RustCrypto` (feature `rustcrypto`),
//! or your own.
//!
//! ```
//! use attestation_verifier::Policy;
//!
//! // A field that is left out is an error, never a check that is switched off.
//! assert!(Policy::from_toml("vmpl = 0").is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
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
#[cfg(feature = "aws-lc")]
pub use crypto::AwsLc;
#[cfg(feature = "ring")]
pub use crypto::Ring;
#[cfg(feature = "rustcrypto")]
pub use crypto::RustCrypto;
pub use crypto::{BadSignature, Crypto};
pub use finding::{ExplainedEvent, Finding};
pub use gateway::{
    Attested, AttestedState, BootKind, BundleAppraisal, BundleQuestion, Paravisor, Program, ProofQuestion,
    ProvenanceError, ProvenanceQuestion, RegisterSet, Release, ReleaseError, Releases, appraise_bundle, appraise_proof,
    appraise_provenance,
};
pub use not_proven::NotProven;
pub use policy::{
    ADVISORIES, ADVISORIES_DATE, About, AcceptedAdvisory, Advisory, AdvisoryStatus, Attack, Bit, Cause, Diagnosis,
    FirmwareRules, GuestRules, KnownAttack, Need, NotAVerdict, OnAdvisory, PRESETS, PerProduct, PlatformRules, Policy,
    PolicyError, PolicyField, ReportData, Rule, StaleCrl,
};
pub use show::{DISCLAIMER as SHOW_DISCLAIMER, Field, Part, ShowError, Shown, show};
pub use snp::{
    AttributedReport, Authority, Certificate, CertificateError, Chain, ChainError, Collateral, CollateralError,
    Container, ContainerError, Crl, CrlError, EvidenceId, FirmwareVersion, Freshness, GuestPolicy, HostTable,
    HostTableError, KeyInfo, Link, PemError, PlatformInfo, Product, Report, ReportError, Revocation, SignatureError,
    SignedReport, Tcb, TcbPart, Thim, ThimError, Trust, TrustAnchor, Vek, VekKind, Vmpl, one_certificate, roots,
};
pub use stage::{Appraised, Unverified, Verified};
pub use verdict::{Check, Class, Grade, Outcome, Times, Unchecked, Verdict};
pub use vtpm::{
    AttestError, AzureQuestion, ClaimsError, ClockInfo, EventMeaning, EventPolicy, GivenKey, Hcl, HclError, KeyError,
    KeyFileError, MarshalError, MarshalProblem, MeasuredBinary, PublicArea, PublicAreaError, Quote, QuoteError,
    QuoteQuestion, Registers, RegistersError, RuntimeClaims, SignatureForm, SignedQuote, SvsmError, SvsmManifest,
    TpmKey, VtpmKind, appraise_azure, appraise_event_log, appraise_quote, appraise_svsm, check_event_log, registers,
};
