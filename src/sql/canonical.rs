//! The canonical form of a statement: its tokens without comments, with literals replaced by placeholders, and with
//! long lists of literals folded.
//!
//! The text is what statements are compared by: two statements with the same canonical text differ in literals only.
//! It is not meant to be run or parsed.

use super::fold::Folder;
use super::split::StatementTokens;
use super::token::{Token, TokenKind};

impl StatementTokens<'_> {
    /// Adds the statement's canonical form to `text`. False: it holds a token that no statement of the server has
    /// (`..`), so that what was added may be the form of another statement as well.
    #[must_use]
    pub(super) fn write_canonical(&self, text: &mut String) -> bool {
        let mut writer = Writer { statement: *self, text, literals: 0, tight: true };
        let mut folder = Folder::new(*self);
        let mut distinct = true;
        while let Some(step) = folder.next() {
            let Some(token) = self.tokens().get(step.index) else { continue };
            distinct &= token.kind != TokenKind::DotDot;
            writer.token(token);
            if step.elided_after {
                writer.text.push_str(", ...");
            }
        }
        distinct
    }
}

struct Writer<'a> {
    statement: StatementTokens<'a>,
    text: &'a mut String,
    /// How many literals were written: the number of the next placeholder.
    literals: usize,
    /// Whether the next token follows without a space.
    tight: bool,
}

impl Writer<'_> {
    fn token(&mut self, token: &Token) {
        let closes =
            matches!(token.kind, TokenKind::Comma | TokenKind::CloseParen | TokenKind::CloseBracket | TokenKind::Dot);
        if !self.tight && !closes {
            self.text.push(' ');
        }
        self.tight = matches!(token.kind, TokenKind::OpenParen | TokenKind::OpenBracket | TokenKind::Dot);
        let text = self.statement.text(token);
        match token.kind {
            TokenKind::NationalString => self.literal("N'", "'"),
            TokenKind::BitString => self.literal("B'", "'"),
            TokenKind::HexString => self.literal("X'", "'"),
            TokenKind::String => self.literal("'", "'"),
            TokenKind::Number => self.literal("", ""),
            TokenKind::QuotedIdentifier => {
                self.text.push('"');
                for (index, part) in text.split('"').enumerate() {
                    self.text.push_str(if index == 0 { "" } else { "\"\"" });
                    self.text.push_str(part);
                }
                self.text.push('"');
            }
            TokenKind::Parameter => {
                self.text.push('$');
                self.text.push_str(text);
            }
            TokenKind::Word | TokenKind::Operator => self.text.push_str(text),
            TokenKind::OpenParen => self.text.push('('),
            TokenKind::CloseParen => self.text.push(')'),
            TokenKind::OpenBracket => self.text.push('['),
            TokenKind::CloseBracket => self.text.push(']'),
            TokenKind::Comma => self.text.push(','),
            TokenKind::Semicolon => self.text.push(';'),
            TokenKind::Dot => self.text.push('.'),
            TokenKind::DotDot => self.text.push_str(".."),
            TokenKind::Colon => self.text.push(':'),
            TokenKind::Cast => self.text.push_str("::"),
            TokenKind::Assign => self.text.push_str(":="),
            TokenKind::Arrow => self.text.push_str("=>"),
        }
    }

    /// A placeholder for the next literal.
    fn literal(&mut self, open: &str, close: &str) {
        self.text.push_str(open);
        push_number(self.text, self.literals);
        self.text.push_str(close);
        self.literals += 1;
    }
}

/// The decimal digits of a number, without a string of their own.
fn push_number(text: &mut String, number: usize) {
    if number >= 10 {
        push_number(text, number / 10);
    }
    text.push(char::from(b'0' + (number % 10) as u8));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lexer::lex;
    use crate::sql::limits::Limits;
    use crate::sql::settings::LexerSettings;
    use crate::sql::split::split;

    fn texts(source: &str) -> Vec<String> {
        let limits = Limits::INLINE;
        let lexed = lex(source.as_bytes(), &LexerSettings::default(), &limits).expect("lexes");
        let statements = split(&lexed, &limits).expect("splits");
        let canonical = |statement: &StatementTokens<'_>| {
            let mut text = String::new();
            assert!(statement.write_canonical(&mut text));
            text
        };
        statements.iter().map(canonical).collect()
    }

    #[test]
    fn comments_and_values_leave_no_trace() {
        assert_eq!(
            texts(
                "SELECT /* x */ 'a' , 12, \"Weird \"\"name\" -- y\n FROM Public . T where a=-1.5::INT4;;select $1[2]"
            ),
            [r#"select '0', 1, "Weird ""name" from public.t where a = - 2 :: int4"#, "select $1 [0]",]
        );
        assert_eq!(texts("SELECT 1 |/* ' */ 1; DELETE FROM orders --'"), ["select 0 | 1", "delete from orders"]);
    }

    #[test]
    fn long_lists_and_many_rows_are_folded() {
        let list = (0..100).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
        assert_eq!(texts(&format!("SELECT 7 IN ({list}) AND 8")), ["select 0 in (1, ...) and 2"]);
        let truths = format!("SELECT a IN ({}true)", "true, ".repeat(20));
        assert_eq!(texts(&truths), [truths.to_lowercase()]);
        let rows = (0..50).map(|n| format!("({n}, 'x'::text, NULL)")).collect::<Vec<_>>().join(",");
        assert_eq!(
            texts(&format!("INSERT INTO t VALUES {rows} RETURNING 5")),
            ["insert into t values (0, '1' :: text, null), ... returning 2"]
        );
        let calls = rows.replace("NULL", "f(1)");
        assert!(texts(&format!("INSERT INTO t VALUES {calls}")).concat().matches("f (").count() == 50);
    }

    #[test]
    fn what_no_statement_has_shares_no_text() {
        let limits = Limits::INLINE;
        let lexed = lex(b"select 0 in (1, .. .)", &LexerSettings::default(), &limits).expect("lexes");
        let statements = split(&lexed, &limits).expect("splits");
        assert!(!statements.first().expect("one").write_canonical(&mut String::new()));
    }
}
