//! The client's end.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

use super::SOCKET_NAME;
use super::api::{
    ApproveBody, ApproveFunctionBody, DenyBody, ErrorBody, FunctionView, ReasonBody, RevokeFunctionBody, ShownFunction,
};
use super::remote_client::{Remote, distrust, tls_error};
use crate::audit::LogView;
use crate::blast::Blockers;
use crate::catalog::examine::{Examined, Sample};
use crate::gate::functions::ApprovedFunction;
use crate::gate::{HoldId, HoldView};

/// An answer larger than this is none of ours: a gate holds a quarter of it at most, before JSON escapes it.
const ANSWER_BYTES_MAX: usize = 1 << 30;

/// How long to wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long connecting to another machine may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// A client of one proxy. Connects with each request.
#[derive(Debug, Clone)]
pub struct Client {
    way: Way,
}

/// How the proxy is reached.
#[derive(Debug, Clone)]
enum Way {
    Socket(PathBuf),
    Remote(Arc<Remote>),
}

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no pgsluice runs with this data directory: {} {}", socket.display(), if error.kind() == io::ErrorKind::NotFound { "does not exist" } else { "is not answered" })]
    NotRunning {
        /// The socket.
        socket: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The machine does not answer.
    #[error("cannot connect to a pgsluice at {address}: {error}")]
    Unreachable {
        /// Where.
        address: String,
        /// What the system said.
        error: io::Error,
    },
    /// One of the two does not trust the other's certificate.
    #[error("the pgsluice at {address} cannot be talked to: {what}")]
    Untrusted {
        /// Where.
        address: String,
        /// Who does not trust whom.
        what: String,
        /// What to do.
        hint: &'static str,
    },
    /// The socket is not ours to open.
    #[error("not allowed to open {}", .0.display())]
    NotAllowed(PathBuf),
    /// The proxy said no.
    #[error("{}", .0.error)]
    Refused(ErrorBody),
    /// The proxy answered nothing that we understand, or went away.
    #[error("the proxy at {place} cannot be talked to: {what}")]
    Broken {
        /// The socket, or the address.
        place: String,
        /// What went wrong.
        what: String,
    },
}

impl ClientError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotRunning { .. } => Some(
                "start it with `pgsluice serve`, or name the data directory of the one that runs with --data DIR"
                    .to_owned(),
            ),
            Self::Unreachable { .. } => {
                Some("is it running, with `control.listen` in its configuration, and is the address right?".to_owned())
            }
            Self::Untrusted { hint, .. } => Some((*hint).to_owned()),
            Self::NotAllowed(_) => Some("run this as the user that runs the proxy, or as root".to_owned()),
            Self::Refused(body) => body.hint.clone(),
            Self::Broken { .. } => Some("the proxy's own log may say more".to_owned()),
        }
    }
}

impl Client {
    /// A client of the proxy that runs with this data directory.
    #[must_use]
    pub fn new(data: &Path) -> Self {
        Self { way: Way::Socket(data.join(SOCKET_NAME)) }
    }

    /// A client of a proxy on another machine.
    #[must_use]
    pub fn remote(remote: Remote) -> Self {
        Self { way: Way::Remote(Arc::new(remote)) }
    }

    /// Where the proxy is: the socket's path, or `HOST:PORT`.
    #[must_use]
    pub fn place(&self) -> String {
        match &self.way {
            Way::Socket(path) => path.display().to_string(),
            Way::Remote(remote) => remote.address(),
        }
    }

    /// What the proxy is and how it is.
    ///
    /// # Errors
    ///
    /// See [`ClientError`]; so for all requests.
    pub async fn status(&self) -> Result<Value, ClientError> {
        self.request(Method::GET, "/v1/status", None::<&()>).await
    }

    /// The sessions.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn sessions(&self) -> Result<Vec<Value>, ClientError> {
        self.request(Method::GET, "/v1/sessions", None::<&()>).await
    }

    /// What waits, oldest first.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn holds(&self) -> Result<Vec<HoldView>, ClientError> {
        self.request(Method::GET, "/v1/holds", None::<&()>).await
    }

    /// What ended lately, then what waits.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn all_holds(&self) -> Result<Vec<HoldView>, ClientError> {
        self.request(Method::GET, "/v1/holds?all=true", None::<&()>).await
    }

    /// One hold, after its blast radius is known or cannot be known soon.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn hold(&self, id: &HoldId) -> Result<HoldView, ClientError> {
        self.request(Method::GET, &format!("/v1/holds/{id}?settle=true"), None::<&()>).await
    }

    /// Approves.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn approve(&self, id: &HoldId, body: &ApproveBody) -> Result<HoldView, ClientError> {
        self.request(Method::POST, &format!("/v1/holds/{id}/approve"), Some(body)).await
    }

    /// Denies.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn deny(&self, id: &HoldId, body: &ReasonBody) -> Result<HoldView, ClientError> {
        self.request(Method::POST, &format!("/v1/holds/{id}/deny"), Some(body)).await
    }

    /// Denies what was looked at, and nothing else.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn deny_seen(&self, id: &HoldId, body: &DenyBody) -> Result<HoldView, ClientError> {
        self.request(Method::POST, &format!("/v1/holds/{id}/deny"), Some(body)).await
    }

    /// What was counted and measured.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn statistics(&self) -> Result<Value, ClientError> {
        self.request(Method::GET, "/v1/statistics", None::<&()>).await
    }

    /// The audit log.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn audit(&self) -> Result<LogView, ClientError> {
        self.request(Method::GET, "/v1/audit", None::<&()>).await
    }

    /// The audit log, after all of it was verified. A verification that takes longer than this waits goes on.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn verify_audit(&self) -> Result<LogView, ClientError> {
        self.request(Method::POST, "/v1/audit/verify", None::<&()>).await
    }

    /// Some of the rows that a hold would change.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn sample(&self, id: &HoldId) -> Result<Vec<Examined<Sample>>, ClientError> {
        self.request(Method::GET, &format!("/v1/holds/{id}/sample"), None::<&()>).await
    }

    /// How many rows a hold would change, exactly.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn count(&self, id: &HoldId) -> Result<Vec<Examined<u64>>, ClientError> {
        self.request(Method::GET, &format!("/v1/holds/{id}/count"), None::<&()>).await
    }

    /// Whom a hold would wait for now, and who waits for its transaction.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn blockers(&self, id: &HoldId) -> Result<Blockers, ClientError> {
        self.request(Method::GET, &format!("/v1/holds/{id}/blockers"), None::<&()>).await
    }

    /// Withdraws.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn withdraw(&self, id: &HoldId, body: &ReasonBody) -> Result<HoldView, ClientError> {
        self.request(Method::POST, &format!("/v1/holds/{id}/withdraw"), Some(body)).await
    }

    /// The functions of a database that are not reviewed, and which of them are approved.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn functions(&self, database: &str) -> Result<Vec<FunctionView>, ClientError> {
        self.request(Method::GET, &format!("/v1/functions?database={}", encoded(database)), None::<&()>).await
    }

    /// One function, whole.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn function(&self, database: &str, oid: u32) -> Result<ShownFunction, ClientError> {
        let path = format!("/v1/functions/show?database={}&oid={oid}", encoded(database));
        self.request(Method::GET, &path, None::<&()>).await
    }

    /// Approves a function.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn approve_function(&self, body: &ApproveFunctionBody) -> Result<ApprovedFunction, ClientError> {
        self.request(Method::POST, "/v1/functions/approve", Some(body)).await
    }

    /// Takes the approval of a function back.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn revoke_function(&self, body: &RevokeFunctionBody) -> Result<ApprovedFunction, ClientError> {
        self.request(Method::POST, "/v1/functions/revoke", Some(body)).await
    }

    /// What waits, then every change.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn watch(&self) -> Result<HoldStream, ClientError> {
        let sent = self.send(Method::GET, "/v1/holds/watch", None::<&()>);
        let response = tokio::time::timeout(PATIENCE, sent).await.unwrap_or_else(|_| Err(self.late()))?;
        if response.status() != StatusCode::OK {
            return Err(self.refusal(response).await);
        }
        Ok(HoldStream { place: self.place(), body: response.into_body(), unread: BytesMut::new(), searched: 0 })
    }

    async fn request<Q: Serialize, A: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Q>,
    ) -> Result<A, ClientError> {
        let answer = async {
            let response = self.send(method, path, body).await?;
            if response.status() != StatusCode::OK {
                return Err(self.refusal(response).await);
            }
            let bytes = self.whole(response).await?;
            serde_json::from_slice(&bytes).map_err(|error| self.odd(error))
        };
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(self.late()),
        }
    }

    async fn send<Q: Serialize>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Q>,
    ) -> Result<Response<Incoming>, ClientError> {
        let mut sender = match &self.way {
            Way::Socket(path) => {
                let stream = UnixStream::connect(path).await.map_err(|error| match error.kind() {
                    io::ErrorKind::PermissionDenied => ClientError::NotAllowed(path.clone()),
                    _ => ClientError::NotRunning { socket: path.clone(), error },
                })?;
                self.handshake(stream).await?
            }
            Way::Remote(remote) => {
                let connect = tokio::time::timeout(CONNECT_PATIENCE, remote.connect());
                let connected = connect.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
                let stream = connected.map_err(|error| match tls_error(&error) {
                    Some(_) => self.broken(&error),
                    None => ClientError::Unreachable { address: remote.address(), error },
                })?;
                self.handshake(stream).await?
            }
        };
        let bytes = match body {
            Some(body) => serde_json::to_vec(body).map_err(|error| self.odd(error))?,
            None => Vec::new(),
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "pgsluice")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(bytes)))
            .map_err(|error| self.broken(&error))?;
        sender.send_request(request).await.map_err(|error| self.broken(&error))
    }

    async fn handshake<S>(&self, stream: S) -> Result<SendRequest<Full<Bytes>>, ClientError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.broken(&error))?;
        // Ends with the connection; what goes wrong on it, the request learns.
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn whole(&self, response: Response<Incoming>) -> Result<Bytes, ClientError> {
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
        Ok(body.collect().await.map_err(|error| self.broken(error.as_ref()))?.to_bytes())
    }

    async fn refusal(&self, response: Response<Incoming>) -> ClientError {
        let status = response.status();
        match self.whole(response).await {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(body) => ClientError::Refused(body),
                Err(_) => self.odd(format_args!("it answered {status}")),
            },
            Err(error) => error,
        }
    }

    fn broken(&self, error: &(dyn std::error::Error + 'static)) -> ClientError {
        match tls_error(error) {
            Some(error) => {
                let (what, hint) = distrust(error);
                ClientError::Untrusted { address: self.place(), what, hint }
            }
            None => self.odd(error),
        }
    }

    fn late(&self) -> ClientError {
        self.odd(format_args!("no answer within {} s", PATIENCE.as_secs()))
    }

    fn odd(&self, what: impl std::fmt::Display) -> ClientError {
        ClientError::Broken { place: self.place(), what: what.to_string() }
    }
}

/// A value in the query of a URL (RFC 3986, section 2.1).
fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.extend([byte >> 4, byte & 15].map(|digit| char::from_digit(u32::from(digit), 16).unwrap_or('0')));
        }
        out
    })
}

/// Holds as they change.
#[derive(Debug)]
pub struct HoldStream {
    place: String,
    body: Incoming,
    unread: BytesMut,
    /// How much of `unread` has no line end.
    searched: usize,
}

impl HoldStream {
    /// The next change; `None` when the proxy has stopped. Cancel-safe.
    ///
    /// # Errors
    ///
    /// The connection broke, or what came is no hold.
    pub async fn next(&mut self) -> Result<Option<HoldView>, ClientError> {
        loop {
            while let Some(line) = self.line() {
                // A heartbeat is an empty line.
                if !line.is_empty() {
                    return serde_json::from_slice(&line).map(Some).map_err(|error| self.broken(&error));
                }
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(self.broken(&error)),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.unread.extend_from_slice(data);
                    }
                }
            }
            if self.unread.len() > ANSWER_BYTES_MAX {
                return Err(self.broken(&"a line without an end"));
            }
        }
    }

    fn line(&mut self) -> Option<BytesMut> {
        match self.unread[self.searched..].iter().position(|byte| *byte == b'\n') {
            Some(at) => {
                let mut line = self.unread.split_to(self.searched + at + 1);
                line.truncate(line.len() - 1);
                self.searched = 0;
                Some(line)
            }
            None => {
                self.searched = self.unread.len();
                None
            }
        }
    }

    fn broken(&self, what: &dyn std::fmt::Display) -> ClientError {
        ClientError::Broken { place: self.place.clone(), what: what.to_string() }
    }
}
