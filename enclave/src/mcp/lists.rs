//! Lists, prompts, resources and completions: of one server, or of all that a caller has switched on.

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
                    *value = Value::Array(items);
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
                    let own = live.unwrap_or_else(|| ready.offers.items(list));
                    items.extend(own.into_iter().map(|item| prefixed(server, list, item)));
                }
                (List::Resources | List::Templates, live) => {
                    items.extend(live.unwrap_or_else(|| ready.offers.items(list)));
                }
            }
        }
        let result = object([(list.member(), Value::Array(items))]);
        Answer::result(era, &request.id, result, Cache::Private)
    }

    /// The list of the caller's own container, if it runs and has announced that it changed.
    async fn live(&self, server: &Server, list: List) -> Option<Vec<Value>> {
        let key = self.key(&server.entry.id)?;
        if !self.app.runner.notices().has_changed(&key, list.announced_as()) {
            return None;
        }
        self.app.runner.live_list(&key, list.method(), list.member()).await
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
            None => match self.prompt_of(&asked) {
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

    /// `resources/read` and, of one server, `resources/subscribe`, `resources/unsubscribe`.
    pub(crate) async fn of_resource(&self, era: Era, request: Request, cacheable: bool) -> Outgoing {
        let id = request.id.clone();
        let wrong = |text: &str| Outgoing::from(Answer::error(200, &id, -32602, text, None));
        let Some(uri) = request.params.member("uri").and_then(Value::as_str).map(str::to_owned) else {
            return wrong("params.uri is missing or no string; name one resource of resources/list");
        };
        let server = match self.server {
            Some(server) => server,
            None => match self.server_of(&uri) {
                Ok(server) => server,
                Err(text) => return wrong(&text),
            },
        };
        let modern = server.ready.as_ref().is_ok_and(|ready| ready.offers.spoken == Spoken::Modern);
        if modern && matches!(request.method.as_str(), "resources/subscribe" | "resources/unsubscribe") {
            return self.follow(&id, &request.method, server, uri).await;
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
                let Some((server, name)) = self.prompt_of(asked) else {
                    return wrong("params.ref names no prompt of an enabled server; prompts/list names all");
                };
                let mut reference = reference.clone();
                set(&mut reference, "name", name.into());
                set(&mut request.params, "ref", reference);
                server
            }
            (Some("ref/resource"), _, Some(uri)) => match self.server_of(uri) {
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

    /// The enabled server, and its own name of the prompt, that a prefixed name means.
    fn prompt_of(&self, asked: &str) -> Option<(&Server, String)> {
        self.enabled().into_iter().find_map(|server| {
            let own = asked.strip_prefix(server.prefix())?.strip_prefix("__")?;
            let offers = &server.ready.as_ref().ok()?.offers;
            let known = offers.items(List::Prompts);
            let known = known.iter().any(|prompt| prompt.member("name").and_then(Value::as_str) == Some(own));
            known.then(|| (server, own.to_owned()))
        })
    }

    /// The enabled server that has a resource of this URI: one that lists it, else one with a template that fits.
    fn server_of(&self, uri: &str) -> Result<&Server, String> {
        let enabled = self.enabled();
        let having = |list: List, fits: &dyn Fn(&Value) -> bool| -> Vec<&Server> {
            let has =
                |server: &&Server| server.ready.as_ref().is_ok_and(|ready| ready.offers.items(list).iter().any(fits));
            enabled.iter().copied().filter(has).collect()
        };
        let text = |item: &Value, name: &str| item.member(name).and_then(Value::as_str).map(str::to_owned);
        let mut found = having(List::Resources, &|item| text(item, "uri").as_deref() == Some(uri));
        if found.is_empty() {
            found = having(List::Templates, &|item| {
                text(item, "uriTemplate").is_some_and(|template| template == uri || fits(&template, uri))
            });
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
                // A tool that was there at install has a name of its own on this endpoint.
                let at = server.tools().iter().position(|tool| list == List::Tools && tool.name == *own);
                let known = at.and_then(|at| server.listed().get(at)?.member("name")).cloned();
                *value = known.unwrap_or_else(|| format!("{}__{own}", server.prefix()).into());
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
