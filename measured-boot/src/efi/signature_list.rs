//! Signature databases of Secure Boot: UEFI Specification, "EFI_SIGNATURE_LIST" and "EFI_VARIABLE_AUTHENTICATION_2".

use crate::efi::{fields::Fields, guid::Guid};

/// Longest database that is read. The largest dbx we met has 18 KB; firmware gives its variables 256 KiB at most.
pub const MAX_DATABASE_BYTES: usize = 1 << 20;
/// Of EFI_SIGNATURE_LIST without its lists.
const HEADER_BYTES: usize = 28;
/// WIN_CERT_TYPE_EFI_GUID.
const CERTIFICATE_TYPE: u16 = 0x0EF1;

/// A database: lists of certificates and digests, as the variable holds them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignatureLists<'a> {
    bytes: &'a [u8],
    entries: Vec<Entry<'a>>,
}

/// One entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Entry<'a> {
    kind: [u8; 16],
    /// EFI_SIGNATURE_DATA: its owner's GUID and what it is.
    data: &'a [u8],
}

impl<'a> SignatureLists<'a> {
    /// Reads a file with the value of a variable, or with the signed update that sets it (`.auth`).
    ///
    /// # Errors
    /// [`SignatureListError`] with the offset in the file.
    pub fn parse_file(file: &'a [u8]) -> Result<Self, SignatureListError> {
        let start = signed_update(file).unwrap_or(0);
        let at = |error: SignatureListError| SignatureListError { offset: error.offset + start, ..error };
        Self::parse(file.get(start..).unwrap_or_default()).map_err(at)
    }

    /// Reads the value of a variable; an empty one is empty.
    ///
    /// # Errors
    /// [`SignatureListError`] with the offset of the list that is wrong.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, SignatureListError> {
        let fail = |offset, problem| Err(SignatureListError { offset, problem });
        if bytes.len() > MAX_DATABASE_BYTES {
            return fail(MAX_DATABASE_BYTES, SignatureListProblem::TooLong);
        }
        let mut entries = Vec::new();
        let mut offset = 0;
        while offset < bytes.len() {
            let list = bytes.get(offset..).unwrap_or_default();
            let left = list.len();
            let Some((kind, size, header, entry)) = list_header(list) else {
                return fail(offset, SignatureListProblem::Truncated { left });
            };
            let content = list.get(..size).and_then(|list| list.get(HEADER_BYTES..)?.get(header..));
            let Some(content) = content else { return fail(offset + 16, SignatureListProblem::Size { size, left }) };
            if entry <= 16 || !content.len().is_multiple_of(entry) {
                return fail(offset + 24, SignatureListProblem::EntrySize { entry, content: content.len() });
            }
            entries.extend(content.chunks_exact(entry).map(|data| Entry { kind, data }));
            offset += size;
        }
        Ok(Self { bytes, entries })
    }

    /// The bytes of the variable's value.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// EFI_SIGNATURE_DATA of the certificates that stand, byte for byte, in an image's certificate table.
    pub(crate) fn certificates_in(&self, table: &[u8]) -> Vec<&'a [u8]> {
        let mut found: Vec<&[u8]> = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.kind == Guid::X509.0) {
            let certificate = entry.data.get(16..).unwrap_or_default();
            if !found.contains(&entry.data) && contains(table, certificate) {
                found.push(entry.data);
            }
        }
        found
    }

    /// The entry that lists an image's SHA-256 hash.
    pub(crate) fn lists_hash(&self, sha256: &[u8]) -> Option<&'a [u8]> {
        let mut hashes = self.entries.iter().filter(|entry| entry.kind == Guid::SHA256.0);
        hashes.find(|entry| entry.data.get(16..) == Some(sha256)).map(|entry| entry.data)
    }

    /// How many of what, in words.
    pub(crate) fn words(&self) -> String {
        let count = |kind: Guid| self.entries.iter().filter(|entry| entry.kind == kind.0).count();
        let (certificates, hashes) = (count(Guid::X509), count(Guid::SHA256));
        let other = self.entries.len() - certificates - hashes;
        let counts = [(certificates, "certificate"), (hashes, "SHA-256 hash"), (other, "other entry")];
        let words: Vec<_> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| match (count, *what) {
                (1, what) => format!("1 {what}"),
                (_, "other entry") => format!("{count} other entries"),
                (_, "SHA-256 hash") => format!("{count} SHA-256 hashes"),
                (_, what) => format!("{count} {what}s"),
            })
            .collect();
        if words.is_empty() { "empty".into() } else { words.join(", ") }
    }

    /// EFI_SIGNATURE_DATA by itself, as an authority event has it.
    pub(crate) fn one_entry_words(data: &[u8]) -> Option<String> {
        let (owner, entry) = Guid::split(data)?;
        match entry {
            [0x30, 0x82, high, low, rest @ ..] if rest.len() == usize::from(u16::from_be_bytes([*high, *low])) => {
                let name = common_name(entry).map(|name| format!(" \"{name}\"")).unwrap_or_default();
                Some(format!("the certificate{name} of owner {owner}"))
            }
            hash if hash.len() == 32 => Some(format!("the SHA-256 hash {} of owner {owner}", hex::encode(hash))),
            _ => None,
        }
    }
}

/// The last common name that an X.509 certificate has: its subject's, which follows the issuer's.
fn common_name(certificate: &[u8]) -> Option<String> {
    // SET { SEQUENCE { OID 2.5.4.3, PrintableString or UTF8String } }
    const OID: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x03];
    let end = certificate.windows(OID.len()).rposition(|window| window == OID)? + OID.len();
    let mut fields = Fields(certificate.get(end..)?);
    let kind = fields.u8()?;
    let bytes = usize::from(fields.u8()?);
    let name = std::str::from_utf8(fields.take(bytes)?).ok()?;
    (matches!(kind, 0x0C | 0x13) && bytes < 0x80).then(|| crate::efi::fields::short(name))
}

fn list_header(list: &[u8]) -> Option<([u8; 16], usize, usize, usize)> {
    let mut fields = Fields(list);
    let kind = *fields.take(16)?.first_chunk()?;
    let mut number = || usize::try_from(fields.u32()?).ok();
    Some((kind, number()?, number()?, number()?))
}

/// Where the value begins in EFI_VARIABLE_AUTHENTICATION_2.
fn signed_update(file: &[u8]) -> Option<usize> {
    let mut fields = Fields(file);
    fields.take(16)?; // EFI_TIME
    let length = usize::try_from(fields.u32()?).ok()?;
    let (revision, kind) = (fields.u16()?, fields.u16()?);
    let (guid, _) = Guid::split(fields.0)?;
    let start = length.checked_add(16)?;
    (revision == 0x0200 && kind == CERTIFICATE_TYPE && guid == Guid::PKCS7 && start <= file.len()).then_some(start)
}

/// Does `needle` stand in `hay`? Certificates begin with their own length, so few places have to be looked at.
fn contains(hay: &[u8], needle: &[u8]) -> bool {
    let Some(first) = needle.get(..4) else { return false };
    hay.windows(4)
        .enumerate()
        .any(|(at, window)| window == first && hay.get(at..).is_some_and(|rest| rest.starts_with(needle)))
}

/// A file that is not a signature database.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("signature database, offset {offset:#x}: {problem}")]
pub struct SignatureListError {
    /// Where the list, or its field, begins.
    pub offset: usize,
    /// What is wrong with it.
    pub problem: SignatureListProblem,
}

impl SignatureListError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        "give the value of the variable (EFI signature lists, as cert-to-efi-sig-list writes them, or efivarfs without its \
         first four bytes) or a signed update (.auth)"
    }
}

/// What is wrong with a database.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureListProblem {
    /// More than [`MAX_DATABASE_BYTES`].
    #[error("more than {MAX_DATABASE_BYTES} bytes")]
    TooLong,
    /// No room for a list's header.
    #[error("a list needs 28 bytes, {left} are left")]
    Truncated {
        /// How much of the file is left.
        left: usize,
    },
    /// A list that is not in the file, or shorter than its header.
    #[error("a list of {size} bytes, {left} are left")]
    Size {
        /// What the list says.
        size: usize,
        /// How much of the file is left.
        left: usize,
    },
    /// Entries that do not fill their list.
    #[error("entries of {entry} bytes in {content} bytes")]
    EntrySize {
        /// What the list says.
        entry: usize,
        /// How long its entries are together.
        content: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(kind: Guid, size: u32, header: u32, entry: u32, content: &[u8]) -> Vec<u8> {
        [&kind.0[..], &size.to_le_bytes(), &header.to_le_bytes(), &entry.to_le_bytes(), content].concat()
    }

    #[test]
    fn lists_follow_each_other_and_entries_fill_them() {
        let hashes = list(Guid::SHA256, 28 + 96, 0, 48, &[7; 96]);
        let certificate = list(Guid::X509, 28 + 2 + 20, 2, 20, &[1; 22]);
        let bytes = [hashes, certificate].concat();
        let lists = SignatureLists::parse(&bytes).unwrap();
        assert_eq!(lists.words(), "1 certificate, 2 SHA-256 hashes");
        assert_eq!(lists.lists_hash(&[7; 32]), Some(&[7; 48][..]));
        assert_eq!(lists.certificates_in(&[0, 0, 1, 1, 1, 1, 0]), [&[1; 20]]);
        assert!(lists.certificates_in(&[1, 1, 1]).is_empty());
        assert_eq!(SignatureLists::parse(b"").unwrap().words(), "empty");
    }

    #[test]
    fn hostile_lengths_are_named_with_their_offset() {
        let good = list(Guid::SHA256, 28 + 48, 0, 48, &[7; 48]);
        for (bytes, offset, said) in [
            (good[..27].to_vec(), 0, "28 bytes, 27"),
            (good[..75].to_vec(), 16, "76 bytes, 75"),
            ([&good[..], &good[..9]].concat(), 76, "9 are left"),
            (list(Guid::SHA256, u32::MAX, 0, 48, &[7; 48]), 16, "4294967295"),
            (list(Guid::SHA256, 3, 0, 48, &[7; 48]), 16, "3 bytes"),
            (list(Guid::SHA256, 0, 0, 48, &[7; 48]), 16, "0 bytes"),
            (list(Guid::SHA256, 76, u32::MAX, 48, &[7; 48]), 16, "76"),
            (list(Guid::SHA256, 76, 0, 0, &[7; 48]), 24, "entries of 0"),
            (list(Guid::SHA256, 76, 0, 16, &[7; 48]), 24, "entries of 16"),
            (list(Guid::SHA256, 76, 0, 47, &[7; 48]), 24, "entries of 47 bytes in 48"),
            (vec![0; MAX_DATABASE_BYTES + 1], MAX_DATABASE_BYTES, "more than"),
        ] {
            let error = SignatureLists::parse(&bytes).unwrap_err();
            assert_eq!(error.offset, offset, "{error}");
            assert!(error.to_string().contains(said), "{error}");
        }
    }

    #[test]
    fn a_signed_update_has_its_value_behind_the_signature() {
        let value = list(Guid::SHA256, 28 + 48, 0, 48, &[7; 48]);
        let mut update = vec![0; 16];
        update.extend(29_u32.to_le_bytes());
        update.extend([0, 2, 0xF1, 0x0E]);
        update.extend(Guid::PKCS7.0);
        update.extend([9; 5]);
        let whole = [&update[..], &value].concat();
        assert_eq!(SignatureLists::parse_file(&whole).unwrap().as_bytes(), value);
        assert_eq!(SignatureLists::parse_file(&value).unwrap().as_bytes(), value);
        assert_eq!(SignatureLists::parse_file(&whole[..50]).unwrap_err().offset, 45);
    }
}
