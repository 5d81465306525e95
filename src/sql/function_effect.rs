//! What calling a function does, as far as its name tells. A name that no server has is code we know nothing of: a
//! *possible* `execute` effect, which the catalog replaces by what it knows.

use super::effect::{Action, Effect, Object, ObjectKind};
use super::findings::Findings;
use super::functions::{Class, builtin};
use super::statement::{FunctionUse, Name, Notation};

/// Adds the effects of the functions that were found.
pub(super) fn add(found: &mut Findings) {
    let functions = std::mem::take(&mut found.functions);
    for function in functions.as_slice() {
        add_one(found, function);
    }
    found.functions = functions;
}

fn add_one(found: &mut Findings, function: &FunctionUse) {
    let name = &function.name;
    let own = matches!(name.schema.as_deref(), None | Some("pg_catalog" | "information_schema"));
    let class = if own { builtin(&name.name) } else { None };
    match (function.notation, class) {
        // None of the server's own functions is a procedure.
        (Notation::Procedure, _) => {
            found.effect_because(execute(name, ObjectKind::Procedure).possible(), format!("CALL runs {}", shown(name)));
        }
        // `row.name` is a column nearly always; the catalog knows whether a user's function has that name.
        (Notation::Attribute, None) | (_, Some(Class::Harmless)) => {}
        // Noted with its arguments where the call stands.
        (Notation::Call, Some(Class::Setting | Class::Sequence)) => {}
        (Notation::Call, None) => {
            let reason = format!("{} is not a reviewed function of the server", shown(name));
            found.effect_because(execute(name, ObjectKind::Function).possible(), reason);
        }
        (_, Some(class)) => add_builtin(found, class, name),
    }
}

fn add_builtin(found: &mut Findings, class: Class, name: &Name) {
    let shown = shown(name);
    let system = || Object::new(ObjectKind::System, name.name.clone());
    match class {
        Class::Harmless => {}
        Class::AdvisoryLock => {
            found.effect(Effect::new(Action::Lock, Object::new(ObjectKind::AdvisoryLock, "")).harmless());
        }
        Class::Notify => found.effect(Effect::new(Action::Insert, Object::new(ObjectKind::Channel, ""))),
        Class::RunsSql => {
            found.effect_because(execute(name, ObjectKind::Function), format!("{shown} runs the text it is given"));
        }
        Class::Setting => {
            found.effect_because(
                Effect::new(Action::Set, Object::new(ObjectKind::Setting, "")),
                format!("{shown} changes a setting"),
            );
        }
        Class::Sequence => {
            found.effect_because(
                Effect::new(Action::Alter, Object::new(ObjectKind::Sequence, "")),
                format!("{shown} sets a sequence"),
            );
        }
        Class::LargeObject => {
            found.effect_because(
                Effect::new(Action::Execute, Object::new(ObjectKind::LargeObject, name.name.clone())),
                format!("{shown} changes large objects"),
            );
        }
        Class::Replicate => {
            found.effect_because(
                Effect::new(Action::Replicate, Object::new(ObjectKind::ReplicationSlot, name.name.clone())),
                format!("{shown} changes what is replicated"),
            );
        }
        Class::Host => {
            found.effect_because(Effect::new(Action::Host, system()), format!("{shown} reaches the server's host"));
        }
        Class::Maintain => {
            found.effect_because(Effect::new(Action::Maintain, system()), format!("{shown} is work on the server"));
        }
        Class::Other => {
            found.effect_because(
                execute(name, ObjectKind::Function),
                format!("{shown} is a built-in function with an effect"),
            );
        }
    }
}

fn execute(name: &Name, kind: ObjectKind) -> Effect {
    Effect::new(Action::Execute, Object { kind, schema: name.schema.clone(), name: name.name.clone() })
}

fn shown(name: &Name) -> String {
    match &name.schema {
        Some(schema) => format!("{schema}.{}()", name.name),
        None => format!("{}()", name.name),
    }
}
