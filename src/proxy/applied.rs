//! What a statement that the server has answered has changed in the session: names, settings, what the transaction has
//! defined.

use std::sync::Arc;

use super::asking::{SeenWithin, Unseen};
use super::decide::{DataNature, Decision, Part, Sequel, TransactionNature};
use super::names::{Lifetime, Portal, PortalState, Prepared};
use super::pending::{Completed, Pending, Unit};
use super::session::{EncodingTold, Role, Session};
use super::settings::TransactionEnd;
use super::temporary::OnCommit;
use crate::blast::definitions::defines;
use crate::blast::resolve::UNKNOWN_ROLE;
use crate::blast::{ApprovedUse, SearchPath};
use crate::sql::{Action, DiscardTarget, Effect, SessionChange};
use crate::wire::backend::TransactionStatus;
use crate::wire::frontend::significant;

impl Session {
    /// A statement is done: what it changed in the session, and the record of how it ended.
    pub(super) fn complete(&mut self, unit: Unit, success: Success) {
        let decision = Arc::clone(&unit.decision);
        let rolled_back = unit.completed == Completed::Rollback;
        self.report_outcome(unit);
        self.note_definitions(&decision);
        if decision.approved != ApprovedUse::None
            || decision.nature.data == DataNature::RunsCode
            || !decision.changes.is_empty()
        {
            self.names.definitions.note_use(decision.approved, &decision.effects, &decision.changes);
        }
        match success {
            Success::Whole => self.apply(&decision, rolled_back),
            Success::Not => self.apply_nothing_certain(&decision),
            // What it gave so far may have changed settings.
            Success::Partly => self.apply(&decision, false),
        }
    }

    /// What may have changed definitions makes the facts old; before its transaction is committed, nobody else
    /// can see what it made of them.
    fn note_definitions(&mut self, decision: &Decision) {
        let commits_others = |part: &Part| part.statement.command == "COMMIT PREPARED";
        if decision.approved != ApprovedUse::Unsettling
            && !decision.effects.iter().any(defines)
            && !decision.parts.iter().any(commits_others)
        {
            return;
        }
        let facts = self.ground.shared_facts().cloned();
        let facts = facts.as_deref();
        let definitions = &mut self.names.definitions;
        for Part { statement, resolved } in &decision.parts {
            definitions.note(Some(statement), &resolved.effects, resolved.approved, facts);
        }
        let by_name = |change: &SessionChange| {
            matches!(change, SessionChange::ExecutePrepared { .. } | SessionChange::FetchCursor(_))
        };
        if decision.parts.is_empty() || decision.changes.iter().any(by_name) {
            // What it runs is no part of it.
            definitions.note(None, &decision.effects, decision.approved, facts);
        }
        self.session_epoch += 1;
        if self.transaction == TransactionStatus::InTransaction {
            self.seen_within.is_due();
        }
        // Their plans stand, but triggers, keys and the bodies of functions are looked up when they run.
        self.portals.retain(|_, portal| {
            portal.state = PortalState::NeedsApproval;
            true
        });
    }

    /// The transaction is over: what it defined can be seen, once the catalog has been looked at again.
    pub(super) fn definitions_settled(&mut self) {
        if self.names.definitions.is_untouched() {
            return;
        }
        self.seen_within = SeenWithin::default();
        if !std::mem::take(&mut self.names.definitions).is_empty() {
            self.shared.catalog.invalidate(&self.who.database);
            self.ground.is_to_be_checked();
            self.session_epoch += 1;
        }
    }

    /// The transaction is over: names and settings that it made or set stay, or are what they were.
    pub(super) fn transaction_ended(&mut self, end: TransactionEnd) {
        self.search_path.ended(end);
        self.time_limits.ended(end);
        self.temporary.ended(end);
        let unanswered = &self.unanswered;
        self.portals.retain(|name, portal| {
            if portal.lifetime == Lifetime::Commits && end == TransactionEnd::Committed {
                portal.lifetime = Lifetime::Session;
            }
            // One that is bound behind what ended the transaction lives in the next. The last is bound last.
            let is_bound = |pending: &Pending| matches!(pending, Pending::Bind { name: each, .. } if **each == *name);
            portal.lifetime == Lifetime::Session || unanswered.iter().rev().any(is_bound)
        });
        self.names_changed();
    }

    /// What a statement that succeeded changed in the session.
    fn apply(&mut self, decision: &Decision, rolled_back: bool) {
        if decision.nature.sequel == Sequel::Unknown {
            self.forget_everything();
            return;
        }
        for change in &decision.changes {
            self.apply_change(decision, change, rolled_back);
        }
        self.follow_temporary(decision);
        if decision.nature.sequel != Sequel::Same {
            self.names_changed();
        }
    }

    /// Notes what a statement that succeeded did to temporary relations.
    fn follow_temporary(&mut self, decision: &Decision) {
        let concerns = |effect: &Effect| matches!(effect.action, Action::Create | Action::Drop | Action::Alter);
        if !decision.effects.iter().any(concerns) {
            return;
        }
        let drops = |changes: &[SessionChange]| {
            let drops = changes.contains(&SessionChange::DropAtCommit);
            if drops { OnCommit::Drops } else { OnCommit::Stays }
        };
        let mut is_due = false;
        if decision.parts.len() <= 1 {
            is_due = self.temporary.done(&decision.effects, drops(&decision.changes));
        } else if decision.changes.iter().any(parts_are_not_told_apart) {
            self.temporary.forget();
        } else {
            for part in &decision.parts {
                is_due |= self.temporary.done(&part.resolved.effects, drops(&part.statement.session));
            }
        }
        if is_due {
            self.unseen = Unseen::Due;
        }
        if decision.makes_code {
            self.temporary.made_code(&decision.effects);
        }
        self.names_changed();
    }

    fn apply_change(&mut self, by: &Decision, change: &SessionChange, rolled_back: bool) {
        let command = by.command.as_str();
        if may_change_encoding(change, self.told) {
            self.encoding_uncertain();
        }
        match change {
            SessionChange::Begin | SessionChange::Savepoint(_) | SessionChange::ReleaseSavepoint(_) => {}
            SessionChange::Commit | SessionChange::Rollback => {
                let end = if rolled_back { TransactionEnd::RolledBack } else { TransactionEnd::Committed };
                self.transaction_ended(end);
            }
            SessionChange::RollbackToSavepoint(_) => {
                self.search_path.rolled_back_in_part();
                self.time_limits.rolled_back_in_part();
                self.temporary.rolled_back_in_part();
                self.names_changed();
            }
            SessionChange::Prepare { name, body } => {
                let decision = self.decide_with(|_, around| super::decide::judge(std::slice::from_ref(body), around));
                let prepared = Prepared::new(
                    Arc::from([]),
                    &[],
                    Arc::new(decision),
                    self.read_with(),
                    (self.segment, self.uncertainty),
                )
                .with_body(by.text.as_deref().and_then(|text| text.get(body.span.clone())));
                self.statements.insert(significant(name.as_bytes()), Arc::new(prepared));
            }
            SessionChange::Deallocate(Some(name)) => {
                self.statements.remove(significant(name.as_bytes()));
            }
            SessionChange::Deallocate(None) => self.statements.clear(),
            SessionChange::DeclareCursor { name, body, hold } => {
                let decision = self.decide_with(|_, around| super::decide::judge(std::slice::from_ref(body), around));
                let lifetime = if *hold { Lifetime::Commits } else { Lifetime::Transaction };
                let portal = Portal {
                    prepared: None,
                    decision: Arc::new(decision),
                    bind: None,
                    state: PortalState::Open,
                    record: None,
                    lifetime,
                };
                self.portals.insert(significant(name.as_bytes()), portal);
            }
            SessionChange::CloseCursor(Some(name)) => {
                self.portals.remove(significant(name.as_bytes()));
            }
            SessionChange::CloseCursor(None) => self.portals.clear(),
            SessionChange::Set { name: Some(name), value, local } if name == "search_path" => {
                // A call of set_config inside a larger statement may not have been reached.
                let value = value.as_deref().filter(|_| command == "SET");
                self.search_path.set(value.map_or(SearchPath::Unknown, SearchPath::parse), *local);
            }
            SessionChange::Set { name: Some(name), value, local } => {
                if matches!(name.as_str(), "role" | "session_authorization") {
                    self.role_is_unknown();
                }
                self.time_limits.set(name, value.as_deref().filter(|_| command == "SET"), *local);
            }
            SessionChange::Reset(name) => {
                self.time_limits.reset(name.as_deref());
                if name.as_deref().is_none_or(|name| name == "search_path") {
                    self.search_path.reset();
                }
                match name.as_deref() {
                    None => self.own = self.own_at_login.clone(),
                    Some("role" | "session_authorization") => self.role_is_unknown(),
                    Some(_) => {}
                }
            }
            SessionChange::Discard(DiscardTarget::Temporary) => self.temporary.forget(),
            SessionChange::Discard(DiscardTarget::All) => {
                self.temporary.forget();
                self.statements.clear();
                self.portals.clear();
                self.search_path.reset();
                self.time_limits.reset(None);
                self.own = self.own_at_login.clone();
            }
            SessionChange::Role | SessionChange::Anything => self.forget_everything(),
            SessionChange::Set { name: None, .. }
            | SessionChange::Discard(_)
            | SessionChange::ExecutePrepared { .. }
            | SessionChange::FetchCursor(_)
            | SessionChange::DropAtCommit
            | SessionChange::CreateTemporary { .. } => {}
        }
    }

    /// A message failed somewhere: what came before the failure may have happened.
    fn apply_nothing_certain(&mut self, decision: &Decision) {
        if decision.parts.len() > 1 {
            self.time_limits.forget();
            self.temporary.forget();
            if decision.nature.transaction == TransactionNature::Ends {
                self.forget_everything();
            }
        }
        if decision.nature.sequel == Sequel::Same {
            return;
        }
        for change in &decision.changes {
            match change {
                SessionChange::Prepare { name, .. } | SessionChange::Deallocate(Some(name)) => {
                    self.statements.remove(significant(name.as_bytes()));
                }
                SessionChange::DeclareCursor { name, .. } | SessionChange::CloseCursor(Some(name)) => {
                    self.portals.remove(significant(name.as_bytes()));
                }
                _ if decision.changes.len() == 1 && decision.nature.sequel == Sequel::Changed => {}
                _ => return self.forget_everything(),
            }
        }
        self.names_changed();
    }

    /// Which role it is now, the server is asked for.
    fn role_is_unknown(&mut self) {
        self.role = Role::Unknown;
        UNKNOWN_ROLE.clone_into(&mut self.names.role);
        self.unseen = Unseen::Due;
        self.session_epoch += 1;
    }

    /// Something unseen happened: names and settings may be anything.
    fn forget_everything(&mut self) {
        self.encoding_uncertain();
        self.doubt_statements();
        self.portals.clear();
        self.search_path.forget();
        self.time_limits.forget();
        self.role_is_unknown();
        self.unseen();
    }

    /// Until the server has answered, names may resolve in any schema.
    pub(super) fn search_path_uncertain(&mut self) {
        if self.names.search_path != SearchPath::Unknown {
            self.names.search_path = SearchPath::Unknown;
            self.session_epoch += 1;
        }
    }

    /// Decisions that rest on names have to be made again.
    pub(super) fn names_changed(&mut self) {
        if self.names.search_path != *self.search_path.current() {
            self.names.search_path = self.search_path.current().clone();
            self.session_epoch += 1;
        }
        if self.temporary.tell(&mut self.names) {
            self.session_epoch += 1;
        }
    }
}

/// How far a statement got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Success {
    Whole,
    Partly,
    Not,
}

/// Whether with this change the encoding may be another one.
fn may_change_encoding(change: &SessionChange, told: EncodingTold) -> bool {
    match change {
        SessionChange::Set { name, .. } | SessionChange::Reset(name) => {
            name.as_deref().is_none_or(|name| name == "client_encoding")
        }
        SessionChange::Discard(DiscardTarget::All) => true,
        SessionChange::Commit | SessionChange::Rollback | SessionChange::RollbackToSavepoint(_) => {
            told != EncodingTold::Yes
        }
        _ => false,
    }
}

/// Whether of a message with such a change it is not known what came before it, or what else ran: the end of a
/// transaction, what runs by name.
fn parts_are_not_told_apart(change: &SessionChange) -> bool {
    matches!(
        change,
        SessionChange::Commit
            | SessionChange::Rollback
            | SessionChange::RollbackToSavepoint(_)
            | SessionChange::Discard(_)
            | SessionChange::ExecutePrepared { .. }
            | SessionChange::FetchCursor(_)
            | SessionChange::Anything
    )
}
