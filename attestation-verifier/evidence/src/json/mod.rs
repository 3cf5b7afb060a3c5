//! Strict JSON (RFC 8259) into a tree that keeps what was sent: member order and number tokens.
//!
//! No library of ours and theirs may disagree about a text that passes here, so everything on which parsers differ is
//! refused: duplicate names (after unescaping), lone surrogates, invalid UTF-8, NaN and Infinity, deep nesting, huge
//! numbers, trailing bytes, a byte order mark (docs/WIRE.md, P1).

mod read;
mod write;

use std::{borrow::Cow, fmt, ops::Deref};

pub use read::{Fault, JsonError, Limits, parse};
pub(crate) use write::{ROOM, write_string};

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
