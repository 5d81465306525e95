//! TLS for the side connection of `tokio-postgres`, with the same rules as the sessions' connections.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::client;

use super::client::UpstreamTls;

/// Makes TLS connections for `tokio-postgres`. The `sslmode` beyond "whether" is this value's; tell
/// `tokio-postgres` only `disable`, `prefer` or `require`.
#[derive(Debug, Clone)]
pub struct SideTls {
    tls: UpstreamTls,
}

impl SideTls {
    /// With the rules of the sessions' connections.
    #[must_use]
    pub const fn new(tls: UpstreamTls) -> Self {
        Self { tls }
    }
}

impl<S> MakeTlsConnect<S> for SideTls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = SideStream<S>;
    type TlsConnect = SideConnect;
    type Error = io::Error;

    fn make_tls_connect(&mut self, domain: &str) -> Result<Self::TlsConnect, Self::Error> {
        Ok(SideConnect { tls: self.tls.clone(), host: domain.to_owned() })
    }
}

/// One connection to be made.
#[derive(Debug)]
pub struct SideConnect {
    tls: UpstreamTls,
    host: String,
}

impl<S> TlsConnect<S> for SideConnect
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = SideStream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<SideStream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let stream = self.tls.connect(&self.host, stream).await?;
            Ok(SideStream { stream })
        })
    }
}

/// A TLS stream that knows its channel binding.
#[derive(Debug)]
pub struct SideStream<S> {
    stream: client::TlsStream<S>,
}

impl<S> TlsStream for SideStream<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    fn channel_binding(&self) -> ChannelBinding {
        super::server_end_point(self.stream.get_ref().1)
            .map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

impl<S> AsyncRead for SideStream<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S> AsyncWrite for SideStream<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
