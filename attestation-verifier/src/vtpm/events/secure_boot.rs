//! Was Secure Boot on? By the firmware alone: PCR 7 before its separator.

use measured_boot::EfiVariable;

use super::{Rows, is_separator, note};
use crate::{Class, Rule, appraisal::Checks};

impl Rows<'_> {
    pub(super) fn secure_boot(&self, checks: &mut Checks) {
        const ROW: &str = "event-secure-boot";
        let found = self.secure_boot_state();
        match (&self.policy.secure_boot, found) {
            (Rule::Unchecked(reason), Ok(on)) => note(checks, ROW, format!("{}; unchecked: {reason}", on_or_off(on))),
            (Rule::Unchecked(reason), Err(_)) => note(checks, ROW, format!("unchecked: {reason}")),
            (Rule::Check(wanted), Ok(on)) if *wanted == on => checks.pass(ROW, Class::Policy, on_or_off(on).to_owned()),
            (Rule::Check(wanted), Ok(on)) => {
                let detail = format!("Secure Boot was {}, the policy wants it {}", on_or_off(on), on_or_off(*wanted));
                checks.fail(
                    ROW,
                    Class::Policy,
                    detail,
                    "boot the machine as the policy wants, or accept it in the policy file",
                );
            }
            (Rule::Check(_), Err(why)) => self.open(checks, ROW, &why),
        }
    }

    /// What the firmware measured of `SecureBoot` before its separator in PCR 7, where no later code can put anything.
    fn secure_boot_state(&self) -> Result<bool, String> {
        let events = self.events(7).ok_or("PCR 7 is not among the explained registers")?;
        let end = events.iter().position(is_separator).ok_or("PCR 7 has no separator")?;
        let before = events.get(..end).unwrap_or_default();
        let mut states = before.iter().filter_map(|event| EfiVariable::parse(event.measured_data()?)?.secure_boot());
        match (states.next(), states.next()) {
            (Some(Ok(on)), None) => Ok(on),
            (None, _) => Err("no event before the separator of PCR 7 is proven to be SecureBoot".to_owned()),
            _ => Err("PCR 7 says more than one thing about SecureBoot".to_owned()),
        }
    }
}

fn on_or_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

#[cfg(test)]
mod tests {
    use measured_boot::Unreplayed;

    use super::super::{
        EventPolicy,
        sample::{Judged, LOG, empty, left_by, with},
    };
    use super::*;
    use crate::Outcome;

    fn secure_boot(on: u8) -> Vec<u8> {
        let data = Unreplayed::parse(LOG).unwrap().replay(&left_by(LOG)).unwrap();
        let event = data.events().find_map(|event| {
            let data = event.measured_data()?;
            EfiVariable::parse(data)?.secure_boot()?.ok().map(|_| data.to_vec())
        });
        let mut data = event.unwrap();
        *data.last_mut().unwrap() = on;
        data
    }

    #[test]
    fn secure_boot_is_what_the_firmware_said_before_its_separator() {
        let (on, off, separator) = (secure_boot(1), secure_boot(0), [0; 4]);
        let policy = EventPolicy { secure_boot: Rule::Check(true), ..EventPolicy::unchecked("a test") };
        let row = |events: &[(u32, &[u8], &[u8])]| {
            let log = with(&empty(), events);
            let judged = Judged::by(&log, &left_by(&log), &policy);
            judged.outcome("event-secure-boot")
        };
        assert_eq!(row(&[(7, &on, &on), (7, &separator, &separator)]), Outcome::Pass);
        assert_eq!(row(&[(7, &off, &off), (7, &separator, &separator)]), Outcome::Fail);
        // The true event in disguise, a made-up one by the running system behind the separator.
        assert_eq!(row(&[(7, &off, b"?"), (7, &separator, &separator), (7, &on, &on)]), Outcome::NotChecked);
        assert_eq!(row(&[(7, &off, &off), (7, &separator, &separator), (7, &on, &on)]), Outcome::Fail);
        assert_eq!(row(&[(7, &off, &on), (7, &separator, &separator)]), Outcome::NotChecked);
        assert_eq!(row(&[(7, &on, &on), (7, &off, &off), (7, &separator, &separator)]), Outcome::NotChecked);
        assert_eq!(row(&[(7, &on, &on)]), Outcome::NotChecked, "no separator");
        assert_eq!(row(&[(7, &secure_boot(2), &secure_boot(2)), (7, &separator, &separator)]), Outcome::NotChecked);
    }
}
