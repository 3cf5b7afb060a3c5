//! What a request's work says to whoever waits for it: between the pipeline, which runs it, and an encoder, which knows
//! what its client can hear.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
    time::Duration,
};

use evidence::json::Value;
use gate::Refusal;
use sandbox::{Notice, Question};
use serde_json::value::RawValue;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::{
    pipeline::{Answered, Reply},
    work::Work,
};

/// What may wait to be heard. Progress and log messages beyond it are dropped; questions and the outcome wait.
const QUEUE: usize = 64;

/// How long work that is given up may take to end: its container is told, the journal releases its payment. It will not be
/// charged in any case.
const GIVE_UP: Duration = Duration::from_secs(2);

/// What is said while a request runs.
#[derive(Debug)]
pub(crate) enum Said {
    /// `params` of a `notifications/progress` of the server.
    Progress(Box<RawValue>),
    /// `params` of a `notifications/message` of the server.
    Message(Box<RawValue>),
    /// Something changed in the server while it worked on the request.
    Notice(Notice),
    /// A legacy server asks its client something and waits.
    Question {
        /// The question.
        question: Question,
        /// Whether it is asked for a call that costs something and is not paid yet.
        unpaid: bool,
    },
    /// A modern server needs answers before it goes on.
    Input {
        /// What it needs.
        input: Input,
        /// As above.
        unpaid: bool,
    },
    /// The end. Nothing comes after it.
    Done(Box<Result<Outcome, Refusal>>),
}

/// What a modern server needs: its result of type `input_required`.
#[derive(Debug)]
pub(crate) struct Input {
    /// The whole result, without its `requestState`, which stays here.
    pub(crate) result: Value,
    /// Takes the object `inputResponses`.
    pub(crate) reply: oneshot::Sender<Value>,
}

/// What came of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Of a tool call.
    Called(Box<Reply>),
    /// Of any other request.
    Answered(Answered),
}

/// What becomes of the work.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    CarriedOut,
    GivenUp,
}

/// Decided once, by whoever comes first.
#[derive(Debug, Default)]
struct Decision(OnceLock<Fate>);

impl Decision {
    /// Whether this is what was decided, now or before.
    fn is(&self, fate: Fate) -> bool {
        *self.0.get_or_init(|| fate) == fate
    }
}

/// The side of the work.
#[derive(Debug)]
pub(crate) struct Speaker {
    said: Option<mpsc::Sender<Said>>,
    cancel: Arc<Notify>,
    decision: Arc<Decision>,
    numbers_only: bool,
}

/// The side of whoever waits. Dropping it tells the work that nobody does, unless it was made to last: then the work goes
/// on unheard.
#[derive(Debug)]
pub(crate) struct Listening {
    said: mpsc::Receiver<Said>,
    cancel: Arc<Notify>,
    decision: Arc<Decision>,
    lasting: bool,
    /// The work, where it runs with whoever waits. It is not given up in the middle: dropped, it goes on by itself and hears
    /// that nobody is there.
    work: Option<Work<()>>,
}

/// A pair of both. `lasting`: whoever listens may leave without the work being given up (a legacy client that disconnects).
/// `cancel`: gives it up in any case.
pub(crate) fn pair(lasting: bool, cancel: Arc<Notify>) -> (Speaker, Listening) {
    let (sender, said) = mpsc::channel(QUEUE);
    let decision = Arc::<Decision>::default();
    let listening =
        Listening { said, cancel: Arc::clone(&cancel), decision: Arc::clone(&decision), lasting, work: None };
    (Speaker { said: Some(sender), cancel, decision, numbers_only: false }, listening)
}

/// Nobody is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Gone;

impl Speaker {
    /// For a wire on which nothing can be said before the answer: what a server asks is answered by an error.
    pub(crate) fn unheard() -> Self {
        Self { said: None, cancel: Arc::default(), decision: Arc::default(), numbers_only: false }
    }

    /// From here on nothing that could be worth money is said: progress as numbers, no log messages.
    pub(crate) fn numbers_only(&mut self) {
        self.numbers_only = true;
    }

    /// Ends when nobody waits any longer, or the caller has withdrawn the request.
    pub(crate) async fn gone(&self) {
        match &self.said {
            Some(said) => tokio::select! {
                () = said.closed() => {}
                () = self.cancel.notified() => {}
            },
            None => std::future::pending().await,
        }
    }

    /// From here on the work is carried to its end: what ran is paid for. `false`: it was given up before, and whoever gave
    /// it up has been told that nothing is charged.
    #[must_use]
    pub(crate) fn carry_out(&self) -> bool {
        self.decision.is(Fate::CarriedOut)
    }

    /// Whether somebody was there and has left.
    pub(crate) fn was_left(&self) -> bool {
        self.said.as_ref().is_some_and(mpsc::Sender::is_closed)
    }

    /// Progress. Dropped where nobody keeps up with it.
    pub(crate) fn progress(&self, params: Box<RawValue>) {
        let params = if self.numbers_only { numbers(&params) } else { Some(params) };
        if let (Some(said), Some(params)) = (&self.said, params) {
            let _full = said.try_send(Said::Progress(params));
        }
    }

    /// A log message. Dropped where nobody keeps up with it.
    pub(crate) fn message(&self, params: Box<RawValue>) {
        if let (Some(said), false) = (&self.said, self.numbers_only) {
            let _full = said.try_send(Said::Message(params));
        }
    }

    /// A change. Dropped where nobody keeps up with it.
    pub(crate) fn notice(&self, notice: Notice) {
        if let (Some(said), false) = (&self.said, self.numbers_only) {
            let _full = said.try_send(Said::Notice(notice));
        }
    }

    /// A question of a legacy server. Where nobody is there it is dropped, and the server hears so.
    pub(crate) async fn question(&self, question: Question) {
        if let Some(said) = &self.said {
            let _gone = said.send(Said::Question { question, unpaid: self.numbers_only }).await;
        }
    }

    /// What a modern server needs; its `inputResponses`.
    ///
    /// # Errors
    /// [`Gone`]
    pub(crate) async fn input(&self, result: Value) -> Result<Value, Gone> {
        let said = self.said.as_ref().ok_or(Gone)?;
        let (reply, answer) = oneshot::channel();
        let said_it = Said::Input { input: Input { result, reply }, unpaid: self.numbers_only };
        said.send(said_it).await.map_err(|_| Gone)?;
        answer.await.map_err(|_| Gone)
    }

    /// The end.
    pub(crate) async fn done(self, outcome: Result<Outcome, Refusal>) {
        if let Some(said) = self.said {
            let _gone = said.send(Said::Done(Box::new(outcome))).await;
        }
    }
}

impl Listening {
    /// The work that speaks here is done while somebody waits for what it says.
    pub(crate) fn doing(self, work: impl Future<Output = ()> + Send + 'static) -> Self {
        let mut doing = self;
        doing.work = Some(Work::new(work));
        doing
    }

    /// The work goes on by itself from here: nobody will wait all the time.
    pub(crate) fn let_go(&mut self) {
        drop(self.work.take());
    }

    /// What is said next. A work that ended without a word has failed. May be dropped and called again; nothing is lost.
    pub(crate) async fn next(&mut self) -> Said {
        let said = match &mut self.work {
            None => self.said.recv().await,
            Some(work) => tokio::select! {
                biased;
                said = self.said.recv() => said,
                // Whatever it said at its end is there now.
                _over = work => {
                    self.work = None;
                    self.said.recv().await
                }
            },
        };
        said.unwrap_or_else(|| Said::Done(Box::new(Err(Refusal::Internal { part: "pipeline" }))))
    }

    /// The work is withdrawn, also where it was to last. `None`: it is charged for nothing, whatever becomes of it, and has
    /// released its payment unless that takes too long; whoever then hears so may use the same payment again at once. Work
    /// that is carried to its end already is waited for, and gives what came of it: it may have been paid for.
    pub(crate) async fn give_up(mut self) -> Option<Result<Outcome, Refusal>> {
        let given_up = self.decision.is(Fate::GivenUp);
        self.cancel.notify_one();
        let ended = async {
            loop {
                // Questions are dropped here, which answers them.
                if let Said::Done(outcome) = self.next().await {
                    return *outcome;
                }
            }
        };
        if !given_up {
            return Some(ended.await);
        }
        match tokio::time::timeout(GIVE_UP, ended).await {
            // Of what costs nothing there may be an answer.
            Ok(Ok(outcome)) => Some(Ok(outcome)),
            // Which refusal it ended with is of no concern to who gave it up.
            Ok(Err(_)) | Err(_) => None,
        }
    }

    /// Whether the work has ended, and nobody waits for an answer any more.
    pub(crate) fn is_over(&self) -> bool {
        self.said.is_closed()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if !self.lasting {
            return;
        }
        // Without a runtime the gateway is ending.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (_, none) = mpsc::channel(1);
        let mut said = std::mem::replace(&mut self.said, none);
        runtime.spawn(async move { while said.recv().await.is_some() {} });
    }
}

/// Progress without its text: token, how far, of how much. `None`: it does not say how far.
fn numbers(params: &RawValue) -> Option<Box<RawValue>> {
    let value = evidence::json::parse(params.get().as_bytes(), &evidence::json::Limits::THEIRS).ok()?;
    let Value::Object(members) = value else { return None };
    if !members.iter().any(|(name, value)| name == "progress" && matches!(value, Value::Number(_))) {
        return None;
    }
    let kept: Vec<_> = members
        .into_iter()
        .filter(|(name, value)| match name.as_str() {
            "progressToken" => true,
            "progress" | "total" => matches!(value, Value::Number(_)),
            _ => false,
        })
        .collect();
    RawValue::from_string(Value::Object(kept).to_text()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[tokio::test]
    async fn before_a_call_is_paid_its_progress_is_numbers_and_its_log_is_silent() {
        let (mut speaker, mut listening) = pair(false, Arc::default());
        speaker.numbers_only();
        speaker.message(raw(r#"{"level":"info","data":"the answer is 42"}"#));
        speaker.progress(raw(r#"{"progressToken":1,"progress":0.50,"total":1,"message":"the answer is 42","x":{}}"#));
        match listening.next().await {
            Said::Progress(params) => assert_eq!(params.get(), r#"{"progressToken":1,"progress":0.50,"total":1}"#),
            other => panic!("{other:?}"),
        }
        // What is no number is no progress either; of the rest the numbers stay.
        speaker.progress(raw(r#"{"progressToken":1,"progress":"the answer is 42"}"#));
        speaker.progress(raw(r#"{"progressToken":1,"progress":2,"total":"the answer is 42"}"#));
        match listening.next().await {
            Said::Progress(params) => assert_eq!(params.get(), r#"{"progressToken":1,"progress":2}"#),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn work_whose_listener_left_is_given_up_unless_the_listener_was_to_last() {
        let (speaker, listening) = pair(false, Arc::default());
        drop(listening);
        speaker.gone().await;
        let (speaker, listening) = pair(true, Arc::default());
        drop(listening);
        let still = tokio::time::timeout(std::time::Duration::from_millis(50), speaker.gone()).await;
        assert!(still.is_err(), "a legacy client's disconnect withdraws nothing");
    }

    #[tokio::test]
    async fn work_is_done_while_somebody_listens_and_by_itself_when_nobody_does() {
        let (speaker, listening) = pair(true, Arc::default());
        let (go, going) = oneshot::channel::<()>();
        let (done, told) = oneshot::channel();
        let mut listening = listening.doing(async move {
            speaker.progress(raw(r#"{"progressToken":1,"progress":1}"#));
            let _go = going.await;
            let _told = done.send(());
            speaker.done(Err(Refusal::Internal { part: "test" })).await;
        });
        assert!(matches!(listening.next().await, Said::Progress(_)));
        listening.let_go();
        go.send(()).unwrap();
        told.await.unwrap();
        assert!(matches!(listening.next().await, Said::Done(_)));
    }

    #[tokio::test]
    async fn work_that_is_left_in_the_middle_hears_so_and_ends_in_order() {
        for let_go in [false, true] {
            let (speaker, listening) = pair(false, Arc::default());
            let (done, told) = oneshot::channel();
            let mut listening = listening.doing(async move {
                speaker.gone().await;
                let _told = done.send(speaker.was_left());
            });
            let heard = tokio::time::timeout(std::time::Duration::from_millis(5), listening.next()).await;
            assert!(heard.is_err(), "it says nothing");
            if let_go {
                listening.let_go();
            }
            drop(listening);
            assert_eq!(told.await, Ok(true));
        }
    }

    #[tokio::test]
    async fn work_that_is_given_up_has_ended_and_what_was_done_already_is_not_lost() {
        for (lasting, let_go) in [(false, false), (false, true), (true, false), (true, true)] {
            let (speaker, listening) = pair(lasting, Arc::default());
            let (done, mut told) = oneshot::channel();
            let mut waits = listening.doing(async move {
                speaker.message(raw("{}"));
                speaker.gone().await;
                tokio::time::sleep(Duration::from_millis(20)).await;
                let _told = done.send("released");
                speaker.done(Err(Refusal::Withdrawn)).await;
            });
            if let_go {
                waits.let_go();
            }
            assert!(waits.give_up().await.is_none());
            assert_eq!(told.try_recv(), Ok("released"), "{lasting} {let_go}");

            let (speaker, listening) = pair(lasting, Arc::default());
            let mut runs = listening.doing(async move {
                let answer = Answered { answer: Ok(Value::Null), spoken: crate::errand::Spoken::Legacy };
                speaker.message(raw("{}"));
                speaker.done(Ok(Outcome::Answered(answer))).await;
            });
            if let_go {
                runs.let_go();
            }
            assert!(matches!(runs.give_up().await, Some(Ok(Outcome::Answered(_)))), "{lasting} {let_go}");
        }
    }

    #[tokio::test]
    async fn what_is_given_up_is_never_carried_out_and_what_is_carried_out_is_waited_for() {
        let (speaker, listening) = pair(true, Arc::default());
        let mut waits = listening.doing(async move {
            speaker.gone().await;
            // It has run all the same: too late.
            assert!(!speaker.carry_out());
            speaker.done(Err(Refusal::Withdrawn)).await;
        });
        waits.let_go();
        assert!(waits.give_up().await.is_none());

        let (speaker, listening) = pair(true, Arc::default());
        let (begun, settles) = oneshot::channel();
        let mut pays = listening.doing(async move {
            assert!(speaker.carry_out() && speaker.carry_out());
            begun.send(()).unwrap();
            tokio::time::sleep(GIVE_UP + Duration::from_millis(300)).await;
            speaker.done(Err(Refusal::Busy { retry_after_s: 9 })).await;
        });
        pays.let_go();
        settles.await.unwrap();
        // Whatever its end is: nobody says in its place that nothing was charged.
        assert!(matches!(pays.give_up().await, Some(Err(Refusal::Busy { retry_after_s: 9 }))));
    }

    #[tokio::test]
    async fn work_that_says_nothing_or_fails_is_an_error_for_who_listens() {
        let (speaker, listening) = pair(false, Arc::default());
        let mut silent = listening.doing(async move { drop(speaker) });
        assert!(matches!(silent.next().await, Said::Done(outcome) if outcome.is_err()));
        let (speaker, listening) = pair(false, Arc::default());
        #[expect(clippy::panic, reason = "the fault that is tested")]
        let mut failing = listening.doing(async move {
            let _speaker = speaker;
            panic!("a fault");
        });
        assert!(matches!(failing.next().await, Said::Done(outcome) if outcome.is_err()));
    }

    #[tokio::test]
    async fn a_withdrawn_request_is_given_up_also_where_somebody_listens() {
        let cancel = Arc::new(Notify::new());
        let (speaker, _listening) = pair(true, Arc::clone(&cancel));
        cancel.notify_one();
        speaker.gone().await;
    }
}
