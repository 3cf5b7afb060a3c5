// One request that the server works on, as its tools, prompts and resources see it: the same for both eras.
import { InputRequired, invalid, missing, RpcError } from './errors.mjs';
import { isAnswer, NEEDS } from './questions.mjs';
import { open, seal } from './state.mjs';

const LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'];

class Call {
  constructor(server, message, line) {
    this.server = server;
    this.id = message.id;
    this.method = message.method;
    this.params = message.params ?? {};
    this.meta = this.params._meta ?? {};
    this.line = line;
    this.withdrawn = false;
  }

  get arguments() {
    return this.params.arguments ?? {};
  }

  progress(progress, total, message) {
    const { progressToken } = this.meta;
    if (progressToken === undefined) return;
    this.server.notify('notifications/progress', { progressToken, progress, total, message });
  }

  log(level, data) {
    if (LEVELS.indexOf(level) < LEVELS.indexOf(this.level)) return;
    this.server.notify('notifications/message', { level, logger: 'fixture', data });
  }

  withdraw() {
    this.withdrawn = true;
  }
}

// 2025-11-25 and older: what a client can do it said once, and questions are requests of the server's own.
export class LegacyCall extends Call {
  era = 'legacy';

  get level() {
    return this.server.level;
  }

  has(capability) {
    return this.server.clientCapabilities[capability] !== undefined;
  }

  // Asks all of them at once. Each has its key as its id, where no open question has it.
  async ask(questions) {
    const asked = Object.entries(questions).map(async ([key, question]) => {
      if (!this.has(NEEDS[question.method])) throw new RpcError(-32600, `The client offers no ${question.method}`);
      const answer = await this.server.ask(this, key, question);
      if (!isAnswer(question, answer)) throw new RpcError(-32600, `That is no answer to ${question.method}`);
      return [key, answer];
    });
    return Object.fromEntries(await Promise.all(asked));
  }

  withdraw() {
    super.withdraw();
    this.server.forget(this);
  }
}

// 2026-07-28: every request says what its client can do, and questions are a result after which the client comes again.
export class ModernCall extends Call {
  era = 'modern';

  constructor(server, message, line) {
    super(server, message, line);
    this.capabilities = this.meta['io.modelcontextprotocol/clientCapabilities'];
    this.level = this.meta['io.modelcontextprotocol/logLevel'] ?? 'never';
    this.asked = this.params.name ?? this.params.uri;
    this.answers = open(this.method, this.asked, this.params.requestState);
    const given = this.params.inputResponses;
    if (given !== undefined && (given === null || typeof given !== 'object' || Array.isArray(given))) {
      throw invalid('inputResponses is an object');
    }
    this.given = given ?? {};
  }

  log(level, data) {
    if (this.level !== 'never') super.log(level, data);
  }

  has(capability) {
    return this.capabilities[capability] !== undefined;
  }

  hasExtension(name) {
    return this.capabilities.extensions?.[name] !== undefined;
  }

  async ask(questions) {
    const pending = {};
    for (const [key, question] of Object.entries(questions)) {
      if (!this.has(NEEDS[question.method])) throw missing({ [NEEDS[question.method]]: {} });
      if (key in this.answers) continue;
      if (isAnswer(question, this.given[key])) this.answers[key] = this.given[key];
      else pending[key] = question;
    }
    if (Object.keys(pending).length > 0) {
      throw new InputRequired(pending, seal(this.method, this.asked, this.answers));
    }
    return Object.fromEntries(Object.keys(questions).map((key) => [key, this.answers[key]]));
  }
}
