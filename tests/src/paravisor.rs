//! Azure's paravisor in software: a key like its own in a TPM, and its blob around a report of the software processor.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Duration,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use software_psp::SoftwarePsp;
use tempfile::TempDir;

use crate::{
    opened_processor,
    tpm::{Swtpm, tool_at},
};

/// Attributes of Azure's key.
pub const FIT: &str = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|sign";

/// Keeps an RSA-2048 key at a persistent handle, as the paravisor does.
pub fn keep_a_key(tpm: &Swtpm, attributes: &str, handle: &str) {
    let dir = TempDir::new().expect("directory");
    let context = dir.path().join("ak.ctx").display().to_string();
    let scheme = if attributes.contains("sign") { "rsa2048:rsassa-sha256:null" } else { "rsa2048:aes128cfb" };
    let key = ["-Q", "-C", "e", "-g", "sha256", "-G", scheme, "-a", attributes, "-c", &context];
    tpm.tool("tpm2_createprimary", &key);
    tpm.tool("tpm2_evictcontrol", &["-Q", "-C", "o", "-c", &context, handle]);
    tpm.tool("tpm2_flushcontext", &["-t"]);
}

/// The key kept at a handle, SubjectPublicKeyInfo.
pub fn kept_key(tpm: &Swtpm, handle: &str) -> Vec<u8> {
    let dir = TempDir::new().expect("directory");
    let file = dir.path().join("ak.der").display().to_string();
    tpm.tool("tpm2_readpublic", &["-Q", "-c", handle, "-f", "der", "-o", &file]);
    fs::read(file).expect("written")
}

/// Defines the paravisor's two indices, as after somebody's first question.
pub fn prepare(tpm: &Swtpm) {
    let dir = TempDir::new().expect("directory");
    let zeros = dir.path().join("zeros");
    fs::write(&zeros, [0; 64]).expect("written");
    for (size, index) in [("2048", "0x01400001"), ("64", "0x01400002")] {
        tpm.tool("tpm2_nvdefine", &["-Q", "-C", "o", "-s", size, index]);
    }
    tpm.tool("tpm2_nvwrite", &["-Q", "-C", "o", "-i", &zeros.display().to_string(), "0x01400002"]);
}

/// Answers as the paravisor does, until `done`: what is written to one index is repeated by the blob in the other. Asks
/// the TPM at `tcti` with its own tools, between the connections of others.
pub fn answers(tcti: &str, ak: &[u8; 256], done: &AtomicBool) {
    let dir = TempDir::new().expect("directory");
    let (asked_file, blob_file) = (dir.path().join("asked"), dir.path().join("blob"));
    let (psp, mut answered) = (opened_processor(), None);
    while !done.load(Relaxed) {
        tool_at(tcti, "tpm2_nvread", &["-C", "o", "0x01400002", "-o", &asked_file.display().to_string()]);
        let asked: Option<[u8; 64]> = fs::read(&asked_file).expect("written").try_into().ok();
        if asked.is_some() && asked != answered {
            fs::write(&blob_file, blob(&psp, &claims(ak, None, asked.as_ref()), 2048)).expect("written");
            tool_at(tcti, "tpm2_nvwrite", &["-Q", "-C", "o", "-i", &blob_file.display().to_string(), "0x01400001"]);
            answered = asked;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// SubjectPublicKeyInfo of an RSA-2048 key with exponent 65,537.
pub fn spki(modulus: &[u8; 256]) -> Vec<u8> {
    let head = hex::decode("30820122300d06092a864886f70d01010105000382010f003082010a0282010100").expect("hex");
    [&head[..], modulus, &[0x02, 0x03, 0x01, 0x00, 0x01]].concat()
}

/// The modulus in one.
pub fn modulus(spki: &[u8]) -> [u8; 256] {
    spki[33..289].try_into().expect("RSA-2048")
}

fn jwk(name: &str, modulus: &[u8; 256]) -> Value {
    let n = BASE64_URL_SAFE_NO_PAD.encode(modulus);
    json!({"kid": name, "key_ops": ["sign"], "kty": "RSA", "e": "AQAB", "n": n})
}

/// Runtime claims as the paravisor writes them; without the endorsement key they are short enough for a software TPM.
pub fn claims(ak: &[u8; 256], ek: Option<&[u8; 256]>, user_data: Option<&[u8; 64]>) -> String {
    let keys: Vec<Value> =
        [Some(jwk("HCLAkPub", ak)), ek.map(|ek| jwk("HCLEkPub", ek))].into_iter().flatten().collect();
    let mut claims = json!({"keys": keys, "vm-configuration": {"secure-boot": true, "tpm-enabled": true}});
    if let Some(user_data) = user_data {
        claims["user-data"] = hex::encode_upper(user_data).into();
    }
    claims.to_string()
}

/// The blob around claims, its report by the software processor, padded to `size`.
pub fn blob(psp: &SoftwarePsp, claims: &str, size: usize) -> Vec<u8> {
    let mut report_data = [0; 64];
    report_data[..32].copy_from_slice(&Sha256::digest(claims));
    let report = psp.report(&psp.request(3, report_data));
    let word = |word: usize| u32::try_from(word).expect("short").to_le_bytes();
    let mut bytes = b"HCLA".to_vec();
    bytes.extend([2, 20 + 1184 + claims.len(), 2, 0, 0, 0, 0].into_iter().flat_map(word));
    bytes.extend(report);
    bytes.extend([20 + claims.len(), 1, 2, 1, claims.len()].into_iter().flat_map(word));
    bytes.extend(claims.as_bytes());
    assert!(bytes.len() <= size, "{} bytes do not fit into {size}", bytes.len());
    bytes.resize(size, 0);
    bytes
}
