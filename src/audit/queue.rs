//! The queue between those who append and the one thread that writes.
//!
//! What waits are the bytes of encoded records, one behind the other in one buffer, which the writer exchanges for an empty
//! one: to append is to copy a few hundred bytes under a lock that is held for nothing else. Bounded in bytes. Records
//! nobody waits for do not wake the writer at once: it lets them gather for a moment, so that a stream of reads costs a few
//! wake-ups and commits a second, not one a record.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

/// What precedes a record in the buffer: its length.
const LENGTH_BYTES: usize = size_of::<u32>();
/// A buffer that grew beyond this is given back when it has been written.
const KEPT_BYTES: usize = 1 << 20;

/// What the writer takes at once.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    records: usize,
    /// Who waits, and how many records stand up to theirs.
    waiting: Vec<Waiting>,
    /// When the oldest record came.
    since: Option<Instant>,
}

/// Somebody who waits until all up to a place in the batch is on disk.
#[derive(Debug)]
struct Waiting {
    records: usize,
    told: oneshot::Sender<u64>,
}

impl Batch {
    /// The records, in order.
    pub(super) fn records(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first_chunk::<LENGTH_BYTES>()?;
            let (record, after) = after.split_at_checked(u32::from_ne_bytes(*length) as usize)?;
            rest = after;
            Some(record)
        })
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.records
    }

    /// When the oldest came.
    pub(super) const fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Whether somebody waits for it.
    pub(super) fn is_urgent(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Tells those who wait that all of it is on disk, the first record under that index; and empties it.
    pub(super) fn is_durable_from(&mut self, index: u64) {
        for Waiting { records, told } in self.waiting.drain(..) {
            // Whoever waited may be gone.
            let _ = told.send(index + (records as u64).saturating_sub(1));
        }
        self.clear();
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        self.records = 0;
        self.waiting.clear();
        self.since = None;
    }

    fn put(&mut self, record: Option<&[u8]>, told: Option<oneshot::Sender<u64>>) {
        if let Some(record) = record {
            let length = u32::try_from(record.len()).expect("a record fits an entry");
            self.bytes.extend_from_slice(&length.to_ne_bytes());
            self.bytes.extend_from_slice(record);
            self.records += 1;
        }
        if let Some(told) = told {
            self.waiting.push(Waiting { records: self.records, told });
        }
        self.since.get_or_insert_with(Instant::now);
    }
}

/// What [`Queue::take`] gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// A batch.
    Batch,
    /// Nothing, in the time that it had.
    Nothing,
    /// Nothing any more: the queue is closed and empty.
    Closed,
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue {
    capacity: usize,
    inner: Mutex<Inner>,
    arrived: Condvar,
    room: Notify,
}

#[derive(Debug)]
struct Inner {
    batch: Batch,
    open: bool,
    writer: Writer,
}

/// What the writer is doing, so that those who append know whether to wake it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// Writing; it will look here before it sleeps.
    Busy,
    /// Sleeping until anything comes.
    Idle,
    /// Letting records gather; to be woken only by an urgent one or a queue that fills.
    Gathering,
}

/// Why there is no place right now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// The queue is full.
    Full,
    /// The queue is closed.
    Closed,
}

/// The queue takes nothing more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Closed;

impl Queue {
    /// A queue for that many bytes.
    pub(super) fn new(capacity: usize) -> Self {
        let inner = Inner { batch: Batch::default(), open: true, writer: Writer::Busy };
        Self { capacity, inner: Mutex::new(inner), arrived: Condvar::new(), room: Notify::new() }
    }

    /// How many records wait.
    pub(super) fn len(&self) -> usize {
        self.lock().batch.len()
    }

    /// Appends a record, behind all that were before, and somebody to tell when all up to here is on disk. An empty queue
    /// takes any record.
    pub(super) fn try_put(
        &self,
        record: Option<&[u8]>,
        told: Option<oneshot::Sender<u64>>,
    ) -> Result<(), (NoPlace, Option<oneshot::Sender<u64>>)> {
        let mut inner = self.lock();
        if !inner.open {
            return Err((NoPlace::Closed, told));
        }
        let more = record.map_or(0, |record| LENGTH_BYTES + record.len());
        if inner.batch.records > 0 && inner.batch.bytes.len() + more > self.capacity {
            return Err((NoPlace::Full, told));
        }
        inner.batch.put(record, told);
        let wake = match inner.writer {
            Writer::Busy => false,
            Writer::Idle => true,
            Writer::Gathering => inner.is_due(self.capacity),
        };
        if wake {
            inner.writer = Writer::Busy;
            drop(inner);
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// The same, waiting for room. Dropped while waiting, it leaves nothing behind.
    pub(super) async fn put(
        &self,
        record: Option<&[u8]>,
        mut told: Option<oneshot::Sender<u64>>,
    ) -> Result<(), Closed> {
        loop {
            let mut room = std::pin::pin!(self.room.notified());
            // From here on no room that is made is missed.
            room.as_mut().enable();
            match self.try_put(record, told) {
                Ok(()) => return Ok(()),
                Err((NoPlace::Closed, _)) => return Err(Closed),
                Err((NoPlace::Full, back)) => told = back,
            }
            room.await;
        }
    }

    /// Exchanges an empty batch for all that waits, for the writer: as soon as somebody waits for a record, or once they
    /// have gathered for that long; not later than at that time, even if nothing has come.
    pub(super) fn take(&self, batch: &mut Batch, gather: Duration, until: Option<Instant>) -> Taken {
        batch.clear();
        let mut inner = self.lock();
        loop {
            match inner.batch.since {
                None if !inner.open => return Taken::Closed,
                None => {
                    inner.writer = Writer::Idle;
                    inner = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                        None => self.arrived.wait(inner).unwrap_or_else(PoisonError::into_inner),
                        Some(Duration::ZERO) => {
                            inner.writer = Writer::Busy;
                            return Taken::Nothing;
                        }
                        Some(left) => self.arrived.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0,
                    };
                }
                Some(since) => {
                    let mut left = gather.saturating_sub(since.elapsed());
                    if let Some(until) = until {
                        left = left.min(until.saturating_duration_since(Instant::now()));
                    }
                    if !inner.open || left.is_zero() || inner.is_due(self.capacity) {
                        break;
                    }
                    inner.writer = Writer::Gathering;
                    inner = self.arrived.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
        inner.writer = Writer::Busy;
        std::mem::swap(&mut inner.batch, batch);
        drop(inner);
        self.room.notify_waiters();
        Taken::Batch
    }

    /// Takes nothing more; what is in it can still be taken.
    pub(super) fn close(&self) {
        self.lock().open = false;
        self.arrived.notify_one();
        self.room.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing that runs under the lock leaves it half done when it panics.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Whether what waits is to be written at once.
    fn is_due(&self, capacity: usize) -> bool {
        !self.batch.waiting.is_empty() || self.batch.bytes.len() >= capacity / 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::ZERO;
    const NEVER: Duration = Duration::from_secs(3600);

    fn taken(queue: &Queue, gather: Duration) -> Option<Batch> {
        let mut batch = Batch::default();
        (queue.take(&mut batch, gather, None) == Taken::Batch).then_some(batch)
    }

    fn full(queue: &Queue, record: &[u8]) -> bool {
        matches!(queue.try_put(Some(record), None), Err((NoPlace::Full, _)))
    }

    #[test]
    fn what_was_put_is_taken_in_order() {
        let queue = Queue::new(1_000);
        for record in [&b"one"[..], b"", b"three"] {
            queue.try_put(Some(record), None).unwrap();
        }
        let batch = taken(&queue, SOON).unwrap();
        assert_eq!(batch.records().collect::<Vec<_>>(), [&b"one"[..], b"", b"three"]);
        assert_eq!((batch.len(), queue.len()), (3, 0));
    }

    #[test]
    fn a_full_queue_takes_nothing_until_the_writer_has_taken() {
        let queue = Queue::new(20);
        queue.try_put(Some(&[0; 10]), None).unwrap();
        assert!(full(&queue, &[0; 10]));
        assert_eq!(taken(&queue, SOON).unwrap().len(), 1);
        // One larger than all there is room for goes into an empty queue.
        queue.try_put(Some(&[0; 100]), None).unwrap();
        assert!(full(&queue, b""));
    }

    #[tokio::test]
    async fn whoever_waits_for_room_gets_it() {
        let queue = std::sync::Arc::new(Queue::new(10));
        queue.try_put(Some(&[1; 6]), None).unwrap();
        let waiting: Vec<_> = (0..5)
            .map(|_| {
                let queue = std::sync::Arc::clone(&queue);
                tokio::spawn(async move { queue.put(Some(&[2; 6]), None).await })
            })
            .collect();
        for _ in 0..6 {
            tokio::task::yield_now().await;
            while queue.len() == 0 {
                tokio::task::yield_now().await;
            }
            assert_eq!(taken(&queue, SOON).unwrap().len(), 1);
        }
        for waiting in waiting {
            assert_eq!(waiting.await.unwrap(), Ok(()));
        }
    }

    #[tokio::test]
    async fn an_urgent_record_is_taken_without_gathering_and_told_its_index() {
        let queue = Queue::new(1_000);
        let (first, first_told) = oneshot::channel();
        let (barrier, barrier_told) = oneshot::channel();
        queue.try_put(Some(b"a"), None).unwrap();
        queue.try_put(Some(b"b"), Some(first)).unwrap();
        queue.try_put(Some(b"c"), None).unwrap();
        queue.try_put(None, Some(barrier)).unwrap();
        let mut batch = taken(&queue, NEVER).unwrap();
        assert_eq!(batch.len(), 3);
        batch.is_durable_from(70);
        assert_eq!((first_told.await, barrier_told.await), (Ok(71), Ok(72)));
    }

    #[test]
    fn a_filling_queue_is_taken_without_gathering() {
        let queue = Queue::new(100);
        queue.try_put(Some(&[0; 30]), None).unwrap();
        assert_eq!(taken(&queue, NEVER).unwrap().len(), 1);
    }

    #[test]
    fn the_writer_gets_nothing_when_its_time_is_over() {
        let queue = Queue::new(100);
        let mut batch = Batch::default();
        let soon = Some(Instant::now() + Duration::from_millis(2));
        assert_eq!(queue.take(&mut batch, NEVER, soon), Taken::Nothing);
        queue.try_put(Some(b"a"), None).unwrap();
        let soon = Some(Instant::now() + Duration::from_millis(2));
        assert_eq!(queue.take(&mut batch, NEVER, soon), Taken::Batch, "what is there by then");
    }

    #[test]
    fn a_closed_queue_is_emptied_and_then_ends() {
        let queue = Queue::new(100);
        queue.try_put(Some(b"a"), None).unwrap();
        queue.close();
        assert!(matches!(queue.try_put(Some(b"b"), None), Err((NoPlace::Closed, None))));
        assert_eq!(taken(&queue, NEVER).unwrap().len(), 1);
        assert!(taken(&queue, NEVER).is_none());
    }
}
