//! The first entry of a lineage (docs/WIRE.md): one machine's keys, from `keys init` until its TPM is cleared.

use evidence::{Digest, UnixSeconds};

/// The entry's exact bytes; its digest is the lineage.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Genesis(String);

impl Genesis {
    /// `{"created":…,"random":…,"type":"genesis","v":1}`: canonical, so members are in order and there is no space.
    pub fn new(random: [u8; 32], created: UnixSeconds) -> Self {
        let (random, created) = (hex::encode(random), created.0);
        Self(format!(r#"{{"created":{created},"random":"{random}","type":"genesis","v":1}}"#))
    }

    /// Reads an entry back; nothing but the exact bytes of [`Genesis::new`] is one.
    pub fn parse(text: &str) -> Option<Self> {
        let (created, rest) = text.strip_prefix(r#"{"created":"#)?.split_once(r#","random":""#)?;
        let random = rest.strip_suffix(r#"","type":"genesis","v":1}"#)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(random, &mut bytes).ok()?;
        let entry = Self::new(bytes, UnixSeconds(created.parse().ok()?));
        (entry.0 == text).then_some(entry)
    }

    /// The bytes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// H("sealgate/genesis/v1", bytes).
    pub fn lineage(&self) -> Digest {
        evidence::hash(evidence::tag::GENESIS, &[self.0.as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_reads_back_as_itself_and_nothing_else_does() {
        let entry = Genesis::new([0xAB; 32], UnixSeconds(1_795_000_000));
        assert_eq!(Genesis::parse(entry.as_str()), Some(entry.clone()));
        let text = entry.as_str();
        for other in [
            text.replace("1795000000", "01795000000"),
            text.replace("1795000000", "+1795000000"),
            text.replace("ab", "AB"),
            text.replace("\"v\":1", "\"v\":2"),
            format!("{text}\n"),
            format!(" {text}"),
            text.replace("abab", ""),
        ] {
            assert_eq!(Genesis::parse(&other), None, "{other}");
        }
    }
}
