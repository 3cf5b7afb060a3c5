// Tools with the bad habits of servers. They are listed only where the program is started with `--faults`.
import { failed, pause, said, text } from './content.mjs';
import { raw, write } from './json.mjs';
import { elicit } from './questions.mjs';

const nothing = { type: 'object', properties: {} };
const takes = (properties) => ({ type: 'object', properties });
const count = (of, otherwise, most) => Math.min(Number.isInteger(of) && of >= 0 ? of : otherwise, most);
const fault = (name, description, inputSchema, run) => ({ definition: { name: `fault_${name}`, description, inputSchema }, run });

// Numbers, names and letters that a reader of JSON easily changes.
export const DELICATE =
  '{"z":1,"a":1.0,"exponent":1e2,"E":1E+2,"zero":-0,"big":9007199254740993,"most":18446744073709551615,' +
  '"least":-9223372036854775808,"long":0.1000000000000000055511151231257827,"tiny":1e-400,"huge":12345678901234567890123456789,' +
  '"escaped":"\\u00e9\\/\\u0041","plain":"é/A","pair":"\\ud83d\\ude00","emoji":"😀","nul":"\\u0000","empty":"","":"no name",' +
  '"__proto__":{"constructor":1},"null":null,"nested":[[],{},[{"b":2,"a":1}]]}';

// No answer of the usual kind is sent for such a call.
export const NO_ANSWER = Symbol('no answer');

const answer = (call, result) => ({ jsonrpc: '2.0', id: call.id, result: call.server.complete(call, result) });

export const FAULTS = [
  fault('never_answers', 'Never answers', nothing, () => NO_ANSWER),
  fault('answers_twice', 'Answers twice', nothing, (call) => {
    call.server.wire.send(answer(call, said('first')));
    call.server.wire.send(answer(call, said('second')));
    return NO_ANSWER;
  }),
  fault('answers_late', 'Answers after some milliseconds, cancelled or not', takes({ ms: { type: 'integer' } }), async (call) => {
    await pause(count(call.arguments.ms, 1000, 600_000));
    call.server.wire.send(answer(call, said('late')));
    return NO_ANSWER;
  }),
  fault('answers_others', 'Answers requests that nobody sent, then its own', nothing, (call) => {
    const result = said('not yours');
    for (const id of [null, -1, 4096, '4096', 1.5, 'x', {}]) call.server.wire.send({ jsonrpc: '2.0', id, result });
    return said('mine');
  }),
  fault('dies', 'Ends its process before it answers', nothing, () => {
    process.stderr.write('fixture: I die now\n');
    process.exit(3);
  }),
  fault('dies_after_progress', 'Reports progress, then ends its process', nothing, async (call) => {
    call.progress(1, 2, 'half of it');
    call.log('info', 'half of it');
    await pause(50);
    process.exit(3);
  }),
  fault('dies_in_its_answer', 'Ends its process in the middle of its answer', nothing, async (call) => {
    const line = write(answer(call, said('the whole answer')));
    call.server.wire.bytes(line.slice(0, line.length / 2));
    await pause(50);
    process.exit(3);
  }),
  fault('tells_early', 'Says its result in everything that it sends before it', nothing, async (call) => {
    const { wire } = call.server;
    const { progressToken } = call.meta;
    const early = 'THE RESULT';
    const send = (method, params) => wire.send({ jsonrpc: '2.0', method: `notifications/${method}`, params });
    send('progress', { progressToken, progress: 1, total: 3, message: early, _meta: { early }, early });
    send('progress', { progressToken, progress: early });
    send('progress', { progressToken, progress: 2, total: early });
    send('message', { level: 'emergency', logger: early, data: early });
    send('resources/updated', { uri: `test://${early}` });
    send('tools/list_changed', { _meta: { early } });
    send('x-unknown', { early });
    await pause(50);
    send('progress', { progressToken, progress: 3, total: 3 });
    return said(early);
  }),
  fault('reports_without_end', 'Reports progress and never answers', takes({ ms: { type: 'integer' } }), async (call) => {
    for (let n = 0; !call.withdrawn; n += 1) {
      call.progress(n, undefined, 'still at it');
      await pause(count(call.arguments.ms, 100, 60_000));
    }
    return NO_ANSWER;
  }),
  fault('answers_twice_while_it_reports', 'Reports progress, answers twice, and reports more', nothing, async (call) => {
    call.progress(1, 2);
    await pause(50);
    call.server.wire.send(answer(call, said('first')));
    call.progress(2, 2);
    call.server.wire.send(answer(call, said('second')));
    call.log('info', 'after the answer');
    return NO_ANSWER;
  }),
  fault('dies_after_its_question', 'Asks its client, then ends its process', nothing, async (call) => {
    call.progress(1, 2);
    call.server.wire.send({ jsonrpc: '2.0', id: 'the last question', ...elicit('Are you there?', { ok: { type: 'boolean' } }) });
    await pause(300);
    process.exit(3);
  }),
  fault('floods', 'Sends notifications without end, then answers', takes({
    count: { type: 'integer' },
    kind: { type: 'string', enum: ['progress', 'message', 'unknown', 'list_changed', 'updated'] },
  }), (call) => {
    const params = {
      progress: { progressToken: call.meta.progressToken ?? 'nobody', progress: 1 },
      message: { level: 'info', data: 'x'.repeat(100) },
      updated: { uri: 'test://watched-resource' },
    };
    const methods = {
      progress: 'notifications/progress',
      message: 'notifications/message',
      list_changed: 'notifications/tools/list_changed',
      updated: 'notifications/resources/updated',
    };
    const kind = call.arguments.kind ?? 'message';
    const message = { jsonrpc: '2.0', method: methods[kind] ?? 'notifications/x-unknown', params: params[kind] };
    const line = write(message);
    for (let n = 0; n < count(call.arguments.count, 10_000, 10_000_000); n += 1) call.server.wire.line(line);
    return said('flooded');
  }),
  fault('hides_a_tool', 'Takes the tool counter off its list, or puts it back', nothing, (call) => {
    call.server.hide('counter');
    return said('The list of tools changed');
  }),
  fault('asks_without_end', 'Asks questions and waits for none of them', takes({ count: { type: 'integer' } }), (call) => {
    const question = elicit('Again?', { ok: { type: 'boolean' } });
    for (let n = 0; n < count(call.arguments.count, 1000, 1_000_000); n += 1) {
      call.server.wire.send({ jsonrpc: '2.0', id: `flood-${n}`, ...question });
    }
    return said('asked');
  }),
  fault('asks_the_unknown', 'Asks its client what no client knows', nothing, async (call) => {
    try {
      const answer = await call.server.ask(call, 'unknown', { method: 'x/unknown', params: {} });
      return said(`answered: ${JSON.stringify(answer)}`);
    } catch (error) {
      return failed(`refused: ${error.code}`);
    }
  }),
  fault('prints_a_banner', 'Prints lines on stdout that are no messages, then answers', takes({ lines: { type: 'integer' } }), (call) => {
    for (let n = 0; n < count(call.arguments.lines, 3, 100_000); n += 1) call.server.wire.line(`*** Welcome, visitor ${n} ***`);
    call.server.wire.line('');
    return said('after the banner');
  }),
  fault('prints_on_stderr', 'Prints much on stderr', takes({ bytes: { type: 'integer' } }), (call) => {
    process.stderr.write('e'.repeat(count(call.arguments.bytes, 1 << 20, 64 << 20)));
    return said('printed');
  }),
  fault('large_line', 'Answers with one line of this many bytes', takes({ bytes: { type: 'integer' } }), (call) =>
    said('x'.repeat(count(call.arguments.bytes, 5 << 20, 64 << 20))),
  ),
  fault('delicate_json', 'Answers with numbers, names and letters that are easily changed', nothing, () => ({
    content: [text(DELICATE)],
    structuredContent: raw(DELICATE),
  })),
  fault('unknown_fields', 'Answers with members that no specification names', nothing, () => ({
    xBefore: { b: 1, a: [1.0, raw('1.0')] },
    content: [{ xFirst: 1, type: 'text', text: 'known', annotations: { priority: raw('1.0'), xMore: raw('1e0') }, xLast: null }],
    isError: false,
    _meta: { 'org.example/x': { deep: [raw('9007199254740993')] }, 'org.example/y': null },
    xAfter: raw('18446744073709551615'),
  })),
  fault('unknown_content', 'Answers with content of a type that nobody knows', nothing, () => ({
    content: [{ type: 'hologram', data: [1, 2, 3], depth: raw('1.0') }],
  })),
  fault('deep_json', 'Answers with JSON that is this deep', takes({ depth: { type: 'integer' } }), (call) => {
    const depth = count(call.arguments.depth, 10_000, 1_000_000);
    return { ...said('deep'), structuredContent: raw(`{"deep":${'['.repeat(depth)}${']'.repeat(depth)}}`) };
  }),
  fault('split_letters', 'Writes its answer one byte at a time', nothing, async (call) => {
    const bytes = Buffer.from(`${write(answer(call, said('zażółć 😀 日本語')))}\n`);
    for (const byte of bytes) {
      call.server.wire.bytes(Buffer.of(byte));
      await new Promise(setImmediate);
    }
    return NO_ANSWER;
  }),
  fault('broken_letters', 'Answers with bytes that are no UTF-8', nothing, (call) => {
    const [before, after] = write(answer(call, said('BROKEN'))).split('BROKEN');
    call.server.wire.bytes(Buffer.concat([Buffer.from(before), Buffer.of(0xff, 0xfe, 0xc3), Buffer.from(`${after}\n`)]));
    return NO_ANSWER;
  }),
  fault('other_line_ends', 'Ends its lines as Windows does, with blanks around them', nothing, (call) => {
    call.server.wire.bytes(`\r\n  ${write(answer(call, said('other line ends')))}  \r\n`);
    return NO_ANSWER;
  }),
  fault('answers_in_a_batch', 'Puts its answer into an array', nothing, (call) => {
    call.server.wire.send([answer(call, said('in a batch'))]);
    return NO_ANSWER;
  }),
  fault('answers_with_nothing', 'Answers with neither a result nor an error', nothing, (call) => {
    call.server.wire.send({ jsonrpc: '2.0', id: call.id });
    return NO_ANSWER;
  }),
  fault('answers_with_both', 'Answers with a result and an error', nothing, (call) => {
    call.server.wire.send({ ...answer(call, said('a result')), error: { code: -32603, message: 'an error' } });
    return NO_ANSWER;
  }),
  fault('result_is_no_object', 'Answers with a result that is an array', nothing, (call) => {
    call.server.wire.send({ jsonrpc: '2.0', id: call.id, result: [1, 2] });
    return NO_ANSWER;
  }),
  {
    definition: {
      name: 'fault_network_ref',
      description: 'Its schema refers to the network',
      inputSchema: {
        type: 'object',
        properties: { value: { $ref: 'http://169.254.169.254/latest/schema.json' }, file: { $ref: 'file:///etc/passwd' } },
      },
    },
    run: (call) => said(JSON.stringify(call.arguments)),
  },
  {
    definition: {
      xBefore: raw('1.0'),
      name: 'fault_unknown_definition',
      title: 'A definition with members that no specification names',
      description: 'é \u2028 😀',
      inputSchema: { properties: { n: { type: 'number', maximum: raw('1.0'), multipleOf: raw('1e-2'), xHint: null } }, type: 'object' },
      execution: { taskSupport: 'forbidden', xMore: raw('9007199254740993') },
      annotations: { readOnlyHint: false, destructiveHint: true, xHint: { z: 1, a: 2 } },
      icons: [{ src: 'data:image/png;base64,', mimeType: 'image/png', sizes: ['1x1'], theme: 'dark', xMore: [] }],
      _meta: { 'org.example/x': [raw('1.0')] },
      xAfter: { '': [] },
    },
    run: () => said('known'),
  },
];
