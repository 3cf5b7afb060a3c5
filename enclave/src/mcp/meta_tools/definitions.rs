//! What the gateway's own tools are, as lists show them: made once for a catalogue.
//!
//! The descriptions say what is behind them, since a model calls what it can see a use for; they stay short, since every
//! model reads them in every conversation.

use std::collections::BTreeMap;

use evidence::json::{Value, object};

use super::{MAX_OFFSET, MAX_SHOWN, NAMES, USUAL, answers};
use crate::{catalogue::Server, semantic::MOST_PER_MINUTE};

/// Bytes of examples in one description.
const EXAMPLE_BYTES: usize = 240;

/// Definitions of the tools of [`NAMES`], in their order.
pub(crate) fn of(servers: &[Server]) -> Vec<Value> {
    let (count, tools) = (servers.len(), servers.iter().map(|server| server.tools().len()).sum::<usize>());
    let names = examples(servers.iter().map(|server| server.entry.name.clone()));
    let filed = examples(categories(servers).into_iter());
    let behind = format!("Behind it are {count} servers with {tools} tools");
    let [search, semantic, call, enable, disable, list, info] = NAMES;
    let nothing = || object([]);
    vec![
        tool(
            search,
            "Search MCP servers",
            format!(
                "Find MCP servers of this gateway by what they do: by words of their names, packages, categories, tools \
                 and descriptions. {behind}, for instance {names}. Categories: {filed}. An empty query lists all."
            ),
            schema(
                vec![
                    (
                        "query",
                        text("What is looked for, for instance \"read files\"; any language of a person, no syntax"),
                    ),
                    ("category", text("Only servers filed under this category")),
                    ("limit", number("Most servers shown", 1, MAX_SHOWN, USUAL)),
                    ("offset", number("How many of the best to leave out: the next page", 0, MAX_OFFSET, 0)),
                ],
                &[],
            ),
            Hint::Reads,
            Some(answers::search()),
        ),
        tool(
            semantic,
            "Search MCP servers by meaning",
            format!(
                "Find MCP servers by the meaning of a whole sentence. {behind}. Needs a wallet, at most \
                 {MOST_PER_MINUTE} times a minute; {search} needs none. The answer's searchMode says whether \
                 meanings were compared (hybrid) or words alone (text)."
            ),
            schema(
                vec![
                    ("query", text("What is to be done, in a sentence")),
                    ("category", text("Only servers filed under this category")),
                    ("limit", number("Most servers shown", 1, MAX_SHOWN, USUAL)),
                ],
                &["query"],
            ),
            Hint::Reads,
            Some(answers::semantic()),
        ),
        tool(
            call,
            "Call a tool of any server",
            format!(
                "Call a tool of one of the {count} servers ({names}) without enabling it: the same as calling the tool \
                 itself, with the same price, proof and result. {info} lists a server's tools and what each takes."
            ),
            schema(
                vec![
                    ("server_id", text("The server's id (a UUID)")),
                    ("server_name", text("Its name, slug or package name, instead of the id")),
                    ("tool", text("The tool's name; as <server>__<tool> it names the server as well")),
                    (
                        "arguments",
                        object([
                            ("type", "object".into()),
                            ("description", "What the tool takes, as its inputSchema says".into()),
                            ("additionalProperties", true.into()),
                            ("default", nothing()),
                        ]),
                    ),
                ],
                &["tool"],
            ),
            Hint::Calls,
            // What the tool behind it answers, with or without a structure.
            None,
        ),
        tool(
            enable,
            "Enable a server",
            format!(
                "Switch one of the {count} servers on, so that its tools appear in tools/list as <server>__<tool>. \
                 Servers: {names}."
            ),
            schema(which(), &[]),
            Hint::Switches,
            Some(answers::enable()),
        ),
        tool(
            disable,
            "Disable a server",
            "Switch a server off again: its tools leave tools/list.".to_owned(),
            schema(which(), &[]),
            Hint::Switches,
            Some(answers::disable()),
        ),
        tool(
            list,
            "List enabled servers",
            "List the servers that you have switched on.".to_owned(),
            schema(Vec::new(), &[]),
            Hint::Reads,
            Some(answers::list()),
        ),
        tool(
            info,
            "Describe a server",
            format!("Everything about one server, with its tools and their schemas. Servers: {names}."),
            schema(which(), &[]),
            Hint::Reads,
            Some(answers::info()),
        ),
    ]
}

/// What a tool does to the world, as far as clients ask (MCP, "ToolAnnotations").
#[derive(Clone, Copy)]
enum Hint {
    /// It only looks.
    Reads,
    /// It changes what the caller sees, and twice is once.
    Switches,
    /// Whatever the tool behind it does.
    Calls,
}

fn tool(name: &str, title: &str, description: String, schema: Value, hint: Hint, answer: Option<Value>) -> Value {
    let annotations = match hint {
        Hint::Reads => vec![("readOnlyHint", true), ("openWorldHint", false)],
        Hint::Switches => vec![
            ("readOnlyHint", false),
            ("destructiveHint", false),
            ("idempotentHint", true),
            ("openWorldHint", false),
        ],
        Hint::Calls => vec![("readOnlyHint", false), ("destructiveHint", true), ("openWorldHint", true)],
    };
    let annotations = annotations.into_iter().map(|(name, hint)| (name.into(), hint.into())).collect();
    let mut members = vec![
        ("name".into(), name.into()),
        ("title".into(), title.into()),
        ("description".into(), description.into()),
        ("inputSchema".into(), schema),
    ];
    members.extend(answer.map(|schema| ("outputSchema".into(), schema)));
    members.push(("annotations".into(), Value::Object(annotations)));
    Value::Object(members)
}

fn schema(properties: Vec<(&'static str, Value)>, required: &[&str]) -> Value {
    let properties = properties.into_iter().map(|(name, schema)| (name.into(), schema)).collect();
    let mut members = vec![
        ("type".into(), "object".into()),
        ("properties".into(), Value::Object(properties)),
        ("additionalProperties".into(), false.into()),
    ];
    if !required.is_empty() {
        let required = required.iter().map(|name| Value::from(*name)).collect();
        members.push(("required".into(), Value::Array(required)));
    }
    Value::Object(members)
}

fn which() -> Vec<(&'static str, Value)> {
    vec![
        ("server_id", text("The server's id (a UUID)")),
        ("server_name", text("Its name, slug or package name, instead of the id")),
    ]
}

fn text(description: &str) -> Value {
    object([("type", "string".into()), ("description", description.into())])
}

fn number(description: &str, least: u64, most: u64, usual: u64) -> Value {
    object([
        ("type", "integer".into()),
        ("description", description.into()),
        ("minimum", least.into()),
        ("maximum", most.into()),
        ("default", usual.into()),
    ])
}

/// Categories with how many servers are filed under each, the largest first.
fn categories(servers: &[Server]) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for category in servers.iter().flat_map(|server| &server.entry.categories) {
        *counts.entry(category).or_default() += 1;
    }
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    // Stable: equals stay in the order of the alphabet.
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.into_iter().map(|(category, count)| format!("{category} ({count})")).collect()
}

/// As many of them as fit.
fn examples(all: impl Iterator<Item = String>) -> String {
    let mut said = String::new();
    for one in all {
        let more = one.len() + if said.is_empty() { 0 } else { 2 };
        if said.len() + more > EXAMPLE_BYTES {
            said.push_str(", …");
            break;
        }
        if !said.is_empty() {
            said.push_str(", ");
        }
        said.push_str(&one);
    }
    if said.is_empty() { "none".to_owned() } else { said }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_end_where_they_become_too_many() {
        assert_eq!(examples(["a".to_owned(), "b".to_owned()].into_iter()), "a, b");
        assert_eq!(examples(std::iter::empty()), "none");
        let many = examples((0..1000).map(|n| format!("server-{n}")));
        assert!(many.len() <= EXAMPLE_BYTES + ", …".len() && many.ends_with(", …"), "{many}");
    }

    #[test]
    fn every_schema_is_closed_and_says_what_each_argument_is() {
        let definitions = of(&[]);
        let names: Vec<&str> = definitions.iter().filter_map(|one| one.member("name")?.as_str()).collect();
        assert_eq!(names, NAMES);
        for one in &definitions {
            let schema = one.member("inputSchema").unwrap();
            assert_eq!(schema.member("additionalProperties"), Some(&Value::Bool(false)));
            let properties = schema.member("properties").and_then(Value::as_object).unwrap();
            for (name, property) in properties {
                assert!(property.member("type").is_some() && property.member("description").is_some(), "{name}");
            }
            let required = schema.member("required").and_then(Value::as_array).unwrap_or_default();
            assert!(
                required.iter().all(|name| properties.iter().any(|(known, _)| Some(known.as_str()) == name.as_str()))
            );
            assert!(!one.member("title").and_then(Value::as_str).unwrap().is_empty());
        }
    }
}
