//! Which words name a kind of object, and how its name is written behind them: what CREATE, ALTER, DROP,
//! COMMENT and SECURITY LABEL have in common.

use crate::sql::cursor::{NamePosition, Parsed};
use crate::sql::effect::{Object, ObjectKind};
use crate::sql::keyword::Keyword;
use crate::sql::query::Parser;
use crate::sql::token::TokenKind;

/// How an object of a kind is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameForm {
    /// `[schema.]name`
    Qualified,
    /// `name`
    Single,
    /// `[schema.]name [(arguments)]`
    Routine,
    /// `[schema.]symbol (left, right)`
    Operator,
    /// `(source AS target)`
    Cast,
    /// `name ON [schema.]table`
    OnTable,
    /// `name ON [schema.]table` or `name ON DOMAIN name`
    Constraint,
    /// `table.column`
    Column,
    /// `FOR role SERVER name`
    UserMapping,
    /// `FOR type LANGUAGE name`
    Transform,
    /// `name USING method`
    UsingMethod,
    /// a number
    Number,
    /// a type
    Type,
}

/// Words, the kind they name, and the form of its names. Longer sequences come first.
type Row = (&'static [Keyword], ObjectKind, NameForm);

const KINDS: &[Row] = &[
    (&[Keyword::Access, Keyword::Method], ObjectKind::AccessMethod, NameForm::Single),
    (&[Keyword::Aggregate], ObjectKind::Aggregate, NameForm::Routine),
    (&[Keyword::Cast], ObjectKind::Cast, NameForm::Cast),
    (&[Keyword::Collation], ObjectKind::Collation, NameForm::Qualified),
    (&[Keyword::Column], ObjectKind::Column, NameForm::Column),
    (&[Keyword::Constraint], ObjectKind::Constraint, NameForm::Constraint),
    (&[Keyword::Conversion], ObjectKind::Conversion, NameForm::Qualified),
    (&[Keyword::Database], ObjectKind::Database, NameForm::Single),
    (&[Keyword::Domain], ObjectKind::Domain, NameForm::Type),
    (&[Keyword::Event, Keyword::Trigger], ObjectKind::EventTrigger, NameForm::Single),
    (&[Keyword::Extension], ObjectKind::Extension, NameForm::Single),
    (&[Keyword::Foreign, Keyword::Data, Keyword::Wrapper], ObjectKind::ForeignDataWrapper, NameForm::Single),
    (&[Keyword::Foreign, Keyword::Table], ObjectKind::ForeignTable, NameForm::Qualified),
    (&[Keyword::Function], ObjectKind::Function, NameForm::Routine),
    (&[Keyword::Group], ObjectKind::Role, NameForm::Single),
    (&[Keyword::Index], ObjectKind::Index, NameForm::Qualified),
    (&[Keyword::Language], ObjectKind::Language, NameForm::Single),
    (&[Keyword::Large, Keyword::Object], ObjectKind::LargeObject, NameForm::Number),
    (&[Keyword::Materialized, Keyword::View], ObjectKind::MaterializedView, NameForm::Qualified),
    (&[Keyword::Operator, Keyword::Class], ObjectKind::OperatorClass, NameForm::UsingMethod),
    (&[Keyword::Operator, Keyword::Family], ObjectKind::OperatorClass, NameForm::UsingMethod),
    (&[Keyword::Operator], ObjectKind::Operator, NameForm::Operator),
    (&[Keyword::Policy], ObjectKind::Policy, NameForm::OnTable),
    (&[Keyword::Procedural, Keyword::Language], ObjectKind::Language, NameForm::Single),
    (&[Keyword::Procedure], ObjectKind::Procedure, NameForm::Routine),
    (&[Keyword::Publication], ObjectKind::Publication, NameForm::Single),
    (&[Keyword::Role], ObjectKind::Role, NameForm::Single),
    (&[Keyword::Routine], ObjectKind::Routine, NameForm::Routine),
    (&[Keyword::Rule], ObjectKind::Rule, NameForm::OnTable),
    (&[Keyword::Schema], ObjectKind::Schema, NameForm::Single),
    (&[Keyword::Sequence], ObjectKind::Sequence, NameForm::Qualified),
    (&[Keyword::Server], ObjectKind::Server, NameForm::Single),
    (&[Keyword::Statistics], ObjectKind::Statistics, NameForm::Qualified),
    (&[Keyword::Subscription], ObjectKind::Subscription, NameForm::Single),
    (&[Keyword::Table], ObjectKind::Table, NameForm::Qualified),
    (&[Keyword::Tablespace], ObjectKind::Tablespace, NameForm::Single),
    (&[Keyword::Text, Keyword::Search, Keyword::Configuration], ObjectKind::TextSearch, NameForm::Qualified),
    (&[Keyword::Text, Keyword::Search, Keyword::Dictionary], ObjectKind::TextSearch, NameForm::Qualified),
    (&[Keyword::Text, Keyword::Search, Keyword::Parser], ObjectKind::TextSearch, NameForm::Qualified),
    (&[Keyword::Text, Keyword::Search, Keyword::Template], ObjectKind::TextSearch, NameForm::Qualified),
    (&[Keyword::Transform], ObjectKind::Transform, NameForm::Transform),
    (&[Keyword::Trigger], ObjectKind::Trigger, NameForm::OnTable),
    (&[Keyword::Type], ObjectKind::Type, NameForm::Type),
    (&[Keyword::User, Keyword::Mapping], ObjectKind::UserMapping, NameForm::UserMapping),
    (&[Keyword::User], ObjectKind::Role, NameForm::Single),
    (&[Keyword::View], ObjectKind::View, NameForm::Qualified),
];

/// A kind of object that a statement names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub(super) words: &'static [Keyword],
    pub(super) kind: ObjectKind,
    pub(super) form: NameForm,
}

impl Kind {
    /// The words as they stand in a sentence.
    pub(super) fn shown(self) -> String {
        self.words.iter().map(|word| word.text()).collect::<Vec<_>>().join(" ")
    }

    /// `DROP`, `CREATE` ... with the words of the kind behind it.
    pub(super) fn command(self, verb: &str) -> String {
        let mut command = verb.to_owned();
        for word in self.words {
            command.push(' ');
            command.push_str(&word.text().to_uppercase());
        }
        command
    }
}

/// An object, and the table it hangs on where its name says so.
pub(super) struct Named {
    pub(super) object: Object,
    pub(super) table: Option<Object>,
}

impl From<Object> for Named {
    fn from(object: Object) -> Self {
        Self { object, table: None }
    }
}

impl<'a> Parser<'a> {
    /// Takes the words of a kind of object, if they are next.
    pub(super) fn object_kind(&mut self) -> Option<Kind> {
        let (words, kind, form) = *KINDS.iter().find(|(words, _, _)| self.cursor.at_all(words))?;
        self.cursor.eat_all(words);
        Some(Kind { words, kind, form })
    }

    /// The name of one object of a kind.
    pub(super) fn object_name(&mut self, kind: Kind) -> Parsed<Named> {
        let object = match kind.form {
            NameForm::Qualified => self.qualified_name(NamePosition::NonReserved)?.to_object(kind.kind),
            NameForm::Single => Object::new(kind.kind, self.cursor.name(NamePosition::NonReserved)?),
            NameForm::Routine => self.routine_name(kind.kind)?,
            NameForm::Operator => self.operator_name(kind.kind)?,
            NameForm::Cast => self.cast_name(kind.kind)?,
            NameForm::OnTable | NameForm::Constraint => return self.name_on_table(kind),
            NameForm::Column => return self.column_name(kind.kind),
            NameForm::UserMapping => self.user_mapping_name(kind.kind)?,
            NameForm::Transform => self.transform_name(kind.kind)?,
            NameForm::UsingMethod => {
                let object = self.qualified_name(NamePosition::NonReserved)?.to_object(kind.kind);
                if self.cursor.eat(Keyword::Using) {
                    self.cursor.name(NamePosition::NonReserved)?;
                }
                object
            }
            NameForm::Number => {
                let number = self.cursor.text();
                self.cursor.expect_kind(TokenKind::Number, "a number is expected")?;
                self.found.depends_on_literals = true;
                Object::new(kind.kind, number)
            }
            NameForm::Type => self.type_object(kind.kind)?,
        };
        Ok(object.into())
    }

    /// `name [(arguments)]`; the arguments are not looked at.
    pub(super) fn routine_name(&mut self, kind: ObjectKind) -> Parsed<Object> {
        let object = self.qualified_name(NamePosition::NonReserved)?.to_object(kind);
        if self.cursor.at_kind(TokenKind::OpenParen) {
            self.cursor.skip_parentheses()?;
        }
        Ok(object)
    }

    pub(super) fn operator_name(&mut self, kind: ObjectKind) -> Parsed<Object> {
        let mut schema = None;
        while self.cursor.at_name(NamePosition::Column) {
            schema = self.cursor.eat_name(NamePosition::Column).map(str::to_owned);
            self.cursor.expect_kind(TokenKind::Dot, "a dot is expected")?;
        }
        let name = self.cursor.text().to_owned();
        self.cursor.expect_kind(TokenKind::Operator, "an operator is expected")?;
        if self.cursor.at_kind(TokenKind::OpenParen) {
            self.cursor.skip_parentheses()?;
        }
        Ok(Object { kind, schema, name })
    }

    fn cast_name(&mut self, kind: ObjectKind) -> Parsed<Object> {
        self.cursor.open()?;
        let source = self.type_name()?.unwrap_or_default();
        self.cursor.expect(Keyword::As)?;
        let target = self.type_name()?.unwrap_or_default();
        self.cursor.close()?;
        Ok(Object::new(kind, format!("{source} as {target}")))
    }

    fn name_on_table(&mut self, kind: Kind) -> Parsed<Named> {
        let name = self.cursor.name(NamePosition::NonReserved)?;
        self.cursor.expect(Keyword::On)?;
        if kind.form == NameForm::Constraint && self.cursor.eat(Keyword::Domain) {
            let domain = self.type_object(ObjectKind::Domain)?;
            return Ok(Named { object: Object::new(kind.kind, name), table: Some(domain) });
        }
        let table = self.qualified_name(NamePosition::NonReserved)?.to_object(ObjectKind::Relation);
        let object = Object { kind: kind.kind, schema: table.schema.clone(), name: name.to_owned() };
        Ok(Named { object, table: Some(table) })
    }

    fn column_name(&mut self, kind: ObjectKind) -> Parsed<Named> {
        let relation = self.qualified_name(NamePosition::NonReserved)?;
        // The last dot stands before the column.
        let object = Object::new(kind, relation.display());
        let table = relation.schema.map(|table| Object::new(ObjectKind::Relation, table));
        Ok(Named { object, table })
    }

    fn user_mapping_name(&mut self, kind: ObjectKind) -> Parsed<Object> {
        self.cursor.expect(Keyword::For)?;
        let role = self.cursor.name(NamePosition::Label)?.to_owned();
        self.cursor.expect(Keyword::Server)?;
        let server = self.cursor.name(NamePosition::NonReserved)?;
        Ok(Object::new(kind, format!("{role} on {server}")))
    }

    fn transform_name(&mut self, kind: ObjectKind) -> Parsed<Object> {
        self.cursor.expect(Keyword::For)?;
        let of = self.type_name()?.unwrap_or_default();
        self.cursor.expect(Keyword::Language)?;
        let language = self.cursor.name(NamePosition::NonReserved)?;
        Ok(Object::new(kind, format!("{of} in {language}")))
    }

    fn type_object(&mut self, kind: ObjectKind) -> Parsed<Object> {
        let before = self.cursor;
        let name = self.type_name()?.unwrap_or_default();
        let mut again = before;
        let schema = match (again.eat_name(NamePosition::Label), again.at_kind(TokenKind::Dot)) {
            (Some(schema), true) => Some(schema.to_owned()),
            _ => None,
        };
        Ok(Object { kind, schema, name })
    }
}
