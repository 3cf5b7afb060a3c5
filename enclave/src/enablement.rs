//! Which servers a caller has switched on: their tools then stand in `tools/list` of `/mcp`.
//!
//! Switches belong to a principal, and are kept under its pseudonym. A narrower scope of it (`X-Runtime-Scope-Id`,
//! `X-MCP-Session`) begins with what the wider one has, and goes its own way from its first change on. Sessions of
//! anonymous callers are scopes of nobody: they are held in memory, and end with the gateway.

mod board;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use evidence::{ServerId, UnixSeconds};
use gate::{
    Principal,
    keep::{Kept, Pseudonyms, StoreError, SwitchRow, Switches as _},
};
use store::Store;
use tokio::sync::watch;

use self::board::{Board, Boards, Row};
use crate::boot;

/// Longest `X-MCP-Session` and `X-Runtime-Scope-Id`.
pub(crate) const MAX_SESSION_BYTES: usize = 128;

/// Most servers that one scope has on. Models are lost among far fewer, and a row of them stays below 4 KiB.
pub(crate) const MAX_ENABLED: usize = 250;

/// How long switches are kept after their last change, or after they were last looked at in the second half of this:
/// half a year.
const KEEP_S: u64 = 180 * 24 * 60 * 60;

/// Among pseudonyms.
const KIND: &str = "switches";

/// What makes a scope narrower than its principal.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Narrower {
    /// `X-Runtime-Scope-Id`
    pub(crate) runtime: Option<String>,
    /// `X-MCP-Session`
    pub(crate) session: Option<String>,
}

impl From<Option<&str>> for Narrower {
    fn from(session: Option<&str>) -> Self {
        Self { runtime: None, session: session.map(str::to_owned) }
    }
}

impl From<&Narrower> for Narrower {
    fn from(narrower: &Narrower) -> Self {
        narrower.clone()
    }
}

/// Whose switches: most specific first.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Scope {
    principal: Option<String>,
    narrower: Narrower,
}

impl Scope {
    /// The scope of a request. `None` for an anonymous caller without a session: strangers share nothing, neither
    /// switches nor containers. A runtime scope is a part of its principal, so strangers have none.
    pub(crate) fn of(principal: &Principal, narrower: impl Into<Narrower>) -> Option<Self> {
        let (principal, mut narrower) = (principal.name(), narrower.into());
        if principal.is_none() {
            narrower.runtime = None;
        }
        (principal.is_some() || narrower.session.is_some()).then_some(Self { principal, narrower })
    }

    /// A name for the scope, by which containers are kept apart. It holds the caller's name: for memory only.
    pub(crate) fn key(&self) -> String {
        format!("{:?}/{:?}/{:?}", self.principal, self.narrower.runtime, self.narrower.session)
    }

    /// What its pseudonym is made of: each part with a byte before it that says whether it is there, and an end. No part
    /// holds a zero byte.
    fn bytes(&self) -> Vec<u8> {
        let parts = [&self.principal, &self.narrower.runtime, &self.narrower.session];
        let part = |part: &Option<String>| match part {
            Some(text) => [&[1], text.as_bytes(), &[0]].concat(),
            None => vec![0],
        };
        parts.into_iter().flat_map(part).collect()
    }

    /// What tells the scopes of one principal apart: empty for its widest, the session alone where there is no runtime
    /// scope.
    pub(crate) fn part(&self) -> String {
        match &self.narrower {
            Narrower { runtime: None, session } => session.clone().unwrap_or_default(),
            Narrower { runtime, session } => format!("{runtime:?}/{session:?}"),
        }
    }

    /// What the keys of all scopes of a principal begin with.
    pub(crate) fn keys_of(principal: &Principal) -> String {
        format!("{:?}/", principal.name())
    }

    /// The scope that this one begins with.
    fn wider(&self) -> Option<Self> {
        self.principal.as_ref()?;
        let narrower = match &self.narrower {
            Narrower { runtime, session: Some(_) } => Narrower { runtime: runtime.clone(), session: None },
            Narrower { runtime: Some(_), session: None } => Narrower::default(),
            Narrower { runtime: None, session: None } => return None,
        };
        Some(Self { principal: self.principal.clone(), narrower })
    }

    fn is_kept(&self) -> bool {
        self.principal.is_some()
    }
}

/// A scope by its pseudonyms: its owner, and itself with all that it begins with, most specific first.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Place {
    owner: [u8; 32],
    chain: Vec<[u8; 32]>,
    is_kept: bool,
}

impl Place {
    fn own(&self) -> [u8; 32] {
        self.chain.first().copied().unwrap_or(self.owner)
    }
}

/// What became of a switch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Change {
    /// It stood otherwise before.
    pub(crate) changed: bool,
    /// It will be so after a restart, as far as it should: the switches of anonymous sessions never are.
    pub(crate) is_kept: bool,
}

/// Why nothing was switched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NotSwitched {
    /// The scope has all the servers on that it may.
    TooMany,
    /// What it has on cannot be read now, and is not to be written over.
    Unread,
}

/// The switches of all callers.
///
/// Wallets and strangers are kept apart: sessions cost nothing, so whoever makes many of them makes strangers forgotten,
/// and nobody else.
pub(crate) struct Enablement {
    store: Arc<Store>,
    pseudonyms: Arc<dyn Pseudonyms>,
    wallets: Mutex<Boards>,
    strangers: Mutex<Boards>,
    /// Held from reading a row to having written its successor.
    writing: tokio::sync::Mutex<()>,
    watchers: Mutex<Watchers>,
}

type Set = Arc<[ServerId]>;

#[derive(Default)]
struct Watchers {
    of: HashMap<[u8; 32], Vec<(Place, watch::Sender<Set>)>>,
    /// At this many owners those are dropped to whom nobody listens any more.
    tidy_at: usize,
}

impl Enablement {
    /// Over the store of the gateway.
    pub(crate) fn new(store: Arc<Store>, pseudonyms: Arc<dyn Pseudonyms>) -> Self {
        Self {
            store,
            pseudonyms,
            wallets: Mutex::default(),
            strangers: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            watchers: Mutex::default(),
        }
    }

    /// Reads what a principal left switched on, unless it is in memory already. Says whether it ever switched anything.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing is known of it, and the next request asks again.
    pub(crate) async fn load(&self, principal: &Principal) -> Result<bool, StoreError> {
        let Some(place) = Scope::of(principal, None).map(|scope| self.place(&scope)) else { return Ok(false) };
        if let Some(board) = self.boards(&place).get(&place.owner) {
            return Ok(!board.is_empty());
        }
        let board = self.read(&place).await?;
        let is_known = !board.is_empty();
        self.boards(&place).put(place.owner, board);
        Ok(is_known)
    }

    /// Whether a principal's switches are in memory.
    pub(crate) fn knows(&self, principal: &Principal) -> bool {
        let place = Scope::of(principal, None).map(|scope| self.place(&scope));
        place.is_some_and(|place| self.boards(&place).get(&place.owner).is_some())
    }

    /// Switches these servers on for a principal that never switched anything: those for which it has stored secrets.
    pub(crate) fn restore(&self, principal: &Principal, servers: &[ServerId]) {
        let Some(place) = Scope::of(principal, None).map(|scope| self.place(&scope)) else { return };
        let before = self.boards(&place).board(place.owner).effective(&place.chain).cloned().unwrap_or_default();
        let servers = before.into_iter().chain(servers.iter().cloned()).take(MAX_ENABLED).collect();
        self.boards(&place).board(place.owner).set(place.owner, place.own(), servers);
        self.announce(&place);
    }

    /// Switches a server on.
    ///
    /// # Errors
    /// [`NotSwitched`].
    pub(crate) async fn enable(&self, scope: &Scope, server: &ServerId) -> Result<Change, NotSwitched> {
        self.change(scope, |servers| {
            if servers.contains(server) {
                return Ok(false);
            }
            if servers.len() >= MAX_ENABLED {
                return Err(NotSwitched::TooMany);
            }
            Ok(servers.insert(server.clone()))
        })
        .await
    }

    /// Switches a server off.
    ///
    /// # Errors
    /// [`NotSwitched::Unread`].
    pub(crate) async fn disable(&self, scope: &Scope, server: &ServerId) -> Result<Change, NotSwitched> {
        self.change(scope, |servers| Ok(servers.remove(server))).await
    }

    /// The servers that are on, ascending by id. What a principal left is there once it was loaded.
    pub(crate) fn enabled(&self, scope: &Scope) -> Vec<ServerId> {
        let place = self.place(scope);
        let mut boards = self.boards(&place);
        let servers = boards.get(&place.owner).and_then(|board| board.effective(&place.chain));
        servers.map(|servers| servers.iter().cloned().collect()).unwrap_or_default()
    }

    /// What is on in a scope, now and after each change that makes a difference there.
    pub(crate) fn changes(&self, scope: &Scope) -> watch::Receiver<Set> {
        let place = self.place(scope);
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.tidy();
        // Under the lock: a change after this is announced to whom we add here.
        let now: Set = self.enabled(scope).into();
        let of_owner = watchers.of.entry(place.owner).or_default();
        of_owner.retain(|(_, sender)| !sender.is_closed());
        match of_owner.iter().find(|(other, _)| *other == place) {
            Some((_, sender)) => sender.subscribe(),
            None => {
                let (sender, receiver) = watch::channel(now);
                of_owner.push((place, sender));
                receiver
            }
        }
    }

    async fn change(
        &self,
        scope: &Scope,
        edit: impl FnOnce(&mut BTreeSet<ServerId>) -> Result<bool, NotSwitched>,
    ) -> Result<Change, NotSwitched> {
        let place = self.place(scope);
        let _one_at_a_time = self.writing.lock().await;
        if place.is_kept && self.boards(&place).get(&place.owner).is_none() {
            match self.read(&place).await {
                Ok(board) => self.boards(&place).put(place.owner, board),
                Err(error) => {
                    tracing::error!(%error, "switches could not be read");
                    return Err(NotSwitched::Unread);
                }
            }
        }
        let mut servers = self.boards(&place).board(place.owner).effective(&place.chain).cloned().unwrap_or_default();
        if !edit(&mut servers)? {
            return Ok(Change { changed: false, is_kept: true });
        }
        self.boards(&place).board(place.owner).set(place.owner, place.own(), servers);
        let is_kept = !place.is_kept || self.write(&place).await;
        self.announce(&place);
        Ok(Change { changed: true, is_kept })
    }

    /// All rows of an owner. Those in the second half of their time get all of it again.
    async fn read(&self, place: &Place) -> Result<Board, StoreError> {
        let mut rows = self.store.of_owner(place.owner).await?;
        rows.sort_by_key(|row| row.keep_until);
        let now = boot::now().ok();
        let mut board = Board::default();
        for row in rows {
            let servers = board::servers(&row.body).ok_or(StoreError::Damaged { table: "switches" })?;
            let mut version = row.version;
            if let Some(now) = now.filter(|now| row.keep_until.0 < now.0.saturating_add(KEEP_S / 2)) {
                let next = SwitchRow { version: version + 1, keep_until: until(now), ..row.clone() };
                if self.store.keep(next, now).await == Ok(Kept::Written) {
                    version += 1;
                }
            }
            board.know(row.scope, Row { version, servers });
        }
        Ok(board)
    }

    /// Writes a scope's own row as it is in memory. Says whether it is on disk.
    async fn write(&self, place: &Place) -> bool {
        let Ok(now) = boot::now() else { return false };
        // Twice: another scope of this owner may have taken the row's room meanwhile, and then it begins anew.
        for _ in 0..2 {
            let own = self.boards(place).board(place.owner).row(&place.own()).cloned();
            let Some(own) = own else { return false };
            let row = SwitchRow {
                owner: place.owner,
                scope: place.own(),
                version: own.version + 1,
                keep_until: until(now),
                body: board::body(&own.servers),
            };
            let version = match self.store.keep(row, now).await {
                Ok(Kept::Written) => {
                    self.boards(place).board(place.owner).is_now(place.own(), own.version + 1);
                    return true;
                }
                Ok(Kept::Stale) => self
                    .store
                    .of_owner(place.owner)
                    .await
                    .map(|rows| rows.iter().find(|row| row.scope == place.own()).map_or(0, |row| row.version)),
                Err(error) => Err(error),
            };
            match version {
                Ok(version) => self.boards(place).board(place.owner).is_now(place.own(), version),
                Err(error) => {
                    tracing::error!(%error, "switches are in memory only");
                    return false;
                }
            }
        }
        false
    }

    /// Tells those who listen to a scope of this owner in which something is otherwise now.
    fn announce(&self, place: &Place) {
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(of_owner) = watchers.of.get_mut(&place.owner) else { return };
        of_owner.retain(|(_, sender)| !sender.is_closed());
        for (place, sender) in of_owner.iter() {
            let mut boards = self.boards(place);
            let servers = boards.get(&place.owner).and_then(|board| board.effective(&place.chain));
            let now: Set = servers.map(|servers| servers.iter().cloned().collect()).unwrap_or_default();
            drop(boards);
            sender.send_if_modified(|before| {
                let is_other = *before != now;
                *before = now;
                is_other
            });
        }
        if of_owner.is_empty() {
            watchers.of.remove(&place.owner);
        }
    }

    fn place(&self, scope: &Scope) -> Place {
        let name = |scope: &Scope| self.pseudonyms.of(KIND, &scope.bytes());
        let mut chain = vec![name(scope)];
        let mut widest = scope.clone();
        while let Some(wider) = widest.wider() {
            chain.push(name(&wider));
            widest = wider;
        }
        Place { owner: name(&widest), chain, is_kept: scope.is_kept() }
    }

    fn boards(&self, place: &Place) -> MutexGuard<'_, Boards> {
        let boards = if place.is_kept { &self.wallets } else { &self.strangers };
        boards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watchers {
    fn tidy(&mut self) {
        if self.of.len() < self.tidy_at.max(1024) {
            return;
        }
        self.of.retain(|_, of_owner| {
            of_owner.retain(|(_, sender)| !sender.is_closed());
            !of_owner.is_empty()
        });
        self.tidy_at = self.of.len().saturating_mul(2);
    }
}

fn until(now: UnixSeconds) -> UnixSeconds {
    UnixSeconds(now.0.saturating_add(KEEP_S))
}

#[cfg(test)]
mod tests;
