//! Nodes that are down, slow, broken or lying. Whatever they do, nothing is said about a payment.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is the test's answer"
)]

mod common;

use std::{
    io,
    net::TcpListener,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use alloy_primitives::keccak256;
use chain::{Limits, MAX_NODES, Nodes, NodesError};
use common::{
    liar::{Lie, liar, liar_on_base},
    nodes, nodes_within,
};
use gate::ledger::{CallOutcome, ChainError, Ledger, Sent};
use serde_json::{Value, json};

/// What a node does to us, and its name in a failure.
type Case = (&'static str, fn() -> Lie);

const QUICK: Limits = Limits { timeout: Duration::from_millis(300), answer_bytes: 4096 };

/// Every read and the send, each of which must end in an error that names no payment.
async fn all_unreachable(chain: &Nodes, about: &str) {
    let is = |name: &str, error: Option<ChainError>| match error {
        Some(ChainError::Unreachable { why }) => assert!(!why.contains("127.0.0.1"), "{about}: {name}: {why}"),
        other => panic!("{about}: {name} said {other:?}"),
    };
    is("head", chain.head().await.err());
    is("call", chain.call([1; 20], [2; 20], vec![]).await.err());
    is("code", chain.code([1; 20]).await.err());
    is("transaction_count", chain.transaction_count([1; 20]).await.err());
    is("balance", chain.balance([1; 20]).await.err());
    is("priority_fee", chain.priority_fee().await.err());
    is("send", chain.send(vec![2]).await.err());
    is("outcome", chain.outcome([1; 32]).await.err());
    is("logs", chain.logs([1; 20], vec![[1; 32]], 0).await.err());
}

#[tokio::test]
async fn a_node_that_gives_no_usable_answer_is_unreachable() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    all_unreachable(&nodes_within(&[format!("http://{closed}")], QUICK), "nobody listens").await;
    let lies: [Case; 12] = [
        ("status 500", || Lie::Status(500, "{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":null}")),
        ("status 429", || Lie::Status(429, "slow down")),
        ("hangs up", || Lie::HangUp),
        ("no JSON", || Lie::Body("<html>busy</html>".into())),
        ("nothing", || Lie::Body(String::new())),
        ("neither result nor error", || Lie::Body(json!({"jsonrpc": "2.0", "id": 0}).to_string())),
        ("an answer to another question", || {
            Lie::Body(json!({"jsonrpc": "2.0", "id": 99, "result": "0x1"}).to_string())
        }),
        ("a batch", || Lie::Body("[]".into())),
        ("an error of its own", || Lie::Error(json!({"code": -32603, "message": "Internal error"}))),
        ("a limit of its own", || Lie::Error(json!({"code": -32005, "message": "limit exceeded", "data": "0x01"}))),
        ("a result of another kind", || Lie::Result(json!({"hello": ["world"]}))),
        ("deep nesting", || Lie::Body("[".repeat(4000))),
    ];
    for (about, lie) in lies {
        all_unreachable(&nodes_within(&[liar_on_base(move |_, _| lie())], QUICK), about).await;
        // The same before it has even named its chain.
        all_unreachable(&nodes_within(&[liar(move |_, _| lie())], QUICK), about).await;
    }
}

#[tokio::test]
async fn a_node_that_keeps_us_waiting_is_left_alone_in_time() {
    let chain = nodes_within(&[liar_on_base(|_, _| Lie::Silence)], QUICK);
    let began = Instant::now();
    let head = chain.head().await;
    let Err(ChainError::Unreachable { why }) = head else { panic!("{head:?}") };
    assert_eq!(why, "node 1 of 1: eth_getBlockByNumber: no answer in time");
    assert!(began.elapsed() < QUICK.timeout * 5, "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_answer_one_byte_too_long_is_none() {
    let length = json!({"jsonrpc": "2.0", "id": 0, "result": "0x"}).to_string().len();
    // Ids have one digit here, so that the length is known.
    for (more, fits) in [(QUICK.answer_bytes - length, true), (QUICK.answer_bytes - length + 1, false)] {
        let chain = nodes_within(&[liar_on_base(move |_, _| Lie::Flood(more))], QUICK);
        let code = chain.code([1; 20]).await;
        assert_eq!(code.is_ok(), fits, "{code:?}");
    }
}

#[tokio::test]
async fn a_node_of_another_chain_is_found_out_before_its_first_answer() {
    let elsewhere = liar(|method, _| match method {
        "eth_chainId" => Lie::Result(json!("0x14a34")),
        _ => Lie::Result(json!("0x1")),
    });
    let wrong = ChainError::OtherChain { wanted: 8453, found: 84_532 };
    let alone = nodes(std::slice::from_ref(&elsewhere));
    assert_eq!(alone.confirm().await, Err(wrong.clone()));
    assert_eq!(alone.balance([1; 20]).await, Err(wrong.clone()));
    assert_eq!(alone.send(vec![1]).await, Err(wrong.clone()));
    // Said even where another node is down.
    let both = nodes_within(&[liar(|_, _| Lie::HangUp), elsewhere], QUICK);
    assert_eq!(both.confirm().await, Err(wrong));
}

#[tokio::test]
async fn a_node_that_was_silent_names_its_chain_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let chain = nodes(&[liar(move |method, _| match method {
        "eth_chainId" => {
            let before = count.fetch_add(1, Ordering::SeqCst);
            Lie::Result(json!(if before < 2 { "0x2105" } else { "0x1" }))
        }
        "eth_getBalance" => Lie::Result(json!("0x5")),
        _ => Lie::HangUp,
    })]);
    assert_eq!(chain.balance([1; 20]).await, Ok(5));
    assert_eq!(chain.balance([1; 20]).await, Ok(5));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert!(matches!(chain.code([1; 20]).await, Err(ChainError::Unreachable { .. })));
    assert_eq!(chain.balance([1; 20]).await, Ok(5));
    assert!(matches!(chain.code([1; 20]).await, Err(ChainError::Unreachable { .. })));
    assert_eq!(chain.balance([1; 20]).await, Err(ChainError::OtherChain { wanted: 8453, found: 1 }));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let reached = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&reached);
    let target = liar(move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        Lie::Result(json!("0x2105"))
    });
    let chain = nodes(&[liar(move |_, _| Lie::Redirect(target.clone()))]);
    let confirmed = chain.confirm().await;
    let Err(ChainError::Unreachable { why }) = confirmed else { panic!("{confirmed:?}") };
    assert_eq!((why.as_str(), reached.load(Ordering::SeqCst)), ("node 1 of 1: eth_chainId: HTTP status 307", 0));
}

#[tokio::test]
async fn a_key_in_the_address_is_in_no_error() {
    let base = liar_on_base(|_, _| {
        Lie::Error(json!({"code": -32000, "message": "bad key 0123456789abcdef\u{7}\nat 127.0.0.1"}))
    });
    let chain =
        nodes(&[format!("{}/v2/0123456789abcdef", base.replace("127.0.0.1", "someone:0123456789abcdef@127.0.0.1"))]);
    for error in [chain.head().await.err(), chain.send(vec![1]).await.err()] {
        let text = format!("{0} {0:?}", error.expect("no answer"));
        assert!(text.contains("bad key …"), "{text}");
        for leak in ["0123456789abcdef", "127.0.0.1", "someone", "\n", "\u{7}"] {
            assert!(!text.contains(leak), "{leak:?} in {text}");
        }
    }
}

/// What a subscriber that wants everything would write.
#[derive(Clone, Default)]
struct Everything(Arc<Mutex<Vec<u8>>>);

impl io::Write for Everything {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn nothing_of_a_request_is_in_the_log_at_any_level() {
    let log = Everything::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    tracing::info!("it writes");
    let chain = nodes(&[liar_on_base(|_, _| Lie::Result(json!("0x")))]);
    assert_eq!(chain.call([0xab; 20], [2; 20], vec![0xcd; 8]).await, Ok(CallOutcome::Returned(vec![])));
    assert!(chain.send(vec![0xcd; 8]).await.is_err());
    drop(guard);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("it writes"));
    for leak in ["cdcdcdcd", "abababab", "127.0.0.1"] {
        assert!(!log.contains(leak), "{leak} in {log}");
    }
}

#[tokio::test]
async fn a_lie_of_one_of_two_nodes_is_a_disagreement() {
    let truth = || liar_on_base(|method, _| honest(method));
    let liars: [Case; 3] = [
        ("eth_getCode", || Lie::Result(json!("0xef"))),
        ("eth_getTransactionCount", || Lie::Result(json!("0x4"))),
        ("eth_call", || Lie::Error(json!({"code": 3, "message": "execution reverted", "data": "0x"}))),
    ];
    for (method, lie) in liars {
        let other = liar_on_base(move |asked, _| if asked == method { lie() } else { honest(asked) });
        let chain = nodes(&[truth(), other]);
        let disagrees = match method {
            "eth_getCode" => chain.code([1; 20]).await.err(),
            "eth_call" => chain.call([1; 20], [2; 20], vec![]).await.err(),
            _ => chain.transaction_count([1; 20]).await.err(),
        };
        assert!(matches!(disagrees, Some(ChainError::Disagree { .. })), "{method}: {disagrees:?}");
    }
    // One that is down leaves nothing to agree with.
    let half = nodes_within(&[truth(), liar(|_, _| Lie::HangUp)], QUICK);
    assert!(matches!(half.code([1; 20]).await, Err(ChainError::Unreachable { .. })));
    assert_eq!(nodes(&[truth(), truth()]).code([1; 20]).await, Ok(vec![1]));
}

#[tokio::test]
async fn the_lower_of_two_heads_counts_and_both_must_have_it() {
    let at = |newest: u64, branch: u8| {
        liar_on_base(move |_, params| {
            let asked = params[0].as_str().expect("a block");
            let number = u64::from_str_radix(asked.trim_start_matches("0x"), 16).unwrap_or(newest);
            Lie::Result(block(number, branch))
        })
    };
    let head = nodes(&[at(120, 1), at(117, 1), at(118, 1)]).head().await.unwrap();
    assert_eq!((head.number, head.timestamp, head.base_fee), (117, 1_117, 9));
    let forked = nodes(&[at(120, 1), at(117, 2)]).head().await;
    assert_eq!(forked, Err(ChainError::Disagree { about: "the newest block" }));
}

#[tokio::test]
async fn a_transaction_is_in_a_block_when_all_nodes_say_so() {
    let node = |answer: Value| liar_on_base(move |_, _| Lie::Result(answer.clone()));
    let has = || node(receipt("0x1", 7, 1));
    let outcome = nodes(&[has(), has()]).outcome([5; 32]).await.unwrap().unwrap();
    assert_eq!((outcome.success, outcome.block, outcome.logs.len()), (true, 7, 1));
    assert_eq!(nodes(&[has(), node(Value::Null)]).outcome([5; 32]).await, Ok(None));
    for other in [receipt("0x0", 7, 1), receipt("0x1", 8, 1), receipt("0x1", 7, 2)] {
        let torn = nodes(&[has(), node(other)]).outcome([5; 32]).await;
        assert_eq!(torn, Err(ChainError::Disagree { about: "what became of a transaction" }));
    }
    // The receipt of another transaction is no answer.
    assert!(matches!(nodes(&[has()]).outcome([6; 32]).await, Err(ChainError::Unreachable { .. })));
}

#[tokio::test]
async fn log_entries_that_were_not_asked_for_are_no_answer() {
    let node = |logs: Value| {
        liar_on_base(move |method, _| match method {
            "eth_getLogs" => Lie::Result(logs.clone()),
            _ => Lie::Result(block(7, 1)),
        })
    };
    let good = nodes(&[node(json!([log(7, 1)]))]);
    assert_eq!(good.logs([2; 20], vec![[3; 32]], 1).await.unwrap().len(), 1);
    for (of, topic, from) in [([1; 20], [3; 32], 1), ([2; 20], [4; 32], 1)] {
        let stray = good.logs(of, vec![topic], from).await;
        assert!(matches!(stray, Err(ChainError::Unreachable { .. })), "{stray:?}");
    }
    let hiding = nodes(&[node(json!([log(7, 1)])), node(json!([]))]).logs([2; 20], vec![[3; 32]], 1).await;
    assert_eq!(hiding, Err(ChainError::Disagree { about: "a contract's log entries" }));
    assert_eq!(good.logs([2; 20], vec![[3; 32]], 8).await, Ok(vec![]), "no block yet");
    let far = nodes(&[liar_on_base(|_, _| Lie::Result(block(1_000_000, 1)))]).logs([2; 20], vec![], 0).await;
    let Err(ChainError::Unreachable { why }) = far else { panic!("{far:?}") };
    assert!(why.contains("too many blocks"), "{why}");
}

#[tokio::test]
async fn a_transaction_is_refused_only_when_every_node_refused_it() {
    let raw = vec![1, 2, 3];
    let hash = format!("{}", keccak256(&raw));
    let node = |lie: fn(String) -> Lie| {
        let hash = hash.clone();
        liar_on_base(move |method, _| match method {
            "eth_getTransactionByHash" => Lie::Result(Value::Null),
            _ => lie(hash.clone()),
        })
    };
    let takes = || node(|hash| Lie::Result(json!(hash)));
    let refuses = || node(|_| Lie::Error(json!({"code": -32000, "message": "insufficient funds for gas"})));
    let knows = || node(|_| Lie::Error(json!({"code": -32000, "message": "already known"})));
    let spent = || node(|_| Lie::Error(json!({"code": -32000, "message": "nonce too low"})));
    let gone = || node(|_| Lie::HangUp);
    let lies = || node(|_| Lie::Result(json!(format!("0x{}", "11".repeat(32)))));

    assert_eq!(nodes(&[takes(), refuses()]).send(raw.clone()).await, Ok(Sent::Taken));
    assert_eq!(nodes(&[gone(), takes()]).send(raw.clone()).await, Ok(Sent::Taken));
    assert_eq!(nodes(&[spent(), knows()]).send(raw.clone()).await, Ok(Sent::Taken));
    let why = "insufficient funds for gas".to_owned();
    assert_eq!(nodes(&[refuses(), spent()]).send(raw.clone()).await, Ok(Sent::Refused { why }));
    let why = "nonce too low".to_owned();
    assert_eq!(nodes(&[spent()]).send(raw.clone()).await, Ok(Sent::Refused { why }));
    for unheard in [[refuses(), gone()], [lies(), refuses()]] {
        let sent = nodes_within(&unheard, QUICK).send(raw.clone()).await;
        assert!(matches!(sent, Err(ChainError::Unreachable { .. })), "{sent:?}");
    }
}

#[tokio::test]
async fn a_revert_is_an_outcome_and_another_error_is_none() {
    let node = |error: Value| nodes(&[liar_on_base(move |_, _| Lie::Error(error.clone()))]);
    let reverted = node(json!({"code": 3, "message": "execution reverted", "data": "0x08c379a0"}));
    assert_eq!(reverted.call([1; 20], [2; 20], vec![]).await, Ok(CallOutcome::Reverted(vec![8, 0xc3, 0x79, 0xa0])));
    let other = node(json!({"code": -32000, "message": "header not found"})).call([1; 20], [2; 20], vec![]).await;
    assert!(matches!(other, Err(ChainError::Unreachable { .. })), "{other:?}");
}

#[test]
fn nodes_are_one_to_five_different_ones() {
    let make = |count: usize| {
        let urls = (0..count).map(|at| format!("https://node{at}.example").parse().unwrap()).collect();
        Nodes::new(8453, urls, Limits::default())
    };
    assert!(matches!(make(0), Err(NodesError::None)));
    assert!(make(MAX_NODES).is_ok());
    assert!(matches!(make(MAX_NODES + 1), Err(NodesError::TooMany { found: 6 })));
    let twice = ["https://a.example", "https://b.example", "https://a.example/"];
    let twice = Nodes::new(8453, twice.map(|url| url.parse().unwrap()).to_vec(), Limits::default());
    assert!(matches!(twice, Err(NodesError::Twice { position: 3 })));
}

fn honest(method: &str) -> Lie {
    Lie::Result(match method {
        "eth_getCode" => json!("0x01"),
        "eth_getTransactionCount" => json!("0x3"),
        _ => json!("0x"),
    })
}

fn word(byte: u8) -> String {
    format!("0x{}", hex::encode([byte; 32]))
}

fn block(number: u64, branch: u8) -> Value {
    json!({
        "number": format!("{number:#x}"), "hash": word(branch), "parentHash": word(0), "sha3Uncles": word(0),
        "miner": "0x0000000000000000000000000000000000000000", "stateRoot": word(0), "transactionsRoot": word(0),
        "receiptsRoot": word(0), "logsBloom": format!("0x{}", "00".repeat(256)), "difficulty": "0x0",
        "gasLimit": "0x1", "gasUsed": "0x0", "timestamp": format!("{:#x}", number + 1_000), "extraData": "0x",
        "mixHash": word(0), "nonce": "0x0000000000000000", "baseFeePerGas": "0x9", "transactions": [], "uncles": [],
    })
}

fn log(block: u64, branch: u8) -> Value {
    json!({
        "address": format!("0x{}", hex::encode([2; 20])), "topics": [word(3), word(9)], "data": "0x01",
        "blockNumber": format!("{block:#x}"), "blockHash": word(branch), "transactionHash": word(5),
        "transactionIndex": "0x0", "logIndex": "0x0", "removed": false,
    })
}

fn receipt(status: &str, block: u64, branch: u8) -> Value {
    json!({
        "type": "0x2", "status": status, "transactionHash": word(5), "transactionIndex": "0x0",
        "blockNumber": format!("{block:#x}"), "blockHash": word(branch), "from": format!("0x{}", hex::encode([7; 20])),
        "to": format!("0x{}", hex::encode([2; 20])), "cumulativeGasUsed": "0x1", "gasUsed": "0x1",
        "effectiveGasPrice": "0x1", "contractAddress": null, "logs": [log(block, branch)],
        "logsBloom": format!("0x{}", "00".repeat(256)),
        // What nodes of Base add.
        "l1Fee": "0x1", "l1GasPrice": "0x1", "l1GasUsed": "0x1", "l1BaseFeeScalar": "0x1",
    })
}
