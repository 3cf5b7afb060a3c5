// What the server asks its client, and whether an answer is one.
export const elicit = (message, properties, required = Object.keys(properties)) => ({
  method: 'elicitation/create',
  params: { message, requestedSchema: { type: 'object', properties, required } },
});

export const sample = (prompt, maxTokens = 100) => ({
  method: 'sampling/createMessage',
  params: { messages: [{ role: 'user', content: { type: 'text', text: prompt } }], maxTokens },
});

export const roots = () => ({ method: 'roots/list', params: {} });

// The client's capability that a question needs.
export const NEEDS = { 'elicitation/create': 'elicitation', 'sampling/createMessage': 'sampling', 'roots/list': 'roots' };

export function isAnswer(question, answer) {
  if (!answer || typeof answer !== 'object' || Array.isArray(answer)) return false;
  if (question.method === 'elicitation/create') {
    if (answer.action !== 'accept') return ['decline', 'cancel'].includes(answer.action);
    const given = answer.content;
    return Boolean(given) && question.params.requestedSchema.required.every((name) => name in given);
  }
  if (question.method === 'sampling/createMessage') return Boolean(answer.content) && typeof answer.model === 'string';
  return Array.isArray(answer.roots);
}

export const DEFAULTS = {
  name: { type: 'string', description: 'User name', default: 'John Doe' },
  age: { type: 'integer', description: 'User age', default: 30 },
  score: { type: 'number', description: 'User score', default: 95.5 },
  status: { type: 'string', description: 'User status', enum: ['active', 'inactive', 'pending'], default: 'active' },
  verified: { type: 'boolean', description: 'Verification status', default: true },
};

const titled = (...titles) => titles.map((title, n) => ({ const: `value${n + 1}`, title }));
const options = ['option1', 'option2', 'option3'];

export const ENUMS = {
  untitledSingle: { type: 'string', enum: options },
  titledSingle: { type: 'string', oneOf: titled('First Option', 'Second Option', 'Third Option') },
  legacyEnum: {
    type: 'string',
    enum: ['opt1', 'opt2', 'opt3'],
    enumNames: ['Option One', 'Option Two', 'Option Three'],
  },
  untitledMulti: { type: 'array', items: { type: 'string', enum: options } },
  titledMulti: { type: 'array', items: { anyOf: titled('First Choice', 'Second Choice', 'Third Choice') } },
};
