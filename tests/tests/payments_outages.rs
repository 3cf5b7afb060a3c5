//! Chains that are down, frozen or slow, and gateways that lose their power: no charge is lost, none is made twice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::{
    thread,
    time::{Duration, Instant},
};

use sealgate_tests::{
    Answer, Client, Paying, Settings, text, until,
    wallet::{Terms, header},
};
use serde_json::{Value, json};

/// A call that takes four seconds, so that things can happen while it runs.
const SLOW: &str = "trigger-long-running-operation";

fn slow() -> Value {
    json!({"duration": 4, "steps": 2})
}

#[test]
fn a_chain_that_is_down_or_frozen_is_never_the_payers_fault() {
    let mut paying = Paying::with("confirm_wait_s = 5\n", Settings::default());
    let payer = paying.payer();
    let client = paying.gateway.caller();
    let (path, body) = (paying.path("echo"), json!({"message": "a"}));
    let payment = paying.payment(&payer);
    let buyer = client.with("payment-signature", &header(&payment));
    let endpoint = paying.gateway.endpoint("everything");

    paying.chain.stop();
    for _ in 0..2 {
        let down = buyer.post(&path, &body);
        assert_eq!((down.status, &down.json()["error"]), (503, &json!("CHAIN_UNREACHABLE")), "{}", text(&down));
        assert!(text(&down).contains("the chain is unreachable") && down.header("retry-after").is_some());
        assert!(down.header("payment-required").is_none(), "nobody is asked to pay again");
    }
    let down = buyer.call(&endpoint, "echo", body.clone());
    assert!(down["content"][0]["text"].as_str().unwrap().contains("CHAIN_UNREACHABLE"), "{down}");
    assert!(!down.to_string().contains("PAYMENT_REQUIRED"), "{down}");
    // What a call costs is known without a chain.
    assert_eq!(client.post(&path, &body).status, 402);
    paying.chain.start_again();
    paying.chain.rpc("evm_setIntervalMining", &json!([1]));
    thread::sleep(Duration::from_secs(2));
    let paid = buyer.post(&path, &body);
    assert_eq!(paid.status, 200, "{}", text(&paid));
    assert_eq!(paying.received(), 500);

    // It freezes while the tool runs.
    let payment = paying.payment(&payer);
    let buyer = client.with("payment-signature", &header(&payment));
    let slow_path = paying.path(SLOW);
    let pending = thread::scope(|scope| {
        let call = scope.spawn(|| buyer.post(&slow_path, &slow()));
        thread::sleep(Duration::from_millis(1500));
        paying.chain.freeze();
        call.join().unwrap()
    });
    assert_eq!((pending.status, &pending.json()["error"]), (503, &json!("SETTLEMENT_PENDING")), "{}", text(&pending));
    assert!(text(&pending).contains("timeout"), "the word that makes this ecosystem's client come back");
    assert!(!text(&pending).contains("Long running operation completed"), "{}", text(&pending));
    assert!(pending.header("payment-required").is_none());
    let settlement = Paying::settlement(&pending);
    assert_eq!((&settlement["success"], &settlement["errorReason"]), (&json!(false), &json!("settlement_pending")));
    let pending = buyer.call(&endpoint, SLOW, slow());
    let said = pending["content"][0]["text"].as_str().unwrap();
    assert!(said.contains("SETTLEMENT_PENDING") && said.contains("timeout"), "{pending}");
    paying.chain.thaw();
    let answered = retried(&buyer, &slow_path, &slow());
    assert!(text(&answered).contains("Long running operation completed"), "{}", text(&answered));
    assert_eq!((paying.received(), paying.balance(&payer)), (1000, 999_000));
}

#[test]
fn a_power_cut_at_any_moment_charges_at_most_once_and_the_answer_is_not_lost() {
    let mut paying = Paying::start();
    let offer = paying.offer();
    let mut received = 0;
    for moment in ["while the tool runs", "when it has run", "while the transaction waits", "when it is mined"] {
        let payer = paying.payer();
        let payment = header(&payer.pay(&offer, &Terms::new(&paying.payee)));
        let path = paying.path(SLOW);
        let buyer = paying.gateway.caller().with("payment-signature", &payment);
        // Mining goes on by itself, or stands still, or nobody answers at all.
        if moment.contains("waits") || moment.contains("mined") {
            paying.chain.rpc("evm_setIntervalMining", &json!([0]));
        }
        let call = {
            let path = path.clone();
            thread::spawn(move || buyer.post(&path, &slow()))
        };
        match moment {
            "while the tool runs" => thread::sleep(Duration::from_secs(2)),
            "when it has run" => {
                thread::sleep(Duration::from_secs(2));
                paying.chain.freeze();
                thread::sleep(Duration::from_secs(4));
            }
            _ => {
                waiting_transaction(&paying);
                if moment == "when it is mined" {
                    // By the time it is in a block, the gateway is gone.
                    paying.gateway.kill();
                    paying.chain.rpc("evm_mine", &json!([]));
                    assert_eq!(paying.received(), received + 500);
                }
            }
        }
        paying.gateway.kill();
        assert!(call.join().is_err(), "{moment}: nobody got an answer");
        if moment == "when it has run" {
            paying.chain.thaw();
        }
        paying.chain.rpc("evm_setIntervalMining", &json!([1]));
        thread::sleep(Duration::from_secs(2));
        paying.gateway.serve().unwrap();

        let buyer = paying.gateway.caller().with("payment-signature", &payment);
        if moment != "while the tool runs" {
            // Recovery settles it without being asked.
            until(|| paying.received() == received + 500, moment);
            let begun = Instant::now();
            let answer = retried(&buyer, &path, &slow());
            assert!(text(&answer).contains("Long running operation completed"), "{moment}: {}", text(&answer));
            assert!(begun.elapsed() < Duration::from_secs(3), "{moment}: it was stored and did not run again");
        } else {
            thread::sleep(Duration::from_secs(1));
            assert_eq!(paying.received(), received, "{moment}");
            let answer = retried(&buyer, &path, &slow());
            assert!(text(&answer).contains("Long running operation completed"), "{moment}: {}", text(&answer));
        }
        received += 500;
        let once = buyer.post(&path, &slow());
        assert_eq!(once.status, 200, "{moment}: {}", text(&once));
        assert_eq!((paying.received(), paying.balance(&payer)), (received, 999_500), "{moment}");
    }
}

#[test]
fn a_gateway_that_is_asked_to_end_while_a_payment_waits_loses_neither_payment_nor_answer() {
    let mut paying = Paying::with("confirm_wait_s = 5\n", Settings::default());
    let payer = paying.payer();
    let payment = header(&paying.payment(&payer));
    let (path, body) = (paying.path("echo"), json!({"message": "the last one"}));
    let buyer = paying.gateway.caller().with("payment-signature", &payment);
    paying.chain.rpc("evm_setIntervalMining", &json!([0]));
    let call = {
        let (path, body) = (path.clone(), body.clone());
        thread::spawn(move || buyer.post(&path, &body))
    };
    waiting_transaction(&paying);
    paying.gateway.stop();
    if let Ok(answer) = call.join() {
        assert_eq!((answer.status, &answer.json()["error"]), (503, &json!("SETTLEMENT_PENDING")), "{}", text(&answer));
    }
    paying.chain.rpc("evm_setIntervalMining", &json!([1]));
    until(|| paying.received() == 500, "the transaction's block");
    paying.gateway.serve().unwrap();
    let answer = retried(&paying.gateway.caller().with("payment-signature", &payment), &path, &body);
    assert_eq!(answer.json()["content"][0]["text"], "Echo: the last one");
    assert_eq!((paying.received(), paying.balance(&payer)), (500, 999_500));
}

/// What a client does that is told to come back.
fn retried(buyer: &Client, path: &str, body: &Value) -> Answer {
    let deadline = Instant::now() + Duration::from_secs(40);
    loop {
        let answer = buyer.post(path, body);
        if answer.status == 200 {
            return answer;
        }
        assert_eq!(answer.status, 503, "{}", text(&answer));
        assert!(Instant::now() < deadline, "{}", text(&answer));
        thread::sleep(Duration::from_secs(1));
    }
}

fn waiting_transaction(paying: &Paying) {
    until(|| paying.chain.rpc("txpool_status", &json!([]))["pending"] != "0x0", "a transaction that waits");
}
