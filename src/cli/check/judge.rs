//! From sources to a report: what each statement does, what the policy says of it, what it risks.

use std::collections::HashMap;
use std::sync::Arc;

use super::Requester;
use super::database::Database;
use super::source::{Origin, Place, Places, Source};
use crate::blast::resolve::{NameContext, Resolved, SearchPath, resolve};
use crate::blast::{ApprovedUse, Facts, Radius, within};
use crate::policy::{Carrier, Engine, Identity, Outcome, Request, Verdict};
use crate::sql::lexer::{LexError, LexErrorReason, lex};
use crate::sql::psql::{Piece, Pieces};
use crate::sql::reader::Refused;
use crate::sql::risk::radius::assess_reach;
use crate::sql::risk::script::assess_script;
use crate::sql::risk::{Risk, assess, assess_unreadable};
use crate::sql::settings::Encoding;
use crate::sql::split::split;
use crate::sql::token::TokenKind;
use crate::sql::{
    Action, DiscardTarget, Effect, LexerSettings, Limits, Object, ObjectKind, Redefinition, SessionChange, Statement,
    analyze_within,
};

/// A statement longer than this is not understood.
const STATEMENT_BYTES_MAX: usize = 16 << 20;

/// The bounds of one statement or argument.
const LIMITS: Limits = Limits::INLINE.with_bytes(STATEMENT_BYTES_MAX);

/// All that was found.
#[derive(Debug)]
pub(super) struct Report {
    /// The statements, in order.
    pub(super) statements: Vec<Checked>,
    /// What was left out.
    pub(super) notes: Vec<Note>,
}

impl Report {
    /// The worst verdict; nothing to run passes.
    pub(super) fn outcome(&self) -> Outcome {
        let severity = |outcome: &Outcome| match outcome {
            Outcome::Pass => 0,
            Outcome::Hold { .. } => 1,
            Outcome::Deny => 2,
        };
        self.statements.iter().map(|checked| checked.verdict.outcome).max_by_key(severity).unwrap_or(Outcome::Pass)
    }
}

/// One statement.
#[derive(Debug)]
pub(super) struct Checked {
    /// Where it comes from.
    pub(super) origin: Origin,
    /// Where it begins there.
    pub(super) place: Place,
    /// Where it ends: one past its last character.
    pub(super) end: Place,
    /// Its text.
    pub(super) sql: String,
    /// What its text says.
    pub(super) statement: Statement,
    /// What it does: in the database, where one was asked.
    pub(super) effects: Vec<Effect>,
    /// Why it is more than a read.
    pub(super) reasons: Vec<String>,
    /// What the policy says.
    pub(super) verdict: Verdict,
    /// What it risks.
    pub(super) risk: Risk,
    /// How much it would do; `None` where no database was asked.
    pub(super) radius: Option<Radius>,
}

impl Checked {
    /// Why it is more than a read, and what the policy says where it denies.
    pub(super) fn all_reasons(&self) -> Vec<&str> {
        let mut reasons: Vec<&str> = self.reasons.iter().map(String::as_str).collect();
        if self.verdict.outcome == Outcome::Deny {
            for reason in &self.verdict.reasons {
                if !reasons.contains(&reason.as_str()) {
                    reasons.push(reason);
                }
            }
        }
        reasons
    }
}

/// Something that was not checked.
#[derive(Debug)]
pub(super) struct Note {
    /// Where it comes from.
    pub(super) origin: Origin,
    /// Where it stands.
    pub(super) place: Place,
    /// What is to be said.
    pub(super) text: String,
}

/// Checks all sources, one after the other, as one session would run them.
pub(super) fn judge(sources: &[Source], engine: &Engine, requester: &Requester, database: Option<&Database>) -> Report {
    let mut judge = Judge {
        engine,
        identity: &requester.identity,
        database,
        facts: database.map_or_else(Arc::default, Database::facts),
        session: Session::new(&requester.role, database),
        report: Report { statements: Vec::new(), notes: Vec::new() },
        by_name_bytes: BY_NAME_BYTES_MAX,
        verdicts: HashMap::new(),
    };
    for source in sources {
        judge.source(source);
    }
    judge.report
}

struct Judge<'a> {
    engine: &'a Engine,
    identity: &'a Identity,
    database: Option<&'a Database>,
    facts: Arc<Facts>,
    session: Session,
    report: Report,
    /// How many bytes of statements may still be looked at because others run them by name.
    by_name_bytes: usize,
    /// What the policy said of the same before: a script may run what it prepared many times.
    verdicts: HashMap<Asked, Verdict>,
}

/// What of a request to the policy differs from statement to statement: its effects, its rows, whether it is within a
/// transaction.
type Asked = (Vec<Effect>, Option<u64>, bool);

/// How many bytes of statements are looked at because others run them by name: what a long one does would else be told
/// as often as a script of nothing but `EXECUTE` can name it.
const BY_NAME_BYTES_MAX: usize = 8 << 20;

/// How many verdicts are remembered.
const VERDICTS_MOST: usize = 256;

impl Judge<'_> {
    fn source(&mut self, source: &Source) {
        let first = self.report.statements.len();
        let mut places = Places::new(&source.text);
        if let Origin::Argument(_) = source.origin {
            self.text(source, &mut places, &source.text, 0);
        } else {
            self.script(source, &mut places);
        }
        let own = self.report.statements.get_mut(first..).unwrap_or_default();
        if own.len() > 1 || source.origin.is_script() {
            let statements: Vec<Statement> = own.iter().map(|checked| checked.statement.clone()).collect();
            let mut risks: Vec<Risk> = own.iter_mut().map(|checked| std::mem::take(&mut checked.risk)).collect();
            assess_script(&statements, &mut risks);
            for (checked, risk) in own.iter_mut().zip(risks) {
                checked.risk = risk;
            }
        }
    }

    /// A script, as psql would send it.
    fn script(&mut self, source: &Source, places: &mut Places<'_>) {
        let mut pieces = match Pieces::new(&source.text, self.session.settings, LIMITS, super::source::FILE_BYTES_MAX) {
            Ok(pieces) => pieces,
            Err(error) => return self.unreadable(source, places, 0..source.text.len(), error.into()),
        };
        while let Some(piece) = pieces.next(self.session.settings) {
            match piece {
                Piece::Statement { range, text } => match self.not_in_encoding(&text) {
                    Some(at) => {
                        let why = LexError { reason: LexErrorReason::NotUtf8, at: range.start + at };
                        self.unreadable(source, places, range, why.into());
                    }
                    None => self.text(source, places, &text, range.start),
                },
                Piece::Unreadable { range, why } => self.unreadable(source, places, range, why),
                Piece::Skipped { range, command, brings_statements } => {
                    let place = places.of(range.start);
                    let text = if brings_statements {
                        format!("\\{command} skipped: the statements it brings are not checked")
                    } else {
                        format!("\\{command} skipped: it is a command of psql")
                    };
                    self.report.notes.push(Note { origin: source.origin.clone(), place, text });
                }
                Piece::Data { range, ended } if !ended => {
                    let text = "the rows of COPY have no end (a line with \\. alone)".to_owned();
                    let place = places.of(range.start);
                    self.report.notes.push(Note { origin: source.origin.clone(), place, text });
                }
                Piece::Data { .. } => {}
            }
        }
    }

    /// Where a text is not what the session says that it sends.
    fn not_in_encoding(&self, text: &[u8]) -> Option<usize> {
        let utf8 = self.session.settings.encoding == Encoding::Utf8;
        std::str::from_utf8(text).err().filter(|_| utf8).map(|error| error.valid_up_to())
    }

    /// A text that is sent as one message.
    fn text(&mut self, source: &Source, places: &mut Places<'_>, text: &[u8], offset: usize) {
        let script = analyze_within(text, &self.session.settings, &LIMITS);
        let lexed = lex(text, &self.session.settings, &LIMITS).unwrap_or_default();
        let parts = split(&lexed, &LIMITS).unwrap_or_default();
        let aligned = parts.len() == script.statements.len();
        for (index, statement) in script.statements.into_iter().enumerate() {
            let sql = text.get(statement.span.clone()).unwrap_or_default();
            let span = statement.span.start + offset..statement.span.end + offset;
            let resolved = self.resolve(&statement);
            let risk = match parts.get(index).filter(|_| aligned) {
                Some(tokens) => assess(&statement, &resolved.effects, tokens),
                None => assess_unreadable(&statement, &resolved.effects),
            };
            self.add(source, places, span, sql, statement, resolved, risk);
        }
    }

    /// A text of which nothing is known.
    fn unreadable(&mut self, source: &Source, places: &mut Places<'_>, range: std::ops::Range<usize>, why: Refused) {
        let sql = source.text.get(range.clone()).unwrap_or_default();
        let start = range.start + (sql.len() - sql.trim_ascii_start().len());
        let at = places.of(why.at());
        let mut reason = format!("cannot be read: {} at line {}, column {}", why.reason(), at.line, at.column);
        if why.is_of_bytes() {
            // Editors differ in what they show for such a byte, and in how they count it.
            reason = format!("{reason} (byte {} from the beginning)", why.at());
        }
        let statement = Statement {
            span: range.clone(),
            command: "unknown".to_owned(),
            effects: vec![unknown()],
            functions: Vec::new(),
            operators: Vec::new(),
            types: Vec::new(),
            session: vec![SessionChange::Anything],
            reasons: vec![reason],
            depends_on_literals: true,
            untyped_values: true,
            strings: true,
            named_values: None,
            declared_types: Vec::new(),
            assigned: None,
            assumptions: Vec::new(),
            redefines: Redefinition::ANYTHING,
        };
        let resolved = Resolved { effects: statement.effects.clone(), ..Resolved::default() };
        let risk = assess_unreadable(&statement, &resolved.effects);
        self.add(source, places, start..range.end, sql.trim_ascii(), statement, resolved, risk);
    }

    /// What a statement does here, what it runs by name included.
    fn resolve(&mut self, statement: &Statement) -> Resolved {
        let names = &self.session.names;
        let mut resolved = resolve(statement, &self.facts, names);
        for change in &statement.session {
            let (kind, name, body) = match change {
                SessionChange::ExecutePrepared { name, .. } => {
                    let prepared = self.session.prepared.get(name).map(|prepared| &prepared.body);
                    (ObjectKind::PreparedStatement, name, prepared)
                }
                SessionChange::FetchCursor(name) => (ObjectKind::Cursor, name, self.session.cursors.get(name)),
                _ => continue,
            };
            match body.map(|body| (body, self.by_name_bytes.checked_sub(body.span.len()))) {
                Some((body, Some(left))) => {
                    self.by_name_bytes = left;
                    // What it runs is known, and takes the place of "it runs something".
                    resolved.effects.retain(|effect| effect.action != Action::Execute || effect.object.kind != kind);
                    let body = resolve(body, &self.facts, names);
                    resolved.effects.extend(body.effects);
                    resolved.reasons.extend(body.reasons);
                    resolved.code.extend(body.code);
                }
                Some((_, None)) => {
                    resolved.effects.push(unknown());
                    let kind = kind.as_str().replace('_', " ");
                    resolved
                        .reasons
                        .push(format!("runs the {kind} {name}, one of too many to tell each time what that does"));
                }
                None => {
                    resolved.effects.push(unknown());
                    let kind = kind.as_str().replace('_', " ");
                    resolved.reasons.push(format!("runs the {kind} {name}, which is not made here"));
                }
            }
        }
        resolved
    }

    #[expect(clippy::too_many_arguments, reason = "one statement with all that is known of it")]
    fn add(
        &mut self,
        source: &Source,
        places: &mut Places<'_>,
        span: std::ops::Range<usize>,
        sql: &[u8],
        statement: Statement,
        resolved: Resolved,
        mut risk: Risk,
    ) {
        let (place, end) = (places.of(span.start), places.of(span.end));
        let radius = self.radius(&statement, sql, &resolved);
        if let Some(radius) = &radius {
            assess_reach(&mut risk, &radius.reach());
        }
        let rows = radius.as_ref().and_then(|radius| radius.rows.value);
        let verdict = self.verdict(&resolved.effects, rows);
        let mut reasons = statement.reasons.clone();
        for reason in &resolved.reasons {
            if !reasons.contains(reason) {
                reasons.push(reason.clone());
            }
        }
        let asked = self.database.is_some().then_some(&*self.facts);
        self.session.after(&statement, sql, &resolved, asked);
        let sql = String::from_utf8_lossy(sql).into_owned();
        let origin = source.origin.clone();
        let effects = resolved.effects;
        self.report.statements.push(Checked {
            origin,
            place,
            end,
            sql,
            statement,
            effects,
            reasons,
            verdict,
            risk,
            radius,
        });
    }
}

impl Judge<'_> {
    fn verdict(&mut self, effects: &[Effect], rows: Option<u64>) -> Verdict {
        let asked = (effects.to_vec(), rows, self.session.transaction.is_some());
        if let Some(verdict) = self.verdicts.get(&asked) {
            return verdict.clone();
        }
        let request = Request {
            database: self.database.map_or("", Database::name),
            effects,
            rows,
            in_transaction: asked.2,
            carrier: Carrier::Statement,
        };
        let verdict = self.engine.decide(self.identity, &request);
        if self.verdicts.len() >= VERDICTS_MOST {
            self.verdicts.clear();
        }
        self.verdicts.insert(asked, verdict.clone());
        verdict
    }

    /// How much a statement would do, or the prepared one that it runs.
    fn radius(&self, statement: &Statement, sql: &[u8], resolved: &Resolved) -> Option<Radius> {
        let database = self.database?;
        let prepared = statement.session.iter().find_map(|change| match change {
            SessionChange::ExecutePrepared { name, .. } => self.session.prepared.get(name),
            _ => None,
        });
        let (statement, sql) = prepared.map_or((statement, sql), |prepared| (&prepared.body, &prepared.text[..]));
        let parameters = parameters(sql, &self.session.settings);
        database.radius(statement, &String::from_utf8_lossy(sql), parameters, resolved, &self.session.names)
    }
}

/// How many values a statement takes: as many as the highest of `$1`, `$2`, ... says.
fn parameters(sql: &[u8], settings: &LexerSettings) -> usize {
    /// The protocol's limit.
    const MOST: usize = u16::MAX as usize;
    let lexed = lex(sql, settings, &LIMITS).unwrap_or_default();
    let numbers = lexed.tokens().iter().filter(|token| token.kind == TokenKind::Parameter);
    numbers.filter_map(|token| lexed.text(token).parse().ok()).max().unwrap_or(0).min(MOST)
}

/// An effect of which nothing is known.
fn unknown() -> Effect {
    Effect::new(Action::Unknown, Object::new(ObjectKind::Other, ""))
}

/// What the statements so far have made of the session.
#[derive(Debug)]
struct Session {
    settings: LexerSettings,
    names: NameContext,
    /// The search path that the session began with, and goes back to.
    login_search_path: SearchPath,
    /// Inside a transaction: what it began with.
    transaction: Option<Begun>,
    /// Temporary tables that are gone when it commits.
    dropped_at_commit: Vec<String>,
    prepared: HashMap<String, Prepared>,
    cursors: HashMap<String, Statement>,
}

/// What `PREPARE` made.
#[derive(Debug)]
struct Prepared {
    body: Statement,
    text: Vec<u8>,
}

/// What a transaction began with: a rollback goes back to it.
#[derive(Debug)]
struct Begun {
    settings: LexerSettings,
    search_path: SearchPath,
    /// What a commit goes back to, where `SET LOCAL` has changed the search path.
    before_local: Option<SearchPath>,
}

impl Session {
    fn new(role: &str, database: Option<&Database>) -> Self {
        let login_search_path =
            database.map_or(SearchPath::Unknown, |database| database.facts().login_search_path(role).clone());
        let search_path = login_search_path.clone();
        Self {
            settings: LexerSettings::default(),
            names: NameContext { search_path, role: role.to_owned(), ..NameContext::default() },
            login_search_path,
            transaction: None,
            dropped_at_commit: Vec::new(),
            prepared: HashMap::new(),
            cursors: HashMap::new(),
        }
    }

    fn after(&mut self, statement: &Statement, sql: &[u8], resolved: &Resolved, asked: Option<&Facts>) {
        // Nothing is run, so what a script defines is never in the catalog; nor is what its code may define.
        let defines = [Action::Create, Action::Alter, Action::Drop, Action::Grant];
        let defined = resolved.effects.iter().filter(|effect| defines.contains(&effect.action));
        let defined: Vec<_> = asked.map(|_| defined.cloned().collect()).unwrap_or_default();
        self.names.definitions.note(Some(statement), &defined, ApprovedUse::None, asked);
        within::follow_temporary(&mut self.names, statement, resolved);
        if statement.session.contains(&SessionChange::DropAtCommit) {
            let made = statement.session.iter().filter_map(|change| match change {
                SessionChange::CreateTemporary { name, .. } => Some(name.clone()),
                _ => None,
            });
            self.dropped_at_commit.extend(made);
        }
        for change in &statement.session {
            if let SessionChange::Prepare { name, body } = change {
                let start = statement.span.start;
                let own = body.span.start.saturating_sub(start)..body.span.end.saturating_sub(start);
                let text = sql.get(own).unwrap_or_default().to_vec();
                self.prepared.insert(name.clone(), Prepared { body: body.as_ref().clone(), text });
            } else {
                self.run_by_name(change);
                self.change(change);
            }
        }
    }

    /// What is run by name leaves its settings behind, as by `set_config`.
    fn run_by_name(&mut self, change: &SessionChange) {
        let body = match change {
            SessionChange::ExecutePrepared { name, .. } => self.prepared.get(name).map(|prepared| &prepared.body),
            SessionChange::FetchCursor(name) => self.cursors.get(name),
            _ => None,
        };
        for change in body.map(|body| body.session.clone()).unwrap_or_default() {
            self.change(&change);
        }
    }

    fn change(&mut self, change: &SessionChange) {
        match change {
            SessionChange::Begin if self.transaction.is_none() => {
                let search_path = self.names.search_path.clone();
                self.transaction = Some(Begun { settings: self.settings, search_path, before_local: None });
            }
            SessionChange::Commit => {
                for name in self.dropped_at_commit.drain(..) {
                    self.names.temporary.remove(&name);
                }
                if let Some(search_path) = self.transaction.take().and_then(|begun| begun.before_local) {
                    self.names.search_path = search_path;
                }
            }
            SessionChange::Rollback => {
                if let Some(begun) = self.transaction.take() {
                    (self.settings, self.names.search_path) = (begun.settings, begun.search_path);
                }
            }
            SessionChange::DeclareCursor { name, body, .. } => {
                self.cursors.insert(name.clone(), body.as_ref().clone());
            }
            SessionChange::Deallocate(Some(name)) => drop(self.prepared.remove(name)),
            SessionChange::Deallocate(None) => self.prepared.clear(),
            SessionChange::CloseCursor(Some(name)) => drop(self.cursors.remove(name)),
            SessionChange::CloseCursor(None) => self.cursors.clear(),
            SessionChange::Set { name: Some(name), value, local } => self.set(name, value.as_deref(), *local),
            SessionChange::Reset(Some(name)) => self.reset(name),
            SessionChange::Reset(None) => self.reset_all(),
            SessionChange::Role | SessionChange::Set { name: None, .. } | SessionChange::Anything => {
                self.names.search_path = SearchPath::Unknown;
            }
            SessionChange::Discard(DiscardTarget::All) => {
                self.reset_all();
                self.prepared.clear();
                self.cursors.clear();
            }
            _ => {}
        }
    }

    fn set(&mut self, name: &str, value: Option<&str>, local: bool) {
        match name {
            "standard_conforming_strings" => {
                let off = value.and_then(crate::sql::setting::parse_bool) == Some(false);
                self.settings.standard_conforming_strings = !off;
            }
            "search_path" => {
                // Outside of a transaction SET LOCAL does nothing; several statements of one text are inside of one.
                let unclear = local && self.transaction.is_none();
                let new = value.filter(|_| !unclear).map_or(SearchPath::Unknown, SearchPath::parse);
                let old = std::mem::replace(&mut self.names.search_path, new);
                if let Some(begun) = &mut self.transaction {
                    begun.before_local = if local { begun.before_local.take().or(Some(old)) } else { None };
                }
            }
            _ => {}
        }
    }

    fn reset(&mut self, name: &str) {
        match name {
            "standard_conforming_strings" => self.settings = LexerSettings::default(),
            "search_path" => self.names.search_path = self.login_search_path.clone(),
            "role" | "session_authorization" => self.names.search_path = SearchPath::Unknown,
            _ => {}
        }
    }

    fn reset_all(&mut self) {
        self.reset("standard_conforming_strings");
        self.reset("search_path");
    }
}
