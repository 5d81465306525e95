//! The relations of the system catalogs that are more than data: those that hold secrets, and those that
//! may not be written to by statements like any other.

use super::effect::{Action, Effect, Object, ObjectKind};
use super::findings::Findings;
use super::statement::{Name, SessionChange};

/// Relations of `pg_catalog` and `information_schema` whose rows are secrets, and what they tell.
const SECRETS: [(&str, &str); 12] = [
    ("_pg_user_mappings", "passwords of foreign servers"),
    ("pg_authid", "password hashes"),
    ("pg_file_settings", "the server's configuration files"),
    ("pg_hba_file_rules", "the server's configuration files"),
    ("pg_ident_file_mappings", "the server's configuration files"),
    ("pg_largeobject", "the contents of large objects"),
    ("pg_shadow", "password hashes"),
    ("pg_statistic", "samples of every table's columns"),
    ("pg_statistic_ext_data", "samples of every table's columns"),
    ("pg_user_mapping", "passwords of foreign servers"),
    ("pg_user_mappings", "passwords of foreign servers"),
    ("user_mapping_options", "passwords of foreign servers"),
];

/// Notes that a relation is read.
pub(super) fn read(found: &mut Findings, name: &Name) {
    if !matches!(name.schema.as_deref(), None | Some("pg_catalog" | "information_schema")) {
        return;
    }
    let Some((_, what)) = SECRETS.iter().find(|(secret, _)| *secret == name.name) else { return };
    if name.name == "pg_user_mappings" && found.hides_user_mapping_options {
        return;
    }
    let effect = Effect::new(Action::Host, Object::new(ObjectKind::System, name.name.clone()));
    found.effect_because(effect, format!("{} holds {what}", name.name));
}

/// Notes that rows of a relation change. Changing the catalogs' own rows changes definitions, past all that
/// guards them; no user's relation is named `pg_...` unless its maker wants to be mistaken for one.
pub(super) fn written(found: &mut Findings, schema: Option<&str>, name: &str) {
    let system = match schema {
        None => name.starts_with("pg_"),
        Some(schema) => schema == "pg_catalog" || schema == "information_schema" || schema.starts_with("pg_toast"),
    };
    if !system {
        return;
    }
    if name == "pg_settings" {
        // A rule of that view calls set_config.
        let effect = Effect::new(Action::Set, Object::new(ObjectKind::Setting, ""));
        found.effect_because(effect, "changing pg_settings changes settings of the session");
        found.session.push(SessionChange::Set { name: None, value: None, local: false });
        return;
    }
    let object = Object { kind: ObjectKind::System, schema: schema.map(str::to_owned), name: name.to_owned() };
    found.effect_because(
        Effect::new(Action::Alter, object),
        format!("{name} is a system catalog: its rows are definitions"),
    );
}
