//! `package-lock.json`, version 3: what exactly was resolved. Written by npm in a container, believed only after checks.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::package::{is_inner_path, is_name};

/// Most packages one server may need.
const PACKAGES_LIMIT: usize = 5000;

/// A resolved set of packages.
#[derive(Clone, Debug)]
pub struct Lock {
    canonical: String,
    entries: Vec<LockEntry>,
}

/// One package of a lock.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct LockEntry {
    /// Where it is unpacked, for instance `node_modules/a/node_modules/@b/c`.
    pub(crate) path: String,
    /// Its name in the registry.
    pub(crate) name: String,
    /// Its exact version.
    pub(crate) version: String,
    /// SHA-512 of its tarball.
    pub(crate) integrity: [u8; 64],
}

/// Why a lock is not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Not a lock file.
    #[error("lock file: {0}")]
    Json(#[from] serde_json::Error),
    /// A version whose meaning we do not know.
    #[error("lock file: lockfileVersion {0}, want 3")]
    Version(u64),
    /// Too much.
    #[error("lock file: {0} packages, the limit is {PACKAGES_LIMIT}")]
    TooMany(usize),
    /// A package that does not come from the registry.
    #[error("lock file: {path} comes from {from}, not from the registry")]
    NotFromRegistry {
        /// Its place.
        path: String,
        /// What the lock says.
        from: String,
    },
    /// A place outside of `node_modules`, or a name that is none.
    #[error("lock file: {0:?} is no place of a package")]
    Place(String),
    /// No SHA-512.
    #[error("lock file: {path}: integrity {found:?}, want sha512")]
    Integrity {
        /// Its place.
        path: String,
        /// What the lock says.
        found: Option<String>,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    lockfile_version: u64,
    packages: std::collections::BTreeMap<String, RawEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEntry {
    name: Option<String>,
    version: Option<String>,
    integrity: Option<String>,
    resolved: Option<String>,
    #[serde(default)]
    link: bool,
    #[serde(default)]
    dev: bool,
    #[serde(default)]
    in_bundle: bool,
    #[serde(default)]
    os: OneOrMany,
    #[serde(default)]
    cpu: OneOrMany,
    #[serde(default)]
    libc: OneOrMany,
}

#[derive(Default, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    /// npm's rule: a list with `!x` in it forbids, any other list allows.
    fn admits(&self, ours: &str) -> bool {
        let list = match self {
            Self::None => return true,
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many.as_slice(),
        };
        let forbidden = list.iter().any(|item| item.strip_prefix('!') == Some(ours));
        let mut allowed = list.iter().filter(|item| !item.starts_with('!')).peekable();
        !forbidden && (allowed.peek().is_none() || allowed.any(|item| item == ours || item == "any"))
    }
}

impl Lock {
    /// Reads what npm wrote with `--omit-lockfile-registry-resolved`: the lock then names no host, and an address in it
    /// belongs to a package that is not from the registry. Packages for other systems are left out.
    ///
    /// # Errors
    /// Any [`LockError`].
    pub fn parse(text: &str) -> Result<Self, LockError> {
        let raw: Raw = serde_json::from_str(text)?;
        if raw.lockfile_version != 3 {
            return Err(LockError::Version(raw.lockfile_version));
        }
        if raw.packages.len() > PACKAGES_LIMIT {
            return Err(LockError::TooMany(raw.packages.len()));
        }
        let mut entries = Vec::new();
        for (path, entry) in raw.packages {
            let ours = entry.os.admits("linux") && entry.cpu.admits("x64") && entry.libc.admits("glibc");
            if path.is_empty() || entry.dev || !ours {
                continue;
            }
            if let Some(from) = entry.resolved.or_else(|| entry.link.then(|| "a link".to_owned())) {
                return Err(LockError::NotFromRegistry { path, from });
            }
            let in_place = place(&path).ok_or_else(|| LockError::Place(path.clone()))?;
            // It comes inside the tarball of the package that bundles it.
            if entry.in_bundle {
                continue;
            }
            let name = entry.name.unwrap_or_else(|| in_place.to_owned());
            if !is_name(&name) {
                return Err(LockError::Place(name));
            }
            let Some(integrity) = entry.integrity.as_deref().and_then(sha512_of) else {
                return Err(LockError::Integrity { path, found: entry.integrity });
            };
            entries.push(LockEntry { name, version: entry.version.unwrap_or_default(), integrity, path });
        }
        // Without `preserve_order` a serde_json map is sorted, and a lock has no numbers but 3: these are RFC 8785 bytes.
        let canonical = serde_json::from_str::<serde_json::Value>(text)?.to_string();
        Ok(Self { canonical, entries })
    }

    /// The lock as it is recorded and hashed: RFC 8785.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// SHA-256 of [`Lock::canonical`], hexadecimal.
    pub fn digest(&self) -> String {
        hex::encode(Sha256::digest(&self.canonical))
    }

    /// By place, so a package comes before those nested in it.
    pub(crate) fn entries(&self) -> &[LockEntry] {
        &self.entries
    }
}

/// The last name of `node_modules/a/node_modules/@b/c`, if the whole path has that shape.
fn place(path: &str) -> Option<&str> {
    let mut last = None;
    let rest = path.strip_prefix("node_modules/").filter(|_| is_inner_path(path))?;
    for name in rest.split("/node_modules/") {
        last = Some(name).filter(|name| is_name(name));
        last?;
    }
    last
}

/// The SHA-512 of a Subresource Integrity text, which may list several digests.
pub(crate) fn sha512_of(integrity: &str) -> Option<[u8; 64]> {
    let digest = integrity.split_whitespace().find_map(|one| one.strip_prefix("sha512-"))?;
    BASE64_STANDARD.decode(digest).ok()?.try_into().ok()
}

/// As registries write it.
pub(crate) fn integrity_text(digest: &[u8; 64]) -> String {
    format!("sha512-{}", BASE64_STANDARD.encode(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(entry: &str) -> Result<Lock, LockError> {
        let digest = integrity_text(&[7; 64]);
        let entry = entry.replace("DIGEST", &digest);
        Lock::parse(&format!(r#"{{"lockfileVersion":3,"name":"server","packages":{{"":{{}},{entry}}}}}"#))
    }

    #[test]
    fn a_lock_lists_places_names_and_digests() {
        let lock = lock(r#""node_modules/a/node_modules/@b/c":{"version":"1.0.0","integrity":"sha1-x DIGEST"},"node_modules/alias":{"name":"real","version":"2.0.0","integrity":"DIGEST"}"#).unwrap();
        let names: Vec<_> = lock.entries().iter().map(|e| (e.path.as_str(), e.name.as_str())).collect();
        assert_eq!(names, [("node_modules/a/node_modules/@b/c", "@b/c"), ("node_modules/alias", "real")]);
    }

    #[test]
    fn the_digest_does_not_depend_on_layout() {
        let one = Lock::parse("{\"lockfileVersion\":3,\n \"packages\":{}, \"a\":\"\\u00e9\"}").unwrap();
        let two = Lock::parse("{\"a\":\"é\",\"packages\":{},\"lockfileVersion\":3}").unwrap();
        assert_eq!(one.canonical(), "{\"a\":\"é\",\"lockfileVersion\":3,\"packages\":{}}");
        assert_eq!(one.digest(), two.digest());
    }

    #[test]
    fn packages_of_other_systems_and_bundled_ones_are_left_out() {
        let lock = lock(
            r#""node_modules/mac":{"os":["darwin"],"version":"1.0.0","integrity":"DIGEST"},
               "node_modules/arm":{"cpu":"arm64","version":"1.0.0","integrity":"DIGEST"},
               "node_modules/musl":{"libc":["musl"],"version":"1.0.0","integrity":"DIGEST"},
               "node_modules/notwin":{"os":["!win32"],"version":"1.0.0","integrity":"DIGEST"},
               "node_modules/in":{"inBundle":true,"version":"1.0.0"}"#,
        )
        .unwrap();
        assert_eq!(lock.entries().iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["notwin"]);
    }

    #[test]
    fn foreign_sources_weak_digests_and_odd_places_are_refused() {
        let bad = [
            r#""node_modules/a":{"resolved":"git+ssh://git@example.org/a.git","version":"1.0.0","integrity":"DIGEST"}"#,
            r#""node_modules/a":{"link":true}"#,
            r#""node_modules/a":{"version":"1.0.0","integrity":"sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk="}"#,
            r#""node_modules/a":{"version":"1.0.0"}"#,
            r#""node_modules/../../etc":{"version":"1.0.0","integrity":"DIGEST"}"#,
            r#""etc/passwd":{"version":"1.0.0","integrity":"DIGEST"}"#,
            r#""node_modules/a":{"name":"../x","version":"1.0.0","integrity":"DIGEST"}"#,
        ];
        for entry in bad {
            assert!(lock(entry).is_err(), "accepted {entry}");
        }
        assert!(matches!(Lock::parse(r#"{"lockfileVersion":2,"packages":{}}"#), Err(LockError::Version(2))));
    }
}
