//! From names as written to the objects of one database, and to the code that a statement may run there.
//!
//! A function passes only if its name can mean nothing but a reviewed function of the server or of a reviewed
//! extension. We do not know the types of arguments, so every function of that name on the search path counts: a
//! `public.lower(varchar)` wins over `pg_catalog.lower(text)` for a varchar. Code that nobody names counts as well:
//! what operators, casts, views, policies, triggers, rules, defaults, checks and indexes run.

mod stored;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::casts::casts_to;
use super::facts::{
    CastTarget, CodeUse, Events, FIRST_USER_OID, Facts, Operands, ReferentialAction, Relation, RelationKind,
    UserOperator,
};
use super::name_set::NameSet;
use super::names::{Found, Names};
use crate::sql::functions::{builtin, keyword_call};
use crate::sql::system::{SUBSCRIPTIONS, USER_MAPPINGS, secret};
use crate::sql::{
    Action, Assumption, Certainty, Effect, Extent, FunctionUse, Name, Notation, Object, ObjectKind, SessionChange,
    Statement,
};

/// Reasons beyond these are left out: an approver reads a handful.
const REASONS: usize = 40;

/// Operators that syntax uses without writing them: `IN`, `BETWEEN`, `LIKE`, `CASE x WHEN`, `NULLIF`, `USING (...)`.
pub(crate) const IMPLICIT_OPERATORS: [&str; 11] = ["=", "<>", "<", "<=", ">", ">=", "~~", "!~~", "~~*", "!~~*", "~"];

/// Commands that no query and no expression is part of.
const WITHOUT_EXPRESSIONS: [&str; 15] = [
    "BEGIN",
    "START TRANSACTION",
    "COMMIT",
    "END",
    "ROLLBACK",
    "ABORT",
    "SAVEPOINT",
    "RELEASE",
    "SET",
    "SET TRANSACTION",
    "RESET",
    "SHOW",
    "DISCARD",
    "DEALLOCATE",
    "CLOSE",
];

/// Functions of the server that make values of a type which their argument brings, so that no type is named.
const MAKES_VALUES_OF_TYPES: [&str; 5] = [
    "json_populate_record",
    "json_populate_recordset",
    "jsonb_populate_record",
    "jsonb_populate_recordset",
    "jsonb_populate_record_valid",
];

/// Where names without a schema are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SearchPath {
    /// These schemas in this order, as the setting has them: `$user` is not replaced yet, and `pg_temp` and
    /// `pg_catalog` stand there only where the setting names them.
    Known(Vec<String>),
    /// Something we did not see through may have set it: a name may mean any schema's.
    #[default]
    Unknown,
}

impl SearchPath {
    /// From the text of the setting `search_path` (`SplitIdentifierString`, `src/backend/utils/adt/varlena.c`):
    /// names separated by commas, folded to lower case unless quoted. What is not such a list is unknown.
    #[must_use]
    pub fn parse(setting: &str) -> Self {
        let mut schemas = Vec::new();
        let mut rest = setting.trim_start_matches(is_space);
        if rest.is_empty() {
            return Self::Known(schemas);
        }
        loop {
            let Some((name, after)) = identifier(rest) else { return Self::Unknown };
            schemas.push(name);
            let after = after.trim_start_matches(is_space);
            if after.is_empty() {
                return Self::Known(schemas);
            }
            let Some(next) = after.strip_prefix(',') else { return Self::Unknown };
            rest = next.trim_start_matches(is_space);
        }
    }
}

/// `scanner_isspace`.
const fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// The name at the beginning of a list, and what follows it.
fn identifier(text: &str) -> Option<(String, &str)> {
    /// `NAMEDATALEN - 1`: longer names are cut by the server, and we leave that to it.
    const LONGEST: usize = 63;
    let (name, rest) = if let Some(mut rest) = text.strip_prefix('"') {
        let mut name = String::new();
        loop {
            let (part, after) = rest.split_once('"')?;
            name.push_str(part);
            match after.strip_prefix('"') {
                Some(more) => {
                    name.push('"');
                    rest = more;
                }
                None => break (name, after),
            }
        }
    } else {
        let end = text.find(|character| is_space(character) || character == ',').unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        // Folding of other letters depends on the server's locale.
        if name.is_empty() || !name.is_ascii() || name.contains('"') {
            return None;
        }
        (name.to_ascii_lowercase(), rest)
    };
    (name.len() <= LONGEST).then_some((name, rest))
}

/// What the session adds to the meaning of names.
#[derive(Debug, Clone, Default)]
pub struct NameContext {
    /// Its search path now.
    pub search_path: SearchPath,
    /// Its current role: what `$user` stands for.
    pub role: String,
    /// Temporary relations that certainly exist in this session. When in doubt (a rollback, `ON COMMIT DROP`), leave
    /// it out: what is done to a temporary relation is let through more easily.
    pub temporary: NameSet,
    /// Temporary relations that may exist in this session and run code when they are used: views, and tables with
    /// triggers, rules or policies.
    pub temporary_code: NameSet,
    /// Something unseen may have made temporary relations: any name without a schema may mean one that runs code.
    pub unseen: bool,
    /// The open transaction has made or changed definitions, which the catalog cannot see before the commit.
    pub pending_definitions: bool,
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
        self.operators(statement);
        self.types(statement);
        self.unnamed_code(statement);
        for change in &statement.session {
            // Planning at DECLARE already runs what is labelled immutable.
            if let SessionChange::DeclareCursor { body, .. } = change {
                self.statement(body);
            }
        }
    }

    /// An index is where its table is, which is altered by it.
    fn is_index_on_temporary(&self, effect: &Effect, statement: &Statement) -> bool {
        let Effect { action: Action::Create, object, .. } = effect else { return false };
        let mut altered = statement.effects.iter().filter(|effect| effect.action == Action::Alter).map(|effect| {
            let table = &effect.object;
            matches!(self.names.relation(table.schema.as_deref(), &table.name), Found::Temporary)
        });
        object.kind == ObjectKind::Index
            && object.schema.is_none()
            && altered.next() == Some(true)
            && altered.all(|is| is)
    }

    /// Whether a change is as bounded as the text says: what that takes for columns of a query are some, as far as is known.
    /// What an open transaction has made of them cannot be seen.
    fn is_bounded(&mut self, effect: &Effect, assumptions: &[Assumption]) -> bool {
        let mut of_effect =
            assumptions.iter().filter(|assumed| assumed.action == effect.action && assumed.object == effect.object);
        let Some(wrong) = of_effect.find(|assumed| !self.may_hold(assumed)) else { return true };
        let verb = if effect.action == Action::Delete { "deletes" } else { "updates" };
        let relations: Vec<_> = wrong.relations.iter().map(written).collect();
        self.reason(|| {
            format!(
                "{verb} possibly every row of {}: {} is no column of {}, so it is that of the row itself",
                effect.object,
                wrong.column,
                relations.join(" or ")
            )
        });
        false
    }

    fn may_hold(&self, assumed: &Assumption) -> bool {
        let may_have = |relation: &Relation| self.facts.has_column(relation, &assumed.column).unwrap_or(true);
        self.context.pending_definitions
            || assumed.relations.iter().any(|name| match self.names.relation(name.schema.as_deref(), &name.name) {
                Found::One(relation) => may_have(relation),
                Found::Several(relations) => relations.into_iter().any(may_have),
                Found::Temporary | Found::Nothing => true,
            })
    }

    /// A text alone takes each function that is not the server's own for code. Here it is looked up.
    fn is_answered_below(effect: &Effect, statement: &Statement) -> bool {
        let object = &effect.object;
        effect.action == Action::Execute
            && matches!(object.kind, ObjectKind::Function | ObjectKind::Procedure)
            && builtin(&object.name).is_none()
            && statement.functions.iter().any(|function| {
                function.notation != Notation::Attribute
                    && function.name.name == object.name
                    && function.name.schema == object.schema
            })
    }

    fn add(&mut self, effect: Effect) {
        if self.known.insert(effect.clone()) {
            self.effects.push(effect);
        }
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
        if code.hash.is_empty() || self.context.approved.is_empty() || self.context.pending_definitions {
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

    // Relations

    fn effect(&mut self, effect: &Effect) {
        if matches!(effect.action, Action::Create | Action::Alter | Action::Drop | Action::Grant) {
            for code in &self.facts.event_triggers {
                self.run(code, Certainty::Possible, || "an event trigger runs".to_owned());
            }
        }
        let relation = matches!(
            effect.object.kind,
            ObjectKind::Relation
                | ObjectKind::Table
                | ObjectKind::View
                | ObjectKind::MaterializedView
                | ObjectKind::ForeignTable
                | ObjectKind::Index
                | ObjectKind::Sequence
        );
        if !relation || effect.object.name.is_empty() {
            if effect.action == Action::Maintain {
                self.maintain_everything();
            }
            self.add(effect.clone());
        } else if effect.action == Action::Create {
            self.create(effect);
        } else {
            self.on_relation(effect);
        }
    }

    fn create(&mut self, effect: &Effect) {
        let mut effect = effect.clone();
        // An index is made where its table is.
        if effect.object.schema.is_none() && !effect.temporary && effect.object.kind != ObjectKind::Index {
            effect.object.schema = self.names.creation_schema().map(str::to_owned);
        }
        self.add(effect);
    }

    fn on_relation(&mut self, effect: &Effect) {
        if let Some(why) = self.names.temporary_code(effect.object.schema.as_deref(), &effect.object.name) {
            self.add(Effect { certainty: Certainty::Possible, ..Effect::new(Action::Execute, effect.object.clone()) });
            self.reason(|| format!("{} {why}", effect.object.name));
        }
        match self.names.relation(effect.object.schema.as_deref(), &effect.object.name) {
            Found::Temporary => {
                self.unknown_relations = true;
                let mut effect = effect.clone().temporary();
                effect.object.schema = Some("pg_temp".to_owned());
                if effect.object.kind == ObjectKind::Relation {
                    effect.object.kind = ObjectKind::Table;
                }
                self.add(effect);
            }
            Found::One(relation) => self.reach(relation, effect, effect.certainty),
            Found::Several(relations) => {
                let certainty = if relations.len() == 1 { effect.certainty } else { Certainty::Possible };
                for relation in relations {
                    self.reach(relation, effect, certainty);
                }
            }
            Found::Nothing => {
                self.unknown_relations = true;
                self.columns_run_code |= effect.action == Action::Read;
                self.add(effect.clone());
                if self.context.pending_definitions {
                    self.add(Effect {
                        certainty: Certainty::Possible,
                        ..Effect::new(Action::Execute, effect.object.clone())
                    });
                    self.reason(|| {
                        format!(
                            "{} may have been made in this transaction: what it runs cannot be seen yet",
                            effect.object
                        )
                    });
                }
            }
        }
    }

    /// An effect on a relation, and what follows from it.
    fn reach(&mut self, relation: &'a Relation, effect: &Effect, certainty: Certainty) {
        let object = Object::in_schema(relation.kind.object_kind(), &relation.schema, &relation.name);
        self.add(Effect { object, certainty, ..effect.clone() });
        self.named.insert(relation.oid);
        if effect.action == Action::Update {
            self.moves(relation, self.assigned.clone().as_deref());
        }
        self.follow(relation, effect.action, effect.extent, certainty);
        while let Some(step) = self.steps.pop() {
            self.step(&step);
        }
    }

    /// Another relation that is reached, shown as an effect of its own.
    fn also(&mut self, relation: &'a Relation, action: Action, extent: Extent, certainty: Certainty) {
        let object = Object::in_schema(relation.kind.object_kind(), &relation.schema, &relation.name);
        self.add(Effect { certainty, extent, ..Effect::new(action, object) });
        self.follow(relation, action, extent, certainty);
    }

    fn follow(&mut self, relation: &'a Relation, action: Action, extent: Extent, certainty: Certainty) {
        if self.followed.insert((relation.oid, action)) {
            self.steps.push(Step { relation, action, extent, certainty });
        }
    }

    fn step(&mut self, step: &Step<'a>) {
        match step.action {
            Action::Read => self.read(step),
            Action::Insert | Action::Update | Action::Delete | Action::Truncate => self.write(step),
            Action::Maintain => self.maintain(step.relation),
            _ => {}
        }
    }

    fn read(&mut self, step: &Step<'a>) {
        let relation = step.relation;
        self.columns_run_code |= relation.columns_run_code;
        self.restricted(relation, true, step.certainty);
        self.foreign(relation, step.certainty);
        self.values(relation);
        self.planned(relation);
        // What a materialized view runs, it runs when it is refreshed.
        if relation.kind == RelationKind::MaterializedView {
            return;
        }
        for code in &relation.runs_on_read {
            self.run(code, Certainty::Possible, || format!("reading {} runs", name_of(relation)));
        }
        for base in self.relations(&relation.reads) {
            self.restricted(base, false, step.certainty);
            self.also(base, Action::Read, step.extent, step.certainty);
        }
        self.policies(relation);
        for child in self.relations(&relation.children) {
            self.follow(child, Action::Read, step.extent, Certainty::Possible);
        }
    }

    /// A string or parameter takes the type of what it is compared or united with: an array, range or composite of a
    /// domain, or the table's own row. The server reads a string so while it parses.
    fn values(&mut self, relation: &'a Relation) {
        let stands_beside = match (&self.named_values, &relation.value_columns) {
            (Some(named), Some(columns)) => columns.iter().any(|column| named.contains(column.as_str())),
            _ => true,
        };
        if self.untyped_values && stands_beside {
            for code in &relation.runs_on_values {
                self.runs_at_parse(code);
                self.run(code, Certainty::Possible, || format!("a value read as one of {} runs", name_of(relation)));
            }
        }
    }

    /// Code that runs when a value is read from text: of a string while the server parses.
    fn runs_at_parse(&mut self, code: &CodeUse) {
        self.code_at_parse |= self.strings && !code.reviewed && self.approval_of(code) == ApprovedUse::None;
    }

    /// Notes that a relation is read whose rows are secrets. Of one with a single secret column the text has told
    /// whether that column is read; behind a view, or for somebody who is to act on a definition, that is not known.
    fn restricted(&mut self, relation: &Relation, named: bool, certainty: Certainty) {
        if !relation.system {
            return;
        }
        let Some(secret) = secret(Some(&relation.schema), &relation.name) else { return };
        let object = Object::in_schema(ObjectKind::System, &relation.schema, secret.name);
        let effect = Effect { certainty, ..Effect::new(Action::Host, object) };
        if named && !secret.is_whole() || self.tells_nothing(&effect) {
            return;
        }
        self.add(effect);
        self.reason(|| format!("{} holds {}", secret.name, secret.what));
    }

    /// Whether an effect is a read of connection strings where there are none.
    fn tells_nothing(&self, effect: &Effect) -> bool {
        let name = effect.object.name.as_str();
        effect.action == Action::Host
            && effect.object.kind == ObjectKind::System
            && (self.facts.without_subscriptions && name == SUBSCRIPTIONS
                || self.facts.without_user_mappings && USER_MAPPINGS.contains(&name))
            && !self.context.pending_definitions
    }

    fn foreign(&mut self, relation: &Relation, certainty: Certainty) {
        if relation.kind == RelationKind::ForeignTable {
            let object = Object::in_schema(ObjectKind::ForeignTable, &relation.schema, &relation.name);
            self.add(Effect { certainty, ..Effect::new(Action::Host, object) });
            self.reason(|| {
                format!(
                    "{} is a foreign table: its server reads files, runs programs or asks others",
                    name_of(relation)
                )
            });
        }
    }

    fn relations(&self, oids: &'a [u32]) -> impl Iterator<Item = &'a Relation> + use<'a> {
        let facts = self.facts;
        oids.iter().filter_map(|oid| facts.relations.get(oid))
    }

    fn write(&mut self, step: &Step<'a>) {
        let Step { relation, action, extent, certainty } = *step;
        if relation.system {
            self.write_system(relation, certainty);
            return;
        }
        self.foreign(relation, certainty);
        self.values(relation);
        let replaced = self.rules_and_triggers(relation, action);
        for code in relation.runs_on_write.iter().chain(&relation.runs_on_read) {
            self.run(code, Certainty::Possible, || format!("writing to {} runs", name_of(relation)));
        }
        self.planned(relation);
        self.policies(relation);
        self.references(relation, action);
        if relation.kind == RelationKind::View && !replaced {
            let certainty = if relation.reads.len() == 1 { certainty } else { Certainty::Possible };
            for base in self.relations(&relation.reads) {
                if action == Action::Update {
                    self.moves(base, None);
                }
                self.also(base, action, extent, certainty);
            }
        }
        if self.reach == Reach::Running {
            self.cascades(relation, action);
        }
        let named = self.named.contains(&relation.oid);
        for child in self.relations(&relation.children) {
            if named {
                self.named.insert(child.oid);
            }
            self.follow(child, action, extent, Certainty::Possible);
        }
    }

    /// What the conditions of row security read.
    fn policies(&mut self, relation: &'a Relation) {
        for read in self.relations(&relation.also_reads) {
            self.restricted(read, false, Certainty::Possible);
            self.also(read, Action::Read, Extent::Inapplicable, Certainty::Possible);
        }
    }

    /// The catalogs are definitions in the form of rows.
    fn write_system(&mut self, relation: &Relation, certainty: Certainty) {
        let (action, kind) = if relation.name == "pg_settings" {
            (Action::Set, ObjectKind::Setting)
        } else {
            (Action::Alter, ObjectKind::System)
        };
        let object = Object::in_schema(kind, &relation.schema, &relation.name);
        self.add(Effect { certainty, ..Effect::new(action, object) });
        self.reason(|| format!("{} is one of the server's own: rows in it are definitions", name_of(relation)));
    }

    /// Whether a rule or a trigger does something instead.
    fn rules_and_triggers(&mut self, relation: &'a Relation, action: Action) -> bool {
        let mut replaced = false;
        for rule in relation.rules.iter().filter(|rule| fires(rule.events, action)) {
            replaced |= rule.instead;
            let object = Object::in_schema(ObjectKind::Rule, &relation.schema, &rule.name);
            self.add(Effect { certainty: Certainty::Possible, ..Effect::new(Action::Execute, object) });
            self.reason(|| format!("rule {} on {} rewrites the {action}", rule.name, name_of(relation)));
        }
        for trigger in relation.triggers.iter().filter(|trigger| fires(trigger.events, action)) {
            replaced |= trigger.instead_of;
            if self.reach == Reach::Planning {
                continue;
            }
            self.run(&trigger.code, Certainty::Possible, || {
                format!("trigger {} on {} runs", trigger.name, name_of(relation))
            });
        }
        replaced
    }

    /// What foreign keys do to the tables that point here.
    fn cascades(&mut self, relation: &'a Relation, action: Action) {
        for key in &relation.referenced_by {
            let Some(from) = self.facts.relations.get(&key.from) else { continue };
            let referential = match action {
                Action::Delete => key.on_delete,
                Action::Update if !self.may_set(relation, key.columns.as_deref()) => continue,
                Action::Update => key.on_update,
                // TRUNCATE of a referenced table is refused unless it says CASCADE.
                Action::Truncate => ReferentialAction::Cascade,
                _ => continue,
            };
            let reached = match referential {
                ReferentialAction::NoAction | ReferentialAction::Restrict => {
                    self.looked_up(from);
                    continue;
                }
                ReferentialAction::Cascade => action,
                ReferentialAction::SetNull | ReferentialAction::SetDefault => Action::Update,
            };
            // Any number of rows may point to a single one. Of a DELETE, its own effect tells enough.
            let extent = if action == Action::Delete { Extent::Bounded } else { Extent::Whole };
            self.reason(|| format!("foreign key {} reaches {}: {reached}", key.name, name_of(from)));
            if reached == Action::Update {
                self.set_by_key(from, key, relation);
            }
            self.also(from, reached, extent, Certainty::Possible);
        }
    }

    /// Whether an UPDATE of a relation may set one of those columns, which are those of a key.
    fn may_set(&self, relation: &Relation, columns: Option<&[String]>) -> bool {
        let (Some(assigned), Some(columns)) = (&self.assigned, columns) else { return true };
        !self.named.contains(&relation.oid) || columns.iter().any(|column| assigned.contains(column))
    }

    /// ANALYZE, REINDEX, REFRESH ...: they compute index expressions and views.
    fn maintain(&mut self, relation: &'a Relation) {
        self.planned(relation);
        for code in relation.runs_on_read.iter().chain(&relation.runs_on_write) {
            self.run(code, Certainty::Possible, || format!("work on {} runs", name_of(relation)));
        }
        self.foreign(relation, Certainty::Possible);
        for next in self.relations(&relation.children).chain(self.relations(&relation.reads)) {
            self.follow(next, Action::Maintain, Extent::Inapplicable, Certainty::Possible);
        }
    }

    /// ANALYZE without a name, REINDEX DATABASE.
    fn maintain_everything(&mut self) {
        let relations = self.facts.relations.values().filter(|relation| !relation.system);
        let code: BTreeSet<_> = relations.flat_map(Relation::all_code).collect();
        for code in code {
            self.run(code, Certainty::Possible, || "work on the whole database runs".to_owned());
        }
    }

    // Code that is named

    fn call(&mut self, function: &FunctionUse) {
        let name = &function.name;
        let builtin = match name.schema.as_deref() {
            None => {
                let syntax = keyword_call(&name.name).is_some_and(|since| since <= self.facts.server_version);
                syntax || builtin(&name.name).is_some()
            }
            Some("pg_catalog" | "information_schema") => builtin(&name.name).is_some(),
            Some(_) => false,
        };
        let candidates: Vec<_> = self.names.functions(name).collect();
        let certainty = if candidates.len() == 1 && !builtin { Certainty::Certain } else { Certainty::Possible };
        for candidate in &candidates {
            self.run(&candidate.code, certainty, || format!("{} may call", written(name)));
        }
        self.cast(&name.name);
        self.unwritten_casts(&name.name);
        self.bounds(&name.name);
        if !builtin && candidates.is_empty() {
            let kind =
                if function.notation == Notation::Procedure { ObjectKind::Procedure } else { ObjectKind::Function };
            let object = Object { kind, schema: name.schema.clone(), name: name.name.clone() };
            self.add(Effect { certainty: Certainty::Possible, ..Effect::new(Action::Execute, object) });
            self.reason(|| format!("no function is known that {}() calls", written(name)));
        }
    }

    fn attribute(&mut self, name: &Name) {
        let candidates: Vec<_> = self.names.functions(name).filter(|candidate| candidate.attribute).collect();
        for candidate in candidates {
            self.run(&candidate.code, Certainty::Possible, || format!("attribute {} may call", name.name));
        }
        self.cast(&name.name);
        if builtin(&name.name).is_some() || self.names.functions(name).next().is_some() {
            self.unwritten_casts(&name.name);
        }
        self.bounds(&name.name);
        if builtin(&name.name).is_some_and(|class| !class.is_harmless()) {
            let object = Object::in_schema(ObjectKind::Function, "pg_catalog", &name.name);
            self.add(Effect { certainty: Certainty::Possible, ..Effect::new(Action::Execute, object) });
            self.reason(|| format!("attribute {} may call pg_catalog.{}()", name.name, name.name));
        }
    }

    fn operators(&mut self, statement: &Statement) {
        if self.facts.operators.is_empty() || WITHOUT_EXPRESSIONS.contains(&statement.command.as_str()) {
            return;
        }
        let implicit = IMPLICIT_OPERATORS.map(|symbol| Name { schema: None, name: symbol.to_owned() });
        let makes_users = self.makes_values_of_users(statement);
        for name in statement.operators.iter().chain(&implicit) {
            let candidates = self.names.operators(name);
            let candidates: Vec<_> = candidates.filter(|operator| makes_users || self.has_operands(operator)).collect();
            for operator in candidates {
                self.run(&operator.code, Certainty::Possible, || format!("operator {} may call", written(name)));
            }
        }
    }

    /// Whether the statement may have values of types of users, of whichever: by casts and functions of users, from what
    /// the catalog does not tell of, or where a cast that nobody writes makes them.
    fn makes_values_of_users(&self, statement: &Statement) -> bool {
        let facts = self.facts;
        let of_users = |name: &Name| {
            facts.type_names.contains(canonical_type(&name.name)) || self.names.functions(name).next().is_some()
        };
        let function = |function: &FunctionUse| {
            of_users(&function.name)
                || function.notation != Notation::Attribute
                    && builtin(&function.name.name).is_none()
                    && keyword_call(&function.name.name).is_none()
        };
        self.unknown_relations
            || !facts.implicit_code.is_empty()
            || statement.declared_types.iter().any(|oid| *oid >= FIRST_USER_OID)
            || statement.types.iter().any(of_users)
            || statement.functions.iter().any(function)
    }

    /// Whether what is read or changed may hold values of the types of an operator's operands.
    fn has_operands(&self, operator: &UserOperator) -> bool {
        let Operands::Users(rows) = &operator.operands else { return true };
        self.followed.iter().any(|(oid, _)| {
            rows.contains(oid) || self.facts.relations.get(oid).is_none_or(|relation| relation.has_user_types)
        })
    }

    fn types(&mut self, statement: &Statement) {
        for name in &statement.types {
            self.cast(canonical_type(&name.name));
        }
        self.declared_types(&statement.declared_types);
        if self.facts.types.is_empty() {
            return;
        }
        let makes = |function: &FunctionUse| MAKES_VALUES_OF_TYPES.contains(&function.name.name.as_str());
        if statement.functions.iter().any(makes) {
            let code: BTreeSet<_> = self.facts.types.values().flatten().collect();
            for code in code {
                self.run(code, Certainty::Possible, || "making a value of a type may run".to_owned());
            }
        }
    }

    /// The server reads the values of parameters when they are bound, as what the client declared them to be.
    fn declared_types(&mut self, oids: &[u32]) {
        let facts = self.facts;
        for oid in oids.iter().filter(|oid| **oid >= FIRST_USER_OID) {
            let Some(code) = facts.types_by_oid.get(oid) else {
                let object = Object::new(ObjectKind::Type, oid.to_string());
                self.add(Effect { certainty: Certainty::Possible, ..Effect::new(Action::Execute, object) });
                self.reason(|| format!("a parameter is declared to be of type {oid}, of which nothing is known"));
                continue;
            };
            for code in code {
                self.run(code, Certainty::Possible, || format!("reading a parameter of type {oid} may call"));
            }
        }
    }

    /// A function casts what it is given.
    fn unwritten_casts(&mut self, function: &str) {
        let facts = self.facts;
        for to in casts_to(function) {
            for code in facts.types.get(*to).into_iter().flatten() {
                self.run(code, Certainty::Possible, || format!("{function}() casts to {to} and may call"));
            }
        }
    }

    /// A value is made of a type, by a cast or by calling the type's name as a function.
    fn cast(&mut self, name: &str) {
        let facts = self.facts;
        // A temporary table is a type too, and one of arrays of it, with an underscore in front.
        let temporary = &self.context.temporary_code;
        if temporary.contains(name) || name.strip_prefix('_').is_some_and(|element| temporary.contains(element)) {
            let object = Object::in_schema(ObjectKind::Type, "pg_temp", name);
            self.add(Effect { certainty: Certainty::Possible, ..Effect::new(Action::Execute, object) });
            self.reason(|| format!("{name} is, or was, a temporary relation whose columns run code"));
        }
        for code in facts.types.get(name).into_iter().flatten() {
            self.runs_at_parse(code);
            self.run(code, Certainty::Possible, || format!("a cast to {name} may call"));
        }
        // Which types the columns of a temporary relation have is not known.
        let temporary = &self.context.temporary;
        if temporary.contains(name) || name.strip_prefix('_').is_some_and(|element| temporary.contains(element)) {
            for code in &facts.cast_code {
                self.run(code, Certainty::Possible, || format!("a cast to the row type {name} may call"));
            }
        }
    }

    /// Code that stands nowhere in the statement.
    fn unnamed_code(&mut self, statement: &Statement) {
        let facts = self.facts;
        let computes = !statement.functions.is_empty()
            || !statement.operators.is_empty()
            || !statement.types.is_empty()
            || statement.effects.iter().any(|effect| !matches!(effect.action, Action::Transaction | Action::Set));
        if computes {
            self.code_at_parse |= facts.parse_code.iter().any(|code| self.approval_of(code) == ApprovedUse::None);
            for code in &facts.implicit_code {
                self.run(code, Certainty::Possible, || "an implicit cast or comparison may call".to_owned());
            }
        }
        if !facts.assignment_casts.is_empty() && computes {
            self.assignment_casts(statement);
        }
    }

    /// Values are assigned to columns and to the parameters of EXECUTE; conditions, limits, subscripts and the like take
    /// what can be assigned to them.
    fn assignment_casts(&mut self, statement: &Statement) {
        let facts = self.facts;
        let makes_users = self.makes_values_of_users(statement);
        let gives = statement
            .session
            .iter()
            .any(|change| matches!(change, SessionChange::ExecutePrepared { arguments, .. } if !arguments.is_empty()));
        let documents = statement
            .functions
            .iter()
            .any(|function| ["xml", "json"].iter().any(|prefix| function.name.name.starts_with(prefix)));
        for cast in &facts.assignment_casts {
            let writes = self.followed.iter().any(|(oid, action)| {
                matches!(action, Action::Insert | Action::Update) && cast.target_relations.contains(oid)
            });
            let unknown = self.unknown_relations
                && statement.effects.iter().any(|effect| matches!(effect.action, Action::Insert | Action::Update));
            let takes = match cast.target {
                CastTarget::Assigned => false,
                CastTarget::Plain => true,
                CastTarget::Other => documents,
            };
            let has_source = cast
                .source_relations
                .as_ref()
                .is_none_or(|sources| makes_users || self.followed.iter().any(|(oid, _)| sources.contains(oid)));
            if has_source && (writes || unknown || gives || takes) {
                self.run(&cast.code, Certainty::Possible, || "an assignment cast may call".to_owned());
            }
        }
    }
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

const fn fires(events: Events, action: Action) -> bool {
    match action {
        Action::Insert => events.insert,
        Action::Update => events.update,
        Action::Delete => events.delete,
        Action::Truncate => events.truncate,
        _ => false,
    }
}

/// The catalog's name of a type as SQL writes it, without `[]` and `(...)` (`SystemTypeName`, `gram.y`).
fn canonical_type(written: &str) -> &str {
    let base = written.split(['(', '[']).next().unwrap_or(written).trim_end();
    match base {
        "int" | "integer" => "int4",
        "bigint" => "int8",
        "smallint" => "int2",
        "real" => "float4",
        "float" | "double precision" | "double" => "float8",
        "decimal" | "dec" => "numeric",
        "boolean" => "bool",
        "char" | "character" | "nchar" | "national character" | "national char" => "bpchar",
        "character varying" | "char varying" | "national character varying" => "varchar",
        "bit varying" => "varbit",
        "timestamp with time zone" => "timestamptz",
        "timestamp without time zone" => "timestamp",
        "time with time zone" => "timetz",
        "time without time zone" => "time",
        _ => base,
    }
}

#[cfg(test)]
mod tests;
