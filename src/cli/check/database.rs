//! The database that a check asks: its catalog, and how many rows. It is asked over a read-only session with
//! time-outs of its own; nothing that is checked is run.

use std::sync::Arc;

use tokio::runtime::Runtime;

use crate::blast::resolve::{NameContext, Resolved};
use crate::blast::{Facts, Radius};
use crate::catalog::RadiusRequest;
use crate::cli::side::{self, Looked};
use crate::cli::upstream::{UpstreamTls, UpstreamUrl};
use crate::cli::{Failure, output};
use crate::proxy::Upstream;
use crate::proxy::upstream::Vouching;
use crate::sql::parameters::Value;
use crate::sql::{Action, Effect, Statement};

/// A database that can be asked.
#[derive(Debug)]
pub(super) struct Database {
    // Before the runtime that drives its connections.
    looked: Looked,
    runtime: Runtime,
}

impl Database {
    /// Connects and reads the catalog. What the URL does not say of TLS, `tls` does.
    ///
    /// # Errors
    ///
    /// The server cannot be reached, or does not let us in.
    pub(super) fn connect(url: &UpstreamUrl, tls: UpstreamTls) -> Result<Self, Failure> {
        let target = url.target(&url.tls.clone().or(tls));
        let upstream = Upstream::new(&target, Vouching::default())
            .map_err(|error| Failure::usage(format_args!("TLS towards the upstream cannot be set up: {error}")))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::failed(format_args!("cannot start: {error}")))?;
        let looked = runtime.block_on(side::look(url, upstream.tls()))?;
        if url.database.is_none() {
            output::note(format_args!("the URL names no database: names are those of `{}`", looked.database));
        }
        Ok(Self { looked, runtime })
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.looked.database
    }

    /// Who asks.
    pub(super) fn user(&self) -> &str {
        &self.looked.user
    }

    /// What is in it.
    pub(super) fn facts(&self) -> Arc<Facts> {
        Arc::clone(&self.looked.facts)
    }

    /// How much a statement would do; `None` where it changes nothing.
    pub(super) fn radius(
        &self,
        statement: &Statement,
        text: &str,
        parameters: usize,
        resolved: &Resolved,
        names: &NameContext,
    ) -> Option<Radius> {
        if !resolved.effects.iter().any(changes) {
            return None;
        }
        let request = RadiusRequest {
            database: self.name().to_owned(),
            statement: statement.clone(),
            text: text.to_owned(),
            reads_alike: Ok(()),
            parameters: vec![Value::Unknown; parameters],
            resolved: resolved.clone(),
            names: names.clone(),
        };
        Some(self.runtime.block_on(self.looked.catalog.radius(&request)))
    }
}

/// Whether it is more than a read, a setting or the bounds of a transaction.
fn changes(effect: &Effect) -> bool {
    match effect.action {
        Action::Read | Action::Set | Action::Transaction => false,
        Action::Lock => !effect.harmless,
        _ => true,
    }
}
