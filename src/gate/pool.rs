//! The holds that wait, and those that ended lately; both bounded.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::watch as cell;
use tokio::time::Instant;

use super::hold::{Ended, Hold, HoldState};
use super::refused::Refused;
use super::ticket::Decision;
use super::{HoldId, Options};

/// A hold that waits.
pub(super) struct Live {
    pub(super) hold: Arc<Hold>,
    pub(super) decide: cell::Sender<Option<Decision>>,
    pub(super) submitted: Instant,
    pub(super) expires: Instant,
    /// What it counts against [`Options::live_bytes_max`].
    pub(super) bytes: usize,
}

/// The holds of one gate.
#[derive(Default)]
pub(super) struct Pool {
    live: HashMap<HoldId, Live>,
    live_bytes: usize,
    /// In the order they ended.
    recent: VecDeque<Recent>,
    recent_bytes: usize,
}

struct Recent {
    hold: Arc<Hold>,
    bytes: usize,
    approval: ApprovalUse,
}

/// Whether the session has taken its approval.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ApprovalUse {
    NotTaken,
    Taken,
}

impl Pool {
    pub(super) fn live_count(&self) -> usize {
        self.live.len()
    }

    pub(super) const fn live_bytes(&self) -> usize {
        self.live_bytes
    }

    /// An id that neither waits nor can be looked at. There are 923,521, and the pool is far smaller.
    pub(super) fn unused_id(&self) -> HoldId {
        loop {
            let id = HoldId::random();
            if self.find(&id).is_none() {
                return id;
            }
        }
    }

    pub(super) fn insert(&mut self, live: Live) {
        self.live_bytes += live.bytes;
        self.live.insert(live.hold.id.clone(), live);
    }

    pub(super) fn remove(&mut self, id: &HoldId) -> Option<Live> {
        let live = self.live.remove(id)?;
        self.live_bytes -= live.bytes;
        Some(live)
    }

    pub(super) fn live_mut(&mut self, id: &HoldId) -> Option<&mut Live> {
        self.live.get_mut(id)
    }

    /// A hold that waits, or why it cannot be decided.
    pub(super) fn pending(&mut self, id: &HoldId) -> Result<&mut Live, Refused> {
        if !self.live.contains_key(id) {
            return Err(self.find(id).map_or_else(|| Refused::Unknown(id.clone()), |hold| Refused::ended(&hold)));
        }
        self.live.get_mut(id).ok_or_else(|| Refused::Unknown(id.clone()))
    }

    pub(super) fn find(&self, id: &HoldId) -> Option<Arc<Hold>> {
        let recent = || self.recent.iter().rev().map(|recent| &recent.hold).find(|hold| hold.id == *id);
        self.live.get(id).map(|live| &live.hold).or_else(recent).cloned()
    }

    pub(super) fn list_live(&self) -> Vec<Arc<Hold>> {
        let mut holds: Vec<_> = self.live.values().map(|live| Arc::clone(&live.hold)).collect();
        holds.sort_by(|left, right| (left.created_at, &left.id).cmp(&(right.created_at, &right.id)));
        holds
    }

    pub(super) fn list_recent(&self) -> Vec<Arc<Hold>> {
        self.recent.iter().map(|recent| Arc::clone(&recent.hold)).collect()
    }

    pub(super) fn overdue(&self, now: Instant) -> Vec<HoldId> {
        self.live.values().filter(|live| live.expires <= now).map(|live| live.hold.id.clone()).collect()
    }

    /// Keeps a hold that ended for people to look at, and forgets the oldest ones beyond the bounds.
    pub(super) fn remember(&mut self, hold: Arc<Hold>, options: &Options) {
        let bytes = hold.request.bytes();
        self.recent_bytes += bytes;
        self.recent.push_back(Recent { hold, bytes, approval: ApprovalUse::NotTaken });
        while self.recent.len() > options.recent_max || self.recent_bytes > options.recent_bytes_max {
            let Some(oldest) = self.recent.pop_front() else { break };
            self.recent_bytes -= oldest.bytes;
        }
    }

    /// Notes that the session has its approval.
    pub(super) fn take_approval(&mut self, id: &HoldId) {
        if let Some(recent) = self.recent.iter_mut().rev().find(|recent| recent.hold.id == *id) {
            recent.approval = ApprovalUse::Taken;
        }
    }

    /// An approval that no session took is no approval: the statement did not run.
    pub(super) fn fail_untaken_approval(&mut self, id: &HoldId, ended: Ended) -> Option<Arc<Hold>> {
        let recent = self.recent.iter_mut().rev().find(|recent| recent.hold.id == *id)?;
        if recent.hold.state != HoldState::Approved || recent.approval == ApprovalUse::Taken {
            return None;
        }
        let hold = Arc::make_mut(&mut recent.hold);
        hold.state = HoldState::Failed;
        hold.ended = Some(ended);
        Some(Arc::clone(&recent.hold))
    }
}
