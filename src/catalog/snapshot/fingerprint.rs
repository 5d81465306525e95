//! What is looked at to see whether anything has changed.

use tokio_postgres::SimpleQueryMessage;

use super::settings::OwnSettings;
use super::{Answers, Malformed};
use crate::blast::facts::Seen;
use crate::catalog::queries;

/// How much is asked to see whether anything changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::catalog) enum Probe {
    /// All but the names of columns.
    Definitions,
    /// All.
    Columns,
}

impl Probe {
    /// What is asked.
    pub(in crate::catalog) fn text(self) -> String {
        match self {
            Self::Definitions => [queries::BEGIN, queries::FINGERPRINT, "commit"].join(";"),
            Self::Columns => [queries::BEGIN, queries::FINGERPRINT, queries::COLUMNS_FINGERPRINT, "commit"].join(";"),
        }
    }
}

/// What differs whenever the facts may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::catalog) struct Fingerprint {
    definitions: String,
    /// Of the names of columns.
    columns: String,
}

impl Fingerprint {
    /// From the answers to [`queries::OWN_SETTINGS`] and to a probe. What it did not ask is as in the last one.
    pub(in crate::catalog) fn of(
        probe: Probe,
        own: &[SimpleQueryMessage],
        messages: Vec<SimpleQueryMessage>,
        last: &Self,
    ) -> Result<Self, Malformed> {
        let mut answers = Answers::new(messages);
        let definitions = Self::definitions(&OwnSettings::new(own)?, &mut answers)?;
        let columns = match probe {
            Probe::Definitions => last.columns.clone(),
            Probe::Columns => answers.line()?.string(0)?,
        };
        Ok(Self { definitions, columns })
    }

    /// From the first answers to [`batch`](super::batch), with what the server alone said.
    pub(super) fn first(own: &OwnSettings<'_>, answers: &mut Answers) -> Result<(Self, Seen), Malformed> {
        let seen = Seen { definitions: answers.line()?.string(0)?, columns: answers.line()?.string(0)? };
        let definitions = Self::with_settings(&seen.definitions, own);
        Ok((Self { definitions, columns: seen.columns.clone() }, seen))
    }

    fn definitions(own: &OwnSettings<'_>, answers: &mut Answers) -> Result<String, Malformed> {
        Ok(Self::with_settings(answers.line()?.text(0)?, own))
    }

    fn with_settings(definitions: &str, own: &OwnSettings<'_>) -> String {
        format!("{definitions} {}", own.fingerprint())
    }
}
