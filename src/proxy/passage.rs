//! A statement that is decided on, on its way: held, let go with its record, or refused.

use std::sync::Arc;

use super::admission::{self, Admission};
use super::decide::{DataNature, Decision, Sequel, TransactionNature};
use super::held;
use super::names::{PortalState, Prepared};
use super::ours::Ready;
use super::pending::{Completed, Pending, Reply, Unit, UnitRecord};
use super::refusal::{Planted, Refusal};
use super::session::{Batch, Cancelled, Meaning, Session, Skipping, Stage};
use crate::audit::{Encoded, Record, RecordKind, Recorded};
use crate::blast::definitions::defines;
use crate::gate::{NoWait, Wait};
use crate::policy::Outcome;
use crate::sql::{Action, Effect, LexerSettings, SessionChange};
use crate::wire::backend::TransactionStatus;

/// What becomes of a client's message.
#[derive(Debug)]
pub(super) enum Step {
    /// It goes on as it came.
    Forward,
    /// This goes instead.
    Replace(Vec<u8>),
    /// It stays at the head until something has happened, or the session is over.
    Wait,
}

/// A statement about to go upstream.
pub(super) struct Passage<'a> {
    /// Which message carries it.
    pub(super) carrier: Carrier<'a>,
    /// Its SQL, where it has any.
    pub(super) sql: Option<&'a [u8]>,
    /// What that is read with, where it is known.
    pub(super) settings: Option<LexerSettings>,
    /// The Bind message with its values.
    pub(super) bind: Option<&'a [u8]>,
    /// The types of the values, as far as known.
    pub(super) types: &'a [u32],
    /// The types that the client declared, zeros where it left them to the server.
    pub(super) declared_types: &'a [u32],
}

impl<'a> Passage<'a> {
    /// What a prepared statement is about to do with the values of a Bind, as far as both are known.
    pub(super) fn of(carrier: Carrier<'a>, prepared: Option<&'a Prepared>, bind: Option<&'a [u8]>) -> Self {
        let Some(prepared) = prepared else {
            return Self { carrier, sql: None, settings: None, bind, types: &[], declared_types: &[] };
        };
        let (types, declared_types) = (prepared.types(), &*prepared.parameter_types);
        Self { carrier, sql: Some(&prepared.text), settings: prepared.settings, bind, types, declared_types }
    }
}

/// The message that carries a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier<'a> {
    /// `Query`.
    Query,
    /// `Parse`: reading a constant may already run code.
    Parse,
    /// `Bind`: planning it may already run code.
    Bind {
        /// The portal it makes.
        portal: &'a [u8],
    },
    /// `Execute`.
    Execute {
        /// The portal it runs.
        portal: &'a [u8],
    },
    /// `FunctionCall`.
    FunctionCall,
}

impl Session {
    /// If the message at the head has been waited for: what becomes of it.
    pub(super) fn after_wait(&mut self, passage: &Passage<'_>) -> Option<Step> {
        if !matches!(self.stage, Stage::Admitted { .. }) {
            return None;
        }
        let Stage::Admitted { admission, decision } = std::mem::replace(&mut self.stage, Stage::Reading) else {
            return None;
        };
        Some(match admission {
            Admission::Refused(refusal) => self.refuse(passage, &decision, refusal),
            Admission::Granted { recorded } => self.granted(passage, &decision, recorded),
        })
    }

    /// An approved or recorded statement goes, unless it has become another one meanwhile.
    fn granted(&mut self, passage: &Passage<'_>, decision: &Arc<Decision>, recorded: Recorded) -> Step {
        if let Some(sql) = passage.sql.filter(|_| !self.is_current(decision)) {
            let now = match passage.carrier {
                Carrier::Query | Carrier::Parse => {
                    let decided = self.decide_with(|decider, around| decider.decide(sql, around));
                    self.as_declared(decided.decision, passage.declared_types)
                }
                Carrier::Bind { .. } | Carrier::Execute { .. } | Carrier::FunctionCall => self.renewed(decision),
            };
            if now.effects != decision.effects || now.verdict.outcome == Outcome::Deny {
                self.report_not_run(recorded);
                return self.rule(passage, &now);
            }
        }
        self.go(passage, decision, UnitRecord::Before(recorded))
    }

    /// Does what the policy says.
    pub(super) fn rule(&mut self, passage: &Passage<'_>, decision: &Arc<Decision>) -> Step {
        if self.is_cancelled() {
            return self.refuse(passage, decision, Refusal::cancelled_at_once());
        }
        match decision.verdict.outcome {
            Outcome::Pass => self.pass(passage, decision),
            Outcome::Deny => {
                self.timing.decided(&decision.verdict.outcome, &self.shared.statistics);
                let refusal = Refusal::by_policy(&decision.command, &decision.verdict.policy, &decision.all_reasons());
                self.refuse(passage, decision, refusal)
            }
            Outcome::Hold { needs } => {
                if !self.unanswered.is_empty() && self.unanswered.will_be_answered() {
                    // What the hold is made of rests on the answers: the transaction, and what the server's clocks say.
                    self.stage = Stage::Quieting;
                    return Step::Wait;
                }
                self.timing.decided(&decision.verdict.outcome, &self.shared.statistics);
                let shared = Arc::clone(&self.shared);
                let underway = match self.own.wait {
                    Wait::Inline => {
                        let held = held::hold_of(self, passage, decision, needs);
                        admission::hold(shared, held, self.intent(passage, decision))
                    }
                    Wait::Ticket => match held::ticket_of(self, passage, decision, needs) {
                        Ok(held) => admission::ticket(shared, held, self.intent(passage, decision)),
                        Err(why) => {
                            let policy = &decision.verdict.policy;
                            let refusal = Refusal::no_ticket(why, &decision.all_reasons(), policy);
                            return self.refuse(passage, decision, refusal);
                        }
                    },
                };
                self.wait_for(underway, Arc::clone(decision));
                Step::Wait
            }
        }
    }

    /// Whether the client has cancelled the statement before it could go anywhere. It is asked once.
    fn is_cancelled(&mut self) -> bool {
        std::mem::replace(&mut self.cancelled, Cancelled::Nothing) == Cancelled::AtTheHead
    }

    /// Lets a statement go as soon as the log allows.
    pub(super) fn pass(&mut self, passage: &Passage<'_>, decision: &Arc<Decision>) -> Step {
        if self.is_cancelled() {
            return self.refuse(passage, decision, Refusal::cancelled_at_once());
        }
        if let Some(error) = self.shared.log.failed() {
            return self.refuse(passage, decision, Refusal::log_failed(&error));
        }
        self.timing.decided(&Outcome::Pass, &self.shared.statistics);
        let (statement, record) = self.encoded_intent(passage, decision);
        let recorded = Recorded { statement: Some(statement), hold: None };
        if self.must_be_durable_first(decision) {
            let underway = admission::record_first(self.shared.log.clone(), record, recorded);
            self.wait_for(underway, Arc::clone(decision));
            return Step::Wait;
        }
        if decision.nature.data != DataNature::Reads {
            self.changes_unsettled = true;
            self.append_encoded(record);
            return self.go(passage, decision, UnitRecord::Before(recorded));
        }
        self.go(passage, decision, UnitRecord::AtTheEnd { statement, record })
    }

    /// Whether the record has to be on disk before the statement leaves: it changes something outside a
    /// transaction, reaches outside of one, or may commit one that has changes, be they its own.
    fn must_be_durable_first(&self, decision: &Decision) -> bool {
        let in_block = self.transaction != TransactionStatus::Idle
            && self.batch != Batch::Queried
            && !self.unanswered.any_unit(|unit| unit.decision.nature.transaction == TransactionNature::Ends);
        match decision.nature.data {
            DataNature::RunsCode | DataNature::RunsApprovedCode => true,
            DataNature::Changes => !in_block || decision.nature.transaction == TransactionNature::Ends,
            DataNature::Reads => decision.nature.transaction == TransactionNature::Ends && self.changes_unsettled,
        }
    }

    /// The statement goes upstream with the message at the head.
    pub(super) fn go(&mut self, passage: &Passage<'_>, decision: &Arc<Decision>, record: UnitRecord) -> Step {
        if decision.nature.transaction == TransactionNature::Ends && decision.nature.data == DataNature::Reads {
            self.changes_unsettled = false;
        }
        self.after(decision);
        self.timing.sends();
        let mut unit = self.unit_of(decision, record, Reply::Server);
        match passage.carrier {
            Carrier::Query => {
                unit.ready = self.guard_query(decision);
                self.unanswered.push(Pending::Query(unit));
                self.close_guard();
                if std::mem::take(&mut self.segment_is_open) {
                    self.batch = Batch::Queried;
                }
            }
            Carrier::FunctionCall => {
                unit.ready = self.guard_query(decision);
                self.unanswered.push(Pending::FunctionCall(unit));
            }
            Carrier::Execute { portal } => {
                self.guard_in_batch(decision);
                self.follow_block(decision);
                if self.batch == Batch::Begun {
                    self.batch = Batch::Executed;
                }
                if let Some(portal) = self.portals.find_mut(portal) {
                    portal.state = PortalState::Open;
                }
                self.unanswered.push(Pending::Execute(unit));
            }
            // The statement itself is decided on again, with its values.
            Carrier::Parse => {}
            // Its effect may come with the planning, or with the Execute that follows: one record for both.
            Carrier::Bind { .. } => {
                if let UnitRecord::Before(record) = unit.record {
                    self.approved_at_bind = Some(record);
                }
            }
        }
        Step::Forward
    }

    /// Puts a message in the place of a refused one that the server must reject.
    pub(super) fn refuse(&mut self, passage: &Passage<'_>, decision: &Decision, refusal: Refusal) -> Step {
        let mut record = self.intent(passage, decision);
        record.verdict = Some(refusal.verdict.into());
        record.hold = refusal.hold.as_deref().map(Into::into);
        record.sqlstate = Some(refusal.sqlstate.into());
        record.reason = Some(refusal.message.as_str().into());
        self.append(*record);
        if self.skipping == Skipping::ToSync {
            return Step::Replace(Vec::new());
        }
        let planted = Planted::new(refusal);
        Step::Replace(match passage.carrier {
            Carrier::Query | Carrier::FunctionCall => {
                self.batch_ends();
                let bytes = planted.query();
                self.unanswered.push(Pending::RefusedQuery(planted));
                bytes
            }
            Carrier::Parse | Carrier::Bind { .. } | Carrier::Execute { .. } => {
                let bytes = planted.parse();
                self.unanswered.push(Pending::Refused(planted));
                // The server will say so itself; until then, what follows would ask for approvals in vain.
                self.skipping = Skipping::ToSync;
                bytes
            }
        })
    }

    /// The record of what a statement is about to do.
    fn intent(&mut self, passage: &Passage<'_>, decision: &Decision) -> Box<Record> {
        self.statement_count += 1;
        let at = self.timing.wall();
        self.activity.note(text_for_people(passage, decision), decision.verdict.outcome.as_str(), at);
        self.intent_record(passage, decision)
    }

    /// The same, encoded, of a statement that passes. Gives its number too.
    fn encoded_intent(&mut self, passage: &Passage<'_>, decision: &Decision) -> (u64, Encoded) {
        self.statement_count += 1;
        let (statement, at, sql) = (self.statement_count, self.timing.wall(), text_for_people(passage, decision));
        self.activity.note(sql, decision.verdict.outcome.as_str(), at);
        let buffer = self.spare.pop().unwrap_or_default();
        let values = |out: &mut Vec<u8>| passage.bind.is_none_or(|bind| super::values::write(out, bind, passage.types));
        let record = match self.scribe.intent(buffer, at, statement, sql, values, decision.judged()) {
            Ok(record) => record,
            Err(buffer) => {
                self.spare(buffer);
                Encoded::of(*self.intent_record(passage, decision))
            }
        };
        (statement, record)
    }

    fn intent_record(&self, passage: &Passage<'_>, decision: &Decision) -> Box<Record> {
        let mut record = self.record(RecordKind::Intent);
        record.statement = Some(self.statement_count);
        record.sql = Some(match passage.sql {
            Some(sql) => super::values::text_of(sql).into(),
            None => decision.command.as_str().into(),
        });
        record.params = passage.bind.and_then(|bind| super::values::texts(bind, passage.types));
        decision.complete(&mut record);
        record
    }

    /// One of the proxy's own settings.
    pub(super) fn own_setting(&mut self, name: &str, value: Option<&str>) -> Result<(), NoWait> {
        match value {
            Some(value) => self.own.set(name, value),
            None if self.own.reset(name, &self.own_at_login) => Ok(()),
            None => Err(NoWait),
        }
    }

    /// Has the server answer an empty query, and says `SET` in its place.
    pub(super) fn say_set_ourselves(&mut self, decision: &Arc<Decision>) -> Step {
        self.batch_ends();
        self.push_own_set(decision, Pending::Query);
        let mut bytes = Vec::new();
        crate::wire::encode::query(&mut bytes, "");
        Step::Replace(bytes)
    }

    pub(super) fn push_own_set(&mut self, decision: &Arc<Decision>, pending: impl FnOnce(Unit) -> Pending) {
        let unit = self.unit_of(decision, UnitRecord::None, Reply::OwnSet);
        self.unanswered.push(pending(unit));
    }

    fn unit_of(&self, decision: &Arc<Decision>, record: UnitRecord, reply: Reply) -> Unit {
        Unit {
            decision: Arc::clone(decision),
            record,
            started: self.timing.now(),
            rows: None,
            completed: Completed::Nothing,
            sqlstate: None,
            reply,
            ready: Ready::Told,
        }
    }

    /// Whether the next messages depend on what this one does.
    fn after(&mut self, decision: &Decision) {
        let undoes = |change: &SessionChange| {
            matches!(change, SessionChange::Commit | SessionChange::Rollback | SessionChange::RollbackToSavepoint(_))
        };
        let drops = |effect: &Effect| matches!(effect.action, Action::Alter | Action::Drop);
        if decision.nature.sequel != Sequel::Same
            || decision.effects.iter().any(defines)
            || (self.has_uncommitted_names() && decision.changes.iter().any(undoes))
            || (!self.temporary.is_empty() && decision.effects.iter().any(drops))
        {
            self.depends_on_answers();
        }
        if decision.nature.sequel == Sequel::Unknown {
            self.unseen();
        }
    }

    /// Whether the end of the transaction may change what names mean.
    pub(super) fn has_uncommitted_names(&self) -> bool {
        self.temporary.is_uncommitted() || self.search_path.is_uncommitted()
    }

    /// What the next messages mean is known when the server has answered.
    pub(super) fn depends_on_answers(&mut self) {
        self.meaning = Meaning::DependsOnAnswers;
        self.uncertainty += 1;
        self.search_path_uncertain();
    }
}

/// The text of a statement, or what it is where it has none.
fn text_for_people<'a>(passage: &Passage<'a>, decision: &'a Decision) -> &'a [u8] {
    passage.sql.unwrap_or(decision.command.as_bytes())
}
