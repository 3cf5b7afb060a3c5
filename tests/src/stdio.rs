//! A server over stdio, spoken to line by line: what it says is kept as it said it.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, Command, Stdio as Pipe},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

/// A server that says nothing for this long hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server. Dropping it ends it.
pub struct Stdio {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    last_id: u64,
}

impl Stdio {
    /// Starts a program.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn start(command: &mut Command) -> Self {
        let spawned = command.stdin(Pipe::piped()).stdout(Pipe::piped()).stderr(Pipe::null()).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (input, output) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let (heard, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if heard.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, input, lines, last_id: 0 }
    }

    /// Sends one line.
    ///
    /// # Panics
    /// The server reads no more.
    pub fn send(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("the server reads");
    }

    /// The next line.
    ///
    /// # Panics
    /// There is none.
    pub fn line(&mut self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("the server says nothing: {error}"))
    }

    /// The next line, as JSON.
    ///
    /// # Panics
    /// There is none, or it is not JSON.
    pub fn message(&mut self) -> Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Sends a request and gives the whole line that answers it. Notifications before it are passed over, and questions are
    /// refused.
    ///
    /// # Panics
    /// There is no answer.
    pub fn ask(&mut self, method: &str, params: &str) -> String {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":{},\"params\":{params}}}", json!(method)));
        loop {
            let line = self.line();
            if line.trim().is_empty() {
                continue;
            }
            let message: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            match (message.get("method"), message.get("id")) {
                (None, Some(answered)) if *answered == id => return line,
                (Some(_), Some(asked)) => {
                    let error = json!({"code": -32601, "message": "nobody is there to ask"});
                    self.send(&json!({"jsonrpc": "2.0", "id": asked, "error": error}).to_string());
                }
                _ => {}
            }
        }
    }

    /// The same, as JSON.
    pub fn answer(&mut self, method: &str, params: &Value) -> Value {
        serde_json::from_str(&self.ask(method, &params.to_string())).expect("an answer is JSON")
    }

    /// Says hello as a client of 2025-11-25 that can do everything. Gives the result.
    pub fn initialize(&mut self) -> Value {
        let params = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {
                "roots": {"listChanged": true},
                "sampling": {"tools": {}, "context": {}},
                "elicitation": {"form": {}, "url": {}},
            },
            "clientInfo": {"name": "scenario", "version": "1"},
        });
        let answer = self.answer("initialize", &params);
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string());
        answer["result"].clone()
    }

    /// Waits for the end of the process; its exit code.
    pub fn end(&mut self) -> Option<i32> {
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Stdio {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}
