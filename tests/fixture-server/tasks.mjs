// The extension io.modelcontextprotocol/tasks: calls that go on after their answer. Without it the same tools answer at
// their end.
import { randomUUID } from 'node:crypto';

import { failed, pause, said } from './content.mjs';
import { invalid, missing, RpcError, unknownMethod } from './errors.mjs';
import { elicit, isAnswer } from './questions.mjs';

export const EXTENSION = 'io.modelcontextprotocol/tasks';
const TTL_MS = 300_000;
const MOST = 256;
const FINAL = ['completed', 'failed', 'cancelled'];

const nothing = { type: 'object', properties: {} };
const confirm = { confirm: { type: 'boolean' } };

// `required`: only as a task. `prepare` runs before the task is made.
export const TASK_TOOLS = [
  {
    definition: {
      name: 'greet',
      description: 'Greets, at once',
      inputSchema: { type: 'object', properties: { name: { type: 'string' } } },
    },
    run: (call) => said(`Hello, ${call.arguments.name ?? 'stranger'}!`),
  },
  {
    task: 'optional',
    definition: {
      name: 'slow_compute',
      description: 'Takes as many seconds as it is told',
      inputSchema: { type: 'object', properties: { seconds: { type: 'number' }, label: { type: 'string' } } },
    },
    run: async (call) => {
      const until = Date.now() + Math.min(Number(call.arguments.seconds ?? 0), 600) * 1000;
      while (Date.now() < until && !call.withdrawn) await pause(Math.min(50, until - Date.now()));
      return said(`Computed ${call.arguments.label ?? ''}`);
    },
  },
  {
    task: 'required',
    definition: { name: 'failing_job', description: 'A task that fails in its result', inputSchema: nothing },
    run: async () => {
      await pause(1000);
      return failed('The job failed');
    },
  },
  {
    task: 'optional',
    definition: { name: 'protocol_error_job', description: 'A task that ends with an error', inputSchema: nothing },
    run: async () => {
      await pause(50);
      throw new RpcError(-32603, 'The job broke');
    },
  },
  {
    task: 'optional',
    definition: {
      name: 'confirm_delete',
      description: 'A task that asks before it deletes',
      inputSchema: { type: 'object', properties: { filename: { type: 'string' } } },
    },
    run: async (call) => {
      const filename = call.arguments.filename ?? 'nothing';
      const { sure } = await call.ask({ sure: elicit(`Delete ${filename}?`, confirm) });
      return said(sure.content?.confirm ? `Deleted ${filename}` : `Kept ${filename}`);
    },
  },
  {
    task: 'optional',
    definition: { name: 'multi_input', description: 'A task that asks two things at once', inputSchema: nothing },
    run: async (call) => {
      const answers = await call.ask({
        first: elicit('The first name?', { name: { type: 'string' } }),
        second: elicit('The second name?', { name: { type: 'string' } }),
      });
      return said(`${answers.first.content?.name ?? ''} and ${answers.second.content?.name ?? ''}`);
    },
  },
  {
    task: 'required',
    definition: { name: 'test_tool_with_task', description: 'Asks first, and becomes a task then', inputSchema: nothing },
    prepare: (call) => call.ask({ user_name: elicit('What is your name?', { name: { type: 'string' } }) }),
    run: async (call, { user_name }) => {
      await pause(50);
      return said(`Hello, ${user_name.content?.name ?? 'stranger'}!`);
    },
  },
];

export class Tasks {
  #tasks = new Map();

  // The result of a call of a tool that can be a task.
  async begin(call, tool) {
    const asTask = call.era === 'modern' && call.hasExtension(EXTENSION);
    if (call.era === 'modern' && tool.task === 'required' && !asTask) throw missing({ extensions: { [EXTENSION]: {} } });
    const prepared = await tool.prepare?.(call);
    if (!asTask) return tool.run(call, prepared);
    this.#expire();
    if (this.#tasks.size >= MOST) throw new RpcError(-32603, `There are ${MOST} tasks already`);
    const task = new Task(call);
    this.#tasks.set(task.id, task);
    task.run(tool, prepared);
    return { resultType: 'task', ...task.base() };
  }

  answer(call) {
    if (!['tasks/get', 'tasks/update', 'tasks/cancel'].includes(call.method)) throw unknownMethod(call.method);
    if (!call.hasExtension(EXTENSION)) throw missing({ extensions: { [EXTENSION]: {} } });
    this.#expire();
    const task = this.#tasks.get(call.params.taskId);
    if (!task) throw invalid('There is no such task');
    if (call.method === 'tasks/get') return task.whole();
    if (call.method === 'tasks/update') task.update(call.params.inputResponses ?? {});
    else task.cancel();
    return {};
  }

  #expire() {
    for (const [id, task] of this.#tasks) if (Date.now() > task.created.getTime() + TTL_MS) this.#tasks.delete(id);
  }
}

// A call that goes on by itself.
class Task {
  constructor(call) {
    this.id = randomUUID();
    this.call = call;
    this.created = new Date();
    this.updated = this.created;
    this.status = 'working';
    this.withdrawn = false;
    this.open = {};
    this.answered = {};
  }

  get arguments() {
    return this.call.arguments;
  }

  async run(tool, prepared) {
    try {
      const result = await tool.run(this, prepared);
      this.#turn('completed', { result });
    } catch (error) {
      const { code = -32603, message, data } = error;
      this.#turn('failed', { error: { code, message, data } });
    }
  }

  ask(questions) {
    this.open = { ...questions };
    this.#turn('input_required');
    return new Promise((resolve) => {
      this.resume = resolve;
    });
  }

  update(answers) {
    if (this.status !== 'input_required') return;
    for (const [key, question] of Object.entries(this.open)) {
      if (!isAnswer(question, answers[key])) continue;
      this.answered[key] = answers[key];
      delete this.open[key];
    }
    this.updated = new Date();
    if (Object.keys(this.open).length === 0) {
      this.#turn('working');
      this.resume(this.answered);
    }
  }

  cancel() {
    this.withdrawn = true;
    this.#turn('cancelled');
  }

  #turn(status, outcome = {}) {
    if (FINAL.includes(this.status)) return;
    this.status = status;
    this.outcome = outcome;
    this.updated = new Date();
  }

  base() {
    return {
      taskId: this.id,
      status: this.status,
      createdAt: this.created.toISOString(),
      lastUpdatedAt: this.updated.toISOString(),
      ttlMs: TTL_MS,
      pollIntervalMs: 100,
    };
  }

  whole() {
    const inputRequests = this.status === 'input_required' ? this.open : undefined;
    return { ...this.base(), inputRequests, ...this.outcome };
  }
}
