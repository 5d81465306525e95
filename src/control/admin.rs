//! What monitoring asks, over HTTP: `/metrics` in Prometheus' text format, `/healthz` and `/readyz`.
//!
//! Nothing can be decided or changed here, and nothing that is told names a statement, a user or a table.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State as Shared;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};

use super::accept::accept_all;

/// Connections at the same time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 16;
/// How long a caller may take to say what it wants.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may last, so that idle ones do not take the places of others.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);

/// An answer that is being found out.
pub type Answering = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// What monitoring is told from.
#[derive(Clone)]
pub struct Monitored {
    /// Metrics in Prometheus' text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Whether clients can be served now; if not, why.
    pub ready: Arc<dyn Fn() -> Answering + Send + Sync>,
}

impl std::fmt::Debug for Monitored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Monitored").finish_non_exhaustive()
    }
}

/// A bound admin listener.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    monitored: Monitored,
}

impl Admin {
    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// The host has no address, or the address is in use or not ours.
    pub async fn bind(host: &str, port: u16, monitored: Monitored) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind((host, port)).await?, monitored })
    }

    /// Where it listens, with the port that was taken.
    ///
    /// # Errors
    ///
    /// The system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until it is dropped; so are the connections then.
    pub async fn serve(self) {
        let monitored = self.monitored;
        accept_all(self.listener, "the admin address", CONNECTIONS_MAX, |(stream, _)| {
            let answered = tokio::time::timeout(CONNECTION_TIMEOUT, answer(stream, monitored.clone()));
            async move {
                let _ended = answered.await;
            }
        })
        .await;
    }
}

async fn answer(stream: TcpStream, monitored: Monitored) {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
        .with_state(monitored);
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a caller on the admin address went away");
    }
}

async fn metrics(Shared(monitored): Shared<Monitored>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], (monitored.metrics)()).into_response()
}

async fn healthy() -> &'static str {
    "ok\n"
}

async fn ready(Shared(monitored): Shared<Monitored>) -> Response {
    match (monitored.ready)().await {
        Ok(()) => "ok\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}
