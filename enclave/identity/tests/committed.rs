//! Our own vectors (`tests/vectors/identity`), made with the clients of this ecosystem: every rule of tokens and of signed
//! requests, kept and broken.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use std::{collections::BTreeSet, sync::Arc};

use common::{Account, Memory, committed, last_verdict, signed};
use evidence::UnixSeconds;
use identity::{
    signed_request::{Rules, accept_signature},
    wallet_token::{MAX_BYTES, WalletToken, WalletTokenFault},
};
use serde_json::Value;

fn cases(file: &str, wanted: usize) -> Vec<Value> {
    let cases = committed(file)["cases"].as_array().unwrap().clone();
    let ids: BTreeSet<&str> = cases.iter().map(|case| case["id"].as_str().unwrap()).collect();
    assert_eq!((cases.len(), ids.len()), (wanted, wanted), "{file}");
    cases
}

#[tokio::test]
async fn every_signed_request_gets_its_verdict() {
    for case in cases("requests.json", 84) {
        let verdict = last_verdict(&case).await;
        let id = case["id"].as_str().unwrap();
        match &case["expect"]["wallet"] {
            Value::String(wallet) => {
                let signer = verdict.unwrap_or_else(|fault| panic!("{id}: {fault}"));
                assert_eq!(&signer.wallet.to_string(), wallet, "{id}");
            }
            _ => assert_eq!(verdict.expect_err(id).code(), case["expect"]["code"], "{id}"),
        }
    }
}

#[tokio::test]
async fn every_wallet_token_gets_its_verdict() {
    for case in cases("tokens.json", 41) {
        let now = UnixSeconds(case["now"].as_u64().unwrap());
        let verdict = WalletToken::verify(case["token"].as_str().unwrap(), now);
        let id = case["id"].as_str().unwrap();
        match &case["expect"]["wallet"] {
            Value::String(wallet) => {
                let token = verdict.unwrap_or_else(|fault| panic!("{id}: {fault}"));
                assert_eq!(&token.wallet().to_string(), wallet, "{id}");
            }
            _ => assert_eq!(verdict.expect_err(id).code(), case["expect"]["code"], "{id}"),
        }
    }
}

#[test]
fn a_megabyte_of_token_is_refused_unread() {
    let token = format!("mcpwt_{}", "A".repeat(1 << 20));
    let began = std::time::Instant::now();
    for _ in 0..10_000 {
        let refused = WalletToken::verify(&token, UnixSeconds(0));
        assert_eq!(refused, Err(WalletTokenFault::TooLong { bytes: token.len() }));
    }
    // Ten thousand of them read would be ten gigabytes.
    assert!(began.elapsed().as_secs() < 2);
    assert!(
        WalletToken::verify(&"A".repeat(MAX_BYTES), UnixSeconds(0))
            .is_err_and(|fault| { fault == WalletTokenFault::NotBase64Url })
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixty_four_copies_at_once_one_passes() {
    let request = Arc::new(signed(&Account::new(1), 1_790_000_000, "n"));
    let store = Arc::new(Memory::default());
    let copies: Vec<_> = (0..64)
        .map(|_| {
            let (request, store) = (Arc::clone(&request), Arc::clone(&store));
            tokio::spawn(async move {
                request.verify(&Rules::of_chain(8453), &store, UnixSeconds(1_790_000_001)).await.unwrap().is_ok()
            })
        })
        .collect();
    let mut passed = 0;
    for copy in copies {
        passed += usize::from(copy.await.unwrap());
    }
    assert_eq!(passed, 1);
}

#[tokio::test]
async fn a_request_that_fails_leaves_no_mark() {
    let (store, rules, now) = (Memory::default(), Rules::of_chain(8453), UnixSeconds(1_790_000_001));
    let good = signed(&Account::new(1), 1_790_000_000, "n");
    let mut bad = good.clone();
    bad.path = "/other".into();
    assert_eq!(bad.verify(&rules, &store, now).await.unwrap().unwrap_err().code(), "bad_signature");
    assert_eq!(store.marks(), 0);
    assert!(good.verify(&rules, &store, now).await.unwrap().is_ok());
    assert_eq!(store.marks(), 1);
}

#[tokio::test]
async fn the_same_nonce_of_another_wallet_is_another() {
    let (store, rules, now) = (Memory::default(), Rules::of_chain(8453), UnixSeconds(1_790_000_001));
    for number in [1, 2] {
        let request = signed(&Account::new(number), 1_790_000_000, "n");
        assert!(request.verify(&rules, &store, now).await.unwrap().is_ok());
    }
}

#[test]
fn the_repair_hint_asks_for_what_the_request_needs() {
    let mut request = common::Request::to("GET", common::GATEWAY);
    let hint = |request: &common::Request| request.view(accept_signature);
    assert_eq!(hint(&request), r#"eth=("@authority" "@method" "@path");keyid;created;expires;nonce"#);
    request.query = Some(String::new());
    request.body = b"{}".to_vec();
    let full = r#"eth=("@authority" "@method" "@path" "@query" "content-digest");keyid;created;expires;nonce"#;
    assert_eq!(hint(&request), full);
    assert!(sfv::Parser::new(full).parse::<sfv::Dictionary>().is_ok());
}
