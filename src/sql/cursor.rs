//! A place among the tokens of one statement, with what the grammar asks of them.

use std::cell::Cell;
use std::ops::Range;

use super::keyword::{Category, Keyword, Label};
use super::split::StatementTokens;
use super::token::{Token, TokenKind};

/// Why a statement is not what Postgres' grammar knows, and at which token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The index of the token in the statement.
    pub(super) at: usize,
    /// What was expected or is not supported, as the end of "could not be parsed: ...".
    pub(super) why: &'static str,
}

/// What the grammar returns.
pub(super) type Parsed<T> = Result<T, Refusal>;

/// Where a name is expected: which key words may be one there (`gram.y`: `ColId`, `type_function_name`,
/// `ColLabel`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NamePosition {
    /// A column, table, alias: `ColId`.
    Column,
    /// A function or type: `type_function_name`.
    TypeOrFunction,
    /// After a dot or `AS`: `ColLabel`, any word.
    Label,
    /// After an expression without `AS`: `BareColLabel`.
    BareLabel,
    /// Roles, options: `NonReservedWord`.
    NonReserved,
}

/// How often a token may be looked at, on average. The statements of Postgres' regression suite need at most a third
/// of it.
const LOOKS_PER_TOKEN: usize = 300;

/// The tokens of a statement, and which key word each of them is.
#[derive(Debug)]
pub(super) struct Words<'a> {
    tokens: StatementTokens<'a>,
    keywords: Vec<Option<Keyword>>,
    /// How often a token was looked at: the work that was done.
    looks: Cell<usize>,
}

impl<'a> Words<'a> {
    /// Looks up every word once.
    pub(super) fn new(tokens: StatementTokens<'a>) -> Self {
        let keyword = |token: &Token| match token.kind {
            TokenKind::Word => Keyword::from_folded(tokens.text(token)),
            _ => None,
        };
        Self { keywords: tokens.tokens().iter().map(keyword).collect(), tokens, looks: Cell::new(0) }
    }

    /// How often a token was looked at.
    pub(super) fn looks(&self) -> usize {
        self.looks.get()
    }

    /// How many tokens there are.
    pub(super) fn len(&self) -> usize {
        self.keywords.len()
    }
}

/// A place among the tokens of one statement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    words: &'a Words<'a>,
    at: usize,
    end: usize,
}

impl<'a> Cursor<'a> {
    /// At the first of the tokens `start..end`.
    pub(super) const fn new(words: &'a Words<'a>, start: usize, end: usize) -> Self {
        Self { words, at: start, end }
    }

    /// All tokens of the statement.
    pub(super) const fn statement(&self) -> &'a StatementTokens<'a> {
        &self.words.tokens
    }

    /// The index of the next token.
    pub(super) const fn position(&self) -> usize {
        self.at
    }

    /// Whether one of these key words is among the tokens that are left.
    pub(super) fn has_any(&self, keywords: &[Keyword]) -> bool {
        let left = self.words.keywords.get(self.at..self.end).unwrap_or_default();
        self.words.looks.set(self.words.looks.get() + left.len());
        left.iter().flatten().any(|keyword| keywords.contains(keyword))
    }

    /// Whether all tokens are used up.
    pub(super) const fn at_end(&self) -> bool {
        self.at >= self.end
    }

    /// The token `ahead` places on.
    fn token(&self, ahead: usize) -> Option<&'a Token> {
        self.words.looks.set(self.words.looks.get() + 1);
        let index = self.at + ahead;
        if index < self.end { self.words.tokens.tokens().get(index) } else { None }
    }

    /// Whether more has been done than any statement needs: then its reading takes more than linear time.
    pub(super) fn is_overworked(&self) -> bool {
        self.words.looks() > (self.words.len() + 100) * LOOKS_PER_TOKEN
    }

    /// The bytes of the source from here to another place.
    pub(super) fn span_to(&self, other: &Self) -> Range<usize> {
        let tokens = self.words.tokens.tokens();
        let start = tokens.get(self.at).map_or(0, |token| token.span().start);
        let end = other.at.checked_sub(1).and_then(|last| tokens.get(last)).map_or(start, |token| token.span().end);
        start..end.max(start)
    }

    /// The kind of the next token.
    pub(super) fn kind(&self) -> Option<TokenKind> {
        self.kind_at(0)
    }

    /// The kind of the token `ahead` places on.
    pub(super) fn kind_at(&self, ahead: usize) -> Option<TokenKind> {
        self.token(ahead).map(|token| token.kind)
    }

    /// Whether a token of this kind stands between another place and here.
    pub(super) fn has_kind_since(&self, start: usize, kind: TokenKind) -> bool {
        let passed = self.words.tokens.tokens().get(start..self.at).unwrap_or_default();
        self.words.looks.set(self.words.looks.get() + passed.len());
        passed.iter().any(|token| token.kind == kind)
    }

    /// The kind of the token before the next one.
    pub(super) fn kind_before(&self) -> Option<TokenKind> {
        self.words.tokens.tokens().get(self.at.checked_sub(1)?).map(|token| token.kind)
    }

    /// The key word before the next token.
    pub(super) fn keyword_before(&self) -> Option<Keyword> {
        *self.words.keywords.get(self.at.checked_sub(1)?)?
    }

    /// The text of the next token, folded, unquoted and decoded; empty at the end.
    pub(super) fn text(&self) -> &'a str {
        self.text_at(0)
    }

    /// The text of the token `ahead` places on.
    pub(super) fn text_at(&self, ahead: usize) -> &'a str {
        self.token(ahead).map_or("", |token| self.words.tokens.text(token))
    }

    /// The kind of the token with this index in the statement.
    pub(super) fn kind_of(&self, index: usize) -> Option<TokenKind> {
        self.words.tokens.tokens().get(index).map(|token| token.kind)
    }

    /// The text of the token with this index in the statement.
    pub(super) fn text_of(&self, index: usize) -> &'a str {
        self.words.tokens.tokens().get(index).map_or("", |token| self.words.tokens.text(token))
    }

    /// The key word that the next token is.
    pub(super) fn keyword(&self) -> Option<Keyword> {
        self.keyword_at(0)
    }

    /// The key word that the token `ahead` places on is.
    pub(super) fn keyword_at(&self, ahead: usize) -> Option<Keyword> {
        self.words.looks.set(self.words.looks.get() + 1);
        let index = self.at + ahead;
        if index < self.end { *self.words.keywords.get(index)? } else { None }
    }

    /// Goes one token on.
    pub(super) const fn advance(&mut self) {
        if self.at < self.end {
            self.at += 1;
        }
    }

    /// Goes so many tokens on, never past the end.
    pub(super) fn skip(&mut self, count: usize) {
        self.at = (self.at + count).min(self.end);
    }

    /// A refusal at the next token.
    pub(super) const fn refuse<T>(&self, why: &'static str) -> Parsed<T> {
        Err(Refusal { at: self.at, why })
    }

    /// Whether the next token is this key word.
    pub(super) fn at(&self, keyword: Keyword) -> bool {
        self.at_ahead(0, keyword)
    }

    /// Whether the token `ahead` places on is this key word.
    pub(super) fn at_ahead(&self, ahead: usize, keyword: Keyword) -> bool {
        self.keyword_at(ahead) == Some(keyword)
    }

    /// Whether the next tokens are these key words.
    pub(super) fn at_all(&self, keywords: &[Keyword]) -> bool {
        keywords.iter().enumerate().all(|(ahead, &keyword)| self.at_ahead(ahead, keyword))
    }

    /// Whether the next token is one of these key words.
    pub(super) fn at_any(&self, keywords: &[Keyword]) -> bool {
        self.keyword().is_some_and(|keyword| keywords.contains(&keyword))
    }

    /// Whether the next token is this unquoted word, key word or not.
    pub(super) fn at_word(&self, word: &str) -> bool {
        self.word_ahead(0, word)
    }

    /// Whether the token `ahead` places on is this unquoted word.
    pub(super) fn word_ahead(&self, ahead: usize, word: &str) -> bool {
        self.token(ahead).is_some_and(|token| token.kind == TokenKind::Word && self.words.tokens.text(token) == word)
    }

    /// Takes this key word if it is next.
    pub(super) fn eat(&mut self, keyword: Keyword) -> bool {
        let found = self.at(keyword);
        if found {
            self.advance();
        }
        found
    }

    /// Takes these key words if they are next.
    pub(super) fn eat_all(&mut self, keywords: &[Keyword]) -> bool {
        let found = self.at_all(keywords);
        if found {
            self.at += keywords.len();
        }
        found
    }

    /// Takes one of these key words if it is next, and says which.
    pub(super) fn eat_any(&mut self, keywords: &[Keyword]) -> Option<Keyword> {
        let found = self.keyword().filter(|keyword| keywords.contains(keyword))?;
        self.advance();
        Some(found)
    }

    /// Takes this word if it is next.
    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let found = self.at_word(word);
        if found {
            self.advance();
        }
        found
    }

    /// Takes this key word.
    pub(super) fn expect(&mut self, keyword: Keyword) -> Parsed<()> {
        if self.eat(keyword) { Ok(()) } else { self.refuse(keyword.text()) }
    }

    /// Whether the next token is of this kind.
    pub(super) fn at_kind(&self, kind: TokenKind) -> bool {
        self.kind() == Some(kind)
    }

    /// Takes a token of this kind if it is next.
    pub(super) fn eat_kind(&mut self, kind: TokenKind) -> bool {
        let found = self.at_kind(kind);
        if found {
            self.advance();
        }
        found
    }

    /// Takes a token of this kind.
    pub(super) fn expect_kind(&mut self, kind: TokenKind, why: &'static str) -> Parsed<()> {
        if self.eat_kind(kind) { Ok(()) } else { self.refuse(why) }
    }

    /// Takes `(`.
    pub(super) fn open(&mut self) -> Parsed<()> {
        self.expect_kind(TokenKind::OpenParen, "an opening parenthesis is expected")
    }

    /// Takes `)`.
    pub(super) fn close(&mut self) -> Parsed<()> {
        self.expect_kind(TokenKind::CloseParen, "a closing parenthesis is expected")
    }

    /// Passes over what stands in parentheses, and them.
    pub(super) fn skip_parentheses(&mut self) -> Parsed<()> {
        self.open()?;
        let mut depth = 1_usize;
        while depth > 0 {
            match self.kind() {
                None => return self.refuse("a closing parenthesis is expected"),
                Some(TokenKind::OpenParen) => depth += 1,
                Some(TokenKind::CloseParen) => depth -= 1,
                Some(_) => {}
            }
            self.advance();
        }
        Ok(())
    }

    /// Passes over all that is left.
    pub(super) const fn skip_rest(&mut self) {
        self.at = self.end;
    }

    /// How many places on one of these key words stands outside all parentheses, before `limit`.
    pub(super) fn find_outside(&self, keywords: &[Keyword]) -> Option<usize> {
        let mut depth = 0_usize;
        let mut ahead = 0;
        while let Some(kind) = self.kind_at(ahead) {
            match kind {
                TokenKind::OpenParen => depth += 1,
                TokenKind::CloseParen => depth = depth.saturating_sub(1),
                TokenKind::Word
                    if depth == 0 && self.keyword_at(ahead).is_some_and(|word| keywords.contains(&word)) =>
                {
                    return Some(ahead);
                }
                _ => {}
            }
            ahead += 1;
        }
        None
    }

    /// Whether the next token is this operator.
    pub(super) fn at_operator(&self, symbol: &str) -> bool {
        self.at_kind(TokenKind::Operator) && self.text() == symbol
    }

    /// Takes this operator if it is next.
    pub(super) fn eat_operator(&mut self, symbol: &str) -> bool {
        let found = self.at_operator(symbol);
        if found {
            self.advance();
        }
        found
    }

    /// Takes this operator.
    pub(super) fn expect_operator(&mut self, symbol: &str) -> Parsed<()> {
        if self.eat_operator(symbol) { Ok(()) } else { self.refuse("another operator is expected") }
    }

    /// Whether the next token can be a name in this position.
    pub(super) fn at_name(&self, position: NamePosition) -> bool {
        self.name_ahead(0, position)
    }

    /// Whether the token `ahead` places on can be a name in this position.
    pub(super) fn name_ahead(&self, ahead: usize, position: NamePosition) -> bool {
        match self.kind_at(ahead) {
            Some(TokenKind::QuotedIdentifier) => true,
            Some(TokenKind::Word) => self.keyword_at(ahead).is_none_or(|keyword| allows(position, keyword)),
            _ => false,
        }
    }

    /// Takes a name, if one is next.
    pub(super) fn eat_name(&mut self, position: NamePosition) -> Option<&'a str> {
        if !self.at_name(position) {
            return None;
        }
        let text = self.text();
        self.advance();
        Some(text)
    }

    /// Takes a name.
    pub(super) fn name(&mut self, position: NamePosition) -> Parsed<&'a str> {
        match self.eat_name(position) {
            Some(text) => Ok(text),
            None => self.refuse("a name is expected"),
        }
    }

    /// Takes a string constant of any plain kind.
    pub(super) fn string(&mut self) -> Parsed<&'a str> {
        let text = self.text();
        if self.eat_kind(TokenKind::String) { Ok(text) } else { self.refuse("a string is expected") }
    }

    /// The next token as a person would find it, or where there is none, the end.
    pub(super) fn excerpt(&self) -> String {
        match self.kind() {
            None => "the end".to_owned(),
            Some(TokenKind::String | TokenKind::NationalString) => "a string".to_owned(),
            Some(TokenKind::OpenParen) => "(".to_owned(),
            Some(TokenKind::CloseParen) => ")".to_owned(),
            Some(TokenKind::Comma) => ",".to_owned(),
            Some(TokenKind::Dot) => ".".to_owned(),
            Some(_) if self.text().is_empty() => "a symbol".to_owned(),
            Some(_) => self.text().to_owned(),
        }
    }

    /// All tokens are used up.
    pub(super) fn expect_end(&self) -> Parsed<()> {
        if self.at_end() { Ok(()) } else { self.refuse("there is more than the grammar allows") }
    }
}

/// Whether a key word may be a name in a position.
fn allows(position: NamePosition, keyword: Keyword) -> bool {
    match position {
        NamePosition::Column => matches!(keyword.category(), Category::Unreserved | Category::ColumnName),
        NamePosition::TypeOrFunction => {
            matches!(keyword.category(), Category::Unreserved | Category::TypeOrFunctionName)
        }
        NamePosition::Label => true,
        NamePosition::BareLabel => keyword.label() == Label::Bare,
        NamePosition::NonReserved => keyword.category() != Category::Reserved,
    }
}
