//! The server's end of the socket.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{UnixListener, UnixStream};

use super::accept::accept_all;
use super::caller::Caller;
use super::functions::Functions;
use super::routes;
use super::socket::{self, BindError, SocketFile};
use crate::audit::Inspector;
use crate::blast::Blockers;
use crate::catalog::examine::{Examined, Sample};
use crate::gate::{Gate, HoldId};

/// Connections at the same time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 64;

/// How long a caller may take to say what it wants.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// What the routes answer from.
#[derive(Clone)]
pub struct State {
    /// The holds.
    pub gate: Gate,
    /// What this proxy is and how it is: one JSON object.
    pub status: Arc<dyn Fn() -> Value + Send + Sync>,
    /// User code that is approved for its body; `None` where there is no upstream to have any.
    pub functions: Option<Functions>,
    /// The sessions: one JSON object each.
    pub sessions: Arc<dyn Fn() -> Vec<Value> + Send + Sync>,
    /// What was counted and measured: one JSON object.
    pub statistics: Arc<dyn Fn() -> Value + Send + Sync>,
    /// Looks at the audit log; `None` where there is none.
    pub inspector: Option<Inspector>,
    /// Looks at the rows that a held statement would change, and at locks; `None` where no database can be asked.
    pub rows: Option<Arc<dyn LookAtRows>>,
}

/// Looks at the database for an approver.
pub trait LookAtRows: Send + Sync {
    /// Some of the rows that a hold would change; `None` where it does not wait.
    fn sample(&self, id: HoldId, by: String) -> Looking<Vec<Examined<Sample>>>;
    /// How many rows a hold would change, exactly; `None` where it does not wait.
    fn count(&self, id: HoldId, by: String) -> Looking<Vec<Examined<u64>>>;
    /// Whom a hold would wait for now, and who waits for its transaction; `None` where it is not known.
    fn blockers(&self, id: HoldId) -> Looking<Blockers>;
}

/// A look under way. An error is why nobody may look now.
pub type Looking<T> = Pin<Box<dyn Future<Output = Result<Option<T>, String>> + Send>>;

impl State {
    /// Answers about holds alone.
    #[must_use]
    pub fn new(gate: Gate) -> Self {
        Self {
            gate,
            status: Arc::new(|| Value::Object(serde_json::Map::new())),
            functions: None,
            sessions: Arc::new(Vec::new),
            statistics: Arc::new(|| Value::Object(serde_json::Map::new())),
            inspector: None,
            rows: None,
        }
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("gate", &self.gate).finish_non_exhaustive()
    }
}

/// A bound control socket. Its file goes when this is dropped.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    _file: SocketFile,
    state: State,
}

impl Server {
    /// Binds the control socket of a data directory, which has to exist. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// Another proxy uses the directory, or the system refuses.
    pub fn bind(directory: &Path, state: State) -> Result<Self, BindError> {
        let socket = socket::bind(directory)?;
        let listener = UnixListener::from_std(socket.listener)
            .map_err(|error| BindError::Io { path: directory.join(super::SOCKET_NAME), error })?;
        Ok(Self { listener, _file: socket.file, state })
    }

    /// Answers until it is dropped; so are the connections then.
    pub async fn serve(self) {
        let Self { listener, _file, state } = self;
        accept_all(listener, "the control socket", CONNECTIONS_MAX, |stream| answer_user(stream, state.clone())).await;
    }
}

async fn answer_user(stream: UnixStream, state: State) {
    match Caller::of(&stream) {
        Ok(caller) => answer(stream, routes::router(state).layer(Extension(caller))).await,
        Err(error) => tracing::warn!(%error, "the kernel does not say who is on the control socket"),
    }
}

/// Answers one caller until it or its patience is gone.
pub(super) async fn answer<S: AsyncRead + AsyncWrite + Unpin>(stream: S, router: Router) {
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a caller of the control API went away");
    }
}
