//! `POST /api/catalog/semantic-search`: servers by the meaning of a sentence, for callers with a wallet.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use evidence::json::{self as tree, Limits, Value};
use gate::Refusal;

use super::{Sort, json, narrower, openapi::shapes, problem::Problem, query::NoQuery, who::Incoming};
use crate::{
    app::App,
    enablement::Scope,
    semantic::{Kind, Question},
};

/// Longest body: a sentence and a few words.
const MAX_BODY_BYTES: usize = 16 << 10;

/// Most results.
const MAX_LIMIT: usize = 100;

/// Results where nobody says how many.
const USUAL_LIMIT: usize = 20;

/// `POST /api/catalog/semantic-search`
#[utoipa::path(post, path = "/api/catalog/semantic-search", tag = "Servers", summary = "Servers by the meaning of a sentence",
    params(("X-MCP-Session" = Option<String>, Header, description = "Whose switches `isEnabled` tells: those of the session"),
        ("X-Runtime-Scope-Id" = Option<String>, Header, description = "Likewise, those of the wallet's scope")),
    request_body = shapes::SemanticQuestion,
    responses((status = 200, description = "Best first; 30 a minute for a wallet, then 429", body = shapes::SemanticAnswer)),
    security(("bearer" = []), ("signature" = [], "signatureInput" = [])))]
pub(crate) async fn semantic_search(State(app): State<Arc<App>>, _: NoQuery, request: Request) -> Response {
    match answered(&app, request).await {
        Ok(response) | Err(response) => response,
    }
}

async fn answered(app: &App, request: Request) -> Result<Response, Response> {
    let incoming = Incoming::read(app, request, Sort::Json, MAX_BODY_BYTES).await?;
    let principal = incoming.principal(app)?;
    let Some(wallet) = principal.wallet() else {
        return Err(Problem::from(&Refusal::WalletRequired).into_response());
    };
    let narrower = narrower(&incoming.headers).map_err(Problem::into_response)?;
    let question = question(&incoming.body).map_err(Problem::into_response)?;
    if !app.enablement.knows(&principal) {
        app.hydrate(wallet).await;
    }
    let scope = Scope::of(&principal, narrower);
    let answer = app.semantic_search(wallet, scope.as_ref(), question).await;
    let answer = answer.map_err(|often| {
        let fix = format!("come back after {} s", often.retry_after_s);
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED", often.to_string(), fix);
        problem.retry_after(often.retry_after_s).into_response()
    })?;
    Ok(json(StatusCode::OK, &answer))
}

fn question(body: &[u8]) -> Result<Question, Problem> {
    let bad = |what: String| {
        let fix = "send {\"query\": text, \"limit\": 1 to 100, \"category\": text, \"type\": \"server\", \"agent\" or \
                   \"all\", \"includeAgents\": true or false}; only query must be there";
        Problem::new(StatusCode::BAD_REQUEST, "BAD_QUERY", what, fix)
    };
    let body = tree::parse(body, &Limits::THEIRS).map_err(|error| Problem::json(&error))?;
    let Some(members) = body.as_object() else {
        return Err(bad(format!("the body is {}", body.kind())));
    };
    let known = ["query", "limit", "category", "type", "includeAgents"];
    if let Some((unknown, _)) = members.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        return Err(bad(format!("member {:?} is unknown", unknown.chars().take(64).collect::<String>())));
    }
    let text = |name: &str| match body.member(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(bad(format!("{name} is a string, found {}", other.kind()))),
    };
    let query = text("query")?.filter(|query| !query.trim().is_empty());
    let limit = match body.member("limit") {
        None | Some(Value::Null) => USUAL_LIMIT,
        Some(Value::Number(token)) => token
            .parse()
            .ok()
            .filter(|limit| (1..=MAX_LIMIT).contains(limit))
            .ok_or_else(|| bad(format!("limit is an integer from 1 to {MAX_LIMIT}, found {token}")))?,
        Some(other) => return Err(bad(format!("limit is an integer from 1 to {MAX_LIMIT}, found {}", other.kind()))),
    };
    match body.member("includeAgents") {
        None | Some(Value::Null | Value::Bool(_)) => {}
        Some(other) => return Err(bad(format!("includeAgents is a boolean, found {}", other.kind()))),
    }
    let kind = match text("type")?.as_deref() {
        None | Some("server" | "all") => Kind::All,
        Some("agent") => Kind::Agents,
        Some(other) => return Err(bad(format!("type = {:?}", other.chars().take(64).collect::<String>()))),
    };
    let query = query.ok_or_else(|| bad("query is missing or empty".to_owned()))?;
    Ok(Question { query, category: text("category")?, limit, kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_read_or_refused_with_what_is_wrong() {
        let read = question(br#"{"query":"read files","limit":100,"category":"x","type":"all","includeAgents":true}"#);
        let read = read.unwrap();
        assert_eq!((read.limit, read.category.as_deref(), read.kind), (100, Some("x"), Kind::All));
        assert_eq!(question(br#"{"query":"a"}"#).unwrap().limit, USUAL_LIMIT);
        assert_eq!(question(br#"{"query":"a","type":"agent"}"#).unwrap().kind, Kind::Agents);
        for wrong in [
            "[]",
            "{}",
            r#"{"query":" "}"#,
            r#"{"query":1}"#,
            r#"{"query":"a","limit":0}"#,
            r#"{"query":"a","limit":101}"#,
            r#"{"query":"a","limit":1.5}"#,
            r#"{"query":"a","limit":"1"}"#,
            r#"{"query":"a","type":"x"}"#,
            r#"{"query":"a","more":1}"#,
            r#"{"query":"a","includeAgents":"yes"}"#,
            "",
            r#"{"query":"a","query":"b"}"#,
        ] {
            assert!(question(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
