//! What has been sent upstream and not been answered: the replies we expect, in order.
//!
//! The server answers in order, so each reply belongs to the first entry that can have it. An error in the
//! extended protocol answers everything up to the next Sync at once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::decide::Decision;
use super::names::{Portal, Prepared};
use super::ours::{Ours, Ready};
use super::refusal::Planted;
use crate::audit::{Encoded, Recorded};

/// How many unanswered messages a session may have; beyond that we wait for answers before reading more.
pub(super) const MOST_PENDING: usize = 4_096;

/// A message sent upstream, by what answers it.
#[derive(Debug)]
pub(super) enum Pending {
    /// A simple query: answered up to `ReadyForQuery`.
    Query(Unit),
    /// A function call by OID: answered up to `ReadyForQuery`.
    FunctionCall(Unit),
    /// `ParseComplete`.
    Parse {
        /// The name given.
        name: Box<[u8]>,
        /// What it stood for before.
        previous: Option<Arc<Prepared>>,
    },
    /// `BindComplete`.
    Bind {
        /// The portal's name.
        name: Box<[u8]>,
        /// What it stood for before.
        previous: Option<Portal>,
    },
    /// `ParameterDescription` for a statement; `RowDescription` or `NoData` ends it.
    Describe(Option<Arc<Prepared>>),
    /// `CommandComplete`, `EmptyQueryResponse` or `PortalSuspended`.
    Execute(Unit),
    /// `CloseComplete` for a statement.
    CloseStatement {
        /// Its name.
        name: Box<[u8]>,
        /// What it stood for.
        previous: Option<Arc<Prepared>>,
    },
    /// `CloseComplete` for a portal.
    ClosePortal {
        /// Its name.
        name: Box<[u8]>,
        /// What it stood for.
        previous: Option<Portal>,
    },
    /// An error: this stands in the place of a message of the extended protocol that was refused.
    Refused(Planted),
    /// An error and `ReadyForQuery`: this stands in the place of a simple query or function call that was refused.
    RefusedQuery(Planted),
    /// `ReadyForQuery`.
    Sync(Ready),
    /// What a message of ours is answered with: the client sees nothing of it.
    Ours(Ours),
    /// Nothing: the end of what a `COPY ... FROM STDIN` takes, if one is under way.
    CopyEnd,
}

impl Pending {
    /// Whether `ReadyForQuery` ends it, so that the server answers without being asked to.
    pub(super) const fn is_sync_point(&self) -> bool {
        matches!(self, Self::Query(_) | Self::FunctionCall(_) | Self::RefusedQuery(_) | Self::Sync(_))
    }
}

/// A statement under way.
#[derive(Debug)]
pub(super) struct Unit {
    /// What was decided.
    pub(super) decision: Arc<Decision>,
    /// What is recorded of it.
    pub(super) record: UnitRecord,
    /// When it was sent.
    pub(super) started: Instant,
    /// Rows the server says it touched.
    pub(super) rows: Option<u64>,
    /// What the server says it completed last.
    pub(super) completed: Completed,
    /// The error it ended with.
    pub(super) sqlstate: Option<String>,
    /// What the client is told instead of the server's reply.
    pub(super) reply: Reply,
    /// Whether the ReadyForQuery that ends it, if one does, is for the client.
    pub(super) ready: Ready,
}

/// What is recorded of a statement under way.
#[derive(Debug)]
pub(super) enum UnitRecord {
    /// Nothing: it is a setting of ours.
    None,
    /// When it has ended, this, completed: one record tells the whole.
    AtTheEnd {
        /// Its number.
        statement: u64,
        /// The record so far.
        record: Encoded,
    },
    /// It was recorded before it left; how it ended is a record of its own.
    Before(Recorded),
}

/// What the server says that a statement completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Completed {
    /// Nothing yet.
    Nothing,
    /// `ROLLBACK`: also a COMMIT in a failed transaction.
    Rollback,
    /// Any other command.
    Other,
}

/// Whose reply the client sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    /// The server's.
    Server,
    /// `SET`: the server ran an empty statement in place of a setting of ours.
    OwnSet,
}

/// All that is unanswered.
#[derive(Debug, Default)]
pub(super) struct Unanswered {
    queue: VecDeque<Pending>,
    /// Syncs that a copy under way, or one that has failed, ignores unless it failed before it read them.
    ignored_syncs: usize,
}

impl Unanswered {
    pub(super) fn push(&mut self, pending: Pending) {
        self.queue.push_back(pending);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn front(&self) -> Option<&Pending> {
        self.queue.front()
    }

    /// The message of ours that is the first unanswered, if it is one.
    pub(super) fn first_is_ours(&self) -> Option<Ours> {
        match self.queue.front() {
            Some(Pending::Ours(ours)) => Some(*ours),
            _ => None,
        }
    }

    pub(super) fn front_mut(&mut self) -> Option<&mut Pending> {
        self.queue.front_mut()
    }

    pub(super) fn pop(&mut self) -> Option<Pending> {
        self.queue.pop_front()
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Pending> {
        self.queue.iter()
    }

    /// Whether the server will answer all of it without being sent anything more.
    pub(super) fn will_be_answered(&self) -> bool {
        self.queue.back().is_none_or(Pending::is_sync_point)
    }

    /// Whether something that may end the transaction, or that we do not follow, is among it.
    pub(super) fn any_unit(&self, mut test: impl FnMut(&Unit) -> bool) -> bool {
        self.queue.iter().any(|pending| match pending {
            Pending::Query(unit) | Pending::FunctionCall(unit) | Pending::Execute(unit) => test(unit),
            _ => false,
        })
    }

    /// The server is in copy-in mode: it ignores the Syncs up to the end of the copy. Says whether what was sent
    /// instead is something it will not take there.
    pub(super) fn copy_in_began(&mut self) -> CopyIn {
        let mut index = 1;
        while index < self.queue.len() {
            match &self.queue[index] {
                Pending::CopyEnd => {
                    self.queue.remove(index);
                    return CopyIn::Over;
                }
                Pending::Sync(_) => {
                    self.queue.remove(index);
                    self.ignored_syncs += 1;
                }
                _ => return CopyIn::Violated,
            }
            index = 1;
        }
        CopyIn::Under
    }

    /// The server is ready for a query though nothing that it has to answer asks for that: whether the reason is a Sync
    /// that a copy should have ignored. `COPY view FROM STDIN` fails when it has begun, before it reads anything.
    pub(super) fn was_not_ignored(&mut self) -> bool {
        let was_not = self.queue.is_empty() && self.ignored_syncs > 0;
        self.ignored_syncs -= usize::from(was_not);
        was_not
    }

    /// The server has answered something else behind a copy: it is behind all that the copy ignored.
    pub(super) const fn is_behind_copies(&mut self) {
        self.ignored_syncs = 0;
    }

    /// Takes the marks away that meant nothing, because no copy was under way.
    pub(super) fn drop_copy_ends(&mut self) {
        while matches!(self.queue.front(), Some(Pending::CopyEnd)) {
            self.queue.pop_front();
        }
    }
}

/// Where a copy into the server stands when the server says that it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CopyIn {
    /// The client has still to send its end.
    Under,
    /// The client has sent its end already.
    Over,
    /// The client has sent something else already.
    Violated,
}
