//! Names and versions of PyPI, and what the name of a wheel says.

use pep440_rs::Version;

use crate::PackageError;

/// A package of PyPI at one exact version.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PypiPackage {
    name: String,
    version: String,
    bin: Option<String>,
}

impl PypiPackage {
    /// `bin` chooses among several programs (console scripts) of one package.
    ///
    /// # Errors
    /// [`PackageError::PypiName`], [`PackageError::PypiVersion`].
    pub fn new(name: &str, version: &str, bin: Option<&str>) -> Result<Self, PackageError> {
        if !is_name(name) {
            return Err(PackageError::PypiName(name.to_owned()));
        }
        // As its own rules write it (PEP 440, "Normalization"): one text for one version.
        if version.len() > 64 || version.parse::<Version>().ok().is_none_or(|parsed| parsed.to_string() != version) {
            return Err(PackageError::PypiVersion(version.to_owned()));
        }
        Ok(Self { name: normalized(name), version: version.to_owned(), bin: bin.map(str::to_owned) })
    }

    /// In its normal form (PEP 503), for instance `mcp-server-time`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// For instance `2026.10.19`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Which program of the package.
    pub fn bin(&self) -> Option<&str> {
        self.bin.as_deref()
    }

    /// Name and version for messages and for pip.
    pub(super) fn requirement(&self) -> String {
        format!("{}=={}", self.name, self.version)
    }
}

/// PyPA, "Names and normalization": letters and digits of ASCII, with `.` `_` `-` between them.
pub(super) fn is_name(name: &str) -> bool {
    let end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    (1..=214).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
        && end(name.bytes().next())
        && end(name.bytes().last())
}

/// PEP 503: lower case, and one `-` for each run of `.` `_` `-`.
pub(super) fn normalized(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    for c in name.chars() {
        if !matches!(c, '.' | '_' | '-') {
            normal.push(c.to_ascii_lowercase());
        } else if !normal.ends_with('-') {
            normal.push('-');
        }
    }
    normal
}

/// What the name of a wheel's file says (PyPA, "Binary distribution format", File name convention).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct WheelName {
    /// In normal form.
    pub(super) name: String,
    pub(super) version: Version,
}

impl WheelName {
    /// `name-version(-build)?-python-abi-platform.whl`
    pub(super) fn parse(file: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+' | b'!');
        let parts: Vec<&str> = file.strip_suffix(".whl").filter(|stem| stem.bytes().all(plain))?.split('-').collect();
        let [name, version, ..] = parts.as_slice() else { return None };
        let named = matches!(parts.len(), 5 | 6) && is_name(name);
        named.then(|| Some(Self { name: normalized(name), version: version.parse().ok()? }))?
    }
}

/// The version of a source distribution, if the file is one of this package.
pub(super) fn source_version(file: &str, name: &str) -> Option<Version> {
    let stem = [".tar.gz", ".zip", ".tar.bz2"].iter().find_map(|end| file.strip_suffix(end))?;
    let (of, version) = stem.rsplit_once('-')?;
    (normalized(of) == name).then(|| version.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_normal_form_and_a_version_one_text() {
        let package = PypiPackage::new("MCP__Server.Time", "2026.10.19", None).unwrap();
        assert_eq!(
            (package.name(), package.requirement().as_str()),
            ("mcp-server-time", "mcp-server-time==2026.10.19")
        );
        for version in ["1.0.0rc1", "1!2.0", "1.0.post1", "1.0.dev3", "1.0+local.1"] {
            PypiPackage::new("a", version, None).unwrap();
        }
        for version in ["", ">=1.0", "1.*", "latest", "1.0.0-rc1", "v1.0", "1.0 ", "==1.0", "1.0,2.0", "01.0"] {
            let error = PypiPackage::new("a", version, None).unwrap_err();
            assert_eq!(error, PackageError::PypiVersion(version.into()));
        }
    }

    #[test]
    fn names_that_are_paths_addresses_or_options_are_refused() {
        for name in ["", "../x", "a/b", "-r", "a[extra]", "a @ file:x", "a;b", ".a", "a-", "https://x", "a b", "ä"] {
            assert_eq!(PypiPackage::new(name, "1.0", None).unwrap_err(), PackageError::PypiName(name.into()));
        }
    }

    #[test]
    fn a_wheels_name_is_read_and_others_are_not() {
        let read =
            WheelName::parse("Typing_Extensions-4.0-1-cp311-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl");
        assert_eq!(read, Some(WheelName { name: "typing-extensions".into(), version: "4.0".parse().unwrap() }));
        for bad in ["a-1.0.whl", "a-1.0-py3-none-any.zip", "../a-1.0-py3-none-any.whl", "a-x-py3-none-any.whl", ".whl"]
        {
            assert_eq!(WheelName::parse(bad), None, "{bad}");
        }
        assert_eq!(source_version("a_b-1.0.tar.gz", "a-b"), "1.0".parse().ok());
        assert_eq!(source_version("b-1.0.tar.gz", "a-b"), None);
    }
}
