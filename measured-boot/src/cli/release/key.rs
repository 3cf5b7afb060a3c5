//! Release keys as they are given: public ones as hexadecimal or PEM, private ones as PKCS#8 PEM.

use std::path::Path;

use ed25519_dalek::{
    SigningKey, VerifyingKey,
    pkcs8::{DecodePrivateKey as _, DecodePublicKey as _},
};
use evidence::Ed25519Public;
use zeroize::Zeroizing;

use crate::cli::{Stop, files::read};

/// A key's file has some hundred bytes.
const MAX_KEY_BYTES: usize = 16 * 1024;

/// 64 hexadecimal digits, or a file with the public key in PEM; `folder` is where its name starts from.
pub(super) fn public(text: &str, folder: &Path) -> Result<Ed25519Public, Stop> {
    const FIX: &str = "give 64 hexadecimal digits, or a file (openssl pkey -in release.pem -pubout -out public.pem)";
    let bytes = match hex::decode(text) {
        Ok(bytes) => bytes.try_into().map_err(|_| Stop::usage(text, "want 64 hexadecimal digits", FIX))?,
        Err(_) => {
            let pem = String::from_utf8(read(&folder.join(text), MAX_KEY_BYTES)?).unwrap_or_default();
            let key = VerifyingKey::from_public_key_pem(&pem);
            key.map_err(|_| Stop::usage(text, "no Ed25519 public key in PEM", FIX))?.to_bytes()
        }
    };
    Ed25519Public::new(bytes).ok_or_else(|| Stop::usage(text, "no canonical Ed25519 key of full order", FIX))
}

/// The private key in a file. It is wiped from memory when the value is dropped.
pub(super) fn private(path: &Path) -> Result<SigningKey, Stop> {
    const FIX: &str = "name an Ed25519 key: openssl genpkey -algorithm ed25519 -out release.pem";
    let bytes = Zeroizing::new(read(path, MAX_KEY_BYTES)?);
    // What the library says could quote the key.
    let key = std::str::from_utf8(&bytes).ok().and_then(|pem| SigningKey::from_pkcs8_pem(pem).ok());
    key.ok_or_else(|| Stop::usage(path.display(), "no Ed25519 key in PKCS#8 PEM", FIX))
}
