// Resources, their templates, prompts, and completions of their arguments.
import { embedded, image, PNG, text } from './content.mjs';
import { invalid } from './errors.mjs';
import { elicit } from './questions.mjs';

const resource = (uri, name, description, mimeType) => ({ uri, name, description, mimeType });

export const RESOURCES = [
  resource('test://static-text', 'static-text', 'A text that stays the same', 'text/plain'),
  resource('test://static-binary', 'static-binary', 'An image that stays the same', 'image/png'),
  resource('test://watched-resource', 'watched-resource', 'A text that changes when it is told to', 'text/plain'),
  resource('test://embedded-resource', 'embedded-resource', 'The text that test_embedded_resource holds', 'text/plain'),
];

export const TOGGLED = resource('test://toggled', 'toggled', 'Is there every other time', 'text/plain');

export const TEMPLATES = [
  {
    uriTemplate: 'test://template/{id}/data',
    name: 'template-data',
    description: 'Data of one id',
    mimeType: 'application/json',
  },
];

// The contents of a resource; undefined if there is none.
export function read(uri, version) {
  const of = (mimeType, more) => [{ uri, mimeType, ...more }];
  const template = /^test:\/\/template\/([^/]+)\/data$/.exec(uri);
  if (template) {
    const id = decodeURIComponent(template[1]);
    return of('application/json', { text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }) });
  }
  switch (uri) {
    case 'test://static-text':
      return of('text/plain', { text: 'This is the content of the static text resource.' });
    case 'test://static-binary':
      return of('image/png', { blob: PNG });
    case 'test://watched-resource':
      return of('text/plain', { text: `Watched resource, version ${version}` });
    case 'test://embedded-resource':
      return of('text/plain', { text: 'This is an embedded resource content.' });
    case 'test://toggled':
      return of('text/plain', { text: 'I am here' });
    default:
      return undefined;
  }
}

const user = (content) => ({ role: 'user', content });
const argument = (name, description) => ({ name, description, required: true });

export const PROMPTS = [
  {
    definition: { name: 'test_simple_prompt', description: 'One sentence' },
    make: () => [user(text('This is a simple prompt for testing.'))],
  },
  {
    definition: {
      name: 'test_prompt_with_arguments',
      description: 'A sentence with two arguments',
      arguments: [argument('arg1', 'First test argument'), argument('arg2', 'Second test argument')],
    },
    make: ({ arguments: { arg1, arg2 } }) => [user(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`))],
  },
  {
    definition: {
      name: 'test_prompt_with_embedded_resource',
      description: 'A prompt that holds a resource',
      arguments: [argument('resourceUri', 'URI of the resource to embed')],
    },
    make: ({ arguments: { resourceUri } }) => [
      user(embedded(resourceUri, 'text/plain', 'Embedded resource content for testing.')),
      user(text('Please process the embedded resource above.')),
    ],
  },
  {
    definition: { name: 'test_prompt_with_image', description: 'A prompt that holds an image' },
    make: () => [user(image()), user(text('Please analyze the image above.'))],
  },
  {
    definition: { name: 'test_input_required_result_prompt', description: 'A prompt that asks the user first' },
    make: async (call) => {
      const question = elicit('What context should the prompt use?', { context: { type: 'string' } });
      const { user_context } = await call.ask({ user_context: question });
      return [user(text(`Context: ${user_context.content?.context ?? 'none'}`))];
    },
  },
];

export const TOGGLED_PROMPT = {
  definition: { name: 'test_toggled_prompt', description: 'Is there every other time' },
  make: () => [user(text('I am here'))],
};

export async function prompt(prompts, call) {
  const found = prompts.find(({ definition }) => definition.name === call.params.name);
  if (!found) throw invalid(`There is no prompt ${JSON.stringify(call.params.name)}`);
  const missing = (found.definition.arguments ?? []).filter(({ name }) => typeof call.arguments[name] !== 'string');
  if (missing.length > 0) throw invalid(`The prompt needs ${missing.map(({ name }) => name).join(', ')}`);
  return { description: found.definition.description, messages: await found.make(call) };
}

const WORDS = { arg1: ['paris', 'park', 'party', 'testValue1'], arg2: ['london', 'testValue2'], id: ['123', '124', '456'] };

export function complete({ ref, argument: asked }) {
  if (!['ref/prompt', 'ref/resource'].includes(ref?.type) || typeof asked?.value !== 'string') {
    throw invalid('completion/complete takes ref and argument');
  }
  const values = (WORDS[asked.name] ?? []).filter((word) => word.startsWith(asked.value));
  return { completion: { values, total: values.length, hasMore: false } };
}
