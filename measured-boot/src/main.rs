//! `measured-boot`: what a machine measures when it boots, predicted, replayed and explained from files alone.
//!
//! Exit codes are those of the verifier: 0 done, 1 usage or unreadable file, 2 malformed file, 3 a signature is
//! missing or does not verify, 6 what was measured differs.
#![allow(clippy::disallowed_methods, reason = "the command, unlike the library, reads the files it is given")]

mod cli;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use cli::{Answer, Arguments, Stop};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = if error.use_stderr() { 1 } else { 0 };
            // Nothing is left to be done where the help cannot be written.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let written = |answer: Answer| {
        let written = io::stdout().write_all(answer.text.as_bytes());
        written.map_err(|error| Stop::usage("stdout", error, "write to a file or a pipe"))?;
        Ok(answer.code)
    };
    match arguments.run().and_then(written) {
        Ok(code) => ExitCode::from(code),
        Err(stop) => {
            let _ = writeln!(io::stderr(), "error: {}", stop.what);
            if !stop.fix.is_empty() {
                let _ = writeln!(io::stderr(), "fix: {}", stop.fix);
            }
            ExitCode::from(stop.code)
        }
    }
}
