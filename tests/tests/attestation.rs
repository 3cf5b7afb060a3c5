//! What the gateway serves as evidence, and what it says about itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::{
    collections::BTreeSet,
    fs,
    process::{Command, Output},
    thread,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sealgate_tests::{EVERYTHING, Gateway, Settings, Wallet, program, repository, verify};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

#[test]
fn the_commands_of_the_contract_work_as_they_are_written() {
    let gateway = Gateway::serving("");
    let summary = shell(&gateway, "curl -s $URL/api/attestation | jq '{teeEnabled, platform, codeHash}'");
    assert!(summary.status.success());
    let summary: Value = serde_json::from_slice(&summary.stdout).unwrap();
    assert_eq!(summary["teeEnabled"], false);
    assert_eq!(summary["platform"], "simulated");
    let own = hex::encode(Sha256::digest(fs::read(program("enclave")).unwrap()));
    assert_eq!(summary["codeHash"], own, "codeHash is the SHA-256 of the running program's file");

    let script =
        "curl -s $URL/api/attestation/bundle | jq -r '.offlineVerification.script' > verify.sh && bash verify.sh";
    let refused = "rejected: the root is a test root, name it with --trust-root";
    ends(&shell(&gateway, script), 3, refused);
    // The second time without a network: nothing of it asks anybody.
    ends(&shell(&gateway, "unshare -n bash verify.sh"), 3, refused);
    let root = gateway.test_root();
    let named = format!("unshare -n bash verify.sh --trust-root {}", root.display());
    let accepted = shell(&gateway, &named);
    ends(&accepted, 0, "accepted (test root)");
    let said = text(&accepted);
    for link in [
        "root",
        "intermediate",
        "core",
        "state chain",
        "state signatures",
        "boot chain",
        "boot dates",
        "boot signature",
        "boot firmware",
        "boot chip",
        "boot policy",
        "boot report data",
        "boot possession",
        "code",
        "log",
        "time",
    ] {
        assert!(said.contains(link), "the script names the link {link:?}:\n{said}");
    }
    ends(
        &shell(&gateway, &format!("cat verify.sh | bash -s -- --trust-root {}", root.display())),
        0,
        "accepted (test root)",
    );

    // The printed command checks the program before it runs it.
    let bundle = gateway.anonymous().get("/api/attestation/bundle");
    fs::write(gateway.directory().join("bundle.json"), &bundle.body).unwrap();
    let offline = bundle.json()["offlineVerification"].clone();
    let program = fs::read(repository().join("scripts/verify-bundle")).unwrap();
    assert_eq!(offline["sha256"], hex::encode(Sha256::digest(&program)), "the program part is the repository's file");
    assert!(offline["script"].as_str().unwrap().as_bytes().starts_with(&program));
    ends(&shell(&gateway, offline["command"].as_str().unwrap()), 3, refused);
    let mut lying = bundle.json();
    let lie = offline["script"].as_str().unwrap().replacen("set -", "true; set -", 1);
    assert_ne!(lie, offline["script"]);
    lying["offlineVerification"]["script"] = json!(lie);
    fs::write(gateway.directory().join("bundle.json"), lying.to_string()).unwrap();
    let refused = shell(&gateway, offline["command"].as_str().unwrap());
    assert!(!refused.status.success() && !text(&refused).contains("report"), "{}", text(&refused));

    // A flipped byte of the bundle: the script and the verifier both refuse.
    let mut other = bundle.json();
    other.as_object_mut().unwrap().remove("offlineVerification");
    let report = STANDARD.decode(other["boot"]["report"].as_str().unwrap()).unwrap();
    let mut changed = report.clone();
    changed[0x90] ^= 1;
    other["boot"]["report"] = json!(STANDARD.encode(&changed));
    let file = gateway.directory().join("changed.json");
    fs::write(&file, other.to_string()).unwrap();
    let by_script = shell(
        &gateway,
        &format!("bash {}/scripts/verify-bundle changed.json --trust-root {}", repository().display(), root.display()),
    );
    assert_eq!(by_script.status.code(), Some(3), "{}", text(&by_script));
    let judged = verify(&["bundle", &file.display().to_string(), "--trust-root", &root.display().to_string()]);
    assert_eq!(judged.code, 3, "{}", judged.said);
}

#[test]
fn every_nonce_is_answered_and_many_share_one_report() {
    let gateway = Gateway::serving("");
    let root = gateway.test_root().display().to_string();
    let client = gateway.anonymous();
    let answers: Vec<(String, Value)> = thread::scope(|scope| {
        let asked: Vec<_> = (0..100)
            .map(|n| {
                let client = &client;
                scope.spawn(move || {
                    // Every length that is allowed, from 16 to 64 bytes.
                    let nonce = hex::encode(Sha256::digest([n])).repeat(2)[..2 * (16 + usize::from(n) % 49)].to_owned();
                    let answer = client.get(&format!("/api/attestation/bundle?nonce={nonce}"));
                    assert_eq!(answer.status, 200, "{}", answer.json());
                    (nonce, answer.json())
                })
            })
            .collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    let reports: BTreeSet<&str> =
        answers.iter().map(|(_, bundle)| bundle["fresh"]["report"].as_str().unwrap()).collect();
    assert!(reports.len() <= 10, "{} reports for 100 nonces", reports.len());
    let verify_one = |(nonce, bundle): &(String, Value), asked: &str| {
        let file = gateway.directory().join(format!("{nonce}.json"));
        fs::write(&file, bundle.to_string()).unwrap();
        verify(&["bundle", &file.display().to_string(), "--trust-root", &root, "--nonce", asked])
    };
    for answer in &answers {
        assert_eq!(answer.1["fresh"]["nonce"], answer.0);
        let judged = verify_one(answer, &answer.0);
        assert_eq!(judged.code, 0, "{}", judged.said);
    }
    let judged = verify_one(&answers[0], &answers[1].0);
    assert_eq!(judged.code, 6, "somebody else's nonce: {}", judged.said);
    let mut moved = answers[0].clone();
    let count = moved.1["fresh"]["count"].as_u64().unwrap();
    if count > 1 {
        moved.1["fresh"]["index"] = json!((moved.1["fresh"]["index"].as_u64().unwrap() + 1) % count);
        let judged = verify_one(&moved, &answers[0].0);
        assert_eq!(judged.code, 6, "another leaf of the tree: {}", judged.said);
    }

    for bad in
        ["", "0", "00", "zz", &"0".repeat(31), &"0".repeat(30), &"0".repeat(129), &"0".repeat(130), &"g".repeat(32)]
    {
        for path in ["bundle", "report"] {
            let answer = client.get(&format!("/api/attestation/{path}?nonce={bad}"));
            assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("BAD_NONCE")), "{path} {bad:?}");
        }
    }
}

#[test]
fn the_report_is_served_raw_and_with_its_certificates() {
    let gateway = Gateway::serving("");
    let client = gateway.anonymous();
    let said = client.get("/api/attestation/report").json();
    let report = STANDARD.decode(said["report"].as_str().unwrap()).unwrap();
    assert_eq!(report.len(), 1184);
    assert_eq!(said["answersNonce"], false);
    let raw = client.with("accept", "application/octet-stream").get("/api/attestation/report");
    assert_eq!(raw.header("content-type"), Some("application/octet-stream"));
    assert_eq!(raw.body, report, "the boot report is one");
    let fresh = client.get(&format!("/api/attestation/report?nonce={}", "ab".repeat(32))).json();
    assert_eq!(fresh["answersNonce"], true);
    assert_ne!(fresh["report"], said["report"]);

    let put = |name: &str, bytes: &[u8]| {
        let path = gateway.directory().join(name);
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let certificate = |name: &str| said["certificates"][name].as_str().unwrap().as_bytes();
    let (report, vek) = (put("report.bin", &report), put("vcek.pem", certificate("vcek")));
    let (ask, ark) = (put("ask.pem", certificate("ask")), put("ark.pem", certificate("ark")));
    let judged = verify(&["report", &report, "--vek", &vek, "--intermediate", &ask, "--trust-root", &ark]);
    assert_eq!(judged.code, 0, "{}", judged.said);
    assert_eq!(verify(&["report", &report, "--vek", &vek, "--intermediate", &ask]).code, 3);
}

#[test]
fn what_the_gateway_says_about_itself_follows_its_state() {
    let mut gateway = Gateway::start();
    let client = gateway.anonymous();
    let summary = client.get("/api/attestation").json();
    for name in ["core", "stateHead", "instance", "proofKey", "codeHash"] {
        let text = summary[name].as_str().unwrap_or_else(|| panic!("{name}: {summary}"));
        assert_eq!(hex::decode(text).unwrap().len(), 32, "{name}");
    }
    assert_eq!((&summary["verified"], &summary["publishedHash"]), (&json!(false), &Value::Null));
    assert_eq!(summary["selfCheck"]["verdict"], "accepted (test root)");
    let bundle = client.get("/api/attestation/bundle").json();
    let core: Value = serde_json::from_slice(&STANDARD.decode(bundle["core"].as_str().unwrap()).unwrap()).unwrap();
    assert_eq!(core["keys"]["proof"], summary["proofKey"]);
    assert_eq!(core["claims"]["codeHash"], summary["codeHash"]);

    let security = client.get("/api/attestation/security").json();
    assert_eq!(summary["security"], security);
    assert_eq!(security["identities"], json!({"anonymous": true, "wallets": true, "operatorsThatMustSign": 0}));
    assert_eq!(security["tpm"]["sealedUnderPcrs"], json!([4, 7, 11, 12, 13, 14]));
    assert_eq!(security["tpm"]["kind"], "software");
    assert_eq!(security["sandbox"]["runtime"], "runc");
    assert_eq!(security["listener"]["address"], gateway.base().trim_start_matches("http://"));
    assert_eq!(security["keySources"]["hmacSeed"], "tpm-sealed");
    let not_proven = security["notProven"].to_string();
    for code in ["code-unknown", "not-witnessed", "time-host-clock", "not-logged"] {
        assert!(not_proven.contains(code), "{code}: {not_proven}");
    }

    let build = client.get("/api/attestation/build-info").json();
    assert_eq!(build["codeHash"], summary["codeHash"]);
    assert_eq!(hex::decode(build["gitCommit"].as_str().unwrap()).unwrap().len(), 20);
    assert!(build["buildTime"].as_str().unwrap().ends_with('Z') && build["dirty"].is_boolean());
    // The line of docs/AUDITING.md. Of a tree that differs from the commit there is no hash rather than a wrong one.
    let line = "git -c tar.umask=0002 -c core.autocrlf=false -c core.eol=lf -c core.attributesFile=/dev/null \
        archive --format=tar $1 | sha256sum | cut -d' ' -f1";
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let commit = build["gitCommit"].as_str().unwrap();
    let output = std::process::Command::new("bash").args(["-c", line, "-", commit]).current_dir(root).output().unwrap();
    let archive = String::from_utf8(output.stdout).unwrap();
    assert_eq!(build["sourceHash"], if build["dirty"] == true { Value::Null } else { archive.trim().into() });

    let provenance = client.get("/api/attestation/provenance").json();
    assert_eq!(provenance["signed"], false, "no release key, so nothing is signed, and it says so");
    assert!(!provenance["reason"].as_str().unwrap().is_empty());
    assert_eq!(provenance["source"]["gitCommit"], build["gitCommit"]);
    let package = &provenance["packages"][0];
    assert_eq!(package["name"], "@modelcontextprotocol/server-everything@2026.8.31");
    let call =
        client.post(&format!("/api/servers/{}/tools/echo", gateway.id("everything")), &json!({"message": "a"})).json();
    let server = &call["proof"]["proof"]["server"];
    assert_eq!(package["digest"]["registrySha512"], server["packageAttestation"]["integrity"]["registryDigest"]);
    assert_eq!(package["digest"]["lockSha256"], server["packageAttestation"]["integrity"]["lockDigest"]);
    assert_eq!(package["digest"]["imageSha256"], server["imageDigest"]);
    let health = client.get("/health").json();
    assert_eq!(health["status"], "healthy");
    assert_eq!((&health["servers"], &health["instances"]), (&json!({"ready": 1, "total": 1}), &json!(1)));

    // Another configuration, another answer.
    let (operator, member) = (Wallet::new(), Wallet::new());
    let [of_operator, of_member] = [&operator, &member].map(|wallet| wallet.session(&gateway));
    gateway.stop();
    let rule =
        format!("[identity]\nenforce_operator_signatures = true\noperator_wallets = [{:?}]\n", operator.address());
    gateway.reconfigure("[tpm]", &format!("{rule}[tpm]"));
    gateway.serve().unwrap();
    let client = gateway.anonymous();
    let changed = client.get("/api/attestation/security").json();
    assert_eq!(changed["identities"], json!({"anonymous": true, "wallets": true, "operatorsThatMustSign": 1}));
    assert_ne!(changed["listener"]["address"], security["listener"]["address"]);
    for (session, status) in [(of_member, 200), (of_operator, 401)] {
        let client = client.with("authorization", &format!("Bearer {session}"));
        assert_eq!(
            client.rpc("/mcp", "tools/list", json!({})).status,
            status,
            "sessions outlive a restart, rules change"
        );
    }
    let after = client.get("/api/attestation").json();
    assert_ne!(after["core"], summary["core"]);
    assert_eq!(client.get("/health").json()["instances"], 0);

    let broken = EVERYTHING.replace("2026.8.31", "2026.8.999");
    let other = Gateway::with(&Settings { more: broken, pcrs: "[7]".to_owned(), ..Settings::default() });
    let client = other.anonymous();
    assert_eq!(client.get("/api/attestation/security").json()["tpm"]["sealedUnderPcrs"], json!([7]));
    let health = client.get("/health").json();
    assert_eq!(health["status"], "degraded", "{health}");
    assert_eq!(health["servers"], json!({"ready": 0, "total": 1}));
    assert!(health["securityPosture"]["degradedReasons"][0].as_str().unwrap().contains("1 of 1 servers"));
    let refused = client.rpc("/mcp/server/everything", "tools/call", json!({"name": "echo", "arguments": {}})).json();
    assert!(refused.to_string().contains("2026.8.999"), "it says why: {refused}");
}

fn shell(gateway: &Gateway, line: &str) -> Output {
    let mut command = Command::new("bash");
    command.args(["-c", line]).env("URL", gateway.base()).current_dir(gateway.directory());
    command.output().expect("bash; fix: scripts/setup installs what the script needs")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn ends(output: &Output, code: i32, line: &str) {
    assert_eq!(output.status.code(), Some(code), "{}", text(output));
    assert_eq!(text(output).trim_end().lines().last(), Some(line), "{}", text(output));
}
