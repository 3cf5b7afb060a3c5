//! Priced calls over MCP that stream, that are left, and that ask: what leaves before it is paid for, who pays, and how often.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::{thread, time::Duration};

use sealgate_tests::{Client, Events, Paying, Saved, Settings, Wallet, fixture, paying::PURSE, until, wallet::Terms};
use serde_json::{Value, json};

/// A client that takes streams, in one of the eras.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Era {
    Legacy,
    Modern,
}

const ERAS: [Era; 2] = [Era::Legacy, Era::Modern];

/// The fixture as a server of each era.
const MODES: [&str; 2] = ["legacy", "dual"];

/// What the fixture's servers say where they cost something: how often each tool ran is told for nothing.
const PRICES: &str = "tool_prices = { calls = \"0\" }\n";

/// What clients declare that answer everything.
fn able() -> Value {
    json!({"elicitation": {"form": {}}, "sampling": {}, "roots": {}})
}

/// A gateway with the fixture in both modes for money, and once more for nothing.
fn shop(more: &str) -> Paying {
    let words = |mode: &'static str| [mode, "--faults"];
    let servers: String = MODES.iter().map(|mode| fixture(mode, &words(mode)) + PRICES).collect();
    let free: String =
        MODES.iter().map(|mode| fixture(&format!("free-{mode}"), &words(mode)) + "price = \"0\"\n").collect();
    Paying::with("", Settings { more: format!("{more}{servers}{free}"), ..Settings::default() })
}

/// A caller: a wallet that has logged in, and what it has.
struct Buyer {
    wallet: Wallet,
    client: Client,
}

impl Buyer {
    fn new(paying: &Paying) -> Self {
        let wallet = paying.payer();
        let client = wallet.login(&paying.gateway);
        Self { wallet, client }
    }
}

/// A tool call of one era with these members of `_meta` and of `params`.
fn request(client: &Client, era: Era, tool: &str, arguments: &Value, meta: &Value, more: &Value) -> (Client, Value) {
    let mut params = json!({"name": tool, "arguments": arguments, "_meta": meta});
    for (name, value) in more.as_object().unwrap() {
        params[name] = value.clone();
    }
    match era {
        Era::Modern => client.modern_request("tools/call", params, able()),
        Era::Legacy => {
            let client = client.with("accept", "application/json, text/event-stream");
            (client, json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}))
        }
    }
}

/// The same, opened: its answer is read as it comes.
fn open(client: &Client, era: Era, endpoint: &str, tool: &str, arguments: &Value, meta: &Value) -> Events {
    let (client, body) = request(client, era, tool, arguments, meta, &json!({}));
    client.open(endpoint, &body)
}

/// The same, read to its end: the answer.
fn call(client: &Client, era: Era, endpoint: &str, tool: &str, meta: &Value, more: &Value) -> Value {
    let (client, body) = request(client, era, tool, &json!({}), meta, more);
    client.post(endpoint, &body).messages().pop().unwrap()
}

/// A new payment for a call at the shipped price.
fn payment(paying: &Paying, wallet: &Wallet, endpoint: &str) -> Value {
    wallet.pay(&offer(paying, endpoint), &Terms::new(&paying.payee))
}

fn offer(paying: &Paying, endpoint: &str) -> Value {
    let asked = paying.gateway.anonymous().call(endpoint, "test_simple_text", json!({}));
    asked["structuredContent"]["accepts"][0].clone()
}

/// How often a tool was begun and ended in the caller's container.
fn tally(client: &Client, endpoint: &str, tool: &str) -> (u64, u64) {
    let said = client.call(endpoint, "calls", json!({}))["structuredContent"][tool].clone();
    (said["begun"].as_u64().unwrap_or_default(), said["ended"].as_u64().unwrap_or_default())
}

fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {answer}"))
}

fn proof_id(answer: &Value) -> &str {
    let id = &answer["result"]["_meta"]["io.sealgate/proof"]["proof"]["id"];
    id.as_str().unwrap_or_else(|| panic!("no proof: {answer}"))
}

#[test]
fn before_it_is_paid_a_call_streams_progress_numbers_and_nothing_else() {
    let paying = shop("");
    let gateway = &paying.gateway;
    for (mode, era) in MODES.iter().flat_map(|mode| ERAS.map(|era| (mode, era))) {
        let what = format!("{era:?} client, {mode} server");
        let (endpoint, buyer) = (gateway.endpoint(mode), Buyer::new(&paying));
        let meta = json!({
            "progressToken": "mine", "io.modelcontextprotocol/logLevel": "debug",
            "x402/payment": payment(&paying, &buyer.wallet, &endpoint),
        });
        let mut told = open(&buyer.client, era, &endpoint, "fault_tells_early", &json!({}), &meta).rest();
        let answer = told.pop().unwrap();
        assert_eq!(text(&answer), "THE RESULT", "{what}");
        assert_eq!(answer["result"]["_meta"]["x402/payment-response"]["success"], true, "{what}: {answer}");
        assert_eq!(paying.balance(&buyer.wallet), PURSE - 500, "{what}");
        let numbers: Vec<&Value> = told.iter().map(|message| &message["params"]["progress"]).collect();
        assert_eq!(numbers, [&json!(1), &json!(2), &json!(3)], "{what}: {told:?}");
        for message in &told {
            assert_eq!(message["method"], "notifications/progress", "{what}: {message}");
            let params = message["params"].as_object().unwrap();
            assert_eq!(params["progressToken"], "mine", "{what}");
            for (name, value) in params {
                let number = matches!(name.as_str(), "progress" | "total") && value.is_number();
                assert!(number || name == "progressToken", "{what}: {name} in {message}");
            }
        }

        // The same for nothing: what is said is passed on, so there was something to keep back.
        let free = gateway.endpoint(&format!("free-{mode}"));
        let mut told = open(&buyer.client, era, &free, "fault_tells_early", &json!({}), &meta).rest();
        assert_eq!(text(&told.pop().unwrap()), "THE RESULT", "{what}");
        let early = told.iter().filter(|message| message.to_string().contains("THE RESULT")).count();
        assert!(early >= 3, "{what}: {told:?}");
        assert_eq!(paying.balance(&buyer.wallet), PURSE - 500, "{what}");
    }
}

#[test]
fn a_call_that_fails_while_it_streams_costs_nothing_and_its_payment_still_pays() {
    let paying = shop("[limits]\ncall_timeout_s = 2\n");
    for (mode, era) in MODES.iter().flat_map(|mode| ERAS.map(|era| (mode, era))) {
        let (endpoint, buyer) = (paying.gateway.endpoint(mode), Buyer::new(&paying));
        let meta = json!({"progressToken": 7, "x402/payment": payment(&paying, &buyer.wallet, &endpoint)});
        for tool in ["fault_dies_after_progress", "fault_dies", "fault_dies_in_its_answer", "fault_never_answers"] {
            let what = format!("{era:?} client, {mode} server, {tool}");
            let told = open(&buyer.client, era, &endpoint, tool, &json!({}), &meta).rest();
            let answer = told.last().unwrap();
            assert_eq!(answer["result"]["isError"], true, "{what}: {answer}");
            assert!(answer["result"]["_meta"].get("x402/payment-response").is_none(), "{what}: {answer}");
            assert_eq!((paying.balance(&buyer.wallet), &answer["id"]), (PURSE, &json!(1)), "{what}");
        }
        let answer = call(&buyer.client, era, &endpoint, "test_simple_text", &meta, &json!({}));
        assert!(answer["result"]["_meta"]["io.sealgate/proof"]["settlement"].is_object(), "{era:?}, {mode}: {answer}");
        assert_eq!(paying.balance(&buyer.wallet), PURSE - 500, "{era:?}, {mode}");
    }
}

#[test]
fn who_leaves_before_the_call_has_run_pays_nothing_and_a_legacy_client_leaves_by_saying_so() {
    let paying = shop("");
    let gateway = &paying.gateway;
    let long = json!({"ms": 60_000});
    for (mode, era) in MODES.iter().flat_map(|mode| ERAS.map(|era| (mode, era))) {
        let what = format!("{era:?} client, {mode} server");
        let (endpoint, buyer) = (gateway.endpoint(mode), Buyer::new(&paying));
        let meta = json!({"progressToken": 7, "x402/payment": payment(&paying, &buyer.wallet, &endpoint)});
        let mut events = open(&buyer.client, era, &endpoint, "wait", &long, &meta);
        assert_eq!(events.message().unwrap()["method"], "notifications/progress", "{what}");
        assert_eq!(paying.balance(&buyer.wallet), PURSE, "{what}: nothing is taken before");
        match era {
            Era::Modern => drop(events),
            Era::Legacy => {
                let params = json!({"requestId": 1});
                let said = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
                assert_eq!(buyer.client.post(&endpoint, &said).status, 202);
                assert!(events.rest().iter().all(|message| message.get("result").is_none()), "{what}: no answer");
            }
        }
        // The server has heard it as well: the payment is free for another call, which the same container serves.
        let mut answer = Value::Null;
        until(
            || {
                answer = call(&buyer.client, era, &endpoint, "test_simple_text", &meta, &json!({}));
                answer["result"]["_meta"]["x402/payment-response"]["success"] == true
            },
            &format!("{what}: the payment is free again"),
        );
        assert_eq!(tally(&buyer.client, &endpoint, "wait"), (1, 0), "{what}");
        assert_eq!((proof_id(&answer).len(), paying.balance(&buyer.wallet)), (64, PURSE - 500), "{what}");
    }
    assert_eq!(paying.received(), 4 * 500);
}

#[test]
fn a_legacy_client_whose_connection_ends_has_not_left_and_fetches_what_it_paid_for() {
    let paying = shop("");
    for mode in MODES {
        let (endpoint, buyer) = (paying.gateway.endpoint(mode), Buyer::new(&paying));
        let meta = json!({"progressToken": 7, "x402/payment": payment(&paying, &buyer.wallet, &endpoint)});
        let arguments = json!({"ms": 2000});
        let mut events = open(&buyer.client, Era::Legacy, &endpoint, "wait", &arguments, &meta);
        events.message().unwrap();
        drop(events);
        until(|| paying.balance(&buyer.wallet) == PURSE - 500, "the settlement of what went on");
        let kept = open(&buyer.client, Era::Legacy, &endpoint, "wait", &arguments, &meta).rest();
        assert_eq!(text(kept.last().unwrap()), "Waited", "{mode}");
        assert_eq!(tally(&buyer.client, &endpoint, "wait"), (1, 1), "{mode}");
        assert_eq!(paying.balance(&buyer.wallet), PURSE - 500, "{mode}");
    }
}

#[test]
fn who_leaves_after_the_call_has_run_has_paid_once_and_fetches_the_same_answer_for_the_same_payment() {
    let paying = shop("");
    let gateway = &paying.gateway;
    let mine = |seconds: u64| paying.chain.rpc("evm_setIntervalMining", &json!([seconds]));
    for (mode, era) in MODES.iter().flat_map(|mode| ERAS.map(|era| (mode, era))) {
        for stranger in [false, true] {
            let what = format!("{era:?} client, {mode} server, stranger: {stranger}");
            let (endpoint, buyer) = (gateway.endpoint(mode), Buyer::new(&paying));
            let client = if stranger { gateway.anonymous() } else { buyer.client.clone() };
            let meta = json!({"progressToken": 7, "x402/payment": payment(&paying, &buyer.wallet, &endpoint)});
            let tool = "test_tool_with_progress";
            mine(0);
            let mut events = open(&client, era, &endpoint, tool, &json!({}), &meta);
            until(|| paying.chain.rpc("txpool_status", &json!([]))["pending"] != "0x0", "a transaction that waits");
            for _ in 0..3 {
                assert_eq!(events.message().unwrap()["method"], "notifications/progress", "{what}");
            }
            // Withdrawing is too late by now.
            if era == Era::Legacy {
                let params = json!({"requestId": 1});
                client
                    .post(&endpoint, &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}));
            }
            drop(events);
            thread::sleep(Duration::from_millis(500));
            assert_eq!(paying.balance(&buyer.wallet), PURSE, "{what}: it is not settled yet");
            mine(1);
            until(|| paying.balance(&buyer.wallet) == PURSE - 500, "the settlement of what ran");
            let fetched = call(&client, era, &endpoint, tool, &meta, &json!({}));
            assert_eq!(text(&fetched), "Tool with progress executed successfully", "{what}: {fetched}");
            assert_eq!(fetched["result"]["_meta"]["io.sealgate/proof"]["settlement"]["outcome"], "settled", "{what}");
            let again = call(&client, era, &endpoint, tool, &meta, &json!({}));
            assert_eq!(proof_id(&again), proof_id(&fetched), "{what}");
            // Whoever else comes with this payment gets nothing for it.
            let other = call(&gateway.member(), era, &endpoint, tool, &meta, &json!({}));
            assert_eq!(other["result"]["isError"], true, "{what}: {other}");
            assert!(!other.to_string().contains("executed successfully"), "{what}: {other}");
            assert_eq!(paying.balance(&buyer.wallet), PURSE - 500, "{what}");
            if !stranger {
                assert_eq!(tally(&client, &endpoint, tool), (1, 1), "{what}");
            }
        }
    }
    assert_eq!(paying.received(), 8 * 500);
}

/// What `input_required` asks for under this key, and its state.
fn asked(answer: &Value, key: &str) -> String {
    let result = &answer["result"];
    assert_eq!(result["resultType"], "input_required", "{answer}");
    assert!(result["inputRequests"][key]["params"].is_object(), "{answer}");
    // Nothing was paid yet, so nothing is proven.
    assert!(result.get("content").is_none() && !answer.to_string().contains("io.sealgate/proof"), "{answer}");
    assert!(!answer.to_string().contains("payment-response"), "{answer}");
    result["requestState"].as_str().unwrap().to_owned()
}

fn accepted(key: &str, content: Value) -> Value {
    json!({key: {"action": "accept", "content": content}})
}

fn refused_state(answer: &Value, what: &str) {
    assert_eq!(answer["error"]["code"], -32602, "{what}: {answer}");
    assert!(answer.get("result").is_none(), "{what}: {answer}");
}

#[test]
fn a_call_that_asks_in_rounds_runs_once_is_paid_once_and_its_states_are_its_callers_alone() {
    let paying = shop("");
    let gateway = &paying.gateway;
    let tool = "test_input_required_result_multi_round";
    let bundle = gateway.anonymous().get("/api/attestation/bundle").body;
    for mode in MODES {
        let (endpoint, buyer) = (gateway.endpoint(mode), Buyer::new(&paying));
        let paid = payment(&paying, &buyer.wallet, &endpoint);
        let meta = json!({"x402/payment": paid});
        let ask = |client: &Client, meta: &Value, more: Value| call(client, Era::Modern, &endpoint, tool, meta, &more);

        let first = asked(&ask(&buyer.client, &meta, json!({})), "step1");
        assert_eq!(paying.balance(&buyer.wallet), PURSE, "{mode}: a question is not paid for");
        // Another wallet, with a payment of its own; a stranger; the same wallet's narrower scope.
        let other = Buyer::new(&paying);
        let name = accepted("step1", json!({"name": "Mallory"}));
        let stolen = |state: &str| json!({"requestState": state, "inputResponses": name});
        let own = json!({"x402/payment": payment(&paying, &other.wallet, &endpoint)});
        refused_state(&ask(&other.client, &own, stolen(&first)), "another wallet");
        refused_state(&ask(&other.client, &meta, stolen(&first)), "another wallet with the payer's payment");
        refused_state(&ask(&gateway.anonymous(), &own, stolen(&first)), "a stranger");
        let narrower = buyer.client.with("x-mcp-session", "another-session-of-the-same-wallet");
        refused_state(&ask(&narrower, &meta, stolen(&first)), "another session");
        let half = first.len() / 2;
        let tampered =
            format!("{}{}{}", &first[..half], if &first[half..=half] == "A" { "B" } else { "A" }, &first[half + 1..]);
        refused_state(&ask(&buyer.client, &meta, stolen(&tampered)), "tampered with");
        assert_eq!((paying.balance(&other.wallet), paying.balance(&buyer.wallet)), (PURSE, PURSE), "{mode}");

        // The same call once more with the same payment waits for the one that runs, and gets its answer.
        let (answer, twin) = thread::scope(|scope| {
            let twin = scope.spawn(|| ask(&buyer.client, &meta, json!({})));
            let given = json!({"requestState": first, "inputResponses": accepted("step1", json!({"name": "Ada"}))});
            let second = asked(&ask(&buyer.client, &meta, given), "step2");
            assert_ne!(second, first);
            assert_eq!(paying.balance(&buyer.wallet), PURSE, "{mode}: nor is the second");
            refused_state(&ask(&buyer.client, &meta, stolen(&first)), "used");
            let given = json!({"requestState": second, "inputResponses": accepted("step2", json!({"color": "green"}))});
            let answer = ask(&buyer.client, &meta, given.clone());
            assert_eq!(text(&answer), "Ada likes green", "{mode}");
            refused_state(&ask(&buyer.client, &meta, given), "replayed after the answer");
            (answer, twin.join().unwrap())
        });
        assert_eq!(answer["result"]["_meta"]["x402/payment-response"]["success"], true, "{mode}: {answer}");
        assert_eq!(proof_id(&twin), proof_id(&answer), "{mode}");
        assert_eq!(paying.balance(&buyer.wallet), PURSE - 500, "{mode}");
        let kept = ask(&buyer.client, &meta, json!({}));
        assert_eq!((proof_id(&kept), text(&kept)), (proof_id(&answer), "Ada likes green"), "{mode}: the kept answer");
        let rounds = if mode == "legacy" { 1 } else { 3 };
        assert_eq!(tally(&buyer.client, &endpoint, tool), (rounds, 1), "{mode}");
        assert_eq!((paying.balance(&buyer.wallet), paying.balance(&other.wallet)), (PURSE - 500, PURSE), "{mode}");

        // The proof is of the call as it was asked and of the last answer (docs/WIRE.md, P2): a stranger judges it.
        let request =
            json!({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {"name": tool, "arguments": {}}});
        let proof = &answer["result"]["_meta"]["io.sealgate/proof"];
        let folder = gateway.directory().join(mode);
        let saved = Saved::new(&folder, &request, answer.to_string().as_bytes(), proof, &bundle);
        saved.put("payment", sealgate_tests::wallet::header(&paid).as_bytes());
        let judged = saved.judge_paid(&gateway.test_root());
        assert_eq!(judged.code, 0, "{mode}: {}", judged.said);
        let mut other = answer.clone();
        other["result"]["content"][0]["text"] = json!("Mallory likes green");
        let other = saved.put("other.json", other.to_string().as_bytes());
        assert_eq!(saved.judge(Some(&gateway.test_root()), &[("answer.json", &other)]).code, 7, "{mode}");
    }
}

#[test]
fn a_task_that_was_paid_for_is_the_same_task_for_the_same_payment() {
    let paying = shop("");
    let (endpoint, buyer) = (paying.gateway.endpoint("dual"), Buyer::new(&paying));
    let meta = json!({"x402/payment": payment(&paying, &buyer.wallet, &endpoint)});
    let begin = || {
        let params = json!({"name": "slow_compute", "arguments": {"seconds": 60}, "_meta": meta});
        let able = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
        buyer.client.modern_as(&endpoint, "tools/call", params, able).messages().pop().unwrap()
    };
    let first = begin();
    assert_eq!(first["result"]["resultType"], "task", "{first}");
    assert_eq!(first["result"]["_meta"]["x402/payment-response"]["success"], true, "{first}");
    let again = begin();
    assert_eq!((&again["result"]["resultType"], proof_id(&again)), (&json!("task"), proof_id(&first)), "{again}");
    assert_eq!(
        (&again["result"]["taskId"], &again["result"]["task"]),
        (&first["result"]["taskId"], &first["result"]["task"])
    );
    assert_eq!(paying.balance(&buyer.wallet), PURSE - 500);
}

#[test]
fn a_legacy_client_that_is_asked_on_its_stream_pays_once_for_the_answer() {
    let paying = shop("");
    for mode in MODES {
        let (endpoint, buyer) = (paying.gateway.endpoint(mode), Buyer::new(&paying));
        let meta = json!({"progressToken": 7, "x402/payment": payment(&paying, &buyer.wallet, &endpoint)});
        let tool = "test_streaming_elicitation";
        let mut events = open(&buyer.client, Era::Legacy, &endpoint, tool, &json!({}), &meta);
        let question = loop {
            let told = events.message().unwrap();
            if told["method"] != "notifications/progress" {
                break told;
            }
        };
        assert_eq!(
            (&question["method"], paying.balance(&buyer.wallet)),
            (&json!("elicitation/create"), PURSE),
            "{mode}"
        );
        let given = json!({"jsonrpc": "2.0", "id": question["id"],
            "result": {"action": "accept", "content": {"ok": true}}});
        assert_eq!(buyer.client.post(&endpoint, &given).status, 202);
        let answer = events.rest().pop().unwrap();
        assert!(text(&answer).contains("action=accept"), "{mode}: {answer}");
        assert_eq!(paying.balance(&buyer.wallet), PURSE - 500, "{mode}");
        // The answer to the question once more, and the call once more: neither runs anything nor costs anything.
        assert_eq!(buyer.client.post(&endpoint, &given).status, 202);
        let kept = call(&buyer.client, Era::Legacy, &endpoint, tool, &meta, &json!({}));
        assert_eq!(proof_id(&kept), proof_id(&answer), "{mode}");
        assert_eq!(tally(&buyer.client, &endpoint, tool).1, 1, "{mode}");

        // Who is asked and leaves has not answered: the tool fails, and that costs nothing.
        let meta = json!({"progressToken": 7, "x402/payment": payment(&paying, &buyer.wallet, &endpoint)});
        let mut events = open(&buyer.client, Era::Legacy, &endpoint, tool, &json!({}), &meta);
        while events.message().unwrap()["method"] != "elicitation/create" {}
        drop(events);
        let mut paid = Value::Null;
        until(
            || {
                paid = call(&buyer.client, Era::Legacy, &endpoint, "test_simple_text", &meta, &json!({}));
                paid["result"]["_meta"]["x402/payment-response"]["success"] == true
            },
            "the payment is free again",
        );
        assert_eq!(paying.balance(&buyer.wallet), PURSE - 1000, "{mode}");
    }
}

/// Calls, and refuses to answer what the server asks: the tool fails, and the payment is free again. `Err`: it does not ask.
fn refuse(buyer: &Buyer, endpoint: &str, meta: &Value) -> Result<Value, Value> {
    let mut events = open(&buyer.client, Era::Legacy, endpoint, "test_streaming_elicitation", &json!({}), meta);
    let asked = events.message().unwrap();
    if asked["method"] != "elicitation/create" {
        return Err(asked);
    }
    let error = json!({"code": -32000, "message": "no"});
    let refused = json!({"jsonrpc": "2.0", "id": asked["id"], "error": error});
    assert_eq!(buyer.client.post(endpoint, &refused).status, 202);
    let end = events.rest().pop().unwrap();
    assert!(end["result"]["isError"].as_bool().unwrap_or(end["error"].is_object()), "{end}");
    Ok(end)
}

#[test]
fn questions_are_no_way_to_get_a_result_for_nothing() {
    let paying = shop("");
    let (endpoint, buyer) = (paying.gateway.endpoint("legacy"), Buyer::new(&paying));
    let meta = json!({"x402/payment": payment(&paying, &buyer.wallet, &endpoint)});
    // So many of a call that is not paid are passed on, and no more; then it ends, and costs nothing.
    let (mut heard, mut last) = (0, Value::Null);
    while heard < 64 && last.is_null() {
        match refuse(&buyer, &endpoint, &meta) {
            Ok(_failed) => heard += 1,
            Err(other) => last = other,
        }
    }
    assert_eq!(heard, 32, "{last}");
    assert_eq!(last["result"]["structuredContent"]["error"], "UNPAID_QUESTIONS", "{last}");
    assert_eq!(paying.balance(&buyer.wallet), PURSE);
    let paid = call(&buyer.client, Era::Legacy, &endpoint, "test_simple_text", &meta, &json!({}));
    assert_eq!(paid["result"]["_meta"]["x402/payment-response"]["success"], true, "{paid}");
    assert_eq!(paying.balance(&buyer.wallet), PURSE - 500);
}

#[test]
fn who_is_told_that_nothing_was_charged_was_charged_nothing_though_the_server_waits_for_no_answer() {
    let paying = shop("");
    // An older server: one of 2026-07-28 asks within its answer.
    let (endpoint, buyer) = (paying.gateway.endpoint("legacy"), Buyer::new(&paying));
    let meta = json!({"x402/payment": payment(&paying, &buyer.wallet, &endpoint)});
    // Eight questions are left, and a server has sixteen open at most.
    for _ in 0..24 {
        refuse(&buyer, &endpoint, &meta).unwrap();
    }
    let events = open(&buyer.client, Era::Legacy, &endpoint, "fault_asks_without_end", &json!({"count": 16}), &meta);
    let last = events.rest().pop().unwrap();
    let balance = paying.balance(&buyer.wallet);
    if last["result"]["structuredContent"]["error"] == "UNPAID_QUESTIONS" {
        assert_eq!(balance, PURSE, "{last}");
        // And the same payment pays for something else at once.
        let paid = call(&buyer.client, Era::Legacy, &endpoint, "test_simple_text", &meta, &json!({}));
        assert_eq!(paid["result"]["_meta"]["x402/payment-response"]["success"], true, "{paid}");
    } else {
        assert_eq!((text(&last), balance), ("asked", PURSE - 500), "{last}");
    }
    assert_eq!(paying.balance(&buyer.wallet), PURSE - 500);
}

#[test]
fn who_cannot_be_asked_and_hears_that_nothing_was_charged_is_not_charged_later_by_a_slow_chain() {
    let paying = shop("");
    let (endpoint, buyer) = (paying.gateway.endpoint("legacy"), Buyer::new(&paying));
    let (mut charged, mut given_up) = (0, 0);
    for _ in 0..2 {
        let meta = json!({"x402/payment": payment(&paying, &buyer.wallet, &endpoint)});
        let before = paying.balance(&buyer.wallet);
        // Blocks are longer apart than anybody waits for work to be given up.
        paying.chain.rpc("evm_setIntervalMining", &json!([4]));
        let params = json!({"name": "fault_asks_without_end", "arguments": {"count": 1}, "_meta": meta});
        let (client, body) = buyer.client.modern_request("tools/call", params, json!({}));
        let last = client.post(&endpoint, &body).messages().pop().unwrap();
        let heard = paying.balance(&buyer.wallet);
        std::thread::sleep(std::time::Duration::from_secs(5));
        paying.chain.rpc("evm_setIntervalMining", &json!([1]));
        let after = paying.balance(&buyer.wallet);
        if last["error"]["code"] == -32021 {
            assert!(last["error"]["message"].as_str().unwrap().contains("nothing was charged"), "{last}");
            assert_eq!((heard, after), (before, before), "{last}");
            given_up += 1;
        } else {
            assert_eq!((text(&last), after), ("asked", before - 500), "{last}");
            assert_eq!(heard, after, "the answer waits for the chain");
            charged += 1;
        }
    }
    assert!(charged > 0, "the server answers before anybody gives it up: {given_up} times it was given up");
}

#[test]
fn a_call_that_waits_for_answers_at_a_restart_is_forgotten_and_its_payment_is_not() {
    let mut paying = shop("");
    let tool = "test_input_required_result_elicitation";
    for mode in MODES {
        let (endpoint, buyer) = (paying.gateway.endpoint(mode), Buyer::new(&paying));
        let meta = json!({"x402/payment": payment(&paying, &buyer.wallet, &endpoint)});
        let state = asked(&call(&buyer.client, Era::Modern, &endpoint, tool, &meta, &json!({})), "user_name");
        paying.gateway.kill();
        paying.gateway.serve().unwrap();
        let client = buyer.wallet.login(&paying.gateway);
        let given = |state: &str| json!({"requestState": state, "inputResponses": accepted("user_name", json!({"name": "Ada"}))});
        let ask = |more: Value| call(&client, Era::Modern, &endpoint, tool, &meta, &more);
        refused_state(&ask(given(&state)), "a state of an earlier boot");
        assert_eq!(paying.balance(&buyer.wallet), PURSE, "{mode}");
        let state = asked(&ask(json!({})), "user_name");
        assert_eq!(text(&ask(given(&state))), "Hello, Ada!", "{mode}");
        assert_eq!((tally(&client, &endpoint, tool).1, paying.balance(&buyer.wallet)), (1, PURSE - 500), "{mode}");
    }
}

#[test]
fn a_payment_that_ends_while_its_call_waits_is_not_taken_and_gives_nothing_out() {
    let paying = shop("");
    for mode in MODES {
        let (endpoint, buyer) = (paying.gateway.endpoint(mode), Buyer::new(&paying));
        let meta = json!({"x402/payment": payment(&paying, &buyer.wallet, &endpoint)});
        let tool = "test_input_required_result_elicitation";
        let ask = |more: Value| call(&buyer.client, Era::Modern, &endpoint, tool, &meta, &more);
        let state = asked(&ask(json!({})), "user_name");
        // An hour and more goes by, on the chain by which it is reckoned.
        let snapshot = paying.chain.rpc("evm_snapshot", &json!([]));
        paying.chain.rpc("evm_increaseTime", &json!([3700]));
        paying.chain.rpc("evm_mine", &json!([]));
        let given = json!({"requestState": state, "inputResponses": accepted("user_name", json!({"name": "Ada"}))});
        let said = ask(given);
        assert_eq!(said["result"]["isError"], true, "{mode}: {said}");
        let why = &said["result"]["_meta"]["x402/error"]["error"];
        assert_eq!(why, "invalid_exact_evm_payload_authorization_valid_before", "{mode}: {said}");
        assert!(!said.to_string().contains("Ada") && !said.to_string().contains("io.sealgate/proof"), "{mode}: {said}");
        assert_eq!((paying.balance(&buyer.wallet), paying.received()), (PURSE, 0), "{mode}");
        paying.chain.rpc("evm_revert", &json!([snapshot]));
    }
}
