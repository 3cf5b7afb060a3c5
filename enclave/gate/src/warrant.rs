//! Permission to run code of a server.

use evidence::ServerId;

/// Why code of a server may run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RunReason {
    /// A funded call asks for it.
    Call,
    /// A permitted request other than a call asks for it: a resource, a prompt, a completion.
    Inquiry,
    /// A wallet wants the server to run before it calls it.
    Warming,
    /// The operator asks what the server offers (its tool list), at install.
    Inspection,
}

/// Permission to run code of one server. `sandbox` starts nothing without one.
///
/// There is no public field and no `Default`: it is made from a funded call, from a permitted inquiry, from a wallet's
/// permitted wish, or from the operator's own order.
#[derive(Debug)]
pub struct Warrant {
    server: ServerId,
    reason: RunReason,
}

impl Warrant {
    /// The operator installs or inspects a server of the catalogue. No caller is involved.
    pub fn for_inspection(server: ServerId) -> Self {
        Self { server, reason: RunReason::Inspection }
    }

    /// A funded call names the server.
    pub(crate) fn for_call(server: ServerId) -> Self {
        Self { server, reason: RunReason::Call }
    }

    /// A permitted inquiry names the server.
    pub(crate) fn for_inquiry(server: ServerId) -> Self {
        Self { server, reason: RunReason::Inquiry }
    }

    /// A wallet that may call the server wants it to run.
    pub(crate) fn for_warming(server: ServerId) -> Self {
        Self { server, reason: RunReason::Warming }
    }

    /// The server whose code may run.
    pub fn server(&self) -> &ServerId {
        &self.server
    }

    /// Why it may run.
    pub fn reason(&self) -> RunReason {
        self.reason
    }
}
