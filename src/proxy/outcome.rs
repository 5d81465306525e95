//! The records of how statements ended.

use super::pending::{Pending, Unit, UnitRecord};
use super::session::Session;
use crate::audit::{RecordKind, Recorded};

impl Session {
    pub(super) fn report_outcome(&mut self, unit: Unit) {
        let Unit { record, started, rows, sqlstate, .. } = unit;
        if matches!(record, UnitRecord::None) {
            return;
        }
        let duration = self.timing.answered(started);
        let duration = Some(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
        match record {
            UnitRecord::None => {}
            UnitRecord::AtTheEnd { mut record, .. } => {
                record.add_end(rows, sqlstate.as_deref(), duration);
                self.append_encoded(record);
            }
            UnitRecord::Before(Recorded { statement: Some(statement), hold: None }) => {
                let buffer = self.spare.pop().unwrap_or_default();
                let mut outcome = self.scribe.outcome(buffer, self.timing.wall(), statement);
                outcome.add_end(rows, sqlstate.as_deref(), duration);
                self.append_encoded(outcome);
            }
            UnitRecord::Before(Recorded { statement, hold }) => {
                let mut outcome = self.record(RecordKind::Outcome);
                (outcome.statement, outcome.hold) = (statement, hold);
                outcome.rows = rows;
                outcome.sqlstate = sqlstate.map(Into::into);
                outcome.duration_us = duration;
                self.append(*outcome);
            }
        }
    }

    pub(super) fn skipped(&mut self, unit: Unit) {
        match unit.record {
            UnitRecord::None => {}
            UnitRecord::AtTheEnd { statement, .. } => {
                self.report_not_run(Recorded { statement: Some(statement), hold: None });
            }
            UnitRecord::Before(recorded) => self.report_not_run(recorded),
        }
    }

    /// Notes that a statement whose intent is in the log has not run.
    pub(super) fn report_not_run(&mut self, Recorded { statement, hold }: Recorded) {
        let mut outcome = self.record(RecordKind::Outcome);
        (outcome.statement, outcome.hold) = (statement, hold);
        outcome.verdict = Some("failed".into());
        outcome.reason = Some("not run".into());
        self.append(*outcome);
    }

    /// The session is over: what was under way has an end that nobody will know.
    pub(super) fn abandon(&mut self) {
        while let Some(pending) = self.unanswered.pop() {
            if let Pending::Query(unit) | Pending::FunctionCall(unit) | Pending::Execute(unit) = pending {
                self.report_abandoned(unit);
            }
        }
    }

    fn report_abandoned(&mut self, unit: Unit) {
        const REASON: &str = "the session ended before the server's answer";
        match unit.record {
            UnitRecord::None => {}
            UnitRecord::AtTheEnd { mut record, .. } => {
                record.add_reason(REASON);
                self.append_encoded(record);
            }
            UnitRecord::Before(Recorded { statement, hold }) => {
                let mut outcome = self.record(RecordKind::Outcome);
                (outcome.statement, outcome.hold) = (statement, hold);
                outcome.reason = Some(REASON.into());
                self.append(*outcome);
            }
        }
    }
}
