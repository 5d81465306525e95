//! The store: what is durable.
//!
//! # Layout
//!
//! One redb file with three tables:
//!
//! ```text
//! entries   index of the first entry -> chunk of entries (see `chunk`)
//! nodes     level << 56 | index      -> hash over the leaves index * 256^level to (index + 1) * 256^level, level >= 1
//! meta      "head"                   -> version (1 byte, 1), state (1 byte: 0 closed, 1 open), size (8 bytes,
//!                                       big-endian), the hashes of the tree's frontier, largest subtree first
//!           "checkpoint"             -> a signed checkpoint, not newer than the head
//! ```
//!
//! The hashes of leaves stand beside their entries, so the nodes are those of the tiles of level 1 and above: 32 bytes
//! for 256 entries. With them a proof reads a few hundred hashes whatever the size of the log.
//!
//! Chunks and nodes are only ever added. One transaction adds what one batch brought and moves the head, with redb's
//! two-phase commit and the state of its allocator, so that after a crash the file opens at once.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use redb::{ConcurrencyMode, Database, DatabaseError, ReadableDatabase as _, TableDefinition};

use super::chunk;
use super::files;
use super::guard::guarded;
use super::log::OpenError;
use super::snapshot::Snapshot;
use crate::tlog::tile::TILE_HEIGHT;
use crate::tlog::{Frontier, HASH_BYTES, Hash};

pub(super) const ENTRIES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("entries");
pub(super) const NODES: TableDefinition<'static, u64, [u8; HASH_BYTES]> = TableDefinition::new("nodes");
pub(super) const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");
pub(super) const HEAD: &str = "head";
pub(super) const CHECKPOINT: &str = "checkpoint";

const HEAD_VERSION: u8 = 1;

/// The store, open for writing. There is one in all processes.
#[derive(Debug)]
pub(super) struct Store {
    database: Database,
    path: PathBuf,
    frontier: Frontier,
}

/// The end of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) state: State,
    pub(super) frontier: Frontier,
}

/// Whether a writer has the log open, or had when it was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Closed,
    Open,
}

/// What opening found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// No log; now there is an empty one.
    Nothing,
    /// A log that was closed in good order.
    Closed,
    /// A log whose last writer did not close it.
    Open,
}

/// The store failed; it says how.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct StoreError(String);

impl Store {
    /// Opens the store in the directory, or makes it.
    pub(super) fn open(directory: &Path, cache_bytes: usize) -> Result<(Self, Found), OpenError> {
        let path = files::store(directory);
        let io = |source| OpenError::Io { path: path.clone(), source };
        // Whoever may read what people asked for is not for the umask to say.
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(io)?;
        let opened = guarded(|| builder(cache_bytes).create(&path)).map_err(|reason| damaged(&path, reason))?;
        let database = match opened {
            Ok(database) => database,
            Err(DatabaseError::DatabaseAlreadyOpen) => return Err(OpenError::Locked { path }),
            Err(DatabaseError::Storage(redb::StorageError::Io(source))) => return Err(io(source)),
            Err(DatabaseError::Storage(redb::StorageError::Corrupted(reason))) => return Err(damaged(&path, reason)),
            Err(error) => {
                return Err(OpenError::Store { path, reason: error.to_string() });
            }
        };
        let mut store = Self { database, path, frontier: Frontier::new() };
        let found = match store.snapshot()? {
            None => Found::Nothing,
            Some(snapshot) => {
                store.frontier = snapshot.head().frontier.clone();
                match snapshot.head().state {
                    State::Closed => Found::Closed,
                    State::Open => Found::Open,
                }
            }
        };
        Ok((store, found))
    }

    /// What is stored now; `None` where nothing ever was.
    pub(super) fn snapshot(&self) -> Result<Option<Snapshot>, OpenError> {
        let transaction = guarded(|| self.database.begin_read())
            .map_err(|reason| damaged(&self.path, reason))?
            .map_err(|error| damaged(&self.path, error.to_string()))?;
        Snapshot::new(transaction).map_err(|damage| damaged(&self.path, damage.reason))
    }

    /// The tree over all entries.
    pub(super) const fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// Appends entries, in the form of a chunk, sets the state and keeps the checkpoint; ready when that is on disk. After
    /// an error the store must not be used again: what was appended is then on disk or not.
    pub(super) fn append(&mut self, entries: &[u8], state: State, checkpoint: Option<&str>) -> Result<(), StoreError> {
        self.write(entries, state, checkpoint).map_err(|error| StoreError(format!("{}: {error}", self.path.display())))
    }

    fn write(&mut self, list: &[u8], state: State, checkpoint: Option<&str>) -> Result<(), redb::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_quick_repair(true);
        {
            let mut entries = transaction.open_table(ENTRIES)?;
            let mut completed = Vec::new();
            let mut chunk = chunk::Builder::default();
            let mut chunk_start = self.frontier.size();
            for (leaf, entry) in chunk::entries(list).flatten() {
                if chunk.is_full_for(entry.len()) {
                    entries.insert(chunk_start, chunk.as_bytes())?;
                    chunk.clear();
                    chunk_start = self.frontier.size();
                }
                chunk.push(leaf, entry);
                self.frontier.append(leaf, |height, index, hash| {
                    if height % TILE_HEIGHT == 0 {
                        completed.push((node_key(height / TILE_HEIGHT, index), hash));
                    }
                });
            }
            if chunk_start < self.frontier.size() {
                entries.insert(chunk_start, chunk.as_bytes())?;
            }
            let mut nodes = transaction.open_table(NODES)?;
            for (key, hash) in completed {
                nodes.insert(key, hash.0)?;
            }
            let mut meta = transaction.open_table(META)?;
            meta.insert(HEAD, &*Head::encode(state, &self.frontier))?;
            if let Some(checkpoint) = checkpoint {
                meta.insert(CHECKPOINT, checkpoint.as_bytes())?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// Closes the file.
    pub(super) fn close(self) -> Result<(), StoreError> {
        let Self { database, path, .. } = self;
        database.close().map_err(|error| StoreError(format!("{}: {error}", path.display())))
    }
}

/// How writer and readers open the file: they must agree on how it is shared.
pub(super) fn builder(cache_bytes: usize) -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_concurrency_mode(ConcurrencyMode::SingleWriter).set_cache_size(cache_bytes);
    builder
}

/// The key of a node: those of a level stand together, in order.
pub(super) const fn node_key(level: u32, index: u64) -> u64 {
    (level as u64) << 56 | index
}

impl Head {
    fn encode(state: State, frontier: &Frontier) -> Vec<u8> {
        let mut bytes = vec![HEAD_VERSION, state as u8];
        bytes.extend_from_slice(&frontier.size().to_be_bytes());
        bytes.extend(frontier.subtrees().iter().flat_map(|hash| hash.0));
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[version, state], rest) = bytes.split_first_chunk::<2>()?;
        let (size, rest) = rest.split_first_chunk::<8>()?;
        let (subtrees, rest) = rest.as_chunks::<HASH_BYTES>();
        if version != HEAD_VERSION || !rest.is_empty() {
            return None;
        }
        let state = match state {
            0 => State::Closed,
            1 => State::Open,
            _ => return None,
        };
        let subtrees = subtrees.iter().copied().map(Hash).collect();
        let frontier = Frontier::from_subtrees(u64::from_be_bytes(*size), subtrees)?;
        Some(Self { state, frontier })
    }
}

fn damaged(path: &Path, reason: String) -> OpenError {
    OpenError::Corrupt { path: path.to_owned(), reason }
}
