//! From names as written to the objects of one database, and to the code that a statement may run there.
//!
//! A function passes only if its name can mean nothing but a reviewed function of the server or of a reviewed
//! extension. We do not know the types of arguments, so every function of that name on the search path counts: a
//! `public.lower(varchar)` wins over `pg_catalog.lower(text)` for a varchar. Code that nobody names counts as well:
//! what operators, casts, views, policies, triggers, rules, defaults, checks and indexes run.

mod assumptions;
mod calls;
mod defined;
mod relations;
mod search_path;
mod stored;
mod values;
mod writes;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::definitions::Definitions;
use super::facts::{CodeUse, Facts, Relation, RelationKind};
use super::name_set::NameSet;
use super::names::{Found, Names};
use crate::sql::functions::is_builtin_with_effects;
use crate::sql::{Action, Certainty, Effect, Extent, Name, Notation, Object, ObjectKind, SessionChange, Statement};

pub(crate) use calls::IMPLICIT_OPERATORS;
pub use search_path::SearchPath;

/// From which version on event triggers run for REINDEX as they do for definitions (release notes of 17).
const REINDEX_RUNS_EVENT_TRIGGERS: u32 = 170_000;

/// Stands for a role that is not known: it has no name that can be read.
pub const UNKNOWN_ROLE: &str = "\u{fffd}";

/// Reasons beyond these are left out: an approver reads a handful.
const REASONS: usize = 40;

/// What the session adds to the meaning of names.
#[derive(Debug, Clone, Default)]
pub struct NameContext {
    /// Its search path now.
    pub search_path: SearchPath,
    /// Its current role: what `$user` stands for; [`UNKNOWN_ROLE`] where it is not known.
    pub role: String,
    /// Temporary relations that certainly exist in this session. When in doubt (a rollback, `ON COMMIT DROP`), leave
    /// it out: what is done to a temporary relation is let through more easily.
    pub temporary: NameSet,
    /// Temporary relations that may exist in this session and run code when they are used: views, and tables with
    /// triggers, rules or policies. Temporary types as well.
    pub temporary_code: NameSet,
    /// Something unseen may have made temporary relations: any name without a schema may mean one that runs code.
    pub unseen: bool,
    /// What the open transaction has defined.
    pub definitions: Definitions,
    /// User code that was approved for its body: `pg_proc.oid` and [`CodeUse::hash`].
    pub approved: Arc<HashSet<(u32, String)>>,
    /// Of that, what may change settings, roles, prepared statements or definitions.
    pub approved_unsettling: Arc<HashSet<(u32, String)>>,
}

/// A statement in one database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resolved {
    /// What it does, names resolved to schemas, kinds from the catalog, with what it reaches through views,
    /// foreign keys, triggers, rules and code.
    pub effects: Vec<Effect>,
    /// Why there is more than the text says; for the approver.
    pub reasons: Vec<String>,
    /// The code it may run that is neither reviewed nor approved.
    pub code: Vec<CodeUse>,
    /// The code it may run that is approved.
    pub approved_code: Vec<CodeUse>,
    /// Whether there is some, and what it may change.
    pub approved: ApprovedUse,
    /// Whether some of it may run while the server parses the statement.
    pub code_at_parse: bool,
    /// Whether a table that is made from what it reads may run code when it is written to.
    pub columns_run_code: bool,
}

/// Whether a statement may run code that was approved for its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum ApprovedUse {
    /// It does not.
    #[default]
    None,
    /// It may, and that changes nothing of the session.
    Settled,
    /// It may, and that may change settings, roles, prepared statements or definitions.
    Unsettling,
}

/// Resolves the names of a statement and finds the code it may run.
#[must_use]
pub fn resolve(statement: &Statement, facts: &Facts, context: &NameContext) -> Resolved {
    resolve_within(statement, facts, context, Reach::Running)
}

/// The same for planning the statement without running it (`EXPLAIN`): planning rewrites by views, rules and row
/// security and runs functions that are labelled immutable, but fires no trigger and follows no foreign key.
#[must_use]
pub fn resolve_for_planning(statement: &Statement, facts: &Facts, context: &NameContext) -> Resolved {
    resolve_within(statement, facts, context, Reach::Planning)
}

fn resolve_within<'a>(statement: &'a Statement, facts: &'a Facts, context: &'a NameContext, reach: Reach) -> Resolved {
    let mut resolver = Resolver { reach, ..Resolver::new(facts, context) };
    resolver.statement(statement);
    resolver.finish()
}

/// How far a statement goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// It is planned.
    Planning,
    /// It is planned and run.
    Running,
}

struct Resolver<'a> {
    facts: &'a Facts,
    context: &'a NameContext,
    reach: Reach,
    names: Names<'a>,
    effects: Vec<Effect>,
    /// The effects again, to keep each once without looking through the list.
    known: HashSet<Effect>,
    reasons: Vec<String>,
    code: BTreeSet<CodeUse>,
    approved_code: BTreeSet<CodeUse>,
    approved: ApprovedUse,
    code_at_parse: bool,
    columns_run_code: bool,
    /// The statement has values that may be read as one of any type that stands beside them.
    untyped_values: bool,
    /// Some of them are read while it is parsed.
    strings: bool,
    /// The columns that they may stand beside; `None`: any, or a row.
    named_values: Option<HashSet<&'a str>>,
    /// Relations that the statement changes by its own names, and their partitions.
    named: HashSet<u32>,
    /// The columns that it may assign in those; `None` where that is not known.
    assigned: Option<Vec<String>>,
    /// The statement stores what it names, and runs none of it.
    stores: bool,
    /// The statement does nothing but define.
    defines: bool,
    /// A relation is used of which the catalog does not tell.
    unknown_relations: bool,
    /// Relations already followed, by what was done to them: views and keys may form circles.
    followed: HashSet<(u32, Action)>,
    /// What is still to be followed. Chains of views and keys have no bound, so this is no recursion.
    steps: Vec<Step<'a>>,
}

/// Something that is done to a relation and has consequences.
struct Step<'a> {
    relation: &'a Relation,
    action: Action,
    extent: Extent,
    certainty: Certainty,
}

impl<'a> Resolver<'a> {
    fn new(facts: &'a Facts, context: &'a NameContext) -> Self {
        Self {
            facts,
            context,
            reach: Reach::Running,
            names: Names::new(facts, context),
            effects: Vec::new(),
            known: HashSet::new(),
            reasons: Vec::new(),
            code: BTreeSet::new(),
            approved_code: BTreeSet::new(),
            approved: ApprovedUse::None,
            code_at_parse: false,
            columns_run_code: false,
            untyped_values: false,
            strings: false,
            named_values: None,
            named: HashSet::new(),
            assigned: None,
            stores: false,
            defines: false,
            unknown_relations: false,
            followed: HashSet::new(),
            steps: Vec::new(),
        }
    }

    fn finish(self) -> Resolved {
        Resolved {
            effects: self.effects,
            reasons: self.reasons,
            code: self.code.into_iter().collect(),
            approved_code: self.approved_code.into_iter().collect(),
            approved: self.approved,
            code_at_parse: self.code_at_parse,
            columns_run_code: self.columns_run_code || self.approved != ApprovedUse::None,
        }
    }

    fn statement(&mut self, statement: &'a Statement) {
        self.stores = statement.command == "CREATE VIEW";
        let defines = |effect: &Effect| matches!(effect.action, Action::Create | Action::Alter | Action::Drop);
        self.defines = !statement.effects.is_empty() && statement.effects.iter().all(defines);
        self.untyped_values = statement.untyped_values;
        self.strings = statement.strings;
        self.named_values = statement.named_values.as_ref().map(|names| names.iter().map(String::as_str).collect());
        // A view's columns may have other names than those of its table.
        let through_view = statement.effects.iter().filter(|effect| effect.action == Action::Update).any(|effect| {
            match self.names.relation(effect.object.schema.as_deref(), &effect.object.name) {
                Found::One(relation) => relation.kind == RelationKind::View,
                Found::Several(relations) => relations.iter().any(|relation| relation.kind == RelationKind::View),
                Found::Temporary | Found::Nothing => false,
            }
        });
        self.assigned = if through_view { None } else { statement.assigned.clone() };
        for effect in &statement.effects {
            if Self::is_answered_below(effect, statement) || self.tells_nothing(effect) {
                continue;
            }
            if self.is_index_on_temporary(effect, statement) {
                let mut effect = effect.clone().temporary();
                effect.object.schema = Some("pg_temp".to_owned());
                self.effect(&effect);
            } else if effect.extent == Extent::Bounded && !self.is_bounded(effect, &statement.assumptions) {
                self.effect(&effect.clone().with_extent(Extent::Whole));
            } else {
                self.effect(effect);
            }
        }
        for function in &statement.functions {
            match function.notation {
                Notation::Call | Notation::Procedure => self.call(function),
                Notation::Attribute => self.attribute(&function.name),
            }
        }
        if self.runs_event_triggers(&statement.command) {
            self.event_triggers();
        }
        self.columns_run_code |= keeps_effects(statement);
        self.operators(statement);
        self.types(statement);
        self.unnamed_code(statement);
        self.redefined_everything(statement);
        self.runs_what_was_put_off(&statement.command);
        for change in &statement.session {
            // Planning at DECLARE already runs what is labelled immutable.
            if let SessionChange::DeclareCursor { body, .. } = change {
                self.statement(body);
            }
        }
    }

    /// Whether a command that defines nothing runs event triggers all the same.
    fn runs_event_triggers(&self, command: &str) -> bool {
        command.starts_with("REFRESH")
            || command.starts_with("REINDEX") && self.facts.server_version >= REINDEX_RUNS_EVENT_TRIGGERS
    }

    fn add(&mut self, effect: Effect) {
        if self.known.insert(effect.clone()) {
            self.effects.push(effect);
        }
    }

    /// Something that nobody can look into may run.
    fn may_execute(&mut self, object: Object) {
        self.add(Effect { certainty: Certainty::Possible, ..Effect::new(Action::Execute, object) });
    }

    fn reason(&mut self, reason: impl FnOnce() -> String) {
        if self.reasons.len() < REASONS {
            let reason = reason();
            if !self.reasons.contains(&reason) {
                self.reasons.push(reason);
            }
        }
    }

    /// Code that may run. `why` ends in the name of the code.
    fn run(&mut self, code: &CodeUse, certainty: Certainty, why: impl FnOnce() -> String) {
        if code.reviewed {
            return;
        }
        let approved = self.approval_of(code);
        if approved != ApprovedUse::None {
            self.approved = self.approved.max(approved);
            self.approved_code.insert(code.clone());
            return;
        }
        let object = Object { kind: ObjectKind::Function, schema: code.schema.clone(), name: code.name.clone() };
        self.add(Effect { certainty, ..Effect::new(Action::Execute, object) });
        if self.code.insert(code.clone()) {
            self.reason(|| format!("{} {code}", why()));
        }
    }

    fn approval_of(&self, code: &CodeUse) -> ApprovedUse {
        // What this transaction has made of it cannot be seen before the commit.
        if code.hash.is_empty() || self.context.approved.is_empty() || !self.context.definitions.is_empty() {
            return ApprovedUse::None;
        }
        let pair = (code.oid, code.hash.clone());
        if !self.context.approved.contains(&pair) {
            ApprovedUse::None
        } else if self.context.approved_unsettling.contains(&pair) {
            ApprovedUse::Unsettling
        } else {
            ApprovedUse::Settled
        }
    }
}

/// Whether a table is made whose columns keep a call that does something when a row is written.
fn keeps_effects(statement: &Statement) -> bool {
    statement.command == "CREATE TABLE"
        && statement.functions.iter().any(|function| is_builtin_with_effects(&function.name.name))
}

fn name_of(relation: &Relation) -> String {
    format!("{}.{}", relation.schema, relation.name)
}

fn written(name: &Name) -> String {
    match &name.schema {
        Some(schema) => format!("{schema}.{}", name.name),
        None => name.name.clone(),
    }
}

#[cfg(test)]
mod tests;
