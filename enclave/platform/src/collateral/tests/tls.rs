//! AMD's service as it is reached in earnest: TLS, and a certificate by an authority that this machine knows.

use std::{
    env, fs,
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{DoublePace, NOW, genoa, kds};
use crate::{Collateral, CollateralError, EvidenceError};

/// Where the program asks that this test starts once more, with other roots.
const BASE: &str = "SEALGATE_TEST_TLS_BASE";

/// OpenSSL's server, which answers with files.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn openssl(dir: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).current_dir(dir).output().expect("openssl is installed");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An authority, and a server's certificate by it.
fn authority(dir: &Path) {
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    let ca = ["req", "-x509", "-subj", "/CN=Authority of a test", "-keyout", "ca.key", "-out", "ca.pem"];
    openssl(dir, &[&ca[..], &key].concat());
    fs::write(dir.join("names"), "subjectAltName=DNS:localhost\nbasicConstraints=critical,CA:FALSE\n")
        .expect("written");
    let request = ["req", "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr"];
    openssl(dir, &[&request[..], &key[..5]].concat());
    let signed = ["-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "server.pem"];
    openssl(dir, &[&["x509", "-req", "-days", "2", "-extfile", "names"][..], &signed].concat());
}

fn serve(dir: &Path) -> (Server, u16) {
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let mut server = Command::new("openssl");
    server.args([
        "s_server",
        "-accept",
        &format!("127.0.0.1:{port}"),
        "-cert",
        "server.pem",
        "-key",
        "server.key",
        "-HTTP",
    ]);
    let quiet = server.current_dir(dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let server = Server(quiet.spawn().expect("openssl is installed"));
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(started.elapsed() < Duration::from_secs(20), "openssl s_server does not listen");
        thread::sleep(Duration::from_millis(20));
    }
    (server, port)
}

/// Files for the server: it sends them as they are, head and all.
fn publish(dir: &Path, path: &str, body: &[u8]) {
    let file = dir.join(path.trim_start_matches('/'));
    fs::create_dir_all(file.parent().expect("parent")).expect("directory");
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    fs::write(file, [head.as_bytes(), body].concat()).expect("written");
}

#[test]
fn a_service_behind_tls_is_believed_only_by_the_machines_own_roots() {
    let material = genoa();
    let (dir, pace) = (tempfile::tempdir().expect("directory"), DoublePace::at(NOW));
    if let Some(base) = env::var_os(BASE) {
        let base = base.into_string().expect("text");
        match kds(&base, dir.path(), &pace).endorse(&material.report) {
            Ok(chain) => assert_eq!(chain.vek.as_bytes(), material.vcek),
            Err(EvidenceError::Collateral(CollateralError::Silent { why, .. })) => panic!("silent: {why}"),
            Err(error) => panic!("{error}"),
        }
        return;
    }
    authority(dir.path());
    let other = tempfile::tempdir().expect("directory");
    authority(other.path());
    publish(dir.path(), &material.vcek_path(), &material.vcek);
    publish(dir.path(), &material.chain_path("vcek"), material.chain(&material.ask).as_bytes());
    let (_server, port) = serve(dir.path());
    let name = "collateral::tests::tls::a_service_behind_tls_is_believed_only_by_the_machines_own_roots";
    let ask = |host: &str, roots: &Path| {
        let mut again = Command::new(env::current_exe().expect("this program"));
        again.args(["--exact", name, "--nocapture"]).env(BASE, format!("https://{host}:{port}"));
        let output = again.env("SSL_CERT_FILE", roots.join("ca.pem")).env_remove("SSL_CERT_DIR").output().expect("run");
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (believed, text) = ask("localhost", dir.path());
    assert!(believed && text.contains("1 passed"), "{text}");
    let (believed, text) = ask("localhost", other.path());
    assert!(!believed && text.contains("silent: "), "another authority: {text}");
    let (believed, text) = ask("127.0.0.1", dir.path());
    assert!(!believed && text.contains("silent: "), "another name: {text}");
}
