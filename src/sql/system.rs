//! The relations of the system catalogs that are more than data: those that hold secrets, and those that
//! may not be written to by statements like any other.

use super::effect::{Action, Effect, Object, ObjectKind};
use super::findings::Findings;
use super::statement::{Name, SessionChange};

/// A relation of the server's own whose rows are secrets.
#[derive(Debug)]
pub struct Secret {
    /// Its name, in `pg_catalog`, `information_schema` or `pg_toast`.
    pub name: &'static str,
    /// What its rows tell.
    pub what: &'static str,
    /// Where one column tells it all: that column, and the others.
    pub(super) column: Option<(&'static str, &'static [&'static str])>,
}

/// The name of the relation that holds the connection strings of subscriptions.
pub const SUBSCRIPTIONS: &str = "pg_subscription";

/// The relations that hold the options of user mappings, passwords for foreign servers among them.
pub const USER_MAPPINGS: [&str; 4] =
    ["_pg_user_mappings", "pg_user_mapping", "pg_user_mappings", "user_mapping_options"];

const PASSWORDS: &str = "password hashes";
const FILES: &str = "the server's configuration files";
const LARGE_OBJECTS: &str = "the contents of large objects";
const SAMPLES: &str = "samples of every table's columns";
const MAPPINGS: &str = "passwords of foreign servers";
const CONNECTIONS: &str = "connection strings, often with a password";

/// All of them. Long values stand in TOAST tables, which are named by the number of their table.
const SECRETS: [Secret; 18] = [
    whole("_pg_user_mappings", MAPPINGS),
    whole("pg_authid", PASSWORDS),
    whole("pg_file_settings", FILES),
    whole("pg_hba_file_rules", FILES),
    whole("pg_ident_file_mappings", FILES),
    whole("pg_largeobject", LARGE_OBJECTS),
    whole("pg_shadow", PASSWORDS),
    whole("pg_statistic", SAMPLES),
    whole("pg_statistic_ext_data", SAMPLES),
    Secret { column: Some(("subconninfo", SUBSCRIPTION_COLUMNS)), ..whole(SUBSCRIPTIONS, CONNECTIONS) },
    whole("pg_toast_1260", PASSWORDS),
    whole("pg_toast_1418", MAPPINGS),
    whole("pg_toast_2619", SAMPLES),
    whole("pg_toast_3429", SAMPLES),
    whole("pg_toast_6100", CONNECTIONS),
    whole("pg_user_mapping", MAPPINGS),
    Secret { column: Some(("umoptions", MAPPING_COLUMNS)), ..whole("pg_user_mappings", MAPPINGS) },
    whole("user_mapping_options", MAPPINGS),
];

const MAPPING_COLUMNS: &[&str] = &["umid", "srvid", "srvname", "umuser", "usename"];
const SUBSCRIPTION_COLUMNS: &[&str] = &[
    "oid",
    "subbinary",
    "subdbid",
    "subdisableonerr",
    "subenabled",
    "subfailover",
    "subname",
    "suborigin",
    "subowner",
    "subpasswordrequired",
    "subpublications",
    "subretaindeadtuples",
    "subrunasowner",
    "subskiplsn",
    "subslotname",
    "substream",
    "subsynccommit",
    "subtwophasestate",
    "tableoid",
];

const fn whole(name: &'static str, what: &'static str) -> Secret {
    Secret { name, what, column: None }
}

impl Secret {
    /// Whether every column of it is kept, not only one.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.column.is_none()
    }
}

/// What a relation tells, if it is one of those that tell secrets. Without a schema, the server's own is meant: it is
/// found first unless the search path says otherwise.
#[must_use]
pub fn secret(schema: Option<&str>, name: &str) -> Option<&'static Secret> {
    if !matches!(schema, None | Some("pg_catalog" | "information_schema" | "pg_toast")) {
        return None;
    }
    SECRETS.iter().find(|secret| secret.name == name)
}

/// Notes that a relation is read.
pub(super) fn read(found: &mut Findings, name: &Name) {
    let Some(Secret { name, what, .. }) = secret(name.schema.as_deref(), &name.name) else { return };
    if found.hidden.contains(name) {
        return;
    }
    let effect = Effect::new(Action::Host, Object::new(ObjectKind::System, *name));
    found.effect_because(effect, format!("{name} holds {what}"));
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
