//! Servers that die, hang, babble or lie: the caller hears what happened, and the next call works.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use common::{Bench, bench, containers, docker, none_left, program, server_text, warrant};
use sandbox::{
    Answer, InstalledServer, InstanceError, LINE_LIMIT, LaunchSpec, Pool, PoolConfig, PoolKey, Session, SessionError,
};
use serde_json::value::RawValue;

const LIMIT: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(700);

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

async fn call(pool: &Pool, server: &InstalledServer, method: &str, limit: Duration) -> Result<Answer, SessionError> {
    pool.call(&warrant(), "alice", server, &LaunchSpec::default(), method, Some(&raw("{\"a\":1}")), limit).await
}

async fn echoes(pool: &Pool, server: &InstalledServer) {
    match call(pool, server, "echo", LIMIT).await.unwrap() {
        Answer::Result(result) => assert_eq!(result.get(), "{\"a\":1}"),
        Answer::Error(error) => panic!("{error}"),
    }
}

async fn pool_of(methods: &str, name: &str) -> (Bench, Pool, InstalledServer) {
    let bench = bench().await;
    let server = program(&bench.sandbox, name, &server_text(methods)).await;
    let pool = Pool::new(bench.sandbox.clone(), PoolConfig::default());
    (bench, pool, server)
}

#[tokio::test]
async fn a_server_that_dies_in_a_call_is_told_with_its_last_words_and_the_next_call_works() {
    let (bench, pool, server) =
        pool_of("die: () => { console.error('out of cheese'); setTimeout(() => process.exit(3), 50); },", "dying")
            .await;
    echoes(&pool, &server).await;
    let error = call(&pool, &server, "die", LIMIT).await.unwrap_err();
    assert_eq!(error.to_string(), "the server ended (exit code 3); its stderr ends: out of cheese");
    echoes(&pool, &server).await;
    pool.stop().await;
    assert!(matches!(call(&pool, &server, "echo", LIMIT).await, Err(SessionError::Stopping)));
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn a_server_that_dies_at_its_start_is_told_to_all_who_wait_after_one_try() {
    let bench = bench().await;
    let server = program(&bench.sandbox, "stillborn", "console.error('no TOKEN given'); process.exit(1);").await;
    let pool = Pool::new(bench.sandbox.clone(), PoolConfig::default());
    let start = Instant::now();
    let calls = (0..20).map(|_| call(&pool, &server, "echo", LIMIT));
    for result in futures_util::future::join_all(calls).await {
        let error = result.unwrap_err().to_string();
        assert_eq!(error, "the server ended (exit code 1); its stderr ends: no TOKEN given");
    }
    assert!(start.elapsed() < Duration::from_secs(8), "tried again and again: {:?}", start.elapsed());
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn a_hanging_call_ends_at_its_limit_and_a_hanging_server_is_started_anew() {
    let (bench, pool, server) = pool_of(
        "slow: async () => { await sleep(1500); return 'late'; }, hang: () => { for (;;); }, heard: () => globalThis.heard ??= [],",
        "hanging",
    )
    .await;
    // One slow tool does not cost the server its life, and hears that nobody waits.
    let session = pool.session(&warrant(), "alice", &server, &LaunchSpec::default()).await.unwrap();
    session.request("heard", None, LIMIT).await.unwrap();
    let error = call(&pool, &server, "slow", SHORT).await.unwrap_err();
    assert!(matches!(error, SessionError::Instance(InstanceError::Hung { .. })), "{error}");
    let first = session.container().to_owned();
    echoes(&pool, &server).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    echoes(&pool, &server).await; // the late answer was dropped
    let Answer::Result(heard) = session.request("heard", None, LIMIT).await.unwrap() else { panic!() };
    assert!(heard.get().contains("notifications/cancelled"), "{heard}");
    assert_eq!(pool.session(&warrant(), "alice", &server, &LaunchSpec::default()).await.unwrap().container(), first);
    drop(session);
    // A stuck one does not answer the ping either.
    assert!(call(&pool, &server, "hang", SHORT).await.is_err());
    echoes(&pool, &server).await;
    assert_ne!(pool.session(&warrant(), "alice", &server, &LaunchSpec::default()).await.unwrap().container(), first);
    pool.stop().await;
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn a_few_lines_of_garbage_are_passed_over_and_many_are_an_error() {
    let (bench, pool, server) = pool_of(
        "banner: () => { console.log('Server v1 ready!'); console.log('[1,2]'); return 'fine'; }, babble: () => { for (let i = 0; i < 100; i++) console.log('bla ' + i); },
         mute: () => { console.log('thinking...'); },",
        "babbling",
    )
    .await;
    assert!(matches!(call(&pool, &server, "banner", LIMIT).await, Ok(Answer::Result(r)) if r.get() == "\"fine\""));
    let error = call(&pool, &server, "babble", LIMIT).await.unwrap_err();
    assert_eq!(error.to_string(), "the server printed a line that is no JSON on stdout: \"Server v1 ready!\"");
    echoes(&pool, &server).await;
    let error = call(&pool, &server, "mute", SHORT).await.unwrap_err();
    assert_eq!(error.to_string(), "the server printed a line that is no JSON on stdout: \"thinking...\"");
    echoes(&pool, &server).await;
    pool.stop().await;
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn an_answer_of_the_line_limit_arrives_whole_and_one_byte_more_is_an_error() {
    let (bench, pool, server) = pool_of("long: ({ length }) => 'x'.repeat(length),", "long").await;
    let session = pool.session(&warrant(), "alice", &server, &LaunchSpec::default()).await.unwrap();
    let overhead = r#"{"jsonrpc":"2.0","id":2,"result":""}"#.len();
    let params = |length: usize| raw(&format!("{{\"length\":{length}}}"));
    let Answer::Result(result) = session.request("long", Some(&params(LINE_LIMIT - overhead)), LIMIT).await.unwrap()
    else {
        panic!()
    };
    assert_eq!(result.get().len(), LINE_LIMIT - overhead + 2);
    let error = session.request("long", Some(&params(LINE_LIMIT - overhead + 1)), LIMIT).await.unwrap_err();
    assert!(matches!(error, SessionError::Instance(InstanceError::LineTooLong)), "{error}");
    drop(session);
    echoes(&pool, &server).await;
    pool.stop().await;
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn a_message_with_a_line_break_is_not_sent() {
    let (_bench, _pool, server) = pool_of("", "plain").await;
    let mut instance = _bench.sandbox.start(&warrant(), &server, &LaunchSpec::default()).await.unwrap();
    assert_eq!(instance.send(b"{}\n{}").await, Err(InstanceError::NotOneLine));
    instance.send(br#"{"id":"x","method":"ping"}"#).await.unwrap();
    assert_eq!(instance.receive_within(LIMIT).await.unwrap(), br#"{"jsonrpc":"2.0","id":"x","result":{}}"#);
    instance.stop().await;
    // Written over several lines, the same parameters are one line.
    let session =
        Session::open(_bench.sandbox.start(&warrant(), &server, &LaunchSpec::default()).await.unwrap()).await.unwrap();
    let answer = session.request("echo", Some(&raw("{\n \"a\":\r\n \"\\n\"}")), LIMIT).await.unwrap();
    assert!(matches!(answer, Answer::Result(r) if r.get() == r#"{"a":"\n"}"#));
}

#[tokio::test]
async fn questions_of_the_server_are_answered_and_answers_keep_every_member() {
    let (_bench, pool, server) = pool_of(
        r#"interview: async () => { globalThis.heard = []; say({ jsonrpc: '2.0', id: 'p', method: 'ping' }); say({ jsonrpc: '2.0', id: 7, method: 'roots/list' });
            say({ jsonrpc: '2.0', method: 'notifications/message', params: {} }); say({ jsonrpc: '2.0', id: 999, result: 'nobody asked' });
            while (globalThis.heard.length < 2) await sleep(10); return globalThis.heard; },
          odd: (_, id) => { process.stdout.write('{"jsonrpc":"2.0","id":' + id + ',"result":{"n":1.0,"big":12345678901234567890123,"z":1,"a":null,"_meta":{"x":[]}},"extra":1}\n'); },"#,
        "curious",
    )
    .await;
    let Answer::Result(heard) = call(&pool, &server, "interview", LIMIT).await.unwrap() else { panic!() };
    let heard: Vec<String> = serde_json::from_str(heard.get()).unwrap();
    assert!(heard.contains(&r#"{"jsonrpc":"2.0","id":"p","result":{}}"#.to_owned()), "{heard:?}");
    assert!(heard.iter().any(|line| line.contains(r#""id":7,"error":{"code":-32601"#)), "{heard:?}");
    let Answer::Result(odd) = call(&pool, &server, "odd", LIMIT).await.unwrap() else { panic!() };
    assert_eq!(odd.get(), r#"{"n":1.0,"big":12345678901234567890123,"z":1,"a":null,"_meta":{"x":[]}}"#);
    let Answer::Error(error) = call(&pool, &server, "unknown", LIMIT).await.unwrap() else { panic!() };
    assert_eq!(error.get(), r#"{"code":-32601,"message":"no such method"}"#);
    pool.stop().await;
}

#[tokio::test]
async fn two_hundred_first_calls_start_one_container() {
    let (bench, pool, server) = pool_of("", "wanted").await;
    let pool = Arc::new(pool);
    let calls = (0..200).map(|number| {
        let (pool, server) = (pool.clone(), server.clone());
        tokio::spawn(async move {
            let params = raw(&format!("{{\"n\":{number}}}"));
            let answer = pool
                .call(&warrant(), "alice", &server, &LaunchSpec::default(), "echo", Some(&params), LIMIT)
                .await
                .unwrap();
            assert!(matches!(answer, Answer::Result(r) if r.get() == params.get()));
        })
    });
    for call in futures_util::future::join_all(calls).await {
        call.unwrap();
    }
    assert_eq!(containers(&bench.sandbox).len(), 1);
    assert_eq!(pool.running(), 1);
    pool.stop().await;
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn principals_do_not_share_a_container_and_new_secrets_get_a_new_one() {
    let (bench, pool, server) = pool_of("", "shared").await;
    let spec = LaunchSpec::default();
    let alice = pool.session(&warrant(), "alice", &server, &spec).await.unwrap().container().to_owned();
    let bob = pool.session(&warrant(), "bob", &server, &spec).await.unwrap().container().to_owned();
    assert_ne!(alice, bob);
    let value = sandbox::Zeroizing::new("s".to_owned());
    let spec = LaunchSpec { environment: vec![sandbox::secret("TOKEN", value)], ..spec };
    let again = pool.session(&warrant(), "alice", &server, &spec).await.unwrap().container().to_owned();
    assert_ne!(alice, again);
    assert_eq!(pool.running(), 2);
    pool.end(&PoolKey { server: server.server().clone(), principal: "bob".into() }).await;
    assert_eq!(pool.running(), 1);
    pool.stop().await;
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn idle_servers_are_ended_and_the_cap_takes_the_longest_unused_place() {
    let bench = bench().await;
    let server = program(&bench.sandbox, "idle", &server_text("")).await;
    let pool = Pool::new(bench.sandbox.clone(), PoolConfig { cap: 1, idle: Duration::from_secs(60) });
    let spec = LaunchSpec::default();
    let held = pool.session(&warrant(), "alice", &server, &spec).await.unwrap();
    let error = pool.session(&warrant(), "bob", &server, &spec).await.unwrap_err();
    assert!(matches!(error, SessionError::Full { cap: 1 }), "{error}");
    drop(held);
    pool.session(&warrant(), "bob", &server, &spec).await.unwrap();
    assert_eq!(pool.running(), 1);
    pool.stop().await;
    none_left(&bench.sandbox).await;

    let pool = Pool::new(bench.sandbox.clone(), PoolConfig { cap: 4, idle: Duration::from_millis(300) });
    drop(pool.session(&warrant(), "alice", &server, &spec).await.unwrap());
    none_left(&bench.sandbox).await;
    // The container is gone a moment before its place is given back.
    for _ in 0..100 {
        if pool.running() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(pool.running(), 0);
    drop(pool);
}

#[tokio::test]
async fn a_dropped_instance_takes_its_container_with_it() {
    let (bench, pool, server) = pool_of("", "dropped").await;
    let instance = bench.sandbox.start(&warrant(), &server, &LaunchSpec::default()).await.unwrap();
    assert_eq!(containers(&bench.sandbox).len(), 1);
    drop(instance);
    none_left(&bench.sandbox).await;
    let session = pool.session(&warrant(), "alice", &server, &LaunchSpec::default()).await.unwrap();
    drop((session, pool));
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn a_sweep_removes_containers_of_gone_processes_and_no_others() {
    let (bench, pool, server) = pool_of("", "swept").await;
    let alive = pool.session(&warrant(), "alice", &server, &LaunchSpec::default()).await.unwrap();
    let deployment = format!("io.sealgate.deployment={}", bench.sandbox.deployment());
    let orphan = |owner: &str| {
        let owner = format!("io.sealgate.owner={owner}");
        docker(&[
            "create",
            "--label",
            &deployment,
            "--label",
            &owner,
            "--network",
            "none",
            server.image_digest(),
            "/usr/bin/node",
        ])
    };
    orphan("another-boot/1/1/1");
    orphan("nonsense");
    assert_eq!(containers(&bench.sandbox).len(), 3);
    assert_eq!(bench.sandbox.sweep().await.unwrap(), 2);
    assert_eq!(containers(&bench.sandbox), [alive.container()]);
    drop(alive);
    pool.stop().await;
    none_left(&bench.sandbox).await;
}

/// Started as a process of its own by the test below, and killed in the middle.
#[tokio::test]
#[ignore = "a helper of the next test"]
async fn helper_start_two_servers_and_wait() {
    let bench = common::bench_named(&std::env::var("SEALGATE_TEST_DEPLOYMENT").unwrap()).await;
    let polite = program(&bench.sandbox, "polite", &server_text("")).await;
    let deaf = program(&bench.sandbox, "deaf", "setInterval(() => {}, 1000);").await;
    let _polite = bench.sandbox.start(&warrant(), &polite, &LaunchSpec::default()).await.unwrap();
    let _deaf = bench.sandbox.start(&warrant(), &deaf, &LaunchSpec::default()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
}

#[tokio::test]
async fn a_killed_gateway_leaves_nothing_that_its_next_start_does_not_sweep() {
    let deployment = format!("test-killed-{}", std::process::id());
    let bench = common::bench_named(&deployment).await;
    let mut gateway = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "helper_start_two_servers_and_wait"])
        .env("SEALGATE_TEST_DEPLOYMENT", &deployment)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let count = async |wanted: usize| {
        for _ in 0..200 {
            if containers(&bench.sandbox).len() == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("want {wanted} containers, there are {:?}", containers(&bench.sandbox));
    };
    count(2).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.sandbox.sweep().await.unwrap(), 0, "its gateway lives");
    gateway.kill().unwrap();
    gateway.wait().unwrap();
    count(1).await; // The engine closed the stdin of both; the polite one ended.
    assert_eq!(bench.sandbox.sweep().await.unwrap(), 1);
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn a_server_that_reads_nothing_more_can_still_be_ended() {
    let (bench, pool, server) = pool_of("hang: () => { for (;;); },", "deaf").await;
    let session = pool.session(&warrant(), "alice", &server, &LaunchSpec::default()).await.unwrap();
    session.request("hang", None, SHORT).await.unwrap_err();
    // More than pipes and sockets on the way hold: the queue of what is to be written stays full.
    let long = raw(&format!("{{\"a\":\"{}\"}}", "x".repeat(100_000)));
    let calls = (0..150).map(|_| session.request("echo", Some(&long), SHORT));
    assert!(futures_util::future::join_all(calls).await.iter().all(Result::is_err));
    drop(session);
    let ended = tokio::time::timeout(Duration::from_secs(20), pool.stop()).await;
    assert!(ended.is_ok(), "the pool waits for a server that does not read");
    none_left(&bench.sandbox).await;
}
