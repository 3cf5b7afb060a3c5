//! `provenance`: what a release was built from, and who says so.

use std::path::{Path, PathBuf};

use attestation_verifier::{Finding, Program, ProvenanceQuestion, Ring, appraise_provenance};
use clap::Args;

use super::{Usage, files, release_key};

#[derive(Args)]
pub(crate) struct ProvenanceArgs {
    /// What scripts/release-build wrote beside the programs, enclave.provenance.json; or the member `dsse` of
    /// /api/attestation/provenance.
    #[arg(value_name = "FILE")]
    envelope: PathBuf,
    /// A program that it has to be about, under the name that the file has; may be repeated.
    #[arg(long, value_name = "FILE")]
    binary: Vec<PathBuf>,
    /// Release key that must have signed it (Ed25519): 64 hexadecimal digits, or a file with the public key in PEM. Name
    /// every one, each with an option of its own: all of them must have signed.
    #[arg(long, value_name = "HEX|FILE", required = true)]
    release_key: Vec<String>,
    /// The commit that it has to name, 40 hexadecimal digits.
    #[arg(long, value_name = "HEX", value_parser = commit)]
    commit: Option<[u8; 20]>,
    /// The bill of materials (CycloneDX) that it has to name.
    #[arg(long, value_name = "FILE")]
    sbom: Option<PathBuf>,
    /// Print the finding as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &ProvenanceArgs) -> Result<(Finding, bool), Usage> {
    let keys = release_key::read_all(&arguments.release_key)?;
    let envelope = files::read("FILE", &arguments.envelope)?;
    let program =
        |path: &PathBuf| Ok(Program { name: path.display().to_string(), sha256: files::sha256("--binary", path)? });
    let programs = arguments.binary.iter().map(program).collect::<Result<Vec<_>, Usage>>()?;
    let sbom = arguments.sbom.as_deref().map(|path: &Path| files::sha256("--sbom", path)).transpose()?;
    let question = ProvenanceQuestion {
        envelope: &envelope,
        keys: &keys,
        programs: &programs,
        commit: arguments.commit.as_ref(),
        sbom: sbom.as_ref(),
    };
    Ok((appraise_provenance(question, &Ring), arguments.json))
}

fn commit(text: &str) -> Result<[u8; 20], String> {
    let bytes = hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| "want the 40 hexadecimal digits of a commit".to_owned())
}
