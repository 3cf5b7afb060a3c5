//! Errors over REST: RFC 9457 problem details, with the ecosystem's `error` and `message` beside them.

use axum::{
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use evidence::json::{JsonError, Name, Value, object};
use gate::Refusal;

/// One problem.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    what: Box<str>,
    fix: Box<str>,
    action: &'static str,
    reason: Option<&'static str>,
    allow: Option<&'static str>,
    retry_after_s: Option<u32>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, what: String, fix: impl Into<String>) -> Self {
        Self {
            status,
            code,
            what: what.into(),
            fix: fix.into().into(),
            action: "fix-request",
            reason: None,
            allow: None,
            retry_after_s: None,
        }
    }

    pub(crate) fn method(allow: &'static str) -> Self {
        let what = format!("this address takes {allow} only");
        let problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", what, format!("use {allow}"));
        Self { allow: Some(allow), ..problem }
    }

    /// The same, with another text.
    pub(crate) fn because(self, what: &str, fix: &str) -> Self {
        Self { what: what.into(), fix: fix.into(), ..self }
    }

    pub(crate) fn busy(retry_after_s: u32) -> Self {
        let problem = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "BUSY",
            "too many requests of this kind at once".to_owned(),
            format!("come back after {retry_after_s} s"),
        );
        Self { retry_after_s: Some(retry_after_s), action: "retry", ..problem }
    }

    /// The same, to be tried again after so many seconds.
    pub(crate) fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after_s: Some(seconds), action: "retry", ..self }
    }

    /// There is nothing at this address.
    pub(crate) fn nowhere(method: &Method, path: &str) -> Self {
        let path: String = path.chars().take(256).collect();
        Self::new(
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
            format!("there is nothing at {method} {path}"),
            "GET /openapi.json lists the endpoints; MCP is at POST /mcp, the servers at GET /api/servers",
        )
    }

    pub(crate) fn json(error: &JsonError) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "BAD_JSON",
            error.to_string(),
            "send one JSON text (RFC 8259) without duplicate names",
        )
    }

    pub(crate) fn internal(part: &'static str) -> Self {
        Self::from(&Refusal::Internal { part })
    }
}

/// The one table from refusals to statuses.
impl From<&Refusal> for Problem {
    fn from(refusal: &Refusal) -> Self {
        let status = match refusal {
            Refusal::BadCredential { .. } | Refusal::SignatureRequired | Refusal::WalletRequired => {
                StatusCode::UNAUTHORIZED
            }
            Refusal::BadRequest { .. } => StatusCode::BAD_REQUEST,
            Refusal::MissingSecrets { .. } => StatusCode::FAILED_DEPENDENCY,
            Refusal::Payment(_) => StatusCode::PAYMENT_REQUIRED,
            Refusal::SettlementPending { .. } | Refusal::ChainUnreachable { .. } | Refusal::Unavailable { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Refusal::UnknownServer { .. } | Refusal::UnknownTool { .. } => StatusCode::NOT_FOUND,
            Refusal::AmbiguousServer { .. } => StatusCode::CONFLICT,
            Refusal::ArgumentsNotAnObject { .. } => StatusCode::BAD_REQUEST,
            Refusal::ArgumentsTooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::ServerUnavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::ServerTimeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            Refusal::BadAnswer { .. } => StatusCode::BAD_GATEWAY,
            Refusal::AsksBack { .. } | Refusal::Withdrawn => StatusCode::CONFLICT,
            Refusal::UnpaidQuestions { .. } => StatusCode::TOO_MANY_REQUESTS,
            Refusal::Busy { .. } => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let remedy = refusal.remedy();
        Self {
            status,
            code: refusal.code(),
            what: refusal.to_string().into(),
            fix: remedy.text.into(),
            action: remedy.action,
            allow: None,
            reason: refusal.reason(),
            retry_after_s: refusal.retry_after_s(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = [
            ("type", "about:blank".into()),
            ("title", self.status.canonical_reason().unwrap_or("Error").into()),
            ("status", u64::from(self.status.as_u16()).into()),
            ("detail", (*self.what).into()),
            ("error", self.code.into()),
            ("message", format!("{}; {}", self.what, self.fix).into()),
            ("remediation", object([("action", self.action.into()), ("text", Value::from(&*self.fix))])),
        ];
        let mut body: Vec<(Name, Value)> = body.map(|(name, value)| (name.into(), value)).into();
        body.extend(self.reason.map(|reason| ("reason".into(), reason.into())));
        let mut response = (self.status, Value::Object(body).to_text()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 6750, section 3.1: who showed nothing is told no error.
            let shown = self.reason.is_some();
            let value = if shown { "Bearer error=\"invalid_token\"" } else { "Bearer" };
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(value));
        }
        response
    }
}
