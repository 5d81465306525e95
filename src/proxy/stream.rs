//! One byte stream to a client or to the upstream server, whatever carries it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::CommonState;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::{client, server};

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
    Tcp(TcpStream),
    Unix(UnixStream),
    FromClient(Box<server::TlsStream<TcpStream>>),
    ToServer(Box<client::TlsStream<TcpStream>>),
}

impl Stream {
    /// Plain TCP, connected or accepted.
    ///
    /// # Errors
    /// The peer is gone already.
    pub fn tcp(stream: TcpStream) -> io::Result<Self> {
        let peer = Peer::Tcp(stream.peer_addr()?);
        Ok(Self { carrier: Carrier::Tcp(stream), peer })
    }

    /// A Unix socket, connected or accepted.
    #[must_use]
    pub fn unix(stream: UnixStream) -> Self {
        let uid = stream.peer_cred().ok().map(|credentials| credentials.uid());
        Self { carrier: Carrier::Unix(stream), peer: Peer::Unix { uid } }
    }

    /// Takes a plain socket away from this thread's runtime; [`Detached::attach`] gives it to another's.
    ///
    /// # Errors
    /// The system refuses; over TLS, which stays where its handshake was.
    pub fn detach(self) -> io::Result<Detached> {
        let socket = match self.carrier {
            Carrier::Tcp(stream) => Socket::Tcp(stream.into_std()?),
            Carrier::Unix(stream) => Socket::Unix(stream.into_std()?),
            Carrier::FromClient(_) | Carrier::ToServer(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok(Detached { socket, peer: self.peer })
    }

    /// TLS with a client, after the handshake.
    pub(super) fn from_client(stream: server::TlsStream<TcpStream>, peer: Peer) -> Self {
        Self { carrier: Carrier::FromClient(Box::new(stream)), peer }
    }

    /// TLS with a server, after the handshake.
    pub(super) fn to_server(stream: client::TlsStream<TcpStream>, peer: Peer) -> Self {
        Self { carrier: Carrier::ToServer(Box::new(stream)), peer }
    }

    /// The TCP socket under a stream without TLS; the stream itself if there is none.
    pub(super) fn into_tcp(self) -> Result<(TcpStream, Peer), Box<Self>> {
        match self.carrier {
            Carrier::Tcp(stream) => Ok((stream, self.peer)),
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
            Carrier::Tcp(_) | Carrier::Unix(_) => None,
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

    /// Reads what is there without waiting, plain sockets only.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if nothing is; [`io::ErrorKind::Unsupported`] over TLS.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.carrier {
            Carrier::Tcp(stream) => stream.try_read(buffer),
            Carrier::Unix(stream) => stream.try_read(buffer),
            Carrier::FromClient(_) | Carrier::ToServer(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Writes what fits without waiting, plain sockets only.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if nothing fits; [`io::ErrorKind::Unsupported`] over TLS.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match &self.carrier {
            Carrier::Tcp(stream) => stream.try_write(bytes),
            Carrier::Unix(stream) => stream.try_write(bytes),
            Carrier::FromClient(_) | Carrier::ToServer(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Whether bytes have arrived that nobody has read, as far as the kernel can tell now.
    pub(super) fn has_unread_bytes(&self) -> bool {
        use nix::sys::socket::{MsgFlags, recv};
        use std::os::fd::AsRawFd as _;
        let socket = match &self.carrier {
            Carrier::Tcp(stream) => stream.as_raw_fd(),
            Carrier::Unix(stream) => stream.as_raw_fd(),
            Carrier::FromClient(_) | Carrier::ToServer(_) => return false,
        };
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        recv(socket, &mut [0], flags).is_ok_and(|count| count > 0)
    }

    /// The first byte, left where it is; `None` at the end of the stream and for what is not plain TCP.
    pub(super) async fn peek(&self) -> io::Result<Option<u8>> {
        let Carrier::Tcp(stream) = &self.carrier else {
            return Ok(None);
        };
        let mut byte = [0];
        let count = stream.peek(&mut byte).await?;
        Ok((count > 0).then_some(byte[0]))
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = match &mut self.carrier {
            Carrier::Tcp(stream) => return Pin::new(stream).poll_read(cx, buffer),
            Carrier::Unix(stream) => return Pin::new(stream).poll_read(cx, buffer),
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
            Carrier::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Carrier::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Carrier::FromClient(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
            Carrier::ToServer(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.carrier {
            Carrier::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Carrier::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Carrier::FromClient(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
            Carrier::ToServer(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.carrier {
            Carrier::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Carrier::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
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
            Carrier::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Carrier::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Carrier::FromClient(stream) => Pin::new(stream.as_mut()).poll_write_vectored(cx, slices),
            Carrier::ToServer(stream) => Pin::new(stream.as_mut()).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

/// A plain socket that belongs to no runtime.
#[derive(Debug)]
pub struct Detached {
    socket: Socket,
    peer: Peer,
}

#[derive(Debug)]
enum Socket {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Detached {
    /// Gives it to the runtime of this thread.
    ///
    /// # Errors
    /// The system refuses.
    pub fn attach(self) -> io::Result<Stream> {
        let carrier = match self.socket {
            Socket::Tcp(stream) => Carrier::Tcp(TcpStream::from_std(stream)?),
            Socket::Unix(stream) => Carrier::Unix(UnixStream::from_std(stream)?),
        };
        Ok(Stream { carrier, peer: self.peer })
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
