//! Functions of reviewed extensions whose names are looked up when they run.
//!
//! Review is of what an extension's functions call. The source of one in SQL or PL/pgSQL is a text that the server
//! reads with the search path of whoever calls, so that its `sin(x)` may be anybody's. The order of schemas does not
//! help: what fits the types of the arguments better wins from any of them. So such a function is as reviewed as
//! everything that has a name which its source uses.

use std::collections::{HashMap, HashSet};

use super::{Assembly, Line, Malformed};
use crate::blast::extensions::is_reviewed;
use crate::blast::resolve::IMPLICIT_OPERATORS;

/// What is not reviewed and may be meant by a name.
#[derive(Default)]
struct Others {
    /// Functions and types, in small letters.
    names: HashSet<String>,
    operators: HashSet<String>,
}

impl Others {
    fn may_be_called(&self, source: &str) -> bool {
        self.operators
            .iter()
            .any(|symbol| IMPLICIT_OPERATORS.contains(&symbol.as_str()) || source.contains(symbol.as_str()))
            || words(source).any(|word| self.names.contains(&word))
    }
}

impl Assembly {
    /// Takes the review back from what may call others. It has to be known before anything asks for a function's code.
    pub(super) fn late_bound(
        &mut self,
        functions: &[Line],
        operators: &[Line],
        types: &[Line],
    ) -> Result<(), Malformed> {
        let mut others = Others::default();
        let mut open = HashMap::new();
        for line in functions {
            let oid: u32 = line.number(0)?;
            let reviewed = self.code(oid).reviewed;
            match line.optional(10)? {
                Some(source) if reviewed => drop(open.insert(oid, source)),
                _ if reviewed || line.optional(9)?.is_some_and(is_reviewed) => {}
                _ => drop(others.names.insert(line.text(2)?.to_lowercase())),
            }
        }
        if open.is_empty() {
            return Ok(());
        }
        for line in operators {
            if !self.code(line.number(3)?).reviewed {
                others.operators.insert(line.string(2)?);
            }
        }
        for line in types {
            // A row type is reached with a row only.
            if line.letter(2)? != b'c' && line.number::<u32>(4)? == 0 && !line.truth(6)? {
                others.names.insert(line.text(1)?.to_lowercase());
            }
        }
        // What calls one of them is one of them.
        loop {
            let calling: Vec<u32> =
                open.iter().filter(|(_, source)| others.may_be_called(source)).map(|(oid, _)| *oid).collect();
            if calling.is_empty() {
                return Ok(());
            }
            for oid in calling {
                open.remove(&oid);
                self.withdraw(oid, &mut others);
            }
        }
    }

    fn withdraw(&mut self, oid: u32, others: &mut Others) {
        let Some(code) = self.functions.get_mut(&oid) else { return };
        code.reviewed = false;
        others.names.insert(code.name.to_lowercase());
        for function in self.facts.functions.get_mut(&code.name).into_iter().flatten() {
            if function.code.oid == oid {
                function.code.reviewed = false;
            }
        }
    }
}

/// The names in a source, in small letters, but for those that say they are of `pg_catalog`. Strings and comments are
/// looked through as well: the first may be run, the second do no harm.
fn words(source: &str) -> impl Iterator<Item = String> + '_ {
    let is_part =
        |character: char| character.is_alphanumeric() || matches!(character, '_' | '$') || !character.is_ascii();
    let mut qualified = false;
    let mut rest = source;
    std::iter::from_fn(move || {
        loop {
            let start = rest.find(is_part)?;
            let between = &rest[..start];
            rest = &rest[start..];
            let end = rest.find(|character| !is_part(character)).unwrap_or(rest.len());
            let word = rest[..end].to_lowercase();
            rest = &rest[end..];
            let of_catalog = qualified && between == ".";
            qualified = word == "pg_catalog";
            if !of_catalog {
                return Some(word);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_count_unless_they_are_of_the_server() {
        let found: Vec<_> = words("SELECT pg_catalog.lower($1::citext) || Sin(2), pg_catalog . x").collect();
        assert_eq!(found, ["select", "pg_catalog", "$1", "citext", "sin", "2", "pg_catalog", "x"]);
    }

    #[test]
    fn what_has_a_name_that_a_source_uses_may_be_called() {
        let mut others = Others::default();
        assert!(!others.may_be_called("select sin($1) / 2"));
        others.names.insert("sin".to_owned());
        assert!(others.may_be_called("select SIN($1)"));
        assert!(!others.may_be_called("select pg_catalog.sin($1)"));
        others.operators.insert("/".to_owned());
        assert!(others.may_be_called("select 1/2"));
        others.operators.insert("=".to_owned());
        assert!(others.may_be_called("select case $1 when 1 then 2 end"));
    }
}
