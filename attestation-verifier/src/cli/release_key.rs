//! Release keys, as they are named on the command line.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use evidence::Ed25519Public;

use super::{Usage, files};

/// SubjectPublicKeyInfo of an Ed25519 key (RFC 8410) is this and 32 bytes.
const SPKI_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// What to do if a key cannot be read.
pub(crate) const HOW: &str = "give 64 hexadecimal digits, or a file with the public key in PEM \
    (openssl pkey -in release.pem -pubout); get it from the publisher by another way than the gateway";

/// Keys, none of them twice.
pub(crate) fn read_all(named: &[String]) -> Result<Vec<Ed25519Public>, Usage> {
    let mut keys = Vec::new();
    for text in named {
        let key = read(text)?;
        if keys.contains(&key) {
            return Err(Usage::new(format!("--release-key {text}: named twice"), "name each key once"));
        }
        keys.push(key);
    }
    Ok(keys)
}

fn read(text: &str) -> Result<Ed25519Public, Usage> {
    let refuse = |why: &str| Usage::new(format!("--release-key {text}: {why}"), HOW);
    let bytes: [u8; 32] = match hex::decode(text) {
        Ok(bytes) => bytes.try_into().map_err(|_| refuse("want 64 hexadecimal digits"))?,
        Err(_) => {
            let pem = files::read("--release-key", Path::new(text)).map_err(|usage| usage.or(HOW))?;
            spki(&pem).ok_or_else(|| refuse("no Ed25519 public key in PEM"))?
        }
    };
    Ed25519Public::new(bytes).ok_or_else(|| refuse("no canonical Ed25519 key of full order"))
}

/// The key in one PEM block `PUBLIC KEY`.
fn spki(pem: &[u8]) -> Option<[u8; 32]> {
    let text = std::str::from_utf8(pem).ok()?.trim();
    let body = text.strip_prefix("-----BEGIN PUBLIC KEY-----")?.strip_suffix("-----END PUBLIC KEY-----")?;
    let der = STANDARD.decode(body.split_ascii_whitespace().collect::<String>()).ok()?;
    der.strip_prefix(&SPKI_HEAD)?.try_into().ok()
}
