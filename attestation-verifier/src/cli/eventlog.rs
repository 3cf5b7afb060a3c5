//! `eventlog`: what a firmware event log explains of registers that the caller vouches for.

use std::path::PathBuf;

use attestation_verifier::{Finding, appraise_event_log};
use clap::Args;

use super::{Common, Setting, Usage, files, vtpm};

#[derive(Args)]
pub(crate) struct EventlogArgs {
    /// The binary log (/sys/kernel/security/tpm0/binary_bios_measurements).
    #[arg(value_name = "FILE")]
    log: PathBuf,
    /// PCR values: JSON {"sha256":{"0":"…"}}, or what tpm2_pcrread prints. That they are the machine's is your word; a
    /// quote signs them (see the commands azure and quote).
    #[arg(long, value_name = "FILE")]
    pcrs: PathBuf,
    #[command(flatten)]
    common: Common,
}

pub(crate) fn run(arguments: EventlogArgs) -> Result<(Finding, Setting), Usage> {
    let setting = arguments.common.read()?;
    let log = files::read("FILE", &arguments.log)?;
    let registers = vtpm::pcrs(&arguments.pcrs)?;
    let finding = appraise_event_log(&log, &registers, &setting.events());
    Ok((finding, setting))
}
