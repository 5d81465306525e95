//! Which later statements of its transaction a definition concerns, where what it names does not tell.

use crate::sql::effect::ObjectKind;
use crate::sql::keyword::Keyword;
use crate::sql::query::Parser;
use crate::sql::statement::{Dependents, Redefinition};
use crate::sql::token::TokenKind;

impl Parser<'_> {
    /// The tables that keys point to in what is left of the statement: a change of their rows reaches further now.
    pub(super) fn key_targets(&self) -> Redefinition {
        self.targets(self.tokens_until(|_| false))
    }

    /// That of the action of ALTER that begins here, on a relation of that kind.
    pub(super) fn redefinition_of_action(&self, kind: ObjectKind) -> Redefinition {
        if let Some(name) = self.new_name() {
            return Redefinition::of_relations(vec![name]);
        }
        if kind != ObjectKind::Table {
            return Redefinition::default();
        }
        match self.cursor.keyword() {
            Some(Keyword::Drop)
                if self.tokens_of_action().any(|ahead| self.cursor.at_ahead(ahead, Keyword::Cascade)) =>
            {
                Redefinition { dependents: Dependents::AreDropped, ..Redefinition::default() }
            }
            Some(Keyword::Add) => self.targets(self.tokens_of_action()),
            Some(Keyword::Alter | Keyword::Validate | Keyword::Cluster | Keyword::Reset) => Redefinition::NOTHING,
            Some(Keyword::Set) if self.cursor.kind_at(1) == Some(TokenKind::OpenParen) => Redefinition::NOTHING,
            Some(Keyword::Drop) if self.cursor.at_ahead(1, Keyword::Constraint) => Redefinition::NOTHING,
            // Columns that are gone, triggers, rules, row security, parents, owners: all that uses the table.
            _ => Redefinition::default(),
        }
    }

    /// `REFERENCES [schema.]name` among those tokens ahead.
    fn targets(&self, tokens: impl Iterator<Item = usize>) -> Redefinition {
        let references = tokens.filter(|ahead| self.cursor.at_ahead(*ahead, Keyword::References));
        Redefinition::of_relations(references.filter_map(|ahead| self.last_part_of_name(ahead + 1)).collect())
    }

    /// The tokens up to the next comma outside parentheses.
    fn tokens_of_action(&self) -> impl Iterator<Item = usize> {
        self.tokens_until(|kind| kind == TokenKind::Comma)
    }

    /// How far ahead the tokens stand up to one outside parentheses that ends them.
    fn tokens_until(&self, ends: impl Fn(TokenKind) -> bool) -> impl Iterator<Item = usize> {
        let mut depth = 0_usize;
        (0..).take_while(move |ahead| match self.cursor.kind_at(*ahead) {
            None => false,
            Some(TokenKind::OpenParen) => {
                depth += 1;
                true
            }
            Some(TokenKind::CloseParen) => {
                depth = depth.saturating_sub(1);
                true
            }
            Some(kind) => depth > 0 || !ends(kind),
        })
    }

    /// `RENAME TO name`
    fn new_name(&self) -> Option<String> {
        let renames = self.cursor.at(Keyword::Rename) && self.cursor.at_ahead(1, Keyword::To);
        renames.then(|| self.last_part_of_name(2)).flatten()
    }

    /// The last part of the name that stands so many tokens ahead.
    fn last_part_of_name(&self, mut ahead: usize) -> Option<String> {
        while self.cursor.kind_at(ahead + 1) == Some(TokenKind::Dot) {
            ahead += 2;
        }
        let is_name = matches!(self.cursor.kind_at(ahead), Some(TokenKind::Word | TokenKind::QuotedIdentifier));
        is_name.then(|| self.cursor.text_at(ahead).to_owned())
    }
}
