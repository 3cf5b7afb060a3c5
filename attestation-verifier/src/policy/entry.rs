//! One entry of a policy file, read strictly. An error names the entry by its path, says what stands there and what
//! would have to.

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::Rule;

/// Longest reason, in characters: it is printed on a line of the verdict.
const LONGEST_REASON: usize = 300;

/// Most members of one list.
const LONGEST_LIST: usize = 1024;

/// A table whose members have to be taken one by one; what is left over is unknown.
pub(crate) struct Section {
    path: String,
    rest: BTreeMap<String, Value>,
}

/// A value and where it stands.
pub(crate) struct Entry {
    pub(crate) path: String,
    value: Value,
}

impl Section {
    /// The whole file.
    pub(crate) fn file(text: &str) -> Result<Self, PolicyError> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| PolicyError::Toml(error.to_string()))?;
        Ok(Self { path: String::new(), rest: table.into_iter().collect() })
    }

    /// The entry of that name, which must be there.
    pub(crate) fn take(&mut self, name: &str) -> Result<Entry, PolicyError> {
        let path = self.path_of(name);
        match self.rest.remove(name) {
            Some(value) => Ok(Entry { path, value }),
            None => Err(PolicyError::Missing { field: path }),
        }
    }

    /// All entries, with their names.
    pub(crate) fn into_entries(self) -> Vec<(String, Entry)> {
        let path = self.path;
        let entry = |(name, value): (String, Value)| (name.clone(), Entry { path: format!("{path}.{name}"), value });
        self.rest.into_iter().map(entry).collect()
    }

    /// Every entry has been taken.
    pub(crate) fn finish(self) -> Result<(), PolicyError> {
        match self.rest.keys().next() {
            None => Ok(()),
            Some(name) => Err(PolicyError::Unknown { field: self.path_of(name) }),
        }
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

impl Entry {
    /// A table of its own.
    pub(crate) fn section(self) -> Result<Section, PolicyError> {
        match self.value {
            Value::Table(table) => Ok(Section { path: self.path, rest: table.into_iter().collect() }),
            other => Err(wrong_type(self.path, "a table", &other)),
        }
    }

    /// `{ unchecked = "reason" }`, or the entry itself.
    pub(crate) fn reason(self) -> Result<Result<String, Self>, PolicyError> {
        match &self.value {
            Value::Table(table) if table.contains_key("unchecked") => {
                let mut section = self.section()?;
                let reason = section.take("unchecked")?.reason_text()?;
                section.finish()?;
                Ok(Ok(reason))
            }
            _ => Ok(Err(self)),
        }
    }

    /// What `read` makes of it, or the reason for no rule.
    pub(crate) fn rule<T>(self, read: impl FnOnce(Self) -> Result<T, PolicyError>) -> Result<Rule<T>, PolicyError> {
        Ok(match self.reason()? {
            Ok(reason) => Rule::Unchecked(reason),
            Err(entry) => Rule::Check(read(entry)?),
        })
    }

    /// A list with at least one member: an empty one could accept nothing.
    pub(crate) fn list<T>(self, read: impl Fn(Self) -> Result<T, PolicyError>) -> Result<Vec<T>, PolicyError> {
        let path = self.path.clone();
        match self.entries()? {
            members if members.is_empty() => {
                Err(PolicyError::Value { field: path, found: "[]".into(), wanted: "a list with at least one member" })
            }
            members => members.into_iter().map(read).collect(),
        }
    }

    /// The members of a list, which may be empty.
    pub(crate) fn entries(self) -> Result<Vec<Self>, PolicyError> {
        match self.value {
            Value::Array(members) if members.len() > LONGEST_LIST => Err(PolicyError::Value {
                found: format!("{} members", members.len()),
                field: self.path,
                wanted: "at most 1024 members",
            }),
            Value::Array(members) => Ok(members
                .into_iter()
                .enumerate()
                .map(|(at, value)| Self { path: format!("{}[{at}]", self.path), value })
                .collect()),
            other => Err(wrong_type(self.path, "a list, or { unchecked = \"reason\" }", &other)),
        }
    }

    pub(crate) fn is_list(&self) -> bool {
        self.value.is_array()
    }

    pub(crate) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    pub(crate) fn text(self) -> Result<String, PolicyError> {
        match self.value {
            Value::String(text) => Ok(text),
            other => Err(wrong_type(self.path, "a string, or { unchecked = \"reason\" }", &other)),
        }
    }

    /// One of these words.
    pub(crate) fn word<T: Clone>(self, words: &[(&str, T)], wanted: &'static str) -> Result<T, PolicyError> {
        let path = self.path.clone();
        let text = self.text()?;
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, meaning)) => Ok(meaning.clone()),
            None => Err(PolicyError::Value { field: path, found: format!("\"{text}\""), wanted }),
        }
    }

    /// A number from 0 up to `most`.
    pub(crate) fn number(self, most: u32, wanted: &'static str) -> Result<u32, PolicyError> {
        match self.value {
            Value::Integer(number) => match u32::try_from(number) {
                Ok(small) if small <= most => Ok(small),
                _ => Err(PolicyError::Value { field: self.path, found: number.to_string(), wanted }),
            },
            other => Err(wrong_type(self.path, "a whole number, or { unchecked = \"reason\" }", &other)),
        }
    }

    pub(crate) fn byte(self) -> Result<u8, PolicyError> {
        Ok(u8::try_from(self.number(u32::from(u8::MAX), "a number from 0 to 255")?).unwrap_or(u8::MAX))
    }

    /// Hexadecimal digits of one of these lengths in bytes. Neither shortened nor filled up.
    pub(crate) fn hex(self, lengths: &'static [usize]) -> Result<Vec<u8>, PolicyError> {
        let path = self.path.clone();
        let text = self.text()?;
        let digits = || PolicyError::Value {
            field: path.clone(),
            found: format!("\"{}\"", shortened(&text)),
            wanted: "hexadecimal digits, two for each byte",
        };
        if text.len() % 2 == 0 && text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            if !lengths.contains(&(text.len() / 2)) {
                return Err(PolicyError::Length { field: path, found: text.len() / 2, wanted: lengths });
            }
            return hex::decode(&text).map_err(|_| digits());
        }
        Err(digits())
    }

    pub(crate) fn bytes<const N: usize>(self) -> Result<[u8; N], PolicyError> {
        let path = self.path.clone();
        let bytes = self.hex(const { &[N] })?;
        let found = bytes.len();
        bytes.try_into().map_err(|_| PolicyError::Length { field: path, found, wanted: const { &[N] } })
    }

    /// A reason: some words, on one line.
    pub(crate) fn reason_text(self) -> Result<String, PolicyError> {
        let path = self.path.clone();
        let text = self.text()?;
        let found = || format!("\"{}\"", shortened(&text));
        if text.trim().is_empty() {
            return Err(PolicyError::NoReason { field: path });
        }
        if text.chars().count() > LONGEST_REASON || text.chars().any(char::is_control) {
            return Err(PolicyError::Value {
                field: path,
                found: found(),
                wanted: "a reason on one line, of at most 300 characters",
            });
        }
        Ok(text)
    }
}

fn wrong_type(field: String, wanted: &'static str, found: &Value) -> PolicyError {
    PolicyError::Type { field, wanted, found: found.type_str() }
}

/// The beginning of a stranger's text, without what moves a terminal's cursor.
fn shortened(text: &str) -> String {
    let clean = |c: char| if c.is_control() { '\u{FFFD}' } else { c };
    match text.chars().count() {
        ..=40 => text.chars().map(clean).collect(),
        _ => text.chars().map(clean).take(40).chain(['…']).collect(),
    }
}

/// A policy file that is not one. Field names are paths, such as `guest.debug` or `measurements[2]`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Not TOML; a field that is written twice is none either.
    #[error("policy: {0}")]
    Toml(String),
    /// The format before this one.
    #[error("policy.version: 1, and this verifier reads version 2, in which no rule is switched off without a reason")]
    Version1,
    /// A version other than 2.
    #[error("policy.version: {found}, known is 2")]
    Version {
        /// As found.
        found: String,
    },
    /// A field that is not written.
    #[error("policy.{field}: missing")]
    Missing {
        /// The field.
        field: String,
    },
    /// A field that does not exist.
    #[error("policy.{field}: there is no such field")]
    Unknown {
        /// The field.
        field: String,
    },
    /// A value of another type.
    #[error("policy.{field}: found {found}, want {wanted}")]
    Type {
        /// The field.
        field: String,
        /// What it takes.
        wanted: &'static str,
        /// The TOML type found.
        found: &'static str,
    },
    /// A value that the field does not have.
    #[error("policy.{field}: found {found}, want {wanted}")]
    Value {
        /// The field.
        field: String,
        /// As found, shortened.
        found: String,
        /// What it takes.
        wanted: &'static str,
    },
    /// An expectation of the wrong length.
    #[error("policy.{field}: {found} bytes, want {}", lengths(wanted))]
    Length {
        /// The field.
        field: String,
        /// Bytes found.
        found: usize,
        /// Bytes that the field can have.
        wanted: &'static [usize],
    },
    /// `unchecked` without a reason.
    #[error("policy.{field}: no reason is given")]
    NoReason {
        /// The field.
        field: String,
    },
}

fn lengths(wanted: &[usize]) -> String {
    wanted.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

impl PolicyError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Toml(_) => "write it as TOML; `attestation-verifier policy show strict` prints a file to start from",
            Self::Version1 => {
                "start from `attestation-verifier policy show strict`: \"any\" and \"allow\" have become \
                 { unchecked = \"reason\" }, [min_tcb] has become [firmware.PRODUCT], \"required\" has become \"require\", \
                 \"refuse\" and \"report\" of stale_crl have become \"require\" and \"warn\", and advisories, chip_binding \
                 and others are new (docs/POLICY.md)"
            }
            Self::Version { .. } => "if a newer verifier made this file, use that verifier",
            Self::Missing { .. } => {
                "every field must be written; one that is not wanted says { unchecked = \"reason\" } (docs/POLICY.md)"
            }
            Self::Unknown { .. } => "remove it, or look its name up in docs/POLICY.md",
            Self::Type { .. } | Self::Value { .. } => "see docs/POLICY.md for what the field takes",
            Self::Length { .. } => "give the whole value; it is neither shortened nor filled up",
            Self::NoReason { .. } => "say why the field is not checked: whoever reads the verdict sees it",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Entry {
        Section::file(&format!("x = {text}")).unwrap().take("x").unwrap()
    }

    #[test]
    fn a_reason_needs_words_and_stands_alone() {
        let rule = |text: &str| entry(text).rule(|entry| entry.text());
        assert_eq!(rule("{ unchecked = \"because\" }"), Ok(Rule::unchecked("because")));
        for empty in ["\"\"", "\"  \"", "\"\\t\""] {
            let found = rule(&format!("{{ unchecked = {empty} }}"));
            assert_eq!(found, Err(PolicyError::NoReason { field: "x.unchecked".into() }));
        }
        assert!(matches!(rule("{ unchecked = 1 }"), Err(PolicyError::Type { .. })));
        assert!(matches!(rule("{ unchecked = \"a\", colour = 1 }"), Err(PolicyError::Unknown { .. })));
        assert!(matches!(rule("{ unchecked = \"a\\nb\" }"), Err(PolicyError::Value { .. })));
        assert!(rule(&format!("{{ unchecked = \"{}\" }}", "a".repeat(300))).is_ok());
        assert!(matches!(rule(&format!("{{ unchecked = \"{}\" }}", "a".repeat(301))), Err(PolicyError::Value { .. })));
    }

    #[test]
    fn a_wrong_length_names_the_field_and_both_lengths() {
        let found = entry("[\"00\"]").list(Entry::bytes::<48>);
        assert_eq!(found, Err(PolicyError::Length { field: "x[0]".into(), found: 1, wanted: &[48] }));
        assert_eq!(found.unwrap_err().to_string(), "policy.x[0]: 1 bytes, want 48");
        assert!(entry(&format!("\"{}\"", "aB".repeat(48))).bytes::<48>().is_ok());
        for text in ["\"0\"", "\"zz\"", "\"é\""] {
            assert!(matches!(entry(text).bytes::<1>(), Err(PolicyError::Value { .. })), "{text}");
        }
    }

    #[test]
    fn numbers_and_lists_have_their_limits() {
        assert_eq!(entry("255").byte(), Ok(255));
        assert!(entry("256").byte().is_err() && entry("-1").byte().is_err() && entry("1.0").byte().is_err());
        assert!(entry("[]").list(Entry::text).is_err());
        let long = |n: usize| format!("[{}]", "1,".repeat(n));
        assert_eq!(entry(&long(1024)).list(Entry::byte).map(|list| list.len()), Ok(1024));
        assert!(entry(&long(1025)).list(Entry::byte).is_err());
    }
    #[test]
    fn what_is_repeated_of_a_strangers_text_is_short_and_moves_no_cursor() {
        let found = |text: &str| match entry(&format!("\"{text}\"")).bytes::<1>() {
            Err(PolicyError::Value { found, .. }) => found,
            other => panic!("{other:?}"),
        };
        assert_eq!(found("no digits"), "\"no digits\"");
        assert_eq!(found("a\\u001b[2J\\nb"), "\"a\u{FFFD}[2J\u{FFFD}b\"");
        assert_eq!(found(&"é".repeat(40)), format!("\"{}\"", "é".repeat(40)));
        assert_eq!(found(&"é".repeat(41)), format!("\"{}…\"", "é".repeat(40)));
    }
}
