// Makes requests.json and tokens.json beside it, the same bytes each time: fixed keys, times and nonces, and signatures
// are deterministic (RFC 6979). Keys 1 and 2 are public: never fund them.
import { writeFileSync } from 'node:fs'
import { createSignerClient } from '@slicekit/erc8128'
import { privateKeyToAccount } from 'viem/accounts'

const key = (n) => privateKeyToAccount('0x' + n.toString(16).padStart(64, '0'))
const [one, two] = [key(1), key(2)]
const N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const created = 1790000000
const now = created + 1

// ---- signed requests
const signer = (account, chainId) => createSignerClient({
  chainId,
  address: account.address,
  signMessage: (message) => account.signMessage({ message: { raw: message } }),
})

async function sign(url, init = {}, { account = one, chain = 8453, ...options } = {}) {
  const request = new Request(url, init)
  const signed = await signer(account, chain).signRequest(request, {
    label: 'eth', created, expires: created + 60, nonce: 'bm9uY2Utb2YtYS10ZXN0', ...options,
  })
  // `Request` writes a URL without the default port and lower-cases the host; a request is kept as it was asked for.
  return { method: signed.method, url, headers: [...signed.headers], body: init.body ?? null }
}

const cases = []
const put = (id, request, expect, verifier = {}, submissions = 1) =>
  cases.push({ id, request, verifier: { now, ...verifier }, submissions, expect })
const good = (id, request, verifier, wallet = one) =>
  put(id, request, { verdict: 'accept', wallet: wallet.address.toLowerCase() }, verifier)
const bad = (id, code, request, verifier, submissions) => put(id, request, { verdict: 'reject', code }, verifier, submissions)
const header = (request, name, change) => ({
  ...request,
  headers: request.headers.flatMap(([n, value]) => {
    if (n !== name) return [[n, value]]
    const changed = change(value)
    return changed === null ? [] : [[n, changed]]
  }),
})
const input = (request, change) => header(request, 'signature-input', change)
const signature = (request, change) => header(request, 'signature', (text) => {
  const [label, encoded] = text.split(/=:|:$/)
  return `${label}=:${change(Buffer.from(encoded, 'base64')).toString('base64')}:`
})
const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'echo', arguments: {} } })
const json = { 'content-type': 'application/json' }
const post = (headers = {}) => ({ method: 'POST', headers: { ...json, ...headers }, body })

const plain = await sign('https://gw.example/api/servers')
const query = await sign('https://gw.example/api/servers?limit=1')
const call = await sign('https://gw.example/mcp', post())
const named = await sign('https://gw.example/mcp', post({ 'mcp-name': 'echo' }), { components: ['mcp-name'] })

good('ok_get', plain)
good('ok_get_with_query', query)
good('ok_post', call)
good('ok_post_with_query', await sign('https://gw.example/mcp?session=1', post()))
good('ok_delete', await sign('https://gw.example/api/secrets/x', { method: 'DELETE' }))
good('ok_other_port', await sign('https://gw.example:8443/api/servers'))
good('ok_default_port_and_upper_case', { ...plain, url: 'https://GW.example:443/api/servers' })
good('ok_more_covered', named)
good('ok_other_wallet', await sign('https://gw.example/api/servers', {}, { account: two }), {}, two)
good('ok_other_chain_that_is_served', await sign('https://gw.example/api/servers', {}, { chain: 1 }))
good('ok_at_created', plain, { now: created })
good('ok_at_expires', plain, { now: created + 60 })
good('ok_early_within_skew', plain, { now: created - 5, clockSkewSec: 5 })
good('ok_late_within_skew', plain, { now: created + 65, clockSkewSec: 5 })
good('ok_window_of_300', await sign('https://gw.example/api/servers', {}, { expires: created + 300 }))
good('ok_foreign_signature_first', header(input(plain,
  (v) => `bot=("@authority");created=${created};expires=${created + 60};keyid="k";tag="web-bot-auth", ${v}`),
  'signature', (v) => `bot=:AAAA:, ${v}`))
{
  const second = await sign('https://gw.example/api/servers', {}, { account: two, label: 'two' })
  const join = (name, first) => `${first}, ${second.headers.find(([n]) => n === name)[1]}`
  const broken = signature(plain, (bytes) => { bytes[0] ^= 1; return bytes })
  const both = header(input(broken, (v) => join('signature-input', v)), 'signature', (v) => join('signature', v))
  good('ok_second_of_two', both, {}, two)
}

bad('early', 'not_yet_valid', plain, { now: created - 1 })
bad('early_beyond_skew', 'not_yet_valid', plain, { now: created - 6, clockSkewSec: 5 })
bad('late', 'expired', plain, { now: created + 61 })
bad('late_beyond_skew', 'expired', plain, { now: created + 66, clockSkewSec: 5 })
bad('window_of_301', 'validity_too_long', await sign('https://gw.example/api/servers', {}, { expires: created + 301 }))
bad('expires_before_created', 'bad_time', input(plain, (v) => v.replace(/expires=\d+/, `expires=${created - 1}`)))
bad('no_created', 'bad_time', input(plain, (v) => v.replace(/;created=\d+/, '')))
bad('again', 'replay', plain, {}, 2)
bad('again_after_a_skewed_end', 'replay', plain, { now: created + 65, clockSkewSec: 5 }, 2)
bad('no_nonce', 'replayable_not_allowed', await sign('https://gw.example/api/servers', {}, { replay: 'replayable', nonce: undefined }))
bad('empty_nonce', 'nonce_required', input(plain, (v) => v.replace(/nonce="[^"]*"/, 'nonce=""')))
bad('nonce_of_129', 'nonce_required', input(plain, (v) => v.replace(/nonce="[^"]*"/, `nonce="${'n'.repeat(129)}"`)))
bad('class_bound', 'not_request_bound', await sign('https://gw.example/api/servers', {}, { binding: 'class-bound', components: ['@authority', '@path'] }))
bad('query_added', 'not_request_bound', { ...plain, url: plain.url + '?admin=1' })
bad('empty_query_added', 'not_request_bound', { ...plain, url: plain.url + '?' })
bad('body_added', 'not_request_bound', { ...plain, body: '{}' })
bad('extra_field_not_covered', 'not_request_bound', call, { additionalRequestBoundComponents: ['mcp-name'] })
bad('query_changed', 'bad_signature', { ...query, url: 'https://gw.example/api/servers?limit=2' })
bad('path_changed', 'bad_signature', { ...plain, url: 'https://gw.example/api/secrets' })
bad('authority_changed', 'bad_signature', { ...plain, url: 'https://other.example/api/servers' })
bad('port_changed', 'bad_signature', { ...plain, url: 'https://gw.example:8443/api/servers' })
bad('port_80_is_no_default_of_https', 'bad_signature', { ...plain, url: 'https://gw.example:80/api/servers' })
bad('method_changed', 'bad_signature', { ...plain, method: 'DELETE' })
bad('method_in_lower_case', 'bad_signature', { ...plain, method: 'get' })
bad('body_changed', 'digest_mismatch', { ...call, body: body.replace('echo', 'drop') })
bad('body_removed', 'digest_mismatch', { ...call, body: null })
bad('digest_removed', 'digest_required', header(call, 'content-digest', () => null))
bad('digest_of_an_unknown_algorithm', 'digest_required', header(call, 'content-digest', (v) => v.replace('sha-256', 'md5')))
bad('one_of_two_digests_wrong', 'digest_mismatch', header(call, 'content-digest', (v) => `${v}, sha-512=:AAAA:`))
bad('covered_field_changed', 'bad_signature', header(named, 'mcp-name', () => 'drop'))
bad('line_before_a_covered_field', 'bad_signature', { ...named, headers: [['mcp-name', 'drop'], ...named.headers] })
bad('covered_field_removed', 'bad_signature_input', header(named, 'mcp-name', () => null))
bad('no_signature_input', 'missing_headers', input(plain, () => null))
bad('no_signature', 'missing_headers', header(plain, 'signature', () => null))
bad('labels_differ', 'label_not_found', header(plain, 'signature', (v) => v.replace('eth=', 'sig=')))
bad('names_without_quotes', 'bad_signature_input', input(plain, (v) => v.replace('"@method"', '@method')))
bad('parameters_inside', 'bad_signature_input', input(plain, (v) => v.replace(')', '') + ')'))
bad('component_twice', 'bad_signature_input', input(plain, (v) => v.replace('"@method"', '"@method" "@method"')))
bad('component_with_a_parameter', 'bad_signature_input', input(plain, (v) => v.replace('"@method"', '"@method";req')))
bad('component_of_a_response', 'bad_signature_input', input(plain, (v) => v.replace('"@path"', '"@path" "@status"')))
bad('parameter_order_changed', 'bad_signature', input(plain, (v) => v.replace(/;created=(\d+);expires=(\d+)/, ';expires=$2;created=$1')))
bad('component_order_changed', 'bad_signature', input(plain, (v) => v.replace('"@authority" "@method"', '"@method" "@authority"')))
bad('parameter_twice', 'bad_signature', input(plain, (v) => v + ';created=1789999999'))
bad('algorithm_named', 'alg_not_allowed', input(plain, (v) => v + ';alg="ecdsa-p256-sha256"'))
bad('draft_by_tag', 'dialect_not_supported', input(plain, (v) => v + ';tag="erc8128"'))
bad('draft_by_keyid', 'bad_keyid', input(plain, (v) => v.replace('erc8128:', 'eip155:')))
bad('keyid_of_another_wallet', 'bad_signature', input(plain, (v) => v.replace(/0x[0-9a-f]{40}/, two.address.toLowerCase())))
bad('keyid_of_another_chain', 'bad_signature', input(plain, (v) => v.replace(':8453:', ':1:')))
bad('keyid_of_a_chain_not_served', 'bad_keyid', await sign('https://gw.example/api/servers', {}, { chain: 10 }))
bad('keyid_with_a_wrong_checksum', 'bad_keyid', input(plain, (v) => v.replace(/0x7e/, '0x7E')))
bad('keyid_of_a_chain_in_hex', 'bad_keyid', input(plain, (v) => v.replace(':8453:', ':0x2105:')))
bad('bit_of_r', 'bad_signature', signature(plain, (bytes) => { bytes[5] ^= 1; return bytes }))
bad('bit_of_s', 'bad_signature', signature(plain, (bytes) => { bytes[40] ^= 1; return bytes }))
bad('v_of_0', 'bad_signature', signature(plain, (bytes) => { bytes[64] -= 27; return bytes }))
bad('v_of_29', 'bad_signature', signature(plain, (bytes) => { bytes[64] = 29; return bytes }))
bad('v_flipped', 'bad_signature', signature(plain, (bytes) => { bytes[64] = 55 - bytes[64]; return bytes }))
bad('high_s', 'bad_signature', signature(plain, high))
bad('66_bytes', 'bad_signature', signature(plain, (bytes) => Buffer.concat([bytes, Buffer.alloc(1)])))
bad('64_bytes', 'bad_signature', signature(plain, (bytes) => bytes.subarray(0, 64)))
bad('no_bytes', 'bad_signature_bytes', signature(plain, () => Buffer.alloc(0)))
bad('not_base64', 'bad_signature_bytes', header(plain, 'signature', () => 'eth=:*:'))
bad('signature_as_a_string', 'bad_signature_bytes', header(plain, 'signature', () => 'eth="AAAA"'))
bad('four_candidates', 'signature_too_large', header(
  input(plain, (v) => ['eth', 'b', 'c', 'd'].map((label) => v.replace('eth=', `${label}=`)).join(', ')),
  'signature', (v) => ['eth', 'b', 'c', 'd'].map((label) => v.replace('eth=', `${label}=`)).join(', ')))
bad('nine_signatures', 'signature_too_large', input(plain, (v) =>
  [v, ...'abcdfghi'].map((label, at) => at ? `${label}=();keyid="k"` : label).join(', ')))
bad('33_components', 'signature_too_large', input(plain, (v) =>
  v.replace('"@path"', ['"@path"', ...Array.from({ length: 30 }, (_, at) => `"x-${at}"`)].join(' '))))
bad('17_parameters', 'signature_too_large', input(plain, (v) => v + 'abcdefghijklm'.split('').map((p) => `;${p}`).join('')))
bad('field_of_16385_bytes', 'signature_too_large', input(plain, (v) => `${v};x="${'x'.repeat(16385 - v.length - 5)}"`))

/** The other spelling of the same signature. */
function high(bytes) {
  const s = N - BigInt('0x' + bytes.subarray(32, 64).toString('hex'))
  const v = bytes[64] === 27 ? 28 : 27
  return Buffer.concat([bytes.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex'), Buffer.from([v])])
}

// ---- wallet tokens
const tokens = []
const iso = '2026-10-21T14:13:20.000Z'
const text = (wallet, expires = iso, purpose = 'MCP Gateway Auth') => `${purpose}\nWallet: ${wallet}\nExpires: ${expires}`
const wrap = (value) => 'mcpwt_' + Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
async function object({ account = one, msg = text(account.address), wallet = account.address, exp, ...more } = {}) {
  const expires = msg.split('Expires: ')[1]
  return { v: 1, wallet, exp: exp ?? Math.floor(Date.parse(expires) / 1000), msg, sig: await account.signMessage({ message: msg }), ...more }
}
const token = (id, text, expect) => tokens.push({ id, token: text, now, expect })
const accept = (id, text, account = one) => token(id, text, { wallet: account.address.toLowerCase() })
const refuse = (id, code, text) => token(id, text, { code: `wallet_token_${code}` })
const usual = await object()

accept('ok_gateway', wrap(usual))
accept('ok_platform', wrap(await object({ msg: text(one.address, iso, 'MCP Platform Auth') })))
accept('ok_without_milliseconds', wrap(await object({ msg: text(one.address, '2027-01-01T00:00:00Z') })))
accept('ok_date', wrap(await object({ msg: text(one.address, '2027-01-01') })))
accept('ok_other_wallet', wrap(await object({ account: two })), two)
accept('ok_more_members', wrap({ ...usual, permissions: ['tools:call'], server_id: 'x', sub: 'y', nested: { a: [1] } }))
accept('ok_wallet_in_lower_case', wrap({ ...usual, wallet: usual.wallet.toLowerCase() }))
refuse('ended', 'expired', wrap(await object({ msg: text(one.address, '2026-09-01T00:00:00Z') })))
refuse('ends_now', 'expired', wrap(await object({ msg: text(one.address, new Date(now * 1000).toISOString()) })))
refuse('exp_is_later_than_signed', 'malformed', wrap({ ...usual, exp: usual.exp + 1 }))
refuse('exp_as_a_string', 'malformed', wrap({ ...usual, exp: String(usual.exp) }))
refuse('exp_with_a_fraction', 'malformed', wrap(JSON.stringify(usual).replace(/"exp":(\d+)/, '"exp":$1.0')))
refuse('wallet_of_another', 'malformed', wrap({ ...usual, wallet: two.address }))
refuse('wallet_with_a_wrong_checksum', 'malformed', wrap({ ...usual, wallet: usual.wallet.replace('0x7E', '0x7e') }))
refuse('signed_by_another', 'bad_signature', wrap({ ...usual, sig: await two.signMessage({ message: usual.msg }) }))
refuse('other_first_line', 'malformed', wrap(await object({ msg: text(one.address, iso, 'MCP Gateway auth') })))
refuse('fourth_line', 'malformed', wrap(await object({ msg: text(one.address) + '\nScope: *', exp: usual.exp })))
refuse('line_between', 'malformed', wrap(await object({ msg: text(one.address).replace('\nExpires', '\nScope: *\nExpires') })))
refuse('lower_case_in_the_text', 'malformed', wrap(await object({ msg: text(one.address.toLowerCase()) })))
refuse('carriage_returns', 'malformed', wrap(await object({ msg: text(one.address).replaceAll('\n', '\r\n') })))
refuse('local_time', 'malformed', wrap(await object({ msg: text(one.address, '2026-10-21T14:13:20'), exp: usual.exp })))
refuse('never', 'malformed', wrap(await object({ msg: text(one.address, 'never'), exp: usual.exp })))
refuse('version_2', 'malformed', wrap({ ...usual, v: 2 }))
refuse('version_as_a_string', 'malformed', wrap({ ...usual, v: '1' }))
for (const name of ['v', 'wallet', 'exp', 'msg', 'sig']) {
  const { [name]: _, ...rest } = usual
  refuse(`no_${name}`, 'malformed', wrap(rest))
}
refuse('high_s', 'bad_signature', wrap({ ...usual, sig: '0x' + high(Buffer.from(usual.sig.slice(2), 'hex')).toString('hex') }))
refuse('short_signature', 'bad_signature', wrap({ ...usual, sig: usual.sig.slice(0, -2) }))
refuse('signature_without_0x', 'bad_signature', wrap({ ...usual, sig: usual.sig.slice(2) }))
refuse('name_twice', 'malformed', wrap(JSON.stringify(usual).replace('"wallet"', `"wallet":"${two.address}","wallet"`)))
refuse('name_twice_by_escape', 'malformed', wrap(JSON.stringify(usual).replace('"wallet"', `"\\u0077allet":"${two.address}","wallet"`)))
refuse('an_array', 'malformed', wrap([]))
refuse('bytes_after', 'malformed', wrap(JSON.stringify(usual) + '{}'))
refuse('padded', 'malformed', wrap(JSON.stringify(usual) + ' '.repeat((4 - JSON.stringify(usual).length % 3) % 3)) + '=')
refuse('plain_base64', 'malformed', 'mcpwt_' + Buffer.from(JSON.stringify({ ...usual, x: '???' })).toString('base64').replace(/=+$/, ''))
refuse('other_prefix', 'malformed', wrap(usual).replace('mcpwt_', 'mcpwt-'))
refuse('prefix_alone', 'malformed', 'mcpwt_')
refuse('4097_bytes', 'too_long', 'mcpwt_' + 'A'.repeat(4097 - 6))

const write = (name, cases) => writeFileSync(new URL(name, import.meta.url), JSON.stringify({ cases }, null, 1) + '\n')
write('requests.json', cases)
write('tokens.json', tokens)
