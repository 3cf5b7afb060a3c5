// Signs one request with ERC-8128, sends it, and prints what came of it.
//
//   SIGNER_KEY=0x… node send.mjs METHOD URL BODY ['Header: value' ...]        an empty BODY is no body
//
// Prints {status, headers, body, sent}: `sent` are the request's headers with the signature's, to be used again.
import { createSignerClient } from '@slicekit/erc8128';
import { privateKeyToAccount } from 'viem/accounts';

const BASE = 8453;
const [method, url, body, ...more] = process.argv.slice(2);
const headers = Object.fromEntries(
  more.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]),
);
const account = privateKeyToAccount(process.env.SIGNER_KEY);
const client = createSignerClient({
  chainId: BASE,
  address: account.address,
  signMessage: (raw) => account.signMessage({ message: { raw } }),
});

const request = await client.signRequest(url, {
  method,
  headers: body ? { 'content-type': 'application/json', ...headers } : headers,
  body: body || undefined,
});
const sent = Object.fromEntries(request.headers);
const response = await fetch(request);
const text = await response.text();
console.log(JSON.stringify({
  status: response.status,
  headers: Object.fromEntries(response.headers),
  body: parsed(text),
  sent,
}));

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
