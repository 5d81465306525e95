//! Proofs that a leaf is in a tree and that a tree is the beginning of another: RFC 6962, sections 2.1.1 and 2.1.2;
//! verified as RFC 9162, sections 2.1.3.2 and 2.1.4.2, say.

use super::hash::Hash;
use super::tree::{Nodes, range_root};

/// The hashes that prove that the leaf at `index` is in the tree of that size, from the leaf's sibling upwards.
/// Empty where `index` is not below `size`; such a proof never verifies.
///
/// # Errors
/// Whatever reading a node fails with.
pub fn inclusion<N: Nodes>(nodes: &N, index: u64, size: u64) -> Result<Vec<Hash>, N::Error> {
    let mut parts = Vec::new();
    if index < size {
        let (mut start, mut end) = (0, size);
        while end - start > 1 {
            let split = start + split_of(end - start);
            if index < split {
                parts.push((split, end));
                end = split;
            } else {
                parts.push((start, split));
                start = split;
            }
        }
    }
    hashes_from_below(nodes, parts)
}

/// The hashes that prove that the tree of size `old` is the beginning of the tree of size `new`. Empty where they are
/// equal, where `old` is 0 (anything begins with nothing), and where `old` is not below `new`.
///
/// # Errors
/// Whatever reading a node fails with.
pub fn consistency<N: Nodes>(nodes: &N, old: u64, new: u64) -> Result<Vec<Hash>, N::Error> {
    let mut parts = Vec::new();
    if old > 0 && old < new {
        let (mut start, mut end) = (0, new);
        while old != end {
            let split = start + split_of(end - start);
            if old <= split {
                parts.push((split, end));
                end = split;
            } else {
                parts.push((start, split));
                start = split;
            }
        }
        // Where the old tree is itself a full subtree, whoever verifies has its root already.
        if start > 0 {
            parts.push((start, end));
        }
    }
    hashes_from_below(nodes, parts)
}

/// Whether the proof shows that the leaf with that hash is at `index` of the tree with that size and root.
#[must_use]
pub fn verify_inclusion(leaf: Hash, index: u64, size: u64, proof: &[Hash], root: Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut position, mut last) = (index, size - 1);
    let mut hash = leaf;
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if position & 1 == 1 || position == last {
            hash = Hash::of_node(*sibling, hash);
            // On the right edge: up to where there is a left sibling.
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            hash = Hash::of_node(hash, *sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    last == 0 && hash == root
}

/// Whether the proof shows that the tree with the old size and root is the beginning of the one with the new.
#[must_use]
pub fn verify_consistency(old: (u64, Hash), new: (u64, Hash), proof: &[Hash]) -> bool {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size > new_size {
        return false;
    }
    if old_size == new_size {
        return proof.is_empty() && old_root == new_root;
    }
    if old_size == 0 {
        return proof.is_empty() && old_root == Hash::of_empty_tree();
    }
    // A full subtree's root is left out of the proof.
    let (first, rest) = if old_size.is_power_of_two() {
        (old_root, proof)
    } else {
        match proof.split_first() {
            Some((first, rest)) => (*first, rest),
            None => return false,
        }
    };
    let shift = (old_size - 1).trailing_ones();
    let (mut position, mut last) = ((old_size - 1) >> shift, (new_size - 1) >> shift);
    let (mut old_hash, mut new_hash) = (first, first);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if position & 1 == 1 || position == last {
            old_hash = Hash::of_node(*sibling, old_hash);
            new_hash = Hash::of_node(*sibling, new_hash);
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = Hash::of_node(new_hash, *sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    last == 0 && old_hash == old_root && new_hash == new_root
}

/// The largest power of two below a size above 1: where RFC 6962 splits a tree.
const fn split_of(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

fn hashes_from_below<N: Nodes>(nodes: &N, parts: Vec<(u64, u64)>) -> Result<Vec<Hash>, N::Error> {
    parts.into_iter().rev().map(|(start, end)| range_root(nodes, start, end)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tlog::tree::tests::{InMemory, by_definition, leaves};

    #[test]
    fn every_inclusion_proof_verifies() {
        let leaves = leaves(70);
        let (nodes, _) = InMemory::of(&leaves);
        for size in 1..=leaves.len() {
            let root = by_definition(&leaves[..size]);
            for (index, leaf) in leaves[..size].iter().copied().enumerate() {
                let (index64, size64) = (index as u64, size as u64);
                let Ok(proof) = inclusion(&nodes, index64, size64);
                assert!(verify_inclusion(leaf, index64, size64, &proof, root), "{index} of {size}");
                // For no other place, and with nothing more or less.
                let other = (index64 + 1) % size64;
                assert!(size == 1 || !verify_inclusion(leaf, other, size64, &proof, root));
                assert!(!verify_inclusion(leaf, index64, size64, &[&proof[..], &[root]].concat(), root));
                if let Some((_, shorter)) = proof.split_last() {
                    assert!(!verify_inclusion(leaf, index64, size64, shorter, root));
                }
            }
        }
    }

    #[test]
    fn every_consistency_proof_verifies() {
        let leaves = leaves(70);
        let (nodes, _) = InMemory::of(&leaves);
        let roots: Vec<_> = (0..=leaves.len()).map(|size| by_definition(&leaves[..size])).collect();
        for new in 0..roots.len() {
            for old in 0..=new {
                let Ok(proof) = consistency(&nodes, old as u64, new as u64);
                let (old, new) = ((old as u64, roots[old]), (new as u64, roots[new]));
                assert!(verify_consistency(old, new, &proof), "{old:?} {new:?}");
                assert!(!verify_consistency(old, new, &[&proof[..], &[new.1]].concat()));
                assert!(old.0 == new.0 || !verify_consistency(new, old, &proof));
                if let Some((_, shorter)) = proof.split_last() {
                    assert!(!verify_consistency(old, new, shorter));
                }
            }
        }
    }

    #[test]
    fn nothing_is_proved_outside_the_tree() {
        let leaves = leaves(3);
        let (nodes, frontier) = InMemory::of(&leaves);
        assert_eq!(inclusion(&nodes, 3, 3), Ok(Vec::new()));
        assert!(!verify_inclusion(leaves[0], 3, 3, &[], frontier.root()));
        assert!(!verify_inclusion(leaves[0], 0, 0, &[], leaves[0]));
        assert!(!verify_inclusion(leaves[0], u64::MAX, u64::MAX, &[leaves[0]; 64], leaves[0]));
        assert!(!verify_consistency((0, leaves[0]), (3, frontier.root()), &[]));
        assert!(!verify_consistency((u64::MAX - 1, leaves[0]), (u64::MAX, leaves[0]), &[leaves[0]; 64]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_flipped_bit_fails(size in 2u64..400, at in any::<prop::sample::Index>(), old in any::<prop::sample::Index>(),
            hash in any::<prop::sample::Index>(), bit in 0usize..256) {
            let leaves = leaves(size);
            let (nodes, frontier) = InMemory::of(&leaves);
            let flip = |hash: Hash| {
                let mut bytes = hash.0;
                bytes[bit / 8] ^= 1 << (bit % 8);
                Hash(bytes)
            };
            let (index, root) = (at.index(leaves.len()), frontier.root());
            let Ok(mut proof) = inclusion(&nodes, index as u64, size);
            prop_assert!(verify_inclusion(leaves[index], index as u64, size, &proof, root));
            prop_assert!(!verify_inclusion(flip(leaves[index]), index as u64, size, &proof, root));
            prop_assert!(!verify_inclusion(leaves[index], index as u64, size, &proof, flip(root)));
            let flipped = hash.index(proof.len());
            proof[flipped] = flip(proof[flipped]);
            prop_assert!(!verify_inclusion(leaves[index], index as u64, size, &proof, root));

            let old_size = 1 + old.index(leaves.len() - 1);
            let old = (old_size as u64, by_definition(&leaves[..old_size]));
            let Ok(mut proof) = consistency(&nodes, old.0, size);
            prop_assert!(verify_consistency(old, (size, root), &proof));
            prop_assert!(!verify_consistency((old.0, flip(old.1)), (size, root), &proof));
            prop_assert!(!verify_consistency(old, (size, flip(root)), &proof));
            let flipped = hash.index(proof.len());
            proof[flipped] = flip(proof[flipped]);
            prop_assert!(!verify_consistency(old, (size, root), &proof));
        }

        #[test]
        fn verifying_garbage_ends_in_false(index in any::<u64>(), size in 1..=u64::MAX, other in any::<u64>(), length in 0usize..70) {
            let hash = Hash::of_empty_tree();
            let proof = vec![hash; length];
            prop_assert!(!verify_inclusion(hash, index, size, &proof, Hash([7; 32])));
            prop_assert!(!verify_consistency((size, hash), (other, Hash([7; 32])), &proof) );
        }
    }
}
