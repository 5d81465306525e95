//! The client's end of the socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::UnixStream;

use super::SOCKET_NAME;
use super::api::{ApproveBody, ErrorBody, ReasonBody};
use crate::gate::{HoldId, HoldView};

/// An answer larger than this is none of ours: a gate holds a quarter of it at most, before JSON escapes it.
const ANSWER_BYTES_MAX: usize = 1 << 30;

/// How long to wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client of the proxy that runs with one data directory.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
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
    /// The socket is not ours to open.
    #[error("not allowed to open {}", .0.display())]
    NotAllowed(PathBuf),
    /// The proxy said no.
    #[error("{}", .0.error)]
    Refused(ErrorBody),
    /// The proxy answered nothing that we understand, or went away.
    #[error("the proxy at {} cannot be talked to: {what}", socket.display())]
    Broken {
        /// The socket.
        socket: PathBuf,
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
            Self::NotAllowed(_) => Some("run this as the user that runs the proxy, or as root".to_owned()),
            Self::Refused(body) => body.hint.clone(),
            Self::Broken { .. } => Some("the proxy's own log may say more".to_owned()),
        }
    }
}

impl Client {
    /// A client of the proxy that runs with this data directory. Connects with each request.
    #[must_use]
    pub fn new(data: &Path) -> Self {
        Self { socket: data.join(SOCKET_NAME) }
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

    /// Withdraws.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn withdraw(&self, id: &HoldId, body: &ReasonBody) -> Result<HoldView, ClientError> {
        self.request(Method::POST, &format!("/v1/holds/{id}/withdraw"), Some(body)).await
    }

    /// What waits, then every change.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub async fn watch(&self) -> Result<HoldStream, ClientError> {
        let response = self.send(Method::GET, "/v1/holds/watch", None::<&()>).await?;
        if response.status() != StatusCode::OK {
            return Err(self.refusal(response).await);
        }
        Ok(HoldStream { socket: self.socket.clone(), body: response.into_body(), unread: BytesMut::new(), searched: 0 })
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
            serde_json::from_slice(&bytes).map_err(|error| self.broken(error))
        };
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(self.broken(format_args!("no answer within {} s", PATIENCE.as_secs()))),
        }
    }

    async fn send<Q: Serialize>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Q>,
    ) -> Result<Response<Incoming>, ClientError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => ClientError::NotAllowed(self.socket.clone()),
            _ => ClientError::NotRunning { socket: self.socket.clone(), error },
        })?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.broken(error))?;
        // Ends with the connection; what goes wrong on it, the request learns.
        tokio::spawn(connection);
        let bytes = match body {
            Some(body) => serde_json::to_vec(body).map_err(|error| self.broken(error))?,
            None => Vec::new(),
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "pgsluice")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(bytes)))
            .map_err(|error| self.broken(error))?;
        sender.send_request(request).await.map_err(|error| self.broken(error))
    }

    async fn whole(&self, response: Response<Incoming>) -> Result<Bytes, ClientError> {
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
        Ok(body.collect().await.map_err(|error| self.broken(error))?.to_bytes())
    }

    async fn refusal(&self, response: Response<Incoming>) -> ClientError {
        let status = response.status();
        match self.whole(response).await {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(body) => ClientError::Refused(body),
                Err(_) => self.broken(format_args!("it answered {status}")),
            },
            Err(error) => error,
        }
    }

    fn broken(&self, what: impl std::fmt::Display) -> ClientError {
        ClientError::Broken { socket: self.socket.clone(), what: what.to_string() }
    }
}

/// Holds as they change.
#[derive(Debug)]
pub struct HoldStream {
    socket: PathBuf,
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
        ClientError::Broken { socket: self.socket.clone(), what: what.to_string() }
    }
}
