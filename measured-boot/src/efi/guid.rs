//! GUIDs as UEFI writes them: three little-endian numbers and eight bytes. UEFI Specification, appendix A.

use std::fmt;

/// A GUID, as it stands in memory.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) struct Guid(pub(crate) [u8; 16]);

impl Guid {
    /// EFI_GLOBAL_VARIABLE, 8be4df61-93ca-11d2-aa0d-00e098032b8c: `SecureBoot`, `PK`, `KEK`, `Boot####`.
    pub(crate) const GLOBAL: Self = Self(*b"\x61\xDF\xE4\x8B\xCA\x93\xD2\x11\xAA\x0D\x00\xE0\x98\x03\x2B\x8C");
    /// EFI_IMAGE_SECURITY_DATABASE_GUID, d719b2cb-3d3a-4596-a3bc-dad00e67656f: `db`, `dbx`.
    pub(crate) const DATABASE: Self = Self(*b"\xCB\xB2\x19\xD7\x3A\x3D\x96\x45\xA3\xBC\xDA\xD0\x0E\x67\x65\x6F");
    /// EFI_CERT_X509_GUID, a5c059a1-94e4-4aa7-87b5-ab155c2bf072.
    pub(crate) const X509: Self = Self(*b"\xA1\x59\xC0\xA5\xE4\x94\xA7\x4A\x87\xB5\xAB\x15\x5C\x2B\xF0\x72");
    /// EFI_CERT_SHA256_GUID, c1c41626-504c-4092-aca9-41f936934328.
    pub(crate) const SHA256: Self = Self(*b"\x26\x16\xC4\xC1\x4C\x50\x92\x40\xAC\xA9\x41\xF9\x36\x93\x43\x28");
    /// EFI_CERT_TYPE_PKCS7_GUID, 4aafd29d-68df-49ee-8aa9-347d375665a7: around an authenticated variable.
    pub(crate) const PKCS7: Self = Self(*b"\x9D\xD2\xAF\x4A\xDF\x68\xEE\x49\x8A\xA9\x34\x7D\x37\x56\x65\xA7");

    /// The first 16 bytes and what follows.
    pub(crate) fn split(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (guid, rest) = bytes.split_first_chunk()?;
        Some((Self(*guid), rest))
    }
}

/// A GUID in the byte order of UEFI: the first three parts little-endian.
pub(crate) const fn guid(first: u32, second: u16, third: u16, rest: [u8; 8]) -> [u8; 16] {
    let ([a, b, c, d], [e, f], [g, h]) = (first.to_le_bytes(), second.to_le_bytes(), third.to_le_bytes());
    let [i, j, k, l, m, n, o, p] = rest;
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g, h, i, rest @ ..] = self.0;
        let first = u32::from_le_bytes([a, b, c, d]);
        let (second, third) = (u16::from_le_bytes([e, g]), u16::from_le_bytes([h, i]));
        let [x, y, node @ ..] = rest;
        write!(f, "{first:08x}-{second:04x}-{third:04x}-{x:02x}{y:02x}-{}", hex::encode(node))
    }
}
