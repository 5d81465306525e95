//! What a session's decisions rest on beside the text: the policy in force and the facts about the database.
//!
//! Both are looked at once for all that the relay brought at a time, not for every message: what changes meanwhile counts
//! as having changed after it. Only a change that this very session made is looked at again at once.

use std::sync::Arc;
use std::time::Instant;

use super::Shared;
use super::decide::Epoch;
use crate::blast::Facts;
use crate::catalog::Watch;
use crate::policy::Engine;

/// The policy and the facts, as they were looked at last.
#[derive(Debug)]
pub(super) struct Ground {
    engine: Arc<Engine>,
    facts: Option<Arc<Facts>>,
    watch: Option<Watch>,
    state: Checked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Checked {
    Yes,
    No,
}

impl Ground {
    /// Not looked at yet. The guard keeps the facts fresh; without one they are asked for by the database's name.
    pub(super) fn new(shared: &Shared, watch: Option<Watch>) -> Self {
        Self { engine: shared.engine.load_full(), facts: None, watch, state: Checked::No }
    }

    /// What was looked at is not believed any longer.
    pub(super) const fn is_to_be_checked(&mut self) {
        self.state = Checked::No;
    }

    /// Looks, if that is due.
    pub(super) fn check(&mut self, shared: &Shared, database: &str, now: Instant) {
        if self.state == Checked::Yes {
            return;
        }
        self.state = Checked::Yes;
        let engine = shared.engine.load();
        if !Arc::ptr_eq(&engine, &self.engine) {
            self.engine = Arc::clone(&engine);
        }
        self.facts = match &self.watch {
            Some(watch) => watch.current(now),
            None => shared.catalog.current(database),
        };
    }

    /// The policy.
    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The facts; `None` where they are too old to decide with.
    pub(super) fn facts(&self) -> Option<&Facts> {
        self.facts.as_deref()
    }

    /// The same, to be kept.
    pub(super) const fn shared_facts(&self) -> Option<&Arc<Facts>> {
        self.facts.as_ref()
    }

    /// What a decision of now rests on, with that version of the approved functions.
    pub(super) fn epoch(&self, in_block: bool, functions: u64, session: u64) -> Epoch {
        Epoch {
            policy: self.engine.version(),
            facts: self.facts.as_ref().map_or(0, |facts| facts.version),
            functions,
            in_block: in_block && self.engine.reads_transaction(),
            session,
        }
    }
}
