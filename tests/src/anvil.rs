//! A chain per test: anvil with Base's id and the real USDC at its real address, on a loopback port of its own, ended by
//! its own process id.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use evidence::Wallet;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::repository;

/// The id it answers with: Base's.
pub const CHAIN_ID: u64 = 8453;

/// The token's contract, as on Base.
pub const USDC: &str = "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913";

/// How long it may take to start, to answer, to mine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running chain. Dropping it ends it.
pub struct Anvil {
    process: Child,
    port: u16,
    folder: TempDir,
    agent: ureq::Agent,
}

impl Anvil {
    /// A chain that holds the token and nothing else.
    pub fn start() -> Self {
        let folder = TempDir::new().expect("a folder for the chain");
        let (process, port) = launch(folder.path(), 0);
        let agent = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build();
        Self { process, port, folder, agent: agent.into() }
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Base units of USDC that a wallet holds.
    pub fn usdc_balance(&self, wallet: Wallet) -> u64 {
        let data = format!("0x70a08231{}", word(wallet));
        let answer = self.rpc("eth_call", &json!([{"to": USDC, "data": data}, "latest"]));
        u64::try_from(quantity(&answer)).expect("nobody has more")
    }

    /// Wei that a wallet holds.
    pub fn wei_balance(&self, wallet: Wallet) -> u128 {
        quantity(&self.rpc("eth_getBalance", &json!([wallet.to_string(), "latest"])))
    }

    /// New base units of USDC for a wallet.
    ///
    /// # Panics
    /// Nothing is mined, because the test switched that off.
    pub fn mint(&self, wallet: Wallet, units: u64) {
        let accounts = self.rpc("eth_accounts", &json!([]));
        // The second last account is the token's minter, so that the others' transaction counts stay with the tests.
        let minter = accounts.as_array().and_then(|all| all.iter().nth_back(1)).expect("anvil has ten accounts");
        let data = format!("0x40c10f19{}{units:064x}", word(wallet));
        let hash = self.rpc("eth_sendTransaction", &json!([{"from": minter, "to": USDC, "data": data}]));
        let receipt = self.receipt(hash.as_str().expect("a hash"));
        assert_eq!(receipt["status"], "0x1", "{receipt}");
    }

    /// Wei for a wallet, on top of what it has.
    pub fn fund(&self, wallet: Wallet, wei: u128) {
        let sum = self.wei_balance(wallet) + wei;
        self.rpc("anvil_setBalance", &json!([wallet.to_string(), format!("{sum:#x}")]));
    }

    /// A throw-away key (0x and 64 hexadecimal digits) whose wallet has 1 USDC and 1 ether.
    pub fn new_wallet(&self) -> (String, Wallet) {
        let output = Command::new(repository().join("scripts/local-chain"))
            .args(["new-wallet", &self.url()])
            .output()
            .expect("scripts/local-chain runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said: Value = serde_json::from_slice(&output.stdout).expect("a key and its wallet");
        let text = |name: &str| said[name].as_str().expect("text").to_owned();
        (text("key"), text("wallet").parse().expect("a wallet"))
    }

    /// What became of a transaction, once it is in a block.
    pub fn receipt(&self, hash: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let receipt = self.rpc("eth_getTransactionReceipt", &json!([hash]));
            if !receipt.is_null() {
                return receipt;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("{hash} is in no block; is mining off?");
    }

    /// The result of any of its methods, its cheats among them (`evm_setAutomine`, `anvil_dropTransaction`, …).
    ///
    /// # Panics
    /// It refuses.
    pub fn rpc(&self, method: &str, params: &Value) -> Value {
        self.try_rpc(method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// The same, with the JSON-RPC error it may answer with.
    ///
    /// # Errors
    /// The `error` member of its answer.
    pub fn try_rpc(&self, method: &str, params: &Value) -> Result<Value, Value> {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let answer = self.agent.post(self.url()).header("content-type", "application/json").send(request);
        let mut answer = answer.unwrap_or_else(|error| panic!("{method}: {error}"));
        let body = answer.body_mut().read_to_vec().expect("an answer");
        let mut answer: Value = serde_json::from_slice(&body).expect("JSON");
        match answer.get_mut("error") {
            Some(error) => Err(error.take()),
            None => Ok(answer["result"].take()),
        }
    }

    /// Ends the process; the chain is kept.
    pub fn stop(&mut self) {
        // Asked to end, it writes the chain down.
        signal(&self.process, "TERM");
        self.process.wait().expect("anvil ended");
    }

    /// Starts it again after [`Self::stop`], at the same address.
    pub fn start_again(&mut self) {
        (self.process, self.port) = launch(self.folder.path(), self.port);
    }

    /// It takes connections from here on and answers nobody.
    pub fn freeze(&self) {
        signal(&self.process, "STOP");
    }

    /// It goes on, and answers what it was asked meanwhile.
    pub fn thaw(&self) {
        signal(&self.process, "CONT");
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn launch(folder: &Path, port: u16) -> (Child, u16) {
    let log = folder.join("log");
    let output = File::create(&log).expect("a log");
    // The script becomes anvil, so that the process is anvil's.
    let mut process = Command::new(repository().join("scripts/local-chain"))
        .args(["serve", &port.to_string()])
        .arg(folder.join("state.json"))
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("a log"))
        .stderr(output)
        .spawn()
        .expect("scripts/local-chain starts");
    let said = || fs::read_to_string(&log).unwrap_or_default();
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        // With its end of line: a port that is half written is another one.
        let listening = said()
            .split_inclusive('\n')
            .find_map(|line| line.strip_prefix("Listening on 127.0.0.1:")?.strip_suffix('\n')?.parse().ok());
        if let Some(port) = listening {
            return (process, port);
        }
        if process.try_wait().expect("status").is_some() {
            panic!("anvil does not start: {}; fix: scripts/setup, or scripts/test-parts", said());
        }
        thread::sleep(Duration::from_millis(5));
    }
    process.kill().ok();
    process.wait().ok();
    panic!("anvil does not listen: {}", said());
}

fn signal(process: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &process.id().to_string()]).status();
    assert!(sent.expect("kill runs").success(), "anvil is ours to signal");
}

/// A wallet as one word of calldata.
fn word(wallet: Wallet) -> String {
    format!("{:0>64}", hex::encode(wallet.as_bytes()))
}

fn quantity(answer: &Value) -> u128 {
    let digits = answer.as_str().and_then(|text| text.strip_prefix("0x")).expect("a quantity");
    u128::from_str_radix(digits, 16).expect("a number of at most 128 bits")
}
