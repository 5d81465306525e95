//! One direction of a session: the bytes on their way from one side to the other.
//!
//! ```text
//!   insert          buffer
//! +--------+   +---------+------------------+------------------+---------+
//! | ours   |   | (sent)  | run: may be sent | not looked at yet| free    |
//! +--------+   +---------+------------------+------------------+---------+
//!              0         sent               seen               filled    capacity
//! ```
//!
//! Invariants: `sent <= seen <= filled <= buffer.len()`. `insert` leaves before the run, the run before
//! anything not looked at. `seen` stands at the start of a frame, or inside one whose rest has been decided
//! (`rest`): a frame larger than the buffer streams through, whatever its length.
//!
//! The bytes of a run are those that were read: nothing is encoded again. Only where we say something of our
//! own between two frames is the run before it copied, so that the order stays.
//!
//! A session that is idle holds no buffer. Those that sessions give back, every session of the same thread takes up: so that
//! for each message nothing is allocated and nothing cleared.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes a buffer has when it is first needed.
const INITIAL_BYTES: usize = 8 * 1024;
/// Bytes a buffer grows to under load. A frame that must be seen whole may take more, up to the caller's bound.
pub(super) const LOADED_BYTES: usize = 64 * 1024;

/// What an idle session keeps of the memory for what we say.
const KEPT_INSERT_BYTES: usize = 512;
/// How many buffers a thread keeps for its sessions.
const POOLED_BUFFERS: usize = 64;

thread_local! {
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of the initial size. What is in it means nothing.
fn initial_buffer() -> Vec<u8> {
    let pooled = POOL.try_with(|pool| pool.borrow_mut().pop()).ok().flatten();
    pooled.unwrap_or_else(|| vec![0; INITIAL_BYTES])
}

/// Keeps a buffer of the initial size for the next session that needs one.
fn give_back(buffer: Vec<u8>) {
    if buffer.len() == INITIAL_BYTES {
        // A thread that is ending keeps nothing.
        let _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.len() < POOLED_BUFFERS {
                pool.push(buffer);
            }
        });
    }
}

/// What becomes of the rest of a frame that has not been read whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// `seen` stands at the start of a frame.
    None,
    /// So many bytes more are forwarded.
    Forward(usize),
    /// So many bytes more are thrown away.
    Discard(usize),
}

/// One direction of a session. See the module's picture.
#[derive(Debug)]
pub(super) struct Pipe {
    buffer: Vec<u8>,
    sent: usize,
    seen: usize,
    filled: usize,
    rest: Rest,
    insert: Vec<u8>,
    insert_sent: usize,
    flush: Flush,
}

/// Whether what the other side of a write took has left it: TLS keeps bytes until it is told to let them go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flush {
    Done,
    Needed,
}

/// How a read ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filled {
    /// Bytes came.
    Some,
    /// The other side will send no more.
    End,
    /// The buffer has no room: something must leave first.
    NoRoom,
}

impl Pipe {
    /// An empty direction. It holds no memory until something is read.
    pub(super) const fn new() -> Self {
        Self {
            buffer: Vec::new(),
            sent: 0,
            seen: 0,
            filled: 0,
            rest: Rest::None,
            insert: Vec::new(),
            insert_sent: 0,
            flush: Flush::Done,
        }
    }

    /// A direction that starts with bytes read earlier.
    pub(super) fn with_bytes(bytes: &[u8]) -> Self {
        let mut pipe = Self::new();
        pipe.buffer = bytes.to_vec();
        pipe.filled = bytes.len();
        pipe
    }

    /// The bytes read and not yet decided, from the start of a frame. Empty while the rest of a decided frame is
    /// still arriving.
    pub(super) fn undecided(&self) -> &[u8] {
        match self.rest {
            Rest::None => &self.buffer[self.seen..self.filled],
            Rest::Forward(_) | Rest::Discard(_) => &[],
        }
    }

    /// Whether a frame is under way of which the beginning has been decided and the end not read.
    pub(super) const fn inside_frame(&self) -> bool {
        !matches!(self.rest, Rest::None)
    }

    /// Lets `length` bytes pass: a whole frame, of which perhaps only the beginning is here.
    pub(super) fn forward(&mut self, length: usize) {
        debug_assert!(matches!(self.rest, Rest::None));
        let here = length.min(self.filled - self.seen);
        self.seen += here;
        self.rest = if here < length { Rest::Forward(length - here) } else { Rest::None };
    }

    /// Throws `length` bytes away: a whole frame, of which perhaps only the beginning is here.
    pub(super) fn discard(&mut self, length: usize) {
        debug_assert!(matches!(self.rest, Rest::None));
        self.set_run_apart();
        let here = length.min(self.filled - self.seen);
        self.seen += here;
        self.sent = self.seen;
        self.rest = if here < length { Rest::Discard(length - here) } else { Rest::None };
    }

    /// Says something of our own, behind all that was forwarded so far. Only between two frames.
    pub(super) fn insert(&mut self, bytes: &[u8]) {
        debug_assert!(!matches!(self.rest, Rest::Forward(_)), "our own bytes go between frames, never into one");
        self.set_run_apart();
        self.insert.extend_from_slice(bytes);
    }

    /// Whether everything that may leave has left.
    pub(super) fn is_flushed(&self) -> bool {
        self.insert_sent == self.insert.len() && self.sent == self.seen && self.flush == Flush::Done
    }

    /// Bytes that wait to leave.
    pub(super) fn unsent(&self) -> usize {
        self.insert.len() - self.insert_sent + self.seen - self.sent
    }

    /// Makes room to hold `bytes` bytes from the start of the undecided frame on.
    pub(super) fn reserve(&mut self, bytes: usize) {
        self.compact();
        let wanted = self.seen + bytes;
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
    }

    /// Makes room to read on behind a frame that has to wait.
    pub(super) fn reserve_ahead(&mut self) {
        if self.filled == self.buffer.len() {
            self.compact();
            self.buffer.resize(self.filled + INITIAL_BYTES.max(self.filled / 2), 0);
        }
    }

    /// Reads once from `source`, without waiting.
    pub(super) fn poll_fill<R: AsyncRead + Unpin>(
        &mut self,
        context: &mut Context<'_>,
        mut source: Pin<&mut R>,
    ) -> Poll<io::Result<Filled>> {
        self.compact();
        if self.filled == self.buffer.len() && !self.grow() {
            return Poll::Ready(Ok(Filled::NoRoom));
        }
        let mut free = ReadBuf::new(&mut self.buffer[self.filled..]);
        ready!(source.as_mut().poll_read(context, &mut free))?;
        let count = free.filled().len();
        if count == 0 {
            return Poll::Ready(Ok(Filled::End));
        }
        self.filled += count;
        self.advance_rest();
        Poll::Ready(Ok(Filled::Some))
    }

    /// Writes what may leave to `sink`, as far as it takes it without waiting. Ready when all has left.
    pub(super) fn poll_drain<W: AsyncWrite + Unpin>(
        &mut self,
        context: &mut Context<'_>,
        mut sink: Pin<&mut W>,
    ) -> Poll<io::Result<()>> {
        while self.unsent() > 0 {
            let inserted = &self.insert[self.insert_sent..];
            let run = &self.buffer[self.sent..self.seen];
            let count = if inserted.is_empty() {
                ready!(sink.as_mut().poll_write(context, run))?
            } else if run.is_empty() {
                ready!(sink.as_mut().poll_write(context, inserted))?
            } else {
                let both = [io::IoSlice::new(inserted), io::IoSlice::new(run)];
                ready!(sink.as_mut().poll_write_vectored(context, &both))?
            };
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_insert = count.min(self.insert.len() - self.insert_sent);
            self.insert_sent += of_insert;
            self.sent += count - of_insert;
            self.flush = Flush::Needed;
        }
        self.release_insert();
        if self.flush == Flush::Needed {
            ready!(sink.as_mut().poll_flush(context))?;
            self.flush = Flush::Done;
        }
        Poll::Ready(Ok(()))
    }

    /// Gives memory back when nothing is under way.
    pub(super) fn release(&mut self) {
        if self.filled == self.sent && self.is_flushed() {
            give_back(std::mem::take(&mut self.buffer));
            self.sent = 0;
            self.seen = 0;
            self.filled = 0;
            if self.insert.capacity() > KEPT_INSERT_BYTES {
                self.insert = Vec::new();
            }
            self.insert.clear();
            self.insert_sent = 0;
        }
    }

    /// Moves the run behind what we have inserted, so that the next insertion comes after it.
    fn set_run_apart(&mut self) {
        if self.sent < self.seen {
            self.insert.extend_from_slice(&self.buffer[self.sent..self.seen]);
            self.sent = self.seen;
        }
    }

    fn advance_rest(&mut self) {
        let here = self.filled - self.seen;
        match self.rest {
            Rest::None => {}
            Rest::Forward(left) => {
                let count = here.min(left);
                self.seen += count;
                self.rest = if count < left { Rest::Forward(left - count) } else { Rest::None };
            }
            Rest::Discard(left) => {
                // A discard begins with an empty run, and nothing is added to it before it ends.
                let count = here.min(left);
                self.seen += count;
                self.sent = self.seen;
                self.rest = if count < left { Rest::Discard(left - count) } else { Rest::None };
            }
        }
    }

    fn compact(&mut self) {
        if self.sent == self.filled {
            self.sent = 0;
            self.seen = 0;
            self.filled = 0;
        } else if self.sent > 0 && self.filled == self.buffer.len() {
            self.buffer.copy_within(self.sent..self.filled, 0);
            self.seen -= self.sent;
            self.filled -= self.sent;
            self.sent = 0;
        }
        if self.filled == 0 && self.buffer.len() > LOADED_BYTES {
            self.buffer.truncate(LOADED_BYTES);
            self.buffer.shrink_to_fit();
        }
    }

    /// Doubles the buffer up to what load justifies. False when it is there already.
    fn grow(&mut self) -> bool {
        let size = match self.buffer.len() {
            0 => {
                self.buffer = initial_buffer();
                return true;
            }
            size if size < LOADED_BYTES => (size * 2).min(LOADED_BYTES),
            _ => return false,
        };
        self.buffer.resize(size, 0);
        true
    }

    fn release_insert(&mut self) {
        self.insert_sent = 0;
        if self.insert.capacity() > LOADED_BYTES {
            self.insert = Vec::new();
        } else {
            self.insert.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use proptest::prelude::*;
    use tokio::io::AsyncReadExt;

    use super::*;

    async fn fill(pipe: &mut Pipe, mut source: &[u8]) -> Filled {
        poll_fn(|context| pipe.poll_fill(context, Pin::new(&mut source))).await.unwrap()
    }

    async fn drain(pipe: &mut Pipe) -> Vec<u8> {
        let (mut near, mut far) = tokio::io::duplex(1 << 20);
        poll_fn(|context| pipe.poll_drain(context, Pin::new(&mut near))).await.unwrap();
        drop(near);
        let mut out = Vec::new();
        far.read_to_end(&mut out).await.unwrap();
        out
    }

    #[tokio::test]
    async fn what_is_inserted_stands_between_the_frames() {
        let mut pipe = Pipe::new();
        fill(&mut pipe, b"aaaabbbbcccc").await;
        pipe.forward(4);
        pipe.insert(b"<>");
        pipe.discard(4);
        pipe.insert(b"[]");
        pipe.forward(4);
        assert_eq!(drain(&mut pipe).await, b"aaaa<>[]cccc");
    }

    #[tokio::test]
    async fn a_frame_larger_than_the_buffer_streams_through() {
        let frame = vec![7_u8; 3 * LOADED_BYTES];
        let mut pipe = Pipe::new();
        let mut source = frame.as_slice();
        let mut out = Vec::new();
        poll_fn(|context| pipe.poll_fill(context, Pin::new(&mut source))).await.unwrap();
        pipe.forward(frame.len());
        while pipe.inside_frame() {
            out.extend(drain(&mut pipe).await);
            poll_fn(|context| pipe.poll_fill(context, Pin::new(&mut source))).await.unwrap();
            assert!(pipe.buffer.len() <= LOADED_BYTES);
        }
        out.extend(drain(&mut pipe).await);
        assert_eq!(out, frame);
    }

    #[tokio::test]
    async fn a_full_buffer_says_so_and_an_idle_one_is_given_back() {
        let mut pipe = Pipe::new();
        let bytes = vec![1_u8; LOADED_BYTES * 2];
        let mut source = bytes.as_slice();
        let mut last = Filled::Some;
        while last == Filled::Some {
            last = poll_fn(|context| pipe.poll_fill(context, Pin::new(&mut source))).await.unwrap();
        }
        assert_eq!(last, Filled::NoRoom);
        pipe.forward(LOADED_BYTES);
        drain(&mut pipe).await;
        pipe.release();
        assert_eq!(pipe.buffer.capacity(), 0);
    }

    proptest! {
        /// However the bytes arrive and whatever is done with each frame, the right bytes leave in the right order.
        #[test]
        fn order_and_bytes_are_kept(
            frames in prop::collection::vec((0_u8..4, prop::collection::vec(any::<u8>(), 1..200)), 1..30),
            chunk in 1_usize..300,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let input: Vec<u8> = frames.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
            let mut expected = Vec::new();
            for (what, bytes) in &frames {
                match what {
                    0 => {}
                    1 => { expected.extend_from_slice(b"!!"); expected.extend_from_slice(bytes); }
                    _ => expected.extend_from_slice(bytes),
                }
            }
            let out = runtime.block_on(async {
                let mut pipe = Pipe::new();
                let mut out = Vec::new();
                let mut next = frames.iter().peekable();
                for part in input.chunks(chunk) {
                    let mut part = part;
                    while !part.is_empty() {
                        poll_fn(|context| pipe.poll_fill(context, Pin::new(&mut part))).await.unwrap();
                    }
                    while pipe.filled > pipe.seen && !pipe.inside_frame() {
                        let Some((what, bytes)) = next.next() else { break };
                        match what {
                            0 => pipe.discard(bytes.len()),
                            1 => { pipe.insert(b"!!"); pipe.forward(bytes.len()); }
                            _ => pipe.forward(bytes.len()),
                        }
                    }
                    out.extend(drain(&mut pipe).await);
                }
                out
            });
            prop_assert_eq!(out, expected);
        }
    }
}
