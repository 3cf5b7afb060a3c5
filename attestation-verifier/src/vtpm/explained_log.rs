//! An event log and the registers that it explains. What the firmware measured has to be there exactly; what the system
//! measured after the log had ended is told apart from it.

use measured_boot::{Bank, PcrSet, PcrValue, Replayed, Unreplayed};

use super::quote::list;
use crate::{Class, appraisal::Checks};

/// Registers that the running system extends, of which no firmware log tells: measured files, the gateway's core, and
/// two that any program may reset. They are explained only if the log extends them.
const OF_THE_SYSTEM: [u8; 4] = [10, 15, 16, 23];
/// What systemd extends into PCR 11 while it starts, in this order.
pub(super) const PHASES: [&str; 4] = ["enter-initrd", "leave-initrd", "sysinit", "ready"];

/// Whose word the registers are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Word {
    /// A verified quote's.
    Quote,
    /// The caller's.
    Caller,
}

/// Adds the row `event-log`: the log, believed as far as these registers go.
pub(crate) fn replay<'a>(checks: &mut Checks, log: &'a [u8], registers: &PcrSet, word: Word) -> Option<Replayed<'a>> {
    match explain(log, registers, word) {
        Ok((replayed, detail)) => {
            checks.pass("event-log", Class::Binding, detail);
            Some(replayed)
        }
        Err(refused) => {
            checks.fail("event-log", refused.class, refused.detail, refused.fix);
            None
        }
    }
}

/// A log that is not believed.
pub(crate) struct Refused {
    pub(crate) class: Class,
    pub(crate) detail: String,
    pub(crate) fix: &'static str,
}

/// The log, believed as far as these registers go, and what it explains in words.
pub(crate) fn explain<'a>(log: &'a [u8], registers: &PcrSet, word: Word) -> Result<(Replayed<'a>, String), Refused> {
    let malformed = |detail, fix| Refused { class: Class::Malformed, detail, fix };
    let log = Unreplayed::parse(log).map_err(|error| malformed(error.to_string(), error.fix()))?;
    let claimed = log.claimed_pcrs(Bank::Sha256).map_err(|error| malformed(error.to_string(), error.fix()))?;
    let (mut left_out, mut phases) = (Vec::new(), None);
    let mut compared = PcrSet::new(Bank::Sha256);
    for (index, quoted) in registers.iter() {
        let value = match (index.number(), claimed.value(index)) {
            (number, None) if OF_THE_SYSTEM.contains(&number) => {
                left_out.push(number);
                continue;
            }
            // systemd goes on where the boot stub ended: what the log leads to is then on the way to the quoted value.
            (11, Some(said)) => match after_phases(said, quoted) {
                Some(count) => {
                    phases = count.checked_sub(1);
                    said.clone()
                }
                None => {
                    left_out.push(11);
                    continue;
                }
            },
            _ => quoted.clone(),
        };
        // Every index comes once.
        let _ = compared.insert(index, value);
    }
    let given: Vec<u8> = compared.iter().map(|(index, _)| index.number()).collect();
    let replayed = log.replay(&compared);
    let replayed =
        replayed.map_err(|error| Refused { class: Class::Binding, detail: error.to_string(), fix: error.fix() })?;
    let whose = match word {
        Word::Quote => ", which the quote signs",
        Word::Caller => "; that these are the machine's is your word: no quote signs them",
    };
    let mut detail = format!("{} events explain PCRs {}{whose}", replayed.events().count(), list(&given));
    if let Some(phase) = phases.and_then(|last| PHASES.get(last)) {
        detail.push_str(&format!("; PCR 11 after systemd's phase {phase}"));
    }
    if !left_out.is_empty() {
        detail.push_str(&format!("; what the system measured later is not in it: {}", list(&left_out)));
    }
    Ok((replayed, detail))
}

/// How many of systemd's phases lead from one value to the other.
fn after_phases(from: &PcrValue, to: &PcrValue) -> Option<usize> {
    let mut value = from.clone();
    for (count, phase) in PHASES.iter().enumerate() {
        if value == *to {
            return Some(count);
        }
        value = value.extend(&Bank::Sha256.hash(phase.as_bytes())).ok()?;
    }
    (value == *to).then_some(PHASES.len())
}
