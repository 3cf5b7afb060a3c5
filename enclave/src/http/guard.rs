//! Checks that come before every route: a page of a stranger must not reach a gateway on loopback through a browser
//! (DNS rebinding; MCP, Streamable HTTP, "Security Warning").

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::problem::Problem;
use crate::app::App;

/// Refuses hosts and origins that are not ours.
pub(crate) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let text = |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?").to_owned());
    let host = text(header::HOST).or_else(|| request.uri().authority().map(ToString::to_string));
    if let Some(host) = host
        && !(is_loopback(&host) || app.config.allowed_hosts.contains(&host))
    {
        return refuse("Host", &host, "allowed_hosts");
    }
    if let Some(origin) = text(header::ORIGIN) {
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        if !(authority.is_some_and(is_loopback) || app.config.allowed_origins.contains(&origin)) {
            return refuse("Origin", &origin, "allowed_origins");
        }
    }
    next.run(request).await
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
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

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
