//! `bundle`: everything a gateway shows of itself.

use std::path::PathBuf;

use attestation_verifier::{BundleQuestion, Ring, Verdict, appraise_bundle};
use clap::Args;

use super::{Common, Setting, Usage, files};

#[derive(Args)]
pub(crate) struct BundleArgs {
    /// The bundle, as /api/attestation/bundle served it.
    #[arg(value_name = "FILE")]
    bundle: PathBuf,
    /// The nonce it must answer: 32 to 128 hexadecimal digits.
    #[arg(long, value_name = "HEX", value_parser = nonce)]
    nonce: Option<Nonce>,
    /// Revocation list by the root, DER or PEM; may be repeated.
    #[arg(long, value_name = "FILE")]
    crl: Vec<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// Bytes of a nonce.
#[derive(Clone)]
pub(crate) struct Nonce(pub(crate) Vec<u8>);

pub(crate) fn run(arguments: BundleArgs) -> Result<(Verdict, Setting), Usage> {
    let setting = arguments.common.read()?;
    let bundle = files::read("FILE", &arguments.bundle)?;
    let crls = match setting.crls(&arguments.crl)? {
        Ok(crls) => crls,
        Err(verdict) => return Ok((*verdict, setting)),
    };
    let anchor = setting.anchor()?;
    let question = BundleQuestion {
        bundle: &bundle,
        anchor: &anchor,
        nonce: arguments.nonce.as_ref().map(|nonce| nonce.0.as_slice()),
        crls: &crls,
    };
    let mut verdict = appraise_bundle(question, &setting.policy, setting.moment.at, &Ring).verdict;
    super::name_file(&mut verdict, "bundle", &arguments.bundle);
    drop(anchor);
    Ok((verdict, setting))
}

pub(crate) fn nonce(text: &str) -> Result<Nonce, String> {
    evidence::report_data::Nonce::from_hex(text)
        .map(|nonce| Nonce(nonce.as_bytes().to_vec()))
        .map_err(|error| error.to_string())
}
