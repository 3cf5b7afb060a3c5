"""Visits a server with the official Python client, old line, and prints what came of it.

    python visit.py URL ['Header: value' ...]

Prints {protocol, tools, text, resource, prompt, progress, elicited} as in ../visiting.py, protocol being the version
agreed on.
"""

import asyncio
import json
import sys
from pathlib import Path

import httpx
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from pydantic import AnyUrl

sys.path.append(str(Path(__file__).resolve().parent.parent))
from visiting import answer, headers, visited  # noqa: E402


async def main(url: str, *lines: str) -> None:
    async with (
        httpx.AsyncClient(headers=headers(lines), timeout=90) as http,
        streamable_http_client(url, http_client=http) as (read, write, _),
        ClientSession(read, write, elicitation_callback=answer) as session,
    ):
        begun = await session.initialize()
        said = await visited(session, begun.protocolVersion, AnyUrl("test://static-text"))
    print(json.dumps(said))


asyncio.run(main(*sys.argv[1:]))
