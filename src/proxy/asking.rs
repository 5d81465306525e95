//! What a session is after code that we cannot see through has run in it (DO, CALL, functions of users, statements that
//! are not understood): the server is asked, before the client's next message is looked at.
//!
//! It is asked between two messages, when nothing is under way; never in a failed transaction, and in an open one behind
//! a savepoint, so that a failure of ours is none of the client's. What the server does not tell stays unknown.
//!
//! A statement that the client prepared by the protocol is what we saw if its name, its text and its origin are the same:
//! code in the server can only make statements by SQL. Everything else is read anew, and only where its text means the
//! same whatever settings it was read with; cursors, which were opened with a search path that nobody tells, as if that
//! path were any.

use std::sync::{Arc, LazyLock};

use super::decide::{Decision, judge};
use super::names::{Lifetime, MOST_NAMES, Portal, PortalState, Prepared};
use super::ours::{self, Purpose, Ready};
use super::session::{Role, Session, Stage};
use super::temporary::Seen as SeenRelation;
use crate::blast::SearchPath;
use crate::blast::facts::Seen;
use crate::catalog::queries::{COLUMNS_FINGERPRINT, FINGERPRINT};
use crate::policy::Outcome;
use crate::sql::{self, SessionChange, Statement};
use crate::wire::backend::TransactionStatus;
use crate::wire::reader::Reader;

/// Answers longer than this, in bytes, are not kept whole.
const MOST_BYTES: usize = 16 << 20;
/// How many relations, statements and cursors each are asked for: the number in [`QUESTION`].
const MOST_ROWS: usize = 10_000;

/// Names are qualified and operators named, since the search path may be anybody's. What a default or a check calls
/// stands in the catalog as a tree: of the server's functions those are let through that make usual defaults or cut
/// values to their column's length.
const QUESTION: &str = r#"
select 'setting', s.name, s.setting, null from pg_catalog.pg_settings s
where s.name operator(pg_catalog.=) any ('{search_path,idle_in_transaction_session_timeout,idle_session_timeout,statement_timeout,transaction_timeout}'::pg_catalog.text[])
union all select 'role', current_user::pg_catalog.text, null, null
union all (select 'relation', c.relname::pg_catalog.text,
  (c.relkind operator(pg_catalog.=) any ('{r,S,i,t}'::pg_catalog."char"[]) and not c.relhasrules and not c.relrowsecurity
    and not exists (select from pg_catalog.pg_trigger g where g.tgrelid operator(pg_catalog.=) c.oid and not g.tgisinternal)
    and not exists (select from pg_catalog.pg_inherits h
      where h.inhparent operator(pg_catalog.=) c.oid or h.inhrelid operator(pg_catalog.=) c.oid)
    and not exists (select from pg_catalog.pg_attribute a where a.attrelid operator(pg_catalog.=) c.oid
      and a.atttypid operator(pg_catalog.>=) 16384::pg_catalog.oid)
    and not exists (select from pg_catalog.pg_index i where i.indrelid operator(pg_catalog.=) c.oid
      and (i.indexprs is not null or i.indpred is not null or exists (select from pg_catalog.pg_depend d
        where d.classid operator(pg_catalog.=) 1259::pg_catalog.oid and d.objid operator(pg_catalog.=) i.indexrelid
        and d.refclassid operator(pg_catalog.=) 2616::pg_catalog.oid)))
    and not exists (select from (
        select d.adbin::pg_catalog.text from pg_catalog.pg_attrdef d where d.adrelid operator(pg_catalog.=) c.oid
        union all select k.conbin::pg_catalog.text from pg_catalog.pg_constraint k where k.conrelid operator(pg_catalog.=) c.oid
      ) e(tree) where e.tree operator(pg_catalog.~)
        ':funcid (?!(1574|1299|3432|1598|2647|668|669|1703|1740|1781|480|481) )|:(opno|opfuncid|aggfnoid|winfnoid) (1[6-9][0-9]{3}|[2-9][0-9]{4}|[0-9]{6,}) ')
  )::pg_catalog.text, null
  from pg_catalog.pg_class c where c.relnamespace operator(pg_catalog.=) pg_catalog.pg_my_temp_schema() limit 10000)
union all (select 'relation', t.typname::pg_catalog.text, 'false', null from pg_catalog.pg_type t
  where t.typnamespace operator(pg_catalog.=) pg_catalog.pg_my_temp_schema() and t.typrelid operator(pg_catalog.=) 0
    and t.typelem operator(pg_catalog.=) 0 limit 10000)
union all (select 'statement', p.name, p.statement, p.from_sql::pg_catalog.text from pg_catalog.pg_prepared_statements p
  where pg_catalog.octet_length(p.statement) operator(pg_catalog.<=) 65536 limit 10000)
union all (select 'cursor', c.name, c.statement, c.is_holdable::pg_catalog.text from pg_catalog.pg_cursors c
  where pg_catalog.octet_length(c.statement) operator(pg_catalog.<=) 65536 limit 10000)
"#;

/// The same within a transaction, and whether that sees other definitions than those the facts are from.
static QUESTION_WITHIN: LazyLock<String> =
    LazyLock::new(|| format!("{QUESTION} union all {}", *QUESTION_OF_DEFINITIONS));

/// Whether a transaction sees the same definitions as before, nothing else.
static QUESTION_OF_DEFINITIONS: LazyLock<String> =
    LazyLock::new(|| format!("select 'definitions', ({FINGERPRINT}), ({COLUMNS_FINGERPRINT}), null"));

/// Whether code ran in the session that we could not see through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unseen {
    /// No, or the server has been asked since.
    No,
    /// The server was asked within a transaction: it is again when that is over.
    UntilIdle,
    /// The server is to be asked.
    Due,
    /// It was asked in vain: it is again when the client has been answered once more.
    Tried,
}

/// A question under way.
#[derive(Debug, Default)]
pub(super) struct Asking {
    scope: Scope,
    rows: Vec<Row>,
    bytes: usize,
    end: End,
    phase: Phase,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Scope {
    /// What the session is by now.
    #[default]
    Session,
    /// Which definitions its transaction sees behind one of which the text tells: what runs later is compared with that.
    Definitions,
}

/// Which definitions the open transaction sees.
#[derive(Debug, Default)]
pub(super) struct SeenWithin {
    last: Option<Seen>,
    due: bool,
}

impl SeenWithin {
    /// The transaction has defined something, by its text.
    pub(super) const fn is_due(&mut self) {
        self.due = true;
    }
}

/// How the answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum End {
    #[default]
    Whole,
    /// There is more than we keep, or it is not what was asked for.
    Cut,
    /// An error.
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Asked,
    /// What failed is being undone.
    RollingBack,
}

/// One row of the answer.
#[derive(Debug)]
struct Row {
    kind: Box<[u8]>,
    name: Box<[u8]>,
    text: Option<Box<[u8]>>,
    /// The statement was made by SQL; the cursor is held.
    flag: bool,
}

impl Asking {
    /// A row has come.
    pub(super) fn row(&mut self, body: &[u8]) {
        self.bytes = self.bytes.saturating_add(body.len());
        match decoded(body) {
            Some(row) if self.bytes <= MOST_BYTES => self.rows.push(row),
            _ if self.end == End::Whole => self.end = End::Cut,
            _ => {}
        }
    }

    /// An error has come.
    pub(super) const fn failed(&mut self) {
        self.end = End::Failed;
    }

    fn of_kind(&self, kind: &'static [u8]) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| *row.kind == *kind)
    }
}

fn decoded(body: &[u8]) -> Option<Row> {
    let mut reader = Reader::new(body);
    if reader.u16().ok()? != 4 {
        return None;
    }
    let (kind, name) = (reader.value().ok()??, reader.value().ok()??);
    let (text, flag) = (reader.value().ok()?, reader.value().ok()?);
    Some(Row { kind: kind.into(), name: name.into(), text: text.map(Into::into), flag: flag == Some(b"true") })
}

impl Session {
    /// Code runs that we cannot see through.
    pub(super) fn unseen(&mut self) {
        self.unseen = Unseen::Due;
        self.temporary.unseen();
        self.names_changed();
    }

    /// Where the server has to be asked before the message at the head is looked at: asks it, once it has answered
    /// everything else. Whether there is something to wait for.
    pub(super) fn ask_first(&mut self) -> bool {
        let within = self.transaction == TransactionStatus::InTransaction;
        let scope = if self.unseen == Unseen::Due { Scope::Session } else { Scope::Definitions };
        if (scope == Scope::Definitions && !(within && self.seen_within.due))
            || !self.interposes
            || self.segment_is_open
            || self.transaction == TransactionStatus::Failed
        {
            return false;
        }
        if !self.unanswered.is_empty() {
            let waits = self.unanswered.will_be_answered();
            if waits {
                self.stage = Stage::Quieting;
            }
            return waits;
        }
        let (out, unanswered, token) = (&mut self.ahead, &mut self.unanswered, &self.token);
        if within {
            ours::run(out, unanswered, token, &format!("savepoint {token}"), Purpose::Asks);
        }
        let question: &str = match scope {
            Scope::Definitions => &QUESTION_OF_DEFINITIONS,
            Scope::Session if within => &QUESTION_WITHIN,
            Scope::Session => QUESTION,
        };
        ours::run(out, unanswered, token, question, Purpose::Asks);
        if within {
            ours::run(out, unanswered, token, &format!("release savepoint {token}"), Purpose::Asks);
        }
        ours::sync(out, unanswered, Ready::Swallowed);
        self.seen_within.due = false;
        self.asking = Some(Box::new(Asking { scope, ..Asking::default() }));
        self.stage = Stage::Quieting;
        true
    }

    /// The server has answered.
    pub(super) fn asked(&mut self, mut asking: Box<Asking>) {
        if asking.end == End::Failed && asking.phase == Phase::Asked && self.swallowed == TransactionStatus::Failed {
            let (out, unanswered, token) = (&mut self.ahead, &mut self.unanswered, &self.token);
            asking.phase = Phase::RollingBack;
            ours::run(out, unanswered, token, &format!("rollback to savepoint {token}"), Purpose::Asks);
            ours::run(out, unanswered, token, &format!("release savepoint {token}"), Purpose::Asks);
            ours::sync(out, unanswered, Ready::Swallowed);
            self.asking = Some(asking);
            return;
        }
        self.stage = Stage::Reading;
        if asking.scope == Scope::Definitions {
            self.learn_definitions(&asking);
            return;
        }
        if asking.end == End::Failed {
            tracing::warn!(session = %self.who.id, "the server does not say what code has changed in the session");
            self.unseen = Unseen::Tried;
            return;
        }
        let idle = self.transaction == TransactionStatus::Idle;
        self.unseen = if idle { Unseen::No } else { Unseen::UntilIdle };
        self.learn_settings(&asking);
        self.learn_definitions(&asking);
        self.learn_relations(&asking);
        // What is read anew is read with the names as they are now.
        self.names_changed();
        self.session_epoch += 1;
        self.learn_statements(&asking);
        self.learn_cursors(&asking);
    }

    /// What the server sent, where that can be read.
    fn received<'a>(&self, bytes: &'a [u8]) -> Option<&'a str> {
        std::str::from_utf8(bytes).ok().filter(|text| text.is_ascii() || self.receives_utf8())
    }

    fn learn_settings(&mut self, asking: &Asking) {
        let within = self.transaction != TransactionStatus::Idle;
        for row in asking.of_kind(b"setting") {
            let value = row.text.as_deref().and_then(|text| self.received(text));
            if *row.name == *b"search_path" {
                self.search_path.learned(value.map_or(SearchPath::Unknown, SearchPath::parse), within);
            } else if let Ok(name) = std::str::from_utf8(&row.name) {
                self.time_limits.learned(name, value, within);
            }
        }
        if let Some(role) = asking.of_kind(b"role").next() {
            self.names.role = String::from_utf8_lossy(&role.name).into_owned();
            self.role = if self.names.role == self.who.role { Role::Login } else { Role::Unknown };
        }
    }

    /// What was run may have defined something, or has not.
    fn learn_definitions(&mut self, asking: &Asking) {
        let seen = asking.of_kind(b"definitions").next().and_then(|row| {
            let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
            Some(Seen { definitions: text(&row.name)?, columns: text(row.text.as_deref()?)? })
        });
        if let Some(seen) = &seen {
            if self.ground.facts().is_some_and(|facts| facts.seen == *seen) {
                self.names.definitions.forget();
            } else if asking.scope == Scope::Session && self.seen_within.last.as_ref() == Some(seen) {
                self.names.definitions.code_defined_nothing();
            } else {
                self.names.definitions.code_may_have_defined();
            }
            self.session_epoch += 1;
        }
        self.seen_within.last = seen;
    }

    fn learn_relations(&mut self, asking: &Asking) {
        let mut seen = Vec::new();
        let mut count = 0;
        for row in asking.of_kind(b"relation") {
            count += 1;
            // A name that we cannot read is one that we cannot tell from others.
            let Some(name) = self.received(&row.name) else { continue };
            let plain = row.text.as_deref() == Some(b"true");
            seen.push((name.to_owned(), if plain { SeenRelation::Plain } else { SeenRelation::RunsCode }));
        }
        let whole = asking.end == End::Whole && count < MOST_ROWS && count == seen.len();
        self.temporary.learned(seen, whole, self.transaction != TransactionStatus::Idle);
    }

    fn learn_statements(&mut self, asking: &Asking) {
        let remembered = std::mem::take(&mut self.remembered);
        for row in asking.of_kind(b"statement") {
            let Some(text) = row.text.as_deref() else { continue };
            let (name, from_sql) = (&*row.name, row.flag);
            let known = remembered.get(name).filter(|known| !from_sql && !text.is_empty() && *known.text == *text);
            let prepared = match known {
                Some(known) => Some(Arc::clone(known)),
                None => self.read_statement(name, text, from_sql),
            };
            if let Some(prepared) = prepared {
                self.statements.insert(name, prepared);
            }
        }
    }

    /// A prepared statement that we did not see being made.
    fn read_statement(&mut self, name: &[u8], text: &[u8], from_sql: bool) -> Option<Arc<Prepared>> {
        let statements = self.read_text(text)?;
        if !from_sql {
            let decision = self.decide_with(|_, around| judge(&statements, around));
            return Some(Arc::new(Prepared::new(
                text.into(),
                &[],
                Arc::new(decision),
                self.read_with(),
                (self.segment, self.uncertainty),
            )));
        }
        let name = std::str::from_utf8(name).ok()?;
        let mut bodies = statements.iter().flat_map(|statement| &statement.session).filter_map(|change| match change {
            SessionChange::Prepare { name: each, body } if each == name => Some(body),
            _ => None,
        });
        let (Some(body), None) = (bodies.next(), bodies.next()) else { return None };
        let decision = self.decide_with(|_, around| judge(std::slice::from_ref(body), around));
        let prepared =
            Prepared::new([].into(), &[], Arc::new(decision), self.read_with(), (self.segment, self.uncertainty));
        Some(Arc::new(prepared.with_body(text.get(body.span.clone()))))
    }

    fn learn_cursors(&mut self, asking: &Asking) {
        for row in asking.of_kind(b"cursor") {
            let Some(statements) = row.text.as_deref().and_then(|text| self.read_text(text)) else { continue };
            let [statement] = statements.as_slice() else { continue };
            let body = statement.session.iter().find_map(|change| match change {
                SessionChange::DeclareCursor { body, .. } => Some(&**body),
                _ => None,
            });
            let decision = self.decide_anywhere(body.unwrap_or(statement));
            let state = match decision.verdict.outcome {
                Outcome::Pass => PortalState::Open,
                _ => PortalState::NeedsApproval,
            };
            let lifetime = match (row.flag, self.transaction) {
                (true, TransactionStatus::Idle) => Lifetime::Session,
                (true, _) => Lifetime::Commits,
                (false, _) => Lifetime::Transaction,
            };
            let portal =
                Portal { prepared: None, decision: Arc::new(decision), bind: None, state, record: None, lifetime };
            self.portals.insert(&row.name, portal);
        }
    }

    /// Decides on a statement whose names were resolved with a search path that is not known.
    fn decide_anywhere(&mut self, statement: &Statement) -> Decision {
        let path = std::mem::take(&mut self.names.search_path);
        let decision = self.decide_with(|_, around| judge(std::slice::from_ref(statement), around));
        self.names.search_path = path;
        decision
    }

    /// Reads a text of which we do not know with which settings the server has read it: only where that makes no
    /// difference. Without a backslash `standard_conforming_strings` changes nothing, and in ASCII all encodings agree.
    fn read_text(&self, text: &[u8]) -> Option<Vec<Statement>> {
        let lexer = self.lexer.as_ref().ok()?;
        (text.is_ascii() && !text.contains(&b'\\')).then(|| sql::analyze(text, lexer).statements)
    }

    /// Forgets what the names of prepared statements stand for, but so that they can be known again. Code in the server
    /// cannot make or change the unnamed statement.
    pub(super) fn doubt_statements(&mut self) {
        self.remembered.extend(self.statements.take_named());
        if self.remembered.len() > MOST_NAMES {
            self.remembered.clear();
        }
    }
}
