//! Drives one session: reads from and writes to both sides without ever waiting on one of them while the other
//! has something to do.
//!
//! Both directions are polled by one task. What was read is dealt with at once and leaves in as few writes as
//! there are: everything that a read brought goes out in one `write`, and only when there is nothing more to read.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::admission::Notice;
use super::cancel::{CancelAnswer, CancelEntry};
use super::pipe::{Filled, Pipe};
use super::session::{Session, Stage};
use crate::audit::{AppendError, Log, Record};
use crate::wire::{Report, encode};

/// Messages behind a held one are kept up to this many bytes, so that a client that says good-bye is noticed.
const LOOKED_AHEAD_BYTES: usize = 256 * 1024;

/// What the world outside tells a session.
pub(super) struct Signals {
    /// Where cancel requests with this session's key come in.
    pub(super) cancel: Option<CancelEntry>,
    /// The proxy stops.
    pub(super) stop: watch::Receiver<bool>,
}

/// Who ended a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The client said good-bye or closed.
    Client,
    /// The server closed.
    Server,
    /// We ended it.
    Proxy,
}

/// Something waited for.
type Waiting<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Everything a session waits for beside its two sockets.
struct Waits {
    signals: Signals,
    stopping: bool,
    log_room: Option<Waiting<Result<(), AppendError>>>,
    stop_changed: Option<Waiting<()>>,
}

impl Ended {
    /// For the log.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "the client closed",
            Self::Server => "the server closed",
            Self::Proxy => "the proxy ended it",
        }
    }
}

/// Runs a session to its end.
pub(super) async fn run<C, S>(session: &mut Session, client: &mut C, server: &mut S, signals: Signals) -> Ended
where
    C: AsyncRead + AsyncWrite + Unpin + Send,
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut stop = signals.stop.clone();
    let stop_changed: Waiting<()> = Box::pin(async move {
        // A sender that is gone is a proxy that is gone.
        let _ = stop.wait_for(|stop| *stop).await;
    });
    let mut waits = Waits { signals, stopping: false, log_room: None, stop_changed: Some(stop_changed) };
    poll_fn(|context| poll(session, client, server, &mut waits, context)).await
}

fn poll<C, S>(
    session: &mut Session,
    client: &mut C,
    server: &mut S,
    waits: &mut Waits,
    context: &mut Context<'_>,
) -> Poll<Ended>
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let mut moved = poll_waits(session, waits, context);
        moved |= fill_from_server(session, server, context);
        moved |= fill_from_client(session, client, context);
        session.advance();
        moved |= match drain(&mut session.to_client, client, context) {
            Ok(moved) => moved,
            Err(_) => return Poll::Ready(gone(session, Ended::Client)),
        };
        moved |= match drain(&mut session.to_server, server, context) {
            Ok(moved) => moved,
            Err(_) if session.server_ended => false,
            Err(_) => {
                // The server may have said why before it closed: that is still to be read.
                session.to_server = Pipe::new();
                true
            }
        };
        if let Some(ended) = is_over(session) {
            return Poll::Ready(ended);
        }
        if !moved {
            session.to_client.release();
            session.to_server.release();
            return Poll::Pending;
        }
    }
}

/// The session is over when it is decided to be and what it has to say has been said.
fn is_over(session: &mut Session) -> Option<Ended> {
    let said = session.to_client.is_flushed() && session.say.is_empty();
    if session.server_ended && said {
        return Some(gone(session, Ended::Server));
    }
    if matches!(session.stage, Stage::Over) && said {
        return Some(Ended::Proxy);
    }
    if session.client_ended && session.to_server.is_flushed() && matches!(session.stage, Stage::Reading) {
        // What the client asked for before it left is with the server. An EOF there is what the server expects.
        if session.unanswered.is_empty() {
            return Some(Ended::Client);
        }
    }
    None
}

fn gone(session: &mut Session, ended: Ended) -> Ended {
    session.over();
    ended
}

fn poll_waits(session: &mut Session, waits: &mut Waits, context: &mut Context<'_>) -> bool {
    let mut moved = poll_cancel(session, waits, context);
    if !waits.stopping
        && let Some(stop) = waits.stop_changed.as_mut()
        && stop.as_mut().poll(context).is_ready()
    {
        waits.stop_changed = None;
        waits.stopping = true;
        session.fail("57P01", "terminating connection due to administrator command");
        moved = true;
    }
    moved |= poll_log_room(session, waits, context);
    if let Stage::Refreshing(refresh) = &mut session.stage
        && refresh.as_mut().poll(context).is_ready()
    {
        session.stage = Stage::Reading;
        moved = true;
    }
    moved |= poll_admission(session, context);
    moved
}

fn poll_cancel(session: &mut Session, waits: &mut Waits, context: &mut Context<'_>) -> bool {
    let Some(entry) = waits.signals.cancel.as_mut() else { return false };
    let mut moved = false;
    while let Poll::Ready(asked) = std::pin::pin!(entry.asked()).poll(context) {
        asked.answer(if session.cancel() { CancelAnswer::Forward } else { CancelAnswer::Done });
        moved = true;
    }
    moved
}

fn poll_log_room(session: &mut Session, waits: &mut Waits, context: &mut Context<'_>) -> bool {
    let mut moved = false;
    loop {
        if let Some(append) = waits.log_room.as_mut() {
            match append.as_mut().poll(context) {
                Poll::Pending => return moved,
                // A log that failed refuses the next statement; nothing more can be written here.
                Poll::Ready(_) => {
                    waits.log_room = None;
                    moved = true;
                }
            }
        }
        let Some(record) = session.backlog.pop_front() else { return moved };
        waits.log_room = Some(Box::pin(append(session.shared.log.clone(), record)));
    }
}

async fn append(log: Log, record: Record) -> Result<(), AppendError> {
    log.append(record).await
}

fn poll_admission(session: &mut Session, context: &mut Context<'_>) -> bool {
    let Stage::Admitting { underway, .. } = &mut session.stage else { return false };
    let mut moved = false;
    while let Poll::Ready(Some(notice)) = underway.notices.poll_recv(context) {
        session.say.extend_from_slice(&frame_of(notice));
        moved = true;
    }
    if let Poll::Ready(admission) = underway.future.as_mut().poll(context) {
        while let Ok(notice) = underway.notices.try_recv() {
            session.say.extend_from_slice(&frame_of(notice));
        }
        session.admitted(admission);
        moved = true;
    }
    moved
}

fn frame_of(notice: Notice) -> Vec<u8> {
    Report::notice(notice.message).detail(notice.detail).hint(notice.hint).to_bytes()
}

fn fill_from_server<S: AsyncRead + Unpin>(session: &mut Session, server: &mut S, context: &mut Context<'_>) -> bool {
    if session.server_ended {
        return false;
    }
    match session.to_client.poll_fill(context, Pin::new(server)) {
        Poll::Ready(Ok(Filled::Some)) => true,
        Poll::Ready(Ok(Filled::End) | Err(_)) => {
            session.read_server();
            session.server_gone();
            true
        }
        Poll::Ready(Ok(Filled::NoRoom)) | Poll::Pending => false,
    }
}

fn fill_from_client<C: AsyncRead + Unpin>(session: &mut Session, client: &mut C, context: &mut Context<'_>) -> bool {
    if session.client_ended {
        return false;
    }
    if session.is_held() && session.to_server.undecided().len() < LOOKED_AHEAD_BYTES {
        session.to_server.reserve_ahead();
    }
    match session.to_server.poll_fill(context, Pin::new(client)) {
        Poll::Ready(Ok(Filled::Some)) => {
            session.look_ahead();
            true
        }
        Poll::Ready(Ok(Filled::End) | Err(_)) => {
            session.client_gone();
            true
        }
        Poll::Ready(Ok(Filled::NoRoom)) | Poll::Pending => false,
    }
}

/// Writes what may leave. Whether anything left.
fn drain<W: AsyncWrite + Unpin>(pipe: &mut Pipe, sink: &mut W, context: &mut Context<'_>) -> std::io::Result<bool> {
    if pipe.is_flushed() {
        return Ok(false);
    }
    let before = pipe.unsent();
    match pipe.poll_drain(context, Pin::new(sink)) {
        Poll::Ready(Ok(())) => Ok(true),
        Poll::Ready(Err(error)) => Err(error),
        Poll::Pending => Ok(pipe.unsent() < before),
    }
}

impl Session {
    /// While a statement is held: whether the client has said good-bye behind it.
    fn look_ahead(&mut self) {
        if !self.is_held() {
            return;
        }
        let mut rest = self.to_server.undecided();
        let mut says_goodbye = false;
        while let Ok(Some(header)) = crate::wire::Header::frontend(rest) {
            says_goodbye |= header.tag() == b'X';
            let Some(next) = rest.get(header.total()..) else { break };
            rest = next;
        }
        if says_goodbye {
            self.end_hold(
                crate::gate::End::Withdrawn,
                "the client said good-bye",
                super::refusal::Refusal::session_over(),
            );
        }
    }

    /// The client has closed its side.
    fn client_gone(&mut self) {
        self.client_ended = true;
        if self.is_held() {
            self.end_hold(crate::gate::End::Withdrawn, "the client is gone", super::refusal::Refusal::session_over());
        }
        if !self.to_server.inside_frame() && self.to_server.undecided().is_empty() {
            let mut goodbye = Vec::new();
            encode::terminate(&mut goodbye);
            self.to_server.insert(&goodbye);
        }
    }
}
