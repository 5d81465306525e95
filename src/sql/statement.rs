//! What the text of one statement says: its effects by the names as written, every name that may run
//! code, and what it does to the session.

use std::ops::Range;

use super::effect::{Action, Effect, Object};

/// A possibly qualified name, folded and unquoted as Postgres would.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// The schema, where written.
    pub schema: Option<String>,
    /// The name.
    pub name: String,
}

/// That a name without a qualifier is a column of the query that it stands in. Where it is none, Postgres takes the column
/// of the row that is changed, and the query leaves no row out: `id IN (SELECT id FROM t)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Assumption {
    /// What is changed.
    pub object: Object,
    /// How.
    pub action: Action,
    /// The name.
    pub column: String,
    /// The relations one of which must have such a column.
    pub relations: Vec<Name>,
}

/// A place where a function may be called.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionUse {
    /// The function's name as written.
    pub name: Name,
    /// How it is written.
    pub notation: Notation,
}

/// How a possible function call is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Notation {
    /// `f(...)`, or syntax that is such a call (`substring(x from 1)`, `EXTRACT`, `AT TIME ZONE`).
    Call,
    /// `row.f`: a column, or a function of the row (`(u).f`, `u.f`).
    Attribute,
    /// `CALL p(...)`.
    Procedure,
}

/// One statement of a message or file. The default is that of an empty text. What reads texts says every field: none that is added
/// may mean nothing by oversight.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statement {
    /// Where its text stands in the whole: byte offsets, without the terminating semicolon.
    pub span: Range<usize>,
    /// The command, in Postgres' spelling: `SELECT`, `DELETE`, `CREATE TABLE`; `` (empty) for an empty
    /// statement; `unknown` where not even that could be told.
    pub command: String,
    /// What it does, by the names as written. A plain read has only `read` effects (perhaps none).
    pub effects: Vec<Effect>,
    /// Every function it may call by name. Operators, casts and types are apart.
    pub functions: Vec<FunctionUse>,
    /// Every operator symbol it uses (`=`, `||`, `OPERATOR(s.@@)`), once each.
    pub operators: Vec<Name>,
    /// Every type name it mentions in casts, definitions and typed literals.
    pub types: Vec<Name>,
    /// What it does to the session's own state, in order.
    pub session: Vec<SessionChange>,
    /// Why it is more than a read, or why it could not be understood; written for the approver.
    pub reasons: Vec<String>,
    /// Whether anything above was decided by a literal's value. If so, another statement with the same
    /// canonical text may mean something else.
    pub depends_on_literals: bool,
    /// Whether it has a string or a parameter: a value that may be read as one of a type that stands beside it.
    pub untyped_values: bool,
    /// Whether it has a string: a value that the server reads while it parses.
    pub strings: bool,
    /// The names, in order, of the columns that such a value may stand beside, and others; `None` where it may be any, or
    /// a whole row.
    pub named_values: Option<Vec<String>>,
    /// The OIDs of the types that the client declared for its parameters; the text has none of them.
    pub declared_types: Vec<u32>,
    /// The columns that its UPDATEs may assign, and perhaps others; `None` where that is not known.
    pub assigned: Option<Vec<String>>,
    /// What the catalog must not deny for a change to be as bounded as its effect says.
    pub assumptions: Vec<Assumption>,
    /// If it defines something, which later statements that concerns.
    pub redefines: Redefinition,
}

impl Statement {
    /// Whether planning or running it may run code that we have not seen through: user functions are
    /// found with the catalog; this is what the text alone says.
    #[must_use]
    pub fn has_unknown(&self) -> bool {
        self.effects.iter().any(|effect| effect.action == super::Action::Unknown)
    }
}

/// Which later statements may mean or run something else because of a definition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redefinition {
    /// By what they use.
    pub reach: Reach,
    /// Those as well that use relations of these names: what keys point to, new names.
    pub relations: Vec<String>,
    /// What else is gone with it.
    pub dependents: Dependents,
}

/// Which uses a definition concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Reach {
    /// None: all that it adds stands in the text, and runs nothing but what stands there.
    Nothing,
    /// Those of what its effects name.
    #[default]
    Named,
    /// Any.
    Anything,
}

/// What becomes of what depends on something that is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Dependents {
    /// It stays, or the statement fails.
    #[default]
    Stay,
    /// It is dropped too.
    AreDropped,
}

impl Redefinition {
    /// One that concerns no statement.
    pub(crate) const NOTHING: Self =
        Self { reach: Reach::Nothing, relations: Vec::new(), dependents: Dependents::Stay };
    /// One that concerns any.
    pub(crate) const ANYTHING: Self =
        Self { reach: Reach::Anything, relations: Vec::new(), dependents: Dependents::Stay };

    /// What uses the names of its effects and these.
    pub(crate) fn of_relations(relations: Vec<String>) -> Self {
        let reach = if relations.is_empty() { Reach::Nothing } else { Reach::Named };
        Self { reach, relations, ..Self::default() }
    }

    /// That of both together.
    #[must_use]
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.relations.extend(other.relations);
        Self {
            reach: self.reach.max(other.reach),
            relations: self.relations,
            dependents: self.dependents.max(other.dependents),
        }
    }
}

/// What a statement does to the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionChange {
    /// `BEGIN`, `START TRANSACTION`.
    Begin,
    /// `COMMIT`, `END`.
    Commit,
    /// `ROLLBACK`, `ABORT`.
    Rollback,
    /// `SAVEPOINT name`.
    Savepoint(String),
    /// `ROLLBACK TO name`.
    RollbackToSavepoint(String),
    /// `RELEASE name`.
    ReleaseSavepoint(String),
    /// `PREPARE name AS ...`: the statement that `EXECUTE name` will run.
    Prepare {
        /// The name, in the namespace that protocol-level statements share.
        name: String,
        /// What it will run.
        body: Box<Statement>,
    },
    /// `EXECUTE name`: also does what the prepared statement does. Until that is known, the statement has an
    /// `execute` effect on [`PreparedStatement`](super::ObjectKind::PreparedStatement) `name` in its place.
    ExecutePrepared {
        /// The name.
        name: String,
        /// The values it is given.
        arguments: Vec<Argument>,
    },
    /// `DEALLOCATE name`, or all.
    Deallocate(Option<String>),
    /// `DECLARE name CURSOR ...`.
    DeclareCursor {
        /// The name, in the namespace that protocol-level portals share.
        name: String,
        /// What fetching from it runs.
        body: Box<Statement>,
        /// `WITH HOLD`: the rest of it runs at COMMIT.
        hold: bool,
    },
    /// `FETCH`/`MOVE`: runs what the cursor was declared for. Until that is known, the statement has an `execute`
    /// effect on [`Cursor`](super::ObjectKind::Cursor) `name` in its place.
    FetchCursor(String),
    /// `CLOSE name`, or all.
    CloseCursor(Option<String>),
    /// `SET name = value`, `set_config('name', 'value', ...)`.
    Set {
        /// The setting, lower case; `None` where it is computed.
        name: Option<String>,
        /// The value as Postgres would store it; `None` for DEFAULT or where it is computed.
        value: Option<String>,
        /// `SET LOCAL`: until the end of the transaction.
        local: bool,
    },
    /// `RESET name`, or all.
    Reset(Option<String>),
    /// `SET ROLE`, `RESET ROLE`, `SET SESSION AUTHORIZATION`: names may resolve differently, rights differ.
    Role,
    /// `DISCARD ALL` (which does all of the above) or a part of it.
    Discard(DiscardTarget),
    /// A temporary relation is made: it shadows others of its name.
    CreateTemporary {
        /// Its name.
        name: String,
        /// `IF NOT EXISTS`, `OR REPLACE`: what has that name may be there already, and be something else.
        may_exist: bool,
    },
    /// `ON COMMIT DROP`: the temporary relation made by the same statement is gone when the transaction commits.
    DropAtCommit,
    /// Something unseen may have changed any of the above: `DO`, `CALL`, user code, unknown statements.
    Anything,
}

/// A value given to `EXECUTE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// `NULL`.
    Null,
    /// A constant, as text.
    Text(String),
    /// Anything that is known only when it runs.
    Computed,
}

/// What `DISCARD` discards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiscardTarget {
    /// Everything.
    All,
    /// Cached plans.
    Plans,
    /// Sequence state.
    Sequences,
    /// Temporary tables.
    Temporary,
}
