//! Signed requests: ERC-8128 as it is deployed (version 1), on HTTP Message Signatures (RFC 9421) and EIP-191.
//!
//! Only request-bound signatures with a nonce are taken: they cover authority, method, path, the query if there is one
//! and the body's digest if there is a body, live at most five minutes and count once. The draft of August 2026 (tag
//! `erc8128`, keyid `eip155:…`) is another dialect; it is recognised and refused, never read as this one.

mod base;
mod candidate;
mod digest;
mod fault;

use evidence::{UnixSeconds, Wallet};
use gate::keep::{MarkKind, Marks, Pseudonyms, StoreError};

pub use base::component_line;
use candidate::Candidate;
pub use fault::SignatureFault;

use crate::eth;

/// Longest `Signature-Input`, `Signature` and `Content-Digest`, all lines of each joined, in bytes.
pub const MAX_FIELD: usize = 16 << 10;
/// Longest signature base, in bytes: what is hashed for one candidate.
pub const MAX_BASE: usize = 64 << 10;
/// Most signatures a request may carry, of whatever kind.
pub const MAX_MEMBERS: usize = 8;
/// Most signatures of our kind that are tried: each may cost a key recovery.
pub const MAX_CANDIDATES: usize = 3;
/// Most covered components.
pub const MAX_COMPONENTS: usize = 32;
/// Most parameters of one signature.
pub const MAX_PARAMETERS: usize = 16;
/// Longest nonce, in bytes.
pub const MAX_NONCE: usize = 128;

/// A request as it came in. Scheme and authority are what this listener stands for or was asked for directly, never a
/// forwarded header of a stranger.
#[derive(Clone, Copy, Debug)]
pub struct SignedRequest<'a> {
    /// As sent.
    pub method: &'a str,
    /// `http` or `https`, of the listener.
    pub scheme: &'a str,
    /// `Host` or `:authority`.
    pub authority: &'a str,
    /// As sent, not decoded.
    pub path: &'a str,
    /// What follows `?`, not decoded; `None` if there is no `?`.
    pub query: Option<&'a str>,
    /// Names in any case, values as sent, in wire order, one entry a line.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// All of it; empty if there is none.
    pub body: &'a [u8],
}

/// What a signature must satisfy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rules {
    /// Chains that a keyid may name.
    pub chains: Vec<u64>,
    /// Longest time between `created` and `expires`, in seconds.
    pub window: u64,
    /// How far the signer's clock may be off, in seconds.
    pub skew: u64,
    /// Fields that must be covered beside the minimum, in lower case.
    pub also_covered: Vec<String>,
}

impl Rules {
    /// Those of a gateway on one chain: five minutes, five seconds of skew. A nonce is kept over the skew, so leeway
    /// costs no replay.
    pub fn of_chain(chain: u64) -> Self {
        Self { chains: vec![chain], window: 300, skew: 5, also_covered: Vec::new() }
    }
}

/// Somebody signed this very request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestSigner {
    /// Who.
    pub wallet: Wallet,
    /// The chain that the keyid names. An account's key is the same on all of them.
    pub chain: u64,
    /// The components that are covered, as written: what else is in the request is not proven.
    pub covers: Vec<String>,
}

impl SignedRequest<'_> {
    /// Whether it carries anything of a signature, good or bad.
    pub fn has_signature(&self) -> bool {
        self.headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("signature") || name.eq_ignore_ascii_case("signature-input"))
    }

    /// Checks the signatures in wire order; the first that holds entirely says who asks, and its nonce is used up. Nothing
    /// is noted for one that fails.
    ///
    /// # Errors
    /// `Ok(Err(fault))` with what is wrong with the first of them, [`StoreError`] if nobody knows whether it was used.
    pub async fn verify(
        &self,
        rules: &Rules,
        marks: &impl Marks,
        pseudonyms: &impl Pseudonyms,
        now: UnixSeconds,
    ) -> Result<Result<RequestSigner, SignatureFault>, StoreError> {
        let candidates = match candidate::candidates(self) {
            Ok(candidates) => candidates,
            Err(fault) => return Ok(Err(fault)),
        };
        let mut first = None;
        for candidate in candidates {
            let fault = match candidate.and_then(|candidate| self.check(&candidate, rules, now).map(|s| (candidate, s)))
            {
                Ok((candidate, signer)) => {
                    if candidate.mark(signer.wallet, rules, marks, pseudonyms, now).await? {
                        return Ok(Ok(signer));
                    }
                    SignatureFault::Replay
                }
                Err(fault) => fault,
            };
            first.get_or_insert(fault);
        }
        Ok(Err(first.unwrap_or(SignatureFault::BadKeyId)))
    }

    /// Everything but the nonce's use.
    fn check(&self, candidate: &Candidate, rules: &Rules, now: UnixSeconds) -> Result<RequestSigner, SignatureFault> {
        let (chain, wallet) = candidate.key(rules)?;
        candidate.check_time(rules, now)?;
        candidate.check_coverage(self, rules)?;
        digest::check(self, candidate.covers("content-digest"))?;
        let base = base::signature_base(self, candidate)?;
        match eth::recover(&eth::personal_digest(&base), &candidate.signature) {
            Ok(signer) if signer == wallet => Ok(RequestSigner { wallet, chain, covers: candidate.component_names() }),
            _ => Err(SignatureFault::BadSignature),
        }
    }

    /// All lines of a field, trimmed and joined as RFC 9421 2.1 says. `None`: there is none.
    fn field(&self, name: &str) -> Option<Vec<u8>> {
        let mut lines = self.headers.iter().filter(|(header, _)| header.eq_ignore_ascii_case(name)).peekable();
        lines.peek()?;
        Some(lines.map(|(_, value)| base::unfolded(value)).collect::<Vec<_>>().join(&b", "[..]))
    }
}

impl Candidate {
    /// Marks the nonce as used; `false` if it was. The key leaves out the chain: a wallet's nonce counts once on all.
    async fn mark(
        &self,
        wallet: Wallet,
        rules: &Rules,
        marks: &impl Marks,
        pseudonyms: &impl Pseudonyms,
        now: UnixSeconds,
    ) -> Result<bool, StoreError> {
        let key = pseudonyms.of("nonce", &[wallet.as_bytes(), self.nonce.as_bytes()].concat());
        // One more than the last second at which the same request would pass.
        let until = UnixSeconds(self.expires.saturating_add(rules.skew).saturating_add(1));
        marks.mark(MarkKind::SignedRequest, key, until, now).await
    }
}

/// The value of `Accept-Signature` (RFC 9421 5.1) that says how to sign this request.
pub fn accept_signature(request: &SignedRequest<'_>) -> String {
    let query = if request.query.is_some() { " \"@query\"" } else { "" };
    let digest = if request.body.is_empty() { "" } else { " \"content-digest\"" };
    format!("eth=(\"@authority\" \"@method\" \"@path\"{query}{digest});keyid;created;expires;nonce")
}
