//! What a server prints on stdout: no panic; of a message only what is in it is handed on; and what we write to it is one line
//! that reads back as what was meant. The sandbox keeps this to itself, so it is compiled in from its source.
#![no_main]

#[allow(dead_code, reason = "one half of the file is fuzzed")]
#[path = "../../../enclave/sandbox/src/lines.rs"]
mod lines;
#[allow(dead_code, reason = "some writers are the session's alone")]
#[path = "../../../enclave/sandbox/src/stdio/message.rs"]
mod message;

use libfuzzer_sys::fuzz_target;
use lines::Lines;
use message::{Answer, ID_LIMIT, Message};
use serde_json::value::RawValue;

/// Longer than any input of the fuzzer.
const LIMIT: usize = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let mut lines = Lines::new(LIMIT);
    if lines.push(bytes).is_err() {
        return;
    }
    let _ = lines.push(b"\n");
    while let Some(line) = lines.pop() {
        let said = String::from_utf8_lossy(&line).into_owned();
        let mut messages = 0;
        Message::read(&line, |read| {
            messages += 1;
            match read {
                Ok(Message::Question { id, method, params }) => {
                    assert!(id.get().len() <= ID_LIMIT && said.contains(id.get()));
                    let result = RawValue::from_string("{}".to_owned()).unwrap();
                    answered(id.get(), &message::answer(id.get(), Ok(&result)));
                    again(Some(7), &method, params);
                }
                Ok(Message::Notification { method, params }) => again(None, &method, params),
                Ok(Message::Answer { answer: Answer::Result(raw) | Answer::Error(raw), .. }) => {
                    assert!(said.contains(raw.get()), "not as it was said: {raw}");
                }
                Ok(Message::Stray) | Err(_) => {}
            }
        });
        assert!(messages > 0, "a line that is nothing: {said}");
    }
});

/// An answer to a question has the id as it was written, and is one line.
fn answered(id: &str, line: &[u8]) {
    let text = std::str::from_utf8(line).unwrap();
    assert!(!text.contains(['\n', '\r']), "{text}");
    let read: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).unwrap();
    assert!(read.contains_key("result") && text.contains(&format!("\"id\":{id},")), "{text}");
}

/// What is passed on to a server reads as what was said.
fn again(id: Option<u64>, method: &str, params: Option<&RawValue>) {
    let line = message::request(id, method, params);
    assert!(!line.iter().any(|byte| matches!(byte, b'\n' | b'\r')));
    let mut seen = 0;
    Message::read(&line, |read| {
        seen += 1;
        let (same, given) = match read.unwrap() {
            Message::Question { id: named, method, params } => {
                assert_eq!(named.get().parse().ok(), id);
                (method, params)
            }
            Message::Notification { method, params } => (method, params),
            other => panic!("{other:?}"),
        };
        assert_eq!(same, method);
        // Outside of strings line breaks have become blanks.
        let plain = |params: Option<&RawValue>| params.map(|raw| raw.get().replace(['\n', '\r'], " "));
        assert_eq!(plain(given), plain(params.filter(|raw| raw.get() != "null")));
    });
    assert_eq!(seen, 1);
}
