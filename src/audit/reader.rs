//! Reading a log, also while another process writes it.

use std::any::Any;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{
    Database, DatabaseError, ReadOnlyDatabase, ReadTransaction, ReadableDatabase as _, StorageError, TransactionError,
};

use super::files;
use super::guard::guarded;
use super::journal;
use super::overlay::Overlay;
use super::snapshot::{Damage, Snapshot};
use super::store;

/// Memory for the store's cache while reading, in bytes: entries are read once, in order.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// A log, open for reading.
pub struct Reader {
    directory: PathBuf,
    database: Arc<Source>,
}

/// What is read.
enum Source {
    /// The file itself, beside its writer or after it.
    File(ReadOnlyDatabase),
    /// The file as its killed writer left it, repaired in memory.
    Repaired(Database),
}

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no log.
    #[error("{directory}: there is no audit log here; name the proxy's data directory with --data")]
    Missing {
        /// Where none is.
        directory: PathBuf,
    },
    /// The system does not let us.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is damaged.
    #[error("the audit log is damaged: {0}")]
    Damaged(#[from] Damage),
}

impl Reader {
    /// Opens the log in a data directory. Nothing is written, and a writer is not disturbed.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn open(directory: &Path) -> Result<Self, ReadError> {
        let path = files::store(directory);
        let file = fs::File::open(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Self::missing(directory),
            _ => ReadError::Io { path: path.clone(), source },
        })?;
        let opened = guarded(|| match store::builder(CACHE_BYTES).open_read_only(&path) {
            Ok(database) => Ok(Source::File(database)),
            Err(DatabaseError::RepairAborted) => {
                let overlay = Overlay::new(file).map_err(StorageError::Io)?;
                // Without the writer's lock: a proxy that starts meanwhile must not be kept from it.
                Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(overlay).map(Source::Repaired)
            }
            Err(error) => Err(error),
        });
        let database = match opened {
            Ok(Ok(database)) => database,
            Ok(Err(DatabaseError::Storage(StorageError::Io(source)))) if !is_of_content(&source) => {
                return Err(ReadError::Io { path, source });
            }
            Ok(Err(error)) => return Err(Damage::new(0, error.to_string()).into()),
            Err(reason) => return Err(Damage::new(0, reason).into()),
        };
        Ok(Self { directory: directory.to_owned(), database: Arc::new(database) })
    }

    /// Whether what is read will never change: the log's writer was killed, and has not been started again when this
    /// was opened. Whoever waits for more must open it anew.
    #[must_use]
    pub fn is_left_behind(&self) -> bool {
        matches!(*self.database, Source::Repaired(_))
    }

    /// A log without its store is damaged, not missing.
    fn missing(directory: &Path) -> ReadError {
        if files::checkpoint(directory).exists() {
            Damage::new(0, "the store is missing: there is a checkpoint, but no audit.redb").into()
        } else {
            ReadError::Missing { directory: directory.to_owned() }
        }
    }

    /// The log as it is now.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn snapshot(&self) -> Result<Snapshot, ReadError> {
        // Before the store: what is not in the journal any more is in the store by then.
        let runs = journal::read_all(&self.directory)
            .map_err(|source| ReadError::Io { path: self.directory.clone(), source })?;
        let transaction = guarded(|| self.database.begin_read())
            .map_err(|reason| Damage::new(0, reason))?
            .map_err(|error| Damage::new(0, error.to_string()))?;
        let snapshot = Snapshot::new(transaction)?;
        let snapshot = snapshot.ok_or_else(|| ReadError::Missing { directory: self.directory.clone() })?;
        let database: Arc<dyn Any + Send + Sync> = Arc::clone(&self.database) as _;
        Ok(snapshot.of(database).with_journal(runs))
    }
}

impl Source {
    fn begin_read(&self) -> Result<ReadTransaction, TransactionError> {
        match self {
            Self::File(database) => database.begin_read(),
            Self::Repaired(database) => database.begin_read(),
        }
    }
}

/// Whether a read failed because of what stands in the file, not because of the system.
fn is_of_content(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)
}
