// requestState: what the server must know again at the next round, kept by the client, so signed. The key is of this
// process: another one does not take it.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

import { invalid } from './errors.mjs';

const key = randomBytes(32);
const tag = (text) => createHmac('sha256', key).update(text).digest();

export function seal(method, name, answers) {
  const text = JSON.stringify({ method, name, answers, nonce: randomBytes(8).toString('hex') });
  return `${Buffer.from(text).toString('base64url')}.${tag(text).toString('base64url')}`;
}

// The answers of earlier rounds.
export function open(method, name, state) {
  if (state === undefined) return {};
  const [body, signature, more] = String(state).split('.');
  const text = Buffer.from(body ?? '', 'base64url').toString('utf8');
  const given = Buffer.from(signature ?? '', 'base64url');
  const wanted = tag(text);
  const genuine = given.length === wanted.length && timingSafeEqual(given, wanted) && more === undefined;
  // Base64 has several spellings of some bytes; only ours is taken.
  if (!genuine || `${Buffer.from(text).toString('base64url')}.${wanted.toString('base64url')}` !== state) {
    throw invalid('requestState was not made here, or was changed');
  }
  const kept = JSON.parse(text);
  if (kept.method !== method || kept.name !== name) throw invalid('requestState belongs to another request');
  return kept.answers;
}
