//! One payment, one charge, one answer: whatever the caller, the chain, a stranger or a power cut does in between.
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
    Answer, Client, EVERYTHING, Paying, Settings,
    wallet::{Terms, header},
};
use serde_json::{Value, json};

/// Ends at once: there is no such transport.
const DEAD: &str = r#"
[[server]]
id = "7b8e0d62-93a1-4d55-8f0e-2d4c6a1b9e02"
name = "dead"
package = "@modelcontextprotocol/server-everything"
version = "2026.8.31"
args = ["no-such-transport"]
"#;

/// A call that takes four seconds, so that things can happen while it runs.
const SLOW: &str = "trigger-long-running-operation";

fn slow() -> Value {
    json!({"duration": 4, "steps": 2})
}

#[test]
fn one_payment_has_one_answer_and_pays_for_nothing_else() {
    let paying = Paying::start();
    let (gateway, payer) = (&paying.gateway, paying.payer());
    let client = gateway.caller();
    let (path, body) = (paying.path("echo"), json!({"message": "once"}));
    let payment = header(&paying.payment(&payer));
    let buyer = client.with("payment-signature", &payment);
    let first = buyer.post(&path, &body);
    assert_eq!(first.status, 200, "{}", text(&first));
    let first_settlement = Paying::settlement(&first);
    let second = buyer.post(&path, &json!({"message": "once"}));
    assert_eq!((second.status, second.json()), (200, first.json()), "the stored answer, proof and all");
    assert_eq!(Paying::settlement(&second), first_settlement);
    // Another spelling of the same arguments is the same call.
    let spelled = buyer.send("POST", &path, Some("application/json"), br#"{ "message" : "onc\u0065" }"#);
    assert_eq!(spelled.json(), first.json());

    let used = "invalid_exact_evm_nonce_already_used";
    let member = payer.login(gateway).with("x-mcp-session", "the-session-of-one-caller");
    let anonymous = gateway.anonymous();
    for (what, client, path, body) in [
        ("other arguments", client.clone(), path.clone(), json!({"message": "twice"})),
        ("another tool", client.clone(), paying.path("get-sum"), json!({"a": 1, "b": 2})),
        ("no session", anonymous.clone(), path.clone(), body.clone()),
        ("another session", anonymous.with("x-mcp-session", "the-session-of-another"), path.clone(), body.clone()),
        ("another principal", member, path.clone(), body.clone()),
    ] {
        let refused = client.with("payment-signature", &payment).post(&path, &body);
        assert_eq!((refused.status, &refused.json()["error"]), (402, &json!(used)), "{what}: {}", text(&refused));
        assert!(!text(&refused).contains("Echo"), "{what}: {}", text(&refused));
    }
    assert_eq!((paying.received(), paying.balance(&payer)), (500, 999_500));
}

#[test]
fn eight_at_once_with_one_authorization_are_one_call_and_one_charge() {
    let paying = Paying::start();
    let (gateway, payer) = (&paying.gateway, paying.payer());
    let (path, payment) = (paying.path(SLOW), header(&paying.payment(&payer)));
    let buyer = gateway.caller().with("payment-signature", &payment);
    let answers: Vec<Answer> = thread::scope(|scope| {
        let uses: Vec<_> =
            (0..8).map(|_| scope.spawn(|| buyer.post(&path, &json!({"duration": 1, "steps": 1})))).collect();
        uses.into_iter().map(|one| one.join().unwrap()).collect()
    });
    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", text(answer));
        assert_eq!(answer.json(), answers[0].json());
    }
    assert_eq!((paying.received(), paying.balance(&payer)), (500, 999_500));

    // Two calls at once from an account that has the money for one.
    let poor = paying.payer_with(500);
    let (one, other) = (header(&paying.payment(&poor)), header(&paying.payment(&poor)));
    let client = gateway.caller();
    let (first, second) = thread::scope(|scope| {
        let first = scope.spawn(|| client.with("x-payment", &one).post(&path, &slow()));
        thread::sleep(Duration::from_secs(2));
        let second = client.with("x-payment", &other).post(&paying.path("echo"), &json!({"message": "overdraft"}));
        (first.join().unwrap(), second)
    });
    assert_eq!((first.status, second.status), (200, 402), "{} {}", text(&first), text(&second));
    assert_eq!(second.json()["error"], "insufficient_funds");
    assert_eq!((paying.received(), paying.balance(&poor)), (1000, 0));
}

#[test]
fn a_call_that_fails_costs_nothing_and_its_authorization_still_pays() {
    let settings =
        Settings { more: format!("[limits]\ncall_timeout_s = 3\n{EVERYTHING}{DEAD}"), ..Settings::default() };
    let paying = Paying::with("", settings);
    let (gateway, payer) = (&paying.gateway, paying.payer());
    let client = gateway.caller();
    let payment = header(&paying.payment(&payer));
    let buyer = client.with("payment-signature", &payment);
    let dead = format!("/api/servers/{}/tools/echo", gateway.id("dead"));
    for (what, path, body, status) in [
        ("its error", paying.path("get-sum"), json!({"a": "two", "b": []}), 200),
        ("no such tool", paying.path("no-such-tool"), json!({}), 404),
        ("a server that dies", dead, json!({"message": "a"}), 503),
        ("too slow", paying.path(SLOW), json!({"duration": 60, "steps": 2}), 504),
        ("no object", paying.path("echo"), json!([1]), 400),
        ("too long", paying.path("echo"), json!({"message": "x".repeat(100_000)}), 413),
    ] {
        let failed = buyer.post(&path, &body);
        assert_eq!(failed.status, status, "{what}: {}", text(&failed));
        assert!(failed.header("payment-response").is_none(), "{what}");
        assert_eq!(failed.json().get("payment"), None, "{what}: {}", text(&failed));
        if status == 200 {
            assert_eq!(failed.json()["isError"], true, "{what}");
            assert_eq!(failed.json()["proof"].get("settlement"), None, "{what}: {}", text(&failed));
        }
        assert_eq!(paying.received(), 0, "{what}");
    }
    let result = buyer.call(&gateway.endpoint("everything"), "get-sum", json!({"a": "two", "b": []}));
    assert_eq!(result["isError"], true);
    assert!(result["_meta"].get("x402/payment-response").is_none(), "{result}");

    // Somebody who hangs up while the tool runs.
    hangs_up(gateway.base(), &paying.path(SLOW), &payment);
    thread::sleep(Duration::from_secs(1));
    assert_eq!((paying.received(), paying.balance(&payer)), (0, 1_000_000));
    let paid = buyer.post(&paying.path("echo"), &json!({"message": "at last"}));
    assert_eq!(paid.status, 200, "{}", text(&paid));
    assert_eq!((paying.received(), paying.balance(&payer)), (500, 999_500));
}

#[test]
fn a_payer_who_takes_the_money_back_while_the_tool_runs_gets_nothing_and_one_who_is_robbed_of_it_gets_the_answer() {
    let paying = Paying::start();
    let gateway = &paying.gateway;
    let client = gateway.caller();
    let path = paying.path(SLOW);
    let during = |payment: &Value, what: &dyn Fn()| {
        let buyer = client.with("payment-signature", &header(payment));
        thread::scope(|scope| {
            let call = scope.spawn(|| buyer.post(&path, &slow()));
            thread::sleep(Duration::from_millis(1500));
            what();
            call.join().unwrap()
        })
    };

    let payer = paying.payer();
    let payment = paying.payment(&payer);
    let refused = during(&payment, &|| paying.drain(&payer));
    withheld(&refused, "insufficient_funds");
    let again = client.with("payment-signature", &header(&payment)).post(&path, &slow());
    withheld(&again, "insufficient_funds");
    assert_eq!(paying.received(), 0);

    let payer = paying.payer();
    let terms = Terms::new(&paying.payee);
    let payment = payer.pay(&paying.offer(), &terms);
    let refused = during(&payment, &|| paying.cancel(&payer, &terms));
    withheld(&refused, "invalid_exact_evm_nonce_already_used");
    assert_eq!((paying.received(), paying.balance(&payer)), (0, 1_000_000));

    // Anybody can hand in what the payer signed. Then it is paid, by whomever.
    let payer = paying.payer();
    let payment = paying.payment(&payer);
    let paid = during(&payment, &|| paying.execute(&payment));
    assert_eq!(paid.status, 200, "{}", text(&paid));
    assert_eq!((paying.received(), paying.balance(&payer)), (500, 999_500));
    let receipt = paying.chain.receipt(Paying::settlement(&paid)["transaction"].as_str().unwrap());
    assert_ne!(receipt["from"].as_str().unwrap().to_lowercase(), fee_payer(&paying).to_lowercase());

    // What was executed before anybody called pays for no call: whose it was is not known.
    let payer = paying.payer();
    let payment = paying.payment(&payer);
    paying.execute(&payment);
    let refused = client.with("payment-signature", &header(&payment)).post(&path, &slow());
    withheld(&refused, "invalid_exact_evm_nonce_already_used");
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

fn withheld(answer: &Answer, reason: &str) {
    assert_eq!((answer.status, &answer.json()["error"]), (402, &json!(reason)), "{}", text(answer));
    assert!(!text(answer).contains("Long running operation completed"), "{}", text(answer));
    assert!(answer.json().get("proof").is_none());
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

fn until(mut reached: impl FnMut() -> bool, what: &str) {
    let deadline = Instant::now() + Duration::from_secs(40);
    while !reached() {
        assert!(Instant::now() < deadline, "{what}: it did not happen");
        thread::sleep(Duration::from_millis(200));
    }
}

fn waiting_transaction(paying: &Paying) {
    until(|| paying.chain.rpc("txpool_status", &json!([]))["pending"] != "0x0", "a transaction that waits");
}

fn fee_payer(paying: &Paying) -> String {
    let config = paying.gateway.anonymous().get("/api/payments/config").json();
    config["feePayerAddress"].as_str().unwrap().to_owned()
}

/// Sends a paid call and is gone while it runs.
fn hangs_up(base: &str, path: &str, payment: &str) {
    use std::io::Write as _;
    let host = base.trim_start_matches("http://");
    let body = json!({"duration": 2, "steps": 2}).to_string();
    let mut caller = std::net::TcpStream::connect(host).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nX-MCP-Session: \
         the-session-of-one-caller\r\nPAYMENT-SIGNATURE: {payment}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    caller.write_all(format!("{head}{body}").as_bytes()).unwrap();
    thread::sleep(Duration::from_secs(1));
    drop(caller);
}

fn text(answer: &Answer) -> String {
    format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body))
}
