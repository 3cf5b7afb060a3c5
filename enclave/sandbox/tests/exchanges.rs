//! What a server says while it works on a request: progress, log messages, questions, and whatever it must not say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::{sync::Arc, time::Duration};

use common::{Bench, bench, none_left, program, server_text, warrant};
use sandbox::{
    Answer, Event, Exchange, InstanceError, LaunchSpec, Notice, Pool, PoolConfig, Question, Session, SessionError,
    Unasked,
};
use serde_json::{Value, json, value::RawValue};
use tokio::sync::broadcast::error::RecvError;

const LIMIT: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(700);

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

async fn started(name: &str, methods: &str) -> (Bench, Pool, Arc<Session>) {
    let bench = bench().await;
    let server = program(&bench.sandbox, name, &server_text(methods)).await;
    let pool = Pool::new(bench.sandbox.clone(), PoolConfig::default());
    let session = pool.session(&warrant(), "alice", &server, &LaunchSpec::default()).await.unwrap();
    (bench, pool, session)
}

async fn ended(bench: &Bench, pool: &Pool) {
    pool.stop().await;
    none_left(&bench.sandbox).await;
}

fn begin(session: &Arc<Session>, method: &str) -> Exchange {
    begin_within(session, method, LIMIT)
}

/// With the token where MCP has it.
fn begin_within(session: &Arc<Session>, method: &str, limit: Duration) -> Exchange {
    let params = |token| Some(raw(&json!({"_meta": {"progressToken": token}}).to_string()));
    session.begin(method, params, limit).unwrap()
}

/// An event in a few words.
async fn said(exchange: &mut Exchange) -> String {
    match exchange.next().await.unwrap() {
        Event::Progress(params) => format!("progress {params}"),
        Event::Message(params) => format!("message {params}"),
        Event::Question(question) => panic!("nobody was to ask: {question:?}"),
        Event::Answer(Answer::Result(result)) => format!("result {result}"),
        Event::Answer(Answer::Error(error)) => format!("error {error}"),
    }
}

async fn asked(exchange: &mut Exchange) -> Question {
    match exchange.next().await.unwrap() {
        Event::Question(question) => question,
        other => panic!("want a question: {other:?}"),
    }
}

/// Every message that the server was told, in order.
async fn heard(session: &Session) -> Vec<Value> {
    let Answer::Result(lines) = session.request("lines", None, LIMIT).await.unwrap() else { panic!() };
    let lines: Vec<String> = serde_json::from_str(lines.get()).unwrap();
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn is_cancel(message: &Value) -> bool {
    message["method"] == "notifications/cancelled"
}

#[tokio::test]
async fn events_come_in_their_order_and_unchanged_and_nothing_comes_after_the_answer() {
    let (bench, pool, session) = started(
        "orderly",
        r#"work: async (params) => {
            const token = params._meta.progressToken;
            process.stdout.write(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1.0,"x":12345678901234567890123,"progressToken":${token}}}\n`);
            tell('message', { level: 'info', data: 'half' });
            tell('progress', { progressToken: token, progress: 2 });
            tell('progress', { progressToken: String(token), progress: 3 });
            tell('progress', { progressToken: token + 1000, progress: 4 });
            tell('progress'); tell('message');
            return 'done';
        },"#,
    )
    .await;
    let mut token = 0;
    let params = |given| {
        token = given;
        Some(raw(&json!({"_meta": {"progressToken": given}}).to_string()))
    };
    let mut exchange = session.begin("work", params, LIMIT).unwrap();
    assert_eq!(
        said(&mut exchange).await,
        format!(r#"progress {{"progress":1.0,"x":12345678901234567890123,"progressToken":{token}}}"#)
    );
    assert_eq!(said(&mut exchange).await, r#"message {"level":"info","data":"half"}"#);
    assert_eq!(said(&mut exchange).await, format!(r#"progress {{"progressToken":{token},"progress":2}}"#));
    assert_eq!(said(&mut exchange).await, "result \"done\"");
    assert!(matches!(exchange.next().await, Err(SessionError::Answered)));
    drop(exchange);
    assert!(!heard(&session).await.iter().any(is_cancel), "an answered request was withdrawn");
    drop(session);
    ended(&bench, &pool).await;
}

#[tokio::test]
async fn progress_goes_to_its_request_and_log_messages_to_the_one_begun_last_that_is_open() {
    let (bench, pool, session) = started(
        "parallel",
        r#"wait: async (params) => { while (!globalThis.go) await sleep(5); tell('progress', { progressToken: params._meta.progressToken, progress: 1 }); return 'waited'; },
          chat: () => { tell('message', { data: 'to the newest' }); return 'said'; },
          go: () => { tell('message', { data: 'to the one left' }); globalThis.go = true; return 1; },"#,
    )
    .await;
    let (mut first, mut second) = (begin(&session, "wait"), begin(&session, "chat"));
    assert_eq!(said(&mut second).await, r#"message {"data":"to the newest"}"#);
    assert_eq!(said(&mut second).await, "result \"said\"");
    // A plain request takes no events, though it is the newest.
    session.request("go", None, LIMIT).await.unwrap();
    assert_eq!(said(&mut first).await, r#"message {"data":"to the one left"}"#);
    assert!(said(&mut first).await.starts_with("progress"));
    assert_eq!(said(&mut first).await, "result \"waited\"");
    drop((first, second, session));
    ended(&bench, &pool).await;
}

#[tokio::test]
async fn questions_are_answered_under_the_servers_own_ids_and_answers_arrive_as_they_were_given() {
    let (bench, pool, session) = started(
        "curious",
        r#"interview: async () => [await ask('elicitation/create', { message: 'who?', n: 1.0 }, 'a"b\n'), await ask('roots/list', undefined, -7), await ask('sampling/createMessage', {}, 0)],"#,
    )
    .await;
    let mut exchange = begin(&session, "interview");
    let question = asked(&mut exchange).await;
    assert_eq!(question.method(), "elicitation/create");
    assert_eq!(question.params().unwrap().get(), r#"{"message":"who?","n":1}"#);
    question.answer(Ok(raw("{\n\"action\":\"accept\",\"content\":{\"age\":1.0}}"))).unwrap();
    let question = asked(&mut exchange).await;
    assert_eq!((question.method(), question.params().map(RawValue::get)), ("roots/list", None));
    question.answer(Err(raw(r#"{"code":-1,"message":"no"}"#))).unwrap();
    let question = asked(&mut exchange).await;
    drop(question);
    let Event::Answer(Answer::Result(answers)) = exchange.next().await.unwrap() else { panic!() };
    let answers: Vec<String> = serde_json::from_str(answers.get()).unwrap();
    assert_eq!(
        answers,
        [
            r#"{"jsonrpc":"2.0","id":"a\"b\n","result":{ "action":"accept","content":{"age":1.0}}}"#,
            r#"{"jsonrpc":"2.0","id":-7,"error":{"code":-1,"message":"no"}}"#,
            r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32603,"message":"nobody is there to answer"}}"#,
        ]
    );
    drop((exchange, session));
    ended(&bench, &pool).await;
}

#[tokio::test]
async fn questions_go_to_the_exchange_begun_last_and_to_no_plain_request() {
    let (bench, pool, session) = started(
        "routed",
        r#"hold: async () => { while (!globalThis.go) await sleep(5); return 'held'; },
          go: () => { globalThis.go = true; return 1; },
          ask: async () => JSON.parse(await ask('roots/list', {}, Math.random())),"#,
    )
    .await;
    // Nobody but a plain request is there.
    let Answer::Result(refused) = session.request("ask", None, LIMIT).await.unwrap() else { panic!() };
    assert!(refused.get().contains(r#""error":{"code":-32601,"#), "{refused}");
    let (mut old, mut new) = (begin(&session, "hold"), begin(&session, "hold"));
    let asking = tokio::spawn({
        let session = session.clone();
        async move { session.request("ask", None, LIMIT).await.unwrap() }
    });
    asked(&mut new).await.answer(Ok(raw("{\"roots\":[]}"))).unwrap();
    let Answer::Result(answered) = asking.await.unwrap() else { panic!() };
    assert!(answered.get().contains(r#""result":{"roots":[]}"#), "{answered}");
    session.request("go", None, LIMIT).await.unwrap();
    assert_eq!((said(&mut old).await, said(&mut new).await), ("result \"held\"".into(), "result \"held\"".into()));
    drop((old, new, session));
    ended(&bench, &pool).await;
}

#[tokio::test]
async fn a_question_that_the_server_withdraws_is_no_longer_to_be_answered() {
    let (bench, pool, session) = started(
        "fickle",
        r#"fickle: async () => {
            for (const id of ['taken', 5]) { say({ jsonrpc: '2.0', id, method: 'elicitation/create', params: {} }); }
            while (!globalThis.go) await sleep(5);
            for (const requestId of ['taken', 5, 'unknown']) tell('cancelled', { requestId, reason: 'never mind' });
            tell('cancelled', 7);
            return 'done';
        }, go: () => { globalThis.go = true; return 1; },"#,
    )
    .await;
    let mut exchange = begin(&session, "fickle");
    let mut question = asked(&mut exchange).await;
    session.request("go", None, LIMIT).await.unwrap();
    question.withdrawn().await;
    question.withdrawn().await;
    // What the server said before this answer has been read by then.
    session.request("go", None, LIMIT).await.unwrap();
    assert_eq!(question.answer(Ok(raw("{}"))), Err(Unasked));
    // The second was withdrawn before anybody had taken it.
    assert_eq!(said(&mut exchange).await, "result \"done\"");
    let answers = heard(&session).await.into_iter().filter(|line| line["id"] == "taken" || line["id"] == 5);
    assert_eq!(answers.filter(|line| line.get("method").is_none()).count(), 0);
    drop((exchange, session));
    ended(&bench, &pool).await;
}

#[tokio::test]
async fn sixteen_questions_may_wait_and_the_next_is_refused() {
    let (bench, pool, session) = started(
        "nosy",
        r#"many: async () => Promise.all(Array.from({ length: 17 }, (_, id) => ask('roots/list', {}, id))),
          long: async () => Promise.all(Array.from({ length: 3 }, (_, id) => ask('elicitation/create', { message: 'x'.repeat(4 << 20) }, 'l' + id))),"#,
    )
    .await;
    let mut refused_before = 0;
    for (method, taken, refused) in [("many", 16, 1), ("long", 1, 2)] {
        let mut exchange = begin(&session, method);
        let mut questions = Vec::new();
        for _ in 0..taken {
            questions.push(asked(&mut exchange).await);
        }
        let count = async || {
            let messages = heard(&session).await;
            let code = |message: &&Value| message["error"]["code"] == -32603;
            messages.iter().filter(code).count() - refused_before
        };
        while count().await < refused {}
        for question in questions {
            question.answer(Ok(raw("{}"))).unwrap();
        }
        let Event::Answer(Answer::Result(_)) = exchange.next().await.unwrap() else { panic!() };
        assert_eq!((method, count().await), (method, refused));
        refused_before += refused;
    }
    drop(session);
    ended(&bench, &pool).await;
}

#[tokio::test]
async fn a_flood_of_notifications_keeps_the_newest_progress_and_holds_up_nobody() {
    let (bench, pool, session) = started(
        "flooding",
        r#"flood: async (params) => {
            const progressToken = params._meta.progressToken;
            for (let progress = 1; progress <= 10000; progress++) {
                tell('message', { data: 'm' + progress }); tell('progress', { progressToken, progress });
                if (progress % 1000 === 0) await sleep(0);
            }
            globalThis.flooded = true;
            return 'dry again';
        },
        other: async () => { while (!globalThis.flooded) await sleep(5); return 'served'; },"#,
    )
    .await;
    let mut exchange = begin(&session, "flood");
    // Nobody takes the events, yet the answer to another request passes.
    let other = session.request("other", None, LIMIT).await.unwrap();
    assert!(matches!(other, Answer::Result(result) if result.get() == "\"served\""));
    let mut events = Vec::new();
    while !events.last().is_some_and(|event: &String| event.starts_with("result")) {
        events.push(said(&mut exchange).await);
    }
    assert!(events.len() <= 256 + 1, "{} events were kept", events.len());
    assert!(events[events.len() - 2].contains("\"progress\":10000"), "{:?}", events[events.len() - 2]);
    assert!(events[0].contains("\"m1\""), "{:?}", events[0]);
    drop((exchange, session));
    ended(&bench, &pool).await;
}

#[tokio::test]
async fn a_server_that_talks_and_never_answers_is_given_up_as_well() {
    let (bench, pool, session) = started(
        "talking",
        r#"talk: async (params) => { for (let progress = 1; ; progress++) { await sleep(20); tell('progress', { progressToken: params._meta.progressToken, progress }); } },"#,
    )
    .await;
    let limit = Duration::from_millis(200);
    let mut exchange = begin_within(&session, "talk", limit);
    let error = loop {
        match exchange.next().await {
            Ok(Event::Progress(_)) => {}
            other => break other.unwrap_err(),
        }
    };
    let hung = matches!(error, SessionError::Instance(InstanceError::Hung { waited, .. }) if waited == limit * 10);
    assert!(hung, "{error}");
    drop((exchange, session));
    ended(&bench, &pool).await;
}

#[tokio::test]
async fn silence_ends_a_request_but_what_the_server_says_and_asks_gives_it_time() {
    let (bench, pool, session) = started(
        "slow",
        r#"talk: async (params) => { for (let progress = 1; progress <= 5; progress++) { await sleep(300); tell('progress', { progressToken: params._meta.progressToken, progress }); } return 'talked'; },
          ask: async () => { await ask('elicitation/create', {}, 'q'); await sleep(60000); },"#,
    )
    .await;
    let mut exchange = begin_within(&session, "talk", SHORT);
    for _ in 0..5 {
        assert!(said(&mut exchange).await.starts_with("progress"));
    }
    assert_eq!(said(&mut exchange).await, "result \"talked\"");

    let mut exchange = begin_within(&session, "ask", SHORT);
    let question = asked(&mut exchange).await;
    // While it waits for us, no time passes.
    assert!(tokio::time::timeout(SHORT * 3, exchange.next()).await.is_err());
    question.answer(Ok(raw("{}"))).unwrap();
    let error = exchange.next().await.unwrap_err();
    assert!(matches!(error, SessionError::Instance(InstanceError::Hung { waited, .. }) if waited == SHORT), "{error}");
    assert!(matches!(exchange.next().await, Err(SessionError::Answered)));
    // It was withdrawn, once.
    drop(exchange);
    assert_eq!(heard(&session).await.iter().filter(|message| is_cancel(message)).count(), 1);
    assert!(session.is_alive().await);
    drop(session);
    ended(&bench, &pool).await;
}

#[tokio::test]
async fn a_dropped_exchange_is_cancelled_its_questions_are_refused_and_late_and_second_answers_reach_nobody() {
    let (bench, pool, session) = started(
        "late",
        r#"late: async (_, id) => { globalThis.late = id; globalThis.reply = await ask('roots/list', {}, 'pending'); },
          twice: (_, id) => { say({ jsonrpc: '2.0', id: globalThis.late, result: 'late' }); say({ jsonrpc: '2.0', id: 4711, result: 'nobody asked' }); say({ jsonrpc: '2.0', id: String(id), result: 'as text' });
            say({ jsonrpc: '2.0', id, result: 'first' }); say({ jsonrpc: '2.0', id, result: 'second' }); say({ jsonrpc: '2.0', id, error: { code: 1 } }); },
          reply: async () => { while (!globalThis.reply) await sleep(5); return globalThis.reply; },"#,
    )
    .await;
    let exchange = begin(&session, "late");
    // Its question waits untaken.
    while heard(&session).await.iter().all(|message| message["method"] != "late") {}
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(exchange);
    let Answer::Result(reply) = session.request("reply", None, LIMIT).await.unwrap() else { panic!() };
    assert!(reply.get().contains("nobody is there to answer"), "{reply}");
    let messages = heard(&session).await;
    let id = messages.iter().find(|message| message["method"] == "late").unwrap()["id"].clone();
    let cancels: Vec<_> = messages.iter().filter(|message| is_cancel(message)).collect();
    assert_eq!((cancels.len(), &cancels[0]["params"]["requestId"]), (1, &id));
    let mut exchange = begin(&session, "twice");
    assert_eq!(said(&mut exchange).await, "result \"first\"");
    assert!(matches!(exchange.next().await, Err(SessionError::Answered)));
    let mut exchange = begin(&session, "twice");
    heard(&session).await; // The second answer is there by now.
    assert_eq!(said(&mut exchange).await, "result \"first\"");
    drop((exchange, session));
    ended(&bench, &pool).await;
}

#[tokio::test]
async fn a_server_that_dies_between_its_question_and_the_answer_is_told_to_both() {
    let (bench, pool, session) = started(
        "mortal",
        r#"mortal: () => { say({ jsonrpc: '2.0', id: 'q', method: 'roots/list' }); while (!globalThis.go) return; },
          die: () => process.exit(4),"#,
    )
    .await;
    let mut exchange = begin(&session, "mortal");
    let mut question = asked(&mut exchange).await;
    let _ = session.request("die", None, LIMIT).await.unwrap_err();
    question.withdrawn().await;
    assert_eq!(question.answer(Ok(raw("{}"))), Err(Unasked));
    let error = exchange.next().await.unwrap_err();
    assert!(matches!(error, SessionError::Instance(InstanceError::Died { code: Some(4), .. })), "{error}");
    assert!(matches!(session.begin("x", |_| None, LIMIT), Err(SessionError::NotSent(_))));
    drop((exchange, session));
    ended(&bench, &pool).await;
}

#[tokio::test]
async fn five_megabytes_on_one_line_arrive_unchanged_also_where_frames_cut_letters() {
    // Letters of two, three and four bytes: frames of 16 KiB cut all of them somewhere.
    let (bench, pool, session) = started(
        "lengthy",
        r#"lengthy: (_, id) => { process.stdout.write(`{"jsonrpc":"2.0","id":${id},"result":{"b":1.0,"a":"` + 'é€😀.'.repeat(500000) + '"}}\n'); },
          pieces: async (_, id) => { for (const byte of Buffer.from(`{"jsonrpc":"2.0","id":${id},"result":"é€😀"}\n`)) { process.stdout.write(Buffer.from([byte])); await sleep(1); } },"#,
    )
    .await;
    let mut exchange = begin(&session, "lengthy");
    let Event::Answer(Answer::Result(result)) = exchange.next().await.unwrap() else { panic!() };
    let wanted = format!(r#"{{"b":1.0,"a":"{}"}}"#, "é€😀.".repeat(500_000));
    assert!(wanted.len() > 5_000_000 && result.get() == wanted);
    let mut exchange = begin(&session, "pieces");
    assert_eq!(said(&mut exchange).await, "result \"é€😀\"");
    drop((exchange, session));
    ended(&bench, &pool).await;
}

#[tokio::test]
async fn notices_reach_all_who_listen_and_who_listens_too_slowly_is_told() {
    let (bench, pool, session) = started(
        "talkative",
        r#"change: () => {
            for (const kind of ['tools/list_changed', 'prompts/list_changed', 'resources/list_changed']) tell(kind);
            tell('resources/updated', { uri: 'test://x', n: 1 });
            tell('resources/updated', { uri: 'x'.repeat(65536) });
            tell('message', { data: 'for the exchange' }); tell('progress', { progressToken: 1 });
            tell('cancelled', { requestId: 1 });
            return 1;
        },
        flood: () => { for (let n = 0; n < 100; n++) tell('resources/updated', { uri: 'test://' + n }); return 1; },"#,
    )
    .await;
    let (mut one, mut other) = (session.notices(), session.notices());
    session.request("change", None, LIMIT).await.unwrap();
    let text = |notice: Notice| format!("{} {}", notice.method, notice.params.map_or("-".into(), |p| p.to_string()));
    for listener in [&mut one, &mut other] {
        for wanted in [
            "notifications/tools/list_changed -",
            "notifications/prompts/list_changed -",
            "notifications/resources/list_changed -",
            r#"notifications/resources/updated {"uri":"test://x","n":1}"#,
        ] {
            assert_eq!(text(listener.recv().await.unwrap()), wanted);
        }
        assert!(listener.is_empty());
    }
    session.request("flood", None, LIMIT).await.unwrap();
    assert!(matches!(one.recv().await, Err(RecvError::Lagged(36))));
    assert!(text(one.recv().await.unwrap()).contains("test://36"));
    let server_ended = async |mut listener: tokio::sync::broadcast::Receiver<Notice>| {
        while !matches!(listener.recv().await, Err(RecvError::Closed)) {}
    };
    ended(&bench, &pool).await;
    server_ended(one).await;
    server_ended(session.notices()).await;
    drop((other, session));
}

#[tokio::test]
async fn batches_banners_and_logs_in_json_do_not_disturb_a_conversation() {
    let (bench, pool, session) = started(
        "noisy",
        r#"noisy: async (params, id) => {
            for (let n = 0; n < 200; n++) { console.log('Banner ' + n); if (n % 50 === 0) tell('progress', { progressToken: params._meta.progressToken, progress: n }); }
            for (let n = 0; n < 200; n++) say({ level: 30, msg: 'listening', id: n + '' });
            say([{ jsonrpc: '2.0', method: 'notifications/message', params: { data: 'in a batch' } }, { jsonrpc: '2.0', id, result: 'batched' }, 7]);
        },"#,
    )
    .await;
    let mut exchange = begin(&session, "noisy");
    let mut events = Vec::new();
    while !events.last().is_some_and(|event: &String| event.starts_with("result")) {
        events.push(said(&mut exchange).await);
    }
    assert_eq!(events[4..], [r#"message {"data":"in a batch"}"#, "result \"batched\""]);
    drop((exchange, session));
    ended(&bench, &pool).await;
}

#[tokio::test]
async fn more_requests_than_the_queue_holds_are_all_sent_and_answered() {
    let (bench, pool, session) = started("busy", "").await;
    let text = "x".repeat(20_000);
    let mut exchanges: Vec<Exchange> = (0..400)
        .map(|n| session.begin("echo", |_| Some(raw(&json!({"n": n, "text": text}).to_string())), LIMIT).unwrap())
        .collect();
    for (n, exchange) in exchanges.iter_mut().enumerate() {
        assert_eq!(said(exchange).await, format!("result {}", json!({"n": n, "text": text})));
    }
    // Whoever lets go of a request that was never sent leaves no trace of it.
    let unsent: Vec<Exchange> = (0..400).map(|_| begin(&session, "never")).collect();
    drop(unsent);
    let messages = heard(&session).await;
    let trace = messages.iter().filter(|message| message["method"] == "never" || is_cancel(message)).count();
    assert_eq!(trace, 0, "requests that nobody waits for were sent");
    drop((exchanges, session));
    ended(&bench, &pool).await;
}
