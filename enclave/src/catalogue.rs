//! The servers this gateway offers, and how a caller's words find one of them.

use std::fmt;

use evidence::{
    Digest, ServerId, UsdcAmount, hash,
    json::{JsonError, Value},
    profile::j,
    tag,
};
use gate::{Call, Listed, ListedServer, Listing, Refusal};

mod live;
mod lookup;
#[cfg(test)]
mod measurement;
mod naming;
mod server;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    live::Offering,
    naming::slug,
    server::{Ready, STATUSES, Server, Tool},
};
use self::{lookup::Lookup, naming::BETWEEN, server::Shown};
use crate::mcp::meta_tools;

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
