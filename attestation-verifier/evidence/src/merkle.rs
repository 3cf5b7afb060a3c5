//! Merkle tree arithmetic of RFC 6962 section 2.1 over SHA-256.

use sha2::{Digest as _, Sha256};

use crate::frame::Digest;

/// Hash of a leaf: `SHA-256(0x00 ‖ data)`.
pub fn leaf(data: &[u8]) -> Digest {
    Sha256::new().chain_update([0]).chain_update(data).finalize().into()
}

/// Hash of an inner node: `SHA-256(0x01 ‖ left ‖ right)`.
pub fn node(left: &Digest, right: &Digest) -> Digest {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// Root over leaf hashes; of none it is SHA-256 of nothing.
pub fn root(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => Sha256::digest([]).into(),
        [only] => *only,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node(&root(left), &root(right))
        }
    }
}

/// Audit path of leaf `index`, from the leaf upwards. `None` if there is no such leaf.
pub fn path(leaves: &[Digest], index: usize) -> Option<Vec<Digest>> {
    if index >= leaves.len() {
        return None;
    }
    if leaves.len() == 1 {
        return Some(Vec::new());
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut below, sibling) = if index < left.len() {
        (path(left, index)?, root(right))
    } else {
        (path(right, index - left.len())?, root(left))
    };
    below.push(sibling);
    Some(below)
}

/// The root that a leaf and its path lead to. `None` unless the path has exactly the length that index and count ask for.
pub fn root_from(leaf: Digest, index: u64, count: u64, path: &[Digest]) -> Option<Digest> {
    if index >= count {
        return None;
    }
    if count == 1 {
        return path.is_empty().then_some(leaf);
    }
    let (sibling, below) = path.split_last()?;
    let left = split_u64(count);
    if index < left {
        Some(node(&root_from(leaf, index, left, below)?, sibling))
    } else {
        Some(node(sibling, &root_from(leaf, index - left, count - left, below)?))
    }
}

/// The largest power of two below `n`, for `n` of 2 or more.
fn split(n: usize) -> usize {
    1 << (n - 1).ilog2()
}

fn split_u64(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: u8) -> Vec<Digest> {
        (0..count).map(|n| leaf(&[n])).collect()
    }

    #[test]
    fn every_leaf_of_every_small_tree_leads_to_its_root_and_no_other_does() {
        for count in 1..40_u8 {
            let leaves = leaves(count);
            for index in 0..count {
                let path = path(&leaves, usize::from(index)).unwrap();
                let at = |leaf, index, path: &[Digest]| root_from(leaf, index, u64::from(count), path);
                assert_eq!(at(leaves[usize::from(index)], u64::from(index), &path), Some(root(&leaves)));
                assert_ne!(at(leaf(b"other"), u64::from(index), &path), Some(root(&leaves)));
                let mut longer = path.clone();
                longer.push([0; 32]);
                assert_eq!(at(leaves[usize::from(index)], u64::from(index), &longer), None);
                if let Some((_, shorter)) = path.split_last() {
                    assert_eq!(at(leaves[usize::from(index)], u64::from(index), shorter), None);
                }
            }
            assert_eq!(path(&leaves, usize::from(count)), None);
            assert_eq!(root_from(leaves[0], u64::from(count), u64::from(count), &[]), None);
        }
    }

    /// The published test vectors of RFC 6962's first implementation: the root over these eight inputs.
    #[test]
    fn the_known_root_of_eight_inputs_holds() {
        let inputs: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let leaves: Vec<_> = inputs.iter().map(|input| leaf(input)).collect();
        assert_eq!(hex::encode(root(&leaves)), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
        assert_eq!(hex::encode(root(&[])), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
