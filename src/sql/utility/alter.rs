//! ALTER.

use super::object::{Kind, NameForm};
use crate::sql::cursor::{NamePosition, Parsed};
use crate::sql::effect::{Action, Effect, Object, ObjectKind};
use crate::sql::functions::{Class, builtin, keyword_call};
use crate::sql::keyword::{Category, Keyword};
use crate::sql::query::Parser;
use crate::sql::statement::{Name, Redefinition};
use crate::sql::token::TokenKind;

/// Tokens of an action that are shown.
const WORDS_SHOWN: usize = 24;

impl<'a> Parser<'a> {
    /// `ALTER kind [IF EXISTS] [ONLY] name action`
    pub(super) fn alter(&mut self) -> Parsed<String> {
        self.cursor.advance();
        if self.cursor.eat(Keyword::System) {
            return self.alter_system();
        }
        if self.cursor.eat_all(&[Keyword::Default, Keyword::Privileges]) {
            return self.alter_default_privileges();
        }
        let Some(kind) = self.object_kind() else {
            self.found.unknown("ALTER of a kind of object that is not known");
            self.cursor.skip_rest();
            return Ok("ALTER".to_owned());
        };
        self.if_exists();
        match kind.kind {
            ObjectKind::Role | ObjectKind::UserMapping => self.alter_role(kind),
            ObjectKind::Table
            | ObjectKind::ForeignTable
            | ObjectKind::View
            | ObjectKind::MaterializedView
            | ObjectKind::Index
            | ObjectKind::Sequence => self.alter_relation(kind),
            _ => self.alter_other(kind),
        }
    }

    /// `SYSTEM SET name = value`, `SYSTEM RESET name|ALL`
    fn alter_system(&mut self) -> Parsed<String> {
        self.cursor.eat_any(&[Keyword::Set, Keyword::Reset]);
        let name = if self.cursor.eat(Keyword::All) {
            "all".to_owned()
        } else {
            self.qualified_name(NamePosition::NonReserved)?.display()
        };
        self.cursor.skip_rest();
        let reason = format!("changes {name} in the server's own configuration, for every session");
        self.found.effect_because(Effect::new(Action::Set, Object::new(ObjectKind::Setting, name)), reason);
        Ok("ALTER SYSTEM".to_owned())
    }

    /// `DEFAULT PRIVILEGES [FOR ROLE r] [IN SCHEMA s] GRANT|REVOKE ...`
    fn alter_default_privileges(&mut self) -> Parsed<String> {
        let schema = if self.cursor.find_outside(&[Keyword::Schema]).is_some() {
            while !self.cursor.eat(Keyword::Schema) {
                self.cursor.advance();
            }
            self.cursor.name(NamePosition::NonReserved)?
        } else {
            ""
        };
        let place = if schema.is_empty() { String::new() } else { format!(" in schema {schema}") };
        let change = self.cursor.find_outside(&[Keyword::Grant, Keyword::Revoke]).map_or_else(String::new, |ahead| {
            self.cursor.skip(ahead);
            format!(": {}", self.words(WORDS_SHOWN))
        });
        self.cursor.skip_rest();
        let effect = Effect::new(Action::Grant, Object::new(ObjectKind::Schema, schema));
        let reason = format!("changes the privileges that later objects{place} are made with{change}");
        self.found.effect_because(effect, reason);
        Ok("ALTER DEFAULT PRIVILEGES".to_owned())
    }

    fn alter_role(&mut self, kind: Kind) -> Parsed<String> {
        let object = match kind.form {
            NameForm::Single => Object::new(kind.kind, self.cursor.name(NamePosition::Label)?),
            _ => self.object_name(kind)?.object,
        };
        let reason = format!("changes {} {object}: {}", kind.shown(), self.words(WORDS_SHOWN));
        self.cursor.skip_rest();
        self.found.effect_because(Effect::new(Action::Grant, object), reason);
        Ok(kind.command("ALTER"))
    }

    /// Anything whose action does not matter further: the object is enough.
    fn alter_other(&mut self, kind: Kind) -> Parsed<String> {
        let named = self.object_name(kind)?;
        let object = named.object;
        if let Some(table) = named.table {
            self.found.effect(Effect::new(Action::Alter, table));
        }
        if kind.kind == ObjectKind::Type && self.cursor.at_ahead(1, Keyword::Value) {
            // Of an enumeration: a value more, or another name for one.
            self.found.redefines = Redefinition::NOTHING;
        }
        let words = self.words(WORDS_SHOWN);
        let owner = self.cursor.at(Keyword::Owner);
        if owner && kind.kind != ObjectKind::Schema {
            // Who may change it, and as whom it runs: not what.
            self.found.redefines = Redefinition::NOTHING;
        }
        self.cursor.skip_rest();
        let shown = kind.shown();
        if owner {
            self.found.effect(Effect::new(Action::Grant, object.clone()));
        }
        self.found
            .effect_because(Effect::new(Action::Alter, object.clone()), format!("alters {shown} {object}: {words}"));
        Ok(kind.command("ALTER"))
    }

    fn alter_relation(&mut self, kind: Kind) -> Parsed<String> {
        if self.cursor.eat_all(&[Keyword::All, Keyword::In, Keyword::Tablespace]) {
            let name = self.cursor.name(NamePosition::NonReserved)?;
            self.cursor.skip_rest();
            let effect = Effect::new(Action::Alter, Object::new(ObjectKind::Tablespace, name));
            self.found.effect_because(effect, format!("moves everything out of tablespace {name}"));
            return Ok(kind.command("ALTER"));
        }
        let relation = self.relation_expression()?;
        let object = relation.to_object(kind.kind);
        let effect = Effect::new(Action::Alter, object.clone());
        self.found.effect(if relation.schema == Some("pg_temp") { effect.temporary() } else { effect });
        let mut code = self.cursor;
        self.alter_actions(&object)?;
        std::mem::swap(&mut self.cursor, &mut code);
        self.scan_for_code();
        Ok(kind.command("ALTER"))
    }

    /// `action, action`: what each does, for the approver, and what it takes away.
    fn alter_actions(&mut self, object: &Object) -> Parsed<()> {
        self.found.redefines = Redefinition::NOTHING;
        loop {
            let redefines = self.redefinition_of_action(object.kind);
            self.found.redefines = std::mem::take(&mut self.found.redefines).and(redefines);
            let words = self.action_words();
            let kind = object.kind.as_str().replace('_', " ");
            self.found.reason(format!("alters {kind} {object}: {words}"));
            match self.cursor.keyword() {
                Some(Keyword::Drop) => self.dropped_part(object)?,
                Some(Keyword::Owner) => self.found.effect(Effect::new(Action::Grant, object.clone())),
                _ => self.parent_or_partition()?,
            }
            if !self.next_action() {
                return Ok(());
            }
        }
    }

    /// `[NO] INHERIT parent`, `ATTACH|DETACH PARTITION partition`: what is named is altered as well.
    fn parent_or_partition(&mut self) -> Parsed<()> {
        if self.cursor.eat(Keyword::Inherit) {
            let parent = self.qualified_name(NamePosition::Column)?;
            self.becomes_child_of(parent);
        } else if self.cursor.eat_all(&[Keyword::No, Keyword::Inherit]) {
            let parent = self.qualified_name(NamePosition::Column)?;
            self.altered_too(parent, "loses a child table");
        } else if self.cursor.eat_all(&[Keyword::Attach, Keyword::Partition]) {
            let partition = self.qualified_name(NamePosition::Column)?;
            self.altered_too(partition, "becomes a partition");
        } else if self.cursor.eat_all(&[Keyword::Detach, Keyword::Partition]) {
            let partition = self.qualified_name(NamePosition::Column)?;
            self.altered_too(partition, "is a partition no more");
        }
        Ok(())
    }

    /// `DROP [COLUMN] name`, `DROP CONSTRAINT name`
    fn dropped_part(&mut self, object: &Object) -> Parsed<()> {
        self.cursor.advance();
        let kind = match self.cursor.eat_any(&[Keyword::Column, Keyword::Constraint]) {
            Some(Keyword::Constraint) => ObjectKind::Constraint,
            _ => ObjectKind::Column,
        };
        self.if_exists();
        if let Some(name) = self.cursor.eat_name(NamePosition::NonReserved) {
            let part = Object { kind, schema: object.schema.clone(), name: format!("{}.{name}", object.name) };
            self.found.effect(Effect::new(Action::Drop, part));
        }
        Ok(())
    }

    /// Goes behind the next comma outside parentheses.
    fn next_action(&mut self) -> bool {
        let mut depth = 0_usize;
        while let Some(kind) = self.cursor.kind() {
            self.cursor.advance();
            match kind {
                TokenKind::OpenParen => depth += 1,
                TokenKind::CloseParen => depth = depth.saturating_sub(1),
                TokenKind::Comma if depth == 0 => return true,
                _ => {}
            }
        }
        false
    }

    /// The first words of an action, as the approver reads them.
    fn action_words(&self) -> String {
        const SHOWN: usize = 8;
        let mut words = String::new();
        for ahead in 0..SHOWN {
            match self.cursor.kind_at(ahead) {
                Some(TokenKind::Word | TokenKind::QuotedIdentifier) => {
                    if ahead > 0 {
                        words.push(' ');
                    }
                    words.push_str(self.cursor.text_at(ahead));
                }
                _ => break,
            }
        }
        words
    }

    /// Every name that may be a function, operator or type in what is left, without its grammar: more than there
    /// are, never less.
    pub(super) fn scan_for_code(&mut self) {
        let mut schema: Option<&'a str> = None;
        let mut depth = 0_usize;
        while let Some(kind) = self.cursor.kind() {
            let text = self.cursor.text();
            match kind {
                TokenKind::OpenParen => depth += 1,
                TokenKind::CloseParen => depth = depth.saturating_sub(1),
                TokenKind::Word if depth == 0 && schema.is_none() && self.at_parenthesized_options() => {}
                TokenKind::Operator => self.found.operator(text),
                TokenKind::Word | TokenKind::QuotedIdentifier => {
                    if schema.is_some() {
                        self.found.attribute(text);
                    }
                    self.scan_name(schema, text);
                    let dotted = self.cursor.kind_at(1) == Some(TokenKind::Dot);
                    schema = dotted.then_some(text);
                    if dotted {
                        self.cursor.advance();
                    }
                }
                // `(expression).name`
                TokenKind::Dot => schema = None,
                _ => {}
            }
            if kind == TokenKind::Dot
                && matches!(self.cursor.kind_at(1), Some(TokenKind::Word | TokenKind::QuotedIdentifier))
            {
                self.found.attribute(self.cursor.text_at(1));
            }
            self.cursor.advance();
        }
    }

    /// `SET (...)`, `RESET (...)`, `OPTIONS (...)` where an action begins: behind a comma, or the name of what is
    /// altered. In an expression such a word is a function behind an operator, a key word or a parenthesis.
    fn at_parenthesized_options(&self) -> bool {
        self.cursor.at_any(&[Keyword::Set, Keyword::Reset, Keyword::Options])
            && self.cursor.kind_at(1) == Some(TokenKind::OpenParen)
            && match self.cursor.kind_before() {
                Some(TokenKind::Comma | TokenKind::QuotedIdentifier) => true,
                Some(TokenKind::Word) => self.cursor.keyword_before().is_none(),
                _ => false,
            }
    }

    fn scan_name(&mut self, schema: Option<&'a str>, text: &str) {
        let name = || Name { schema: schema.map(str::to_owned), name: text.to_owned() };
        let follows = self.cursor.kind_at(1);
        let category = self.cursor.keyword().map(Keyword::category);
        let grammar = schema.is_none() && matches!(category, Some(Category::Reserved | Category::ColumnName));
        if grammar {
            if follows == Some(TokenKind::OpenParen) {
                self.scan_word_call(text);
            }
            return;
        }
        let refers =
            matches!(self.cursor.keyword_before(), Some(Keyword::References | Keyword::Primary | Keyword::Foreign));
        if follows == Some(TokenKind::OpenParen) && !refers {
            self.found.call(name());
            self.scan_arguments_with_effect(schema, text);
        } else {
            self.found.types.push(name());
        }
    }

    /// A key word and a parenthesis: with arguments as of a plain call, or on a server to which it is no key word, it
    /// calls whatever has that name.
    fn scan_word_call(&mut self, word: &str) {
        match word {
            "overlay" | "substring" => {
                self.found.system_call(word);
                self.call_by_word(word);
            }
            "extract" | "normalize" | "position" => self.found.system_call(word),
            "trim" => ["btrim", "ltrim", "rtrim"].iter().for_each(|name| self.found.system_call(name)),
            "nullif" => self.found.operator("="),
            // Those that were none always.
            _ if keyword_call(word).is_some_and(|since| since > 0) => self.call_by_word(word),
            _ => {}
        }
    }

    /// A call whose effect is noted where it stands, because its arguments decide on it: here they are not read.
    fn scan_arguments_with_effect(&mut self, schema: Option<&str>, name: &str) {
        if !matches!(schema, None | Some("pg_catalog" | "information_schema")) {
            return;
        }
        match builtin(name) {
            Some(Class::Setting) => self.set_config(None, None, false),
            Some(Class::Sequence) => self.sets_sequence(""),
            _ => {}
        }
    }
}
