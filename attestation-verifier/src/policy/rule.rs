//! The words a policy is made of.

/// A rule, or the reason why there is none. A policy file cannot leave a rule out; it can only say why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Rule<T> {
    /// The evidence is held against this.
    Check(T),
    /// Not looked at. The reason goes into the verdict.
    Unchecked(String),
}

impl<T> Rule<T> {
    /// No rule, for this reason.
    pub fn unchecked(reason: impl Into<String>) -> Self {
        Self::Unchecked(reason.into())
    }

    /// What is asked, if something is.
    pub fn asked(&self) -> Option<&T> {
        match self {
            Self::Check(rule) => Some(rule),
            Self::Unchecked(_) => None,
        }
    }

    /// Why nothing is asked.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Check(_) => None,
            Self::Unchecked(reason) => Some(reason),
        }
    }
}

/// What a bit of the report must be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bit {
    /// One.
    Require,
    /// Zero.
    Refuse,
}

impl Bit {
    /// Every value with its word in a policy file.
    pub(crate) const WORDS: &'static [(&'static str, Self)] = &[("require", Self::Require), ("refuse", Self::Refuse)];

    /// Is the bit as it must be?
    pub fn holds(self, bit: bool) -> bool {
        bit == (self == Self::Require)
    }
}

/// Claims that may stay open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Need {
    /// `not_checked` is a rejection.
    Required,
    /// `not_checked` is reported, and no more. What is shown has to hold all the same.
    Optional,
}

impl Need {
    pub(crate) const WORDS: &'static [(&'static str, Self)] =
        &[("require", Self::Required), ("optional", Self::Optional)];
}

/// What the caller must expect of REPORT_DATA.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ReportData {
    /// Something: a verdict without an expectation (`--report-data`, of a bundle or proof `--nonce`) is a rejection.
    Required,
    /// One of these, which the policy names itself.
    OneOf(Vec<[u8; 64]>),
}

/// What a revocation list may do that cannot vouch for the time of verification, because it is past its nextUpdate or
/// not yet at its thisUpdate. Whatever it revokes stays revoked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StaleCrl {
    /// Lists must be current: one that is not rejects.
    Require,
    /// `revocation` is `not_checked` and says that the list is out of date.
    Warn,
    /// Up to this many days past its nextUpdate a list counts as current; after that, and before its thisUpdate, it
    /// rejects.
    AcceptUntil {
        /// Days of 86,400 seconds.
        days: u16,
    },
}

/// What a known attack that the evidence does not exclude does to the verdict.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnAdvisory {
    /// The row `advisories` names it and stays `not_checked`.
    Report,
    /// It rejects, unless [`Policy::accepted_advisories`](crate::Policy::accepted_advisories) has it.
    Reject,
}

impl OnAdvisory {
    pub(crate) const WORDS: &'static [(&'static str, Self)] = &[("report", Self::Report), ("reject", Self::Reject)];
}

/// A known attack that is accepted, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AcceptedAdvisory {
    /// Its id in the table (docs/ADVISORIES.md).
    pub id: String,
    /// In the words of whoever wrote the policy.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_is_held_against_the_rule_both_ways() {
        assert!(Bit::Require.holds(true) && !Bit::Require.holds(false));
        assert!(Bit::Refuse.holds(false) && !Bit::Refuse.holds(true));
    }

    #[test]
    fn a_rule_is_asked_or_has_a_reason_and_never_both() {
        let (asked, open) = (Rule::Check(7), Rule::<u8>::unchecked("because"));
        assert_eq!((asked.asked(), asked.reason()), (Some(&7), None));
        assert_eq!((open.asked(), open.reason()), (None, Some("because")));
    }
}
