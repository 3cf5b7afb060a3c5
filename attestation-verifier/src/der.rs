//! DER (X.690), read strictly: one encoding for each value, nothing general. AMD's certificates are made of a handful of
//! types; what is none of them is refused rather than skipped.

/// Tags of the types that occur.
pub(crate) mod tag {
    pub(crate) const BOOLEAN: u8 = 0x01;
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const BIT_STRING: u8 = 0x03;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const NULL: u8 = 0x05;
    pub(crate) const OID: u8 = 0x06;
    pub(crate) const UTC_TIME: u8 = 0x17;
    pub(crate) const GENERALIZED_TIME: u8 = 0x18;
    pub(crate) const SEQUENCE: u8 = 0x30;
    pub(crate) const SET: u8 = 0x31;
}

/// One element.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Tlv<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    pub(crate) whole: &'a [u8],
}

impl<'a> Tlv<'a> {
    /// The first element and what follows it. Lengths in their shortest form, up to 16 MiB; tags of one byte.
    pub(crate) fn read(der: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (header, length) = match *der {
            [_, short @ 0..=0x7F, ..] => (2, usize::from(short)),
            [_, 0x81, a @ 0x80..=0xFF, ..] => (3, usize::from(a)),
            [_, 0x82, a @ 1..=0xFF, b, ..] => (4, usize::from(a) << 8 | usize::from(b)),
            [_, 0x83, a @ 1..=0xFF, b, c, ..] => (5, usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)),
            _ => return None,
        };
        let tag = *der.first()?;
        // A tag of more bytes.
        if tag & 0x1F == 0x1F {
            return None;
        }
        let (whole, rest) = der.split_at_checked(header + length)?;
        Some((Self { tag, content: whole.get(header..)?, whole }, rest))
    }

    /// The first element, if it has this tag, and what follows it.
    pub(crate) fn expect(der: &'a [u8], tag: u8) -> Option<(Self, &'a [u8])> {
        Self::read(der).filter(|(element, _)| element.tag == tag)
    }

    /// The only element of `der`, of this tag.
    pub(crate) fn only(der: &'a [u8], tag: u8) -> Option<Self> {
        Self::expect(der, tag).filter(|(_, rest)| rest.is_empty()).map(|(element, _)| element)
    }

    /// The elements inside.
    pub(crate) fn elements(&self) -> Elements<'a> {
        Elements { rest: self.content }
    }

    /// Is everything inside made of elements, down to the last? Deeper than eight levels nothing of ours is.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole_to(8)
    }

    fn is_whole_to(&self, depth: u8) -> bool {
        const CONSTRUCTED: u8 = 0x20;
        let Some(below) = depth.checked_sub(1) else { return false };
        let holds = match self.tag {
            tag::OID => self.oid().is_some(),
            tag::BOOLEAN => self.boolean().is_some(),
            tag::NULL => self.content.is_empty(),
            _ => true,
        };
        let are_members_whole = || self.elements().all(|member| member.is_some_and(|member| member.is_whole_to(below)));
        holds && (self.tag & CONSTRUCTED == 0 || are_members_whole())
    }

    /// The bytes of an INTEGER greater than zero, without its sign byte.
    pub(crate) fn positive_integer(&self) -> Option<&'a [u8]> {
        match (self.tag, self.content) {
            (tag::INTEGER, [0, rest @ ..]) if rest.first().is_some_and(|first| *first >= 0x80) => Some(rest),
            (tag::INTEGER, content @ [1..=0x7F, ..]) => Some(content),
            _ => None,
        }
    }

    /// A non-negative INTEGER as it is encoded, with its sign byte.
    pub(crate) fn natural(&self) -> Option<&'a [u8]> {
        match (self.tag, self.content) {
            (tag::INTEGER, [0]) => Some(self.content),
            _ => self.positive_integer().map(|_| self.content),
        }
    }

    /// BOOLEAN: 0x00 or 0xFF.
    pub(crate) fn boolean(&self) -> Option<bool> {
        match (self.tag, self.content) {
            (tag::BOOLEAN, [0xFF]) => Some(true),
            (tag::BOOLEAN, [0x00]) => Some(false),
            _ => None,
        }
    }

    /// BIT STRING of whole bytes.
    pub(crate) fn whole_bits(&self) -> Option<&'a [u8]> {
        match (self.tag, self.content) {
            (tag::BIT_STRING, [0, bits @ ..]) => Some(bits),
            _ => None,
        }
    }

    /// OBJECT IDENTIFIER with dots between its numbers; an arc of more than 32 bits is none we could know.
    pub(crate) fn oid(&self) -> Option<String> {
        let (tag::OID, [first, ..]) = (self.tag, self.content) else { return None };
        if first & 0x80 != 0 || self.content.last()? & 0x80 != 0 {
            return None;
        }
        let mut text = format!("{}.{}", (first / 40).min(2), first - 40 * (first / 40).min(2));
        let (mut arc, mut begins) = (0_u32, true);
        for byte in self.content.get(1..)? {
            if begins && *byte == 0x80 {
                return None;
            }
            arc = arc.checked_mul(128)? | u32::from(byte & 0x7F);
            begins = byte & 0x80 == 0;
            if begins {
                text.push_str(&format!(".{arc}"));
                arc = 0;
            }
        }
        Some(text)
    }

    /// UTCTime until 2049 or GeneralizedTime from 2050 (RFC 5280, section 4.1.2.5), whole seconds in UTC, since 1970.
    pub(crate) fn time(&self) -> Option<u64> {
        let (year, rest) = match self.tag {
            tag::UTC_TIME => {
                let (year, rest) = self.content.split_at_checked(2)?;
                let year = number(year)?;
                (if year < 50 { 2000 + year } else { 1900 + year }, rest)
            }
            tag::GENERALIZED_TIME => {
                let (year, rest) = self.content.split_at_checked(4)?;
                (number(year).filter(|year| *year >= 2050)?, rest)
            }
            _ => return None,
        };
        let [m1, m2, d1, d2, h1, h2, n1, n2, s1, s2, b'Z'] = *rest else { return None };
        let [month, day, hour, minute, second] =
            [[m1, m2], [d1, d2], [h1, h2], [n1, n2], [s1, s2]].map(|pair| number(&pair));
        crate::clock::seconds(year, month?, day?, hour?, minute?, second?)
    }
}

/// Elements one after the other; `None` in place of bytes that are none, and then the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Elements<'a> {
    type Item = Option<Tlv<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let read = Tlv::read(self.rest);
        self.rest = read.map_or(&[], |(_, rest)| rest);
        Some(read.map(|(element, _)| element))
    }
}

/// Decimal digits.
fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| match digit {
        b'0'..=b'9' => Some(number * 10 + u64::from(digit - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(der: &[u8]) -> Tlv<'_> {
        Tlv::read(der).unwrap().0
    }

    #[test]
    fn lengths_are_shortest_and_inside() {
        for bad in [&[0x30, 0x81, 0x7F][..], &[0x30, 0x82, 0x00, 0x80], &[0x30, 0x80], &[0x30, 0x01], &[], &[0x1F, 0]] {
            assert!(Tlv::read(bad).is_none(), "{bad:?}");
        }
        let (tlv, rest) = Tlv::read(&[0x04, 0x01, 9, 8]).unwrap();
        assert_eq!((tlv.tag, tlv.content, tlv.whole, rest), (4, &[9][..], &[4, 1, 9][..], &[8][..]));
    }

    #[test]
    fn what_is_nested_is_looked_through() {
        assert!(only(&[0x30, 5, 0x30, 3, 2, 1, 1]).is_whole());
        for bad in
            [&[0x30, 3, 2, 2, 1][..], &[0x30, 5, 0x30, 3, 2, 2, 1], &[0x30, 3, 1, 1, 1], &[0x30, 2, 6, 0], &[5, 1, 0]]
        {
            assert!(!only(bad).is_whole(), "{bad:?}");
        }
        let nested = |depth: u8| {
            (0..depth).fold(vec![], |inner, _| [&[0x30, u8::try_from(inner.len()).unwrap()], &inner[..]].concat())
        };
        assert!(only(&nested(8)).is_whole());
        assert!(!only(&nested(9)).is_whole());
    }

    #[test]
    fn integers_have_one_encoding() {
        assert_eq!(only(&[2, 1, 0]).natural(), Some(&[0][..]));
        assert_eq!(only(&[2, 1, 0]).positive_integer(), None);
        assert_eq!(only(&[2, 2, 0, 0x80]).positive_integer(), Some(&[0x80][..]));
        for bad in [&[2, 0][..], &[2, 1, 0x80], &[2, 2, 0, 1], &[2, 2, 0, 0], &[3, 1, 1]] {
            assert_eq!(only(bad).natural(), None, "{bad:?}");
        }
    }

    #[test]
    fn booleans_and_bits_have_one_encoding() {
        assert_eq!(only(&[1, 1, 0xFF]).boolean(), Some(true));
        assert_eq!(only(&[1, 1, 1]).boolean(), None);
        assert_eq!(only(&[3, 2, 0, 7]).whole_bits(), Some(&[7][..]));
        assert_eq!(only(&[3, 2, 1, 6]).whole_bits(), None);
    }

    #[test]
    fn object_identifiers_read_as_numbers_and_dots() {
        assert_eq!(only(&[6, 3, 0x55, 0x1D, 0x13]).oid().as_deref(), Some("2.5.29.19"));
        let amd = [6, 10, 0x2B, 6, 1, 4, 1, 0x9C, 0x78, 1, 3, 8];
        assert_eq!(only(&amd).oid().as_deref(), Some("1.3.6.1.4.1.3704.1.3.8"));
        for bad in [&[6, 0][..], &[6, 2, 0x55, 0x80], &[6, 3, 0x55, 0x80, 1], &[6, 6, 0x2A, 0x90, 0x80, 0x80, 0x80, 0]]
        {
            assert_eq!(only(bad).oid(), None, "{bad:?}");
        }
    }

    #[test]
    fn times_are_utc_to_the_second_and_change_their_form_in_2050() {
        let utc =
            |text: &str| only(&[&[tag::UTC_TIME, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()).time();
        let general = |text: &str| {
            only(&[&[tag::GENERALIZED_TIME, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()).time()
        };
        assert_eq!(utc("260301000000Z"), Some(1_772_323_200));
        assert_eq!(general("20500101000000Z"), Some(2_524_608_000));
        for bad in
            ["260230000000Z", "260301000060Z", "260301240000Z", "2603010000Z", "260301000000+0100", "69010100000Z", ""]
        {
            assert_eq!(utc(bad), None, "{bad}");
        }
        assert_eq!(general("20491231235959Z"), None);
        assert_eq!(utc("700101000000Z"), Some(0));
        assert_eq!(utc("690101000000Z"), None);
    }
}
