//! Extensions whose functions are reviewed: they compute, and touch nothing. What their functions say of themselves
//! counts: one labelled volatile passes only where it is named here.
//!
//! Not here, on purpose: what runs SQL text or takes table names as text (`dblink`, `tablefunc`, `xml2`,
//! `address_standardizer`), reaches other servers, files or pages (`file_fdw`, `postgres_fdw`, `adminpack`,
//! `pageinspect`, `pg_surgery`, `pg_visibility`), or writes from triggers (`lo`, `refint`, `tcn`).

use super::facts::FIRST_USER_OID;

/// Which volatile functions of an extension are reviewed too.
enum Volatile {
    None,
    All,
    These(&'static [&'static str]),
}

const REVIEWED: [(&str, Volatile); 31] = [
    ("autoinc", Volatile::All),
    ("bloom", Volatile::All),
    ("btree_gin", Volatile::None),
    ("btree_gist", Volatile::None),
    ("citext", Volatile::None),
    ("cube", Volatile::None),
    ("dict_int", Volatile::None),
    ("dict_xsyn", Volatile::None),
    ("earthdistance", Volatile::None),
    ("fuzzystrmatch", Volatile::None),
    ("hstore", Volatile::None),
    ("insert_username", Volatile::All),
    ("intagg", Volatile::None),
    ("intarray", Volatile::None),
    ("isn", Volatile::None),
    ("ltree", Volatile::None),
    ("moddatetime", Volatile::All),
    ("pg_buffercache", Volatile::These(&["pg_buffercache_pages", "pg_buffercache_summary"])),
    ("pg_stat_statements", Volatile::These(&["pg_stat_statements", "pg_stat_statements_info"])),
    ("pg_trgm", Volatile::All),
    ("pgcrypto", Volatile::All),
    ("postgis", Volatile::None),
    ("postgis_raster", Volatile::None),
    ("postgis_sfcgal", Volatile::None),
    ("seg", Volatile::None),
    ("sslinfo", Volatile::All),
    ("tsm_system_rows", Volatile::All),
    ("tsm_system_time", Volatile::All),
    ("unaccent", Volatile::None),
    ("uuid-ossp", Volatile::All),
    ("vector", Volatile::None),
];

/// Functions that make a value of the type of their argument, and so run its checks.
const EXCEPTIONS: [(&str, &str); 1] = [("hstore", "populate_record")];

/// Whether a function of an extension is reviewed. `language` is its language's OID: of those that users add,
/// nothing is known. The server's own are `internal`, `c`, `sql` and `plpgsql`.
pub(crate) fn reviewed(extension: &str, function: &str, volatile: bool, language: u32) -> bool {
    if language >= FIRST_USER_OID || EXCEPTIONS.contains(&(extension, function)) {
        return false;
    }
    REVIEWED.iter().any(|(name, allowed)| {
        *name == extension
            && (!volatile
                || match allowed {
                    Volatile::None => false,
                    Volatile::All => true,
                    Volatile::These(names) => names.contains(&function),
                })
    })
}

/// Whether an extension is one whose functions are reviewed, if not all.
pub(crate) fn is_reviewed(extension: &str) -> bool {
    REVIEWED.iter().any(|(name, _)| *name == extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_computes_is_reviewed() {
        const C: u32 = 13;
        let cases = [
            ("citext", "citext_eq", false, C, true),
            ("pgcrypto", "gen_salt", true, C, true),
            ("pg_stat_statements", "pg_stat_statements", true, C, true),
            ("pg_stat_statements", "pg_stat_statements_reset", true, C, false),
            ("postgis", "st_area", false, C, true),
            ("postgis", "dropgeometrytable", true, 13_563, false),
            ("hstore", "populate_record", false, C, false),
            ("citext", "citext_eq", false, 20_000, false),
            ("dblink", "dblink_get_pkey", false, C, false),
            ("lo", "lo_oid", false, 14, false),
        ];
        for (extension, function, volatile, language, expected) in cases {
            assert_eq!(reviewed(extension, function, volatile, language), expected, "{extension} {function}");
        }
    }
}
