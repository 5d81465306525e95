//! Whom a statement would wait for, and who waits for it: the locks of a blast radius against those that sessions
//! hold or ask for at one moment. The JSON of these types is a contract.
//!
//! It is true for that moment only. So it is no part of the radius, and no approval is bound to it.

use serde::{Deserialize, Serialize};

use super::radius::Radius;

/// The table locks of Postgres, weakest first (`src/include/storage/lockdefs.h`).
const MODES: [&str; 8] = [
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
];
/// What each conflicts with, a bit a mode (`src/backend/storage/lmgr/lock.c`, `LockConflicts`).
const CONFLICTS: [u8; 8] =
    [0b1000_0000, 0b1100_0000, 0b1111_0000, 0b1111_1000, 0b1110_1100, 0b1111_1100, 0b1111_1110, 0b1111_1111];

/// Who is in a statement's way at one moment, and who waits for its transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blockers {
    /// When the server was asked.
    pub at: String,
    /// The sessions; `None` where the server could not be asked.
    pub sessions: Option<Vec<Blocker>>,
    /// How many more there are.
    pub more: u64,
    /// What is not known, and why.
    pub unknown: Vec<String>,
}

impl Blockers {
    /// Nothing is known.
    #[must_use]
    pub fn unknown(at: String, why: String) -> Self {
        Self { at, sessions: None, more: 0, unknown: vec![why] }
    }
}

/// A session with a lock that matters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocker {
    /// What it is to the statement.
    pub way: Way,
    /// The backend's process id; `None` for a prepared transaction, which has no session.
    pub pid: Option<i32>,
    /// The role that logged in; `None` where there is none, or it may not be seen.
    pub user: Option<String>,
    /// What the client calls itself.
    pub application_name: Option<String>,
    /// `client backend`, `autovacuum worker`, ...; `None` where it may not be seen.
    pub backend: Option<String>,
    /// `idle in transaction`, `active`, ...; `None` where it may not be seen.
    pub state: Option<String>,
    /// For how long its transaction has been open; `None` where that may not be seen.
    pub transaction_seconds: Option<u64>,
    /// Whether it waits for a lock itself.
    pub waits: bool,
    /// The schema of the relation.
    pub schema: Option<String>,
    /// The relation.
    pub name: Option<String>,
    /// The lock that it holds there or asks for.
    pub lock: Option<String>,
}

/// What a session is to the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// It holds a lock that the statement would have to wait for.
    Holds,
    /// It waits for such a lock: the statement would stand behind it.
    Queued,
    /// It waits now for the transaction in which the statement waits for its approval.
    Behind,
    /// It may have changed rows that the statement would change.
    MayHoldRows,
}

/// A lock of somebody else that matters to a statement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InTheWay<'a> {
    /// The relation's schema.
    pub schema: &'a str,
    /// The relation's name.
    pub name: &'a str,
    /// The mode.
    pub mode: &'static str,
    /// Whether the statement waits for it in any case, or only where both are about the same rows.
    pub certain: bool,
}

/// The locks that would be in the way of what is in a radius, and what cannot be told. What is only read is not in the
/// radius, and so not here.
#[must_use]
pub fn in_the_way(radius: &Radius) -> (Vec<InTheWay<'_>>, Vec<String>) {
    let (mut locks, mut unknown) = (Vec::new(), Vec::new());
    for relation in radius.relations.iter().filter(|relation| relation.action != "create") {
        let known = relation.schema.as_deref().zip(relation.lock.as_deref().and_then(conflicts));
        let Some((schema, modes)) = known else {
            unknown.push(format!("which lock it takes on {}", relation.name));
            continue;
        };
        locks.extend(modes.map(|mode| InTheWay { schema, name: &relation.name, mode, certain: true }));
        if matches!(relation.action.as_str(), "update" | "delete") {
            let rows = ["RowShareLock", "RowExclusiveLock"];
            locks.extend(rows.map(|mode| InTheWay { schema, name: &relation.name, mode, certain: false }));
        }
    }
    let drops = radius.relations.is_empty() || radius.relations.iter().any(|relation| relation.action == "drop");
    for dependent in radius.dependents.iter().filter(|_| drops) {
        match dependent.kind.as_str() {
            "table" | "view" | "materialized_view" | "foreign_table" | "sequence" => {
                let (schema, name) = (dependent.schema.as_str(), dependent.name.as_str());
                locks.extend(MODES.map(|mode| InTheWay { schema, name, mode, certain: true }));
            }
            "table_constraint" | "table_column" | "trigger" | "rule" | "policy" => {
                unknown.push(format!("who uses the table that loses {} {}", dependent.kind, dependent.name));
            }
            _ => {}
        }
    }
    locks.sort();
    locks.dedup();
    (locks, unknown)
}

/// The modes that a lock conflicts with; `None` where it is none that we know.
fn conflicts(lock: &str) -> Option<impl Iterator<Item = &'static str> + use<>> {
    let bits = CONFLICTS[MODES.iter().position(|mode| *mode == lock)?];
    Some(MODES.into_iter().enumerate().filter(move |(at, _)| bits & (1 << at) != 0).map(|(_, mode)| mode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blast::Rows;
    use crate::blast::radius::{Dependent, TouchedRelation, Via};

    fn radius(action: &str, lock: Option<&str>) -> Radius {
        let relation = TouchedRelation {
            schema: Some("public".to_owned()),
            name: "orders".to_owned(),
            kind: "table".to_owned(),
            action: action.to_owned(),
            via: Via::Statement,
            rows: Rows::UNKNOWN,
            share: None,
            lock: lock.map(str::to_owned),
        };
        let warnings = Vec::new();
        Radius {
            rows: Rows::UNKNOWN,
            relations: vec![relation],
            triggers: Vec::new(),
            dependents: Vec::new(),
            warnings,
        }
    }

    fn modes(radius: &Radius, certain: bool) -> Vec<&'static str> {
        in_the_way(radius).0.iter().filter(|lock| lock.certain == certain).map(|lock| lock.mode).collect()
    }

    /// As the table of <https://www.postgresql.org/docs/current/explicit-locking.html>.
    #[test]
    fn conflicts_are_those_of_postgres() {
        for (at, bits) in CONFLICTS.iter().enumerate() {
            for (other, others) in CONFLICTS.iter().enumerate() {
                assert_eq!(bits >> other & 1, others >> at & 1, "{} {}", MODES[at], MODES[other]);
            }
        }
        let of = |lock| conflicts(lock).unwrap().collect::<Vec<_>>();
        assert_eq!(of("AccessExclusiveLock"), MODES);
        assert_eq!(of("ExclusiveLock"), MODES[1..]);
        assert_eq!(of("ShareLock"), [MODES[2], MODES[3], MODES[5], MODES[6], MODES[7]]);
        assert_eq!(of("RowExclusiveLock"), MODES[4..]);
        assert_eq!(of("AccessShareLock"), [MODES[7]]);
        assert!(conflicts("SIReadLock").is_none());
    }

    #[test]
    fn what_changes_rows_may_wait_for_others_that_do() {
        assert_eq!(modes(&radius("truncate", Some("AccessExclusiveLock")), true).len(), MODES.len());
        assert!(modes(&radius("truncate", Some("AccessExclusiveLock")), false).is_empty());
        let delete = radius("delete", Some("RowExclusiveLock"));
        assert!(!modes(&delete, true).contains(&"RowExclusiveLock"));
        assert_eq!(modes(&delete, false), ["RowExclusiveLock", "RowShareLock"]);
    }

    #[test]
    fn a_lock_that_is_not_known_is_said_to_be_so() {
        let unclear = radius("lock", None);
        let (locks, unknown) = in_the_way(&unclear);
        assert_eq!((locks.len(), unknown), (0, vec!["which lock it takes on orders".to_owned()]));
        assert!(in_the_way(&radius("create", None)).1.is_empty());
    }

    #[test]
    fn what_goes_with_a_dropped_object_is_locked_too() {
        let dependent = |kind: &str| Dependent { kind: kind.to_owned(), schema: "s".to_owned(), name: "v".to_owned() };
        let dependents = vec![dependent("view"), dependent("table_constraint"), dependent("function")];
        let dropped = Radius { dependents: dependents.clone(), ..radius("drop", Some("AccessExclusiveLock")) };
        let (locks, unknown) = in_the_way(&dropped);
        assert!(locks.iter().any(|lock| (lock.schema, lock.name) == ("s", "v")));
        assert_eq!(unknown, ["who uses the table that loses table_constraint v"]);
        let truncated = Radius { dependents, ..radius("truncate", Some("AccessExclusiveLock")) };
        assert!(in_the_way(&truncated).0.iter().all(|lock| lock.name == "orders"));
    }
}
