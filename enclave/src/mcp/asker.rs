//! Who asks at which endpoint, and what becomes of each method.

use std::sync::Arc;

use axum::{http::HeaderMap, response::Response};
use evidence::{
    ServerId,
    json::{Name, Value, object},
};
use gate::{Authentication, Call, Challenge, Refusal};
use sandbox::PoolKey;

use super::{
    answer::{Answer, Cache, discovered, initialized},
    drive,
    era::Era,
    feed::Elsewhere,
    level::Level,
    message::{Notification, Request},
    meta_tools,
    offers::{List, Offers},
    param_headers, subscription,
    turn::{Encoding, Turn},
};
use crate::{
    app::{App, Live},
    catalogue::Server,
    conversation::{self, Outcome},
    enablement::{Narrower, Scope},
    errand::Errand,
    http::Presented,
    pipeline::{self, Asked, Inquired},
};

/// The extension whose methods are passed on (MCP 2026-07-28).
const TASKS: &str = "io.modelcontextprotocol/tasks";

/// What leaves.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// One message.
    Message(Answer),
    /// A stream.
    Stream(Response),
}

impl From<Answer> for Outgoing {
    fn from(answer: Answer) -> Self {
        Self::Message(answer)
    }
}

/// Where a request came in, and what is its caller's.
pub(crate) struct Asker<'a> {
    pub(crate) live: &'a Live,
    pub(crate) app: &'a Arc<App>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) who: Authentication,
    pub(crate) session: Narrower,
    pub(crate) scope: Option<Scope>,
    /// The one server of this endpoint; `None` on the gateway's own.
    pub(crate) server: Option<&'a Server>,
    /// Whether the client takes a stream in answer to this POST.
    pub(crate) streams: bool,
}

impl Asker<'_> {
    /// Answers a request.
    pub(crate) async fn answer(&self, era: Era, request: Request) -> Outgoing {
        let id = request.id.clone();
        match (era, request.method.as_str()) {
            (Era::Legacy, "initialize") => {
                let asked = request.params.member("protocolVersion").and_then(Value::as_str);
                if let Some(said) = request.params.member("capabilities") {
                    self.app.lobby.set_capabilities(&self.caller(), said);
                }
                let result = initialized(asked, self.capabilities(era), &self.instructions());
                Answer::result(era, &id, result, Cache::No).into()
            }
            (Era::Legacy, "ping") => Answer::result(era, &id, object([]), Cache::No).into(),
            (Era::Legacy, "logging/setLevel") if self.offers("logging") => self.set_level(&request).into(),
            (Era::Modern, "server/discover") => {
                let result = discovered(self.capabilities(era), &self.instructions());
                Answer::result(era, &id, result, Cache::Public).into()
            }
            (Era::Modern, "subscriptions/listen") => subscription::listen(self, &request).await,
            (_, "tools/call") if self.offers("tools") => self.call(era, request).await,
            (_, "prompts/get") if self.offers("prompts") => self.get_prompt(era, request).await,
            (_, "resources/read") if self.offers("resources") => self.of_resource(era, request, true).await,
            (Era::Legacy, "resources/subscribe" | "resources/unsubscribe") if self.subscribes() => {
                self.of_resource(era, request, false).await
            }
            (_, "completion/complete") if self.offers("completions") => self.complete(era, request).await,
            (_, method) if List::of(method).is_some_and(|list| self.offers(list.capability())) => {
                self.list(era, &request).await.into()
            }
            (_, method) if method.starts_with("tasks/") && self.has_tasks(era) => {
                let server = self.server.map(|server| server.entry.id.clone());
                match server {
                    Some(server) => self.inquire(era, request, server, None, false).await,
                    None => self.unknown(era, &request).into(),
                }
            }
            _ => self.unknown(era, &request).into(),
        }
    }

    /// Hears a notification.
    pub(crate) fn hear(&self, notification: &Notification) {
        match notification.method.as_str() {
            "notifications/cancelled" => {
                if let Some(id) = notification.params.member("requestId") {
                    let withdrawn = self.app.lobby.running.withdraw(&self.caller(), id);
                    tracing::debug!(withdrawn, "a caller withdrew requests");
                }
            }
            "notifications/roots/list_changed" => {
                let key = self.server.and_then(|server| self.key(&server.entry.id));
                if let Some(session) = key.and_then(|key| self.app.runner.running(&key)) {
                    let _full = session.notify(&notification.method, None);
                }
            }
            // `notifications/initialized`: there is no session that it could begin.
            _ => {}
        }
    }

    /// A name of the caller for what is kept in memory; empty for strangers.
    pub(crate) fn caller(&self) -> String {
        self.scope.as_ref().map(Scope::key).unwrap_or_default()
    }

    /// The container of this caller's; strangers have none that lasts.
    pub(crate) fn key(&self, server: &ServerId) -> Option<PoolKey> {
        let scope = self.scope.as_ref()?;
        Some(PoolKey { server: server.clone(), principal: scope.key() })
    }

    /// What the one server of this endpoint offers, if it can run.
    pub(crate) fn own_offers(&self) -> Option<&Offers> {
        self.server.and_then(|server| server.ready.as_ref().ok()).map(|ready| &ready.offers)
    }

    fn offers(&self, capability: &str) -> bool {
        // A server that cannot run says so when it is asked for tools.
        self.server.is_none_or(|server| match &server.ready {
            Ok(ready) => ready.offers.has(capability),
            Err(_) => capability == "tools",
        })
    }

    fn subscribes(&self) -> bool {
        // On the gateway's own endpoint the resource's server decides.
        self.server.is_none() || self.own_offers().is_some_and(|offers| offers.says("resources", "subscribe"))
    }

    fn has_tasks(&self, era: Era) -> bool {
        self.own_offers().is_some_and(|offers| match era {
            Era::Legacy => offers.has("tasks"),
            Era::Modern => offers.has_extension(TASKS),
        })
    }

    fn capabilities(&self, era: Era) -> Value {
        match (self.server, self.own_offers()) {
            (Some(_), Some(offers)) => offers.capabilities(era),
            (Some(_), None) => object([("tools", object([]))]),
            (None, _) => {
                let changes = || object([("listChanged", true.into())]);
                object([
                    ("tools", changes()),
                    ("prompts", changes()),
                    ("resources", object([("listChanged", true.into()), ("subscribe", true.into())])),
                    ("completions", object([])),
                    ("logging", object([])),
                ])
            }
        }
    }

    fn instructions(&self) -> String {
        match (self.server, self.own_offers().and_then(Offers::instructions)) {
            (Some(_), Some(own)) => own.to_owned(),
            (Some(server), None) => format!("{}: {}", server.entry.name, server.entry.description),
            (None, _) => "Tools of many MCP servers, each run in a hardened container, each answer with a proof in \
                          _meta[\"io.sealgate/proof\"]. Find a server with gateway__search_servers, switch it on with \
                          gateway__enable_server, then list the tools again."
                .to_owned(),
        }
    }

    fn unknown(&self, era: Era, request: &Request) -> Answer {
        let method: String = request.method.chars().take(128).collect();
        let first = match era {
            Era::Legacy => "initialize, ping",
            Era::Modern => "server/discover, subscriptions/listen",
        };
        let more = ["tools", "prompts", "resources", "completions"]
            .into_iter()
            .chain((era == Era::Legacy).then_some("logging"));
        let more: Vec<&str> = more.filter(|capability| self.offers(capability)).collect();
        let text = format!(
            "Method not found: {method:?}; this endpoint answers {first} and the methods of {}{}",
            more.join(", "),
            era.instead_of(&request.method)
        );
        Answer::error(if era == Era::Modern { 404 } else { 200 }, &request.id, -32601, &text, None)
    }

    fn set_level(&self, request: &Request) -> Answer {
        let level = request.params.member("level").and_then(Value::as_str).and_then(Level::of);
        let Some(level) = level else {
            let words: Vec<&str> = Level::ALL.map(Level::as_str).into();
            let text = format!("params.level is one of {}", words.join(", "));
            return Answer::error(200, &request.id, -32602, &text, None);
        };
        self.app.lobby.set_level(&self.caller(), level);
        Answer::result(Era::Legacy, &request.id, object([]), Cache::No)
    }

    /// The servers that this caller has switched on, ascending by id.
    pub(crate) fn enabled(&self) -> Vec<&Server> {
        let ids = self.scope.as_ref().map(|scope| self.app.enablement.enabled(scope)).unwrap_or_default();
        ids.iter().filter_map(|id| self.app.catalogue.by_id(id)).collect()
    }

    /// The client's side of a request.
    fn turn(&self, era: Era, request: &Request, name: &str, arguments: &Value, encoding: Encoding) -> Turn {
        let level = match era {
            Era::Legacy => self.app.lobby.level(&self.caller()),
            Era::Modern => request.meta("io.modelcontextprotocol/logLevel").and_then(Value::as_str).and_then(Level::of),
        };
        Turn {
            era,
            id: request.id.clone(),
            streams: self.streams,
            token: request.meta("progressToken").filter(|token| token.as_object().is_none()).cloned(),
            level,
            caller: self.caller(),
            endpoint: self.server.map(|server| server.entry.id.to_string()).unwrap_or_default(),
            method: request.method.clone(),
            name: name.to_owned(),
            arguments: arguments.clone(),
            capabilities: request.capabilities().cloned(),
            responses: request.params.member("inputResponses").cloned(),
            asked: 0,
            encoding,
            elsewhere: None,
        }
    }

    /// Where a legacy client of the gateway's own endpoint hears of other servers while this one works for it.
    fn elsewhere(&self, era: Era, server: &Server) -> Option<Elsewhere> {
        let scope = self.scope.clone().filter(|_| era == Era::Legacy && self.server.is_none() && self.streams)?;
        Some(Elsewhere { live: self.live.clone(), scope, but: server.entry.id.clone() })
    }

    /// Continues a request that waits for what this one brings. `None`: this one begins anew.
    async fn resumed(&self, turn: &Turn, request: &Request) -> Option<Outgoing> {
        if turn.era != Era::Modern {
            return None;
        }
        let wrong = |text: &str| Some(Answer::error(200, &turn.id, -32602, text, None).into());
        match &turn.responses {
            None | Some(Value::Object(_)) => {}
            Some(other) => {
                let text =
                    format!("inputResponses is an object, found {}: answer by the keys of inputRequests", other.kind());
                return wrong(&text);
            }
        }
        match request.params.member("requestState") {
            None => None,
            Some(Value::String(state)) => Some(drive::resume(self.app, turn.clone(), state).await),
            Some(_) => wrong("requestState is a string: send back what input_required gave, or start again without it"),
        }
    }

    /// What goes to a server with a request.
    fn errand(&self, turn: &Turn, params: Vec<(Name, Value)>) -> Errand {
        let mut errand = Errand::new(&turn.method, params);
        errand.level = turn.level;
        if turn.era == Era::Legacy && self.streams {
            let both = object([("form", object([])), ("url", object([]))]);
            let most = || object([("elicitation", both), ("sampling", object([("tools", object([]))]))]);
            errand = errand.assuming(self.app.lobby.capabilities(&turn.caller).unwrap_or_else(most));
        }
        errand
    }

    async fn call(&self, era: Era, mut request: Request) -> Outgoing {
        let id = request.id.clone();
        let wrong = |text: &str| Outgoing::from(Answer::error(200, &id, -32602, text, None));
        let challenge = match self.challenge(&request) {
            Ok(challenge) => challenge,
            Err(text) => return wrong(&text),
        };
        let payment = match self.presented(&request) {
            Ok(payment) => payment,
            Err(refusal) => return Answer::refusal(era, &id, &refusal).into(),
        };
        let Some(name) = request.params.member("name").and_then(Value::as_str).map(str::to_owned) else {
            return wrong("params.name is missing or no string; name one tool of tools/list");
        };
        let mut arguments = match request.params.member("arguments") {
            None | Some(Value::Null) => object([]),
            Some(arguments) => arguments.clone(),
        };
        let sent = arguments.clone();
        let mut redirected = None;
        if self.server.is_none() {
            if arguments.as_object().is_none() {
                let refusal = Refusal::ArgumentsNotAnObject { found: arguments.kind() };
                return Answer::refusal(era, &id, &refusal).into();
            }
            match meta_tools::redirect(&name, &arguments, &self.app.catalogue) {
                Some(Ok(target)) => {
                    arguments = target.arguments;
                    redirected = Some((target.server, target.tool));
                }
                Some(Err(result)) => return Answer::result(era, &id, result, Cache::No).into(),
                None => {
                    let (principal, scope) = (&self.who.principal, self.scope.as_ref());
                    if let Some(result) = meta_tools::call(self.app, &name, &arguments, principal, scope).await {
                        return Answer::result(era, &id, result, Cache::No).into();
                    }
                }
            }
        }
        let is_direct = redirected.is_none();
        let (server, tool) = match redirected.map_or_else(|| self.target(&name), Ok) {
            Ok(target) => target,
            Err(refusal) => return Answer::refusal(era, &id, &refusal).into(),
        };
        let needs_enabling = is_direct && self.server.is_none();
        if needs_enabling && !self.enabled().iter().any(|enabled| enabled.entry.id == server.entry.id) {
            return wrong(&format!(
                "server {:?} is not enabled here; call gateway__enable_server with server_name {:?} first, or call the \
                 tool with gateway__call_tool, or use /mcp/server/{}",
                server.entry.name, server.entry.name, server.entry.id
            ));
        }
        let live = self.app.runner.live_tools(server, self.key(&server.entry.id).as_ref(), &tool).await;
        let tool = match &live {
            Some(live) if self.server.is_none() => server.named_among(live, &tool).unwrap_or(tool),
            _ => tool,
        };
        let is_named = |definition: &&Value| definition.member("name").and_then(Value::as_str) == Some(tool.as_str());
        let definition = match &live {
            Some(live) => live.iter().find(is_named),
            None => server.tools().iter().find(|known| known.name == tool).map(|known| &known.definition),
        };
        // A call through the gateway's own tool has that tool's schema, which repeats nothing.
        if let (Era::Modern, true, Some(schema)) =
            (era, is_direct, definition.and_then(|definition| definition.member("inputSchema")))
            && let Err(error) = param_headers::check(schema, &arguments, self.headers)
        {
            return Answer::error(error.status, &id, error.code, &error.message, error.data).into();
        }
        let structured = definition.is_some_and(|definition| definition.member("outputSchema").is_some());
        let mut turn = self.turn(era, &request, &name, &sent, Encoding::Tool { structured });
        // Until a call is paid nothing but numbers leaves on its stream.
        turn.elsewhere = self.elsewhere(era, server).filter(|_| self.app.catalogue.price_of(server, &tool).is_zero());
        if let Some(resumed) = self.resumed(&turn, &request).await {
            return resumed;
        }
        let Value::Object(params) = &mut request.params else { return wrong("params is not an object") };
        params.retain(|(name, _)| name != "name" && name != "arguments");
        let errand = self.errand(&turn, std::mem::take(params));
        let asked = Asked {
            call: Call { server: server.entry.id.clone(), tool, arguments, challenge },
            who: self.who,
            session: self.session.clone(),
            payment,
            errand,
            tools: live,
        };
        let withdrawable = self.app.lobby.running.begin(&turn.caller, &id);
        let lasting = era == Era::Legacy;
        let (mut speaker, listening) = conversation::pair(lasting, Arc::clone(&withdrawable.withdrawn));
        let app = Arc::clone(self.app);
        let listening = listening.doing(async move {
            let _withdrawable = withdrawable;
            let outcome = pipeline::serve(&app, asked, &mut speaker).await;
            speaker.done(outcome.map(|reply| Outcome::Called(Box::new(reply)))).await;
        });
        drive::drive(self.app, turn, listening).await
    }

    /// Asks a server something other than a tool call. `name`: what it is asked for, where that has a name.
    pub(crate) async fn inquire(
        &self,
        era: Era,
        mut request: Request,
        server: ServerId,
        name: Option<String>,
        cacheable: bool,
    ) -> Outgoing {
        let arguments = request.params.member("arguments").cloned().unwrap_or(Value::Null);
        let name = name.unwrap_or_default();
        let turn = self.turn(era, &request, &name, &arguments, Encoding::Plain { cacheable });
        if matches!(request.method.as_str(), "prompts/get" | "resources/read")
            && let Some(resumed) = self.resumed(&turn, &request).await
        {
            return resumed;
        }
        let Value::Object(params) = std::mem::replace(&mut request.params, Value::Null) else {
            return Answer::error(200, &turn.id, -32602, "params is not an object", None).into();
        };
        let errand = self.errand(&turn, params);
        let asked = Inquired { server, who: self.who, session: self.session.clone(), errand };
        let withdrawable = self.app.lobby.running.begin(&turn.caller, &turn.id);
        let lasting = era == Era::Legacy;
        let (speaker, listening) = conversation::pair(lasting, Arc::clone(&withdrawable.withdrawn));
        let app = Arc::clone(self.app);
        let listening = listening.doing(async move {
            let _withdrawable = withdrawable;
            let outcome = pipeline::ask(&app, asked, &speaker).await;
            speaker.done(outcome.map(Outcome::Answered)).await;
        });
        drive::drive(self.app, turn, listening).await
    }

    /// `_meta["x402/payment"]` (an object, or its base64), an older client's `_meta["x402.payment"]`, the headers. All that
    /// are there hold the same payment: which of two would be taken is not for us to choose.
    fn presented(&self, request: &Request) -> Result<Presented, Refusal> {
        let meta = ["x402/payment", "x402.payment"].into_iter().filter_map(|name| request.meta(name));
        let mut all = meta.map(payments::Payment::from_value).chain(crate::http::presented(self.headers)?);
        let Some(first) = all.next() else { return Ok(None) };
        if all.any(|other| other != first) {
            return Err(crate::http::two_payments("the headers and members of _meta"));
        }
        Ok(Some(first))
    }

    /// Whether a request shows a payment, whatever it is worth.
    pub(crate) fn pays(&self, request: &Request) -> bool {
        request.method == "tools/call" && !matches!(self.presented(request), Ok(None))
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
