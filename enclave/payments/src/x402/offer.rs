//! What we ask for, in each of the shapes in which clients expect it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use evidence::{
    UsdcAmount,
    json::{Value, object},
};

use crate::{config::Config, purchase::Purchase};

/// Our own requirement. Only this counts, never what a payer says to have accepted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Offer {
    /// Canonical URL.
    pub resource: String,
    /// For people.
    pub description: String,
    /// What it costs.
    pub price: UsdcAmount,
    /// For how long an authorization should be valid: clients sign `now + this`.
    pub max_timeout_s: u64,
    /// CAIP-2.
    pub network: String,
    /// The name that version 1 has for the chain.
    pub network_v1: String,
    /// Token, checksummed (EIP-55).
    pub asset: String,
    /// Payee, checksummed (EIP-55).
    pub pay_to: String,
    /// `name` of the token's EIP-712 domain.
    pub domain_name: String,
    /// `version` of the token's EIP-712 domain.
    pub domain_version: String,
}

/// Seconds of an offer's validity for what happens before us: the client's own work, the way here, two clocks.
const CLIENT_SLACK_S: u64 = 120;

/// Type of what is bought.
const MIME_TYPE: &str = "application/json";

impl Offer {
    pub(crate) fn of(config: &Config, purchase: &Purchase) -> Self {
        Self {
            resource: purchase.resource.clone(),
            description: purchase.description.clone(),
            price: purchase.price,
            max_timeout_s: config.least_validity_s(purchase.deadline) + CLIENT_SLACK_S,
            network: config.network(),
            network_v1: config.network_v1().map_or_else(|| config.network(), str::to_owned),
            asset: checksummed(config.asset.as_bytes()),
            pay_to: checksummed(config.pay_to.as_bytes()),
            domain_name: config.domain_name.clone(),
            domain_version: config.domain_version.clone(),
        }
    }

    /// The version 2 object, for `PAYMENT-REQUIRED` (through [`header`]) and MCP.
    pub fn payment_required(&self, error: &str) -> Value {
        object([
            ("x402Version", 2.into()),
            ("error", error.into()),
            ("resource", self.resource_info()),
            ("accepts", Value::Array(vec![self.requirement()])),
            ("extensions", Value::Object(Vec::new())),
        ])
    }

    /// The version 1 object, for the body of a 402.
    pub fn payment_required_v1(&self, error: &str) -> Value {
        let requirement = object([
            ("scheme", "exact".into()),
            ("network", self.network_v1.as_str().into()),
            ("maxAmountRequired", self.units()),
            ("resource", self.resource.as_str().into()),
            ("description", self.description.as_str().into()),
            ("mimeType", MIME_TYPE.into()),
            ("payTo", self.pay_to.as_str().into()),
            ("maxTimeoutSeconds", self.max_timeout_s.into()),
            ("asset", self.asset.as_str().into()),
            ("extra", self.extra()),
        ]);
        object([("x402Version", 1.into()), ("error", error.into()), ("accepts", Value::Array(vec![requirement]))])
    }

    /// The object of an MCP result, as text block and `structuredContent`: what this ecosystem's clients read
    /// (`error`, `paymentRequirements`) and what official clients read (the rest) at once.
    pub fn payment_required_mcp(&self, reason: &str, message: &str) -> Value {
        object([
            ("error", "PAYMENT_REQUIRED".into()),
            ("reason", reason.into()),
            ("message", message.into()),
            (
                "paymentRequirements",
                object([
                    ("priceUsd", Value::Number(self.price.to_string())),
                    ("maxAmountRequired", self.units()),
                    ("payTo", self.pay_to.as_str().into()),
                    ("asset", self.asset.as_str().into()),
                    ("network", self.network.as_str().into()),
                ]),
            ),
            ("x402Version", 2.into()),
            ("resource", self.resource_info()),
            ("accepts", Value::Array(vec![self.requirement()])),
        ])
    }

    fn requirement(&self) -> Value {
        object([
            ("scheme", "exact".into()),
            ("network", self.network.as_str().into()),
            ("amount", self.units()),
            ("asset", self.asset.as_str().into()),
            ("payTo", self.pay_to.as_str().into()),
            ("maxTimeoutSeconds", self.max_timeout_s.into()),
            ("extra", self.extra()),
        ])
    }

    fn resource_info(&self) -> Value {
        object([
            ("url", self.resource.as_str().into()),
            ("description", self.description.as_str().into()),
            ("mimeType", MIME_TYPE.into()),
        ])
    }

    fn extra(&self) -> Value {
        object([("name", self.domain_name.as_str().into()), ("version", self.domain_version.as_str().into())])
    }

    fn units(&self) -> Value {
        self.price.units().to_string().into()
    }
}

/// A header's value: base64 (RFC 4648 section 4, with padding) of the JSON text.
pub fn header(value: &Value) -> String {
    STANDARD.encode(value.to_text())
}

pub(crate) fn checksummed(address: &[u8; 20]) -> String {
    alloy_primitives::Address::from(*address).to_checksum(None)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn offer() -> Offer {
        let config = Config::base_usdc("0x23618e81e3f5cdf7f54c3d65f7fbc0abf5b21e8f".parse().unwrap());
        let purchase = Purchase {
            resource: "https://gateway.example/api/servers/s/tools/echo".to_owned(),
            also: Vec::new(),
            description: "echo".to_owned(),
            fingerprint: [0; 32],
            price: UsdcAmount::from_units(500),
            deadline: Duration::from_secs(60),
            keep_for: Duration::from_secs(600),
        };
        Offer::of(&config, &purchase)
    }

    #[test]
    fn one_offer_has_the_shape_of_both_versions_and_of_mcp() {
        let offer = offer();
        assert_eq!(
            offer.payment_required("payment_required").to_text(),
            r#"{"x402Version":2,"error":"payment_required","resource":{"url":"https://gateway.example/api/servers/s/tools/echo","description":"echo","mimeType":"application/json"},"accepts":[{"scheme":"exact","network":"eip155:8453","amount":"500","asset":"0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913","payTo":"0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f","maxTimeoutSeconds":206,"extra":{"name":"USD Coin","version":"2"}}],"extensions":{}}"#
        );
        assert_eq!(
            offer.payment_required_v1("X-PAYMENT header is required").to_text(),
            r#"{"x402Version":1,"error":"X-PAYMENT header is required","accepts":[{"scheme":"exact","network":"base","maxAmountRequired":"500","resource":"https://gateway.example/api/servers/s/tools/echo","description":"echo","mimeType":"application/json","payTo":"0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f","maxTimeoutSeconds":206,"asset":"0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913","extra":{"name":"USD Coin","version":"2"}}]}"#
        );
        let mcp = offer.payment_required_mcp("payment_required", "pay first");
        let text = |path: &[&str]| {
            let found = path.iter().try_fold(&mcp, |value, name| value.member(name)).unwrap();
            found.as_str().map_or_else(|| found.to_text(), str::to_owned)
        };
        assert_eq!(text(&["error"]), "PAYMENT_REQUIRED");
        assert_eq!(text(&["paymentRequirements", "priceUsd"]), "0.0005");
        assert_eq!(text(&["paymentRequirements", "maxAmountRequired"]), "500");
        assert_eq!(text(&["paymentRequirements", "network"]), "eip155:8453");
        assert_eq!(text(&["x402Version"]), "2");
        assert_eq!(mcp.member("accepts"), offer.payment_required("").member("accepts"));
    }

    #[test]
    fn a_header_is_standard_base64_with_padding() {
        assert_eq!(header(&object([("a", "\u{ff}?".into())])), "eyJhIjoiw78/In0=");
    }
}
