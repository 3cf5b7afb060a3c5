//! The host's certificate table (GHCB specification 56421, "SNP Extended Guest Request"): entries of GUID[16], offset
//! u32, length u32, little-endian, ended by zeros; offsets count from the table's start. The host wrote it: nothing in
//! it is trusted, and every length is checked.

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{Der, EvidenceError, VekKind, collateral::Issuers};

/// Longest table we look at; a real one with three PEM certificates has 6.5 KiB.
const LIMIT: usize = 64 * 1024;
/// Most entries; six kinds are known.
const ENTRIES: usize = 32;

const ARK: [u8; 16] = guid(0xc0b406a4_a803_4952_9743_3fb6014cd0ae);
const ASK: [u8; 16] = guid(0x4ab7b379_bbac_4fe4_a02f_05aef327c782);
const VCEK: [u8; 16] = guid(0x63da758d_e664_4564_adc5_f4b93be8accd);
const VLEK: [u8; 16] = guid(0xa8074bc2_a25a_483e_aae6_39c045a0b8a1);

const CRL: [u8; 16] = guid(0x92f81bc3_5811_4d3d_97ff_d19f88dc67ea);

/// The certificates of a table; hosts leave out what they like.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct HostTable {
    pub(crate) vcek: Option<Der>,
    pub(crate) vlek: Option<Der>,
    /// ASK or ASVK.
    pub(crate) intermediate: Option<Der>,
    pub(crate) root: Option<Der>,
    /// A revocation list, as it stands there.
    pub(crate) crl: Option<Der>,
}

impl HostTable {
    /// Reads a table. Entries of other kinds are not looked at.
    pub(crate) fn parse(table: &[u8]) -> Result<Self, EvidenceError> {
        let entries = entries(table)?;
        let find = |guid| {
            let mut found = entries.iter().filter(|(other, _)| *other == guid).map(|(_, bytes)| *bytes);
            match (found.next(), found.next()) {
                (_, Some(_)) => Err(bad("one kind of certificate is there twice")),
                (found, None) => Ok(found),
            }
        };
        let certificate = |guid| find(guid)?.map(certificate).transpose();
        Ok(Self {
            vcek: certificate(VCEK)?,
            vlek: certificate(VLEK)?,
            intermediate: certificate(ASK)?,
            root: certificate(ARK)?,
            crl: find(CRL)?.map(|bytes| Der::new(bytes.to_vec())),
        })
    }

    /// Intermediate and root, if both are there.
    pub(crate) fn issuers(&self) -> Option<Issuers> {
        Some(Issuers { intermediate: self.intermediate.clone()?, root: self.root.clone()? })
    }

    /// The endorsement certificate of that kind.
    pub(crate) fn vek(&self, kind: VekKind) -> Option<&Der> {
        match kind {
            VekKind::Vcek => self.vcek.as_ref(),
            VekKind::Vlek => self.vlek.as_ref(),
        }
    }
}

type Entry<'a> = ([u8; 16], &'a [u8]);

fn entries(table: &[u8]) -> Result<Vec<Entry<'_>>, EvidenceError> {
    if table.len() > LIMIT {
        return Err(bad("it is longer than 64 KiB"));
    }
    let mut entries = Vec::new();
    for entry in table.chunks(24) {
        let (Some((guid, rest)), 24) = (entry.split_first_chunk::<16>(), entry.len()) else {
            return Err(bad("it ends within an entry"));
        };
        if entry.iter().all(|byte| *byte == 0) {
            return Ok(entries);
        }
        if entries.len() == ENTRIES {
            return Err(bad("it has more than 32 entries"));
        }
        let (Some((offset, length)), []) = (split_words(rest), rest.get(8..).unwrap_or_default()) else {
            return Err(bad("it ends within an entry"));
        };
        let bytes =
            offset.checked_add(length).and_then(|end| table.get(offset..end)).ok_or(bad("an entry points outside"))?;
        entries.push((*guid, bytes));
    }
    // A host that supplies nothing gives an empty table.
    if table.is_empty() { Ok(entries) } else { Err(bad("it has no end")) }
}

fn split_words(bytes: &[u8]) -> Option<(usize, usize)> {
    let (offset, rest) = bytes.split_first_chunk::<4>()?;
    let (length, _) = rest.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*offset)).ok()?, usize::try_from(u32::from_le_bytes(*length)).ok()?))
}

/// PEM or DER, one certificate, perhaps followed by zeros or blanks.
fn certificate(bytes: &[u8]) -> Result<Der, EvidenceError> {
    if bytes.starts_with(b"-----BEGIN") {
        let text = str::from_utf8(bytes).map_err(|_| bad("a PEM certificate that is not text"))?;
        let body = text
            .trim_end_matches(['\0', '\n', '\r', ' '])
            .strip_prefix("-----BEGIN CERTIFICATE-----")
            .and_then(|text| text.strip_suffix("-----END CERTIFICATE-----"))
            .ok_or(bad("a PEM entry that is not one certificate"))?;
        let letters: String = body.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
        let der = BASE64_STANDARD.decode(letters).map_err(|_| bad("a PEM certificate with broken base64"))?;
        return whole_der(&der);
    }
    whole_der(bytes)
}

/// A SEQUENCE with a two-byte length, as every certificate of 256 to 65535 bytes is.
fn whole_der(bytes: &[u8]) -> Result<Der, EvidenceError> {
    let Some(([0x30, 0x82, high, low], _)) = bytes.split_first_chunk::<4>() else {
        return Err(bad("an entry that is neither PEM nor DER"));
    };
    let length = 4 + usize::from(u16::from_be_bytes([*high, *low]));
    match bytes.split_at_checked(length) {
        Some((der, padding)) if padding.iter().all(|byte| *byte == 0) => Ok(Der::new(der.to_vec())),
        _ => Err(bad("a certificate whose length is not its entry's")),
    }
}

fn bad(what: &'static str) -> EvidenceError {
    EvidenceError::BadTable { what }
}

/// In printed order, as hosts write them.
const fn guid(printed: u128) -> [u8; 16] {
    printed.to_be_bytes()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A table as a host writes it.
    pub(crate) fn table(entries: &[([u8; 16], Vec<u8>)]) -> Vec<u8> {
        let mut head = Vec::new();
        let mut body = Vec::new();
        let start = (entries.len() + 1) * 24;
        for (guid, bytes) in entries {
            head.extend_from_slice(guid);
            head.extend_from_slice(&u32::try_from(start + body.len()).expect("small").to_le_bytes());
            head.extend_from_slice(&u32::try_from(bytes.len()).expect("small").to_le_bytes());
            body.extend_from_slice(bytes);
        }
        head.extend_from_slice(&[0; 24]);
        head.extend_from_slice(&body);
        head
    }

    fn der(mark: u8) -> Vec<u8> {
        let mut der = vec![0x30, 0x82, 0x01, 0x00];
        der.extend_from_slice(&[mark; 256]);
        der
    }

    /// Real certificates as a host hands them out.
    pub(crate) fn table_of(
        vek: Option<(VekKind, &[u8])>,
        intermediate: Option<&[u8]>,
        root: Option<&[u8]>,
        crl: Option<&[u8]>,
    ) -> Vec<u8> {
        let vek = vek.map(|(kind, der)| (if kind == VekKind::Vcek { VCEK } else { VLEK }, der));
        let rest = [(ASK, intermediate), (ARK, root), (CRL, crl)];
        let entries: Vec<_> =
            vek.into_iter().chain(rest.into_iter().filter_map(|(guid, der)| Some((guid, der?)))).collect();
        table(&entries.iter().map(|(guid, der)| (*guid, der.to_vec())).collect::<Vec<_>>())
    }

    fn full() -> Vec<u8> {
        table(&[
            (ARK, der(1)),
            (ASK, Der::new(der(2)).pem().into_bytes()),
            (VCEK, der(3)),
            (VLEK, der(4)),
            (CRL, der(5)),
        ])
    }

    #[test]
    fn certificates_come_as_der_or_pem() {
        let found = HostTable::parse(&full()).expect("all there");
        let der = |mark| Some(Der::new(der(mark)));
        let (vcek, vlek) = (der(3), der(4));
        assert_eq!((found.vek(VekKind::Vcek), found.vek(VekKind::Vlek)), (vcek.as_ref(), vlek.as_ref()));
        assert_eq!((found.intermediate, found.root, found.crl), (der(2), der(1), der(5)));
    }

    #[test]
    fn what_is_missing_is_missing_alone() {
        for empty in [Vec::new(), table(&[])] {
            assert_eq!(HostTable::parse(&empty).expect("empty"), HostTable::default());
        }
        let found = HostTable::parse(&table(&[(VLEK, der(3))])).expect("one");
        assert_eq!(found, HostTable { vlek: Some(Der::new(der(3))), ..HostTable::default() });
    }

    #[test]
    fn broken_tables_are_refused_without_a_panic() {
        let good = full();
        for cut in 1..good.len() {
            assert!(HostTable::parse(&good[..cut]).is_err(), "cut at {cut}");
        }
        for at in 0..5 * 24 {
            for byte in [0x00, 0x7F, 0xFF] {
                let mut bytes = good.clone();
                bytes[at] = byte;
                // Whatever it says, it says without a panic.
                let _ = HostTable::parse(&bytes);
            }
        }
        for (table, why) in [
            (table(&[(VCEK, der(3)), (VCEK, der(3)), (ASK, der(2)), (ARK, der(1))]), "twice"),
            (table(&vec![(ARK, der(1)); 33]), "33 entries"),
            (table(&[(VCEK, b"no certificate".to_vec())]), "garbage"),
            (table(&[(VCEK, [der(3), vec![1]].concat())]), "a byte more"),
            (vec![0; LIMIT + 1], "too long"),
        ] {
            assert!(matches!(HostTable::parse(&table), Err(EvidenceError::BadTable { .. })), "{why}");
        }
    }

    #[test]
    fn a_real_hosts_table_parses() {
        // Captured material that is not ours to ship; the path comes from the test script where it exists.
        let Some(extra) = std::env::var_os("SEALGATE_EXTRA_VECTORS") else { return };
        let path = std::path::Path::new(&extra).join("snp/reports/genoa-v3-configfs-tsm-auxblob");
        let table = std::fs::read(path.join("auxblob.bin")).expect("auxblob");
        let found = HostTable::parse(&table).expect("a real table");
        let vek = Der::new(std::fs::read(path.join("vek.der")).expect("vek.der"));
        assert_eq!(found.vek(VekKind::Vcek), Some(&vek));
    }
}
