//! A proxy on loopback that adds headers to every request, for clients that cannot be told to send any.

use std::{
    io::{self, Read, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
};

/// The head of a request is not longer.
const HEAD_LIMIT: usize = 64 << 10;

/// A running proxy. It ends with the process.
pub struct Proxy {
    address: SocketAddr,
}

impl Proxy {
    /// Forwards to `target`, a base address `http://HOST:PORT`, with these headers added to every request. What a client
    /// says of `Host` and `Origin` stays as it is.
    ///
    /// # Panics
    /// The target is not such an address, or there is no free port.
    pub fn start(target: &str, headers: &[(&str, &str)]) -> Self {
        let target = target.strip_prefix("http://").expect("a plain address").to_owned();
        let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (target, more) = (target.clone(), more.clone());
                // A client that goes away in the middle is its own affair.
                thread::spawn(move || forward(client, &target, &more).ok());
            }
        });
        Self { address }
    }

    /// `http://127.0.0.1:PORT`
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// One request for each connection: the gateway is asked to close it after its answer.
fn forward(mut client: TcpStream, target: &str, more: &str) -> io::Result<()> {
    let (head, rest) = head(&mut client)?;
    let mut server = TcpStream::connect(target)?;
    let mut lines = head.split("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let first = lines.next().unwrap_or_default();
    let kept: String = lines.filter(|line| !line.is_empty()).map(|line| format!("{line}\r\n")).collect();
    server.write_all(format!("{first}\r\n{kept}{more}Connection: close\r\n\r\n").as_bytes())?;
    server.write_all(&rest)?;
    let (mut up_from, mut up_to) = (client.try_clone()?, server.try_clone()?);
    let up = thread::spawn(move || {
        let _gone = io::copy(&mut up_from, &mut up_to);
        // The client went: the gateway hears of it at once.
        let _closed = up_to.shutdown(Shutdown::Both);
    });
    let copied = io::copy(&mut server, &mut client);
    let _closed = client.shutdown(Shutdown::Both);
    let _ended = up.join();
    copied.map(|_| ())
}

/// The head of a request as it came, and what came of the body with it.
fn head(client: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut read = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let count = client.read(&mut chunk)?;
        read.extend_from_slice(&chunk[..count]);
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = read.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&read).into_owned(), rest));
        }
        if count == 0 || read.len() > HEAD_LIMIT {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}
