//! The outermost layer of certificates and revocation lists, in strict DER: `SEQUENCE { to be signed, algorithm,
//! BIT STRING }` (RFC 5280, sections 4.1 and 5.1). No signature covers it, and general parsers let other tags and bits
//! through, by which one certificate would have many encodings.

use crate::{
    BadSignature, Crypto,
    der::{Tlv, tag},
};

/// RSASSA-PSS with SHA-384, MGF1 with SHA-384, salt 48 (RFC 4055), as AMD encodes it. The trailer field is the default:
/// the authorities' certificates spell it out all the same, the others leave it out.
const PSS: [u8; 67] = *b"\x30\x41\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x01\x0A\x30\x34\
    \xA0\x0F\x30\x0D\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\
    \xA1\x1C\x30\x1A\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x01\x08\
    \x30\x0D\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\
    \xA2\x03\x02\x01\x30";
const PSS_WITH_TRAILER: [u8; 72] = *b"\x30\x46\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x01\x0A\x30\x39\
    \xA0\x0F\x30\x0D\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\
    \xA1\x1C\x30\x1A\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x01\x08\
    \x30\x0D\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\
    \xA2\x03\x02\x01\x30\xA3\x03\x02\x01\x01";

/// The three parts, as received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignedObject<'a> {
    to_be_signed: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> SignedObject<'a> {
    /// `None` unless the bytes are exactly such an object.
    pub(crate) fn parse(der: &'a [u8]) -> Option<Self> {
        let (outer, rest) = Tlv::read(der)?;
        let (to_be_signed, parts) = Tlv::read(outer.content)?;
        let (algorithm, parts) = Tlv::read(parts)?;
        let (signature, end) = Tlv::read(parts)?;
        let tags = [outer.tag, to_be_signed.tag, algorithm.tag, signature.tag];
        // No bits left over in the last byte.
        let (unused, signature) = signature.content.split_first()?;
        // The algorithm's own form.
        let is_whole = algorithm.is_whole();
        (is_whole
            && tags == [tag::SEQUENCE, tag::SEQUENCE, tag::SEQUENCE, tag::BIT_STRING]
            && *unused == 0
            && rest.is_empty()
            && end.is_empty())
        .then_some(Self { to_be_signed: to_be_signed.whole, algorithm: algorithm.whole, signature })
    }

    /// What is signed, whole.
    pub(crate) fn signed_part(&self) -> &'a [u8] {
        self.to_be_signed
    }

    /// Is the algorithm AMD's, and does the signed part name the same one?
    pub(crate) fn is_amd_pss(&self) -> bool {
        let named_inside = || {
            // Version and serial number come before it in a certificate, the version in a list.
            let (outer, _) = Tlv::read(self.to_be_signed)?;
            let mut rest = outer.content;
            loop {
                let (part, after) = Tlv::read(rest)?;
                if part.tag == tag::SEQUENCE {
                    return Some(part.whole);
                }
                rest = after;
            }
        };
        (self.algorithm == PSS || self.algorithm == PSS_WITH_TRAILER) && named_inside() == Some(self.algorithm)
    }

    /// Checks the signature, over the bytes as received.
    pub(crate) fn check(&self, key: &[u8], crypto: &impl Crypto) -> Result<(), BadSignature> {
        crypto.rsa_pss_sha384(key, self.to_be_signed, self.signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Product, roots};

    #[test]
    fn the_outer_layer_has_one_encoding() {
        let ask = roots::ask(Product::Milan);
        assert!(SignedObject::parse(ask).is_some_and(|object| object.is_amd_pss()));
        let end = SignedObject::parse(ask).unwrap();
        let before_signature = ask.len() - end.signature.len();
        let algorithm = before_signature - 5 - end.algorithm.len();
        for at in (0..4).chain(algorithm..before_signature) {
            for bit in 0..8 {
                let mut flipped = ask.to_vec();
                flipped[at] ^= 1 << bit;
                let accepted = SignedObject::parse(&flipped).is_some_and(|object| object.is_amd_pss());
                assert!(!accepted, "byte {at}, bit {bit}");
            }
        }
    }
}
