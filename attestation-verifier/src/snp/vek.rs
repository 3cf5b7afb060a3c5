//! Endorsement key certificate (VCEK, VLEK): AMD 57230, section 3. Extensions under 1.3.6.1.4.1.3704.1.

use crate::{Certificate, CertificateError, Product, Tcb, VekKind};

/// What an endorsement certificate says. Read after its signature has been verified.
#[derive(Clone, Debug)]
pub struct Vek {
    kind: VekKind,
    product: Product,
    point: [u8; 97],
    tcb: Tcb,
    hwid: Option<Vec<u8>>,
    csp_id: Option<String>,
}

impl Vek {
    /// Reads kind, key and extensions, all of them: an extension outside the profile is an error.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn decode(certificate: &Certificate<'_>, product: Product, kind: VekKind) -> Result<Self, CertificateError> {
        certificate.check_endorsement()?;
        let mut found = Found::default();
        for (oid, critical, value) in certificate.extensions() {
            found.take(&oid, critical, value).ok_or(CertificateError::Extension { oid })?;
        }
        let missing = |oid, name| CertificateError::Missing { oid, name };
        let level = |arc: usize, oid, name| found.levels.get(arc).copied().flatten().ok_or(missing(oid, name));
        let tcb = Tcb {
            fmc: match product {
                Product::Turin => Some(level(9, "1.3.6.1.4.1.3704.1.3.9", "fmcSPL")?),
                Product::Milan | Product::Genoa => None,
            },
            bootloader: level(1, "1.3.6.1.4.1.3704.1.3.1", "blSPL")?,
            tee: level(2, "1.3.6.1.4.1.3704.1.3.2", "teeSPL")?,
            snp: level(3, "1.3.6.1.4.1.3704.1.3.3", "snpSPL")?,
            microcode: level(8, "1.3.6.1.4.1.3704.1.3.8", "ucodeSPL")?,
        };
        let wrong = |oid: &str| CertificateError::Extension { oid: oid.to_owned() };
        // Reserved levels are there and zero; Turin has one fewer of them and the fmc level in its place.
        for (arc, oid) in [
            (4, "1.3.6.1.4.1.3704.1.3.4"),
            (5, "1.3.6.1.4.1.3704.1.3.5"),
            (6, "1.3.6.1.4.1.3704.1.3.6"),
            (7, "1.3.6.1.4.1.3704.1.3.7"),
        ] {
            let level = found.levels.get(arc).copied().flatten();
            let expected = if arc == 4 && product == Product::Turin { None } else { Some(0) };
            match (level, expected) {
                (None, Some(_)) => return Err(missing(oid, "spl4 to spl7")),
                (level, expected) if level != expected => return Err(wrong(oid)),
                _ => {}
            }
        }
        if product != Product::Turin && found.levels.get(9).copied().flatten().is_some() {
            return Err(wrong("1.3.6.1.4.1.3704.1.3.9"));
        }
        let structure = found.structure.ok_or(missing("1.3.6.1.4.1.3704.1.1", "structVersion"))?;
        if structure != u8::from(product == Product::Turin) {
            return Err(wrong("1.3.6.1.4.1.3704.1.1"));
        }
        // "Milan-B0" on a VCEK, "Milan" on a VLEK.
        let name = found.product.ok_or(missing("1.3.6.1.4.1.3704.1.2", "productName"))?;
        let stepping = name.strip_prefix(product.name()).map(|rest| (kind, rest.as_bytes()));
        if !matches!(stepping, Some((_, [])) | Some((VekKind::Vcek, [b'-', b'A'..=b'Z', b'0'..=b'9']))) {
            return Err(wrong("1.3.6.1.4.1.3704.1.2"));
        }
        let (hwid, csp_id) = match kind {
            VekKind::Vcek => {
                let hwid = found.hwid.ok_or(missing("1.3.6.1.4.1.3704.1.4", "HWID"))?;
                if hwid.len() != product.hwid_length() || found.csp_id.is_some() {
                    return Err(wrong("1.3.6.1.4.1.3704.1.4"));
                }
                (Some(hwid), None)
            }
            VekKind::Vlek => {
                let csp_id = found.csp_id.ok_or(missing("1.3.6.1.4.1.3704.1.5", "CSP_ID"))?;
                if found.hwid.is_some() {
                    return Err(wrong("1.3.6.1.4.1.3704.1.4"));
                }
                (None, Some(csp_id))
            }
        };
        Ok(Self { kind, product, point: certificate.p384_point()?, tcb, hwid, csp_id })
    }

    /// True if both certificates are of one key: AMD issues the certificate of a key again, with other dates. Everything
    /// else that they say must agree too.
    pub fn same_signer(&self, other: &Self) -> bool {
        let Self { kind, product, point, tcb, hwid, csp_id } = self;
        (kind, product, point, tcb) == (&other.kind, &other.product, &other.point, &other.tcb)
            && (hwid, csp_id) == (&other.hwid, &other.csp_id)
    }

    /// VCEK or VLEK.
    pub fn kind(&self) -> VekKind {
        self.kind
    }
    /// The product whose chain this is.
    pub fn product(&self) -> Product {
        self.product
    }
    /// The key: uncompressed P-384 point.
    pub fn point(&self) -> &[u8; 97] {
        &self.point
    }
    /// The levels the key is derived from.
    pub fn tcb(&self) -> Tcb {
        self.tcb
    }
    /// The chip, 64 bytes or 8 on Turin; a VLEK names none.
    pub fn hwid(&self) -> Option<&[u8]> {
        self.hwid.as_deref()
    }
    /// The cloud provider, on a VLEK: `CN=cc-us-east-2.amazonaws.com`.
    pub fn csp_id(&self) -> Option<&str> {
        self.csp_id.as_deref()
    }
}

#[derive(Default)]
struct Found {
    structure: Option<u8>,
    product: Option<String>,
    levels: [Option<u8>; 10],
    hwid: Option<Vec<u8>>,
    csp_id: Option<String>,
}

impl Found {
    /// `None` if the extension is not of the profile.
    fn take(&mut self, oid: &str, critical: bool, value: &[u8]) -> Option<()> {
        let arc = oid.strip_prefix("1.3.6.1.4.1.3704.1.").filter(|_| !critical)?;
        match arc {
            "1" => self.structure = Some(integer(value)?),
            "2" => self.product = Some(ia5(value)?),
            // The only extension whose content is not DER: the bytes of the chip id as they are.
            "4" => self.hwid = Some(value.to_vec()),
            "5" => self.csp_id = Some(ia5(value)?),
            _ => {
                let at: usize = arc.strip_prefix("3.")?.parse().ok()?;
                // Slot 0 exists only to make the numbers AMD's.
                *self.levels.get_mut(at).filter(|_| at > 0)? = Some(integer(value)?);
            }
        }
        Some(())
    }
}

/// DER INTEGER, 0–255, shortest form.
fn integer(der: &[u8]) -> Option<u8> {
    match *der {
        [0x02, 0x01, value @ 0..=0x7F] | [0x02, 0x02, 0x00, value @ 0x80..=0xFF] => Some(value),
        _ => None,
    }
}

/// DER IA5String of up to 127 printable characters.
fn ia5(der: &[u8]) -> Option<String> {
    let [0x16, length, text @ ..] = der else { return None };
    let printable = text.iter().all(|byte| (0x20..0x7F).contains(byte));
    (usize::from(*length) == text.len() && text.len() < 128 && printable)
        .then(|| String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_has_one_encoding() {
        assert_eq!(integer(&[2, 1, 0]), Some(0));
        assert_eq!(integer(&[2, 1, 127]), Some(127));
        assert_eq!(integer(&[2, 2, 0, 219]), Some(219));
        for bad in [&[2, 1, 0x80][..], &[2, 2, 0, 1], &[2, 2, 1, 0], &[2, 1], &[2, 1, 1, 1], &[4, 1, 1], &[]] {
            assert_eq!(integer(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_name_is_an_ia5_string_of_its_stated_length() {
        assert_eq!(ia5(b"\x16\x05Milan").as_deref(), Some("Milan"));
        for bad in [&b"\x16\x04Milan"[..], b"\x0C\x05Milan", b"\x16\x01\n", b"\x16", b""] {
            assert_eq!(ia5(bad), None, "{bad:?}");
        }
        // From 128 on DER writes the length otherwise.
        let of_length = |length: u8| ia5(&[&[0x16, length][..], &vec![b'a'; usize::from(length)]].concat());
        assert!(of_length(127).is_some() && of_length(128).is_none());
    }

    #[test]
    fn an_extension_that_amd_does_not_name_is_none_of_the_profile() {
        let take =
            |arc: &str, critical| Found::default().take(&format!("1.3.6.1.4.1.3704.1.{arc}"), critical, &[2, 1, 0]);
        for level in 1..=9 {
            assert_eq!(take(&format!("3.{level}"), false), Some(()), "{level}");
            assert_eq!(take(&format!("3.{level}"), true), None, "{level}, critical");
        }
        for unknown in ["3.0", "3.10", "3", "6", "3.1.1", ""] {
            assert_eq!(take(unknown, false), None, "{unknown}");
        }
    }
}
