// Visits a server with the official TypeScript client, old line, and prints what came of it.
//
//   node visit.mjs URL ['Header: value' ...]
//
// Prints {protocol, tools, text, resource, prompt, progress, elicited}: the version agreed on, the names of the tools,
// what test_simple_text, test://static-text and test_simple_prompt say, the steps of test_tool_with_progress, and what
// test_elicitation says after the client answered it.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';

const [url, ...lines] = process.argv.slice(2);
const headers = Object.fromEntries(lines.map((line) => line.split(': ', 2)));
const client = new Client({ name: 'visitor', version: '1.0.0' }, { capabilities: { elicitation: {} } });
client.setRequestHandler(ElicitRequestSchema, async ({ params }) => ({
  action: 'accept',
  content: { username: params.message, email: 'visitor@example.org' },
}));
const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
await client.connect(transport);
const { tools } = await client.listTools();
const simple = await client.callTool({ name: 'test_simple_text', arguments: {} });
const { contents } = await client.readResource({ uri: 'test://static-text' });
const { messages } = await client.getPrompt({ name: 'test_simple_prompt' });
const progress = [];
await client.callTool({ name: 'test_tool_with_progress', arguments: {} }, undefined, {
  onprogress: (step) => progress.push(step.progress),
});
const asked = await client.callTool({ name: 'test_elicitation', arguments: { message: 'Who are you?' } });
console.log(JSON.stringify({
  protocol: transport.protocolVersion,
  tools: tools.map((tool) => tool.name),
  text: simple.content[0].text,
  resource: contents[0].text,
  prompt: messages[0].content.text,
  progress,
  elicited: asked.content[0].text,
}));
await client.close();
