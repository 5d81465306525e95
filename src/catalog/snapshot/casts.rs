//! Casts of users that run functions: what leads to a type leads to all that are made of it.
//!
//! A cast to a domain is one to its base type, one to an array is one to its elements, and a row that is cast has each
//! of its columns cast (`coerce_record_to_complex`).

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{Assembly, COLUMNS, Line, Malformed, Place, RELATION, TYPE};
use crate::blast::facts::{AssignmentCast, CastTarget, CodeUse, FIRST_USER_OID};

/// The functions of casts, by the type they lead to.
type Targets = HashMap<u32, Vec<CodeUse>>;

impl Assembly {
    pub(super) fn casts(&mut self, lines: &[Line], assignments: &[Line], parts: &[Line]) -> Result<(), Malformed> {
        let mut relations: HashMap<(u32, bool), HashSet<u32>> = HashMap::new();
        for line in assignments {
            relations.entry((line.number(0)?, line.truth(1)?)).or_default().insert(line.number(2)?);
        }
        let mut targets = Targets::new();
        for line in lines {
            let code = self.code(line.number(0)?);
            if code.reviewed {
                continue;
            }
            match line.letter(1)? {
                b'i' => self.facts.implicit_code.push(code.clone()),
                b'a' => {
                    let (target, cast, source): (u32, u32, u32) = (line.number(3)?, line.number(6)?, line.number(7)?);
                    let mut of = |leads_to| relations.remove(&(cast, leads_to)).unwrap_or_default();
                    self.facts.assignment_casts.push(AssignmentCast {
                        code: code.clone(),
                        target: cast_target(target),
                        target_relations: of(true),
                        source_relations: (source >= FIRST_USER_OID).then(|| of(false)),
                    });
                }
                _ => {}
            }
            let (name, target, array) = (line.string(2)?, line.number(3)?, line.number(4)?);
            if target < FIRST_USER_OID {
                self.facts.types.entry(line.string(5)?).or_default().push(code.clone());
                if name == "json" {
                    self.json_casts.push(code.clone());
                }
            }
            self.facts.types.entry(name).or_default().push(code.clone());
            for oid in [target, array].into_iter().filter(|oid| *oid != 0) {
                targets.entry(oid).or_default().push(code.clone());
            }
            self.facts.cast_code.push(code);
        }
        for place in std::mem::take(&mut self.json_calls) {
            self.builtin_calls.entry(place).or_default().extend(self.json_casts.iter().cloned());
        }
        if targets.is_empty() {
            return Ok(());
        }
        let mut builtin: HashMap<Place, Vec<u32>> = HashMap::new();
        for line in parts {
            builtin.entry((line.number(0)?, line.number(1)?)).or_default().push(line.number(2)?);
        }
        self.casts_to_parts(&targets, &builtin);
        Ok(())
    }

    fn casts_to_parts(&mut self, targets: &Targets, builtin: &HashMap<Place, Vec<u32>>) {
        // Rows of the server's own relations have types of the same name, and arrays of them.
        let mut found = Vec::new();
        for ((catalog, oid), parts) in builtin {
            let system =
                (*catalog == RELATION && *oid < FIRST_USER_OID).then(|| self.facts.relations.get(oid)).flatten();
            if let Some(relation) = system {
                let code: BTreeSet<_> = parts.iter().flat_map(|oid| targets.get(oid)).flatten().cloned().collect();
                found.push((format!("_{}", relation.name), code.clone()));
                found.push((relation.name.clone(), code));
            }
        }
        for (oid, name) in &self.types {
            found.push((name.clone(), self.casts_within(*oid, targets, builtin)));
        }
        for (name, code) in found {
            if !code.is_empty() {
                self.facts.types.entry(name).or_default().extend(code);
            }
        }
    }

    /// The casts to a type and to all that it is made of.
    fn casts_within(&self, oid: u32, targets: &Targets, builtin: &HashMap<Place, Vec<u32>>) -> BTreeSet<CodeUse> {
        let mut code = BTreeSet::new();
        let mut seen = HashSet::from([(TYPE, oid)]);
        let mut open = vec![(TYPE, oid)];
        while let Some(place) = open.pop() {
            let place = if place.0 == COLUMNS {
                (RELATION, place.1)
            } else {
                code.extend(targets.get(&place.1).into_iter().flatten().cloned());
                place
            };
            code.extend(builtin.get(&place).into_iter().flatten().flat_map(|oid| targets.get(oid)).flatten().cloned());
            let edges = self.edges.get(&place).into_iter().flatten();
            let within = edges.filter(|to| to.0 == TYPE || place.0 == TYPE && to.0 == COLUMNS);
            open.extend(within.filter(|to| seen.insert(**to)));
        }
        code
    }
}

/// What a cast to that type serves beside assignments.
const fn cast_target(oid: u32) -> CastTarget {
    match oid {
        FIRST_USER_OID.. => CastTarget::Assigned,
        // bool, int8, int2, int4, float4, float8, numeric
        16 | 20 | 21 | 23 | 700 | 701 | 1700 => CastTarget::Plain,
        _ => CastTarget::Other,
    }
}
