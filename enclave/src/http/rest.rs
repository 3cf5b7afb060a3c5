//! `/api/servers`, `/api/proofs`, `/api/verify`.

use std::{collections::HashMap, sync::Arc};

use axum::{
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use evidence::json::{self as tree, Limits, Value, object};
use gate::{Call, Challenge, MAX_ARGUMENT_BYTES, Unverified};

use super::{credential, json, json_body, problem::Problem, session};
use crate::{app::App, enablement::Scope, mcp::meta_tools::info, pipeline};

/// Most servers of one page, as clients of this ecosystem ask for.
const MAX_PAGE: usize = 5000;

type Filters = Query<HashMap<String, String>>;

/// `GET /api/servers?q|search&registry&deploymentType&gatewayCompatible&limit&offset`
pub(crate) async fn servers(State(app): State<Arc<App>>, Query(filters): Filters) -> Response {
    let known = ["q", "search", "category", "registry", "deploymentType", "gatewayCompatible", "limit", "offset"];
    if let Some(unknown) = filters.keys().find(|name| !known.contains(&name.as_str())) {
        let what = format!("query parameter {unknown:?} is unknown");
        return Problem::new(StatusCode::BAD_REQUEST, "BAD_QUERY", what, format!("use some of {known:?}")).into_response();
    }
    let number = |name: &str, default: usize, most: usize| match filters.get(name) {
        None => Ok(default),
        Some(text) => text.parse::<usize>().ok().filter(|n| *n <= most).ok_or_else(|| {
            let what = format!("{name}={text:?} is not an integer from 0 to {most}");
            Problem::new(StatusCode::BAD_REQUEST, "BAD_QUERY", what, format!("send {name} from 0 to {most}"))
        }),
    };
    let page = number("limit", 100, MAX_PAGE).and_then(|limit| Ok((limit, number("offset", 0, usize::MAX)?)));
    let (limit, offset) = match page {
        Ok(page) => page,
        Err(problem) => return problem.into_response(),
    };
    let compatible = match filters.get("gatewayCompatible").map(String::as_str) {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(other) => {
            let what = format!("gatewayCompatible={other:?} is neither true nor false");
            return Problem::new(StatusCode::BAD_REQUEST, "BAD_QUERY", what, "send true or false").into_response();
        }
    };
    let query = filters.get("q").or_else(|| filters.get("search")).map(String::as_str).unwrap_or_default();
    let found: Vec<Value> = app
        .catalogue
        .search(query, filters.get("category").map(String::as_str))
        .into_iter()
        .filter(|server| filters.get("registry").is_none_or(|registry| registry == server.registry))
        .filter(|_| filters.get("deploymentType").is_none_or(|kind| kind == "local_tool"))
        .filter(|server| compatible.is_none_or(|wanted| wanted == server.ready.is_ok()))
        .map(|server| Value::Object(server.summary()))
        .collect();
    let total = found.len() as u64;
    let shown: Vec<Value> = found.into_iter().skip(offset).take(limit).collect();
    json(
        StatusCode::OK,
        &object([
            ("total", total.into()),
            ("limit", (limit as u64).into()),
            ("offset", (offset as u64).into()),
            ("servers", Value::Array(shown)),
        ]),
    )
}

/// `GET /api/servers/:id`: by id, name, slug or package name.
pub(crate) async fn server(State(app): State<Arc<App>>, Path(id): Path<String>) -> Response {
    match app.catalogue.find(&id) {
        Ok(server) => json(StatusCode::OK, &info(server)),
        Err(refusal) => Problem::from(&refusal).into_response(),
    }
}

/// `GET /api/servers/:id/tools`
pub(crate) async fn tools(State(app): State<Arc<App>>, Path(id): Path<String>) -> Response {
    let tools = app.catalogue.find(&id).and_then(|server| server.ready());
    match tools {
        Ok(ready) => {
            let tools = ready.tools.iter().map(|tool| tool.definition.clone()).collect();
            json(StatusCode::OK, &object([("tools", Value::Array(tools))]))
        }
        Err(refusal) => Problem::from(&refusal).into_response(),
    }
}

/// `POST /api/servers/:id/tools/:name`: the body is the argument object.
pub(crate) async fn call(
    State(app): State<Arc<App>>,
    Path((id, tool)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match call_inner(&app, &id, tool, &headers, body).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn call_inner(app: &App, id: &str, tool: String, headers: &HeaderMap, body: Body) -> Result<Response, Problem> {
    let server = app.catalogue.find(id).map_err(|refusal| Problem::from(&refusal))?;
    // One byte more than the arguments may have, so that the pipeline's own limit is the one that speaks.
    let body = json_body(headers, body, MAX_ARGUMENT_BYTES * 2).await?;
    let arguments = tree::parse(&body, &Limits::THEIRS).map_err(|error| Problem::json(&error))?;
    let challenge = headers.get("sealgate-challenge").map(|value| {
        Challenge::from_hex(value.to_str().unwrap_or_default()).map_err(|error| {
            Problem::new(StatusCode::BAD_REQUEST, "BAD_CHALLENGE", error.to_string(), "send Sealgate-Challenge: <hex>")
        })
    });
    let call = Call {
        server: server.id.clone(),
        tool,
        arguments,
        challenge: challenge.transpose()?,
        credential: credential(headers),
    };
    let principal = app.identities.identify(&call.credential).map_err(|refusal| Problem::from(&refusal))?;
    let scope = Scope::of(&principal, session(headers)?);
    let reply = pipeline::serve(app, Unverified(call), scope.as_ref()).await.map_err(|refusal| Problem::from(&refusal))?;
    let mut answer = reply.result.into_value();
    if let Value::Object(members) = &mut answer {
        members.push(("proof".to_owned(), reply.envelope.to_value()));
    }
    Ok(json(StatusCode::OK, &answer))
}

/// `GET /api/proofs/:id`: the proof with this id, without what opens it.
pub(crate) async fn proof(State(app): State<Arc<App>>, Path(id): Path<String>) -> Response {
    let bytes = hex::decode(&id).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let Some(bytes) = bytes else {
        let what = "a proof's id is 64 hexadecimal digits".to_owned();
        return Problem::new(StatusCode::BAD_REQUEST, "BAD_ID", what, "send proof.id as the answer gave it").into_response();
    };
    match app.prover.kept.by_id(&bytes) {
        Some(envelope) => json(StatusCode::OK, &envelope.to_value()),
        None => Problem::new(
            StatusCode::NOT_FOUND,
            "UNKNOWN_PROOF",
            "no proof with this id is kept here".to_owned(),
            "the newest 10,000 of this boot are kept; verify the file you saved instead",
        )
        .into_response(),
    }
}
