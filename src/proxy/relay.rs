//! Drives one session: reads from and writes to both sides without ever waiting on one of them while the other
//! has something to do.
//!
//! Both directions are polled by one task. What was read is dealt with at once and leaves in as few writes as
//! there are: everything that a read brought goes out in one `write`, and only when there is nothing more to read.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tokio::io::AsyncWrite;
use tokio::sync::{mpsc, watch};

use super::admission::Notice;
use super::cancel::{CancelAnswer, CancelEntry};
use super::pipe::{Filled, Pipe};
use super::session::{Session, Stage};
use super::stream::Stream;
use crate::audit::{AppendError, Encoded, Log};
use crate::wire::{Report, encode};

/// Messages behind a held one are kept up to this many bytes, so that a client that says good-bye is noticed.
const LOOKED_AHEAD_BYTES: usize = 256 * 1024;

/// How often a session reads and writes before others on its thread get their turn.
const ROUNDS_A_TURN: u32 = 32;

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
    bell: Arc<Bell>,
    /// Rings the bell.
    bell_waker: Waker,
    /// Whom the bell wakes.
    hearer: Option<Waker>,
}

/// Wakes the session for what seldom happens, a cancel request and the end of the proxy, and remembers that it did: so
/// that these are not asked for every time a socket wakes it.
#[derive(Debug)]
struct Bell {
    rung: AtomicBool,
    hearer: Mutex<Option<Waker>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        if let Some(hearer) = self.hearer.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            hearer.wake_by_ref();
        }
    }
}

/// What a side has said in this turn: once it has nothing, it wakes the session when it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    MayHaveMore,
    WillWake,
}

impl Side {
    /// Whether it has said all that it has to say for now.
    fn is_silent(&mut self, stream: &Stream) -> bool {
        if *self == Self::MayHaveMore && !stream.may_be_readable() {
            *self = Self::WillWake;
        }
        *self == Self::WillWake
    }
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
pub(super) async fn run(session: &mut Session, client: &mut Stream, server: &mut Stream, signals: Signals) -> Ended {
    let mut stop = signals.stop.clone();
    let stop_changed: Waiting<()> = Box::pin(async move {
        // A sender that is gone is a proxy that is gone.
        let _ = stop.wait_for(|stop| *stop).await;
    });
    // Rung, so that what it rings for is asked for once.
    let bell = Arc::new(Bell { rung: AtomicBool::new(true), hearer: Mutex::default() });
    let mut waits = Waits {
        signals,
        stopping: false,
        log_room: None,
        stop_changed: Some(stop_changed),
        bell_waker: Waker::from(Arc::clone(&bell)),
        bell,
        hearer: None,
    };
    poll_fn(|context| {
        session.timing.wake();
        let polled = poll(session, client, server, &mut waits, context);
        session.timing.end_turn(&session.shared.statistics);
        polled
    })
    .await
}

fn poll(
    session: &mut Session,
    client: &mut Stream,
    server: &mut Stream,
    waits: &mut Waits,
    context: &mut Context<'_>,
) -> Poll<Ended> {
    let (mut server_side, mut client_side) = (Side::MayHaveMore, Side::MayHaveMore);
    // Whether something may be waited for that has not been asked in this turn.
    let mut ask = true;
    for _ in 0..ROUNDS_A_TURN {
        let mut moved = std::mem::take(&mut ask) && poll_waits(session, waits, context);
        ask |= moved;
        moved |= fill_from_server(session, server, &mut server_side, context);
        moved |= fill_from_client(session, client, &mut client_side, context);
        // What was written made room: what was left for want of it may go on.
        if moved || session.has_more() {
            let stage = std::mem::discriminant(&session.stage);
            session.advance();
            // What it began to wait for has to be polled before this turn ends.
            ask |= stage != std::mem::discriminant(&session.stage);
            ask |= waits.log_room.is_none() && !session.backlog.is_empty();
            moved |= ask;
        }
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
        // Another round would find nothing: both sides are silent, and all they have said has left.
        moved &= ask || !server_side.is_silent(server) || !client_side.is_silent(client) || !is_idle(session);
        if !moved {
            session.to_client.release();
            session.to_server.release();
            return Poll::Pending;
        }
    }
    // There is more to do; others first.
    context.waker().wake_by_ref();
    Poll::Pending
}

/// Whether nothing that was read is still to be dealt with or to be written.
fn is_idle(session: &Session) -> bool {
    !session.has_more() && session.to_client.is_flushed() && session.to_server.is_flushed()
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
    let mut moved = poll_bell(session, waits, context);
    moved |= poll_log_room(session, waits, context);
    moved |= poll_preparation(session, context);
    moved |= poll_admission(session, context);
    moved
}

/// What the message at the head needs before it is decided: facts, or its text analysed.
fn poll_preparation(session: &mut Session, context: &mut Context<'_>) -> bool {
    match &mut session.stage {
        Stage::Refreshing(refresh) => {
            if refresh.as_mut().poll(context).is_pending() {
                return false;
            }
        }
        Stage::Analysing(analysis) => match analysis.as_mut().poll(context) {
            Poll::Ready(analysed) => session.analysed = Some(analysed),
            Poll::Pending => return false,
        },
        _ => return false,
    }
    session.stage = Stage::Reading;
    true
}

/// Asks for what the bell rings for, if it has rung.
fn poll_bell(session: &mut Session, waits: &mut Waits, context: &Context<'_>) -> bool {
    if !waits.hearer.as_ref().is_some_and(|hearer| hearer.will_wake(context.waker())) {
        let hearer = context.waker().clone();
        *waits.bell.hearer.lock().unwrap_or_else(PoisonError::into_inner) = Some(hearer.clone());
        waits.hearer = Some(hearer);
    }
    // The load alone costs the other threads nothing.
    if !waits.bell.rung.load(Ordering::Acquire) || !waits.bell.rung.swap(false, Ordering::AcqRel) {
        return false;
    }
    let waker = waits.bell_waker.clone();
    let mut context = Context::from_waker(&waker);
    let mut moved = poll_cancel(session, waits, &mut context);
    if !waits.stopping
        && let Some(stop) = waits.stop_changed.as_mut()
        && stop.as_mut().poll(&mut context).is_ready()
    {
        waits.stop_changed = None;
        waits.stopping = true;
        session.fail("57P01", "terminating connection due to administrator command");
        moved = true;
    }
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

async fn append(log: Log, record: Encoded) -> Result<(), AppendError> {
    log.append_encoded(record).await
}

fn poll_admission(session: &mut Session, context: &mut Context<'_>) -> bool {
    let Stage::Admitting { underway, .. } = &mut session.stage else { return false };
    let mut moved = false;
    if let Some(notices) = &mut underway.notices {
        while let Poll::Ready(Some(notice)) = notices.poll_recv(context) {
            session.say.extend_from_slice(&frame_of(notice));
            moved = true;
        }
    }
    if let Poll::Ready(admission) = underway.future.as_mut().poll(context) {
        while let Some(Ok(notice)) = underway.notices.as_mut().map(mpsc::Receiver::try_recv) {
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

fn fill_from_server(session: &mut Session, server: &mut Stream, side: &mut Side, context: &mut Context<'_>) -> bool {
    if session.server_ended || side.is_silent(server) {
        return false;
    }
    match session.to_client.poll_fill(context, Pin::new(server)) {
        Poll::Ready(Ok(Filled::Some)) => true,
        Poll::Ready(Ok(Filled::End) | Err(_)) => {
            session.read_server();
            session.server_gone();
            true
        }
        Poll::Ready(Ok(Filled::NoRoom)) => false,
        Poll::Pending => {
            *side = Side::WillWake;
            false
        }
    }
}

fn fill_from_client(session: &mut Session, client: &mut Stream, side: &mut Side, context: &mut Context<'_>) -> bool {
    if session.client_ended || side.is_silent(client) {
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
        Poll::Ready(Ok(Filled::NoRoom)) => false,
        Poll::Pending => {
            *side = Side::WillWake;
            false
        }
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
