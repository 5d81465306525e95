//! The functions of SQL/JSON. Younger than some servers we stand before, to which `json_scalar(x)` is a plain
//! call of whatever has that name: each is reported as such a call as well.

use super::Parser;
use super::shape::Shape;
use crate::sql::cursor::{NamePosition, Parsed};
use crate::sql::keyword::Keyword;
use crate::sql::token::TokenKind;

impl<'a> Parser<'a> {
    /// A call of one of them; `None` where the word is none.
    pub(super) fn json_function(&mut self, keyword: Keyword) -> Parsed<Option<Shape<'a>>> {
        let aggregate = matches!(keyword, Keyword::JsonArrayagg | Keyword::JsonObjectagg);
        match keyword {
            Keyword::Json
            | Keyword::JsonArray
            | Keyword::JsonExists
            | Keyword::JsonObject
            | Keyword::JsonQuery
            | Keyword::JsonScalar
            | Keyword::JsonSerialize
            | Keyword::JsonValue
            | Keyword::MergeAction => {}
            _ if aggregate => {}
            // As a plain call; as a table it stands in FROM.
            Keyword::JsonTable => {}
            _ => return Ok(None),
        }
        self.cursor.advance();
        self.call_by_word(keyword.text());
        if keyword == Keyword::JsonObject {
            // `json_object('{}')` is the server's own function of old wherever the word is a key word.
            self.found.system_call("json_object");
        }
        self.parenthesized(|parser| parser.json_arguments())?;
        if aggregate {
            self.window_and_filter()?;
        }
        Ok(Some(Shape::Opaque))
    }

    /// What stands in the parentheses of any of them.
    fn json_arguments(&mut self) -> Parsed<()> {
        if self.at_query() {
            self.query_body()?;
            self.json_format()?;
        } else if !self.cursor.at_kind(TokenKind::CloseParen) && !self.at_json_clause() {
            self.json_value()?;
        }
        loop {
            if self.cursor.at_kind(TokenKind::CloseParen) {
                return Ok(());
            }
            let separated = self.cursor.eat_kind(TokenKind::Comma)
                || self.cursor.eat_kind(TokenKind::Colon)
                || self.cursor.eat(Keyword::Value);
            if separated {
                self.json_value()?;
            } else {
                self.json_clause()?;
            }
        }
    }

    /// `a [FORMAT JSON [ENCODING name]]`, or an argument of a plain call.
    fn json_value(&mut self) -> Parsed<()> {
        self.argument()?;
        self.json_format()
    }

    fn json_format(&mut self) -> Parsed<()> {
        if self.cursor.eat(Keyword::Format) {
            self.cursor.expect(Keyword::Json)?;
            if self.cursor.eat(Keyword::Encoding) {
                self.cursor.name(NamePosition::Column)?;
            }
        }
        Ok(())
    }

    /// Whether a clause stands here and no expression does.
    fn at_json_clause(&self) -> bool {
        self.cursor.at(Keyword::Returning) || (self.cursor.at_ahead(1, Keyword::On) && self.at_json_behavior())
    }

    fn at_json_behavior(&self) -> bool {
        self.cursor.at_any(&[
            Keyword::Absent,
            Keyword::Empty,
            Keyword::Error,
            Keyword::False,
            Keyword::Null,
            Keyword::True,
            Keyword::Unknown,
        ])
    }

    /// One of the clauses behind the values.
    fn json_clause(&mut self) -> Parsed<()> {
        match self.cursor.keyword() {
            Some(Keyword::Returning) => {
                self.cursor.advance();
                self.type_name()?;
                self.json_format()
            }
            Some(Keyword::Passing) => self.json_passing(),
            Some(Keyword::Order) => self.order_by(),
            Some(Keyword::With | Keyword::Without) => self.json_wrapper(),
            Some(Keyword::Keep | Keyword::Omit) => self.json_quotes(),
            _ => self.json_behavior(),
        }
    }

    /// `PASSING x AS name, ...`
    fn json_passing(&mut self) -> Parsed<()> {
        self.cursor.expect(Keyword::Passing)?;
        self.list(|parser| {
            parser.json_value()?;
            parser.cursor.expect(Keyword::As)?;
            parser.cursor.name(NamePosition::Label).map(drop)
        })
    }

    /// `WITH UNIQUE [KEYS]`, `WITHOUT UNIQUE [KEYS]`, nothing.
    pub(super) fn json_unique_keys(&mut self) {
        let clause = self.cursor.at_any(&[Keyword::With, Keyword::Without]) && self.cursor.at_ahead(1, Keyword::Unique);
        if clause {
            self.cursor.advance();
            self.cursor.advance();
            self.cursor.eat(Keyword::Keys);
        }
    }

    /// `WITH [CONDITIONAL|UNCONDITIONAL] [ARRAY] WRAPPER`, `WITH UNIQUE KEYS`
    fn json_wrapper(&mut self) -> Parsed<()> {
        if self.cursor.at_ahead(1, Keyword::Unique) {
            self.json_unique_keys();
            return Ok(());
        }
        self.cursor.advance();
        self.cursor.eat_any(&[Keyword::Conditional, Keyword::Unconditional]);
        self.cursor.eat(Keyword::Array);
        self.cursor.expect(Keyword::Wrapper)
    }

    /// `KEEP|OMIT QUOTES [ON SCALAR STRING]`
    fn json_quotes(&mut self) -> Parsed<()> {
        self.cursor.advance();
        self.cursor.expect(Keyword::Quotes)?;
        if self.cursor.eat(Keyword::On) {
            self.cursor.expect(Keyword::Scalar)?;
            self.cursor.expect(Keyword::String)?;
        }
        Ok(())
    }

    /// `NULL ON NULL`, `EMPTY ARRAY ON ERROR`, `DEFAULT x ON EMPTY`
    fn json_behavior(&mut self) -> Parsed<()> {
        if self.cursor.eat(Keyword::Default) {
            self.expression()?;
        } else if self.at_json_behavior() {
            self.cursor.advance();
            self.cursor.eat_any(&[Keyword::Array, Keyword::Object]);
        } else {
            return self.cursor.refuse("a clause of SQL/JSON is expected");
        }
        self.cursor.expect(Keyword::On)?;
        match self.cursor.eat_any(&[Keyword::Empty, Keyword::Error, Keyword::Null]) {
            Some(_) => Ok(()),
            None => self.cursor.refuse("EMPTY, ERROR or NULL is expected"),
        }
    }

    /// `JSON_TABLE(...)`, behind the word.
    pub(super) fn json_table(&mut self) -> Parsed<()> {
        self.call_by_word("json_table");
        self.parenthesized(|parser| {
            parser.json_value()?;
            if !parser.cursor.at_kind(TokenKind::Comma) {
                return Ok(());
            }
            parser.cursor.advance();
            parser.json_value()?;
            if parser.cursor.eat(Keyword::As) {
                parser.cursor.name(NamePosition::Column)?;
            }
            if parser.cursor.at(Keyword::Passing) {
                parser.json_passing()?;
            }
            if parser.cursor.at(Keyword::Columns) {
                parser.json_columns()?;
                if !parser.cursor.at_kind(TokenKind::CloseParen) {
                    parser.json_behavior()?;
                }
                return Ok(());
            }
            while parser.cursor.eat_kind(TokenKind::Comma) {
                parser.argument()?;
            }
            Ok(())
        })
    }

    fn json_columns(&mut self) -> Parsed<()> {
        self.cursor.expect(Keyword::Columns)?;
        self.nested(|parser| parser.parenthesized(|parser| parser.list(Self::json_column)))
    }

    fn json_column(&mut self) -> Parsed<()> {
        let nested = self.cursor.at(Keyword::Nested)
            && (self.cursor.at_ahead(1, Keyword::Path) || self.cursor.kind_at(1) == Some(TokenKind::String));
        if nested {
            self.cursor.advance();
            self.cursor.eat(Keyword::Path);
            self.cursor.string()?;
            if self.cursor.eat(Keyword::As) {
                self.cursor.name(NamePosition::Column)?;
            }
            return self.json_columns();
        }
        self.cursor.name(NamePosition::Column)?;
        if self.cursor.eat_all(&[Keyword::For, Keyword::Ordinality]) {
            return Ok(());
        }
        self.type_name()?;
        self.json_format()?;
        self.cursor.eat(Keyword::Exists);
        if self.cursor.eat(Keyword::Path) {
            self.cursor.string()?;
        }
        while !self.cursor.at_kind(TokenKind::Comma) && !self.cursor.at_kind(TokenKind::CloseParen) {
            match self.cursor.keyword() {
                Some(Keyword::With | Keyword::Without) => self.json_wrapper()?,
                Some(Keyword::Keep | Keyword::Omit) => self.json_quotes()?,
                _ => self.json_behavior()?,
            }
        }
        Ok(())
    }
}
