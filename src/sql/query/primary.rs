//! Expressions that stand for themselves: constants, columns, calls and what is in parentheses. `c_expr` of the grammar.

use super::expression::{Form, last_two, remember};
use super::shape::{Column, Condition, Constant, QueryShape, Shape};
use super::{Parser, strength};
use crate::sql::cursor::{NamePosition, Parsed};
use crate::sql::keyword::{Category, Keyword};
use crate::sql::token::TokenKind;

/// What stands between parentheses.
pub(super) enum Parentheses<'a> {
    Query(QueryShape<'a>),
    Value(Shape<'a>),
}

impl<'a> Parser<'a> {
    /// `c_expr`.
    pub(in crate::sql) fn primary(&mut self) -> Parsed<Shape<'a>> {
        match self.cursor.kind() {
            Some(TokenKind::Number | TokenKind::String) => {
                let token = self.cursor.position();
                self.cursor.advance();
                Ok(Shape::Constant(Constant::Literal { token, negative: false }))
            }
            Some(kind @ (TokenKind::NationalString | TokenKind::BitString | TokenKind::HexString)) => {
                if kind == TokenKind::NationalString {
                    self.found.system_type("bpchar");
                }
                self.cursor.advance();
                Ok(Shape::Constant(Constant::Computed))
            }
            Some(TokenKind::Parameter) => {
                self.cursor.advance();
                self.indirection(Shape::Constant(Constant::Parameter))
            }
            Some(TokenKind::OpenParen) => match self.parentheses()? {
                Parentheses::Query(query) => self.indirection(Shape::Query(query)),
                Parentheses::Value(row @ Shape::Row(_)) if !self.at_indirection() => Ok(row),
                Parentheses::Value(value) => self.indirection(value),
            },
            Some(TokenKind::QuotedIdentifier) => self.name_expression(),
            Some(TokenKind::Word) => match self.cursor.keyword() {
                None => self.name_expression(),
                Some(keyword) => self.keyword_expression(keyword),
            },
            _ => self.cursor.refuse("an expression is expected"),
        }
    }

    /// `(a)`, `(a, b)`, `(SELECT ...)`, however many parentheses: which of them it is shows only inside.
    pub(super) fn parentheses(&mut self) -> Parsed<Parentheses<'a>> {
        let stars = self.named.stars();
        let result = self.parentheses_of_any();
        self.named.is_value_since(stars);
        result
    }

    /// `[i]`, `[i:j]`
    pub(super) fn subscript(&mut self) -> Parsed<()> {
        self.cursor.expect_kind(TokenKind::OpenBracket, "a bracket is expected")?;
        if !self.cursor.at_kind(TokenKind::Colon) {
            self.expression()?;
        }
        if self.cursor.eat_kind(TokenKind::Colon) && !self.cursor.at_kind(TokenKind::CloseBracket) {
            self.expression()?;
        }
        self.cursor.expect_kind(TokenKind::CloseBracket, "a closing bracket is expected")
    }

    /// The rest of the first expression in parentheses, and the others of a row.
    fn rest_of_row(&mut self, first: Shape<'a>) -> Parsed<Shape<'a>> {
        let first = self.continue_expression(first, strength::ANY, Form::Full)?;
        if !self.cursor.at_kind(TokenKind::Comma) {
            return Ok(first);
        }
        let mut row = vec![first];
        while self.cursor.eat_kind(TokenKind::Comma) {
            let item = self.expression()?;
            remember(&mut row, item);
        }
        Ok(Shape::Row(row))
    }

    /// An expression that begins with a key word.
    fn keyword_expression(&mut self, keyword: Keyword) -> Parsed<Shape<'a>> {
        match keyword {
            Keyword::True | Keyword::False | Keyword::Null => {
                self.cursor.advance();
                Ok(Shape::Constant(Constant::Word(keyword)))
            }
            Keyword::Case => self.case(),
            Keyword::Array => self.array(),
            Keyword::Row if self.cursor.kind_at(1) == Some(TokenKind::OpenParen) => self.row(),
            Keyword::Exists if self.cursor.kind_at(1) == Some(TokenKind::OpenParen) => {
                self.cursor.advance();
                match self.parentheses_of_any()? {
                    Parentheses::Query(query) => Ok(Shape::Condition(Condition::Exists(query))),
                    Parentheses::Value(_) => self.cursor.refuse("a query is expected"),
                }
            }
            _ => {
                if let Some(shape) = self.special_function(keyword)? {
                    return Ok(shape);
                }
                if let Some(shape) = self.typed_constant(keyword)? {
                    return Ok(shape);
                }
                match keyword.category() {
                    Category::Reserved => self.cursor.refuse("an expression is expected"),
                    _ => self.name_expression(),
                }
            }
        }
    }

    /// [`Parser::parentheses`] where what a query returns is not looked at.
    fn parentheses_of_any(&mut self) -> Parsed<Parentheses<'a>> {
        self.nested(|parser| {
            parser.cursor.open()?;
            let result = if parser.at_query() {
                Parentheses::Query(parser.query_body()?)
            } else if parser.cursor.at_kind(TokenKind::OpenParen) {
                match parser.parentheses()? {
                    Parentheses::Query(query) if parser.at_query_continuation() => {
                        Parentheses::Query(parser.continue_query(query)?)
                    }
                    Parentheses::Query(query) if parser.cursor.at_kind(TokenKind::CloseParen) => {
                        Parentheses::Query(query)
                    }
                    Parentheses::Query(query) => {
                        let first = parser.indirection(Shape::Query(query))?;
                        Parentheses::Value(parser.rest_of_row(first)?)
                    }
                    Parentheses::Value(value) => {
                        let first = parser.indirection(value)?;
                        Parentheses::Value(parser.rest_of_row(first)?)
                    }
                }
            } else {
                let first = parser.operand(Form::Full)?;
                Parentheses::Value(parser.rest_of_row(first)?)
            };
            parser.cursor.close()?;
            Ok(result)
        })
    }

    fn at_indirection(&self) -> bool {
        matches!(self.cursor.kind(), Some(TokenKind::Dot | TokenKind::OpenBracket))
    }

    /// `.field`, `[subscript]` behind something that is no plain column.
    fn indirection(&mut self, base: Shape<'a>) -> Parsed<Shape<'a>> {
        let mut shape = base;
        loop {
            if self.cursor.eat_kind(TokenKind::Dot) {
                if self.cursor.eat_operator("*") {
                    self.named.anything();
                } else {
                    let name = self.cursor.name(NamePosition::Label)?;
                    self.found.attribute(name);
                    self.named.field(name);
                }
                shape = Shape::Opaque;
            } else if self.cursor.at_kind(TokenKind::OpenBracket) {
                self.subscript()?;
                shape = Shape::computed(&[shape]);
            } else {
                return Ok(shape);
            }
        }
    }

    /// A column, a function call, or a constant of a named type: what begins with a name.
    fn name_expression(&mut self) -> Parsed<Shape<'a>> {
        let is_column = self.cursor.at_name(NamePosition::Column);
        let is_function = self.cursor.at_name(NamePosition::TypeOrFunction);
        let first = self.cursor.name(NamePosition::NonReserved)?;
        let mut parts = vec![first];
        while self.cursor.at_kind(TokenKind::Dot) {
            self.cursor.advance();
            if self.cursor.eat_operator("*") {
                self.columns.push(parts.last().copied());
                self.named.anything();
                return if is_column { Ok(Shape::Opaque) } else { self.cursor.refuse("a table is expected") };
            }
            parts.push(self.cursor.name(NamePosition::Label)?);
        }
        match self.cursor.kind() {
            Some(TokenKind::OpenParen) if is_function || parts.len() > 1 => self.function_call(&parts),
            Some(TokenKind::String) if is_function || parts.len() > 1 => {
                self.found.types.push(last_two(&parts));
                let token = self.cursor.position();
                self.cursor.advance();
                Ok(Shape::Constant(Constant::Literal { token, negative: false }))
            }
            _ if is_column => self.column(&parts),
            _ => self.cursor.refuse("a function's arguments are expected"),
        }
    }

    /// A column, with what follows it in brackets and dots.
    fn column(&mut self, parts: &[&'a str]) -> Parsed<Shape<'a>> {
        for part in parts.iter().skip(1) {
            self.found.attribute(part);
        }
        let column = match parts {
            [name] => Column { qualifier: None, name },
            [.., qualifier, name] => Column { qualifier: Some(qualifier), name },
            [] => return self.cursor.refuse("a column is expected"),
        };
        self.columns.push(column.qualifier);
        if column.qualifier.is_none() {
            self.scopes.name(column.name);
        }
        self.named.column(parts);
        if !self.cursor.at_kind(TokenKind::OpenBracket) {
            return Ok(Shape::Column(column));
        }
        self.indirection(Shape::Opaque)
    }

    fn case(&mut self) -> Parsed<Shape<'a>> {
        self.cursor.expect(Keyword::Case)?;
        if !self.cursor.at(Keyword::When) {
            self.expression()?;
            self.found.operator("=");
        }
        while self.cursor.eat(Keyword::When) {
            self.expression()?;
            self.cursor.expect(Keyword::Then)?;
            self.expression()?;
        }
        if self.cursor.eat(Keyword::Else) {
            self.expression()?;
        }
        self.cursor.expect(Keyword::End)?;
        Ok(Shape::Opaque)
    }

    /// `ARRAY[...]`, `ARRAY(SELECT ...)`
    fn array(&mut self) -> Parsed<Shape<'a>> {
        self.cursor.expect(Keyword::Array)?;
        let shape = if self.cursor.at_kind(TokenKind::OpenParen) {
            match self.parentheses()? {
                Parentheses::Query(query) => Shape::Query(query),
                Parentheses::Value(_) => return self.cursor.refuse("a query is expected"),
            }
        } else {
            self.array_items()?
        };
        self.indirection(shape)
    }

    /// `[a, [b, c]]`
    fn array_items(&mut self) -> Parsed<Shape<'a>> {
        self.nested(|parser| {
            parser.cursor.expect_kind(TokenKind::OpenBracket, "a bracket is expected")?;
            let mut shapes = Vec::new();
            if !parser.cursor.at_kind(TokenKind::CloseBracket) {
                parser.list(|parser| {
                    let item = if parser.cursor.at_kind(TokenKind::OpenBracket) {
                        parser.array_items()?
                    } else {
                        parser.expression()?
                    };
                    remember(&mut shapes, item);
                    Ok(())
                })?;
            }
            parser.cursor.expect_kind(TokenKind::CloseBracket, "a closing bracket is expected")?;
            Ok(array_of(shapes))
        })
    }

    /// `ROW(...)`
    fn row(&mut self) -> Parsed<Shape<'a>> {
        self.cursor.expect(Keyword::Row)?;
        self.cursor.open()?;
        let row = if self.cursor.at_kind(TokenKind::CloseParen) { Vec::new() } else { self.expression_list()? };
        self.cursor.close()?;
        Ok(Shape::Row(row))
    }
}

/// `ARRAY[...]`, flat as far as constants go.
fn array_of(shapes: Vec<Shape<'_>>) -> Shape<'_> {
    let mut items = Vec::new();
    for shape in shapes {
        match shape {
            Shape::Constant(constant) => items.push(constant),
            Shape::Array(inner) => items.extend(inner),
            _ => return Shape::Opaque,
        }
    }
    Shape::Array(items)
}
