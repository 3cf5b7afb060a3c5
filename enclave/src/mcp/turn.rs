//! One request of a client while its work runs: what of it the client hears, in its own era, and what it is asked.

use std::{sync::Arc, time::Instant};

use evidence::json::{self, Limits, Value};
use gate::Refusal;
use serde_json::value::RawValue;
use tokio::task::JoinSet;

mod questions;

use super::{
    answer::Answer,
    era::Era,
    feed::Elsewhere,
    level::Level,
    request_state::Binding,
    subscription::SUBSCRIPTION_META,
    waiting::{Open, Waiting},
};
use crate::{
    app::App,
    conversation::{Listening, Outcome, Said},
    errand::Spoken,
};

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
                self.ended(app, *outcome)
            }
        }
    }

    fn ended(&self, app: &App, outcome: Result<Outcome, Refusal>) -> Step {
        match outcome {
            Err(Refusal::Withdrawn) => Step::Withdrawn,
            outcome => Step::Last(self.encode(app, outcome)),
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
            (Err(refusal), _) => self.refusal(&refusal),
        }
    }

    fn refusal(&self, refusal: &Refusal) -> Answer {
        match self.encoding {
            Encoding::Tool { .. } => Answer::refusal(self.era, &self.id, refusal),
            Encoding::Plain { .. } => Answer::protocol_refusal(self.era, &self.id, refusal),
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
