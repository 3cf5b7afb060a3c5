//! The gateway's own tools: find a server, switch it on, and its tools appear in `tools/list`.

use evidence::json::{Value, object};
use gate::Refusal;

use super::answer::tool_result;
use crate::{
    catalogue::{Catalogue, Server},
    enablement::{Enablement, Scope},
};

/// Their names, in the order of the list.
pub(crate) const NAMES: [&str; 5] = [
    "gateway__search_servers",
    "gateway__enable_server",
    "gateway__disable_server",
    "gateway__list_enabled",
    "gateway__server_info",
];

/// Most servers that one search shows.
const MAX_SHOWN: u64 = 100;

/// Their definitions. The descriptions say what is behind them: a model calls what it can see a use for.
pub(crate) fn definitions(catalogue: &Catalogue) -> Vec<Value> {
    let behind: Vec<&str> = catalogue.servers().iter().take(20).map(|server| server.entry.name.as_str()).collect();
    let behind = behind.join(", ");
    let text = |description: &str| object([("type", "string".into()), ("description", description.into())]);
    let which = || {
        object([
            ("type", "object".into()),
            (
                "properties",
                object([
                    ("server_id", text("The server's id (a UUID)")),
                    ("server_name", text("Its name, slug or package name, instead of the id")),
                ]),
            ),
        ])
    };
    let tool = |name: &str, description: String, schema: Value, changes: bool| {
        object([
            ("name", name.into()),
            ("description", description.into()),
            ("inputSchema", schema),
            ("annotations", object([("readOnlyHint", (!changes).into()), ("openWorldHint", false.into())])),
        ])
    };
    let [search, enable, disable, list, info] = NAMES;
    vec![
        tool(
            search,
            format!(
                "Find MCP servers of this gateway by what they do. {} servers are behind it, among them: {behind}. An \
                 empty query lists all.",
                catalogue.servers().len()
            ),
            object([
                ("type", "object".into()),
                (
                    "properties",
                    object([
                        ("query", text("Words to look for in names, packages, tools and descriptions")),
                        ("category", text("Only servers of this category")),
                        (
                            "limit",
                            object([
                                ("type", "integer".into()),
                                ("minimum", 1_u64.into()),
                                ("maximum", MAX_SHOWN.into()),
                                ("default", 20_u64.into()),
                            ]),
                        ),
                    ]),
                ),
            ]),
            false,
        ),
        tool(
            enable,
            format!(
                "Switch a server on, so that its tools appear in tools/list as <server>__<tool>. Servers: {behind}."
            ),
            which(),
            true,
        ),
        tool(disable, "Switch a server off again.".to_owned(), which(), true),
        tool(
            list,
            "List the servers that you have switched on.".to_owned(),
            object([("type", "object".into()), ("properties", object([]))]),
            false,
        ),
        tool(
            info,
            format!("Everything about one server, with its tools and their schemas. Servers: {behind}."),
            which(),
            false,
        ),
    ]
}

/// Runs one of them. `None` if there is none of this name.
pub(crate) fn call(
    name: &str,
    arguments: &Value,
    catalogue: &Catalogue,
    switches: &Enablement,
    scope: Option<&Scope>,
) -> Option<Value> {
    let answer = match name {
        "gateway__search_servers" => search(arguments, catalogue),
        "gateway__enable_server" => with_scope(scope).and_then(|scope| enable(arguments, catalogue, switches, scope)),
        "gateway__disable_server" => with_scope(scope).and_then(|scope| disable(arguments, catalogue, switches, scope)),
        "gateway__list_enabled" => Ok(list(catalogue, switches, scope)),
        "gateway__server_info" => which(arguments, catalogue).map(info),
        _ => return None,
    };
    Some(match answer {
        Ok(value) => tool_result(value.to_text(), value, false),
        Err(said) => {
            let details = object([("error", said.code.into()), ("message", said.text.as_str().into())]);
            tool_result(format!("Error ({}): {}", said.code, said.text), details, true)
        }
    })
}

struct Said {
    code: &'static str,
    text: String,
}

impl From<Refusal> for Said {
    fn from(refusal: Refusal) -> Self {
        Self { code: refusal.code(), text: format!("{refusal}; {}", refusal.remedy().text) }
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
               in every request, or call the server's own endpoint /mcp/server/:serverId, where nothing needs enabling"
                .to_owned(),
    })
}

fn which<'a>(arguments: &Value, catalogue: &'a Catalogue) -> Result<&'a Server, Said> {
    let asked = arguments.member("server_id").or_else(|| arguments.member("server_name"));
    match asked {
        Some(Value::String(asked)) => Ok(catalogue.find(asked)?),
        Some(other) => Err(bad(format!("server_id and server_name are strings, found {}", other.kind()))),
        None => Err(bad("name a server with server_id or server_name")),
    }
}

fn search(arguments: &Value, catalogue: &Catalogue) -> Result<Value, Said> {
    let text = |name: &str| match arguments.member(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(other) => Err(bad(format!("{name} is a string, found {}", other.kind()))),
    };
    let limit = match arguments.member("limit") {
        None | Some(Value::Null) => 20,
        Some(Value::Number(token)) => token
            .parse::<u64>()
            .ok()
            .filter(|limit| (1..=MAX_SHOWN).contains(limit))
            .ok_or_else(|| bad(format!("limit is an integer from 1 to {MAX_SHOWN}, found {token}")))?,
        Some(other) => return Err(bad(format!("limit is an integer from 1 to {MAX_SHOWN}, found {}", other.kind()))),
    };
    let found = catalogue.search(text("query")?.unwrap_or_default(), text("category")?);
    let shown: Vec<Value> =
        found.iter().take(usize::try_from(limit).unwrap_or(20)).map(|server| Value::Object(server.summary())).collect();
    Ok(object([
        ("total", (found.len() as u64).into()),
        ("showing", (shown.len() as u64).into()),
        ("servers", Value::Array(shown)),
    ]))
}

fn brief(server: &Server) -> Value {
    object([
        ("id", server.entry.id.as_str().into()),
        ("name", server.entry.name.as_str().into()),
        ("title", server.entry.name.as_str().into()),
        ("toolsCount", (server.tools().len() as u64).into()),
    ])
}

fn enable(arguments: &Value, catalogue: &Catalogue, switches: &Enablement, scope: &Scope) -> Result<Value, Said> {
    let server = which(arguments, catalogue)?;
    let _can_run = server.ready()?;
    let was_off = switches.enable(scope, &server.entry.id);
    Ok(object([
        ("enabled", true.into()),
        ("already_enabled", (!was_off).into()),
        ("server", brief(server)),
        ("toolCount", (server.tools().len() as u64).into()),
        ("toolPrefix", format!("{}__", server.prefix()).into()),
    ]))
}

fn disable(arguments: &Value, catalogue: &Catalogue, switches: &Enablement, scope: &Scope) -> Result<Value, Said> {
    let server = which(arguments, catalogue)?;
    let was_on = switches.disable(scope, &server.entry.id);
    Ok(object([("disabled", true.into()), ("was_enabled", was_on.into()), ("server", brief(server))]))
}

fn list(catalogue: &Catalogue, switches: &Enablement, scope: Option<&Scope>) -> Value {
    let enabled = scope.map(|scope| switches.enabled(scope)).unwrap_or_default();
    let servers: Vec<Value> = enabled.iter().filter_map(|id| catalogue.by_id(id)).map(brief).collect();
    object([("total", (servers.len() as u64).into()), ("servers", Value::Array(servers))])
}

/// The object of one server, tools included.
pub(crate) fn info(server: &Server) -> Value {
    let mut members = server.summary();
    members
        .push(("tools".to_owned(), Value::Array(server.tools().iter().map(|tool| tool.definition.clone()).collect())));
    Value::Object(members)
}
