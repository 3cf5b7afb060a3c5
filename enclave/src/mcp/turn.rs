//! One request of a client while its work runs: what of it the client hears, in its own era, and what it is asked.

use std::{sync::Arc, time::Instant};

use evidence::json::{self, Limits, Name, Value, object};
use gate::Refusal;
use serde_json::value::RawValue;
use tokio::task::JoinSet;

use super::{
    answer::Answer,
    asked::AskedQuestion,
    era::Era,
    feed::Elsewhere,
    input_required::{Asking, undeclared},
    level::Level,
    parked::{PATIENCE, Parked},
    request_state::Binding,
    subscription::SUBSCRIPTION_META,
    unpaid::{MAX_UNPAID, WINDOW},
    waiting::{Open, Waiting},
};
use crate::{
    app::App,
    boot,
    conversation::{Input, Listening, Outcome, Said},
    errand::Spoken,
};

/// How long a server may take to ask more, before its client is asked all of it at once.
const TOGETHER: std::time::Duration = std::time::Duration::from_millis(25);

/// Most questions in one round.
const MAX_TOGETHER: usize = 32;

/// How an outcome is written down.
#[derive(Clone, Debug)]
pub(crate) enum Encoding {
    /// A tool call. Official clients check structuredContent against the tool's own schema, also in an error.
    Tool {
        /// Whether the tool has a schema for its results.
        structured: bool,
    },
    /// Anything else.
    Plain {
        /// Whether results may be kept (MCP 2026-07-28, "Caching"): those of `resources/read`.
        cacheable: bool,
    },
}

/// One request, as far as its client's side goes.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    /// The client's era.
    pub(crate) era: Era,
    /// The id of the request.
    pub(crate) id: Value,
    /// Whether the client takes a stream.
    pub(crate) streams: bool,
    /// Where the client wants to hear of progress.
    pub(crate) token: Option<Value>,
    /// How much of the log it wants; a modern client that says nothing wants nothing.
    pub(crate) level: Option<Level>,
    /// The caller's scope; empty for strangers.
    pub(crate) caller: String,
    /// The server of the endpoint; empty for the gateway's own.
    pub(crate) endpoint: String,
    /// The method.
    pub(crate) method: String,
    /// Name or URI, as it was sent.
    pub(crate) name: String,
    /// The arguments, as they were sent.
    pub(crate) arguments: Value,
    /// What a modern client can be asked.
    pub(crate) capabilities: Option<Value>,
    /// Answers that came with a fresh request.
    pub(crate) responses: Option<Value>,
    /// Questions that were asked so far.
    pub(crate) asked: usize,
    /// How the outcome is written down.
    pub(crate) encoding: Encoding,
    /// What else a stream of this request tells.
    pub(crate) elsewhere: Option<Elsewhere>,
}

/// What follows from something that was said.
#[derive(Debug)]
pub(crate) enum Step {
    /// Nothing that this client hears.
    Nothing,
    /// Messages for its stream.
    Messages(Vec<Value>),
    /// A message for its stream, if it has one already: servers announce changes at their start, and a stream of these
    /// alone would surprise clients that asked for one answer.
    Aside(Value),
    /// The answer. Nothing comes after it.
    Last(Answer),
    /// The client has withdrawn the request: there is no answer.
    Withdrawn,
}

impl Turn {
    /// What a state of this request is bound to.
    pub(crate) fn binding(&self) -> Binding<'_> {
        Binding {
            caller: &self.caller,
            endpoint: &self.endpoint,
            method: &self.method,
            name: &self.name,
            arguments: &self.arguments,
        }
    }

    /// Handles what was said. `listening` is taken where the work is parked or given up; `open` holds the questions that
    /// wait for a legacy client.
    pub(crate) async fn step(
        &mut self,
        app: &Arc<App>,
        said: Said,
        listening: &mut Option<Listening>,
        open: &mut JoinSet<()>,
    ) -> Step {
        match said {
            Said::Progress(params) => self.progress(&params),
            Said::Message(params) => self.message(&params),
            Said::Notice(notice) => match self.era {
                // A modern client hears of changes where it listens for them, and nowhere else.
                Era::Modern => Step::Nothing,
                // What a modern server says of our own subscription.
                Era::Legacy if notice.method == "notifications/subscriptions/acknowledged" => Step::Nothing,
                Era::Legacy => {
                    let params = notice.params.as_deref().and_then(parsed).and_then(untagged);
                    Step::Aside(notification(&notice.method, params))
                }
            },
            Said::Question { question, unpaid } => {
                if unpaid && !app.lobby.unpaid.count(&self.caller, 1, Instant::now()) {
                    return self.too_many_unpaid(app, listening).await;
                }
                let first = Open::new(question, self.asked);
                self.asked += 1;
                match self.era {
                    Era::Legacy => self.ask_at_once(app, first, open),
                    Era::Modern => self.ask_together(app, first, listening).await,
                }
            }
            Said::Input { input, unpaid } => {
                let waiting = Waiting::Input(input, Vec::new());
                let questions = u32::try_from(waiting.open().len().max(1)).unwrap_or(u32::MAX);
                if unpaid && !app.lobby.unpaid.count(&self.caller, questions, Instant::now()) {
                    return self.too_many_unpaid(app, listening).await;
                }
                match (self.era, waiting) {
                    (Era::Modern, waiting) => self.ask(app, waiting, listening).await,
                    (Era::Legacy, Waiting::Input(input, _)) => self.ask_input_at_once(app, input, open),
                    (Era::Legacy, Waiting::Questions(_)) => Step::Nothing,
                }
            }
            Said::Done(outcome) => {
                drop(listening.take());
                match *outcome {
                    Err(Refusal::Withdrawn) => Step::Withdrawn,
                    outcome => Step::Last(self.encode(app, outcome)),
                }
            }
        }
    }

    /// The answer to this request.
    pub(crate) fn encode(&self, app: &App, outcome: Result<Outcome, Refusal>) -> Answer {
        let (era, id) = (self.era, &self.id);
        match (outcome, &self.encoding) {
            (Ok(Outcome::Called(reply)), _) => {
                if reply.paid.is_some() {
                    app.lobby.unpaid.paid(&self.caller, u32::try_from(self.asked).unwrap_or(u32::MAX));
                }
                let of_type = reply.of_type.as_deref();
                Answer::settled(era, id, reply.result, &reply.envelope, reply.paid.as_ref(), of_type)
            }
            (Ok(Outcome::Answered(answered)), encoding) => match answered.answer {
                Ok(result) => {
                    let cacheable = matches!(encoding, Encoding::Plain { cacheable: true });
                    Answer::of_server(era, id, answered.spoken, result, cacheable)
                }
                Err(error) => Answer::error_of_server(era, id, error),
            },
            (Err(Refusal::Payment(problem)), Encoding::Tool { structured }) => match app.till.offer(&problem) {
                Some(offer) => Answer::payment_required(era, id, &offer, &problem, !structured),
                None => Answer::refusal(era, id, &Refusal::Internal { part: "payments" }),
            },
            (Err(refusal), Encoding::Tool { .. }) => Answer::refusal(era, id, &refusal),
            (Err(refusal), Encoding::Plain { .. }) => Answer::protocol_refusal(era, id, &refusal),
        }
    }

    fn progress(&self, params: &RawValue) -> Step {
        let Some(token) = &self.token else { return Step::Nothing };
        let Some(Value::Object(mut members)) = parsed(params) else { return Step::Nothing };
        for (name, value) in &mut members {
            if name == "progressToken" {
                value.clone_from(token);
            }
        }
        Step::Messages(vec![notification("notifications/progress", Some(Value::Object(members)))])
    }

    fn message(&self, params: &RawValue) -> Step {
        let Some(params) = parsed(params) else { return Step::Nothing };
        let wanted = match (self.level, self.era) {
            (Some(level), _) => level.lets_through(params.member("level").and_then(Value::as_str)),
            (None, Era::Legacy) => true,
            (None, Era::Modern) => false,
        };
        if wanted { Step::Messages(vec![notification("notifications/message", Some(params))]) } else { Step::Nothing }
    }

    async fn too_many_unpaid(&self, app: &App, listening: &mut Option<Listening>) -> Step {
        if let Some(done) = self.given_up(app, listening).await {
            return done;
        }
        let retry_after_s = u32::try_from(WINDOW.as_secs()).unwrap_or(u32::MAX);
        let refusal = Refusal::UnpaidQuestions { limit: MAX_UNPAID, retry_after_s };
        Step::Last(match self.encoding {
            Encoding::Tool { .. } => Answer::refusal(self.era, &self.id, &refusal),
            Encoding::Plain { .. } => Answer::protocol_refusal(self.era, &self.id, &refusal),
        })
    }

    /// The work is given up. Its answer, if the server asked, did not wait and was done before.
    async fn given_up(&self, app: &App, listening: &mut Option<Listening>) -> Option<Step> {
        let outcome = listening.take()?.give_up().await?;
        Some(Step::Last(self.encode(app, Ok(outcome))))
    }

    /// A modern client is asked all that a legacy server wants to know at about the same time.
    async fn ask_together(&mut self, app: &Arc<App>, first: Open, listening: &mut Option<Listening>) -> Step {
        let mut questions = vec![first];
        let mut last = None;
        while let Some(heard) = listening.as_mut() {
            match tokio::time::timeout(TOGETHER, heard.next()).await {
                Ok(Said::Question { question, unpaid }) => {
                    if unpaid && !app.lobby.unpaid.count(&self.caller, 1, Instant::now()) {
                        return self.too_many_unpaid(app, listening).await;
                    }
                    let mut open = Open::new(question, self.asked);
                    self.asked += 1;
                    // Two questions of one name would have one answer.
                    if questions.iter().any(|other| other.key == open.key) {
                        open.key = format!("{}-{}", open.key, self.asked);
                    }
                    questions.push(open);
                    if questions.len() >= MAX_TOGETHER {
                        break;
                    }
                }
                Ok(said @ (Said::Done(_) | Said::Input { .. })) => {
                    last = Some(said);
                    break;
                }
                // What it says meanwhile is for a stream that this answer is not.
                Ok(_) => {}
                Err(_) => break,
            }
        }
        if let Some(Said::Done(outcome)) = last {
            // It asked and did not wait.
            drop(listening.take());
            return match *outcome {
                Err(Refusal::Withdrawn) => Step::Withdrawn,
                outcome => Step::Last(self.encode(app, outcome)),
            };
        }
        self.ask(app, Waiting::Questions(questions), listening).await
    }

    /// Asks a modern client: the work is parked, and the answer to this request is what it needs to go on.
    pub(crate) async fn ask(&self, app: &App, mut waiting: Waiting, listening: &mut Option<Listening>) -> Step {
        let wrong = |text: &str| Answer::error(200, &self.id, -32602, text, None);
        if let (Some(responses), Waiting::Questions(_)) = (&self.responses, &waiting) {
            // Answers may come before the questions; those that nobody asks for are not looked at.
            if let Err(why) = waiting.check(responses) {
                if let Some(done) = self.given_up(app, listening).await {
                    return done;
                }
                return Step::Last(wrong(&format!("{why}; answer what inputRequests asks, in its shape")));
            }
            waiting.take(responses);
            if waiting.is_answered() {
                waiting.deliver();
                return Step::Nothing;
            }
        }
        let (required, can_go_on) = self.undeclared(&waiting);
        match &mut waiting {
            _ if required.is_empty() => {}
            // The server hears what this client does not answer, and goes on with the rest.
            Waiting::Questions(questions) if can_go_on => {
                let capabilities = self.capabilities.as_ref();
                let lacks = |open: &mut Open| undeclared(open.method(), open.params.as_ref(), capabilities).is_some();
                for open in questions.extract_if(.., lacks).collect::<Vec<_>>() {
                    let why = format!("this client does not offer {}", open.method());
                    open.answer(Err(refused(&why)));
                }
                if questions.is_empty() {
                    return Step::Nothing;
                }
            }
            _ => {
                if let Some(done) = self.given_up(app, listening).await {
                    return done;
                }
                let text = "this request needs a client that answers what its server asks: declare \
                            error.data.requiredCapabilities in _meta[\"io.modelcontextprotocol/clientCapabilities\"]; \
                            nothing was charged";
                let data = object([("requiredCapabilities", Value::Object(required))]);
                return Step::Last(Answer::error(400, &self.id, -32021, text, Some(data)));
            }
        }
        let Some(mut heard) = listening.take() else { return Step::Nothing };
        heard.let_go();
        match self.park(app, Parked { listening: heard, waiting, asked: self.asked }) {
            Ok(asks) => Step::Last(Answer::asks(&self.id, asks)),
            Err(refusal) => Step::Last(match self.encoding {
                Encoding::Tool { .. } => Answer::refusal(self.era, &self.id, &refusal),
                Encoding::Plain { .. } => Answer::protocol_refusal(self.era, &self.id, &refusal),
            }),
        }
    }

    /// What the client would have to declare to be asked all of this, and whether the server can go on without: it asks
    /// something else too, or asks for roots, which servers do on their own account and not for a request.
    fn undeclared(&self, waiting: &Waiting) -> (Vec<(Name, Value)>, bool) {
        let (mut required, mut can_go_on) = (Vec::new(), true);
        let mut declared = false;
        for (_, method, params) in waiting.open() {
            let lacking = undeclared(method, params, self.capabilities.as_ref());
            can_go_on &= lacking.is_none() || Asking::of(method) == Some(Asking::Roots);
            match lacking {
                None => declared = true,
                Some(Value::Object(lacking)) => {
                    for (name, value) in lacking {
                        if required.iter().all(|(known, _)| *known != name) {
                            required.push((name, value));
                        }
                    }
                }
                Some(_) => {}
            }
        }
        (required, can_go_on || declared)
    }

    fn park(&self, app: &App, parked: Parked) -> Result<Value, Refusal> {
        let failed = |_| Refusal::Internal { part: "randomness" };
        let mut name = [0; 16];
        getrandom::fill(&mut name).map_err(failed)?;
        let now = boot::now().map_err(|_| Refusal::Internal { part: "clock" })?;
        let state = app.lobby.seal.seal(&self.binding(), name, now.0 + PATIENCE.as_secs()).map_err(failed)?;
        let asks = parked.waiting.asks(state);
        let place = app.lobby.parked.park(&self.caller, name, parked, Instant::now());
        place.map_err(|_| Refusal::Busy { retry_after_s: 30 })?;
        Ok(asks)
    }

    /// A legacy client is asked on its stream. One that takes none is not asked, and the server hears so; nor is one asked
    /// for what it did not declare. Of whom no `initialize` is remembered may be asked all but roots, which servers ask for
    /// on their own account: a client that wanted one answer would get a stream for nothing.
    fn ask_at_once(&self, app: &App, mut question: Open, open: &mut JoinSet<()>) -> Step {
        let declared = app.lobby.capabilities(&self.caller);
        let lacks = undeclared(question.method(), question.params.as_ref(), declared.as_ref()).is_some();
        if lacks && (declared.is_some() || Asking::of(question.method()) == Some(Asking::Roots)) {
            let why = format!("this client does not offer {}", question.method());
            question.answer(Err(refused(&why)));
            return Step::Nothing;
        }
        let asked = if self.streams { app.lobby.asked.ask(&self.caller) } else { None };
        let Some(mut asked) = asked else {
            question.answer(Err(unable(self.streams)));
            return Step::Nothing;
        };
        let message = request(&asked.id, question.request());
        open.spawn(async move {
            let answer = tokio::select! {
                answer = tokio::time::timeout(PATIENCE, asked.answer()) => answer.ok().flatten(),
                () = question.question().withdrawn() => None,
            };
            if let Some(answer) = answer {
                question.answer(answer);
            }
        });
        Step::Messages(vec![message])
    }

    /// The same for what a modern server needs: each question by itself, the answers together.
    fn ask_input_at_once(&self, app: &App, input: Input, open: &mut JoinSet<()>) -> Step {
        let mut messages = Vec::new();
        let mut asked: Vec<(String, String, AskedQuestion)> = Vec::new();
        let waiting = Waiting::Input(input, Vec::new());
        for (key, method, params) in waiting.open() {
            let question = if self.streams { app.lobby.asked.ask(&self.caller) } else { None };
            // Without an answer the server cannot go on, and whoever works on it hears that from the dropped input.
            let Some(question) = question else { return Step::Nothing };
            let mut members = vec![("method".into(), method.into())];
            members.extend(params.map(|params| ("params".into(), params.clone())));
            messages.push(request(&question.id, members));
            asked.push((key.to_owned(), method.to_owned(), question));
        }
        open.spawn(async move {
            let mut waiting = waiting;
            let mut given = Vec::new();
            let ends = tokio::time::Instant::now() + PATIENCE;
            for (key, method, mut question) in asked {
                let answer = match tokio::time::timeout_at(ends, question.answer()).await {
                    Ok(Some(Ok(answer))) => answer,
                    // A client that cannot show a form has declined for its user.
                    Ok(Some(Err(_))) if Asking::of(&method) == Some(Asking::Elicitation) => {
                        object([("action", "cancel".into())])
                    }
                    _ => return,
                };
                given.push((key.into(), answer));
            }
            waiting.take(&Value::Object(given));
            waiting.deliver();
        });
        if messages.is_empty() { Step::Nothing } else { Step::Messages(messages) }
    }
}

impl Spoken {
    /// Members of results that this era puts there by itself.
    pub(crate) fn stamps(self) -> &'static [&'static str] {
        match self {
            Self::Legacy => &[],
            Self::Modern => &["resultType", "ttlMs", "cacheScope"],
        }
    }
}

/// A request of ours to a legacy client.
fn request(id: &str, members: Vec<(Name, Value)>) -> Value {
    let head = [("jsonrpc".into(), "2.0".into()), ("id".into(), id.into())];
    Value::Object(head.into_iter().chain(members).collect())
}

/// What a server hears that asks a client which cannot be asked.
fn unable(streams: bool) -> Value {
    let why = if streams {
        "too many questions wait for this client already"
    } else {
        "this client cannot be asked: it takes no stream of events"
    };
    refused(why)
}

/// The error with which a question is answered that nobody will answer.
fn refused(why: &str) -> Value {
    object([("code", Value::Number("-32601".to_owned())), ("message", why.into())])
}

/// A notification.
pub(crate) fn notification(method: &str, params: Option<Value>) -> Value {
    let mut members = vec![("jsonrpc".into(), "2.0".into()), ("method".into(), method.into())];
    members.extend(params.map(|params| ("params".into(), params)));
    Value::Object(members)
}

/// Parameters of a notice without the tag of the subscription under which a server told us. `None`: nothing is left.
pub(crate) fn untagged(params: Value) -> Option<Value> {
    let Value::Object(mut members) = params else { return Some(params) };
    let Some(at) = members.iter().position(|(name, _)| name == "_meta") else { return Some(Value::Object(members)) };
    if let Some((_, Value::Object(meta))) = members.get_mut(at) {
        let before = meta.len();
        meta.retain(|(name, _)| name != SUBSCRIPTION_META);
        if meta.is_empty() && before > 0 {
            members.remove(at);
        }
    }
    (!members.is_empty()).then_some(Value::Object(members))
}

fn parsed(raw: &RawValue) -> Option<Value> {
    json::parse(raw.get().as_bytes(), &Limits::THEIRS).ok()
}
