//! Gateways of the clouds, as far as they can be had without the clouds: an Azure whose paravisor is a double, and machines
//! that are none of what their configuration says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    process::Command,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sealgate_tests::{Gateway, Settings, opened_processor, paravisor, repository, run};
use serde_json::{Value, json};

/// No server: these scenarios are about the machine under one.
fn on(platform: &str, more: &str) -> Gateway {
    let gateway = Gateway::prepared(&Settings { more: String::new(), ..Settings::default() });
    let evidence = format!("platform = \"{platform}\"\n[evidence]\nkey_distribution = \"none\"\n{more}\n");
    gateway.reconfigure("platform = \"simulated\"\n[development]\n", &evidence);
    let made = run("enclave", &["keys", "init", "--config", &gateway.config()]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    gateway
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

/// Azure's metadata service, for certificates of the software processor.
fn metadata(listener: &TcpListener, done: &AtomicBool) {
    listener.set_nonblocking(true).unwrap();
    let psp = opened_processor();
    let chain = format!("{}{}", pem(psp.ask()), pem(psp.ark()));
    let answer = json!({"vcekCert": pem(psp.vcek()), "tcbm": "54190000000000 0A".replace(' ', ""),
        "certificateChain": chain, "cacheControl": "86400"});
    let answer = answer.to_string();
    while !done.load(Relaxed) {
        let Ok((mut stream, _)) = listener.accept() else {
            thread::sleep(Duration::from_millis(5));
            continue;
        };
        stream.set_nonblocking(false).unwrap();
        let mut request = [0; 2048];
        let read = stream.read(&mut request).unwrap();
        let request = String::from_utf8_lossy(&request[..read]).to_lowercase();
        assert!(request.starts_with("get /metadata/thim/amd/certification"), "{request}");
        assert!(request.contains("metadata: true"), "{request}");
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
        write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{answer}", answer.len()).unwrap();
    }
}

#[test]
fn on_azure_everything_is_asked_for_and_what_a_double_answers_is_refused_for_its_root() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut gateway = on(
        "azure",
        &format!("metadata = \"http://{}/metadata/THIM/amd/certification\"", listener.local_addr().unwrap()),
    );
    paravisor::keep_a_key(&gateway.tpm, paravisor::FIT, "0x81000003");
    let ak = paravisor::modulus(&paravisor::kept_key(&gateway.tpm, "0x81000003"));
    paravisor::prepare(&gateway.tpm);
    let (tcti, done) = (gateway.tpm.tcti(), AtomicBool::new(false));
    let refused = thread::scope(|scope| {
        scope.spawn(|| metadata(&listener, &done));
        scope.spawn(|| paravisor::answers(&tcti, &ak, &done));
        let refused = gateway.refusal();
        done.store(true, Relaxed);
        refused
    });
    // It came as far as the judge: unsealed, quoted, wrote the 64 bytes, got a blob that repeats them, and certificates.
    assert!(refused.contains("the gateway's own evidence does not hold"), "{refused}");
    let verdict: Value =
        serde_json::from_str(&refused[refused.find('{').unwrap()..=refused.rfind('}').unwrap()]).unwrap();
    let failed: Vec<&str> = verdict["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["outcome"] == "fail")
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    assert_eq!(failed, ["intermediate", "chain"], "nothing but whose chain it is: {refused}");
    assert_eq!(verdict["exit"], 3);
    // What was refused is not kept for the next boot.
    assert!(refused.contains("certificates kept from earlier boots are removed"), "{refused}");
    assert!(!gateway.state().join("collateral").exists());
}

#[test]
fn a_machine_without_the_device_is_refused_with_what_is_missing() {
    for platform in ["gcp", "aws", "baremetal"] {
        let mut gateway = on(platform, "");
        let refused = gateway.refusal();
        assert!(refused.contains("no SEV-SNP device") && refused.contains("fix: "), "{platform}: {refused}");
    }
    let mut gateway = on("azure", "");
    let refused = gateway.refusal();
    assert!(refused.contains("0x81000003") && refused.contains("fix: "), "{refused}");
}

/// First line of the demo on a machine with this maker and these devices, made in a mount namespace of its own.
fn demo_says(maker: &str, devices: &str) -> String {
    let script = format!(
        "mount -t tmpfs none /sys/class && mkdir -p /sys/class/dmi/id && echo '{maker}' >/sys/class/dmi/id/sys_vendor \
         && mount -t tmpfs none /dev/shm && {devices} && PATH=/dev/shm:$PATH && {}/scripts/demo 2>&1 | head -n 1",
        repository().display()
    );
    let said = Command::new("unshare").args(["-m", "bash", "-c", &script]).output().expect("unshare is here");
    String::from_utf8(said.stdout).unwrap()
}

#[test]
fn the_demo_knows_whose_machine_it_is_on_and_whom_to_ask_for_evidence() {
    // A device of our own namespace: /dev is shared, so it is replaced whole.
    let guest = "mkdir /dev/shm/dev && touch /dev/shm/dev/sev-guest && mount --rbind /dev/shm/dev /dev";
    for (maker, platform) in [("Google", "gcp"), ("Amazon EC2", "aws"), ("QEMU", "baremetal")] {
        let said = demo_says(maker, guest);
        assert!(
            said.starts_with("mode: hardware") && said.contains(&format!("platform {platform}")),
            "{maker}: {said}"
        );
    }
    // Azure's guests have no device; the vTPM's index tells a confidential one. The tool that asks is a double.
    let azure = |answer: u8| {
        format!(
            "printf '#!/bin/sh\\nexit {answer}\\n' >/dev/shm/tpm2_nvreadpublic && chmod +x /dev/shm/tpm2_nvreadpublic \
             && mkdir /dev/shm/dev && touch /dev/shm/dev/tpmrm0 /dev/shm/dev/null \
             && mount --bind /dev/shm /mnt && PATH=/mnt:$PATH && mount --rbind /mnt/dev /dev"
        )
    };
    let said = demo_says("Microsoft Corporation", &azure(0));
    assert!(said.starts_with("mode: hardware") && said.contains("Azure confidential VM"), "{said}");
    let said = demo_says("Microsoft Corporation", &azure(1));
    assert!(said.starts_with("mode: ") && !said.contains("hardware"), "{said}");
}
