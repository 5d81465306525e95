//! EXPLAIN, which plans a statement, and with ANALYZE runs it.

use crate::sql::cursor::{NamePosition, Parsed};
use crate::sql::effect::{Action, Effect};
use crate::sql::findings::Distinct;
use crate::sql::keyword::Keyword;
use crate::sql::query::Parser;
use crate::sql::setting::parse_bool;
use crate::sql::statement::SessionChange;
use crate::sql::token::TokenKind;

impl<'a> Parser<'a> {
    /// `EXPLAIN [ANALYZE] [VERBOSE] statement`, `EXPLAIN (option [value], ...) statement`
    pub(super) fn explain(&mut self) -> Parsed<String> {
        self.cursor.advance();
        let options = self.cursor.at_kind(TokenKind::OpenParen) && self.at_explain_options();
        let runs = if options {
            self.explain_options()?
        } else {
            let runs = self.cursor.eat_any(&[Keyword::Analyze, Keyword::Analyse]).is_some();
            self.cursor.eat(Keyword::Verbose);
            runs
        };
        match self.cursor.keyword() {
            Some(Keyword::Create) => drop(self.create()?),
            Some(Keyword::Declare) => drop(self.declare()?),
            Some(Keyword::Execute) => drop(self.execute()?),
            Some(Keyword::Refresh) => drop(self.refresh()?),
            _ => drop(self.query_or_change_statement()?),
        }
        // EXPLAIN ANALYZE runs a cursor's query, and makes no cursor of it.
        self.found.session.retain(|change| !matches!(change, SessionChange::DeclareCursor { .. }));
        if !runs {
            self.only_plans();
        }
        Ok("EXPLAIN".to_owned())
    }

    /// Whether the parenthesis here opens options; a query in parentheses may stand there too.
    fn at_explain_options(&self) -> bool {
        let query = [Keyword::Select, Keyword::With, Keyword::Values, Keyword::Table];
        self.cursor.kind_at(1) != Some(TokenKind::OpenParen)
            && !self.cursor.keyword_at(1).is_some_and(|keyword| query.contains(&keyword))
    }

    /// Whether the options say to run the statement. Given more than once, any that may say so counts.
    fn explain_options(&mut self) -> Parsed<bool> {
        let mut runs = false;
        self.cursor.open()?;
        self.list(|parser| {
            let analyze = parser.cursor.text() == "analyze" || parser.cursor.at(Keyword::Analyse);
            if parser.cursor.eat_any(&[Keyword::Analyze, Keyword::Analyse]).is_none() {
                parser.cursor.name(NamePosition::NonReserved)?;
            }
            let value = parser.option_value()?;
            runs |= analyze && value.is_none_or(|value| parse_bool(&value) != Some(false));
            Ok(())
        })?;
        self.cursor.close()?;
        Ok(runs)
    }

    /// The value of an option: a word, string or number, or nothing.
    pub(super) fn option_value(&mut self) -> Parsed<Option<String>> {
        if matches!(self.cursor.kind(), Some(TokenKind::Comma | TokenKind::CloseParen)) {
            return Ok(None);
        }
        let negative = self.cursor.eat_operator("-");
        if !negative {
            self.cursor.eat_operator("+");
        }
        match self.cursor.kind() {
            Some(TokenKind::String | TokenKind::Number) => self.found.depends_on_literals = true,
            Some(TokenKind::Word | TokenKind::QuotedIdentifier) => {}
            _ => return self.cursor.refuse("an option's value is expected"),
        }
        let value = self.cursor.text().to_owned();
        self.cursor.advance();
        Ok(Some(if negative { format!("-{value}") } else { value }))
    }

    /// What would be done is only looked at. Functions stay: planning runs those that are labelled immutable.
    fn only_plans(&mut self) {
        let effects = std::mem::take(&mut self.found.effects);
        for effect in effects.into_vec() {
            match effect.action {
                Action::Execute | Action::Unknown | Action::Host | Action::Set => self.found.effects.push(effect),
                Action::Insert | Action::Update | Action::Delete | Action::Truncate => {
                    self.found.effects.push(Effect::new(Action::Read, effect.object));
                }
                // Row locks are not taken, tables not made.
                _ => {}
            }
        }
        self.found.reasons = Distinct::default();
        self.found.session.retain(|change| {
            matches!(
                change,
                SessionChange::ExecutePrepared { .. } | SessionChange::Set { .. } | SessionChange::Anything
            )
        });
    }
}
