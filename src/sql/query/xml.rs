//! The functions of SQL/XML.

use super::Parser;
use super::shape::Shape;
use crate::sql::cursor::{NamePosition, Parsed};
use crate::sql::keyword::Keyword;
use crate::sql::token::TokenKind;

impl<'a> Parser<'a> {
    /// A call of one of them; `None` where the word is none.
    pub(super) fn xml_function(&mut self, keyword: Keyword) -> Parsed<Option<Shape<'a>>> {
        let inside: fn(&mut Self) -> Parsed<()> = match keyword {
            Keyword::Xmlconcat => |parser| parser.expression_list().map(drop),
            Keyword::Xmlelement => Self::xml_element,
            Keyword::Xmlexists => |parser| {
                parser.found.system_call("xmlexists");
                parser.primary()?;
                parser.xml_passing()
            },
            Keyword::Xmlforest => Self::xml_attributes,
            Keyword::Xmlparse => |parser| {
                parser.document_or_content()?;
                parser.expression()?;
                if parser.cursor.eat_any(&[Keyword::Preserve, Keyword::Strip]).is_some() {
                    parser.cursor.expect(Keyword::Whitespace)?;
                }
                Ok(())
            },
            Keyword::Xmlpi => |parser| {
                parser.cursor.expect(Keyword::Name)?;
                parser.cursor.name(NamePosition::Label)?;
                if parser.cursor.eat_kind(TokenKind::Comma) {
                    parser.expression()?;
                }
                Ok(())
            },
            Keyword::Xmlroot => Self::xml_root,
            Keyword::Xmlserialize => |parser| {
                parser.document_or_content()?;
                parser.expression()?;
                parser.cursor.expect(Keyword::As)?;
                parser.type_name()?;
                parser.cursor.eat(Keyword::No);
                parser.cursor.eat(Keyword::Indent);
                Ok(())
            },
            _ => return Ok(None),
        };
        self.cursor.advance();
        self.parenthesized(inside)?;
        Ok(Some(Shape::Opaque))
    }

    fn document_or_content(&mut self) -> Parsed<()> {
        if self.cursor.eat_any(&[Keyword::Document, Keyword::Content]).is_some() {
            Ok(())
        } else {
            self.cursor.refuse("DOCUMENT or CONTENT is expected")
        }
    }

    /// `NAME label [, XMLATTRIBUTES(...)] [, expressions]`
    fn xml_element(&mut self) -> Parsed<()> {
        self.cursor.expect(Keyword::Name)?;
        self.cursor.name(NamePosition::Label)?;
        let attributes =
            self.cursor.kind() == Some(TokenKind::Comma) && self.cursor.at_ahead(1, Keyword::Xmlattributes);
        if attributes {
            self.cursor.advance();
            self.cursor.advance();
            self.parenthesized(Self::xml_attributes)?;
        }
        if self.cursor.eat_kind(TokenKind::Comma) { self.expression_list().map(drop) } else { Ok(()) }
    }

    /// `a [AS label], ...`
    fn xml_attributes(&mut self) -> Parsed<()> {
        self.list(|parser| {
            parser.expression()?;
            if parser.cursor.eat(Keyword::As) {
                parser.cursor.name(NamePosition::Label)?;
            }
            Ok(())
        })
    }

    /// `PASSING [BY REF|VALUE] x [BY REF|VALUE]`
    fn xml_passing(&mut self) -> Parsed<()> {
        self.cursor.expect(Keyword::Passing)?;
        self.xml_by()?;
        self.primary()?;
        self.xml_by()
    }

    fn xml_by(&mut self) -> Parsed<()> {
        if !self.cursor.eat(Keyword::By) || self.cursor.eat_any(&[Keyword::Ref, Keyword::Value]).is_some() {
            return Ok(());
        }
        self.cursor.refuse("REF or VALUE is expected")
    }

    /// `x, VERSION v|NO VALUE [, STANDALONE YES|NO [VALUE]]`
    fn xml_root(&mut self) -> Parsed<()> {
        self.expression()?;
        self.cursor.expect_kind(TokenKind::Comma, "a comma is expected")?;
        self.cursor.expect(Keyword::Version)?;
        if !self.cursor.eat_all(&[Keyword::No, Keyword::Value]) {
            self.expression()?;
        }
        if self.cursor.eat_kind(TokenKind::Comma) {
            self.cursor.expect(Keyword::Standalone)?;
            if !self.cursor.eat(Keyword::Yes) {
                self.cursor.expect(Keyword::No)?;
                self.cursor.eat(Keyword::Value);
            }
        }
        Ok(())
    }

    /// `XMLTABLE(...)`, behind the word.
    pub(super) fn xml_table(&mut self) -> Parsed<()> {
        self.parenthesized(|parser| {
            if parser.cursor.at(Keyword::Xmlnamespaces) {
                parser.cursor.advance();
                parser.parenthesized(|parser| parser.list(Self::xml_namespace))?;
                parser.cursor.expect_kind(TokenKind::Comma, "a comma is expected")?;
            }
            parser.primary()?;
            parser.xml_passing()?;
            parser.cursor.expect(Keyword::Columns)?;
            parser.list(Self::xml_column)
        })
    }

    fn xml_namespace(&mut self) -> Parsed<()> {
        if self.cursor.eat(Keyword::Default) {
            return self.basic_expression().map(drop);
        }
        self.basic_expression()?;
        self.cursor.expect(Keyword::As)?;
        self.cursor.name(NamePosition::Label).map(drop)
    }

    /// `name FOR ORDINALITY`, `name type [PATH x] [DEFAULT y] [NOT NULL]`
    fn xml_column(&mut self) -> Parsed<()> {
        self.cursor.name(NamePosition::Column)?;
        if self.cursor.eat_all(&[Keyword::For, Keyword::Ordinality]) {
            return Ok(());
        }
        self.type_name()?;
        loop {
            if self.cursor.eat(Keyword::Not) {
                self.cursor.expect(Keyword::Null)?;
            } else if self.cursor.eat(Keyword::Null) {
            } else if self.cursor.eat_any(&[Keyword::Default, Keyword::Path]).is_some() {
                self.basic_expression()?;
            } else {
                return Ok(());
            }
        }
    }
}
