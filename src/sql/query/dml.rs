//! INSERT, UPDATE, DELETE, MERGE.

use super::Parser;
use super::extent::{Link, MAX_SOURCES, Narrowed, Source, Target, narrow};
use super::from::FromClause;
use super::scope::{Columns, Grounds};
use super::shape::{Condition, Exposed, QueryShape, Relation};
use crate::sql::cursor::{NamePosition, Parsed};
use crate::sql::effect::{Action, Effect, Extent, ObjectKind};
use crate::sql::keyword::Keyword;
use crate::sql::statement::Assumption;
use crate::sql::token::TokenKind;

/// A target and the name it goes by in its statement.
#[derive(Clone, Copy)]
struct Changed<'a> {
    relation: Relation<'a>,
    alias: &'a str,
}

/// Rows that are given or changed.
struct Rows<'a> {
    /// They may be all of these.
    exposes: Exposed<'a>,
    /// On what grounds they are no others.
    grounds: Grounds,
}

/// Whether a change leaves rows out.
enum Bound {
    /// It has no condition.
    Missing,
    /// Not that we know.
    Unknown,
    /// It does, on these grounds.
    If(Grounds),
}

impl<'a> Parser<'a> {
    /// One of the four, behind its WITH: its rows are those given or changed.
    pub(super) fn change(&mut self) -> Parsed<QueryShape<'a>> {
        let (rows, returns) = match self.cursor.keyword() {
            Some(Keyword::Insert) => self.insert()?,
            Some(Keyword::Update) => self.update()?,
            Some(Keyword::Delete) => self.delete()?,
            Some(Keyword::Merge) => self.merge()?,
            _ => return self.cursor.refuse("a query is expected"),
        };
        Ok(QueryShape { exposes: rows.exposes, grounds: rows.grounds, returns, ..QueryShape::default() })
    }

    /// `INSERT INTO name [AS alias] [(columns)] [OVERRIDING ...] query|VALUES|DEFAULT VALUES [ON CONFLICT ...]
    /// [RETURNING ...]`
    fn insert(&mut self) -> Parsed<(Rows<'a>, Columns<'a>)> {
        self.cursor.expect(Keyword::Insert)?;
        self.cursor.expect(Keyword::Into)?;
        let relation = self.qualified_name(NamePosition::Column)?;
        let mut alias = relation.name;
        if self.cursor.eat(Keyword::As) {
            alias = self.cursor.name(NamePosition::Column)?;
        }
        self.named.row(alias);
        self.write(relation, Action::Insert, Extent::Bounded);
        let columns = self.cursor.at_kind(TokenKind::OpenParen)
            && !self.at_query_ahead(1)
            && self.cursor.kind_at(1) != Some(TokenKind::OpenParen);
        if columns {
            self.parenthesized(|parser| parser.list(Self::assigned_column))?;
        } else {
            // All of them.
            self.named.anything();
        }
        if self.cursor.eat(Keyword::Overriding) {
            if self.cursor.eat_any(&[Keyword::User, Keyword::System]).is_none() {
                return self.cursor.refuse("USER or SYSTEM is expected");
            }
            self.cursor.expect(Keyword::Value)?;
        }
        let defaults = self.cursor.eat_all(&[Keyword::Default, Keyword::Values]);
        let given = if defaults { QueryShape::default() } else { self.query_body()? };
        let given = Rows { exposes: given.exposes, grounds: given.grounds };
        if self.cursor.eat_all(&[Keyword::On, Keyword::Conflict]) {
            self.on_conflict(Changed { relation, alias }, &given)?;
        }
        Ok((given, self.returning()?))
    }

    /// The rows given may be all that the relation has already.
    fn on_conflict(&mut self, changed: Changed<'a>, given: &Rows<'a>) -> Parsed<()> {
        if self.cursor.eat_all(&[Keyword::On, Keyword::Constraint]) {
            self.cursor.name(NamePosition::Column)?;
        } else if self.cursor.at_kind(TokenKind::OpenParen) {
            self.parenthesized(|parser| parser.list(Self::index_element))?;
            if self.cursor.eat(Keyword::Where) {
                self.expression()?;
            }
        }
        self.cursor.expect(Keyword::Do)?;
        if self.cursor.eat(Keyword::Nothing) {
            return Ok(());
        }
        self.cursor.expect(Keyword::Update)?;
        self.cursor.expect(Keyword::Set)?;
        // Only rows that collide with those given.
        let of_all_rows = given.exposes.may_include(changed.relation) || given.exposes.has_generated();
        let bound = if of_all_rows { Bound::Unknown } else { Bound::If(given.grounds.clone()) };
        self.changes(changed, Action::Update, bound);
        self.assignments()?;
        if self.cursor.eat(Keyword::Where) {
            self.expression()?;
        }
        Ok(())
    }

    /// `expression [COLLATE c] [operator class] [ASC|DESC] [NULLS FIRST|LAST]`
    pub(in crate::sql) fn index_element(&mut self) -> Parsed<()> {
        self.expression()?;
        if self.cursor.at_name(NamePosition::Column) && !self.cursor.at(Keyword::Nulls) {
            let class = self.qualified_name(NamePosition::Column)?;
            self.found.types.push(class.to_name());
            if self.cursor.at_kind(TokenKind::OpenParen) {
                self.cursor.skip_parentheses()?;
            }
        }
        self.cursor.eat_any(&[Keyword::Asc, Keyword::Desc]);
        if self.cursor.eat(Keyword::Nulls) && self.cursor.eat_any(&[Keyword::First, Keyword::Last]).is_none() {
            return self.cursor.refuse("FIRST or LAST is expected");
        }
        Ok(())
    }

    /// `UPDATE [ONLY] name [AS alias] SET ... [FROM ...] [WHERE ...] [RETURNING ...]`
    fn update(&mut self) -> Parsed<(Rows<'a>, Columns<'a>)> {
        self.cursor.expect(Keyword::Update)?;
        let changed = self.changed_relation()?;
        self.cursor.expect(Keyword::Set)?;
        self.assignments()?;
        let from = if self.cursor.eat(Keyword::From) { self.list_of_from()? } else { FromClause::default() };
        let changed = self.where_of_change(changed, from, Action::Update)?;
        Ok((changed, self.returning()?))
    }

    /// `DELETE FROM [ONLY] name [AS alias] [USING ...] [WHERE ...] [RETURNING ...]`
    fn delete(&mut self) -> Parsed<(Rows<'a>, Columns<'a>)> {
        self.cursor.expect(Keyword::Delete)?;
        self.cursor.expect(Keyword::From)?;
        let changed = self.changed_relation()?;
        let from = if self.cursor.eat(Keyword::Using) { self.list_of_from()? } else { FromClause::default() };
        let changed = self.where_of_change(changed, from, Action::Delete)?;
        Ok((changed, self.returning()?))
    }

    /// `[ONLY] name [*] [[AS] alias]`. SET is no alias here.
    fn changed_relation(&mut self) -> Parsed<Changed<'a>> {
        let relation = self.relation_expression()?;
        let alias = if self.cursor.eat(Keyword::As) {
            self.cursor.name(NamePosition::Column)?
        } else if self.cursor.at(Keyword::Set) {
            relation.name
        } else {
            self.cursor.eat_name(NamePosition::Column).unwrap_or(relation.name)
        };
        self.named.row(alias);
        Ok(Changed { relation, alias })
    }

    /// `column = value, (column, column) = (value, value)`
    fn assignments(&mut self) -> Parsed<()> {
        self.list(|parser| {
            if parser.cursor.at_kind(TokenKind::OpenParen) {
                parser.parenthesized(|parser| parser.list(Self::assigned_column))?;
            } else {
                parser.assigned_column()?;
            }
            parser.cursor.expect_operator("=")?;
            parser.assigned_value()
        })
    }

    /// A value, DEFAULT, or a row in which DEFAULT may stand.
    fn assigned_value(&mut self) -> Parsed<()> {
        if !self.row_has_default() {
            return self.expression_or_default();
        }
        self.cursor.eat(Keyword::Row);
        self.values_row()
    }

    /// Whether the row that stands here has DEFAULT for an item.
    fn row_has_default(&self) -> bool {
        let mut ahead = usize::from(self.cursor.at(Keyword::Row));
        if self.cursor.kind_at(ahead) != Some(TokenKind::OpenParen) {
            return false;
        }
        let mut depth = 0_usize;
        loop {
            match self.cursor.kind_at(ahead) {
                None => return false,
                Some(TokenKind::OpenParen) => depth += 1,
                Some(TokenKind::CloseParen) if depth == 1 => return false,
                Some(TokenKind::CloseParen) => depth -= 1,
                Some(TokenKind::Word) if depth == 1 && self.cursor.at_ahead(ahead, Keyword::Default) => return true,
                Some(_) => {}
            }
            ahead += 1;
        }
    }

    /// A column, or a part of one: `c`, `c.field`, `c[1]`.
    fn assigned_column(&mut self) -> Parsed<()> {
        let name = self.cursor.name(NamePosition::Column)?;
        self.named.field(name);
        loop {
            if self.cursor.eat_kind(TokenKind::Dot) {
                let field = self.cursor.name(NamePosition::Label)?;
                self.named.field(field);
            } else if self.cursor.at_kind(TokenKind::OpenBracket) {
                self.subscript()?;
            } else {
                return Ok(());
            }
        }
    }

    /// WHERE of an UPDATE or DELETE, and so how far it reaches: what it may return all rows of.
    fn where_of_change(&mut self, changed: Changed<'a>, from: FromClause<'a>, action: Action) -> Parsed<Rows<'a>> {
        let bound = if !self.cursor.eat(Keyword::Where) {
            Bound::Missing
        } else if self.cursor.eat_all(&[Keyword::Current, Keyword::Of]) {
            self.cursor.name(NamePosition::Column)?;
            Bound::If(Grounds::default())
        } else {
            self.targets.push(Target { relation: changed.relation, alias: changed.alias, others: from.sources });
            let condition = self.expression().map(super::shape::Shape::into_condition);
            let target = self.targets.pop();
            let condition = condition?;
            let conditions: Vec<_> = from.conditions.iter().chain([&condition]).collect();
            target.map_or(Bound::Unknown, |target| self.bound(&target, &from.links, &conditions))
        };
        Ok(match self.changes(changed, action, bound) {
            Some(grounds) => Rows { exposes: Exposed::default(), grounds },
            None => Rows { exposes: Exposed::one(changed.relation), grounds: Grounds::default() },
        })
    }

    /// Whether conditions leave rows of the target out; the links are those of what stands beside it.
    fn bound(&mut self, target: &Target<'a>, links: &[Link], conditions: &[&Condition<'a>]) -> Bound {
        let own = Source::whole(target.alias, target.relation);
        let mut sources: Vec<_> = target.others.iter().cloned().chain([own]).collect();
        narrow(&mut sources, links, conditions, &mut self.literals());
        match sources.pop() {
            Some(own) if own.narrowed != Narrowed::No => Bound::If(own.grounds),
            _ => Bound::Unknown,
        }
    }

    /// Notes a change; returns on what grounds it is bounded, if it is.
    fn changes(&mut self, changed: Changed<'a>, action: Action, bound: Bound) -> Option<Grounds> {
        let (name, verb) = (changed.relation.display(), if action == Action::Delete { "deletes" } else { "updates" });
        let bounded = match bound {
            Bound::If(grounds) => self.scopes.assumptions(&grounds).map(|assumptions| (grounds, assumptions)),
            Bound::Missing => {
                self.found.reason(format!("{verb} every row of {name}: no WHERE"));
                self.write(changed.relation, action, Extent::Whole);
                return None;
            }
            Bound::Unknown => None,
        };
        let Some((grounds, assumptions)) = bounded else {
            self.found.reason(format!("{verb} possibly every row of {name}: its condition may be true for each"));
            self.write(changed.relation, action, Extent::Whole);
            return None;
        };
        self.write(changed.relation, action, Extent::Bounded);
        for (column, relations) in assumptions {
            let object = changed.relation.to_object(ObjectKind::Relation);
            let relations = relations.into_iter().map(Relation::to_name).collect();
            self.found.assumptions.push(Assumption { object, action, column: column.to_owned(), relations });
        }
        Some(grounds)
    }

    /// `MERGE INTO name [alias] USING item ON condition WHEN ... [RETURNING ...]`
    fn merge(&mut self) -> Parsed<(Rows<'a>, Columns<'a>)> {
        self.cursor.expect(Keyword::Merge)?;
        self.cursor.expect(Keyword::Into)?;
        let changed = self.changed_relation()?;
        self.cursor.expect(Keyword::Using)?;
        let mut from = FromClause::default();
        self.joined_item(&mut from)?;
        self.cursor.expect(Keyword::On)?;
        self.targets.push(Target { relation: changed.relation, alias: changed.alias, others: from.sources });
        let result = self.merge_branches(changed, &from.links, from.conditions);
        self.targets.pop();
        result?;
        let rows = Rows { exposes: Exposed::one(changed.relation), grounds: Grounds::default() };
        Ok((rows, self.returning()?))
    }

    /// `joined`: the conditions of joins inside the source.
    fn merge_branches(&mut self, changed: Changed<'a>, links: &[Link], joined: Vec<Condition<'a>>) -> Parsed<()> {
        let mut conditions = joined;
        conditions.push(self.expression()?.into_condition());
        while self.cursor.eat(Keyword::When) {
            self.merge_branch(changed, links, &conditions)?;
        }
        Ok(())
    }

    /// `[NOT] MATCHED [BY SOURCE|TARGET] [AND condition] THEN UPDATE SET ...|DELETE|INSERT ...|DO NOTHING`
    fn merge_branch(&mut self, changed: Changed<'a>, links: &[Link], joined: &[Condition<'a>]) -> Parsed<()> {
        let unmatched = self.cursor.eat(Keyword::Not);
        self.cursor.expect(Keyword::Matched)?;
        let mut by_source = false;
        if self.cursor.eat(Keyword::By) {
            by_source = self.cursor.eat_word("source");
            if !by_source {
                self.cursor.eat_word("target");
            }
        }
        let own = if self.cursor.eat(Keyword::And) { Some(self.expression()?.into_condition()) } else { None };
        let bound = self.bound_of_branch(links, joined, own.as_ref(), unmatched && by_source);
        self.cursor.expect(Keyword::Then)?;
        match self.cursor.eat_any(&[Keyword::Update, Keyword::Delete, Keyword::Insert, Keyword::Do]) {
            Some(Keyword::Update) => {
                self.cursor.expect(Keyword::Set)?;
                self.assignments()?;
                self.changes(changed, Action::Update, bound);
            }
            Some(Keyword::Delete) => {
                self.changes(changed, Action::Delete, bound);
            }
            Some(Keyword::Insert) => self.merge_insert(changed)?,
            Some(Keyword::Do) => {
                self.cursor.expect(Keyword::Nothing)?;
                // The table is locked as for a change (`setTargetTable` of `parse_clause.c`), which blocks no write.
                let table = changed.relation.to_object(ObjectKind::Relation);
                self.found.effect(Effect::new(Action::Lock, table).harmless());
            }
            _ => return self.cursor.refuse("an action is expected"),
        }
        Ok(())
    }

    /// Whether a branch of MERGE reaches some rows only: by the condition that joins and its `own` together, or, for
    /// rows that nothing was joined to, by its own alone.
    fn bound_of_branch(
        &mut self,
        links: &[Link],
        joined: &[Condition<'a>],
        own: Option<&Condition<'a>>,
        without_partner: bool,
    ) -> Bound {
        // Nothing is judged with so many sources: they need not be copied for each branch.
        let few = self.targets.last().filter(|target| target.others.len() < MAX_SOURCES);
        let Some(target) = few.cloned() else { return Bound::Unknown };
        if without_partner {
            return own.map_or(Bound::Unknown, |own| self.bound(&target, &[], &[own]));
        }
        let all: Vec<_> = joined.iter().chain(own).collect();
        self.bound(&target, links, &all)
    }

    fn merge_insert(&mut self, changed: Changed<'a>) -> Parsed<()> {
        self.write(changed.relation, Action::Insert, Extent::Bounded);
        if self.cursor.at_kind(TokenKind::OpenParen) {
            self.parenthesized(|parser| parser.list(Self::assigned_column))?;
        } else {
            self.named.anything();
        }
        if self.cursor.eat(Keyword::Overriding) {
            self.cursor.eat_any(&[Keyword::User, Keyword::System]);
            self.cursor.expect(Keyword::Value)?;
        }
        if self.cursor.eat_all(&[Keyword::Default, Keyword::Values]) {
            return Ok(());
        }
        self.cursor.expect(Keyword::Values)?;
        self.values_row()
    }

    /// `RETURNING [WITH (OLD AS a, NEW AS b)] list`
    fn returning(&mut self) -> Parsed<Columns<'a>> {
        if !self.cursor.eat(Keyword::Returning) {
            return Ok(Columns::Unknown);
        }
        self.named.row("old");
        self.named.row("new");
        if self.cursor.eat(Keyword::With) {
            self.parenthesized(|parser| {
                parser.list(|parser| {
                    if parser.cursor.eat_any(&[Keyword::Old, Keyword::New]).is_none() {
                        return parser.cursor.refuse("OLD or NEW is expected");
                    }
                    parser.cursor.expect(Keyword::As)?;
                    let alias = parser.cursor.name(NamePosition::Column)?;
                    parser.named.row(alias);
                    Ok(())
                })
            })?;
        }
        self.target_list(false)
    }

    /// Notes that rows of a relation change.
    fn write(&mut self, relation: Relation<'a>, action: Action, extent: Extent) {
        let mut effect = Effect::new(action, relation.to_object(ObjectKind::Relation)).with_extent(extent);
        if relation.schema == Some("pg_temp") {
            effect = effect.temporary();
        }
        self.found.effect(effect);
        crate::sql::system::written(&mut self.found, relation.schema, relation.name);
    }
}
