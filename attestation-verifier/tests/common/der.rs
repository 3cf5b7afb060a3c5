//! DER as a tree that can be changed and written again.
#![allow(dead_code, reason = "each test file uses its part")]

/// One element. What has the constructed bit is read into its members.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Node {
    pub(crate) tag: u8,
    pub(crate) content: Vec<u8>,
    pub(crate) members: Vec<Node>,
}

impl Node {
    pub(crate) fn leaf(tag: u8, content: &[u8]) -> Self {
        Self { tag, content: content.to_vec(), members: vec![] }
    }

    pub(crate) fn of(tag: u8, members: Vec<Node>) -> Self {
        Self { tag, content: vec![], members }
    }

    /// The only element of these bytes.
    pub(crate) fn read(der: &[u8]) -> Self {
        let (node, rest) = Self::first(der);
        assert!(rest.is_empty());
        node
    }

    fn first(der: &[u8]) -> (Self, &[u8]) {
        let (header, length) = match der[1] {
            short @ 0..=0x7F => (2, usize::from(short)),
            0x81 => (3, usize::from(der[2])),
            0x82 => (4, usize::from(der[2]) << 8 | usize::from(der[3])),
            other => panic!("length {other:#x}"),
        };
        let (content, rest) = der[header..].split_at(length);
        let mut node = Self::leaf(der[0], content);
        if der[0] & 0x20 != 0 {
            let mut left = content;
            while !left.is_empty() {
                let (member, after) = Self::first(left);
                node.members.push(member);
                left = after;
            }
            node.content.clear();
        }
        (node, rest)
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let content = match self.tag & 0x20 {
            0 => self.content.clone(),
            _ => self.members.iter().flat_map(Self::write).collect(),
        };
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        let mut der = match content.len() {
            0..=0x7F => vec![self.tag, length[1]],
            0x80..=0xFF => vec![self.tag, 0x81, length[1]],
            _ => vec![self.tag, 0x82, length[0], length[1]],
        };
        der.extend(content);
        der
    }

    pub(crate) fn at(&mut self, path: &[usize]) -> &mut Self {
        path.iter().fold(self, |node, member| &mut node.members[*member])
    }
}
