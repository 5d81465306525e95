//! The report for people.

use super::judge::{Checked, Report};
use crate::cli::{Failure, Output};
use crate::gate::facts::radius_facts;
use crate::policy::Outcome;
use crate::sql::risk::Level;
use crate::sql::{Action, Certainty};
use crate::text::Untrusted;

/// Characters of a statement that are shown.
const SQL_SHOWN: usize = 100;

/// Effects of a statement that are shown.
const EFFECTS_SHOWN: usize = 20;

/// Prints it.
pub(super) fn print(report: &Report, color: bool, output: &mut Output) -> Result<(), Failure> {
    for note in &report.notes {
        let origin = note.origin.name();
        crate::cli::output::note(format_args!(
            "{}:{}:{}: {}",
            Untrusted::line(&origin),
            note.place.line,
            note.place.column,
            Untrusted::line(&note.text)
        ));
    }
    let paint = Paint { color };
    for checked in &report.statements {
        statement(checked, paint, output)?;
    }
    let count = |wanted: fn(&Outcome) -> bool| {
        report.statements.iter().filter(|checked| wanted(&checked.verdict.outcome)).count()
    };
    let pass = count(|outcome| matches!(outcome, Outcome::Pass));
    let hold = count(|outcome| matches!(outcome, Outcome::Hold { .. }));
    let deny = count(|outcome| matches!(outcome, Outcome::Deny));
    output.line(format_args!("{pass} would pass, {hold} would wait for a person, {deny} would be denied"))
}

fn statement(checked: &Checked, paint: Paint, output: &mut Output) -> Result<(), Failure> {
    let origin = checked.origin.name();
    let level = checked.risk.level();
    output.line(format_args!(
        "{}:{}:{}: {}, {}  {}",
        Untrusted::line(&origin),
        checked.place.line,
        checked.place.column,
        paint.verdict(checked.verdict.outcome),
        paint.level(level),
        Untrusted::line(&shortened(&checked.sql)),
    ))?;
    if checked.verdict.outcome == Outcome::Pass && level <= Level::Low {
        return Ok(());
    }
    let effects: Vec<_> = checked.effects.iter().filter(|effect| effect.action != Action::Read).collect();
    for effect in effects.iter().take(EFFECTS_SHOWN) {
        let sure = if effect.certainty == Certainty::Certain { "" } else { " (possibly)" };
        output.line(format_args!("  does     {}{sure}", Untrusted::line(&effect.to_string())))?;
    }
    if effects.len() > EFFECTS_SHOWN {
        output.line(format_args!("  does     and {} more", effects.len() - EFFECTS_SHOWN))?;
    }
    for reason in checked.all_reasons() {
        output.line(format_args!("  because  {}", Untrusted::line(reason)))?;
    }
    for rule in &checked.risk.rules {
        output.line(format_args!("  risk     {}: {} ({})", paint.level(rule.level), rule.why, rule.id))?;
        if let Some(instead) = rule.instead {
            output.line(format_args!("  instead  {instead}"))?;
        }
    }
    if let Some(lock) = checked.risk.lock() {
        output.line(format_args!("  lock     {}", lock.as_str()))?;
    }
    if !checked.risk.reversible() {
        output.line("  undo     cannot be undone without a backup")?;
    }
    if let Some(radius) = &checked.radius {
        for fact in radius_facts(radius) {
            output.line(format_args!("  {:8} {}", fact.about.label(), fact.value))?;
        }
    }
    output.line(format_args!("  policy   {}", Untrusted::line(&checked.verdict.policy)))
}

/// The beginning of a statement.
fn shortened(sql: &str) -> String {
    let mut characters = sql.chars();
    let mut shown: String = characters.by_ref().take(SQL_SHOWN).collect();
    if characters.next().is_some() {
        shown.push_str(" ...");
    }
    shown.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[derive(Debug, Clone, Copy)]
struct Paint {
    color: bool,
}

impl Paint {
    fn verdict(self, outcome: Outcome) -> String {
        let code = match outcome {
            Outcome::Pass => "32",
            Outcome::Hold { .. } => "33",
            Outcome::Deny => "31",
        };
        self.paint(outcome.as_str(), code)
    }

    fn level(self, level: Level) -> String {
        let code = match level {
            Level::None | Level::Low => "32",
            Level::Medium => "33",
            Level::High | Level::Critical => "31",
        };
        self.paint(level.as_str(), code)
    }

    fn paint(self, word: &str, code: &str) -> String {
        if self.color { format!("\x1b[{code}m{word}\x1b[0m") } else { word.to_owned() }
    }
}
