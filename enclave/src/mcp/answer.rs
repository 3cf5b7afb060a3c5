//! What goes back: JSON-RPC results and errors of either era.

use evidence::{
    ResultObject,
    json::{Name, Value, object},
    proof::Envelope,
};
use gate::{PaymentProblem, Refusal};
use payments::Offer;

use super::era::{Era, MODERN};
use crate::{errand::Spoken, till::Paid};

/// Where a proof sits in `_meta` of a result, in `data` of an error, and beside a `data` that is no object.
pub(crate) const PROOF_META: &str = "io.sealgate/proof";

/// Where a settlement sits (x402 v2, transport MCP).
const PAYMENT_RESPONSE_META: &str = "x402/payment-response";

/// Where some clients look for what a call costs.
const PAYMENT_ERROR_META: &str = "x402/error";

/// Who made a result (MCP 2026-07-28).
const SERVER_INFO_META: &str = "io.modelcontextprotocol/serverInfo";

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
    /// May be another the next time it is asked for, and depends on who asks.
    Never,
}

/// Milliseconds for which a list may be kept. Lists change only when the gateway or its caller changes them.
const LIST_TTL_MS: u64 = 60_000;

impl Answer {
    /// A result.
    pub(crate) fn result(era: Era, id: &Value, mut result: Value, cache: Cache) -> Self {
        if let (Era::Modern, Value::Object(members)) = (era, &mut result) {
            stamp(members, cache);
        }
        Self { status: 200, message: response(id, result) }
    }

    /// An error.
    pub(crate) fn error(status: u16, id: &Value, code: i64, message: &str, data: Option<Value>) -> Self {
        let mut members = vec![("code".into(), Value::Number(code.to_string())), ("message".into(), message.into())];
        members.extend(data.map(|data| ("data".into(), data)));
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
        of_type: Option<&str>,
    ) -> Self {
        let proof = (PROOF_META.into(), envelope.to_value());
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
                    None => error.push(("data".into(), Value::Object(vec![proof]))),
                }
            }
            let status = status_of(era, &error);
            let message = object([("jsonrpc", "2.0".into()), ("id", id.clone()), ("error", error)]);
            return Self { status, message };
        }
        let mut ours = vec![proof];
        ours.extend(paid.map(|paid| (PAYMENT_RESPONSE_META.into(), paid.response())));
        match members.iter_mut().find(|(name, _)| name == "_meta") {
            Some((_, Value::Object(meta))) => meta.extend(ours),
            _ => members.push(("_meta".into(), Value::Object(ours))),
        }
        if let (Era::Modern, Some(of_type)) = (era, of_type) {
            members.push(("resultType".into(), of_type.into()));
        }
        Self::result(era, id, Value::Object(members), Cache::No)
    }

    /// The answer to who showed nothing where something must be shown.
    pub(crate) fn unauthenticated(id: &Value, refusal: &Refusal) -> Self {
        let text = format!("{refusal}; {}", refusal.remedy().text);
        Self::error(401, id, -31_401, &text, Some(details(refusal)))
    }

    /// What a server answered to anything but a tool call. What its era stamps on results is for clients of that era.
    pub(crate) fn of_server(era: Era, id: &Value, spoken: Spoken, result: Value, cacheable: bool) -> Self {
        let Value::Object(mut members) = result else {
            return Self::error(500, id, -32603, "internal error in the encoder", None);
        };
        match era {
            Era::Legacy => {
                unstamp(&mut members, spoken);
                Self { status: 200, message: response(id, Value::Object(members)) }
            }
            Era::Modern => {
                let named = |name: &str| members.iter().any(|(member, _)| member == name);
                if cacheable && !named("ttlMs") && !named("cacheScope") {
                    // What a server says today it need not say tomorrow, nor to others.
                    members.push(("ttlMs".into(), 0_u64.into()));
                    members.push(("cacheScope".into(), "private".into()));
                }
                Self::result(era, id, Value::Object(members), Cache::No)
            }
        }
    }

    /// A server's own error, as it was. -32002 is what older servers say of an unknown resource; modern clients know it as
    /// -32602 (MCP 2026-07-28, "Resources").
    pub(crate) fn error_of_server(era: Era, id: &Value, mut error: Value) -> Self {
        if let (Era::Modern, Value::Object(members)) = (era, &mut error) {
            for (name, value) in members {
                if name == "code" && *value == Value::Number("-32002".to_owned()) {
                    *value = Value::Number("-32602".to_owned());
                }
            }
        }
        let status = status_of(era, &error);
        Self { status, message: object([("jsonrpc", "2.0".into()), ("id", id.clone()), ("error", error)]) }
    }

    /// What a modern client has to answer before its request goes on.
    pub(crate) fn asks(id: &Value, asks: Value) -> Self {
        Self::result(Era::Modern, id, asks, Cache::No)
    }

    /// A refusal of a request other than a tool call: a JSON-RPC error, since there is no tool whose answer it could be.
    pub(crate) fn protocol_refusal(era: Era, id: &Value, refusal: &Refusal) -> Self {
        let remedy = refusal.remedy();
        let details = details(refusal);
        let (status, code) = match refusal {
            Refusal::BadCredential { .. } | Refusal::SignatureRequired => (401, -31_401),
            Refusal::UnknownServer { .. } | Refusal::BadRequest { .. } => (200, -32602),
            Refusal::Internal { .. } => (500, -32603),
            Refusal::WalletRequired => (200, -31_401),
            Refusal::MissingSecrets { .. } => (200, -31_424),
            Refusal::Busy { .. } | Refusal::UnpaidQuestions { .. } => (200, -31_429),
            Refusal::BadAnswer { .. } => (200, -31_502),
            Refusal::ServerTimeout { .. } => (200, -31_504),
            Refusal::AsksBack { .. } | Refusal::Withdrawn => (200, -31_409),
            _ => (200, -31_503),
        };
        let status = if era == Era::Legacy && status == 500 { 500 } else { status };
        Self::error(status, id, code, &format!("{refusal}; {}", remedy.text), Some(details))
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
            ("content".into(), Value::Array(vec![text])),
            ("isError".into(), true.into()),
            ("_meta".into(), Value::Object(vec![(PAYMENT_ERROR_META.into(), offer.payment_required(problem.reason))])),
        ];
        if structured {
            members.push(("structuredContent".into(), required));
        }
        Self::result(era, id, Value::Object(members), Cache::No)
    }

    /// A refusal of a tool call: some are the protocol's business, the others are the tool's answer.
    pub(crate) fn refusal(era: Era, id: &Value, refusal: &Refusal) -> Self {
        let remedy = refusal.remedy();
        let details = details(refusal);
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

/// A refusal for programs.
fn details(refusal: &Refusal) -> Value {
    let remedy = refusal.remedy();
    object([
        ("error", refusal.code().into()),
        ("message", refusal.to_string().into()),
        ("remediation", object([("action", remedy.action.into()), ("text", remedy.text.into())])),
        ("reason", refusal.reason().map_or(Value::Null, Value::from)),
    ])
}

/// The HTTP status of a server's own error (MCP 2026-07-28, Streamable HTTP): some codes are of the transport.
fn status_of(era: Era, error: &Value) -> u16 {
    match (era, error.member("code")) {
        (Era::Modern, Some(Value::Number(code))) => match code.as_str() {
            "-32020" | "-32021" | "-32022" => 400,
            "-32601" => 404,
            _ => 200,
        },
        _ => 200,
    }
}

fn response(id: &Value, result: Value) -> Value {
    object([("jsonrpc", "2.0".into()), ("id", id.clone()), ("result", result)])
}

/// Takes away what a server's era put on a result by itself.
pub(crate) fn unstamp(members: &mut Vec<(Name, Value)>, spoken: Spoken) {
    let stamps = spoken.stamps();
    if stamps.is_empty() {
        return;
    }
    members.retain(|(name, _)| !stamps.contains(&name.as_str()));
    for (name, value) in &mut *members {
        if let ("_meta", Value::Object(meta)) = (name.as_str(), value) {
            meta.retain(|(name, _)| name != SERVER_INFO_META);
        }
    }
    members.retain(|(name, value)| name != "_meta" || *value != Value::Object(Vec::new()));
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

fn stamp(members: &mut Vec<(Name, Value)>, cache: Cache) {
    if members.iter().all(|(name, _)| name != "resultType") {
        members.push(("resultType".into(), "complete".into()));
    }
    let kept = match cache {
        Cache::No => None,
        Cache::Public => Some(("public", LIST_TTL_MS)),
        Cache::Private => Some(("private", LIST_TTL_MS)),
        Cache::Never => Some(("private", 0)),
    };
    if let Some((scope, ttl)) = kept {
        members.push(("ttlMs".into(), ttl.into()));
        members.push(("cacheScope".into(), scope.into()));
    }
    let info = (SERVER_INFO_META.into(), server_info());
    match members.iter_mut().find(|(name, _)| name == "_meta") {
        // A server that names itself is who made this result.
        Some((_, Value::Object(meta))) if meta.iter().any(|(name, _)| name == SERVER_INFO_META) => {}
        Some((_, Value::Object(meta))) => meta.push(info),
        _ => members.push(("_meta".into(), Value::Object(vec![info]))),
    }
}

/// The result of `initialize` (legacy), for the version that the client asked for.
pub(crate) fn initialized(asked: Option<&str>, capabilities: Value, instructions: &str) -> Value {
    let newest = super::era::LEGACY.last().copied().unwrap_or_default();
    let version = super::era::LEGACY.iter().copied().find(|known| Some(*known) == asked).unwrap_or(newest);
    object([
        ("protocolVersion", version.into()),
        ("capabilities", capabilities),
        ("serverInfo", server_info()),
        ("instructions", instructions.into()),
    ])
}

/// The result of `server/discover` (modern).
pub(crate) fn discovered(capabilities: Value, instructions: &str) -> Value {
    object([
        ("supportedVersions", Value::Array(vec![MODERN.into()])),
        ("capabilities", capabilities),
        ("instructions", instructions.into()),
    ])
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
    fn what_an_era_stamps_on_results_is_for_clients_of_that_era() {
        let value = |text: &str| parse(text.as_bytes(), &Limits::THEIRS).unwrap();
        let id = Value::from("x");
        let of = |era, spoken, text: &str| Answer::of_server(era, &id, spoken, value(text), true).message;
        let result = |message: &Value| message.member("result").unwrap().to_text();
        let modern = r#"{"contents":[1.0],"resultType":"complete","ttlMs":5,"cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"own"}}}"#;
        assert_eq!(result(&of(Era::Legacy, Spoken::Modern, modern)), r#"{"contents":[1.0]}"#);
        assert_eq!(result(&of(Era::Modern, Spoken::Modern, modern)), modern, "unchanged");
        // The same words of an older server are its own.
        let own = r#"{"contents":[],"ttlMs":"soon"}"#;
        assert_eq!(result(&of(Era::Legacy, Spoken::Legacy, own)), own);
        let stamped = of(Era::Modern, Spoken::Legacy, r#"{"contents":[],"_meta":{"a/b":1}}"#);
        let stamped = stamped.member("result").unwrap();
        assert_eq!(stamped.member("ttlMs"), Some(&0_u64.into()));
        assert_eq!(stamped.member("cacheScope"), Some(&"private".into()));
        assert_eq!(stamped.member("_meta").unwrap().member("a/b"), Some(&1_u64.into()));
    }

    #[test]
    fn an_unknown_resource_has_the_code_of_its_clients_era() {
        let code = |era, code: &str| {
            let error = parse(format!("{{\"code\":{code},\"message\":\"no\"}}").as_bytes(), &Limits::THEIRS).unwrap();
            let message = Answer::error_of_server(era, &Value::Null, error).message;
            message.member("error").unwrap().member("code").unwrap().to_text()
        };
        assert_eq!(code(Era::Modern, "-32002"), "-32602");
        assert_eq!(code(Era::Legacy, "-32002"), "-32002");
        assert_eq!(code(Era::Modern, "-32042"), "-32042");
        for (code, status) in [("-32021", 400), ("-32601", 404), ("-32602", 200), ("7", 200)] {
            let error = object([("code", Value::Number(code.to_owned()))]);
            assert_eq!(Answer::error_of_server(Era::Modern, &Value::Null, error.clone()).status, status, "{code}");
            assert_eq!(Answer::error_of_server(Era::Legacy, &Value::Null, error).status, 200, "{code}");
        }
    }

    #[test]
    fn initialize_answers_the_asked_version_or_the_newest() {
        for (asked, given) in [
            (Some("2025-03-26"), "2025-03-26"),
            (Some("2024-11-05"), "2024-11-05"),
            (Some("2026-07-28"), "2025-11-25"),
            (None, "2025-11-25"),
        ] {
            assert_eq!(initialized(asked, object([]), "").member("protocolVersion"), Some(&given.into()));
        }
    }
}
