//! What happens between the decision on a statement and its way upstream, where that takes time: a hold, the use of
//! a ticket, and the record of the intent that has to be durable first.
//!
//! One future does all of it and owns all it needs; the session polls it, relays what it has to say to the client,
//! and drops it (which withdraws the hold) when the client is gone. Only its result lets the statement go.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::Shared;
use super::refusal::Refusal;
use crate::audit::{AppendError, Encoded, Log, Record, Recorded};
use crate::blast::{Basis, Radius, Rows};
use crate::catalog::RadiusRequest;
use crate::gate::{self, Claim, End, HoldRequest, Opening, Ticket};

/// How many notices wait for a client that does not read. Beyond that they are dropped: the hold itself is not
/// lost by it.
const MOST_WAITING_NOTICES: usize = 4;
/// How many times in a row a statement is held again because its radius grew.
const MOST_ROUNDS: u32 = 8;
/// How much larger than what the approver saw an estimate may be before the statement is held again: estimates
/// of a table that is being written to are never the same twice.
const ESTIMATE_SLACK: f64 = 1.1;

/// What an admission ends with.
#[derive(Debug)]
pub(super) enum Admission {
    /// The statement may go: its intent is in the log.
    Granted {
        /// What ties its outcome to that.
        recorded: Recorded,
    },
    /// It may not.
    Refused(Refusal),
}

/// What a hold is made of.
#[derive(Clone)]
pub(super) struct Held {
    /// What the approver is shown, and what the approval is bound to.
    pub(super) request: HoldRequest,
    /// What the radius is computed from.
    pub(super) radius: Arc<[RadiusRequest]>,
    /// How many statements more there are: too many to ask about each.
    pub(super) unmeasured: usize,
}

/// An admission under way, seen from the session.
pub(super) struct Underway {
    /// Resolves when the statement may go, or may not.
    pub(super) future: std::pin::Pin<Box<dyn Future<Output = Admission> + Send>>,
    /// Notices for the client, where a person is waited for.
    pub(super) notices: Option<mpsc::Receiver<Notice>>,
    /// Ends the hold for a reason that the session knows.
    pub(super) end: Option<oneshot::Sender<Ending>>,
    /// Whether a person is waited for, rather than the disk.
    pub(super) purpose: Purpose,
}

/// What an admission waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A person.
    Person,
    /// The log.
    Log,
}

/// Why the session ends a hold.
#[derive(Debug)]
pub(super) struct Ending {
    /// The state it ends in.
    pub(super) end: End,
    /// Why.
    pub(super) reason: String,
    /// What the client is told.
    pub(super) refusal: Refusal,
}

/// Something to tell the client while its statement waits.
#[derive(Debug, Clone)]
pub(super) struct Notice {
    /// `pgsluice: held as h-7k2m ...`
    pub(super) message: String,
    /// Why.
    pub(super) detail: String,
    /// What to do.
    pub(super) hint: String,
}

/// Waits for the intent to be durable.
pub(super) fn record_first(log: Log, record: Encoded, recorded: Recorded) -> Underway {
    let future = Box::pin(async move { admitted(log.append_encoded_durable(record).await, recorded) });
    Underway { future, notices: None, end: None, purpose: Purpose::Log }
}

/// Waits for a person, then for the intent to be durable.
pub(super) fn hold(shared: Arc<Shared>, held: Held, record: Box<Record>) -> Underway {
    let (notice_sender, notices) = mpsc::channel(MOST_WAITING_NOTICES);
    let (end, ended) = oneshot::channel();
    let future = Box::pin(wait_for_person(shared, held, record, notice_sender, ended));
    Underway { future, notices: Some(notices), end: Some(end), purpose: Purpose::Person }
}

/// Lets the statement go if it was approved before; refuses it at once if not. The client does not wait.
pub(super) fn ticket(shared: Arc<Shared>, held: Held, record: Box<Record>) -> Underway {
    Underway { future: Box::pin(claim(shared, held, record)), notices: None, end: None, purpose: Purpose::Log }
}

async fn claim(shared: Arc<Shared>, mut held: Held, mut record: Box<Record>) -> Admission {
    for _ in 0..MOST_ROUNDS {
        let taken = match shared.gate.claim(held.request.clone()) {
            Ok(Claim::Approved(taken)) => taken,
            Ok(Claim::Denied(hold)) => return Admission::Refused(Refusal::ticket_denied(&hold)),
            Ok(Claim::Held { hold, opening }) => {
                if opening == Opening::New {
                    tokio::spawn(measure(Arc::clone(&shared), hold.id.clone(), held));
                }
                return Admission::Refused(Refusal::ticket(&hold));
            }
            Err(error) => return Admission::Refused(Refusal::gate_full(&error.to_string())),
        };
        match grown(&shared, &held, taken.radius(), taken.max_rows()).await {
            None => {
                record.verdict = Some("approved".into());
                record.hold = Some(taken.id().to_string().into());
                let admission = durable(&shared, record).await;
                match &admission {
                    Admission::Granted { .. } => taken.used(),
                    Admission::Refused(refusal) => taken.failed(&refusal.message),
                }
                return admission;
            }
            Some(growth) => {
                taken.failed(&growth);
                held.request.reasons.insert(0, growth);
            }
        }
    }
    Admission::Refused(Refusal::keeps_growing())
}

/// Computes the radius of a ticket's statement, whose session has been answered by then.
async fn measure(shared: Arc<Shared>, id: gate::HoldId, held: Held) {
    let radius = radius(&shared, &held).await;
    shared.gate.attach_radius(&id, radius);
}

async fn durable(shared: &Shared, mut record: Box<Record>) -> Admission {
    record.time = jiff::Timestamp::now();
    let recorded = Recorded { statement: record.statement, hold: record.hold.clone() };
    admitted(shared.log.append_durable(*record).await, recorded)
}

/// A statement goes if its intent is on disk.
fn admitted(appended: Result<u64, AppendError>, recorded: Recorded) -> Admission {
    match appended {
        Ok(_) => Admission::Granted { recorded },
        Err(error) => Admission::Refused(Refusal::log_failed(&error.to_string())),
    }
}

async fn wait_for_person(
    shared: Arc<Shared>,
    mut held: Held,
    mut record: Box<Record>,
    notices: mpsc::Sender<Notice>,
    mut ended: oneshot::Receiver<Ending>,
) -> Admission {
    let deadline = held.request.expiry_cap.map(|cap| Instant::now() + cap);
    for _ in 0..MOST_ROUNDS {
        held.request.expiry_cap = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let mut ticket = match shared.gate.submit(held.request.clone()) {
            Ok(ticket) => ticket,
            Err(error) => return Admission::Refused(Refusal::gate_full(&error.to_string())),
        };
        let round = Round { shared: &shared, held: &held, notices: &notices };
        let (decision, shown) = match round.wait(&mut ticket, &mut ended).await {
            Waited::Decided(decision, shown) => (decision, shown),
            Waited::Ended(ending) => {
                ticket.end(ending.end, &ending.reason);
                return Admission::Refused(ending.refusal);
            }
        };
        let id = ticket.id().to_string();
        match decision {
            gate::Decision::Approved { max_rows, .. } => match grown(&shared, &held, shown.as_ref(), max_rows).await {
                None => {
                    record.verdict = Some("approved".into());
                    record.hold = Some(id.as_str().into());
                    return durable(&shared, record).await;
                }
                Some(growth) => {
                    held.request.reasons.insert(0, growth);
                }
            },
            gate::Decision::Denied { by, reason } => return Admission::Refused(Refusal::denied(&id, &by, &reason)),
            gate::Decision::Expired => return Admission::Refused(Refusal::expired(&id)),
            gate::Decision::Withdrawn { by } => return Admission::Refused(Refusal::withdrawn(&id, &by)),
        }
    }
    Admission::Refused(Refusal::keeps_growing())
}

/// One hold of a statement.
struct Round<'a> {
    shared: &'a Shared,
    held: &'a Held,
    notices: &'a mpsc::Sender<Notice>,
}

enum Waited {
    Decided(gate::Decision, Option<Radius>),
    Ended(Ending),
}

impl Round<'_> {
    /// Waits for the decision, computing the radius and telling the client meanwhile.
    async fn wait(&self, ticket: &mut Ticket, ended: &mut oneshot::Receiver<Ending>) -> Waited {
        let every = self.shared.options.notice_interval;
        let mut ticks = interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.notify(ticket);
        let id = ticket.id().clone();
        let _examinable = self.shared.examinable.enter(&id, Arc::clone(&self.held.radius));
        let mut radius = std::pin::pin!(radius(self.shared, self.held));
        let mut shown = None;
        let mut computing = true;
        loop {
            tokio::select! {
                biased;
                Ok(ending) = &mut *ended => return Waited::Ended(ending),
                decision = ticket.decided() => return Waited::Decided(decision, shown),
                found = &mut radius, if computing => {
                    computing = false;
                    self.shared.gate.attach_radius(&id, found.clone());
                    shown = found;
                }
                _ = ticks.tick() => self.notify(ticket),
            }
        }
    }

    fn notify(&self, ticket: &Ticket) {
        let request = &self.held.request;
        let left = ticket.expires_at().duration_since(jiff::Timestamp::now());
        let left = Duration::from_secs(u64::try_from(left.as_secs()).unwrap_or(0));
        let notice = Notice {
            message: format!("pgsluice: held as {} until a person approves it", ticket.id()),
            detail: format!("{} (rule {})", request.reasons.join("; "), request.verdict_policy),
            hint: format!(
                "pgsluice holds approve {} --reason '...'   It expires in {}; cancel the statement to withdraw it.",
                ticket.id(),
                in_words(left),
            ),
        };
        // A client that does not read its notices misses some; it is told again.
        let _ = self.notices.try_send(notice);
    }
}

async fn radius(shared: &Shared, held: &Held) -> Option<Radius> {
    let mut sum: Option<Radius> = None;
    for request in held.radius.iter() {
        let radius = shared.catalog.radius(request).await;
        sum = Some(match sum {
            Some(sum) => together(sum, radius),
            None => radius,
        });
    }
    if held.unmeasured > 0
        && let Some(sum) = &mut sum
    {
        sum.rows = Rows::UNKNOWN;
        let (measured, more) = (held.radius.len(), held.unmeasured);
        let warning = format!(
            "only the first {measured} statements that change something were measured, not the {more} behind them"
        );
        sum.warnings.insert(0, warning);
    }
    sum
}

/// Why the statement may no longer run on this approval: it would touch more than was shown, or allowed.
async fn grown(shared: &Shared, held: &Held, shown: Option<&Radius>, max_rows: Option<u64>) -> Option<String> {
    let shown_rows = shown.and_then(|radius| radius.rows.value);
    let now = radius(shared, held).await?.rows.value;
    if let Some(bound) = max_rows
        && let Some(counted) = counted(shared, held).await
        && counted > bound
    {
        return Some(format!("approved for up to {bound} rows, but it would touch {counted}, counted just now"));
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a bound on an estimate"
    )]
    let bound = max_rows.or_else(|| shown_rows.map(|rows| (rows as f64 * ESTIMATE_SLACK).ceil() as u64))?;
    match now {
        Some(now) if now <= bound => None,
        Some(now) => Some(format!("approved for up to {bound} rows, but by now it would touch {now}")),
        None if max_rows.is_some() || shown_rows.is_some() => {
            Some(format!("approved for up to {bound} rows, but by now that number cannot be told"))
        }
        None => None,
    }
}

/// How many rows it would touch exactly, where all of them can be counted in time.
async fn counted(shared: &Shared, held: &Held) -> Option<u64> {
    if held.unmeasured > 0 {
        return None;
    }
    let counts = shared.catalog.count(&held.radius).await;
    (counts.len() == held.radius.len()).then(|| counts.iter().map(|count| count.found).sum::<Option<u64>>())?
}

/// The radius of two statements of one message.
fn together(mut first: Radius, second: Radius) -> Radius {
    first.rows = match (first.rows.value, second.rows.value) {
        (Some(one), Some(other)) => Rows {
            value: Some(one.saturating_add(other)),
            basis: if first.rows.basis == second.rows.basis { first.rows.basis } else { Basis::Planner },
        },
        _ => Rows::UNKNOWN,
    };
    first.relations.extend(second.relations);
    first.triggers.extend(second.triggers);
    first.dependents.extend(second.dependents);
    first.warnings.extend(second.warnings);
    first
}

/// `14 min 20 s`.
pub(super) fn in_words(duration: Duration) -> String {
    match (duration.as_secs() / 60, duration.as_secs() % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}
