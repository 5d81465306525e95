//! From changes of holds to messages: one when a hold is new, one when somebody approved and others have to as well, one
//! when it ended.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Webhook;
use super::message::{Event, message};
use super::queue::Queue;
use crate::gate::{Gate, Hold, HoldId, HoldState, HoldView, RadiusState, WatchEvent};

/// How long a message about a new hold waits for its blast radius.
const RADIUS_PATIENCE: Duration = Duration::from_secs(5);

/// Ends that are remembered, so that none is told twice when changes were missed. More than a gate remembers itself.
const ENDS_REMEMBERED: usize = 2_048;

/// Watches a gate for all webhooks.
pub(super) struct Watcher {
    gate: Gate,
    outlets: Vec<(Webhook, Arc<Queue>)>,
    /// The holds that wait: no more than the gate has.
    waiting: HashMap<HoldId, Told>,
    ended: Ends,
}

/// What has been told of a hold that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Nothing, until its radius is known or then.
    NotBefore(Instant),
    /// That it waits, and that so many have approved.
    Held { approvals: usize },
}

/// The ends that have been told.
#[derive(Debug, Default)]
struct Ends {
    order: VecDeque<(HoldId, HoldState)>,
    all: HashSet<(HoldId, HoldState)>,
}

impl Ends {
    /// Remembers an end; whether it is new.
    fn add(&mut self, id: &HoldId, state: HoldState) -> bool {
        if !self.all.insert((id.clone(), state)) {
            return false;
        }
        self.order.push_back((id.clone(), state));
        if self.order.len() > ENDS_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.all.remove(&oldest);
        }
        true
    }

    /// Ids come again after a long while.
    fn forget(&mut self, id: &HoldId) {
        if self.all.iter().any(|(ended, _)| ended == id) {
            self.all.retain(|(ended, _)| ended != id);
            self.order.retain(|(ended, _)| ended != id);
        }
    }
}

impl Watcher {
    pub(super) fn new(gate: Gate, outlets: Vec<(Webhook, Arc<Queue>)>) -> Self {
        Self { gate, outlets, waiting: HashMap::new(), ended: Ends::default() }
    }

    /// Watches until it is to finish, and tells what has happened until then.
    pub(super) async fn run(mut self, mut finish: oneshot::Receiver<()>) {
        let mut watch = self.gate.watch();
        loop {
            let due = self.next_due();
            tokio::select! {
                biased;
                event = watch.next() => match event {
                    WatchEvent::Changed(hold) => self.changed(&hold),
                    WatchEvent::Resync => self.forget_missed(),
                },
                () = until(due) => self.tell_due(),
                _ = &mut finish => return,
            }
        }
    }

    fn changed(&mut self, hold: &Arc<Hold>) {
        if hold.is_pending() {
            self.pending(hold);
        } else {
            self.waiting.remove(&hold.id);
            if self.ended.add(&hold.id, hold.state) {
                self.tell(Event::Ended, hold);
            }
        }
    }

    fn pending(&mut self, hold: &Arc<Hold>) {
        let told = match self.waiting.get(&hold.id) {
            Some(told) => *told,
            None => {
                self.ended.forget(&hold.id);
                Told::NotBefore(Instant::now() + RADIUS_PATIENCE)
            }
        };
        let told = match told {
            Told::NotBefore(_) if hold.radius != RadiusState::Computing => self.tell_held(hold),
            Told::Held { approvals } if hold.approvals.len() > approvals => {
                self.tell(Event::PartlyApproved, hold);
                Told::Held { approvals: hold.approvals.len() }
            }
            other => other,
        };
        self.waiting.insert(hold.id.clone(), told);
    }

    /// When the next message no longer waits for a radius.
    fn next_due(&self) -> Option<Instant> {
        let due = |told: &Told| match told {
            Told::NotBefore(due) => Some(*due),
            Told::Held { .. } => None,
        };
        self.waiting.values().filter_map(due).min()
    }

    fn tell_due(&mut self) {
        let now = Instant::now();
        let is_due = |told: &Told| matches!(told, Told::NotBefore(due) if *due <= now);
        let ids: Vec<HoldId> = self.waiting.iter().filter(|(_, told)| is_due(told)).map(|(id, _)| id.clone()).collect();
        for id in ids {
            match self.gate.show(&id) {
                Some(hold) if hold.is_pending() => {
                    let told = self.tell_held(&hold);
                    self.waiting.insert(id, told);
                }
                // Its end is among the changes that are still to come.
                _ => drop(self.waiting.remove(&id)),
            }
        }
    }

    /// Changes were missed; what waits and what ended lately follows. What is neither is not heard of again.
    fn forget_missed(&mut self) {
        let live: HashSet<HoldId> = self.gate.list().iter().map(|hold| hold.id.clone()).collect();
        self.waiting.retain(|id, _| live.contains(id));
    }

    /// The message says who has approved by then.
    fn tell_held(&self, hold: &Hold) -> Told {
        self.tell(Event::Held, hold);
        Told::Held { approvals: hold.approvals.len() }
    }

    fn tell(&self, event: Event, hold: &Hold) {
        let view = HoldView::from(hold);
        for (webhook, queue) in &self.outlets {
            queue.push(message(event, &view, webhook));
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
