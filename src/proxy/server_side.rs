//! What the server says, message by message: what it answers, and what that means for the session.
//!
//! Rows and COPY data are not looked at. What is looked at is forwarded as it came, but for three things: the error
//! to a message that we put in the place of a refused one, the answers to an empty statement that stands for one of our
//! own settings, and cancel keys (at login).

use super::applied::Success;
use super::asking::Unseen;
use super::ours::{Ready, Reply};
use super::pending::{self, Completed, CopyIn, Pending};
use super::pipe::{LOADED_BYTES, Pipe};
use super::session::{
    Cancelled, CopyState, EncodingTold, Failed, Meaning, Session, Skipping, Stage, lexer_settings, reported_name,
};
use super::settings::TransactionEnd;
use crate::blast::SearchPath;
use crate::sql::{Encoding, LexerSettings};
use crate::wire::backend::{CommandComplete, ParameterDescription, ParameterStatus, TransactionStatus};
use crate::wire::{BackendTag, DecodeError, Header, ReportFields, encode};

/// Errors longer than this are not looked at whole.
const LONGEST_SEEN_BYTES: usize = 1 << 20;

/// What becomes of a server's message.
enum Step {
    Forward,
    Replace(Vec<u8>),
}

impl Session {
    /// Deals with all that the server has sent.
    pub(super) fn read_server(&mut self) {
        let mut pipe = std::mem::replace(&mut self.to_client, Pipe::new());
        while pipe.unsent() < 4 * LOADED_BYTES {
            if !pipe.inside_frame() && !self.say.is_empty() {
                pipe.insert(&self.say);
                self.say.clear();
            }
            let bytes = pipe.undecided();
            let header = match Header::backend(bytes) {
                Ok(Some(header)) => header,
                Ok(None) => break,
                Err(error) => {
                    self.server_is_wrong(&error.to_string());
                    break;
                }
            };
            let Some(tag) = BackendTag::from_byte(header.tag()) else {
                self.server_is_wrong("a message of an unknown type");
                break;
            };
            let step = if !self.is_looked_at(tag) && self.unanswered.first_is_ours().is_none() {
                Ok(Step::Forward)
            } else if let Some(body) = header.body(bytes) {
                self.server_message(tag, body)
            } else if header.total() > LONGEST_SEEN_BYTES {
                self.server_message(tag, &[])
            } else {
                pipe.reserve(header.total());
                break;
            };
            match step {
                Ok(Step::Forward) => pipe.forward(header.total()),
                Ok(Step::Replace(instead)) => {
                    pipe.discard(header.total());
                    pipe.insert(&instead);
                }
                Err(wrong) => {
                    self.server_is_wrong(&wrong);
                    break;
                }
            }
        }
        self.to_client = pipe;
    }

    fn server_is_wrong(&mut self, what: &str) {
        tracing::error!(session = %self.who.id, what, "the server's answers cannot be followed; the session ends");
        self.fail("08P01", &format!("pgsluice: the server's answer could not be followed: {what}"));
    }

    const fn is_looked_at(&self, tag: BackendTag) -> bool {
        !matches!(
            tag,
            BackendTag::DataRow
                | BackendTag::CopyData
                | BackendTag::CopyDone
                | BackendTag::NoticeResponse
                | BackendTag::NotificationResponse
        )
    }

    fn server_message(&mut self, tag: BackendTag, body: &[u8]) -> Result<Step, String> {
        self.unanswered.drop_copy_ends();
        let reply = match self.unanswered.first_is_ours() {
            Some(ours) => self.reply_to_ours(ours, tag, body)?,
            None => Reply::NotOurs,
        };
        let step = match reply {
            Reply::Forward => Ok(Step::Forward),
            Reply::Swallow => Ok(Step::Replace(Vec::new())),
            Reply::NotOurs => self.understood(tag, body),
        };
        // What waits for the answers must not wait for what has none.
        self.unanswered.drop_copy_ends();
        step
    }

    fn understood(&mut self, tag: BackendTag, body: &[u8]) -> Result<Step, String> {
        let malformed = |error: DecodeError| format!("{}: {error}", tag.name());
        match tag {
            BackendTag::CommandComplete => self.command_complete(body).map_err(malformed)?,
            BackendTag::ReadyForQuery => {
                let status = TransactionStatus::decode(body).map_err(malformed)?;
                let step = self.ready_for_query(status);
                self.encoding_is_told();
                return step;
            }
            BackendTag::ErrorResponse => return Ok(self.error(body)),
            BackendTag::EmptyQueryResponse => return self.empty_query(),
            BackendTag::ParameterStatus => {
                let status = ParameterStatus::decode(body).map_err(malformed)?;
                self.parameter_changed(status.name, status.value);
            }
            BackendTag::ParameterDescription => {
                let types = ParameterDescription::decode(body).map_err(malformed)?.types;
                if let Some(Pending::Describe(Some(prepared))) = self.unanswered.front() {
                    // Described before: the server says the same again.
                    let _ = prepared.described_types.set(types.iter().collect());
                }
            }
            BackendTag::RowDescription => self.row_description()?,
            BackendTag::NoData => self.expect(tag, |pending| matches!(pending, Pending::Describe(_)))?,
            BackendTag::ParseComplete => self.expect(tag, |pending| matches!(pending, Pending::Parse { .. }))?,
            BackendTag::BindComplete => self.expect(tag, |pending| matches!(pending, Pending::Bind { .. }))?,
            BackendTag::CloseComplete => self.expect(tag, |pending| {
                matches!(pending, Pending::CloseStatement { .. } | Pending::ClosePortal { .. })
            })?,
            BackendTag::PortalSuspended => match self.unanswered.pop() {
                Some(Pending::Execute(unit)) => self.complete(unit, Success::Partly),
                _ => return Err("PortalSuspended that answers nothing".to_owned()),
            },
            BackendTag::CopyInResponse | BackendTag::CopyBothResponse => self.copy_in_began()?,
            BackendTag::FunctionCallResponse | BackendTag::CopyOutResponse => {}
            BackendTag::Authentication | BackendTag::BackendKeyData | BackendTag::NegotiateProtocolVersion => {
                return Err(format!("{} after login", tag.name()));
            }
            BackendTag::DataRow
            | BackendTag::CopyData
            | BackendTag::CopyDone
            | BackendTag::NoticeResponse
            | BackendTag::NotificationResponse => {}
        }
        Ok(Step::Forward)
    }

    fn expect(&mut self, tag: BackendTag, is_it: impl Fn(&Pending) -> bool) -> Result<(), String> {
        match self.unanswered.pop() {
            Some(pending) if is_it(&pending) => Ok(()),
            _ => Err(format!("{} that answers nothing", tag.name())),
        }
    }

    fn row_description(&mut self) -> Result<(), String> {
        match self.unanswered.front() {
            Some(Pending::Describe(_)) => drop(self.unanswered.pop()),
            Some(Pending::Query(_)) => {}
            _ => return Err("RowDescription that answers nothing".to_owned()),
        }
        Ok(())
    }

    fn copy_in_began(&mut self) -> Result<(), String> {
        match self.unanswered.copy_in_began() {
            CopyIn::Under => {
                self.copy = CopyState::In;
                Ok(())
            }
            CopyIn::Over => Ok(()),
            CopyIn::Violated => Err("COPY began while the client had already sent other messages".to_owned()),
        }
    }

    fn command_complete(&mut self, body: &[u8]) -> Result<(), DecodeError> {
        let complete = CommandComplete::decode(body)?;
        self.unanswered.is_behind_copies();
        let completed = if complete.command() == b"ROLLBACK" { Completed::Rollback } else { Completed::Other };
        let rows = complete.rows();
        match self.unanswered.front_mut() {
            Some(Pending::Execute(unit)) => {
                unit.rows = rows;
                unit.completed = completed;
                if let Some(Pending::Execute(unit)) = self.unanswered.pop() {
                    self.complete(unit, Success::Whole);
                }
            }
            Some(Pending::Query(unit)) => {
                if let Some(rows) = rows {
                    unit.rows = Some(unit.rows.unwrap_or(0).saturating_add(rows));
                }
                unit.completed = completed;
            }
            _ => {}
        }
        Ok(())
    }

    fn empty_query(&mut self) -> Result<Step, String> {
        let reply = match self.unanswered.front_mut() {
            Some(Pending::Query(unit) | Pending::Execute(unit)) => {
                unit.completed = Completed::Other;
                unit.reply
            }
            _ => return Err("EmptyQueryResponse that answers nothing".to_owned()),
        };
        if matches!(self.unanswered.front(), Some(Pending::Execute(_)))
            && let Some(Pending::Execute(unit)) = self.unanswered.pop()
        {
            self.complete(unit, Success::Whole);
        }
        Ok(match reply {
            pending::Reply::Server => Step::Forward,
            pending::Reply::OwnSet => {
                let mut bytes = Vec::new();
                encode::command_complete(&mut bytes, "SET");
                Step::Replace(bytes)
            }
        })
    }

    fn error(&mut self, body: &[u8]) -> Step {
        let fields = ReportFields::decode(body).ok();
        let sqlstate = fields.as_ref().and_then(ReportFields::sqlstate).unwrap_or("XX000").to_owned();
        let fatal = fields.as_ref().is_some_and(ReportFields::is_fatal);
        let rewritten = self.refusal_answered_by(body);
        self.failed = Failed::Yes;
        self.attribute_error(&sqlstate, fatal);
        if fatal && self.is_held() {
            self.end_hold(
                crate::gate::End::Failed,
                "the server ended the connection",
                super::refusal::Refusal::session_over(),
            );
        }
        rewritten.map_or(Step::Forward, Step::Replace)
    }

    /// If the error answers what stands in the place of a refused message: what the client is told instead.
    fn refusal_answered_by(&self, error: &[u8]) -> Option<Vec<u8>> {
        match self.unanswered.front() {
            Some(Pending::Refused(planted) | Pending::RefusedQuery(planted)) if planted.is_answered_by(error) => {
                Some(planted.refusal().frame())
            }
            _ => None,
        }
    }

    /// An error answers the message in front and, in the extended protocol, all up to the next Sync.
    fn attribute_error(&mut self, sqlstate: &str, fatal: bool) {
        if self.unanswered.is_empty() {
            if !fatal && self.segment_is_open {
                self.server_skips();
            }
            return;
        }
        if matches!(self.unanswered.front(), Some(Pending::RefusedQuery(_))) {
            return;
        }
        if let Some(Pending::Query(unit) | Pending::FunctionCall(unit)) = self.unanswered.front_mut() {
            unit.sqlstate = Some(sqlstate.to_owned());
            if self.copy == CopyState::In {
                self.copy = CopyState::None;
            }
            return;
        }
        self.copy = CopyState::None;
        self.skipped_up_to_sync(sqlstate, true);
    }

    /// The server skips all that stands before the next Sync. The first may be what has failed.
    pub(super) fn skipped_up_to_sync(&mut self, sqlstate: &str, mut failed: bool) {
        while let Some(pending) = self.unanswered.front() {
            if matches!(pending, Pending::Sync(_)) {
                return;
            }
            let Some(pending) = self.unanswered.pop() else { return };
            self.undo(pending, sqlstate, failed);
            failed = false;
        }
        self.server_skips();
    }

    /// The Sync that ends the skipping has not been sent. The server throws away what comes before it, so we do.
    fn server_skips(&mut self) {
        self.skipping = Skipping::ToSync;
        let refusal = super::refusal::Refusal::session_over();
        self.end_hold(crate::gate::End::Failed, "an earlier statement of the same batch failed", refusal);
    }

    /// Takes back what we noted when a message was sent that has failed (the first) or was skipped.
    pub(super) fn undo(&mut self, pending: Pending, sqlstate: &str, failed: bool) {
        match pending {
            Pending::Parse { name, previous } => {
                // A Parse of the unnamed statement that fails has dropped the one before.
                let previous = if failed && name.is_empty() { None } else { previous };
                self.statements.restore(&name, previous);
            }
            Pending::Bind { name, previous } => {
                let previous = if failed && name.is_empty() { None } else { previous };
                self.portals.restore(&name, previous);
            }
            Pending::CloseStatement { name, previous: Some(previous) } if self.statements.find(&name).is_none() => {
                drop(self.statements.insert(&name, previous));
            }
            Pending::ClosePortal { name, previous: Some(previous) } if self.portals.find(&name).is_none() => {
                drop(self.portals.insert(&name, previous));
            }
            Pending::Query(unit) | Pending::FunctionCall(unit) => self.skipped(unit),
            Pending::Execute(mut unit) => {
                if failed {
                    unit.sqlstate = Some(sqlstate.to_owned());
                    self.complete(unit, Success::Not);
                } else {
                    self.skipped(unit);
                }
            }
            _ => {}
        }
    }

    fn ready_for_query(&mut self, status: TransactionStatus) -> Result<Step, String> {
        let answered = self.unanswered.pop();
        if answered.is_some() {
            self.unanswered.is_behind_copies();
        }
        let (ready, unit) = match answered {
            // What was neither completed nor failed is not what this answers.
            Some(Pending::Query(unit)) if unit.completed != Completed::Nothing || unit.sqlstate.is_some() => {
                (unit.ready, Some(unit))
            }
            Some(Pending::FunctionCall(unit)) => (unit.ready, Some(unit)),
            Some(Pending::Sync(ready)) => (ready, None),
            Some(Pending::RefusedQuery(_)) => (Ready::Told, None),
            None if self.unanswered.was_not_ignored() => {
                self.skipping = Skipping::No;
                (Ready::Told, None)
            }
            _ => return Err("ReadyForQuery that answers nothing".to_owned()),
        };
        if ready == Ready::Swallowed {
            if let Some(unit) = unit {
                let success = if unit.sqlstate.is_some() { Success::Not } else { Success::Whole };
                self.complete(unit, success);
            }
            self.swallowed = status;
            return Ok(Step::Replace(Vec::new()));
        }
        if !self.guard_is_closed(status) {
            return Ok(Step::Replace(Vec::new()));
        }
        let failed = std::mem::replace(&mut self.failed, Failed::No);
        let end = if failed == Failed::Yes { TransactionEnd::RolledBack } else { TransactionEnd::Committed };
        if let Some(unit) = unit {
            let success = if unit.sqlstate.is_some() { Success::Not } else { Success::Whole };
            self.complete(unit, success);
        }
        self.transaction = status;
        self.cancelled = Cancelled::Nothing;
        self.time_limits.ready(status, self.timing.now());
        if self.unseen == Unseen::Tried || (self.unseen == Unseen::UntilIdle && status == TransactionStatus::Idle) {
            self.unseen = Unseen::Due;
        }
        if status == TransactionStatus::Idle {
            self.definitions_settled();
            self.transaction_ended(end);
            if self.unanswered.is_empty() {
                self.changes_unsettled = false;
            }
        }
        Ok(Step::Forward)
    }

    fn parameter_changed(&mut self, name: &[u8], value: &[u8]) {
        let value = String::from_utf8_lossy(value);
        if let Some(name) = std::str::from_utf8(name).ok().and_then(reported_name) {
            self.reported.insert(name, value.clone().into_owned());
        }
        match name {
            b"standard_conforming_strings" => {
                if let Ok(lexer) = &mut self.lexer {
                    lexer.standard_conforming_strings = &*value == "on";
                }
                self.conforming_strings = &*value == "on";
            }
            b"client_encoding" => {
                self.lexer = lexer_settings(&value, self.conforming_strings, self.server_encoding);
                self.encoding_changed();
                if self.told == EncodingTold::Yes {
                    self.told = EncodingTold::WithinTransaction;
                }
                // The path may have been reported in the encoding before this one.
                if !self.search_path.current().is_ascii() {
                    self.search_path.reported(SearchPath::Unknown);
                    self.names_changed();
                }
            }
            b"search_path" => {
                let is_read = value.is_ascii() || self.receives_utf8();
                self.search_path.reported(if is_read { SearchPath::parse(&value) } else { SearchPath::Unknown });
                self.names_changed();
                return;
            }
            _ => return,
        }
        self.session_epoch += 1;
    }

    /// The encoding is another one, or may be: the same bytes may be other names.
    pub(super) fn encoding_changed(&mut self) {
        let keeps = self.lexer.as_ref().is_ok_and(LexerSettings::sends_names_as_they_are);
        self.statements.keeps_beyond_ascii(keeps);
        self.portals.keeps_beyond_ascii(keeps);
    }

    /// Something may have changed the encoding. In the middle of a batch the server does not say so, but reads what
    /// follows in it: until it says what holds, no name beyond ASCII can be read.
    pub(super) fn encoding_uncertain(&mut self) {
        if self.told == EncodingTold::No {
            return;
        }
        self.told = EncodingTold::No;
        if let Ok(lexer) = &mut self.lexer {
            lexer.encoding = Encoding::Bytes;
        }
        self.encoding_changed();
        self.session_epoch += 1;
    }

    /// ReadyForQuery: what the server has said of the encoding by now holds.
    fn encoding_is_told(&mut self) {
        if self.told == EncodingTold::No {
            let value = self.reported.get("client_encoding").cloned().unwrap_or_default();
            self.lexer = lexer_settings(&value, self.conforming_strings, self.server_encoding);
            self.encoding_changed();
            self.session_epoch += 1;
        }
        if self.told != EncodingTold::Yes {
            let idle = self.transaction == TransactionStatus::Idle;
            self.told = if idle { EncodingTold::Yes } else { EncodingTold::WithinTransaction };
        }
    }

    /// Whether the server sends UTF-8, as far as it has said.
    pub(super) fn receives_utf8(&self) -> bool {
        self.lexer.as_ref().is_ok_and(|lexer| lexer.encoding == Encoding::Utf8)
    }

    /// The server has closed the connection.
    pub(super) fn server_gone(&mut self) {
        self.server_ended = true;
        if self.is_held() {
            self.end_hold(
                crate::gate::End::Failed,
                "the server closed the connection",
                super::refusal::Refusal::session_over(),
            );
        }
        self.meaning = Meaning::DependsOnAnswers;
        self.stage = Stage::Over;
    }
}
