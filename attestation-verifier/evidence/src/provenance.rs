//! What is said of programs and their making: in-toto Statement v1 (in-toto attestation framework, "Statement layer")
//! with an SLSA provenance predicate v1 (slsa.dev/provenance/v1). Its times are the commit's, so that whoever rebuilds
//! says the same, byte for byte.

use std::fmt;

use crate::{
    dsse::LIMITS,
    frame::Digest,
    json::{self, JsonError, Value, object},
    profile::{hex_of, plain, to_hex},
};

/// `payloadType` of the envelope.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// `_type`
pub const TYPE: &str = "https://in-toto.io/Statement/v1";
/// `predicateType`
pub const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";
/// `buildType`: scripts/build-program of the commit, once for each subject (tag URI, RFC 4151).
pub const BUILD_TYPE: &str = "tag:sealgate.io,2026:build/cargo/v1";
/// Who builds, unless the builder says otherwise: whoever ran scripts/release-build.
pub const BUILDER: &str = "tag:sealgate.io,2026:builder/release-build/v1";
/// The name of the bill of materials among the by-products.
pub const SBOM: &str = "sbom.cdx.json";
/// Most programs of one statement.
pub const MAX_SUBJECTS: usize = 16;
/// Letters of a text: a URI, a version, a time.
pub const MAX_TEXT: usize = 512;
/// Where the compiler's source is.
const RUST_SOURCE: &str = "git+https://github.com/rust-lang/rust";

/// A statement. `None` is written as null, and only by a program that speaks of itself: one that is read has them all.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Statement {
    /// Programs, 1 to [`MAX_SUBJECTS`].
    pub subjects: Vec<Subject>,
    /// Commit.
    pub git_commit: Option<[u8; 20]>,
    /// SHA-256 of `git archive --format=tar` of the commit (docs/AUDITING.md has the exact line).
    pub source_sha256: Option<Digest>,
    /// Where the source is published, if it is.
    pub repository: Option<String>,
    /// Ed25519 keys that were compiled into the gateway.
    pub release_keys: Vec<[u8; 32]>,
    /// `release`
    pub profile: Option<String>,
    /// The machine that the programs are for.
    pub target: Option<String>,
    /// Versions of what the toolchain leaves to the system: C compiler, linker, C library.
    pub system: Vec<(String, String)>,
    /// SHA-256 of Cargo.lock.
    pub lock_sha256: Option<Digest>,
    /// The compiler's version and commit.
    pub rust: Option<(String, [u8; 20])>,
    /// SHA-256 of the bill of materials.
    pub sbom_sha256: Option<Digest>,
    /// Who builds, a URI.
    pub builder: String,
    /// The commit's time, RFC 3339 in UTC.
    pub time: Option<String>,
}

/// A program by its name and bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subject {
    /// `enclave`; 1 to 64 of `A-Z a-z 0-9 . _ + -`.
    pub name: String,
    /// SHA-256 of the file. `None` as elsewhere.
    pub sha256: Option<Digest>,
}

/// Why a payload is no statement of ours.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StatementError {
    /// No JSON within the limits.
    Json(JsonError),
    /// A member is missing, unknown, or has another value than the rest of the statement asks for.
    Member {
        /// `statement.predicate.buildDefinition.buildType`
        path: String,
    },
}

impl fmt::Display for StatementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(f, "it is no JSON: {error}"),
            Self::Member { path } => {
                write!(f, "{path}: not as a statement of build type {BUILD_TYPE} has it")
            }
        }
    }
}

impl std::error::Error for StatementError {}

impl Statement {
    /// The statement as JSON.
    pub fn to_value(&self) -> Value {
        let subjects = self
            .subjects
            .iter()
            .map(|subject| object([("name", subject.name.as_str().into()), ("digest", sha256(&subject.sha256))]));
        let mut run = vec![
            ("builder".into(), object([("id", self.builder.as_str().into())])),
            ("metadata".into(), object([("startedOn", text(&self.time)), ("finishedOn", text(&self.time))])),
        ];
        if let Some(digest) = self.sbom_sha256 {
            let media = "application/vnd.cyclonedx+json";
            let sbom = object([("name", SBOM.into()), ("digest", sha256(&Some(digest))), ("mediaType", media.into())]);
            run.push(("byproducts".into(), Value::Array(vec![sbom])));
        }
        let system = self.system.iter().map(|(name, version)| (name.clone().into(), version.as_str().into()));
        object([
            ("_type", TYPE.into()),
            ("subject", Value::Array(subjects.collect())),
            ("predicateType", PREDICATE_TYPE.into()),
            (
                "predicate",
                object([
                    (
                        "buildDefinition",
                        object([
                            ("buildType", BUILD_TYPE.into()),
                            ("externalParameters", self.parameters()),
                            (
                                "internalParameters",
                                object([
                                    ("profile", text(&self.profile)),
                                    ("target", text(&self.target)),
                                    ("system", Value::Object(system.collect())),
                                ]),
                            ),
                            ("resolvedDependencies", Value::Array(self.dependencies())),
                        ]),
                    ),
                    ("runDetails", Value::Object(run)),
                ]),
            ),
        ])
    }

    fn parameters(&self) -> Value {
        let mut parameters = Vec::new();
        if let Some(repository) = &self.repository {
            parameters.push(("repository".into(), repository.as_str().into()));
        }
        parameters.push(("gitCommit".into(), hex(&self.git_commit)));
        parameters.push(("sourceSha256".into(), hex(&self.source_sha256)));
        let keys = self.release_keys.iter().map(|key| to_hex(key)).collect();
        parameters.push(("releasePublicKeys".into(), Value::Array(keys)));
        Value::Object(parameters)
    }

    fn dependencies(&self) -> Vec<Value> {
        let mut source = vec![("name".into(), "source".into())];
        if let (Some(repository), Some(commit)) = (&self.repository, &self.git_commit) {
            source.push(("uri".into(), format!("git+{repository}@{}", hex::encode(commit)).into()));
        }
        source.push(("digest".into(), object([("gitCommit", hex(&self.git_commit))])));
        let mut dependencies = vec![Value::Object(source)];
        if self.lock_sha256.is_some() {
            dependencies.push(object([("name", "Cargo.lock".into()), ("digest", sha256(&self.lock_sha256))]));
        }
        if let Some((release, commit)) = &self.rust {
            dependencies.push(object([
                ("name", "rust".into()),
                ("uri", format!("{RUST_SOURCE}@{release}").into()),
                ("digest", object([("gitCommit", to_hex(commit))])),
            ]));
        }
        dependencies
    }

    /// Reads a payload. Strict: what is read, written again, must be what was there, whatever the order of members.
    ///
    /// # Errors
    /// [`StatementError`].
    pub fn from_payload(payload: &[u8]) -> Result<Self, StatementError> {
        let found = json::parse(payload, &LIMITS).map_err(StatementError::Json)?;
        let read = read(&found).map_err(|path| StatementError::Member { path: format!("statement.{path}") })?;
        match difference(&found, &read.to_value(), "statement") {
            Some(path) => Err(StatementError::Member { path }),
            None => Ok(read),
        }
    }

    /// The digest of the program of that name.
    pub fn subject(&self, name: &str) -> Option<&Digest> {
        self.subjects.iter().find(|subject| subject.name == name)?.sha256.as_ref()
    }

    /// Where this differs first from another statement: a path.
    pub fn difference(&self, other: &Self) -> Option<String> {
        difference(&self.to_value(), &other.to_value(), "statement")
    }
}

/// The statement, or the path of what is missing.
fn read(found: &Value) -> Result<Statement, String> {
    const BUILD: &str = "predicate.buildDefinition";
    let word = |path: &str| at(found, path).and_then(printable).ok_or_else(|| path.to_owned());
    let array = |path: &str| at(found, path).and_then(Value::as_array).ok_or_else(|| path.to_owned());
    let external = |name: &str| format!("{BUILD}.externalParameters.{name}");
    let internal = |name: &str| format!("{BUILD}.internalParameters.{name}");
    let listed = array("subject")?;
    if listed.is_empty() || listed.len() > MAX_SUBJECTS {
        return Err("subject".to_owned());
    }
    let mut subjects: Vec<Subject> = Vec::with_capacity(listed.len());
    for (n, item) in listed.iter().enumerate() {
        // Two digests under one name, or under two that look alike, would be whichever one a reader looks at.
        let name = item.member("name").and_then(plain);
        let name = name.filter(|name| subjects.iter().all(|other| other.name != *name));
        let digest = at(item, "digest.sha256").and_then(hex_of);
        let (Some(name), Some(digest)) = (name, digest) else { return Err(format!("subject[{n}]")) };
        subjects.push(Subject { name, sha256: Some(digest) });
    }
    let keys: Option<Vec<_>> = array(&external("releasePublicKeys"))?.iter().map(hex_of).collect();
    let system = at(found, &internal("system")).and_then(Value::as_object).ok_or_else(|| internal("system"))?;
    let system: Option<Vec<_>> =
        system.iter().map(|(name, version)| Some((plain(&name.as_str().into())?, printable(version)?))).collect();
    let dependencies = array(&format!("{BUILD}.resolvedDependencies"))?;
    let digest = |n: usize, name: &str| dependencies.get(n).and_then(|item| at(item, "digest")?.member(name));
    let dependency = |n: usize| format!("{BUILD}.resolvedDependencies[{n}]");
    let rust = dependencies.get(2).and_then(|item| {
        let release = item.member("uri")?.as_str()?.strip_prefix(RUST_SOURCE)?.strip_prefix('@')?;
        Some((plain(&release.into())?, digest(2, "gitCommit").and_then(hex_of)?))
    });
    let sbom_sha256 = match at(found, "predicate.runDetails.byproducts").and_then(Value::as_array) {
        None => None,
        Some(listed) => {
            let digest = listed.first().and_then(|item| at(item, "digest.sha256")).and_then(hex_of);
            Some(digest.ok_or("predicate.runDetails.byproducts[0]")?)
        }
    };
    let commit = external("gitCommit");
    let source = external("sourceSha256");
    Ok(Statement {
        subjects,
        git_commit: Some(at(found, &commit).and_then(hex_of).ok_or(commit)?),
        source_sha256: Some(at(found, &source).and_then(hex_of).ok_or(source)?),
        repository: match at(found, &external("repository")) {
            None => None,
            Some(_) => Some(word(&external("repository"))?),
        },
        release_keys: keys.ok_or_else(|| external("releasePublicKeys"))?,
        profile: Some(word(&internal("profile"))?),
        target: Some(word(&internal("target"))?),
        system: system.ok_or_else(|| internal("system"))?,
        lock_sha256: Some(digest(1, "sha256").and_then(hex_of).ok_or_else(|| dependency(1))?),
        rust: Some(rust.ok_or_else(|| dependency(2))?),
        sbom_sha256,
        builder: word("predicate.runDetails.builder.id")?,
        time: Some(word("predicate.runDetails.metadata.startedOn")?),
    })
}

/// A text for people: 1 to [`MAX_TEXT`] characters of ASCII that can be seen, and spaces. What moves a cursor, runs from
/// right to left or looks like another letter is in none.
fn printable(value: &Value) -> Option<String> {
    let text = value.as_str().filter(|text| text.bytes().all(|byte| matches!(byte, b' '..=b'~')))?;
    (1..=MAX_TEXT).contains(&text.len()).then(|| text.to_owned())
}

fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, name| value.member(name))
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

fn hex<const N: usize>(bytes: &Option<[u8; N]>) -> Value {
    bytes.as_ref().map_or(Value::Null, |bytes| to_hex(bytes))
}

fn sha256(digest: &Option<Digest>) -> Value {
    object([("sha256", hex(digest))])
}

fn text(text: &Option<String>) -> Value {
    text.as_deref().map_or(Value::Null, Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement() -> Statement {
        let subject = |name: &str, byte| Subject { name: name.to_owned(), sha256: Some([byte; 32]) };
        Statement {
            subjects: vec![subject("enclave", 1), subject("bridge", 6)],
            git_commit: Some([2; 20]),
            source_sha256: Some([3; 32]),
            repository: Some("https://code.example/sealgate".to_owned()),
            release_keys: vec![[7; 32], [8; 32]],
            profile: Some("release".to_owned()),
            target: Some("x86_64-unknown-linux-gnu".to_owned()),
            system: vec![("cc".to_owned(), "cc (Debian 12.2.0-14) 12.2.0".to_owned())],
            lock_sha256: Some([4; 32]),
            rust: Some(("1.95.0".to_owned(), [5; 20])),
            sbom_sha256: Some([9; 32]),
            builder: BUILDER.to_owned(),
            time: Some("2026-09-21T14:13:20Z".to_owned()),
        }
    }

    fn refused(text: &str) -> String {
        Statement::from_payload(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_statement_is_read_as_it_was_written_with_and_without_what_may_be_absent() {
        let bare =
            Statement { repository: None, sbom_sha256: None, release_keys: vec![], system: vec![], ..statement() };
        for written in [statement(), bare] {
            assert_eq!(Statement::from_payload(written.to_value().to_text().as_bytes()), Ok(written));
        }
    }

    #[test]
    fn every_member_that_is_left_out_or_added_is_found() {
        let value = statement().to_value();
        let mut paths = Vec::new();
        for (text, path) in crippled(&value) {
            // Without these it says less, and is still a statement.
            let optional = ["statement.predicate.runDetails.byproducts", ".system.cc"];
            if optional.iter().any(|end| path.ends_with(end)) {
                continue;
            }
            assert!(Statement::from_payload(text.as_bytes()).is_err(), "{path}");
            paths.push(path);
        }
        assert!(paths.len() > 40, "{paths:?}");
    }

    /// The statement without one member, or with one more, for every object in it.
    fn crippled(value: &Value) -> Vec<(String, String)> {
        fn walk(value: &Value, path: &str, into: &mut Vec<(Value, String)>) {
            match value {
                Value::Object(members) => {
                    for (n, (name, inner)) in members.iter().enumerate() {
                        let path = format!("{path}.{name}");
                        let mut without = members.clone();
                        without.remove(n);
                        into.push((Value::Object(without), path.clone()));
                        let mut below = Vec::new();
                        walk(inner, &path, &mut below);
                        into.extend(below.into_iter().map(|(inner, path)| {
                            let mut changed = members.clone();
                            changed[n].1 = inner;
                            (Value::Object(changed), path)
                        }));
                    }
                    if !path.ends_with(".system") {
                        let mut more = members.clone();
                        more.push(("more".into(), Value::Null));
                        into.push((Value::Object(more), format!("{path}.more")));
                    }
                }
                Value::Array(items) => {
                    for (n, inner) in items.iter().enumerate() {
                        let mut below = Vec::new();
                        walk(inner, &format!("{path}[{n}]"), &mut below);
                        into.extend(below.into_iter().map(|(inner, path)| {
                            let mut changed = items.clone();
                            changed[n] = inner;
                            (Value::Array(changed), path)
                        }));
                    }
                }
                _ => {}
            }
        }
        let mut all = Vec::new();
        walk(value, "statement", &mut all);
        all.into_iter().map(|(value, path)| (value.to_text(), path)).collect()
    }

    #[test]
    fn what_contradicts_itself_is_refused_with_its_path() {
        let good = statement().to_value().to_text();
        let commit = "02".repeat(20);
        for (text, said) in [
            (
                good.replace(
                    &format!("{{\"gitCommit\":\"{commit}\"}}"),
                    &format!("{{\"gitCommit\":\"{}\"}}", "0a".repeat(20)),
                ),
                "resolvedDependencies[0]",
            ),
            (good.replace("\"finishedOn\":\"2026", "\"finishedOn\":\"2027"), "finishedOn"),
            (good.replace("\"bridge\"", "\"enclave\""), "subject[1]"),
            (good.replace("slsa.dev/provenance/v1", "slsa.dev/provenance/v2"), "predicateType"),
            (good.replace("build/cargo/v1", "build/cargo/v9"), "buildType"),
            (good.replace(&"01".repeat(32), &"0A".repeat(32)), "subject[0]"),
            (good.replace(&"01".repeat(32), "01"), "subject[0]"),
            ("[]".to_owned(), "statement.subject"),
            (String::new(), "no JSON"),
        ] {
            assert!(refused(&text).contains(said), "{said}: {}", refused(&text));
        }
    }

    #[test]
    fn names_and_texts_that_a_reader_could_take_for_others_are_refused() {
        let good = statement().to_value().to_text();
        // The first letter is Cyrillic, a space, something that turns the direction, a folder, a control character.
        for name in ["\u{435}nclave", "enclave ", "enclave\u{202e}", "bin/enclave", "enclave\\u0000", ""] {
            let said = refused(&good.replacen("\"bridge\"", &format!("\"{name}\""), 1));
            assert!(said.contains("subject[1]"), "{name:?}: {said}");
        }
        let long = |count| good.replacen(BUILDER, &"b".repeat(count), 1);
        assert!(Statement::from_payload(long(MAX_TEXT).as_bytes()).is_ok());
        for (text, said) in [
            (long(MAX_TEXT + 1), "builder.id"),
            (good.replacen(BUILDER, "", 1), "builder.id"),
            (good.replacen(BUILDER, "\\u001b[2J", 1), "builder.id"),
            (good.replacen("https://code.example", "https://code.ex\u{430}mple", 2), "repository"),
            (good.replacen("cc (Debian", "cc\\n(Debian", 1), "internalParameters.system"),
            (good.replacen("\"cc\":", "\"c c\":", 1), "internalParameters.system"),
            (good.replacen("rust@1.95.0", "rust@1.95.0\\u0007", 1), "resolvedDependencies[2]"),
        ] {
            assert_ne!(text, good);
            assert!(refused(&text).contains(said), "{said}: {}", refused(&text));
        }
    }

    #[test]
    fn as_many_subjects_are_read_as_the_limit_says() {
        let named = |n: usize| Subject { name: format!("program{n}"), sha256: Some([1; 32]) };
        let with = |count| Statement { subjects: (0..count).map(named).collect(), ..statement() }.to_value().to_text();
        assert!(Statement::from_payload(with(MAX_SUBJECTS).as_bytes()).is_ok());
        assert!(refused(&with(MAX_SUBJECTS + 1)).contains("statement.subject"));
        assert!(refused(&with(0)).contains("statement.subject"));
    }
}
