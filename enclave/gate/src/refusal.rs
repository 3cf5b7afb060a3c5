//! Why a call is refused, and what to do about it. One table in `enclave::http` maps these to statuses and codes.

use std::fmt;

use evidence::{ServerId, UsdcAmount};

/// A refusal: what, why and how to fix it. Holds data, not sentences, and no secret of anyone.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// A credential was shown that does not hold.
    BadCredential {
        /// What is wrong with it, as a word: `expired`, `replay`, `bad_signature`, …
        reason: &'static str,
        /// What is wrong with it. Holds nothing of the credential.
        what: String,
        /// How to fix it.
        fix: String,
    },
    /// What was sent cannot be read.
    BadRequest {
        /// What is wrong with it, as a word.
        reason: &'static str,
        /// What is wrong with it.
        what: String,
        /// How to fix it.
        fix: String,
    },
    /// This wallet must sign its requests; a bearer alone is not enough.
    SignatureRequired,
    /// This is for callers with a wallet.
    WalletRequired,
    /// The server needs secrets that the caller has not stored.
    MissingSecrets {
        /// The server's name.
        server: String,
        /// Its id.
        id: ServerId,
        /// Names of what is missing.
        missing: Vec<String>,
    },
    /// It costs something, and what was shown does not pay for it.
    Payment(Box<PaymentProblem>),
    /// The call ran and its payment is on its way; the reply waits for it.
    SettlementPending {
        /// Hash of the transaction, once there is one.
        transaction: Option<[u8; 32]>,
        /// When to ask again, with the same payment.
        retry_after_s: u32,
    },
    /// The chain does not answer, so nobody can pay. Says nothing about the payer.
    ChainUnreachable {
        /// When to come back.
        retry_after_s: u32,
    },
    /// No server has this id, slug or package name.
    UnknownServer {
        /// What was asked for.
        asked: String,
        /// The closest name there is.
        closest: Option<String>,
    },
    /// Several servers share this name, slug or package name.
    AmbiguousServer {
        /// What was asked for.
        asked: String,
        /// What stands before the tools of each, which is its own alone.
        candidates: Vec<String>,
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
    /// A part of ours does not answer at the moment. Says nothing about the caller.
    Unavailable {
        /// Which part.
        part: &'static str,
        /// When to come back.
        retry_after_s: u32,
    },
    /// The server asks its caller something, and the wire of the call has no way to ask.
    AsksBack {
        /// The server's name.
        server: String,
    },
    /// Calls that cost something asked their caller too much without ever being paid.
    UnpaidQuestions {
        /// How much they may.
        limit: u32,
        /// When to come back.
        retry_after_s: u32,
    },
    /// Whoever made the call has withdrawn it.
    Withdrawn,
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

/// Why a payment is asked for, or not taken.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PaymentProblem {
    /// The x402 word: `payment_required`, `insufficient_funds`, …
    pub reason: &'static str,
    /// What is wrong, in words that hold no wallet.
    pub what: String,
    /// How to fix it.
    pub fix: String,
    /// What it costs.
    pub price: UsdcAmount,
    /// What is bought: a path of this gateway.
    pub resource: String,
    /// What it is, for people.
    pub description: String,
    /// Seconds that it may take.
    pub deadline_s: u64,
    /// Whether the call ran and its settlement failed, so that its answer is withheld.
    pub withheld: bool,
}

/// What a caller can do about a refusal: a stable word for programs, a sentence for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Remedy {
    /// `authenticate`, `choose-another-name`, `choose-another-wire`, `fix-arguments`, `pay`, `retry`, `store-secrets`, `tell-the-operator`
    pub action: &'static str,
    /// How to fix it.
    pub text: String,
}

impl Refusal {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadCredential { .. } => "BAD_CREDENTIAL",
            Self::BadRequest { .. } => "BAD_REQUEST",
            Self::SignatureRequired => "SIGNATURE_REQUIRED",
            Self::WalletRequired => "WALLET_REQUIRED",
            Self::MissingSecrets { .. } => "MISSING_SECRETS",
            Self::Payment(_) => "PAYMENT_REQUIRED",
            Self::SettlementPending { .. } => "SETTLEMENT_PENDING",
            Self::ChainUnreachable { .. } => "CHAIN_UNREACHABLE",
            Self::UnknownServer { .. } => "UNKNOWN_SERVER",
            Self::AmbiguousServer { .. } => "AMBIGUOUS_SERVER",
            Self::UnknownTool { .. } => "UNKNOWN_TOOL",
            Self::ArgumentsNotAnObject { .. } => "ARGUMENTS_NOT_AN_OBJECT",
            Self::ArgumentsTooLong { .. } => "ARGUMENTS_TOO_LONG",
            Self::ServerUnavailable { .. } => "CONNECTION_FAILED",
            Self::ServerTimeout { .. } => "SERVER_TIMEOUT",
            Self::BadAnswer { .. } => "BAD_ANSWER",
            Self::Unavailable { .. } => "UNAVAILABLE",
            Self::AsksBack { .. } => "INPUT_REQUIRED",
            Self::UnpaidQuestions { .. } => "UNPAID_QUESTIONS",
            Self::Withdrawn => "WITHDRAWN",
            Self::Busy { .. } => "BUSY",
            Self::Internal { .. } => "INTERNAL",
        }
    }

    /// What exactly is wrong with what the caller showed or sent, as a word for programs.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::BadCredential { reason, .. } | Self::BadRequest { reason, .. } => Some(reason),
            Self::SignatureRequired => Some("signature_missing"),
            Self::Payment(problem) => Some(problem.reason),
            _ => None,
        }
    }

    /// Seconds after which the same may be tried again, where waiting is the remedy.
    pub fn retry_after_s(&self) -> Option<u32> {
        match self {
            Self::Busy { retry_after_s }
            | Self::UnpaidQuestions { retry_after_s, .. }
            | Self::ChainUnreachable { retry_after_s }
            | Self::SettlementPending { retry_after_s, .. }
            | Self::Unavailable { retry_after_s, .. } => Some(*retry_after_s),
            _ => None,
        }
    }

    /// How to fix it.
    pub fn remedy(&self) -> Remedy {
        let (action, text) = match self {
            Self::BadCredential { fix, .. } => ("authenticate", fix.clone()),
            Self::BadRequest { fix, .. } => ("fix-request", fix.clone()),
            Self::SignatureRequired => (
                "authenticate",
                "sign the request (ERC-8128): this gateway takes no bearer alone from an operator's wallet".to_owned(),
            ),
            Self::WalletRequired => (
                "authenticate",
                "log in with a wallet: GET /api/auth/challenge, sign its message, POST /api/auth/verify; or send a \
                 wallet token or a signed request"
                    .to_owned(),
            ),
            Self::MissingSecrets { id, missing, .. } => {
                ("store-secrets", format!("POST /api/secrets/{id} with {{\"secrets\":{{{}}}}}", named(missing)))
            }
            Self::Payment(problem) => ("pay", problem.fix.clone()),
            Self::SettlementPending { retry_after_s, .. } => {
                ("retry", format!("call again with the same payment after {retry_after_s} s: it is charged once"))
            }
            Self::ChainUnreachable { retry_after_s } => {
                ("retry", format!("call again after {retry_after_s} s; nothing was charged"))
            }
            Self::UnknownServer { closest, .. } => (
                "choose-another-name",
                closest.as_ref().map_or_else(
                    || "list the servers with GET /api/servers or gateway__search_servers".to_owned(),
                    |name| format!("did you mean {name:?}? GET /api/servers lists all"),
                ),
            ),
            Self::AmbiguousServer { candidates, .. } => {
                ("choose-another-name", format!("name one of them by its id, or as {}", candidates.join(" or ")))
            }
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
            Self::Unavailable { retry_after_s, .. } => {
                ("retry", format!("call again after {retry_after_s} s; nothing was charged"))
            }
            Self::AsksBack { .. } => (
                "choose-another-wire",
                "call it over MCP with a client that answers questions (elicitation, sampling, roots)".to_owned(),
            ),
            Self::UnpaidQuestions { retry_after_s, .. } => {
                ("retry", format!("finish a call that costs something, or come back after {retry_after_s} s"))
            }
            Self::Withdrawn => ("retry", "call again if you still want it; nothing was charged".to_owned()),
            Self::Busy { retry_after_s } => ("retry", format!("call again after {retry_after_s} s")),
            Self::Internal { .. } => ("tell-the-operator", "call again later, and tell the operator".to_owned()),
        };
        Remedy { action, text }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadCredential { what, .. } => write!(f, "unauthorized: {what}"),
            Self::BadRequest { what, .. } => f.write_str(what),
            Self::SignatureRequired => f.write_str("unauthorized: this wallet must sign its requests"),
            Self::WalletRequired => f.write_str("unauthorized: this needs a wallet"),
            Self::MissingSecrets { server, missing, .. } => {
                write!(f, "server {server:?} needs secrets that are not stored: {}", missing.join(", "))
            }
            Self::Payment(problem) => write!(f, "payment required: {}", problem.what),
            Self::SettlementPending { .. } => {
                f.write_str("the call ran, and the confirmation of its payment ran into a timeout")
            }
            Self::ChainUnreachable { .. } => f.write_str("the chain is unreachable"),
            Self::UnknownServer { asked, .. } => write!(f, "server {asked:?} not found"),
            Self::AmbiguousServer { asked, .. } => write!(f, "several servers are called {asked:?}"),
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
            Self::Unavailable { part, .. } => write!(f, "the gateway's {part} does not answer at the moment"),
            Self::AsksBack { server } => {
                write!(f, "server {server:?} asks its caller something before it answers, and nobody here can be asked")
            }
            Self::UnpaidQuestions { limit, .. } => {
                write!(f, "calls that cost something asked {limit} questions and were not paid; nothing was charged")
            }
            Self::Withdrawn => f.write_str("the call was withdrawn by its caller"),
            Self::Busy { .. } => f.write_str("too many calls at once"),
            Self::Internal { part } => write!(f, "internal error in {part}"),
        }
    }
}

impl std::error::Error for Refusal {}

/// `"NAME":"…"` for each.
fn named(names: &[String]) -> String {
    names.iter().map(|name| format!("{name:?}:\"…\"")).collect::<Vec<_>>().join(",")
}
