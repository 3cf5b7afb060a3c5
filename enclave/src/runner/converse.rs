//! One request to a server and what is said meanwhile, from the container's start to the answer.

use std::{
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use evidence::json::{self, Limits, Name, Value};
use gate::{Funded, PermittedInquiry, Refusal, Reservation, Run, Warrant};
use sandbox::{Answer, Event, Exchange, LaunchSpec, PoolKey, Session, SessionError, Variable, stdio::ServerEra};
use serde_json::value::RawValue;
use tokio::sync::broadcast;

use super::Runner;
use crate::{
    catalogue::{Ready, Server},
    conversation::Speaker,
    errand::{Errand, Spoken},
    mcp::offers::List,
    notices::Known,
    pipeline::Answered,
};

/// How often a server may answer that it needs more before it goes on.
const MAX_ROUNDS: usize = 16;

/// Most pages of one list.
const MAX_PAGES: usize = 100;

/// Longest list of a running container that is kept until it changes, in bytes. A longer one is asked for each time.
const MAX_KEPT_LIST: usize = 1 << 20;

/// What came of a request.
struct Heard {
    answer: Answer,
    spoken: Spoken,
    started_ms: u64,
    duration_ms: u64,
    environment: Vec<String>,
}

impl Runner {
    /// Runs a funded call, in the container that belongs to `key`. A caller without a key is nobody whom we would know
    /// again: it gets a container of its own, which ends with the call, so that strangers share neither files nor memory.
    /// Gives also the result's type where it is another than `complete`.
    ///
    /// # Errors
    /// The server cannot be reached, does not answer in time, or answers with something unusable.
    #[expect(
        clippy::too_many_arguments,
        reason = "the call, its server, whose container, its secrets, and who listens"
    )]
    pub(crate) async fn run<R: Reservation>(
        &self,
        funded: &Funded<R>,
        server: &Server,
        ready: &Ready,
        key: Option<String>,
        secrets: Vec<Variable>,
        errand: &Errand,
        speaker: &Speaker,
    ) -> Result<(Run, Option<String>), Refusal> {
        let call = funded.call();
        let own = [("name".into(), call.tool.as_str().into()), ("arguments".into(), call.arguments.clone())];
        let heard = self.converse(&funded.warrant(), server, ready, key, secrets, &own, errand, speaker).await?;
        let bad = |why: String| Refusal::BadAnswer { server: server.entry.name.clone(), why };
        let (result, of_type) = match &heard.answer {
            Answer::Result(raw) => {
                let value = parsed(raw).map_err(bad)?;
                let kind = value.member("resultType").and_then(Value::as_str);
                let of_type =
                    kind.filter(|kind| heard.spoken == Spoken::Modern && *kind != "complete").map(str::to_owned);
                (evidence::ResultObject::of_server(value), of_type)
            }
            Answer::Error(raw) => (evidence::ResultObject::of_error(parsed(raw).map_err(bad)?), None),
        };
        let Heard { started_ms, duration_ms, environment, .. } = heard;
        let result = result.map_err(|fault| bad(fault.to_string()))?;
        Ok((Run { result, started_ms, duration_ms, environment }, of_type))
    }

    /// Asks a server something other than a tool call, in the container that belongs to `key`.
    ///
    /// # Errors
    /// As [`Runner::run`].
    #[expect(clippy::too_many_arguments, reason = "as for a call")]
    pub(crate) async fn ask(
        &self,
        permitted: &PermittedInquiry,
        server: &Server,
        ready: &Ready,
        key: Option<String>,
        secrets: Vec<Variable>,
        errand: &Errand,
        speaker: &Speaker,
    ) -> Result<Answered, Refusal> {
        let heard = self.converse(&permitted.warrant(), server, ready, key, secrets, &[], errand, speaker).await?;
        let bad = |why: String| Refusal::BadAnswer { server: server.entry.name.clone(), why };
        let answer = match &heard.answer {
            Answer::Result(raw) => Ok(parsed(raw).map_err(bad)?),
            Answer::Error(raw) => Err(parsed(raw).map_err(bad)?),
        };
        match &answer {
            Ok(Value::Object(_)) | Err(Value::Object(_)) => {}
            Ok(other) | Err(other) => return Err(bad(format!("its answer is {}", other.kind()))),
        }
        Ok(Answered { answer, spoken: heard.spoken })
    }

    /// The running server of a permitted inquiry, started if need be.
    ///
    /// # Errors
    /// As [`Runner::run`].
    pub(crate) async fn hold(
        &self,
        permitted: &PermittedInquiry,
        server: &Server,
        ready: &Ready,
        key: &PoolKey,
        secrets: Vec<Variable>,
    ) -> Result<std::sync::Arc<Session>, Refusal> {
        let session = self.started(&permitted.warrant(), ready, &key.principal, secrets).await;
        let session = session.map_err(|error| self.refusal(server, &error))?;
        self.notices.attach(key, &session);
        Ok(session)
    }

    /// The running container of this key, if there is one: nothing is started for it.
    pub(crate) fn running(&self, key: &PoolKey) -> Option<std::sync::Arc<Session>> {
        self.pool.running_session(key)
    }

    /// A list of the container that runs for this key, where it has announced that it changed. `None`: it does not run, its
    /// list is as it was at install, or it does not give one.
    pub(crate) async fn live(&self, key: &PoolKey, list: List) -> Option<Arc<[Value]>> {
        let times = match self.notices.changed(key, list)? {
            Known::Kept(items) => return Some(items),
            Known::Announced(times) => times,
        };
        let (items, bytes) = self.asked_for(key, list).await?;
        if bytes <= MAX_KEPT_LIST {
            self.notices.keep(key, list, times, &items);
        }
        Some(items)
    }

    /// A list of a caller's own container, where it is another than at install. A server that was not heard to announce so is
    /// asked if something is wanted that it did not have then (`is_known` is false): it may announce to listeners alone, or
    /// be about to.
    pub(crate) async fn live_for(
        &self,
        server: &Server,
        key: Option<&PoolKey>,
        list: List,
        is_known: bool,
    ) -> Option<Arc<[Value]>> {
        let key = key?;
        if let Some(live) = self.live(key, list).await {
            return Some(live);
        }
        let offers = &server.ready.as_ref().ok()?.offers;
        if is_known || !offers.says(list.capability(), "listChanged") {
            return None;
        }
        let (items, _) = self.asked_for(key, list).await?;
        if items[..] == offers.items(list)[..] {
            return None;
        }
        self.notices.differs(key, list);
        Some(items)
    }

    /// The tools of a caller's own container, where they are others than at install, for a call of this one.
    pub(crate) async fn live_tools(&self, server: &Server, key: Option<&PoolKey>, asked: &str) -> Option<Arc<[Value]>> {
        self.live_for(server, key, List::Tools, server.tools().iter().any(|tool| tool.name == asked)).await
    }

    /// A list as the running container of this key gives it now, its pages put together, and how long they are in bytes.
    async fn asked_for(&self, key: &PoolKey, list: List) -> Option<(Arc<[Value]>, usize)> {
        let (method, member) = (list.method(), list.member());
        let session = self.running(key)?;
        let spoken = spoken(&session);
        let (mut items, mut bytes) = (Vec::new(), 0_usize);
        let mut cursor: Option<Value> = None;
        for _ in 0..MAX_PAGES {
            let params = cursor.take().map(|cursor| ("cursor".into(), cursor)).into_iter().collect();
            let params = Errand::new(method, params).params(spoken, &[], 0, None)?;
            let answer = session.request(method, Some(&params), self.call_timeout).await.ok()?;
            let Answer::Result(raw) = answer else { return None };
            bytes = bytes.saturating_add(raw.get().len());
            let Value::Object(members) = parsed(&raw).ok()? else { return None };
            for (name, value) in members {
                match (name.as_str(), value) {
                    ("nextCursor", next @ Value::String(_)) => cursor = Some(next),
                    (name, Value::Array(page)) if name == member => items.extend(page),
                    _ => {}
                }
            }
            if cursor.is_none() {
                return Some((items.into(), bytes));
            }
        }
        None
    }

    #[expect(clippy::too_many_arguments, reason = "as for a call")]
    async fn converse(
        &self,
        warrant: &Warrant,
        server: &Server,
        ready: &Ready,
        key: Option<String>,
        secrets: Vec<Variable>,
        own: &[(Name, Value)],
        errand: &Errand,
        speaker: &Speaker,
    ) -> Result<Heard, Refusal> {
        let stranger = if key.is_none() { Some(self.stranger(server)?) } else { None };
        let principal = stranger.as_ref().map(|stranger| stranger.key.principal.clone()).or(key).unwrap_or_default();
        let key = PoolKey { server: server.entry.id.clone(), principal };
        let started_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|since| u64::try_from(since.as_millis()).ok())
            .ok_or(Refusal::Internal { part: "clock" })?;
        let mut launch = ready.launch.clone();
        launch.environment.extend(secrets);
        let mut environment: Vec<String> = launch.environment.iter().map(|variable| variable.name.clone()).collect();
        environment.sort();
        environment.dedup();
        let begun = Instant::now();
        let refused = |error: SessionError| self.refusal(server, &error);
        // It may end between our look and our request, so nothing ran: one more start is safe.
        let (session, mut exchange, mut notices) = match self.begin(warrant, &key, ready, &launch, own, errand).await {
            Err(SessionError::NotSent(_)) => self.begin(warrant, &key, ready, &launch, own, errand).await,
            other => other,
        }
        .map_err(refused)?;
        let spoken = spoken(&session);
        let mut rounds = 0;
        let answer = loop {
            let answer = attend(&mut exchange, &mut notices, speaker).await.map_err(refused)?;
            let Some((result, state)) = (spoken == Spoken::Modern).then(|| asks_back(&answer)).flatten() else {
                break answer;
            };
            rounds += 1;
            if rounds > MAX_ROUNDS {
                let why = format!("it asked its caller more than {MAX_ROUNDS} times");
                return Err(Refusal::BadAnswer { server: server.entry.name.clone(), why });
            }
            let answers = speaker.input(result).await.map_err(|_| self.unanswered(server, speaker))?;
            let params = |token| errand.params(spoken, own, token, Some((&answers, state.as_ref())));
            exchange = session.begin(&errand.method, params, self.call_timeout).map_err(refused)?;
        };
        let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Heard { answer, spoken, started_ms, duration_ms, environment })
    }

    async fn begin(
        &self,
        warrant: &Warrant,
        key: &PoolKey,
        ready: &Ready,
        launch: &LaunchSpec,
        own: &[(Name, Value)],
        errand: &Errand,
    ) -> Result<(std::sync::Arc<Session>, Exchange, broadcast::Receiver<sandbox::Notice>), SessionError> {
        let session = self.pool.session(warrant, &key.principal, &ready.installed, launch).await?;
        self.notices.attach(key, &session);
        let spoken = spoken(&session);
        if let (Spoken::Legacy, Some(level)) = (spoken, errand.level)
            && ready.offers.has("logging")
            && self.notices.set_level(key, level)
        {
            let params = json::object([("level", level.as_str().into())]).to_text();
            let params = RawValue::from_string(params).ok();
            // A server that refuses is as loud as it likes; what is too loud is not passed on.
            session.request("logging/setLevel", params.as_deref(), self.call_timeout).await?;
        }
        let notices = session.notices();
        let exchange =
            session.begin(&errand.method, |token| errand.params(spoken, own, token, None), self.call_timeout)?;
        Ok((session, exchange, notices))
    }

    fn unanswered(&self, server: &Server, speaker: &Speaker) -> Refusal {
        if speaker.was_left() { Refusal::Withdrawn } else { Refusal::AsksBack { server: server.entry.name.clone() } }
    }
}

/// Passes on what a server says until it answers.
async fn attend(
    exchange: &mut Exchange,
    notices: &mut broadcast::Receiver<sandbox::Notice>,
    speaker: &Speaker,
) -> Result<Answer, SessionError> {
    loop {
        let event = tokio::select! {
            biased;
            event = exchange.next() => event?,
            notice = notices.recv() => {
                match notice {
                    Ok(notice) => speaker.notice(notice),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    // The server ended; the exchange says how.
                    Err(broadcast::error::RecvError::Closed) => return answer(exchange, speaker).await,
                }
                continue;
            }
        };
        if let Some(answer) = pass(event, speaker).await {
            // What it announced before it answered.
            while let Ok(notice) = notices.try_recv() {
                speaker.notice(notice);
            }
            return Ok(answer);
        }
    }
}

async fn answer(exchange: &mut Exchange, speaker: &Speaker) -> Result<Answer, SessionError> {
    loop {
        if let Some(answer) = pass(exchange.next().await?, speaker).await {
            return Ok(answer);
        }
    }
}

async fn pass(event: Event, speaker: &Speaker) -> Option<Answer> {
    match event {
        Event::Progress(params) => speaker.progress(params),
        Event::Message(params) => speaker.message(params),
        Event::Question(question) => speaker.question(question).await,
        Event::Answer(answer) => return Some(answer),
    }
    None
}

/// A result of type `input_required`, without its state, and the state.
fn asks_back(answer: &Answer) -> Option<(Value, Option<Value>)> {
    let Answer::Result(raw) = answer else { return None };
    // Most results are not: a look at the text saves reading long ones twice.
    if !raw.get().contains("input_required") {
        return None;
    }
    let Value::Object(mut members) = parsed(raw).ok()? else { return None };
    let asks = members.iter().any(|(name, value)| name == "resultType" && value.as_str() == Some("input_required"));
    if !asks {
        return None;
    }
    let at = members.iter().position(|(name, _)| name == "requestState");
    let state = at.map(|at| members.remove(at).1);
    Some((Value::Object(members), state))
}

fn parsed(raw: &RawValue) -> Result<Value, String> {
    json::parse(raw.get().as_bytes(), &Limits::THEIRS).map_err(|error| error.to_string())
}

/// The era of a running server.
pub(crate) fn spoken(session: &Session) -> Spoken {
    match session.era() {
        ServerEra::Modern => Spoken::Modern,
        _ => Spoken::Legacy,
    }
}
