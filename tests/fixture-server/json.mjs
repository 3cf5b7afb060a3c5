// JSON whose bytes matter: values that are written as they stand, and the text of a member as it was sent.

// A value that is written as it stands, numbers and all.
export class Raw {
  constructor(text) {
    this.text = text;
  }
}

export const raw = (text) => new Raw(text);

// As JSON.stringify without spaces, and a Raw as its own text.
export function write(value) {
  if (value instanceof Raw) return value.text;
  if (Array.isArray(value)) return `[${value.map((item) => write(item ?? null)).join(',')}]`;
  if (value && typeof value === 'object') {
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${write(member)}`).join(',')}}`;
  }
  return JSON.stringify(value);
}

// The text of a member of a valid document, for instance slice(line, 'params', 'arguments'); undefined if it is not there.
export function slice(text, ...names) {
  let start = blanks(text, 0);
  for (const name of names) {
    start = memberOf(text, start, name);
    if (start === undefined) return undefined;
  }
  return text.slice(start, end(text, start));
}

function memberOf(text, start, name) {
  if (text[start] !== '{') return undefined;
  let at = blanks(text, start + 1);
  let found;
  while (text[at] === '"') {
    const close = end(text, at);
    const value = blanks(text, blanks(text, close) + 1);
    // The last of equal names counts, as for JSON.parse.
    if (JSON.parse(text.slice(at, close)) === name) found = value;
    at = blanks(text, end(text, value));
    if (text[at] === ',') at = blanks(text, at + 1);
  }
  return found;
}

function blanks(text, at) {
  while (' \t\n\r'.includes(text[at]) && at < text.length) at += 1;
  return at;
}

// Where the value that begins here ends.
function end(text, start) {
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    const letter = text[at];
    if (letter === '"') {
      for (at += 1; text[at] !== '"'; at += 1) if (text[at] === '\\') at += 1;
      if (depth === 0) return at + 1;
    } else if (letter === '{' || letter === '[') {
      depth += 1;
    } else if (letter === '}' || letter === ']') {
      if (depth === 0) return at;
      depth -= 1;
      if (depth === 0) return at + 1;
    } else if (depth === 0 && (letter === ',' || ' \t\n\r'.includes(letter))) {
      return at;
    }
  }
  return text.length;
}
