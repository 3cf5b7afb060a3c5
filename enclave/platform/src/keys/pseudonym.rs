//! The key of pseudonyms: what lies at rest names a wallet, a token or a payment only through it.

use evidence::tag;
use gate::keep::Pseudonyms;

use crate::Secret;

/// Makes pseudonyms.
#[derive(Debug)]
pub struct PseudonymKey(Secret<[u8; 32]>);

impl PseudonymKey {
    pub(crate) fn new(key: Secret<[u8; 32]>) -> Self {
        Self(key)
    }
}

impl Pseudonyms for PseudonymKey {
    fn of(&self, kind: &str, value: &[u8]) -> [u8; 32] {
        self.0.expose(|key| evidence::mac(key, tag::PSEUDONYM, &[kind.as_bytes(), value]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Python: `hmac.new(b"\x21" * 32, T("sealgate/pseudonym/v1", b"wallet", b"\xab" * 20), "sha256")`, T as in
    /// docs/WIRE.md, P0.
    #[test]
    fn a_pseudonym_is_the_framed_hmac() {
        let key = PseudonymKey::new(Secret::new([0x21; 32]));
        assert_eq!(
            hex::encode(key.of("wallet", &[0xAB; 20])),
            "0e025f8f001d86c420ef3818710f85b5d438c3f3d531cd295bb8e271cb66a5cd"
        );
    }

    #[test]
    fn kinds_and_keys_do_not_meet() {
        let (one, two) = (PseudonymKey::new(Secret::new([1; 32])), PseudonymKey::new(Secret::new([2; 32])));
        assert_eq!(one.of("wallet", b"x"), one.of("wallet", b"x"));
        assert_ne!(one.of("wallet", b"x"), one.of("token", b"x"));
        assert_ne!(one.of("wallet", b"x"), two.of("wallet", b"x"));
        assert_ne!(one.of("walletx", b""), one.of("wallet", b"x"));
        assert_eq!(format!("{one:?}"), "PseudonymKey(Secret(..))");
    }
}
