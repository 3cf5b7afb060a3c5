//! A container seen from inside and from the engine: nothing of the list in src/container.rs may silently go missing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::time::Duration;

use common::{bench, bench_with, containers, docker, none_left, program, server_text, warrant};
use sandbox::{Answer, LaunchSpec, Limits, Runtime, SandboxError, Session, Zeroizing, secret};
use serde_json::{Value, value::RawValue};

const LIMIT: Duration = Duration::from_secs(30);

async fn ask(session: &Session, method: &str) -> Value {
    match session.request(method, Some(RawValue::NULL), LIMIT).await.unwrap() {
        Answer::Result(result) => serde_json::from_str(result.get()).unwrap(),
        Answer::Error(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_container_offers_its_server_nothing_to_break_out_with() {
    let bench = bench().await;
    let text = server_text(
        r#"look: () => {
    const attempt = (act) => { try { act(); return 'done'; } catch (error) { return error.code ?? String(error); } };
    const status = Object.fromEntries(fs.readFileSync('/proc/self/status', 'utf8').split('\n').map((l) => l.split(':\t')));
    fs.copyFileSync('/usr/lib/sealgate/bridge', '/tmp/tool'); fs.chmodSync('/tmp/tool', 0o755);
    return {
      write: ['/x', '/app/x', '/etc/passwd', '/usr/x', '/proc/sys/kernel/core_pattern', '/sys/x', '/app/index.mjs'].map((path) => attempt(() => fs.writeFileSync(path, 'x'))),
      tmp: attempt(() => fs.writeFileSync('/tmp/x', 'x')),
      data: attempt(() => fs.writeFileSync('/data/x', 'x')),
      full: attempt(() => fs.writeFileSync('/tmp/big', Buffer.alloc(80 << 20))),
      exec: spawnSync('/tmp/tool').error?.code ?? 'ran',
      shell: spawnSync('/bin/sh', ['-c', 'true']).error?.code ?? 'ran',
      ids: [process.getuid(), process.getgid(), process.getgroups()],
      status, interfaces: Object.keys(os.networkInterfaces()), host: os.hostname(),
      net: fs.readFileSync('/proc/net/dev', 'utf8').split('\n').slice(2).map((l) => l.split(':')[0].trim()).filter(Boolean),
      core: fs.existsSync('/proc/self/limits') ? fs.readFileSync('/proc/self/limits', 'utf8').split('\n').find((l) => l.startsWith('Max core')).split(/\s+/).slice(4, 6) : null,
      // Both of its processes.
      bridge: [1, process.ppid].flatMap((pid) => ['environ', 'cmdline'].map((file) => { try { return fs.readFileSync(`/proc/${pid}/${file}`, 'utf8'); } catch (error) { return error.code; } })).join(),
      bridgeMemory: [1, process.ppid].map((pid) => attempt(() => fs.openSync(`/proc/${pid}/mem`))),
      environment: process.env, pids: fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name)).length,
      mounts: fs.readFileSync('/proc/mounts', 'utf8').split('\n').filter((l) => / (\/|\/tmp|\/data) /.test(l)),
      socket: attempt(() => fs.statSync('/var/run/docker.sock')),
    };
  },"#,
    );
    let server = program(&bench.sandbox, "look", &text).await;
    let spec = LaunchSpec {
        environment: vec![secret("TOKEN", Zeroizing::new("swordfish-7".into()))],
        writable: vec!["/data".into()],
        ..LaunchSpec::default()
    };
    let session = Session::open(bench.sandbox.start(&warrant(), &server, &spec).await.unwrap()).await.unwrap();
    let seen = ask(&session, "look").await;
    let inspected = docker(&["inspect", session.container()]);
    session.stop().await;

    let status = &seen["status"];
    for capabilities in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        if capabilities == "CapAmb" && common::runtime() == Runtime::Runsc {
            continue; // gVisor has no ambient capabilities.
        }
        assert_eq!(status[capabilities], "0000000000000000", "{capabilities}");
    }
    // gVisor does not have these: its kernel is the filter, and it writes no core.
    if common::runtime() == Runtime::Runc {
        assert_eq!(status["NoNewPrivs"], "1");
        assert_eq!(status["Seccomp"], "2");
        assert_eq!(seen["core"], serde_json::json!(["0", "0"]));
        let shown = seen["bridge"].as_str().unwrap();
        assert!(shown.starts_with("EACCES,") && shown.contains("bridge\0,EACCES,"), "{shown:?}");
    }
    assert_eq!(seen["ids"], serde_json::json!([10001, 10001, [10001]]));
    for refusal in seen["write"].as_array().unwrap() {
        assert!(["EROFS", "EACCES", "ENOENT"].contains(&refusal.as_str().unwrap()), "{}", seen["write"]);
    }
    assert_eq!((&seen["tmp"], &seen["data"], &seen["full"]), (&"done".into(), &"done".into(), &"ENOSPC".into()));
    assert_eq!(
        (&seen["exec"], &seen["shell"]),
        (&"EACCES".into(), &"ENOENT".into()),
        "a program ran from /tmp, or a shell"
    );
    assert_eq!(seen["net"], serde_json::json!(["lo"]));
    assert_eq!(seen["host"], "server");
    assert_eq!(seen["bridgeMemory"], serde_json::json!(["EACCES", "EACCES"]), "the bridge can be read");
    assert!(!seen["bridge"].as_str().unwrap().contains("swordfish-7"), "the bridge shows the secret");
    assert_eq!(seen["pids"], 3, "both processes of the bridge and the server, and no process of the host");
    assert_ne!(seen["socket"], "done");
    assert_eq!(seen["environment"]["TOKEN"], "swordfish-7");
    assert!(seen["environment"].get("HOSTNAME").is_none(), "{}", seen["environment"]);
    for mount in seen["mounts"].as_array().unwrap().iter().map(|mount| mount.as_str().unwrap()) {
        let flags = mount.split(' ').nth(3).unwrap();
        let wanted: &[&str] = match (mount.split(' ').nth(1), common::runtime()) {
            (Some("/"), _) => &["ro"],
            (_, Runtime::Runc) => &["noexec", "nosuid", "nodev"],
            // gVisor lists no other flags; set-user-id means nothing without privileges to gain.
            (_, Runtime::Runsc) => &["noexec"],
        };
        assert!(wanted.iter().all(|flag| flags.split(',').any(|found| found == *flag)), "{mount}");
    }
    assert_eq!(seen["mounts"].as_array().unwrap().len(), 3);

    assert!(!inspected.contains("swordfish-7") && !inspected.contains("TOKEN"), "the engine knows the secret");
    let inspected: Value = serde_json::from_str(&inspected).unwrap();
    let host = &inspected[0]["HostConfig"];
    assert_eq!(host["ReadonlyRootfs"], true);
    assert_eq!(host["CapDrop"], serde_json::json!(["ALL"]));
    assert_eq!(host["SecurityOpt"], serde_json::json!(["no-new-privileges"]));
    assert_eq!(host["NetworkMode"], "none");
    assert_eq!(host["Runtime"], common::runtime().name());
    assert_eq!(host["PidsLimit"], if common::runtime() == Runtime::Runc { 64 } else { 256 });
    assert_eq!((&host["Memory"], &host["MemorySwap"]), (&(512 << 20).into(), &(512 << 20).into()));
    assert_eq!(host["NanoCpus"], 1_000_000_000);
    assert_eq!(host["LogConfig"]["Type"], "none");
    assert_eq!((&host["Privileged"], &host["AutoRemove"], &host["Init"]), (&false.into(), &true.into(), &false.into()));
    assert_eq!((&host["Binds"], &host["Devices"]), (&Value::Null, &Value::Null));
    assert_eq!(inspected[0]["Mounts"], serde_json::json!([]));
    assert_eq!(inspected[0]["Config"]["User"], "10001:10001");
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn a_fork_bomb_and_a_memory_hog_stay_within_their_limits() {
    let limits = Limits { processes: 24, memory: 128 << 20, ..Limits::default() };
    let bench = bench_with(limits).await;
    let text = server_text(
        r#"fork: async () => {
    let refused = 0, started = 0;
    for (let i = 0; i < 40; i++) {
      const child = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 20000)'], { stdio: 'ignore' });
      await new Promise((done) => { child.on('error', () => { refused++; done(); }); child.on('spawn', () => { started++; done(); }); });
    }
    return { refused, started };
  },
  hog: () => { const all = []; for (;;) all.push(Buffer.alloc(8 << 20, 1)); },"#,
    );
    let server = program(&bench.sandbox, "bomb", &text).await;
    let spec = LaunchSpec::default();
    let session = Session::open(bench.sandbox.start(&warrant(), &server, &spec).await.unwrap()).await.unwrap();
    match session.request("fork", None, LIMIT).await {
        Ok(Answer::Result(forked)) => {
            let forked: Value = serde_json::from_str(forked.get()).unwrap();
            assert!(forked["refused"].as_u64().unwrap() >= 20, "{forked}");
        }
        Ok(Answer::Error(error)) => panic!("{error}"),
        // gVisor's kernel itself dies at the limit, and all within it.
        Err(error) => assert_eq!(common::runtime(), Runtime::Runsc, "{error}"),
    }
    session.stop().await;

    let session = Session::open(bench.sandbox.start(&warrant(), &server, &spec).await.unwrap()).await.unwrap();
    let error = session.request("hog", None, LIMIT).await.unwrap_err();
    assert!(error.to_string().contains("exit code 137"), "{error}");
    assert!(error.fix().contains("memory limit"), "{}", error.fix());
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn a_secret_is_nowhere_but_in_the_server() {
    let bench = bench().await;
    let value = "pa$$ \"quoted\" swordfish-9";
    let text = format!(
        "{}\nprocess.stderr.write('token is ' + process.env.TOKEN.slice(0, 5)); setTimeout(() => process.stderr.write(process.env.TOKEN.slice(5) + '\\n' + JSON.stringify(process.env.TOKEN) + '\\n'), 50);",
        server_text(
            "die: async () => { await sleep(100); console.log('no JSON: ' + process.env.TOKEN); process.exit(9); },"
        )
    );
    let server = program(&bench.sandbox, "leaky", &text).await;
    let spec = LaunchSpec { environment: vec![secret("TOKEN", Zeroizing::new(value.into()))], ..LaunchSpec::default() };
    assert!(!format!("{spec:?}").contains("swordfish"));
    let mut instance = bench.sandbox.start(&warrant(), &server, &spec).await.unwrap();
    let inspected = docker(&["inspect", instance.id()]);
    assert!(!inspected.contains("swordfish"));
    instance.send(br#"{"id":1,"method":"die"}"#).await.unwrap();
    let garbage = instance.receive_within(LIMIT).await.unwrap_err();
    assert_eq!(
        garbage.to_string(),
        "the server printed a line that is no JSON on stdout: \"no JSON: [redacted:TOKEN]\""
    );
    let died = instance.receive_within(LIMIT).await.unwrap_err();
    assert_eq!(
        died.to_string(),
        "the server ended (exit code 9); its stderr ends: token is [redacted:TOKEN]\n\"[redacted:TOKEN]\""
    );
}

#[tokio::test]
async fn a_server_that_refuses_its_greeting_does_not_get_a_secret_into_the_error() {
    let bench = bench().await;
    let text = server_text("initialize: () => { throw new Error('bad token ' + process.env.TOKEN); },");
    let server = program(&bench.sandbox, "refusing", &text).await;
    let spec = LaunchSpec {
        environment: vec![secret("TOKEN", Zeroizing::new("swordfish-8".into()))],
        ..LaunchSpec::default()
    };
    let error = Session::open(bench.sandbox.start(&warrant(), &server, &spec).await.unwrap()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"handshake: the server refused initialize: {"code":-32000,"message":"Error: bad token [redacted:TOKEN]"}"#
    );
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn nothing_starts_with_a_warrant_for_another_server() {
    let bench = bench().await;
    let server = program(&bench.sandbox, "plain", &server_text("")).await;
    let other = gate::Warrant::for_inspection("0193e3a2-6b5c-5f7d-9c1e-2a4b6c8d0e20".parse().unwrap());
    let error = bench.sandbox.start(&other, &server, &LaunchSpec::default()).await.err().unwrap();
    assert!(matches!(error, SandboxError::WarrantForOther { .. }), "{error}");
    assert_eq!(containers(&bench.sandbox), Vec::<String>::new());
}
