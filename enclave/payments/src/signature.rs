//! Signatures of accounts without code, by the token's rules: 65 bytes, r and s in range, s low (OpenZeppelin's and
//! Circle's ECRecover). Anything else would be taken here and reverted by the token after the call ran.

use evidence::Wallet;
use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};

use crate::token::account;

/// Why a signature is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SignatureFault {
    /// Wrapped for an account that is not deployed (ERC-6492).
    Wrapped,
    /// Not 65 bytes.
    Length,
    /// r or s is out of range, s is high, or v is none of 27, 28, 0, 1.
    Form,
}

/// Last 32 bytes of an ERC-6492 signature.
const WRAPPED: [u8; 32] = [
    0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64,
    0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92, 0x64, 0x92,
];

/// A signature in the form that the token takes: r ‖ s ‖ v with v 27 or 28. Some signers write v as 0 or 1; the number
/// is not part of what is signed, so it is written as the token wants it.
///
/// # Errors
/// [`SignatureFault`].
pub(crate) fn token_form(sent: &[u8]) -> Result<[u8; 65], SignatureFault> {
    if sent.ends_with(&WRAPPED) {
        return Err(SignatureFault::Wrapped);
    }
    let mut signature: [u8; 65] = sent.try_into().map_err(|_| SignatureFault::Length)?;
    let [.., v] = &mut signature;
    *v = match *v {
        0 | 27 => 27,
        1 | 28 => 28,
        _ => return Err(SignatureFault::Form),
    };
    match parts(&signature) {
        Some(_) => Ok(signature),
        None => Err(SignatureFault::Form),
    }
}

/// Whose signature over `digest` it is.
pub(crate) fn signer(signature: &[u8; 65], digest: &[u8; 32]) -> Option<Wallet> {
    let (signature, id) = parts(signature)?;
    let key = VerifyingKey::recover_from_prehash(digest, &signature, id).ok()?;
    let point = key.to_encoded_point(false);
    point.as_bytes().get(1..).map(account)
}

fn parts(signature: &[u8; 65]) -> Option<(Signature, RecoveryId)> {
    let (rs, v) = signature.split_at(64);
    let signature = Signature::from_slice(rs).ok().filter(|signature| signature.normalize_s().is_none())?;
    let id = RecoveryId::from_byte(v.first()?.checked_sub(27)?)?;
    Some((signature, id)).filter(|(_, id)| !id.is_x_reduced())
}

#[cfg(test)]
mod tests {
    use k256::ecdsa::SigningKey;

    use super::*;

    fn signed() -> ([u8; 65], [u8; 32], Wallet) {
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        let digest = [9; 32];
        let (signature, id) = key.sign_prehash_recoverable(&digest).unwrap();
        let mut out = [0; 65];
        out[..64].copy_from_slice(&signature.to_bytes());
        out[64] = 27 + id.to_byte();
        let point = key.verifying_key().to_encoded_point(false);
        (out, digest, account(&point.as_bytes()[1..]))
    }

    #[test]
    fn a_signature_names_its_signer_whichever_way_v_is_written() {
        let (signature, digest, wallet) = signed();
        let mut short = signature;
        short[64] -= 27;
        for sent in [signature, short] {
            assert_eq!(signer(&token_form(&sent).unwrap(), &digest), Some(wallet));
        }
        assert_ne!(signer(&signature, &[8; 32]), Some(wallet));
    }

    #[test]
    fn what_the_token_would_refuse_is_refused() {
        let (signature, _, _) = signed();
        let with = |at: usize, byte: u8| {
            let mut changed = signature;
            changed[at] = byte;
            changed
        };
        for v in [2, 26, 29, 30, 35, 255] {
            assert_eq!(token_form(&with(64, v)), Err(SignatureFault::Form), "v {v}");
        }
        assert_eq!(token_form(&signature[..64]), Err(SignatureFault::Length));
        assert_eq!(token_form(&[signature.as_slice(), &[0]].concat()), Err(SignatureFault::Length));
        assert_eq!(token_form(&[signature.as_slice(), &WRAPPED].concat()), Err(SignatureFault::Wrapped));
        let mut zero = signature;
        zero[..32].fill(0);
        assert_eq!(token_form(&zero), Err(SignatureFault::Form));
        // The other s of the same point: n - s.
        let order = hex::decode("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141").unwrap();
        let mut high = signature;
        let mut borrow = 0_i16;
        for at in (0..32).rev() {
            let digit = i16::from(order[at]) - i16::from(signature[32 + at]) - borrow;
            borrow = i16::from(digit < 0);
            high[32 + at] = u8::try_from(digit.rem_euclid(256)).unwrap();
        }
        high[64] = 27 + 28 - signature[64];
        assert_eq!(token_form(&high), Err(SignatureFault::Form));
    }
}
