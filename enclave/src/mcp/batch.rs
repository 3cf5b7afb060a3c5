//! Batches (JSON-RPC 2.0, section 6), which MCP has in 2025-03-26 alone: one array in, one array out.

use evidence::json::Value;

use super::era::WITH_BATCHES;

/// Whether a client of this version may send a batch. Who says no version is of 2025-03-26 (MCP 2025-06-18, Transports).
pub(crate) fn is_taken(version: Option<&str>) -> bool {
    version.is_none_or(|version| version == WITH_BATCHES)
}

/// The answer to a batch: `None` where nothing in it wanted one.
pub(crate) fn joined(answers: Vec<Value>) -> Option<Value> {
    (!answers.is_empty()).then_some(Value::Array(answers))
}

#[cfg(test)]
mod tests {
    use super::is_taken;

    #[test]
    fn one_version_has_batches_and_it_is_the_one_of_who_says_none() {
        assert!(is_taken(None) && is_taken(Some("2025-03-26")));
        for version in ["2024-11-05", "2025-06-18", "2025-11-25", "2026-07-28"] {
            assert!(!is_taken(Some(version)), "{version}");
        }
    }
}
