//! From effects, facts and estimates to the blast radius: what a statement touches directly, then along views,
//! partitions, inheritance and foreign keys, with the triggers that fire on the way.

use std::collections::{HashMap, HashSet, VecDeque};

use super::facts::{Facts, ReferentialAction, Relation, RelationKind};
use super::names::{Found, Names};
use super::radius::{Basis, Dependent, Radius, Rows, TouchedRelation, TouchedTrigger, TriggerEffects, Via};
use super::resolve::{NameContext, Resolved};
use crate::sql::{Action, Effect, Extent, Statement};

/// Relations beyond these are counted in a warning and not listed.
const MOST_RELATIONS: usize = 200;
/// Dependents beyond these are counted in a warning and not listed.
const MOST_DEPENDENTS: usize = 200;

/// What was found out about numbers.
#[derive(Debug, Clone, Default)]
pub struct Estimates {
    /// What the planner expects of the statement; `None` where it was not asked or did not answer.
    pub planned: Option<Vec<Planned>>,
    /// Rows of relations by the server's statistics now, by OID. They go before those of the facts.
    pub sizes: HashMap<u32, u64>,
    /// What depends on the objects that are dropped, where it was asked for.
    pub dependents: Vec<Dependent>,
    /// What could not be found out, and why.
    pub warnings: Vec<String>,
}

/// What the planner expects of one part of a statement that changes rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The relation's schema.
    pub schema: String,
    /// The relation's name.
    pub name: String,
    /// `None` for MERGE, which may do several things.
    pub action: Option<Action>,
    /// How many rows.
    pub rows: Rows,
}

/// The statement whose radius is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Measured<'a> {
    /// The statement as understood.
    pub statement: &'a Statement,
    /// Its text: locks depend on words that effects do not carry.
    pub text: &'a str,
    /// The statement resolved.
    pub resolved: &'a Resolved,
    /// What it was resolved with.
    pub names: &'a NameContext,
    /// What it was resolved against.
    pub facts: &'a Facts,
}

/// How much the statement would touch.
#[must_use]
pub fn measure(measured: &Measured<'_>, estimates: &Estimates) -> Radius {
    let words = measured.text.to_ascii_uppercase();
    let mut walk = Walk {
        facts: measured.facts,
        estimates,
        words: &words,
        radius: Radius {
            rows: Rows::UNKNOWN,
            relations: Vec::new(),
            triggers: Vec::new(),
            dependents: Vec::new(),
            warnings: estimates.warnings.clone(),
        },
        seen: HashSet::new(),
        queue: VecDeque::new(),
        left_out: 0,
    };
    walk.targets(measured);
    walk.code(measured.resolved);
    while let Some(reached) = walk.queue.pop_front() {
        walk.spread(&reached);
    }
    walk.dependents();
    walk.finish()
}

/// The relations named by effects that are more than reads, for which sizes are worth asking.
pub(crate) fn touched(statement: &Statement, facts: &Facts, names: &NameContext) -> Vec<u32> {
    let names = Names::new(facts, names);
    let mut found = Vec::new();
    for effect in &statement.effects {
        if effect.action != Action::Read && effect.object.kind.is_relation() {
            found.extend(relations(&names, effect).into_iter().map(|relation| relation.oid));
        }
    }
    let mut seen: HashSet<u32> = found.iter().copied().collect();
    let mut next = 0;
    while let Some(oid) = found.get(next) {
        next += 1;
        let Some(relation) = facts.relations.get(oid) else { continue };
        let keys = relation.referenced_by.iter().map(|key| key.from);
        for oid in relation.children.iter().chain(&relation.reads).copied().chain(keys) {
            if found.len() < MOST_RELATIONS && seen.insert(oid) {
                found.push(oid);
            }
        }
    }
    found
}

/// A relation to which something is done.
struct Reached<'a> {
    relation: &'a Relation,
    action: Action,
    rows: Rows,
}

struct Walk<'a> {
    facts: &'a Facts,
    estimates: &'a Estimates,
    words: &'a str,
    radius: Radius,
    seen: HashSet<(u32, Action)>,
    queue: VecDeque<Reached<'a>>,
    left_out: usize,
}

impl<'a> Walk<'a> {
    fn targets(&mut self, measured: &Measured<'a>) {
        let names = Names::new(measured.facts, measured.names);
        let mut total: Option<Rows> = None;
        for effect in &measured.statement.effects {
            if effect.action == Action::Read || !effect.object.kind.is_relation() {
                continue;
            }
            let found = relations(&names, effect);
            if found.is_empty() {
                self.stranger(effect);
            }
            for relation in found {
                let rows = self.target_rows(relation, effect);
                self.reach(relation, effect.action, Via::Statement, rows);
                if changes_rows(effect.action) || effect.action == Action::Drop {
                    total = Some(total.map_or(rows, |sum| sum_of(sum, rows)));
                }
            }
        }
        if let Some(total) = total {
            self.radius.rows = total;
        }
    }

    /// Something new, something of the session's own, or something the catalog does not know.
    fn stranger(&mut self, effect: &Effect) {
        self.radius.relations.push(TouchedRelation {
            schema: effect.object.schema.clone(),
            name: effect.object.name.clone(),
            kind: effect.object.kind.as_str().to_owned(),
            action: effect.action.as_str().to_owned(),
            via: Via::Statement,
            rows: Rows::UNKNOWN,
            share: None,
            lock: None,
        });
        if effect.action != Action::Create {
            self.warn(format!("{} is not in the catalog: how much it holds is not known", effect.object));
        }
    }

    fn target_rows(&mut self, relation: &Relation, effect: &Effect) -> Rows {
        match effect.action {
            Action::Truncate | Action::Drop => self.size(relation),
            Action::Insert | Action::Update | Action::Delete => self.planned_rows(relation, effect),
            _ => Rows::UNKNOWN,
        }
    }

    fn planned_rows(&mut self, relation: &Relation, effect: &Effect) -> Rows {
        if let Some(planned) = &self.estimates.planned {
            let base = if relation.kind == RelationKind::View {
                relation.reads.first().and_then(|oid| self.facts.relations.get(oid)).unwrap_or(relation)
            } else {
                relation
            };
            let matching = planned.iter().filter(|part| {
                [relation, base].iter().any(|relation| part.schema == relation.schema && part.name == relation.name)
                    && part.action.is_none_or(|action| action == effect.action)
            });
            if let Some(rows) = matching.map(|part| part.rows).reduce(sum_of) {
                return rows;
            }
        }
        if effect.action == Action::Insert {
            return Rows::UNKNOWN;
        }
        let all = self.size(relation);
        if effect.extent != Extent::Whole && all.value.is_some() {
            self.warn(format!(
                "the rows of {}.{} are all it holds: how many the condition picks could not be estimated",
                relation.schema, relation.name
            ));
        }
        all
    }

    /// All rows of a relation; of a partitioned one those of its partitions.
    fn size(&self, relation: &Relation) -> Rows {
        let mut total: u64 = 0;
        let mut seen = HashSet::new();
        let mut open = vec![relation];
        while let Some(relation) = open.pop() {
            if !seen.insert(relation.oid) {
                continue;
            }
            if relation.kind != RelationKind::PartitionedTable {
                let Some(rows) = self.own_size(relation) else { return Rows::UNKNOWN };
                total = total.saturating_add(rows);
            }
            open.extend(relation.children.iter().filter_map(|oid| self.facts.relations.get(oid)));
        }
        Rows::statistics(total)
    }

    fn own_size(&self, relation: &Relation) -> Option<u64> {
        self.estimates.sizes.get(&relation.oid).copied().or(relation.rows)
    }

    fn reach(&mut self, relation: &'a Relation, action: Action, via: Via, rows: Rows) {
        if !self.seen.insert((relation.oid, action)) {
            return;
        }
        if self.radius.relations.len() >= MOST_RELATIONS {
            self.left_out += 1;
            return;
        }
        let size = self.size(relation);
        self.radius.relations.push(TouchedRelation {
            schema: Some(relation.schema.clone()),
            name: relation.name.clone(),
            kind: relation.kind.object_kind().as_str().to_owned(),
            action: action.as_str().to_owned(),
            via,
            rows,
            share: share(rows, size),
            lock: lock(action, relation.kind, self.words).map(str::to_owned),
        });
        self.queue.push_back(Reached { relation, action, rows });
    }

    /// What follows from one step.
    fn spread(&mut self, reached: &Reached<'a>) {
        let Reached { relation, action, rows } = *reached;
        let replaced = self.triggers_and_rules(relation, action);
        if relation.kind == RelationKind::View && changes_rows(action) && !replaced {
            for base in self.relations(&relation.reads) {
                self.reach(base, action, Via::View, rows);
            }
        }
        if changes_rows(action) || action == Action::Drop {
            self.children(relation, action, rows);
            self.keys(relation, action, rows);
        }
        if relation.kind == RelationKind::ForeignTable {
            let name = format!("{}.{}", relation.schema, relation.name);
            self.warn(format!("{name} is a foreign table: what its server does is not known"));
        }
    }

    /// Whether something is done instead of the action.
    fn triggers_and_rules(&mut self, relation: &Relation, action: Action) -> bool {
        let mut replaced = false;
        for trigger in relation.triggers.iter().filter(|trigger| trigger.events.include(action)) {
            replaced |= trigger.instead_of;
            let effects = if trigger.code.reviewed { TriggerEffects::Known } else { TriggerEffects::Unknown };
            let function = trigger.code.to_string();
            self.radius.triggers.push(TouchedTrigger { name: trigger.name.clone(), function, effects });
        }
        for rule in relation.rules.iter().filter(|rule| rule.events.include(action)) {
            replaced |= rule.instead;
            self.warn(format!(
                "rule {} on {}.{} rewrites the {action}: what it touches is not in these numbers",
                rule.name, relation.schema, relation.name
            ));
        }
        replaced
    }

    fn children(&mut self, relation: &'a Relation, action: Action, rows: Rows) {
        let via = if relation.kind == RelationKind::PartitionedTable { Via::Partition } else { Via::Inheritance };
        // Rows go into one partition each, and into no child of a plain table.
        let into = action == Action::Insert;
        if (into || action == Action::Drop) && via == Via::Inheritance {
            return;
        }
        let share = share(rows, self.size(relation));
        for child in self.relations(&relation.children) {
            let rows = if into { Rows::UNKNOWN } else { part_of(share, self.size(child)) };
            self.reach(child, action, via, rows);
        }
    }

    fn keys(&mut self, relation: &'a Relation, action: Action, rows: Rows) {
        let share = share(rows, self.size(relation));
        for key in &relation.referenced_by {
            let Some(from) = self.facts.relations.get(&key.from) else { continue };
            match (action, key.on_delete, key.on_update) {
                (Action::Delete, ReferentialAction::Cascade, _) => {
                    self.reach(from, Action::Delete, Via::Cascade, part_of(share, self.size(from)));
                }
                (Action::Delete, ReferentialAction::SetNull | ReferentialAction::SetDefault, _) => {
                    self.reach(from, Action::Update, Via::Cascade, part_of(share, self.size(from)));
                }
                // Only if the key itself changes, which the effects do not say.
                (Action::Update, _, on_update) if spreads(on_update) => {
                    self.reach(from, Action::Update, Via::Cascade, Rows::UNKNOWN);
                }
                (Action::Truncate, ..) if self.words.contains("CASCADE") => {
                    self.reach(from, Action::Truncate, Via::Cascade, self.size(from));
                }
                (Action::Drop, ..) => {
                    let name = format!("{} on {}.{}", key.name, from.schema, from.name);
                    self.dependent("table_constraint", &from.schema, &name);
                }
                _ => {}
            }
        }
    }

    fn relations(&self, oids: &'a [u32]) -> impl Iterator<Item = &'a Relation> + use<'a> {
        let facts = self.facts;
        oids.iter().filter_map(|oid| facts.relations.get(oid))
    }

    /// Views over what is touched, and what the server says of what is dropped.
    fn dependents(&mut self) {
        for dependent in &self.estimates.dependents {
            self.dependent(&dependent.kind, &dependent.schema, &dependent.name);
        }
        let touched: Vec<u32> = self.seen.iter().map(|(oid, _)| *oid).collect();
        let mut seen: HashSet<u32> = touched.iter().copied().collect();
        let mut open = touched;
        open.sort_unstable();
        while let Some(oid) = open.pop() {
            let Some(relation) = self.facts.relations.get(&oid) else { continue };
            for view in self.relations(&relation.read_by) {
                if seen.insert(view.oid) {
                    self.dependent(view.kind.object_kind().as_str(), &view.schema, &view.name);
                    open.push(view.oid);
                }
            }
        }
    }

    fn dependent(&mut self, kind: &str, schema: &str, name: &str) {
        let dependent = Dependent { kind: kind.to_owned(), schema: schema.to_owned(), name: name.to_owned() };
        if !self.radius.dependents.contains(&dependent) {
            if self.radius.dependents.len() < MOST_DEPENDENTS {
                self.radius.dependents.push(dependent);
            } else {
                self.warn(format!("more than {MOST_DEPENDENTS} objects depend on this"));
            }
        }
    }

    fn code(&mut self, resolved: &Resolved) {
        for code in &resolved.code {
            self.warn(format!("{code} may run: what it does is not in these numbers"));
        }
    }

    fn warn(&mut self, warning: String) {
        if !self.radius.warnings.contains(&warning) {
            self.radius.warnings.push(warning);
        }
    }

    fn finish(mut self) -> Radius {
        if self.left_out > 0 {
            let warning = format!("at least {} more relations are touched and not listed", self.left_out);
            self.warn(warning);
        }
        self.radius
    }
}

fn relations<'a>(names: &Names<'a>, effect: &Effect) -> Vec<&'a Relation> {
    if effect.temporary || effect.action == Action::Create {
        return Vec::new();
    }
    match names.relation(effect.object.schema.as_deref(), &effect.object.name) {
        Found::One(relation) => vec![relation],
        Found::Several(relations) => relations,
        Found::Temporary | Found::Nothing => Vec::new(),
    }
}

const fn changes_rows(action: Action) -> bool {
    matches!(action, Action::Insert | Action::Update | Action::Delete | Action::Truncate)
}

const fn spreads(action: ReferentialAction) -> bool {
    matches!(action, ReferentialAction::Cascade | ReferentialAction::SetNull | ReferentialAction::SetDefault)
}

/// The sum is as good as the worse of the two; unknown if one is.
fn sum_of(one: Rows, other: Rows) -> Rows {
    match (one.value, other.value) {
        (Some(first), Some(second)) => {
            let value = first.saturating_add(second);
            if [one.basis, other.basis].contains(&Basis::Statistics) {
                Rows::statistics(value)
            } else if [one.basis, other.basis].contains(&Basis::Planner) {
                Rows::planner(value)
            } else {
                Rows::exact(value)
            }
        }
        _ => Rows::UNKNOWN,
    }
}

/// `rows` as a share of `all`, 0 to 1.
fn share(rows: Rows, all: Rows) -> Option<f64> {
    match (rows.value?, all.value?) {
        (_, 0) => None,
        (rows, all) => Some((rows as f64 / all as f64).min(1.0)),
    }
}

/// A share of all rows, rounded up: a part of a row is a row.
fn part_of(share: Option<f64>, all: Rows) -> Rows {
    match (share, all.value) {
        (Some(share), Some(all)) => Rows::statistics((share * all as f64).ceil() as u64),
        _ => Rows::UNKNOWN,
    }
}

/// The strongest lock that an action takes on a relation
/// (<https://www.postgresql.org/docs/current/explicit-locking.html>); `None` where it depends on more.
fn lock(action: Action, kind: RelationKind, words: &str) -> Option<&'static str> {
    let concurrently = words.contains("CONCURRENTLY");
    Some(match action {
        Action::Insert | Action::Update | Action::Delete => "RowExclusiveLock",
        Action::Truncate => "AccessExclusiveLock",
        Action::Drop if concurrently => "ShareUpdateExclusiveLock",
        Action::Drop => "AccessExclusiveLock",
        Action::Alter if words.contains("VALIDATE CONSTRAINT") || words.contains("ATTACH PARTITION") => {
            "ShareUpdateExclusiveLock"
        }
        Action::Alter if words.contains("CREATE INDEX") || words.contains("CREATE UNIQUE INDEX") => {
            if concurrently {
                "ShareUpdateExclusiveLock"
            } else {
                "ShareLock"
            }
        }
        Action::Alter if words.contains("CREATE TRIGGER") => "ShareRowExclusiveLock",
        Action::Alter => "AccessExclusiveLock",
        Action::Maintain => match words.split_whitespace().next() {
            Some("ANALYZE" | "ANALYSE") => "ShareUpdateExclusiveLock",
            Some("VACUUM") if words.contains("FULL") => "AccessExclusiveLock",
            Some("VACUUM") => "ShareUpdateExclusiveLock",
            Some("REINDEX") if concurrently => "ShareUpdateExclusiveLock",
            Some("REINDEX") if kind == RelationKind::Index => "AccessExclusiveLock",
            Some("REINDEX") => "ShareLock",
            Some("REFRESH") if concurrently => "ExclusiveLock",
            Some("REFRESH" | "CLUSTER") => "AccessExclusiveLock",
            _ => return None,
        },
        _ => return None,
    })
}

#[cfg(test)]
#[path = "measure_tests.rs"]
mod tests;
