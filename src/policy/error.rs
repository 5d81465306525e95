//! What is wrong with a policy, and where.

use std::fmt;

use miette::Diagnostic;

use super::source::Source;
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
    pub(super) fn of(source: &Source, diagnostic: &dyn Diagnostic, message: String) -> Self {
        let label = diagnostic.labels().and_then(|mut labels| labels.next());
        let said = label.as_ref().and_then(|label| label.label()).filter(|said| !message.contains(said));
        Self {
            file: source.name.clone(),
            excerpt: label
                .as_ref()
                .map(|label| Excerpt::new(&source.text, label.offset()..label.offset().saturating_add(label.len()))),
            message: match said {
                Some(said) => format!("{message}: {said}"),
                None => message,
            },
            hint: diagnostic.help().map(|help| help.to_string()),
        }
    }
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
