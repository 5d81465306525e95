//! The grammar of queries: SELECT, VALUES, TABLE, WITH, INSERT, UPDATE, DELETE, MERGE and every expression
//! in them, as Postgres 15 to 18 have it (`src/backend/parser/gram.y`), by recursive descent over the tokens.
//!
//! It builds no tree. Each rule takes exactly the tokens it knows, in the roles that Postgres gives them, and
//! says on the way what they bring: relations, functions, operators, types, effects. No token is skipped, so
//! nothing can hide in one; a token that no rule takes refuses the whole statement, which is then `unknown`.
//! Where servers of different age read the same words differently, both readings are reported.
//!
//! Chains of operators are loops, not recursion. Recursion follows the nesting of the text alone, and stops at
//! [`MAX_DEPTH`].

mod bounds;
mod dml;
mod expression;
mod extent;
mod few;
mod from;
mod function;
mod json;
mod named;
mod predicate;
mod primary;
mod scope;
mod select;
pub(in crate::sql) mod shape;
mod strength;
mod type_name;
mod with;
mod xml;

use super::cursor::{Cursor, NamePosition, Parsed};
use super::effect::{Object, ObjectKind};
use super::findings::Findings;
use super::keyword::Keyword;
use super::statement::Name;
use super::token::TokenKind;
use extent::{Literals, Target};
use named::Named;
use scope::Scopes;
pub(super) use shape::Relation;
use with::CommonTables;

/// How deep expressions and queries may nest. One level costs up to a few kilobytes of stack.
const MAX_DEPTH: u32 = 140;

/// Reads one query, or a part of one.
pub(super) struct Parser<'a> {
    /// The place among the tokens.
    pub(super) cursor: Cursor<'a>,
    /// What has been found.
    pub(super) found: Findings,
    depth: u32,
    /// Visible common table expressions, the innermost last.
    common: CommonTables<'a>,
    /// The relations whose rows the statements around this place change, the innermost last.
    targets: Vec<Target<'a>>,
    /// The qualifiers of the columns so far.
    columns: Vec<Option<&'a str>>,
    /// The columns without one, by the query that they stand in.
    scopes: Scopes<'a>,
    /// How many calls so far, in what queries return and read from, may put many rows into one, or make more of one.
    calls: usize,
    /// How many of them make rows of which nobody knows how many.
    generators: usize,
    /// The names that may stand beside a value.
    pub(super) named: Named<'a>,
    /// Something in the text may be an UPDATE, DELETE or MERGE, whose conditions are judged.
    judges: bool,
}

/// The texts of literals; who looks at one depends on it.
struct Consulted<'p, 'a> {
    cursor: Cursor<'a>,
    depends: &'p mut bool,
}

impl Literals for Consulted<'_, '_> {
    fn text(&mut self, token: usize) -> &str {
        *self.depends = true;
        self.cursor.text_of(token)
    }

    fn is_string(&self, token: usize) -> bool {
        self.cursor.kind_of(token) == Some(TokenKind::String)
    }
}

impl<'a> Parser<'a> {
    /// At the place of `cursor`, with nothing found yet.
    pub(super) fn new(cursor: Cursor<'a>) -> Self {
        let judges = cursor.has_any(&[Keyword::Update, Keyword::Delete, Keyword::Merge]);
        Self {
            cursor,
            found: Findings::default(),
            depth: 0,
            common: CommonTables::default(),
            targets: Vec::new(),
            columns: Vec::new(),
            scopes: Scopes::default(),
            calls: 0,
            generators: 0,
            named: Named::default(),
            judges,
        }
    }

    /// Goes one level deeper for the time of `inside`.
    fn nested<T>(&mut self, inside: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            return self.cursor.refuse("it nests too deep");
        }
        if self.cursor.is_overworked() {
            return self.cursor.refuse("reading it takes too long");
        }
        self.depth += 1;
        let result = inside(self);
        self.depth -= 1;
        result
    }

    /// `( inside )`
    pub(super) fn parenthesized<T>(&mut self, inside: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.cursor.open()?;
        let result = inside(self)?;
        self.cursor.close()?;
        Ok(result)
    }

    /// One or more, with commas between.
    pub(super) fn list(&mut self, mut item: impl FnMut(&mut Self) -> Parsed<()>) -> Parsed<()> {
        loop {
            item(self)?;
            if !self.cursor.eat_kind(TokenKind::Comma) {
                return Ok(());
            }
        }
    }

    /// `(name, ...)`
    pub(super) fn name_list(&mut self, position: NamePosition) -> Parsed<()> {
        self.parenthesized(|parser| parser.list(|parser| parser.cursor.name(position).map(drop)))
    }

    /// The same; the names.
    fn names_in_parentheses(&mut self) -> Parsed<Vec<&'a str>> {
        let mut names = Vec::new();
        self.parenthesized(|parser| {
            parser.list(|parser| {
                names.push(parser.cursor.name(NamePosition::Column)?);
                Ok(())
            })
        })?;
        Ok(names)
    }

    /// A name with dots: the schema, where there is one, and the name. A database before the schema must be the
    /// current one, or the server refuses it.
    pub(super) fn qualified_name(&mut self, position: NamePosition) -> Parsed<Relation<'a>> {
        let mut name = self.cursor.name(position)?;
        let mut schema = None;
        let mut dots = 0;
        while self.cursor.eat_kind(TokenKind::Dot) {
            schema = Some(name);
            name = self.cursor.name(NamePosition::Label)?;
            dots += 1;
        }
        if dots > 2 { self.cursor.refuse("a name has too many dots") } else { Ok(Relation { schema, name }) }
    }

    /// The literals of the statement; looking at one is noted.
    fn literals(&mut self) -> Consulted<'_, 'a> {
        Consulted { cursor: self.cursor, depends: &mut self.found.depends_on_literals }
    }

    /// The next tokens as a person reads them, without the values of strings. That numbers are among them is noted.
    pub(super) fn words(&mut self, most: usize) -> String {
        self.words_ahead(0, most)
    }

    /// The same from the token `from` places on.
    pub(super) fn words_ahead(&mut self, from: usize, most: usize) -> String {
        let mut words = self.words_between(from, from + most);
        if self.cursor.kind_at(from + most).is_some() {
            words.push_str(" ...");
        }
        words
    }

    /// The same of all tokens from the one `from` places on to before the one `to` places on.
    pub(super) fn words_between(&mut self, from: usize, to: usize) -> String {
        let mut words = String::new();
        for ahead in from..to {
            let text = match self.cursor.kind_at(ahead) {
                None => return words,
                Some(TokenKind::Comma) => {
                    words.push(',');
                    continue;
                }
                Some(TokenKind::Dot) => {
                    words.push('.');
                    continue;
                }
                Some(TokenKind::OpenParen) => "(",
                Some(TokenKind::CloseParen) => ")",
                Some(TokenKind::String | TokenKind::NationalString) => "'...'",
                Some(kind) => {
                    self.found.depends_on_literals |= kind.is_literal();
                    self.cursor.text_at(ahead)
                }
            };
            if !words.is_empty() && !words.ends_with(['.', '(']) && text != ")" {
                words.push(' ');
            }
            words.push_str(text);
        }
        words
    }

    /// Whether a query begins here.
    pub(super) fn at_query(&self) -> bool {
        self.at_query_ahead(0)
    }

    /// Whether a query begins `ahead` places on. VALUES is also a name, unless a parenthesis follows.
    fn at_query_ahead(&self, ahead: usize) -> bool {
        match self.cursor.keyword_at(ahead) {
            Some(Keyword::Select | Keyword::With | Keyword::Table) => true,
            Some(Keyword::Values) => self.cursor.kind_at(ahead + 1) == Some(TokenKind::OpenParen),
            _ => false,
        }
    }
}

impl Relation<'_> {
    /// The same, owned.
    pub(super) fn to_name(self) -> Name {
        Name { schema: self.schema.map(str::to_owned), name: self.name.to_owned() }
    }

    /// As an object of an effect.
    pub(super) fn to_object(self, kind: ObjectKind) -> Object {
        Object { kind, schema: self.schema.map(str::to_owned), name: self.name.to_owned() }
    }

    /// As a person writes it.
    pub(super) fn display(self) -> String {
        self.to_object(ObjectKind::Relation).to_string()
    }
}
