//! MCP over stdio with a running server: greeting, numbered requests, what it says meanwhile, raw answers.

mod exchange;
mod session;

pub use exchange::{Event, Exchange, Question, Unasked};
pub use session::{Answer, HANDSHAKE_TIMEOUT, Session, SessionError};
