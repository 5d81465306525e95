//! CREATE TABLE. A temporary table passes, so its columns are read to the last token: what they default to and
//! are checked with runs later.

use super::create::Modifiers;
use crate::sql::cursor::{NamePosition, Parsed};
use crate::sql::effect::{Action, Effect, ObjectKind};
use crate::sql::functions::{Class, builtin};
use crate::sql::keyword::Keyword;
use crate::sql::query::{Parser, Relation};
use crate::sql::statement::{Name, Redefinition, SessionChange};
use crate::sql::token::TokenKind;

impl<'a> Parser<'a> {
    /// `TABLE [IF NOT EXISTS] name ...`, behind TABLE.
    pub(super) fn create_table(&mut self, modifiers: Modifiers) -> Parsed<String> {
        let may_exist = self.if_not_exists();
        let name = self.qualified_name(NamePosition::NonReserved)?;
        let temporary = modifiers.temporary || name.schema == Some("pg_temp");
        self.created(name.to_object(ObjectKind::Table), Modifiers { temporary, may_exist, ..modifiers });
        self.found.redefines = Redefinition::default().and(self.key_targets());
        if self.at_defining_query() {
            self.create_table_as()?;
            return Ok("CREATE TABLE AS".to_owned());
        }
        if self.cursor.eat_all(&[Keyword::Partition, Keyword::Of]) {
            let parent = self.qualified_name(NamePosition::Column)?;
            self.becomes_child_of(parent);
            self.scan_for_code();
        } else if self.cursor.eat(Keyword::Of) {
            // Parentheses behind it hold columns, no modifier.
            let of = self.qualified_name(NamePosition::TypeOrFunction)?;
            self.found.types.push(of.to_name());
            self.scan_for_code();
        } else if temporary {
            self.table_definition()?;
        } else if let Some(ahead) = self.cursor.find_outside(&[Keyword::Inherits]) {
            self.cursor.skip(ahead);
            self.inherits()?;
            self.cursor.skip_rest();
        } else {
            self.cursor.skip_rest();
        }
        Ok("CREATE TABLE".to_owned())
    }

    /// `INHERITS (name, ...)` if it stands here.
    fn inherits(&mut self) -> Parsed<()> {
        if !self.cursor.eat(Keyword::Inherits) {
            return Ok(());
        }
        self.parenthesized(|parser| {
            parser.list(|parser| {
                let parent = parser.qualified_name(NamePosition::Column)?;
                parser.becomes_child_of(parent);
                Ok(())
            })
        })
    }

    /// A table gets a child or partition: who reads the one reads the other.
    pub(super) fn becomes_child_of(&mut self, parent: Relation<'a>) {
        self.altered_too(parent, "gets a child table");
    }

    /// A table that is altered by what is done to another one.
    pub(super) fn altered_too(&mut self, table: Relation<'a>, how: &str) {
        let effect = Effect::new(Action::Alter, table.to_object(ObjectKind::Table));
        let effect = if table.schema == Some("pg_temp") { effect.temporary() } else { effect };
        self.found.effect_because(effect, format!("{} {how}", table.display()));
    }

    /// `PARTITION BY strategy (element, ...)` if it stands here.
    fn partition_by(&mut self) -> Parsed<()> {
        if !self.cursor.eat_all(&[Keyword::Partition, Keyword::By]) {
            return Ok(());
        }
        self.cursor.name(NamePosition::Column)?;
        self.parenthesized(|parser| parser.list(Self::index_element))
    }

    /// Whether `[(columns)] [options] AS` stands here.
    fn at_defining_query(&self) -> bool {
        self.cursor.find_outside(&[Keyword::As]).is_some()
    }

    /// `[(columns)] [USING m] [WITH (...)] [ON COMMIT ...] [TABLESPACE t] AS query|EXECUTE name [WITH [NO] DATA]`
    fn create_table_as(&mut self) -> Parsed<()> {
        if self.cursor.at_kind(TokenKind::OpenParen) {
            self.name_list(NamePosition::Column)?;
        }
        self.table_options()?;
        self.cursor.expect(Keyword::As)?;
        if self.cursor.at(Keyword::Execute) {
            self.execute()?;
        } else {
            self.query_or_change_statement()?;
        }
        self.after_defining_query()
    }

    /// `USING m`, `WITH (...)`, `WITHOUT OIDS`, `ON COMMIT ...`, `TABLESPACE t`
    fn table_options(&mut self) -> Parsed<()> {
        loop {
            if self.cursor.eat_any(&[Keyword::Using, Keyword::Tablespace]).is_some() {
                self.cursor.name(NamePosition::NonReserved)?;
            } else if self.cursor.at(Keyword::With) && self.cursor.kind_at(1) == Some(TokenKind::OpenParen) {
                self.cursor.advance();
                self.cursor.skip_parentheses()?;
            } else if self.cursor.eat_all(&[Keyword::On, Keyword::Commit]) {
                let drops = self.cursor.eat(Keyword::Drop);
                if drops {
                    self.found.session.push(SessionChange::DropAtCommit);
                }
                let known = drops
                    || self.cursor.eat_all(&[Keyword::Delete, Keyword::Rows])
                    || self.cursor.eat_all(&[Keyword::Preserve, Keyword::Rows]);
                if !known {
                    return self.cursor.refuse("what to do on commit is expected");
                }
            } else if !self.cursor.eat_all(&[Keyword::Without, Keyword::Oids]) {
                return Ok(());
            }
        }
    }

    /// `(columns and constraints) [options]`
    fn table_definition(&mut self) -> Parsed<()> {
        self.columns_and_options()?;
        // It is kept, and changes the setting, even one that is harmless now, when rows are written: unseen.
        let own = |name: &Name| matches!(name.schema.as_deref(), None | Some("pg_catalog"));
        let functions = self.found.functions.as_slice();
        if functions.iter().any(|function| own(&function.name) && builtin(&function.name.name) == Some(Class::Setting))
        {
            self.set_config(None, None, false);
        }
        Ok(())
    }

    fn columns_and_options(&mut self) -> Parsed<()> {
        self.cursor.open()?;
        if !self.cursor.at_kind(TokenKind::CloseParen) {
            self.list(Self::table_element)?;
        }
        self.cursor.close()?;
        self.inherits()?;
        self.partition_by()?;
        self.table_options()
    }

    fn table_element(&mut self) -> Parsed<()> {
        match self.cursor.keyword() {
            Some(Keyword::Like) => self.like_table(),
            Some(
                Keyword::Constraint
                | Keyword::Check
                | Keyword::Unique
                | Keyword::Primary
                | Keyword::Foreign
                | Keyword::Exclude
                | Keyword::Not,
            ) => self.table_constraint(),
            _ => self.column_definition(),
        }
    }

    /// `LIKE table [INCLUDING|EXCLUDING what]`: INCLUDING brings expressions that stand in the catalog only.
    fn like_table(&mut self) -> Parsed<()> {
        self.cursor.advance();
        let relation = self.qualified_name(NamePosition::Column)?;
        self.found.reads.push(relation.to_name());
        let mut copies = false;
        while let Some(word) = self.cursor.eat_any(&[Keyword::Including, Keyword::Excluding]) {
            copies |= word == Keyword::Including;
            self.cursor.name(NamePosition::Label)?;
        }
        if copies {
            let effect = Effect::new(Action::Execute, relation.to_object(ObjectKind::Relation)).possible();
            self.found.effect_because(effect, format!("copies the expressions of {}", relation.display()));
        }
        Ok(())
    }

    /// `name type [constraints]`
    fn column_definition(&mut self) -> Parsed<()> {
        self.cursor.name(NamePosition::Column)?;
        self.type_name()?;
        self.column_constraints()
    }

    fn column_constraints(&mut self) -> Parsed<()> {
        loop {
            let Some(keyword) = self.cursor.keyword() else { return Ok(()) };
            match keyword {
                Keyword::Constraint => {
                    self.cursor.advance();
                    self.cursor.name(NamePosition::Column)?;
                }
                Keyword::Default => {
                    self.cursor.advance();
                    self.basic_expression()?;
                }
                Keyword::Generated => self.generated()?,
                Keyword::Collate => {
                    self.cursor.advance();
                    self.qualified_name(NamePosition::Column)?;
                }
                Keyword::Storage | Keyword::Compression => {
                    self.cursor.advance();
                    self.cursor.name(NamePosition::Label)?;
                }
                Keyword::Not | Keyword::Null if !self.at_constraint_attribute() => {
                    self.cursor.eat(Keyword::Not);
                    self.cursor.expect(Keyword::Null)?;
                    self.cursor.eat_all(&[Keyword::No, Keyword::Inherit]);
                }
                Keyword::Check | Keyword::Unique | Keyword::Primary | Keyword::References => self.constraint()?,
                _ if self.constraint_attribute() => {}
                _ => return Ok(()),
            }
        }
    }

    /// `GENERATED ALWAYS|BY DEFAULT AS IDENTITY [(options)]`, `GENERATED ALWAYS AS (expression) [STORED|VIRTUAL]`
    fn generated(&mut self) -> Parsed<()> {
        self.cursor.advance();
        if self.cursor.eat(Keyword::By) {
            self.cursor.expect(Keyword::Default)?;
        } else {
            self.cursor.expect(Keyword::Always)?;
        }
        self.cursor.expect(Keyword::As)?;
        if self.cursor.eat(Keyword::Identity) {
            if self.cursor.at_kind(TokenKind::OpenParen) {
                self.cursor.skip_parentheses()?;
            }
            return Ok(());
        }
        self.parenthesized_expression()?;
        if !self.cursor.eat(Keyword::Stored) {
            self.cursor.eat_word("virtual");
        }
        Ok(())
    }

    fn parenthesized_expression(&mut self) -> Parsed<()> {
        self.cursor.open()?;
        self.expression()?;
        self.cursor.close()
    }

    /// `[CONSTRAINT name] constraint [attributes]`
    fn table_constraint(&mut self) -> Parsed<()> {
        if self.cursor.eat(Keyword::Constraint) {
            self.cursor.name(NamePosition::Column)?;
        }
        self.constraint()?;
        while self.constraint_attribute() {}
        Ok(())
    }

    /// A constraint of a column or table.
    fn constraint(&mut self) -> Parsed<()> {
        if self.cursor.eat_all(&[Keyword::Not, Keyword::Null]) {
            return self.cursor.name(NamePosition::Column).map(drop);
        }
        match self.cursor.eat_any(&[
            Keyword::Check,
            Keyword::Unique,
            Keyword::Primary,
            Keyword::References,
            Keyword::Foreign,
            Keyword::Exclude,
        ]) {
            Some(Keyword::Check) => self.parenthesized_expression(),
            Some(Keyword::Unique) => {
                if self.cursor.eat(Keyword::Nulls) {
                    self.cursor.eat(Keyword::Not);
                    self.cursor.expect(Keyword::Distinct)?;
                }
                self.key_columns()
            }
            Some(Keyword::Primary) => {
                self.cursor.expect(Keyword::Key)?;
                self.key_columns()
            }
            Some(Keyword::References) => self.references(),
            Some(Keyword::Foreign) => {
                self.cursor.expect(Keyword::Key)?;
                self.key_list()?;
                self.cursor.expect(Keyword::References)?;
                self.references()
            }
            Some(_) => self.exclusion(),
            None => self.cursor.refuse("a constraint is expected"),
        }
    }

    /// `(column, ... [WITHOUT OVERLAPS])`, `(column, ..., [PERIOD] column)`
    fn key_list(&mut self) -> Parsed<()> {
        self.parenthesized(|parser| {
            parser.list(|parser| {
                if matches!(parser.cursor.kind_at(1), Some(TokenKind::Word | TokenKind::QuotedIdentifier)) {
                    parser.cursor.eat_word("period");
                }
                parser.cursor.name(NamePosition::Column)?;
                parser.cursor.eat_all(&[Keyword::Without, Keyword::Overlaps]);
                Ok(())
            })
        })
    }

    /// `[(columns)] [INCLUDE (columns)] [WITH (...)] [USING INDEX TABLESPACE t]`
    fn key_columns(&mut self) -> Parsed<()> {
        if self.cursor.at_kind(TokenKind::OpenParen) {
            self.key_list()?;
        }
        if self.cursor.eat(Keyword::Include) {
            self.name_list(NamePosition::Column)?;
        }
        if self.cursor.at(Keyword::With) && self.cursor.kind_at(1) == Some(TokenKind::OpenParen) {
            self.cursor.advance();
            self.cursor.skip_parentheses()?;
        }
        if self.cursor.eat_all(&[Keyword::Using, Keyword::Index, Keyword::Tablespace]) {
            self.cursor.name(NamePosition::NonReserved)?;
        }
        Ok(())
    }

    /// `table [(columns)] [MATCH x] [ON DELETE|UPDATE action]`
    fn references(&mut self) -> Parsed<()> {
        self.qualified_name(NamePosition::Column)?;
        if self.cursor.at_kind(TokenKind::OpenParen) {
            self.key_list()?;
        }
        if self.cursor.eat(Keyword::Match) {
            self.cursor.name(NamePosition::Label)?;
        }
        while self.cursor.eat(Keyword::On) {
            if self.cursor.eat_any(&[Keyword::Delete, Keyword::Update]).is_none() {
                return self.cursor.refuse("DELETE or UPDATE is expected");
            }
            if self.cursor.eat(Keyword::Set) {
                self.cursor.eat_any(&[Keyword::Null, Keyword::Default]);
                if self.cursor.at_kind(TokenKind::OpenParen) {
                    self.name_list(NamePosition::Column)?;
                }
            } else if !self.cursor.eat_all(&[Keyword::No, Keyword::Action]) {
                self.cursor.eat_any(&[Keyword::Cascade, Keyword::Restrict]);
            }
        }
        Ok(())
    }

    /// `EXCLUDE [USING m] (element WITH operator, ...) ... [WHERE (expression)]`
    fn exclusion(&mut self) -> Parsed<()> {
        if self.cursor.eat(Keyword::Using) {
            self.cursor.name(NamePosition::NonReserved)?;
        }
        self.cursor.open()?;
        self.list(|parser| {
            parser.index_element()?;
            parser.cursor.expect(Keyword::With)?;
            if parser.cursor.at(Keyword::Operator) {
                parser.qualified_operator()?;
            } else {
                parser.any_operator()?;
            }
            Ok(())
        })?;
        self.cursor.close()?;
        self.key_columns()?;
        if self.cursor.eat(Keyword::Where) { self.parenthesized_expression() } else { Ok(()) }
    }

    fn at_constraint_attribute(&self) -> bool {
        self.cursor.at(Keyword::Not)
            && matches!(self.cursor.keyword_at(1), Some(Keyword::Deferrable | Keyword::Valid | Keyword::Enforced))
    }

    /// `[NOT] DEFERRABLE`, `INITIALLY DEFERRED`, `NO INHERIT`, `NOT VALID`, `[NOT] ENFORCED`
    fn constraint_attribute(&mut self) -> bool {
        if self.at_constraint_attribute() {
            self.cursor.advance();
            self.cursor.advance();
            return true;
        }
        self.cursor.eat(Keyword::Deferrable)
            || self.cursor.eat(Keyword::Enforced)
            || self.cursor.eat_all(&[Keyword::Initially, Keyword::Deferred])
            || self.cursor.eat_all(&[Keyword::Initially, Keyword::Immediate])
            || self.cursor.eat_all(&[Keyword::No, Keyword::Inherit])
    }
}
