//! A gateway whose calls cost something, and the chain on which they are paid.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    Answer, Anvil, Gateway, Settings, Wallet,
    wallet::{Terms, USDC},
};

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
    /// A tool that takes a while, so that things can happen while it runs.
    pub const SLOW: &str = "trigger-long-running-operation";

    /// Its arguments for four seconds.
    pub fn slow() -> Value {
        json!({"duration": 4, "steps": 2})
    }

    /// With the reference server, at the shipped price.
    pub fn start() -> Self {
        Self::with("", Settings::default())
    }

    /// With more settings in `[payments]`, and these for the rest.
    pub fn with(payments: &str, settings: Settings) -> Self {
        Self::among(|chain| vec![chain.url()], payments, settings)
    }

    /// The same, asking these nodes of its chain.
    pub fn among(nodes: impl FnOnce(&Anvil) -> Vec<String>, payments: &str, settings: Settings) -> Self {
        let chain = Anvil::start();
        // Like Base: blocks come by themselves, so the newest is never old.
        chain.rpc("evm_setIntervalMining", &json!([1]));
        let payee = Wallet::new().address();
        let nodes = nodes(&chain);
        let section = format!("[payments]\npay_to = {payee:?}\nrpc = {nodes:?}\n{payments}\n");
        let settings = Settings { more: format!("{section}{}", settings.more), ..settings };
        let gateway = Gateway::with(&settings);
        let paying = Self { gateway, chain, payee };
        paying.chain.fund(paying.fee_payer().parse().expect("an address"), GAS_MONEY);
        paying
    }

    /// The account that pays for gas.
    pub fn fee_payer(&self) -> String {
        let config = self.gateway.anonymous().get("/api/payments/config").json();
        config["feePayerAddress"].as_str().unwrap_or_else(|| panic!("no fee payer: {config}")).to_owned()
    }

    /// A new wallet with a dollar.
    pub fn payer(&self) -> Wallet {
        self.payer_with(PURSE)
    }

    /// A new wallet with so many base units.
    pub fn payer_with(&self, units: u64) -> Wallet {
        let wallet = Wallet::new();
        self.chain.mint(wallet.address().parse().expect("an address"), units);
        wallet
    }

    /// Where a tool of the reference server is called over REST.
    pub fn path(&self, tool: &str) -> String {
        format!("/api/servers/{}/tools/{tool}", self.gateway.id("everything"))
    }

    /// What a call at the shipped price is offered for: the one entry of `accepts` in a 402's `PAYMENT-REQUIRED`.
    pub fn offer(&self) -> Value {
        let asked = self.gateway.anonymous().post(&self.path("echo"), &json!({"message": "what does it cost?"}));
        Self::required(&asked)["accepts"][0].clone()
    }

    /// A new payment of the price of a call, in the shape of version 2.
    pub fn payment(&self, payer: &Wallet) -> Value {
        payer.pay(&self.offer(), &Terms::new(&self.payee))
    }

    /// What somebody who knows a signed payment does with it: executes it before the gateway does.
    pub fn execute(&self, payment: &Value) {
        let accounts = self.chain.rpc("eth_accounts", &json!([]));
        self.transact(accounts[0].as_str().expect("an account"), &Wallet::execution(&payment["payload"]));
    }

    /// What a payer does who regrets: cancels the authorization of these terms.
    pub fn cancel(&self, payer: &Wallet, terms: &Terms) {
        let accounts = self.chain.rpc("eth_accounts", &json!([]));
        self.transact(accounts[0].as_str().expect("an account"), &payer.cancellation(terms));
    }

    /// What a payer does who cheats: moves all money away.
    pub fn drain(&self, payer: &Wallet) {
        let address = payer.address();
        self.chain.fund(address.parse().expect("an address"), GAS_MONEY);
        self.chain.rpc("anvil_impersonateAccount", &json!([address]));
        let all = self.balance(payer);
        self.transact(&address, &format!("0xa9059cbb{:0>64}{all:064x}", "d00d"));
        // While it lasts, the account stands among the chain's own.
        self.chain.rpc("anvil_stopImpersonatingAccount", &json!([address]));
    }

    fn transact(&self, from: &str, data: &str) {
        let hash = self.chain.rpc("eth_sendTransaction", &json!([{"from": from, "to": USDC, "data": data}]));
        let receipt = self.chain.receipt(hash.as_str().expect("a hash"));
        assert_eq!(receipt["status"], "0x1", "{receipt}");
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
