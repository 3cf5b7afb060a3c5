//! Which servers a caller has switched on: their tools then stand in `tools/list` of `/mcp`.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use evidence::ServerId;
use gate::Principal;
use tokio::sync::watch;

/// Most scopes remembered. The one that was used longest ago is forgotten first.
const MAX_SCOPES: usize = 10_000;

/// Longest `X-MCP-Session`.
pub(crate) const MAX_SESSION_BYTES: usize = 128;

/// Whose switches: most specific first.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Scope {
    principal: Option<String>,
    session: Option<String>,
}

impl Scope {
    /// The scope of a request. `None` for an anonymous caller without a session: strangers share nothing, neither
    /// switches nor containers.
    pub(crate) fn of(principal: &Principal, session: Option<&str>) -> Option<Self> {
        let scope = Self { principal: principal.name(), session: session.map(str::to_owned) };
        (scope.principal.is_some() || scope.session.is_some()).then_some(scope)
    }

    /// A name for the scope, by which containers are kept apart. It holds the caller's name: for memory only.
    pub(crate) fn key(&self) -> String {
        format!("{:?}/{:?}", self.principal, self.session)
    }

    /// `X-MCP-Session`.
    pub(crate) fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// What the keys of all scopes of a principal begin with.
    pub(crate) fn keys_of(principal: &Principal) -> String {
        format!("{:?}/", principal.name())
    }
}

/// The switches of all callers, in memory.
///
/// Wallets and strangers are kept apart: sessions cost nothing, so whoever makes many of them makes strangers forgotten,
/// and nobody else.
#[derive(Debug, Default)]
pub(crate) struct Enablement {
    wallets: Mutex<Scopes>,
    strangers: Mutex<Scopes>,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Scopes {
    enabled: HashMap<Scope, BTreeSet<ServerId>>,
    order: VecDeque<Scope>,
}

impl Enablement {
    fn of(&self, scope: &Scope) -> &Mutex<Scopes> {
        if scope.principal.is_some() { &self.wallets } else { &self.strangers }
    }

    /// Switches a server on. Says whether it was off.
    pub(crate) fn enable(&self, scope: &Scope, server: &ServerId) -> bool {
        let mut scopes = self.of(scope).lock().unwrap_or_else(PoisonError::into_inner);
        let was_off = scopes.own(scope).insert(server.clone());
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
        was_off
    }

    /// Switches these servers on for a principal: those for which it has stored secrets. From then on it is known here,
    /// also if there are none.
    pub(crate) fn restore(&self, principal: &Principal, servers: &[ServerId]) {
        let Some(scope) = Scope::of(principal, None) else { return };
        let mut scopes = self.of(&scope).lock().unwrap_or_else(PoisonError::into_inner);
        scopes.own(&scope).extend(servers.iter().cloned());
    }

    /// Whether a principal's switches are remembered: not after a restart, and not when too many came since.
    pub(crate) fn knows(&self, principal: &Principal) -> bool {
        Scope::of(principal, None).is_some_and(|scope| {
            self.of(&scope).lock().unwrap_or_else(PoisonError::into_inner).enabled.contains_key(&scope)
        })
    }

    /// Told when something was switched on or off, whoever did it.
    pub(crate) fn changes(&self, _scope: &Scope) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Switches a server off. Says whether it was on.
    pub(crate) fn disable(&self, scope: &Scope, server: &ServerId) -> bool {
        let mut scopes = self.of(scope).lock().unwrap_or_else(PoisonError::into_inner);
        let was_on = scopes.own(scope).remove(server);
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
        was_on
    }

    /// The servers that are on, ascending by id.
    pub(crate) fn enabled(&self, scope: &Scope) -> Vec<ServerId> {
        let scopes = self.of(scope).lock().unwrap_or_else(PoisonError::into_inner);
        scopes.of(scope).map(|enabled| enabled.iter().cloned().collect()).unwrap_or_default()
    }
}

impl Scopes {
    /// A session of a principal begins with what the principal has switched on, and goes its own way from its first
    /// change on.
    fn of(&self, scope: &Scope) -> Option<&BTreeSet<ServerId>> {
        self.enabled.get(scope).or_else(|| {
            let wider = scope.principal.is_some().then(|| Scope { session: None, ..scope.clone() })?;
            self.enabled.get(&wider)
        })
    }

    /// The scope's own switches, made from the wider ones if it has none yet.
    fn own(&mut self, scope: &Scope) -> &mut BTreeSet<ServerId> {
        if !self.enabled.contains_key(scope) {
            if self.order.len() >= MAX_SCOPES
                && let Some(oldest) = self.order.pop_front()
            {
                self.enabled.remove(&oldest);
            }
            self.order.push_back(scope.clone());
        }
        let begun = self.of(scope).cloned().unwrap_or_default();
        self.enabled.entry(scope.clone()).or_insert(begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(last: char) -> ServerId {
        format!("0193e3a2-6b5c-5f7d-9c1e-2a4b6c8d0e1{last}").parse().unwrap()
    }

    #[test]
    fn scopes_share_nothing() {
        let switches = Enablement::default();
        let one = Scope::of(&Principal::Anonymous, Some("one")).unwrap();
        let two = Scope::of(&Principal::Anonymous, Some("two")).unwrap();
        let wallet = Principal::Wallet(evidence::Wallet::new([1; 20]));
        let member = Scope::of(&wallet, None).unwrap();
        assert!(switches.enable(&one, &id('0')));
        assert!(!switches.enable(&one, &id('0')));
        assert_eq!(switches.enabled(&one), [id('0')]);
        assert!(switches.enabled(&two).is_empty() && switches.enabled(&member).is_empty());
        assert!(switches.disable(&one, &id('0')) && !switches.disable(&one, &id('0')));
        assert_eq!(Scope::of(&Principal::Anonymous, None), None);
    }

    #[test]
    fn a_session_of_a_wallet_begins_with_what_the_wallet_has_and_goes_its_own_way() {
        let switches = Enablement::default();
        let wallet = Principal::Wallet(evidence::Wallet::new([1; 20]));
        let (member, session) = (Scope::of(&wallet, None).unwrap(), Scope::of(&wallet, Some("one")).unwrap());
        assert!(!switches.knows(&wallet));
        switches.restore(&wallet, &[]);
        assert!(switches.knows(&wallet) && switches.enabled(&member).is_empty());
        switches.restore(&wallet, &[id('0')]);
        assert_eq!(switches.enabled(&session), [id('0')]);
        assert!(switches.disable(&session, &id('0')));
        assert!(switches.enabled(&session).is_empty());
        assert_eq!(switches.enabled(&member), [id('0')]);
    }

    #[test]
    fn the_oldest_scope_is_forgotten_when_there_are_too_many() {
        let switches = Enablement::default();
        let scope = |n: usize| Scope::of(&Principal::Anonymous, Some(&n.to_string())).unwrap();
        for n in 0..=MAX_SCOPES {
            switches.enable(&scope(n), &id('0'));
        }
        assert!(switches.enabled(&scope(0)).is_empty());
        assert_eq!(switches.enabled(&scope(MAX_SCOPES)).len(), 1);
    }
}
