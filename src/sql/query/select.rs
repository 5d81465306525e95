//! SELECT, VALUES, TABLE and their set operations.

use std::collections::HashSet;

use super::Parser;
use super::extent::query_shape;
use super::from::FromClause;
use super::scope::Columns;
use super::shape::{Constant, Exposed, QueryShape, Relation, Shape};
use super::with::CommonTable;
use crate::sql::cursor::{NamePosition, Parsed};
use crate::sql::effect::{Action, Effect, Object, ObjectKind};
use crate::sql::keyword::Keyword;
use crate::sql::statement::SessionChange;
use crate::sql::token::TokenKind;

/// More rows than these are no limit that protects anything.
const LARGE_LIMIT: u64 = 10_000;

/// One operand of a set operation.
#[derive(Default)]
struct Operand<'a> {
    shape: QueryShape<'a>,
    /// Its relations by alias, for row locks.
    relations: Vec<(&'a str, Relation<'a>)>,
    /// What its own columns may be qualified with.
    aliases: HashSet<&'a str>,
}

impl<'a> Parser<'a> {
    /// `[WITH ...] query`, or the INSERT, UPDATE, DELETE or MERGE that a WITH may stand before; its command.
    pub(in crate::sql) fn query_or_change_statement(&mut self) -> Parsed<&'static str> {
        self.named.statement();
        self.query_or_change().map(|(command, _)| command)
    }

    /// The same, with what it returns.
    pub(super) fn query_or_change(&mut self) -> Parsed<(&'static str, QueryShape<'a>)> {
        let is_main = self.named.takes_main();
        self.nested(|parser| {
            let outside = parser.with_clause()?;
            parser.named.query(is_main, parser.cursor.position());
            let command = match parser.cursor.keyword() {
                Some(Keyword::Insert) => "INSERT",
                Some(Keyword::Update) => "UPDATE",
                Some(Keyword::Delete) => "DELETE",
                Some(Keyword::Merge) => "MERGE",
                _ => "SELECT",
            };
            let shape = if command == "SELECT" { parser.query_without_with()? } else { parser.change()? };
            parser.leave_with(outside);
            Ok((command, shape))
        })
    }

    /// `[WITH ...] query`
    pub(super) fn query_body(&mut self) -> Parsed<QueryShape<'a>> {
        self.nested(|parser| {
            let outside = parser.with_clause()?;
            let shape = parser.query_without_with()?;
            parser.leave_with(outside);
            Ok(shape)
        })
    }

    /// Whether what follows belongs to a query that stands in parentheses before it.
    pub(super) fn at_query_continuation(&self) -> bool {
        self.cursor.at_any(&[
            Keyword::Except,
            Keyword::Fetch,
            Keyword::For,
            Keyword::Intersect,
            Keyword::Limit,
            Keyword::Offset,
            Keyword::Order,
            Keyword::Union,
        ])
    }

    fn query_without_with(&mut self) -> Parsed<QueryShape<'a>> {
        let seen = self.columns.len();
        let first = self.query_operand()?;
        self.set_operations_and_tail(first, seen)
    }

    /// The set operations, ORDER BY, LIMIT behind a query that was in parentheses.
    pub(super) fn continue_query(&mut self, first: QueryShape<'a>) -> Parsed<QueryShape<'a>> {
        let seen = self.columns.len();
        self.set_operations_and_tail(Operand { shape: first, ..Operand::default() }, seen)
    }

    /// `seen`: where the query's columns begin.
    fn set_operations_and_tail(&mut self, first: Operand<'a>, seen: usize) -> Parsed<QueryShape<'a>> {
        let Operand { mut shape, relations, aliases } = first;
        while self.cursor.eat_any(&[Keyword::Union, Keyword::Intersect, Keyword::Except]).is_some() {
            self.cursor.eat_any(&[Keyword::All, Keyword::Distinct]);
            self.named.unites();
            let other = self.query_operand()?.shape;
            // Two queries may have a row for all together, as two alternatives may.
            shape.bounds.clear();
            shape = QueryShape {
                exposes: shape.exposes.and(&other.exposes),
                outer: shape.outer || other.outer,
                reaches_out: shape.reaches_out || other.reaches_out,
                calls: shape.calls || other.calls,
                grounds: shape.grounds.and(&other.grounds),
                ..shape
            };
        }
        let start = self.cursor.position();
        let limited = self.query_tail(&relations)?;
        self.forget_columns_of(&aliases, seen);
        shape.reaches_out |= self.columns.iter().skip(seen).any(Option::is_some);
        if self.cursor.has_kind_since(start, TokenKind::OpenParen) {
            // An aggregate in ORDER BY.
            shape.bounds.clear();
        }
        // A limit on a query that is asked anew for each row around it limits those rows by nothing, and one on rows that
        // hold many in an array nothing either.
        if limited && !shape.reaches_out && !shape.calls {
            shape.exposes = shape.exposes.limited();
        }
        Ok(shape)
    }

    /// Leaves of the columns since `seen` those that are not qualified with one of these: those of the queries around.
    fn forget_columns_of(&mut self, aliases: &HashSet<&'a str>, seen: usize) {
        if aliases.is_empty() {
            return;
        }
        let since = self.columns.split_off(seen);
        let own = |qualifier: &Option<&str>| qualifier.is_some_and(|qualifier| aliases.contains(qualifier));
        self.columns.extend(since.into_iter().filter(|qualifier| !own(qualifier)));
    }

    fn query_operand(&mut self) -> Parsed<Operand<'a>> {
        use super::primary::Parentheses;
        if self.cursor.at_kind(TokenKind::OpenParen) {
            return match self.parentheses()? {
                Parentheses::Query(shape) => Ok(Operand { shape, ..Operand::default() }),
                Parentheses::Value(_) => self.cursor.refuse("a query is expected"),
            };
        }
        match self.cursor.keyword() {
            Some(Keyword::Select) => self.nested(Self::select),
            Some(Keyword::Values) => {
                self.cursor.advance();
                let seen = self.columns.len();
                self.list(|parser| parser.values_row())?;
                let returns = Columns::of_values();
                let shape = QueryShape { outer: self.columns.len() > seen, returns, ..QueryShape::default() };
                Ok(Operand { shape, ..Operand::default() })
            }
            Some(Keyword::Table) => {
                self.cursor.advance();
                let relation = self.relation_expression()?;
                self.named.star();
                let CommonTable { exposes, grounds, columns } = self.read(relation);
                let shape = QueryShape { exposes, grounds, returns: columns, ..QueryShape::default() };
                Ok(Operand { shape, ..Operand::default() })
            }
            _ => self.cursor.refuse("a query is expected"),
        }
    }

    /// `(a, DEFAULT, ...)`
    pub(super) fn values_row(&mut self) -> Parsed<()> {
        self.parenthesized(|parser| parser.list(Self::expression_or_default))
    }

    /// `DEFAULT`, or an expression.
    pub(super) fn expression_or_default(&mut self) -> Parsed<()> {
        if self.cursor.eat(Keyword::Default) { Ok(()) } else { self.expression().map(drop) }
    }

    fn select(&mut self) -> Parsed<Operand<'a>> {
        let is_main = self.named.is_main(self.cursor.position());
        self.cursor.expect(Keyword::Select)?;
        let (start, seen) = (self.cursor.position(), self.columns.len());
        let (calls, generators) = (self.calls, self.generators);
        if self.judges {
            self.scopes.enter();
        }
        if self.cursor.eat(Keyword::Distinct) {
            if self.cursor.eat(Keyword::On) {
                self.parenthesized(Self::expression_list)?;
            }
        } else {
            self.cursor.eat(Keyword::All);
        }
        let returns = if self.at_end_of_targets() { Columns::Unknown } else { self.target_list(is_main)? };
        let may_aggregate = self.cursor.has_kind_since(start, TokenKind::OpenParen);
        self.calls += usize::from(may_aggregate);
        let generates = self.generators > generators;
        if self.cursor.eat(Keyword::Into) {
            self.table_of_into()?;
        }
        let mut from = if self.cursor.eat(Keyword::From) { self.list_of_from()? } else { FromClause::default() };
        let calls = self.calls > calls;
        if self.cursor.eat(Keyword::Where) {
            let condition = self.expression()?.into_condition();
            from.conditions.push(condition);
        }
        let may_be_of_no_row = self.group_having_window(may_aggregate)?;
        let mut operand = self.finish_select(from, seen, may_be_of_no_row);
        operand.shape.calls = calls;
        operand.shape.returns = returns;
        if generates {
            operand.shape.exposes = operand.shape.exposes.and(&Exposed::generated());
        }
        Ok(operand)
    }

    /// `may_be_of_no_row`: it may have a row also where its sources have none.
    fn finish_select(&mut self, from: FromClause<'a>, seen: usize, may_be_of_no_row: bool) -> Operand<'a> {
        let FromClause { sources, relations, conditions, links } = from;
        if !self.judges {
            return Operand { relations, ..Operand::default() };
        }
        let aliases = sources.iter().map(|source| source.alias).collect();
        self.forget_columns_of(&aliases, seen);
        let mut around = Vec::new();
        if !may_be_of_no_row {
            let left: HashSet<&str> = self.columns.iter().skip(seen).flatten().copied().collect();
            around.extend(left);
        }
        let conditions: Vec<_> = conditions.iter().collect();
        let own = self.scopes.leave(&sources);
        let shape = query_shape(sources, &links, &conditions, around, own, &mut self.literals());
        Operand { shape, relations, aliases }
    }

    /// Whether the list of what is selected is at its end; it may be empty.
    fn at_end_of_targets(&self) -> bool {
        self.cursor.at_end()
            || self.cursor.at_kind(TokenKind::CloseParen)
            || self.at_query_continuation()
            || self.cursor.at_any(&[
                Keyword::From,
                Keyword::Group,
                Keyword::Having,
                Keyword::Into,
                Keyword::Where,
                Keyword::Window,
            ])
    }

    /// `a [AS label], *, ...`; the names of what that returns, unless the server gives one of them. `is_main`: it is what
    /// the statement returns.
    pub(super) fn target_list(&mut self, is_main: bool) -> Parsed<Columns<'a>> {
        let mut names = Some(HashSet::new());
        self.list(|parser| {
            match (parser.target(is_main)?, &mut names) {
                (Some(name), Some(names)) if parser.judges => {
                    names.insert(name);
                }
                _ => names = None,
            }
            Ok(())
        })?;
        Ok(names.map_or(Columns::Unknown, |names| Columns::Listed(names.into())))
    }

    /// `a [AS label]`, `*`; the name of that.
    fn target(&mut self, is_main: bool) -> Parsed<Option<&'a str>> {
        if self.cursor.eat_operator("*") {
            self.named.star();
            return Ok(None);
        }
        let (start, seen) = (self.cursor.position(), self.named.seen());
        if self.at_qualified_star() {
            self.named.star();
            let mut qualifier = None;
            while !self.cursor.eat_operator("*") {
                qualifier = Some(self.cursor.name(NamePosition::Label)?);
                self.cursor.expect_kind(TokenKind::Dot, "a dot is expected")?;
            }
            self.columns.push(qualifier);
            return Ok(None);
        }
        let value = self.expression()?;
        // The name alone, with or without qualifiers.
        let is_name = matches!(value, Shape::Column(_)) && (self.cursor.position() - start) % 2 == 1;
        if is_main && is_name && !self.cursor.has_kind_since(start, TokenKind::OpenParen) {
            self.named.returned_since(seen);
        }
        if self.cursor.eat(Keyword::As) {
            return self.cursor.name(NamePosition::Label).map(Some);
        }
        let label = self.cursor.eat_name(NamePosition::BareLabel);
        Ok(match value {
            Shape::Column(column) if label.is_none() => Some(column.name),
            _ => label,
        })
    }

    /// Whether `name.*` stands here as all of an item.
    fn at_qualified_star(&self) -> bool {
        let mut ahead = 0;
        if !self.cursor.at_name(NamePosition::Column) {
            return false;
        }
        while self.cursor.kind_at(ahead + 1) == Some(TokenKind::Dot) {
            ahead += 2;
        }
        let star =
            ahead > 0 && self.cursor.kind_at(ahead) == Some(TokenKind::Operator) && self.cursor.text_at(ahead) == "*";
        let ends = matches!(self.cursor.kind_at(ahead + 1), None | Some(TokenKind::Comma | TokenKind::CloseParen))
            || matches!(self.cursor.keyword_at(ahead + 1), Some(Keyword::From | Keyword::Into | Keyword::Where));
        star && ends
    }

    /// `INTO [TEMPORARY] [TABLE] name`: a table is made.
    fn table_of_into(&mut self) -> Parsed<()> {
        self.cursor.eat_any(&[Keyword::Local, Keyword::Global]);
        let mut temporary = self.cursor.eat_any(&[Keyword::Temporary, Keyword::Temp]).is_some();
        if !temporary {
            self.cursor.eat(Keyword::Unlogged);
        }
        self.cursor.eat(Keyword::Table);
        let relation = self.qualified_name(NamePosition::Column)?;
        temporary |= relation.schema == Some("pg_temp");
        let mut effect = Effect::new(Action::Create, relation.to_object(ObjectKind::Table));
        if temporary {
            effect = effect.temporary();
            self.found
                .session
                .push(SessionChange::CreateTemporary { name: relation.name.to_owned(), may_exist: false });
        }
        self.found.effect_because(effect, format!("SELECT INTO makes the table {}", relation.display()));
        Ok(())
    }

    /// Whether the query may have a row where its sources have none: as one with an aggregate, which any call may be, or
    /// HAVING but no group has, or one with `()` among its groups.
    fn group_having_window(&mut self, may_aggregate: bool) -> Parsed<bool> {
        let start = self.cursor.position();
        let mut may_be_of_no_row = may_aggregate;
        if self.cursor.eat_all(&[Keyword::Group, Keyword::By]) {
            self.cursor.eat_any(&[Keyword::All, Keyword::Distinct]);
            self.naming_what_is_returned(|parser| parser.list(Self::grouping_item))?;
            may_be_of_no_row = self.cursor.has_kind_since(start, TokenKind::OpenParen);
        } else {
            may_be_of_no_row |= self.cursor.at_any(&[Keyword::Having, Keyword::Window]);
        }
        if self.cursor.eat(Keyword::Having) {
            self.expression()?;
        }
        if self.cursor.eat(Keyword::Window) {
            self.list(|parser| {
                parser.cursor.name(NamePosition::Column)?;
                parser.cursor.expect(Keyword::As)?;
                parser.nested(Self::window_specification)
            })?;
        }
        Ok(may_be_of_no_row)
    }

    /// What stands behind GROUP BY and ORDER BY.
    fn naming_what_is_returned(&mut self, inside: impl FnOnce(&mut Self) -> Parsed<()>) -> Parsed<()> {
        let before = self.scopes.mute();
        let result = inside(self);
        self.scopes.unmute(before);
        result
    }

    /// An expression, `()`, `ROLLUP (...)`, `CUBE (...)`, `GROUPING SETS (...)`
    fn grouping_item(&mut self) -> Parsed<()> {
        self.nested(|parser| {
            if parser.cursor.at_kind(TokenKind::OpenParen) && parser.cursor.kind_at(1) == Some(TokenKind::CloseParen) {
                parser.cursor.advance();
                parser.cursor.advance();
                return Ok(());
            }
            let call = parser.cursor.kind_at(1) == Some(TokenKind::OpenParen);
            if call && parser.cursor.eat_any(&[Keyword::Rollup, Keyword::Cube]).is_some() {
                return parser.parenthesized(Self::expression_list).map(drop);
            }
            if parser.cursor.eat_all(&[Keyword::Grouping, Keyword::Sets]) {
                return parser.parenthesized(|parser| parser.list(Self::grouping_item));
            }
            parser.expression().map(drop)
        })
    }

    /// `ORDER BY ...` if it stands here.
    pub(super) fn order_by(&mut self) -> Parsed<()> {
        if !self.cursor.eat(Keyword::Order) {
            return Ok(());
        }
        self.cursor.expect(Keyword::By)?;
        self.list(|parser| {
            parser.expression()?;
            if parser.cursor.eat(Keyword::Using) {
                if parser.cursor.at(Keyword::Operator) {
                    parser.qualified_operator()?;
                } else {
                    parser.any_operator()?;
                }
            } else {
                parser.cursor.eat_any(&[Keyword::Asc, Keyword::Desc]);
            }
            if parser.cursor.eat(Keyword::Nulls) && parser.cursor.eat_any(&[Keyword::First, Keyword::Last]).is_none() {
                return parser.cursor.refuse("FIRST or LAST is expected");
            }
            Ok(())
        })
    }

    /// ORDER BY, LIMIT, OFFSET, FETCH and row locks, in any order; whether the rows are limited.
    fn query_tail(&mut self, relations: &[(&'a str, Relation<'a>)]) -> Parsed<bool> {
        let mut limited = false;
        self.naming_what_is_returned(Self::order_by)?;
        loop {
            if self.cursor.eat(Keyword::Limit) {
                if !self.cursor.eat(Keyword::All) {
                    let limit = self.expression()?;
                    limited |= self.is_small_limit(&limit);
                }
            } else if self.cursor.eat(Keyword::Offset) {
                self.expression()?;
                self.cursor.eat_any(&[Keyword::Row, Keyword::Rows]);
            } else if self.cursor.eat(Keyword::Fetch) {
                limited |= self.fetch_first()?;
            } else if self.cursor.at(Keyword::For) {
                self.row_lock(relations)?;
            } else {
                return Ok(limited);
            }
        }
    }

    fn is_small_limit(&mut self, limit: &Shape<'a>) -> bool {
        match limit {
            Shape::Constant(Constant::Parameter) => true,
            Shape::Constant(Constant::Literal { token, .. }) => {
                self.found.depends_on_literals = true;
                self.cursor.text_of(*token).parse::<u64>().is_ok_and(|rows| rows <= LARGE_LIMIT)
            }
            _ => false,
        }
    }

    /// `FIRST [n] ROWS ONLY`
    fn fetch_first(&mut self) -> Parsed<bool> {
        if self.cursor.eat_any(&[Keyword::First, Keyword::Next]).is_none() {
            return self.cursor.refuse("FIRST or NEXT is expected");
        }
        let mut limited = true;
        if !self.cursor.at_any(&[Keyword::Row, Keyword::Rows]) {
            let limit = if self.cursor.at_kind(TokenKind::Operator) { self.expression()? } else { self.primary()? };
            limited = self.is_small_limit(&limit);
        }
        if self.cursor.eat_any(&[Keyword::Row, Keyword::Rows]).is_none() {
            return self.cursor.refuse("ROWS is expected");
        }
        if self.cursor.eat(Keyword::With) {
            self.cursor.expect(Keyword::Ties)?;
            // All rows may tie.
            limited = false;
        } else {
            self.cursor.expect(Keyword::Only)?;
        }
        Ok(limited)
    }

    /// `FOR UPDATE|NO KEY UPDATE|SHARE|KEY SHARE [OF name, ...] [NOWAIT|SKIP LOCKED]`, `FOR READ ONLY`
    fn row_lock(&mut self, relations: &[(&'a str, Relation<'a>)]) -> Parsed<()> {
        self.cursor.expect(Keyword::For)?;
        if self.cursor.eat_all(&[Keyword::Read, Keyword::Only]) {
            return Ok(());
        }
        let known = self.cursor.eat_all(&[Keyword::No, Keyword::Key, Keyword::Update])
            || self.cursor.eat_all(&[Keyword::Key, Keyword::Share])
            || self.cursor.eat_any(&[Keyword::Update, Keyword::Share]).is_some();
        if !known {
            return self.cursor.refuse("UPDATE or SHARE is expected");
        }
        let mut locked = relations.to_vec();
        if self.cursor.eat(Keyword::Of) {
            let mut named = HashSet::new();
            self.list(|parser| {
                named.insert(parser.qualified_name(NamePosition::Column)?.name);
                Ok(())
            })?;
            locked.retain(|(alias, _)| named.contains(alias));
        }
        if self.cursor.eat(Keyword::Skip) {
            self.cursor.expect(Keyword::Locked)?;
        } else {
            self.cursor.eat(Keyword::Nowait);
        }
        if locked.is_empty() {
            self.found.effect(Effect::new(Action::Lock, Object::new(ObjectKind::Relation, "")).harmless());
        }
        for (_, relation) in locked {
            self.found.effect(Effect::new(Action::Lock, relation.to_object(ObjectKind::Relation)).harmless());
        }
        Ok(())
    }
}
