//! Rules about rows.

use crate::sql::effect::{Action, ObjectKind};
use crate::sql::risk::{Level, Lock, Rule};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "truncate",
        level: Level::Critical,
        lock: Some(Lock::AccessExclusive),
        reversible: false,
        why: "every row is removed at once, without row triggers, and nobody can read the table meanwhile",
        instead: Some("delete in batches by key, or rename the table and drop it when nobody missed it"),
        applies: |case| case.does(Action::Truncate),
    },
    Rule {
        id: "truncate-cascade",
        level: Level::Critical,
        lock: Some(Lock::AccessExclusive),
        reversible: false,
        why: "CASCADE empties every table that refers to this one, and those that refer to them",
        instead: Some("name the tables one by one, without CASCADE"),
        applies: |case| case.does(Action::Truncate) && case.has(&["cascade"]),
    },
    Rule {
        id: "restart-sequence",
        level: Level::High,
        lock: None,
        reversible: false,
        why: "a sequence begins anew: how far it had come is forgotten, and it gives numbers out again that are in use",
        instead: Some("write down its last_value first, or leave it where it is"),
        applies: |case| {
            let truncates = case.does(Action::Truncate) && case.has(&["restart", "identity"]);
            let restarts = case.command() == "ALTER SEQUENCE" && case.has(&["restart"]);
            truncates || restarts || case.actions().any(|action| action.alters_column(&["restart"]))
        },
    },
    Rule {
        id: "delete-all",
        level: Level::Critical,
        lock: Some(Lock::RowExclusive),
        reversible: false,
        why: "deletes every row: there is no WHERE, or one that may be true for all of them",
        instead: Some("add a WHERE that names the rows; to empty a table on purpose, say TRUNCATE"),
        applies: |case| case.whole(Action::Delete),
    },
    Rule {
        id: "update-all",
        level: Level::Critical,
        lock: Some(Lock::RowExclusive),
        reversible: false,
        why: "changes every row: there is no WHERE, or one that may be true for all of them",
        instead: Some("add a WHERE that names the rows; to fill a new column, update in batches by key"),
        applies: |case| case.whole(Action::Update) && case.does_to(Action::Update, RELATIONS),
    },
    Rule {
        id: "merge-delete",
        level: Level::High,
        lock: Some(Lock::RowExclusive),
        reversible: false,
        why: "MERGE deletes rows: which ones depends on the data it is merged with",
        instead: Some("run the join as a SELECT first, then delete by key"),
        applies: |case| case.command() == "MERGE" && case.has(&["delete"]),
    },
    Rule {
        id: "merge",
        level: Level::Medium,
        lock: Some(Lock::RowExclusive),
        reversible: false,
        why: "MERGE changes rows: which ones depends on the data it is merged with",
        instead: None,
        applies: |case| case.command() == "MERGE",
    },
    Rule {
        id: "delete-rows",
        level: Level::Medium,
        lock: Some(Lock::RowExclusive),
        reversible: false,
        why: "deleted rows are gone, and what refers to them with ON DELETE CASCADE goes with them",
        instead: Some("mark rows as deleted (a deleted_at column) and delete them later, in batches by key"),
        applies: |case| case.bounded(Action::Delete),
    },
    Rule {
        id: "update-rows",
        level: Level::Low,
        lock: Some(Lock::RowExclusive),
        reversible: false,
        why: "the old values of the rows are gone",
        instead: None,
        applies: |case| case.bounded(Action::Update) && case.does_to(Action::Update, RELATIONS),
    },
    Rule {
        id: "bulk-upsert",
        level: Level::High,
        lock: Some(Lock::RowExclusive),
        reversible: false,
        why: "rows from a query overwrite existing ones, as many as there are",
        instead: Some("say WHERE in DO UPDATE, and run the query alone first to see how many rows it gives"),
        applies: |case| {
            case.does(Action::Insert)
                && case.anywhere(&["do", "update"])
                && (case.has(&["select"]) || case.has(&["table"]))
        },
    },
    Rule {
        id: "insert-rows",
        level: Level::Low,
        lock: Some(Lock::RowExclusive),
        reversible: true,
        why: "rows are added",
        instead: None,
        applies: |case| case.does_to(Action::Insert, RELATIONS),
    },
    Rule {
        id: "catalog-change",
        level: Level::Critical,
        lock: Some(Lock::RowExclusive),
        reversible: false,
        why: "the server's own catalogs are changed by hand: a wrong row there can make the database unusable",
        instead: Some("use the command that is made for it (ALTER, COMMENT, GRANT ...)"),
        applies: |case| case.changes_catalogs(),
    },
    Rule {
        id: "lock-table",
        level: Level::Medium,
        lock: Some(Lock::AccessExclusive),
        reversible: true,
        why: "others wait until this transaction ends",
        instead: Some("lock rows (SELECT ... FOR UPDATE), or a weaker mode, and set lock_timeout"),
        applies: |case| case.command() == "LOCK TABLE" && case.harms(Action::Lock),
    },
    Rule {
        id: "lock-all-rows",
        level: Level::Medium,
        lock: Some(Lock::RowShare),
        reversible: true,
        why: "FOR UPDATE without WHERE or LIMIT locks every row until this transaction ends",
        instead: Some("add a WHERE or a LIMIT, or SKIP LOCKED"),
        applies: |case| {
            let locks = ["update", "share"].iter().any(|mode| case.has(&["for", mode]))
                || case.has(&["for", "no", "key", "update"])
                || case.has(&["for", "key", "share"]);
            case.does(Action::Lock) && locks && !["where", "limit", "fetch"].iter().any(|word| case.has(&[word]))
        },
    },
    Rule {
        id: "large-object-or-sequence",
        level: Level::Medium,
        lock: None,
        reversible: false,
        why: "a sequence or large object is changed, and a ROLLBACK does not undo all of it",
        instead: None,
        applies: |case| {
            let actions = [Action::Insert, Action::Update, Action::Delete, Action::Create, Action::Alter, Action::Drop];
            let kinds = [ObjectKind::Sequence, ObjectKind::LargeObject];
            case.by_function() && actions.iter().any(|action| case.does_to(*action, &kinds))
        },
    },
];

/// What rows are in.
const RELATIONS: &[ObjectKind] = &[
    ObjectKind::Relation,
    ObjectKind::Table,
    ObjectKind::View,
    ObjectKind::MaterializedView,
    ObjectKind::ForeignTable,
];
