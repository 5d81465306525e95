//! Tests that are words, and comparisons with any or all of several values: `BETWEEN`, `IN`, `LIKE`, `IS`, `= ANY`.

use super::expression::Form;
use super::primary::Parentheses;
use super::shape::{Against, Condition, Constant, Shape, Test, TestKind};
use super::{Parser, strength};
use crate::sql::cursor::Parsed;
use crate::sql::keyword::Keyword;
use crate::sql::token::TokenKind;

/// `IS NULL`, `IS NOT NULL`.
pub(super) fn null_test<'a>(left: &Shape<'a>, kind: TestKind) -> Shape<'a> {
    Shape::Condition(match left {
        Shape::Column(column) | Shape::Cast(column) => {
            Condition::Test(Test { column: *column, pure: true, kind, against: Against::Nothing })
        }
        _ => Condition::Opaque,
    })
}

impl<'a> Parser<'a> {
    /// `= ANY (...)`, `LIKE ALL (...)`.
    pub(super) fn quantified(
        &mut self,
        left: Shape<'a>,
        kind: Option<TestKind>,
        quantifier: Keyword,
    ) -> Parsed<Shape<'a>> {
        // A query in further parentheses, cast, is one array of unknown length.
        let array = self.cursor.keyword_at(1) == Some(Keyword::Array);
        let right = match self.parentheses()? {
            Parentheses::Query(query) => Shape::Query(query),
            Parentheses::Value(Shape::Query(_)) if !array => Shape::Opaque,
            Parentheses::Value(value) => value,
        };
        let (kind, is_none_of) = match (kind, quantifier) {
            (Some(TestKind::Unlike), Keyword::All) => (TestKind::Equal, true),
            (Some(kind), Keyword::Any | Keyword::Some) => (kind, false),
            // Any other ALL holds for every row where there is nothing to compare with.
            _ => return Ok(Shape::Condition(Condition::Opaque)),
        };
        let condition = match right {
            Shape::Query(query) if kind == TestKind::Equal => Condition::compare(left, kind, Shape::Query(query)),
            Shape::Array(items) => Condition::any_of(&left, kind, Some(items)),
            // What is in another array is not looked at.
            Shape::Constant(Constant::Parameter | Constant::External) => {
                Condition::any_of(&left, kind, Some(vec![Constant::External]))
            }
            Shape::Constant(_) => Condition::any_of(&left, kind, Some(vec![Constant::Computed])),
            _ => Condition::Opaque,
        };
        Ok(Shape::Condition(if is_none_of { condition.negated() } else { condition }))
    }

    /// `[NOT] BETWEEN`, `[NOT] IN`, `[NOT] LIKE`, `[NOT] ILIKE`, `[NOT] SIMILAR TO`.
    pub(super) fn membership(&mut self, left: Shape<'a>) -> Parsed<Shape<'a>> {
        let negated = self.cursor.eat(Keyword::Not);
        let Some(keyword) = self.cursor.keyword() else { return self.cursor.refuse("an operator is expected") };
        self.cursor.advance();
        let shape = match keyword {
            Keyword::Between => Shape::Condition(self.between(left)?),
            Keyword::In => Shape::Condition(self.in_list(left)?),
            Keyword::Like => self.pattern(left, if negated { "!~~" } else { "~~" }, "like_escape", TestKind::Like)?,
            Keyword::Ilike => {
                self.pattern(left, if negated { "!~~*" } else { "~~*" }, "like_escape", TestKind::Like)?
            }
            Keyword::Similar => {
                self.cursor.expect(Keyword::To)?;
                self.found.system_call("similar_to_escape");
                self.pattern(left, if negated { "!~" } else { "~" }, "similar_to_escape", TestKind::Like)?
            }
            _ => return self.cursor.refuse("an operator is expected"),
        };
        if keyword == Keyword::In {
            self.found.operator(if negated { "<>" } else { "=" });
        }
        Ok(if negated { Shape::Condition(shape.into_condition().negated()) } else { shape })
    }

    /// `IS ...`.
    pub(super) fn is_test(&mut self, left: Shape<'a>) -> Parsed<Shape<'a>> {
        self.cursor.advance();
        let negated = self.cursor.eat(Keyword::Not);
        let Some(keyword) = self.cursor.keyword() else {
            return self.cursor.refuse("NULL or another test is expected");
        };
        self.cursor.advance();
        let condition = match keyword {
            Keyword::Null | Keyword::Unknown => {
                let kind = if negated { TestKind::NotNull } else { TestKind::Null };
                return Ok(null_test(&left, kind));
            }
            Keyword::True => left.into_condition(),
            Keyword::False => left.into_condition().negated(),
            Keyword::Distinct => {
                self.cursor.expect(Keyword::From)?;
                self.found.operator("=");
                match self.right_side(strength::IS + 1, Form::Full)? {
                    // One without rows is NULL, and so may the column be.
                    Shape::Query(_) => Condition::Opaque,
                    right => Condition::compare(left, TestKind::Unlike, right),
                }
            }
            Keyword::Document => Condition::Opaque,
            Keyword::Normalized => self.is_normalized(),
            Keyword::Nfc | Keyword::Nfd | Keyword::Nfkc | Keyword::Nfkd => {
                self.cursor.expect(Keyword::Normalized)?;
                self.is_normalized()
            }
            Keyword::Json => {
                self.json_predicate();
                Condition::Opaque
            }
            _ => return self.cursor.refuse("NULL or another test is expected"),
        };
        Ok(Shape::Condition(if negated { condition.negated() } else { condition }))
    }

    fn between(&mut self, left: Shape<'a>) -> Parsed<Condition<'a>> {
        let either_order = self.cursor.eat_any(&[Keyword::Symmetric, Keyword::Asymmetric]) == Some(Keyword::Symmetric);
        for symbol in ["<", "<=", ">", ">="] {
            self.found.operator(symbol);
        }
        let low = self.basic_expression()?;
        self.cursor.expect(Keyword::And)?;
        let high = self.right_side(strength::LIKE + 1, Form::Full)?;
        if either_order {
            // Which of the two is the lower bound, only their values tell.
            return Ok(Condition::Opaque);
        }
        Ok(Condition::All(vec![
            Condition::compare(left.clone(), TestKind::Above, low),
            Condition::compare(left, TestKind::Below, high),
        ]))
    }

    fn in_list(&mut self, left: Shape<'a>) -> Parsed<Condition<'a>> {
        if self.cursor.kind() != Some(TokenKind::OpenParen) {
            return self.cursor.refuse("an opening parenthesis is expected");
        }
        Ok(match self.parentheses()? {
            Parentheses::Query(query) => Condition::compare(left, TestKind::Equal, Shape::Query(query)),
            // A row of several is a list here; one in parentheses of its own, `IN ((1, 2))`, is one too, which
            // only makes the answer more careful.
            Parentheses::Value(Shape::Row(list)) => Condition::one_of(left, &list),
            Parentheses::Value(only) => Condition::one_of(left, &[only]),
        })
    }

    fn pattern(&mut self, left: Shape<'a>, symbol: &str, escape: &str, kind: TestKind) -> Parsed<Shape<'a>> {
        self.found.operator(symbol);
        if let Some(quantifier) = self.cursor.eat_any(&[Keyword::Any, Keyword::Some, Keyword::All]) {
            return self.quantified(left, None, quantifier);
        }
        let right = self.right_side(strength::LIKE + 1, Form::Full)?;
        if !self.cursor.eat(Keyword::Escape) {
            return Ok(Shape::Condition(Condition::compare(left, kind, right)));
        }
        self.found.system_call(escape);
        self.right_side(strength::LIKE + 1, Form::Full)?;
        Ok(Shape::Condition(Condition::Opaque))
    }

    fn is_normalized(&mut self) -> Condition<'a> {
        self.found.system_call("is_normalized");
        Condition::Opaque
    }

    /// `IS JSON [VALUE|ARRAY|OBJECT|SCALAR] [WITH|WITHOUT UNIQUE [KEYS]]`
    fn json_predicate(&mut self) {
        self.cursor.eat_any(&[Keyword::Value, Keyword::Array, Keyword::Object, Keyword::Scalar]);
        self.json_unique_keys();
    }
}
