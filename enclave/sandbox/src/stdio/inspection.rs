//! What a server offers, asked once for each image and kept.

use std::{collections::HashSet, fmt, time::Duration};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor},
};
use serde_json::{json, value::RawValue};

use super::{
    error::SessionError,
    greeting::{HANDSHAKE_TIMEOUT, Manners, ServerEra, modern_meta},
    message::{self, Answer},
    session::Session,
};
use crate::{InstalledServer, LINE_LIMIT, LaunchSpec, Sandbox};

/// Pages of one list.
const PAGES_LIMIT: usize = 100;
/// JSON-RPC: there is no such method.
const UNKNOWN_METHOD: i64 = -32601;

/// What a server says of itself, as it wrote it. A list is the result of its method, `{"tools":[…]}` for instance; where
/// it had several pages they are one, with the other members of the first. `None` where the server does not declare it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Inspection {
    /// The revision that it was asked in.
    pub era: ServerEra,
    /// Its result of `initialize` or `server/discover`.
    pub greeting: Box<RawValue>,
    /// `tools/list`
    pub tools: Option<Box<RawValue>>,
    /// `prompts/list`
    pub prompts: Option<Box<RawValue>>,
    /// `resources/list`
    pub resources: Option<Box<RawValue>>,
    /// `resources/templates/list`; also `None` where a server with resources does not know the method.
    pub resource_templates: Option<Box<RawValue>>,
    /// How it is greeted at its next start: in the same revision, and without waiting for what never comes.
    pub(crate) manners: Manners,
    /// How many inspections in a row found that it does not stand being asked for the newest revision.
    #[serde(default)]
    pub(crate) found_old: u8,
}

/// So many inspections in a row must find a server old before that is believed for good. A server may crash, or be held up,
/// by chance at its first start; it would else be spoken to in an older revision for as long as its image is there.
const BELIEVED_OLD: u8 = 3;

impl Sandbox {
    /// Asks a server what it offers, or finds what was kept for its image and arguments. What it says is kept. One that
    /// died at the question for the newest revision, or said nothing, is asked anew by the next two inspections.
    ///
    /// # Errors
    /// Any [`SessionError`].
    pub async fn inspect(
        &self,
        warrant: &gate::Warrant,
        server: &InstalledServer,
        spec: &LaunchSpec,
    ) -> Result<Inspection, SessionError> {
        let kept = self.kept_inspection(server, spec).await?;
        let in_doubt = |kept: &Inspection| kept.manners == Manners::Old && kept.found_old < BELIEVED_OLD;
        let doubted = match kept {
            Some(kept) if !in_doubt(&kept) => {
                self.learn_manners(server, spec, kept.manners);
                return Ok(kept);
            }
            other => other,
        };
        if doubted.is_some() {
            self.learn_manners(server, spec, Manners::Usual);
        }
        let found_before = doubted.as_ref().map_or(0, |kept| kept.found_old);
        let inspection = match (self.inspect_now(warrant, server, spec, found_before).await, doubted) {
            (Ok(inspection), _) => inspection,
            // It worked before: what was kept is better than nothing.
            (Err(error), Some(kept)) => {
                tracing::debug!(%error, "a server could not be looked at again");
                self.learn_manners(server, spec, kept.manners);
                return Ok(kept);
            }
            (Err(error), None) => return Err(error),
        };
        self.keep_inspection(server, spec, &inspection).await?;
        Ok(inspection)
    }

    async fn inspect_now(
        &self,
        warrant: &gate::Warrant,
        server: &InstalledServer,
        spec: &LaunchSpec,
        found_old_before: u8,
    ) -> Result<Inspection, SessionError> {
        let session = Session::start(self, warrant, server, spec).await?;
        let inspection = session.inspect(HANDSHAKE_TIMEOUT).await;
        session.stop().await;
        let manners = self.manners(server, spec);
        let found_old = if manners == Manners::Old { found_old_before.saturating_add(1) } else { 0 };
        Ok(Inspection { manners, found_old, ..inspection? })
    }
}

impl Session {
    /// Asks for everything that the server declares to have. `limit` is for one page.
    ///
    /// # Errors
    /// As [`Session::request`]; a server that refuses what it declared gives [`SessionError::Handshake`].
    pub async fn inspect(&self, limit: Duration) -> Result<Inspection, SessionError> {
        #[derive(Default, Deserialize)]
        struct Capabilities<'a> {
            #[serde(borrow)]
            tools: Option<&'a RawValue>,
            #[serde(borrow)]
            prompts: Option<&'a RawValue>,
            #[serde(borrow)]
            resources: Option<&'a RawValue>,
        }
        #[derive(Deserialize)]
        struct Greeting<'a> {
            #[serde(borrow, default)]
            capabilities: Capabilities<'a>,
        }
        let read: Greeting<'_> = serde_json::from_str(self.greeting().get())
            .map_err(|error| SessionError::Handshake(format!("the server's capabilities: {error}")))?;
        let declared = read.capabilities;
        let list = async |declared: Option<&RawValue>, method: &str, member: &str| match declared {
            Some(_) => self.list(method, member, limit).await,
            None => Ok(None),
        };
        let refused = |method: &str| {
            SessionError::Handshake(format!("the server declares what {method} lists, yet does not know it"))
        };
        let tools = list(declared.tools, "tools/list", "tools").await?;
        let prompts = list(declared.prompts, "prompts/list", "prompts").await?;
        let resources = list(declared.resources, "resources/list", "resources").await?;
        let templates = list(declared.resources, "resources/templates/list", "resourceTemplates").await?;
        if declared.tools.is_some() && tools.is_none() {
            return Err(refused("tools/list"));
        }
        Ok(Inspection {
            era: self.era(),
            greeting: self.greeting().to_owned(),
            tools,
            prompts,
            resources,
            resource_templates: templates,
            manners: Manners::Usual,
            found_old: 0,
        })
    }

    /// All pages of a list. `None` if the server does not know the method.
    async fn list(&self, method: &str, member: &str, limit: Duration) -> Result<Option<Box<RawValue>>, SessionError> {
        let fault = |why: String| SessionError::Handshake(format!("the answer to {method}: {why}"));
        let (mut first, mut items) = (None, Vec::new());
        let (mut cursor, mut cursors, mut bytes) = (None, HashSet::new(), 0_usize);
        for _ in 0..PAGES_LIMIT {
            let result = match self.request(method, self.list_params(cursor.as_deref()).as_deref(), limit).await? {
                Answer::Result(result) => result,
                Answer::Error(error) if first.is_none() && code(&error) == Some(UNKNOWN_METHOD) => return Ok(None),
                Answer::Error(error) => {
                    return Err(SessionError::Handshake(format!(
                        "the server refused {method}: {}",
                        self.redact(error.get())
                    )));
                }
            };
            let page = Page::read(&result, member).map_err(|error| fault(error.to_string()))?;
            bytes = bytes.saturating_add(result.get().len());
            if bytes > LINE_LIMIT {
                return Err(fault(format!("its pages are more than {LINE_LIMIT} bytes")));
            }
            let next = page.next_cursor.clone();
            match (&first, &next) {
                // The common case is handed on as it is.
                (None, None) => return Ok(Some(result)),
                _ => items.extend(page.items.iter().map(|&item| item.to_owned())),
            }
            let Some(next) = next else { break };
            if !cursors.insert(next.clone()) {
                return Err(fault("a page names a page before it as the next one".to_owned()));
            }
            cursor = Some(next);
            first.get_or_insert(result);
        }
        let Some(first) = first.filter(|_| cursors.len() < PAGES_LIMIT) else {
            return Err(SessionError::Handshake(format!("{method} has more than {PAGES_LIMIT} pages")));
        };
        let page = Page::read(&first, member).map_err(|error| fault(error.to_string()))?;
        Ok(Some(page.with(member, &items)))
    }

    fn list_params(&self, cursor: Option<&str>) -> Option<Box<RawValue>> {
        let mut params = serde_json::Map::new();
        if let Some(cursor) = cursor {
            params.insert("cursor".to_owned(), cursor.into());
        }
        if self.era() == ServerEra::Modern {
            params.insert("_meta".to_owned(), modern_meta());
        }
        (!params.is_empty()).then(|| message::raw(json!(params).to_string()))
    }
}

fn code(error: &RawValue) -> Option<i64> {
    #[derive(Deserialize)]
    struct Error {
        code: i64,
    }
    serde_json::from_str::<Error>(error.get()).ok().map(|error| error.code)
}

/// One page of a list.
struct Page<'a> {
    members: Members<'a>,
    items: Vec<&'a RawValue>,
    next_cursor: Option<String>,
}

impl<'a> Page<'a> {
    fn read(result: &'a RawValue, list: &str) -> Result<Self, serde_json::Error> {
        let members: Members<'a> = serde_json::from_str(result.get())?;
        let member = |name: &str| members.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.get());
        let missing = || serde::de::Error::custom(format!("there is no member {list:?}"));
        let items = serde_json::from_str(member(list).ok_or_else(missing)?)?;
        let next_cursor = member("nextCursor").map(serde_json::from_str).transpose()?.flatten();
        Ok(Self { members, items, next_cursor })
    }

    /// The page with another list in it, and without a next one.
    fn with(&self, list: &str, items: &[Box<RawValue>]) -> Box<RawValue> {
        let items: Vec<&str> = items.iter().map(|item| item.get()).collect();
        let items = format!("[{}]", items.join(","));
        let members = self.members.0.iter().filter(|(name, _)| name != "nextCursor").map(|(name, value)| {
            let value = if name == list { &items } else { value.get() };
            format!("{}:{value}", json!(name))
        });
        message::raw(format!("{{{}}}", members.collect::<Vec<_>>().join(",")))
    }
}

/// The members of an object in their order, values untouched.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Object).map(Members)
    }
}
