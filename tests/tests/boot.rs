//! Keys, configuration and boot: what starts, what refuses to, and what a refusal says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::{fs, process::Command};

use sealgate_tests::{Gateway, Settings, docker, program, run};
use serde_json::{Value, json};

/// No server: these scenarios are about what comes before one.
fn bare() -> Settings {
    Settings { more: String::new(), ..Settings::default() }
}

#[test]
fn keys_are_made_once_and_every_start_needs_them_and_their_tpm_as_it_was() {
    let mut gateway = Gateway::prepared(&bare());
    let refused = gateway.refusal();
    says(&refused, &["there are no sealed keys", "enclave keys init"]);

    let made = keys_init(&gateway);
    assert!(made.0, "{}", made.1);
    says(&made.1, &["sealed to PCRs [4, 7, 11, 12, 13, 14]", "lineage"]);
    let again = keys_init(&gateway);
    assert!(!again.0);
    says(&again.1, &["the keys were made before", "fix:"]);

    gateway.serve().unwrap();
    let first = gateway.anonymous().get("/api/attestation").json();
    let lineage = lineage(&gateway);
    gateway.stop();
    gateway.serve().unwrap();
    let second = gateway.anonymous().get("/api/attestation").json();
    for fresh in ["instance", "core", "proofKey", "stateHead"] {
        assert_ne!(first[fresh], second[fresh], "{fresh} is of one boot");
    }
    assert_eq!(lineage, self::lineage(&gateway), "the lineage outlives a restart");
    gateway.stop();

    // Other code was measured: the registers differ, and the refusal says which.
    tpm2(&gateway, "tpm2_pcrextend", &[&format!("7:sha256={}", "ab".repeat(32))]);
    let refused = gateway.refusal();
    says(&refused, &["PCR", "7 (Secure Boot)", "fix:"]);
    assert!(!refused.contains("11 (unified"), "only what changed is named: {refused}");
    gateway.tpm.reboot();
    gateway.serve().unwrap();
    gateway.stop();

    // The sealed file, damaged and lost.
    let blob = gateway.state().join("sealed-keys");
    let whole = fs::read(&blob).unwrap();
    for at in [0, whole.len() / 2, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&blob, damaged).unwrap();
        says(&gateway.refusal(), &["sealed-keys", "fix:"]);
    }
    for short in [0, 1, whole.len() - 1] {
        fs::write(&blob, &whole[..short]).unwrap();
        says(&gateway.refusal(), &["sealed-keys", "fix:"]);
    }
    fs::write(&blob, &whole).unwrap();

    // Another TPM, a cleared one, and none.
    tpm2(&gateway, "tpm2_clear", &["-c", "p"]);
    says(&gateway.refusal(), &["TPM was cleared or replaced", "fix:"]);
    gateway.tpm.stop();
    says(&gateway.refusal(), &["nobody answers at swtpm", "fix:"]);
}

#[test]
fn with_pcr_15_among_them_the_keys_open_once_per_boot() {
    let mut gateway = Gateway::with(&Settings { pcrs: "[7, 15]".to_owned(), ..bare() });
    gateway.stop();
    says(&gateway.refusal(), &["PCR 15 is extended at each start", "reboot"]);
    gateway.tpm.reboot();
    gateway.serve().unwrap();
    gateway.stop();
    gateway.reconfigure("[7, 15]", "[7]");
    says(&gateway.refusal(), &["tpm.pcrs = [7]", "sealed to PCRs [7, 15]", "fix:"]);
}

#[test]
fn a_configuration_that_cannot_be_meant_is_refused_with_its_line() {
    let gateway = Gateway::prepared(&Settings::default());
    let config = fs::read_to_string(gateway.config()).unwrap();
    for (from, to, said) in [
        ("listen =", "lisen =", &["enclave.toml", "line 1", "unknown field", "lisen"][..]),
        ("[tpm]", "[tmp]", &["unknown field", "tmp"]),
        ("listen = \"127.0.0.1:0\"", "listen = \"0.0.0.0:0\"", &["not a loopback address", "127.0.0.1"]),
        ("listen = \"127.0.0.1:0\"", "listen = \"[::]:0\"", &["not a loopback address"]),
        ("listen = \"127.0.0.1:0\"", "listen = 8080", &["line 1", "listen"]),
        ("\"simulated\"", "\"imagined\"", &["platform = \"imagined\" is unknown", "baremetal"]),
        ("[development]", "", &["proves nothing and is refused", "[development]"]),
        ("\"simulated\"", "\"baremetal\"", &["section [development] beside platform = \"baremetal\""]),
        ("[4, 7, 11, 12, 13, 14]", "[]", &["tpm.pcrs = []"]),
        ("[4, 7, 11, 12, 13, 14]", "[7, 4]", &["tpm.pcrs = [7, 4]", "ascending"]),
        ("[4, 7, 11, 12, 13, 14]", "[24]", &["tpm.pcrs = [24]"]),
        ("[[server]]", "[sandbox]\nruntime = \"lxc\"\n[[server]]", &["sandbox.runtime = \"lxc\" is unknown", "runsc"]),
        (
            "[[server]]",
            "[sandbox]\nstreams = \"fd\"\n[[server]]",
            &["sandbox.streams = \"fd\" is unknown", "direct or engine"],
        ),
        ("[[server]]", "[sandbox]\nmax_instances = 0\n[[server]]", &["sandbox.max_instances = 0"]),
        ("[[server]]", "[limits]\ncall_timeout_s = 0\n[[server]]", &["limits.call_timeout_s = 0"]),
        ("[[server]]", "[limits]\ncall_timeout_s = -1\n[[server]]", &["call_timeout_s"]),
        ("version = \"2026.8.31\"", "", &["version"]),
        ("[development]", "[development]\ntoken = \"x\"", &["unknown field", "token"]),
        ("name = \"everything\"", "name = \"(everything)\"", &["cannot stand in front of a tool's name"]),
        ("categories = [\"reference\"]", "id = \"42\"", &["server id", "UUID"]),
        (
            "[[server]]",
            "[[server]]\nname = \"everything\"\npackage = \"a\"\nversion = \"1.0.0\"\n[[server]]",
            &["share"],
        ),
    ] {
        assert!(config.contains(from), "{from}");
        fs::write(gateway.config(), config.replacen(from, to, 1)).unwrap();
        // `keys init` reads the same file: neither command may go on.
        for arguments in [
            ["serve", "--config", &gateway.config()].to_vec(),
            ["keys", "init", "--config", &gateway.config()].to_vec(),
        ] {
            let output = run("enclave", &arguments);
            assert_eq!(output.status.code(), Some(1), "{to}");
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            says(&text, said);
            says(&text, &["fix:"]);
        }
        assert!(!gateway.state().join("sealed-keys").exists(), "{to}");
    }
    for (name, bytes) in
        [("truncated.toml", &config.as_bytes()[..config.len() / 2 + 3]), ("binary.toml", b"\xff\xfe\x00")]
    {
        let file = gateway.directory().join(name);
        fs::write(&file, bytes).unwrap();
        let output = run("enclave", &["serve", "--config", &file.display().to_string()]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        says(&String::from_utf8_lossy(&output.stderr), &[name, "fix:"]);
    }
    // A folder that is a file, and a port that is taken.
    fs::write(gateway.config(), config.replacen("/state\"", "/enclave.toml\"", 1)).unwrap();
    let output = run("enclave", &["keys", "init", "--config", &gateway.config()]);
    assert_eq!(output.status.code(), Some(1));
    says(&String::from_utf8_lossy(&output.stderr), &["/enclave.toml", "fix:"]);
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap().to_string();
    let mut second = Gateway::prepared(&bare());
    assert!(keys_init(&second).0);
    second.reconfigure("127.0.0.1:0", &taken);
    says(&second.refusal(), &[&format!("cannot listen on {taken}"), "fix:"]);
    let output = run("enclave", &["serve", "--config", "/nowhere/enclave.toml"]);
    says(&String::from_utf8_lossy(&output.stderr), &["/nowhere/enclave.toml", "cannot be read", "fix:"]);
}

#[test]
fn the_doctor_says_what_is_here_and_what_that_proves() {
    let mut gateway = Gateway::prepared(&bare());
    let text = gateway.doctor(&[]);
    assert!(text.status.success());
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    says(&text, &["sev-guest", "configfs-tsm", "tpm", "proves:"]);
    let json = gateway.doctor(&["--json"]);
    let found: Value = serde_json::from_slice(&json.stdout).unwrap();
    let findings = found["findings"].as_array().unwrap();
    assert!(findings.len() >= 4, "{found}");
    for finding in findings {
        for member in ["subject", "detail", "proves"] {
            assert!(!finding[member].as_str().unwrap().is_empty(), "{finding}");
        }
        let words = ["found", "not built", "absent", "unknown"];
        assert!(words.contains(&finding["state"].as_str().unwrap()), "{finding}");
        assert!(text.contains(finding["subject"].as_str().unwrap()), "{finding}");
    }
    let tpm = |found: &Value| {
        let findings = found["findings"].as_array().unwrap().clone();
        findings.into_iter().find(|finding| finding["subject"] == "tpm").unwrap()
    };
    assert_eq!(tpm(&found)["state"], "found", "{found}");
    gateway.tpm.stop();
    let found: Value = serde_json::from_slice(&gateway.doctor(&["--json"]).stdout).unwrap();
    assert_eq!(tpm(&found)["state"], "absent", "{found}");
}

#[test]
fn a_killed_gateway_leaves_nothing_behind_that_the_next_start_does_not_sweep() {
    let mut gateway = Gateway::start();
    gateway.caller().call(&gateway.endpoint("everything"), "echo", json!({"message": "a"}));
    let other = Gateway::start();
    other.caller().call(&other.endpoint("everything"), "echo", json!({"message": "b"}));
    let left = gateway.containers();
    assert_eq!(left.len(), 1);
    // A frozen container does not notice that nobody is there any more.
    docker(&["pause", &left[0]]);
    gateway.kill();
    assert_eq!(gateway.containers(), left);
    gateway.serve().unwrap();
    assert!(gateway.containers().is_empty(), "swept at start");
    assert!(gateway.log().contains("containers of an earlier run were still there"), "{}", gateway.log());
    assert_eq!(other.containers().len(), 1, "another gateway's container is not ours to end");
    let answer = gateway.anonymous().call(&gateway.endpoint("everything"), "echo", json!({"message": "again"}));
    assert_eq!(answer["content"][0]["text"], "Echo: again");
}

#[test]
fn what_is_no_command_is_refused_and_help_names_the_commands() {
    let help = Command::new(program("enclave")).arg("--help").output().unwrap();
    says(&String::from_utf8_lossy(&help.stdout), &["serve", "keys", "doctor"]);
    for wrong in [&["fly"][..], &["serve"], &["keys"], &["serve", "--config"], &[]] {
        assert_eq!(run("enclave", wrong).status.code(), Some(2), "{wrong:?}");
    }
}

fn keys_init(gateway: &Gateway) -> (bool, String) {
    let output = run("enclave", &["keys", "init", "--config", &gateway.config()]);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), said)
}

fn lineage(gateway: &Gateway) -> Value {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let bundle = gateway.anonymous().get("/api/attestation/bundle").json();
    let core = STANDARD.decode(bundle["core"].as_str().unwrap()).unwrap();
    serde_json::from_slice::<Value>(&core).unwrap()["lineage"].clone()
}

fn tpm2(gateway: &Gateway, tool: &str, arguments: &[&str]) {
    let output = Command::new(tool).args(["-T", &gateway.tpm.tcti()]).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{tool}: {error}; fix: apt install tpm2-tools"));
    assert!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
}

fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not said:\n{text}");
    }
}
