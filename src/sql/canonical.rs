//! The canonical form of a statement: its tokens without comments, with literals replaced by placeholders, and with
//! long lists of literals folded.
//!
//! The text is what statements are compared by: two statements with the same canonical text differ in literals only.
//! The parser gets the tokens themselves, never a text that it would cut again by its own rules.

use std::cell::Cell;

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Span, Token as ParserToken, TokenWithSpan, Word};
use thiserror::Error;

use super::depth::tree_depth;
use super::fold::Folder;
use super::keywords::is_parser_keyword;
use super::limits::Limits;
use super::split::StatementTokens;
use super::token::{Token, TokenKind};

/// A statement in canonical form.
#[derive(Debug)]
pub struct Canonical<'a> {
    /// The canonical text. Not meant to be run or parsed.
    pub text: String,
    /// The same for the parser ([`sqlparser::parser::Parser::with_tokens_with_locations`]). String and number
    /// literals hold the literal's index in [`Canonical::literals`] instead of its value; the column of a location
    /// is the index of the token in the statement plus one.
    pub tokens: Vec<TokenWithSpan>,
    /// The literals.
    pub literals: Literals<'a>,
    /// How many rows of `VALUES` lists were left out because they are of literals only and like the row before.
    pub folded_rows: usize,
}

/// Why a statement is not given to the parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum TooComplex {
    /// More than [`Limits::parser_tokens`].
    #[error("the statement has too many tokens to analyse")]
    Tokens,
    /// Deeper than [`Limits::chain`].
    #[error("the statement's expressions are chained too deep to analyse")]
    Depth,
    /// A token that no statement of the server has (`..`).
    #[error("a token that stands in no statement")]
    Token,
}

/// The literals of a statement, in the order of their placeholders. Remembers whether any value was asked for.
#[derive(Debug, Default)]
pub struct Literals<'a> {
    values: Vec<Literal<'a>>,
    consulted: Cell<bool>,
}

#[derive(Debug, Clone, Copy)]
struct Literal<'a> {
    value: &'a str,
    kind: TokenKind,
    /// Whether it stands for a list of literals, of which it is the first.
    folded: bool,
}

impl<'a> Literals<'a> {
    /// How many placeholders there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The value of the literal with this index; `None` where there is none, and where the placeholder stands for a
    /// whole list. That it was asked for is remembered.
    pub fn value(&self, index: usize) -> Option<&'a str> {
        self.consulted.set(true);
        self.values.get(index).filter(|literal| !literal.folded).map(|literal| literal.value)
    }

    /// The value of the literal that the parser's token or node names by the text of its placeholder.
    pub fn value_of(&self, placeholder: &str) -> Option<&'a str> {
        self.value(placeholder.parse().ok()?)
    }

    /// Whether the literal with this index is a string (not a number or bit string). The text says so too.
    #[must_use]
    pub fn is_string(&self, index: usize) -> bool {
        self.values
            .get(index)
            .is_some_and(|literal| matches!(literal.kind, TokenKind::String | TokenKind::NationalString))
    }

    /// Whether any value was asked for: if so, what was concluded holds for these literals only.
    #[must_use]
    pub fn consulted(&self) -> bool {
        self.consulted.get()
    }

    fn push(&mut self, literal: Literal<'a>) -> usize {
        self.values.push(literal);
        self.values.len() - 1
    }
}

impl<'a> StatementTokens<'a> {
    /// The statement in canonical form.
    ///
    /// # Errors
    ///
    /// [`TooComplex`] where the parser could not bear it: such a statement is `unknown`.
    pub fn canonical(&self, limits: &Limits) -> Result<Canonical<'a>, TooComplex> {
        if tree_depth(self) > limits.chain {
            return Err(TooComplex::Depth);
        }
        let mut writer = Writer {
            statement: *self,
            out: Canonical { text: String::new(), tokens: Vec::new(), literals: Literals::default(), folded_rows: 0 },
            tight: true,
        };
        let mut folder = Folder::new(*self);
        while let Some(step) = folder.next() {
            if writer.out.tokens.len() >= limits.parser_tokens {
                return Err(TooComplex::Tokens);
            }
            writer.token(step.index, step.folded)?;
            if step.elided_after {
                writer.elision();
            }
        }
        writer.out.folded_rows = folder.folded_rows();
        Ok(writer.out)
    }
}

struct Writer<'a> {
    statement: StatementTokens<'a>,
    out: Canonical<'a>,
    /// Whether the next token follows without a space.
    tight: bool,
}

impl Writer<'_> {
    /// Marks in the text, but not for the parser, that list elements or rows were left out here.
    fn elision(&mut self) {
        self.out.text.push_str(", ...");
    }

    fn token(&mut self, index: usize, folded: bool) -> Result<(), TooComplex> {
        let Some(token) = self.statement.tokens().get(index) else {
            return Ok(());
        };
        let closes =
            matches!(token.kind, TokenKind::Comma | TokenKind::CloseParen | TokenKind::CloseBracket | TokenKind::Dot);
        if !self.tight && !closes {
            self.out.text.push(' ');
        }
        self.tight = matches!(token.kind, TokenKind::OpenParen | TokenKind::OpenBracket | TokenKind::Dot);
        let parser_token = self.write(token, folded)?;
        let column = index as u64 + 1;
        let span = Span::new(Location::new(1, column), Location::new(1, column));
        self.out.tokens.push(TokenWithSpan::new(parser_token, span));
        Ok(())
    }

    fn write(&mut self, token: &Token, folded: bool) -> Result<ParserToken, TooComplex> {
        let text = self.statement.text(token);
        if token.kind.is_literal() {
            let index = self.out.literals.push(Literal { value: text, kind: token.kind, folded }).to_string();
            let (prefix, quote) = match token.kind {
                TokenKind::NationalString => ("N", "'"),
                TokenKind::BitString => ("B", "'"),
                TokenKind::HexString => ("X", "'"),
                TokenKind::String => ("", "'"),
                _ => ("", ""),
            };
            self.out.text.extend([prefix, quote, &index, quote]);
            return Ok(match token.kind {
                TokenKind::NationalString => ParserToken::NationalStringLiteral(index),
                TokenKind::BitString => ParserToken::SingleQuotedByteStringLiteral(index),
                TokenKind::HexString => ParserToken::HexStringLiteral(index),
                TokenKind::String => ParserToken::SingleQuotedString(index),
                _ => ParserToken::Number(index, false),
            });
        }
        let (shown, parser_token) = match token.kind {
            TokenKind::Word => (text, word(text)),
            TokenKind::QuotedIdentifier => {
                self.out.text.extend(["\"", &text.replace('"', "\"\""), "\""]);
                ("", quoted(text))
            }
            TokenKind::Parameter => {
                self.out.text.push('$');
                (text, ParserToken::Placeholder(format!("${text}")))
            }
            TokenKind::Operator => (text, operator(text)),
            TokenKind::OpenParen => ("(", ParserToken::LParen),
            TokenKind::CloseParen => (")", ParserToken::RParen),
            TokenKind::OpenBracket => ("[", ParserToken::LBracket),
            TokenKind::CloseBracket => ("]", ParserToken::RBracket),
            TokenKind::Comma => (",", ParserToken::Comma),
            TokenKind::Semicolon => (";", ParserToken::SemiColon),
            TokenKind::Dot => (".", ParserToken::Period),
            TokenKind::Colon => (":", ParserToken::Colon),
            TokenKind::Cast => ("::", ParserToken::DoubleColon),
            TokenKind::Assign => (":=", ParserToken::Assignment),
            TokenKind::Arrow => ("=>", ParserToken::RArrow),
            TokenKind::DotDot
            | TokenKind::String
            | TokenKind::NationalString
            | TokenKind::BitString
            | TokenKind::HexString
            | TokenKind::Number => return Err(TooComplex::Token),
        };
        self.out.text.push_str(shown);
        Ok(parser_token)
    }
}

/// A word as the parser may see it: a keyword only where the server has one too.
fn word(text: &str) -> ParserToken {
    if is_parser_keyword(text) {
        return ParserToken::make_word(text, None);
    }
    ParserToken::Word(Word { value: text.to_owned(), quote_style: None, keyword: Keyword::NoKeyword })
}

fn quoted(text: &str) -> ParserToken {
    ParserToken::Word(Word { value: text.to_owned(), quote_style: Some('"'), keyword: Keyword::NoKeyword })
}

/// The parser's token of an operator. Those it has no token for, or reads as something the server has not, are
/// custom operators: one symbol each, whatever it is.
fn operator(symbol: &str) -> ParserToken {
    match symbol {
        "+" => ParserToken::Plus,
        "-" => ParserToken::Minus,
        "*" => ParserToken::Mul,
        "/" => ParserToken::Div,
        "%" => ParserToken::Mod,
        "^" => ParserToken::Caret,
        "=" => ParserToken::Eq,
        "<>" => ParserToken::Neq,
        "<" => ParserToken::Lt,
        ">" => ParserToken::Gt,
        "<=" => ParserToken::LtEq,
        ">=" => ParserToken::GtEq,
        "||" => ParserToken::StringConcat,
        "|" => ParserToken::Pipe,
        "&" => ParserToken::Ampersand,
        "#" => ParserToken::Sharp,
        "~" => ParserToken::Tilde,
        "@" => ParserToken::AtSign,
        "<<" => ParserToken::ShiftLeft,
        ">>" => ParserToken::ShiftRight,
        "&&" => ParserToken::Overlap,
        "|/" => ParserToken::PGSquareRoot,
        "||/" => ParserToken::PGCubeRoot,
        "~*" => ParserToken::TildeAsterisk,
        "!~" => ParserToken::ExclamationMarkTilde,
        "!~*" => ParserToken::ExclamationMarkTildeAsterisk,
        "~~" => ParserToken::DoubleTilde,
        "~~*" => ParserToken::DoubleTildeAsterisk,
        "!~~" => ParserToken::ExclamationMarkDoubleTilde,
        "!~~*" => ParserToken::ExclamationMarkDoubleTildeAsterisk,
        "->" => ParserToken::Arrow,
        "->>" => ParserToken::LongArrow,
        "#>" => ParserToken::HashArrow,
        "#>>" => ParserToken::HashLongArrow,
        "@>" => ParserToken::AtArrow,
        "<@" => ParserToken::ArrowAt,
        "#-" => ParserToken::HashMinus,
        "@?" => ParserToken::AtQuestion,
        "@@" => ParserToken::AtAt,
        "?" => ParserToken::Question,
        "?|" => ParserToken::QuestionPipe,
        "?&" => ParserToken::QuestionAnd,
        "^@" => ParserToken::CaretAt,
        "##" => ParserToken::DoubleSharp,
        "@-@" => ParserToken::AtDashAt,
        "?-" => ParserToken::QuestionMarkDash,
        "?#" => ParserToken::QuestionMarkSharp,
        "?-|" => ParserToken::QuestionMarkDashVerticalBar,
        "?||" => ParserToken::QuestionMarkDoubleVerticalBar,
        "~=" => ParserToken::TildeEqual,
        "<->" => ParserToken::TwoWayArrow,
        "<^" => ParserToken::LeftAngleBracketCaret,
        ">^" => ParserToken::RightAngleBracketCaret,
        "&<" => ParserToken::AmpersandLeftAngleBracket,
        "&>" => ParserToken::AmpersandRightAngleBracket,
        "&<|" => ParserToken::AmpersandLeftAngleBracketVerticalBar,
        "|&>" => ParserToken::VerticalBarAmpersandRightAngleBracket,
        "<<|" => ParserToken::ShiftLeftVerticalBar,
        "|>>" => ParserToken::VerticalBarShiftRight,
        other => ParserToken::CustomBinaryOperator(other.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lexer::lex;
    use crate::sql::settings::LexerSettings;
    use crate::sql::split::split;

    fn texts(source: &str) -> Vec<String> {
        let limits = Limits::INLINE;
        let lexed = lex(source.as_bytes(), &LexerSettings::default(), &limits).expect("lexes");
        let statements = split(&lexed, &limits).expect("splits");
        statements.iter().map(|statement| statement.canonical(&limits).expect("fits").text).collect()
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
        let rows = (0..50).map(|n| format!("({n}, 'x'::text, NULL)")).collect::<Vec<_>>().join(",");
        assert_eq!(
            texts(&format!("INSERT INTO t VALUES {rows} RETURNING 5")),
            ["insert into t values (0, '1' :: text, null), ... returning 2"]
        );
        let calls = rows.replace("NULL", "f(1)");
        assert!(texts(&format!("INSERT INTO t VALUES {calls}")).concat().matches("f (").count() == 50);
    }

    #[test]
    fn a_literal_that_was_looked_at_is_remembered() {
        let limits = Limits::INLINE;
        let lexed = lex(b"select 'a', 5", &LexerSettings::default(), &limits).expect("lexes");
        let statements = split(&lexed, &limits).expect("splits");
        let canonical = statements.first().expect("one").canonical(&limits).expect("fits");
        assert!(!canonical.literals.consulted());
        assert_eq!(canonical.literals.value_of("1"), Some("5"));
        assert!(canonical.literals.consulted() && canonical.literals.is_string(0));
    }
}
