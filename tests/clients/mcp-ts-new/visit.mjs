// Visits a server with the official TypeScript client, new line, and prints what came of it.
//
//   node visit.mjs URL ['Header: value' ...]
//
// Prints {protocol, tools, text, resource, prompt, progress, elicited, changed}: the version agreed on, the names of the
// tools, what test_simple_text, test://static-text and test_simple_prompt say, the steps of test_tool_with_progress, what
// test_elicitation says after the client answered it, and whether the client heard that the list of tools changed.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const [url, ...lines] = process.argv.slice(2);
const headers = Object.fromEntries(lines.map((line) => line.split(': ', 2)));
const client = new Client(
  { name: 'visitor', version: '1.0.0' },
  { capabilities: { elicitation: {} }, versionNegotiation: { mode: 'auto' } },
);
client.setRequestHandler('elicitation/create', async ({ params }) => ({
  action: 'accept',
  content: { username: params.message, email: 'visitor@example.org' },
}));
let heard;
const change = new Promise((resolve) => {
  heard = resolve;
});
client.setNotificationHandler('notifications/tools/list_changed', () => heard(true));
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
const { tools } = await client.listTools();
const simple = await client.callTool({ name: 'test_simple_text', arguments: {} });
const { contents } = await client.readResource({ uri: 'test://static-text' });
const { messages } = await client.getPrompt({ name: 'test_simple_prompt' });
const progress = [];
await client.callTool(
  { name: 'test_tool_with_progress', arguments: {} },
  { onprogress: (step) => progress.push(step.progress) },
);
const asked = await client.callTool({ name: 'test_elicitation', arguments: { message: 'Who are you?' } });
const subscription = await client.listen({ toolsListChanged: true });
await client.callTool({ name: 'test_trigger_tool_change', arguments: {} });
const changed = await Promise.race([change, new Promise((resolve) => setTimeout(resolve, 10_000, false))]);
await subscription.close();
console.log(JSON.stringify({
  protocol: client.getNegotiatedProtocolVersion(),
  tools: tools.map((tool) => tool.name),
  text: simple.content[0].text,
  resource: contents[0].text,
  prompt: messages[0].content.text,
  progress,
  elicited: asked.content[0].text,
  changed,
}));
await client.close();
process.exit(0);
