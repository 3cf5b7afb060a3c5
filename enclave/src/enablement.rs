//! Which servers a caller has switched on: their tools then stand in `tools/list` of `/mcp`.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use evidence::ServerId;
use gate::Principal;

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
#[derive(Debug, Default)]
pub(crate) struct Enablement {
    scopes: Mutex<Scopes>,
}

#[derive(Debug, Default)]
struct Scopes {
    enabled: HashMap<Scope, BTreeSet<ServerId>>,
    order: VecDeque<Scope>,
}

impl Enablement {
    /// Switches a server on. Says whether it was off.
    pub(crate) fn enable(&self, scope: &Scope, server: &ServerId) -> bool {
        let mut scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        if !scopes.enabled.contains_key(scope) {
            if scopes.order.len() >= MAX_SCOPES
                && let Some(oldest) = scopes.order.pop_front()
            {
                scopes.enabled.remove(&oldest);
            }
            scopes.order.push_back(scope.clone());
        }
        scopes.enabled.entry(scope.clone()).or_default().insert(server.clone())
    }

    /// Switches a server off. Says whether it was on.
    pub(crate) fn disable(&self, scope: &Scope, server: &ServerId) -> bool {
        let mut scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        scopes.enabled.get_mut(scope).is_some_and(|enabled| enabled.remove(server))
    }

    /// The servers that are on, ascending by id.
    pub(crate) fn enabled(&self, scope: &Scope) -> Vec<ServerId> {
        let scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        scopes.enabled.get(scope).map(|enabled| enabled.iter().cloned().collect()).unwrap_or_default()
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
        let development = Scope::of(&Principal::Development, None).unwrap();
        assert!(switches.enable(&one, &id('0')));
        assert!(!switches.enable(&one, &id('0')));
        assert_eq!(switches.enabled(&one), [id('0')]);
        assert!(switches.enabled(&two).is_empty() && switches.enabled(&development).is_empty());
        assert!(switches.disable(&one, &id('0')) && !switches.disable(&one, &id('0')));
        assert_eq!(Scope::of(&Principal::Anonymous, None), None);
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
