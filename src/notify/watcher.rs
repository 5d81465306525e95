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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::gate::{self, Approve, Approver, HoldRequest, Ticket, tests as samples};
    use crate::notify::{Content, Format, Part, PlainHttp};

    /// A gate that is watched, and what is to be sent.
    struct Watched {
        gate: Gate,
        queue: Arc<Queue>,
        _finish: oneshot::Sender<()>,
    }

    impl Watched {
        fn new() -> Self {
            // Whoever approves before the radius is known may, for these tests.
            let options = gate::Options { radius_patience: Duration::ZERO, ..gate::Options::default() };
            let gate = Gate::new(options, Arc::new(|_| Ok(())));
            let webhook = Webhook {
                name: "ops".to_owned(),
                url_file: PathBuf::new(),
                secret_file: None,
                format: Format::Json,
                content: Content { sql: Part::Included, params: Part::Withheld },
                timeout: Duration::from_secs(1),
                plain: PlainHttp::LoopbackOnly,
            };
            let queue = Arc::new(Queue::new("ops".to_owned()));
            let watcher = Watcher::new(gate.clone(), vec![(webhook, Arc::clone(&queue))]);
            let (finish, finished) = oneshot::channel();
            tokio::spawn(watcher.run(finished));
            Self { gate, queue, _finish: finish }
        }

        async fn hold(&self) -> Ticket {
            let ticket = self.gate.submit(HoldRequest { needs: 2, ..samples::request() }).expect("there is room");
            // So that the watcher has seen it as it was.
            tokio::time::sleep(Duration::from_millis(1)).await;
            ticket
        }

        fn approve(&self, ticket: &Ticket, by: &str) {
            self.gate.approve(ticket.id(), &Approver::local(by), Approve::default()).expect("approved");
        }

        /// The next message: of what, with how many rows, approved by how many.
        async fn next(&self) -> (Event, serde_json::Value, usize) {
            let message = tokio::time::timeout(Duration::from_secs(60), self.queue.next()).await.expect("a message");
            let hold = serde_json::from_slice::<serde_json::Value>(&message.body).expect("JSON")["hold"].take();
            let approvals = hold["approvals"].as_array().expect("a list").len();
            (message.event, hold["radius"]["rows"]["value"].clone(), approvals)
        }

        async fn says_no_more(&self) -> bool {
            tokio::time::timeout(Duration::from_secs(60), self.queue.next()).await.is_err()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_hold_is_told_with_its_radius_where_that_comes_in_time() {
        let watched = Watched::new();
        let ticket = watched.hold().await;
        tokio::time::sleep(RADIUS_PATIENCE / 2).await;
        watched.gate.attach_radius(ticket.id(), Some(samples::radius(17)));
        assert_eq!(watched.next().await, (Event::Held, 17.into(), 0));
        assert!(watched.says_no_more().await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_radius_that_comes_too_late_is_not_told_as_another_hold() {
        let watched = Watched::new();
        let ticket = watched.hold().await;
        assert_eq!(watched.next().await, (Event::Held, serde_json::Value::Null, 0));
        watched.gate.attach_radius(ticket.id(), Some(samples::radius(17)));
        assert!(watched.says_no_more().await);
        watched.approve(&ticket, "bob");
        assert_eq!(watched.next().await, (Event::PartlyApproved, 17.into(), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_approval_before_the_first_message_is_in_it_and_in_no_other() {
        let watched = Watched::new();
        let ticket = watched.hold().await;
        watched.approve(&ticket, "bob");
        watched.gate.attach_radius(ticket.id(), Some(samples::radius(17)));
        assert_eq!(watched.next().await, (Event::Held, 17.into(), 1));
        // Another change of the same hold does not tell of it again.
        watched.gate.attach_radius(ticket.id(), Some(samples::radius(18)));
        assert!(watched.says_no_more().await);
        watched.approve(&ticket, "carol");
        assert_eq!(watched.next().await, (Event::Ended, 18.into(), 2));
        assert!(watched.says_no_more().await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_ends_before_its_first_message_is_told_as_ended_alone() {
        let watched = Watched::new();
        drop(watched.hold().await);
        assert_eq!(watched.next().await, (Event::Ended, serde_json::Value::Null, 0));
        assert!(watched.says_no_more().await);
    }
}
