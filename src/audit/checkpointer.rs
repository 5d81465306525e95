//! The thread that signs and publishes checkpoints.
//!
//! It is told of trees that are durable, and only of those: a checkpoint of entries that a crash takes away could never
//! be kept. It signs the newest it knows, at most so often, beside the writer, which never waits for it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::files;
use crate::tlog::note::SigningKey;
use crate::tlog::{Checkpoint, Frontier};

/// What the writer tells the thread, and what it has published.
#[derive(Debug)]
pub(super) struct Checkpointer {
    inner: Mutex<Inner>,
    changed: Condvar,
    key: SigningKey,
    path: PathBuf,
    every: Duration,
}

#[derive(Debug, Default)]
struct Inner {
    durable: Option<Frontier>,
    /// The newest checkpoint that is published, until the writer takes it to store it.
    published: Option<String>,
    failure: Option<String>,
    closed: bool,
}

impl Checkpointer {
    pub(super) fn new(directory: &Path, key: SigningKey, every: Duration) -> Self {
        Self { inner: Mutex::default(), changed: Condvar::new(), key, path: files::checkpoint(directory), every }
    }

    /// Signs and publishes a checkpoint of a tree that must be durable. Gives it.
    pub(super) fn publish(&self, durable: &Frontier) -> Result<String, String> {
        let checkpoint =
            Checkpoint { origin: self.key.verifier().name().to_owned(), size: durable.size(), root: durable.root() };
        let note = checkpoint.sign(&self.key).map_err(|error| error.to_string())?;
        files::replace(&self.path, note.as_bytes()).map_err(|error| format!("{}: {error}", self.path.display()))?;
        Ok(note)
    }

    /// Starts the thread. It ends when it is [closed](Self::close), or at the first checkpoint that it cannot publish.
    pub(super) fn start(self: &Arc<Self>) -> std::io::Result<JoinHandle<()>> {
        let this = Arc::clone(self);
        std::thread::Builder::new().name("audit-checkpoint".to_owned()).spawn(move || this.run())
    }

    /// Tells of a tree that is durable.
    pub(super) fn durable(&self, frontier: &Frontier) {
        self.lock().durable = Some(frontier.clone());
        self.changed.notify_one();
    }

    /// The newest checkpoint, once; or why none can be published any more.
    pub(super) fn published(&self) -> Result<Option<String>, String> {
        let mut inner = self.lock();
        match &inner.failure {
            Some(reason) => Err(reason.clone()),
            None => Ok(inner.published.take()),
        }
    }

    /// Lets the thread end.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    fn run(&self) {
        let mut next = Instant::now();
        while let Some(frontier) = self.wait(next) {
            next = Instant::now() + self.every;
            let published = self.publish(&frontier);
            let mut inner = self.lock();
            match published {
                Ok(note) => inner.published = Some(note),
                Err(reason) => {
                    inner.failure = Some(reason);
                    return;
                }
            }
        }
    }

    /// Waits for a tree to sign, and until it is time to.
    fn wait(&self, until: Instant) -> Option<Frontier> {
        let mut inner = self.lock();
        loop {
            if inner.closed {
                return None;
            }
            let left = until.saturating_duration_since(Instant::now());
            if inner.durable.is_none() {
                inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
            } else if left.is_zero() {
                return inner.durable.take();
            } else {
                inner = self.changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing that runs under the lock leaves it half done when it panics.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
