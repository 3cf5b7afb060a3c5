//! What the gateway's own tools answer, as JSON Schema (2020-12) of their `structuredContent`: what is asked, or why not.
//! Official clients hold errors against it too.

use evidence::json::{Value, object};

use crate::catalogue::STATUSES;

/// Members by their names, each with its schema.
type Members = Vec<(&'static str, Value)>;

fn of(kind: &str) -> Value {
    object([("type", kind.into())])
}

fn text() -> Value {
    of("string")
}

fn count() -> Value {
    object([("type", "integer".into()), ("minimum", 0_u64.into())])
}

fn flag() -> Value {
    of("boolean")
}

fn or_null(kind: &str) -> Value {
    object([("type", Value::Array(vec![kind.into(), "null".into()]))])
}

fn one_of(words: &[&str]) -> Value {
    object([("enum", Value::Array(words.iter().map(|word| Value::from(*word)).collect()))])
}

fn list_of(items: Value) -> Value {
    object([("type", "array".into()), ("items", items)])
}

/// An object that has all of `always`, and maybe `sometimes`. Later versions may add to it.
fn having(always: Members, sometimes: Members) -> Value {
    let required = always.iter().map(|(name, _)| Value::from(*name)).collect();
    let properties = always.into_iter().chain(sometimes).map(|(name, schema)| (name.into(), schema)).collect();
    object([("type", "object".into()), ("properties", Value::Object(properties)), ("required", Value::Array(required))])
}

/// That, or an error of these tools.
fn or_error(answer: Value) -> Value {
    let error = having(vec![("error", text()), ("message", text())], Vec::new());
    object([("type", "object".into()), ("anyOf", Value::Array(vec![answer, error]))])
}

/// A server in a few words.
fn brief() -> Value {
    having(vec![("id", text()), ("name", text()), ("title", text()), ("toolsCount", count())], Vec::new())
}

/// A server as lists show it: all, and what is there only where it cannot run.
fn summary() -> (Members, Members) {
    let secret = vec![("name", text()), ("description", text()), ("required", flag())];
    let all = ["id", "name", "slug", "title", "description", "version", "package"];
    let mut always: Members = all.into_iter().map(|name| (name, text())).collect();
    always.extend([
        ("registryType", text()),
        ("deploymentType", text()),
        ("transportType", text()),
        ("toolsCount", count()),
        ("categories", list_of(text())),
        ("secretsRequired", list_of(text())),
        ("secretsOptional", list_of(text())),
        ("secrets", list_of(having(secret, Vec::new()))),
        ("gatewayCompatible", flag()),
        ("canRun", flag()),
        ("status", one_of(&STATUSES)),
    ]);
    (always, vec![("gatewayNotes", text())])
}

/// `gateway__search_servers`
pub(super) fn search() -> Value {
    let (always, sometimes) = summary();
    let members = vec![
        ("total", count()),
        ("showing", count()),
        ("offset", count()),
        ("searchMode", one_of(&["text"])),
        ("servers", list_of(having(always, sometimes))),
    ];
    or_error(having(members, Vec::new()))
}

/// `gateway__semantic_search`
pub(super) fn semantic() -> Value {
    let found = vec![
        ("id", text()),
        ("name", text()),
        ("title", text()),
        ("description", text()),
        ("type", text()),
        ("score", of("number")),
        ("semanticScore", or_null("number")),
        ("textScore", or_null("number")),
        ("matchReason", text()),
        ("categories", list_of(text())),
        ("toolCount", count()),
        ("isEnabled", flag()),
    ];
    let stats = vec![
        ("enabled", flag()),
        ("model", or_null("string")),
        ("dimensions", or_null("integer")),
        ("totalServers", count()),
        ("embeddedServers", count()),
    ];
    let members = vec![
        ("results", list_of(having(found, Vec::new()))),
        ("query", text()),
        ("totalResults", count()),
        ("searchMode", one_of(&["hybrid", "text"])),
        ("embeddingStats", having(stats, Vec::new())),
        ("latencyMs", count()),
    ];
    or_error(having(members, Vec::new()))
}

/// `gateway__enable_server`. `persisted` is there where a change will not outlast the gateway though it should.
pub(super) fn enable() -> Value {
    let members = vec![
        ("enabled", flag()),
        ("already_enabled", flag()),
        ("server", brief()),
        ("toolCount", count()),
        ("toolPrefix", text()),
    ];
    or_error(having(members, vec![("persisted", flag())]))
}

/// `gateway__disable_server`
pub(super) fn disable() -> Value {
    let members = vec![("disabled", flag()), ("was_enabled", flag()), ("server", brief())];
    or_error(having(members, vec![("persisted", flag())]))
}

/// `gateway__list_enabled`
pub(super) fn list() -> Value {
    or_error(having(vec![("total", count()), ("servers", list_of(brief()))], Vec::new()))
}

/// `gateway__server_info`
pub(super) fn info() -> Value {
    let (mut always, sometimes) = summary();
    let tool = having(vec![("name", text())], Vec::new());
    always.push(("tools", list_of(tool)));
    or_error(having(always, sometimes))
}
