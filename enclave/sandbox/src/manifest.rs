//! `package.json`: what a package says of itself.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The members that an installation reads.
#[derive(Deserialize)]
pub(crate) struct Manifest {
    pub(crate) name: Option<String>,
    pub(crate) version: Option<String>,
    bin: Option<Bin>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Bin {
    One(String),
    Many(BTreeMap<String, String>),
}

impl Manifest {
    /// The program as `npx` would choose it: the one asked for, the only one, or the one of the package's own name. Its
    /// path is relative to the package.
    ///
    /// # Errors
    /// The programs that there are.
    pub(crate) fn program(self, package: &str, wanted: Option<&str>) -> Result<String, Vec<String>> {
        let own_name = package.rsplit('/').next().unwrap_or_default();
        let programs = match self.bin {
            None => BTreeMap::new(),
            Some(Bin::One(path)) => BTreeMap::from([(own_name.to_owned(), path)]),
            Some(Bin::Many(programs)) => programs,
        };
        let chosen = match wanted {
            Some(wanted) => programs.get(wanted),
            None if programs.len() == 1 => programs.values().next(),
            None => programs.get(own_name),
        };
        match chosen {
            Some(path) => Ok(path.trim_start_matches("./").to_owned()),
            None => Err(programs.into_keys().collect()),
        }
    }
}
