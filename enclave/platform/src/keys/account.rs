//! secp256k1 keys: one pays for settling transactions, one signs receipts.

use std::fmt;

use gate::ledger::{Address, FeePayer, Word};
use k256::ecdsa::SigningKey;
use sha3::{Digest, Keccak256};

use crate::Secret;

struct Account {
    key: SigningKey,
    address: Address,
}

impl Account {
    fn new(scalar: &Secret<[u8; 32]>) -> Option<Self> {
        let key = signing_key(scalar)?;
        let point = key.verifying_key().to_encoded_point(false);
        // The last 20 bytes of Keccak-256 over x ‖ y (Ethereum yellow paper, appendix F).
        let hash = Keccak256::digest(point.as_bytes().get(1..)?);
        let address = hash.get(12..)?.try_into().ok()?;
        Some(Self { key, address })
    }

    /// r ‖ s ‖ y, deterministic (RFC 6979 with SHA-256), s in the lower half.
    fn sign(&self, digest: &Word) -> [u8; 65] {
        #[expect(clippy::expect_used, reason = "fails only for digests shorter than 16 bytes or a nonce of 2^-128")]
        let (signature, recovery) = self.key.sign_prehash_recoverable(digest).expect("32 bytes");
        let mut out = [0; 65];
        let bytes = signature.to_bytes();
        for (slot, byte) in out.iter_mut().zip(bytes.iter().chain([&u8::from(recovery.is_y_odd())])) {
            *slot = *byte;
        }
        out
    }
}

/// Whether it is a number from 1 to the order of secp256k1 less 1.
pub(super) fn is_key(scalar: &Secret<[u8; 32]>) -> bool {
    signing_key(scalar).is_some()
}

fn signing_key(scalar: &Secret<[u8; 32]>) -> Option<SigningKey> {
    scalar.expose(|scalar| SigningKey::from_slice(scalar).ok())
}

/// Pays gas: signs settling transactions and nothing else. Holds nobody's money but the operator's gas.
pub struct FeePayerKey(Account);

impl FeePayerKey {
    pub(crate) fn new(scalar: &Secret<[u8; 32]>) -> Option<Self> {
        Account::new(scalar).map(Self)
    }
}

impl FeePayer for FeePayerKey {
    fn address(&self) -> Address {
        self.0.address
    }

    fn sign_transaction(&self, signing_hash: &Word) -> [u8; 65] {
        self.0.sign(signing_hash)
    }
}

impl fmt::Debug for FeePayerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FeePayerKey(..)")
    }
}

/// Signs EIP-712 receipts and nothing else.
pub struct ReceiptKey(Account);

impl ReceiptKey {
    pub(crate) fn new(scalar: &Secret<[u8; 32]>) -> Option<Self> {
        Account::new(scalar).map(Self)
    }

    /// The account a receipt recovers to.
    pub fn address(&self) -> Address {
        self.0.address
    }

    /// r ‖ s ‖ v over the digest of an EIP-712 receipt; v is 27 or 28, as wallets write it, s is low.
    pub fn sign_receipt(&self, digest: &Word) -> [u8; 65] {
        let mut signature = self.0.sign(digest);
        if let Some(v) = signature.last_mut() {
            *v += 27;
        }
        signature
    }
}

impl fmt::Debug for ReceiptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReceiptKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};

    use super::*;

    fn scalar(last: u8) -> Secret<[u8; 32]> {
        let mut bytes = [0; 32];
        bytes[31] = last;
        Secret::new(bytes)
    }

    /// The accounts of private keys 1 and 2, which every Ethereum library's tests print.
    #[test]
    fn the_addresses_of_the_first_private_keys_are_the_known_ones() {
        let address = |last| hex::encode(FeePayerKey::new(&scalar(last)).expect("key").address());
        assert_eq!(address(1), "7e5f4552091a69125d5dfcb7b8c2659029395bdf");
        assert_eq!(address(2), "2b5ad5c4795c026514f8317c7a215e218dccd6cf");
    }

    /// RFC 6979 over secp256k1: private key 1, SHA-256("Satoshi Nakamoto"), the vector that wallets share.
    #[test]
    fn a_signature_is_the_deterministic_one() {
        let digest = sha2::Sha256::digest(b"Satoshi Nakamoto").into();
        let signature = FeePayerKey::new(&scalar(1)).expect("key").sign_transaction(&digest);
        assert_eq!(
            hex::encode(&signature[..64]),
            "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8\
             2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5"
        );
    }

    #[test]
    fn every_signature_is_low_and_recovers_to_its_account() {
        let (payer, receipts) = (FeePayerKey::new(&scalar(7)).expect("key"), ReceiptKey::new(&scalar(8)).expect("key"));
        let mut seen = [0; 2];
        for round in 0..64_u8 {
            let digest: Word = sha2::Sha256::digest([round]).into();
            let signature = payer.sign_transaction(&digest);
            assert_eq!(recovered(&digest, &signature[..64], signature[64]), payer.address());
            seen[usize::from(signature[64])] += 1;
            let receipt = receipts.sign_receipt(&digest);
            assert_eq!(recovered(&digest, &receipt[..64], receipt[64] - 27), receipts.address());
        }
        assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
    }

    fn recovered(digest: &Word, signature: &[u8], y: u8) -> Address {
        let signature = Signature::from_slice(signature).expect("r and s");
        assert!(signature.normalize_s().is_none(), "s is high");
        let recovery = RecoveryId::from_byte(y).expect("0 or 1");
        let key = VerifyingKey::recover_from_prehash(digest, &signature, recovery).expect("a key");
        let hash = Keccak256::digest(&key.to_encoded_point(false).as_bytes()[1..]);
        hash[12..].try_into().expect("20 bytes")
    }

    #[test]
    fn neither_key_prints() {
        let printed = format!("{:?} {:?}", FeePayerKey::new(&scalar(1)), ReceiptKey::new(&scalar(1)));
        assert_eq!(printed, "Some(FeePayerKey(..)) Some(ReceiptKey(..))");
    }
}
