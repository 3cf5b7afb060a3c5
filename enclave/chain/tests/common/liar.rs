//! A node that lies: a double of an RPC node on loopback that answers what it is told to.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use serde_json::{Value, json};

/// What it answers to one request.
pub(crate) enum Lie {
    /// This `result`.
    Result(Value),
    /// This `error`.
    Error(Value),
    /// This body, whatever it is.
    Body(String),
    /// A status and a body.
    Status(u16, &'static str),
    /// To look elsewhere.
    Redirect(String),
    /// A body of so many bytes.
    Flood(usize),
    /// Nothing, on an open connection.
    Silence,
    /// The connection's end.
    HangUp,
}

/// Starts one. It ends with the test's process; each connection has one answer.
pub(crate) fn liar(tell: impl Fn(&str, &Value) -> Lie + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let tell = Arc::new(tell);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let tell = Arc::clone(&tell);
            // A client that goes away in between is part of the test.
            thread::spawn(move || answer(stream, &*tell).ok());
        }
    });
    url
}

/// The right chain, and then lies.
pub(crate) fn liar_on_base(tell: impl Fn(&str, &Value) -> Lie + Send + Sync + 'static) -> String {
    liar(move |method, params| match method {
        "eth_chainId" => Lie::Result(json!("0x2105")),
        _ => tell(method, params),
    })
}

fn answer(mut stream: TcpStream, tell: &dyn Fn(&str, &Value) -> Lie) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().expect("a length");
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let request: Value = serde_json::from_slice(&body).expect("a JSON-RPC request");
    let id = &request["id"];
    let mut say = |status: u16, more: &str, body: &str| {
        write!(
            stream,
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n{more}\r\n{body}",
            body.len()
        )
    };
    match tell(request["method"].as_str().expect("a method"), &request["params"]) {
        Lie::Result(result) => say(200, "", &json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string()),
        Lie::Error(error) => say(200, "", &json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string()),
        Lie::Body(body) => say(200, "", &body),
        Lie::Status(status, body) => say(status, "", body),
        Lie::Redirect(to) => say(307, &format!("location: {to}\r\n"), ""),
        Lie::Flood(bytes) => {
            let body = json!({"jsonrpc": "2.0", "id": id, "result": "0x"}).to_string();
            say(200, "", &(body + &" ".repeat(bytes)))
        }
        Lie::Silence => {
            thread::sleep(Duration::from_secs(30));
            Ok(())
        }
        Lie::HangUp => Ok(()),
    }
}
