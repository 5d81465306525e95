//! A snapshot of what exists upstream, refreshed over a side connection.

mod side;

use std::sync::Arc;

use crate::blast::{Facts, NameContext, Radius, Resolved, Rows};
use crate::sql::Statement;

pub use side::{Dial, Dialer, Dialled, Limits, Pending, SideConnection};

/// What is known of the upstream's databases. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Catalog {
    _side: Arc<SideConnection>,
}

impl Catalog {
    /// A catalog that knows nothing yet and has connected to nothing.
    #[must_use]
    pub fn new(side: SideConnection) -> Self {
        Self { _side: Arc::new(side) }
    }

    /// The facts of a database as they are now: looks whether anything changed, and reads all of it again if so.
    /// Callers at the same time share one look.
    ///
    /// # Errors
    ///
    /// The upstream cannot be asked.
    pub async fn refresh(&self, _database: &str) -> Result<Arc<Facts>, CatalogError> {
        Err(CatalogError::TooManyDatabases { limit: 0 })
    }

    /// The facts of a database if they are fresh enough to decide with; takes no lock and asks nobody. `None`: ask
    /// [`Catalog::refresh`], and let nothing through that needs them until it answers.
    #[must_use]
    pub fn current(&self, _database: &str) -> Option<Arc<Facts>> {
        None
    }

    /// Says that definitions in the database may have changed: its facts are not given out again before they were
    /// looked at anew.
    pub fn invalidate(&self, _database: &str) {}

    /// Keeps the facts of a database fresh in the background for as long as the guard lives: one for each session.
    #[must_use]
    pub fn watch(&self, database: &str) -> Watch {
        Watch { _database: database.to_owned() }
    }

    /// How much a statement would do: bounded in time, never fails; what cannot be found out is unknown, with a
    /// warning.
    pub async fn radius(&self, _request: &RadiusRequest) -> Radius {
        Radius {
            rows: Rows::UNKNOWN,
            relations: Vec::new(),
            triggers: Vec::new(),
            dependents: Vec::new(),
            warnings: vec!["the catalog could not be asked".to_owned()],
        }
    }
}

/// Keeps the facts of one database fresh while it lives.
#[derive(Debug)]
pub struct Watch {
    _database: String,
}

/// Of which statement the radius is wanted.
#[derive(Debug, Clone)]
pub struct RadiusRequest {
    /// The session's database.
    pub database: String,
    /// The statement, understood and alone.
    pub statement: Statement,
    /// Its text: of this one statement only.
    pub text: String,
    /// The values bound to `$1`, ..., in text format; `None` for NULL. Fewer than the text has, or
    /// [`Parameter::Unknown`], where they are not known or not in text format.
    pub parameters: Vec<Parameter>,
    /// The statement resolved.
    pub resolved: Resolved,
    /// What the names were resolved with.
    pub names: NameContext,
}

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parameter {
    /// NULL.
    Null,
    /// In text format.
    Text(String),
    /// Not known, or in a binary format.
    Unknown,
}

/// Why the catalog has no facts.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The upstream cannot be reached or refuses the login.
    #[error("cannot read the catalog of database {database:?}: {reason}")]
    Connect {
        /// The database.
        database: String,
        /// What the upstream or the network said.
        reason: String,
    },
    /// A query failed or took too long.
    #[error("reading the catalog of database {database:?} failed: {reason}")]
    Query {
        /// The database.
        database: String,
        /// What the upstream said.
        reason: String,
    },
    /// As many databases as allowed are being looked at.
    #[error("sessions use more than {limit} databases; the catalog looks at no more than that")]
    TooManyDatabases {
        /// How many.
        limit: usize,
    },
}
