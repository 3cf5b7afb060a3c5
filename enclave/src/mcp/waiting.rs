//! What a request waits for: the answers of its client to questions of its server.

use evidence::json::{self, Limits, Name, Value, object};
use sandbox::Question;
use serde_json::value::RawValue;

use super::input_required::{Asking, chosen_key};
use crate::conversation::Input;

/// Open questions of one request.
#[derive(Debug)]
pub(crate) enum Waiting {
    /// Of a legacy server, each asked by itself.
    Questions(Vec<Open>),
    /// Of a modern server, asked with one result; what is answered so far.
    Input(Input, Vec<(Name, Value)>),
}

/// One question of a legacy server.
#[derive(Debug)]
pub(crate) struct Open {
    /// Its key in `inputRequests`.
    pub(crate) key: String,
    /// Its parameters.
    pub(crate) params: Option<Value>,
    question: Question,
    given: Option<Value>,
}

impl Open {
    /// A question. `number`: how many of this request came before it.
    pub(crate) fn new(question: Question, number: usize) -> Self {
        let params = question.params().and_then(parsed);
        let word = Asking::of(question.method()).map_or("question", Asking::word);
        let id = parsed(question.id()).unwrap_or(Value::Null);
        let key = chosen_key(&id).map_or_else(|| format!("{word}-{}", number + 1), str::to_owned);
        Self { key, params, question, given: None }
    }

    /// The method.
    pub(crate) fn method(&self) -> &str {
        self.question.method()
    }

    /// The request as `inputRequests` and legacy clients see it, without an id.
    pub(crate) fn request(&self) -> Vec<(Name, Value)> {
        let mut members = vec![("method".into(), self.method().into())];
        members.extend(self.params.clone().map(|params| ("params".into(), params)));
        members
    }

    /// Answers it.
    pub(crate) fn answer(self, answer: Result<Value, Value>) {
        let raw = |value: Value| RawValue::from_string(value.to_text());
        let answer = match answer {
            Ok(result) => raw(result).map(Ok),
            Err(error) => raw(error).map(Err),
        };
        if let Ok(answer) = answer {
            // A server that no longer waits has gone on without it.
            let _unasked = self.question.answer(answer);
        }
    }

    /// The question itself, to hear whether the server withdraws it.
    pub(crate) fn question(&mut self) -> &mut Question {
        &mut self.question
    }
}

impl Waiting {
    /// The questions: key, method and parameters of each that is not answered yet.
    pub(crate) fn open(&self) -> Vec<(&str, &str, Option<&Value>)> {
        match self {
            Self::Questions(questions) => questions
                .iter()
                .filter(|open| open.given.is_none())
                .map(|open| (open.key.as_str(), open.method(), open.params.as_ref()))
                .collect(),
            Self::Input(input, given) => requests(input)
                .iter()
                .filter(|(key, _)| given.iter().all(|(known, _)| known != key))
                .map(|(key, request)| {
                    let method = request.member("method").and_then(Value::as_str).unwrap_or_default();
                    (key.as_str(), method, request.member("params"))
                })
                .collect(),
        }
    }

    /// The result of type `input_required` that asks for what is still missing.
    pub(crate) fn asks(&self, state: String) -> Value {
        let state = ("requestState".into(), Value::String(state));
        match self {
            Self::Questions(questions) => {
                let open = questions.iter().filter(|open| open.given.is_none());
                let requests = open.map(|open| (open.key.clone().into(), Value::Object(open.request()))).collect();
                let kind = ("resultType".into(), "input_required".into());
                Value::Object(vec![kind, ("inputRequests".into(), Value::Object(requests)), state])
            }
            Self::Input(input, given) => {
                let Value::Object(mut members) = input.result.clone() else { return object([]) };
                for (name, value) in &mut members {
                    if let ("inputRequests", Value::Object(requests)) = (name.as_str(), value) {
                        requests.retain(|(key, _)| given.iter().all(|(known, _)| known != key));
                    }
                }
                members.push(state);
                Value::Object(members)
            }
        }
    }

    /// Whether these answers have the shape of answers. Those that nobody asked for are not looked at.
    ///
    /// # Errors
    /// Which does not, and why.
    pub(crate) fn check(&self, responses: &Value) -> Result<(), String> {
        for (key, method, _) in self.open() {
            if let (Some(answer), Some(asking)) = (responses.member(key), Asking::of(method)) {
                asking.fits(answer).map_err(|why| format!("inputResponses[{key:?}]: {why}"))?;
            }
        }
        Ok(())
    }

    /// Takes the answers to what is open; the others are left out.
    pub(crate) fn take(&mut self, responses: &Value) {
        match self {
            Self::Questions(questions) => {
                for open in questions.iter_mut().filter(|open| open.given.is_none()) {
                    open.given = responses.member(&open.key).cloned();
                }
            }
            Self::Input(input, given) => {
                for (key, _) in requests(input) {
                    if let (Some(answer), false) = (responses.member(key), given.iter().any(|(known, _)| known == key))
                    {
                        given.push((key.clone(), answer.clone()));
                    }
                }
            }
        }
    }

    /// Whether everything is answered.
    pub(crate) fn is_answered(&self) -> bool {
        self.open().is_empty()
    }

    /// Gives the answers to the server.
    pub(crate) fn deliver(self) {
        match self {
            Self::Questions(questions) => {
                for mut open in questions {
                    if let Some(answer) = open.given.take() {
                        open.answer(Ok(answer));
                    }
                }
            }
            Self::Input(input, given) => {
                // Whoever worked on it has given it up.
                let _gone = input.reply.send(Value::Object(given));
            }
        }
    }
}

fn requests(input: &Input) -> &[(Name, Value)] {
    input.result.member("inputRequests").and_then(Value::as_object).unwrap_or_default()
}

fn parsed(raw: &RawValue) -> Option<Value> {
    json::parse(raw.get().as_bytes(), &Limits::THEIRS).ok()
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    fn value(text: &str) -> Value {
        json::parse(text.as_bytes(), &Limits::THEIRS).unwrap()
    }

    #[test]
    fn what_is_missing_is_asked_again_and_what_is_there_is_kept() {
        let (reply, mut answer) = oneshot::channel();
        let result = value(
            r#"{"resultType":"input_required","later":1.0,"inputRequests":{
                "a":{"method":"elicitation/create","params":{"message":"?"}},"b":{"method":"roots/list"}}}"#,
        );
        let mut waiting = Waiting::Input(Input { result, reply }, Vec::new());
        assert_eq!(waiting.open().len(), 2);
        let some = value(r#"{"b":{"roots":[]},"unknown":{"x":1}}"#);
        assert_eq!(waiting.check(&some), Ok(()));
        waiting.take(&some);
        assert!(!waiting.is_answered());
        let asked = waiting.asks("state".into());
        assert_eq!(
            asked.to_text(),
            r#"{"resultType":"input_required","later":1.0,"inputRequests":{"a":{"method":"elicitation/create","params":{"message":"?"}}},"requestState":"state"}"#
        );
        assert!(waiting.check(&value(r#"{"a":12345}"#)).unwrap_err().contains("a number"));
        waiting.take(&value(r#"{"a":{"action":"accept","content":{}},"b":{"roots":[1]}}"#));
        assert!(waiting.is_answered());
        waiting.deliver();
        let given = answer.try_recv().unwrap();
        assert_eq!(given.to_text(), r#"{"b":{"roots":[]},"a":{"action":"accept","content":{}}}"#);
    }
}
