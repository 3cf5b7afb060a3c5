//! `POST /api/servers/:id/start` and `/stop`: a wallet has its own container of a server running before it calls, or ended
//! before it is idle for long enough.

use std::{sync::Arc, time::Instant};

use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use evidence::json::{Value, object};
use gate::{Refusal, Unverified, WarmUp};
use sandbox::SessionError;

use super::{Sort, json, narrower, openapi::shapes, problem::Problem, query::NoQuery, servers::Wanted, who::Incoming};
use crate::{app::App, catalogue::Server, enablement::Scope};

/// Longest body. Nobody reads it.
const MAX_BODY_BYTES: usize = 16 << 10;

/// When to come back where no place is free: about as long as a container takes to end.
const FULL_RETRY_S: u32 = 5;

/// `POST /api/servers/:id/start`: the caller's own container of the server, in its session, runs when this answers.
#[utoipa::path(post, path = "/api/servers/{id}/start", tag = "Servers", summary = "Has the caller's own container run",
    params(("id" = String, Path, description = "UUID, name, slug or package name with its slash encoded", example = "everything"),
        ("X-MCP-Session" = Option<String>, Header, description = "Whose container: that of the session")),
    responses((status = 200, description = "As asked", body = shapes::Started)),
    security(("bearer" = []), ("signature" = [], "signatureInput" = [])))]
pub(crate) async fn start(State(app): State<Arc<App>>, wanted: Wanted, _: NoQuery, request: Request) -> Response {
    start_inner(&app, &wanted, request).await.unwrap_or_else(|response| response)
}

async fn start_inner(app: &Arc<App>, wanted: &Wanted, request: Request) -> Result<Response, Response> {
    let refused = |refusal: Refusal| Problem::from(&refusal).into_response();
    let server = wanted.server(&app.catalogue).map_err(Problem::into_response)?;
    let incoming = Incoming::read(app, request, Sort::Any, MAX_BODY_BYTES).await?;
    let narrower = narrower(&incoming.headers).map_err(Problem::into_response)?;
    let id = &server.entry.id;
    let warming = Unverified(WarmUp { server: id.clone() }).identify(incoming.who, &app.operators).map_err(refused)?;
    let principal = *warming.principal();
    let ready = server.ready().map_err(refused)?;
    let stored = app.secret_names(&principal, id).await.map_err(refused)?;
    let permitted = warming.permit(&app.catalogue, &stored).map_err(refused)?;
    let key = Scope::of(&principal, narrower).map(|scope| scope.key()).unwrap_or_default();
    let secrets = app.secrets(&principal, id).await.map_err(refused)?;
    // What starts takes a place among the calls: it is as much work as one.
    let slot = app.slots.try_acquire().map_err(|_| Problem::busy(1).into_response())?;
    let begun = Instant::now();
    let was_running = match app.runner.warm(&permitted, ready, &key, secrets).await {
        Ok(was_running) => was_running,
        Err(SessionError::Full { cap }) => return Err(full(cap).into_response()),
        Err(error) => return Err(refused(app.runner.refusal(server, &error))),
    };
    drop(slot);
    let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let running = app.runner.running_of(id, &principal).await;
    Ok(answer(
        server,
        "started",
        &[
            ("alreadyRunning", was_running.into()),
            ("temperature", if was_running { "warm" } else { "cold" }.into()),
            ("tookMs", took.into()),
            ("running", (running as u64).into()),
            ("idleStopSeconds", app.config.idle_stop_s.into()),
        ],
    ))
}

/// `POST /api/servers/:id/stop`: all the caller's containers of the server end, in whatever session they were started.
#[utoipa::path(post, path = "/api/servers/{id}/stop", tag = "Servers", summary = "Ends the caller's containers of a server",
    params(("id" = String, Path, description = "UUID, name, slug or package name with its slash encoded", example = "everything")),
    responses((status = 200, description = "As asked", body = shapes::Stopped)),
    security(("bearer" = []), ("signature" = [], "signatureInput" = [])))]
pub(crate) async fn stop(State(app): State<Arc<App>>, wanted: Wanted, _: NoQuery, request: Request) -> Response {
    stop_inner(&app, &wanted, request).await.unwrap_or_else(|response| response)
}

async fn stop_inner(app: &Arc<App>, wanted: &Wanted, request: Request) -> Result<Response, Response> {
    let server = wanted.server(&app.catalogue).map_err(Problem::into_response)?;
    let incoming = Incoming::read(app, request, Sort::Any, MAX_BODY_BYTES).await?;
    let principal = incoming.principal(app)?;
    if principal.wallet().is_none() {
        return Err(Problem::from(&Refusal::WalletRequired).into_response());
    }
    let ended = app.runner.end_of(&server.entry.id, &principal).await;
    let running = app.runner.running_of(&server.entry.id, &principal).await;
    Ok(answer(server, "stopped", &[("ended", (ended as u64).into()), ("running", (running as u64).into())]))
}

/// `GET /api/warmup/status`: what is installed, and how many containers run.
#[utoipa::path(get, path = "/api/warmup/status", tag = "Servers", summary = "What is installed and what runs",
    responses((status = 200, description = "As asked", body = shapes::Packages)))]
pub(crate) async fn packages(State(app): State<Arc<App>>, _: NoQuery) -> Response {
    let servers = app.catalogue.servers();
    let ready = servers.iter().filter(|server| server.ready.is_ok()).count();
    let number = |number: usize| Value::from(number as u64);
    let summary = object([
        ("total", number(servers.len())),
        ("ready", number(ready)),
        ("unavailable", number(servers.len() - ready)),
        ("running", number(app.runner.instances())),
        ("places", number(app.config.max_instances)),
    ]);
    let packages = servers.iter().map(|server| {
        object([
            ("id", server.entry.id.as_str().into()),
            ("package", server.package_at_version().into()),
            ("status", server.status().into()),
        ])
    });
    json(StatusCode::OK, &object([("summary", summary), ("packages", Value::Array(packages.collect()))]))
}

fn answer(server: &Server, status: &str, more: &[(&'static str, Value)]) -> Response {
    let named = object([
        ("id", server.entry.id.as_str().into()),
        ("name", server.entry.name.as_str().into()),
        ("package", server.package_at_version().into()),
    ]);
    let mut members = vec![("status".into(), status.into()), ("server".into(), named)];
    members.extend(more.iter().map(|(name, value)| ((*name).into(), value.clone())));
    json(StatusCode::OK, &Value::Object(members))
}

fn full(cap: usize) -> Problem {
    let what = format!("all {cap} places for containers are taken by servers that work");
    let fix = format!("come back after {FULL_RETRY_S} s, or stop one of yours with POST /api/servers/:id/stop");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "NO_PLACE", what, fix).retry_after(FULL_RETRY_S)
}
