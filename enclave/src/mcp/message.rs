//! JSON-RPC 2.0 messages (jsonrpc.org/specification), as far as a server of MCP reads them.

use evidence::json::{self, JsonError, Limits, Value};

/// Longest request body in bytes: arguments of 100 KB, their envelope, and room for `_meta`.
pub(crate) const MAX_BODY_BYTES: usize = 256 << 10;

/// Most messages of one batch (JSON-RPC 2.0, section 6; MCP has batches in 2025-03-26 alone).
pub(crate) const MAX_BATCH: usize = 32;

/// What a body holds.
#[derive(Debug)]
pub(crate) enum Body {
    /// One message.
    One(Message),
    /// A batch. What of it is no message stands in its place.
    Many(Vec<Result<Message, MessageError>>),
}

/// What a client sent.
#[derive(Debug)]
pub(crate) enum Message {
    /// Wants an answer.
    Request(Request),
    /// Wants none.
    Notification(Notification),
    /// Answers something that we asked.
    Response(Response),
}

/// A notification.
#[derive(Debug)]
pub(crate) struct Notification {
    /// The method.
    pub(crate) method: String,
    /// The parameters; an absent `params` is an empty object.
    pub(crate) params: Value,
}

/// A response.
#[derive(Debug)]
pub(crate) struct Response {
    /// The id of our request.
    pub(crate) id: Value,
    /// `result` or `error`, as it was sent.
    pub(crate) answer: Result<Value, Value>,
}

/// One request.
#[derive(Debug)]
pub(crate) struct Request {
    /// A string or an integer, echoed as it was written.
    pub(crate) id: Value,
    /// The method.
    pub(crate) method: String,
    /// The parameters; an absent `params` is an empty object.
    pub(crate) params: Value,
}

/// Why a body is no message.
#[derive(Debug)]
pub(crate) enum MessageError {
    /// Not JSON, or JSON on which parsers differ.
    Json(JsonError),
    /// JSON, but no JSON-RPC request. The id, if one could be read, is echoed.
    Shape { id: Value, what: &'static str, fix: &'static str },
}

impl Body {
    /// Reads a request body.
    pub(crate) fn read(body: &[u8]) -> Result<Self, MessageError> {
        let limits = Limits { bytes: MAX_BODY_BYTES, ..Limits::THEIRS };
        let shape = |what, fix| Err(MessageError::Shape { id: Value::Null, what, fix });
        match json::parse(body, &limits).map_err(MessageError::Json)? {
            Value::Array(messages) if messages.is_empty() => {
                shape("the batch is empty", "send one JSON-RPC message in each POST")
            }
            Value::Array(messages) if messages.len() > MAX_BATCH => {
                shape("the batch holds more than 32 messages", "send at most 32 messages in one batch")
            }
            Value::Array(messages) => Ok(Self::Many(messages.into_iter().map(Message::of).collect())),
            value => Message::of(value).map(Self::One),
        }
    }
}

impl Message {
    fn of(value: Value) -> Result<Self, MessageError> {
        let wrong = |id: Option<Value>, what, fix| {
            Err(MessageError::Shape { id: id.filter(is_id).unwrap_or(Value::Null), what, fix })
        };
        let Value::Object(members) = value else {
            return wrong(
                None,
                "the body is not a JSON-RPC message",
                "send {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":…}",
            );
        };
        let (mut id, mut method, mut params, mut version, mut answer) = (None, None, None, None, None);
        for (name, value) in members {
            match name.as_str() {
                "id" => id = Some(value),
                "method" => method = Some(value),
                "params" => params = Some(value),
                "jsonrpc" => version = Some(value),
                "error" => answer = Some(Err(value)),
                "result" if answer.is_none() => answer = Some(Ok(value)),
                _ => {}
            }
        }
        if version.as_ref().and_then(Value::as_str) != Some("2.0") {
            return wrong(id, "member \"jsonrpc\" is not \"2.0\"", "send \"jsonrpc\":\"2.0\"");
        }
        let method = match method {
            Some(Value::String(method)) => method,
            Some(_) => {
                return wrong(id, "member \"method\" is not a string", "name one method, for instance \"tools/list\"");
            }
            None => {
                return match (id, answer) {
                    (Some(id), Some(answer)) => Ok(Self::Response(Response { id, answer })),
                    (id, _) => {
                        wrong(id, "member \"method\" is missing", "name one method, for instance \"tools/list\"")
                    }
                };
            }
        };
        let params = match params {
            None => Value::Object(Vec::new()),
            Some(params @ Value::Object(_)) => params,
            Some(_) => {
                return wrong(
                    id,
                    "member \"params\" is not an object",
                    "send parameters by name, {} if there are none",
                );
            }
        };
        match id {
            None => Ok(Self::Notification(Notification { method, params })),
            Some(id) if is_id(&id) => Ok(Self::Request(Request { id, method, params })),
            Some(_) => wrong(
                None,
                "member \"id\" is neither a string nor an integer",
                "give every request a string or integer id",
            ),
        }
    }
}

impl Request {
    /// A member of `params._meta`.
    pub(crate) fn meta(&self, name: &str) -> Option<&Value> {
        self.params.member("_meta")?.member(name)
    }
}

fn is_id(value: &Value) -> bool {
    match value {
        Value::String(text) => text.len() <= 256,
        Value::Number(token) => token.bytes().all(|b| b.is_ascii_digit() || b == b'-'),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_request_is_told_what_it_lacks() {
        for (body, said) in [
            ("[]", "batch is empty"),
            ("1", "not a JSON-RPC message"),
            ("{}", "jsonrpc"),
            (r#"{"jsonrpc":"2.0"}"#, "\"method\" is missing"),
            (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, "\"method\" is not a string"),
            (r#"{"jsonrpc":"2.0","id":null,"method":"a"}"#, "\"id\""),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"a"}"#, "\"id\""),
            (r#"{"jsonrpc":"2.0","id":{},"method":"a"}"#, "\"id\""),
            (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":[]}"#, "\"params\""),
        ] {
            match Body::read(body.as_bytes()) {
                Err(MessageError::Shape { what, .. }) => assert!(what.contains(said), "{body}: {what}"),
                other => panic!("{body}: {other:?}"),
            }
        }
        assert!(matches!(Body::read(b"{\"a\":1,\"a\":2}"), Err(MessageError::Json(_))));
    }

    #[test]
    fn notifications_and_responses_are_told_from_requests() {
        let read = |body: &str| match Body::read(body.as_bytes()) {
            Ok(Body::One(message)) => message,
            other => panic!("{other:?}"),
        };
        assert!(matches!(
            read(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
            Message::Notification(Notification { method, .. }) if method == "notifications/initialized"
        ));
        let good = read(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
        assert!(matches!(good, Message::Response(Response { answer: Ok(_), .. })));
        let bad = read(r#"{"jsonrpc":"2.0","id":"a","error":{"code":1},"result":{}}"#);
        assert!(matches!(bad, Message::Response(Response { answer: Err(_), .. })), "an error is never a result");
    }

    #[test]
    fn a_batch_holds_so_many_messages_and_no_more() {
        let of = |n: usize| format!("[{}]", vec![r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#; n].join(","));
        assert!(
            matches!(Body::read(of(MAX_BATCH).as_bytes()), Ok(Body::Many(messages)) if messages.len() == MAX_BATCH)
        );
        for (body, said) in [(of(MAX_BATCH + 1), "more than 32"), ("[]".to_owned(), "empty")] {
            assert!(
                matches!(Body::read(body.as_bytes()), Err(MessageError::Shape { what, .. }) if what.contains(said))
            );
        }
        let Ok(Body::Many(mixed)) = Body::read(br#"[1,{"jsonrpc":"2.0","id":1,"method":"ping"}]"#) else { panic!() };
        assert!(mixed[0].is_err() && mixed[1].is_ok(), "what is no message does not spoil the others");
    }
}
