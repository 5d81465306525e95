//! Values in the place of parameters. Whether a change leaves any row out may rest on them: `a > $1` with 0, `name LIKE $1`
//! with `%`. A text with parameters is judged again with its values where they may tell.

use super::effect::{Action, Effect, Extent};
use super::lexer::{Lexed, lex};
use super::limits::Limits;
use super::settings::{Encoding, LexerSettings};
use super::statement::Statement;
use super::token::TokenKind;
use super::{Script, analyze};

/// Longer texts are judged without their values.
const LONGEST_TEXT_BYTES: usize = 32 * 1024;
/// Longer values tell nothing that shorter ones do not.
const LONGEST_VALUE_BYTES: usize = 1024;

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// NULL.
    Null,
    /// A value, as its type writes it.
    Text(String),
    /// A value that we cannot read.
    Unknown,
}

/// Whether the bounds of what a text changes may rest on the values of its parameters: whether there are some, of those that
/// meet a condition for every row, with which it changes all. `statements` is what it says without values.
#[must_use]
pub fn bounds_rest_on_values(text: &[u8], settings: &LexerSettings, statements: &[Statement]) -> bool {
    let is_bounded =
        |effect: &Effect| effect.extent == Extent::Bounded && matches!(effect.action, Action::Update | Action::Delete);
    if text.len() > LONGEST_TEXT_BYTES || !statements.iter().flat_map(|statement| &statement.effects).any(is_bounded) {
        return false;
    }
    let Ok(lexed) = lex(text, settings, &Limits::INLINE) else { return false };
    if !lexed.tokens().iter().any(|token| token.kind == TokenKind::Parameter) {
        return false;
    }
    let values = ["0", "-1", "1", "%", "", "true", "infinity", "-infinity"].map(|value| Value::Text(value.to_owned()));
    values.into_iter().chain([Value::Null]).any(|value| {
        let script = analyze(&written(text, &lexed, settings, |_| &value), settings);
        let mut statements = statements.to_vec();
        take_bounds(&mut statements, &script)
    })
}

/// Gives the changes of statements the bounds that they have with these values. Whether that says of any that it changes every
/// row, which it did not say before.
pub fn bound_with(statements: &mut [Statement], text: &[u8], settings: &LexerSettings, values: &[Value]) -> bool {
    let Ok(lexed) = lex(text, settings, &Limits::INLINE) else { return false };
    let value = |number: usize| number.checked_sub(1).and_then(|index| values.get(index)).unwrap_or(&Value::Unknown);
    let script = analyze(&written(text, &lexed, settings, value), settings);
    take_bounds(statements, &script)
}

fn take_bounds(statements: &mut [Statement], with_values: &Script) -> bool {
    if statements.len() != with_values.statements.len() {
        return false;
    }
    let mut taken = false;
    for (statement, with) in statements.iter_mut().zip(&with_values.statements) {
        let mut changed = false;
        let wholes = with.effects.iter().filter(|effect| effect.extent == Extent::Whole);
        for whole in wholes.filter(|effect| matches!(effect.action, Action::Update | Action::Delete)) {
            let same = |effect: &&mut Effect| {
                effect.action == whole.action && effect.object == whole.object && effect.extent == Extent::Bounded
            };
            for effect in statement.effects.iter_mut().filter(same) {
                effect.extent = Extent::Whole;
                changed = true;
            }
        }
        if changed {
            let news = with.reasons.iter().filter(|reason| !statement.reasons.contains(reason));
            let news: Vec<_> = news.map(|reason| format!("{reason}, with its values")).collect();
            statement.reasons.extend(news);
        }
        taken |= changed;
    }
    taken
}

/// The text with values in the place of its parameters; those that are not known stay.
fn written<'a>(text: &[u8], lexed: &Lexed, settings: &LexerSettings, value: impl Fn(usize) -> &'a Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    for token in lexed.tokens().iter().filter(|token| token.kind == TokenKind::Parameter) {
        let Some(literal) = lexed.text(token).parse().ok().and_then(|number| literal(value(number), settings)) else {
            continue;
        };
        let span = token.span();
        out.extend_from_slice(text.get(at..span.start).unwrap_or_default());
        // Apart from its neighbours: a minus before a minus begins a comment.
        out.push(b' ');
        out.extend_from_slice(literal.as_bytes());
        out.push(b' ');
        at = span.end;
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
    out
}

/// As SQL writes it, where it can be written so that nothing else is read.
fn literal(value: &Value, settings: &LexerSettings) -> Option<String> {
    match value {
        Value::Unknown => None,
        Value::Null => Some("NULL".to_owned()),
        Value::Text(text) if is_number(text) => Some(text.clone()),
        Value::Text(text) => {
            let is_plain = text.len() <= LONGEST_VALUE_BYTES
                && !text.contains('\0')
                && (settings.standard_conforming_strings || !text.contains('\\'))
                && (settings.encoding == Encoding::Utf8 || text.is_ascii());
            is_plain.then(|| format!("'{}'", text.replace('\'', "''")))
        }
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
    let all = |part: &str| !part.is_empty() && part.len() < 20 && part.bytes().all(|byte| byte.is_ascii_digit());
    all(whole) && all(decimals)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(sql: &str) -> Vec<Statement> {
        analyze(sql.as_bytes(), &LexerSettings::default()).statements
    }

    fn is_whole_with(sql: &str, values: &[Option<&str>]) -> bool {
        let values: Vec<_> =
            values.iter().map(|value| value.map_or(Value::Null, |text| Value::Text(text.to_owned()))).collect();
        let mut statements = statements(sql);
        bound_with(&mut statements, sql.as_bytes(), &LexerSettings::default(), &values)
    }

    #[test]
    fn what_meets_every_row_with_its_values_changes_all() {
        let cases = [
            ("update t set a = 1 where a > $1", "0", "5000"),
            ("delete from t where a <> $1", "-1", "5"),
            ("update t set a = $1 where name like $1", "%", "x%"),
        ];
        for (sql, all, some) in cases {
            assert!(bounds_rest_on_values(sql.as_bytes(), &LexerSettings::default(), &statements(sql)), "{sql}");
            assert!(is_whole_with(sql, &[Some(all)]), "{sql} with {all}");
            assert!(!is_whole_with(sql, &[Some(some)]), "{sql} with {some}");
        }
    }

    #[test]
    fn only_a_statement_that_changes_more_than_before_gets_reasons() {
        let (delete, role) = ("delete from t where a > $1", "select set_config('role', $2, false)");
        for sql in [format!("{delete}; {role}"), format!("{role}; {delete}")] {
            let mut with = statements(&sql);
            let values = ["0", "x"].map(|value| Value::Text(value.to_owned()));
            assert!(bound_with(&mut with, sql.as_bytes(), &LexerSettings::default(), &values));
            for (before, with) in statements(&sql).iter().zip(&with) {
                let news = usize::from(with.command == "DELETE");
                assert_eq!(with.reasons.len(), before.reasons.len() + news, "{sql}: {:?}", with.reasons);
            }
        }
    }

    #[test]
    fn what_a_value_picks_rows_with_rests_on_none() {
        for sql in [
            "update t set a = $1 where id = $2",
            "delete from t where id in ($1, $2)",
            "delete from t where a > 0",
            // Waits whatever the values are.
            "delete from t where $1::int is null or a = $1",
            "select * from t where a > $1",
            "insert into t values ($1)",
        ] {
            assert!(!bounds_rest_on_values(sql.as_bytes(), &LexerSettings::default(), &statements(sql)), "{sql}");
        }
    }

    #[test]
    fn a_value_is_never_read_as_anything_but_itself() {
        let sql = "delete from t where a = $1 and b = 'it''s $1' -- $1";
        let lexed = lex(sql.as_bytes(), &LexerSettings::default(), &Limits::INLINE).unwrap();
        let with = |value: &str| {
            let value = Value::Text(value.to_owned());
            String::from_utf8(written(sql.as_bytes(), &lexed, &LexerSettings::default(), |_| &value)).unwrap()
        };
        assert_eq!(with("x' or 'a' = 'a"), "delete from t where a =  'x'' or ''a'' = ''a'  and b = 'it''s $1' -- $1");
        assert_eq!(with("-1"), "delete from t where a =  -1  and b = 'it''s $1' -- $1");
        for odd in ["--1", "1e5", "1.", ".5", "-", "1_0", "0x1"] {
            assert!(with(odd).contains(&format!("'{odd}'")), "{odd}");
        }
        let loose = LexerSettings { standard_conforming_strings: false, ..LexerSettings::default() };
        assert_eq!(literal(&Value::Text("a\\".to_owned()), &loose), None);
        assert_eq!(literal(&Value::Text("a\0".to_owned()), &LexerSettings::default()), None);
    }
}
