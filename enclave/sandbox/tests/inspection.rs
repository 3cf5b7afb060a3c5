//! What a server offers is asked once for its image, page by page, and kept as the server said it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;

use common::{Bench, bench, containers, none_left, program, server_text, warrant};
use sandbox::{Inspection, InstalledServer, LaunchSpec, ServerEra, SessionError};
use serde_json::value::RawValue;

/// A server that declares `capabilities`, and says `tools/list` and so on as `methods` (JavaScript object members) have it.
async fn server(bench: &Bench, name: &str, capabilities: &str, methods: &str) -> InstalledServer {
    let greeting = format!(
        "initialize: () => ({{ protocolVersion: '2025-06-18', capabilities: {capabilities}, instructions: 'i' }}),"
    );
    program(&bench.sandbox, name, &server_text(&format!("{greeting}{methods}"))).await
}

async fn inspect(bench: &Bench, server: &InstalledServer) -> Result<Inspection, SessionError> {
    bench.sandbox.inspect(&warrant(), server, &LaunchSpec::default()).await
}

fn text(list: &Option<Box<RawValue>>) -> Option<&str> {
    list.as_deref().map(RawValue::get)
}

#[tokio::test]
async fn every_list_that_is_declared_is_asked_for_and_kept_byte_for_byte() {
    let bench = bench().await;
    let server = server(
        &bench,
        "complete",
        "{ tools: {}, prompts: { listChanged: true }, resources: {}, x: 1 }",
        r#"'tools/list': (_, id) => { process.stdout.write(`{"jsonrpc":"2.0","id":${id},"result":{"z":1.0,"tools":[{"name":"a","n":12345678901234567890123}],"_meta":{}}}\n`); },
          'prompts/list': (params) => ({ prompts: [params ?? null] }),
          'resources/list': () => ({ resources: [] }),
          'resources/templates/list': () => ({ resourceTemplates: [{ uriTemplate: 'test://{id}' }], nextCursor: null }),"#,
    )
    .await;
    assert!(bench.sandbox.kept_inspection(&server, &LaunchSpec::default()).await.unwrap().is_none());
    let found = inspect(&bench, &server).await.unwrap();
    none_left(&bench.sandbox).await;
    for offer in [&found, &inspect(&bench, &server).await.unwrap()] {
        assert_eq!(offer.era, ServerEra::Legacy { version: "2025-06-18" });
        assert_eq!(
            offer.greeting.get(),
            r#"{"protocolVersion":"2025-06-18","capabilities":{"tools":{},"prompts":{"listChanged":true},"resources":{},"x":1},"instructions":"i"}"#
        );
        assert_eq!(
            text(&offer.tools),
            Some(r#"{"z":1.0,"tools":[{"name":"a","n":12345678901234567890123}],"_meta":{}}"#)
        );
        assert_eq!(text(&offer.prompts), Some(r#"{"prompts":[null]}"#));
        assert_eq!(text(&offer.resources), Some(r#"{"resources":[]}"#));
        assert_eq!(
            text(&offer.resource_templates),
            Some(r#"{"resourceTemplates":[{"uriTemplate":"test://{id}"}],"nextCursor":null}"#)
        );
    }
    // The second time nothing was started.
    assert!(containers(&bench.sandbox).is_empty());
}

#[tokio::test]
async fn a_damaged_record_and_one_of_another_form_are_asked_for_anew() {
    let bench = bench().await;
    let server = server(&bench, "damaged", "{ tools: {} }", "'tools/list': () => ({ tools: [] }),").await;
    inspect(&bench, &server).await.unwrap();
    let directory = bench.state.path().join("inspections");
    let file = std::fs::read_dir(&directory).unwrap().next().unwrap().unwrap().path();
    let good = std::fs::read_to_string(&file).unwrap();
    for bad in [
        "{\"tools\":[]}".to_owned(),
        good[..good.len() / 2].to_owned(),
        String::new(),
        good.replace("2025-06-18\",\"greeting", "1999-01-01\",\"greeting"),
        good.replacen('{', "{\"unknown\":1,", 1),
    ] {
        assert_ne!(bad, good);
        std::fs::write(&file, &bad).unwrap();
        assert!(bench.sandbox.kept_inspection(&server, &LaunchSpec::default()).await.unwrap().is_none(), "{bad}");
    }
    inspect(&bench, &server).await.unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), good);
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn pages_become_one_list_with_the_other_members_of_the_first() {
    let bench = bench().await;
    let server = server(
        &bench,
        "paged",
        "{ tools: {} }",
        r#"'tools/list': (params, id) => {
            const page = Number(params?.cursor ?? 0);
            const next = page < 2 ? `,"nextCursor":"${page + 1}"` : '';
            process.stdout.write(`{"jsonrpc":"2.0","id":${id},"result":{"a\\"":${page}.0${next},"tools":[{"name":"t${page}","n":1.0}],"z":null}}\n`);
        },"#,
    )
    .await;
    let offer = inspect(&bench, &server).await.unwrap();
    assert_eq!(
        text(&offer.tools),
        Some(r#"{"a\"":0.0,"tools":[{"name":"t0","n":1.0},{"name":"t1","n":1.0},{"name":"t2","n":1.0}],"z":null}"#)
    );
    assert_eq!((text(&offer.prompts), text(&offer.resources), text(&offer.resource_templates)), (None, None, None));
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn what_is_not_declared_is_not_asked_for_and_templates_may_be_unknown() {
    let bench = bench().await;
    let crash = "'tools/list': () => process.exit(1), 'prompts/list': () => process.exit(1), 'resources/list': () => process.exit(1),";
    let offer = inspect(&bench, &server(&bench, "empty", "{}", crash).await).await.unwrap();
    assert!(offer.tools.is_none() && offer.prompts.is_none() && offer.resources.is_none());
    let lists = "'resources/list': () => ({ resources: [1] }),";
    let offer = inspect(&bench, &server(&bench, "no-templates", "{ resources: {} }", lists).await).await.unwrap();
    assert_eq!((text(&offer.resources), text(&offer.resource_templates)), (Some(r#"{"resources":[1]}"#), None));
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn lists_that_never_end_are_too_long_or_are_none_are_refused_with_the_reason() {
    let bench = bench().await;
    for (name, list, reason) in [
        ("refused", "throw 'not today'", "refused tools/list"),
        ("shapeless", "({ nothing: 1 })", "there is no member \"tools\""),
        ("no-array", "({ tools: {} })", "invalid type"),
        ("no-object", "7", "an object"),
        ("circular", "({ tools: [], nextCursor: 'again' })", "names a page before it"),
        (
            "endless",
            "({ tools: [], nextCursor: String(globalThis.page = (globalThis.page ?? 0) + 1) })",
            "more than 100 pages",
        ),
        (
            "fat",
            "({ tools: ['x'.repeat(3 << 20)], nextCursor: String(globalThis.page = (globalThis.page ?? 0) + 1) })",
            "its pages are more than",
        ),
    ] {
        let methods =
            format!("'tools/list': () => {{ {} {list}; }},", if list.starts_with("throw") { "" } else { "return" });
        let error = inspect(&bench, &server(&bench, name, "{ tools: {} }", &methods).await).await.unwrap_err();
        assert!(matches!(&error, SessionError::Handshake(why) if why.contains(reason)), "{name}: {error}");
    }
    let error = inspect(&bench, &server(&bench, "boasting", "{ tools: {} }", "").await).await.unwrap_err();
    assert!(error.to_string().contains("yet does not know it"), "{error}");
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn a_hundred_pages_are_taken_and_every_one_of_a_modern_server_is_asked_for_with_its_meta() {
    let bench = bench().await;
    let text_of = server_text(
        r#"'server/discover': () => ({ supportedVersions: ['2026-07-28'], capabilities: { tools: {} } }),
          'tools/list': (params) => {
            if (params._meta['io.modelcontextprotocol/protocolVersion'] !== '2026-07-28') throw 'no meta';
            const page = Number(params.cursor ?? 0);
            return { resultType: 'complete', tools: [page], ...(page < 99 && { nextCursor: String(page + 1) }), ttlMs: 5 };
          },"#,
    );
    let server = program(&bench.sandbox, "hundred", &text_of).await;
    let offer = inspect(&bench, &server).await.unwrap();
    assert_eq!(offer.era, ServerEra::Modern);
    let numbers: Vec<String> = (0..100).map(|page: u32| page.to_string()).collect();
    let wanted = format!(r#"{{"resultType":"complete","tools":[{}],"ttlMs":5}}"#, numbers.join(","));
    assert_eq!(text(&offer.tools), Some(wanted.as_str()));
    none_left(&bench.sandbox).await;
}
