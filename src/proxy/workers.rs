//! The threads that serve sessions, each with a runtime of its own.
//!
//! A session stays on the thread it was given to, with both its sockets: no wake-up goes to another thread, nothing of a
//! session is used by two processors in turn, and two sessions share a lock with each other only where they share a
//! thread. What is not a session (the control socket, the catalog, long analyses) runs elsewhere.

use std::io;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// How many tasks a thread gets before the next one gets any.
const TOGETHER: usize = 8;

/// The stack of a thread that analyses statements, in bytes: twice what the deepest takes in a build without optimisation. What is
/// not touched takes no memory.
pub const STACK_BYTES: usize = 4 << 20;

/// The threads. They end when this is dropped, and with them what still runs there.
#[derive(Debug)]
pub struct Workers {
    workers: Vec<Worker>,
    stop: watch::Sender<()>,
}

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    thread: Option<JoinHandle<()>>,
    /// How many tasks it has.
    tasks: Arc<AtomicUsize>,
}

/// One of the tasks of a worker; counted as long as it lives.
struct Counted(Arc<AtomicUsize>);

/// Ends a task that nobody waits for any more.
struct EndsWithUs(AbortHandle);

impl Workers {
    /// As many threads as there are processors.
    ///
    /// # Errors
    /// The system gives no thread or no epoll instance.
    pub fn start() -> io::Result<Self> {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let (stop, stopped) = watch::channel(());
        let workers = (0..count).map(|number| Worker::start(number, stopped.clone())).collect::<io::Result<_>>()?;
        Ok(Self { workers, stop })
    }

    /// Runs a task on one of the threads, to its end or until the future that this gives is dropped.
    ///
    /// The threads take tasks in rounds of eight: the first so many go to the first thread, as many to the next, and
    /// so on. Sessions that share a thread share its wake-ups, which cost more than what it does when awake.
    pub fn run<F: Future<Output = ()> + Send + 'static>(&self, task: F) -> impl Future<Output = ()> + Send + use<F> {
        let worker = self.workers.iter().min_by_key(|worker| worker.tasks.load(Ordering::Relaxed) / TOGETHER);
        let worker = worker.expect("there is at least one thread");
        let counted = Counted::new(&worker.tasks);
        let running = worker.runtime.spawn(async move {
            let _counted = counted;
            task.await;
        });
        // Made here: it counts also where the future is never polled.
        let ends_with_us = EndsWithUs(running.abort_handle());
        async move {
            let _ends_with_us = ends_with_us;
            if let Err(error) = running.await
                && let Ok(panic) = error.try_into_panic()
            {
                // Whoever waits for us says so.
                resume_unwind(panic);
            }
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.send_replace(());
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take() {
                // Nothing but the tasks can panic there, and their panics end with them.
                let _ = thread.join();
            }
        }
    }
}

impl Worker {
    fn start(number: usize, mut stopped: watch::Receiver<()>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let serve = move || {
            // Also over when the sender is gone.
            let _ = runtime.block_on(stopped.changed());
        };
        let thread =
            std::thread::Builder::new().name(format!("sessions-{number}")).stack_size(STACK_BYTES).spawn(serve)?;
        Ok(Self { runtime: handle, thread: Some(thread), tasks: Arc::default() })
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

impl Drop for EndsWithUs {
    fn drop(&mut self) {
        self.0.abort();
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
