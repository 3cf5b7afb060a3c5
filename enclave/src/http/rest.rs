//! Calls over REST, `/api/secrets`, `/api/proofs`, `/api/verify`.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use evidence::{
    ServerId,
    json::{self as tree, Limits, Value, object},
    profile::{to_base64, to_hex},
    proof::Envelope,
    report_data::Nonce,
    tag,
};
use gate::{Call, Challenge, MAX_ARGUMENT_BYTES, Principal, Refusal};

use super::{
    Sort, json, narrower,
    openapi::shapes,
    pay,
    problem::Problem,
    query::{NoQuery, Place},
    secrets,
    servers::Wanted,
    who::Incoming,
};
use crate::{
    app::App,
    catalogue::Server,
    conversation::Speaker,
    enablement::Scope,
    errand::Errand,
    pipeline::{self, Asked},
    self_check,
    till::{StoredReply, Taken},
    vault::Requirement,
};

/// `POST /api/servers/:id/tools/:name`: the body is the argument object.
#[utoipa::path(post, path = "/api/servers/{id}/tools/{tool}", tag = "Servers", summary = "Calls a tool; the body is its argument object",
    params(("id" = String, Path, description = "UUID, name, slug or package name with its slash encoded", example = "everything"),
        ("tool" = String, Path, description = "Name of the tool, without prefix", example = "echo"),
        ("X-MCP-Session" = Option<String>, Header, description = "Keeps a container between calls"),
        ("Sealgate-Challenge" = Option<String>, Header, description = "Hexadecimal; repeated in the proof")),
    request_body = shapes::Arguments,
    responses((status = 200, description = "What the tool answered, with its proof", body = shapes::CallResult),
        (status = 402, description = "It costs something, and what was shown does not pay for it", body = shapes::PaymentRequired,
            headers(("PAYMENT-REQUIRED" = String, description = "x402 version 2 of what is asked for, base64")))),
    security((), ("bearer" = []), ("signature" = [], "signatureInput" = []), ("payment" = []), ("paymentV1" = [])))]
pub(crate) async fn call(State(app): State<Arc<App>>, wanted: Wanted, request: Request) -> Response {
    match call_inner(&app, wanted, request).await {
        Ok(response) | Err(response) => response,
    }
}

async fn call_inner(app: &Arc<App>, wanted: Wanted, request: Request) -> Result<Response, Response> {
    let refused = |refusal: Refusal| pay::refused(app, &refusal);
    let server = wanted.server(&app.catalogue).map_err(Problem::into_response)?;
    let tool = wanted.tool.unwrap_or_default();
    // One byte more than the arguments may have, so that the pipeline's own limit is the one that speaks.
    let incoming = Incoming::read(app, request, Sort::Json, MAX_ARGUMENT_BYTES * 2).await?;
    let headers = &incoming.headers;
    let arguments = tree::parse(&incoming.body, &Limits::THEIRS).map_err(|e| Problem::json(&e).into_response())?;
    let challenge = headers.get("sealgate-challenge").map(|value| {
        Challenge::from_hex(value.to_str().unwrap_or_default()).map_err(|error| {
            Problem::new(StatusCode::BAD_REQUEST, "BAD_CHALLENGE", error.to_string(), "send Sealgate-Challenge: <hex>")
                .into_response()
        })
    });
    let challenge = challenge.transpose()?;
    let session = narrower(headers).map_err(Problem::into_response)?;
    let payment = pay::presented(headers).map_err(refused)?;
    // Last: the caller's own container may be asked for it.
    let tools = app.live_tools(server, Scope::of(&incoming.who.principal, &session).as_ref(), &tool).await;
    let asked = Asked {
        call: Call { server: server.entry.id.clone(), tool, arguments, challenge },
        who: incoming.who,
        session,
        payment,
        errand: Errand::new("tools/call", Vec::new()),
        tools,
    };
    let reply = pipeline::serve(app, asked, &mut Speaker::unheard()).await.map_err(refused)?;
    let mut answer = reply.result.into_value();
    if let Value::Object(members) = &mut answer {
        members.extend(reply.paid.as_ref().map(|paid| ("payment".into(), paid.summary())));
        members.push(("proof".into(), reply.envelope.to_value()));
    }
    Ok(pay::receipt(json(StatusCode::OK, &answer), reply.paid.as_ref()))
}

/// Whose secrets, and for which server.
async fn secrets_of<'a>(
    app: &'a App,
    id: &str,
    request: Request,
) -> Result<(&'a Server, Principal, Incoming), Response> {
    let server = app.catalogue.find(id).map_err(|refusal| Problem::from(&refusal).into_response())?;
    let incoming = Incoming::read(app, request, Sort::Any, secrets::MAX_BODY_BYTES).await?;
    let principal = incoming.principal(app)?;
    Ok((server, principal, incoming))
}

/// `GET /api/secrets/:serverId`
#[utoipa::path(get, path = "/api/secrets/{id}", tag = "Secrets", summary = "Names of the secrets that are stored",
    params(("id" = String, Path, description = "UUID, name, slug or package name with its slash encoded", example = "everything")),
    responses((status = 200, description = "As asked", body = shapes::SecretNames)),
    security(("bearer" = []), ("signature" = [], "signatureInput" = [])))]
pub(crate) async fn secrets(State(app): State<Arc<App>>, Place(id): Place<String>, request: Request) -> Response {
    match secrets_of(&app, &id, request).await {
        Ok((server, principal, _)) => {
            let listed = secrets::list(&app.vault, principal.wallet(), &server.entry.id).await;
            listed.unwrap_or_else(Problem::into_response)
        }
        Err(response) => response,
    }
}

/// `GET /api/secrets/:serverId/status`
#[utoipa::path(get, path = "/api/secrets/{id}/status", tag = "Secrets", summary = "What a server needs and what is stored",
    params(("id" = String, Path, description = "UUID, name, slug or package name with its slash encoded", example = "everything")),
    responses((status = 200, description = "As asked", body = shapes::SecretStatus)),
    security(("bearer" = []), ("signature" = [], "signatureInput" = [])))]
pub(crate) async fn secrets_status(
    State(app): State<Arc<App>>,
    Place(id): Place<String>,
    request: Request,
) -> Response {
    match secrets_of(&app, &id, request).await {
        Ok((server, principal, _)) => {
            let needs = server.entry.secrets.iter();
            let needs: Vec<Requirement<'_>> =
                needs.map(|secret| Requirement { name: &secret.name, required: secret.required }).collect();
            let status = secrets::status(&app.vault, principal.wallet(), &server.entry.id, &needs).await;
            status.unwrap_or_else(Problem::into_response)
        }
        Err(response) => response,
    }
}

/// `POST` and `PUT /api/secrets/:serverId`
#[utoipa::path(post, path = "/api/secrets/{id}", tag = "Secrets", summary = "Stores secrets for a server",
    params(("id" = String, Path, description = "UUID, name, slug or package name with its slash encoded", example = "everything")),
    request_body = shapes::Secrets,
    responses((status = 200, description = "As asked", body = shapes::SecretsStored)),
    security(("bearer" = []), ("signature" = [], "signatureInput" = [])))]
pub(crate) async fn store_secrets(State(app): State<Arc<App>>, Place(id): Place<String>, request: Request) -> Response {
    match secrets_of(&app, &id, request).await {
        Ok((server, principal, incoming)) => {
            let body = Body::from(incoming.body);
            let stored =
                secrets::store(&app.vault, principal.wallet(), &server.entry.id, &incoming.headers, body).await;
            changed(&app, &server.entry.id, &principal, stored).await
        }
        Err(response) => response,
    }
}

/// `PUT /api/secrets` with `serverId` in the body.
#[utoipa::path(put, path = "/api/secrets", tag = "Secrets", summary = "Stores secrets for the server that the body names",
    request_body = shapes::Secrets,
    responses((status = 200, description = "As asked", body = shapes::SecretsStored)),
    security(("bearer" = []), ("signature" = [], "signatureInput" = [])))]
pub(crate) async fn store_named_secrets(State(app): State<Arc<App>>, request: Request) -> Response {
    let incoming = match Incoming::read(&app, request, Sort::Any, secrets::MAX_BODY_BYTES).await {
        Ok(incoming) => incoming,
        Err(response) => return response,
    };
    let principal = match incoming.principal(&app) {
        Ok(principal) => principal,
        Err(response) => return response,
    };
    let mut named = None;
    let find = |asked: &str| {
        let id = app.catalogue.find(asked).map(|server| server.entry.id.clone());
        let id = id.map_err(|refusal| Problem::from(&refusal))?;
        named = Some(id.clone());
        Ok(id)
    };
    let body = Body::from(incoming.body);
    let stored = secrets::store_named(&app.vault, principal.wallet(), find, &incoming.headers, body).await;
    match named {
        Some(id) => changed(&app, &id, &principal, stored).await,
        None => stored.unwrap_or_else(Problem::into_response),
    }
}

/// `DELETE /api/secrets/:serverId`
#[utoipa::path(delete, path = "/api/secrets/{id}", tag = "Secrets", summary = "Deletes all secrets for a server",
    params(("id" = String, Path, description = "UUID, name, slug or package name with its slash encoded", example = "everything")),
    responses((status = 200, description = "As asked", body = shapes::SecretsDeleted)),
    security(("bearer" = []), ("signature" = [], "signatureInput" = [])))]
pub(crate) async fn delete_secrets(
    State(app): State<Arc<App>>,
    Place(id): Place<String>,
    request: Request,
) -> Response {
    match secrets_of(&app, &id, request).await {
        Ok((server, principal, _)) => {
            let deleted = secrets::delete(&app.vault, principal.wallet(), &server.entry.id).await;
            changed(&app, &server.entry.id, &principal, deleted).await
        }
        Err(response) => response,
    }
}

/// Containers that hold what is not current any more end at once; servers with secrets are switched on.
async fn changed(app: &App, server: &ServerId, principal: &Principal, done: Result<Response, Problem>) -> Response {
    let response = match done {
        Ok(response) => response,
        Err(problem) => return problem.into_response(),
    };
    app.runner.end_of(server, principal).await;
    if let Some(wallet) = principal.wallet() {
        app.switch_on_with_secrets(wallet, server).await;
    }
    response
}

/// `GET /api/proofs/:id`: the proof with this id, without what opens it.
#[utoipa::path(get, path = "/api/proofs/{id}", tag = "Evidence", summary = "A proof of this boot by its id",
    params(("id" = String, Path, description = "64 hexadecimal digits: proof.id of an answer")),
    responses((status = 200, description = "As asked", body = shapes::KeptProof)))]
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
#[utoipa::path(post, path = "/api/verify", tag = "Evidence", summary = "Judges a proof of this boot, HMAC included",
    request_body = shapes::ProofQuestion,
    responses((status = 200, description = "As asked", body = shapes::SignedVerdict),
        (status = 402, description = "It is priced like a call", body = shapes::PaymentRequired)),
    security((), ("bearer" = []), ("signature" = [], "signatureInput" = []), ("payment" = []), ("paymentV1" = [])))]
pub(crate) async fn verify(State(app): State<Arc<App>>, request: Request) -> Response {
    match verify_inner(&app, request).await {
        Ok(response) | Err(response) => response,
    }
}

/// Priced like a call: read, paid for, judged, settled, and only then answered.
async fn verify_inner(app: &Arc<App>, request: Request) -> Result<Response, Response> {
    let refused = |refusal: Refusal| pay::refused(app, &refusal);
    let busy = |_| Problem::busy(1).into_response();
    let reading = app.readings.try_acquire().map_err(busy)?;
    let incoming = Incoming::read(app, request, Sort::Json, MAX_VERIFY_BYTES).await?;
    drop(reading);
    let principal = incoming.principal(app)?;
    let price = app.config.payments.as_ref().map(|payments| payments.verify_price).unwrap_or_default();
    let purchase = app.till.verification(&incoming.body, &principal, price);
    let presented = pay::presented(&incoming.headers).map_err(refused)?;
    let held = match app.till.reserve(Some(&purchase), presented).await.map_err(refused)? {
        Taken::Held(held) => held,
        Taken::Answered(stored, paid) => {
            let value = stored.value().ok_or_else(|| Problem::internal("journal").into_response())?;
            return Ok(pay::receipt(json(StatusCode::OK, &value), Some(&paid)));
        }
    };
    let judged = match judge(app, incoming.body, !price.is_zero()).await {
        Ok(judged) => judged,
        Err(problem) => {
            app.till.release(held).await;
            return Err(problem.into_response());
        }
    };
    if price.is_zero() {
        return Ok(json(StatusCode::OK, &judged));
    }
    // What was judged is paid and kept, also where its caller is gone by now.
    let app_there = Arc::clone(app);
    let settling = tokio::spawn(async move {
        let paid = app_there.till.settle(&purchase, held, StoredReply::of_value(&judged)).await?;
        Ok((judged, paid))
    });
    let settled = settling.await.map_err(|_| Problem::internal("payments").into_response())?;
    let (judged, paid) = settled.map_err(refused)?;
    Ok(pay::receipt(json(StatusCode::OK, &judged), Some(&paid)))
}

/// What `/api/verify` is asked.
struct Question {
    envelope: String,
    request: Option<String>,
    response: Option<String>,
    nonce: Option<Nonce>,
}

impl Question {
    fn read(body: &[u8]) -> Result<Self, Problem> {
        let limits = Limits { bytes: MAX_VERIFY_BYTES, ..Limits::THEIRS };
        let value = tree::parse(body, &limits).map_err(|error| Problem::json(&error))?;
        let wrapped = value.member("envelope");
        let envelope = wrapped.unwrap_or(&value);
        if envelope.member("proof").is_none() {
            return Err(bad_proof("the body holds no member \"proof\"".to_owned()));
        }
        if let (Some(_), Value::Object(members)) = (wrapped, &value) {
            // A misspelled part would not be judged, and the verdict would not say why.
            let known = ["envelope", "request", "response", "nonce"];
            if let Some((unknown, _)) = members.iter().find(|(name, _)| !known.contains(&name.as_str())) {
                let unknown: String = unknown.chars().take(64).collect();
                return Err(bad_proof(format!("member {unknown:?} is unknown")));
            }
        }
        let part = |name: &str| wrapped.and_then(|_| value.member(name)).map(Value::to_text);
        let nonce = match wrapped.and_then(|_| value.member("nonce")) {
            None | Some(Value::Null) => None,
            Some(nonce) => {
                let text =
                    nonce.as_str().ok_or_else(|| bad_proof(format!("nonce is a string, found {}", nonce.kind())))?;
                Some(Nonce::from_hex(text).map_err(|error| bad_proof(error.to_string()))?)
            }
        };
        Ok(Self { envelope: envelope.to_text(), request: part("request"), response: part("response"), nonce })
    }

    /// Nobody pays to hear that something is no proof at all.
    fn must_be_a_proof(&self) -> Result<(), Problem> {
        Envelope::from_bytes(self.envelope.as_bytes()).map(drop).map_err(|error| bad_proof(error.to_string()))
    }
}

fn bad_proof(what: String) -> Problem {
    let fix = "send {\"proof\":…,\"opening\":…} as the call gave it, or {\"envelope\":…,\"request\":…,\"response\":…}";
    Problem::new(StatusCode::BAD_REQUEST, "BAD_PROOF", what, fix)
}

/// Reads and judges, in a place that is taken until it is done, also where whoever asked is gone by then.
async fn judge(app: &Arc<App>, body: Vec<u8>, is_paid: bool) -> Result<Value, Problem> {
    let place = Arc::clone(&app.verifications).try_acquire_owned().map_err(|_| Problem::busy(1))?;
    let app_there = Arc::clone(app);
    let judged = tokio::task::spawn_blocking(move || {
        let _place = place;
        let question = Question::read(&body)?;
        if is_paid {
            question.must_be_a_proof()?;
        }
        let Question { envelope, request, response, nonce } = question;
        let (request, response) = (request.as_deref(), response.as_deref());
        let (request, response) = (request.map(str::as_bytes), response.map(str::as_bytes));
        let verdict = self_check::judge_proof(&app_there, envelope.as_bytes(), request, response);
        let verdict = verdict.map_err(|failure| {
            tracing::error!(%failure, "a proof could not be judged");
            Problem::internal("verifier")
        })?;
        Ok(signed(&app_there, &verdict, nonce.as_ref()))
    });
    judged.await.map_err(|_| Problem::internal("verifier"))?
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
        other => vec![("verdict".into(), other)],
    };
    members.push((
        "signed".into(),
        object([
            ("core", to_hex(&attested.core)),
            ("nonce", nonce.map_or(Value::Null, |nonce| to_hex(nonce.as_bytes()))),
            ("verdict", to_base64(bytes.as_bytes())),
            ("signature", to_hex(&signature)),
        ]),
    ));
    Value::Object(members)
}
