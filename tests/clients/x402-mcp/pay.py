"""Pays for one tool call over MCP (Streamable HTTP) with the official x402 client, and prints what came of it.

    PAYER_KEY=0x… python pay.py URL TOOL ARGUMENTS ['Header: value' ...]

Prints {protocol, server, tools, result, paid, settlement}: `tools` are the names that the server listed, `result` the
tool's result as JSON, `paid` whether the client attached a payment, `settlement` what the server says it settled.
"""

import asyncio
import json
import os
import sys

import httpx
from eth_account import Account
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from x402 import x402Client
from x402.mcp import x402MCPSession
from x402.mechanisms.evm import EthAccountSigner
from x402.mechanisms.evm.exact import register_exact_evm_client


async def main(url: str, tool: str, arguments: str, *lines: str) -> None:
    payer = x402Client()
    register_exact_evm_client(payer, EthAccountSigner(Account.from_key(os.environ["PAYER_KEY"])), "eip155:8453")
    headers = dict(line.split(": ", 1) for line in lines)
    async with (
        httpx.AsyncClient(headers=headers, timeout=90) as http,
        streamable_http_client(url, http_client=http) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        begun = await session.initialize()
        listed = await session.list_tools()
        answer = await x402MCPSession(session, payer).call_tool(tool, json.loads(arguments))
    settlement = answer.payment_response
    if hasattr(settlement, "model_dump"):
        settlement = settlement.model_dump(by_alias=True, mode="json")
    said = {
        "protocol": begun.protocolVersion,
        "server": begun.serverInfo.name,
        "tools": [tool.name for tool in listed.tools],
        "result": answer.raw_result.model_dump(by_alias=True, mode="json", exclude_none=True),
        "paid": answer.payment_made,
        "settlement": settlement,
    }
    print(json.dumps(said))


asyncio.run(main(*sys.argv[1:]))
