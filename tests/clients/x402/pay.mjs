// Pays for one call with the official x402 client, version 2 of the protocol, and prints what came of it.
//
//   PAYER_KEY=0x… node pay.mjs URL BODY ['Header: value' ...]
//
// Prints {status, headers, body, settlement, payment, requests}: `settlement` is the PAYMENT-RESPONSE header decoded,
// `payment` the PAYMENT-SIGNATURE header as it was sent, `requests` how many requests it took.
import { ExactEvmScheme } from '@x402/evm';
import { decodePaymentResponseHeader, wrapFetchWithPaymentFromConfig } from '@x402/fetch';
import { privateKeyToAccount } from 'viem/accounts';

const [url, body, ...more] = process.argv.slice(2);
const own = more.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]);

let requests = 0;
let payment = null;
const seen = async (input, init) => {
  const request = new Request(input, init);
  requests += 1;
  payment = request.headers.get('PAYMENT-SIGNATURE') ?? payment;
  return fetch(request);
};

const pay = wrapFetchWithPaymentFromConfig(seen, {
  schemes: [{ network: 'eip155:8453', client: new ExactEvmScheme(privateKeyToAccount(process.env.PAYER_KEY)) }],
});
const response = await pay(url, {
  method: 'POST',
  headers: { 'content-type': 'application/json', ...Object.fromEntries(own) },
  body,
});
const text = await response.text();
const settled = response.headers.get('PAYMENT-RESPONSE');
console.log(JSON.stringify({
  status: response.status,
  headers: Object.fromEntries(response.headers),
  body: parsed(text),
  settlement: settled && decodePaymentResponseHeader(settled),
  payment,
  requests,
}));

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
