"""Makes payments.json and transaction.json: pip install eth-account==0.14.0; python3 make.py. The same bytes each time."""

import base64
import json

from eth_account import Account

USDC = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"
PAY_TO = "0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f"
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
NOW = 1_800_000_000
PAYER = Account.from_key("0x" + "11" * 32)
OTHER = Account.from_key("0x" + "22" * 32)
TYPES = {
    "TransferWithAuthorization": [
        {"name": "from", "type": "address"},
        {"name": "to", "type": "address"},
        {"name": "value", "type": "uint256"},
        {"name": "validAfter", "type": "uint256"},
        {"name": "validBefore", "type": "uint256"},
        {"name": "nonce", "type": "bytes32"},
    ]
}


def sign(terms, signer=PAYER, domain=None):
    domain = {"name": "USD Coin", "version": "2", "chainId": 8453, "verifyingContract": USDC, **(domain or {})}
    message = {**terms, **{name: int(terms[name]) for name in ("value", "validAfter", "validBefore")}}
    message["nonce"] = bytes.fromhex(terms["nonce"][2:].rjust(64, "0"))
    return "0x" + signer.sign_typed_data(domain, TYPES, message).signature.hex().removeprefix("0x")


def terms(number, **changes):
    return {
        "from": PAYER.address,
        "to": PAY_TO,
        "value": "500",
        "validAfter": "0",
        "validBefore": str(NOW + 3600),
        "nonce": "0x" + number.to_bytes(32, "big").hex(),
        **changes,
    }


def accepted(**changes):
    return {
        "scheme": "exact",
        "network": "eip155:8453",
        "amount": "500",
        "asset": USDC,
        "payTo": PAY_TO,
        "maxTimeoutSeconds": 300,
        "extra": {"name": "USD Coin", "version": "2"},
        **changes,
    }


def v2(signed, signature, **changes):
    return {
        "x402Version": 2,
        "resource": {"url": "mcp://tool/echo", "description": "", "mimeType": "application/json"},
        "accepted": accepted(),
        "payload": {"signature": signature, "authorization": signed},
        **changes,
    }


def flat(version, network, signed, signature):
    return {
        "x402Version": version,
        "scheme": "exact",
        "network": network,
        "payload": {"signature": signature, "authorization": signed},
    }


def changed_signature(signature, change):
    r, s, v = int(signature[2:66], 16), int(signature[66:130], 16), int(signature[130:], 16)
    r, s, v = change(r, s, v)
    return "0x" + r.to_bytes(32, "big").hex() + s.to_bytes(32, "big").hex() + v.to_bytes(1, "big").hex()


CASES = []


def case(name, payment, reason=None, chain=None):
    expect = {"valid": True} if reason is None else {"valid": False, "reason": reason}
    CASES.append({"id": name, "payment": payment, "chain": chain or {}, "expect": expect})


def numbered():
    return len(CASES) + 1


def simple(name, reason=None, chain=None, signer=PAYER, domain=None, envelope=None, **changes):
    signed = terms(numbered(), **changes)
    case(name, v2(signed, sign(signed, signer, domain), **(envelope or {})), reason, chain)


PAYLOAD = "invalid_payload"
SIGNATURE = "invalid_exact_evm_payload_signature"
VALUE = "invalid_exact_evm_payload_authorization_value_mismatch"
BEFORE = "invalid_exact_evm_payload_authorization_valid_before"
AFTER = "invalid_exact_evm_payload_authorization_valid_after"
TERMS = "invalid_payment_requirements"

simple("pass_v2")
signed = terms(numbered())
case("pass_v1", flat(1, "base", signed, sign(signed)))
signed = terms(numbered())
case("pass_hybrid", flat(2, "eip155:8453", signed, sign(signed)))
signed = terms(numbered())
text = json.dumps(flat(2, "base", signed, sign(signed)))
case("pass_base64_text", base64.b64encode(text.encode()).decode())
case("pass_base64_url_safe_unpadded", base64.urlsafe_b64encode(text.replace("{", "{ ", 1).encode()).decode().rstrip("="))
signed = {**terms(numbered()), "from": PAYER.address.lower(), "to": PAY_TO.lower()}
case("pass_lower_case_addresses", v2(signed, sign(signed)))
simple("pass_unknown_members", envelope={"extensions": {"a": {"info": {}, "schema": {}}}, "more": [1]})
simple("pass_resource_under_another_host", envelope={"resource": {"url": "https://elsewhere.example/api/servers/s/tools/echo"}})
simple("pass_no_resource", envelope={"resource": None})
signed = terms(numbered())
case("pass_v_as_zero_or_one", v2(signed, changed_signature(sign(signed), lambda r, s, v: (r, s, v - 27))))

simple("fail_recipient", "invalid_exact_evm_payload_recipient_mismatch", to=OTHER.address)
simple("fail_value_below", VALUE, value="499")
simple("fail_value_above", VALUE, value="501")
simple("fail_value_of_257_bits", VALUE, value=str(2**255))
simple("fail_value_hexadecimal", PAYLOAD)
CASES[-1]["payment"]["payload"]["authorization"]["value"] = "0x1f4"
simple("fail_value_leading_zero", PAYLOAD)
CASES[-1]["payment"]["payload"]["authorization"]["value"] = "0500"
simple("fail_value_number", PAYLOAD)
CASES[-1]["payment"]["payload"]["authorization"]["value"] = 500
simple("fail_expired", BEFORE, validBefore=str(NOW - 1))
simple("fail_expires_now", BEFORE, validBefore=str(NOW))
simple("fail_ends_before_the_call_may", BEFORE, validBefore=str(NOW + 20))
simple("fail_end_beyond_2_53", BEFORE, validBefore=str(2**53))
simple("fail_not_yet_valid", AFTER, validAfter=str(NOW + 60))
simple("fail_valid_from_this_very_second", AFTER, validAfter=str(NOW))
simple("fail_other_signer", SIGNATURE, signer=OTHER)
simple("fail_domain_usdc", SIGNATURE, domain={"name": "USDC"})
simple("fail_domain_version", SIGNATURE, domain={"version": "1"})
simple("fail_domain_chain", SIGNATURE, domain={"chainId": 84532})
simple("fail_domain_contract", SIGNATURE, domain={"verifyingContract": OTHER.address})
signed = terms(numbered())
case("fail_high_s", v2(signed, changed_signature(sign(signed), lambda r, s, v: (r, ORDER - s, 55 - v))), SIGNATURE)
signed = terms(numbered())
case("fail_r_bit", v2(signed, changed_signature(sign(signed), lambda r, s, v: (r ^ 1, s, v))), SIGNATURE)
signed = terms(numbered())
case("fail_signature_of_64_bytes", v2(signed, sign(signed)[:-2]), SIGNATURE)
simple("fail_account_with_code", SIGNATURE, chain={"code": "0xef0100" + "33" * 20})
simple("fail_scheme", "unsupported_scheme", envelope={"accepted": accepted(scheme="upto")})
simple("fail_network", "invalid_network", envelope={"accepted": accepted(network="eip155:84532")})
signed = terms(numbered())
case("fail_network_v1", flat(1, "base-sepolia", signed, sign(signed)), "invalid_network")
simple("fail_accepted_amount", TERMS, envelope={"accepted": accepted(amount="400")})
simple("fail_accepted_asset", TERMS, envelope={"accepted": accepted(asset=OTHER.address)})
simple("fail_accepted_payee", TERMS, envelope={"accepted": accepted(payTo=OTHER.address)})
simple("fail_transfer_method", TERMS, envelope={"accepted": accepted(extra={"assetTransferMethod": "permit2"})})
simple("fail_resource", TERMS, envelope={"resource": {"url": "mcp://tool/other"}})
simple("fail_version_3", "invalid_x402_version", envelope={"x402Version": 3})
simple("fail_version_as_text", "invalid_x402_version", envelope={"x402Version": "2"})
simple("fail_nonce_of_31_bytes", PAYLOAD)
CASES[-1]["payment"]["payload"]["authorization"]["nonce"] = "0x" + "00" * 31
simple("fail_nonce_of_33_bytes", PAYLOAD)
CASES[-1]["payment"]["payload"]["authorization"]["nonce"] = "0x" + "00" * 33
simple("fail_seventh_member", PAYLOAD)
CASES[-1]["payment"]["payload"]["authorization"]["spender"] = PAY_TO
simple("fail_no_signature", PAYLOAD)
del CASES[-1]["payment"]["payload"]["signature"]
simple("fail_nonce_used", "invalid_exact_evm_nonce_already_used", chain={"used": True})
simple("fail_no_funds", "insufficient_funds", chain={"balance": 499})
simple("fail_refused_by_token", "invalid_transaction_state", chain={"refuses": "Blacklistable: account is blacklisted"})
case("fail_not_base64", "%%%", PAYLOAD)
case("fail_base64_of_no_json", base64.b64encode(b"{").decode(), PAYLOAD)
case("fail_two_headers_joined", CASES[3]["payment"] + ", " + CASES[3]["payment"], PAYLOAD)
case("fail_array", [], PAYLOAD)
doubled = text.replace('"scheme"', '"scheme": "upto", "scheme"', 1)
case("fail_member_twice", base64.b64encode(doubled.encode()).decode(), PAYLOAD)

about = {
    "about": "x402 payments for one offer, made with eth-account. `chain` says what is not as usual on the chain.",
    "offer": {"price": "500", "payTo": PAY_TO, "resource": "mcp://tool/echo", "also": ["https://gateway.example/api/servers/s/tools/echo"]},
    "now": NOW,
    "cases": CASES,
}
with open("payments.json", "w") as out:
    json.dump(about, out, indent=1)
    out.write("\n")

TRANSACTIONS = []
for nonce, fee, data in [(0, 7, "0x"), (1, 10**9, "0x00"), (127, 2**64, "0x" + "ab" * 55), (2**40, 1, "0x" + "e3ee160e" + "cd" * 288)]:
    fields = {
        "type": 2,
        "chainId": 8453,
        "nonce": nonce,
        "maxPriorityFeePerGas": fee,
        "maxFeePerGas": 2 * fee,
        "gas": 150_000,
        "to": USDC,
        "value": 0,
        "data": data,
    }
    made = Account.sign_transaction(fields, PAYER.key)
    TRANSACTIONS.append({
        "nonce": str(nonce), "tip": str(fee), "fee": str(2 * fee), "data": data,
        "raw": made.raw_transaction.hex().removeprefix("0x"), "hash": made.hash.hex().removeprefix("0x"),
    })
with open("transaction.json", "w") as out:
    json.dump({"about": "EIP-1559 transactions signed with eth-account; gas 150000, to USDC, value 0.", "key": "11" * 32, "cases": TRANSACTIONS}, out, indent=1)
    out.write("\n")
