//! Logging a client in upstream, from its startup packet to the server's first ReadyForQuery.
//!
//! ```text
//! connecting -> startup sent -> authenticating -> AuthenticationOk -> settings, key -> ReadyForQuery
//!                   |  refused over TLS under `prefer`: once more without
//! ```
//!
//! What the server says goes to the client as it is, except its cancel key, for which the client gets one of ours,
//! and the version negotiation, which joins what the server and we cannot do. It is collected, not sent: whoever
//! takes the [`LoggedIn`] decides when the client is told that it is in.

use std::collections::BTreeMap;
use std::io;

use bytes::BytesMut;
use thiserror::Error;
use tokio::io::AsyncWriteExt as _;

use super::authenticate::authenticate;
use super::cancel::{CancelEntry, Cancels};
use super::frames::{Frame, FrameStream, UpstreamFault};
use super::parameters::{AcceptedSetting, Judged, StartupMessage, StartupRules};
use super::stream::Stream;
use super::upstream::{ConnectError, Upstream};
use crate::wire::backend::{BackendKeyData, NegotiateProtocolVersion, ParameterStatus, TransactionStatus};
use crate::wire::encode;
use crate::wire::frame::{BackendTag, FrameError};
use crate::wire::report::{Report, ReportFields};
use crate::wire::scram::ScramError;
use crate::wire::startup::{PACKET_LIMIT, ProtocolVersion};

/// Most bytes that the server may say to the client until its first ReadyForQuery.
const GREETING_LIMIT: usize = 1024 * 1024;

/// A client that is logged in upstream, and has not been told yet.
#[derive(Debug)]
pub struct LoggedIn {
    /// The client's connection. Nothing was read from it beyond its last login message.
    pub client: Stream,
    /// The server's connection.
    pub upstream: Stream,
    /// What was read from the server beyond its ReadyForQuery; almost always empty.
    pub upstream_ahead: BytesMut,
    /// For the client: all from AuthenticationOk up to, and without, ReadyForQuery.
    pub greeting: Vec<u8>,
    /// For the client behind that: the server's ReadyForQuery.
    pub ready: Vec<u8>,
    /// The role that logged in.
    pub user: String,
    /// The database it is connected to.
    pub database: String,
    /// The protocol version that client, server and we agreed on.
    pub version: ProtocolVersion,
    /// Settings given at startup, in the order in which the server applied them.
    pub settings: Vec<AcceptedSetting>,
    /// The value of `replication=`, if this is a replication connection.
    pub replication: Option<String>,
    /// What the server reported in ParameterStatus: `server_version`, `client_encoding` ...
    pub parameters: BTreeMap<String, String>,
    /// The session's place among those that can be cancelled, and the backend's process id; `None` if the server
    /// gave no key.
    pub cancel: Option<CancelEntry>,
    /// A place among the sessions that are allowed at once.
    pub permit: Option<tokio::sync::OwnedSemaphorePermit>,
}

impl LoggedIn {
    /// The `application_name` that the server reported.
    #[must_use]
    pub fn application_name(&self) -> Option<&str> {
        self.parameters.get("application_name").map(String::as_str)
    }

    /// The backend's process id.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        self.cancel.as_ref().map(CancelEntry::pid)
    }
}

/// Why a login came to nothing. No text holds a secret.
#[derive(Debug, Error)]
pub enum LoginError {
    /// The client left.
    #[error("the client left: {0}")]
    ClientGone(io::Error),
    /// The client sent what is no answer.
    #[error("the client answered with a wrong frame: {0}")]
    ClientFrame(FrameError),
    /// The server was not reached.
    #[error("cannot reach the upstream server: {0}")]
    Unreachable(ConnectError),
    /// The server left, or breaks the protocol.
    #[error("the upstream server {0}")]
    Upstream(#[from] UpstreamFault),
    /// The server refused, in its own words.
    #[error("the upstream server refused: {message}")]
    ServerRefused {
        /// What the client is told.
        answer: Vec<u8>,
        /// The server's SQLSTATE.
        sqlstate: Option<String>,
        /// The server's message.
        message: String,
    },
    /// We refused.
    #[error("refused: {}", .0.message)]
    Refused(Box<Report>),
    /// The server does not prove that it knows the password.
    #[error("{0}")]
    Scram(#[from] ScramError),
    /// It took longer than a login may.
    #[error("no login in time")]
    Timeout,
    /// The operating system has no random bytes.
    #[error("no random bytes: {0}")]
    Random(#[from] getrandom::Error),
}

impl From<Report> for LoginError {
    fn from(report: Report) -> Self {
        Self::Refused(Box::new(report))
    }
}

impl LoginError {
    /// What the client is told; `None` if it is closed without a word.
    pub(super) fn answer(&self) -> Option<Vec<u8>> {
        let report = match self {
            Self::ClientGone(_) => return None,
            Self::ServerRefused { answer, .. } => return Some(answer.clone()),
            Self::Refused(report) => return Some(report.to_bytes()),
            // As Postgres: a wrong length is not worth an answer, a wrong type is.
            Self::ClientFrame(FrameError::UnknownFrontendTag(tag)) => {
                Report::fatal("08P01", format!("expected password response, got message type {tag}"))
            }
            Self::ClientFrame(_) => return None,
            Self::Unreachable(error) => Report::fatal("08006", "pgsluice: cannot reach the upstream server")
                .detail(error.to_string())
                .hint("Ask whoever runs the proxy to look at the address in --upstream, and whether the server runs."),
            Self::Upstream(fault) => {
                Report::fatal("08006", format!("pgsluice: the upstream server {fault} during the login"))
            }
            Self::Scram(error) => Report::fatal("28000", format!("pgsluice: {error}")),
            Self::Timeout => Report::fatal("57014", "canceling authentication due to timeout"),
            Self::Random(_) => Report::fatal("58000", "pgsluice: the operating system has no random bytes"),
        };
        Some(report.to_bytes())
    }
}

/// What a login needs beside the client.
#[derive(Debug, Clone, Copy)]
pub(super) struct LoginContext<'a> {
    pub(super) upstream: &'a Upstream,
    pub(super) rules: &'a dyn StartupRules,
    pub(super) cancels: &'a Cancels,
}

/// What a login came to, beside the client's own connection.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) upstream: Stream,
    pub(super) upstream_ahead: BytesMut,
    pub(super) greeting: Vec<u8>,
    pub(super) ready: Vec<u8>,
    pub(super) version: ProtocolVersion,
    pub(super) judged: Judged,
    pub(super) parameters: BTreeMap<String, String>,
    pub(super) cancel: Option<CancelEntry>,
}

/// Logs `client` in. An error has not been answered when it is returned.
pub(super) async fn log_in(
    client: &mut Stream,
    asked: ProtocolVersion,
    message: &StartupMessage,
    context: LoginContext<'_>,
) -> Result<Login, LoginError> {
    let judged = message.judge(context.rules, client.peer())?;
    let (mut server, first) = open(context.upstream, asked, &judged).await?;
    let mut greeting = Greeting { bytes: Vec::new() };
    let (version, first) = negotiate(&mut server, first, asked, message, &mut greeting).await?;
    authenticate(client, &mut server, first, &mut greeting, context.upstream, &message.user).await?;
    let started = Started::collect(&mut server, &mut greeting, version, context).await?;
    let (upstream, upstream_ahead) = server.into_parts();
    Ok(Login {
        upstream,
        upstream_ahead,
        greeting: greeting.bytes,
        ready: started.ready,
        version,
        judged,
        parameters: started.parameters,
        cancel: started.cancel,
    })
}

/// What the client has not been told yet.
#[derive(Debug)]
pub(super) struct Greeting {
    pub(super) bytes: Vec<u8>,
}

impl Greeting {
    /// Adds a message of the server as it is.
    pub(super) fn add(&mut self, frame: &Frame) -> Result<(), LoginError> {
        if self.bytes.len() + frame.bytes().len() > GREETING_LIMIT {
            return Err(UpstreamFault::TooMuch.into());
        }
        self.bytes.extend_from_slice(frame.bytes());
        Ok(())
    }

    /// Tells the client, because it must answer now.
    pub(super) async fn send(&mut self, client: &mut Stream) -> Result<(), LoginError> {
        client.write_all(&self.bytes).await.map_err(LoginError::ClientGone)?;
        client.flush().await.map_err(LoginError::ClientGone)?;
        self.bytes.clear();
        Ok(())
    }

    /// The error for a refusal of the server.
    pub(super) fn refused(&mut self, frame: &Frame) -> LoginError {
        let fields = match ReportFields::decode(frame.body()) {
            Ok(fields) => fields,
            Err(error) => return UpstreamFault::from(error).into(),
        };
        let mut answer = std::mem::take(&mut self.bytes);
        answer.extend_from_slice(frame.bytes());
        LoginError::ServerRefused { answer, sqlstate: fields.sqlstate().map(str::to_owned), message: fields.message() }
    }
}

/// Connects, sends the startup packet and reads the server's first message. Where libpq would try once more without
/// TLS after a refusal, so do we; if that is refused too, the first refusal counts.
async fn open(
    upstream: &Upstream,
    asked: ProtocolVersion,
    judged: &Judged,
) -> Result<(FrameStream, Frame), LoginError> {
    let stream = upstream.connect().await.map_err(LoginError::Unreachable)?;
    let (server, first) = start(stream, asked, judged).await?;
    if first.tag() == BackendTag::ErrorResponse
        && let Some(Ok(other)) = upstream.connect_without_tls(server.stream()).await
        && let Ok((other, other_first)) = start(other, asked, judged).await
        && other_first.tag() != BackendTag::ErrorResponse
    {
        return Ok((other, other_first));
    }
    Ok((server, first))
}

async fn start(stream: Stream, asked: ProtocolVersion, judged: &Judged) -> Result<(FrameStream, Frame), LoginError> {
    let mut packet = Vec::with_capacity(256);
    let parameters = judged.upstream.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    encode::startup(&mut packet, asked.min(ProtocolVersion::NEWEST), parameters);
    if packet.len() > PACKET_LIMIT as usize {
        // Written anew, a packet can be a little longer than it was; the server would close without a word.
        return Err(Report::fatal("08P01", "pgsluice: the startup packet is too long").into());
    }
    let mut server = FrameStream::new(stream);
    server.send(&packet).await?;
    let first = server.next().await?;
    Ok((server, first))
}

/// Reads the server's NegotiateProtocolVersion, if there is one, and tells the client what the three of us have in
/// common. Returns the message behind it.
async fn negotiate(
    server: &mut FrameStream,
    mut first: Frame,
    asked: ProtocolVersion,
    message: &StartupMessage,
    greeting: &mut Greeting,
) -> Result<(ProtocolVersion, Frame), LoginError> {
    let mut agreed = asked.min(ProtocolVersion::NEWEST);
    if first.tag() == BackendTag::NegotiateProtocolVersion {
        let answer = NegotiateProtocolVersion::decode(first.body()).map_err(UpstreamFault::from)?;
        if answer.newest.major != agreed.major {
            return Err(UpstreamFault::Version(answer.newest).into());
        }
        agreed = agreed.min(answer.newest);
        first = server.next().await?;
    }
    // No protocol option is known here, so the server was told none, and all are unknown.
    if agreed < asked || !message.protocol_options.is_empty() {
        let unknown = message.protocol_options.iter().map(Vec::as_slice);
        encode::negotiate_protocol_version(&mut greeting.bytes, agreed, unknown);
    }
    Ok((agreed, first))
}

/// What the server says between AuthenticationOk and ReadyForQuery.
#[derive(Debug)]
struct Started {
    parameters: BTreeMap<String, String>,
    cancel: Option<CancelEntry>,
    ready: Vec<u8>,
}

impl Started {
    async fn collect(
        server: &mut FrameStream,
        greeting: &mut Greeting,
        version: ProtocolVersion,
        context: LoginContext<'_>,
    ) -> Result<Self, LoginError> {
        let mut parameters = BTreeMap::new();
        let mut cancel = None;
        loop {
            let frame = server.next().await?;
            match frame.tag() {
                BackendTag::ParameterStatus => {
                    let status = ParameterStatus::decode(frame.body()).map_err(UpstreamFault::from)?;
                    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
                    parameters.insert(text(status.name), text(status.value));
                    greeting.add(&frame)?;
                }
                BackendTag::BackendKeyData if cancel.is_none() => {
                    let key = BackendKeyData::decode(frame.body()).map_err(UpstreamFault::from)?;
                    let (entry, secret) =
                        context.cancels.register(context.upstream, server.stream(), (key.pid, key.secret), version)?;
                    encode::backend_key_data(&mut greeting.bytes, key.pid, &secret);
                    cancel = Some(entry);
                }
                BackendTag::NoticeResponse => greeting.add(&frame)?,
                BackendTag::ErrorResponse => return Err(greeting.refused(&frame)),
                BackendTag::ReadyForQuery => {
                    TransactionStatus::decode(frame.body()).map_err(UpstreamFault::from)?;
                    return Ok(Self { parameters, cancel, ready: frame.bytes().to_vec() });
                }
                tag => return Err(UpstreamFault::Unexpected(tag.name()).into()),
            }
        }
    }
}
