//! A socket's place in a reactor, and what is known of it.

use std::io;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use mio::event::{Event, Source};
use mio::{Interest, Token};

use super::{Local, RUNNING, Shared, Socket, lock, with_local};

const READABLE: u8 = 1;
const WRITABLE: u8 = 1 << 1;
/// The other end sends no more: a read never waits.
const READ_CLOSED: u8 = 1 << 2;
/// Somebody other than the socket's task waits for it.
const ELSEWHERE: u8 = 1 << 3;

/// A socket's place in the reactor of the thread that it was registered on.
#[derive(Debug)]
pub(in crate::proxy) struct Registration {
    readiness: Arc<Readiness>,
    shared: Arc<Shared>,
    key: usize,
    /// The number of the task that registered it.
    task: u64,
}

/// What may be done with a socket without waiting, as far as epoll has told and attempts have shown.
#[derive(Debug)]
pub(super) struct Readiness {
    bits: AtomicU8,
    /// Whom to wake beside the socket's task: as many as halves of the socket may be waited for by.
    elsewhere: Mutex<Vec<Waker>>,
}

impl Registration {
    /// Whether a task of a reactor runs on this thread, so that it can have sockets.
    pub(in crate::proxy) fn is_possible() -> bool {
        with_local(|local| local.running.get().is_some()) == Some(true)
    }

    /// Registers a socket for the task that runs on this thread.
    ///
    /// # Errors
    /// The system refuses, or no reactor runs a task here.
    pub(in crate::proxy) fn of(source: &mut impl Source) -> io::Result<Self> {
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
            Ok(Self { readiness, shared: Arc::clone(&local.shared), key, task: RUNNING.get() })
        })
        .unwrap_or_else(|| Err(io::ErrorKind::Unsupported.into()))
    }

    /// Whether a read may find something.
    pub(in crate::proxy) fn is_readable(&self) -> bool {
        self.readiness.has(READABLE)
    }

    /// Does what reads, if that may find something; waits where it says that it would block.
    pub(in crate::proxy) fn poll_read<T>(
        &self,
        context: &Context<'_>,
        read: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        self.poll(READABLE, context, read)
    }

    /// Does what writes, in the same way.
    pub(in crate::proxy) fn poll_write<T>(
        &self,
        context: &Context<'_>,
        write: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        self.poll(WRITABLE, context, write)
    }

    /// A read has taken all that was there: another would find nothing before something more comes, which is told.
    pub(in crate::proxy) fn is_drained(&self) {
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
        RUNNING.get() == self.task
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let removes = |local: &Local| drop(local.sockets.borrow_mut().try_remove(self.key));
        if !self.shared.on_own_thread(removes) {
            self.shared.put(|inbox| inbox.released.push(self.key));
        }
    }
}

impl Readiness {
    /// Notes what has come; adds whom to wake for it beside the socket's task.
    pub(super) fn note(&self, event: &Event, elsewhere: &mut Vec<Waker>) {
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
        if self.bits.fetch_or(bits, Ordering::AcqRel) & ELSEWHERE != 0 {
            elsewhere.append(&mut lock(&self.elsewhere));
        }
    }

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
}
