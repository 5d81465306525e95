//! Rules about privileges, code, the host and the session.

use crate::sql::effect::{Action, ObjectKind};
use crate::sql::risk::shape::Case;
use crate::sql::risk::{Level, Lock, Rule};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "unknown",
        level: Level::Critical,
        lock: None,
        reversible: false,
        why: "what it does could not be told",
        instead: Some("write it in a simpler form"),
        applies: |case| case.does(Action::Unknown),
    },
    Rule {
        id: "privileges",
        level: Level::Critical,
        lock: None,
        reversible: true,
        why: "who may do what changes: privileges, roles or ownership",
        instead: Some("grant the least that is needed to one role, and say until when"),
        applies: |case| {
            case.does(Action::Grant)
                || ([Action::Create, Action::Alter, Action::Drop]
                    .iter()
                    .any(|action| case.does_to(*action, &[ObjectKind::Role, ObjectKind::UserMapping])))
        },
    },
    Rule {
        id: "reassign-owned",
        level: Level::Critical,
        lock: None,
        reversible: false,
        why: "afterwards nothing tells what of the new owner's was the old one's: it cannot be given back",
        instead: Some("write down first what the role owns (pg_shdepend), or change the owners one by one"),
        applies: |case| case.command() == "REASSIGN OWNED",
    },
    Rule {
        id: "role-password",
        level: Level::Critical,
        lock: None,
        reversible: false,
        why: "the old password is gone, and whoever logs in with it is locked out",
        instead: Some("make a second role for the change-over, and drop the old one when nobody uses it"),
        applies: |case| (case.begins(&["alter", "role"]) || case.begins(&["alter", "user"])) && case.has(&["password"]),
    },
    Rule {
        id: "default-search-path",
        level: Level::Critical,
        lock: None,
        reversible: true,
        why: "from their next login on, names mean something else to everybody in the database",
        instead: Some("set it for the one role that needs it (ALTER ROLE ... IN DATABASE ... SET)"),
        applies: |case| {
            let sets = [&["set", "search_path"][..], &["reset", "search_path"], &["reset", "all"]];
            case.command() == "ALTER DATABASE" && sets.iter().any(|words| case.has(words))
        },
    },
    Rule {
        id: "host-access",
        level: Level::Critical,
        lock: None,
        reversible: false,
        why: "files, programs, other sessions or the network of the server's host are touched",
        instead: Some("COPY ... FROM STDIN or TO STDOUT (psql: \\copy) work on the client's side"),
        applies: |case| case.does(Action::Host),
    },
    Rule {
        id: "server-configuration",
        level: Level::Critical,
        lock: None,
        reversible: true,
        why: "the server's configuration changes for everybody",
        instead: Some("SET it in the session, or for one role and database (ALTER ROLE ... IN DATABASE ... SET)"),
        applies: |case| case.begins(&["alter", "system"]),
    },
    Rule {
        id: "loaded-code",
        level: Level::Critical,
        lock: None,
        reversible: false,
        why: "it brings code of others into the server, or takes away what other definitions need",
        instead: Some("try it on a copy of the database first"),
        applies: |case| {
            let kinds = [ObjectKind::Extension, ObjectKind::Language, ObjectKind::AccessMethod, ObjectKind::Transform];
            [Action::Create, Action::Alter, Action::Drop].iter().any(|action| case.does_to(*action, &kinds))
                || case.begins(&["load"])
        },
    },
    Rule {
        id: "egress",
        level: Level::Critical,
        lock: None,
        reversible: true,
        why: "data can leave for, or come from, another server from now on",
        instead: Some("review the server, its credentials and what is published"),
        applies: |case| {
            let kinds = [
                ObjectKind::Server,
                ObjectKind::ForeignDataWrapper,
                ObjectKind::ForeignTable,
                ObjectKind::Publication,
                ObjectKind::Subscription,
            ];
            [Action::Create, Action::Alter, Action::Drop].iter().any(|action| case.does_to(*action, &kinds))
                || case.begins(&["import", "foreign", "schema"])
        },
    },
    Rule {
        id: "replication",
        level: Level::Critical,
        lock: None,
        reversible: false,
        why: "replication hands out every change, and a slot that nobody reads fills the disk",
        instead: None,
        applies: |case| case.does(Action::Replicate),
    },
    Rule {
        id: "runs-code",
        level: Level::High,
        lock: None,
        reversible: false,
        why: "it runs code that cannot be seen through: it may do anything its owner may",
        instead: Some("write out as statements what the code does"),
        applies: |case| case.does(Action::Execute),
    },
    Rule {
        id: "session-setting",
        level: Level::High,
        lock: None,
        reversible: true,
        why: "the setting changes what later statements mean, see or are allowed to do",
        instead: Some("SET LOCAL in the one transaction that needs it"),
        applies: |case| case.harms(Action::Set) && !case.begins(&["alter", "system"]),
    },
    Rule {
        id: "prepared-transaction",
        level: Level::Medium,
        lock: Some(Lock::AccessExclusive),
        reversible: true,
        why: "a prepared transaction keeps its locks, and holds back VACUUM, until somebody ends it",
        instead: Some("COMMIT, unless a transaction manager will end it"),
        applies: |case| case.harms(Action::Transaction) && !ends_prepared(case),
    },
    Rule {
        id: "end-prepared-transaction",
        level: Level::High,
        lock: None,
        reversible: false,
        why: "a transaction that somebody prepared ends: what it changed becomes visible, or is lost",
        instead: Some("look it up in pg_prepared_xacts, and leave it to the transaction manager that made it"),
        applies: ends_prepared,
    },
    Rule {
        id: "owner-rights",
        level: Level::High,
        lock: None,
        reversible: true,
        why: "from now on it runs with its owner's rights, whoever calls or reads it, or no longer does",
        instead: Some("give it an owner with the least rights, and functions a search_path of their own"),
        applies: |case| {
            let defined = case.begins(&["create"]) || case.begins(&["alter"]);
            (defined && case.has(&["security", "definer"]))
                || (case.command() == "ALTER VIEW" && case.anywhere(&["security_invoker"]))
        },
    },
];

fn ends_prepared(case: &Case<'_>) -> bool {
    case.begins(&["commit", "prepared"]) || case.begins(&["rollback", "prepared"])
}
