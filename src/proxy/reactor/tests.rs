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
    // One that comes too late has ended, too.
    assert!(reactor.remote.spawn(std::future::pending()).ended().await.is_none());
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
