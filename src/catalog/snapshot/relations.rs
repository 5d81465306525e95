//! Relations: their columns, and what is stored with them to be run.

use std::collections::{BTreeSet, HashMap};

use super::{
    Assembly, COLUMNS, CONSTRAINT, DEFAULT, Line, Malformed, OPERATOR_CLASS, POLICY, Place, RELATION, RULE, TRIGGER,
    TYPE,
};
use crate::blast::facts::{
    CodeUse, ColumnNames, Events, FIRST_USER_OID, ForeignKey, Reference, ReferentialAction, Relation, RelationKind,
    Rule, Trigger,
};

/// How many bytes of names of columns are kept of a database; those of the relations beyond are not known.
const MOST_COLUMN_NAMES: usize = 32 << 20;

impl Assembly {
    pub(super) fn relations(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        for line in lines {
            let oid = line.number(0)?;
            let schema = line.string(1)?;
            let Some(kind) = relation_kind(line.letter(3)?) else { continue };
            // -1: never analyzed.
            let rows = u64::try_from(line.number::<i64>(4)?).ok();
            let bytes = rows.and(u64::try_from(line.number::<i64>(5)?).ok()).map(|pages| pages.saturating_mul(8192));
            if line.truth(6)? {
                self.secured.insert(oid);
            }
            let system = oid < FIRST_USER_OID && matches!(schema.as_str(), "pg_catalog" | "information_schema");
            let name = line.string(2)?;
            self.facts.add_relation(Relation { oid, schema, name, kind, rows, bytes, system, ..Relation::default() });
        }
        Ok(())
    }

    /// A relation without a line has no columns of its own.
    pub(super) fn column_names(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        for relation in self.facts.relations.values_mut().filter(|relation| relation.oid >= FIRST_USER_OID) {
            relation.columns = Some(ColumnNames::default());
        }
        let mut bytes = 0;
        for line in lines {
            let (relation, names) = (line.number(0)?, line.text(1)?);
            bytes += names.len();
            let names = (bytes <= MOST_COLUMN_NAMES).then(|| ColumnNames::new(names));
            self.change(relation, |relation| relation.columns = names);
        }
        Ok(())
    }

    pub(super) fn constraints(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        // The copies of a foreign key that partitions of the referencing table hold are the key itself.
        let mut referenced = HashMap::new();
        for line in lines {
            referenced.insert(line.number::<u32>(0)?, line.number::<u32>(5)?);
        }
        for line in lines {
            let (oid, table, domain): (u32, u32, u32) = (line.number(0)?, line.number(1)?, line.number(2)?);
            if domain != 0 {
                self.edges.entry((TYPE, domain)).or_default().push((CONSTRAINT, oid));
            }
            if table != 0 {
                self.edges.entry((RELATION, table)).or_default().push((CONSTRAINT, oid));
            }
            let (to, parent): (u32, u32) = (line.number(5)?, line.number(8)?);
            if let Some(columns) = line.names(10)? {
                let reference = Reference { name: line.string(4)?, to, columns };
                self.change(table, |relation| relation.references.push(reference));
            }
            if line.letter(3)? == b'f' && referenced.get(&parent) != Some(&to) {
                let key = ForeignKey {
                    name: line.string(4)?,
                    from: table,
                    on_delete: referential_action(line.letter(6)?),
                    on_update: referential_action(line.letter(7)?),
                    columns: line.names(9)?,
                };
                self.change(to, |relation| relation.referenced_by.push(key));
            }
        }
        Ok(())
    }

    pub(super) fn rules(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        for line in lines {
            let (oid, relation): (u32, u32) = (line.number(0)?, line.number(1)?);
            let (name, event, instead) = (line.string(2)?, line.letter(3)?, line.truth(4)?);
            if event != b'1' {
                let events =
                    Events { update: event == b'2', insert: event == b'3', delete: event == b'4', truncate: false };
                self.change(relation, |relation| relation.rules.push(Rule { name, events, instead }));
                continue;
            }
            let code = self.closure((RULE, oid));
            let reads = self.reads((RULE, oid), relation);
            for base in &reads {
                self.change(*base, |base| base.read_by.push(relation));
            }
            self.change(relation, |relation| {
                relation.runs_on_read.extend(code);
                relation.reads = reads;
            });
        }
        Ok(())
    }

    pub(super) fn triggers(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        for line in lines {
            let (oid, relation, function): (u32, u32, u32) = (line.number(0)?, line.number(1)?, line.number(3)?);
            let kind: u16 = line.number(4)?;
            // `TRIGGER_TYPE_*` of src/include/catalog/pg_trigger.h.
            let events = Events {
                insert: kind & 4 != 0,
                delete: kind & 8 != 0,
                update: kind & 16 != 0,
                truncate: kind & 32 != 0,
            };
            let code = self.code(function);
            let trigger = Trigger { name: line.string(2)?, code, events, instead_of: kind & 64 != 0 };
            // Its condition runs whether or not the trigger does.
            let mut conditions = self.closure((TRIGGER, oid));
            conditions.remove(&trigger.code);
            self.change(relation, |relation| {
                relation.triggers.push(trigger);
                relation.runs_on_write.extend(conditions);
            });
        }
        Ok(())
    }

    pub(super) fn parts(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        for line in lines {
            let (place, relation): (Place, u32) = ((line.number(0)?, line.number(1)?), line.number(2)?);
            let runs = line.letter(3)?;
            if place.0 == POLICY && !self.secured.contains(&relation) {
                continue;
            }
            let code = self.closure(place);
            let also = if place.0 == POLICY { self.reads(place, relation) } else { Vec::new() };
            // The operators of an index serve reads; its expressions are computed on writes, and named on reads.
            let on_read = if matches!(runs, b'p' | b'r') { code.clone() } else { BTreeSet::new() };
            let planned = if place.0 == RELATION { self.index_operators(place) } else { BTreeSet::new() };
            self.change(relation, |relation| {
                relation.runs_on_read.extend(on_read);
                relation.runs_when_planned.extend(planned);
                relation.runs_on_write.extend(code);
                relation.also_reads.extend(also);
            });
        }
        Ok(())
    }

    pub(super) fn index_operators(&self, index: Place) -> BTreeSet<CodeUse> {
        let classes = self.edges.get(&index).into_iter().flatten().filter(|to| to.0 == OPERATOR_CLASS);
        classes.flat_map(|class| self.closure(*class)).collect()
    }

    /// The types of columns, checks, and the keys of partitions.
    pub(super) fn columns(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        let mut runs_code: HashMap<u32, bool> = HashMap::new();
        let mut value_columns: HashMap<u32, Vec<String>> = HashMap::new();
        for line in lines {
            let of: u32 = line.number(2)?;
            if *runs_code.entry(of).or_insert_with(|| !self.closure((TYPE, of)).is_empty()) {
                value_columns.entry(line.number(0)?).or_default().push(line.string(1)?);
            }
        }
        let tables: Vec<_> = self.edges.keys().filter(|place| place.0 == RELATION).map(|place| place.1).collect();
        for table in tables {
            let mut code = self.closure((RELATION, table));
            let of_values = self.closure((COLUMNS, table));
            let types = self.edges.get(&(RELATION, table)).into_iter().flatten().filter(|to| to.0 == TYPE);
            let has_user_types = types.clone().next().is_some();
            let defaults: BTreeSet<_> = types.flat_map(|to| self.closure((DEFAULT, to.1))).collect();
            code.extend(defaults.iter().cloned());
            self.change(table, |relation| {
                relation.runs_on_write.extend(code);
                relation.columns_run_code = !of_values.is_empty() || !defaults.is_empty();
                relation.runs_on_values.extend(of_values);
                relation.has_user_types = has_user_types;
                relation.value_columns = Some(value_columns.remove(&table).unwrap_or_default());
            });
        }
        for (oid, name) in std::mem::take(&mut self.types) {
            let mut code = self.closure((TYPE, oid));
            // A column of a temporary table may be of this type; a value alone needs no default.
            let values: Vec<_> = code.iter().cloned().collect();
            self.facts.types_by_oid.insert(oid, values);
            code.extend(self.closure((DEFAULT, oid)));
            if !code.is_empty() {
                self.facts.types.entry(name).or_default().extend(code);
            }
        }
        Ok(())
    }
}

/// `pg_class.relkind`; `None` for TOAST tables.
const fn relation_kind(letter: u8) -> Option<RelationKind> {
    Some(match letter {
        b'r' => RelationKind::Table,
        b'p' => RelationKind::PartitionedTable,
        b'v' => RelationKind::View,
        b'm' => RelationKind::MaterializedView,
        b'f' => RelationKind::ForeignTable,
        b'S' => RelationKind::Sequence,
        b'i' | b'I' => RelationKind::Index,
        b'c' => RelationKind::CompositeType,
        _ => return None,
    })
}

/// `pg_constraint.confdeltype` and `confupdtype`; what is not known counts as the worst.
const fn referential_action(letter: u8) -> ReferentialAction {
    match letter {
        b'a' => ReferentialAction::NoAction,
        b'r' => ReferentialAction::Restrict,
        b'n' => ReferentialAction::SetNull,
        b'd' => ReferentialAction::SetDefault,
        _ => ReferentialAction::Cascade,
    }
}
