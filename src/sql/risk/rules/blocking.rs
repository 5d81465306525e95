//! Rules about what others wait for: locks held while a table is read or written anew.

use crate::sql::effect::{Action, ObjectKind};
use crate::sql::risk::{Level, Lock, Rule};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "alter-column-type",
        level: Level::High,
        lock: Some(Lock::AccessExclusive),
        reversible: false,
        why: "the table and its indexes are written anew while nobody can read or write it; digits may be lost",
        instead: Some("add a column of the new type, fill it in batches, switch over, drop the old one later"),
        applies: |case| {
            case.actions()
                .any(|action| action.alters_column(&["type"]) || action.alters_column(&["set", "data", "type"]))
                && !case.begins(&["alter", "type"])
        },
    },
    Rule {
        id: "set-not-null",
        level: Level::High,
        lock: Some(Lock::AccessExclusive),
        reversible: true,
        why: "every row is read while nobody can read or write the table",
        instead: Some("ADD CONSTRAINT ... CHECK (c IS NOT NULL) NOT VALID, VALIDATE CONSTRAINT, then SET NOT NULL"),
        applies: |case| case.actions().any(|action| action.alters_column(&["set", "not", "null"])),
    },
    Rule {
        id: "add-check-validated",
        level: Level::High,
        lock: Some(Lock::AccessExclusive),
        reversible: true,
        why: "every row is checked while nobody can read or write the table",
        instead: Some("ADD CONSTRAINT ... NOT VALID, then VALIDATE CONSTRAINT in another transaction"),
        applies: |case| {
            case.actions().any(|action| {
                action.adds_constraint(&["check"])
                    && !action.has(&["not", "valid"])
                    && !action.has(&["not", "enforced"])
            })
        },
    },
    Rule {
        id: "add-foreign-key-validated",
        level: Level::High,
        lock: Some(Lock::ShareRowExclusive),
        reversible: true,
        why: "every row is checked while nobody can write to either table",
        instead: Some("ADD CONSTRAINT ... FOREIGN KEY ... NOT VALID, then VALIDATE CONSTRAINT in another transaction"),
        applies: |case| {
            case.actions().any(|action| {
                action.adds_constraint(&["foreign", "key"])
                    && !action.has(&["not", "valid"])
                    && !action.has(&["not", "enforced"])
            })
        },
    },
    Rule {
        id: "add-unique",
        level: Level::High,
        lock: Some(Lock::AccessExclusive),
        reversible: true,
        why: "an index is built while nobody can read or write the table",
        instead: Some("CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT ... USING INDEX"),
        applies: |case| {
            case.actions().any(|action| {
                (action.adds_constraint(&["unique"]) || action.adds_constraint(&["primary", "key"]))
                    && !action.has(&["using", "index"])
            })
        },
    },
    Rule {
        id: "add-exclusion",
        level: Level::High,
        lock: Some(Lock::AccessExclusive),
        reversible: true,
        why: "an index is built, and every row checked, while nobody can read or write the table",
        instead: Some("do it in a maintenance window; there is no concurrent form"),
        applies: |case| case.actions().any(|action| action.adds_constraint(&["exclude"])),
    },
    Rule {
        id: "add-column-rewrite",
        level: Level::High,
        lock: Some(Lock::AccessExclusive),
        reversible: true,
        why: "the value differs from row to row, so the whole table is written anew while nobody can use it",
        instead: Some("add the column without a default, set the default, then fill the old rows in batches"),
        applies: |case| {
            case.actions().any(|action| {
                action.adds_column()
                    && (action.default_is_computed()
                        || action.is_serial()
                        || action.has(&["as", "identity"])
                        || action.has(&["stored"]))
            })
        },
    },
    Rule {
        id: "add-column-not-null",
        level: Level::High,
        lock: Some(Lock::AccessExclusive),
        reversible: true,
        why: "a column that must have a value and has no default: it fails as soon as the table has a row",
        instead: Some("give it a constant default, or add it without NOT NULL and fill it first"),
        applies: |case| {
            case.actions().any(|action| {
                action.adds_column()
                    && action.has(&["not", "null"])
                    && !action.has(&["default"])
                    && !action.has(&["generated"])
                    && !action.is_serial()
            })
        },
    },
    Rule {
        id: "table-rewrite",
        level: Level::High,
        lock: Some(Lock::AccessExclusive),
        reversible: true,
        why: "the table is written anew while nobody can read or write it",
        instead: Some("copy it into a new table in batches and switch over"),
        applies: |case| {
            case.actions().any(|action| action.alters_column(&["set", "expression"]))
                || case.alters(&["set", "logged"])
                || case.alters(&["set", "tablespace"])
                || case.alters(&["set", "access", "method"])
        },
    },
    Rule {
        id: "create-index-blocking",
        level: Level::High,
        lock: Some(Lock::Share),
        reversible: true,
        why: "nobody can write to the table while the index is built",
        instead: Some("CREATE INDEX CONCURRENTLY, outside a transaction"),
        applies: |case| {
            case.command() == "CREATE INDEX"
                && case.does_to(Action::Create, &[ObjectKind::Index])
                && !case.has(&["index", "concurrently"])
                && !case.has(&["on", "only"])
        },
    },
    Rule {
        id: "create-index-only",
        level: Level::Medium,
        lock: Some(Lock::Share),
        reversible: true,
        why: "on a partitioned table it reads no row, and serves nobody before its partitions have theirs; on any other it is built while nobody can write",
        instead: Some("then CREATE INDEX CONCURRENTLY on each partition, and ALTER INDEX ... ATTACH PARTITION"),
        applies: |case| {
            case.command() == "CREATE INDEX" && case.has(&["on", "only"]) && !case.has(&["index", "concurrently"])
        },
    },
    Rule {
        id: "reindex-blocking",
        level: Level::High,
        lock: Some(Lock::AccessExclusive),
        reversible: true,
        why: "nobody can write to the table, nor read through the index, while it is built anew",
        instead: Some("REINDEX ... CONCURRENTLY, outside a transaction"),
        applies: |case| case.begins(&["reindex"]) && !case.anywhere(&["concurrently"]),
    },
    Rule {
        id: "concurrently",
        level: Level::Low,
        lock: Some(Lock::ShareUpdateExclusive),
        reversible: true,
        why: "it waits for every transaction that is older, and leaves something invalid behind where it fails",
        instead: None,
        applies: |case| {
            case.has(&["index", "concurrently"])
                || (case.begins(&["reindex"]) && case.anywhere(&["concurrently"]))
                || (case.alters(&["detach", "partition"]) && case.has(&["concurrently"]))
        },
    },
    Rule {
        id: "vacuum-full",
        level: Level::High,
        lock: Some(Lock::AccessExclusive),
        reversible: true,
        why: "the table is written anew while nobody can read or write it",
        instead: Some("plain VACUUM, or pg_repack"),
        applies: |case| {
            case.command() == "VACUUM"
                && case.anywhere(&["full"])
                && !["false", "off"].iter().any(|no| case.anywhere(&["full", no]))
        },
    },
    Rule {
        id: "cluster",
        level: Level::High,
        lock: Some(Lock::AccessExclusive),
        reversible: true,
        why: "the table is written anew in the order of an index while nobody can read or write it",
        instead: Some("pg_repack, or a maintenance window"),
        applies: |case| case.command() == "CLUSTER",
    },
    Rule {
        id: "refresh-blocking",
        level: Level::Medium,
        lock: Some(Lock::AccessExclusive),
        reversible: true,
        why: "nobody can read the materialized view while its query runs",
        instead: Some("REFRESH MATERIALIZED VIEW CONCURRENTLY (it needs a unique index)"),
        applies: |case| case.begins(&["refresh"]) && !case.has(&["view", "concurrently"]),
    },
    Rule {
        id: "detach-partition",
        level: Level::Medium,
        lock: Some(Lock::AccessExclusive),
        reversible: true,
        why: "nobody can read or write the parent meanwhile, and its rows are no longer found there",
        instead: Some("DETACH PARTITION ... CONCURRENTLY"),
        applies: |case| {
            case.alters(&["detach", "partition"]) && !case.has(&["concurrently"]) && !case.has(&["finalize"])
        },
    },
    Rule {
        id: "attach-partition",
        level: Level::Medium,
        lock: Some(Lock::ShareUpdateExclusive),
        reversible: true,
        why: "every row of the partition is checked while nobody can read or write it",
        instead: Some("add a CHECK constraint like the bounds first, NOT VALID, and validate it"),
        applies: |case| case.command() != "ALTER INDEX" && case.alters(&["attach", "partition"]),
    },
    Rule {
        id: "attach-index",
        level: Level::Low,
        lock: Some(Lock::AccessExclusive),
        reversible: true,
        why: "no row is read, but for a moment nobody can use the partition's index; it cannot be detached again alone",
        instead: None,
        applies: |case| case.command() == "ALTER INDEX" && case.alters(&["attach", "partition"]),
    },
    Rule {
        id: "enforce-constraint",
        level: Level::High,
        lock: Some(Lock::AccessExclusive),
        reversible: true,
        why: "every row is checked while nobody can read or write the table",
        instead: Some("do it when few use the table; there is no form that checks later"),
        applies: |case| {
            case.actions().any(|action| {
                action.begins(&["alter", "constraint"])
                    && action.has(&["enforced"])
                    && !action.has(&["not", "enforced"])
            })
        },
    },
    Rule {
        id: "validate-constraint",
        level: Level::Low,
        lock: Some(Lock::ShareUpdateExclusive),
        reversible: true,
        why: "every row is read; others can read and write meanwhile",
        instead: None,
        applies: |case| case.alters(&["validate", "constraint"]),
    },
    Rule {
        id: "alter-table",
        level: Level::Low,
        lock: Some(Lock::AccessExclusive),
        reversible: true,
        why: "for a moment nobody can read or write the table, and everybody waits behind whoever waits for that",
        instead: Some("set lock_timeout first, and try again when it strikes"),
        applies: |case| {
            let weak = [&["validate", "constraint"][..], &["attach", "partition"], &["set", "statistics"]];
            case.command() == "ALTER TABLE" && !weak.iter().any(|words| case.alters(words))
        },
    },
    Rule {
        id: "maintenance",
        level: Level::Low,
        lock: Some(Lock::ShareUpdateExclusive),
        reversible: true,
        why: "it takes reads and writes of the disk from others",
        instead: None,
        applies: |case| case.does(Action::Maintain),
    },
];
