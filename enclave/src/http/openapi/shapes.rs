//! Bodies as the document describes them, each with an example. The scenario `rest.rs` holds what the gateway answers to
//! these shapes, and the examples too.
#![expect(dead_code, reason = "bodies are described here; they are built and read as JSON")]

mod callers;
mod calls;
mod evidence;
mod search;
mod servers;

pub(crate) use callers::*;
pub(crate) use calls::*;
pub(crate) use evidence::*;
pub(crate) use search::*;
pub(crate) use servers::*;

use serde_json::{Value, json};
use utoipa::ToSchema;

/// Whatever JSON object.
pub(crate) type Anything = serde_json::Map<String, Value>;

/// Why a request is refused and what to do about it: RFC 9457, with this ecosystem's `error` and `message` beside it.
#[derive(ToSchema)]
#[schema(examples(problem))]
pub(crate) struct Problem {
    /// Always `about:blank`.
    r#type: String,
    /// What the status is called.
    title: String,
    /// HTTP status.
    status: u16,
    /// What is wrong.
    detail: String,
    /// A stable word for programs.
    error: String,
    /// What is wrong and how to fix it, in one sentence.
    message: String,
    remediation: Remediation,
    /// What exactly is wrong with what was shown or sent, as a word.
    reason: Option<String>,
}

/// What to do.
#[derive(ToSchema)]
pub(crate) struct Remediation {
    /// A stable word for programs: `fix-request`, `retry`, `choose-another-name`, …
    action: String,
    text: String,
}

/// An example of a problem.
pub(crate) fn problem() -> Value {
    json!({
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "server \"everythign\" not found",
        "error": "UNKNOWN_SERVER",
        "message": "server \"everythign\" not found; did you mean \"everything\"? GET /api/servers lists all",
        "remediation": {
            "action": "choose-another-name",
            "text": "did you mean \"everything\"? GET /api/servers lists all",
        },
    })
}

/// This document.
#[derive(ToSchema)]
#[schema(examples(json!({"openapi": "3.1.0", "info": {"title": "Sealgate", "version": "0.1.0"}, "paths": {}})))]
pub(crate) struct OpenApiDocument {
    openapi: String,
    #[schema(value_type = Object)]
    info: Anything,
    #[schema(value_type = Object)]
    paths: Anything,
}
