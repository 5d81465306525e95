//! Tickets: holds whose client does not wait. It was refused with the hold's id; once that is approved, the same
//! statement passes, once, until the hold's time is up.
//!
//! ```text
//! claim -> Held       nobody has decided: the same hold, however often it is asked for
//!       -> Approved   taken: nobody else gets it; what runs it says `used`, or the approval has failed
//!       -> Denied     until the hold's time is up, the same statement opens no other hold
//! ```
//!
//! [`HoldRequest::digest`] says what "the same statement" is. There is no session in it: who comes back has often
//! connected anew. Like all holds, tickets die with the proxy.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::hold::{Ended, Hold, HoldRequest, HoldState, RadiusState, Wait};
use super::pool::{Kept, Pool};
use super::{Gate, GateEvent, GateFull, HoldId};
use crate::blast::Radius;

/// What a statement is told that comes with a ticket, or asks for one.
#[derive(Debug)]
pub enum Claim {
    /// Nobody has decided.
    Held {
        /// The hold.
        hold: Arc<Hold>,
        /// Whether this call opened it.
        opening: Opening,
    },
    /// It may run, if what it would touch has not grown past what was approved.
    Approved(TakenApproval),
    /// Somebody said no.
    Denied(Arc<Hold>),
}

/// Who opened a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// This call: its radius is still to be computed.
    New,
    /// One before.
    Known,
}

/// An approval that was taken. Nobody else can use it any more; dropped without [`TakenApproval::used`], it has
/// failed.
#[derive(Debug)]
pub struct TakenApproval {
    gate: Gate,
    hold: Arc<Hold>,
    max_rows: Option<u64>,
    fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Open,
    Settled,
}

impl TakenApproval {
    /// The hold's id.
    #[must_use]
    pub fn id(&self) -> &HoldId {
        &self.hold.id
    }

    /// What the approver was shown.
    #[must_use]
    pub fn radius(&self) -> Option<&Radius> {
        match &self.hold.radius {
            RadiusState::Known(radius) => Some(radius),
            RadiusState::Computing | RadiusState::Unavailable => None,
        }
    }

    /// More rows than this are not approved: the smallest number anybody gave.
    #[must_use]
    pub const fn max_rows(&self) -> Option<u64> {
        self.max_rows
    }

    /// The statement goes.
    pub fn used(mut self) {
        self.fate = Fate::Settled;
    }

    /// The statement does not go, for this reason.
    pub fn failed(mut self, reason: &str) {
        self.settle(reason);
    }

    fn settle(&mut self, reason: &str) {
        if self.fate == Fate::Open {
            self.fate = Fate::Settled;
            let ended = Ended::by_itself(Some(reason.to_owned()));
            let mut pool = self.gate.pool();
            self.gate.end_decided(&mut pool, &self.hold, HoldState::Failed, ended);
        }
    }
}

impl Drop for TakenApproval {
    fn drop(&mut self) {
        self.settle("approved, but the session ended before it ran");
    }
}

impl Gate {
    /// Asks for the decision on a statement whose client does not wait; opens a hold where there is none. To be
    /// called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// There is no room for one more, or the audit log cannot record it.
    pub fn claim(&self, request: HoldRequest) -> Result<Claim, GateFull> {
        debug_assert_eq!(request.wait, Wait::Ticket, "a client that waits has its hold by `submit`");
        let mut pool = self.pool();
        self.expire_overdue(&mut pool);
        if let Some(hold) = pool.pending_ticket(&request.digest) {
            return Ok(Claim::Held { hold, opening: Opening::Known });
        }
        match pool.decided_ticket(&request.digest).map(|kept| kept.hold.state) {
            Some(HoldState::Approved) => {
                if let Some(Kept { hold, max_rows, .. }) = pool.take_decided(&request.digest) {
                    return Ok(Claim::Approved(TakenApproval { gate: self.clone(), hold, max_rows, fate: Fate::Open }));
                }
            }
            Some(_) => {
                if let Some(kept) = pool.decided_ticket(&request.digest) {
                    return Ok(Claim::Denied(Arc::clone(&kept.hold)));
                }
            }
            None => {}
        }
        let limit = self.inner.options.tickets_max_per_identity;
        if pool.tickets_of(&request.identity.name) >= limit {
            return Err(GateFull::Tickets { identity: request.identity.name, limit });
        }
        let opened = self.open(&mut pool, request)?;
        self.expire_in_time(opened.expires);
        Ok(Claim::Held { hold: opened.hold, opening: Opening::New })
    }

    /// Ends all tickets: the proxy stops, and nobody will ask for them any more.
    pub fn close(&self, reason: &str) {
        let ended = || Ended::by_itself(Some(reason.to_owned()));
        let mut pool = self.pool();
        for id in pool.pending_tickets() {
            let decision = super::Decision::Withdrawn { by: reason.to_owned() };
            self.end(&mut pool, &id, HoldState::Failed, ended(), decision);
        }
        for kept in pool.take_all_decided() {
            if kept.hold.state == HoldState::Approved {
                self.end_decided(&mut pool, &kept.hold, HoldState::Failed, ended());
            }
        }
    }

    /// Nobody polls a ticket: its end is seen to here, so that it is recorded when it comes.
    fn expire_in_time(&self, expires: Instant) {
        let gate = self.clone();
        tokio::spawn(async move {
            sleep_until(expires).await;
            gate.expire_overdue(&mut gate.pool());
        });
    }

    /// Keeps what was decided on a ticket until its time is up, and forgets the oldest beyond the bounds.
    pub(super) fn keep_decided(&self, pool: &mut Pool, kept: Kept) {
        for dropped in pool.keep(kept, &self.inner.options) {
            self.decided_is_over(pool, &dropped, "too many other decisions came after it");
        }
    }

    /// A decision on a ticket that can no longer be used.
    pub(super) fn decided_is_over(&self, pool: &mut Pool, kept: &Kept, why: &str) {
        // A denial that is forgotten has been recorded as what it is; an approval that was not used has not.
        if kept.hold.state == HoldState::Approved {
            let reason = format!("approved, but not used: {why}");
            let ended = Ended::by_itself(Some(reason));
            self.end_decided(pool, &kept.hold, HoldState::Expired, ended);
        }
    }

    /// Gives a hold that was approved and has not run another end.
    pub(super) fn end_decided(&self, pool: &mut Pool, hold: &Hold, state: HoldState, ended: Ended) -> Arc<Hold> {
        let hold = Arc::new(Hold { state, ended: Some(ended), ..hold.clone() });
        // It does not run, whether or not that can be recorded.
        let _ = (self.inner.recorder)(GateEvent::Ended(Arc::clone(&hold)));
        pool.remember_anew(&hold);
        self.changed(&hold);
        hold
    }
}

#[cfg(test)]
#[path = "claim_tests.rs"]
mod tests;
