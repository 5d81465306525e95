//! The database that a check asks: its catalog, and how many rows.

use std::sync::Arc;

use crate::blast::resolve::{NameContext, Resolved};
use crate::blast::{Facts, Radius};
use crate::cli::Failure;
use crate::cli::upstream::UpstreamUrl;
use crate::sql::Statement;

/// A database that can be asked.
#[derive(Debug)]
pub(super) struct Database {
    name: String,
    role: String,
    facts: Arc<Facts>,
}

impl Database {
    /// Connects and reads the catalog.
    ///
    /// # Errors
    ///
    /// The server cannot be reached, or does not let us in.
    #[expect(clippy::needless_pass_by_value, reason = "the password in it is not kept")]
    pub(super) fn connect(upstream: UpstreamUrl) -> Result<Self, Failure> {
        Err(Failure::failed(format_args!("cannot ask {upstream}: not part of this build")))
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Who asks.
    pub(super) fn role(&self) -> &str {
        &self.role
    }

    /// What is in it.
    pub(super) fn facts(&self) -> Arc<Facts> {
        Arc::clone(&self.facts)
    }

    /// How much a statement would do; `None` where it changes nothing.
    pub(super) fn radius(
        &self,
        _statement: &Statement,
        _sql: &str,
        _resolved: &Resolved,
        _names: &NameContext,
    ) -> Option<Radius> {
        None
    }
}

/// Prints the radius below a statement.
pub(super) fn print_radius(_radius: &Radius, _output: &mut crate::cli::Output) -> Result<(), Failure> {
    Ok(())
}
