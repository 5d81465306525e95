//! What texts have in common that mean the same: their tokens, without comments and the values of literals, with long
//! lists of literals folded as in the [canonical text](super::Script::canonical). For remembering what was found out about a
//! text: it is made in one pass, into buffers that are used again.
//!
//! # Layout
//!
//! Three bytes for the settings the text was read with. For each token one byte for its kind; behind names, parameters and operators their text and a NUL, which no text
//! holds; `0xff` where elements of a list or rows were left out. So no two lists of tokens share a fingerprint unless
//! they differ in literals, or in how many of them a long list has.

mod plain;
mod template;

use super::fold::Folder;
use super::lexer::{Lexed, lex_into};
use super::limits::Limits;
use super::settings::{Encoding, LexerSettings};
use super::split::StatementTokens;
use super::token::TokenKind;

pub use template::Template;

/// Where elements of a list or rows were left out.
const ELIDED: u8 = 0xff;
/// Longer texts are seldom plain to their end.
const PLAIN_BYTES_MAX: usize = 4 * 1024;
/// Buffers that grew beyond this are given back.
const KEPT_BYTES: usize = 16 * 1024;

/// Makes fingerprints, one at a time.
#[derive(Debug, Default)]
pub struct Fingerprinter {
    lexed: Lexed,
    bytes: Vec<u8>,
}

/// The fingerprint of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint<'a> {
    /// See the module's documentation.
    pub bytes: &'a [u8],
    /// Whether the text has literals.
    pub has_literals: bool,
}

impl Fingerprinter {
    /// The fingerprint of a text; `None` for one that cannot be cut into tokens, which shares nobody's.
    pub fn read(&mut self, text: &[u8], settings: &LexerSettings, limits: &Limits) -> Option<Fingerprint<'_>> {
        let has_literals = match self.read_plain(text, settings, limits) {
            Some(has_literals) => {
                debug_assert!(self.agrees(has_literals, text, settings, limits), "two fingerprints of one text");
                has_literals
            }
            None => self.read_tokens(text, settings, limits)?,
        };
        Some(Fingerprint { bytes: &self.bytes, has_literals })
    }

    /// The short way, where there is one.
    fn read_plain(&mut self, text: &[u8], settings: &LexerSettings, limits: &Limits) -> Option<bool> {
        self.begin(settings);
        is_short_and_utf8(text, settings, limits).then(|| plain::write(&mut self.bytes, text, |_| {}))?
    }

    fn read_tokens(&mut self, text: &[u8], settings: &LexerSettings, limits: &Limits) -> Option<bool> {
        self.begin(settings);
        let cut = lex_into(&mut self.lexed, text, settings, limits);
        let has_literals = cut.is_ok() && self.write();
        if self.lexed.tokens().len() > KEPT_BYTES / size_of::<super::token::Token>() {
            self.lexed = Lexed::default();
        }
        cut.ok()?;
        Some(has_literals)
    }

    /// Whether both ways lead to the same.
    fn agrees(&self, has_literals: bool, text: &[u8], settings: &LexerSettings, limits: &Limits) -> bool {
        let mut other = Self::default();
        other.read_tokens(text, settings, limits) == Some(has_literals) && other.bytes == self.bytes
    }

    fn begin(&mut self, settings: &LexerSettings) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        self.bytes.extend([
            u8::from(settings.standard_conforming_strings),
            settings.encoding as u8,
            settings.server_encoding as u8,
        ]);
    }

    /// Writes the fingerprint of the tokens; says whether there are literals among them.
    fn write(&mut self) -> bool {
        let Some(all) = StatementTokens::of(&self.lexed, 0..self.lexed.tokens().len()) else { return false };
        let mut has_literals = false;
        let mut folder = Folder::new(all);
        while let Some(step) = folder.next() {
            let Some(token) = all.tokens().get(step.index) else { break };
            self.bytes.push(token.kind as u8);
            match token.kind {
                TokenKind::Word | TokenKind::QuotedIdentifier | TokenKind::Parameter | TokenKind::Operator => {
                    self.bytes.extend_from_slice(all.text(token).as_bytes());
                    self.bytes.push(0);
                }
                kind => has_literals |= kind.is_literal(),
            }
            if step.elided_after {
                self.bytes.push(ELIDED);
            }
        }
        has_literals
    }
}

/// Whether a text may be plain.
fn is_short_and_utf8(text: &[u8], settings: &LexerSettings, limits: &Limits) -> bool {
    settings.encoding == Encoding::Utf8 && text.len() <= PLAIN_BYTES_MAX.min(limits.bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sql::psql::{Piece, Pieces};
    use crate::sql::statement::{SessionChange, Statement};
    use crate::sql::{Script, analyze, lexer};

    fn fingerprint(text: &str) -> Option<Vec<u8>> {
        let mut fingerprinter = Fingerprinter::default();
        let read = fingerprinter.read(text.as_bytes(), &LexerSettings::default(), &Limits::INLINE)?;
        Some(read.bytes.to_vec())
    }

    #[test]
    fn literals_and_comments_leave_no_trace_and_all_else_does() {
        let same = ["select 1, 'a' from t", "SELECT /* x */ 2,'b''c'\nFROM t -- end", "select 1.5, $$x$$ from T"];
        for text in same {
            assert_eq!(fingerprint(text), fingerprint(same[0]), "{text}");
        }
        let texts = [
            "select 'a'",
            "select N'a'",
            "select B'1'",
            "select X'1'",
            "select 1",
            "select $1",
            "select $11",
            "select a",
            "select \"a\"",
            "select \"A\"",
            "select ab",
            "select a b",
            "select a.b",
            "select - 1",
            "select + 1",
            "select 1;",
            "select 1;select 1",
            "select (1)",
            "select [1]",
            "select 1 1",
            "select",
            "delete from a",
            "delete from b",
        ];
        let distinct: std::collections::BTreeSet<_> = texts.iter().map(|text| fingerprint(text)).collect();
        assert_eq!(distinct.len(), texts.len());
        assert_eq!(fingerprint("select 'open"), None);
    }

    #[test]
    fn long_lists_are_folded_and_short_ones_counted() {
        let list = |count: usize| format!("select x in ({}) and y", vec!["7"; count].join(","));
        assert_eq!(fingerprint(&list(17)), fingerprint(&list(5_000)));
        assert_ne!(fingerprint(&list(16)), fingerprint(&list(17)));
        assert_ne!(fingerprint(&list(2)), fingerprint(&list(3)));
        assert!(fingerprint(&list(5_000)).unwrap().len() < 200);
    }

    /// The text with its literals replaced by others of their kind, so that it has the same fingerprint.
    fn with_other_literals(text: &str, seed: u64) -> Option<String> {
        let settings = LexerSettings::default();
        let lexed = lexer::lex(text.as_bytes(), &settings, &Limits::INLINE).ok()?;
        let mut out = String::new();
        let mut at = 0;
        for (index, token) in lexed.tokens().iter().enumerate() {
            let span = token.span();
            out.push_str(text.get(at..span.start)?);
            let number = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(index as u64) >> 33;
            match token.kind {
                TokenKind::Number => out.push_str(&number.to_string()),
                TokenKind::String => out.push_str(["'other'", "''", "'2020-01-01'", "'off'"][number as usize % 4]),
                _ => out.push_str(text.get(span.clone())?),
            }
            at = span.end;
        }
        out.push_str(text.get(at..)?);
        Some(out)
    }

    /// Without the places in the text, which literals move.
    fn without_spans(statements: &[Statement]) -> Vec<Statement> {
        let mut statements = statements.to_vec();
        for statement in &mut statements {
            statement.span = 0..0;
            for change in &mut statement.session {
                if let SessionChange::Prepare { body, .. } | SessionChange::DeclareCursor { body, .. } = change {
                    **body = without_spans(std::slice::from_ref(body)).remove(0);
                }
            }
        }
        statements
    }

    /// What is found out about a text, and would be told of another that has the same fingerprint; none where they agree.
    fn difference(text: &str, seed: u64) -> Option<String> {
        let other = with_other_literals(text, seed)?;
        if fingerprint(text)? != fingerprint(&other)? {
            return None;
        }
        let settings = LexerSettings::default();
        let (one, two) = (analyze(text.as_bytes(), &settings), analyze(other.as_bytes(), &settings));
        let unknown = |script: &Script| script.statements.iter().any(Statement::has_unknown);
        let agree = one.depends_on_literals() == two.depends_on_literals()
            && unknown(&one) == unknown(&two)
            // The reasons of what was not understood quote the text: nobody remembers those.
            && (one.depends_on_literals()
                || unknown(&one)
                || without_spans(&one.statements) == without_spans(&two.statements));
        (!agree).then(|| format!("{text}\n{:#?}\n{other}\n{:#?}", one.statements, two.statements))
    }

    fn known_texts() -> Vec<String> {
        let corpus = include_str!("../../testdata/corpus/statements.jsonl").lines();
        let corpus = corpus.filter_map(|line| {
            let case: serde_json::Value = serde_json::from_str(line).ok()?;
            Some(case["sql"].as_str()?.to_owned())
        });
        let seeds = include_str!("../../testdata/sql/seeds.sql").lines().map(str::to_owned);
        corpus.chain(seeds).collect()
    }

    #[test]
    fn what_is_remembered_by_fingerprint_is_what_would_be_found_again() {
        let texts = known_texts();
        assert!(texts.len() > 200);
        for text in &texts {
            for seed in 0..20 {
                assert_eq!(difference(text, seed), None);
            }
        }
    }

    /// The suite that `scripts/regression-suite` fetches: every command there is, with every option.
    #[test]
    #[cfg_attr(feature = "pg-query", ignore = "nothing is remembered where a second parser is asked about each text")]
    fn the_same_holds_for_the_servers_own_suite() {
        let suite = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/regression-suite/sql");
        let scripts = std::fs::read_dir(suite).expect("run scripts/regression-suite, as `make test` does");
        let settings = LexerSettings::default();
        let mut statements = 0;
        for script in scripts {
            let script = std::fs::read(script.unwrap().path()).unwrap();
            let Ok(mut pieces) = Pieces::new(&script, settings, Limits::INLINE, 16 << 20) else { continue };
            while let Some(piece) = pieces.next(settings) {
                let Piece::Statement { text, .. } = piece else { continue };
                let Ok(text) = String::from_utf8(text) else { continue };
                statements += 1;
                assert_eq!(difference(&text, statements), None);
            }
        }
        assert!(statements > 30_000, "the suite is not whole: {statements}");
    }

    /// What the two ways to a fingerprint might read otherwise when it stands side by side.
    const PARTS: [&str; 64] = [
        "select", "U", "u&", "N", "e", "b", "x", "_a", "Ab9$", "null", "true", "in", " ", " ", "\n", "\t", "\r",
        "\u{b}", "'", "'", "''", "'a'", "'a\\'", "\"", "$", "$1", "$$", "$a$", "0", "1", "12", "1.5", "e5", "x1", "_0",
        ".", "..", ",", ", 1", ";", "(", ")", "[", "]", ":", "::", ":=", "=", ">", "<", "!", "-", "+", "*", "/", "|",
        "&", "@", "%", "?", "#", "\0", "\u{e9}", "--",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        /// Short or long, the way makes no difference; and the long one refuses nothing that the short one takes.
        #[test]
        fn both_ways_to_a_fingerprint_agree(
            parts in prop::collection::vec(prop::sample::select(&PARTS[..]), 0..12),
            conforming: bool,
        ) {
            let text = parts.concat();
            let settings = LexerSettings { standard_conforming_strings: conforming, ..LexerSettings::default() };
            let mut short = Fingerprinter::default();
            if let Some(has_literals) = short.read_plain(text.as_bytes(), &settings, &Limits::INLINE) {
                prop_assert!(short.agrees(has_literals, text.as_bytes(), &settings, &Limits::INLINE), "{:?}", text);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// The same for pieces of known texts put together.
        #[test]
        #[cfg_attr(feature = "pg-query", ignore = "nothing is remembered where a second parser is asked about each text")]
        fn the_same_holds_for_what_was_never_seen(
            pieces in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..4),
            seed: u64,
        ) {
            let texts = known_texts();
            let mut text = String::new();
            for (which, from, to) in pieces {
                let words: Vec<&str> = which.get(&texts).split_inclusive(' ').collect();
                let (from, to) = (from.index(words.len().max(1)), to.index(words.len() + 1));
                text.extend(words.get(from.min(to)..from.max(to)).unwrap_or_default().iter().copied());
            }
            prop_assert_eq!(difference(&text, seed), None);
        }
    }
}
