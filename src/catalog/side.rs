//! The side connection: how the catalog reaches the upstream, with rights and time-outs of its own.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, NoTls, Socket};

/// A future that somebody else may drive.
pub type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A client, and what moves its bytes: that ends when the connection does.
pub type Dialled = (Client, Pending<Result<(), tokio_postgres::Error>>);

/// Opens connections. It hides how TLS is done.
pub trait Dial: Send + Sync + 'static {
    /// Connects and logs in.
    fn dial(&self, config: Config) -> Pending<Result<Dialled, tokio_postgres::Error>>;
}

/// Opens connections with a TLS connector of `tokio-postgres`.
#[derive(Debug, Clone)]
pub struct Dialer<T>(pub T);

impl<T> Dial for Dialer<T>
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::Stream: Send + 'static,
    T::TlsConnect: Send,
    <T::TlsConnect as tokio_postgres::tls::TlsConnect<Socket>>::Future: Send,
{
    fn dial(&self, config: Config) -> Pending<Result<Dialled, tokio_postgres::Error>> {
        let tls = self.0.clone();
        Box::pin(async move {
            let (client, connection) = config.connect(tls).await?;
            Ok((client, Box::pin(connection) as Pending<_>))
        })
    }
}

/// How to reach the upstream for the catalog's sake.
#[derive(Clone)]
pub struct SideConnection {
    /// Host, port, user, password. The database, the application name and the options are set for each connection.
    pub config: Config,
    /// Opens the connections.
    pub dial: Arc<dyn Dial>,
    /// Its bounds.
    pub limits: Limits,
}

impl SideConnection {
    /// Without TLS, with the usual bounds.
    #[must_use]
    pub fn plain(config: Config) -> Self {
        Self { config, dial: Arc::new(Dialer(NoTls)), limits: Limits::default() }
    }
}

impl fmt::Debug for SideConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The configuration holds a password.
        f.debug_struct("SideConnection").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// The bounds of the side connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long connecting and logging in may take.
    pub connect: Duration,
    /// `statement_timeout` of what reads the catalog.
    pub statement: Duration,
    /// How often a database with sessions is looked at again.
    pub probe_every: Duration,
    /// How often the names of columns are looked at too: who renames one past us is noticed that much later.
    pub columns_every: Duration,
    /// How old the last look may be; facts older than this are not given out.
    pub stale_after: Duration,
    /// How long a connection is kept that no session needs.
    pub idle: Duration,
    /// How many databases are looked at, with one connection each.
    pub databases: usize,
    /// How long finding out one blast radius may take.
    pub radius: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            statement: Duration::from_secs(30),
            probe_every: Duration::from_secs(1),
            columns_every: Duration::from_secs(10),
            stale_after: Duration::from_secs(5),
            idle: Duration::from_secs(10),
            databases: 256,
            radius: Duration::from_secs(3),
        }
    }
}
