//! What a release is, as its publisher writes it down: TOML that names values and files.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::cli::{Stop, files::read};

const MAX_BYTES: usize = 256 * 1024;

/// The whole. Files are named from the folder of the description.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Description {
    pub(super) name: String,
    /// 40 hexadecimal digits.
    pub(super) git_commit: String,
    /// SHA-256 of `git archive` of that commit; or `source_archive`.
    pub(super) source_hash: Option<String>,
    /// The file that `git archive` wrote.
    pub(super) source_archive: Option<PathBuf>,
    /// Seconds since 1970, of the commit.
    pub(super) created: u64,
    pub(super) policy: Option<PathBuf>,
    pub(super) script: PathBuf,
    #[serde(default)]
    pub(super) provenance: Vec<PathBuf>,
    /// 64 hexadecimal digits, or files.
    pub(super) release_keys: Vec<String>,
    /// Program and file.
    pub(super) binaries: BTreeMap<String, PathBuf>,
    #[serde(default)]
    pub(super) launch_digest: Vec<LaunchEntry>,
    #[serde(default)]
    pub(super) svsm_digest: Vec<LaunchEntry>,
    #[serde(default)]
    pub(super) paravisor: Vec<ParavisorEntry>,
    #[serde(default)]
    pub(super) registers: Vec<RegistersEntry>,
}

/// A launch digest by its values, or the file that `measured-boot launch-digest --json` wrote.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LaunchEntry {
    pub(super) file: Option<PathBuf>,
    pub(super) measurement: Option<String>,
    pub(super) platform: Option<String>,
    pub(super) vcpus: Option<u64>,
    pub(super) vcpu_type: Option<String>,
    pub(super) guest_features: Option<u64>,
}

/// All in hexadecimal.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ParavisorEntry {
    pub(super) id_key_digest: String,
    pub(super) family_id: String,
    pub(super) image_id: String,
    pub(super) min_guest_svn: u32,
}

/// `pcrs` is the file that `measured-boot pcrs --json` wrote.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RegistersEntry {
    pub(super) name: String,
    pub(super) boot: String,
    pub(super) pcrs: PathBuf,
}

impl Description {
    pub(super) fn read(path: &Path) -> Result<Self, Stop> {
        const FIX: &str = "write it as the README of measured-boot shows; a member that is not known is refused";
        let bytes = read(path, MAX_BYTES)?;
        if bytes.len() > MAX_BYTES {
            return Err(Stop::malformed(path, format!("longer than {MAX_BYTES} bytes"), FIX));
        }
        let text = std::str::from_utf8(&bytes).map_err(|error| Stop::malformed(path, error, FIX))?;
        toml::from_str(text).map_err(|error| Stop::malformed(path, error, FIX))
    }
}
