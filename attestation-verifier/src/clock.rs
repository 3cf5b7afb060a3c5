//! Time as text. The library never asks what time it is.

use evidence::UnixSeconds;
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

/// RFC 3339 in UTC, whole seconds; the number itself for what no calendar holds.
pub fn text(at: UnixSeconds) -> String {
    i64::try_from(at.0)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| at.0.to_string())
}

/// Reads RFC 3339 with any offset; fractions of a second are dropped. `None` if it is none, or before 1970.
pub fn parse(text: &str) -> Option<UnixSeconds> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?.to_offset(UtcOffset::UTC);
    u64::try_from(time.unix_timestamp()).ok().map(UnixSeconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_seconds_agree() {
        assert_eq!(text(UnixSeconds(1_772_323_200)), "2026-03-01T00:00:00Z");
        assert_eq!(parse("2026-03-01T01:00:00+01:00"), Some(UnixSeconds(1_772_323_200)));
        assert_eq!(parse("2026-03-01"), None);
        assert_eq!(parse("1969-12-31T23:59:59Z"), None);
        assert_eq!(text(UnixSeconds(u64::MAX)), u64::MAX.to_string());
    }
}
