//! Time as text. The library never asks what time it is.

use evidence::UnixSeconds;

const DAY: u64 = 86_400;
/// The last second of the year 9999, beyond which RFC 3339 has no text.
const LAST: u64 = 253_402_300_799;

/// RFC 3339 in UTC, whole seconds; the number itself for what no calendar holds.
pub fn text(at: UnixSeconds) -> String {
    let UnixSeconds(seconds) = at;
    if seconds > LAST {
        return seconds.to_string();
    }
    let (year, month, day) = date(seconds / DAY);
    let (hour, minute, second) = (seconds % DAY / 3600, seconds % 3600 / 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Reads RFC 3339 with any offset; fractions of a second are dropped. `None` if it is none, or before 1970, or a leap
/// second.
pub fn parse(text: &str) -> Option<UnixSeconds> {
    let (moment, zone) = text.split_at_checked(19)?;
    let number = |from: usize, length: usize| digits(moment.get(from..from + length)?);
    let marks = [(4, '-'), (7, '-'), (10, 'T'), (13, ':'), (16, ':')];
    let is_marked = |(at, mark): (usize, char)| {
        moment.as_bytes().get(at).is_some_and(|byte| char::from(*byte).eq_ignore_ascii_case(&mark))
    };
    if !marks.into_iter().all(is_marked) {
        return None;
    }
    let local = seconds(number(0, 4)?, number(5, 2)?, number(8, 2)?, number(11, 2)?, number(14, 2)?, number(17, 2)?)?;
    let zone = match zone.strip_prefix('.') {
        None => zone,
        Some(fraction) => {
            let end = fraction.find(|c: char| !c.is_ascii_digit()).filter(|end| *end > 0)?;
            fraction.get(end..)?
        }
    };
    if zone == "Z" || zone == "z" {
        return Some(UnixSeconds(local));
    }
    let (hours, minutes) = zone.get(1..)?.split_once(':').filter(|(h, m)| h.len() == 2 && m.len() == 2)?;
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let offset = hours * 3600 + minutes * 60;
    match zone.get(..1)? {
        "+" => local.checked_sub(offset),
        "-" => local.checked_add(offset),
        _ => None,
    }
    .map(UnixSeconds)
}

/// Seconds since 1970 of a moment in UTC by the Gregorian calendar; `None` before 1970 and for what is no such moment.
pub(crate) fn seconds(year: u64, month: u64, day: u64, hour: u64, minute: u64, second: u64) -> Option<u64> {
    let is_moment = (1970..=9999).contains(&year) && hour < 24 && minute < 60 && second < 60;
    if !is_moment || day == 0 || day > days_of(year, month)? {
        return None;
    }
    let months: u64 = (1..month).filter_map(|month| days_of(year, month)).sum();
    let days = days_before(year) - days_before(1970) + months + day - 1;
    Some(days * DAY + hour * 3600 + minute * 60 + second)
}

/// Year, month and day of a day counted from 1970.
fn date(days: u64) -> (u64, u64, u64) {
    // No year is longer than this, so the guess is never too late.
    let mut year = 1970 + days / 366;
    while days_before(year + 1) - days_before(1970) <= days {
        year += 1;
    }
    let mut left = days - (days_before(year) - days_before(1970));
    let mut month = 1;
    while let Some(length) = days_of(year, month).filter(|length| *length <= left) {
        left -= length;
        month += 1;
    }
    (year, month, left + 1)
}

/// Days from the year 1 to the beginning of `year`.
fn days_before(year: u64) -> u64 {
    let past = year - 1;
    past * 365 + past / 4 - past / 100 + past / 400
}

fn days_of(year: u64, month: u64) -> Option<u64> {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 => Some(if is_leap { 29 } else { 28 }),
        _ => None,
    }
}

fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_seconds_agree() {
        assert_eq!(text(UnixSeconds(1_772_323_200)), "2026-03-01T00:00:00Z");
        assert_eq!(parse("2026-03-01T01:00:00+01:00"), Some(UnixSeconds(1_772_323_200)));
        assert_eq!(parse("2026-02-28T18:30:00.25-05:30"), Some(UnixSeconds(1_772_323_200)));
        assert_eq!(parse("1969-12-31T23:59:59Z"), None);
        assert_eq!(text(UnixSeconds(u64::MAX)), u64::MAX.to_string());
        assert_eq!(text(UnixSeconds(LAST)), "9999-12-31T23:59:59Z");
        assert_eq!(text(UnixSeconds(LAST + 1)), (LAST + 1).to_string());
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for bad in [
            "",
            "2026-03-01",
            "2026-03-01T00:00:00",
            "2026-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-03-00T00:00:00Z",
            "2026-03-01T24:00:00Z",
            "2026-03-01T00:60:00Z",
            "2026-03-01T00:00:60Z",
            "2026-03-01T00:00:00.Z",
            "2026-03-01T00:00:00+24:00",
            "2026-03-01T00:00:00+1:00",
            "2026-03-01T00:00:00 01:00",
            "2026-03-01 00:00:00Z",
            "+026-03-01T00:00:00Z",
            "2026-03-01T00:00:00Zz",
            "2026-03-0éT00:00:00Z",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    /// `time` is the oracle.
    #[test]
    fn every_day_of_a_thousand_years_reads_and_prints_as_elsewhere() {
        use time::{OffsetDateTime, format_description::well_known::Rfc3339};
        for day in 0..366_000_u64 {
            let at = day * DAY + day % DAY;
            let theirs = OffsetDateTime::from_unix_timestamp(at.try_into().unwrap()).unwrap();
            let ours = text(UnixSeconds(at));
            assert_eq!(ours, theirs.format(&Rfc3339).unwrap());
            assert_eq!(parse(&ours), Some(UnixSeconds(at)));
        }
    }
}
