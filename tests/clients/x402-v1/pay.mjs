// Pays for one call with the official x402 client of version 1 of the protocol, and prints what came of it.
//
//   PAYER_KEY=0x… node pay.mjs URL BODY ['Header: value' ...]
//
// Prints {status, headers, body, settlement, payment, requests}: `settlement` is the X-PAYMENT-RESPONSE header decoded,
// `payment` the X-PAYMENT header as it was sent, `requests` how many requests it took.
import { createWalletClient, http } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { base } from 'viem/chains';
import { decodeXPaymentResponse, wrapFetchWithPayment } from 'x402-fetch';

const [url, body, ...more] = process.argv.slice(2);
const own = more.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]);

let requests = 0;
let payment = null;
const seen = async (input, init) => {
  const request = new Request(input, init);
  requests += 1;
  payment = request.headers.get('X-PAYMENT') ?? payment;
  return fetch(request);
};

// It only signs; nobody answers at that address.
const wallet = createWalletClient({
  account: privateKeyToAccount(process.env.PAYER_KEY),
  chain: base,
  transport: http('http://127.0.0.1:9'),
});
const response = await wrapFetchWithPayment(seen, wallet)(url, {
  method: 'POST',
  headers: { 'content-type': 'application/json', ...Object.fromEntries(own) },
  body,
});
const text = await response.text();
const settled = response.headers.get('X-PAYMENT-RESPONSE');
console.log(JSON.stringify({
  status: response.status,
  headers: Object.fromEntries(response.headers),
  body: parsed(text),
  settlement: settled && decodeXPaymentResponse(settled),
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
