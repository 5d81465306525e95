//! Entries as people read them. Everything in them but our own words is untrusted.

use std::fmt::{Display, Write as _};

use crate::audit::StoredEntry;
use crate::audit::view::{ActionView, EntryView};
use crate::cli::{Failure, Output};
use crate::text::Untrusted;

/// Of a statement, a line shows no more characters than this.
const LINE_SQL_CHARACTERS: usize = 160;

/// The width of the labels in front of the fields of an entry.
const LABEL_WIDTH: usize = 12;

/// Prints an entry on one line: its JSON byte for byte, or for people.
pub(super) fn print(output: &mut Output, entry: StoredEntry<'_>, json: bool) -> Result<(), Failure> {
    let text = String::from_utf8_lossy(entry.json);
    if json { output.line(text) } else { output.line(line(entry)) }
}

/// Index, time, kind, who, what was decided, and the statement.
fn line(entry: StoredEntry<'_>) -> String {
    let Some(view) = EntryView::parse(entry.json) else {
        return format!("{}  (an entry of a form that this version does not know)", entry.index);
    };
    let mut line =
        format!("{}  {}  {:13}", view.index, Untrusted::line(&view.time), Untrusted::line(&view.kind).to_string());
    // Writing to a String cannot fail.
    let mut add = |text: &dyn Display| {
        let _ = write!(line, "  {text}");
    };
    let who = view.by.as_ref().or(view.identity.as_ref());
    match (who, &view.database) {
        (Some(who), Some(database)) => add(&format_args!("{}@{}", Untrusted::line(who), Untrusted::line(database))),
        (Some(who), None) => add(&Untrusted::line(who)),
        (None, Some(database)) => add(&format_args!("@{}", Untrusted::line(database))),
        (None, None) => {}
    }
    for text in [&view.hold, &view.verdict, &view.sqlstate].into_iter().flatten() {
        add(&Untrusted::line(text));
    }
    if let Some(rows) = view.rows {
        add(&format_args!("{rows} rows"));
    }
    if let Some(duration) = view.duration_us {
        add(&milliseconds(duration));
    }
    if let Some(sql) = &view.sql {
        add(&beginning(sql));
    }
    if let Some(reason) = &view.reason {
        add(&format_args!("({})", Untrusted::line(reason)));
    }
    line.trim_end().to_owned()
}

/// Everything about an entry.
pub(super) fn whole(entry: StoredEntry<'_>) -> String {
    let mut text = format!("entry {}", entry.index);
    let mut field = |label: &str, value: &dyn Display| {
        let _ = write!(text, "\n{label:LABEL_WIDTH$}{value}");
    };
    if let Some(view) = EntryView::parse(entry.json) {
        field("time", &Untrusted::line(&view.time));
        field("kind", &Untrusted::line(&view.kind));
        for (label, value) in [
            ("session", &view.session),
            ("identity", &view.identity),
            ("database", &view.database),
            ("verdict", &view.verdict),
            ("policy", &view.policy),
            ("hold", &view.hold),
            ("by", &view.by),
            ("reason", &view.reason),
            ("sqlstate", &view.sqlstate),
        ] {
            if let Some(value) = value {
                field(label, &Untrusted::line(value));
            }
        }
        if let Some(statement) = view.statement {
            field("number", &format_args!("{statement} in its session"));
        }
        if let Some(sql) = &view.sql {
            field("statement", &Untrusted::block(sql, LABEL_WIDTH));
        }
        if let (Some(bytes), Some(hash)) = (view.sql_bytes, &view.sql_sha256) {
            field("", &format_args!("(of {bytes} bytes, SHA-256 {})", Untrusted::line(hash)));
        }
        for (at, value) in view.params.iter().flatten().enumerate() {
            match value {
                Some(value) => field("value", &format_args!("${} = '{}'", at + 1, Untrusted::line(value))),
                None => field("value", &format_args!("${} = NULL", at + 1)),
            }
        }
        if let Some(hash) = &view.params_sha256 {
            field("", &format_args!("(not all; SHA-256 of all {})", Untrusted::line(hash)));
        }
        for action in &view.actions {
            field("does", &does(action));
        }
        if let Some(omitted) = view.actions_omitted {
            field("", &format_args!("(and {omitted} more)"));
        }
        if let Some(rows) = view.rows {
            field("rows", &rows);
        }
        if let Some(duration) = view.duration_us {
            field("took", &milliseconds(duration));
        }
        if let Some(detail) = &view.detail {
            field("detail", &Untrusted::line(&detail.to_string()));
        }
    }
    field("leaf hash", &entry.hash);
    text
}

fn does(action: &ActionView<'_>) -> String {
    let schema = action.schema.as_ref().map_or_else(String::new, |schema| format!("{}.", Untrusted::line(schema)));
    let kind = action.kind.replace('_', " ");
    let (what, kind, name) = (Untrusted::line(&action.action), Untrusted::line(&kind), Untrusted::line(&action.name));
    let doubt = if action.certain { "" } else { " (possibly)" };
    format!("{what} {kind} {schema}{name}{doubt}")
}

fn milliseconds(microseconds: u64) -> String {
    format!("{}.{:03} ms", microseconds / 1000, microseconds % 1000)
}

/// The first characters of a statement, white space as single spaces.
fn beginning(sql: &str) -> String {
    let mut short = String::new();
    for word in sql.split_ascii_whitespace() {
        if !short.is_empty() {
            short.push(' ');
        }
        short.push_str(word);
        if short.chars().count() > LINE_SQL_CHARACTERS {
            short = short.chars().take(LINE_SQL_CHARACTERS).chain(['…']).collect();
            break;
        }
    }
    Untrusted::line(&short).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlog::Hash;

    fn entry(json: &str) -> StoredEntry<'_> {
        StoredEntry { index: 4, hash: Hash::of_empty_tree(), json: json.as_bytes() }
    }

    const HOSTILE: &str = r#"{"index":4,"time":"2026-01-02T03:04:05.678Z","kind":"intent","session":"s-9\n","statement":2,"identity":"a\u001b[2Kda","database":"sh\u202eop","sql":"DELETE\n  FROM \u001b]0;x\u0007 orders","sql_bytes":70000,"sql_sha256":"ab","params":["\u200b",null],"actions":[{"action":"delete","kind":"table","schema":"public","name":"o\nrders","certain":false}],"verdict":"hold","hold":"h-7k2m","rows":3,"duration_us":1234,"reason":"say\nso","detail":{"a":"\u001b"}}"#;

    #[test]
    fn nothing_from_a_client_reaches_the_terminal_as_it_is() {
        let (line, whole) = (line(entry(HOSTILE)), whole(entry(HOSTILE)));
        assert_eq!(
            line,
            "4  2026-01-02T03:04:05.678Z  intent         a<U+001B>[2Kda@sh<U+202E>op  h-7k2m  hold  3 rows  1.234 ms  DELETE FROM <U+001B>]0;x<U+0007> orders  (say<U+000A>so)"
        );
        insta::assert_snapshot!(whole, @r#"
        entry 4
        time        2026-01-02T03:04:05.678Z
        kind        intent
        session     s-9<U+000A>
        identity    a<U+001B>[2Kda
        database    sh<U+202E>op
        verdict     hold
        hold        h-7k2m
        reason      say<U+000A>so
        number      2 in its session
        statement   DELETE
                      FROM <U+001B>]0;x<U+0007> orders
                    (of 70000 bytes, SHA-256 ab)
        value       $1 = '<U+200B>'
        value       $2 = NULL
        does        delete table public.o<U+000A>rders (possibly)
        rows        3
        took        1.234 ms
        detail      {"a":"\u001b"}
        leaf hash   47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=
        "#);
    }

    #[test]
    fn an_entry_of_another_version_is_still_named() {
        assert_eq!(line(entry("{\"v\":2}")), "4  (an entry of a form that this version does not know)");
        assert!(whole(entry("{\"v\":2}")).contains("leaf hash"));
    }

    #[test]
    fn a_long_statement_is_shortened_on_a_line() {
        assert_eq!(beginning(&"ä".repeat(10_000)).chars().count(), LINE_SQL_CHARACTERS + 1);
        assert_eq!(beginning(" a \n b "), "a b");
    }
}
