//! `enclave provenance …`

use std::path::{Path, PathBuf};

use clap::Subcommand;
use ed25519_dalek::{SigningKey, pkcs8::DecodePrivateKey as _};
use evidence::json::Value;
use zeroize::Zeroizing;

use super::{Facts, Provenance, beside, envelope::Envelope, statement};
use crate::boot::Failure;

#[derive(Subcommand)]
pub(crate) enum ProvenanceCommand {
    /// Print what this executable is made from, and whether a release key vouches for it.
    Show,
    /// Sign a statement about this executable and write it beside it (scripts/release-build does this).
    Sign {
        /// The release key: Ed25519, PKCS#8 in PEM (`openssl genpkey -algorithm ed25519`).
        #[arg(long)]
        release_key: PathBuf,
        /// Who builds, a URI (SLSA `builder.id`).
        #[arg(long, default_value = statement::BUILDER)]
        builder: String,
        /// Where to write it. Without: beside this executable.
        #[arg(long)]
        out: Option<PathBuf>,
    },
}

impl ProvenanceCommand {
    /// Does it.
    ///
    /// # Errors
    /// [`Failure`] with what, why and how to fix it.
    #[expect(clippy::print_stdout, reason = "this is what the command is for")]
    pub(crate) fn run(self) -> Result<(), Failure> {
        let facts = Facts::of_this_process();
        match self {
            Self::Show => {
                println!("{}", Provenance::of_this_process(&facts).to_value(Value::Array(Vec::new())).to_text())
            }
            Self::Sign { release_key, builder, out } => {
                let envelope = sign(&facts, &release_key, &builder)?;
                let own = std::env::current_exe()
                    .map_err(|error| Failure::new("the executable's own path is not known", error, ""))?;
                let out = out.unwrap_or_else(|| beside(&own));
                std::fs::write(&out, envelope.to_text()).map_err(|error| {
                    Failure::new(format!("{} cannot be written", out.display()), error, "choose another with --out")
                })?;
                if !Provenance::read(&facts, &out).is_signed() {
                    let fix = "look at the log above";
                    return Err(Failure::new("what was written is not accepted by this executable", "", fix));
                }
                println!("{}", out.display());
            }
        }
        Ok(())
    }
}

fn sign(facts: &Facts, file: &Path, builder: &str) -> Result<Value, Failure> {
    let key = release_key(file)?;
    if !facts.release_keys.contains(key.verifying_key().as_bytes()) {
        return Err(Failure::new(
            format!("{}: this executable does not know the key", file.display()),
            "",
            "build with SEALGATE_RELEASE_PUBLIC_KEYS naming its public half, as scripts/release-build does",
        ));
    }
    let whole = facts.code_hash.is_some() && facts.git_commit.is_some() && facts.source_hash.is_some();
    if !whole || facts.dirty != Some(false) {
        return Err(Failure::new(
            "this executable was not built from a commit as it is",
            "",
            "commit all changes and build in the repository, as scripts/release-build does",
        ));
    }
    Ok(Envelope::sign(statement::statement(facts, builder).to_text().as_bytes(), &key))
}

fn release_key(file: &Path) -> Result<SigningKey, Failure> {
    let fix = "name an Ed25519 key: openssl genpkey -algorithm ed25519 -out release.pem";
    let text = std::fs::read_to_string(file).map(Zeroizing::new);
    let text = text.map_err(|error| Failure::new(format!("{}: cannot be read", file.display()), error, fix))?;
    // What the library says could quote the key.
    SigningKey::from_pkcs8_pem(&text)
        .map_err(|_| Failure::new(format!("{}: no Ed25519 key in PKCS#8 PEM", file.display()), "", fix))
}
