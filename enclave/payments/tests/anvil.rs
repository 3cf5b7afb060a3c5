//! Against the real token on a real node, with the real journal.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    unreachable_pub,
    reason = "a test"
)]

mod common;
#[path = "common/real.rs"]
mod real;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chain::Nodes;
use common::{Account, payment_for, purchase};
use evidence::Wallet;
use payments::{Exact, Payment, PaymentRefusal, Reason, Reserved, SettleError};
use real::{nodes, open, real_rail, tick, wall};
use sealgate_tests::Anvil;
use serde_json::json;
use store::Store;
use tempfile::TempDir;

fn payee() -> Wallet {
    Wallet::new([0x42; 20])
}
const REPLY: &[u8] = b"the reply";

struct Bench {
    anvil: Anvil,
    payer: Account,
    rail: Arc<Exact<Store, Nodes>>,
    valid_before: u64,
    _dir: TempDir,
}

impl Bench {
    async fn new() -> Self {
        let anvil = Anvil::start();
        let (payer, fee_payer) = (Account::from_hex(&anvil.new_wallet().0), Account::from_hex(&anvil.new_wallet().0));
        let dir = TempDir::new().unwrap();
        let journal = Arc::new(open(&dir.path().join("state.db")).await);
        let rail = real_rail(payee(), journal, Arc::new(nodes(&anvil.url())), &fee_payer);
        tick(&anvil);
        Self { anvil, payer, rail: Arc::new(rail), valid_before: wall().0 + 3600, _dir: dir }
    }

    fn payment(&self, nonce: u8) -> Payment {
        payment_for(&self.payer, payee(), [nonce; 32], self.valid_before)
    }

    async fn reserve(&self, nonce: u8) -> Result<Reserved, PaymentRefusal> {
        tick(&self.anvil);
        self.rail.reserve(&purchase(nonce), &self.payment(nonce), wall()).await
    }

    /// Brings to an end what is pending, as a gateway does: again until nothing is. How much of it was settled.
    async fn settled_by_recovery(&self) -> u64 {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        let mut settled = 0;
        loop {
            let report = self.rail.recover(wall()).await.unwrap();
            settled += report.settled;
            if report.pending == 0 {
                return settled;
            }
            // A node that has just come back may not answer at once.
            assert!(tokio::time::Instant::now() < deadline, "{report:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn paid(&self) -> u64 {
        self.anvil.usdc_balance(payee())
    }
}

fn fresh(reserved: Reserved) -> payments::Hold {
    match reserved {
        Reserved::Fresh(hold) => *hold,
        Reserved::Answered(_) => panic!("answered, want a fresh hold"),
    }
}

fn reply(reserved: Reserved) -> Vec<u8> {
    match reserved {
        Reserved::Answered(reply) => reply.bytes,
        Reserved::Fresh(_) => panic!("a fresh hold, want the reply"),
    }
}

#[tokio::test]
async fn the_real_token_moves_500_units_for_a_call_and_nothing_for_a_failed_one() {
    let bench = Bench::new().await;
    bench.rail.probe().await.unwrap();
    let failed = fresh(bench.reserve(1).await.unwrap());
    bench.rail.release(failed).await.unwrap();
    assert_eq!(bench.paid(), 0);

    let hold = fresh(bench.reserve(1).await.unwrap());
    let settled = bench.rail.settle(hold, REPLY.to_vec()).await.unwrap();
    let receipt = bench.anvil.receipt(&format!("0x{}", hex::encode(settled.transaction)));
    assert_eq!(receipt["status"], "0x1");
    assert_eq!((bench.paid(), bench.anvil.usdc_balance(bench.payer.wallet())), (500, 999_500));
    assert_eq!(reply(bench.reserve(1).await.unwrap()), REPLY);
    assert_eq!(bench.paid(), 500);
    // The same authorization over an empty journal: the chain remembers.
    let dir = TempDir::new().unwrap();
    let journal = Arc::new(open(&dir.path().join("state.db")).await);
    let other = real_rail(payee(), journal, Arc::new(nodes(&bench.anvil.url())), &Account::new(9));
    bench.anvil.fund(Account::new(9).wallet(), 10_u128.pow(18));
    let refusal = other.reserve(&purchase(1), &bench.payment(1), wall()).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::NonceAlreadyUsed);
}

#[tokio::test]
async fn many_payers_at_once_are_each_settled_once() {
    let bench = Bench::new().await;
    let mut holds = Vec::new();
    for nonce in 1..=6 {
        holds.push((nonce, fresh(bench.reserve(nonce).await.unwrap())));
    }
    let calls = holds.into_iter().map(|(nonce, hold)| bench.rail.settle(hold, vec![nonce]));
    let done = futures_util::future::join_all(calls).await;
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    assert_eq!(bench.paid(), 3_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_parallel_uses_of_one_authorization_are_one_call_and_one_payment() {
    let bench = Bench::new().await;
    let executions = Arc::new(AtomicUsize::new(0));
    let uses: Vec<_> = (0..8)
        .map(|_| {
            let (rail, payment, executions) = (Arc::clone(&bench.rail), bench.payment(1), Arc::clone(&executions));
            tokio::spawn(async move {
                match rail.reserve(&purchase(1), &payment, wall()).await.unwrap() {
                    Reserved::Fresh(hold) => {
                        executions.fetch_add(1, Ordering::SeqCst);
                        rail.settle(*hold, REPLY.to_vec()).await.unwrap();
                        REPLY.to_vec()
                    }
                    Reserved::Answered(reply) => reply.bytes,
                }
            })
        })
        .collect();
    for one in uses {
        assert_eq!(one.await.unwrap(), REPLY);
    }
    assert_eq!((executions.load(Ordering::SeqCst), bench.paid()), (1, 500));
}

#[tokio::test]
async fn a_transaction_that_no_block_has_is_pending_and_survives_being_dropped_by_the_node() {
    let bench = Bench::new().await;
    let hold = fresh(bench.reserve(1).await.unwrap());
    bench.anvil.rpc("evm_setAutomine", &json!([false]));
    let error = bench.rail.settle(hold, REPLY.to_vec()).await.unwrap_err();
    let SettleError::Pending { transaction: Some(transaction) } = error else { panic!("{error:?}") };
    bench.anvil.rpc("anvil_dropTransaction", &json!([format!("0x{}", hex::encode(transaction))]));
    bench.anvil.rpc("evm_setAutomine", &json!([true]));
    assert_eq!(bench.paid(), 0);
    let report = bench.rail.recover(wall()).await.unwrap();
    assert_eq!((report.settled, report.pending), (1, 0), "{report:?}");
    assert_eq!(reply(bench.reserve(1).await.unwrap()), REPLY);
    assert_eq!(bench.paid(), 500);
}

#[tokio::test]
async fn a_payer_who_drains_the_account_before_settlement_gets_no_reply() {
    let bench = Bench::new().await;
    let hold = fresh(bench.reserve(1).await.unwrap());
    // transfer(somebody, all of it)
    let payer = bench.payer.wallet().to_string();
    bench.anvil.rpc("anvil_impersonateAccount", &json!([payer]));
    let data = format!("0xa9059cbb{:0>64}{:064x}", "43".repeat(20), 1_000_000);
    let sent = bench
        .anvil
        .rpc("eth_sendTransaction", &json!([{"from": payer, "to": sealgate_tests::anvil::USDC, "data": data}]));
    assert_eq!(bench.anvil.receipt(sent.as_str().unwrap())["status"], "0x1");
    let error = bench.rail.settle(hold, REPLY.to_vec()).await.unwrap_err();
    assert_eq!(error.reason(), Reason::InsufficientFunds, "{error}");
    assert_eq!(bench.paid(), 0);
    let refusal = bench.reserve(1).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::InsufficientFunds, "{refusal}");
}

#[tokio::test]
async fn a_node_that_is_silent_is_unreachable_before_the_call_and_pending_after_it() {
    let bench = Bench::new().await;
    let hold = fresh(bench.reserve(1).await.unwrap());
    bench.anvil.freeze();
    let started = tokio::time::Instant::now();
    let refusal = bench.rail.reserve(&purchase(2), &bench.payment(2), wall()).await.unwrap_err();
    assert!(matches!(refusal, PaymentRefusal::ChainUnreachable(_)), "{refusal}");
    let error = bench.rail.settle(hold, REPLY.to_vec()).await.unwrap_err();
    assert_eq!(error, SettleError::Pending { transaction: None });
    assert!(started.elapsed() < Duration::from_secs(20));
    bench.anvil.thaw();
    tick(&bench.anvil);
    assert_eq!(bench.settled_by_recovery().await, 1);
    assert_eq!(reply(bench.reserve(1).await.unwrap()), REPLY);
    assert_eq!(bench.paid(), 500);
}

#[tokio::test]
async fn a_chain_whose_clock_stands_still_is_not_believed() {
    let bench = Bench::new().await;
    let later = evidence::UnixSeconds(wall().0 + 40);
    let refusal = bench.rail.reserve(&purchase(1), &bench.payment(1), later).await.unwrap_err();
    assert!(matches!(refusal, PaymentRefusal::CannotSettle(_)), "{refusal}");
}
