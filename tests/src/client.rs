//! A client of the gateway: plain HTTP, nothing of ours in between.

use std::time::Duration;

use serde_json::{Value, json};

/// One answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// It is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The messages of a stream, in their order; of a JSON answer the one message.
    pub fn messages(&self) -> Vec<Value> {
        match self.header("content-type") {
            Some("text/event-stream") => crate::events::messages(&self.body),
            _ => vec![self.json()],
        }
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// Status and body, for messages and for what must not be in them.
pub fn text(answer: &Answer) -> String {
    format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body))
}

/// Talks to one gateway.
#[derive(Clone, Debug)]
pub struct Client {
    base: String,
    headers: Vec<(String, String)>,
    agent: ureq::Agent,
}

impl Client {
    /// A client that shows nothing of itself.
    pub fn new(base: &str) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(Duration::from_secs(120)))
            .build();
        Self { base: base.to_owned(), headers: Vec::new(), agent: agent.into() }
    }

    /// The same client, sending one more header with every request.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut other = self.clone();
        other.headers.push((name.to_owned(), value.to_owned()));
        other
    }

    /// `GET`
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None, b"")
    }

    /// `POST` of a JSON body.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, Some("application/json"), body.to_string().as_bytes())
    }

    /// `POST` of a JSON body whose answer is read as it comes.
    pub fn open(&self, path: &str, body: &Value) -> crate::Events {
        let mut request = ureq::http::Request::builder().method("POST").uri(format!("{}{path}", self.base));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.header("content-type", "application/json").body(body.to_string().into_bytes());
        let response = self.agent.run(request.expect("a well-formed request")).expect("an answer");
        let text = |name: &str| response.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
        let (kind, buffering) = (text("content-type").unwrap_or_default(), text("x-accel-buffering"));
        crate::Events::new(response.status().as_u16(), kind, buffering, response.into_body().into_reader())
    }

    /// The same client as a modern one that declares these capabilities, and the body of its request.
    pub fn modern_request(&self, method: &str, mut params: Value, capabilities: Value) -> (Self, Value) {
        let mut client = self
            .with("accept", "application/json, text/event-stream")
            .with("mcp-protocol-version", "2026-07-28")
            .with("mcp-method", method);
        let named = ["name", "uri"].into_iter().find_map(|member| params.get(member).and_then(Value::as_str));
        if let (Some(name), true) = (named, ["tools/call", "prompts/get", "resources/read"].contains(&method)) {
            client = client.with("mcp-name", name);
        }
        let mut meta = params.get("_meta").cloned().unwrap_or_else(|| json!({}));
        meta["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
        meta["io.modelcontextprotocol/clientCapabilities"] = capabilities;
        params["_meta"] = meta;
        (client, json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
    }

    /// One modern request of a client that declares these capabilities.
    pub fn modern_as(&self, path: &str, method: &str, params: Value, capabilities: Value) -> Answer {
        let (client, body) = self.modern_request(method, params, capabilities);
        client.post(path, &body)
    }

    /// Anything.
    pub fn send(&self, method: &str, path: &str, content_type: Option<&str>, body: &[u8]) -> Answer {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(kind) = content_type {
            request = request.header("content-type", kind);
        }
        let request = request.body(body.to_vec()).expect("a well-formed request");
        let mut response = self.agent.run(request).unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let body = response.body_mut().with_config().limit(32 << 20).read_to_vec().expect("a body");
        Answer { status: response.status().as_u16(), headers, body }
    }

    /// One legacy MCP request; the whole answer.
    pub fn rpc(&self, path: &str, method: &str, params: Value) -> Answer {
        self.post(path, &json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
    }

    /// One legacy tool call; its `result`.
    ///
    /// # Panics
    /// There is none.
    pub fn call(&self, path: &str, tool: &str, arguments: Value) -> Value {
        let answer = self.rpc(path, "tools/call", json!({"name": tool, "arguments": arguments})).json();
        answer.get("result").unwrap_or_else(|| panic!("no result: {answer}")).clone()
    }

    /// One legacy tool call by the whole request; the answer as it came, and the proof in it.
    ///
    /// # Panics
    /// There is no proof in the answer.
    pub fn proven(&self, path: &str, request: &Value) -> (Answer, Value) {
        let answer = self.post(path, request);
        let proof = answer.json()["result"]["_meta"]["io.sealgate/proof"].clone();
        assert!(proof.is_object(), "no proof in {}", answer.json());
        (answer, proof)
    }

    /// One modern request (2026-07-28), headers and all.
    pub fn modern(&self, path: &str, method: &str, mut params: Value) -> Answer {
        params["_meta"] = json!({"io.modelcontextprotocol/clientInfo": {"name": "scenario", "version": "1"}});
        self.modern_as(path, method, params, json!({}))
    }
}
