//! The reactor of a thread that serves sessions: it waits for the sockets of all its tasks at once and runs those that
//! something has come for.
//!
//! It does what the data path needs and nothing else. A socket belongs to the task that registered it: what comes for it runs
//! that task, so that nobody says anew, before each wait, whom to wake for what. There is no timer wheel: timers, and whatever
//! else a task waits for, are tokio's, in the runtime whose context the thread is in; they wake a task as any waker does.
//!
//! Readiness is edge-triggered, as epoll(7) describes: it is kept until an attempt has shown that it is used up.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use mio::event::Source;
use mio::{Events, Interest, Registry, Token};
use slab::Slab;
use tokio::sync::oneshot;

/// How many events are taken at once.
const EVENTS: usize = 1024;
/// What wakes the thread from outside.
const WAKE: Token = Token(usize::MAX);
/// The key of a task that has not arrived.
const NOT_ARRIVED: usize = usize::MAX;

const READABLE: u8 = 1;
const WRITABLE: u8 = 1 << 1;
/// The other end sends no more: a read never waits.
const READ_CLOSED: u8 = 1 << 2;
/// Somebody other than the socket's task waits for it.
const ELSEWHERE: u8 = 1 << 3;

/// What a task panicked with.
pub(super) type Panic = Box<dyn Any + Send>;

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The reactor, on its thread.
pub(super) struct Reactor {
    poll: mio::Poll,
    local: Rc<Local>,
    tasks: Slab<Task>,
}

/// A reactor from outside.
#[derive(Debug, Clone)]
pub(super) struct Remote(Arc<Shared>);

/// A task that somebody waits for: it ends with its handle.
#[derive(Debug)]
pub(super) struct Handle {
    state: Arc<State>,
    ended: oneshot::Receiver<Option<Panic>>,
}

/// A socket's place in the reactor of the thread that it was registered on.
#[derive(Debug)]
pub(super) struct Registration {
    readiness: Arc<Readiness>,
    shared: Arc<Shared>,
    key: usize,
    task: usize,
}

struct Task {
    future: Running,
    state: Arc<State>,
    waker: Waker,
    ended: oneshot::Sender<Option<Panic>>,
}

/// What a task's wakers hold.
#[derive(Debug)]
struct State {
    key: AtomicUsize,
    /// Whether it is to be run already.
    queued: AtomicBool,
    aborted: AtomicBool,
    shared: Arc<Shared>,
}

/// What other threads see of a reactor.
#[derive(Debug)]
struct Shared {
    waker: mio::Waker,
    /// Whether the waker was used since the inbox was last emptied.
    woken: AtomicBool,
    inbox: Mutex<Inbox>,
}

#[derive(Default)]
struct Inbox {
    arrived: Vec<(Running, Arc<State>, oneshot::Sender<Option<Panic>>)>,
    to_run: Vec<usize>,
    released: Vec<usize>,
    stopped: bool,
}

/// What only the reactor's own thread touches.
struct Local {
    registry: Registry,
    sockets: RefCell<Slab<Socket>>,
    /// The tasks to be run.
    to_run: RefCell<Vec<usize>>,
    /// The task that runs.
    running: Cell<Option<usize>>,
    shared: Arc<Shared>,
}

struct Socket {
    readiness: Arc<Readiness>,
    task: usize,
}

#[derive(Debug)]
struct Readiness {
    bits: AtomicU8,
    /// Whom to wake beside the socket's task: as many as halves of the socket may be waited for by.
    elsewhere: Mutex<Vec<Waker>>,
}

thread_local! {
    static LOCAL: RefCell<Option<Rc<Local>>> = const { RefCell::new(None) };
}

/// Runs something with this thread's reactor, if it has one.
fn with_local<T>(run: impl FnOnce(&Local) -> T) -> Option<T> {
    LOCAL.try_with(|local| local.borrow().as_deref().map(run)).ok().flatten()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that runs under these locks leaves anything half done when it panics.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reactor {
    /// A reactor without tasks.
    ///
    /// # Errors
    /// The system gives no epoll instance or no eventfd.
    pub(super) fn new() -> io::Result<(Self, Remote)> {
        let poll = mio::Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), WAKE)?;
        let shared = Arc::new(Shared { waker, woken: AtomicBool::new(false), inbox: Mutex::default() });
        let local = Local {
            registry: poll.registry().try_clone()?,
            sockets: RefCell::default(),
            to_run: RefCell::default(),
            running: Cell::new(None),
            shared: Arc::clone(&shared),
        };
        Ok((Self { poll, local: Rc::new(local), tasks: Slab::new() }, Remote(shared)))
    }

    /// Runs tasks until it is stopped. Those that live then are dropped.
    pub(super) fn run(mut self) {
        LOCAL.set(Some(Rc::clone(&self.local)));
        let mut events = Events::with_capacity(EVENTS);
        let mut to_run = Vec::new();
        loop {
            let patience = if self.local.to_run.borrow().is_empty() { None } else { Some(Duration::ZERO) };
            match self.poll.poll(&mut events, patience) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::error!(%error, "a thread cannot wait for its sockets: its sessions end");
                    break;
                }
            }
            if self.note(&events) == Inboxed::Something && self.empty_inbox() == Continue::No {
                break;
            }
            std::mem::swap(&mut to_run, &mut *self.local.to_run.borrow_mut());
            for key in to_run.drain(..) {
                self.run_task(key);
            }
        }
        // What they hold may look for the reactor.
        self.tasks.clear();
        LOCAL.set(None);
    }

    /// Notes what has come for whom.
    fn note(&self, events: &Events) -> Inboxed {
        let mut inboxed = Inboxed::Nothing;
        let sockets = self.local.sockets.borrow();
        for event in events {
            if event.token() == WAKE {
                inboxed = Inboxed::Something;
                continue;
            }
            // One that is gone is none of ours any more.
            let Some(socket) = sockets.get(event.token().0) else { continue };
            let mut bits = 0;
            if event.is_readable() {
                bits |= READABLE;
            }
            if event.is_writable() {
                bits |= WRITABLE;
            }
            if event.is_read_closed() || event.is_error() {
                bits |= READ_CLOSED | READABLE;
            }
            if event.is_write_closed() || event.is_error() {
                bits |= WRITABLE;
            }
            let before = socket.readiness.bits.fetch_or(bits, Ordering::AcqRel);
            if before & ELSEWHERE != 0 {
                socket.readiness.wake_elsewhere();
            }
            if let Some(task) = self.tasks.get(socket.task) {
                self.queue(task);
            }
        }
        inboxed
    }

    fn queue(&self, task: &Task) {
        if !task.state.queued.swap(true, Ordering::AcqRel) {
            self.local.to_run.borrow_mut().push(task.state.key.load(Ordering::Relaxed));
        }
    }

    fn empty_inbox(&mut self) -> Continue {
        let shared = Arc::clone(&self.local.shared);
        // Before the inbox is looked at: what is put in behind our look wakes us again.
        shared.woken.store(false, Ordering::SeqCst);
        let Inbox { arrived, to_run, released, stopped } = std::mem::take(&mut *lock(&shared.inbox));
        for key in released {
            self.local.sockets.borrow_mut().try_remove(key);
        }
        self.local.to_run.borrow_mut().extend(to_run);
        for (future, state, ended) in arrived {
            let entry = self.tasks.vacant_entry();
            state.key.store(entry.key(), Ordering::SeqCst);
            let waker = Waker::from(Arc::clone(&state));
            let task = entry.insert(Task { future, state, waker, ended });
            // It has to run once to be woken ever.
            task.state.queued.store(true, Ordering::Release);
            self.local.to_run.borrow_mut().push(task.state.key.load(Ordering::Relaxed));
        }
        if stopped { Continue::No } else { Continue::Yes }
    }

    fn run_task(&mut self, key: usize) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        // Before it runs: whoever wakes it from here on wakes it for another turn.
        task.state.queued.store(false, Ordering::SeqCst);
        if task.state.aborted.load(Ordering::SeqCst) {
            self.tasks.remove(key);
            return;
        }
        self.local.running.set(Some(key));
        let mut context = Context::from_waker(&task.waker);
        // A task that panicked is dropped and never polled again.
        let polled = catch_unwind(AssertUnwindSafe(|| task.future.as_mut().poll(&mut context)));
        self.local.running.set(None);
        let panic = match polled {
            Ok(Poll::Pending) => return,
            Ok(Poll::Ready(())) => None,
            Err(panic) => Some(panic),
        };
        let Task { future, ended, .. } = self.tasks.remove(key);
        drop(future);
        // Whoever waited may be gone.
        let _ = ended.send(panic);
    }
}

/// Whether the inbox has to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inboxed {
    Nothing,
    Something,
}

/// Whether the reactor goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Continue {
    Yes,
    No,
}

impl Remote {
    /// Gives the reactor a task.
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> Handle {
        let state = Arc::new(State {
            key: AtomicUsize::new(NOT_ARRIVED),
            queued: AtomicBool::new(true),
            aborted: AtomicBool::new(false),
            shared: Arc::clone(&self.0),
        });
        let (end, ended) = oneshot::channel();
        self.0.put(|inbox| inbox.arrived.push((Box::pin(future), Arc::clone(&state), end)));
        Handle { state, ended }
    }

    /// Ends the reactor and all its tasks.
    pub(super) fn stop(&self) {
        self.0.put(|inbox| inbox.stopped = true);
    }
}

impl Handle {
    /// Waits for the task's end; what it panicked with. A task whose reactor was stopped has ended.
    pub(super) async fn ended(&mut self) -> Option<Panic> {
        (&mut self.ended).await.ok().flatten()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.state.aborted.store(true, Ordering::SeqCst);
        // One that has not arrived looks at the mark when it does.
        if self.state.key.load(Ordering::SeqCst) != NOT_ARRIVED {
            self.state.wake_by_ref();
        }
    }
}

impl Shared {
    /// Puts something into the inbox and sees to it that it is looked at.
    fn put(&self, put: impl FnOnce(&mut Inbox)) {
        put(&mut lock(&self.inbox));
        if !self.woken.swap(true, Ordering::SeqCst) {
            // An eventfd takes any number of wake-ups; there is nothing that could fail but the reactor being gone.
            let _ = self.waker.wake();
        }
    }

    fn is_here(self: &Arc<Self>, local: &Local) -> bool {
        Arc::ptr_eq(self, &local.shared)
    }
}

impl Wake for State {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::SeqCst) {
            return;
        }
        let key = self.key.load(Ordering::SeqCst);
        let here = with_local(|local| {
            let here = self.shared.is_here(local);
            if here {
                local.to_run.borrow_mut().push(key);
            }
            here
        });
        if here != Some(true) {
            self.shared.put(|inbox| inbox.to_run.push(key));
        }
    }
}

impl Registration {
    /// Whether a task of a reactor runs on this thread, so that it can have sockets.
    pub(super) fn is_possible() -> bool {
        with_local(|local| local.running.get().is_some()) == Some(true)
    }

    /// Registers a socket for the task that runs on this thread.
    ///
    /// # Errors
    /// The system refuses, or no reactor runs a task here.
    pub(super) fn of(source: &mut impl Source) -> io::Result<Self> {
        with_local(|local| {
            let task = local.running.get().ok_or(io::ErrorKind::Unsupported)?;
            // Nothing is known of it: the first attempts tell.
            let bits = AtomicU8::new(READABLE | WRITABLE);
            let readiness = Arc::new(Readiness { bits, elsewhere: Mutex::default() });
            let mut sockets = local.sockets.borrow_mut();
            let entry = sockets.vacant_entry();
            let key = entry.key();
            local.registry.register(source, Token(key), Interest::READABLE | Interest::WRITABLE)?;
            entry.insert(Socket { readiness: Arc::clone(&readiness), task });
            Ok(Self { readiness, shared: Arc::clone(&local.shared), key, task })
        })
        .unwrap_or_else(|| Err(io::ErrorKind::Unsupported.into()))
    }

    /// Whether a read may find something.
    pub(super) fn is_readable(&self) -> bool {
        self.readiness.has(READABLE)
    }

    /// Does what reads, if that may find something; waits where it says that it would block.
    pub(super) fn poll_read<T>(
        &self,
        context: &Context<'_>,
        read: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        self.poll(READABLE, context, read)
    }

    /// Does what writes, in the same way.
    pub(super) fn poll_write<T>(
        &self,
        context: &Context<'_>,
        write: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        self.poll(WRITABLE, context, write)
    }

    /// A read has taken all that was there: another would find nothing before something more comes, which is told.
    pub(super) fn is_drained(&self) {
        // Elsewhere that may have been told since the read.
        if self.is_for_its_task() && !self.readiness.has(READ_CLOSED) {
            self.readiness.is_used_up(READABLE);
        }
    }

    fn poll<T>(
        &self,
        bit: u8,
        context: &Context<'_>,
        mut attempt: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        if !self.is_for_its_task() {
            return self.poll_elsewhere(bit, context, attempt);
        }
        while self.readiness.has(bit) {
            match attempt() {
                // What comes behind the attempt is told behind it: by this thread, in its next turn.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readiness.is_used_up(bit),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return Poll::Ready(result),
            }
        }
        Poll::Pending
    }

    /// The same for a task that the socket does not wake by itself, perhaps on another thread: something may be told while it
    /// tries.
    #[cold]
    fn poll_elsewhere<T>(
        &self,
        bit: u8,
        context: &Context<'_>,
        mut attempt: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        self.readiness.wait_elsewhere(context.waker());
        loop {
            if !self.readiness.has(bit) {
                return Poll::Pending;
            }
            self.readiness.is_used_up(bit);
            match attempt() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => {
                    self.readiness.bits.fetch_or(bit, Ordering::AcqRel);
                    match result {
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        result => return Poll::Ready(result),
                    }
                }
            }
        }
    }

    /// Whether the task that the reactor runs for this socket is the one that runs now.
    fn is_for_its_task(&self) -> bool {
        with_local(|local| local.running.get() == Some(self.task) && self.shared.is_here(local)) == Some(true)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let here = with_local(|local| {
            let here = self.shared.is_here(local);
            if here {
                local.sockets.borrow_mut().try_remove(self.key);
            }
            here
        });
        if here != Some(true) {
            self.shared.put(|inbox| inbox.released.push(self.key));
        }
    }
}

impl Readiness {
    fn has(&self, bit: u8) -> bool {
        self.bits.load(Ordering::Acquire) & bit != 0
    }

    /// An attempt would wait, or is about to show whether it would.
    fn is_used_up(&self, bit: u8) {
        let bits = if bit == READABLE { READABLE | READ_CLOSED } else { bit };
        self.bits.fetch_and(!bits, Ordering::AcqRel);
    }

    /// Sees to it that this is woken, too, by what comes.
    fn wait_elsewhere(&self, waker: &Waker) {
        let mut elsewhere = lock(&self.elsewhere);
        if !elsewhere.iter().any(|waiting| waiting.will_wake(waker)) {
            elsewhere.push(waker.clone());
        }
        drop(elsewhere);
        self.bits.fetch_or(ELSEWHERE, Ordering::AcqRel);
    }

    fn wake_elsewhere(&self) {
        let elsewhere = std::mem::take(&mut *lock(&self.elsewhere));
        elsewhere.into_iter().for_each(Waker::wake);
    }
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox")
            .field("arrived", &self.arrived.len())
            .field("to_run", &self.to_run)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream, UnixStream};

    use super::super::socket::{Loose, Socket};
    use super::*;

    /// A reactor on a thread of its own, which ends with it.
    struct Running {
        remote: Remote,
        thread: Option<std::thread::JoinHandle<()>>,
    }

    impl Running {
        fn start() -> Self {
            let runtime = tokio::runtime::Handle::current();
            let (made, remote) = std::sync::mpsc::sync_channel(1);
            let thread = std::thread::spawn(move || {
                let _context = runtime.enter();
                let (reactor, remote) = Reactor::new().unwrap();
                made.send(remote).unwrap();
                reactor.run();
            });
            Self { remote: remote.recv().unwrap(), thread: Some(thread) }
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            self.remote.stop();
            self.thread.take().unwrap().join().unwrap();
        }
    }

    /// Sends back what comes, until nothing more does.
    async fn echo(mut socket: Socket) {
        let mut buffer = vec![0; 10_000];
        loop {
            match socket.read(&mut buffer).await.unwrap() {
                0 => return socket.shutdown().await.unwrap(),
                count => socket.write_all(&buffer[..count]).await.unwrap(),
            }
        }
    }

    async fn tcp() -> (TcpStream, Loose) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let far = listener.accept().await.unwrap().0;
        (near, Socket::tcp(far).loosen().unwrap())
    }

    /// Everything that is said comes back in order, though neither side takes it all at once, and then the end does.
    async fn is_echoed(near: impl tokio::io::AsyncRead + tokio::io::AsyncWrite) {
        let said: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
        let (mut read, mut write) = tokio::io::split(near);
        let mut heard = Vec::new();
        let say = async {
            write.write_all(&said).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let hear = async { read.read_to_end(&mut heard).await.unwrap() };
        tokio::join!(say, hear);
        assert!(heard == said);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn sockets_of_both_kinds_are_read_and_written_to_their_end() {
        let reactor = Running::start();
        let (near, far) = tcp().await;
        let mut echoing = reactor.remote.spawn(async { echo(far.settle().unwrap()).await });
        is_echoed(near).await;
        assert!(echoing.ended().await.is_none());
        let (near, far) = UnixStream::pair().unwrap();
        let far = Socket::unix(far).loosen().unwrap();
        let mut echoing = reactor.remote.spawn(async { echo(far.settle().unwrap()).await });
        is_echoed(near).await;
        assert!(echoing.ended().await.is_none());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_socket_that_another_task_took_over_wakes_that() {
        let reactor = Running::start();
        let (near, far) = tcp().await;
        let mut lent = reactor.remote.spawn(async {
            let far = far.settle().unwrap();
            tokio::spawn(echo(far)).await.unwrap();
        });
        is_echoed(near).await;
        assert!(lent.ended().await.is_none());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn timers_and_channels_of_the_runtime_wake_tasks() {
        let reactor = Running::start();
        let (sender, receiver) = oneshot::channel();
        let mut waiting = reactor.remote.spawn(async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            assert_eq!(receiver.await, Ok(7));
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
        sender.send(7).unwrap();
        assert!(waiting.ended().await.is_none());
    }

    /// Says when it is dropped.
    struct Dropped(Option<oneshot::Sender<()>>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.take().unwrap().send(());
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_task_ends_with_its_handle_and_with_the_reactor() {
        let reactor = Running::start();
        for stop in [false, true] {
            let (dropped, told) = oneshot::channel();
            let (runs, begun) = oneshot::channel();
            let dropped = Dropped(Some(dropped));
            let mut handle = reactor.remote.spawn(async move {
                let _dropped = dropped;
                runs.send(()).unwrap();
                std::future::pending::<()>().await;
            });
            begun.await.unwrap();
            if stop {
                reactor.remote.stop();
                assert!(handle.ended().await.is_none());
            } else {
                drop(handle);
            }
            told.await.unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_task_that_never_rests_keeps_nobody_from_its_socket() {
        let reactor = Running::start();
        let _restless = reactor.remote.spawn(std::future::poll_fn(|context| {
            context.waker().wake_by_ref();
            Poll::Pending
        }));
        let (near, far) = tcp().await;
        let _echoing = reactor.remote.spawn(async { echo(far.settle().unwrap()).await });
        is_echoed(near).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn an_idle_reactor_sleeps() {
        let reactor = Running::start();
        let turns = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&turns);
        let (near, far) = tcp().await;
        let _waiting = reactor.remote.spawn(async move {
            let mut far = far.settle().unwrap();
            let mut byte = [0];
            let mut read = std::pin::pin!(far.read(&mut byte));
            std::future::poll_fn(|context| {
                counted.fetch_add(1, Ordering::Relaxed);
                read.as_mut().poll(context)
            })
            .await
            .unwrap();
        });
        let until = Instant::now() + Duration::from_millis(50);
        while Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Its first turn, and what epoll tells of a new socket.
        assert!(turns.load(Ordering::Relaxed) <= 3, "{turns:?}");
        drop(near);
    }
}
