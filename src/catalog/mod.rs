//! A snapshot of what exists upstream, refreshed over a side connection.

mod blockers;
mod database;
pub mod examine;
mod folded;
mod functions;
mod link;
mod node_tree;
mod plan;
pub(crate) mod queries;
mod radius;
mod side;
mod snapshot;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::blast::{Blockers, Facts, NameContext, Radius, Resolved};
use crate::sql::Statement;
use crate::sql::parameters::Value;

use database::Database;
use examine::{Examined, Sample};

pub use functions::{FunctionSource, FunctionSummary};
pub use side::{Dial, Dialer, Dialled, Limits, Pending, SideConnection};

/// How many approvers may look at rows at the same time.
const LOOKS_MAX: usize = 2;

/// What is known of the upstream's databases. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Catalog {
    side: Arc<SideConnection>,
    /// Where it reads: not on the threads of those who ask, whom reading a large catalog would hold up.
    runtime: Option<Handle>,
    databases: Arc<ArcSwap<HashMap<String, Arc<Database>>>>,
    /// Bounds how many approvers look at rows at the same time.
    looks: Arc<Semaphore>,
}

impl Catalog {
    /// A catalog that knows nothing yet and has connected to nothing. It reads in the runtime that it is made in, or else in
    /// that of whoever asks.
    #[must_use]
    pub fn new(side: SideConnection) -> Self {
        Self {
            side: Arc::new(side),
            runtime: Handle::try_current().ok(),
            databases: Arc::default(),
            looks: Arc::new(Semaphore::new(LOOKS_MAX)),
        }
    }

    /// The facts of a database as they are now: looks whether anything changed, and reads all of it again if so.
    /// Callers at the same time share one look. Ask it for databases that a client has logged into: a place is kept
    /// for each.
    ///
    /// # Errors
    ///
    /// The upstream cannot be asked.
    pub async fn refresh(&self, database: &str) -> Result<Arc<Facts>, CatalogError> {
        let database = self.database(database)?;
        let Some(runtime) = &self.runtime else { return database.refresh().await };
        let name = database.name().to_owned();
        let read = runtime.spawn(async move { database.refresh().await }).await;
        read.unwrap_or_else(|error| Err(CatalogError::Query { database: name, reason: error.to_string() }))
    }

    /// The facts of a database if they are fresh enough to decide with; takes no lock and asks nobody. `None`: ask
    /// [`Catalog::refresh`], and let nothing through that needs them until it answers.
    #[must_use]
    pub fn current(&self, database: &str) -> Option<Arc<Facts>> {
        self.databases.load().get(database)?.current()
    }

    /// Says that definitions in the database may have changed: its facts are not given out again before they were
    /// looked at anew.
    pub fn invalidate(&self, database: &str) {
        if let Some(database) = self.databases.load().get(database) {
            database.invalidate();
        }
    }

    /// Keeps the facts of a database fresh in the background for as long as the guard lives: one for each session.
    /// To be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// As many databases as allowed are watched already.
    pub fn watch(&self, database: &str) -> Result<Watch, CatalogError> {
        let database = self.database(database)?;
        database.watch(self.runtime.as_ref());
        Ok(Watch { database })
    }

    /// The place of a database; a new one where there is none yet.
    fn database(&self, name: &str) -> Result<Arc<Database>, CatalogError> {
        if let Some(database) = self.databases.load().get(name) {
            return Ok(Arc::clone(database));
        }
        let new = Database::new(name, Arc::clone(&self.side));
        let limit = self.side.limits.databases;
        self.databases.rcu(|databases| {
            let mut databases = HashMap::clone(databases);
            if databases.len() >= limit {
                databases.retain(|_, database| !database.is_idle());
            }
            if databases.len() < limit {
                databases.entry(name.to_owned()).or_insert_with(|| Arc::clone(&new));
            }
            databases
        });
        let databases = self.databases.load();
        databases.get(name).map(Arc::clone).ok_or(CatalogError::TooManyDatabases { limit })
    }

    /// Some of the rows that statements of one session would change: bounded in time, in a read-only transaction, and
    /// only where looking runs no code but the server's own. What cannot be had is refused, with the reason.
    pub async fn sample(&self, requests: &[RadiusRequest]) -> Vec<Examined<Sample>> {
        match self.look_for(requests) {
            Ok((database, _turn)) => examine::sample(&database, requests).await,
            Err(why) => examine::refused(why),
        }
    }

    /// How many rows statements of one session would change, exactly: bounded as [`Catalog::sample`].
    pub async fn count(&self, requests: &[RadiusRequest]) -> Vec<Examined<u64>> {
        match self.look_for(requests) {
            Ok((database, _turn)) => examine::count(&database, requests).await,
            Err(why) => examine::refused(why),
        }
    }

    fn look_for(&self, requests: &[RadiusRequest]) -> Result<(Arc<Database>, OwnedSemaphorePermit), String> {
        let first = requests.first().ok_or("it changes no rows that could be looked at")?;
        let busy = |_| "others are looking at rows right now; try again in a moment".to_owned();
        let turn = Arc::clone(&self.looks).try_acquire_owned().map_err(busy)?;
        Ok((self.database(&first.database).map_err(|error| error.to_string())?, turn))
    }

    /// Whom a statement with this radius would wait for now, and who waits for its own session: bounded in time and
    /// number, never fails. `own` is the process id of the backend in whose transaction it waits; that one is in
    /// nobody's way.
    pub async fn blockers(&self, database: &str, radius: &Radius, own: Option<i32>) -> Blockers {
        match self.database(database) {
            Ok(database) => blockers::blockers(&database, radius, own).await,
            Err(error) => blockers::unknown(error.to_string()),
        }
    }

    /// How much a statement would do: bounded in time, never fails; what cannot be found out is unknown, with a
    /// warning.
    pub async fn radius(&self, request: &RadiusRequest) -> Radius {
        match self.database(&request.database) {
            Ok(database) => radius::radius(&database, request).await,
            Err(error) => radius::unknown(request, error.to_string()),
        }
    }
}

/// Keeps the facts of one database fresh while it lives.
#[derive(Debug)]
pub struct Watch {
    database: Arc<Database>,
}

impl Watch {
    /// As [`Catalog::current`], of the database that is watched, at a time that is now or was a moment ago. Costs less:
    /// looks up no name, and not at the clock.
    #[must_use]
    pub fn current(&self, now: std::time::Instant) -> Option<Arc<Facts>> {
        self.database.current_at(now)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.database.unwatch();
    }
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
    /// Whether a connection with the usual settings reads that text as the session's does; else why not. Where it does not,
    /// neither the planner nor the rows are asked.
    pub reads_alike: Result<(), &'static str>,
    /// The values bound to `$1`, ..., in text format; `None` for NULL. Fewer than the text has, or
    /// [`Value::Unknown`], where they are not known or not in text format.
    pub parameters: Vec<Value>,
    /// The statement resolved.
    pub resolved: Resolved,
    /// What the names were resolved with.
    pub names: NameContext,
}

/// Why the catalog has no facts.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
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
    /// It takes longer than a statement can wait for it.
    #[error("the upstream did not answer within {seconds} seconds")]
    Slow {
        /// How long it was waited for.
        seconds: f32,
    },
    /// As many databases as allowed are being looked at.
    #[error("sessions use more than {limit} databases; the catalog looks at no more than that")]
    TooManyDatabases {
        /// How many.
        limit: usize,
    },
}
