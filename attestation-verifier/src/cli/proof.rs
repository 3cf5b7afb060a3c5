//! `proof`: one tool call.

use std::path::PathBuf;

use attestation_verifier::{ProofQuestion, Ring, Verdict, appraise_proof};
use clap::Args;

use super::{Common, Setting, Usage, bundle::Beside, files};

#[derive(Args)]
pub(crate) struct ProofArgs {
    /// The proof: the object under `_meta["io.sealgate/proof"]` of an answer (over REST: `proof`).
    #[arg(value_name = "FILE")]
    proof: PathBuf,
    /// The evidence of the gateway that made it, of the same boot.
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    /// The request: the JSON-RPC message, or the bare argument object.
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// The answer: the JSON-RPC message, the bare result, or the REST answer.
    #[arg(long, value_name = "FILE")]
    response: Option<PathBuf>,
    /// What the call was paid with: the x402 payment as it was sent (JSON, or the header's base64), or the terms alone.
    #[arg(long, value_name = "FILE")]
    payment: Option<PathBuf>,
    /// The challenge that the call must have carried: 2 to 128 hexadecimal digits. Without it, the request's own.
    #[arg(long, value_name = "HEX", value_parser = challenge)]
    challenge: Option<Challenge>,
    #[command(flatten)]
    beside: Beside,
    #[command(flatten)]
    common: Common,
}

/// Bytes of a challenge.
#[derive(Clone)]
struct Challenge(Vec<u8>);

fn challenge(text: &str) -> Result<Challenge, String> {
    let bytes = hex::decode(text).ok().filter(|bytes| (1..=64).contains(&bytes.len()));
    bytes.map(Challenge).ok_or_else(|| "want 2 to 128 hexadecimal digits, an even number".to_owned())
}

pub(crate) fn run(arguments: ProofArgs) -> Result<(Verdict, Setting), Usage> {
    let setting = arguments.common.read()?;
    let envelope = files::read("FILE", &arguments.proof)?;
    let bundle = files::read("--bundle", &arguments.bundle)?;
    let request = arguments.request.as_ref().map(|path| files::read("--request", path)).transpose()?;
    let response = arguments.response.as_ref().map(|path| files::read("--response", path)).transpose()?;
    let payment = arguments.payment.as_ref().map(|path| files::read("--payment", path)).transpose()?;
    let crls = match setting.crls(&arguments.beside.crl)? {
        Ok(crls) => crls,
        Err(verdict) => return Ok((*verdict, setting)),
    };
    let releases = arguments.beside.releases.read()?;
    let anchor = setting.anchor()?;
    let question = ProofQuestion {
        envelope: &envelope,
        bundle: arguments.beside.question(&bundle, &anchor, &crls, &releases),
        request: request.as_deref(),
        response: response.as_deref(),
        challenge: arguments.challenge.as_ref().map(|challenge| challenge.0.as_slice()),
        payment: payment.as_deref(),
        tag_key: None,
    };
    let mut verdict = appraise_proof(question, &setting.policy, setting.moment.at, &Ring);
    super::name_file(&mut verdict, "bundle", &arguments.bundle);
    for check in ["proof", "settlement"] {
        super::name_file(&mut verdict, check, &arguments.proof);
    }
    for (check, path) in
        [("request", &arguments.request), ("response", &arguments.response), ("payment", &arguments.payment)]
    {
        if let Some(path) = path {
            super::name_file(&mut verdict, check, path);
        }
    }
    drop(anchor);
    Ok((verdict, setting))
}
