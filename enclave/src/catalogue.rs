//! The servers this gateway offers, and how a caller's words find one of them.

use std::{
    collections::HashMap,
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use evidence::{
    Digest, ServerId, UsdcAmount, hash,
    json::{JsonError, Name, Value, object},
    profile::{j, to_hex},
    proof::RegistryDigest,
    tag,
};
use gate::{Call, Listed, ListedServer, Listing, Refusal};

mod live;
mod lookup;
#[cfg(test)]
mod measurement;
mod naming;

pub(crate) use self::{live::Offering, naming::slug};
use self::{lookup::Lookup, naming::BETWEEN};
use crate::{config::ServerEntry, mcp::meta_tools, runner::Digests};

/// Where packages of the operator's own folders come from.
const LOCAL: &str = "local";

/// What a server's status can be.
pub(crate) const STATUSES: [&str; 2] = ["ready", "unavailable"];

/// One tool as its server lists it.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    /// Its name, as the server knows it.
    pub(crate) name: String,
    /// Its whole definition, as the server sent it.
    pub(crate) definition: Value,
}

/// One server of the catalogue.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// As it is configured.
    pub(crate) entry: ServerEntry,
    /// What is needed to run it, or why it cannot run.
    pub(crate) ready: Result<Ready, String>,
    shown: Shown,
    /// Which installation it is of, of all that this process made.
    installation: u64,
}

/// How many installations there were.
static INSTALLATIONS: AtomicU64 = AtomicU64::new(0);

/// How a server stands in lists of the gateway, made once by its catalogue.
#[derive(Clone, Debug, Default)]
struct Shown {
    prefix: String,
    /// Its tools under their names on `/mcp`, in its own order.
    tools: Vec<Value>,
    /// Positions of its tools, by their own names and by those on `/mcp` without the prefix.
    by_name: HashMap<String, usize>,
}

/// What is needed to run a server.
#[derive(Clone, Debug)]
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

/// All of them, with what is asked of them all the time: made once, replaced as a whole, never changed.
#[derive(Debug)]
pub(crate) struct Catalogue {
    servers: Vec<Server>,
    digest: Digest,
    /// What a call costs where its server says nothing else.
    price: UsdcAmount,
    lookup: Lookup,
    index: search::Index,
    meta_tools: Vec<Value>,
}

/// Why there is no catalogue.
#[derive(Debug)]
pub(crate) enum CatalogueError {
    /// A name in it does not fit the profile of our documents.
    Profile(JsonError),
    /// It could not be made searchable.
    Index(search::IndexError),
}

impl fmt::Display for CatalogueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Profile(error) => error.fmt(f),
            Self::Index(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CatalogueError {}

/// A part of what a search found.
#[derive(Debug, Default)]
pub(crate) struct Page<'a> {
    /// How many it found in all.
    pub(crate) total: usize,
    /// The part that was asked for, best first.
    pub(crate) servers: Vec<&'a Server>,
}

impl Catalogue {
    /// Puts the catalogue together: its digest, its names, its index.
    ///
    /// # Errors
    /// [`CatalogueError`].
    pub(crate) fn new(mut servers: Vec<Server>, price: UsdcAmount) -> Result<Self, CatalogueError> {
        let parts = servers.iter().map(|server| j(&server.commitment())).collect::<Result<Vec<_>, _>>();
        let parts = parts.map_err(CatalogueError::Profile)?;
        let parts: Vec<&[u8]> = parts.iter().map(AsRef::as_ref).collect();
        let digest = hash(tag::CATALOGUE, &parts);
        let names: Vec<_> = servers.iter().map(|server| (server.entry.name.as_str(), &server.entry.id)).collect();
        let prefixes = naming::prefixes(&names);
        for (server, prefix) in servers.iter_mut().zip(prefixes) {
            server.shown = Shown::of(prefix, server.tools());
        }
        let documents: Vec<search::Document> = servers.iter().map(Server::document).collect();
        let index = search::Index::build(&documents).map_err(CatalogueError::Index)?;
        let (lookup, meta_tools) = (Lookup::of(&servers), meta_tools::definitions::of(&servers));
        Ok(Self { servers, digest, price, lookup, index, meta_tools })
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

    /// Definitions of the gateway's own tools.
    pub(crate) fn meta_tools(&self) -> &[Value] {
        &self.meta_tools
    }

    /// The server with this id.
    pub(crate) fn by_id(&self, id: &ServerId) -> Option<&Server> {
        self.servers.get(self.lookup.by_id(id.as_str())?)
    }

    /// The server that a caller means: by id, then name, what stands before its tools, slug, package name; upper and lower
    /// case alike.
    ///
    /// # Errors
    /// [`Refusal::UnknownServer`] with the closest name, [`Refusal::AmbiguousServer`] with those that are meant.
    pub(crate) fn find(&self, asked: &str) -> Result<&Server, Refusal> {
        let at = self.lookup.find(&self.servers, asked)?;
        self.servers.get(at).ok_or(Refusal::Internal { part: "catalogue" })
    }

    /// All servers that a query finds, best first. An empty one finds all, in the order of the configuration.
    pub(crate) fn search(&self, query: &str, category: Option<&str>) -> Vec<&Server> {
        self.page(query, category, self.servers.len(), 0).servers
    }

    /// A part of what a query finds.
    pub(crate) fn page(&self, query: &str, category: Option<&str>, limit: usize, offset: usize) -> Page<'_> {
        let found = self.ranked(query, category, limit, offset);
        let servers = found.hits.iter().filter_map(|hit| self.servers.get(hit.position)).collect();
        Page { total: found.total, servers }
    }

    /// The same by positions, with scores.
    pub(crate) fn ranked(&self, text: &str, category: Option<&str>, limit: usize, offset: usize) -> search::Found {
        if text.trim().is_empty() {
            return self.unranked(category, limit, offset);
        }
        let found = self.index.search(search::Query { text, category, limit, offset });
        found.unwrap_or_else(|error| {
            // No query is the reason, and a caller could do nothing about it.
            tracing::error!(%error, "a search failed");
            search::Found::default()
        })
    }

    /// Nothing is looked for: all there are, as the operator put them.
    fn unranked(&self, category: Option<&str>, limit: usize, offset: usize) -> search::Found {
        let filed = |server: &&Server| category.is_none_or(|category| server.is_filed_under(category));
        let all = self.servers.iter().enumerate().filter(|(_, server)| filed(server));
        let positions: Vec<usize> = all.map(|(position, _)| position).collect();
        let hit = |position: &usize| search::Hit { position: *position, score: 0.0 };
        search::Found { total: positions.len(), hits: positions.iter().skip(offset).take(limit).map(hit).collect() }
    }

    /// What an embedder gets of each server, in their order.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.servers.iter().map(|server| server.document().text()).collect()
    }

    /// The server and tool that a prefixed name `<prefix>__<tool>` means.
    ///
    /// # Errors
    /// Unknown server or tool, with the closest name.
    pub(crate) fn find_prefixed(&self, name: &str) -> Result<(&Server, String), Refusal> {
        let Some((prefix, tool)) = name.split_once(BETWEEN) else {
            return Err(Refusal::UnknownTool {
                server: "gateway".to_owned(),
                asked: name.chars().take(128).collect(),
                closest: search::closest(name, meta_tools::NAMES.iter().copied()).map(str::to_owned),
            });
        };
        let server = self.lookup.by_prefix(prefix).and_then(|at| self.servers.get(at));
        let server = server.ok_or_else(|| Refusal::UnknownServer {
            asked: prefix.chars().take(128).collect(),
            closest: self.lookup.closest_prefix(&self.servers, prefix),
        })?;
        Ok((server, server.tool_named(tool)))
    }
}

impl Shown {
    fn of(prefix: String, tools: &[Tool]) -> Self {
        let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
        let short = naming::tools(&prefix, &names);
        let shown = tools.iter().zip(&short).map(|(tool, short)| {
            let mut definition = tool.definition.clone();
            if let Value::Object(members) = &mut definition {
                for (_, value) in members.iter_mut().filter(|(name, _)| name == "name") {
                    *value = format!("{prefix}{BETWEEN}{short}").into();
                }
            }
            definition
        });
        let shown = shown.collect();
        // Own names last: they win over short ones.
        let own = names.iter().map(|name| (*name).to_owned());
        let by_name = short.iter().cloned().enumerate().chain(own.enumerate()).map(|(at, name)| (name, at)).collect();
        Self { prefix, tools: shown, by_name }
    }
}

impl Listing for Catalogue {
    fn look_up(&self, call: &Call) -> Result<Listed, Refusal> {
        let ready = self.known(&call.server)?.ready()?;
        self.listed_among(call, ready.tools.iter().map(|tool| tool.name.as_str()))
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

    /// The tool that a call names, if it is one of these of its server.
    fn listed_among<'t>(&self, call: &Call, tools: impl Iterator<Item = &'t str> + Clone) -> Result<Listed, Refusal> {
        let server = self.known(&call.server)?;
        if tools.clone().any(|name| name == call.tool) {
            Ok(Listed {
                server: server.entry.name.clone(),
                price: self.price_of(server, &call.tool),
                required_secrets: server.required_secrets().map(str::to_owned).collect(),
            })
        } else {
            Err(Refusal::UnknownTool {
                server: server.entry.name.clone(),
                asked: call.tool.chars().take(128).collect(),
                closest: search::closest(&call.tool, tools).map(str::to_owned),
            })
        }
    }
}

impl Server {
    /// A server that stands in no catalogue yet.
    pub(crate) fn new(entry: ServerEntry, ready: Result<Ready, String>) -> Self {
        let installation = INSTALLATIONS.fetch_add(1, Ordering::Relaxed);
        Self { entry, ready, shown: Shown::default(), installation }
    }

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

    /// What stands before its tools' names, and before no other server's.
    pub(crate) fn prefix(&self) -> &str {
        &self.shown.prefix
    }

    /// Its tools as the gateway's own endpoint lists them.
    pub(crate) fn listed(&self) -> &[Value] {
        &self.shown.tools
    }

    /// The tool's own name, given that one or the one on `/mcp` without the prefix; what it is asked for where there is
    /// none.
    pub(crate) fn tool_named(&self, asked: &str) -> String {
        let tool = self.shown.by_name.get(asked).and_then(|at| self.tools().get(*at));
        tool.map_or_else(|| asked.to_owned(), |tool| tool.name.clone())
    }

    /// Whether this is one of its categories, upper and lower case alike.
    pub(crate) fn is_filed_under(&self, category: &str) -> bool {
        let category = category.trim().to_lowercase();
        self.entry.categories.iter().any(|own| own.to_lowercase() == category)
    }

    /// What is searched of it.
    fn document(&self) -> search::Document {
        let text = |tool: &Tool| tool.definition.member("description").and_then(Value::as_str).map(str::to_owned);
        search::Document {
            id: self.entry.id.to_string(),
            name: self.entry.name.clone(),
            title: self.entry.name.clone(),
            slug: slug(&self.entry.name),
            package: self.entry.package.clone(),
            description: self.entry.description.clone(),
            categories: self.entry.categories.clone(),
            tools: self
                .tools()
                .iter()
                .map(|tool| search::ToolText { name: tool.name.clone(), description: text(tool).unwrap_or_default() })
                .collect(),
        }
    }

    /// Where its package comes from, as lists show it.
    pub(crate) fn registry_type(&self) -> &'static str {
        if self.entry.path.is_some() { LOCAL } else { self.entry.registry.as_str() }
    }

    /// How it is run, as lists show it.
    pub(crate) fn deployment_type(&self) -> &'static str {
        "local_tool"
    }

    /// Whether it can run, as lists show it: one of [`STATUSES`].
    pub(crate) fn status(&self) -> &'static str {
        let [ready, unavailable] = STATUSES;
        if self.ready.is_ok() { ready } else { unavailable }
    }

    /// `name@version` of its package.
    pub(crate) fn package_at_version(&self) -> String {
        format!("{}@{}", self.entry.package, self.entry.version)
    }

    /// The object that lists show.
    pub(crate) fn summary(&self) -> Vec<(Name, Value)> {
        let members = [
            ("id", self.entry.id.as_str().into()),
            ("name", self.entry.name.as_str().into()),
            ("slug", self.prefix().into()),
            ("title", self.entry.name.as_str().into()),
            ("description", self.entry.description.as_str().into()),
            ("version", self.entry.version.as_str().into()),
            ("package", self.entry.package.as_str().into()),
            ("registryType", self.registry_type().into()),
            ("deploymentType", self.deployment_type().into()),
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
            ("status", self.status().into()),
        ];
        let mut members: Vec<_> = members.into_iter().map(|(name, value)| (name.into(), value)).collect();
        if let Err(why) = &self.ready {
            members.push(("gatewayNotes".into(), why.as_str().into()));
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
            ("registryDigest", hex(digests.as_ref().and_then(|d| d.registry.as_ref()).map(RegistryDigest::as_bytes))),
            ("lockDigest", hex(digests.as_ref().and_then(|d| d.lock.as_ref()).map(|d| &d[..]))),
            ("imageDigest", hex(digests.as_ref().map(|d| &d.image[..]))),
            ("tools", Value::Array(self.tools().iter().map(|tool| tool.name.as_str().into()).collect())),
        ])
    }
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
            registry: crate::config::PackageRegistry::Npm,
            package: package.into(),
            version: "1.0.0".into(),
            path: None,
            bin: None,
            args: Vec::new(),
            scratch_dirs: Vec::new(),
            price: None,
            tool_prices: std::collections::BTreeMap::new(),
            secrets: Vec::new(),
        };
        Server::new(entry, Err("not installed".into()))
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
        let refusal = catalogue().find_prefixed("everythign__echo").unwrap_err();
        assert!(refusal.remedy().text.contains("everything"));
    }

    #[test]
    fn a_long_name_is_found_and_what_is_longer_still_is_answered_like_any_slip() {
        let long = format!("{}k", "n".repeat(80));
        let catalogue = Catalogue::new(vec![server(&long, "@a/long")], UsdcAmount::default()).unwrap();
        for asked in [long.clone(), long.to_uppercase(), format!(" {} ", long.replace('k', "\u{212a}"))] {
            assert!(catalogue.find(&asked).is_ok(), "{asked}");
        }
        for more in [1, 1 << 20] {
            let asked = format!("{long}{}", "x".repeat(more));
            let Err(Refusal::UnknownServer { asked, closest }) = catalogue.find(&asked) else { panic!("{more}") };
            assert_eq!((asked.len(), closest.as_deref()), (128.min(long.len() + more), Some(long.as_str())));
        }
    }

    #[test]
    fn a_long_catalogue_has_a_digest_and_each_server_changes_it() {
        let server = || server("everything", &"p".repeat(214));
        let of = |count: usize| Catalogue::new((0..count).map(|_| server()).collect(), UsdcAmount::default());
        let (long, longer) = (of(1000).unwrap(), of(1001).unwrap());
        assert_ne!(long.digest(), longer.digest());
    }

    #[test]
    fn a_search_finds_the_best_first_and_says_how_many_there_are() {
        let catalogue = catalogue();
        let names = |query: &str, category| {
            let found = catalogue.search(query, category);
            found.into_iter().map(|server| server.entry.name.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(names("", None), ["everything", "@b/file.system"], "all, as the operator put them");
        assert_eq!(names("everything file", None), ["everything", "@b/file.system"]);
        assert!(names("weather", None).is_empty() && names("", Some("weather")).is_empty());
        assert_eq!(names(" ", Some("FILES")), ["everything", "@b/file.system"]);
        let page = catalogue.page("", None, 1, 1);
        assert_eq!((page.total, page.servers.len(), page.servers[0].entry.name.as_str()), (2, 1, "@b/file.system"));
        let page = catalogue.page("reads", Some("FILES"), 1, 1);
        assert_eq!((page.total, page.servers.len(), page.servers[0].entry.name.as_str()), (2, 1, "everything"));
    }

    #[test]
    fn a_word_that_means_several_servers_is_no_guess() {
        let catalogue = Catalogue::new(
            vec![server("a.fs", "@one/fs"), server("@a/fs", "@two/fs"), server("b", "@two/fs")],
            UsdcAmount::default(),
        )
        .unwrap();
        let prefixes: Vec<&str> = catalogue.servers().iter().map(Server::prefix).collect();
        for asked in ["a-fs", "@two/fs"] {
            let refusal = catalogue.find(asked).unwrap_err();
            assert_eq!(refusal.code(), "AMBIGUOUS_SERVER", "{asked}");
            assert!(refusal.remedy().text.contains(prefixes[1]), "{}", refusal.remedy().text);
        }
        for (at, asked) in [(0, "a.fs"), (1, "@A/fs"), (0, prefixes[0]), (1, prefixes[1]), (0, "@one/fs")] {
            assert_eq!(catalogue.find(asked).unwrap().prefix(), prefixes[at], "{asked}");
        }
        assert!(catalogue.find_prefixed("a-fs__read").is_err(), "nor before a tool");
        assert_eq!(catalogue.find_prefixed(&format!("{}__read", prefixes[1])).unwrap().0.prefix(), prefixes[1]);
    }

    #[test]
    fn names_of_tools_fit_and_lead_back_to_their_tools() {
        let name = "a-server-whose-name-is-as-long-as-names-may-be";
        let long: Vec<String> =
            (0..50).map(|n| format!("a_tool.whose-name-says-everything-that-it-does__{n}")).collect();
        let tools: Vec<Tool> = long
            .iter()
            .map(String::as_str)
            .chain(["echo", "with__two"])
            .map(|name| Tool {
                name: name.to_owned(),
                definition: object([("title", "T".into()), ("name", name.into()), ("x", Value::Null)]),
            })
            .collect();
        let shown = Shown::of(naming::prefixes(&[(name, &server(name, "p").entry.id)]).remove(0), &tools);
        for (tool, listed) in tools.iter().zip(&shown.tools) {
            let listed_name = listed.member("name").and_then(Value::as_str).unwrap();
            assert!(listed_name.len() <= naming::MAX_NAME, "{listed_name}");
            let (prefix, rest) = listed_name.split_once("__").unwrap();
            assert_eq!(prefix, shown.prefix);
            assert_eq!(tools[shown.by_name[rest]].name, tool.name, "{listed_name}");
            assert_eq!(tools[shown.by_name[&tool.name]].name, tool.name);
            let members: Vec<&str> = listed.as_object().unwrap().iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(members, ["title", "name", "x"], "the rest is as the server wrote it");
        }
    }
}
