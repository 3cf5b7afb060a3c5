//! `show`: a file taken apart, unverified.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use attestation_verifier::{SHOW_DISCLAIMER, Shown, show};
use clap::Args;

use super::{Usage, files, output};

#[derive(Args)]
pub(crate) struct ShowArgs {
    /// A report (bare, the driver's response, Azure's HCL blob), a certificate or revocation list (DER or PEM), a
    /// host's certificate table, or Azure's THIM answer.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

/// Exit 0 if the file could be taken apart, 2 if not.
pub(crate) fn run(arguments: &ShowArgs) -> Result<ExitCode, Usage> {
    let bytes = files::read("FILE", &arguments.file)?;
    match show(&bytes) {
        Ok(shown) => {
            // A reader that hangs up early is nobody's error.
            let mut out = io::stdout().lock();
            let _ = if arguments.json { writeln!(out, "{}", shown.to_json()) } else { table(&shown, &mut out) };
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            output::complain(&format!("{}: {error}", arguments.file.display()), error.fix());
            Ok(ExitCode::from(2))
        }
    }
}

fn table(shown: &Shown, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}: {SHOW_DISCLAIMER}", shown.kind)?;
    for part in &shown.parts {
        writeln!(out, "\n{}", output::printable(&part.title))?;
        for field in &part.fields {
            let offset = field.offset.map_or(String::new(), |offset| format!("{offset:#05x}"));
            writeln!(out, "  {offset:<7}{:<20} {}", field.name, output::printable(&field.value))?;
            if !field.meaning.is_empty() {
                writeln!(out, "  {:<7}{:<20} {}", "", "", output::printable(&field.meaning))?;
            }
        }
    }
    Ok(())
}
