//! Wallets as text (EIP-55), the digest of a personal message (EIP-191, version 0x45) and who signed it.
//!
//! One signature has one spelling here: 65 bytes `r || s || v`, `1 <= r < n`, `1 <= s <= n/2`, `v` 27 or 28. Libraries
//! take more (high s, v 0 and 1, a trailing byte), and each of those is a second text for the same signature.

use std::fmt;

use evidence::Wallet;
use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use sha3::{Digest, Keccak256};

/// A text that is not a wallet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WalletTextError {
    /// Not `0x` and 40 hexadecimal digits.
    Form,
    /// The letters are of both cases, and not those of EIP-55: a digit was mistyped.
    Checksum,
}

impl fmt::Display for WalletTextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "wallet address: want 0x and 40 hexadecimal digits",
            Self::Checksum => "wallet address: its checksum (EIP-55) is wrong, so a digit is",
        })
    }
}

impl std::error::Error for WalletTextError {}

/// No valid signature of anybody.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BadSignature;

impl fmt::Display for BadSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no valid signature: want 65 bytes r, s, v with low s and v 27 or 28")
    }
}

impl std::error::Error for BadSignature {}

/// Keccak-256, the one before SHA-3.
pub fn keccak256(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}

/// The wallet with the checksum of EIP-55 in the case of its letters.
pub fn checksummed(wallet: Wallet) -> String {
    let lower = hex::encode(wallet.as_bytes());
    let nibbles = keccak256(lower.as_bytes()).into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let digits = lower.chars().zip(nibbles).map(|(digit, n)| if n >= 8 { digit.to_ascii_uppercase() } else { digit });
    "0x".chars().chain(digits).collect()
}

/// Reads a wallet: letters all lower, all upper, or with the right checksum.
///
/// # Errors
/// [`WalletTextError`].
pub fn parse_wallet(text: &str) -> Result<Wallet, WalletTextError> {
    let wallet: Wallet = text.parse().map_err(|_| WalletTextError::Form)?;
    let digits = text.get(2..).unwrap_or_default();
    let one_case = !digits.bytes().any(|c| c.is_ascii_uppercase()) || !digits.bytes().any(|c| c.is_ascii_lowercase());
    if one_case || checksummed(wallet) == text { Ok(wallet) } else { Err(WalletTextError::Checksum) }
}

/// What `personal_sign` signs: keccak-256 of `0x19 "Ethereum Signed Message:" LF`, the length in decimal, the message.
pub fn personal_digest(message: &[u8]) -> [u8; 32] {
    let mut hasher = Keccak256::new();
    hasher.update(b"\x19Ethereum Signed Message:\n");
    hasher.update(message.len().to_string().as_bytes());
    hasher.update(message);
    hasher.finalize().into()
}

/// Who made this signature over `digest`.
///
/// # Errors
/// [`BadSignature`]: not the one spelling above, or of no key at all.
pub fn recover(digest: &[u8; 32], signature: &[u8]) -> Result<Wallet, BadSignature> {
    let signature: &[u8; 65] = signature.try_into().map_err(|_| BadSignature)?;
    let (rs, v) = signature.split_at(64);
    let id = match v {
        [27] => RecoveryId::new(false, false),
        [28] => RecoveryId::new(true, false),
        _ => return Err(BadSignature),
    };
    let rs = Signature::from_slice(rs).map_err(|_| BadSignature)?;
    if rs.normalize_s().is_some() {
        return Err(BadSignature);
    }
    let key = VerifyingKey::recover_from_prehash(digest, &rs, id).map_err(|_| BadSignature)?;
    let point = key.to_encoded_point(false);
    let hash = keccak256(point.as_bytes().get(1..).ok_or(BadSignature)?);
    hash.last_chunk::<20>().map(|bytes| Wallet::new(*bytes)).ok_or(BadSignature)
}

/// Who signed `message` with `personal_sign`; the signature is `0x` and 130 hexadecimal digits.
///
/// # Errors
/// [`BadSignature`].
pub fn recover_personal(message: &[u8], signature: &str) -> Result<Wallet, BadSignature> {
    recover(&personal_digest(message), &signature_bytes(signature)?)
}

/// The 65 bytes of a signature written as `0x` and 130 hexadecimal digits.
fn signature_bytes(text: &str) -> Result<[u8; 65], BadSignature> {
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 130).ok_or(BadSignature)?;
    let mut bytes = [0; 65];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| BadSignature)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPELLED: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

    #[test]
    fn a_wallet_is_read_in_one_case_or_with_its_checksum() {
        let wallet = parse_wallet(SPELLED).unwrap();
        assert_eq!(checksummed(wallet), SPELLED);
        let digits = &SPELLED[2..];
        assert_eq!(parse_wallet(&format!("0x{}", digits.to_lowercase())), Ok(wallet));
        assert_eq!(parse_wallet(&format!("0x{}", digits.to_uppercase())), Ok(wallet));
        assert_eq!(parse_wallet(&SPELLED.replace("5aA", "5AA")), Err(WalletTextError::Checksum));
        for text in ["", "0x", digits, &SPELLED[..41], &format!("{SPELLED}0"), &SPELLED.replacen("0x", "0X", 1)] {
            assert_eq!(parse_wallet(text), Err(WalletTextError::Form), "{text:?}");
        }
    }
}
