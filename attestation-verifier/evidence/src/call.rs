//! What a proof commits to of a call: request and response, salted so that the public proof betrays neither
//! (docs/WIRE.md, P2).

use zeroize::Zeroize;

use crate::{
    canon::canon,
    frame::{Digest, hash, mac},
    json::{Name, Value},
    names::ServerId,
    tag,
};

/// What a salt is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Opened {
    /// requestHash
    Request,
    /// responseHash
    Response,
    /// callerRef
    Caller,
    /// paymentRef
    Payment,
}

impl Opened {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Request, Self::Response, Self::Caller, Self::Payment];

    /// The word on the wire and in the salt.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
            Self::Caller => "caller",
            Self::Payment => "payment",
        }
    }
}

/// The 32 random bytes of one call from which its salts come. Given to the caller after settlement, to nobody before.
pub struct OpeningSeed([u8; 32]);

impl OpeningSeed {
    /// From 32 random bytes.
    pub fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// `salt(x) = M(s, "sealgate/opening/v1", x)`.
    pub fn salt(&self, what: Opened) -> Digest {
        mac(&self.0, tag::OPENING, &[what.as_str().as_bytes()])
    }

    /// The bytes, to be given to the caller. Searching for `disclose` lists every place that does so.
    pub fn disclose(&self) -> [u8; 32] {
        self.0
    }
}

impl Drop for OpeningSeed {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for OpeningSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpeningSeed(..)")
    }
}

/// `requestHash = H("sealgate/request/v1", salt(request), serverId, tool, canon(arguments))`.
pub fn request_hash(salt: &Digest, server: &ServerId, tool: &str, arguments: &Value) -> Digest {
    hash(tag::REQUEST, &[salt, server.as_str().as_bytes(), tool.as_bytes(), canon(arguments).as_bytes()])
}

/// `responseHash = H("sealgate/response/v1", salt(response), canon(R))`.
pub fn response_hash(salt: &Digest, result: &ResultObject) -> Digest {
    hash(tag::RESPONSE, &[salt, canon(&result.0).as_bytes()])
}

/// `callerRef = H("sealgate/caller/v1", salt(caller), principal)`.
pub fn caller_ref(salt: &Digest, principal: &str) -> Digest {
    hash(tag::CALLER, &[salt, principal.as_bytes()])
}

/// Prefixes of `_meta` members that are the gateway's to write: stripped from what servers send.
const RESERVED_META: &[&str] = &["io.sealgate/", "x402/", "x402.", "agents-x402/", "org.paymentauth/", "pow/"];

/// Members that encoders add to a result, and that are stripped from what servers send.
const ADDED_MEMBERS: &[&str] = &["resultType", "payment", "_payment", "proof"];

/// The `_meta` member that the modern encoder adds.
const ADDED_META: &str = "io.modelcontextprotocol/serverInfo";

/// R: a tool's result as the proof commits to it, and as every encoder starts from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResultObject(Value);

impl ResultObject {
    /// The result that a server sent, or that a client received: without the members that the gateway writes, `isError`
    /// made explicit, an empty `_meta` absent. Doing it twice changes nothing.
    ///
    /// What REST writes for a JSON-RPC error of the server, `{"error":…,"isError":true}` and nothing else of the server's,
    /// is read as that error.
    ///
    /// # Errors
    /// The value is not an object, its `_meta` is not one, `isError` is not a boolean, or there is a member `error` beside
    /// others: nobody is to be shown the one where the other was proven.
    pub fn of(result: Value) -> Result<Self, ResultFault> {
        let Value::Object(members) = result else { return Err(ResultFault::NotAnObject) };
        if members.iter().any(|(name, _)| name == "error") {
            return Self::of_rest_error(members);
        }
        let mut kept = Vec::with_capacity(members.len() + 1);
        let mut explicit = false;
        for (name, value) in members {
            match (name.as_str(), value) {
                ("_meta", Value::Object(meta)) => {
                    let meta: Vec<_> = meta.into_iter().filter(|(name, _)| !is_reserved(name)).collect();
                    if !meta.is_empty() {
                        kept.push((name, Value::Object(meta)));
                    }
                }
                ("_meta", _) => return Err(ResultFault::Meta),
                ("isError", value @ Value::Bool(_)) => {
                    explicit = true;
                    kept.push((name, value));
                }
                ("isError", _) => return Err(ResultFault::IsError),
                (added, _) if ADDED_MEMBERS.contains(&added) => {}
                (_, value) => kept.push((name, value)),
            }
        }
        if !explicit {
            kept.push(("isError".into(), Value::Bool(false)));
        }
        Ok(Self(Value::Object(kept)))
    }

    /// The result that a server sent, before anything was added to it.
    ///
    /// # Errors
    /// As [`Self::of`], and for any member `error`: one digest would stand for a result and for a JSON-RPC error.
    pub fn of_server(result: Value) -> Result<Self, ResultFault> {
        if result.member("error").is_some() { Err(ResultFault::Error) } else { Self::of(result) }
    }

    fn of_rest_error(members: Vec<(Name, Value)>) -> Result<Self, ResultFault> {
        let mut error = None;
        for (name, value) in members {
            match (name.as_str(), value) {
                ("error", value @ Value::Object(_)) => error = Some(value),
                ("isError", Value::Bool(true)) => {}
                (added, _) if ADDED_MEMBERS.contains(&added) => {}
                _ => return Err(ResultFault::Error),
            }
        }
        Self::of_error(error.ok_or(ResultFault::Error)?)
    }

    /// `{"error":…}`, isError true: what stands for the result when the server answered with a JSON-RPC error. Members of
    /// the error and of its `data` that are the gateway's to write are left out, an empty `data` is absent.
    ///
    /// # Errors
    /// The error is not an object.
    pub fn of_error(error: Value) -> Result<Self, ResultFault> {
        let Value::Object(members) = error else { return Err(ResultFault::NotAnObject) };
        let mut kept = Vec::with_capacity(members.len());
        for (name, value) in members {
            match (name.as_str(), value) {
                ("data", Value::Object(data)) => {
                    let data: Vec<_> = data.into_iter().filter(|(name, _)| !is_reserved(name)).collect();
                    if !data.is_empty() {
                        kept.push((name, Value::Object(data)));
                    }
                }
                (own, _) if is_reserved(own) => {}
                (_, value) => kept.push((name, value)),
            }
        }
        Ok(Self(Value::Object(vec![("error".into(), Value::Object(kept)), ("isError".into(), Value::Bool(true))])))
    }

    /// Whether the tool says that it failed.
    pub fn is_error(&self) -> bool {
        self.0.member("isError") == Some(&Value::Bool(true))
    }

    /// The object.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// The object, to add members to.
    pub fn into_value(self) -> Value {
        self.0
    }
}

fn is_reserved(name: &str) -> bool {
    name == ADDED_META || RESERVED_META.iter().any(|prefix| name.starts_with(prefix))
}

/// Why something is no tool result.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResultFault {
    /// It is not an object.
    NotAnObject,
    /// `_meta` is not an object.
    Meta,
    /// `isError` is not a boolean.
    IsError,
    /// A result has a member `error`, and could be taken for a JSON-RPC error.
    Error,
}

impl std::fmt::Display for ResultFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotAnObject => "the result is not an object",
            Self::Meta => "result._meta is not an object",
            Self::IsError => "result.isError is not a boolean",
            Self::Error => "result.error: a result and an error at once",
        })
    }
}

impl std::error::Error for ResultFault {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Limits, parse};

    fn result(text: &str) -> Result<ResultObject, ResultFault> {
        ResultObject::of(parse(text.as_bytes(), &Limits::THEIRS).unwrap())
    }

    #[test]
    fn what_the_gateway_adds_is_not_part_of_the_result() {
        let bare = result(r#"{"content":[{"type":"text","text":"hi"}]}"#).unwrap();
        let encoded = result(
            r#"{"content":[{"type":"text","text":"hi"}],"isError":false,"resultType":"complete","_payment":{},"payment":{},
               "proof":{},"_meta":{"io.sealgate/proof":{},"x402/payment-response":1,"pow/x":2,"io.modelcontextprotocol/serverInfo":{}}}"#,
        )
        .unwrap();
        assert_eq!(canon(bare.value()), canon(encoded.value()));
        assert_eq!(canon(bare.value()), r#"{"content":[{"text":"hi","type":"text"}],"isError":false}"#);
    }

    #[test]
    fn what_the_server_says_is_kept() {
        let kept = result(r#"{"content":[],"isError":true,"_meta":{"a/b":1,"x402/x":2},"later":{"n":1.0}}"#).unwrap();
        assert!(kept.is_error());
        assert_eq!(kept.value().to_text(), r#"{"content":[],"isError":true,"_meta":{"a/b":1},"later":{"n":1.0}}"#);
        assert_eq!(result("[]"), Err(ResultFault::NotAnObject));
        assert_eq!(result(r#"{"_meta":1}"#), Err(ResultFault::Meta));
        assert_eq!(result(r#"{"isError":"no"}"#), Err(ResultFault::IsError));
    }

    /// Otherwise one digest would stand for two answers, and a client would be shown an error that was proven as a result.
    #[test]
    fn a_result_cannot_pass_for_an_error() {
        let error = ResultObject::of_error(parse(br#"{"code":1,"message":"no"}"#, &Limits::THEIRS).unwrap()).unwrap();
        assert_eq!(error.value().to_text(), r#"{"error":{"code":1,"message":"no"},"isError":true}"#);
        let shown = r#"{"error":{"code":1,"message":"no"},"isError":true,"proof":{}}"#;
        assert_eq!(result(shown), Ok(error));
        let of_server = |text: &str| ResultObject::of_server(parse(text.as_bytes(), &Limits::THEIRS).unwrap());
        assert_eq!(of_server(shown), Err(ResultFault::Error));
        for text in [
            r#"{"content":[{"type":"text","text":"paid"}],"error":{"code":1,"message":"no"}}"#,
            r#"{"error":{"code":1,"message":"no"},"isError":false}"#,
            r#"{"error":null}"#,
        ] {
            assert_eq!(result(text), Err(ResultFault::Error), "{text}");
            assert_eq!(of_server(text), Err(ResultFault::Error), "{text}");
        }
    }

    #[test]
    fn what_the_gateway_adds_to_an_error_is_not_part_of_it() {
        let of = |text: &str| ResultObject::of_error(parse(text.as_bytes(), &Limits::THEIRS).unwrap()).unwrap();
        let bare = of(r#"{"code":1,"message":"no","data":"scalar"}"#);
        assert_eq!(of(r#"{"code":1,"message":"no","data":"scalar","io.sealgate/proof":{}}"#), bare);
        let bare = of(r#"{"code":1,"message":"no"}"#);
        assert_eq!(of(r#"{"code":1,"message":"no","data":{"io.sealgate/proof":{}}}"#), bare);
    }

    #[test]
    fn salts_differ_by_purpose_and_seed() {
        let (one, two) = (OpeningSeed::new([1; 32]), OpeningSeed::new([2; 32]));
        assert_ne!(one.salt(Opened::Request), one.salt(Opened::Response));
        assert_ne!(one.salt(Opened::Request), two.salt(Opened::Request));
    }
}
