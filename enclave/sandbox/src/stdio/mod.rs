//! MCP over stdio with a running server: greeting, numbered requests, what it says meanwhile, raw answers.
//!
//! Source: MCP 2024-11-05 to 2026-07-28, Base Protocol, Lifecycle and Transports (stdio). Of a message only what routes it
//! is looked at; what a server says is handed on as the bytes it wrote.

mod connection;
mod error;
mod events;
mod exchange;
mod greeting;
mod inspection;
mod message;
mod notice;
mod question;
mod session;
mod switchboard;
mod writer;

pub use error::SessionError;
pub use exchange::{Event, Exchange};
pub(crate) use greeting::Manners;
pub use greeting::{HANDSHAKE_TIMEOUT, ServerEra};
pub use inspection::Inspection;
pub use message::Answer;
pub use notice::Notice;
pub use question::{Question, Unasked};
pub use session::Session;
