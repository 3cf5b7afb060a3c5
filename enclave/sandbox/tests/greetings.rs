//! Servers of all revisions, and such that cannot stand a question which they do not know.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::time::Duration;

use common::{Bench, bench, containers, none_left, program, server_text, warrant};
use sandbox::{Answer, InstalledServer, InstanceError, LaunchSpec, Sandbox, ServerEra, Session, SessionError};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(30);
const LEGACY: ServerEra = ServerEra::Legacy { version: "2025-11-25" };
/// A method of a server that speaks 2026-07-28.
const DISCOVER: &str =
    "'server/discover': () => ({ supportedVersions: ['2026-07-28', '2099-01-01'], capabilities: {}, ttlMs: 0, x: 1 }),";
/// A server that speaks nothing else.
const NO_HANDSHAKE: &str =
    "initialize: () => { throw 'no handshake here'; }, ping: () => { throw 'nor that'; }, __proto__: null,";

async fn server(bench: &Bench, name: &str, methods: &str) -> InstalledServer {
    program(&bench.sandbox, name, &server_text(methods)).await
}

async fn start(bench: &Bench, server: &InstalledServer) -> Result<Session, SessionError> {
    Session::start(&bench.sandbox, &warrant(), server, &LaunchSpec::default()).await
}

/// What the server was told until it could work, our question not counted.
async fn told(session: &Session) -> Vec<Value> {
    let Answer::Result(lines) = session.request("lines", None, LIMIT).await.unwrap() else { panic!() };
    let lines: Vec<String> = serde_json::from_str(lines.get()).unwrap();
    let mut lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.pop();
    lines
}

async fn methods_told(session: &Session) -> Vec<String> {
    told(session).await.iter().map(|message| message["method"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_legacy_server_of_each_revision_is_initialized_after_it_refused_to_discover() {
    let bench = bench().await;
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let answer = format!("initialize: () => ({{ protocolVersion: '{version}', extra: [1.0] }}),");
        let session = start(&bench, &server(&bench, &format!("legacy-{version}"), &answer).await).await.unwrap();
        assert_eq!(session.era(), ServerEra::Legacy { version });
        assert_eq!(session.era().version(), version);
        assert_eq!(session.greeting().get(), format!(r#"{{"protocolVersion":"{version}","extra":[1]}}"#));
        let told = told(&session).await;
        let methods: Vec<_> = told.iter().map(|message| message["method"].as_str().unwrap()).collect();
        assert_eq!(methods, ["server/discover", "initialize", "notifications/initialized"]);
        let meta = &told[0]["params"]["_meta"];
        assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
        assert_eq!(meta["io.modelcontextprotocol/clientInfo"]["name"], "sealgate");
        assert!(meta["io.modelcontextprotocol/clientCapabilities"].is_object());
        let said = &told[1]["params"];
        assert_eq!((&said["protocolVersion"], &said["clientInfo"]["name"]), (&"2025-11-25".into(), &"sealgate".into()));
        let can = &said["capabilities"];
        assert!(can["elicitation"]["form"].is_object() && can["elicitation"]["url"].is_object(), "{can}");
        assert!(can["sampling"]["tools"].is_object() && can["sampling"]["context"].is_object(), "{can}");
        assert_eq!(can["roots"]["listChanged"], true);
        session.stop().await;
    }
    for version in ["2026-07-28", "2023-01-01", ""] {
        let answer = format!("initialize: () => ({{ protocolVersion: '{version}' }}),");
        let error = start(&bench, &server(&bench, "unknown-revision", &answer).await).await.unwrap_err();
        assert!(matches!(&error, SessionError::Handshake(why) if why.contains(&format!("{version:?}"))), "{error}");
    }
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn a_server_that_speaks_the_newest_revision_is_spoken_to_in_it_without_handshake() {
    let bench = bench().await;
    // One that would do a handshake, and one that would not.
    for (name, more) in [("dual", ""), ("modern", NO_HANDSHAKE)] {
        let server = server(&bench, name, &format!("{DISCOVER}{more}")).await;
        let session = start(&bench, &server).await.unwrap();
        assert_eq!(session.era(), ServerEra::Modern);
        assert_eq!(
            session.greeting().get(),
            r#"{"supportedVersions":["2026-07-28","2099-01-01"],"capabilities":{},"ttlMs":0,"x":1}"#
        );
        assert_eq!(methods_told(&session).await, ["server/discover"]);
        // It has no ping; after a request without an answer any word from it is a sign of life.
        session.request("lines", None, Duration::ZERO).await.unwrap_err();
        assert!(session.is_alive().await);
        session.stop().await;
    }
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn a_discovery_without_the_revision_that_we_speak_leads_to_the_handshake() {
    let bench = bench().await;
    for (number, discovery) in
        ["({})", "null", "({ supportedVersions: ['2099-01-01'] })", "({ supportedVersions: '2026-07-28' })", "[1]"]
            .into_iter()
            .enumerate()
    {
        let methods = format!("'server/discover': () => {discovery},");
        let session = start(&bench, &server(&bench, &format!("other-{number}"), &methods).await).await.unwrap();
        assert_eq!(session.era(), LEGACY, "{discovery}");
        session.stop().await;
    }
}

#[tokio::test]
async fn a_modern_server_must_not_ask_anything() {
    let bench = bench().await;
    let methods = format!("{DISCOVER} nosy: async () => JSON.parse(await ask('roots/list', {{}}, 1)),");
    let session = std::sync::Arc::new(start(&bench, &server(&bench, "nosy", &methods).await).await.unwrap());
    let mut exchange = session.begin("nosy", |_| None, LIMIT).unwrap();
    let sandbox::Event::Answer(Answer::Result(refused)) = exchange.next().await.unwrap() else { panic!() };
    assert!(refused.get().contains("-32601"), "{refused}");
}

#[tokio::test]
async fn a_server_that_dies_of_the_unknown_question_is_started_again_and_not_asked_it_twice() {
    let bench = bench().await;
    for (name, death) in [
        ("shocked", "'server/discover': () => process.exit(3),"),
        // It answers first, and ends while it is initialized.
        (
            "offended",
            "'server/discover': () => { globalThis.offended = true; throw 'not initialized'; },
             initialize: () => globalThis.offended ? process.exit(3) : { protocolVersion: '2025-11-25' },",
        ),
    ] {
        let server = server(&bench, name, death).await;
        for _ in 0..2 {
            let session = start(&bench, &server).await.unwrap();
            assert_eq!(session.era(), LEGACY);
            assert_eq!(methods_told(&session).await, ["initialize", "notifications/initialized"]);
            assert_eq!(containers(&bench.sandbox), [session.container()]);
            session.stop().await;
        }
    }
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn a_program_is_greeted_as_it_wants_to_be_with_the_arguments_that_it_got() {
    let bench = bench().await;
    let methods = format!(
        "...(process.argv.includes('old') ? {{ 'server/discover': () => process.exit(3) }} : {{ {DISCOVER} }}),"
    );
    let server = server(&bench, "of-two-eras", &methods).await;
    let with = |words: &[&str]| LaunchSpec {
        arguments: words.iter().map(|word| (*word).to_owned()).collect(),
        ..LaunchSpec::default()
    };
    for (words, era) in [(&["old"][..], LEGACY), (&["new"], ServerEra::Modern), (&["old"], LEGACY)] {
        let session = Session::start(&bench.sandbox, &warrant(), &server, &with(words)).await.unwrap();
        assert_eq!(session.era(), era, "{words:?}");
        session.stop().await;
    }
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn a_server_that_crashed_by_chance_is_asked_for_the_newest_revision_again_and_a_really_old_one_not_for_ever() {
    let bench = bench().await;
    let methods =
        format!("{DISCOVER} ...(process.env.CRASHES ? {{ 'server/discover': () => process.exit(3) }} : {{}}),");
    let usual = LaunchSpec::default();
    // By chance: nothing of what is started is another one.
    let crashes =
        LaunchSpec { environment: vec![sandbox::secret("CRASHES", "1".to_owned().into())], ..LaunchSpec::default() };
    let unlucky = server(&bench, "unlucky", &methods).await;
    let old = server(&bench, "really-old", &methods).await;
    let era = async |sandbox: &Sandbox, server: &InstalledServer, spec: &LaunchSpec| {
        sandbox.inspect(&warrant(), server, spec).await.unwrap().era
    };
    for server in [&unlucky, &old] {
        assert_eq!(era(&bench.sandbox, server, &crashes).await, LEGACY);
    }
    // Until the next inspection it is spoken to in the revision of the last one.
    let session = start(&bench, &unlucky).await.unwrap();
    assert_eq!(session.era(), LEGACY);
    session.stop().await;
    let restarted = bench.restarted().await;
    assert_eq!(era(&restarted, &unlucky, &usual).await, ServerEra::Modern);
    assert_eq!(era(&restarted, &unlucky, &crashes).await, ServerEra::Modern, "that is kept");
    for _ in 0..2 {
        assert_eq!(era(&restarted, &old, &crashes).await, LEGACY);
    }
    assert_eq!(era(&restarted, &old, &usual).await, LEGACY, "three times in a row is no chance");
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn a_server_that_says_nothing_to_the_unknown_question_is_initialized_and_later_at_once() {
    let bench = bench().await;
    let server = server(&bench, "reserved", "'server/discover': () => undefined,").await;
    let session = start(&bench, &server).await.unwrap();
    assert_eq!(session.era(), LEGACY);
    // Nothing of a greeting may be cancelled.
    assert_eq!(methods_told(&session).await, ["server/discover", "initialize", "notifications/initialized"]);
    session.stop().await;
    let session = start(&bench, &server).await.unwrap();
    assert_eq!(methods_told(&session).await, ["initialize", "notifications/initialized"]);
    session.stop().await;
    // Also a gateway that was started anew knows it, from what it keeps.
    for _ in 0..3 {
        bench.sandbox.inspect(&warrant(), &server, &LaunchSpec::default()).await.unwrap();
    }
    let other = bench.restarted().await;
    other.inspect(&warrant(), &server, &LaunchSpec::default()).await.unwrap();
    let session = Session::start(&other, &warrant(), &server, &LaunchSpec::default()).await.unwrap();
    assert_eq!(methods_told(&session).await, ["initialize", "notifications/initialized"]);
    session.stop().await;
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn a_server_that_is_stuck_after_the_unknown_question_is_started_again() {
    let bench = bench().await;
    let server = server(&bench, "stuck", "'server/discover': () => { for (;;); },").await;
    let session = start(&bench, &server).await.unwrap();
    assert_eq!(methods_told(&session).await, ["initialize", "notifications/initialized"]);
    assert_eq!(containers(&bench.sandbox), [session.container()]);
    session.stop().await;
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn a_server_that_is_slow_to_start_is_still_spoken_to_in_its_newest_revision() {
    let bench = bench().await;
    for (name, more) in [("slow-dual", ""), ("slow-modern", NO_HANDSHAKE)] {
        let text = server_text(&format!("{DISCOVER}{more}"));
        let text = text.replace("createInterface({", "await sleep(9500);\ncreateInterface({");
        let server = program(&bench.sandbox, name, &text).await;
        let session = start(&bench, &server).await.unwrap();
        assert_eq!(session.era(), ServerEra::Modern, "{name}");
        session.stop().await;
        // From then on it is given the time that it needs.
        let session = start(&bench, &server).await.unwrap();
        assert_eq!(methods_told(&session).await, ["server/discover"], "{name}");
        session.stop().await;
    }
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_and_leaves_no_container() {
    let bench = bench().await;
    let server = program(&bench.sandbox, "mute", "process.stdin.resume();").await;
    let instance = bench.sandbox.start(&warrant(), &server, &LaunchSpec::default()).await.unwrap();
    let error = Session::open_within(instance, Duration::from_secs(3)).await.unwrap_err();
    assert!(matches!(error, SessionError::Instance(InstanceError::Hung { .. })), "{error}");
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn a_server_that_refuses_both_greetings_is_told_with_its_own_words() {
    let bench = bench().await;
    let error = start(&bench, &server(&bench, "rude", NO_HANDSHAKE).await).await.unwrap_err();
    assert!(
        matches!(&error, SessionError::Handshake(why) if why.contains("refused initialize") && why.contains("no handshake here")),
        "{error}"
    );
    none_left(&bench.sandbox).await;
}
