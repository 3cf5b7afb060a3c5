//! `policy`: presets and policy files, and the table of known attacks.

use attestation_verifier::{ADVISORIES, ADVISORIES_DATE, PRESETS, Policy};
use clap::{Args, Subcommand};
use serde_json::json;

use super::{Usage, files};

#[derive(Args)]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the file of a preset, to start from.
    Show {
        /// strict, azure, gcp, aws or baremetal.
        preset: String,
    },
    /// Say in words what each field checks, what it accepts, why it matters, and what is unchecked for which reason.
    Explain {
        /// A preset or a file.
        #[arg(value_name = "PRESET|FILE")]
        policy: String,
        /// Print it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Read a policy file and say whether it is one. Exit 0 if it is, 1 if not.
    Check {
        /// A preset or a file.
        #[arg(value_name = "PRESET|FILE")]
        policy: String,
        /// Print it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the table of known attacks that verdicts are held against.
    Advisories {
        /// Print it as JSON.
        #[arg(long)]
        json: bool,
    },
}

/// What to print.
pub(crate) fn run(arguments: PolicyArgs) -> Result<String, Usage> {
    match arguments.command {
        Command::Show { preset } => match Policy::preset_text(&preset) {
            Some(text) => Ok(text.to_owned()),
            None => Err(Usage::new(format!("{preset}: no such preset"), format!("there are {}", presets()))),
        },
        Command::Explain { policy, json } => {
            let read = read("FILE", &policy)?;
            Ok(if json { fields_json(&read) } else { fields(&policy, &read) })
        }
        Command::Check { policy, json } => {
            let read = read("FILE", &policy)?;
            let open = read.fields().iter().filter(|field| field.rule.is_err()).count();
            let asked = read.fields().len() - open;
            Ok(match json {
                true => pretty(&json!({ "policy": policy, "version": 2, "asked": asked, "unchecked": open })),
                false => {
                    format!("{policy}: a policy of version 2; {asked} fields ask something, {open} are unchecked\n")
                }
            })
        }
        Command::Advisories { json } => Ok(if json { advisories_json() } else { advisories() }),
    }
}

/// The policy of that name, or of the file of that name. A file named as a preset is written `./strict`.
pub(crate) fn read(role: &str, name: &str) -> Result<Policy, Usage> {
    if let Some(policy) = Policy::preset(name) {
        return Ok(policy);
    }
    let bytes = files::read(role, name.as_ref())
        .map_err(|usage| usage.or(format!("name a file that you may read, or a preset: {}", presets())))?;
    let text =
        String::from_utf8(bytes).map_err(|_| Usage::new(format!("{role} {name}: not text"), "name a TOML file"))?;
    Policy::from_toml(&text).map_err(|error| Usage::new(format!("{role} {name}: {error}"), error.fix()))
}

fn presets() -> String {
    PRESETS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

fn fields(name: &str, policy: &Policy) -> String {
    let mut text = format!("The policy {name}, field by field.\n");
    for field in policy.fields() {
        let rule = match &field.rule {
            Ok(asked) => format!("accepts   {asked}"),
            Err(reason) => format!("unchecked {reason}"),
        };
        text.push_str(&format!(
            "\n{}\n  checks    {}\n  {rule}\n  matters   {}\n",
            field.path, field.about.checks, field.about.matters
        ));
    }
    text.push_str(
        "\nWhatever a policy says: the host's own reports, a missing signature, an unknown bit, a guest policy without bit \
         17, levels out of order and a revoked intermediate are refused.\n",
    );
    text
}

fn fields_json(policy: &Policy) -> String {
    let field = |field: attestation_verifier::PolicyField<'_>| {
        let (accepts, unchecked) = match &field.rule {
            Ok(asked) => (Some(asked.clone()), None),
            Err(reason) => (None, Some((*reason).to_owned())),
        };
        json!({
            "field": field.path, "checks": field.about.checks, "matters": field.about.matters,
            "accepts": accepts, "unchecked": unchecked,
        })
    };
    pretty(&json!({ "version": 2, "fields": policy.fields().into_iter().map(field).collect::<Vec<_>>() }))
}

/// docs/ADVISORIES.md is this text.
fn advisories() -> String {
    let mut text = format!(
        "# Known attacks\n\n\
        The table of {ADVISORIES_DATE}, compiled into the verifier; `attestation-verifier policy advisories` prints it. A\n\
        report is held against it offline. An attack is left out of a verdict only where the report shows a fix that stands\n\
        here; what the table does not know *cannot be excluded*, and the verdict says so. Levels are held against the lowest\n\
        of REPORTED, COMMITTED, CURRENT and LAUNCH TCB, mitigation bits against both vectors of a version 5 report.\n\
        Microcode levels count separately for each line of silicon; a report of version 2 does not name its line. The\n\
        bulletins on AMD's site were not read by us: each entry says who quotes the levels. Check them before you rely on\n\
        one, and set your own floors in a policy file ([POLICY.md](POLICY.md)).\n\n\
        `advisories = \"report\"` in a policy lists what is left open; `\"reject\"` refuses it, unless\n\
        `accepted_advisories` names it with a reason. `physical` never rejects: no report can show it.\n"
    );
    for advisory in ADVISORIES {
        text.push_str(&format!("\n## `{}`\n{}.\n\n", advisory.id, advisory.title));
        text.push_str(&format!("{}\n\n", advisory.lets));
        text.push_str("| silicon | excluded by |\n|---|---|\n");
        for (line, words) in advisory.lines() {
            text.push_str(&format!("| {line} | {words} |\n"));
        }
        text.push_str(&format!(
            "\n- To do: {}.\n- Sources: {}.\n- Levels: {}.\n",
            advisory.fix,
            advisory.sources.join(", "),
            advisory.levels_from
        ));
    }
    text
}

fn advisories_json() -> String {
    let advisory = |advisory: &attestation_verifier::Advisory| {
        let lines: Vec<_> =
            advisory.lines().into_iter().map(|(line, words)| json!({ "silicon": line, "excludedBy": words })).collect();
        json!({
            "id": advisory.id, "title": advisory.title, "lets": advisory.lets, "fix": advisory.fix,
            "sources": advisory.sources, "levelsFrom": advisory.levels_from, "lines": lines,
        })
    };
    pretty(&json!({ "date": ADVISORIES_DATE, "advisories": ADVISORIES.iter().map(advisory).collect::<Vec<_>>() }))
}

fn pretty(value: &serde_json::Value) -> String {
    // Strings and numbers only: there is nothing in it that could fail.
    serde_json::to_string_pretty(value).map(|text| text + "\n").unwrap_or_default()
}
