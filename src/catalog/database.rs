//! One database: its facts, how fresh they are, and the connection they come over.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;
use tracing::{debug, warn};

use super::link::Link;
use super::snapshot::{Fingerprint, Probe};
use super::{CatalogError, Limits, SideConnection, queries, snapshot};
use crate::blast::Facts;

/// The versions of all facts of all databases in this process.
static VERSION: AtomicU64 = AtomicU64::new(1);

/// A look takes this share of the time at most: in a database with very many definitions the looks get rarer.
const LOOK_SHARE: u32 = 5;

/// One database.
pub(super) struct Database {
    name: String,
    side: Arc<SideConnection>,
    latest: ArcSwapOption<Look>,
    /// Goes up when definitions may have changed: looks that began before do not count.
    generation: AtomicU64,
    /// The connection that looks, and how the last look failed.
    looking: tokio::sync::Mutex<Looking>,
    /// A second connection, for radiuses: they may take seconds, and looks must not wait for them.
    measuring: tokio::sync::Mutex<Option<Link>>,
    watch: Mutex<Watching>,
    /// Wakes the background task: to look at once, or to see that nobody watches.
    wake: Notify,
}

/// A look at the database that succeeded.
struct Look {
    facts: Arc<Facts>,
    fingerprint: Fingerprint,
    /// When the names of columns were last looked at.
    columns_at: Instant,
    began: Instant,
    generation: u64,
}

/// What a look saw.
struct Seen {
    facts: Arc<Facts>,
    fingerprint: Fingerprint,
    /// When the names of columns were looked at, where it was not now.
    columns_at: Option<Instant>,
}

#[derive(Default)]
struct Looking {
    link: Option<Link>,
    failure: Option<(Instant, CatalogError)>,
}

#[derive(Default)]
struct Watching {
    sessions: usize,
    /// Whether the background task runs.
    task: bool,
    /// When somebody last asked for facts without watching.
    used: Option<Instant>,
}

impl Database {
    pub(super) fn new(name: &str, side: Arc<SideConnection>) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            side,
            latest: ArcSwapOption::empty(),
            generation: AtomicU64::new(0),
            looking: tokio::sync::Mutex::default(),
            measuring: tokio::sync::Mutex::default(),
            watch: Mutex::default(),
            wake: Notify::new(),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.side.limits
    }

    /// The facts, if the last look is recent enough and nothing changed since as far as we know.
    pub(super) fn current(&self) -> Option<Arc<Facts>> {
        self.current_at(Instant::now())
    }

    /// The same at a time that is now or was a moment ago.
    pub(super) fn current_at(&self, now: Instant) -> Option<Arc<Facts>> {
        let look = self.latest.load();
        let look = look.as_ref()?;
        let valid = look.generation == self.generation.load(Ordering::Acquire)
            && now.saturating_duration_since(look.began) <= self.side.limits.stale_after;
        valid.then(|| Arc::clone(&look.facts))
    }

    /// Whether it is too early to look again in the background.
    fn has_just_looked(&self) -> bool {
        self.latest.load().as_ref().is_some_and(|look| {
            let is_settled = look.generation == self.generation.load(Ordering::Acquire);
            is_settled && look.began.elapsed() < self.side.limits.probe_every / 2
        })
    }

    pub(super) fn invalidate(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.wake.notify_one();
    }

    /// Looks, or shares a look that began after this call.
    pub(super) async fn refresh(&self) -> Result<Arc<Facts>, CatalogError> {
        let asked = Instant::now();
        self.watching(|watch| watch.used = Some(asked));
        let mut looking = self.looking.lock().await;
        if let Some(look) = self.latest.load().as_ref().filter(|look| look.began >= asked) {
            return Ok(Arc::clone(&look.facts));
        }
        if let Some((_, error)) = looking.failure.as_ref().filter(|(began, _)| *began >= asked) {
            return Err(error.clone());
        }
        let began = Instant::now();
        let generation = self.generation.load(Ordering::Acquire);
        // Taken out: if this future is dropped in between, so is the connection.
        match self.look(looking.link.take()).await {
            Ok((link, Seen { facts, fingerprint, columns_at })) => {
                *looking = Looking { link: Some(link), failure: None };
                let columns_at = columns_at.unwrap_or(began);
                let look = Look { facts: Arc::clone(&facts), fingerprint, columns_at, began, generation };
                self.latest.store(Some(Arc::new(look)));
                Ok(facts)
            }
            Err(error) => {
                looking.failure = Some((began, error.clone()));
                Err(error)
            }
        }
    }

    async fn look(&self, link: Option<Link>) -> Result<(Link, Seen), CatalogError> {
        let reused = link.is_some();
        let link = match link {
            Some(link) => link,
            None => Link::open(&self.side, &self.name).await?,
        };
        match self.ask(&link).await {
            Ok(seen) => Ok((link, seen)),
            // The server may have closed an idle connection; what a new one says counts.
            Err(_) if reused => {
                let link = Link::open(&self.side, &self.name).await?;
                let seen = self.ask(&link).await?;
                Ok((link, seen))
            }
            Err(error) => Err(error),
        }
    }

    async fn ask(&self, link: &Link) -> Result<Seen, CatalogError> {
        if let Some(last) = self.latest.load_full() {
            let is_settled = last.generation == self.generation.load(Ordering::Acquire);
            let is_time = last.columns_at.elapsed() >= self.side.limits.columns_every;
            let probe = if is_settled && !is_time { Probe::Definitions } else { Probe::Columns };
            let (own, messages) = link.ask_both(queries::OWN_SETTINGS, &probe.text()).await?;
            let fingerprint =
                Fingerprint::of(probe, &own, messages, &last.fingerprint).map_err(|error| link.failed(&error))?;
            if fingerprint == last.fingerprint {
                let columns_at = (probe == Probe::Definitions).then_some(last.columns_at);
                return Ok(Seen { facts: Arc::clone(&last.facts), fingerprint, columns_at });
            }
        }
        let (own, messages) = link.ask_both(queries::OWN_SETTINGS, &snapshot::batch()).await?;
        let (mut facts, fingerprint) =
            snapshot::facts(&self.name, &own, messages).map_err(|error| link.failed(&error))?;
        facts.version = VERSION.fetch_add(1, Ordering::Relaxed);
        debug!(database = self.name, version = facts.version, relations = facts.relations.len(), "read the catalog");
        Ok(Seen { facts: Arc::new(facts), fingerprint, columns_at: None })
    }

    /// Opens a connection that is nobody else's.
    pub(super) async fn connect(&self) -> Result<Link, CatalogError> {
        Link::open(&self.side, &self.name).await
    }

    /// Lends the second connection. `None` where it cannot be had.
    pub(super) async fn measure(&self) -> Result<Measuring<'_>, CatalogError> {
        let mut slot = self.measuring.lock().await;
        let link = match slot.take().filter(Link::is_open) {
            Some(link) => link,
            None => Link::open(&self.side, &self.name).await?,
        };
        Ok(Measuring { slot, link: Some(link) })
    }

    // Watching

    fn watching<T>(&self, change: impl FnOnce(&mut Watching) -> T) -> T {
        // Counters only: nothing can panic half-way while the lock is held.
        change(&mut self.watch.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// One more session: its facts are kept fresh from now on.
    pub(super) fn watch(self: &Arc<Self>, runtime: Option<&tokio::runtime::Handle>) {
        let (start, first) = self.watching(|watch| {
            watch.sessions += 1;
            (!std::mem::replace(&mut watch.task, true), watch.sessions == 1)
        });
        if start {
            let keep_fresh = Arc::clone(self).keep_fresh();
            match runtime {
                Some(runtime) => runtime.spawn(keep_fresh),
                None => tokio::spawn(keep_fresh),
            };
        } else if first {
            // The task runs, but waits for the next session.
            self.wake.notify_one();
        }
    }

    /// One session less.
    pub(super) fn unwatch(&self) {
        let last = self.watching(|watch| {
            watch.sessions = watch.sessions.saturating_sub(1);
            watch.sessions == 0
        });
        if last {
            self.wake.notify_one();
        }
    }

    /// Whether nobody would miss it: no session, no task, not asked for lately.
    pub(super) fn is_idle(&self) -> bool {
        self.watching(|watch| {
            let recent = watch.used.is_some_and(|used| used.elapsed() < self.side.limits.idle);
            watch.sessions == 0 && !watch.task && !recent
        })
    }

    async fn keep_fresh(self: Arc<Self>) {
        let mut failing = false;
        loop {
            if self.watching(|watch| watch.sessions) == 0 {
                let woken = tokio::time::timeout(self.side.limits.idle, self.wake.notified()).await;
                if woken.is_err() && self.stop_if_unwatched() {
                    break;
                }
                continue;
            }
            if self.has_just_looked() {
                // The session that woke us has, itself.
                let _woken = tokio::time::timeout(self.side.limits.probe_every / 2, self.wake.notified()).await;
                continue;
            }
            let began = Instant::now();
            match self.refresh().await {
                Ok(_) => failing = false,
                Err(error) if !failing => {
                    failing = true;
                    warn!(database = self.name, %error, "the catalog cannot be read: statements wait or are refused");
                }
                Err(_) => {}
            }
            let pause = self.side.limits.probe_every.max(began.elapsed().saturating_mul(LOOK_SHARE));
            let pause = pause.min(self.side.limits.stale_after / 2).max(Duration::from_millis(10));
            let _woken = tokio::time::timeout(pause, self.wake.notified()).await;
        }
        *self.looking.lock().await = Looking::default();
        *self.measuring.lock().await = None;
    }

    fn stop_if_unwatched(&self) -> bool {
        self.watching(|watch| {
            watch.task = watch.sessions > 0;
            !watch.task
        })
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The second connection, lent. It is given back by [`Measuring::done`]; otherwise it is closed, since what it was
/// doing is not known.
pub(super) struct Measuring<'a> {
    slot: tokio::sync::MutexGuard<'a, Option<Link>>,
    link: Option<Link>,
}

impl Measuring<'_> {
    pub(super) fn link(&self) -> &Link {
        self.link.as_ref().expect("it is taken only when this value ends")
    }

    pub(super) fn done(mut self) {
        *self.slot = self.link.take();
    }
}
