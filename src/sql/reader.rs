//! Reads a file statement by statement, the way psql sends it: stops at the end of each statement and at each
//! backslash, where psql's own commands begin.

use std::ops::Range;

use super::lexer::{LexError, LexErrorReason, Lexer};
use super::limits::Limits;
use super::settings::LexerSettings;
use super::split::{Ends, SplitError, StatementTokens};

/// Reads the statements of a file.
#[derive(Debug)]
pub struct StatementReader<'a> {
    source: &'a [u8],
    lexer: Lexer<'a>,
    ends: Ends,
    limits: Limits,
    /// Where the statement begins.
    start: usize,
    /// Rows of COPY behind the line that is being read.
    rows: Option<Range<usize>>,
    /// Those that stand within the statement.
    passed_rows: Option<Range<usize>>,
}

/// Why the reader stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Behind the semicolon that ends the statement.
    Semicolon,
    /// At a backslash outside quotes and comments.
    Backslash,
    /// At the end of the file.
    End,
    /// At something that no statement has; where statements end behind it cannot be told.
    Refused(Refused),
}

/// Why a file cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It cannot be cut into tokens.
    #[error(transparent)]
    Lexed(#[from] LexError),
    /// It cannot be split into statements.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// It begins on the line of a COPY and goes on behind the rows.
    #[error("it goes on behind the rows of COPY, from byte {at}")]
    AcrossRows {
        /// Where it begins.
        at: usize,
    },
}

impl Refused {
    /// The byte of the source where it shows.
    #[must_use]
    pub const fn at(&self) -> usize {
        match self {
            Self::Lexed(error) => error.at,
            Self::Split(error) => error.at,
            Self::AcrossRows { at } => *at,
        }
    }

    /// What is wrong, without the place.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Lexed(error) => error.reason.to_string(),
            Self::Split(error) => error.reason.to_string(),
            Self::AcrossRows { .. } => "what begins here goes on behind the rows of COPY".to_owned(),
        }
    }

    /// Whether bytes are wrong that an editor may not show.
    #[must_use]
    pub const fn is_of_bytes(&self) -> bool {
        matches!(self, Self::Lexed(LexError { reason: LexErrorReason::Nul | LexErrorReason::NotUtf8, .. }))
    }

    pub(super) fn is_too_long(&self) -> bool {
        matches!(self, Self::Lexed(error) if error.reason == LexErrorReason::TooLong)
    }

    /// Whether the end of something was looked for up to the end of the source.
    pub(super) fn is_unterminated(&self) -> bool {
        matches!(
            self,
            Self::Lexed(LexError {
                reason: LexErrorReason::UnterminatedComment
                    | LexErrorReason::UnterminatedString
                    | LexErrorReason::UnterminatedIdentifier
                    | LexErrorReason::UnterminatedDollarString,
                ..
            })
        )
    }
}

impl<'a> StatementReader<'a> {
    /// A reader at the beginning of a file. `limits.bytes` bounds each statement; `file_bytes` the file.
    ///
    /// # Errors
    ///
    /// The file is too long, holds a NUL, or is not in the encoding of the settings.
    pub fn new(source: &'a [u8], settings: LexerSettings, limits: Limits, file_bytes: usize) -> Result<Self, LexError> {
        let lexer = Lexer::new(source, settings, &limits.with_bytes(file_bytes))?;
        Ok(Self { source, lexer, ends: Ends::new(limits), limits, start: 0, rows: None, passed_rows: None })
    }

    /// Reads on until something happens.
    pub fn advance(&mut self) -> Stop {
        loop {
            let (before, known) = (self.lexer.at, self.lexer.out.tokens().len());
            match self.lexer.step() {
                Ok(true) => {}
                Ok(false) => return Stop::End,
                Err(error) if error.reason == LexErrorReason::UnexpectedCharacter && self.at_backslash() => {
                    return Stop::Backslash;
                }
                Err(error) => return Stop::Refused(error.into()),
            }
            if let Err(refused) = self.pass_rows(before) {
                return Stop::Refused(refused);
            }
            if self.lexer.at - self.start > self.limits.bytes && known > 0 {
                return Stop::Refused(LexError { reason: LexErrorReason::TooLong, at: self.start }.into());
            }
            if self.lexer.out.tokens().len() > known {
                match self.ends.step(&self.lexer.out, known) {
                    Ok(true) => return Stop::Semicolon,
                    Ok(false) => {}
                    Err(error) => return Stop::Refused(error.into()),
                }
            }
        }
    }

    /// Where the rows of COPY end that stand behind the line that is being read.
    #[must_use]
    pub fn rows_end(&self) -> Option<usize> {
        self.rows.as_ref().map(|rows| rows.end)
    }

    /// Rows of COPY stand behind this line: what is read there comes before what stands behind them.
    pub fn set_rows(&mut self, rows: Range<usize>) {
        let start = self.rows.take().map_or(rows.start, |others| others.start);
        self.rows = Some(start..rows.end);
    }

    /// Goes on behind the rows, where the step that began at `before` has left the line. White space alone may: what
    /// else does would have the rows in it.
    fn pass_rows(&mut self, before: usize) -> Result<(), Refused> {
        let at = self.lexer.at;
        let Some(rows) = self.rows.take_if(|rows| at >= rows.start) else { return Ok(()) };
        let passed = self.source.get(before..at).unwrap_or_default();
        if !passed.iter().all(|byte| super::lexer::is_space(*byte)) {
            self.rows = Some(rows);
            return Err(Refused::AcrossRows { at: before });
        }
        self.lexer.at = rows.end;
        if self.statement().is_none() {
            self.start = rows.end;
        } else {
            self.passed_rows = Some(rows);
        }
        Ok(())
    }

    /// The rows of COPY that stand within the statement so far, and are no part of it.
    pub fn take_passed_rows(&mut self) -> Option<Range<usize>> {
        self.passed_rows.take()
    }

    fn at_backslash(&self) -> bool {
        self.source.get(self.lexer.at) == Some(&b'\\')
    }

    /// The place in the file.
    #[must_use]
    pub fn at(&self) -> usize {
        self.lexer.at
    }

    /// Goes on at a place further on, within the same statement.
    pub fn skip_to(&mut self, at: usize) {
        self.lexer.at = at.clamp(self.lexer.at, self.source.len());
    }

    /// Begins the next statement at a place, whatever has been read so far.
    pub fn resume(&mut self, at: usize, settings: LexerSettings) {
        let rows = self.rows.take_if(|rows| at >= rows.start);
        self.lexer.at = at.max(rows.map_or(0, |rows| rows.end)).min(self.source.len());
        self.begin(settings);
    }

    /// The statement so far, without the semicolon; `None` where there is nothing of it yet.
    #[must_use]
    pub fn statement(&self) -> Option<StatementTokens<'_>> {
        let tokens = self.lexer.out.tokens();
        let semicolon = tokens.last().is_some_and(|token| token.kind == super::token::TokenKind::Semicolon);
        StatementTokens::of(&self.lexer.out, 0..tokens.len() - usize::from(semicolon))
    }

    /// The bytes from where the statement began to here.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.start..self.lexer.at
    }

    /// Begins the next statement here, with the settings that hold from now on.
    pub fn begin(&mut self, settings: LexerSettings) {
        self.start = self.lexer.at;
        self.passed_rows = None;
        self.lexer.forget(settings);
        self.ends = Ends::new(self.limits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stops(source: &str) -> Vec<(Stop, String)> {
        let settings = LexerSettings::default();
        let mut reader =
            StatementReader::new(source.as_bytes(), settings, Limits::INLINE, 1 << 20).expect("a good file");
        let mut seen = Vec::new();
        loop {
            let stop = reader.advance();
            let text = source.get(reader.range()).expect("inside").trim().to_owned();
            seen.push((stop, text));
            match stop {
                Stop::Semicolon => reader.begin(settings),
                Stop::Backslash => reader.skip_to(reader.at() + 2),
                Stop::End | Stop::Refused(_) => return seen,
            }
        }
    }

    #[test]
    fn statements_are_read_one_by_one() {
        let text = |text: &str| text.to_owned();
        assert_eq!(
            stops("select ';'; create function f() begin atomic select 1; end; select 2 \\g\n-- ;"),
            [
                (Stop::Semicolon, text("select ';';")),
                (Stop::Semicolon, text("create function f() begin atomic select 1; end;")),
                (Stop::Backslash, text("select 2")),
                (Stop::End, text("select 2 \\g\n-- ;")),
            ]
        );
        assert!(matches!(stops("select 1; select 'x").last(), Some((Stop::Refused(Refused::Lexed(_)), _))));
        assert!(matches!(stops("select 1; select 1)").last(), Some((Stop::Refused(Refused::Split(_)), _))));
    }

    #[test]
    fn a_statement_beyond_the_limit_is_refused_but_the_file_may_be_longer() {
        let limits = Limits::INLINE.with_bytes(100);
        let settings = LexerSettings::default();
        let short = "select 1;".repeat(100);
        let mut reader = StatementReader::new(short.as_bytes(), settings, limits, 1 << 20).expect("a good file");
        let mut count = 0;
        while reader.advance() == Stop::Semicolon {
            reader.begin(settings);
            count += 1;
        }
        assert_eq!(count, 100);
        let long = format!("select {}1;", "1 + ".repeat(100));
        let mut reader = StatementReader::new(long.as_bytes(), settings, limits, 1 << 20).expect("a good file");
        assert!(matches!(
            reader.advance(),
            Stop::Refused(Refused::Lexed(LexError { reason: LexErrorReason::TooLong, .. }))
        ));
        assert!(StatementReader::new(long.as_bytes(), settings, limits, 10).is_err());
    }
}
