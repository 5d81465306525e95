//! Expressions: `a_expr`, `b_expr` and `c_expr` of the grammar; here the operators and what stands between them.

use super::extent::derived;
use super::predicate::null_test;
use super::shape::{Condition, Constant, Shape, TestKind};
use super::{Parser, strength};
use crate::sql::cursor::{NamePosition, Parsed};
use crate::sql::keyword::Keyword;
use crate::sql::statement::Name;
use crate::sql::token::TokenKind;

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
    pub(super) fn operand(&mut self, form: Form) -> Parsed<Shape<'a>> {
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

    /// An operand that binds at least so strong.
    pub(super) fn right_side(&mut self, least: u8, form: Form) -> Parsed<Shape<'a>> {
        self.nested(|parser| {
            let first = parser.operand(form)?;
            parser.continue_expression(first, least, form)
        })
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
                Some(Infix::Symbol { symbol, strength: strength::of_symbol(symbol) })
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
}

impl Infix<'_> {
    const fn strength(&self) -> u8 {
        match self {
            Self::Symbol { strength, .. } | Self::Word { strength, .. } => *strength,
            Self::Cast => strength::CAST,
        }
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
