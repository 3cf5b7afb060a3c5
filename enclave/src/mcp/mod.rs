//! MCP over Streamable HTTP, both eras on one URL: 2026-07-28 and the versions that begin with `initialize`.

pub(crate) mod answer;
pub(crate) mod asked;
pub(crate) mod asker;
pub(crate) mod batch;
pub(crate) mod drive;
pub(crate) mod era;
pub(crate) mod feed;
pub(crate) mod filter;
pub(crate) mod followed;
pub(crate) mod input_required;
pub(crate) mod level;
pub(crate) mod listeners;
mod lists;
pub(crate) mod lobby;
pub(crate) mod message;
pub(crate) mod meta_tools;
pub(crate) mod offers;
pub(crate) mod param_headers;
pub(crate) mod parked;
pub(crate) mod request_state;
pub(crate) mod sse;
pub(crate) mod subscription;
pub(crate) mod turn;
pub(crate) mod unpaid;
pub(crate) mod waiting;
pub(crate) mod withdrawals;
