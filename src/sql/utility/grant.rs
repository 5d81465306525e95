//! GRANT, REVOKE, REASSIGN OWNED: who may do what.

use crate::sql::cursor::{NamePosition, Parsed};
use crate::sql::effect::{Action, Effect, Object, ObjectKind};
use crate::sql::keyword::Keyword;
use crate::sql::query::Parser;
use crate::sql::token::TokenKind;

/// Tokens behind TO or FROM that are shown.
const GRANTEES_SHOWN: usize = 24;

impl<'a> Parser<'a> {
    /// `GRANT privileges ON objects TO roles`, `GRANT roles TO roles`, and the same with REVOKE ... FROM.
    pub(super) fn grant_or_revoke(&mut self, command: &str) -> Parsed<String> {
        self.cursor.advance();
        let on = self.cursor.find_outside(&[Keyword::On, Keyword::To, Keyword::From]);
        let Some(ahead) = on else { return self.cursor.refuse("ON, TO or FROM is expected") };
        let objects = self.cursor.at_ahead(ahead, Keyword::On);
        if objects {
            let words = self.words_between(0, ahead);
            self.cursor.skip(ahead + 1);
            let who = self.grantees();
            self.privilege_objects(command, &words, &who)?;
        } else {
            self.memberships(command)?;
        }
        self.cursor.skip_rest();
        Ok(command.to_owned())
    }

    /// `[INHERIT|SET|ADMIN OPTION FOR] role, ... TO role, ...`
    fn memberships(&mut self, command: &str) -> Parsed<()> {
        let who = self.grantees();
        if matches!(self.cursor.keyword_at(1), Some(Keyword::Option)) && self.cursor.at_ahead(2, Keyword::For) {
            self.cursor.skip(3);
        }
        self.list(|parser| {
            let role = parser.cursor.name(NamePosition::Label)?;
            let effect = Effect::new(Action::Grant, Object::new(ObjectKind::Role, role));
            parser.found.effect_because(effect, format!("{} membership in {role}{who}", command.to_lowercase()));
            Ok(())
        })
    }

    /// ` to app with grant option`: who gets it or loses it, and all that follows.
    fn grantees(&mut self) -> String {
        let Some(ahead) = self.cursor.find_outside(&[Keyword::To, Keyword::From]) else { return String::new() };
        format!(" {}", self.words_ahead(ahead, GRANTEES_SHOWN))
    }

    fn privilege_objects(&mut self, command: &str, privileges: &str, who: &str) -> Parsed<()> {
        let verb = command.to_lowercase();
        if self.cursor.eat(Keyword::All) {
            let what = self.cursor.text();
            while !self.cursor.at_end() && !self.cursor.eat(Keyword::Schema) {
                self.cursor.advance();
            }
            return self.list(|parser| {
                let schema = parser.cursor.name(NamePosition::NonReserved)?;
                let effect = Effect::new(Action::Grant, Object::new(ObjectKind::Schema, schema));
                parser
                    .found
                    .effect_because(effect, format!("{verb} {privileges} on all {what} in schema {schema}{who}"));
                Ok(())
            });
        }
        let parameter = self.cursor.at(Keyword::Parameter);
        let kind = if parameter { None } else { self.granted_kind() };
        if parameter {
            self.cursor.advance();
        }
        self.list(|parser| {
            let object = match kind {
                Some(kind) => parser.object_name(kind)?.object,
                None if parameter => {
                    let name = parser.qualified_name(NamePosition::NonReserved)?;
                    Object::new(ObjectKind::Setting, name.display())
                }
                None => parser.qualified_name(NamePosition::NonReserved)?.to_object(ObjectKind::Relation),
            };
            let kind = object.kind.as_str().replace('_', " ");
            let reason = format!("{verb} {privileges} on {kind} {object}{who}");
            parser.found.effect_because(Effect::new(Action::Grant, object), reason);
            Ok(())
        })
    }

    /// `TABLE`, `FOREIGN SERVER`, `FUNCTION` ... before the names.
    fn granted_kind(&mut self) -> Option<super::object::Kind> {
        if self.cursor.at_all(&[Keyword::Foreign, Keyword::Server]) {
            self.cursor.advance();
        }
        // A table may be named like a kind: then no name follows.
        if matches!(self.cursor.keyword_at(1), Some(Keyword::To | Keyword::From))
            || matches!(self.cursor.kind_at(1), Some(TokenKind::Comma | TokenKind::Dot))
        {
            return None;
        }
        self.object_kind()
    }

    /// `REASSIGN OWNED BY roles TO role`
    pub(super) fn reassign_owned(&mut self) -> Parsed<String> {
        self.cursor.advance();
        self.cursor.expect(Keyword::Owned)?;
        self.cursor.expect(Keyword::By)?;
        let mut roles = Vec::new();
        self.list(|parser| {
            roles.push(parser.cursor.name(NamePosition::Label)?);
            Ok(())
        })?;
        self.cursor.expect(Keyword::To)?;
        let to = self.cursor.name(NamePosition::Label)?;
        for role in roles {
            let effect = Effect::new(Action::Grant, Object::new(ObjectKind::Role, role));
            self.found.effect_because(effect, format!("gives everything that {role} owns to {to}"));
        }
        Ok("REASSIGN OWNED".to_owned())
    }
}
