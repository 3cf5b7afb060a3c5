//! A verdict: every check with its outcome, and what they do not add up to. "Not checked" is an outcome of its own and
//! never counts as passed.

use evidence::UnixSeconds;
use serde::Serialize;

use crate::{EvidenceId, KnownAttack, NotProven, Trust, clock, policy::advisories::WireAttack};

/// Outcome of a check.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It holds.
    Pass,
    /// It does not.
    Fail,
    /// There was nothing to check it with, or an earlier failure left nothing to believe.
    NotChecked,
}

impl Outcome {
    /// `pass`, `fail`, `not_checked`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::NotChecked => "not_checked",
        }
    }
}

/// What kind of rejection a check gives. Where several fail, the first of this order decides the exit code: bytes that
/// cannot be read, then a revocation, then chain or signature, parts that do not fit, the policy, the proof.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Class {
    /// Malformed evidence: exit 2.
    Malformed,
    /// Revoked, or a list was given that cannot tell: exit 4.
    Revoked,
    /// Chain or signature: exit 3.
    Chain,
    /// Parts that do not belong together, or not to the question: exit 6.
    Binding,
    /// Against the policy: exit 5.
    Policy,
    /// Execution proof: exit 7.
    Proof,
}

impl Class {
    /// All classes, in the order in which they decide.
    pub const ALL: [Self; 6] = [Self::Malformed, Self::Revoked, Self::Chain, Self::Binding, Self::Policy, Self::Proof];

    /// The word in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Revoked => "revoked",
            Self::Chain => "chain",
            Self::Binding => "binding",
            Self::Policy => "policy",
            Self::Proof => "proof",
        }
    }

    /// Exit code of the program.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Malformed => 2,
            Self::Chain => 3,
            Self::Revoked => 4,
            Self::Policy => 5,
            Self::Binding => 6,
            Self::Proof => 7,
        }
    }
}

/// One check.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Check {
    /// Its name, stable.
    pub name: &'static str,
    /// How it went.
    pub outcome: Outcome,
    /// What was compared, or what is wrong.
    pub detail: String,
    /// What to do about a failure.
    pub fix: Option<String>,
    /// What kind of rejection it gives.
    pub class: Class,
    /// Must it pass? A check that need not may stay `not_checked`, but never fail.
    pub required: bool,
}

/// The check that decides: of those that fail, or are missing though required, the first of the earliest class.
pub(crate) fn first_in_the_way(checks: &[Check]) -> Option<(Class, &Check)> {
    let stands_in_the_way = |check: &&Check| match check.outcome {
        Outcome::Pass => false,
        Outcome::Fail => true,
        Outcome::NotChecked => check.required,
    };
    // Of several smallest ones, `min_by_key` gives the first.
    let check = checks.iter().filter(stands_in_the_way).min_by_key(|check| check.class)?;
    Some((check.class, check))
}

/// How much the code identity rests on (docs/WIRE.md, section 1).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Grade {
    /// Nothing says which code runs.
    None,
    /// The host's virtual TPM says so.
    Host,
    /// The cloud vendor's paravisor says so.
    Vendor,
    /// The processor says so.
    Hardware,
}

impl Grade {
    /// `none`, `host`, `vendor`, `hardware`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Host => "host",
            Self::Vendor => "vendor",
            Self::Hardware => "hardware",
        }
    }
}

/// Times of a verdict.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Times {
    /// Dates and revocation were judged at this time.
    pub verified_at: UnixSeconds,
    /// What was proven was made no earlier, as far as something other than the host shows.
    pub not_before: Option<UnixSeconds>,
    /// And no later.
    pub not_after: Option<UnixSeconds>,
    /// What the evidence says itself.
    pub claimed: Option<UnixSeconds>,
}

impl Times {
    /// Verified at a time, nothing else known: a report carries no time.
    pub fn at(verified_at: UnixSeconds) -> Self {
        Self { verified_at, not_before: None, not_after: None, claimed: None }
    }
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// In the order of the trust chain.
    pub checks: Vec<Check>,
    /// What is not proven, in the registry's order.
    pub not_proven: Vec<NotProven>,
    /// See [`Grade`].
    pub grade: Grade,
    /// Whose root the chain ends in; `None` if it does not hold.
    pub trust: Option<Trust>,
    /// See [`Times`].
    pub times: Times,
    /// Name of the evidence, if there was a report at all.
    pub evidence: Option<EvidenceId>,
    /// Fields that the policy does not look at, with its reasons.
    pub unchecked: Vec<Unchecked>,
    /// Known attacks that the evidence does not exclude.
    pub advisories: Vec<KnownAttack>,
}

/// A field that the policy does not look at.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Unchecked {
    /// Its path in the policy file.
    pub field: String,
    /// In the words of whoever wrote the policy.
    pub reason: String,
}

impl Verdict {
    /// The class that rejects; `None` if all that is required passes, nothing fails, and a root vouches for it.
    pub fn rejection(&self) -> Option<Class> {
        let class = self.reason().map(|(class, _)| class);
        // Whatever the checks say, nothing is accepted on nobody's word.
        class.or(if self.trust.is_none() { Some(Class::Chain) } else { None })
    }

    /// The class that rejects, and the first check of that class that does. Earlier classes outrank later ones.
    pub fn reason(&self) -> Option<(Class, &Check)> {
        first_in_the_way(&self.checks)
    }

    /// `accepted`, `accepted (test root)` or `rejected`.
    pub fn word(&self) -> &'static str {
        match (self.rejection(), self.trust) {
            (None, Some(Trust::Amd)) => "accepted",
            (None, Some(Trust::Test)) => "accepted (test root)",
            _ => "rejected",
        }
    }

    /// Exit code of the program: 0 if accepted, under a test root too.
    pub fn exit_code(&self) -> u8 {
        self.rejection().map_or(0, Class::exit_code)
    }

    /// The check of that name.
    pub fn check(&self, name: &str) -> Option<&Check> {
        self.checks.iter().find(|check| check.name == name)
    }

    /// Adds a known attack, once.
    pub(crate) fn knows_attack(&mut self, attack: KnownAttack) {
        if !self.advisories.contains(&attack) {
            self.advisories.push(attack);
        }
    }

    /// Adds a code to [`Verdict::not_proven`], once, in its place.
    pub fn leaves_open(&mut self, code: NotProven) {
        if let Err(at) = self.not_proven.binary_search(&code) {
            self.not_proven.insert(at, code);
        }
    }

    /// Adds a field to [`Verdict::unchecked`], once.
    pub fn leaves_unchecked(&mut self, unchecked: Unchecked) {
        if !self.unchecked.contains(&unchecked) {
            self.unchecked.push(unchecked);
        }
    }

    /// Takes a code back: it was shown after all.
    pub(crate) fn settles(&mut self, code: NotProven) {
        self.not_proven.retain(|open| *open != code);
    }

    /// The first line for people: the word, and what a reader must not miss beside it. A rejection has its first reason.
    pub fn headline(&self) -> String {
        match self.reason() {
            Some((_, check)) => format!("{}: {}: {}", self.word(), check.name, check.detail),
            None if self.grade == Grade::Host => format!("{} (code vouched for by the host's vTPM)", self.word()),
            None => self.word().to_owned(),
        }
    }

    /// The verdict as one JSON object.
    pub fn to_json(&self) -> String {
        let wire = Wire {
            verdict: self.word(),
            checks: self
                .checks
                .iter()
                .map(|check| WireCheck {
                    name: check.name,
                    outcome: check.outcome.name(),
                    detail: &check.detail,
                    fix: check.fix.as_deref(),
                    class: check.class.name(),
                    required: check.required,
                })
                .collect(),
            not_proven: self.not_proven.iter().map(|code| code.code()).collect(),
            advisories: self.advisories.iter().map(KnownAttack::wire).collect(),
            unchecked: &self.unchecked,
            grade: self.grade.name(),
            trust: self.trust.map(Trust::name),
            time: WireTimes {
                verified_at: clock::text(self.times.verified_at),
                not_before: self.times.not_before.map(clock::text),
                not_after: self.times.not_after.map(clock::text),
                claimed: self.times.claimed.map(clock::text),
            },
            evidence: self.evidence.map(|id| id.to_string()),
            exit: self.exit_code(),
        };
        // Strings and numbers only: there is nothing in it that could fail.
        serde_json::to_string_pretty(&wire).unwrap_or_default()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    verdict: &'a str,
    checks: Vec<WireCheck<'a>>,
    not_proven: Vec<&'a str>,
    advisories: Vec<WireAttack<'a>>,
    unchecked: &'a [Unchecked],
    grade: &'a str,
    trust: Option<&'a str>,
    time: WireTimes,
    evidence: Option<String>,
    exit: u8,
}

#[derive(Serialize)]
struct WireCheck<'a> {
    name: &'a str,
    outcome: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<&'a str>,
    class: &'a str,
    required: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireTimes {
    verified_at: String,
    not_before: Option<String>,
    not_after: Option<String>,
    claimed: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(trust: Option<Trust>, checks: &[(Outcome, Class, bool)]) -> Verdict {
        let check = |(outcome, class, required): &(Outcome, Class, bool)| Check {
            name: "x",
            outcome: *outcome,
            detail: String::new(),
            fix: None,
            class: *class,
            required: *required,
        };
        Verdict {
            checks: checks.iter().map(check).collect(),
            not_proven: vec![],
            grade: Grade::None,
            trust,
            times: Times::at(UnixSeconds(0)),
            evidence: None,
            unchecked: vec![],
            advisories: vec![],
        }
    }

    #[test]
    fn not_checked_never_reads_as_valid_where_it_is_required() {
        let open = verdict(Some(Trust::Amd), &[(Outcome::NotChecked, Class::Chain, true)]);
        assert_eq!((open.word(), open.exit_code()), ("rejected", 3));
        let optional = verdict(Some(Trust::Amd), &[(Outcome::NotChecked, Class::Chain, false)]);
        assert_eq!((optional.word(), optional.exit_code()), ("accepted", 0));
    }

    #[test]
    fn a_test_root_has_its_own_word_and_no_root_has_none() {
        let pass = [(Outcome::Pass, Class::Chain, true)];
        assert_eq!(verdict(Some(Trust::Test), &pass).word(), "accepted (test root)");
        assert_eq!(verdict(None, &pass).word(), "rejected");
        assert_eq!(verdict(None, &[]).exit_code(), 3);
    }

    #[test]
    fn a_revocation_outranks_the_chain_it_breaks() {
        let fails = [(Outcome::Fail, Class::Chain, true), (Outcome::Fail, Class::Revoked, false)];
        assert_eq!(verdict(None, &fails).exit_code(), 4);
    }

    #[test]
    fn the_classes_stand_in_the_order_in_which_they_decide() {
        assert!(Class::ALL.is_sorted() && Class::ALL.iter().all(|class| *class <= Class::Proof));
    }

    #[test]
    fn codes_are_kept_once_and_in_order() {
        let mut verdict = verdict(None, &[]);
        for code in [NotProven::SideChannels, NotProven::CodeUnknown, NotProven::SideChannels] {
            verdict.leaves_open(code);
        }
        assert_eq!(verdict.not_proven, [NotProven::CodeUnknown, NotProven::SideChannels]);
    }
}
