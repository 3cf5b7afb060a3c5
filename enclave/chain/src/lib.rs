//! A chain, asked over JSON-RPC of one or several nodes. Implements `gate`'s [`Ledger`](gate::ledger::Ledger); the only
//! crate that knows alloy's providers. What the bytes mean is the asker's business.
//!
//! No node is believed alone when there are several: what decides must be said by all of them, word for word. A node that
//! is silent, slow, broken or on another chain is a [`ChainError`](gate::ledger::ChainError), never an answer.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed"))]

mod node;
mod nodes;
mod refusal;
mod transport;
mod url;

pub use nodes::{MAX_NODES, Nodes, NodesError};
pub use transport::Limits;
pub use url::{RpcUrl, RpcUrlError};
