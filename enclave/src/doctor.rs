//! `enclave doctor`: what this machine offers, and what that proves.

use std::path::Path;

use evidence::json::{Value, object};
use platform::doctor::{State, examine};

use crate::{
    boot::Failure,
    config::{Config, Environment},
};

/// The TPM of a machine, when no configuration names another.
const DEFAULT_TCTI: &str = "device:/dev/tpmrm0";

/// Looks and prints.
#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub(crate) fn print(config: Option<&Path>, json: bool) -> Result<(), Failure> {
    let tcti = match config {
        Some(file) => Config::read(file, Environment::default())?.tpm_tcti,
        None => DEFAULT_TCTI.to_owned(),
    };
    let findings = examine(Path::new("/"), &tcti);
    if json {
        let findings = findings.iter().map(|finding| {
            object([
                ("subject", finding.subject.into()),
                ("state", word(finding.state).into()),
                ("detail", finding.detail.as_str().into()),
                ("proves", finding.proves.into()),
            ])
        });
        println!("{}", object([("findings", Value::Array(findings.collect()))]).to_text());
        return Ok(());
    }
    for finding in &findings {
        println!("{:<12} {:<28} {}", word(finding.state), finding.subject, finding.detail);
        println!("{:<12} {:<28} proves: {}", "", "", finding.proves);
    }
    Ok(())
}

fn word(state: State) -> &'static str {
    match state {
        State::Found => "found",
        State::NotBuilt => "not built",
        State::Absent => "absent",
        State::Unknown => "unknown",
    }
}
