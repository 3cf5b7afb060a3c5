//! Signed requests: no panic; one that passes is bound to its request and passes once. The input's lines are
//! Signature-Input, Signature, Content-Digest and the target; what follows is the body.
#![no_main]

use std::{
    collections::HashSet,
    future::Future,
    pin::pin,
    sync::Mutex,
    task::{Context, Poll, Waker},
};

use evidence::UnixSeconds;
use gate::keep::{MarkKind, Marks, Pseudonyms, StoreError};
use identity::signed_request::{Rules, SignedRequest};
use libfuzzer_sys::fuzz_target;

/// Within the life of the seeds.
const NOW: UnixSeconds = UnixSeconds(1_790_000_001);

#[derive(Default)]
struct Memory(Mutex<HashSet<[u8; 32]>>);

impl Marks for Memory {
    async fn mark(&self, _: MarkKind, key: [u8; 32], _: UnixSeconds, _: UnixSeconds) -> Result<bool, StoreError> {
        Ok(self.0.lock().is_ok_and(|mut marks| marks.insert(key)))
    }
}

impl Pseudonyms for Memory {
    fn of(&self, kind: &str, value: &[u8]) -> [u8; 32] {
        evidence::mac(&[7; 32], evidence::tag::PSEUDONYM, &[kind.as_bytes(), value])
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(5, |byte| *byte == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    let headers = [("Signature-Input", part()), ("Signature", part()), ("Content-Digest", part())];
    let (target, body) = (String::from_utf8_lossy(part()), part());
    let (path, query) = target.split_once('?').map_or((&*target, None), |(path, query)| (path, Some(query)));
    let headers = if headers[2].1.is_empty() { &headers[..2] } else { &headers[..] };
    let request =
        SignedRequest { method: "POST", scheme: "https", authority: "gw.example", path, query, headers, body };
    let (rules, store) = (Rules::of_chain(8453), Memory::default());
    if let Ok(signer) = now_or_never(request.verify(&rules, &store, &store, NOW)) {
        for component in ["@authority", "@method", "@path"] {
            assert!(signer.covers.iter().any(|covered| covered == component), "{component} is not covered");
        }
        assert!(now_or_never(request.verify(&rules, &store, &store, NOW)).is_err(), "a request passes twice");
    }
});

/// The store above answers at once.
fn now_or_never<T>(future: impl Future<Output = Result<T, StoreError>>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(answer)) => answer,
        Poll::Ready(Err(_)) | Poll::Pending => panic!("a store in memory answers"),
    }
}
