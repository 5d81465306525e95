//! The temporary relations of a session, as far as it is certain that they exist and that nothing runs when they are
//! used: what is done to these is nobody else's loss.
//!
//! The catalog's facts leave them out, so they are followed here: made, dropped, gone with a commit or a rollback.
//! Where it is not certain that one is still there, it is left out, and a statement that names it is decided as if it
//! meant the permanent relation of that name.

use std::collections::{HashMap, HashSet};

use super::settings::TransactionEnd;
use crate::blast::{NameContext, NameSet};
use crate::sql::{Action, Effect, ObjectKind};

/// How many are followed; more are left out.
const MOST_RELATIONS: usize = 10_000;

/// What becomes of it when its transaction commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnCommit {
    Stays,
    Drops,
}

/// The temporary relations of a session.
///
/// A session may make thousands of them, so nothing here goes through all of them for a statement or a transaction that
/// concerns a few.
#[derive(Debug, Default)]
pub(super) struct TemporaryRelations {
    relations: HashMap<String, OnCommit>,
    /// Those of them that were made in the transaction under way: a rollback takes them away.
    uncommitted: HashSet<String>,
    /// Those that run code when they are used, or did. A rollback may bring them back, so none is taken out.
    code: HashSet<String>,
    /// There may be others, which run code.
    unseen: bool,
    untold: Untold,
}

/// What has changed since the names were last brought up to date.
#[derive(Debug, Default)]
struct Untold {
    names: HashSet<String>,
    /// Of all of them nothing is as it was.
    all: bool,
}

/// What the server says of a temporary relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing runs when it is used.
    Plain,
    /// Something may.
    RunsCode,
}

impl TemporaryRelations {
    /// What a statement that succeeded made and dropped. Whether the server should be asked what became of them.
    pub(super) fn done(&mut self, effects: &[Effect], on_commit: OnCommit) -> bool {
        let before = self.relations.len();
        let adds_code = effects.iter().any(|effect| {
            let kinds = [ObjectKind::Trigger, ObjectKind::Rule, ObjectKind::Policy];
            effect.action == Action::Create && kinds.contains(&effect.object.kind)
        });
        for effect in effects {
            let name = &effect.object.name;
            match effect.action {
                // Its name, or what it runs, may be another one now; CREATE INDEX and CREATE TRIGGER alter the table.
                Action::Alter => {
                    let known = self.remove(name);
                    self.unseen |= self.code.contains(name);
                    if adds_code && (known || effect.temporary) {
                        self.runs_code(name);
                    }
                }
                Action::Drop if effect.temporary && !name.is_empty() => drop(self.remove(name)),
                // With CASCADE, or as the owner's, or as a child's, it may have taken any of them along.
                Action::Drop => self.forget(),
                Action::Create
                    if effect.temporary
                        && matches!(effect.object.kind, ObjectKind::View | ObjectKind::Type | ObjectKind::Domain) =>
                {
                    self.runs_code(name);
                }
                _ => {}
            }
        }
        let made = effects.iter().filter(|effect| {
            effect.action == Action::Create
                && effect.temporary
                && matches!(effect.object.kind, ObjectKind::Table | ObjectKind::Sequence)
        });
        let altered = effects.iter().any(|effect| effect.action == Action::Alter);
        let asks = self.unseen || self.relations.len() < before && (altered || self.relations.is_empty());
        for effect in made {
            self.made(&effect.object.name, on_commit);
        }
        asks
    }

    /// What a statement made has columns whose types run code: of domains with a check or a default, as it seems.
    pub(super) fn made_code(&mut self, effects: &[Effect]) {
        for effect in effects.iter().filter(|effect| effect.action == Action::Create && effect.temporary) {
            self.remove(&effect.object.name);
            self.runs_code(&effect.object.name);
        }
    }

    fn remove(&mut self, name: &str) -> bool {
        self.uncommitted.remove(name);
        let known = self.relations.remove(name).is_some();
        if known {
            self.untold.names.insert(name.to_owned());
        }
        known
    }

    fn runs_code(&mut self, name: &str) {
        if self.code.insert(name.to_owned()) {
            self.untold.names.insert(name.to_owned());
        }
    }

    fn made(&mut self, name: &str, on_commit: OnCommit) {
        // It was there already: IF NOT EXISTS.
        if name.is_empty() || self.relations.contains_key(name) || self.relations.len() >= MOST_RELATIONS {
            return;
        }
        self.relations.insert(name.to_owned(), on_commit);
        self.uncommitted.insert(name.to_owned());
        self.untold.names.insert(name.to_owned());
    }

    /// The transaction is over.
    pub(super) fn ended(&mut self, end: TransactionEnd) {
        match end {
            TransactionEnd::Committed => {
                for name in std::mem::take(&mut self.uncommitted) {
                    if self.relations.get(&name) == Some(&OnCommit::Drops) {
                        self.remove(&name);
                    }
                }
            }
            // What it dropped is there again. That is not followed: it was taken out.
            TransactionEnd::RolledBack => self.rolled_back_in_part(),
        }
    }

    /// `ROLLBACK TO SAVEPOINT`: what was made since is gone, and we do not keep what came when.
    pub(super) fn rolled_back_in_part(&mut self) {
        for name in std::mem::take(&mut self.uncommitted) {
            self.remove(&name);
        }
    }

    /// Code that nobody sees through runs: it may make and drop any.
    pub(super) fn unseen(&mut self) {
        self.forget();
        self.unseen = true;
    }

    /// The server was asked which there are. Within a transaction it did not say what its end makes of them; it does not
    /// say either what a rollback brings back.
    pub(super) fn learned(&mut self, seen: Vec<(String, Seen)>, whole: bool, within_transaction: bool) {
        self.forget();
        if !within_transaction && whole {
            self.code.clear();
        }
        for (name, kind) in seen {
            match kind {
                Seen::RunsCode => self.runs_code(&name),
                Seen::Plain if self.code.contains(&name) => {}
                Seen::Plain if within_transaction => self.made(&name, OnCommit::Drops),
                Seen::Plain => {
                    self.made(&name, OnCommit::Stays);
                    self.uncommitted.remove(&name);
                }
            }
        }
        self.unseen = !whole;
    }

    /// None of them is there any more, as far as is certain.
    pub(super) fn forget(&mut self) {
        self.relations.clear();
        self.uncommitted.clear();
        self.untold.all = true;
    }

    /// Whether none is known.
    pub(super) fn is_empty(&self) -> bool {
        self.relations.is_empty()
    }

    /// Whether the end of the transaction may take one away.
    pub(super) fn is_uncommitted(&self) -> bool {
        !self.uncommitted.is_empty()
    }

    /// Brings the names that statements are resolved with up to date: always the same ones. Whether they changed.
    pub(super) fn tell(&mut self, names: &mut NameContext) -> bool {
        let untold = std::mem::take(&mut self.untold);
        let mut changed = std::mem::replace(&mut names.unseen, self.unseen) != self.unseen;
        if untold.all {
            changed |= self.relations.len() != names.temporary.len()
                || self.code.len() != names.temporary_code.len()
                || !self.relations.keys().all(|name| names.temporary.contains(name))
                || !self.code.iter().all(|name| names.temporary_code.contains(name));
            names.temporary = self.relations.keys().cloned().collect();
            names.temporary_code = self.code.iter().cloned().collect();
            return changed;
        }
        for name in &untold.names {
            changed |= set(&mut names.temporary, name, self.relations.contains_key(name));
            changed |= set(&mut names.temporary_code, name, self.code.contains(name));
        }
        changed
    }
}

/// Makes a name one of these, or none; whether that is new.
fn set(names: &mut NameSet, name: &str, is_one: bool) -> bool {
    if is_one { names.insert(name) } else { names.remove(name) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Object;

    fn create(name: &str) -> Effect {
        Effect::new(Action::Create, Object::new(ObjectKind::Table, name)).temporary()
    }

    fn drop(name: &str) -> Effect {
        Effect::new(Action::Drop, Object::in_schema(ObjectKind::Table, "pg_temp", name)).temporary()
    }

    fn names(relations: &TemporaryRelations) -> Vec<String> {
        let mut names: Vec<_> = relations.relations.keys().cloned().collect();
        names.sort();
        names
    }

    #[test]
    fn a_rollback_takes_away_what_the_transaction_made() {
        let mut relations = TemporaryRelations::default();
        relations.done(&[create("a")], OnCommit::Stays);
        relations.ended(TransactionEnd::Committed);
        relations.done(&[create("b")], OnCommit::Stays);
        assert_eq!(names(&relations), ["a", "b"]);
        relations.rolled_back_in_part();
        assert_eq!(names(&relations), ["a"]);
        // Its drop is rolled back, which is not followed.
        relations.done(&[drop("a")], OnCommit::Stays);
        relations.ended(TransactionEnd::RolledBack);
        assert!(names(&relations).is_empty());
    }

    #[test]
    fn a_commit_drops_what_was_made_so() {
        let mut relations = TemporaryRelations::default();
        relations.done(&[create("a")], OnCommit::Drops);
        // IF NOT EXISTS changes nothing.
        relations.done(&[create("a")], OnCommit::Stays);
        assert_eq!(names(&relations), ["a"]);
        relations.ended(TransactionEnd::Committed);
        assert!(names(&relations).is_empty());
    }

    #[test]
    fn what_is_not_certain_is_left_out() {
        let some = || {
            let mut relations = TemporaryRelations::default();
            relations.done(&[create("a"), create("b")], OnCommit::Stays);
            relations
        };
        let alter = Effect::new(Action::Alter, Object::new(ObjectKind::Table, "a"));
        let mut relations = some();
        relations.done(&[alter], OnCommit::Stays);
        assert_eq!(names(&relations), ["b"]);
        let owned = Effect::new(Action::Drop, Object::new(ObjectKind::Role, "app"));
        let mut relations = some();
        relations.done(&[owned], OnCommit::Stays);
        assert!(names(&relations).is_empty());
    }

    #[test]
    fn what_runs_code_stays_known_as_such() {
        let mut context = NameContext::default();
        let mut relations = TemporaryRelations::default();
        relations.done(&[create("a")], OnCommit::Stays);
        let view = Effect::new(Action::Create, Object::new(ObjectKind::View, "v")).temporary();
        let trigger = Effect::new(Action::Create, Object::new(ObjectKind::Trigger, "t"));
        let alter = Effect::new(Action::Alter, Object::in_schema(ObjectKind::Table, "pg_temp", "a")).temporary();
        relations.done(&[view], OnCommit::Stays);
        relations.done(&[trigger, alter.clone()], OnCommit::Stays);
        relations.done(&[drop("a")], OnCommit::Stays);
        relations.ended(TransactionEnd::RolledBack);
        assert!(relations.tell(&mut context));
        assert!(context.temporary.is_empty() && !context.unseen);
        let code: HashSet<&str> = context.temporary_code.iter().map(String::as_str).collect();
        assert_eq!(code, ["a", "v"].into());
        assert!(relations.done(&[alter], OnCommit::Stays));
        assert!(relations.tell(&mut context) && context.unseen);
    }

    #[test]
    fn what_the_server_says_counts_until_the_transaction_ends() {
        let mut context = NameContext::default();
        let mut relations = TemporaryRelations::default();
        relations.done(&[create("a")], OnCommit::Stays);
        relations.unseen();
        assert!(relations.tell(&mut context) && context.unseen && context.temporary.is_empty());
        let seen = || vec![("b".to_owned(), Seen::Plain), ("v".to_owned(), Seen::RunsCode)];
        relations.learned(seen(), true, true);
        assert!(relations.tell(&mut context) && !context.unseen);
        assert_eq!(names(&relations), ["b"]);
        relations.ended(TransactionEnd::Committed);
        assert!(names(&relations).is_empty());
        relations.learned(seen(), true, false);
        relations.ended(TransactionEnd::RolledBack);
        assert_eq!(names(&relations), ["b"]);
        relations.learned(vec![("v".to_owned(), Seen::Plain)], false, false);
        assert!(names(&relations).is_empty());
        assert!(relations.tell(&mut context) && context.unseen && context.temporary_code.contains("v"));
    }
}
