//! What a client sends at once, as one risk.

use std::collections::{HashMap, HashSet};

use super::{Risk, assess, assess_unreadable};
use crate::sql::effect::Effect;
use crate::sql::lexer::lex;
use crate::sql::limits::Limits;
use crate::sql::settings::LexerSettings;
use crate::sql::split::split;
use crate::sql::statement::Statement;

/// What the statements of one message risk together. `parts` are the statements with their effects in one database;
/// `effects` is all that the message does there, what it runs by name (`EXECUTE`, `FETCH`) included. A message that
/// is no SQL has no parts and no text.
#[must_use]
pub fn assess_message(
    text: &[u8],
    settings: &LexerSettings,
    parts: &[(&Statement, &[Effect])],
    effects: &[Effect],
) -> Risk {
    let lexed = lex(text, settings, &Limits::INLINE).unwrap_or_default();
    let tokens = split(&lexed, &Limits::INLINE).unwrap_or_default();
    let by_start: HashMap<usize, _> = tokens.iter().map(|tokens| (tokens.span().start, tokens)).collect();
    let mut risk = Risk::default();
    let mut add = |found: Risk| found.rules.into_iter().for_each(|rule| risk.add(rule));
    let mut covered = HashSet::new();
    for (statement, own) in parts {
        covered.extend(own.iter());
        let tokens = by_start.get(&statement.span.start).filter(|tokens| tokens.span() == statement.span);
        add(match tokens {
            Some(tokens) => assess(statement, own, tokens),
            None => assess_unreadable(statement, own),
        });
    }
    let others: Vec<Effect> = effects.iter().filter(|effect| !covered.contains(effect)).cloned().collect();
    if !others.is_empty() {
        add(assess_unreadable(&by_name(), &others));
    }
    risk
}

/// Stands for what runs without standing in the text.
fn by_name() -> Statement {
    Statement { depends_on_literals: true, ..Statement::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::risk::Level;
    use crate::sql::{Action, Object, ObjectKind, analyze};

    fn message(text: &str, more: &[Effect]) -> Risk {
        let settings = LexerSettings::default();
        let script = analyze(text.as_bytes(), &settings);
        let parts: Vec<_> =
            script.statements.iter().map(|statement| (statement, statement.effects.as_slice())).collect();
        let effects: Vec<Effect> =
            script.statements.iter().flat_map(|statement| statement.effects.iter()).chain(more).cloned().collect();
        assess_message(text.as_bytes(), &settings, &parts, &effects)
    }

    fn ids(risk: &Risk) -> Vec<&str> {
        risk.rules.iter().map(|rule| rule.id).collect()
    }

    #[test]
    fn the_worst_statement_of_a_message_counts() {
        let risk = message("select 1; delete from orders where id = 1; drop table orders cascade", &[]);
        assert_eq!(risk.level(), Level::Critical);
        // Told by the words of its own statement.
        assert!(ids(&risk).contains(&"drop-cascade") && ids(&risk).contains(&"delete-rows"), "{risk:?}");
        assert_eq!(message("select 1", &[]).level(), Level::None);
    }

    #[test]
    fn what_runs_by_name_counts() {
        let truncate = Effect::new(Action::Truncate, Object::in_schema(ObjectKind::Table, "public", "orders"));
        assert!(ids(&message("execute wipe", &[truncate])).contains(&"truncate"));
    }

    #[test]
    fn what_is_no_sql_counts() {
        let unknown = Effect::new(Action::Unknown, Object::new(ObjectKind::Other, "")).possible();
        let risk = assess_message(b"", &LexerSettings::default(), &[], &[unknown]);
        assert_eq!(risk.level(), Level::Critical);
    }
}
