//! `azure`: report, runtime claims and quote of an Azure confidential VM.

use std::path::PathBuf;

use attestation_verifier::{AzureQuestion, Collateral, Question, Ring, Verdict, appraise_azure};
use clap::Args;

use super::{
    Common, Setting, Usage, files,
    report::{Endorsements, bytes_64},
    vtpm::{Beside, QuoteFiles},
};

#[derive(Args)]
pub(crate) struct AzureArgs {
    /// The HCL blob, vTPM index 0x01400001; or the bare report, with --runtime-data.
    #[arg(value_name = "HCL")]
    evidence: PathBuf,
    /// Runtime claims, JSON, beside a bare report.
    #[arg(long, value_name = "FILE")]
    runtime_data: Option<PathBuf>,
    #[command(flatten)]
    endorsements: Endorsements,
    /// REPORT_DATA as it must be: 128 hexadecimal digits. On Azure it is the hash of the runtime claims.
    #[arg(long, value_name = "HEX", value_parser = bytes_64)]
    report_data: Option<[u8; 64]>,
    /// user-data of the runtime claims as it must be: what the guest wrote into index 0x01400002, 128 hexadecimal digits.
    #[arg(long, value_name = "HEX", value_parser = bytes_64)]
    user_data: Option<[u8; 64]>,
    /// Quote by the vTPM's attestation key (0x81000003): TPMS_ATTEST.
    #[arg(long, value_name = "FILE", requires = "quote_signature")]
    quote: Option<PathBuf>,
    /// Its signature: TPMT_SIGNATURE, or the bare RSA number.
    #[arg(long, value_name = "FILE", requires = "quote")]
    quote_signature: Option<PathBuf>,
    #[command(flatten)]
    beside: Beside,
    #[command(flatten)]
    common: Common,
}

pub(crate) fn run(arguments: AzureArgs) -> Result<(Verdict, Setting), Usage> {
    let setting = arguments.common.read()?;
    let evidence = files::read("HCL", &arguments.evidence)?;
    let claims = arguments.runtime_data.as_ref().map(|path| files::read("--runtime-data", path)).transpose()?;
    let mut collateral = Collateral::default();
    if let Some(rejection) = arguments.endorsements.take(&mut collateral, &setting)? {
        return Ok((rejection, setting));
    }
    let beside = &arguments.beside;
    let quote = match (&arguments.quote, &arguments.quote_signature) {
        (Some(quote), Some(signature)) => Some(QuoteFiles::read(quote, ("--quote-signature", signature), beside)?),
        _ if beside.pcrs.is_some() || beside.nonce.is_some() => {
            let what = "--pcrs and --nonce are held against a quote, and none is given";
            return Err(Usage::new(what, "give --quote and --quote-signature, too"));
        }
        _ => None,
    };
    let anchor = setting.anchor()?;
    let report_data = arguments.report_data.as_ref();
    let events = setting.events();
    let question = AzureQuestion {
        report: Question { evidence: &evidence, collateral: &collateral, anchor: &anchor, report_data },
        claims: claims.as_deref(),
        user_data: arguments.user_data.as_ref(),
        quote: quote.as_ref().map(|quote| quote.question(&events)),
    };
    let mut verdict = appraise_azure(question, &setting.policy, setting.moment.at, &Ring);
    for row in verdict.checks.iter_mut().filter(|row| row.name == "form") {
        row.detail = format!("{}: {}", arguments.evidence.display(), row.detail);
    }
    drop(anchor);
    Ok((verdict, setting))
}
