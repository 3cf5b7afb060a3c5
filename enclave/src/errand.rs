//! What goes to a server with a request: the client's own parameters, and the members of `_meta` that its era wants.

use evidence::json::{Name, Value, object};
use serde_json::value::RawValue;

use crate::mcp::{
    era::{MODERN, VERSION_META},
    level::Level,
};

/// `_meta` members that belong to one hop, and are written anew for the next.
const HOP: [&str; 5] = ["progressToken", VERSION_META, CAPABILITIES, INFO, LOG_LEVEL];

const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const INFO: &str = "io.modelcontextprotocol/clientInfo";
const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

/// Prefixes of what a client says to the gateway alone: a payment is not for a server to see.
const OURS: [&str; 6] = ["io.sealgate/", "x402/", "x402.", "agents-x402/", "org.paymentauth/", "pow/"];

/// The era of a running server, as far as parameters differ.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Spoken {
    /// 2024-11-05 to 2025-11-25.
    Legacy,
    /// 2026-07-28.
    Modern,
}

/// One request, as its client made it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Errand {
    /// The method.
    pub(crate) method: String,
    /// Parameters without `_meta`, `inputResponses` and `requestState`; of a tool call those beside name and arguments.
    pub(crate) params: Vec<(Name, Value)>,
    /// The client's `_meta`, for the server.
    meta: Vec<(Name, Value)>,
    /// What the client can be asked, as it declared it; an object.
    capabilities: Option<Value>,
    /// What a client that declares nothing may be taken to answer.
    assumed: Option<Value>,
    info: Option<Value>,
    /// How much of the log the client wants. `None`: a legacy client that said nothing.
    pub(crate) level: Option<Level>,
    /// Whether the client wants to hear of progress.
    pub(crate) progress: bool,
    /// Answers that came with a fresh request.
    pub(crate) responses: Option<Value>,
}

impl Errand {
    /// A request with these parameters, `_meta` among them.
    pub(crate) fn new(method: &str, params: Vec<(Name, Value)>) -> Self {
        let mut errand = Self { method: method.to_owned(), ..Self::default() };
        for (name, value) in params {
            match (name.as_str(), value) {
                ("_meta", Value::Object(meta)) => {
                    for (name, value) in meta {
                        match name.as_str() {
                            "progressToken" => errand.progress = matches!(value, Value::String(_) | Value::Number(_)),
                            CAPABILITIES => errand.capabilities = Some(value),
                            INFO => errand.info = Some(value),
                            hop if HOP.contains(&hop) => {}
                            ours if OURS.iter().any(|prefix| ours.starts_with(prefix)) => {}
                            _ => errand.meta.push((name, value)),
                        }
                    }
                }
                ("_meta", _) | ("requestState", _) => {}
                ("inputResponses", value) => errand.responses = Some(value),
                (_, value) => errand.params.push((name, value)),
            }
        }
        errand
    }

    /// What a modern server may ask a client whose requests do not say what it answers.
    pub(crate) fn assuming(mut self, capabilities: Value) -> Self {
        self.assumed = Some(capabilities);
        self
    }

    /// The parameters as they go to a server: `own` first, then the client's, then `_meta`. `token` is where the server
    /// may report progress. `answers`: what a server of 2026-07-28 asked for, with the state it gave.
    pub(crate) fn params(
        &self,
        spoken: Spoken,
        own: &[(Name, Value)],
        token: u64,
        answers: Option<(&Value, Option<&Value>)>,
    ) -> Option<Box<RawValue>> {
        let mut members: Vec<(Name, Value)> = own.iter().chain(&self.params).cloned().collect();
        let answers = match (answers, &self.responses, spoken) {
            (Some(answers), _, _) => Some(answers),
            (None, Some(responses), Spoken::Modern) => Some((responses, None)),
            _ => None,
        };
        if let Some((responses, state)) = answers {
            members.push(("inputResponses".into(), responses.clone()));
            members.extend(state.map(|state| ("requestState".into(), state.clone())));
        }
        let mut meta = self.meta.clone();
        if self.progress {
            meta.push(("progressToken".into(), token.into()));
        }
        let nothing = || object([]);
        match spoken {
            Spoken::Legacy => {
                // A server that looks can tell what the client behind the gateway is able to answer.
                meta.extend(self.capabilities.clone().map(|declared| (CAPABILITIES.into(), declared)));
            }
            Spoken::Modern => {
                meta.push((VERSION_META.into(), MODERN.into()));
                meta.push((
                    CAPABILITIES.into(),
                    self.capabilities.clone().or_else(|| self.assumed.clone()).unwrap_or_else(nothing),
                ));
                let ours = || object([("name", "sealgate".into()), ("version", env!("CARGO_PKG_VERSION").into())]);
                meta.push((INFO.into(), self.info.clone().unwrap_or_else(ours)));
                meta.extend(self.level.map(|level| (LOG_LEVEL.into(), level.as_str().into())));
            }
        }
        if !meta.is_empty() {
            members.push(("_meta".into(), Value::Object(meta)));
        }
        RawValue::from_string(Value::Object(members).to_text()).ok()
    }
}

#[cfg(test)]
mod tests {
    use evidence::json::{Limits, parse};

    use super::*;

    fn errand(params: &str) -> Errand {
        let Value::Object(params) = parse(params.as_bytes(), &Limits::THEIRS).unwrap() else { panic!("an object") };
        Errand::new("tools/call", params)
    }

    #[test]
    fn what_a_client_says_to_the_server_arrives_as_it_was_written_and_what_it_says_to_us_does_not() {
        let sent = errand(
            r#"{"task":{"ttl":1.0},"_meta":{"traceparent":"00-1","x402/payment":{"signature":"0x1"},"x402.payment":"a",
               "io.sealgate/challenge":"00","progressToken":"mine","a/b":{"z":1,"a":12345678901234567890}}}"#,
        );
        let legacy = sent.params(Spoken::Legacy, &[("name".into(), "echo".into())], 7, None).unwrap();
        assert_eq!(
            legacy.get(),
            r#"{"name":"echo","task":{"ttl":1.0},"_meta":{"traceparent":"00-1","a/b":{"z":1,"a":12345678901234567890},"progressToken":7}}"#
        );
        assert_eq!(errand("{}").params(Spoken::Legacy, &[], 7, None).unwrap().get(), "{}");
    }

    #[test]
    fn a_modern_server_gets_what_every_modern_request_says() {
        let sent = errand(
            r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"roots":{}},
               "io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"}}}"#,
        );
        let modern = sent.params(Spoken::Modern, &[], 7, None).unwrap();
        assert_eq!(
            modern.get(),
            r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"roots":{}},"io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"}}}"#
        );
        let state = Value::from("theirs");
        let again = errand("{}").params(Spoken::Modern, &[], 7, Some((&object([]), Some(&state)))).unwrap();
        assert!(again.get().starts_with(r#"{"inputResponses":{},"requestState":"theirs","_meta":{"#), "{again}");
    }

    #[test]
    fn answers_to_a_fresh_request_go_to_a_modern_server_alone_and_no_state_goes_anywhere() {
        let sent = errand(r#"{"inputResponses":{"a":{}},"requestState":"forged"}"#);
        assert!(sent.params(Spoken::Modern, &[], 1, None).unwrap().get().contains(r#""inputResponses":{"a":{}}"#));
        for spoken in [Spoken::Legacy, Spoken::Modern] {
            assert!(!sent.params(spoken, &[], 1, None).unwrap().get().contains("forged"));
        }
        assert_eq!(sent.params(Spoken::Legacy, &[], 1, None).unwrap().get(), "{}");
    }
}
