//! Types: `Typename`, and the constants that begin with one.

use super::Parser;
use super::expression::last_two;
use super::shape::{Constant, Shape};
use crate::sql::cursor::{NamePosition, Parsed};
use crate::sql::keyword::Keyword;
use crate::sql::token::TokenKind;

/// The units an INTERVAL may have.
const UNITS: [Keyword; 6] =
    [Keyword::Year, Keyword::Month, Keyword::Day, Keyword::Hour, Keyword::Minute, Keyword::Second];

impl<'a> Parser<'a> {
    /// A type; returns its name, without schema, where it is one.
    pub(in crate::sql) fn type_name(&mut self) -> Parsed<Option<String>> {
        self.cursor.eat(Keyword::Setof);
        let name = self.simple_type()?;
        if self.cursor.eat(Keyword::Array) {
            if self.cursor.at_kind(TokenKind::OpenBracket) {
                self.array_bound()?;
            }
            return Ok(name);
        }
        while self.cursor.at_kind(TokenKind::OpenBracket) {
            self.array_bound()?;
        }
        Ok(name)
    }

    /// `[]`, `[3]`
    fn array_bound(&mut self) -> Parsed<()> {
        self.cursor.advance();
        self.cursor.eat_kind(TokenKind::Number);
        self.cursor.expect_kind(TokenKind::CloseBracket, "a closing bracket is expected")
    }

    fn simple_type(&mut self) -> Parsed<Option<String>> {
        if let Some(keyword) = self.cursor.keyword()
            && let Some(name) = self.system_type(keyword)?
        {
            self.found.system_type(name);
            if keyword == Keyword::Json {
                // A plain name on servers before 17.
                self.found.types.push(crate::sql::Name { schema: None, name: "json".to_owned() });
            }
            if keyword == Keyword::Interval {
                self.interval_fields()?;
            }
            return Ok(Some(name.to_owned()));
        }
        let mut parts = vec![self.cursor.name(NamePosition::TypeOrFunction)?];
        while self.cursor.at_kind(TokenKind::Dot) {
            self.cursor.advance();
            parts.push(self.cursor.name(NamePosition::Label)?);
        }
        if parts.len() > 3 {
            return self.cursor.refuse("a name has too many dots");
        }
        self.found.types.push(last_two(&parts));
        if self.cursor.at_operator("%") && self.cursor.word_ahead(1, "type") {
            self.cursor.advance();
            self.cursor.advance();
        } else if self.cursor.at_kind(TokenKind::OpenParen) {
            self.type_modifier()?;
        }
        Ok(parts.last().map(|name| (*name).to_owned()))
    }

    /// `(10, 2)`: constants, by what Postgres accepts, but any expression by its grammar.
    pub(super) fn type_modifier(&mut self) -> Parsed<()> {
        self.nested(|parser| parser.parenthesized(|parser| parser.expression_list().map(drop)))
    }

    /// A type with a grammar of its own, up to the fields of an INTERVAL; `pg_catalog`'s name of it.
    fn system_type(&mut self, keyword: Keyword) -> Parsed<Option<&'static str>> {
        let name = match keyword {
            Keyword::Int | Keyword::Integer => "int4",
            Keyword::Smallint => "int2",
            Keyword::Bigint => "int8",
            Keyword::Real => "float4",
            Keyword::Float => "float8",
            Keyword::Double if self.cursor.at_ahead(1, Keyword::Precision) => {
                self.cursor.advance();
                "float8"
            }
            Keyword::Decimal | Keyword::Dec | Keyword::Numeric => "numeric",
            Keyword::Boolean => "bool",
            Keyword::Json => "json",
            Keyword::Bit => "bit",
            Keyword::Character | Keyword::Char | Keyword::Nchar | Keyword::National => "bpchar",
            Keyword::Varchar => "varchar",
            Keyword::Timestamp => "timestamp",
            Keyword::Time => "time",
            Keyword::Interval => "interval",
            _ => return Ok(None),
        };
        self.cursor.advance();
        let mut name = name;
        if keyword == Keyword::National && self.cursor.eat_any(&[Keyword::Character, Keyword::Char]).is_none() {
            return self.cursor.refuse("CHARACTER is expected");
        }
        let varies = matches!(name, "bit" | "bpchar");
        if varies && self.cursor.eat(Keyword::Varying) {
            name = if name == "bit" { "varbit" } else { "varchar" };
        }
        if self.cursor.at_kind(TokenKind::OpenParen) {
            self.type_modifier()?;
        }
        if matches!(keyword, Keyword::Time | Keyword::Timestamp) {
            name = self.time_zone(name);
        }
        Ok(Some(name))
    }

    /// `WITH TIME ZONE`, `WITHOUT TIME ZONE`
    fn time_zone(&mut self, name: &'static str) -> &'static str {
        if self.cursor.eat_all(&[Keyword::With, Keyword::Time, Keyword::Zone]) {
            return if name == "time" { "timetz" } else { "timestamptz" };
        }
        self.cursor.eat_all(&[Keyword::Without, Keyword::Time, Keyword::Zone]);
        name
    }

    /// `YEAR TO MONTH`, `SECOND (3)`
    fn interval_fields(&mut self) -> Parsed<()> {
        let Some(first) = self.cursor.eat_any(&UNITS) else { return Ok(()) };
        let mut last = first;
        if self.cursor.at(Keyword::To) && self.cursor.keyword_at(1).is_some_and(|unit| UNITS.contains(&unit)) {
            self.cursor.advance();
            last = self.cursor.eat_any(&UNITS).unwrap_or(first);
        }
        if last == Keyword::Second && self.cursor.at_kind(TokenKind::OpenParen) {
            self.type_modifier()?;
        }
        Ok(())
    }

    /// `int '5'`, `interval '1' day`: a constant of a type that has a grammar of its own. `None` where the word is
    /// just a name here.
    pub(super) fn typed_constant(&mut self, keyword: Keyword) -> Parsed<Option<Shape<'a>>> {
        let start = self.cursor;
        let follows = self.cursor.kind_at(1);
        if keyword == Keyword::Json && follows == Some(TokenKind::OpenParen) {
            return Ok(None);
        }
        let may_be = match keyword {
            Keyword::Double => self.cursor.at_ahead(1, Keyword::Precision),
            _ => matches!(follows, Some(TokenKind::String | TokenKind::OpenParen | TokenKind::Word)),
        };
        if !may_be {
            return Ok(None);
        }
        let Some(name) = self.system_type(keyword)? else { return Ok(None) };
        if !self.cursor.at_kind(TokenKind::String) {
            // `SELECT time FROM t`: a column after all. With parentheses it can be none, and going back over what
            // stands in them would be done again at every level.
            if self.cursor.kind_before() == Some(TokenKind::CloseParen) {
                return self.cursor.refuse("a string is expected");
            }
            self.cursor = start;
            return Ok(None);
        }
        self.found.system_type(name);
        if keyword == Keyword::Json {
            self.found.types.push(crate::sql::Name { schema: None, name: "json".to_owned() });
        }
        let token = self.cursor.position();
        self.cursor.advance();
        if keyword == Keyword::Interval {
            self.interval_fields()?;
        }
        Ok(Some(Shape::Constant(Constant::Literal { token, negative: false })))
    }
}
