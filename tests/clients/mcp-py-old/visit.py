"""Visits a server with the official Python client, old line, and prints what came of it.

    python visit.py URL ['Header: value' ...]

Prints {protocol, tools, text, resource, prompt, progress, elicited}: the version agreed on, the names of the tools, what
test_simple_text, test://static-text and test_simple_prompt say, the steps of test_tool_with_progress, and what
test_elicitation says after the client answered it.
"""

import asyncio
import json
import sys

import httpx
from mcp import ClientSession, types
from mcp.client.streamable_http import streamable_http_client
from pydantic import AnyUrl


async def answer(_context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
    return types.ElicitResult(action="accept", content={"username": params.message, "email": "visitor@example.org"})


async def main(url: str, *lines: str) -> None:
    headers = dict(line.split(": ", 1) for line in lines)
    steps: list[float] = []

    async def progress(step: float, _total: float | None, _message: str | None) -> None:
        steps.append(step)

    async with (
        httpx.AsyncClient(headers=headers, timeout=90) as http,
        streamable_http_client(url, http_client=http) as (read, write, _),
        ClientSession(read, write, elicitation_callback=answer) as session,
    ):
        begun = await session.initialize()
        listed = await session.list_tools()
        simple = await session.call_tool("test_simple_text", {})
        resource = await session.read_resource(AnyUrl("test://static-text"))
        prompt = await session.get_prompt("test_simple_prompt")
        await session.call_tool("test_tool_with_progress", {}, progress_callback=progress)
        asked = await session.call_tool("test_elicitation", {"message": "Who are you?"})
    said = {
        "protocol": begun.protocolVersion,
        "tools": [tool.name for tool in listed.tools],
        "text": simple.content[0].text,
        "resource": resource.contents[0].text,
        "prompt": prompt.messages[0].content.text,
        "progress": steps,
        "elicited": asked.content[0].text,
    }
    print(json.dumps(said))


asyncio.run(main(*sys.argv[1:]))
