//! A gateway whose calls cost something, and the chain on which they are paid.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{Answer, Anvil, Gateway, Settings, Wallet};

/// Wei that the gateway's account for gas begins with.
const GAS_MONEY: u128 = 1_000_000_000_000_000_000;

/// Base units that a payer begins with: a dollar.
pub const PURSE: u64 = 1_000_000;

/// A gateway with `[payments]`, its chain, and who is paid.
pub struct Paying {
    /// The gateway. Dropped before its chain.
    pub gateway: Gateway,
    /// The chain.
    pub chain: Anvil,
    /// Who is paid, with checksum.
    pub payee: String,
}

impl Paying {
    /// With the reference server, at the shipped price.
    pub fn start() -> Self {
        Self::with("", Settings::default())
    }

    /// With more settings in `[payments]`, and these for the rest.
    pub fn with(payments: &str, settings: Settings) -> Self {
        let chain = Anvil::start();
        // Like Base: blocks come by themselves, so the newest is never old.
        chain.rpc("evm_setIntervalMining", &json!([1]));
        let payee = Wallet::new().address();
        let section = format!("[payments]\npay_to = {payee:?}\nrpc = [{:?}]\n{payments}\n", chain.url());
        let settings = Settings { more: format!("{section}{}", settings.more), ..settings };
        let gateway = Gateway::with(&settings);
        let paying = Self { gateway, chain, payee };
        let config = paying.gateway.anonymous().get("/api/payments/config").json();
        let fee_payer = config["feePayerAddress"].as_str().unwrap_or_else(|| panic!("no fee payer: {config}"));
        paying.chain.fund(fee_payer.parse().expect("an address"), GAS_MONEY);
        paying
    }

    /// A new wallet with a dollar.
    pub fn payer(&self) -> Wallet {
        let wallet = Wallet::new();
        self.chain.mint(wallet.address().parse().expect("an address"), PURSE);
        wallet
    }

    /// What a wallet has.
    pub fn balance(&self, wallet: &Wallet) -> u64 {
        self.chain.usdc_balance(wallet.address().parse().expect("an address"))
    }

    /// What the payee has.
    pub fn received(&self) -> u64 {
        self.chain.usdc_balance(self.payee.parse().expect("an address"))
    }

    /// What a 402 asks for: the decoded `PAYMENT-REQUIRED`.
    pub fn required(answer: &Answer) -> Value {
        decoded(answer, "payment-required")
    }

    /// What an answer says of its settlement: the decoded `PAYMENT-RESPONSE`.
    pub fn settlement(answer: &Answer) -> Value {
        decoded(answer, "payment-response")
    }
}

fn decoded(answer: &Answer, name: &str) -> Value {
    let text = String::from_utf8_lossy(&answer.body);
    let header = answer.header(name).unwrap_or_else(|| panic!("no {name}: {} {text}", answer.status));
    serde_json::from_slice(&STANDARD.decode(header).expect("padded base64")).expect("JSON")
}
