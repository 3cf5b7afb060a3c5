//! TLS: the key that the evidence names, certificates over it, and where the gateway may listen.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sealgate_tests::{Gateway, Settings, Wallet, run, wallet::SignedRequest};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

const TLS: &str = "[tls]\nnames = [\"localhost\", \"127.0.0.1\"]\n";

#[test]
fn the_listener_shows_the_key_that_the_evidence_names_and_speaks_nothing_else() {
    let mut gateway = Gateway::with(&Settings::everything_with(TLS));
    let address = gateway.base().strip_prefix("https://").unwrap().to_owned();
    let (spki, shown) = handshake(&gateway, &address, &[]);
    let named = state(&address)["tls"].clone();
    assert_eq!(named, serde_json::json!([hex::encode(Sha256::digest(&spki))]), "the state names the key");
    assert!(shown.contains("TLSv1.3"), "{shown}");
    assert!(handshake(&gateway, &address, &["-tls1_2"]).1.contains("TLSv1.2"));
    for old in ["-tls1_1", "-tls1"] {
        let refused = s_client(&address, &[old, "-cipher", "ALL:@SECLEVEL=0"]);
        assert!(!text(&refused).contains("BEGIN CERTIFICATE"), "{old}: {}", text(&refused));
    }
    // A client that pins what the state names is served; one that pins anything else is not.
    let pin = |digest: &[u8]| format!("sha256//{}", STANDARD.encode(digest));
    let right = pin(&hex::decode(named[0].as_str().unwrap()).unwrap());
    let health = curl(&["-sk", "--pinnedpubkey", &right, &format!("https://{address}/health")]);
    assert!(health.status.success(), "{}", text(&health));
    assert_eq!(serde_json::from_slice::<Value>(&health.stdout).unwrap()["status"], "healthy");
    let wrong = curl(&["-sk", "--pinnedpubkey", &pin(&[0; 32]), &format!("https://{address}/health")]);
    assert_eq!(wrong.status.code(), Some(90), "curl's code for another key: {}", text(&wrong));
    let security = fetch(&address, "/api/attestation/security");
    assert_eq!(security["listener"]["tls"], true);
    assert_eq!(security["listener"]["spkiSha256"], named[0]);
    assert_eq!(security["keySources"]["tls"], "tpm-sealed");

    // Plain HTTP gets nothing of the gateway's.
    let answer = plain(&address);
    assert!(!answer.contains("200 OK") && !answer.contains("healthy"), "{answer}");
    assert_eq!(fetch(&address, "/health")["status"], "healthy", "and it goes on");

    // Over TLS everything works: a call, its proof.
    let endpoint = format!("https://{address}/api/servers/everything/tools/echo");
    let called = curl(&["-sk", "-H", "content-type: application/json", "-d", "{\"message\":\"over TLS\"}", &endpoint]);
    let called: Value = serde_json::from_slice(&called.stdout).unwrap_or_else(|_| panic!("{}", text(&called)));
    assert_eq!(called["content"][0]["text"], "Echo: over TLS");
    // A signed request says https, and a signature over http is none.
    for (scheme, status) in [("https", "200"), ("http", "401")] {
        let mut request = SignedRequest::new("GET", &address, "/api/secrets/everything", "");
        request.scheme = scheme.to_owned();
        request.covered.push("@scheme".to_owned());
        let headers: Vec<String> =
            request.sign(&Wallet::new()).iter().map(|(name, value)| format!("-H{name}: {value}")).collect();
        let url = format!("https://{address}/api/secrets/everything");
        let fixed = ["-sk", "-o", "/dev/null", "-w", "%{http_code}", &url];
        let all: Vec<&str> = fixed.into_iter().chain(headers.iter().map(String::as_str)).collect();
        assert_eq!(String::from_utf8_lossy(&curl(&all).stdout), status, "{scheme}");
    }
    // A name of the certificate is a host of the gateway's; others are not.
    for (host, status) in [("localhost", "200"), ("127.0.0.1:443", "200"), ("evil.example", "403")] {
        let url = format!("https://{address}/health");
        let said = curl(&["-sk", "-o", "/dev/null", "-w", "%{http_code}", "-H", &format!("host: {host}"), &url]);
        assert_eq!(String::from_utf8_lossy(&said.stdout), status, "{host}");
    }

    // The key outlives a restart, the certificate does not.
    gateway.stop();
    gateway.serve().unwrap();
    let address = gateway.base().strip_prefix("https://").unwrap().to_owned();
    let (again, _) = handshake(&gateway, &address, &[]);
    assert_eq!(again, spki);
}

#[test]
fn beyond_loopback_only_tls_is_served() {
    let mut gateway = Gateway::prepared(&Settings { more: String::new(), ..Settings::default() });
    init(&gateway);
    for public in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8402"] {
        gateway.reconfigure("127.0.0.1:0", public);
        let refusal = gateway.refusal();
        assert!(refusal.contains("loopback") && refusal.contains("[tls]") && refusal.contains("fix:"), "{refusal}");
        gateway.reconfigure(public, "127.0.0.1:0");
    }
    gateway.reconfigure("[tpm]", &format!("{TLS}[tpm]"));
    gateway.reconfigure("127.0.0.1:0", "0.0.0.0:0");
    gateway.serve().unwrap();
    let port = gateway.base().rsplit(':').next().unwrap().to_owned();
    let address = format!("127.0.0.1:{port}");
    handshake(&gateway, &address, &[]);
    assert_eq!(fetch(&address, "/api/attestation/security")["listener"]["loopbackOnly"], false);
    assert!(!plain(&address).contains("200 OK"));
    gateway.stop();

    for (names, said) in [
        ("[]", "lists 0 names"),
        ("[\"https://localhost\"]", "neither a DNS name nor an IP address"),
        ("[\"*.example\"]", "neither a DNS name nor an IP address"),
    ] {
        gateway.reconfigure("[\"localhost\", \"127.0.0.1\"]", names);
        let refusal = gateway.refusal();
        assert!(refusal.contains(said) && refusal.contains("fix:"), "{names}: {refusal}");
        gateway.reconfigure(names, "[\"localhost\", \"127.0.0.1\"]");
    }
}

#[test]
fn an_operators_certificate_is_served_if_it_is_for_the_sealed_key() {
    let mut gateway = Gateway::prepared(&Settings { more: String::new(), ..Settings::default() });
    init(&gateway);
    let csr = |gateway: &Gateway| run("enclave", &["keys", "csr", "--config", &gateway.config()]);
    let without = csr(&gateway);
    assert_eq!(without.status.code(), Some(1));
    assert!(text(&without).contains("no section [tls]") && text(&without).contains("fix:"), "{}", text(&without));
    gateway.reconfigure("[tpm]", &format!("{TLS}[tpm]"));

    // The request, as an authority reads it.
    let folder = gateway.directory().to_owned();
    let made = csr(&gateway);
    assert!(made.status.success(), "{}", text(&made));
    let request = folder.join("request.pem");
    fs::write(&request, &made.stdout).unwrap();
    let read = openssl(&folder, &["req", "-in", "request.pem", "-noout", "-verify", "-text"]);
    assert!(read.contains("verify OK") && read.contains("DNS:localhost, IP Address:127.0.0.1"), "{read}");

    // A throw-away authority, and what it may be asked for.
    openssl(&folder, &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ca.key"]);
    let subject = ["-subj", "/CN=throw-away", "-days", "3"];
    let extension = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"];
    let root = [&["req", "-x509", "-new", "-key", "ca.key", "-out", "ca.pem"][..], &subject, &extension].concat();
    openssl(&folder, &root);
    let sign = |request: &str, out: &str| {
        let ca = ["x509", "-req", "-in", request, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
        openssl(&folder, &[&ca[..], &["-days", "2", "-copy_extensions", "copy", "-out", out]].concat());
        folder.join(out)
    };
    let good = sign("request.pem", "good.pem");
    let serve_with = |gateway: &mut Gateway, file: &Path| {
        let config = fs::read_to_string(gateway.config()).unwrap();
        let config: String =
            config.lines().filter(|line| !line.starts_with("certificate")).map(|l| format!("{l}\n")).collect();
        fs::write(gateway.config(), config.replacen("[tls]", &format!("[tls]\ncertificate = {file:?}"), 1)).unwrap();
    };

    serve_with(&mut gateway, &good);
    gateway.serve().unwrap();
    let address = gateway.base().strip_prefix("https://").unwrap().to_owned();
    let port = address.rsplit(':').next().unwrap();
    let root = folder.join("ca.pem").display().to_string();
    // No exception for anything: a client of the authority's is served, by either name.
    for name in ["localhost", "127.0.0.1"] {
        let served = curl(&["-s", "--cacert", &root, &format!("https://{name}:{port}/health")]);
        assert!(served.status.success(), "{name}: {}", text(&served));
    }
    assert!(!curl(&["-s", &format!("https://localhost:{port}/health")]).status.success(), "nobody else trusts it");
    let (spki, _) = handshake(&gateway, &address, &[]);
    assert_eq!(state(&address)["tls"][0], hex::encode(Sha256::digest(spki)));
    gateway.stop();

    // Certificates that are not for this key or these names, and files that are none.
    openssl(&folder, &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "other.key"]);
    let names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
    openssl(&folder, &[&["req", "-new", "-key", "other.key", "-subj", "/", "-out", "other.req"][..], &names].concat());
    let other = sign("other.req", "other.pem");
    let put = |name: &str, bytes: &[u8]| -> PathBuf {
        fs::write(folder.join(name), bytes).unwrap();
        folder.join(name)
    };
    let leaf = fs::read(&good).unwrap();
    for (file, said) in [
        (other, "for another key"),
        (put("cut.pem", &leaf[..leaf.len() / 2]), "certificate"),
        (put("empty.pem", b""), "no CERTIFICATE block"),
        (folder.join("ca.pem"), "for another key"),
        (folder.join("nowhere.pem"), "cannot be read"),
    ] {
        serve_with(&mut gateway, &file);
        let refusal = gateway.refusal();
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(refusal.contains(said) && refusal.contains(name) && refusal.contains("fix:"), "{name}: {refusal}");
    }
    serve_with(&mut gateway, &good);
    gateway.reconfigure("\"127.0.0.1\"]", "\"127.0.0.1\", \"gateway.example\"]");
    let refusal = gateway.refusal();
    assert!(refusal.contains("not for gateway.example"), "{refusal}");
}

fn init(gateway: &Gateway) {
    let made = run("enclave", &["keys", "init", "--config", &gateway.config()]);
    assert!(made.status.success(), "{}", text(&made));
}

/// The key that is shown, as a SubjectPublicKeyInfo in DER, and what openssl says of the handshake.
fn handshake(gateway: &Gateway, address: &str, options: &[&str]) -> (Vec<u8>, String) {
    let output = s_client(address, options);
    let said = text(&output);
    let shown = gateway.directory().join("shown.pem");
    let from = said.find("-----BEGIN CERTIFICATE").unwrap_or_else(|| panic!("no certificate: {said}"));
    let end = "-----END CERTIFICATE-----\n";
    let to = said.find(end).unwrap() + end.len();
    fs::write(&shown, &said[from..to]).unwrap();
    let key = openssl(gateway.directory(), &["x509", "-in", "shown.pem", "-noout", "-pubkey"]);
    let body: String = key.lines().filter(|line| !line.starts_with('-')).collect();
    (STANDARD.decode(body).unwrap(), said)
}

fn s_client(address: &str, options: &[&str]) -> Output {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", address, "-servername", "localhost"]).args(options);
    command.stdin(Stdio::null()).output().expect("openssl; fix: scripts/setup")
}

/// State 0 of the bundle.
fn state(address: &str) -> Value {
    let bundle = fetch(address, "/api/attestation/bundle");
    serde_json::from_slice(&STANDARD.decode(bundle["states"][0]["bytes"].as_str().unwrap()).unwrap()).unwrap()
}

fn fetch(address: &str, path: &str) -> Value {
    let output = curl(&["-sk", &format!("https://{address}{path}")]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{path}: {}", text(&output)))
}

fn curl(arguments: &[&str]) -> Output {
    Command::new("curl")
        .args(["-m", "30", "--noproxy", "*"])
        .args(arguments)
        .output()
        .expect("curl; fix: scripts/setup")
}

/// What plain HTTP gets.
fn plain(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    let _closed = write!(stream, "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let mut answer = Vec::new();
    let _cut = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn openssl(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).current_dir(folder).output().expect("openssl");
    assert!(output.status.success(), "openssl {arguments:?}: {}", text(&output));
    text(&output)
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
