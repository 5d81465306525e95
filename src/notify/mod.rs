//! Messages about holds to other systems: a webhook of one's own, or a chat.
//!
//! [`Notifier`] watches the gate as any other watcher does, so nothing here can delay a hold: what it makes goes into
//! a bounded queue for each webhook, whose oldest messages are dropped (and counted) when the other side is slower
//! than the holds are. A message is sent again, later and later, until it is taken or [`Retry`] gives up.
//!
//! The URL and the secret are read from files, each time they are needed, and are in no log and no error.

mod deliver;
mod message;
mod queue;
mod signature;
mod slack;
mod target;
mod watcher;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

pub use deliver::Retry;
pub use message::Event;
pub use queue::Counts;
pub use signature::{SIGNATURE_HEADER, sign};
pub use target::SetupError;

use crate::gate::Gate;
use deliver::Sender;
use queue::Queue;
use watcher::Watcher;

/// Where messages go, and what is in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// What logs call it.
    pub name: String,
    /// The file with the URL.
    pub url_file: PathBuf,
    /// The file with the secret that signs; `None`: nothing is signed.
    pub secret_file: Option<PathBuf>,
    /// How a message is written.
    pub format: Format,
    /// What of the statement is in it.
    pub content: Content,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// Where a URL without TLS may lead.
    pub plain: PlainHttp,
}

/// How a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// JSON of our own, with everything.
    #[default]
    Json,
    /// What Slack's incoming webhooks take, and Mattermost's and others'.
    Slack,
}

/// What of the statement is in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Its text, literals included.
    pub sql: Part,
    /// The bind values.
    pub params: Part,
}

/// Whether something is in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// It is.
    Included,
    /// It is not.
    Withheld,
}

/// Where a URL without TLS may lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainHttp {
    /// To this machine.
    LoopbackOnly,
    /// Anywhere: whoever is on the way reads the messages, and may change them.
    Anywhere,
}

impl Webhook {
    /// Looks at the files, connecting to nothing.
    ///
    /// # Errors
    ///
    /// One cannot be read, or what is in it is no URL or no secret.
    pub fn check(&self) -> Result<(), SetupError> {
        Sender::new(self.clone(), Retry::default()).map(drop)
    }
}

/// The messages of one proxy. Dropping it stops them.
#[derive(Debug)]
pub struct Notifier {
    senders: JoinSet<()>,
    queues: Vec<Arc<Queue>>,
    watcher: JoinHandle<()>,
    /// Dropped or used, it lets the watcher end, after what has happened until then.
    finish: oneshot::Sender<()>,
}

/// Tells what has become of the messages of a [`Notifier`]. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Tally(Vec<Arc<Queue>>);

impl Tally {
    /// The names of the webhooks, and their counts so far, in the order they were given.
    #[must_use]
    pub fn counts(&self) -> Vec<(String, Counts)> {
        self.0.iter().map(|queue| (queue.name().to_owned(), queue.counts())).collect()
    }
}

impl Notifier {
    /// Begins to watch. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or what is in it is no URL or no secret.
    pub fn start(gate: &Gate, webhooks: &[Webhook], retry: Retry) -> Result<Self, SetupError> {
        let mut senders = JoinSet::new();
        let mut queues = Vec::new();
        let mut outlets = Vec::new();
        for webhook in webhooks {
            let queue = Arc::new(Queue::new(webhook.name.clone()));
            let sender = Sender::new(webhook.clone(), retry)?;
            senders.spawn(deliver::work(sender, Arc::clone(&queue)));
            outlets.push((webhook.clone(), Arc::clone(&queue)));
            queues.push(queue);
        }
        let (finish, finished) = oneshot::channel();
        let watcher = tokio::spawn(Watcher::new(gate.clone(), outlets).run(finished));
        Ok(Self { senders, queues, watcher, finish })
    }

    /// What tells, now and later, what has become of the messages.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally(self.queues.clone())
    }

    /// Sends what is still to be told, but takes no longer than `patience`, and stops.
    pub async fn stop(mut self, patience: Duration) {
        // The watcher may have ended already, with the runtime.
        let _ = self.finish.send(());
        let idle = async {
            let _ = self.watcher.await;
            for queue in &self.queues {
                queue.idle().await;
            }
        };
        if tokio::time::timeout(patience, idle).await.is_err() {
            tracing::warn!("messages about holds were not delivered before the stop");
        }
        self.senders.abort_all();
    }
}
