//! What the tests share: a store in memory, pseudonyms, wallets that sign, requests that own their parts.
#![allow(dead_code, reason = "each test file uses its share")]

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use evidence::{UnixSeconds, Wallet};
use gate::keep::{MarkKind, Marks, Pseudonyms, StoreError, Tokens};
use identity::{
    eth,
    signed_request::{RequestSigner, Rules, SignatureFault, SignedRequest},
};
use k256::ecdsa::SigningKey;
use serde_json::Value;

pub(crate) const GATEWAY: &str = "https://gw.example";

/// Pseudonyms under a fixed key.
pub(crate) struct Names;

impl Pseudonyms for Names {
    fn of(&self, kind: &str, value: &[u8]) -> [u8; 32] {
        evidence::mac(&[7; 32], evidence::tag::PSEUDONYM, &[kind.as_bytes(), value])
    }
}

/// A store in memory that can be told to fail.
#[derive(Default)]
pub(crate) struct Memory {
    down: AtomicBool,
    marks: Mutex<HashMap<(MarkKind, [u8; 32]), UnixSeconds>>,
    first_uses: Mutex<HashMap<[u8; 32], (UnixSeconds, UnixSeconds)>>,
    denied: Mutex<HashSet<[u8; 32]>>,
    epochs: Mutex<HashMap<[u8; 32], UnixSeconds>>,
}

impl Memory {
    pub(crate) fn goes_down(&self) {
        self.down.store(true, Ordering::SeqCst);
    }

    pub(crate) fn marks(&self) -> usize {
        self.marks.lock().unwrap().len()
    }

    pub(crate) fn first_uses(&self) -> usize {
        self.first_uses.lock().unwrap().len()
    }

    fn up(&self) -> Result<(), StoreError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable { why: "told to".into() });
        }
        Ok(())
    }
}

impl Marks for Memory {
    async fn mark(
        &self,
        kind: MarkKind,
        key: [u8; 32],
        until: UnixSeconds,
        now: UnixSeconds,
    ) -> Result<bool, StoreError> {
        self.up()?;
        let mut marks = self.marks.lock().unwrap();
        // As strict as the port lets a store be: what is past is forgotten at once.
        marks.retain(|_, until| *until > now);
        Ok(marks.insert((kind, key), until).is_none())
    }
}

impl Tokens for Memory {
    async fn first_use(
        &self,
        token: [u8; 32],
        until: UnixSeconds,
        now: UnixSeconds,
    ) -> Result<Option<UnixSeconds>, StoreError> {
        self.up()?;
        let mut first_uses = self.first_uses.lock().unwrap();
        first_uses.retain(|_, (_, until)| *until > now);
        Ok(Some(first_uses.entry(token).or_insert((now, until)).0))
    }

    async fn known_since(&self, token: [u8; 32], _: UnixSeconds) -> Result<Option<UnixSeconds>, StoreError> {
        self.up()?;
        Ok(self.first_uses.lock().unwrap().get(&token).map(|(first, _)| *first))
    }

    async fn is_denied(&self, token: [u8; 32]) -> Result<bool, StoreError> {
        self.up()?;
        Ok(self.denied.lock().unwrap().contains(&token))
    }

    async fn deny(&self, token: [u8; 32], _: UnixSeconds, _: UnixSeconds) -> Result<(), StoreError> {
        self.up()?;
        self.denied.lock().unwrap().insert(token);
        Ok(())
    }

    async fn epoch(&self, wallet: [u8; 32]) -> Result<Option<UnixSeconds>, StoreError> {
        self.up()?;
        Ok(self.epochs.lock().unwrap().get(&wallet).copied())
    }

    async fn raise_epoch(&self, wallet: [u8; 32], to: UnixSeconds) -> Result<(), StoreError> {
        self.up()?;
        let mut epochs = self.epochs.lock().unwrap();
        let epoch = epochs.entry(wallet).or_insert(to);
        *epoch = to.max(*epoch);
        Ok(())
    }
}

/// A wallet with its key. Small numbers, thrown away.
pub(crate) struct Account(SigningKey);

impl Account {
    pub(crate) fn new(number: u8) -> Self {
        let mut scalar = [0; 32];
        scalar[31] = number;
        Self(SigningKey::from_slice(&scalar).unwrap())
    }

    pub(crate) fn wallet(&self) -> Wallet {
        let point = self.0.verifying_key().to_encoded_point(false);
        address(point.as_bytes())
    }

    /// `personal_sign`, 65 bytes.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 65] {
        let (signature, id) = self.0.sign_prehash_recoverable(&eth::personal_digest(message)).unwrap();
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&signature.to_bytes());
        bytes[64] = 27 + id.to_byte();
        bytes
    }

    pub(crate) fn sign_hex(&self, message: &str) -> String {
        format!("0x{}", hex::encode(self.sign(message.as_bytes())))
    }
}

/// The wallet of an uncompressed point.
pub(crate) fn address(point: &[u8]) -> Wallet {
    Wallet::new(eth::keccak256(&point[1..])[12..].try_into().unwrap())
}

/// A request that owns its parts.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) scheme: String,
    pub(crate) authority: String,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// From an absolute URL.
    pub(crate) fn to(method: &str, url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap();
        let (authority, target) = rest.find(['/', '?']).map_or((rest, "/"), |at| rest.split_at(at));
        let (path, query) = split_target(target);
        Self {
            method: method.into(),
            scheme: scheme.into(),
            authority: authority.into(),
            path,
            query,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// From a case of the vectors: `{method, url, headers, body}`.
    pub(crate) fn of_case(case: &Value) -> Self {
        let mut request = Self::to(case["method"].as_str().unwrap(), case["url"].as_str().unwrap());
        request.headers = headers(&case["headers"]);
        request.body = case["body"].as_str().unwrap_or_default().into();
        request
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn view<R>(&self, look: impl FnOnce(&SignedRequest<'_>) -> R) -> R {
        let headers = self.lines();
        look(&self.borrowed(&headers))
    }

    pub(crate) fn lines(&self) -> Vec<(&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect()
    }

    pub(crate) fn borrowed<'a>(&'a self, headers: &'a [(&'a str, &'a [u8])]) -> SignedRequest<'a> {
        SignedRequest {
            method: &self.method,
            scheme: &self.scheme,
            authority: &self.authority,
            path: &self.path,
            query: self.query.as_deref(),
            headers,
            body: &self.body,
        }
    }

    pub(crate) async fn verify(
        &self,
        rules: &Rules,
        store: &Memory,
        now: UnixSeconds,
    ) -> Result<Result<RequestSigner, SignatureFault>, StoreError> {
        let headers = self.lines();
        self.borrowed(&headers).verify(rules, store, &Names, now).await
    }
}

pub(crate) fn split_target(target: &str) -> (String, Option<String>) {
    match target.split_once('?') {
        Some((path, query)) => (path.into(), Some(query.into())),
        None => (target.into(), None),
    }
}

pub(crate) fn headers(list: &Value) -> Vec<(String, Vec<u8>)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    list.as_array().unwrap().iter().map(|pair| (text(&pair[0]), text(&pair[1]).into_bytes())).collect()
}

/// The rules of a case: the vectors' verifier has no skew unless it says so.
pub(crate) fn rules_of(verifier: &Value) -> Rules {
    let also = verifier["additionalRequestBoundComponents"].as_array();
    Rules {
        chains: vec![1, 8453, 42161],
        window: 300,
        skew: verifier["clockSkewSec"].as_u64().unwrap_or(0),
        also_covered: also.into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()).collect(),
    }
}

pub(crate) fn read_json(path: impl AsRef<Path>) -> Value {
    let path = path.as_ref();
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn committed(name: &str) -> Value {
    read_json(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/identity").join(name))
}

/// One verdict for each submission of a case; the last one.
pub(crate) async fn last_verdict(case: &Value) -> Result<RequestSigner, SignatureFault> {
    let (request, store) = (Request::of_case(&case["request"]), Memory::default());
    let (rules, now) = (rules_of(&case["verifier"]), UnixSeconds(case["verifier"]["now"].as_u64().unwrap()));
    let mut last = None;
    for _ in 0..case["submissions"].as_u64().unwrap_or(1) {
        last = Some(request.verify(&rules, &store, now).await.unwrap());
    }
    last.unwrap()
}

/// A session key, thrown away.
pub(crate) fn session_key() -> Vec<u8> {
    use p256::pkcs8::EncodePrivateKey;
    p256::SecretKey::from_slice(&[3; 32]).unwrap().to_pkcs8_der().unwrap().as_bytes().to_vec()
}

/// A signed `GET https://gw.example/api/servers`.
pub(crate) fn signed(account: &Account, created: u64, nonce: &str) -> Request {
    let params = format!(
        r#"("@authority" "@method" "@path");created={created};expires={};nonce="{nonce}";keyid="erc8128:8453:{}""#,
        created + 60,
        account.wallet()
    );
    let base = format!(
        "\"@authority\": gw.example\n\"@method\": GET\n\"@path\": /api/servers\n\"@signature-params\": {params}"
    );
    let signature = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, account.sign(base.as_bytes()));
    Request::to("GET", "https://gw.example/api/servers")
        .with("Signature-Input", &format!("eth={params}"))
        .with("Signature", &format!("eth=:{signature}:"))
}
