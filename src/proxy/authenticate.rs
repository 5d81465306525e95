//! Authentication with the client's own credentials.
//!
//! The server asks, the client answers, and we pass both on, with two exceptions. `SCRAM-SHA-256-PLUS` binds to a
//! TLS connection, and there is none from end to end: it is removed from what the server offers. And when both
//! legs are TLS, that does not do: a client that could bind says that it was not offered it, which the server
//! takes, rightly, for an attack. There the client is asked for its password over its TLS, and we do SCRAM with
//! the server ourselves, with channel binding where the server offers it.
//!
//! Passwords are overwritten as soon as they were used, and appear in no log and no error.

use tokio::io::AsyncReadExt as _;
use zeroize::Zeroizing;

use super::frames::{Frame, FrameStream, UpstreamFault};
use super::login::{Greeting, LoginError};
use super::stream::Stream;
use super::upstream::Upstream;
use crate::wire::auth::{Authentication, Mechanisms, PasswordMessage};
use crate::wire::encode;
use crate::wire::frame::{BackendTag, HEADER_BYTES, Header};
use crate::wire::report::Report;
use crate::wire::scram::{ChannelBinding, ClientFirst, NONCE_BYTES, SCRAM_SHA_256, SCRAM_SHA_256_PLUS};

/// Gets the client past the server's door, beginning with the server's message `first`. Ends with the server's
/// AuthenticationOk in the greeting.
pub(super) async fn authenticate(
    client: &mut Stream,
    server: &mut FrameStream,
    first: Frame,
    greeting: &mut Greeting,
    upstream: &Upstream,
    user: &str,
) -> Result<(), LoginError> {
    let mut exchange = Exchange { client, server, greeting, asked: Asked::Nothing };
    let mut frame = first;
    loop {
        match frame.tag() {
            BackendTag::Authentication => {
                let request = Authentication::decode(frame.body()).map_err(UpstreamFault::from)?;
                if request == Authentication::Ok {
                    exchange.check_vouching(upstream, user)?;
                    return exchange.greeting.add(&frame);
                }
                exchange.request(&frame, request).await?;
            }
            BackendTag::ErrorResponse => return Err(exchange.greeting.refused(&frame)),
            BackendTag::NoticeResponse => exchange.greeting.add(&frame)?,
            tag => return Err(UpstreamFault::Unexpected(tag.name()).into()),
        }
        frame = exchange.server.next().await?;
    }
}

/// Whether the server wanted to know anything of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Nothing,
    Something,
}

struct Exchange<'a> {
    client: &'a mut Stream,
    server: &'a mut FrameStream,
    greeting: &'a mut Greeting,
    asked: Asked,
}

impl Exchange<'_> {
    /// Deals with one request of the server.
    async fn request(&mut self, frame: &Frame, request: Authentication<'_>) -> Result<(), LoginError> {
        self.asked = Asked::Something;
        match request {
            Authentication::CleartextPassword
            | Authentication::Md5Password { .. }
            | Authentication::SaslContinue(_) => {
                self.greeting.add(frame)?;
                self.pass_answer_on().await
            }
            Authentication::Sasl(mechanisms) => self.sasl(mechanisms).await,
            // Nothing is answered to these.
            Authentication::SaslFinal(_) | Authentication::Ok => self.greeting.add(frame),
            Authentication::Gss | Authentication::Sspi | Authentication::GssContinue(_) => Err(unsupported(
                "GSSAPI or SSPI",
                "It proves an identity from end to end, which a proxy in between cannot pass on.",
            )),
            Authentication::Other(code) => {
                Err(unsupported(&format!("method {code}"), "It is not known to this version of pgsluice."))
            }
        }
    }

    async fn sasl(&mut self, mechanisms: Mechanisms<'_>) -> Result<(), LoginError> {
        let both_tls = self.client.is_tls() && self.server.stream().is_tls();
        let scram = mechanisms.offers(SCRAM_SHA_256) || mechanisms.offers(SCRAM_SHA_256_PLUS);
        if both_tls && scram {
            return self.scram_for_client(mechanisms).await;
        }
        self.offer_without_plus(mechanisms)?;
        self.pass_answer_on().await
    }

    fn offer_without_plus(&mut self, mechanisms: Mechanisms<'_>) -> Result<(), LoginError> {
        let plus = SCRAM_SHA_256_PLUS.as_bytes();
        let mut offered = mechanisms.iter().filter(|name| *name != plus).peekable();
        if offered.peek().is_none() {
            return Err(unsupported(
                "nothing but SCRAM-SHA-256-PLUS",
                "It binds to a TLS connection, and there is none from end to end through a proxy.",
            ));
        }
        encode::authentication_sasl(&mut self.greeting.bytes, offered);
        Ok(())
    }

    /// Tells the client all there is, and passes its answer on.
    async fn pass_answer_on(&mut self) -> Result<(), LoginError> {
        self.greeting.send(self.client).await?;
        let answer = client_answer(self.client).await?;
        Ok(self.server.send(&answer).await?)
    }

    /// Asks the client for its password and does SCRAM with it.
    async fn scram_for_client(&mut self, mechanisms: Mechanisms<'_>) -> Result<(), LoginError> {
        let binding = self.binding(mechanisms);
        encode::authentication_cleartext(&mut self.greeting.bytes);
        self.greeting.send(self.client).await?;
        let exchange = {
            let answer = client_answer(self.client).await?;
            let message = PasswordMessage::decode(&answer[HEADER_BYTES..])
                .map_err(|_| Report::fatal("08P01", "invalid password packet size"))?;
            if message.password.is_empty() {
                return Err(Report::fatal("28P01", "empty password returned by client").into());
            }
            let mut nonce = [0; NONCE_BYTES];
            getrandom::fill(&mut nonce)?;
            ClientFirst::new(message.password, binding, nonce)
        };
        let mut said = Zeroizing::new(Vec::with_capacity(256));
        encode::sasl_initial_response(&mut said, exchange.mechanism(), exchange.message().as_bytes());
        self.server.send(&said).await?;

        let frame = self.next_request().await?;
        let Ok(Authentication::SaslContinue(challenge)) = Authentication::decode(frame.body()) else {
            return Err(UpstreamFault::Unexpected("an answer other than a SCRAM challenge").into());
        };
        let challenge = challenge.to_vec();
        // Many thousand rounds of hashing: other sessions on this thread shall not wait for them.
        let exchange = tokio::task::spawn_blocking(move || exchange.challenge(&challenge))
            .await
            .map_err(|_| UpstreamFault::Unexpected("a stop of the proxy"))??;
        said.clear();
        encode::sasl_response(&mut said, exchange.message().as_bytes());
        self.server.send(&said).await?;

        let frame = self.next_request().await?;
        let Ok(Authentication::SaslFinal(signature)) = Authentication::decode(frame.body()) else {
            return Err(UpstreamFault::Unexpected("an answer other than a SCRAM signature").into());
        };
        Ok(exchange.verify(signature)?)
    }

    /// How our SCRAM binds to the server's TLS.
    fn binding(&self, mechanisms: Mechanisms<'_>) -> ChannelBinding {
        match self.server.stream().server_end_point() {
            // Its certificate gives nothing to bind to.
            None => ChannelBinding::Unsupported,
            Some(hash) if mechanisms.offers(SCRAM_SHA_256_PLUS) => ChannelBinding::ServerEndPoint(hash),
            Some(_) => ChannelBinding::NotOffered,
        }
    }

    /// The server's next request; a refusal is an error, and notices are kept for the client.
    async fn next_request(&mut self) -> Result<Frame, LoginError> {
        loop {
            let frame = self.server.next().await?;
            match frame.tag() {
                BackendTag::Authentication => return Ok(frame),
                BackendTag::NoticeResponse => self.greeting.add(&frame)?,
                BackendTag::ErrorResponse => return Err(self.greeting.refused(&frame)),
                tag => return Err(UpstreamFault::Unexpected(tag.name()).into()),
            }
        }
    }

    /// Refuses a login that the server granted for nothing if that may be due to who we are.
    fn check_vouching(&self, upstream: &Upstream, user: &str) -> Result<(), LoginError> {
        if self.asked == Asked::Something {
            return Ok(());
        }
        match upstream.doubtful_login(self.server.stream(), self.client.peer(), user) {
            None => Ok(()),
            Some(detail) => Err(Report::fatal("28000", "pgsluice: the upstream server asked for no credentials")
                .detail(detail)
                .hint("Let the server's pg_hba.conf ask connections from the proxy for scram-sha-256.")
                .into()),
        }
    }
}

fn unsupported(method: &str, detail: &str) -> LoginError {
    Report::fatal("28000", format!("pgsluice: the upstream server asks for {method}"))
        .detail(detail)
        .hint("Let the server's pg_hba.conf ask connections from the proxy for scram-sha-256.")
        .into()
}

/// Reads one `p` message, whole.
async fn client_answer(client: &mut Stream) -> Result<Zeroizing<Vec<u8>>, LoginError> {
    let mut header = [0; HEADER_BYTES];
    client.read_exact(&mut header).await.map_err(LoginError::ClientGone)?;
    let parsed =
        Header::authentication(&header).map_err(LoginError::ClientFrame)?.expect("five bytes are a whole header");
    // The length is at most that of an authentication message, see `Header::authentication`.
    let mut frame = Zeroizing::new(vec![0; parsed.total()]);
    frame[..HEADER_BYTES].copy_from_slice(&header);
    client.read_exact(&mut frame[HEADER_BYTES..]).await.map_err(LoginError::ClientGone)?;
    Ok(frame)
}
