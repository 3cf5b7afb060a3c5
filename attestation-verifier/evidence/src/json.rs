//! Strict JSON (RFC 8259) into a tree that keeps what was sent: member order and number tokens.
//!
//! No library of ours and theirs may disagree about a text that passes here, so everything on which parsers differ is
//! refused: duplicate names (after unescaping), lone surrogates, invalid UTF-8, NaN and Infinity, deep nesting, huge
//! numbers, trailing bytes, a byte order mark (docs/WIRE.md, P1).

use std::{borrow::Cow, collections::HashSet, fmt, ops::Deref};

/// A JSON value. Numbers are the token as sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number token as it was written, for instance `1.0` or `-3e7`.
    Number(String),
    /// A string, unescaped.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object: names are distinct, order is as sent.
    Object(Vec<(Name, Value)>),
}

/// The name of a member. Most objects of ours have the names that stand in the code, and those are not copied.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Name(Cow<'static, str>);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, text: &str) -> bool {
        self.as_str() == text
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, text: &&str) -> bool {
        self.as_str() == *text
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl From<&'static str> for Name {
    fn from(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.into_owned()
    }
}

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

impl Value {
    /// The member `name`, if this is an object that has it.
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.as_object()?.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    /// The members, if this is an object.
    pub fn as_object(&self) -> Option<&[(Name, Value)]> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The elements, if this is an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// What kind of value this is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

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

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number.to_string())
    }
}

/// An object from its members.
pub fn object<const N: usize>(members: [(&'static str, Value); N]) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
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
    fn a_name_that_was_read_is_the_one_that_stands_in_the_code() {
        let written = object([("a", 1_u64.into()), ("é", Value::Null)]);
        let read = parse(r#"{"a":1,"\u00e9":null}"#.as_bytes(), &Limits::THEIRS).unwrap();
        assert_eq!(read, written);
        assert_ne!(object([("b", 1_u64.into()), ("é", Value::Null)]), written);
        for name in [Name::from("a"), Name::from("a".to_owned())] {
            assert!(name == "a" && name == *"a" && name != "b");
            assert_eq!((name.to_string(), String::from(name)), ("a".to_owned(), "a".to_owned()));
        }
    }

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
