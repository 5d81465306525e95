//! The session's end of a hold.

use jiff::Timestamp;
use tokio::sync::watch as cell;
use tokio::time::{Instant, timeout_at};

use super::hold::Approval;
use super::{Gate, HoldId};

/// How a hold was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The statement may run, once.
    Approved {
        /// Who approved.
        approvals: Vec<Approval>,
        /// More rows than this are not approved: the smallest number anybody gave.
        max_rows: Option<u64>,
    },
    /// It may not.
    Denied {
        /// Who said so.
        by: String,
        /// Why.
        reason: String,
    },
    /// Nobody decided in time.
    Expired,
    /// It was taken back.
    Withdrawn {
        /// Who did, or why.
        by: String,
    },
}

/// How a session ends a hold that nobody has decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The client does not want it any more, or is gone.
    Withdrawn,
    /// It cannot be run any more.
    Failed,
}

/// The session's end of a hold. Dropping it undecided withdraws the hold.
#[derive(Debug)]
pub struct Ticket {
    gate: Gate,
    id: HoldId,
    expires_at: Timestamp,
    expires: Instant,
    decided: cell::Receiver<Option<Decision>>,
    fate: Fate,
}

/// What the session knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It has not seen a decision.
    Unseen,
    /// It has seen one, or has ended the hold itself.
    Settled,
}

impl Ticket {
    pub(super) const fn new(
        gate: Gate,
        id: HoldId,
        expires_at: Timestamp,
        expires: Instant,
        decided: cell::Receiver<Option<Decision>>,
    ) -> Self {
        Self { gate, id, expires_at, expires, decided, fate: Fate::Unseen }
    }

    /// The hold's id.
    #[must_use]
    pub const fn id(&self) -> &HoldId {
        &self.id
    }

    /// When the hold expires.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Waits for the decision. Cancel-safe: nothing is lost where the future is dropped before it resolves, and it
    /// may be called again.
    pub async fn decided(&mut self) -> Decision {
        // Whoever decides sends the decision before the gate forgets the hold, so an error is only ever the time.
        if timeout_at(self.expires, self.decided.wait_for(Option::is_some)).await.is_err() {
            self.gate.expire_ticket(&self.id);
        }
        // Somebody may have been faster than the clock: theirs is the decision then.
        let decision = self.decided.borrow().clone();
        self.gate.pool().take_approval(&self.id);
        self.fate = Fate::Settled;
        decision.unwrap_or(Decision::Expired)
    }

    /// Ends the hold, unless it is decided.
    pub fn end(mut self, end: End, reason: &str) {
        self.settle(end, reason);
    }

    fn settle(&mut self, end: End, reason: &str) {
        if self.fate == Fate::Unseen {
            self.fate = Fate::Settled;
            self.gate.end_ticket(&self.id, end, reason);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.settle(End::Withdrawn, "the client is gone");
    }
}
