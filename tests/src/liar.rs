//! A node that lies: it knows the true chain's blocks, and tells of another chain's state as if it were theirs.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use serde_json::Value;

use crate::Anvil;

/// What it asks the other chain. A transaction goes to both.
const LIES: [&str; 4] = ["eth_call", "eth_getTransactionReceipt", "eth_getLogs", "eth_sendRawTransaction"];

/// A running liar. Dropping it ends it.
pub struct Liar {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
}

impl Liar {
    /// Between these chains.
    pub fn between(truth: &Anvil, other: &Anvil) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let ended = Arc::new(AtomicBool::new(false));
        let (urls, stop) = ([truth.url(), other.url()], Arc::clone(&ended));
        thread::spawn(move || {
            for caller in listener.incoming().map_while(Result::ok) {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let urls = urls.clone();
                thread::spawn(move || answer(caller, &urls));
            }
        });
        Self { address, ended }
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        let _woken = TcpStream::connect(self.address);
    }
}

fn answer(caller: TcpStream, [truth, other]: &[String; 2]) -> Option<()> {
    let mut reader = BufReader::new(caller.try_clone().ok()?);
    let mut length = 0;
    let mut line = String::new();
    while reader.read_line(&mut line).ok()? > 2 {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let request: Value = serde_json::from_slice(&body).ok()?;
    let method = request["method"].as_str()?;
    let asked = if LIES.contains(&method) { other } else { truth };
    if method == "eth_sendRawTransaction" {
        ask(truth, &body);
    }
    let said = ask(asked, &body)?;
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        said.len()
    );
    let mut caller = caller;
    caller.write_all(&[head.as_bytes(), &said].concat()).ok()
}

fn ask(url: &str, body: &[u8]) -> Option<Vec<u8>> {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut answer = agent.post(url).header("content-type", "application/json").send(body).ok()?;
    answer.body_mut().read_to_vec().ok()
}
