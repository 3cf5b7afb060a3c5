//! The one framing of everything we hash, MAC or sign (docs/WIRE.md, P0).

use hmac::{Hmac, Mac};
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest or HMAC-SHA256 value.
pub type Digest = [u8; 32];

/// `lp(tag) ‖ u32(n) ‖ lp(p1) ‖ … ‖ lp(pn)`, `lp(x) = u32(len x) ‖ x`, integers big-endian.
///
/// # Panics
/// If a part is longer than `u32::MAX` bytes; every caller's input is limited far below.
pub fn t(tag: &str, parts: &[&[u8]]) -> Vec<u8> {
    let size = 8 + tag.len() + parts.iter().map(|p| p.len() + 4).sum::<usize>();
    let mut out = Vec::with_capacity(size);
    lp(&mut out, tag.as_bytes());
    out.extend_from_slice(&length(parts.len()));
    for part in parts {
        lp(&mut out, part);
    }
    out
}

/// `H(tag, …) = SHA-256(T(tag, …))`.
pub fn hash(tag: &str, parts: &[&[u8]]) -> Digest {
    Sha256::digest(t(tag, parts)).into()
}

/// `M(k, tag, …) = HMAC-SHA256(k, T(tag, …))`.
pub fn mac(key: &[u8; 32], tag: &str, parts: &[&[u8]]) -> Digest {
    // An HMAC key may have any length, so this cannot fail.
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key length");
    mac.update(&t(tag, parts));
    mac.finalize().into_bytes().into()
}

/// Whether two secrets are equal, in time that does not depend on where they differ.
pub fn ct_eq(a: &[u8], b: &[u8]) -> bool {
    subtle::ConstantTimeEq::ct_eq(a, b).into()
}

fn lp(out: &mut Vec<u8>, part: &[u8]) {
    out.extend_from_slice(&length(part.len()));
    out.extend_from_slice(part);
}

fn length(n: usize) -> [u8; 4] {
    #[expect(clippy::expect_used, reason = "documented panic: inputs are limited to far below 4 GiB")]
    u32::try_from(n).expect("part shorter than 4 GiB").to_be_bytes()
}
