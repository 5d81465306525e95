//! Cancel requests: which session a key is for, and passing the request on.
//!
//! Clients get the real backend's process id and a secret of ours. A request with them is first shown to the
//! session, which may be holding a statement the server has never seen; only if the session says so is it passed
//! on, with the server's own secret, over a connection of its own. Who guesses wrong learns nothing: the
//! connection is closed, as Postgres does.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use subtle::ConstantTimeEq as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::stream::{Peer, Stream};
use super::upstream::{Protection, Upstream};
use crate::wire::encode;
use crate::wire::startup::ProtocolVersion;

/// How long a session may take to say what is to become of a request.
const SESSION_TIMEOUT: Duration = Duration::from_secs(5);
/// How long passing a request on may take.
const FORWARD_TIMEOUT: Duration = Duration::from_secs(10);
/// How many requests are worked on at once; more are dropped.
const CONCURRENT: usize = 64;

/// What a session says to a cancel request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelAnswer {
    /// The statement is with the server: pass the request on.
    Forward,
    /// The session has dealt with it, e.g. by withdrawing a hold.
    Done,
}

/// A cancel request shown to a session. Dropping it unanswered is [`CancelAnswer::Done`].
#[derive(Debug)]
pub struct CancelAsked {
    answer: oneshot::Sender<CancelAnswer>,
}

impl CancelAsked {
    /// Says what is to become of it.
    pub fn answer(self, answer: CancelAnswer) {
        // Nobody waits any longer once the requester has run out of time: then there is nothing to do.
        let _ = self.answer.send(answer);
    }
}

/// The sessions that can be cancelled. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cancels {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// By process id: several upstream servers or a reused process id may give the same twice.
    sessions: DashMap<i32, Vec<Arc<Session>>>,
    working: Semaphore,
}

struct Session {
    our_secret: Zeroizing<Vec<u8>>,
    upstream_pid: i32,
    upstream_secret: Zeroizing<Vec<u8>>,
    upstream: Upstream,
    peer: Peer,
    protection: Protection,
    asked: mpsc::Sender<CancelAsked>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("pid", &self.upstream_pid).finish_non_exhaustive()
    }
}

/// A session's place in the registry; leaves it when dropped.
#[derive(Debug)]
pub struct CancelEntry {
    registry: Cancels,
    session: Arc<Session>,
    asked: mpsc::Receiver<CancelAsked>,
}

impl CancelEntry {
    /// Waits for the next cancel request. Cancel-safe. Never ends while the entry lives.
    pub async fn asked(&mut self) -> CancelAsked {
        match self.asked.recv().await {
            Some(asked) => asked,
            // The sender lives in `self.session`, so the channel cannot close before.
            None => std::future::pending().await,
        }
    }

    /// The process id that the client was given.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.session.upstream_pid
    }
}

impl Drop for CancelEntry {
    fn drop(&mut self) {
        let own = |session: &Arc<Session>| Arc::ptr_eq(session, &self.session);
        self.registry.inner.sessions.remove_if_mut(&self.session.upstream_pid, |_, sessions| {
            sessions.retain(|session| !own(session));
            sessions.is_empty()
        });
    }
}

impl Default for Cancels {
    fn default() -> Self {
        Self::new()
    }
}

impl Cancels {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        let inner = Inner { sessions: DashMap::new(), working: Semaphore::new(CONCURRENT) };
        Self { inner: Arc::new(inner) }
    }

    /// How many sessions are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.sessions.iter().map(|sessions| sessions.len()).sum()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.sessions.is_empty()
    }

    /// Enters a session whose upstream connection is `stream`. Returns its entry, and the secret for its client.
    ///
    /// # Errors
    /// The operating system has no random bytes.
    pub(super) fn register(
        &self,
        upstream: &Upstream,
        stream: &Stream,
        (pid, secret): (i32, &[u8]),
        version: ProtocolVersion,
    ) -> Result<(CancelEntry, Zeroizing<Vec<u8>>), getrandom::Error> {
        let mut ours = Zeroizing::new(vec![0; version.secret_bytes()]);
        getrandom::fill(&mut ours)?;
        // One place: requests that come while one is waiting add nothing to it.
        let (sender, asked) = mpsc::channel(1);
        let session = Arc::new(Session {
            our_secret: ours.clone(),
            upstream_pid: pid,
            upstream_secret: Zeroizing::new(secret.to_vec()),
            upstream: upstream.clone(),
            peer: stream.peer().clone(),
            protection: if stream.is_tls() { Protection::Tls } else { Protection::Plain },
            asked: sender,
        });
        self.inner.sessions.entry(pid).or_default().push(Arc::clone(&session));
        Ok((CancelEntry { registry: self.clone(), session, asked }, ours))
    }

    /// Deals with a request. Returns when the request has had its effect, so that its connection can be closed
    /// then: clients wait for that.
    pub(super) async fn request(&self, pid: i32, secret: &[u8]) {
        let Ok(_working) = self.inner.working.try_acquire() else {
            tracing::warn!(limit = CONCURRENT, "cancel request dropped: too many at once");
            return;
        };
        let Some(session) = self.find(pid, secret) else {
            tracing::debug!(pid, "cancel request with a wrong key");
            return;
        };
        let (sender, answer) = oneshot::channel();
        if session.asked.try_send(CancelAsked { answer: sender }).is_err() {
            return;
        }
        if let Ok(Ok(CancelAnswer::Forward)) = timeout(SESSION_TIMEOUT, answer).await {
            match timeout(FORWARD_TIMEOUT, session.forward()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(pid, %error, "cancel request not passed on"),
                Err(_) => tracing::warn!(pid, "cancel request not passed on in time"),
            }
        }
    }

    fn find(&self, pid: i32, secret: &[u8]) -> Option<Arc<Session>> {
        let sessions = self.inner.sessions.get(&pid)?;
        let matches = |session: &&Arc<Session>| bool::from(session.our_secret.as_slice().ct_eq(secret));
        sessions.iter().find(matches).map(Arc::clone)
    }
}

impl Session {
    async fn forward(&self) -> Result<(), super::upstream::ConnectError> {
        let mut stream = self.upstream.connect_beside(&self.peer, self.protection).await?;
        let mut request = Zeroizing::new(Vec::with_capacity(16 + self.upstream_secret.len()));
        encode::cancel_request(&mut request, self.upstream_pid, &self.upstream_secret);
        stream.write_all(&request).await?;
        stream.flush().await?;
        // The server closes once it has sent the signal; what it says, if anything, is not for us.
        let mut ignored = [0; 64];
        while stream.read(&mut ignored).await? > 0 {}
        Ok(())
    }
}
