//! What running servers announce: kept for as long as their container runs, told to whoever listens.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use evidence::{ServerId, json::Value};
use sandbox::{Event, Exchange, Notice, PoolKey, Session};
use tokio::sync::broadcast;

use crate::{
    errand::{Errand, Spoken},
    mcp::{level::Level, offers::List},
};

/// Notices kept for a listener that is slow. Who misses some is told of every kind once more.
const KEPT: usize = 64;

/// The announcements of all running containers.
#[derive(Debug, Default)]
pub(crate) struct NoticeBoard {
    boards: Mutex<Boards>,
}

/// Of which server, and what.
pub(crate) type Told = (ServerId, Notice);

#[derive(Debug, Default)]
struct Boards {
    of: HashMap<PoolKey, Board>,
    /// Those who listen to all containers of one caller, by the caller's name in the keys.
    callers: HashMap<String, broadcast::Sender<Told>>,
}

impl Boards {
    fn are_heard(&self, key: &PoolKey) -> bool {
        let by_one = self.of.get(key).is_some_and(|board| board.told.receiver_count() > 0);
        by_one || self.callers.get(&key.principal).is_some_and(|caller| caller.receiver_count() > 0)
    }

    /// Leaves those that neither run nor are listened to.
    fn tidy(&mut self) {
        self.of.retain(|_, board| board.container.is_some() || board.told.receiver_count() > 0);
        self.callers.retain(|_, caller| caller.receiver_count() > 0);
    }

    fn send(&self, key: &PoolKey, notice: Notice) {
        if let Some(caller) = self.callers.get(&key.principal)
            && is_for_callers(&notice.method)
        {
            let _nobody = caller.send((key.server.clone(), notice.clone()));
        }
        if let Some(board) = self.of.get(key) {
            let _nobody = board.told.send(notice);
        }
    }
}

/// A list that is another one than at install.
#[derive(Debug, Default)]
struct Changed {
    /// How often that was announced.
    times: u64,
    /// What was answered since.
    kept: Vec<(List, Arc<[Value]>)>,
}

/// What is known of a list that changed.
#[derive(Debug)]
pub(crate) enum Known {
    /// That it was announced so often, and not what it is now.
    Announced(u64),
    /// The list.
    Kept(Arc<[Value]>),
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
    /// The lists that changed since it started, by the methods that announcements name.
    changed: BTreeMap<&'static str, Changed>,
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
            changed: BTreeMap::new(),
            level: None,
        }
    }
}

impl Board {
    /// Nothing of a container that ran before.
    fn forget(&mut self) {
        (self.container, self.modern, self.following) = (None, Weak::new(), false);
        (self.changed, self.level) = (BTreeMap::new(), None);
    }
}

impl NoticeBoard {
    fn boards(&self) -> MutexGuard<'_, Boards> {
        self.boards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on what this server announces is told here. Once for each container, however often it is called.
    pub(crate) fn attach(self: &Arc<Self>, key: &PoolKey, session: &Arc<Session>) {
        let container = session.container().to_owned();
        let mut notices = {
            let mut boards = self.boards();
            if boards.of.get(key).is_some_and(|board| board.container.as_ref() == Some(&container)) {
                return;
            }
            // Before anything is sent that could be announced about.
            let notices = session.notices();
            boards.tidy();
            let board = boards.of.entry(key.clone()).or_default();
            board.forget();
            board.container = Some(container.clone());
            if crate::runner::spoken(session) == Spoken::Modern {
                board.modern = Arc::downgrade(session);
                self.follow(key, &mut boards);
            }
            notices
        };
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
    fn follow(self: &Arc<Self>, key: &PoolKey, boards: &mut Boards) {
        if !boards.are_heard(key) {
            return;
        }
        let Some(board) = boards.of.get_mut(key).filter(|board| !board.following) else { return };
        let Some(session) = board.modern.upgrade() else { return };
        let wanted = LISTS.map(|name| (name.into(), Value::Bool(true))).into();
        let errand = Errand::new("subscriptions/listen", vec![("notifications".into(), Value::Object(wanted))]);
        let params = |token| errand.params(Spoken::Modern, &[], token, None);
        let Ok(exchange) = session.begin("subscriptions/listen", params, Duration::MAX) else { return };
        board.following = true;
        // Who waits for announcements keeps nothing running: a container that ends has nothing more to announce.
        let exchange = exchange.without_hold();
        tokio::spawn(drained(Arc::clone(self), key.clone(), session.container().to_owned(), exchange));
    }

    /// Ends the following of this container, for good or if nobody listens to us any more. Says whether it has ended.
    fn followed_enough(&self, key: &PoolKey, container: &str, for_good: bool) -> bool {
        let mut boards = self.boards();
        let is_heard = boards.are_heard(key);
        let Some(board) = boards.of.get_mut(key).filter(|board| board.container.as_deref() == Some(container)) else {
            return true;
        };
        let enough = for_good || !is_heard || board.modern.strong_count() == 0;
        if enough {
            board.following = false;
            // From here on nobody would hear that they are old.
            board.changed.values_mut().for_each(|changed| changed.kept.clear());
        }
        enough
    }

    fn tell(&self, key: &PoolKey, container: &str, notice: Notice) {
        let mut boards = self.boards();
        let Some(board) = boards.of.get_mut(key).filter(|board| board.container.as_deref() == Some(container)) else {
            return;
        };
        if let Some(list) = list_of(&notice.method) {
            let changed = board.changed.entry(list).or_default();
            changed.times += 1;
            changed.kept.clear();
        }
        boards.send(key, notice);
    }

    /// Its lists are those of the install again, and whoever listens hears so.
    fn ended(&self, key: &PoolKey, container: &str) {
        let mut boards = self.boards();
        let Some(board) = boards.of.get_mut(key).filter(|board| board.container.as_deref() == Some(container)) else {
            return;
        };
        let changed = std::mem::take(&mut board.changed);
        board.forget();
        for list in changed.into_keys() {
            boards.send(key, Notice { method: announcement(list), params: None });
        }
        if boards.of.get(key).is_some_and(|board| board.told.receiver_count() == 0) {
            boards.of.remove(key);
        }
    }

    /// What the container of this key announces from now on, also one that starts later.
    pub(crate) fn listen(self: &Arc<Self>, key: &PoolKey) -> broadcast::Receiver<Notice> {
        let mut boards = self.boards();
        let heard = boards.of.entry(key.clone()).or_default().told.subscribe();
        self.follow(key, &mut boards);
        heard
    }

    /// What all containers of this caller announce from now on of their lists and resources: `caller` as in their keys.
    pub(crate) fn listen_to_all(self: &Arc<Self>, caller: &str) -> broadcast::Receiver<Told> {
        let mut boards = self.boards();
        boards.tidy();
        let sender = boards.callers.entry(caller.to_owned()).or_insert_with(|| broadcast::Sender::new(KEPT));
        let heard = sender.subscribe();
        let own: Vec<PoolKey> = boards.of.keys().filter(|key| key.principal == caller).cloned().collect();
        for key in own {
            self.follow(&key, &mut boards);
        }
        heard
    }

    /// What is known of a list of the container that runs for this key. `None`: it is as it was at install.
    pub(crate) fn changed(&self, key: &PoolKey, list: List) -> Option<Known> {
        let boards = self.boards();
        let changed = boards.of.get(key)?.changed.get(list.announced_as())?;
        let kept = changed.kept.iter().find(|(of, _)| *of == list).map(|(_, items)| Arc::clone(items));
        Some(kept.map_or(Known::Announced(changed.times), Known::Kept))
    }

    /// Keeps what a container answered, unless it has announced another change since `times`, or announces none to us.
    pub(crate) fn keep(&self, key: &PoolKey, list: List, times: u64, items: &Arc<[Value]>) {
        let mut boards = self.boards();
        let Some(board) = boards.of.get_mut(key) else { return };
        let announces = board.following || board.modern.strong_count() == 0;
        if let Some(changed) = board.changed.get_mut(list.announced_as())
            && announces
            && changed.times == times
            && changed.kept.iter().all(|(of, _)| *of != list)
        {
            changed.kept.push((list, Arc::clone(items)));
        }
    }

    /// A list was seen to be another one than at install, though nobody was told: a server of 2026-07-28 announces to those
    /// alone who listen.
    pub(crate) fn differs(&self, key: &PoolKey, list: List) {
        if let Some(board) = self.boards().of.get_mut(key).filter(|board| board.container.is_some()) {
            board.changed.entry(list.announced_as()).or_default();
        }
    }

    /// Notes to what level the log of this container is being set. `false`: it is so already.
    pub(crate) fn set_level(&self, key: &PoolKey, level: Level) -> bool {
        let mut boards = self.boards();
        let Some(board) = boards.of.get_mut(key) else { return true };
        board.level.replace(level) != Some(level)
    }
}

/// Keeps the subscription for as long as one of our clients listens, or the container runs. What the server announces comes
/// as notices of its session.
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

/// Whether a notice concerns whoever listens to all containers of a caller.
fn is_for_callers(method: &str) -> bool {
    list_of(method).is_some() || method == UPDATED
}

/// A resource is another one now.
pub(crate) const UPDATED: &str = "notifications/resources/updated";

/// The notification that speaks of a list.
fn announcement(list: &str) -> String {
    format!("notifications/{list}_changed")
}

/// The list that a notification speaks of.
fn list_of(method: &str) -> Option<&'static str> {
    match method {
        "notifications/tools/list_changed" => Some("tools/list"),
        "notifications/prompts/list_changed" => Some("prompts/list"),
        "notifications/resources/list_changed" => Some("resources/list"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(server: u64, caller: &str) -> PoolKey {
        PoolKey {
            server: format!("0193e3a2-6b5c-5f7d-9c1e-{server:012x}").parse().unwrap(),
            principal: caller.to_owned(),
        }
    }

    fn notice(method: &str) -> Notice {
        Notice { method: method.to_owned(), params: None }
    }

    /// A board on which a container runs that announces by itself.
    fn running(key: &PoolKey) -> Arc<NoticeBoard> {
        let board = Arc::new(NoticeBoard::default());
        board.boards().of.entry(key.clone()).or_default().container = Some("c".to_owned());
        board
    }

    #[test]
    fn a_list_is_kept_until_the_next_change_and_the_end_of_its_container() {
        let key = key(1, "one");
        let board = running(&key);
        let items: Arc<[Value]> = Arc::new([Value::Null]);
        assert!(board.changed(&key, List::Tools).is_none());
        board.tell(&key, "c", notice("notifications/tools/list_changed"));
        let Some(Known::Announced(times)) = board.changed(&key, List::Tools) else { panic!() };
        assert!(board.changed(&key, List::Prompts).is_none());
        // What was asked for before a change is not what the list is now.
        board.tell(&key, "c", notice("notifications/tools/list_changed"));
        board.keep(&key, List::Tools, times, &items);
        assert!(matches!(board.changed(&key, List::Tools), Some(Known::Announced(2))));
        board.keep(&key, List::Tools, 2, &items);
        assert!(matches!(board.changed(&key, List::Tools), Some(Known::Kept(kept)) if kept.len() == 1));
        board.tell(&key, "another", notice("notifications/tools/list_changed"));
        assert!(matches!(board.changed(&key, List::Tools), Some(Known::Kept(_))), "of a container that ended");
        let mut heard = board.listen(&key);
        board.ended(&key, "c");
        assert_eq!(heard.try_recv().unwrap().method, "notifications/tools/list_changed", "it is as at install again");
        assert!(board.changed(&key, List::Tools).is_none());
    }

    #[test]
    fn who_listens_to_all_of_a_caller_hears_of_its_lists_and_resources_and_of_nobody_elses() {
        let (mine, others) = (key(1, "one"), key(2, "two"));
        let board = running(&mine);
        board.boards().of.entry(others.clone()).or_default().container = Some("c".to_owned());
        let mut heard = board.listen_to_all("one");
        for method in ["notifications/x-unknown", "notifications/subscriptions/acknowledged"] {
            board.tell(&mine, "c", notice(method));
        }
        board.tell(&others, "c", notice("notifications/tools/list_changed"));
        board.tell(&mine, "c", notice(UPDATED));
        let (server, told) = heard.try_recv().unwrap();
        assert_eq!((server, told.method.as_str()), (mine.server.clone(), UPDATED));
        assert!(heard.try_recv().is_err());
        drop(heard);
        board.boards().tidy();
        assert!(board.boards().callers.is_empty());
    }
}
