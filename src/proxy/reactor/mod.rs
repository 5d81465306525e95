//! The reactor of a thread that serves sessions: it waits for the sockets of all its tasks at once and runs those that
//! something has come for.
//!
//! It does what the data path needs and nothing else. A socket belongs to the task that registered it: what comes for it runs
//! that task, so that nobody says anew, before each wait, whom to wake for what. There is no timer wheel: timers, and whatever
//! else a task waits for, are tokio's, in the runtime whose context the thread is in; they wake a task as any waker does.
//!
//! Readiness is edge-triggered, as epoll(7) describes: it is kept until an attempt has shown that it is used up.

mod registration;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use mio::{Events, Registry, Token};
use slab::Slab;
use tokio::sync::oneshot;

use registration::Readiness;
pub(super) use registration::Registration;

/// How many events are taken at once.
const EVENTS: usize = 1024;
/// What wakes the thread from outside.
const WAKE: Token = Token(usize::MAX);
/// The key of a task that has not arrived.
const NOT_ARRIVED: usize = usize::MAX;
/// The number that no task has.
const NOBODY: u64 = 0;

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

struct Task {
    future: Running,
    state: Arc<State>,
    waker: Waker,
    ended: oneshot::Sender<Option<Panic>>,
}

/// What a task's wakers hold.
#[derive(Debug)]
struct State {
    /// Which task it is, of those of all reactors.
    number: u64,
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
    /// The thread has ended: nobody looks here any more.
    closed: bool,
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

thread_local! {
    static LOCAL: RefCell<Option<Rc<Local>>> = const { RefCell::new(None) };
    /// The number of the task that runs on this thread.
    static RUNNING: Cell<u64> = const { Cell::new(NOBODY) };
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
        for key in self.tasks.iter().map(|(key, _)| key).collect::<Vec<_>>() {
            self.end_task(key, None);
        }
        LOCAL.set(None);
        // Whoever waits for those that came too late learns that they have ended.
        let late = std::mem::replace(&mut *lock(&self.local.shared.inbox), Inbox { closed: true, ..Inbox::default() });
        drop(late);
    }

    /// Notes what has come for whom.
    fn note(&self, events: &Events) -> Inboxed {
        let mut inboxed = Inboxed::Nothing;
        let mut elsewhere = Vec::new();
        let sockets = self.local.sockets.borrow();
        for event in events {
            if event.token() == WAKE {
                inboxed = Inboxed::Something;
                continue;
            }
            // One that is gone is none of ours any more.
            let Some(socket) = sockets.get(event.token().0) else { continue };
            socket.readiness.note(event, &mut elsewhere);
            if let Some(task) = self.tasks.get(socket.task) {
                self.queue(task);
            }
        }
        // Whoever they wake may register sockets or give some up.
        drop(sockets);
        elsewhere.into_iter().for_each(Waker::wake);
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
        let Inbox { arrived, to_run, released, stopped, .. } = std::mem::take(&mut *lock(&shared.inbox));
        for key in released {
            self.local.sockets.borrow_mut().try_remove(key);
        }
        self.local.to_run.borrow_mut().extend(to_run);
        for (future, state, ended) in arrived {
            let entry = self.tasks.vacant_entry();
            state.key.store(entry.key(), Ordering::SeqCst);
            let waker = Waker::from(Arc::clone(&state));
            // It counts as queued from the start: it has to run once to be woken ever.
            self.local.to_run.borrow_mut().push(entry.key());
            entry.insert(Task { future, state, waker, ended });
        }
        if stopped { Continue::No } else { Continue::Yes }
    }

    fn run_task(&mut self, key: usize) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        // Before it runs: whoever wakes it from here on wakes it for another turn.
        task.state.queued.store(false, Ordering::SeqCst);
        if task.state.aborted.load(Ordering::SeqCst) {
            self.end_task(key, None);
            return;
        }
        self.local.running.set(Some(key));
        RUNNING.set(task.state.number);
        let mut context = Context::from_waker(&task.waker);
        // A task that panicked is dropped and never polled again.
        let polled = catch_unwind(AssertUnwindSafe(|| task.future.as_mut().poll(&mut context)));
        self.local.running.set(None);
        RUNNING.set(NOBODY);
        let panic = match polled {
            Ok(Poll::Pending) => return,
            Ok(Poll::Ready(())) => None,
            Err(panic) => Some(panic),
        };
        self.end_task(key, panic);
    }

    fn end_task(&mut self, key: usize, panic: Option<Panic>) {
        let Task { future, ended, .. } = self.tasks.remove(key);
        // A panic of what it still held is its own too.
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(future)));
        // Whoever waited may be gone.
        let _ = ended.send(panic.or(dropped.err()));
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
        static LAST: AtomicU64 = AtomicU64::new(NOBODY);
        let state = Arc::new(State {
            number: LAST.fetch_add(1, Ordering::Relaxed) + 1,
            key: AtomicUsize::new(NOT_ARRIVED),
            queued: AtomicBool::new(true),
            aborted: AtomicBool::new(false),
            shared: Arc::clone(&self.0),
        });
        let (end, ended) = oneshot::channel();
        // Dropped without the lock, if nobody takes it.
        let mut arrives = Some((Box::pin(future) as Running, Arc::clone(&state), end));
        self.0.put(|inbox| {
            if !inbox.closed {
                inbox.arrived.extend(arrives.take());
            }
        });
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

    /// Does something on the reactor's own thread; on any other nothing, and says so.
    fn on_own_thread(self: &Arc<Self>, run: impl FnOnce(&Local)) -> bool {
        let run_here = |local: &Local| self.is_here(local).then(|| run(local)).is_some();
        with_local(run_here) == Some(true)
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
        if !self.shared.on_own_thread(|local| local.to_run.borrow_mut().push(key)) {
            self.shared.put(|inbox| inbox.to_run.push(key));
        }
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
