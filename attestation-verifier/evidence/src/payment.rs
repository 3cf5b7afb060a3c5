//! What a proof says of a payment, and what opens it (docs/WIRE.md, P2 and P5).

use crate::{
    frame::{Digest, hash},
    json::{JsonError, Value, object},
    names::{UnixSeconds, UsdcAmount, Wallet},
    profile::{Members, ShapeError, j, to_hex},
    tag,
};

/// The rail of an EIP-3009 authorization that the gateway settles by itself.
pub const X402_EXACT: &str = "x402-exact";

/// What a payer signed: an EIP-3009 `TransferWithAuthorization` of one token on one chain. It names the payer, so only
/// its salted digest goes into a proof.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Authorization {
    /// CAIP-2: `eip155:8453`.
    pub network: String,
    /// The token's contract.
    pub asset: Wallet,
    /// Who pays.
    pub from: Wallet,
    /// Who is paid.
    pub to: Wallet,
    /// How much.
    pub value: UsdcAmount,
    /// Void up to and including this second.
    pub valid_after: UnixSeconds,
    /// Void from this second on.
    pub valid_before: UnixSeconds,
    /// 32 bytes, once for each payer and token.
    pub nonce: [u8; 32],
}

impl Authorization {
    /// `J(authorization terms)`: what paymentRef commits to.
    ///
    /// # Errors
    /// The network's name does not fit the profile, or a time is beyond 2⁵³.
    pub fn to_bytes(&self) -> Result<Vec<u8>, JsonError> {
        j(&object([
            ("rail", X402_EXACT.into()),
            ("network", self.network.as_str().into()),
            ("asset", to_hex(self.asset.as_bytes())),
            ("from", to_hex(self.from.as_bytes())),
            ("to", to_hex(self.to.as_bytes())),
            ("value", Value::from(self.value.units().to_string())),
            ("validAfter", self.valid_after.0.into()),
            ("validBefore", self.valid_before.0.into()),
            ("nonce", to_hex(&self.nonce)),
        ]))
    }
}

impl Authorization {
    /// Reads the terms, in any layout: exactly the members of [`Self::to_bytes`].
    ///
    /// # Errors
    /// A member that is missing, unknown or of another shape.
    pub fn from_value(value: &Value) -> Result<Self, ShapeError> {
        let mut terms = Members::of(value, "authorization")?;
        let _: &str = terms.word("rail", &[X402_EXACT])?;
        let read = Self {
            network: network(&mut terms)?,
            asset: Wallet::new(terms.hex("asset")?),
            from: Wallet::new(terms.hex("from")?),
            to: Wallet::new(terms.hex("to")?),
            value: amount(&mut terms, "value")?,
            valid_after: UnixSeconds(terms.integer("validAfter")?),
            valid_before: UnixSeconds(terms.integer("validBefore")?),
            nonce: terms.hex("nonce")?,
        };
        terms.finish()?;
        Ok(read)
    }
}

/// What a proof says of the payment for its call: whom and how much, and a salted digest of what the payer signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PaymentClaim {
    /// [`X402_EXACT`]
    pub rail: &'static str,
    /// CAIP-2: `eip155:8453`.
    pub network: String,
    /// The token's contract.
    pub asset: Wallet,
    /// Who is paid; a verifier looks for it in the state.
    pub pay_to: Wallet,
    /// How much.
    pub amount: UsdcAmount,
    /// [`payment_ref`]
    pub payment_ref: Digest,
}

impl PaymentClaim {
    /// What a proof says of this authorization.
    ///
    /// # Errors
    /// As [`Authorization::to_bytes`].
    pub fn of(authorization: &Authorization, salt: &Digest) -> Result<Self, JsonError> {
        Ok(Self {
            rail: X402_EXACT,
            network: authorization.network.clone(),
            asset: authorization.asset,
            pay_to: authorization.to,
            amount: authorization.value,
            payment_ref: payment_ref(salt, &authorization.to_bytes()?),
        })
    }

    /// The member `payment` of a proof.
    pub(crate) fn to_value(&self) -> Value {
        object([
            ("rail", self.rail.into()),
            ("network", self.network.as_str().into()),
            ("asset", to_hex(self.asset.as_bytes())),
            ("payTo", to_hex(self.pay_to.as_bytes())),
            ("amount", self.amount.units().to_string().into()),
            ("ref", to_hex(&self.payment_ref)),
        ])
    }

    /// Reads the member `payment` of a proof.
    pub(crate) fn from_value(value: &Value) -> Result<Self, ShapeError> {
        let mut claim = Members::of(value, "proof.payment")?;
        let read = Self {
            rail: claim.word("rail", &[X402_EXACT])?,
            network: network(&mut claim)?,
            asset: Wallet::new(claim.hex("asset")?),
            pay_to: Wallet::new(claim.hex("payTo")?),
            amount: amount(&mut claim, "amount")?,
            payment_ref: claim.hex("ref")?,
        };
        claim.finish()?;
        Ok(read)
    }
}

/// The member `network`: a chain of the EVM by its CAIP-2 name, the only kind that these rails pay on.
pub(crate) fn network(members: &mut Members<'_>) -> Result<String, ShapeError> {
    let text = members.string("network")?;
    let chain = text.strip_prefix("eip155:").unwrap_or_default();
    let well_formed =
        (1..=32).contains(&chain.len()) && chain.bytes().all(|byte| byte.is_ascii_digit()) && !chain.starts_with('0');
    if well_formed { Ok(text.to_owned()) } else { Err(members.wrong("network", "want eip155: and a chain's number")) }
}

/// A member that holds base units of more than nothing: who pays nothing makes no payment.
pub(crate) fn amount(members: &mut Members<'_>, name: &str) -> Result<UsdcAmount, ShapeError> {
    let amount = UsdcAmount::from_units_text(members.string(name)?).ok().filter(|amount| !amount.is_zero());
    amount.ok_or_else(|| members.wrong(name, "want base units as a decimal number from 1, below 2^64"))
}

/// `paymentRef = H("sealgate/payment/v1", salt(payment), J(authorization terms))`.
pub fn payment_ref(salt: &Digest, authorization: &[u8]) -> Digest {
    hash(tag::PAYMENT, &[salt, authorization])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::parse_ours;

    fn terms() -> Authorization {
        Authorization {
            network: "eip155:8453".to_owned(),
            asset: Wallet::new([1; 20]),
            from: Wallet::new([2; 20]),
            to: Wallet::new([3; 20]),
            value: UsdcAmount::from_units(500),
            valid_after: UnixSeconds(0),
            valid_before: UnixSeconds(1_795_219_500),
            nonce: [4; 32],
        }
    }

    #[test]
    fn terms_and_claims_are_read_as_they_were_written() {
        let bytes = terms().to_bytes().unwrap();
        assert_eq!(Authorization::from_value(&parse_ours(&bytes).unwrap()), Ok(terms()));
        let claim = PaymentClaim::of(&terms(), &[9; 32]).unwrap();
        assert_eq!(PaymentClaim::from_value(&claim.to_value()), Ok(claim));
    }

    #[test]
    fn every_term_changes_the_reference() {
        let changes: [fn(&mut Authorization); 8] = [
            |terms| terms.network = "eip155:1".to_owned(),
            |terms| terms.asset = Wallet::new([9; 20]),
            |terms| terms.from = Wallet::new([9; 20]),
            |terms| terms.to = Wallet::new([9; 20]),
            |terms| terms.value = UsdcAmount::from_units(501),
            |terms| terms.valid_after = UnixSeconds(1),
            |terms| terms.valid_before = UnixSeconds(1),
            |terms| terms.nonce = [5; 32],
        ];
        let reference = |terms: &Authorization| payment_ref(&[9; 32], &terms.to_bytes().unwrap());
        let mut seen = vec![reference(&terms()), payment_ref(&[8; 32], &terms().to_bytes().unwrap())];
        for change in changes {
            let mut changed = terms();
            change(&mut changed);
            assert!(!seen.contains(&reference(&changed)));
            seen.push(reference(&changed));
        }
    }

    #[test]
    fn a_network_or_amount_of_another_spelling_is_refused() {
        let text = String::from_utf8(terms().to_bytes().unwrap()).unwrap();
        let long = format!("eip155:{}", "1".repeat(33));
        for network in ["base", "eip155:", "eip155:08453", "eip155:0x1", "EIP155:8453", "eip155:8453 ", &long] {
            let changed = text.replace("eip155:8453", network);
            assert!(Authorization::from_value(&parse_ours(changed.as_bytes()).unwrap()).is_err(), "{network}");
        }
        for amount in ["\"0\"", "\"0500\"", "500", "\"5e2\"", "\"18446744073709551616\"", "null"] {
            let changed = text.replace("\"500\"", amount);
            assert!(Authorization::from_value(&parse_ours(changed.as_bytes()).unwrap()).is_err(), "{amount}");
        }
    }
}
