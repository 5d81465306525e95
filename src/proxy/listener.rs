//! Accepting connections, over TCP and over Unix sockets.
//!
//! The accept loop takes a place among the connections that are open at once before it accepts, so that what we
//! cannot serve waits in the kernel's queue, costs nothing, and is bounded there. An error of `accept` that will not go
//! away by itself (no more file descriptors) is waited for, longer each time. When the proxy is to stop, nothing more
//! is accepted, and what is open gets time to end.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::stream::{Stream, tune};

/// Connections that wait in the kernel to be accepted; it may take fewer.
const BACKLOG: u32 = 1024;
/// First wait after an error of `accept`; doubled each time.
const BACK_OFF_MIN: Duration = Duration::from_millis(5);
/// Longest wait after an error of `accept`.
const BACK_OFF_MAX: Duration = Duration::from_secs(1);

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// TCP: a host name or address, and a port; port 0 takes any that is free.
    Tcp {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// A Unix socket, by its path. libpq finds it if it is named `.s.PGSQL.PORT`.
    Unix(PathBuf),
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = text.strip_prefix("unix:").unwrap_or(text);
        if path.starts_with('/') {
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        let wrong = || {
            format!(
                "{text:?} is no address to listen on. Write HOST:PORT, e.g. 127.0.0.1:6432 or [::1]:6432, or the path of a Unix socket"
            )
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        let host = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']').ok_or_else(wrong)?,
            None if host.contains(':') => return Err(wrong()),
            None => host,
        };
        let host = if host.is_empty() { "0.0.0.0" } else { host };
        Ok(Self::Tcp { host: host.to_owned(), port })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A socket that is listened on.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix { listener: UnixListener, path: PathBuf },
}

impl Listener {
    /// Begins to listen. A socket file that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// The address is in use, not ours, or not allowed.
    pub async fn bind(address: &ListenAddress) -> io::Result<Self> {
        let socket = match address {
            ListenAddress::Tcp { host, port } => Socket::Tcp(bind_tcp(host, *port).await?),
            ListenAddress::Unix(path) => Socket::Unix { listener: bind_unix(path).await?, path: path.clone() },
        };
        Ok(Self { socket })
    }

    /// On a socket that listens already. Only inside a runtime.
    ///
    /// # Errors
    /// The runtime cannot watch it.
    pub fn listening(socket: std::net::TcpListener) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket: Socket::Tcp(TcpListener::from_std(socket)?) })
    }

    /// The TCP address, with the port that was taken; `None` for a Unix socket.
    #[must_use]
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().ok(),
            Socket::Unix { .. } => None,
        }
    }

    /// Accepts connections and runs `handle` for each, until `stop` says true; then waits up to `limits.drain` for
    /// those that are open, and ends the rest.
    pub async fn serve<H, F>(self, limits: ListenerLimits, mut stop: watch::Receiver<bool>, handle: H)
    where
        H: Fn(Stream) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let places = Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)));
        let mut open = JoinSet::new();
        let mut back_off = BACK_OFF_MIN;
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                // Takes ended tasks out; a task that panicked has ended its own connection only.
                Some(ended) = open.join_next(), if !open.is_empty() => {
                    report_panic(ended);
                    continue;
                }
                accepted = accept(&self.socket, &places) => accepted,
            };
            match accepted {
                Ok((stream, place)) => {
                    back_off = BACK_OFF_MIN;
                    let session = handle(stream);
                    open.spawn(async move {
                        session.await;
                        drop(place);
                    });
                }
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, wait = ?back_off, "cannot accept connections");
                    sleep(back_off).await;
                    back_off = (back_off * 2).min(BACK_OFF_MAX);
                }
            }
        }
        drop(self);
        drain(open, limits.drain).await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Socket::Unix { path, .. } = &self.socket {
            // If it is gone already, so much the better.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The bounds of a [`Listener`].
#[derive(Debug, Clone, Copy)]
pub struct ListenerLimits {
    /// How many connections may be open at once, those included that are not logged in.
    pub connections: usize,
    /// How long open ones may take to end when the proxy stops.
    pub drain: Duration,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self { connections: 11_000, drain: Duration::from_secs(30) }
    }
}

async fn bind_tcp(host: &str, port: u16) -> io::Result<TcpListener> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{host:?} has no address"));
    for address in tokio::net::lookup_host((host, port)).await? {
        let bind = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            // A restart shall not wait for connections of the last run to be forgotten.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(BACKLOG)
        };
        match bind() {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn bind_unix(path: &PathBuf) -> io::Result<UnixListener> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            match UnixStream::connect(path).await {
                Err(refused) if refused.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
                _ => return Err(error),
            }
            UnixListener::bind(path)?
        }
        bound => bound?,
    };
    // As Postgres: who may connect is decided by the login and by the directory.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777))?;
    Ok(listener)
}

async fn accept(socket: &Socket, places: &Arc<Semaphore>) -> io::Result<(Stream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.expect("the semaphore is never closed");
    let stream = match socket {
        Socket::Tcp(listener) => {
            let (stream, _) = listener.accept().await?;
            tune(&stream)?;
            Stream::tcp(stream)?
        }
        Socket::Unix { listener, .. } => Stream::unix(listener.accept().await?.0)?,
    };
    Ok((stream, place))
}

/// Whether an error concerns only the one connection that was to be accepted.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::NotConnected
            | io::ErrorKind::InvalidInput
    )
}

fn report_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a session ended by a defect of pgsluice; please report it");
    }
}

async fn drain(mut open: JoinSet<()>, limit: Duration) {
    let ended = timeout(limit, async {
        while let Some(ended) = open.join_next().await {
            report_panic(ended);
        }
    });
    if ended.await.is_err() {
        tracing::warn!(connections = open.len(), "connections ended by force");
    }
    open.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    #[test]
    fn addresses_are_read() {
        let tcp = |host: &str, port| Ok(ListenAddress::Tcp { host: host.to_owned(), port });
        assert_eq!("127.0.0.1:6432".parse(), tcp("127.0.0.1", 6432));
        assert_eq!("[::1]:6432".parse(), tcp("::1", 6432));
        assert_eq!(":6432".parse(), tcp("0.0.0.0", 6432));
        assert_eq!("/run/x".parse(), Ok(ListenAddress::Unix("/run/x".into())));
        assert_eq!("unix:/run/x".parse(), Ok(ListenAddress::Unix("/run/x".into())));
        for wrong in ["", "6432", "::1:6432", "[::1:6432", "host:port", "host:70000"] {
            assert!(wrong.parse::<ListenAddress>().unwrap_err().contains("HOST:PORT"), "{wrong}");
        }
        assert_eq!("[::1]:1".parse::<ListenAddress>().unwrap().to_string(), "[::1]:1");
    }

    #[tokio::test]
    async fn a_socket_file_without_a_listener_is_replaced_and_one_with_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".s.PGSQL.1");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let address = ListenAddress::Unix(path.clone());
        let first = Listener::bind(&address).await.unwrap();
        let error = Listener::bind(&address).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(first);
        assert!(!path.exists());
    }

    /// Echoes one byte for each that comes.
    async fn echo(mut stream: Stream) {
        let mut byte = [0];
        while let Ok(1) = stream.read(&mut byte).await {
            let _ = stream.write_all(&byte).await;
        }
    }

    #[tokio::test]
    async fn the_limit_makes_others_wait_and_stopping_drains() {
        let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.tcp_address().unwrap();
        let (stop, stopped) = watch::channel(false);
        let limits = ListenerLimits { connections: 1, drain: Duration::from_secs(30) };
        let serving = tokio::spawn(listener.serve(limits, stopped, echo));

        let mut first = TcpStream::connect(address).await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        first.write_all(b"1").await.unwrap();
        second.write_all(b"2").await.unwrap();
        assert_eq!(first.read_u8().await.unwrap(), b'1');
        assert!(timeout(Duration::from_millis(50), second.read_u8()).await.is_err());
        drop(first);
        assert_eq!(second.read_u8().await.unwrap(), b'2');

        stop.send(true).unwrap();
        second.write_all(b"3").await.unwrap();
        assert_eq!(second.read_u8().await.unwrap(), b'3');
        drop(second);
        serving.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }
}
