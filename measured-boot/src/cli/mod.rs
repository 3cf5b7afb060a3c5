//! The commands, a file for each.

mod diff;
mod files;
mod pcrs;
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
    /// Find the first event in which two boots differ, register by register, and what it was of.
    ///
    /// Each of the two is a binary event log or what `pcrs --json` printed. Ends with 0 if they are the same and with 6 if
    /// they differ. Logs are compared as they are stated: replay them to know whether they are true.
    Diff(diff::Diff),
}

impl Arguments {
    /// What goes to standard output, and the exit code.
    pub(crate) fn run(&self) -> Result<(String, u8), Stop> {
        let done = |text| (text, 0);
        match &self.command {
            Command::Pcrs(pcrs) => pcrs.run().map(done),
            Command::Replay(replay) => replay.run().map(done),
            Command::Diff(diff) => diff.run(),
        }
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

    /// A file that is not what it should be: 2.
    pub(crate) fn malformed(path: &Path, error: impl Display, fix: &str) -> Self {
        Self { code: 2, what: format!("{}: {error}", path.display()), fix: fix.to_owned() }
    }
}
