//! The holds as the queue and the history show them: by id, most urgent first, and calm. What is new never moves the
//! cursor, and what has ended stays where it is until the cursor moves.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;

use super::sql;
use crate::gate::view::EndedView;
use crate::gate::{HoldId, HoldState, HoldView};
use crate::sql::risk::Level;

/// How many holds that ended are kept for the history.
pub(super) const HISTORY_MAX: usize = 1_000;
/// How many bytes of their texts.
const HISTORY_BYTES_MAX: usize = 16 << 20;
/// How many ended holds may stand in the queue at most, until the cursor moves.
const GHOSTS_MAX: usize = 200;
/// Of each text no more than this is searched by the filter, in bytes.
const SEARCHED_BYTES: usize = 4 << 10;
/// How long after its time a hold that nobody has reported ended is still taken for pending, in seconds.
const OVERDUE_SECONDS: i64 = 3;

/// Names a hold for as long as this program runs: ids are used again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct HoldKey {
    pub(super) id: HoldId,
    created: String,
}

impl HoldKey {
    pub(super) fn of(view: &HoldView) -> Self {
        Self { id: view.id.clone(), created: view.created_at.clone() }
    }
}

/// A hold and what is derived from it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) view: Arc<HoldView>,
    pub(super) key: HoldKey,
    pub(super) expires: Timestamp,
    /// What it has in common with holds that differ in literals only.
    shape: Option<String>,
    /// Lower case.
    searched: String,
}

impl Entry {
    fn new(view: HoldView) -> Self {
        Self {
            key: HoldKey::of(&view),
            expires: view.expires_at.parse().unwrap_or(Timestamp::MAX),
            shape: sql::shape(&view.sql),
            searched: searched(&view),
            view: Arc::new(view),
        }
    }

    /// Whether it can still be decided, as far as we know.
    pub(super) fn is_pending(&self, now: Timestamp) -> bool {
        self.view.state == HoldState::Pending && now.as_second() - self.expires.as_second() <= OVERDUE_SECONDS
    }

    pub(super) fn matches(&self, filter: &str) -> bool {
        filter.is_empty() || self.searched.contains(filter)
    }
}

fn searched(view: &HoldView) -> String {
    let end = (0..=SEARCHED_BYTES.min(view.sql.len())).rev().find(|at| view.sql.is_char_boundary(*at));
    let sql = &view.sql[..end.unwrap_or(0)];
    let fields = [
        view.id.to_string(),
        view.identity.clone(),
        view.database.clone(),
        view.state.as_str().to_owned(),
        sql.to_owned(),
    ];
    let mut searched = fields.join("\n").to_lowercase();
    // It is kept for as long as the hold is.
    searched.shrink_to_fit();
    searched
}

/// Which entry of a list is selected, and on which row of the list it stands on the screen.
#[derive(Debug, Clone, Default)]
pub(super) struct Cursor {
    pub(super) key: Option<HoldKey>,
    row: usize,
}

/// A step of the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Up,
    Down,
    First,
    Last,
}

impl Cursor {
    /// Where the selected entry stands in a list.
    pub(super) fn index(&self, list: &[&Entry]) -> Option<usize> {
        let key = self.key.as_ref()?;
        list.iter().position(|entry| entry.key == *key)
    }

    /// Which entry stands on the first row: the selected one stays on its row, whatever comes before it.
    pub(super) fn top(&self, list: &[&Entry], height: usize) -> usize {
        self.index(list).map_or(0, |index| index.saturating_sub(self.row.min(height.saturating_sub(1))))
    }

    /// Moves the selection; without one, to the first or the last.
    pub(super) fn step(&mut self, list: &[&Entry], height: usize, step: Step) {
        let Some(last) = list.len().checked_sub(1) else { return };
        let lowest = height.saturating_sub(1);
        let (index, row) = match (self.index(list), step) {
            (_, Step::First) | (None, Step::Down) => (0, 0),
            (_, Step::Last) | (None, Step::Up) => (last, last.min(lowest)),
            (Some(index), Step::Up) => (index.saturating_sub(1), self.row.min(lowest).saturating_sub(1)),
            (Some(index), Step::Down) => ((index + 1).min(last), (self.row + usize::from(index < last)).min(lowest)),
        };
        self.row = row.min(index);
        self.key = list.get(index).map(|entry| entry.key.clone());
    }
}

/// All that is known of holds.
#[derive(Debug, Default)]
pub(super) struct Holds {
    /// What waits, and what has ended since the cursor moved last.
    queue: HashMap<HoldId, Entry>,
    /// Their order: most urgent first.
    order: Vec<(Timestamp, HoldId)>,
    /// What ended, in the order we heard of it.
    history: VecDeque<Entry>,
    history_bytes: usize,
}

/// What a change was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// One more waits.
    New,
    /// One that we knew is not as it was.
    Changed,
    /// Nothing that we did not know.
    Nothing,
}

impl Holds {
    /// Takes a hold as the proxy told it. Tellings may come late: what ended never waits again.
    pub(super) fn take(&mut self, view: HoldView) -> Change {
        let key = HoldKey::of(&view);
        let known = self.queue.get(&view.id).filter(|entry| entry.key == key).map(|entry| Arc::clone(&entry.view));
        if known.as_deref().is_some_and(|known| is_older(&view, known)) || self.history.iter().any(|e| e.key == key) {
            return Change::Nothing;
        }
        let pending = view.state == HoldState::Pending;
        let entry = Entry::new(view);
        if !pending {
            self.remember(entry.clone());
        }
        match (known.is_some(), pending) {
            (false, false) => Change::Changed,
            (false, true) => {
                self.insert(entry);
                Change::New
            }
            (true, _) => {
                self.insert(entry);
                Change::Changed
            }
        }
    }

    /// Takes all that the proxy knows: what we knew to wait and the proxy does not know has ended.
    pub(super) fn take_all(&mut self, views: Vec<HoldView>) -> usize {
        let told: std::collections::HashSet<HoldKey> = views.iter().map(HoldKey::of).collect();
        let lost: Vec<HoldView> = self
            .queue
            .values()
            .filter(|entry| entry.view.state == HoldState::Pending && !told.contains(&entry.key))
            .map(|entry| HoldView {
                state: HoldState::Failed,
                ended: Some(EndedView {
                    by: None,
                    reason: Some("the proxy does not know it any more".to_owned()),
                    at: entry.view.expires_at.clone(),
                    remote: None,
                }),
                ..HoldView::clone(&entry.view)
            })
            .collect();
        for view in lost {
            self.take(view);
        }
        views.into_iter().map(|view| self.take(view)).filter(|change| *change == Change::New).count()
    }

    fn insert(&mut self, entry: Entry) {
        let id = entry.view.id.clone();
        if let Some(old) = self.queue.get(&id) {
            let place = (old.expires, id.clone());
            self.order.retain(|other| *other != place);
        }
        let place = (entry.expires, id.clone());
        let at = self.order.partition_point(|other| *other < place);
        self.order.insert(at, place);
        self.queue.insert(id, entry);
    }

    fn remember(&mut self, entry: Entry) {
        self.history_bytes += entry.view.sql.len();
        self.history.push_back(entry);
        while self.history.len() > HISTORY_MAX || self.history_bytes > HISTORY_BYTES_MAX {
            let Some(oldest) = self.history.pop_front() else { break };
            self.history_bytes -= oldest.view.sql.len();
        }
    }

    /// Takes what has ended out of the queue, except what is selected. Called when the cursor moves.
    pub(super) fn tidy(&mut self, keep: Option<&HoldKey>) {
        self.queue.retain(|_, entry| entry.view.state == HoldState::Pending || Some(&entry.key) == keep);
        let queue = &self.queue;
        self.order.retain(|(_, id)| queue.contains_key(id));
    }

    /// The same where too many stand there.
    pub(super) fn tidy_if_crowded(&mut self, keep: Option<&HoldKey>) {
        let ended = self.queue.values().filter(|entry| entry.view.state != HoldState::Pending).count();
        if ended > GHOSTS_MAX {
            self.tidy(keep);
        }
    }

    /// The queue: most urgent first.
    pub(super) fn queue(&self, filter: &str) -> Vec<&Entry> {
        self.order.iter().filter_map(|(_, id)| self.queue.get(id)).filter(|entry| entry.matches(filter)).collect()
    }

    /// The history: newest first.
    pub(super) fn history(&self, filter: &str) -> Vec<&Entry> {
        self.history.iter().rev().filter(|entry| entry.matches(filter)).collect()
    }

    /// One hold, waiting or ended.
    pub(super) fn find(&self, key: &HoldKey) -> Option<&Entry> {
        let queued = self.queue.get(&key.id).filter(|entry| entry.key == *key);
        queued.or_else(|| self.history.iter().find(|entry| entry.key == *key))
    }

    /// How many are kept.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.queue.len() + self.history.len()
    }

    /// How many bytes are kept of what waits beside what the proxy told.
    #[cfg(test)]
    pub(super) fn derived_bytes(&self) -> usize {
        let of = |entry: &Entry| entry.searched.capacity() + entry.shape.as_ref().map_or(0, String::capacity);
        self.queue.values().map(of).sum()
    }

    /// How many wait.
    pub(super) fn pending(&self, now: Timestamp) -> usize {
        self.queue.values().filter(|entry| entry.is_pending(now)).count()
    }

    /// The highest risk of those.
    pub(super) fn worst(&self, now: Timestamp) -> Level {
        let pending = self.queue.values().filter(|entry| entry.is_pending(now));
        pending.map(|entry| entry.view.risk).max().unwrap_or(Level::None)
    }

    /// What was decided on holds that differ from this one in literals only, newest first.
    pub(super) fn similar(&self, to: &Entry) -> Vec<&Entry> {
        let Some(shape) = &to.shape else { return Vec::new() };
        let alike = |entry: &&Entry| {
            entry.key != to.key && entry.view.database == to.view.database && entry.shape.as_ref() == Some(shape)
        };
        self.history.iter().rev().filter(alike).collect()
    }
}

/// Whether a telling is older than what is known of the same hold.
fn is_older(told: &HoldView, known: &HoldView) -> bool {
    let ended = known.state != HoldState::Pending && told.state == HoldState::Pending;
    let measured = told.radius_pending && !known.radius_pending;
    ended || measured || told.approvals.len() < known.approvals.len() || told == known
}
