//! The name under which a gateway is signed in to.

use std::fmt;

/// The gateway's id in challenges and sessions: its public URL or host, from the configuration, never from a request.
/// 1 to 200 visible ASCII characters, so that it stays on its line of a signed text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Audience(String);

/// A text that cannot be an [`Audience`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AudienceError {
    /// Its length in bytes.
    pub bytes: usize,
}

impl Audience {
    /// Longest audience, in bytes.
    pub const MAX_BYTES: usize = 200;

    /// Checks the text.
    ///
    /// # Errors
    /// [`AudienceError`]: empty, longer than [`Self::MAX_BYTES`], or with a space, a control or a non-ASCII character.
    pub fn new(text: &str) -> Result<Self, AudienceError> {
        let fits =
            !text.is_empty() && text.len() <= Self::MAX_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(text.to_owned())) } else { Err(AudienceError { bytes: text.len() }) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AudienceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gateway id: want 1 to {} visible ASCII characters, found {} bytes", Audience::MAX_BYTES, self.bytes)
    }
}

impl std::error::Error for AudienceError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audience_stays_on_its_line() {
        assert!(Audience::new("https://gw.example").is_ok());
        assert!(Audience::new(&"a".repeat(Audience::MAX_BYTES)).is_ok());
        for text in ["", "a b", "a\nb", "gw.exämple", &"a".repeat(Audience::MAX_BYTES + 1)] {
            assert!(Audience::new(text).is_err(), "{text:?}");
        }
    }
}
