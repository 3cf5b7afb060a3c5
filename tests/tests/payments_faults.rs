//! One payment, one charge, one answer: whatever the caller or a stranger does in between.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::{io::Write as _, net::TcpStream, thread, time::Duration};

use sealgate_tests::{
    Answer, EVERYTHING, Paying, Settings, text,
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
    let (path, payment) = (paying.path(Paying::SLOW), header(&paying.payment(&payer)));
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
        let first = scope.spawn(|| client.with("x-payment", &one).post(&path, &Paying::slow()));
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
        ("too slow", paying.path(Paying::SLOW), json!({"duration": 60, "steps": 2}), 504),
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
    hangs_up(gateway.base(), &paying.path(Paying::SLOW), &payment);
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
    let path = paying.path(Paying::SLOW);
    let during = |payment: &Value, what: &dyn Fn()| {
        let buyer = client.with("payment-signature", &header(payment));
        thread::scope(|scope| {
            let call = scope.spawn(|| buyer.post(&path, &Paying::slow()));
            thread::sleep(Duration::from_millis(1500));
            what();
            call.join().unwrap()
        })
    };

    let payer = paying.payer();
    let payment = paying.payment(&payer);
    let refused = during(&payment, &|| paying.drain(&payer));
    withheld(&refused, "insufficient_funds");
    let failed = Paying::settlement(&refused);
    assert_eq!((&failed["success"], &failed["errorReason"]), (&false.into(), &"insufficient_funds".into()), "{failed}");
    let again = client.with("payment-signature", &header(&payment)).post(&path, &Paying::slow());
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
    assert_ne!(receipt["from"].as_str().unwrap().to_lowercase(), paying.fee_payer().to_lowercase());

    // What was executed before anybody called pays for no call: whose it was is not known.
    let payer = paying.payer();
    let payment = paying.payment(&payer);
    paying.execute(&payment);
    let refused = client.with("payment-signature", &header(&payment)).post(&path, &Paying::slow());
    withheld(&refused, "invalid_exact_evm_nonce_already_used");
}

fn withheld(answer: &Answer, reason: &str) {
    assert_eq!((answer.status, &answer.json()["error"]), (402, &json!(reason)), "{}", text(answer));
    assert!(!text(answer).contains("Long running operation completed"), "{}", text(answer));
    assert!(answer.json().get("proof").is_none());
}

/// Sends a paid call and is gone while it runs.
fn hangs_up(base: &str, path: &str, payment: &str) {
    let host = base.trim_start_matches("http://");
    let body = json!({"duration": 2, "steps": 2}).to_string();
    let mut caller = TcpStream::connect(host).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nX-MCP-Session: \
         the-session-of-one-caller\r\nPAYMENT-SIGNATURE: {payment}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    caller.write_all(format!("{head}{body}").as_bytes()).unwrap();
    thread::sleep(Duration::from_secs(1));
    drop(caller);
}
