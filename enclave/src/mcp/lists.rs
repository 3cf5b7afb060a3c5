//! Lists, prompts, resources and completions: of one server, or of all that a caller has switched on.

use std::sync::Arc;

use evidence::json::{Value, object};

use super::{
    answer::{Answer, Cache, unstamp},
    asker::{Asker, Outgoing},
    era::Era,
    message::Request,
    offers::List,
};
use crate::{catalogue::Server, errand::Spoken};

impl Asker<'_> {
    /// A list, in one page. No container is started for it; one that runs and has announced a change is asked.
    pub(crate) async fn list(&self, era: Era, request: &Request) -> Answer {
        let Some(list) = List::of(&request.method) else {
            return Answer::error(200, &request.id, -32601, "no list", None);
        };
        if request.params.member("cursor").is_some_and(|cursor| *cursor != Value::Null) {
            let text = "there is one page only; leave \"cursor\" out";
            return Answer::error(200, &request.id, -32602, text, None);
        }
        let Some(server) = self.server else { return self.list_of_all(era, request, list).await };
        let ready = match server.ready() {
            Ok(ready) => ready,
            Err(refusal) => return Answer::protocol_refusal(era, &request.id, &refusal),
        };
        let Some(Value::Object(mut members)) = ready.offers.list(list) else {
            return Answer::error(200, &request.id, -32601, "this server has no such list", None);
        };
        unstamp(&mut members, ready.offers.spoken);
        let live = self.live(server, list).await;
        let cache = if live.is_some() { Cache::Never } else { Cache::Public };
        if let Some(items) = live {
            for (name, value) in &mut members {
                if name == list.member() {
                    *value = Value::Array(items.to_vec());
                    break;
                }
            }
        }
        Answer::result(era, &request.id, Value::Object(members), cache)
    }

    async fn list_of_all(&self, era: Era, request: &Request, list: List) -> Answer {
        let mut items = if list == List::Tools { self.app.catalogue.meta_tools().to_vec() } else { Vec::new() };
        for server in self.enabled() {
            let Ok(ready) = &server.ready else { continue };
            match (list, self.live(server, list).await) {
                (List::Tools, None) => items.extend_from_slice(server.listed()),
                (List::Tools | List::Prompts, live) => {
                    let own = live.map_or_else(|| ready.offers.items(list), |live| live.to_vec());
                    items.extend(own.into_iter().map(|item| prefixed(server, list, item)));
                }
                (List::Resources | List::Templates, live) => {
                    items.extend(live.map_or_else(|| ready.offers.items(list), |live| live.to_vec()));
                }
            }
        }
        let result = object([(list.member(), Value::Array(items))]);
        Answer::result(era, &request.id, result, Cache::Private)
    }

    /// The list of the caller's own container, if it runs and has announced that it changed.
    async fn live(&self, server: &Server, list: List) -> Option<Arc<[Value]>> {
        self.app.runner.live(&self.key(&server.entry.id)?, list).await
    }

    /// `prompts/get`
    pub(crate) async fn get_prompt(&self, era: Era, mut request: Request) -> Outgoing {
        let id = request.id.clone();
        let wrong = |text: &str| Outgoing::from(Answer::error(200, &id, -32602, text, None));
        let Some(asked) = request.params.member("name").and_then(Value::as_str).map(str::to_owned) else {
            return wrong("params.name is missing or no string; name one prompt of prompts/list");
        };
        let (server, name) = match self.server {
            Some(server) => (server, asked.clone()),
            None => match self.prompt_of(&asked).await {
                Some(found) => found,
                None => {
                    let shown: String = asked.chars().take(128).collect();
                    return wrong(&format!(
                        "no enabled server has a prompt {shown:?}; prompts/list names all, gateway__enable_server \
                         switches servers on"
                    ));
                }
            },
        };
        set(&mut request.params, "name", name.into());
        self.inquire(era, request, server.entry.id.clone(), Some(asked), false).await
    }

    /// `resources/read`, `resources/subscribe`, `resources/unsubscribe`.
    pub(crate) async fn of_resource(&self, era: Era, request: Request, cacheable: bool) -> Outgoing {
        let id = request.id.clone();
        let wrong = |text: &str| Outgoing::from(Answer::error(200, &id, -32602, text, None));
        let Some(uri) = request.params.member("uri").and_then(Value::as_str).map(str::to_owned) else {
            return wrong("params.uri is missing or no string; name one resource of resources/list");
        };
        let server = match self.server {
            Some(server) => server,
            None => match self.server_of(&uri).await {
                Ok(server) => server,
                Err(text) => return wrong(&text),
            },
        };
        if matches!(request.method.as_str(), "resources/subscribe" | "resources/unsubscribe") {
            let offers = server.ready.as_ref().ok().map(|ready| &ready.offers);
            if !offers.is_some_and(|offers| offers.says("resources", "subscribe")) {
                return wrong(&format!("server {:?} does not announce updates of its resources", server.entry.name));
            }
            if offers.is_some_and(|offers| offers.spoken == Spoken::Modern) {
                return self.follow(&id, &request.method, server, uri).await;
            }
        }
        self.inquire(era, request, server.entry.id.clone(), Some(uri), cacheable).await
    }

    /// `completion/complete`
    pub(crate) async fn complete(&self, era: Era, mut request: Request) -> Outgoing {
        let id = request.id.clone();
        let wrong = |text: &str| Outgoing::from(Answer::error(200, &id, -32602, text, None));
        if let Some(server) = self.server {
            return self.inquire(era, request, server.entry.id.clone(), None, false).await;
        }
        let reference = request.params.member("ref").cloned().unwrap_or(Value::Null);
        let text = |name: &str| reference.member(name).and_then(Value::as_str);
        let server = match (text("type"), text("name"), text("uri")) {
            (Some("ref/prompt"), Some(asked), _) => {
                let Some((server, name)) = self.prompt_of(asked).await else {
                    return wrong("params.ref names no prompt of an enabled server; prompts/list names all");
                };
                let mut reference = reference.clone();
                set(&mut reference, "name", name.into());
                set(&mut request.params, "ref", reference);
                server
            }
            (Some("ref/resource"), _, Some(uri)) => match self.server_of(uri).await {
                Ok(server) => server,
                Err(text) => return wrong(&text),
            },
            _ => {
                return wrong(
                    "params.ref is {\"type\":\"ref/prompt\",\"name\":…} or {\"type\":\"ref/resource\",\"uri\":…}",
                );
            }
        };
        self.inquire(era, request, server.entry.id.clone(), None, false).await
    }

    /// What a list of an enabled server holds for this caller. Where what is looked for was found in none (`is_known` is
    /// false), its container is asked, if it runs.
    async fn items(&self, server: &Server, list: List, is_known: bool) -> Arc<[Value]> {
        let key = self.key(&server.entry.id);
        match self.app.runner.live_for(server, key.as_ref(), list, is_known).await {
            Some(live) => live,
            None => server.ready.as_ref().map(|ready| ready.offers.items(list)).unwrap_or_default().into(),
        }
    }

    /// The enabled server, and its own name of the prompt, that a prefixed name means.
    async fn prompt_of(&self, asked: &str) -> Option<(&Server, String)> {
        for is_known in [true, false] {
            for server in self.enabled() {
                let own = asked.strip_prefix(server.prefix()).and_then(|rest| rest.strip_prefix("__"));
                let Some(own) = own else { continue };
                let known = self.items(server, List::Prompts, is_known).await;
                if known.iter().any(|prompt| prompt.member("name").and_then(Value::as_str) == Some(own)) {
                    return Some((server, own.to_owned()));
                }
            }
        }
        None
    }

    /// The enabled servers that have something in a list which fits.
    async fn having(&self, list: List, is_known: bool, fits: impl Fn(&Value) -> bool) -> Vec<&Server> {
        let mut found = Vec::new();
        for server in self.enabled() {
            if self.items(server, list, is_known).await.iter().any(&fits) {
                found.push(server);
            }
        }
        found
    }

    /// The enabled server that has a resource of this URI: one that lists it, else one with a template that fits.
    pub(crate) async fn server_of(&self, uri: &str) -> Result<&Server, String> {
        let is_listed = |item: &Value| item.member("uri").and_then(Value::as_str) == Some(uri);
        let is_templated = |item: &Value| {
            let template = item.member("uriTemplate").and_then(Value::as_str);
            template.is_some_and(|template| template == uri || fits(template, uri))
        };
        let mut found = self.having(List::Resources, true, is_listed).await;
        if found.is_empty() {
            found = self.having(List::Templates, true, is_templated).await;
        }
        if found.is_empty() {
            found = self.having(List::Resources, false, is_listed).await;
        }
        let shown: String = uri.chars().take(128).collect();
        match found.as_slice() {
            [one] => Ok(one),
            [] => Err(format!(
                "no enabled server has a resource {shown:?}; resources/list and resources/templates/list name all, \
                 gateway__enable_server switches servers on"
            )),
            many => {
                let ways: Vec<String> = many
                    .iter()
                    .map(|server| format!("{:?} at /mcp/server/{}", server.entry.name, server.entry.id))
                    .collect();
                Err(format!("several servers have a resource {shown:?}; ask one of them: {}", ways.join(", ")))
            }
        }
    }
}

/// A tool or prompt of an enabled server, under its prefixed name.
fn prefixed(server: &Server, list: List, mut item: Value) -> Value {
    if let Value::Object(members) = &mut item {
        for (name, value) in members {
            if let ("name", Value::String(own)) = (name.as_str(), &*value) {
                let made = match list {
                    List::Tools => server.prefixed(own),
                    _ => format!("{}__{own}", server.prefix()),
                };
                *value = made.into();
            }
        }
    }
    item
}

fn set(object: &mut Value, name: &str, to: Value) {
    if let Value::Object(members) = object {
        for (member, value) in members {
            if member == name {
                *value = to;
                return;
            }
        }
    }
}

/// Most variables of a template that are looked at.
const MAX_VARIABLES: usize = 32;

/// Whether a URI can come of a template (RFC 6570): its fixed parts stand in it in their order, first and last at the ends.
fn fits(template: &str, uri: &str) -> bool {
    let mut fixed = Vec::new();
    let mut rest = template;
    while let Some((before, variable)) = rest.split_once('{') {
        let Some((_, after)) = variable.split_once('}') else { return false };
        fixed.push(before);
        rest = after;
    }
    if fixed.is_empty() || fixed.len() > MAX_VARIABLES {
        return false;
    }
    let Some((first, between)) = fixed.split_first() else { return false };
    let Some(mut left) = uri.strip_prefix(first).and_then(|left| left.strip_suffix(rest)) else { return false };
    for part in between {
        match left.find(part) {
            Some(at) => left = left.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_uri_fits_a_template_whose_fixed_parts_it_has_in_their_order() {
        for (template, uri) in [
            ("test://template/{id}/data", "test://template/7/data"),
            ("test://{a}/{b}", "test://x/y/z"),
            ("{+anything}", "test://x"),
            ("file:///{path}", "file:///"),
            ("é://{a}", "é://ü"),
        ] {
            assert!(fits(template, uri), "{template} {uri}");
        }
        for (template, uri) in [
            ("test://template/{id}/data", "test://template/7"),
            ("test://template/{id}/data", "other://template/7/data"),
            ("test://{a}/x/{b}", "test://1/y/2"),
            ("test://fixed", "test://fixed"),
            ("test://{open", "test://{open"),
            ("ab{x}ba", "aba"),
        ] {
            assert!(!fits(template, uri), "{template} {uri}");
        }
        assert!(fits(&"{a}".repeat(32), "x") && !fits(&"{a}".repeat(33), "x"));
    }
}
