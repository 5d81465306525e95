//! What is known of one database: the facts that names are resolved with. A value: made by
//! [`catalog`](crate::catalog), read by everybody, changed by nobody.

use std::collections::{HashMap, HashSet};

use crate::sql::ObjectKind;

/// The facts of one database at one moment.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Goes up by one with every snapshot that differs; what was decided with an older one is decided again.
    pub version: u64,
    /// The database.
    pub database: String,
    /// `server_version_num`, e.g. 150018.
    pub server_version: u32,
    /// Relations by name, then by schema: a name may stand in several schemas.
    pub relations: HashMap<String, Vec<Relation>>,
    /// Functions, procedures and aggregates that are not the server's own (OID >= 16384, or in another
    /// schema than `pg_catalog`), by name.
    pub functions: HashMap<String, Vec<UserFunction>>,
    /// Operators that are not the server's own, by symbol.
    pub operators: HashMap<String, Vec<UserOperator>>,
    /// Types and domains that are not the server's own and that run code of users when a value is cast to them
    /// (domains with checks, types with cast functions), by name: the functions.
    pub types: HashMap<String, Vec<CodeUse>>,
    /// Functions that casts between the server's own types run implicitly. Seldom anything but empty; where it is
    /// not, every expression may run them.
    pub implicit_casts: Vec<CodeUse>,
    /// All schemas.
    pub schemas: HashSet<String>,
    /// The search path that a role gets at login where the role has none of its own: `"$user", public`.
    pub search_path: Vec<String>,
}

/// One relation: a table, partitioned table, view, materialized view, foreign table, sequence or index.
#[derive(Debug, Clone, Default)]
pub struct Relation {
    /// `pg_class.oid`.
    pub oid: u32,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: RelationKind,
    /// `pg_class.reltuples`, where statistics exist.
    pub rows: Option<u64>,
    /// `pg_relation_size` of it and its TOAST, in bytes, where known.
    pub bytes: Option<u64>,
    /// Whether it is one of the server's own (`pg_catalog`, `information_schema`, `pg_toast`).
    pub system: bool,
    /// Whether it is temporary.
    pub temporary: bool,
    /// Foreign keys of other tables that point here.
    pub referenced_by: Vec<ForeignKey>,
    /// Triggers on it that are enabled, internal ones left out.
    pub triggers: Vec<Trigger>,
    /// Its partitions or inheritance children, by OID.
    pub children: Vec<u32>,
    /// The relations a view reads, by OID (its own rule's, not recursively).
    pub reads: Vec<u32>,
    /// Views and materialized views that read it, as (schema, name).
    pub dependents: Vec<(RelationKind, String, String)>,
    /// What reading it runs: functions in views (recursively), row security policies, foreign data wrappers.
    pub runs_on_read: Vec<CodeUse>,
    /// What writing to it runs beside its triggers: rules, defaults, checks, generated columns, index expressions,
    /// row security policies.
    pub runs_on_write: Vec<CodeUse>,
    /// `INSTEAD` or `ALSO` rules, by name.
    pub rules: Vec<String>,
}

/// What kind of relation: `pg_class.relkind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names are Postgres' own")]
pub enum RelationKind {
    #[default]
    Table,
    PartitionedTable,
    View,
    MaterializedView,
    ForeignTable,
    Sequence,
    Index,
    CompositeType,
}

impl RelationKind {
    /// The kind of object it is in an effect.
    #[must_use]
    pub const fn object_kind(self) -> ObjectKind {
        match self {
            Self::Table | Self::PartitionedTable => ObjectKind::Table,
            Self::View => ObjectKind::View,
            Self::MaterializedView => ObjectKind::MaterializedView,
            Self::ForeignTable => ObjectKind::ForeignTable,
            Self::Sequence => ObjectKind::Sequence,
            Self::Index => ObjectKind::Index,
            Self::CompositeType => ObjectKind::Type,
        }
    }
}

/// A foreign key as seen from the table it points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// The constraint's name.
    pub name: String,
    /// The table that holds the key, by OID.
    pub from: u32,
    /// What a DELETE of the referenced row does to the referencing ones.
    pub on_delete: ReferentialAction,
    /// What an UPDATE of the referenced key does.
    pub on_update: ReferentialAction,
}

/// `pg_constraint.confdeltype`, `confupdtype`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are SQL's own")]
pub enum ReferentialAction {
    NoAction,
    Restrict,
    Cascade,
    SetNull,
    SetDefault,
}

/// A trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// The function it runs, as `schema.name()`.
    pub function: String,
    /// The function's identity.
    pub code: CodeUse,
    /// On which statements it fires.
    pub on_insert: bool,
    /// See `on_insert`.
    pub on_update: bool,
    /// See `on_insert`.
    pub on_delete: bool,
    /// See `on_insert`.
    pub on_truncate: bool,
    /// `INSTEAD OF`: on a view.
    pub instead_of: bool,
}

/// A function, procedure or aggregate that is not the server's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserFunction {
    /// What running it is.
    pub code: CodeUse,
    /// Its schema.
    pub schema: String,
    /// Whether `row.name` may call it: exactly one required argument of a composite type or a pseudo-type.
    pub attribute: bool,
}

/// An operator that is not the server's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserOperator {
    /// Its schema.
    pub schema: String,
    /// The function it runs.
    pub code: CodeUse,
}

/// Code that something runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CodeUse {
    /// The function's schema; `None` where it is a built-in off the reviewed list.
    pub schema: Option<String>,
    /// The function's name, or what else runs (`file_fdw`).
    pub name: String,
    /// `pg_proc.oid`; 0 where it is no function.
    pub oid: u32,
    /// SHA-256 of source, language, settings and what else makes its meaning, in hex; empty where it is no function.
    pub hash: String,
    /// Whether it is harmless: a function in C that belongs to an extension on the reviewed list.
    pub reviewed: bool,
}
