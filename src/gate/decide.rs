//! What people say to a hold, and who may.

use std::sync::Arc;

use jiff::Timestamp;

use super::hold::{Approval, Ended, Hold, HoldState, RadiusState};
use super::pool::Kept;
use super::{Approver, Decision, Gate, GateEvent, HoldId, Origin, Refused, view};

/// What an approver says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Approve {
    /// Why.
    pub reason: Option<String>,
    /// More rows than this are not approved: counted before it runs where that can be done in time, else estimated.
    pub max_rows: Option<u64>,
    /// The [`HoldView::digest`](super::HoldView::digest) of what was looked at; approving anything else is refused.
    pub digest: Option<String>,
}

/// What somebody says who denies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deny {
    /// Why.
    pub reason: Option<String>,
    /// The [`HoldView::digest`](super::HoldView::digest) of what was looked at; denying anything else is refused.
    pub digest: Option<String>,
}

impl Gate {
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
}
