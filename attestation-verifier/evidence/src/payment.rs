//! What a proof says of a payment, and what opens it (docs/WIRE.md, P2 and P5).

use crate::{
    frame::{Digest, hash},
    json::{JsonError, Value, object},
    names::{UnixSeconds, UsdcAmount, Wallet},
    profile::{j, to_hex},
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

/// `paymentRef = H("sealgate/payment/v1", salt(payment), J(authorization terms))`.
pub fn payment_ref(salt: &Digest, authorization: &[u8]) -> Digest {
    hash(tag::PAYMENT, &[salt, authorization])
}
