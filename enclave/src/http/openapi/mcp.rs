//! The two endpoints of MCP as the document shows them. What they speak is MCP's to describe (docs/MCP.md), not OpenAPI's:
//! these functions exist for their attributes.
#![expect(dead_code, reason = "only the attributes are read")]

use super::shapes;

#[utoipa::path(post, path = "/mcp", tag = "MCP",
    summary = "All servers through one endpoint: the gateway's own tools, and those of the servers that are switched on",
    request_body = shapes::JsonRpcRequest,
    responses((status = 200, description = "The answer; also to a call that costs something and is not paid", body = shapes::JsonRpcResponse),
        (status = 202, description = "A notification was taken")),
    security((), ("bearer" = []), ("signature" = [], "signatureInput" = []), ("payment" = [])))]
fn gateway() {}

#[utoipa::path(post, path = "/mcp/server/{id}", tag = "MCP", summary = "One server's tools under their own names",
    params(("id" = String, Path, description = "UUID, name, slug or package name", example = "everything")),
    request_body = shapes::JsonRpcRequest,
    responses((status = 200, description = "The answer; also to a call that costs something and is not paid", body = shapes::JsonRpcResponse),
        (status = 202, description = "A notification was taken")),
    security((), ("bearer" = []), ("signature" = [], "signatureInput" = []), ("payment" = [])))]
fn one_server() {}
