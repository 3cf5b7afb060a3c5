//! `explain`: why was it refused, and what would change that.

use std::fmt::Write as _;

use attestation_verifier::{Cause, Diagnosis};
use clap::Args;

use super::{
    Usage, files,
    report::{self, ReportArgs},
};

#[derive(Args)]
pub(crate) struct ExplainArgs {
    /// A report with the arguments of `report`, or a verdict that any command printed with --json.
    #[command(flatten)]
    report: ReportArgs,
}

/// What to print, and the exit code of the verdict.
pub(crate) fn run(arguments: ExplainArgs) -> Result<(String, u8), Usage> {
    let json = arguments.report.json();
    let path = arguments.report.path().to_owned();
    let bytes = files::read("FILE", &path)?;
    let diagnosis = if bytes.trim_ascii_start().starts_with(b"{") {
        if arguments.report.names_more() {
            let what = format!("FILE {}: a verdict, beside arguments for a report", path.display());
            return Err(Usage::new(what, "name the verdict alone: it was judged already"));
        }
        Diagnosis::of_json(&bytes).map_err(|error| {
            Usage::new(format!("FILE {}: {error}", path.display()), "name a file that a command printed with --json")
        })?
    } else {
        Diagnosis::of(&report::run(arguments.report)?.0)
    };
    let text = if json { diagnosis.to_json() + "\n" } else { words(&diagnosis) };
    Ok((text, diagnosis.exit))
}

fn words(diagnosis: &Diagnosis) -> String {
    let mut text = format!("{} (exit {}). {}\n", diagnosis.verdict, diagnosis.exit, diagnosis.meaning);
    // Writing to a string does not fail.
    let out = &mut text;
    match &diagnosis.cause {
        Some(cause) => {
            let _ = writeln!(out, "\nfirst cause: {}", cause.check);
            describe(cause, "  ", out);
        }
        None => {
            let _ = writeln!(out, "\nNothing stands in the way.");
        }
    }
    if !diagnosis.also.is_empty() {
        let _ = writeln!(out, "\nalso in the way:");
    }
    for cause in &diagnosis.also {
        let _ = writeln!(out, "  {}", cause.check);
        describe(cause, "    ", out);
    }
    if !diagnosis.not_reached.is_empty() {
        let _ = writeln!(out, "\nnot looked at because of it: {}", diagnosis.not_reached.join(", "));
    }
    if !diagnosis.advisories.is_empty() {
        let _ = writeln!(out, "\nknown attacks that this evidence does not exclude:");
    }
    for attack in &diagnosis.advisories {
        let _ = writeln!(out, "  {} ({}): {}. {}", attack.id, attack.status, attack.title, attack.why);
    }
    if !diagnosis.open.is_empty() {
        let _ = writeln!(out, "\nopen, and nobody asked for it:");
    }
    for cause in diagnosis.open.iter().filter(|cause| cause.check != "advisories") {
        let _ = writeln!(out, "  {}: {}", cause.check, cause.found);
    }
    super::output::printable_lines(&text)
}

fn describe(cause: &Cause, indent: &str, out: &mut String) {
    let _ = writeln!(out, "{indent}about   {}", cause.about);
    let _ = writeln!(out, "{indent}found   {}", cause.found);
    let fix = cause.fix.as_deref().unwrap_or("give what is missing: see what was found");
    let _ = writeln!(out, "{indent}to fix  {fix}");
}
