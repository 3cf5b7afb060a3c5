//! `quote`: a quote by a key that the caller names.

use std::path::PathBuf;

use attestation_verifier::{Finding, GivenKey, Ring, appraise_quote};
use clap::Args;

use super::{
    Common, Setting, Usage, files,
    vtpm::{Beside, QuoteFiles},
};

#[derive(Args)]
pub(crate) struct QuoteArgs {
    /// The attestation key: public area (TPMT_PUBLIC, TPM2B_PUBLIC), public key or certificate (DER, PEM), or Azure's
    /// runtime claims. That it is a TPM's is your word.
    #[arg(long, value_name = "FILE")]
    ak: PathBuf,
    /// TPMS_ATTEST.
    #[arg(long, value_name = "FILE")]
    quote: PathBuf,
    /// TPMT_SIGNATURE, or what tools write instead: the bare RSA number, or ECDSA in DER.
    #[arg(long, value_name = "FILE")]
    signature: PathBuf,
    #[command(flatten)]
    beside: Beside,
    #[command(flatten)]
    common: Common,
}

pub(crate) fn run(arguments: QuoteArgs) -> Result<(Finding, Setting), Usage> {
    let setting = arguments.common.read()?;
    let ak = files::read("--ak", &arguments.ak)?;
    let ak = GivenKey::read(&ak)
        .map_err(|error| Usage::new(format!("--ak {}: {error}", arguments.ak.display()), error.fix()))?;
    let files = QuoteFiles::read(&arguments.quote, ("--signature", &arguments.signature), &arguments.beside)?;
    let finding = appraise_quote(files.question(&setting.events()), &ak, &Ring);
    Ok((finding, setting))
}
