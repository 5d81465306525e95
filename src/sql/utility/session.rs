//! SET, RESET, SHOW, DISCARD; LISTEN, UNLISTEN, NOTIFY.

use super::transaction::AccessMode;
use crate::sql::cursor::{NamePosition, Parsed};
use crate::sql::effect::{Action, Effect, Extent, Object, ObjectKind};
use crate::sql::keyword::{Category, Keyword};
use crate::sql::query::Parser;
use crate::sql::setting;
use crate::sql::statement::{DiscardTarget, SessionChange};
use crate::sql::token::TokenKind;

/// Settings whose value is a list of names, stored with quotes where a name needs them.
const NAME_LISTS: [&str; 5] = [
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
];

/// What a SET sets a setting to.
enum NewValue {
    /// DEFAULT.
    Default,
    /// As Postgres stores it.
    Known(String),
    /// Computed, or not followed.
    Computed,
}

impl<'a> Parser<'a> {
    /// `SET [SESSION|LOCAL] ...`
    pub(super) fn set(&mut self) -> Parsed<String> {
        self.cursor.advance();
        if self.cursor.eat(Keyword::Constraints) {
            return self.set_constraints();
        }
        if self.cursor.eat_all(&[Keyword::Session, Keyword::Characteristics, Keyword::As, Keyword::Transaction]) {
            let access = self.transaction_modes()?;
            self.access_mode("default_transaction_read_only", access, false);
            return Ok("SET SESSION CHARACTERISTICS".to_owned());
        }
        // `SET session = 1` would be a setting of that name; no server has one.
        let local = self.cursor.eat_any(&[Keyword::Local, Keyword::Session]) == Some(Keyword::Local);
        match self.cursor.keyword() {
            Some(Keyword::Transaction) => self.set_transaction(),
            Some(Keyword::Role) if !self.at_assignment() => self.set_role(),
            Some(Keyword::Session | Keyword::Authorization) if !self.at_assignment() => self.set_authorization(),
            _ => {
                self.set_setting(local)?;
                Ok("SET".to_owned())
            }
        }
    }

    /// Whether `word =` or `word TO` stands here.
    fn at_assignment(&self) -> bool {
        self.cursor.at_ahead(1, Keyword::To)
            || (self.cursor.kind_at(1) == Some(TokenKind::Operator) && self.cursor.text_at(1) == "=")
    }

    fn set_constraints(&mut self) -> Parsed<String> {
        if !self.cursor.eat(Keyword::All) {
            self.list(|parser| parser.qualified_name(NamePosition::Column).map(drop))?;
        }
        if self.cursor.eat_any(&[Keyword::Deferred, Keyword::Immediate]).is_none() {
            return self.cursor.refuse("DEFERRED or IMMEDIATE is expected");
        }
        self.found.effect(Effect::new(Action::Transaction, Object::new(ObjectKind::Constraint, "")).harmless());
        Ok("SET CONSTRAINTS".to_owned())
    }

    /// `SET TRANSACTION modes`, `SET TRANSACTION SNAPSHOT 'id'`
    fn set_transaction(&mut self) -> Parsed<String> {
        self.cursor.advance();
        if self.cursor.eat(Keyword::Snapshot) {
            self.cursor.string()?;
            self.found.effect(Effect::new(Action::Transaction, Object::new(ObjectKind::Transaction, "")).harmless());
        } else {
            let access = self.transaction_modes()?;
            self.access_mode("transaction_read_only", access, true);
        }
        Ok("SET TRANSACTION".to_owned())
    }

    /// Modes that say nothing of writing, or forbid it, are harmless; READ WRITE takes a guard away.
    fn access_mode(&mut self, name: &str, access: AccessMode, local: bool) {
        let effect = Effect::new(Action::Transaction, Object::new(ObjectKind::Transaction, "")).harmless();
        match access {
            AccessMode::Unchanged => self.found.effect(effect),
            AccessMode::ReadOnly => self.set_to(name, NewValue::Known("on".to_owned()), local),
            AccessMode::ReadWrite => self.set_to(name, NewValue::Known("off".to_owned()), local),
        }
    }

    /// `ROLE name|NONE`
    fn set_role(&mut self) -> Parsed<String> {
        self.cursor.advance();
        let role = self.word_or_string()?;
        self.role_changes("role", &role);
        Ok("SET ROLE".to_owned())
    }

    /// `SESSION AUTHORIZATION name|DEFAULT`
    fn set_authorization(&mut self) -> Parsed<String> {
        self.cursor.eat(Keyword::Session);
        self.cursor.expect(Keyword::Authorization)?;
        let role = if self.cursor.eat(Keyword::Default) { "default".to_owned() } else { self.word_or_string()? };
        self.role_changes("session_authorization", &role);
        Ok("SET SESSION AUTHORIZATION".to_owned())
    }

    fn role_changes(&mut self, name: &str, role: &str) {
        self.found.session.push(SessionChange::Role);
        self.found.effect_because(
            Effect::new(Action::Set, Object::new(ObjectKind::Setting, name)),
            format!("the session goes on with the rights of another role: {role}"),
        );
    }

    /// A word, a quoted name or a string.
    pub(super) fn word_or_string(&mut self) -> Parsed<String> {
        if self.cursor.at_kind(TokenKind::String) {
            self.found.depends_on_literals = true;
            return Ok(self.cursor.string()?.to_owned());
        }
        Ok(self.cursor.name(NamePosition::NonReserved)?.to_owned())
    }

    /// `name = value, ...`, and the settings with a grammar of their own.
    fn set_setting(&mut self, local: bool) -> Parsed<()> {
        match self.cursor.keyword() {
            Some(Keyword::Time) if self.cursor.at_ahead(1, Keyword::Zone) => {
                self.cursor.advance();
                self.cursor.advance();
                let value = self.time_zone_value()?;
                self.set_to("timezone", value, local);
            }
            Some(Keyword::Names) if !self.at_assignment() => {
                self.cursor.advance();
                let value = if self.cursor.at_end() || self.cursor.eat(Keyword::Default) {
                    NewValue::Default
                } else {
                    NewValue::Known(self.string_value()?)
                };
                self.set_to("client_encoding", value, local);
            }
            Some(Keyword::Schema) if self.cursor.kind_at(1) == Some(TokenKind::String) => {
                self.cursor.advance();
                let schema = self.string_value()?;
                self.set_to("search_path", NewValue::Known(quoted_name(&schema)), local);
            }
            Some(Keyword::Catalog) if self.cursor.kind_at(1) == Some(TokenKind::String) => {
                self.cursor.advance();
                self.cursor.advance();
                self.set_to("catalog", NewValue::Computed, local);
            }
            Some(Keyword::Xml) if self.cursor.at_ahead(1, Keyword::Option) => {
                self.cursor.advance();
                self.cursor.advance();
                if self.cursor.eat_any(&[Keyword::Document, Keyword::Content]).is_none() {
                    return self.cursor.refuse("DOCUMENT or CONTENT is expected");
                }
                self.set_to("xmloption", NewValue::Computed, local);
            }
            _ => self.assign_setting(local)?,
        }
        Ok(())
    }

    fn string_value(&mut self) -> Parsed<String> {
        self.found.depends_on_literals = true;
        Ok(self.cursor.string()?.to_owned())
    }

    /// The name of a setting: `a`, `a.b`.
    fn setting_name(&mut self) -> Parsed<String> {
        let mut name = self.cursor.name(NamePosition::Column)?.to_ascii_lowercase();
        while self.cursor.eat_kind(TokenKind::Dot) {
            name.push('.');
            name.push_str(&self.cursor.name(NamePosition::Column)?.to_ascii_lowercase());
        }
        Ok(name)
    }

    fn assign_setting(&mut self, local: bool) -> Parsed<()> {
        let name = self.setting_name()?;
        if !self.cursor.eat(Keyword::To) {
            self.cursor.expect_operator("=")?;
        }
        let value = if self.cursor.eat(Keyword::Default) {
            NewValue::Default
        } else {
            NewValue::Known(self.setting_values(&name)?)
        };
        match name.as_str() {
            "role" | "session_authorization" => self.role_changes(&name, "as named"),
            _ => self.set_to(&name, value, local),
        }
        Ok(())
    }

    /// `value, value` as Postgres stores it (`flatten_set_variable_args` of `src/backend/utils/misc/guc_funcs.c`).
    fn setting_values(&mut self, name: &str) -> Parsed<String> {
        let mut values = String::new();
        self.list(|parser| {
            let value = parser.setting_value()?;
            if !values.is_empty() {
                values.push_str(", ");
            }
            values.push_str(&if NAME_LISTS.contains(&name) { quoted_name(&value) } else { value });
            Ok(())
        })?;
        Ok(values)
    }

    /// A word, string or number.
    fn setting_value(&mut self) -> Parsed<String> {
        let mut sign = "";
        if self.cursor.eat_operator("-") {
            sign = "-";
        } else {
            self.cursor.eat_operator("+");
        }
        match self.cursor.kind() {
            Some(TokenKind::Number) => {
                self.found.depends_on_literals = true;
                let number = format!("{sign}{}", self.cursor.text());
                self.cursor.advance();
                Ok(number)
            }
            Some(TokenKind::String) if sign.is_empty() => self.string_value(),
            // TRUE, FALSE and ON are values here though they are reserved.
            Some(TokenKind::Word)
                if sign.is_empty() && self.cursor.at_any(&[Keyword::True, Keyword::False, Keyword::On]) =>
            {
                let word = self.cursor.text().to_owned();
                self.cursor.advance();
                Ok(word)
            }
            _ => Ok(self.cursor.name(NamePosition::NonReserved)?.to_owned()),
        }
    }

    /// `'UTC'`, `-8`, `LOCAL`, `DEFAULT`, `INTERVAL '-8' HOUR`
    fn time_zone_value(&mut self) -> Parsed<NewValue> {
        if self.cursor.eat_any(&[Keyword::Local, Keyword::Default]).is_some() {
            return Ok(NewValue::Default);
        }
        if self.cursor.at(Keyword::Interval) {
            self.primary()?;
            return Ok(NewValue::Computed);
        }
        self.setting_value().map(NewValue::Known)
    }

    /// Notes a change of a setting.
    fn set_to(&mut self, name: &str, value: NewValue, local: bool) {
        let (harmless, value) = match value {
            NewValue::Default => (setting::is_harmless_to_reset(name), None),
            NewValue::Known(value) => (setting::is_harmless(name, Some(&value)), Some(value)),
            NewValue::Computed => (setting::is_harmless(name, None), None),
        };
        self.setting_changes(name, harmless);
        self.found.session.push(SessionChange::Set { name: Some(name.to_owned()), value, local });
    }

    fn setting_changes(&mut self, name: &str, harmless: bool) {
        let effect = Effect::new(Action::Set, Object::new(ObjectKind::Setting, name));
        if harmless {
            self.found.effect(effect.harmless());
        } else {
            self.found.effect_because(effect, format!("{name} is not on the list of harmless settings"));
        }
    }

    /// A call of `set_config(name, value, local)`; `None` for what is not a literal.
    pub(in crate::sql) fn set_config(&mut self, name: Option<&str>, value: Option<&str>, local: bool) {
        let Some(name) = name.map(str::to_ascii_lowercase) else {
            self.found.effect_because(
                Effect::new(Action::Set, Object::new(ObjectKind::Setting, "")),
                "set_config sets a setting whose name is computed",
            );
            self.found.session.push(SessionChange::Set { name: None, value: None, local });
            return;
        };
        match name.as_str() {
            "role" | "session_authorization" => self.role_changes(&name, value.unwrap_or("computed")),
            _ => {
                self.setting_changes(&name, setting::is_harmless(&name, value));
                let value = value.map(str::to_owned);
                self.found.session.push(SessionChange::Set { name: Some(name), value, local });
            }
        }
    }

    /// `RESET name|ALL`
    pub(super) fn reset(&mut self) -> Parsed<String> {
        self.cursor.advance();
        if self.cursor.eat(Keyword::All) {
            self.found.effect(Effect::new(Action::Set, Object::new(ObjectKind::Setting, "all")).harmless());
            self.found.session.push(SessionChange::Reset(None));
            return Ok("RESET".to_owned());
        }
        let name = if self.cursor.eat_all(&[Keyword::Time, Keyword::Zone]) {
            "timezone".to_owned()
        } else if self.cursor.eat_all(&[Keyword::Transaction, Keyword::Isolation, Keyword::Level]) {
            "transaction_isolation".to_owned()
        } else if self.cursor.eat_all(&[Keyword::Session, Keyword::Authorization]) {
            "session_authorization".to_owned()
        } else {
            self.setting_name()?
        };
        match name.as_str() {
            "role" | "session_authorization" => self.role_changes(&name, "that of the login"),
            _ => {
                self.setting_changes(&name, setting::is_harmless_to_reset(&name));
                self.found.session.push(SessionChange::Reset(Some(name)));
            }
        }
        Ok("RESET".to_owned())
    }

    /// `SHOW name|ALL`
    pub(super) fn show(&mut self) -> Parsed<String> {
        self.cursor.advance();
        let name = if self.cursor.eat(Keyword::All) {
            "all".to_owned()
        } else if self.cursor.eat_all(&[Keyword::Time, Keyword::Zone]) {
            "timezone".to_owned()
        } else if self.cursor.eat_all(&[Keyword::Transaction, Keyword::Isolation, Keyword::Level]) {
            "transaction_isolation".to_owned()
        } else if self.cursor.eat_all(&[Keyword::Session, Keyword::Authorization]) {
            "session_authorization".to_owned()
        } else {
            self.setting_name()?
        };
        self.found.effect(Effect::new(Action::Read, Object::new(ObjectKind::Setting, name)));
        Ok("SHOW".to_owned())
    }

    /// `DISCARD ALL|PLANS|SEQUENCES|TEMP`
    pub(super) fn discard(&mut self) -> Parsed<String> {
        self.cursor.advance();
        let (target, name) = match self.cursor.keyword() {
            Some(Keyword::All) => (DiscardTarget::All, "all"),
            Some(Keyword::Plans) => (DiscardTarget::Plans, "plans"),
            Some(Keyword::Sequences) => (DiscardTarget::Sequences, "sequences"),
            Some(Keyword::Temp | Keyword::Temporary) => (DiscardTarget::Temporary, "temporary"),
            _ => return self.cursor.refuse("ALL, PLANS, SEQUENCES or TEMPORARY is expected"),
        };
        self.cursor.advance();
        self.found.effect(Effect::new(Action::Set, Object::new(ObjectKind::Setting, name)).harmless());
        self.found.session.push(SessionChange::Discard(target));
        Ok("DISCARD".to_owned())
    }

    /// `LISTEN name`, `UNLISTEN name|*`, `NOTIFY name [, 'payload']`
    pub(super) fn channel_statement(&mut self, keyword: Keyword) -> Parsed<String> {
        self.cursor.advance();
        let name = if keyword == Keyword::Unlisten && self.cursor.eat_operator("*") {
            ""
        } else {
            self.cursor.name(NamePosition::Column)?
        };
        let channel = Object::new(ObjectKind::Channel, name);
        if keyword == Keyword::Notify {
            if self.cursor.eat_kind(TokenKind::Comma) {
                self.cursor.string()?;
            }
            self.found.effect(Effect::new(Action::Insert, channel).with_extent(Extent::Bounded));
        } else {
            self.found.effect(Effect::new(Action::Set, channel).harmless());
        }
        Ok(keyword.text().to_uppercase())
    }
}

/// A name as it must be written in a list of names (`quote_identifier` of `src/backend/utils/adt/ruleutils.c`).
fn quoted_name(name: &str) -> String {
    let mut bytes = name.bytes();
    let plain = bytes.next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && Keyword::from_folded(name).is_none_or(|keyword| keyword.category() == Category::Unreserved);
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}
