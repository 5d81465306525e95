//! Checkpoints: C2SP `tlog-checkpoint`. The text of a signed note that states a tree's size and root.
//!
//! ```text
//! <origin>
//! <size, decimal>
//! <root, base64>
//! [extension lines]
//! ```

use std::fmt;

use super::hash::Hash;
use super::note::{NoteError, SigningKey, VerifierKey};

/// A tree's size and root, and whose tree it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// The number of leaves.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

/// Why a note is not a checkpoint of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It is no note that the key signed.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Its text is not that of a checkpoint.
    #[error("the note is not a checkpoint")]
    Form,
    /// It is a checkpoint of another log.
    #[error("the checkpoint is that of another log")]
    Origin,
}

impl Checkpoint {
    /// Signs the checkpoint.
    ///
    /// # Errors
    /// The origin has control characters.
    pub fn sign(&self, key: &SigningKey) -> Result<String, NoteError> {
        key.sign(&self.to_string())
    }

    /// The checkpoint in a note that the key signed, of the log that has the key's name.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    pub fn open(note: &[u8], key: &VerifierKey) -> Result<Self, CheckpointError> {
        let checkpoint = Self::parse(key.open(note)?).ok_or(CheckpointError::Form)?;
        if checkpoint.origin == key.name() { Ok(checkpoint) } else { Err(CheckpointError::Origin) }
    }

    /// Reads the text of a checkpoint. Extension lines are passed over.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        if origin.is_empty() || lines.any(str::is_empty) {
            return None;
        }
        Some(Self { origin: origin.to_owned(), size: parse_size(size)?, root: Hash::parse(root)? })
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, self.root)
    }
}

/// A decimal number without leading zeroes or sign.
fn parse_size(text: &str) -> Option<u64> {
    let size: u64 = text.parse().ok()?;
    (size.to_string() == text).then_some(size)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of the specification.
    const TEXT: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    #[test]
    fn the_specifications_example_reads_back() {
        let checkpoint = Checkpoint::parse(TEXT).unwrap();
        assert_eq!(checkpoint.size, 20_852_163);
        assert_eq!(checkpoint.to_string(), TEXT);
        assert_eq!(Checkpoint::parse(&format!("{TEXT}extension\n")), Some(checkpoint));
    }

    #[test]
    fn other_texts_are_refused() {
        let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
        for text in [
            String::new(),
            "a\n1\n".to_owned(),
            format!("a\n1\n{root}"),
            format!("\n1\n{root}\n"),
            format!("a\n01\n{root}\n"),
            format!("a\n+1\n{root}\n"),
            format!("a\n-1\n{root}\n"),
            format!("a\n1 \n{root}\n"),
            format!("a\n18446744073709551616\n{root}\n"),
            format!("a\n1\n{}\n", &root[4..]),
            format!("a\n1\n{root}\n\n"),
            format!("a\n1\n{root}\nb\n\nc\n"),
        ] {
            assert_eq!(Checkpoint::parse(&text), None, "{text:?}");
        }
    }

    #[test]
    fn a_checkpoint_of_another_log_is_refused() {
        let key = SigningKey::from_seed("pgsluice/a", &[1; 32]).unwrap();
        let mut checkpoint = Checkpoint { origin: "pgsluice/a".to_owned(), size: 0, root: Hash::of_empty_tree() };
        let note = checkpoint.sign(&key).unwrap();
        assert_eq!(Checkpoint::open(note.as_bytes(), key.verifier()), Ok(checkpoint.clone()));
        checkpoint.origin = "pgsluice/b".to_owned();
        let note = checkpoint.sign(&key).unwrap();
        assert_eq!(Checkpoint::open(note.as_bytes(), key.verifier()), Err(CheckpointError::Origin));
        let note = key.sign("pgsluice/a\nno checkpoint\n").unwrap();
        assert_eq!(Checkpoint::open(note.as_bytes(), key.verifier()), Err(CheckpointError::Form));
    }

    proptest! {
        #[test]
        fn checkpoints_read_back(origin in "[a-z./]{1,20}", size in any::<u64>(), root in any::<[u8; 32]>()) {
            let checkpoint = Checkpoint { origin, size, root: Hash(root) };
            prop_assert_eq!(Checkpoint::parse(&checkpoint.to_string()), Some(checkpoint));
        }

        #[test]
        fn parsing_never_panics(text in "\\PC{0,5}\n?\\PC{0,5}\n?\\PC{0,5}\n?") {
            let _ = Checkpoint::parse(&text);
        }
    }
}
