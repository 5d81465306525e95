//! Expressions: `a_expr`, `b_expr` and `c_expr` of the grammar.

use super::Parser;
use super::extent::derived;
use super::shape::{Column, Condition, Constant, QueryShape, Shape, TestKind};
use crate::sql::cursor::{NamePosition, Parsed};
use crate::sql::keyword::{Category, Keyword};
use crate::sql::statement::Name;
use crate::sql::token::TokenKind;

/// Binding strengths, weakest first, as `gram.y` declares them.
mod strength {
    pub(super) const ANY: u8 = 0;
    pub(super) const OR: u8 = 1;
    pub(super) const AND: u8 = 2;
    pub(super) const NOT: u8 = 3;
    pub(super) const IS: u8 = 4;
    pub(super) const COMPARISON: u8 = 5;
    pub(super) const LIKE: u8 = 6;
    pub(super) const OPERATOR: u8 = 7;
    pub(super) const SUM: u8 = 8;
    pub(super) const PRODUCT: u8 = 9;
    pub(super) const POWER: u8 = 10;
    pub(super) const AT: u8 = 11;
    pub(super) const COLLATE: u8 = 12;
    pub(super) const SIGN: u8 = 13;
    pub(super) const CAST: u8 = 14;
}

/// Which expressions may stand in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// All: `a_expr`.
    Full,
    /// Without AND, OR, NOT, IN, LIKE, BETWEEN, IS NULL: `b_expr`.
    Basic,
}

/// What an operator that stands between two expressions is.
enum Infix<'a> {
    /// A symbol, or `OPERATOR(schema.symbol)`.
    Symbol {
        symbol: &'a str,
        strength: u8,
    },
    /// A word.
    Word {
        keyword: Keyword,
        strength: u8,
    },
    Cast,
}

/// What stands between parentheses.
pub(super) enum Parentheses<'a> {
    Query(QueryShape<'a>),
    Value(Shape<'a>),
}

impl<'a> Parser<'a> {
    /// Any expression.
    pub(in crate::sql) fn expression(&mut self) -> Parsed<Shape<'a>> {
        self.nested(|parser| {
            let first = parser.operand(Form::Full)?;
            parser.continue_expression(first, strength::ANY, Form::Full)
        })
    }

    /// An expression that stops before IN, AND and their like: `b_expr`.
    pub(in crate::sql) fn basic_expression(&mut self) -> Parsed<Shape<'a>> {
        self.nested(|parser| {
            let first = parser.operand(Form::Basic)?;
            parser.continue_expression(first, strength::ANY, Form::Basic)
        })
    }

    /// `a, b, ...`
    pub(super) fn expression_list(&mut self) -> Parsed<Vec<Shape<'a>>> {
        let mut shapes = Vec::new();
        self.list(|parser| {
            let item = parser.expression()?;
            remember(&mut shapes, item);
            Ok(())
        })?;
        Ok(shapes)
    }

    /// An operand that binds at least so strong.
    fn right_side(&mut self, least: u8, form: Form) -> Parsed<Shape<'a>> {
        self.nested(|parser| {
            let first = parser.operand(form)?;
            parser.continue_expression(first, least, form)
        })
    }

    /// Goes on with the operators behind an operand.
    pub(super) fn continue_expression(&mut self, first: Shape<'a>, least: u8, form: Form) -> Parsed<Shape<'a>> {
        let mut left = first;
        while let Some(infix) = self.infix(form) {
            let strength = infix.strength();
            if strength < least {
                break;
            }
            left = match infix {
                Infix::Cast => {
                    self.cursor.advance();
                    let to = self.type_name()?;
                    left.cast(to.as_deref())
                }
                Infix::Symbol { symbol, strength } => self.symbol_infix(left, symbol, strength, form)?,
                Infix::Word { keyword: Keyword::And, .. } => self.chain(left, Keyword::And, strength::NOT, form)?,
                Infix::Word { keyword: Keyword::Or, .. } => self.chain(left, Keyword::Or, strength::AND, form)?,
                Infix::Word { keyword, .. } => self.word_infix(left, keyword, form)?,
            };
        }
        Ok(left)
    }

    /// `a AND b AND c`: one level, however many.
    fn chain(&mut self, first: Shape<'a>, keyword: Keyword, least: u8, form: Form) -> Parsed<Shape<'a>> {
        let mut parts = vec![first.into_condition()];
        while self.cursor.eat(keyword) {
            parts.push(self.right_side(least, form)?.into_condition());
        }
        Ok(Shape::Condition(if keyword == Keyword::And { Condition::All(parts) } else { Condition::Any(parts) }))
    }

    /// The operator that is next, if one is.
    fn infix(&self, form: Form) -> Option<Infix<'a>> {
        match self.cursor.kind()? {
            TokenKind::Cast => Some(Infix::Cast),
            TokenKind::Operator => {
                let symbol = self.cursor.text();
                Some(Infix::Symbol { symbol, strength: symbol_strength(symbol) })
            }
            TokenKind::Word => self.word_infix_ahead(form),
            _ => None,
        }
    }

    fn word_infix_ahead(&self, form: Form) -> Option<Infix<'a>> {
        let keyword = self.cursor.keyword()?;
        let next = self.cursor.keyword_at(1);
        let strength = match keyword {
            Keyword::Operator if self.cursor.kind_at(1) == Some(TokenKind::OpenParen) => strength::OPERATOR,
            Keyword::Is if form == Form::Full || self.basic_is() => strength::IS,
            _ if form == Form::Basic => return None,
            Keyword::And => strength::AND,
            Keyword::Or => strength::OR,
            Keyword::Isnull | Keyword::Notnull => strength::IS,
            Keyword::Between | Keyword::In | Keyword::Like | Keyword::Ilike => strength::LIKE,
            Keyword::Similar if next == Some(Keyword::To) => strength::LIKE,
            Keyword::Not => match next {
                Some(Keyword::Between | Keyword::In | Keyword::Like | Keyword::Ilike | Keyword::Similar) => {
                    strength::LIKE
                }
                _ => return None,
            },
            Keyword::At if matches!(next, Some(Keyword::Time | Keyword::Local)) => strength::AT,
            Keyword::Collate => strength::COLLATE,
            Keyword::Overlaps => strength::OPERATOR,
            _ => return None,
        };
        Some(Infix::Word { keyword, strength })
    }

    /// `IS [NOT] DISTINCT FROM`, `IS [NOT] DOCUMENT`: what `b_expr` has of IS.
    fn basic_is(&self) -> bool {
        let ahead = if self.cursor.at_ahead(1, Keyword::Not) { 2 } else { 1 };
        matches!(self.cursor.keyword_at(ahead), Some(Keyword::Distinct | Keyword::Document))
    }

    /// An operator symbol and its right side, with ANY and ALL.
    fn symbol_infix(&mut self, left: Shape<'a>, symbol: &'a str, least: u8, form: Form) -> Parsed<Shape<'a>> {
        self.cursor.advance();
        self.found.operator(symbol);
        if let Some(quantifier) = self.cursor.eat_any(&[Keyword::Any, Keyword::Some, Keyword::All]) {
            return self.quantified(left, TestKind::of_operator(symbol), quantifier);
        }
        let right = self.right_side(least + 1, form)?;
        Ok(operation(left, symbol, right))
    }

    /// `= ANY (...)`, `LIKE ALL (...)`.
    fn quantified(&mut self, left: Shape<'a>, kind: Option<TestKind>, quantifier: Keyword) -> Parsed<Shape<'a>> {
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

    fn word_infix(&mut self, left: Shape<'a>, keyword: Keyword, form: Form) -> Parsed<Shape<'a>> {
        match keyword {
            Keyword::Operator => {
                let symbol = self.qualified_operator()?;
                if let Some(quantifier) = self.cursor.eat_any(&[Keyword::Any, Keyword::Some, Keyword::All]) {
                    return self.quantified(left, None, quantifier);
                }
                let right = self.right_side(strength::OPERATOR + 1, form)?;
                Ok(operation(left, symbol, right))
            }
            Keyword::Is => self.is_test(left),
            Keyword::Isnull => {
                self.cursor.advance();
                Ok(null_test(&left, TestKind::Null))
            }
            Keyword::Notnull => {
                self.cursor.advance();
                Ok(null_test(&left, TestKind::NotNull))
            }
            Keyword::At => self.at_time_zone(left),
            Keyword::Collate => {
                self.cursor.advance();
                self.qualified_name(NamePosition::Column)?;
                Ok(left)
            }
            Keyword::Overlaps => {
                self.cursor.advance();
                self.found.system_call("overlaps");
                self.right_side(strength::OPERATOR + 1, form)?;
                Ok(Shape::Opaque)
            }
            _ => self.membership(left),
        }
    }

    /// `[NOT] BETWEEN`, `[NOT] IN`, `[NOT] LIKE`, `[NOT] ILIKE`, `[NOT] SIMILAR TO`.
    fn membership(&mut self, left: Shape<'a>) -> Parsed<Shape<'a>> {
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

    /// `IS ...`.
    fn is_test(&mut self, left: Shape<'a>) -> Parsed<Shape<'a>> {
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

    fn is_normalized(&mut self) -> Condition<'a> {
        self.found.system_call("is_normalized");
        Condition::Opaque
    }

    /// `IS JSON [VALUE|ARRAY|OBJECT|SCALAR] [WITH|WITHOUT UNIQUE [KEYS]]`
    fn json_predicate(&mut self) {
        self.cursor.eat_any(&[Keyword::Value, Keyword::Array, Keyword::Object, Keyword::Scalar]);
        self.json_unique_keys();
    }

    fn at_time_zone(&mut self, left: Shape<'a>) -> Parsed<Shape<'a>> {
        self.cursor.advance();
        self.found.system_call("timezone");
        if self.cursor.eat(Keyword::Local) {
            return Ok(derived(std::slice::from_ref(&left)).or_clock(&[left]));
        }
        self.cursor.expect(Keyword::Time)?;
        self.cursor.expect(Keyword::Zone)?;
        let zone = self.right_side(strength::AT + 1, Form::Full)?;
        let arguments = [left, zone];
        Ok(derived(&arguments).or_clock(&arguments))
    }

    /// `OPERATOR(schema.symbol)`; returns the symbol.
    pub(in crate::sql) fn qualified_operator(&mut self) -> Parsed<&'a str> {
        self.cursor.expect(Keyword::Operator)?;
        self.cursor.open()?;
        let symbol = self.any_operator()?;
        self.cursor.close()?;
        Ok(symbol)
    }

    /// `schema.symbol` or `symbol`.
    pub(in crate::sql) fn any_operator(&mut self) -> Parsed<&'a str> {
        let mut schema = None;
        while self.cursor.at_name(NamePosition::Column) {
            schema = self.cursor.eat_name(NamePosition::Column);
            self.cursor.expect_kind(TokenKind::Dot, "a dot is expected")?;
        }
        let symbol = self.cursor.text();
        self.cursor.expect_kind(TokenKind::Operator, "an operator is expected")?;
        self.found.operators.push(Name { schema: schema.map(str::to_owned), name: symbol.to_owned() });
        Ok(symbol)
    }

    /// An operand with the signs and NOTs before it.
    fn operand(&mut self, form: Form) -> Parsed<Shape<'a>> {
        match self.cursor.kind() {
            Some(TokenKind::Operator) => {
                let symbol = self.cursor.text();
                self.cursor.advance();
                self.found.operator(symbol);
                let least = if matches!(symbol, "+" | "-") { strength::SIGN } else { strength::OPERATOR };
                let inner = self.right_side(least, form)?;
                Ok(match symbol {
                    "-" => inner.negative(),
                    "+" => inner,
                    _ => Shape::computed(&[inner]),
                })
            }
            Some(TokenKind::Word) if self.cursor.at(Keyword::Not) && form == Form::Full => self.negation(),
            Some(TokenKind::Word)
                if self.cursor.at(Keyword::Operator) && self.cursor.kind_at(1) == Some(TokenKind::OpenParen) =>
            {
                self.qualified_operator()?;
                self.right_side(strength::OPERATOR, form)?;
                Ok(Shape::Opaque)
            }
            _ => self.primary(),
        }
    }

    /// `NOT NOT ... x`
    fn negation(&mut self) -> Parsed<Shape<'a>> {
        let mut negated = false;
        while self.cursor.eat(Keyword::Not) {
            negated = !negated;
        }
        let condition = self.right_side(strength::NOT, Form::Full)?.into_condition();
        Ok(Shape::Condition(if negated { condition.negated() } else { condition }))
    }

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

    /// `(a)`, `(a, b)`, `(SELECT ...)`, however many parentheses: which of them it is shows only inside.
    pub(super) fn parentheses(&mut self) -> Parsed<Parentheses<'a>> {
        let stars = self.named.stars();
        let result = self.parentheses_of_any();
        self.named.is_value_since(stars);
        result
    }

    /// The same where what a query returns is not looked at.
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

impl Infix<'_> {
    const fn strength(&self) -> u8 {
        match self {
            Self::Symbol { strength, .. } | Self::Word { strength, .. } => *strength,
            Self::Cast => strength::CAST,
        }
    }
}

fn symbol_strength(symbol: &str) -> u8 {
    match symbol {
        "<" | ">" | "=" | "<=" | ">=" | "<>" => strength::COMPARISON,
        "+" | "-" => strength::SUM,
        "*" | "/" | "%" => strength::PRODUCT,
        "^" => strength::POWER,
        _ => strength::OPERATOR,
    }
}

/// What `left symbol right` is.
fn operation<'a>(left: Shape<'a>, symbol: &str, right: Shape<'a>) -> Shape<'a> {
    // Only equal to one value: an array may have any number of them in it.
    let (left, right) = if symbol == "=" { (left.single(), right.single()) } else { (left, right) };
    if let Some(kind) = TestKind::of_operator(symbol) {
        return Shape::Condition(Condition::compare(left, kind, right));
    }
    match (symbol, &left) {
        ("->" | "->>" | "#>" | "#>>", Shape::Column(column) | Shape::Cast(column) | Shape::Derived(column))
            if right.is_constant() =>
        {
            Shape::Derived(*column)
        }
        _ => Shape::sum(left, symbol, right),
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

fn null_test<'a>(left: &Shape<'a>, kind: TestKind) -> Shape<'a> {
    use super::shape::{Against, Test};
    Shape::Condition(match left {
        Shape::Column(column) | Shape::Cast(column) => {
            Condition::Test(Test { column: *column, pure: true, kind, against: Against::Nothing })
        }
        _ => Condition::Opaque,
    })
}

/// Adds an item to a list. In a long one the last stands for all that follow: a million numbers are no more to know
/// than a thousand.
pub(super) fn remember<'a>(list: &mut Vec<Shape<'a>>, item: Shape<'a>) {
    const LONG: usize = 1_000;
    if list.len() < LONG {
        return list.push(item);
    }
    if let Some(last) = list.last_mut() {
        let plain =
            |shape: &Shape<'a>| matches!(shape, Shape::Constant(constant) if !matches!(constant, Constant::Word(_)));
        *last = if plain(last) && plain(&item) { Shape::Constant(Constant::Computed) } else { Shape::Opaque };
    }
}

/// The schema and name of a dotted name.
pub(super) fn last_two(parts: &[&str]) -> Name {
    match parts {
        [.., schema, name] => Name { schema: Some((*schema).to_owned()), name: (*name).to_owned() },
        [name] => Name { schema: None, name: (*name).to_owned() },
        [] => Name { schema: None, name: String::new() },
    }
}
