//! Which era a request belongs to, and the checks that the modern one asks for (MCP 2026-07-28, Streamable HTTP).

use base64::Engine as _;
use evidence::json::{Value, object};

use super::message::Request;

/// The modern revision: stateless, every request says its version.
pub(crate) const MODERN: &str = "2026-07-28";

/// Revisions that begin with `initialize`, newest last.
pub(crate) const LEGACY: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

/// The one revision that has batches.
pub(crate) const WITH_BATCHES: &str = "2025-03-26";

/// Where a modern request says its version.
pub(crate) const VERSION_META: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_META: &str = "io.modelcontextprotocol/clientCapabilities";

/// The era of one request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Era {
    /// `initialize` and what follows it.
    Legacy,
    /// 2026-07-28.
    Modern,
}

/// The request headers that MCP defines.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct McpHeaders<'a> {
    /// `MCP-Protocol-Version`
    pub(crate) version: Option<&'a str>,
    /// `Mcp-Method`
    pub(crate) method: Option<&'a str>,
    /// `Mcp-Name`
    pub(crate) name: Option<&'a str>,
}

/// A request that its era does not allow: HTTP status, JSON-RPC code, text and data.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct EraError {
    /// 400 or 404.
    pub(crate) status: u16,
    /// Of the specification's own range, or JSON-RPC's.
    pub(crate) code: i64,
    /// What is wrong and how to fix it.
    pub(crate) message: String,
    /// `error.data`
    pub(crate) data: Option<Value>,
}

impl EraError {
    fn new(status: u16, code: i64, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), data: None }
    }

    /// A header says something other than the body, or is missing.
    pub(crate) fn mismatch(header: &str, found: Option<&str>, wanted: &str) -> Self {
        let short = |text: &str| text.chars().take(128).collect::<String>();
        let found = found.map_or_else(|| "is missing".to_owned(), |found| format!("is {:?}", short(found)));
        let wanted = short(wanted);
        Self::new(400, -32020, format!("header {header} {found}, the body says {wanted:?}: send both alike"))
    }

    /// A version that is not spoken here.
    pub(crate) fn unsupported(version: &str) -> Self {
        unsupported(version)
    }

    /// A header that stands twice.
    pub(crate) fn doubled(header: &str) -> Self {
        Self::new(400, -32020, format!("header {header} stands more than once: send it once"))
    }

    /// A header without anything in the body that it could repeat.
    pub(crate) fn unfounded(header: &str, argument: &str) -> Self {
        let what = format!("header {header} is there, the argument {argument:?} is not: send both or none");
        Self::new(400, -32020, what)
    }
}

impl Era {
    /// What this era has instead of a method of the other one, as the end of a message; empty for other methods.
    pub(crate) fn instead_of(self, method: &str) -> &'static str {
        match (self, method) {
            (Self::Modern, "initialize") => {
                ". Instead of initialize there is server/discover, and every request says who asks in _meta"
            }
            (Self::Modern, "logging/setLevel") => {
                ". Instead of logging/setLevel a request says io.modelcontextprotocol/logLevel in _meta"
            }
            (Self::Modern, "resources/subscribe" | "resources/unsubscribe") => {
                ". Instead of resources/subscribe there is subscriptions/listen with resourceSubscriptions"
            }
            (Self::Legacy, "subscriptions/listen") => {
                ". It is of revision 2026-07-28: say that in MCP-Protocol-Version and in _meta"
            }
            _ => "",
        }
    }

    /// Reads the era off a request and checks what that era demands of it.
    pub(crate) fn of(request: &Request, headers: McpHeaders<'_>) -> Result<Self, EraError> {
        let said = request.meta(VERSION_META);
        let modern = said.is_some() || headers.version == Some(MODERN) || request.method == "server/discover";
        if !modern {
            return match headers.version {
                Some(version) if !LEGACY.contains(&version) => Err(unsupported(version)),
                _ => Ok(Self::Legacy),
            };
        }
        let Some(said) = said else {
            return Err(EraError::new(
                400,
                -32602,
                format!(
                    "params._meta[{VERSION_META:?}] is missing: send the protocol version, {MODERN:?}, with every request"
                ),
            ));
        };
        let Some(version) = said.as_str() else {
            return Err(EraError::new(400, -32602, format!("params._meta[{VERSION_META:?}] is not a string")));
        };
        if headers.version != Some(version) {
            return Err(EraError::mismatch("MCP-Protocol-Version", headers.version, version));
        }
        if version != MODERN {
            return Err(unsupported(version));
        }
        if !matches!(request.meta(CAPABILITIES_META), Some(Value::Object(_))) {
            return Err(EraError::new(
                400,
                -32602,
                format!("params._meta[{CAPABILITIES_META:?}] is missing or no object: send {{}} if you have none"),
            ));
        }
        if headers.method != Some(&*request.method) {
            return Err(EraError::mismatch("Mcp-Method", headers.method, &request.method));
        }
        if let Some(member) = named_by(&request.method) {
            let name = request.params.member(member).and_then(Value::as_str).unwrap_or_default();
            let shown = headers.name.and_then(decoded);
            if shown.as_deref() != Some(name) {
                return Err(EraError::mismatch("Mcp-Name", headers.name, name));
            }
        }
        Ok(Self::Modern)
    }
}

impl Request {
    /// What a modern client says that it can be asked.
    pub(crate) fn capabilities(&self) -> Option<&Value> {
        self.meta(CAPABILITIES_META)
    }
}

/// The member of `params` that `Mcp-Name` repeats.
fn named_by(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" => Some("uri"),
        // SEP-2663, "Streamable HTTP: Routing Headers".
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some("taskId"),
        _ => None,
    }
}

fn unsupported(version: &str) -> EraError {
    let version: String = version.chars().take(64).collect();
    EraError {
        status: 400,
        code: -32022,
        message: format!(
            "protocol version {version:?} is not supported: use {MODERN:?}, or initialize with {LEGACY:?}"
        ),
        data: Some(object([("supported", Value::Array(vec![MODERN.into()])), ("requested", version.into())])),
    }
}

/// A header value, `=?base64?…?=` undone. `None`: it says that it is base64 and is none.
pub(crate) fn decoded(value: &str) -> Option<String> {
    let Some(text) = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        return Some(value.to_owned());
    };
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use evidence::json::{Limits, parse};

    use super::*;

    fn request(method: &str, params: &str) -> Request {
        Request { id: 1_u64.into(), method: method.into(), params: parse(params.as_bytes(), &Limits::THEIRS).unwrap() }
    }

    const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

    fn modern<'a>(method: &'a str) -> McpHeaders<'a> {
        McpHeaders { version: Some(MODERN), method: Some(method), name: None }
    }

    #[test]
    fn a_request_without_marks_is_legacy() {
        for version in [None, Some("2025-11-25"), Some("2024-11-05")] {
            let headers = McpHeaders { version, ..McpHeaders::default() };
            assert_eq!(Era::of(&request("tools/list", "{}"), headers), Ok(Era::Legacy));
        }
        let headers = McpHeaders { version: Some("1999-01-01"), ..McpHeaders::default() };
        assert_eq!(Era::of(&request("tools/list", "{}"), headers).unwrap_err().code, -32022);
    }

    #[test]
    fn a_modern_request_says_its_version_twice_and_alike() {
        let ok = request("tools/list", &format!("{{{META}}}"));
        assert_eq!(Era::of(&ok, modern("tools/list")), Ok(Era::Modern));
        assert_eq!(Era::of(&ok, McpHeaders::default()).unwrap_err().code, -32020);
        assert_eq!(Era::of(&ok, modern("tools/call")).unwrap_err().code, -32020);
        assert_eq!(Era::of(&request("tools/list", "{}"), modern("tools/list")).unwrap_err().code, -32602);
        assert_eq!(Era::of(&request("server/discover", "{}"), McpHeaders::default()).unwrap_err().code, -32602);
        let other = r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2099-01-01"}}"#;
        let headers = McpHeaders { version: Some("2099-01-01"), method: Some("tools/list"), name: None };
        let error = Era::of(&request("tools/list", other), headers).unwrap_err();
        assert_eq!((error.status, error.code), (400, -32022));
    }

    #[test]
    fn a_modern_request_names_its_tool_prompt_or_resource_in_a_header() {
        for (method, member) in
            [("tools/call", "name"), ("prompts/get", "name"), ("resources/read", "uri"), ("tasks/get", "taskId")]
        {
            let call = request(method, &format!(r#"{{"{member}":"écho",{META}}}"#));
            let with = |name| Era::of(&call, McpHeaders { name, ..modern(method) });
            assert_eq!(with(Some("=?base64?w6ljaG8=?=")), Ok(Era::Modern));
            for wrong in [None, Some("other"), Some("=?base64?w6ljaG8?="), Some("=?base64?w6lj!!!aG8=?=")] {
                assert_eq!(with(wrong).unwrap_err().code, -32020, "{method} {wrong:?}");
            }
        }
    }

    #[test]
    fn a_value_that_only_looks_like_base64_is_taken_as_it_is() {
        for literal in ["SGVsbG8=", "=?base64?SGVsbG8=", "SGVsbG8=?=", ""] {
            assert_eq!(decoded(literal).as_deref(), Some(literal));
        }
        assert_eq!(decoded("=?base64?SGVsbG8=?=").as_deref(), Some("Hello"));
        for broken in ["=?base64?SGVsbG8?=", "=?base64?SGVs!!!bG8=?=", "=?base64?/w==?="] {
            assert_eq!(decoded(broken), None, "{broken}");
        }
    }
}
