//! Holds what our analysis says of a statement against what the server's tree says.

use std::collections::BTreeSet;

use super::truth::{Nature, Truth};
use super::{Action, Effect, Name, Notation, ObjectKind, SessionChange, Statement};

/// Where the two differ in a way that matters: what we call harmless does more, or reads other relations, or calls
/// other code. A statement of unknown effect differs in nothing: it is held.
///
/// # Errors
///
/// The difference, as a person reads it.
pub(crate) fn compare(ours: &[Statement], theirs: &[Truth]) -> Result<(), String> {
    if ours.len() == 1 && ours.iter().all(Statement::has_unknown) {
        return Ok(());
    }
    if ours.len() != theirs.len() {
        return Err(format!("{} statements, not {}", ours.len(), theirs.len()));
    }
    ours.iter().zip(theirs).try_for_each(|(ours, theirs)| compare_one(ours, theirs))
}

fn compare_one(ours: &Statement, truth: &Truth) -> Result<(), String> {
    if ours.has_unknown() {
        return Ok(());
    }
    let quiet = ours.effects.iter().all(|effect| effect.action == Action::Read || effect.harmless);
    if quiet && truth.nature == Nature::Change {
        return Err(format!("{} may change something", truth.tag));
    }
    if is_read(ours) && truth.nature != Nature::Read {
        return Err(format!("{} is no read", truth.tag));
    }
    if !truth.is_query {
        return Ok(());
    }
    let prepared = ours.session.iter().find_map(|change| match change {
        SessionChange::Prepare { body, .. } => Some(&**body),
        _ => None,
    });
    let ours = prepared.unwrap_or(ours);
    if !truth.only_planned {
        same_relations(&ours.effects, truth)?;
    }
    code_is_named(ours, truth)
}

/// Whether we say that a statement only looks: it has no effect but reads, and leaves the session as it is.
pub(crate) fn is_read(ours: &Statement) -> bool {
    ours.session.is_empty() && ours.effects.iter().all(|effect| effect.action == Action::Read)
}

fn same_relations(effects: &[Effect], truth: &Truth) -> Result<(), String> {
    let of = |action: Action| effects.iter().filter(move |effect| effect.action == action);
    let named = |action: Action| -> BTreeSet<Name> {
        let relations = of(action).filter(|effect| effect.object.kind == ObjectKind::Relation);
        relations
            .map(|effect| Name { schema: effect.object.schema.clone(), name: effect.object.name.clone() })
            .collect()
    };
    let same = [
        (Action::Read, &truth.reads),
        (Action::Insert, &truth.inserts),
        (Action::Update, &truth.updates),
        (Action::Delete, &truth.deletes),
    ];
    for (action, theirs) in same {
        let ours = named(action);
        if ours != *theirs {
            return Err(format!("{action}: {ours:?}, not {theirs:?}"));
        }
    }
    if truth.makes_table && of(Action::Create).next().is_none() {
        return Err("it makes a table".to_owned());
    }
    if truth.locks && of(Action::Lock).next().is_none() {
        return Err("it locks rows".to_owned());
    }
    Ok(())
}

/// Everything that may run code is in our lists.
fn code_is_named(ours: &Statement, truth: &Truth) -> Result<(), String> {
    let functions = |notation: Notation| -> BTreeSet<&Name> {
        let uses = ours.functions.iter().filter(|function| function.notation == notation);
        uses.map(|function| &function.name).collect()
    };
    let calls = functions(Notation::Call);
    let operators: BTreeSet<&Name> = ours.operators.iter().collect();
    let types: BTreeSet<&Name> = ours.types.iter().collect();
    let lists = [
        ("function", &truth.functions, &calls),
        ("operator", &truth.operators, &operators),
        ("type", &truth.types, &types),
    ];
    for (what, theirs, ours) in lists {
        if let Some(missing) = theirs.iter().find(|name| !ours.contains(name)) {
            return Err(format!("{what} {missing:?} is missing"));
        }
    }
    let attributes = functions(Notation::Attribute);
    match truth.attributes.iter().find(|name| !attributes.iter().any(|ours| ours.name == **name)) {
        Some(missing) => Err(format!("attribute {missing} is missing")),
        None => Ok(()),
    }
}
