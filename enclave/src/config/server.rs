//! `[[server]]`: one server of the catalogue.

use std::{collections::BTreeMap, path::PathBuf};

use evidence::{ServerId, UsdcAmount};
use serde::Deserialize;

use super::{Fault, payments::payable};
use crate::{catalogue::slug, vault::SecretName};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawServer {
    id: Option<String>,
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    categories: Vec<String>,
    registry: Option<PackageRegistry>,
    package: Option<String>,
    version: Option<String>,
    path: Option<PathBuf>,
    bin: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    scratch_dirs: Vec<String>,
    price: Option<String>,
    #[serde(default)]
    tool_prices: BTreeMap<String, String>,
    #[serde(default)]
    secrets: Vec<RawSecret>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSecret {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default = "yes")]
    required: bool,
}

fn yes() -> bool {
    true
}

/// Where a package comes from.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PackageRegistry {
    /// The npm registry.
    #[default]
    Npm,
    /// A PyPI index.
    Pypi,
}

impl PackageRegistry {
    /// As the setting and `registryType` spell it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Pypi => "pypi",
        }
    }
}

/// One server of the catalogue, as configured.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ServerEntry {
    /// Its id: the configured one, else made from the package's name.
    pub(crate) id: ServerId,
    /// Short name.
    pub(crate) name: String,
    /// One line for people.
    pub(crate) description: String,
    /// Words to find it by.
    pub(crate) categories: Vec<String>,
    /// Where its package comes from, where it is no folder.
    pub(crate) registry: PackageRegistry,
    /// Name of the package.
    pub(crate) package: String,
    /// Exact version.
    pub(crate) version: String,
    /// The folder of a package of the operator's own; from the registry without.
    pub(crate) path: Option<PathBuf>,
    /// Which of the package's programs, if it has several.
    pub(crate) bin: Option<String>,
    /// Arguments of the program.
    pub(crate) args: Vec<String>,
    /// Directories that the server may write: empty at each start, in memory.
    pub(crate) scratch_dirs: Vec<String>,
    /// What a call of its tools costs, where it differs from the gateway's price.
    pub(crate) price: Option<UsdcAmount>,
    /// What a call of one of its tools costs, where that differs again.
    pub(crate) tool_prices: BTreeMap<String, UsdcAmount>,
    /// What it takes from its caller's vault.
    pub(crate) secrets: Vec<SecretEntry>,
}

/// A secret that a server takes as a variable of its environment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SecretEntry {
    /// The variable's name.
    pub(crate) name: String,
    /// What it is, for people.
    pub(crate) description: String,
    /// Whether the server is of no use without it.
    pub(crate) required: bool,
}

impl ServerEntry {
    /// Whether a call of it costs something by its own settings.
    pub(crate) fn is_priced(&self) -> bool {
        self.price.iter().chain(self.tool_prices.values()).any(|price| !price.is_zero())
    }

    pub(super) fn of(raw: RawServer) -> Result<Self, Fault> {
        let fits =
            |text: &str, most: usize| !text.is_empty() && text.len() <= most && !text.chars().any(char::is_control);
        let Origin { package, version, id_of } = Origin::of(&raw)?;
        if !fits(&raw.name, 64) || !fits(&package, 214) || !fits(&version, 64) {
            return Err((
                format!("[[server]] name {:?}, package {package:?}, version {version:?}", raw.name),
                "each is 1 to 64 characters (a package 214) without control characters".to_owned(),
            ));
        }
        for secret in &raw.secrets {
            SecretName::parse(&secret.name).map_err(|error| {
                (format!("[[server]] {:?}: secret {:?}: {error}", raw.name, secret.name), error.fix().to_owned())
            })?;
        }
        // The slug becomes part of its tools' names, which MCP 2026-07-28 spells in ASCII.
        let prefix = slug(&raw.name);
        if prefix.is_empty() || !prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err((
                format!("[[server]] name {:?} cannot stand in front of a tool's name", raw.name),
                "use letters and digits of ASCII, and @ / . _ - or blanks between them".to_owned(),
            ));
        }
        let id = raw.id.unwrap_or_else(|| uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, id_of.as_bytes()).to_string());
        let id =
            id.parse().map_err(|error| (format!("[[server]] {}: {error}", raw.name), "leave id out".to_owned()))?;
        let read = Self {
            id,
            name: raw.name.clone(),
            description: raw.description,
            categories: raw.categories,
            registry: raw.registry.unwrap_or_default(),
            package,
            version,
            path: raw.path,
            bin: raw.bin,
            args: raw.args,
            scratch_dirs: raw.scratch_dirs,
            price: raw.price.map(|text| dollars(&format!("[[server]] {}: price", raw.name), &text)).transpose()?,
            tool_prices: raw
                .tool_prices
                .into_iter()
                .map(|(tool, text)| {
                    let amount = dollars(&format!("[[server]] {}: tool_prices.{tool}", raw.name), &text)?;
                    Ok((tool, amount))
                })
                .collect::<Result<_, Fault>>()?,
            secrets: raw
                .secrets
                .into_iter()
                .map(|secret| SecretEntry {
                    name: secret.name,
                    description: secret.description,
                    required: secret.required,
                })
                .collect(),
        };
        for price in read.price.iter().chain(read.tool_prices.values()) {
            payable(&format!("[[server]] {}: a price", read.name), Some(*price))?;
        }
        Ok(read)
    }
}

/// Where a server's files come from.
struct Origin {
    package: String,
    version: String,
    /// What its id is made of where none is configured.
    id_of: String,
}

impl Origin {
    /// `package` and `version`, or `path` alone: a folder says in its `package.json` what it is.
    fn of(raw: &RawServer) -> Result<Self, Fault> {
        match (&raw.package, &raw.version, &raw.path) {
            (Some(package), Some(version), None) => {
                let id_of = format!("{}:{package}", raw.registry.unwrap_or_default().as_str());
                Ok(Self { package: package.clone(), version: version.clone(), id_of })
            }
            (None, None, Some(path)) if raw.registry.is_none() => {
                let manifest = sandbox::LocalPackage::manifest(path)
                    .map_err(|error| (format!("[[server]] {:?}: {error}", raw.name), error.fix().to_owned()))?;
                // One folder may stand in the catalogue more than once, with other arguments.
                let id_of = format!("local:{}:{}", manifest.name, raw.name);
                Ok(Self { package: manifest.name, version: manifest.version, id_of })
            }
            _ => Err((
                format!("[[server]] {:?} names no package, or two", raw.name),
                "write package and version of one in its registry, or the path of a folder of your own and no registry"
                    .to_owned(),
            )),
        }
    }
}

/// An amount of dollars.
pub(super) fn dollars(setting: &str, text: &str) -> Result<UsdcAmount, Fault> {
    text.parse().map_err(|error| {
        (format!("{setting} = {text:?}: {error}"), "write dollars as text, for instance \"0.0005\"".to_owned())
    })
}
