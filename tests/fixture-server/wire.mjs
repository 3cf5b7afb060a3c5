// Lines on stdin and stdout, one message each.
import { write } from './json.mjs';

export class Wire {
  #rest = Buffer.alloc(0);

  constructor(input, output) {
    this.input = input;
    this.output = output;
  }

  // Calls onMessage with each message and its text. What is no JSON is answered as JSON-RPC says.
  listen(onMessage) {
    this.input.on('data', (chunk) => {
      this.#rest = Buffer.concat([this.#rest, chunk]);
      for (let end = this.#rest.indexOf(10); end >= 0; end = this.#rest.indexOf(10)) {
        const line = this.#rest.subarray(0, end).toString('utf8');
        this.#rest = this.#rest.subarray(end + 1);
        if (line.trim()) this.#take(line, onMessage);
      }
    });
    // Its client closes stdin: there is nobody to serve any more.
    this.input.on('end', () => process.exit(0));
  }

  #take(line, onMessage) {
    let message;
    try {
      message = JSON.parse(line);
    } catch {
      this.send({ jsonrpc: '2.0', id: null, error: { code: -32700, message: 'Parse error' } });
      return;
    }
    if (!message || typeof message !== 'object' || Array.isArray(message)) {
      this.send({ jsonrpc: '2.0', id: null, error: { code: -32600, message: 'Invalid request: want one object' } });
      return;
    }
    onMessage(message, line);
  }

  send(message) {
    this.line(write(message));
  }

  line(text) {
    this.output.write(`${text}\n`);
  }

  bytes(bytes) {
    this.output.write(bytes);
  }
}
