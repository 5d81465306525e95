//! A statement as the rules see it.

use std::ops::Range;

use crate::sql::effect::{Action, Effect, Extent, ObjectKind};
use crate::sql::split::StatementTokens;
use crate::sql::statement::{SessionChange, Statement};
use crate::sql::token::TokenKind;

/// Schemas whose tables are the server's own.
const SYSTEM_SCHEMAS: [&str; 3] = ["pg_catalog", "information_schema", "pg_toast"];

/// One statement: its effects and its words.
#[derive(Debug)]
pub(super) struct Case<'a> {
    statement: &'a Statement,
    effects: &'a [Effect],
    tokens: StatementTokens<'a>,
    /// Where words stand outside brackets: few, even where a statement has a million literals.
    outside_words: Vec<usize>,
    /// Where words stand.
    words: Vec<usize>,
    /// The actions of an ALTER TABLE and its kin: ranges of tokens.
    actions: Vec<Range<usize>>,
}

impl<'a> Case<'a> {
    pub(super) fn new(statement: &'a Statement, effects: &'a [Effect], tokens: StatementTokens<'a>) -> Self {
        let mut case =
            Self { statement, effects, tokens, outside_words: Vec::new(), words: Vec::new(), actions: Vec::new() };
        let is_word = |index: &usize| tokens.kind(*index) == Some(TokenKind::Word);
        let all = 0..tokens.tokens().len();
        case.words = all.clone().filter(is_word).collect();
        case.outside_words = case.outside(all).filter(is_word).collect();
        case.actions = case.find_actions();
        case
    }

    /// The effects on what outlives the session, those of a prepared statement or cursor too.
    pub(super) fn effects(&self) -> impl Iterator<Item = &'a Effect> {
        let bodies = self.statement.session.iter().filter_map(|change| match change {
            SessionChange::Prepare { body, .. } | SessionChange::DeclareCursor { body, .. } => Some(body.as_ref()),
            _ => None,
        });
        let effects: &'a [Effect] = self.effects;
        effects.iter().chain(bodies.flat_map(|body| &body.effects)).filter(|effect| !effect.temporary)
    }

    /// Whether there is an effect with this action.
    pub(super) fn does(&self, action: Action) -> bool {
        self.effects().any(|effect| effect.action == action)
    }

    /// The same, and not in its mild form.
    pub(super) fn harms(&self, action: Action) -> bool {
        self.effects().any(|effect| effect.action == action && !effect.harmless)
    }

    /// Whether there is an effect with this action on one of these kinds of objects.
    pub(super) fn does_to(&self, action: Action, kinds: &[ObjectKind]) -> bool {
        self.effects().any(|effect| effect.action == action && kinds.contains(&effect.object.kind))
    }

    /// Whether every row may be changed by this action.
    pub(super) fn whole(&self, action: Action) -> bool {
        self.effects().any(|effect| effect.action == action && effect.extent == Extent::Whole)
    }

    /// Whether some rows are changed by this action, but not all.
    pub(super) fn bounded(&self, action: Action) -> bool {
        self.effects().any(|effect| effect.action == action && effect.extent != Extent::Whole)
    }

    /// Whether rows or definitions of the server's own catalogs are changed.
    pub(super) fn changes_catalogs(&self) -> bool {
        self.effects().any(|effect| {
            matches!(effect.action, Action::Insert | Action::Update | Action::Delete | Action::Truncate)
                && effect.object.schema.as_deref().map_or_else(
                    // Without a schema the name finds the catalog first.
                    || effect.object.name.starts_with("pg_") && effect.object.kind != ObjectKind::Setting,
                    |schema| SYSTEM_SCHEMAS.contains(&schema),
                )
        })
    }

    /// Whether it is a query, so that what it does to definitions its functions do.
    pub(super) fn by_function(&self) -> bool {
        !["CREATE", "ALTER", "DROP"].iter().any(|verb| self.command().starts_with(verb))
    }

    /// The command, in Postgres' spelling.
    pub(super) fn command(&self) -> &'a str {
        &self.statement.command
    }

    /// Whether the command begins with this verb and names one of these kinds.
    pub(super) fn is(&self, verb: &str, kinds: &[&str]) -> bool {
        let rest = self.command().strip_prefix(verb).and_then(|rest| rest.strip_prefix(' '));
        rest.is_some_and(|rest| kinds.contains(&rest))
    }

    /// Whether the words stand in a row outside brackets.
    pub(super) fn has(&self, words: &[&str]) -> bool {
        self.outside_words.iter().any(|index| self.tokens.words_at(*index, words))
    }

    /// Whether the words stand in a row anywhere.
    pub(super) fn anywhere(&self, words: &[&str]) -> bool {
        self.words.iter().any(|index| self.tokens.words_at(*index, words))
    }

    /// Whether the statement begins with these words.
    pub(super) fn begins(&self, words: &[&str]) -> bool {
        self.tokens.words_at(0, words)
    }

    /// Whether an action of an ALTER begins with these words.
    pub(super) fn alters(&self, words: &[&str]) -> bool {
        self.actions.iter().any(|action| self.tokens.words_at(action.start, words))
    }

    /// The actions of an ALTER of a relation.
    pub(super) fn actions(&self) -> impl Iterator<Item = AlterAction<'_, 'a>> {
        self.actions.iter().map(|range| AlterAction { case: self, range: range.clone() })
    }

    /// The indexes of the tokens of a range that stand outside brackets.
    fn outside(&self, range: Range<usize>) -> impl Iterator<Item = usize> {
        let mut depth = 0usize;
        range.filter(move |index| {
            match self.tokens.kind(*index) {
                Some(TokenKind::OpenParen | TokenKind::OpenBracket) => depth += 1,
                Some(TokenKind::CloseParen | TokenKind::CloseBracket) => depth = depth.saturating_sub(1),
                _ => return depth == 0,
            }
            false
        })
    }

    fn find_actions(&self) -> Vec<Range<usize>> {
        let tokens = &self.tokens;
        let relation = ["table", "index", "view", "sequence", "type", "domain"];
        let named = match (tokens.word(0), tokens.word(1), tokens.word(2)) {
            (Some("alter"), Some("foreign"), Some("table")) | (Some("alter"), Some("materialized"), Some("view")) => 3,
            (Some("alter"), Some(kind), _) if relation.contains(&kind) => 2,
            _ => return Vec::new(),
        };
        let mut at = named;
        if tokens.words_at(at, &["if", "exists"]) {
            at += 2;
        }
        if tokens.word(at) == Some("only") {
            at += 1;
        }
        at += 1;
        while tokens.kind(at) == Some(TokenKind::Dot) {
            at += 2;
        }
        if tokens.operator(at) == Some("*") {
            at += 1;
        }
        let end = tokens.tokens().len();
        let mut actions = Vec::new();
        let commas: Vec<usize> =
            self.outside(at..end).filter(|index| tokens.kind(*index) == Some(TokenKind::Comma)).collect();
        for comma in commas.into_iter().chain([end]) {
            actions.push(at..comma);
            at = comma + 1;
        }
        actions
    }
}

/// One action of an ALTER of a relation.
#[derive(Debug)]
pub(super) struct AlterAction<'c, 'a> {
    case: &'c Case<'a>,
    range: Range<usize>,
}

impl AlterAction<'_, '_> {
    /// Whether it begins with these words.
    pub(super) fn begins(&self, words: &[&str]) -> bool {
        self.case.tokens.words_at(self.range.start, words)
    }

    /// Whether the words stand in it in a row, outside brackets.
    pub(super) fn has(&self, words: &[&str]) -> bool {
        self.case.outside(self.range.clone()).any(|index| self.case.tokens.words_at(index, words))
    }

    /// `ADD [COLUMN] name type ...`, and not a constraint.
    pub(super) fn adds_column(&self) -> bool {
        let constraint = ["constraint", "check", "unique", "primary", "foreign", "exclude"];
        self.begins(&["add"])
            && !constraint.iter().any(|word| self.begins(&["add", word]))
            && !self.begins(&["add", "value"])
    }

    /// `ADD [CONSTRAINT name] <words>`, for constraints of the table.
    pub(super) fn adds_constraint(&self, words: &[&str]) -> bool {
        let tokens = &self.case.tokens;
        let start = self.range.start + 1;
        let start = if tokens.word(start) == Some("constraint") { start + 2 } else { start };
        self.begins(&["add"]) && tokens.words_at(start, words)
    }

    /// `ALTER [COLUMN] name <words>`.
    pub(super) fn alters_column(&self, words: &[&str]) -> bool {
        let tokens = &self.case.tokens;
        let start = self.range.start + 1;
        // A column may be named `column` only in quotes, for it is a reserved word.
        let name = if tokens.word(start) == Some("column") { start + 1 } else { start };
        self.begins(&["alter"]) && tokens.words_at(name + 1, words)
    }

    /// `DROP [COLUMN] name`, and not a constraint.
    pub(super) fn drops_column(&self) -> bool {
        self.begins(&["drop"]) && !self.begins(&["drop", "constraint"])
    }

    /// Whether a default is computed anew for every row, so that the table is written anew.
    pub(super) fn default_is_computed(&self) -> bool {
        const STABLE: [&str; 5] =
            ["now", "transaction_timestamp", "statement_timestamp", "to_timestamp", "make_interval"];
        let tokens = &self.case.tokens;
        let Some(default) = self.case.outside(self.range.clone()).find(|index| tokens.word(*index) == Some("default"))
        else {
            return false;
        };
        (default..self.range.end).any(|index| {
            tokens.kind(index + 1) == Some(TokenKind::OpenParen)
                && tokens.name(index).is_some_and(|name| !STABLE.contains(&name) && name != "default")
        })
    }

    /// Whether a column is of a type that counts.
    pub(super) fn is_serial(&self) -> bool {
        ["serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"].iter().any(|name| self.has(&[name]))
    }
}
