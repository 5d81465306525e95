//! What statements add to each other's risk when they run one after the other.

use super::{Level, Lock, Risk, Rule};
use crate::sql::effect::Action;
use crate::sql::statement::{SessionChange, Statement};

/// These never apply to a statement alone.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "no-lock-timeout",
        level: Level::Medium,
        lock: None,
        reversible: true,
        why: "it waits without limit for an exclusive lock, and everybody else waits behind it",
        instead: Some("SET lock_timeout = '5s' at the beginning of the script, and try again when it strikes"),
        applies: |_| false,
    },
    Rule {
        id: "work-under-exclusive-lock",
        level: Level::High,
        lock: None,
        reversible: true,
        why: "it runs in a transaction that already locks a table exclusively: nobody can use that table meanwhile",
        instead: Some("commit after the statement that takes the lock"),
        applies: |_| false,
    },
    Rule {
        id: "definitions-and-rows-mixed",
        level: Level::Medium,
        lock: None,
        reversible: true,
        why: "definitions and rows change in one transaction: locks are held while rows are written",
        instead: Some("change the definitions in one transaction, the rows in another"),
        applies: |_| false,
    },
    Rule {
        id: "not-transactional",
        level: Level::Medium,
        lock: None,
        reversible: true,
        why: "it cannot run inside a transaction; if it fails half-way it leaves something invalid behind",
        instead: Some("run it alone, and look for what it left when it fails"),
        applies: |_| false,
    },
];

/// Commands that refuse to run in a transaction block (`PreventInTransactionBlock`).
const OUTSIDE_ONLY: [&str; 8] = [
    "VACUUM",
    "CREATE DATABASE",
    "DROP DATABASE",
    "CREATE TABLESPACE",
    "DROP TABLESPACE",
    "CREATE SUBSCRIPTION",
    "DROP SUBSCRIPTION",
    "ALTER SYSTEM",
];

/// Adds to the risks of a script's statements what they are because of each other.
pub fn assess_script(statements: &[Statement], risks: &mut [Risk]) {
    let mut state = State::default();
    for (statement, risk) in statements.iter().zip(risks) {
        state.before(statement, risk);
        state.after(statement, risk);
    }
}

/// How far a script has come.
#[derive(Debug, Default)]
struct State {
    /// A `lock_timeout` is set.
    lock_timeout: bool,
    /// Inside BEGIN ... COMMIT.
    transaction: bool,
    /// This transaction locks a table exclusively.
    exclusive: bool,
    /// This transaction changed definitions.
    definitions: bool,
    /// This transaction changed rows.
    rows: bool,
}

impl State {
    fn before(&self, statement: &Statement, risk: &mut Risk) {
        let does = |actions: &[Action]| statement.effects.iter().any(|effect| actions.contains(&effect.action));
        let rows = does(&[Action::Insert, Action::Update, Action::Delete, Action::Truncate]);
        let definitions = does(&[Action::Create, Action::Alter, Action::Drop]);
        if risk.lock() == Some(Lock::AccessExclusive) && !self.lock_timeout {
            add(risk, "no-lock-timeout");
        }
        if !self.transaction {
            return;
        }
        if self.exclusive && (rows || does(&[Action::Read]) || risk.level() >= Level::High) {
            add(risk, "work-under-exclusive-lock");
        }
        if (rows && self.definitions) || (definitions && self.rows) {
            add(risk, "definitions-and-rows-mixed");
        }
        if OUTSIDE_ONLY.contains(&statement.command.as_str()) || risk.rules.iter().any(|rule| rule.id == CONCURRENT) {
            add(risk, "not-transactional");
        }
    }

    fn after(&mut self, statement: &Statement, risk: &Risk) {
        let does = |actions: &[Action]| statement.effects.iter().any(|effect| actions.contains(&effect.action));
        self.exclusive |= self.transaction && risk.lock() == Some(Lock::AccessExclusive);
        self.rows |= does(&[Action::Insert, Action::Update, Action::Delete, Action::Truncate]);
        self.definitions |= does(&[Action::Create, Action::Alter, Action::Drop]);
        for change in &statement.session {
            match change {
                SessionChange::Begin => {
                    *self = Self { transaction: true, lock_timeout: self.lock_timeout, ..Self::default() }
                }
                SessionChange::Commit | SessionChange::Rollback => {
                    *self = Self { lock_timeout: self.lock_timeout, ..Self::default() };
                }
                SessionChange::Set { name: Some(name), value, .. } if name == "lock_timeout" => {
                    self.lock_timeout = value.as_deref().is_some_and(|value| value != "0");
                }
                _ => {}
            }
        }
    }
}

/// The rule of statements that do their work in several transactions of their own.
const CONCURRENT: &str = "concurrently";

fn add(risk: &mut Risk, id: &str) {
    if let Some(rule) = RULES.iter().find(|rule| rule.id == id) {
        risk.add(rule);
    }
}
