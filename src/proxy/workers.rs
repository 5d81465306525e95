//! The threads that serve sessions, each with a reactor of its own.
//!
//! A session stays on the thread it was given to, with both its sockets: no wake-up goes to another thread, nothing of a
//! session is used by two processors in turn, and two sessions share a lock with each other only where they share a
//! thread. What is not a session (the control socket, the catalog, long analyses) runs in the tokio runtime whose context the
//! threads are in, and so do the timers of sessions.

use std::io;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::runtime::Handle;

use super::reactor::{Reactor, Remote};

/// How many tasks a thread gets before the next one gets any.
const TOGETHER: usize = 8;

/// The stack of a thread that analyses statements, in bytes: twice what the deepest takes in a build without optimisation. What is
/// not touched takes no memory.
pub const STACK_BYTES: usize = 4 << 20;

/// The threads. They end when this is dropped, and with them what still runs there.
#[derive(Debug)]
pub struct Workers {
    workers: Vec<Worker>,
}

#[derive(Debug)]
struct Worker {
    reactor: Remote,
    thread: Option<JoinHandle<()>>,
    /// How many tasks it has.
    tasks: Arc<AtomicUsize>,
}

/// One of the tasks of a worker; counted as long as it lives.
struct Counted(Arc<AtomicUsize>);

impl Workers {
    /// As many threads as there are processors. To be called within a tokio runtime with more threads than one, or whose thread
    /// does not wait for the tasks: it drives their timers.
    ///
    /// # Errors
    /// The system gives no thread or no epoll instance.
    pub fn start() -> io::Result<Self> {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = (0..count).map(Worker::start).collect::<io::Result<_>>()?;
        Ok(Self { workers })
    }

    /// Runs a task on one of the threads, to its end or until the future that this gives is dropped.
    ///
    /// The threads take tasks in rounds of eight: the first so many go to the first thread, as many to the next, and
    /// so on. Sessions that share a thread share its wake-ups, which cost more than what it does when awake.
    pub fn run<F: Future<Output = ()> + Send + 'static>(&self, task: F) -> impl Future<Output = ()> + Send + use<F> {
        let worker = self.workers.iter().min_by_key(|worker| worker.tasks.load(Ordering::Relaxed) / TOGETHER);
        let worker = worker.expect("there is at least one thread");
        let counted = Counted::new(&worker.tasks);
        // Made here: it counts also where the future is never polled.
        let mut running = worker.reactor.spawn(async move {
            let _counted = counted;
            task.await;
        });
        async move {
            if let Some(panic) = running.ended().await {
                // Whoever waits for us says so.
                resume_unwind(panic);
            }
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in &self.workers {
            worker.reactor.stop();
        }
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take() {
                // Nothing but the tasks can panic there, and their panics end with them.
                let _ = thread.join();
            }
        }
    }
}

impl Worker {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        let (made, receiver) = std::sync::mpsc::sync_channel(1);
        let serve = move || {
            let _context = runtime.enter();
            match Reactor::new() {
                Ok((reactor, remote)) => {
                    // Whoever started us waits for this.
                    let _ = made.send(Ok(remote));
                    reactor.run();
                }
                Err(error) => drop(made.send(Err(error))),
            }
        };
        let thread =
            std::thread::Builder::new().name(format!("sessions-{number}")).stack_size(STACK_BYTES).spawn(serve)?;
        let reactor = receiver.recv().map_err(io::Error::other)??;
        Ok(Self { reactor, thread: Some(thread), tasks: Arc::default() })
    }
}

impl Counted {
    fn new(tasks: &Arc<AtomicUsize>) -> Self {
        tasks.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(tasks))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn tasks_are_spread_and_end_with_who_waits_for_them() {
        let workers = Workers::start().unwrap();
        let all = TOGETHER * workers.workers.len();
        let (sender, mut threads) = tokio::sync::mpsc::channel(all);
        let tasks: Vec<_> = (0..all)
            .map(|_| {
                let sender = sender.clone();
                workers.run(async move {
                    sender.send(std::thread::current().id()).await.unwrap();
                    std::future::pending::<()>().await;
                })
            })
            .collect();
        let mut seen = HashMap::new();
        for _ in &tasks {
            *seen.entry(threads.recv().await.unwrap()).or_insert(0) += 1;
        }
        assert_eq!(seen.len(), workers.workers.len(), "no thread has nothing to do");
        assert!(seen.values().all(|tasks| *tasks == TOGETHER), "{seen:?}");
        drop(sender);
        let first = tokio::spawn(tokio::time::timeout(Duration::ZERO, tasks.into_iter().next().unwrap()));
        assert!(first.await.unwrap().is_err());
        let counts = || workers.workers.iter().map(|worker| worker.tasks.load(Ordering::Relaxed)).sum::<usize>();
        while counts() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn a_panic_is_that_of_who_waits() {
        let workers = Workers::start().unwrap();
        let task = tokio::spawn(workers.run(async { std::panic::panic_any("defect") }));
        assert!(task.await.unwrap_err().is_panic());
        workers.run(async {}).await;
    }
}
