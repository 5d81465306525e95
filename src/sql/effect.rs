//! Effects: one action on one object, with how sure we are.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a statement does to an object. The names are the contract's: they appear in JSON, in policies
/// and in the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Rows or definitions are looked at.
    Read,
    /// Rows, tables or advisory keys are locked.
    Lock,
    /// Rows are added.
    Insert,
    /// Rows are changed in place.
    Update,
    /// Rows are removed one by one.
    Delete,
    /// All rows are removed at once.
    Truncate,
    /// A definition is removed.
    Drop,
    /// A definition is changed.
    Alter,
    /// A definition is added.
    Create,
    /// Privileges, roles or ownership change.
    Grant,
    /// Code that is not a reviewed built-in runs.
    Execute,
    /// The server's host is touched: files, programs, the network, other backends.
    Host,
    /// A session or server setting changes.
    Set,
    /// A transaction begins, ends or is prepared.
    Transaction,
    /// VACUUM, ANALYZE, REINDEX, CLUSTER, CHECKPOINT and their kin.
    Maintain,
    /// Replication: slots, origins, walsender commands.
    Replicate,
    /// We cannot tell. Never treated as harmless.
    Unknown,
}

impl Action {
    /// All actions, in the order of the contract.
    pub const ALL: [Self; 17] = [
        Self::Read,
        Self::Lock,
        Self::Insert,
        Self::Update,
        Self::Delete,
        Self::Truncate,
        Self::Drop,
        Self::Alter,
        Self::Create,
        Self::Grant,
        Self::Execute,
        Self::Host,
        Self::Set,
        Self::Transaction,
        Self::Maintain,
        Self::Replicate,
        Self::Unknown,
    ];

    /// The contract's name of the action.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Lock => "lock",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Truncate => "truncate",
            Self::Drop => "drop",
            Self::Alter => "alter",
            Self::Create => "create",
            Self::Grant => "grant",
            Self::Execute => "execute",
            Self::Host => "host",
            Self::Set => "set",
            Self::Transaction => "transaction",
            Self::Maintain => "maintain",
            Self::Replicate => "replicate",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The kind of an object, in Postgres' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are Postgres' own")]
pub enum ObjectKind {
    Table,
    View,
    MaterializedView,
    ForeignTable,
    Index,
    Sequence,
    Column,
    Constraint,
    Trigger,
    EventTrigger,
    Rule,
    Policy,
    Function,
    Procedure,
    Aggregate,
    Routine,
    Operator,
    OperatorClass,
    Cast,
    Type,
    Domain,
    Collation,
    Conversion,
    TextSearch,
    Statistics,
    Schema,
    Database,
    Tablespace,
    Role,
    Extension,
    Language,
    AccessMethod,
    Transform,
    Server,
    ForeignDataWrapper,
    UserMapping,
    Publication,
    Subscription,
    ReplicationSlot,
    LargeObject,
    PreparedStatement,
    Cursor,
    Channel,
    AdvisoryLock,
    Setting,
    Transaction,
    File,
    Program,
    System,
    /// A relation of which only the name is known; the catalog says which kind it is.
    Relation,
    /// Anything we have no word for.
    Other,
}

impl ObjectKind {
    /// Whether it has rows or is made of those of another: what shares a namespace in `pg_class`.
    #[must_use]
    pub const fn is_relation(self) -> bool {
        matches!(
            self,
            Self::Relation
                | Self::Table
                | Self::View
                | Self::MaterializedView
                | Self::ForeignTable
                | Self::Index
                | Self::Sequence
        )
    }

    /// The name used in JSON and in text: snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::View => "view",
            Self::MaterializedView => "materialized_view",
            Self::ForeignTable => "foreign_table",
            Self::Index => "index",
            Self::Sequence => "sequence",
            Self::Column => "column",
            Self::Constraint => "constraint",
            Self::Trigger => "trigger",
            Self::EventTrigger => "event_trigger",
            Self::Rule => "rule",
            Self::Policy => "policy",
            Self::Function => "function",
            Self::Procedure => "procedure",
            Self::Aggregate => "aggregate",
            Self::Routine => "routine",
            Self::Operator => "operator",
            Self::OperatorClass => "operator_class",
            Self::Cast => "cast",
            Self::Type => "type",
            Self::Domain => "domain",
            Self::Collation => "collation",
            Self::Conversion => "conversion",
            Self::TextSearch => "text_search",
            Self::Statistics => "statistics",
            Self::Schema => "schema",
            Self::Database => "database",
            Self::Tablespace => "tablespace",
            Self::Role => "role",
            Self::Extension => "extension",
            Self::Language => "language",
            Self::AccessMethod => "access_method",
            Self::Transform => "transform",
            Self::Server => "server",
            Self::ForeignDataWrapper => "foreign_data_wrapper",
            Self::UserMapping => "user_mapping",
            Self::Publication => "publication",
            Self::Subscription => "subscription",
            Self::ReplicationSlot => "replication_slot",
            Self::LargeObject => "large_object",
            Self::PreparedStatement => "prepared_statement",
            Self::Cursor => "cursor",
            Self::Channel => "channel",
            Self::AdvisoryLock => "advisory_lock",
            Self::Setting => "setting",
            Self::Transaction => "transaction",
            Self::File => "file",
            Self::Program => "program",
            Self::System => "system",
            Self::Relation => "table",
            Self::Other => "other",
        }
    }
}

/// An object a statement names or reaches.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Object {
    /// What it is.
    pub kind: ObjectKind,
    /// Its schema: as written, or as the catalog resolved it; `None` where neither is known.
    pub schema: Option<String>,
    /// Its name, folded and unquoted as Postgres would. Empty where the statement has no name for it.
    pub name: String,
}

impl Object {
    /// An object of which no schema is known.
    pub fn new(kind: ObjectKind, name: impl Into<String>) -> Self {
        Self { kind, schema: None, name: name.into() }
    }

    /// An object in a schema.
    pub fn in_schema(kind: ObjectKind, schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind, schema: Some(schema.into()), name: name.into() }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// How sure we are that an effect happens, and on that object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Certainty {
    /// The statement says so.
    Certain,
    /// It may happen, or on this object among others: a name that resolves more than one way, code we
    /// cannot see into.
    Possible,
}

/// How much of the object a change can reach, from the text alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Extent {
    /// A condition that can be false bounds it (or, for INSERT, the rows are those given).
    Bounded,
    /// Every row: no condition, or one that may be true for all of them.
    Whole,
    /// The action has no such measure.
    Inapplicable,
}

/// One action on one object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Effect {
    /// What is done.
    pub action: Action,
    /// To what.
    pub object: Object,
    /// How sure we are.
    pub certainty: Certainty,
    /// How much of it.
    pub extent: Extent,
    /// The object lives in this session only (`pg_temp`), or is made as such.
    pub temporary: bool,
    /// The mild form of the action, the one a default installation lets through:
    /// `set` of a setting on the reviewed list; `lock` of rows, advisory keys, or a table in a mode that
    /// blocks no write; `maintain` that blocks nobody (ANALYZE); `transaction` control other than the
    /// two-phase commands; `insert`/`update`/`create`/... never use it.
    pub harmless: bool,
}

impl Effect {
    /// A certain effect without a measure.
    #[must_use]
    pub const fn new(action: Action, object: Object) -> Self {
        Self {
            action,
            object,
            certainty: Certainty::Certain,
            extent: Extent::Inapplicable,
            temporary: false,
            harmless: false,
        }
    }

    /// The same, marked harmless.
    #[must_use]
    pub const fn harmless(mut self) -> Self {
        self.harmless = true;
        self
    }

    /// The same, on a temporary object.
    #[must_use]
    pub const fn temporary(mut self) -> Self {
        self.temporary = true;
        self
    }

    /// The same, with its measure.
    #[must_use]
    pub const fn with_extent(mut self, extent: Extent) -> Self {
        self.extent = extent;
        self
    }

    /// The same, only possible.
    #[must_use]
    pub const fn possible(mut self) -> Self {
        self.certainty = Certainty::Possible;
        self
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action, self.object.kind.as_str().replace('_', " "))?;
        if !self.object.name.is_empty() {
            write!(f, " {}", self.object)?;
        }
        Ok(())
    }
}
