//! Prepared statements and cursors. What EXECUTE and FETCH run stands in an earlier statement: here they are
//! code of unknown effect, which the session replaces by the effects of what it knows that name to stand for.

use crate::sql::analyze::into_statement;
use crate::sql::cursor::{NamePosition, Parsed};
use crate::sql::effect::{Action, Effect, Object, ObjectKind};
use crate::sql::findings::Findings;
use crate::sql::keyword::Keyword;
use crate::sql::query::Parser;
use crate::sql::query::shape::{Constant, Shape};
use crate::sql::statement::{Argument, SessionChange, Statement};
use crate::sql::token::TokenKind;

impl<'a> Parser<'a> {
    /// `PREPARE name [(types)] AS statement`, `PREPARE TRANSACTION 'id'`
    pub(super) fn prepare(&mut self) -> Parsed<String> {
        self.cursor.advance();
        if self.cursor.at(Keyword::Transaction) && self.cursor.kind_at(1) == Some(TokenKind::String) {
            self.cursor.advance();
            return self.two_phase("PREPARE TRANSACTION");
        }
        let name = self.cursor.name(NamePosition::Column)?.to_owned();
        if self.cursor.at_kind(TokenKind::OpenParen) {
            self.cursor.open()?;
            self.list(|parser| parser.type_name().map(drop))?;
            self.cursor.close()?;
        }
        self.cursor.expect(Keyword::As)?;
        let types = std::mem::take(&mut self.found.types);
        let (mut body, depends) = self.body()?;
        body.types.extend(types.into_vec());
        self.found.depends_on_literals |= depends;
        self.found.session.push(SessionChange::Prepare { name, body: Box::new(body) });
        Ok("PREPARE".to_owned())
    }

    /// The statement that stands from here to the end, apart from what is found around it.
    fn body(&mut self) -> Parsed<(Statement, bool)> {
        let outer = std::mem::take(&mut self.found);
        let named = std::mem::take(&mut self.named);
        let start = self.cursor;
        let result = self.query_or_change_statement();
        let mut inner: Findings = std::mem::replace(&mut self.found, outer);
        crate::sql::values::note(&mut inner, self.cursor.statement());
        inner.named_values = std::mem::replace(&mut self.named, named).finish();
        let command = result?;
        let depends = inner.depends_on_literals;
        Ok((into_statement(start.span_to(&self.cursor), command.to_owned(), inner), depends))
    }

    /// `EXECUTE name [(arguments)]`
    pub(super) fn execute(&mut self) -> Parsed<String> {
        self.cursor.advance();
        let name = self.cursor.name(NamePosition::Column)?;
        let mut arguments = Vec::new();
        if self.cursor.at_kind(TokenKind::OpenParen) {
            self.cursor.open()?;
            self.list(|parser| {
                let shape = parser.expression()?;
                arguments.push(parser.value_given(&shape));
                Ok(())
            })?;
            self.cursor.close()?;
            self.found.depends_on_literals = true;
        }
        let object = Object::new(ObjectKind::PreparedStatement, name);
        self.found.effect(Effect::new(Action::Execute, object).possible());
        self.found.session.push(SessionChange::ExecutePrepared { name: name.to_owned(), arguments });
        Ok("EXECUTE".to_owned())
    }

    fn value_given(&self, shape: &Shape<'_>) -> Argument {
        match shape {
            Shape::Constant(Constant::Literal { token, negative }) => {
                let sign = if *negative { "-" } else { "" };
                Argument::Text(format!("{sign}{}", self.cursor.text_of(*token)))
            }
            Shape::Constant(Constant::Word(Keyword::Null)) => Argument::Null,
            Shape::Constant(Constant::Word(word)) => Argument::Text(word.text().to_owned()),
            _ => Argument::Computed,
        }
    }

    /// `DEALLOCATE [PREPARE] name|ALL`
    pub(super) fn deallocate(&mut self) -> Parsed<String> {
        self.cursor.advance();
        if self.cursor.at(Keyword::Prepare) && self.cursor.kind_at(1).is_some() {
            self.cursor.advance();
        }
        let name =
            if self.cursor.eat(Keyword::All) { None } else { Some(self.cursor.name(NamePosition::Column)?.to_owned()) };
        self.found.session.push(SessionChange::Deallocate(name));
        Ok("DEALLOCATE".to_owned())
    }

    /// `DECLARE name [options] CURSOR [WITH|WITHOUT HOLD] FOR query`. Opening a cursor plans the query, and starts
    /// it: what it does counts at once, and again when it is fetched from.
    pub(super) fn declare(&mut self) -> Parsed<String> {
        self.cursor.advance();
        let name = self.cursor.name(NamePosition::Column)?.to_owned();
        let options = [Keyword::Binary, Keyword::Asensitive, Keyword::Insensitive, Keyword::No, Keyword::Scroll];
        while self.cursor.eat_any(&options).is_some() {}
        self.cursor.expect(Keyword::Cursor)?;
        let hold = self.cursor.eat_all(&[Keyword::With, Keyword::Hold]);
        if !hold {
            self.cursor.eat_all(&[Keyword::Without, Keyword::Hold]);
        }
        self.cursor.expect(Keyword::For)?;
        let (body, depends) = self.body()?;
        self.found.depends_on_literals |= depends;
        self.found.include(&body);
        self.found.session.push(SessionChange::DeclareCursor { name, body: Box::new(body), hold });
        Ok("DECLARE CURSOR".to_owned())
    }

    /// `FETCH [direction] [FROM|IN] name`, `MOVE ...`
    pub(super) fn fetch(&mut self, keyword: Keyword) -> Parsed<String> {
        self.cursor.advance();
        self.fetch_direction()?;
        let name = self.cursor.name(NamePosition::Column)?;
        let object = Object::new(ObjectKind::Cursor, name);
        self.found.effect(Effect::new(Action::Execute, object).possible());
        self.found.session.push(SessionChange::FetchCursor(name.to_owned()));
        Ok(keyword.text().to_uppercase())
    }

    /// `NEXT`, `ABSOLUTE n`, `FORWARD ALL`, `n`, with FROM or IN; or nothing, when the name stands alone.
    fn fetch_direction(&mut self) -> Parsed<()> {
        if self.cursor.kind_at(1).is_none() {
            return Ok(());
        }
        let words = [Keyword::Next, Keyword::Prior, Keyword::First, Keyword::Last, Keyword::All];
        match self.cursor.keyword() {
            Some(Keyword::Absolute | Keyword::Relative) => {
                self.cursor.advance();
                self.signed_number()?;
            }
            Some(Keyword::Forward | Keyword::Backward) => {
                self.cursor.advance();
                if !self.cursor.eat(Keyword::All)
                    && matches!(self.cursor.kind(), Some(TokenKind::Number | TokenKind::Operator))
                {
                    self.signed_number()?;
                }
            }
            Some(word) if words.contains(&word) => self.cursor.advance(),
            _ if matches!(self.cursor.kind(), Some(TokenKind::Number | TokenKind::Operator)) => self.signed_number()?,
            _ => {}
        }
        self.cursor.eat_any(&[Keyword::From, Keyword::In]);
        Ok(())
    }

    fn signed_number(&mut self) -> Parsed<()> {
        if !self.cursor.eat_operator("-") {
            self.cursor.eat_operator("+");
        }
        self.cursor.expect_kind(TokenKind::Number, "a number is expected")
    }

    /// `CLOSE name|ALL`
    pub(super) fn close_cursor(&mut self) -> Parsed<String> {
        self.cursor.advance();
        let name =
            if self.cursor.eat(Keyword::All) { None } else { Some(self.cursor.name(NamePosition::Column)?.to_owned()) };
        self.found.session.push(SessionChange::CloseCursor(name));
        Ok("CLOSE".to_owned())
    }
}
