//! Checks that come before every route: a page of a stranger must not reach a gateway on loopback through a browser
//! (DNS rebinding; MCP, Streamable HTTP, "Security Warning").

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::problem::Problem;
use crate::app::App;

/// Refuses hosts and origins that are not ours.
pub(crate) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let preflight = request.method() == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let text = |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?").to_owned());
    // Where others can reach us, the names of a machine's own loopback are not ours: a request that somebody signed for a
    // program of theirs on localhost must not hold here.
    let near = app.listening.ip().is_loopback();
    // RFC 9112, section 3.2: exactly one Host, and none beside another authority. What a signature covers as @authority
    // must be what was let in here.
    let asked = request.uri().authority().map(ToString::to_string);
    let host = text(header::HOST);
    if headers.get_all(header::HOST).iter().count() != 1 || asked.is_some_and(|asked| Some(&asked) != host.as_ref()) {
        return Problem::new(
            StatusCode::BAD_REQUEST,
            "BAD_HOST",
            "the request names no host, two, or another one in its first line than in Host".to_owned(),
            "send one Host header, and a path alone in the first line",
        )
        .into_response();
    }
    if let Some(host) = host
        && !(near && is_loopback(&host) || app.config.allowed_hosts.contains(&host) || is_own(&app, &host))
    {
        return refuse("Host", &host, "allowed_hosts");
    }
    let origin = text(header::ORIGIN);
    if let Some(origin) = &origin {
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        if !(near && authority.is_some_and(is_loopback) || app.config.allowed_origins.contains(origin)) {
            return refuse("Origin", origin, "allowed_origins");
        }
    }
    // Headers that a tool wants arguments repeated in have names of the tool's (MCP 2026-07-28).
    let wanted =
        if preflight { text(header::ACCESS_CONTROL_REQUEST_HEADERS).unwrap_or_default() } else { String::new() };
    let mut response = if preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    if let Some(origin) = origin.and_then(|origin| HeaderValue::from_str(&origin).ok()) {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if preflight {
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, PUT, DELETE"));
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, sent(&wanted));
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        } else {
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(READ));
        }
    }
    response
}

/// Headers that a page of an allowed origin may send (Fetch, "CORS protocol").
const SENT: &str = "Authorization, Content-Type, Accept, MCP-Protocol-Version, Mcp-Method, Mcp-Name, X-MCP-Session, \
                    X-Runtime-Scope-Id, Sealgate-Challenge, PAYMENT-SIGNATURE, X-PAYMENT, Signature, Signature-Input, \
                    Content-Digest";

/// The same, and what of the wanted ones repeats an argument.
fn sent(wanted: &str) -> HeaderValue {
    let names = wanted.split(',').map(str::trim).filter(|name| name.to_ascii_lowercase().starts_with("mcp-param-"));
    let token = |name: &&str| header::HeaderName::try_from(*name).is_ok();
    let all: Vec<&str> = std::iter::once(SENT).chain(names.filter(token).take(32)).collect();
    HeaderValue::from_str(&all.join(", ")).unwrap_or_else(|_| HeaderValue::from_static(SENT))
}

/// Headers that it may read.
const READ: &str = "PAYMENT-REQUIRED, PAYMENT-RESPONSE, X-PAYMENT-RESPONSE, WWW-Authenticate, Accept-Signature, \
                    Retry-After";

/// Whether a host is the gateway's own by its configuration: a name of its certificate or of its public address.
fn is_own(app: &App, authority: &str) -> bool {
    let name = host_of(authority);
    let public = app.config.public_url.as_deref().and_then(|url| url.split_once("://")).map(|(_, rest)| rest);
    let public = public.map(|rest| rest.split('/').next().unwrap_or_default());
    public == Some(authority)
        || app.config.tls.as_ref().is_some_and(|tls| tls.names.iter().any(|own| own.eq_ignore_ascii_case(name)))
}

/// An authority without its port.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

fn refuse(header: &str, found: &str, setting: &str) -> Response {
    let found: String = found.chars().take(128).collect();
    Problem::new(
        StatusCode::FORBIDDEN,
        "FORBIDDEN_ORIGIN",
        format!("{header} {found:?} is not one of this gateway's"),
        format!("the operator can add it to {setting}"),
    )
    .into_response()
}

/// `localhost`, `127.0.0.1` or `[::1]`, with or without a port.
fn is_loopback(authority: &str) -> bool {
    matches!(host_of(authority), "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::{SENT, is_loopback, sent};

    #[test]
    fn a_page_may_repeat_arguments_as_headers_and_send_no_others() {
        assert_eq!(sent(""), SENT);
        assert_eq!(sent("content-type, Mcp-Param-Region, x-other"), format!("{SENT}, Mcp-Param-Region"));
        assert_eq!(sent("mcp-param-a b, mcp-param-\u{e9}"), SENT);
    }

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for name in ["localhost", "localhost:80", "127.0.0.1:8402", "[::1]:1", "[::1]"] {
            assert!(is_loopback(name), "{name}");
        }
        for name in
            ["localhost.evil.example", "evil.example:80", "127.0.0.1.evil.example", "::1", "", "localhost:80:80"]
        {
            assert!(!is_loopback(name), "{name}");
        }
    }
}
