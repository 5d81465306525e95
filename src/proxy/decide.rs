//! What becomes of statements, and why: names, policy, in that order. Texts come by way of [`super::decider`], which remembers.

use std::sync::{Arc, OnceLock};

use super::analyses::Analyses;
use super::names::{Namespace, Portal, Prepared};
use super::sum::Sum;
use super::verdicts::{Asker, OwnAsked, OwnVerdicts};
use crate::audit::{Judged, Record, RecordKind};
use crate::blast::facts::CodeUse;
use crate::blast::{ApprovedUse, Facts, NameContext, Resolved};
use crate::policy::{Carrier, Engine, Identity, Outcome, Verdict};
use crate::sql::setting::OWN_PREFIX;
use crate::sql::{self, Action, Effect, LexerSettings, Object, ObjectKind, Script, SessionChange, Statement};

/// How many approved functions a record names: a name takes up to 63 bytes, twice that in a qualified one, and a hash 64.
const MOST_NAMED: usize = 12;

/// What a decision rests on beside the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Epoch {
    /// The policy's version.
    pub(super) policy: u64,
    /// The version of the facts; 0 where there are none.
    pub(super) facts: u64,
    /// The version of the approvals of user code.
    pub(super) functions: u64,
    /// Whether a transaction block is open, where the policy asks for it.
    pub(super) in_block: bool,
    /// Counts the changes of search path, role, temporary relations and lexer settings in this session.
    pub(super) session: u64,
}

/// What becomes of a message, and why.
#[derive(Debug)]
pub(super) struct Decision {
    /// The commands, as `DELETE` or `BEGIN; DELETE`.
    pub(super) command: String,
    /// Everything it does, by resolved names.
    pub(super) effects: Arc<[Effect]>,
    /// Why it is more than a read.
    pub(super) reasons: Vec<String>,
    /// The policy's word.
    pub(super) verdict: Verdict,
    /// What it does to the session, in order.
    pub(super) changes: Vec<SessionChange>,
    /// The statements one by one, for the blast radius and for deciding again.
    pub(super) parts: Vec<Part>,
    /// The text that the parts are of, where it prepares statements: to show later what `EXECUTE` runs.
    pub(super) text: Option<Arc<[u8]>>,
    /// Whether the server runs code while it parses: reading a constant may call functions of users.
    pub(super) runs_at_parse: bool,
    /// Whether a temporary table that it makes runs code when it is used: its columns' types do.
    pub(super) makes_code: bool,
    /// What kind of thing it is to the session.
    pub(super) nature: Nature,
    /// Whether it may run code that is approved for its body: no effect tells of that.
    pub(super) approved: ApprovedUse,
    /// That code, for the record.
    pub(super) approved_code: Vec<CodeUse>,
    /// What it rests on.
    pub(super) epoch: Epoch,
    /// Whether it rests on names of this session as well, so that it may not be remembered by its text.
    rests_on_names: bool,
    /// Whether the bounds of what it changes rest on the values of its parameters, once it was asked.
    bounds_rest_on_values: OnceLock<bool>,
    judged: OnceLock<Judged>,
}

/// One statement of a message.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// What the text says.
    pub(super) statement: Statement,
    /// What that is here.
    pub(super) resolved: Resolved,
}

/// What kind of thing a message is to the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Nature {
    /// What it does to data.
    pub(super) data: DataNature,
    /// What it does to the transaction.
    pub(super) transaction: TransactionNature,
    /// What it may do to the meaning of the messages after it.
    pub(super) sequel: Sequel,
    /// Whether it works the same in a read-only transaction of its own.
    pub(super) guardable: Guardable,
}

/// Where a message can be guarded by a read-only transaction or savepoint without a client noticing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guardable {
    /// Nowhere: it does more than read, or tells of the transaction it is in.
    No,
    /// Within a transaction block of the client's: outside of one it fails, and must go on doing so.
    InBlock,
    /// Anywhere.
    Anywhere,
}

/// What a message does to data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum DataNature {
    /// Nothing but reading, settings and transaction control.
    Reads,
    /// It changes something, in the transaction it is in.
    Changes,
    /// It may run code that is approved for its body: that may do anything, and has been allowed to.
    RunsApprovedCode,
    /// It may run code, or reach outside the transaction: not even planned before it is decided.
    RunsCode,
}

/// What a message does to the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TransactionNature {
    /// Nothing.
    None,
    /// It begins one, or moves inside one.
    Inside,
    /// It may end one.
    Ends,
}

/// What a message may do to the meaning of the messages after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sequel {
    /// Nothing.
    Same,
    /// Names or settings that we follow change: what comes after it is read when the server has answered.
    Changed,
    /// Anything may have changed.
    Unknown,
}

impl Decision {
    /// The same, keeping the text that its statements are of.
    pub(super) fn with_text(self, text: &[u8]) -> Self {
        Self { text: Some(text.into()), ..self }
    }

    /// Effects and verdict as they stand in the records of the statements that this decides.
    pub(super) fn judged(&self) -> &Judged {
        self.judged.get_or_init(|| {
            let mut record = Record::at(jiff::Timestamp::UNIX_EPOCH, RecordKind::Intent);
            self.complete(&mut record);
            Judged::of(record)
        })
    }

    /// Notes effects and verdict in a record.
    pub(super) fn complete(&self, record: &mut Record) {
        record.actions = Some(Arc::clone(&self.effects));
        record.verdict = Some(self.verdict.outcome.as_str().into());
        if self.verdict.outcome != Outcome::Pass {
            record.policy = Some(self.verdict.policy.as_str().into());
        }
        if !self.approved_code.is_empty() {
            record.detail = Some(serde_json::json!({ "approved_functions": named(&self.approved_code) }));
        }
    }

    /// Whether approval has to come before the statement is even bound.
    pub(super) fn held_at_bind(&self) -> bool {
        matches!(self.verdict.outcome, Outcome::Hold { .. }) && self.nature.data == DataNature::RunsCode
    }

    /// Why it is more than a read, and why it may not simply pass.
    pub(super) fn all_reasons(&self) -> Vec<String> {
        let mut reasons = self.reasons.clone();
        reasons.extend(self.verdict.reasons.iter().filter(|reason| !self.reasons.contains(reason)).cloned());
        reasons
    }

    /// Whether it changes one of the proxy's own settings (`SET pgsluice.reason`), which the server must not see.
    pub(super) fn own_setting(&self) -> OwnSetting<'_> {
        fn own(change: &SessionChange) -> Option<(&str, Option<&str>)> {
            match change {
                SessionChange::Set { name: Some(name), value, .. } if name.starts_with(OWN_PREFIX) => {
                    Some((name, value.as_deref()))
                }
                SessionChange::Reset(Some(name)) if name.starts_with(OWN_PREFIX) => Some((name, None)),
                _ => None,
            }
        }
        match self.changes.iter().find_map(own) {
            None => OwnSetting::None,
            Some((name, value)) if self.parts.len() == 1 && self.changes.len() == 1 => {
                OwnSetting::Alone { name, value }
            }
            Some((name, _)) => OwnSetting::Among { name },
        }
    }

    /// Whether the bounds of what it changes rest on the values of its parameters. The text is its own.
    pub(super) fn bounds_rest_on_values(&self, text: &[u8], settings: &LexerSettings) -> bool {
        self.nature.data != DataNature::Reads
            && *self.bounds_rest_on_values.get_or_init(|| {
                let statements: Vec<_> = self.parts.iter().map(|part| part.statement.clone()).collect();
                sql::parameters::bounds_rest_on_values(text, settings, &statements)
            })
    }

    /// Whether it rests on names of the session: prepared statements, cursors.
    pub(super) const fn rests_on_names(&self) -> bool {
        self.rests_on_names
    }
}

/// What a message does to the proxy's own settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnSetting<'a> {
    /// Nothing.
    None,
    /// It sets one, and does nothing else; without a value, to what it was at login.
    Alone {
        /// Its name.
        name: &'a str,
        /// Its value.
        value: Option<&'a str>,
    },
    /// It sets one beside something else. Neither may be left out, so both are.
    Among {
        /// Its name.
        name: &'a str,
    },
}

/// What is needed to decide.
pub(super) struct Surroundings<'a> {
    pub(super) engine: &'a Engine,
    pub(super) identity: &'a Arc<Identity>,
    pub(super) database: &'a Arc<str>,
    pub(super) facts: Option<&'a Facts>,
    pub(super) names: &'a NameContext,
    pub(super) lexer: &'a Result<LexerSettings, String>,
    pub(super) analyses: &'a Analyses,
    pub(super) statements: &'a Namespace<Arc<Prepared>>,
    pub(super) portals: &'a Namespace<Portal>,
    pub(super) in_block: bool,
    pub(super) epoch: Epoch,
    pub(super) verdicts: &'a OwnVerdicts,
}

/// The code as records name it, no more of it than fits into one.
fn named(code: &[CodeUse]) -> Vec<serde_json::Value> {
    let name = |code: &CodeUse| serde_json::json!({ "schema": code.schema, "name": code.name, "oid": code.oid, "hash": code.hash });
    code.iter().take(MOST_NAMED).map(name).collect()
}

/// Decides on a text, remembering nothing.
pub(super) fn judge_text(text: &[u8], settings: &LexerSettings, around: &Surroundings<'_>) -> Decision {
    let statements = sql::analyze(text, settings).statements;
    let kept = statements.iter().any(prepares).then(|| text.into());
    Decision { text: kept, ..judge(&statements, around) }
}

/// Whether a statement prepares another, whose text is asked for when that is executed.
pub(super) fn prepares(statement: &Statement) -> bool {
    statement.session.iter().any(|change| matches!(change, SessionChange::Prepare { .. }))
}

/// Decides on a text that was analysed elsewhere.
pub(super) fn judge_script(script: &Script, around: &Surroundings<'_>) -> Decision {
    judge(&script.statements, around)
}

/// Decides on statements that run as one message.
pub(super) fn judge(statements: &[Statement], around: &Surroundings<'_>) -> Decision {
    let mut sum = Sum::default();
    for statement in statements {
        sum.add(statement, around);
    }
    finish(sum, Carrier::Statement, around)
}

/// Decides again on what was decided before, by what holds now. Its statements are those that were read then, as with the
/// server, which keeps what it read.
pub(super) fn judge_again(decision: &Decision, around: &Surroundings<'_>) -> Decision {
    let mut sum = Sum::default();
    for part in &decision.parts {
        sum.add(&part.statement, around);
    }
    if decision.parts.is_empty() {
        // No statement: an empty text, or what could not be read, which stays all that it may be.
        sum.commands.push(decision.command.clone());
        sum.effects.extend_from_slice(&decision.effects);
        sum.reasons.extend_from_slice(&decision.reasons);
        sum.changes.extend_from_slice(&decision.changes);
        sum.rests_on_names = true;
    }
    Decision { text: decision.text.clone(), ..finish(sum, Carrier::Statement, around) }
}

/// Decides on what was decided, with these values of its parameters; `None` where they change nothing.
pub(super) fn judge_with_values(
    decision: &Decision,
    (text, settings): (&[u8], &LexerSettings),
    values: &[sql::parameters::Value],
    around: &Surroundings<'_>,
) -> Option<Decision> {
    let mut statements: Vec<_> = decision.parts.iter().map(|part| part.statement.clone()).collect();
    let is_news = sql::parameters::bound_with(&mut statements, text, settings, values);
    is_news.then(|| Decision { text: decision.text.clone(), ..judge(&statements, around) })
}

/// Decides on what was decided, as prepared with parameters of these types.
pub(super) fn judge_declared(decision: &Decision, types: &[u32], around: &Surroundings<'_>) -> Decision {
    if decision.parts.is_empty() && !decision.effects.is_empty() {
        // What cannot be read may be anything already.
        return judge_again(decision, around);
    }
    let declare = |part: &Part| Statement { declared_types: types.into(), ..part.statement.clone() };
    let mut statements: Vec<_> = decision.parts.iter().map(declare).collect();
    if statements.is_empty() {
        // An empty text may have parameters too.
        let parsed = sql::analyze(b"select", &LexerSettings::default()).statements.into_iter();
        let empty = |statement| Statement { span: 0..0, declared_types: types.into(), ..statement };
        statements.extend(parsed.map(empty));
    }
    Decision { text: decision.text.clone(), ..judge(&statements, around) }
}

/// Decides on something that is not SQL, or not readable as such: one effect and its reason.
pub(super) fn judge_effect(
    command: &str,
    carrier: Carrier,
    effect: Effect,
    reason: String,
    around: &Surroundings<'_>,
) -> Decision {
    finish(Sum::of_effect(command, effect, reason), carrier, around)
}

/// Decides on a message whose meaning we cannot know.
pub(super) fn judge_unknown(reason: &str, around: &Surroundings<'_>) -> Decision {
    let effect = Effect::new(Action::Unknown, Object::new(ObjectKind::Other, "")).possible();
    judge_effect("unknown", Carrier::Statement, effect, reason.to_owned(), around)
}

fn finish(sum: Sum<'_>, carrier: Carrier, around: &Surroundings<'_>) -> Decision {
    let guardable = if sum.runs_unguardable { Guardable::No } else { guardable(&sum) };
    let runs_at_parse = sum.parts.iter().any(|part| part.resolved.code_at_parse);
    let makes_code = sum.makes_code;
    let Sum { commands, parts, mut effects, mut reasons, changes, approved, approved_code, rests_on_names, .. } = sum;
    dedup_in_order(&mut effects);
    dedup_in_order(&mut reasons);
    let effects: Arc<[Effect]> = effects.into();
    let Surroundings { engine, identity, database, in_block, .. } = *around;
    let asked = OwnAsked { effects: Arc::clone(&effects), in_transaction: in_block, carrier };
    let verdict = around.verdicts.on(engine, Asker { identity, database }, asked);
    let nature = Nature {
        data: data_nature(&effects, approved),
        transaction: transaction_nature(&changes, &effects),
        sequel: changes.iter().map(sequel).max().unwrap_or(Sequel::Same).max(sequel_of_effects(&effects, approved)),
        guardable,
    };
    Decision {
        command: commands.join("; "),
        effects,
        reasons,
        verdict,
        changes,
        parts,
        text: None,
        runs_at_parse,
        makes_code,
        nature,
        approved,
        approved_code: approved_code.into_iter().collect(),
        epoch: around.epoch,
        rests_on_names,
        bounds_rest_on_values: OnceLock::new(),
        judged: OnceLock::new(),
    }
}

fn dedup_in_order<T: std::hash::Hash + Eq + Clone>(items: &mut Vec<T>) {
    if items.len() > 1 {
        let mut seen = std::collections::HashSet::with_capacity(items.len());
        items.retain(|item| seen.insert(item.clone()));
    }
}

fn data_nature(effects: &[Effect], approved: ApprovedUse) -> DataNature {
    let mut nature = if approved == ApprovedUse::None { DataNature::Reads } else { DataNature::RunsApprovedCode };
    for effect in effects {
        match effect.action {
            Action::Read | Action::Set | Action::Transaction => {}
            Action::Lock if effect.harmless => {}
            Action::Execute | Action::Unknown | Action::Host | Action::Replicate => return DataNature::RunsCode,
            Action::Lock
            | Action::Insert
            | Action::Update
            | Action::Delete
            | Action::Truncate
            | Action::Drop
            | Action::Alter
            | Action::Create
            | Action::Grant
            | Action::Maintain => nature = nature.max(DataNature::Changes),
        }
    }
    nature
}

/// Functions of the server that a read may call, and that fail in a read-only transaction or a savepoint, or tell of
/// the transaction they are in.
const UNGUARDABLE_FUNCTIONS: [&str; 6] =
    ["nextval", "pg_export_snapshot", "current_setting", "pg_show_all_settings", "pg_prepared_statement", "pg_cursor"];
/// Relations of the server that do.
const UNGUARDABLE_RELATIONS: [&str; 3] = ["pg_settings", "pg_prepared_statements", "pg_cursors"];
/// Commands that read. SHOW does too, but it runs nothing, and it tells of the transaction.
const GUARDABLE_COMMANDS: [&str; 7] = ["SELECT", "EXPLAIN", "COPY", "DECLARE CURSOR", "FETCH", "MOVE", "EXECUTE"];

fn guardable(sum: &Sum<'_>) -> Guardable {
    let mut guardable = Guardable::Anywhere;
    let plain = |effect: &Effect| {
        effect.action == Action::Read && !UNGUARDABLE_RELATIONS.contains(&effect.object.name.as_str())
    };
    let statement_is_plain = |part: &Part| {
        let calls = |function: &sql::FunctionUse| UNGUARDABLE_FUNCTIONS.contains(&function.name.name.as_str());
        GUARDABLE_COMMANDS.contains(&part.statement.command.as_str()) && !part.statement.functions.iter().any(calls)
    };
    // A cursor's query is a part of its own beside its DECLARE.
    // Code that was approved for its body may write: that is what it was approved for.
    if sum.approved != ApprovedUse::None {
        return Guardable::No;
    }
    if sum.parts.is_empty() || !sum.effects.iter().all(plain) || !sum.parts.iter().all(statement_is_plain) {
        return Guardable::No;
    }
    for change in &sum.changes {
        match change {
            SessionChange::ExecutePrepared { .. } | SessionChange::FetchCursor(_) => {}
            SessionChange::DeclareCursor { hold: true, .. } => {}
            SessionChange::DeclareCursor { hold: false, .. } => guardable = Guardable::InBlock,
            _ => return Guardable::No,
        }
    }
    guardable
}

fn transaction_nature(changes: &[SessionChange], effects: &[Effect]) -> TransactionNature {
    let mut nature = TransactionNature::None;
    for change in changes {
        match change {
            SessionChange::Commit | SessionChange::Rollback | SessionChange::Anything => {
                return TransactionNature::Ends;
            }
            SessionChange::Begin
            | SessionChange::Savepoint(_)
            | SessionChange::RollbackToSavepoint(_)
            | SessionChange::ReleaseSavepoint(_) => nature = TransactionNature::Inside,
            _ => {}
        }
    }
    let unclear = |effect: &Effect| match effect.action {
        Action::Unknown => true,
        Action::Transaction => !effect.harmless,
        _ => false,
    };
    if effects.iter().any(unclear) { TransactionNature::Ends } else { nature }
}

/// What one change means to the messages after it.
fn sequel(change: &SessionChange) -> Sequel {
    match change {
        SessionChange::Begin
        | SessionChange::Commit
        | SessionChange::Rollback
        | SessionChange::Savepoint(_)
        | SessionChange::RollbackToSavepoint(_)
        | SessionChange::ReleaseSavepoint(_)
        | SessionChange::ExecutePrepared { .. }
        | SessionChange::FetchCursor(_) => Sequel::Same,
        SessionChange::Set { name: Some(name), .. } if !is_followed(name) => Sequel::Same,
        SessionChange::Set { name: None, .. } | SessionChange::Anything => Sequel::Unknown,
        SessionChange::Reset(Some(name)) if !is_followed(name) => Sequel::Same,
        SessionChange::Set { .. }
        | SessionChange::Reset(_)
        | SessionChange::Prepare { .. }
        | SessionChange::Deallocate(_)
        | SessionChange::DeclareCursor { .. }
        | SessionChange::CloseCursor(_)
        | SessionChange::Role
        | SessionChange::Discard(_)
        | SessionChange::DropAtCommit
        | SessionChange::CreateTemporary { .. } => Sequel::Changed,
    }
}

/// Settings whose value changes how text is read or names are resolved.
fn is_followed(name: &str) -> bool {
    matches!(name, "search_path" | "standard_conforming_strings" | "client_encoding" | "backslash_quote" | "role")
        || name == "session_authorization"
        || name.starts_with(OWN_PREFIX)
}

fn sequel_of_effects(effects: &[Effect], approved: ApprovedUse) -> Sequel {
    let seen_through = |effect: &Effect| !matches!(effect.action, Action::Execute | Action::Unknown);
    if approved == ApprovedUse::Unsettling {
        return Sequel::Unknown;
    }
    if effects.iter().all(seen_through) { Sequel::Same } else { Sequel::Unknown }
}
