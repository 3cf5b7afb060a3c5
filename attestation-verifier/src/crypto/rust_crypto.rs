//! [`Crypto`] in Rust alone: the back end for WebAssembly and for builds without a C compiler. It accepts what the
//! native one accepts, no more and no less; the tests hold both to that.

use p256::ecdsa::signature::Verifier as _;
use rsa::{BigUint, Pkcs1v15Sign, Pss, RsaPublicKey};
use sha2::{Digest as _, Sha256, Sha384};

use super::{BadSignature, Crypto, p384_verify};
use crate::der::{Tlv, tag};

/// [`Crypto`] by the RustCrypto crates `rsa`, `p384`, `p256` and `ed25519-dalek`.
#[derive(Clone, Copy, Debug, Default)]
pub struct RustCrypto;

impl Crypto for RustCrypto {
    fn rsa_pss_sha384(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        let scheme = Pss::new_with_salt::<Sha384>(48);
        rsa_key(key)?.verify(scheme, &Sha384::digest(message), signature).map_err(|_| BadSignature)
    }

    fn rsa_pss_sha256(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        let scheme = Pss::new_with_salt::<Sha256>(32);
        rsa_key(key)?.verify(scheme, &Sha256::digest(message), signature).map_err(|_| BadSignature)
    }

    fn rsa_pkcs1_sha256(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        let scheme = Pkcs1v15Sign::new::<Sha256>();
        rsa_key(key)?.verify(scheme, &Sha256::digest(message), signature).map_err(|_| BadSignature)
    }

    fn ecdsa_p384_sha384(&self, key: &[u8], message: &[u8], signature: &[u8; 96]) -> Result<(), BadSignature> {
        let point = uncompressed::<97>(key)?;
        let key = p384::PublicKey::from_sec1_bytes(point).map_err(|_| BadSignature)?;
        let signature = p384::ecdsa::Signature::from_slice(signature).map_err(|_| BadSignature)?;
        if p384_verify::holds(&key, &Sha384::digest(message), &signature) { Ok(()) } else { Err(BadSignature) }
    }

    fn ecdsa_p256_sha256(&self, key: &[u8], message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
        let point = uncompressed::<65>(key)?;
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(|_| BadSignature)?;
        let signature = p256::ecdsa::Signature::from_slice(signature).map_err(|_| BadSignature)?;
        key.verify(message, &signature).map_err(|_| BadSignature)
    }

    fn ed25519(&self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(key).map_err(|_| BadSignature)?;
        // Without cofactor, s < ℓ, and R compared as bytes: what RFC 8032 leaves open, this method closes.
        key.verify(message, &ed25519_dalek::Signature::from_bytes(signature)).map_err(|_| BadSignature)
    }
}

/// The crates read compressed points too.
fn uncompressed<const N: usize>(key: &[u8]) -> Result<&[u8], BadSignature> {
    if key.len() == N && key.first() == Some(&4) { Ok(key) } else { Err(BadSignature) }
}

/// `RSAPublicKey` in strict DER; modulus odd and of 2048 to 8192 bits, exponent odd, 3 to 2³³ − 1.
fn rsa_key(der: &[u8]) -> Result<RsaPublicKey, BadSignature> {
    const LARGEST_BITS: usize = 8192;
    let read = || {
        let (outer, rest) = Tlv::read(der)?;
        let (modulus, parts) = Tlv::read(outer.content)?;
        let (exponent, end) = Tlv::read(parts)?;
        let (modulus, exponent) = (modulus.positive_integer()?, exponent.positive_integer()?);
        (outer.tag == tag::SEQUENCE && rest.is_empty() && end.is_empty()).then_some((modulus, exponent))
    };
    let (modulus, exponent) = read().ok_or(BadSignature)?;
    let exponent = match *exponent {
        // Of 33 bits at most.
        [a, ref rest @ ..] if rest.len() < 4 || (rest.len() == 4 && a < 2) => {
            exponent.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        }
        _ => return Err(BadSignature),
    };
    let odd = modulus.last().is_some_and(|byte| byte & 1 == 1) && exponent & 1 == 1;
    // Counted in whole bytes at the lower end, as the native back end does.
    let modulus_is_of_size = modulus.len() >= 2048 / 8 && modulus.len() <= LARGEST_BITS / 8;
    if !odd || !modulus_is_of_size || exponent < 3 {
        return Err(BadSignature);
    }
    let (modulus, exponent) = (BigUint::from_bytes_be(modulus), BigUint::from(exponent));
    RsaPublicKey::new_with_max_size(modulus, exponent, LARGEST_BITS).map_err(|_| BadSignature)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `RSAPublicKey` of a modulus of `bytes` bytes that begins with `first`, and an exponent.
    fn key(bytes: usize, first: u8, last: u8, exponent: &[u8]) -> Vec<u8> {
        let integer = |content: &[u8]| {
            let mut body = if content[0] >= 0x80 { vec![0] } else { vec![] };
            body.extend(content);
            element(0x02, &body)
        };
        let mut modulus = vec![0x55; bytes];
        modulus[0] = first;
        *modulus.last_mut().unwrap() = last;
        element(0x30, &[integer(&modulus), integer(exponent)].concat())
    }

    fn element(tag: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        let head = match body.len() {
            0..=0x7F => vec![tag, length[1]],
            0x80..=0xFF => vec![tag, 0x81, length[1]],
            _ => vec![tag, 0x82, length[0], length[1]],
        };
        [head, body.to_vec()].concat()
    }

    const F4: &[u8] = &[1, 0, 1];

    #[test]
    fn keys_are_of_2048_to_8192_bits_and_odd() {
        assert!(rsa_key(&key(256, 0x80, 1, F4)).is_ok());
        assert!(rsa_key(&key(1024, 0xFF, 1, F4)).is_ok());
        for (bytes, first, last) in [(255, 0xFF, 1), (1025, 1, 1), (256, 0x80, 2)] {
            assert!(rsa_key(&key(bytes, first, last, F4)).is_err(), "{bytes} {first} {last}");
        }
    }

    #[test]
    fn exponents_are_odd_from_3_to_33_bits() {
        for exponent in [&[3][..], F4, &[1, 0xFF, 0xFF, 0xFF, 0xFF]] {
            assert!(rsa_key(&key(256, 0x80, 1, exponent)).is_ok(), "{exponent:?}");
        }
        for exponent in [&[0][..], &[1], &[2], &[1, 0, 0], &[2, 0, 0, 0, 1], &[1, 0, 0, 0, 0, 1]] {
            assert!(rsa_key(&key(256, 0x80, 1, exponent)).is_err(), "{exponent:?}");
        }
    }

    #[test]
    fn keys_have_one_encoding() {
        let good = key(256, 0x80, 1, F4);
        assert!(rsa_key(&good).is_ok());
        assert!(rsa_key(&[&good[..], &[0]].concat()).is_err());
        assert!(rsa_key(&good[..good.len() - 1]).is_err());
        // A modulus without its sign byte would be negative.
        let mut negative = good.clone();
        negative.remove(8);
        assert!(rsa_key(&negative).is_err());
        for at in [0, 4] {
            let mut other_tag = good.clone();
            other_tag[at] ^= 1;
            assert!(rsa_key(&other_tag).is_err(), "{at}");
        }
    }
}
