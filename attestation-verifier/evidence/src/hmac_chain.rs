//! The chain of HMAC keys of one boot, anchored in its core (docs/WIRE.md, P6).

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{
    frame::{Digest, hash, mac},
    tag,
};

/// Epochs of one boot, L.
pub const LENGTH: u32 = 16_384;

/// The keys of one boot, from its sealed seed. `K_{e-1} = H("sealgate/hmac-chain/v1", instance, u32(e), K_e)`.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct HmacChain {
    #[zeroize(skip)]
    instance: [u8; 32],
    /// K_L, from which every other key comes.
    end: [u8; 32],
    #[zeroize(skip)]
    anchor: Digest,
}

impl HmacChain {
    /// `K_L = HKDF-SHA256(salt = instance, ikm = seed, info = "sealgate/hmac-seed/v1", 32)`.
    pub fn new(instance: [u8; 32], seed: &[u8; 32]) -> Self {
        let mut end = [0; 32];
        #[expect(clippy::expect_used, reason = "HKDF-SHA256 gives up to 8,160 bytes")]
        Hkdf::<Sha256>::new(Some(&instance), seed).expand(tag::HMAC_SEED.as_bytes(), &mut end).expect("32 bytes");
        let mut chain = Self { instance, end, anchor: [0; 32] };
        chain.anchor = *chain.key(0);
        chain
    }

    /// K_0, which the core names.
    pub fn anchor(&self) -> &Digest {
        &self.anchor
    }

    /// `A_e = M(K_e, "sealgate/hmac-key/v1", instance, u32(e))`, the key that tags proofs in epoch `e`.
    ///
    /// Returns `None` for epoch 0 (that key is public) and beyond [`LENGTH`].
    pub fn tag_key(&self, epoch: u32) -> Option<TagKey> {
        (1..=LENGTH).contains(&epoch).then(|| TagKey::of(&self.key(epoch), &self.instance, epoch))
    }

    fn key(&self, epoch: u32) -> zeroize::Zeroizing<[u8; 32]> {
        let mut key = zeroize::Zeroizing::new(self.end);
        for e in (epoch + 1..=LENGTH).rev() {
            *key = hash(tag::HMAC_CHAIN, &[&self.instance, &e.to_be_bytes(), &*key]);
        }
        key
    }
}

impl std::fmt::Debug for HmacChain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HmacChain(..)")
    }
}

/// A_e: tags proofs of one epoch.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct TagKey([u8; 32]);

impl TagKey {
    /// From a chain key that was revealed or is ours.
    pub fn of(chain_key: &[u8; 32], instance: &[u8; 32], epoch: u32) -> Self {
        Self(mac(chain_key, tag::HMAC_KEY, &[instance, &epoch.to_be_bytes()]))
    }

    /// `M(A_e, "sealgate/proof/v1", C, J(body))`.
    pub fn tag(&self, core: &Digest, body: &[u8]) -> Digest {
        mac(&self.0, tag::PROOF, &[core, body])
    }
}

/// Whether `key`, claimed for `epoch`, leads to `anchor` in `epoch` steps.
pub fn leads_to(anchor: &Digest, instance: &[u8; 32], epoch: u32, key: &[u8; 32]) -> bool {
    if !(1..=LENGTH).contains(&epoch) {
        return false;
    }
    let mut at = *key;
    for e in (1..=epoch).rev() {
        at = hash(tag::HMAC_CHAIN, &[instance, &e.to_be_bytes(), &at]);
    }
    subtle::ConstantTimeEq::ct_eq(&at[..], &anchor[..]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_epoch_key_leads_to_the_anchor_and_to_no_other_epoch() {
        let chain = HmacChain::new([1; 32], &[2; 32]);
        for epoch in [1, 2, 77, LENGTH] {
            let key = chain.key(epoch);
            assert!(leads_to(chain.anchor(), &[1; 32], epoch, &key));
            assert!(!leads_to(chain.anchor(), &[1; 32], epoch - 1, &key));
            assert!(!leads_to(chain.anchor(), &[3; 32], epoch, &key));
        }
        assert!(chain.tag_key(0).is_none() && chain.tag_key(LENGTH + 1).is_none());
    }

    #[test]
    fn another_boot_has_another_chain() {
        assert_ne!(HmacChain::new([1; 32], &[2; 32]).anchor(), HmacChain::new([9; 32], &[2; 32]).anchor());
    }
}
