//! How servers and tools are called on `/mcp`: `<prefix>__<tool>`.
//!
//! Clients part a name at its first `__`, so no prefix holds one. Model APIs take names of 64 characters: what is longer is
//! shortened, the same way each time, with digits of a UUID or a digest that keep it apart from others. Nothing here
//! depends on the order of the catalogue: a server that is added or removed changes the names of others only where they
//! share a slug with it.

use std::collections::{HashMap, HashSet};

use evidence::ServerId;
use sha2::{Digest as _, Sha256};

/// What stands between a prefix and a tool.
pub(crate) const BETWEEN: &str = "__";

/// Longest name of a tool on `/mcp`.
pub(crate) const MAX_NAME: usize = 64;

/// Longest prefix: it leaves 22 characters to the tool.
const MAX_PREFIX: usize = 40;

/// How many hexadecimal digits keep names apart, one try after the other. All 32 of a UUID are its own alone.
const DIGITS: [usize; 3] = [6, 12, 32];

/// A server's name as tools carry it: lower case, a leading `@` dropped, `/ . _` and blanks turned to `-`.
pub(crate) fn slug(name: &str) -> String {
    let lower = name.to_lowercase();
    let bare = lower.strip_prefix('@').unwrap_or(&lower);
    bare.chars().map(|c| if matches!(c, '/' | '.' | '_') || c.is_whitespace() { '-' } else { c }).collect()
}

/// What stands before the tools of each of these servers (name, id): its slug. Where two share one, both get the last six
/// digits of their UUIDs behind it, so that neither answers to a name that may mean the other.
pub(crate) fn prefixes(servers: &[(&str, &ServerId)]) -> Vec<String> {
    let slugs: Vec<String> = servers.iter().map(|(name, _)| slug(name)).collect();
    let ids: Vec<String> = servers.iter().map(|(_, id)| id.as_str().replace('-', "")).collect();
    let tail = |id: &str, digits: usize| id.get(id.len().saturating_sub(digits)..).unwrap_or(id).to_owned();
    let made = |at: usize, digits: usize| {
        let (slug, id) = (slugs.get(at).map_or("", String::as_str), ids.get(at).map_or("", String::as_str));
        marked(slug, MAX_PREFIX, '-', &tail(id, digits))
    };
    let fits = |at: usize| slugs.get(at).is_some_and(|slug| slug.chars().count() <= MAX_PREFIX);
    let bare = |at: usize| if fits(at) { slugs.get(at).cloned() } else { None };
    apart(servers.len(), bare, made)
}

/// The names of these tools behind a prefix, without it, each at most as long as the prefix leaves room for.
pub(crate) fn tools(prefix: &str, names: &[&str]) -> Vec<String> {
    let room = MAX_NAME.saturating_sub(prefix.chars().count() + BETWEEN.len());
    let name = |at: usize| names.get(at).copied().unwrap_or_default();
    let bare = |at: usize| (name(at).chars().count() <= room).then(|| name(at).to_owned());
    let made = |at: usize, digits: usize| {
        let digest = hex::encode(Sha256::digest(name(at).as_bytes()));
        marked(name(at), room, '_', digest.get(..digits.min(room.saturating_sub(2))).unwrap_or(&digest))
    };
    apart(names.len(), bare, made)
}

/// A name with a mark behind it, shortened where it would not fit otherwise.
fn marked(name: &str, most: usize, before: char, mark: &str) -> String {
    let keep = most.saturating_sub(mark.len() + 1);
    let kept: String = name.chars().take(keep).collect();
    format!("{kept}{before}{mark}")
}

/// A name for each, no two alike: the bare one where it fits and nobody else has it, else one with as many digits as it
/// takes. Whoever shares a name changes it, all of them.
fn apart(count: usize, bare: impl Fn(usize) -> Option<String>, made: impl Fn(usize, usize) -> String) -> Vec<String> {
    // Place in DIGITS; none for a bare name.
    let mut tries: Vec<Option<usize>> = (0..count).map(|at| bare(at).is_none().then_some(0)).collect();
    loop {
        let names: Vec<String> = tries
            .iter()
            .enumerate()
            .map(|(at, place)| match place.and_then(|place| DIGITS.get(place)) {
                Some(digits) => made(at, *digits),
                None => bare(at).unwrap_or_default(),
            })
            .collect();
        let mut holders: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, name) in names.iter().enumerate() {
            holders.entry(name).or_default().push(at);
        }
        let shared: HashSet<usize> = holders.into_values().filter(|at| at.len() > 1).flatten().collect();
        let mut changed = false;
        for (at, place) in tries.iter_mut().enumerate().filter(|(at, _)| shared.contains(at)) {
            let _ = at;
            let next = place.map_or(0, |place| place + 1);
            if next < DIGITS.len() {
                (*place, changed) = (Some(next), true);
            }
        }
        if !changed {
            return names;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> ServerId {
        format!("0193e3a2-6b5c-5f7d-9c1e-{n:012x}").parse().unwrap()
    }

    fn made(servers: &[(&str, u64)]) -> Vec<String> {
        let ids: Vec<ServerId> = servers.iter().map(|(_, n)| id(*n)).collect();
        let servers: Vec<(&str, &ServerId)> = servers.iter().zip(&ids).map(|((name, _), id)| (*name, id)).collect();
        prefixes(&servers)
    }

    #[test]
    fn a_slug_is_what_clients_of_this_ecosystem_make_of_a_name() {
        for (name, expected) in [
            ("@rickydata/siyuan-mcp", "rickydata-siyuan-mcp"),
            ("My Server.v2", "my-server-v2"),
            ("a__b", "a--b"),
            ("plain", "plain"),
        ] {
            assert_eq!(slug(name), expected);
        }
    }

    #[test]
    fn servers_that_share_a_slug_all_get_digits_of_their_ids() {
        let servers = [("@a/files", 0xaa11bb), ("a.files", 0xcc22dd), ("other", 1)];
        assert_eq!(made(&servers), ["a-files-aa11bb", "a-files-cc22dd", "other"]);
        let back: Vec<_> = servers.iter().rev().copied().collect();
        assert_eq!(made(&back), ["other", "a-files-cc22dd", "a-files-aa11bb"], "in any order");
        // Somebody is called what the digits would make of another, and digits may be the same.
        let names = made(&[("a b", 0xaa11bb), ("a.b", 0xcc22dd), ("a b aa11bb", 7)]);
        assert_eq!(names, ["a-b-000000aa11bb", "a-b-cc22dd", "a-b-aa11bb-000007"]);
        let names = made(&[("a b", 0x1_aa11bb), ("a.b", 0x2_aa11bb)]);
        assert_eq!(names, ["a-b-000001aa11bb", "a-b-000002aa11bb"]);
    }

    #[test]
    fn a_long_slug_leaves_room_for_tools() {
        let (most, longer) = ("n".repeat(MAX_PREFIX), "n".repeat(MAX_PREFIX + 1));
        assert_eq!(made(&[(&most, 1)]), std::slice::from_ref(&most));
        assert_eq!(made(&[(&longer, 0xabcdef)]), [format!("{}-abcdef", "n".repeat(33))]);
    }

    #[test]
    fn ids_that_are_the_same_end_the_search_for_other_names() {
        assert_eq!(made(&[("a", 1), ("a", 1)]).len(), 2);
    }

    #[test]
    fn every_name_fits_is_its_own_and_the_same_each_time() {
        let prefix = "p".repeat(MAX_PREFIX);
        let long: Vec<String> = (0..300).map(|n| format!("read_the_whole_contents_of_{n}")).collect();
        let (fits, over) = ("t".repeat(22), "t".repeat(23));
        let mut names: Vec<&str> = long.iter().map(String::as_str).collect();
        names.extend([fits.as_str(), over.as_str(), "echo"]);
        let made = tools(&prefix, &names);
        assert!(made.iter().all(|name| prefix.len() + 2 + name.len() <= MAX_NAME));
        assert_eq!(made.iter().collect::<HashSet<_>>().len(), names.len());
        assert_eq!(made[300..], [fits.clone(), made[301].clone(), "echo".to_owned()]);
        assert!(made[301].starts_with(&format!("{}_", "t".repeat(15))), "{}", made[301]);
        names.reverse();
        let mut back = tools(&prefix, &names);
        back.reverse();
        assert_eq!(back, made, "in any order");
        // A tool that is called like the short form of another keeps neither of them from being found.
        let taken = tools(&prefix, &[&over, &made[301]]);
        assert_ne!(taken[0], taken[1]);
    }
}
