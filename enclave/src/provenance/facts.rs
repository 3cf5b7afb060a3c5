//! What was compiled in: from what, how, and who may vouch for it. Claims of the build, until a release key signs them.

use ed25519_dalek::VerifyingKey;
use evidence::{
    Digest,
    provenance::{BUILDER, Statement, Subject},
};

use sha2::{Digest as _, Sha256};

/// What this executable knows of its own making. `None`: the build did not say.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// SHA-256 of the executable.
    pub(crate) code_hash: Option<Digest>,
    /// Commit.
    pub(crate) git_commit: Option<[u8; 20]>,
    /// SHA-256 of `git archive --format=tar` of the commit; `None` if the working tree was not that commit.
    pub(crate) source_hash: Option<Digest>,
    /// The commit's time, seconds since 1970.
    pub(crate) commit_time: Option<u64>,
    /// Whether tracked files differed from the commit.
    pub(crate) dirty: Option<bool>,
    /// Where the source is published, as the builder said.
    pub(super) repository: Option<String>,
    /// `release`, `debug`.
    pub(super) profile: Option<String>,
    /// The machine it is for.
    pub(super) target: Option<String>,
    /// SHA-256 of Cargo.lock.
    pub(super) lock_hash: Option<Digest>,
    /// The compiler's version and commit.
    pub(super) rust: Option<(String, [u8; 20])>,
    /// Ed25519 keys that sign for this executable, all of them.
    pub(super) release_keys: Vec<[u8; 32]>,
}

/// The name of this program among the subjects of a statement.
pub(super) const NAME: &str = "enclave";

impl Facts {
    /// What this executable says of itself alone.
    pub(super) fn statement(&self) -> Statement {
        Statement {
            subjects: vec![Subject { name: NAME.to_owned(), sha256: self.code_hash }],
            git_commit: self.git_commit,
            source_sha256: self.source_hash,
            repository: self.repository.clone(),
            release_keys: self.release_keys.clone(),
            profile: self.profile.clone(),
            target: self.target.clone(),
            system: Vec::new(),
            lock_sha256: self.lock_hash,
            rust: self.rust.clone(),
            sbom_sha256: None,
            builder: BUILDER.to_owned(),
            time: self.time(),
        }
    }

    /// The commit's time, RFC 3339 in UTC.
    fn time(&self) -> Option<String> {
        let seconds = i64::try_from(self.commit_time?).ok()?;
        let time = time::OffsetDateTime::from_unix_timestamp(seconds).ok()?;
        time.format(&time::format_description::well_known::Rfc3339).ok()
    }

    /// Of the running executable.
    pub(crate) fn of_this_process() -> Self {
        let executable = std::env::current_exe().and_then(std::fs::read).ok();
        let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        let rust = text(option_env!("SEALGATE_RUST_RELEASE")).zip(bytes(option_env!("SEALGATE_RUST_COMMIT")));
        let keys = option_env!("SEALGATE_RELEASE_KEYS").unwrap_or_default();
        Self {
            code_hash: executable.map(|bytes| Sha256::digest(bytes).into()),
            git_commit: bytes(option_env!("SEALGATE_COMMIT")),
            source_hash: bytes(option_env!("SEALGATE_SOURCE_HASH")),
            commit_time: option_env!("SEALGATE_COMMIT_TIME").and_then(|text| text.parse().ok()),
            dirty: option_env!("SEALGATE_DIRTY").map(|text| text == "true"),
            repository: text(option_env!("SEALGATE_SOURCE")),
            profile: text(option_env!("SEALGATE_PROFILE")),
            target: text(option_env!("SEALGATE_TARGET")),
            lock_hash: bytes(option_env!("SEALGATE_LOCK_HASH")),
            rust,
            release_keys: keys.split(',').filter_map(|key| bytes(Some(key))).collect(),
        }
    }

    /// The keys that vouch together, as keys. Under one of small order nobody would have to sign, and leaving it out would
    /// leave fewer people: then there are none.
    pub(super) fn keys(&self) -> Vec<VerifyingKey> {
        let key = |key| VerifyingKey::from_bytes(key).ok().filter(|key| !key.is_weak());
        self.release_keys.iter().map(key).collect::<Option<_>>().unwrap_or_default()
    }
}

fn bytes<const N: usize>(text: Option<&str>) -> Option<[u8; N]> {
    hex::decode(text?).ok()?.try_into().ok()
}
