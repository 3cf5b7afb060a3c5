//! What running servers announce: kept for as long as their container runs, told to whoever listens.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use evidence::json::Value;
use sandbox::{Event, Notice, PoolKey, Session};
use tokio::sync::broadcast;

use crate::{
    errand::{Errand, Spoken},
    mcp::level::Level,
};

/// Notices kept for a listener that is slow. Who misses some is told of every kind once more.
const KEPT: usize = 64;

/// The announcements of all running containers.
#[derive(Debug, Default)]
pub(crate) struct NoticeBoard {
    boards: Mutex<HashMap<PoolKey, Board>>,
}

#[derive(Debug)]
struct Board {
    told: broadcast::Sender<Notice>,
    /// The container whose announcements these are.
    container: Option<String>,
    /// Methods of the lists that changed since it started.
    changed: BTreeSet<String>,
    /// What its log was set to.
    level: Option<Level>,
}

impl Default for Board {
    fn default() -> Self {
        Self { told: broadcast::Sender::new(KEPT), container: None, changed: BTreeSet::new(), level: None }
    }
}

impl NoticeBoard {
    fn boards(&self) -> MutexGuard<'_, HashMap<PoolKey, Board>> {
        self.boards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on what this server announces is told here. Once for each container, however often it is called.
    pub(crate) fn attach(self: &Arc<Self>, key: &PoolKey, session: &Arc<Session>) {
        let container = session.container().to_owned();
        {
            let mut boards = self.boards();
            boards.retain(|_, board| board.container.is_some() || board.told.receiver_count() > 0);
            let board = boards.entry(key.clone()).or_default();
            if board.container.as_ref() == Some(&container) {
                return;
            }
            (board.changed, board.level) = (BTreeSet::new(), None);
            board.container = Some(container.clone());
        }
        let mut notices = session.notices();
        if crate::runner::spoken(session) == Spoken::Modern {
            tokio::spawn(follow(Arc::clone(self), key.clone(), Arc::downgrade(session), session.notices()));
        }
        let (board, key) = (Arc::clone(self), key.clone());
        tokio::spawn(async move {
            loop {
                match notices.recv().await {
                    Ok(notice) => board.tell(&key, &container, notice),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => break,
                }
            }
            board.ended(&key, &container);
        });
    }

    /// Whether anybody listens to this container.
    fn is_heard(&self, key: &PoolKey) -> bool {
        self.boards().get(key).is_some_and(|board| board.told.receiver_count() > 0)
    }

    fn tell(&self, key: &PoolKey, container: &str, notice: Notice) {
        let mut boards = self.boards();
        let Some(board) = boards.get_mut(key).filter(|board| board.container.as_deref() == Some(container)) else {
            return;
        };
        if let Some(list) = list_of(&notice.method) {
            board.changed.insert(list.to_owned());
        }
        let _nobody = board.told.send(notice);
    }

    fn ended(&self, key: &PoolKey, container: &str) {
        let mut boards = self.boards();
        let Some(board) = boards.get_mut(key).filter(|board| board.container.as_deref() == Some(container)) else {
            return;
        };
        (board.container, board.changed, board.level) = (None, BTreeSet::new(), None);
        if board.told.receiver_count() == 0 {
            boards.remove(key);
        }
    }

    /// What the container of this key announces from now on, also one that starts later.
    pub(crate) fn listen(&self, key: &PoolKey) -> broadcast::Receiver<Notice> {
        self.boards().entry(key.clone()).or_default().told.subscribe()
    }

    /// Whether the container that runs for this key has announced that this list changed (`tools/list`, …).
    pub(crate) fn has_changed(&self, key: &PoolKey, list: &str) -> bool {
        self.boards().get(key).is_some_and(|board| board.changed.contains(list))
    }

    /// Notes to what level the log of this container is being set. `false`: it is so already.
    pub(crate) fn set_level(&self, key: &PoolKey, level: Level) -> bool {
        let mut boards = self.boards();
        let Some(board) = boards.get_mut(key) else { return true };
        board.level.replace(level) != Some(level)
    }
}

/// A modern server announces changes to those alone who listen (MCP 2026-07-28, "Subscriptions"): we do, for as long as one
/// of our clients does. Meanwhile the container is not idle.
async fn follow(board: Arc<NoticeBoard>, key: PoolKey, session: Weak<Session>, mut ends: broadcast::Receiver<Notice>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = ended(&mut ends) => return,
        }
        if !board.is_heard(&key) {
            continue;
        }
        let Some(running) = session.upgrade() else { return };
        let wanted = LISTS.map(|name| (name.to_owned(), Value::Bool(true))).into();
        let errand = Errand::new("subscriptions/listen", vec![("notifications".to_owned(), Value::Object(wanted))]);
        let params = |token| errand.params(Spoken::Modern, &[], token, None);
        let Ok(mut exchange) = running.begin("subscriptions/listen", params, Duration::MAX) else { return };
        drop(running);
        while board.is_heard(&key) {
            match tokio::time::timeout(LOOK, exchange.next()).await {
                Err(_) | Ok(Ok(Event::Progress(_) | Event::Message(_) | Event::Question(_))) => {}
                // It does not serve subscriptions, or has ended.
                Ok(Ok(Event::Answer(_)) | Err(_)) => return,
            }
        }
    }
}

/// Ends with the server.
async fn ended(notices: &mut broadcast::Receiver<Notice>) {
    while !matches!(notices.recv().await, Err(broadcast::error::RecvError::Closed)) {}
}

/// How soon a listener is heard of.
const LOOK: Duration = Duration::from_millis(100);

/// What is listened for.
const LISTS: [&str; 3] = ["toolsListChanged", "promptsListChanged", "resourcesListChanged"];

/// The list that a notification speaks of.
fn list_of(method: &str) -> Option<&'static str> {
    match method {
        "notifications/tools/list_changed" => Some("tools/list"),
        "notifications/prompts/list_changed" => Some("prompts/list"),
        "notifications/resources/list_changed" => Some("resources/list"),
        _ => None,
    }
}
