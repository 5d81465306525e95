//! What the database itself adds to a statement's risk: how many rows, and what they drag along.

use super::{Level, Risk, Rule};

/// These never apply to a statement alone.
pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "many-rows",
        level: Level::High,
        lock: None,
        reversible: false,
        why: "it changes many rows",
        instead: Some("change them in batches by key"),
        applies: |_| false,
    },
    Rule {
        id: "large-share",
        level: Level::High,
        lock: None,
        reversible: false,
        why: "it changes a large part of a table",
        instead: Some("look at the condition again"),
        applies: |_| false,
    },
    Rule {
        id: "cascades",
        level: Level::High,
        lock: None,
        reversible: false,
        why: "foreign keys carry it on to rows of other tables, which the statement does not name",
        instead: Some("delete the rows that refer to these first, by name"),
        applies: |_| false,
    },
    Rule {
        id: "partitions",
        level: Level::High,
        lock: None,
        reversible: true,
        why: "the table is the root of partitions or children: all of them are locked or changed",
        instead: Some("do it partition by partition"),
        applies: |_| false,
    },
];

/// What is known of a statement's reach in one database. Unknown numbers are `None`, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Reach {
    /// Rows that change.
    pub rows: Option<u64>,
    /// The largest share of a table's rows that changes, 0 to 1.
    pub share: Option<f64>,
    /// Whether foreign keys change rows of other tables.
    pub cascades: bool,
    /// Whether partitions or children are reached.
    pub partitions: bool,
}

/// From how many rows on a change is a mass change.
const MANY_ROWS: u64 = 10_000;

/// From which share of a table on a change is a mass change.
const LARGE_SHARE: f64 = 0.5;

/// Tables smaller than this are not looked at by share.
const FEW_ROWS: u64 = 100;

/// Adds what the reach shows.
pub fn assess_reach(risk: &mut Risk, reach: &Reach) {
    let many = reach.rows.is_some_and(|rows| rows >= MANY_ROWS);
    let large = reach.share.is_some_and(|share| share >= LARGE_SHARE) && reach.rows.is_none_or(|rows| rows >= FEW_ROWS);
    let found =
        [("many-rows", many), ("large-share", large), ("cascades", reach.cascades), ("partitions", reach.partitions)];
    for rule in RULES {
        if found.contains(&(rule.id, true)) {
            risk.add(rule);
        }
    }
}
