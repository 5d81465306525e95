//! The server's end for approvers on other machines: TLS with client certificates.
//!
//! A caller is who the common name of its certificate says, and the certificate is signed by an authority of
//! `control.client_ca`, or the handshake fails. Whom `approvers` does not name may not even look: a remote caller is
//! never let in by an empty list, unlike those on the socket, whom the file's mode admits.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use rustls::server::VerifierBuilderError;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;

use super::accept::accept_all;
use super::caller::{Caller, Nameless};
use super::handshakes::Handshakes;
use super::routes;
use super::server::{State, answer};
use crate::text::Untrusted;
use crate::tls::FileError;

/// Connections at the same time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 128;

/// From connecting to the end of the handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a refused caller has to take the reason, and how much of what it still says is thrown away.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: u64 = 64 << 10;

/// Who may connect, and what is shown to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteServerOptions {
    /// The host to listen on.
    pub host: String,
    /// The port; 0 lets the system choose.
    pub port: u16,
    /// The certificate shown, then its issuers, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// The authorities that sign approvers' certificates, PEM.
    pub client_ca: PathBuf,
    /// Which of those certificates are revoked: a list of each authority, PEM. `None`: that is not asked.
    pub client_crl: Option<PathBuf>,
}

/// Why approvers elsewhere cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum RemoteBindError {
    /// A file is of no use.
    #[error(transparent)]
    File(#[from] FileError),
    /// Certificate and key do not fit together.
    #[error("cannot use certificate {certificate} with key {key}: {error}")]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        error: rustls::Error,
    },
    /// The authorities are of no use.
    #[error("cannot let the authorities in {path} vouch for approvers: {error}")]
    Authorities {
        /// Their file.
        path: PathBuf,
        /// What is wrong.
        error: VerifierBuilderError,
    },
    /// The address cannot be had.
    #[error("cannot listen for approvers on {address}: {error}")]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        error: io::Error,
    },
}

/// A bound control address.
#[derive(Debug)]
pub struct RemoteServer {
    listener: TcpListener,
    address: SocketAddr,
    handshakes: Arc<Handshakes>,
    state: State,
}

impl RemoteServer {
    /// Reads the files and binds the address.
    ///
    /// # Errors
    ///
    /// See [`RemoteBindError`].
    pub async fn bind(options: &RemoteServerOptions, state: State) -> Result<Self, RemoteBindError> {
        let handshakes = Handshakes::new(options)?;
        let failed = |error| RemoteBindError::Listen { address: format!("{}:{}", options.host, options.port), error };
        let listener = TcpListener::bind((options.host.as_str(), options.port)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, handshakes: Arc::new(handshakes), state })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until it is dropped; so are the connections then.
    pub async fn serve(self) {
        let Self { listener, handshakes, state, .. } = self;
        accept_all(listener, "the control address", CONNECTIONS_MAX, |(stream, peer)| {
            admit(Arc::clone(&handshakes), stream, peer, state.clone())
        })
        .await;
    }
}

/// One connection from its first byte to its last.
async fn admit(handshakes: Arc<Handshakes>, stream: TcpStream, peer: SocketAddr, state: State) {
    let Some(acceptor) = handshakes.acceptor() else {
        tracing::debug!(%peer, "a remote approver is not let in: who is revoked is not known");
        return;
    };
    let handshake = acceptor.accept(stream).into_fallible();
    let stream = match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err((error, stream))) => {
            // Anybody who reaches the port can cause this, as often as they like.
            tracing::info!(%peer, %error, "a remote approver is not let in");
            return linger(stream).await;
        }
        Err(_) => {
            tracing::debug!(%peer, "a remote approver did not finish the handshake");
            return;
        }
    };
    let router = router(&stream, peer, state);
    answer(stream, router).await;
}

/// A reset would take the reason away from a caller that is still sending: let it read first.
async fn linger(mut stream: TcpStream) {
    let drain = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(LINGER_BYTES_MAX), &mut tokio::io::sink()).await
    };
    // It is refused either way.
    let _ = tokio::time::timeout(LINGER, drain).await;
}

/// What this caller is answered.
fn router(stream: &TlsStream<TcpStream>, peer: SocketAddr, state: State) -> Router {
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let caller = certificate
        .ok_or(Nameless::Unreadable)
        .and_then(|certificate| Caller::of_certificate(certificate, peer.to_string()));
    match caller {
        Ok(caller) if state.gate.names_approver(&caller.name) => routes::router(state).layer(Extension(caller)),
        Ok(caller) => {
            tracing::warn!(%peer, name = %Untrusted::line(&caller.name), "a remote caller is not among the approvers");
            routes::no_approver(&caller.name)
        }
        Err(nameless) => {
            tracing::warn!(%peer, %nameless, "a remote caller's certificate names nobody");
            routes::nameless(nameless)
        }
    }
}
