//! One message of a server, read only as far as must be to know whom it is for, and the messages that we write.
//!
//! Source: JSON-RPC 2.0 as MCP has it; batches: MCP 2025-03-26, Base Protocol, Messages.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::{json, value::RawValue};
use zeroize::Zeroizing;

/// Longest id of a server's own request, bytes: it is kept until the answer, and sent back.
pub(super) const ID_LIMIT: usize = 256;

/// A server's answer, as it wrote it.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The member `result`.
    Result(Box<RawValue>),
    /// The member `error`: the server refuses the request.
    Error(Box<RawValue>),
}

/// What a server said.
#[derive(Debug)]
pub(super) enum Message<'a> {
    /// To the request of ours with this number.
    Answer { id: u64, answer: Answer },
    /// An answer to a request that we never made, or an object of another kind: some servers print their log as JSON.
    Stray,
    /// It asks something, and wants an answer under its own id.
    Question { id: &'a RawValue, method: Cow<'a, str>, params: Option<&'a RawValue> },
    /// It tells something.
    Notification { method: Cow<'a, str>, params: Option<&'a RawValue> },
}

/// A line, or a part of it, is no message.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct NoMessage;

/// The members of a message that we look at. `null` is a value of `result` and `error`, yet no `id`.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl<'a> Message<'a> {
    /// Hands each message of a line to `take`; a line is one message, or a batch of them.
    pub(super) fn read(line: &'a [u8], mut take: impl FnMut(Result<Message<'a>, NoMessage>)) {
        let Ok(text) = std::str::from_utf8(line) else { return take(Err(NoMessage)) };
        if !text.trim_start().starts_with('[') {
            return take(Self::one(text));
        }
        match serde_json::from_str::<Vec<&RawValue>>(text) {
            Ok(batch) if !batch.is_empty() => batch.into_iter().for_each(|one| take(Self::one(one.get()))),
            _ => take(Err(NoMessage)),
        }
    }

    fn one(text: &'a str) -> Result<Self, NoMessage> {
        let members: Members<'a> = serde_json::from_str(text).map_err(|_| NoMessage)?;
        if let Some(method) = members.method {
            let params = members.params;
            return match members.id {
                None => Ok(Self::Notification { method, params }),
                Some(id) if is_id(id.get()) => Ok(Self::Question { id, method, params }),
                Some(_) => Err(NoMessage),
            };
        }
        let answer = match (members.result, members.error) {
            (_, Some(error)) => Answer::Error(error.to_owned()),
            (Some(result), None) => Answer::Result(result.to_owned()),
            (None, None) => return Ok(Self::Stray),
        };
        match members.id.and_then(|id| id.get().parse().ok()) {
            Some(id) => Ok(Self::Answer { id, answer }),
            None => Ok(Self::Stray),
        }
    }
}

/// Ids are strings or numbers.
fn is_id(text: &str) -> bool {
    text.len() <= ID_LIMIT && text.starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit())
}

/// A message that we send. It may hold what a caller keeps secret.
pub(super) type Line = Zeroizing<Vec<u8>>;

/// A request, or without `id` a notification.
pub(super) fn request(id: Option<u64>, method: &str, params: Option<&RawValue>) -> Line {
    let id = id.map(|id| format!("\"id\":{id},")).unwrap_or_default();
    let mut line = format!("{{\"jsonrpc\":\"2.0\",{id}\"method\":{}", json!(method)).into_bytes();
    if let Some(params) = params {
        line.reserve(params.get().len().saturating_add(16));
        line.extend_from_slice(b",\"params\":");
        extend(&mut line, params);
    }
    line.push(b'}');
    Zeroizing::new(line)
}

/// An answer to a question of the server, which has its id as it wrote it.
pub(super) fn answer(id: &str, reply: Result<&RawValue, &RawValue>) -> Line {
    let (member, value) = match reply {
        Ok(result) => ("result", result),
        Err(error) => ("error", error),
    };
    let mut line = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"{member}\":").into_bytes();
    extend(&mut line, value);
    line.push(b'}');
    Zeroizing::new(line)
}

/// An error object.
pub(super) fn error(code: i64, message: &str) -> Box<RawValue> {
    raw(json!({"code": code, "message": message}).to_string())
}

/// JSON that we wrote ourselves.
pub(super) fn raw(text: String) -> Box<RawValue> {
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// Outside of strings a line break is only white space, and within them JSON allows none.
fn extend(line: &mut Vec<u8>, value: &RawValue) {
    line.extend(value.get().bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(line: &str) -> Vec<String> {
        let mut kinds = Vec::new();
        Message::read(line.as_bytes(), |message| {
            kinds.push(match message {
                Ok(Message::Answer { id, answer: Answer::Result(result) }) => format!("result {id} {result}"),
                Ok(Message::Answer { id, answer: Answer::Error(error) }) => format!("error {id} {error}"),
                Ok(Message::Stray) => "stray".into(),
                Ok(Message::Question { id, method, .. }) => format!("question {id} {method}"),
                Ok(Message::Notification { method, params }) => {
                    format!("notification {method} {}", params.map_or("-", RawValue::get))
                }
                Err(NoMessage) => "none".into(),
            });
        });
        kinds
    }

    #[test]
    fn every_shape_of_message_is_told_from_the_others() {
        for (line, kind) in [
            (r#"{"jsonrpc":"2.0","id":7,"result":{"n":1.0}}"#, r#"result 7 {"n":1.0}"#),
            (r#"{"id":7,"result":null}"#, "result 7 null"),
            (r#"{"id":7,"result":{},"error":null}"#, "result 7 {}"),
            (r#"{"id":7,"error":{"code":-1}}"#, r#"error 7 {"code":-1}"#),
            (r#"{"id":null,"error":{"code":-32700}}"#, "stray"),
            (r#"{"id":"7","result":{}}"#, "stray"),
            (r#"{"id":-7,"result":{}}"#, "stray"),
            (r#"{"id":7.0,"result":{}}"#, "stray"),
            (r#"{"id":18446744073709551616,"result":{}}"#, "stray"),
            (r#"{"id":"a\"b","method":"ping"}"#, r#"question "a\"b" ping"#),
            (r#"{"id":-3,"method":"p\u0069ng"}"#, "question -3 ping"),
            (r#"{"id":1.5,"method":"ping"}"#, "question 1.5 ping"),
            (r#"{"method":"x","params":[1]}"#, "notification x [1]"),
            (r#"{"id":null,"method":"x"}"#, "notification x -"),
            (r#"{"id":{},"method":"x"}"#, "none"),
            (r#"{"id":true,"method":"x"}"#, "none"),
            (r#"{"id":1,"id":2,"result":{}}"#, "none"),
            (r#"{"id":1}"#, "stray"),
            (r#"{"level":30,"msg":"listening"}"#, "stray"),
            (r#""hello""#, "none"),
            ("Server ready!", "none"),
            ("[]", "none"),
            ("[1", "none"),
        ] {
            assert_eq!(kinds(line), [kind], "{line}");
        }
        let batch = kinds(r#" [{"id":1,"result":1},{"method":"x"},3]"#);
        assert_eq!(batch, ["result 1 1", "notification x -", "none"]);
    }

    #[test]
    fn an_id_of_the_limit_is_kept_and_one_byte_more_is_no_message() {
        let with = |length: usize| kinds(&format!("{{\"id\":\"{}\",\"method\":\"ping\"}}", "x".repeat(length - 2)));
        assert!(with(ID_LIMIT)[0].starts_with("question"));
        assert_eq!(with(ID_LIMIT + 1), ["none"]);
    }

    #[test]
    fn bytes_that_are_no_utf_8_are_no_message() {
        let mut seen = 0;
        Message::read(b"{\"id\":1,\"result\":\"\xff\"}", |message| {
            assert!(message.is_err());
            seen += 1;
        });
        assert_eq!(seen, 1);
    }

    #[test]
    fn ten_thousand_deep_results_are_handed_on() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(kinds(&format!("{{\"id\":1,\"result\":{deep}}}")), [format!("result 1 {deep}")]);
    }

    #[test]
    fn what_we_write_is_one_line_each() {
        let params = raw("{\n\"a\":\r\n\"\\n\"}".into());
        let text = |line: &Line| String::from_utf8(line.to_vec()).unwrap();
        assert_eq!(
            text(&request(Some(4), "x", Some(&params))),
            "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"x\",\"params\":{ \"a\":  \"\\n\"}}"
        );
        assert_eq!(text(&request(None, "n", None)), r#"{"jsonrpc":"2.0","method":"n"}"#);
        assert_eq!(
            text(&answer("\"q\"", Ok(&params))),
            "{\"jsonrpc\":\"2.0\",\"id\":\"q\",\"result\":{ \"a\":  \"\\n\"}}"
        );
        let refused = error(-32601, "no");
        assert_eq!(
            text(&answer("-1", Err(&refused))),
            r#"{"jsonrpc":"2.0","id":-1,"error":{"code":-32601,"message":"no"}}"#
        );
    }
}
