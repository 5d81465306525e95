//! The answers of the server, row by row.

use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow};

use crate::blast::facts::ColumnNames;

/// The answers say something else than was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unexpected answer: {0}")]
pub(in crate::catalog) struct Malformed(pub(super) String);

/// The rows of one query after the other.
pub(super) struct Answers {
    sets: std::vec::IntoIter<Vec<SimpleQueryRow>>,
}

impl Answers {
    pub(super) fn new(messages: Vec<SimpleQueryMessage>) -> Self {
        let mut sets = Vec::new();
        let mut rows = Vec::new();
        let mut has_rows = false;
        for message in messages {
            match message {
                SimpleQueryMessage::RowDescription(_) => has_rows = true,
                SimpleQueryMessage::Row(row) => rows.push(row),
                // BEGIN, SET and COMMIT describe no rows.
                SimpleQueryMessage::CommandComplete(_) if has_rows => {
                    sets.push(std::mem::take(&mut rows));
                    has_rows = false;
                }
                _ => {}
            }
        }
        Self { sets: sets.into_iter() }
    }

    pub(super) fn rows(&mut self) -> Result<Vec<Line>, Malformed> {
        let rows = self.sets.next().ok_or_else(|| Malformed("fewer results than queries".to_owned()))?;
        Ok(rows.into_iter().map(Line).collect())
    }

    pub(super) fn line(&mut self) -> Result<Line, Malformed> {
        self.rows()?.into_iter().next().ok_or_else(|| Malformed("no row where there is always one".to_owned()))
    }
}

/// One row.
pub(super) struct Line(SimpleQueryRow);

impl Line {
    pub(super) fn optional(&self, column: usize) -> Result<Option<&str>, Malformed> {
        self.0.try_get(column).map_err(|error| Malformed(error.to_string()))
    }

    pub(super) fn text(&self, column: usize) -> Result<&str, Malformed> {
        self.optional(column)?.ok_or_else(|| Malformed(format!("column {column} is null")))
    }

    pub(super) fn string(&self, column: usize) -> Result<String, Malformed> {
        self.text(column).map(str::to_owned)
    }

    /// Names, as the queries put them together.
    pub(super) fn names(&self, column: usize) -> Result<Option<Vec<String>>, Malformed> {
        Ok(self.optional(column)?.map(|names| names.split(ColumnNames::SEPARATOR).map(str::to_owned).collect()))
    }

    pub(super) fn number<T: std::str::FromStr>(&self, column: usize) -> Result<T, Malformed> {
        let text = self.text(column)?;
        text.parse().map_err(|_| Malformed(format!("{text:?} is no number")))
    }

    pub(super) fn truth(&self, column: usize) -> Result<bool, Malformed> {
        Ok(self.text(column)? == "t")
    }

    /// A column of type `"char"`; a space where it is empty.
    pub(super) fn letter(&self, column: usize) -> Result<u8, Malformed> {
        Ok(self.text(column)?.bytes().next().unwrap_or(b' '))
    }
}
