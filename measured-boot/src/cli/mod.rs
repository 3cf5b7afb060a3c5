//! The commands, a file for each.

mod files;
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
    /// Replay a firmware event log and print the registers it leads to.
    ///
    /// With --pcrs the log is compared with registers you already trust (a verified quote, tpm2_pcrread), and its
    /// events are listed when all of them match. Without, nothing in the log is proven and no event is shown.
    Replay(replay::Replay),
    /// Release manifests: what a release is and what machines that run it measure, signed by every release key.
    #[command(subcommand)]
    Release(release::Release),
}

impl Arguments {
    /// What goes to standard output.
    pub(crate) fn run(&self) -> Result<String, Stop> {
        match &self.command {
            Command::Replay(replay) => replay.run(),
            Command::Release(release) => release.run(),
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
