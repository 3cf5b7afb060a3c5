use std::{net::IpAddr, process::Stdio};

use axum::routing::{get, post};
use evidence::UnixSeconds;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpSocket,
    sync::oneshot,
    task::JoinHandle,
};

use super::*;
use crate::tls::{Source, TlsKey, TlsNames};

/// A gateway's listener with two routes: one answers at once, one after half a second.
struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl Running {
    async fn start(limits: Limits, tls: Option<Arc<Tls>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/", get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() }))
            .route("/echo", post(|body: String| async move { body }))
            .route(
                "/slow",
                get(|| async {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    "done"
                }),
            )
            .route("/long", get(|| async { "x".repeat(64 << 20) }));
        let (stop, asked) = oneshot::channel();
        let ended = tokio::spawn(serve(listener, tls, router, limits, async {
            let _sent_or_dropped = asked.await;
        }));
        Self { address, stop, ended }
    }

    async fn stop(self) {
        let _still_running = self.stop.send(());
        self.ended.await.unwrap();
    }

    /// A connection from another address of this machine than 127.0.0.1.
    async fn connect_as(&self, own: [u8; 4]) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(IpAddr::from(own), 0)).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    /// What curl makes of it; nothing if it gives up.
    async fn curl(&self, arguments: &[&str], scheme: &str, path: &str) -> Option<String> {
        let output = tokio::process::Command::new("curl")
            .args(["--silent", "--show-error", "--max-time", "20", "--noproxy", "*"])
            .args(arguments)
            .arg(format!("{scheme}://127.0.0.1:{}{path}", self.address.port()))
            .stderr(Stdio::inherit())
            .output()
            .await
            .unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }
}

fn tls() -> (Arc<Tls>, Vec<u8>) {
    let pair = rcgen::KeyPair::generate().unwrap();
    let key = TlsKey::from_pkcs8(pair.serialized_der()).unwrap();
    let names = TlsNames::of(&["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let tls = Tls::new(key, names, Source::SelfSigned, UnixSeconds(now)).unwrap();
    (Arc::new(tls), rcgen::PublicKeyData::subject_public_key_info(&pair))
}

fn pin(spki: &[u8]) -> String {
    use base64::Engine as _;
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(spki);
    format!("sha256//{}", base64::engine::general_purpose::STANDARD.encode(digest))
}

/// Whether the other side ends the connection within a time.
async fn is_closed(stream: &mut (impl AsyncRead + Unpin), within: Duration) -> bool {
    let mut rest = Vec::new();
    timeout(within, stream.read_to_end(&mut rest)).await.is_ok()
}

async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 4096];
    let length = timeout(Duration::from_secs(10), stream.read(&mut answer)).await.unwrap().unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[test]
fn connections_never_outnumber_file_descriptors() {
    let connections = |descriptors| Limits::default().fitting(descriptors).connections;
    assert_eq!(connections(1 << 20), 4096);
    assert_eq!(connections(4096 + OTHER_DESCRIPTORS), 4096);
    assert_eq!(connections(4096 + OTHER_DESCRIPTORS - 1), 4095);
    assert_eq!(connections(1024), 512);
    assert_eq!(connections(256), 128);
    assert_eq!(connections(0), 1);
    assert_eq!(Limits::default().within_descriptors().connections, 4096, "this test needs 4608 file descriptors");
}

#[tokio::test]
async fn curl_speaks_tls_to_the_pinned_key_and_to_no_other() {
    let (tls, spki) = tls();
    assert_eq!(tls.spki_sha256()[..], <sha2::Sha256 as sha2::Digest>::digest(&spki)[..]);
    let running = Running::start(Limits::default(), Some(tls)).await;
    for version in [&["--tlsv1.3"][..], &["--tls-max", "1.2"]] {
        let pin = pin(&spki);
        let arguments = [&["--insecure", "--pinnedpubkey", &pin], version].concat();
        assert_eq!(running.curl(&arguments, "https", "/").await.as_deref(), Some("127.0.0.1"), "{version:?}");
    }
    let other = pin(b"another key");
    assert_eq!(running.curl(&["--insecure", "--pinnedpubkey", &other], "https", "/").await, None);
    assert_eq!(running.curl(&[], "https", "/").await, None, "nobody knows this authority");
    assert_eq!(running.curl(&["--insecure", "--tls-max", "1.1"], "https", "/").await, None);
    assert_eq!(running.curl(&[], "http", "/").await, None, "plain HTTP on a TLS port");
    assert_eq!(running.curl(&["--insecure"], "https", "/").await.as_deref(), Some("127.0.0.1"), "it goes on");
    running.stop().await;
}

#[tokio::test]
async fn silent_and_half_open_connections_of_one_client_do_not_stop_others() {
    let limits = Limits { connections: 32, connections_of_one_client: 24, handshakes: 16, ..Limits::default() };
    let (tls, _) = tls();
    for tls in [None, Some(tls)] {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let running = Running::start(limits, tls).await;
        let mut silent = Vec::new();
        for n in 0..200 {
            let mut stream = running.connect_as([127, 0, 0, 66]).await;
            if n % 2 == 0 {
                // Half a record of TLS, half a head of HTTP.
                let _cut_already = stream.write_all(b"\x16\x03\x01\x02\x00\x01").await;
            }
            silent.push(stream);
        }
        let began = std::time::Instant::now();
        for _ in 0..20 {
            let answer = running.curl(&["--insecure"], scheme, "/").await;
            assert_eq!(answer.as_deref(), Some("127.0.0.1"), "{scheme}");
        }
        assert!(began.elapsed() < Duration::from_secs(8), "{scheme}: {:?}", began.elapsed());
        assert!(is_closed(&mut silent[0], Duration::from_secs(5)).await, "{scheme}: the first was not cut");
        drop(silent);
        running.stop().await;
    }
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_cut() {
    let limits = Limits { handshake_time: Duration::from_millis(200), ..Limits::default() };
    let running = Running::start(limits, Some(tls().0)).await;
    let mut silent = TcpStream::connect(running.address).await.unwrap();
    let mut half = TcpStream::connect(running.address).await.unwrap();
    half.write_all(b"\x16\x03\x01\x02\x00\x01").await.unwrap();
    assert!(is_closed(&mut silent, Duration::from_secs(5)).await);
    assert!(is_closed(&mut half, Duration::from_secs(5)).await);
    running.stop().await;
}

#[tokio::test]
async fn heads_that_drip_and_heads_without_end_are_cut() {
    let limits = Limits { head_time: Duration::from_millis(600), ..Limits::default() };
    let running = Running::start(limits, None).await;
    let stream = TcpStream::connect(running.address).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let began = std::time::Instant::now();
    let drip = tokio::spawn(async move {
        let _refused_at_last = writing.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n").await;
        while writing.write_all(b"X-A: b\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(is_closed(&mut reading, Duration::from_secs(5)).await);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    timeout(Duration::from_secs(5), drip).await.unwrap().unwrap();
    let fits = format!("Authorization: Bearer {}", "x".repeat((64 << 10) - 1024));
    assert_eq!(running.curl(&["--header", &fits], "http", "/").await.as_deref(), Some("127.0.0.1"));
    let mut endless = TcpStream::connect(running.address).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n", "x".repeat(64 << 10));
    let _refused_on_the_way = endless.write_all(head.as_bytes()).await;
    let mut answer = String::new();
    endless.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 431") && answer.contains("send at most 65536 bytes"), "{answer}");
    let mut megabyte = TcpStream::connect(running.address).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n", "x".repeat(1 << 20));
    let _refused_on_the_way = megabyte.write_all(head.as_bytes()).await;
    let mut answer = [0; 12];
    megabyte.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 431");
    running.stop().await;
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_given_up() {
    let limits = Limits { write_time: Duration::from_millis(300), ..Limits::default() };
    let running = Running::start(limits, None).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut taken = Vec::new();
    let _cut_or_reset = timeout(Duration::from_secs(10), stream.read_to_end(&mut taken)).await.unwrap();
    assert!(taken.len() < 64 << 20, "all {} bytes came", taken.len());
    running.stop().await;
}

#[tokio::test]
async fn requests_under_way_finish_when_the_gateway_ends_and_newcomers_are_refused() {
    for tls in [None, Some(tls().0)] {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let running = Running::start(Limits::default(), tls).await;
        let Running { address, stop, ended } = running;
        let asking = tokio::spawn(async move {
            let (stop, _) = oneshot::channel();
            let there = Running { address, stop, ended: tokio::spawn(async {}) };
            there.curl(&["--insecure"], scheme, "/slow").await
        });
        tokio::time::sleep(Duration::from_millis(250)).await;
        stop.send(()).unwrap();
        assert_eq!(asking.await.unwrap().as_deref(), Some("done"), "{scheme}");
        timeout(Duration::from_secs(5), ended).await.unwrap().unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }
}

#[tokio::test]
async fn connections_kept_open_between_requests_do_not_hold_up_the_end() {
    let running = Running::start(Limits::default(), None).await;
    let mut kept = TcpStream::connect(running.address).await.unwrap();
    assert!(ask(&mut kept).await.ends_with("127.0.0.1"));
    timeout(Duration::from_secs(3), running.stop()).await.unwrap();
    assert!(is_closed(&mut kept, Duration::from_secs(1)).await);
}

#[tokio::test]
async fn whoever_stays_silent_is_not_waited_for_longer_than_the_drain() {
    let running = Running::start(Limits { drain: Duration::from_millis(300), ..Limits::default() }, None).await;
    let mut silent = TcpStream::connect(running.address).await.unwrap();
    let mut half = TcpStream::connect(running.address).await.unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nHost: local").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = std::time::Instant::now();
    running.stop().await;
    assert!(began.elapsed() < Duration::from_secs(3));
    assert!(is_closed(&mut silent, Duration::from_secs(5)).await);
    assert!(is_closed(&mut half, Duration::from_secs(5)).await);
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_without_a_restart_and_a_bad_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("chain.pem");
    let pair = rcgen::KeyPair::generate().unwrap();
    let certificate = |pair: &rcgen::KeyPair, serial: u8| {
        let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        parameters.serial_number = Some(rcgen::SerialNumber::from_slice(&[serial]));
        parameters.self_signed(pair).unwrap()
    };
    let write = |pair: &rcgen::KeyPair, serial| {
        let certificate = certificate(pair, serial);
        std::fs::write(&file, certificate.pem()).unwrap();
        certificate.der().to_vec()
    };
    let now = UnixSeconds(1_790_000_000);
    let first = write(&pair, 1);
    let names = TlsNames::of(&["localhost".to_owned()]).unwrap();
    let key = TlsKey::from_pkcs8(pair.serialized_der()).unwrap();
    let tls = Arc::new(Tls::new(key, names, Source::File(file.clone()), now).unwrap());
    let running = Running::start(Limits::default(), Some(Arc::clone(&tls))).await;
    assert_eq!(shown(running.address).await, first);
    let second = write(&pair, 2);
    tls.renew(now).unwrap();
    assert_eq!(shown(running.address).await, second);
    write(&rcgen::KeyPair::generate().unwrap(), 3);
    tls.renew(now).unwrap_err();
    assert_eq!(shown(running.address).await, second);
    running.stop().await;
}

/// The certificate that a rustls client is shown, whatever it is.
async fn shown(address: SocketAddr) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

/// Takes every certificate, and looks at handshake signatures as always.
#[derive(Debug)]
struct Anybody;

impl rustls::client::danger::ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &rustls::pki_types::CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &rustls::pki_types::CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
