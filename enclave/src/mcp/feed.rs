//! What changes behind the gateway's own endpoint for one caller: what it switches on and off, what its containers announce,
//! and what another catalogue has.

use std::{collections::VecDeque, sync::Arc};

use evidence::{
    ServerId,
    json::{self, Limits, Value},
};
use sandbox::Notice;
use tokio::sync::{broadcast, watch};

use super::{
    offers::List,
    turn::{notification, untagged},
};
use crate::{
    app::{App, Live},
    catalogue::Server,
    enablement::Scope,
    notices::{Told, UPDATED},
};

/// The lists of which changes are announced. Templates change with resources.
const LISTS: [List; 3] = [List::Tools, List::Prompts, List::Resources];

/// A change.
#[derive(Debug)]
pub(crate) enum Change {
    /// A list is another one now.
    List {
        /// Which.
        list: List,
        /// The server whose container said so; `None`: it follows from switches or from the catalogue.
        by: Option<ServerId>,
    },
    /// A resource is another one now.
    Updated {
        /// The server that said so.
        by: ServerId,
        /// The parameters of its notification, without the tag of our own subscription.
        params: Value,
    },
    /// A server that was enabled is there no more, or is installed anew: what was begun with it ends.
    Replaced(ServerId),
    /// A server is not enabled any more.
    Disabled(ServerId),
}

impl Change {
    /// The method that announces the change of a list.
    pub(crate) fn method(list: List) -> String {
        format!("notifications/{}/list_changed", list.capability())
    }
}

/// All changes for one caller, as they happen.
pub(crate) struct Feed {
    app: Arc<App>,
    apps: watch::Receiver<Arc<App>>,
    scope: Scope,
    switches: watch::Receiver<Arc<[ServerId]>>,
    enabled: Vec<ServerId>,
    told: broadcast::Receiver<Told>,
    pending: VecDeque<Change>,
}

impl Feed {
    /// From now on.
    pub(crate) fn new(live: &Live, scope: Scope) -> Self {
        let apps = live.changes();
        let app = live.now();
        let told = app.runner.notices().listen_to_all(&scope.key());
        let switches = app.enablement.changes(&scope);
        let enabled = app.enablement.enabled(&scope);
        Self { app, apps, scope, switches, enabled, told, pending: VecDeque::new() }
    }

    /// The next change. `None`: there will be none. May be dropped and called again; nothing is lost.
    pub(crate) async fn next(&mut self) -> Option<Change> {
        loop {
            if let Some(change) = self.pending.pop_front() {
                return Some(change);
            }
            tokio::select! {
                changed = self.switches.changed() => {
                    changed.ok()?;
                    self.look();
                }
                changed = self.apps.changed() => {
                    changed.ok()?;
                    self.look();
                }
                told = self.told.recv() => match told {
                    Ok((server, notice)) => self.hear(server, &notice),
                    // What was missed could be any of them.
                    Err(broadcast::error::RecvError::Lagged(_)) => {
                        self.pending.extend(LISTS.map(|list| Change::List { list, by: None }));
                    }
                    Err(broadcast::error::RecvError::Closed) => return None,
                },
            }
        }
    }

    fn hear(&mut self, server: ServerId, notice: &Notice) {
        if !self.enabled.contains(&server) {
            return;
        }
        if notice.method == UPDATED {
            let params = notice.params.as_deref();
            let params = params.and_then(|raw| json::parse(raw.get().as_bytes(), &Limits::THEIRS).ok());
            self.pending.extend(params.and_then(untagged).map(|params| Change::Updated { by: server, params }));
        } else if let Some(list) = LISTS.into_iter().find(|list| notice.method == Change::method(*list)) {
            self.pending.push_back(Change::List { list, by: Some(server) });
        }
    }

    /// Compares what the caller sees with what it saw.
    fn look(&mut self) {
        let app = Arc::clone(&self.apps.borrow_and_update());
        self.switches.mark_unchanged();
        let enabled = app.enablement.enabled(&self.scope);
        let (was, is) = (&self.app.catalogue, &app.catalogue);
        let mut concerned: Vec<&ServerId> = self.enabled.iter().chain(&enabled).collect();
        concerned.sort_unstable();
        concerned.dedup();
        let seen: Vec<(&ServerId, Option<&Server>, Option<&Server>)> = concerned
            .into_iter()
            .map(|id| {
                let before = was.by_id(id).filter(|_| self.enabled.contains(id));
                (id, before, is.by_id(id).filter(|_| enabled.contains(id)))
            })
            .collect();
        let mut changes = Vec::new();
        for (id, before, after) in &seen {
            match (before, after) {
                (Some(_), _) if !enabled.contains(*id) => changes.push(Change::Disabled((*id).clone())),
                (Some(before), Some(after)) if before.is_same_installation(after) => {}
                (Some(_), _) => changes.push(Change::Replaced((*id).clone())),
                (None, _) => {}
            }
        }
        let differs = |list: &List| seen.iter().any(|(_, was, is)| Server::list_differs(*list, *was, *is));
        let lists: Vec<Change> =
            LISTS.into_iter().filter(differs).map(|list| Change::List { list, by: None }).collect();
        // Lists first: what ends a stream comes after what it still has to tell.
        self.pending.extend(lists.into_iter().chain(changes));
        (self.app, self.enabled) = (app, enabled);
    }
}

/// Whose feed belongs on the stream of a legacy client's request, beside what the request's own server says.
#[derive(Clone, Debug)]
pub(crate) struct Elsewhere {
    /// The gateway.
    pub(crate) live: Live,
    /// The caller.
    pub(crate) scope: Scope,
    /// The request's own server, whose announcements come with it.
    pub(crate) but: ServerId,
}

impl Elsewhere {
    /// From now on.
    pub(crate) fn feed(self) -> Others {
        Others { feed: Feed::new(&self.live, self.scope), but: self.but }
    }
}

/// What a legacy client hears beside its request.
pub(crate) struct Others {
    feed: Feed,
    but: ServerId,
}

impl Others {
    /// The next message; never, where there is nothing to listen to.
    pub(crate) async fn next(others: &mut Option<Self>) -> Option<Value> {
        let Some(Self { feed, but }) = others else { return std::future::pending().await };
        let Some(change) = feed.next().await else {
            *others = None;
            return None;
        };
        match change {
            Change::List { list, by } if by.as_ref() != Some(but) => Some(notification(&Change::method(list), None)),
            Change::Updated { by, params } if by != *but => Some(notification(UPDATED, Some(params))),
            _ => None,
        }
    }
}
