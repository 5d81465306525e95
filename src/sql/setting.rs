//! Which settings a session may change for itself without changing what any statement does to data.
//!
//! A setting is harmless when no value of it, or only the values named here, can widen rights, switch off
//! a guard, lose durability or change how text is read. What is not listed is not harmless; that includes
//! every setting with a dot in its name other than the proxy's own, because applications keep the identity
//! that their row security policies ask for in such settings.
//!
//! Source of the names: `pg_settings` of Postgres 15 to 18, context `user`, read one by one.

use super::settings::Encoding;

/// The prefix of the proxy's own settings, which never reach the server.
pub const OWN_PREFIX: &str = "pgsluice.";

/// Which values of a setting are harmless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Harmless {
    /// All.
    Any,
    /// Those that mean true.
    OnlyTrue,
    /// Those listed, in lower case.
    Only(&'static [&'static str]),
    /// The encodings in which no byte of a multi-byte character looks like ASCII.
    AcceptedEncoding,
}

use Harmless::{AcceptedEncoding, Any, Only, OnlyTrue};

/// Sorted by name.
const SETTINGS: &[(&str, Harmless)] = &[
    ("application_name", Any),
    ("array_nulls", Any),
    ("backend_flush_after", Any),
    ("backslash_quote", Any),
    ("bytea_output", Any),
    ("check_function_bodies", Any),
    ("client_connection_check_interval", Any),
    ("client_encoding", AcceptedEncoding),
    ("client_min_messages", Any),
    ("constraint_exclusion", Any),
    ("cpu_index_tuple_cost", Any),
    ("cpu_operator_cost", Any),
    ("cpu_tuple_cost", Any),
    ("cursor_tuple_fraction", Any),
    ("datestyle", Any),
    ("debug_parallel_query", Any),
    ("debug_pretty_print", Any),
    ("debug_print_parse", Any),
    ("debug_print_plan", Any),
    ("debug_print_rewritten", Any),
    ("default_statistics_target", Any),
    ("default_table_access_method", Only(&["heap"])),
    ("default_tablespace", Any),
    ("default_text_search_config", Any),
    ("default_toast_compression", Any),
    ("default_transaction_deferrable", Any),
    ("default_transaction_isolation", Any),
    ("default_transaction_read_only", OnlyTrue),
    ("default_with_oids", Any),
    ("effective_cache_size", Any),
    ("effective_io_concurrency", Any),
    ("escape_string_warning", Any),
    ("exit_on_error", Any),
    ("extra_float_digits", Any),
    ("force_parallel_mode", Any),
    ("from_collapse_limit", Any),
    ("geqo", Any),
    ("geqo_effort", Any),
    ("geqo_generations", Any),
    ("geqo_pool_size", Any),
    ("geqo_seed", Any),
    ("geqo_selection_bias", Any),
    ("geqo_threshold", Any),
    ("gin_fuzzy_search_limit", Any),
    ("gin_pending_list_limit", Any),
    ("hash_mem_multiplier", Any),
    ("icu_validation_level", Any),
    ("idle_in_transaction_session_timeout", Any),
    ("idle_session_timeout", Any),
    ("intervalstyle", Any),
    ("io_combine_limit", Any),
    ("jit", Any),
    ("jit_above_cost", Any),
    ("jit_expressions", Any),
    ("jit_inline_above_cost", Any),
    ("jit_optimize_above_cost", Any),
    ("jit_tuple_deforming", Any),
    ("join_collapse_limit", Any),
    ("lc_monetary", Any),
    ("lc_numeric", Any),
    ("lc_time", Any),
    ("lock_timeout", Any),
    ("logical_decoding_work_mem", Any),
    ("maintenance_io_concurrency", Any),
    ("maintenance_work_mem", Any),
    ("max_parallel_maintenance_workers", Any),
    ("max_parallel_workers", Any),
    ("max_parallel_workers_per_gather", Any),
    ("min_parallel_index_scan_size", Any),
    ("min_parallel_table_scan_size", Any),
    ("parallel_leader_participation", Any),
    ("parallel_setup_cost", Any),
    ("parallel_tuple_cost", Any),
    ("plan_cache_mode", Any),
    ("quote_all_identifiers", Any),
    ("random_page_cost", Any),
    ("recursive_worktable_factor", Any),
    ("restrict_nonsystem_relation_kind", Any),
    // Off makes a query fail that a policy would have filtered; it never shows a row that on would hide.
    ("row_security", Any),
    ("search_path", Any),
    ("seed", Any),
    ("seq_page_cost", Any),
    ("standard_conforming_strings", OnlyTrue),
    ("statement_timeout", Any),
    ("stats_fetch_consistency", Any),
    ("synchronize_seqscans", Any),
    ("synchronous_commit", Only(&["on", "true", "yes", "1", "remote_apply"])),
    ("tcp_keepalives_count", Any),
    ("tcp_keepalives_idle", Any),
    ("tcp_keepalives_interval", Any),
    ("tcp_user_timeout", Any),
    ("temp_buffers", Any),
    ("temp_tablespaces", Any),
    ("timezone", Any),
    ("timezone_abbreviations", Any),
    ("transaction_deferrable", Any),
    ("transaction_isolation", Any),
    ("transaction_read_only", OnlyTrue),
    ("transaction_timeout", Any),
    ("vacuum_buffer_usage_limit", Any),
    ("vacuum_cost_delay", Any),
    ("vacuum_cost_limit", Any),
    ("vacuum_cost_page_dirty", Any),
    ("vacuum_cost_page_hit", Any),
    ("vacuum_cost_page_miss", Any),
    ("work_mem", Any),
    ("xmlbinary", Any),
    ("xmloption", Any),
];

/// Whether setting `name` to `value` is harmless; names are compared as Postgres does, without regard to
/// case. `None` is a value that is not known: the default, or one that is computed.
#[must_use]
pub fn is_harmless(name: &str, value: Option<&str>) -> bool {
    let name = name.to_ascii_lowercase();
    if name.starts_with(OWN_PREFIX) || (name.starts_with("enable_") && !name.contains('.')) {
        return true;
    }
    match rule(&name) {
        None => false,
        Some(Any) => true,
        Some(OnlyTrue) => value.and_then(parse_bool) == Some(true),
        Some(Only(values)) => value.is_some_and(|value| values.iter().any(|one| one.eq_ignore_ascii_case(value))),
        Some(AcceptedEncoding) => value.is_some_and(|value| Encoding::from_client_encoding(value).is_ok()),
    }
}

/// Whether going back to the session's own default is harmless. It is for every setting whose changes are,
/// also where only some values of it are: the default is what the session was let in with.
#[must_use]
pub fn is_harmless_to_reset(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    match rule(&name) {
        // Inside a transaction there is no default to go back to but the one that takes a guard away.
        Some(OnlyTrue) => name != "transaction_read_only",
        Some(_) => true,
        None => is_harmless(&name, None),
    }
}

/// Whether the server reads the text of later statements in another way once this setting has changed.
#[must_use]
pub fn changes_the_lexer(name: &str) -> bool {
    ["standard_conforming_strings", "client_encoding"].iter().any(|one| one.eq_ignore_ascii_case(name))
}

/// What Postgres reads as a truth value: `parse_bool` of `src/backend/utils/adt/bool.c`, which takes any
/// prefix that is not ambiguous.
#[must_use]
pub fn parse_bool(text: &str) -> Option<bool> {
    let word = text.trim().to_ascii_lowercase();
    let is_prefix_of = |whole: &str, least: usize| word.len() >= least && whole.starts_with(&word);
    if is_prefix_of("true", 1) || is_prefix_of("yes", 1) || word == "on" || word == "1" {
        Some(true)
    } else if is_prefix_of("false", 1) || is_prefix_of("no", 1) || is_prefix_of("off", 2) || word == "0" {
        Some(false)
    } else {
        None
    }
}

fn rule(name: &str) -> Option<Harmless> {
    let index = SETTINGS.binary_search_by(|row| row.0.cmp(name)).ok()?;
    Some(SETTINGS[index].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted() {
        assert!(SETTINGS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn what_drivers_set_is_harmless() {
        for (name, value) in [
            ("application_name", "x"),
            ("DateStyle", "ISO, MDY"),
            ("TimeZone", "UTC"),
            ("extra_float_digits", "3"),
            ("client_encoding", "UTF8"),
            ("client_encoding", "'latin1'".trim_matches('\'')),
            ("search_path", "evil"),
            ("enable_seqscan", "off"),
            ("statement_timeout", "0"),
            ("default_transaction_read_only", "on"),
            ("transaction_read_only", "T"),
            ("standard_conforming_strings", "on"),
            ("synchronous_commit", "ON"),
            ("pgsluice.wait", "ticket"),
        ] {
            assert!(is_harmless(name, Some(value)), "{name} = {value}");
        }
    }

    #[test]
    fn what_widens_or_hides_is_not() {
        for (name, value) in [
            ("standard_conforming_strings", "off"),
            ("session_replication_role", "replica"),
            ("default_transaction_read_only", "off"),
            ("transaction_read_only", "0"),
            ("local_preload_libraries", "x"),
            ("dynamic_library_path", "/tmp"),
            ("allow_system_table_mods", "on"),
            ("role", "postgres"),
            ("session_authorization", "postgres"),
            ("client_encoding", "SJIS"),
            ("client_encoding", "big5"),
            ("client_encoding", "GBK"),
            ("synchronous_commit", "off"),
            ("transform_null_equals", "on"),
            ("request.jwt.claims", "{}"),
            ("pgsluice", "x"),
            ("enable_x.y", "on"),
            ("", ""),
        ] {
            assert!(!is_harmless(name, Some(value)), "{name} = {value}");
        }
        assert!(!is_harmless("transaction_read_only", None));
        assert!(!is_harmless("client_encoding", None));
        assert!(!is_harmless_to_reset("transaction_read_only"));
        assert!(!is_harmless_to_reset("role"));
        assert!(is_harmless_to_reset("client_encoding"));
        assert!(is_harmless_to_reset("default_transaction_read_only"), "RESET ALL does it too");
    }

    #[test]
    fn truth_values_are_those_of_postgres() {
        for text in ["t", "tr", "TRUE", "y", "yes", "on", "1", " on "] {
            assert_eq!(parse_bool(text), Some(true), "{text}");
        }
        for text in ["f", "fal", "n", "no", "of", "OFF", "0"] {
            assert_eq!(parse_bool(text), Some(false), "{text}");
        }
        for text in ["", "o", "2", "truee", "none"] {
            assert_eq!(parse_bool(text), None, "{text}");
        }
    }
}
