//! Changes of holds, as they happen.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::{Gate, Hold};

/// Something a watcher is told.
#[derive(Debug, Clone)]
pub enum WatchEvent {
    /// A hold is new, or is not what it was.
    Changed(Arc<Hold>),
    /// Changes were missed. What waits now, and what ended lately, follows.
    Resync,
}

/// What waited when watching began, then every change.
#[derive(Debug)]
pub struct Watch {
    gate: Gate,
    queue: VecDeque<Arc<Hold>>,
    changes: broadcast::Receiver<Arc<Hold>>,
}

impl Watch {
    pub(super) fn new(gate: Gate, live: Vec<Arc<Hold>>, changes: broadcast::Receiver<Arc<Hold>>) -> Self {
        Self { gate, queue: live.into(), changes }
    }

    /// The next thing to tell. Cancel-safe.
    pub async fn next(&mut self) -> WatchEvent {
        if let Some(hold) = self.queue.pop_front() {
            return WatchEvent::Changed(hold);
        }
        match self.changes.recv().await {
            Ok(hold) => WatchEvent::Changed(hold),
            Err(RecvError::Lagged(_)) => {
                // A change between these lines is told twice, which does no harm.
                self.changes = self.changes.resubscribe();
                self.queue.extend(self.gate.recent());
                self.queue.extend(self.gate.list());
                WatchEvent::Resync
            }
            // The gate has the sender, and this has the gate.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}
