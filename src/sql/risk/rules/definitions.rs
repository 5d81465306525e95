//! Rules about definitions that are removed, changed or added.

use crate::sql::effect::{Action, ObjectKind};
use crate::sql::risk::{Level, Lock, Rule};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "drop-database",
        level: Level::Critical,
        lock: Some(Lock::AccessExclusive),
        reversible: false,
        why: "the whole database and everything in it is gone",
        instead: Some("dump it, revoke CONNECT, rename it, and drop it when nobody missed it"),
        applies: |case| case.does_to(Action::Drop, &[ObjectKind::Database]),
    },
    Rule {
        id: "drop-schema",
        level: Level::Critical,
        lock: Some(Lock::AccessExclusive),
        reversible: false,
        why: "a schema is gone, with CASCADE everything in it too",
        instead: Some("drop what is in it by name first, then the empty schema without CASCADE"),
        applies: |case| case.does_to(Action::Drop, &[ObjectKind::Schema]),
    },
    Rule {
        id: "drop-table",
        level: Level::Critical,
        lock: Some(Lock::AccessExclusive),
        reversible: false,
        why: "the table and all of its rows are gone",
        instead: Some("rename it first, and drop it when nobody missed it and a backup has it"),
        applies: |case| case.does_to(Action::Drop, &[ObjectKind::Table, ObjectKind::Relation]),
    },
    Rule {
        id: "drop-owned",
        level: Level::Critical,
        lock: Some(Lock::AccessExclusive),
        reversible: false,
        why: "everything that a role owns is dropped, and its privileges are taken away",
        instead: Some("REASSIGN OWNED first, then look at what is left"),
        applies: |case| case.command() == "DROP OWNED",
    },
    Rule {
        id: "drop-cascade",
        level: Level::Critical,
        lock: Some(Lock::AccessExclusive),
        reversible: false,
        why: "CASCADE drops everything that depends on it, which the statement does not name",
        instead: Some("leave CASCADE out: the error lists what depends on it"),
        applies: |case| case.does(Action::Drop) && case.has(&["cascade"]),
    },
    Rule {
        id: "drop-column",
        level: Level::Critical,
        lock: Some(Lock::AccessExclusive),
        reversible: false,
        why: "the column and all of its values are gone, and programs that name it fail",
        instead: Some("stop using it in all programs first; drop it in a later release, with lock_timeout set"),
        applies: |case| case.begins(&["alter"]) && case.actions().any(|action| action.drops_column()),
    },
    Rule {
        id: "drop-identity",
        level: Level::High,
        lock: Some(Lock::AccessExclusive),
        reversible: false,
        why: "the column's sequence is gone, and with it how far it had come; inserts without a value fail",
        instead: Some("write down the sequence's last_value first, and set another default in the same transaction"),
        applies: |case| case.actions().any(|action| action.alters_column(&["drop", "identity"])),
    },
    Rule {
        id: "unenforce-constraint",
        level: Level::High,
        lock: Some(Lock::AccessExclusive),
        reversible: true,
        why: "the constraint guards the data no longer; to have that back, all rows must be checked again",
        instead: Some("correct the rows that stand in the way"),
        applies: |case| {
            case.actions().any(|action| action.begins(&["alter", "constraint"]) && action.has(&["not", "enforced"]))
        },
    },
    Rule {
        id: "drop-constraint",
        level: Level::High,
        lock: Some(Lock::AccessExclusive),
        reversible: true,
        why: "a guard of the data is gone; to have it back, all rows must be checked again",
        instead: Some("add the new constraint as NOT VALID, validate it, then drop the old one"),
        applies: |case| case.alters(&["drop", "constraint"]),
    },
    Rule {
        id: "drop-guard",
        level: Level::Critical,
        lock: Some(Lock::AccessExclusive),
        reversible: true,
        why: "a policy, trigger or rule that guards the data is gone",
        instead: Some("replace it by a better one in the same transaction"),
        applies: |case| {
            let guards = [ObjectKind::Policy, ObjectKind::Trigger, ObjectKind::Rule, ObjectKind::EventTrigger];
            case.does_to(Action::Drop, &guards)
        },
    },
    Rule {
        id: "drop-index",
        level: Level::Medium,
        lock: Some(Lock::AccessExclusive),
        reversible: true,
        why: "nobody can read or write the table while the index is dropped, and queries that need it get slow",
        instead: Some("DROP INDEX CONCURRENTLY, outside a transaction"),
        applies: |case| case.command() == "DROP INDEX" && !case.has(&["index", "concurrently"]),
    },
    Rule {
        id: "drop-object",
        level: Level::High,
        lock: Some(Lock::AccessExclusive),
        reversible: false,
        why: "a definition is gone, and with it what only it knew",
        instead: Some("save its definition first (pg_dump --schema-only)"),
        applies: |case| case.does(Action::Drop) && case.begins(&["drop"]) && case.command() != "DROP INDEX",
    },
    Rule {
        id: "replace-code",
        level: Level::Critical,
        lock: None,
        reversible: false,
        why: "the code is replaced: from now on everything that calls or reads it does something else",
        instead: Some("save the old definition first (pg_get_functiondef, pg_get_viewdef)"),
        applies: |case| case.begins(&["create", "or", "replace"]) && case.does(Action::Create),
    },
    Rule {
        id: "hidden-code",
        level: Level::Critical,
        lock: Some(Lock::ShareRowExclusive),
        reversible: true,
        why: "later statements run this code without naming it",
        instead: None,
        applies: |case| {
            let kinds = ["RULE", "TRIGGER", "CONSTRAINT TRIGGER", "OPERATOR", "OPERATOR CLASS", "CAST", "POLICY"];
            let others = ["EVENT TRIGGER", "TRANSFORM", "CONVERSION", "OPERATOR FAMILY"];
            case.is("CREATE", &kinds) || case.is("CREATE", &others) || case.command() == "ALTER POLICY"
        },
    },
    Rule {
        id: "create-code",
        level: Level::Medium,
        lock: None,
        reversible: true,
        why: "a new function or view may hide another of the same name from statements that do not name a schema",
        instead: Some("name the schema, in the definition and where it is used"),
        applies: |case| {
            case.is("CREATE", &["FUNCTION", "PROCEDURE", "AGGREGATE", "VIEW", "RECURSIVE VIEW"])
                && !case.begins(&["create", "or", "replace"])
        },
    },
    Rule {
        id: "disable-trigger",
        level: Level::High,
        lock: Some(Lock::ShareRowExclusive),
        reversible: true,
        why: "triggers, foreign keys among them, no longer guard the data for anybody",
        instead: Some("change the trigger to leave out what it should not see"),
        applies: |case| {
            case.alters(&["disable", "trigger"])
                || case.alters(&["disable", "rule"])
                || (case.command() == "ALTER EVENT TRIGGER" && case.has(&["disable"]))
        },
    },
    Rule {
        id: "disable-row-security",
        level: Level::Critical,
        lock: Some(Lock::AccessExclusive),
        reversible: true,
        why: "every role with privileges on the table sees and changes all of its rows",
        instead: Some("add a policy for the role that needs more"),
        applies: |case| {
            case.alters(&["disable", "row", "level", "security"])
                || case.alters(&["no", "force", "row", "level", "security"])
        },
    },
    Rule {
        id: "enable-row-security",
        level: Level::High,
        lock: Some(Lock::AccessExclusive),
        reversible: true,
        why: "without a policy that lets them, other roles see no row of the table any more",
        instead: Some("create the policies first, in the same transaction"),
        applies: |case| {
            case.alters(&["enable", "row", "level", "security"]) || case.alters(&["force", "row", "level", "security"])
        },
    },
    Rule {
        id: "drop-not-null",
        level: Level::Medium,
        lock: Some(Lock::AccessExclusive),
        reversible: true,
        why: "programs that count on a value get NULL from now on",
        instead: None,
        applies: |case| case.actions().any(|action| action.alters_column(&["drop", "not", "null"])),
    },
    Rule {
        id: "rename",
        level: Level::High,
        lock: Some(Lock::AccessExclusive),
        reversible: true,
        why: "programs that use the old name fail at once",
        instead: Some("add the new name beside the old (a view, a new column) and take the old one away later"),
        applies: |case| case.begins(&["alter"]) && (case.has(&["rename"]) || case.has(&["set", "schema"])),
    },
    Rule {
        id: "set-unlogged",
        level: Level::High,
        lock: Some(Lock::AccessExclusive),
        reversible: true,
        why: "the table is written anew while nobody can use it, is not replicated, and is empty after a crash",
        instead: Some("make a new UNLOGGED table for data that may be lost"),
        applies: |case| case.alters(&["set", "unlogged"]),
    },
    Rule {
        id: "enum-value",
        level: Level::Low,
        lock: None,
        reversible: false,
        why: "a value of an enum cannot be taken away again",
        instead: None,
        applies: |case| case.command() == "ALTER TYPE" && case.alters(&["add", "value"]),
    },
    Rule {
        id: "alter-object",
        level: Level::Medium,
        lock: None,
        reversible: true,
        why: "a definition is changed",
        instead: None,
        applies: |case| case.does(Action::Alter) && case.command() != "ALTER TABLE",
    },
    Rule {
        id: "create-object",
        level: Level::Low,
        lock: None,
        reversible: true,
        why: "a definition is added",
        instead: None,
        applies: |case| case.does(Action::Create),
    },
];
