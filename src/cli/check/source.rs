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

/// Finds places in a text: in ascending order of bytes one pass finds all of them.
#[derive(Debug, Clone)]
pub(super) struct Places<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
    line_start: usize,
}

impl<'a> Places<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, line: 1, line_start: 0 }
    }

    /// The place of a byte. Bytes are best asked for in ascending order.
    pub(super) fn of(&mut self, byte: usize) -> Place {
        if byte < self.line_start {
            *self = Self::new(self.text);
        }
        for (index, value) in self.text.iter().enumerate().take(byte).skip(self.at) {
            // A carriage return alone ends a line too, as it ends a comment.
            let ends_line = *value == b'\n' || (*value == b'\r' && self.text.get(index + 1) != Some(&b'\n'));
            if ends_line {
                self.line += 1;
                self.line_start = index + 1;
            }
        }
        self.at = self.at.max(byte);
        let before = self.text.get(self.line_start..byte).unwrap_or_default();
        // What is no character is shown as one.
        let characters =
            before.utf8_chunks().map(|chunk| chunk.valid().chars().count() + usize::from(!chunk.invalid().is_empty()));
        Place { line: self.line, column: characters.sum::<usize>() + 1 }
    }
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
        let place = Places::new(b"a\x80\xff\xc3\xa9;").of(5);
        assert_eq!((place.line, place.column), (1, 5));
    }
}
