//! What must hold before anything is set aside, in this order: terms, resource, payee and amount, window, signature.

use evidence::{UnixSeconds, json::Value};
use gate::{
    keep::Journal,
    ledger::{Block, Ledger},
};

use crate::{
    config::Config,
    exact::Exact,
    purchase::Purchase,
    reason::Reason,
    refusal::{Cannot, PaymentRefusal},
    signature::{SignatureFault, signer, token_form},
    token::{Domain, Signed},
    x402::Payment,
};

/// Name of USDC's domain on Base Sepolia. On Base it is "USD Coin", but specifications' examples show this one there.
const OTHER_NAME: &str = "USDC";

impl<J: Journal, L: Ledger> Exact<J, L> {
    /// Everything that comes before the signature. Gives the newest block.
    pub(crate) async fn check_terms(
        &self,
        purchase: &Purchase,
        presented: &Payment,
        now: UnixSeconds,
    ) -> Result<Block, PaymentRefusal> {
        accepted(self.config(), purchase, presented)?;
        resource(purchase, presented)?;
        payee_and_amount(self.config(), purchase, presented)?;
        let head = self.ledger().head().await?;
        clocks(self.config(), &head, now)?;
        window(self.config(), purchase, presented, &head)?;
        Ok(head)
    }
}

/// The signature in the token's form, if the payer named in it made it.
pub(crate) fn payer_signed(config: &Config, domain: &Domain, presented: &Payment) -> Result<[u8; 65], PaymentRefusal> {
    let wrong = |what: &str, fix| Err(PaymentRefusal::not_paid(Reason::Signature, what, fix));
    let signature = match token_form(&presented.signature) {
        Ok(signature) => signature,
        Err(SignatureFault::Wrapped) => return Err(smart_wallet("the account is not deployed (ERC-6492)")),
        Err(SignatureFault::Length) => {
            return wrong(
                "the signature is not 65 bytes long",
                "sign EIP-712 typed data with the key of the account in `from`",
            );
        }
        Err(SignatureFault::Form) => {
            return wrong(
                "the token refuses signatures of this form (r or s out of range, s high, or v not 27 or 28)",
                "sign with low s, v 27 or 28",
            );
        }
    };
    let Some(signed) = signed(presented) else {
        return wrong("no authorization of this amount can be executed", "sign the amount of the offer");
    };
    if signer(&signature, &domain.digest(&signed)) == Some(presented.from) {
        return Ok(signature);
    }
    let other = Domain::named(config, OTHER_NAME);
    if config.domain_name != OTHER_NAME && signer(&signature, &other.digest(&signed)) == Some(presented.from) {
        return wrong(
            "signed in the domain \"USDC\": on this chain the token's domain is named \"USD Coin\"",
            "sign with the name and version in the offer's `extra`",
        );
    }
    wrong(
        "the signature is not that of `from` over this authorization in the token's domain",
        "sign with the key of `from`, with the offer's `extra`, `asset` and chain id as domain",
    )
}

/// Accounts with code answer for their signatures themselves, which nothing here asks yet.
pub(crate) fn smart_wallet(what: &str) -> PaymentRefusal {
    PaymentRefusal::not_paid(
        Reason::Signature,
        format!("smart wallets cannot pay here yet: {what}"),
        "pay from an account without code",
    )
}

/// The members that the payer signed. `None`: of an amount beyond every price.
pub(crate) fn signed(presented: &Payment) -> Option<Signed> {
    Some(Signed {
        from: presented.from,
        to: presented.to,
        value: presented.value?,
        valid_after: presented.valid_after.0,
        valid_before: presented.valid_before.0,
        nonce: presented.nonce,
    })
}

/// What the payer says to have accepted is what we offered.
fn accepted(config: &Config, purchase: &Purchase, presented: &Payment) -> Result<(), PaymentRefusal> {
    let accepted = &presented.accepted;
    if accepted.scheme != "exact" {
        return Err(PaymentRefusal::not_paid(
            Reason::UnsupportedScheme,
            "the payment is of another scheme than `exact`",
            "choose the offer with scheme `exact`",
        ));
    }
    // Either spelling, whatever the version: the signature is bound to the chain id.
    if accepted.network != config.network() && Some(accepted.network.as_str()) != config.network_v1() {
        return Err(PaymentRefusal::not_paid(
            Reason::InvalidNetwork,
            format!("the payment is for another chain than {}", config.network()),
            "sign for the offer's network",
        ));
    }
    let Some(terms) = &accepted.terms else { return Ok(()) };
    let wrong = |what: &str, fix| Err(PaymentRefusal::not_paid(Reason::InvalidPaymentRequirements, what, fix));
    if terms.asset != config.asset {
        return wrong("`accepted` names another token than the offer", "accept the offer as it is");
    }
    if terms.pay_to != config.pay_to {
        return wrong("`accepted` names another payee than the offer", "accept the offer as it is");
    }
    if terms.amount != purchase.price.units().to_string() {
        return wrong(
            "`accepted` names another amount than the offer",
            "ask for the offer again: its price may be new",
        );
    }
    match terms.transfer_method.as_deref() {
        None | Some("eip3009") => Ok(()),
        Some(_) => wrong("`accepted` names another transfer method than EIP-3009", "accept the offer as it is"),
    }
}

/// If the payment says what it is for, it is for this. Host, scheme, query and a trailing slash are not compared: clients
/// reach one gateway under several names.
fn resource(purchase: &Purchase, presented: &Payment) -> Result<(), PaymentRefusal> {
    let Some(said) = &presented.resource else { return Ok(()) };
    let said = canonical(said);
    let ours = std::iter::once(&purchase.resource).chain(&purchase.also);
    if ours.map(|url| canonical(url)).any(|ours| ours == said) {
        return Ok(());
    }
    Err(PaymentRefusal::not_paid(
        Reason::InvalidPaymentRequirements,
        format!("the payment is for another resource than {}", Value::from(purchase.resource.as_str()).to_text()),
        "sign a payment for the resource that the offer names",
    ))
}

/// The part of a URL that says what is asked for: the path of an HTTP URL, all of any other.
fn canonical(url: &str) -> Vec<u8> {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let url = url.get(..end).unwrap_or_default();
    let scheme = url
        .split_once("://")
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"));
    let path = scheme.map_or(url, |(_, rest)| rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"));
    let mut bytes = unescaped(path);
    while bytes.len() > 1 && bytes.last() == Some(&b'/') {
        bytes.pop();
    }
    bytes
}

/// Percent-decoded; what is no escape stays as it is.
fn unescaped(path: &str) -> Vec<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        let escape = match rest {
            [b'%', high, low, tail @ ..] => digit(high).zip(digit(low)).map(|(high, low)| (high * 16 + low, tail)),
            _ => None,
        };
        let (byte, tail) = escape.unwrap_or((*first, tail));
        out.push(byte);
        rest = tail;
    }
    out
}

/// Version 2 says "equal", version 1 "at least". Equal it is for both: the price is what is set aside, proven and taken,
/// and every version 1 client signs exactly `maxAmountRequired`.
fn payee_and_amount(config: &Config, purchase: &Purchase, presented: &Payment) -> Result<(), PaymentRefusal> {
    if presented.to != config.pay_to {
        return Err(PaymentRefusal::not_paid(
            Reason::RecipientMismatch,
            "the authorization pays somebody else than the offer's payTo",
            "sign `to` as in the offer",
        ));
    }
    if presented.value != Some(purchase.price.units()) {
        return Err(PaymentRefusal::not_paid(
            Reason::ValueMismatch,
            format!("the authorization is not over exactly {} base units", purchase.price.units()),
            "sign exactly the amount of the offer",
        ));
    }
    Ok(())
}

fn clocks(config: &Config, head: &Block, now: UnixSeconds) -> Result<(), PaymentRefusal> {
    if head.timestamp.abs_diff(now.0) > config.clock_tolerance_s {
        return Err(PaymentRefusal::CannotSettle(Cannot::Clocks { local: now.0, chain: head.timestamp }));
    }
    Ok(())
}

/// Valid now, by the chain's time, and for as long as call and settlement may take. The token's comparison is strict.
fn window(config: &Config, purchase: &Purchase, presented: &Payment, head: &Block) -> Result<(), PaymentRefusal> {
    if presented.valid_after.0 >= head.timestamp {
        return Err(PaymentRefusal::not_paid(
            Reason::ValidAfter,
            "the authorization is not valid yet",
            "sign with validAfter 0, or pay later",
        ));
    }
    let needed = config.least_validity_s(purchase.deadline);
    if presented.valid_before.0 < head.timestamp.saturating_add(needed) {
        let what = if presented.valid_before.0 <= head.timestamp {
            "the authorization is not valid any more".to_owned()
        } else {
            format!("the authorization ends too early: the call and its settlement may take {needed} s")
        };
        return Err(PaymentRefusal::not_paid(
            Reason::ValidBefore,
            what,
            "sign with validBefore at least the offer's maxTimeoutSeconds from now",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn a_resource_is_compared_by_what_it_names_and_not_by_how_it_was_reached() {
        for (one, other) in [
            ("https://a.example/api/servers/x/tools/y", "http://127.0.0.1:8402/api/servers/x/tools/y/?q=1#f"),
            ("https://a.example/api/servers/x/tools/a%20b", "/api/servers/x/tools/a b"),
            ("HTTPS://a.example", "https://b.example/"),
            ("mcp://tool/echo", "mcp://tool/echo/"),
        ] {
            assert_eq!(canonical(one), canonical(other));
        }
        for (one, other) in [
            ("https://a.example/api/servers/x/tools/y", "https://a.example/api/servers/x/tools/z"),
            ("mcp://tool/echo", "mcp://tool/Echo"),
            ("mcp://tool/echo", "https://tool/echo"),
            ("/a%2", "/a"),
        ] {
            assert_ne!(canonical(one), canonical(other));
        }
    }
}
