"""Visits a server with the official Python client, new line, and prints what came of it.

    python visit.py URL ['Header: value' ...]

Prints {protocol, tools, text, resource, prompt, progress, elicited, changed}: the version agreed on, the names of the
tools, what test_simple_text, test://static-text and test_simple_prompt say, the steps of test_tool_with_progress, what
test_elicitation says after the client answered it, and whether the client heard that the list of tools changed.
"""

import asyncio
import json
import sys

import httpx2
from mcp import Client, types
from mcp.client.streamable_http import streamable_http_client


async def answer(_context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
    return types.ElicitResult(action="accept", content={"username": params.message, "email": "visitor@example.org"})


async def main(url: str, *lines: str) -> None:
    headers = dict(line.split(": ", 1) for line in lines)
    steps: list[float] = []

    async def progress(step: float, _total: float | None, _message: str | None) -> None:
        steps.append(step)

    async with (
        httpx2.AsyncClient(headers=headers, timeout=90) as http,
        Client(streamable_http_client(url, http_client=http), elicitation_callback=answer) as client,
    ):
        listed = await client.list_tools()
        simple = await client.call_tool("test_simple_text", {})
        resource = await client.read_resource("test://static-text")
        prompt = await client.get_prompt("test_simple_prompt")
        await client.call_tool("test_tool_with_progress", {}, progress_callback=progress)
        asked = await client.call_tool("test_elicitation", {"message": "Who are you?"})
        async with client.listen(tools_list_changed=True) as subscription:
            await client.call_tool("test_trigger_tool_change", {})
            event = await asyncio.wait_for(anext(aiter(subscription)), 10)
        said = {
            "protocol": client.protocol_version,
            "tools": [tool.name for tool in listed.tools],
            "text": simple.content[0].text,
            "resource": resource.contents[0].text,
            "prompt": prompt.messages[0].content.text,
            "progress": steps,
            "elicited": asked.content[0].text,
            "changed": "ToolsListChanged" in type(event).__name__,
        }
    print(json.dumps(said))


asyncio.run(main(*sys.argv[1:]))
