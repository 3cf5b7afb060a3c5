//! The key of rows at rest.

use evidence::tag;
use gate::keep::{RowCipher, StoreError};

use crate::{
    Secret,
    aead::{self, SealError},
};

/// Seals rows: AES-256-GCM, nonce ‖ ciphertext ‖ tag, additional data T("sealgate/row/v1", table, key, u64(version)).
#[derive(Debug)]
pub struct RowKey(Secret<[u8; 32]>);

impl RowKey {
    pub(crate) fn new(key: Secret<[u8; 32]>) -> Self {
        Self(key)
    }
}

impl RowCipher for RowKey {
    fn seal(&self, table: &str, key: &[u8], version: u64, body: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.0.expose(|row| aead::seal(row, &place(table, key, version), body)).map_err(|error| {
            let why = match error {
                SealError::Randomness(error) => error.to_string(),
                SealError::TooLong => "a row is longer than AES-GCM takes".to_owned(),
            };
            StoreError::Unavailable { why }
        })
    }

    fn open(&self, table: &'static str, key: &[u8], version: u64, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        let opened = self.0.expose(|row| aead::open(row, &place(table, key, version), sealed));
        opened.map(|body| body.expose(Vec::clone)).ok_or(StoreError::Damaged { table })
    }
}

fn place(table: &str, key: &[u8], version: u64) -> Vec<u8> {
    evidence::t(tag::ROW, &[table.as_bytes(), key, &version.to_be_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> RowKey {
        RowKey::new(Secret::new([0x42; 32]))
    }

    /// Python: `AESGCM(b"\x42" * 32).encrypt(bytes(range(12)), b"the body", T("sealgate/row/v1", b"journal",
    /// b"\x01" * 32, (7).to_bytes(8, "big")))` of `cryptography`, the nonce in front.
    const SEALED: &str = "000102030405060708090a0b71b6f4fdd3439672164b5433851c376e1de97f7a894eade9";

    #[test]
    fn what_another_library_sealed_opens() {
        let sealed = hex::decode(SEALED).expect("hex");
        assert_eq!(key().open("journal", &[1; 32], 7, &sealed), Ok(b"the body".to_vec()));
    }

    #[test]
    fn a_row_opens_in_its_own_place_only() {
        let sealed = key().seal("journal", &[1; 32], 7, b"the body").expect("sealed");
        assert_eq!(key().open("journal", &[1; 32], 7, &sealed), Ok(b"the body".to_vec()));
        let damaged = |table| Err(StoreError::Damaged { table });
        assert_eq!(key().open("mark", &[1; 32], 7, &sealed), damaged("mark"));
        assert_eq!(key().open("journal", &[2; 32], 7, &sealed), damaged("journal"));
        assert_eq!(key().open("journal", &[1; 32], 8, &sealed), damaged("journal"));
        let other = RowKey::new(Secret::new([0x43; 32]));
        assert_eq!(other.open("journal", &[1; 32], 7, &sealed), damaged("journal"));
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key().open("journal", &[1; 32], 7, &flipped), damaged("journal"), "bit {bit}");
        }
    }

    #[test]
    fn two_sealings_of_one_body_differ_and_the_key_does_not_print() {
        let seal = || key().seal("mark", &[1; 32], 1, b"").expect("sealed");
        assert_ne!(seal(), seal());
        assert_eq!(format!("{:?}", key()), "RowKey(Secret(..))");
    }
}
