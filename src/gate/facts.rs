//! What there is to know of a hold, fact by fact, in words: what every face shows. Everything that is in its JSON is
//! told here.
//!
//! Everything from the client is untrusted: it is shown so that it cannot pass for words of ours.

use std::fmt::Write;

use jiff::{Timestamp, Unit};

use super::view::{ActionView, ApprovalView, RiskView};
use super::wording::{self, basis, noun, sentence};
use super::{HoldState, HoldView, Wait};
use crate::blast::{Basis, Blockers, Radius, Rows};
use crate::text::Untrusted;

/// How much of a digest is enough to name it.
pub const DIGEST_CHARACTERS: usize = 12;

/// What a ticket is.
pub const TICKET: &str = "its client does not wait: once approved, the same statement passes once, until it expires";

/// One thing to know of a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What it is about.
    pub about: About,
    /// What is to be said; safe to print, but for [`About::Statement`].
    pub value: String,
}

/// What a fact is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum About {
    /// Where it stands, and who ended it.
    State,
    /// What the reader of text and values must know.
    Hidden,
    /// The text: the one value that has lines of its own, and is as the client sent it, to be made safe by
    /// whoever prints it.
    Statement,
    /// A bind value.
    Value,
    /// The identity.
    Who,
    /// Address, TLS, application, session.
    From,
    /// Why, as the client says.
    Claim,
    /// The database.
    Database,
    /// Where names resolve.
    SearchPath,
    /// An action on an object.
    Does,
    /// How bad it can get, and why.
    Risk,
    /// Why it waits.
    Why,
    /// Which policy decided.
    Policy,
    /// That it is in one.
    Transaction,
    /// That its client does not wait.
    Ticket,
    /// How many rows.
    Radius,
    /// A relation in the radius.
    Touches,
    /// A trigger in the radius.
    Trigger,
    /// What depends on a relation in the radius.
    Depends,
    /// What the reader of the radius must know.
    Warning,
    /// Who is in its way now.
    Locks,
    /// When it began to wait.
    Since,
    /// When it expires.
    Expires,
    /// How many people have approved, of how many.
    Approvals,
    /// One of them.
    Approved,
    /// When it ended, and from where.
    Ended,
    /// What an approval is bound to.
    Digest,
}

impl About {
    /// A word for the margin.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Hidden => "warning",
            Self::Statement => "statement",
            Self::Value => "value",
            Self::Who => "who",
            Self::From => "from",
            Self::Claim => "claims",
            Self::Database => "database",
            Self::SearchPath => "search path",
            Self::Does => "does",
            Self::Risk => "risk",
            Self::Why => "why",
            Self::Policy => "policy",
            Self::Transaction => "transaction",
            Self::Ticket => "ticket",
            Self::Radius => "radius",
            Self::Touches => "touches",
            Self::Trigger => "trigger",
            Self::Depends => "depends",
            Self::Warning => "warning",
            Self::Locks => "locks now",
            Self::Since => "since",
            Self::Expires => "expires",
            Self::Approvals => "approvals",
            Self::Approved => "approved",
            Self::Ended => "ended",
            Self::Digest => "digest",
        }
    }

    /// Words that can be understood when they are heard.
    #[must_use]
    pub const fn spoken(self) -> &'static str {
        match self {
            Self::State => "State",
            Self::Hidden => "Warning",
            Self::Statement => "Statement",
            Self::Value => "Value",
            Self::Who => "Who asks",
            Self::From => "From",
            Self::Claim => "Reason the client claims, which nobody has checked",
            Self::Database => "Database",
            Self::SearchPath => "Search path",
            Self::Does => "What it does",
            Self::Risk => "Risk",
            Self::Why => "Why it waits",
            Self::Policy => "Policy",
            Self::Transaction => "Transaction",
            Self::Ticket => "Ticket",
            Self::Radius => "Blast radius",
            Self::Touches => "Touches",
            Self::Trigger => "Trigger",
            Self::Depends => "Depends on what it touches",
            Self::Warning => "Warning",
            Self::Locks => "Locks now",
            Self::Since => "Waits since",
            Self::Expires => "Expires",
            Self::Approvals => "Approvals",
            Self::Approved => "Approved by",
            Self::Ended => "Ended",
            Self::Digest => "Digest",
        }
    }
}

/// Everything about one hold, in the order in which it is best read.
#[must_use]
pub fn facts(hold: &HoldView) -> Vec<Fact> {
    let mut facts = Facts(Vec::new());
    facts.add(About::State, state(hold));
    if let Some(hidden) = wording::hidden(hold) {
        facts.add(About::Hidden, hidden);
    }
    facts.add(About::Statement, &hold.sql);
    for (at, param) in hold.params.iter().enumerate() {
        facts.add(About::Value, format_args!("${} = {}", at + 1, Untrusted::line(param)));
    }
    facts.requester(hold);
    for action in &hold.actions {
        facts.add(About::Does, action_line(action));
    }
    let undo = if hold.reversible { "can be undone by another statement" } else { "cannot be undone" };
    facts.add(About::Risk, format_args!("{}; {undo}", hold.risk));
    for risk in &hold.risks {
        facts.add(About::Risk, risk_line(risk));
    }
    for reason in &hold.reasons {
        facts.add(About::Why, Untrusted::line(reason));
    }
    facts.add(About::Policy, Untrusted::line(&hold.verdict_policy));
    if hold.in_transaction {
        facts.add(About::Transaction, "inside one: its locks are kept while it waits");
    }
    if hold.wait == Wait::Ticket {
        facts.add(About::Ticket, TICKET);
    }
    match &hold.radius {
        Some(radius) => facts.radius(radius),
        None if hold.radius_pending => facts.add(About::Radius, "being computed"),
        None => facts.add(About::Radius, "unknown"),
    }
    facts.course(hold);
    facts.0
}

/// The same, with who was in its way when that was asked. It stands behind the radius, which it is about.
#[must_use]
pub fn facts_with(hold: &HoldView, blockers: Option<&Blockers>) -> Vec<Fact> {
    let mut facts = facts(hold);
    let place = facts.iter().position(|fact| fact.about == About::Since).unwrap_or(facts.len());
    let sentences = blockers.map(wording::blockers).unwrap_or_default();
    let locks = sentences.iter().map(|words| Fact { about: About::Locks, value: sentence(words) });
    facts.splice(place..place, locks.collect::<Vec<_>>());
    facts
}

/// What to type to approve exactly what is shown, at the proxy that these flags name; none name the usual one.
#[must_use]
pub fn approve_command(hold: &HoldView, proxy: &str) -> String {
    let digest: String = hold.digest.chars().take(DIGEST_CHARACTERS).collect();
    format!("pgsluice holds approve {} --digest {digest} --reason '...'{}", hold.id, behind(proxy))
}

/// What to type to read all of it.
#[must_use]
pub fn show_command(hold: &HoldView, proxy: &str) -> String {
    format!("pgsluice holds show {}{}", hold.id, behind(proxy))
}

fn behind(flags: &str) -> String {
    if flags.is_empty() { String::new() } else { format!(" {flags}") }
}

/// Everything about a radius, also of a statement that is not held.
#[must_use]
pub fn radius_facts(radius: &Radius) -> Vec<Fact> {
    let mut facts = Facts(Vec::new());
    facts.radius(radius);
    facts.0
}

struct Facts(Vec<Fact>);

impl Facts {
    fn add(&mut self, about: About, value: impl std::fmt::Display) {
        self.0.push(Fact { about, value: value.to_string() });
    }

    fn requester(&mut self, hold: &HoldView) {
        let owner = hold.owner.as_ref();
        let owner = owner.map_or_else(String::new, |owner| format!(", for whom {} answers", Untrusted::line(owner)));
        self.add(About::Who, format_args!("{} ({}){owner}", Untrusted::line(&hold.identity), hold.kind.as_str()));
        let application = if hold.application_name.is_empty() {
            "no application name".to_owned()
        } else {
            format!("\"{}\"", Untrusted::line(&hold.application_name))
        };
        let (client, session) = (Untrusted::line(&hold.client), Untrusted::line(&hold.session));
        let tls = Untrusted::line(hold.tls.as_deref().unwrap_or("without TLS"));
        self.add(About::From, format_args!("{client}, {tls}, {application}, session {session}"));
        if let Some(reason) = &hold.reason {
            self.add(About::Claim, Untrusted::line(reason));
        }
        self.add(About::Database, Untrusted::line(&hold.database));
        self.add(About::SearchPath, search_path(hold));
    }

    fn radius(&mut self, radius: &Radius) {
        self.add(
            About::Radius,
            format_args!("{} {}{}", count(radius.rows), noun(radius.rows), basis(radius.rows.basis)),
        );
        for relation in &radius.relations {
            self.add(About::Touches, sentence(&wording::relation(relation)));
        }
        for trigger in &radius.triggers {
            self.add(About::Trigger, sentence(&wording::trigger(trigger)));
        }
        for dependent in &radius.dependents {
            self.add(About::Depends, sentence(&wording::dependent(dependent)));
        }
        for warning in &radius.warnings {
            self.add(About::Warning, Untrusted::line(warning));
        }
    }

    /// What has happened to it, and will.
    fn course(&mut self, hold: &HoldView) {
        self.add(About::Since, Untrusted::line(&hold.created_at));
        self.add(About::Expires, Untrusted::line(&hold.expires_at));
        self.add(About::Approvals, format_args!("{} of {}", hold.approvals.len(), hold.needs));
        for approval in &hold.approvals {
            self.add(About::Approved, approval_line(approval));
        }
        if let Some(ended) = &hold.ended {
            let from = ended
                .remote
                .as_deref()
                .map_or_else(String::new, |address| format!(", from {}", Untrusted::line(address)));
            self.add(About::Ended, format_args!("{}{from}", Untrusted::line(&ended.at)));
        }
        self.add(About::Digest, Untrusted::line(&hold.digest));
    }
}

fn approval_line(approval: &ApprovalView) -> String {
    let mut line = format!("{} at {}", Untrusted::line(&approval.by), Untrusted::line(&approval.at));
    if let Some(address) = &approval.remote {
        let _ = write!(line, " from {}", Untrusted::line(address));
    }
    if let Some(max_rows) = approval.max_rows {
        let _ = write!(line, ", for up to {max_rows} rows");
    }
    if let Some(reason) = &approval.reason {
        let _ = write!(line, ": {}", Untrusted::line(reason));
    }
    line
}

fn risk_line(risk: &RiskView) -> String {
    let mut line = format!("{}: {} ({})", risk.level, Untrusted::line(&risk.why), Untrusted::line(&risk.rule));
    if let Some(instead) = &risk.instead {
        let _ = write!(line, "; instead: {}", Untrusted::line(instead));
    }
    line
}

fn action_line(action: &ActionView) -> String {
    let mut line = action.action.to_string();
    let _ = write!(line, " {}", Untrusted::line(&action.kind.replace('_', " ")));
    if !action.name.is_empty() {
        let _ = write!(line, " {}", qualified(action.schema.as_deref(), &action.name));
    }
    if !action.certain {
        line.push_str(" (possibly)");
    }
    line
}

fn qualified(schema: Option<&str>, name: &str) -> String {
    match schema {
        Some(schema) => format!("{}.{}", Untrusted::line(schema), Untrusted::line(name)),
        None => Untrusted::line(name).to_string(),
    }
}

fn search_path(hold: &HoldView) -> String {
    match &hold.search_path {
        None => "unknown".to_owned(),
        Some(path) if path.is_empty() => "empty".to_owned(),
        Some(path) => path.iter().map(|name| Untrusted::line(name).to_string()).collect::<Vec<_>>().join(", "),
    }
}

/// `pending, expires in 13 min`, `denied by bob: not today`.
#[must_use]
pub fn state(hold: &HoldView) -> String {
    let mut text = hold.state.as_str().to_owned();
    if hold.state == HoldState::Pending {
        let _ = write!(text, ", expires in {}", time_left(hold));
        if hold.needs > 1 {
            let _ = write!(text, ", approved by {} of {}", hold.approvals.len(), hold.needs);
        }
    }
    if let Some(ended) = &hold.ended {
        if let Some(by) = &ended.by {
            let _ = write!(text, " by {}", Untrusted::line(by));
        }
        if let Some(reason) = &ended.reason {
            let _ = write!(text, ": {}", Untrusted::line(reason));
        }
    }
    text
}

/// What follows from an approval that was the last one needed.
#[must_use]
pub fn approved(hold: &HoldView, now: Timestamp) -> String {
    match hold.wait {
        Wait::Inline => format!("{} is approved: the statement runs now", hold.id),
        Wait::Ticket => {
            format!("{} is approved: the same statement passes once, within {}", hold.id, time_left_at(hold, now))
        }
    }
}

/// `13 min 20 s`.
#[must_use]
pub fn time_left(hold: &HoldView) -> String {
    time_left_at(hold, Timestamp::now())
}

fn time_left_at(hold: &HoldView, now: Timestamp) -> String {
    let Ok(expires) = hold.expires_at.parse::<Timestamp>() else {
        return "?".to_owned();
    };
    let left = expires.since((Unit::Second, now)).map_or(0, |span| span.get_seconds());
    match (left / 60, left % 60) {
        (..=-1, _) | (_, ..=-1) => "0 s".to_owned(),
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

/// `17`, `~48210` where it is an estimate, `?` where it is not known.
#[must_use]
pub fn count(rows: Rows) -> String {
    match rows.value {
        None => "?".to_owned(),
        Some(value) if rows.basis == Basis::Exact => value.to_string(),
        Some(value) => format!("~{value}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::gate::view::sample;

    /// Values that some field takes in place of another: the words of the enums, and any text.
    const WORDS: [&str; 14] = [
        "changed", "approved", "drop", "low", "medium", "exact", "planner", "cascade", "trigger", "known", "h-2222",
        "ci", "pending", "inline",
    ];

    /// The places of all single values of a document.
    fn leaves(value: &Value, at: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                fields.iter().for_each(|(key, value)| leaves(value, &format!("{at}/{key}"), found));
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(index, item)| leaves(item, &format!("{at}/{index}"), found));
            }
            _ => found.push(at.to_owned()),
        }
    }

    /// The same hold with another value there.
    fn changed(document: &Value, at: &str) -> HoldView {
        let old = document.pointer(at).unwrap();
        let others: Vec<Value> = match old {
            Value::Bool(yes) => vec![Value::Bool(!yes)],
            Value::Number(_) => vec![serde_json::json!(0.9), serde_json::json!(7)],
            _ => WORDS.into_iter().map(Value::from).chain([serde_json::json!(0.9), serde_json::json!(7)]).collect(),
        };
        others
            .into_iter()
            .filter(|other| other != old)
            .find_map(|other| {
                let mut document = document.clone();
                *document.pointer_mut(at).unwrap() = other;
                serde_json::from_value(document).ok()
            })
            .unwrap_or_else(|| panic!("nothing else fits {at}"))
    }

    fn parts(hold: &HoldView) -> BTreeSet<(About, String)> {
        facts(hold).into_iter().map(|fact| (fact.about, fact.value)).collect()
    }

    /// Every field of the JSON is told by the text, and every fact of the text is a field of the JSON: whatever
    /// changes in one changes the other.
    #[test]
    fn text_and_json_say_the_same() {
        let mut pending = sample::hold();
        pending.state = HoldState::Pending;
        pending.radius = None;
        let mut told = BTreeSet::new();
        let mut all = BTreeSet::new();
        for hold in [sample::hold(), pending] {
            let document = serde_json::to_value(&hold).unwrap();
            let shown = parts(&hold);
            all.extend(shown.iter().map(|(about, _)| *about));
            let mut places = Vec::new();
            leaves(&document, "", &mut places);
            for place in places {
                // The id is the head line's; a radius that is known is not being computed.
                if place == "/id" || (place == "/radius_pending" && hold.radius.is_some()) || place == "/radius" {
                    continue;
                }
                let other = parts(&changed(&document, &place));
                assert_ne!(other, shown, "{place} is told nowhere");
                told.extend(shown.symmetric_difference(&other).map(|(about, _)| *about));
            }
        }
        assert_eq!(told, all, "a fact that no field of the JSON changes");
    }
}
