//! Platform configuration registers: TPM 2.0 Library Specification Part 1, "PCR operations"; initial values from the
//! TCG PC Client Platform TPM Profile, "PCR initial and reset values".

use std::{collections::BTreeMap, fmt};

use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// A hash algorithm that a TPM keeps a bank of registers for. TCG Algorithm Registry, `TPM_ALG_ID`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Bank {
    /// `TPM_ALG_SHA1`, 20 bytes. Replayed for completeness: a match proves nothing against someone who makes collisions.
    Sha1,
    /// `TPM_ALG_SHA256`, 32 bytes. The bank that quotes and sealing policies of this project use.
    Sha256,
    /// `TPM_ALG_SHA384`, 48 bytes.
    Sha384,
    /// `TPM_ALG_SHA512`, 64 bytes.
    Sha512,
}

impl Bank {
    /// Every bank this crate can replay.
    pub const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// The bank with this `TPM_ALG_ID`, if it is one of ours.
    pub fn from_algorithm_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|bank| bank.algorithm_id() == id)
    }

    /// The bank called `sha1`, `sha256`, `sha384` or `sha512`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bank| bank.name() == name)
    }

    /// `TPM_ALG_ID`.
    pub fn algorithm_id(self) -> u16 {
        match self {
            Self::Sha1 => 0x0004,
            Self::Sha256 => 0x000B,
            Self::Sha384 => 0x000C,
            Self::Sha512 => 0x000D,
        }
    }

    /// Length of a digest and of a register, in bytes.
    pub fn digest_bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The name tools use: `sha256`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// The digest of `data` in this bank's algorithm.
    pub fn hash(self, data: &[u8]) -> Digest {
        self.hash_parts(&[data])
    }

    pub(crate) fn hash_parts(self, parts: &[&[u8]]) -> Digest {
        fn run<H: sha2::Digest>(parts: &[&[u8]]) -> Vec<u8> {
            let mut hasher = H::new();
            for part in parts {
                hasher.update(part);
            }
            hasher.finalize().to_vec()
        }
        let bytes = match self {
            Self::Sha1 => run::<Sha1>(parts),
            Self::Sha256 => run::<Sha256>(parts),
            Self::Sha384 => run::<Sha384>(parts),
            Self::Sha512 => run::<Sha512>(parts),
        };
        Digest { bank: self, bytes }
    }
}

impl fmt::Display for Bank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A digest of one bank's algorithm: always exactly [`Bank::digest_bytes`] long.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Digest {
    bank: Bank,
    bytes: Vec<u8>,
}

impl Digest {
    /// The digest with these bytes, or `None` when there are not [`Bank::digest_bytes`] of them.
    pub fn from_bytes(bank: Bank, bytes: &[u8]) -> Option<Self> {
        (bytes.len() == bank.digest_bytes()).then(|| Self { bank, bytes: bytes.to_vec() })
    }

    /// The digest written as hexadecimal text of exactly twice [`Bank::digest_bytes`] characters.
    ///
    /// # Errors
    /// [`HexError`] for another length or another character.
    pub fn from_hex(bank: Bank, text: &str) -> Result<Self, HexError> {
        hex::decode(text)
            .ok()
            .and_then(|bytes| Self::from_bytes(bank, &bytes))
            .ok_or(HexError { bank, characters: text.len() })
    }

    /// Which algorithm made it.
    pub fn bank(&self) -> Bank {
        self.bank
    }

    /// The bytes, [`Bank::digest_bytes`] of them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.bytes))
    }
}

/// Text that is not a digest of its bank.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("want {} hexadecimal digits for {bank}, got {characters} characters", bank.digest_bytes() * 2)]
pub struct HexError {
    /// The bank it was to be a digest of.
    pub bank: Bank,
    /// How long the text was.
    pub characters: usize,
}

/// A register's number, 0 to 23.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PcrIndex(u8);

impl PcrIndex {
    /// The highest register of a PC Client TPM.
    pub const MAX: u8 = 23;

    /// The register with this number, if there is one.
    pub fn new(number: u32) -> Option<Self> {
        u8::try_from(number).ok().filter(|&n| n <= Self::MAX).map(Self)
    }

    /// The number, 0 to 23.
    pub fn number(self) -> u8 {
        self.0
    }

    /// Registers 17 to 22 belong to a dynamic launch: all ones until one happens.
    pub fn is_dynamic(self) -> bool {
        matches!(self.0, 17..=22)
    }
}

impl fmt::Display for PcrIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PCR {}", self.0)
    }
}

/// The locality from which `TPM2_Startup` came; PCR 0 starts with this number in its last byte. TPM 2.0 Library Part 3,
/// `TPM2_Startup`, and TCG PC Client Platform Firmware Profile, "Startup Locality Event".
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum StartupLocality {
    /// Locality 0, also what a log without a startup-locality event means.
    #[default]
    Zero,
    /// Locality 3: the static root of trust started the TPM.
    Three,
    /// Locality 4: a hardware root of trust measured before `TPM2_Startup`.
    Four,
}

impl StartupLocality {
    /// The locality with this number, if the profile allows it.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Zero, Self::Three, Self::Four].into_iter().find(|locality| locality.number() == number)
    }

    /// 0, 3 or 4.
    pub fn number(self) -> u8 {
        match self {
            Self::Zero => 0,
            Self::Three => 3,
            Self::Four => 4,
        }
    }
}

/// What one register holds.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct PcrValue(Digest);

impl PcrValue {
    /// A register of zeros.
    pub fn zero(bank: Bank) -> Self {
        Self(Digest { bank, bytes: vec![0; bank.digest_bytes()] })
    }

    /// What the register holds before anything extends it: zeros, but ones for 17 to 22, and the startup locality in
    /// the last byte of PCR 0.
    pub fn initial(bank: Bank, index: PcrIndex, locality: StartupLocality) -> Self {
        if index.is_dynamic() {
            return Self(Digest { bank, bytes: vec![0xFF; bank.digest_bytes()] });
        }
        let mut value = Self::zero(bank);
        if index.number() == 0
            && let Some(last) = value.0.bytes.last_mut()
        {
            *last = locality.number();
        }
        value
    }

    /// A register that someone read or quoted.
    pub fn from_digest(digest: Digest) -> Self {
        Self(digest)
    }

    /// `new = H(old ‖ digest)`.
    ///
    /// # Errors
    /// [`BankMismatch`] when the digest was made with another algorithm.
    pub fn extend(&self, digest: &Digest) -> Result<Self, BankMismatch> {
        if digest.bank != self.0.bank {
            return Err(BankMismatch { register: self.0.bank, digest: digest.bank });
        }
        Ok(self.extend_by(digest.as_bytes()))
    }

    /// The extend itself, for callers that chose the digest by this register's bank.
    pub(crate) fn extend_by(&self, digest: &[u8]) -> Self {
        Self(self.0.bank.hash_parts(&[&self.0.bytes, digest]))
    }

    /// Which bank the register is in.
    pub fn bank(&self) -> Bank {
        self.0.bank
    }

    /// The bytes, [`Bank::digest_bytes`] of them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl fmt::Display for PcrValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A digest of one bank met a register of another.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a {digest} digest cannot extend a {register} register")]
pub struct BankMismatch {
    /// The register's bank.
    pub register: Bank,
    /// The digest's bank.
    pub digest: Bank,
}

/// Some registers of one bank, in order of their numbers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PcrSet {
    bank: Bank,
    values: BTreeMap<PcrIndex, PcrValue>,
}

impl PcrSet {
    /// No registers yet.
    pub fn new(bank: Bank) -> Self {
        Self { bank, values: BTreeMap::new() }
    }

    /// Adds a register.
    ///
    /// # Errors
    /// [`PcrSetError`] when the value is of another bank or the register is there already.
    pub fn insert(&mut self, index: PcrIndex, value: PcrValue) -> Result<(), PcrSetError> {
        if value.bank() != self.bank {
            return Err(PcrSetError::OtherBank { index, set: self.bank, value: value.bank() });
        }
        if self.values.contains_key(&index) {
            return Err(PcrSetError::Twice { index });
        }
        self.values.insert(index, value);
        Ok(())
    }

    pub(crate) fn set(&mut self, index: PcrIndex, value: PcrValue) {
        debug_assert_eq!(value.bank(), self.bank);
        self.values.insert(index, value);
    }

    /// The bank all of them are in.
    pub fn bank(&self) -> Bank {
        self.bank
    }

    /// One register.
    pub fn value(&self, index: PcrIndex) -> Option<&PcrValue> {
        self.values.get(&index)
    }

    /// All registers, in order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (PcrIndex, &PcrValue)> {
        self.values.iter().map(|(index, value)| (*index, value))
    }

    /// How many registers are in it.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// SHA-256 over the values in order of their numbers: `pcrDigest` of a quote whose hash is SHA-256 and whose
    /// selection is exactly these registers. TPM 2.0 Library Part 2, `TPMS_QUOTE_INFO`.
    pub fn quote_digest(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for value in self.values.values() {
            hasher.update(value.as_bytes());
        }
        hasher.finalize().into()
    }
}

/// A register that does not fit into its set.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PcrSetError {
    /// A value of another bank.
    #[error("{index}: a {value} value in a set of {set} registers")]
    OtherBank {
        /// The register.
        index: PcrIndex,
        /// The set's bank.
        set: Bank,
        /// The value's bank.
        value: Bank,
    },
    /// The same register a second time.
    #[error("{index} is given twice")]
    Twice {
        /// The register.
        index: PcrIndex,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pcr(number: u32) -> PcrIndex {
        PcrIndex::new(number).unwrap()
    }

    #[test]
    fn extending_zeros_with_zeros_gives_the_value_every_idle_separator_bank_shows() {
        // SHA-256 of 64 zero bytes, and of 32 zero bytes followed by SHA-256(00000000), the EV_SEPARATOR value of
        // PCR 2 of most machines.
        let zeros = Digest::from_bytes(Bank::Sha256, &[0; 32]).unwrap();
        let once = PcrValue::zero(Bank::Sha256).extend(&zeros).unwrap();
        assert_eq!(once.to_string(), "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b");
        let separator = PcrValue::zero(Bank::Sha256).extend(&Bank::Sha256.hash(&[0; 4])).unwrap();
        assert_eq!(separator.to_string(), "3d458cfe55cc03ea1f443f1562beec8df51c75e14a9fcf9a7234a13f198e7969");
        let separator = PcrValue::zero(Bank::Sha1).extend(&Bank::Sha1.hash(&[0; 4])).unwrap();
        assert_eq!(separator.to_string(), "b2a83b0ebf2f8374299a5b2bdfc31ea955ad7236");
    }

    #[test]
    fn only_pcr_0_carries_the_startup_locality_and_only_17_to_22_start_as_ones() {
        for number in 0..=23 {
            let bytes = PcrValue::initial(Bank::Sha384, pcr(number), StartupLocality::Three).as_bytes().to_vec();
            let mut wanted = vec![if (17..=22).contains(&number) { 0xFF } else { 0 }; 48];
            if number == 0 {
                wanted[47] = 3;
            }
            assert_eq!(bytes, wanted, "PCR {number}");
        }
    }

    #[test]
    fn a_digest_of_another_bank_extends_nothing() {
        let error = PcrValue::zero(Bank::Sha256).extend(&Bank::Sha1.hash(b"x")).unwrap_err();
        assert_eq!(error, BankMismatch { register: Bank::Sha256, digest: Bank::Sha1 });
    }

    #[test]
    fn there_is_no_pcr_24_and_no_digest_of_31_bytes() {
        assert_eq!(PcrIndex::new(24), None);
        assert_eq!(PcrIndex::new(256), None);
        assert_eq!(Digest::from_bytes(Bank::Sha256, &[0; 31]), None);
        assert_eq!(
            Digest::from_hex(Bank::Sha1, "zz").unwrap_err().to_string(),
            "want 40 hexadecimal digits for sha1, got 2 characters"
        );
    }

    #[test]
    fn a_register_is_put_into_a_set_once_and_only_of_the_sets_bank() {
        let mut set = PcrSet::new(Bank::Sha256);
        set.insert(pcr(7), PcrValue::zero(Bank::Sha256)).unwrap();
        assert_eq!(set.insert(pcr(7), PcrValue::zero(Bank::Sha256)), Err(PcrSetError::Twice { index: pcr(7) }));
        assert!(matches!(set.insert(pcr(8), PcrValue::zero(Bank::Sha1)), Err(PcrSetError::OtherBank { .. })));
        assert_eq!(set.len(), 1);
    }

    #[test]
    fn a_quote_digest_is_the_hash_of_the_values_in_order_whatever_order_they_came_in() {
        let four = PcrValue::from_digest(Bank::Sha256.hash(b"4"));
        let seven = PcrValue::from_digest(Bank::Sha256.hash(b"7"));
        let mut set = PcrSet::new(Bank::Sha256);
        set.insert(pcr(7), seven.clone()).unwrap();
        set.insert(pcr(4), four.clone()).unwrap();
        let wanted = Bank::Sha256.hash(&[four.as_bytes(), seven.as_bytes()].concat());
        assert_eq!(set.quote_digest().as_slice(), wanted.as_bytes());
    }
}
