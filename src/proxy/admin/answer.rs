//! What the commands that show something show. Everything from clients is untrusted, and printed so that it cannot
//! pass for words of ours.

use serde_json::Value;

use crate::gate::facts::{About, Fact, count, facts};
use crate::gate::{HoldState, HoldView, Wait};
use crate::proxy::{Beside, SessionView};
use crate::text::Untrusted;

/// Of texts and lists, `SHOW HOLDS` shows no more than this. A hold of which more would have to be shown has to be
/// looked at by itself before it can be approved.
const LISTED_CHARACTERS: usize = 1_000;
const LISTED_ITEMS: usize = 30;
/// How much of a digest stands in a list.
const LISTED_DIGEST: usize = 16;

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Table {
    /// The names of its columns; all are text.
    pub(super) columns: &'static [&'static str],
    pub(super) rows: Vec<Vec<Option<String>>>,
}

pub(super) const HOLDS: &[&str] = &[
    "id",
    "state",
    "wait",
    "expires_at",
    "risk",
    "identity",
    "kind",
    "owner",
    "database",
    "approvals",
    "rows",
    "touches",
    "reasons",
    "statement",
    "values",
    "digest",
];
pub(super) const HOLD: &[&str] = &["field", "value"];
pub(super) const SESSIONS: &[&str] =
    &["id", "identity", "kind", "role", "database", "client", "application_name", "tls", "pid", "since"];
pub(super) const STATS: &[&str] = &["name", "value"];
pub(super) const VERSION: &[&str] = &["version"];
pub(super) const HELP: &[&str] = &["command", "does"];
pub(super) const DECIDED: &[&str] = &["id", "state", "message"];

/// The names of `SHOW STATS`, and where in the JSON of the statistics they stand.
const STATISTICS: [(&str, &str); 11] = [
    ("since", "/since"),
    ("statements_pass", "/statements/pass"),
    ("statements_hold", "/statements/hold"),
    ("statements_deny", "/statements/deny"),
    ("overhead_us_p50", "/overhead_us/p50"),
    ("overhead_us_p99", "/overhead_us/p99"),
    ("upstream_us_p50", "/upstream_us/p50"),
    ("upstream_us_p99", "/upstream_us/p99"),
    ("audit_queued", "/audit/queued"),
    ("audit_durable_lag_us_p50", "/audit/durable_lag_us/p50"),
    ("audit_durable_lag_us_p99", "/audit/durable_lag_us/p99"),
];

/// How much of a hold a list showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// All that an approver has to know.
    Whole,
    /// Some of it was left out.
    Part,
}

/// Text that is kept short in a list, and whether it had to be.
struct Listed {
    shown: Shown,
}

impl Listed {
    fn text(&mut self, text: &str) -> String {
        match text.char_indices().nth(LISTED_CHARACTERS) {
            None => Untrusted::line(text).to_string(),
            Some((at, _)) => {
                self.shown = Shown::Part;
                format!("{}...", Untrusted::line(&text[..at]))
            }
        }
    }

    fn list(&mut self, items: &[String]) -> String {
        let text = items.iter().take(LISTED_ITEMS).map(String::as_str).collect::<Vec<_>>().join("; ");
        if items.len() <= LISTED_ITEMS && text.chars().nth(LISTED_CHARACTERS).is_none() {
            return text;
        }
        self.shown = Shown::Part;
        format!("{}; and more", text.chars().take(LISTED_CHARACTERS).collect::<String>())
    }
}

/// One line of `SHOW HOLDS`.
pub(super) fn listed(hold: &HoldView) -> (Vec<Option<String>>, Shown) {
    let mut listed = Listed { shown: Shown::Whole };
    let reasons: Vec<String> = hold.reasons.iter().map(|reason| Untrusted::line(reason).to_string()).collect();
    let row = vec![
        Some(hold.id.to_string()),
        Some(hold.state.as_str().to_owned()),
        Some(hold.wait.as_str().to_owned()),
        Some(hold.expires_at.clone()),
        Some(hold.risk.to_string()),
        Some(Untrusted::line(&hold.identity).to_string()),
        Some(hold.kind.as_str().to_owned()),
        hold.owner.as_ref().map(|owner| Untrusted::line(owner).to_string()),
        Some(Untrusted::line(&hold.database).to_string()),
        Some(format!("{}/{}", hold.approvals.len(), hold.needs)),
        rows(hold),
        Some(listed.list(&touches(hold))),
        Some(listed.list(&reasons)),
        Some(listed.text(&hold.sql)),
        Some(listed.text(&hold.params.join(", "))),
        Some(hold.digest.chars().take(LISTED_DIGEST).collect()),
    ];
    (row, listed.shown)
}

/// The number of rows; NULL while it is being computed.
fn rows(hold: &HoldView) -> Option<String> {
    match &hold.radius {
        Some(radius) => Some(count(radius.rows)),
        None if hold.radius_pending => None,
        None => Some("unknown".to_owned()),
    }
}

/// `SHOW HOLD`: everything, a line each.
pub(super) fn whole(hold: &HoldView) -> Table {
    let line = |name: &str, value: String| vec![Some(name.to_owned()), Some(value)];
    let facts = facts(hold).into_iter().map(|fact| match fact.about {
        About::Statement => line(fact.about.label(), Untrusted::block(&fact.value, 0).to_string()),
        about => line(about.label(), fact.value),
    });
    Table { columns: HOLD, rows: [line("id", hold.id.to_string())].into_iter().chain(facts).collect() }
}

/// What it would touch, an item each.
fn touches(hold: &HoldView) -> Vec<String> {
    let item = |fact: Fact| match fact.about {
        About::Touches => Some(fact.value),
        About::Trigger | About::Depends | About::Warning => Some(format!("{} {}", fact.about.label(), fact.value)),
        _ => None,
    };
    facts(hold).into_iter().filter_map(item).collect()
}

/// `SHOW SESSIONS`.
pub(super) fn sessions(views: &[SessionView]) -> Table {
    let rows = views.iter().map(|view| {
        vec![
            Some(view.id.to_string()),
            Some(Untrusted::line(&view.identity).to_string()),
            Some(view.kind.to_owned()),
            Some(Untrusted::line(&view.role).to_string()),
            Some(Untrusted::line(&view.database).to_string()),
            Some(Untrusted::line(&view.client).to_string()),
            Some(Untrusted::line(&view.application_name).to_string()),
            view.tls.map(str::to_owned),
            view.pid.map(|pid| pid.to_string()),
            Some(crate::text::rfc3339(view.since)),
        ]
    });
    Table { columns: SESSIONS, rows: rows.collect() }
}

/// `SHOW STATS`: what `/metrics` tells, as far as it fits into one number each; NULL where nothing was counted yet.
/// The names that were there first stay first.
pub(super) fn stats(told: &Value, beside: &Beside, audit_failed: Option<&str>, analyses: usize) -> Table {
    let known = |name: &str, value: String| vec![Some(name.to_owned()), Some(value)];
    let audit = audit_failed.map_or_else(|| "works".to_owned(), |error| format!("failed: {error}"));
    let mut rows = vec![
        known("sessions", beside.sessions.to_string()),
        known("holds", beside.holds.to_string()),
        known("audit", audit),
    ];
    rows.extend(STATISTICS.iter().map(|(name, at)| {
        let value = told.pointer(at).filter(|value| !value.is_null());
        let text = value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        vec![Some((*name).to_owned()), text]
    }));
    rows.push(known("analyses_remembered", analyses.to_string()));
    Table { columns: STATS, rows }
}

/// `SHOW HELP`.
pub(super) fn help() -> Table {
    let lines = [
        ("SHOW HOLDS", "what waits for approval; SHOW HOLDS ALL: also what ended lately"),
        ("SHOW HOLD 'id'", "everything about one hold"),
        ("APPROVE 'id' [REASON 'text'] [MAX ROWS n]", "lets it run, once, as it was shown in this session"),
        ("DENY 'id' [REASON 'text']", "refuses it"),
        ("WITHDRAW 'id' [REASON 'text']", "takes it back"),
        ("SHOW SESSIONS", "who is connected through the proxy"),
        ("SHOW STATS", "what the proxy has done"),
        ("SHOW VERSION", "which pgsluice this is"),
    ];
    let rows = lines.iter().map(|(command, does)| vec![Some((*command).to_owned()), Some((*does).to_owned())]);
    Table { columns: HELP, rows: rows.collect() }
}

/// What became of a hold by a decision.
pub(super) fn decided(hold: &HoldView) -> Table {
    let message = match (hold.state, hold.wait) {
        (HoldState::Approved, Wait::Ticket) => "the same statement passes once, until it expires".to_owned(),
        (HoldState::Approved, Wait::Inline) => "the statement runs now".to_owned(),
        (HoldState::Pending, _) => {
            let missing = usize::try_from(hold.needs).unwrap_or(usize::MAX).saturating_sub(hold.approvals.len());
            format!("approved by you; it waits for {missing} more")
        }
        _ => "the statement does not run".to_owned(),
    };
    let row = vec![Some(hold.id.to_string()), Some(hold.state.as_str().to_owned()), Some(message)];
    Table { columns: DECIDED, rows: vec![row] }
}
