//! Where a client without a credential learns how to get one (RFC 9728): a challenge at each MCP endpoint, and the document
//! it points to. Each endpoint is a resource of its own.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use evidence::json::{Value, object};

use super::{
    json,
    problem::Problem,
    query::{NoQuery, Place},
};
use crate::app::App;

/// Protected resource metadata (RFC 9728, section 2).
#[derive(utoipa::ToSchema)]
#[schema(examples(json!({"resource": "https://gateway.example/mcp", "resource_name": "Sealgate",
    "bearer_methods_supported": ["header"], "resource_documentation": "https://gateway.example/api/auth/challenge"})))]
#[expect(dead_code, reason = "only its shape is read")]
pub(crate) struct ResourceMetadata {
    /// The endpoint.
    resource: String,
    /// Its name.
    resource_name: String,
    /// How a token is shown.
    bearer_methods_supported: Vec<String>,
    /// Where logging in begins.
    resource_documentation: String,
}

/// Where the documents are, before the path of the resource (RFC 9728, section 3.1).
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// `GET /.well-known/oauth-protected-resource`
#[utoipa::path(get, path = "/.well-known/oauth-protected-resource", tag = "MCP", summary = "The resource that /mcp is (RFC 9728)",
    responses((status = 200, description = "As asked", body = ResourceMetadata)))]
pub(crate) async fn root(app: State<Arc<App>>, query: NoQuery) -> Response {
    gateway(app, query).await
}

/// `GET /.well-known/oauth-protected-resource/mcp`
#[utoipa::path(get, path = "/.well-known/oauth-protected-resource/mcp", tag = "MCP", summary = "The same, at its own address",
    responses((status = 200, description = "As asked", body = ResourceMetadata)))]
pub(crate) async fn gateway(State(app): State<Arc<App>>, _: NoQuery) -> Response {
    json(StatusCode::OK, &document(&app, "/mcp", "Sealgate"))
}

/// `GET /.well-known/oauth-protected-resource/mcp/server/:serverId`
#[utoipa::path(get, path = "/.well-known/oauth-protected-resource/mcp/server/{id}", tag = "MCP", summary = "The resource that one server's endpoint is",
    params(("id" = String, Path, description = "UUID, name, slug or package name", example = "everything")),
    responses((status = 200, description = "As asked", body = ResourceMetadata)))]
pub(crate) async fn one_server(State(app): State<Arc<App>>, Place(id): Place<String>, _: NoQuery) -> Response {
    match app.catalogue.find(&id) {
        Ok(server) => {
            let path = format!("/mcp/server/{}", server.entry.id);
            json(StatusCode::OK, &document(&app, &path, &server.entry.name))
        }
        Err(refusal) => Problem::from(&refusal).into_response(),
    }
}

/// The challenge of an endpoint's 401. `is_bad`: a credential was shown and does not hold (RFC 6750, section 3.1: who
/// showed nothing is told no error).
pub(crate) fn challenge(app: &App, endpoint: &str, is_bad: bool) -> HeaderValue {
    let error = if is_bad { ", error=\"invalid_token\"" } else { "" };
    let value = format!("Bearer resource_metadata=\"{}{WELL_KNOWN}{endpoint}\"{error}", app.base);
    HeaderValue::from_str(&value).unwrap_or_else(|_| HeaderValue::from_static("Bearer"))
}

/// Puts the challenge on a 401.
pub(crate) fn challenged(app: &App, endpoint: &str, is_bad: bool, mut response: Response) -> Response {
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge(app, endpoint, is_bad));
    }
    response
}

fn document(app: &App, path: &str, name: &str) -> Value {
    let base = &app.base;
    object([
        ("resource", format!("{base}{path}").into()),
        ("resource_name", name.into()),
        ("bearer_methods_supported", Value::Array(vec!["header".into()])),
        ("resource_documentation", format!("{base}/api/auth/challenge").into()),
    ])
}
