//! Questions on their way to legacy clients: requests on the stream of a POST, answered by a POST of their own.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use evidence::json::Value;
use tokio::sync::oneshot;

/// Most questions that wait at once.
const MAX_ASKED: usize = 1024;

/// Most of one caller; strangers together have a quarter of all.
const MAX_OF_ONE: usize = 32;
const MAX_OF_STRANGERS: usize = MAX_ASKED / 4;

/// A client's answer: result or error.
pub(crate) type ClientAnswer = Result<Value, Value>;

/// All of them, by id.
#[derive(Debug, Default)]
pub(crate) struct AskedQuestions {
    waiting: Mutex<HashMap<String, (String, oneshot::Sender<ClientAnswer>)>>,
}

/// One question. Dropping it forgets it.
#[derive(Debug)]
pub(crate) struct AskedQuestion {
    all: Arc<AskedQuestions>,
    /// Its id: nobody can guess it, and for strangers it is all that binds the answer to who was asked.
    pub(crate) id: String,
    answer: oneshot::Receiver<ClientAnswer>,
}

impl AskedQuestions {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, (String, oneshot::Sender<ClientAnswer>)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a question of this caller. `None`: too many wait, or the system gives no randomness.
    pub(crate) fn ask(self: &Arc<Self>, caller: &str) -> Option<AskedQuestion> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).ok()?;
        let id = format!("sealgate-{}", hex::encode(random));
        let (sender, answer) = oneshot::channel();
        let mut waiting = self.lock();
        let most = if caller.is_empty() { MAX_OF_STRANGERS } else { MAX_OF_ONE };
        let of_one = waiting.values().filter(|(asked, _)| asked == caller).count();
        if waiting.len() >= MAX_ASKED || of_one >= most {
            return None;
        }
        waiting.insert(id.clone(), (caller.to_owned(), sender));
        drop(waiting);
        Some(AskedQuestion { all: Arc::clone(self), id, answer })
    }

    /// Takes a client's answer. `false`: nobody asked this caller that.
    pub(crate) fn answer(&self, caller: &str, id: &Value, answer: ClientAnswer) -> bool {
        let Some(id) = id.as_str() else { return false };
        let mut waiting = self.lock();
        if waiting.get(id).is_none_or(|(asked, _)| asked != caller) {
            return false;
        }
        waiting.remove(id).is_some_and(|(_, sender)| sender.send(answer).is_ok())
    }
}

impl AskedQuestion {
    /// The answer; `None` if it was forgotten.
    pub(crate) async fn answer(&mut self) -> Option<ClientAnswer> {
        (&mut self.answer).await.ok()
    }
}

impl Drop for AskedQuestion {
    fn drop(&mut self) {
        self.all.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use evidence::json::object;

    use super::*;

    #[tokio::test]
    async fn an_answer_counts_from_who_was_asked_and_once() {
        let all = Arc::new(AskedQuestions::default());
        let mut question = all.ask("one").unwrap();
        let id = Value::from(question.id.as_str());
        assert!(!all.answer("two", &id, Ok(object([]))), "of somebody else");
        assert!(!all.answer("one", &"sealgate-0".into(), Ok(object([]))));
        assert!(!all.answer("one", &1_u64.into(), Ok(object([]))));
        assert!(all.answer("one", &id, Ok(object([]))));
        assert!(!all.answer("one", &id, Ok(object([]))), "twice");
        assert_eq!(question.answer().await, Some(Ok(object([]))));
        let dropped = all.ask("one").unwrap();
        let id = Value::from(dropped.id.as_str());
        drop(dropped);
        assert!(!all.answer("one", &id, Ok(object([]))) && all.lock().is_empty());
    }

    #[test]
    fn one_caller_is_asked_so_much_at_once() {
        let all = Arc::new(AskedQuestions::default());
        let asked: Vec<_> = (0..MAX_OF_ONE).map(|_| all.ask("one").unwrap()).collect();
        assert!(all.ask("one").is_none());
        assert!(all.ask("two").is_some());
        drop(asked);
        assert!(all.ask("one").is_some());
    }
}
