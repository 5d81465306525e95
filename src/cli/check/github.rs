//! The report as annotations of GitHub Actions (workflow commands).

use super::judge::{Checked, Report};
use crate::cli::{Failure, Output};
use crate::gate::facts::radius_facts;
use crate::policy::Outcome;
use crate::sql::risk::Level;

/// Prints one annotation for each statement that does not pass, or that is a risk.
pub(super) fn print(report: &Report, output: &mut Output) -> Result<(), Failure> {
    for checked in &report.statements {
        if let Some(severity) = severity(checked) {
            output.line(annotation(checked, severity))?;
        }
    }
    for note in &report.notes {
        let file = file(note.origin.file());
        output.line(format_args!(
            "::notice {file}line={},col={}::{}",
            note.place.line,
            note.place.column,
            data(&note.text)
        ))?;
    }
    Ok(())
}

fn severity(checked: &Checked) -> Option<&'static str> {
    match (checked.verdict.outcome, checked.risk.level()) {
        (Outcome::Deny, _) | (Outcome::Hold { .. }, Level::High | Level::Critical) => Some("error"),
        (Outcome::Hold { .. }, _) | (Outcome::Pass, Level::High | Level::Critical) => Some("warning"),
        (Outcome::Pass, Level::Medium) => Some("notice"),
        (Outcome::Pass, Level::None | Level::Low) => None,
    }
}

fn annotation(checked: &Checked, severity: &str) -> String {
    let title =
        format!("{}: {} risk: {}", checked.verdict.outcome.as_str(), checked.risk.level(), checked.statement.command);
    let mut lines: Vec<String> = checked.all_reasons().into_iter().map(str::to_owned).collect();
    for rule in &checked.risk.rules {
        lines.push(format!("{}: {}", rule.id, rule.why));
        lines.extend(rule.instead.map(|instead| format!("instead: {instead}")));
    }
    for fact in checked.radius.iter().flat_map(radius_facts) {
        lines.push(format!("{}: {}", fact.about.label(), fact.value));
    }
    lines.push(format!("policy: {}", checked.verdict.policy));
    format!(
        "::{severity} {}line={},endLine={},col={},title={}::{}",
        file(checked.origin.file()),
        checked.place.line,
        checked.end.line,
        checked.place.column,
        property(&title),
        data(&lines.join("\n"))
    )
}

fn file(name: Option<String>) -> String {
    name.map_or_else(String::new, |name| format!("file={},", property(&name)))
}

/// The message of a command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_begins_another_command() {
        assert_eq!(data("50%\r\n::error::x"), "50%25%0D%0A::error::x");
        assert_eq!(property("a,line=1:b"), "a%2Cline=1%3Ab");
    }
}
