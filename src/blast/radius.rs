//! The blast radius: what a statement would touch in this database, and how much of it. The JSON of these
//! types is a contract.

use serde::{Deserialize, Serialize};

use crate::sql::risk::radius::Reach;

/// A number of rows, with what it rests on. A number we do not know is `unknown`, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// The number; `None` exactly where the basis is [`Basis::Unknown`].
    pub value: Option<u64>,
    /// What it rests on.
    pub basis: Basis,
}

impl Rows {
    /// Not known.
    pub const UNKNOWN: Self = Self { value: None, basis: Basis::Unknown };

    /// Counted.
    #[must_use]
    pub const fn exact(value: u64) -> Self {
        Self { value: Some(value), basis: Basis::Exact }
    }

    /// Estimated by the planner for this statement.
    #[must_use]
    pub const fn planner(value: u64) -> Self {
        Self { value: Some(value), basis: Basis::Planner }
    }

    /// From the statistics of the whole relation.
    #[must_use]
    pub const fn statistics(value: u64) -> Self {
        Self { value: Some(value), basis: Basis::Statistics }
    }
}

/// What a number of rows rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// Counted, or certain by construction (`VALUES` of three rows).
    Exact,
    /// The planner's estimate for this statement.
    Planner,
    /// `pg_class.reltuples` and the like.
    Statistics,
    /// Not known.
    Unknown,
}

/// What one statement would touch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Radius {
    /// Rows changed by the statement itself.
    pub rows: Rows,
    /// Relations changed or locked, the statement's own target first.
    pub relations: Vec<TouchedRelation>,
    /// Triggers that would fire.
    pub triggers: Vec<TouchedTrigger>,
    /// What depends on the relations.
    pub dependents: Vec<Dependent>,
    /// What the reader must know: what could not be found out, and what is worse than it looks.
    pub warnings: Vec<String>,
}

impl Radius {
    /// What of it counts for the statement's risk.
    #[must_use]
    pub fn reach(&self) -> Reach {
        let changed = || self.relations.iter().filter(|relation| !matches!(relation.action.as_str(), "read" | "lock"));
        let through = |via: &[Via]| changed().any(|relation| via.contains(&relation.via));
        Reach {
            rows: self.rows.value,
            share: changed().filter_map(|relation| relation.share).reduce(f64::max),
            cascades: through(&[Via::Cascade]),
            partitions: through(&[Via::Partition, Via::Inheritance]),
        }
    }
}

/// A relation in the radius.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TouchedRelation {
    /// Its schema; `None` where no catalog was asked.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
    /// `table`, `view`, ...
    pub kind: String,
    /// What is done to it.
    pub action: String,
    /// How the statement reaches it.
    pub via: Via,
    /// How many of its rows.
    pub rows: Rows,
    /// Those rows as a share of all of its rows, 0 to 1; `None` where either is unknown.
    pub share: Option<f64>,
    /// The strongest lock taken on it, e.g. `RowExclusiveLock`; `None` where not known.
    pub lock: Option<String>,
}

/// How a statement reaches a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// It names it.
    Statement,
    /// A foreign key's action.
    Cascade,
    /// A trigger.
    Trigger,
    /// It is a partition.
    Partition,
    /// It is an inheritance child.
    Inheritance,
    /// A rule.
    Rule,
    /// A view over it is named.
    View,
}

/// A trigger in the radius.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TouchedTrigger {
    /// Its name.
    pub name: String,
    /// What it runs: `schema.name()`.
    pub function: String,
    /// Whether we can tell what that does.
    pub effects: TriggerEffects,
}

/// Whether a trigger's effects are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TriggerEffects {
    /// They are in the radius.
    Known,
    /// They are not.
    Unknown,
}

/// Something that depends on a relation in the radius.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependent {
    /// `view`, `materialized_view`, ...
    pub kind: String,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
}
