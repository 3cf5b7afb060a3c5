//! What a report and a quote are asked to carry (docs/WIRE.md, P3).

use sha2::{Digest as _, Sha256, Sha512};

use crate::{
    frame::{Digest, hash, t},
    merkle, tag,
};

/// Most nonces under one report.
pub const MAX_BATCH: usize = 1024;

/// What a nonce is for. The public endpoint makes `Client` only.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// A caller's own nonce.
    Client,
    /// A nonce that binds a TLS channel.
    Tls,
    /// A nonce of another gateway.
    Peer,
}

impl Purpose {
    /// All words, in the order of the variants.
    pub const WORDS: &[&str] = &["client", "tls", "peer"];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Tls => "tls",
            Self::Peer => "peer",
        }
    }

    /// From the word on the wire.
    pub fn of(word: &str) -> Option<Self> {
        [Self::Client, Self::Tls, Self::Peer].into_iter().find(|p| p.as_str() == word)
    }
}

/// A nonce of 16 to 64 bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Nonce(Vec<u8>);

/// A nonce that is too short, too long or not hexadecimal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NonceError {
    /// It has this many bytes.
    Length(usize),
    /// It is not an even number of hexadecimal digits.
    NotHex,
}

impl std::fmt::Display for NonceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Length(n) => {
                write!(f, "a nonce has 16 to 64 bytes (32 to 128 hexadecimal digits), this one has {n} bytes")
            }
            Self::NotHex => write!(f, "a nonce is an even number of hexadecimal digits, 32 to 128 of them"),
        }
    }
}

impl std::error::Error for NonceError {}

impl Nonce {
    /// From its bytes.
    ///
    /// # Errors
    /// Fewer than 16 or more than 64 bytes.
    pub fn new(bytes: Vec<u8>) -> Result<Self, NonceError> {
        if (16..=64).contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(NonceError::Length(bytes.len())) }
    }

    /// From hexadecimal digits, as in the query `?nonce=`.
    ///
    /// # Errors
    /// Not hexadecimal, or the wrong length.
    pub fn from_hex(text: &str) -> Result<Self, NonceError> {
        Self::new(hex::decode(text).map_err(|_| NonceError::NotHex)?)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its leaf in the nonce tree: `SHA-256(0x00 ‖ T("sealgate/nonce/v1", purpose, nonce))`.
    pub fn leaf(&self, purpose: Purpose) -> Digest {
        merkle::leaf(&t(tag::NONCE, &[purpose.as_str().as_bytes(), &self.0]))
    }
}

/// `RD = SHA-512(T("sealgate/report-data/v1", root, u32(count), C, stateHead))`.
pub fn report_data(root: &Digest, count: u32, core: &Digest, state_head: &Digest) -> [u8; 64] {
    Sha512::digest(t(tag::REPORT_DATA, &[root, &count.to_be_bytes(), core, state_head])).into()
}

/// RD of a report that answers no nonce: the empty tree, count 0.
pub fn report_data_without_nonce(core: &Digest, state_head: &Digest) -> [u8; 64] {
    report_data(&merkle::root(&[]), 0, core, state_head)
}

/// `Q = SHA-256(T("sealgate/quote/v1", RD))`, what a quote is asked to carry.
pub fn quote_data(rd: &[u8; 64]) -> Digest {
    hash(tag::QUOTE, &[rd])
}

/// What PCR 15 holds once C has been extended into it: `SHA-256(0³² ‖ C)`.
pub fn core_register(core: &Digest) -> Digest {
    Sha256::new().chain_update([0; 32]).chain_update(core).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_has_16_to_64_bytes() {
        for length in [0, 15, 65, 128] {
            assert_eq!(Nonce::new(vec![0; length]), Err(NonceError::Length(length)));
        }
        assert!(Nonce::new(vec![0; 16]).is_ok() && Nonce::new(vec![0; 64]).is_ok());
        assert_eq!(Nonce::from_hex("zz"), Err(NonceError::NotHex));
    }

    #[test]
    fn one_nonce_has_another_leaf_for_each_purpose() {
        let nonce = Nonce::new(vec![7; 32]).unwrap();
        assert_ne!(nonce.leaf(Purpose::Client), nonce.leaf(Purpose::Tls));
        assert_ne!(nonce.leaf(Purpose::Peer), nonce.leaf(Purpose::Tls));
    }
}
