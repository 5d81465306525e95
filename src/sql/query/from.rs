//! FROM: relations, subqueries, functions, joins.

use std::ops::Range;

use super::Parser;
use super::expression::last_two;
use super::extent::{Link, MAX_SOURCES, Narrowed, Source};
use super::function::unpacks;
use super::scope::{Columns, Grounds};
use super::shape::{Condition, Exposed, QueryShape, Relation, Shape};
use super::with::CommonTable;
use crate::sql::cursor::{NamePosition, Parsed};
use crate::sql::keyword::Keyword;
use crate::sql::token::TokenKind;

/// Words that join what stands before them with what stands behind.
const JOIN_WORDS: [Keyword; 7] =
    [Keyword::Cross, Keyword::Full, Keyword::Inner, Keyword::Join, Keyword::Left, Keyword::Natural, Keyword::Right];

/// A join, as far as it matters here: which rows stay without a partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Join {
    Inner,
    /// Those on the left.
    Left,
    /// Those on the right, perhaps those on the left too.
    RightOrFull,
    /// CROSS: there are no partners.
    Cross,
}

/// A join whose ON or USING has not been seen yet.
struct Owed {
    kind: Join,
    /// The places of what stands on its left and on its right.
    left: Range<usize>,
    right: Range<usize>,
}

/// What FROM brings: its sources, and the conditions of its inner joins.
#[derive(Debug, Default)]
pub(super) struct FromClause<'a> {
    pub(super) sources: Vec<Source<'a>>,
    /// Relations by their alias, for row locks.
    pub(super) relations: Vec<(&'a str, Relation<'a>)>,
    pub(super) conditions: Vec<Condition<'a>>,
    /// Its joins without such a condition.
    pub(super) links: Vec<Link>,
}

impl FromClause<'_> {
    /// Ties what stands on the two sides of a join together. With a cross join on its left nobody knows to which of
    /// the sources there.
    fn link(&mut self, owed: &Owed, crossed: bool) {
        // With more sources nobody looks at the links, and there would be one for each pair of them.
        if self.sources.len() > MAX_SOURCES {
            self.links = Vec::new();
            return;
        }
        if crossed && owed.left.len() > 1 {
            return;
        }
        let outer = owed.kind != Join::Inner;
        for one in owed.left.clone() {
            self.links.extend(owed.right.clone().map(|two| Link { one, two, outer }));
        }
    }
}

/// What stands between parentheses in FROM.
enum Grouped<'a> {
    Query(QueryShape<'a>),
    Joined,
}

impl<'a> Parser<'a> {
    /// `item, item, ...` behind FROM or USING.
    pub(super) fn list_of_from(&mut self) -> Parsed<FromClause<'a>> {
        let mut from = FromClause::default();
        self.list(|parser| parser.joined_item(&mut from))?;
        Ok(from)
    }

    /// One item with the joins behind it.
    pub(super) fn joined_item(&mut self, from: &mut FromClause<'a>) -> Parsed<()> {
        let first = (from.sources.len(), from.conditions.len());
        self.item_of_from(from)?;
        self.joins(from, first)
    }

    /// The joins behind an item, whose sources and conditions begin at `first`. Each join but a cross or natural one is
    /// owed its ON or USING, here or further on: `a JOIN b JOIN c ON ... ON ...`.
    fn joins(&mut self, from: &mut FromClause<'a>, first: (usize, usize)) -> Parsed<()> {
        let (first_source, first_condition) = first;
        let mut owed: Vec<Owed> = Vec::new();
        let mut crossed = false;
        loop {
            if self.cursor.at_any(&JOIN_WORDS) {
                let (kind, natural) = self.join_kind()?;
                let (middle, before) = (from.sources.len(), from.conditions.len());
                self.item_of_from(from)?;
                // A condition on the side whose rows may be missing leaves none of the other side's out.
                match kind {
                    Join::Left => from.conditions.truncate(before),
                    Join::RightOrFull => from.conditions.truncate(first_condition),
                    Join::Inner | Join::Cross => {}
                }
                let join = Owed { kind, left: first_source..middle, right: middle..from.sources.len() };
                match kind {
                    Join::Cross => crossed = true,
                    _ if natural => from.link(&join, crossed),
                    _ => owed.push(join),
                }
            } else if let Some(join) = owed.pop_if(|_| self.cursor.at_any(&[Keyword::On, Keyword::Using])) {
                let inner = join.kind == Join::Inner && owed.iter().all(|around| around.kind == Join::Inner);
                if self.cursor.eat(Keyword::On) {
                    let condition = self.expression()?.into_condition();
                    if inner {
                        from.conditions.push(condition);
                    } else {
                        from.link(&join, crossed);
                    }
                } else {
                    self.columns_of_using()?;
                    from.link(&join, crossed);
                }
            } else if owed.is_empty() {
                return Ok(());
            } else {
                return self.cursor.refuse("ON or USING is expected");
            }
        }
    }

    /// `USING (columns) [AS alias]`
    fn columns_of_using(&mut self) -> Parsed<()> {
        self.cursor.expect(Keyword::Using)?;
        self.found.operator("=");
        self.name_list(NamePosition::Column)?;
        if self.cursor.eat(Keyword::As) {
            let alias = self.cursor.name(NamePosition::Column)?;
            self.named.row(alias);
        }
        Ok(())
    }

    /// `[NATURAL] [INNER|LEFT|RIGHT|FULL [OUTER]|CROSS] JOIN`, and whether it is a natural one.
    fn join_kind(&mut self) -> Parsed<(Join, bool)> {
        if self.cursor.eat(Keyword::Cross) {
            self.cursor.expect(Keyword::Join)?;
            return Ok((Join::Cross, false));
        }
        let natural = self.cursor.eat(Keyword::Natural);
        let kind = match self.cursor.eat_any(&[Keyword::Left, Keyword::Right, Keyword::Full]) {
            Some(Keyword::Left) => Join::Left,
            Some(_) => Join::RightOrFull,
            None => Join::Inner,
        };
        self.cursor.eat(if kind == Join::Inner { Keyword::Inner } else { Keyword::Outer });
        self.cursor.expect(Keyword::Join)?;
        if natural {
            self.found.operator("=");
        }
        Ok((kind, natural))
    }

    /// One item without joins.
    fn item_of_from(&mut self, from: &mut FromClause<'a>) -> Parsed<()> {
        let lateral = self.cursor.eat(Keyword::Lateral);
        let seen = self.columns.len();
        if self.cursor.at_kind(TokenKind::OpenParen) {
            let inside = self.scopes.inside();
            return match self.grouped(from)? {
                Grouped::Query(query) => {
                    if !lateral {
                        self.scopes.set_apart(inside);
                    }
                    self.query_item(from, query, seen)
                }
                // Only `(a JOIN b) AS x` may follow; its alias hides those inside.
                Grouped::Joined => self.alias_of_relations().map(drop),
            };
        }
        if let Some(function) = self.at_table_function() {
            let may_be_few = self.at_unpacking_function();
            self.calls += 1;
            let value = function(self)?;
            let few = may_be_few && value.is_constant();
            let alias = self.function_alias()?.unwrap_or("");
            // It may be given columns of the items before it. Of many only so many are looked at.
            let own = |qualifier: &Option<&str>| {
                from.sources.iter().take(MAX_SOURCES).any(|source| Some(source.alias) == *qualifier)
            };
            let outer = !self.columns.iter().skip(seen).all(own);
            let query = QueryShape { outer, ..QueryShape::default() };
            let two = from.sources.len();
            let looked_at = if two < MAX_SOURCES { from.sources.as_slice() } else { &[] };
            for (one, source) in looked_at.iter().enumerate() {
                if self.columns.iter().skip(seen).any(|qualifier| *qualifier == Some(source.alias)) {
                    from.links.push(Link { one, two, outer: false });
                }
            }
            let mut exposes = self.exposed_by(query, seen);
            if !few {
                exposes = exposes.and(&Exposed::generated());
            }
            let narrowed = if few { Narrowed::Itself } else { Narrowed::No };
            let grounds = Grounds::default();
            from.sources.push(Source { alias, exposes, narrowed, grounds, columns: Columns::Unknown });
            return Ok(());
        }
        self.relation_item(from)
    }

    /// What an item of FROM returns, whose columns begin at `seen`. One that names columns which are not its own may
    /// return those of the row that changes: `id IN (SELECT v FROM (VALUES (id)) AS x(v))`.
    pub(super) fn exposed_by(&self, query: QueryShape<'a>, seen: usize) -> Exposed<'a> {
        let returns_the_target = self.depends_on_others(&query, seen) && !self.targets.is_empty();
        if returns_the_target { Exposed::unknown() } else { query.exposes }
    }

    /// Whether a query whose columns begin at `seen` has others than those of its own relations.
    fn depends_on_others(&self, query: &QueryShape<'a>, seen: usize) -> bool {
        query.reaches_out || (query.outer && self.columns.len() > seen)
    }

    /// A query in FROM, with its alias. One whose rows come from no relation is few rows itself, unless they come from the
    /// columns of what stands beside it.
    fn query_item(&mut self, from: &mut FromClause<'a>, query: QueryShape<'a>, seen: usize) -> Parsed<()> {
        let (alias, names) = self.alias_with_columns()?;
        let lateral = self.depends_on_others(&query, seen);
        let (grounds, columns) = (query.grounds.clone(), query.returns.clone().renamed(&names));
        let exposes = self.exposed_by(query, seen);
        let narrowed = if exposes.is_nothing() && !lateral { Narrowed::Itself } else { Narrowed::No };
        from.sources.push(Source { alias: alias.unwrap_or(""), exposes, narrowed, grounds, columns });
        Ok(())
    }

    /// `(SELECT ...)`, `(a JOIN b ON ...)`, however many parentheses.
    fn grouped(&mut self, from: &mut FromClause<'a>) -> Parsed<Grouped<'a>> {
        self.nested(|parser| {
            parser.cursor.open()?;
            let (seen, inside) = (parser.columns.len(), parser.scopes.inside());
            let first = (from.sources.len(), from.conditions.len());
            let result = if parser.at_query() {
                Grouped::Query(parser.query_body()?)
            } else if parser.cursor.at_kind(TokenKind::OpenParen) {
                match parser.grouped(from)? {
                    Grouped::Query(query) if parser.at_query_continuation() => {
                        Grouped::Query(parser.continue_query(query)?)
                    }
                    Grouped::Query(query) if parser.cursor.at_kind(TokenKind::CloseParen) => Grouped::Query(query),
                    Grouped::Query(query) => {
                        parser.scopes.set_apart(inside);
                        parser.query_item(from, query, seen)?;
                        parser.joins(from, first)?;
                        Grouped::Joined
                    }
                    Grouped::Joined => {
                        parser.alias_of_relations()?;
                        parser.joins(from, first)?;
                        Grouped::Joined
                    }
                }
            } else {
                parser.joined_item(from)?;
                Grouped::Joined
            };
            parser.cursor.close()?;
            Ok(result)
        })
    }

    /// A function in FROM, if one stands here.
    fn at_table_function(&self) -> Option<fn(&mut Self) -> Parsed<Shape<'a>>> {
        let call = self.cursor.kind_at(1) == Some(TokenKind::OpenParen);
        match self.cursor.keyword() {
            Some(Keyword::Xmltable) if call => Some(|parser| {
                parser.cursor.advance();
                parser.nested(Self::xml_table)?;
                Ok(Shape::Opaque)
            }),
            Some(Keyword::JsonTable) if call => Some(|parser| {
                parser.cursor.advance();
                parser.nested(Self::json_table)?;
                Ok(Shape::Opaque)
            }),
            Some(Keyword::Rows) if self.cursor.at_ahead(1, Keyword::From) => Some(Self::rows_from),
            _ if self.at_function_in_from() => Some(Self::function_in_from),
            _ => None,
        }
    }

    /// Whether what stands here is a call, not a relation.
    fn at_function_in_from(&self) -> bool {
        let mut ahead = 1;
        while self.cursor.kind_at(ahead) == Some(TokenKind::Dot) {
            ahead += 2;
        }
        let call = self.cursor.kind_at(ahead) == Some(TokenKind::OpenParen) && !self.cursor.at(Keyword::Only);
        let value = ahead == 1
            && self.cursor.at_any(&[
                Keyword::CurrentCatalog,
                Keyword::CurrentDate,
                Keyword::CurrentRole,
                Keyword::CurrentSchema,
                Keyword::CurrentTime,
                Keyword::CurrentTimestamp,
                Keyword::CurrentUser,
                Keyword::Localtime,
                Keyword::Localtimestamp,
                Keyword::SessionUser,
                Keyword::SystemUser,
                Keyword::User,
            ]);
        call || value || self.cursor.at_all(&[Keyword::Collation, Keyword::For])
    }

    /// Whether a call stands here that returns no more than what is given to it.
    fn at_unpacking_function(&self) -> bool {
        let mut ahead = 0;
        while self.cursor.kind_at(ahead + 1) == Some(TokenKind::Dot) {
            ahead += 2;
        }
        self.cursor.kind_at(ahead + 1) == Some(TokenKind::OpenParen) && unpacks(self.cursor.text_at(ahead))
    }

    fn function_in_from(&mut self) -> Parsed<Shape<'a>> {
        let value = self.primary()?;
        self.ordinality();
        Ok(value)
    }

    /// `ROWS FROM (f() [AS (columns)], ...) [WITH ORDINALITY]`
    fn rows_from(&mut self) -> Parsed<Shape<'a>> {
        self.cursor.advance();
        self.cursor.advance();
        self.parenthesized(|parser| {
            parser.list(|parser| {
                parser.primary()?;
                if parser.cursor.eat(Keyword::As) { parser.column_definitions() } else { Ok(()) }
            })
        })?;
        self.ordinality();
        Ok(Shape::Opaque)
    }

    fn ordinality(&mut self) {
        self.cursor.eat_all(&[Keyword::With, Keyword::Ordinality]);
    }

    /// `(name type [COLLATE c], ...)`
    fn column_definitions(&mut self) -> Parsed<()> {
        self.parenthesized(|parser| {
            parser.list(|parser| {
                parser.cursor.name(NamePosition::Column)?;
                parser.type_name()?;
                if parser.cursor.eat(Keyword::Collate) {
                    parser.qualified_name(NamePosition::Column)?;
                }
                Ok(())
            })
        })
    }

    /// `[AS] alias [(name, ...)]`
    pub(super) fn alias(&mut self) -> Parsed<Option<&'a str>> {
        self.alias_with_columns().map(|(alias, _)| alias)
    }

    /// The same, with the names that it gives to columns.
    fn alias_with_columns(&mut self) -> Parsed<(Option<&'a str>, Vec<&'a str>)> {
        let alias = if self.cursor.eat(Keyword::As) {
            Some(self.cursor.name(NamePosition::Column)?)
        } else {
            self.cursor.eat_name(NamePosition::Column)
        };
        let named = alias.is_some() && self.cursor.at_kind(TokenKind::OpenParen);
        if named {
            self.named.renames();
        }
        let names = if named { self.names_in_parentheses()? } else { Vec::new() };
        Ok((alias, names))
    }

    /// The same of a relation, or of several that are joined: what other names stand for is not looked at.
    fn alias_of_relations(&mut self) -> Parsed<Option<&'a str>> {
        let alias = self.alias()?;
        if alias.is_some() && self.cursor.kind_before() == Some(TokenKind::CloseParen) {
            self.named.anything();
        }
        Ok(alias)
    }

    /// The alias of a function: may define the columns of a record.
    fn function_alias(&mut self) -> Parsed<Option<&'a str>> {
        let alias = if self.cursor.eat(Keyword::As) {
            if self.cursor.at_kind(TokenKind::OpenParen) {
                self.column_definitions()?;
                return Ok(None);
            }
            Some(self.cursor.name(NamePosition::Column)?)
        } else {
            self.cursor.eat_name(NamePosition::Column)
        };
        if alias.is_some() && self.cursor.at_kind(TokenKind::OpenParen) {
            let names_only = matches!(self.cursor.kind_at(2), Some(TokenKind::Comma | TokenKind::CloseParen));
            if names_only {
                self.name_list(NamePosition::Column)?;
            } else {
                self.column_definitions()?;
            }
        }
        Ok(alias)
    }

    /// `[ONLY] name [*]`, `ONLY (name)`: the name.
    pub(in crate::sql) fn relation_expression(&mut self) -> Parsed<Relation<'a>> {
        if self.cursor.eat(Keyword::Only) {
            if self.cursor.at_kind(TokenKind::OpenParen) {
                return self.parenthesized(|parser| parser.qualified_name(NamePosition::Column));
            }
            return self.qualified_name(NamePosition::Column);
        }
        let relation = self.qualified_name(NamePosition::Column)?;
        self.cursor.eat_operator("*");
        Ok(relation)
    }

    /// A relation with its alias and sample.
    fn relation_item(&mut self, from: &mut FromClause<'a>) -> Parsed<()> {
        let relation = self.relation_expression()?;
        let common = self.common_table(relation).is_some();
        let CommonTable { exposes, grounds, columns } = self.read(relation);
        let (alias, names) = self.alias_with_columns()?;
        if !names.is_empty() {
            self.named.anything();
        }
        let alias = alias.unwrap_or(relation.name);
        self.named.row(alias);
        if self.cursor.eat(Keyword::Tablesample) {
            self.table_sample()?;
        }
        if !common {
            from.relations.push((alias, relation));
        }
        let narrowed = if exposes.is_nothing() { Narrowed::Itself } else { Narrowed::No };
        let columns = columns.renamed(&names);
        from.sources.push(Source { alias, exposes, narrowed, grounds, columns });
        Ok(())
    }

    /// `TABLESAMPLE method (arguments) [REPEATABLE (seed)]`
    fn table_sample(&mut self) -> Parsed<()> {
        let mut parts = vec![self.cursor.name(NamePosition::TypeOrFunction)?];
        while self.cursor.eat_kind(TokenKind::Dot) {
            parts.push(self.cursor.name(NamePosition::Label)?);
        }
        self.found.call(last_two(&parts));
        self.nested(|parser| parser.parenthesized(Self::expression_list))?;
        if self.cursor.eat(Keyword::Repeatable) {
            self.parenthesized(Self::expression)?;
        }
        Ok(())
    }

    /// A relation is read, or a common table expression of that name is.
    pub(super) fn read(&mut self, relation: Relation<'a>) -> CommonTable<'a> {
        if let Some(table) = self.common_table(relation) {
            self.calls += usize::from(self.common.calls);
            self.generators += usize::from(self.common.is_open(relation.name));
            return table;
        }
        self.found.reads.push(relation.to_name());
        let columns = Columns::Of(relation);
        CommonTable { exposes: Exposed::one(relation), grounds: Grounds::default(), columns }
    }
}
