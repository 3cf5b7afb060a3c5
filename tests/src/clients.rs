//! Official clients of others, run once each: what they send is not ours to choose. Needs `scripts/test-parts`.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::repository;

/// A client that takes longer hangs.
const SECONDS: &str = "120";

/// Pays for `POST url` with a JSON body by x402 version 2, from the wallet of a key. Headers beside its own as
/// `"Name: value"`. Gives `{status, headers, body, settlement, payment, requests}`: the settlement decoded from
/// `PAYMENT-RESPONSE` or null, the payment header as sent or null, the number of requests.
pub fn pay(key: &str, url: &str, body: &Value, headers: &[&str]) -> Value {
    node("x402", "pay.mjs", ("PAYER_KEY", key), &[&[url, &body.to_string()], headers].concat())
}

/// The same by x402 version 1, whose header is `X-PAYMENT-RESPONSE`.
pub fn pay_v1(key: &str, url: &str, body: &Value, headers: &[&str]) -> Value {
    node("x402-v1", "pay.mjs", ("PAYER_KEY", key), &[&[url, &body.to_string()], headers].concat())
}

/// Pays for a tool call over MCP at `url`, after `initialize` and `tools/list`. Gives
/// `{protocol, server, tools, result, paid, settlement}`: the names listed, the tool's result, whether the client
/// attached a payment, what the server says it settled or null.
pub fn pay_over_mcp(key: &str, url: &str, tool: &str, arguments: &Value, headers: &[&str]) -> Value {
    let folder = installed("x402-mcp");
    let mut command = Command::new("timeout");
    command.arg(SECONDS).arg(folder.join("bin/python")).arg(folder.join("pay.py"));
    command.args([url, tool, &arguments.to_string()]).args(headers).env("PAYER_KEY", key);
    said(command)
}

/// Signs a request by ERC-8128 and sends it; without a body if that is empty. Gives `{status, headers, body, sent}`: the
/// request's headers with the signature's, to be used again.
pub fn send_signed(key: &str, method: &str, url: &str, body: &str, headers: &[&str]) -> Value {
    node("erc8128", "send.mjs", ("SIGNER_KEY", key), &[&[method, url, body], headers].concat())
}

/// Holds the OpenAPI document at `url` to the specification's own schema. Gives `{version, valid, errors}`.
pub fn validate_openapi(url: &str) -> Value {
    node("openapi", "validate.mjs", ("NODE_NO_WARNINGS", "1"), &[url])
}

/// Holds bodies to schemas of an OpenAPI document. `file` holds `{components, cases: [{place, schema, body}]}`. Gives
/// `{checked, faults}`.
pub fn validate_bodies(file: &Path) -> Value {
    node("openapi", "bodies.mjs", ("NODE_NO_WARNINGS", "1"), &[&file.display().to_string()])
}

/// Visits a server with an official MCP client: `mcp-ts-new`, `mcp-ts-old`, `mcp-py-new`, `mcp-py-old`. Gives
/// `{protocol, tools, text, resource, prompt, progress, elicited}`, and `changed` from the new ones: what the heads of
/// `tests/clients/*/visit.*` say.
pub fn visit(client: &str, url: &str, headers: &[&str]) -> Value {
    let arguments = [&[url], headers].concat();
    if !client.starts_with("mcp-py") {
        return node(client, "visit.mjs", ("NO_COLOR", "1"), &arguments);
    }
    let folder = installed(client);
    let mut command = Command::new("timeout");
    // What the visitors share is imported from the repository, which stays as it is.
    command.arg(SECONDS).arg(folder.join("bin/python")).arg("-B").arg(folder.join("visit.py")).args(arguments);
    said(command)
}

/// Runs the MCP Inspector on the command line, with these words beside the address and the headers. Gives the result
/// that it prints.
///
/// # Panics
/// It fails, or prints no JSON.
pub fn inspect(url: &str, headers: &[&str], words: &[&str]) -> Value {
    let home = tempfile::tempdir().expect("a folder for what it remembers");
    let mut command = Command::new("timeout");
    command.arg(SECONDS).arg(repository().join("target/parts/node22/bin/node"));
    command.arg(installed("mcp-inspector").join("node_modules/.bin/mcp-inspector"));
    command.args(["--cli", url, "--transport", "http", "--connect-timeout", "60000"]).args(words);
    command.args(headers.iter().flat_map(|header| ["--header", header])).env("HOME", home.path());
    let output = command.stdin(Stdio::null()).output().expect("timeout (coreutils) runs");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{words:?}: {printed}{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{words:?}: {error}: {printed}"))
}

fn node(client: &str, script: &str, variable: (&str, &str), arguments: &[&str]) -> Value {
    let mut command = Command::new("timeout");
    // The script is a link from the folder that has its packages.
    command.args([SECONDS, "node", "--preserve-symlinks-main"]).arg(installed(client).join(script));
    command.args(arguments).env(variable.0, variable.1);
    said(command)
}

fn installed(client: &str) -> PathBuf {
    let folder = repository().join("target/parts/clients").join(client);
    assert!(folder.join("recipe").is_file(), "the client {client} is not installed; fix: scripts/test-parts");
    folder
}

/// The last line of what it prints.
fn said(mut command: Command) -> Value {
    let output = command.stdin(Stdio::null()).output().expect("timeout (coreutils) runs");
    let words = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}: {words}{}", output.status, String::from_utf8_lossy(&output.stderr));
    let line = words.lines().next_back().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {words}"))
}
