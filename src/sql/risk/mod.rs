//! What a statement risks, what it locks, and what to do instead: one table of rules.
//!
//! A rule looks at one statement: at its effects and at its words. The risk of a statement is the highest level of
//! the rules that apply. What a statement adds to the risk of others in the same file is in [`script`], what the
//! database itself adds is in [`radius`]; [`message`] is about what a client sends at once.

pub mod message;
pub mod radius;
mod rules;
pub mod script;
mod shape;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use message::assess_message;
pub use rules::rules;
use shape::Case;

use super::effect::Effect;
use super::lexer::Lexed;
use super::split::StatementTokens;
use super::statement::Statement;

/// How bad the worst outcome is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing is changed for anybody else.
    #[default]
    None,
    /// Ordinary work, or a definition that is added.
    Low,
    /// Others may wait, or some rows change.
    Medium,
    /// Others wait for long or break, or much changes that cannot be had back.
    High,
    /// Data, guards or privileges are lost or given away for good.
    Critical,
}

impl Level {
    /// The contract's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The table locks of Postgres that rules speak of, weakest first (`src/include/storage/lockdefs.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are Postgres' own")]
pub enum Lock {
    RowShare,
    RowExclusive,
    ShareUpdateExclusive,
    Share,
    ShareRowExclusive,
    Exclusive,
    AccessExclusive,
}

impl Lock {
    /// Postgres' name, as in `pg_locks.mode`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RowShare => "RowShareLock",
            Self::RowExclusive => "RowExclusiveLock",
            Self::ShareUpdateExclusive => "ShareUpdateExclusiveLock",
            Self::Share => "ShareLock",
            Self::ShareRowExclusive => "ShareRowExclusiveLock",
            Self::Exclusive => "ExclusiveLock",
            Self::AccessExclusive => "AccessExclusiveLock",
        }
    }
}

/// One rule.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Its name: stable, kebab case.
    pub id: &'static str,
    /// The risk where it applies.
    pub level: Level,
    /// The strongest table lock that what it is about takes.
    pub lock: Option<Lock>,
    /// Whether what was there before can be had back without a backup, by another statement.
    pub reversible: bool,
    /// Why it is a risk: a sentence without a full stop.
    pub why: &'static str,
    /// What to do instead, where there is something.
    pub instead: Option<&'static str>,
    /// Whether it applies. Rules of a script or of the radius never apply to a statement alone.
    applies: fn(&Case<'_>) -> bool,
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Rule {}

/// What one statement risks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Risk {
    /// The rules that apply, worst first.
    pub rules: Vec<&'static Rule>,
}

impl Risk {
    /// The worst level.
    #[must_use]
    pub fn level(&self) -> Level {
        self.rules.iter().map(|rule| rule.level).max().unwrap_or_default()
    }

    /// Whether all of it can be undone.
    #[must_use]
    pub fn reversible(&self) -> bool {
        self.rules.iter().all(|rule| rule.reversible)
    }

    /// The strongest table lock.
    #[must_use]
    pub fn lock(&self) -> Option<Lock> {
        self.rules.iter().filter_map(|rule| rule.lock).max()
    }

    /// Adds a rule, unless it is there.
    pub fn add(&mut self, rule: &'static Rule) {
        if !self.rules.contains(&rule) {
            self.rules.push(rule);
            self.rules.sort_by_key(|rule| std::cmp::Reverse(rule.level));
        }
    }
}

/// What a statement risks, by its effects and its words. The effects are the statement's own, or what they are in
/// one database.
#[must_use]
pub fn assess(statement: &Statement, effects: &[Effect], tokens: &StatementTokens<'_>) -> Risk {
    let case = Case::new(statement, effects, *tokens);
    let mut risk = Risk::default();
    for rule in rules().filter(|rule| (rule.applies)(&case)) {
        risk.add(rule);
    }
    risk
}

/// The same for a text that could not be cut into statements.
#[must_use]
pub fn assess_unreadable(statement: &Statement, effects: &[Effect]) -> Risk {
    assess(statement, effects, &StatementTokens::none(&Lexed::default()))
}

#[cfg(test)]
mod tests;
