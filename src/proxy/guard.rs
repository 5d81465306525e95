//! `enforce_reads = "server"`: what was classified as a read runs where the server itself refuses everything else.
//!
//! ```text
//! outside of a transaction          inside one of the client's
//!   BEGIN READ ONLY (ours)            SAVEPOINT, SET LOCAL transaction_read_only = on (ours)
//!   the client's messages             the client's messages
//!   its Sync, or none for a Query     RELEASE (ours)
//!   COMMIT, Sync (ours)               its Sync, or ours for a Query
//! ```
//!
//! All of it is sent at once. The client sees the replies to its own messages and one ReadyForQuery: that of the
//! transaction's end, with the status that it would have seen without us. `BEGIN` is a message of the extended protocol
//! without a Sync behind it, before a simple query too: if it fails, the server throws away what stands behind it, so no
//! read runs unguarded. After an error inside, the `COMMIT` rolls back; inside a transaction of the client's, that stays
//! failed.
//!
//! Guarded are reads alone: a message or batch that does something else as well is one transaction, which cannot be taken
//! apart without changing what it means. A batch that begins with reads is guarded up to the first other statement;
//! behind that, to its Sync, nothing is. A portal is executed in the guard of the batch it is executed in, so fetching
//! on is guarded as well. For what a guarded client has sent up to a Sync the answers are awaited before more is read.

use super::decide::{Decision, Guardable, TransactionNature};
use super::ours::{self, Purpose, Ready};
use super::session::Session;
use crate::sql::SessionChange;
use crate::wire::backend::TransactionStatus;

/// No other mode: the client's Parse may stand before it, and after that those can only be set to what they are.
const BEGIN: &str = "begin read only";
const READ_ONLY: &str = "set local transaction_read_only = on";

/// What of ours surrounds what the client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    /// Nothing.
    Off,
    /// A read-only transaction.
    Transaction,
    /// A read-only savepoint in the client's transaction.
    Savepoint,
    /// Nothing until the next Sync: the batch does not only read.
    Refrains,
    /// It is being taken away: nothing more is read until the server says so.
    Closing,
}

/// Whether a transaction block is open where the next message of a batch runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    /// As the last ReadyForQuery said.
    AsReported,
    /// The batch has begun one. If that fails, nothing behind it runs.
    Begun,
}

impl Session {
    /// Whether answers have to be awaited before the message at the head can be guarded. Asked before anything is
    /// decided, so that nothing is under way from before when a statement goes or is held.
    pub(super) fn guard_waits(&mut self) -> bool {
        let waits = self.enforces && self.unanswered.iter().any(super::pending::Pending::is_sync_point);
        if waits {
            self.await_answers();
        }
        waits
    }

    /// A statement is bound or executed within a batch: puts it into the guard, or takes that away before it.
    pub(super) fn guard_in_batch(&mut self, decision: &Decision) {
        // In a failed transaction nothing runs, and the server says so itself.
        if !self.enforces || self.transaction == TransactionStatus::Failed {
            return;
        }
        let in_block = self.is_in_block();
        match (decision.nature.guardable, self.guard) {
            (Guardable::No, _) => {
                self.leave_guard();
                if !in_block {
                    self.guard = Guard::Refrains;
                }
            }
            (Guardable::InBlock, Guard::Off) if !in_block => self.guard = Guard::Refrains,
            (Guardable::InBlock, Guard::Transaction) => {
                self.leave_guard();
                self.guard = Guard::Refrains;
            }
            (_, Guard::Off) => self.enter_guard(in_block),
            _ => {}
        }
    }

    /// A statement of a batch has been sent: what it does to the transaction.
    pub(super) fn follow_block(&mut self, decision: &Decision) {
        if !self.enforces {
            return;
        }
        if decision.changes.contains(&SessionChange::Begin) {
            self.block = Block::Begun;
            self.guard = Guard::Off;
        }
        if decision.nature.transaction == TransactionNature::Ends {
            self.guard = Guard::Refrains;
        }
    }

    /// A simple query, or what else is answered up to ReadyForQuery: guards it. Who is told that the server is ready.
    pub(super) fn guard_query(&mut self, decision: &Decision) -> Ready {
        if !self.enforces {
            return Ready::Told;
        }
        let in_block = self.is_in_block();
        let guardable = match decision.nature.guardable {
            Guardable::Anywhere => true,
            Guardable::InBlock => in_block,
            Guardable::No => false,
        };
        if !guardable || self.guard == Guard::Refrains || self.transaction == TransactionStatus::Failed {
            self.batch_ends();
            return Ready::Told;
        }
        // Within a batch whose Sync has not come it ends that as well.
        if self.guard == Guard::Off {
            self.enter_guard(in_block);
        }
        Ready::Swallowed
    }

    /// The guard, if there is one, is not for what comes now.
    pub(super) fn batch_ends(&mut self) {
        self.leave_guard();
        self.block = Block::AsReported;
        self.guard = Guard::Off;
    }

    /// Behind a guarded simple query: takes the guard away.
    pub(super) fn close_guard(&mut self) {
        let sql = match self.guard {
            Guard::Transaction => "commit".to_owned(),
            Guard::Savepoint => format!("release savepoint {}", self.token),
            Guard::Off | Guard::Refrains | Guard::Closing => return,
        };
        let (out, unanswered) = (&mut self.behind, &mut self.unanswered);
        ours::run(out, unanswered, &self.token, &sql, Purpose::Releases);
        ours::sync(out, unanswered, Ready::Told);
        self.guard = Guard::Closing;
        self.block = Block::AsReported;
    }

    /// The client's Sync. Who is told that the server is ready; what closes the guard goes behind it.
    pub(super) fn guard_sync(&mut self) -> Ready {
        self.block = Block::AsReported;
        match self.guard {
            // It ends with its transaction, whether or not that fails.
            Guard::Transaction => Ready::Swallowed,
            Guard::Savepoint => {
                self.leave_guard();
                Ready::Told
            }
            Guard::Refrains => {
                self.guard = Guard::Off;
                Ready::Told
            }
            Guard::Off | Guard::Closing => Ready::Told,
        }
    }

    /// The server is ready, and the client is to be told: whether it may be. A guard that could not be closed (the
    /// client's cancel request came late) is closed first.
    pub(super) fn guard_is_closed(&mut self, status: TransactionStatus) -> bool {
        if self.guard != Guard::Closing {
            return true;
        }
        if self.transaction == TransactionStatus::Idle && status != TransactionStatus::Idle {
            let (out, unanswered) = (&mut self.ahead, &mut self.unanswered);
            ours::run(out, unanswered, &self.token, "rollback", Purpose::Releases);
            ours::sync(out, unanswered, Ready::Told);
            return false;
        }
        self.guard = Guard::Off;
        true
    }

    /// Whether the read in the guard has failed, of which the client has been told.
    pub(super) fn read_has_failed(&self) -> bool {
        self.swallowed == TransactionStatus::Failed
    }

    /// Whether a transaction block of the client's is open.
    fn is_in_block(&self) -> bool {
        self.transaction != TransactionStatus::Idle || self.block == Block::Begun
    }

    fn enter_guard(&mut self, in_block: bool) {
        // What a guard said before is not what this one will say.
        self.swallowed = TransactionStatus::Idle;
        let (out, unanswered, token) = (&mut self.ahead, &mut self.unanswered, &self.token);
        if in_block {
            ours::run(out, unanswered, token, &format!("savepoint {token}"), Purpose::Guards);
            ours::run(out, unanswered, token, READ_ONLY, Purpose::Guards);
            self.guard = Guard::Savepoint;
        } else {
            ours::run(out, unanswered, token, BEGIN, Purpose::Guards);
            self.guard = Guard::Transaction;
        }
    }

    /// Takes the guard away within a batch. What was read in it is not changed by that.
    fn leave_guard(&mut self) {
        let sql = match self.guard {
            Guard::Transaction => "commit".to_owned(),
            Guard::Savepoint => format!("release savepoint {}", self.token),
            Guard::Off | Guard::Refrains | Guard::Closing => return,
        };
        ours::run(&mut self.ahead, &mut self.unanswered, &self.token, &sql, Purpose::Releases);
        self.guard = Guard::Off;
    }
}
