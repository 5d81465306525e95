//! The queue between those who append and the one thread that writes.
//!
//! Bounded twice: in records, and in the bytes of the large ones. The writer takes all there is at once. Records
//! nobody waits for do not wake it at once: it lets them gather for a moment, so that a stream of reads costs a few
//! wake-ups and commits a second, not one a record.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};

use super::record::Record;

/// A record up to this size takes a place, no bytes.
const SMALL_BYTES: usize = 2 * 1024;

/// One thing for the writer to do.
#[derive(Debug)]
pub(super) struct Item {
    /// The record to write; none for a barrier, which only waits for what is in front of it.
    pub(super) record: Option<Box<Record>>,
    /// Who waits until it is on disk, and is told its index (a barrier: that of the next record).
    pub(super) durable: Option<oneshot::Sender<u64>>,
    /// The bytes it takes, given back when it is dropped.
    _bytes: Option<OwnedSemaphorePermit>,
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue {
    places: Semaphore,
    capacity: usize,
    bytes: Arc<Semaphore>,
    bytes_capacity: u32,
    inner: Mutex<Inner>,
    arrived: Condvar,
}

#[derive(Debug)]
struct Inner {
    items: Vec<Item>,
    /// Somebody waits for one of the items.
    urgent: bool,
    /// When the oldest item came.
    since: Option<Instant>,
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

/// The right to put one item into the queue.
#[derive(Debug)]
pub(super) struct Place {
    bytes: Option<OwnedSemaphorePermit>,
}

/// The queue takes nothing more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Closed;

/// Why there is no place right now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// The queue is full.
    Full,
    /// The queue is closed.
    Closed,
}

impl Queue {
    pub(super) fn new(capacity: usize, bytes_capacity: usize) -> Self {
        let capacity = capacity.clamp(1, Semaphore::MAX_PERMITS);
        let bytes_capacity = u32::try_from(bytes_capacity).unwrap_or(u32::MAX);
        Self {
            places: Semaphore::new(capacity),
            capacity,
            bytes: Arc::new(Semaphore::new(bytes_capacity as usize)),
            bytes_capacity,
            inner: Mutex::new(Inner {
                items: Vec::new(),
                urgent: false,
                since: None,
                open: true,
                writer: Writer::Busy,
            }),
            arrived: Condvar::new(),
        }
    }

    /// Waits for a place for something of that weight. Dropped while waiting, it leaves nothing behind.
    pub(super) async fn place(&self, weight_bytes: usize) -> Result<Place, Closed> {
        let bytes = match self.charge(weight_bytes) {
            0 => None,
            charge => Some(Arc::clone(&self.bytes).acquire_many_owned(charge).await.map_err(|_| Closed)?),
        };
        self.places.acquire().await.map_err(|_| Closed)?.forget();
        Ok(Place { bytes })
    }

    /// A place for something of that weight, if there is one now.
    pub(super) fn try_place(&self, weight_bytes: usize) -> Result<Place, NoPlace> {
        let bytes = match self.charge(weight_bytes) {
            0 => None,
            charge => Some(Arc::clone(&self.bytes).try_acquire_many_owned(charge)?),
        };
        self.places.try_acquire()?.forget();
        Ok(Place { bytes })
    }

    fn charge(&self, weight_bytes: usize) -> u32 {
        if weight_bytes <= SMALL_BYTES {
            return 0;
        }
        // Never more than there is, or it would wait for ever.
        u32::try_from(weight_bytes).unwrap_or(u32::MAX).min(self.bytes_capacity)
    }

    /// Puts an item into its place, behind all that were put before.
    pub(super) fn put(
        &self,
        place: Place,
        record: Option<Box<Record>>,
        durable: Option<oneshot::Sender<u64>>,
    ) -> Result<(), Closed> {
        let mut inner = self.lock();
        if !inner.open {
            return Err(Closed);
        }
        inner.urgent |= durable.is_some();
        inner.items.push(Item { record, durable, _bytes: place.bytes });
        if inner.since.is_none() {
            inner.since = Some(Instant::now());
        }
        let wake = match inner.writer {
            Writer::Busy => false,
            Writer::Idle => true,
            Writer::Gathering => inner.urgent || inner.items.len() >= self.capacity / 2,
        };
        if wake {
            inner.writer = Writer::Busy;
            drop(inner);
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Takes all items, for the writer: as soon as somebody waits for one, or once they have gathered for that
    /// long. `None` when the queue is closed and empty.
    pub(super) fn take(&self, gather: Duration) -> Option<Vec<Item>> {
        let mut inner = self.lock();
        loop {
            let waited = inner.since.map(|since| since.elapsed());
            match waited {
                None if !inner.open => return None,
                None => {
                    inner.writer = Writer::Idle;
                    inner = self.arrived.wait(inner).unwrap_or_else(PoisonError::into_inner);
                }
                Some(waited)
                    if inner.open && !inner.urgent && inner.items.len() < self.capacity / 2 && waited < gather =>
                {
                    inner.writer = Writer::Gathering;
                    inner = self.arrived.wait_timeout(inner, gather - waited).unwrap_or_else(PoisonError::into_inner).0;
                }
                Some(_) => break,
            }
        }
        inner.writer = Writer::Busy;
        inner.urgent = false;
        inner.since = None;
        let next = Vec::with_capacity(inner.items.len());
        let items = std::mem::replace(&mut inner.items, next);
        drop(inner);
        self.places.add_permits(items.len());
        Some(items)
    }

    /// Takes nothing more; what is in it can still be taken.
    pub(super) fn close(&self) {
        self.lock().open = false;
        self.places.close();
        self.bytes.close();
        self.arrived.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing that runs under the lock leaves it half done when it panics.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<TryAcquireError> for NoPlace {
    fn from(error: TryAcquireError) -> Self {
        match error {
            TryAcquireError::NoPermits => Self::Full,
            TryAcquireError::Closed => Self::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::RecordKind;

    const SOON: Duration = Duration::ZERO;
    const NEVER: Duration = Duration::from_secs(3600);

    fn record() -> Option<Box<Record>> {
        Some(Box::new(Record::new(RecordKind::Intent)))
    }

    #[test]
    fn a_full_queue_gives_no_place_until_the_writer_takes() {
        let queue = Queue::new(2, 1 << 20);
        for _ in 0..2 {
            let place = queue.try_place(1).unwrap();
            queue.put(place, record(), None).unwrap();
        }
        assert_eq!(queue.try_place(1).unwrap_err(), NoPlace::Full);
        assert_eq!(queue.take(SOON).unwrap().len(), 2);
        assert!(queue.try_place(1).is_ok());
    }

    #[test]
    fn large_records_are_bounded_by_their_bytes_and_give_them_back() {
        let queue = Queue::new(100, 10_000);
        let place = queue.try_place(8_000).unwrap();
        queue.put(place, record(), None).unwrap();
        assert_eq!(queue.try_place(8_000).unwrap_err(), NoPlace::Full);
        assert!(queue.try_place(100).is_ok(), "a small one takes no bytes");
        drop(queue.take(SOON));
        // One larger than all there is takes all there is.
        assert!(queue.try_place(1_000_000).is_ok());
    }

    #[test]
    fn an_urgent_item_is_taken_without_gathering() {
        let queue = Queue::new(100, 1);
        let (sender, _receiver) = oneshot::channel();
        let place = queue.try_place(1).unwrap();
        queue.put(place, record(), None).unwrap();
        let place = queue.try_place(1).unwrap();
        queue.put(place, record(), Some(sender)).unwrap();
        assert_eq!(queue.take(NEVER).unwrap().len(), 2);
    }

    #[test]
    fn a_filling_queue_is_taken_without_gathering() {
        let queue = Queue::new(4, 1);
        for _ in 0..2 {
            let place = queue.try_place(1).unwrap();
            queue.put(place, record(), None).unwrap();
        }
        assert_eq!(queue.take(NEVER).unwrap().len(), 2);
    }

    #[test]
    fn a_closed_queue_is_emptied_and_then_ends() {
        let queue = Queue::new(4, 1);
        let early = queue.try_place(1).unwrap();
        let place = queue.try_place(1).unwrap();
        queue.put(place, record(), None).unwrap();
        queue.close();
        assert_eq!(queue.put(early, record(), None), Err(Closed));
        assert_eq!(queue.try_place(1).unwrap_err(), NoPlace::Closed);
        assert_eq!(queue.take(NEVER).unwrap().len(), 1);
        assert!(queue.take(NEVER).is_none());
    }
}
