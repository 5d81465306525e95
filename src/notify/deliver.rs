//! One message's way to the other side: attempts, each bounded in time, later and later.
//!
//! The client is hyper's own HTTP/1.1 connection over tokio-rustls: a connection a message, no pool, no redirects, no
//! proxies, no cookies. What is wrong is told in words of ours, for other people's errors may show a URL.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::queue::{Message, Queue, Settled};
use super::target::{Secured, SetupError, Target, read_secret};
use super::{PlainHttp, SIGNATURE_HEADER, Webhook, sign};
use crate::tls::{FileError, provider, system_roots};

/// When a message is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// After the first attempt; twice as long after each further one.
    pub first: Duration,
    /// But no longer than this.
    pub longest: Duration,
    /// How many attempts there are.
    pub attempts: u32,
}

impl Default for Retry {
    /// Over some five minutes.
    fn default() -> Self {
        Self { first: Duration::from_millis(500), longest: Duration::from_secs(60), attempts: 12 }
    }
}

impl Retry {
    /// How long to wait after an attempt, from 0: up to a quarter more by chance, so that many do not come at once.
    fn wait(&self, attempt: u32, chance: u8) -> Duration {
        let doubled = self.first.saturating_mul(2_u32.saturating_pow(attempt.min(30)));
        let wait = doubled.min(self.longest);
        wait + wait.mul_f64(f64::from(chance) / 1024.0)
    }
}

/// Sends to one webhook.
pub(super) struct Sender {
    webhook: Webhook,
    retry: Retry,
    tls: OnceLock<Arc<ClientConfig>>,
}

/// Why an attempt came to nothing.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    why: String,
    cure: Cure,
}

/// What can be done about it.
#[derive(Debug, PartialEq, Eq)]
enum Cure {
    /// Another attempt, not before that time where the other side named one.
    Again(Option<Duration>),
    /// None.
    None,
}

impl Fault {
    fn passing(why: impl std::fmt::Display) -> Self {
        Self { why: why.to_string(), cure: Cure::Again(None) }
    }

    fn lasting(why: impl std::fmt::Display) -> Self {
        Self { why: why.to_string(), cure: Cure::None }
    }
}

/// Delivers what comes into a queue, one after the other.
pub(super) async fn work(sender: Sender, queue: Arc<Queue>) {
    loop {
        let message = queue.next().await;
        queue.settle(sender.deliver(&message, &queue).await);
    }
}

impl Sender {
    /// Looks at the files once, so that what is wrong with them is told at the start.
    pub(super) fn new(webhook: Webhook, retry: Retry) -> Result<Self, SetupError> {
        let target = Target::read(&webhook.url_file, webhook.plain)?;
        if let Some(path) = &webhook.secret_file {
            read_secret(path)?;
        }
        let sender = Self { webhook, retry, tls: OnceLock::new() };
        if target.secured == Secured::Tls {
            sender.tls()?;
        }
        Ok(sender)
    }

    async fn deliver(&self, message: &Message, queue: &Queue) -> Settled {
        let (webhook, delivery) = (&self.webhook.name, &message.delivery);
        for attempt in 0..self.retry.attempts {
            queue.attempted();
            let result = tokio::time::timeout(self.webhook.timeout, self.attempt(message)).await;
            let fault = match result.unwrap_or_else(|_| Err(Fault::passing("it did not answer in time"))) {
                Ok(()) => {
                    tracing::debug!(webhook, delivery, attempt, "told of a hold");
                    return Settled::Delivered;
                }
                Err(fault) => fault,
            };
            let Cure::Again(named) = fault.cure else {
                tracing::warn!(webhook, delivery, why = fault.why, "a message about a hold is not taken");
                return Settled::Failed;
            };
            if attempt + 1 == self.retry.attempts {
                tracing::warn!(
                    webhook,
                    delivery,
                    attempts = self.retry.attempts,
                    why = fault.why,
                    "a message about a hold is given up"
                );
                return Settled::Failed;
            }
            tracing::info!(webhook, delivery, attempt, why = fault.why, "a message about a hold is sent again later");
            let wait = self.retry.wait(attempt, chance()).max(named.unwrap_or_default().min(self.retry.longest));
            tokio::time::sleep(wait).await;
        }
        Settled::Failed
    }

    async fn attempt(&self, message: &Message) -> Result<(), Fault> {
        // Read anew: whoever changes the files need not restart the proxy.
        let target = Target::read(&self.webhook.url_file, self.webhook.plain).map_err(Fault::passing)?;
        let stream = self.connect(&target).await?;
        match target.secured {
            Secured::Plain => self.post(stream, &target, message).await,
            Secured::Tls => {
                let name = ServerName::try_from(target.host.clone())
                    .map_err(|_| Fault::lasting("the URL's host is no name that a certificate can have"))?;
                let connector = TlsConnector::from(self.tls().map_err(Fault::passing)?);
                let stream =
                    connector.connect(name, stream).await.map_err(|error| Fault::passing(tls_fault(&error)))?;
                self.post(stream, &target, message).await
            }
        }
    }

    async fn connect(&self, target: &Target) -> Result<TcpStream, Fault> {
        let found = tokio::net::lookup_host((target.host.as_str(), target.port))
            .await
            .map_err(|_| Fault::passing("the URL's host is not found"))?;
        let loopback_only = target.secured == Secured::Plain && self.webhook.plain == PlainHttp::LoopbackOnly;
        let addresses: Vec<SocketAddr> = found.filter(|address| !loopback_only || address.ip().is_loopback()).collect();
        if addresses.is_empty() {
            return Err(Fault::lasting("http:// leads only to this machine, unless allow_http = true"));
        }
        let stream = TcpStream::connect(addresses.as_slice())
            .await
            .map_err(|error| Fault::passing(format_args!("it cannot be connected to: {}", error.kind())))?;
        // One small request: nothing is gained by waiting for more.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    async fn post<S>(&self, stream: S, target: &Target, message: &Message) -> Result<(), Fault>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let broken = |_: hyper::Error| Fault::passing("the connection broke");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let request = self.request(target, message)?;
        let mut exchange = std::pin::pin!(sender.send_request(request));
        // Driven here and not in a task of its own: it ends with the attempt. Where it ends by itself, what came
        // last may be the answer.
        let response = tokio::select! {
            biased;
            response = &mut exchange => response,
            _ = connection => exchange.await,
        };
        let response = response.map_err(broken)?;
        let named = response.headers().get(hyper::header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        judge(response.status(), named)
    }

    fn request(&self, target: &Target, message: &Message) -> Result<Request<Full<Bytes>>, Fault> {
        let mut request = Request::post(&target.path)
            .header("host", &target.authority)
            .header("content-type", "application/json")
            .header("user-agent", concat!("pgsluice/", env!("CARGO_PKG_VERSION")))
            .header("pgsluice-event", message.event.as_str())
            .header("pgsluice-delivery", &message.delivery);
        if let Some(path) = &self.webhook.secret_file {
            let secret = read_secret(path).map_err(Fault::passing)?;
            let now = jiff::Timestamp::now().as_second();
            request = request.header(SIGNATURE_HEADER, sign(&secret, now, &message.body));
        }
        request.body(Full::new(message.body.clone())).map_err(|_| Fault::lasting("the URL makes no request"))
    }

    fn tls(&self) -> Result<Arc<ClientConfig>, FileError> {
        if let Some(config) = self.tls.get() {
            return Ok(Arc::clone(config));
        }
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the ring provider has the cipher suites of TLS 1.2 and 1.3")
            .with_root_certificates(system_roots()?)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::clone(self.tls.get_or_init(|| Arc::new(config))))
    }
}

/// What an answer means.
fn judge(status: StatusCode, retry_after: Option<&str>) -> Result<(), Fault> {
    if status.is_success() {
        return Ok(());
    }
    let why = format!("it answered {}", status.as_u16());
    let may_pass = status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS);
    if !may_pass {
        return Err(Fault::lasting(why));
    }
    let named = retry_after.and_then(|seconds| seconds.trim().parse().ok()).map(Duration::from_secs);
    Err(Fault { why, cure: Cure::Again(named) })
}

/// What TLS says, without the host's name.
fn tls_fault(error: &io::Error) -> &'static str {
    use rustls::{CertificateError, Error};
    match error.get_ref().and_then(|inside| inside.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "its certificate is signed by nobody that this system trusts (SSL_CERT_FILE names others)"
        }
        Some(Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })) => {
            "its certificate has expired"
        }
        Some(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => "its certificate is in another name than the URL's host",
        Some(Error::InvalidCertificate(_)) => "its certificate is not good",
        _ => "the TLS handshake failed",
    }
}

fn chance() -> u8 {
    let mut byte = [0];
    // Without chance all wait equally long, which does no harm.
    let _ = getrandom::fill(&mut byte);
    byte[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_come_later_and_later_within_a_bound() {
        let retry = Retry::default();
        let waits: Vec<Duration> = (0..retry.attempts).map(|attempt| retry.wait(attempt, 0)).collect();
        assert_eq!(waits[..3], [500, 1000, 2000].map(Duration::from_millis));
        assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]));
        assert!((0..=u8::MAX).all(|chance| retry.wait(u32::MAX, chance) <= Duration::from_secs(75)));
    }

    #[test]
    fn answers_that_may_pass_are_told_from_others() {
        let again = |seconds: Option<u64>| Cure::Again(seconds.map(Duration::from_secs));
        for (status, retry_after, cure) in [
            (204, None, None),
            (500, None, Some(again(None))),
            (503, Some("7"), Some(again(Some(7)))),
            (429, Some("Wed, 21 Oct 2026 07:28:00 GMT"), Some(again(None))),
            (404, None, Some(Cure::None)),
            (302, None, Some(Cure::None)),
            (400, Some("1"), Some(Cure::None)),
        ] {
            let judged = judge(StatusCode::from_u16(status).unwrap(), retry_after);
            assert_eq!(judged.err().map(|fault| fault.cure), cure, "{status}");
        }
    }
}
