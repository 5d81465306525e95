//! The handle that sessions append with.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::encoded::Encoded;
use super::queue::{Closed, NoPlace, Queue};
use super::record::Record;
use super::writer;
use crate::latency::Latencies;

/// How a log is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// The log's name in its checkpoints and the name of its key, e.g. `pgsluice/db1`; used when the key is made.
    /// `None`: `pgsluice/` and the host's name.
    pub origin: Option<String>,
    /// How many bytes of records may wait to be written.
    pub queue_bytes: usize,
    /// How long records that nobody waits for may gather before they are stored.
    pub gather: Duration,
    /// The shortest time between two checkpoints.
    pub checkpoint_every: Duration,
    /// Memory that the store may use to cache its file, in bytes.
    pub cache_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            origin: None,
            queue_bytes: 32 * 1024 * 1024,
            gather: Duration::from_millis(100),
            checkpoint_every: Duration::from_millis(200),
            cache_bytes: 32 * 1024 * 1024,
        }
    }
}

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process writes to it.
    #[error("{path}: another pgsluice uses this data directory; stop it, or give this one its own with --data")]
    Locked {
        /// The store's file.
        path: PathBuf,
    },
    /// A file or directory cannot be read or made.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The key does not fit: unreadable, missing beside a log that has records, or another log's.
    #[error("{path}: {reason}")]
    Key {
        /// The key's file.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// What is stored contradicts itself or its last checkpoint.
    #[error("{path}: the audit log is damaged: {reason}; run `pgsluice audit verify`")]
    Corrupt {
        /// The store's file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The store fails in another way.
    #[error("{path}: {reason}")]
    Store {
        /// The store's file.
        path: PathBuf,
        /// What it says.
        reason: String,
    },
}

/// Why a record was not taken, or is not on disk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The log could not write, or has been closed; it takes nothing more until it is opened anew.
    #[error("the audit log cannot write: {0}")]
    Failed(Arc<str>),
}

/// Why a record was not taken at once.
#[derive(Debug, thiserror::Error)]
pub enum TryAppendError {
    /// The queue is full. Here is the record again: wait with [`Log::append_encoded`].
    #[error("the audit log's queue is full")]
    Full(Encoded),
    /// As [`AppendError::Failed`].
    #[error("the audit log cannot write: {0}")]
    Failed(Arc<str>),
}

/// Why an encoded record was not taken at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAppended {
    /// The queue is full: wait with [`Log::append_encoded`].
    #[error("the audit log's queue is full")]
    Full,
    /// As [`AppendError::Failed`].
    #[error("the audit log cannot write: {0}")]
    Failed(Arc<str>),
}

/// Whether the log can write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Health {
    Running,
    Failed(Arc<str>),
    Closed,
}

/// What handles and the writer share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) queue: Queue,
    health: watch::Sender<Health>,
    /// Whether `health` says that it runs, to be asked for each statement.
    runs: AtomicBool,
    durable_lag: Mutex<Latencies>,
}

/// An open log. Cheap to clone; the last clone to be dropped closes it.
#[derive(Debug, Clone)]
pub struct Log {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    vkey: String,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Log {
    /// Opens the log in a data directory, making what is not there: the directory (mode 0700), `audit.redb`,
    /// `audit.key` (mode 0600), `audit.vkey` and `checkpoint`. Blocks while it reads; no more than the last few
    /// hundred entries.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(directory: &Path, options: Options) -> Result<Self, OpenError> {
        let shared = Arc::new(Shared {
            queue: Queue::new(options.queue_bytes),
            health: watch::Sender::new(Health::Running),
            runs: AtomicBool::new(true),
            durable_lag: Mutex::default(),
        });
        let (vkey, writer) = writer::start(directory, options, Arc::clone(&shared))?;
        Ok(Self { inner: Arc::new(Inner { shared, vkey, writer: Mutex::new(Some(writer)) }) })
    }

    /// Appends a record. Waits only while the queue is full.
    ///
    /// Records of one caller are written in the order it appends them. Dropping the future before it is ready means
    /// that the record is not appended.
    ///
    /// # Errors
    /// The log cannot write.
    pub async fn append(&self, record: Record) -> Result<(), AppendError> {
        self.append_encoded(Encoded::of(record)).await
    }

    /// The same of a record that is encoded already.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub async fn append_encoded(&self, record: Encoded) -> Result<(), AppendError> {
        self.enqueue(Some(record), None).await
    }

    /// Appends an encoded record if the queue has room now, and leaves it to the caller.
    ///
    /// # Errors
    /// The queue is full, or the log cannot write.
    pub fn try_append_encoded(&self, record: &Encoded) -> Result<(), NotAppended> {
        self.inner.shared.queue.try_put(Some(record.as_bytes()), None).map_err(|(why, _)| match why {
            NoPlace::Full => NotAppended::Full,
            NoPlace::Closed => NotAppended::Failed(self.reason()),
        })
    }

    /// Appends a record if the queue has room now.
    ///
    /// # Errors
    /// The queue is full, which gives the record back, or the log cannot write.
    pub fn try_append(&self, record: Record) -> Result<(), TryAppendError> {
        let record = Encoded::of(record);
        self.try_append_encoded(&record).map_err(|error| match error {
            NotAppended::Full => TryAppendError::Full(record),
            NotAppended::Failed(reason) => TryAppendError::Failed(reason),
        })
    }

    /// Appends a record and waits until it, and all that this caller appended before it, is on disk. Gives its index.
    ///
    /// # Errors
    /// The log cannot write: the record may or may not be on disk.
    pub async fn append_durable(&self, record: Record) -> Result<u64, AppendError> {
        self.append_encoded_durable(Encoded::of(record)).await
    }

    /// The same of a record that is encoded already.
    ///
    /// # Errors
    /// As [`Log::append_durable`].
    pub async fn append_encoded_durable(&self, record: Encoded) -> Result<u64, AppendError> {
        let (sender, receipt) = self.receipt();
        self.enqueue(Some(record), Some(sender)).await?;
        receipt.await
    }

    /// Waits until all that this caller has appended is on disk.
    ///
    /// # Errors
    /// The log cannot write.
    pub async fn flush(&self) -> Result<(), AppendError> {
        let (sender, receipt) = self.receipt();
        self.enqueue(None, Some(sender)).await?;
        receipt.await.map(drop)
    }

    /// Why the log cannot write, if it cannot.
    #[must_use]
    pub fn failed(&self) -> Option<String> {
        self.failure().map(|reason| reason.to_string())
    }

    /// How many records wait to be written.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.inner.shared.queue.len()
    }

    /// From a record to its being on disk: for all records of a batch, what its oldest waited.
    #[must_use]
    pub fn durable_lag(&self) -> Latencies {
        self.inner.shared.durable_lag.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the log cannot write any more, and says why. Ready for ever after.
    pub async fn failure_watch(&self) -> String {
        let mut health = self.inner.shared.health.subscribe();
        // The sender lives in `self`.
        let _ = health.wait_for(|health| *health != Health::Running).await;
        self.failed().unwrap_or_default()
    }

    /// The verifier key of the log's checkpoints, as in `audit.vkey`.
    #[must_use]
    pub fn vkey(&self) -> &str {
        &self.inner.vkey
    }

    /// Takes nothing more, writes what was appended, signs the last checkpoint and closes the store.
    ///
    /// # Errors
    /// The log failed, before or now.
    pub async fn close(&self) -> Result<(), AppendError> {
        let mut health = self.inner.shared.health.subscribe();
        self.inner.shared.queue.close();
        // The sender lives in `self`.
        let _ = health.wait_for(|health| *health != Health::Running).await;
        match &*health.borrow() {
            Health::Failed(reason) => Err(AppendError::Failed(Arc::clone(reason))),
            Health::Running | Health::Closed => Ok(()),
        }
    }

    async fn enqueue(&self, record: Option<Encoded>, durable: Option<oneshot::Sender<u64>>) -> Result<(), AppendError> {
        let record = record.as_ref().map(Encoded::as_bytes);
        self.inner.shared.queue.put(record, durable).await.map_err(|Closed| self.append_error())
    }

    fn receipt(&self) -> (oneshot::Sender<u64>, DurableReceipt) {
        let (sender, index) = oneshot::channel();
        let receipt = DurableReceipt { index, shared: Arc::clone(&self.inner.shared) };
        (sender, receipt)
    }

    fn append_error(&self) -> AppendError {
        AppendError::Failed(self.reason())
    }

    fn failure(&self) -> Option<Arc<str>> {
        self.inner.shared.failure()
    }

    fn reason(&self) -> Arc<str> {
        self.inner.shared.reason()
    }
}

impl Shared {
    /// So many records are on disk; the oldest of them waited that long.
    pub(super) fn durable(&self, records: u64, lag: std::time::Duration) {
        if records > 0 {
            self.durable_lag.lock().unwrap_or_else(PoisonError::into_inner).record_many(lag, records);
        }
    }

    /// Takes nothing more, and says why: from now on, and never that it runs again. What failed first stays said.
    pub(super) fn end(&self, health: Health) {
        self.health.send_if_modified(|current| {
            let is_news = !matches!(current, Health::Failed(_));
            if is_news {
                *current = health;
                // Whoever sees this waits for the lock held here to read why.
                self.runs.store(false, Ordering::Release);
            }
            is_news
        });
        // Behind that: who finds the queue closed asks why.
        self.queue.close();
    }

    /// Why the log cannot write, if it cannot.
    fn failure(&self) -> Option<Arc<str>> {
        if self.runs.load(Ordering::Acquire) {
            return None;
        }
        match &*self.health.borrow() {
            Health::Running => None,
            Health::Failed(reason) => Some(Arc::clone(reason)),
            Health::Closed => Some("it is closed".into()),
        }
    }

    /// Why the queue took nothing: a log that is being closed says so when all of it is on disk.
    fn reason(&self) -> Arc<str> {
        self.failure().unwrap_or_else(|| "it is closing".into())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.queue.close();
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // What was appended must be on disk before the process ends. A writer that panicked has said so in
            // `health`.
            let _ = writer.join();
        }
    }
}

/// Ready when a record, and all that its caller appended before it, is on disk; gives the record's index.
#[derive(Debug)]
pub struct DurableReceipt {
    index: oneshot::Receiver<u64>,
    shared: Arc<Shared>,
}

impl Future for DurableReceipt {
    type Output = Result<u64, AppendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.index).poll(context).map(|index| {
            // The writer drops a sender only after it has said why in `health`.
            index.map_err(|_| AppendError::Failed(self.shared.reason()))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::audit::verify::{Known, verify};
    use crate::audit::{Continue, ReadError, Reader, RecordKind};

    fn options() -> Options {
        Options { origin: Some("pgsluice/test".to_owned()), gather: Duration::from_millis(1), ..Options::default() }
    }

    fn record(text: &str) -> Record {
        let mut record = Record::new(RecordKind::Intent);
        record.set_sql(text.as_bytes());
        record
    }

    fn entries(directory: &Path) -> Vec<serde_json::Value> {
        let snapshot = Reader::open(directory).unwrap().snapshot().unwrap();
        let mut entries = Vec::new();
        snapshot
            .for_each(0, u64::MAX, |entry| {
                entries.push(serde_json::from_slice(entry.json).unwrap());
                Continue::Yes
            })
            .unwrap();
        entries
    }

    #[tokio::test]
    async fn what_was_appended_is_there_in_order_and_verifies() {
        let directory = tempfile::tempdir().unwrap();
        let log = Log::open(directory.path(), options()).unwrap();
        for number in 0..700 {
            log.append(record(&format!("SELECT {number}"))).await.unwrap();
        }
        assert_eq!(log.append_durable(record("COMMIT")).await, Ok(700));
        // Readable and verifiable while the writer has it.
        assert_eq!(verify(directory.path(), &Known::default()).unwrap().size, 701);
        log.flush().await.unwrap();
        log.try_append(record("SELECT 'last'")).unwrap();
        log.close().await.unwrap();

        let verified = verify(directory.path(), &Known::default()).unwrap();
        assert_eq!((verified.size, verified.signed), (702, 702));
        assert_eq!(verified.vkey.to_string(), log.vkey());
        for (number, entry) in entries(directory.path()).iter().enumerate() {
            assert_eq!(entry["index"], number);
            if number < 700 {
                assert_eq!(entry["sql"], format!("SELECT {number}"));
            }
        }
    }

    #[tokio::test]
    async fn a_log_continues_where_it_ended() {
        let directory = tempfile::tempdir().unwrap();
        let mut checkpoints = Vec::new();
        for round in 0..4 {
            let log = Log::open(directory.path(), options()).unwrap();
            for number in 0..150 {
                log.append(record(&format!("SELECT {round}, {number}"))).await.unwrap();
            }
            log.close().await.unwrap();
            checkpoints.push(fs::read(directory.path().join("checkpoint")).unwrap());
        }
        // It agrees with every checkpoint it ever gave out.
        let verified = verify(directory.path(), &Known { vkey: None, checkpoints }).unwrap();
        assert_eq!((verified.size, verified.signed), (600, 600));
    }

    #[tokio::test]
    async fn a_closed_log_takes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let log = Log::open(directory.path(), options()).unwrap();
        assert_eq!(log.failed(), None);
        log.close().await.unwrap();
        assert!(log.append(record("late")).await.is_err());
        assert!(matches!(log.try_append(record("late")), Err(TryAppendError::Failed(_))));
        assert!(log.append_durable(record("late")).await.is_err());
        assert!(log.flush().await.is_err());
        assert_eq!(log.failed().as_deref(), Some("it is closed"));
    }

    #[tokio::test]
    async fn a_second_writer_is_told_that_there_is_one() {
        let directory = tempfile::tempdir().unwrap();
        let _log = Log::open(directory.path(), options()).unwrap();
        let error = Log::open(directory.path(), options()).unwrap_err();
        assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    }

    #[tokio::test]
    async fn the_directory_and_the_store_are_for_the_owner_only() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("data");
        drop(Log::open(&directory, options()).unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&directory), 0o700);
        assert_eq!(mode(&directory.join("audit.redb")), 0o600);
    }

    #[tokio::test]
    async fn dropping_the_last_handle_writes_what_was_appended() {
        let directory = tempfile::tempdir().unwrap();
        let log = Log::open(directory.path(), Options { gather: Duration::from_secs(3600), ..options() }).unwrap();
        log.append(record("SELECT 1")).await.unwrap();
        drop(log);
        assert_eq!(entries(directory.path()).len(), 1);
    }

    #[tokio::test]
    async fn a_log_that_cannot_publish_fails_for_everybody() {
        let directory = tempfile::tempdir().unwrap();
        let log = Log::open(directory.path(), Options { checkpoint_every: Duration::ZERO, ..options() }).unwrap();
        fs::create_dir(directory.path().join("checkpoint.new")).unwrap();
        // The first that follow may still be taken: the checkpoint is signed behind them.
        while log.append_durable(record("SELECT 1")).await.is_ok() {}
        assert!(log.failed().unwrap().contains("checkpoint"), "{:?}", log.failed());
        assert_eq!(log.failure_watch().await, log.failed().unwrap());
        assert!(matches!(log.append(record("SELECT 2")).await, Err(AppendError::Failed(_))));
        assert!(log.close().await.is_err());
    }

    #[tokio::test]
    async fn a_log_that_was_rolled_back_is_not_continued() {
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().join("audit.redb");
        let log = Log::open(directory.path(), options()).unwrap();
        log.append(record("SELECT 1")).await.unwrap();
        log.close().await.unwrap();
        let old = fs::read(&store).unwrap();
        let log = Log::open(directory.path(), options()).unwrap();
        log.append(record("DROP TABLE evidence")).await.unwrap();
        log.close().await.unwrap();
        fs::write(&store, old).unwrap();

        let error = Log::open(directory.path(), options()).unwrap_err();
        assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
        let ReadError::Damaged(damage) = verify(directory.path(), &Known::default()).unwrap_err() else {
            unreachable!("it can be read");
        };
        assert_eq!(damage.index, 1, "{damage}");
    }
}
