//! CREATE of everything but tables' columns.

use super::object::Kind;
use crate::sql::cursor::{NamePosition, Parsed};
use crate::sql::effect::{Action, Effect, Object, ObjectKind};
use crate::sql::keyword::Keyword;
use crate::sql::query::Parser;
use crate::sql::statement::{Redefinition, SessionChange};
use crate::sql::token::TokenKind;

/// Words between CREATE and the kind of object.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Modifiers {
    pub(super) replace: bool,
    pub(super) temporary: bool,
    /// `IF NOT EXISTS`
    pub(super) may_exist: bool,
}

impl<'a> Parser<'a> {
    /// `CREATE ...`
    pub(super) fn create(&mut self) -> Parsed<String> {
        self.cursor.advance();
        let mut modifiers =
            Modifiers { replace: self.cursor.eat_all(&[Keyword::Or, Keyword::Replace]), ..Modifiers::default() };
        self.cursor.eat_any(&[Keyword::Local, Keyword::Global]);
        modifiers.temporary = self.cursor.eat_any(&[Keyword::Temporary, Keyword::Temp]).is_some();
        self.cursor.eat(Keyword::Unlogged);
        if self.cursor.eat(Keyword::Unique) || self.cursor.at(Keyword::Index) {
            return self.create_index();
        }
        if !self.cursor.eat_all(&[Keyword::Constraint, Keyword::Trigger]) {
            self.cursor.eat_any(&[Keyword::Trusted, Keyword::Default, Keyword::Recursive]);
        } else {
            return self.create_trigger();
        }
        if self.cursor.at(Keyword::Trigger) {
            self.cursor.advance();
            return self.create_trigger();
        }
        let Some(kind) = self.object_kind() else {
            self.found.unknown("CREATE of a kind of object that is not known");
            self.cursor.skip_rest();
            return Ok("CREATE".to_owned());
        };
        match kind.kind {
            ObjectKind::Table => self.create_table(modifiers),
            ObjectKind::View | ObjectKind::MaterializedView => self.create_view(kind, modifiers),
            ObjectKind::Rule => self.create_rule(),
            ObjectKind::Schema => self.create_schema(),
            _ => self.create_other(kind, modifiers),
        }
    }

    /// Whether `IF NOT EXISTS` stands here.
    pub(super) fn if_not_exists(&mut self) -> bool {
        self.cursor.eat_all(&[Keyword::If, Keyword::Not, Keyword::Exists])
    }

    /// What needs no grammar of its own: the name is enough.
    fn create_other(&mut self, kind: Kind, modifiers: Modifiers) -> Parsed<String> {
        let modifiers = Modifiers { may_exist: self.if_not_exists(), ..modifiers };
        let mut kind = kind;
        if kind.kind == ObjectKind::Statistics && self.cursor.at(Keyword::On) {
            self.cursor.skip_rest();
            self.created_kind(&kind.shown(), Object::new(ObjectKind::Statistics, ""), modifiers);
            return Ok(kind.command("CREATE"));
        }
        match kind.kind {
            ObjectKind::Operator if self.cursor.at_name(NamePosition::Column) => {
                kind.form = super::object::NameForm::Operator;
            }
            // What follows the name in parentheses is no modifier of a type.
            ObjectKind::Type | ObjectKind::Domain => kind.form = super::object::NameForm::Qualified,
            _ => {}
        }
        let named = self.object_name(kind)?;
        self.created_kind(&kind.shown(), named.object, modifiers);
        if let Some(table) = named.table {
            self.found.effect(Effect::new(Action::Alter, table));
        }
        if kind.kind == ObjectKind::Type && self.cursor.at(Keyword::As) {
            self.redefinition_by_type();
        }
        self.cursor.skip_rest();
        Ok(kind.command("CREATE"))
    }

    /// `AS ENUM`, `AS RANGE`: what a type of that kind concerns beside what uses its name.
    fn redefinition_by_type(&mut self) {
        match self.cursor.keyword_at(1) {
            Some(Keyword::Enum) => self.found.redefines = Redefinition::NOTHING,
            Some(Keyword::Range) => {
                // It makes a second type, of a name of its own.
                self.found.redefines = Redefinition::ANYTHING;
                let is_temporary = |change: &SessionChange| matches!(change, SessionChange::CreateTemporary { .. });
                if self.found.session.iter().any(is_temporary) {
                    self.found.session.push(SessionChange::Anything);
                }
            }
            _ => {}
        }
    }

    /// Notes that an object is made, or replaced.
    pub(super) fn created(&mut self, object: Object, modifiers: Modifiers) {
        let kind = object.kind.as_str().replace('_', " ");
        self.created_kind(&kind, object, modifiers);
    }

    /// The same, with the words for its kind.
    fn created_kind(&mut self, kind: &str, object: Object, modifiers: Modifiers) {
        let temporary = modifiers.temporary || object.schema.as_deref() == Some("pg_temp");
        let verb = if modifiers.replace { "creates or replaces" } else { "creates" };
        let name = if object.name.is_empty() { String::new() } else { format!(" {object}") };
        let reason = format!("{verb} {kind}{name}");
        if temporary {
            let (name, may_exist) = (object.name.clone(), modifiers.replace || modifiers.may_exist);
            self.found.session.push(SessionChange::CreateTemporary { name, may_exist });
            self.found.effect(Effect::new(Action::Create, object).temporary());
        } else {
            self.found.effect_because(Effect::new(Action::Create, object), reason);
        }
    }

    /// `[UNIQUE] INDEX [CONCURRENTLY] [[IF NOT EXISTS] name] ON [ONLY] table ...`
    fn create_index(&mut self) -> Parsed<String> {
        self.cursor.expect(Keyword::Index)?;
        let concurrently = self.cursor.eat(Keyword::Concurrently);
        self.if_not_exists();
        let name = if self.cursor.at(Keyword::On) { "" } else { self.cursor.name(NamePosition::NonReserved)? };
        self.cursor.expect(Keyword::On)?;
        let table = self.relation_expression()?;
        if self.cursor.eat(Keyword::Using) {
            // The access method, which parentheses follow.
            self.cursor.name(NamePosition::Column)?;
        }
        self.scan_for_code();
        let mut object = Object::new(ObjectKind::Index, name);
        object.schema = table.schema.map(str::to_owned);
        let temporary = table.schema == Some("pg_temp");
        let effect = Effect::new(Action::Create, object);
        let blocks = if concurrently { "" } else { ": blocks its writes meanwhile" };
        let name = if name.is_empty() { "an index".to_owned() } else { format!("index {name}") };
        let reason = format!("creates {name} on {}{blocks}", table.display());
        self.found.effect_because(if temporary { effect.temporary() } else { effect }, reason);
        self.found.effect(Effect::new(Action::Alter, table.to_object(ObjectKind::Table)));
        self.found.redefines = Redefinition::NOTHING;
        Ok("CREATE INDEX".to_owned())
    }

    /// `TRIGGER name BEFORE|AFTER|INSTEAD OF event ON table ... EXECUTE FUNCTION name(arguments)`
    fn create_trigger(&mut self) -> Parsed<String> {
        let name = self.cursor.name(NamePosition::NonReserved)?;
        let Some(ahead) = self.cursor.find_outside(&[Keyword::On]) else { return self.cursor.refuse("ON is expected") };
        self.cursor.skip(ahead + 1);
        let table = self.qualified_name(NamePosition::NonReserved)?.to_object(ObjectKind::Relation);
        let mut object = Object::new(ObjectKind::Trigger, name);
        object.schema.clone_from(&table.schema);
        let function = self.cursor.find_outside(&[Keyword::Execute]).and_then(|ahead| {
            self.cursor.skip(ahead + 1);
            self.cursor.eat_any(&[Keyword::Function, Keyword::Procedure]);
            self.qualified_name(NamePosition::NonReserved).ok()
        });
        self.cursor.skip_rest();
        let runs = function.map_or_else(String::new, |function| format!(", which runs {}()", function.display()));
        let reason = format!("creates trigger {name} on {table}{runs}: later writes do more than they say");
        self.found.effect_because(Effect::new(Action::Create, object), reason);
        self.found.effect(Effect::new(Action::Alter, table));
        Ok("CREATE TRIGGER".to_owned())
    }

    /// `RULE name AS ON event TO table ...`
    fn create_rule(&mut self) -> Parsed<String> {
        let name = self.cursor.name(NamePosition::NonReserved)?;
        let Some(ahead) = self.cursor.find_outside(&[Keyword::To]) else { return self.cursor.refuse("TO is expected") };
        self.cursor.skip(ahead + 1);
        let table = self.qualified_name(NamePosition::NonReserved)?.to_object(ObjectKind::Relation);
        self.cursor.skip_rest();
        let mut object = Object::new(ObjectKind::Rule, name);
        object.schema.clone_from(&table.schema);
        let reason = format!("creates rule {name} on {table}: later statements do other things than they say");
        self.found.effect_because(Effect::new(Action::Create, object), reason);
        self.found.effect(Effect::new(Action::Alter, table));
        Ok("CREATE RULE".to_owned())
    }

    /// `SCHEMA [IF NOT EXISTS] [name] [AUTHORIZATION role] [elements]`
    fn create_schema(&mut self) -> Parsed<String> {
        self.if_not_exists();
        let name = if self.cursor.at(Keyword::Authorization) {
            self.cursor.advance();
            self.cursor.name(NamePosition::Label)?
        } else {
            self.cursor.name(NamePosition::NonReserved)?
        };
        let more = self.cursor.find_outside(&[Keyword::Create, Keyword::Grant]).is_some();
        self.cursor.skip_rest();
        self.created(Object::new(ObjectKind::Schema, name), Modifiers::default());
        if more {
            self.found.reason(format!("and objects in schema {name}"));
            self.found.redefines = Redefinition::ANYTHING;
        }
        Ok("CREATE SCHEMA".to_owned())
    }

    /// `VIEW name [(columns)] [WITH (options)] AS query [WITH CHECK OPTION]`, `MATERIALIZED VIEW ... [WITH NO DATA]`
    fn create_view(&mut self, kind: Kind, modifiers: Modifiers) -> Parsed<String> {
        let modifiers = Modifiers { may_exist: self.if_not_exists(), ..modifiers };
        let name = self.qualified_name(NamePosition::NonReserved)?;
        if self.cursor.at_kind(TokenKind::OpenParen) {
            self.cursor.skip_parentheses()?;
        }
        while !self.cursor.at_end() && !self.cursor.at(Keyword::As) {
            self.cursor.advance();
        }
        self.cursor.expect(Keyword::As)?;
        self.created(name.to_object(kind.kind), modifiers);
        self.query_or_change_statement()?;
        self.after_defining_query()?;
        Ok(kind.command("CREATE"))
    }

    /// `WITH [NO] DATA`, `WITH [LOCAL|CASCADED] CHECK OPTION`
    pub(super) fn after_defining_query(&mut self) -> Parsed<()> {
        if !self.cursor.eat(Keyword::With) {
            return Ok(());
        }
        if self.cursor.eat_any(&[Keyword::Local, Keyword::Cascaded]).is_some() || self.cursor.at(Keyword::Check) {
            self.cursor.expect(Keyword::Check)?;
            return self.cursor.expect(Keyword::Option);
        }
        self.cursor.eat(Keyword::No);
        self.cursor.expect(Keyword::Data)
    }
}
