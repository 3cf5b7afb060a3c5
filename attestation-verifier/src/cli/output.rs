//! Printing a verdict: a table for people, one JSON object for programs.

use std::io::{self, Write};

use attestation_verifier::{Outcome, Trust, Verdict, clock};

use super::Moment;

/// Prints the verdict. With JSON, what is not part of it goes to standard error.
pub(crate) fn print(verdict: &Verdict, moment: Moment, json: bool) {
    // A reader that hangs up early still gets the exit code.
    let _ = if json {
        if moment.from_clock {
            let _ = writeln!(io::stderr(), "note: dates judged at the system clock's time; name another with --at");
        }
        writeln!(io::stdout(), "{}", verdict.to_json())
    } else {
        table(verdict, moment, &mut io::stdout().lock())
    };
}

/// An error before any verdict.
pub(crate) fn complain(what: &str, fix: &str) {
    let _ = writeln!(io::stderr(), "error: {what}\nfix: {fix}");
}

fn table(verdict: &Verdict, moment: Moment, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", printable(&headline(verdict)))?;
    writeln!(out)?;
    for check in &verdict.checks {
        let outcome = match check.outcome {
            Outcome::Pass => "pass",
            Outcome::Fail => "FAIL",
            Outcome::NotChecked => "not checked",
        };
        writeln!(out, "  {outcome:<12} {:<13} {}", check.name, printable(&check.detail))?;
        if let Some(fix) = &check.fix {
            writeln!(out, "  {:<12} {:<13} fix: {fix}", "", "")?;
        }
    }
    writeln!(out, "\nnot proven:")?;
    for code in &verdict.not_proven {
        writeln!(out, "  {:<22} {}", code.code(), code.sentence())?;
    }
    let source = if moment.from_clock { "the system clock; name another time with --at" } else { "--at" };
    let trust = verdict.trust.map_or("none", Trust::name);
    let at = clock::text(verdict.times.verified_at);
    writeln!(out, "\ngrade {}, trust {trust}, judged at {at} ({source})", verdict.grade.name())
}

/// Names inside certificates are a stranger's: they must not move the cursor of a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}

/// The verdict and, if it is a rejection, the first reason.
fn headline(verdict: &Verdict) -> String {
    match verdict.reason() {
        Some((_, check)) => format!("{}: {}: {}", verdict.word(), check.name, check.detail),
        None => verdict.word().to_owned(),
    }
}
