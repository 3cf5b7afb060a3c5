//! MCP over Streamable HTTP, both eras on one URL: 2026-07-28 and the versions that begin with `initialize`.

pub(crate) mod answer;
pub(crate) mod era;
pub(crate) mod message;
pub(crate) mod meta_tools;
