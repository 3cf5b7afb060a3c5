//! Quantities and names, each a type of its own.

use std::{fmt, str::FromStr};

/// Seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct UnixSeconds(pub u64);

/// A name that does not have the shape it must have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NameError {
    /// What was being read.
    pub what: &'static str,
    /// The shape that was wanted.
    pub wanted: &'static str,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: want {}", self.what, self.wanted)
    }
}

impl std::error::Error for NameError {}

/// A server's id: a UUID in lower case with hyphens, for instance `0193e3a2-6b5c-5f7d-9c1e-2a4b6c8d0e1f`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServerId(String);

impl ServerId {
    /// The id as text, 36 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ServerId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let well_formed = text.len() == 36
            && text.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            });
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError { what: "server id", wanted: "a UUID in lower case, 8-4-4-4-12 hexadecimal digits" })
        }
    }
}
