//! `subscriptions/listen`: a long answer on which a modern client hears of changes (MCP 2026-07-28, "Subscriptions").

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

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

/// Most resources of one subscription.
pub(crate) const MAX_RESOURCES: usize = 64;

/// Longest address of a resource.
pub(crate) const MAX_URI_BYTES: usize = 2048;

/// Most subscriptions at once; of one caller; of all strangers together.
const MAX_LISTENING: usize = 512;
const MAX_OF_ONE: usize = 8;
const MAX_OF_STRANGERS: usize = 64;

/// Where every message of a subscription says which it belongs to.
pub(crate) const SUBSCRIPTION_META: &str = "io.modelcontextprotocol/subscriptionId";

/// Who listens.
#[derive(Debug, Default)]
pub(crate) struct Listeners(Mutex<HashMap<String, usize>>);

/// One that listens. Dropping it makes room.
struct Place {
    all: Arc<Listeners>,
    caller: String,
}

impl Listeners {
    fn admit(self: &Arc<Self>, caller: &str) -> Option<Place> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let most = if caller.is_empty() { MAX_OF_STRANGERS } else { MAX_OF_ONE };
        let of_one = counts.get(caller).copied().unwrap_or_default();
        if of_one >= most || counts.values().sum::<usize>() >= MAX_LISTENING {
            return None;
        }
        counts.insert(caller.to_owned(), of_one + 1);
        Some(Place { all: Arc::clone(self), caller: caller.to_owned() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.caller);
            }
        }
    }
}

/// What a client wants to hear of.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Filter {
    tools: bool,
    prompts: bool,
    resources: bool,
    uris: Vec<String>,
}

impl Filter {
    fn read(params: &Value) -> Result<Self, String> {
        let Some(wanted) = params.member("notifications").filter(|wanted| wanted.as_object().is_some()) else {
            return Err("params.notifications is missing or no object: say what you want to hear of, for instance \
                        {\"toolsListChanged\":true}"
                .to_owned());
        };
        let flag = |name: &str| match wanted.member(name) {
            None | Some(Value::Bool(false)) => Ok(false),
            Some(Value::Bool(true)) => Ok(true),
            Some(other) => Err(format!("params.notifications.{name} is a boolean, found {}", other.kind())),
        };
        let uris = match wanted.member("resourceSubscriptions") {
            None => Vec::new(),
            Some(Value::Array(uris)) if uris.len() > MAX_RESOURCES => {
                return Err(format!(
                    "resourceSubscriptions names {} resources, the limit is {MAX_RESOURCES}",
                    uris.len()
                ));
            }
            Some(Value::Array(uris)) => uris
                .iter()
                .map(|uri| {
                    let uri = uri.as_str().filter(|uri| uri.len() <= MAX_URI_BYTES);
                    let what = || format!("resourceSubscriptions holds addresses of at most {MAX_URI_BYTES} bytes");
                    uri.map(str::to_owned).ok_or_else(what)
                })
                .collect::<Result<_, _>>()?,
            Some(other) => return Err(format!("resourceSubscriptions is an array, found {}", other.kind())),
        };
        Ok(Self {
            tools: flag("toolsListChanged")?,
            prompts: flag("promptsListChanged")?,
            resources: flag("resourcesListChanged")?,
            uris,
        })
    }

    fn to_value(&self) -> Value {
        let mut members = Vec::new();
        for (name, wanted) in [
            ("toolsListChanged", self.tools),
            ("promptsListChanged", self.prompts),
            ("resourcesListChanged", self.resources),
        ] {
            if wanted {
                members.push((name.to_owned(), true.into()));
            }
        }
        if !self.uris.is_empty() {
            let uris = self.uris.iter().map(|uri| uri.as_str().into()).collect();
            members.push(("resourceSubscriptions".to_owned(), Value::Array(uris)));
        }
        Value::Object(members)
    }

    fn lets_through(&self, method: &str, params: Option<&Value>) -> bool {
        match method {
            "notifications/tools/list_changed" => self.tools,
            "notifications/prompts/list_changed" => self.prompts,
            "notifications/resources/list_changed" => self.resources,
            "notifications/resources/updated" => {
                let uri = params.and_then(|params| params.member("uri")).and_then(Value::as_str);
                uri.is_some_and(|uri| self.uris.iter().any(|wanted| covers(wanted, uri)))
            }
            _ => false,
        }
    }
}

/// Whether an update of `uri` is one of what was subscribed to: the resource, or one below it.
fn covers(wanted: &str, uri: &str) -> bool {
    uri.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || wanted.ends_with('/'))
}

/// One subscription's stream.
struct Stream {
    app: Arc<App>,
    id: Value,
    filter: Filter,
    events: Events,
    _place: Place,
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
            let stream = Stream { app, id, filter, events, _place: place };
            tokio::spawn(stream.follow_server(asked(&server.entry.id), heard, apps));
        }
        None => {
            let wanted = wanted_of_all(asker, std::mem::take(&mut filter.uris)).await;
            let wanted = wanted.into_iter().map(|(server, uris)| (asked(&server), uris)).collect();
            let feed = asker.scope.clone().map(|scope| Feed::new(asker.live, scope));
            let stream = Stream { app, id, filter, events, _place: place };
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
        let tag = (SUBSCRIPTION_META.to_owned(), self.id.clone());
        match members.iter_mut().find(|(name, _)| name == "_meta") {
            Some((_, Value::Object(meta))) => {
                meta.retain(|(name, _)| name != SUBSCRIPTION_META);
                meta.push(tag);
            }
            _ => {
                members.retain(|(name, _)| name != "_meta");
                members.push(("_meta".to_owned(), Value::Object(vec![tag])));
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
                let params = Errand::new("resources/subscribe", vec![("uri".to_owned(), uri.as_str().into())]);
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
    let errand = Errand::new("subscriptions/listen", vec![("notifications".to_owned(), wanted.to_value())]);
    let params = |token| errand.params(Spoken::Modern, &[], token, None);
    session.begin("subscriptions/listen", params, std::time::Duration::MAX).ok()
}

/// How long a server may take to note one subscription.
const SUBSCRIBE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use evidence::json::parse;

    use super::*;

    fn filter(text: &str) -> Result<Filter, String> {
        Filter::read(&parse(text.as_bytes(), &Limits::THEIRS).unwrap())
    }

    #[test]
    fn a_client_hears_of_what_it_asked_for_and_of_nothing_else() {
        let wanted = filter(
            r#"{"notifications":{"toolsListChanged":true,"promptsListChanged":false,"resourceSubscriptions":["test://a"]}}"#,
        )
        .unwrap();
        assert!(wanted.lets_through("notifications/tools/list_changed", None));
        assert!(!wanted.lets_through("notifications/prompts/list_changed", None));
        assert!(!wanted.lets_through("notifications/message", None));
        let updated =
            |uri: &str| wanted.lets_through("notifications/resources/updated", Some(&object([("uri", uri.into())])));
        assert!(updated("test://a") && updated("test://a/b") && !updated("test://ab") && !updated("test://b"));
        assert_eq!(wanted.to_value().to_text(), r#"{"toolsListChanged":true,"resourceSubscriptions":["test://a"]}"#);
    }

    #[test]
    fn a_filter_that_cannot_be_one_is_told_so() {
        let many = vec![r#""a""#; MAX_RESOURCES + 1].join(",");
        let long = "u".repeat(MAX_URI_BYTES + 1);
        for bad in [
            "{}".to_owned(),
            r#"{"notifications":[]}"#.into(),
            r#"{"notifications":{"toolsListChanged":1}}"#.into(),
            r#"{"notifications":{"resourceSubscriptions":"a"}}"#.into(),
            r#"{"notifications":{"resourceSubscriptions":[1]}}"#.into(),
            format!(r#"{{"notifications":{{"resourceSubscriptions":[{many}]}}}}"#),
            format!(r#"{{"notifications":{{"resourceSubscriptions":["{long}"]}}}}"#),
        ] {
            assert!(filter(&bad).is_err(), "{bad}");
        }
        let most = vec![r#""a""#; MAX_RESOURCES].join(",");
        assert!(filter(&format!(r#"{{"notifications":{{"resourceSubscriptions":[{most}]}}}}"#)).is_ok());
    }

    #[test]
    fn one_caller_listens_so_often_at_once() {
        let all = Arc::new(Listeners::default());
        let places: Vec<_> = (0..MAX_OF_ONE).map(|_| all.admit("one").unwrap()).collect();
        assert!(all.admit("one").is_none());
        assert!(all.admit("two").is_some());
        drop(places);
        assert!(all.0.lock().unwrap().is_empty());
        let strangers: Vec<_> = (0..MAX_OF_STRANGERS).map(|_| all.admit("").unwrap()).collect();
        assert!(all.admit("").is_none());
        drop(strangers);
    }
}
