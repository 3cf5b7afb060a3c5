//! Profile `J` of our own documents: JSON in which no two parsers can differ (docs/WIRE.md, P1).

use std::fmt;

use crate::{
    canon::canon,
    json::{self, Fault, JsonError, Limits, Value},
};

/// The largest integer of the profile, 2⁵³ − 1.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// The RFC 8785 bytes of a value of the profile.
///
/// # Errors
/// The value holds something that the profile has not: the text says what.
pub fn j(value: &Value) -> Result<Vec<u8>, JsonError> {
    j_within(value, Limits::OURS.bytes)
}

/// As [`j`], with another limit to the length: a bundle carries many documents.
pub(crate) fn j_within(value: &Value, bytes: usize) -> Result<Vec<u8>, JsonError> {
    check(value, 0)?;
    let text = canon(value).into_bytes();
    if text.len() > bytes {
        return Err(JsonError { offset: bytes, fault: Fault::TooLong(bytes) });
    }
    Ok(text)
}

/// Reads a document of ours that need not be in canonical form.
///
/// # Errors
/// Not JSON, or not in the profile.
pub fn parse_ours(text: &[u8]) -> Result<Value, JsonError> {
    let value = json::parse(text, &Limits::OURS)?;
    check(&value, 0)?;
    Ok(value)
}

/// Reads carried bytes: they must be the canonical ones, since a digest covers them.
///
/// # Errors
/// Not JSON, not in the profile, or not canonical.
pub fn parse_carried(text: &[u8]) -> Result<Value, JsonError> {
    let value = parse_ours(text)?;
    if canon(&value).as_bytes() == text {
        Ok(value)
    } else {
        Err(JsonError { offset: 0, fault: Fault::Profile("the bytes are not the canonical form of what they say") })
    }
}

fn check(value: &Value, depth: usize) -> Result<(), JsonError> {
    let refuse = |what| Err(JsonError { offset: 0, fault: Fault::Profile(what) });
    match value {
        Value::Null | Value::Bool(_) => Ok(()),
        Value::Number(token) => {
            let plain = token.bytes().all(|b| b.is_ascii_digit()) && (token == "0" || !token.starts_with('0'));
            match token.parse::<u64>() {
                Ok(n) if plain && n <= MAX_INTEGER => Ok(()),
                _ => refuse("a number that is not an integer from 0 to 2^53-1"),
            }
        }
        Value::String(text) if text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) => {
            refuse("a control character in a string")
        }
        Value::String(_) => Ok(()),
        Value::Array(_) | Value::Object(_) if depth == Limits::OURS.depth => {
            Err(JsonError { offset: 0, fault: Fault::TooDeep(Limits::OURS.depth) })
        }
        Value::Array(items) => items.iter().try_for_each(|item| check(item, depth + 1)),
        Value::Object(members) => {
            for (name, value) in members {
                let letters = name.bytes().all(|b| b.is_ascii_alphanumeric());
                if !letters || !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
                    return refuse("a member name that is not a letter followed by letters and digits");
                }
                check(value, depth + 1)?;
            }
            Ok(())
        }
    }
}

/// A document of ours that does not have the members it must have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ShapeError {
    /// Where: `core.keys.proof`.
    pub path: String,
    /// What was wanted there.
    pub wanted: String,
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.wanted)
    }
}

impl std::error::Error for ShapeError {}

/// Reads the members of an object, each once; what is left over at the end is an error.
pub struct Members<'a> {
    path: String,
    left: Vec<(&'a str, &'a Value)>,
}

impl<'a> Members<'a> {
    /// Starts reading `value`, called `path` in messages.
    ///
    /// # Errors
    /// It is not an object.
    pub fn of(value: &'a Value, path: &str) -> Result<Self, ShapeError> {
        let members = value.as_object().ok_or_else(|| ShapeError {
            path: path.to_owned(),
            wanted: format!("want an object, found {}", value.kind()),
        })?;
        Ok(Self { path: path.to_owned(), left: members.iter().map(|(n, v)| (n.as_str(), v)).collect() })
    }

    /// An error about the member `name`.
    pub fn wrong(&self, name: &str, wanted: impl Into<String>) -> ShapeError {
        ShapeError { path: format!("{}.{name}", self.path), wanted: wanted.into() }
    }

    /// The path of a member.
    pub(crate) fn path_of(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    /// The member `name`, if it is there.
    pub fn optional(&mut self, name: &str) -> Option<&'a Value> {
        let at = self.left.iter().position(|(n, _)| *n == name)?;
        Some(self.left.swap_remove(at).1)
    }

    /// The member `name`, whatever it is.
    ///
    /// # Errors
    /// It is missing.
    pub fn value(&mut self, name: &str) -> Result<&'a Value, ShapeError> {
        self.optional(name).ok_or_else(|| self.wrong(name, "this member is missing"))
    }

    /// A member that must be there, `null` giving `None`.
    ///
    /// # Errors
    /// It is missing.
    pub fn nullable(&mut self, name: &str) -> Result<Option<&'a Value>, ShapeError> {
        Ok(Some(self.value(name)?).filter(|v| **v != Value::Null))
    }

    /// A member that is `null` in everything built so far.
    ///
    /// # Errors
    /// It is missing, or holds something this version cannot judge.
    pub fn null(&mut self, name: &str) -> Result<(), ShapeError> {
        match self.nullable(name)? {
            None => Ok(()),
            Some(found) => {
                Err(self.wrong(name, format!("want null (this version knows nothing else), found {}", found.kind())))
            }
        }
    }

    /// A string.
    ///
    /// # Errors
    /// Missing or of another kind.
    pub fn string(&mut self, name: &str) -> Result<&'a str, ShapeError> {
        let value = self.value(name)?;
        value.as_str().ok_or_else(|| self.wrong(name, format!("want a string, found {}", value.kind())))
    }

    /// One of a fixed set of words.
    ///
    /// # Errors
    /// Missing, of another kind, or another word.
    pub fn word(&mut self, name: &str, words: &[&'static str]) -> Result<&'static str, ShapeError> {
        let text = self.string(name)?;
        let found = words.iter().find(|word| **word == text);
        found.copied().ok_or_else(|| self.wrong(name, format!("want one of {words:?}, found {text:?}")))
    }

    /// A boolean.
    ///
    /// # Errors
    /// Missing or of another kind.
    pub fn boolean(&mut self, name: &str) -> Result<bool, ShapeError> {
        match self.value(name)? {
            Value::Bool(truth) => Ok(*truth),
            other => Err(self.wrong(name, format!("want a boolean, found {}", other.kind()))),
        }
    }

    /// An integer of the profile.
    ///
    /// # Errors
    /// Missing, of another kind or out of range.
    pub fn integer(&mut self, name: &str) -> Result<u64, ShapeError> {
        let value = self.value(name)?;
        integer(value)
            .ok_or_else(|| self.wrong(name, format!("want an integer from 0 to 2^53-1, found {}", value.kind())))
    }

    /// Exactly `N` bytes in lower-case hexadecimal.
    ///
    /// # Errors
    /// Missing, of another kind, length or case.
    pub fn hex<const N: usize>(&mut self, name: &str) -> Result<[u8; N], ShapeError> {
        let value = self.value(name)?;
        hex_of(value).ok_or_else(|| self.wrong(name, format!("want {} lower-case hexadecimal digits", 2 * N)))
    }

    /// Exactly `N` bytes in lower-case hexadecimal, or `null`.
    ///
    /// # Errors
    /// Missing, of another kind, length or case.
    pub fn hex_or_null<const N: usize>(&mut self, name: &str) -> Result<Option<[u8; N]>, ShapeError> {
        let Some(value) = self.nullable(name)? else { return Ok(None) };
        let bytes = hex_of(value);
        bytes
            .map(Some)
            .ok_or_else(|| self.wrong(name, format!("want {} lower-case hexadecimal digits, or null", 2 * N)))
    }

    /// An array.
    ///
    /// # Errors
    /// Missing or of another kind.
    pub fn array(&mut self, name: &str) -> Result<&'a [Value], ShapeError> {
        let value = self.value(name)?;
        value.as_array().ok_or_else(|| self.wrong(name, format!("want an array, found {}", value.kind())))
    }

    /// An object, to be read in turn.
    ///
    /// # Errors
    /// Missing or of another kind.
    pub fn object(&mut self, name: &str) -> Result<Members<'a>, ShapeError> {
        let value = self.value(name)?;
        Members::of(value, &format!("{}.{name}", self.path))
    }

    /// Bytes in base64 (RFC 4648 section 4, with padding, canonical).
    ///
    /// # Errors
    /// Missing, of another kind, or not base64.
    pub fn base64(&mut self, name: &str) -> Result<Vec<u8>, ShapeError> {
        let text = self.string(name)?;
        from_base64(text).ok_or_else(|| self.wrong(name, "want base64 with padding (RFC 4648 section 4)"))
    }

    /// Bytes in base64, or `null`.
    ///
    /// # Errors
    /// Missing or of another shape.
    pub fn nullable_base64(&mut self, name: &str) -> Result<Option<Vec<u8>>, ShapeError> {
        match self.nullable(name)? {
            None => Ok(None),
            Some(value) => value
                .as_str()
                .and_then(from_base64)
                .map(Some)
                .ok_or_else(|| self.wrong(name, "want base64 with padding (RFC 4648 section 4), or null")),
        }
    }

    /// Ends reading.
    ///
    /// # Errors
    /// A member that we do not know is left: it might change the meaning.
    pub fn finish(self) -> Result<(), ShapeError> {
        match self.left.first() {
            None => Ok(()),
            Some((name, _)) => Err(self.wrong(name, "this member is not known to this version")),
        }
    }
}

/// Base64 with padding, canonical (no stray bits), as RFC 4648 section 4.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

/// Base64 with padding.
pub fn to_base64(bytes: &[u8]) -> Value {
    use base64::Engine as _;
    Value::String(base64::engine::general_purpose::STANDARD.encode(bytes))
}

/// Lower-case hexadecimal.
pub fn to_hex(bytes: &[u8]) -> Value {
    let mut digits = vec![0; bytes.len() * 2];
    // `hex::encode` goes character by character and takes several times as long; a proof has two dozen of these. It stays
    // for what cannot be: a wrong length, digits that are no text.
    match hex::encode_to_slice(bytes, &mut digits).ok().and_then(|()| String::from_utf8(digits).ok()) {
        Some(text) => Value::String(text),
        None => Value::String(hex::encode(bytes)),
    }
}

/// Exactly `N` bytes from lower-case hexadecimal.
pub fn hex_of<const N: usize>(value: &Value) -> Option<[u8; N]> {
    let text = value.as_str()?;
    let lower = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !lower {
        return None;
    }
    hex::decode(text).ok()?.try_into().ok()
}

/// A name that is fit for a terminal, a file and a table: 1 to 64 of `A-Z a-z 0-9 . _ + -`.
pub(crate) fn plain(value: &Value) -> Option<String> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'+' | b'-');
    let text = value.as_str().filter(|text| text.bytes().all(letter))?;
    (1..=64).contains(&text.len()).then(|| text.to_owned())
}

/// An integer of the profile.
pub(crate) fn integer(value: &Value) -> Option<u64> {
    match value {
        Value::Number(token) => token.parse().ok().filter(|n| *n <= MAX_INTEGER),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_outside_the_profile_is_refused() {
        for text in [
            "1.0",
            "-1",
            "1e3",
            "9007199254740992",
            "01",
            r#""\n""#,
            r#""\u007f""#,
            r#"{"a b":1}"#,
            r#"{"1a":1}"#,
            r#"{"":1}"#,
            r#"{"a":1,"a":1}"#,
            "\u{feff}{}",
            "{} ,",
            r#"{"a":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}"#,
        ] {
            assert!(parse_ours(text.as_bytes()).is_err(), "accepted {text}");
        }
        assert!(parse_ours(format!("\"{}\"", "a".repeat(65_535)).as_bytes()).is_err());
        assert!(parse_ours(r#"{"a":9007199254740991,"b":"ü€😀","c":[null,true,{}]}"#.as_bytes()).is_ok());
    }

    #[test]
    fn carried_bytes_must_be_canonical() {
        assert!(parse_carried(br#"{"a":1,"b":2}"#).is_ok());
        assert!(parse_carried(br#"{"b":2,"a":1}"#).is_err());
        assert!(parse_carried(br#"{"a": 1}"#).is_err());
        assert!(parse_carried(br#"{"a":"\u00e9"}"#).is_err());
    }

    #[test]
    fn an_unknown_member_is_an_error() {
        let value = parse_ours(br#"{"a":1,"b":2}"#).unwrap();
        let mut members = Members::of(&value, "doc").unwrap();
        assert_eq!(members.integer("a"), Ok(1));
        assert_eq!(members.finish().unwrap_err().path, "doc.b");
    }
}
