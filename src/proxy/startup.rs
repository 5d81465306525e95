//! From a fresh connection to a startup packet: encryption requests, direct TLS, cancel requests, limits.
//!
//! ```text
//! Asking --SSLRequest----> S and TLS, or N --> Asking (once)
//!        --GSSENCRequest-> N ---------------> Asking (once)
//!        --0x16----------> TLS at once, ALPN "postgresql" ---> Asking
//!        --CancelRequest-> Cancel
//!        --startup-------> Session
//!        --anything else-> as Postgres: closed in silence, or FATAL
//! ```
//!
//! Nothing is read beyond the packet at hand, so nothing that was sent before TLS can be taken for something that
//! was sent within it.

use std::io;

use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use zeroize::Zeroizing;

use super::parameters::StartupMessage;
use super::stream::Stream;
use super::tls::{ServerTls, server::ALPN};
use crate::wire::report::Report;
use crate::wire::startup::{
    CancelRequest, HEAD_BYTES, PacketHead, PacketKind, PacketLengthError, ProtocolVersion, StartupParameters,
};

/// First byte of a TLS connection: a record with a handshake message.
const TLS_HANDSHAKE: u8 = 0x16;

/// What a fresh connection turned out to be.
#[derive(Debug)]
pub(super) enum Arrival {
    /// Somebody wants a session.
    Session(Arriving),
    /// Somebody wants a statement cancelled.
    Cancel {
        /// Kept open until that is done.
        stream: Stream,
        pid: i32,
        secret: Zeroizing<Vec<u8>>,
    },
    /// Closed again without a word, as port scanners and health checks do.
    Gone,
}

/// Somebody who wants a session.
#[derive(Debug)]
pub(super) struct Arriving {
    pub(super) stream: Stream,
    /// The version asked for; its major number is 3.
    pub(super) version: ProtocolVersion,
    pub(super) message: StartupMessage,
}

/// Why a fresh connection came to nothing.
#[derive(Debug, Error)]
pub(super) enum StartupError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Length(#[from] PacketLengthError),
    #[error("TLS handshake: {0}")]
    Handshake(io::Error),
    #[error("direct TLS without ALPN \"postgresql\"")]
    NoAlpn,
    #[error("direct TLS, but TLS is off here")]
    TlsOff,
    #[error("{}", .report.message)]
    Refused {
        /// For the client, unless it speaks a version before 3.
        report: Report,
        /// Whether the client takes errors only in the form of version 2.
        old_client: bool,
    },
}

impl StartupError {
    fn refused(report: Report) -> Self {
        Self::Refused { report, old_client: false }
    }

    /// What the client is told, if anything.
    pub(super) fn answer(&self) -> Option<Vec<u8>> {
        match self {
            Self::Refused { report, old_client: false } => Some(report.to_bytes()),
            Self::Refused { report, old_client: true } => Some(format!("EFATAL:  {}\n\0", report.message).into_bytes()),
            _ => None,
        }
    }
}

/// A connection whose startup packet has not come yet.
pub(super) struct Reception<'a> {
    stream: Stream,
    tls: Option<&'a ServerTls>,
    ssl: Request,
    gss: Request,
}

/// Whether an encryption request may still come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    Possible,
    Done,
}

impl<'a> Reception<'a> {
    /// A connection nobody has read from yet.
    pub(super) const fn new(stream: Stream, tls: Option<&'a ServerTls>) -> Self {
        Self { stream, tls, ssl: Request::Possible, gss: Request::Possible }
    }

    /// Reads up to and including the startup packet or cancel request. An error has been answered when it is
    /// returned, if it is one that is answered.
    pub(super) async fn arrival(mut self) -> Result<Arrival, StartupError> {
        loop {
            match self.packets().await {
                Ok(Packet::Gone) => return Ok(Arrival::Gone),
                Ok(Packet::Cancel { pid, secret }) => {
                    return Ok(Arrival::Cancel { stream: self.stream, pid, secret });
                }
                Ok(Packet::Startup { version, message }) => {
                    return Ok(Arrival::Session(Arriving { stream: self.stream, version, message }));
                }
                // At most once: within TLS there is no TLS.
                Ok(Packet::Tls) => self = self.accept_tls().await?,
                Err(error) => {
                    if let Some(answer) = error.answer() {
                        farewell(&mut self.stream, &answer).await;
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Reads packets until one of them leads elsewhere. At most two requests come before that.
    async fn packets(&mut self) -> Result<Packet, StartupError> {
        if self.ssl == Request::Possible && self.stream.peek().await? == Some(TLS_HANDSHAKE) {
            return if self.tls.is_some() { Ok(Packet::Tls) } else { Err(StartupError::TlsOff) };
        }
        loop {
            let Some(head) = self.head().await? else {
                return Ok(Packet::Gone);
            };
            match head.kind {
                PacketKind::SslRequest if self.ssl == Request::Possible => {
                    self.ssl = Request::Done;
                    if self.answer_ssl_request().await? {
                        return Ok(Packet::Tls);
                    }
                }
                PacketKind::GssEncRequest if self.gss == Request::Possible => {
                    self.gss = Request::Done;
                    self.refuse_early_bytes("GSSAPI encryption")?;
                    self.stream.write_all(b"N").await?;
                    self.stream.flush().await?;
                }
                // A request for the second time is what Postgres takes it for: a protocol it does not know.
                PacketKind::SslRequest => return Err(unsupported(ProtocolVersion { major: 1234, minor: 5679 })),
                PacketKind::GssEncRequest => return Err(unsupported(ProtocolVersion { major: 1234, minor: 5680 })),
                PacketKind::CancelRequest => return self.cancel_request(head.rest_bytes).await,
                PacketKind::Startup(version) => return self.startup(version, head.rest_bytes).await,
            }
        }
    }

    /// Exactly the eight bytes; `None` if the client closed before the first.
    async fn head(&mut self) -> Result<Option<PacketHead>, StartupError> {
        let mut head = [0; HEAD_BYTES];
        if self.stream.read(&mut head[..1]).await? == 0 {
            return Ok(None);
        }
        self.stream.read_exact(&mut head[1..]).await?;
        Ok(Some(PacketHead::parse(head)?))
    }

    async fn rest(&mut self, count: usize) -> Result<Zeroizing<Vec<u8>>, StartupError> {
        // The count is at most the packet limit, see `PacketHead`.
        let mut rest = Zeroizing::new(vec![0; count]);
        self.stream.read_exact(&mut rest).await?;
        Ok(rest)
    }

    /// Says whether TLS comes now.
    async fn answer_ssl_request(&mut self) -> Result<bool, StartupError> {
        self.refuse_early_bytes("SSL")?;
        let over_tcp = matches!(self.stream.peer(), super::stream::Peer::Tcp(_));
        let offered = self.tls.is_some() && over_tcp && !self.stream.is_tls();
        self.stream.write_all(if offered { b"S" } else { b"N" }).await?;
        self.stream.flush().await?;
        Ok(offered)
    }

    fn refuse_early_bytes(&self, request: &str) -> Result<(), StartupError> {
        if !self.stream.has_unread_bytes() {
            return Ok(());
        }
        let report = Report::fatal("08P01", format!("received unencrypted data after {request} request"))
            .detail("This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.");
        Err(StartupError::refused(report))
    }

    async fn accept_tls(self) -> Result<Self, StartupError> {
        let tls = self.tls.ok_or(StartupError::TlsOff)?;
        let (tcp, peer) = self.stream.into_tcp().map_err(|_| StartupError::TlsOff)?;
        let accepted = tls.acceptor().accept(tcp).await.map_err(StartupError::Handshake)?;
        let direct = self.ssl == Request::Possible;
        if direct && accepted.get_ref().1.alpn_protocol() != Some(ALPN) {
            return Err(StartupError::NoAlpn);
        }
        let stream = Stream::from_client(accepted, peer);
        // Within TLS there is nothing more to encrypt.
        Ok(Self { stream, tls: self.tls, ssl: Request::Done, gss: Request::Done })
    }

    async fn cancel_request(&mut self, rest_bytes: usize) -> Result<Packet, StartupError> {
        let rest = self.rest(rest_bytes).await?;
        // The length was judged with the head, so this cannot fail; if it does, nothing is cancelled.
        Ok(CancelRequest::decode(&rest).map_or(Packet::Gone, |request| Packet::Cancel {
            pid: request.pid,
            secret: Zeroizing::new(request.secret.to_vec()),
        }))
    }

    async fn startup(&mut self, version: ProtocolVersion, rest_bytes: usize) -> Result<Packet, StartupError> {
        if version.major != 3 {
            return Err(unsupported(version));
        }
        let rest = self.rest(rest_bytes).await?;
        let parameters = StartupParameters::decode(&rest).map_err(|_| {
            let message = "invalid startup packet layout: expected terminator as last byte";
            StartupError::refused(Report::fatal("08P01", message))
        })?;
        let message = StartupMessage::new(&parameters).map_err(StartupError::refused)?;
        Ok(Packet::Startup { version, message })
    }
}

/// Where a packet leads.
enum Packet {
    Startup { version: ProtocolVersion, message: StartupMessage },
    Cancel { pid: i32, secret: Zeroizing<Vec<u8>> },
    Tls,
    Gone,
}

fn unsupported(version: ProtocolVersion) -> StartupError {
    let report = Report::fatal(
        "0A000",
        format!("unsupported frontend protocol {version}: server supports 3.0 to {}", ProtocolVersion::NEWEST),
    );
    // Version 0.0 stands for none in the server, so that it answers in the newest form.
    StartupError::Refused { report, old_client: version.major < 3 && version.code() != 0 }
}

/// Says a last word and closes, so that the word arrives: a socket that is closed with unread bytes in it is
/// reset, and a reset overtakes what was written before. Bounded in bytes and time; failure is no matter.
pub(super) async fn farewell(stream: &mut Stream, word: &[u8]) {
    use std::time::Duration;
    const LINGER: Duration = Duration::from_secs(1);
    const LINGER_BYTES: usize = 64 * 1024;
    let close = async {
        stream.write_all(word).await?;
        stream.shutdown().await?;
        let mut ignored = [0; 1024];
        let mut total = 0;
        while total < LINGER_BYTES {
            match stream.read(&mut ignored).await? {
                0 => break,
                count => total += count,
            }
        }
        io::Result::Ok(())
    };
    let _ = tokio::time::timeout(LINGER, close).await;
}
