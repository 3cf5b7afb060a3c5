//! The HTTP face: routes, limits, and the one table from refusals to statuses.
#![allow(clippy::result_large_err, reason = "the error of a request is its answer, which moves once")]

mod attestation;
mod auth;
mod catalog;
mod connect;
mod filters;
mod guard;
mod leftover;
mod mcp;
mod openapi;
mod pay;
mod problem;
mod query;
mod reload;
mod resource_metadata;
mod rest;
mod secrets;
mod servers;
mod warmth;
mod who;

use axum::{
    Router,
    body::{Body, HttpBody as _},
    extract::DefaultBodyLimit,
    http::{HeaderMap, Method, StatusCode, header},
    middleware,
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, get, post, put},
};
use evidence::json::Value;
use http_body_util::BodyExt as _;

use crate::{
    app::Live,
    enablement::{MAX_SESSION_BYTES, Narrower},
};
pub(crate) use pay::{Presented, presented, two_payments};
use problem::Problem;

/// All routes.
pub(crate) fn router(live: Live) -> Router {
    Router::new()
        .route("/health", get(attestation::health).fallback(only_get))
        .route("/health/reload", post(reload::all).fallback(only_post))
        .route("/health/reload/{id}", post(reload::one).fallback(only_post))
        .route("/mcp", post(mcp::gateway).fallback(mcp::only_post))
        .route("/mcp/server/{id}", post(mcp::one_server).fallback(mcp::only_post))
        .route("/.well-known/oauth-protected-resource", get(resource_metadata::root).fallback(only_get))
        .route("/.well-known/oauth-protected-resource/mcp", get(resource_metadata::gateway).fallback(only_get))
        .route(
            "/.well-known/oauth-protected-resource/mcp/server/{id}",
            get(resource_metadata::one_server).fallback(only_get),
        )
        .route("/api/servers", get(servers::list).fallback(only_get))
        .of_server("", get(servers::one).fallback(only_get))
        .of_server("/tools", get(servers::tools).fallback(only_get))
        .of_server("/tools/{tool}", post(rest::call).fallback(only_post))
        .of_server("/connect", get(connect::connect).fallback(only_get))
        .of_server("/start", post(warmth::start).fallback(only_post))
        .of_server("/stop", post(warmth::stop).fallback(only_post))
        .route("/api/catalog/semantic-search", post(catalog::semantic_search).fallback(only_post))
        .route("/api/proofs/{id}", get(rest::proof).fallback(only_get))
        .route("/api/attestation", get(attestation::summary).fallback(only_get))
        .route("/api/attestation/report", get(attestation::report).fallback(only_get))
        .route("/api/attestation/bundle", get(attestation::bundle).fallback(only_get))
        .route("/api/attestation/security", get(attestation::security).fallback(only_get))
        .route("/api/attestation/build-info", get(attestation::build_info).fallback(only_get))
        .route("/api/attestation/provenance", get(attestation::provenance).fallback(only_get))
        .route("/api/attestation/encryption-model", get(attestation::encryption_model).fallback(only_get))
        .route("/api/v1/attestation", get(attestation::short).fallback(only_get))
        .route("/api/warmup/status", get(warmth::packages).fallback(only_get))
        .route("/api/secrets", put(rest::store_named_secrets).fallback(only_put))
        .route(
            "/api/secrets/{id}",
            get(rest::secrets)
                .post(rest::store_secrets)
                .put(rest::store_secrets)
                .delete(rest::delete_secrets)
                .fallback(only_secrets),
        )
        .route("/api/secrets/{id}/status", get(rest::secrets_status).fallback(only_get))
        .route("/api/auth/challenge", get(auth::challenge).fallback(only_get))
        .route("/api/auth/verify", post(auth::verify).fallback(only_post))
        .route("/api/auth/token-message", get(auth::token_message).fallback(only_get))
        .route("/api/auth/create-token", post(auth::create_token).fallback(only_post))
        .route("/api/auth/revoke", post(auth::revoke).fallback(only_post))
        // How the agent gateway of this ecosystem spells the same.
        .route("/auth/challenge", get(auth::challenge).fallback(only_get))
        .route("/auth/verify", post(auth::verify).fallback(only_post))
        .route("/.well-known/jwks.json", get(auth::jwks).fallback(only_get))
        .route("/api/payments/config", get(pay::config).fallback(only_get))
        .route("/api/verify", post(rest::verify).fallback(only_post))
        .route("/openapi.json", get(openapi::document).fallback(only_get))
        .fallback(nowhere)
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(live.clone(), guard::guard))
        .layer(middleware::from_fn(leftover::leftover))
        .with_state(live)
}

/// Routes of one server.
trait OfServer {
    /// `/api/servers/{id}` and the rest of the address; the same where a client did not encode the slash of a scoped
    /// package's name, so that it came as two segments.
    fn of_server(self, rest: &str, route: MethodRouter<Live>) -> Self;
}

impl OfServer for Router<Live> {
    fn of_server(self, rest: &str, route: MethodRouter<Live>) -> Self {
        self.route(&format!("/api/servers/{{id}}{rest}"), route.clone())
            .route(&format!("/api/servers/{{id}}/{{name}}{rest}"), route)
    }
}

async fn nowhere(method: Method, uri: axum::http::Uri) -> Response {
    Problem::nowhere(&method, uri.path()).into_response()
}

async fn only_post() -> Response {
    Problem::method("POST").into_response()
}

async fn only_put() -> Response {
    Problem::method("PUT").into_response()
}

async fn only_secrets() -> Response {
    Problem::method("GET, POST, PUT, DELETE").into_response()
}

async fn only_get() -> Response {
    Problem::method("GET").into_response()
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, value: &Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, value.to_text()).into_response()
}

/// Shortest `X-MCP-Session`: what two strangers could both think of would be one session for both.
const MIN_SESSION_BYTES: usize = 8;

/// `X-MCP-Session`, if it is there and can be one.
fn session(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get("x-mcp-session") else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| (MIN_SESSION_BYTES..=MAX_SESSION_BYTES).contains(&text.len()));
    text.map(Some).ok_or_else(|| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "BAD_SESSION",
            format!("X-MCP-Session is not {MIN_SESSION_BYTES} to {MAX_SESSION_BYTES} bytes of ASCII"),
            "send a random string of 16 to 128 visible ASCII characters, the same in every request",
        )
    })
}

/// What makes the caller's scope narrower: `X-MCP-Session` and `X-Runtime-Scope-Id`, as far as they are there.
fn narrower(headers: &HeaderMap) -> Result<Narrower, Problem> {
    let session = session(headers)?.map(str::to_owned);
    let Some(value) = headers.get("x-runtime-scope-id") else { return Ok(Narrower { runtime: None, session }) };
    let text = value.to_str().ok().filter(|text| (1..=MAX_SESSION_BYTES).contains(&text.len()));
    let runtime = text.map(str::to_owned).ok_or_else(|| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "BAD_SCOPE",
            format!("X-Runtime-Scope-Id is not 1 to {MAX_SESSION_BYTES} bytes of ASCII"),
            "send the scope's id, or leave the header out",
        )
    })?;
    Ok(Narrower { runtime: Some(runtime), session })
}

/// How long a body may take to arrive.
const BODY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// What a body may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sort {
    /// JSON, and it says so.
    Json,
    /// Nothing, or something that nobody reads.
    Any,
}

/// The request body, if it is JSON and not longer than `limit` bytes.
async fn json_body(headers: &HeaderMap, body: Body, limit: usize) -> Result<Vec<u8>, Problem> {
    body_of(headers, body, Sort::Json, limit).await
}

/// The request body, if it is of this sort and not longer than `limit` bytes.
async fn body_of(headers: &HeaderMap, body: Body, sort: Sort, limit: usize) -> Result<Vec<u8>, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let is_json = kind.is_some_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("application/json")
    });
    if sort == Sort::Json && !is_json {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "NOT_JSON",
            format!("Content-Type is {}", kind.map_or_else(|| "missing".to_owned(), |kind| format!("{kind:?}"))),
            "send Content-Type: application/json",
        ));
    }
    match tokio::time::timeout(BODY_TIMEOUT, read(body, limit)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(Unread::TooLong)) => Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "BODY_TOO_LONG",
            format!("the body is longer than {limit} bytes"),
            format!("send at most {limit} bytes"),
        )),
        Ok(Err(Unread::Cut(error))) => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "BODY_CUT",
            format!("the body could not be read to its end: {error}"),
            "send all bytes that Content-Length announces, or whole chunks",
        )),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "BODY_TOO_SLOW",
            format!("the body did not arrive within {} s", BODY_TIMEOUT.as_secs()),
            "send it faster",
        )),
    }
}

/// Why a body is not to be had.
enum Unread {
    TooLong,
    Cut(axum::Error),
}

/// A body of up to `limit` bytes. What is longer is read to its end before it is refused, so that whoever sends it hears
/// why instead of a broken connection; what is very much longer is not.
async fn read(mut body: Body, limit: usize) -> Result<Vec<u8>, Unread> {
    let patience = limit.saturating_mul(4);
    if body.size_hint().lower() > patience as u64 {
        return Err(Unread::TooLong);
    }
    let (mut bytes, mut seen) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(Unread::Cut)?.into_data() else { continue };
        seen = seen.saturating_add(data.len());
        if seen > patience {
            return Err(Unread::TooLong);
        }
        if seen <= limit {
            bytes.extend_from_slice(&data);
        }
    }
    if seen > limit { Err(Unread::TooLong) } else { Ok(bytes) }
}
