//! The little DER (X.690) that certificates and revocation lists need: we write, we never read.

/// Tag, length, content.
pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len().to_be_bytes();
    let significant: Vec<u8> = length.iter().copied().skip_while(|byte| *byte == 0).collect();
    match content.len() {
        0..=0x7F => out.push(content.len().to_be_bytes().last().copied().unwrap_or(0)),
        _ => {
            out.push(0x80 | significant.len().to_be_bytes().last().copied().unwrap_or(0));
            out.extend_from_slice(&significant);
        }
    }
    out.extend_from_slice(content);
    out
}

/// SEQUENCE of already encoded members.
pub(crate) fn sequence(members: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &members.concat())
}

/// SET of one member: a relative name.
pub(crate) fn set(member: &[u8]) -> Vec<u8> {
    tlv(0x31, member)
}

/// Constructed context tag `[n]`.
pub(crate) fn context(n: u8, content: &[u8]) -> Vec<u8> {
    tlv(0xA0 | n, content)
}

/// INTEGER from an unsigned number, padded so that it never reads as negative: 219 is `02 02 00 DB`.
pub(crate) fn integer(value: u64) -> Vec<u8> {
    let mut bytes: Vec<u8> = value.to_be_bytes().iter().copied().skip_while(|byte| *byte == 0).collect();
    if bytes.first().is_none_or(|first| first & 0x80 != 0) {
        bytes.insert(0, 0);
    }
    tlv(0x02, &bytes)
}

/// OBJECT IDENTIFIER from its arcs.
pub(crate) fn oid(arcs: &[u32]) -> Vec<u8> {
    let mut content = Vec::new();
    let mut arcs = arcs.iter().copied();
    let first = arcs.next().unwrap_or(0) * 40 + arcs.next().unwrap_or(0);
    for arc in std::iter::once(first).chain(arcs) {
        let groups = (0..5).rev().map(|at| arc >> (7 * at)).skip_while(|rest| *rest == 0).count().max(1);
        for at in (0..groups).rev() {
            let low = ((arc >> (7 * at)) & 0x7F).to_be_bytes();
            content.push(low.last().copied().unwrap_or(0) | if at == 0 { 0 } else { 0x80 });
        }
    }
    tlv(0x06, &content)
}

/// BOOLEAN TRUE.
pub(crate) fn yes() -> Vec<u8> {
    tlv(0x01, &[0xFF])
}

/// NULL.
pub(crate) fn null() -> Vec<u8> {
    tlv(0x05, &[])
}

/// OCTET STRING.
pub(crate) fn octets(bytes: &[u8]) -> Vec<u8> {
    tlv(0x04, bytes)
}

/// BIT STRING with `unused` spare bits in its last byte.
pub(crate) fn bits(unused: u8, bytes: &[u8]) -> Vec<u8> {
    let mut content = vec![unused];
    content.extend_from_slice(bytes);
    tlv(0x03, &content)
}

/// UTF8String.
pub(crate) fn utf8(text: &str) -> Vec<u8> {
    tlv(0x0C, text.as_bytes())
}

/// PrintableString.
pub(crate) fn printable(text: &str) -> Vec<u8> {
    tlv(0x13, text.as_bytes())
}

/// IA5String.
pub(crate) fn ia5(text: &str) -> Vec<u8> {
    tlv(0x16, text.as_bytes())
}

/// A time as RFC 5280 section 4.1.2.5 wants it: UTCTime up to 2049, GeneralizedTime from 2050.
pub(crate) fn time(at: time::OffsetDateTime) -> Vec<u8> {
    let at = at.to_offset(time::UtcOffset::UTC);
    let (month, day, hour, minute, second) = (u8::from(at.month()), at.day(), at.hour(), at.minute(), at.second());
    if at.year() < 2050 {
        let year = at.year() % 100;
        tlv(0x17, format!("{year:02}{month:02}{day:02}{hour:02}{minute:02}{second:02}Z").as_bytes())
    } else {
        let year = at.year();
        tlv(0x18, format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}Z").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_at_the_sign_bit_are_padded() {
        assert_eq!(integer(0), [2, 1, 0]);
        assert_eq!(integer(127), [2, 1, 127]);
        assert_eq!(integer(219), [2, 2, 0, 219]);
        assert_eq!(integer(0x10000), [2, 3, 1, 0, 0]);
    }

    #[test]
    fn object_identifiers_use_base_128() {
        assert_eq!(oid(&[1, 3, 6, 1, 4, 1, 3704, 1, 3, 8]), [6, 10, 0x2B, 6, 1, 4, 1, 0x9C, 0x78, 1, 3, 8]);
        assert_eq!(oid(&[1, 2, 840, 113549, 1, 1, 10]), [6, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 10]);
        assert_eq!(oid(&[2, 5, 29, 15]), [6, 3, 0x55, 29, 15]);
        assert_eq!(oid(&[1, 0, 0]), [6, 2, 40, 0]);
    }

    #[test]
    fn lengths_grow_past_one_byte() {
        assert_eq!(tlv(4, &[0; 0x7F]).get(..2), Some(&[4, 0x7F][..]));
        assert_eq!(tlv(4, &[0; 0x80]).get(..3), Some(&[4, 0x81, 0x80][..]));
        assert_eq!(tlv(4, &[0; 0x234]).get(..4), Some(&[4, 0x82, 2, 0x34][..]));
    }

    #[test]
    fn years_from_2050_are_generalised_time() {
        assert_eq!(time(time::macros::datetime!(2049-12-31 23:59:59 UTC)), b"\x17\x0d491231235959Z");
        assert_eq!(time(time::macros::datetime!(2050-01-01 0:00 UTC)), b"\x18\x0f20500101000000Z");
    }
}
