//! JSON-RPC 2.0 messages (jsonrpc.org/specification), as far as a server of MCP reads them.

use evidence::json::{self, JsonError, Limits, Value};

/// Longest request body in bytes: arguments of 100 KB, their envelope, and room for `_meta`.
pub(crate) const MAX_BODY_BYTES: usize = 256 << 10;

/// What a client sent.
#[derive(Debug)]
pub(crate) enum Message {
    /// Wants an answer.
    Request(Request),
    /// Wants none: a notification, or a response to something that we never asked.
    Silent,
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

impl Message {
    /// Reads a request body.
    pub(crate) fn read(body: &[u8]) -> Result<Self, MessageError> {
        let limits = Limits { bytes: MAX_BODY_BYTES, ..Limits::THEIRS };
        let value = json::parse(body, &limits).map_err(MessageError::Json)?;
        let wrong = |id: Option<Value>, what, fix| {
            Err(MessageError::Shape { id: id.filter(is_id).unwrap_or(Value::Null), what, fix })
        };
        let Value::Object(members) = value else {
            return match value {
                Value::Array(_) => {
                    wrong(None, "a batch of messages is not taken here", "send one JSON-RPC message in each POST")
                }
                _ => wrong(
                    None,
                    "the body is not a JSON-RPC message",
                    "send {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":…}",
                ),
            };
        };
        let (mut id, mut method, mut params, mut version) = (None, None, None, None);
        for (name, value) in members {
            match name.as_str() {
                "id" => id = Some(value),
                "method" => method = Some(value),
                "params" => params = Some(value),
                "jsonrpc" => version = Some(value),
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
            // A response to something that we never asked: nothing to say to it.
            None if id.is_some() => return Ok(Self::Silent),
            None => return wrong(id, "member \"method\" is missing", "name one method, for instance \"tools/list\""),
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
            None => Ok(Self::Silent),
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
            ("[]", "batch"),
            ("1", "not a JSON-RPC message"),
            ("{}", "jsonrpc"),
            (r#"{"jsonrpc":"2.0"}"#, "\"method\" is missing"),
            (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, "\"method\" is not a string"),
            (r#"{"jsonrpc":"2.0","id":null,"method":"a"}"#, "\"id\""),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"a"}"#, "\"id\""),
            (r#"{"jsonrpc":"2.0","id":{},"method":"a"}"#, "\"id\""),
            (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":[]}"#, "\"params\""),
        ] {
            match Message::read(body.as_bytes()) {
                Err(MessageError::Shape { what, .. }) => assert!(what.contains(said), "{body}: {what}"),
                other => panic!("{body}: {other:?}"),
            }
        }
        assert!(matches!(Message::read(b"{\"a\":1,\"a\":2}"), Err(MessageError::Json(_))));
    }

    #[test]
    fn notifications_and_responses_are_silent() {
        for body in
            [r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#]
        {
            assert!(matches!(Message::read(body.as_bytes()), Ok(Message::Silent)));
        }
    }
}
