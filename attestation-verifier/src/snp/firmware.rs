//! Version of the SNP firmware: CURRENT and COMMITTED build, minor and major (AMD 56860 rev 1.58, table 23).

use std::fmt;

/// `major.minor.build`, compared in that order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct FirmwareVersion {
    /// ABI major.
    pub major: u8,
    /// ABI minor.
    pub minor: u8,
    /// Build.
    pub build: u8,
}

impl FirmwareVersion {
    /// From the report's bytes: build, minor, major.
    pub fn decode([build, minor, major]: [u8; 3]) -> Self {
        Self { major, minor, build }
    }

    /// From text such as `1.55.29`: three decimal numbers of at most 255, without signs and leading zeros.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(|part| {
            let plain = part.bytes().all(|digit| digit.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
            if plain { part.parse().ok() } else { None }
        });
        let (major, minor, build) = (parts.next()??, parts.next()??, parts.next()??);
        if parts.next().is_none() { Some(Self { major, minor, build }) } else { None }
    }
}

impl fmt::Display for FirmwareVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.build)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_from_the_major_number_down() {
        let of = |text| FirmwareVersion::parse(text).unwrap();
        assert_eq!(FirmwareVersion::decode([29, 55, 1]), of("1.55.29"));
        assert!(of("1.55.29") < of("1.55.40") && of("1.55.255") < of("1.56.0") && of("1.255.0") < of("2.0.0"));
        assert_eq!(of("1.55.29").to_string(), "1.55.29");
    }

    #[test]
    fn what_is_no_version_is_none() {
        for text in ["", "1", "1.55", "1.55.29.0", "1.55.256", "1.55.-1", "+1.55.29", "1.055.29", "1..29", "a.b.c"] {
            assert_eq!(FirmwareVersion::parse(text), None, "{text}");
        }
    }
}
