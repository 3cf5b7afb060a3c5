//! The servers this gateway offers, and how a caller's words find one of them.

use evidence::{
    Digest, ServerId, UsdcAmount, hash,
    json::{JsonError, Value, object},
    profile::{j, to_hex},
    tag,
};
use gate::{Call, Listed, ListedServer, Listing, Refusal};

use crate::{config::ServerEntry, runner::Digests};

/// Where packages come from.
pub(crate) const REGISTRY: &str = "npm";

/// One tool as its server lists it.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    /// Its name, as the server knows it.
    pub(crate) name: String,
    /// Its whole definition, as the server sent it.
    pub(crate) definition: Value,
}

impl Tool {
    /// Whether its results have a schema of their own.
    pub(crate) fn has_output_schema(&self) -> bool {
        self.definition.member("outputSchema").is_some()
    }
}

/// One server of the catalogue.
#[derive(Debug)]
pub(crate) struct Server {
    /// As it is configured.
    pub(crate) entry: ServerEntry,
    /// What is needed to run it, or why it cannot run.
    pub(crate) ready: Result<Ready, String>,
}

/// What is needed to run a server.
#[derive(Debug)]
pub(crate) struct Ready {
    /// What `sandbox` installed.
    pub(crate) installed: sandbox::InstalledServer,
    /// How it is started.
    pub(crate) launch: sandbox::LaunchSpec,
    /// Its tools, read at install.
    pub(crate) tools: Vec<Tool>,
    /// All that it offers, as it said itself.
    pub(crate) offers: crate::mcp::offers::Offers,
    /// What a proof names of it.
    pub(crate) digests: Digests,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Catalogue {
    servers: Vec<Server>,
    digest: Digest,
    /// What a call costs where its server says nothing else.
    price: UsdcAmount,
}

impl Catalogue {
    /// Puts the catalogue together and takes its digest.
    ///
    /// # Errors
    /// A name in it does not fit the profile of our documents.
    pub(crate) fn new(servers: Vec<Server>, price: UsdcAmount) -> Result<Self, JsonError> {
        let parts = servers.iter().map(|server| j(&server.commitment())).collect::<Result<Vec<_>, _>>()?;
        let parts: Vec<&[u8]> = parts.iter().map(AsRef::as_ref).collect();
        Ok(Self { digest: hash(tag::CATALOGUE, &parts), servers, price })
    }

    /// What a call of this tool costs.
    pub(crate) fn price_of(&self, server: &Server, tool: &str) -> UsdcAmount {
        let own = server.entry.tool_prices.get(tool).copied();
        own.or(server.entry.price).unwrap_or(self.price)
    }

    /// `H("sealgate/catalogue/v1", J(server)…)`, a part for each server, named in the state.
    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    /// All servers, in the order of the configuration.
    pub(crate) fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The server with this id.
    pub(crate) fn by_id(&self, id: &ServerId) -> Option<&Server> {
        self.servers.iter().find(|server| server.entry.id == *id)
    }

    /// The server that a caller means: by id, then name, slug, package name; upper and lower case alike.
    ///
    /// # Errors
    /// [`Refusal::UnknownServer`] with the closest name.
    pub(crate) fn find(&self, asked: &str) -> Result<&Server, Refusal> {
        let lower = asked.to_lowercase();
        let by = |name: &dyn Fn(&Server) -> String| self.servers.iter().find(|s| name(s).to_lowercase() == lower);
        by(&|s| s.entry.id.to_string())
            .or_else(|| by(&|s| s.entry.name.clone()))
            .or_else(|| by(&|s| s.prefix()))
            .or_else(|| by(&|s| s.entry.package.clone()))
            .ok_or_else(|| Refusal::UnknownServer {
                asked: asked.chars().take(128).collect(),
                closest: closest(&lower, self.servers.iter().map(|s| s.entry.name.as_str())),
            })
    }

    /// Servers whose words hold every word of the query, best first. An empty query finds all.
    pub(crate) fn search(&self, query: &str, category: Option<&str>) -> Vec<&Server> {
        let words: Vec<String> = query.to_lowercase().split_whitespace().map(str::to_owned).collect();
        let mut found: Vec<(usize, &Server)> = self
            .servers
            .iter()
            .filter(|server| {
                category.is_none_or(|c| server.entry.categories.iter().any(|own| own.eq_ignore_ascii_case(c)))
            })
            .filter_map(|server| Some((server.score(&words)?, server)))
            .collect();
        found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        found.into_iter().map(|(_, server)| server).collect()
    }

    /// The server and tool that a prefixed name `<prefix>__<tool>` means.
    ///
    /// # Errors
    /// Unknown server or tool, with the closest name.
    pub(crate) fn find_prefixed(&self, name: &str) -> Result<(&Server, String), Refusal> {
        let Some((prefix, tool)) = name.split_once("__") else {
            return Err(Refusal::UnknownTool {
                server: "gateway".to_owned(),
                asked: name.chars().take(128).collect(),
                closest: closest(name, crate::mcp::meta_tools::NAMES.iter().copied()),
            });
        };
        let server = self.servers.iter().find(|server| server.prefix() == prefix);
        let server = server.ok_or_else(|| Refusal::UnknownServer {
            asked: prefix.chars().take(128).collect(),
            closest: closest(prefix, self.servers.iter().map(|s| s.entry.name.as_str())),
        })?;
        Ok((server, tool.to_owned()))
    }
}

impl Listing for Catalogue {
    fn look_up(&self, call: &Call) -> Result<Listed, Refusal> {
        let server = self.known(&call.server)?;
        let ready = server.ready()?;
        if ready.tools.iter().any(|tool| tool.name == call.tool) {
            Ok(Listed {
                server: server.entry.name.clone(),
                price: self.price_of(server, &call.tool),
                required_secrets: server.required_secrets().map(str::to_owned).collect(),
            })
        } else {
            Err(Refusal::UnknownTool {
                server: server.entry.name.clone(),
                asked: call.tool.chars().take(128).collect(),
                closest: closest(&call.tool, ready.tools.iter().map(|tool| tool.name.as_str())),
            })
        }
    }

    fn look_up_server(&self, id: &ServerId) -> Result<ListedServer, Refusal> {
        let server = self.known(id)?;
        server.ready()?;
        Ok(ListedServer {
            server: server.entry.name.clone(),
            required_secrets: server.required_secrets().map(str::to_owned).collect(),
        })
    }
}

impl Catalogue {
    fn known(&self, id: &ServerId) -> Result<&Server, Refusal> {
        self.by_id(id).ok_or_else(|| Refusal::UnknownServer { asked: id.to_string(), closest: None })
    }
}

impl Server {
    /// What is needed to run it.
    ///
    /// # Errors
    /// [`Refusal::ServerUnavailable`] with the reason found at install.
    pub(crate) fn ready(&self) -> Result<&Ready, Refusal> {
        self.ready
            .as_ref()
            .map_err(|why| Refusal::ServerUnavailable { server: self.entry.name.clone(), why: why.clone() })
    }

    /// Its tools; none if it cannot run.
    pub(crate) fn tools(&self) -> &[Tool] {
        self.ready.as_ref().map_or(&[], |ready| &ready.tools)
    }

    /// The slug in front of its tools' names.
    pub(crate) fn prefix(&self) -> String {
        slug(&self.entry.name)
    }

    /// `name@version` of its package.
    pub(crate) fn package_at_version(&self) -> String {
        format!("{}@{}", self.entry.package, self.entry.version)
    }

    /// The object that lists show.
    pub(crate) fn summary(&self) -> Vec<(String, Value)> {
        let members = [
            ("id", self.entry.id.as_str().into()),
            ("name", self.entry.name.as_str().into()),
            ("slug", self.prefix().into()),
            ("title", self.entry.name.as_str().into()),
            ("description", self.entry.description.as_str().into()),
            ("version", self.entry.version.as_str().into()),
            ("package", self.entry.package.as_str().into()),
            ("registryType", REGISTRY.into()),
            ("deploymentType", "local_tool".into()),
            ("transportType", "stdio".into()),
            ("toolsCount", (self.tools().len() as u64).into()),
            ("categories", Value::Array(self.entry.categories.iter().map(|c| c.as_str().into()).collect())),
            ("secretsRequired", Value::Array(self.required_secrets().map(Value::from).collect())),
            ("secretsOptional", Value::Array(self.optional_secrets().map(Value::from).collect())),
            (
                "secrets",
                Value::Array(
                    self.entry
                        .secrets
                        .iter()
                        .map(|secret| {
                            object([
                                ("name", secret.name.as_str().into()),
                                ("description", secret.description.as_str().into()),
                                ("required", secret.required.into()),
                            ])
                        })
                        .collect(),
                ),
            ),
            ("gatewayCompatible", self.ready.is_ok().into()),
            ("canRun", self.ready.is_ok().into()),
            ("status", if self.ready.is_ok() { "ready".into() } else { "unavailable".into() }),
        ];
        let mut members: Vec<_> = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        if let Err(why) = &self.ready {
            members.push(("gatewayNotes".to_owned(), why.as_str().into()));
        }
        members
    }

    /// What its tools cost, where it has prices of its own: what the state's digest of the prices covers.
    pub(crate) fn prices(&self) -> Option<Value> {
        if self.entry.price.is_none() && self.entry.tool_prices.is_empty() {
            return None;
        }
        let units = |amount: &UsdcAmount| Value::from(amount.units().to_string());
        let tools = self.entry.tool_prices.iter();
        let tools = tools.map(|(tool, amount)| object([("tool", tool.as_str().into()), ("units", units(amount))]));
        Some(object([
            ("id", self.entry.id.as_str().into()),
            ("units", self.entry.price.as_ref().map_or(Value::Null, units)),
            ("tools", Value::Array(tools.collect())),
        ]))
    }

    /// Names of the secrets without which it does not run.
    pub(crate) fn required_secrets(&self) -> impl Iterator<Item = &str> {
        self.entry.secrets.iter().filter(|secret| secret.required).map(|secret| secret.name.as_str())
    }

    /// Names of the secrets that it takes if they are there.
    pub(crate) fn optional_secrets(&self) -> impl Iterator<Item = &str> {
        self.entry.secrets.iter().filter(|secret| !secret.required).map(|secret| secret.name.as_str())
    }

    /// What the state commits to of this server.
    fn commitment(&self) -> Value {
        let digests = self.ready.as_ref().ok().map(|ready| ready.digests);
        let hex = |digest: Option<&[u8]>| digest.map_or(Value::Null, to_hex);
        object([
            ("id", self.entry.id.as_str().into()),
            ("package", self.package_at_version().into()),
            ("registryDigest", hex(digests.as_ref().and_then(|d| d.registry.as_ref()).map(|d| &d[..]))),
            ("lockDigest", hex(digests.as_ref().and_then(|d| d.lock.as_ref()).map(|d| &d[..]))),
            ("imageDigest", hex(digests.as_ref().map(|d| &d.image[..]))),
            ("tools", Value::Array(self.tools().iter().map(|tool| tool.name.as_str().into()).collect())),
        ])
    }

    fn score(&self, words: &[String]) -> Option<usize> {
        let (name, package) = (self.entry.name.to_lowercase(), self.entry.package.to_lowercase());
        let description = self.entry.description.to_lowercase();
        words.iter().try_fold(0, |score, word| {
            let hit = [
                (name == *word, 100),
                (name.contains(word.as_str()), 50),
                (package.contains(word.as_str()), 30),
                (self.entry.categories.iter().any(|c| c.to_lowercase().contains(word.as_str())), 20),
                (self.tools().iter().any(|tool| tool.name.to_lowercase().contains(word.as_str())), 10),
                (description.contains(word.as_str()), 5),
            ];
            let best = hit.iter().filter(|(hit, _)| *hit).map(|(_, points)| points).max()?;
            Some(score + best)
        })
    }
}

/// A server's name as tools carry it: lower case, a leading `@` dropped, `/ . _` and blanks turned to `-`.
pub(crate) fn slug(name: &str) -> String {
    let lower = name.to_lowercase();
    let bare = lower.strip_prefix('@').unwrap_or(&lower);
    bare.chars().map(|c| if matches!(c, '/' | '.' | '_') || c.is_whitespace() { '-' } else { c }).collect()
}

/// The name closest to what was asked, if it is close enough to be a slip.
fn closest<'a>(asked: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let asked: Vec<char> = asked.to_lowercase().chars().take(64).collect();
    let near = names.map(|name| (distance(&asked, &name.to_lowercase().chars().take(64).collect::<Vec<_>>()), name));
    let (distance, name) = near.min()?;
    (distance <= 2 + asked.len() / 4).then(|| name.to_owned())
}

/// Levenshtein distance.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for ((substitute, delete), y) in row.iter().zip(row.iter().skip(1)).zip(b) {
            let insert = next.last().copied().unwrap_or_default();
            next.push((substitute + usize::from(x != y)).min(delete + 1).min(insert + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(name: &str, package: &str) -> Server {
        let entry = ServerEntry {
            id: format!("0193e3a2-6b5c-5f7d-9c1e-{:012x}", name.len() * 31 + package.len()).parse().unwrap(),
            name: name.into(),
            description: "reads and writes files".into(),
            categories: vec!["files".into()],
            package: package.into(),
            version: "1.0.0".into(),
            bin: None,
            args: Vec::new(),
            scratch_dirs: Vec::new(),
            price: None,
            tool_prices: std::collections::BTreeMap::new(),
            secrets: Vec::new(),
        };
        Server { entry, ready: Err("not installed".into()) }
    }

    fn catalogue() -> Catalogue {
        Catalogue::new(
            vec![server("everything", "@a/everything"), server("@b/file.system", "@b/fs")],
            UsdcAmount::default(),
        )
        .unwrap()
    }

    #[test]
    fn a_server_is_found_by_id_name_slug_and_package() {
        let catalogue = catalogue();
        let id = catalogue.servers()[1].entry.id.to_string();
        for asked in ["@b/file.system", "b-file-system", "@B/FS", &id] {
            assert_eq!(catalogue.find(asked).unwrap().entry.package, "@b/fs", "{asked}");
        }
    }

    #[test]
    fn a_slip_is_answered_with_the_name_that_was_meant() {
        let refusal = catalogue().find("evrything").unwrap_err();
        assert!(refusal.to_string().contains("not found"));
        assert!(refusal.remedy().text.contains("everything"));
        let refusal = catalogue().find("weather").unwrap_err();
        assert!(!refusal.remedy().text.contains("did you mean"));
    }

    #[test]
    fn a_long_catalogue_has_a_digest_and_each_server_changes_it() {
        let server = || server("everything", &"p".repeat(214));
        let of = |count: usize| Catalogue::new((0..count).map(|_| server()).collect(), UsdcAmount::default());
        let (long, longer) = (of(1000).unwrap(), of(1001).unwrap());
        assert_ne!(long.digest(), longer.digest());
    }

    #[test]
    fn every_word_of_a_query_must_hit() {
        let catalogue = catalogue();
        assert_eq!(catalogue.search("", None).len(), 2);
        assert_eq!(catalogue.search("files EVERY", None).len(), 1);
        assert_eq!(catalogue.search("files nothing", None).len(), 0);
        assert_eq!(catalogue.search("", Some("weather")).len(), 0);
    }
}
