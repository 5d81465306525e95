//! Connecting to the upstream server, as far as the startup packet: address, time-out, TLS.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::socket::Socket;
use super::stream::{Peer, Stream, tune};
use super::tls::{SslMode, TlsSetupError, UpstreamTls, UpstreamTlsOptions};
use crate::wire::encode;

/// How long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the server is, and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its host.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// TLS with it.
    pub tls: UpstreamTlsOptions,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name or an address.
    Tcp(String),
    /// The directory of a Unix socket.
    UnixDirectory(PathBuf),
}

/// Whether the upstream may log a client in because of who *we* are.
///
/// A server that asks for nothing may trust everybody, or it may have recognised our client certificate or our
/// operating system user (`cert`, `peer`): then anybody who reaches us would be somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Vouching {
    /// Such a login is refused where it could be ours.
    #[default]
    Refused,
    /// It is accepted.
    Accepted,
}

/// The upstream server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Upstream {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    location: Location,
    tls: UpstreamTls,
    vouching: Vouching,
}

#[derive(Debug)]
enum Location {
    Tcp { host: String, port: u16 },
    Unix { path: PathBuf },
}

/// Whether a connection is to be protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protection {
    Plain,
    Tls,
}

/// Why the upstream server was not reached.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// It took too long.
    #[error("no connection within {0:?}")]
    Timeout(Duration),
    /// The network or the operating system says no.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// TLS is demanded, but the server does not do it.
    #[error("the server does not support TLS, but sslmode={0} demands it")]
    NoTls(SslMode),
    /// The handshake failed, perhaps because the certificate is not trusted.
    #[error("TLS: {0}")]
    Handshake(io::Error),
    /// Neither yes nor no to the request for TLS.
    #[error("the server answered a request for TLS with byte {0:#04x}; is it a Postgres server?")]
    Answer(u8),
}

impl Upstream {
    /// The server at a place.
    ///
    /// # Errors
    /// TLS cannot be set up as its options say.
    pub fn new(target: &Target, vouching: Vouching) -> Result<Self, TlsSetupError> {
        let location = match &target.host {
            Host::Tcp(host) => Location::Tcp { host: host.clone(), port: target.port },
            Host::UnixDirectory(directory) => {
                Location::Unix { path: directory.join(format!(".s.PGSQL.{}", target.port)) }
            }
        };
        let inner = Inner { location, tls: UpstreamTls::new(&target.tls)?, vouching };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The rules for TLS, e.g. for the side connection.
    #[must_use]
    pub fn tls(&self) -> &UpstreamTls {
        &self.inner.tls
    }

    /// Connects as `sslmode` says, ready for a startup packet.
    ///
    /// # Errors
    /// The server cannot be reached, or not with the protection that is demanded.
    pub(super) async fn connect(&self) -> Result<Stream, ConnectError> {
        match self.first_choice() {
            Protection::Plain => self.attempt(None, Protection::Plain).await,
            Protection::Tls => match self.attempt(None, Protection::Tls).await {
                // As libpq under `prefer`: a failed handshake means no TLS, not no connection.
                Err(ConnectError::Handshake(_)) if self.inner.tls.mode() == SslMode::Prefer => {
                    self.attempt(None, Protection::Plain).await
                }
                result => result,
            },
        }
    }

    /// Connects once more without TLS, where libpq would do so after the server refused a login with it.
    pub(super) async fn connect_without_tls(&self, refused: &Stream) -> Option<Result<Stream, ConnectError>> {
        let once_more = self.inner.tls.mode() == SslMode::Prefer && refused.is_tls();
        if once_more { Some(self.attempt(None, Protection::Plain).await) } else { None }
    }

    /// Connects to the server that a session is connected to, with the same protection.
    pub(super) async fn connect_beside(&self, peer: &Peer, protection: Protection) -> Result<Stream, ConnectError> {
        let address = match peer {
            Peer::Tcp(address) => Some(*address),
            Peer::Unix { .. } => None,
        };
        let stream = self.attempt(address, protection).await?;
        if protection == Protection::Tls && !stream.is_tls() {
            // Under `prefer` a server may have stopped doing TLS since; the session's secret stays protected.
            return Err(ConnectError::NoTls(self.inner.tls.mode()));
        }
        Ok(stream)
    }

    /// Why a login that the server granted without asking for anything may be due to us, and is to be refused.
    pub(super) fn doubtful_login(&self, upstream: &Stream, client: &Peer, user: &str) -> Option<&'static str> {
        if self.inner.vouching == Vouching::Accepted {
            return None;
        }
        if upstream.is_tls() && self.inner.tls.presents_certificate() {
            return Some("It may have taken the proxy's client certificate for yours.");
        }
        let ours = nix::unistd::geteuid();
        let same_user = matches!(client, Peer::Unix { uid: Some(uid) } if *uid == ours.as_raw());
        let over_unix = matches!(upstream.peer(), Peer::Unix { .. });
        let our_name =
            over_unix && nix::unistd::User::from_uid(ours).ok().flatten().is_some_and(|own| own.name == user);
        (our_name && !same_user)
            .then_some("It may have taken the proxy's operating system user for yours (method \"peer\").")
    }

    fn first_choice(&self) -> Protection {
        match (&self.inner.location, self.inner.tls.mode()) {
            // As libpq: a Unix socket needs no TLS, whatever the mode.
            (Location::Unix { .. }, _) | (_, SslMode::Disable) => Protection::Plain,
            _ => Protection::Tls,
        }
    }

    async fn attempt(&self, address: Option<SocketAddr>, protection: Protection) -> Result<Stream, ConnectError> {
        timeout(CONNECT_TIMEOUT, self.attempt_unlimited(address, protection))
            .await
            .unwrap_or(Err(ConnectError::Timeout(CONNECT_TIMEOUT)))
    }

    async fn attempt_unlimited(
        &self,
        address: Option<SocketAddr>,
        protection: Protection,
    ) -> Result<Stream, ConnectError> {
        let (host, port) = match &self.inner.location {
            Location::Unix { path } => return Ok(Stream::unix(UnixStream::connect(path).await?)?),
            Location::Tcp { host, port } => (host.as_str(), *port),
        };
        let stream = match address {
            Some(address) => TcpStream::connect(address).await?,
            None => TcpStream::connect((host, port)).await?,
        };
        tune(&stream)?;
        match protection {
            Protection::Plain => Ok(Stream::tcp(stream)?),
            Protection::Tls => self.ask_for_tls(host, stream).await,
        }
    }

    /// Asks for TLS and reads the one byte of the answer, no more: what a liar sends behind it becomes TLS input
    /// and fails the handshake.
    async fn ask_for_tls(&self, host: &str, mut stream: TcpStream) -> Result<Stream, ConnectError> {
        let mut request = Vec::with_capacity(8);
        encode::ssl_request(&mut request);
        stream.write_all(&request).await?;
        match stream.read_u8().await? {
            b'S' => {
                let peer = Peer::Tcp(stream.peer_addr()?);
                let stream = self.inner.tls.connect(host, Socket::tcp(stream).settle()?).await;
                let stream = stream.map_err(ConnectError::Handshake)?;
                Ok(Stream::to_server(stream, peer))
            }
            b'N' if self.inner.tls.mode().requires_tls() => Err(ConnectError::NoTls(self.inner.tls.mode())),
            b'N' => Ok(Stream::tcp(stream)?),
            other => Err(ConnectError::Answer(other)),
        }
    }
}
