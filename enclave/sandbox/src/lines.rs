//! What comes of a server piece by piece, put together into lines.

use std::collections::VecDeque;

/// Collects bytes and gives out complete lines, none longer than the limit.
pub(crate) struct Lines {
    limit: usize,
    partial: Vec<u8>,
    /// Bytes of blank lines since the last other one.
    blank: usize,
    complete: VecDeque<Vec<u8>>,
}

/// A line is longer than the limit, or so many blank ones came that they are.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct TooLong;

impl Lines {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, partial: Vec::new(), blank: 0, complete: VecDeque::new() }
    }

    /// Takes the next frame. Lines completed before an overlong one stay available.
    pub(crate) fn push(&mut self, mut frame: &[u8]) -> Result<(), TooLong> {
        while let Some(end) = frame.iter().position(|&byte| byte == b'\n') {
            let (line, rest) = frame.split_at(end);
            self.append(line)?;
            let mut line = std::mem::take(&mut self.partial);
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            // Blank lines mean nothing in MCP; servers print them. Nothing but blank lines is no conversation.
            if line.iter().all(u8::is_ascii_whitespace) {
                self.blank = self.blank.saturating_add(end).saturating_add(1);
                if self.blank > self.limit {
                    return Err(TooLong);
                }
            } else {
                self.blank = 0;
                self.complete.push_back(line);
            }
            frame = rest.get(1..).unwrap_or_default();
        }
        self.append(frame)
    }

    pub(crate) fn pop(&mut self) -> Option<Vec<u8>> {
        self.complete.pop_front()
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        if self.partial.len().saturating_add(bytes.len()) > self.limit {
            self.partial = Vec::new();
            return Err(TooLong);
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }
}

/// The last bytes of a stream.
pub(crate) struct Tail {
    limit: usize,
    bytes: VecDeque<u8>,
}

impl Tail {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, bytes: VecDeque::new() }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        let surplus = self.bytes.len().saturating_sub(self.limit);
        self.bytes.drain(..surplus);
    }

    pub(crate) fn text(&self) -> String {
        let (front, back) = self.bytes.as_slices();
        String::from_utf8_lossy(&[front, back].concat()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_whole_however_the_frames_are_cut() {
        let text = b"{\"a\":1}\r\n\n  \nsecond\nunfinished";
        for cut in 0..=text.len() {
            let mut lines = Lines::new(100);
            lines.push(&text[..cut]).unwrap();
            lines.push(&text[cut..]).unwrap();
            assert_eq!(lines.pop().unwrap(), b"{\"a\":1}");
            assert_eq!(lines.pop().unwrap(), b"second");
            assert_eq!(lines.pop(), None);
        }
    }

    #[test]
    fn a_line_of_the_limit_passes_and_one_byte_more_does_not() {
        let mut lines = Lines::new(8);
        assert_eq!(lines.push(b"12345678\n"), Ok(()));
        assert_eq!(lines.pop().unwrap(), b"12345678");
        assert_eq!(lines.push(b"before\n123456"), Ok(()));
        assert_eq!(lines.push(b"789\n"), Err(TooLong));
        assert_eq!(lines.pop().unwrap(), b"before");
    }

    #[test]
    fn blank_lines_without_end_are_too_long_and_between_others_they_are_nothing() {
        let mut lines = Lines::new(8);
        for _ in 0..100 {
            assert_eq!(lines.push(b"\n\r\n \n{}\n"), Ok(()));
        }
        assert_eq!(lines.push(b"\n\n\n\n\n\n\n\n"), Ok(()));
        assert_eq!(lines.push(b"\n"), Err(TooLong));
    }

    #[test]
    fn a_tail_keeps_the_last_bytes() {
        let mut tail = Tail::new(4);
        tail.push(b"abc");
        tail.push(b"defg");
        assert_eq!(tail.text(), "defg");
    }
}
