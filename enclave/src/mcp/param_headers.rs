//! `Mcp-Param-*`: arguments that a tool wants repeated as headers (MCP 2026-07-28, Streamable HTTP, "Custom headers").

use axum::http::HeaderMap;
use evidence::json::Value;

use super::era::{EraError, decoded};

/// Deepest chain of `properties` that is followed. Deeper ones repeat nothing.
const MAX_DEPTH: usize = 16;

/// Checks that every argument which the tool's schema annotates with `x-mcp-header` stands alike in its header.
///
/// # Errors
/// [`EraError`] with code -32020.
pub(crate) fn check(schema: &Value, arguments: &Value, headers: &HeaderMap) -> Result<(), EraError> {
    walk(schema, Some(arguments), headers, 0)
}

fn walk(schema: &Value, here: Option<&Value>, headers: &HeaderMap, depth: usize) -> Result<(), EraError> {
    let Some(properties) = schema.member("properties").and_then(Value::as_object) else { return Ok(()) };
    if depth == MAX_DEPTH {
        return Ok(());
    }
    for (argument, property) in properties {
        let value = here.and_then(|here| here.member(argument)).filter(|value| **value != Value::Null);
        if let Some(name) = property.member("x-mcp-header").and_then(Value::as_str) {
            compare(name, argument, value, headers)?;
        }
        walk(property, value, headers, depth + 1)?;
    }
    Ok(())
}

fn compare(name: &str, argument: &str, value: Option<&Value>, headers: &HeaderMap) -> Result<(), EraError> {
    // What is no token cannot be a header: clients leave such a tool out, and there is nothing to compare.
    let Ok(header) = axum::http::HeaderName::try_from(format!("Mcp-Param-{name}")) else { return Ok(()) };
    let shown = format!("Mcp-Param-{name}");
    let mut found = headers.get_all(&header).iter();
    let first = found.next();
    if found.next().is_some() {
        return Err(EraError::doubled(&shown));
    }
    let Some(value) = value else {
        return if first.is_some() { Err(EraError::unfounded(&shown, argument)) } else { Ok(()) };
    };
    let wanted = match value {
        Value::String(text) => text.clone(),
        Value::Number(token) => token.clone(),
        Value::Bool(truth) => truth.to_string(),
        // Only strings, integers and booleans are repeated.
        _ => return Ok(()),
    };
    let text = first.map(|value| value.to_str().unwrap_or_default());
    let said = text.and_then(decoded);
    let alike = match (value, &said) {
        (Value::Number(token), Some(said)) => same_integer(token, said),
        (_, Some(said)) => *said == wanted,
        (_, None) => false,
    };
    if alike { Ok(()) } else { Err(EraError::mismatch(&shown, text, &wanted)) }
}

/// Whether two tokens are the same integer, or the same text.
fn same_integer(one: &str, other: &str) -> bool {
    let integer = |text: &str| {
        let whole = text.split_once('.').map_or(Some(text), |(whole, rest)| {
            (!rest.is_empty() && rest.bytes().all(|digit| digit == b'0')).then_some(whole)
        })?;
        whole.parse::<i128>().ok()
    };
    match (integer(one), integer(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use evidence::json::{Limits, parse};

    use super::*;

    fn checked(arguments: &str, sent: &[(&str, &str)]) -> Result<(), i64> {
        let schema = br#"{"type":"object","properties":{
            "region":{"type":"string","x-mcp-header":"Region"},
            "size":{"type":"integer","x-mcp-header":"Size"},
            "dry":{"type":"boolean","x-mcp-header":"Dry"},
            "where":{"type":"object","properties":{"zone":{"type":"string","x-mcp-header":"Zone"}}},
            "free":{"type":"string"}}}"#;
        let read = |text: &[u8]| parse(text, &Limits::THEIRS).unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(axum::http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        check(&read(schema), &read(arguments.as_bytes()), &headers).map_err(|error| error.code)
    }

    #[test]
    fn annotated_arguments_stand_alike_in_their_headers() {
        for (arguments, sent) in [
            (r#"{"region":"eu"}"#, &[("mcp-param-region", "eu")][..]),
            (r#"{"region":"Hello"}"#, &[("mcp-param-region", "=?base64?SGVsbG8=?=")]),
            (r#"{"region":"SGVsbG8="}"#, &[("mcp-param-region", "SGVsbG8=")]),
            (r#"{"size":42}"#, &[("mcp-param-size", "42.0")]),
            (r#"{"size":42.0}"#, &[("mcp-param-size", "42")]),
            (r#"{"dry":false}"#, &[("mcp-param-dry", "false")]),
            (r#"{"where":{"zone":"a"}}"#, &[("mcp-param-zone", "a")]),
            (r#"{"free":"x","region":null}"#, &[("mcp-param-unknown", "y")]),
        ] {
            assert_eq!(checked(arguments, sent), Ok(()), "{arguments}");
        }
        for (arguments, sent) in [
            (r#"{"region":"eu"}"#, &[][..]),
            (r#"{"region":"eu"}"#, &[("mcp-param-region", "us")]),
            (r#"{"region":"eu"}"#, &[("mcp-param-region", "eu"), ("mcp-param-region", "eu")]),
            (r#"{"region":"Hello"}"#, &[("mcp-param-region", "=?base64?SGVsbG8?=")]),
            (r#"{"size":42}"#, &[("mcp-param-size", "43")]),
            (r#"{"size":42}"#, &[("mcp-param-size", "42.5")]),
            (r#"{"dry":false}"#, &[("mcp-param-dry", "False")]),
            (r#"{"where":{"zone":"a"}}"#, &[]),
            ("{}", &[("mcp-param-region", "eu")]),
        ] {
            assert_eq!(checked(arguments, sent), Err(-32020), "{arguments} {sent:?}");
        }
    }
}
