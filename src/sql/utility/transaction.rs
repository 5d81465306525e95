//! Transaction control: BEGIN to ROLLBACK, savepoints, two-phase commit.

use crate::sql::cursor::{NamePosition, Parsed};
use crate::sql::effect::{Action, Effect, Object, ObjectKind};
use crate::sql::keyword::Keyword;
use crate::sql::query::Parser;
use crate::sql::statement::SessionChange;
use crate::sql::token::TokenKind;

/// What a list of transaction modes says of writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AccessMode {
    Unchanged,
    ReadOnly,
    ReadWrite,
}

impl<'a> Parser<'a> {
    pub(super) fn transaction_statement(&mut self, keyword: Keyword) -> Parsed<String> {
        self.cursor.advance();
        match keyword {
            Keyword::Begin => {
                self.cursor.eat_any(&[Keyword::Work, Keyword::Transaction]);
                self.begin("BEGIN")
            }
            Keyword::Start => {
                self.cursor.expect(Keyword::Transaction)?;
                self.begin("START TRANSACTION")
            }
            Keyword::Commit if self.cursor.eat(Keyword::Prepared) => self.two_phase("COMMIT PREPARED"),
            Keyword::Commit => self.end_transaction("COMMIT", SessionChange::Commit),
            Keyword::End => self.end_transaction("END", SessionChange::Commit),
            Keyword::Rollback if self.cursor.eat(Keyword::Prepared) => self.two_phase("ROLLBACK PREPARED"),
            Keyword::Rollback => self.rollback(),
            Keyword::Abort => self.end_transaction("ABORT", SessionChange::Rollback),
            Keyword::Savepoint => {
                let name = self.cursor.name(NamePosition::Column)?.to_owned();
                Ok(self.transaction_control("SAVEPOINT", SessionChange::Savepoint(name)))
            }
            _ => {
                self.cursor.eat(Keyword::Savepoint);
                let name = self.cursor.name(NamePosition::Column)?.to_owned();
                Ok(self.transaction_control("RELEASE", SessionChange::ReleaseSavepoint(name)))
            }
        }
    }

    fn transaction_control(&mut self, command: &str, change: SessionChange) -> String {
        self.found.session.push(change);
        self.found.effect(Effect::new(Action::Transaction, Object::new(ObjectKind::Transaction, "")).harmless());
        command.to_owned()
    }

    fn begin(&mut self, command: &str) -> Parsed<String> {
        self.transaction_modes()?;
        Ok(self.transaction_control(command, SessionChange::Begin))
    }

    /// `ISOLATION LEVEL x, READ ONLY, [NOT] DEFERRABLE`; the commas may be left out.
    pub(super) fn transaction_modes(&mut self) -> Parsed<AccessMode> {
        let mut access = AccessMode::Unchanged;
        let mut comma = false;
        loop {
            if self.cursor.eat_all(&[Keyword::Isolation, Keyword::Level]) {
                self.isolation_level()?;
            } else if self.cursor.eat_all(&[Keyword::Read, Keyword::Only]) {
                access = AccessMode::ReadOnly;
            } else if self.cursor.eat_all(&[Keyword::Read, Keyword::Write]) {
                access = AccessMode::ReadWrite;
            } else if !self.cursor.eat(Keyword::Deferrable)
                && !self.cursor.eat_all(&[Keyword::Not, Keyword::Deferrable])
            {
                return if comma { self.cursor.refuse("a transaction mode is expected") } else { Ok(access) };
            }
            comma = self.cursor.eat_kind(TokenKind::Comma);
        }
    }

    fn isolation_level(&mut self) -> Parsed<()> {
        let known = self.cursor.eat(Keyword::Serializable)
            || self.cursor.eat_all(&[Keyword::Repeatable, Keyword::Read])
            || self.cursor.eat_all(&[Keyword::Read, Keyword::Committed])
            || self.cursor.eat_all(&[Keyword::Read, Keyword::Uncommitted]);
        if known { Ok(()) } else { self.cursor.refuse("an isolation level is expected") }
    }

    /// `[WORK|TRANSACTION] [AND [NO] CHAIN]`
    fn end_transaction(&mut self, command: &str, change: SessionChange) -> Parsed<String> {
        self.cursor.eat_any(&[Keyword::Work, Keyword::Transaction]);
        let command = self.transaction_control(command, change);
        if self.cursor.eat(Keyword::And) {
            let chain = !self.cursor.eat(Keyword::No);
            self.cursor.expect(Keyword::Chain)?;
            if chain {
                self.found.session.push(SessionChange::Begin);
            }
        }
        Ok(command)
    }

    /// `ROLLBACK`, `ROLLBACK TO [SAVEPOINT] name`
    fn rollback(&mut self) -> Parsed<String> {
        let start = self.cursor;
        self.cursor.eat_any(&[Keyword::Work, Keyword::Transaction]);
        if self.cursor.eat(Keyword::To) {
            self.cursor.eat(Keyword::Savepoint);
            let name = self.cursor.name(NamePosition::Column)?.to_owned();
            return Ok(self.transaction_control("ROLLBACK", SessionChange::RollbackToSavepoint(name)));
        }
        self.cursor = start;
        self.end_transaction("ROLLBACK", SessionChange::Rollback)
    }

    /// `PREPARE TRANSACTION 'id'` and what ends it, from any session.
    pub(super) fn two_phase(&mut self, command: &str) -> Parsed<String> {
        let id = self.cursor.string()?.to_owned();
        self.found.depends_on_literals = true;
        if command == "PREPARE TRANSACTION" {
            // The transaction leaves this session, as if it had ended.
            self.found.session.push(SessionChange::Commit);
        }
        self.found.effect_because(
            Effect::new(Action::Transaction, Object::new(ObjectKind::Transaction, id)),
            format!("{command}: the transaction outlives its session"),
        );
        Ok(command.to_owned())
    }
}
