//! What is wrong with a policy, and where.

use std::fmt;

use miette::Diagnostic;

use super::source::Source;
use crate::sql::Action;
use crate::text::Excerpt;

/// One thing that is wrong with a policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file's name; empty where it is none file's fault.
    pub file: String,
    /// The place, where there is one.
    pub excerpt: Option<Excerpt>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem without a place.
    pub(super) fn new(file: &str, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), excerpt: None, message: message.into(), hint: None }
    }

    /// What Cedar says of a file.
    pub(super) fn of(source: &Source, diagnostic: &dyn Diagnostic, message: &str) -> Self {
        let message = plain(message);
        let label = diagnostic.labels().and_then(|mut labels| labels.next());
        let said = label.as_ref().and_then(|label| label.label()).filter(|said| !message.contains(said));
        Self {
            file: source.name.clone(),
            excerpt: label
                .as_ref()
                .map(|label| Excerpt::new(&source.text, label.offset()..label.offset().saturating_add(label.len()))),
            message: match said {
                Some(said) => format!("{message}: {said}"),
                None => message.clone(),
            },
            hint: misspelt_action(&message).or_else(|| diagnostic.help().map(|help| help.to_string())),
        }
    }

    /// The order in which a reader comes to it.
    pub(super) fn place(&self) -> (String, usize, usize) {
        let (line, column) = self.excerpt.as_ref().map_or((0, 0), |excerpt| (excerpt.line, excerpt.column));
        (self.file.clone(), line, column)
    }
}

/// Cedar's words without what the place says already, and without the action: it repeats a mistake in a condition
/// for each of them.
fn plain(message: &str) -> String {
    let message = match message.strip_prefix("for policy `").and_then(|rest| rest.split_once("`, ")) {
        Some((_, message)) => message,
        None => message,
    };
    let Some((before, rest)) = message.split_once(" for Action::\"") else {
        return message.to_owned();
    };
    match rest.split_once('"') {
        Some((_, after)) => format!("{before}{after}"),
        None => message.to_owned(),
    }
}

/// Which action was meant. Cedar's own guess knows nothing of words.
fn misspelt_action(message: &str) -> Option<String> {
    let written = message.strip_prefix("unrecognized action `Action::\"")?.strip_suffix("\"`")?;
    let meant = Action::ALL
        .into_iter()
        .max_by(|left, right| {
            let likeness = |action: &Action| strsim::jaro_winkler(written, action.as_str());
            likeness(left).total_cmp(&likeness(right))
        })
        .filter(|action| strsim::jaro_winkler(written, action.as_str()) > 0.75);
    Some(match meant {
        Some(meant) => format!("did you mean `Action::\"{meant}\"`?"),
        None => format!("the actions are {}", Action::ALL.map(Action::as_str).join(", ")),
    })
}

impl fmt::Display for Problem {
    /// `file:line:column: message`, then the line with the place underlined, then the hint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            f.write_str(&self.file)?;
            if let Some(excerpt) = &self.excerpt {
                write!(f, ":{}:{}", excerpt.line, excerpt.column)?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.message)?;
        if let Some(excerpt) = &self.excerpt {
            write!(f, "\n{excerpt}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  = {hint}")?;
        }
        Ok(())
    }
}

/// Why policies cannot be used: at least one problem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct PolicyErrors(pub Vec<Problem>);

impl fmt::Display for PolicyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}
