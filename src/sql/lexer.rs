//! The lexer: cuts a text into the tokens that Postgres' scanner (`src/backend/parser/scan.l`, 15 to 18) cuts it
//! into, or refuses it. Where versions differ, and wherever the server would refuse the text, so does this one:
//! a text that is refused here is never understood as something it is not.
//!
//! It takes time and memory linear in the text, and no recursion.

mod number;
mod quoted;
mod unicode;

use std::ops::Range;
use std::str::Utf8Error;

use thiserror::Error;

use super::limits::Limits;
use super::settings::{Encoding, LexerSettings, ServerEncoding, opaque_character};
use super::token::{Token, TokenKind};

/// `NAMEDATALEN` less the terminator: the longest name in bytes.
pub(super) const NAME_BYTES_MAX: usize = 63;

/// The longest run of operator characters that is looked at. The server takes any, one token a time from the same
/// run, which is quadratic; nobody writes such runs.
const OPERATOR_RUN_MAX: usize = 256;

/// A text cut into tokens.
#[derive(Debug, Clone, Default)]
pub struct Lexed {
    /// The tokens in order; comments and white space leave none.
    tokens: Vec<Token>,
    /// The texts of all tokens that have one, one after the other.
    arena: String,
}

/// Why a text was refused, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{reason} at byte {at}")]
pub struct LexError {
    /// What is wrong.
    pub reason: LexErrorReason,
    /// The byte of the source where it is wrong, or where the unfinished token begins.
    pub at: usize,
}

/// Why a text was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum LexErrorReason {
    /// Longer than [`Limits::bytes`].
    #[error("the text is longer than the limit for analysis")]
    TooLong,
    /// A NUL byte.
    #[error("the text holds a NUL byte")]
    Nul,
    /// `client_encoding` is UTF8 and the text is not.
    #[error("the text is not valid UTF-8")]
    NotUtf8,
    /// A `/*` without its `*/`.
    #[error("unterminated comment")]
    UnterminatedComment,
    /// A quote without its end.
    #[error("unterminated quoted string")]
    UnterminatedString,
    /// A double quote without its end.
    #[error("unterminated quoted identifier")]
    UnterminatedIdentifier,
    /// A `$tag$` without its end.
    #[error("unterminated dollar-quoted string")]
    UnterminatedDollarString,
    /// `""` as a name.
    #[error("zero-length quoted identifier")]
    EmptyIdentifier,
    /// A name that the server cuts or folds in a way that depends on its locale or encoding.
    #[error("a name whose meaning depends on the database's encoding")]
    AmbiguousIdentifier,
    /// A name beyond ASCII whose characters are not known: the server may find what we would not.
    #[error("a name that cannot be read in the client's encoding")]
    UnreadableName,
    /// A malformed escape, or one that makes an invalid character.
    #[error("invalid escape in a string or identifier")]
    InvalidEscape,
    /// `U&'...'` while `standard_conforming_strings` is off.
    #[error("Unicode escapes need standard_conforming_strings")]
    UnsafeUnicodeString,
    /// `UESCAPE` without a usable escape character.
    #[error("invalid UESCAPE")]
    InvalidUescape,
    /// `12abc`, `0x`, `1_`, `$1a`.
    #[error("trailing junk after a number")]
    NumberJunk,
    /// `$99999999999`.
    #[error("parameter number too large")]
    ParameterTooLarge,
    /// An operator of 64 characters or more.
    #[error("operator too long")]
    OperatorTooLong,
    /// A character that begins no token.
    #[error("a character that cannot stand there")]
    UnexpectedCharacter,
}

/// Cuts a text into tokens.
///
/// # Errors
///
/// [`LexError`] where the server would refuse the text, where its meaning depends on what is not known here, and
/// where it is longer than the limits allow.
pub fn lex(source: &[u8], settings: &LexerSettings, limits: &Limits) -> Result<Lexed, LexError> {
    let mut lexer = Lexer::new(source, *settings, limits)?;
    lexer.rest()?;
    Ok(lexer.out)
}

/// The same into a value that is used again; after an error what is in it means nothing.
pub(super) fn lex_into(
    out: &mut Lexed,
    source: &[u8],
    settings: &LexerSettings,
    limits: &Limits,
) -> Result<(), LexError> {
    out.tokens.clear();
    out.arena.clear();
    let mut lexer = Lexer { out: std::mem::take(out), ..Lexer::new(source, *settings, limits)? };
    let cut = lexer.rest();
    *out = lexer.out;
    cut
}

/// What is wrong with a text before it is cut; if nothing is, the source as text, where its encoding is UTF-8.
fn check_bytes<'a>(source: &'a [u8], settings: LexerSettings, limits: &Limits) -> Result<Option<&'a str>, LexError> {
    if source.len() > limits.bytes || u32::try_from(source.len().saturating_mul(4)).is_err() {
        return Err(LexError { reason: LexErrorReason::TooLong, at: limits.bytes });
    }
    if let Some(at) = source.iter().position(|byte| *byte == 0) {
        return Err(LexError { reason: LexErrorReason::Nul, at });
    }
    if settings.encoding != Encoding::Utf8 {
        return Ok(None);
    }
    let not_utf8 = |error: Utf8Error| LexError { reason: LexErrorReason::NotUtf8, at: error.valid_up_to() };
    std::str::from_utf8(source).map(Some).map_err(not_utf8)
}

impl Lexed {
    /// All tokens.
    #[must_use]
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// What a token means: a name folded and unquoted, the value of a string, a number as written, an operator's
    /// symbol; empty for the others.
    #[must_use]
    pub fn text(&self, token: &Token) -> &str {
        self.arena.get(token.text_start as usize..token.text_end as usize).unwrap_or_default()
    }

    /// Whether a token is this keyword or unquoted name, given in lower case.
    #[must_use]
    pub fn is_word(&self, token: &Token, word: &str) -> bool {
        token.kind == TokenKind::Word && self.text(token) == word
    }
}

/// A token with `U&` whose escapes wait until it is known whether `UESCAPE` follows.
#[derive(Debug)]
struct PendingEscape {
    token: usize,
}

/// Cuts one token after the other.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    source: &'a [u8],
    /// The same, where its encoding is UTF-8.
    text: Option<&'a str>,
    pub(super) at: usize,
    settings: LexerSettings,
    pub(super) out: Lexed,
    escapes: Vec<PendingEscape>,
}

impl<'a> Lexer<'a> {
    /// At the beginning of a source.
    ///
    /// # Errors
    ///
    /// The source is too long, holds a NUL, or is not in its encoding.
    pub(super) fn new(source: &'a [u8], settings: LexerSettings, limits: &Limits) -> Result<Self, LexError> {
        let text = check_bytes(source, settings, limits)?;
        Ok(Self { source, text, at: 0, settings, out: Lexed::default(), escapes: Vec::new() })
    }

    /// Cuts what is left.
    fn rest(&mut self) -> Result<(), LexError> {
        while self.step()? {}
        self.check_names()?;
        self.resolve_unicode_escapes()
    }

    /// A name that is not read as the server reads it would be taken for one that the catalog does not have. Strings and
    /// comments may hold what they like.
    fn check_names(&self) -> Result<(), LexError> {
        if self.settings.reads_names() {
            return Ok(());
        }
        let is_name = |token: &&Token| matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdentifier);
        match self.out.tokens.iter().filter(is_name).find(|token| !self.out.text(token).is_ascii()) {
            Some(token) => Err(self.error(LexErrorReason::UnreadableName, token.start as usize)),
            None => Ok(()),
        }
    }

    /// Forgets the tokens so far, and goes on at the same place with other settings.
    pub(super) fn forget(&mut self, settings: LexerSettings) {
        self.text = self.text.filter(|_| settings.encoding == Encoding::Utf8);
        self.settings = settings;
        self.out.tokens.clear();
        self.out.arena.clear();
        self.escapes.clear();
    }

    /// Reads one token, comment or run of white space; false at the end.
    pub(super) fn step(&mut self) -> Result<bool, LexError> {
        let Some(byte) = self.byte(0) else { return Ok(false) };
        match byte {
            _ if is_space(byte) => self.spaces(),
            b'-' if self.byte(1) == Some(b'-') => self.line_comment(),
            b'/' if self.byte(1) == Some(b'*') => self.block_comment()?,
            b'\'' => self.string(TokenKind::String, 0)?,
            b'"' => self.quoted_identifier()?,
            b'$' => self.dollar()?,
            b'0'..=b'9' => self.number()?,
            b'.' => self.dot()?,
            b':' => self.colon(),
            b'(' => self.punctuation(TokenKind::OpenParen, 1),
            b')' => self.punctuation(TokenKind::CloseParen, 1),
            b'[' => self.punctuation(TokenKind::OpenBracket, 1),
            b']' => self.punctuation(TokenKind::CloseBracket, 1),
            b',' => self.punctuation(TokenKind::Comma, 1),
            b';' => self.punctuation(TokenKind::Semicolon, 1),
            _ if is_operator_byte(byte) => self.operator()?,
            _ if is_identifier_start(byte) => self.word_or_prefixed_quote(byte)?,
            _ => return Err(self.error(LexErrorReason::UnexpectedCharacter, self.at)),
        }
        Ok(true)
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.source.get(self.at + ahead).copied()
    }

    fn error(&self, reason: LexErrorReason, at: usize) -> LexError {
        LexError { reason, at }
    }

    /// Appends a part of the source to the arena, as characters.
    fn push_source(&mut self, part: Range<usize>) {
        // Tokens begin and end at ASCII bytes, so that the part is one of the text too.
        match self.text.and_then(|text| text.get(part.clone())) {
            Some(text) => self.out.arena.push_str(text),
            None => self.push_bytes(self.source.get(part).unwrap_or_default()),
        }
    }

    /// Appends bytes to the arena, as characters of the source's encoding.
    fn push_bytes(&mut self, bytes: &[u8]) {
        push_decoded(&mut self.out.arena, bytes, self.settings.encoding);
    }

    /// Ends a token that began at `start` and whose text began at `text_start` in the arena.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the source is at most u32::MAX / 4 bytes, and a byte becomes at most four in the arena"
    )]
    fn token(&mut self, kind: TokenKind, start: usize, text_start: usize) {
        self.out.tokens.push(Token {
            kind,
            start: start as u32,
            end: self.at as u32,
            text_start: text_start as u32,
            text_end: self.out.arena.len() as u32,
        });
    }

    fn punctuation(&mut self, kind: TokenKind, length: usize) {
        let start = self.at;
        self.at += length;
        self.token(kind, start, self.out.arena.len());
    }

    fn spaces(&mut self) {
        while self.byte(0).is_some_and(is_space) {
            self.at += 1;
        }
    }

    /// `--` to the next line feed or carriage return, which stays.
    fn line_comment(&mut self) {
        let rest = self.source.get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
    }

    /// `/* ... */`, nested.
    fn block_comment(&mut self) -> Result<(), LexError> {
        let start = self.at;
        let mut depth = 0usize;
        loop {
            match (self.byte(0), self.byte(1)) {
                (Some(b'/'), Some(b'*')) => {
                    depth += 1;
                    self.at += 2;
                }
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                (Some(_), _) => self.at += 1,
                (None, _) => return Err(self.error(LexErrorReason::UnterminatedComment, start)),
            }
        }
    }

    fn dot(&mut self) -> Result<(), LexError> {
        match self.byte(1) {
            Some(b'.') => self.punctuation(TokenKind::DotDot, 2),
            Some(b'0'..=b'9') => return self.number(),
            _ => self.punctuation(TokenKind::Dot, 1),
        }
        Ok(())
    }

    fn colon(&mut self) {
        match self.byte(1) {
            Some(b':') => self.punctuation(TokenKind::Cast, 2),
            Some(b'=') => self.punctuation(TokenKind::Assign, 2),
            _ => self.punctuation(TokenKind::Colon, 1),
        }
    }

    /// The `operator` rule: the longest run of operator characters, cut before a comment start, and with trailing
    /// `+` and `-` given back unless a character that is in no SQL operator makes it one of Postgres' own.
    fn operator(&mut self) -> Result<(), LexError> {
        let start = self.at;
        let rest = self.source.get(start..).unwrap_or_default();
        let mut length = rest
            .iter()
            .take(OPERATOR_RUN_MAX + 1)
            .enumerate()
            .position(|(index, byte)| {
                !is_operator_byte(*byte) || matches!(rest.get(index..index + 2), Some(b"/*" | b"--"))
            })
            .unwrap_or(rest.len().min(OPERATOR_RUN_MAX + 1));
        if length > OPERATOR_RUN_MAX {
            return Err(self.error(LexErrorReason::OperatorTooLong, start));
        }
        let run = rest.get(..length).unwrap_or_default();
        if length > 1 && matches!(run.last(), Some(b'+' | b'-')) && !run.iter().rev().skip(1).any(|b| is_own(*b)) {
            while length > 1 && matches!(run.get(length - 1), Some(b'+' | b'-')) {
                length -= 1;
            }
        }
        if length > NAME_BYTES_MAX {
            return Err(self.error(LexErrorReason::OperatorTooLong, start));
        }
        let symbol = run.get(..length).unwrap_or_default();
        self.at += length;
        let text_start = self.out.arena.len();
        let kind = match symbol {
            b"=>" => TokenKind::Arrow,
            _ => TokenKind::Operator,
        };
        match symbol {
            b"!=" => self.out.arena.push_str("<>"),
            _ => self.push_source(start..start + length),
        }
        self.token(kind, start, text_start);
        Ok(())
    }

    /// An identifier or keyword; or one of `b' x' n' e' u&' u&"`, which the longest match makes of a single
    /// letter right before a quote.
    fn word_or_prefixed_quote(&mut self, first: u8) -> Result<(), LexError> {
        match (first.to_ascii_lowercase(), self.byte(1), self.byte(2)) {
            (b'b', Some(b'\''), _) => self.string(TokenKind::BitString, 1),
            (b'x', Some(b'\''), _) => self.string(TokenKind::HexString, 1),
            (b'n', Some(b'\''), _) => self.string(TokenKind::NationalString, 1),
            (b'e', Some(b'\''), _) => self.escape_string(1),
            (b'u', Some(b'&'), Some(b'\'')) => self.unicode_string(),
            (b'u', Some(b'&'), Some(b'"')) => self.unicode_identifier(),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<(), LexError> {
        let start = self.at;
        let rest = self.source.get(start..).unwrap_or_default();
        let length = rest.iter().position(|byte| !is_identifier_part(*byte)).unwrap_or(rest.len());
        let bytes = rest.get(..length).unwrap_or_default();
        let text_start = self.out.arena.len();
        self.push_source(start..start + length);
        if let Some(text) = self.out.arena.get_mut(text_start..) {
            text.make_ascii_lowercase();
        }
        if self.settings.server_encoding == ServerEncoding::SingleByte && !bytes.is_ascii() {
            return Err(self.error(LexErrorReason::AmbiguousIdentifier, start));
        }
        self.cut_name(bytes, text_start, start)?;
        self.at += length;
        self.token(TokenKind::Word, start, text_start);
        Ok(())
    }

    /// `truncate_identifier`: cuts the name that the arena holds from `text_start` on, whose bytes as the client
    /// sent them are given, to 63 bytes.
    fn cut_name(&mut self, sent: &[u8], text_start: usize, token_start: usize) -> Result<(), LexError> {
        let utf8 = self.settings.encoding == Encoding::Utf8 && self.settings.server_encoding == ServerEncoding::Utf8;
        if !utf8 && !sent.is_ascii() {
            // Converted to the server's encoding a byte beyond ASCII may become up to four.
            let beyond = sent.iter().filter(|byte| !byte.is_ascii()).count();
            if sent.len() + 3 * beyond > NAME_BYTES_MAX {
                return Err(self.error(LexErrorReason::AmbiguousIdentifier, token_start));
            }
            return Ok(());
        }
        truncate_name(&mut self.out.arena, text_start);
        Ok(())
    }
}

/// Cuts the tail of `arena` that begins at `start` to at most 63 bytes, never within a character.
fn truncate_name(arena: &mut String, start: usize) {
    if arena.len() - start <= NAME_BYTES_MAX {
        return;
    }
    let mut end = start + NAME_BYTES_MAX;
    while !arena.is_char_boundary(end) {
        end -= 1;
    }
    arena.truncate(end);
}

/// Appends bytes as characters of the encoding.
fn push_decoded(out: &mut String, bytes: &[u8], encoding: Encoding) {
    match encoding {
        Encoding::Utf8 => match std::str::from_utf8(bytes) {
            Ok(text) => out.push_str(text),
            // The whole source was checked, and tokens begin and end at ASCII bytes, so this is not reached; were it,
            // no byte may be lost.
            Err(_) => out.extend(bytes.iter().map(|byte| byte_character(*byte))),
        },
        Encoding::Latin1 => out.extend(bytes.iter().map(|byte| char::from(*byte))),
        Encoding::Bytes => out.extend(bytes.iter().map(|byte| byte_character(*byte))),
    }
}

fn byte_character(byte: u8) -> char {
    if byte.is_ascii() { char::from(byte) } else { opaque_character(byte) }
}

/// What a byte may be part of.
const CLASSES: [u8; 256] = classes();
/// `space`
const SPACE: u8 = 1;
/// `op_chars`
const OPERATOR: u8 = 2;
/// `ident_start`
const IDENTIFIER_START: u8 = 4;
/// `ident_cont`
const IDENTIFIER_PART: u8 = 8;

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte: u8 = 0;
    loop {
        let class = match byte {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0B | 0x0C => SPACE,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80..=0xFF => IDENTIFIER_START | IDENTIFIER_PART,
            b'0'..=b'9' | b'$' => IDENTIFIER_PART,
            b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' => OPERATOR,
            b'+' | b'-' | b'*' | b'/' | b'%' | b'<' | b'>' | b'=' => OPERATOR,
            _ => 0,
        };
        classes[byte as usize] = class;
        if byte == 0xFF {
            return classes;
        }
        byte += 1;
    }
}

pub(super) const fn is_space(byte: u8) -> bool {
    CLASSES[byte as usize] & SPACE != 0
}

pub(super) const fn is_operator_byte(byte: u8) -> bool {
    CLASSES[byte as usize] & OPERATOR != 0
}

/// The operator characters that no SQL operator has.
const fn is_own(byte: u8) -> bool {
    matches!(byte, b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'%')
}

const fn is_identifier_start(byte: u8) -> bool {
    CLASSES[byte as usize] & IDENTIFIER_START != 0
}

pub(super) const fn is_identifier_part(byte: u8) -> bool {
    CLASSES[byte as usize] & IDENTIFIER_PART != 0
}

#[cfg(test)]
mod tests;
