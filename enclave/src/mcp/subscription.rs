//! `subscriptions/listen`: a long answer on which a modern client hears of changes (MCP 2026-07-28, "Subscriptions").

use std::sync::Arc;

use evidence::{
    ServerId,
    json::{self, Limits, Value, object},
};
use sandbox::{Notice, Session};
use tokio::{
    sync::{broadcast, watch},
    task::JoinSet,
};

use super::{
    answer::{Answer, Cache},
    asker::{Asker, Outgoing},
    era::Era,
    feed::{Change, Feed},
    filter::Filter,
    listeners::Place,
    message::Request,
    offers::List,
    sse::{self, Events},
    turn::notification,
};
use crate::{
    app::App,
    catalogue::Server,
    errand::Errand,
    notices::UPDATED,
    pipeline::{self, Inquired},
};

/// Where every message of a subscription says which it belongs to.
pub(crate) const SUBSCRIPTION_META: &str = "io.modelcontextprotocol/subscriptionId";

/// One subscription's stream.
struct Stream {
    app: Arc<App>,
    id: Value,
    filter: Filter,
    events: Events,
    _places: Vec<Place>,
}

/// Answers `subscriptions/listen`.
pub(crate) async fn listen(asker: &Asker<'_>, request: &Request) -> Outgoing {
    let wrong = |text: &str| Outgoing::from(Answer::error(200, &request.id, -32602, text, None));
    let mut filter = match Filter::read(&request.params) {
        Ok(filter) => filter,
        Err(text) => return wrong(&text),
    };
    if !asker.streams {
        return wrong("the answer is a stream: send Accept: application/json, text/event-stream");
    }
    let Some(place) = asker.app.lobby.listeners.admit(&asker.caller()) else {
        let busy = gate::Refusal::Busy { retry_after_s: 30 };
        return Answer::protocol_refusal(Era::Modern, &request.id, &busy).into();
    };
    let app = Arc::clone(asker.app);
    let (events, response) = sse::stream();
    let id = request.id.clone();
    let asked = |server: &ServerId| Inquired {
        server: server.clone(),
        who: asker.who,
        session: asker.session.clone(),
        errand: Errand::default(),
    };
    match asker.server {
        Some(server) => {
            let says = |capability: &str, member: &str| {
                asker.own_offers().is_some_and(|offers| offers.says(capability, member))
            };
            filter.tools &= says(List::Tools.capability(), "listChanged");
            filter.prompts &= says(List::Prompts.capability(), "listChanged");
            filter.resources &= says(List::Resources.capability(), "listChanged");
            // A stranger's container ends with each request: there is nothing that could be updated.
            if !says("resources", "subscribe") || asker.scope.is_none() {
                filter.uris.clear();
            }
            let apps = asker.live.changes();
            let key = asker.key(&server.entry.id);
            let heard = key.as_ref().map(|key| asker.app.runner.notices().listen(key));
            let stream = Stream { app, id, filter, events, _places: vec![place] };
            tokio::spawn(stream.follow_server(asked(&server.entry.id), heard, apps));
        }
        None => {
            let mut wanted = wanted_of_all(asker, std::mem::take(&mut filter.uris)).await;
            // Each server that is held for it takes a place, as it would on an endpoint of its own.
            let mut places = vec![place];
            places.extend(app.lobby.listeners.admit_more(&asker.caller(), wanted.len().saturating_sub(places.len())));
            wanted.truncate(places.len());
            let wanted = wanted.into_iter().map(|(server, uris)| (asked(&server), uris)).collect();
            let feed = asker.scope.clone().map(|scope| Feed::new(asker.live, scope));
            let stream = Stream { app, id, filter, events, _places: places };
            tokio::spawn(stream.follow_all(feed, wanted));
        }
    }
    Outgoing::Stream(response)
}

/// The resources of these that one enabled server has, and announces updates of, by that server.
async fn wanted_of_all(asker: &Asker<'_>, uris: Vec<String>) -> Vec<(ServerId, Vec<String>)> {
    let mut wanted: Vec<(ServerId, Vec<String>)> = Vec::new();
    for uri in uris {
        let Ok(server) = asker.server_of(&uri).await else { continue };
        if !server.ready.as_ref().is_ok_and(|ready| ready.offers.says("resources", "subscribe")) {
            continue;
        }
        match wanted.iter_mut().find(|(id, _)| *id == server.entry.id) {
            Some((_, of_server)) => of_server.push(uri),
            None => wanted.push((server.entry.id.clone(), vec![uri])),
        }
    }
    wanted
}

/// Resources of one server that are followed. Held: their container is not idle meanwhile.
struct Held {
    server: ServerId,
    uris: Vec<String>,
    /// The subscription at a modern server ends before its conversation is let go.
    _exchange: Option<sandbox::Exchange>,
    session: Arc<Session>,
}

impl Held {
    /// Begins to follow. `None`: the server took none of them, or cannot run.
    async fn begin(app: &Arc<App>, asked: Inquired, uris: Vec<String>) -> Option<Self> {
        let server = asked.server.clone();
        match pipeline::hold(app, asked).await {
            Ok(session) => {
                let (exchange, uris) = subscribe(&session, uris).await;
                (!uris.is_empty()).then_some(Self { server, uris, _exchange: exchange, session })
            }
            Err(refusal) => {
                tracing::debug!(%refusal, "resources cannot be subscribed to");
                None
            }
        }
    }

    /// Ends when the server has ended.
    fn ended(&self) -> impl Future<Output = ()> + use<> {
        let mut notices = self.session.notices();
        async move { while !matches!(notices.recv().await, Err(broadcast::error::RecvError::Closed)) {} }
    }
}

impl Stream {
    /// What the caller's container of one server announces, for as long as the catalogue has it.
    async fn follow_server(
        mut self,
        asked: Inquired,
        heard: Option<broadcast::Receiver<Notice>>,
        mut apps: watch::Receiver<Arc<App>>,
    ) {
        let server = asked.server.clone();
        let uris = std::mem::take(&mut self.filter.uris);
        let held = if uris.is_empty() { None } else { Held::begin(&self.app, asked, uris).await };
        self.filter.uris = held.as_ref().map(|held| held.uris.clone()).unwrap_or_default();
        if !self.acknowledge().await {
            return;
        }
        let mut heard = heard;
        let mut ended = std::pin::pin!(async {
            match &held {
                Some(held) => held.ended().await,
                None => std::future::pending().await,
            }
        });
        loop {
            let notice = tokio::select! {
                notice = next_of(&mut heard) => notice,
                () = &mut ended => return self.end().await,
                () = self.events.gone() => return,
                changed = apps.changed() => {
                    if changed.is_err() {
                        return self.end().await;
                    }
                    let app = Arc::clone(&apps.borrow_and_update());
                    match self.reloaded(&server, app, held.is_some()).await {
                        Go::On => continue,
                        Go::End => return self.end().await,
                        Go::Refuse(refusal) => return self.refuse(&refusal).await,
                        Go::Away => return,
                    }
                }
            };
            match notice {
                Ok(notice) => {
                    let params = notice.params.as_deref();
                    let params = params.and_then(|raw| json::parse(raw.get().as_bytes(), &Limits::THEIRS).ok());
                    if self.filter.lets_through(&notice.method, params.as_ref())
                        && !self.tell(&notice.method, params).await
                    {
                        return;
                    }
                }
                // What was missed could be any of them.
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    for list in [List::Tools, List::Prompts, List::Resources] {
                        if !self.tell_list(list).await {
                            return;
                        }
                    }
                }
                Err(broadcast::error::RecvError::Closed) => return self.end().await,
            }
        }
    }

    /// Another catalogue is in force: what of this server is another one now is told.
    async fn reloaded(&mut self, id: &ServerId, app: Arc<App>, follows: bool) -> Go {
        let was = std::mem::replace(&mut self.app, app);
        let Some(server) = self.app.catalogue.by_id(id) else {
            return Go::Refuse(gate::Refusal::UnknownServer { asked: id.to_string(), closest: None });
        };
        if let Err(refusal) = server.ready() {
            return Go::Refuse(refusal);
        }
        let before = was.catalogue.by_id(id);
        for list in [List::Tools, List::Prompts, List::Resources] {
            if Server::list_differs(list, before, Some(server)) && !self.tell_list(list).await {
                return Go::Away;
            }
        }
        // The container whose resources were followed is of the installation before.
        let is_same = before.is_some_and(|before| before.is_same_installation(server));
        if follows && !is_same { Go::End } else { Go::On }
    }

    /// What changes behind the gateway's own endpoint.
    async fn follow_all(mut self, feed: Option<Feed>, wanted: Vec<(Inquired, Vec<String>)>) {
        let mut held = Vec::new();
        for (asked, uris) in wanted {
            held.extend(Held::begin(&self.app, asked, uris).await);
        }
        self.filter.uris = held.iter().flat_map(|held: &Held| held.uris.clone()).collect();
        if !self.acknowledge().await {
            return;
        }
        // A stranger switches nothing, and nothing of it runs.
        let Some(mut feed) = feed else { return self.events.gone().await };
        let mut ends = JoinSet::new();
        for held in &held {
            let (server, ended) = (held.server.clone(), held.ended());
            ends.spawn(async move {
                ended.await;
                server
            });
        }
        loop {
            let change = tokio::select! {
                change = feed.next() => change,
                Some(ended) = ends.join_next() => match ended {
                    // Nobody follows them any more: the client is to listen anew.
                    Ok(server) if held.iter().any(|held| held.server == server) => return self.end().await,
                    _ => continue,
                },
                () = self.events.gone() => return,
            };
            let is_there = match change {
                None => return self.end().await,
                Some(Change::List { list, .. }) => self.tell_list(list).await,
                Some(Change::Updated { by, params }) => {
                    let is_followed = held.iter().any(|held| held.server == by);
                    !is_followed
                        || !self.filter.lets_through(UPDATED, Some(&params))
                        || self.tell(UPDATED, Some(params)).await
                }
                Some(Change::Replaced(server)) if held.iter().any(|held| held.server == server) => {
                    return self.end().await;
                }
                Some(Change::Disabled(server)) => {
                    held.retain(|held| held.server != server);
                    true
                }
                Some(Change::Replaced(_)) => true,
            };
            if !is_there {
                return;
            }
        }
    }

    /// The first message: what of the wishes is granted.
    async fn acknowledge(&self) -> bool {
        let granted = Some(object([("notifications", self.filter.to_value())]));
        self.tell("notifications/subscriptions/acknowledged", granted).await
    }

    /// Tells that a list is another one, if that is asked for. `false`: the client has gone.
    async fn tell_list(&self, list: List) -> bool {
        let method = Change::method(list);
        !self.filter.lets_through(&method, None) || self.tell(&method, None).await
    }

    /// Writes a notification, tagged. `false`: the client has gone.
    async fn tell(&self, method: &str, params: Option<Value>) -> bool {
        let Value::Object(mut members) = params.unwrap_or_else(|| object([])) else { return true };
        let tag = (SUBSCRIPTION_META.into(), self.id.clone());
        match members.iter_mut().find(|(name, _)| name == "_meta") {
            Some((_, Value::Object(meta))) => {
                meta.retain(|(name, _)| name != SUBSCRIPTION_META);
                meta.push(tag);
            }
            _ => {
                members.retain(|(name, _)| name != "_meta");
                members.push(("_meta".into(), Value::Object(vec![tag])));
            }
        }
        self.events.message(&notification(method, Some(Value::Object(members)))).await.is_ok()
    }

    /// The end, where it is ours: the client may listen anew.
    async fn end(&self) {
        let result = object([("_meta", object([(SUBSCRIPTION_META, self.id.clone())]))]);
        let answer = Answer::result(Era::Modern, &self.id, result, Cache::No);
        let _gone = self.events.message(&answer.message).await;
    }

    /// The end, where there is nothing left to listen to.
    async fn refuse(&self, refusal: &gate::Refusal) {
        let answer = Answer::protocol_refusal(Era::Modern, &self.id, refusal);
        let _gone = self.events.message(&answer.message).await;
    }
}

/// Whether a stream goes on.
enum Go {
    On,
    /// The client may listen anew.
    End,
    /// It would listen in vain.
    Refuse(gate::Refusal),
    /// The client has gone.
    Away,
}

/// The next notice; never, where there is no container to hear of.
async fn next_of(heard: &mut Option<broadcast::Receiver<Notice>>) -> Result<Notice, broadcast::error::RecvError> {
    match heard {
        Some(heard) => heard.recv().await,
        None => std::future::pending().await,
    }
}

/// Subscribes to resources in the server's own era. Gives what has to be held for it, and the addresses it took.
async fn subscribe(session: &Arc<Session>, uris: Vec<String>) -> (Option<sandbox::Exchange>, Vec<String>) {
    use crate::errand::Spoken;
    match crate::runner::spoken(session) {
        Spoken::Modern => match listening(session, uris.clone()) {
            Some(exchange) => (Some(exchange), uris),
            None => (None, Vec::new()),
        },
        Spoken::Legacy => {
            let mut honored = Vec::new();
            for uri in uris {
                let params = Errand::new("resources/subscribe", vec![("uri".into(), uri.as_str().into())]);
                let params = params.params(Spoken::Legacy, &[], 0, None);
                let asked = session.request("resources/subscribe", params.as_deref(), SUBSCRIBE_TIMEOUT).await;
                if matches!(asked, Ok(sandbox::Answer::Result(_))) {
                    honored.push(uri);
                }
            }
            (None, honored)
        }
    }
}

/// Asks a server of 2026-07-28 for the updates of resources. `None`: it has ended.
pub(crate) fn listening(session: &Arc<Session>, uris: Vec<String>) -> Option<sandbox::Exchange> {
    use crate::errand::Spoken;
    let wanted = Filter { uris, ..Filter::default() };
    let errand = Errand::new("subscriptions/listen", vec![("notifications".into(), wanted.to_value())]);
    let params = |token| errand.params(Spoken::Modern, &[], token, None);
    session.begin("subscriptions/listen", params, std::time::Duration::MAX).ok()
}

/// How long a server may take to note one subscription.
const SUBSCRIBE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
