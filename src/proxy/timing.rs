//! What one session measures of itself, with two looks at the clock for each time it wakes.
//!
//! A *turn* is what the relay does from waking up to having nothing left to do. A statement is sent in one turn and
//! answered in a later one; both turns are the proxy's, what lies between is the server's.

use std::time::{Duration, Instant};

use super::statistics::Statistics;
use crate::audit::Microseconds;
use crate::policy::Outcome;

/// Times and counts that are not handed over yet.
#[derive(Debug)]
pub(super) struct Timing {
    /// When this turn began.
    woke: Instant,
    /// A moment by both clocks.
    anchor: (Instant, Microseconds),
    /// The last turn in which statements were sent.
    sent: SentTurn,
    /// Whether statements were sent in this turn.
    sends: bool,
    /// Since when the statement at the head waits for the log.
    log_wait: Option<Instant>,
    /// How long the statement that is sent in this turn waited for the log.
    log_waited: Duration,
    passed: u64,
    /// Statements answered in this turn.
    answered: Vec<Answered>,
}

/// A turn in which statements were sent.
#[derive(Debug, Clone, Copy)]
struct SentTurn {
    woke: Instant,
    took: Duration,
    log_waited: Duration,
}

#[derive(Debug)]
struct Answered {
    /// The proxy's part up to its being sent.
    before: Duration,
    upstream: Duration,
}

/// Passed statements are handed over at the latest when there are so many: answers may be long in coming.
const MOST_KEPT: u64 = 1_000;

/// How long the wall clock is not looked at again.
const ANCHOR_LASTS: Duration = Duration::from_secs(1);

fn wall_clock() -> Microseconds {
    Microseconds(jiff::Timestamp::now().as_microsecond())
}

impl Timing {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            woke: now,
            anchor: (now, wall_clock()),
            sent: SentTurn { woke: now, took: Duration::ZERO, log_waited: Duration::ZERO },
            sends: false,
            log_wait: None,
            log_waited: Duration::ZERO,
            passed: 0,
            answered: Vec::new(),
        }
    }

    /// A turn begins.
    pub(super) fn wake(&mut self) {
        self.woke = Instant::now();
    }

    /// When this turn began: the time for everything that happens in it.
    pub(super) const fn now(&self) -> Instant {
        self.woke
    }

    /// The same by the wall clock, which is looked at once a second.
    pub(super) fn wall(&mut self) -> Microseconds {
        let mut since = self.woke.saturating_duration_since(self.anchor.0);
        if since > ANCHOR_LASTS {
            self.anchor = (self.woke, wall_clock());
            since = Duration::ZERO;
        }
        let since = i64::try_from(since.as_micros()).unwrap_or(0);
        Microseconds(self.anchor.1.0 + since)
    }

    /// A statement was decided.
    pub(super) fn decided(&mut self, outcome: &Outcome, statistics: &Statistics) {
        match outcome {
            Outcome::Pass => self.passed += 1,
            outcome => statistics.count(|counted| counted.decided(outcome, 1)),
        }
    }

    /// A statement is sent in this turn.
    pub(super) const fn sends(&mut self) {
        self.sends = true;
    }

    /// The statement at the head waits for the log from now on.
    pub(super) const fn waits_for_log(&mut self) {
        self.log_wait = Some(self.woke);
    }

    /// It does no more.
    pub(super) fn waited_for_log(&mut self) {
        if let Some(since) = self.log_wait.take() {
            self.log_waited = self.woke.saturating_duration_since(since);
        }
    }

    /// A statement that was sent in the turn which began then is answered. Gives how long that took.
    pub(super) fn answered(&mut self, sent: Instant) -> Duration {
        let whole = self.woke.saturating_duration_since(sent);
        let (took, waited) =
            if sent == self.sent.woke { (self.sent.took, self.sent.log_waited) } else { Default::default() };
        self.answered.push(Answered { before: took + waited, upstream: whole.saturating_sub(took) });
        whole
    }

    /// The turn is over: everything has been written that could be.
    pub(super) fn end_turn(&mut self, statistics: &Statistics) {
        if !self.sends && self.answered.is_empty() {
            return;
        }
        let took = self.woke.elapsed();
        if self.sends {
            self.sends = false;
            self.sent = SentTurn { woke: self.woke, took, log_waited: std::mem::take(&mut self.log_waited) };
        }
        if !self.answered.is_empty() || self.passed >= MOST_KEPT {
            let passed = std::mem::take(&mut self.passed);
            statistics.count(|counted| {
                counted.decided(&Outcome::Pass, passed);
                for Answered { before, upstream } in &self.answered {
                    counted.answered(*before + took, *upstream);
                }
            });
            self.answered.clear();
        }
    }

    /// The session is over.
    pub(super) fn end(&mut self, statistics: &Statistics) {
        let passed = std::mem::take(&mut self.passed);
        statistics.count(|counted| counted.decided(&Outcome::Pass, passed));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::latency::Latencies;
    use crate::proxy::statistics::Beside;

    #[test]
    fn turns_are_ours_and_what_lies_between_is_the_servers() {
        let statistics = Statistics::default();
        let mut timing = Timing::new();
        timing.wake();
        timing.waits_for_log();
        timing.end_turn(&statistics);
        std::thread::sleep(Duration::from_millis(20));
        timing.wake();
        timing.waited_for_log();
        timing.decided(&Outcome::Pass, &statistics);
        timing.sends();
        let sent = timing.now();
        timing.end_turn(&statistics);
        std::thread::sleep(Duration::from_millis(50));
        timing.wake();
        assert!(timing.answered(sent) >= Duration::from_millis(50));
        timing.end_turn(&statistics);
        let beside =
            Beside { sessions: 0, holds: 0, audit_queued: 0, audit_durable_lag: Latencies::new(), audit_failed: false };
        let told = statistics.to_json(&beside);
        assert_eq!(told["statements"]["pass"], 1);
        assert_eq!(told["overhead_us"]["count"], json!(1));
        assert!(told["overhead_us"]["max"].as_u64().unwrap() >= 20_000, "the wait for the log is ours: {told}");
        assert!(told["upstream_us"]["max"].as_u64().unwrap() >= 50_000, "{told}");
    }
}
