//! Proofs to take away: C2SP `tlog-proof`. A checkpoint, and the inclusion of one entry in its tree, in one text that
//! is verified without the log.
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! index <index, decimal>
//! <hash, base64>             of the inclusion proof, from the leaf's sibling upwards, one a line
//! <empty line>
//! <checkpoint>               a signed note
//! ```

use std::fmt;

use super::checkpoint::{Checkpoint, CheckpointError};
use super::hash::Hash;
use super::note::{MAX_NOTE_BYTES, VerifierKey};
use super::proof::verify_inclusion;

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// A proof has at most as many hashes as a tree has levels.
const MAX_HASHES: usize = u64::BITS as usize;

/// An entry's inclusion in a signed tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The entry's index.
    pub index: u64,
    /// The inclusion proof.
    pub hashes: Vec<Hash>,
    /// The checkpoint, as a signed note.
    pub checkpoint: String,
}

/// Why a text proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// It is not of the form of a proof.
    #[error("not a proof of the form c2sp.org/tlog-proof@v1")]
    Form,
    /// Its checkpoint is not the log's.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The entry is not the one at that index of that tree.
    #[error("the entry is not the one that the proof is of")]
    Entry,
}

impl Evidence {
    /// Reads a proof. Extra data is passed over: nothing vouches for it.
    ///
    /// # Errors
    /// [`EvidenceError::Form`].
    pub fn parse(text: &[u8]) -> Result<Self, EvidenceError> {
        parse(text).ok_or(EvidenceError::Form)
    }

    /// Checks that the entry is in the log that the key signs; gives the checkpoint that it is in.
    ///
    /// # Errors
    /// See [`EvidenceError`].
    pub fn verify(&self, entry: &[u8], key: &VerifierKey) -> Result<Checkpoint, EvidenceError> {
        let checkpoint = Checkpoint::open(self.checkpoint.as_bytes(), key)?;
        if verify_inclusion(Hash::of_leaf(entry), self.index, checkpoint.size, &self.hashes, checkpoint.root) {
            Ok(checkpoint)
        } else {
            Err(EvidenceError::Entry)
        }
    }
}

fn parse(text: &[u8]) -> Option<Evidence> {
    if text.len() > MAX_NOTE_BYTES {
        return None;
    }
    let (proof, checkpoint) = std::str::from_utf8(text).ok()?.split_once("\n\n")?;
    let mut lines = proof.split('\n').peekable();
    if lines.next()? != FIRST_LINE {
        return None;
    }
    lines.next_if(|line| line.starts_with("extra "));
    let number = lines.next()?.strip_prefix("index ")?;
    let index: u64 = number.parse().ok()?;
    let hashes = lines.map(Hash::parse).collect::<Option<Vec<_>>>()?;
    (index.to_string() == number && hashes.len() <= MAX_HASHES).then(|| Evidence {
        index,
        hashes,
        checkpoint: checkpoint.to_owned(),
    })
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}\nindex {}", self.index)?;
        for hash in &self.hashes {
            writeln!(f, "{hash}")?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tlog::note::SigningKey;
    use crate::tlog::proof::inclusion;
    use crate::tlog::tree::tests::{InMemory, leaves};

    fn key() -> SigningKey {
        SigningKey::from_seed("pgsluice/test", &[7; 32]).unwrap()
    }

    fn evidence(index: u64, size: u64) -> Evidence {
        let (nodes, frontier) = InMemory::of(&leaves(size));
        let checkpoint = Checkpoint { origin: "pgsluice/test".to_owned(), size, root: frontier.root() };
        let Ok(hashes) = inclusion(&nodes, index, size);
        Evidence { index, hashes, checkpoint: checkpoint.sign(&key()).unwrap() }
    }

    #[test]
    fn a_proof_is_of_one_entry_only() {
        let text = evidence(3, 7).to_string();
        assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 3\n"));
        let read = Evidence::parse(text.as_bytes()).unwrap();
        assert_eq!(read, evidence(3, 7));
        assert_eq!(read.verify(&3u64.to_be_bytes(), key().verifier()).unwrap().size, 7);
        assert_eq!(read.verify(&4u64.to_be_bytes(), key().verifier()), Err(EvidenceError::Entry));
        let other = SigningKey::from_seed("pgsluice/test", &[8; 32]).unwrap();
        assert!(matches!(
            read.verify(&3u64.to_be_bytes(), other.verifier()),
            Err(EvidenceError::Checkpoint(CheckpointError::Note(_)))
        ));
    }

    #[test]
    fn a_tree_of_one_leaf_needs_no_hashes() {
        let text = evidence(0, 1).to_string();
        let read = Evidence::parse(text.as_bytes()).unwrap();
        assert!(read.hashes.is_empty());
        assert!(read.verify(&0u64.to_be_bytes(), key().verifier()).is_ok());
    }

    #[test]
    fn other_texts_are_refused() {
        let text = evidence(3, 7).to_string();
        assert!(Evidence::parse(text.replace("v1\n", "v1\nextra AAAA\n").as_bytes()).is_ok());
        for text in [
            String::new(),
            text.replace("v1", "v2"),
            text.replace("index 3", "index 03"),
            text.replace("index 3", "index +3"),
            text.replace("index 3\n", ""),
            text.replace("\n\n", "\n"),
            text.replace("index 3\n", "index 3\nx\n"),
            text.replace("index 3\n", &format!("index 3\n{}", format!("{}\n", Hash::of_empty_tree()).repeat(65))),
        ] {
            assert_eq!(Evidence::parse(text.as_bytes()), Err(EvidenceError::Form), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_flipped_bit_fails(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut text = evidence(5, 11).to_string().into_bytes();
            let at = at.index(text.len());
            text[at] ^= 1 << bit;
            let read = Evidence::parse(&text);
            prop_assert!(read.and_then(|read| read.verify(&5u64.to_be_bytes(), key().verifier())).is_err());
        }
    }
}
