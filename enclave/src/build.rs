//! What this executable is: the source it says it was built from, and its own bytes. Claims, not proofs.

use std::sync::Arc;

use evidence::{Digest, core::Claims};

use crate::provenance::{Facts, Provenance};

/// Claims about the running executable.
#[derive(Clone, Debug)]
pub(crate) struct Build {
    /// SHA-256 of the executable file.
    pub(crate) code_hash: Option<Digest>,
    /// Commit.
    pub(crate) git_commit: Option<[u8; 20]>,
    /// SHA-256 of `git archive --format=tar` of the commit; `None` if the working tree was not that commit.
    pub(crate) source_hash: Option<Digest>,
    /// Seconds since 1970: the commit's time, so that a rebuild says the same.
    pub(crate) build_time: Option<u64>,
    /// Whether tracked files differed from the commit.
    pub(crate) dirty: Option<bool>,
    /// What it was made from, and who vouches for that.
    pub(crate) provenance: Arc<Provenance>,
}

impl Build {
    /// Reads the running executable, and what lies beside it.
    pub(crate) fn of_this_process() -> Self {
        let facts = Facts::of_this_process();
        Self {
            code_hash: facts.code_hash,
            git_commit: facts.git_commit,
            source_hash: facts.source_hash,
            build_time: facts.commit_time,
            dirty: facts.dirty,
            provenance: Arc::new(Provenance::of_this_process(&facts)),
        }
    }

    /// What the core says of it.
    pub(crate) fn claims(&self) -> Claims {
        Claims { code_hash: self.code_hash, git_commit: self.git_commit, release: None }
    }
}
