// The server: what it knows between requests, and how each method is answered in both eras.
import { LegacyCall, ModernCall } from './call.mjs';
import { InputRequired, invalid, RESOURCE_NOT_FOUND, RpcError, unknownMethod, UNSUPPORTED_VERSION, Withdrawn } from './errors.mjs';
import { FAULTS, NO_ANSWER } from './faults.mjs';
import { complete, prompt, PROMPTS, read, RESOURCES, TEMPLATES, TOGGLED as RESOURCE, TOGGLED_PROMPT } from './resources.mjs';
import { Subscriptions } from './subscriptions.mjs';
import { EXTENSION, TASK_TOOLS, Tasks } from './tasks.mjs';
import { TOGGLED as TOOL, TOOLS } from './tools.mjs';

const LEGACY = ['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'];
const MODERN = '2026-07-28';
const INFO = { name: 'sealgate-fixture-server', version: '1.0.0' };
const INSTRUCTIONS = 'A server for tests: every feature of both eras.';
// What may be kept by a client, and for how long.
const CACHEABLE = ['server/discover', 'tools/list', 'prompts/list', 'resources/list', 'resources/templates/list', 'resources/read'];

export class Server {
  level = 'info';
  clientCapabilities = {};
  tally = {};
  #greeted = false;
  #questions = new Map();
  #calls = new Map();
  #toggled = { tools: false, prompts: false, resources: false };
  #hidden = new Set();
  #version = 1;
  #tasks = new Tasks();

  // mode: legacy, dual, modern. faults: whether the tools with bad habits are listed. page: entries of a page of a list.
  constructor(wire, { mode, faults, page }) {
    this.wire = wire;
    this.mode = mode;
    this.faults = faults;
    this.page = page;
    this.subscriptions = new Subscriptions(this);
  }

  // A message of the client's.
  take(message, line) {
    if (message.method === undefined) this.#answered(message);
    else if (message.id === undefined) this.#noticed(message);
    else this.#work(message, line);
  }

  notify(method, params) {
    this.wire.send({ jsonrpc: '2.0', method, params });
  }

  // Asks the client, in the older era. The key is the question's id unless another open question has it.
  ask(call, key, question) {
    let id = key;
    for (let n = 2; this.#questions.has(id); n += 1) id = `${key}-${n}`;
    return new Promise((resolve, reject) => {
      this.#questions.set(id, { call, resolve, reject });
      this.wire.send({ jsonrpc: '2.0', id, ...question });
    });
  }

  // The client withdrew a call: its open questions need no answer.
  forget(call) {
    for (const [id, question] of this.#questions) {
      if (question.call !== call) continue;
      this.#questions.delete(id);
      question.reject(new Withdrawn());
    }
  }

  toggle(list) {
    this.#toggled[list] = !this.#toggled[list];
    this.#tell(`notifications/${list}/list_changed`);
  }

  // Takes a tool off the list, or puts it back.
  hide(name) {
    if (!this.#hidden.delete(name)) this.#hidden.add(name);
    this.#tell('notifications/tools/list_changed');
  }

  update(uri) {
    this.#version += 1;
    this.#tell('notifications/resources/updated', { uri });
  }

  // In both eras: whoever opened a subscription hears of it there, an older client hears of it at once.
  #tell(method, params) {
    this.subscriptions.tell(method, params);
    if (this.#greeted && (params === undefined || this.watched?.has(params.uri))) this.notify(method, params);
  }

  // The result as the call's era wants it.
  complete(call, result) {
    if (call.era !== 'modern') return result;
    const kept = CACHEABLE.includes(call.method) ? { ttlMs: 0, cacheScope: 'private' } : {};
    const _meta = { ...result._meta, 'io.modelcontextprotocol/serverInfo': INFO };
    return { resultType: 'complete', ...result, ...kept, _meta };
  }

  async #work(message, line) {
    let call;
    try {
      call = this.#call(message, line);
      this.#calls.set(call.id, call);
      const result = await this.#result(call);
      if (result !== NO_ANSWER && !call.withdrawn) this.#reply(call.id, this.complete(call, result));
    } catch (error) {
      if (error instanceof Withdrawn || call?.withdrawn) {
        // Nobody waits.
      } else if (error instanceof InputRequired) {
        const { inputRequests, requestState } = error;
        this.#reply(call.id, { resultType: 'input_required', inputRequests, requestState, _meta: { 'io.modelcontextprotocol/serverInfo': INFO } });
      } else if (error instanceof RpcError) {
        this.wire.send({ jsonrpc: '2.0', id: message.id, error: error.toJSON() });
      } else {
        process.stderr.write(`fixture: ${error.stack}\n`);
        this.wire.send({ jsonrpc: '2.0', id: message.id, error: { code: -32603, message: `Internal error: ${error.message}` } });
      }
    } finally {
      if (call && this.#calls.get(call.id) === call && !this.subscriptions.has(call.id)) this.#calls.delete(call.id);
    }
  }

  #reply(id, result) {
    this.wire.send({ jsonrpc: '2.0', id, result });
  }

  #call(message, line) {
    const meta = message.params?._meta;
    const asked = meta?.['io.modelcontextprotocol/protocolVersion'];
    const modern = this.mode === 'modern' || (this.mode === 'dual' && (asked !== undefined || message.method === 'server/discover'));
    if (!modern) {
      if (!this.#greeted && !['initialize', 'ping', 'server/discover'].includes(message.method)) {
        throw new RpcError(-32600, 'initialize comes first');
      }
      return new LegacyCall(this, message, line);
    }
    // A client of the other era learns this before it learns what else is missing.
    if (message.method === 'initialize') throw unknownMethod('initialize');
    if (typeof asked !== 'string') throw invalid('_meta holds no io.modelcontextprotocol/protocolVersion');
    if (asked !== MODERN) {
      throw new RpcError(UNSUPPORTED_VERSION, 'Unsupported protocol version', { supported: [MODERN], requested: asked });
    }
    const capabilities = meta['io.modelcontextprotocol/clientCapabilities'];
    if (!capabilities || typeof capabilities !== 'object') {
      throw invalid('_meta holds no io.modelcontextprotocol/clientCapabilities');
    }
    return new ModernCall(this, message, line);
  }

  #result(call) {
    const { method, params } = call;
    switch (method) {
      case 'tools/list':
        return this.#listed('tools', this.#tools().map(({ definition }) => definition), params);
      case 'tools/call':
        return this.#called(call);
      case 'resources/list':
        return this.#listed('resources', [...RESOURCES, ...(this.#toggled.resources ? [RESOURCE] : [])], params);
      case 'resources/templates/list':
        return this.#listed('resourceTemplates', TEMPLATES, params);
      case 'resources/read':
        return this.#read(call);
      case 'prompts/list':
        return this.#listed('prompts', this.#prompts().map(({ definition }) => definition), params);
      case 'prompts/get':
        return prompt(this.#prompts(), call);
      case 'completion/complete':
        return complete(params);
      default:
        return call.era === 'modern' ? this.#modern(call) : this.#legacy(call);
    }
  }

  #legacy(call) {
    const { method, params } = call;
    switch (method) {
      case 'initialize': {
        this.#greeted = true;
        this.watched = new Set();
        this.clientCapabilities = params.capabilities ?? {};
        const protocolVersion = LEGACY.includes(params.protocolVersion) ? params.protocolVersion : LEGACY.at(-1);
        return { protocolVersion, capabilities: this.#capabilities(), serverInfo: INFO, instructions: INSTRUCTIONS };
      }
      case 'ping':
        return {};
      case 'logging/setLevel':
        this.level = params.level;
        return {};
      case 'resources/subscribe':
        this.watched.add(params.uri);
        return {};
      case 'resources/unsubscribe':
        this.watched.delete(params.uri);
        return {};
      default:
        throw unknownMethod(method);
    }
  }

  #modern(call) {
    switch (call.method) {
      case 'server/discover': {
        const capabilities = { ...this.#capabilities(), extensions: { [EXTENSION]: {} } };
        return { supportedVersions: [MODERN], capabilities, instructions: INSTRUCTIONS };
      }
      case 'subscriptions/listen':
        this.subscriptions.open(call);
        return NO_ANSWER;
      default:
        if (call.method.startsWith('tasks/')) return this.#tasks.answer(call);
        throw unknownMethod(call.method);
    }
  }

  #capabilities() {
    return {
      tools: { listChanged: true },
      resources: { subscribe: true, listChanged: true },
      prompts: { listChanged: true },
      completions: {},
      logging: {},
    };
  }

  #tools() {
    // Tasks are of the newer era; what only speaks the older one has none.
    const tasks = TASK_TOOLS.filter(({ task }) => !task || this.mode !== 'legacy');
    const all = [...TOOLS, ...tasks, ...(this.faults ? FAULTS : []), ...(this.#toggled.tools ? [TOOL] : [])];
    return all.filter(({ definition }) => !this.#hidden.has(definition.name));
  }

  #prompts() {
    return [...PROMPTS, ...(this.#toggled.prompts ? [TOGGLED_PROMPT] : [])];
  }

  // A page of a list; the cursor is where it begins.
  #listed(name, all, { cursor }) {
    const from = cursor === undefined ? 0 : Number(cursor);
    if (!Number.isInteger(from) || from < 0 || from > all.length || (cursor !== undefined && String(from) !== cursor)) {
      throw invalid('The cursor is none of ours');
    }
    const to = from + this.page;
    return { [name]: all.slice(from, to), nextCursor: to < all.length ? String(to) : undefined };
  }

  #called(call) {
    const tool = this.#tools().find(({ definition }) => definition.name === call.params.name);
    if (!tool) throw invalid(`There is no tool ${JSON.stringify(call.params.name)}`);
    return tool.task ? this.#tasks.begin(call, tool) : this.#run(call, tool);
  }

  // What asks its client in the newer era is begun once for each round, and ended once.
  async #run(call, tool) {
    const tally = (this.tally[tool.definition.name] ??= { begun: 0, ended: 0 });
    tally.begun += 1;
    const result = await tool.run(call);
    if (!call.withdrawn) tally.ended += 1;
    return result;
  }

  #read(call) {
    const { uri } = call.params;
    const contents = read(uri, this.#version);
    if (contents) return { contents };
    throw new RpcError(call.era === 'modern' ? -32602 : RESOURCE_NOT_FOUND, 'Resource not found', { uri });
  }

  #noticed({ method, params }) {
    if (method !== 'notifications/cancelled') return;
    const call = this.#calls.get(params?.requestId);
    if (!call) return;
    process.stderr.write(`fixture: ${call.method} was cancelled\n`);
    this.#calls.delete(call.id);
    this.subscriptions.close(call.id);
    call.withdraw();
  }

  #answered({ id, result, error }) {
    const question = this.#questions.get(id);
    if (!question) return;
    this.#questions.delete(id);
    if (error) question.reject(new RpcError(error.code, `The client answers: ${error.message}`, error.data));
    else question.resolve(result);
  }
}
