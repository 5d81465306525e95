//! Code that is stored with a table and runs because the table is looked at, or is written to by another way.

use std::collections::HashSet;

use super::{Reach, Resolver, name_of};
use crate::blast::facts::{ForeignKey, Relation, RelationKind};
use crate::sql::{Action, Certainty};

/// Functions of the server that look at the bounds of partitions, which runs what the keys run.
const BOUNDS_FUNCTIONS: [&str; 2] = ["pg_get_partition_constraintdef", "satisfies_hash_partition"];

impl<'a> Resolver<'a> {
    /// What planning for a relation runs, whatever is done with it.
    pub(super) fn planned(&mut self, relation: &'a Relation) {
        for code in &relation.runs_when_planned {
            self.run(code, Certainty::Possible, || format!("planning for {} runs", name_of(relation)));
        }
    }

    /// What the queries run by which foreign keys are checked in another table, and in its partitions.
    pub(super) fn looked_up(&mut self, relation: &'a Relation) {
        for relation in self.tree(relation) {
            self.planned(relation);
        }
    }

    /// A row that refers to others has them looked up when it is written.
    pub(super) fn references(&mut self, relation: &'a Relation, action: Action) {
        if self.reach == Reach::Planning || !matches!(action, Action::Insert | Action::Update) {
            return;
        }
        for reference in &relation.references {
            let looks = action == Action::Insert || self.may_set(relation, Some(&reference.columns));
            if let Some(to) = self.facts.relations.get(&reference.to).filter(|_| looks) {
                self.looked_up(to);
            }
        }
    }

    /// A foreign key sets its columns in the rows that hold it, whatever else the statement sets there.
    pub(super) fn set_by_key(&mut self, from: &'a Relation, key: &ForeignKey, to: &Relation) {
        let own = from.references.iter().find(|own| own.name == key.name && own.to == to.oid);
        self.moves(from, own.map(|own| own.columns.as_slice()));
        for reference in &from.references {
            if let Some(to) = self.facts.relations.get(&reference.to) {
                self.looked_up(to);
            }
        }
    }

    /// An UPDATE by whatever way. One that may set a column of a partition key may move rows: that fires the triggers for
    /// DELETE where they were and those for INSERT where they go. `set` are the columns, `None` where they are not known.
    pub(super) fn moves(&mut self, relation: &'a Relation, set: Option<&[String]>) {
        if self.reach == Reach::Planning || relation.kind != RelationKind::PartitionedTable {
            return;
        }
        let stays = |table: &Relation| match (set, &table.partition_key) {
            (Some(set), Some(key)) => !key.iter().any(|column| set.contains(column)),
            _ => false,
        };
        for table in self.tree(relation) {
            if table.kind != RelationKind::PartitionedTable || stays(table) {
                continue;
            }
            // Those of the partitioned tables themselves are for whole statements; those for rows are copied to each partition.
            let tree = self.tree(table);
            for partition in tree.into_iter().filter(|table| table.kind != RelationKind::PartitionedTable) {
                for trigger in &partition.triggers {
                    if trigger.events.insert || trigger.events.delete {
                        self.run(&trigger.code, Certainty::Possible, || {
                            format!(
                                "rows move between partitions: trigger {} on {} runs",
                                trigger.name,
                                name_of(partition)
                            )
                        });
                    }
                }
            }
            if table.oid == relation.oid {
                break;
            }
        }
    }

    /// A relation, and if it is partitioned all below it.
    fn tree(&self, relation: &'a Relation) -> Vec<&'a Relation> {
        let mut tree = vec![relation];
        let mut seen = HashSet::from([relation.oid]);
        let mut next = 0;
        while let Some(table) = tree.get(next) {
            if table.kind == RelationKind::PartitionedTable {
                tree.extend(self.relations(&table.children).filter(|child| seen.insert(child.oid)));
            }
            next += 1;
        }
        tree
    }

    /// A function that is given a partition and looks at its bounds. Which one cannot be told.
    pub(super) fn bounds(&mut self, function: &str) {
        if !BOUNDS_FUNCTIONS.contains(&function) {
            return;
        }
        let facts = self.facts;
        for table in facts.relations.values().filter(|table| table.kind == RelationKind::PartitionedTable) {
            self.planned(table);
        }
    }
}
