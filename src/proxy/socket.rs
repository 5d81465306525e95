//! A plain socket, without TLS: of the reactor on a thread that has one ([`super::reactor`]), of tokio elsewhere.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::reactor::Registration;

/// A connected socket.
#[derive(Debug)]
pub(super) struct Socket(Kind);

/// One that belongs to no thread.
#[derive(Debug)]
pub(super) enum Loose {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

#[derive(Debug)]
enum Kind {
    /// Dropped in this order: nothing comes for a socket whose place is another's already.
    Own {
        io: Io,
        registration: Registration,
    },
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// What the reactor waits for.
#[derive(Debug)]
enum Io {
    Tcp(mio::net::TcpStream),
    Unix(mio::net::UnixStream),
}

impl Socket {
    /// One that tokio connected or accepted; it stays with tokio.
    pub(super) const fn tcp(stream: TcpStream) -> Self {
        Self(Kind::Tcp(stream))
    }

    /// The same of a Unix socket.
    pub(super) const fn unix(stream: UnixStream) -> Self {
        Self(Kind::Unix(stream))
    }

    /// Takes it away from its thread.
    ///
    /// # Errors
    /// The system refuses; [`io::ErrorKind::Unsupported`] if it is a reactor's already.
    pub(super) fn loosen(self) -> io::Result<Loose> {
        match self.0 {
            Kind::Tcp(stream) => Ok(Loose::Tcp(stream.into_std()?)),
            Kind::Unix(stream) => Ok(Loose::Unix(stream.into_std()?)),
            Kind::Own { .. } => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Gives it to the task of the reactor that runs on this thread; where none does, it stays where it is.
    ///
    /// # Errors
    /// The system refuses.
    pub(super) fn settle(self) -> io::Result<Self> {
        if !Registration::is_possible() || matches!(self.0, Kind::Own { .. }) {
            return Ok(self);
        }
        self.loosen()?.settle()
    }

    /// Whether a read may find something, as far as that can be told without trying.
    pub(super) fn may_be_readable(&self) -> bool {
        match &self.0 {
            Kind::Own { registration, .. } => registration.is_readable(),
            Kind::Tcp(_) | Kind::Unix(_) => true,
        }
    }

    /// Whether it is of TCP.
    pub(super) const fn is_tcp(&self) -> bool {
        matches!(self.0, Kind::Tcp(_) | Kind::Own { io: Io::Tcp(_), .. })
    }

    /// The first bytes, left where they are; of TCP only, others have none.
    pub(super) async fn peek(&self, bytes: &mut [u8]) -> io::Result<usize> {
        match &self.0 {
            Kind::Own { io: Io::Tcp(stream), registration } => {
                std::future::poll_fn(|context| registration.poll_read(context, || stream.peek(bytes))).await
            }
            Kind::Tcp(stream) => stream.peek(bytes).await,
            Kind::Unix(_) | Kind::Own { io: Io::Unix(_), .. } => Ok(0),
        }
    }
}

impl Loose {
    /// Gives it to the reactor of this thread, or else to its tokio runtime.
    ///
    /// # Errors
    /// The system refuses.
    pub(super) fn settle(self) -> io::Result<Socket> {
        let kind = if Registration::is_possible() {
            let mut io = match self {
                Self::Tcp(stream) => Io::Tcp(mio::net::TcpStream::from_std(stream)),
                Self::Unix(stream) => Io::Unix(mio::net::UnixStream::from_std(stream)),
            };
            let registration = match &mut io {
                Io::Tcp(stream) => Registration::of(stream),
                Io::Unix(stream) => Registration::of(stream),
            }?;
            Kind::Own { io, registration }
        } else {
            match self {
                Self::Tcp(stream) => Kind::Tcp(TcpStream::from_std(stream)?),
                Self::Unix(stream) => Kind::Unix(UnixStream::from_std(stream)?),
            }
        };
        Ok(Socket(kind))
    }
}

impl Io {
    fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&mut &*stream).read(bytes),
            Self::Unix(stream) => (&mut &*stream).read(bytes),
        }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&mut &*stream).write(bytes),
            Self::Unix(stream) => (&mut &*stream).write(bytes),
        }
    }

    fn write_vectored(&self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&mut &*stream).write_vectored(slices),
            Self::Unix(stream) => (&mut &*stream).write_vectored(slices),
        }
    }

    fn shut_down_write(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        match &self.0 {
            Kind::Own { io: Io::Tcp(stream), .. } => stream.as_raw_fd(),
            Kind::Own { io: Io::Unix(stream), .. } => stream.as_raw_fd(),
            Kind::Tcp(stream) => stream.as_raw_fd(),
            Kind::Unix(stream) => stream.as_raw_fd(),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Own { io, registration } => {
                let free = buffer.initialize_unfilled();
                let room = free.len();
                let count = ready!(registration.poll_read(context, || io.read(free)))?;
                if 0 < count && count < room {
                    registration.is_drained();
                }
                buffer.advance(count);
                Poll::Ready(Ok(()))
            }
            Kind::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Kind::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Own { io, registration } => registration.poll_write(context, || io.write(bytes)),
            Kind::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Kind::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The system keeps nothing back.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Own { io, .. } => Poll::Ready(io.shut_down_write()),
            Kind::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Kind::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Own { io, registration } => registration.poll_write(context, || io.write_vectored(slices)),
            Kind::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Kind::Unix(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}
