//! Stdout: data, and a reader that may go away.

use std::fmt;
use std::io::{self, IsTerminal, StdoutLock, Write};

use serde::Serialize;

use super::Failure;
use crate::text;

/// Locked stdout. A closed pipe becomes [`Failure::ClosedPipe`], which ends the command with exit code 0.
#[derive(Debug)]
pub struct Output {
    stdout: StdoutLock<'static>,
}

impl Output {
    /// Locks stdout.
    #[must_use]
    pub fn stdout() -> Self {
        Self { stdout: io::stdout().lock() }
    }

    /// Whether a person is likely to look at it.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.stdout.is_terminal()
    }

    /// Prints one line.
    ///
    /// # Errors
    ///
    /// [`Failure::ClosedPipe`], or that stdout cannot be written.
    pub fn line(&mut self, line: impl fmt::Display) -> Result<(), Failure> {
        writeln!(self.stdout, "{line}").map_err(output_failure)
    }

    /// Prints text without a line end: the beginning of a line, a question.
    ///
    /// # Errors
    ///
    /// See [`Output::line`].
    pub fn text(&mut self, text: impl fmt::Display) -> Result<(), Failure> {
        write!(self.stdout, "{text}").map_err(output_failure)
    }

    /// Prints one JSON document on one line, with deceptive characters escaped.
    ///
    /// # Errors
    ///
    /// See [`Output::line`].
    pub fn json<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        text::json::write(&mut self.stdout, value).map_err(output_failure)?;
        self.stdout.write_all(b"\n").map_err(output_failure)
    }

    /// Makes sure that what was printed is seen: for streams, and at the end.
    ///
    /// # Errors
    ///
    /// See [`Output::line`].
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.stdout.flush().map_err(output_failure)
    }
}

/// Tells a person something that is no data, on stderr.
pub fn note(text: impl fmt::Display) {
    // Where nobody reads it, nobody misses it.
    let _ = writeln!(io::stderr(), "{text}");
}

#[expect(clippy::needless_pass_by_value, reason = "the signature of map_err")]
fn output_failure(error: io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Failure::ClosedPipe
    } else {
        Failure::failed(format_args!("cannot write to stdout: {error}"))
    }
}
