//! Instants as text (ISO 8601, the forms that name one instant and nothing else).

use std::fmt;

use evidence::UnixSeconds;
use time::{Date, OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};

/// Longest text that is looked at, in bytes.
const MAX_BYTES: usize = 40;

/// A text that names no instant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InstantError;

impl fmt::Display for InstantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("time: want ISO 8601 with a zone, for instance 2027-01-01T00:00:00Z, or a date, which is its midnight in UTC")
    }
}

impl std::error::Error for InstantError {}

/// Reads `2027-01-01T00:00:00Z`, also with a fraction (cut off) or a numeric zone, and `2027-01-01`, which ECMA-262 reads
/// as midnight in UTC. A time of day without a zone is local to whoever reads it, and refused.
///
/// # Errors
/// [`InstantError`], also for an instant before 1970.
pub fn parse_iso_8601(text: &str) -> Result<UnixSeconds, InstantError> {
    if text.len() > MAX_BYTES || !text.is_ascii() {
        return Err(InstantError);
    }
    let at = if text.len() == 10 {
        Date::parse(text, format_description!("[year]-[month]-[day]"))
            .map_err(|_| InstantError)?
            .midnight()
            .assume_utc()
    } else if text.as_bytes().get(10) == Some(&b'T') && !text.ends_with('z') {
        OffsetDateTime::parse(text, &Rfc3339).map_err(|_| InstantError)?
    } else {
        return Err(InstantError);
    };
    u64::try_from(at.unix_timestamp()).map(UnixSeconds).map_err(|_| InstantError)
}

/// `2027-01-01T00:00:00Z`. An instant after the year 9999, which has no such form, is written as its seconds.
pub fn iso_8601(at: UnixSeconds) -> String {
    let date = i64::try_from(at.0).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    date.and_then(|date| date.format(&Rfc3339).ok()).unwrap_or_else(|| at.0.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_is_one_instant() {
        let new_year = UnixSeconds(1_798_761_600);
        for text in ["2027-01-01T00:00:00Z", "2027-01-01T00:00:00.999Z", "2027-01-01", "2027-01-01T01:00:00+01:00"] {
            assert_eq!(parse_iso_8601(text), Ok(new_year), "{text}");
        }
        assert_eq!(iso_8601(new_year), "2027-01-01T00:00:00Z");
        for text in [
            "",
            "never",
            "2027-01-01T00:00:00",
            "2027-01-01 00:00:00Z",
            "2027-01-01T00:00:00z",
            "2027-13-01",
            "2027-02-30",
            "1969-12-31",
            "1798761600",
            "2027-01-01T00:00:00Z\n",
            "2027-01-01T00:00:00.00000000000000000000000000000000000000Z",
        ] {
            assert_eq!(parse_iso_8601(text), Err(InstantError), "{text:?}");
        }
    }
}
