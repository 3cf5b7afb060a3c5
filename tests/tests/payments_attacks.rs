//! Callers, nodes and bystanders who want a result for nothing, or somebody charged for nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::{io::Write as _, net::TcpStream, thread, time::Duration};

use sealgate_tests::{
    Answer, Anvil, Client, Liar, Paying, Settings,
    paying::PURSE,
    text, until,
    wallet::{Terms, header},
};
use serde_json::json;

/// What it says at its end.
const RESULT: &str = "Long running operation completed";

#[test]
fn one_authorization_for_many_calls_at_once_pays_for_one_of_them() {
    let paying = Paying::start();
    let (gateway, payer, path) = (&paying.gateway, paying.payer(), paying.path("echo"));
    let buyer = gateway.caller().with("x-payment", &header(&paying.payment(&payer)));
    let answers: Vec<Answer> = thread::scope(|scope| {
        let (buyer, path) = (&buyer, &path);
        let uses: Vec<_> =
            (0..8).map(|at| scope.spawn(move || buyer.post(path, &json!({"message": format!("{at}")})))).collect();
        uses.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let given = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers.iter().filter(|answer| answer.status == 402 && !text(answer).contains("Echo")).count();
    assert_eq!((given, refused), (1, 7), "{:?}", answers.iter().map(text).collect::<Vec<_>>());
    assert_eq!((paying.received(), paying.balance(&payer)), (500, PURSE - 500));

    // Two authorizations for the same call are two calls.
    let first = gateway.caller().with("x-payment", &header(&paying.payment(&payer)));
    let second = gateway.caller().with("x-payment", &header(&paying.payment(&payer)));
    let body = json!({"message": "the same"});
    let (first, second) = (first.post(&path, &body), second.post(&path, &body));
    assert_ne!(first.json()["proof"]["proof"]["id"], second.json()["proof"]["proof"]["id"]);
    assert_eq!(paying.received(), 1500);
}

#[test]
fn who_hangs_up_before_the_answer_has_paid_once_and_can_fetch_it() {
    let paying = Paying::start();
    let (gateway, payer) = (&paying.gateway, paying.payer());
    let (path, body) = (paying.path("echo"), json!({"message": "who hung up?"}));
    let payment = header(&paying.payment(&payer));
    paying.chain.rpc("evm_setIntervalMining", &json!([0]));
    let host = gateway.base().trim_start_matches("http://");
    let mut caller = TcpStream::connect(host).unwrap();
    let sent = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nX-MCP-Session: \
         the-session-of-one-caller\r\nX-PAYMENT: {payment}\r\nContent-Length: {}\r\n\r\n",
        sent.len()
    );
    caller.write_all(format!("{head}{sent}").as_bytes()).unwrap();
    until(|| paying.chain.rpc("txpool_status", &json!([]))["pending"] != "0x0", "a transaction that waits");
    drop(caller);
    thread::sleep(Duration::from_secs(1));
    paying.chain.rpc("evm_setIntervalMining", &json!([1]));
    until(|| paying.received() == 500, "the settlement of what ran");
    let buyer = gateway.caller().with("x-payment", &payment);
    let answer = buyer.post(&path, &body);
    assert_eq!(answer.json()["content"][0]["text"], "Echo: who hung up?", "{}", text(&answer));
    assert_eq!((paying.received(), paying.balance(&payer)), (500, PURSE - 500));
}

#[test]
fn an_account_that_turns_into_a_smart_wallet_while_the_tool_runs_gets_nothing() {
    let paying = Paying::start();
    let (gateway, payer) = (&paying.gateway, paying.payer());
    let (client, path) = (gateway.caller(), paying.path(Paying::SLOW));
    let buyer = client.with("x-payment", &header(&paying.payment(&payer)));
    // A delegation (EIP-7702): the token asks the account's code from then on, and refuses the key's own signature.
    let delegated = format!("0xef0100{}", "11".repeat(20));
    let refused = during(&buyer, &path, &|| {
        paying.chain.rpc("anvil_setCode", &json!([payer.address(), delegated]));
    });
    assert_eq!(
        (refused.status, &refused.json()["error"]),
        (402, &json!("invalid_transaction_state")),
        "{}",
        text(&refused)
    );
    assert!(!text(&refused).contains(RESULT), "{}", text(&refused));
    let again = buyer.post(&path, &Paying::slow());
    assert_eq!(again.json()["error"], "invalid_exact_evm_payload_signature", "{}", text(&again));
    assert!(text(&again).contains("smart wallets cannot pay here yet"), "{}", text(&again));
    assert_eq!((paying.received(), paying.balance(&payer)), (0, PURSE));
    paying.chain.rpc("anvil_setCode", &json!([payer.address(), "0x"]));
    assert_eq!(buyer.post(&path, &Paying::slow()).status, 200, "nothing was lost");
    assert_eq!(paying.received(), 500);
}

#[test]
fn a_gateway_without_gas_money_runs_nothing_and_says_that_it_is_its_own_fault() {
    let paying = Paying::with("confirm_wait_s = 5\n", Settings::default());
    let (gateway, payer) = (&paying.gateway, paying.payer());
    let (client, fee_payer) = (gateway.caller(), paying.fee_payer());
    let gas = |wei: &str| paying.chain.rpc("anvil_setBalance", &json!([fee_payer, wei]));
    let buyer = client.with("x-payment", &header(&paying.payment(&payer)));
    gas("0x0");
    let refused = buyer.post(&paying.path("echo"), &json!({"message": "a"}));
    assert_eq!((refused.status, &refused.json()["error"]), (503, &json!("UNAVAILABLE")), "{}", text(&refused));
    assert!(refused.header("payment-required").is_none() && refused.header("retry-after").is_some());
    gas("0xde0b6b3a7640000");
    let pending = during(&buyer, &paying.path(Paying::SLOW), &|| {
        gas("0x0");
    });
    assert_eq!((pending.status, &pending.json()["error"]), (503, &json!("SETTLEMENT_PENDING")), "{}", text(&pending));
    assert!(!text(&pending).contains(RESULT), "{}", text(&pending));
    assert_eq!(paying.received(), 0);
    gas("0xde0b6b3a7640000");
    let mut answer = buyer.post(&paying.path(Paying::SLOW), &Paying::slow());
    until(
        || {
            answer = buyer.post(&paying.path(Paying::SLOW), &Paying::slow());
            answer.status == 200
        },
        "the settlement",
    );
    assert!(text(&answer).contains(RESULT), "{}", text(&answer));
    assert_eq!((paying.received(), paying.balance(&payer)), (500, PURSE - 500));
}

#[test]
fn a_node_that_lies_convinces_only_those_who_ask_no_other() {
    // A whole chain with the real token, on which everybody is rich and everything works. It is not the one on which the
    // payee is paid, but one node tells of its state under the true chain's blocks.
    for alone in [true, false] {
        let other = Anvil::start();
        let mut liar = None;
        let nodes = |chain: &Anvil| {
            let lying = liar.insert(Liar::between(chain, &other)).url();
            if alone { vec![lying] } else { vec![lying, chain.url()] }
        };
        let paying = Paying::among(nodes, "confirm_wait_s = 5\n", Settings::default());
        other.fund(paying.fee_payer().parse().unwrap(), 1_000_000_000_000_000_000);
        let client = paying.gateway.caller();

        // Money that it alone sees.
        let payer = paying.payer_with(1);
        other.mint(payer.address().parse().unwrap(), PURSE);
        let poor = client.with("x-payment", &header(&paying.payment(&payer)));
        let without = poor.post(&paying.path("echo"), &json!({"message": "on credit"}));
        // Money that is gone when it says that it was paid.
        let payer = paying.payer();
        other.mint(payer.address().parse().unwrap(), PURSE);
        let buyer = client.with("x-payment", &header(&paying.payment(&payer)));
        let drained = during(&buyer, &paying.path(Paying::SLOW), &|| paying.drain(&payer));
        assert_eq!(paying.received(), 0);
        for (answer, result) in [(&without, "on credit"), (&drained, RESULT)] {
            if alone {
                // Who asks one node alone believes it. So the lie is a good one.
                assert_eq!(answer.status, 200, "{}", text(answer));
            } else {
                assert!(matches!(answer.status, 402 | 503), "{}", text(answer));
                assert!(!text(answer).contains(result), "{}", text(answer));
            }
        }
    }
}

#[test]
fn a_payer_who_uses_a_power_cut_to_take_the_money_back_gets_nothing() {
    let mut paying = Paying::start();
    let payer = paying.payer();
    let payment = header(&payer.pay(&paying.offer(), &Terms::new(&paying.payee)));
    let path = paying.path(Paying::SLOW);
    let buyer = paying.gateway.caller().with("x-payment", &payment);
    let call = {
        let path = path.clone();
        thread::spawn(move || buyer.post(&path, &Paying::slow()))
    };
    thread::sleep(Duration::from_secs(2));
    // The chain says nothing for as long as it takes the tool to end and the power to go.
    paying.chain.freeze();
    thread::sleep(Duration::from_secs(4));
    paying.gateway.kill();
    assert!(call.join().is_err());
    paying.chain.thaw();
    paying.drain(&payer);
    paying.gateway.serve().unwrap();
    let buyer = paying.gateway.caller().with("x-payment", &payment);
    let mut answer = buyer.post(&path, &Paying::slow());
    until(
        || {
            assert!(!text(&answer).contains(RESULT), "{}", text(&answer));
            answer = buyer.post(&path, &Paying::slow());
            answer.status == 402
        },
        "the refusal",
    );
    assert_eq!(answer.json()["error"], "insufficient_funds", "{}", text(&answer));
    assert!(!text(&answer).contains(RESULT) && paying.received() == 0, "{}", text(&answer));
}

/// A slow call, and what happens while it runs.
fn during(buyer: &Client, path: &str, what: &dyn Fn()) -> Answer {
    thread::scope(|scope| {
        let call = scope.spawn(|| buyer.post(path, &Paying::slow()));
        thread::sleep(Duration::from_millis(1500));
        what();
        call.join().unwrap()
    })
}
