//! Little-endian fields of strangers' bytes, and the texts in them.

/// Longest text of a stranger that is repeated.
const LONGEST: usize = 200;

/// Reads field after field; `None` where the bytes end.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(*self.take(2)?.first_chunk()?))
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(*self.take(4)?.first_chunk()?))
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(*self.take(8)?.first_chunk()?))
    }

    /// A 64-bit length.
    pub(crate) fn length(&mut self) -> Option<usize> {
        usize::try_from(self.u64()?).ok()
    }

    /// UTF-16 up to its zero, which is taken and left out.
    pub(crate) fn wide_text(&mut self) -> Option<String> {
        let end = self.0.chunks_exact(2).position(|unit| unit == [0, 0])?;
        let text = wide(self.take(end * 2)?);
        self.take(2)?;
        Some(text)
    }
}

/// UTF-16, what is none replaced.
pub(crate) fn wide(bytes: &[u8]) -> String {
    let units: Vec<u16> =
        bytes.chunks_exact(2).filter_map(|unit| Some(u16::from_le_bytes(*unit.first_chunk()?))).collect();
    String::from_utf16_lossy(&units)
}

/// Printable ASCII, or UTF-16 of it, that ends with or without a zero. Some boot loaders write half a zero.
pub(crate) fn text(data: &[u8]) -> Option<String> {
    if let Some(text) = narrow(data) {
        return Some(text.to_owned());
    }
    let data = if data.len().is_multiple_of(2) { data } else { data.strip_suffix(&[0])? };
    let text = wide(data);
    let text = text.strip_suffix('\0').unwrap_or(&text);
    printable(text).then(|| text.to_owned())
}

/// Printable ASCII that ends with or without a zero.
pub(crate) fn narrow(data: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(data).ok()?;
    Some(text.strip_suffix('\0').unwrap_or(text)).filter(|text| printable(text))
}

fn printable(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| (' '..='~').contains(&c) || matches!(c, '\n' | '\t'))
}

/// The beginning of a text, on one line.
pub(crate) fn short(text: &str) -> String {
    let plain = |c: char| if c.is_control() || !(' '..='\u{24F}').contains(&c) { ' ' } else { c };
    let line: String = text.chars().map(plain).take(LONGEST).collect();
    if text.chars().nth(LONGEST).is_some() { format!("{line}…") } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_strangers_are_one_short_line() {
        assert_eq!(text(b"a\0"), Some("a".to_owned()));
        assert_eq!(text(&[b'a', 0, b'b', 0, 0, 0]), Some("ab".to_owned()));
        assert_eq!((text(b"\x1b[2J"), text(&[0xFF]), text(b"")), (None, None, None));
        assert_eq!((text(&[b'a', 0, b'b', 0, 0]), text(&[b'a', 0, b'b'])), (Some("ab".to_owned()), None));
        assert_eq!(short("a\nb"), "a b");
        assert_eq!(short(&"x".repeat(201)).chars().count(), 201);
        assert!(short(&"x".repeat(201)).ends_with('…') && !short(&"x".repeat(200)).ends_with('…'));
        assert_eq!(short("a\u{202E}b\u{1b}[2Jc"), "a b [2Jc", "text that turns or clears the line");
    }
}
