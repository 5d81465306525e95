//! Forms that clients write whose meaning only the whole statement tells.

use super::split::StatementTokens;
use super::statement::Name;
use super::system::{Secret, secret};
use super::token::TokenKind;

/// Settings that may be named by a condition: pg_dump does it so that servers without the setting set nothing.
/// Whether it has been set is then not known, so none may stand here that later statements are understood by.
const NAMED_BY_CONDITION: [&str; 1] = ["restrict_nonsystem_relation_kind"];

/// The setting of `SELECT set_config(name, 'value', false) FROM pg_settings WHERE name = 'setting'`.
pub(super) fn setting_named_by_condition<'a>(tokens: &StatementTokens<'a>) -> Option<&'a str> {
    const FORM: [&str; 15] = [
        "select",
        "set_config",
        "(",
        "name",
        ",",
        "'",
        ",",
        "false",
        ")",
        "from",
        "pg_settings",
        "where",
        "name",
        "=",
        "'",
    ];
    let mut form = FORM.iter();
    let mut last = "";
    for token in unqualified(tokens) {
        last = tokens.text(token);
        let fits = match (token.kind, *form.next()?) {
            (TokenKind::String, form) => form == "'",
            (TokenKind::OpenParen, form) => form == "(",
            (TokenKind::CloseParen, form) => form == ")",
            (TokenKind::Comma, form) => form == ",",
            (TokenKind::Word | TokenKind::Operator, form) => form == last,
            _ => false,
        };
        if !fits {
            return None;
        }
    }
    (form.next().is_none() && NAMED_BY_CONDITION.contains(&last)).then_some(last)
}

/// Of the relations read, those with a secret column of which a statement shows only others.
pub(super) fn hidden_secrets(tokens: &StatementTokens<'_>, reads: &[Name]) -> Vec<&'static str> {
    let mut hidden = Vec::new();
    for read in reads {
        let Some(Secret { name, column: Some((column, others)), .. }) = secret(read.schema.as_deref(), &read.name)
        else {
            continue;
        };
        if !hidden.contains(name) && hides(tokens, name, column, others) {
            hidden.push(*name);
        }
    }
    hidden
}

/// Whether a statement that reads `relation` shows no more than the other columns, as `\deu` and `\dRs` do: it is a
/// SELECT without the name of the secret column, and wherever the relation or a name that it is given occurs, one of
/// the others follows.
fn hides(tokens: &StatementTokens<'_>, relation: &str, secret: &str, others: &[&str]) -> bool {
    if tokens.word(0) != Some("select") {
        return false;
    }
    let len = tokens.tokens().len();
    let mut names = vec![relation];
    let mut definitions = Vec::new();
    let mut depth = 0_usize;
    for index in 0..len {
        match tokens.kind(index) {
            Some(TokenKind::OpenParen) => depth += 1,
            Some(TokenKind::CloseParen) => depth = depth.saturating_sub(1),
            _ => {}
        }
        if tokens.name(index) != Some(relation) || !is_from_item(tokens, index) {
            continue;
        }
        // A join in parentheses may have a name of its own.
        if depth > 0 {
            return false;
        }
        definitions.push(index);
        let alias = index + 1 + usize::from(tokens.word(index + 1) == Some("as"));
        // Without an alias this is the next key word, or nothing: it is no name of anything.
        if let Some(name) = tokens.name(alias) {
            if tokens.kind(alias + 1) == Some(TokenKind::OpenParen) {
                return false;
            }
            names.push(name);
            definitions.push(alias);
        }
    }
    (0..len).all(|index| match tokens.name(index) {
        Some("table") => false,
        Some(name) if name == secret => false,
        Some(name) if names.contains(&name) && !definitions.contains(&index) => {
            tokens.kind(index + 1) == Some(TokenKind::Dot)
                && tokens.name(index + 2).is_some_and(|column| others.contains(&column))
        }
        Some(_) => true,
        // Every column: `count(*)` is none.
        None => tokens.operator(index) != Some("*") || is_between_parentheses(tokens, index),
    })
}

/// Whether FROM or JOIN stands before a name and its schema. A comma may stand in any list, so it does not count.
fn is_from_item(tokens: &StatementTokens<'_>, index: usize) -> bool {
    let before = |count: usize| index.checked_sub(count);
    let qualified = before(1).and_then(|at| tokens.kind(at)) == Some(TokenKind::Dot);
    let schema = if qualified { 2 } else { 0 };
    let word = |count: usize| before(schema + count).and_then(|at| tokens.word(at));
    match word(1) {
        Some("join") => true,
        Some("from") => word(2) != Some("distinct"),
        _ => false,
    }
}

fn is_between_parentheses(tokens: &StatementTokens<'_>, index: usize) -> bool {
    index.checked_sub(1).and_then(|before| tokens.kind(before)) == Some(TokenKind::OpenParen)
        && tokens.kind(index + 1) == Some(TokenKind::CloseParen)
}

/// The tokens without `pg_catalog.`.
fn unqualified<'a>(tokens: &StatementTokens<'a>) -> impl Iterator<Item = &'a crate::sql::token::Token> {
    let qualifies =
        |index: usize| tokens.word(index) == Some("pg_catalog") && tokens.kind(index + 1) == Some(TokenKind::Dot);
    let left_out: Vec<bool> = (0..tokens.tokens().len())
        .map(|index| qualifies(index) || index.checked_sub(1).is_some_and(&qualifies))
        .collect();
    tokens.tokens().iter().zip(left_out).filter_map(|(token, out)| (!out).then_some(token))
}

#[cfg(test)]
mod tests {
    use crate::sql::{Action, LexerSettings, analyze};

    /// Whether nothing but reads and harmless changes are found.
    fn passes(sql: &str) -> bool {
        let script = analyze(sql.as_bytes(), &LexerSettings::default());
        script.statements.iter().flat_map(|statement| &statement.effects).all(|effect| match effect.action {
            Action::Read => true,
            Action::Set | Action::Lock => effect.harmless,
            _ => false,
        })
    }

    #[test]
    fn pg_dump_names_a_setting_by_a_condition() {
        for sql in [
            "SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind'",
            "select pg_catalog.set_config(name, '', false) from pg_catalog.pg_settings where name = 'restrict_nonsystem_relation_kind';",
        ] {
            assert!(passes(sql), "{sql}");
        }
        let form =
            "SELECT set_config(name, 'x', false) FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind'";
        for (from, to) in [
            ("restrict_nonsystem_relation_kind", "search_path"),
            ("restrict_nonsystem_relation_kind", "role"),
            ("restrict_nonsystem_relation_kind", "standard_conforming_strings"),
            ("name = ", "name <> "),
            ("name = ", "context = "),
            ("name = ", "true or name = "),
            ("set_config(name", "set_config(context"),
            ("FROM pg_settings", "FROM public.pg_settings"),
            ("FROM pg_settings", "FROM \"pg_settings\" "),
            ("kind'", "kind' or true"),
            ("kind'", "kind' union select set_config(name, 'x', false) from pg_settings"),
            ("false)", "false), set_config(name, 'x', false)"),
        ] {
            assert!(!passes(&form.replacen(from, to, 1)), "{}", form.replacen(from, to, 1));
        }
    }

    #[test]
    fn who_is_mapped_is_no_secret() {
        for sql in [
            "SELECT um.srvname AS \"Server\", um.usename AS \"User name\" FROM pg_catalog.pg_user_mappings um ORDER BY 1, 2",
            "SELECT srvname, count(*) FROM pg_user_mappings GROUP BY srvname",
            "SELECT s.srvname FROM pg_foreign_server s JOIN pg_user_mappings AS m ON m.srvid = s.oid WHERE m.usename = 'x'",
            "SELECT subname, pg_catalog.pg_get_userbyid(subowner), subenabled FROM pg_catalog.pg_subscription ORDER BY 1",
            "SELECT count(*) FROM pg_subscription sub WHERE sub.subdbid = 5",
            "SELECT s.subname, u.srvname FROM pg_subscription s JOIN pg_user_mappings u ON u.usename = s.subname",
            "SELECT relname, relsize FROM public.pg_subscription",
        ] {
            assert!(passes(sql), "{sql}");
        }
        for sql in [
            "SELECT umoptions FROM pg_user_mappings",
            "SELECT option_value FROM information_schema.user_mapping_options",
            "SELECT \"umoptions\" FROM pg_user_mappings",
            "SELECT U&\"um\\006Fptions\" FROM pg_user_mappings",
            "SELECT * FROM pg_user_mappings",
            "SELECT um.* FROM pg_user_mappings um",
            "SELECT um FROM pg_user_mappings um",
            "SELECT um::text FROM pg_user_mappings AS um",
            "SELECT (um).umid FROM pg_user_mappings um",
            "SELECT um.row_to_json FROM pg_user_mappings um",
            "SELECT pg_user_mappings FROM pg_user_mappings",
            "SELECT umid, pg_user_mappings FROM pg_user_mappings",
            "SELECT umid IS DISTINCT FROM pg_user_mappings FROM pg_user_mappings",
            "SELECT to_jsonb(\"um\") FROM pg_catalog.pg_user_mappings \"um\"",
            "SELECT f FROM pg_user_mappings um(a, b, c, d, e, f)",
            "SELECT umid FROM pg_user_mappings union all table pg_user_mappings",
            "TABLE pg_user_mappings",
            "COPY pg_user_mappings TO STDOUT",
            "COPY (SELECT umid FROM pg_user_mappings) TO STDOUT",
            "WITH m AS (SELECT * FROM pg_user_mappings) SELECT umid FROM m",
            "SELECT count(m.*) FROM pg_user_mappings m",
            "SELECT j FROM (pg_user_mappings m CROSS JOIN pg_class c) AS j",
            "SELECT s FROM (SELECT umid FROM pg_user_mappings) AS s",
            "SELECT subconninfo FROM pg_subscription",
            "SELECT SUBCONNINFO FROM pg_catalog.pg_subscription s",
            "SELECT U&\"subconnin\\0066o\" FROM pg_subscription",
            "SELECT length(s.subconninfo) FROM pg_subscription s",
            "SELECT subname FROM pg_subscription WHERE subconninfo LIKE '%a%'",
            "SELECT * FROM pg_subscription",
            "SELECT s FROM pg_subscription s",
            "SELECT a.b FROM pg_subscription a(b)",
            "SELECT s.subname FROM pg_subscription s, (SELECT * FROM pg_user_mappings) u",
            "SELECT s.subname, u.umoptions FROM pg_subscription s JOIN pg_user_mappings u ON true",
            "SELECT s.subname, u FROM pg_subscription s JOIN pg_user_mappings u ON true",
            "TABLE pg_subscription",
            "COPY pg_subscription TO STDOUT",
            "SELECT chunk_data FROM pg_toast.pg_toast_6100",
            "SELECT chunk_data FROM pg_toast.pg_toast_1260",
            "SELECT umoptions FROM pg_user_mapping",
            "SELECT data FROM pg_largeobject",
            "SELECT stavalues1 FROM pg_statistic",
        ] {
            assert!(!passes(sql), "{sql}");
        }
    }
}
