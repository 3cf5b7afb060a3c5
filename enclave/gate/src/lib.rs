//! Pure decisions of the gateway: who may have what run, and what follows from what. No runtime, no HTTP, no container,
//! no clock. Adapters hand in what they got; only this crate turns one stage of a call into the next.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed"))]

mod call;
mod identity;
mod inquiry;
pub mod keep;
pub mod ledger;
mod offer;
mod refusal;
mod stage;
mod warming;
mod warrant;

pub use call::{Call, Challenge, ChallengeError, MAX_ARGUMENT_BYTES};
pub use identity::{Authentication, OperatorRule, Principal, Shown};
pub use inquiry::{IdentifiedInquiry, Inquiry, PermittedInquiry};
pub use offer::{Free, Listed, ListedServer, Listing, Price, Receipt, Reservation};
pub use refusal::{PaymentProblem, Refusal, Remedy};
pub use stage::{Executed, Funded, Identified, Permitted, Proven, Run, Settled, Settling, Unverified};
pub use warming::{WarmUp, Warmable, Warming};
pub use warrant::{RunReason, Warrant};
