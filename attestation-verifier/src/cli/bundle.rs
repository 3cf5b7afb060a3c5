//! `bundle`: everything a gateway shows of itself.

use std::path::PathBuf;

use attestation_verifier::{BundleQuestion, Ring, TrustAnchor, Verdict, appraise_bundle};
use clap::Args;
use evidence::report_data::Nonce;

use super::{
    Common, Setting, Usage, files,
    release::{ReadReleases, ReleaseArgs},
};

#[derive(Args)]
pub(crate) struct BundleArgs {
    /// The bundle, as /api/attestation/bundle served it.
    #[arg(value_name = "FILE")]
    bundle: PathBuf,
    #[command(flatten)]
    beside: Beside,
    #[command(flatten)]
    common: Common,
}

/// What a bundle is judged with, whether alone or for a proof.
#[derive(Args)]
pub(crate) struct Beside {
    /// The nonce that the bundle must answer: 32 to 128 hexadecimal digits.
    #[arg(long, value_name = "HEX", value_parser = nonce)]
    nonce: Option<Nonce>,
    /// Revocation list by the root, DER or PEM; may be repeated.
    #[arg(long, value_name = "FILE")]
    pub(crate) crl: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) releases: ReleaseArgs,
}

impl Beside {
    /// The question about a bundle.
    pub(crate) fn question<'a>(
        &'a self,
        bundle: &'a [u8],
        anchor: &'a TrustAnchor<'a>,
        crls: &'a [Vec<u8>],
        releases: &'a ReadReleases,
    ) -> BundleQuestion<'a> {
        BundleQuestion {
            bundle,
            anchor,
            nonce: self.nonce.as_ref().map(Nonce::as_bytes),
            crls,
            releases: releases.look_up(),
        }
    }
}

pub(crate) fn run(arguments: BundleArgs) -> Result<(Verdict, Setting), Usage> {
    let setting = arguments.common.read()?;
    let bundle = files::read("FILE", &arguments.bundle)?;
    let crls = match setting.crls(&arguments.beside.crl)? {
        Ok(crls) => crls,
        Err(verdict) => return Ok((*verdict, setting)),
    };
    let releases = arguments.beside.releases.read()?;
    let anchor = setting.anchor()?;
    let question = arguments.beside.question(&bundle, &anchor, &crls, &releases);
    let mut verdict = appraise_bundle(question, &setting.policy, setting.moment.at, &Ring).verdict;
    super::name_file(&mut verdict, "bundle", &arguments.bundle);
    drop(anchor);
    Ok((verdict, setting))
}

fn nonce(text: &str) -> Result<Nonce, String> {
    Nonce::from_hex(text).map_err(|error| error.to_string())
}
