// Resolves a package to a lock file inside a container that has no network at all: npm talks to a server in this
// process, which asks the gateway over stdout and stdin, one JSON object a line. Nothing is unpacked or run here; the
// gateway fetches, checks and unpacks the tarballs itself.
//
// gateway -> here, first line: {"package": {name: version}, "lock": true}
// here -> gateway: {"ask": id, "path": "/express", "accept": "..."}    gateway -> here: {"ask": id, "status": 200, "body": base64}
// here -> gateway, last line: {"lock": "<text of package-lock.json>"} or {"failed": code}
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const say = (message) => process.stdout.write(JSON.stringify(message) + '\n');
const waiting = new Map();
let lastAsk = 0;

const relay = createServer((request, response) => {
  if (request.method !== 'GET') {
    response.writeHead(405).end();
    return;
  }
  const ask = ++lastAsk;
  waiting.set(ask, response);
  say({ ask, path: request.url, accept: request.headers.accept ?? '*/*' });
});

const lines = createInterface({ input: process.stdin, crlfDelay: Infinity });
lines.on('line', (line) => {
  const message = JSON.parse(line);
  if (message.package) {
    start(message.package);
    return;
  }
  const response = waiting.get(message.ask);
  waiting.delete(message.ask);
  response?.writeHead(message.status, { 'content-type': 'application/json' });
  response?.end(Buffer.from(message.body, 'base64'));
});

function start(dependencies) {
  mkdirSync('/tmp/resolve');
  writeFileSync('/tmp/resolve/package.json', JSON.stringify({ name: 'server', version: '0.0.0', private: true, dependencies }));
  relay.listen(0, '127.0.0.1', () => {
    const registry = `http://127.0.0.1:${relay.address().port}/`;
    const npm = spawn(
      process.execPath,
      ['/usr/lib/npm/bin/npm-cli.js', 'install', '--package-lock-only', '--ignore-scripts', '--no-audit', '--no-fund',
        '--no-update-notifier', '--omit=dev', '--omit-lockfile-registry-resolved', '--install-links=false',
        '--fetch-retries=1', '--loglevel=error', '--registry', registry, '--replace-registry-host=always',
        '--cache=/tmp/cache', '--userconfig=/tmp/none', '--globalconfig=/tmp/none-either'],
      { cwd: '/tmp/resolve', stdio: ['ignore', 2, 2] },
    );
    npm.on('exit', (code) => {
      if (code === 0) say({ lock: readFileSync('/tmp/resolve/package-lock.json', 'utf8') });
      else say({ failed: code ?? -1 });
      process.stdout.write('', () => process.exit(0));
    });
  });
}
