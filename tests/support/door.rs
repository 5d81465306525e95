//! The way in alone, within the test: startup, TLS and login by the proxy's own code, and behind them a relay
//! that passes everything. What comes after the login is promised elsewhere.

use std::net::SocketAddr;
use std::sync::Arc;

use pgsluice::cli::upstream::UpstreamUrl;
use pgsluice::proxy::cancel::CancelAnswer;
use pgsluice::proxy::entry::EntryFault;
use pgsluice::proxy::parameters::{Requester, StartupRules, StartupVerdict, StartupWish};
use pgsluice::proxy::tls::ServerTls;
use pgsluice::proxy::upstream::Vouching;
use pgsluice::proxy::{Entered, Entry, EntryLimits, Listener, ListenerLimits, LoggedIn, Stream, Upstream};
use tempfile::TempDir;
use tokio::io::{AsyncWriteExt as _, copy_bidirectional};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// Forwards everything except what begins with `pgsluice.`, and refuses switches.
#[derive(Debug)]
struct Rules;

impl StartupRules for Rules {
    fn judge(&self, _: Requester<'_>, wish: StartupWish<'_>) -> StartupVerdict {
        match wish {
            StartupWish::Setting { name, .. } if name.starts_with("pgsluice.") => StartupVerdict::Keep,
            StartupWish::Setting { .. } | StartupWish::Replication { .. } => StartupVerdict::Forward,
            StartupWish::Switches { text } => StartupVerdict::Refuse {
                message: "server switches are refused".to_owned(),
                detail: format!("The options hold {text}."),
                hint: "Write settings as -c name=value.".to_owned(),
            },
        }
    }
}

/// A proxy's door in front of a server, on a free port.
pub(crate) struct Door {
    runtime: Option<Runtime>,
    stop: watch::Sender<bool>,
    entry: Arc<Entry>,
    address: SocketAddr,
    place: TempDir,
}

impl Door {
    /// Offers TLS; 60 seconds to log in.
    pub(crate) fn open(upstream: &str) -> Self {
        Self::open_with(upstream, EntryLimits::default())
    }

    pub(crate) fn open_with(upstream: &str, limits: EntryLimits) -> Self {
        let url: UpstreamUrl = upstream.parse().unwrap_or_else(|error| panic!("{upstream}: {error}"));
        let upstream =
            Upstream::new(&url.target(&url.tls), Vouching::Refused).unwrap_or_else(|error| panic!("{error}"));
        let place = tempfile::tempdir().unwrap();
        let tls = ServerTls::self_made(place.path(), &[]).unwrap();
        let entry = Arc::new(Entry::new(upstream, Arc::new(Rules), limits).with_tls(tls));
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(Listener::bind(&"127.0.0.1:0".parse().unwrap())).unwrap();
        let socket = place.path().join(".s.PGSQL.5432").display().to_string();
        let local = runtime.block_on(Listener::bind(&socket.parse().unwrap())).unwrap();
        let address = listener.tcp_address().unwrap();
        let (stop, stopped) = watch::channel(false);
        for listener in [listener, local] {
            let entry = Arc::clone(&entry);
            let handle = move |stream| session(Arc::clone(&entry), stream);
            runtime.spawn(listener.serve(ListenerLimits::default(), stopped.clone(), handle));
        }
        Self { runtime: Some(runtime), stop, entry, address, place }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Where its Unix socket and its certificate are.
    pub(crate) fn directory(&self) -> &std::path::Path {
        self.place.path()
    }

    /// A URL through it.
    pub(crate) fn url(&self, credentials: &str, rest: &str) -> String {
        format!("postgres://{credentials}@127.0.0.1:{}/{rest}", self.port())
    }

    /// How many sessions could be cancelled.
    pub(crate) fn sessions(&self) -> usize {
        self.entry.cancels().len()
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it is taken only when the door is dropped")
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn session(entry: Arc<Entry>, stream: Stream) {
    match entry.admit(stream).await {
        Ok(Entered::Session(session) | Entered::Admin(session)) => relay(*session).await,
        Ok(Entered::Nobody) => {}
        Err(error) => {
            let refused = matches!(&error.error, EntryFault::Login(_) | EntryFault::Startup(_));
            assert!(refused && !error.to_string().contains("secret"), "{error}");
        }
    }
}

async fn relay(session: LoggedIn) {
    let LoggedIn { mut client, mut upstream, upstream_ahead, greeting, ready, cancel, .. } = session;
    let first = [&greeting[..], &ready, &upstream_ahead].concat();
    if client.write_all(&first).await.is_err() || client.flush().await.is_err() {
        return;
    }
    let Some(mut cancel) = cancel else {
        let _ = copy_bidirectional(&mut client, &mut upstream).await;
        return;
    };
    let relay = copy_bidirectional(&mut client, &mut upstream);
    tokio::pin!(relay);
    loop {
        tokio::select! {
            _ = &mut relay => return,
            asked = cancel.asked() => asked.answer(CancelAnswer::Forward),
        }
    }
}
