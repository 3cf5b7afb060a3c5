//! From what a caller says to the server that is meant: by maps, so that ten thousand servers cost what one does.

use std::collections::HashMap;

use gate::Refusal;

use super::{Server, naming::slug};

/// Most candidates named to a caller whose word means several servers.
const MAX_NAMED: usize = 5;

/// How many times longer something may be in bytes than in lower case: the sign for kelvin has three, its `k` one.
const MAX_SHRINKING: usize = 3;

/// Positions of servers by each of their names, in lower case.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    ids: HashMap<String, usize>,
    prefixes: HashMap<String, usize>,
    /// Names, slugs, packages: in the order in which they are asked.
    shared: [HashMap<String, Vec<usize>>; 3],
    /// Bytes of the longest of all of these.
    longest: usize,
    /// What a slip is held against.
    slips: Slips,
}

/// Names as they are written, by the positions of their servers.
#[derive(Debug, Default)]
struct Slips {
    names: search::Names,
    prefixes: search::Names,
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
        let unique = lookup.ids.keys().chain(lookup.prefixes.keys());
        let names = unique.chain(lookup.shared.iter().flat_map(HashMap::keys));
        lookup.longest = names.map(String::len).max().unwrap_or_default();
        lookup.slips = Slips {
            names: search::Names::of(servers.iter().map(|server| server.entry.name.as_str())),
            prefixes: search::Names::of(servers.iter().map(Server::prefix)),
        };
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

    /// What stands before the tools of the server that was probably meant.
    pub(super) fn closest_prefix(&self, servers: &[Server], asked: &str) -> Option<String> {
        servers.get(self.slips.prefixes.closest(asked)?).map(|server| server.prefix().to_owned())
    }

    /// Whether something is short enough to be a name of one. Strangers may send a whole body of it.
    fn may_name_one(&self, asked: &str) -> bool {
        asked.len() <= MAX_SHRINKING * self.longest
    }

    /// The server that is meant: by id, then name, prefix, slug, package name. Where several share the word, the one of
    /// them that can run; where none or several can, nobody guesses.
    pub(super) fn find(&self, servers: &[Server], asked: &str) -> Result<usize, Refusal> {
        let bare = asked.trim();
        let unknown = || {
            let closest = self.slips.names.closest(bare).and_then(|at| servers.get(at));
            let closest = closest.map(|server| server.entry.name.clone());
            Refusal::UnknownServer { asked: asked.chars().take(128).collect(), closest }
        };
        if !self.may_name_one(bare) {
            return Err(unknown());
        }
        let lower = bare.to_lowercase();
        let [names, slugs, packages] = &self.shared;
        if let Some(at) = self.by_id(&lower) {
            return Ok(at);
        }
        let unique = self.by_prefix(&lower).map(|at| vec![at]);
        let found = [names.get(&lower), unique.as_ref(), slugs.get(&lower), packages.get(&lower)];
        let Some(found) = found.into_iter().flatten().next() else {
            return Err(unknown());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_letter_is_longer_than_its_small_one_by_more_than_the_limit() {
        let small = |letter: char| letter.to_lowercase().map(char::len_utf8).sum::<usize>();
        let shrinking = ('\0'..=char::MAX).map(|letter| letter.len_utf8().div_ceil(small(letter))).max();
        assert_eq!(shrinking, Some(MAX_SHRINKING));
    }

    #[test]
    fn what_is_longer_than_any_name_is_not_looked_up() {
        let lookup = Lookup { longest: 10, ..Lookup::default() };
        assert!(lookup.may_name_one(&"\u{212a}".repeat(10)) && lookup.may_name_one(""));
        assert!(!lookup.may_name_one(&"k".repeat(31)));
    }
}
