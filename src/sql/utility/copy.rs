//! COPY: between a relation or query and the client, a file or a program of the server.

use crate::sql::cursor::{NamePosition, Parsed};
use crate::sql::effect::{Action, Effect, Extent, Object, ObjectKind};
use crate::sql::keyword::Keyword;
use crate::sql::query::Parser;
use crate::sql::token::TokenKind;

impl<'a> Parser<'a> {
    /// `COPY name [(columns)] FROM|TO target [options] [WHERE ...]`, `COPY (query) TO target [options]`
    pub(super) fn copy(&mut self) -> Parsed<String> {
        self.cursor.advance();
        if self.cursor.at_kind(TokenKind::OpenParen) {
            self.copied_query()?;
        } else {
            self.copied_relation()?;
        }
        Ok("COPY".to_owned())
    }

    fn copied_query(&mut self) -> Parsed<()> {
        self.cursor.open()?;
        let command = self.query_or_change_statement()?;
        self.cursor.close()?;
        if command != "SELECT" {
            let reason = format!("COPY runs {command} and sends out what it returns");
            self.found.effect_because(Effect::new(Action::Execute, Object::new(ObjectKind::System, "copy")), reason);
        }
        self.cursor.expect(Keyword::To)?;
        self.copy_end("is written with the result of a query")?;
        self.copy_options()
    }

    fn copied_relation(&mut self) -> Parsed<()> {
        if self.cursor.at(Keyword::Binary) {
            self.cursor.advance();
        }
        let relation = self.qualified_name(NamePosition::Column)?;
        if self.cursor.at_kind(TokenKind::OpenParen) {
            self.name_list(NamePosition::Column)?;
        }
        match self.cursor.eat_any(&[Keyword::From, Keyword::To]) {
            Some(Keyword::From) => {
                self.inserted(relation);
                self.copy_end("is read on the server's host")?;
            }
            Some(_) => {
                self.found.reads.push(relation.to_name());
                self.copy_end("is written on the server's host")?;
            }
            None => return self.cursor.refuse("FROM or TO is expected"),
        }
        self.copy_options()?;
        if self.cursor.eat(Keyword::Where) {
            self.expression()?;
        }
        Ok(())
    }

    fn inserted(&mut self, relation: crate::sql::query::Relation<'a>) {
        let mut effect =
            Effect::new(Action::Insert, relation.to_object(ObjectKind::Relation)).with_extent(Extent::Bounded);
        if relation.schema == Some("pg_temp") {
            effect = effect.temporary();
        }
        self.found.effect(effect);
        crate::sql::system::written(&mut self.found, relation.schema, relation.name);
    }

    /// STDIN, STDOUT, a file, a program.
    fn copy_end(&mut self, what: &str) -> Parsed<()> {
        if self.cursor.eat_any(&[Keyword::Stdin, Keyword::Stdout]).is_some() {
            return Ok(());
        }
        let program = self.cursor.eat(Keyword::Program);
        let name = self.cursor.string()?.to_owned();
        self.found.depends_on_literals = true;
        let (kind, reason) = if program {
            (ObjectKind::Program, format!("the server runs the program {name}"))
        } else {
            (ObjectKind::File, format!("the file {name} {what}"))
        };
        self.found.effect_because(Effect::new(Action::Host, Object::new(kind, name)), reason);
        Ok(())
    }

    /// `[WITH] (option [value], ...)`, or the options of old.
    fn copy_options(&mut self) -> Parsed<()> {
        let old_delimiters = self.cursor.eat(Keyword::Using);
        if old_delimiters {
            self.cursor.expect(Keyword::Delimiters)?;
            self.cursor.string()?;
        }
        self.cursor.eat(Keyword::With);
        if self.cursor.at_kind(TokenKind::OpenParen) {
            self.cursor.open()?;
            self.list(Self::copy_option)?;
            return self.cursor.close();
        }
        while !self.cursor.at_end() && !self.cursor.at(Keyword::Where) {
            self.old_copy_option()?;
        }
        Ok(())
    }

    /// `name [value|*|(list)]`
    fn copy_option(&mut self) -> Parsed<()> {
        self.cursor.name(NamePosition::Label)?;
        if self.cursor.eat_operator("*") {
            return Ok(());
        }
        if self.cursor.at_kind(TokenKind::OpenParen) {
            return self.cursor.skip_parentheses();
        }
        // Values of options do not matter; TRUE and ON are reserved words.
        if matches!(self.cursor.kind(), Some(TokenKind::Comma | TokenKind::CloseParen)) {
            return Ok(());
        }
        if !self.cursor.eat_operator("-") {
            self.cursor.eat_operator("+");
        }
        match self.cursor.kind() {
            Some(TokenKind::String | TokenKind::Number | TokenKind::Word | TokenKind::QuotedIdentifier) => {
                self.cursor.advance();
                Ok(())
            }
            _ => self.cursor.refuse("an option's value is expected"),
        }
    }

    /// `CSV`, `DELIMITER 'x'`, `FORCE QUOTE a, b` ...
    fn old_copy_option(&mut self) -> Parsed<()> {
        let flags = [Keyword::Binary, Keyword::Freeze, Keyword::Csv, Keyword::Header];
        let with_string = [Keyword::Delimiter, Keyword::Null, Keyword::Quote, Keyword::Escape, Keyword::Encoding];
        if self.cursor.eat_any(&flags).is_some() {
            return Ok(());
        }
        if self.cursor.eat_any(&with_string).is_some() {
            self.cursor.eat(Keyword::As);
            return self.cursor.string().map(drop);
        }
        if self.cursor.eat(Keyword::Force) {
            self.cursor.eat(Keyword::Not);
            if self.cursor.eat_any(&[Keyword::Null, Keyword::Quote]).is_none() {
                return self.cursor.refuse("QUOTE or NULL is expected");
            }
            if self.cursor.eat_operator("*") {
                return Ok(());
            }
            return self.list(|parser| parser.cursor.name(NamePosition::Column).map(drop));
        }
        self.cursor.refuse("an option of COPY is expected")
    }
}
