//! The switches of one owner, and of the many owners that are in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use evidence::ServerId;

/// Most owners in memory. The one that was used longest ago is forgotten first; what it has on disk is read again.
pub(super) const MAX_OWNERS: usize = 10_000;

/// Most scopes of one owner, as many as the store keeps of it.
pub(super) const MAX_SCOPES: usize = 64;

/// First byte of a row: how the rest is to be read.
const FORM: u8 = 1;

/// What one scope has switched on.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Row {
    /// Of what is on disk; 0 if nothing is.
    pub(super) version: u64,
    pub(super) servers: BTreeSet<ServerId>,
}

/// All scopes of one owner, by their pseudonyms.
#[derive(Clone, Debug, Default)]
pub(super) struct Board {
    rows: HashMap<[u8; 32], Row>,
    /// Scopes in the order of their last change, oldest first.
    changed: Vec<[u8; 32]>,
}

impl Board {
    /// Whether nothing was ever switched.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.values().all(|row| row.version == 0)
    }

    /// What is on: the first of the chain that has a row of its own decides.
    pub(super) fn effective(&self, chain: &[[u8; 32]]) -> Option<&BTreeSet<ServerId>> {
        chain.iter().find_map(|scope| self.rows.get(scope)).map(|row| &row.servers)
    }

    pub(super) fn row(&self, scope: &[u8; 32]) -> Option<&Row> {
        self.rows.get(scope)
    }

    /// Takes note of a row as it is on disk.
    pub(super) fn know(&mut self, scope: [u8; 32], row: Row) {
        self.rows.insert(scope, row);
        self.changed.push(scope);
    }

    /// Changes a scope's own switches. The widest is never forgotten for a narrower one.
    pub(super) fn set(&mut self, widest: [u8; 32], scope: [u8; 32], servers: BTreeSet<ServerId>) {
        self.rows.entry(scope).or_default().servers = servers;
        self.changed.retain(|other| *other != scope);
        self.changed.push(scope);
        if self.changed.len() > MAX_SCOPES
            && let Some(at) = self.changed.iter().position(|other| *other != widest)
        {
            self.rows.remove(&self.changed.remove(at));
        }
    }

    /// A scope's row has this version on disk now.
    pub(super) fn is_now(&mut self, scope: [u8; 32], version: u64) {
        if let Some(row) = self.rows.get_mut(&scope) {
            row.version = version;
        }
    }
}

/// The owners that are in memory.
#[derive(Debug, Default)]
pub(super) struct Boards {
    boards: HashMap<[u8; 32], (u64, Board)>,
    /// Owners by when they were last used.
    used: BTreeMap<u64, [u8; 32]>,
    clock: u64,
}

impl Boards {
    /// What is known of an owner.
    pub(super) fn get(&mut self, owner: &[u8; 32]) -> Option<&Board> {
        if !self.boards.contains_key(owner) {
            return None;
        }
        Some(self.board(*owner))
    }

    /// What is known of an owner; nothing at first.
    pub(super) fn board(&mut self, owner: [u8; 32]) -> &mut Board {
        self.clock += 1;
        if !self.boards.contains_key(&owner)
            && self.boards.len() >= MAX_OWNERS
            && let Some((_, oldest)) = self.used.pop_first()
        {
            self.boards.remove(&oldest);
        }
        let (used, board) = self.boards.entry(owner).or_default();
        self.used.remove(used);
        *used = self.clock;
        self.used.insert(self.clock, owner);
        board
    }

    /// What was read of an owner; what is in memory already is newer.
    pub(super) fn put(&mut self, owner: [u8; 32], board: Board) {
        if !self.boards.contains_key(&owner) {
            *self.board(owner) = board;
        }
    }
}

/// Servers as a row keeps them: a byte that says so, then 16 bytes for each.
pub(super) fn body(servers: &BTreeSet<ServerId>) -> Vec<u8> {
    let ids = servers.iter().filter_map(|server| uuid::Uuid::try_parse(server.as_str()).ok());
    [FORM].into_iter().chain(ids.flat_map(|id| id.into_bytes())).collect()
}

/// What [`body`] made.
pub(super) fn servers(body: &[u8]) -> Option<BTreeSet<ServerId>> {
    let (&FORM, rest) = body.split_first()? else { return None };
    let (ids, []) = rest.as_chunks::<16>() else { return None };
    ids.iter().map(|id| uuid::Uuid::from_bytes(*id).to_string().parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_row_keeps_is_read_as_it_was() {
        let ids: BTreeSet<ServerId> =
            (0..3_u8).map(|n| format!("0193e3a2-6b5c-5f7d-9c1e-2a4b6c8d0e1{n}").parse().unwrap()).collect();
        let body = body(&ids);
        assert_eq!((body.len(), servers(&body)), (49, Some(ids)));
        assert_eq!(servers(&[FORM]), Some(BTreeSet::new()));
        for wrong in [&[][..], &[2], &body[..48], &[&body[..], &[0]].concat()] {
            assert_eq!(servers(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn whoever_was_used_longest_ago_is_forgotten_first() {
        let mut boards = Boards::default();
        let owner = |n: usize| {
            let mut owner = [0; 32];
            owner[..8].copy_from_slice(&n.to_be_bytes());
            owner
        };
        for n in 0..MAX_OWNERS {
            boards.board(owner(n));
        }
        assert!(boards.get(&owner(0)).is_some(), "used again");
        boards.board(owner(MAX_OWNERS));
        assert!(boards.get(&owner(0)).is_some() && boards.get(&owner(1)).is_none());
        assert_eq!((boards.boards.len(), boards.used.len()), (MAX_OWNERS, MAX_OWNERS));
    }

    #[test]
    fn an_owner_has_no_more_scopes_than_the_store_keeps() {
        let mut board = Board::default();
        for n in 0..=MAX_SCOPES {
            board.set([0; 32], [u8::try_from(n).unwrap(); 32], BTreeSet::new());
        }
        assert!(board.row(&[1; 32]).is_none() && board.row(&[2; 32]).is_some());
        assert!(board.row(&[0; 32]).is_some(), "the widest stays");
    }
}
