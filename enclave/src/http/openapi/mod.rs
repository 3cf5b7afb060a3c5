//! `GET /openapi.json`: the API described (OpenAPI 3.1), from the attributes that stand at each handler.
//!
//! **Adding a route**: `#[utoipa::path(…)]` at its handler, the handler in [`Described`], its bodies in [`shapes`], each with
//! an example. A test holds the routes of `http/mod.rs` to this document.

mod mcp;
pub(crate) mod shapes;

use std::sync::{Arc, OnceLock};

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use super::{
    attestation, auth, catalog, connect, pay, problem::Problem, query::NoQuery, reload, resource_metadata, rest,
    servers, warmth,
};
use crate::app::App;

/// Every handler that is described.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Sealgate",
        description = "A gateway that hosts MCP servers in hardened containers and gives with every tool call a proof \
                       that a stranger can verify offline.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    tags(
        (name = "MCP", description = "The Model Context Protocol over Streamable HTTP"),
        (name = "Servers", description = "The catalogue, calls over REST, containers"),
        (name = "Identity", description = "Logging in with a wallet, tokens"),
        (name = "Secrets", description = "What servers find in their environment"),
        (name = "Payments", description = "What calls cost (x402)"),
        (name = "Evidence", description = "Attestation, proofs, verdicts"),
        (name = "Operation", description = "Health and this document")
    ),
    components(schemas(shapes::Problem)),
    paths(
        mcp::gateway,
        mcp::one_server,
        servers::list,
        servers::one,
        servers::tools,
        catalog::semantic_search,
        rest::call,
        connect::connect,
        warmth::start,
        warmth::stop,
        warmth::packages,
        rest::secrets,
        rest::store_secrets,
        rest::delete_secrets,
        rest::secrets_status,
        rest::store_named_secrets,
        auth::challenge,
        auth::verify,
        auth::token_message,
        auth::create_token,
        auth::revoke,
        auth::jwks,
        resource_metadata::root,
        resource_metadata::gateway,
        resource_metadata::one_server,
        pay::config,
        rest::proof,
        rest::verify,
        attestation::summary,
        attestation::report,
        attestation::bundle,
        attestation::security,
        attestation::build_info,
        attestation::provenance,
        attestation::encryption_model,
        attestation::short,
        attestation::health,
        reload::all,
        reload::one,
        document,
    )
)]
struct Described;

/// The same under another address, for clients that spell it so.
const ALIASES: [(&str, &str); 2] = [("/auth/challenge", "/api/auth/challenge"), ("/auth/verify", "/api/auth/verify")];

/// The same under another method.
const METHOD_ALIASES: [(&str, &str, &str); 1] = [("/api/secrets/{id}", "put", "post")];

/// `GET /openapi.json`
#[utoipa::path(get, path = "/openapi.json", tag = "Operation", summary = "This document",
    responses((status = 200, description = "OpenAPI 3.1", body = shapes::OpenApiDocument)))]
pub(crate) async fn document(State(app): State<Arc<App>>, _: NoQuery) -> Response {
    // The address does not change while the gateway runs.
    static TEXT: OnceLock<Option<String>> = OnceLock::new();
    match TEXT.get_or_init(|| text(&app.base)) {
        Some(text) => {
            let headers = [
                (header::CONTENT_TYPE, "application/json"),
                (header::CACHE_CONTROL, "no-cache"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ];
            (StatusCode::OK, headers, text.as_str()).into_response()
        }
        None => Problem::internal("openapi").into_response(),
    }
}

/// The document of a gateway at this address.
fn text(base: &str) -> Option<String> {
    let mut document = serde_json::to_value(Described::openapi()).ok()?;
    let root = document.as_object_mut()?;
    root.insert("servers".to_owned(), json!([{"url": base}]));
    let components = root.get_mut("components")?.as_object_mut()?;
    components.insert("securitySchemes".to_owned(), security_schemes());
    components.insert("responses".to_owned(), json!({"Problem": problem()}));
    let examples = examples(components.get("schemas")?.as_object()?);
    let paths = root.get_mut("paths")?.as_object_mut()?;
    for (alias, of) in ALIASES {
        let same = paths.get(of)?.clone();
        paths.insert(alias.to_owned(), same);
    }
    for (path, alias, of) in METHOD_ALIASES {
        let methods = paths.get_mut(path)?.as_object_mut()?;
        let same = methods.get(of)?.clone();
        methods.insert(alias.to_owned(), same);
    }
    for (path, methods) in paths.iter_mut() {
        for (method, operation) in methods.as_object_mut()?.iter_mut() {
            let operation = operation.as_object_mut()?;
            operation.insert("operationId".to_owned(), operation_id(method, path).into());
            let responses = operation.get_mut("responses")?.as_object_mut()?;
            responses.insert("default".to_owned(), json!({"$ref": "#/components/responses/Problem"}));
            responses.values_mut().for_each(|response| show_example(response, &examples));
            if let Some(body) = operation.get_mut("requestBody") {
                show_example(body, &examples);
            }
        }
    }
    serde_json::to_string(&document).ok()
}

/// `get /api/servers/{id}` is `getApiServersId`.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.fold(method.to_owned(), |id, word| {
        let mut letters = word.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        id + &first.into_iter().chain(letters).collect::<String>()
    })
}

/// The first example of each schema, by the reference to it.
fn examples(schemas: &Map<String, Value>) -> Map<String, Value> {
    let example = |(name, schema): (&String, &Value)| {
        let first = schema.get("examples")?.as_array()?.first()?.clone();
        Some((format!("#/components/schemas/{name}"), first))
    };
    schemas.iter().filter_map(example).collect()
}

/// Shows, beside each body whose schema has an example, that example.
fn show_example(holder: &mut Value, examples: &Map<String, Value>) {
    let Some(content) = holder.get_mut("content").and_then(Value::as_object_mut) else { return };
    for media in content.values_mut().filter_map(Value::as_object_mut) {
        let reference = media.get("schema").and_then(|schema| schema.get("$ref")).and_then(Value::as_str);
        if let Some(example) = reference.and_then(|reference| examples.get(reference)).cloned() {
            media.entry("example").or_insert(example);
        }
    }
}

fn problem() -> Value {
    json!({
        "description": "What is wrong and how to fix it (RFC 9457, with this ecosystem's `error` and `message` beside it)",
        "headers": {
            "Retry-After": {
                "description": "Seconds after which the same may be tried again, where waiting is the remedy",
                "schema": {"type": "integer"},
            },
        },
        "content": {"application/problem+json": {
            "schema": {"$ref": "#/components/schemas/Problem"},
            "example": shapes::problem(),
        }},
    })
}

fn security_schemes() -> Value {
    json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "mcpwt_… or JWT",
            "description": "A wallet token (mcpwt_…, POST /api/auth/create-token) or a session of a day (POST /api/auth/verify)",
        },
        "signature": {
            "type": "apiKey",
            "in": "header",
            "name": "Signature",
            "description": "ERC-8128: a request signed by its wallet (RFC 9421, label eth); wins over any bearer",
        },
        "signatureInput": {
            "type": "apiKey",
            "in": "header",
            "name": "Signature-Input",
            "description": "What the signature covers: \"@authority\" \"@method\" \"@path\", \"@query\" and \"content-digest\" \
                            where there are such, with created, expires, nonce and keyid=\"erc8128:<chain>:<address>\"",
        },
        "payment": {
            "type": "apiKey",
            "in": "header",
            "name": "PAYMENT-SIGNATURE",
            "description": "x402 version 2: a signed payment, base64; what is asked for stands in PAYMENT-REQUIRED of the 402",
        },
        "paymentV1": {
            "type": "apiKey",
            "in": "header",
            "name": "X-PAYMENT",
            "description": "x402 version 1: the same for older clients; what is asked for stands in the body of the 402",
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn document() -> Value {
        serde_json::from_str(&text("https://gateway.example").unwrap()).unwrap()
    }

    /// `METHOD path` of every route that `http/mod.rs` declares.
    fn routes() -> BTreeSet<String> {
        let source = include_str!("../mod.rs");
        let source = source.split("\n/// Routes of one server.").next().unwrap();
        let mut routes = BTreeSet::new();
        for (call, before) in [(".route(", ""), (".of_server(", "/api/servers/{id}")] {
            for declared in source.split(call).skip(1) {
                let (path, rest) = declared.split('"').nth(1).zip(declared.splitn(3, '"').nth(2)).unwrap();
                // A chained call of the router stands eight columns in; what belongs to a route, further.
                let methods = rest.split("\n        .").next().unwrap();
                let before_this = routes.len();
                for method in ["get", "post", "put", "delete"] {
                    let is_there = methods.match_indices(&format!("{method}(")).any(|(at, _)| {
                        !methods[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ':'))
                    });
                    if is_there {
                        routes.insert(format!("{method} {before}{path}"));
                    }
                }
                assert!(routes.len() > before_this, "no method was read of {before}{path}: {methods}");
            }
        }
        routes
    }

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let document = document();
        let paths = document["paths"].as_object().unwrap();
        let described = paths.iter().flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
        });
        let described: BTreeSet<String> = described.collect();
        assert!(described.len() > 30, "{described:?}");
        let routes = routes();
        let missing: Vec<_> = routes.difference(&described).collect();
        assert!(missing.is_empty(), "routes without a description (http/openapi/mod.rs says how): {missing:?}");
        let invented: Vec<_> = described.difference(&routes).collect();
        assert!(invented.is_empty(), "descriptions without a route: {invented:?}");
    }

    #[test]
    fn every_operation_has_a_name_a_summary_a_tag_and_examples() {
        let document = document();
        let mut names = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let place = format!("{method} {path}");
                assert!(
                    names.insert(operation["operationId"].as_str().unwrap().to_owned()),
                    "{place}: the name is taken"
                );
                assert!(operation["summary"].is_string() && operation["tags"].is_array(), "{place}: {operation}");
                let bodies =
                    operation["responses"].as_object().unwrap().iter().filter(|(status, _)| *status != "default");
                let bodies = bodies.chain(operation.get("requestBody").map(|body| (method, body)));
                for (status, body) in bodies {
                    for (kind, media) in body["content"].as_object().into_iter().flatten() {
                        assert!(media.get("example").is_some(), "{place}, {status}, {kind}: no example");
                    }
                }
            }
        }
    }
}
