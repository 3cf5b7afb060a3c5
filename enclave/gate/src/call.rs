//! What a caller asks for.

use evidence::{ServerId, json::Value};

/// Longest arguments of one call, as JSON text. The limit that clients of this ecosystem know.
pub const MAX_ARGUMENT_BYTES: usize = 100_000;

/// One tool call, from whichever wire it came.
#[derive(Debug)]
pub struct Call {
    /// The server whose tool is called.
    pub server: ServerId,
    /// The tool's name as the server knows it.
    pub tool: String,
    /// The argument object, as sent.
    pub arguments: Value,
    /// What the caller wants to see again in the proof.
    pub challenge: Option<Challenge>,
}

/// Up to 64 bytes that a caller wants to see again in the proof: who sees them knows that it was made afterwards.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Challenge(Vec<u8>);

/// A challenge that cannot be taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ChallengeError;

impl std::fmt::Display for ChallengeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a challenge is 1 to 64 bytes, written as 2 to 128 hexadecimal digits")
    }
}

impl std::error::Error for ChallengeError {}

impl Challenge {
    /// From hexadecimal digits.
    ///
    /// # Errors
    /// Not hexadecimal, empty, or longer than 64 bytes.
    pub fn from_hex(text: &str) -> Result<Self, ChallengeError> {
        let bytes = hex::decode(text).map_err(|_| ChallengeError)?;
        if (1..=64).contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(ChallengeError) }
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
