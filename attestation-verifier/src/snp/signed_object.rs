//! The outermost layer of certificates and revocation lists, in strict DER: `SEQUENCE { to be signed, algorithm,
//! BIT STRING }` (RFC 5280, sections 4.1 and 5.1). No signature covers it, and general parsers let other tags and bits
//! through, by which one certificate would have many encodings.

use crate::{BadSignature, Crypto};

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

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;

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
        (tags == [SEQUENCE, SEQUENCE, SEQUENCE, BIT_STRING] && *unused == 0 && rest.is_empty() && end.is_empty())
            .then_some(Self { to_be_signed: to_be_signed.whole, algorithm: algorithm.whole, signature })
    }

    /// Is the algorithm AMD's, and does the signed part name the same one?
    pub(crate) fn is_amd_pss(&self) -> bool {
        let named_inside = || {
            // Version and serial number come before it in a certificate, the version in a list.
            let (outer, _) = Tlv::read(self.to_be_signed)?;
            let mut rest = outer.content;
            loop {
                let (part, after) = Tlv::read(rest)?;
                if part.tag == SEQUENCE {
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

/// One DER element.
struct Tlv<'a> {
    tag: u8,
    content: &'a [u8],
    whole: &'a [u8],
}

impl<'a> Tlv<'a> {
    /// The first element and what follows it. Lengths in their shortest form, up to 16 MiB.
    fn read(der: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (header, length) = match *der {
            [_, short @ 0..=0x7F, ..] => (2, usize::from(short)),
            [_, 0x81, a @ 0x80..=0xFF, ..] => (3, usize::from(a)),
            [_, 0x82, a @ 1..=0xFF, b, ..] => (4, usize::from(a) << 8 | usize::from(b)),
            [_, 0x83, a @ 1..=0xFF, b, c, ..] => (5, usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)),
            _ => return None,
        };
        let (whole, rest) = der.split_at_checked(header + length)?;
        Some((Self { tag: *der.first()?, content: whole.get(header..)?, whole }, rest))
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

    #[test]
    fn lengths_are_shortest_and_inside() {
        assert!(Tlv::read(&[0x30, 0x81, 0x7F]).is_none());
        assert!(Tlv::read(&[0x30, 0x82, 0x00, 0x80]).is_none());
        assert!(Tlv::read(&[0x30, 0x80]).is_none());
        assert!(Tlv::read(&[0x30, 0x01]).is_none());
        assert!(Tlv::read(&[]).is_none());
        let (tlv, rest) = Tlv::read(&[0x04, 0x01, 9, 8]).unwrap();
        assert_eq!((tlv.tag, tlv.content, tlv.whole, rest), (4, &[9][..], &[4, 1, 9][..], &[8][..]));
    }
}
