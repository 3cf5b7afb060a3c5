//! Command line: arguments in, verdict out. Exit codes: 0 accepted, 1 usage, 2 malformed evidence, 3 chain or
//! signature, 4 revoked, 5 policy, 6 binding, 7 proof.

mod azure;
mod bundle;
mod eventlog;
mod explain;
mod files;
mod output;
mod policy;
mod proof;
mod provenance;
mod quote;
mod release;
mod release_key;
mod report;
mod show;
mod vtpm;

use std::{fmt, path::PathBuf, process::ExitCode};

use attestation_verifier::{
    Collateral, EventPolicy, Finding, Outcome, Policy, TrustAnchor, Verdict, clock, malformed, one_certificate,
};
use clap::{Args, Parser, Subcommand, error::ErrorKind};
use evidence::UnixSeconds;

const AFTER_HELP: &str = "\
Exit codes: 0 accepted (under a test root too), 1 usage, 2 malformed evidence, 3 chain or signature, 4 revoked,
5 against the policy, 6 parts that do not belong together or not to the question, 7 execution proof.
Nothing is read but the files named, and nothing is fetched.";

#[derive(Parser)]
#[command(name = "attestation-verifier", version, about = "Verifies AMD SEV-SNP evidence offline", after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Verify an attestation report: certificate chain, revocation, signature, fields, policy.
    #[command(after_help = AFTER_HELP)]
    Report(report::ReportArgs),
    /// Verify report, runtime claims and quote of an Azure confidential VM.
    #[command(after_help = AFTER_HELP)]
    Azure(azure::AzureArgs),
    /// Check a TPM quote by a key that you name. A finding, no verdict: no processor vouches for the key.
    #[command(after_help = AFTER_HELP)]
    Quote(quote::QuoteArgs),
    /// Replay a firmware event log and explain it, event by event. A finding, no verdict.
    #[command(after_help = AFTER_HELP)]
    Eventlog(eventlog::EventlogArgs),
    /// Verify a gateway's evidence bundle: report, core, states, nonce.
    Bundle(bundle::BundleArgs),
    /// Verify the proof of one tool call, with the bundle of its gateway.
    Proof(proof::ProofArgs),
    /// Check what a release was built from and who says so. A finding, no verdict: it rests on the keys that you name.
    #[command(after_help = AFTER_HELP)]
    Provenance(provenance::ProvenanceArgs),
    /// Presets and policy files: print, explain, check; the table of known attacks.
    Policy(policy::PolicyArgs),
    /// Say why evidence was refused and what would change that. Exit code as of the verdict.
    #[command(after_help = AFTER_HELP)]
    Explain(explain::ExplainArgs),
    /// Show every field of a report, a certificate or a revocation list. Verifies nothing.
    Show(show::ShowArgs),
}

/// What every command takes.
#[derive(Args)]
pub(crate) struct Common {
    /// What to ask of the evidence: a preset (strict, azure, gcp, aws, baremetal), or a TOML file in which every field is
    /// written.
    #[arg(long, value_name = "PRESET|FILE", default_value = "strict")]
    policy: String,
    /// Time at which dates and revocation are judged, RFC 3339. Without it: the system clock.
    #[arg(long, value_name = "RFC3339", value_parser = time)]
    at: Option<UnixSeconds>,
    /// A root other than AMD's, DER or PEM. What ends in it is never plainly "accepted".
    #[arg(long, value_name = "FILE")]
    trust_root: Option<PathBuf>,
    /// Print the verdict as JSON.
    #[arg(long)]
    json: bool,
}

/// The common arguments, read.
pub(crate) struct Setting {
    pub(crate) policy: Policy,
    pub(crate) moment: Moment,
    root: Option<Vec<u8>>,
    root_path: PathBuf,
    json: bool,
}

/// The time of verification and where it is from.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) at: UnixSeconds,
    pub(crate) from_clock: bool,
}

/// What a command says.
enum Said {
    Verdict(Verdict, Setting),
    Finding(Finding, Setting),
    /// The same, in JSON or not, of a command that asks no policy.
    Bare(Finding, bool),
    /// Text, and the exit code.
    Text(String, u8),
}

/// Why there is no verdict: exit 1.
pub(crate) struct Usage {
    what: String,
    fix: String,
}

impl Usage {
    pub(crate) fn new(what: impl fmt::Display, fix: impl Into<String>) -> Self {
        Self { what: what.to_string(), fix: fix.into() }
    }

    /// The same with another remedy.
    pub(crate) fn or(self, fix: impl Into<String>) -> Self {
        Self { fix: fix.into(), ..self }
    }
}

impl Common {
    /// Is anything said that a verdict depends on?
    pub(crate) fn is_set(&self) -> bool {
        self.policy != "strict" || self.at.is_some() || self.trust_root.is_some()
    }

    pub(crate) fn read(self) -> Result<Setting, Usage> {
        let policy = policy::read("--policy", &self.policy)?;
        let root_path = self.trust_root.unwrap_or_default();
        let root = if root_path.as_os_str().is_empty() {
            None
        } else {
            let bytes = files::read("--trust-root", &root_path)?;
            let der = one_certificate(&bytes)
                .map_err(|error| Usage::new(format!("--trust-root {}: {error}", root_path.display()), error.fix()))?;
            Some(der)
        };
        let moment = match self.at {
            Some(at) => Moment { at, from_clock: false },
            None => Moment { at: system_clock()?, from_clock: true },
        };
        Ok(Setting { policy, moment, root, root_path, json: self.json })
    }
}

impl Setting {
    pub(crate) fn anchor(&self) -> Result<TrustAnchor<'_>, Usage> {
        match &self.root {
            None => Ok(TrustAnchor::Amd),
            Some(der) => TrustAnchor::named(der).map_err(|error| {
                Usage::new(format!("--trust-root {}: {error}", self.root_path.display()), error.fix())
            }),
        }
    }

    /// What the policy asks of event logs.
    pub(crate) fn events(&self) -> EventPolicy {
        self.policy.events.clone()
    }

    /// The revocation lists of these files; a rejection if one is no list.
    pub(crate) fn crls(&self, paths: &[PathBuf]) -> Result<Result<Vec<Vec<u8>>, Box<Verdict>>, Usage> {
        let mut collateral = Collateral::default();
        for path in paths {
            let bytes = files::read("--crl", path)?;
            if let Err(error) = collateral.take_crl(&bytes) {
                return Ok(Err(Box::new(self.malformed("revocation", path, &error.to_string(), error.fix()))));
            }
        }
        Ok(Ok(collateral.crls))
    }

    /// A rejection because a file of the evidence could not be read as what it should be.
    pub(crate) fn malformed(&self, name: &'static str, path: &std::path::Path, error: &str, fix: &str) -> Verdict {
        malformed(name, format!("{}: {error}", path.display()), fix, self.moment.at)
    }
}

/// Puts the file's name before a failure of this check: the library does not know names of files.
pub(crate) fn name_file(verdict: &mut Verdict, check: &str, path: &std::path::Path) {
    for row in verdict.checks.iter_mut().filter(|row| row.name == check && row.outcome == Outcome::Fail) {
        row.detail = format!("{}: {}", path.display(), row.detail);
    }
}

/// Runs the program.
pub(crate) fn run() -> ExitCode {
    let cli = match Cli::try_parse_from(explain::complete(command_line())) {
        Ok(cli) => cli,
        Err(error) => {
            // Printing to a closed pipe is nobody's error.
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
                _ => ExitCode::from(1),
            };
        }
    };
    let found = |(finding, setting)| Said::Finding(finding, setting);
    let judged = |(verdict, setting)| Said::Verdict(verdict, setting);
    let outcome = match cli.command {
        Command::Report(arguments) => report::run(arguments).map(judged),
        Command::Azure(arguments) => azure::run(arguments).map(judged),
        Command::Quote(arguments) => quote::run(arguments).map(found),
        Command::Eventlog(arguments) => eventlog::run(arguments).map(found),
        Command::Bundle(arguments) => bundle::run(arguments).map(judged),
        Command::Proof(arguments) => proof::run(arguments).map(judged),
        Command::Provenance(arguments) => provenance::run(&arguments).map(|(finding, json)| Said::Bare(finding, json)),
        Command::Policy(arguments) => policy::run(arguments).map(|text| Said::Text(text, 0)),
        Command::Explain(arguments) => explain::run(arguments).map(|(text, exit)| Said::Text(text, exit)),
        Command::Show(arguments) => {
            return show::run(&arguments).unwrap_or_else(|usage| {
                output::complain(&usage.what, &usage.fix);
                ExitCode::from(1)
            });
        }
    };
    match outcome {
        Ok(Said::Verdict(verdict, setting)) => {
            output::print(&verdict, setting.moment, setting.json);
            ExitCode::from(verdict.exit_code())
        }
        Ok(Said::Finding(finding, setting)) => {
            output::print_finding(&finding, setting.json);
            ExitCode::from(finding.exit_code())
        }
        Ok(Said::Bare(finding, json)) => {
            output::print_finding(&finding, json);
            ExitCode::from(finding.exit_code())
        }
        Ok(Said::Text(text, exit)) => {
            output::print_text(&text);
            ExitCode::from(exit)
        }
        Err(usage) => {
            output::complain(&usage.what, &usage.fix);
            ExitCode::from(1)
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the program, never the library, reads its command line")]
fn command_line() -> Vec<std::ffi::OsString> {
    std::env::args_os().collect()
}

fn time(text: &str) -> Result<UnixSeconds, String> {
    clock::parse(text).ok_or_else(|| "want a time such as 2026-03-01T00:00:00Z".to_owned())
}

#[expect(clippy::disallowed_methods, reason = "the program, never the library, asks the clock, and says so")]
fn system_clock() -> Result<UnixSeconds, Usage> {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map(|since| UnixSeconds(since.as_secs()))
        .map_err(|_| Usage::new("the system clock stands before 1970", "name the time with --at"))
}
