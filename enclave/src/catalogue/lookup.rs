//! From what a caller says to the server that is meant: by maps, so that ten thousand servers cost what one does.

use std::collections::HashMap;

use gate::Refusal;

use super::{Server, closest::closest, naming::slug};

/// Most candidates named to a caller whose word means several servers.
const MAX_NAMED: usize = 5;

/// Positions of servers by each of their names, in lower case.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    ids: HashMap<String, usize>,
    prefixes: HashMap<String, usize>,
    /// Names, slugs, packages: in the order in which they are asked.
    shared: [HashMap<String, Vec<usize>>; 3],
}

impl Lookup {
    pub(super) fn of(servers: &[Server]) -> Self {
        let mut lookup = Self::default();
        for (at, server) in servers.iter().enumerate() {
            let entry = &server.entry;
            lookup.ids.entry(entry.id.as_str().to_owned()).or_insert(at);
            lookup.prefixes.entry(server.prefix().to_owned()).or_insert(at);
            let names = [entry.name.to_lowercase(), slug(&entry.name), entry.package.to_lowercase()];
            for (map, name) in lookup.shared.iter_mut().zip(names) {
                map.entry(name).or_default().push(at);
            }
        }
        lookup
    }

    /// The server with this id.
    pub(super) fn by_id(&self, id: &str) -> Option<usize> {
        self.ids.get(id).copied()
    }

    /// The server before whose tools this stands.
    pub(super) fn by_prefix(&self, prefix: &str) -> Option<usize> {
        self.prefixes.get(prefix).copied()
    }

    /// The server that is meant: by id, then name, prefix, slug, package name. Where several share the word, the one of
    /// them that can run; where none or several can, nobody guesses.
    pub(super) fn find(&self, servers: &[Server], asked: &str) -> Result<usize, Refusal> {
        let lower = asked.trim().to_lowercase();
        let [names, slugs, packages] = &self.shared;
        if let Some(at) = self.by_id(&lower) {
            return Ok(at);
        }
        let unique = self.by_prefix(&lower).map(|at| vec![at]);
        let found = [names.get(&lower), unique.as_ref(), slugs.get(&lower), packages.get(&lower)];
        let Some(found) = found.into_iter().flatten().next() else {
            return Err(Refusal::UnknownServer {
                asked: asked.chars().take(128).collect(),
                closest: closest(&lower, servers.iter().map(|server| server.entry.name.as_str())),
            });
        };
        let can_run = |at: &usize| servers.get(*at).is_some_and(|server| server.ready.is_ok());
        match (found.as_slice(), found.iter().copied().filter(can_run).collect::<Vec<_>>().as_slice()) {
            ([one], _) | (_, [one]) => Ok(*one),
            _ => {
                let mut candidates: Vec<String> =
                    found.iter().filter_map(|at| servers.get(*at)).map(|server| server.prefix().to_owned()).collect();
                candidates.sort_unstable();
                candidates.truncate(MAX_NAMED);
                Err(Refusal::AmbiguousServer { asked: asked.chars().take(128).collect(), candidates })
            }
        }
    }
}
