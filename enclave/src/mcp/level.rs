//! How loud a server's log messages are to be (MCP, "Logging"; RFC 5424).

/// From quiet to loud.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Level {
    /// The system is unusable.
    Emergency,
    /// Something must be done at once.
    Alert,
    /// Critical conditions.
    Critical,
    /// Errors.
    Error,
    /// Warnings.
    Warning,
    /// Normal but significant.
    Notice,
    /// For information.
    Info,
    /// For whoever looks for a fault.
    Debug,
}

impl Level {
    /// All of them, from quiet to loud.
    pub(crate) const ALL: [Self; 8] = [
        Self::Emergency,
        Self::Alert,
        Self::Critical,
        Self::Error,
        Self::Warning,
        Self::Notice,
        Self::Info,
        Self::Debug,
    ];

    /// The word on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Emergency => "emergency",
            Self::Alert => "alert",
            Self::Critical => "critical",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }

    /// The level that a word names.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == word)
    }

    /// Whether a message of this word is wanted at this level. A word that is none of ours is.
    pub(crate) fn lets_through(self, word: Option<&str>) -> bool {
        word.and_then(Self::of).is_none_or(|level| level <= self)
    }
}

#[cfg(test)]
mod tests {
    use super::Level;

    #[test]
    fn what_is_quieter_than_asked_for_passes_and_what_is_louder_does_not() {
        for level in Level::ALL {
            assert_eq!(Level::of(level.as_str()), Some(level));
            assert!(Level::Debug.lets_through(Some(level.as_str())));
        }
        assert!(Level::Warning.lets_through(Some("error")) && !Level::Warning.lets_through(Some("info")));
        assert!(Level::Warning.lets_through(None) && Level::Warning.lets_through(Some("verbose")));
        assert_eq!(Level::of("Info"), None, "words are as they are written");
    }
}
