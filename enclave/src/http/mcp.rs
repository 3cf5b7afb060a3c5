//! `POST /mcp` and `POST /mcp/server/:serverId`.

use std::sync::Arc;

use axum::{
    extract::{Request as HttpRequest, State},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse as _, Response},
};
use evidence::json::Value;
use gate::{Principal, Refusal};

use super::{json, json_body, narrower, problem::Problem, query::Place, resource_metadata, who::authenticate};
use crate::{
    app::{App, Live},
    catalogue::Server,
    enablement::Scope,
    mcp::{
        answer::Answer,
        asker::{Asker, Outgoing},
        batch,
        era::{Era, EraError, LEGACY, MODERN, McpHeaders},
        message::{Body, MAX_BODY_BYTES, Message, MessageError},
        sse,
    },
};

/// The gateway's own endpoint: meta-tools, and the tools of the servers that the caller has switched on.
pub(crate) async fn gateway(State(live): State<Live>, request: HttpRequest) -> Response {
    answer(&live, &live.now(), request, None).await
}

/// One server's endpoint: its tools under their own names, nothing to switch on.
pub(crate) async fn one_server(State(live): State<Live>, Place(id): Place<String>, request: HttpRequest) -> Response {
    let app = live.now();
    match app.catalogue.find(&id) {
        Ok(server) => answer(&live, &app, request, Some(server)).await,
        Err(refusal) => Problem::from(&refusal).into_response(),
    }
}

/// Every other method. A client of the transport of 2024-11-05 begins with a `GET` for a stream, and later ones ask for one
/// of their own; neither is there, and they go on without (MCP 2025-11-25, Streamable HTTP).
pub(crate) async fn only_post(method: Method, headers: HeaderMap) -> Response {
    let problem = Problem::method("POST");
    if method == Method::GET && sse::is_accepted(&headers) {
        return problem
            .because(
                "there is no stream to GET: the HTTP+SSE transport of 2024-11-05 is not served, and changes are \
                 announced on the answer to subscriptions/listen (2026-07-28)",
                "use Streamable HTTP: POST each message here, with Accept: application/json, text/event-stream",
            )
            .into_response();
    }
    problem.into_response()
}

async fn answer(live: &Live, app: &Arc<App>, request: HttpRequest, server: Option<&Server>) -> Response {
    let (parts, body) = request.into_parts();
    let headers = &parts.headers;
    let bytes = match json_body(headers, body, MAX_BODY_BYTES).await {
        Ok(body) => body,
        Err(problem) => return problem.into_response(),
    };
    let body = match Body::read(&bytes) {
        Ok(body) => body,
        Err(error) => return send(&malformed(&error)),
    };
    let id = match &body {
        Body::One(Message::Request(request)) => request.id.clone(),
        _ => Value::Null,
    };
    let endpoint = || server.map_or_else(|| "/mcp".to_owned(), |server| format!("/mcp/server/{}", server.entry.id));
    // Whoever shows a bad credential hears so at once, whatever they ask for.
    let who = match authenticate(app, &parts, &bytes).await {
        Ok(who) => who,
        Err(unknown) => {
            let answer = send(&Answer::refusal(Era::Legacy, &id, &unknown.refusal));
            return unknown.decorate(resource_metadata::challenged(app, &endpoint(), true, answer));
        }
    };
    if app.config.identity.auth_required && who.principal == Principal::Anonymous {
        let answer = send(&Answer::unauthenticated(&id, &Refusal::WalletRequired));
        return resource_metadata::challenged(app, &endpoint(), false, answer);
    }
    let session = match narrower(headers) {
        Ok(session) => session,
        Err(problem) => return problem.into_response(),
    };
    let mcp_headers = match mcp_headers(headers) {
        Ok(found) => found,
        Err(error) => return send(&refused(&id, error)),
    };
    // A session or a token of before a restart: its wallet's servers are on as they were.
    if let Some(wallet) = who.principal.wallet()
        && !app.enablement.knows(&who.principal)
    {
        app.hydrate(wallet).await;
    }
    let scope = Scope::of(&who.principal, &session);
    let streams = sse::is_accepted(headers);
    let asker = Asker { live, app, headers, who, session, scope, server, streams };
    match body {
        Body::One(message) => match one(&asker, mcp_headers, message).await {
            Some(Outgoing::Message(answer)) => send(&answer),
            Some(Outgoing::Stream(response)) => response,
            None => StatusCode::ACCEPTED.into_response(),
        },
        Body::Many(messages) if batch::is_taken(mcp_headers.version) => {
            many(&Asker { streams: false, ..asker }, mcp_headers, messages).await
        }
        Body::Many(_) => {
            let text = "Invalid Request: a batch of messages is not taken in this version of the protocol; send one \
                        JSON-RPC message in each POST";
            send(&Answer::error(400, &Value::Null, -32600, text, None))
        }
    }
}

/// The answer to one message, if it wants one.
async fn one(asker: &Asker<'_>, headers: McpHeaders<'_>, message: Message) -> Option<Outgoing> {
    let request = match message {
        Message::Request(request) => request,
        other => {
            if let Some(version) = headers.version
                && version != MODERN
                && !LEGACY.contains(&version)
            {
                return Some(refused(&Value::Null, EraError::unsupported(version)).into());
            }
            match other {
                Message::Notification(notification) => asker.hear(&notification),
                Message::Response(response) => {
                    let known = asker.app.lobby.asked.answer(&asker.caller(), &response.id, response.answer);
                    tracing::debug!(known, "a client answered a question");
                }
                Message::Request(_) => {}
            }
            return None;
        }
    };
    let era = match Era::of(&request, headers) {
        Ok(era) => era,
        Err(error) => return Some(refused(&request.id, error).into()),
    };
    Some(asker.answer(era, request).await)
}

/// The answers to a batch, in the order of its messages. They run at the same time, but calls that show a payment one after
/// the other: which of them it pays for is not left to chance.
async fn many(asker: &Asker<'_>, headers: McpHeaders<'_>, messages: Vec<Result<Message, MessageError>>) -> Response {
    let shows_payment = |message: &Result<Message, MessageError>| matches!(message, Ok(Message::Request(request)) if asker.pays(request));
    let answer = |message| -> batch::Answering<'_, Option<Value>> { Box::pin(one_of_many(asker, headers, message)) };
    let answers = batch::run(messages, shows_payment, &answer).await;
    match batch::joined(answers.into_iter().flatten().collect()) {
        Some(answers) => json(StatusCode::OK, &answers),
        None => StatusCode::ACCEPTED.into_response(),
    }
}

async fn one_of_many(
    asker: &Asker<'_>,
    headers: McpHeaders<'_>,
    message: Result<Message, MessageError>,
) -> Option<Value> {
    let outgoing = match message {
        Ok(message) => one(asker, headers, message).await,
        Err(error) => Some(malformed(&error).into()),
    };
    match outgoing {
        Some(Outgoing::Message(answer)) => Some(answer.message),
        // Nothing streams to a client that is said to take no stream.
        Some(Outgoing::Stream(_)) | None => None,
    }
}

/// MCP's own headers. What stands twice could be read in two ways.
fn mcp_headers(headers: &HeaderMap) -> Result<McpHeaders<'_>, EraError> {
    let text = |name: &str, shown: &str| {
        let mut values = headers.get_all(name).iter();
        let first = values.next();
        if values.next().is_some() {
            return Err(EraError::doubled(shown));
        }
        Ok(first.and_then(|value| value.to_str().ok()))
    };
    Ok(McpHeaders {
        version: text("mcp-protocol-version", "MCP-Protocol-Version")?,
        method: text("mcp-method", "Mcp-Method")?,
        name: text("mcp-name", "Mcp-Name")?,
    })
}

fn malformed(error: &MessageError) -> Answer {
    match error {
        MessageError::Json(error) => {
            let text = format!("Parse error: {error}; send one JSON text without duplicate names");
            Answer::error(400, &Value::Null, -32700, &text, None)
        }
        MessageError::Shape { id, what, fix } => {
            Answer::error(400, id, -32600, &format!("Invalid Request: {what}; {fix}"), None)
        }
    }
}

fn refused(id: &Value, error: EraError) -> Answer {
    Answer::error(error.status, id, error.code, &error.message, error.data)
}

fn send(answer: &Answer) -> Response {
    json(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &answer.message)
}
