//! What a client is asked while its request runs: a modern one by an answer that says so, a legacy one on its stream.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use evidence::json::{Name, Value, object};
use gate::Refusal;
use tokio::task::JoinSet;

use super::{Step, Turn};
use crate::{
    app::App,
    boot,
    conversation::{Input, Listening, Said},
    mcp::{
        answer::Answer,
        asked::AskedQuestion,
        input_required::{Asking, undeclared},
        parked::{PATIENCE, Parked},
        request_state::ParkedName,
        unpaid::{MAX_UNPAID, WINDOW},
        waiting::{Open, Waiting},
    },
};

/// How long a server may take to ask more, before its client is asked all of it at once.
const TOGETHER: Duration = Duration::from_millis(25);

/// Most questions in one round.
const MAX_TOGETHER: usize = 32;

impl Turn {
    /// One unpaid question more than a caller may ask for.
    pub(super) async fn too_many_unpaid(&self, app: &App, listening: &mut Option<Listening>) -> Step {
        let retry_after_s = u32::try_from(WINDOW.as_secs()).unwrap_or(u32::MAX);
        let refusal = self.refusal(&Refusal::UnpaidQuestions { limit: MAX_UNPAID, retry_after_s });
        self.give_up(app, listening.take(), refusal).await
    }

    /// The work is given up with this answer, unless its server asked, did not wait and was done before.
    async fn give_up(&self, app: &App, listening: Option<Listening>, answer: Answer) -> Step {
        let outcome = match listening {
            Some(listening) => listening.give_up().await,
            None => None,
        };
        outcome.map_or(Step::Last(answer), |outcome| self.ended(app, outcome))
    }

    /// A modern client is asked all that a legacy server wants to know at about the same time.
    pub(super) async fn ask_together(
        &mut self,
        app: &Arc<App>,
        first: Open,
        listening: &mut Option<Listening>,
    ) -> Step {
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
            return self.ended(app, *outcome);
        }
        self.ask(app, Waiting::Questions(questions), listening).await
    }

    /// Asks a modern client: the work is parked, and the answer to this request is what it needs to go on.
    pub(crate) async fn ask(&self, app: &App, mut waiting: Waiting, listening: &mut Option<Listening>) -> Step {
        let wrong = |text: &str| Answer::error(200, &self.id, -32602, text, None);
        if let (Some(responses), Waiting::Questions(_)) = (&self.responses, &waiting) {
            // Answers may come before the questions; those that nobody asks for are not looked at.
            if let Err(why) = waiting.check(responses) {
                let answer = wrong(&format!("{why}; answer what inputRequests asks, in its shape"));
                return self.give_up(app, listening.take(), answer).await;
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
                let text = "this request needs a client that answers what its server asks: declare \
                            error.data.requiredCapabilities in _meta[\"io.modelcontextprotocol/clientCapabilities\"]; \
                            nothing was charged";
                let data = object([("requiredCapabilities", Value::Object(required))]);
                let answer = Answer::error(400, &self.id, -32021, text, Some(data));
                return self.give_up(app, listening.take(), answer).await;
            }
        }
        self.park(app, waiting, listening).await
    }

    /// The work waits until its client comes back with answers. Where it cannot, it is given up.
    async fn park(&self, app: &App, waiting: Waiting, listening: &mut Option<Listening>) -> Step {
        let (name, state) = match self.sealed(app) {
            Ok(sealed) => sealed,
            Err(refusal) => return self.give_up(app, listening.take(), self.refusal(&refusal)).await,
        };
        let Some(mut heard) = listening.take() else { return Step::Nothing };
        heard.let_go();
        let asks = waiting.asks(state);
        let parked = Parked { listening: heard, waiting, asked: self.asked };
        match app.lobby.parked.park(&self.caller, name, parked, Instant::now()) {
            Ok(()) => Step::Last(Answer::asks(&self.id, asks)),
            Err(no_place) => {
                let busy = self.refusal(&Refusal::Busy { retry_after_s: 30 });
                self.give_up(app, Some(no_place.0.listening), busy).await
            }
        }
    }

    /// A name for parked work, and the state that leads its client back to it.
    fn sealed(&self, app: &App) -> Result<(ParkedName, String), Refusal> {
        let failed = |_| Refusal::Internal { part: "randomness" };
        let mut name = [0; 16];
        getrandom::fill(&mut name).map_err(failed)?;
        let now = boot::now().map_err(|_| Refusal::Internal { part: "clock" })?;
        let state = app.lobby.seal.seal(&self.binding(), name, now.0 + PATIENCE.as_secs()).map_err(failed)?;
        Ok((name, state))
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

    /// A legacy client is asked on its stream. One that takes none is not asked, and the server hears so; nor is one asked
    /// for what it did not declare. Of whom no `initialize` is remembered may be asked all but roots, which servers ask for
    /// on their own account: a client that wanted one answer would get a stream for nothing.
    pub(super) fn ask_at_once(&self, app: &App, mut question: Open, open: &mut JoinSet<()>) -> Step {
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
    pub(super) fn ask_input_at_once(&self, app: &App, input: Input, open: &mut JoinSet<()>) -> Step {
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
