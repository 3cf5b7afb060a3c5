//! `attestation-verifier`: verdicts on the command line. All it adds to the library is reading files, asking the system
//! clock if no time is named, and printing.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
