//! Ed25519 public keys that have one reading only (docs/WIRE.md, P0).

/// An Ed25519 public key: 32 bytes, canonical, not of small order.
///
/// Verifiers differ on the others (RFC 8032 section 5.1.7 leaves room), so a core that names one is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ed25519Public([u8; 32]);

/// 2²⁵⁵ − 19, little-endian.
const P: [u8; 32] = {
    let mut p = [0xff; 32];
    p[0] = 0xed;
    p[31] = 0x7f;
    p
};

/// y coordinates of the points whose order divides 8, canonical, little-endian: 1, −1, 0 and the two of order 8.
const SMALL_ORDER: [[u8; 32]; 5] = [
    [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    {
        let mut y = P;
        y[0] = 0xec;
        y
    },
    [0; 32],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

impl Ed25519Public {
    /// From its 32 bytes. `None` if they are not canonical or of small order. Whether the point is on the curve is
    /// found by the first signature check.
    pub fn new(bytes: [u8; 32]) -> Option<Self> {
        let mut y = bytes;
        if let Some(last) = y.last_mut() {
            *last &= 0x7f;
        }
        let canonical = y.iter().rev().cmp(P.iter().rev()).is_lt();
        (canonical && !SMALL_ORDER.contains(&y)).then_some(Self(bytes))
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_on_which_verifiers_differ_are_refused() {
        for y in SMALL_ORDER {
            for sign in [0, 0x80] {
                let mut bytes = y;
                bytes[31] |= sign;
                assert_eq!(Ed25519Public::new(bytes), None);
            }
        }
        // p and p + 1 read as 0 and 1 by a lax reader.
        let mut beyond = P;
        assert_eq!(Ed25519Public::new(beyond), None);
        beyond[0] += 1;
        assert_eq!(Ed25519Public::new(beyond), None);
        assert_eq!(Ed25519Public::new([0xff; 32]), None);
    }

    #[test]
    fn the_key_of_the_first_test_of_rfc_8032_is_taken() {
        let bytes = hex::decode("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a").unwrap();
        assert!(Ed25519Public::new(bytes.try_into().unwrap()).is_some());
    }
}
