//! What the statements of one message do together, each by what those before it have made of the names.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::decide::{Guardable, Part, Surroundings};
use super::names::{Portal, PortalState};
use crate::blast::facts::CodeUse;
use crate::blast::{self, ApprovedUse, NameContext, Resolved, within};
use crate::sql::{Action, Effect, Object, ObjectKind, SessionChange, Statement};

/// How often what is run by the same name is looked at anew, because names have changed. A message of nothing but such
/// changes and calls would take quadratic time.
const MOST_RUNS: u32 = 8;

/// What the statements of a message do together.
#[derive(Default)]
pub(super) struct Sum<'a> {
    pub(super) commands: Vec<String>,
    pub(super) parts: Vec<Part>,
    pub(super) effects: Vec<Effect>,
    pub(super) reasons: Vec<String>,
    pub(super) changes: Vec<SessionChange>,
    /// Statements prepared and cursors opened earlier in the same message.
    prepared_here: HashMap<&'a str, &'a Statement>,
    cursors_here: HashMap<&'a str, &'a Statement>,
    /// The names as the statements so far have left them, if they have changed any.
    names: Option<NameContext>,
    /// How often they have.
    names_changed: usize,
    /// What has been run or fetched from by name. That again does the same again.
    run_here: HashMap<&'a str, Run>,
    fetched_here: HashSet<&'a str>,
    pub(super) approved: ApprovedUse,
    pub(super) approved_code: BTreeSet<CodeUse>,
    pub(super) rests_on_names: bool,
    /// What an earlier statement that is run here does cannot be guarded.
    pub(super) runs_unguardable: bool,
    /// Something is read whose columns' types run code.
    pub(super) columns_run_code: bool,
    /// A temporary table was made of such columns.
    pub(super) makes_code: bool,
}

/// What was run by name.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// How often the names had changed by then.
    names_changed: usize,
    /// How often it was looked at.
    times: u32,
    /// Whether it reads something whose columns' types run code.
    columns_run_code: bool,
}

impl<'a> Sum<'a> {
    /// Of something that has one effect, and is no statement.
    pub(super) fn of_effect(command: &str, effect: Effect, reason: String) -> Self {
        Self {
            commands: vec![command.to_owned()],
            effects: vec![effect],
            reasons: vec![reason],
            changes: vec![SessionChange::Anything],
            rests_on_names: true,
            ..Self::default()
        }
    }

    /// Adds a statement.
    pub(super) fn add(&mut self, statement: &'a Statement, around: &Surroundings<'a>) {
        self.commands.push(statement.command.clone());
        self.reasons.extend(statement.reasons.iter().cloned());
        if self.makes_code {
            // Whatever comes behind it in the message may use it, by names that are not known yet.
            self.effects.push(Effect::new(Action::Execute, Object::new(ObjectKind::Table, "")).possible());
            self.reasons.push("a temporary table made in the same message has columns whose types run code".to_owned());
        }
        self.columns_run_code = false;
        self.resolve(statement, around);
        let own = self.parts.len().saturating_sub(1);
        for change in &statement.session {
            self.follow(change, around);
            self.changes.push(change.clone());
        }
        let made = statement.effects.iter().any(|effect| effect.action == Action::Create && effect.temporary);
        self.makes_code |= made && self.columns_run_code;
        if let Some(part) = self.parts.get(own).filter(|part| within::concerns_names(&part.statement, &part.resolved)) {
            let mut resolved = part.resolved.clone();
            resolved.columns_run_code |= self.columns_run_code;
            self.follow_names(statement, &resolved, around);
        }
    }

    fn names<'s>(&'s self, around: &'s Surroundings<'a>) -> &'s NameContext {
        self.names.as_ref().unwrap_or(around.names)
    }

    fn resolve(&mut self, statement: &Statement, around: &Surroundings<'a>) {
        let mut resolved = resolved(statement, self.names(around), around);
        // What the text alone says of EXECUTE and FETCH; `follow` knows better what runs, or that nobody does.
        resolved.effects.retain(|effect| {
            effect.action != Action::Execute
                || !matches!(effect.object.kind, ObjectKind::PreparedStatement | ObjectKind::Cursor)
        });
        self.effects.extend(resolved.effects.iter().cloned());
        self.reasons.extend(resolved.reasons.iter().cloned());
        self.approves(resolved.approved, &resolved.approved_code);
        self.columns_run_code |= resolved.columns_run_code;
        self.parts.push(Part { statement: statement.clone(), resolved });
    }

    /// Adds what a change of the session's state runs.
    fn follow(&mut self, change: &'a SessionChange, around: &Surroundings<'a>) {
        match change {
            SessionChange::Prepare { name, body } => {
                self.rests_on_names = true;
                let parsed = resolved(body, self.names(around), around);
                if parsed.code_at_parse {
                    // PREPARE parses it at once.
                    self.run(&parsed);
                }
                self.prepared_here.insert(name, body);
                self.run_here.remove(name.as_str());
            }
            SessionChange::DeclareCursor { name, body, .. } => {
                self.rests_on_names = true;
                self.resolve(body, around);
                let resolved = self.parts.last().map(|part| part.resolved.clone()).unwrap_or_default();
                self.settles(body, &resolved, around);
                self.cursors_here.insert(name, body);
            }
            SessionChange::ExecutePrepared { name, .. } => {
                self.rests_on_names = true;
                self.execute(name, around);
            }
            SessionChange::FetchCursor(name) => {
                self.rests_on_names = true;
                if let Some(body) = self.cursors_here.get(name.as_str()).copied() {
                    // What it does counts since it was declared. What it leaves behind, it leaves now.
                    let resolved = resolved(body, self.names(around), around);
                    self.settles(body, &resolved, around);
                    return;
                }
                let known = around.portals.find(name.as_bytes());
                if let Some(portal) = known {
                    self.changes.extend(portal.decision.changes.iter().cloned());
                    for part in &portal.decision.parts {
                        self.follow_names(&part.statement, &part.resolved, around);
                    }
                }
                if !self.fetched_here.insert(name) {
                    // What it does counts already.
                    return;
                }
                if let Some(portal) = known {
                    self.runs_unguardable |= portal.decision.nature.guardable == Guardable::No;
                    self.effects.extend(effects_of_fetching(portal));
                    if portal.state == PortalState::NeedsApproval {
                        for part in &portal.decision.parts {
                            let resolved = resolved(&part.statement, self.names(around), around);
                            self.run(&resolved);
                        }
                    }
                    self.approves(portal.decision.approved, &portal.decision.approved_code);
                } else {
                    self.unknown_name("cursor", name);
                }
            }
            _ => {}
        }
    }

    /// Adds what `EXECUTE name` runs.
    fn execute(&mut self, name: &'a str, around: &Surroundings<'a>) {
        let last = self.run_here.get(name).copied();
        if let Some(last) = last.filter(|last| last.names_changed == self.names_changed) {
            self.columns_run_code |= last.columns_run_code;
            return;
        }
        let times = last.map_or(0, |last| last.times) + 1;
        if times > MOST_RUNS {
            self.effects.push(Effect::new(Action::Unknown, Object::new(ObjectKind::Other, name)).possible());
            self.reasons.push(format!("the prepared statement {name} is run too often between changes of names"));
            return;
        }
        let before = std::mem::take(&mut self.columns_run_code);
        let names_changed = self.names_changed;
        if let Some(body) = self.prepared_here.get(name).copied() {
            let resolved = resolved(body, self.names(around), around);
            self.run(&resolved);
            self.settles(body, &resolved, around);
        } else if let Some(prepared) = around.statements.find(name.as_bytes()) {
            let decision = prepared.decision();
            self.runs_unguardable |= decision.nature.guardable == Guardable::No;
            self.reasons.extend(decision.reasons.iter().cloned());
            if decision.parts.is_empty() {
                self.effects.extend(decision.effects.iter().cloned());
            }
            // What its names and its code are by now, not when it was prepared.
            for part in &decision.parts {
                let resolved = resolved(&part.statement, self.names(around), around);
                self.run(&resolved);
                self.settles(&part.statement, &resolved, around);
            }
        } else {
            self.unknown_name("prepared statement", name);
        }
        // Where it changes names itself, it does another thing the next time.
        let run = Run { names_changed, times, columns_run_code: self.columns_run_code };
        self.run_here.insert(name, run);
        self.columns_run_code |= before;
    }

    /// Adds what a statement does that was prepared before.
    fn run(&mut self, body: &Resolved) {
        self.effects.extend(body.effects.iter().cloned());
        self.reasons.extend(body.reasons.iter().cloned());
        self.approves(body.approved, &body.approved_code);
        self.columns_run_code |= body.columns_run_code;
    }

    /// Follows what a statement that is run by name leaves behind: settings, as by `set_config`, names, or nobody knows what.
    fn settles(&mut self, body: &Statement, resolved: &Resolved, around: &Surroundings<'a>) {
        self.changes.extend(body.session.iter().cloned());
        self.follow_names(body, resolved, around);
    }

    /// Brings the names up to date behind a statement.
    fn follow_names(&mut self, statement: &Statement, resolved: &Resolved, around: &Surroundings<'a>) {
        if within::concerns_names(statement, resolved) {
            let names = self.names.get_or_insert_with(|| around.names.clone());
            within::follow(names, statement, resolved, around.facts);
            self.names_changed += 1;
        }
    }

    /// Adds approved code that may run.
    fn approves(&mut self, approved: ApprovedUse, code: &[CodeUse]) {
        self.approved = self.approved.max(approved);
        self.approved_code.extend(code.iter().cloned());
    }

    fn unknown_name(&mut self, kind: &str, name: &str) {
        self.effects.push(Effect::new(Action::Unknown, Object::new(ObjectKind::Other, name)).possible());
        self.reasons.push(format!("the {kind} {name} was not made where we could see it"));
    }
}

/// What fetching from a portal does that was not decided when it was opened.
fn effects_of_fetching(portal: &Portal) -> Vec<Effect> {
    match portal.state {
        PortalState::NeedsApproval => portal.decision.effects.to_vec(),
        PortalState::Open | PortalState::Approved => {
            portal.decision.effects.iter().filter(|effect| effect.action == Action::Read).cloned().collect()
        }
    }
}

fn resolved(statement: &Statement, names: &NameContext, around: &Surroundings<'_>) -> Resolved {
    match around.facts {
        Some(facts) => blast::resolve(statement, facts, names),
        None if needs_no_facts(statement) => Resolved { effects: statement.effects.clone(), ..Resolved::default() },
        None => {
            let mut effects = statement.effects.clone();
            effects.push(Effect::new(Action::Unknown, Object::new(ObjectKind::Other, "")).possible());
            let reason = "what its names stand for cannot be looked up: the side connection to the database is down";
            Resolved { effects, reasons: vec![reason.to_owned()], ..Resolved::default() }
        }
    }
}

/// Whether the statement names nothing that the catalog could know something of.
fn needs_no_facts(statement: &Statement) -> bool {
    statement.declared_types.is_empty()
        && statement.functions.is_empty()
        && statement.operators.is_empty()
        && statement.types.is_empty()
        && statement.effects.iter().all(|effect| matches!(effect.action, Action::Set | Action::Transaction))
}
