//! DROP and TRUNCATE.

use super::object::Kind;
use crate::sql::cursor::{NamePosition, Parsed};
use crate::sql::effect::{Action, Effect, Extent, Object, ObjectKind};
use crate::sql::keyword::Keyword;
use crate::sql::query::Parser;
use crate::sql::statement::{Dependents, Redefinition};
use crate::sql::token::TokenKind;

impl<'a> Parser<'a> {
    /// `DROP kind [CONCURRENTLY] [IF EXISTS] name, ... [CASCADE|RESTRICT]`
    pub(super) fn drop_statement(&mut self) -> Parsed<String> {
        self.cursor.advance();
        if self.cursor.eat_all(&[Keyword::Owned, Keyword::By]) {
            return self.drop_owned();
        }
        let Some(kind) = self.object_kind() else {
            self.found.unknown("DROP of a kind of object that is not known");
            self.cursor.skip_rest();
            return Ok("DROP".to_owned());
        };
        self.cursor.eat(Keyword::Concurrently);
        self.if_exists();
        self.list(|parser| parser.drop_one(kind))?;
        if self.cursor.eat(Keyword::Cascade) {
            self.found.reason("CASCADE also drops whatever depends on it");
            self.found.redefines = if kind.kind.is_relation() {
                Redefinition { dependents: Dependents::AreDropped, ..Redefinition::default() }
            } else {
                Redefinition::ANYTHING
            };
        }
        self.cursor.skip_rest();
        Ok(kind.command("DROP"))
    }

    fn drop_one(&mut self, kind: Kind) -> Parsed<()> {
        let named = self.object_name(kind)?;
        let reason = format!("drops {} {}", kind.shown(), named.object);
        if let Some(table) = named.table {
            self.found.effect(Effect::new(Action::Alter, table));
        }
        let temporary = named.object.schema.as_deref() == Some("pg_temp");
        let effect = Effect::new(Action::Drop, named.object);
        self.found.effect_because(if temporary { effect.temporary() } else { effect }, reason);
        Ok(())
    }

    /// `IF EXISTS`
    pub(super) fn if_exists(&mut self) {
        self.cursor.eat_all(&[Keyword::If, Keyword::Exists]);
    }

    fn drop_owned(&mut self) -> Parsed<String> {
        self.list(|parser| {
            let role = parser.cursor.name(NamePosition::Label)?;
            parser.found.effect_because(
                Effect::new(Action::Drop, Object::new(ObjectKind::Role, role)),
                format!("drops everything that {role} owns, and its privileges"),
            );
            Ok(())
        })?;
        self.cursor.skip_rest();
        self.found.redefines = Redefinition::ANYTHING;
        Ok("DROP OWNED".to_owned())
    }

    /// `TRUNCATE [TABLE] [ONLY] name [*], ... [RESTART IDENTITY] [CASCADE]`
    pub(super) fn truncate(&mut self) -> Parsed<String> {
        self.cursor.advance();
        self.cursor.eat(Keyword::Table);
        self.list(|parser| {
            let relation = parser.relation_expression()?;
            let effect = Effect::new(Action::Truncate, relation.to_object(ObjectKind::Table));
            let reason = format!("removes every row of {}", relation.display());
            let effect = if relation.schema == Some("pg_temp") { effect.temporary() } else { effect };
            parser.found.effect_because(effect.with_extent(Extent::Whole), reason);
            Ok(())
        })?;
        if self.cursor.at_kind(TokenKind::Word) && self.cursor.find_outside(&[Keyword::Cascade]).is_some() {
            self.found.reason("CASCADE also empties the tables that refer to it");
        }
        self.cursor.skip_rest();
        Ok("TRUNCATE".to_owned())
    }
}
