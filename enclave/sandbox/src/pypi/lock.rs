//! What exactly was resolved. Written by pip's report in a container, believed only after checks.
//!
//! Members and meaning are those of a lock file of PEP 751; written as RFC 8785 JSON instead of TOML, so that one lock is one
//! text.

use pep440_rs::Version;
use serde::Deserialize;

use super::{
    PypiError,
    package::{WheelName, normalized},
};

/// Most packages one server may need.
const PACKAGES_LIMIT: usize = 1000;

/// A resolved set of wheels.
#[derive(Clone, Debug)]
pub(super) struct Lock {
    canonical: String,
    pub(super) entries: Vec<LockEntry>,
}

/// One package of a lock: exactly one wheel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct LockEntry {
    /// In normal form.
    pub(super) name: String,
    pub(super) version: Version,
    /// Name of the wheel's file.
    pub(super) file: String,
    pub(super) sha256: [u8; 32],
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Raw {
    lock_version: String,
    #[serde(rename = "created-by")]
    _created_by: String,
    #[serde(rename = "environments")]
    _environments: Vec<String>,
    packages: Vec<RawPackage>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPackage {
    name: String,
    version: String,
    wheels: Vec<RawWheel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWheel {
    name: String,
    hashes: RawHashes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHashes {
    sha256: String,
}

impl Lock {
    pub(super) fn parse(text: &str) -> Result<Self, PypiError> {
        let wrong = |what: String| PypiError::Lock { what };
        let raw: Raw = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        if raw.lock_version != "1.0" {
            return Err(wrong(format!("lock-version {:?}, want 1.0", raw.lock_version)));
        }
        if raw.packages.len() > PACKAGES_LIMIT {
            return Err(wrong(format!("{} packages, the limit is {PACKAGES_LIMIT}", raw.packages.len())));
        }
        let mut entries: Vec<LockEntry> = Vec::with_capacity(raw.packages.len());
        for package in raw.packages {
            let (name, [wheel]) = (normalized(&package.name), package.wheels.as_slice()) else {
                return Err(wrong(format!("{} has {} wheels, want 1", package.name, package.wheels.len())));
            };
            let entry = || {
                let named = WheelName::parse(&wheel.name)?;
                let version: Version = package.version.parse().ok()?;
                let sha256 = hex::decode(&wheel.hashes.sha256).ok()?.try_into().ok()?;
                let same = named.name == name && named.version == version;
                same.then(|| LockEntry { name: name.clone(), version, file: wheel.name.clone(), sha256 })
            };
            let text = || format!("{} {} is no wheel of {:?}", package.name, package.version, wheel.name);
            let entry = entry().ok_or_else(|| wrong(text()))?;
            if entries.iter().any(|known| known.name == entry.name) {
                return Err(wrong(format!("two wheels of {}", entry.name)));
            }
            entries.push(entry);
        }
        // Without `preserve_order` a serde_json map is sorted, and a lock has no numbers: these are RFC 8785 bytes.
        let value: serde_json::Value = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { canonical: value.to_string(), entries })
    }

    /// The lock as it is recorded and hashed: RFC 8785.
    pub(super) fn canonical(&self) -> &str {
        &self.canonical
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(packages: &str) -> Result<Lock, PypiError> {
        let packages = packages.replace("DIGEST", &"07".repeat(32));
        Lock::parse(&format!(
            r#"{{"packages":[{packages}],"lock-version":"1.0","environments":[],"created-by":"pip"}}"#
        ))
    }

    const A: &str =
        r#"{"version":"1.0","name":"A_b","wheels":[{"name":"a_b-1.0-py3-none-any.whl","hashes":{"sha256":"DIGEST"}}]}"#;

    #[test]
    fn a_lock_names_one_wheel_for_each_package_and_has_one_text() {
        let lock = lock(A).unwrap();
        let [entry] = lock.entries.as_slice() else { panic!("{lock:?}") };
        assert_eq!((entry.name.as_str(), entry.version.to_string().as_str(), entry.sha256), ("a-b", "1.0", [7; 32]));
        assert!(
            lock.canonical().starts_with(
                r#"{"created-by":"pip","environments":[],"lock-version":"1.0","packages":[{"name":"A_b","version""#
            ),
            "{}",
            lock.canonical()
        );
    }

    #[test]
    fn a_lock_that_says_anything_else_is_refused() {
        let wheel = r#"{"name":"a_b-1.0-py3-none-any.whl","hashes":{"sha256":"DIGEST"}}"#;
        let bad = [
            format!("{A},{A}"),
            A.replace(wheel, ""),
            A.replace(wheel, &format!("{wheel},{wheel}")),
            A.replace("a_b-1.0", "a_b-1.1"),
            A.replace("a_b-1.0", "b-1.0"),
            A.replace("a_b-1.0-py3-none-any.whl", "a_b-1.0.tar.gz"),
            A.replace("DIGEST", "00"),
            A.replace("sha256", "md5"),
            A.replace("\"version\"", "\"index\":\"x\",\"version\""),
        ];
        for packages in bad {
            assert!(lock(&packages).is_err(), "accepted {packages}");
        }
        assert!(Lock::parse(r#"{"packages":[],"lock-version":"2.0","environments":[],"created-by":"pip"}"#).is_err());
    }
}
