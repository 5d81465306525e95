//! Everything that is no query: recognised word by word, because what matters is the action and the object.
//!
//! What a statement does harmlessly is read to its last token, so that nothing hides behind it. What has to wait
//! for a person anyway is read as far as its action and objects stand; the server judges the rest of its grammar.

mod alter;
mod copy;
mod create;
mod drop;
mod explain;
mod grant;
mod maintain;
mod object;
mod prepared;
mod redefinition;
mod session;
mod table;
mod transaction;

use super::cursor::Parsed;
use super::effect::{Action, Effect, Object, ObjectKind};
use super::keyword::Keyword;
use super::query::Parser;
use super::statement::SessionChange;

/// Commands that only the replication protocol has.
const REPLICATION_COMMANDS: [&str; 10] = [
    "alter_replication_slot",
    "base_backup",
    "create_replication_slot",
    "drop_replication_slot",
    "identify_system",
    "read_replication_slot",
    "start_replication",
    "stop_replication",
    "timeline_history",
    "upload_manifest",
];

impl<'a> Parser<'a> {
    /// One whole statement; its command.
    pub(super) fn statement(&mut self) -> Parsed<String> {
        let command = self.statement_body()?;
        self.cursor.expect_end()?;
        Ok(command)
    }

    fn statement_body(&mut self) -> Parsed<String> {
        let Some(keyword) = self.cursor.keyword() else { return self.statement_without_keyword() };
        match keyword {
            Keyword::Select
            | Keyword::With
            | Keyword::Values
            | Keyword::Table
            | Keyword::Insert
            | Keyword::Update
            | Keyword::Delete
            | Keyword::Merge => self.query_or_change_statement().map(str::to_owned),
            Keyword::Create => self.create(),
            Keyword::Alter => self.alter(),
            Keyword::Drop => self.drop_statement(),
            Keyword::Truncate => self.truncate(),
            Keyword::Copy => self.copy(),
            Keyword::Explain => self.explain(),
            _ => match self.session_statement(keyword)? {
                Some(command) => Ok(command),
                None => self.maintenance_statement(keyword),
            },
        }
    }

    fn statement_without_keyword(&mut self) -> Parsed<String> {
        if self.cursor.at_kind(super::token::TokenKind::OpenParen) {
            return self.query_or_change_statement().map(str::to_owned);
        }
        if let Some(command) = REPLICATION_COMMANDS.iter().find(|command| self.cursor.at_word(command)) {
            self.cursor.skip_rest();
            let object = Object::new(ObjectKind::ReplicationSlot, "");
            self.found.effect_because(
                Effect::new(Action::Replicate, object),
                format!("{} is a command of the replication protocol", command.to_uppercase()),
            );
            self.found.session.push(SessionChange::Anything);
            return Ok(command.to_uppercase());
        }
        self.cursor.refuse("no statement begins so")
    }

    /// Statements about the session, its transaction, its prepared statements and cursors.
    fn session_statement(&mut self, keyword: Keyword) -> Parsed<Option<String>> {
        let command = match keyword {
            Keyword::Begin
            | Keyword::Start
            | Keyword::Commit
            | Keyword::End
            | Keyword::Rollback
            | Keyword::Abort
            | Keyword::Savepoint
            | Keyword::Release => self.transaction_statement(keyword)?,
            Keyword::Set => self.set()?,
            Keyword::Reset => self.reset()?,
            Keyword::Show => self.show()?,
            Keyword::Discard => self.discard()?,
            Keyword::Listen | Keyword::Unlisten | Keyword::Notify => self.channel_statement(keyword)?,
            Keyword::Prepare => self.prepare()?,
            Keyword::Execute => self.execute()?,
            Keyword::Deallocate => self.deallocate()?,
            Keyword::Declare => self.declare()?,
            Keyword::Fetch | Keyword::Move => self.fetch(keyword)?,
            Keyword::Close => self.close_cursor()?,
            _ => return Ok(None),
        };
        Ok(Some(command))
    }

    /// Maintenance, privileges and the rest: all of them wait.
    fn maintenance_statement(&mut self, keyword: Keyword) -> Parsed<String> {
        match keyword {
            Keyword::Analyze | Keyword::Analyse => self.analyze_statement(),
            Keyword::Vacuum => self.vacuum(),
            Keyword::Reindex => self.reindex(),
            Keyword::Cluster => self.cluster(),
            Keyword::Checkpoint => self.checkpoint(),
            Keyword::Refresh => self.refresh(),
            Keyword::Lock => self.lock(),
            Keyword::Load => self.load(),
            Keyword::Do => self.do_statement(),
            Keyword::Call => self.call(),
            Keyword::Grant => self.grant_or_revoke("GRANT"),
            Keyword::Revoke => self.grant_or_revoke("REVOKE"),
            Keyword::Reassign => self.reassign_owned(),
            Keyword::Comment => self.comment(),
            Keyword::Security => self.security_label(),
            Keyword::Import => self.import_foreign_schema(),
            _ => self.cursor.refuse("no statement begins so"),
        }
    }
}
