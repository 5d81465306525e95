//! The holds that wait, and those that ended lately; both bounded.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::watch as cell;
use tokio::time::Instant;

use super::hold::{Ended, Hold, HoldState, Wait};
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
    /// The tickets that wait, by what may use their approval.
    pending_tickets: HashMap<[u8; 32], HoldId>,
    /// The tickets that are decided, until their time is up.
    decided_tickets: HashMap<[u8; 32], Kept>,
    decided_bytes: usize,
}

/// A ticket that is decided, for the client to come back to.
pub(super) struct Kept {
    pub(super) hold: Arc<Hold>,
    /// More rows than this are not approved.
    pub(super) max_rows: Option<u64>,
    pub(super) expires: Instant,
    pub(super) bytes: usize,
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
        if live.hold.request.wait == Wait::Ticket {
            self.pending_tickets.insert(live.hold.request.digest, live.hold.id.clone());
        }
        self.live.insert(live.hold.id.clone(), live);
    }

    pub(super) fn remove(&mut self, id: &HoldId) -> Option<Live> {
        let live = self.live.remove(id)?;
        self.live_bytes -= live.bytes;
        if live.hold.request.wait == Wait::Ticket {
            self.pending_tickets.remove(&live.hold.request.digest);
        }
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

    /// Replaces what is remembered of a hold, if it still is.
    pub(super) fn remember_anew(&mut self, hold: &Arc<Hold>) {
        if let Some(recent) = self.recent.iter_mut().rev().find(|recent| recent.hold.id == hold.id) {
            recent.hold = Arc::clone(hold);
        }
    }

    // Tickets

    /// The ticket that waits for this statement.
    pub(super) fn pending_ticket(&self, digest: &[u8; 32]) -> Option<Arc<Hold>> {
        let id = self.pending_tickets.get(digest)?;
        self.live.get(id).map(|live| Arc::clone(&live.hold))
    }

    pub(super) fn pending_tickets(&self) -> Vec<HoldId> {
        self.pending_tickets.values().cloned().collect()
    }

    /// How many tickets of an identity wait.
    pub(super) fn tickets_of(&self, identity: &str) -> usize {
        let live = self.pending_tickets.values().filter_map(|id| self.live.get(id));
        live.filter(|live| live.hold.request.identity.name == identity).count()
    }

    pub(super) fn decided_ticket(&self, digest: &[u8; 32]) -> Option<&Kept> {
        self.decided_tickets.get(digest)
    }

    pub(super) fn take_decided(&mut self, digest: &[u8; 32]) -> Option<Kept> {
        let kept = self.decided_tickets.remove(digest)?;
        self.decided_bytes -= kept.bytes;
        Some(kept)
    }

    /// An approval that was not used yet.
    pub(super) fn take_unused_approval(&mut self, id: &HoldId) -> Option<Kept> {
        let unused = |kept: &&Kept| kept.hold.id == *id && kept.hold.state == HoldState::Approved;
        let digest = self.decided_tickets.values().find(unused)?.hold.request.digest;
        self.take_decided(&digest)
    }

    pub(super) fn take_all_decided(&mut self) -> Vec<Kept> {
        self.decided_bytes = 0;
        self.decided_tickets.drain().map(|(_, kept)| kept).collect()
    }

    pub(super) fn take_overdue_decided(&mut self, now: Instant) -> Vec<Kept> {
        let overdue = self.decided_tickets.values().filter(|kept| kept.expires <= now);
        let digests: Vec<_> = overdue.map(|kept| kept.hold.request.digest).collect();
        digests.iter().filter_map(|digest| self.take_decided(digest)).collect()
    }

    /// Keeps a decided ticket, and gives back those that have to go for it: the next to expire first.
    pub(super) fn keep(&mut self, kept: Kept, options: &Options) -> Vec<Kept> {
        self.decided_bytes += kept.bytes;
        let mut dropped: Vec<Kept> = Vec::new();
        if let Some(previous) = self.decided_tickets.insert(kept.hold.request.digest, kept) {
            self.decided_bytes -= previous.bytes;
            dropped.push(previous);
        }
        while self.decided_tickets.len() > options.live_max || self.decided_bytes > options.live_bytes_max {
            let next = self.decided_tickets.values().min_by_key(|kept| kept.expires);
            let Some(digest) = next.map(|kept| kept.hold.request.digest) else { break };
            dropped.extend(self.take_decided(&digest));
        }
        dropped
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
