//! What the client says, message by message.
//!
//! Every frame is looked at in every state, COPY included: a query behind the end of a COPY in the same packet is a
//! query. What a message means is decided before the next one is read.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::decide::{
    Decision, OwnSetting, judge_again, judge_declared, judge_effect, judge_script, judge_unknown, judge_with_values,
};
use super::decider::Decided;
use super::names::{Lifetime, Portal, PortalState, Prepared};
use super::passage::{Carrier, Passage, Step};
use super::pending::{Pending, UnitRecord};
use super::pipe::{LOADED_BYTES, Pipe};
use super::refusal::Refusal;
use super::session::{Analysed, Asked, Batch, CopyState, Meaning, Session, Skipping, Stage};
use super::time_limits::Sent;
use crate::blast::facts::FIRST_USER_OID;
use crate::gate::NoWait;
use crate::policy::Outcome;
use crate::sql::{self, Action, Effect, LexerSettings, Object, ObjectKind};
use crate::wire::backend::TransactionStatus;
use crate::wire::frontend::{self, Bind, Execute, FunctionCall, Named, Parse, Query, Target, significant};
use crate::wire::{DecodeError, FrameError, FrontendTag, Header};

/// Texts longer than this are not analysed on the thread that serves other sessions too.
const LONGEST_INLINE_BYTES: usize = 32 * 1024;
/// Long texts that are analysed at the same time, by all sessions together; more wait.
static ANALYSES: Semaphore = Semaphore::const_new(2);

impl Session {
    /// Deals with all that the client has sent, as far as it may be read.
    pub(super) fn read_client(&mut self) {
        let mut pipe = std::mem::replace(&mut self.to_server, Pipe::new());
        if !self.ahead.is_empty() && !pipe.inside_frame() {
            pipe.insert(&self.ahead);
            self.ahead.clear();
        }
        while self.reads_client() && pipe.unsent() < 4 * LOADED_BYTES {
            let bytes = pipe.undecided();
            let header = match Header::frontend(bytes) {
                Ok(Some(header)) => header,
                Ok(None) => break,
                Err(error) => {
                    self.violated(&error);
                    break;
                }
            };
            let step = match header.body(bytes) {
                Some(body) => self.client_message(header.tag(), body),
                None => match self
                    .client_message_in_part(header, &bytes[crate::wire::frame::HEADER_BYTES.min(bytes.len())..])
                {
                    Some(step) => step,
                    None => {
                        pipe.reserve(header.total());
                        break;
                    }
                },
            };
            if !matches!(step, Step::Wait) {
                self.asked = Asked::No;
                self.analysed = None;
                self.note_sent(header.tag());
            }
            if !self.ahead.is_empty() {
                pipe.insert(&self.ahead);
                self.ahead.clear();
            }
            match step {
                Step::Forward => pipe.forward(header.total()),
                Step::Replace(bytes) => {
                    pipe.discard(header.total());
                    pipe.insert(&bytes);
                }
                Step::Wait => break,
            }
            if !self.behind.is_empty() {
                pipe.insert(&self.behind);
                self.behind.clear();
            }
        }
        self.to_server = pipe;
    }

    /// A message goes to the server: its clocks run.
    fn note_sent(&mut self, tag: u8) {
        let now = self.timing.now();
        match FrontendTag::from_byte(tag) {
            Some(FrontendTag::Query | FrontendTag::FunctionCall | FrontendTag::Execute) => {
                self.time_limits.sent(Sent::Whole, now);
            }
            Some(tag) if is_extended(tag) => self.time_limits.sent(Sent::Part, now),
            _ => {}
        }
    }

    fn violated(&mut self, error: &FrameError) {
        self.fail("08P01", &error.to_string());
    }

    fn malformed(&mut self, tag: FrontendTag, error: DecodeError) -> Step {
        self.fail("08P01", &format!("invalid {} message: {error}", tag.name()));
        Step::Wait
    }

    /// A message of which the end is not here. `None`: it has to be seen whole first.
    fn client_message_in_part(&mut self, header: Header, begun: &[u8]) -> Option<Step> {
        let tag = FrontendTag::from_byte(header.tag())?;
        match tag {
            FrontendTag::CopyData => Some(self.client_message(header.tag(), &[])),
            FrontendTag::Bind if header.total() > LOADED_BYTES => {
                let names = frontend::bind_names(begun)?;
                match self.bind_without_values(names.portal, names.statement) {
                    Some(step) => Some(step),
                    None => self.too_long(header, tag),
                }
            }
            FrontendTag::Query | FrontendTag::Parse | FrontendTag::FunctionCall if header.total() > LOADED_BYTES => {
                self.too_long(header, tag)
            }
            _ => None,
        }
    }

    /// Deals with a message that is too long to be kept until a person has decided. `None`: it is not.
    fn too_long(&mut self, header: Header, tag: FrontendTag) -> Option<Step> {
        let limit = self.shared.options.statement_bytes;
        if header.total() <= limit {
            return None;
        }
        let reason = format!("it has {} bytes, and more than {limit} are not looked at", header.total());
        let decision = self.decide_with(|_, around| judge_unknown(&reason, around));
        if decision.verdict.outcome == Outcome::Pass && tag != FrontendTag::Parse {
            let decision = Arc::new(decision);
            let carrier = match tag {
                FrontendTag::Query => Carrier::Query,
                FrontendTag::FunctionCall => Carrier::FunctionCall,
                _ => Carrier::Bind { portal: b"" },
            };
            let passage = Passage::of(carrier, None, None);
            return Some(self.pass(&passage, &decision));
        }
        let carrier = if tag == FrontendTag::Query { Carrier::Query } else { Carrier::Bind { portal: b"" } };
        let passage = Passage::of(carrier, None, None);
        Some(self.refuse(&passage, &decision, Refusal::too_long(header.total(), limit)))
    }

    fn client_message(&mut self, byte: u8, body: &[u8]) -> Step {
        let Some(tag) = FrontendTag::from_byte(byte) else {
            self.fail("08P01", &format!("invalid frontend message type {byte}"));
            return Step::Wait;
        };
        if self.copy == CopyState::In && !taken_during_copy(tag) {
            self.fail("08P01", &format!("unexpected message type 0x{byte:02X} during COPY from stdin"));
            return Step::Wait;
        }
        if self.skipping == Skipping::ToSync && !matches!(tag, FrontendTag::Sync | FrontendTag::Terminate) {
            return self.skip();
        }
        if needs_facts(tag)
            && matches!(self.stage, Stage::Reading)
            && (self.refresh_first() || self.ask_first() || self.guard_waits())
        {
            return Step::Wait;
        }
        self.segment_is_open |= is_extended(tag);
        let result = match tag {
            FrontendTag::Query => self.query(body),
            FrontendTag::Parse => self.parse(body),
            FrontendTag::Bind => self.bind(body),
            FrontendTag::Execute => self.execute(body),
            FrontendTag::Describe => self.describe(body),
            FrontendTag::Close => self.close(body),
            FrontendTag::FunctionCall => self.function_call(body),
            FrontendTag::Sync => frontend::check_empty(body).map(|()| self.sync()),
            FrontendTag::Flush => frontend::check_empty(body).map(|()| Step::Forward),
            FrontendTag::CopyDone => frontend::check_empty(body).map(|()| self.copy_ends()),
            FrontendTag::CopyFail => Ok(self.copy_ends()),
            FrontendTag::CopyData => Ok(Step::Forward),
            FrontendTag::Terminate => {
                self.client_ended = true;
                Ok(Step::Forward)
            }
        };
        result.unwrap_or_else(|error| self.malformed(tag, error))
    }

    /// The server would throw this away: it waits for a Sync since an error.
    fn skip(&mut self) -> Step {
        if matches!(self.stage, Stage::Admitted { .. }) {
            self.stage = Stage::Reading;
        }
        Step::Replace(Vec::new())
    }

    fn sync(&mut self) -> Step {
        self.skipping = Skipping::No;
        self.segment_is_open = false;
        if std::mem::replace(&mut self.batch, Batch::Begun) == Batch::Queried {
            // Whether a transaction is open behind it is told by the answer.
            self.depends_on_answers();
        }
        if self.copy == CopyState::None {
            let ready = self.guard_sync();
            self.unanswered.push(Pending::Sync(ready));
            self.close_guard();
            self.segment += 1;
            // A batch outside of a transaction is one: whether it commits is told by the answer.
            if self.transaction == TransactionStatus::Idle && self.has_uncommitted_names() {
                self.depends_on_answers();
            }
        }
        Step::Forward
    }

    fn copy_ends(&mut self) -> Step {
        if self.copy == CopyState::In {
            self.copy = CopyState::None;
        } else if !self.unanswered.is_empty() {
            self.unanswered.push(Pending::CopyEnd);
        }
        Step::Forward
    }

    fn query(&mut self, body: &[u8]) -> Result<Step, DecodeError> {
        let sql = Query::decode(body)?.sql;
        let settings = self.read_with();
        let passage = Passage { sql: Some(sql), settings, ..Passage::of(Carrier::Query, None, None) };
        if let Some(step) = self.after_wait(&passage) {
            return Ok(step);
        }
        let Some(Decided { decision, .. }) = self.decision_on(sql) else {
            return Ok(Step::Wait);
        };
        Ok(match decision.own_setting() {
            OwnSetting::None => self.rule(&passage, &decision),
            OwnSetting::Among { name } => self.refuse(&passage, &decision, Refusal::own_setting(name)),
            OwnSetting::Alone { name, value } => match self.own_setting(name, value) {
                Ok(()) => self.say_set_ourselves(&decision),
                Err(NoWait) => self.refuse(&passage, &decision, Refusal::own_setting(name)),
            },
        })
    }

    /// Waits with the message at the head until the server has answered everything. In the middle of a batch it answers
    /// when it is told to: a Flush changes nothing else.
    pub(super) fn await_answers(&mut self) {
        if !self.unanswered.will_be_answered() {
            crate::wire::encode::flush(&mut self.ahead);
        }
        self.stage = Stage::Quieting;
    }

    /// Decides on a text; `None` when something has to be awaited first.
    fn decision_on(&mut self, sql: &[u8]) -> Option<Decided> {
        if self.meaning == Meaning::DependsOnAnswers {
            self.await_answers();
            return None;
        }
        match &self.lexer {
            Ok(settings) if sql.len() > LONGEST_INLINE_BYTES => self.decision_on_long(sql, *settings),
            _ => Some(self.decide_with(|decider, around| decider.decide(sql, around))),
        }
    }

    /// The same of a text that is too long to be analysed while other sessions wait for this thread.
    fn decision_on_long(&mut self, sql: &[u8], settings: LexerSettings) -> Option<Decided> {
        let Some(analysed) = self.analysed.take().filter(|analysed| analysed.settings == settings) else {
            self.stage = Stage::Analysing(analysis(sql.into(), settings));
            return None;
        };
        let decision = self.decide_with(|_, around| match &analysed.script {
            Ok(script) => judge_script(script, around),
            Err(reason) => judge_unknown(reason, around),
        });
        Some(Decided { decision: Arc::new(decision), text: None })
    }

    fn parse(&mut self, body: &[u8]) -> Result<Step, DecodeError> {
        let message = Parse::decode(body)?;
        let name = significant(message.name);
        let Some(Decided { decision, text }) = self.decision_on(message.sql) else {
            return Ok(Step::Wait);
        };
        let types: Vec<u32> = message.parameter_types.iter().collect();
        let decision = self.as_declared(decision, &types);
        let passage = Passage {
            carrier: Carrier::Parse,
            sql: Some(message.sql),
            settings: self.read_with(),
            bind: None,
            types: &types,
            declared_types: &types,
        };
        match self.after_wait(&passage) {
            Some(Step::Forward) => {}
            Some(step) => return Ok(step),
            None if decision.runs_at_parse && decision.verdict.outcome != Outcome::Pass => {
                return Ok(self.rule(&passage, &decision));
            }
            None => {}
        }
        let own = matches!(decision.own_setting(), OwnSetting::Alone { .. });
        let text = text.unwrap_or_else(|| message.sql.into());
        let prepared =
            Arc::new(Prepared::new(text, &types, decision, self.read_with(), (self.segment, self.uncertainty)));
        let previous = self.statements.insert(name, prepared);
        self.unanswered.push(Pending::Parse { name: name.into(), previous });
        if own {
            // The server prepares an empty statement in its place; the setting is ours.
            let mut bytes = Vec::new();
            crate::wire::encode::parse(&mut bytes, message.name, b"");
            return Ok(Step::Replace(bytes));
        }
        Ok(Step::Forward)
    }

    /// The decision with what reading values of types of users runs.
    pub(super) fn as_declared(&mut self, decision: Arc<Decision>, types: &[u32]) -> Arc<Decision> {
        if types.iter().all(|oid| *oid < FIRST_USER_OID) {
            return decision;
        }
        Arc::new(self.decide_with(|_, around| judge_declared(&decision, types, around)))
    }

    fn bind(&mut self, body: &[u8]) -> Result<Step, DecodeError> {
        let message = Bind::decode(body)?;
        let (portal, statement) = (significant(message.portal), significant(message.statement));
        let Some((prepared, decision)) = self.prepared_for_bind(statement) else {
            return Ok(Step::Wait);
        };
        let decision = match &prepared {
            Some(prepared) => self.with_values(prepared, decision, body),
            None => decision,
        };
        let passage = Passage::of(Carrier::Bind { portal }, prepared.as_deref(), Some(body));
        let state = match self.after_wait(&passage) {
            Some(Step::Forward) => PortalState::Approved,
            Some(step) => return Ok(step),
            None => match decision.verdict.outcome {
                Outcome::Deny => return Ok(self.rule(&passage, &decision)),
                Outcome::Hold { .. } if decision.held_at_bind() => return Ok(self.rule(&passage, &decision)),
                Outcome::Hold { .. } => PortalState::NeedsApproval,
                Outcome::Pass => PortalState::Open,
            },
        };
        self.open_portal(portal, prepared, decision, Some(body.into()), state);
        Ok(Step::Forward)
    }

    /// The decision with the values of a Bind, where the bounds of a change rest on them.
    fn with_values(&mut self, prepared: &Prepared, decision: Arc<Decision>, bind: &[u8]) -> Arc<Decision> {
        let Some(settings) = prepared.settings_where_values_tell(&decision) else { return decision };
        let values = super::values::parameters(bind, prepared.types());
        let with =
            self.decide_with(|_, around| judge_with_values(&decision, (&prepared.body, &settings), &values, around));
        with.map_or(decision, Arc::new)
    }

    /// A Bind whose values are still on their way: it may stream through if it passes whatever they are.
    fn bind_without_values(&mut self, portal: &[u8], statement: &[u8]) -> Option<Step> {
        let (portal, statement) = (significant(portal), significant(statement));
        let Some((prepared, decision)) = self.prepared_for_bind(statement) else {
            return Some(Step::Wait);
        };
        let rests_on_values =
            prepared.as_ref().is_some_and(|prepared| prepared.settings_where_values_tell(&decision).is_some());
        if decision.verdict.outcome != Outcome::Pass || rests_on_values {
            return None;
        }
        self.open_portal(portal, prepared, decision, None, PortalState::Open);
        Some(Step::Forward)
    }

    fn open_portal(
        &mut self,
        name: &[u8],
        prepared: Option<Arc<Prepared>>,
        decision: Arc<Decision>,
        bind: Option<Arc<[u8]>>,
        state: PortalState,
    ) {
        self.guard_in_batch(&decision);
        let record = self.approved_at_bind.take();
        let portal = Portal { prepared, decision, bind, state, record, lifetime: Lifetime::Transaction };
        let previous = self.portals.insert(name, portal);
        self.unanswered.push(Pending::Bind { name: name.into(), previous });
    }

    /// The statement a Bind names and the decision on it; `None` when answers have to be awaited first.
    fn prepared_for_bind(&mut self, name: &[u8]) -> Option<(Option<Arc<Prepared>>, Arc<Decision>)> {
        let known = self.statements.find(name).cloned();
        // What was prepared behind the uncertain statement is what we saw, or its Parse fails and this is skipped.
        let since = known.as_ref().is_some_and(|prepared| prepared.uncertainty == self.uncertainty);
        let unsettled = (self.meaning == Meaning::DependsOnAnswers && !since)
            || known.as_ref().is_some_and(|prepared| self.is_still_being_prepared(name, prepared));
        if unsettled {
            self.await_answers();
            return None;
        }
        let Some(prepared) = known else {
            let reason = format!("the prepared statement \"{}\" is not one we saw being made", name.escape_ascii());
            return Some((None, Arc::new(self.decide_with(|_, around| judge_unknown(&reason, around)))));
        };
        let last = prepared.decision();
        let decision = self.renewed(&last);
        if !Arc::ptr_eq(&last, &decision) {
            prepared.renew(&decision);
        }
        Some((Some(prepared), decision))
    }

    /// Whether its Parse is unanswered and a Sync stands behind it: then the name may still mean what it meant before.
    fn is_still_being_prepared(&self, name: &[u8], prepared: &Prepared) -> bool {
        prepared.segment != self.segment
            && self
                .unanswered
                .iter()
                .any(|pending| matches!(pending, Pending::Parse { name: each, .. } if **each == *name))
    }

    /// The decision on something that the server has read, made again if what it rests on has changed.
    pub(super) fn renewed(&mut self, decision: &Arc<Decision>) -> Arc<Decision> {
        if self.is_current(decision) {
            return Arc::clone(decision);
        }
        Arc::new(self.decide_with(|_, around| judge_again(decision, around)))
    }

    /// What texts are read with now, where that is known.
    pub(super) fn read_with(&self) -> Option<LexerSettings> {
        self.lexer.as_ref().ok().copied()
    }

    fn execute(&mut self, body: &[u8]) -> Result<Step, DecodeError> {
        let message = Execute::decode(body)?;
        let name = significant(message.portal);
        if self.meaning == Meaning::DependsOnAnswers {
            self.await_answers();
            return Ok(Step::Wait);
        }
        let Some(portal) = self.portals.find(name).cloned() else {
            let passage = Passage::of(Carrier::Execute { portal: name }, None, None);
            if let Some(step) = self.after_wait(&passage) {
                return Ok(step);
            }
            let reason = format!("the portal \"{}\" is not one we saw being made", name.escape_ascii());
            let decision = Arc::new(self.decide_with(|_, around| judge_unknown(&reason, around)));
            return Ok(self.rule(&passage, &decision));
        };
        let carrier = Carrier::Execute { portal: name };
        let passage = Passage::of(carrier, portal.prepared.as_deref(), portal.bind.as_deref());
        if let Some(step) = self.after_wait(&passage) {
            return Ok(step);
        }
        if let OwnSetting::Alone { name, value } = portal.decision.own_setting() {
            return Ok(match self.own_setting(name, value) {
                Ok(()) => {
                    self.push_own_set(&portal.decision, Pending::Execute);
                    Step::Forward
                }
                Err(NoWait) => self.refuse(&passage, &portal.decision, Refusal::own_setting(name)),
            });
        }
        Ok(match portal.state {
            PortalState::Approved => {
                let record = portal.record.clone().map_or(UnitRecord::None, UnitRecord::Before);
                self.go(&passage, &portal.decision, record)
            }
            PortalState::Open => self.pass(&passage, &portal.decision),
            PortalState::NeedsApproval => {
                let decision = self.renewed(&portal.decision);
                self.rule(&passage, &decision)
            }
        })
    }

    fn describe(&mut self, body: &[u8]) -> Result<Step, DecodeError> {
        let message = Named::decode(body)?;
        let prepared = match message.target {
            Target::Statement => self.statements.find(significant(message.name)).cloned(),
            Target::Portal => None,
        };
        self.unanswered.push(Pending::Describe(prepared));
        Ok(Step::Forward)
    }

    fn close(&mut self, body: &[u8]) -> Result<Step, DecodeError> {
        let message = Named::decode(body)?;
        let name = significant(message.name);
        let pending = match message.target {
            Target::Statement => Pending::CloseStatement { name: name.into(), previous: self.statements.remove(name) },
            Target::Portal => Pending::ClosePortal { name: name.into(), previous: self.portals.remove(name) },
        };
        self.unanswered.push(pending);
        Ok(Step::Forward)
    }

    fn function_call(&mut self, body: &[u8]) -> Result<Step, DecodeError> {
        let message = FunctionCall::decode(body)?;
        let passage = Passage::of(Carrier::FunctionCall, None, None);
        if let Some(step) = self.after_wait(&passage) {
            return Ok(step);
        }
        let effect = Effect::new(Action::Execute, Object::new(ObjectKind::Function, format!("oid {}", message.oid)));
        let reason = format!("calls the function with OID {} by the fast path, which carries no SQL", message.oid);
        let decision = self.decide_with(|_, around| {
            judge_effect("FunctionCall", crate::policy::Carrier::FunctionCall, effect, reason, around)
        });
        Ok(self.rule(&passage, &Arc::new(decision)))
    }
}

/// Analyses a long text beside the threads that serve the sessions.
fn analysis(text: Box<[u8]>, settings: LexerSettings) -> Pin<Box<dyn Future<Output = Analysed> + Send>> {
    Box::pin(async move {
        // Kept until the work is done, also if the session ends before.
        let turn = ANALYSES.acquire().await;
        let analyse = move || {
            let script = sql::analyze(&text, &settings);
            drop(turn);
            script
        };
        let script = tokio::task::spawn_blocking(analyse).await;
        Analysed { settings, script: script.map_err(|error| format!("its analysis failed: {error}")) }
    })
}

/// Messages after which an error makes the server skip to the next Sync.
const fn is_extended(tag: FrontendTag) -> bool {
    matches!(
        tag,
        FrontendTag::Parse | FrontendTag::Bind | FrontendTag::Execute | FrontendTag::Describe | FrontendTag::Close
    )
}

/// Messages that are decided on.
const fn needs_facts(tag: FrontendTag) -> bool {
    matches!(
        tag,
        FrontendTag::Query | FrontendTag::Parse | FrontendTag::Bind | FrontendTag::Execute | FrontendTag::FunctionCall
    )
}

/// What the server takes while it takes COPY data.
const fn taken_during_copy(tag: FrontendTag) -> bool {
    matches!(
        tag,
        FrontendTag::CopyData
            | FrontendTag::CopyDone
            | FrontendTag::CopyFail
            | FrontendTag::Sync
            | FrontendTag::Flush
            | FrontendTag::Terminate
    )
}
