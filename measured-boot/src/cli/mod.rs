//! The commands, a file for each.

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
    /// Replay a firmware event log and print the registers it leads to.
    ///
    /// With --pcrs the log is compared with registers you already trust (a verified quote, tpm2_pcrread), and its
    /// events are listed when all of them match. Without, nothing in the log is proven and no event is shown.
    Replay(replay::Replay),
}

impl Arguments {
    /// What goes to standard output.
    pub(crate) fn run(&self) -> Result<String, Stop> {
        match &self.command {
            Command::Pcrs(pcrs) => pcrs.run(),
            Command::Replay(replay) => replay.run(),
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
