//! `/api/servers`: the catalogue, found by words, filters, UUID, slug or package name.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{FromRequestParts, State},
    http::{StatusCode, request::Parts},
    response::{IntoResponse as _, Response},
};
use evidence::json::{Value, object};

use super::{
    filters::Asked,
    json,
    openapi::shapes,
    problem::Problem,
    query::{NoQuery, Place, Query},
};
use crate::{
    app::App,
    catalogue::{Catalogue, Server},
    mcp::meta_tools::info,
};

/// Which server an address means, and which of its tools: `/api/servers/{id}…`, and `/api/servers/{id}/{name}…` where a
/// client did not encode the slash of a scoped package's name.
#[derive(Debug)]
pub(crate) struct Wanted {
    id: String,
    /// The tool, where the address names one.
    pub(crate) tool: Option<String>,
}

impl Wanted {
    /// The server: by id, then name, slug, package name.
    ///
    /// # Errors
    /// [`Problem`]: 404 with the closest name, or with how a scoped name is spelled.
    pub(crate) fn server<'a>(&self, catalogue: &'a Catalogue) -> Result<&'a Server, Problem> {
        catalogue.find(&self.id).map_err(|refusal| {
            if self.id.starts_with('@') && !self.id.contains('/') {
                let shown: String = self.id.chars().take(128).collect();
                let what = format!("server {shown:?} not found: a scope alone names no package");
                let fix = "send the whole name with its slash encoded, @scope%2Fname, or the id of GET /api/servers";
                return Problem::new(StatusCode::NOT_FOUND, refusal.code(), what, fix);
            }
            Problem::from(&refusal)
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Wanted {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Place(mut named) = Place::<BTreeMap<String, String>>::from_request_parts(parts, state).await?;
        let id = named.remove("id").unwrap_or_default();
        let id = match named.remove("name") {
            None => id,
            Some(name) if id.starts_with('@') => format!("{id}/{name}"),
            Some(_) => return Err(Problem::nowhere(&parts.method, parts.uri.path())),
        };
        Ok(Self { id, tool: named.remove("tool") })
    }
}

/// `GET /api/servers?q|search&category&registry&deploymentType&gatewayCompatible&status&limit&offset`
#[utoipa::path(get, path = "/api/servers", tag = "Servers", summary = "Servers by words, filters and page",
    params(("q" = Option<String>, Query, description = "Words to look for; none finds all", example = json!("files")),
        ("search" = Option<String>, Query, description = "The same as `q`", example = json!("files")),
        ("category" = Option<String>, Query, description = "One of a server's categories", example = json!("files")),
        ("registry" = Option<String>, Query, description = "`npm`, …", example = json!("npm")),
        ("deploymentType" = Option<String>, Query, description = "`local_tool`", example = json!("local_tool")),
        ("gatewayCompatible" = Option<bool>, Query, description = "Whether it can run here", example = json!(true)),
        ("status" = Option<String>, Query, description = "`ready`, `unavailable`", example = json!("ready")),
        ("limit" = Option<u64>, Query, description = "Most servers of the page, 100 if not said", minimum = 1, maximum = 5000, example = json!(20)),
        ("offset" = Option<u64>, Query, description = "Servers to leave out at the front", minimum = 0, example = json!(0))),
    responses((status = 200, description = "As asked", body = shapes::ServerList)))]
pub(crate) async fn list(State(app): State<Arc<App>>, query: Query) -> Response {
    let asked = match Asked::of(&query) {
        Ok(asked) => asked,
        Err(problem) => return problem.into_response(),
    };
    let found = app.catalogue.search(asked.words, asked.category);
    let found: Vec<&Server> = match asked.filters.is_empty() {
        true => found,
        false => found.into_iter().filter(|server| asked.filters.admit(server)).collect(),
    };
    let shown = found.iter().skip(asked.offset).take(asked.limit);
    let shown: Vec<Value> = shown.map(|server| Value::Object(server.summary())).collect();
    let has_more = asked.offset.saturating_add(shown.len()) < found.len();
    json(
        StatusCode::OK,
        &object([
            ("total", (found.len() as u64).into()),
            ("limit", (asked.limit as u64).into()),
            ("offset", (asked.offset as u64).into()),
            ("hasMore", (has_more && !shown.is_empty()).into()),
            ("servers", Value::Array(shown)),
        ]),
    )
}

/// `GET /api/servers/:id`: by id, name, slug or package name.
#[utoipa::path(get, path = "/api/servers/{id}", tag = "Servers", summary = "A server with its tools",
    params(("id" = String, Path, description = "UUID, name, slug or package name with its slash encoded", example = "everything")),
    responses((status = 200, description = "As asked", body = shapes::Server)))]
pub(crate) async fn one(State(app): State<Arc<App>>, wanted: Wanted, _: NoQuery) -> Response {
    match wanted.server(&app.catalogue) {
        Ok(server) => json(StatusCode::OK, &info(server)),
        Err(problem) => problem.into_response(),
    }
}

/// `GET /api/servers/:id/tools`
#[utoipa::path(get, path = "/api/servers/{id}/tools", tag = "Servers", summary = "A server's tools, without prefix",
    params(("id" = String, Path, description = "UUID, name, slug or package name with its slash encoded", example = "everything")),
    responses((status = 200, description = "As asked", body = shapes::ToolList)))]
pub(crate) async fn tools(State(app): State<Arc<App>>, wanted: Wanted, _: NoQuery) -> Response {
    let server = wanted.server(&app.catalogue);
    match server.and_then(|server| server.ready().map_err(|refusal| Problem::from(&refusal))) {
        Ok(ready) => {
            let tools = ready.tools.iter().map(|tool| tool.definition.clone()).collect();
            json(StatusCode::OK, &object([("tools", Value::Array(tools))]))
        }
        Err(problem) => problem.into_response(),
    }
}
