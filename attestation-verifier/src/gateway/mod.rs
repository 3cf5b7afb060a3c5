//! What a gateway shows of itself and of one call: bundle, proof, payment; and which release its code is.

mod bundle;
mod code;
mod guest;
mod listed;
mod manifest;
mod nonce;
mod payment;
mod proof;
mod provenance;
mod release;
#[cfg(test)]
mod sample;
mod vtpm;

pub use bundle::{Attested, AttestedState, BundleAppraisal, BundleQuestion, appraise_bundle};
pub use manifest::{ReleaseError, Releases};
pub use proof::{ProofQuestion, appraise_proof};
pub use provenance::{Program, ProvenanceError, ProvenanceQuestion, appraise_provenance};
pub use release::{BootKind, Paravisor, RegisterSet, Release};
