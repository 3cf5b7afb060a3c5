//! The commands, a file for each.

mod boot_files;
mod diff;
mod explain;
mod files;
mod id_block;
mod launch_digest;
mod numbers;
mod pcrs;
mod release;
mod replay;

use std::{fmt::Display, path::Path};

use clap::{Parser, Subcommand};

/// What machines measure when they boot, from files alone.
#[derive(Parser)]
#[command(name = "measured-boot", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Predict the launch digest (MEASUREMENT of an SEV-SNP report) of a guest from its files.
    ///
    /// Flags are those of sev-snp-measure.
    LaunchDigest(launch_digest::LaunchDigest),
    /// Find out which guest a measurement is of, when it is not the one that was predicted.
    ///
    /// Tries monitors, vCPU counts and types, guest features, kernel hashes on and off, and the slips that are common with
    /// command lines and firmware files. Ends with 0 and the flags that predict the measurement, or with 6 if none do.
    Explain(explain::Explain),
    /// ID blocks: a launch that the owner's key vouches for.
    #[command(subcommand)]
    IdBlock(id_block::IdBlockCommand),
    /// Predict the registers after a boot, from files alone.
    ///
    /// Of a unified kernel image (--uki), of a kernel that QEMU hands to OVMF (--kernel), or of GRUB (--grub). Each
    /// register gets a value and the events that lead to it, or the reason why the files do not determine it.
    Pcrs(Box<pcrs::Pcrs>),
    /// Replay a firmware event log, print the registers it leads to, and explain every event.
    ///
    /// With --pcrs the log is compared with registers you already trust (a verified quote, tpm2_pcrread): events of
    /// registers that match are proven as far as their digests go, and what the log says beyond that is marked as stated.
    /// Without, nothing in the log is proven, and every line says so.
    Replay(replay::Replay),
    /// Release manifests: what a release is and what machines that run it measure, signed by every release key.
    #[command(subcommand)]
    Release(release::Release),
    /// Find the first event in which two boots differ, register by register, and what it was of.
    ///
    /// Each of the two is a binary event log or what `pcrs --json` printed. Ends with 0 if they are the same and with 6 if
    /// they differ. Logs are compared as they are stated: replay them to know whether they are true.
    Diff(diff::Diff),
}

impl Arguments {
    /// What goes to standard output, and the exit code.
    pub(crate) fn run(&self) -> Result<Answer, Stop> {
        match &self.command {
            Command::Release(release) => release.run().map(Answer::done),
            Command::LaunchDigest(launch_digest) => launch_digest.run().map(Answer::done),
            Command::Explain(explain) => explain.run(),
            Command::IdBlock(id_block) => id_block.run(),
            Command::Replay(replay) => replay.run().map(Answer::done),
            Command::Pcrs(pcrs) => pcrs.run().map(Answer::done),
            Command::Diff(diff) => diff.run(),
        }
    }
}

/// What a command has to say when it came to its end.
pub(crate) struct Answer {
    /// For standard output.
    pub(crate) text: String,
    /// 0, or the class of what was found.
    pub(crate) code: u8,
}

impl Answer {
    /// All is as it should be: 0.
    pub(crate) fn done(text: String) -> Self {
        Self { text, code: 0 }
    }
}

/// Why the command ends early.
pub(crate) struct Stop {
    pub(crate) code: u8,
    pub(crate) what: String,
    pub(crate) fix: String,
}

impl Stop {
    /// An argument or a file that cannot be used: 1.
    pub(crate) fn usage(name: impl Display, error: impl Display, fix: &str) -> Self {
        Self { code: 1, what: format!("{name}: {error}"), fix: fix.to_owned() }
    }

    /// Arguments that do not go together: 1.
    pub(crate) fn arguments(what: impl Display, fix: &str) -> Self {
        Self { code: 1, what: what.to_string(), fix: fix.to_owned() }
    }

    /// A file that is not what it should be: 2.
    pub(crate) fn malformed(path: &Path, error: impl Display, fix: &str) -> Self {
        Self { code: 2, what: format!("{}: {error}", path.display()), fix: fix.to_owned() }
    }
}
