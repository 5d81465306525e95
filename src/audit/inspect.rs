//! What is known of the log while it runs, for people who watch: how far it is signed, and whether it verifies.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::verify::{Known, verify};
use super::{Log, files};
use crate::text::rfc3339;
use crate::tlog::Checkpoint;
use crate::tlog::note::VerifierKey;

/// The log at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogView {
    /// The verifier key.
    pub vkey: String,
    /// The newest published checkpoint; `None` where there is none that the key signed.
    pub checkpoint: Option<CheckpointView>,
    /// Why there is none.
    pub checkpoint_error: Option<String>,
    /// Why the log cannot write, if it cannot.
    pub failed: Option<String>,
    /// The last verification since the proxy started, if there was any.
    pub verification: Option<VerificationView>,
    /// Whether one is under way.
    pub verifying: bool,
}

/// A published checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointView {
    /// The log's name.
    pub origin: String,
    /// How many entries it covers.
    pub size: u64,
    /// The root over them, in base64.
    pub root: String,
    /// When it was published, RFC 3339; `None` where the file system does not say.
    pub published_at: Option<String>,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerificationView {
    /// When it ended, RFC 3339.
    pub at: String,
    /// How many entries were verified; `None` where it failed.
    pub size: Option<u64>,
    /// Why the log does not verify, or cannot be read; `None` where it verifies.
    pub error: Option<String>,
}

/// Looks at a log that this process writes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Inspector {
    log: Log,
    directory: PathBuf,
    progress: Arc<Mutex<Progress>>,
}

#[derive(Debug, Default)]
struct Progress {
    last: Option<VerificationView>,
    turn: Turn,
}

/// Whether a verification is under way.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Turn {
    #[default]
    Free,
    Taken,
}

impl Inspector {
    /// Of the log in a data directory.
    #[must_use]
    pub fn new(log: Log, directory: PathBuf) -> Self {
        Self { log, directory, progress: Arc::default() }
    }

    /// The log as it is now. Reads one small file.
    #[must_use]
    pub fn view(&self) -> LogView {
        let (checkpoint, checkpoint_error) = match self.checkpoint() {
            Ok(checkpoint) => (Some(checkpoint), None),
            Err(error) => (None, Some(error)),
        };
        let (verification, verifying) = self.progress(|progress| (progress.last.clone(), progress.turn == Turn::Taken));
        LogView {
            vkey: self.log.vkey().to_owned(),
            checkpoint,
            checkpoint_error,
            failed: self.log.failed(),
            verification,
            verifying,
        }
    }

    /// Verifies the whole log, unless that is under way: reads all of it, so it blocks for as long as that takes.
    pub fn verify(&self) {
        if self.progress(|progress| std::mem::replace(&mut progress.turn, Turn::Taken)) == Turn::Taken {
            return;
        }
        let _turn = Turns { inspector: self };
        let result = verify(&self.directory, &Known { vkey: self.log.vkey().parse().ok(), ..Known::default() });
        let at = rfc3339(Timestamp::now());
        let view = match result {
            Ok(verified) => VerificationView { at, size: Some(verified.size), error: None },
            Err(error) => VerificationView { at, size: None, error: Some(error.to_string()) },
        };
        self.progress(|progress| progress.last = Some(view));
    }

    fn checkpoint(&self) -> Result<CheckpointView, String> {
        let path = files::checkpoint(&self.directory);
        let unreadable = |error: std::io::Error| format!("{}: {error}", path.display());
        let note = fs::read(&path).map_err(unreadable)?;
        let key: VerifierKey = self.log.vkey().parse().map_err(|_| "the verifier key is none".to_owned())?;
        let checkpoint = Checkpoint::open(&note, &key).map_err(|error| format!("the last checkpoint: {error}"))?;
        let published = fs::metadata(&path).and_then(|file| file.modified()).ok();
        let published = published.and_then(|time| Timestamp::try_from(time).ok());
        Ok(CheckpointView {
            origin: checkpoint.origin,
            size: checkpoint.size,
            root: checkpoint.root.to_string(),
            published_at: published.map(rfc3339),
        })
    }

    fn progress<T>(&self, change: impl FnOnce(&mut Progress) -> T) -> T {
        // Two fields that are set whole: a panicking thread leaves nothing half done.
        change(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Gives the turn back, also where verifying panics.
struct Turns<'a> {
    inspector: &'a Inspector,
}

impl Drop for Turns<'_> {
    fn drop(&mut self) {
        self.inspector.progress(|progress| progress.turn = Turn::Free);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Options, Record, RecordKind};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_log_that_runs_is_looked_at_and_verified() {
        let place = tempfile::tempdir().expect("a directory");
        let log = Log::open(place.path(), Options::default()).expect("opened");
        log.append_durable(Record::new(RecordKind::Start)).await.expect("appended");
        let inspector = Inspector::new(log.clone(), place.path().to_owned());
        let view = inspector.view();
        assert_eq!((view.failed, view.verification, view.checkpoint_error), (None, None, None));
        inspector.verify();
        let view = inspector.view();
        let verification = view.verification.expect("verified");
        assert_eq!((verification.size, verification.error, view.verifying), (Some(1), None, false));

        fs::write(files::checkpoint(place.path()), "forged").expect("written");
        inspector.verify();
        let view = inspector.view();
        assert!(view.checkpoint.is_none() && view.checkpoint_error.is_some(), "{view:?}");
        assert!(view.verification.expect("verified").error.is_some());
    }
}
