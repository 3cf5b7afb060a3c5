//! What goes back: JSON-RPC results and errors of either era.

use evidence::{
    ResultObject,
    json::{Value, object},
    proof::Envelope,
};
use gate::{PaymentProblem, Refusal};
use payments::Offer;

use super::era::{Era, MODERN};
use crate::till::Paid;

/// Where a proof sits in `_meta` of a result, in `data` of an error, and beside a `data` that is no object.
pub(crate) const PROOF_META: &str = "io.sealgate/proof";

/// Where a settlement sits (x402 v2, transport MCP).
const PAYMENT_RESPONSE_META: &str = "x402/payment-response";

/// Where some clients look for what a call costs.
const PAYMENT_ERROR_META: &str = "x402/error";

/// One answer to one request.
#[derive(Debug)]
pub(crate) struct Answer {
    /// HTTP status.
    pub(crate) status: u16,
    /// The JSON-RPC message.
    pub(crate) message: Value,
}

/// How long and for whom a list may be kept.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cache {
    /// Not a list.
    No,
    /// The same for everybody.
    Public,
    /// Depends on who asks.
    Private,
}

/// Milliseconds for which a list may be kept. Lists change only when the gateway or its caller changes them.
const LIST_TTL_MS: u64 = 60_000;

impl Answer {
    /// A result.
    pub(crate) fn result(era: Era, id: &Value, mut result: Value, cache: Cache) -> Self {
        if let (Era::Modern, Value::Object(members)) = (era, &mut result) {
            stamp(members, cache);
        }
        Self { status: 200, message: object([("jsonrpc", "2.0".into()), ("id", id.clone()), ("result", result)]) }
    }

    /// An error.
    pub(crate) fn error(status: u16, id: &Value, code: i64, message: &str, data: Option<Value>) -> Self {
        let mut members =
            vec![("code".to_owned(), Value::Number(code.to_string())), ("message".to_owned(), message.into())];
        members.extend(data.map(|data| ("data".to_owned(), data)));
        Self {
            status,
            message: object([("jsonrpc", "2.0".into()), ("id", id.clone()), ("error", Value::Object(members))]),
        }
    }

    /// What a server answered, with its proof.
    pub(crate) fn settled(
        era: Era,
        id: &Value,
        result: ResultObject,
        envelope: &Envelope,
        paid: Option<&Paid>,
    ) -> Self {
        let proof = (PROOF_META.to_owned(), envelope.to_value());
        let Value::Object(mut members) = result.into_value() else {
            return Self::error(500, id, -32603, "internal error in the encoder", None);
        };
        if let Some(at) = members.iter().position(|(name, _)| name == "error") {
            let (_, mut error) = members.swap_remove(at);
            if let Value::Object(error) = &mut error {
                match error.iter_mut().find(|(name, _)| name == "data") {
                    Some((_, Value::Object(data))) => data.push(proof),
                    // A scalar has no room, and a server must not get rid of the proof by sending one.
                    Some(_) => error.push(proof),
                    None => error.push(("data".to_owned(), Value::Object(vec![proof]))),
                }
            }
            let message = object([("jsonrpc", "2.0".into()), ("id", id.clone()), ("error", error)]);
            return Self { status: 200, message };
        }
        let mut ours = vec![proof];
        ours.extend(paid.map(|paid| (PAYMENT_RESPONSE_META.to_owned(), paid.response())));
        match members.iter_mut().find(|(name, _)| name == "_meta") {
            Some((_, Value::Object(meta))) => meta.extend(ours),
            _ => members.push(("_meta".to_owned(), Value::Object(ours))),
        }
        Self::result(era, id, Value::Object(members), Cache::No)
    }

    /// What a call costs, to the clients of this ecosystem and to official ones at once: a tool result, since an HTTP
    /// error on `/mcp` breaks them (x402 v2, transport MCP).
    pub(crate) fn payment_required(
        era: Era,
        id: &Value,
        offer: &Offer,
        problem: &PaymentProblem,
        structured: bool,
    ) -> Self {
        let required = offer.payment_required_mcp(problem.reason, &format!("{}; {}", problem.what, problem.fix));
        let text = object([("type", "text".into()), ("text", required.to_text().into())]);
        let mut members = vec![
            ("content".to_owned(), Value::Array(vec![text])),
            ("isError".to_owned(), true.into()),
            (
                "_meta".to_owned(),
                Value::Object(vec![(PAYMENT_ERROR_META.to_owned(), offer.payment_required(problem.reason))]),
            ),
        ];
        if structured {
            members.push(("structuredContent".to_owned(), required));
        }
        Self::result(era, id, Value::Object(members), Cache::No)
    }

    /// A refusal of a tool call: some are the protocol's business, the others are the tool's answer.
    pub(crate) fn refusal(era: Era, id: &Value, refusal: &Refusal) -> Self {
        let remedy = refusal.remedy();
        let details = object([
            ("error", refusal.code().into()),
            ("message", refusal.to_string().into()),
            ("remediation", object([("action", remedy.action.into()), ("text", remedy.text.as_str().into())])),
            ("reason", refusal.reason().map_or(Value::Null, Value::from)),
        ]);
        match refusal {
            Refusal::BadCredential { .. } | Refusal::SignatureRequired => {
                Self::error(401, id, -31_401, &format!("{refusal}; {}", remedy.text), Some(details))
            }
            Refusal::UnknownServer { .. }
            | Refusal::UnknownTool { .. }
            | Refusal::ArgumentsNotAnObject { .. }
            | Refusal::ArgumentsTooLong { .. }
            | Refusal::BadRequest { .. } => {
                Self::error(200, id, -32602, &format!("{refusal}; {}", remedy.text), Some(details))
            }
            Refusal::Internal { .. } => Self::error(500, id, -32603, &refusal.to_string(), Some(details)),
            _ => {
                let text = format!("Error ({}): {refusal}. {}", refusal.code(), remedy.text);
                Self::result(era, id, tool_result(text, details, true), Cache::No)
            }
        }
    }
}

/// A tool result of the gateway itself: a text, the same as structure, and whether it is an error.
pub(crate) fn tool_result(text: String, structured: Value, is_error: bool) -> Value {
    object([
        ("content", Value::Array(vec![object([("type", "text".into()), ("text", text.into())])])),
        ("structuredContent", structured),
        ("isError", is_error.into()),
    ])
}

/// Name and version of this gateway, as MCP calls it `serverInfo`.
pub(crate) fn server_info() -> Value {
    object([("name", "sealgate".into()), ("title", "Sealgate".into()), ("version", env!("CARGO_PKG_VERSION").into())])
}

fn stamp(members: &mut Vec<(String, Value)>, cache: Cache) {
    if members.iter().all(|(name, _)| name != "resultType") {
        members.push(("resultType".to_owned(), "complete".into()));
    }
    let scope = match cache {
        Cache::No => None,
        Cache::Public => Some("public"),
        Cache::Private => Some("private"),
    };
    if let Some(scope) = scope {
        members.push(("ttlMs".to_owned(), LIST_TTL_MS.into()));
        members.push(("cacheScope".to_owned(), scope.into()));
    }
    let info = ("io.modelcontextprotocol/serverInfo".to_owned(), server_info());
    match members.iter_mut().find(|(name, _)| name == "_meta") {
        Some((_, Value::Object(meta))) => meta.push(info),
        _ => members.push(("_meta".to_owned(), Value::Object(vec![info]))),
    }
}

/// The result of `initialize` (legacy), for the version that the client asked for.
pub(crate) fn initialized(asked: Option<&str>, instructions: &str) -> Value {
    let newest = super::era::LEGACY.last().copied().unwrap_or_default();
    let version = super::era::LEGACY.iter().copied().find(|known| Some(*known) == asked).unwrap_or(newest);
    object([
        ("protocolVersion", version.into()),
        ("capabilities", capabilities()),
        ("serverInfo", server_info()),
        ("instructions", instructions.into()),
    ])
}

/// The result of `server/discover` (modern).
pub(crate) fn discovered(instructions: &str) -> Value {
    object([
        ("supportedVersions", Value::Array(vec![MODERN.into()])),
        ("capabilities", capabilities()),
        ("instructions", instructions.into()),
    ])
}

fn capabilities() -> Value {
    object([("tools", object([]))])
}

#[cfg(test)]
mod tests {
    use evidence::json::{Limits, parse};

    use super::*;

    #[test]
    fn modern_results_carry_what_strict_clients_ask_for_and_legacy_ones_stay_as_they_were() {
        let result = parse(br#"{"tools":[],"_meta":{"a/b":1}}"#, &Limits::THEIRS).unwrap();
        let id = Value::from("x");
        let modern = Answer::result(Era::Modern, &id, result.clone(), Cache::Private).message;
        let modern = modern.member("result").unwrap();
        assert_eq!(modern.member("resultType"), Some(&"complete".into()));
        assert_eq!(modern.member("cacheScope"), Some(&"private".into()));
        assert!(modern.member("_meta").unwrap().member("io.modelcontextprotocol/serverInfo").is_some());
        let legacy = Answer::result(Era::Legacy, &id, result.clone(), Cache::Private).message;
        assert_eq!(legacy.member("result"), Some(&result));
    }

    #[test]
    fn initialize_answers_the_asked_version_or_the_newest() {
        for (asked, given) in [
            (Some("2025-03-26"), "2025-03-26"),
            (Some("2024-11-05"), "2024-11-05"),
            (Some("2026-07-28"), "2025-11-25"),
            (None, "2025-11-25"),
        ] {
            assert_eq!(initialized(asked, "").member("protocolVersion"), Some(&given.into()));
        }
    }
}
