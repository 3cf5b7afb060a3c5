//! Public keys of a TPM: as SubjectPublicKeyInfo (RFC 5280, 4.1.2.7; RFC 3279, 2.3.1; RFC 5480), as a JWK's numbers
//! (RFC 7518, 6.3.1), as the TPM's own public area ([`super::PublicArea`]).

use std::fmt;

use crate::{BadSignature, Crypto};

/// Before the point of a P-256 key in SubjectPublicKeyInfo.
const P256: [u8; 26] = *b"\x30\x59\x30\x13\x06\x07\x2A\x86\x48\xCE\x3D\x02\x01\x06\x08\x2A\x86\x48\xCE\x3D\x03\x01\x07\
    \x03\x42\x00";
/// Before the point of a P-384 key.
const P384: [u8; 23] = *b"\x30\x76\x30\x10\x06\x07\x2A\x86\x48\xCE\x3D\x02\x01\x06\x05\x2B\x81\x04\x00\x22\
    \x03\x62\x00";
/// AlgorithmIdentifier rsaEncryption with NULL.
const RSA: [u8; 15] = *b"\x30\x0D\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x01\x01\x05\x00";
/// INTEGER 65537, the only exponent accepted.
const EXPONENT: [u8; 5] = [0x02, 0x03, 0x01, 0x00, 0x01];

/// A public key of a TPM: an attestation key that signs, or an endorsement key that decrypts. Who holds the other half,
/// and what it may sign, is not said by the numbers: see [`super::PublicArea::attests`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TpmKey {
    numbers: Numbers,
    spki: Vec<u8>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Numbers {
    /// DER `RSAPublicKey`, and the modulus's length in bytes.
    Rsa(Vec<u8>, usize),
    /// Uncompressed point.
    P256([u8; 65]),
    /// Uncompressed point.
    P384([u8; 97]),
}

/// A signature as the TPM's schemes make them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scheme<'a> {
    Rsassa(&'a [u8]),
    Rsapss(&'a [u8]),
    EcdsaP256([u8; 64]),
    EcdsaP384([u8; 96]),
}

impl TpmKey {
    /// From SubjectPublicKeyInfo, DER: RSA of 2048 to 4096 bits with exponent 65537, P-256, or P-384, in the one
    /// encoding that DER allows.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        if let Some(point) = der.strip_prefix(&P256) {
            return Self::p256(point);
        }
        if let Some(point) = der.strip_prefix(&P384) {
            return Self::p384(point);
        }
        let modulus = rsa_modulus(der).ok_or(KeyError::Spki)?;
        // Built again and compared: another encoding of the same numbers is another key to whoever compares bytes.
        let key = Self::from_modulus(modulus)?;
        if key.spki == der { Ok(key) } else { Err(KeyError::Spki) }
    }

    /// The RSA key with this modulus, big-endian, 2048 to 4096 bits without zeros in front, and exponent 65537.
    ///
    /// # Errors
    /// [`KeyError::Modulus`].
    pub fn from_modulus(modulus: &[u8]) -> Result<Self, KeyError> {
        let bits = modulus.first().map_or(0, |first| modulus.len() * 8 - first.leading_zeros() as usize);
        let full = modulus.first().is_some_and(|first| *first != 0) && modulus.last().is_some_and(|last| last & 1 == 1);
        if !full || !(2048..=4096).contains(&bits) {
            return Err(KeyError::Modulus { bits });
        }
        let public = element(0x30, &[&integer(modulus), &EXPONENT]);
        let spki = element(0x30, &[&RSA, &element(0x03, &[&[0], &public])]);
        Ok(Self { numbers: Numbers::Rsa(public, modulus.len()), spki })
    }

    /// The P-256 key with this uncompressed point.
    pub(super) fn p256(point: &[u8]) -> Result<Self, KeyError> {
        let point = <[u8; 65]>::try_from(point).ok().filter(|point| point.first() == Some(&4)).ok_or(KeyError::Spki)?;
        Ok(Self { numbers: Numbers::P256(point), spki: [&P256[..], &point].concat() })
    }

    /// The P-384 key with this uncompressed point.
    pub(super) fn p384(point: &[u8]) -> Result<Self, KeyError> {
        let point = <[u8; 97]>::try_from(point).ok().filter(|point| point.first() == Some(&4)).ok_or(KeyError::Spki)?;
        Ok(Self { numbers: Numbers::P384(point), spki: [&P384[..], &point].concat() })
    }

    /// SubjectPublicKeyInfo, DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// DER `RSAPublicKey`, if it is an RSA key.
    pub fn rsa_public_key(&self) -> Option<&[u8]> {
        match &self.numbers {
            Numbers::Rsa(der, _) => Some(der),
            _ => None,
        }
    }

    /// Length of an RSA key's signatures in bytes; `None` for the others.
    pub(super) fn rsa_length(&self) -> Option<usize> {
        match self.numbers {
            Numbers::Rsa(_, length) => Some(length),
            _ => None,
        }
    }

    /// Length of one number of an elliptic key's signatures; `None` for RSA.
    pub(super) fn scalar_length(&self) -> Option<usize> {
        match self.numbers {
            Numbers::Rsa(..) => None,
            Numbers::P256(_) => Some(32),
            Numbers::P384(_) => Some(48),
        }
    }

    /// Checks a signature over the message as received. A scheme of another kind of key does not verify.
    pub(super) fn check(
        &self,
        message: &[u8],
        signature: &Scheme<'_>,
        crypto: &impl Crypto,
    ) -> Result<(), BadSignature> {
        match (&self.numbers, signature) {
            (Numbers::Rsa(key, _), Scheme::Rsassa(signature)) => crypto.rsa_pkcs1_sha256(key, message, signature),
            (Numbers::Rsa(key, _), Scheme::Rsapss(signature)) => crypto.rsa_pss_sha256(key, message, signature),
            (Numbers::P256(key), Scheme::EcdsaP256(signature)) => crypto.ecdsa_p256_sha256(key, message, signature),
            (Numbers::P384(key), Scheme::EcdsaP384(signature)) => crypto.ecdsa_p384_sha384(key, message, signature),
            _ => Err(BadSignature),
        }
    }
}

impl fmt::Display for TpmKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.numbers {
            Numbers::Rsa(_, length) => write!(f, "RSA-{}", length * 8),
            Numbers::P256(_) => f.write_str("P-256"),
            Numbers::P384(_) => f.write_str("P-384"),
        }
    }
}

/// Numbers that are no key we take.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not the DER of such a key.
    #[error("key: no SubjectPublicKeyInfo of RSA with exponent 65537, of P-256 or of P-384, in DER")]
    Spki,
    /// An even modulus, one with a zero in front, or of another length.
    #[error("key: an RSA modulus of {bits} bits; want 2048 to 4096, odd, and no zero byte in front")]
    Modulus {
        /// Its length.
        bits: usize,
    },
}

impl KeyError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        "give the attestation key as the TPM shows it: a public area, or SubjectPublicKeyInfo as DER or PEM"
    }
}

/// One DER element with these contents, which are shorter than 64 KiB together.
fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let [.., high, low] = length.to_be_bytes();
    let mut der = match (high, low) {
        (0, 0..=0x7F) => vec![tag, low],
        (0, _) => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    der.extend(parts.iter().copied().flatten());
    der
}

fn integer(number: &[u8]) -> Vec<u8> {
    let sign: &[u8] = if number.first().is_some_and(|first| first & 0x80 != 0) { &[0] } else { &[] };
    element(0x02, &[sign, number])
}

/// The modulus inside SubjectPublicKeyInfo of RSA. Lenient: the caller builds it again and compares.
fn rsa_modulus(der: &[u8]) -> Option<&[u8]> {
    let (outer, _) = content(0x30, der)?;
    let (bits, _) = content(0x03, outer.strip_prefix(&RSA)?)?;
    let (public, _) = content(0x30, bits.strip_prefix(&[0])?)?;
    let (modulus, _) = content(0x02, public)?;
    Some(modulus.strip_prefix(&[0]).unwrap_or(modulus))
}

/// Content of the element of this tag at the beginning, and what follows it.
fn content(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match der.strip_prefix(&[tag])? {
        [0x82, high, low, rest @ ..] => (usize::from(*high) << 8 | usize::from(*low), rest),
        [0x81, length, rest @ ..] | [length @ 0..=0x7F, rest @ ..] => (usize::from(*length), rest),
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// SubjectPublicKeyInfo of an X.509 certificate (RFC 5280, 4.1): the field behind the subject. Nothing else of the
/// certificate is looked at.
pub(super) fn spki_of_certificate(der: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = content(0x30, der)?;
    let (to_be_signed, _) = content(0x30, certificate)?;
    let (_version, rest) = content(0xA0, to_be_signed)?;
    let (_serial, rest) = content(0x02, rest)?;
    // Algorithm, issuer, dates, subject.
    let mut rest = rest;
    for _ in 0..4 {
        rest = content(0x30, rest)?.1;
    }
    let (_, after) = content(0x30, rest)?;
    rest.get(..rest.len() - after.len())
}

/// R and S of a DER `ECDSA-Sig-Value` (RFC 5480, appendix A), each as an unsigned number of at most 48 bytes; `None`
/// unless it is the one encoding of them.
pub(super) fn ecdsa_der(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (numbers, end) = content(0x30, der)?;
    let (r, rest) = content(0x02, numbers)?;
    let (s, nothing) = content(0x02, rest)?;
    let bare = |number: &'_ [u8]| number.strip_prefix(&[0]).unwrap_or(number).len();
    let (r, s) = (r.get(r.len() - bare(r)..)?, s.get(s.len() - bare(s)..)?);
    let again = element(0x30, &[&integer(r), &integer(s)]);
    (again == der && end.is_empty() && nothing.is_empty() && r.len() <= 48 && s.len() <= 48).then_some((r, s))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modulus(bytes: usize) -> Vec<u8> {
        let mut modulus = vec![0xC5; bytes];
        modulus[bytes - 1] |= 1;
        modulus
    }

    #[test]
    fn a_key_is_read_back_from_the_encoding_that_is_made_of_it() {
        for bytes in [256, 384, 512] {
            let key = TpmKey::from_modulus(&modulus(bytes)).unwrap();
            assert_eq!(TpmKey::from_spki(key.spki()).as_ref(), Ok(&key));
            assert_eq!(key.to_string(), format!("RSA-{}", bytes * 8));
        }
        let point = [&[4][..], &[7; 64]].concat();
        let key = TpmKey::p256(&point).unwrap();
        assert_eq!(TpmKey::from_spki(key.spki()), Ok(key));
        let key = TpmKey::p384(&[&[4][..], &[7; 96]].concat()).unwrap();
        assert_eq!(TpmKey::from_spki(key.spki()), Ok(key));
    }

    #[test]
    fn no_bit_of_the_frame_of_a_key_can_be_another_one() {
        let key = TpmKey::from_modulus(&modulus(256)).unwrap();
        // Everything before the number (whose sign is byte 32), and the exponent behind it.
        for at in (0..32).chain(key.spki().len() - 5..key.spki().len()) {
            for bit in 0..8 {
                let mut other = key.spki().to_vec();
                other[at] ^= 1 << bit;
                assert!(TpmKey::from_spki(&other).is_err(), "byte {at}, bit {bit}");
            }
        }
        for length in 0..key.spki().len() {
            assert!(TpmKey::from_spki(&key.spki()[..length]).is_err(), "{length}");
        }
        assert!(TpmKey::from_spki(&[key.spki(), &[0]].concat()).is_err());
    }

    #[test]
    fn the_length_of_a_modulus_has_limits_on_both_sides() {
        let mut short = modulus(256);
        short[0] = 0x7F;
        assert_eq!(TpmKey::from_modulus(&short), Err(KeyError::Modulus { bits: 2047 }));
        assert_eq!(TpmKey::from_modulus(&modulus(513)), Err(KeyError::Modulus { bits: 4104 }));
        let mut even = modulus(256);
        even[255] &= 0xFE;
        assert!(TpmKey::from_modulus(&even).is_err());
        assert!(TpmKey::from_modulus(&[&[0][..], &modulus(256)].concat()).is_err());
        assert!(TpmKey::from_modulus(&[]).is_err());
    }

    #[test]
    fn the_key_in_a_certificate_is_the_one_that_its_subject_holds() {
        let der = crate::roots::ask(crate::Product::Milan);
        let key = TpmKey::from_spki(spki_of_certificate(der).unwrap()).unwrap();
        assert_eq!(key.to_string(), "RSA-4096");
        assert_eq!(key.rsa_public_key(), crate::Certificate::parse(der).unwrap().rsa_key().ok());
        // Cut off inside the key, and before it.
        let end = der.len() - 1;
        assert!(spki_of_certificate(&der[..end]).is_none() && spki_of_certificate(&[]).is_none());
        assert_eq!(TpmKey::p256(&[&[4][..], &[7; 64]].concat()).unwrap().rsa_public_key(), None);
    }

    #[test]
    fn lengths_are_written_in_their_shortest_form() {
        let head = |length: usize| {
            let whole = element(4, &[&vec![0; length]]);
            whole[..whole.len() - length].to_vec()
        };
        assert_eq!(head(127), [4, 127]);
        assert_eq!(head(128), [4, 0x81, 128]);
        assert_eq!(head(255), [4, 0x81, 255]);
        assert_eq!(head(256), [4, 0x82, 1, 0]);
    }

    #[test]
    fn what_is_no_key_says_which_form_would_be_one() {
        let error = TpmKey::from_spki(b"no key").unwrap_err();
        assert!(error.fix().contains("SubjectPublicKeyInfo as DER or PEM"), "{}", error.fix());
    }

    #[test]
    fn a_der_signature_has_one_encoding() {
        let der = element(0x30, &[&integer(&[0x80; 32]), &integer(&[7; 31])]);
        assert_eq!(ecdsa_der(&der), Some((&[0x80; 32][..], &[7; 31][..])));
        let padded = element(0x30, &[&element(2, &[&[0, 0], &[0x80; 32]]), &integer(&[7; 31])]);
        assert_eq!(ecdsa_der(&padded), None);
        assert_eq!(ecdsa_der(&[&der[..], &[0]].concat()), None);
    }
}
