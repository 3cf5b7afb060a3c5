//! `POST /mcp` and `POST /mcp/server/:serverId`.

use std::sync::Arc;

use axum::{
    extract::{Request as HttpRequest, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use evidence::json::{Value, object};
use gate::{Authentication, Call, Challenge, Refusal};
use payments::Payment;

use super::{Presented, json, json_body, narrower, pay, problem::Problem, query::Place, who::authenticate};
use crate::{
    app::App,
    catalogue::Server,
    enablement::{Narrower, Scope},
    mcp::{
        answer::{Answer, Cache, discovered, initialized},
        era::{Era, McpHeaders},
        message::{MAX_BODY_BYTES, Message, MessageError, Request},
        meta_tools,
    },
    pipeline::{self, Asked},
};

/// The gateway's own endpoint: meta-tools, and the tools of the servers that the caller has switched on.
pub(crate) async fn gateway(State(app): State<Arc<App>>, request: HttpRequest) -> Response {
    answer(&app, request, None).await
}

/// One server's endpoint: its tools under their own names, nothing to switch on.
pub(crate) async fn one_server(
    State(app): State<Arc<App>>,
    Place(id): Place<String>,
    request: HttpRequest,
) -> Response {
    match app.catalogue.find(&id) {
        Ok(server) => answer(&app, request, Some(server)).await,
        Err(refusal) => Problem::from(&refusal).into_response(),
    }
}

/// Where a request came in, and what is its caller's.
struct Asker<'a> {
    app: &'a Arc<App>,
    headers: &'a HeaderMap,
    who: Authentication,
    session: Narrower,
    scope: Option<Scope>,
    /// The one server of this endpoint; `None` on the gateway's own.
    server: Option<&'a Server>,
}

async fn answer(app: &Arc<App>, request: HttpRequest, server: Option<&Server>) -> Response {
    let (parts, body) = request.into_parts();
    let headers = &parts.headers;
    let body = match json_body(headers, body, MAX_BODY_BYTES).await {
        Ok(body) => body,
        Err(problem) => return problem.into_response(),
    };
    let request = match Message::read(&body) {
        Ok(Message::Request(request)) => request,
        Ok(Message::Silent) => return StatusCode::ACCEPTED.into_response(),
        Err(MessageError::Json(error)) => {
            let text = format!("Parse error: {error}; send one JSON text without duplicate names");
            return send(&Answer::error(400, &Value::Null, -32700, &text, None));
        }
        Err(MessageError::Shape { id, what, fix }) => {
            return send(&Answer::error(400, &id, -32600, &format!("Invalid Request: {what}; {fix}"), None));
        }
    };
    // Whoever shows a bad credential hears so at once, whatever they ask for.
    let who = match authenticate(app, &parts, &body).await {
        Ok(who) => who,
        Err(unknown) => {
            let answer = unauthorized(&Answer::refusal(Era::Legacy, &request.id, &unknown.refusal));
            return unknown.decorate(answer);
        }
    };
    let session = match narrower(headers) {
        Ok(session) => session,
        Err(problem) => return problem.into_response(),
    };
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mcp_headers =
        McpHeaders { version: text("mcp-protocol-version"), method: text("mcp-method"), name: text("mcp-name") };
    let era = match Era::of(&request, mcp_headers) {
        Ok(era) => era,
        Err(error) => {
            return send(&Answer::error(error.status, &request.id, error.code, &error.message, error.data));
        }
    };
    // A session or a token of before a restart: its wallet's servers are on as they were.
    if let Some(wallet) = who.principal.wallet()
        && !app.enablement.knows(&who.principal)
    {
        app.hydrate(wallet).await;
    }
    let scope = Scope::of(&who.principal, &session);
    let asker = Asker { app, headers, who, session, scope, server };
    send(&asker.answer(era, request).await)
}

impl Asker<'_> {
    async fn answer(&self, era: Era, request: Request) -> Answer {
        let id = request.id.clone();
        match (era, request.method.as_str()) {
            (Era::Legacy, "initialize") => {
                let asked = request.params.member("protocolVersion").and_then(Value::as_str);
                Answer::result(era, &id, initialized(asked, &self.instructions()), Cache::No)
            }
            (Era::Legacy, "ping") => Answer::result(era, &id, object([]), Cache::No),
            (Era::Modern, "server/discover") => {
                Answer::result(era, &id, discovered(&self.instructions()), Cache::Public)
            }
            (_, "tools/list") => self.list(era, &request),
            (_, "tools/call") => self.call(era, request).await,
            (era, method) => {
                let method: String = method.chars().take(128).collect();
                let known = match era {
                    Era::Legacy => "initialize, ping, tools/list, tools/call",
                    Era::Modern => "server/discover, tools/list, tools/call",
                };
                let text = format!("Method not found: {method:?}; this gateway answers {known}");
                Answer::error(if era == Era::Modern { 404 } else { 200 }, &id, -32601, &text, None)
            }
        }
    }

    fn instructions(&self) -> String {
        match self.server {
            Some(server) => format!("{}: {}", server.entry.name, server.entry.description),
            None => "Tools of many MCP servers, each run in a hardened container, each answer with a proof in \
                     _meta[\"io.sealgate/proof\"]. Find a server with gateway__search_servers, switch it on with \
                     gateway__enable_server, then list the tools again."
                .to_owned(),
        }
    }

    fn list(&self, era: Era, request: &Request) -> Answer {
        if request.params.member("cursor").is_some_and(|cursor| *cursor != Value::Null) {
            let text = "there is one page only; leave \"cursor\" out";
            return Answer::error(200, &request.id, -32602, text, None);
        }
        let (tools, cache) = match self.server {
            Some(server) => match server.ready() {
                Ok(ready) => (ready.tools.iter().map(|tool| tool.definition.clone()).collect(), Cache::Public),
                Err(refusal) => return Answer::refusal(era, &request.id, &refusal),
            },
            None => {
                let mut tools = self.app.catalogue.meta_tools().to_vec();
                for server in self.enabled() {
                    tools.extend_from_slice(server.listed());
                }
                (tools, Cache::Private)
            }
        };
        Answer::result(era, &request.id, object([("tools", Value::Array(tools))]), cache)
    }

    fn enabled(&self) -> Vec<&Server> {
        let ids = self.scope.as_ref().map(|scope| self.app.enablement.enabled(scope)).unwrap_or_default();
        ids.iter().filter_map(|id| self.app.catalogue.by_id(id)).collect()
    }

    async fn call(&self, era: Era, request: Request) -> Answer {
        let id = request.id.clone();
        let challenge = match self.challenge(&request) {
            Ok(challenge) => challenge,
            Err(text) => return Answer::error(200, &id, -32602, &text, None),
        };
        let payment = match self.presented(&request) {
            Ok(payment) => payment,
            Err(refusal) => return Answer::refusal(era, &id, &refusal),
        };
        let Value::Object(mut params) = request.params else {
            return Answer::error(200, &id, -32602, "params is not an object", None);
        };
        let mut take = |name: &str| {
            let at = params.iter().position(|(member, _)| member == name)?;
            Some(params.swap_remove(at).1)
        };
        let name = match take("name") {
            Some(Value::String(name)) => name,
            _ => {
                let text = "params.name is missing or no string; name one tool of tools/list";
                return Answer::error(200, &id, -32602, text, None);
            }
        };
        let mut arguments = match take("arguments") {
            None | Some(Value::Null) => Value::Object(Vec::new()),
            Some(arguments) => arguments,
        };
        let mut redirected = None;
        if self.server.is_none() {
            let scope = self.scope.as_ref();
            if arguments.as_object().is_none() {
                let refusal = Refusal::ArgumentsNotAnObject { found: arguments.kind() };
                return Answer::refusal(era, &id, &refusal);
            }
            match meta_tools::redirect(&name, &arguments, &self.app.catalogue) {
                Some(Ok(target)) => {
                    arguments = target.arguments;
                    redirected = Some((target.server, target.tool));
                }
                Some(Err(result)) => return Answer::result(era, &id, result, Cache::No),
                None => {}
            }
            if redirected.is_none()
                && let Some(result) = meta_tools::call(self.app, &name, &arguments, &self.who.principal, scope).await
            {
                return Answer::result(era, &id, result, Cache::No);
            }
        }
        let is_direct = redirected.is_none();
        let target = redirected.map_or_else(|| self.target(&name), Ok);
        let (server, tool) = match target {
            Ok(target) => target,
            Err(refusal) => return Answer::refusal(era, &id, &refusal),
        };
        if is_direct
            && self.server.is_none()
            && !self.enabled().iter().any(|enabled| enabled.entry.id == server.entry.id)
        {
            let text = format!(
                "server {:?} is not enabled here; call gateway__enable_server with server_name {:?} first, or call the \
                 tool with gateway__call_tool, or use /mcp/server/{}",
                server.entry.name, server.entry.name, server.entry.id
            );
            return Answer::error(200, &id, -32602, &text, None);
        }
        let structured = server.tools().iter().any(|known| known.name == tool && known.has_output_schema());
        let asked = Asked {
            call: Call { server: server.entry.id.clone(), tool, arguments, challenge },
            who: self.who,
            session: self.session.clone(),
            payment,
        };
        match pipeline::serve(self.app, asked).await {
            Ok(reply) => Answer::settled(era, &id, reply.result, &reply.envelope, reply.paid.as_ref()),
            Err(Refusal::Payment(problem)) => match self.app.till.offer(&problem) {
                // Official clients check structuredContent against the tool's own schema, also in an error.
                Some(offer) => Answer::payment_required(era, &id, &offer, &problem, !structured),
                None => Answer::refusal(era, &id, &Refusal::Internal { part: "payments" }),
            },
            Err(refusal) => Answer::refusal(era, &id, &refusal),
        }
    }

    /// `_meta["x402/payment"]` (an object, or its base64), an older client's `_meta["x402.payment"]`, the headers. All that
    /// are there hold the same payment: which of two would be taken is not for us to choose.
    fn presented(&self, request: &Request) -> Result<Presented, Refusal> {
        let meta = ["x402/payment", "x402.payment"].into_iter().filter_map(|name| request.meta(name));
        let mut all = meta.map(Payment::from_value).chain(pay::presented(self.headers)?);
        let Some(first) = all.next() else { return Ok(None) };
        if all.any(|other| other != first) {
            return Err(pay::two_payments("the headers and members of _meta"));
        }
        Ok(Some(first))
    }

    /// The server and tool that a name means at this endpoint.
    fn target(&self, name: &str) -> Result<(&Server, String), Refusal> {
        match self.server {
            Some(server) => Ok((server, name.to_owned())),
            None => self.app.catalogue.find_prefixed(name),
        }
    }

    /// `_meta["io.sealgate/challenge"]`, else the header `Sealgate-Challenge`.
    fn challenge(&self, request: &Request) -> Result<Option<Challenge>, String> {
        let shown = match request.meta("io.sealgate/challenge") {
            Some(Value::String(text)) => Some(text.as_str()),
            Some(other) => return Err(format!("_meta[\"io.sealgate/challenge\"] is a string, found {}", other.kind())),
            None => match self.headers.get("sealgate-challenge") {
                Some(value) => Some(value.to_str().map_err(|_| "Sealgate-Challenge is not ASCII".to_owned())?),
                None => None,
            },
        };
        shown.map(|text| Challenge::from_hex(text).map_err(|error| error.to_string())).transpose()
    }
}

fn send(answer: &Answer) -> Response {
    json(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &answer.message)
}

fn unauthorized(answer: &Answer) -> Response {
    let mut response = send(answer);
    if answer.status != 401 {
        return response;
    }
    let value = axum::http::HeaderValue::from_static("Bearer error=\"invalid_token\"");
    response.headers_mut().insert(axum::http::header::WWW_AUTHENTICATE, value);
    response
}
