//! Checks that rest on something the caller named and not on a processor: no verdict, and never "accepted".

use serde::Serialize;

use crate::{Check, Class, EventMeaning, verdict::first_in_the_way};

/// What was found.
#[derive(Clone, Debug)]
pub struct Finding {
    /// In the order in which they were made.
    pub checks: Vec<Check>,
    /// Of an event log that was asked for alone: its events, if it is believed.
    pub events: Vec<ExplainedEvent>,
    rests_on: &'static str,
}

/// One event of a log that is believed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExplainedEvent {
    /// The register it went into.
    pub register: u8,
    /// Where its record begins in the log.
    pub offset: usize,
    /// What the log calls it; no register holds that.
    pub stated_type: String,
    /// What the register was extended with, SHA-256.
    pub digest: String,
    /// In words.
    pub explanation: EventMeaning,
}

impl Finding {
    pub(crate) fn new(rests_on: &'static str, checks: Vec<Check>) -> Self {
        Self { checks, events: Vec::new(), rests_on }
    }

    /// What everything else stands on, in words.
    pub fn rests_on(&self) -> &'static str {
        self.rests_on
    }

    /// The first check of the class that counts most, if one fails or is missing though it is required.
    pub fn reason(&self) -> Option<(Class, &Check)> {
        first_in_the_way(&self.checks)
    }

    /// `holds` or `does not hold`. Neither says that anything is accepted.
    pub fn word(&self) -> &'static str {
        if self.reason().is_none() { "holds" } else { "does not hold" }
    }

    /// Exit code of the program: 0 if it holds, otherwise that of the class.
    pub fn exit_code(&self) -> u8 {
        self.reason().map_or(0, |(class, _)| class.exit_code())
    }

    /// The check of that name.
    pub fn check(&self, name: &str) -> Option<&Check> {
        self.checks.iter().find(|check| check.name == name)
    }

    /// The finding as one JSON object.
    pub fn to_json(&self) -> String {
        let checks = self.checks.iter().map(|check| WireCheck {
            name: check.name,
            outcome: check.outcome.name(),
            detail: &check.detail,
            fix: check.fix.as_deref(),
        });
        let events = self.events.iter().map(|event| WireEvent {
            pcr: event.register,
            offset: event.offset,
            stated_type: &event.stated_type,
            sha256: &event.digest,
            proven: event.explanation.proven.as_deref(),
            stated: event.explanation.stated.as_deref(),
        });
        let wire = Wire {
            finding: self.word(),
            rests_on: self.rests_on,
            checks: checks.collect(),
            events: events.collect(),
            exit: self.exit_code(),
        };
        // Strings and numbers only: there is nothing in it that could fail.
        serde_json::to_string_pretty(&wire).unwrap_or_default()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    finding: &'a str,
    rests_on: &'a str,
    checks: Vec<WireCheck<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<WireEvent<'a>>,
    exit: u8,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WireEvent<'a> {
    pcr: u8,
    offset: usize,
    stated_type: &'a str,
    sha256: &'a str,
    proven: Option<&'a str>,
    stated: Option<&'a str>,
}

#[derive(Serialize)]
struct WireCheck<'a> {
    name: &'a str,
    outcome: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<&'a str>,
}
