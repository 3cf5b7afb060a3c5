//! What was built from what, and who says so: DSSE envelopes with in-toto statements (docs/WIRE.md, "Provenance").
//! Release keys come from the verifier, never from what is verified.

use std::fmt;

use evidence::{
    Digest, Ed25519Public,
    core::Claims,
    dsse::{Envelope, EnvelopeError},
    provenance::{PAYLOAD_TYPE, Statement, StatementError},
};

use crate::{
    Class, Crypto, Finding, Unverified, Verified,
    appraisal::{Checks, LAST},
};

/// The name of the gateway among the subjects.
const GATEWAY: &str = "enclave";

/// Why a statement does not count.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ProvenanceError {
    /// The bytes are no envelope of a statement.
    Envelope(EnvelopeError),
    /// No key is named, so nobody's signature counts.
    NoKey,
    /// This key has not signed, or what it signed was altered.
    NotSigned(Ed25519Public),
    /// What was signed is no statement of ours.
    Statement(StatementError),
}

impl fmt::Display for ProvenanceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Envelope(error) => write!(f, "no envelope: {error}"),
            Self::NoKey => f.write_str("no release key is named, so nobody's signature counts"),
            Self::NotSigned(key) => {
                write!(f, "no signature by release key {} verifies: every key has to sign", hex::encode(key.as_bytes()))
            }
            Self::Statement(error) => write!(f, "signed, but {error}"),
        }
    }
}

impl std::error::Error for ProvenanceError {}

impl ProvenanceError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Envelope(_) => "name the file that scripts/release-build wrote, unchanged: enclave.provenance.json",
            Self::NoKey => "name every release key, which its publisher gave you by another way than the gateway",
            Self::NotSigned(_) => {
                "fetch the file again from the publisher; if a key changed, hear it from the publisher"
            }
            Self::Statement(_) => "verify it with the verifier of the release that made it",
        }
    }

    /// What kind of rejection it gives.
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::Envelope(_) | Self::Statement(_) => Class::Malformed,
            Self::NoKey => Class::Policy,
            Self::NotSigned(_) => Class::Chain,
        }
    }
}

impl Unverified<Envelope> {
    /// Checks that each of these keys signed it, and then reads the statement: nothing that is not signed is parsed.
    /// Signatures by other keys neither help nor harm (DSSE, protocol.md).
    ///
    /// # Errors
    /// [`ProvenanceError`].
    pub fn verify(self, keys: &[Ed25519Public], crypto: &impl Crypto) -> Result<Verified<Statement>, ProvenanceError> {
        let envelope = self.0;
        if keys.is_empty() {
            return Err(ProvenanceError::NoKey);
        }
        let message = envelope.message();
        for key in keys {
            let mut signatures =
                envelope.signatures.iter().filter_map(|listed| listed.bytes.as_slice().try_into().ok());
            if !signatures.any(|bytes| crypto.ed25519(key.as_bytes(), &message, bytes).is_ok()) {
                return Err(ProvenanceError::NotSigned(*key));
            }
        }
        let statement = Statement::from_payload(&envelope.payload).map_err(ProvenanceError::Statement)?;
        Ok(Verified::by_check(statement))
    }
}

/// A program whose making is in question.
#[derive(Clone, Debug)]
pub struct Program {
    /// What to call it in messages, and, without folders, the subject that it has to be.
    pub name: String,
    /// SHA-256 of the file.
    pub sha256: Digest,
}

/// A provenance file and what it has to be about.
#[derive(Clone, Copy, Debug)]
pub struct ProvenanceQuestion<'a> {
    /// The file.
    pub envelope: &'a [u8],
    /// Keys each of which must have signed it.
    pub keys: &'a [Ed25519Public],
    /// Programs that it has to name.
    pub programs: &'a [Program],
    /// The commit that it has to name.
    pub commit: Option<&'a [u8; 20]>,
    /// SHA-256 of the bill of materials that it has to name.
    pub sbom: Option<&'a Digest>,
}

/// Judges a provenance file by itself. A finding, no verdict: it rests on the release keys that were named.
pub fn appraise_provenance(question: ProvenanceQuestion<'_>, crypto: &impl Crypto) -> Finding {
    const RESTS: &str = "the release keys named by you; that these bytes come from that source is their owners' word \
        until you rebuild them (scripts/reproduce)";
    let mut checks = Checks::default();
    let envelope = Envelope::from_bytes(question.envelope, PAYLOAD_TYPE).map_err(ProvenanceError::Envelope);
    match envelope.and_then(|envelope| Unverified(envelope).verify(question.keys, crypto)) {
        Ok(statement) => {
            let keys: Vec<_> = question.keys.iter().map(|key| hex::encode(key.as_bytes())).collect();
            checks.pass(
                "signatures",
                Class::Chain,
                format!("by each of the {} keys named: {}", keys.len(), keys.join(" ")),
            );
            check_programs(&statement, question.programs, &mut checks);
            check_commit(&statement, question.commit, &mut checks);
            check_sbom(&statement, question.sbom, &mut checks);
            show_making(&statement, &mut checks);
        }
        Err(error) => {
            let row = if error.class() == Class::Malformed { "provenance" } else { "signatures" };
            checks.fail(row, error.class(), error.to_string(), error.fix());
            for row in ["programs", "commit", "sbom"] {
                checks.open(row, LAST, "nothing that could be believed names them");
            }
        }
    }
    Finding::new(RESTS, checks.into_inner())
}

fn check_programs(statement: &Statement, programs: &[Program], checks: &mut Checks) {
    const ROW: &str = "programs";
    if programs.is_empty() {
        checks.note(ROW, Class::Binding, "no program was given to compare; name them with --binary");
        return;
    }
    for program in programs {
        let own = hex::encode(program.sha256);
        let file = program.name.rsplit('/').next().unwrap_or_default();
        let named = statement.subject(file);
        if named == Some(&program.sha256) {
            continue;
        }
        let same = statement.subjects.iter().find(|subject| subject.sha256 == Some(program.sha256));
        let detail = match (named, same) {
            (_, Some(subject)) => format!("{} is the program {}, not {file}", program.name, subject.name),
            (Some(named), None) => {
                format!("{} has SHA-256 {own}, the statement is about {}", program.name, hex::encode(named))
            }
            (None, None) => format!("{} has SHA-256 {own}, which is of no program of the statement", program.name),
        };
        const FIX: &str = "these are not the bytes that were signed: do not run them; fetch the release again";
        checks.fail(ROW, Class::Binding, detail, FIX);
        return;
    }
    let same: Vec<_> =
        programs.iter().map(|program| format!("{} {}", program.name, hex::encode(program.sha256))).collect();
    checks.pass(ROW, Class::Binding, format!("as signed: {}", same.join(", ")));
}

fn check_commit(statement: &Statement, wanted: Option<&[u8; 20]>, checks: &mut Checks) {
    let found = statement.git_commit.map(hex::encode).unwrap_or_default();
    match wanted {
        None => {
            checks.note("commit", Class::Binding, &format!("{found}; compared with nothing, name yours with --commit"))
        }
        Some(wanted) if statement.git_commit == Some(*wanted) => {
            checks.pass("commit", Class::Binding, format!("{found}, as asked"));
        }
        Some(wanted) => checks.fail(
            "commit",
            Class::Binding,
            format!("{found}, want {}", hex::encode(wanted)),
            "this is the statement of another release: name its commit, or fetch the right file",
        ),
    }
}

fn check_sbom(statement: &Statement, wanted: Option<&Digest>, checks: &mut Checks) {
    let named = statement.sbom_sha256;
    match (named, wanted) {
        (Some(named), Some(wanted)) if named == *wanted => {
            checks.pass("sbom", Class::Binding, format!("SHA-256 {}, as signed", hex::encode(named)));
        }
        (named, Some(wanted)) => {
            let (named, fix) = match named {
                Some(named) => (hex::encode(named), "fetch the bill of materials of this release again"),
                None => ("none".to_owned(), "nothing vouches for this file: leave --sbom out"),
            };
            let detail = format!("SHA-256 {}, the statement names {named}", hex::encode(wanted));
            checks.fail("sbom", Class::Binding, detail, fix);
        }
        (Some(named), None) => {
            let detail = format!("the statement names SHA-256 {}; compare it with --sbom", hex::encode(named));
            checks.note("sbom", Class::Binding, &detail);
        }
        (None, None) => checks.note("sbom", Class::Binding, "the statement names none"),
    }
}

/// What the signers say of the making. Nothing of it can be checked from here.
fn show_making(statement: &Statement, checks: &mut Checks) {
    let word = |text: &Option<String>| text.clone().unwrap_or_default();
    let digest = |digest: Option<Digest>| digest.map(hex::encode).unwrap_or_default();
    let from = statement.repository.as_deref().map(|from| format!(", from {from}")).unwrap_or_default();
    let source = format!("sourceHash {}, committed {}{from}", digest(statement.source_sha256), word(&statement.time));
    checks.note("source", Class::Binding, &source);
    let (rust, commit) = statement.rust.clone().unwrap_or_default();
    let mut tools = vec![format!("rust {rust} ({})", hex::encode(commit))];
    tools.extend(statement.system.iter().map(|(name, version)| format!("{name}: {version}")));
    tools.push(format!("Cargo.lock {}", digest(statement.lock_sha256)));
    tools.push(format!("profile {}, target {}", word(&statement.profile), word(&statement.target)));
    checks.note("toolchain", Class::Binding, &tools.join("; "));
    checks.note("builder", Class::Binding, &statement.builder);
    let commit = statement.git_commit.map(hex::encode).unwrap_or_default();
    let detail = format!("not from here: scripts/reproduce --commit {commit} --against FILE rebuilds and compares");
    checks.note("rebuilt", Class::Binding, &detail);
}

/// Row `provenance` of a bundle: what it carries of the gateway's making, and whether that is what the core says it is.
/// That it is also what runs is for the row `code`.
pub(crate) fn check_carried(
    carried: Option<&[u8]>,
    claims: &Claims,
    keys: &[Ed25519Public],
    crypto: &impl Crypto,
    checks: &mut Checks,
) {
    const ROW: &str = "provenance";
    let Some(bytes) = carried else {
        if !keys.is_empty() {
            checks.note(ROW, Class::Policy, "the bundle carries none: nothing says what the code was built from");
        }
        return;
    };
    if keys.is_empty() {
        checks.note(
            ROW,
            Class::Chain,
            "carried, but no release key is named (--release-key): nobody's signature counts",
        );
        return;
    }
    let read = Envelope::from_bytes(bytes, PAYLOAD_TYPE).map_err(ProvenanceError::Envelope);
    match read.and_then(|envelope| Unverified(envelope).verify(keys, crypto)) {
        Ok(statement) => check_claims(&statement, claims, keys.len(), checks),
        Err(error) => checks.fail(ROW, error.class(), format!("bundle.provenance: {error}"), error.fix()),
    }
}

fn check_claims(statement: &Statement, claims: &Claims, keys: usize, checks: &mut Checks) {
    const ROW: &str = "provenance";
    const FIX: &str = "the gateway shows the statement of another program or commit: do not rely on it";
    let (Some(code), Some(commit)) = (claims.code_hash, statement.git_commit) else {
        checks.note(ROW, Class::Binding, "the core names no codeHash that the statement could be about");
        return;
    };
    match statement.subject(GATEWAY) {
        Some(subject) if *subject == code => {}
        other => {
            let other = other.map_or_else(|| "no gateway".to_owned(), hex::encode);
            let detail = format!("core.claims.codeHash is {}, the statement is about {other}", hex::encode(code));
            return checks.fail(ROW, Class::Binding, detail, FIX);
        }
    }
    if claims.git_commit.is_some_and(|claimed| claimed != commit) {
        let claimed = claims.git_commit.map(hex::encode).unwrap_or_default();
        let detail = format!("core.claims.gitCommit is {claimed}, the statement names {}", hex::encode(commit));
        return checks.fail(ROW, Class::Binding, detail, FIX);
    }
    let detail = format!(
        "signed by each of the {keys} release keys named: codeHash {} was built from commit {}; that it runs is for \"code\"",
        hex::encode(code),
        hex::encode(commit)
    );
    checks.pass(ROW, Class::Binding, detail);
}
