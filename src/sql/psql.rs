//! Cuts a script into what psql would send: one piece for each statement, without psql's own commands and without
//! the data behind `COPY ... FROM STDIN`.

use std::collections::VecDeque;
use std::ops::Range;

use super::lexer::{LexError, LexErrorReason};
use super::limits::Limits;
use super::reader::{Refused, StatementReader, Stop};
use super::settings::{Encoding, LexerSettings};
use super::split::StatementTokens;
use super::token::TokenKind;

/// psql's commands that send the statement so far (`\g` and its kin in psql's `command.c`).
const SENDING: [&str; 9] = ["g", "gx", "gset", "gdesc", "gexec", "crosstabview", "watch", "bind", "bind_named"];

/// psql's commands that read the rest of the line as one argument.
const WHOLE_LINE: [&str; 4] = ["!", "copy", "h", "help"];

/// psql's commands that bring other statements, which are not looked at.
const BRINGING: [&str; 5] = ["i", "include", "ir", "include_relative", "gexec"];

/// How many bytes of a script are read again behind quotes that have no end. Each such quote is looked for to the end
/// of the script, so without a bound a script of nothing else would take quadratic time.
const AGAIN_BYTES_MAX: usize = 1 << 26;

/// The same as a number of scripts, where a script is long.
const AGAIN_SCRIPTS_MAX: usize = 4;

/// What psql would send, or what is to be said about what it would not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// One statement (or, where psql cannot end it, more).
    Statement {
        /// Where it stands in the script.
        range: Range<usize>,
        /// Its text: as many bytes as the range, psql's commands blanked out.
        text: Vec<u8>,
    },
    /// It cannot be told where the statement here ends. The next piece begins behind the next semicolon that ends a
    /// line, which is where people end statements; if there is none, this is the rest of the script.
    Unreadable {
        /// Where it stands.
        range: Range<usize>,
        /// Why.
        why: Refused,
    },
    /// A command of psql was skipped.
    Skipped {
        /// Where it stands.
        range: Range<usize>,
        /// Its name without the backslash.
        command: String,
        /// Whether it runs statements that are not in this script.
        brings_statements: bool,
    },
    /// Rows for a COPY were skipped.
    Data {
        /// Where they stand.
        range: Range<usize>,
        /// The line `\.` is there.
        ended: bool,
    },
}

/// Cuts a script into pieces, one after the other: what a statement sets may change how the next one is read.
#[derive(Debug)]
pub struct Pieces<'a> {
    /// What can be read: the script, up to a NUL.
    source: &'a [u8],
    /// The length of the script.
    length: usize,
    /// It is not all UTF-8.
    has_other_bytes: bool,
    reader: StatementReader<'a>,
    settings: LexerSettings,
    /// Ranges of the statement at hand that are blanked out.
    blanks: Vec<Range<usize>>,
    /// What comes before the next statement.
    pending: VecDeque<Piece>,
    /// What stands within the statement at hand, and comes behind it.
    within: Vec<Piece>,
    finished: bool,
    /// How many bytes may still be read more than once.
    again: usize,
}

impl<'a> Pieces<'a> {
    /// At the beginning of a script of at most `script_bytes`; `limits.bytes` bounds each statement.
    ///
    /// # Errors
    ///
    /// The script is too long.
    pub fn new(
        script: &'a [u8],
        settings: LexerSettings,
        limits: Limits,
        script_bytes: usize,
    ) -> Result<Self, LexError> {
        // psql loses the rest of a line with a NUL, how much of it depends on its buffer.
        let source = script.split(|byte| *byte == 0).next().unwrap_or_default();
        let has_other_bytes = std::str::from_utf8(source).is_err();
        let reader = StatementReader::new(source, tolerant(settings, has_other_bytes), limits, script_bytes)?;
        Ok(Self {
            source,
            length: script.len(),
            has_other_bytes,
            reader,
            settings,
            blanks: Vec::new(),
            pending: VecDeque::new(),
            within: Vec::new(),
            finished: false,
            again: source.len().saturating_mul(AGAIN_SCRIPTS_MAX).max(AGAIN_BYTES_MAX),
        })
    }

    /// The next piece; `settings` are those that hold after all pieces so far.
    pub fn next(&mut self, settings: LexerSettings) -> Option<Piece> {
        if settings != self.settings {
            self.settings = settings;
            self.begin();
        }
        loop {
            if let Some(piece) = self.pending.pop_front() {
                return Some(piece);
            }
            if self.finished {
                return None;
            }
            match self.reader.advance() {
                Stop::Semicolon => return Some(self.sent(self.reader.at())),
                Stop::Backslash => {
                    if let Some(piece) = self.command() {
                        return Some(piece);
                    }
                }
                Stop::End => {
                    self.finished = true;
                    let begun = self.reader.statement().is_some();
                    if self.source.len() < self.length {
                        return Some(self.rest_with_nul(begun));
                    }
                    if begun {
                        return Some(self.statement());
                    }
                }
                Stop::Refused(why) => return Some(self.unreadable(why)),
            }
        }
    }

    /// Begins the next statement here.
    fn begin(&mut self) {
        self.reader.begin(tolerant(self.settings, self.has_other_bytes));
    }

    /// The rest of the script, from the statement that has a NUL in it.
    fn rest_with_nul(&mut self, begun: bool) -> Piece {
        let nul = self.source.len();
        let start = if begun { self.reader.range().start } else { nul };
        self.blanks.clear();
        self.pending.extend(self.within.drain(..));
        let why = LexError { reason: LexErrorReason::Nul, at: nul };
        Piece::Unreadable { range: start..self.length, why: why.into() }
    }

    /// The statement that cannot be read, up to where the next one begins for all we can tell.
    fn unreadable(&mut self, why: Refused) -> Piece {
        let start = self.reader.range().start;
        // A quote without its end has been looked for up to the end of the script; what is too long is one literal.
        let from = if why.is_too_long() { self.reader.at() } else { why.at() };
        let spent = if why.is_unterminated() { self.source.len() - from } else { 0 };
        let end = line_ending_semicolon(self.source, from).filter(|_| spent <= self.again);
        self.again = self.again.saturating_sub(spent);
        self.finished = end.is_none();
        if self.finished && self.source.len() < self.length {
            return self.rest_with_nul(true);
        }
        self.blanks.clear();
        self.pending.extend(self.within.drain(..));
        let settings = tolerant(self.settings, self.has_other_bytes);
        self.reader.resume(end.unwrap_or(self.source.len()), settings);
        Piece::Unreadable { range: start..self.reader.at(), why }
    }

    /// The statement that ends here; the next one begins here.
    fn statement(&mut self) -> Piece {
        let range = self.reader.range();
        let mut text = self.source.get(range.clone()).unwrap_or_default().to_vec();
        self.blanks.extend(self.reader.take_passed_rows());
        for blank in self.blanks.drain(..) {
            let inside = blank.start - range.start..blank.end - range.start;
            for byte in text.get_mut(inside).unwrap_or_default() {
                if !matches!(byte, b'\n' | b'\r') {
                    *byte = b' ';
                }
            }
        }
        self.begin();
        self.pending.extend(self.within.drain(..));
        Piece::Statement { range, text }
    }

    /// The statement that is sent here. Where it is a COPY from the client, its rows stand on the next lines, and the rest
    /// of this line comes behind them.
    fn sent(&mut self, rest_of_line: usize) -> Piece {
        let copies = self.reader.statement().is_some_and(|tokens| copies_from_client(&tokens));
        let piece = self.statement();
        self.reader.skip_to(rest_of_line);
        self.begin();
        if copies {
            self.rows();
        }
        piece
    }

    /// The rows of a COPY: they begin on the next line, or behind those of another COPY on this one.
    fn rows(&mut self) {
        let from = self.reader.rows_end().unwrap_or_else(|| line_end(self.source, self.reader.at()));
        let (end, ended) = rows_end(self.source, from);
        self.pending.push_back(Piece::Data { range: from..end, ended });
        if from < end {
            self.reader.set_rows(from..end);
        }
    }

    /// At a backslash: skips one of psql's commands. Gives the statement that the command sends.
    fn command(&mut self) -> Option<Piece> {
        let start = self.reader.at();
        if self.source.get(start + 1) == Some(&b';') {
            // psql sends a semicolon, and goes on collecting.
            self.blanks.push(start..start + 1);
            self.reader.skip_to(start + 1);
            return None;
        }
        let name_end = start + 1 + name_length(self.source.get(start + 1..).unwrap_or_default());
        let name = String::from_utf8_lossy(self.source.get(start + 1..name_end).unwrap_or_default()).into_owned();
        let line_end = newline(self.source, start);
        let end = if WHOLE_LINE.contains(&name.as_str()) {
            line_end
        } else {
            separator(self.source.get(name_end..line_end).unwrap_or_default()).map_or(line_end, |at| name_end + at)
        };
        let skipped = Piece::Skipped {
            range: start..end,
            brings_statements: BRINGING.contains(&name.as_str()),
            command: name.clone(),
        };
        if self.reader.statement().is_none() {
            self.blanks.clear();
            self.reader.skip_to(end);
            self.begin();
            return Some(skipped);
        }
        self.within.push(skipped);
        if SENDING.contains(&name.as_str()) {
            return Some(self.sent(end));
        }
        self.blanks.push(start..end);
        self.reader.skip_to(end);
        None
    }
}

/// Settings with which a script is read that is not all UTF-8: psql sends statement by statement, and the server refuses
/// those that are not. Where statements end does not depend on it.
fn tolerant(settings: LexerSettings, has_other_bytes: bool) -> LexerSettings {
    match settings.encoding {
        Encoding::Utf8 if has_other_bytes => LexerSettings { encoding: Encoding::Bytes, ..settings },
        _ => settings,
    }
}

/// Whether it is `COPY ... FROM STDIN`, and not the copy of a query or to the client.
fn copies_from_client(tokens: &StatementTokens<'_>) -> bool {
    let mut depth = 0usize;
    tokens.word(0) == Some("copy")
        && (0..tokens.tokens().len()).any(|index| {
            match tokens.kind(index) {
                Some(TokenKind::OpenParen) => depth += 1,
                Some(TokenKind::CloseParen) => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && (tokens.words_at(index, &["from", "stdin"]) || tokens.words_at(index, &["from", "stdout"]))
        })
}

/// One past the next semicolon behind which the line has nothing more than white space.
fn line_ending_semicolon(text: &[u8], from: usize) -> Option<usize> {
    let rest = text.get(from..)?;
    let mut semicolon = None;
    for (index, byte) in rest.iter().enumerate() {
        match byte {
            b';' => semicolon = Some(from + index + 1),
            b'\n' => {
                if semicolon.is_some() {
                    return semicolon;
                }
            }
            byte if byte.is_ascii_whitespace() => {}
            _ => semicolon = None,
        }
    }
    semicolon
}

/// The next line feed, or the end of the text.
fn newline(text: &[u8], from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    rest.iter().position(|byte| *byte == b'\n').map_or(text.len(), |at| from + at)
}

/// One past the line end behind a byte, or the end of the text.
fn line_end(text: &[u8], from: usize) -> usize {
    (newline(text, from) + 1).min(text.len())
}

/// One past the line `\.` that ends rows, and whether there is one.
fn rows_end(text: &[u8], from: usize) -> (usize, bool) {
    let mut at = from;
    while at < text.len() {
        let end = line_end(text, at);
        let line = text.get(at..end).unwrap_or_default();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        if line.strip_suffix(b"\r").unwrap_or(line) == b"\\." {
            return (end, true);
        }
        at = end;
    }
    (text.len(), false)
}

/// The length of the name of a command: up to white space or another backslash; `\!` is one by itself.
fn name_length(text: &[u8]) -> usize {
    if text.first() == Some(&b'!') {
        return 1;
    }
    text.iter().position(|byte| byte.is_ascii_whitespace() || *byte == b'\\').unwrap_or(text.len())
}

/// Where in the arguments of a command the next command begins, or the SQL behind `\\`: at a backslash outside
/// quotes. `\\` itself belongs to the command.
fn separator(arguments: &[u8]) -> Option<usize> {
    let mut quote = None;
    let mut bytes = arguments.iter().enumerate().peekable();
    while let Some((at, byte)) = bytes.next() {
        match (quote, byte) {
            (None, b'\\') if arguments.get(at + 1) == Some(&b'\\') => return Some(at + 2),
            (None, b'\\') => return Some(at),
            (None, b'\'' | b'"' | b'`') => quote = Some(*byte),
            (Some(b'\''), b'\\') => {
                bytes.next();
            }
            (Some(open), byte) if open == *byte => quote = None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(script: &str) -> Vec<String> {
        let settings = LexerSettings::default();
        let mut pieces = Pieces::new(script.as_bytes(), settings, Limits::INLINE, 1 << 20).expect("a good script");
        let mut seen = Vec::new();
        while let Some(piece) = pieces.next(settings) {
            seen.push(match piece {
                Piece::Statement { range, text } => {
                    assert_eq!(range.len(), text.len());
                    String::from_utf8(text).expect("UTF-8").split_whitespace().collect::<Vec<_>>().join(" ")
                }
                Piece::Skipped { command, brings_statements, .. } => {
                    format!("\\{command}{}", if brings_statements { "!" } else { "" })
                }
                Piece::Data { range, ended } => format!("data {:?} {ended}", script.get(range).expect("inside")),
                Piece::Unreadable { range, .. } => format!("unreadable {:?}", script.get(range).expect("inside")),
            });
        }
        seen
    }

    #[test]
    fn commands_of_psql_are_skipped_and_hide_no_statement() {
        assert_eq!(
            pieces("\\set ON_ERROR_STOP on\nselect 1;\n\\echo it's fine\n\\i other.sql\ndrop table t;"),
            ["\\set", "select 1;", "\\echo", "\\i!", "drop table t;"]
        );
        assert_eq!(pieces("\\echo x \\\\ drop table t;"), ["\\echo", "drop table t;"]);
        assert_eq!(pieces("\\echo 'a \\\\ b' \"\\\\\" \\\\ drop table t;"), ["\\echo", "drop table t;"]);
        assert_eq!(pieces("\\echo a \\echo b\nselect 1;"), ["\\echo", "\\echo", "select 1;"]);
        assert_eq!(pieces("select 1 \\gexec\nselect 2;"), ["select 1", "\\gexec!", "select 2;"]);
        assert_eq!(pieces("select 1 \\g out.txt \\\\ drop table t;"), ["select 1", "\\g", "drop table t;"]);
        assert_eq!(pieces("select \\echo hi\n 1;"), ["select 1;", "\\echo"]);
        assert_eq!(pieces("select 1\\; drop table t;"), ["select 1 ;", "drop table t;"]);
        assert_eq!(
            pieces("select '\\i x', $$\\q$$; -- \\x\n/* \\y */ select 2"),
            ["select '\\i x', $$\\q$$;", "-- \\x /* \\y */ select 2"]
        );
        assert_eq!(pieces("\\! rm -rf / \\\\ drop table t;\nselect 1;"), ["\\!", "select 1;"]);
    }

    #[test]
    fn rows_of_copy_are_no_statements() {
        assert_eq!(
            pieces("COPY t (a, b) FROM stdin;\n1\tdrop table t;\n'\t\\N\n\\.\nselect 1;"),
            ["COPY t (a, b) FROM stdin;", "data \"1\\tdrop table t;\\n'\\t\\\\N\\n\\\\.\\n\" true", "select 1;"]
        );
        assert_eq!(pieces("copy t from stdin;\nx\n"), ["copy t from stdin;", "data \"x\\n\" false"]);
        assert_eq!(pieces("copy t from stdin;\r\nx\r\n\\.\r\nselect 1;").last().map(String::as_str), Some("select 1;"));
        assert_eq!(
            pieces("copy (select 1) to stdout;\nselect 1;\n\\.\n").first().map(String::as_str),
            Some("copy (select 1) to stdout;")
        );
        assert_eq!(
            pieces("copy t from stdin -- c\n\\g\nx\n\\.\nselect 1;").last().map(String::as_str),
            Some("select 1;")
        );
        assert_eq!(pieces("copy t from stdin; -- c\nx\n\\.\n").len(), 2);
        assert_eq!(pieces("copy t to stdout;\nselect 1;"), ["copy t to stdout;", "select 1;"]);
    }

    #[test]
    fn what_stands_behind_a_copy_on_its_line_comes_behind_the_rows() {
        assert_eq!(
            pieces("copy t from stdin; drop table t; select 1;\nx;\n\\.\nselect 2;"),
            ["copy t from stdin;", "data \"x;\\n\\\\.\\n\" true", "drop table t;", "select 1;", "select 2;"]
        );
        assert_eq!(
            pieces("copy t from stdin; drop table\nx;\n\\.\n t;\nselect 2;"),
            ["copy t from stdin;", "data \"x;\\n\\\\.\\n\" true", "drop table t;", "select 2;"]
        );
        assert_eq!(
            pieces("copy a from stdin; copy b from stdin; drop table t;\n1;\n\\.\n2;\n\\.\nselect 2;"),
            [
                "copy a from stdin;",
                "data \"1;\\n\\\\.\\n\" true",
                "copy b from stdin;",
                "data \"2;\\n\\\\.\\n\" true",
                "drop table t;",
                "select 2;"
            ]
        );
        assert_eq!(
            pieces("copy t from stdin; \\echo a\nx;\n\\.\nselect 2;").last().map(String::as_str),
            Some("select 2;")
        );
        assert_eq!(
            pieces("copy t from stdin; drop table t;"),
            ["copy t from stdin;", "data \"\" false", "drop table t;"]
        );
        assert_eq!(
            pieces("copy t from stdin; drop table t\nx;\n"),
            ["copy t from stdin;", "data \"x;\\n\" false", "drop table t"]
        );
        for across in ["select 'a\nx';\n\\.\n';", "select /* \nx */;\n\\.\n*/ 1;"] {
            let found = pieces(&format!("copy t from stdin; {across}\ndrop table t;"));
            assert!(found.iter().any(|piece| piece.starts_with("unreadable")), "{found:?}");
            assert_eq!(found.last().map(String::as_str), Some("drop table t;"), "{found:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_hide_no_other_statement() {
        let settings = LexerSettings::default();
        let pieces = |script: &[u8]| {
            let mut pieces = Pieces::new(script, settings, Limits::INLINE, 1 << 20).expect("a good script");
            std::iter::from_fn(move || pieces.next(settings)).collect::<Vec<_>>()
        };
        let ranges = |script: &[u8]| -> Vec<(Range<usize>, bool)> {
            let range = |piece| match piece {
                Piece::Statement { range, .. } => (range, true),
                Piece::Unreadable { range, .. } => (range, false),
                other => panic!("{other:?}"),
            };
            pieces(script).into_iter().map(range).collect()
        };
        // psql sends it, and the server refuses that statement alone.
        assert_eq!(ranges(b"select '\xff;'; drop table t;"), [(0..12, true), (12..26, true)]);
        assert_eq!(ranges(b"select 1; select\0 2; drop table t;"), [(0..9, true), (9..34, false)]);
        assert_eq!(ranges(b"select 1;\0drop table t;"), [(0..9, true), (9..23, false)]);
        assert_eq!(ranges(b"select 1; select '\0';\ndrop table t;"), [(0..9, true), (9..35, false)]);
        let Some(Piece::Unreadable { why, .. }) = pieces(b"select 1; select '\0'").pop() else { panic!("a NUL") };
        assert_eq!((why.at(), why.is_of_bytes()), (18, true));
    }

    #[test]
    fn what_cannot_be_read_is_not_guessed() {
        assert_eq!(
            pieces("select 1; select 'x; drop table t;"),
            ["select 1;", "unreadable \" select 'x; drop table t;\""]
        );
        assert_eq!(pieces("select (1; drop table t;"), ["unreadable \"select (1; drop table t;\""]);
        assert_eq!(
            pieces("select E'\\xZZ\\u12', ';\n', 'a' as \"\"; -- c\n, 1 ;  \r\nselect 2;\n\\q\n"),
            [
                "unreadable \"select E'\\\\xZZ\\\\u12', ';\"",
                "unreadable \"\\n', 'a' as \\\"\\\"; -- c\\n, 1 ;\"",
                "select 2;",
                "\\q"
            ]
        );
        assert_eq!(
            pieces("select \"\";\nselect 1;\nselect 'x;\nselect 2;\nselect $$;\n"),
            [
                "unreadable \"select \\\"\\\";\"",
                "select 1;",
                "unreadable \"\\nselect 'x;\"",
                "select 2;",
                "unreadable \"\\nselect $$;\""
            ]
        );
        assert_eq!(
            pieces("select (1;\n\\i x\nselect 2);"),
            ["unreadable \"select (1;\"", "\\i!", "unreadable \"\\nselect 2);\""]
        );
        assert_eq!(pieces(""), Vec::<String>::new());
        assert_eq!(pieces("-- nothing\n"), Vec::<String>::new());
    }

    #[test]
    fn scripts_of_nothing_but_open_quotes_take_bounded_time() {
        let script: String = (0..70_000).map(|number| format!("$a{number}$;\n")).collect();
        let last = pieces(&script).pop().expect("something");
        assert!(last.len() > script.len() / 2, "{}", last.len());
    }

    #[test]
    fn settings_change_how_the_next_statement_is_read() {
        let script = "set standard_conforming_strings = off; select 'a\\'; drop table t; --';";
        let on = LexerSettings::default();
        let off = LexerSettings { standard_conforming_strings: false, ..on };
        let mut pieces = Pieces::new(script.as_bytes(), on, Limits::INLINE, 1 << 20).expect("a good script");
        assert!(matches!(pieces.next(on), Some(Piece::Statement { .. })));
        let Some(Piece::Statement { text, .. }) = pieces.next(off) else { panic!("a statement") };
        assert_eq!(text, b" select 'a\\'; drop table t; --';");
    }
}
