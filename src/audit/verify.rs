//! Verification: whether the log is, entry for entry, what was written and signed.
//!
//! Every entry is hashed again and the tree is built again from these hashes. That is compared with the hash beside
//! each entry, with the stored nodes, with the head, with the newest published checkpoint, with the one stored in the
//! file and with any that the caller kept elsewhere. The first comparison tells which single entry was changed;
//! the others tell that entry and hash were changed together.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::files;
use super::reader::{ReadError, Reader};
use super::snapshot::{Damage, Snapshot};
use crate::tlog::note::VerifierKey;
use crate::tlog::tile::TILE_HEIGHT;
use crate::tlog::{Checkpoint, Frontier, Hash};

/// What the caller knows of the log from elsewhere.
#[derive(Debug, Default)]
pub struct Known {
    /// The verifier key; where it is not given, the one beside the log is believed.
    pub vkey: Option<VerifierKey>,
    /// Checkpoints that the log must still agree with, as signed notes.
    pub checkpoints: Vec<Vec<u8>>,
}

/// A log that verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The key that signed it.
    pub vkey: VerifierKey,
    /// The number of entries.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// How many of the entries the newest checkpoint covers.
    pub signed: u64,
}

/// Verifies the log in a data directory, also while it is written to.
///
/// # Errors
/// [`ReadError::Damaged`] where it does not verify, otherwise why it cannot be read.
pub fn verify(directory: &Path, known: &Known) -> Result<Verified, ReadError> {
    // Before the store: what is published by now, the store must have.
    let published = read(files::checkpoint(directory))?;
    let reader = Reader::open(directory)?;
    let result = verify_store(directory, known, published.as_deref(), &reader);
    // A writer that was started meanwhile writes where a killed one left things behind.
    if result.is_err() && reader.is_left_behind() {
        let reader = Reader::open(directory)?;
        if !reader.is_left_behind() {
            return verify_store(directory, known, published.as_deref(), &reader);
        }
    }
    result
}

fn verify_store(
    directory: &Path,
    known: &Known,
    published: Option<&[u8]>,
    reader: &Reader,
) -> Result<Verified, ReadError> {
    let snapshot = reader.snapshot()?;
    let vkey = match &known.vkey {
        Some(vkey) => vkey.clone(),
        None => beside(directory)?,
    };
    let open = |note: &[u8], of: &str| {
        Checkpoint::open(note, &vkey).map_err(|error| damaged(0, format!("{of} does not verify: {error}")))
    };
    let published = published.ok_or_else(|| damaged(0, "the file `checkpoint` is missing"))?;
    let published = open(published, "the file `checkpoint`")?;
    let mut checkpoints = vec![published.clone()];
    if let Some(note) = snapshot.checkpoint() {
        checkpoints.push(open(note, "the stored checkpoint")?);
    }
    for note in &known.checkpoints {
        checkpoints.push(open(note, "the given checkpoint")?);
    }
    checkpoints.sort_by_key(|checkpoint| checkpoint.size);

    let tree = Walk { snapshot: &snapshot, checkpoints: &checkpoints, tree: Frontier::new(), nodes: 0, agreed: 0 };
    let tree = tree.walk()?;
    Ok(Verified { vkey, size: tree.size(), root: tree.root(), signed: published.size })
}

/// The verifier key beside the log.
///
/// # Errors
/// It is missing or is none.
pub fn beside(directory: &Path) -> Result<VerifierKey, ReadError> {
    let text = read(files::vkey(directory))?.ok_or_else(|| damaged(0, "the file `audit.vkey` is missing"))?;
    std::str::from_utf8(&text)
        .ok()
        .and_then(|text| text.trim_end_matches('\n').parse().ok())
        .ok_or_else(|| damaged(0, "the file `audit.vkey` holds no key"))
}

fn read(path: PathBuf) -> Result<Option<Vec<u8>>, ReadError> {
    match fs::read(&path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ReadError::Io { path, source }),
    }
}

fn damaged(index: u64, reason: impl Into<String>) -> ReadError {
    Damage::new(index, reason).into()
}

/// Building the tree again, with what it is compared with on the way.
struct Walk<'a> {
    snapshot: &'a Snapshot,
    /// By size.
    checkpoints: &'a [Checkpoint],
    tree: Frontier,
    /// How many nodes there must be.
    nodes: u64,
    /// How many entries a checkpoint has agreed with.
    agreed: u64,
}

impl Walk<'_> {
    fn walk(mut self) -> Result<Frontier, Damage> {
        self.compare_checkpoints()?;
        for chunk in self.snapshot.chunks(0)? {
            let expected = self.tree.size();
            let chunk = chunk.map_err(|damage| Damage::new(expected, damage.reason))?;
            if chunk.first() != expected {
                return Err(Damage::new(expected, "the entry is missing"));
            }
            for entry in chunk.entries() {
                let entry = entry?;
                if Hash::of_leaf(entry.json) != entry.hash {
                    return Err(Damage::new(entry.index, "the entry is not what was written"));
                }
                self.append(entry.hash)?;
                self.compare_checkpoints()?;
            }
        }
        self.compare_end()?;
        Ok(self.tree)
    }

    fn append(&mut self, leaf: Hash) -> Result<(), Damage> {
        let mut completed = Vec::new();
        self.tree.append(leaf, |height, index, hash| {
            if height % TILE_HEIGHT == 0 {
                completed.push((height / TILE_HEIGHT, index, hash));
            }
        });
        for (level, index, hash) in completed {
            self.nodes += 1;
            let first = index << (level * TILE_HEIGHT);
            let stored = self.snapshot.tile_node(level, index).map_err(|reason| Damage::new(first, reason))?;
            if stored != Some(hash) {
                let last = self.tree.size() - 1;
                return Err(Damage::new(
                    first,
                    format!("an entry from here to {last}, or the stored hash over them, is not what was written"),
                ));
            }
        }
        Ok(())
    }

    /// Compares with the checkpoints of exactly this size, and passes them.
    fn compare_checkpoints(&mut self) -> Result<(), Damage> {
        while let Some((checkpoint, rest)) = self.checkpoints.split_first()
            && checkpoint.size == self.tree.size()
        {
            self.checkpoints = rest;
            if checkpoint.root != self.tree.root() {
                return Err(Damage::new(
                    self.agreed,
                    format!("the first {} entries are not those that were signed", checkpoint.size),
                ));
            }
            self.agreed = checkpoint.size;
        }
        Ok(())
    }

    fn compare_end(&self) -> Result<(), Damage> {
        let size = self.tree.size();
        if size < self.snapshot.size() {
            return Err(Damage::new(size, format!("the entry is missing: there must be {}", self.snapshot.size())));
        }
        if let Some(checkpoint) = self.checkpoints.last() {
            let reason = format!("the entry is missing: {} were signed", checkpoint.size);
            return Err(Damage::new(size, reason));
        }
        if self.snapshot.head().frontier != self.tree {
            return Err(Damage::new(
                size.min(self.snapshot.size()),
                "the stored end of the log is not what was written",
            ));
        }
        match self.snapshot.tile_node_count() {
            Ok(count) if count == self.nodes => Ok(()),
            Ok(_) => Err(Damage::new(size, "there are stored hashes that were not written")),
            Err(reason) => Err(Damage::new(size, reason)),
        }
    }
}
