//! What texts say, remembered for all sessions by [fingerprint](crate::sql::fingerprint).
//!
//! Only what a text alone says is kept here; what it means in a database, and to whom it is allowed, is each session's to
//! find out. An analysis that depends on a literal's value is not kept, nor one of a text that was not understood: its
//! reasons quote the text, and nobody is told of another's. The memory is cut into parts with a lock each, held
//! for the time of one look-up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use foldhash::fast::RandomState;

use crate::sql::{self, LexerSettings, Statement};

/// How many analyses are kept.
const MOST_KEPT: usize = 4_096;
/// How many bytes the fingerprints of those that are kept may have together; an analysis takes about ten times that.
const MOST_BYTES: usize = 4 << 20;
/// Fingerprints longer than this are not kept.
const LONGEST_BYTES: usize = 16 << 10;

/// The memory.
#[derive(Debug, Default)]
pub struct Analyses {
    kept: DashMap<Box<[u8]>, Arc<[Statement]>, RandomState>,
    bytes: AtomicUsize,
}

/// Which text an analysis was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Of this one.
    ThisText,
    /// Of another with the same fingerprint: places in the text are not those of this one.
    AnotherText,
}

impl Analyses {
    /// What the statements of a text with that fingerprint say.
    pub(super) fn of(&self, text: &[u8], fingerprint: &[u8], settings: &LexerSettings) -> (Arc<[Statement]>, Origin) {
        if let Some(statements) = self.kept.get(fingerprint) {
            return (Arc::clone(&statements), Origin::AnotherText);
        }
        let script = sql::analyze(text, settings);
        let is_shared = script.canonical.is_some() && script.statements.iter().all(is_by_fingerprint);
        let statements: Arc<[Statement]> = script.statements.into();
        if is_shared && fingerprint.len() <= LONGEST_BYTES {
            self.keep(fingerprint, &statements);
        }
        (statements, Origin::ThisText)
    }

    /// How many are remembered.
    pub(super) fn count(&self) -> usize {
        self.kept.len()
    }

    fn keep(&self, fingerprint: &[u8], statements: &Arc<[Statement]>) {
        let bytes = self.bytes.fetch_add(fingerprint.len(), Ordering::Relaxed);
        if bytes + fingerprint.len() > MOST_BYTES || self.kept.len() >= MOST_KEPT {
            // Whoever comes at the same time may clear it too: then it is emptier than it had to be.
            self.kept.clear();
            self.bytes.store(fingerprint.len(), Ordering::Relaxed);
        }
        self.kept.insert(fingerprint.into(), Arc::clone(statements));
    }
}

/// Whether what is known of a statement is so of all that have its fingerprint.
pub(super) fn is_by_fingerprint(statement: &Statement) -> bool {
    !statement.depends_on_literals && !statement.has_unknown()
}
