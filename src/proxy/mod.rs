//! The data path: listener, login, sessions and the relay. And the virtual database beside it ([`admin`]).
//!
//! The way in: [`listener`] accepts a socket, [`entry`] takes it through startup and TLS and logs the client in
//! upstream with its own credentials, and hands over a [`LoggedIn`]; `connection` makes a session of it.
//!
//! A session is one client connection and its one upstream connection, driven by one task
//! (`relay`) on one of the [`workers`], whose `reactor` waits for the sockets of all its sessions at once. What the client says goes
//! message by message through `client_side`, what the server says through `server_side`; `decider` and `decide` turn a text
//! into a decision; `admission` is the wait for a person and for the log. The bytes that leave are the bytes that came
//! (`pipe`).
//!
//! # What one read costs
//!
//! A `SELECT` of `pgbench -S`, simple protocol, one client, by `scripts/instructions`: two `recvfrom`, two `sendto` and two
//! `epoll_wait`, as PgBouncer. In user space the thread of the session takes about 9,900 instructions; PgBouncer takes
//! 4,300. About 300 of them find the decision: the text is that of a statement before but for its literals, which one comparison
//! shows (`sql::fingerprint::Template`). The policy and the catalog take a few hundred, since what they said is remembered; 800 are
//! the reactor's, 1,300 make the record, and the rest is the frames of both sides, what a statement's end means for the session, and what
//! runs by the clock. The threads of the log come on top, most of it SHA-256.
//!
//! Between two turns of a session the processor runs the server and the client, so that little of all this is found in its
//! caches: it is the number of instructions that counts, about a microsecond for 1,000 to 1,500, and no function has more than a
//! fifteenth of them.
//!
//! Measuring itself (two looks at the clock a turn, three histograms) takes about 500 instructions of these, and nothing that
//! `pgbench` shows: 0.87 of PgBouncer's transactions a second without it, 0.90 with it, which is noise. Neither does another
//! allocator (jemalloc, mimalloc) or a lower priority of the log's threads. The functions in the order in which they run, and large
//! pages for the heap, each save two of forty microseconds: not enough to make the build depend on a list of symbols, or the
//! start on a variable of the C library. What the profile `dist` builds takes 8,300 instructions, and two microseconds less.

pub mod admin;
mod admission;
mod analyses;
mod applied;
mod asking;
mod authenticate;
pub mod cancel;
mod client_side;
mod connection;
mod decide;
mod decider;
pub mod entry;
mod examinable;
mod frames;
mod gate_records;
mod ground;
mod guard;
mod held;
pub mod listener;
pub mod login;
mod names;
mod ours;
mod outcome;
pub mod parameters;
mod passage;
mod pending;
mod pipe;
mod reactor;
mod refusal;
mod registry;
mod relay;
mod rules;
mod server_side;
mod session;
mod settings;
mod socket;
mod startup;
pub mod statistics;
pub mod stream;
mod sum;
mod temporary;
mod time_limits;
mod timing;
pub mod tls;
pub mod upstream;
mod values;
mod verdicts;
pub mod workers;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::audit::Log;
use crate::catalog::Catalog;
use crate::gate::Gate;
use crate::gate::functions::ApprovedFunctions;
use crate::policy::{Engine, Identity, IdentityKind};

pub use analyses::Analyses;
pub use connection::serve;
pub use entry::{Entered, Entry, EntryError, EntryLimits};
pub use examinable::Examinable;
pub use gate_records::{function_recorder, recorder};
pub use listener::{ListenAddress, Listener, ListenerLimits};
pub use login::{LoggedIn, LoginError};
pub use registry::{SessionView, Sessions};
pub use rules::PolicyRules;
pub use statistics::{Beside, LastStatement, Statistics};
pub use stream::{Peer, Stream};
pub use upstream::Upstream;
pub use verdicts::Verdicts;
pub use workers::Workers;

/// What all sessions of a proxy share.
#[derive(Debug)]
pub struct Shared {
    /// What may be chosen.
    pub options: Options,
    /// The policy in force.
    pub engine: ArcSwap<Engine>,
    /// What is known of the databases.
    pub catalog: Catalog,
    /// Where statements wait.
    pub gate: Gate,
    /// User code that passes.
    pub functions: ApprovedFunctions,
    /// Where everything is recorded.
    pub log: Log,
    /// Who is here.
    pub sessions: Sessions,
    /// What texts say.
    pub analyses: Analyses,
    /// What the policy said.
    pub verdicts: Arc<Verdicts>,
    /// What the sessions count.
    pub statistics: Statistics,
    /// What waits, for those who want to look at the rows.
    pub examinable: Examinable,
}

impl Shared {
    /// What is told beside what the sessions count.
    #[must_use]
    pub fn beside(&self) -> Beside {
        Beside {
            sessions: self.sessions.count(),
            holds: self.gate.list().len(),
            audit_queued: self.log.queued(),
            audit_durable_lag: self.log.durable_lag(),
            audit_failed: self.log.failed().is_some(),
        }
    }
}

/// What may be chosen.
#[derive(Clone)]
pub struct Options {
    /// How often the client of a held statement is told that it still waits.
    pub notice_interval: Duration,
    /// The longest message, in bytes, that is looked at and can be held.
    pub statement_bytes: usize,
    /// The kinds of identities whose reads the server has to enforce.
    pub enforce_reads: Vec<IdentityKind>,
    /// Who logs in with a role.
    pub identity_of: Arc<dyn Fn(&str) -> Identity + Send + Sync>,
    /// Tells the sessions of this run of the proxy from those of others: a part of their ids.
    pub run: String,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("notice_interval", &self.notice_interval)
            .field("statement_bytes", &self.statement_bytes)
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}
