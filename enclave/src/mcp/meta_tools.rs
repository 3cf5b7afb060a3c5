//! The gateway's own tools: find a server, switch it on, and its tools appear in `tools/list`; or call one of them at
//! once.

mod answers;
pub(crate) mod definitions;

use evidence::json::{Name, Value, object};
use gate::{Principal, Refusal};

use super::answer::tool_result;
use crate::{
    app::App,
    catalogue::{Catalogue, Server},
    enablement::{Change, MAX_ENABLED, NotSwitched, Scope},
    semantic::{Kind, Question},
};

/// Their names, in the order of the list.
pub(crate) const NAMES: [&str; 7] = [
    "gateway__search_servers",
    "gateway__semantic_search",
    "gateway__call_tool",
    "gateway__enable_server",
    "gateway__disable_server",
    "gateway__list_enabled",
    "gateway__server_info",
];

/// Most servers that one search shows.
const MAX_SHOWN: u64 = 100;

/// Furthest into a ranking that a search shows.
const MAX_OFFSET: u64 = 1_000_000;

/// Servers that a search shows where nobody says how many.
const USUAL: u64 = 20;

/// What `gateway__call_tool` calls.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    /// The server.
    pub(crate) server: &'a Server,
    /// The tool, as the server knows it.
    pub(crate) tool: String,
    /// Its arguments.
    pub(crate) arguments: Value,
}

/// The call behind `gateway__call_tool`, which from here on is served as if it had been made directly; or the result
/// that says why there is none. `None` for every other name.
pub(crate) fn redirect<'a>(
    name: &str,
    arguments: &Value,
    catalogue: &'a Catalogue,
) -> Option<Result<Target<'a>, Value>> {
    (name == "gateway__call_tool").then(|| target(arguments, catalogue).map_err(Said::into_result))
}

fn target<'a>(arguments: &Value, catalogue: &'a Catalogue) -> Result<Target<'a>, Said> {
    let tool = text(arguments, "tool")?.ok_or_else(|| bad("name a tool with tool"))?;
    let inner = match arguments.member("arguments") {
        None | Some(Value::Null) => Value::Object(Vec::new()),
        Some(inner @ Value::Object(_)) => inner.clone(),
        Some(other) => return Err(bad(format!("arguments is the object that the tool takes, found {}", other.kind()))),
    };
    let (server, tool) = match named(arguments)? {
        Some(asked) => {
            let server = catalogue.find(asked)?;
            // Its name in tools/list may be given as well as its own.
            let bare = tool.strip_prefix(server.prefix()).and_then(|rest| rest.strip_prefix("__"));
            let is_own = server.tools().iter().any(|own| own.name == tool);
            (server, server.tool_named(bare.filter(|_| !is_own).unwrap_or(tool)))
        }
        None if tool.contains("__") => catalogue.find_prefixed(tool)?,
        None => return Err(bad("name a server with server_id or server_name")),
    };
    Ok(Target { server, tool, arguments: inner })
}

/// Runs one of them. `None` if there is none of this name.
pub(crate) async fn call(
    app: &App,
    name: &str,
    arguments: &Value,
    principal: &Principal,
    scope: Option<&Scope>,
) -> Option<Value> {
    let catalogue = &app.catalogue;
    let answer = match name {
        "gateway__search_servers" => search(arguments, catalogue),
        "gateway__semantic_search" => semantic(arguments, app, principal, scope).await,
        "gateway__enable_server" => match with_scope(scope) {
            Ok(scope) => enable(arguments, app, scope).await,
            Err(said) => Err(said),
        },
        "gateway__disable_server" => match with_scope(scope) {
            Ok(scope) => disable(arguments, app, scope).await,
            Err(said) => Err(said),
        },
        "gateway__list_enabled" => Ok(list(app, scope)),
        "gateway__server_info" => which(arguments, catalogue).map(info),
        _ => return None,
    };
    Some(match answer {
        Ok(value) => tool_result(value.to_text(), value, false),
        Err(said) => said.into_result(),
    })
}

/// Why one of them did nothing.
struct Said {
    code: &'static str,
    text: String,
}

impl Said {
    fn into_result(self) -> Value {
        let details = object([("error", self.code.into()), ("message", self.text.as_str().into())]);
        tool_result(format!("Error ({}): {}", self.code, self.text), details, true)
    }
}

impl From<Refusal> for Said {
    fn from(refusal: Refusal) -> Self {
        Self { code: refusal.code(), text: format!("{refusal}; {}", refusal.remedy().text) }
    }
}

impl From<NotSwitched> for Said {
    fn from(why: NotSwitched) -> Self {
        match why {
            NotSwitched::TooMany => Self {
                code: "TOO_MANY_ENABLED",
                text: format!(
                    "{MAX_ENABLED} servers are enabled here, and no more can be; disable one with \
                     gateway__disable_server, or call the tool with gateway__call_tool, where nothing needs enabling"
                ),
            },
            NotSwitched::Unread => Refusal::Unavailable { part: "store", retry_after_s: 5 }.into(),
        }
    }
}

fn bad(text: impl Into<String>) -> Said {
    Said { code: "BAD_ARGUMENTS", text: text.into() }
}

fn with_scope(scope: Option<&Scope>) -> Result<&Scope, Said> {
    scope.ok_or_else(|| Said {
        code: "NEEDS_A_SCOPE",
        text:
            "an anonymous caller has no place to keep this: send a header X-MCP-Session with a random string of yours \
               in every request, or call the tool with gateway__call_tool or at the server's own endpoint \
               /mcp/server/:serverId, where nothing needs enabling"
                .to_owned(),
    })
}

/// A member that is a string, if it is there.
fn text<'a>(arguments: &'a Value, name: &str) -> Result<Option<&'a str>, Said> {
    match arguments.member(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(bad(format!("{name} is a string, found {}", other.kind()))),
    }
}

/// A member that is an integer of this range, if it is there.
fn number(arguments: &Value, name: &str, least: u64, most: u64, usual: u64) -> Result<u64, Said> {
    match arguments.member(name) {
        None | Some(Value::Null) => Ok(usual),
        Some(Value::Number(token)) => token
            .parse::<u64>()
            .ok()
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| bad(format!("{name} is an integer from {least} to {most}, found {token}"))),
        Some(other) => Err(bad(format!("{name} is an integer from {least} to {most}, found {}", other.kind()))),
    }
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn named(arguments: &Value) -> Result<Option<&str>, Said> {
    Ok(match text(arguments, "server_id")? {
        Some(asked) => Some(asked),
        None => text(arguments, "server_name")?,
    })
}

fn which<'a>(arguments: &Value, catalogue: &'a Catalogue) -> Result<&'a Server, Said> {
    let asked = named(arguments)?.ok_or_else(|| bad("name a server with server_id or server_name"))?;
    Ok(catalogue.find(asked)?)
}

fn search(arguments: &Value, catalogue: &Catalogue) -> Result<Value, Said> {
    let (query, category) = (text(arguments, "query")?, text(arguments, "category")?);
    let limit = number(arguments, "limit", 1, MAX_SHOWN, USUAL)?;
    let offset = number(arguments, "offset", 0, MAX_OFFSET, 0)?;
    let found = catalogue.page(query.unwrap_or_default(), category, size(limit), size(offset));
    let shown: Vec<Value> = found.servers.into_iter().map(|server| Value::Object(server.summary())).collect();
    Ok(object([
        ("total", (found.total as u64).into()),
        ("showing", (shown.len() as u64).into()),
        ("offset", offset.into()),
        ("searchMode", "text".into()),
        ("servers", Value::Array(shown)),
    ]))
}

async fn semantic(arguments: &Value, app: &App, principal: &Principal, scope: Option<&Scope>) -> Result<Value, Said> {
    let Some(wallet) = principal.wallet() else {
        let refusal = Refusal::WalletRequired;
        let text = format!("{refusal}; {}, or use gateway__search_servers, which needs none", refusal.remedy().text);
        return Err(Said { code: refusal.code(), text });
    };
    let query = text(arguments, "query")?.filter(|query| !query.trim().is_empty());
    let question = Question {
        query: query.ok_or_else(|| bad("say in query what is looked for"))?.to_owned(),
        category: text(arguments, "category")?.map(str::to_owned),
        limit: size(number(arguments, "limit", 1, MAX_SHOWN, USUAL)?),
        kind: Kind::All,
    };
    let answer = app.semantic_search(wallet, scope, question).await;
    answer.map_err(|too_often| Said {
        code: "RATE_LIMITED",
        text: format!("{too_often}; Retry-After: {} s, or use gateway__search_servers", too_often.retry_after_s),
    })
}

/// A server in a few words.
fn brief(server: &Server) -> Value {
    object([
        ("id", server.entry.id.as_str().into()),
        ("name", server.entry.name.as_str().into()),
        ("title", server.entry.name.as_str().into()),
        ("toolsCount", (server.tools().len() as u64).into()),
    ])
}

/// Says so where a change will not outlive the gateway though it should.
fn told(mut members: Vec<(Name, Value)>, change: Change) -> Value {
    if !change.is_kept {
        members.push(("persisted".into(), false.into()));
    }
    Value::Object(members)
}

async fn enable(arguments: &Value, app: &App, scope: &Scope) -> Result<Value, Said> {
    let server = which(arguments, &app.catalogue)?;
    let _can_run = server.ready()?;
    let change = app.enablement.enable(scope, &server.entry.id).await?;
    let members = [
        ("enabled", true.into()),
        ("already_enabled", (!change.changed).into()),
        ("server", brief(server)),
        ("toolCount", (server.tools().len() as u64).into()),
        ("toolPrefix", format!("{}__", server.prefix()).into()),
    ];
    Ok(told(members.map(|(name, value)| (name.into(), value)).into(), change))
}

async fn disable(arguments: &Value, app: &App, scope: &Scope) -> Result<Value, Said> {
    let server = which(arguments, &app.catalogue)?;
    let change = app.enablement.disable(scope, &server.entry.id).await?;
    let members = [("disabled", true.into()), ("was_enabled", change.changed.into()), ("server", brief(server))];
    Ok(told(members.map(|(name, value)| (name.into(), value)).into(), change))
}

fn list(app: &App, scope: Option<&Scope>) -> Value {
    let enabled = scope.map(|scope| app.enablement.enabled(scope)).unwrap_or_default();
    let servers: Vec<Value> = enabled.iter().filter_map(|id| app.catalogue.by_id(id)).map(brief).collect();
    object([("total", (servers.len() as u64).into()), ("servers", Value::Array(servers))])
}

/// The object of one server, tools included.
pub(crate) fn info(server: &Server) -> Value {
    let mut members = server.summary();
    members.push(("tools".into(), Value::Array(server.tools().iter().map(|tool| tool.definition.clone()).collect())));
    Value::Object(members)
}
