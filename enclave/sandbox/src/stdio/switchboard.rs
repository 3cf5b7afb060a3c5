//! Whom a message of a server is for: the request it answers, the request it belongs to, or all who listen.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bridge::Redactor;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use tokio::{
    sync::{Notify, broadcast, mpsc, watch},
    time::Instant,
};

use super::{
    error::SessionError,
    events::Events,
    exchange::Event,
    message::{self, Answer, Line, Message},
    notice::{NOTICE_LIMIT, NOTICES, Notice},
    question::{Question, Unasked},
    writer::Aside,
};
use crate::{InstanceError, streams::Stderr};

/// After so many lines in a row that are no messages, a server is given up.
const GARBAGE_LIMIT: usize = 64;
/// Questions of a server that wait for an answer. One more is refused.
pub(super) const QUESTIONS: usize = 16;
/// Bytes of their parameters.
pub(super) const QUESTION_BYTES: usize = 8 << 20;

/// What is under way between a server and us. Never holds its lock while it waits.
pub(super) struct Switchboard {
    state: Mutex<State>,
    asides: mpsc::Sender<Aside>,
    /// A request ran out of time and nothing was heard since.
    suspect: AtomicBool,
    stderr: Stderr,
    redactor: Arc<Redactor>,
}

struct State {
    /// Until the server ends: that ends listening.
    notices: Option<broadcast::Sender<Notice>>,
    last_id: u64,
    last_question: u64,
    /// Requests of ours by their number, hence in the order in which they were begun.
    open: BTreeMap<u64, Open>,
    /// Questions of the server by a number of ours: its own ids need not be unique.
    asked: BTreeMap<u64, Asked>,
    ended: Option<InstanceError>,
    garbage: Option<InstanceError>,
    garbage_lines: usize,
}

/// What whoever sent a request is prepared to hear.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Takes {
    Answer,
    Events,
    EventsAndQuestions,
}

/// A request of ours.
struct Open {
    takes: Takes,
    sent: bool,
    events: Events,
    answer: Option<Result<Answer, InstanceError>>,
    /// When the server last said something of it, or got an answer to a question.
    heard: Instant,
    /// Since when it is the server's turn: the beginning, or the last answer to a question.
    since: Instant,
    wake: Arc<Notify>,
}

/// A question of the server.
struct Asked {
    /// Its id, as the server wrote it.
    id: Box<RawValue>,
    /// The request that it was taken to belong to.
    exchange: u64,
    bytes: usize,
    /// Dropped with this, it tells that nobody waits for the answer.
    _open: watch::Sender<()>,
}

/// What there is for a request.
#[derive(Debug)]
pub(super) enum Taken {
    Event(Event),
    Failed(SessionError),
    /// It has had its time, however much it said meanwhile.
    Late,
    /// Nothing new. `None` while the server itself waits for an answer.
    Nothing {
        since: Option<Since>,
    },
}

/// From when on a server's time is counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Since {
    /// When it was last heard.
    pub(super) heard: Instant,
    /// When its turn began.
    pub(super) begun: Instant,
}

impl Switchboard {
    pub(super) fn new(asides: mpsc::Sender<Aside>, stderr: Stderr, redactor: Arc<Redactor>) -> Self {
        let state = State {
            notices: Some(broadcast::channel(NOTICES).0),
            last_id: 0,
            last_question: 0,
            open: BTreeMap::new(),
            asked: BTreeMap::new(),
            ended: None,
            garbage: None,
            garbage_lines: 0,
        };
        Self { state: Mutex::new(state), asides, suspect: AtomicBool::new(false), stderr, redactor }
    }

    /// A number for a request, and what wakes up who waits for it.
    pub(super) fn open(&self, takes: Takes) -> Result<(u64, Arc<Notify>), SessionError> {
        let mut state = self.state();
        if let Some(ended) = &state.ended {
            return Err(SessionError::NotSent(ended.clone()));
        }
        state.last_id = state.last_id.wrapping_add(1);
        let (id, wake) = (state.last_id, Arc::new(Notify::new()));
        let open = Open {
            takes,
            sent: false,
            events: Events::default(),
            answer: None,
            heard: Instant::now(),
            since: Instant::now(),
            wake: Arc::clone(&wake),
        };
        state.open.insert(id, open);
        Ok((id, wake))
    }

    /// Whether an answer to this request is wanted still, so that it is sent now.
    pub(super) fn dispatch(&self, id: u64) -> bool {
        match self.state().open.get_mut(&id) {
            Some(open) => {
                open.sent = true;
                true
            }
            None => false,
        }
    }

    /// Nobody waits for this request any longer. Says whether the server works on it.
    pub(super) fn close(&self, id: u64) -> bool {
        let closed = self.state().open.remove(&id);
        // Questions in it are dropped here, where the lock is free: that answers them.
        closed.is_some_and(|open| open.sent && open.answer.is_none())
    }

    /// What there is for a request. `longest`: how long the server may go on talking instead of answering.
    pub(super) fn take(&self, id: u64, longest: Duration) -> Taken {
        let mut state = self.state();
        let asks = state.asked.values().any(|asked| asked.exchange == id);
        let Some(open) = state.open.get_mut(&id) else { return Taken::Failed(SessionError::Answered) };
        // What it says besides is no reason to wait for ever (MCP 2025-11-25, Lifecycle, Timeouts).
        if open.answer.is_none() && !asks && open.since.elapsed() >= longest {
            return Taken::Late;
        }
        if let Some(event) = open.events.pop() {
            return Taken::Event(event);
        }
        let Some(answer) = open.answer.take() else {
            let since = Since { heard: open.heard, begun: open.since };
            return Taken::Nothing { since: (!asks).then_some(since) };
        };
        // Its queue is empty, so no question is dropped here.
        state.open.remove(&id);
        match answer {
            Ok(answer) => Taken::Event(Event::Answer(answer)),
            Err(error) => Taken::Failed(error.into()),
        }
    }

    /// Takes in what the server said.
    pub(super) fn hear(self: &Arc<Self>, message: Message<'_>) {
        self.state().garbage_lines = 0;
        match message {
            Message::Answer { id, answer } => self.answered(id, answer),
            Message::Stray => {}
            Message::Question { id, method, params } => {
                if let Err(refusal) = self.asked(id, &method, params) {
                    self.say(message::answer(id.get(), refusal.as_deref().map_err(|error| &**error)));
                }
            }
            Message::Notification { method, params } => match (&*method, params) {
                ("notifications/progress", Some(params)) => self.progressed(params),
                ("notifications/message", Some(params)) => self.logged(params),
                ("notifications/cancelled", Some(params)) => self.withdrawn(params),
                ("notifications/progress" | "notifications/message" | "notifications/cancelled", None) => {}
                (_, params) => self.noticed(&method, params),
            },
        }
    }

    /// An answer that nobody waits for came too late or a second time.
    fn answered(&self, id: u64, answer: Answer) {
        if let Some(open) = self.state().open.get_mut(&id)
            && open.answer.is_none()
        {
            open.answer = Some(Ok(answer));
            open.wake.notify_one();
        }
    }

    /// Passes a question on, or gives the answer to it.
    fn asked(
        self: &Arc<Self>,
        id: &RawValue,
        method: &str,
        params: Option<&RawValue>,
    ) -> Result<(), Result<Box<RawValue>, Box<RawValue>>> {
        if method == "ping" {
            return Err(Ok(message::raw("{}".into())));
        }
        let mut state = self.state();
        let bytes = params.map_or(0, |params| params.get().len());
        let full = state.asked.len() >= QUESTIONS
            || state.asked.values().fold(bytes, |sum, asked| sum.saturating_add(asked.bytes)) > QUESTION_BYTES;
        let number = state.last_question.wrapping_add(1);
        let newest = state.open.iter_mut().rev().find(|(_, open)| open.takes(Takes::EventsAndQuestions));
        let Some((&exchange, open)) = newest else {
            return Err(Err(message::error(-32601, &format!("this client does not offer {method}"))));
        };
        if full {
            return Err(Err(message::error(-32603, "too many questions are waiting for their answers")));
        }
        let (waits, still_open) = watch::channel(());
        let params = params.map(RawValue::to_owned);
        open.events.question(Question::new(
            Arc::clone(self),
            number,
            id.to_owned(),
            method.to_owned(),
            params,
            still_open,
        ));
        open.hear();
        state.last_question = number;
        state.asked.insert(number, Asked { id: id.to_owned(), exchange, bytes, _open: waits });
        Ok(())
    }

    /// Sends the answer to a question, if the server still waits for it.
    pub(super) fn answer(&self, number: u64, reply: Result<&RawValue, &RawValue>) -> Result<(), Unasked> {
        let asked = {
            let mut state = self.state();
            let asked = state.asked.remove(&number).ok_or(Unasked)?;
            if let Some(open) = state.open.get_mut(&asked.exchange) {
                open.since = Instant::now();
                open.hear();
            }
            asked
        };
        if self.say(message::answer(asked.id.get(), reply)) { Ok(()) } else { Err(Unasked) }
    }

    fn progressed(&self, params: &RawValue) {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Progress {
            progress_token: u64,
        }
        let Ok(Progress { progress_token }) = serde_json::from_str(params.get()) else { return };
        if let Some(open) = self.state().open.get_mut(&progress_token)
            && open.takes(Takes::Events)
        {
            open.events.progress(params);
            open.hear();
        }
    }

    fn logged(&self, params: &RawValue) {
        let mut state = self.state();
        if let Some(open) = state.open.values_mut().rev().find(|open| open.takes(Takes::Events)) {
            open.events.message(params);
            open.hear();
        }
    }

    fn noticed(&self, method: &str, params: Option<&RawValue>) {
        if params.is_some_and(|params| params.get().len() > NOTICE_LIMIT) {
            return;
        }
        if let Some(notices) = &self.state().notices {
            // Nobody need listen.
            let _ = notices.send(Notice { method: method.to_owned(), params: params.map(RawValue::to_owned) });
        }
    }

    /// The server no longer wants an answer to its question.
    fn withdrawn(&self, params: &RawValue) {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Cancelled {
            request_id: Value,
        }
        let Ok(Cancelled { request_id }) = serde_json::from_str(params.get()) else { return };
        let mut untaken = Vec::new();
        {
            let mut state = self.state();
            let State { open, asked, .. } = &mut *state;
            asked.retain(|number, asked| {
                let same = serde_json::from_str::<Value>(asked.id.get()).is_ok_and(|id| id == request_id);
                if same && let Some(open) = open.get_mut(&asked.exchange) {
                    untaken.extend(open.events.withdraw(*number));
                    open.since = Instant::now();
                    open.hear();
                }
                !same
            });
        }
        drop(untaken);
    }

    /// Sends what does not wait behind requests. A full queue means that the server does not read; then it must not expect
    /// answers either.
    pub(super) fn say(&self, line: Line) -> bool {
        self.asides.try_send(Aside::Line(line)).is_ok()
    }

    /// Nothing comes any more.
    pub(super) fn end(&self, error: InstanceError) {
        let mut state = self.state();
        for open in state.open.values_mut() {
            open.answer.get_or_insert_with(|| Err(error.clone()));
            open.wake.notify_one();
        }
        state.asked.clear();
        state.notices = None;
        state.ended.get_or_insert(error);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state().ended.is_some()
    }

    /// Counts a line that is no message; past the limit the conversation is over.
    pub(super) fn garbage(&self, error: InstanceError) -> Result<(), InstanceError> {
        let mut state = self.state();
        state.garbage_lines = state.garbage_lines.saturating_add(1);
        let first = state.garbage.get_or_insert(error).clone();
        if state.garbage_lines > GARBAGE_LIMIT { Err(first) } else { Ok(()) }
    }

    /// A request ran out of time. Gives what the server printed instead, if it was no message.
    pub(super) fn suspect(&self) -> Option<InstanceError> {
        self.suspect.store(true, Ordering::Relaxed);
        self.state().garbage.clone()
    }

    pub(super) fn is_suspect(&self) -> bool {
        self.suspect.load(Ordering::Relaxed)
    }

    pub(super) fn acquit(&self) {
        self.suspect.store(false, Ordering::Relaxed);
    }

    pub(super) fn listen(&self) -> broadcast::Receiver<Notice> {
        // After the end there is nothing to hear: a channel without a sender says so.
        let subscribe = |notices: &broadcast::Sender<Notice>| notices.subscribe();
        self.state().notices.as_ref().map_or_else(|| broadcast::channel(1).1, subscribe)
    }

    pub(super) fn stderr(&self) -> &Stderr {
        &self.stderr
    }

    pub(super) fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Whether it is under way still and its sender takes such things.
    fn takes(&self, kind: Takes) -> bool {
        self.answer.is_none() && (self.takes == kind || self.takes == Takes::EventsAndQuestions)
    }

    fn hear(&mut self) {
        self.heard = Instant::now();
        self.wake.notify_one();
    }
}
