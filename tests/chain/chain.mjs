// A development chain for tests and the demo: puts the real USDC on it and hands out money. No dependencies; speaks
// JSON-RPC to an anvil on loopback. scripts/local-chain is the way in.
//
//   chain.mjs deploy URL ARTIFACTS     USDC at its address on Base, from the published artifacts of its contracts
//   chain.mjs mint URL WALLET UNITS    new USDC, in base units
//   chain.mjs fund URL WALLET WEI      ether on top of what the wallet has
//   chain.mjs balances URL WALLET      {"wei", "usdc"}
//   chain.mjs new-wallet URL           {"key", "wallet"}: a throw-away key with 1 USDC and 1 ether
import { createECDH, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const USDC = '0x833589fcd6edb6e08f4c7c32d4f71b54bda02913';
const CHAIN_ID = '0x2105';
const DOMAIN_SEPARATOR = '0x02fa7265e7c5d81118673727957699e4d68f74cd74b7db77da710fe8a2c7834f';
// Slots in which the proxy keeps its implementation and its admin: keccak256 of org.zeppelinos.proxy.implementation, .admin.
const PROXY_SLOTS = [
  '0x7050c9e0f4ca769c69bd3a8ef740bc37934f8e2c036e5a723fd8ee048ed3f8c3',
  '0x10d6a54a4754c8869d6886b5f5d7fbfa5b4522237ea5c60d11bc4e7a1ff9390b',
];
const TIMEOUT_MS = 20_000;

let url;
let id = 0;

async function rpc(method, ...params) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: ++id, method, params }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const answer = await response.json();
  if (answer.error) throw new Error(`${method}: ${answer.error.message} ${answer.error.data ?? ''}`);
  return answer.result;
}

const keccak = (hex) => rpc('web3_sha3', hex);
const word = (value) => BigInt(value).toString(16).padStart(64, '0');
const plain = (hex) => hex.replace(/^0x/, '');

// ABI encoding of the few types the token's set-up has: numbers and addresses, strings, empty lists.
async function calldata(signature, ...values) {
  const selector = (await keccak('0x' + Buffer.from(signature).toString('hex'))).slice(0, 10);
  const types = signature.slice(signature.indexOf('(') + 1, -1).split(',').filter(Boolean);
  let head = '';
  let tail = '';
  types.forEach((type, at) => {
    if (type !== 'string' && type !== 'address[]') {
      head += word(values[at]);
      return;
    }
    head += word(types.length * 32 + tail.length / 2);
    const bytes = type === 'string' ? Buffer.from(values[at]) : Buffer.alloc(0);
    tail += word(bytes.length) + bytes.toString('hex').padEnd(Math.ceil(bytes.length / 32) * 64, '0');
  });
  return selector + head + tail;
}

async function transaction(fields) {
  const hash = await rpc('eth_sendTransaction', { gas: '0x1c9c380', ...fields });
  for (const deadline = Date.now() + TIMEOUT_MS; Date.now() < deadline; ) {
    const receipt = await rpc('eth_getTransactionReceipt', hash);
    if (receipt?.status === '0x1') return receipt;
    if (receipt) throw new Error(`transaction ${hash} reverted`);
    await new Promise((wake) => setTimeout(wake, 20));
  }
  throw new Error(`transaction ${hash} is in no block: is automatic mining off?`);
}

// Anvil's own accounts. The last two belong to the token, so that the others' transaction counts stay with the tests.
async function roles() {
  const accounts = await rpc('eth_accounts');
  return { owner: accounts.at(-2), admin: accounts.at(-1) };
}

async function deploy(artifacts) {
  if ((await rpc('eth_chainId')) !== CHAIN_ID) throw new Error(`the chain's id is ${await rpc('eth_chainId')}, not ${CHAIN_ID}`);
  const artifact = (path) => JSON.parse(readFileSync(join(artifacts, path)));
  const { owner, admin } = await roles();
  const create = async (data) => (await transaction({ from: owner, data })).contractAddress;

  const checker = await create(artifact('util/SignatureChecker.sol/SignatureChecker.json').bytecode);
  const token = artifact('v2/FiatTokenV2_2.sol/FiatTokenV2_2.json');
  let code = plain(token.bytecode);
  for (const { start, length } of token.linkReferences['contracts/util/SignatureChecker.sol'].SignatureChecker) {
    code = code.slice(0, start * 2) + plain(checker) + code.slice((start + length) * 2);
  }
  const implementation = await create('0x' + code);
  const proxy = await create(artifact('v1/FiatTokenProxy.sol/FiatTokenProxy.json').bytecode + word(implementation));

  // Nobody can deploy to the address it has on Base, so code and storage move there.
  await rpc('anvil_setCode', USDC, await rpc('eth_getCode', proxy, 'latest'));
  for (const slot of PROXY_SLOTS) {
    await rpc('anvil_setStorageAt', USDC, slot, await rpc('eth_getStorageAt', proxy, slot, 'latest'));
  }
  const call = async (...what) => transaction({ from: owner, to: USDC, data: await calldata(...what) });
  // The proxy answers its admin only for itself: an admin could not use the token.
  await call('changeAdmin(address)', admin);
  await call(
    'initialize(string,string,string,uint8,address,address,address,address)',
    'USD Coin', 'USDC', 'USD', 6, owner, owner, owner, owner,
  );
  await call('initializeV2(string)', 'USD Coin');
  await call('initializeV2_1(address)', owner);
  await call('initializeV2_2(address[],string)', [], 'USDC');
  await call('configureMinter(address,uint256)', owner, 2n ** 63n);

  const separator = await rpc('eth_call', { to: USDC, data: await calldata('DOMAIN_SEPARATOR()') }, 'latest');
  if (separator !== DOMAIN_SEPARATOR) throw new Error(`the token's domain separator is ${separator}, on Base it is ${DOMAIN_SEPARATOR}`);
}

async function mint(wallet, units) {
  const { owner } = await roles();
  await transaction({ from: owner, to: USDC, data: await calldata('mint(address,uint256)', wallet, units) });
}

async function fund(wallet, wei) {
  const has = BigInt(await rpc('eth_getBalance', wallet, 'latest'));
  await rpc('anvil_setBalance', wallet, '0x' + (has + BigInt(wei)).toString(16));
}

async function balances(wallet) {
  const usdc = await rpc('eth_call', { to: USDC, data: await calldata('balanceOf(address)', wallet) }, 'latest');
  return { wei: BigInt(await rpc('eth_getBalance', wallet, 'latest')).toString(), usdc: BigInt(usdc).toString() };
}

async function newWallet() {
  const curve = createECDH('secp256k1');
  const key = randomBytes(32);
  curve.setPrivateKey(key);
  const point = curve.getPublicKey('hex', 'uncompressed').slice(2);
  const wallet = '0x' + (await keccak('0x' + point)).slice(-40);
  await mint(wallet, 1_000_000);
  await fund(wallet, 10n ** 18n);
  return { key: '0x' + key.toString('hex'), wallet };
}

const commands = { deploy, mint, fund, balances, 'new-wallet': newWallet };
const [command, at, ...rest] = process.argv.slice(2);
url = at;
try {
  if (!commands[command] || !url) throw new Error(`no command ${command}; one of ${Object.keys(commands).join(', ')}`);
  const said = await commands[command](...rest);
  if (said) console.log(JSON.stringify(said));
} catch (error) {
  console.error(`chain: ${error.message}${error.cause ? ` (${error.cause.message ?? error.cause})` : ''}`);
  process.exit(1);
}
