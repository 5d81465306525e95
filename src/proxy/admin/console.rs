//! One session of the virtual database: the protocol, and what commands do.
//!
//! The state is Postgres': an error in the extended protocol skips to the next Sync, one inside a transaction block
//! fails the block. A block changes nothing here (drivers open one before their first command); so that nobody takes a
//! decision for one that can be rolled back, deciding inside a block is refused as Postgres refuses VACUUM there.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::answer::{self, Shown, Table};
use super::command::{self, Command, Values, Which, Wrong};
use super::rights::{Rights, Superuser};
use crate::audit::{Record, RecordKind};
use crate::gate::{Approve, Approver, Hold, HoldId, HoldView, Origin, Refused};
use crate::proxy::Shared;
use crate::proxy::session::SessionIdentity;
use crate::wire::backend::TransactionStatus;
use crate::wire::frontend::{Bind, Execute, Named, Parse, Query, Target, significant};
use crate::wire::{DecodeError, FrontendTag, Report, encode};

/// How long an answer waits for a blast radius that is being computed.
const RADIUS_PATIENCE: Duration = Duration::from_secs(3);
/// Prepared statements, and portals, of one session.
const MOST_NAMES: usize = 256;
/// Of how many holds a session remembers what it was shown.
const MOST_SHOWN: usize = 4_096;

/// The longest text of one session's names, in bytes: they are kept.
const LONGEST_NAME: usize = 64;

pub(super) struct Console {
    shared: Arc<Shared>,
    who: SessionIdentity,
    rights: Rights,
    /// What this session was shown of each hold: its digest. Nothing else can be approved here.
    shown: HashMap<HoldId, String>,
    statements: HashMap<Vec<u8>, Prepared>,
    portals: HashMap<Vec<u8>, Portal>,
    transaction: TransactionStatus,
    skipping: Skipping,
    commands: u64,
    /// For the client.
    pub(super) out: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Skipping {
    No,
    ToSync,
}

/// Whether the session goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    On,
    Over,
}

struct Prepared {
    text: Arc<[u8]>,
    command: Command,
    parameters: usize,
    /// The types that the client declared.
    types: Vec<u32>,
}

struct Portal {
    text: Arc<[u8]>,
    command: Command,
    values: Vec<Option<String>>,
    /// What is left of the answer once it has begun.
    rest: Option<VecDeque<Vec<Option<String>>>>,
}

/// What a command came to.
enum Answer {
    /// Rows and a tag.
    Table(Table, &'static str),
    /// A tag.
    Tag(&'static str),
    /// There was no command.
    Empty,
}

impl From<Wrong> for Report {
    fn from(wrong: Wrong) -> Self {
        let mut report = Self::error(wrong.sqlstate, wrong.message);
        report.position = wrong.position;
        report.hint = wrong.hint.map(str::to_owned);
        report
    }
}

impl From<Refused> for Report {
    fn from(refused: Refused) -> Self {
        let sqlstate = match refused {
            Refused::Unknown(_) => "42704",
            Refused::OwnStatement(_) | Refused::NoApprover(_) => "42501",
            Refused::Unrecorded(_) => "58030",
            _ => "55000",
        };
        let hint = match refused {
            Refused::Unknown(_) => Some("SHOW HOLDS ALL shows what waits and what ended lately."),
            Refused::Changed(_) => Some("Look at it again: SHOW HOLD 'id'."),
            ref other => other.hint(),
        };
        let mut report = Self::error(sqlstate, format!("pgsluice: {refused}"));
        report.hint = hint.map(str::to_owned);
        report
    }
}

impl Console {
    pub(super) fn new(shared: Arc<Shared>, who: SessionIdentity, superuser: Superuser) -> Self {
        let rights = Rights::of(&who.identity, superuser, &shared.gate);
        Self {
            shared,
            who,
            rights,
            shown: HashMap::new(),
            statements: HashMap::new(),
            portals: HashMap::new(),
            transaction: TransactionStatus::Idle,
            skipping: Skipping::No,
            commands: 0,
            out: Vec::new(),
        }
    }

    /// Deals with one message.
    ///
    /// # Errors
    ///
    /// It is not what its type says; the session ends.
    pub(super) async fn message(&mut self, tag: FrontendTag, body: &[u8]) -> Result<Flow, DecodeError> {
        if self.skipping == Skipping::ToSync && !matches!(tag, FrontendTag::Sync | FrontendTag::Terminate) {
            return Ok(Flow::On);
        }
        let extended = match tag {
            FrontendTag::Terminate => return Ok(Flow::Over),
            FrontendTag::Query => {
                self.query(Query::decode(body)?.sql).await;
                return Ok(Flow::On);
            }
            FrontendTag::Sync => {
                self.skipping = Skipping::No;
                self.ready();
                return Ok(Flow::On);
            }
            // Postgres takes and ignores COPY data outside of a COPY.
            FrontendTag::Flush | FrontendTag::CopyData | FrontendTag::CopyDone | FrontendTag::CopyFail => Ok(()),
            FrontendTag::FunctionCall => {
                self.error(&Report::error("0A000", "pgsluice: this database has no functions"));
                self.ready();
                return Ok(Flow::On);
            }
            FrontendTag::Parse => self.parse(&Parse::decode(body)?),
            FrontendTag::Bind => self.bind(&Bind::decode(body)?),
            FrontendTag::Describe => self.describe(&Named::decode(body)?),
            FrontendTag::Execute => self.execute(&Execute::decode(body)?).await,
            FrontendTag::Close => {
                self.close(&Named::decode(body)?);
                Ok(())
            }
        };
        if let Err(report) = extended {
            self.error(&report);
            self.skipping = Skipping::ToSync;
        }
        Ok(Flow::On)
    }

    fn ready(&mut self) {
        if self.transaction == TransactionStatus::Idle {
            self.portals.clear();
        }
        encode::ready_for_query(&mut self.out, self.transaction);
    }

    fn error(&mut self, report: &Report) {
        report.encode(&mut self.out);
        if self.transaction == TransactionStatus::InTransaction {
            self.transaction = TransactionStatus::Failed;
        }
    }

    async fn query(&mut self, text: &[u8]) {
        match self.answer_to(text).await {
            Ok(Answer::Table(table, tag)) => {
                encode::row_description(&mut self.out, table.columns);
                for row in &table.rows {
                    encode::data_row(&mut self.out, row);
                }
                encode::command_complete(&mut self.out, tag);
            }
            Ok(Answer::Tag(tag)) => encode::command_complete(&mut self.out, tag),
            Ok(Answer::Empty) => encode::empty_query_response(&mut self.out),
            Err(report) => self.error(&report),
        }
        self.ready();
    }

    async fn answer_to(&mut self, text: &[u8]) -> Result<Answer, Report> {
        let parsed = command::parse(text, Values::Unbound)?;
        if parsed.parameters > 0 {
            return Err(Report::error("42P02", "there is no parameter $1"));
        }
        self.run(text, parsed.command, &[]).await
    }

    // The extended protocol

    fn parse(&mut self, message: &Parse<'_>) -> Result<(), Report> {
        let parsed = command::parse(message.sql, Values::Unbound)?;
        self.not_failed(&parsed.command)?;
        let name = significant(message.name);
        if !name.is_empty() && self.statements.contains_key(name) {
            let name = String::from_utf8_lossy(name);
            return Err(Report::error("42P05", format!("prepared statement \"{name}\" already exists")));
        }
        if self.statements.len() >= MOST_NAMES {
            return Err(too_many("prepared statements"));
        }
        let prepared = Prepared {
            text: message.sql.into(),
            command: parsed.command,
            parameters: parsed.parameters,
            types: message.parameter_types.iter().collect(),
        };
        self.statements.insert(name.to_vec(), prepared);
        encode::parse_complete(&mut self.out);
        Ok(())
    }

    fn bind(&mut self, message: &Bind<'_>) -> Result<(), Report> {
        let (name, portal) = (significant(message.statement), significant(message.portal));
        let prepared = self.statements.get(name).ok_or_else(|| no_statement(name))?;
        if message.values.len() != prepared.parameters {
            let text = format!(
                "bind message supplies {} parameters, but prepared statement \"{}\" requires {}",
                message.values.len(),
                String::from_utf8_lossy(name),
                prepared.parameters
            );
            return Err(Report::error("08P01", text));
        }
        let text = |(index, value): (usize, Option<&[u8]>)| {
            let declared = prepared.types.get(index).copied().unwrap_or(0);
            value.map(|value| value_text(value, declared, message.formats.of(index).unwrap_or(0))).transpose()
        };
        let values: Vec<_> = message.values.iter().enumerate().map(text).collect::<Result<_, _>>()?;
        let parsed = command::parse(&prepared.text, Values::Bound(&values))?;
        self.not_failed(&parsed.command)?;
        if !portal.is_empty() && self.portals.contains_key(portal) {
            let portal = String::from_utf8_lossy(portal);
            return Err(Report::error("42P03", format!("cursor \"{portal}\" already exists")));
        }
        if self.portals.len() >= MOST_NAMES {
            return Err(too_many("portals"));
        }
        let text = Arc::clone(&prepared.text);
        self.portals.insert(portal.to_vec(), Portal { text, command: parsed.command, values, rest: None });
        encode::bind_complete(&mut self.out);
        Ok(())
    }

    fn describe(&mut self, message: &Named<'_>) -> Result<(), Report> {
        let name = significant(message.name);
        let columns = match message.target {
            Target::Statement => {
                let prepared = self.statements.get(name).ok_or_else(|| no_statement(name))?;
                encode::parameter_description(&mut self.out, prepared.parameters);
                columns(&prepared.command)
            }
            Target::Portal => columns(&self.portals.get(name).ok_or_else(|| no_portal(name))?.command),
        };
        if columns.is_empty() {
            encode::no_data(&mut self.out);
        } else {
            encode::row_description(&mut self.out, columns);
        }
        Ok(())
    }

    async fn execute(&mut self, message: &Execute<'_>) -> Result<(), Report> {
        let name = significant(message.portal);
        let portal = self.portals.get_mut(name).ok_or_else(|| no_portal(name))?;
        let (command, text) = (portal.command.clone(), Arc::clone(&portal.text));
        let mut rest = match portal.rest.take() {
            Some(rest) => rest,
            None => {
                let values = std::mem::take(&mut portal.values);
                match self.run(&text, command.clone(), &values).await? {
                    Answer::Table(table, _) => table.rows.into(),
                    Answer::Tag(tag) => {
                        encode::command_complete(&mut self.out, tag);
                        return Ok(());
                    }
                    Answer::Empty => {
                        encode::empty_query_response(&mut self.out);
                        return Ok(());
                    }
                }
            }
        };
        let limit = usize::try_from(message.max_rows).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
        for _ in 0..limit {
            let Some(row) = rest.pop_front() else { break };
            encode::data_row(&mut self.out, &row);
        }
        if rest.is_empty() {
            encode::command_complete(&mut self.out, tag(&command));
        } else {
            encode::portal_suspended(&mut self.out);
        }
        // The answer is never made a second time: a decision is taken once.
        if let Some(portal) = self.portals.get_mut(name) {
            portal.rest = Some(rest);
        }
        Ok(())
    }

    fn close(&mut self, message: &Named<'_>) {
        let name = significant(message.name);
        match message.target {
            Target::Statement => drop(self.statements.remove(name)),
            Target::Portal => drop(self.portals.remove(name)),
        }
        encode::close_complete(&mut self.out);
    }

    // Commands

    fn not_failed(&self, command: &Command) -> Result<(), Report> {
        let ends = matches!(command, Command::Commit | Command::Rollback);
        if self.transaction == TransactionStatus::Failed && !ends {
            let text = "current transaction is aborted, commands ignored until end of transaction block";
            return Err(Report::error("25P02", text));
        }
        Ok(())
    }

    async fn run(&mut self, text: &[u8], command: Command, values: &[Option<String>]) -> Result<Answer, Report> {
        self.not_failed(&command)?;
        let tag = tag(&command);
        let table = match command {
            Command::Empty => return Ok(Answer::Empty),
            Command::Ignored(tag) => return Ok(Answer::Tag(tag)),
            Command::Begin => {
                self.transaction = TransactionStatus::InTransaction;
                return Ok(Answer::Tag(tag));
            }
            Command::Commit | Command::Rollback => {
                let failed = self.transaction == TransactionStatus::Failed;
                self.transaction = TransactionStatus::Idle;
                return Ok(Answer::Tag(if failed { "ROLLBACK" } else { tag }));
            }
            Command::ShowHolds(which) => self.holds(which),
            Command::ShowHold(id) => self.hold(&id).await?,
            Command::ShowSessions => self.sessions(),
            Command::ShowStats => self.stats(),
            Command::ShowVersion => {
                let version = format!("pgsluice {}", env!("CARGO_PKG_VERSION"));
                Table { columns: answer::VERSION, rows: vec![vec![Some(version)]] }
            }
            Command::ShowHelp => answer::help(),
            Command::Approve { .. } | Command::Deny { .. } | Command::Withdraw { .. } => {
                self.decide(text, command, values).await?
            }
        };
        Ok(Answer::Table(table, tag))
    }

    fn holds(&mut self, which: Which) -> Table {
        let mut holds = match which {
            Which::All => self.shared.gate.recent(),
            Which::Waiting => Vec::new(),
        };
        holds.extend(self.shared.gate.list());
        let mut table = Table { columns: answer::HOLDS, rows: Vec::new() };
        for hold in holds.iter().filter(|hold| self.rights.see(&self.who, hold)) {
            let view = HoldView::from(hold.as_ref());
            let (row, shown) = answer::listed(&view);
            table.rows.push(row);
            match shown {
                Shown::Whole => Self::note(&mut self.shown, view),
                // What was seen of it before is not what it is now, perhaps.
                Shown::Part => {}
            }
        }
        table
    }

    fn note(shown: &mut HashMap<HoldId, String>, view: HoldView) {
        if shown.len() >= MOST_SHOWN {
            shown.clear();
        }
        shown.insert(view.id, view.digest);
    }

    /// A hold that this session may look at. Others are as if they were not there.
    fn find(&self, id: &HoldId) -> Result<Arc<Hold>, Report> {
        let hold = self.shared.gate.show(id).filter(|hold| self.rights.see(&self.who, hold));
        hold.ok_or_else(|| Refused::Unknown(id.clone()).into())
    }

    async fn hold(&mut self, id: &HoldId) -> Result<Table, Report> {
        self.find(id)?;
        self.shared.gate.radius_settled(id, RADIUS_PATIENCE).await;
        let view = HoldView::from(self.find(id)?.as_ref());
        let table = answer::whole(&view);
        Self::note(&mut self.shown, view);
        Ok(table)
    }

    fn sessions(&self) -> Table {
        let mut views = self.shared.sessions.list();
        if !self.rights.sees_all() {
            views.retain(|view| view.identity == *self.who.name);
        }
        answer::sessions(&views)
    }

    fn stats(&self) -> Table {
        let beside = self.shared.beside();
        let told = self.shared.statistics.to_json(&beside);
        answer::stats(&told, &beside, self.shared.log.failed().as_deref(), self.shared.analyses.count())
    }

    /// Decides on a hold. What was asked is in the log before it is done.
    async fn decide(&mut self, text: &[u8], command: Command, values: &[Option<String>]) -> Result<Table, Report> {
        let (Command::Approve { id, .. } | Command::Deny { id, .. } | Command::Withdraw { id, .. }) = &command else {
            return Err(Report::error("XX000", "pgsluice: this command decides nothing"));
        };
        if self.transaction != TransactionStatus::Idle {
            let text = format!("{} cannot run inside a transaction block", tag(&command));
            return Err(Report::error("25001", text)
                .detail("A decision cannot be rolled back.")
                .hint("Switch autocommit on."));
        }
        let id = id.clone();
        let allowed = self.may(&command, &id);
        self.record(text, values, &id, allowed.as_ref().err()).await?;
        allowed?;
        let origin = Origin::Login { address: self.who.client_address.clone() };
        let by = Approver { name: self.who.name.to_string(), origin };
        let gate = &self.shared.gate;
        let hold = match command {
            Command::Approve { reason, max_rows, .. } => {
                let digest = self.shown.get(&id).cloned();
                gate.approve(&id, &by, Approve { reason, max_rows, digest })?
            }
            Command::Deny { reason, .. } => gate.deny(&id, &by, reason)?,
            Command::Withdraw { reason, .. } => gate.withdraw(&id, &by, reason)?,
            _ => return Err(Refused::Unknown(id).into()),
        };
        Ok(answer::decided(&HoldView::from(hold.as_ref())))
    }

    /// Whether this session may do that. The gate's own rules come on top.
    fn may(&self, command: &Command, id: &HoldId) -> Result<(), Report> {
        self.find(id)?;
        if let (Some(why), Command::Approve { .. } | Command::Deny { .. }) = (self.rights.why_not(), command) {
            let who = &self.who.name;
            return Err(Report::error("42501", format!("pgsluice: {who} cannot decide here"))
                .detail(format!("{why}."))
                .hint(
                    "In pgsluice.toml, [[identity]] says who is a person (kind = \"human\"), approvers who may decide.",
                ));
        }
        if matches!(command, Command::Approve { .. }) && !self.shown.contains_key(id) {
            return Err(Report::error("55000", format!("pgsluice: {id} has not been shown in this session"))
                .detail("An approval is for what its approver has seen.")
                .hint(format!("Look at it first: SHOW HOLD '{id}'")));
        }
        Ok(())
    }

    async fn record(
        &mut self,
        text: &[u8],
        values: &[Option<String>],
        id: &HoldId,
        refused: Option<&Report>,
    ) -> Result<(), Report> {
        self.commands += 1;
        let mut record = Record::new(RecordKind::Intent);
        record.session = Some(Arc::clone(&self.who.id));
        record.identity = Some(Arc::clone(&self.who.name));
        record.database = Some(Arc::clone(&self.who.database));
        record.statement = Some(self.commands);
        record.sql = Some(String::from_utf8_lossy(text).into());
        record.params = (!values.is_empty()).then(|| values.to_vec());
        record.hold = Some(id.to_string().into());
        record.verdict = Some(if refused.is_some() { "deny".into() } else { "pass".into() });
        record.reason = refused.map(|report| report.message.as_str().into());
        record.sqlstate = refused.map(|report| report.code.into());
        self.shared.log.append(record).await.map_err(|error| {
            Report::error("58030", "pgsluice: the audit log cannot be written, so nothing is decided")
                .detail(error.to_string())
        })
    }
}

/// A value as text. We describe all parameters as text, whose binary format is its text; drivers that know better
/// declare a type of integers.
fn value_text(value: &[u8], declared: u32, format: u16) -> Result<String, Report> {
    let integer = match (format, declared) {
        (1, 21) => value.try_into().ok().map(|bytes| i64::from(i16::from_be_bytes(bytes))),
        (1, 23) => value.try_into().ok().map(|bytes| i64::from(i32::from_be_bytes(bytes))),
        (1, 20) => value.try_into().ok().map(i64::from_be_bytes),
        _ => None,
    };
    if let Some(integer) = integer {
        return Ok(integer.to_string());
    }
    let wrong = || Report::error("22021", "invalid byte sequence for encoding \"UTF8\"");
    String::from_utf8(value.to_vec()).map_err(|_| wrong())
}

const fn tag(command: &Command) -> &'static str {
    match command {
        Command::ShowHolds(_)
        | Command::ShowHold(_)
        | Command::ShowSessions
        | Command::ShowStats
        | Command::ShowVersion
        | Command::ShowHelp => "SHOW",
        Command::Approve { .. } => "APPROVE",
        Command::Deny { .. } => "DENY",
        Command::Withdraw { .. } => "WITHDRAW",
        Command::Begin => "BEGIN",
        Command::Commit => "COMMIT",
        Command::Rollback => "ROLLBACK",
        Command::Ignored(tag) => tag,
        Command::Empty => "",
    }
}

/// The columns of a command's answer; none where it has no rows.
const fn columns(command: &Command) -> &'static [&'static str] {
    match command {
        Command::ShowHolds(_) => answer::HOLDS,
        Command::ShowHold(_) => answer::HOLD,
        Command::ShowSessions => answer::SESSIONS,
        Command::ShowStats => answer::STATS,
        Command::ShowVersion => answer::VERSION,
        Command::ShowHelp => answer::HELP,
        Command::Approve { .. } | Command::Deny { .. } | Command::Withdraw { .. } => answer::DECIDED,
        Command::Begin | Command::Commit | Command::Rollback | Command::Ignored(_) | Command::Empty => &[],
    }
}

fn no_statement(name: &[u8]) -> Report {
    let name = String::from_utf8_lossy(&name[..name.len().min(LONGEST_NAME)]);
    let text = if name.is_empty() {
        "unnamed prepared statement does not exist".to_owned()
    } else {
        format!("prepared statement \"{name}\" does not exist")
    };
    Report::error("26000", text)
}

fn no_portal(name: &[u8]) -> Report {
    let name = String::from_utf8_lossy(&name[..name.len().min(LONGEST_NAME)]);
    Report::error("34000", format!("portal \"{name}\" does not exist"))
}

fn too_many(what: &str) -> Report {
    Report::error("53400", format!("pgsluice: a session of this database has {MOST_NAMES} {what} at most"))
        .hint("Close some.")
}
