//! The side connection to an upstream: who reads the catalog, and what is said where nobody can.

use std::sync::Arc;
use std::time::Duration;

use super::Failure;
use super::upstream::{Host, UpstreamUrl};
use crate::blast::Facts;
use crate::catalog::{Catalog, Dialer, Limits, SideConnection};
use crate::proxy::tls::{SideTls, SslMode, UpstreamTls};

/// The database that is looked at where the URL names none.
const USUAL_DATABASE: &str = "postgres";

/// How long the upstream may take to answer the first time.
const FIRST_LOOK: Duration = Duration::from_secs(15);

/// A catalog whose upstream has answered once.
#[derive(Debug)]
pub struct Looked {
    /// The catalog.
    pub catalog: Catalog,
    /// The database that was looked at.
    pub database: String,
    /// Who looked.
    pub user: String,
    /// What was seen.
    pub facts: Arc<Facts>,
}

/// Opens the side connection and reads the catalog of the database that the URL names, so that a wrong upstream is
/// told at once.
///
/// # Errors
///
/// The server cannot be reached, lets nobody in that we may be, or has no such database.
pub async fn look(url: &UpstreamUrl, tls: &UpstreamTls) -> Result<Looked, Failure> {
    let database = url.database.clone().unwrap_or_else(|| USUAL_DATABASE.to_owned());
    let mut last = None;
    for user in users(url) {
        let catalog = Catalog::new(connection(url, tls, &user));
        match tokio::time::timeout(FIRST_LOOK, catalog.refresh(&database)).await {
            Ok(Ok(facts)) => return Ok(Looked { catalog, database, user, facts }),
            Ok(Err(error)) => last = Some(format!("as user {user}: {error}")),
            Err(_) => last = Some(format!("as user {user}: no answer within {} s", FIRST_LOOK.as_secs())),
        }
    }
    let why = last.unwrap_or_default();
    Err(Failure::failed(format_args!("cannot look at the upstream {url} {why}")).hint(
        "is it running, and are host and port right? give a user that may log in, for reading the catalog, in the URL: \
         postgres://USER:PASSWORD@HOST:PORT/DATABASE",
    ))
}

/// Who reads the catalog: who the URL says, else who libpq would take, else the usual superuser.
fn users(url: &UpstreamUrl) -> Vec<String> {
    if let Some(user) = &url.user {
        return vec![user.clone()];
    }
    let own = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten().map(|user| user.name);
    let mut users: Vec<String> = std::env::var("PGUSER").ok().into_iter().chain(own).collect();
    users.push("postgres".to_owned());
    users.dedup();
    users
}

fn connection(url: &UpstreamUrl, tls: &UpstreamTls, user: &str) -> SideConnection {
    let mut side = tokio_postgres::Config::new();
    match &url.host {
        Host::Tcp(name) => side.host(name),
        Host::Unix(directory) => side.host_path(directory),
    };
    side.port(url.port).user(user);
    if let Some(password) = &url.password {
        side.password(password.as_bytes());
    } else if let Ok(password) = std::env::var("PGPASSWORD") {
        side.password(password);
    }
    side.ssl_mode(match tls.mode() {
        SslMode::Disable => tokio_postgres::config::SslMode::Disable,
        mode if mode.requires_tls() => tokio_postgres::config::SslMode::Require,
        _ => tokio_postgres::config::SslMode::Prefer,
    });
    SideConnection { config: side, dial: Arc::new(Dialer(SideTls::new(tls.clone()))), limits: Limits::default() }
}
