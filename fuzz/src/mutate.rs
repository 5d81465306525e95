//! Makes texts from texts.

use std::path::Path;

use pgsluice::sql::psql::{Piece, Pieces};
use pgsluice::sql::{LexerSettings, Limits};

use crate::check::Text;
use crate::random::Random;
use crate::support::pieces::{FRAGMENTS, PIECES, STATEMENT_FRAGMENTS, corpus, cut, found, lexer_texts, seeds};

/// Statements of the regression suite that are longer bring little more.
const PIECES_MAX: usize = 120;

/// What may stand between two tokens, and looks as if it were something else.
const BETWEEN: &[&str] = &[
    "",
    "\n",
    "\r",
    "\r\n",
    "\t",
    "\u{b}",
    "\u{c}",
    "/**/",
    "/* ' */",
    "/* \" */",
    "/* $$ */",
    "/* ; */",
    "/*/**/*/",
    "--\n",
    "-- '\n",
    "-- ; \r",
    "--\r",
    "/* */ /* */",
    " /*-- */ ",
    "\u{a0}",
    "\u{feff}",
    "\u{200b}",
    "\\",
    "/*--*/\n",
];

/// Names that mean something somewhere.
const NAMES: &[&str] = &[
    "replace",
    "\"replace\"",
    "interval",
    "only",
    "\"only\"",
    "end",
    "\"end\"",
    "values",
    "\"values\"",
    "user",
    "\"user\"",
    "u&\"\\0066\"",
    "U&\"d!0061t!+000061\" UESCAPE '!'",
    "\"a\"\"b\"",
    "\"A\"",
    "É",
    "json_scalar",
    "merge_action",
    "json",
    "xmlforest",
    "pg_catalog.lower",
    "public.lower",
    "pg_temp.t",
    "s.t.u",
    "current_schema",
    "system_user",
    "analyze",
    "verbose",
    "year",
    "rows",
    "cube",
    "rollup",
    "grouping",
    "sets",
    "over",
    "filter",
    "within",
    "lateral",
    "tablesample",
    "authorization",
    "binary",
    "concurrently",
    "isnull",
    "none",
    "setof",
    "treat",
    "trim",
    "coalesce",
    "exists",
    "default",
    "wipe",
    "absent",
    "path",
    "nested",
    "columns",
    "plan",
    "empty",
    "error",
    "keep",
    "quotes",
    "scalar",
    "string",
    "value",
    "unique",
    "name",
    "partition",
    "window",
    "set",
    "cycle",
    "search",
    "depth",
    "first",
    "materialized",
];

/// Strings of every kind.
const STRINGS: &[&str] = &[
    "'a'",
    "E'a\\'b'",
    "'a\\'",
    "'a' 'b'",
    "'a'\n'b'",
    "'a' --\n 'b'",
    "E'\\\\'\n'\\''",
    "$$a'b$$",
    "$a$ $$ $a$",
    "$a$b",
    "B'1'",
    "X'1f'",
    "N'a'",
    "U&'\\0041'",
    "U&'!0041' UESCAPE '!'",
    "u&'a''b'",
    "''",
    "e''",
    "'\\'",
    "'--'",
    "'/*'",
    "$1",
    "$1a",
    "1.5e3",
    "0x1F",
    "1_000",
    ".5",
    "1.",
    "1..2",
    "'a'::text",
    "b''",
    "nchar 'a'",
    "$é$ $é$",
    "'é'",
];

/// What a statement may be put into: before it, behind it.
const AROUND: &[(&str, &str)] = &[
    ("EXPLAIN ", ""),
    ("EXPLAIN ANALYZE ", ""),
    ("EXPLAIN (ANALYZE) ", ""),
    ("EXPLAIN (ANALYZE off, VERBOSE) ", ""),
    ("EXPLAIN (\"analyze\" true) ", ""),
    ("EXPLAIN VERBOSE ", ""),
    ("PREPARE p AS ", ""),
    ("PREPARE p (int) AS ", ""),
    ("DECLARE c CURSOR FOR ", ""),
    ("DECLARE c SCROLL CURSOR WITH HOLD FOR ", ""),
    ("COPY (", ") TO STDOUT"),
    ("COPY (", ") TO PROGRAM 'x'"),
    ("CREATE TEMP TABLE x AS ", ""),
    ("CREATE VIEW v AS ", ""),
    ("INSERT INTO t ", ""),
    ("WITH x AS (", ") SELECT * FROM x"),
    ("WITH x AS MATERIALIZED (", ") TABLE x"),
    ("WITH RECURSIVE x(a) AS (", " UNION ALL SELECT a FROM x) SELECT * FROM x, y"),
    ("SELECT (", ")"),
    ("SELECT ARRAY(", ")"),
    ("SELECT EXISTS (", ")"),
    ("SELECT * FROM (", ") AS s"),
    ("SELECT 1 WHERE a IN (", ")"),
    ("SELECT * FROM t, LATERAL (", ") AS l"),
    ("(", ")"),
    ("(", ") LIMIT 1"),
    ("((", "))"),
    ("", " UNION SELECT 1"),
    ("", " FOR UPDATE"),
    ("", " INTO x"),
    ("SELECT 1; ", ""),
    ("", "; SELECT 1"),
    ("", ";"),
    (";;", ""),
    ("BEGIN; ", "; COMMIT"),
    ("SET a = 1; ", ""),
    ("MERGE INTO t USING (", ") AS s ON true WHEN MATCHED THEN DELETE"),
    ("UPDATE t SET a = (", ")"),
    ("DELETE FROM t USING (", ") AS s"),
    ("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC ", "; END"),
    ("CREATE RULE r AS ON SELECT TO t DO INSTEAD ", ""),
];

/// What expressions may be put into.
const AROUND_EXPRESSION: &[(&str, &str)] = &[
    ("(", ")"),
    ("f(", ")"),
    ("(", ").wipe"),
    ("(", ").*"),
    ("(", ")[1]"),
    ("ARRAY[", "]"),
    ("ROW(", ")"),
    ("CAST(", " AS s.typ)"),
    ("", "::s.typ"),
    ("CASE WHEN ", " THEN 1 END"),
    ("NOT ", ""),
    ("- ", ""),
    ("", " IS NULL"),
    ("", " IS DISTINCT FROM 1"),
    ("", " COLLATE \"C\""),
    ("", " AT TIME ZONE 'UTC'"),
    ("", " BETWEEN 1 AND 2"),
    ("", " IN (1, 2)"),
    ("1 = ANY (", ")"),
    ("", " OPERATOR(s.@@) 1"),
    ("coalesce(", ", 1)"),
    ("extract(year FROM ", ")"),
    ("xmlforest(", " AS a)"),
    ("json_object('a': ", ")"),
    ("count(*) FILTER (WHERE ", ")"),
    ("sum(1) OVER (ORDER BY ", ")"),
];

/// Makes texts from the statements that it knows.
pub(crate) struct Mutator {
    /// Statements, cut.
    statements: Vec<Vec<String>>,
    /// Texts for the lexer.
    texts: Vec<String>,
}

impl Mutator {
    /// With what is in the project, and with the regression suite where it has been fetched.
    pub(crate) fn new(project: &Path) -> Self {
        let mut statements: Vec<Vec<String>> = seeds().chain(corpus()).chain(found()).map(|text| cut(&text)).collect();
        let known = statements.len();
        let scripts = std::fs::read_dir(project.join("target/regression-suite/sql")).into_iter().flatten();
        let mut scripts: Vec<_> = scripts.filter_map(|entry| Some(entry.ok()?.path())).collect();
        scripts.sort();
        for script in scripts {
            let text = std::fs::read(script).unwrap_or_default();
            let settings = LexerSettings::default();
            let Ok(mut pieces) = Pieces::new(&text, settings, Limits::INLINE, 16 << 20) else { continue };
            while let Some(piece) = pieces.next(settings) {
                if let Piece::Statement { text, .. } = piece {
                    let cut = cut(&String::from_utf8_lossy(&text));
                    if (1..PIECES_MAX).contains(&cut.len()) {
                        statements.push(cut);
                    }
                }
            }
        }
        if statements.len() == known {
            println!("without the regression suite: scripts/regression-suite fetches it");
        }
        Self { statements, texts: lexer_texts() }
    }

    pub(crate) fn len(&self) -> usize {
        self.statements.len()
    }

    /// A text.
    pub(crate) fn text(&self, random: &mut Random) -> Text {
        if random.once_in(16) {
            return Text { sql: quoted(random), conforming: random.once_in(2), value: true };
        }
        let sql = match random.below(12) {
            0 => joined(random, FRAGMENTS, 14, ""),
            1 => joined(random, STATEMENT_FRAGMENTS, 9, " "),
            2 => {
                let text = random.of(&self.texts).clone();
                inserted(random, text)
            }
            _ => self.statement(random),
        };
        Text { sql, conforming: !random.once_in(12), value: false }
    }

    fn statement(&self, random: &mut Random) -> String {
        let mut pieces = random.of(&self.statements).clone();
        for _ in 0..random.below(5) {
            self.change(random, &mut pieces);
        }
        let mut sql = String::new();
        let odd = random.once_in(3);
        for piece in &pieces {
            if !sql.is_empty() {
                sql.push_str(if odd && random.once_in(4) { random.of::<&str>(BETWEEN) } else { " " });
            }
            sql.push_str(piece);
        }
        while random.once_in(4) && sql.len() < 4_000 {
            let (before, behind) = random.of(AROUND);
            sql = format!("{before}{sql}{behind}");
        }
        if random.once_in(8) { inserted(random, sql) } else { sql }
    }

    /// One change of a statement's pieces.
    fn change(&self, random: &mut Random, pieces: &mut Vec<String>) {
        let length = pieces.len();
        let at = random.below(length.max(1)).min(length);
        let end = (at + 1 + random.below(4)).min(length);
        match random.below(11) {
            0 => pieces.insert(at, (*random.of(PIECES)).to_owned()),
            1 => drop(pieces.drain(at..end)),
            2 if at < length => pieces[at] = (*random.of(PIECES)).to_owned(),
            3 if at < length => pieces[at] = (*random.of(NAMES)).to_owned(),
            4 if at < length => pieces[at] = (*random.of(STRINGS)).to_owned(),
            5 if at < length => pieces.swap(at, random.below(length)),
            6 | 7 => {
                let other = random.of(&self.statements);
                let from = random.below(other.len());
                let to = (from + 1 + random.below(8)).min(other.len());
                let until = if random.once_in(2) { end } else { at };
                pieces.splice(at..until, other[from..to].iter().cloned());
            }
            8 => {
                let other = random.of(&self.statements);
                if let (Some(here), Some(there)) = (group(random, pieces), group(random, other)) {
                    pieces.splice(here, other[there].iter().cloned());
                }
            }
            9 => {
                let (before, behind) = random.of(AROUND_EXPRESSION);
                pieces.insert(end, (*behind).to_owned());
                pieces.insert(at, (*before).to_owned());
            }
            _ => {
                let (before, behind) = random.of(AROUND);
                let other = random.of(&self.statements).join(" ");
                pieces.splice(at..end, [format!("{before}{other}{behind}")]);
            }
        }
    }
}

/// One string or name.
fn quoted(random: &mut Random) -> String {
    const BEHIND: &[&str] = &["", "", " uescape '!'", "\n'x'", " -- c\n 'b\\' '", "\r'y'", " 'z'"];
    let open = *random.of(&["'", "E'", "U&'", "\"", "U&\"", "$$", "$a$", "", "N'"]);
    let close = open.trim_start_matches(['E', 'U', '&', 'N']);
    let body = joined(random, FRAGMENTS, 5, "");
    let behind = if random.once_in(8) { "\u{e9}".repeat(40) } else { (*random.of(BEHIND)).to_owned() };
    if random.once_in(2) { format!("{open}{body}{close}{behind}") } else { format!("{open}{body}{behind}{close}") }
}

/// A pair of parentheses with what is in it.
fn group(random: &mut Random, pieces: &[String]) -> Option<std::ops::Range<usize>> {
    let opens: Vec<usize> = (0..pieces.len()).filter(|at| pieces[*at] == "(").collect();
    let open = *opens.get(random.below(opens.len()))?;
    let mut depth = 0_usize;
    for (at, piece) in pieces.iter().enumerate().skip(open) {
        match piece.as_str() {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(open..at + 1);
        }
    }
    None
}

fn joined(random: &mut Random, parts: &[&str], most: usize, glue: &str) -> String {
    let count = 1 + random.below(most);
    (0..count).map(|_| *random.of(parts)).collect::<Vec<_>>().join(glue)
}

/// The text with something odd at some place.
fn inserted(random: &mut Random, mut text: String) -> String {
    let mut at = random.below(text.len() + 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let piece = joined(random, FRAGMENTS, 3, "");
    text.insert_str(at, &piece);
    text
}
