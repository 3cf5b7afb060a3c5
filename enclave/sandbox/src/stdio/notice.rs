//! What a server says that belongs to no request.

use serde_json::value::RawValue;

/// Notices kept for whoever listens slowly; who misses some is told how many.
pub(super) const NOTICES: usize = 64;
/// Longest parameters of a notice, bytes: names and addresses are short, and the newest notices stay in memory.
pub(super) const NOTICE_LIMIT: usize = 64 << 10;

/// A notification that belongs to no request: `notifications/tools/list_changed`, `notifications/prompts/list_changed`,
/// `notifications/resources/list_changed`, `notifications/resources/updated`, and others that this crate does not know.
/// What belongs to one comes out of its [`Exchange`](super::Exchange).
#[derive(Clone, Debug)]
pub struct Notice {
    /// For instance `notifications/resources/updated`.
    pub method: String,
    /// Its parameters, as the server wrote them.
    pub params: Option<Box<RawValue>>,
}
