//! Printing a verdict: a table for people, one JSON object for programs.

use std::io::{self, Write};

use attestation_verifier::{Check, Finding, Outcome, Trust, Verdict, clock};

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

/// Prints a finding.
pub(crate) fn print_finding(finding: &Finding, json: bool) {
    // As above.
    let _ = if json {
        writeln!(io::stdout(), "{}", finding.to_json())
    } else {
        finding_table(finding, &mut io::stdout().lock())
    };
}

fn finding_table(finding: &Finding, out: &mut impl Write) -> io::Result<()> {
    let reason = finding.reason().map(|(_, check)| format!(": {}: {}", check.name, check.detail)).unwrap_or_default();
    writeln!(out, "{}{}\n", finding.word(), printable(&reason))?;
    rows(&finding.checks, out)?;
    if !finding.events.is_empty() {
        writeln!(out, "\nevents; what is stated, and what type an event has, is in no register:")?;
    }
    for event in &finding.events {
        let explanation = &event.explanation;
        let proven = explanation.proven.as_ref().map(|text| format!("proven: {text}"));
        let stated = explanation.stated.as_ref().map(|text| format!("stated: {text}"));
        let words: Vec<String> = proven.into_iter().chain(stated).collect();
        let digest = event.digest.get(..16).unwrap_or_default();
        writeln!(
            out,
            "  PCR {:>2}  {digest}…  {:<34} {}",
            event.register,
            event.stated_type,
            printable(&words.join("; "))
        )?;
    }
    writeln!(out, "\nNot a verdict: all of this rests on {}.", finding.rests_on())
}

fn rows(checks: &[Check], out: &mut impl Write) -> io::Result<()> {
    for check in checks {
        let outcome = match check.outcome {
            Outcome::Pass => "pass",
            Outcome::Fail => "FAIL",
            Outcome::NotChecked => "not checked",
        };
        writeln!(out, "  {outcome:<12} {:<17} {}", check.name, printable(&check.detail))?;
        if let Some(fix) = &check.fix {
            writeln!(out, "  {:<12} {:<17} fix: {fix}", "", "")?;
        }
    }
    Ok(())
}

fn table(verdict: &Verdict, moment: Moment, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", printable(&verdict.headline()))?;
    writeln!(out)?;
    rows(&verdict.checks, out)?;
    if !verdict.advisories.is_empty() {
        writeln!(out, "\nknown attacks that are not excluded:")?;
    }
    for attack in &verdict.advisories {
        let accepted = attack.accepted.as_ref().map(|reason| format!(" (accepted: {reason})")).unwrap_or_default();
        writeln!(out, "  {:<20} {:<8} {}{}", attack.id, attack.status.name(), attack.why, printable(&accepted))?;
    }
    unchecked(verdict, out)?;
    writeln!(out, "\nnot proven:")?;
    for code in &verdict.not_proven {
        writeln!(out, "  {:<22} {}", code.code(), code.sentence())?;
    }
    let source = if moment.from_clock { "the system clock; name another time with --at" } else { "--at" };
    let trust = verdict.trust.map_or("none", Trust::name);
    let at = clock::text(verdict.times.verified_at);
    writeln!(out, "\ngrade {}, trust {trust}, judged at {at} ({source})", verdict.grade.name())
}

/// What the policy leaves unchecked; fields with the same reason share a line.
fn unchecked(verdict: &Verdict, out: &mut impl Write) -> io::Result<()> {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for field in &verdict.unchecked {
        match reasons.iter_mut().find(|(reason, _)| *reason == field.reason) {
            Some((_, fields)) => fields.push(&field.field),
            None => reasons.push((&field.reason, vec![&field.field])),
        }
    }
    if !reasons.is_empty() {
        writeln!(out, "\nunchecked by the policy:")?;
    }
    for (reason, fields) in reasons {
        writeln!(out, "  {}: {}", printable(&by_table(&fields)), printable(reason))?;
    }
    Ok(())
}

/// `a, guest.{b, c}`: fields of one table together.
fn by_table(fields: &[&str]) -> String {
    let mut tables: Vec<(&str, Vec<&str>)> = Vec::new();
    for field in fields {
        let (table, name) = field.rsplit_once('.').unwrap_or(("", field));
        match tables.iter_mut().find(|(known, _)| *known == table) {
            Some((_, names)) => names.push(name),
            None => tables.push((table, vec![name])),
        }
    }
    let text = |(table, names): (&str, Vec<&str>)| match (table, names.as_slice()) {
        ("", names) => names.join(", "),
        (table, [only]) => format!("{table}.{only}"),
        (table, names) => format!("{table}.{{{}}}", names.join(", ")),
    };
    tables.into_iter().map(text).collect::<Vec<_>>().join(", ")
}

/// Prints text as it is.
pub(crate) fn print_text(text: &str) {
    let _ = write!(io::stdout(), "{text}");
}

/// The same lines, made fit for a terminal.
pub(crate) fn printable_lines(text: &str) -> String {
    text.lines().map(|line| printable(line) + "\n").collect()
}

/// Names inside certificates are a stranger's: they must not move the cursor of a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}
