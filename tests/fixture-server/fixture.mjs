#!/usr/bin/env node
// node fixture.mjs legacy|dual|modern [--faults] [--page=N] [--banner] [--flood] [--silent] [--exit]
//
//   legacy     2024-11-05 to 2025-11-25, beginning with initialize
//   dual       these and 2026-07-28
//   modern     2026-07-28 alone
//   --faults   lists the tools with bad habits too
//   --page=N   gives lists in pages of N entries
//   --banner   prints lines on stdout before the first message
//   --flood    sends 10,000 notifications before the first message
//   --silent   reads and never answers
//   --exit     ends at once
import { Server } from './server.mjs';
import { Wire } from './wire.mjs';

const [mode, ...words] = process.argv.slice(2);
const known = ['--faults', '--banner', '--flood', '--silent', '--exit'];
const page = words.find((word) => /^--page=[1-9][0-9]*$/.test(word));
const unknown = words.filter((word) => word !== page && !known.includes(word));
if (!['legacy', 'dual', 'modern'].includes(mode) || unknown.length > 0) {
  process.stderr.write(`fixture: ${mode ?? 'no mode'} ${unknown.join(' ')}: see the head of fixture.mjs\n`);
  process.exit(2);
}
if (words.includes('--exit')) {
  process.stderr.write('fixture: I was told to end\n');
  process.exit(3);
}
const wire = new Wire(process.stdin, process.stdout);
if (words.includes('--banner')) for (let n = 0; n < 3; n += 1) wire.line(`*** Fixture ${n} ***`);
if (words.includes('--flood')) for (let n = 0; n < 10_000; n += 1) wire.send({ jsonrpc: '2.0', method: 'notifications/x-flood' });
const server = new Server(wire, {
  mode,
  faults: words.includes('--faults'),
  page: page ? Number(page.slice('--page='.length)) : Infinity,
});
wire.listen((message, line) => {
  if (!words.includes('--silent')) server.take(message, line);
});
