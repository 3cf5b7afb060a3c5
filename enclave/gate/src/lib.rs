//! Pure decisions of the gateway: who may have what run. No runtime, no HTTP, no container, no clock.

mod warrant;

pub use warrant::{RunReason, Warrant};
