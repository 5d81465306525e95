//! Accepting callers, so many at a time.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How long to wait when accepting fails, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Something that callers connect to.
pub(super) trait Listener {
    /// A connection, and where it comes from as far as anybody can tell.
    type Caller: Send + 'static;

    /// Waits for the next caller.
    async fn next(&self) -> io::Result<Self::Caller>;
}

impl Listener for TcpListener {
    type Caller = (TcpStream, SocketAddr);

    async fn next(&self) -> io::Result<Self::Caller> {
        self.accept().await
    }
}

impl Listener for UnixListener {
    type Caller = UnixStream;

    async fn next(&self) -> io::Result<Self::Caller> {
        // Who connects to a socket in the file system has no address.
        self.accept().await.map(|(stream, _)| stream)
    }
}

/// Accepts callers and answers each in a task of its own, until it is dropped; so are the tasks then.
///
/// More than `most` at a time wait to be accepted. `place` is what the log calls the listener.
pub(super) async fn accept_all<L, A>(listener: L, place: &str, most: usize, answer: impl Fn(L::Caller) -> A)
where
    L: Listener,
    A: Future<Output = ()> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(most));
    let mut connections = JoinSet::new();
    loop {
        // Taken before accepting: beyond the limit callers wait in the kernel's queue, which is bounded.
        let permit = Arc::clone(&permits).acquire_owned().await;
        while connections.try_join_next().is_some() {}
        match listener.next().await {
            Ok(caller) => {
                let answered = answer(caller);
                connections.spawn(async move {
                    let _permit = permit;
                    answered.await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept on {place}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn callers_beyond_the_limit_wait_for_a_place() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (ends, ended) = tokio::sync::watch::channel(0_usize);
        let begun = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&begun);
        let serving = tokio::spawn(async move {
            accept_all(listener, "the test's address", 2, move |_| {
                let place = count.fetch_add(1, Ordering::Relaxed) + 1;
                let mut ended = ended.clone();
                async move {
                    let _ = ended.wait_for(|end| *end >= place).await;
                }
            })
            .await;
        });
        let mut callers = Vec::new();
        for _ in 0..5 {
            callers.push(TcpStream::connect(address).await.unwrap());
        }
        for (ended, answered) in [(0, 2), (1, 3), (2, 4), (3, 5)] {
            ends.send(ended).unwrap();
            let reached = async {
                while begun.load(Ordering::Relaxed) < answered {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(5), reached).await.unwrap();
            tokio::time::sleep(Duration::from_millis(30)).await;
            assert_eq!(begun.load(Ordering::Relaxed), answered);
        }
        serving.abort();
    }
}
