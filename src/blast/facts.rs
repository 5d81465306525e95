//! What is known of one database: the facts that names are resolved with. A value: made by
//! [`catalog`](crate::catalog), read by everybody, changed by nobody.

use std::collections::{HashMap, HashSet};

use crate::sql::{Action, ObjectKind};

use super::resolve::SearchPath;

/// The OID from which on objects are users' (`FirstNormalObjectId`).
pub const FIRST_USER_OID: u32 = 16_384;

/// The facts of one database at one moment.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Differs between any two snapshots, of any databases, that differ, and goes up with time: what was decided
    /// with an older one is decided again.
    pub version: u64,
    /// What they are from: a transaction that sees the same has defined nothing.
    pub seen: Seen,
    /// The database.
    pub database: String,
    /// `server_version_num`, e.g. 150018.
    pub server_version: u32,
    /// Relations by OID; those of sessions (`pg_temp`) and TOAST left out. See [`Facts::named`].
    pub relations: HashMap<u32, Relation>,
    /// The OIDs of the relations of each name: a name may stand in several schemas.
    pub relation_names: HashMap<String, Vec<u32>>,
    /// Functions, procedures and aggregates that are not the server's own (OID >= 16384, or in another
    /// schema than `pg_catalog`), by name.
    pub functions: HashMap<String, Vec<UserFunction>>,
    /// Operators that are not the server's own, by symbol.
    pub operators: HashMap<String, Vec<UserOperator>>,
    /// What operator classes of users run, by name, where it is not reviewed.
    pub operator_classes: HashMap<String, Vec<CodeUse>>,
    /// Types that run code of users when a value is cast to them or made of them (domains with checks, types that
    /// contain them, types with cast functions), by name: the functions. The server's own types stand here where
    /// a user has made a cast to them.
    pub types: HashMap<String, Vec<CodeUse>>,
    /// The same by OID, of all types of users: those that run nothing have none.
    pub types_by_oid: HashMap<u32, Vec<CodeUse>>,
    /// The names of all types of users.
    pub type_names: HashSet<String>,
    /// Code that any expression may run without naming it: implicit casts, the default operator classes of types.
    /// Seldom anything but empty.
    pub implicit_code: Vec<CodeUse>,
    /// Of that, what the server may run while it parses: reading a constant of a range type compares its bounds.
    pub parse_code: Vec<CodeUse>,
    /// Casts of users that the server applies by itself where a value is assigned, and in some other places. Seldom
    /// anything but empty.
    pub assignment_casts: Vec<AssignmentCast>,
    /// Code of all casts of users.
    pub cast_code: Vec<CodeUse>,
    /// What every definition (`CREATE`, `ALTER`, `DROP`, `GRANT`, ...) runs: event triggers.
    pub event_triggers: Vec<CodeUse>,
    /// Whether the server is known to have no subscriptions, in any database, and so no connection strings of any.
    pub without_subscriptions: bool,
    /// Whether the database is known to have no user mappings, and so no passwords for foreign servers.
    pub without_user_mappings: bool,
    /// All schemas, those of sessions left out.
    pub schemas: HashSet<String>,
    /// The roles that each schema's use is granted to by name; an empty one stands for all.
    pub schema_users: HashMap<String, HashSet<String>>,
    /// Roles that may do anything.
    pub superusers: HashSet<String>,
    /// The search path that a role gets at login where the role has none of its own.
    pub search_path: SearchPath,
    /// The search path of roles that have one of their own, by role.
    pub role_search_paths: HashMap<String, SearchPath>,
    /// Roles that act as another one from login on (`ALTER ROLE ... SET role`); an empty name stands for all.
    pub act_as_others: HashSet<String>,
    /// The server's time limits (`statement_timeout` and its kin) that every role gets at login, by name, as a setting
    /// is written. What is not known is absent.
    pub time_limits: HashMap<String, String>,
    /// The same of roles that have their own, by role and name.
    pub role_time_limits: HashMap<(String, String), String>,
}

/// What the server says of all its definitions at a time, each of these differing whenever any of them does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// Of all but the names of columns.
    pub definitions: String,
    /// Of the names of columns.
    pub columns: String,
}

impl Facts {
    /// The relations of a name, in no order.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Relation> {
        self.relation_names.get(name).into_iter().flatten().filter_map(|oid| self.relations.get(oid))
    }

    /// The relation of a name in one schema.
    #[must_use]
    pub fn relation(&self, schema: &str, name: &str) -> Option<&Relation> {
        self.named(name).find(|relation| relation.schema == schema)
    }

    /// Whether a relation has a column of that name; `None` where that is not known.
    #[must_use]
    pub fn has_column(&self, relation: &Relation, column: &str) -> Option<bool> {
        let mut seen = HashSet::from([relation.oid]);
        let mut open = vec![relation];
        while let Some(relation) = open.pop() {
            if relation.columns.as_ref()?.contains(column) {
                return Some(true);
            }
            for oid in relation.parents.iter().filter(|oid| seen.insert(**oid)) {
                open.push(self.relations.get(oid)?);
            }
        }
        Some(false)
    }

    /// Adds a relation under its OID and its name.
    pub fn add_relation(&mut self, relation: Relation) {
        self.relation_names.entry(relation.name.clone()).or_default().push(relation.oid);
        self.relations.insert(relation.oid, relation);
    }

    /// Whether a role certainly may use a schema. One that is granted it as a member of another counts as one that may not.
    #[must_use]
    pub fn may_use(&self, role: &str, schema: &str) -> bool {
        let of_schema = |users: &HashSet<String>| users.contains("") || users.contains(role);
        self.superusers.contains(role) || self.schema_users.get(schema).is_some_and(of_schema)
    }

    /// The search path that a role has right after login, start-up parameters left out.
    #[must_use]
    pub fn login_search_path(&self, role: &str) -> &SearchPath {
        self.role_search_paths.get(role).unwrap_or(&self.search_path)
    }

    /// The time limit of that name which a role has right after login, start-up parameters left out, as a setting is
    /// written; `None` where it is not known.
    #[must_use]
    pub fn login_time_limit(&self, role: &str, name: &str) -> Option<&str> {
        let own = self.role_time_limits.get(&(role.to_owned(), name.to_owned()));
        own.or_else(|| self.time_limits.get(name)).map(String::as_str)
    }
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
    /// Its size by `pg_class.relpages`, in bytes, where statistics exist.
    pub bytes: Option<u64>,
    /// Whether it is one of the server's own (`pg_catalog`, `information_schema`).
    pub system: bool,
    /// Foreign keys of other tables that point here.
    pub referenced_by: Vec<ForeignKey>,
    /// Triggers on it that are enabled, internal ones left out.
    pub triggers: Vec<Trigger>,
    /// Its partitions or inheritance children, by OID; not recursively.
    pub children: Vec<u32>,
    /// What it is a partition or inheritance child of, by OID; not recursively.
    pub parents: Vec<u32>,
    /// The names of its columns, those of its parents left out; `None` where they are not known.
    pub columns: Option<ColumnNames>,
    /// The relations a view reads, by OID; not recursively.
    pub reads: Vec<u32>,
    /// The relations that its row security policies read, by OID; not recursively.
    pub also_reads: Vec<u32>,
    /// Views and materialized views that read it, by OID; not recursively.
    pub read_by: Vec<u32>,
    /// What reading it runs by itself: functions and operators in a view's query, row security policies. What the
    /// relations under a view run is theirs.
    pub runs_on_read: Vec<CodeUse>,
    /// What writing to it runs beside its triggers: defaults, checks, generated columns, domains, index expressions,
    /// row security policies.
    pub runs_on_write: Vec<CodeUse>,
    /// What planning any use of it runs, the look-ups of foreign keys included: operator classes of its indexes and
    /// partition key, calls with constant arguments in what is stored with it (indexes, statistics, checks, keys).
    pub runs_when_planned: Vec<CodeUse>,
    /// Its own foreign keys.
    pub references: Vec<Reference>,
    /// The columns of which its partition key is made; `None` where they are not known.
    pub partition_key: Option<Vec<String>>,
    /// Whether one of its columns is of a type of users, whatever that runs.
    pub has_user_types: bool,
    /// The columns whose values, read from text, may run that; `None` where they are not known.
    pub value_columns: Option<Vec<String>>,
    /// What reading a value of its row type, or of the type of one of its columns, from text may run: the checks of domains.
    pub runs_on_values: Vec<CodeUse>,
    /// Whether a table that is made with columns of the same types runs code on writes: checks and defaults of domains.
    pub columns_run_code: bool,
    /// Its rules, a view's own `_RETURN` left out.
    pub rules: Vec<Rule>,
}

impl Relation {
    /// What work on it may run: all but its triggers.
    pub(super) fn all_code(&self) -> impl Iterator<Item = &CodeUse> {
        self.runs_on_read.iter().chain(&self.runs_on_write).chain(&self.runs_when_planned)
    }
}

/// The names of columns, as one text: there may be very many of them, and few are looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnNames(Box<str>);

impl ColumnNames {
    /// What stands between the names.
    pub const SEPARATOR: char = '\u{1}';

    /// From the names with separators between them.
    #[must_use]
    pub fn new(joined: &str) -> Self {
        Self(joined.into())
    }

    fn contains(&self, name: &str) -> bool {
        self.0.split(Self::SEPARATOR).any(|column| column == name)
    }
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
    /// The columns it refers to; `None` where some are computed from others.
    pub columns: Option<Vec<String>>,
}

/// A foreign key as seen from the table that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The constraint's name.
    pub name: String,
    /// The table it points to, by OID.
    pub to: u32,
    /// The columns that refer.
    pub columns: Vec<String>,
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

/// The events of a trigger or a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Events {
    /// INSERT.
    pub insert: bool,
    /// UPDATE.
    pub update: bool,
    /// DELETE.
    pub delete: bool,
    /// TRUNCATE.
    pub truncate: bool,
}

impl Events {
    /// Whether an action is one of them.
    #[must_use]
    pub const fn include(self, action: Action) -> bool {
        match action {
            Action::Insert => self.insert,
            Action::Update => self.update,
            Action::Delete => self.delete,
            Action::Truncate => self.truncate,
            _ => false,
        }
    }
}

/// A trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// The function it runs.
    pub code: CodeUse,
    /// On which statements it fires.
    pub events: Events,
    /// `INSTEAD OF`: on a view.
    pub instead_of: bool,
}

/// A rule that rewrites writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// Which statements it rewrites.
    pub events: Events,
    /// `DO INSTEAD`.
    pub instead: bool,
}

/// A function, procedure or aggregate that is not the server's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserFunction {
    /// Its schema.
    pub schema: String,
    /// What running it is.
    pub code: CodeUse,
    /// Whether `value.name` may call it: it can be called with exactly one argument.
    pub attribute: bool,
}

/// An operator that is not the server's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserOperator {
    /// Its schema.
    pub schema: String,
    /// The function it runs.
    pub code: CodeUse,
    /// What it is for.
    pub operands: Operands,
}

/// A cast `AS ASSIGNMENT` with a function that is not the server's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignmentCast {
    /// What it runs.
    pub code: CodeUse,
    /// What it leads to.
    pub target: CastTarget,
    /// The relations, by OID, with a column that may hold a value of the type it leads to.
    pub target_relations: HashSet<u32>,
    /// Those with a column that may hold a value of the type it comes from; `None` where that is the server's own, so
    /// that any expression may have one.
    pub source_relations: Option<HashSet<u32>>,
}

/// What kind of type a cast leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CastTarget {
    /// One that only assignments ask for.
    #[default]
    Assigned,
    /// Truth values and numbers: conditions, limits, subscripts and samples take what can be assigned to them.
    Plain,
    /// Another of the server's own: XML and JSON functions take what can be assigned to it.
    Other,
}

/// The types of an operator's operands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operands {
    /// One of them is the server's own, or any: every expression may have a value of it.
    Builtin,
    /// All are types of users: somebody has to make a value of one. The rows of these relations, by OID, are of such a
    /// type, or part of one.
    Users(Vec<u32>),
}

/// Code that something runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CodeUse {
    /// The function's schema.
    pub schema: Option<String>,
    /// The function's name.
    pub name: String,
    /// `pg_proc.oid`; 0 where it is no function.
    pub oid: u32,
    /// SHA-256 of source, language, settings and what else makes its meaning, in hex; empty for the server's own.
    pub hash: String,
    /// Whether it is harmless: a reviewed function of the server, or one that belongs to a reviewed extension.
    pub reviewed: bool,
}

impl std::fmt::Display for CodeUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}()", self.name),
            None => write!(f, "{}()", self.name),
        }
    }
}
