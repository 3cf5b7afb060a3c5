//! Payments that do not do: each refused with its reason, before anything runs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sealgate_tests::{
    Client, EVERYTHING, FILESYSTEM, Paying, Settings, Wallet, text,
    wallet::{Terms, header, now},
};
use serde_json::{Value, json};

/// The order of secp256k1's group (SEC 2, section 2.4.1).
const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

#[test]
fn every_payment_that_does_not_do_is_refused_with_its_reason_before_anything_runs() {
    let settings = Settings { more: format!("{EVERYTHING}{FILESYSTEM}"), ..Settings::default() };
    let paying = Paying::with("", settings);
    let (gateway, payer, offer) = (&paying.gateway, paying.payer(), paying.offer());
    let client = gateway.caller();
    // A call that leaves a trace where it runs.
    let path = format!("/api/servers/{}/tools/write_file", gateway.id("filesystem"));
    let arguments = json!({"path": "/data/ran", "content": "it ran"});
    let terms = || Terms::new(&paying.payee);
    let other = Wallet::new();
    let good = || payer.pay(&offer, &terms());
    let changed = |path: &str, value: Value| {
        let mut payment = good();
        *payment.pointer_mut(path).unwrap() = value;
        payment
    };
    let signed = |terms: Terms| payer.pay(&offer, &terms);
    let forged = {
        let mut payment = good();
        payment["payload"]["signature"] = other.authorize(&terms())["signature"].clone();
        payment
    };
    let stranger = Wallet::new();
    let somebody_else = stranger.address();
    let signature = "invalid_exact_evm_payload_signature";
    let value = "invalid_exact_evm_payload_authorization_value_mismatch";
    let before = "invalid_exact_evm_payload_authorization_valid_before";
    let requirements = "invalid_payment_requirements";
    let cases = [
        ("another scheme", changed("/accepted/scheme", json!("upto")), 402, "unsupported_scheme"),
        ("another network", changed("/accepted/network", json!("eip155:84532")), 402, "invalid_network"),
        (
            "another asset",
            changed("/accepted/asset", json!("0x036CbD53842c5426634e7929541eC2318f3dCF7e")),
            402,
            requirements,
        ),
        ("another amount accepted", changed("/accepted/amount", json!("5")), 402, requirements),
        ("another payee accepted", changed("/accepted/payTo", json!(somebody_else)), 402, requirements),
        ("less", signed(Terms { value: 499, ..terms() }), 402, value),
        ("more", signed(Terms { value: 501, ..terms() }), 402, value),
        ("nothing", signed(Terms { value: 0, ..terms() }), 402, value),
        (
            "another payee",
            payer.pay(&offer, &Terms::new(&somebody_else)),
            402,
            "invalid_exact_evm_payload_recipient_mismatch",
        ),
        ("over", signed(Terms { valid_before: now() - 60, ..terms() }), 402, before),
        ("too short", signed(Terms { valid_before: now() + 20, ..terms() }), 402, before),
        (
            "not yet",
            signed(Terms { valid_after: now() + 600, ..terms() }),
            402,
            "invalid_exact_evm_payload_authorization_valid_after",
        ),
        ("another domain", signed(Terms { domain: "USDC".to_owned(), ..terms() }), 402, signature),
        ("another chain", signed(Terms { chain: 84532, ..terms() }), 402, signature),
        ("another signer", forged, 402, signature),
        (
            "raised after signing",
            changed("/payload/authorization/validBefore", json!((now() + 7200).to_string())),
            402,
            signature,
        ),
        ("high s", high_s(good()), 402, signature),
        ("a short nonce", changed("/payload/authorization/nonce", json!("0xabcd")), 400, "invalid_payload"),
        ("a number for an amount", changed("/payload/authorization/value", json!(500)), 400, "invalid_payload"),
        ("hexadecimal", changed("/payload/authorization/value", json!("0x1f4")), 400, "invalid_payload"),
        ("an empty payer", changed("/payload/authorization/from", json!("")), 400, "invalid_payload"),
        ("version 3", changed("/x402Version", json!(3)), 400, "invalid_x402_version"),
        ("a poor payer", Wallet::new().pay(&offer, &terms()), 402, "insufficient_funds"),
        (
            "another resource",
            {
                let mut payment = good();
                payment["resource"] = json!({"url": "https://gateway.example/api/servers/other/tools/other"});
                payment
            },
            402,
            requirements,
        ),
    ];
    for (what, payment, status, reason) in &cases {
        refused(&client, &path, &arguments, &header(payment), (*status, reason), what);
    }
    for (what, value) in [
        ("no base64", "not base64 at all!".to_owned()),
        ("base64 of nothing", STANDARD.encode("")),
        ("no JSON", STANDARD.encode("{")),
        ("a list", STANDARD.encode("[]")),
        ("two of one name", STANDARD.encode(r#"{"x402Version":2,"x402Version":2}"#)),
        ("empty", String::new()),
        ("two at once", format!("{0},{0}", header(&good()))),
        ("longer than a payment can be", STANDARD.encode("x".repeat(30_000))),
    ] {
        refused(&client, &path, &arguments, &value, (400, "invalid_payload"), what);
    }
    // A megabyte is no header to any server: it hears so, and the next caller is not touched.
    let status = with_a_huge_header(gateway.base(), &path);
    assert!(status.starts_with("HTTP/1.1 4"), "{status}");
    // Over MCP the same reasons stand in the result.
    let endpoint = gateway.endpoint("filesystem");
    let result = client.with("x-payment", &header(&signed(Terms { value: 499, ..terms() }))).call(
        &endpoint,
        "write_file",
        arguments.clone(),
    );
    assert_eq!((&result["isError"], &result["structuredContent"]), (&json!(true), &Value::Null), "{result}");
    let said: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(said["reason"], value);

    assert_eq!((paying.received(), paying.balance(&payer)), (0, 1_000_000));
    // None of them ran: in this caller's container there is no such file.
    let read = json!({"path": "/data/ran"});
    let reading = client.with("x-payment", &header(&good())).call(&endpoint, "read_text_file", read);
    assert!(reading.to_string().contains("ENOENT"), "{reading}");
    // And the right one does.
    let paid = client.with("x-payment", &header(&good())).post(&path, &arguments);
    assert_eq!(paid.status, 200, "{}", text(&paid));
    assert_eq!(paying.received(), 500);
    // Nothing of a payment is in the log, whatever was wrong with it.
    let log = gateway.log();
    assert!(!log.to_lowercase().contains(&payer.address().to_lowercase()), "{log}");
}

fn refused(client: &Client, path: &str, arguments: &Value, payment: &str, expected: (u16, &str), what: &str) {
    for name in ["payment-signature", "x-payment"] {
        let refused = client.with(name, payment).post(path, arguments);
        assert_eq!(refused.status, expected.0, "{what}: {}", text(&refused));
        let said = refused.json();
        assert_eq!(said["error"], expected.1, "{what}: {said}");
        assert!(said["remediation"]["text"].as_str().unwrap().len() > 10, "{what}: {said}");
        assert_eq!(Paying::required(&refused)["accepts"][0]["amount"], "500", "{what}");
        assert!(refused.header("payment-response").is_none());
    }
}

/// The status line that a header of a megabyte brings.
fn with_a_huge_header(base: &str, path: &str) -> String {
    let host = base.trim_start_matches("http://");
    let mut caller = TcpStream::connect(host).unwrap();
    let huge = "A".repeat(1 << 20);
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nPAYMENT-SIGNATURE: {huge}\r\n\
         Content-Length: 2\r\n\r\n{{}}"
    );
    // It may stop listening in the middle of it.
    let _sent = caller.write_all(request.as_bytes());
    let mut answer = [0; 256];
    let read = caller.read(&mut answer).unwrap_or_else(|error| panic!("no answer: {error}"));
    String::from_utf8_lossy(&answer[..read]).lines().next().unwrap_or_default().to_owned()
}

/// The same signature in its other form (EIP-2 refuses it): n - s, with the other v.
fn high_s(mut payment: Value) -> Value {
    let signature = payment["payload"]["signature"].as_str().unwrap().trim_start_matches("0x").to_owned();
    let bytes = hex::decode(&signature).unwrap();
    let (order, mut s) = (hex::decode(ORDER).unwrap(), [0_u8; 32]);
    let mut borrow = 0_i16;
    for at in (0..32).rev() {
        let digit = i16::from(order[at]) - i16::from(bytes[32 + at]) - borrow;
        borrow = i16::from(digit < 0);
        s[at] = u8::try_from(digit.rem_euclid(256)).unwrap();
    }
    let v = 27 + 28 - bytes[64];
    payment["payload"]["signature"] = json!(format!("0x{}", hex::encode([&bytes[..32], &s, &[v]].concat())));
    payment
}
