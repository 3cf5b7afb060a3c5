//! `/api/servers`, `/api/proofs`, `/api/verify`.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use evidence::{
    json::{self as tree, Limits, Value, object},
    profile::{to_base64, to_hex},
    report_data::Nonce,
    tag,
};
use gate::{Call, Challenge, MAX_ARGUMENT_BYTES, Unverified};

use super::{
    credential, json, json_body,
    problem::Problem,
    query::{NoQuery, Place, Query},
    session,
};
use crate::{app::App, catalogue::REGISTRY, enablement::Scope, mcp::meta_tools::info, pipeline, self_check};

/// Most servers of one page, as clients of this ecosystem ask for.
const MAX_PAGE: usize = 5000;

/// `GET /api/servers?q|search&registry&deploymentType&gatewayCompatible&limit&offset`
pub(crate) async fn servers(State(app): State<Arc<App>>, filters: Query) -> Response {
    let known = ["q", "search", "category", "registry", "deploymentType", "gatewayCompatible", "limit", "offset"];
    if let Err(problem) = filters.only(&known) {
        return problem.into_response();
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
    let compatible = match filters.get("gatewayCompatible") {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(other) => {
            let what = format!("gatewayCompatible={other:?} is neither true nor false");
            return Problem::new(StatusCode::BAD_REQUEST, "BAD_QUERY", what, "send true or false").into_response();
        }
    };
    let query = filters.get("q").or_else(|| filters.get("search")).unwrap_or_default();
    let found: Vec<Value> = app
        .catalogue
        .search(query, filters.get("category"))
        .into_iter()
        .filter(|_| filters.get("registry").is_none_or(|registry| registry == REGISTRY))
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
pub(crate) async fn server(State(app): State<Arc<App>>, Place(id): Place<String>, _: NoQuery) -> Response {
    match app.catalogue.find(&id) {
        Ok(server) => json(StatusCode::OK, &info(server)),
        Err(refusal) => Problem::from(&refusal).into_response(),
    }
}

/// `GET /api/servers/:id/tools`
pub(crate) async fn tools(State(app): State<Arc<App>>, Place(id): Place<String>, _: NoQuery) -> Response {
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
    Place((id, tool)): Place<(String, String)>,
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
        server: server.entry.id.clone(),
        tool,
        arguments,
        challenge: challenge.transpose()?,
        credential: credential(headers),
    };
    let principal = app.identities.identify(&call.credential).map_err(|refusal| Problem::from(&refusal))?;
    let scope = Scope::of(&principal, session(headers)?);
    let reply =
        pipeline::serve(app, Unverified(call), scope.as_ref()).await.map_err(|refusal| Problem::from(&refusal))?;
    let mut answer = reply.result.into_value();
    if let Value::Object(members) = &mut answer {
        members.push(("proof".to_owned(), reply.envelope.to_value()));
    }
    Ok(json(StatusCode::OK, &answer))
}

/// `GET /api/proofs/:id`: the proof with this id, without what opens it.
pub(crate) async fn proof(State(app): State<Arc<App>>, Place(id): Place<String>, _: NoQuery) -> Response {
    let bytes = hex::decode(&id).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let Some(bytes) = bytes else {
        let what = "a proof's id is 64 hexadecimal digits".to_owned();
        return Problem::new(StatusCode::BAD_REQUEST, "BAD_ID", what, "send proof.id as the answer gave it")
            .into_response();
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

/// Longest body of `/api/verify`: a proof, and the request and answer that it opens.
const MAX_VERIFY_BYTES: usize = 16 << 20;

/// `POST /api/verify`: the body is a proof with its opening, or `{"envelope":…,"request":…,"response":…,"nonce":hex}`.
pub(crate) async fn verify(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Response {
    match verify_inner(&app, &headers, body).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn verify_inner(app: &Arc<App>, headers: &HeaderMap, body: Body) -> Result<Response, Problem> {
    let body = json_body(headers, body, MAX_VERIFY_BYTES).await?;
    let _place = app.verifications.try_acquire().map_err(|_| Problem::busy(1))?;
    let limits = Limits { bytes: MAX_VERIFY_BYTES, ..Limits::THEIRS };
    let value = tree::parse(&body, &limits).map_err(|error| Problem::json(&error))?;
    let bad = |what: String| {
        let fix =
            "send {\"proof\":…,\"opening\":…} as the call gave it, or {\"envelope\":…,\"request\":…,\"response\":…}";
        Problem::new(StatusCode::BAD_REQUEST, "BAD_PROOF", what, fix)
    };
    let wrapped = value.member("envelope");
    let envelope = wrapped.unwrap_or(&value);
    if envelope.member("proof").is_none() {
        return Err(bad("the body holds no member \"proof\"".to_owned()));
    }
    if let (Some(_), Value::Object(members)) = (wrapped, &value) {
        // A misspelled part would not be judged, and the verdict would not say why.
        let known = ["envelope", "request", "response", "nonce"];
        if let Some((unknown, _)) = members.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            let unknown: String = unknown.chars().take(64).collect();
            return Err(bad(format!("member {unknown:?} is unknown")));
        }
    }
    let part = |name: &str| wrapped.and_then(|_| value.member(name)).map(Value::to_text);
    let nonce = match wrapped.and_then(|_| value.member("nonce")) {
        None | Some(Value::Null) => None,
        Some(nonce) => {
            let text = nonce.as_str().ok_or_else(|| bad(format!("nonce is a string, found {}", nonce.kind())))?;
            Some(Nonce::from_hex(text).map_err(|error| bad(error.to_string()))?)
        }
    };
    let (envelope, request, response) = (envelope.to_text(), part("request"), part("response"));
    let app_there = Arc::clone(app);
    let verdict = tokio::task::spawn_blocking(move || {
        let (request, response) = (request.as_deref(), response.as_deref());
        self_check::judge_proof(
            &app_there,
            envelope.as_bytes(),
            request.map(str::as_bytes),
            response.map(str::as_bytes),
        )
    })
    .await
    .map_err(|_| Problem::internal("verifier"))?
    .map_err(|failure| {
        tracing::error!(%failure, "a proof could not be judged");
        Problem::internal("verifier")
    })?;
    Ok(json(StatusCode::OK, &signed(app, &verdict, nonce.as_ref())))
}

/// The verdict, and the same signed: `Sig(proof, "sealgate/verdict/v1", C, nonce, verdict bytes)`.
fn signed(app: &App, verdict: &attestation_verifier::Verdict, nonce: Option<&Nonce>) -> Value {
    let attested = app.desk.attested();
    let said = self_check::tree(&verdict.to_json());
    let bytes = evidence::canon(&said);
    let nonce_bytes = nonce.map(Nonce::as_bytes).unwrap_or_default();
    let signature = attested.proof_key.sign(tag::VERDICT, &[&attested.core, nonce_bytes, bytes.as_bytes()]);
    let mut members = match said {
        Value::Object(members) => members,
        other => vec![("verdict".to_owned(), other)],
    };
    members.push((
        "signed".to_owned(),
        object([
            ("core", to_hex(&attested.core)),
            ("nonce", nonce.map_or(Value::Null, |nonce| to_hex(nonce.as_bytes()))),
            ("verdict", to_base64(bytes.as_bytes())),
            ("signature", to_hex(&signature)),
        ]),
    ));
    Value::Object(members)
}
