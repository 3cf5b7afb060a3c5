//! What a gateway shows of itself and of one call: bundle, proof, payment.

mod bundle;
mod payment;
mod proof;

pub use bundle::{Attested, AttestedState, BundleAppraisal, BundleQuestion, appraise_bundle};
pub use proof::{ProofQuestion, appraise_proof};
