//! The Merkle tree over the segments of a history (RFC 6962, section 2.1): its head, and proofs
//! that a segment is in it.
//!
//! The leaves are the 32-byte bundle digests of the segments, in order (FORMAT.md, "Checkpoints and
//! proofs").

use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest as _, Sha256};

use crate::digest::{BundleDigest, Sha256Digest};

/// The first byte of the hash input for a leaf.
const LEAF: u8 = 0;

/// The first byte of the hash input for a node with two children.
const NODE: u8 = 1;

fn leaf_hash(leaf: BundleDigest) -> Sha256Digest {
    <[u8; 32]>::from(Sha256::new().chain_update([LEAF]).chain_update(leaf.as_bytes()).finalize()).into()
}

fn node_hash(left: Sha256Digest, right: Sha256Digest) -> Sha256Digest {
    let hash = Sha256::new().chain_update([NODE]).chain_update(left.as_bytes()).chain_update(right.as_bytes());
    <[u8; 32]>::from(hash.finalize()).into()
}

/// The heads of the perfect subtrees that a tree consists of, largest first. Appending a leaf does
/// not need the earlier leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Frontier {
    size: u64,
    subtrees: Vec<Sha256Digest>,
}

impl Frontier {
    /// Returns the number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: BundleDigest) {
        let mut hash = leaf_hash(leaf);
        // Each subtree that is as large as the new one is its left sibling.
        for _ in 0..self.size.trailing_ones() {
            let Some(left) = self.subtrees.pop() else { break };
            hash = node_hash(left, hash);
        }
        self.subtrees.push(hash);
        self.size += 1;
    }

    /// Returns the head of the tree.
    pub fn root(&self) -> Sha256Digest {
        let from_right = self.subtrees.iter().rev().copied();
        from_right.reduce(|right, left| node_hash(left, right)).unwrap_or_else(|| Sha256Digest::of(b""))
    }
}

impl FromIterator<BundleDigest> for Frontier {
    fn from_iter<I: IntoIterator<Item = BundleDigest>>(leaves: I) -> Self {
        let mut frontier = Self::default();
        leaves.into_iter().for_each(|leaf| frontier.push(leaf));
        frontier
    }
}

/// Fails if the number of subtrees does not match the size.
impl<'de> Deserialize<'de> for Frontier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Fields {
            size: u64,
            subtrees: Vec<Sha256Digest>,
        }
        let Fields { size, subtrees } = Fields::deserialize(deserializer)?;
        match usize::try_from(size.count_ones()) == Ok(subtrees.len()) {
            true => Ok(Self { size, subtrees }),
            false => Err(serde::de::Error::custom("the number of subtrees does not match the size")),
        }
    }
}

/// Returns the hashes that prove that the leaf at `index` is in the tree of `leaves`, from its
/// sibling to the child of the root. Returns `None` if `index` is out of range.
pub fn inclusion_proof(leaves: &[BundleDigest], index: usize) -> Option<Vec<Sha256Digest>> {
    leaves.get(index)?;
    let (mut path, mut leaves, mut index) = (Vec::new(), leaves, index);
    while leaves.len() > 1 {
        let (left, right) = leaves.split_at(split_of(leaves.len()));
        let is_right = index >= left.len();
        let (within, sibling) = if is_right { (right, left) } else { (left, right) };
        path.push(sibling.iter().copied().collect::<Frontier>().root());
        index -= if is_right { left.len() } else { 0 };
        leaves = within;
    }
    path.reverse();
    Some(path)
}

/// Returns the number of leaves in the left subtree of a tree with `size` leaves, at least two: the
/// largest power of two below `size`.
fn split_of(size: usize) -> usize {
    1 << (usize::BITS - 1 - (size - 1).leading_zeros())
}

/// Returns the head of the tree of `size` leaves that has `leaf` at `index`, given the hashes of
/// its [`inclusion_proof`]. Returns `None` if the number of hashes is wrong.
pub fn root_of_proof(leaf: BundleDigest, index: u64, size: u64, path: &[Sha256Digest]) -> Option<Sha256Digest> {
    // The positions of the computed node and of the last node in the current level of the tree.
    let (mut node, mut last) = (index, size.checked_sub(1)?);
    if node > last {
        return None;
    }
    let mut hash = leaf_hash(leaf);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if node % 2 == 1 || node == last {
            hash = node_hash(*sibling, hash);
            // A last node without a sibling moves up unchanged until it is a right child.
            let levels = node.trailing_zeros();
            (node, last) = (node >> levels, last >> levels);
        } else {
            hash = node_hash(hash, *sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    (last == 0).then_some(hash)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::{BundleDigest, Frontier, Sha256Digest, inclusion_proof, root_of_proof};

    /// Returns the tree head, exactly as RFC 6962 defines it.
    fn root(leaves: &[BundleDigest]) -> Sha256Digest {
        let bytes = match leaves {
            [] => Vec::new(),
            [leaf] => [&[0], &leaf.as_bytes()[..]].concat(),
            leaves => {
                let k = (0..32).map(|power| 1 << power).take_while(|k| *k < leaves.len()).last().unwrap();
                let (left, right) = (root(&leaves[..k]), root(&leaves[k..]));
                [&[1], &left.as_bytes()[..], &right.as_bytes()[..]].concat()
            }
        };
        Sha256Digest::of(&bytes)
    }

    /// Returns the audit path, exactly as RFC 6962 defines it.
    fn path(m: usize, leaves: &[BundleDigest]) -> Vec<Sha256Digest> {
        if leaves.len() < 2 {
            return Vec::new();
        }
        let k = (0..32).map(|power| 1 << power).take_while(|k| *k < leaves.len()).last().unwrap();
        let (mut path, sibling) = match m < k {
            true => (path(m, &leaves[..k]), root(&leaves[k..])),
            false => (path(m - k, &leaves[k..]), root(&leaves[..k])),
        };
        path.push(sibling);
        path
    }

    fn leaves(n: usize) -> Vec<BundleDigest> {
        (0..n).map(|leaf| BundleDigest::of_manifest_line(&leaf.to_be_bytes())).collect()
    }

    #[test]
    fn heads_and_proofs_have_the_shape_of_rfc_6962() {
        let all = leaves(70);
        let mut frontier = Frontier::default();
        for n in 0..=70 {
            assert_eq!((frontier.size(), frontier.root()), (n as u64, root(&all[..n])), "of {n}");
            for m in 0..n {
                let proof = inclusion_proof(&all[..n], m).unwrap();
                assert_eq!(proof, path(m, &all[..n]), "{m} of {n}");
                assert_eq!(root_of_proof(all[m], m as u64, n as u64, &proof), Some(frontier.root()), "{m} of {n}");
            }
            assert_eq!(inclusion_proof(&all[..n], n), None);
            all.get(n).into_iter().for_each(|leaf| frontier.push(*leaf));
        }
    }

    #[test]
    fn the_head_of_no_leaves_and_of_one_are_known_values() {
        let head = |frontier: &Frontier| frontier.root().to_string();
        let mut frontier = Frontier::default();
        // `sha256sum < /dev/null`, and `head -c 33 /dev/zero | sha256sum`.
        assert_eq!(head(&frontier), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        frontier.push(BundleDigest::from([0; 32]));
        assert_eq!(head(&frontier), "7f9c9e31ac8256ca2f258583df262dbc7d6f68f2a03043d5c99a4ae5a7396ce9");
    }

    #[test]
    fn a_frontier_survives_serialisation_and_rejects_another_number_of_subtrees() {
        let mut frontier: Frontier = leaves(11).into_iter().collect();
        let json = serde_json::to_string(&frontier).unwrap();
        let mut read: Frontier = serde_json::from_str(&json).unwrap();
        for leaf in &leaves(23)[11..] {
            frontier.push(*leaf);
            read.push(*leaf);
        }
        assert_eq!((read.size(), read.root()), (23, frontier.root()));
        serde_json::from_str::<Frontier>(&json.replace("11", "12")).unwrap_err();
    }

    proptest! {
        #[test]
        fn a_proof_fails_for_other_leaves_and_sizes(n in 1_usize..300, seed: usize, bit in 0_usize..256, at: usize) {
            let all = leaves(n);
            let m = seed % n;
            let (index, size) = (m as u64, n as u64);
            let proof = inclusion_proof(&all, m).unwrap();
            let head = Some(root(&all));
            prop_assert_eq!(root_of_proof(all[m], index, size, &proof), head);
            let mut other = *all[m].as_bytes();
            other[bit / 8] ^= 1 << (bit % 8);
            prop_assert_ne!(root_of_proof(other.into(), index, size, &proof), head);
            prop_assert_eq!(root_of_proof(all[m], size + index, size, &proof), None);
            prop_assert_eq!(root_of_proof(all[m], index, 0, &proof), None);
            for wrong in (0..n).filter(|wrong| *wrong != m) {
                prop_assert_ne!(root_of_proof(all[m], wrong as u64, size, &proof), head);
            }
            let longer = [&proof[..], &[Sha256Digest::of(b"")]].concat();
            prop_assert_ne!(root_of_proof(all[m], index, size, &longer), head);
            if let Some((_, shorter)) = proof.split_last() {
                prop_assert_ne!(root_of_proof(all[m], index, size, shorter), head);
                let mut altered = proof.clone();
                let hash = &mut altered[at % proof.len()];
                let mut bytes = *hash.as_bytes();
                bytes[bit / 8] ^= 1 << (bit % 8);
                *hash = bytes.into();
                prop_assert_ne!(root_of_proof(all[m], index, size, &altered), head);
            }
        }
    }
}
