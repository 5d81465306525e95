//! What expressions and operator classes that are stored with a table run when the table is planned for or written to by
//! another way than its own: constant calls, partition keys, and the checks of foreign keys.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{Assembly, FUNCTION, Line, Malformed, OPERATOR, Place, RELATION, TYPE};
use crate::blast::facts::{CodeUse, RelationKind};
use crate::blast::resolve::IMPLICIT_OPERATORS;
use crate::catalog::folded::{Callee, calls};
use crate::sql::{Action, LexerSettings, analyze};

impl Assembly {
    /// Once the edges and the trees of inheritance are complete: stored expressions, functions in SQL that they call,
    /// keys of partitioned tables.
    pub(super) fn stored(&mut self, trees: &[Line], bodies: &[Line], keys: &[Line]) -> Result<(), Malformed> {
        let mut inlined = HashMap::new();
        for line in bodies {
            let runs = line.optional(1)?.is_none_or(|body| !self.is_harmless_body(body));
            inlined.insert(line.number::<u32>(0)?, runs);
        }
        // What the keys of partitioned tables run when a bound is looked at.
        let mut bounds: HashMap<u32, BTreeSet<CodeUse>> = HashMap::new();
        for line in trees {
            let (place, relation): (Place, u32) = ((line.number(0)?, line.number(1)?), line.number(2)?);
            let code = self.planned(place, line.text(3)?, &inlined);
            if place == (RELATION, relation) {
                bounds.entry(relation).or_default().extend(code.iter().cloned());
            }
            self.change(relation, |relation| relation.runs_when_planned.extend(code));
        }
        self.partitions(bounds);
        for line in keys {
            let columns = line.names(1)?;
            self.change(line.number(0)?, |relation| relation.partition_key = columns);
        }
        Ok(())
    }

    /// The code that the planner may run when it simplifies an expression. Of one that is not understood, all of it.
    fn planned(&self, place: Place, text: &str, inlined: &HashMap<u32, bool>) -> BTreeSet<CodeUse> {
        let body = |callee| match callee {
            Callee::Function(oid) => inlined.get(&oid),
            Callee::Operator(oid) => self.operators.get(&oid).and_then(|code| inlined.get(&code.oid)),
            Callee::Type(_) => None,
        };
        let Some(calls) = calls(text, |callee| body(callee).is_some()) else { return self.closure(place) };
        let run = calls.into_iter().filter(|call| call.constant || body(call.callee) == Some(&true));
        run.flat_map(|call| match call.callee {
            Callee::Function(oid) => self.closure((FUNCTION, oid)),
            Callee::Operator(oid) => self.closure((OPERATOR, oid)),
            Callee::Type(oid) => self.closure((TYPE, oid)),
        })
        .collect()
    }

    /// Whether nothing that a function in SQL calls, when it is put in place of a call, can be code of users: by names
    /// alone, as it may be any session's search path that they are looked for in.
    fn is_harmless_body(&self, body: &str) -> bool {
        // Where a string ends depends on the session only if there is a backslash.
        if body.contains('\\') {
            return false;
        }
        let script = analyze(body.as_bytes(), &LexerSettings::default());
        script.statements.len() == 1
            && script.statements.iter().all(|statement| {
                let symbols = statement.operators.iter().map(|name| name.name.as_str());
                statement.effects.iter().all(|effect| effect.action != Action::Unknown)
                    && statement.command == "SELECT"
                    && statement.functions.iter().all(|function| self.is_harmless_call(&function.name.name))
                    && symbols.chain(IMPLICIT_OPERATORS).all(|symbol| {
                        self.facts.operators.get(symbol).is_none_or(|all| all.iter().all(|found| found.code.reviewed))
                    })
                    && statement.types.iter().all(|name| !self.facts.type_names.contains(&name.name))
            })
    }

    fn is_harmless_call(&self, name: &str) -> bool {
        self.facts.functions.get(name).is_none_or(|all| all.iter().all(|found| found.code.reviewed))
    }

    /// Looking at a partitioned table runs its operator classes; so does looking at the constraint of a partition, which
    /// is checked when it is written to by its own name.
    fn partitions(&mut self, mut bounds: HashMap<u32, BTreeSet<CodeUse>>) {
        let partitioned: Vec<u32> = self.partitioned();
        let mut written = HashMap::new();
        for table in &partitioned {
            let operators = self.index_operators((RELATION, *table));
            self.change(*table, |relation| relation.runs_when_planned.extend(operators.iter().cloned()));
            bounds.entry(*table).or_default().extend(operators);
            written.insert(*table, self.closure((RELATION, *table)));
        }
        if written.values().all(BTreeSet::is_empty) {
            return;
        }
        let mut open: Vec<(u32, u32)> = partitioned.iter().map(|table| (*table, *table)).collect();
        let mut seen = HashSet::new();
        while let Some((ancestor, table)) = open.pop() {
            let children = self.facts.relations.get(&table).map(|table| table.children.clone()).unwrap_or_default();
            for child in children.into_iter().filter(|child| seen.insert((ancestor, *child))) {
                self.change(child, |child| {
                    child.runs_when_planned.extend(bounds.get(&ancestor).into_iter().flatten().cloned());
                    child.runs_on_write.extend(written.get(&ancestor).into_iter().flatten().cloned());
                });
                open.push((ancestor, child));
            }
        }
    }

    fn partitioned(&self) -> Vec<u32> {
        let relations = self.facts.relations.values();
        relations
            .filter(|relation| relation.kind == RelationKind::PartitionedTable)
            .map(|relation| relation.oid)
            .collect()
    }
}
