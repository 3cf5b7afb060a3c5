//! Texts into trees, within limits.

use std::{collections::HashSet, fmt};

use super::{Name, Value};

/// What a text may cost us.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest text, in bytes.
    pub bytes: usize,
    /// Deepest nesting: `[[]]` is 2.
    pub depth: usize,
    /// Longest number token, in bytes.
    pub number: usize,
    /// Largest absolute value of a written exponent.
    pub exponent: u32,
}

impl Limits {
    /// What strangers send: arguments and results. 8 MiB is the longest line a server may print.
    pub const THEIRS: Self = Self { bytes: 8 << 20, depth: 64, number: 256, exponent: 9999 };
    /// Documents of ours.
    pub const OURS: Self = Self { bytes: 64 << 10, depth: 16, number: 16, exponent: 0 };
}

/// Why a text is not accepted, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JsonError {
    /// Byte offset at which reading stopped.
    pub offset: usize,
    /// What was wrong.
    pub fault: Fault,
}

/// What can be wrong with a text.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// More bytes than the limit.
    TooLong(usize),
    /// Nested deeper than the limit.
    TooDeep(usize),
    /// The text ends too early.
    Ended,
    /// A byte that cannot stand here.
    Unexpected(u8),
    /// The bytes are not UTF-8.
    NotUtf8,
    /// An escape that does not exist, or a lone surrogate.
    BadEscape,
    /// A raw control character inside a string.
    Control(u8),
    /// The same member name twice in one object.
    Duplicate(String),
    /// A number token over the length or exponent limit.
    HugeNumber,
    /// Bytes after the value.
    Trailing,
    /// A byte order mark in front.
    ByteOrderMark,
    /// Not in the profile of our own documents.
    Profile(&'static str),
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            Fault::TooLong(limit) => write!(f, "the JSON text is longer than {limit} bytes"),
            Fault::TooDeep(limit) => {
                write!(f, "nested deeper than {limit} levels").and_then(|()| write!(f, " at byte {}", self.offset))
            }
            Fault::Ended => write!(f, "the JSON text ends too early, at byte {}", self.offset),
            Fault::Unexpected(byte) => {
                write!(f, "unexpected {:?} at byte {}", char::from(*byte), self.offset)
            }
            Fault::NotUtf8 => write!(f, "invalid UTF-8 at byte {}", self.offset),
            Fault::BadEscape => write!(f, "bad escape or lone surrogate at byte {}", self.offset),
            Fault::Control(byte) => write!(f, "unescaped control character 0x{byte:02x} at byte {}", self.offset),
            Fault::Duplicate(name) => write!(f, "member name {name:?} appears twice, at byte {}", self.offset),
            Fault::HugeNumber => {
                write!(f, "number token longer than 256 bytes or exponent beyond 9999, at byte {}", self.offset)
            }
            Fault::Trailing => write!(f, "extra bytes after the JSON value, at byte {}", self.offset),
            Fault::ByteOrderMark => write!(f, "the JSON text starts with a byte order mark"),
            Fault::Profile(what) => write!(f, "{what}, near byte {}", self.offset),
        }
    }
}

impl std::error::Error for JsonError {}

/// Reads one JSON text, all of it.
///
/// # Errors
/// [`JsonError`] with the byte offset.
pub fn parse(text: &[u8], limits: &Limits) -> Result<Value, JsonError> {
    let mut reader = Reader { text, at: 0, limits };
    if text.len() > limits.bytes {
        return Err(JsonError { offset: limits.bytes, fault: Fault::TooLong(limits.bytes) });
    }
    if text.starts_with(&[0xef, 0xbb, 0xbf]) {
        return Err(JsonError { offset: 0, fault: Fault::ByteOrderMark });
    }
    reader.space();
    let value = reader.value(0)?;
    reader.space();
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.fault(Fault::Trailing)),
    }
}

/// So many names are compared one by one; that is faster than hashing them, and most objects have no more.
const FEW_NAMES: usize = 16;

/// The names of an object with many members.
#[derive(Default)]
struct Names(HashSet<String>);

impl Names {
    /// Whether one of the members read so far has this name.
    fn has(&mut self, members: &[(Name, Value)], name: &str) -> bool {
        if members.len() <= FEW_NAMES {
            return members.iter().any(|(seen, _)| seen == name);
        }
        if self.0.is_empty() {
            self.0.extend(members.iter().map(|(seen, _)| seen.to_string()));
        }
        !self.0.insert(name.to_owned())
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    limits: &'a Limits,
}

impl Reader<'_> {
    fn fault(&self, fault: Fault) -> JsonError {
        JsonError { offset: self.at, fault }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn wrong(&self) -> JsonError {
        self.fault(self.peek().map_or(Fault::Ended, Fault::Unexpected))
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        self.at += usize::from(here);
        here
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, JsonError> {
        for byte in word.bytes() {
            if !self.take(byte) {
                return Err(self.wrong());
            }
        }
        Ok(value)
    }

    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        match self.peek() {
            Some(b'{' | b'[') if depth == self.limits.depth => Err(self.fault(Fault::TooDeep(self.limits.depth))),
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.array(depth + 1),
            Some(b'"') => self.string().map(Value::String),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.wrong()),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        let mut members = Vec::new();
        let mut names = Names::default();
        self.space();
        if self.take(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.wrong());
            }
            let name = self.string()?;
            if names.has(&members, &name) {
                return Err(self.fault(Fault::Duplicate(name)));
            }
            self.space();
            if !self.take(b':') {
                return Err(self.wrong());
            }
            self.space();
            let value = self.value(depth)?;
            members.push((name.into(), value));
            self.space();
            if self.take(b'}') {
                return Ok(Value::Object(members));
            }
            if !self.take(b',') {
                return Err(self.wrong());
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.take(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            self.space();
            items.push(self.value(depth)?);
            self.space();
            if self.take(b']') {
                return Ok(Value::Array(items));
            }
            if !self.take(b',') {
                return Err(self.wrong());
            }
        }
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        let mut exponent = 0_u32;
        if self.take(b'e') || self.take(b'E') {
            let _sign = self.take(b'+') || self.take(b'-');
            let from = self.at;
            self.digits()?;
            for digit in self.text.get(from..self.at).unwrap_or_default() {
                exponent = exponent.saturating_mul(10).saturating_add(u32::from(digit - b'0'));
            }
        }
        let token = self.text.get(start..self.at).unwrap_or_default();
        if token.len() > self.limits.number || exponent > self.limits.exponent {
            return Err(JsonError { offset: start, fault: Fault::HugeNumber });
        }
        Ok(Value::Number(token.iter().map(|b| char::from(*b)).collect()))
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.wrong());
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let start = self.at;
            let rest = self.text.get(start..).unwrap_or_default();
            let plain = rest.iter().position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\'));
            let run = rest.get(..plain.unwrap_or(rest.len())).unwrap_or_default();
            self.at = start + run.len();
            match std::str::from_utf8(run) {
                Ok(run) => out.push_str(run),
                Err(error) => {
                    return Err(JsonError { offset: start + error.valid_up_to(), fault: Fault::NotUtf8 });
                }
            }
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                Some(byte) => return Err(self.fault(Fault::Control(byte))),
                None => return Err(self.fault(Fault::Ended)),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let start = self.at;
        let bad = JsonError { offset: start, fault: Fault::BadEscape };
        self.at += 1;
        let Some(byte) = self.peek() else { return Err(self.fault(Fault::Ended)) };
        self.at += 1;
        Ok(match byte {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.hex4().ok_or_else(|| bad.clone())?;
                let code = if (0xd800..0xdc00).contains(&first) {
                    if !(self.take(b'\\') && self.take(b'u')) {
                        return Err(bad);
                    }
                    let second = self.hex4().ok_or_else(|| bad.clone())?;
                    if !(0xdc00..0xe000).contains(&second) {
                        return Err(bad);
                    }
                    0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                } else {
                    first
                };
                char::from_u32(code).ok_or(bad)?
            }
            _ => return Err(bad),
        })
    }

    fn hex4(&mut self) -> Option<u32> {
        let mut code = 0;
        for _ in 0..4 {
            code = code << 4 | char::from(self.peek()?).to_digit(16)?;
            self.at += 1;
        }
        Some(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Fault {
        parse(text.as_bytes(), &Limits::THEIRS).unwrap_err().fault
    }

    #[test]
    fn texts_on_which_parsers_differ_are_refused() {
        assert_eq!(fault(r#"{"a":1,"\u0061":2}"#), Fault::Duplicate("a".into()));
        assert_eq!(fault(r#""\ud800""#), Fault::BadEscape);
        assert_eq!(fault(r#""\udc00\ud800""#), Fault::BadEscape);
        assert_eq!(fault(r#""\ud83d\u0041""#), Fault::BadEscape);
        assert_eq!(fault("NaN"), Fault::Unexpected(b'N'));
        assert_eq!(fault("-Infinity"), Fault::Unexpected(b'I'));
        assert_eq!(fault("01"), Fault::Trailing);
        assert_eq!(fault("1."), Fault::Ended);
        assert_eq!(fault(".5"), Fault::Unexpected(b'.'));
        assert_eq!(fault("+1"), Fault::Unexpected(b'+'));
        assert_eq!(fault("[1,]"), Fault::Unexpected(b']'));
        assert_eq!(fault("{} {}"), Fault::Trailing);
        assert_eq!(fault("\u{feff}1"), Fault::ByteOrderMark);
        assert_eq!(fault("\"a\nb\""), Fault::Control(b'\n'));
        assert_eq!(fault("1e10000"), Fault::HugeNumber);
        assert_eq!(fault(&format!("1{}", "0".repeat(256))), Fault::HugeNumber);
        assert_eq!(fault(""), Fault::Ended);
        assert_eq!(parse(b"\"\xff\"", &Limits::THEIRS).unwrap_err(), JsonError { offset: 1, fault: Fault::NotUtf8 });
    }

    #[test]
    fn a_name_that_stands_twice_is_refused_in_objects_of_every_size() {
        for size in 1..3 * FEW_NAMES {
            let names: Vec<String> = (0..size).map(|n| format!("\"n{n}\":{n}")).collect();
            let read = parse(format!("{{{}}}", names.join(",")).as_bytes(), &Limits::THEIRS).unwrap();
            assert_eq!(read.as_object().unwrap().len(), size);
            for twice in 0..size {
                let text = format!("{{{},\"n{twice}\":0}}", names.join(","));
                assert_eq!(fault(&text), Fault::Duplicate(format!("n{twice}")), "{text}");
            }
        }
    }

    #[test]
    fn nesting_stops_at_the_limit_and_one_past_it_is_refused() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(nested(64).as_bytes(), &Limits::THEIRS).is_ok());
        assert_eq!(fault(&nested(65)), Fault::TooDeep(64));
        assert!(parse("[".repeat(1_000_000).as_bytes(), &Limits::THEIRS).is_err());
    }
}
