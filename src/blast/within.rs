//! What one statement makes of the names in those behind it, where the server is not heard in between: in one message,
//! or in a script that nobody runs.
//!
//! A statement is reached only when those before it have succeeded. What they took away is not there any more, so that a
//! name may mean a permanent relation again; and a temporary table that they made is the session's own.

use super::resolve::{ApprovedUse, Resolved, SearchPath};
use super::{Facts, NameContext, NameSet};
use crate::sql::{Action, DiscardTarget, Effect, ObjectKind, SessionChange, Statement};

/// Whether [`follow`] may change anything behind a statement.
#[must_use]
pub fn concerns_names(statement: &Statement, resolved: &Resolved) -> bool {
    let defines = |effect: &Effect| matches!(effect.action, Action::Create | Action::Alter | Action::Drop);
    let changes = |change: &SessionChange| {
        !matches!(
            change,
            SessionChange::Begin
                | SessionChange::Savepoint(_)
                | SessionChange::ReleaseSavepoint(_)
                | SessionChange::Prepare { .. }
                | SessionChange::ExecutePrepared { .. }
                | SessionChange::Deallocate(_)
                | SessionChange::DeclareCursor { .. }
                | SessionChange::FetchCursor(_)
                | SessionChange::CloseCursor(_)
        )
    };
    resolved.effects.iter().any(defines) || statement.session.iter().any(changes) || runs_unseen(statement, resolved)
}

/// Brings the names up to date behind a statement: what it has defined, its temporary relations, and its search path.
pub fn follow(names: &mut NameContext, statement: &Statement, resolved: &Resolved, facts: Option<&Facts>) {
    let Resolved { effects, approved, .. } = resolved;
    names.definitions.note(Some(statement), effects, *approved, facts);
    if statement.session.iter().any(|change| matches!(change, SessionChange::Commit)) {
        // Those that are `ON COMMIT DROP` are gone, and which are is not kept here.
        names.temporary = NameSet::default();
    }
    follow_temporary(names, statement, resolved);
    for change in &statement.session {
        follow_search_path(names, statement, change);
    }
    if runs_unseen(statement, resolved) {
        names.search_path = SearchPath::Unknown;
        names.temporary = NameSet::default();
        names.unseen = true;
    }
}

/// The same for its temporary relations alone, as if no transaction ended and no code ran that nobody sees through.
pub fn follow_temporary(names: &mut NameContext, statement: &Statement, resolved: &Resolved) {
    let adds_code = resolved.effects.iter().any(|effect| {
        let kinds = [ObjectKind::Trigger, ObjectKind::Rule, ObjectKind::Policy];
        effect.action == Action::Create && kinds.contains(&effect.object.kind)
    });
    for effect in &resolved.effects {
        let name = &effect.object.name;
        match effect.action {
            // Its name, or what it runs, may be another one now.
            Action::Alter => {
                let known = names.temporary.remove(name);
                if adds_code && (known || effect.temporary) {
                    names.temporary_code.insert(name);
                }
            }
            Action::Drop if effect.temporary && !name.is_empty() => drop(names.temporary.remove(name)),
            // With CASCADE, or as the owner's, or as a child's, it may have taken any of them along.
            Action::Drop => names.temporary = NameSet::default(),
            _ => {}
        }
    }
    for change in &statement.session {
        match change {
            SessionChange::Rollback
            | SessionChange::RollbackToSavepoint(_)
            | SessionChange::Discard(DiscardTarget::All | DiscardTarget::Temporary) => {
                names.temporary = NameSet::default();
            }
            _ => {}
        }
    }
    for effect in resolved.effects.iter().filter(|effect| effect.action == Action::Create && effect.temporary) {
        made(names, statement, effect, resolved.columns_run_code);
    }
}

/// A temporary relation is made, unless it was there.
fn made(names: &mut NameContext, statement: &Statement, effect: &Effect, runs_code: bool) {
    let name = &effect.object.name;
    match effect.object.kind {
        ObjectKind::Table | ObjectKind::Sequence if runs_code => {
            names.temporary.remove(name);
            names.temporary_code.insert(name);
        }
        ObjectKind::Table | ObjectKind::Sequence => {
            let new = |change: &SessionChange| matches!(change, SessionChange::CreateTemporary { name: made, may_exist: false } if made == name);
            if statement.session.iter().any(new) {
                names.temporary.insert(name);
            }
        }
        ObjectKind::View | ObjectKind::Type | ObjectKind::Domain => drop(names.temporary_code.insert(name)),
        _ => {}
    }
}

fn follow_search_path(names: &mut NameContext, statement: &Statement, change: &SessionChange) {
    match change {
        SessionChange::Set { name: Some(name), value, .. } if name == "search_path" => {
            // A call of set_config inside a larger statement may not have been reached.
            let value = value.as_deref().filter(|_| statement.command == "SET");
            names.search_path = value.map_or(SearchPath::Unknown, SearchPath::parse);
        }
        SessionChange::Set { name: Some(name), .. } | SessionChange::Reset(Some(name))
            if !matches!(name.as_str(), "search_path" | "role" | "session_authorization") => {}
        SessionChange::Set { .. }
        | SessionChange::Reset(_)
        | SessionChange::Role
        | SessionChange::Commit
        | SessionChange::Rollback
        | SessionChange::RollbackToSavepoint(_)
        | SessionChange::Discard(DiscardTarget::All) => names.search_path = SearchPath::Unknown,
        _ => {}
    }
}

/// Whether anything may have happened.
fn runs_unseen(statement: &Statement, resolved: &Resolved) -> bool {
    statement.session.contains(&SessionChange::Anything)
        || resolved.approved == ApprovedUse::Unsettling
        || resolved.effects.iter().any(|effect| matches!(effect.action, Action::Execute | Action::Unknown))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blast::resolve;
    use crate::sql::{LexerSettings, analyze};

    /// The names behind a script, where there are no permanent relations.
    fn behind(script: &str) -> NameContext {
        let facts = Facts { schemas: ["public".to_owned()].into(), ..Facts::default() };
        let mut names = NameContext { search_path: SearchPath::parse("public"), ..NameContext::default() };
        for statement in analyze(script.as_bytes(), &LexerSettings::default()).statements {
            let resolved = resolve(&statement, &facts, &names);
            if concerns_names(&statement, &resolved) {
                follow(&mut names, &statement, &resolved, Some(&facts));
            }
        }
        names
    }

    #[test]
    fn only_what_is_certainly_there_counts() {
        for (script, is_there) in [
            ("CREATE TEMP TABLE t (a int)", true),
            ("SELECT 1 INTO TEMP t", true),
            ("CREATE TEMP TABLE t (a int); INSERT INTO t VALUES (1); SELECT * FROM t", true),
            ("CREATE TEMP TABLE t (a int); BEGIN; SET work_mem = 1; PREPARE p AS SELECT 1", true),
            ("CREATE TEMP TABLE IF NOT EXISTS t (a int)", false),
            ("CREATE TEMP TABLE t (a int); DROP TABLE t", false),
            ("CREATE TEMP TABLE t (a int); DROP SCHEMA s CASCADE", false),
            ("CREATE TEMP TABLE t (a int); ALTER TABLE t RENAME TO u", false),
            ("CREATE TEMP TABLE t (a int); COMMIT", false),
            ("CREATE TEMP TABLE t (a int); ROLLBACK", false),
            ("CREATE TEMP TABLE t (a int); ROLLBACK TO s", false),
            ("CREATE TEMP TABLE t (a int); DISCARD ALL", false),
            ("CREATE TEMP TABLE t (a int); DISCARD TEMP", false),
            ("CREATE TEMP TABLE t (a int); DO 'x'", false),
            ("CREATE TEMP TABLE t (a int); CALL p()", false),
        ] {
            assert_eq!(behind(script).temporary.contains("t"), is_there, "{script}");
        }
        assert!(behind("CREATE TEMP VIEW v AS SELECT 1").temporary_code.contains("v"));
        assert!(behind("DO 'x'").unseen);
    }

    #[test]
    fn the_search_path_is_the_last_one_that_is_certain() {
        let known = |path: &str| SearchPath::parse(path);
        for (script, path) in [
            ("SET work_mem = 1; SELECT 1", known("public")),
            ("SET search_path = a, b", known("a, b")),
            ("SET LOCAL search_path = a", known("a")),
            ("SELECT set_config('search_path', 'a', true)", SearchPath::Unknown),
            ("SET search_path = a; RESET search_path", SearchPath::Unknown),
            ("SET ROLE other", SearchPath::Unknown),
            ("SET LOCAL search_path = a; COMMIT", SearchPath::Unknown),
            ("ROLLBACK", SearchPath::Unknown),
            ("DISCARD ALL", SearchPath::Unknown),
            ("DO 'x'", SearchPath::Unknown),
        ] {
            assert_eq!(behind(script).search_path, path, "{script}");
        }
    }
}
