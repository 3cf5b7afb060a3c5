//! Payments on the wire: what is asked for in every dialect at once, and in which ways a payment is taken.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use sealgate_tests::{
    Paying, text,
    wallet::{Terms, USDC, header},
};
use serde_json::{Value, json};

#[test]
fn one_refusal_asks_in_the_words_of_every_client() {
    let paying = Paying::start();
    let gateway = &paying.gateway;
    let client = gateway.anonymous().with("origin", "http://localhost:3000");
    let asked = client.post(&paying.path("echo"), &json!({"message": "a"}));
    assert_eq!(asked.status, 402);
    let (v2, v1) = (Paying::required(&asked), asked.json());
    assert_eq!((&v2["x402Version"], &v1["x402Version"]), (&json!(2), &json!(1)));
    let (new, old) = (&v2["accepts"][0], &v1["accepts"][0]);
    assert_eq!((&new["amount"], &old["maxAmountRequired"]), (&json!("500"), &json!("500")));
    assert_eq!((&new["network"], &old["network"]), (&json!("eip155:8453"), &json!("base")));
    for offer in [new, old] {
        assert_eq!(
            (&offer["scheme"], &offer["asset"], &offer["payTo"]),
            (&json!("exact"), &json!(USDC), &json!(paying.payee))
        );
        assert_eq!(offer["extra"], json!({"name": "USD Coin", "version": "2"}));
        assert!(offer["maxTimeoutSeconds"].as_u64().unwrap() >= 60);
    }
    assert_eq!(v2["resource"]["url"], old["resource"]);
    assert!(v1["message"].is_string() && v1["remediation"]["text"].is_string());
    assert_eq!(asked.header("cache-control"), Some("no-store"));
    let exposed = asked.header("access-control-expose-headers").unwrap().to_lowercase();
    for name in ["payment-required", "payment-response", "x-payment-response"] {
        assert!(exposed.contains(name), "{name}: {exposed}");
    }
    let preflight = client
        .with("access-control-request-method", "POST")
        .with("access-control-request-headers", "payment-signature,x-payment")
        .send("OPTIONS", &paying.path("echo"), None, b"");
    let allowed = preflight.header("access-control-allow-headers").unwrap().to_lowercase();
    assert!(allowed.contains("payment-signature") && allowed.contains("x-payment"), "{allowed}");

    let endpoint = gateway.endpoint("everything");
    let asked = client.rpc(&endpoint, "tools/call", json!({"name": "echo", "arguments": {"message": "a"}}));
    assert_eq!(asked.status, 200, "an HTTP error on MCP breaks this ecosystem's client");
    let result = &asked.json()["result"];
    assert_eq!(result["isError"], true);
    let said: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(said, result["structuredContent"]);
    assert_eq!(said["error"], "PAYMENT_REQUIRED");
    let theirs = &said["paymentRequirements"];
    assert_eq!((&theirs["priceUsd"], &theirs["maxAmountRequired"]), (&json!(0.0005), &json!("500")));
    assert_eq!((&theirs["payTo"], &theirs["network"]), (&json!(paying.payee), &json!("eip155:8453")));
    assert_eq!((&said["x402Version"], &said["accepts"][0]["amount"]), (&json!(2), &json!("500")));
    assert_eq!(result["_meta"]["x402/error"]["accepts"], said["accepts"]);

    // A tool with an output schema: official clients would hold the offer against that schema.
    let arguments = json!({"location": "Chicago"});
    let asked = client.rpc(&endpoint, "tools/call", json!({"name": "get-structured-content", "arguments": arguments}));
    let result = &asked.json()["result"];
    assert!(result.get("structuredContent").is_none(), "{result}");
    let said: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!((&said["error"], &said["accepts"][0]["amount"]), (&json!("PAYMENT_REQUIRED"), &json!("500")));
    assert_eq!(paying.received(), 0);
}

#[test]
fn a_payment_is_taken_in_every_way_in_which_clients_send_it() {
    let paying = Paying::start();
    let (gateway, payer, offer) = (&paying.gateway, paying.payer(), paying.offer());
    let (client, endpoint, path) = (gateway.caller(), gateway.endpoint("everything"), paying.path("echo"));
    let fresh = || payer.pay(&offer, &Terms::new(&paying.payee));
    let hybrid = || {
        let mut payment = payer.pay_v1(&Terms::new(&paying.payee));
        payment["x402Version"] = json!(2);
        payment
    };
    let mut spent = 0;
    let mut charged = |what: &str| {
        spent += 500;
        assert_eq!((paying.received(), paying.balance(&payer)), (spent, 1_000_000 - spent), "{what}");
    };

    // `initialize` neither takes nor refuses it; the call after it does.
    let both = header(&fresh());
    let sender = client.with("payment-signature", &both).with("x-payment", &both);
    let begun = sender.rpc(
        &endpoint,
        "initialize",
        json!({"protocolVersion": "2025-03-26", "capabilities": {},
        "clientInfo": {"name": "scenario", "version": "1"}}),
    );
    assert_eq!(begun.json()["result"]["protocolVersion"], "2025-03-26");
    assert!(sender.rpc(&endpoint, "tools/list", json!({})).json()["result"]["tools"].is_array());
    assert_eq!(paying.received(), 0);
    let paid = sender.call(&endpoint, "echo", json!({"message": "headers"}));
    assert_eq!(paid["content"][0]["text"], "Echo: headers", "{paid}");
    assert_eq!(paid["_meta"]["x402/payment-response"]["success"], true);
    assert_eq!(paid["_meta"]["io.sealgate/proof"]["settlement"]["outcome"], "settled");
    charged("both headers over MCP");
    // The same call over REST is the same purchase, so it has the same answer and the same proof.
    let again = sender.post(&path, &json!({"message": "headers"}));
    assert_eq!(again.json()["proof"], paid["_meta"]["io.sealgate/proof"], "{}", text(&again));

    for (what, key, payment) in [
        ("an object", "x402/payment", fresh()),
        ("base64", "x402/payment", json!(header(&fresh()))),
        ("an older client's base64 of v1", "x402.payment", json!(header(&payer.pay_v1(&Terms::new(&paying.payee))))),
        ("a hybrid object", "x402/payment", hybrid()),
    ] {
        let params = json!({"name": "echo", "arguments": {"message": what}, "_meta": {key: payment}});
        let result = client.rpc(&endpoint, "tools/call", params).json()["result"].clone();
        assert_eq!(result["content"][0]["text"], format!("Echo: {what}"), "{result}");
        charged(what);
    }
    for (what, name, payment) in [
        ("v2 in its header", "payment-signature", fresh()),
        ("v1 in its header", "x-payment", payer.pay_v1(&Terms::new(&paying.payee))),
        ("v2 in v1's header", "x-payment", fresh()),
        ("the hybrid", "x-payment", hybrid()),
    ] {
        let paid = client
            .with(name, &header(&payment))
            .with("origin", "http://localhost:3000")
            .post(&path, &json!({"message": what}));
        assert_eq!(paid.status, 200, "{what}: {}", text(&paid));
        assert_eq!(paid.header("cache-control"), Some("no-store"));
        assert_eq!(paid.header("payment-response"), paid.header("x-payment-response"));
        let settlement = Paying::settlement(&paid);
        assert_eq!((&settlement["success"], &settlement["payer"]), (&json!(true), &json!(payer.address())));
        assert_eq!(paid.json()["payment"]["txHash"], settlement["transaction"]);
        charged(what);
    }
    // A modern client (2026-07-28).
    let paid = client.with("payment-signature", &header(&fresh())).modern(
        &endpoint,
        "tools/call",
        json!({"name": "echo", "arguments": {"message": "modern"}}),
    );
    assert_eq!(paid.json()["result"]["content"][0]["text"], "Echo: modern", "{}", text(&paid));
    charged("modern");

    // Two different payments are none.
    let torn = client.with("payment-signature", &header(&fresh())).with("x-payment", &header(&fresh()));
    let refused = torn.post(&path, &json!({"message": "torn"}));
    assert_eq!((refused.status, &refused.json()["reason"]), (400, &json!("two_payments")), "{}", text(&refused));
    let refused = torn.rpc(&endpoint, "tools/call", json!({"name": "echo", "arguments": {"message": "torn"}}));
    assert_eq!(refused.json()["error"]["code"], -32602, "{}", text(&refused));
    // In `_meta` and in a header: one if they are the same, none if not.
    let payment = fresh();
    let params = json!({"name": "echo", "arguments": {"message": "beside"}, "_meta": {"x402/payment": payment}});
    let refused = client.with("x-payment", &header(&fresh())).rpc(&endpoint, "tools/call", params.clone());
    assert_eq!(refused.json()["error"]["code"], -32602, "{}", text(&refused));
    let paid = client.with("x-payment", &header(&payment)).rpc(&endpoint, "tools/call", params);
    assert_eq!(paid.json()["result"]["content"][0]["text"], "Echo: beside", "{}", text(&paid));
    charged("the same in _meta and a header");
}
