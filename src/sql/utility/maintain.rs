//! Maintenance, locks, code blocks, comments, labels: what is neither a query nor a definition.

use super::object::NameForm;
use crate::sql::cursor::{NamePosition, Parsed};
use crate::sql::effect::{Action, Effect, Object, ObjectKind};
use crate::sql::keyword::Keyword;
use crate::sql::query::Parser;
use crate::sql::setting::parse_bool;
use crate::sql::statement::{FunctionUse, Notation, Redefinition, SessionChange};
use crate::sql::token::TokenKind;

impl<'a> Parser<'a> {
    /// `ANALYZE [VERBOSE] [name [(columns)], ...]`, `ANALYZE (options) ...`
    pub(super) fn analyze_statement(&mut self) -> Parsed<String> {
        self.cursor.advance();
        if self.cursor.at_kind(TokenKind::OpenParen) {
            self.cursor.skip_parentheses()?;
        }
        self.cursor.eat(Keyword::Verbose);
        self.maintained_relations("analyze", true)?;
        Ok("ANALYZE".to_owned())
    }

    /// `VACUUM [FULL] [FREEZE] [VERBOSE] [ANALYZE] [name [(columns)], ...]`, `VACUUM (options) ...`
    pub(super) fn vacuum(&mut self) -> Parsed<String> {
        self.cursor.advance();
        let mut full = false;
        if self.cursor.at_kind(TokenKind::OpenParen) {
            self.cursor.open()?;
            self.list(|parser| {
                let name = parser.cursor.name(NamePosition::Label)?;
                let value = parser.option_value()?;
                full |= name == "full" && value.is_none_or(|value| parse_bool(&value) != Some(false));
                Ok(())
            })?;
            self.cursor.close()?;
        } else {
            let words = [Keyword::Full, Keyword::Freeze, Keyword::Verbose, Keyword::Analyze, Keyword::Analyse];
            while let Some(word) = self.cursor.eat_any(&words) {
                full |= word == Keyword::Full;
            }
        }
        self.maintained_relations(if full { "vacuum full" } else { "vacuum" }, false)?;
        if full {
            self.found.reason("VACUUM FULL rewrites the table and blocks everybody meanwhile");
        }
        Ok("VACUUM".to_owned())
    }

    /// A list of relations with columns, perhaps empty: then it is the whole database.
    fn maintained_relations(&mut self, verb: &str, harmless: bool) -> Parsed<()> {
        let noted = |effect: Effect| if harmless { effect.harmless() } else { effect };
        if self.cursor.at_end() {
            self.found.effect(noted(Effect::new(Action::Maintain, Object::new(ObjectKind::Database, ""))));
            if !harmless {
                self.found.reason(format!("{verb}: every table of the database"));
            }
            return Ok(());
        }
        self.list(|parser| {
            let relation = parser.relation_expression()?;
            if parser.cursor.at_kind(TokenKind::OpenParen) {
                parser.name_list(NamePosition::Column)?;
            }
            parser.found.effect(noted(Effect::new(Action::Maintain, relation.to_object(ObjectKind::Relation))));
            if !harmless {
                parser.found.reason(format!("{verb} table {}", relation.display()));
            }
            Ok(())
        })
    }

    /// `REINDEX [(options)] INDEX|TABLE|SCHEMA|DATABASE|SYSTEM [CONCURRENTLY] [name]`
    pub(super) fn reindex(&mut self) -> Parsed<String> {
        self.cursor.advance();
        if self.cursor.at_kind(TokenKind::OpenParen) {
            self.cursor.skip_parentheses()?;
        }
        let words = [Keyword::Index, Keyword::Table, Keyword::Schema, Keyword::Database, Keyword::System];
        let Some(word) = self.cursor.eat_any(&words) else { return self.cursor.refuse("what to reindex is expected") };
        let concurrently = self.cursor.eat(Keyword::Concurrently);
        let kind = match word {
            Keyword::Index => ObjectKind::Index,
            Keyword::Table => ObjectKind::Relation,
            Keyword::Schema => ObjectKind::Schema,
            _ => ObjectKind::Database,
        };
        let object = if self.cursor.at_end() {
            Object::new(kind, "")
        } else {
            self.qualified_name(NamePosition::NonReserved)?.to_object(kind)
        };
        let blocks = if concurrently { "" } else { ": blocks writes meanwhile" };
        let name = if object.name.is_empty() { "of this session".to_owned() } else { object.to_string() };
        let reason = format!("reindex {} {name}{blocks}", word.text());
        self.found.effect_because(Effect::new(Action::Maintain, object), reason);
        Ok(format!("REINDEX {}", word.text().to_uppercase()))
    }

    /// `CLUSTER [VERBOSE] [name [USING index]]`, `CLUSTER index ON name`
    pub(super) fn cluster(&mut self) -> Parsed<String> {
        self.cursor.advance();
        if self.cursor.at_kind(TokenKind::OpenParen) {
            self.cursor.skip_parentheses()?;
        }
        self.cursor.eat(Keyword::Verbose);
        let mut object = Object::new(ObjectKind::Database, "");
        if !self.cursor.at_end() {
            object = self.qualified_name(NamePosition::NonReserved)?.to_object(ObjectKind::Relation);
        }
        if self.cursor.eat(Keyword::On) {
            object = self.qualified_name(NamePosition::NonReserved)?.to_object(ObjectKind::Relation);
        }
        self.cursor.skip_rest();
        let reason = if object.name.is_empty() {
            "cluster: rewrites every table that was clustered before, and blocks everybody meanwhile".to_owned()
        } else {
            format!("cluster table {object}: rewrites it and blocks everybody meanwhile")
        };
        self.found.effect_because(Effect::new(Action::Maintain, object), reason);
        Ok("CLUSTER".to_owned())
    }

    pub(super) fn checkpoint(&mut self) -> Parsed<String> {
        self.cursor.skip_rest();
        let object = Object::new(ObjectKind::System, "checkpoint");
        self.found.effect_because(Effect::new(Action::Maintain, object), "makes the server write everything out now");
        Ok("CHECKPOINT".to_owned())
    }

    /// `REFRESH MATERIALIZED VIEW [CONCURRENTLY] name [WITH [NO] DATA]`
    pub(super) fn refresh(&mut self) -> Parsed<String> {
        self.cursor.advance();
        self.cursor.expect(Keyword::Materialized)?;
        self.cursor.expect(Keyword::View)?;
        self.cursor.eat(Keyword::Concurrently);
        let view = self.qualified_name(NamePosition::NonReserved)?;
        self.cursor.skip_rest();
        let reason = format!("refresh materialized view {}: runs its query and replaces its rows", view.display());
        self.found.effect_because(Effect::new(Action::Maintain, view.to_object(ObjectKind::MaterializedView)), reason);
        Ok("REFRESH MATERIALIZED VIEW".to_owned())
    }

    /// `LOCK [TABLE] [ONLY] name, ... [IN mode MODE] [NOWAIT]`
    pub(super) fn lock(&mut self) -> Parsed<String> {
        self.cursor.advance();
        self.cursor.eat(Keyword::Table);
        let mut tables = Vec::new();
        self.list(|parser| {
            tables.push(parser.relation_expression()?);
            Ok(())
        })?;
        let mode = if self.cursor.eat(Keyword::In) { self.lock_mode()? } else { "ACCESS EXCLUSIVE" };
        self.cursor.eat(Keyword::Nowait);
        // These conflict with no INSERT, UPDATE or DELETE.
        let harmless = matches!(mode, "ACCESS SHARE" | "ROW SHARE" | "ROW EXCLUSIVE");
        for table in tables {
            let effect = Effect::new(Action::Lock, table.to_object(ObjectKind::Relation));
            if harmless {
                self.found.effect(effect.harmless());
            } else {
                let reason =
                    format!("locks {} in {mode} mode: others wait until the transaction ends", table.display());
                self.found.effect_because(effect, reason);
            }
        }
        Ok("LOCK TABLE".to_owned())
    }

    fn lock_mode(&mut self) -> Parsed<&'static str> {
        let modes: [(&[Keyword], &str); 8] = [
            (&[Keyword::Access, Keyword::Share], "ACCESS SHARE"),
            (&[Keyword::Access, Keyword::Exclusive], "ACCESS EXCLUSIVE"),
            (&[Keyword::Row, Keyword::Share], "ROW SHARE"),
            (&[Keyword::Row, Keyword::Exclusive], "ROW EXCLUSIVE"),
            (&[Keyword::Share, Keyword::Update, Keyword::Exclusive], "SHARE UPDATE EXCLUSIVE"),
            (&[Keyword::Share, Keyword::Row, Keyword::Exclusive], "SHARE ROW EXCLUSIVE"),
            (&[Keyword::Share], "SHARE"),
            (&[Keyword::Exclusive], "EXCLUSIVE"),
        ];
        for (words, mode) in modes {
            if self.cursor.eat_all(words) {
                self.cursor.expect(Keyword::Mode)?;
                return Ok(mode);
            }
        }
        self.cursor.refuse("a lock mode is expected")
    }

    /// `LOAD 'file'`
    pub(super) fn load(&mut self) -> Parsed<String> {
        self.cursor.advance();
        let file = self.cursor.string()?.to_owned();
        self.found.depends_on_literals = true;
        let reason = format!("loads the library {file} into the server process");
        self.found.effect_because(Effect::new(Action::Host, Object::new(ObjectKind::File, file)), reason);
        self.found.session.push(SessionChange::Anything);
        Ok("LOAD".to_owned())
    }

    /// `DO [LANGUAGE name] 'code'`
    pub(super) fn do_statement(&mut self) -> Parsed<String> {
        self.cursor.advance();
        let mut language = "plpgsql".to_owned();
        let mut code = false;
        while !self.cursor.at_end() {
            if self.cursor.eat(Keyword::Language) {
                language = self.word_or_string()?;
            } else {
                self.cursor.string()?;
                code = true;
            }
        }
        if !code {
            return self.cursor.refuse("a code block is expected");
        }
        let reason = format!("DO runs a block of {language} code, which may do anything");
        self.found.effect_because(Effect::new(Action::Execute, Object::new(ObjectKind::Language, language)), reason);
        self.found.session.push(SessionChange::Anything);
        Ok("DO".to_owned())
    }

    /// `CALL name(arguments)`
    pub(super) fn call(&mut self) -> Parsed<String> {
        self.cursor.advance();
        let procedure = self.qualified_name(NamePosition::TypeOrFunction)?;
        self.arguments()?;
        self.found.functions.push(FunctionUse { name: procedure.to_name(), notation: Notation::Procedure });
        self.found.session.push(SessionChange::Anything);
        Ok("CALL".to_owned())
    }

    /// `COMMENT ON kind name IS 'text'|NULL`
    pub(super) fn comment(&mut self) -> Parsed<String> {
        self.cursor.advance();
        self.labelled("COMMENT", "changes the comment of")
    }

    /// `SECURITY LABEL [FOR provider] ON kind name IS 'label'`
    pub(super) fn security_label(&mut self) -> Parsed<String> {
        self.cursor.advance();
        self.cursor.expect(Keyword::Label)?;
        if self.cursor.eat(Keyword::For) {
            self.word_or_string()?;
        }
        self.labelled("SECURITY LABEL", "changes the security label of")
    }

    fn labelled(&mut self, command: &str, verb: &str) -> Parsed<String> {
        self.cursor.expect(Keyword::On)?;
        let Some(mut kind) = self.object_kind() else { return self.cursor.refuse("a kind of object is expected") };
        if matches!(kind.form, NameForm::Qualified) && kind.kind == ObjectKind::Index {
            kind.form = NameForm::Qualified;
        }
        let object = self.object_name(kind)?.object;
        self.cursor.skip_rest();
        let reason = format!("{verb} {} {object}", kind.kind.as_str().replace('_', " "));
        self.found.effect_because(Effect::new(Action::Alter, object), reason);
        self.found.redefines = Redefinition::NOTHING;
        Ok(command.to_owned())
    }

    /// `IMPORT FOREIGN SCHEMA remote ... FROM SERVER server INTO schema`
    pub(super) fn import_foreign_schema(&mut self) -> Parsed<String> {
        self.cursor.advance();
        self.cursor.expect(Keyword::Foreign)?;
        self.cursor.expect(Keyword::Schema)?;
        let remote = self.cursor.name(NamePosition::NonReserved)?;
        while !self.cursor.at_end() && !self.cursor.at(Keyword::Into) {
            self.cursor.advance();
        }
        self.cursor.expect(Keyword::Into)?;
        let schema = self.cursor.name(NamePosition::NonReserved)?;
        self.cursor.skip_rest();
        let object = Object::in_schema(ObjectKind::ForeignTable, schema, "");
        let reason = format!("makes foreign tables in schema {schema} for those of the remote schema {remote}");
        self.found.effect_because(Effect::new(Action::Create, object), reason);
        Ok("IMPORT FOREIGN SCHEMA".to_owned())
    }
}
