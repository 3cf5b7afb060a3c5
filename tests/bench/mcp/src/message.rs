//! The messages of a run, and what makes an answer one.

use anyhow::ensure;
use serde_json::{Value, json};

/// What a call carries beside its number: about as much as people write.
const TEXT: &str = "What is the weather like in the mountains tomorrow, and will the trains run?";

/// The revision that a client speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Era {
    /// 2025-11-25, which all subjects know.
    Legacy,
    /// 2026-07-28.
    Modern,
}

impl Era {
    /// Its name.
    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::Legacy => "2025-11-25",
            Self::Modern => "2026-07-28",
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Work {
    /// `tools/call` of a tool that gives its arguments back.
    Call {
        /// Its name at this endpoint.
        tool: String,
        /// What must stand in each answer, beside the arguments.
        with: &'static str,
    },
    /// `tools/list`.
    List {
        /// What must stand in each answer.
        with: &'static str,
    },
}

impl Work {
    /// The method.
    pub(crate) fn method(&self) -> &'static str {
        match self {
            Self::Call { .. } => "tools/call",
            Self::List { .. } => "tools/list",
        }
    }

    /// The name that a modern client repeats in a header.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Call { tool, .. } => Some(tool),
            Self::List { .. } => None,
        }
    }

    /// One request with this number.
    pub(crate) fn request(&self, era: Era, id: u64) -> Vec<u8> {
        let mut params = match self {
            Self::Call { tool, .. } => json!({"name": tool, "arguments": {"call": mark(id), "text": TEXT}}),
            Self::List { .. } => json!({}),
        };
        if let (Era::Modern, Some(members)) = (era, params.as_object_mut()) {
            let meta = json!({
                "io.modelcontextprotocol/protocolVersion": era.version(),
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
            });
            members.insert("_meta".to_owned(), meta);
        }
        json!({"jsonrpc": "2.0", "id": id, "method": self.method(), "params": params}).to_string().into_bytes()
    }

    /// Whether an answer is one to this request: not a refusal, not another's.
    pub(crate) fn check(&self, id: u64, answer: &[u8]) -> anyhow::Result<()> {
        let has =
            |wanted: &str| wanted.is_empty() || answer.windows(wanted.len()).any(|found| found == wanted.as_bytes());
        let (with, mark) = match self {
            Self::Call { with, .. } => (with, mark(id)),
            Self::List { with } => (with, format!("\"id\":{id}")),
        };
        let shown = || String::from_utf8_lossy(answer).chars().take(400).collect::<String>();
        ensure!(has("\"result\"") && has(&mark), "this answers no request {id}: {}", shown());
        ensure!(has(with), "{with} is missing in {}", shown());
        Ok(())
    }
}

/// Stands in the arguments of one call alone.
fn mark(id: u64) -> String {
    format!("call-{id}-")
}

/// `initialize`, and what follows it.
pub(crate) fn greeting() -> [Value; 2] {
    let params = json!({
        "protocolVersion": Era::Legacy.version(),
        "capabilities": {},
        "clientInfo": {"name": "bench", "version": "1"},
    });
    [
        json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_if_it_is_to_this_call_and_holds_what_must_be_there() {
        let work = Work::Call { tool: "echo".to_owned(), with: "io.sealgate/proof" };
        let good = br#"{"id":7,"result":{"_meta":{"io.sealgate/proof":{}},"structuredContent":{"call":"call-7-"}}}"#;
        assert!(work.check(7, good).is_ok());
        assert!(work.check(77, good).is_err(), "another's");
        assert!(work.check(7, br#"{"id":7,"result":{"structuredContent":{"call":"call-7-"}}}"#).is_err(), "no proof");
        assert!(work.check(7, br#"{"id":7,"error":{"message":"call-7-, io.sealgate/proof"}}"#).is_err(), "a refusal");
        let bare = Work::Call { tool: "echo".to_owned(), with: "" };
        assert!(bare.check(7, br#"{"id":7,"result":{"structuredContent":{"call":"call-7-"}}}"#).is_ok());
        let list = Work::List { with: "\"tools\"" };
        assert!(list.check(7, br#"{"jsonrpc":"2.0","id":7,"result":{"tools":[]}}"#).is_ok());
        assert!(list.check(7, br#"{"jsonrpc":"2.0","id":8,"result":{"tools":[]}}"#).is_err());
    }

    #[test]
    fn a_modern_request_says_so() {
        let work = Work::Call { tool: "echo".to_owned(), with: "" };
        let [legacy, modern] = [Era::Legacy, Era::Modern].map(|era| String::from_utf8(work.request(era, 3)).unwrap());
        assert!(legacy.contains("call-3-") && !legacy.contains("_meta"), "{legacy}");
        assert!(modern.contains("\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\""), "{modern}");
    }
}
