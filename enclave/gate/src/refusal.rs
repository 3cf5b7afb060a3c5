//! Why a call is refused, and what to do about it. One table in `enclave::http` maps these to statuses and codes.

use std::fmt;

/// A refusal: what, why and how to fix it. Holds data, not sentences, and no secret of anyone.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// A credential was shown that this gateway does not know.
    BadCredential,
    /// No server has this id, slug or package name.
    UnknownServer {
        /// What was asked for.
        asked: String,
        /// The closest name there is.
        closest: Option<String>,
    },
    /// The server has no tool of this name.
    UnknownTool {
        /// The server's name.
        server: String,
        /// What was asked for.
        asked: String,
        /// The closest name there is.
        closest: Option<String>,
    },
    /// The arguments are not an object.
    ArgumentsNotAnObject {
        /// What they are.
        found: &'static str,
    },
    /// The arguments are longer than [`crate::MAX_ARGUMENT_BYTES`].
    ArgumentsTooLong {
        /// Their length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The server is in the catalogue, but could not be started or asked.
    ServerUnavailable {
        /// The server's name.
        server: String,
        /// Why, in words that hold no secret.
        why: String,
    },
    /// The server did not answer in time.
    ServerTimeout {
        /// The server's name.
        server: String,
        /// How long it had.
        after_ms: u64,
    },
    /// The server answered with something that is no result.
    BadAnswer {
        /// The server's name.
        server: String,
        /// What is wrong with it.
        why: String,
    },
    /// Too many calls at once.
    Busy {
        /// When to come back.
        retry_after_s: u32,
    },
    /// Something of ours failed; the log has the details.
    Internal {
        /// Which part.
        part: &'static str,
    },
}

/// What a caller can do about a refusal: a stable word for programs, a sentence for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Remedy {
    /// `authenticate`, `choose-another-name`, `fix-arguments`, `retry`, `tell-the-operator`
    pub action: &'static str,
    /// How to fix it.
    pub text: String,
}

impl Refusal {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadCredential => "BAD_CREDENTIAL",
            Self::UnknownServer { .. } => "UNKNOWN_SERVER",
            Self::UnknownTool { .. } => "UNKNOWN_TOOL",
            Self::ArgumentsNotAnObject { .. } => "ARGUMENTS_NOT_AN_OBJECT",
            Self::ArgumentsTooLong { .. } => "ARGUMENTS_TOO_LONG",
            Self::ServerUnavailable { .. } => "CONNECTION_FAILED",
            Self::ServerTimeout { .. } => "SERVER_TIMEOUT",
            Self::BadAnswer { .. } => "BAD_ANSWER",
            Self::Busy { .. } => "BUSY",
            Self::Internal { .. } => "INTERNAL",
        }
    }

    /// How to fix it.
    pub fn remedy(&self) -> Remedy {
        let (action, text) = match self {
            Self::BadCredential => (
                "authenticate",
                "leave the Authorization header out to call anonymously, or send one that this gateway issued"
                    .to_owned(),
            ),
            Self::UnknownServer { closest, .. } => (
                "choose-another-name",
                closest.as_ref().map_or_else(
                    || "list the servers with GET /api/servers or gateway__search_servers".to_owned(),
                    |name| format!("did you mean {name:?}? GET /api/servers lists all"),
                ),
            ),
            Self::UnknownTool { closest, .. } => (
                "choose-another-name",
                closest.as_ref().map_or_else(
                    || "list the server's tools with GET /api/servers/:id/tools or tools/list".to_owned(),
                    |name| format!("did you mean {name:?}? GET /api/servers/:id/tools lists all"),
                ),
            ),
            Self::ArgumentsNotAnObject { .. } => {
                ("fix-arguments", "send a JSON object, {} if there are none".to_owned())
            }
            Self::ArgumentsTooLong { limit, .. } => {
                ("fix-arguments", format!("send at most {limit} bytes of arguments"))
            }
            Self::ServerUnavailable { .. } => {
                ("retry", "call again; if it stays so, the operator finds the cause in the gateway's log".to_owned())
            }
            Self::ServerTimeout { .. } => {
                ("retry", "call again, with less work in one call if the tool allows it".to_owned())
            }
            Self::BadAnswer { .. } => {
                ("tell-the-operator", "the server does not keep to the protocol: tell who runs it".to_owned())
            }
            Self::Busy { retry_after_s } => ("retry", format!("call again after {retry_after_s} s")),
            Self::Internal { .. } => ("tell-the-operator", "call again later, and tell the operator".to_owned()),
        };
        Remedy { action, text }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadCredential => {
                f.write_str("unauthorized: the credential in the Authorization header is not known here")
            }
            Self::UnknownServer { asked, .. } => write!(f, "server {asked:?} not found"),
            Self::UnknownTool { server, asked, .. } => write!(f, "tool {asked:?} of server {server:?} not found"),
            Self::ArgumentsNotAnObject { found } => write!(f, "the arguments must be a JSON object, found {found}"),
            Self::ArgumentsTooLong { bytes, limit } => {
                write!(f, "the arguments are {bytes} bytes long, the limit is {limit}")
            }
            Self::ServerUnavailable { server, why } => write!(f, "server {server:?} could not be reached: {why}"),
            Self::ServerTimeout { server, after_ms } => {
                write!(f, "server {server:?} did not answer within {after_ms} ms")
            }
            Self::BadAnswer { server, why } => write!(f, "server {server:?} answered with something unusable: {why}"),
            Self::Busy { .. } => f.write_str("too many calls at once"),
            Self::Internal { part } => write!(f, "internal error in {part}"),
        }
    }
}

impl std::error::Error for Refusal {}
