//! Platform configuration registers of the SHA-256 bank: which ones, what they hold, what changed.

use std::fmt;

use evidence::Digest;
use sha2::{Digest as _, Sha256};

/// The registers a key is sealed to: distinct indices 0 to 15, in order, at least one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PcrSet(Vec<u8>);

/// Why a list of indices is no [`PcrSet`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PcrSetError {
    /// Sealing to nothing would seal for everybody.
    #[error("pcrs: the list is empty")]
    Empty,
    /// Listed twice.
    #[error("pcrs: {0} is listed twice")]
    Twice(u8),
    /// 16 and 23 can be reset by anyone, 17 to 22 belong to a dynamic launch, above there are none.
    #[error("pcrs: {0} cannot be sealed to, only 0 to 15 keep their values until the next boot")]
    NotStatic(u8),
}

impl PcrSet {
    /// The set for a machine that boots our image (docs, "Platform, keys and state"): boot path, Secure Boot, kernel
    /// image and its parts, shim, and 15, which is extended after unsealing so that nothing later can unseal again.
    pub fn of_our_image() -> Self {
        Self(vec![4, 7, 11, 12, 13, 14, 15])
    }

    /// The same without 15: for development, where the gateway restarts and the TPM does not.
    pub fn for_restarts() -> Self {
        Self(vec![4, 7, 11, 12, 13, 14])
    }

    /// Checks a configured list.
    ///
    /// # Errors
    /// [`PcrSetError`].
    pub fn new(indices: &[u8]) -> Result<Self, PcrSetError> {
        let mut sorted = indices.to_vec();
        sorted.sort_unstable();
        if let Some(index) = sorted.iter().find(|index| **index > 15) {
            return Err(PcrSetError::NotStatic(*index));
        }
        if let Some(pair) = sorted.windows(2).find(|pair| pair.first() == pair.last()) {
            return Err(PcrSetError::Twice(pair.first().copied().unwrap_or_default()));
        }
        if sorted.is_empty() { Err(PcrSetError::Empty) } else { Ok(Self(sorted)) }
    }

    /// The indices, ascending.
    pub fn indices(&self) -> &[u8] {
        &self.0
    }

    /// Whether `index` is in it.
    pub fn contains(&self, index: u8) -> bool {
        self.0.contains(&index)
    }

    /// TPML_PCR_SELECTION with the SHA-256 bank alone (TPM 2.0 part 2, 10.9.7).
    #[cfg(any(target_os = "linux", test))]
    pub(crate) fn selection(&self) -> [u8; 10] {
        let bits = self.0.iter().fold(0u32, |bits, index| bits | 1 << index).to_le_bytes();
        let [b0, b1, b2, _] = bits;
        [0, 0, 0, 1, 0, 0x0B, 3, b0, b1, b2]
    }
}

impl fmt::Display for PcrSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.iter().map(u8::to_string).collect();
        f.write_str(&names.join(","))
    }
}

/// Values of a set, ascending by index.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PcrValues(Vec<(u8, Digest)>);

/// One register that no longer holds what it held.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PcrChange {
    /// Its index.
    pub index: u8,
    /// What it held when the keys were sealed.
    pub sealed: Digest,
    /// What it holds.
    pub now: Digest,
}

impl PcrValues {
    pub(crate) fn new(values: Vec<(u8, Digest)>) -> Result<Self, PcrSetError> {
        let indices: Vec<u8> = values.iter().map(|(index, _)| *index).collect();
        if PcrSet::new(&indices)?.0 == indices { Ok(Self(values)) } else { Err(PcrSetError::Empty) }
    }

    /// Index and value, ascending.
    pub fn values(&self) -> &[(u8, Digest)] {
        &self.0
    }

    /// The indices.
    pub fn set(&self) -> PcrSet {
        PcrSet(self.0.iter().map(|(index, _)| *index).collect())
    }

    /// SHA-256 over the values in order: what PolicyPCR and a quote commit to.
    pub fn digest(&self) -> Digest {
        let mut hash = Sha256::new();
        for (_, value) in &self.0 {
            hash.update(value);
        }
        hash.finalize().into()
    }

    /// PolicyPCR's policy digest from a fresh session: SHA-256(0³² ‖ TPM_CC_PolicyPCR ‖ selection ‖ digest)
    /// (TPM 2.0 part 3, 23.7).
    #[cfg(any(target_os = "linux", test))]
    pub(crate) fn policy(&self) -> Digest {
        let mut hash = Sha256::new();
        hash.update([0; 32]);
        hash.update(0x17Fu32.to_be_bytes());
        hash.update(self.set().selection());
        hash.update(self.digest());
        hash.finalize().into()
    }

    /// What differs in `now`; registers that `now` lacks are left out.
    pub fn changes(&self, now: &Self) -> Vec<PcrChange> {
        let value_now = |index| now.0.iter().find(|(other, _)| *other == index).map(|(_, value)| *value);
        self.0
            .iter()
            .filter_map(|(index, sealed)| {
                let now = value_now(*index)?;
                (now != *sealed).then_some(PcrChange { index: *index, sealed: *sealed, now })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_sorted_and_free_of_doubles() {
        assert_eq!(PcrSet::new(&[15, 4, 7]).map(|set| set.to_string()), Ok("4,7,15".to_owned()));
        assert_eq!(PcrSet::new(&[4, 4]), Err(PcrSetError::Twice(4)));
        assert_eq!(PcrSet::new(&[]), Err(PcrSetError::Empty));
    }

    #[test]
    fn registers_that_anyone_can_reset_are_refused() {
        for index in 16..=255 {
            assert_eq!(PcrSet::new(&[0, index]), Err(PcrSetError::NotStatic(index)));
        }
    }

    #[test]
    fn a_selection_is_a_bitmap() {
        assert_eq!(PcrSet::of_our_image().selection(), [0, 0, 0, 1, 0, 0x0B, 3, 0x90, 0xF8, 0]);
    }

    #[test]
    fn changes_name_the_register_and_both_values() {
        let before = PcrValues(vec![(4, [0; 32]), (15, [0; 32])]);
        let after = PcrValues(vec![(4, [0; 32]), (15, [1; 32])]);
        assert_eq!(before.changes(&after), [PcrChange { index: 15, sealed: [0; 32], now: [1; 32] }]);
        assert!(before.changes(&before).is_empty());
    }
}
