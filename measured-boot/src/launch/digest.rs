//! A launch digest as reports and tools write it.

use std::fmt;

/// SHA-384 over a launch: 48 bytes, the field MEASUREMENT of a report (AMD 56860, Table 23, offset 0x090). The chain
/// starts at zeros.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LaunchDigest([u8; 48]);

/// Text that is not a launch digest.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LaunchDigestError {
    /// Not 96 digits.
    #[error("has {found} characters, a launch digest has 96 hexadecimal digits")]
    Length {
        /// Characters found.
        found: usize,
    },
    /// A character that is not a hexadecimal digit.
    #[error("character {position} is no hexadecimal digit")]
    Digit {
        /// Counted from 0, in bytes.
        position: usize,
    },
}

impl LaunchDigest {
    /// The chain before its first page.
    pub const ZERO: Self = Self([0; 48]);

    /// Of these bytes.
    pub fn from_bytes(bytes: [u8; 48]) -> Self {
        Self(bytes)
    }

    /// Of 96 hexadecimal digits.
    ///
    /// # Errors
    /// Another length, or another character.
    pub fn from_hex(text: &str) -> Result<Self, LaunchDigestError> {
        if let Some(position) = text.bytes().position(|byte| !byte.is_ascii_hexdigit()) {
            return Err(LaunchDigestError::Digit { position });
        }
        let mut bytes = [0; 48];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| LaunchDigestError::Length { found: text.len() })?;
        Ok(Self(bytes))
    }

    /// The 48 bytes.
    pub fn as_bytes(&self) -> &[u8; 48] {
        &self.0
    }
}

impl fmt::Display for LaunchDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for LaunchDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LaunchDigest({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_another_length_or_with_another_character_is_no_digest() {
        let text = "0f".repeat(48);
        assert_eq!(LaunchDigest::from_hex(&text).unwrap().to_string(), text);
        for wrong in ["0f".repeat(47), "0f".repeat(49), "0".repeat(95), String::new()] {
            assert_eq!(LaunchDigest::from_hex(&wrong), Err(LaunchDigestError::Length { found: wrong.len() }));
        }
        assert_eq!(
            LaunchDigest::from_hex(&text.replacen("0f0f", "0f0g", 1)),
            Err(LaunchDigestError::Digit { position: 3 })
        );
    }
}
