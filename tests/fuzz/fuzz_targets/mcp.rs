//! MCP messages as the gateway reads them, in both eras: no panic, and an id is echoed only if it is one. The gateway is a
//! program, so its decoder is compiled in from its source. The input is the body; the first line stands for the headers.
#![no_main]

#[allow(dead_code, reason = "the encoder's side is not fuzzed")]
#[path = "../../../enclave/src/mcp"]
mod mcp {
    pub(crate) mod era;
    pub(crate) mod message;
}

use evidence::json::Value;
use libfuzzer_sys::fuzz_target;
use mcp::{
    era::{Era, McpHeaders},
    message::{Body, Message, MessageError},
};

fuzz_target!(|bytes: &[u8]| {
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (line, body) = bytes.split_at(at);
    let line = std::str::from_utf8(line).unwrap_or_default();
    let mut words = line.split('|').map(|word| (!word.is_empty()).then_some(word));
    let mut word = || words.next().flatten();
    let headers = McpHeaders { version: word(), method: word(), name: word() };
    let messages = match Body::read(body) {
        Ok(Body::One(message)) => vec![Ok(message)],
        Ok(Body::Many(messages)) => messages,
        Err(error) => vec![Err(error)],
    };
    for message in messages {
        match message {
            Ok(Message::Request(request)) => {
                assert!(matches!(request.id, Value::String(_) | Value::Number(_)));
                let _ = request.meta("io.sealgate/challenge");
                if let Err(error) = Era::of(&request, headers) {
                    assert!((400..500).contains(&error.status) && !error.message.is_empty());
                }
            }
            Ok(Message::Notification(_) | Message::Response(_)) => {}
            Err(MessageError::Shape { id, .. }) => {
                assert!(matches!(id, Value::Null | Value::String(_) | Value::Number(_)), "echoes {id:?}");
            }
            Err(MessageError::Json(error)) => assert!(!error.to_string().is_empty()),
        }
    }
});
