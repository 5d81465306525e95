//! The one thread that writes: takes what is queued, makes it durable, tells those who wait, lets it be signed. In that
//! order.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::checkpointer::Checkpointer;
use super::files;
use super::key::{self, Existing};
use super::log::{Health, OpenError, Options, Shared};
use super::queue::Item;
use super::record::{Record, RecordKind};
use super::snapshot::Snapshot;
use super::store::{Found, State, Store};
use crate::tlog::note::VerifierKey;
use crate::tlog::{self, Checkpoint};

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
    let gap = (found == Found::Open).then(gap_record);
    store.append(gap.iter(), State::Open, None).map_err(|error| failed(error.to_string()))?;
    let checkpointer = Arc::new(Checkpointer::new(directory, key, checkpoint_every));
    checkpointer.publish(store.frontier()).map_err(failed)?;
    let writer = Writer {
        store,
        checkpointer: Arc::clone(&checkpointer),
        signer: Some(checkpointer.start().map_err(io)?),
        shared,
        gather,
    };
    let thread = std::thread::Builder::new().name("audit-writer".to_owned()).spawn(move || writer.run()).map_err(io)?;
    Ok((vkey, thread))
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
    store: Store,
    checkpointer: Arc<Checkpointer>,
    signer: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
    gather: Duration,
}

impl Writer {
    fn run(mut self) {
        // Said also if this thread panics: nobody may wait for a writer that is gone.
        let mut ending =
            Ending { shared: Arc::clone(&self.shared), health: Health::Failed("the writer stopped".into()) };
        let mut result = Ok(());
        while result.is_ok()
            && let Some(items) = self.shared.queue.take(self.gather)
        {
            result = self.write(items, &ending);
        }
        // The file is closed before anybody hears that the log is: it can be opened again at once.
        let result = match result {
            Ok(()) => self.finish(),
            Err(reason) => {
                drop(self);
                Err(reason)
            }
        };
        ending.health = match result {
            Ok(()) => Health::Closed,
            Err(reason) => Health::Failed(reason.into()),
        };
    }

    /// Makes a batch durable and tells those who wait for it.
    fn write(&mut self, items: Vec<Item>, ending: &Ending) -> Result<(), String> {
        let mut index = self.store.frontier().size();
        let records: Vec<&Record> = items.iter().filter_map(|item| item.record.as_deref()).collect();
        let wrote = if records.is_empty() { Ok(()) } else { self.append(&records, State::Open) };
        if let Err(reason) = wrote {
            // Before the waiters of this batch see that nobody will answer them.
            ending.shared.queue.close();
            ending.shared.health.send_replace(Health::Failed(reason.as_str().into()));
            return Err(reason);
        }
        for item in items {
            let is_record = item.record.is_some();
            if let Some(durable) = item.durable {
                // Whoever waited may be gone.
                let _ = durable.send(index);
            }
            index += u64::from(is_record);
        }
        Ok(())
    }

    fn append(&mut self, records: &[&Record], state: State) -> Result<(), String> {
        let checkpoint = self.checkpointer.published()?;
        self.store.append(records.iter().copied(), state, checkpoint.as_deref()).map_err(|error| error.to_string())?;
        self.checkpointer.durable(self.store.frontier());
        Ok(())
    }

    /// Signs the whole log and closes it in good order.
    fn finish(mut self) -> Result<(), String> {
        self.checkpointer.close();
        if let Some(signer) = self.signer.take() {
            signer.join().map_err(|_| "signing a checkpoint panicked")?;
        }
        self.checkpointer.published()?;
        let checkpoint = self.checkpointer.publish(self.store.frontier())?;
        self.store
            .append(std::iter::empty(), State::Closed, Some(&checkpoint))
            .and_then(|()| self.store.close())
            .map_err(|error| error.to_string())
    }
}

/// Says how the writer ended, also when it panics.
struct Ending {
    shared: Arc<Shared>,
    health: Health,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.shared.queue.close();
        self.shared.health.send_replace(self.health.clone());
        // Their senders go: whoever waits sees that nobody will answer.
        while self.shared.queue.take(Duration::ZERO).is_some() {}
    }
}
