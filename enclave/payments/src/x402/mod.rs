//! x402 on the wire: core, HTTP and MCP documents of versions 1 and 2, and scheme `exact` on EVM (June 2026).

mod answer;
mod offer;
mod payment;

pub use answer::{settlement_failed, settlement_response};
pub use offer::{Offer, header};
pub use payment::{Accepted, Dialect, MAX_PAYMENT_BYTES, Payment, PaymentError};
