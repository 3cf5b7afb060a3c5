// The tools: a definition and what it does with a call.
import { audio, embedded, failed, image, pause, said, text } from './content.mjs';
import { raw, slice } from './json.mjs';
import { DEFAULTS, elicit, ENUMS, roots, sample } from './questions.mjs';

const nothing = { type: 'object', properties: {} };
const object = (properties, required = Object.keys(properties)) => ({ type: 'object', properties, required });
const string = (description) => ({ type: 'string', description });

// name, what it is for, what it takes, what it does; `more` are further members of the definition.
const tool = (name, description, inputSchema, run, more = {}) => ({ definition: { name, description, inputSchema, ...more }, run });

const outcome = (words, answer) => said(`${words}: action=${answer.action}, content=${JSON.stringify(answer.content ?? {})}`);

// The first one is called without arguments by whoever only wants to call something.
export const TOOLS = [
  tool('test_simple_text', 'Says one sentence', nothing, () => said('This is a simple text response for testing.')),
  tool('test_image_content', 'Returns an image', nothing, () => ({ content: [image()] })),
  tool('test_audio_content', 'Returns a sound', nothing, () => ({ content: [audio()] })),
  tool('test_embedded_resource', 'Returns a resource inside of its answer', nothing, () => ({
    content: [embedded('test://embedded-resource', 'text/plain', 'This is an embedded resource content.')],
  })),
  tool('test_multiple_content_types', 'Returns text, an image and a resource', nothing, () => ({
    content: [
      text('Multiple content types test:'),
      image(),
      embedded('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
    ],
  })),
  tool('test_tool_with_logging', 'Logs three times while it works', nothing, async (call) => {
    call.log('info', 'Tool execution started');
    await pause(50);
    call.log('info', 'Tool processing data');
    await pause(50);
    call.log('info', 'Tool execution completed');
    return said('Tool with logging executed successfully');
  }),
  tool('test_tool_with_progress', 'Reports its progress three times', nothing, async (call) => {
    call.progress(0, 100);
    await pause(50);
    call.progress(50, 100, 'half of it');
    await pause(50);
    call.progress(100, 100);
    return said('Tool with progress executed successfully');
  }),
  tool('test_error_handling', 'Fails, and says so in its result', nothing, () =>
    failed('This tool intentionally returns an error for testing'),
  ),
  tool('test_reconnection', 'Takes a moment', nothing, async () => {
    await pause(100);
    return said('Reconnection test completed successfully');
  }),
  tool('test_logging_tool', 'Logs at every level', nothing, (call) => {
    for (const level of ['debug', 'info', 'warning', 'error']) call.log(level, { message: `a message of level ${level}` });
    return said('Logged');
  }),
  tool('test_sampling', 'Asks the language model of its client', object({ prompt: string('What to ask') }), async (call) => {
    const { answer } = await call.ask({ answer: sample(call.arguments.prompt ?? '') });
    return said(`LLM response: ${answer.content.text ?? ''}`);
  }),
  tool('test_elicitation', 'Asks the user', object({ message: string('What to ask') }), async (call) => {
    const properties = {
      username: { type: 'string', description: "User's response" },
      email: { type: 'string', description: "User's email address" },
    };
    const { answer } = await call.ask({ answer: elicit(call.arguments.message ?? '', properties) });
    return said(`User response: action: ${answer.action}, content: ${JSON.stringify(answer.content ?? {})}`);
  }),
  tool('test_elicitation_sep1034_defaults', 'Asks for one value of each type, with defaults', nothing, async (call) => {
    const { answer } = await call.ask({ answer: elicit('Please review the defaults', DEFAULTS, []) });
    return outcome('Elicitation completed', answer);
  }),
  tool('test_elicitation_sep1330_enums', 'Asks for choices of every form', nothing, async (call) => {
    const { answer } = await call.ask({ answer: elicit('Please choose', ENUMS, []) });
    return outcome('Elicitation completed', answer);
  }),
  tool('test_streaming_elicitation', 'Reports progress, then asks the user', nothing, async (call) => {
    call.progress(1, 2);
    const { answer } = await call.ask({ answer: elicit('Go on?', { ok: { type: 'boolean' } }) });
    return outcome('Streamed', answer);
  }),
  tool('test_missing_capability', 'Cannot work without sampling', nothing, async (call) => {
    const { answer } = await call.ask({ answer: sample('Are you there?') });
    return said(`Sampled: ${answer.content.text ?? ''}`);
  }),
  tool('test_input_required_result_elicitation', 'Asks for a name', nothing, async (call) => {
    const { user_name } = await call.ask({ user_name: elicit('What is your name?', { name: { type: 'string' } }) });
    return said(`Hello, ${user_name.content?.name ?? 'stranger'}!`);
  }),
  tool('test_input_required_result_sampling', 'Asks for a capital', nothing, async (call) => {
    const { capital_question } = await call.ask({ capital_question: sample('What is the capital of France?') });
    return said(capital_question.content.text ?? '');
  }),
  tool('test_input_required_result_list_roots', 'Asks for the roots', nothing, async (call) => {
    const { client_roots } = await call.ask({ client_roots: roots() });
    return said(`Roots: ${client_roots.roots.map((root) => root.uri).join(', ')}`);
  }),
  tool('test_input_required_result_request_state', 'Asks for a confirmation and keeps a state', nothing, async (call) => {
    const { confirm } = await call.ask({ confirm: elicit('Please confirm', { ok: { type: 'boolean' } }) });
    return said(`state-ok: ${confirm.action}`);
  }),
  tool('test_input_required_result_multiple_inputs', 'Asks three things at once', nothing, async (call) => {
    const { user_name, greeting, client_roots } = await call.ask({
      user_name: elicit('What is your name?', { name: { type: 'string' } }),
      greeting: sample('Generate a greeting', 50),
      client_roots: roots(),
    });
    return said(`${greeting.content.text ?? ''} ${user_name.content?.name ?? ''} (${client_roots.roots.length} roots)`);
  }),
  tool('test_input_required_result_multi_round', 'Asks one thing after the other', nothing, async (call) => {
    const { step1 } = await call.ask({ step1: elicit('Step 1: What is your name?', { name: { type: 'string' } }) });
    const color = { color: { type: 'string' } };
    const { step2 } = await call.ask({ step2: elicit('Step 2: What is your favorite color?', color) });
    return said(`${step1.content?.name ?? ''} likes ${step2.content?.color ?? ''}`);
  }),
  tool('test_input_required_result_tampered_state', 'Takes no state but its own', nothing, async (call) => {
    const { confirm } = await call.ask({ confirm: elicit('Please confirm', { ok: { type: 'boolean' } }) });
    return said(`confirmed: ${confirm.action}`);
  }),
  tool('test_input_required_result_capabilities', 'Asks only what its client can answer', nothing, async (call) => {
    const questions = {};
    // An older client said once for all what it can do; where it is a gateway, that says nothing of who calls.
    if (call.era === 'modern' && call.has('elicitation')) {
      questions.name = elicit('What is your name?', { name: { type: 'string' } });
    }
    if (call.has('sampling')) questions.greeting = sample('Generate a greeting');
    const answers = await call.ask(questions);
    return said(`Asked: ${Object.keys(answers).join(', ')}`);
  }),
  tool('json_schema_2020_12_tool', 'Tool with JSON Schema 2020-12 features', {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    $defs: {
      address: {
        $anchor: 'addressDef',
        type: 'object',
        properties: { street: { type: 'string' }, city: { type: 'string' } },
      },
    },
    properties: {
      name: { type: 'string' },
      address: { $ref: '#/$defs/address' },
      contactMethod: { type: 'string', enum: ['phone', 'email'] },
      phone: { type: 'string' },
      email: { type: 'string' },
    },
    allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
    if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
    then: { required: ['phone'] },
    else: { required: ['email'] },
    additionalProperties: false,
  }, (call) => said(`Contact: ${JSON.stringify(call.arguments)}`)),
  tool('test_x_mcp_header', 'Takes arguments that stand in headers too', object({
    region: { type: 'string', description: 'Mirrored as Mcp-Param-Region', 'x-mcp-header': 'Region' },
    shard: { type: 'integer', description: 'Mirrored as Mcp-Param-Shard', 'x-mcp-header': 'Shard' },
    dry_run: { type: 'boolean', description: 'Mirrored as Mcp-Param-Dry-Run', 'x-mcp-header': 'Dry-Run' },
  }, []), (call) => said(`Routed: ${JSON.stringify(call.arguments)}`)),
  tool('test_trigger_tool_change', 'Adds a tool to the list, or takes it away again', nothing, (call) => {
    call.server.toggle('tools');
    return said('The list of tools changed');
  }),
  tool('test_trigger_prompt_change', 'Adds a prompt to the list, or takes it away again', nothing, (call) => {
    call.server.toggle('prompts');
    return said('The list of prompts changed');
  }),
  tool('test_trigger_resource_change', 'Adds a resource to the list, or takes it away again', nothing, (call) => {
    call.server.toggle('resources');
    return said('The list of resources changed');
  }),
  tool('test_trigger_resource_update', 'Changes test://watched-resource', nothing, (call) => {
    call.server.update('test://watched-resource');
    return said('The resource changed');
  }),
  tool('echo', 'Returns its arguments, byte for byte', { type: 'object' }, (call) => {
    const words = slice(call.line, 'params', 'arguments') ?? '{}';
    return { content: [text(words)], structuredContent: raw(words) };
  }),
  tool('echo_meta', 'Returns the _meta of the request, byte for byte', nothing, (call) =>
    said(slice(call.line, 'params', '_meta') ?? 'none'),
  ),
  tool('counter', 'Counts its calls in this process', nothing, (call) => {
    call.server.counted = (call.server.counted ?? 0) + 1;
    return { ...said(String(call.server.counted)), structuredContent: { count: call.server.counted } };
  }, { outputSchema: object({ count: { type: 'integer' } }) }),
  tool('calls', 'Says how often each tool of this process was begun and ended', nothing, (call) => ({
    ...said(JSON.stringify(call.server.tally)),
    structuredContent: call.server.tally,
  })),
  tool('wait', 'Answers after some milliseconds; says on stderr when it is cancelled', object({ ms: { type: 'integer' } }), async (call) => {
    const until = Date.now() + Math.min(Number(call.arguments.ms ?? 0), 600_000);
    for (let n = 0; Date.now() < until && !call.withdrawn; n += 1) {
      call.progress(n, undefined, 'waiting');
      await pause(Math.max(0, Math.min(50, until - Date.now())));
    }
    return said('Waited');
  }),
];

// The tool that test_trigger_tool_change adds.
export const TOGGLED = tool('test_toggled_tool', 'Is there every other time', nothing, () => said('I am here'));
