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

mod claim;
pub mod confirm;
pub mod facts;
pub mod functions;
pub mod hold;
pub mod id;
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

pub use claim::{Claim, Opening, TakenApproval};
pub use confirm::Confirmation;
pub use hold::{Approval, Ended, Hold, HoldRequest, HoldState, NoWait, RadiusState, Wait};
pub use id::HoldId;
pub use refused::Refused;
pub use stake::Stake;
pub use ticket::{Decision, End, Ticket};
pub use view::HoldView;
pub use watch::{Watch, WatchEvent};

use crate::blast::Radius;
use pool::{Kept, Live, Pool};

/// How many changes a watcher may lag behind before it is told everything anew.
const WATCH_CAPACITY: usize = 256;

/// How the gate behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long a hold waits outside of transactions.
    pub expiry: Duration,
    /// The same inside of one, whose locks the hold keeps.
    pub expiry_in_transaction: Duration,
    /// Holds that wait at the same time.
    pub live_max: usize,
    /// Bytes of all that waits: text and values.
    pub live_bytes_max: usize,
    /// Ended holds that can still be looked at.
    pub recent_max: usize,
    /// Bytes of those.
    pub recent_bytes_max: usize,
    /// How long a hold is not approved for want of its radius, which the session computes meanwhile.
    pub radius_patience: Duration,
    /// Who may approve and deny. Empty: everybody on the proxy's own machine.
    pub approvers: Vec<String>,
    /// Names that stand for no person, so that nobody counts as the requester by them.
    pub shared_roles: Vec<String>,
    /// Tickets of one identity that wait at the same time: who does not wait could open any number of holds, and
    /// leave no room for others.
    pub tickets_max_per_identity: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            expiry: Duration::from_secs(15 * 60),
            expiry_in_transaction: Duration::from_secs(60),
            live_max: 1_000,
            live_bytes_max: 256 << 20,
            recent_max: 1_000,
            recent_bytes_max: 16 << 20,
            radius_patience: Duration::from_secs(10),
            approvers: Vec::new(),
            shared_roles: vec!["postgres".to_owned()],
            tickets_max_per_identity: 32,
        }
    }
}

/// Something the audit log has to know.
#[derive(Debug, Clone)]
pub enum GateEvent {
    /// A statement is held.
    Held(Arc<Hold>),
    /// Somebody approved; the hold may wait for more approvals.
    Approved(Arc<Hold>, Approval),
    /// A hold ended, as [`Hold::ended`] says. For `approved` this follows the last [`GateEvent::Approved`].
    Ended(Arc<Hold>),
}

/// The audit log cannot take a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unrecorded(pub String);

/// Takes what happens, in order. It is called with the gate locked: it must not wait, and must not call the gate.
/// Where it fails, nothing is held and nothing is approved.
pub type Recorder = Arc<dyn Fn(GateEvent) -> Result<(), Unrecorded> + Send + Sync>;

/// Who decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approver {
    /// The name.
    pub name: String,
    /// Where they are.
    pub origin: Origin,
}

/// Where a decision comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The proxy's own machine: who may open its socket.
    Local,
    /// Elsewhere, by a certificate.
    Remote {
        /// The address it was shown from.
        address: String,
    },
    /// A session of the virtual database, which has seen to it that a person is behind it.
    Login {
        /// The client's address.
        address: String,
    },
}

impl Approver {
    /// Somebody on the proxy's own machine.
    #[must_use]
    pub fn local(name: impl Into<String>) -> Self {
        Self { name: name.into(), origin: Origin::Local }
    }
}

impl Origin {
    /// The address, where it is elsewhere.
    #[must_use]
    pub fn remote_address(&self) -> Option<&str> {
        match self {
            Self::Local => None,
            Self::Remote { address } | Self::Login { address } => Some(address),
        }
    }
}

/// What an approver says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Approve {
    /// Why.
    pub reason: Option<String>,
    /// More rows than this are not approved: counted before it runs where that can be done in time, else estimated.
    pub max_rows: Option<u64>,
    /// The [`HoldView::digest`] of what was looked at; approving anything else is refused.
    pub digest: Option<String>,
}

/// What somebody says who denies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deny {
    /// Why.
    pub reason: Option<String>,
    /// The [`HoldView::digest`] of what was looked at; denying anything else is refused.
    pub digest: Option<String>,
}

/// Why a statement cannot be held; it is refused instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GateFull {
    /// Too many statements wait.
    #[error("{0} statements wait for approval already, which is the limit")]
    Count(usize),
    /// What waits is too large.
    #[error("what waits for approval would be larger than {0} bytes")]
    Bytes(usize),
    /// Too many tickets of one identity wait.
    #[error("{limit} tickets of {identity} wait for approval already, which is the limit")]
    Tickets {
        /// The identity's name.
        identity: String,
        /// How many may wait.
        limit: usize,
    },
    /// The audit log cannot write it down.
    #[error("the audit log cannot record it: {0}")]
    Unrecorded(#[from] Unrecorded),
}

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

    /// Approves. The hold goes on waiting where it needs more people than have approved.
    ///
    /// # Errors
    ///
    /// See [`Refused`].
    pub fn approve(&self, id: &HoldId, by: &Approver, approve: Approve) -> Result<Arc<Hold>, Refused> {
        let mut pool = self.pool();
        self.expire_overdue(&mut pool);
        let live = pool.pending(id)?;
        self.may_decide(by)?;
        self.not_the_requester(&live.hold, by)?;
        if let Some(seen) = &approve.digest
            && *seen != view::digest(&live.hold)
        {
            return Err(Refused::Changed(id.clone()));
        }
        if live.hold.radius == RadiusState::Computing && live.submitted.elapsed() < self.inner.options.radius_patience {
            return Err(Refused::RadiusUnknownYet(id.clone()));
        }
        if let (RadiusState::Known(radius), Some(max_rows)) = (&live.hold.radius, approve.max_rows)
            && let Some(rows) = radius.rows.value.filter(|rows| *rows > max_rows)
        {
            return Err(Refused::TooMany { id: id.clone(), rows, max_rows });
        }
        if live.hold.approvals.iter().any(|approval| approval.by == by.name) {
            return Err(Refused::ApprovedAlready { id: id.clone(), needs: live.hold.needs });
        }
        let approval = Approval {
            by: by.name.clone(),
            at: Timestamp::now(),
            reason: approve.reason,
            max_rows: approve.max_rows,
            remote: by.origin.remote_address().map(str::to_owned),
        };
        let mut approved = Hold::clone(&live.hold);
        approved.approvals.push(approval.clone());
        let approved = Arc::new(approved);
        (self.inner.recorder)(GateEvent::Approved(Arc::clone(&approved), approval))?;
        live.hold = Arc::clone(&approved);
        if approved.approvals.len() < approved.needs as usize {
            self.changed(&approved);
            return Ok(approved);
        }
        let max_rows = approved.approvals.iter().filter_map(|approval| approval.max_rows).min();
        let decision = Decision::Approved { approvals: approved.approvals.clone(), max_rows };
        let ended = Ended::by(by, None);
        self.end(&mut pool, id, HoldState::Approved, ended, decision).ok_or_else(|| Refused::Unknown(id.clone()))
    }

    /// Denies: the statement never runs. A ticket that was approved and not used is denied after all.
    ///
    /// # Errors
    ///
    /// See [`Refused`].
    pub fn deny(&self, id: &HoldId, by: &Approver, reason: Option<String>) -> Result<Arc<Hold>, Refused> {
        self.deny_seen(id, by, Deny { reason, digest: None })
    }

    /// The same by somebody who says what they looked at.
    ///
    /// # Errors
    ///
    /// See [`Refused`].
    pub fn deny_seen(&self, id: &HoldId, by: &Approver, deny: Deny) -> Result<Arc<Hold>, Refused> {
        let Deny { reason, digest } = deny;
        let mut pool = self.pool();
        self.expire_overdue(&mut pool);
        self.may_decide(by)?;
        if let Some(kept) = pool.take_unused_approval(id) {
            let ended = Ended::by(by, reason);
            let hold = self.end_decided(&mut pool, &kept.hold, HoldState::Denied, ended);
            self.keep_decided(&mut pool, Kept { hold: Arc::clone(&hold), ..kept });
            return Ok(hold);
        }
        let live = pool.pending(id)?;
        if digest.is_some_and(|seen| seen != view::digest(&live.hold)) {
            return Err(Refused::Changed(id.clone()));
        }
        let decision = Decision::Denied {
            by: by.name.clone(),
            reason: reason.clone().unwrap_or_else(|| "no reason given".into()),
        };
        let ended = Ended::by(by, reason);
        self.end(&mut pool, id, HoldState::Denied, ended, decision).ok_or_else(|| Refused::Unknown(id.clone()))
    }

    /// Takes the request back: the statement never runs. Everybody on the proxy's own machine may.
    ///
    /// # Errors
    ///
    /// See [`Refused`].
    pub fn withdraw(&self, id: &HoldId, by: &Approver, reason: Option<String>) -> Result<Arc<Hold>, Refused> {
        let mut pool = self.pool();
        self.expire_overdue(&mut pool);
        if matches!(by.origin, Origin::Remote { .. }) {
            self.may_decide(by)?;
        }
        let ended = Ended::by(by, reason);
        if let Some(kept) = pool.take_unused_approval(id) {
            return Ok(self.end_decided(&mut pool, &kept.hold, HoldState::Withdrawn, ended));
        }
        pool.pending(id)?;
        let decision = Decision::Withdrawn { by: by.name.clone() };
        self.end(&mut pool, id, HoldState::Withdrawn, ended, decision).ok_or_else(|| Refused::Unknown(id.clone()))
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        // Nothing under this lock leaves a hold half changed, so what a panicking thread left is sound.
        self.inner.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self, hold: &Arc<Hold>) {
        // Nobody may be watching.
        let _ = self.inner.changes.send(Arc::clone(hold));
    }

    /// Whether the configuration names no approvers, so that everybody near enough decides.
    #[must_use]
    pub fn everybody_decides(&self) -> bool {
        self.inner.options.approvers.is_empty()
    }

    /// Whether a name stands for no person.
    #[must_use]
    pub fn is_shared_role(&self, name: &str) -> bool {
        self.inner.options.shared_roles.iter().any(|role| role == name)
    }

    /// Whether somebody may decide, as far as the configuration says.
    ///
    /// # Errors
    ///
    /// [`Refused::NoApprover`].
    pub fn may_decide(&self, by: &Approver) -> Result<(), Refused> {
        let admitted_unnamed = !matches!(by.origin, Origin::Remote { .. }) && self.everybody_decides();
        if admitted_unnamed || self.names_approver(&by.name) {
            Ok(())
        } else {
            Err(Refused::NoApprover(by.name.clone()))
        }
    }

    /// Whether the list of approvers has this name. An empty list has none.
    #[must_use]
    pub fn names_approver(&self, name: &str) -> bool {
        self.inner.options.approvers.iter().any(|approver| approver == name)
    }

    fn not_the_requester(&self, hold: &Hold, by: &Approver) -> Result<(), Refused> {
        let identity = &hold.request.identity;
        let is_requester = by.name == identity.name || identity.owner.as_ref() == Some(&by.name);
        // On the control socket such a name may be an operating system user's, who is somebody. At a login it is the role.
        let stands_for_nobody = self.is_shared_role(&by.name) && !matches!(by.origin, Origin::Login { .. });
        if is_requester && !stands_for_nobody {
            return Err(Refused::OwnStatement(by.name.clone()));
        }
        Ok(())
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
