//! Takes secrets out of what a server prints to stderr.

use zeroize::Zeroizing;

use crate::Variable;

/// Longest line of a server's stderr that is passed on, bytes; the rest of the line is dropped.
pub const LINE_LIMIT: usize = 4096;

/// Lines of a many-line secret (a PEM key) are secrets of their own from this length on: printers indent and prefix.
const SHORTEST_PART: usize = 8;

/// Replaces every secret value in a stream by `[redacted:NAME]`, also where a value spans chunks.
///
/// A value is also found in its JSON-escaped form, and each longer line of a many-line value counts by itself. What the
/// server encodes otherwise (base64, encryption) cannot be found by anybody.
pub struct Redactor {
    /// Longest first, so that a secret which begins with another one is replaced whole.
    patterns: Vec<Pattern>,
    /// First bytes of all patterns: most of a stream is skipped by this table.
    first: [bool; 256],
    /// Bytes that may be the beginning of a secret.
    held: Zeroizing<Vec<u8>>,
}

struct Pattern {
    value: Zeroizing<Vec<u8>>,
    replacement: Vec<u8>,
}

impl Redactor {
    /// A redactor for the secret variables among these.
    pub fn new<'a>(environment: impl IntoIterator<Item = &'a Variable>) -> Self {
        let mut patterns = Vec::new();
        for variable in environment.into_iter().filter(|variable| variable.secret && !variable.value.is_empty()) {
            let value = variable.value.as_str();
            let mut forms = vec![Zeroizing::new(value.to_owned()), json_escaped(value)];
            let lines = value.lines().map(str::trim).filter(|line| line.len() >= SHORTEST_PART);
            forms.extend(lines.map(|line| Zeroizing::new(line.to_owned())));
            for form in forms {
                patterns.push(Pattern {
                    value: Zeroizing::new(form.as_bytes().to_vec()),
                    replacement: format!("[redacted:{}]", variable.name).into_bytes(),
                });
            }
        }
        patterns.sort_by(|a, b| b.value.len().cmp(&a.value.len()).then_with(|| a.value.cmp(&b.value)));
        patterns.dedup_by(|a, b| a.value == b.value);
        let mut first = [false; 256];
        for byte in patterns.iter().filter_map(|pattern| pattern.value.first()) {
            if let Some(entry) = first.get_mut(usize::from(*byte)) {
                *entry = true;
            }
        }
        Self { patterns, first, held: Zeroizing::new(Vec::new()) }
    }

    /// Takes the next chunk of a stream; returns what can be shown by now.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<u8> {
        let mut input = std::mem::take(&mut self.held);
        input.extend_from_slice(chunk);
        let (shown, held) = self.scan(&input, false);
        self.held = held;
        shown
    }

    /// The stream ended: what was held back is no secret.
    pub fn finish(&mut self) -> Vec<u8> {
        let input = std::mem::take(&mut self.held);
        self.scan(&input, true).0
    }

    /// Redacts a whole text at once.
    pub fn whole(&self, text: &[u8]) -> Vec<u8> {
        self.scan(text, true).0
    }

    fn scan(&self, input: &[u8], ended: bool) -> (Vec<u8>, Zeroizing<Vec<u8>>) {
        let mut shown = Vec::with_capacity(input.len());
        let mut rest = input;
        while let Some((byte, after)) = rest.split_first() {
            let candidate = self.first.get(usize::from(*byte)).copied().unwrap_or(false);
            match if candidate { self.look(rest, ended) } else { Look::Nothing } {
                Look::Nothing => {
                    shown.push(*byte);
                    rest = after;
                }
                Look::Secret(pattern) => {
                    shown.extend_from_slice(&pattern.replacement);
                    rest = rest.get(pattern.value.len()..).unwrap_or_default();
                }
                Look::Undecided => return (shown, Zeroizing::new(rest.to_vec())),
            }
        }
        (shown, Zeroizing::new(Vec::new()))
    }

    fn look(&self, rest: &[u8], ended: bool) -> Look<'_> {
        for pattern in &self.patterns {
            if rest.starts_with(&pattern.value) {
                return Look::Secret(pattern);
            }
            if !ended && pattern.value.starts_with(rest) {
                return Look::Undecided;
            }
        }
        Look::Nothing
    }
}

enum Look<'a> {
    Nothing,
    Secret(&'a Pattern),
    Undecided,
}

/// Cuts lines past [`LINE_LIMIT`] and says so.
#[derive(Default)]
pub struct LineCap {
    length: usize,
}

impl LineCap {
    /// Takes the next chunk; returns it without the ends of overlong lines.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(chunk.len());
        for &byte in chunk {
            if byte == b'\n' {
                self.length = 0;
                out.push(byte);
                continue;
            }
            self.length = self.length.saturating_add(1);
            if self.length <= LINE_LIMIT {
                out.push(byte);
            } else if self.length == LINE_LIMIT + 1 {
                out.extend_from_slice(b" [line cut]");
            }
        }
        out
    }
}

/// The text between the quotes of a JSON string (RFC 8259, section 7), as the usual encoders write it.
fn json_escaped(text: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(text.len()));
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(secrets: &[(&str, &str)]) -> Redactor {
        let variables: Vec<_> = secrets
            .iter()
            .map(|(name, value)| Variable {
                name: (*name).into(),
                value: Zeroizing::new((*value).into()),
                secret: true,
            })
            .collect();
        Redactor::new(&variables)
    }

    #[test]
    fn a_secret_is_replaced_wherever_the_chunks_are_cut() {
        let text = b"key=swordfish; swordfis swordswordfish end";
        let want = b"key=[redacted:TOKEN]; swordfis sword[redacted:TOKEN] end";
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let mut redactor = redactor(&[("TOKEN", "swordfish")]);
                let mut shown = redactor.push(&text[..first]);
                shown.extend(redactor.push(&text[first..second]));
                shown.extend(redactor.push(&text[second..]));
                shown.extend(redactor.finish());
                assert_eq!(shown, want, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn a_secret_that_begins_with_another_is_replaced_whole() {
        let mut redactor = redactor(&[("SHORT", "abc"), ("LONG", "abcdef")]);
        let mut shown = redactor.push(b"abcd");
        shown.extend(redactor.push(b"ef abcx ab"));
        shown.extend(redactor.finish());
        assert_eq!(shown, b"[redacted:LONG] [redacted:SHORT]x ab");
    }

    #[test]
    fn many_line_secrets_are_found_escaped_and_line_by_line() {
        let redactor = redactor(&[("PEM", "-----BEGIN-----\nMIGHAgEAMB\n-----END-----\n")]);
        let shown = redactor.whole(b"{\"k\":\"-----BEGIN-----\\nMIGHAgEAMB\\n-----END-----\\n\"} > MIGHAgEAMB <");
        assert_eq!(shown, b"{\"k\":\"[redacted:PEM]\"} > [redacted:PEM] <");
    }

    #[test]
    fn a_value_that_is_no_secret_is_shown() {
        let plain = Variable { name: "LEVEL".into(), value: Zeroizing::new("debug".into()), secret: false };
        assert_eq!(Redactor::new([&plain]).whole(b"debug"), b"debug");
    }

    #[test]
    fn one_byte_past_the_line_limit_is_cut_and_the_next_line_is_whole() {
        let mut cap = LineCap::default();
        let mut out = cap.push(&vec![b'a'; LINE_LIMIT - 1]);
        out.extend(cap.push(b"abcd\nnext\n"));
        let mut want = vec![b'a'; LINE_LIMIT];
        want.extend_from_slice(b" [line cut]\nnext\n");
        assert_eq!(out, want);
    }
}
