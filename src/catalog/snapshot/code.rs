//! Functions, operators and types, and which of them run others.

use std::collections::HashSet;

use super::{Assembly, COLUMNS, DEFAULT, FUNCTION, Line, Malformed, Place, RELATION, TYPE};
use crate::blast::casts::makes_json;
use crate::blast::extensions::reviewed;
use crate::blast::facts::{CodeUse, FIRST_USER_OID, Operands, UserFunction, UserOperator};

impl Assembly {
    pub(super) fn functions(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        for line in lines {
            let (oid, schema, name): (u32, _, _) = (line.number(0)?, line.string(1)?, line.string(2)?);
            let (arguments, defaults): (i32, i32) = (line.number(5)?, line.number(6)?);
            let reviewed = match line.optional(9)? {
                Some(extension) => reviewed(extension, &name, line.letter(7)? == b'v', line.number(3)?),
                None => false,
            };
            let hash = line.string(8)?;
            let code = CodeUse { schema: Some(schema.clone()), name: name.clone(), oid, hash, reviewed };
            self.functions.insert(oid, code.clone());
            let attribute = line.letter(4)? != b'p' && arguments >= 1 && arguments - defaults <= 1;
            self.facts.functions.entry(name).or_default().push(UserFunction { schema, code, attribute });
        }
        Ok(())
    }

    pub(super) fn operators(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        for line in lines {
            let code = self.code(line.number(3)?);
            self.operators.insert(line.number(0)?, code);
        }
        Ok(())
    }

    pub(super) fn types(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        for line in lines {
            let oid = line.number(0)?;
            self.types.push((oid, line.string(1)?));
            self.facts.type_names.insert(line.string(1)?);
            if line.letter(2)? == b'd' {
                self.domains.insert(oid);
            }
            let edges = self.edges.entry((TYPE, oid)).or_default();
            for (column, catalog) in [(3, TYPE), (4, TYPE), (5, COLUMNS)] {
                let to: u32 = line.number(column)?;
                if to >= FIRST_USER_OID {
                    edges.push((catalog, to));
                }
            }
        }
        Ok(())
    }

    /// A type depends on the functions that read and print it. Those come with the type, from a superuser, in C. A
    /// domain has none of its own: what it depends on, its default calls.
    pub(super) fn dependencies(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        for line in lines {
            let from: Place = (line.number(0)?, line.number(1)?);
            let to: Place = (line.number(2)?, line.number(3)?);
            if !(from.0 == TYPE && to.0 == FUNCTION) {
                self.edges.entry(from).or_default().push(to);
            } else if self.domains.contains(&from.1) {
                self.edges.entry((DEFAULT, from.1)).or_default().push(to);
            }
        }
        Ok(())
    }

    pub(super) fn expressions(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        for line in lines {
            let place: Place = (line.number(0)?, line.number(1)?);
            let oid = line.number(3)?;
            if line.text(2)? == "r" {
                self.builtin_reads.entry(place).or_default().push(oid);
                continue;
            }
            let code = self.code(oid);
            if makes_json(&code.name) {
                self.json_calls.push(place);
            }
            if !code.reviewed {
                self.builtin_calls.entry(place).or_default().push(code);
            }
        }
        Ok(())
    }

    pub(super) fn operator_classes(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        for line in lines {
            let (class, function) = (line.number(0)?, line.number(2)?);
            self.classes.entry(class).or_default().push(function);
            if line.truth(1)? {
                let code = self.code(function);
                self.facts.implicit_code.push(code);
            }
            let code = self.code(function);
            if !code.reviewed {
                self.facts.operator_classes.entry(line.string(3)?).or_default().push(code);
            }
        }
        Ok(())
    }

    pub(super) fn ranges(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        for line in lines {
            let class: u32 = line.number(2)?;
            let functions = [line.number(0)?, line.number(1)?];
            let of_class = self.classes.get(&class).into_iter().flatten().copied();
            let functions: Vec<u32> = functions.into_iter().filter(|oid| *oid != 0).chain(of_class).collect();
            let code: Vec<_> = functions.into_iter().map(|oid| self.code(oid)).collect();
            self.facts.parse_code.extend(code.iter().filter(|code| !code.reviewed).cloned());
            self.facts.implicit_code.extend(code);
        }
        Ok(())
    }

    /// What the symbols stand for, once it is known which types are made of which.
    pub(super) fn symbols(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        for line in lines {
            let (schema, symbol) = (line.string(1)?, line.string(2)?);
            let code = self.code(line.number(3)?);
            let sides: [u32; 2] = [line.number(5)?, line.number(6)?];
            let sides = sides.into_iter().filter(|oid| *oid != 0);
            let operands = if sides.clone().all(|oid| oid >= FIRST_USER_OID) {
                Operands::Users(sides.flat_map(|oid| self.rows_within(oid)).collect())
            } else {
                Operands::Builtin
            };
            self.facts.operators.entry(symbol).or_default().push(UserOperator { schema, code, operands });
        }
        Ok(())
    }

    /// The relations whose rows are part of a value of a type, or the value itself.
    fn rows_within(&self, oid: u32) -> Vec<u32> {
        let mut rows = Vec::new();
        let mut seen = HashSet::from([(TYPE, oid)]);
        let mut open = vec![(TYPE, oid)];
        while let Some(place) = open.pop() {
            let columns = place.0 == COLUMNS;
            if columns {
                rows.push(place.1);
            }
            let edges = self.edges.get(&if columns { (RELATION, place.1) } else { place });
            let within = edges.into_iter().flatten().filter(|to| matches!(to.0, TYPE | COLUMNS));
            open.extend(within.filter(|to| seen.insert(**to)));
        }
        rows
    }
}
