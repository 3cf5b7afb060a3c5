//! What running servers announce: kept for as long as their container runs, told to whoever listens.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use evidence::json::Value;
use sandbox::{Event, Exchange, Notice, PoolKey, Session};
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
    /// Its conversation, where it announces to those alone who listen (MCP 2026-07-28, "Subscriptions").
    modern: Weak<Session>,
    /// Whether we listen.
    following: bool,
    /// Methods of the lists that changed since it started.
    changed: BTreeSet<String>,
    /// What its log was set to.
    level: Option<Level>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            told: broadcast::Sender::new(KEPT),
            container: None,
            modern: Weak::new(),
            following: false,
            changed: BTreeSet::new(),
            level: None,
        }
    }
}

impl Board {
    /// Nothing of a container that ran before.
    fn forget(&mut self) {
        (self.container, self.modern, self.following) = (None, Weak::new(), false);
        (self.changed, self.level) = (BTreeSet::new(), None);
    }
}

impl NoticeBoard {
    fn boards(&self) -> MutexGuard<'_, HashMap<PoolKey, Board>> {
        self.boards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on what this server announces is told here. Once for each container, however often it is called.
    pub(crate) fn attach(self: &Arc<Self>, key: &PoolKey, session: &Arc<Session>) {
        let container = session.container().to_owned();
        // Before anything is sent that could be announced about.
        let mut notices = session.notices();
        {
            let mut boards = self.boards();
            boards.retain(|_, board| board.container.is_some() || board.told.receiver_count() > 0);
            let board = boards.entry(key.clone()).or_default();
            if board.container.as_ref() == Some(&container) {
                return;
            }
            board.forget();
            board.container = Some(container.clone());
            if crate::runner::spoken(session) == Spoken::Modern {
                board.modern = Arc::downgrade(session);
                self.follow(key, board);
            }
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

    /// Listens to a server of 2026-07-28, once somebody listens to us. What is sent to the server from now on it reads
    /// after this.
    fn follow(self: &Arc<Self>, key: &PoolKey, board: &mut Board) {
        if board.following || board.told.receiver_count() == 0 {
            return;
        }
        let Some(session) = board.modern.upgrade() else { return };
        let wanted = LISTS.map(|name| (name.to_owned(), Value::Bool(true))).into();
        let errand = Errand::new("subscriptions/listen", vec![("notifications".to_owned(), Value::Object(wanted))]);
        let params = |token| errand.params(Spoken::Modern, &[], token, None);
        let Ok(exchange) = session.begin("subscriptions/listen", params, Duration::MAX) else { return };
        board.following = true;
        tokio::spawn(drained(Arc::clone(self), key.clone(), session.container().to_owned(), exchange));
    }

    /// Ends the following of this container, for good or if nobody listens to us any more. Says whether it has ended.
    fn followed_enough(&self, key: &PoolKey, container: &str, for_good: bool) -> bool {
        let mut boards = self.boards();
        let Some(board) = boards.get_mut(key).filter(|board| board.container.as_deref() == Some(container)) else {
            return true;
        };
        let enough = for_good || board.told.receiver_count() == 0;
        board.following &= !enough;
        enough
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
        board.forget();
        if board.told.receiver_count() == 0 {
            boards.remove(key);
        }
    }

    /// What the container of this key announces from now on, also one that starts later.
    pub(crate) fn listen(self: &Arc<Self>, key: &PoolKey) -> broadcast::Receiver<Notice> {
        let mut boards = self.boards();
        let board = boards.entry(key.clone()).or_default();
        let heard = board.told.subscribe();
        self.follow(key, board);
        heard
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

/// Holds the subscription for as long as one of our clients listens. Meanwhile the container is not idle. What the server
/// announces comes as notices of its session.
async fn drained(board: Arc<NoticeBoard>, key: PoolKey, container: String, mut exchange: Exchange) {
    loop {
        let for_good = match tokio::time::timeout(LOOK, exchange.next()).await {
            Err(_) | Ok(Ok(Event::Progress(_) | Event::Message(_) | Event::Question(_))) => false,
            // It does not serve subscriptions, or has ended.
            Ok(Ok(Event::Answer(_)) | Err(_)) => true,
        };
        if board.followed_enough(&key, &container, for_good) {
            return;
        }
    }
}

/// How soon it is seen that nobody listens any more.
const LOOK: Duration = Duration::from_secs(1);

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
