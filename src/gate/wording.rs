//! What is said of the parts of a blast radius: the same words in every face, which chooses only what they look like
//! and how it writes numbers.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::HoldView;
use super::facts::count;
use crate::blast::radius::{Dependent, TouchedRelation, TouchedTrigger, TriggerEffects, Via};
use crate::blast::{Basis, Blocker, Blockers, Rows, Way};
use crate::text::Untrusted;

/// A few words of a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words<'a> {
    /// How much they matter.
    pub tone: Tone,
    /// What they are.
    pub said: Said<'a>,
}

/// How much words matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As any.
    Plain,
    /// They are what the sentence is about.
    Strong,
    /// Little.
    Faint,
    /// They are to be looked at twice.
    Caution,
}

/// What words are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said<'a> {
    /// Words of ours.
    Ours(Cow<'static, str>),
    /// Somebody else's, not made safe yet.
    Theirs(Cow<'a, str>),
    /// A number of rows.
    Rows(Rows),
}

/// `2 characters are not what a screen shows; ...`: of the text and its values; `None` where all are.
#[must_use]
pub fn hidden(hold: &HoldView) -> Option<String> {
    let hidden = Untrusted::block(&hold.sql, 0).hidden()
        + hold.params.iter().map(|value| Untrusted::line(value).hidden()).sum::<usize>();
    let what = if hidden == 1 { "character is" } else { "characters are" };
    (hidden > 0).then(|| format!("{hidden} {what} not what a screen shows; each is written as <U+XXXX>"))
}

/// What so many of are.
#[must_use]
pub const fn noun(rows: Rows) -> &'static str {
    match rows.value {
        Some(1) => "row",
        _ => "rows",
    }
}

/// The words in a row, safe to print.
#[must_use]
pub fn sentence(words: &[Words<'_>]) -> String {
    let mut text = String::new();
    for words in words {
        let _ = match &words.said {
            Said::Ours(ours) => text.write_str(ours),
            Said::Theirs(theirs) => write!(text, "{}", Untrusted::line(theirs)),
            Said::Rows(rows) => text.write_str(&count(*rows)),
        };
    }
    text
}

/// `delete table public.orders: 17 rows (exact), 3 % of it, by cascade over a foreign key, RowExclusiveLock: blocks ...`.
#[must_use]
pub fn relation(relation: &TouchedRelation) -> Vec<Words<'_>> {
    let mut words = vec![
        theirs(Tone::Plain, relation.action.as_str()),
        ours(Tone::Plain, " "),
        theirs(Tone::Plain, relation.kind.replace('_', " ")),
        ours(Tone::Plain, " "),
    ];
    qualified(&mut words, relation.schema.as_deref(), &relation.name);
    words.extend([
        ours(Tone::Plain, ": "),
        Words { tone: Tone::Strong, said: Said::Rows(relation.rows) },
        ours(Tone::Plain, " "),
        ours(Tone::Plain, noun(relation.rows)),
        ours(Tone::Faint, basis(relation.rows.basis)),
    ]);
    if let Some(share) = relation.share {
        let percent = share * 100.0;
        let number = if percent > 0.0 && percent < 1.0 { "less than 1".to_owned() } else { format!("{percent:.0}") };
        words.push(ours(Tone::Plain, format!(", {number} % of it")));
    }
    if let Some(via) = via(relation.via) {
        words.extend([ours(Tone::Plain, ", "), ours(Tone::Caution, via)]);
    }
    match &relation.lock {
        Some(lock) => words.extend([
            ours(Tone::Faint, ", "),
            theirs(Tone::Faint, lock.as_str()),
            ours(Tone::Faint, who_waits(lock)),
        ]),
        None => words.push(ours(Tone::Faint, ", lock not known")),
    }
    words
}

/// `orders_audit runs public.log_it(); what that does is unknown`.
#[must_use]
pub fn trigger(trigger: &TouchedTrigger) -> Vec<Words<'_>> {
    let (tone, effects) = match trigger.effects {
        TriggerEffects::Known => (Tone::Faint, "; what it does is listed"),
        TriggerEffects::Unknown => (Tone::Caution, "; what that does is unknown"),
    };
    vec![
        theirs(Tone::Strong, trigger.name.as_str()),
        ours(Tone::Plain, " runs "),
        theirs(Tone::Plain, trigger.function.as_str()),
        ours(tone, effects),
    ]
}

/// `materialized view public.totals`.
#[must_use]
pub fn dependent(dependent: &Dependent) -> Vec<Words<'_>> {
    let mut words = vec![theirs(Tone::Plain, dependent.kind.replace('_', " ")), ours(Tone::Plain, " ")];
    qualified(&mut words, Some(&dependent.schema), &dependent.name);
    words
}

/// `pid 4711, user app, idle in transaction for 4 min, holds RowExclusiveLock on public.orders; calls itself nightly`.
/// What a client calls itself stands last: nothing of ours comes after it.
#[must_use]
pub fn blocker(blocker: &Blocker) -> Vec<Words<'_>> {
    let mut words = vec![match blocker.pid {
        Some(pid) => ours(Tone::Strong, format!("pid {pid}")),
        None => ours(Tone::Strong, "a prepared transaction"),
    }];
    if let Some(user) = &blocker.user {
        words.extend([ours(Tone::Plain, ", user "), theirs(Tone::Plain, user.as_str())]);
    }
    match (&blocker.state, &blocker.backend) {
        (Some(state), _) => words.extend([ours(Tone::Plain, ", "), theirs(Tone::Plain, state.as_str())]),
        (None, Some(backend)) => words.extend([ours(Tone::Plain, ", "), theirs(Tone::Plain, backend.as_str())]),
        (None, None) if blocker.pid.is_some() => words.push(ours(Tone::Faint, ", what it does may not be seen")),
        (None, None) => {}
    }
    if let Some(seconds) = blocker.transaction_seconds {
        words.push(ours(Tone::Plain, format!(", its transaction is {} old", duration(seconds))));
    }
    let lock = theirs(Tone::Plain, blocker.lock.as_deref().unwrap_or("a lock"));
    match blocker.way {
        Way::Holds | Way::MayHoldRows => words.extend([ours(Tone::Caution, ", holds "), lock]),
        Way::Queued => words.extend([ours(Tone::Caution, ", waits ahead of it for "), lock]),
        Way::Behind => words.push(ours(Tone::Caution, ", waits now for the transaction of this statement")),
    }
    if let Some(name) = &blocker.name {
        words.push(ours(Tone::Plain, " on "));
        qualified(&mut words, blocker.schema.as_deref(), name);
    }
    if blocker.way == Way::MayHoldRows {
        words.push(ours(Tone::Faint, ", in the way only where it has changed the same rows"));
    }
    if blocker.waits && matches!(blocker.way, Way::Holds | Way::MayHoldRows) {
        words.push(ours(Tone::Caution, ", and waits for somebody itself"));
    }
    if let Some(name) = &blocker.application_name {
        words.extend([ours(Tone::Faint, "; calls itself "), theirs(Tone::Faint, name.as_str())]);
    }
    words
}

/// All that is said of who is in the way, a sentence each.
#[must_use]
pub fn blockers(blockers: &Blockers) -> Vec<Vec<Words<'_>>> {
    let mut sentences: Vec<Vec<Words<'_>>> = blockers.sessions.iter().flatten().map(blocker).collect();
    if blockers.more > 0 {
        sentences.push(vec![ours(Tone::Caution, format!("and {} more", blockers.more))]);
    }
    if blockers.sessions.as_ref().is_some_and(Vec::is_empty) {
        let nobody = if blockers.unknown.is_empty() { "nobody is in its way" } else { "nobody that is known" };
        sentences.push(vec![ours(Tone::Plain, nobody)]);
    }
    for unknown in &blockers.unknown {
        sentences.push(vec![ours(Tone::Caution, "not known: "), theirs(Tone::Plain, unknown.as_str())]);
    }
    sentences.push(vec![ours(Tone::Faint, "as it was at "), theirs(Tone::Faint, blockers.at.as_str())]);
    sentences
}

/// `12 s`, `4 min`, `3 h 5 min`.
fn duration(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, _) => format!("{minutes} min"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// What a number of rows rests on, to be said behind it.
#[must_use]
pub const fn basis(basis: Basis) -> &'static str {
    match basis {
        Basis::Exact => " (exact)",
        Basis::Planner => " (planner's estimate)",
        Basis::Statistics => " (from statistics)",
        Basis::Unknown => " (unknown)",
    }
}

fn ours(tone: Tone, text: impl Into<Cow<'static, str>>) -> Words<'static> {
    Words { tone, said: Said::Ours(text.into()) }
}

fn theirs<'a>(tone: Tone, text: impl Into<Cow<'a, str>>) -> Words<'a> {
    Words { tone, said: Said::Theirs(text.into()) }
}

fn qualified<'a>(words: &mut Vec<Words<'a>>, schema: Option<&'a str>, name: &'a str) {
    if let Some(schema) = schema {
        words.extend([theirs(Tone::Strong, schema), ours(Tone::Strong, ".")]);
    }
    words.push(theirs(Tone::Strong, name));
}

const fn via(via: Via) -> Option<&'static str> {
    match via {
        Via::Statement => None,
        Via::Cascade => Some("by cascade over a foreign key"),
        Via::Trigger => Some("by a trigger"),
        Via::Partition => Some("as a partition"),
        Via::Inheritance => Some("as an inheritance child"),
        Via::Rule => Some("by a rule"),
        Via::View => Some("through a view"),
    }
}

/// Who would wait for a lock (`src/backend/storage/lmgr/lock.c`, `LockConflicts`).
fn who_waits(lock: &str) -> &'static str {
    match lock {
        "AccessExclusiveLock" => ": blocks everybody, readers too",
        "ExclusiveLock" => ": blocks everybody but plain readers",
        "ShareRowExclusiveLock" | "ShareLock" => ": blocks writers",
        "ShareUpdateExclusiveLock" => ": blocks schema changes and VACUUM",
        "RowExclusiveLock" | "RowShareLock" => ": blocks schema changes, and writers of the same rows",
        _ => "",
    }
}
