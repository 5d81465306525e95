//! What the data path counts: statements by verdict, and how long they took here and upstream.
//!
//! Every session task counts on its own thread's shard, whose lock nobody else takes but who reads all of them: no
//! session waits for another. A statement costs one such lock, two histogram entries and no clock call of its own: the
//! relay reads the clock when it wakes and when it has written.
//!
//! *Overhead* is the time from waking up for a statement's bytes to having written them to the server, and again for
//! its last reply to the client; waiting for the log to be durable belongs to it, waiting for a person does not.
//! *Upstream* is what lies between.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::audit::Microseconds;
use crate::latency::Latencies;
use crate::policy::Outcome;

/// As many threads count apart from each other.
const SHARDS: usize = 32;
/// Characters of a session's last statement that are shown.
const SHOWN_CHARACTERS: usize = 200;
/// A character has at most so many bytes in UTF-8.
const CHARACTER_BYTES: usize = 4;

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static OWN_SHARD: usize = THREADS.fetch_add(1, Ordering::Relaxed) % SHARDS;
}

/// What the sessions of a proxy have counted since it started.
#[derive(Debug)]
pub struct Statistics {
    since: Timestamp,
    shards: Box<[Shard]>,
}

/// On a cache line of its own, so that threads do not slow each other down.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard(Mutex<Counted>);

/// Everything that is counted.
#[derive(Debug, Clone, Default)]
pub(super) struct Counted {
    /// Statements that passed.
    pass: u64,
    /// Statements that had to wait for a person.
    hold: u64,
    /// Statements that were refused by the policy.
    deny: u64,
    overhead: Latencies,
    upstream: Latencies,
}

/// What is known elsewhere and told together with what the sessions counted.
#[derive(Debug)]
pub struct Beside {
    /// Sessions that are open.
    pub sessions: usize,
    /// Holds that wait.
    pub holds: usize,
    /// Records that wait to be written.
    pub audit_queued: usize,
    /// From a record to its being on disk: for all records of a batch, what its oldest waited.
    pub audit_durable_lag: Latencies,
    /// Whether the log cannot write any more.
    pub audit_failed: bool,
}

impl Default for Statistics {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| Shard::default()).collect();
        Self { since: Timestamp::now(), shards }
    }
}

impl Statistics {
    /// Counts on this thread's shard.
    pub(super) fn count(&self, count: impl FnOnce(&mut Counted)) {
        if let Some(shard) = OWN_SHARD.try_with(|own| self.shards.get(*own)).ok().flatten() {
            count(&mut shard.lock());
        }
    }

    fn sum(&self) -> Counted {
        let mut sum = Counted::default();
        for shard in &self.shards {
            let counted = shard.lock();
            sum.pass += counted.pass;
            sum.hold += counted.hold;
            sum.deny += counted.deny;
            sum.overhead.add(&counted.overhead);
            sum.upstream.add(&counted.upstream);
        }
        sum
    }

    /// One JSON object:
    /// `{"since","sessions","statements":{"pass","hold","deny"},"overhead_us":H,"upstream_us":H,
    /// "audit":{"queued","durable_lag_us":H}}` with `H` as of [`Latencies::to_json`].
    #[must_use]
    pub fn to_json(&self, beside: &Beside) -> Value {
        let sum = self.sum();
        json!({
            "since": format!("{:.3}", self.since),
            "sessions": beside.sessions,
            "statements": {"pass": sum.pass, "hold": sum.hold, "deny": sum.deny},
            "overhead_us": sum.overhead.to_json(),
            "upstream_us": sum.upstream.to_json(),
            "audit": {"queued": beside.audit_queued, "durable_lag_us": beside.audit_durable_lag.to_json()},
        })
    }

    /// The same in Prometheus' text format.
    #[must_use]
    pub fn to_prometheus(&self, beside: &Beside) -> String {
        use std::fmt::Write as _;
        let sum = self.sum();
        let mut out = String::with_capacity(8 * 1024);
        let mut single = |name: &str, kind: &str, help: &str, lines: &[(&str, u64)]| {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in lines {
                let _ = writeln!(out, "{name}{labels} {value}");
            }
        };
        let version = concat!("{version=\"", env!("CARGO_PKG_VERSION"), "\"}");
        single("pgsluice_info", "gauge", "The version that runs.", &[(version, 1)]);
        let started = u64::try_from(self.since.as_second()).unwrap_or(0);
        single("process_start_time_seconds", "gauge", "When it started, in Unix time.", &[("", started)]);
        single("pgsluice_sessions", "gauge", "Client sessions that are open.", &[("", beside.sessions as u64)]);
        single("pgsluice_holds_waiting", "gauge", "Statements that wait for a person.", &[("", beside.holds as u64)]);
        single(
            "pgsluice_statements_total",
            "counter",
            "Statements by what the policy said of them.",
            &[("{verdict=\"pass\"}", sum.pass), ("{verdict=\"hold\"}", sum.hold), ("{verdict=\"deny\"}", sum.deny)],
        );
        let queued = beside.audit_queued as u64;
        single("pgsluice_audit_queued_records", "gauge", "Records that wait to be written.", &[("", queued)]);
        let failed = u64::from(beside.audit_failed);
        single("pgsluice_audit_failed", "gauge", "1 where the audit log cannot be written.", &[("", failed)]);
        let overhead = "Time a statement spent in the proxy; waiting for a person is not counted.";
        sum.overhead.write_prometheus(&mut out, "pgsluice_statement_overhead_seconds", overhead);
        let upstream = "Time from a statement's being sent to the server to its last reply.";
        sum.upstream.write_prometheus(&mut out, "pgsluice_statement_upstream_seconds", upstream);
        let lag = "Time from a record to its being on disk: for each of a batch, what the oldest waited.";
        beside.audit_durable_lag.write_prometheus(&mut out, "pgsluice_audit_durable_lag_seconds", lag);
        out
    }
}

impl Counted {
    /// So many statements were decided.
    pub(super) fn decided(&mut self, outcome: &Outcome, count: u64) {
        match outcome {
            Outcome::Pass => self.pass += count,
            Outcome::Hold { .. } => self.hold += count,
            Outcome::Deny => self.deny += count,
        }
    }

    /// A statement was answered.
    pub(super) fn answered(&mut self, overhead: Duration, upstream: Duration) {
        self.overhead.record(overhead);
        self.upstream.record(upstream);
    }
}

impl Shard {
    fn lock(&self) -> MutexGuard<'_, Counted> {
        // Counters only: nothing is left half done when counting panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a session does, for people who look. Written by its task alone.
#[derive(Debug, Default)]
pub(super) struct Activity {
    statements: AtomicU64,
    last: Mutex<Option<Last>>,
}

#[derive(Debug)]
struct Last {
    sql: Vec<u8>,
    verdict: &'static str,
    at: Microseconds,
}

/// A session's last statement, for people who look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastStatement {
    /// The beginning of its text, up to 200 characters.
    pub sql: String,
    /// `pass`, `hold` or `deny`.
    pub verdict: &'static str,
    /// When it came.
    pub at: Timestamp,
}

impl Activity {
    /// A statement was decided.
    pub(super) fn note(&self, sql: &[u8], verdict: &'static str, at: Microseconds) {
        self.statements.store(self.statements.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        let kept = &sql[..sql.len().min(SHOWN_CHARACTERS * CHARACTER_BYTES)];
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match last.as_mut() {
            Some(last) => {
                last.sql.clear();
                last.sql.extend_from_slice(kept);
                (last.verdict, last.at) = (verdict, at);
            }
            None => *last = Some(Last { sql: kept.to_vec(), verdict, at }),
        }
    }

    /// How many statements there were.
    pub(super) fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// The last of them.
    pub(super) fn last(&self) -> Option<LastStatement> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().map(|last| LastStatement {
            sql: String::from_utf8_lossy(&last.sql).chars().take(SHOWN_CHARACTERS).collect(),
            verdict: last.verdict,
            at: last.at.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beside() -> Beside {
        Beside { sessions: 2, holds: 1, audit_queued: 3, audit_durable_lag: Latencies::new(), audit_failed: false }
    }

    #[test]
    fn what_threads_count_apart_is_added_up() {
        let statistics = Statistics::default();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    statistics.count(|counted| {
                        counted.decided(&Outcome::Pass, 1);
                        counted.answered(Duration::from_micros(7), Duration::from_micros(90));
                    });
                });
            }
        });
        statistics.count(|counted| counted.decided(&Outcome::Deny, 1));
        let json = statistics.to_json(&beside());
        assert_eq!(json["statements"], json!({"pass": 3, "hold": 0, "deny": 1}));
        assert_eq!((&json["overhead_us"]["count"], &json["overhead_us"]["p50"]), (&json!(3), &json!(7)));
        assert_eq!((&json["upstream_us"]["p99"], &json["audit"]["queued"]), (&json!(90), &json!(3)));
        assert_eq!(json["audit"]["durable_lag_us"]["p50"], Value::Null);
        let text = statistics.to_prometheus(&beside());
        assert!(text.contains("pgsluice_statements_total{verdict=\"pass\"} 3\n"), "{text}");
        assert!(text.contains("pgsluice_statement_overhead_seconds_count 3\n"), "{text}");
    }

    #[test]
    fn a_long_statement_is_cut_between_characters() {
        let activity = Activity::default();
        assert_eq!((activity.statements(), activity.last()), (0, None));
        activity.note("ä".repeat(1_000).as_bytes(), "hold", Microseconds(0));
        activity.note("€".repeat(300).as_bytes(), "pass", Microseconds(0));
        assert_eq!(activity.statements(), 2);
        let last = activity.last().unwrap();
        assert_eq!((last.sql.as_str(), last.verdict), ("€".repeat(200).as_str(), "pass"));
    }
}
