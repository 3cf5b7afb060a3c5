//! How a server is spoken to: over a socket to its bridge, or through the engine. It notices no difference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::time::Duration;

use common::{connect_over, none_left, program, server_text, warrant};
use sandbox::{Instance, InstanceError, LaunchSpec, Limits, Runtime, Sandbox, Streams};

const LIMIT: Duration = Duration::from_secs(30);

struct Over {
    sandbox: Sandbox,
    _state: tempfile::TempDir,
}

async fn over(streams: Streams) -> Over {
    let state = tempfile::tempdir().unwrap();
    let deployment = format!("streams-{}-{}", streams.name(), std::process::id());
    Over { sandbox: connect_over(deployment, state.path().into(), Limits::default(), streams).await, _state: state }
}

const METHODS: &str = r#"
  inside: () => ({ stdin: fs.readlinkSync('/proc/self/fd/0').split(':')[0]}),
  bridge: () => [1, process.ppid].map((pid) => { try { return fs.readdirSync(`/proc/${pid}/fd`); } catch (error) { return error.code; } }),
  long: ({ size }) => 'x'.repeat(size),
  end: () => { console.error('last words'); process.stdout.write('{"last":1}\n', () => process.exit(5)); },
  shut: () => { fs.closeSync(1); setTimeout(() => process.exit(6), 200); },
"#;

async fn ask(instance: &mut Instance, method: &str, params: &str) -> serde_json::Value {
    let line = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
    instance.send(line.as_bytes()).await.unwrap();
    let answer = instance.receive_within(LIMIT).await.unwrap();
    serde_json::from_slice::<serde_json::Value>(&answer).unwrap()["result"].take()
}

#[tokio::test]
async fn over_a_socket_or_through_the_engine_a_server_hears_answers_and_ends_alike() {
    for streams in [Streams::Direct, Streams::Engine] {
        let over = over(streams).await;
        let server = program(&over.sandbox, "alike", &server_text(METHODS)).await;
        let start = async || over.sandbox.start(&warrant(), &server, &LaunchSpec::default()).await.unwrap();

        let mut instance = start().await;
        assert_eq!(ask(&mut instance, "echo", r#"{"a":1}"#).await.to_string(), r#"{"a":1}"#);
        let inside = ask(&mut instance, "inside", "{}").await;
        let direct = streams == Streams::Direct && common::runtime() == Runtime::Runc;
        if common::runtime() == Runtime::Runc {
            assert_eq!(inside["stdin"], "pipe", "{streams:?}");
            assert_eq!(instance.is_direct(), direct, "{streams:?}");
            let bridge = ask(&mut instance, "bridge", "{}").await;
            assert_eq!(bridge, serde_json::json!(["EACCES", "EACCES"]), "{streams:?}: what it holds can be reached");
        }
        // Far more than fits into a socket or a pipe at once.
        let long = ask(&mut instance, "long", r#"{"size":5000000}"#).await;
        assert_eq!(long.as_str().map(str::len), Some(5_000_000), "{streams:?}");
        instance.send(br#"{"jsonrpc":"2.0","id":2,"method":"end"}"#).await.unwrap();
        assert_eq!(instance.receive_within(LIMIT).await.unwrap(), br#"{"last":1}"#);
        match instance.receive_within(LIMIT).await {
            Err(InstanceError::Died { code: Some(5), stderr }) => assert_eq!(stderr, "last words\n"),
            other => panic!("{streams:?}: {other:?}"),
        }

        // A server that closes its stdout and lives on has not ended yet.
        let mut instance = start().await;
        instance.send(br#"{"jsonrpc":"2.0","id":3,"method":"shut"}"#).await.unwrap();
        match instance.receive_within(LIMIT).await {
            Err(InstanceError::Died { code: Some(6), .. }) => {}
            other => panic!("{streams:?}: {other:?}"),
        }

        // Whose stdin is closed ends by itself.
        let mut instance = start().await;
        assert_eq!(ask(&mut instance, "ping", "{}").await.to_string(), "{}");
        let started = std::time::Instant::now();
        instance.stop().await;
        assert!(started.elapsed() < Duration::from_secs(3), "{streams:?}: it was killed");
        none_left(&over.sandbox).await;
    }
}

/// Without the right to look into processes, in this thread alone.
fn give_up_looking_into_processes() {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    let mut sets = capabilities(None).unwrap();
    sets.effective.remove(CapabilitySet::SYS_PTRACE);
    set_capabilities(None, sets).unwrap();
}

#[tokio::test]
async fn a_gateway_that_may_not_look_into_containers_speaks_through_the_engine() {
    if common::runtime() == Runtime::Runsc {
        return;
    }
    give_up_looking_into_processes();
    let over = over(Streams::Direct).await;
    let server = program(&over.sandbox, "unseen", &server_text(METHODS)).await;
    for _ in 0..2 {
        let mut instance = over.sandbox.start(&warrant(), &server, &LaunchSpec::default()).await.unwrap();
        assert!(!instance.is_direct());
        assert_eq!(ask(&mut instance, "echo", r#"{"a":1}"#).await.to_string(), r#"{"a":1}"#);
        instance.stop().await;
    }
    none_left(&over.sandbox).await;
}

#[tokio::test]
async fn a_server_whose_gateway_is_gone_hears_the_end_of_its_stdin() {
    let over = over(Streams::Direct).await;
    let server = program(&over.sandbox, "left-alone", &server_text(METHODS)).await;
    let mut instance = over.sandbox.start(&warrant(), &server, &LaunchSpec::default()).await.unwrap();
    assert_eq!(ask(&mut instance, "ping", "{}").await.to_string(), "{}");
    // As a kill does: the descriptors close, and without a runtime nobody asks the engine to remove anything.
    std::thread::spawn(move || drop(instance)).join().unwrap();
    none_left(&over.sandbox).await;
}
