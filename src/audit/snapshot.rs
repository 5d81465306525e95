//! What is stored, as of one moment: entries, hashes, the head.

use redb::{ReadOnlyTable, ReadTransaction, ReadableTableMetadata as _, TableError};

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use super::chunk;
use super::guard::guarded;
use super::journal::{self, Run};
use super::store::{CHECKPOINT, ENTRIES, HEAD, Head, META, NODES, node_key};
use crate::tlog::tile::TILE_HEIGHT;
use crate::tlog::{Frontier, HASH_BYTES, Hash, Nodes};

/// Something stored is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {index}: {reason}")]
pub struct Damage {
    /// The first entry that is damaged, or that cannot be told to be sound.
    pub index: u64,
    /// What is wrong.
    pub reason: String,
}

impl Damage {
    pub(super) fn new(index: u64, reason: impl Into<String>) -> Self {
        Self { index, reason: reason.into() }
    }
}

/// The log as of one moment.
#[derive(Debug)]
pub struct Snapshot {
    entries: ReadOnlyTable<u64, &'static [u8]>,
    nodes: ReadOnlyTable<u64, [u8; HASH_BYTES]>,
    head: Head,
    checkpoint: Option<Vec<u8>>,
    tail: Tail,
    // Kept: the tables read through it.
    _transaction: ReadTransaction,
    // Dropped behind that: a database that was opened for writing closes its file under those who read.
    _database: Option<Arc<dyn Any + Send + Sync>>,
}

/// Entries that are in the journal and not in the store yet, and the nodes that they complete.
#[derive(Debug, Default)]
struct Tail {
    run: Run,
    nodes: HashMap<u64, Hash>,
}

/// Entries that are stored together.
#[derive(Debug)]
pub struct Chunk {
    first: u64,
    bytes: Vec<u8>,
}

/// An entry as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredEntry<'a> {
    /// Its place in the log.
    pub index: u64,
    /// Its leaf's hash, as stored.
    pub hash: Hash,
    /// The entry: JSON, if it is sound.
    pub json: &'a [u8],
}

impl Snapshot {
    /// `None` where nothing was ever written.
    pub(super) fn new(transaction: ReadTransaction) -> Result<Option<Self>, Damage> {
        guarded(|| Self::read(transaction)).unwrap_or_else(Err).map_err(|reason| Damage::new(0, reason))
    }

    fn read(transaction: ReadTransaction) -> Result<Option<Self>, String> {
        let text = |error: &dyn std::error::Error| error.to_string();
        let meta = match transaction.open_table(META) {
            Ok(meta) => meta,
            Err(TableError::TableDoesNotExist(_)) => {
                // Without `meta` there must be nothing at all: a store in which only its name is damaged is no new one.
                let others = transaction.list_tables().map_err(|error| text(&error))?.count();
                return if others == 0 { Ok(None) } else { Err("the table `meta` is missing".to_owned()) };
            }
            Err(error) => return Err(text(&error)),
        };
        let head = meta.get(HEAD).map_err(|error| text(&error))?.ok_or("the head is missing")?;
        let head = Head::decode(head.value()).ok_or("the head cannot be read")?;
        let checkpoint = meta.get(CHECKPOINT).map_err(|error| text(&error))?;
        let checkpoint = checkpoint.map(|checkpoint| checkpoint.value().to_vec());
        Ok(Some(Self {
            entries: transaction.open_table(ENTRIES).map_err(|error| text(&error))?,
            nodes: transaction.open_table(NODES).map_err(|error| text(&error))?,
            head,
            checkpoint,
            tail: Tail::default(),
            _transaction: transaction,
            _database: None,
        }))
    }

    /// Keeps what it is read from open.
    pub(super) fn of(mut self, database: Arc<dyn Any + Send + Sync>) -> Self {
        self._database = Some(database);
        self
    }

    /// With the entries that the journal has behind those of the store.
    pub(super) fn with_journal(mut self, runs: Vec<Run>) -> Self {
        let run = journal::joined(runs, self.size());
        let mut nodes = HashMap::new();
        for (leaf, _) in chunk::entries(&run.entries).flatten() {
            self.head.frontier.append(leaf, |height, index, hash| {
                if height % TILE_HEIGHT == 0 {
                    nodes.insert(node_key(height / TILE_HEIGHT, index), hash);
                }
            });
        }
        self.tail = Tail { run, nodes };
        self
    }

    /// The number of entries.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.head.frontier.size()
    }

    pub(super) const fn head(&self) -> &Head {
        &self.head
    }

    /// The checkpoint that is stored with the entries: one not newer than them.
    pub(super) fn checkpoint(&self) -> Option<&[u8]> {
        self.checkpoint.as_deref()
    }

    /// The chunks from the one that has the entry at `index` on, in order, to the end.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn chunks(&self, index: u64) -> Result<Chunks<'_>, Damage> {
        let range = guarded(|| {
            let before = self.entries.range(..=index)?.next_back().transpose()?;
            let start = before.map_or(0, |(key, _)| key.value());
            self.entries.range(start..)
        });
        match range {
            Ok(Ok(range)) => Ok(Chunks { range: Some(range), next: None, tail: Some(&self.tail.run) }),
            Ok(Err(error)) => Err(Damage::new(index, error.to_string())),
            Err(reason) => Err(Damage::new(index, reason)),
        }
    }

    /// Calls with every entry from `start` to `end` (not included), in order, until it says to stop.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn for_each(
        &self,
        start: u64,
        end: u64,
        mut call: impl FnMut(StoredEntry<'_>) -> Continue,
    ) -> Result<(), Damage> {
        let end = end.min(self.size());
        if start >= end {
            return Ok(());
        }
        let mut expected = start;
        for chunk in self.chunks(start)? {
            let chunk = chunk.map_err(|damage| Damage::new(expected.max(damage.index), damage.reason))?;
            for entry in chunk.entries() {
                let entry = entry?;
                if entry.index < start {
                    continue;
                }
                if entry.index != expected {
                    return Err(Damage::new(expected, "the entry is missing"));
                }
                if call(entry) == Continue::No {
                    return Ok(());
                }
                expected += 1;
                if expected == end {
                    return Ok(());
                }
            }
        }
        Err(Damage::new(expected, "the entry is missing"))
    }

    /// The stored node of that level of tiles (1 or above), if there is one.
    pub(super) fn tile_node(&self, level: u32, index: u64) -> Result<Option<Hash>, String> {
        let key = node_key(level, index);
        if let Some(hash) = self.tail.nodes.get(&key) {
            return Ok(Some(*hash));
        }
        match guarded(|| self.nodes.get(key).map(|hash| hash.map(|hash| Hash(hash.value())))) {
            Ok(Ok(hash)) => Ok(hash),
            Ok(Err(error)) => Err(error.to_string()),
            Err(reason) => Err(reason),
        }
    }

    /// How many nodes are stored.
    pub(super) fn tile_node_count(&self) -> Result<u64, String> {
        match guarded(|| self.nodes.len()) {
            Ok(Ok(count)) => Ok(count + self.tail.nodes.len() as u64),
            Ok(Err(error)) => Err(error.to_string()),
            Err(reason) => Err(reason),
        }
    }
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continue {
    /// Go on.
    Yes,
    /// Stop.
    No,
}

/// Chunks in order.
pub struct Chunks<'a> {
    range: Option<redb::Range<'a, u64, &'static [u8]>>,
    /// The entry that the next chunk must begin with, once that is known.
    next: Option<u64>,
    /// What comes behind the store's.
    tail: Option<&'a Run>,
}

impl Iterator for Chunks<'_> {
    type Item = Result<Chunk, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        let range = self.range.as_mut()?;
        let expected = self.next.unwrap_or(0);
        let read = guarded(|| {
            let (key, value) = match range.next()? {
                Ok(row) => row,
                Err(error) => return Some(Err(error)),
            };
            Some(Ok(Chunk { first: key.value(), bytes: value.value().to_vec() }))
        });
        let chunk = match read {
            Ok(None) => {
                let run = self.tail.take().filter(|run| run.count > 0)?;
                Ok(Chunk { first: run.first, bytes: run.entries.clone() })
            }
            Ok(Some(Ok(chunk))) => match self.next {
                Some(next) if chunk.first != next => Err("the entry is missing".to_owned()),
                _ => Ok(chunk),
            },
            Ok(Some(Err(error))) => Err(error.to_string()),
            Err(reason) => Err(reason),
        };
        // After an error there is no telling what comes next.
        match &chunk {
            Ok(chunk) => self.next = Some(chunk.first + chunk.entries().count() as u64),
            Err(_) => self.range = None,
        }
        Some(chunk.map_err(|reason| Damage::new(expected, reason)))
    }
}

impl Chunk {
    /// The index of its first entry.
    #[must_use]
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// Its entries.
    pub fn entries(&self) -> impl Iterator<Item = Result<StoredEntry<'_>, Damage>> {
        (self.first..).zip(chunk::entries(&self.bytes)).map(|(index, entry)| match entry {
            Some((hash, json)) => Ok(StoredEntry { index, hash, json }),
            None => Err(Damage::new(index, "the entry runs past the end of its chunk")),
        })
    }
}

impl Nodes for Snapshot {
    type Error = Damage;

    fn node(&self, height: u32, index: u64) -> Result<Hash, Damage> {
        let first_leaf = index << height;
        let (level, rest) = (height / TILE_HEIGHT, height % TILE_HEIGHT);
        let mut subtree = Frontier::new();
        if level == 0 {
            self.for_each(first_leaf, first_leaf + (1 << height), |entry| {
                subtree.append(entry.hash, |_, _, _| {});
                Continue::Yes
            })?;
            if subtree.size() != 1 << height {
                return Err(Damage::new(self.size(), "the entry is missing"));
            }
        } else {
            for index in index << rest..(index + 1) << rest {
                let node = self
                    .tile_node(level, index)
                    .and_then(|node| node.ok_or_else(|| "a stored hash is missing".to_owned()))
                    .map_err(|reason| Damage::new(index << (level * TILE_HEIGHT), reason))?;
                subtree.append(node, |_, _, _| {});
            }
        }
        Ok(subtree.root())
    }
}
