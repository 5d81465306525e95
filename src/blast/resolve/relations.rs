//! Relations that a statement names, and what reading them reaches.

use super::{Resolver, Step, name_of};
use crate::blast::facts::{Relation, RelationKind};
use crate::blast::names::Found;
use crate::sql::system::{SUBSCRIPTIONS, USER_MAPPINGS, secret};
use crate::sql::{Action, Certainty, Effect, Extent, Object, ObjectKind, Statement};

impl<'a> Resolver<'a> {
    pub(super) fn effect(&mut self, effect: &Effect) {
        if matches!(effect.action, Action::Create | Action::Alter | Action::Drop | Action::Grant) {
            self.event_triggers();
        }
        if !effect.object.kind.is_relation() || effect.object.name.is_empty() {
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

    /// What definitions run.
    pub(super) fn event_triggers(&mut self) {
        let facts = self.facts;
        for code in &facts.event_triggers {
            self.run(code, Certainty::Possible, || "an event trigger runs".to_owned());
        }
    }

    /// An index is where its table is, which is altered by it.
    pub(super) fn is_index_on_temporary(&self, effect: &Effect, statement: &Statement) -> bool {
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

    /// Whether an effect is a read of connection strings where there are none.
    pub(super) fn tells_nothing(&self, effect: &Effect) -> bool {
        let name = effect.object.name.as_str();
        effect.action == Action::Host
            && effect.object.kind == ObjectKind::System
            && (self.facts.without_subscriptions && name == SUBSCRIPTIONS
                || self.facts.without_user_mappings && USER_MAPPINGS.contains(&name))
            && self.context.definitions.is_empty()
    }

    /// Another relation that is reached, shown as an effect of its own.
    pub(super) fn also(&mut self, relation: &'a Relation, action: Action, extent: Extent, certainty: Certainty) {
        let object = Object::in_schema(relation.kind.object_kind(), &relation.schema, &relation.name);
        self.add(Effect { certainty, extent, ..Effect::new(action, object) });
        self.follow(relation, action, extent, certainty);
    }

    pub(super) fn follow(&mut self, relation: &'a Relation, action: Action, extent: Extent, certainty: Certainty) {
        if self.followed.insert((relation.oid, action)) {
            self.steps.push(Step { relation, action, extent, certainty });
        }
    }

    pub(super) fn foreign(&mut self, relation: &Relation, certainty: Certainty) {
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

    /// What the conditions of row security read.
    pub(super) fn policies(&mut self, relation: &'a Relation) {
        for read in self.relations(&relation.also_reads) {
            self.restricted(read, false, Certainty::Possible);
            self.also(read, Action::Read, Extent::Inapplicable, Certainty::Possible);
        }
    }

    pub(super) fn relations(&self, oids: &'a [u32]) -> impl Iterator<Item = &'a Relation> + use<'a> {
        let facts = self.facts;
        oids.iter().filter_map(|oid| facts.relations.get(oid))
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
            self.may_execute(effect.object.clone());
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
            Found::One(relation) => {
                self.may_have_been_dropped(effect);
                self.reach(relation, effect, effect.certainty);
            }
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
                if uses(effect.action) && self.context.definitions.concern_relation(&effect.object.name) {
                    self.may_be_new(effect.object.clone());
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

    fn step(&mut self, step: &Step<'a>) {
        let relation = step.relation;
        if uses(step.action) && self.context.definitions.concern_relation(&relation.name) {
            self.may_be_new(Object::in_schema(relation.kind.object_kind(), &relation.schema, &relation.name));
        }
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
}

/// Whether an action runs what a relation runs.
const fn uses(action: Action) -> bool {
    matches!(
        action,
        Action::Read | Action::Insert | Action::Update | Action::Delete | Action::Truncate | Action::Maintain
    )
}
