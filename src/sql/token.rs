//! Tokens, as Postgres' scanner cuts them.

use std::ops::Range;

/// One token: what it is, where it stands, and its meaning in [`Lexed::text`](super::lexer::Lexed::text).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// First byte in the source.
    pub(super) start: u32,
    /// One past its last byte in the source.
    pub(super) end: u32,
    /// Where its text begins in the arena.
    pub(super) text_start: u32,
    /// One past the end of its text in the arena.
    pub(super) text_end: u32,
}

impl Token {
    /// The bytes of the source it stands for.
    #[must_use]
    pub const fn span(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// The kinds of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// An identifier or keyword without quotes. Its text is folded to lower case and cut at 63 bytes.
    Word,
    /// `"..."` or `U&"..."`, decoded and cut at 63 bytes.
    QuotedIdentifier,
    /// A string: `'...'`, `E'...'`, `$tag$...$tag$`, `U&'...'`; its text is the decoded value.
    String,
    /// `N'...'`: a string of type `bpchar`.
    NationalString,
    /// `B'...'`; its text is what stands between the quotes.
    BitString,
    /// `X'...'`; its text is what stands between the quotes.
    HexString,
    /// A number as written, without a sign.
    Number,
    /// `$1`; its text is the number.
    Parameter,
    /// Any operator, `+ - * / % ^ < > = <= >= <>` included. Its text is the symbol; `!=` reads `<>`.
    Operator,
    /// `(`
    OpenParen,
    /// `)`
    CloseParen,
    /// `[`
    OpenBracket,
    /// `]`
    CloseBracket,
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// `.`
    Dot,
    /// `..`
    DotDot,
    /// `:`
    Colon,
    /// `::`
    Cast,
    /// `:=`
    Assign,
    /// `=>`
    Arrow,
}

impl TokenKind {
    /// Whether it is a literal: a string, a bit string or a number.
    #[must_use]
    pub const fn is_literal(self) -> bool {
        matches!(self, Self::String | Self::NationalString | Self::BitString | Self::HexString | Self::Number)
    }
}
