"""What a visitor does, whichever line of the official Python client it is made of. Each line's `visit.py` connects."""

from mcp import types


async def answer(_context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
    return types.ElicitResult(action="accept", content={"username": params.message, "email": "visitor@example.org"})


def headers(lines: tuple[str, ...]) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in lines)


async def visited(client: object, protocol: str, resource: object) -> dict[str, object]:
    """{protocol, tools, text, resource, prompt, progress, elicited}: the names of the tools, what test_simple_text, the
    resource and test_simple_prompt say, the steps of test_tool_with_progress, and what test_elicitation says after the
    client answered it."""
    steps: list[float] = []

    async def progress(step: float, _total: float | None, _message: str | None) -> None:
        steps.append(step)

    listed = await client.list_tools()
    simple = await client.call_tool("test_simple_text", {})
    read = await client.read_resource(resource)
    prompt = await client.get_prompt("test_simple_prompt")
    await client.call_tool("test_tool_with_progress", {}, progress_callback=progress)
    asked = await client.call_tool("test_elicitation", {"message": "Who are you?"})
    return {
        "protocol": protocol,
        "tools": [tool.name for tool in listed.tools],
        "text": simple.content[0].text,
        "resource": read.contents[0].text,
        "prompt": prompt.messages[0].content.text,
        "progress": steps,
        "elicited": asked.content[0].text,
    }
