//! One byte stream to a client or to the upstream server, whatever carries it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::CommonState;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::{client, server};

use super::socket::{Loose, Socket};

/// Who is at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// Over TCP, from or at this address.
    Tcp(SocketAddr),
    /// Over a Unix socket; the kernel vouches for the user.
    Unix {
        /// The user id of the process at the other end, if the kernel told.
        uid: Option<u32>,
    },
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix { uid: Some(uid) } => write!(f, "unix socket, user id {uid}"),
            Self::Unix { uid: None } => f.write_str("unix socket"),
        }
    }
}

/// What TLS agreed on, for people and for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsInfo {
    /// As OpenSSL writes it, e.g. `TLSv1.3`.
    pub version: &'static str,
    /// As the TLS registry writes it, e.g. `TLS_AES_256_GCM_SHA384`.
    pub cipher: String,
}

impl TlsInfo {
    fn of(connection: &CommonState) -> Self {
        let version = match connection.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "unknown",
        };
        let cipher = connection
            .negotiated_cipher_suite()
            .and_then(|suite| suite.suite().as_str())
            .map_or_else(|| "unknown".to_owned(), |name| name.replacen("TLS13_", "TLS_", 1));
        Self { version, cipher }
    }
}

/// A byte stream.
///
/// Over TLS, bytes given to `poll_write` may wait in the TLS session until `poll_flush`; over the others there
/// is nothing to flush. A TLS peer that closes without saying so ends the stream like any other: frames carry
/// their own length, so nothing is mistaken for whole.
#[derive(Debug)]
pub struct Stream {
    carrier: Carrier,
    peer: Peer,
}

#[derive(Debug)]
enum Carrier {
    Plain(Socket),
    FromClient(Box<server::TlsStream<Socket>>),
    ToServer(Box<client::TlsStream<Socket>>),
}

impl Stream {
    /// Plain TCP, connected or accepted.
    ///
    /// # Errors
    /// The peer is gone already.
    pub fn tcp(stream: TcpStream) -> io::Result<Self> {
        let peer = Peer::Tcp(stream.peer_addr()?);
        Ok(Self { carrier: Carrier::Plain(Socket::tcp(stream).settle()?), peer })
    }

    /// A Unix socket, connected or accepted.
    ///
    /// # Errors
    /// The system refuses to watch it.
    pub fn unix(stream: UnixStream) -> io::Result<Self> {
        let uid = stream.peer_cred().ok().map(|credentials| credentials.uid());
        Ok(Self { carrier: Carrier::Plain(Socket::unix(stream).settle()?), peer: Peer::Unix { uid } })
    }

    /// Takes a plain socket away from this thread; [`Detached::attach`] gives it to another.
    ///
    /// # Errors
    /// The system refuses; over TLS, which stays where its handshake was.
    pub fn detach(self) -> io::Result<Detached> {
        match self.carrier {
            Carrier::Plain(socket) => Ok(Detached { socket: socket.loosen()?, peer: self.peer }),
            Carrier::FromClient(_) | Carrier::ToServer(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// TLS with a client, after the handshake.
    pub(super) fn from_client(stream: server::TlsStream<Socket>, peer: Peer) -> Self {
        Self { carrier: Carrier::FromClient(Box::new(stream)), peer }
    }

    /// TLS with a server, after the handshake.
    pub(super) fn to_server(stream: client::TlsStream<Socket>, peer: Peer) -> Self {
        Self { carrier: Carrier::ToServer(Box::new(stream)), peer }
    }

    /// The TCP socket under a stream without TLS; the stream itself if there is none.
    pub(super) fn into_tcp(self) -> Result<(Socket, Peer), Box<Self>> {
        match self.carrier {
            Carrier::Plain(socket) if socket.is_tcp() => Ok((socket, self.peer)),
            carrier => Err(Box::new(Self { carrier, peer: self.peer })),
        }
    }

    /// Who is at the other end.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Whether TLS protects it.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        matches!(self.carrier, Carrier::FromClient(_) | Carrier::ToServer(_))
    }

    /// What TLS agreed on; `None` without TLS.
    #[must_use]
    pub fn tls(&self) -> Option<TlsInfo> {
        match &self.carrier {
            Carrier::Plain(_) => None,
            Carrier::FromClient(stream) => Some(TlsInfo::of(stream.get_ref().1)),
            Carrier::ToServer(stream) => Some(TlsInfo::of(stream.get_ref().1)),
        }
    }

    /// Hash of the server's certificate for the channel binding `tls-server-end-point`; `None` without TLS to a
    /// server, or if its certificate's signature names no hash.
    #[must_use]
    pub fn server_end_point(&self) -> Option<Vec<u8>> {
        match &self.carrier {
            Carrier::ToServer(stream) => super::tls::server_end_point(stream.get_ref().1),
            _ => None,
        }
    }

    /// Whether a read may find something, as far as that can be told without trying. Only where it does not, the task is woken
    /// without having tried.
    pub(super) fn may_be_readable(&self) -> bool {
        match &self.carrier {
            Carrier::Plain(socket) => socket.may_be_readable(),
            // TLS may hold bytes that it has read already.
            Carrier::FromClient(_) | Carrier::ToServer(_) => true,
        }
    }

    /// Whether bytes have arrived that nobody has read, as far as the kernel can tell now.
    pub(super) fn has_unread_bytes(&self) -> bool {
        use nix::sys::socket::{MsgFlags, recv};
        use std::os::fd::AsRawFd as _;
        let Carrier::Plain(socket) = &self.carrier else { return false };
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        recv(socket.as_raw_fd(), &mut [0], flags).is_ok_and(|count| count > 0)
    }

    /// The first byte, left where it is; `None` at the end of the stream and for what is not plain TCP.
    pub(super) async fn peek(&self) -> io::Result<Option<u8>> {
        let Carrier::Plain(socket) = &self.carrier else { return Ok(None) };
        let mut byte = [0];
        let count = socket.peek(&mut byte).await?;
        Ok((count > 0).then_some(byte[0]))
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = match &mut self.carrier {
            Carrier::Plain(socket) => return Pin::new(socket).poll_read(cx, buffer),
            Carrier::FromClient(stream) => Pin::new(stream.as_mut()).poll_read(cx, buffer),
            Carrier::ToServer(stream) => Pin::new(stream.as_mut()).poll_read(cx, buffer),
        };
        match read {
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            read => read,
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.carrier {
            Carrier::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Carrier::FromClient(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
            Carrier::ToServer(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.carrier {
            Carrier::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Carrier::FromClient(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
            Carrier::ToServer(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.carrier {
            Carrier::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Carrier::FromClient(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            Carrier::ToServer(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.carrier {
            Carrier::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, slices),
            Carrier::FromClient(stream) => Pin::new(stream.as_mut()).poll_write_vectored(cx, slices),
            Carrier::ToServer(stream) => Pin::new(stream.as_mut()).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

/// A plain socket that belongs to no thread.
#[derive(Debug)]
pub struct Detached {
    socket: Loose,
    peer: Peer,
}

impl Detached {
    /// Gives it to what runs on this thread.
    ///
    /// # Errors
    /// The system refuses.
    pub fn attach(self) -> io::Result<Stream> {
        Ok(Stream { carrier: Carrier::Plain(self.socket.settle()?), peer: self.peer })
    }
}

/// How TCP connections are kept from hanging on a peer that vanished without a word: after a minute of
/// silence, four probes fifteen seconds apart. Also turns off delaying of small writes.
pub(super) fn tune(stream: &TcpStream) -> io::Result<()> {
    use std::time::Duration;
    stream.set_nodelay(true)?;
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(15))
        .with_retries(4);
    socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive)
}
