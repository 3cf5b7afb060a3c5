//! `enclave provenance …`

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ed25519_dalek::{SigningKey, pkcs8::DecodePrivateKey as _};
use evidence::{
    Digest,
    dsse::{self, Envelope},
    json::Value,
    provenance::{BUILDER, PAYLOAD_TYPE, Statement, Subject},
};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{Facts, Provenance, beside, judge, read_at_most, signing};
use crate::boot::Failure;

#[derive(Subcommand)]
pub(crate) enum ProvenanceCommand {
    /// Print what this executable is made from, and whether every release key vouches for it.
    Show,
    /// Sign a statement about this executable, and about what was built with it, and write it beside it
    /// (scripts/release-build does this).
    Sign(SignArgs),
}

#[derive(Args)]
pub(crate) struct SignArgs {
    /// A release key: Ed25519, PKCS#8 in PEM (`openssl genpkey -algorithm ed25519`); may be repeated.
    #[arg(long, required = true)]
    pub(super) release_key: Vec<PathBuf>,
    /// Another program of this release, under the name of its file; may be repeated.
    #[arg(long)]
    pub(super) program: Vec<PathBuf>,
    /// The bill of materials of this release.
    #[arg(long)]
    pub(super) sbom: Option<PathBuf>,
    /// What a tool of the system says of itself, NAME=VERSION; may be repeated.
    #[arg(long, value_parser = tool)]
    pub(super) system: Vec<(String, String)>,
    /// Who builds, a URI (SLSA `builder.id`).
    #[arg(long, default_value = BUILDER)]
    pub(super) builder: String,
    /// Add to the signatures of a file that is there already. Refused if it says anything else than this build does: a
    /// second person signs what the second person's own build gave.
    #[arg(long)]
    pub(super) add: bool,
    /// Where to write it. Without: beside this executable.
    #[arg(long)]
    pub(super) out: Option<PathBuf>,
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
                println!("{}", Provenance::of_this_process(&facts).to_value(Value::Array(Vec::new())).to_text());
            }
            Self::Sign(arguments) => println!("{}", sign(&facts, &arguments)?.display()),
        }
        Ok(())
    }
}

/// Where it was written.
pub(super) fn sign(facts: &Facts, arguments: &SignArgs) -> Result<PathBuf, Failure> {
    let keys = arguments.release_key.iter().map(|file| release_key(facts, file)).collect::<Result<Vec<_>, _>>()?;
    let statement = statement(facts, arguments)?;
    let out = match &arguments.out {
        Some(out) => out.clone(),
        None => beside(
            &std::env::current_exe()
                .map_err(|error| Failure::new("the executable's own path is not known", error, ""))?,
        ),
    };
    let mut envelope = Envelope {
        payload_type: PAYLOAD_TYPE.to_owned(),
        payload: statement.to_value().to_text().into_bytes(),
        signatures: Vec::new(),
    };
    if arguments.add {
        envelope.signatures = signed_before(&out, &envelope, &statement)?.signatures;
        // What nobody's key here signed would only take the place of what somebody's does.
        signing::keep(&mut envelope, &facts.keys());
    }
    for key in &keys {
        signing::sign(&mut envelope, key);
    }
    let text = envelope.to_value().to_text();
    // Who signs second may still have to; everything else has to be right before anything is overwritten.
    judge(facts, text.as_bytes()).map_err(|unfit| {
        Failure::new("this executable would not accept the statement", unfit, "change what is signed with it")
    })?;
    std::fs::write(&out, text).map_err(|error| {
        Failure::new(format!("{} cannot be written", out.display()), error, "choose another with --out")
    })?;
    Ok(out)
}

fn statement(facts: &Facts, arguments: &SignArgs) -> Result<Statement, Failure> {
    let whole = facts.code_hash.is_some() && facts.git_commit.is_some() && facts.source_hash.is_some();
    if !whole || facts.dirty != Some(false) {
        return Err(Failure::new(
            "this executable was not built from a commit as it is",
            "",
            "commit all changes and build in the repository, as scripts/release-build does",
        ));
    }
    let mut statement = facts.statement();
    for file in &arguments.program {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        statement.subjects.push(Subject { name, sha256: Some(sha256(file)?) });
    }
    statement.sbom_sha256 = arguments.sbom.as_deref().map(sha256).transpose()?;
    statement.system.clone_from(&arguments.system);
    statement.builder.clone_from(&arguments.builder);
    Ok(statement)
}

/// The envelope that lies there, if it says the same.
fn signed_before(file: &Path, own: &Envelope, statement: &Statement) -> Result<Envelope, Failure> {
    let name = file.display();
    let fix = "name the file of the other signers with --out, or sign anew without --add";
    let bytes = read_at_most(file, dsse::MAX_BYTES)
        .map_err(|error| Failure::new(format!("{name}: cannot be read"), error, fix))?;
    let found = Envelope::from_bytes(&bytes, PAYLOAD_TYPE)
        .map_err(|error| Failure::new(format!("{name}: no envelope"), error, fix))?;
    if found.payload == own.payload {
        return Ok(found);
    }
    let difference = match Statement::from_payload(&found.payload) {
        Ok(other) => other.difference(statement).unwrap_or_else(|| "the order of members".to_owned()),
        Err(error) => error.to_string(),
    };
    Err(Failure::new(
        format!("{name}: signed for something else than this build gave"),
        format!("they differ in {difference}"),
        "find out why before anybody signs: scripts/reproduce --against FILE says where two programs differ",
    ))
}

fn sha256(file: &Path) -> Result<Digest, Failure> {
    let mut hasher = Sha256::new();
    std::fs::File::open(file).and_then(|mut file| std::io::copy(&mut file, &mut hasher)).map_err(|error| {
        Failure::new(format!("{}: cannot be read", file.display()), error, "name a file that exists")
    })?;
    Ok(hasher.finalize().into())
}

fn release_key(facts: &Facts, file: &Path) -> Result<SigningKey, Failure> {
    let fix = "name an Ed25519 key: openssl genpkey -algorithm ed25519 -out release.pem";
    let text = std::fs::read_to_string(file).map(Zeroizing::new);
    let text = text.map_err(|error| Failure::new(format!("{}: cannot be read", file.display()), error, fix))?;
    // What the library says could quote the key.
    let key = SigningKey::from_pkcs8_pem(&text)
        .map_err(|_| Failure::new(format!("{}: no Ed25519 key in PKCS#8 PEM", file.display()), "", fix))?;
    if facts.release_keys.contains(key.verifying_key().as_bytes()) {
        return Ok(key);
    }
    Err(Failure::new(
        format!("{}: this executable does not know the key", file.display()),
        "",
        "build with SEALGATE_RELEASE_PUBLIC_KEYS naming its public half, as scripts/release-build does",
    ))
}

fn tool(text: &str) -> Result<(String, String), String> {
    let (name, version) = text.split_once('=').ok_or("want NAME=VERSION")?;
    Ok((name.to_owned(), version.to_owned()))
}
