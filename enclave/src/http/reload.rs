//! `POST /health/reload` and `/health/reload/:id`: an operator has the configuration's servers read again.

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use evidence::{
    ServerId,
    json::{Value, object},
};
use gate::{Principal, Refusal, Shown};

use super::{
    Sort, json,
    openapi::shapes,
    problem::Problem,
    query::{NoQuery, Place},
    who::Incoming,
};
use crate::{
    app::{App, Live},
    reload::{ReloadError, Reloaded, reload},
};

/// Longest body. Nobody reads it.
const MAX_BODY_BYTES: usize = 16 << 10;

/// `POST /health/reload`
#[utoipa::path(post, path = "/health/reload", tag = "Operation", summary = "Reads the configuration's servers again",
    responses((status = 200, description = "What changed", body = shapes::Reloaded)),
    security(("bearer" = []), ("signature" = [], "signatureInput" = [])))]
pub(crate) async fn all(State(live): State<Live>, _: NoQuery, request: Request) -> Response {
    answer(&live, None, request).await.unwrap_or_else(|response| response)
}

/// `POST /health/reload/:id`
#[utoipa::path(post, path = "/health/reload/{id}", tag = "Operation", summary = "Reads one server of the configuration again",
    params(("id" = String, Path, description = "UUID, name, slug or package name", example = "everything")),
    responses((status = 200, description = "What changed", body = shapes::Reloaded)),
    security(("bearer" = []), ("signature" = [], "signatureInput" = [])))]
pub(crate) async fn one(State(live): State<Live>, Place(id): Place<String>, _: NoQuery, request: Request) -> Response {
    answer(&live, Some(id), request).await.unwrap_or_else(|response| response)
}

async fn answer(live: &Live, only: Option<String>, request: Request) -> Result<Response, Response> {
    let app = live.now();
    let incoming = Incoming::read(&app, request, Sort::Any, MAX_BODY_BYTES).await?;
    must_be_operator(&app, &incoming)?;
    let live = live.clone();
    // Begun is finished, also where the operator has gone by then.
    let done = tokio::spawn(async move { reload(&live, only.as_deref()).await }).await;
    let done = done.map_err(|_| Problem::internal("reload").into_response())?;
    done.map(|done| json(StatusCode::OK, &said(&done))).map_err(|error| problem(error).into_response())
}

/// A session or a signed request of a wallet that the configuration names. Not a wallet token: whoever found one would
/// choose what code runs.
fn must_be_operator(app: &App, incoming: &Incoming) -> Result<(), Response> {
    let Principal::Wallet(wallet) = incoming.principal(app)? else {
        return Err(Problem::from(&Refusal::WalletRequired).into_response());
    };
    let refused = |what: &str, fix: &str| {
        Err(Problem::new(StatusCode::FORBIDDEN, "OPERATOR_REQUIRED", what.to_owned(), fix).into_response())
    };
    if !app.config.identity.operators.contains(&wallet) {
        return refused(
            "this is for the gateway's operators, and this wallet is none of them",
            "the operator names wallets in OPERATOR_WALLETS or identity.operator_wallets, and restarts the gateway",
        );
    }
    match incoming.who.shown {
        Shown::Session | Shown::Signature => Ok(()),
        Shown::WalletToken | Shown::Nothing => refused(
            "a wallet token is not enough for an operator's order",
            "log in (POST /api/auth/verify) and send the session, or sign the request (ERC-8128)",
        ),
    }
}

fn said(done: &Reloaded) -> Value {
    let list = |ids: &[ServerId]| Value::Array(ids.iter().map(|id| id.as_str().into()).collect());
    object([
        ("status", "updated".into()),
        ("invalidatedInstances", (done.invalidated as u64).into()),
        ("added", list(&done.added)),
        ("changed", list(&done.changed)),
        ("removed", list(&done.removed)),
        ("state", done.seq.into()),
    ])
}

fn problem(error: ReloadError) -> Problem {
    let unfit = |what, fix: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "BAD_CONFIGURATION", what, fix);
    match error {
        ReloadError::Busy => Problem::busy(5),
        ReloadError::Config(error) => {
            tracing::error!(%error, "the configuration cannot be put in force");
            let (what, fix) = error.into_parts();
            unfit(format!("nothing was changed: {what}"), fix)
        }
        ReloadError::Unfit { what, fix } => {
            tracing::error!(what, "the configuration cannot be put in force");
            unfit(format!("nothing was changed: {what}"), fix)
        }
        ReloadError::Unknown => Problem::new(
            StatusCode::NOT_FOUND,
            "UNKNOWN_SERVER",
            "neither the configuration nor the catalogue has this server".to_owned(),
            "send an id of GET /api/servers, or add a [[server]] to the configuration first",
        ),
        ReloadError::Internal => Problem::internal("reload"),
    }
}
