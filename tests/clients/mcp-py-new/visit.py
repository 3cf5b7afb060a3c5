"""Visits a server with the official Python client, new line, and prints what came of it.

    python visit.py URL ['Header: value' ...]

Prints {protocol, tools, text, resource, prompt, progress, elicited} as in ../visiting.py, protocol being the version
agreed on, and changed: whether the client heard that the list of tools changed.
"""

import asyncio
import json
import sys
from pathlib import Path

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

sys.path.append(str(Path(__file__).resolve().parent.parent))
from visiting import answer, headers, visited  # noqa: E402


async def main(url: str, *lines: str) -> None:
    async with (
        httpx2.AsyncClient(headers=headers(lines), timeout=90) as http,
        Client(streamable_http_client(url, http_client=http), elicitation_callback=answer) as client,
    ):
        said = await visited(client, client.protocol_version, "test://static-text")
        async with client.listen(tools_list_changed=True) as subscription:
            await client.call_tool("test_trigger_tool_change", {})
            event = await asyncio.wait_for(anext(aiter(subscription)), 10)
        said["changed"] = "ToolsListChanged" in type(event).__name__
    print(json.dumps(said))


asyncio.run(main(*sys.argv[1:]))
