//! Paid calls, with the real token on a chain of our own and the official clients: what is asked, what is paid, and
//! what is proven of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::path::Path;

use sealgate_tests::{
    EVERYTHING, Gateway, Paying, Saved, Settings, clients, text, verify,
    wallet::{Terms, header},
};
use serde_json::{Value, json};

/// Two more names of the reference server: one with prices of its own, one that costs nothing.
const PRICED: &str = r#"
[[server]]
name = "priced"
id = "7b8e0d62-93a1-4d55-8f0e-2d4c6a1b9f01"
package = "@modelcontextprotocol/server-everything"
version = "2026.8.31"
price = "0.000007"
tool_prices = { "get-sum" = "0.0009", "get-tiny-image" = "0" }

[[server]]
name = "gratis"
id = "7b8e0d62-93a1-4d55-8f0e-2d4c6a1b9f02"
package = "@modelcontextprotocol/server-everything"
version = "2026.8.31"
price = "0"
"#;

#[test]
fn official_clients_of_both_versions_pay_over_rest_and_a_stranger_verifies_what_they_paid_for() {
    let mut paying = Paying::start();
    let root = paying.gateway.test_root();
    let bundle = paying.gateway.anonymous().get("/api/attestation/bundle").body;
    let url = format!("{}{}", paying.gateway.base(), paying.path("echo"));
    let mut kept = Vec::new();
    for (version, pay) in [("v2", clients::pay as fn(&str, &str, &Value, &[&str]) -> Value), ("v1", clients::pay_v1)] {
        let payer = paying.payer();
        let before = (paying.balance(&payer), paying.received());
        let body = json!({"message": version});
        let said = pay(&payer.private_key(), &url, &body, &[]);
        assert_eq!((&said["status"], &said["requests"]), (&json!(200), &json!(2)), "{version}: {said}");
        let answer = &said["body"];
        assert_eq!(answer["content"][0]["text"], format!("Echo: {version}"));
        assert_eq!((paying.balance(&payer), paying.received()), (before.0 - 500, before.1 + 500), "{version}");

        let settlement = &said["settlement"];
        assert_eq!((&settlement["success"], &settlement["payer"]), (&json!(true), &json!(payer.address())));
        assert_eq!(settlement["network"], if version == "v2" { "eip155:8453" } else { "base" });
        assert_eq!(answer["payment"]["txHash"], settlement["transaction"]);
        let receipt = paying.chain.receipt(settlement["transaction"].as_str().unwrap());
        assert_eq!(receipt["status"], "0x1");
        let claim = &answer["proof"]["proof"]["payment"];
        let bare = |address: &str| address.trim_start_matches("0x").to_lowercase();
        assert_eq!(claim["payTo"], bare(&paying.payee));
        assert_eq!((&claim["amount"], &claim["network"]), (&json!("500"), &json!("eip155:8453")));
        assert_eq!(answer["proof"]["settlement"]["outcome"], "settled");

        let folder = paying.gateway.directory().join(version);
        let saved = Saved::new(&folder, &body, answer.to_string().as_bytes(), &answer["proof"], &bundle);
        let payment = saved.put("payment", said["payment"].as_str().unwrap().as_bytes());
        kept.push((version, saved, payment));
    }
    // Nothing but files from here on.
    paying.gateway.stop();
    let payments: Vec<String> = kept.iter().map(|(_, _, payment)| payment.clone()).collect();
    for (at, (version, saved, payment)) in kept.iter().enumerate() {
        let rows = judged(saved, &root, payment, 0);
        assert_eq!((row(&rows, "payment"), row(&rows, "settlement")), ("pass", "pass"), "{version}: {rows}");
        // Somebody else's payment does not open it, and a settlement of another proof does not do for this one.
        let rows = judged(saved, &root, &payments[1 - at], 7);
        assert_eq!(row(&rows, "payment"), "fail", "{version}: {rows}");
        let mut swapped = saved.proof();
        swapped["settlement"] = kept[1 - at].1.proof()["settlement"].clone();
        let swapped = saved.put("swapped.json", swapped.to_string().as_bytes());
        assert_ne!(saved.judge(Some(&root), &[("proof.json", &swapped)]).code, 0, "{version}");
    }
}

#[test]
fn the_official_client_over_mcp_pays_on_both_endpoints() {
    let paying = Paying::start();
    let (gateway, payer) = (&paying.gateway, paying.payer());
    let endpoint = gateway.endpoint("everything");
    let session = "the-session-of-a-paying-caller";
    let enabled = gateway.anonymous().with("x-mcp-session", session).call(
        "/mcp",
        "gateway__enable_server",
        json!({"server_name": "everything"}),
    );
    assert_ne!(enabled["isError"], true, "meta-tools cost nothing: {enabled}");
    for (at, (path, tool)) in [(endpoint.as_str(), "echo"), ("/mcp", "everything__echo")].into_iter().enumerate() {
        let before = (paying.balance(&payer), paying.received());
        let (url, arguments) = (format!("{}{path}", gateway.base()), json!({"message": tool}));
        let headers = [format!("X-MCP-Session: {session}")];
        let said = clients::pay_over_mcp(
            &payer.private_key(),
            &url,
            tool,
            &arguments,
            &headers.each_ref().map(String::as_str),
        );
        assert_eq!(said["paid"], true, "{said}");
        assert_eq!(said["result"]["content"][0]["text"], format!("Echo: {tool}"));
        assert_ne!(said["result"]["isError"], true);
        assert_eq!((&said["settlement"]["success"], &said["settlement"]["amount"]), (&json!(true), &json!("500")));
        assert_eq!((paying.balance(&payer), paying.received()), (before.0 - 500, before.1 + 500));
        let proof = &said["result"]["_meta"]["io.sealgate/proof"];
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": tool, "arguments": arguments}});
        let answer = json!({"jsonrpc": "2.0", "id": 1, "result": said["result"]}).to_string();
        let bundle = gateway.anonymous().get("/api/attestation/bundle").body;
        let saved =
            Saved::new(&gateway.directory().join(format!("mcp{at}")), &request, answer.as_bytes(), proof, &bundle);
        let judged = saved.judge(Some(&gateway.test_root()), &[]);
        assert_eq!(judged.code, 0, "{}", judged.said);
    }
}

#[test]
fn each_server_and_tool_has_its_price_and_meta_tools_have_none() {
    let settings = Settings { more: format!("{EVERYTHING}{PRICED}"), ..Settings::default() };
    let paying = Paying::with("verify_price = \"0\"\n", settings);
    let (gateway, payer) = (&paying.gateway, paying.payer());
    let client = gateway.caller();
    let config = client.get("/api/payments/config").json();
    assert_eq!(
        (&config["enabled"], &config["network"], &config["recipientAddress"], &config["pricePerCall"]),
        (&json!(true), &json!("eip155:8453"), &json!(paying.payee), &json!("0.0005")),
        "{config}"
    );
    assert_eq!(config["usdcAddress"], "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913");

    let path = |server: &str, tool: &str| format!("/api/servers/{}/tools/{tool}", gateway.id(server));
    let sum = json!({"a": 1, "b": 2});
    let message = json!({"message": "a"});
    for (server, tool, arguments, amount) in
        [("everything", "get-sum", &sum, "500"), ("priced", "echo", &message, "7"), ("priced", "get-sum", &sum, "900")]
    {
        let asked = client.post(&path(server, tool), arguments);
        assert_eq!(asked.status, 402, "{server} {tool}");
        let offer = Paying::required(&asked)["accepts"][0].clone();
        assert_eq!(
            (&offer["amount"], &asked.json()["accepts"][0]["maxAmountRequired"]),
            (&json!(amount), &json!(amount))
        );
        let value = amount.parse().unwrap();
        let payment = payer.pay(&offer, &Terms { value, ..Terms::new(&paying.payee) });
        let before = paying.received();
        let paid = client.with("x-payment", &header(&payment)).post(&path(server, tool), arguments);
        assert_eq!(paid.status, 200, "{server} {tool}: {}", text(&paid));
        assert_eq!(paid.json()["proof"]["proof"]["payment"]["amount"], amount);
        assert_eq!(paying.received(), before + value);
    }

    // A price goes with the tool, by whatever name and way it is called; another tool's payment does not do.
    let enabled = client.call("/mcp", "gateway__enable_server", json!({"server_name": "priced"}));
    assert_ne!(enabled["isError"], true, "{enabled}");
    for alias in ["/api/servers/priced/tools/get-sum", "/api/servers/priced/tools/get%2Dsum"] {
        let asked = client.post(alias, &sum);
        assert_eq!(Paying::required(&asked)["accepts"][0]["amount"], "900", "{alias}: {}", text(&asked));
    }
    for (endpoint, name) in [(gateway.endpoint("priced"), "get-sum"), ("/mcp".to_owned(), "priced__get-sum")] {
        let asked = client.call(&endpoint, name, sum.clone());
        assert_eq!(asked["structuredContent"]["accepts"][0]["amount"], "900", "{name}: {asked}");
    }
    let offer = Paying::required(&client.post(&path("priced", "echo"), &message))["accepts"][0].clone();
    let cheap = header(&payer.pay(&offer, &Terms { value: 7, ..Terms::new(&paying.payee) }));
    let refused = client.with("x-payment", &cheap).post(&path("priced", "get-sum"), &sum);
    assert_eq!((refused.status, &refused.json()["error"]), (402, &json!("invalid_payment_requirements")));

    // Called through the gateway's own tool it costs the same.
    let through = json!({"server_name": "priced", "tool": "get-sum", "arguments": sum});
    let asked = client.call("/mcp", "gateway__call_tool", through);
    assert_eq!(asked["structuredContent"]["accepts"][0]["amount"], "900", "{asked}");

    // What costs nothing takes no payment, also where one is offered, and its proof claims none.
    let before = (paying.balance(&payer), paying.received());
    let payment = header(&paying.payment(&payer));
    for (server, tool, arguments) in [("priced", "get-tiny-image", json!({})), ("gratis", "echo", message.clone())] {
        for client in [client.clone(), client.with("payment-signature", &payment)] {
            let free = client.post(&path(server, tool), &arguments);
            assert_eq!(free.status, 200, "{server} {tool}: {}", text(&free));
            assert_eq!(free.json()["proof"]["proof"]["payment"], Value::Null);
            assert!(free.header("payment-response").is_none());
        }
    }
    let paid_for = client.with("payment-signature", &payment).with("x-payment", &payment);
    for (tool, arguments) in [
        ("gateway__search_servers", json!({"query": "reference"})),
        ("gateway__list_enabled", json!({})),
        ("gateway__server_info", json!({"server_name": "everything"})),
    ] {
        let free = paid_for.call("/mcp", tool, arguments);
        assert_ne!(free["isError"], true, "{tool}: {free}");
        assert!(free["_meta"].get("x402/payment-response").is_none());
    }
    assert_eq!((paying.balance(&payer), paying.received()), before);
}

#[test]
fn a_gateway_without_payments_is_free_and_says_so() {
    let gateway = Gateway::start();
    let client = gateway.anonymous().with("payment-signature", "no payment at all");
    let config = client.get("/api/payments/config").json();
    assert_eq!((&config["enabled"], &config["pricePerCall"]), (&json!(false), &json!("0")));
    let path = format!("/api/servers/{}/tools/echo", gateway.id("everything"));
    let free = client.post(&path, &json!({"message": "free"}));
    assert_eq!(free.status, 200, "{}", text(&free));
    assert_eq!(free.json()["proof"]["proof"]["payment"], Value::Null);
    assert!(free.json().get("payment").is_none() && free.header("payment-response").is_none());
    let said = client.post("/api/verify", &free.json()["proof"]);
    assert_eq!(said.status, 200, "{}", text(&said));
    assert!(said.json()["signed"]["signature"].is_string());
}

#[test]
fn a_verdict_costs_what_a_call_costs_and_what_cannot_be_judged_costs_nothing() {
    let paying = Paying::start();
    let (gateway, payer) = (&paying.gateway, paying.payer());
    let client = gateway.anonymous();
    let called = client
        .with("payment-signature", &header(&paying.payment(&payer)))
        .post(&paying.path("echo"), &json!({"message": "judge me"}));
    let proof = called.json()["proof"].clone();
    let before = (paying.balance(&payer), paying.received());

    let asked = client.post("/api/verify", &proof);
    assert_eq!(asked.status, 402, "{}", text(&asked));
    let required = Paying::required(&asked);
    assert!(required["resource"]["url"].as_str().unwrap().ends_with("/api/verify"), "{required}");
    let payment = payer.pay(&required["accepts"][0], &Terms::new(&paying.payee));
    let buyer = client.with("payment-signature", &header(&payment));
    for (bad, code) in [(json!({"proof": 1}), "BAD_PROOF"), (json!({}), "BAD_PROOF"), (json!([]), "BAD_PROOF")] {
        let refused = buyer.post("/api/verify", &bad);
        assert_eq!((refused.status, &refused.json()["error"]), (400, &json!(code)), "{bad}: {}", text(&refused));
        assert!(refused.header("payment-response").is_none());
    }
    assert_eq!((paying.balance(&payer), paying.received()), before);

    let judged = buyer.post("/api/verify", &proof);
    assert_eq!(judged.status, 200, "{}", text(&judged));
    assert!(judged.json()["signed"]["signature"].is_string());
    assert_eq!(Paying::settlement(&judged)["success"], true);
    assert_eq!((paying.balance(&payer), paying.received()), (before.0 - 500, before.1 + 500));
    // The same question with the same payment has the same answer; another one does not.
    assert_eq!(buyer.post("/api/verify", &proof).json(), judged.json());
    let mut other = proof;
    other.as_object_mut().unwrap().remove("opening");
    assert_eq!(buyer.post("/api/verify", &other).status, 402);
    assert_eq!(buyer.post(&paying.path("echo"), &json!({"message": "judge me"})).status, 402);
    assert_eq!((paying.balance(&payer), paying.received()), (before.0 - 500, before.1 + 500));
}

/// The verifier's rows over the saved call and the payment.
fn judged(saved: &Saved, root: &Path, payment: &str, code: i32) -> Value {
    let root = root.display().to_string();
    let file = |name: &str| saved.path(name);
    let said = verify(&[
        "proof",
        &file("proof.json"),
        "--bundle",
        &file("bundle.json"),
        "--request",
        &file("request.json"),
        "--response",
        &file("answer.json"),
        "--payment",
        payment,
        "--trust-root",
        &root,
        "--json",
    ]);
    assert_eq!(said.code, code, "{}", said.said);
    // What it says to people comes after it.
    let mut values = serde_json::Deserializer::from_str(&said.said).into_iter();
    values.next().expect("a verdict").unwrap_or_else(|error| panic!("{error}: {}", said.said))
}

/// How a check ended.
fn row<'a>(verdict: &'a Value, name: &str) -> &'a str {
    let checks = verdict["checks"].as_array().unwrap_or_else(|| panic!("no checks: {verdict}"));
    let found = checks.iter().find(|check| check["name"] == name);
    found.and_then(|check| check["outcome"].as_str()).unwrap_or_else(|| panic!("no check {name}: {verdict}"))
}
