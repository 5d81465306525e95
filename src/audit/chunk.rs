//! A chunk: consecutive entries under one key of the store.
//!
//! # Layout
//!
//! For each entry, one behind the other:
//!
//! ```text
//! 32 bytes   the leaf's hash
//!  2 bytes   the entry's length, big-endian
//!  n bytes   the entry
//! ```
//!
//! The hash beside the entry tells exactly which entry was changed, and lets proofs be made without hashing entries
//! again. Rows of this size, rather than one for each entry, keep the store's tree small and its pages full.

use crate::tlog::{HASH_BYTES, Hash};

/// What precedes an entry.
const HEADER_BYTES: usize = HASH_BYTES + size_of::<u16>();

/// How long a chunk may grow. The store keeps such a value in a page of its own, whose size is a power of two; a
/// little less leaves room for the page's own header. One entry that is longer is a chunk by itself.
const TARGET_BYTES: usize = 16 * 1024 - 64;

/// A chunk that is being filled.
#[derive(Debug, Default)]
pub(super) struct Builder {
    bytes: Vec<u8>,
}

impl Builder {
    /// Whether another entry of that length belongs into the next chunk.
    pub(super) fn is_full_for(&self, entry_bytes: usize) -> bool {
        !self.bytes.is_empty() && self.bytes.len() + HEADER_BYTES + entry_bytes > TARGET_BYTES
    }

    /// Adds an entry, whose length must fit 16 bits.
    pub(super) fn push(&mut self, hash: Hash, entry: &[u8]) {
        push(&mut self.bytes, hash, entry);
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// Adds an entry, whose length must fit 16 bits, to a list that has the form of a chunk and may be longer.
pub(super) fn push(list: &mut Vec<u8>, hash: Hash, entry: &[u8]) {
    let length = u16::try_from(entry.len()).expect("an entry is at most 65,535 bytes long");
    list.extend_from_slice(&hash.0);
    list.extend_from_slice(&length.to_be_bytes());
    list.extend_from_slice(entry);
}

/// The same with an entry that is written in its place.
pub(super) fn push_leaf(list: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = list.len();
    list.resize(start + HEADER_BYTES, 0);
    write(list);
    let (before, entry) = list.split_at_mut(start + HEADER_BYTES);
    let length = u16::try_from(entry.len()).expect("an entry is at most 65,535 bytes long");
    let header = &mut before[start..];
    header[..HASH_BYTES].copy_from_slice(&Hash::of_leaf(entry).0);
    header[HASH_BYTES..].copy_from_slice(&length.to_be_bytes());
}

/// The entries of a chunk with their stored hashes; `None` in place of the first that runs past the chunk's end.
pub(super) fn entries(chunk: &[u8]) -> impl Iterator<Item = Option<(Hash, &[u8])>> {
    let mut rest = Some(chunk);
    std::iter::from_fn(move || {
        let chunk = rest.take().filter(|chunk| !chunk.is_empty())?;
        let entry = split_entry(chunk);
        rest = entry.map(|(_, _, after)| after);
        Some(entry.map(|(hash, entry, _)| (hash, entry)))
    })
}

fn split_entry(chunk: &[u8]) -> Option<(Hash, &[u8], &[u8])> {
    let (hash, rest) = chunk.split_first_chunk::<HASH_BYTES>()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some((Hash(*hash), entry, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_entry_of_any_length_fits_an_empty_chunk() {
        let mut chunk = Builder::default();
        assert!(!chunk.is_full_for(65_535));
        chunk.push(Hash([1; 32]), &[7; 65_535]);
        assert!(chunk.is_full_for(0));
    }

    proptest! {
        #[test]
        fn chunks_read_back(list in prop::collection::vec((any::<[u8; 32]>(), prop::collection::vec(any::<u8>(), 0..40)), 0..8), cut in any::<prop::sample::Index>()) {
            let mut chunk = Builder::default();
            for (hash, entry) in &list {
                chunk.push(Hash(*hash), entry);
            }
            let mut leaves = Vec::new();
            for (_, entry) in &list {
                push_leaf(&mut leaves, |out| out.extend_from_slice(entry));
            }
            for (pushed, (_, entry)) in entries(&leaves).zip(&list) {
                prop_assert_eq!(pushed, Some((Hash::of_leaf(entry), entry.as_slice())));
            }
            let read: Vec<_> = entries(chunk.as_bytes()).map(|entry| entry.map(|(hash, entry)| (hash.0, entry.to_vec()))).collect();
            prop_assert_eq!(read, list.iter().cloned().map(Some).collect::<Vec<_>>());
            if !list.is_empty() {
                let cut = cut.index(chunk.as_bytes().len());
                let read: Vec<_> = entries(&chunk.as_bytes()[..cut]).collect();
                let whole = read.iter().take_while(|entry| entry.is_some()).count();
                prop_assert!(whole < list.len());
                prop_assert!(read.len() - whole <= 1);
            }
        }
    }
}
