//! The server's time limits on a session that waits: a hold must end with an answer of ours before the server ends the
//! session, or the statement, with one of its own.
//!
//! The clocks are the server's (`PostgresMain` in `src/backend/tcop/postgres.c`): those of an idle session run from
//! ReadyForQuery to the next message, that of a statement from the first message of the extended protocol to the end of
//! the Execute, that of a transaction from its first message to its end. We see each of these events a little later than
//! the server, or cause it a little earlier; what is left is made smaller by more than that.

use std::time::{Duration, Instant};

use super::settings::{Followed, TransactionEnd};
use crate::blast::Facts;
use crate::wire::backend::TransactionStatus;

/// Taken off what is left of a limit, for the way of our answer and of the server's.
const MARGIN: Duration = Duration::from_secs(1);

/// The limits, as the server names them.
const NAMES: [&str; 4] =
    ["idle_in_transaction_session_timeout", "idle_session_timeout", "statement_timeout", "transaction_timeout"];
const IDLE_IN_TRANSACTION: usize = 0;
const IDLE: usize = 1;
const STATEMENT: usize = 2;
const TRANSACTION: usize = 3;

/// What one of the limits was set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Limit {
    /// Something that we did not see may have set it.
    #[default]
    Unknown,
    /// By nothing in this session: what the catalog says.
    AtLogin,
    /// By the session. Zero: none.
    Set(Duration),
}

/// The limits of a session, and since when they run.
#[derive(Debug)]
pub(super) struct TimeLimits {
    values: [Followed<Limit>; 4],
    /// When the server was last ready for a query.
    ready: Instant,
    /// When the first message of the transaction under way was sent.
    transaction: Option<Instant>,
    /// When the first message of the statement under way was sent, in the extended protocol.
    statement: Option<Instant>,
}

impl TimeLimits {
    /// The limits of a session that has just logged in with these settings, the last of a name counting.
    pub(super) fn new<'a>(startup: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut values = [Limit::AtLogin; 4];
        for (name, value) in startup {
            if let Some(index) = index(name) {
                values[index] = parsed(Some(value));
            }
        }
        Self { values: values.map(Followed::new), ready: Instant::now(), transaction: None, statement: None }
    }

    /// `SET [LOCAL] name = value`; `None` where the value is the default or computed.
    pub(super) fn set(&mut self, name: &str, value: Option<&str>, local: bool) {
        if let Some(index) = index(name) {
            self.values[index].set(parsed(value), local);
        }
    }

    /// The server was asked for a value.
    pub(super) fn learned(&mut self, name: &str, value: Option<&str>, within_transaction: bool) {
        if let Some(index) = index(name) {
            self.values[index].learned(parsed(value), within_transaction);
        }
    }

    /// `RESET name`; all without one.
    pub(super) fn reset(&mut self, name: Option<&str>) {
        for (value, _) in self.values.iter_mut().zip(NAMES).filter(|(_, each)| name.is_none_or(|name| name == *each)) {
            value.reset();
        }
    }

    /// Something unseen may have set them.
    pub(super) fn forget(&mut self) {
        self.values.iter_mut().for_each(Followed::forget);
    }

    /// `ROLLBACK TO SAVEPOINT`.
    pub(super) fn rolled_back_in_part(&mut self) {
        self.values.iter_mut().for_each(Followed::rolled_back_in_part);
    }

    /// The transaction is over.
    pub(super) fn ended(&mut self, end: TransactionEnd) {
        self.values.iter_mut().for_each(|value| value.ended(end));
    }

    /// A message that the server works on was sent: at that time, or a moment later.
    pub(super) fn sent(&mut self, message: Sent, now: Instant) {
        if self.transaction.is_none() {
            self.transaction = Some(now);
        }
        match message {
            Sent::Part if self.statement.is_none() => self.statement = Some(now),
            Sent::Part => {}
            Sent::Whole => self.statement = None,
        }
    }

    /// The server is ready for a query, since that time or a moment before.
    pub(super) fn ready(&mut self, status: TransactionStatus, now: Instant) {
        self.ready = now;
        self.statement = None;
        if status == TransactionStatus::Idle {
            self.transaction = None;
        }
    }

    /// How long a hold that begins now may take. `None` where nothing limits it, as far as we know.
    pub(super) fn cap(
        &self,
        now: Instant,
        status: TransactionStatus,
        waits: Waits,
        role: &str,
        facts: Option<&Facts>,
    ) -> Option<Duration> {
        let idle = if status == TransactionStatus::Idle { IDLE } else { IDLE_IN_TRANSACTION };
        let clocks = [
            (idle, Some(self.ready).filter(|_| waits == Waits::Idle)),
            (STATEMENT, self.statement),
            (TRANSACTION, self.transaction),
        ];
        let left = clocks.into_iter().filter_map(|(index, since)| {
            let limit = self.limit(index, role, facts)?;
            Some(limit.saturating_sub(now.saturating_duration_since(since?)))
        });
        left.min().map(|left| left.saturating_sub(MARGIN).max(left / 2))
    }

    /// A limit, if there is one.
    fn limit(&self, index: usize, role: &str, facts: Option<&Facts>) -> Option<Duration> {
        let limit = match *self.values[index].current() {
            Limit::AtLogin => parsed(facts?.login_time_limit(role, NAMES[index])),
            set => set,
        };
        match limit {
            Limit::Set(limit) if !limit.is_zero() => Some(limit),
            _ => None,
        }
    }
}

/// A message that the server works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// Of the extended protocol, before the Execute.
    Part,
    /// A query, or the Execute.
    Whole,
}

/// What a hold keeps the server waiting in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waits {
    /// The session is idle, in a transaction or outside of one.
    Idle,
    /// It waits for more messages of a batch.
    WithinBatch,
}

fn index(name: &str) -> Option<usize> {
    NAMES.iter().position(|each| *each == name)
}

/// Reads a value with its unit (`parse_int` and `convert_to_base_unit` in `src/backend/utils/misc/guc.c`): milliseconds
/// where it has none.
fn parsed(value: Option<&str>) -> Limit {
    let Some(value) = value.map(str::trim) else { return Limit::Unknown };
    let end = value.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+'))).unwrap_or(value.len());
    let Ok(number) = value[..end].parse::<f64>() else { return Limit::Unknown };
    let milliseconds = match value[end..].trim() {
        "" | "ms" => 1.0,
        "us" => 0.001,
        "s" => 1_000.0,
        "min" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return Limit::Unknown,
    };
    match Duration::try_from_secs_f64((number * milliseconds).round() / 1_000.0) {
        Ok(limit) => Limit::Set(limit),
        Err(_) => Limit::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn facts() -> Facts {
        let mut facts = Facts::default();
        facts.time_limits.insert("idle_in_transaction_session_timeout".to_owned(), "60000".to_owned());
        let own = ("app".to_owned(), "idle_in_transaction_session_timeout".to_owned());
        facts.role_time_limits.insert(own, "20s".to_owned());
        facts
    }

    fn cap(limits: &TimeLimits, after: Duration, role: &str) -> Option<Duration> {
        let now = limits.ready + after;
        limits.cap(now, TransactionStatus::InTransaction, Waits::Idle, role, Some(&facts()))
    }

    #[test]
    fn values_are_read_as_the_server_reads_them() {
        for (text, milliseconds) in
            [("0", 0), ("1500", 1_500), ("1.5s", 1_500), (" 2 min ", 120_000), ("1h", 3_600_000), ("400us", 0)]
        {
            assert_eq!(parsed(Some(text)), Limit::Set(Duration::from_millis(milliseconds)), "{text}");
        }
        for unknown in ["", "s", "1 parsec", "-1", "0x10", "1e300d", "nan"] {
            assert_eq!(parsed(Some(unknown)), Limit::Unknown, "{unknown}");
        }
    }

    #[test]
    fn the_roles_own_limit_counts_and_what_has_run_of_it() {
        let limits = TimeLimits::new(std::iter::empty());
        assert_eq!(cap(&limits, seconds(0), "other"), Some(seconds(59)));
        assert_eq!(cap(&limits, seconds(5), "app"), Some(seconds(14)));
        assert_eq!(cap(&limits, seconds(19), "app"), Some(Duration::from_millis(500)));
        assert_eq!(cap(&limits, seconds(30), "app"), Some(seconds(0)));
    }

    #[test]
    fn what_the_session_sets_counts_as_long_as_it_lasts() {
        const NAME: &str = "idle_in_transaction_session_timeout";
        let mut limits = TimeLimits::new([(NAME, "10s")].into_iter());
        assert_eq!(cap(&limits, seconds(0), "app"), Some(seconds(9)));
        limits.set(NAME, Some("5s"), true);
        assert_eq!(cap(&limits, seconds(0), "app"), Some(seconds(4)));
        limits.ended(TransactionEnd::Committed);
        limits.set(NAME, Some("0"), false);
        assert_eq!(cap(&limits, seconds(0), "app"), None);
        limits.ended(TransactionEnd::RolledBack);
        assert_eq!(cap(&limits, seconds(0), "app"), Some(seconds(9)));
        limits.forget();
        assert_eq!(cap(&limits, seconds(0), "app"), None);
        limits.reset(None);
        assert_eq!(cap(&limits, seconds(0), "app"), Some(seconds(9)));
    }

    #[test]
    fn a_batch_under_way_is_limited_by_statement_and_transaction() {
        let mut limits = TimeLimits::new([("statement_timeout", "30s"), ("transaction_timeout", "1min")].into_iter());
        limits.set("idle_in_transaction_session_timeout", Some("2s"), false);
        let cap = |limits: &TimeLimits| {
            let waits = if limits.statement.is_some() { Waits::WithinBatch } else { Waits::Idle };
            limits.cap(Instant::now(), TransactionStatus::InTransaction, waits, "app", None).unwrap()
        };
        limits.sent(Sent::Part, Instant::now());
        assert!((seconds(28)..=seconds(29)).contains(&cap(&limits)));
        limits.sent(Sent::Whole, Instant::now());
        limits.ready(TransactionStatus::InTransaction, Instant::now());
        assert!(cap(&limits) <= seconds(1));
        limits.set("idle_in_transaction_session_timeout", Some("0"), false);
        assert!((seconds(58)..=seconds(59)).contains(&cap(&limits)));
    }
}
