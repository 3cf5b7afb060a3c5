//! `resources/subscribe` and `resources/unsubscribe` of legacy clients, in front of a server of 2026-07-28, which knows
//! `subscriptions/listen` instead.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use evidence::json::{Value, object};
use sandbox::{Event, Exchange, PoolKey, Session};
use tokio::task::AbortHandle;

use super::{
    answer::{Answer, Cache},
    asker::{Asker, Outgoing},
    era::Era,
    filter::{MAX_RESOURCES, MAX_URI_BYTES},
    subscription::listening,
};
use crate::{
    catalogue::Server,
    errand::Errand,
    pipeline::{self, Inquired},
};

/// A subscription that is not renewed ends after this: it keeps its container from being idle, and a legacy client never
/// says that it has gone.
const LASTS: Duration = Duration::from_secs(600);

/// How long a server may take to acknowledge.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(10);

/// Which resources are followed, by container and address.
#[derive(Debug, Default)]
pub(crate) struct Followed(Mutex<HashMap<PoolKey, HashMap<String, AbortHandle>>>);

impl Followed {
    fn all(&self) -> MutexGuard<'_, HashMap<PoolKey, HashMap<String, AbortHandle>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows a resource, anew if it was followed already. `false`: the caller follows too many.
    fn begin(&self, key: &PoolKey, uri: String, exchange: Exchange) -> bool {
        let mut all = self.all();
        all.retain(|_, of_one| {
            of_one.retain(|_, task| !task.is_finished());
            !of_one.is_empty()
        });
        let of_one = all.entry(key.clone()).or_default();
        if of_one.len() >= MAX_RESOURCES && !of_one.contains_key(&uri) {
            return false;
        }
        let task = tokio::spawn(async move { tokio::time::timeout(LASTS, drained(exchange)).await });
        if let Some(before) = of_one.insert(uri, task.abort_handle()) {
            before.abort();
        }
        true
    }

    /// Follows a resource no longer.
    fn end(&self, key: &PoolKey, uri: &str) {
        let mut all = self.all();
        if let Some(task) = all.get_mut(key).and_then(|of_one| of_one.remove(uri)) {
            task.abort();
        }
        all.retain(|_, of_one| !of_one.is_empty());
    }
}

/// Ends with the server, or where it ends the subscription. What it announces is heard by the container's board.
async fn drained(mut exchange: Exchange) {
    while !matches!(exchange.next().await, Ok(Event::Answer(_)) | Err(_)) {}
}

impl Asker<'_> {
    /// Subscribes to a resource of this endpoint's server, or ends that.
    pub(crate) async fn follow(&self, id: &Value, method: &str, server: &Server, uri: String) -> Outgoing {
        let wrong = |text: &str| Outgoing::from(Answer::error(200, id, -32602, text, None));
        let done = || Outgoing::from(Answer::result(Era::Legacy, id, object([]), Cache::No));
        if uri.len() > MAX_URI_BYTES {
            return wrong(&format!("params.uri is longer than {MAX_URI_BYTES} bytes"));
        }
        let Some(key) = self.key(&server.entry.id) else {
            return wrong(
                "nothing of an anonymous caller lasts until a resource changes: send a header X-MCP-Session with a random \
                 string of yours in every request",
            );
        };
        let followed = &self.app.lobby.followed;
        if method == "resources/unsubscribe" {
            followed.end(&key, &uri);
            return done();
        }
        let asked = Inquired {
            server: server.entry.id.clone(),
            who: self.who,
            session: self.session.clone(),
            errand: Errand::default(),
        };
        let session = match pipeline::hold(self.app, asked).await {
            Ok(session) => session,
            Err(refusal) => return Answer::protocol_refusal(Era::Legacy, id, &refusal).into(),
        };
        let Some(exchange) = acknowledged(&session, &uri).await else {
            let text = "the server did not take the subscription; resources/list names what it has";
            return Answer::error(200, id, -32603, text, None).into();
        };
        if followed.begin(&key, uri, exchange) {
            done()
        } else {
            wrong(&format!("{MAX_RESOURCES} resources are followed already; unsubscribe from one first"))
        }
    }
}

/// Begins to listen for one resource. `None`: the server ended, or refused.
async fn acknowledged(session: &Arc<Session>, uri: &str) -> Option<Exchange> {
    let mut notices = session.notices();
    let mut exchange = listening(session, vec![uri.to_owned()])?;
    let heard = async {
        loop {
            tokio::select! {
                event = exchange.next() => if matches!(event, Ok(Event::Answer(_)) | Err(_)) { return false },
                notice = notices.recv() => match notice {
                    Ok(notice) if notice.method == "notifications/subscriptions/acknowledged" => return true,
                    Ok(_) | Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                    Err(tokio::sync::broadcast::error::RecvError::Closed) => return false,
                },
            }
        }
    };
    let heard = tokio::time::timeout(ACKNOWLEDGED_WITHIN, heard).await;
    matches!(heard, Ok(true)).then_some(exchange)
}
