//! A tree as text: what is forwarded, and the strings of canonical texts.

use super::Value;

impl Value {
    /// The value as JSON text: member order and number tokens as sent, no spaces. This is what is forwarded.
    pub fn to_text(&self) -> String {
        let mut out = String::with_capacity(ROOM);
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Number(token) => out.push_str(token),
            Self::String(text) => write_string(out, text),
            Self::Array(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (at, (name, value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    write_string(out, name);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// Room for most texts: one that grows from nothing is moved at each doubling.
pub(crate) const ROOM: usize = 512;

/// Writes a JSON string as RFC 8785 section 3.2.2.2 does: the shortest escapes, lower-case hex, the rest as it is.
pub(crate) fn write_string(out: &mut String, text: &str) {
    out.reserve(text.len() + 2);
    out.push('"');
    let mut rest = text;
    // What is escaped is ASCII, so what stands before it ends with a whole character.
    while let Some((plain, escaped)) = rest
        .bytes()
        .position(|byte| byte < 0x20 || matches!(byte, b'"' | b'\\'))
        .and_then(|at| rest.split_at_checked(at))
    {
        out.push_str(plain);
        let mut after = escaped.chars();
        if let Some(c) = after.next() {
            write_escape(out, c);
        }
        rest = after.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

fn write_escape(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\u{8}' => out.push_str("\\b"),
        '\t' => out.push_str("\\t"),
        '\n' => out.push_str("\\n"),
        '\u{c}' => out.push_str("\\f"),
        '\r' => out.push_str("\\r"),
        c => {
            let code = u32::from(c);
            out.push_str("\\u00");
            out.push(char::from_digit(code >> 4, 16).unwrap_or('0'));
            out.push(char::from_digit(code & 15, 16).unwrap_or('0'));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Limits, parse};

    #[test]
    fn what_was_sent_is_what_is_forwarded() {
        let text = r#"{"b":1.0,"a":[1,-0,1E+2,9007199254740993],"é":"\u00e9\n\"","n":null,"t":true}"#;
        let value = parse(text.as_bytes(), &Limits::THEIRS).unwrap();
        assert_eq!(value.to_text(), text.replace("\\u00e9", "é"));
    }

    #[test]
    fn what_is_written_is_read_back_whatever_stands_beside_what_is_escaped() {
        let ends = ["", "a", "\"", "\\", "\u{1f}", "\n\r\t", "é", "\u{7f}", "\u{2028}", "𝄞"];
        for c in (0..0x300).chain([0x2028, 0xd7ff, 0xe000, 0xfffd, 0x1_0000, 0x10_ffff]).filter_map(char::from_u32) {
            for before in ends {
                for after in ends {
                    let text = Value::String(format!("{before}{c}{after}"));
                    let written = text.to_text();
                    assert_eq!(parse(written.as_bytes(), &Limits::THEIRS), Ok(text), "{written}");
                }
            }
        }
        let text = Value::from("\"\\\u{8}\u{c}\n\r\t\u{0}\u{1f}/\u{7f}é");
        assert_eq!(text.to_text(), r#""\"\\\b\f\n\r\t\u0000\u001f/"#.to_owned() + "\u{7f}é\"");
    }
}
