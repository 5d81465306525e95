//! What the comparison with the server's own scanner cannot show: refusals, settings, encodings, limits.

use super::*;
use crate::sql::split::{SplitErrorReason, split};

fn lexed_with(source: impl AsRef<[u8]>, settings: LexerSettings) -> Result<Lexed, LexErrorReason> {
    lex(source.as_ref(), &settings, &Limits::INLINE).map_err(|error| error.reason)
}

fn refusal(source: impl AsRef<[u8]>) -> Option<LexErrorReason> {
    lexed_with(source, LexerSettings::default()).err()
}

fn texts(source: impl AsRef<[u8]>, settings: LexerSettings) -> Vec<String> {
    let lexed = lexed_with(source, settings).expect("lexes");
    lexed.tokens().iter().map(|token| lexed.text(token).to_owned()).collect()
}

const fn session(encoding: Encoding, server_encoding: ServerEncoding) -> LexerSettings {
    LexerSettings { standard_conforming_strings: true, encoding, server_encoding }
}

#[test]
fn what_is_not_finished_is_refused() {
    use LexErrorReason::*;
    for (source, reason) in [
        ("select /* /* */", UnterminatedComment),
        ("'", UnterminatedString),
        ("'''", UnterminatedString),
        ("E'\\", UnterminatedString),
        ("E'\\'", UnterminatedString),
        ("b'1", UnterminatedString),
        ("x'1", UnterminatedString),
        ("n'", UnterminatedString),
        ("u&'", UnterminatedString),
        ("'a'\n'", UnterminatedString),
        ("\"", UnterminatedIdentifier),
        ("\"a\"\"", UnterminatedIdentifier),
        ("u&\"a", UnterminatedIdentifier),
        ("$$", UnterminatedDollarString),
        ("$a$ $a", UnterminatedDollarString),
        ("$a", UnexpectedCharacter),
        ("\"\"", EmptyIdentifier),
        ("U&\"\"", EmptyIdentifier),
    ] {
        assert_eq!(refusal(source), Some(reason), "{source}");
    }
}

#[test]
fn bytes_that_the_server_refuses_are_refused() {
    assert_eq!(refusal(b"select 1 \0; drop table t"), Some(LexErrorReason::Nul));
    assert_eq!(refusal(b"select '\xff'"), Some(LexErrorReason::NotUtf8));
    assert_eq!(refusal(b"/* \xed\xa0\x80 */ select 1"), Some(LexErrorReason::NotUtf8), "a surrogate in a comment");
    assert_eq!(refusal(b"select 1 -- \xc0\xaf"), Some(LexErrorReason::NotUtf8), "an overlong form");
    assert_eq!(refusal("select {fn now()}"), Some(LexErrorReason::UnexpectedCharacter));
    assert_eq!(refusal("select \u{1}"), Some(LexErrorReason::UnexpectedCharacter));
}

#[test]
fn escapes_that_make_no_character_are_refused() {
    for source in [
        r"E'\ud83d'",
        r"E'\ude00'",
        r"E'\ud83d\u0041'",
        r"E'\ud83dx'",
        r"E'\u004'",
        r"E'\U0011FFFF'",
        r"E'\u0000'",
        r"E'\0'",
        r"E'\x00'",
        r"E'\xff'",
        r"E'\377'",
        r"U&'\d83d'",
        r"U&'\de00'",
        r"U&'\d83d\0041'",
        r"U&'\004'",
        r"U&'\+00004'",
        r"U&'\0000'",
        r"U&'\zzzz'",
        "U&\"\\dead\"",
        r"U&'\d83d\\'",
    ] {
        assert_eq!(refusal(source), Some(LexErrorReason::InvalidEscape), "{source}");
    }
    for source in ["U&'a' uescape 'ab'", "U&'a' uescape '+'", "U&'a' uescape 'a'", "U&'a' uescape x", "U&'a' uescape"] {
        assert_eq!(refusal(source), Some(LexErrorReason::InvalidUescape), "{source}");
    }
}

#[test]
fn backslashes_escape_where_the_session_says_so() {
    let off = LexerSettings { standard_conforming_strings: false, ..LexerSettings::default() };
    assert_eq!(texts(r"'a\', ' || 1", off), ["a', ", "||", "1"]);
    assert_eq!(texts(r"'a\', ' '", LexerSettings::default()), [r"a\", "", " "]);
    assert_eq!(texts(r"e'a\', '", LexerSettings::default()), ["a', "]);
    assert_eq!(lexed_with("U&'a'", off).err(), Some(LexErrorReason::UnsafeUnicodeString));
    assert_eq!(texts("U&\"a\"", off), ["a"]);
    assert_eq!(texts("N'a\\''", off), ["a'"]);
}

#[test]
fn bytes_of_other_encodings_stay_distinct_and_count_as_opaque() {
    let server = ServerEncoding::Utf8;
    assert_eq!(texts(b"\"caf\xe9\"", session(Encoding::Latin1, server)), ["café"]);
    let names = texts(b"'\xe9' '\xe8' $$x\xe9;$$", session(Encoding::Bytes, server));
    assert!(names.iter().all(|name| crate::sql::settings::is_opaque(name)));
    assert_ne!(names.first(), names.get(1));
    assert!(!crate::sql::settings::is_opaque("café 😀"));
}

#[test]
fn names_that_the_server_may_read_otherwise_are_refused() {
    let refused = |source: &[u8], client, server| lexed_with(source, session(client, server)).err();
    let unreadable = Some(LexErrorReason::UnreadableName);
    let (utf8, single) = (ServerEncoding::Utf8, ServerEncoding::SingleByte);
    for source in
        [&b"select * from \"gr\xf6\xdfe\""[..], b"gr\xf6\xdfe", b"public.\"gr\xf6\"", b"u.\"w\xefpe\"", b"'a' ; b\xe9"]
    {
        assert_eq!(refused(source, Encoding::Bytes, utf8), unreadable, "{}", source.escape_ascii());
        assert_eq!(refused(source, Encoding::Latin1, utf8), None, "{}", source.escape_ascii());
    }
    // SQL_ASCII converts nothing.
    assert_eq!(refused(b"\"\xc3\xa4\"", Encoding::Latin1, single), unreadable);
    assert_eq!(refused("\"ä\"".as_bytes(), Encoding::Utf8, single), None);
    // What is no name may hold any bytes.
    for source in [&b"select 'gr\xf6\xdfe', e'\xe9', n'\xe9', $\xe9$\xe9$\xe9$"[..], b"a -- \xe9\n", b"a /* \xe9 */"] {
        assert_eq!(refused(source, Encoding::Bytes, utf8), None, "{}", source.escape_ascii());
    }
}

#[test]
fn names_that_another_encoding_may_cut_or_fold_are_refused() {
    let refused = |source: &str, server| lexed_with(source, session(Encoding::Utf8, server)).err();
    let ambiguous = Some(LexErrorReason::AmbiguousIdentifier);
    let long = format!("\"{}\"", "é".repeat(20));
    assert_eq!(refused("É", ServerEncoding::Utf8), None);
    assert_eq!(refused("É", ServerEncoding::MultiByte), None);
    assert_eq!(refused("É", ServerEncoding::SingleByte), ambiguous);
    assert_eq!(refused("\"É\"", ServerEncoding::SingleByte), None);
    assert_eq!(refused(&long, ServerEncoding::Utf8), None);
    assert_eq!(refused(&long, ServerEncoding::MultiByte), ambiguous);
    assert_eq!(refused(&"a".repeat(80), ServerEncoding::SingleByte), None);
}

#[test]
fn names_are_cut_at_63_bytes_between_characters() {
    let name = format!("{}é", "A".repeat(62));
    assert_eq!(texts(&name, LexerSettings::default()), ["a".repeat(62)]);
    assert_eq!(texts(format!("\"{name}\""), LexerSettings::default()), ["A".repeat(62)]);
    assert_eq!(texts(format!("U&\"{}\\00e9\"", "A".repeat(62)), LexerSettings::default()), ["A".repeat(62)]);
    assert_eq!(texts("a".repeat(64), LexerSettings::default()), ["a".repeat(63)]);
}

#[test]
fn texts_at_the_limits_take_linear_time_and_no_stack() {
    let limits = Limits::INLINE.with_bytes(32 << 20);
    let count =
        |source: &str| lex(source.as_bytes(), &LexerSettings::default(), &limits).map(|lexed| lexed.tokens.len());
    let many = 100_000;
    assert_eq!(count(&format!("{}{}", "/*".repeat(many), "*/".repeat(many))), Ok(0));
    assert!(count(&"/*".repeat(many)).is_err());
    assert_eq!(count(&"1234567, ".repeat(12 * many)), Ok(24 * many), "10 MB of an IN list");
    assert!(count(&"+-".repeat(many)).is_err(), "a run of operators is cut one by one by the server");
    assert_eq!(count(&"- ".repeat(many)), Ok(many));
    assert_eq!(count(&"'a' \n\n\n".repeat(many)), Ok(1));
    assert_eq!(count(&"'a' -- x\r".repeat(many)), Ok(1));
    assert_eq!(count(&format!("${0}$ {1} ${0}$", "a".repeat(many), "$a".repeat(many))), Ok(1));
    assert_eq!(count(&"U&'\\0041' ".repeat(many)), Ok(many));
    assert_eq!(count(&"\"\"\"\"".repeat(many)), Ok(1));
    assert!(matches!(refusal("x".repeat((1 << 20) + 1)), Some(LexErrorReason::TooLong)));
    let deep = lex("(".repeat(many).as_bytes(), &LexerSettings::default(), &limits).expect("lexes");
    assert_eq!(split(&deep, &limits).map(|_| ()).map_err(|error| error.reason), Err(SplitErrorReason::TooDeep));
}
