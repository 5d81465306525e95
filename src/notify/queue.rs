//! Messages on their way: bounded, and the oldest goes first where there is no room.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::Notify;

use super::message::Event;

/// Messages that wait.
const MESSAGES_MAX: usize = 256;

/// Bytes of all that wait.
const BYTES_MAX: usize = 8 << 20;

/// One message, written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// What it tells of.
    pub(super) event: Event,
    /// Names it: the same in all attempts.
    pub(super) delivery: String,
    pub(super) body: Bytes,
}

/// What has become of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Attempts, those under way included.
    pub attempts: u64,
    /// Taken by the other side.
    pub delivered: u64,
    /// Dropped for want of room.
    pub dropped: u64,
    /// Given up after the last attempt, or refused for good.
    pub failed: u64,
}

/// The messages of one webhook.
#[derive(Debug)]
pub(super) struct Queue {
    name: String,
    state: Mutex<State>,
    changed: Notify,
    settled: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Message>,
    bytes: usize,
    /// Whether one is being delivered.
    under_way: bool,
    counts: Counts,
}

/// How an attempt to deliver ended for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    Delivered,
    Failed,
}

impl Queue {
    pub(super) fn new(name: String) -> Self {
        Self { name, state: Mutex::default(), changed: Notify::new(), settled: Notify::new() }
    }

    /// Adds one. Never waits: the oldest are dropped where there is no room.
    pub(super) fn push(&self, message: Message) {
        let mut state = self.state();
        let mut dropped = 0;
        while state.waiting.len() >= MESSAGES_MAX || state.bytes.saturating_add(message.body.len()) > BYTES_MAX {
            let Some(oldest) = state.waiting.pop_front() else { break };
            state.bytes -= oldest.body.len();
            dropped += 1;
        }
        state.counts.dropped += dropped;
        let total = state.counts.dropped;
        state.bytes += message.body.len();
        state.waiting.push_back(message);
        drop(state);
        self.changed.notify_one();
        // Told as it grows, not for each: this may go on for long.
        if dropped > 0 && (total - dropped).checked_ilog2() != total.checked_ilog2() {
            tracing::warn!(
                webhook = self.name,
                dropped = total,
                "messages about holds are dropped: it takes them too slowly"
            );
        }
    }

    /// The oldest, when there is one. The caller says with [`Queue::settle`] what became of it.
    pub(super) async fn next(&self) -> Message {
        loop {
            {
                let mut state = self.state();
                if let Some(message) = state.waiting.pop_front() {
                    state.bytes -= message.body.len();
                    state.under_way = true;
                    return message;
                }
            }
            self.changed.notified().await;
        }
    }

    /// Counts an attempt.
    pub(super) fn attempted(&self) {
        self.state().counts.attempts += 1;
    }

    pub(super) fn settle(&self, settled: Settled) {
        let mut state = self.state();
        state.under_way = false;
        match settled {
            Settled::Delivered => state.counts.delivered += 1,
            Settled::Failed => state.counts.failed += 1,
        }
        drop(state);
        self.settled.notify_waiters();
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn counts(&self) -> Counts {
        self.state().counts
    }

    /// Waits until nothing waits.
    pub(super) async fn idle(&self) {
        loop {
            let settled = self.settled.notified();
            let mut settled = std::pin::pin!(settled);
            // Listening before looking: nothing that is settled in between is missed.
            settled.as_mut().enable();
            {
                let state = self.state();
                if state.waiting.is_empty() && !state.under_way {
                    return;
                }
            }
            settled.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock leaves the queue half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: usize, bytes: usize) -> Message {
        Message { event: Event::Held, delivery: number.to_string(), body: Bytes::from(vec![b'x'; bytes]) }
    }

    #[tokio::test]
    async fn the_oldest_are_dropped_and_counted() {
        let queue = Queue::new("ops".to_owned());
        for number in 0..MESSAGES_MAX + 10 {
            queue.push(message(number, 1));
        }
        assert_eq!(queue.counts(), Counts { dropped: 10, ..Counts::default() });
        assert_eq!(queue.next().await.delivery, "10");
    }

    #[tokio::test]
    async fn bytes_are_bounded_too() {
        let queue = Queue::new("ops".to_owned());
        for number in 0..5 {
            queue.push(message(number, BYTES_MAX / 2));
        }
        assert_eq!(queue.counts().dropped, 3);
        assert_eq!(queue.next().await.delivery, "3");
        // One alone has room, whatever else.
        queue.push(message(9, BYTES_MAX));
        assert_eq!(queue.next().await.delivery, "9");
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_idle_when_the_last_is_settled() {
        let queue = Queue::new("ops".to_owned());
        queue.idle().await;
        queue.push(message(1, 1));
        let late = std::time::Duration::from_secs(60);
        assert!(tokio::time::timeout(late, queue.idle()).await.is_err());
        queue.next().await;
        assert!(tokio::time::timeout(late, queue.idle()).await.is_err());
        let settle = async { queue.settle(Settled::Delivered) };
        tokio::join!(queue.idle(), settle);
        assert_eq!(queue.counts().delivered, 1);
    }
}
