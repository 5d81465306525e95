//! The table of rules. Its sources: Postgres' manual on explicit locking and ALTER TABLE, and the rules of squawk,
//! eugene, strong_migrations, pg_safeupdate, Bytebase and Atlas.

mod access;
mod blocking;
mod definitions;
mod rows;

use super::Rule;

/// All rules, those of a script and of the radius too.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    [rows::RULES, definitions::RULES, blocking::RULES, access::RULES, super::script::RULES, super::radius::RULES]
        .into_iter()
        .flatten()
}
