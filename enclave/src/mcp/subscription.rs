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
use tokio::sync::broadcast;

use super::{
    answer::{Answer, Cache},
    asker::{Asker, Outgoing},
    era::Era,
    message::Request,
    offers::List,
    sse::{self, Events},
    turn::notification,
};
use crate::{
    app::App,
    enablement::Scope,
    errand::Errand,
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
const SUBSCRIPTION_META: &str = "io.modelcontextprotocol/subscriptionId";

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
pub(crate) fn listen(asker: &Asker<'_>, request: &Request) -> Outgoing {
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
            let asked = Inquired {
                server: server.entry.id.clone(),
                who: asker.who,
                session: asker.session.clone(),
                errand: Errand::default(),
            };
            let key = asker.key(&server.entry.id);
            let heard = key.as_ref().map(|key| asker.app.runner.notices().listen(key));
            let stream = Stream { app, id, filter, events, _place: place };
            tokio::spawn(stream.follow_server(asked, heard));
        }
        None => {
            filter.uris.clear();
            let stream = Stream { app, id, filter, events, _place: place };
            tokio::spawn(stream.follow_switches(asker.scope.clone()));
        }
    }
    Outgoing::Stream(response)
}

impl Stream {
    /// What the caller's container of one server announces.
    async fn follow_server(mut self, asked: Inquired, heard: Option<broadcast::Receiver<Notice>>) {
        // Held until the end: a container whose resources somebody follows is not idle.
        let mut held = None;
        if !self.filter.uris.is_empty() {
            match pipeline::hold(&self.app, asked).await {
                Ok(session) => {
                    let (kept, honored) = subscribe(&session, std::mem::take(&mut self.filter.uris)).await;
                    self.filter.uris = honored;
                    held = Some((session, kept));
                }
                Err(refusal) => {
                    tracing::debug!(%refusal, "resources cannot be subscribed to");
                    self.filter.uris.clear();
                }
            }
        }
        if self.acknowledge().await {
            match heard {
                Some(heard) => self.pass_on(heard, held.as_ref().map(|(session, _)| session.notices())).await,
                None => self.events.gone().await,
            }
        }
        if let Some((session, Some(exchange))) = held {
            drop(exchange);
            drop(session);
        }
    }

    async fn pass_on(&self, mut heard: broadcast::Receiver<Notice>, held: Option<broadcast::Receiver<Notice>>) {
        let mut ends = held;
        loop {
            let notice = tokio::select! {
                notice = heard.recv() => notice,
                () = ended(&mut ends) => return self.end().await,
                () = self.events.gone() => return,
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
                    if !self.tell_all_lists().await {
                        return;
                    }
                }
                Err(broadcast::error::RecvError::Closed) => return self.end().await,
            }
        }
    }

    /// What the caller switches on and off.
    async fn follow_switches(self, scope: Option<Scope>) {
        let mut changes = scope.as_ref().map(|scope| self.app.enablement.changes(scope));
        if !self.acknowledge().await {
            return;
        }
        let (Some(scope), Some(changes)) = (scope, changes.as_mut()) else {
            // A stranger switches nothing.
            return self.events.gone().await;
        };
        let mut before = self.app.enablement.enabled(&scope);
        loop {
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return self.end().await },
                () = self.events.gone() => return,
            }
            let now = self.app.enablement.enabled(&scope);
            let changed: Vec<ServerId> = before
                .iter()
                .filter(|id| !now.contains(id))
                .chain(now.iter().filter(|id| !before.contains(id)))
                .cloned()
                .collect();
            for list in [List::Tools, List::Prompts, List::Resources] {
                let method = format!("notifications/{}/list_changed", list.capability());
                let concerned = changed
                    .iter()
                    .filter_map(|id| self.app.catalogue.by_id(id))
                    .any(|server| server.ready.as_ref().is_ok_and(|ready| ready.offers.has(list.capability())));
                if concerned && self.filter.lets_through(&method, None) && !self.tell(&method, None).await {
                    return;
                }
            }
            before = now;
        }
    }

    /// The first message: what of the wishes is granted.
    async fn acknowledge(&self) -> bool {
        let granted = Some(object([("notifications", self.filter.to_value())]));
        self.tell("notifications/subscriptions/acknowledged", granted).await
    }

    async fn tell_all_lists(&self) -> bool {
        for list in ["tools", "prompts", "resources"] {
            let method = format!("notifications/{list}/list_changed");
            if self.filter.lets_through(&method, None) && !self.tell(&method, None).await {
                return false;
            }
        }
        true
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
}

/// Ends when the server has ended whose resources are followed.
async fn ended(notices: &mut Option<broadcast::Receiver<Notice>>) {
    let Some(notices) = notices else { return std::future::pending().await };
    loop {
        if matches!(notices.recv().await, Err(broadcast::error::RecvError::Closed)) {
            return;
        }
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
