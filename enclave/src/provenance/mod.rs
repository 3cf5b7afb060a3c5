//! What was built from what, and who vouches for it. The file beside the executable is served as signed only if every
//! compiled-in release key signed it and it says of this very executable what the executable says of itself.

mod command;
mod facts;
mod signing;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use evidence::{
    dsse::{self, Envelope, EnvelopeError},
    json::{Value, object},
    profile::to_hex,
    provenance::{PAYLOAD_TYPE, Statement, StatementError},
};

pub(crate) use command::ProvenanceCommand;
pub(crate) use facts::Facts;

/// What is appended to the executable's name.
const SUFFIX: &str = ".provenance.json";

/// What this gateway can show of its making.
#[derive(Clone, Debug)]
pub(crate) struct Provenance {
    statement: Statement,
    standing: Standing,
}

#[derive(Clone, Debug)]
enum Standing {
    Signed { bytes: Vec<u8>, envelope: Envelope, keys: Vec<String> },
    Unsigned { reason: String },
}

/// Why a file beside the executable proves nothing about it.
#[derive(Debug)]
enum Unfit {
    Unreadable(std::io::Error),
    Envelope(EnvelopeError),
    NoReleaseKey,
    UnknownKey,
    /// Some have signed, and the key of this id has not.
    KeyMissing(String),
    Statement(StatementError),
    OtherExecutable {
        found: String,
        own: String,
    },
    OtherCommit {
        found: String,
        own: String,
    },
    SaysOtherwise {
        path: String,
    },
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "it cannot be read: {error}"),
            Self::Envelope(error) => write!(f, "{error}"),
            Self::NoReleaseKey => f.write_str("no release key was compiled in that could vouch for it"),
            Self::UnknownKey => f.write_str("none of the compiled-in release keys signed it"),
            Self::KeyMissing(key) => write!(f, "release key {key} has not signed it: every compiled-in one has to"),
            Self::Statement(why) => write!(f, "its payload is no statement of ours: {why}"),
            Self::OtherExecutable { found, own } => {
                write!(f, "it is about an executable with SHA-256 {found}; this one has {own}")
            }
            Self::OtherCommit { found, own } => write!(f, "it names commit {found}; this executable is of {own}"),
            Self::SaysOtherwise { path } => {
                write!(
                    f,
                    "{path} is not what this executable says of itself; compare it with `enclave provenance show`"
                )
            }
        }
    }
}

impl Provenance {
    /// Of the running executable, with the file beside it if there is one. A file that is there and proves nothing is
    /// logged, and served as what it is.
    pub(crate) fn of_this_process(facts: &Facts) -> Self {
        let Some(file) = std::env::current_exe().ok().map(|executable| beside(&executable)) else {
            return Self::unsigned(facts, "the executable's own path is not known".to_owned());
        };
        Self::read(facts, &file)
    }

    fn read(facts: &Facts, file: &Path) -> Self {
        let judged = match read_at_most(file, dsse::MAX_BYTES) {
            Ok(bytes) => judge(facts, &bytes).and_then(Judged::whole).map(|judged| (bytes, judged)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let reason = if facts.release_keys.is_empty() {
                    "this build was given no release key: the statement is the gateway's own word"
                } else {
                    "no signed statement lies beside the executable: the statement is the gateway's own word"
                };
                return Self::unsigned(facts, reason.to_owned());
            }
            Err(error) => Err(Unfit::Unreadable(error)),
        };
        match judged {
            Ok((bytes, Judged { envelope, statement, signed_by: keys, .. })) => {
                Self { statement, standing: Standing::Signed { bytes, envelope, keys } }
            }
            Err(unfit) => {
                tracing::error!(file = %file.display(), reason = %unfit, "the provenance file is refused");
                Self::unsigned(facts, format!("the provenance file beside the executable is refused: {unfit}"))
            }
        }
    }

    fn unsigned(facts: &Facts, reason: String) -> Self {
        Self { statement: facts.statement(), standing: Standing::Unsigned { reason } }
    }

    /// Whether every release key vouches for this executable.
    pub(crate) fn is_signed(&self) -> bool {
        matches!(self.standing, Standing::Signed { .. })
    }

    /// The file beside the executable, byte for byte, if every release key vouches for it: what a bundle carries.
    pub(crate) fn signed_bytes(&self) -> Option<&[u8]> {
        match &self.standing {
            Standing::Signed { bytes, .. } => Some(bytes),
            Standing::Unsigned { .. } => None,
        }
    }

    /// `{signed, reason?, dsse?, signedBy?, source{gitCommit}, statement, packages}`
    pub(crate) fn to_value(&self, packages: Value) -> Value {
        let commit = self.statement.git_commit.as_ref().map_or(Value::Null, |commit| to_hex(commit));
        let mut members = vec![("signed".into(), self.is_signed().into())];
        match &self.standing {
            Standing::Unsigned { reason } => members.push(("reason".into(), reason.as_str().into())),
            Standing::Signed { envelope, keys, .. } => {
                let keys = keys.iter().map(|key| key.as_str().into()).collect();
                members.push(("signedBy".into(), Value::Array(keys)));
                members.push(("dsse".into(), envelope.to_value()));
            }
        }
        members.push(("source".into(), object([("gitCommit", commit)])));
        members.push(("statement".into(), self.statement.to_value()));
        members.push(("packages".into(), packages));
        Value::Object(members)
    }
}

/// The file beside an executable.
fn beside(executable: &Path) -> PathBuf {
    let mut name = executable.as_os_str().to_owned();
    name.push(SUFFIX);
    name.into()
}

fn read_at_most(file: &Path, limit: usize) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A file that at least one compiled-in key signed and that says what this executable says.
struct Judged {
    envelope: Envelope,
    statement: Statement,
    /// Ids of the keys that signed.
    signed_by: Vec<String>,
    /// The first that did not.
    missing: Option<String>,
}

impl Judged {
    /// One person of two has not released anything.
    fn whole(self) -> Result<Self, Unfit> {
        match self.missing {
            Some(key) => Err(Unfit::KeyMissing(key)),
            None => Ok(self),
        }
    }
}

/// Signature first; then the statement must be about this executable too, and say nothing else of it than it says itself.
/// What it says of other programs, of the system's tools and of who built is the signers' word.
fn judge(facts: &Facts, bytes: &[u8]) -> Result<Judged, Unfit> {
    let envelope = Envelope::from_bytes(bytes, PAYLOAD_TYPE).map_err(Unfit::Envelope)?;
    let keys = facts.keys();
    if keys.is_empty() {
        return Err(Unfit::NoReleaseKey);
    }
    let signed_by = signing::signed_by(&envelope, &keys);
    if signed_by.is_empty() {
        return Err(Unfit::UnknownKey);
    }
    let found = Statement::from_payload(&envelope.payload).map_err(Unfit::Statement)?;
    let hex = |bytes: Option<&[u8]>| bytes.map_or_else(|| "none".to_owned(), hex::encode);
    let subject = found.subject(facts::NAME);
    if facts.code_hash.is_none() || subject != facts.code_hash.as_ref() {
        let own = hex(facts.code_hash.as_ref().map(|hash| &hash[..]));
        return Err(Unfit::OtherExecutable { found: hex(subject.map(|hash| &hash[..])), own });
    }
    if facts.git_commit.is_none() || found.git_commit != facts.git_commit {
        let [found, own] =
            [found.git_commit, facts.git_commit].map(|commit| hex(commit.as_ref().map(|bytes| &bytes[..])));
        return Err(Unfit::OtherCommit { found, own });
    }
    let own = Statement {
        subjects: found.subjects.clone(),
        system: found.system.clone(),
        sbom_sha256: found.sbom_sha256,
        builder: found.builder.clone(),
        ..facts.statement()
    };
    match found.difference(&own) {
        Some(path) => Err(Unfit::SaysOtherwise { path }),
        None => {
            let missing = keys.iter().find(|key| !signed_by.contains(&dsse::key_id(key.as_bytes())));
            // As everybody names it: its id is found in envelopes only.
            let missing = missing.map(|key| hex::encode(key.as_bytes()));
            Ok(Judged { envelope, statement: found, signed_by, missing })
        }
    }
}

#[cfg(test)]
mod tests;
