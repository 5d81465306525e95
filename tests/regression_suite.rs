//! Postgres' own regression suite, held against the server's own parser: nothing that is more than a read passes as
//! one, nearly every read passes, and nearly every statement is named.
//!
//! `scripts/regression-suite` fetches the suite. What remains is in `testdata/regression/remaining.md`;
//! `PGSLUICE_UPDATE=1` writes that file anew.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use pgsluice::sql::functions::builtin;
use pgsluice::sql::lexer::lex;
use pgsluice::sql::psql::{Piece, Pieces};
use pgsluice::sql::{Action, LexerSettings, Limits, SessionChange, Statement, analyze_within};

use crate::support::server_parser::{Nature, Truth, compare, is_read, statements};

/// Of the pure reads over built-in functions, how many pass at least.
const READS_PASSING_LEAST: f64 = 0.97;

/// Of all statements, for how many the action is named at least.
const NAMED_LEAST: f64 = 0.95;

/// How often the analysis may look at a token here: a third of what it allows itself.
const LOOKS_PER_TOKEN_MOST: usize = 100;

/// The largest file of the suite is far smaller.
const SCRIPT_BYTES: usize = 16 << 20;

/// Examples that are shown of each class.
const EXAMPLES: usize = 3;

/// Stands before reasons that no class explains.
const UNEXPLAINED: &str = "not explained";

/// Why statements wait or have no name: how the reason begins, and what stands behind it.
const CLASSES: &[(&str, &str)] = &[
    ("holds password hashes", "the relation holds password hashes"),
    ("holds the server's configuration files", "the relation shows the server's configuration files"),
    ("holds the contents of large objects", "the relation holds large objects, past their privileges"),
    ("holds samples of every table's columns", "the relation holds samples of columns, past their privileges"),
    ("holds passwords of foreign servers", "the relation holds passwords of foreign servers"),
];

#[derive(Debug, Default)]
struct Counted {
    scripts: usize,
    statements: usize,
    refused_by_the_server: usize,
    reads: usize,
    reads_passing: usize,
    others: usize,
    named: usize,
    waiting: BTreeMap<String, Vec<String>>,
    nameless: BTreeMap<String, Vec<String>>,
    unread: Vec<String>,
    differences: Vec<String>,
}

#[test]
fn the_servers_own_suite_is_read_as_the_server_reads_it() {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/regression-suite");
    let version = std::fs::read_to_string(suite.join("version"))
        .expect("the suite is not there: run scripts/regression-suite, as `make test` does");
    let mut scripts: Vec<_> =
        std::fs::read_dir(suite.join("sql")).unwrap().map(|entry| entry.unwrap().path()).collect();
    scripts.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    scripts.sort();
    let counted = counted_together(&scripts);
    let report = counted.report(version.trim());
    println!("{report}");
    assert!(
        counted.differences.is_empty(),
        "{} differ:\n{}",
        counted.differences.len(),
        counted.differences.join("\n")
    );
    assert!(counted.statements > 30_000, "the suite is not whole: {}", counted.statements);
    let reads = share(counted.reads_passing, counted.reads);
    assert!(reads >= READS_PASSING_LEAST, "only {reads} of the reads pass");
    let named = share(counted.named, counted.statements);
    assert!(named >= NAMED_LEAST, "only {named} of the statements have a named action");
    assert!(!report.contains(UNEXPLAINED), "what waits must be explained in CLASSES");
    as_written_down(&report, version.trim());
}

/// Counts all scripts, several at once.
fn counted_together(scripts: &[PathBuf]) -> Counted {
    let (next, parts) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let work = || {
        while let Some(path) = scripts.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut counted = Counted::default();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            counted.script(&name, &std::fs::read(path).unwrap());
            parts.lock().unwrap().insert(name, counted);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, NonZeroUsize::get) {
            scope.spawn(work);
        }
    });
    let parts = parts.into_inner().unwrap();
    parts.into_values().fold(Counted::default(), Counted::and)
}

#[expect(clippy::cast_precision_loss, reason = "a few ten thousand")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

/// The table is compared where it was made from the same version of the suite.
fn as_written_down(report: &str, version: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/regression/remaining.md");
    if std::env::var_os("PGSLUICE_UPDATE").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        return std::fs::write(&file, report).unwrap();
    }
    let written = std::fs::read_to_string(&file).expect("PGSLUICE_UPDATE=1 writes testdata/regression/remaining.md");
    if !written.contains(&format!("of Postgres {version}.")) {
        println!("remaining.md was made from another version of the suite: not compared");
        return;
    }
    assert!(
        written == report,
        "testdata/regression/remaining.md is stale: look at what changed with PGSLUICE_UPDATE=1"
    );
}

impl Counted {
    fn and(mut self, other: Self) -> Self {
        self.scripts += other.scripts;
        self.statements += other.statements;
        self.refused_by_the_server += other.refused_by_the_server;
        self.reads += other.reads;
        self.reads_passing += other.reads_passing;
        self.others += other.others;
        self.named += other.named;
        for (all, more) in [(&mut self.waiting, other.waiting), (&mut self.nameless, other.nameless)] {
            for (class, statements) in more {
                all.entry(class).or_default().extend(statements);
            }
        }
        self.unread.extend(other.unread);
        self.differences.extend(other.differences);
        self
    }

    fn script(&mut self, name: &str, text: &[u8]) {
        self.scripts += 1;
        let mut settings = LexerSettings::default();
        let mut pieces = match Pieces::new(text, settings, Limits::INLINE, SCRIPT_BYTES) {
            Ok(pieces) => pieces,
            Err(error) => return self.unread.push(format!("{name}: {error}")),
        };
        while let Some(piece) = pieces.next(settings) {
            match piece {
                Piece::Statement { range, text: sql } => {
                    let lines = text[..range.start].iter().filter(|byte| **byte == b'\n').count();
                    let blank = sql.iter().take_while(|byte| byte.is_ascii_whitespace());
                    let line = lines + blank.filter(|byte| **byte == b'\n').count() + 1;
                    self.piece(&format!("{name}.sql:{line}"), &sql, &mut settings);
                }
                Piece::Unreadable { range, why } => {
                    let line = text[..range.start].iter().filter(|byte| **byte == b'\n').count() + 1;
                    self.unread.push(format!("{name}.sql from line {line}: {why}"));
                }
                Piece::Skipped { .. } | Piece::Data { .. } => {}
            }
        }
    }

    fn piece(&mut self, place: &str, sql: &[u8], settings: &mut LexerSettings) {
        let text = String::from_utf8_lossy(sql);
        let script = analyze_within(sql, settings, &Limits::INLINE);
        let tokens = lex(sql, settings, &Limits::INLINE).map_or(0, |lexed| lexed.tokens().len());
        if script.work > (tokens + 100) * LOOKS_PER_TOKEN_MOST {
            self.differences.push(format!("{} looks at {tokens} tokens in {place}", script.work));
        }
        let ours = script.statements;
        let options = if settings.standard_conforming_strings {
            pg_query::ParserOptions::DEFAULT
        } else {
            pg_query::ParserOptions::DISABLE_STANDARD_CONFORMING_STRINGS
        };
        let parsed = pg_query::parse(&text, options).ok().and_then(|parsed| statements(&parsed.protobuf));
        for change in ours.iter().flat_map(|statement| &statement.session) {
            follow(change, settings);
        }
        let Some(theirs) = parsed else {
            self.refused_by_the_server += 1;
            return;
        };
        let shown: String = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(110).collect();
        let shown = format!("{place}: `{}`", shown.replace('`', "'"));
        if let Err(difference) = compare(&ours, &theirs) {
            self.differences.push(format!("{difference}\n    in {shown}"));
        }
        for (index, theirs) in theirs.iter().enumerate() {
            // A text that cannot be read is one statement.
            let Some(ours) = ours.get(index).or(ours.first()) else { continue };
            self.statement(&shown, ours, theirs);
        }
    }

    fn statement(&mut self, shown: &str, ours: &Statement, theirs: &Truth) {
        self.statements += 1;
        let reason = || ours.reasons.first().cloned().unwrap_or_default();
        if ours.has_unknown() {
            self.nameless.entry(class(&reason())).or_default().push(shown.to_owned());
        } else {
            self.named += 1;
        }
        let reviewed = theirs.functions.iter().all(|name| {
            let own = matches!(name.schema.as_deref(), None | Some("pg_catalog" | "information_schema"));
            own && builtin(&name.name).is_some_and(|class| class.is_harmless())
        });
        if theirs.nature != Nature::Read || !reviewed {
            self.others += usize::from(theirs.nature != Nature::Read);
            return;
        }
        self.reads += 1;
        if ours.effects.iter().all(|effect| effect.action == Action::Read || effect.harmless) {
            self.reads_passing += 1;
        } else {
            self.waiting.entry(class(&reason())).or_default().push(shown.to_owned());
        }
        assert!(theirs.nature == Nature::Read || !is_read(ours));
    }

    fn report(&self, version: &str) -> String {
        let mut out = String::new();
        let percent = |part: usize, whole: usize| format!("{:.2} %", share(part, whole) * 100.0);
        let _ = writeln!(
            out,
            "# What remains of Postgres' own regression suite\n\n\
             Written by `tests/regression_suite.rs`, from `src/test/regress/sql` of Postgres {version}.\n\n\
             | statements | | |\n|---|---:|---:|\n\
             | in {} scripts, that the server's parser takes | {} | |\n\
             | in texts that it refuses, not counted below | {} | |\n\
             | with a named action | {} | {} |\n\
             | pure reads over built-in functions | {} | |\n\
             | of these, passing | {} | {} |\n\
             | anything but reads | {} | |\n\
             | of these, passing as a read | {} | |\n",
            self.scripts,
            self.statements,
            self.refused_by_the_server,
            self.named,
            percent(self.named, self.statements),
            self.reads,
            self.reads_passing,
            percent(self.reads_passing, self.reads),
            self.others,
            self.differences.len(),
        );
        section(&mut out, "Reads that wait", &self.waiting);
        section(&mut out, "Statements without a named action", &self.nameless);
        let _ = writeln!(
            out,
            "## Scripts that are not read to their end\n\n\
             psql sends a statement that the server's scanner refuses, and goes on behind it. `pgsluice check` says that it\n\
             cannot read on, and that nothing is known of the rest: it does not guess where a token ends that no server takes.\n"
        );
        for unread in &self.unread {
            let _ = writeln!(out, "- {unread}");
        }
        out
    }
}

/// What the next statement's text means may depend on this one.
fn follow(change: &SessionChange, settings: &mut LexerSettings) {
    match change {
        SessionChange::Set { name: Some(name), value, .. } if name == "standard_conforming_strings" => {
            settings.standard_conforming_strings = value.as_deref() != Some("off");
        }
        SessionChange::Reset(name) if name.as_deref().is_none_or(|name| name == "standard_conforming_strings") => {
            settings.standard_conforming_strings = true;
        }
        _ => {}
    }
}

/// Why a statement waits, without what is its own.
fn class(reason: &str) -> String {
    let known = CLASSES.iter().find(|(part, _)| reason.contains(part));
    known.map_or_else(|| format!("{UNEXPLAINED}: {reason}"), |(_, explanation)| (*explanation).to_owned())
}

fn section(out: &mut String, title: &str, classes: &BTreeMap<String, Vec<String>>) {
    let _ = writeln!(out, "## {title}\n");
    for (class, statements) in classes {
        let _ = writeln!(out, "- {class}: {}", statements.len());
        for statement in statements.iter().take(EXAMPLES) {
            let _ = writeln!(out, "  - {statement}");
        }
    }
    out.push('\n');
}
