//! A public key as SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7; RFC 8017 appendix A.1; RFC 5480).

use p256::pkcs8::{
    ObjectIdentifier,
    der::{
        self, AnyRef, Encode, Tag,
        asn1::{BitStringRef, Null, UintRef},
    },
    spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef},
};

use crate::TpmError;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// Curves that a TPM's key may be on here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Curve {
    P256,
    P384,
}

/// The numbers of a public key, big-endian, as a TPM or a JWK holds them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum PublicKey {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    Ecc { curve: Curve, x: Vec<u8>, y: Vec<u8> },
}

impl PublicKey {
    /// DER. The numbers are encoded, not judged: a point that is on no curve stays one.
    pub(crate) fn spki(&self) -> Result<Vec<u8>, TpmError> {
        self.encoded().map_err(|_| TpmError::Wrong { what: "a public key that cannot be encoded" })
    }

    fn encoded(&self) -> der::Result<Vec<u8>> {
        match self {
            Self::Rsa { modulus, exponent } => {
                let numbers = [UintRef::new(modulus)?.to_der()?, UintRef::new(exponent)?.to_der()?].concat();
                let key = AnyRef::new(Tag::Sequence, &numbers)?.to_der()?;
                spki(RSA, AnyRef::from(Null), &key)
            }
            Self::Ecc { curve, x, y } => {
                let (curve, width) = match curve {
                    Curve::P256 => (&P256, 32),
                    Curve::P384 => (&P384, 48),
                };
                let point = [vec![0x04], wide(x, width)?, wide(y, width)?].concat();
                spki(EC, AnyRef::from(curve), &point)
            }
        }
    }
}

fn spki(oid: ObjectIdentifier, parameters: AnyRef<'_>, key: &[u8]) -> der::Result<Vec<u8>> {
    let algorithm = AlgorithmIdentifierRef { oid, parameters: Some(parameters) };
    SubjectPublicKeyInfoRef { algorithm, subject_public_key: BitStringRef::from_bytes(key)? }.to_der()
}

/// A coordinate at full width: TPMs may leave leading zeros out.
fn wide(number: &[u8], width: usize) -> der::Result<Vec<u8>> {
    let missing = width.checked_sub(number.len()).ok_or(der::ErrorKind::Overlength)?;
    Ok([vec![0; missing], number.to_vec()].concat())
}

#[cfg(test)]
mod tests {
    use p256::pkcs8::EncodePublicKey;

    use super::*;

    #[test]
    fn a_p256_key_is_encoded_as_other_software_encodes_it() {
        let secret = p256::SecretKey::from_slice(&[7; 32]).expect("a scalar");
        let expected = secret.public_key().to_public_key_der().expect("encoded").into_vec();
        let point = expected.get(27..).expect("the point follows the algorithm");
        let key = PublicKey::Ecc { curve: Curve::P256, x: point[..32].to_vec(), y: point[32..].to_vec() };
        assert_eq!(key.spki().expect("encoded"), expected);
    }

    #[test]
    fn leading_zeros_are_restored_and_never_cut() {
        let key = |x: &[u8]| PublicKey::Ecc { curve: Curve::P384, x: x.to_vec(), y: vec![1; 48] };
        assert_eq!(key(&[9; 47]).spki().expect("short"), key(&[&[0][..], &[9; 47]].concat()).spki().expect("full"));
        assert!(key(&[9; 49]).spki().is_err());
    }

    #[test]
    fn an_rsa_modulus_is_a_positive_number() {
        let spki = PublicKey::Rsa { modulus: vec![0x80; 256], exponent: vec![1, 0, 1] }.spki().expect("encoded");
        // 0x82 0x0101: 257 bytes, the first of them zero.
        assert!(spki.windows(6).any(|six| six == [0x02, 0x82, 0x01, 0x01, 0x00, 0x80]));
        assert_eq!(spki.len(), 294);
        let padded = PublicKey::Rsa { modulus: [vec![0], vec![0x80; 256]].concat(), exponent: vec![0, 1, 0, 1] };
        assert_eq!(padded.spki().expect("encoded"), spki, "the same number is the same key");
    }
}
