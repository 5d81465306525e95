//! The thread that commits entries to the store, and tells the checkpointer.
//!
//! It is given one job at a time, by the writer, which goes on meanwhile.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use super::checkpointer::Checkpointer;
use super::log::{Health, Shared};
use super::store::{State, Store};

/// Entries to be stored.
#[derive(Debug)]
pub(super) struct Job {
    /// In the form of a chunk.
    pub(super) entries: Vec<u8>,
    /// How many of them, the last, are not in the journal: they are on disk when this is done.
    pub(super) unjournaled: u64,
    /// When the oldest of those was appended.
    pub(super) oldest: Option<Instant>,
}

/// The writer's end of it.
#[derive(Debug)]
pub(super) struct Storer {
    slot: Arc<Slot>,
    thread: Option<JoinHandle<Store>>,
    checkpointer: Arc<Checkpointer>,
    signer: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Slot {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    job: Option<Job>,
    work: Work,
    failure: Option<String>,
    closed: bool,
}

/// What the thread does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Work {
    #[default]
    Nothing,
    /// Entries that are in the journal.
    Journaled,
    /// Entries that are nowhere else.
    Unjournaled,
}

impl Storer {
    pub(super) fn start(
        store: Store,
        checkpointer: Arc<Checkpointer>,
        signer: JoinHandle<()>,
        shared: Arc<Shared>,
    ) -> std::io::Result<Self> {
        let slot = Arc::new(Slot::default());
        let thread = Thread { store, checkpointer: Arc::clone(&checkpointer), slot: Arc::clone(&slot), shared };
        let thread = std::thread::Builder::new().name("audit-store".to_owned()).spawn(move || thread.run())?;
        Ok(Self { slot, thread: Some(thread), checkpointer, signer: Some(signer) })
    }

    /// Gives it a job; it must have none.
    pub(super) fn give(&self, job: Job) -> Result<(), String> {
        let mut inner = self.slot.sound()?;
        debug_assert_eq!(inner.work, Work::Nothing);
        inner.work = if job.unjournaled > 0 { Work::Unjournaled } else { Work::Journaled };
        inner.job = Some(job);
        drop(inner);
        self.slot.changed.notify_all();
        Ok(())
    }

    /// Whether it has nothing to do.
    pub(super) fn is_idle(&self) -> Result<bool, String> {
        Ok(self.slot.sound()?.work == Work::Nothing)
    }

    /// Why it cannot store anything any more, if it cannot.
    pub(super) fn failed(&self) -> Result<(), String> {
        self.slot.sound().map(drop)
    }

    /// Waits until it has nothing to do.
    pub(super) fn wait(&self) -> Result<(), String> {
        self.wait_while(|work| work != Work::Nothing)
    }

    /// Waits until all that it was given is on disk, there or in the journal.
    pub(super) fn wait_for_unjournaled(&self) -> Result<(), String> {
        self.wait_while(|work| work == Work::Unjournaled)
    }

    fn wait_while(&self, busy: impl Fn(Work) -> bool) -> Result<(), String> {
        let mut inner = self.slot.sound()?;
        while busy(inner.work) {
            inner = self.slot.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
            if let Some(reason) = &inner.failure {
                return Err(reason.clone());
            }
        }
        Ok(())
    }

    /// Waits for what it was given, signs the whole log and closes the store in good order.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        self.wait()?;
        self.close();
        let store = self.thread.take().map(JoinHandle::join).transpose().map_err(|_| "storing panicked")?;
        let mut store = store.ok_or("the store was closed before")?;
        self.checkpointer.close();
        if let Some(signer) = self.signer.take() {
            signer.join().map_err(|_| "signing a checkpoint panicked")?;
        }
        self.checkpointer.published()?;
        let checkpoint = self.checkpointer.publish(store.frontier())?;
        store
            .append(&[], State::Closed, Some(&checkpoint))
            .and_then(|()| store.close())
            .map_err(|error| error.to_string())
    }

    fn close(&self) {
        self.slot.lock().closed = true;
        self.slot.changed.notify_all();
    }
}

impl Drop for Storer {
    fn drop(&mut self) {
        self.close();
        self.checkpointer.close();
        // Where it panicked, the log has failed.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct Thread {
    store: Store,
    checkpointer: Arc<Checkpointer>,
    slot: Arc<Slot>,
    shared: Arc<Shared>,
}

impl Thread {
    fn run(mut self) -> Store {
        let _said = SaidWhenItPanics(Arc::clone(&self.slot));
        while let Some(job) = self.slot.next() {
            let stored = self.store(&job);
            let mut inner = self.slot.lock();
            inner.work = Work::Nothing;
            if let Err(reason) = stored {
                inner.failure = Some(reason.clone());
                drop(inner);
                // The writer may be asleep: nobody may wait for it in vain.
                self.shared.end(Health::Failed(reason.into()));
                self.slot.changed.notify_all();
                break;
            }
            drop(inner);
            self.slot.changed.notify_all();
        }
        self.store
    }

    fn store(&mut self, job: &Job) -> Result<(), String> {
        let checkpoint = self.checkpointer.published()?;
        self.store.append(&job.entries, State::Open, checkpoint.as_deref()).map_err(|error| error.to_string())?;
        self.checkpointer.durable(self.store.frontier());
        if let Some(oldest) = job.oldest {
            self.shared.durable(job.unjournaled, oldest.elapsed());
        }
        Ok(())
    }
}

/// Whoever waits for the thread hears of it if it panics.
struct SaidWhenItPanics(Arc<Slot>);

impl Drop for SaidWhenItPanics {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().failure = Some("storing panicked".to_owned());
            self.0.changed.notify_all();
        }
    }
}

impl Slot {
    /// Waits for a job; `None` when there will be no more.
    fn next(&self) -> Option<Job> {
        let mut inner = self.lock();
        loop {
            if let Some(job) = inner.job.take() {
                return Some(job);
            }
            if inner.closed {
                return None;
            }
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The state, unless it has failed.
    fn sound(&self) -> Result<MutexGuard<'_, Inner>, String> {
        let inner = self.lock();
        match &inner.failure {
            Some(reason) => Err(reason.clone()),
            None => Ok(inner),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing that runs under the lock leaves it half done when it panics.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
