//! Answers that are streams: progress, log messages, questions of servers, changes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a scenario that panics has failed")]

use std::{thread, time::Duration};

use sealgate_tests::{Client, EVERYTHING, FILESYSTEM, Gateway};
use serde_json::{Value, json};

const STREAM: &str = "application/json, text/event-stream";

fn work(steps: u64) -> Value {
    json!({"name": "trigger-long-running-operation", "arguments": {"duration": 1, "steps": steps}})
}

fn sampled(text: &str) -> Value {
    json!({"role": "assistant", "model": "m", "content": {"type": "text", "text": text}})
}

#[test]
fn an_answer_is_a_stream_when_something_comes_before_it_and_json_otherwise() {
    let gateway = Gateway::start();
    let endpoint = gateway.endpoint("everything");
    let caller = gateway.caller();
    let mut asked = work(3);
    asked["_meta"] = json!({"progressToken": "mine"});
    let request = json!({"jsonrpc": "2.0", "id": "a", "method": "tools/call", "params": asked});

    // Both eras hear of progress under their own token, and the answer comes last.
    let (modern, body) = caller.modern_request("tools/call", asked.clone(), json!({}));
    for (client, request) in [(modern, body), (caller.with("accept", STREAM), request.clone())] {
        let mut events = client.open(&endpoint, &request);
        assert_eq!((events.status, events.kind.as_str()), (200, "text/event-stream"));
        assert_eq!(events.buffering.as_deref(), Some("no"));
        for step in 1..=3 {
            let told = events.message().unwrap();
            assert_eq!(told["method"], "notifications/progress");
            assert_eq!((&told["params"]["progressToken"], &told["params"]["progress"]), (&json!("mine"), &json!(step)));
        }
        let last = events.rest();
        assert_eq!((last.len(), &last[0]["id"]), (1, &request["id"]));
        assert!(last[0]["result"]["_meta"]["io.sealgate/proof"]["proof"].is_object());
    }
    // Whoever takes no stream, or wants no progress, gets one JSON answer.
    let plain = caller.post(&endpoint, &request);
    assert_eq!(plain.header("content-type"), Some("application/json"));
    assert_eq!(plain.json()["id"], "a");
    let unasked = caller.modern(&endpoint, "tools/call", work(1));
    assert_eq!(unasked.header("content-type"), Some("application/json"));
}

#[test]
fn a_question_of_a_legacy_server_becomes_a_round_trip_for_a_modern_client() {
    let gateway = Gateway::start();
    let endpoint = gateway.endpoint("everything");
    let caller = gateway.caller();
    let able = json!({"sampling": {}, "elicitation": {}});
    let params = json!({"name": "trigger-sampling-request", "arguments": {"prompt": "p", "maxTokens": 5}});
    let with = |more: Value| {
        let mut params = params.clone();
        for (name, value) in more.as_object().unwrap() {
            params[name] = value.clone();
        }
        params
    };
    let call = |client: &Client, params: Value| client.modern_as(&endpoint, "tools/call", params, able.clone());
    let asks = |client: &Client| {
        let answer = call(client, params.clone());
        let result = answer.json()["result"].clone();
        assert_eq!((answer.status, &result["resultType"]), (200, &json!("input_required")), "{result}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let requests = result["inputRequests"].as_object().unwrap().clone();
        assert_eq!(requests.len(), 1);
        let (key, request) = requests.iter().next().unwrap();
        assert_eq!(request["method"], "sampling/createMessage");
        assert_eq!(request["params"]["maxTokens"], 5, "parameters are the server's own");
        assert!(request.get("id").is_none() && request.get("jsonrpc").is_none());
        (key.clone(), result["requestState"].as_str().unwrap().to_owned())
    };
    let (key, state) = asks(&caller);
    let good = json!({key.as_str(): sampled("the model speaks")});

    // What is not this caller's, this request's or whole is refused, and the request stays where it is.
    let refused = |answer: sealgate_tests::Answer, what: &str| {
        let said = answer.json();
        assert_eq!((answer.status, &said["error"]["code"]), (200, &json!(-32602)), "{what}: {said}");
        assert!(said["error"]["message"].as_str().unwrap().len() > 40, "{what}: {said}");
    };
    let other = gateway.anonymous().with("x-mcp-session", "the-session-of-another");
    let again = |state: &str, answers: &Value| with(json!({"requestState": state, "inputResponses": answers}));
    refused(call(&other, again(&state, &good)), "another caller");
    refused(call(&gateway.anonymous(), again(&state, &good)), "a stranger");
    refused(call(&caller, again(&format!("{state}-TAMPERED"), &good)), "tampered");
    let mut elsewhere = again(&state, &good);
    elsewhere["arguments"]["prompt"] = json!("q");
    refused(call(&caller, elsewhere), "other arguments");
    refused(call(&caller, again(&state, &json!({key.as_str(): 12345}))), "no answer's shape");
    refused(call(&caller, again(&state, &Value::Null)), "null");
    refused(call(&caller, with(json!({"requestState": 7}))), "a state that is no text");

    // Nothing, or something that nobody asked for: asked again, with a new state; the old one is used.
    let missing = call(&caller, again(&state, &json!({"unknown": {"a": 1}}))).json()["result"].clone();
    assert_eq!(missing["resultType"], "input_required", "{missing}");
    let next = missing["requestState"].as_str().unwrap().to_owned();
    assert_ne!(next, state);
    refused(call(&caller, again(&state, &good)), "used");
    let mut with_more = good.clone();
    with_more["unknown"] = json!({"action": "accept"});
    let answer = call(&caller, again(&next, &with_more));
    let result = answer.json()["result"].clone();
    assert_eq!(result["resultType"], "complete", "{result}");
    assert!(result["content"][0]["text"].as_str().unwrap().contains("the model speaks"), "{result}");
    assert!(result["_meta"]["io.sealgate/proof"]["proof"].is_object());
    refused(call(&caller, again(&next, &good)), "used");

    // What a client did not say that it answers is not asked, and the request ends.
    for (tool, required) in [
        ("trigger-sampling-request", json!({"sampling": {}})),
        ("trigger-elicitation-request", json!({"elicitation": {}})),
    ] {
        let params = json!({"name": tool, "arguments": {"prompt": "p"}});
        let answer = caller.modern_as(&endpoint, "tools/call", params, json!({}));
        let said = answer.json();
        assert_eq!((answer.status, &said["error"]["code"]), (400, &json!(-32021)), "{tool}: {said}");
        assert_eq!(said["error"]["data"]["requiredCapabilities"], required);
    }
    // A stranger's container is kept until it comes back.
    let stranger = gateway.anonymous();
    let (key, state) = asks(&stranger);
    let answers = json!({key: sampled("to a stranger")});
    let result = call(&stranger, again(&state, &answers)).json()["result"].clone();
    assert!(result["content"][0]["text"].as_str().unwrap().contains("to a stranger"), "{result}");
    // So many wait at once for one caller, and no more.
    let waiting: Vec<String> = (0..8).map(|_| asks(&caller).1).collect();
    let full = call(&caller, params.clone()).json()["result"].clone();
    assert_eq!((&full["isError"], &full["structuredContent"]["error"]), (&json!(true), &json!("BUSY")), "{full}");
    assert_eq!(waiting.len(), 8);
}

#[test]
fn a_question_of_a_server_reaches_a_legacy_client_on_its_stream() {
    let gateway = Gateway::start();
    let endpoint = gateway.endpoint("everything");
    let caller = gateway.caller().with("accept", STREAM);
    let other = gateway.anonymous().with("x-mcp-session", "the-session-of-another");
    let request = |id: u64| {
        let params = json!({"name": "trigger-elicitation-request", "arguments": {}});
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
    };
    let mut events = caller.open(&endpoint, &request(1));
    let question = events.message().unwrap();
    assert_eq!(question["method"], "elicitation/create", "{question}");
    let id = question["id"].as_str().unwrap().to_owned();
    assert!(id.len() > 32, "nobody guesses it: {id}");
    let answer = |client: &Client, given: Value| {
        let mut message = json!({"jsonrpc": "2.0", "id": id});
        for (name, value) in given.as_object().unwrap() {
            message[name] = value.clone();
        }
        let taken = client.post(&endpoint, &message);
        assert_eq!((taken.status, taken.body.len()), (202, 0));
    };
    // Somebody else's answer is not taken.
    answer(&other, json!({"result": {"action": "accept", "content": {"name": "Mallory"}}}));
    answer(&caller, json!({"result": {"action": "accept", "content": {"name": "Alice", "integer": 4}}}));
    let last = events.rest().pop().unwrap();
    let text = last["result"]["content"].to_string();
    assert!(text.contains("Alice") && !text.contains("Mallory"), "{last}");
    for modern in ["resultType", "ttlMs", "cacheScope"] {
        assert!(last["result"].get(modern).is_none());
    }
    // A client's error is the server's error; and who takes no stream is not asked at all.
    let mut events = caller.open(&endpoint, &request(2));
    let id = events.message().unwrap()["id"].clone();
    caller.post(&endpoint, &json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "no forms here"}}));
    let last = events.rest().pop().unwrap();
    assert!(last.to_string().contains("no forms here"), "{last}");
    let unasked = gateway.caller().post(&endpoint, &request(3)).json();
    assert!(unasked.to_string().contains("takes no stream"), "{unasked}");
}

#[test]
fn requests_end_when_their_clients_say_so() {
    let gateway = Gateway::start();
    let endpoint = gateway.endpoint("everything");
    let caller = gateway.caller();
    let long = json!({"name": "trigger-long-running-operation", "arguments": {"duration": 60, "steps": 60}});
    let request = json!({"jsonrpc": "2.0", "id": "long", "method": "tools/call", "params": long});
    let running = {
        let (caller, endpoint) = (caller.clone(), endpoint.clone());
        thread::spawn(move || caller.post(&endpoint, &request).json())
    };
    // A legacy client withdraws by notification: its own requests, by their ids.
    let cancel = |client: &Client, id: &str| {
        let params = json!({"requestId": id});
        let answer =
            client.post(&endpoint, &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}));
        assert_eq!(answer.status, 202);
    };
    thread::sleep(Duration::from_secs(3));
    cancel(&gateway.anonymous().with("x-mcp-session", "the-session-of-another"), "long");
    cancel(&caller, "another");
    thread::sleep(Duration::from_millis(300));
    assert!(!running.is_finished(), "nobody who may has withdrawn it");
    for _ in 0..50 {
        if running.is_finished() {
            break;
        }
        cancel(&caller, "long");
        thread::sleep(Duration::from_millis(200));
    }
    let said = running.join().unwrap();
    assert_eq!(said["error"]["data"]["error"], "WITHDRAWN", "{said}");
    // A modern client withdraws by leaving: a stranger's container ends with the request.
    let mut asked = work(60);
    asked["arguments"]["duration"] = json!(60);
    asked["_meta"] = json!({"progressToken": 1});
    let (stranger, body) = gateway.anonymous().modern_request("tools/call", asked, json!({}));
    let before = gateway.containers();
    let mut events = stranger.open(&endpoint, &body);
    events.message().unwrap();
    assert_eq!(gateway.containers().len(), before.len() + 1);
    drop((events, stranger));
    for _ in 0..100 {
        if gateway.containers().len() == before.len() {
            return;
        }
        thread::sleep(Duration::from_millis(200));
    }
    panic!("the container of a request that nobody waits for still runs");
}

#[test]
fn a_modern_client_hears_of_what_it_listens_for() {
    let gateway = Gateway::serving(&format!("{EVERYTHING}{FILESYSTEM}"));
    let caller = gateway.caller();
    let listen = |path: &str, wanted: Value| {
        let (client, body) = caller.modern_request("subscriptions/listen", json!({"notifications": wanted}), json!({}));
        client.open(path, &body)
    };
    let tag = |message: &Value| message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"].clone();
    let mut tools = listen("/mcp", json!({"toolsListChanged": true}));
    let first = tools.message().unwrap();
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
    assert_eq!((&first["params"]["notifications"], tag(&first)), (&json!({"toolsListChanged": true}), json!(1)));
    let mut prompts = listen("/mcp", json!({"promptsListChanged": true}));
    prompts.message().unwrap();
    // `filesystem` has tools and no prompts.
    let enable = |name: &str| caller.call("/mcp", "gateway__enable_server", json!({"server_name": name}));
    enable("filesystem");
    let told = tools.message().unwrap();
    assert_eq!((&told["method"], tag(&told)), (&json!("notifications/tools/list_changed"), json!(1)));
    enable("everything");
    assert_eq!(tools.message().unwrap()["method"], "notifications/tools/list_changed");
    let told = prompts.message().unwrap();
    assert_eq!(told["method"], "notifications/prompts/list_changed", "nothing else came before it");
    let answer = caller.modern("/mcp", "subscriptions/listen", json!({})).json();
    assert_eq!(answer["error"]["code"], -32602, "it must say what it wants");

    // Resources of a server: the caller's own container, which the subscription keeps.
    let endpoint = gateway.endpoint("everything");
    let uri = "demo://resource/dynamic/text/1";
    let mut updates = listen(&endpoint, json!({"resourceSubscriptions": [uri], "promptsListChanged": true}));
    let first = updates.message().unwrap();
    assert_eq!(first["params"]["notifications"]["resourceSubscriptions"], json!([uri]), "{first}");
    let on = caller.call(&endpoint, "toggle-subscriber-updates", json!({}));
    assert!(on["isError"] != json!(true), "{on}");
    let told = updates.message().unwrap();
    assert_eq!((&told["method"], &told["params"]["uri"]), (&json!("notifications/resources/updated"), &json!(uri)));
    assert_eq!(tag(&told), 1);
}
