//! The way in: from an accepted socket to a client that is logged in upstream.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::cancel::Cancels;
use super::login::{LoggedIn, Login, LoginContext, LoginError, log_in};
use super::parameters::StartupRules;
use super::startup::{Arrival, Arriving, Reception, farewell};
use super::stream::Stream;
use super::tls::ServerTls;
use super::upstream::Upstream;
use crate::wire::report::Report;

/// The database that is ours: see [`super::admin`].
pub const ADMIN_DATABASE: &str = "pgsluice";

/// What everybody who comes in is treated by.
#[derive(Debug)]
pub struct Entry {
    upstream: Upstream,
    tls: Option<ServerTls>,
    rules: Arc<dyn StartupRules>,
    cancels: Cancels,
    sessions: Arc<Semaphore>,
    login_timeout: Duration,
    admin_login_database: String,
}

/// The bounds of an [`Entry`].
#[derive(Debug, Clone, Copy)]
pub struct EntryLimits {
    /// How long a client may take until it is logged in, the server's part included (as `authentication_timeout`).
    pub login_timeout: Duration,
    /// How many sessions there may be at once.
    pub sessions: usize,
}

impl Default for EntryLimits {
    fn default() -> Self {
        Self { login_timeout: Duration::from_secs(60), sessions: 10_000 }
    }
}

/// What became of somebody who came in.
#[derive(Debug)]
pub enum Entered {
    /// A session.
    Session(Box<LoggedIn>),
    /// A session of the virtual database: the server has let it in, to another database, and is not needed any more.
    Admin(Box<LoggedIn>),
    /// Nothing to do any more: a cancel request that was dealt with, or a connection closed without a word.
    Nobody,
}

/// Why nobody came in, and who it would have been. The client has been told.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct EntryError {
    /// The role, if it was said.
    pub user: Option<String>,
    /// The database, if it was said.
    pub database: Option<String>,
    /// From where.
    pub peer: super::stream::Peer,
    /// Why not.
    #[source]
    pub error: EntryFault,
}

/// At which step it failed.
#[derive(Debug, thiserror::Error)]
pub enum EntryFault {
    /// Before it was known who it is.
    #[error("before the login: {0}")]
    Startup(String),
    /// After that.
    #[error("login: {0}")]
    Login(LoginError),
}

impl Entry {
    /// Without TLS for clients.
    #[must_use]
    pub fn new(upstream: Upstream, rules: Arc<dyn StartupRules>, limits: EntryLimits) -> Self {
        Self {
            upstream,
            tls: None,
            rules,
            cancels: Cancels::new(),
            sessions: Arc::new(Semaphore::new(limits.sessions.min(Semaphore::MAX_PERMITS))),
            login_timeout: limits.login_timeout,
            admin_login_database: "postgres".to_owned(),
        }
    }

    /// The upstream database in which those prove who they are who want the virtual one; `postgres` unless said.
    #[must_use]
    pub fn with_admin_login_database(mut self, database: &str) -> Self {
        database.clone_into(&mut self.admin_login_database);
        self
    }

    /// With TLS for clients that want it.
    #[must_use]
    pub fn with_tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The sessions that can be cancelled.
    #[must_use]
    pub const fn cancels(&self) -> &Cancels {
        &self.cancels
    }

    /// Takes somebody in. Whatever happens is bounded by the login time-out, and the client has been told.
    ///
    /// # Errors
    /// The startup or the login failed.
    pub async fn admit(&self, stream: Stream) -> Result<Entered, EntryError> {
        let deadline = Instant::now() + self.login_timeout;
        let peer = stream.peer().clone();
        let nobody = |reason: String| EntryError {
            user: None,
            database: None,
            peer: peer.clone(),
            error: EntryFault::Startup(reason),
        };
        let arrival = timeout_at(deadline, Reception::new(stream, self.tls.as_ref()).arrival()).await;
        match arrival {
            // As Postgres: whoever has said nothing yet is told nothing.
            Err(_) => Err(nobody("no startup packet in time".to_owned())),
            Ok(Err(error)) => Err(nobody(error.to_string())),
            Ok(Ok(Arrival::Gone)) => Ok(Entered::Nobody),
            Ok(Ok(Arrival::Cancel { stream, pid, secret })) => {
                self.cancels.request(pid, &secret).await;
                drop(stream);
                Ok(Entered::Nobody)
            }
            Ok(Ok(Arrival::Session(arriving))) => self.session(arriving, deadline).await,
        }
    }

    async fn session(&self, arriving: Arriving, deadline: Instant) -> Result<Entered, EntryError> {
        let Arriving { mut stream, version, message } = arriving;
        let wants_admin = message.database == ADMIN_DATABASE;
        let login = async {
            let permit = Arc::clone(&self.sessions)
                .try_acquire_owned()
                .map_err(|_| Report::fatal("53300", "sorry, too many clients already"))?;
            let context = LoginContext { upstream: &self.upstream, rules: self.rules.as_ref(), cancels: &self.cancels };
            let login = if wants_admin {
                let message = message.to_administer(&self.admin_login_database)?;
                log_in(&mut stream, version, &message, context).await?
            } else {
                log_in(&mut stream, version, &message, context).await?
            };
            Ok((permit, login))
        };
        let result = timeout_at(deadline, login).await.unwrap_or(Err(LoginError::Timeout));
        let (permit, login) = match result {
            Ok(done) => done,
            Err(error) => {
                if let Some(answer) = error.answer() {
                    farewell(&mut stream, &answer).await;
                }
                return Err(EntryError {
                    peer: stream.peer().clone(),
                    user: Some(message.user),
                    database: Some(message.database),
                    error: EntryFault::Login(error),
                });
            }
        };
        let Login { upstream, upstream_ahead, greeting, ready, version, judged, parameters, cancel } = login;
        let logged_in = Box::new(LoggedIn {
            client: stream,
            upstream,
            upstream_ahead,
            greeting,
            ready,
            user: message.user,
            database: message.database,
            version,
            settings: judged.settings,
            replication: judged.replication,
            parameters,
            cancel,
            permit: Some(permit),
        });
        Ok(if wants_admin { Entered::Admin(logged_in) } else { Entered::Session(logged_in) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sessions are spawned, so what admits them must be able to move between threads. It is the compiler that
    /// judges; nothing runs.
    #[expect(dead_code, reason = "compiling it is the test")]
    fn admitting_can_be_spawned(entry: Arc<Entry>, stream: Stream) {
        fn is_send<F: Future + Send + 'static>(_: F) {}
        is_send(async move { entry.admit(stream).await });
    }
}
