//! WITH: common table expressions and what their names hide.

use std::collections::{HashMap, HashSet};

use super::Parser;
use super::scope::{Columns, Grounds};
use super::shape::{Exposed, QueryShape, Relation};
use crate::sql::cursor::{NamePosition, Parsed};
use crate::sql::keyword::Keyword;
use crate::sql::token::TokenKind;

/// What matters of a common table expression.
#[derive(Debug, Clone, Default)]
pub(super) struct CommonTable<'a> {
    /// What it returns all rows of.
    pub(super) exposes: Exposed<'a>,
    /// On what grounds that is known.
    pub(super) grounds: Grounds,
    /// What it returns.
    pub(super) columns: Columns<'a>,
}

/// The common table expressions that are visible at a place.
#[derive(Debug, Default)]
pub(super) struct CommonTables<'a> {
    /// In the order in which they became visible.
    names: Vec<&'a str>,
    /// Those of each name, the innermost last.
    tables: HashMap<&'a str, Vec<CommonTable<'a>>>,
    /// Those being read, which may read themselves.
    open: Vec<&'a str>,
    /// A row of one of them may hold many.
    pub(super) calls: bool,
}

impl<'a> CommonTables<'a> {
    fn enter(&mut self, name: &'a str, table: CommonTable<'a>) {
        self.names.push(name);
        self.tables.entry(name).or_default().push(table);
    }

    fn leave(&mut self, outside: usize) {
        for name in self.names.drain(outside..) {
            if let Some(stack) = self.tables.get_mut(name) {
                stack.pop();
            }
        }
    }

    /// Whether a name may be that of the one being read.
    pub(super) fn is_open(&self, name: &str) -> bool {
        self.open.contains(&name)
    }

    fn find(&self, name: &str) -> Option<&CommonTable<'a>> {
        self.tables.get(name)?.last()
    }
}

impl<'a> Parser<'a> {
    /// `WITH [RECURSIVE] name AS (...), ...` if it stands here. Returns how many names were visible before, for
    /// [`Parser::leave_with`].
    pub(super) fn with_clause(&mut self) -> Parsed<usize> {
        let outside = self.common.names.len();
        if !self.cursor.eat(Keyword::With) {
            return Ok(outside);
        }
        let recursive = self.cursor.eat(Keyword::Recursive);
        let first_read = self.found.reads.len();
        self.list(|parser| parser.common_table_expression(recursive))?;
        if recursive {
            self.take_out_recursive_reads(first_read, outside);
        }
        Ok(outside)
    }

    /// The names of a WITH are no longer visible.
    pub(super) fn leave_with(&mut self, outside: usize) {
        self.common.leave(outside);
    }

    /// The common table expression of that name, if one is visible. A name with a schema is none.
    pub(super) fn common_table(&self, relation: Relation<'a>) -> Option<CommonTable<'a>> {
        if relation.schema.is_some() {
            return None;
        }
        self.common.find(relation.name).cloned()
    }

    /// `name [(columns)] AS [[NOT] MATERIALIZED] (query) [SEARCH ...] [CYCLE ...]`
    fn common_table_expression(&mut self, recursive: bool) -> Parsed<()> {
        let name = self.cursor.name(NamePosition::Column)?;
        let mut names = Vec::new();
        if self.cursor.at_kind(TokenKind::OpenParen) {
            self.named.renames();
            names = self.names_in_parentheses()?;
        }
        self.cursor.expect(Keyword::As)?;
        if self.cursor.eat(Keyword::Not) {
            self.cursor.expect(Keyword::Materialized)?;
        } else {
            self.cursor.eat(Keyword::Materialized);
        }
        let seen = self.columns.len();
        let outside = self.common.names.len();
        if recursive {
            // Its own rows are those that its other parts begin with, and what they lead to.
            self.common.enter(name, CommonTable::default());
            self.common.open.push(name);
        }
        let generators = self.generators;
        let query = self.nested(|parser| parser.parenthesized(Self::statement_in_with))?;
        self.common.leave(outside);
        self.common.calls |= query.calls;
        let (grounds, columns) = (query.grounds.clone(), query.returns.clone().renamed(&names));
        let mut exposes = self.exposed_by(query, seen);
        if recursive {
            self.common.open.pop();
            // What they lead to may be anything, and any number of rows.
            if self.generators > generators {
                exposes = exposes.and(&Exposed::generated());
            }
        }
        let more = self.cursor.at_any(&[Keyword::Search, Keyword::Cycle]);
        self.search_clause()?;
        self.cycle_clause()?;
        let columns = if more { Columns::Unknown } else { columns };
        self.common.enter(name, CommonTable { exposes, grounds, columns });
        Ok(())
    }

    fn statement_in_with(&mut self) -> Parsed<QueryShape<'a>> {
        self.query_or_change().map(|(_, shape)| shape)
    }

    /// `SEARCH BREADTH|DEPTH FIRST BY columns SET column`
    fn search_clause(&mut self) -> Parsed<()> {
        if !self.cursor.eat(Keyword::Search) {
            return Ok(());
        }
        if self.cursor.eat_any(&[Keyword::Breadth, Keyword::Depth]).is_none() {
            return self.cursor.refuse("BREADTH or DEPTH is expected");
        }
        self.cursor.expect(Keyword::First)?;
        self.cursor.expect(Keyword::By)?;
        self.list(|parser| parser.cursor.name(NamePosition::Column).map(drop))?;
        self.cursor.expect(Keyword::Set)?;
        self.cursor.name(NamePosition::Column).map(drop)
    }

    /// `CYCLE columns SET column [TO a DEFAULT b] USING column`
    fn cycle_clause(&mut self) -> Parsed<()> {
        if !self.cursor.eat(Keyword::Cycle) {
            return Ok(());
        }
        self.list(|parser| parser.cursor.name(NamePosition::Column).map(drop))?;
        self.cursor.expect(Keyword::Set)?;
        self.cursor.name(NamePosition::Column)?;
        if self.cursor.eat(Keyword::To) {
            self.primary()?;
            self.cursor.expect(Keyword::Default)?;
            self.primary()?;
            // The marks are compared.
            self.found.operator("<>");
        }
        self.cursor.expect(Keyword::Using)?;
        self.cursor.name(NamePosition::Column).map(drop)
    }

    /// In WITH RECURSIVE every name is visible in every query of the list, also before its place: what was noted
    /// as a read of a relation of that name is none.
    fn take_out_recursive_reads(&mut self, first_read: usize, outside: usize) {
        let tail = self.found.reads.split_off(first_read);
        let names: HashSet<&str> = self.common.names[outside..].iter().copied().collect();
        let kept = tail.into_iter().filter(|name| name.schema.is_some() || !names.contains(name.name.as_str()));
        self.found.reads.extend(kept);
    }
}
