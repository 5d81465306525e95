//! The server's own scanner and the ends of its statements (pg_query's) as a judge of the lexer.

use pg_query::ParserOptions;
use pg_query::protobuf::Token as ScannerToken;
use pgsluice::sql::lexer::{LexError, LexErrorReason, Lexed, lex};
use pgsluice::sql::split::split;
use pgsluice::sql::token::TokenKind;
use pgsluice::sql::{LexerSettings, Limits};

/// One token in terms that both sides have.
#[derive(Debug, PartialEq, Eq)]
struct Cut {
    kind: TokenKind,
    start: usize,
    end: usize,
}

fn ours(lexed: &Lexed) -> Vec<Cut> {
    let cut = |token: &pgsluice::sql::token::Token| Cut {
        kind: token.kind,
        start: token.span().start,
        end: token.span().end,
    };
    lexed.tokens().iter().map(cut).collect()
}

/// The scanner's tokens; `None` where it refuses the text, or gives a character that no statement has.
fn theirs(text: &str) -> Option<Vec<Cut>> {
    // The scanner keeps the settings that the parser was last called with in this thread.
    let _ = pg_query::parse("", 0);
    let mut cuts: Vec<Cut> = Vec::new();
    let mut tokens = pg_query::scan(text).ok()?.tokens;
    tokens.retain(|token| ![ScannerToken::SqlComment as i32, ScannerToken::CComment as i32].contains(&token.token));
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let (start, mut end) = (usize::try_from(token.start).ok()?, usize::try_from(token.end).ok()?);
        let first = text.as_bytes().get(start).copied()?;
        let kind = match ScannerToken::try_from(token.token).ok() {
            // `N'...'` is two tokens to the scanner: the keyword NCHAR, one letter long, and a string right behind.
            Some(ScannerToken::Nchar) if matches!(text.as_bytes().get(start + 1), Some(b'\'')) && end == start + 1 => {
                end = usize::try_from(tokens.next()?.end).ok()?;
                TokenKind::NationalString
            }
            Some(unicode @ (ScannerToken::Uident | ScannerToken::Usconst)) => {
                // The parser, not the scanner, joins UESCAPE to what it belongs to.
                if tokens.next_if(|next| next.token == ScannerToken::Uescape as i32).is_some() {
                    let escape = tokens.next_if(|next| next.token == ScannerToken::Sconst as i32)?;
                    end = usize::try_from(escape.end).ok()?;
                }
                if unicode == ScannerToken::Uident { TokenKind::QuotedIdentifier } else { TokenKind::String }
            }
            Some(ScannerToken::Sconst) => TokenKind::String,
            Some(ScannerToken::Bconst) => TokenKind::BitString,
            Some(ScannerToken::Xconst) => TokenKind::HexString,
            Some(ScannerToken::Iconst | ScannerToken::Fconst) => TokenKind::Number,
            Some(ScannerToken::Param) => TokenKind::Parameter,
            Some(ScannerToken::Typecast) => TokenKind::Cast,
            Some(ScannerToken::DotDot) => TokenKind::DotDot,
            Some(ScannerToken::ColonEquals) => TokenKind::Assign,
            Some(ScannerToken::EqualsGreater) => TokenKind::Arrow,
            Some(ScannerToken::Ident) if first == b'"' => TokenKind::QuotedIdentifier,
            _ => match first {
                b'(' => TokenKind::OpenParen,
                b')' => TokenKind::CloseParen,
                b'[' => TokenKind::OpenBracket,
                b']' => TokenKind::CloseBracket,
                b',' => TokenKind::Comma,
                b';' => TokenKind::Semicolon,
                b'.' => TokenKind::Dot,
                b':' => TokenKind::Colon,
                b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => TokenKind::Word,
                b'$' | b'\\' | b'{' | b'}' | 0..=b' ' | 0x7F => return None,
                _ => TokenKind::Operator,
            },
        };
        cuts.push(Cut { kind, start, end });
    }
    Some(cuts)
}

/// Whether the scanner may accept a text that the lexer refuses with this error.
fn stricter(text: &str, error: LexError) -> bool {
    match error.reason {
        // The parser checks these, not the scanner.
        LexErrorReason::InvalidEscape | LexErrorReason::InvalidUescape => text.to_ascii_uppercase().contains("U&"),
        // pg_query's scanner takes `$1abc`; the server's does not.
        LexErrorReason::NumberJunk => text.as_bytes().get(error.at) == Some(&b'$'),
        LexErrorReason::OperatorTooLong => true,
        _ => false,
    }
}

pub(crate) fn same_tokens(text: &str) -> Result<(), String> {
    let limits = Limits::INLINE;
    let ours = lex(text.as_bytes(), &LexerSettings::default(), &limits);
    match (ours, theirs(text)) {
        (Ok(lexed), Some(theirs)) => {
            let ours = self::ours(&lexed);
            if ours == theirs { Ok(()) } else { Err(format!("{text:?}\n ours   {ours:?}\n theirs {theirs:?}")) }
        }
        (Ok(lexed), None) => Err(format!("{text:?}: only the scanner refuses; ours {:?}", self::ours(&lexed))),
        (Err(error), Some(_)) if !stricter(text, error) => Err(format!("{text:?}: only the lexer refuses: {error}")),
        (Err(_), _) => Ok(()),
    }
}

/// Where the server's parser takes a text, our statements are its statements.
pub(crate) fn same_statements(text: &str, conforming: bool) -> Result<(), String> {
    let options = if conforming { ParserOptions::DEFAULT } else { ParserOptions::DISABLE_STANDARD_CONFORMING_STRINGS };
    let Ok(parsed) = pg_query::parse(text, options) else { return Ok(()) };
    let settings = LexerSettings { standard_conforming_strings: conforming, ..LexerSettings::default() };
    let Ok(lexed) = lex(text.as_bytes(), &settings, &Limits::INLINE) else { return Ok(()) };
    let ours = match split(&lexed, &Limits::INLINE) {
        Ok(statements) => statements.iter().map(|statement| statement.span()).collect::<Vec<_>>(),
        Err(error) => return Err(format!("{text:?}: cannot be split: {error}")),
    };
    let theirs: Vec<_> = parsed
        .protobuf
        .stmts
        .iter()
        .map(|statement| {
            let start = usize::try_from(statement.stmt_location).unwrap();
            let length = usize::try_from(statement.stmt_len).unwrap();
            start..if length == 0 { text.len() } else { start + length }
        })
        .collect();
    let inside = |(ours, theirs): (&std::ops::Range<usize>, &std::ops::Range<usize>)| {
        ours.start >= theirs.start && ours.end <= theirs.end
    };
    if ours.len() == theirs.len() && ours.iter().zip(&theirs).all(inside) {
        return Ok(());
    }
    Err(format!("{text:?} (standard_conforming_strings {conforming})\n ours   {ours:?}\n theirs {theirs:?}"))
}

/// The value of the one string or identifier in `SELECT <token>`, as the server reads it.
fn server_value(token: &str, conforming: bool) -> Option<String> {
    use pg_query::NodeEnum;
    use pg_query::protobuf::a_const::Val;
    let options = if conforming { ParserOptions::DEFAULT } else { ParserOptions::DISABLE_STANDARD_CONFORMING_STRINGS };
    let parsed = pg_query::parse(&format!("SELECT {token}"), options).ok()?;
    let [statement] = parsed.protobuf.stmts.as_slice() else { return None };
    let NodeEnum::SelectStmt(select) = statement.stmt.as_ref()?.node.as_ref()? else { return None };
    let [target] = select.target_list.as_slice() else { return None };
    let NodeEnum::ResTarget(target) = target.node.as_ref()? else { return None };
    if !target.name.is_empty() {
        return None;
    }
    match target.val.as_ref()?.node.as_ref()? {
        NodeEnum::AConst(constant) => match constant.val.as_ref()? {
            Val::Sval(string) => Some(string.sval.clone()),
            _ => None,
        },
        NodeEnum::ColumnRef(column) => match column.fields.as_slice() {
            [field] => match field.node.as_ref()? {
                NodeEnum::String(name) => Some(name.sval.clone()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

pub(crate) fn same_value(token: &str, conforming: bool) -> Result<(), String> {
    let Some(theirs) = server_value(token, conforming) else { return Ok(()) };
    let settings = LexerSettings { standard_conforming_strings: conforming, ..LexerSettings::default() };
    let Ok(lexed) = lex(token.as_bytes(), &settings, &Limits::INLINE) else {
        return Err(format!("{token:?}: refused, the server reads {theirs:?}"));
    };
    let meant = lexed.tokens().iter().filter(|token| token.kind != TokenKind::Semicolon);
    let ours: Vec<&str> = meant.map(|token| lexed.text(token)).collect();
    if ours == [theirs.as_str()] { Ok(()) } else { Err(format!("{token:?}: ours {ours:?}, the server's {theirs:?}")) }
}
