//! Where the statements to check come from: the command line, files, stdin.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use crate::cli::Failure;

/// A file larger than this is data, not statements.
pub(super) const FILE_BYTES_MAX: usize = 256 << 20;

/// Some statements, and where they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// What it is.
    pub(super) origin: Origin,
    /// Its bytes.
    pub(super) text: Vec<u8>,
}

/// Where statements stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// The n-th SQL string of the command line, from 1.
    Argument(usize),
    /// A file, as it was named.
    File(PathBuf),
    /// Stdin.
    Stdin,
}

impl Origin {
    /// The name of the file, where it is one.
    pub(super) fn file(&self) -> Option<String> {
        match self {
            Self::File(path) => Some(path.display().to_string()),
            Self::Argument(_) | Self::Stdin => None,
        }
    }

    /// Whether psql would run it as a script.
    pub(super) fn is_script(&self) -> bool {
        !matches!(self, Self::Argument(_))
    }

    /// How messages call it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Argument(number) => format!("argument {number}"),
            Self::File(path) => path.display().to_string(),
            Self::Stdin => "stdin".to_owned(),
        }
    }
}

/// Reads what is to be checked: the SQL strings, then the files; stdin where there are neither, or where a file is
/// named `-`.
///
/// # Errors
///
/// A file cannot be read or is too large, or there is nothing to check.
pub(super) fn read(strings: &[String], files: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    for (index, text) in strings.iter().enumerate() {
        sources.push(Source { origin: Origin::Argument(index + 1), text: text.clone().into_bytes() });
    }
    for path in files {
        sources.push(if path == Path::new("-") { read_stdin()? } else { read_file(path)? });
    }
    if sources.is_empty() {
        if std::io::stdin().is_terminal() {
            return Err(Failure::usage("nothing to check")
                .hint("give SQL as arguments, files with -f, or pipe a script: pgsluice check < migration.sql"));
        }
        sources.push(read_stdin()?);
    }
    Ok(sources)
}

fn read_file(path: &Path) -> Result<Source, Failure> {
    let file = std::fs::File::open(path)
        .map_err(|error| Failure::usage(format_args!("cannot read {}: {error}", path.display())))?;
    Ok(Source { origin: Origin::File(path.to_owned()), text: read_all(file, &path.display().to_string())? })
}

fn read_stdin() -> Result<Source, Failure> {
    Ok(Source { origin: Origin::Stdin, text: read_all(std::io::stdin().lock(), "stdin")? })
}

fn read_all(reader: impl Read, name: &str) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    reader
        .take(FILE_BYTES_MAX as u64 + 1)
        .read_to_end(&mut text)
        .map_err(|error| Failure::usage(format_args!("cannot read {name}: {error}")))?;
    if text.len() > FILE_BYTES_MAX {
        return Err(Failure::usage(format_args!("{name} is larger than {} MiB", FILE_BYTES_MAX >> 20))
            .hint("split it into several files"));
    }
    Ok(text)
}

/// Where in a text something stands, for people: both count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The line.
    pub(super) line: usize,
    /// The column.
    pub(super) column: usize,
}

/// Finds places in a text. What was passed is not read again: a text may be one line, and be asked about for each of its
/// statements.
#[derive(Debug)]
pub(super) struct Places<'a> {
    text: &'a [u8],
    at: Passed,
    /// The way so far, a stop every so many bytes: for places further back.
    stops: Vec<Passed>,
    #[cfg(test)]
    steps: usize,
}

/// How much of a text was passed, and which place that is.
#[derive(Debug, Clone, Copy)]
struct Passed {
    bytes: usize,
    place: Place,
}

/// How far the stops are apart.
const STOP_BYTES: usize = 256;

impl<'a> Places<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        let at = Passed { bytes: 0, place: Place { line: 1, column: 1 } };
        Self {
            text,
            at,
            stops: vec![at],
            #[cfg(test)]
            steps: 0,
        }
    }

    /// The place of a byte.
    pub(super) fn of(&mut self, byte: usize) -> Place {
        if byte < self.at.bytes {
            let after = self.stops.partition_point(|stop| stop.bytes <= byte);
            self.at = self.stops[after.saturating_sub(1)];
        }
        let byte = byte.min(self.text.len());
        while self.at.bytes < byte {
            self.step();
        }
        self.at.place
    }

    /// Passes one character, or what is shown as one: bytes that are none.
    fn step(&mut self) {
        let rest = self.text.get(self.at.bytes..).unwrap_or_default();
        // A carriage return alone ends a line too, as it ends a comment.
        let ends_line = match rest {
            [b'\n', ..] => true,
            [b'\r', next @ ..] => next.first() != Some(&b'\n'),
            _ => false,
        };
        self.at.bytes += length_of_first(rest);
        if ends_line {
            self.at.place = Place { line: self.at.place.line + 1, column: 1 };
        } else {
            self.at.place.column += 1;
        }
        if self.stops.last().is_some_and(|stop| stop.bytes + STOP_BYTES <= self.at.bytes) {
            self.stops.push(self.at);
        }
        #[cfg(test)]
        {
            self.steps += 1;
        }
    }
}

/// How long the first character of a text is, or what stands there in place of one; 1 at least.
fn length_of_first(text: &[u8]) -> usize {
    /// The longest character.
    const LONGEST: usize = 4;
    if text.first().is_none_or(u8::is_ascii) {
        return 1;
    }
    let first = text.get(..LONGEST.min(text.len())).unwrap_or_default().utf8_chunks().next();
    first.map_or(1, |chunk| chunk.valid().chars().next().map_or(chunk.invalid().len(), char::len_utf8)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let text = "a\r\néx\ry\n\nz".as_bytes();
        let mut places = Places::new(text);
        let all: Vec<_> =
            [0, 5, 7, 10, 5].into_iter().map(|byte| places.of(byte)).map(|p| (p.line, p.column)).collect();
        assert_eq!(all, [(1, 1), (2, 2), (3, 1), (5, 1), (2, 2)]);
        let mut places = Places::new(b"a\x80\xff\xc3\xa9;\xf0\x9f\x98");
        // Within a character, and behind the end.
        let columns: Vec<_> = [5, 4, 3, 9, 100, 1, 2].into_iter().map(|byte| places.of(byte).column).collect();
        assert_eq!(columns, [5, 5, 4, 7, 7, 2, 3]);
    }

    #[test]
    fn a_text_is_passed_once_whatever_its_lines() {
        for line in ["select 1;", "select 1;\n", "\u{e9}\u{20ac};", "\\echo x\n"] {
            let text = line.repeat((1 << 20) / line.len());
            let ends = || (0..text.len()).step_by(line.len());
            let mut places = Places::new(text.as_bytes());
            for end in ends() {
                places.of(end);
            }
            assert!(places.steps <= text.len(), "{line:?}: {}", places.steps);
            // What stands within a statement is told behind it.
            let mut places = Places::new(text.as_bytes());
            for end in ends() {
                places.of(end);
                places.of(end.saturating_sub(20));
            }
            let again = ends().count() * (STOP_BYTES + 20);
            assert!(places.steps <= text.len() + again, "{line:?}: {}", places.steps);
        }
    }
}
