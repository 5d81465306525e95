//! One session: a client, its upstream connection, and what we know of both.
//!
//! The state machine has no I/O of its own: [`relay`](super::relay) fills and drains the two [`Pipe`]s and calls
//! [`Session::advance`]; everything else is a plain function of what was read.
//!
//! # States
//!
//! ```text
//!            a statement passes: forwarded
//!          +------------------------------+
//!          v                              |
//!   +-> Reading --- must wait for a person, or for the log --> Admitting --granted/refused--+
//!   |      |                                                                                |
//!   |      +------- is read differently, depending on an answer --> Quieting --answered--+  |
//!   |                                                                                    |  |
//!   +------------------------------------------------------------------------------------+--+
//! any state --- client gone, server gone, proxy stops, protocol violated --> Over
//! ```
//!
//! `Refreshing` and `Analysing` are two more waits of that kind: for the catalog to be looked at, where the facts are too
//! old to decide with; and for a long text to be analysed. In none of the four anything that stands behind the message at
//! the head is looked at, let alone forwarded.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use jiff::Timestamp;

use super::Shared;
use super::admission::{Admission, Ending, Purpose, Underway};
use super::asking::{Asking, SeenWithin, Unseen};
use super::decide::{Decision, Epoch, Surroundings};
use super::decider::Decider;
use super::ground::Ground;
use super::guard::{Block, Guard};
use super::names::{Namespace, Portal, Prepared};
use super::pending::{MOST_PENDING, Unanswered};
use super::pipe::Pipe;
use super::refusal::Refusal;
use super::settings::{FollowedSearchPath, OwnSettings};
use super::statistics::Activity;
use super::temporary::TemporaryRelations;
use super::time_limits::{TimeLimits, Waits};
use super::timing::Timing;
use super::verdicts::OwnVerdicts;
use crate::audit::{Encoded, NotAppended, Record, RecordKind, Recorded, Scribe};
use crate::blast::NameContext;
use crate::gate::End;
use crate::policy::Identity;
use crate::sql::settings::{Encoding, ServerEncoding};
use crate::sql::{LexerSettings, Script};
use crate::wire::Report;
use crate::wire::backend::TransactionStatus;

/// How many buffers of records a session keeps.
const SPARE_BUFFERS: usize = 4;
/// Larger ones are given back.
const SPARE_BYTES: usize = 1024;

/// Who and what a session is, for records and approvers.
#[derive(Debug, Clone)]
pub(super) struct SessionIdentity {
    /// The session's id, unique among all sessions of this data directory.
    pub(super) id: Arc<str>,
    /// Who asks.
    pub(super) identity: Arc<Identity>,
    /// The identity's name once more, for records.
    pub(super) name: Arc<str>,
    /// The role that logged in.
    pub(super) role: String,
    /// The database.
    pub(super) database: Arc<str>,
    /// Where the client is.
    pub(super) client_address: String,
    /// What it calls itself.
    pub(super) application_name: String,
    /// The TLS version towards the client; `None` without TLS.
    pub(super) tls: Option<&'static str>,
}

/// What the session does with the message at the head of what the client sent.
pub(super) enum Stage {
    /// Reads on.
    Reading,
    /// Waits until the server has answered everything.
    Quieting,
    /// Waits until the catalog has been looked at: what is known of it is too old to decide with.
    Refreshing(std::pin::Pin<Box<dyn Future<Output = ()> + Send>>),
    /// Waits until a long text has been analysed, beside the thread that serves the sessions.
    Analysing(std::pin::Pin<Box<dyn Future<Output = Analysed> + Send>>),
    /// Waits for a person or for the log.
    Admitting {
        /// What is waited for.
        underway: Underway,
        /// What was decided for the message.
        decision: Arc<Decision>,
    },
    /// The wait is over: the message at the head is dealt with so.
    Admitted {
        /// What the wait ended with.
        admission: Admission,
        /// What was decided before it.
        decision: Arc<Decision>,
    },
    /// The session ends once what is under way to the client has left.
    Over,
}

/// A long text, analysed beside the session.
#[derive(Debug)]
pub(super) struct Analysed {
    /// How it was read.
    pub(super) settings: LexerSettings,
    /// What it says; or why nobody knows.
    pub(super) script: Result<Script, String>,
}

/// What is known of the meaning of what the client sends next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It is as we follow it.
    Followed,
    /// It depends on answers that are still to come.
    DependsOnAnswers,
}

/// A `COPY ... FROM STDIN` under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CopyState {
    /// None.
    None,
    /// The server takes data; it ignores Sync and Flush.
    In,
}

/// Whether the catalog was asked for the message at the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Not yet.
    No,
    /// It was: what is not known now is decided as not known.
    Yes,
}

/// Whether the server reported an error since it was last ready for a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    /// No.
    No,
    /// It did: a transaction that is over now was rolled back.
    Yes,
}

/// Whether the client has cancelled what the server has not got yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cancelled {
    /// Nothing.
    Nothing,
    /// The message at the head.
    AtTheHead,
}

/// What the approvals of user code were last taken over from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Followed {
    /// The version of the approvals.
    functions: u64,
    /// The version of the facts.
    facts: u64,
}

/// As which role a session acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// As the one that logged in.
    Login,
    /// It was set to another one, or code that we do not see through may have done that.
    Unknown,
}

/// What the server has said of the encoding that may have been changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EncodingTold {
    /// What was said last holds, also behind the transaction.
    Yes,
    /// What was said last holds until the transaction ends.
    WithinTransaction,
    /// Nothing yet: it says so before ReadyForQuery.
    No,
}

/// The settings that the server reports and that change what a statement's values mean, or who the session is.
const REPORTED: [&str; 7] = [
    "client_encoding",
    "DateStyle",
    "IntervalStyle",
    "is_superuser",
    "session_authorization",
    "standard_conforming_strings",
    "TimeZone",
];

/// The name under which a reported setting is followed; `None` for all others.
pub(super) fn reported_name(name: &str) -> Option<&'static str> {
    REPORTED.into_iter().find(|known| *known == name)
}

/// Whether the server throws messages away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Skipping {
    /// No.
    No,
    /// Up to the next Sync, since an error in the extended protocol.
    ToSync,
}

/// What was sent since the last Sync, which ends the transaction that a batch outside of a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Batch {
    /// No statement was executed.
    Begun,
    /// One was, and may have taken locks.
    Executed,
    /// A query was sent in its middle. From Postgres 18 on that does not end it: what the server then says is open ends with
    /// the Sync as well.
    Queried,
}

/// One session. See the module's documentation for its states.
pub(super) struct Session {
    pub(super) shared: Arc<Shared>,
    pub(super) who: SessionIdentity,
    /// What it does, for people who look.
    pub(super) activity: Arc<Activity>,
    /// What it measures of itself.
    pub(super) timing: Timing,
    pub(super) stage: Stage,
    pub(super) to_server: Pipe,
    pub(super) to_client: Pipe,
    /// What decisions rest on.
    pub(super) ground: Ground,
    pub(super) decider: Decider,
    pub(super) verdicts: OwnVerdicts,
    /// What was found out of the text at the head, where it is long.
    pub(super) analysed: Option<Analysed>,
    pub(super) statements: Namespace<Arc<Prepared>>,
    pub(super) portals: Namespace<Portal>,
    pub(super) unanswered: Unanswered,
    pub(super) skipping: Skipping,
    pub(super) asked: Asked,
    /// Whether messages of the extended protocol were sent since the last Sync.
    pub(super) segment_is_open: bool,
    pub(super) batch: Batch,
    /// The record of what was approved by the Bind being dealt with.
    pub(super) approved_at_bind: Option<Recorded>,
    /// Records that found the log's queue full, in order.
    pub(super) backlog: std::collections::VecDeque<Encoded>,
    /// Writes the records of this session's statements.
    pub(super) scribe: Scribe,
    /// Buffers of records that were written, to be used again.
    pub(super) spare: Vec<Vec<u8>>,
    pub(super) copy: CopyState,
    pub(super) transaction: TransactionStatus,
    /// Whether this transaction has changes whose record is not known to be durable.
    pub(super) changes_unsettled: bool,
    pub(super) meaning: Meaning,
    pub(super) failed: Failed,
    /// Counts the Syncs sent.
    pub(super) segment: u64,
    /// Counts the statements that may have changed names or settings.
    pub(super) uncertainty: u64,
    /// How text is read; an error where the session's encoding cannot be read safely.
    pub(super) lexer: Result<LexerSettings, String>,
    /// What is known of the encoding since something may have changed it.
    pub(super) told: EncodingTold,
    pub(super) conforming_strings: bool,
    pub(super) server_encoding: ServerEncoding,
    pub(super) names: NameContext,
    /// What the server lets a session or statement take, as far as it is known.
    pub(super) time_limits: TimeLimits,
    pub(super) search_path: FollowedSearchPath,
    pub(super) temporary: TemporaryRelations,
    /// Whether code ran that may have changed any of this.
    pub(super) unseen: Unseen,
    /// Which definitions the open transaction sees.
    pub(super) seen_within: SeenWithin,
    /// The question under way to the server.
    pub(super) asking: Option<Box<Asking>>,
    pub(super) cancelled: Cancelled,
    /// What prepared statements stood for before that code ran.
    pub(super) remembered: HashMap<Box<[u8]>, Arc<Prepared>, RandomState>,
    /// What our own statements, portals and savepoints are called.
    pub(super) token: String,
    /// Whether messages of ours may go to the server: not where it speaks replication.
    pub(super) interposes: bool,
    /// Whether the server is to enforce that reads only read.
    pub(super) enforces: bool,
    /// What of ours surrounds what the client sends.
    pub(super) guard: Guard,
    pub(super) block: Block,
    /// What the last ReadyForQuery said that the client was not told of.
    pub(super) swallowed: TransactionStatus,
    /// Counts what changes the meaning of names and text in this session.
    pub(super) session_epoch: u64,
    /// `SET pgsluice.reason` and its like.
    pub(super) own: OwnSettings,
    /// What those were at login.
    pub(super) own_at_login: OwnSettings,
    /// Whether it acts as the role that logged in.
    pub(super) role: Role,
    /// Which approvals of user code its names are resolved with.
    pub(super) approved: Followed,
    /// What the server reports of the settings that text and values are read with, and of who the session is.
    pub(super) reported: BTreeMap<&'static str, String>,
    /// Numbers the statements.
    pub(super) statement_count: u64,
    /// Messages of ours to the server that go before the message at the head, and behind it.
    pub(super) ahead: Vec<u8>,
    pub(super) behind: Vec<u8>,
    /// Notices and errors of ours that wait for the end of a frame on its way to the client.
    pub(super) say: Vec<u8>,
    pub(super) client_ended: bool,
    pub(super) server_ended: bool,
}

impl Session {
    /// What decisions rest on at this moment.
    pub(super) fn epoch(&mut self, functions: u64) -> Epoch {
        self.ground.check(&self.shared, &self.who.database, self.timing.now());
        let in_block = self.transaction != TransactionStatus::Idle;
        self.ground.epoch(in_block, functions, self.session_epoch)
    }

    /// Runs a decision with everything it needs.
    pub(super) fn decide_with<T>(&mut self, run: impl FnOnce(&mut Decider, &Surroundings<'_>) -> T) -> T {
        self.ground.check(&self.shared, &self.who.database, self.timing.now());
        self.follow_approved();
        let epoch = self.epoch(self.approved.functions);
        let around = Surroundings {
            engine: self.ground.engine(),
            identity: &self.who.identity,
            database: &self.who.database,
            facts: self.ground.facts(),
            names: &self.names,
            lexer: &self.lexer,
            analyses: &self.shared.analyses,
            statements: &self.statements,
            portals: &self.portals,
            in_block: self.transaction != TransactionStatus::Idle,
            epoch,
            verdicts: &self.verdicts,
        };
        run(&mut self.decider, &around)
    }

    /// Whether a decision still rests on what holds now.
    pub(super) fn is_current(&mut self, decision: &Decision) -> bool {
        let functions = self.shared.functions.version();
        decision.epoch == self.epoch(functions)
    }

    /// Takes over what user code is approved by now; sees to it that approvals end whose body has changed.
    fn follow_approved(&mut self) {
        let facts = self.ground.shared_facts();
        let now =
            Followed { functions: self.shared.functions.version(), facts: facts.map_or(0, |facts| facts.version) };
        if now == self.approved {
            return;
        }
        let approved = self.shared.functions.current();
        self.approved = Followed { functions: approved.version(), ..now };
        let code = approved.of(&self.who.database);
        self.names.approved = code.all;
        self.names.approved_unsettling = code.changes_session;
        if let Some(facts) = facts.filter(|facts| approved.is_outdated(facts)) {
            let (functions, facts) = (self.shared.functions.clone(), Arc::clone(facts));
            // They fit no body that there is, so nothing waits for this.
            tokio::spawn(async move { functions.drop_outdated(facts).await });
        }
    }

    /// Does all that can be done with what has been read. The relay calls it after every read and every answer
    /// to a wait.
    pub(super) fn advance(&mut self) {
        self.ground.is_to_be_checked();
        self.read_server();
        self.settle();
        self.read_client();
        self.speak();
    }

    /// Whether something that was read, or that we have to say, waits for its turn.
    pub(super) fn has_more(&self) -> bool {
        !self.to_server.undecided().is_empty() || !self.to_client.undecided().is_empty() || !self.say.is_empty()
    }

    /// Moves on from a wait that is over.
    fn settle(&mut self) {
        // A COPY waits for the client: it would wait for us in vain.
        if matches!(self.stage, Stage::Quieting) && (self.unanswered.is_empty() || self.copy == CopyState::In) {
            match self.asking.take() {
                Some(asking) => self.asked(asking),
                None => self.stage = Stage::Reading,
            }
        }
        if self.unanswered.is_empty() && self.meaning == Meaning::DependsOnAnswers {
            self.meaning = Meaning::Followed;
            self.names_changed();
        }
    }

    /// Whether the client's messages may be looked at.
    pub(super) fn reads_client(&self) -> bool {
        matches!(self.stage, Stage::Reading | Stage::Admitted { .. })
            && self.backlog.is_empty()
            && self.unanswered.len() < MOST_PENDING
            && self.guard != Guard::Closing
    }

    /// How long a hold that begins now may take, so that it ends before the server ends the session or the statement.
    pub(super) fn hold_cap(&self) -> Option<Duration> {
        let waits = if self.unanswered.is_empty() { Waits::Idle } else { Waits::WithinBatch };
        let facts = self.shared.catalog.current(&self.who.database);
        self.time_limits.cap(Instant::now(), self.transaction, waits, &self.who.role, facts.as_deref())
    }

    /// Where the facts are too old to decide with: waits for a look at the catalog, once a message.
    pub(super) fn refresh_first(&mut self) -> bool {
        self.ground.check(&self.shared, &self.who.database, self.timing.now());
        if self.asked == Asked::Yes || self.ground.facts().is_some() {
            return false;
        }
        self.asked = Asked::Yes;
        let (shared, database) = (Arc::clone(&self.shared), Arc::clone(&self.who.database));
        self.stage = Stage::Refreshing(Box::pin(async move {
            if let Err(error) = shared.catalog.refresh(&database).await {
                tracing::warn!(%database, %error, "statements that name anything wait for approval");
            }
        }));
        true
    }

    /// Starts a wait for the message at the head.
    pub(super) fn wait_for(&mut self, underway: Underway, decision: Arc<Decision>) {
        if underway.purpose == Purpose::Log {
            self.timing.waits_for_log();
        }
        self.stage = Stage::Admitting { underway, decision };
    }

    /// The wait for the message at the head is over.
    pub(super) fn admitted(&mut self, admission: Admission) {
        if let Stage::Admitting { decision, .. } = std::mem::replace(&mut self.stage, Stage::Reading) {
            self.timing.waited_for_log();
            self.stage = Stage::Admitted { admission, decision };
        }
    }

    /// Whether a person is waited for.
    pub(super) fn is_held(&self) -> bool {
        matches!(&self.stage, Stage::Admitting { underway, .. } if underway.purpose == Purpose::Person)
    }

    /// Ends a hold from the session's side. The message at the head is refused when the hold has ended.
    pub(super) fn end_hold(&mut self, end: End, reason: &str, refusal: Refusal) {
        if let Stage::Admitting { underway, .. } = &mut self.stage
            && let Some(sender) = underway.end.take()
        {
            // A receiver that is gone has decided already: its result is on the way.
            let _ = sender.send(Ending { end, reason: reason.to_owned(), refusal });
        }
    }

    /// A cancel request with this session's key has come. True: it is for the server.
    pub(super) fn cancel(&mut self) -> bool {
        if self.is_held() {
            self.end_hold(End::Withdrawn, "cancelled by the client", Refusal::cancelled());
            return false;
        }
        if self.asking.is_some() {
            // The server works on a question of ours. Meant is what the client has sent, which waits behind it.
            self.cancelled = Cancelled::AtTheHead;
            return false;
        }
        true
    }

    /// Ends the session with a word to the client, as the server would.
    pub(super) fn fail(&mut self, sqlstate: &'static str, message: &str) {
        tracing::debug!(session = %self.who.id, sqlstate, message, "session ends");
        self.say.extend_from_slice(&Report::fatal(sqlstate, message).to_bytes());
        self.over();
    }

    /// Ends the session without a word.
    pub(super) fn over(&mut self) {
        self.end_hold(End::Withdrawn, "the session ended", Refusal::session_over());
        self.stage = Stage::Over;
    }

    /// Says what waits to be said, between two frames.
    pub(super) fn speak(&mut self) {
        if !self.say.is_empty() && !self.to_client.inside_frame() {
            let say = std::mem::take(&mut self.say);
            self.to_client.insert(&say);
        }
    }

    /// A record of this session.
    pub(super) fn record(&self, kind: RecordKind) -> Box<Record> {
        let mut record = Box::new(Record::at(Timestamp::now(), kind));
        record.session = Some(Arc::clone(&self.who.id));
        record.identity = Some(Arc::clone(&self.who.name));
        record.database = Some(Arc::clone(&self.who.database));
        record
    }

    /// Gives a record to the log; if its queue is full, keeps it and reads nothing more until it has room.
    pub(super) fn append(&mut self, record: Record) {
        self.append_encoded(Encoded::of(record));
    }

    /// The same of an encoded one.
    pub(super) fn append_encoded(&mut self, record: Encoded) {
        if !self.backlog.is_empty() {
            self.backlog.push_back(record);
            return;
        }
        match self.shared.log.try_append_encoded(&record) {
            Ok(()) => self.spare(record.into_buffer()),
            Err(NotAppended::Full) => self.backlog.push_back(record),
            // The next statement is refused with this error.
            Err(NotAppended::Failed(error)) => tracing::error!(%error, "a record could not be written"),
        }
    }

    /// Keeps a buffer for the next record.
    pub(super) fn spare(&mut self, buffer: Vec<u8>) {
        if self.spare.len() < SPARE_BUFFERS && buffer.capacity() <= SPARE_BYTES {
            self.spare.push(buffer);
        }
    }
}

/// How text in a client's encoding is read; why not, where it cannot be read safely.
pub(super) fn lexer_settings(
    client_encoding: &str,
    standard_conforming_strings: bool,
    server_encoding: ServerEncoding,
) -> Result<LexerSettings, String> {
    match Encoding::from_client_encoding(client_encoding) {
        Ok(encoding) => Ok(LexerSettings { standard_conforming_strings, encoding, server_encoding }),
        Err(refused) => Err(refused.to_string()),
    }
}
