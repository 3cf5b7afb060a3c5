//! Questions of a server to its client: what they need, and whether an answer can be one (elicitation, sampling, roots).

use evidence::json::{Value, object};

/// The questions that a server may ask.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Asking {
    /// `elicitation/create`: the user is to fill in a form, or to visit an address.
    Elicitation,
    /// `sampling/createMessage`: the client's model is to write something.
    Sampling,
    /// `roots/list`: which places the client has open.
    Roots,
}

impl Asking {
    /// What this method asks.
    pub(crate) fn of(method: &str) -> Option<Self> {
        match method {
            "elicitation/create" => Some(Self::Elicitation),
            "sampling/createMessage" => Some(Self::Sampling),
            "roots/list" => Some(Self::Roots),
            _ => None,
        }
    }

    /// The word in front of a key that the server did not choose itself.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Elicitation => "elicitation",
            Self::Sampling => "sampling",
            Self::Roots => "roots",
        }
    }

    /// Whether an answer has the shape of one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn fits(self, answer: &Value) -> Result<(), String> {
        if answer.as_object().is_none() {
            return Err(format!("an answer is an object, found {}", answer.kind()));
        }
        let text = |name: &str| answer.member(name).and_then(Value::as_str);
        match self {
            Self::Elicitation => match text("action") {
                Some("accept" | "decline" | "cancel") => match answer.member("content") {
                    None | Some(Value::Object(_) | Value::Null) => Ok(()),
                    Some(other) => Err(format!("\"content\" is an object, found {}", other.kind())),
                },
                _ => Err("\"action\" is \"accept\", \"decline\" or \"cancel\"".to_owned()),
            },
            Self::Sampling => match (text("role"), answer.member("content")) {
                (Some(_), Some(Value::Object(_) | Value::Array(_))) => Ok(()),
                _ => Err("it holds a role and a content (CreateMessageResult)".to_owned()),
            },
            Self::Roots => match answer.member("roots") {
                Some(Value::Array(_)) => Ok(()),
                _ => Err("it holds an array \"roots\" (ListRootsResult)".to_owned()),
            },
        }
    }
}

/// What a client must have declared to be asked this, in the shape of its capabilities, if it has not.
pub(crate) fn undeclared(method: &str, params: Option<&Value>, declared: Option<&Value>) -> Option<Value> {
    let has = |path: &[&str]| {
        let found = path.iter().try_fold(declared?, |here, name| here.member(name));
        found.filter(|found| found.as_object().is_some())
    };
    let empty = || object([]);
    match Asking::of(method)? {
        Asking::Elicitation => {
            let mode = params.and_then(|params| params.member("mode")).and_then(Value::as_str);
            if mode == Some("url") {
                let lacks = has(&["elicitation", "url"]).is_none();
                return lacks.then(|| object([("elicitation", object([("url", empty())]))]));
            }
            // An empty object has always meant forms; one that names modes means those alone.
            let forms = has(&["elicitation"])
                .is_some_and(|found| found.member("form").is_some() || found.member("url").is_none());
            (!forms).then(|| object([("elicitation", empty())]))
        }
        Asking::Sampling => {
            let tools = params.is_some_and(|params| params.member("tools").is_some());
            if tools {
                let lacks = has(&["sampling", "tools"]).is_none();
                return lacks.then(|| object([("sampling", object([("tools", empty())]))]));
            }
            has(&["sampling"]).is_none().then(|| object([("sampling", empty())]))
        }
        Asking::Roots => has(&["roots"]).is_none().then(|| object([("roots", empty())])),
    }
}

/// Longest key that a server may choose.
const MAX_KEY_BYTES: usize = 64;

/// The key in `inputRequests` of a legacy server's question: its id, where that is a word, since a server that gives its
/// questions words knows them by these. `None`: numbers say nothing, and get a key of ours.
pub(crate) fn chosen_key(id: &Value) -> Option<&str> {
    let key = id.as_str()?;
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    (!key.is_empty() && key.len() <= MAX_KEY_BYTES && key.bytes().all(fits)).then_some(key)
}

#[cfg(test)]
mod tests {
    use evidence::json::{Limits, parse};

    use super::*;

    fn value(text: &str) -> Value {
        parse(text.as_bytes(), &Limits::THEIRS).unwrap()
    }

    #[test]
    fn what_a_client_did_not_declare_is_named_in_the_shape_of_its_capabilities() {
        for (method, params, declared, lacking) in [
            ("sampling/createMessage", "{}", r#"{"sampling":{}}"#, None),
            ("sampling/createMessage", "{}", r#"{"elicitation":{}}"#, Some(r#"{"sampling":{}}"#)),
            ("sampling/createMessage", "{}", r#"{"sampling":true}"#, Some(r#"{"sampling":{}}"#)),
            ("sampling/createMessage", r#"{"tools":[]}"#, r#"{"sampling":{}}"#, Some(r#"{"sampling":{"tools":{}}}"#)),
            ("sampling/createMessage", r#"{"tools":[]}"#, r#"{"sampling":{"tools":{}}}"#, None),
            ("elicitation/create", "{}", r#"{"elicitation":{}}"#, None),
            ("elicitation/create", r#"{"mode":"form"}"#, r#"{"elicitation":{"form":{}}}"#, None),
            ("elicitation/create", "{}", r#"{"elicitation":{"url":{}}}"#, Some(r#"{"elicitation":{}}"#)),
            ("elicitation/create", r#"{"mode":"url"}"#, r#"{"elicitation":{}}"#, Some(r#"{"elicitation":{"url":{}}}"#)),
            ("elicitation/create", r#"{"mode":"url"}"#, r#"{"elicitation":{"url":{}}}"#, None),
            ("roots/list", "{}", "{}", Some(r#"{"roots":{}}"#)),
            ("roots/list", "{}", r#"{"roots":{"listChanged":true}}"#, None),
            ("later/question", "{}", "{}", None),
        ] {
            let found = undeclared(method, Some(&value(params)), Some(&value(declared)));
            assert_eq!(found, lacking.map(value), "{method} {params} {declared}");
        }
        assert!(undeclared("roots/list", None, None).is_some());
    }

    #[test]
    fn an_answer_that_cannot_be_one_is_told_so() {
        for (asking, good, bad) in [
            (Asking::Elicitation, r#"{"action":"accept","content":{"a":1}}"#, r#"{"action":"yes"}"#),
            (Asking::Elicitation, r#"{"action":"decline"}"#, r#"{"action":"accept","content":[]}"#),
            (
                Asking::Sampling,
                r#"{"role":"assistant","content":{"type":"text","text":"a"}}"#,
                r#"{"role":"assistant"}"#,
            ),
            (Asking::Roots, r#"{"roots":[]}"#, r#"{"roots":{}}"#),
        ] {
            assert_eq!(asking.fits(&value(good)), Ok(()));
            assert!(asking.fits(&value(bad)).is_err(), "{bad}");
            assert!(asking.fits(&value("12345")).unwrap_err().contains("a number"));
        }
    }

    #[test]
    fn a_question_whose_id_is_a_word_has_that_word_as_its_key() {
        assert_eq!(chosen_key(&"user_name".into()), Some("user_name"));
        assert_eq!(chosen_key(&"k".repeat(MAX_KEY_BYTES).into()), Some(&*"k".repeat(MAX_KEY_BYTES)));
        for id in [Value::from(7_u64), "".into(), "a b".into(), "é".into(), "k".repeat(MAX_KEY_BYTES + 1).into()] {
            assert_eq!(chosen_key(&id), None, "{id:?}");
        }
    }
}
