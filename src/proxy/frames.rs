//! The server's messages during a login, one whole frame at a time.

use std::io;

use bytes::{Bytes, BytesMut};
use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::stream::Stream;
use crate::wire::frame::{BackendTag, FrameError, HEADER_BYTES, Header};
use crate::wire::reader::DecodeError;
use crate::wire::startup::ProtocolVersion;

/// Largest message that is taken during a login, in bytes. libpq takes 30,000.
const FRAME_LIMIT: usize = 64 * 1024;

/// How the server left or broke the protocol. The texts complete "the upstream server ...".
#[derive(Debug, Error)]
pub enum UpstreamFault {
    /// It closed.
    #[error("closed the connection")]
    Closed,
    /// The network failed.
    #[error("was lost ({0})")]
    Io(#[from] io::Error),
    /// Its bytes are no frame.
    #[error("broke the protocol ({0})")]
    Frame(#[from] FrameError),
    /// A message is not what its type says.
    #[error("broke the protocol ({0})")]
    Message(#[from] DecodeError),
    /// A message that has no place here.
    #[error("broke the protocol ({0} has no place here)")]
    Unexpected(&'static str),
    /// It speaks a version that nobody asked for.
    #[error("broke the protocol (answered with version {0})")]
    Version(ProtocolVersion),
    /// It says more than fits.
    #[error("broke the protocol (too many bytes)")]
    TooMuch,
}

/// A message.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    tag: BackendTag,
    bytes: Bytes,
}

impl Frame {
    pub(super) const fn tag(&self) -> BackendTag {
        self.tag
    }

    /// All of it, as it came.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.bytes[HEADER_BYTES..]
    }
}

/// The server's connection during a login.
#[derive(Debug)]
pub(super) struct FrameStream {
    stream: Stream,
    ahead: BytesMut,
}

impl FrameStream {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, ahead: BytesMut::with_capacity(4096) }
    }

    pub(super) const fn stream(&self) -> &Stream {
        &self.stream
    }

    /// The connection, and what was read beyond the last frame.
    pub(super) fn into_parts(self) -> (Stream, BytesMut) {
        (self.stream, self.ahead)
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), UpstreamFault> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await?;
        Ok(())
    }

    pub(super) async fn next(&mut self) -> Result<Frame, UpstreamFault> {
        loop {
            if let Some(header) = Header::backend(&self.ahead)? {
                if header.total() > FRAME_LIMIT {
                    return Err(UpstreamFault::TooMuch);
                }
                if self.ahead.len() >= header.total() {
                    let tag = BackendTag::from_byte(header.tag()).ok_or(UpstreamFault::Unexpected("its type"))?;
                    return Ok(Frame { tag, bytes: self.ahead.split_to(header.total()).freeze() });
                }
            }
            if self.stream.read_buf(&mut self.ahead).await? == 0 {
                return Err(UpstreamFault::Closed);
            }
        }
    }
}
