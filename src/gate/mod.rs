//! Holds: statements that wait in flight for a person.
//!
//! A session [submits](Gate::submit) what it holds and waits on the [`Ticket`]; people list, watch and decide
//! through the [`Gate`]. A hold is `pending` until it ends, once, as
//!
//! ```text
//! pending -> approved    enough people approved; the session takes the approval, once
//!         -> denied      somebody said no
//!         -> expired     nobody said anything in time
//!         -> withdrawn   the client cancelled, or went away, or somebody withdrew it
//!         -> failed      the proxy or the upstream cannot run it any more
//! approved -> failed     the session went away before it took the approval
//! ```
//!
//! A client that does not wait has a ticket instead ([`Gate::claim`]): refused at once, it comes back with the same
//! statement. Its hold goes on from `approved` as well: to `expired` when it does not come in time, to `denied` or
//! `withdrawn` when somebody takes the approval back before it is used.
//!
//! What is approved is bound by [`HoldRequest::digest`] to bytes, values, session, identity, database and search
//! path (of a ticket not to the session), and by [`HoldView::digest`] to the blast radius shown as well. Nothing is
//! kept over a restart: a hold is a statement in flight, and dies with its connection, a ticket with the proxy.

mod approver;
mod claim;
pub mod confirm;
mod decide;
mod event;
pub mod facts;
pub mod functions;
pub mod hold;
pub mod id;
mod options;
mod pool;
pub mod refused;
pub mod stake;
pub mod ticket;
pub mod view;
pub mod watch;
pub mod wording;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{broadcast, watch as cell};
use tokio::time::Instant;

pub use approver::{Approver, Origin};
pub use claim::{Claim, Opening, TakenApproval};
pub use confirm::Confirmation;
pub use decide::{Approve, Deny};
pub use event::{GateEvent, Recorder, Unrecorded};
pub use hold::{Approval, Ended, Hold, HoldRequest, HoldState, NoWait, RadiusState, Wait};
pub use id::HoldId;
pub use options::Options;
pub use refused::{GateFull, Refused};
pub use stake::Stake;
pub use ticket::{Decision, End, Ticket};
pub use view::HoldView;
pub use watch::{Watch, WatchEvent};

use crate::blast::Radius;
use pool::{Kept, Live, Pool};

/// How many changes a watcher may lag behind before it is told everything anew.
const WATCH_CAPACITY: usize = 256;

/// All holds of one proxy. Cheap to clone.
#[derive(Clone)]
pub struct Gate {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    recorder: Recorder,
    pool: Mutex<Pool>,
    changes: broadcast::Sender<Arc<Hold>>,
}

/// A hold that was just opened.
struct Opened {
    hold: Arc<Hold>,
    expires: Instant,
    decided: cell::Receiver<Option<Decision>>,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("options", &self.inner.options).finish_non_exhaustive()
    }
}

impl Gate {
    /// A gate without holds.
    #[must_use]
    pub fn new(options: Options, recorder: Recorder) -> Self {
        let (changes, _) = broadcast::channel(WATCH_CAPACITY);
        Self { inner: Arc::new(Inner { options, recorder, pool: Mutex::default(), changes }) }
    }

    /// Holds a statement. It waits until it is decided, or the ticket is dropped.
    ///
    /// # Errors
    ///
    /// There is no room for one more, or the audit log cannot record it.
    pub fn submit(&self, request: HoldRequest) -> Result<Ticket, GateFull> {
        let Opened { hold, expires, decided } = self.open(&mut self.pool(), request)?;
        Ok(Ticket::new(self.clone(), hold.id.clone(), hold.expires_at, expires, decided))
    }

    /// Says what the blast radius is; `None` where none can be computed.
    pub fn attach_radius(&self, id: &HoldId, radius: Option<Radius>) {
        let mut pool = self.pool();
        if let Some(live) = pool.live_mut(id) {
            Arc::make_mut(&mut live.hold).radius =
                radius.map_or(RadiusState::Unavailable, |radius| RadiusState::Known(Arc::new(radius)));
            let hold = Arc::clone(&live.hold);
            self.changed(&hold);
        }
    }

    /// The holds that wait, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Hold>> {
        let mut pool = self.pool();
        self.expire_overdue(&mut pool);
        pool.list_live()
    }

    /// The holds that ended lately, in the order they ended. Older ones are forgotten here, and in the audit log.
    #[must_use]
    pub fn recent(&self) -> Vec<Arc<Hold>> {
        let mut pool = self.pool();
        self.expire_overdue(&mut pool);
        pool.list_recent()
    }

    /// One hold, waiting or ended lately.
    #[must_use]
    pub fn show(&self, id: &HoldId) -> Option<Arc<Hold>> {
        let mut pool = self.pool();
        self.expire_overdue(&mut pool);
        pool.find(id)
    }

    /// What waits now, and every change from now on.
    #[must_use]
    pub fn watch(&self) -> Watch {
        // Subscribed and listed under one lock: no change is missed or seen twice.
        let pool = self.pool();
        Watch::new(self.clone(), pool.list_live(), self.inner.changes.subscribe())
    }

    /// Waits until the blast radius of a hold is known or given up on, but no longer than `patience`.
    pub async fn radius_settled(&self, id: &HoldId, patience: Duration) {
        let mut changes = self.inner.changes.subscribe();
        let settled = async {
            while self.show(id).is_some_and(|hold| hold.is_pending() && hold.radius == RadiusState::Computing) {
                if let Err(broadcast::error::RecvError::Closed) = changes.recv().await {
                    return;
                }
            }
        };
        // Not in time is the caller's to see: approving is refused then.
        let _ = tokio::time::timeout(patience, settled).await;
    }

    fn open(&self, pool: &mut Pool, request: HoldRequest) -> Result<Opened, GateFull> {
        let options = &self.inner.options;
        let usual = if request.in_transaction { options.expiry_in_transaction } else { options.expiry };
        let expiry = request.expiry_cap.map_or(usual, |cap| cap.min(usual));
        let now = Timestamp::now();
        let bytes = request.bytes();
        if pool.live_count() >= options.live_max {
            return Err(GateFull::Count(options.live_max));
        }
        if pool.live_bytes().saturating_add(bytes) > options.live_bytes_max {
            return Err(GateFull::Bytes(options.live_bytes_max));
        }
        let hold = Arc::new(Hold {
            id: pool.unused_id(),
            needs: request.needs.max(1),
            request: Arc::new(request),
            radius: RadiusState::Computing,
            state: HoldState::Pending,
            approvals: Vec::new(),
            created_at: now,
            expires_at: now.checked_add(expiry).unwrap_or(Timestamp::MAX),
            ended: None,
        });
        (self.inner.recorder)(GateEvent::Held(Arc::clone(&hold)))?;
        let (decide, decided) = cell::channel(None);
        let expires = Instant::now() + expiry;
        pool.insert(Live { hold: Arc::clone(&hold), decide, submitted: Instant::now(), expires, bytes });
        self.changed(&hold);
        Ok(Opened { hold, expires, decided })
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        // Nothing under this lock leaves a hold half changed, so what a panicking thread left is sound.
        self.inner.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self, hold: &Arc<Hold>) {
        // Nobody may be watching.
        let _ = self.inner.changes.send(Arc::clone(hold));
    }

    fn expire_overdue(&self, pool: &mut Pool) {
        let now = Instant::now();
        for id in pool.overdue(now) {
            self.expire(pool, &id);
        }
        for kept in pool.take_overdue_decided(now) {
            self.decided_is_over(pool, &kept, "its time was up");
        }
    }

    fn expire(&self, pool: &mut Pool, id: &HoldId) {
        let ended = Ended::by_itself(None);
        self.end(pool, id, HoldState::Expired, ended, Decision::Expired);
    }

    /// Ends a hold that waits; the ticket learns the decision. `None` where it does not wait.
    fn end(
        &self,
        pool: &mut Pool,
        id: &HoldId,
        state: HoldState,
        ended: Ended,
        decision: Decision,
    ) -> Option<Arc<Hold>> {
        let Live { mut hold, decide, expires, bytes, .. } = pool.remove(id)?;
        let changed = Arc::make_mut(&mut hold);
        changed.state = state;
        changed.ended = Some(ended);
        // An end that cannot be recorded is still the end: that statement does not run, or (approved) its approval
        // is in the log already.
        let _ = (self.inner.recorder)(GateEvent::Ended(Arc::clone(&hold)));
        pool.remember(Arc::clone(&hold), &self.inner.options);
        if hold.request.wait == Wait::Ticket && matches!(state, HoldState::Approved | HoldState::Denied) {
            let max_rows = hold.approvals.iter().filter_map(|approval| approval.max_rows).min();
            self.keep_decided(pool, Kept { hold: Arc::clone(&hold), max_rows, expires, bytes });
        }
        decide.send_replace(Some(decision));
        self.changed(&hold);
        Some(hold)
    }

    /// Called by a ticket whose time is up.
    fn expire_ticket(&self, id: &HoldId) {
        self.expire(&mut self.pool(), id);
    }

    /// Called by a ticket that ends, or is dropped, undecided.
    fn end_ticket(&self, id: &HoldId, end: End, reason: &str) {
        let state = match end {
            End::Withdrawn => HoldState::Withdrawn,
            End::Failed => HoldState::Failed,
        };
        let ended = Ended::by_itself(Some(reason.to_owned()));
        let mut pool = self.pool();
        let decision = Decision::Withdrawn { by: reason.to_owned() };
        if self.end(&mut pool, id, state, ended.clone(), decision).is_none()
            && let Some(hold) = pool.fail_untaken_approval(id, ended)
        {
            let _ = (self.inner.recorder)(GateEvent::Ended(Arc::clone(&hold)));
            self.changed(&hold);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
