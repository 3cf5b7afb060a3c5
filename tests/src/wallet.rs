//! A throw-away wallet: signs texts (EIP-191) and payments (EIP-3009 by EIP-712), with nothing of the gateway's in it.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use k256::ecdsa::SigningKey;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sha3::Keccak256;

use crate::{Client, Gateway};

/// The token's address on Base, as the chain spells it.
pub const USDC: &str = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913";

/// A throw-away wallet.
#[derive(Clone)]
pub struct Wallet(SigningKey);

/// What a payment is for, and what can be wrong with it.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Who is paid.
    pub pay_to: String,
    /// Base units.
    pub value: u64,
    /// Not before this second.
    pub valid_after: u64,
    /// Before this second.
    pub valid_before: u64,
    /// Once for each payer.
    pub nonce: [u8; 32],
    /// Name of the token in the EIP-712 domain.
    pub domain: String,
    /// Chain in the EIP-712 domain.
    pub chain: u64,
}

impl Terms {
    /// An hour's authorization of the price of a call.
    pub fn new(pay_to: &str) -> Self {
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).expect("randomness");
        Self {
            pay_to: pay_to.to_owned(),
            value: 500,
            valid_after: 0,
            valid_before: now() + 3600,
            nonce,
            domain: "USD Coin".to_owned(),
            chain: 8453,
        }
    }
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs()
}

impl Wallet {
    /// A new one.
    pub fn new() -> Self {
        loop {
            let mut bytes = [0; 32];
            getrandom::fill(&mut bytes).expect("randomness");
            if let Ok(key) = SigningKey::from_slice(&bytes) {
                return Self(key);
            }
        }
    }

    /// The one with this private key, `0x` and 64 hexadecimal digits.
    pub fn of_private_key(text: &str) -> Option<Self> {
        let bytes = hex::decode(text.strip_prefix("0x")?).ok()?;
        SigningKey::from_slice(&bytes).ok().map(Self)
    }

    /// Its private key in hexadecimal, for clients in other languages.
    pub fn private_key(&self) -> String {
        format!("0x{}", hex::encode(self.0.to_bytes()))
    }

    /// Its address with checksum (EIP-55).
    pub fn address(&self) -> String {
        let point = self.0.verifying_key().to_encoded_point(false);
        let lower = hex::encode(&keccak(&point.as_bytes()[1..])[12..]);
        let digest = keccak(lower.as_bytes());
        let spelled = lower.chars().enumerate().map(|(at, digit)| {
            let nibble = (digest[at / 2] >> (if at % 2 == 0 { 4 } else { 0 })) & 15;
            if nibble >= 8 { digit.to_ascii_uppercase() } else { digit }
        });
        format!("0x{}", spelled.collect::<String>())
    }

    /// `personal_sign` (EIP-191) of a text, 65 bytes in hexadecimal.
    pub fn sign(&self, text: &str) -> String {
        let message = format!("\u{19}Ethereum Signed Message:\n{}{text}", text.len());
        self.sign_hash(&keccak(message.as_bytes()))
    }

    /// A client that has logged in with this wallet.
    ///
    /// # Panics
    /// The gateway does not let it in.
    pub fn login(&self, gateway: &Gateway) -> Client {
        gateway.anonymous().with("authorization", &format!("Bearer {}", self.session(gateway)))
    }

    /// The token of a session of this wallet.
    ///
    /// # Panics
    /// The gateway does not let it in.
    pub fn session(&self, gateway: &Gateway) -> String {
        let anonymous = gateway.anonymous();
        let challenge = anonymous.get("/api/auth/challenge").json();
        let message = challenge["message"].as_str().unwrap_or_else(|| panic!("no message: {challenge}"));
        let body = json!({
            "walletAddress": self.address(), "signature": self.sign(message), "nonce": challenge["nonce"],
        });
        let answer = anonymous.post("/api/auth/verify", &body);
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        answer.json()["token"].as_str().expect("a token").to_owned()
    }

    /// A payment in the shape of x402 v2: the decoded payload.
    pub fn pay(&self, accepted: &Value, terms: &Terms) -> Value {
        json!({"x402Version": 2, "accepted": accepted, "payload": self.authorize(terms)})
    }

    /// A payment in the shape of x402 v1.
    pub fn pay_v1(&self, terms: &Terms) -> Value {
        json!({"x402Version": 1, "scheme": "exact", "network": "base", "payload": self.authorize(terms)})
    }

    /// `{signature, authorization}` over these terms.
    pub fn authorize(&self, terms: &Terms) -> Value {
        let from = self.address();
        let message = [
            keccak(
                b"TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,\
                  uint256 validBefore,bytes32 nonce)",
            ),
            address_word(&from),
            address_word(&terms.pay_to),
            number_word(terms.value),
            number_word(terms.valid_after),
            number_word(terms.valid_before),
            terms.nonce,
        ];
        json!({
            "signature": self.sign_typed(terms, &message),
            "authorization": {
                "from": from, "to": terms.pay_to, "value": terms.value.to_string(),
                "validAfter": terms.valid_after.to_string(), "validBefore": terms.valid_before.to_string(),
                "nonce": format!("0x{}", hex::encode(terms.nonce)),
            },
        })
    }

    /// Calldata with which anybody executes a signed authorization.
    pub fn execution(signed: &Value) -> String {
        let said = |name: &str| signed["authorization"][name].as_str().expect("text");
        let number = |name: &str| number_word(said(name).parse().expect("a number"));
        let nonce = hex::decode(said("nonce").trim_start_matches("0x")).expect("a nonce");
        let words = [
            address_word(said("from")),
            address_word(said("to")),
            number("value"),
            number("validAfter"),
            number("validBefore"),
            word(&nonce),
        ];
        let types = "(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)";
        let signature = signed["signature"].as_str().expect("a signature");
        calldata(&format!("transferWithAuthorization{types}"), &words, signature)
    }

    /// Calldata with which anybody cancels the authorization of these terms for this wallet.
    pub fn cancellation(&self, terms: &Terms) -> String {
        let from = address_word(&self.address());
        let kind = keccak(b"CancelAuthorization(address authorizer,bytes32 nonce)");
        let signature = self.sign_typed(terms, &[kind, from, terms.nonce]);
        calldata("cancelAuthorization(address,bytes32,uint8,bytes32,bytes32)", &[from, terms.nonce], &signature)
    }

    fn sign_typed(&self, terms: &Terms, message: &[[u8; 32]]) -> String {
        let domain = [
            keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
            keccak(terms.domain.as_bytes()),
            keccak(b"2"),
            number_word(terms.chain),
            address_word(USDC),
        ];
        let digest = [b"\x19\x01".as_slice(), &keccak(&domain.concat()), &keccak(&message.concat())].concat();
        self.sign_hash(&keccak(&digest))
    }

    fn sign_hash(&self, hash: &[u8; 32]) -> String {
        let (signature, recovery) = self.0.sign_prehash_recoverable(hash).expect("a signature");
        let mut bytes = signature.to_bytes().to_vec();
        bytes.push(27 + recovery.to_byte());
        format!("0x{}", hex::encode(bytes))
    }
}

/// A request to be signed by ERC-8128, spelled out so that a test can spoil any part of it.
#[derive(Clone, Debug)]
pub struct SignedRequest {
    /// `POST`, …
    pub method: String,
    /// `http`, or `https` where the listener speaks TLS.
    pub scheme: String,
    /// `Host`.
    pub authority: String,
    /// Path and query.
    pub target: String,
    /// Empty: none.
    pub body: String,
    /// Headers beside the signature's and `Content-Type`, names in lower case.
    pub headers: Vec<(String, String)>,
    /// What the signature covers.
    pub covered: Vec<String>,
    /// Seconds since 1970.
    pub created: u64,
    /// Seconds since 1970.
    pub expires: u64,
    /// Against replay.
    pub nonce: Option<String>,
    /// The chain that the key id names.
    pub chain: u64,
    /// The address that the key id names; the signer's without one.
    pub keyid: Option<String>,
}

impl SignedRequest {
    /// As an honest client signs it: everything covered, for a minute.
    pub fn new(method: &str, authority: &str, target: &str, body: &str) -> Self {
        let mut covered = vec!["@authority", "@method", "@path"];
        covered.extend(target.contains('?').then_some("@query"));
        covered.extend((!body.is_empty()).then_some("content-digest"));
        let request = Self {
            method: method.to_owned(),
            scheme: "http".to_owned(),
            authority: authority.to_owned(),
            target: target.to_owned(),
            body: body.to_owned(),
            headers: Vec::new(),
            covered: covered.into_iter().map(str::to_owned).collect(),
            created: 0,
            expires: 0,
            nonce: None,
            chain: 8453,
            keyid: None,
        };
        request.fresh()
    }

    /// The same with a new time and nonce.
    pub fn fresh(&self) -> Self {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).expect("randomness");
        Self { created: now(), expires: now() + 60, nonce: Some(hex::encode(nonce)), ..self.clone() }
    }

    /// The headers to send with it (RFC 9421, section 2.5).
    ///
    /// # Panics
    /// It covers a header that it has not.
    pub fn sign(&self, wallet: &Wallet) -> Vec<(String, String)> {
        let digest = format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(&self.body)));
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let mut base = String::new();
        for component in &self.covered {
            let value = match component.as_str() {
                "@authority" => self.authority.clone(),
                "@method" => self.method.clone(),
                "@scheme" => self.scheme.clone(),
                "@path" => path.to_owned(),
                "@query" => format!("?{query}"),
                "content-digest" => digest.clone(),
                name => {
                    let found = self.headers.iter().find(|(header, _)| header == name);
                    found.unwrap_or_else(|| panic!("no header {name}")).1.clone()
                }
            };
            base.push_str(&format!("{component:?}: {value}\n"));
        }
        let covered: Vec<String> = self.covered.iter().map(|component| format!("{component:?}")).collect();
        let nonce = self.nonce.as_ref().map(|nonce| format!(";nonce={nonce:?}")).unwrap_or_default();
        let address = self.keyid.clone().unwrap_or_else(|| wallet.address().to_lowercase());
        let parameters = format!(
            "({});created={};expires={}{nonce};keyid=\"erc8128:{}:{address}\"",
            covered.join(" "),
            self.created,
            self.expires,
            self.chain
        );
        base.push_str(&format!("\"@signature-params\": {parameters}"));
        let signature = hex::decode(wallet.sign(&base).trim_start_matches("0x")).expect("hexadecimal");
        let mut headers = vec![
            ("signature-input".to_owned(), format!("eth={parameters}")),
            ("signature".to_owned(), format!("eth=:{}:", STANDARD.encode(signature))),
        ];
        if !self.body.is_empty() {
            headers.push(("content-digest".to_owned(), digest));
        }
        headers
    }
}

impl Default for Wallet {
    fn default() -> Self {
        Self::new()
    }
}

/// A payment as headers carry it.
pub fn header(payment: &Value) -> String {
    STANDARD.encode(payment.to_string())
}

/// A call of a function whose last arguments are a signature's `v`, `r` and `s`.
fn calldata(function: &str, words: &[[u8; 32]], signature: &str) -> String {
    let bytes = hex::decode(signature.trim_start_matches("0x")).expect("a signature");
    let (r, s, v) = (word(&bytes[..32]), word(&bytes[32..64]), word(&bytes[64..]));
    let selector = &keccak(function.as_bytes())[..4];
    format!("0x{}{}", hex::encode(selector), hex::encode([words, &[v, r, s]].concat().concat()))
}

fn word(bytes: &[u8]) -> [u8; 32] {
    let mut word = [0; 32];
    word[32 - bytes.len()..].copy_from_slice(bytes);
    word
}

fn address_word(text: &str) -> [u8; 32] {
    word(&hex::decode(text.trim_start_matches("0x")).expect("an address"))
}

fn number_word(number: u64) -> [u8; 32] {
    word(&number.to_be_bytes())
}

fn keccak(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_wallet_of_all_has_the_address_that_everybody_knows() {
        let mut key = [0; 32];
        key[31] = 1;
        let wallet = Wallet(SigningKey::from_slice(&key).expect("a key"));
        assert_eq!(wallet.address(), "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf");
    }
}
