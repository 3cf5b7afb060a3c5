//! A firmware event log beside a report: it explains registers, it decides nothing (docs/WIRE.md, section 1). Until a
//! quote signs the registers they are the caller's word.

use measured_boot::{Bank, Digest, PcrIndex, PcrSet, PcrValue, ReplayError, Unreplayed};

use crate::{Class, Verdict, appraisal::Checks};

/// Why a file of registers is none.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("registers: {0}")]
pub struct RegistersError(String);

/// Reads the SHA-256 bank of `{"sha256":{"0":"<64 hexadecimal digits>",…}}`; other banks are not looked at.
///
/// # Errors
/// [`RegistersError`], naming the register.
pub fn registers(text: &[u8]) -> Result<PcrSet, RegistersError> {
    let wrong = |what: &str| RegistersError(what.to_owned());
    let tree =
        evidence::json::parse(text, &evidence::json::Limits { bytes: 1 << 20, ..evidence::json::Limits::THEIRS })
            .map_err(|error| RegistersError(error.to_string()))?;
    let bank = tree.member("sha256").and_then(|bank| bank.as_object()).ok_or_else(|| wrong("no object \"sha256\""))?;
    let mut set = PcrSet::new(Bank::Sha256);
    for (number, value) in bank {
        let index = number.parse().ok().and_then(PcrIndex::new);
        let index = index.ok_or_else(|| RegistersError(format!("sha256.{number}: want 0 to 23")))?;
        let digest = value.as_str().and_then(|text| Digest::from_hex(Bank::Sha256, text).ok());
        let digest = digest.ok_or_else(|| RegistersError(format!("sha256.{number}: want 64 hexadecimal digits")))?;
        set.insert(index, PcrValue::from_digest(digest))
            .map_err(|error| RegistersError(format!("sha256.{number}: {error}")))?;
    }
    if set.is_empty() { Err(wrong("no register in \"sha256\"")) } else { Ok(set) }
}

/// Adds the row `event-log`: does replaying the log give these registers?
pub fn check_event_log(verdict: &mut Verdict, log: &[u8], registers: &PcrSet) {
    let mut checks = Checks::continuing(std::mem::take(&mut verdict.checks));
    let replayed = Unreplayed::parse(log).map_err(|error| (Class::Malformed, error.to_string(), error.fix()));
    let replayed = replayed.and_then(|log| {
        log.replay(registers).map_err(|error| {
            let class = match error {
                ReplayError::NothingGiven | ReplayError::Differs { .. } => Class::Binding,
                _ => Class::Malformed,
            };
            (class, error.to_string(), error.fix())
        })
    });
    match replayed {
        Ok(replayed) => {
            let given: Vec<String> = registers.iter().map(|(index, _)| index.number().to_string()).collect();
            let detail = format!(
                "{} events explain PCRs {}; that these are the machine's is your word: no quote signs them",
                replayed.events().count(),
                given.join(" ")
            );
            checks.pass("event-log", Class::Binding, detail);
        }
        Err((class, detail, fix)) => checks.fail("event-log", class, detail, fix),
    }
    verdict.checks = checks.into_inner();
}

#[cfg(test)]
mod tests {
    use evidence::UnixSeconds;

    use super::*;
    use crate::{Outcome, malformed};

    const LOG: &[u8] = include_bytes!("../../../tests/vectors/eventlog/made_uki_boot.bin");
    const REGISTERS: &[u8] = include_bytes!("../../../tests/vectors/eventlog/made_uki_boot.pcrs.json");

    fn row(log: &[u8], registers: &PcrSet) -> (Outcome, Class) {
        let mut verdict = malformed("form", String::new(), "", UnixSeconds(0));
        check_event_log(&mut verdict, log, registers);
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
        ] {
            let error = registers(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
