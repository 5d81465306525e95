//! The server's own functions, by name: what calling them does. The list is generated from the catalogs of
//! Postgres 15 to 18 by `scripts/functions.py` and the reviewed rules in `functions/reviewed.txt`; it knows names,
//! not signatures, so a name is as bad as its worst overload. The server's own types are among them: `uuid('...')` is
//! a cast, unless a function of that name is there.
//!
//! Every notation counts. `(4242::oid).lo_unlink` calls `lo_unlink(4242)`: attribute notation reaches each function
//! that can be called with one argument, whatever its type.

use std::collections::HashMap;
use std::sync::OnceLock;

/// What calling one of the server's own functions does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// It computes, looks, or touches only its own session; `nextval`, which every INSERT with a serial key calls.
    Harmless,
    /// It runs a text as a query, fetches from a cursor named by text, or runs the input function of a type named
    /// by value: what it does is not in the statement.
    RunsSql,
    /// It locks or unlocks an advisory key.
    AdvisoryLock,
    /// `set_config`.
    Setting,
    /// `pg_notify`.
    Notify,
    /// `setval`: a sequence is set to a value.
    Sequence,
    /// It makes, changes or removes a large object.
    LargeObject,
    /// Replication slots and origins, and what is written into the log for subscribers.
    Replicate,
    /// The server's host: files, other backends, the write-ahead log, the server's log and configuration.
    Host,
    /// Work on indexes, or counters and statistics that others rely on.
    Maintain,
    /// Anything else with an effect, and volatile functions that nobody has reviewed.
    Other,
}

impl Class {
    /// The name of its section in `builtin.txt`.
    fn from_section(name: &str) -> Option<Self> {
        Some(match name {
            "harmless" => Self::Harmless,
            "runs_sql" => Self::RunsSql,
            "advisory_lock" => Self::AdvisoryLock,
            "setting" => Self::Setting,
            "notify" => Self::Notify,
            "sequence" => Self::Sequence,
            "large_object" => Self::LargeObject,
            "replicate" => Self::Replicate,
            "host" => Self::Host,
            "maintain" => Self::Maintain,
            "other" => Self::Other,
            _ => return None,
        })
    }

    /// Whether a call needs nobody's leave.
    #[must_use]
    pub const fn is_harmless(self) -> bool {
        matches!(self, Self::Harmless)
    }
}

/// Whether one of the server's own functions has that name and does more than compute; see [`builtin`].
#[must_use]
pub fn is_builtin_with_effects(name: &str) -> bool {
    builtin(name).is_some_and(|class| !class.is_harmless())
}

/// The class of the server's own function of that name (folded and unquoted, without schema), in `pg_catalog` or
/// `information_schema`, in any of Postgres 15 to 18. `None`: no server we know has one; it is a user's, or it is
/// [syntax](keyword_call).
#[must_use]
pub fn builtin(name: &str) -> Option<Class> {
    list().get(name).copied()
}

/// For a name that, written without quotes and followed by `(`, is the grammar's own and never a user's function:
/// the `server_version_num` from which it is. `COALESCE(...)` always was; `json_scalar(...)` is a plain call of
/// whatever has that name until Postgres 17 made it a keyword. The names are those of `col_name_keyword` and of the
/// reserved words that may stand before a parenthesis (`src/include/parser/kwlist.h`).
///
/// A quoted name (`"coalesce"(1)`) is always a plain call: do not ask here for one.
#[must_use]
pub fn keyword_call(name: &str) -> Option<u32> {
    const ALWAYS: u32 = 0;
    const SINCE_16: u32 = 160_000;
    const SINCE_17: u32 = 170_000;
    Some(match name {
        "coalesce" | "exists" | "extract" | "greatest" | "grouping" | "least" | "normalize" | "nullif" | "overlay"
        | "position" | "row" | "setof" | "substring" | "treat" | "trim" | "values" | "xmlattributes" | "xmlconcat"
        | "xmlelement" | "xmlexists" | "xmlforest" | "xmlnamespaces" | "xmlparse" | "xmlpi" | "xmlroot"
        | "xmlserialize" | "xmltable" => ALWAYS,
        "bigint" | "bit" | "boolean" | "char" | "character" | "dec" | "decimal" | "float" | "int" | "integer"
        | "interval" | "national" | "nchar" | "numeric" | "precision" | "real" | "smallint" | "time" | "timestamp"
        | "varchar" | "between" | "inout" | "out" | "none" => ALWAYS,
        "all" | "any" | "array" | "cast" | "current_time" | "current_timestamp" | "localtime" | "localtimestamp"
        | "some" => ALWAYS,
        "json_array" | "json_arrayagg" | "json_object" | "json_objectagg" => SINCE_16,
        "json" | "json_exists" | "json_query" | "json_scalar" | "json_serialize" | "json_table" | "json_value"
        | "merge_action" => SINCE_17,
        _ => return None,
    })
}

/// The generated list, read once.
fn list() -> &'static HashMap<&'static str, Class> {
    static LIST: OnceLock<HashMap<&'static str, Class>> = OnceLock::new();
    LIST.get_or_init(|| {
        let mut list = HashMap::with_capacity(3000);
        // Names above the first section header would have no class; none does, and they would be held.
        let mut class = Class::Other;
        for line in include_str!("functions/builtin.txt").lines() {
            if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                class = Class::from_section(section).unwrap_or(Class::Other);
            } else if !line.starts_with('#') {
                list.insert(line, class);
            }
        }
        list
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_as_reviewed() {
        let cases = [
            ("lower", Class::Harmless),
            ("now", Class::Harmless),
            ("count", Class::Harmless),
            ("nextval", Class::Harmless),
            ("setseed", Class::Harmless),
            ("pg_sleep", Class::Harmless),
            ("pg_get_viewdef", Class::Harmless),
            ("_pg_expandarray", Class::Harmless),
            ("uuidv7", Class::Harmless),
            ("uuid", Class::Harmless),
            ("jsonb", Class::Harmless),
            ("pg_try_advisory_xact_lock", Class::AdvisoryLock),
            ("pg_advisory_unlock_all", Class::AdvisoryLock),
            ("set_config", Class::Setting),
            ("setval", Class::Sequence),
            ("pg_notify", Class::Notify),
            ("lo_unlink", Class::LargeObject),
            ("lowrite", Class::LargeObject),
            ("lo_import", Class::Host),
            ("lo_get", Class::Harmless),
            ("query_to_xml", Class::RunsSql),
            ("table_to_xml", Class::RunsSql),
            ("ts_stat", Class::RunsSql),
            ("ts_rewrite", Class::RunsSql),
            ("domain_in", Class::RunsSql),
            ("pg_read_file", Class::Host),
            ("pg_terminate_backend", Class::Host),
            ("pg_switch_wal", Class::Host),
            ("pg_drop_replication_slot", Class::Replicate),
            ("pg_logical_slot_peek_changes", Class::Replicate),
            ("pg_stat_reset", Class::Maintain),
            ("gin_clean_pending_list", Class::Maintain),
            ("binary_upgrade_set_next_pg_type_oid", Class::Other),
            ("fmgr_c_validator", Class::Other),
        ];
        for (name, class) in cases {
            assert_eq!(builtin(name), Some(class), "{name}");
        }
    }

    #[test]
    fn what_is_no_builtin_is_unknown() {
        for name in ["wipe", "LOWER", "", "[harmless]", "dblink", "coalesce", "json_scalar", "merge_action"] {
            assert_eq!(builtin(name), None, "{name}");
        }
    }

    #[test]
    fn every_section_has_a_class_and_no_name_stands_twice() {
        let text = include_str!("functions/builtin.txt");
        let names = text.lines().filter(|line| !line.starts_with(['#', '[']));
        assert_eq!(names.count(), list().len());
        for line in text.lines().filter(|line| line.starts_with('[')) {
            assert!(Class::from_section(line.trim_matches(['[', ']'])).is_some(), "{line}");
        }
        assert!(list().len() > 2700, "the list is not whole: {}", list().len());
    }

    #[test]
    fn keywords_of_newer_servers_are_plain_calls_on_older_ones() {
        assert_eq!(keyword_call("coalesce"), Some(0));
        assert_eq!(keyword_call("json_array"), Some(160_000));
        assert_eq!(keyword_call("json_serialize"), Some(170_000));
        assert_eq!(keyword_call("left"), None);
        assert_eq!(keyword_call("wipe"), None);
    }
}
