//! The one thread that writes what was appended: gives each record its index, puts what somebody waits for on disk, tells
//! them, and hands everything on to the store.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::checkpointer::Checkpointer;
use super::encoded::Encoded;
use super::entry::{self, SALT_BYTES};
use super::journal::{self, Journal};
use super::key::{self, Existing};
use super::log::{Health, OpenError, Options, Shared};
use super::queue::{Batch, Taken};
use super::record::{Record, RecordKind};
use super::snapshot::Snapshot;
use super::store::{Found, State, Store};
use super::storer::{Job, Storer};
use super::{chunk, files};
use crate::tlog::note::VerifierKey;
use crate::tlog::{self, Checkpoint, Hash};

/// Records are made entries so many times while they gather: little by little, while their bytes are still in the
/// processor's cache, and without taking a processor from the sessions for long.
const TURNS_WHILE_GATHERING: u32 = 10;

/// How many bytes of entries may wait for the store; beyond that the writer waits for it.
const MOST_PENDING_BYTES: usize = 16 << 20;

/// Opens the log and starts its threads; gives its verifier key.
pub(super) fn start(
    directory: &Path,
    options: Options,
    shared: Arc<Shared>,
) -> Result<(String, JoinHandle<()>), OpenError> {
    let Options { origin, gather, checkpoint_every, cache_bytes, .. } = options;
    let io = |source| OpenError::Io { path: directory.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io)?;
    let (mut store, found) = Store::open(directory, cache_bytes)?;
    let existing = if store.frontier().size() == 0 { Existing::New } else { Existing::Log };
    let key = key::load_or_make(directory, origin.as_deref(), existing)?;
    let vkey = key.verifier().to_string();
    if let Some(snapshot) = store.snapshot()? {
        check_against_checkpoints(directory, &snapshot, key.verifier())?;
    }
    let failed = |reason| OpenError::Store { path: files::store(directory), reason };
    let left = left_by_a_killed_writer(directory, &store, found).map_err(io)?;
    store.append(&left, State::Open, None).map_err(|error| failed(error.to_string()))?;
    let journal = Journal::open(directory).map_err(io)?;
    let checkpointer = Arc::new(Checkpointer::new(directory, key, checkpoint_every));
    checkpointer.publish(store.frontier()).map_err(failed)?;
    let next = store.frontier().size();
    let signer = checkpointer.start().map_err(io)?;
    let storer = Storer::start(store, checkpointer, signer, Arc::clone(&shared)).map_err(io)?;
    let writer = Writer { storer, journal, next, pending: Pending::default(), salts: Vec::new(), shared, gather };
    let thread = std::thread::Builder::new().name("audit-writer".to_owned()).spawn(move || writer.run()).map_err(io)?;
    Ok((vkey, thread))
}

/// What is in the journal and not in the store, and that there is a gap behind it. A log that was closed has neither.
fn left_by_a_killed_writer(directory: &Path, store: &Store, found: Found) -> io::Result<Vec<u8>> {
    if found != Found::Open {
        return Ok(Vec::new());
    }
    let run = journal::read_from(directory, store.frontier().size())?;
    let mut entries = run.entries;
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt).map_err(|error| io::Error::other(error.to_string()))?;
    let mut gap = Vec::new();
    entry::encode(run.first + run.count, Encoded::of(gap_record()).as_bytes(), salt, &mut gap);
    chunk::push(&mut entries, Hash::of_leaf(&gap), &gap);
    Ok(entries)
}

/// What is stored must continue what was signed last, or the next signature would contradict it.
fn check_against_checkpoints(directory: &Path, snapshot: &Snapshot, key: &VerifierKey) -> Result<(), OpenError> {
    let path = files::checkpoint(directory);
    let published = match fs::read(&path) {
        Ok(note) => Some(note),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => return Err(OpenError::Io { path, source }),
    };
    let damaged = |reason| OpenError::Corrupt { path: files::store(directory), reason };
    for note in published.as_deref().into_iter().chain(snapshot.checkpoint()) {
        let checkpoint =
            Checkpoint::open(note, key).map_err(|error| damaged(format!("its last checkpoint: {error}")))?;
        if checkpoint.size > snapshot.size() {
            return Err(damaged(format!(
                "it has {} entries, but {} were signed: the end is missing",
                snapshot.size(),
                checkpoint.size
            )));
        }
        let root = tlog::root(snapshot, checkpoint.size).map_err(|damage| damaged(damage.to_string()))?;
        if root != checkpoint.root {
            return Err(damaged(format!("its first {} entries are not those that were signed", checkpoint.size)));
        }
    }
    Ok(())
}

fn gap_record() -> Record {
    let mut record = Record::new(RecordKind::Gap);
    record.reason = Some("the log was not closed: reads of its last moment may not be recorded".into());
    record
}

struct Writer {
    storer: Storer,
    journal: Journal,
    /// The index of the next entry.
    next: u64,
    pending: Pending,
    salts: Vec<u8>,
    shared: Arc<Shared>,
    gather: Duration,
}

/// Entries that the store has not been given.
#[derive(Debug, Default)]
struct Pending {
    /// In the form of a chunk.
    entries: Vec<u8>,
    count: u64,
    /// How much of that is in the journal.
    journaled: Place,
    /// When the oldest was appended, or the store last had no time for them.
    since: Option<Instant>,
    /// When the oldest that is not in the journal was appended.
    oldest: Option<Instant>,
}

/// A place among the pending entries.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    bytes: usize,
    count: u64,
}

impl Writer {
    fn run(mut self) {
        // Dropped last: those who wait for it see that nobody will answer them, and must find why.
        let mut batch = Batch::default();
        // Said also if this thread panics: nobody may wait for a writer that is gone.
        let mut ending =
            Ending { shared: Arc::clone(&self.shared), health: Health::Failed("the writer stopped".into()) };
        let result = self.work(&mut batch);
        if let Err(reason) = &result {
            self.shared.end(Health::Failed(reason.as_str().into()));
        }
        // The file is closed before anybody hears that the log is: it can be opened again at once.
        let result = result.and_then(|()| self.finish());
        ending.health = match result {
            Ok(()) => Health::Closed,
            Err(reason) => Health::Failed(reason.into()),
        };
    }

    fn work(&mut self, batch: &mut Batch) -> Result<(), String> {
        loop {
            let until = self.pending.since.map(|since| since + self.gather);
            match self.shared.queue.take(batch, self.gather / TURNS_WHILE_GATHERING, until) {
                Taken::Batch => self.write(batch)?,
                Taken::Nothing => {}
                Taken::Closed => return Ok(()),
            }
            self.hand_over()?;
        }
    }

    /// Makes entries of a batch, puts them on disk if somebody waits for that, and tells them.
    fn write(&mut self, batch: &mut Batch) -> Result<(), String> {
        self.salts.resize(batch.len() * SALT_BYTES, 0);
        getrandom::fill(&mut self.salts).map_err(|error| format!("no random numbers: {error}"))?;
        let (salts, _) = self.salts.as_chunks::<SALT_BYTES>();
        let first = self.next;
        for (record, salt) in batch.records().zip(salts) {
            let index = self.next;
            chunk::push_leaf(&mut self.pending.entries, |entry| entry::encode(index, record, *salt, entry));
            self.next += 1;
            self.pending.count += 1;
        }
        self.salts.shrink_to(1 << 16);
        if batch.len() > 0 {
            self.pending.since = self.pending.since.or(batch.since());
            self.pending.oldest = self.pending.oldest.or(batch.since());
        }
        if batch.is_urgent() {
            self.put_on_disk()?;
            batch.is_durable_from(first);
        }
        Ok(())
    }

    /// Puts all entries on disk, in the journal where they are not there or in the store already.
    fn put_on_disk(&mut self) -> Result<(), String> {
        // What the store was given without being in the journal must not come behind what follows it.
        self.storer.wait_for_unjournaled()?;
        let Place { bytes, count } = self.pending.journaled;
        let entries = &self.pending.entries[bytes..];
        if entries.is_empty() {
            return Ok(());
        }
        let more = self.pending.count - count;
        let first = self.next - more;
        let number = u32::try_from(more).map_err(|_| "too many entries at once")?;
        self.journal.append(first, number, entries).map_err(|error| format!("the journal: {error}"))?;
        self.pending.journaled = Place { bytes: self.pending.entries.len(), count: self.pending.count };
        if let Some(oldest) = self.pending.oldest.take() {
            self.shared.durable(more, oldest.elapsed());
        }
        Ok(())
    }

    /// Gives the store what is pending, if it is time to and the store has nothing to do.
    fn hand_over(&mut self) -> Result<(), String> {
        let Some(since) = self.pending.since else { return self.storer.failed() };
        let is_due = since.elapsed() >= self.gather;
        let is_much = self.pending.entries.len() >= MOST_PENDING_BYTES;
        if !is_due && !is_much {
            return self.storer.failed();
        }
        if is_much {
            self.storer.wait()?;
        } else if !self.storer.is_idle()? {
            // Soon again.
            self.pending.since = Some(Instant::now());
            return Ok(());
        }
        self.give()
    }

    /// Gives the store all that is pending. It has nothing to do.
    fn give(&mut self) -> Result<(), String> {
        let Pending { entries, count, journaled, oldest, .. } = std::mem::take(&mut self.pending);
        // The other file's entries are in the store by now.
        self.journal.turn();
        self.storer.give(Job { entries, unjournaled: count - journaled.count, oldest })
    }

    /// Stores everything, signs the whole log and closes it in good order.
    fn finish(mut self) -> Result<(), String> {
        self.storer.wait()?;
        if self.pending.count > 0 {
            self.give()?;
        }
        self.storer.finish()?;
        self.journal.remove().map_err(|error| format!("the journal: {error}"))
    }
}

/// Says how the writer ended, also when it panics.
struct Ending {
    shared: Arc<Shared>,
    health: Health,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.shared.end(self.health.clone());
        // Their senders go: whoever waits sees that nobody will answer.
        let mut batch = Batch::default();
        while self.shared.queue.take(&mut batch, Duration::ZERO, None) == Taken::Batch {}
    }
}
