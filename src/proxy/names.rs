//! The names a session has given: prepared statements and portals.
//!
//! SQL `PREPARE` and protocol `Parse` share one namespace, SQL cursors and portals another. What stands here was
//! seen by us and not refused by the server; a name that does not stand here may still exist upstream (code we did
//! not see may have made it), so an unknown name is never taken for harmless.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use foldhash::fast::RandomState;

use super::decide::Decision;
use crate::audit::Recorded;
use crate::sql::LexerSettings;

/// How many names of each kind are remembered. A client may make more; those are unknown to us, so they wait.
pub(super) const MOST_NAMES: usize = 65_536;

/// A prepared statement.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Its text as the client sent it; empty for one made by SQL `PREPARE` (the body is in the decision).
    pub(super) text: Arc<[u8]>,
    /// The text of the statement itself: the same, or what stands behind `PREPARE name AS`; empty where it is not known.
    pub(super) body: Arc<[u8]>,
    /// The parameter types the client gave; zeros where it left them to the server.
    pub(super) parameter_types: Box<[u32]>,
    /// The parameter types as the server described them.
    pub(super) described_types: OnceLock<Box<[u32]>>,
    /// What is known of it, by what held when that was last asked.
    decision: Mutex<Arc<Decision>>,
    /// What its text was read with: the server keeps what it read, whatever the settings are by now.
    pub(super) settings: Option<LexerSettings>,
    /// In which segment between two Syncs it was sent.
    pub(super) segment: u64,
    /// How many statements that may have changed names had been sent before it.
    pub(super) uncertainty: u64,
}

impl Prepared {
    /// A statement, with what is known of it.
    pub(super) fn new(
        text: Arc<[u8]>,
        parameter_types: &[u32],
        decision: Arc<Decision>,
        settings: Option<LexerSettings>,
        (segment, uncertainty): (u64, u64),
    ) -> Self {
        Self {
            body: Arc::clone(&text),
            text,
            parameter_types: parameter_types.into(),
            described_types: OnceLock::new(),
            decision: Mutex::new(decision),
            settings,
            segment,
            uncertainty,
        }
    }

    /// The same, with the text that stood in a PREPARE.
    pub(super) fn with_body(mut self, body: Option<&[u8]>) -> Self {
        self.body = body.unwrap_or_default().into();
        self
    }

    /// What is known of it.
    pub(super) fn decision(&self) -> Arc<Decision> {
        Arc::clone(&self.decided())
    }

    /// It was decided on again.
    pub(super) fn renew(&self, decision: &Arc<Decision>) {
        *self.decided() = Arc::clone(decision);
    }

    fn decided(&self) -> MutexGuard<'_, Arc<Decision>> {
        // Held to take or to put: nothing that panics.
        self.decision.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What its text is read with, where the bounds of what it changes rest on the values of its parameters.
    pub(super) fn settings_where_values_tell(&self, decision: &Decision) -> Option<LexerSettings> {
        self.settings.filter(|settings| decision.bounds_rest_on_values(&self.body, settings))
    }

    /// The parameter types as far as they are known.
    pub(super) fn types(&self) -> &[u32] {
        self.described_types.get().unwrap_or(&self.parameter_types)
    }
}

/// A portal: a statement with its values.
#[derive(Debug, Clone)]
pub(super) struct Portal {
    /// The statement it runs; `None` for a cursor made by SQL, and where it is not known.
    pub(super) prepared: Option<Arc<Prepared>>,
    /// What was decided for it when it was bound.
    pub(super) decision: Arc<Decision>,
    /// The body of its Bind message, kept for the record and for who has to approve it.
    pub(super) bind: Option<Arc<[u8]>>,
    /// Where it stands.
    pub(super) state: PortalState,
    /// The record of what was approved when it was bound.
    pub(super) record: Option<Recorded>,
    /// How long it lives.
    pub(super) lifetime: Lifetime,
}

/// How long a portal lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// Until the transaction ends.
    Transaction,
    /// `WITH HOLD`, made in this transaction: it outlives that if it commits.
    Commits,
    /// `WITH HOLD`: until it is closed. What it runs has run when its transaction committed.
    Session,
}

/// Where a portal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PortalState {
    /// It may run: the policy passes it, or it was approved and has begun.
    Open,
    /// It was approved when it was bound, and has not begun.
    Approved,
    /// It is decided on again at its Execute: it has to wait, or definitions have changed since.
    NeedsApproval,
}

/// One namespace.
#[derive(Debug)]
pub(super) struct Namespace<T> {
    unnamed: Option<T>,
    named: HashMap<Box<[u8]>, T, RandomState>,
    /// Whether names beyond ASCII are kept: the server converts them, and elsewhere than in UTF-8 the same bytes are
    /// not the same name at all times.
    beyond_ascii: bool,
}

impl<T> Namespace<T> {
    pub(super) fn new() -> Self {
        Self { unnamed: None, named: HashMap::default(), beyond_ascii: false }
    }

    /// What a name stands for.
    pub(super) fn find(&self, name: &[u8]) -> Option<&T> {
        if name.is_empty() { self.unnamed.as_ref() } else { self.named.get(name) }
    }

    /// What a name stands for, to change.
    pub(super) fn find_mut(&mut self, name: &[u8]) -> Option<&mut T> {
        if name.is_empty() { self.unnamed.as_mut() } else { self.named.get_mut(name) }
    }

    /// From here on the bytes of a name are those that the server has, or are not. What names beyond ASCII stood for is
    /// not known any more either way: they may have been given anew as other bytes.
    pub(super) fn keeps_beyond_ascii(&mut self, keeps: bool) {
        self.beyond_ascii = keeps;
        self.named.retain(|name, _| name.is_ascii());
    }

    /// Gives a name, and returns what it stood for. One that cannot be told from others is not kept: it is unknown.
    pub(super) fn insert(&mut self, name: &[u8], value: T) -> Option<T> {
        if name.is_empty() {
            return self.unnamed.replace(value);
        }
        if let Some(present) = self.named.get_mut(name) {
            return Some(std::mem::replace(present, value));
        }
        if self.named.len() < MOST_NAMES && (self.beyond_ascii || name.is_ascii()) {
            self.named.insert(name.into(), value);
        }
        None
    }

    /// Takes a name away, and returns what it stood for.
    pub(super) fn remove(&mut self, name: &[u8]) -> Option<T> {
        if name.is_empty() { self.unnamed.take() } else { self.named.remove(name) }
    }

    /// Puts back what a failed or skipped message has not changed after all.
    pub(super) fn restore(&mut self, name: &[u8], previous: Option<T>) {
        match previous {
            Some(value) => drop(self.insert(name, value)),
            None => drop(self.remove(name)),
        }
    }

    /// Keeps the names whose value passes the test.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&[u8], &mut T) -> bool) {
        if self.unnamed.as_mut().is_some_and(|value| !keep(b"", value)) {
            self.unnamed = None;
        }
        self.named.retain(|name, value| keep(name, value));
    }

    /// Takes all names away, with what they stood for. The unnamed one stays.
    pub(super) fn take_named(&mut self) -> HashMap<Box<[u8]>, T, RandomState> {
        std::mem::take(&mut self.named)
    }

    /// Forgets all names.
    pub(super) fn clear(&mut self) {
        self.unnamed = None;
        if self.named.capacity() > 0 {
            self.named = HashMap::default();
        }
    }
}
