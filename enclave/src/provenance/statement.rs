//! What is said of an executable: in-toto Statement v1 (in-toto attestation framework, "Statement layer") with an SLSA
//! provenance predicate v1 (slsa.dev/provenance/v1). Its times are the commit's, so that a rebuild says the same.

use evidence::{
    json::{Value, object},
    profile::to_hex,
};

use super::facts::Facts;

/// `_type`
pub(super) const TYPE: &str = "https://in-toto.io/Statement/v1";
/// `predicateType`
pub(super) const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";
/// `buildType`: `cargo build --locked -p enclave` of the commit, with the profile and target named beside it (tag URI,
/// RFC 4151).
pub(super) const BUILD_TYPE: &str = "tag:sealgate.io,2026:build/cargo/v1";
/// Who builds, unless the builder says otherwise: whoever ran scripts/release-build.
pub(super) const BUILDER: &str = "tag:sealgate.io,2026:builder/release-build/v1";
/// Where the compiler's source is.
const RUST_SOURCE: &str = "git+https://github.com/rust-lang/rust";

/// The statement that this executable makes of itself.
pub(super) fn statement(facts: &Facts, builder: &str) -> Value {
    let hex = |bytes: Option<&[u8]>| bytes.map_or(Value::Null, to_hex);
    let text = |text: &Option<String>| text.as_deref().map_or(Value::Null, Value::from);
    let commit = hex(facts.git_commit.as_ref().map(|commit| &commit[..]));
    let mut parameters = Vec::new();
    if let Some(repository) = &facts.repository {
        parameters.push(("repository".to_owned(), repository.as_str().into()));
    }
    parameters.push(("gitCommit".to_owned(), commit.clone()));
    parameters.push(("sourceSha256".to_owned(), hex(facts.source_hash.as_ref().map(|hash| &hash[..]))));
    let keys = facts.release_keys.iter().map(|key| to_hex(key)).collect();
    parameters.push(("releasePublicKeys".to_owned(), Value::Array(keys)));
    let mut source = vec![("name".to_owned(), "source".into())];
    if let (Some(repository), Some(commit)) = (&facts.repository, &facts.git_commit) {
        source.push(("uri".to_owned(), format!("git+{repository}@{}", hex::encode(commit)).into()));
    }
    source.push(("digest".to_owned(), object([("gitCommit", commit)])));
    let mut dependencies = vec![Value::Object(source)];
    if let Some(lock) = &facts.lock_hash {
        dependencies.push(object([("name", "Cargo.lock".into()), ("digest", object([("sha256", to_hex(lock))]))]));
    }
    if let Some((release, commit)) = &facts.rust {
        dependencies.push(object([
            ("name", "rust".into()),
            ("uri", format!("{RUST_SOURCE}@{release}").into()),
            ("digest", object([("gitCommit", to_hex(commit))])),
        ]));
    }
    let time = time_of(facts).map_or(Value::Null, Value::from);
    object([
        ("_type", TYPE.into()),
        (
            "subject",
            Value::Array(vec![object([
                ("name", "enclave".into()),
                ("digest", object([("sha256", hex(facts.code_hash.as_ref().map(|hash| &hash[..])))])),
            ])]),
        ),
        ("predicateType", PREDICATE_TYPE.into()),
        (
            "predicate",
            object([
                (
                    "buildDefinition",
                    object([
                        ("buildType", BUILD_TYPE.into()),
                        ("externalParameters", Value::Object(parameters)),
                        (
                            "internalParameters",
                            object([("profile", text(&facts.profile)), ("target", text(&facts.target))]),
                        ),
                        ("resolvedDependencies", Value::Array(dependencies)),
                    ]),
                ),
                (
                    "runDetails",
                    object([
                        ("builder", object([("id", builder.into())])),
                        ("metadata", object([("startedOn", time.clone()), ("finishedOn", time)])),
                    ]),
                ),
            ]),
        ),
    ])
}

/// The commit's time, RFC 3339 in UTC.
fn time_of(facts: &Facts) -> Option<String> {
    let seconds = i64::try_from(facts.commit_time?).ok()?;
    let time = time::OffsetDateTime::from_unix_timestamp(seconds).ok()?;
    time.format(&time::format_description::well_known::Rfc3339).ok()
}
