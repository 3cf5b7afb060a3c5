//! What this executable is: the source it says it was built from, and its own bytes. Claims, not proofs.

use evidence::{Digest, core::Claims};
use sha2::{Digest as _, Sha256};

/// Claims about the running executable.
#[derive(Clone, Debug)]
pub(crate) struct Build {
    /// SHA-256 of the executable file.
    pub(crate) code_hash: Option<Digest>,
    /// Commit.
    pub(crate) git_commit: Option<[u8; 20]>,
    /// SHA-256 of `git archive --format=tar` of the commit.
    pub(crate) source_hash: Option<Digest>,
    /// Seconds since 1970: the commit's time, so that a rebuild says the same.
    pub(crate) build_time: Option<u64>,
    /// Whether tracked files differed from the commit.
    pub(crate) dirty: Option<bool>,
}

impl Build {
    /// Reads the running executable.
    pub(crate) fn of_this_process() -> Self {
        let code_hash = std::env::current_exe().and_then(std::fs::read).ok().map(|bytes| Sha256::digest(bytes).into());
        Self {
            code_hash,
            git_commit: bytes(option_env!("SEALGATE_COMMIT")),
            source_hash: bytes(option_env!("SEALGATE_SOURCE_HASH")),
            build_time: option_env!("SEALGATE_COMMIT_TIME").and_then(|text| text.parse().ok()),
            dirty: option_env!("SEALGATE_DIRTY").map(|text| text == "true"),
        }
    }

    /// What the core says of it.
    pub(crate) fn claims(&self) -> Claims {
        Claims { code_hash: self.code_hash, git_commit: self.git_commit, release: None }
    }
}

fn bytes<const N: usize>(text: Option<&str>) -> Option<[u8; N]> {
    hex::decode(text?).ok()?.try_into().ok()
}
