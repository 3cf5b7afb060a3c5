//! What a key may look like. The libraries underneath read more forms than ours, and not all the same ones.

use evidence::Ed25519Public;

use super::BadSignature;
use crate::der::{Tlv, tag};

/// A DER `RSAPublicKey` (RFC 8017, A.1.1), strictly encoded; modulus odd and of 2048 to 8192 bits, exponent odd, from 3
/// to 33 bits.
#[cfg_attr(not(feature = "rustcrypto"), expect(dead_code, reason = "the other back ends read the DER themselves"))]
pub(super) struct RsaKey<'a> {
    /// Big-endian, the first byte not zero.
    pub(super) modulus: &'a [u8],
    pub(super) exponent: u64,
}

impl<'a> RsaKey<'a> {
    pub(super) fn read(der: &'a [u8]) -> Result<Self, BadSignature> {
        let read = || {
            let parts = Tlv::only(der, tag::SEQUENCE)?.content;
            let (modulus, rest) = Tlv::read(parts)?;
            let (exponent, end) = Tlv::read(rest)?;
            end.is_empty().then_some((modulus.positive_integer()?, exponent.positive_integer()?))
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
        let bits = 8 * modulus.len() - modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
        if odd && (2048..=8192).contains(&bits) && exponent >= 3 {
            Ok(Self { modulus, exponent })
        } else {
            Err(BadSignature)
        }
    }
}

/// An uncompressed point: 4, x, y. The libraries read other forms too; whether it is on the curve is theirs to check.
pub(super) fn uncompressed<const N: usize>(key: &[u8]) -> Result<&[u8], BadSignature> {
    if key.len() == N && key.first() == Some(&4) { Ok(key) } else { Err(BadSignature) }
}

/// A key of Ed25519, canonical and not of small order (docs/WIRE.md, P0). Of the libraries some read other encodings too.
pub(super) fn ed25519(key: &[u8; 32]) -> Result<&[u8; 32], BadSignature> {
    Ed25519Public::new(*key).map(|_| key).ok_or(BadSignature)
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
        assert!(RsaKey::read(&key(256, 0x80, 1, F4)).is_ok());
        assert!(RsaKey::read(&key(1024, 0xFF, 1, F4)).is_ok());
        for (bytes, first, last) in [(255, 0xFF, 1), (256, 0x7F, 1), (1025, 1, 1), (256, 0x80, 2)] {
            assert!(RsaKey::read(&key(bytes, first, last, F4)).is_err(), "{bytes} {first} {last}");
        }
    }

    #[test]
    fn exponents_are_odd_from_3_to_33_bits() {
        for exponent in [&[3][..], F4, &[1, 0xFF, 0xFF, 0xFF, 0xFF]] {
            assert!(RsaKey::read(&key(256, 0x80, 1, exponent)).is_ok(), "{exponent:?}");
        }
        for exponent in [&[0][..], &[1], &[2], &[1, 0, 0], &[2, 0, 0, 0, 1], &[1, 0, 0, 0, 0, 1]] {
            assert!(RsaKey::read(&key(256, 0x80, 1, exponent)).is_err(), "{exponent:?}");
        }
    }

    #[test]
    fn keys_have_one_encoding() {
        let good = key(256, 0x80, 1, F4);
        assert!(RsaKey::read(&good).is_ok());
        assert!(RsaKey::read(&[&good[..], &[0]].concat()).is_err());
        assert!(RsaKey::read(&good[..good.len() - 1]).is_err());
        // A modulus without its sign byte would be negative.
        let mut negative = good.clone();
        negative.remove(8);
        assert!(RsaKey::read(&negative).is_err());
        for at in [0, 4] {
            let mut other_tag = good.clone();
            other_tag[at] ^= 1;
            assert!(RsaKey::read(&other_tag).is_err(), "{at}");
        }
    }
}
