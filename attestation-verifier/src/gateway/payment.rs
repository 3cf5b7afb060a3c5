//! What a proof says of money: the claim against the attested state and the payer's own terms, and the settlement beside
//! the proof. The chain itself is not asked.

use evidence::{
    Digest, Opened, UnixSeconds, UsdcAmount, Wallet,
    json::{self, Limits, Value},
    payment::{Authorization, PaymentClaim, payment_ref},
    profile::{MAX_INTEGER, from_base64, j},
    proof::Envelope,
    settlement::{Outcome, Settlement, settlement_message},
};

use crate::{Attested, Class, Crypto, Policy, appraisal::Checks, gateway::bundle::apart, policy::Need};

/// The claim in the body, which is known to be signed; `given` is what the payer kept.
pub(crate) fn check_payment(envelope: &Envelope, attested: &Attested, given: Option<&[u8]>, checks: &mut Checks) {
    const NAME: &str = "payment";
    let fail = |checks: &mut Checks, detail: String, fix: &str| checks.fail(NAME, Class::Proof, detail, fix);
    let body = &envelope.proof.body;
    let Some(claim) = &body.payment else {
        match given {
            None => checks.note(NAME, Class::Proof, "the proof claims none: the call was free"),
            Some(_) => {
                let detail = "the proof claims no payment".to_owned();
                fail(checks, detail, "take the proof of the call that was paid for");
            }
        }
        return;
    };
    let Some(state) = attested.state(&body.state) else {
        checks.open(NAME, Class::Proof, "the state that the proof names is not in the bundle");
        return;
    };
    if !state.pay_to.contains(&claim.pay_to) {
        let to = claim.pay_to;
        let detail = format!("the proof says money went to {to}, an address the attested state does not name");
        fail(checks, detail, "the gateway was paid past its attested state: do not rely on it, and tell its operator");
        return;
    }
    if state.prices.is_none() {
        let detail = "the proof claims a payment, and the attested state has no prices: every call is free".to_owned();
        fail(checks, detail, "the gateway charged against its attested state: tell its operator");
        return;
    }
    let what = format!("{} units of {} on {} to {}", claim.amount.units(), claim.asset, claim.network, claim.pay_to);
    let Some(given) = given else {
        let detail = format!("{what}, an address the state names; --payment would say whether it is yours");
        checks.note(NAME, Class::Proof, &detail);
        return;
    };
    let terms = match read_terms(given, claim) {
        Ok(terms) => terms,
        Err(error) => {
            let fix = "give the payment that was sent, as JSON or as the header's base64, or its terms";
            checks.fail(NAME, Class::Malformed, error, fix);
            return;
        }
    };
    const OTHER: &str = "give what was signed for this very call, unchanged";
    if let Some(name) = difference(&terms, claim) {
        fail(checks, format!("the payment given has another {name} than proof.payment"), OTHER);
        return;
    }
    let Some(salt) = envelope.opening.as_ref().and_then(|opening| opening.salt(Opened::Payment)) else {
        let detail = "the proof carries nothing that opens its reference; use the envelope that the caller got";
        checks.open(NAME, Class::Proof, detail);
        return;
    };
    match terms.to_bytes() {
        Ok(bytes) if evidence::ct_eq(&payment_ref(&salt, &bytes), &claim.payment_ref) => {
            checks.pass(NAME, Class::Proof, format!("{what}: by the authorization you gave"));
        }
        _ => fail(checks, "the payment given is not the one that was proven".to_owned(), OTHER),
    }
}

/// The settlement, once the proof's own signature holds.
pub(crate) fn check_settlement(
    envelope: &Envelope,
    attested: &Attested,
    policy: &Policy,
    crypto: &impl Crypto,
    checks: &mut Checks,
) {
    const NAME: &str = "settlement";
    let body = &envelope.proof.body;
    let open = |checks: &mut Checks, detail: &str| match policy.settlement {
        Need::Required => checks.open(NAME, Class::Policy, &format!("{detail}; the policy wants it shown")),
        Need::Optional => checks.note(NAME, Class::Proof, detail),
    };
    let (claim, signed) = match (&body.payment, &envelope.settlement) {
        (None, None) => return,
        (None, Some(_)) => {
            let detail = "the proof claims no payment that could be settled".to_owned();
            let fix = "use proof and settlement as the gateway gave them, together";
            checks.fail(NAME, Class::Proof, detail, fix);
            return;
        }
        (Some(_), None) => {
            open(checks, "none beside the proof: what became of the payment is not shown");
            return;
        }
        (Some(claim), Some(signed)) => (claim, signed),
    };
    let settlement = &signed.settlement;
    let c = &attested.core_digest;
    let verifies = settlement.to_bytes().is_ok_and(|bytes| {
        let message = settlement_message(c, &bytes);
        crypto.ed25519(attested.core.proof_key.as_bytes(), &message, &signed.signature).is_ok()
    });
    let entry = envelope.proof.entry_digest().ok();
    if let Some((detail, fix)) = wrong(settlement, c, verifies, entry.as_ref(), claim) {
        checks.fail(NAME, Class::Proof, detail, fix);
        return;
    }
    const CHARGED: &str = "a failed call must never be charged, and a good one is not given away: tell the operator";
    match (settlement.outcome, body.execution.is_error) {
        (Outcome::Settled { transaction, .. }, false) => {
            let (units, hash) = (settlement.amount.units(), hex::encode(transaction));
            let detail = format!("the gateway says that 0x{hash} on {} moved {units} units", settlement.network);
            checks.pass(NAME, Class::Proof, detail);
        }
        (Outcome::Released, true) => {
            checks.pass(NAME, Class::Proof, "the call failed, and nothing was taken for it".to_owned());
        }
        (Outcome::Pending { .. }, _) => open(checks, "pending: not settled when the gateway signed it"),
        (Outcome::Settled { .. }, true) => {
            checks.fail(NAME, Class::Proof, "the call failed and was charged all the same".to_owned(), CHARGED);
        }
        (Outcome::Released, false) => {
            let detail = "the call succeeded, and its payment was released: it was not paid".to_owned();
            checks.fail(NAME, Class::Proof, detail, CHARGED);
        }
    }
}

/// What of a settlement is not as the proof beside it wants it, and what to do.
fn wrong(
    settlement: &Settlement,
    core: &Digest,
    verifies: bool,
    entry: Option<&Digest>,
    claim: &PaymentClaim,
) -> Option<(String, &'static str)> {
    if settlement.core != *core {
        let (named, attested) = apart(&settlement.core, core);
        let detail = format!("it names core {named}, the bundle is of core {attested}");
        return Some((detail, "a settlement signed after a restart is judged with the bundle of that boot"));
    }
    if !verifies {
        let detail = "settlement.publicSignature does not verify: it was altered".to_owned();
        return Some((detail, "use the settlement as the gateway gave it"));
    }
    let name = [
        (Some(&settlement.proof) == entry, "proof"),
        (settlement.payment_ref == claim.payment_ref, "ref"),
        (settlement.network == claim.network, "network"),
        (settlement.amount == claim.amount, "amount"),
    ]
    .into_iter()
    .find_map(|(same, name)| (!same).then_some(name))?;
    let detail = format!("settlement.{name} is not that of the proof beside it");
    Some((detail, "use proof and settlement as the gateway gave them, together"))
}

/// The first term that differs from the claim.
fn difference(terms: &Authorization, claim: &PaymentClaim) -> Option<&'static str> {
    [
        (terms.network == claim.network, "network"),
        (terms.asset == claim.asset, "asset"),
        (terms.to == claim.pay_to, "recipient"),
        (terms.value == claim.amount, "amount"),
    ]
    .into_iter()
    .find_map(|(same, name)| (!same).then_some(name))
}

/// What the payer kept: the terms themselves, or an x402 payment as JSON or as the base64 of a header.
fn read_terms(bytes: &[u8], claim: &PaymentClaim) -> Result<Authorization, String> {
    let text = bytes.trim_ascii();
    let decoded = match text.first() {
        Some(b'{') => None,
        _ => std::str::from_utf8(text).ok().and_then(from_base64),
    };
    let value = json::parse(decoded.as_deref().unwrap_or(text), &Limits::THEIRS).map_err(|error| error.to_string())?;
    if value.member("x402Version").is_some() {
        return of_x402(&value, claim).ok_or_else(|| {
            "no x402 payment of version 1 or 2, scheme exact, with payload.authorization of EIP-3009".to_owned()
        });
    }
    let _in_profile = j(&value).map_err(|error| error.to_string())?;
    Authorization::from_value(&value).map_err(|error| error.to_string())
}

/// An x402 `PaymentPayload`. Version 1 does not name the token, so the claim's is taken; the reference covers it, so
/// another one shows.
fn of_x402(payment: &Value, claim: &PaymentClaim) -> Option<Authorization> {
    let Value::Number(version) = payment.member("x402Version")? else { return None };
    let terms = match version.as_str() {
        "1" => payment,
        "2" => payment.member("accepted")?,
        _ => return None,
    };
    let text = |from: &Value, name: &str| Some(from.member(name)?.as_str()?.to_owned());
    if text(terms, "scheme")? != "exact" {
        return None;
    }
    let network = match text(terms, "network")?.as_str() {
        "base" => "eip155:8453".to_owned(),
        "base-sepolia" => "eip155:84532".to_owned(),
        other => other.to_owned(),
    };
    let asset = if version == "1" { claim.asset } else { text(terms, "asset")?.parse().ok()? };
    let signed = payment.member("payload")?.member("authorization")?;
    let wallet = |name: &str| text(signed, name)?.parse::<Wallet>().ok();
    Some(Authorization {
        network,
        asset,
        from: wallet("from")?,
        to: wallet("to")?,
        value: UsdcAmount::from_units_text(&text(signed, "value")?).ok()?,
        valid_after: seconds(signed.member("validAfter")?)?,
        valid_before: seconds(signed.member("validBefore")?)?,
        nonce: hex::decode(text(signed, "nonce")?.strip_prefix("0x")?).ok()?.try_into().ok()?,
    })
}

/// A time of an authorization: a decimal string, or a number as some clients write it.
fn seconds(value: &Value) -> Option<UnixSeconds> {
    let token = match value {
        Value::String(text) | Value::Number(text) => text,
        _ => return None,
    };
    let plain = token.bytes().all(|byte| byte.is_ascii_digit()) && !token.is_empty();
    let seconds = if plain { token.parse().ok() } else { None };
    seconds.filter(|seconds| *seconds <= MAX_INTEGER).map(UnixSeconds)
}
