//! Quantities and names, each a type of its own.

use std::{fmt, str::FromStr};

/// Seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct UnixSeconds(pub u64);

/// A name that does not have the shape it must have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NameError {
    /// What was being read.
    pub what: &'static str,
    /// The shape that was wanted.
    pub wanted: &'static str,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: want {}", self.what, self.wanted)
    }
}

impl std::error::Error for NameError {}

/// A server's id: a UUID in lower case with hyphens, for instance `0193e3a2-6b5c-5f7d-9c1e-2a4b6c8d0e1f`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServerId(String);

impl ServerId {
    /// The id as text, 36 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ServerId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let well_formed = text.len() == 36
            && text.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            });
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError { what: "server id", wanted: "a UUID in lower case, 8-4-4-4-12 hexadecimal digits" })
        }
    }
}

/// An account of an EVM chain, 20 bytes. Prints in lower case; the checksummed spelling (EIP-55) belongs to the edges.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Wallet([u8; 20]);

impl Wallet {
    /// From its bytes.
    pub const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl fmt::Display for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl FromStr for Wallet {
    type Err = NameError;

    /// `0x` and 40 hexadecimal digits of either case; the checksum in their case is not looked at.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let digits = text.strip_prefix("0x").unwrap_or_default();
        let bytes = hex::decode(digits).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(NameError { what: "wallet", wanted: "0x and 40 hexadecimal digits" })
    }
}

/// US dollars held as USDC base units (1 USDC = 1,000,000), so that cents never round.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct UsdcAmount(u64);

impl UsdcAmount {
    /// From base units.
    pub const fn from_units(units: u64) -> Self {
        Self(units)
    }

    /// Base units.
    pub const fn units(self) -> u64 {
        self.0
    }

    /// From the decimal text of its base units, as contracts and rails write it: `0|[1-9][0-9]*`.
    ///
    /// # Errors
    /// Not that, or beyond 2⁶⁴ − 1.
    pub fn from_units_text(text: &str) -> Result<Self, NameError> {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        let units = if plain { text.parse().ok() } else { None };
        units.map(Self).ok_or(NameError { what: "amount", wanted: "base units as a decimal number below 2^64" })
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for UsdcAmount {
    /// Dollars with no more decimals than it takes: `0.0005`, `2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 1_000_000, self.0 % 1_000_000);
        if part == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{part:06}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl FromStr for UsdcAmount {
    type Err = NameError;

    /// Dollars: `0|[1-9][0-9]*` and at most six decimals; nothing is rounded.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let wrong = NameError { what: "amount", wanted: "dollars with at most six decimals, for instance 0.0005" };
        let (whole, part) = text.split_once('.').map_or((text, None), |(whole, part)| (whole, Some(part)));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let part = part.unwrap_or("0");
        if !digits(whole) || (whole.len() > 1 && whole.starts_with('0')) || !digits(part) || part.len() > 6 {
            return Err(wrong);
        }
        let units = || {
            let whole = whole.parse::<u64>().ok()?.checked_mul(1_000_000)?;
            whole.checked_add(format!("{part:0<6}").parse().ok()?)
        };
        units().map(Self).ok_or(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_never_round() {
        for (text, units) in [("0.0005", 500), ("0.25", 250_000), ("1", 1_000_000), ("0", 0), ("12.000001", 12_000_001)]
        {
            assert_eq!(text.parse(), Ok(UsdcAmount::from_units(units)), "{text}");
            assert_eq!(UsdcAmount::from_units(units).to_string(), text);
        }
        for text in ["0.0000001", "", ".", "1.", ".5", "01", "-1", "+1", "1e3", "0x1f4", "1,0", "99999999999999999999"]
        {
            assert!(text.parse::<UsdcAmount>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn base_units_have_one_spelling() {
        for units in [0, 500, u64::MAX] {
            assert_eq!(UsdcAmount::from_units_text(&units.to_string()), Ok(UsdcAmount::from_units(units)));
        }
        for text in ["", "00", "0500", "+5", "-5", "5.0", "0x1f4", "18446744073709551616", " 5"] {
            assert!(UsdcAmount::from_units_text(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_wallet_is_forty_digits_after_0x() {
        let wallet: Wallet = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf".parse().unwrap();
        assert_eq!(wallet.to_string(), "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf");
        for text in [
            "7e5f4552091a69125d5dfcb7b8c2659029395bdf",
            "0x7e5f",
            "0x",
            "",
            "0xzz5f4552091a69125d5dfcb7b8c2659029395bdf",
        ] {
            assert!(text.parse::<Wallet>().is_err(), "{text:?}");
        }
    }
}
