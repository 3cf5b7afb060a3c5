//! Another catalogue while the gateway runs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::{process::Command, thread, time::Duration};

use sealgate_tests::{Answer, Client, EVERYTHING, FILESYSTEM, Gateway, Saved, Settings, Wallet, clients, verify};
use serde_json::{Value, json};

fn settings(operator: &Wallet) -> Settings {
    Settings {
        more: format!("{EVERYTHING}{FILESYSTEM}"),
        environment: vec![("OPERATOR_WALLETS".to_owned(), operator.address())],
        ..Settings::default()
    }
}

fn order(client: &Client, path: &str) -> Answer {
    client.send("POST", path, None, b"")
}

/// A reload that happened: what the gateway says of it.
fn reloaded(client: &Client, path: &str) -> Value {
    let answer = order(client, path);
    assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("updated")), "{}", answer.json());
    answer.json()
}

/// A call of `echo`, saved with the bundle of this moment.
fn saved(gateway: &Gateway, client: &Client, name: &str) -> Saved {
    let request = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "echo", "arguments": {"message": name}},
    });
    let (answer, proof) = client.proven(&gateway.endpoint("everything"), &request);
    let bundle = gateway.anonymous().get("/api/attestation/bundle").body;
    Saved::new(&gateway.directory().join(name), &request, &answer.body, &proof, &bundle)
}

fn wait(so: impl Fn() -> bool, what: &str) {
    let is_so = (0..400).any(|_| {
        thread::sleep(Duration::from_millis(50));
        so()
    });
    assert!(is_so, "{what}");
}

fn states(bundle: &[u8]) -> usize {
    let bundle: Value = serde_json::from_slice(bundle).unwrap();
    bundle["states"].as_array().unwrap().len()
}

#[test]
fn an_operator_changes_the_catalogue_and_calls_that_run_end_as_they_began() {
    let operator = Wallet::new();
    let gateway = Gateway::with(&settings(&operator));
    let (order_by, member) = (operator.login(&gateway), gateway.member());
    let (client, root) = (gateway.anonymous(), gateway.test_root());
    let (everything, filesystem) = (gateway.id("everything"), gateway.id("filesystem"));
    let head = || client.get("/api/attestation").json()["stateHead"].clone();
    let (first_head, before) = (head(), saved(&gateway, &member, "before"));
    assert_eq!(before.judge(Some(&root), &[]).code, 0);

    // Nothing changed: nothing ends, and no state is made.
    let said = reloaded(&order_by, "/health/reload");
    assert_eq!((&said["invalidatedInstances"], &said["state"], &said["changed"]), (&json!(0), &json!(0), &json!([])));
    assert_eq!(head(), first_head);

    // A server goes: a new state names what is left, bundles carry both, and both kinds of proof hold under them.
    order(&member, "/api/servers/filesystem/start");
    gateway.reconfigure(FILESYSTEM, "");
    let said = reloaded(&order_by, "/health/reload");
    assert_eq!((&said["removed"], &said["state"]), (&json!([filesystem]), &json!(1)));
    assert_eq!(said["invalidatedInstances"], 1);
    assert_eq!(client.get("/api/servers/filesystem").status, 404);
    assert_eq!(client.get("/api/servers").json()["total"], 1);
    assert_ne!(head(), first_head);
    let after = saved(&gateway, &member, "after");
    let bundle = client.get("/api/attestation/bundle").body;
    assert_eq!(states(&bundle), 2);
    let bundle = after.put("newest.json", &bundle);
    for (name, saved) in [("before", &before), ("after", &after)] {
        let judged = saved.judge(Some(&root), &[("bundle.json", &bundle)]);
        assert_eq!(judged.code, 0, "{name}: {}", judged.said);
    }
    let stale = before.path("bundle.json");
    assert_ne!(after.judge(Some(&root), &[("bundle.json", &stale)]).code, 0, "a bundle that does not know the state");
    // A fresh nonce is answered under the newest state.
    let nonce = "5e".repeat(32);
    let fresh = after.put("fresh.json", &client.get(&format!("/api/attestation/bundle?nonce={nonce}")).body);
    let root_file = root.display().to_string();
    let judged = verify(&["bundle", &fresh, "--nonce", &nonce, "--trust-root", &root_file]);
    assert_eq!(judged.code, 0, "{}", judged.said);

    // The served script, with nothing of ours in it, follows the chain too.
    let served: Value = serde_json::from_slice(&client.get("/api/attestation/bundle").body).unwrap();
    let script = after.put("verify.sh", served["offlineVerification"]["script"].as_str().unwrap().as_bytes());
    let ran = Command::new("bash").args([&script, "--trust-root", &root_file]).output().unwrap();
    assert!(ran.status.success(), "{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));

    // It comes back, first alone by its name; then another entry changes that no digest names.
    let config = std::fs::read_to_string(gateway.config()).unwrap();
    std::fs::write(gateway.config(), format!("{config}{FILESYSTEM}")).unwrap();
    let said = reloaded(&order_by, "/health/reload/filesystem");
    assert_eq!((&said["added"], &said["state"]), (&json!([filesystem]), &json!(2)));
    assert!(client.get("/api/servers/filesystem/tools").json()["tools"].as_array().unwrap().len() > 1);
    gateway.reconfigure("The protocol's reference server", "A server of many tools");
    let said = reloaded(&order_by, "/health/reload");
    assert_eq!((&said["changed"], &said["state"]), (&json!([everything]), &json!(2)));
    assert_eq!(client.get("/api/servers/everything").json()["description"], "A server of many tools");

    // Who is asked for alone is looked at again. A call that runs meanwhile ends as it began, and its container then.
    let tools = client.get("/api/servers/everything/tools").json();
    let mut names = tools["tools"].as_array().unwrap().iter().filter_map(|tool| tool["name"].as_str());
    let long = names.find(|name| name.contains("long-running")).expect("a tool that takes its time").to_owned();
    wait(|| gateway.containers().is_empty(), "what changed has ended");
    thread::scope(|scope| {
        let working = scope.spawn(|| {
            let path = format!("/api/servers/everything/tools/{long}");
            member.post(&path, &json!({"duration": 10, "steps": 2}))
        });
        wait(|| client.get("/health").json()["instances"] == 1, "the call took a container");
        let said = reloaded(&order_by, &format!("/health/reload/{everything}"));
        assert_eq!((&said["changed"], &said["invalidatedInstances"]), (&json!([everything]), &json!(1)));
        let answer = working.join().unwrap();
        assert_eq!(answer.status, 200, "{}", answer.json());
    });
    wait(|| gateway.containers().is_empty(), "what is not current any more has ended");
    assert_eq!(saved(&gateway, &member, "last").judge(Some(&root), &[]).code, 0);
}

#[test]
fn nobody_else_reloads_and_a_configuration_that_does_not_hold_changes_nothing() {
    let operator = Wallet::new();
    let mut gateway = Gateway::with(&Settings {
        environment: vec![("OPERATOR_WALLETS".to_owned(), operator.address())],
        ..Settings::default()
    });
    let (order_by, member) = (operator.login(&gateway), gateway.member());
    for path in ["/health/reload", "/health/reload/everything"] {
        for (client, status, error) in [
            (gateway.anonymous(), 401, "WALLET_REQUIRED"),
            (member.clone(), 403, "OPERATOR_REQUIRED"),
            (gateway.anonymous().with("authorization", "Bearer nonsense"), 401, "BAD_CREDENTIAL"),
        ] {
            let answer = order(&client, path);
            assert_eq!((answer.status, &answer.json()["error"]), (status, &json!(error)), "{path}");
        }
    }
    // A wallet token of the operator's is not enough; a signed request is.
    let expires = "2027-01-01T00:00:00Z";
    let address = operator.address();
    let asked = format!("/api/auth/token-message?walletAddress={address}&expiresAt={expires}");
    let message = gateway.anonymous().get(&asked).json()["message"].as_str().unwrap().to_owned();
    let body = json!({"walletAddress": address, "signature": operator.sign(&message), "expiresAt": expires});
    let token = gateway.anonymous().post("/api/auth/create-token", &body).json()["token"].as_str().unwrap().to_owned();
    let holder = gateway.anonymous().with("authorization", &format!("Bearer {token}"));
    assert_eq!(order(&holder, "/health/reload").status, 403);
    let url = format!("{}/health/reload", gateway.base());
    let signed = clients::send_signed(&operator.private_key(), "POST", &url, "", &[]);
    assert_eq!((&signed["status"], &signed["body"]["status"]), (&json!(200), &json!("updated")), "{signed}");

    assert_eq!(order(&order_by, "/health/reload/nothing").status, 404);
    let list = || gateway.anonymous().get("/api/servers").json();
    let (before, config) = (list(), std::fs::read_to_string(gateway.config()).unwrap());
    for (wrong, said) in [
        ("[[server]]\nname = ", "nothing was changed"),
        ("[[server]]\nname = \"x\"\npackage = \"x\"\nversion = \"1\"\nports = 1\n", "ports"),
        (&EVERYTHING.replace("everything\"\nde", "gateway\"\nde"), "gateway's own tools"),
        (
            "[[server]]\nid = \"0193e3a2-6b5c-5f7d-9c1e-2a4b6c8d0e1f\"\nname = \"paid\"\npackage = \"x\"\nversion = \"1\"\nprice = \"0.1\"\n",
            "price",
        ),
    ] {
        std::fs::write(gateway.config(), format!("{config}\n{wrong}")).unwrap();
        let answer = order(&order_by, "/health/reload");
        let message = answer.json()["message"].to_string();
        assert_eq!((answer.status, &answer.json()["error"]), (422, &json!("BAD_CONFIGURATION")), "{message}");
        assert!(message.contains(said), "{wrong}: {message}");
        assert_eq!(list(), before, "{wrong}");
    }
    // A package that is not there is listed with the reason, and the others go on.
    let absent = "[[server]]\nname = \"absent\"\npackage = \"@sealgate/no-such-package\"\nversion = \"1.0.0\"\n";
    std::fs::write(gateway.config(), format!("{config}\n{absent}")).unwrap();
    let said = reloaded(&order_by, "/health/reload");
    assert_eq!((said["added"].as_array().unwrap().len(), &said["state"]), (1, &json!(1)));
    let unavailable = gateway.anonymous().get("/api/servers?status=unavailable").json();
    assert_eq!((&unavailable["total"], &unavailable["servers"][0]["name"]), (&json!(1), &json!("absent")));
    assert_eq!(order(&member, "/api/servers/everything/start").status, 200);
    gateway.stop();
    assert!(gateway.containers().is_empty());
}
