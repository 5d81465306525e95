//! Which values a statement has, and which columns it gives them to: as far as the tokens tell by themselves.

use super::findings::Findings;
use super::split::StatementTokens;
use super::token::TokenKind;

/// Where a token stands in `SET column = value, (column, column) = (value, value)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In no SET, or not in its list itself.
    Elsewhere,
    /// Where a column is named that is assigned, or the parenthesis before several.
    Target,
    /// Among several such columns.
    Targets,
    /// Behind the column.
    Value,
}

/// Notes what the tokens of the whole statement tell.
pub(super) fn note(found: &mut Findings, tokens: &StatementTokens<'_>) {
    let has = |kinds: &[TokenKind]| tokens.tokens().iter().any(|token| kinds.contains(&token.kind));
    found.strings = has(&[TokenKind::String, TokenKind::NationalString]);
    found.untyped_values = found.strings || has(&[TokenKind::Parameter]);
    found.assigned = Some(assigned(tokens));
}

/// The columns that stand in a SET. What is no column may be among them; a column that is assigned is never missing.
fn assigned(tokens: &StatementTokens<'_>) -> Vec<String> {
    let mut columns = Vec::new();
    let mut around = Vec::new();
    let mut place = Place::Elsewhere;
    for token in tokens.tokens() {
        match token.kind {
            TokenKind::OpenParen | TokenKind::OpenBracket => {
                around.push(place);
                let several = place == Place::Target && token.kind == TokenKind::OpenParen;
                place = if several { Place::Targets } else { Place::Elsewhere };
            }
            TokenKind::CloseParen | TokenKind::CloseBracket => {
                let inside = place;
                place = around.pop().unwrap_or(Place::Elsewhere);
                if inside == Place::Targets {
                    place = Place::Value;
                }
            }
            TokenKind::Comma if place == Place::Value => place = Place::Target,
            TokenKind::Word | TokenKind::QuotedIdentifier => match place {
                Place::Target => {
                    columns.push(tokens.text(token).to_owned());
                    place = Place::Value;
                }
                Place::Targets => columns.push(tokens.text(token).to_owned()),
                Place::Elsewhere | Place::Value if token.kind == TokenKind::Word => match tokens.text(token) {
                    "set" => place = Place::Target,
                    "where" => place = Place::Elsewhere,
                    _ => {}
                },
                Place::Elsewhere | Place::Value => {}
            },
            _ => {}
        }
    }
    columns.sort_unstable();
    columns.dedup();
    columns
}

#[cfg(test)]
mod tests {
    use crate::sql::{LexerSettings, analyze};

    #[track_caller]
    fn assigned(sql: &str) -> Vec<String> {
        analyze(sql.as_bytes(), &LexerSettings::default()).statements.remove(0).assigned.unwrap()
    }

    #[test]
    fn assigned_columns_are_never_missing() {
        let none: [&str; 0] = [];
        assert_eq!(assigned("update t set a = 1 where id = 2"), ["a"]);
        assert_eq!(assigned("update t set a[1] = 1, \"B c\".x = (select d from e, f) where (id = 2)"), ["B c", "a"]);
        assert_eq!(
            assigned("update t set (a, b) = (select 1, c), d = e is distinct from f, g = 1"),
            ["a", "b", "d", "g"]
        );
        assert_eq!(assigned("update t set a = case when b then 1 else 2 end, set = 3"), ["a", "set"]);
        assert_eq!(assigned("with x as (update t set a = 1 where id = 2 returning b) select c from x"), ["a"]);
        assert_eq!(assigned("insert into t values (1, 2) on conflict (a) do update set b = 3"), ["b"]);
        assert_eq!(assigned("delete from t where a = 1"), none);
    }

    #[test]
    fn values_without_a_type_are_seen() {
        let untyped = |sql: &str| analyze(sql.as_bytes(), &LexerSettings::default()).statements[0].untyped_values;
        assert!(untyped("select 'a'") && untyped("select $1") && untyped("select $$a$$"));
        assert!(!untyped("select a from t where b = 1"));
    }
}
