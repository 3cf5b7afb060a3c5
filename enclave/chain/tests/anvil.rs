//! Against a real node with the real USDC.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is the test's answer"
)]

mod common;

use alloy_primitives::{B256, keccak256};
use common::{Account, TRANSFER, nodes, usdc};
use evidence::Wallet;
use gate::ledger::{CallOutcome, ChainError, Ledger, Sent};
use sealgate_tests::Anvil;
use serde_json::json;

const PAYEE: [u8; 20] = [0x42; 20];
const TIP: u128 = 1_000_000;

#[tokio::test]
async fn one_signed_authorization_moves_500_units_once() {
    let anvil = Anvil::start();
    let chain = nodes(&[anvil.url()]);
    let (payer, fee_payer) = (Account::funded(&anvil), Account::funded(&anvil));
    let before = chain.head().await.unwrap();
    let pay = payer.authorization(Wallet::new(PAYEE), 500, B256::repeat_byte(1));

    // What it would do, then what it did.
    let would = chain.call(fee_payer.address(), usdc(), pay.clone()).await.unwrap();
    assert_eq!(would, CallOutcome::Returned(vec![]));
    let count = chain.transaction_count(fee_payer.address()).await.unwrap();
    let (raw, hash) = fee_payer.transaction(count, pay.clone(), TIP);
    assert_eq!(chain.outcome(hash).await.unwrap(), None);
    assert_eq!(chain.send(raw.clone()).await.unwrap(), Sent::Taken);
    anvil.receipt(&format!("0x{}", hex::encode(hash)));

    let outcome = chain.outcome(hash).await.unwrap().expect("it is in a block");
    assert!(outcome.success);
    assert_eq!((anvil.usdc_balance(payer.wallet), anvil.usdc_balance(Wallet::new(PAYEE))), (999_500, 500));
    assert_eq!(chain.transaction_count(fee_payer.address()).await.unwrap(), count + 1);
    assert_eq!(chain.head().await.unwrap().number, outcome.block);

    // The same entry by receipt and by search.
    let topics = vec![keccak256(TRANSFER).0, padded(payer.address()), padded(PAYEE)];
    let transfer = outcome.logs.iter().find(|log| log.topics == topics).expect("a Transfer");
    assert_eq!((transfer.address, transfer.transaction), (usdc(), hash));
    assert_eq!(transfer.data, [&[0; 30][..], &500_u16.to_be_bytes()].concat());
    assert_eq!(chain.logs(usdc(), topics.clone(), before.number).await.unwrap(), std::slice::from_ref(transfer));
    assert_eq!(chain.logs(usdc(), topics.clone(), outcome.block + 1).await.unwrap(), []);
    assert_eq!(chain.logs(PAYEE, topics, before.number).await.unwrap(), []);

    // Handed in again it is no second transaction and no refusal; the authorization is spent.
    assert_eq!(chain.send(raw).await.unwrap(), Sent::Taken);
    let CallOutcome::Reverted(reason) = chain.call(fee_payer.address(), usdc(), pay).await.unwrap() else {
        panic!("an authorization was usable twice");
    };
    assert!(String::from_utf8_lossy(&reason).contains("authorization is used or canceled"));
}

#[tokio::test]
async fn what_a_node_knows_of_accounts_and_blocks_arrives_unchanged() {
    let anvil = Anvil::start();
    let chain = nodes(&[anvil.url()]);
    let rich = Wallet::new([7; 20]);
    anvil.fund(rich, u128::from(u64::MAX) + 5);
    assert_eq!(chain.balance([7; 20]).await.unwrap(), u128::from(u64::MAX) + 5);
    assert_eq!(chain.code([7; 20]).await.unwrap(), [0; 0]);
    let code = anvil.rpc("eth_getCode", &json!([format!("0x{}", hex::encode(usdc())), "latest"]));
    assert_eq!(format!("0x{}", hex::encode(chain.code(usdc()).await.unwrap())), code.as_str().unwrap());

    anvil.rpc("evm_setNextBlockTimestamp", &json!([4_000_000_000_u64]));
    anvil.rpc("anvil_setNextBlockBaseFeePerGas", &json!(["0x7b"]));
    anvil.rpc("evm_mine", &json!([]));
    let head = chain.head().await.unwrap();
    assert_eq!((head.timestamp, head.base_fee), (4_000_000_000, 123));
    assert_eq!(anvil.rpc("eth_blockNumber", &json!([])), format!("{:#x}", head.number));
    assert!(chain.priority_fee().await.unwrap() < 10_000_000_000);
    assert_eq!(chain.chain_id(), 8453);
}

#[tokio::test]
async fn a_transaction_that_waits_is_counted_known_and_in_no_block() {
    let anvil = Anvil::start();
    let chain = nodes(&[anvil.url()]);
    let account = Account::funded(&anvil);
    anvil.rpc("evm_setAutomine", &json!([false]));
    let pay = account.authorization(Wallet::new(PAYEE), 1, B256::repeat_byte(2));
    let (raw, hash) = account.transaction(0, pay.clone(), TIP);
    assert_eq!(chain.send(raw.clone()).await.unwrap(), Sent::Taken);
    assert_eq!(chain.send(raw.clone()).await.unwrap(), Sent::Taken, "the node has it already");
    assert_eq!(chain.transaction_count(account.address()).await.unwrap(), 1);
    assert_eq!(chain.outcome(hash).await.unwrap(), None);

    // Lost by the node, handed in again, and then mined.
    anvil.rpc("anvil_dropTransaction", &json!([format!("0x{}", hex::encode(hash))]));
    assert_eq!(chain.transaction_count(account.address()).await.unwrap(), 0);
    assert_eq!(chain.send(raw.clone()).await.unwrap(), Sent::Taken);
    anvil.rpc("evm_mine", &json!([]));
    assert!(chain.outcome(hash).await.unwrap().unwrap().success);

    // Its nonce is spent: on it, or, seen from another transaction, on another one.
    assert_eq!(chain.send(raw).await.unwrap(), Sent::Taken);
    let (other, _) = account.transaction(0, pay, TIP + 1);
    let Sent::Refused { why } = chain.send(other).await.unwrap() else { panic!("taken with a spent nonce") };
    assert!(why.contains("nonce too low"), "{why}");
}

#[tokio::test]
async fn a_node_refuses_what_it_does_not_keep() {
    let anvil = Anvil::start();
    let chain = nodes(&[anvil.url()]);
    let poor = Account::funded(&anvil);
    anvil.rpc("anvil_setBalance", &json!([poor.wallet.to_string(), "0x1"]));
    let (raw, _) = poor.transaction(0, vec![], TIP);
    let Sent::Refused { why } = chain.send(raw).await.unwrap() else { panic!("taken without money") };
    assert!(why.to_lowercase().contains("insufficient funds"), "{why}");
    for no_transaction in [vec![], vec![2, 0xc0], vec![0xff; 100]] {
        let sent = chain.send(no_transaction).await;
        assert!(matches!(sent, Ok(Sent::Refused { .. })), "{sent:?}");
    }
}

#[tokio::test]
async fn two_nodes_that_follow_two_chains_disagree() {
    let (one, other) = (Anvil::start(), Anvil::start());
    let chain = nodes(&[one.url(), other.url()]);
    // What both have alike is agreed on.
    assert!(!chain.code(usdc()).await.unwrap().is_empty());

    let payer = Account::funded(&one);
    let pay = payer.authorization(Wallet::new(PAYEE), 500, B256::repeat_byte(3));
    let call = chain.call(payer.address(), usdc(), pay.clone()).await;
    assert_eq!(call, Err(ChainError::Disagree { about: "what a call would do" }));
    assert_eq!(chain.balance(payer.address()).await.unwrap(), 0, "the lower one counts");

    // Mined by one, refused by the other: taken, and in no block that both have.
    let (raw, hash) = payer.transaction(0, pay, TIP);
    assert_eq!(chain.send(raw).await.unwrap(), Sent::Taken);
    one.receipt(&format!("0x{}", hex::encode(hash)));
    assert_eq!(chain.outcome(hash).await.unwrap(), None);
    let count = chain.transaction_count(payer.address()).await;
    assert_eq!(count, Err(ChainError::Disagree { about: "how many transactions an account has sent" }));
    other.rpc("evm_mine", &json!([]));
    assert_eq!(chain.head().await, Err(ChainError::Disagree { about: "the newest block" }));
}

#[tokio::test]
async fn a_node_that_goes_and_comes_back_is_unreachable_in_between() {
    let mut anvil = Anvil::start();
    let chain = nodes(&[anvil.url()]);
    chain.confirm().await.unwrap();
    anvil.stop();
    let down = chain.head().await;
    assert!(matches!(down, Err(ChainError::Unreachable { .. })), "{down:?}");
    assert!(matches!(chain.send(vec![1]).await, Err(ChainError::Unreachable { .. })));
    assert!(matches!(chain.outcome([1; 32]).await, Err(ChainError::Unreachable { .. })));
    anvil.start_again();
    chain.head().await.unwrap();
}

fn padded(address: [u8; 20]) -> [u8; 32] {
    let mut word = [0; 32];
    word[12..].copy_from_slice(&address);
    word
}
