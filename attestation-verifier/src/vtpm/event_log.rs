//! A firmware event log beside a report: it explains registers, it decides nothing (docs/WIRE.md, section 1). Until a
//! quote signs the registers they are the caller's word.

use evidence::json::{Limits, parse};
use measured_boot::{Bank, Digest, EventMeaning, PcrIndex, PcrSet, PcrValue};

use super::{
    event_policy::EventPolicy,
    events,
    explained_log::{self, Word},
};
use crate::{Finding, Verdict, appraisal::Checks, finding::ExplainedEvent};

/// Longest file of registers. 24 of them in four banks have 8 KB.
const LONGEST: usize = 64 * 1024;

/// Why a file of registers is none.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("registers: {0}")]
pub struct RegistersError(String);

/// Reads the SHA-256 bank of `{"sha256":{"0":"<64 hexadecimal digits>",…}}`, of `{"bank":"sha256","pcrs":{"0":"…"}}`, or
/// of what `tpm2_pcrread` prints (`sha256:`, then lines `0 : 0x…`). Other banks are not looked at.
///
/// # Errors
/// [`RegistersError`], naming the register.
pub fn registers(text: &[u8]) -> Result<PcrSet, RegistersError> {
    let mut set = PcrSet::new(Bank::Sha256);
    let mut take = |number: &str, value: Option<&str>| {
        let wrong = |what: String| RegistersError(format!("sha256.{number}: {what}"));
        let index = number.parse().ok().and_then(PcrIndex::new).ok_or_else(|| wrong("want 0 to 23".into()))?;
        let digest = value.and_then(|text| Digest::from_hex(Bank::Sha256, text).ok());
        let digest = digest.ok_or_else(|| wrong("want 64 hexadecimal digits".into()))?;
        set.insert(index, PcrValue::from_digest(digest)).map_err(|error| wrong(error.to_string()))
    };
    if text.trim_ascii_start().starts_with(b"{") || text.trim_ascii_start().starts_with(b"[") {
        let tree = parse(text, &Limits { bytes: LONGEST, ..Limits::THEIRS });
        let tree = tree.map_err(|error| RegistersError(error.to_string()))?;
        let named = tree.member("bank").and_then(|bank| bank.as_str()) == Some("sha256");
        let bank = if named { tree.member("pcrs") } else { tree.member("sha256") };
        let bank = bank.and_then(|bank| bank.as_object());
        for (number, value) in bank.ok_or_else(|| RegistersError("no object \"sha256\"".into()))? {
            take(number, value.as_str())?;
        }
    } else {
        for (number, value) in printed(text)? {
            take(number, Some(value))?;
        }
    }
    if set.is_empty() { Err(RegistersError("no register in \"sha256\"".into())) } else { Ok(set) }
}

/// The lines of the SHA-256 bank as `tpm2_pcrread` prints them.
fn printed(text: &[u8]) -> Result<Vec<(&str, &str)>, RegistersError> {
    let fail = || RegistersError("neither JSON nor what tpm2_pcrread prints".into());
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= LONGEST).ok_or_else(fail)?;
    let (mut lines, mut wanted) = (Vec::new(), false);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (left, right) = line.split_once(':').ok_or_else(fail)?;
        match (left.trim(), right.trim()) {
            (bank, "") => wanted = bank == "sha256",
            (number, value) if wanted => lines.push((number, value.strip_prefix("0x").unwrap_or(value))),
            _ => {}
        }
    }
    Ok(lines)
}

/// Adds the row `event-log`: does replaying the log give these registers? And those of the event policy.
pub fn check_event_log(verdict: &mut Verdict, log: &[u8], registers: &PcrSet, policy: &EventPolicy) {
    let mut checks = Checks::continuing(std::mem::take(&mut verdict.checks));
    let replayed = explained_log::replay(&mut checks, log, registers, Word::Caller);
    events::judge(&mut checks, replayed.as_ref(), policy);
    verdict.checks = checks.into_inner();
}

/// Appraises a log by registers that the caller vouches for, and explains its events one by one.
///
/// ```
/// use attestation_verifier::{EventPolicy, appraise_event_log, registers};
///
/// let registers = registers(br#"{"sha256":{"4":"0000000000000000000000000000000000000000000000000000000000000000"}}"#)?;
/// let finding = appraise_event_log(b"no log", &registers, &EventPolicy::unchecked("an example"));
/// assert_eq!((finding.word(), finding.exit_code()), ("does not hold", 2));
/// # Ok::<(), attestation_verifier::RegistersError>(())
/// ```
pub fn appraise_event_log(log: &[u8], registers: &PcrSet, policy: &EventPolicy) -> Finding {
    let mut checks = Checks::default();
    let replayed = explained_log::replay(&mut checks, log, registers, Word::Caller);
    events::judge(&mut checks, replayed.as_ref(), policy);
    let mut finding = Finding::new("the registers given by you", checks.into_inner());
    let events = replayed.iter().flat_map(|replayed| replayed.events()).map(|event| ExplainedEvent {
        register: event.pcr().number(),
        offset: event.offset(),
        stated_type: event.stated_type().to_string(),
        digest: event.digest().to_string(),
        explanation: EventMeaning::of(&event),
    });
    finding.events = events.collect();
    finding
}

#[cfg(test)]
mod tests {
    use evidence::UnixSeconds;

    use super::*;
    use crate::{Class, Outcome, malformed};

    const LOG: &[u8] = include_bytes!("../../../tests/vectors/eventlog/made_uki_boot.bin");
    const REGISTERS: &[u8] = include_bytes!("../../../tests/vectors/eventlog/made_uki_boot.pcrs.json");

    fn row(log: &[u8], registers: &PcrSet) -> (Outcome, Class) {
        let mut verdict = malformed("form", String::new(), "", UnixSeconds(0));
        check_event_log(&mut verdict, log, registers, &EventPolicy::unchecked("a test"));
        let check = verdict.check("event-log").unwrap();
        (check.outcome, check.class)
    }

    #[test]
    fn a_log_explains_its_own_registers_and_no_others() {
        let own = registers(REGISTERS).unwrap();
        assert_eq!(row(LOG, &own), (Outcome::Pass, Class::Binding));
        let text = String::from_utf8(REGISTERS.to_vec()).unwrap();
        let tree: serde_json::Value = serde_json::from_str(&text).unwrap();
        let first = tree["sha256"]["4"].as_str().unwrap();
        let other = registers(text.replace(first, &"ab".repeat(32)).as_bytes()).unwrap();
        assert_eq!(row(LOG, &other), (Outcome::Fail, Class::Binding));
        assert_eq!(row(&LOG[..100], &own), (Outcome::Fail, Class::Malformed));
    }

    #[test]
    fn registers_that_are_none_are_named() {
        for (text, said) in [
            ("[]", "sha256"),
            (r#"{"sha256":{}}"#, "no register"),
            (r#"{"sha256":{"24":"00"}}"#, "sha256.24"),
            (r#"{"sha256":{"4":"00"}}"#, "64 hexadecimal"),
            (r#"{"sha256":{"4":"00","4":"00"}}"#, "twice"),
            (r#"{"bank":"sha1","pcrs":{"4":"00"}}"#, "sha256"),
            ("hello", "neither"),
            ("sha1:\n 4 : 0x00", "no register"),
            ("sha256:\n 4 : 0x00", "64 hexadecimal"),
        ] {
            let error = registers(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn three_ways_to_write_registers_are_the_same_registers() {
        let value = "AB".repeat(32);
        let written = [
            format!(r#"{{"sha1":{{"4":"00"}},"sha256":{{"4":"{value}"}}}}"#),
            format!(r#"{{"bank":"sha256","pcrs":{{"4":"{value}"}}}}"#),
            format!("  sha1:\n    4 : 0x00\n  sha256:\n    4 : 0x{value}\n  sha384:\n"),
        ];
        let sets = written.map(|text| registers(text.as_bytes()).unwrap());
        assert!(sets.iter().all(|set| *set == sets[0] && set.iter().count() == 1));
    }
}
