//! `explain`: why was it refused, and what would change that.

use std::{ffi::OsString, fmt::Write as _};

use attestation_verifier::{Cause, Diagnosis, Verdict};
use clap::{Args, Subcommand};

use super::{
    Setting, Usage,
    azure::{self, AzureArgs},
    bundle::{self, BundleArgs},
    files,
    proof::{self, ProofArgs},
    report::{self, ReportArgs},
};

#[derive(Args)]
pub(crate) struct ExplainArgs {
    #[command(subcommand)]
    of: Of,
}

/// What is explained is judged first, but for a verdict.
#[derive(Subcommand)]
enum Of {
    /// A report with the arguments of `report`, or a verdict that any command printed with --json. The word `report` may
    /// be left out.
    Report(ReportArgs),
    /// Evidence of an Azure confidential VM.
    Azure(AzureArgs),
    /// A gateway's evidence bundle.
    Bundle(BundleArgs),
    /// The proof of one tool call.
    Proof(ProofArgs),
}

/// What to print, and the exit code of the verdict.
pub(crate) fn run(arguments: ExplainArgs) -> Result<(String, u8), Usage> {
    let judged = |(verdict, setting): (Verdict, Setting)| (Diagnosis::of(&verdict), setting.json);
    let (diagnosis, json) = match arguments.of {
        Of::Report(of) => match saved(&of)? {
            Some(diagnosis) => (diagnosis, of.json()),
            None => judged(report::run(of)?),
        },
        Of::Azure(of) => judged(azure::run(of)?),
        Of::Bundle(of) => judged(bundle::run(of)?),
        Of::Proof(of) => judged(proof::run(of)?),
    };
    Ok((if json { diagnosis.to_json() + "\n" } else { words(&diagnosis) }, diagnosis.exit))
}

/// The command line with `report` after `explain`, where neither a command nor an option follows.
pub(crate) fn complete(mut arguments: Vec<OsString>) -> Vec<OsString> {
    const COMMANDS: [&str; 5] = ["report", "azure", "bundle", "proof", "help"];
    let is_command =
        |word: &OsString| word.to_str().is_some_and(|word| COMMANDS.contains(&word) || word.starts_with('-'));
    if arguments.get(1).is_some_and(|word| word == "explain") && arguments.get(2).is_some_and(|word| !is_command(word))
    {
        arguments.insert(2, "report".into());
    }
    arguments
}

/// The file as a verdict, if it is JSON: no evidence of a report is.
fn saved(arguments: &ReportArgs) -> Result<Option<Diagnosis>, Usage> {
    let path = arguments.path();
    let bytes = files::read("FILE", path)?;
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Ok(None);
    }
    if arguments.names_more() {
        let what = format!("FILE {}: a verdict, beside arguments for a report", path.display());
        return Err(Usage::new(what, "name the verdict alone: it was judged already"));
    }
    let diagnosis = Diagnosis::of_json(&bytes).map_err(|error| {
        Usage::new(format!("FILE {}: {error}", path.display()), "name a file that a command printed with --json")
    })?;
    Ok(Some(diagnosis))
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
