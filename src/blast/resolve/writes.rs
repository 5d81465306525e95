//! What writing to a relation reaches, and work on one that reads or writes all of it.

use std::collections::BTreeSet;

use super::{Reach, Resolver, Step, name_of};
use crate::blast::facts::{ReferentialAction, Relation, RelationKind};
use crate::sql::{Action, Certainty, Effect, Extent, Object, ObjectKind};

impl<'a> Resolver<'a> {
    pub(super) fn write(&mut self, step: &Step<'a>) {
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

    /// ANALYZE, REINDEX, REFRESH ...: they compute index expressions and views.
    pub(super) fn maintain(&mut self, relation: &'a Relation) {
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
    pub(super) fn maintain_everything(&mut self) {
        let relations = self.facts.relations.values().filter(|relation| !relation.system);
        let code: BTreeSet<_> = relations.flat_map(Relation::all_code).collect();
        for code in code {
            self.run(code, Certainty::Possible, || "work on the whole database runs".to_owned());
        }
    }

    /// Whether an UPDATE of a relation may set one of those columns, which are those of a key.
    pub(super) fn may_set(&self, relation: &Relation, columns: Option<&[String]>) -> bool {
        let (Some(assigned), Some(columns)) = (&self.assigned, columns) else { return true };
        !self.named.contains(&relation.oid) || columns.iter().any(|column| assigned.contains(column))
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
        for rule in relation.rules.iter().filter(|rule| rule.events.include(action)) {
            replaced |= rule.instead;
            let object = Object::in_schema(ObjectKind::Rule, &relation.schema, &rule.name);
            self.may_execute(object);
            self.reason(|| format!("rule {} on {} rewrites the {action}", rule.name, name_of(relation)));
        }
        for trigger in relation.triggers.iter().filter(|trigger| trigger.events.include(action)) {
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
}
