//! What a certificate and a revocation list consist of (RFC 5280, sections 4.1 and 5.1), read strictly: fields in their
//! order, each in its one encoding, nothing between or after them. What the fields must say is decided elsewhere.

use crate::der::{Elements, Tlv, tag};

const VERSION: u8 = 0xA0;
const ISSUER_ID: u8 = 0x81;
const SUBJECT_ID: u8 = 0x82;
const CERTIFICATE_EXTENSIONS: u8 = 0xA3;
const LIST_EXTENSIONS: u8 = 0xA0;

/// The signed part of a certificate.
#[derive(Clone, Debug)]
pub(crate) struct Body<'a> {
    /// `v3(2)`, without unique identifiers.
    pub(crate) is_version_3: bool,
    /// As encoded, with a sign byte where it has one.
    pub(crate) serial: &'a [u8],
    pub(crate) issuer: Name<'a>,
    pub(crate) not_before: u64,
    pub(crate) not_after: u64,
    pub(crate) subject: Name<'a>,
    pub(crate) key: Key<'a>,
    pub(crate) extensions: Vec<Extension<'a>>,
}

/// SubjectPublicKeyInfo.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    /// AlgorithmIdentifier, whole.
    pub(crate) algorithm: &'a [u8],
    /// The content of the bit string.
    pub(crate) bits: &'a [u8],
}

/// One extension.
#[derive(Clone, Debug)]
pub(crate) struct Extension<'a> {
    pub(crate) oid: String,
    pub(crate) critical: bool,
    pub(crate) value: &'a [u8],
}

impl<'a> Body<'a> {
    /// Reads a TBSCertificate. The algorithm in it is compared by [`super::signed_object`].
    pub(crate) fn parse(der: &'a [u8]) -> Option<Self> {
        let mut fields = Tlv::only(der, tag::SEQUENCE)?.elements();
        let mut next = fields.next()??;
        let mut is_version_3 = false;
        if next.tag == VERSION {
            // Version 1 is the default, and a default is not written.
            match Tlv::only(next.content, tag::INTEGER)?.content {
                [2] => is_version_3 = true,
                [1] => {}
                _ => return None,
            }
            next = fields.next()??;
        }
        let serial = next.natural()?;
        algorithm(&mut fields)?;
        let issuer = Name::parse(sequence(&mut fields)?)?;
        let mut validity = sequence(&mut fields)?.elements();
        let (not_before, not_after) = (validity.next()??.time()?, validity.next()??.time()?);
        let subject = Name::parse(sequence(&mut fields)?)?;
        let mut key = sequence(&mut fields)?.elements();
        let (algorithm, bits) = (algorithm(&mut key)?.whole, key.next()??.whole_bits()?);
        if validity.next().is_some() || key.next().is_some() {
            return None;
        }
        let mut body = Self {
            is_version_3,
            serial,
            issuer,
            not_before,
            not_after,
            subject,
            key: Key { algorithm, bits },
            extensions: vec![],
        };
        let mut last = 0;
        for field in fields {
            let field = field?;
            if field.tag <= last {
                return None;
            }
            last = field.tag;
            match field.tag {
                ISSUER_ID | SUBJECT_ID => body.is_version_3 = false,
                CERTIFICATE_EXTENSIONS => body.extensions = extensions(field.content)?,
                _ => return None,
            }
        }
        Some(body)
    }
}

/// The signed part of a revocation list.
#[derive(Clone, Debug)]
pub(crate) struct ListBody<'a> {
    pub(crate) issuer: Name<'a>,
    pub(crate) this_update: u64,
    pub(crate) next_update: Option<u64>,
    pub(crate) revoked: Vec<Entry<'a>>,
    pub(crate) extensions: Vec<Extension<'a>>,
}

/// One revoked certificate.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'a> {
    /// As encoded.
    pub(crate) serial: &'a [u8],
    pub(crate) revoked_at: u64,
    pub(crate) extensions: Vec<Extension<'a>>,
}

impl<'a> ListBody<'a> {
    /// Reads a TBSCertList, version 2.
    pub(crate) fn parse(der: &'a [u8]) -> Option<Self> {
        let mut fields = Tlv::only(der, tag::SEQUENCE)?.elements().peekable();
        if fields.next()??.natural()? != [1] {
            return None;
        }
        algorithm(&mut fields)?;
        let issuer = Name::parse(sequence(&mut fields)?)?;
        let this_update = fields.next()??.time()?;
        let mut list = Self { issuer, this_update, next_update: None, revoked: vec![], extensions: vec![] };
        let is = |wanted: &[u8], field: Option<&Option<Tlv<'_>>>| matches!(field, Some(Some(field)) if wanted.contains(&field.tag));
        if is(&[tag::UTC_TIME, tag::GENERALIZED_TIME], fields.peek()) {
            list.next_update = Some(fields.next()??.time()?);
        }
        if is(&[tag::SEQUENCE], fields.peek()) {
            let entries = fields.next()??.elements();
            list.revoked = entries.map(|entry| Entry::parse(entry?)).collect::<Option<_>>()?;
            // An empty one is left out.
            if list.revoked.is_empty() {
                return None;
            }
        }
        if is(&[LIST_EXTENSIONS], fields.peek()) {
            list.extensions = extensions(fields.next()??.content)?;
        }
        fields.next().is_none().then_some(list)
    }
}

impl<'a> Entry<'a> {
    fn parse(entry: Tlv<'a>) -> Option<Self> {
        if entry.tag != tag::SEQUENCE {
            return None;
        }
        let mut fields = entry.elements();
        let (serial, revoked_at) = (fields.next()??.natural()?, fields.next()??.time()?);
        let extensions = match fields.next() {
            None => vec![],
            Some(field) => extensions(field?.whole)?,
        };
        fields.next().is_none().then_some(Self { serial, revoked_at, extensions })
    }
}

/// A distinguished name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name<'a> {
    pub(crate) whole: &'a [u8],
    /// Empty if there is not exactly one.
    pub(crate) common: &'a str,
    /// Empty if there is not exactly one.
    pub(crate) organisation: &'a str,
}

impl<'a> Name<'a> {
    fn parse(sequence: Tlv<'a>) -> Option<Self> {
        const COMMON: [u8; 3] = [0x55, 0x04, 0x03];
        const ORGANISATION: [u8; 3] = [0x55, 0x04, 0x0A];
        let (mut common, mut organisation) = (vec![], vec![]);
        for set in sequence.elements() {
            let set = set.filter(|set| set.tag == tag::SET && !set.content.is_empty())?;
            for attribute in set.elements() {
                let mut parts = attribute.filter(|part| part.tag == tag::SEQUENCE)?.elements();
                let (kind, value) = (parts.next()??, parts.next()??);
                kind.oid().filter(|_| parts.next().is_none())?;
                let text = matches!(value.tag, UTF8 | PRINTABLE).then(|| std::str::from_utf8(value.content).ok());
                if kind.content == COMMON {
                    common.push(text.flatten().unwrap_or(""));
                } else if kind.content == ORGANISATION {
                    organisation.push(text.flatten().unwrap_or(""));
                }
            }
        }
        let only = |found: &[&'a str]| if let [only] = *found { only } else { "" };
        Some(Self { whole: sequence.whole, common: only(&common), organisation: only(&organisation) })
    }

    /// Is it written the way AMD writes names: unit, country, city, state, organisation, common name, in this order, the
    /// country printable, the rest UTF-8, and nothing besides?
    pub(crate) fn is_of_profile(&self) -> bool {
        let attribute = |arc: u8, tag: u8, text: &str| {
            element(
                tag::SET,
                &element(
                    tag::SEQUENCE,
                    &[&[tag::OID, 3, 0x55, 0x04, arc], &element(tag, text.as_bytes())[..]].concat(),
                ),
            )
        };
        let expected = [
            attribute(11, UTF8, "Engineering"),
            attribute(6, PRINTABLE, "US"),
            attribute(7, UTF8, "Santa Clara"),
            attribute(8, UTF8, "CA"),
            attribute(10, UTF8, self.organisation),
            attribute(3, UTF8, self.common),
        ];
        !self.organisation.is_empty()
            && !self.common.is_empty()
            && element(tag::SEQUENCE, &expected.concat()) == self.whole
    }
}

const UTF8: u8 = 0x0C;
const PRINTABLE: u8 = 0x13;

/// An element of less than 64 KiB; names have less than 200 bytes.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes();
    let head = match (high, low) {
        (0, 0..=0x7F) => vec![tag, low],
        (0, _) => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [&head, content].concat()
}

fn sequence<'a>(fields: &mut impl Iterator<Item = Option<Tlv<'a>>>) -> Option<Tlv<'a>> {
    fields.next()?.filter(|field| field.tag == tag::SEQUENCE)
}

/// AlgorithmIdentifier. Which one is compared elsewhere, byte for byte.
fn algorithm<'a>(fields: &mut impl Iterator<Item = Option<Tlv<'a>>>) -> Option<Tlv<'a>> {
    let algorithm = sequence(fields)?;
    let mut parts = algorithm.elements();
    let is_named = parts.next()??.oid().is_some();
    parts.next();
    (is_named && parts.next().is_none() && algorithm.is_whole()).then_some(algorithm)
}

/// `SEQUENCE OF Extension`, not empty.
fn extensions(der: &[u8]) -> Option<Vec<Extension<'_>>> {
    let list: Elements<'_> = Tlv::only(der, tag::SEQUENCE)?.elements();
    let all: Vec<Extension<'_>> = list.map(|one| extension(one?)).collect::<Option<_>>()?;
    (!all.is_empty()).then_some(all)
}

fn extension(one: Tlv<'_>) -> Option<Extension<'_>> {
    let mut parts = Some(one).filter(|one| one.tag == tag::SEQUENCE)?.elements();
    let oid = parts.next()??.oid()?;
    let mut value = parts.next()??;
    let critical = value.tag == tag::BOOLEAN;
    if critical {
        // False is the default, and a default is not written.
        value.boolean().filter(|critical| *critical)?;
        value = parts.next()??;
    }
    // Those of RFC 5280 hold one element each. AMD's are read one by one: the chip id is no DER.
    let is_whole = |content| Tlv::read(content).is_some_and(|(inner, rest)| rest.is_empty() && inner.is_whole());
    let is_known = !oid.starts_with("2.5.29.") || is_whole(value.content);
    let is_octets = value.tag == tag::OCTET_STRING && parts.next().is_none();
    (is_octets && is_known).then_some(Extension { oid, critical, value: value.content })
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMON_NAME: [u8; 5] = [tag::OID, 3, 0x55, 0x04, 0x03];
    const KEY_USAGE: [u8; 5] = [tag::OID, 3, 0x55, 0x1D, 0x0F];
    /// An arc of AMD's own.
    const HWID: [u8; 11] = [tag::OID, 9, 0x2B, 6, 1, 4, 1, 0x9C, 0x78, 1, 4];

    fn only(der: &[u8]) -> Tlv<'_> {
        Tlv::read(der).unwrap().0
    }

    #[test]
    fn a_name_is_made_of_sets_of_one_attribute_or_more() {
        let attribute = element(tag::SEQUENCE, &[&COMMON_NAME[..], &element(UTF8, b"x")].concat());
        let name = |tag: u8, content: &[u8]| element(tag::SEQUENCE, &element(tag, content));
        let good = name(tag::SET, &attribute);
        assert_eq!(Name::parse(only(&good)).map(|name| name.common.to_owned()), Some("x".to_owned()));
        for bad in [
            name(tag::SET, &[]),
            name(tag::SEQUENCE, &attribute),
            name(tag::SET, &element(tag::SET, &attribute)),
            name(tag::SET, &element(tag::SEQUENCE, &[&COMMON_NAME[..], &element(UTF8, b"x"), &[5, 0]].concat())),
            name(tag::SET, &element(tag::SEQUENCE, &COMMON_NAME)),
        ] {
            assert!(Name::parse(only(&bad)).is_none(), "{bad:02x?}");
        }
    }

    #[test]
    fn an_algorithm_is_a_number_and_at_most_one_parameter_both_whole() {
        let read = |content: &[u8]| {
            let whole = element(tag::SEQUENCE, &element(tag::SEQUENCE, content));
            algorithm(&mut only(&whole).elements()).is_some()
        };
        assert!(read(&COMMON_NAME) && read(&[&COMMON_NAME[..], &[tag::NULL, 0]].concat()));
        for bad in [
            &[tag::NULL, 0][..],
            &[&[tag::NULL, 0][..], &COMMON_NAME].concat(),
            &[&COMMON_NAME[..], &[tag::NULL, 0, tag::NULL, 0]].concat(),
            &[&COMMON_NAME[..], &[tag::NULL, 1, 0]].concat(),
            &[&COMMON_NAME[..], &[tag::SEQUENCE, 2, tag::INTEGER, 5]].concat(),
        ] {
            assert!(!read(bad), "{bad:02x?}");
        }
    }

    #[test]
    fn an_extension_of_the_standard_holds_one_whole_element_and_amds_any_bytes() {
        let read = |oid: &[u8], value: &[u8]| {
            let one = element(tag::SEQUENCE, &[oid, value].concat());
            extension(only(&one)).map(|extension| extension.value.to_vec())
        };
        let octets = |content: &[u8]| element(tag::OCTET_STRING, content);
        let usage = [tag::BIT_STRING, 2, 1, 6];
        assert_eq!(read(&KEY_USAGE, &octets(&usage)), Some(usage.to_vec()));
        assert_eq!(read(&HWID, &octets(&[0xFF, 7])), Some(vec![0xFF, 7]));
        for bad in [
            octets(&[]),
            octets(&[&usage[..], &usage].concat()),
            octets(&[tag::SEQUENCE, 2, tag::INTEGER, 5]),
            octets(&usage[..3]),
            element(tag::SEQUENCE, &usage),
            [&octets(&usage)[..], &[tag::NULL, 0]].concat(),
        ] {
            assert_eq!(read(&KEY_USAGE, &bad), None, "{bad:02x?}");
        }
        assert_eq!(read(&HWID, &element(tag::SEQUENCE, &usage)), None);
        assert_eq!(read(&HWID, &[&octets(&[7])[..], &[tag::NULL, 0]].concat()), None);
    }
}
