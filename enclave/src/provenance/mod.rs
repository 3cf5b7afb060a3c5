//! What was built from what, and who vouches for it. The file beside the executable is served as signed only if a
//! compiled-in release key signed it and it says of this very executable what the executable says of itself.

mod command;
mod envelope;
mod facts;
mod statement;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use evidence::json::{self, Value, object};

pub(crate) use command::ProvenanceCommand;
use envelope::{Envelope, EnvelopeError};
pub(crate) use facts::Facts;

/// What is appended to the executable's name.
const SUFFIX: &str = ".provenance.json";

/// What this gateway can show of its making.
#[derive(Clone, Debug)]
pub(crate) struct Provenance {
    statement: Value,
    standing: Standing,
}

#[derive(Clone, Debug)]
enum Standing {
    Signed { envelope: Value, keys: Vec<String> },
    Unsigned { reason: String },
}

/// Why a file beside the executable proves nothing about it.
#[derive(Debug)]
enum Unfit {
    Unreadable(std::io::Error),
    Envelope(EnvelopeError),
    NoReleaseKey,
    UnknownKey,
    Statement(String),
    OtherExecutable { found: String, own: String },
    OtherCommit { found: String, own: String },
    SaysOtherwise { path: String },
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "it cannot be read: {error}"),
            Self::Envelope(error) => write!(f, "{error}"),
            Self::NoReleaseKey => f.write_str("no release key was compiled in that could vouch for it"),
            Self::UnknownKey => f.write_str("none of the compiled-in release keys signed it"),
            Self::Statement(why) => write!(f, "its payload is no statement: {why}"),
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
        let judged = match read_at_most(file, envelope::MAX_BYTES) {
            Ok(bytes) => judge(facts, &bytes),
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
            Ok((envelope, statement, keys)) => {
                Self { statement, standing: Standing::Signed { envelope: envelope.whole, keys } }
            }
            Err(unfit) => {
                tracing::error!(file = %file.display(), reason = %unfit, "the provenance file is refused");
                Self::unsigned(facts, format!("the provenance file beside the executable is refused: {unfit}"))
            }
        }
    }

    fn unsigned(facts: &Facts, reason: String) -> Self {
        Self { statement: statement::statement(facts, statement::BUILDER), standing: Standing::Unsigned { reason } }
    }

    /// Whether a release key vouches for this executable.
    pub(crate) fn is_signed(&self) -> bool {
        matches!(self.standing, Standing::Signed { .. })
    }

    /// `{signed, reason?, dsse?, signedBy?, source{gitCommit}, statement, packages}`
    pub(crate) fn to_value(&self, packages: Value) -> Value {
        let commit = at(&self.statement, &["predicate", "buildDefinition", "externalParameters", "gitCommit"]);
        let mut members = vec![("signed".to_owned(), self.is_signed().into())];
        match &self.standing {
            Standing::Unsigned { reason } => members.push(("reason".to_owned(), reason.as_str().into())),
            Standing::Signed { envelope, keys } => {
                let keys = keys.iter().map(|key| key.as_str().into()).collect();
                members.push(("signedBy".to_owned(), Value::Array(keys)));
                members.push(("dsse".to_owned(), envelope.clone()));
            }
        }
        members.push(("source".to_owned(), object([("gitCommit", commit.cloned().unwrap_or(Value::Null))])));
        members.push(("statement".to_owned(), self.statement.clone()));
        members.push(("packages".to_owned(), packages));
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

/// Signature first; then the statement must be about this executable, and say nothing that it does not say itself.
fn judge(facts: &Facts, bytes: &[u8]) -> Result<(Envelope, Value, Vec<String>), Unfit> {
    let envelope = Envelope::read(bytes).map_err(Unfit::Envelope)?;
    let keys = facts.keys();
    if keys.is_empty() {
        return Err(Unfit::NoReleaseKey);
    }
    let signed_by = envelope.signed_by(&keys);
    if signed_by.is_empty() {
        return Err(Unfit::UnknownKey);
    }
    let found =
        json::parse(&envelope.payload, &envelope::LIMITS).map_err(|error| Unfit::Statement(error.to_string()))?;
    let text = |path: &[&str]| at(&found, path).and_then(Value::as_str).unwrap_or("none").chars().take(128).collect();
    let builder: String = text(&["predicate", "runDetails", "builder", "id"]);
    let own = statement::statement(facts, &builder);
    let subject = |value: &Value| {
        let subjects = value.member("subject").and_then(Value::as_array).unwrap_or_default();
        let digest = subjects.first().and_then(|subject| at(subject, &["digest", "sha256"]).and_then(Value::as_str));
        digest.unwrap_or("none").chars().take(128).collect::<String>()
    };
    if facts.code_hash.is_none() || subject(&found) != subject(&own) {
        return Err(Unfit::OtherExecutable { found: subject(&found), own: subject(&own) });
    }
    let commit = ["predicate", "buildDefinition", "externalParameters", "gitCommit"];
    let own_commit = facts.git_commit.map(hex::encode);
    if own_commit.is_none() || Some(text(&commit)) != own_commit {
        let own = own_commit.unwrap_or_else(|| "none".to_owned());
        return Err(Unfit::OtherCommit { found: text(&commit), own });
    }
    match difference(&found, &own, "statement") {
        Some(path) => Err(Unfit::SaysOtherwise { path }),
        None => Ok((envelope, found, signed_by)),
    }
}

/// Where two trees differ first. The order of members means nothing.
fn difference(found: &Value, own: &Value, path: &str) -> Option<String> {
    match (found, own) {
        (Value::Object(found), Value::Object(own_members)) => {
            let extra = found.iter().find(|(name, _)| own.member(name).is_none()).map(|(name, _)| name);
            if let Some(name) = extra {
                return Some(format!("{path}.{}", name.chars().take(64).collect::<String>()));
            }
            own_members.iter().find_map(|(name, own)| {
                let path = format!("{path}.{name}");
                match found.iter().find(|(other, _)| other == name) {
                    Some((_, found)) => difference(found, own, &path),
                    None => Some(path),
                }
            })
        }
        (Value::Array(found), Value::Array(own)) if found.len() == own.len() => {
            let mut pairs = found.iter().zip(own).enumerate();
            pairs.find_map(|(n, (found, own))| difference(found, own, &format!("{path}[{n}]")))
        }
        _ => (found != own).then(|| path.to_owned()),
    }
}

fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| value.member(name))
}

#[cfg(test)]
mod tests;
