//! Why evidence was refused, in words: the first cause, what it means, what would change it, and what could not be
//! looked at because of it. Made of a verdict, or of the JSON that one was printed as.

use serde::{Deserialize, Serialize};

use super::about_checks::about;
use crate::{Class, Verdict};

/// A verdict, explained.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    /// As in the verdict: `accepted`, `accepted (test root)`, `rejected`.
    pub verdict: String,
    /// Exit code of the program that gave it.
    pub exit: u8,
    /// What that exit code means.
    pub meaning: &'static str,
    /// The check that decided, if one did.
    pub cause: Option<Cause>,
    /// Other checks that reject.
    pub also: Vec<Cause>,
    /// Checks that were not made, because the ones before left nothing to make them with.
    pub not_reached: Vec<String>,
    /// Checks that nobody asked for.
    pub open: Vec<Cause>,
    /// Known attacks that are not excluded: id and why.
    pub advisories: Vec<Attack>,
}

/// A check that stands in the way, or open.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Cause {
    /// Its name.
    pub check: String,
    /// What it is about.
    pub about: &'static str,
    /// What was found.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// A known attack, as a verdict names it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Attack {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// `applies`, `unknown` or `physical`.
    pub status: String,
    /// Why.
    pub why: String,
}

/// Text that is no verdict.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a verdict in JSON: {0}")]
pub struct NotAVerdict(String);

#[derive(Deserialize)]
struct WireVerdict {
    verdict: String,
    exit: u8,
    checks: Vec<WireCheck>,
    #[serde(default)]
    advisories: Vec<Attack>,
}

#[derive(Deserialize)]
struct WireCheck {
    name: String,
    outcome: String,
    detail: String,
    fix: Option<String>,
    class: String,
    required: bool,
}

impl Diagnosis {
    /// Explains a verdict.
    pub fn of(verdict: &Verdict) -> Self {
        let check = |check: &crate::Check| WireCheck {
            name: check.name.to_owned(),
            outcome: check.outcome.name().to_owned(),
            detail: check.detail.clone(),
            fix: check.fix.clone(),
            class: check.class.name().to_owned(),
            required: check.required,
        };
        let attack = |attack: &super::KnownAttack| Attack {
            id: attack.id.to_owned(),
            title: attack.title.to_owned(),
            status: attack.status.name().to_owned(),
            why: attack.why.clone(),
        };
        Self::of_wire(WireVerdict {
            verdict: verdict.word().to_owned(),
            exit: verdict.exit_code(),
            checks: verdict.checks.iter().map(check).collect(),
            advisories: verdict.advisories.iter().map(attack).collect(),
        })
    }

    /// Explains a verdict that was printed with `--json`.
    ///
    /// # Errors
    /// [`NotAVerdict`].
    pub fn of_json(text: &[u8]) -> Result<Self, NotAVerdict> {
        let wire: WireVerdict = serde_json::from_slice(text).map_err(|error| NotAVerdict(error.to_string()))?;
        Ok(Self::of_wire(wire))
    }

    fn of_wire(verdict: WireVerdict) -> Self {
        let rank = |check: &WireCheck| Class::ALL.iter().position(|class| class.name() == check.class);
        let stands = |check: &WireCheck| match check.outcome.as_str() {
            "pass" => false,
            "fail" => true,
            _ => check.required,
        };
        let first = verdict.checks.iter().filter(|check| stands(check)).min_by_key(|check| rank(check));
        let first = first.map(|check| check.name.clone());
        let (mut cause, mut also, mut not_reached, mut open) = (None, vec![], vec![], vec![]);
        for check in verdict.checks {
            let in_the_way = stands(&check);
            // What an earlier failure kept from being made has the last class and no remedy of its own.
            let kept = in_the_way && check.outcome == "not_checked" && check.class == Class::Proof.name();
            let is_open = check.outcome == "not_checked";
            let is_first = cause.is_none() && first.as_deref() == Some(&check.name) && in_the_way;
            if is_first {
                cause = Some(Cause::of(check));
            } else if kept {
                not_reached.push(check.name);
            } else if in_the_way {
                also.push(Cause::of(check));
            } else if is_open {
                open.push(Cause::of(check));
            }
        }
        Self {
            meaning: meaning(&verdict.verdict, verdict.exit),
            verdict: verdict.verdict,
            exit: verdict.exit,
            cause,
            also,
            not_reached,
            open,
            advisories: verdict.advisories,
        }
    }

    /// The explanation as one JSON object.
    pub fn to_json(&self) -> String {
        // Strings and numbers only: there is nothing in it that could fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

impl Cause {
    fn of(check: WireCheck) -> Self {
        Self { about: about(&check.name), check: check.name, found: check.detail, fix: check.fix }
    }
}

fn meaning(word: &str, exit: u8) -> &'static str {
    match exit {
        0 if word == "accepted" => "AMD's root vouches for it, and it is as the policy wants it.",
        0 => "It is as the policy wants it, under a root that you named: no hardware vouches for it.",
        2 => "Bytes that were given cannot be read as what they should be: nothing in them was believed.",
        3 => "The chain of certificates or the signature does not hold: nobody vouches for this evidence.",
        4 => "AMD has revoked the intermediate, or a list that was given cannot say that it has not.",
        5 => "The evidence is genuine, and the policy does not accept what it says.",
        6 => "Parts hold that do not belong together, or they answer another question than yours.",
        7 => "The evidence holds, and the proof of the call does not.",
        _ => "An exit code that this version does not know.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::malformed;
    use evidence::UnixSeconds;

    #[test]
    fn the_first_cause_is_the_one_that_gives_the_exit_code() {
        let text = r#"{"verdict":"rejected","exit":3,"checks":[
            {"name":"form","outcome":"pass","detail":"raw","class":"malformed","required":true},
            {"name":"vmpl","outcome":"fail","detail":"3","fix":"x","class":"policy","required":true},
            {"name":"signature","outcome":"fail","detail":"no","fix":"y","class":"chain","required":true},
            {"name":"fields","outcome":"not_checked","detail":"nothing vouches for them","class":"proof","required":true},
            {"name":"revocation","outcome":"not_checked","detail":"no list","class":"revoked","required":false}]}"#;
        let diagnosis = Diagnosis::of_json(text.as_bytes()).unwrap();
        assert_eq!(diagnosis.cause.as_ref().map(|cause| cause.check.as_str()), Some("signature"));
        assert_eq!(diagnosis.also.iter().map(|cause| cause.check.as_str()).collect::<Vec<_>>(), ["vmpl"]);
        assert_eq!(diagnosis.not_reached, ["fields"]);
        assert_eq!(diagnosis.open.iter().map(|cause| cause.check.as_str()).collect::<Vec<_>>(), ["revocation"]);
    }

    #[test]
    fn a_verdict_and_its_json_are_explained_alike() {
        let verdict = malformed("form", "no report".into(), "give one", UnixSeconds(0));
        assert_eq!(Diagnosis::of_json(verdict.to_json().as_bytes()), Ok(Diagnosis::of(&verdict)));
        assert_eq!(Diagnosis::of(&verdict).cause.map(|cause| cause.fix), Some(Some("give one".to_owned())));
    }

    #[test]
    fn what_is_no_verdict_is_an_error() {
        for text in [
            "",
            "{}",
            "[]",
            r#"{"verdict":"rejected","exit":3}"#,
            r#"{"verdict":"a","verdict":"b","exit":0,"checks":[]}"#,
        ] {
            assert!(Diagnosis::of_json(text.as_bytes()).is_err(), "{text}");
        }
    }
}
