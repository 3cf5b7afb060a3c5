//! Secrets of callers: who stores them, which server gets them, how long they stay, and where they are not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use sealgate_tests::{
    Client, EVERYTHING, Gateway, Paying, Settings, Wallet, docker,
    wallet::{Terms, header, now},
};
use serde_json::{Value, json};

/// The reference server again, of no use without a key.
const NEEDY: &str = r#"
[[server]]
id = "7b8e0d62-93a1-4d55-8f0e-2d4c6a1b9e07"
name = "needy"
package = "@modelcontextprotocol/server-everything"
version = "2026.8.31"
secrets = [
    { name = "API_KEY", description = "of the service", required = true },
    { name = "TEAM" },
    { name = "REGION", required = false },
]
"#;

const NEEDY_ID: &str = "7b8e0d62-93a1-4d55-8f0e-2d4c6a1b9e07";

#[test]
fn secrets_reach_the_server_they_are_for_and_only_with_the_wallet_that_stored_them() {
    let more = format!("{EVERYTHING}{NEEDY}");
    let gateway = Gateway::with(&Settings { more, ..Settings::default() });
    let (alice, bob, nobody) = (gateway.member(), gateway.member(), gateway.anonymous());
    let id = gateway.id("everything");
    let place = format!("/api/secrets/{id}");

    // The shapes of the contract.
    let stored = alice.post(&place, &json!({"secrets": {"API_KEY": "swordfish", "REGION": "eu"}}));
    assert_eq!((stored.status, stored.json()), (200, json!({"success": true, "stored": ["API_KEY", "REGION"]})));
    let listed = alice.get(&place).json();
    let names = json!(["API_KEY", "REGION"]);
    assert_eq!(listed, json!({"serverId": id, "configuredSecrets": names, "keys": names}));
    assert_eq!(
        alice.get(&format!("{place}/status")).json(),
        json!({"serverId": id, "configured": names, "required": [], "optional": [], "missing": [], "ready": true,
            "injectionMode": "env"})
    );
    let none = bob.get(&format!("{place}/status")).json();
    assert_eq!((&none["configured"], &none["injectionMode"]), (&json!([]), &json!("none")));
    let put = |path: &str, body: &Value| alice.send("PUT", path, Some("application/json"), body.to_string().as_bytes());
    assert_eq!(put(&place, &json!({"secrets": {"REGION": "us"}})).json()["stored"], json!(["REGION"]));
    let named = put("/api/secrets", &json!({"serverId": "everything", "secrets": {"TEAM": "\u{e9}\u{1f980} \"x\"\n"}}));
    assert_eq!(named.json(), json!({"success": true, "stored": ["TEAM"]}));

    // They are in its container: hers, not his, not a stranger's.
    let seen = environment(&alice, &gateway.endpoint("everything"));
    assert_eq!(
        (&seen["API_KEY"], &seen["REGION"], &seen["TEAM"]),
        (&json!("swordfish"), &json!("us"), &json!("\u{e9}\u{1f980} \"x\"\n"))
    );
    for other in [&bob, &nobody, &gateway.caller()] {
        let seen = environment(other, &gateway.endpoint("everything"));
        assert!(seen.get("API_KEY").is_none() && !seen.to_string().contains("swordfish"), "{seen}");
        assert!(seen.get("TEAM").is_none());
    }
    assert!(
        environment(&alice.with("x-mcp-session", "session-one"), &gateway.endpoint("everything"))["API_KEY"]
            == "swordfish"
    );
    assert_eq!(bob.get(&place).json()["configuredSecrets"], json!([]));
    // On the gateway's own endpoint her server is on by itself, and his is not.
    assert!(tools(&alice).contains(&"everything__get-env".to_owned()));
    assert!(!tools(&bob).contains(&"everything__get-env".to_owned()));

    // A new value is what the next call sees.
    alice.post(&place, &json!({"secrets": {"API_KEY": "marlin"}}));
    assert_eq!(environment(&alice, &gateway.endpoint("everything"))["API_KEY"], "marlin");

    // Nobody without a wallet.
    for (method, path, body) in [
        ("GET", place.as_str(), ""),
        ("GET", &format!("{place}/status"), ""),
        ("POST", &place, r#"{"secrets":{"A":"x"}}"#),
        ("PUT", &place, r#"{"secrets":{"A":"x"}}"#),
        ("PUT", "/api/secrets", r#"{"serverId":"everything","secrets":{"A":"x"}}"#),
        ("DELETE", &place, ""),
    ] {
        let answer = nobody.send(method, path, (!body.is_empty()).then_some("application/json"), body.as_bytes());
        assert_eq!((answer.status, &answer.json()["error"]), (401, &json!("WALLET_REQUIRED")), "{method} {path}");
        assert!(answer.header("www-authenticate").is_some(), "{method} {path}");
    }
    assert_eq!(alice.get("/api/secrets/nobody").status, 404);
    // Values never leave by themselves.
    assert_eq!(alice.get(&format!("{place}/values")).status, 404);
    assert_eq!(alice.get(&format!("{place}/values/API_KEY")).status, 404);

    // Deleted: gone at once, from the container that ran with them too.
    let running = gateway.containers().len();
    let deleted = alice.send("DELETE", &place, None, b"");
    assert_eq!((deleted.status, deleted.json()), (200, json!({"success": true, "deleted": 3})));
    assert!(gateway.containers().len() < running, "what held them has ended");
    let seen = environment(&alice, &gateway.endpoint("everything"));
    assert!(seen.get("API_KEY").is_none() && seen.get("TEAM").is_none(), "{seen}");
    assert_eq!(alice.get(&place).json()["configuredSecrets"], json!([]));
    assert_eq!(alice.send("DELETE", &place, None, b"").json(), json!({"success": true, "deleted": 0}));

    limits(&alice, &gateway, &place);
}

/// Names, values and bodies at their limits and one past.
fn limits(alice: &Client, gateway: &Gateway, place: &str) {
    let post = |name: &str, value: &str| alice.post(place, &json!({"secrets": {name: value}}));
    for name in ["API-KEY", "1ST", "", "A B", "A=B", "A.B", "\u{c9}T\u{c9}", "A\n", "A\u{0}"] {
        let answer = post(name, "swordfish");
        assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("Invalid secret name")), "{name:?}");
        let said = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(said.contains(&format!("{name:?}")) && said.contains("identifier"), "{said}");
        assert!(!answer.json().to_string().contains("swordfish"));
    }
    for name in [
        "NODE_OPTIONS",
        "node_options",
        "LD_PRELOAD",
        "PATH",
        "HOME",
        "LD_LIBRARY_PATH",
        "npm_config_registry",
        "SEALGATE_X",
    ] {
        let answer = post(name, "swordfish");
        assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("Invalid secret name")), "{name}");
        let said = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(said.contains(name) && said.contains("reserved"), "{said}");
    }
    let largest = "x".repeat(32 << 10);
    assert_eq!(post(&"N".repeat(128), &largest).status, 200);
    assert_eq!(
        environment(alice, &gateway.endpoint("everything"))["N".repeat(128)],
        largest,
        "whole, in the container"
    );
    for (name, value, status) in [
        ("A", "x".repeat((32 << 10) + 1), 400),
        (&*"N".repeat(129), "x".to_owned(), 400),
        ("A", "x".repeat(1 << 20), 413),
        ("A", String::new(), 400),
        ("A", "a\u{0}b".to_owned(), 400),
    ] {
        let answer = post(name, &value);
        assert_eq!(answer.status, status, "{} bytes: {}", value.len(), answer.json());
        assert!(answer.json()["message"].as_str().unwrap().len() < 400, "no value is echoed");
    }
    assert_eq!(alice.get(place).json()["configuredSecrets"], json!(["N".repeat(128)]), "nothing of it was stored");
}

#[test]
fn a_server_that_needs_secrets_says_so_before_anything_is_paid_or_run() {
    let more = format!("{EVERYTHING}{NEEDY}");
    let paying = Paying::with("", Settings { more, ..Settings::default() });
    let (gateway, payer) = (&paying.gateway, paying.payer());
    let client = payer.login(gateway);
    let rest = format!("/api/servers/{NEEDY_ID}/tools/get-env");
    let place = format!("/api/secrets/{NEEDY_ID}");
    let status = client.get(&format!("{place}/status")).json();
    assert_eq!(
        status,
        json!({"serverId": NEEDY_ID, "configured": [], "required": ["API_KEY", "TEAM"], "optional": ["REGION"],
            "missing": ["API_KEY", "TEAM"], "ready": false, "injectionMode": "env"})
    );
    let info = client.get(&format!("/api/servers/{NEEDY_ID}")).json();
    assert!(info["secretsRequired"].to_string().contains("API_KEY"), "{info}");

    // With a payment in hand, so that it could be taken.
    let asked = client.post(&format!("/api/servers/{}/tools/get-env", gateway.id("everything")), &json!({}));
    let accepted = Paying::required(&asked)["accepts"][0].clone();
    let payment = header(&payer.pay(&accepted, &Terms::new(&paying.payee)));
    let before = (paying.balance(&payer), gateway.containers().len());
    let missing = |answer: &Value, names: &[&str]| {
        let said = answer.to_string();
        assert!(said.contains("MISSING_SECRETS") && said.contains(&format!("POST /api/secrets/{NEEDY_ID}")), "{said}");
        for name in ["API_KEY", "TEAM"] {
            assert_eq!(said.contains(name), names.contains(&name), "{name}: {said}");
        }
    };
    for client in [&client, &client.with("payment-signature", &payment), &gateway.anonymous()] {
        let refused = client.post(&rest, &json!({}));
        assert_eq!((refused.status, &refused.json()["error"]), (424, &json!("MISSING_SECRETS")), "{}", refused.json());
        missing(&refused.json(), &["API_KEY", "TEAM"]);
        let over_mcp = client.call(&format!("/mcp/server/{NEEDY_ID}"), "get-env", json!({}));
        assert_eq!(over_mcp["isError"], true, "{over_mcp}");
        missing(&over_mcp, &["API_KEY", "TEAM"]);
    }
    client.post(&place, &json!({"secrets": {"TEAM": "t"}}));
    missing(&client.post(&rest, &json!({})).json(), &["API_KEY"]);
    assert_eq!((paying.balance(&payer), gateway.containers().len()), before, "nothing was paid, nothing ran");

    client.post(&place, &json!({"secrets": {"API_KEY": "k"}}));
    assert_eq!(client.get(&format!("{place}/status")).json()["ready"], true);
    assert_eq!(client.post(&rest, &json!({})).status, 402, "now it costs something");
    let paid = client.with("payment-signature", &payment).post(&rest, &json!({}));
    assert_eq!(paid.status, 200, "{}", paid.json());
    assert!(paid.json()["content"][0]["text"].as_str().unwrap().contains("API_KEY"));
    assert_eq!(paying.balance(&payer), before.0 - 500);

    // A catalogue that asks for what nobody can store is a fault of the catalogue.
    for (name, said) in [("API-KEY", "API-KEY"), ("NODE_OPTIONS", "NODE_OPTIONS")] {
        let more = NEEDY.replace("\"API_KEY\"", &format!("{name:?}"));
        let mut gateway = Gateway::prepared(&Settings { more, ..Settings::default() });
        let refusal = gateway.refusal();
        assert!(refusal.contains(said) && refusal.contains("fix:"), "{refusal}");
    }
}

#[test]
fn secrets_outlive_a_restart_where_the_vault_has_a_directory_and_only_there() {
    let mut gateway = Gateway::start();
    let vault = gateway.directory().join("vault");
    let endpoint = gateway.endpoint("everything");
    let wallet = Wallet::new();
    let session = wallet.session(&gateway);
    let client = |gateway: &Gateway| gateway.anonymous().with("authorization", &format!("Bearer {session}"));
    let security = |gateway: &Gateway| gateway.anonymous().get("/api/attestation/security").json();
    let store = |gateway: &Gateway| {
        let stored = client(gateway).post("/api/secrets/everything", &json!({"secrets": {"API_KEY": "swordfish"}}));
        assert_eq!(stored.status, 200, "{}", stored.json());
    };
    let names = |gateway: &Gateway| client(gateway).get("/api/secrets/everything").json()["configuredSecrets"].clone();
    store(&gateway);
    assert_eq!(security(&gateway)["vault"]["persistent"], false);
    assert_eq!(security(&gateway)["keySources"]["vaultEncryptionKey"], "tpm-sealed");
    again(&mut gateway);
    assert_eq!(names(&gateway), json!([]), "in memory only");
    assert!(!vault.exists());

    gateway.environment = vec![("VAULT_PERSISTENCE_DIR".to_owned(), vault.display().to_string())];
    again(&mut gateway);
    assert_eq!(security(&gateway)["vault"]["persistent"], true);
    store(&gateway);
    again(&mut gateway);
    assert_eq!(names(&gateway), json!(["API_KEY"]));
    // The session of before the restart has its server on again without logging in anew; another wallet has not.
    assert!(tools(&client(&gateway)).contains(&"everything__get-env".to_owned()));
    assert!(!tools(&gateway.member()).contains(&"everything__get-env".to_owned()));
    assert!(tools(&wallet.login(&gateway)).contains(&"everything__get-env".to_owned()));
    assert_eq!(environment(&client(&gateway), &endpoint)["API_KEY"], "swordfish");
    let by_prefix = client(&gateway).call("/mcp", "everything__get-env", json!({}));
    assert!(by_prefix["content"][0]["text"].as_str().unwrap().contains("swordfish"));
    // What the caller switches off stays off.
    client(&gateway).call("/mcp", "gateway__disable_server", json!({"server_name": "everything"}));
    assert!(!tools(&client(&gateway)).contains(&"everything__get-env".to_owned()));

    // Power fails right after a secret was stored.
    client(&gateway).post("/api/secrets/everything", &json!({"secrets": {"SECOND": "x"}}));
    gateway.kill();
    gateway.serve().unwrap();
    assert_eq!(names(&gateway), json!(["API_KEY", "SECOND"]), "an answer means that it is on disk");

    // An altered row is refused, not skipped; the whole directory, put back, opens.
    gateway.stop();
    let backup = gateway.directory().join("backup");
    copy(&vault, &backup);
    let alter = "import sqlite3, sys; file = sqlite3.connect(sys.argv[1]); \
                 file.execute('UPDATE vault SET sealed = zeroblob(length(sealed)) WHERE length(sealed) > 0'); file.commit()";
    let altered = Command::new("python3").args(["-c", alter]).arg(vault.join("vault.db")).status();
    assert!(altered.expect("python3; fix: scripts/setup").success());
    let refusal = gateway.refusal();
    assert!(refusal.contains("store could not be opened") && refusal.contains("fix:"), "{refusal}");
    fs::remove_dir_all(&vault).unwrap();
    copy(&backup, &vault);
    gateway.serve().unwrap();
    assert_eq!(names(&gateway), json!(["API_KEY", "SECOND"]));
}

#[test]
fn a_vault_moves_to_another_gateway_with_its_secret_key_and_with_nothing_less() {
    let key = "c2VjcmV0LW9mLXRoZS1vcGVyYXRvci1mb3ItbW92aW5n";
    let with = |gateway: &mut Gateway, directory: &Path, key: Option<&str>| {
        gateway.environment = vec![("VAULT_PERSISTENCE_DIR".to_owned(), directory.display().to_string())];
        gateway.environment.extend(key.map(|key| ("GATEWAY_SECRET_KEY".to_owned(), key.to_owned())));
    };
    let security = |gateway: &Gateway| gateway.anonymous().get("/api/attestation/security").json();
    let wallet = Wallet::new();
    let names = |gateway: &Gateway| wallet.login(gateway).get("/api/secrets/everything").json();

    // Secrets from before the key was set move with it.
    let mut old = Gateway::start();
    let home = old.directory().join("vault");
    with(&mut old, &home, None);
    again(&mut old);
    wallet.login(&old).post("/api/secrets/everything", &json!({"secrets": {"API_KEY": "swordfish"}}));
    with(&mut old, &home, Some(key));
    again(&mut old);
    assert_eq!(names(&old)["configuredSecrets"], json!(["API_KEY"]));
    wallet.login(&old).post("/api/secrets/everything", &json!({"secrets": {"SECOND": "marlin"}}));
    let said = security(&old);
    assert_eq!(said["keySources"]["vaultEncryptionKey"], "env");
    assert!(said["notProven"].to_string().contains("env-master"), "{said}");
    let summary = old.anonymous().get("/api/attestation").json();
    assert!(summary["security"]["notProven"].to_string().contains("env-master"));
    old.stop();
    // Back under the sealed key alone, on the machine that it was made on.
    with(&mut old, &home, None);
    old.serve().unwrap();
    assert_eq!(names(&old)["configuredSecrets"], json!(["API_KEY", "SECOND"]));
    assert!(!security(&old)["notProven"].to_string().contains("env-master"));
    old.stop();

    // Another machine: another TPM, other keys, another lineage.
    let mut new = Gateway::start();
    new.stop();
    let moved = new.directory().join("vault");
    copy(&home, &moved);
    for (other, said) in [
        (None, "store could not be opened"),
        (Some("another-secret-of-at-least-32-bytes!"), "another GATEWAY_SECRET_KEY"),
        (Some("short"), "32 are the least"),
    ] {
        with(&mut new, &moved, other);
        let refusal = new.refusal();
        assert!(refusal.contains(said) && refusal.contains("fix:"), "{other:?}: {refusal}");
        assert!(other.is_none_or(|other| !refusal.contains(other)), "the secret is not repeated: {refusal}");
    }
    with(&mut new, &moved, Some(key));
    new.serve().unwrap_or_else(|log| panic!("{log}"));
    assert_eq!(names(&new)["configuredSecrets"], json!(["API_KEY", "SECOND"]));
    let client = wallet.login(&new);
    let seen = environment(&client, &new.endpoint("everything"));
    assert_eq!((&seen["API_KEY"], &seen["SECOND"]), (&json!("swordfish"), &json!("marlin")), "they open, and run");
    assert!(security(&new)["notProven"].to_string().contains("env-master"));
    client.post("/api/secrets/everything", &json!({"secrets": {"THIRD": "x"}}));
    again(&mut new);
    assert_eq!(names(&new)["configuredSecrets"], json!(["API_KEY", "SECOND", "THIRD"]));

    // Without a directory there is nothing to move.
    new.stop();
    new.environment = vec![("GATEWAY_SECRET_KEY".to_owned(), key.to_owned())];
    let refusal = new.refusal();
    assert!(refusal.contains("VAULT_PERSISTENCE_DIR") && refusal.contains("fix:"), "{refusal}");
    assert!(!refusal.contains(key) && !new.log().contains(key), "{refusal}");
}

#[test]
fn no_disk_log_or_answer_holds_a_secret_or_says_whose_it_is() {
    const SECRET: &str = "canary-4b1fd07c-of-the-caller";
    let vault = tempfile::TempDir::new().unwrap();
    let environment_of_gateway = vec![
        ("VAULT_PERSISTENCE_DIR".to_owned(), vault.path().display().to_string()),
        ("GATEWAY_SECRET_KEY".to_owned(), "a-secret-of-the-operator-000000000000".to_owned()),
    ];
    let mut gateway = Gateway::with(&Settings {
        more: format!("{EVERYTHING}{NEEDY}"),
        log: "debug".to_owned(),
        environment: environment_of_gateway,
        ..Settings::default()
    });
    let wallet = Wallet::new();
    let client = wallet.login(&gateway);
    let endpoint = gateway.endpoint("everything");
    client.post("/api/secrets/everything", &json!({"secrets": {"API_KEY": SECRET}}));
    // Errors are where values slip out.
    client.post("/api/secrets/everything", &json!({"secrets": {"API-KEY": SECRET}}));
    client.post("/api/secrets/everything", &json!({"secrets": {"A": [SECRET]}}));
    client.post("/api/secrets/everything", &json!({ SECRET: "x" }));
    client.send("POST", "/api/secrets/everything", Some("application/json"), format!("{{\"{SECRET}\":").as_bytes());
    client.post("/api/secrets/everything", &json!({"secrets": {"PATH": SECRET, "LONG": SECRET.repeat(2000)}}));
    gateway.anonymous().post("/api/secrets/everything", &json!({"secrets": {"API_KEY": SECRET}}));
    client.post(&format!("/api/servers/{NEEDY_ID}/tools/echo"), &json!({}));
    let called = client.rpc(&endpoint, "tools/call", json!({"name": "echo", "arguments": {"message": "a"}})).json();
    let proof = &called["result"]["_meta"]["io.sealgate/proof"];
    assert_eq!(environment(&client, &endpoint)["API_KEY"], SECRET);
    let token = wallet.session(&gateway);

    let address = wallet.address();
    let raw = hex::decode(&address[2..]).unwrap();
    let mut canaries: Vec<(&str, Vec<u8>)> = vec![
        ("the secret", SECRET.into()),
        ("the secret in base64", STANDARD.encode(SECRET).trim_end_matches('=').into()),
        ("the address", address[2..].into()),
        ("the address in lower case", address[2..].to_lowercase().into()),
        ("the address in upper case", address[2..].to_uppercase().into()),
        ("the address in base64", STANDARD.encode(&raw).trim_end_matches('=').into()),
        ("the address in base64url", URL_SAFE_NO_PAD.encode(&raw).into()),
        ("the address as bytes", raw.clone()),
        ("the token", token.rsplit('.').next().unwrap().into()),
    ];

    // What anybody may read.
    let id = proof["proof"]["id"].as_str().unwrap();
    for path in [
        &*format!("/api/proofs/{id}"),
        "/api/attestation",
        "/api/attestation/bundle",
        "/api/attestation/security",
        "/api/attestation/provenance",
        "/api/servers/everything",
        "/api/payments/config",
        "/health",
    ] {
        let answer = gateway.anonymous().get(path);
        assert_eq!(answer.status, 200, "{path}");
        for (what, canary) in &canaries {
            assert!(!contains(&answer.body, canary), "{what} in {path}");
        }
    }

    // Disks. The containers still run, so the engine's files about them are there.
    let engine = PathBuf::from(docker(&["info", "--format", "{{.DockerRootDir}}"]).trim());
    let running = gateway.containers();
    assert_eq!(running.len(), 1);
    assert!(
        found(&engine.join("containers"), &[("an id", running[0].clone().into())]).is_some(),
        "the search finds what is there"
    );
    let places = [gateway.state(), vault.path().to_owned(), engine, "/var/log".into(), "/run/docker".into()];
    for place in &places {
        assert_eq!(found(place, &canaries), None);
    }
    assert!(found(vault.path(), &[("a database", b"SQLite format 3".to_vec())]).is_some(), "there is a vault on disk");

    // Processes: the server's own environment has the secret, for that is how it gets it; nothing else has.
    canaries.retain(|(what, _)| *what != "the address as bytes");
    let inspected = docker(&["inspect", &running[0]]);
    let main: u32 = docker(&["inspect", "--format", "{{.State.Pid}}", &running[0]]).trim().parse().unwrap();
    let all = descendants(main);
    assert!(all.len() > 1, "the bridge and the server");
    let read = |process: u32, name: &str| fs::read(format!("/proc/{process}/{name}")).unwrap_or_default();
    let holders: Vec<u32> = all.iter().copied().filter(|p| contains(&read(*p, "environ"), SECRET.as_bytes())).collect();
    assert!(!holders.is_empty(), "the search sees what is there");
    assert!(!holders.contains(&main), "the bridge got them as a message, not as its environment");
    for (what, canary) in &canaries {
        assert!(!contains(inspected.as_bytes(), canary), "{what} in the container's configuration");
        for process in all.iter().copied().chain([gateway.process()]) {
            assert!(!contains(&read(process, "cmdline"), canary), "{what} in a command line");
            assert!(holders.contains(&process) || !contains(&read(process, "environ"), canary), "{what} in {process}");
            assert!(*what == "the secret" || !contains(&read(process, "environ"), canary), "{what} in {process}");
        }
    }

    gateway.stop();
    let log = gateway.log();
    assert!(log.contains("DEBUG"), "the log was as talkative as it can be asked to be");
    for (what, canary) in &canaries {
        assert!(!contains(log.as_bytes(), canary), "{what} in the log");
    }
    assert!(!log.contains("a-secret-of-the-operator"), "the operator's secret in the log");
    canaries.push(("the operator's secret", "a-secret-of-the-operator".into()));
    for place in &places[..2] {
        assert_eq!(found(place, &canaries), None, "after the end");
    }
}

/// What the reference server's tool says of its environment.
fn environment(client: &Client, endpoint: &str) -> Value {
    let answer = client.call(endpoint, "get-env", json!({}));
    assert_eq!(answer["isError"], false, "{answer}");
    serde_json::from_str(answer["content"][0]["text"].as_str().unwrap()).unwrap()
}

fn tools(client: &Client) -> Vec<String> {
    let tools = client.rpc("/mcp", "tools/list", json!({})).json()["result"]["tools"].clone();
    tools.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

fn again(gateway: &mut Gateway) {
    gateway.stop();
    gateway.serve().unwrap_or_else(|log| panic!("{log}"));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A process and all that descend from it.
fn descendants(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut at = 0;
    while let Some(process) = found.get(at).copied() {
        at += 1;
        let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
        for task in tasks {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
    }
    found
}

/// Which of the canaries is in a file below a folder, and in which. Files that nobody has touched in the last minutes,
/// layers of images for the most part, are older than the canaries.
fn found(place: &Path, canaries: &[(&str, Vec<u8>)]) -> Option<String> {
    let recent = i64::try_from(now()).unwrap() - 600;
    for entry in fs::read_dir(place).ok()?.flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        let said = if kind.is_dir() {
            found(&entry.path(), canaries)
        } else if kind.is_file() && entry.metadata().is_ok_and(|known| known.ctime() > recent) {
            let text = fs::read(entry.path()).unwrap_or_default();
            let canary = canaries.iter().find(|(_, canary)| contains(&text, canary));
            canary.map(|(what, _)| format!("{what} in {}", entry.path().display()))
        } else {
            None
        };
        if said.is_some() {
            return said;
        }
    }
    None
}

fn contains(text: &[u8], bytes: &[u8]) -> bool {
    text.windows(bytes.len()).any(|window| window == bytes)
}
