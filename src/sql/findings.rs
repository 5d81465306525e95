//! What reading one statement brings to light, collected as it is found.

use std::collections::HashSet;
use std::hash::Hash;

use super::effect::{Action, Effect, Object, ObjectKind};
use super::statement::{Assumption, FunctionUse, Name, Notation, Redefinition, SessionChange, Statement};

/// From how many values on a set is kept beside the list.
const SMALL: usize = 16;

/// Different values in the order in which they were first seen.
#[derive(Debug, Clone)]
pub(super) struct Distinct<T> {
    list: Vec<T>,
    set: HashSet<T>,
}

impl<T> Default for Distinct<T> {
    fn default() -> Self {
        Self { list: Vec::new(), set: HashSet::new() }
    }
}

impl<T: Clone + Eq + Hash> Distinct<T> {
    /// Adds a value unless it is there.
    pub(super) fn push(&mut self, value: T) {
        if self.list.len() < SMALL {
            if !self.list.contains(&value) {
                self.list.push(value);
            }
            return;
        }
        if self.set.is_empty() {
            self.set.extend(self.list.iter().cloned());
        }
        if self.set.insert(value.clone()) {
            self.list.push(value);
        }
    }

    /// The values.
    pub(super) fn into_vec(self) -> Vec<T> {
        self.list
    }

    /// The values so far.
    pub(super) fn as_slice(&self) -> &[T] {
        &self.list
    }
}

/// What one statement is found to do.
#[derive(Debug, Clone, Default)]
pub(super) struct Findings {
    /// Effects other than plain reads of relations.
    pub(super) effects: Distinct<Effect>,
    /// Relations that are read, as written. A name that turns out to be a CTE's is taken out again.
    pub(super) reads: Vec<Name>,
    /// See [`Statement::functions`](super::Statement::functions).
    pub(super) functions: Distinct<FunctionUse>,
    /// See [`Statement::operators`](super::Statement::operators).
    pub(super) operators: Distinct<Name>,
    /// See [`Statement::types`](super::Statement::types).
    pub(super) types: Distinct<Name>,
    /// See [`Statement::session`](super::Statement::session).
    pub(super) session: Vec<SessionChange>,
    /// See [`Statement::reasons`](super::Statement::reasons).
    pub(super) reasons: Distinct<String>,
    /// A literal's value decided something.
    pub(super) depends_on_literals: bool,
    /// See [`Statement::untyped_values`](super::Statement::untyped_values).
    pub(super) untyped_values: bool,
    /// See [`Statement::strings`](super::Statement::strings).
    pub(super) strings: bool,
    /// See [`Statement::named_values`](super::Statement::named_values).
    pub(super) named_values: Option<Vec<String>>,
    /// See [`Statement::assigned`](super::Statement::assigned).
    pub(super) assigned: Option<Vec<String>>,
    /// See [`Statement::assumptions`](super::Statement::assumptions).
    pub(super) assumptions: Distinct<Assumption>,
    /// See [`Statement::redefines`](super::Statement::redefines).
    pub(super) redefines: Redefinition,
    /// Relations with a secret column that are read, but not that column.
    pub(super) hidden: Vec<&'static str>,
}

impl Findings {
    /// Adds an effect.
    pub(super) fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Adds an effect and why it is one.
    pub(super) fn effect_because(&mut self, effect: Effect, reason: impl Into<String>) {
        self.effects.push(effect);
        self.reasons.push(reason.into());
    }

    /// Something that we cannot tell.
    pub(super) fn unknown(&mut self, reason: impl Into<String>) {
        self.effect_because(Effect::new(Action::Unknown, Object::new(ObjectKind::Other, "")), reason);
    }

    /// What another statement was found to do, done here too.
    pub(super) fn include(&mut self, other: &Statement) {
        other.effects.iter().for_each(|effect| self.effects.push(effect.clone()));
        other.functions.iter().for_each(|function| self.functions.push(function.clone()));
        other.operators.iter().for_each(|operator| self.operators.push(operator.clone()));
        other.types.iter().for_each(|name| self.types.push(name.clone()));
        other.reasons.iter().for_each(|reason| self.reasons.push(reason.clone()));
        other.assumptions.iter().for_each(|assumption| self.assumptions.push(assumption.clone()));
        self.depends_on_literals |= other.depends_on_literals;
    }

    /// A reason alone.
    pub(super) fn reason(&mut self, reason: impl Into<String>) {
        self.reasons.push(reason.into());
    }

    /// A function written as a call. Its name may be a type's, and the call a cast.
    pub(super) fn call(&mut self, name: Name) {
        self.types.push(name.clone());
        self.functions.push(FunctionUse { name, notation: Notation::Call });
    }

    /// A function that the grammar calls by a name of its own; only `pg_catalog` has it.
    pub(super) fn system_call(&mut self, name: &str) {
        let name = Name { schema: Some("pg_catalog".to_owned()), name: name.to_owned() };
        self.functions.push(FunctionUse { name, notation: Notation::Call });
    }

    /// `row.name`, which may be a function of the row.
    pub(super) fn attribute(&mut self, name: &str) {
        let name = Name { schema: None, name: name.to_owned() };
        self.functions.push(FunctionUse { name, notation: Notation::Attribute });
    }

    /// An operator without a schema.
    pub(super) fn operator(&mut self, symbol: &str) {
        let first = &self.operators.as_slice()[..self.operators.as_slice().len().min(SMALL)];
        if !first.iter().any(|known| known.schema.is_none() && known.name == symbol) {
            self.operators.push(Name { schema: None, name: symbol.to_owned() });
        }
    }

    /// A type that the grammar names by a name of its own.
    pub(super) fn system_type(&mut self, name: &str) {
        self.types.push(Name { schema: Some("pg_catalog".to_owned()), name: name.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_keeps_the_first_of_each_in_order_beyond_the_small_size_too() {
        let mut distinct = Distinct::default();
        for value in (0..100).chain(0..100) {
            distinct.push(value);
        }
        assert_eq!(distinct.into_vec(), (0..100).collect::<Vec<_>>());
    }
}
