//! `GET /api/servers/:id/connect`: what to put into the configuration of a client, for the server's own MCP endpoint.
//!
//! Formats as the clients document them; docs/CLIENTS.md shows the same texts and says when they were looked up.

use std::sync::Arc;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use evidence::json::{Value, object};

use super::{json, openapi::shapes, problem::Problem, query::Query, servers::Wanted};
use crate::app::App;

/// The variable that holds the caller's token, in clients that read variables.
const VARIABLE: &str = "SEALGATE_TOKEN";

/// A client that has MCP servers in its configuration.
struct Client {
    /// As `?client=` names it.
    id: &'static str,
    title: &'static str,
    note: &'static str,
    snippets: fn(&Endpoint<'_>) -> Vec<Snippet>,
}

/// What a snippet leads to.
struct Endpoint<'a> {
    /// Name of the server in the client, of letters, digits and `-`.
    name: &'a str,
    url: &'a str,
}

/// One text to copy.
struct Snippet {
    /// `json`, `jsonc`, `toml`, `shell`
    format: &'static str,
    /// Where it belongs. A command belongs nowhere.
    file: Option<&'static str>,
    text: String,
}

const CLIENTS: [Client; 7] = [
    Client {
        id: "claude-code",
        title: "Claude Code",
        note: "The command keeps the token's value; the file keeps the variable's name. One of the two is enough.",
        snippets: claude_code,
    },
    Client {
        id: "claude-desktop",
        title: "Claude Desktop",
        note: "Its configuration file knows programs only, so the program mcp-remote (npm) speaks for it. Put the token in \
               place of YOUR_TOKEN; the file has no variables of its own.",
        snippets: claude_desktop,
    },
    Client { id: "cursor", title: "Cursor", note: "Also ~/.cursor/mcp.json, for every project.", snippets: cursor },
    Client { id: "vscode", title: "VS Code", note: "VS Code asks for the token once and keeps it.", snippets: vs_code },
    Client {
        id: "codex",
        title: "Codex CLI",
        note: "It takes the name of a variable, never the token itself. The command writes what the file shows.",
        snippets: codex,
    },
    Client {
        id: "gemini",
        title: "Gemini CLI",
        note: "Also .gemini/settings.json, for one project.",
        snippets: gemini,
    },
    Client {
        id: "generic",
        title: "Any other client",
        note: "Streamable HTTP at this address; the command lists the tools.",
        snippets: generic,
    },
];

/// `GET /api/servers/:id/connect?client=`
#[utoipa::path(get, path = "/api/servers/{id}/connect", tag = "Servers", summary = "What to put into the configuration of MCP clients",
    params(("id" = String, Path, description = "UUID, name, slug or package name with its slash encoded", example = "everything"),
        ("client" = Option<String>, Query, description = "One of the clients", example = json!("codex"))),
    responses((status = 200, description = "As asked", body = shapes::Connection)))]
pub(crate) async fn connect(State(app): State<Arc<App>>, wanted: Wanted, query: Query) -> Response {
    match connect_inner(&app, &wanted, &query) {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

fn connect_inner(app: &App, wanted: &Wanted, query: &Query) -> Result<Response, Problem> {
    query.only(&["client"])?;
    let clients = match query.get("client") {
        None => CLIENTS.iter().collect(),
        Some(asked) => vec![CLIENTS.iter().find(|client| client.id == asked).ok_or_else(|| unknown(asked))?],
    };
    let server = wanted.server(&app.catalogue)?;
    let url = format!("{}/mcp/server/{}", app.base, server.entry.id);
    let slug = server.prefix();
    let endpoint = Endpoint { name: name(slug), url: &url };
    let clients = clients.into_iter().map(|client| client.to_value(&endpoint));
    Ok(json(
        StatusCode::OK,
        &object([
            ("server", object([("id", server.entry.id.as_str().into()), ("name", server.entry.name.as_str().into())])),
            ("url", url.as_str().into()),
            ("transport", "streamable-http".into()),
            (
                "token",
                object([
                    ("variable", VARIABLE.into()),
                    (
                        "note",
                        "a wallet token or a session (GET /api/auth/challenge); without one leave the authorization \
                         away: what costs nothing and needs no secrets works for everybody"
                            .into(),
                    ),
                ]),
            ),
            ("clients", Value::Array(clients.collect())),
        ]),
    ))
}

fn unknown(asked: &str) -> Problem {
    let asked: String = asked.chars().take(64).collect();
    let known: Vec<&str> = CLIENTS.iter().map(|client| client.id).collect();
    let fix = format!("send one of {}, or none for all", known.join(", "));
    Problem::new(StatusCode::BAD_REQUEST, "BAD_QUERY", format!("client={asked:?} is unknown"), fix)
}

/// A slug that every client takes as a name: no `-` in front, where programs would see an option.
fn name(slug: &str) -> &str {
    match slug.trim_matches('-') {
        "" => "server",
        name => name,
    }
}

impl Client {
    fn to_value(&self, endpoint: &Endpoint<'_>) -> Value {
        let snippets = (self.snippets)(endpoint).into_iter().map(|snippet| {
            object([
                ("format", snippet.format.into()),
                ("file", snippet.file.map_or(Value::Null, Value::from)),
                ("text", snippet.text.into()),
            ])
        });
        object([
            ("client", self.id.into()),
            ("title", self.title.into()),
            ("note", self.note.into()),
            ("snippets", Value::Array(snippets.collect())),
        ])
    }
}

fn claude_code(to: &Endpoint<'_>) -> Vec<Snippet> {
    let (name, url) = (to.name, to.url);
    // --header takes all that follows it, so it comes last.
    let command = format!(
        "claude mcp add --transport http {name} {} --header \"Authorization: Bearer ${{{VARIABLE}}}\"",
        word(url)
    );
    let members = [r#""type": "http""#.to_owned(), member("url", url), headers(&format!("${{{VARIABLE}}}"))];
    vec![shell(command), file(".mcp.json", servers("mcpServers", name, &members))]
}

fn claude_desktop(to: &Endpoint<'_>) -> Vec<Snippet> {
    let mut arguments = vec!["-y", "mcp-remote", to.url, "--header", "Authorization:${SEALGATE_AUTHORIZATION}"];
    if to.url.starts_with("http://") {
        arguments.push("--allow-http");
    }
    let arguments: Vec<String> = arguments.into_iter().map(quoted).collect();
    let members = [
        r#""command": "npx""#.to_owned(),
        format!("\"args\": [\n        {}\n      ]", arguments.join(",\n        ")),
        // A blank in an argument would be lost on some systems; in a variable it is not.
        "\"env\": {\n        \"SEALGATE_AUTHORIZATION\": \"Bearer YOUR_TOKEN\"\n      }".to_owned(),
    ];
    vec![file("claude_desktop_config.json", servers("mcpServers", to.name, &members))]
}

fn cursor(to: &Endpoint<'_>) -> Vec<Snippet> {
    let members = [member("url", to.url), headers(&format!("${{env:{VARIABLE}}}"))];
    vec![file(".cursor/mcp.json", servers("mcpServers", to.name, &members))]
}

fn vs_code(to: &Endpoint<'_>) -> Vec<Snippet> {
    let (name, url) = (quoted(to.name), quoted(to.url));
    let text = format!(
        r#"{{
  // Asked for once, when the server starts for the first time.
  "inputs": [
    {{
      "type": "promptString",
      "id": "sealgate-token",
      "description": "Token for this gateway",
      "password": true
    }}
  ],
  "servers": {{
    {name}: {{
      "type": "http",
      "url": {url},
      {headers}
    }}
  }}
}}"#,
        headers = headers("${input:sealgate-token}")
    );
    vec![Snippet { format: "jsonc", file: Some(".vscode/mcp.json"), text }]
}

fn codex(to: &Endpoint<'_>) -> Vec<Snippet> {
    let (name, url) = (to.name, to.url);
    let command = format!("codex mcp add {name} --url {} --bearer-token-env-var {VARIABLE}", word(url));
    // A basic string of TOML escapes as JSON does.
    let text = format!("[mcp_servers.{name}]\nurl = {}\nbearer_token_env_var = \"{VARIABLE}\"", quoted(url));
    vec![shell(command), Snippet { format: "toml", file: Some("~/.codex/config.toml"), text }]
}

fn gemini(to: &Endpoint<'_>) -> Vec<Snippet> {
    // `url` is the older transport here.
    let members = [member("httpUrl", to.url), headers(&format!("${VARIABLE}"))];
    vec![file("~/.gemini/settings.json", servers("mcpServers", to.name, &members))]
}

fn generic(to: &Endpoint<'_>) -> Vec<Snippet> {
    let members =
        [r#""type": "streamable-http""#.to_owned(), member("url", to.url), headers(&format!("${{{VARIABLE}}}"))];
    let command = format!(
        "curl -sS {} -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \
         -H \"Authorization: Bearer ${{{VARIABLE}}}\" -d '{}'",
        word(to.url),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#
    );
    vec![file("mcp.json", servers("mcpServers", to.name, &members)), shell(command)]
}

fn shell(text: String) -> Snippet {
    Snippet { format: "shell", file: None, text }
}

fn file(file: &'static str, text: String) -> Snippet {
    Snippet { format: "json", file: Some(file), text }
}

/// `{"<section>": {"<name>": {members}}}`, indented.
fn servers(section: &str, name: &str, members: &[String]) -> String {
    let members = members.join(",\n      ");
    format!("{{\n  {}: {{\n    {}: {{\n      {members}\n    }}\n  }}\n}}", quoted(section), quoted(name))
}

fn member(name: &str, value: &str) -> String {
    format!("{}: {}", quoted(name), quoted(value))
}

fn headers(token: &str) -> String {
    let value = quoted(&format!("Bearer {token}"));
    format!("\"headers\": {{\n        \"Authorization\": {value}\n      }}")
}

/// A JSON string.
fn quoted(text: &str) -> String {
    Value::from(text).to_text()
}

/// A word of a POSIX shell.
fn word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@%+=:,./_-".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What docs/CLIENTS.md shows.
    const SHOWN: Endpoint<'_> =
        Endpoint { name: "everything", url: "https://gateway.example/mcp/server/8e6c5ab2-4f60-5c9e-9a3b-3f1f0c2f7d10" };

    /// The part of the page that shows the snippets.
    fn page() -> String {
        let mut page = String::new();
        for client in &CLIENTS {
            page.push_str(&format!("## {} (`?client={}`)\n{}\n\n", client.title, client.id, client.note));
            for snippet in (client.snippets)(&SHOWN) {
                let place = snippet.file.map_or("A command:".to_owned(), |file| format!("In `{file}`:"));
                page.push_str(&format!("{place}\n```{}\n{}\n```\n\n", snippet.format, snippet.text));
            }
        }
        page
    }

    #[test]
    fn the_page_on_clients_shows_what_is_served() {
        let shown = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/CLIENTS.md")).unwrap();
        assert!(shown.contains(page().trim_end()), "docs/CLIENTS.md does not show this:\n{}", page());
        assert_eq!(shown.matches("```").count(), page().matches("```").count(), "and no other snippet");
    }

    #[test]
    fn an_address_that_needs_quotes_gets_them() {
        assert_eq!(word("https://a.example/mcp"), "https://a.example/mcp");
        assert_eq!(word("https://a.example/it's $x"), r"'https://a.example/it'\''s $x'");
        assert_eq!((name("-a-b-"), name("---")), ("a-b", "server"));
        let odd = Endpoint { name: "odd", url: "http://a.example/\"\\" };
        for client in &CLIENTS {
            for snippet in (client.snippets)(&odd).into_iter().filter(|snippet| snippet.format == "json") {
                let read = evidence::json::parse(snippet.text.as_bytes(), &evidence::json::Limits::OURS);
                assert!(read.is_ok(), "{}: {}", client.id, snippet.text);
            }
        }
    }
}
