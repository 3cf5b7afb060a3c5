//! Servers, their tools, their containers, and how clients are connected to them.

use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Anything;

const ID: &str = "8e6c5ab2-4f60-5c9e-9a3b-3f1f0c2f7d10";

/// A server as lists show it.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", examples(summary))]
pub(crate) struct ServerSummary {
    /// UUID.
    id: String,
    name: String,
    /// What stands before its tools' names on `/mcp`.
    slug: String,
    title: String,
    description: String,
    /// Exact version of its package.
    version: String,
    package: String,
    /// Where its package comes from: `npm`, …
    registry_type: String,
    /// How it is run: `local_tool`.
    deployment_type: String,
    transport_type: String,
    tools_count: u64,
    categories: Vec<String>,
    /// Names of the secrets without which it does not run.
    secrets_required: Vec<String>,
    secrets_optional: Vec<String>,
    secrets: Vec<SecretNeed>,
    gateway_compatible: bool,
    can_run: bool,
    /// `ready`, `unavailable`
    status: String,
    /// Why it cannot run.
    gateway_notes: Option<String>,
}

/// A secret that a server takes.
#[derive(ToSchema)]
pub(crate) struct SecretNeed {
    name: String,
    description: String,
    required: bool,
}

/// A page of servers.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", examples(json!({
    "total": 1, "limit": 100, "offset": 0, "hasMore": false, "servers": [summary()],
})))]
pub(crate) struct ServerList {
    /// How many there are in all.
    total: u64,
    limit: u64,
    offset: u64,
    /// Whether there are more behind these.
    has_more: bool,
    servers: Vec<ServerSummary>,
}

/// A server with its tools.
#[derive(ToSchema)]
#[schema(examples(server))]
pub(crate) struct Server {
    #[serde(flatten)]
    summary: ServerSummary,
    tools: Vec<Tool>,
}

/// A tool, as its server defines it.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(crate) struct Tool {
    name: String,
    description: Option<String>,
    /// JSON Schema.
    #[schema(value_type = Object)]
    input_schema: Anything,
}

/// The tools of a server, under their own names.
#[derive(ToSchema)]
#[schema(examples(json!({"tools": [tool()]})))]
pub(crate) struct ToolList {
    tools: Vec<Tool>,
}

/// A server by its names.
#[derive(ToSchema)]
pub(crate) struct ServerNames {
    id: String,
    name: String,
    /// `name@version`
    package: Option<String>,
}

/// The caller's container runs.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", examples(json!({
    "status": "started", "server": names(), "alreadyRunning": false, "temperature": "cold", "tookMs": 640, "running": 1,
    "idleStopSeconds": 300,
})))]
pub(crate) struct Started {
    /// `started`
    status: String,
    server: ServerNames,
    /// Whether it ran before this request.
    already_running: bool,
    /// `warm` where it ran already, else `cold`.
    temperature: String,
    /// Milliseconds until it ran.
    took_ms: u64,
    /// The caller's containers of this server, in all its sessions.
    running: u64,
    /// Seconds after which a container that nobody uses ends by itself.
    idle_stop_seconds: u64,
}

/// The caller's containers of a server have ended.
#[derive(ToSchema)]
#[schema(examples(json!({"status": "stopped", "server": names(), "ended": 1, "running": 0})))]
pub(crate) struct Stopped {
    /// `stopped`
    status: String,
    server: ServerNames,
    /// How many ran until now.
    ended: u64,
    /// How many run now.
    running: u64,
}

/// What is installed and what runs.
#[derive(ToSchema)]
#[schema(examples(json!({
    "summary": {"total": 1, "ready": 1, "unavailable": 0, "running": 0, "places": 64},
    "packages": [{"id": ID, "package": "@modelcontextprotocol/server-everything@2026.8.31", "status": "ready"}],
})))]
pub(crate) struct Packages {
    summary: PackagesSummary,
    packages: Vec<PackageStanding>,
}

/// Numbers of servers and containers.
#[derive(ToSchema)]
pub(crate) struct PackagesSummary {
    total: u64,
    ready: u64,
    unavailable: u64,
    /// Containers of all callers.
    running: u64,
    /// Most containers at once.
    places: u64,
}

/// The package of a server.
#[derive(ToSchema)]
pub(crate) struct PackageStanding {
    id: String,
    package: String,
    /// `ready`, `unavailable`
    status: String,
}

/// How clients are configured for a server.
#[derive(ToSchema)]
#[schema(examples(connection))]
pub(crate) struct Connection {
    server: ServerNames,
    /// Its MCP endpoint.
    url: String,
    /// `streamable-http`
    transport: String,
    token: TokenPlace,
    clients: Vec<ConnectedClient>,
}

/// Where the caller's token comes from.
#[derive(ToSchema)]
pub(crate) struct TokenPlace {
    /// Name of the variable that the snippets read.
    variable: String,
    note: String,
}

/// A client and what to put into its configuration.
#[derive(ToSchema)]
pub(crate) struct ConnectedClient {
    /// `claude-code`, `claude-desktop`, `cursor`, `vscode`, `codex`, `gemini`, `generic`
    client: String,
    title: String,
    note: String,
    snippets: Vec<ConnectionSnippet>,
}

/// A text to copy.
#[derive(ToSchema)]
pub(crate) struct ConnectionSnippet {
    /// `json`, `jsonc`, `toml`, `shell`
    format: String,
    /// Where it belongs; null for a command.
    file: Option<String>,
    text: String,
}

fn summary() -> Value {
    json!({
        "id": ID,
        "name": "everything",
        "slug": "everything",
        "title": "everything",
        "description": "The protocol's reference server",
        "version": "2026.8.31",
        "package": "@modelcontextprotocol/server-everything",
        "registryType": "npm",
        "deploymentType": "local_tool",
        "transportType": "stdio",
        "toolsCount": 1,
        "categories": ["reference"],
        "secretsRequired": [],
        "secretsOptional": ["API_KEY"],
        "secrets": [{"name": "API_KEY", "description": "Key of the service behind it", "required": false}],
        "gatewayCompatible": true,
        "canRun": true,
        "status": "ready",
    })
}

fn tool() -> Value {
    json!({
        "name": "echo",
        "description": "Echoes back the input",
        "inputSchema": {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]},
    })
}

fn server() -> Value {
    let mut server = summary();
    if let Some(members) = server.as_object_mut() {
        members.insert("tools".to_owned(), json!([tool()]));
    }
    server
}

fn names() -> Value {
    json!({"id": ID, "name": "everything", "package": "@modelcontextprotocol/server-everything@2026.8.31"})
}

fn connection() -> Value {
    let url = format!("https://gateway.example/mcp/server/{ID}");
    json!({
        "server": {"id": ID, "name": "everything"},
        "url": url,
        "transport": "streamable-http",
        "token": {"variable": "SEALGATE_TOKEN", "note": "a wallet token or a session"},
        "clients": [{
            "client": "codex",
            "title": "Codex CLI",
            "note": "It takes the name of a variable, never the token itself.",
            "snippets": [{
                "format": "toml",
                "file": "~/.codex/config.toml",
                "text": format!("[mcp_servers.everything]\nurl = \"{url}\"\nbearer_token_env_var = \"SEALGATE_TOKEN\""),
            }],
        }],
    })
}
