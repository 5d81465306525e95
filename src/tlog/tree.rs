//! The Merkle tree: growing it, and the hash of any part of it.

use super::hash::Hash;

/// What is needed to append to a tree and to know its root: the roots of the full subtrees it consists of, one for
/// every bit that is set in its size, the largest (leftmost) first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    subtrees: Vec<Hash>,
}

impl Frontier {
    /// The tree without leaves.
    #[must_use]
    pub const fn new() -> Self {
        Self { size: 0, subtrees: Vec::new() }
    }

    /// The tree of that size with those full subtrees, largest first; `None` where their number does not fit the size.
    #[must_use]
    pub fn from_subtrees(size: u64, subtrees: Vec<Hash>) -> Option<Self> {
        (subtrees.len() == size.count_ones() as usize).then_some(Self { size, subtrees })
    }

    /// The tree of that size over stored nodes.
    ///
    /// # Errors
    /// Whatever reading a node fails with.
    pub fn load<N: Nodes>(nodes: &N, size: u64) -> Result<Self, N::Error> {
        let subtrees =
            full_subtrees(0, size).map(|(height, index)| nodes.node(height, index)).collect::<Result<_, _>>()?;
        Ok(Self { size, subtrees })
    }

    /// The number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The full subtrees, largest first.
    #[must_use]
    pub fn subtrees(&self) -> &[Hash] {
        &self.subtrees
    }

    /// Appends a leaf. Calls back for every subtree that it completes, from below, with height (at least 1), index
    /// among the subtrees of that height, and hash.
    pub fn append(&mut self, leaf: Hash, mut completed: impl FnMut(u32, u64, Hash)) {
        let mut hash = leaf;
        for height in 1..=self.size.trailing_ones() {
            let left = self.subtrees.pop().expect("there is a subtree for every bit that is set");
            hash = Hash::of_node(left, hash);
            completed(height, self.size >> height, hash);
        }
        self.subtrees.push(hash);
        self.size += 1;
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Hash {
        join(&self.subtrees).unwrap_or_else(Hash::of_empty_tree)
    }
}

/// Stored nodes of a tree: the roots of full subtrees.
pub trait Nodes {
    /// Why a node cannot be read.
    type Error;

    /// The root of the full subtree over the leaves `index << height` to `(index + 1) << height`. Height 0 is a leaf's
    /// hash.
    ///
    /// # Errors
    /// It cannot be read, or is not there.
    fn node(&self, height: u32, index: u64) -> Result<Hash, Self::Error>;
}

/// The Merkle tree hash of the leaves `start` to `end` (not included): `MTH(D[start:end])` of RFC 6962.
///
/// `start` must be a multiple of the largest power of two below `end - start`, as it always is for the parts that
/// proofs consist of.
pub(super) fn range_root<N: Nodes>(nodes: &N, start: u64, end: u64) -> Result<Hash, N::Error> {
    let parts =
        full_subtrees(start, end).map(|(height, index)| nodes.node(height, index)).collect::<Result<Vec<_>, _>>()?;
    Ok(join(&parts).unwrap_or_else(Hash::of_empty_tree))
}

/// The root of the tree of that size over stored nodes.
///
/// # Errors
/// Whatever reading a node fails with.
pub fn root<N: Nodes>(nodes: &N, size: u64) -> Result<Hash, N::Error> {
    range_root(nodes, 0, size)
}

/// The full subtrees, as height and index, that the leaves `start` to `end` consist of, largest first.
fn full_subtrees(start: u64, end: u64) -> impl Iterator<Item = (u32, u64)> {
    let mut at = start;
    std::iter::from_fn(move || {
        let left = end.checked_sub(at).filter(|left| *left > 0)?;
        let height = left.ilog2();
        let part = (height, at >> height);
        at += 1 << height;
        Some(part)
    })
}

/// Joins subtrees, largest first, from the right.
fn join(subtrees: &[Hash]) -> Option<Hash> {
    subtrees.iter().rev().copied().reduce(|right, left| Hash::of_node(left, right))
}

#[cfg(test)]
pub(super) mod tests {
    use std::convert::Infallible;

    use super::*;

    /// All nodes of a tree, by height.
    #[derive(Default)]
    pub(in crate::tlog) struct InMemory(pub(in crate::tlog) Vec<Vec<Hash>>);

    impl InMemory {
        pub(in crate::tlog) fn of(leaves: &[Hash]) -> (Self, Frontier) {
            let mut frontier = Frontier::new();
            let mut nodes = Self(vec![Vec::new(); 65]);
            for leaf in leaves {
                nodes.0[0].push(*leaf);
                frontier.append(*leaf, |height, index, hash| {
                    let level = &mut nodes.0[height as usize];
                    assert_eq!(level.len() as u64, index);
                    level.push(hash);
                });
            }
            (nodes, frontier)
        }
    }

    impl Nodes for InMemory {
        type Error = Infallible;
        fn node(&self, height: u32, index: u64) -> Result<Hash, Infallible> {
            Ok(self.0[height as usize][usize::try_from(index).unwrap()])
        }
    }

    /// `MTH` as RFC 6962 defines it.
    pub(in crate::tlog) fn by_definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Hash::of_empty_tree(),
            [leaf] => *leaf,
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                Hash::of_node(by_definition(&leaves[..split]), by_definition(&leaves[split..]))
            }
        }
    }

    pub(in crate::tlog) fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|index| Hash::of_leaf(&index.to_be_bytes())).collect()
    }

    /// The eight inputs and the roots over the first n of them, from the tests of Google's certificate-transparency.
    const REFERENCE: [(&str, &str); 8] = [
        ("", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        ("00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        ("10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        ("2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
        ("3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
        ("40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
        ("5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
        ("606162636465666768696a6b6c6d6e6f", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
    ];

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn roots_are_those_of_the_reference() {
        let mut frontier = Frontier::new();
        assert_eq!(frontier.root().0.to_vec(), hex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
        for (input, root) in REFERENCE {
            frontier.append(Hash::of_leaf(&hex(input)), |_, _, _| {});
            assert_eq!(frontier.root().0.to_vec(), hex(root));
        }
    }

    #[test]
    fn growing_agrees_with_the_definition_and_with_loading() {
        let leaves = leaves(150);
        for size in 0..=leaves.len() {
            let (nodes, frontier) = InMemory::of(&leaves[..size]);
            assert_eq!(frontier.root(), by_definition(&leaves[..size]), "size {size}");
            let Ok(loaded) = Frontier::load(&nodes, size as u64);
            assert_eq!(loaded, frontier);
            let again = Frontier::from_subtrees(size as u64, frontier.subtrees().to_vec());
            assert_eq!(again, Some(frontier));
        }
    }

    #[test]
    fn a_frontier_of_the_wrong_width_is_refused() {
        assert_eq!(Frontier::from_subtrees(5, leaves(3)), None);
        assert_eq!(Frontier::from_subtrees(0, leaves(1)), None);
    }
}
