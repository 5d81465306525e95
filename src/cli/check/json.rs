//! The report as one JSON document: a contract.

use serde::Serialize;

use super::judge::{Checked, Report};
use crate::blast::Radius;
use crate::cli::{Failure, Output};
use crate::sql::risk::{Level, Rule};
use crate::sql::{Certainty, Effect};

/// Prints it.
pub(super) fn print(report: &Report, output: &mut Output) -> Result<(), Failure> {
    output.json(&document(report))
}

fn document(report: &Report) -> Document<'_> {
    Document {
        version: 1,
        verdict: report.outcome().as_str(),
        statements: report.statements.iter().map(StatementJson::of).collect(),
        notes: report
            .notes
            .iter()
            .map(|note| NoteJson {
                file: note.origin.file(),
                line: note.place.line,
                column: note.place.column,
                text: &note.text,
            })
            .collect(),
    }
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    version: u32,
    verdict: &'static str,
    statements: Vec<StatementJson<'a>>,
    notes: Vec<NoteJson<'a>>,
}

#[derive(Debug, Serialize)]
struct StatementJson<'a> {
    sql: &'a str,
    /// Null for SQL of the command line and of stdin.
    file: Option<String>,
    line: usize,
    column: usize,
    command: &'a str,
    verdict: &'static str,
    /// How many approvals it needs; 0 where it passes or is denied.
    needs: u32,
    risk: Level,
    reversible: bool,
    lock: Option<&'static str>,
    actions: Vec<ActionJson<'a>>,
    reasons: Vec<&'a str>,
    rules: Vec<RuleJson>,
    policy: &'a str,
    radius: Option<&'a Radius>,
}

impl<'a> StatementJson<'a> {
    fn of(checked: &'a Checked) -> Self {
        Self {
            sql: &checked.sql,
            file: checked.origin.file(),
            line: checked.place.line,
            column: checked.place.column,
            command: &checked.statement.command,
            verdict: checked.verdict.outcome.as_str(),
            needs: match checked.verdict.outcome {
                crate::policy::Outcome::Hold { needs } => needs,
                _ => 0,
            },
            risk: checked.risk.level(),
            reversible: checked.risk.reversible(),
            lock: checked.risk.lock().map(crate::sql::risk::Lock::as_str),
            actions: checked.effects.iter().map(ActionJson::of).collect(),
            reasons: checked.all_reasons(),
            rules: checked.risk.rules.iter().map(|rule| RuleJson::of(rule)).collect(),
            policy: &checked.verdict.policy,
            radius: checked.radius.as_ref(),
        }
    }
}

#[derive(Debug, Serialize)]
struct ActionJson<'a> {
    action: &'static str,
    kind: &'static str,
    schema: Option<&'a str>,
    name: &'a str,
    certain: bool,
}

impl<'a> ActionJson<'a> {
    fn of(effect: &'a Effect) -> Self {
        Self {
            action: effect.action.as_str(),
            kind: effect.object.kind.as_str(),
            schema: effect.object.schema.as_deref(),
            name: &effect.object.name,
            certain: effect.certainty == Certainty::Certain,
        }
    }
}

/// A rule, as reports and the list of rules have it.
#[derive(Debug, Serialize)]
pub(super) struct RuleJson {
    id: &'static str,
    risk: Level,
    lock: Option<&'static str>,
    reversible: bool,
    why: &'static str,
    instead: Option<&'static str>,
}

impl RuleJson {
    pub(super) fn of(rule: &Rule) -> Self {
        Self {
            id: rule.id,
            risk: rule.level,
            lock: rule.lock.map(crate::sql::risk::Lock::as_str),
            reversible: rule.reversible,
            why: rule.why,
            instead: rule.instead,
        }
    }
}

#[derive(Debug, Serialize)]
struct NoteJson<'a> {
    file: Option<String>,
    line: usize,
    column: usize,
    text: &'a str,
}
