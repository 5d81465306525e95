//! Promise: the catalogs are definitions, and what they hold of passwords is told.

use super::*;

#[test]
fn the_catalogs_are_definitions_and_some_are_secret() {
    let mut facts = facts();
    for (oid, name) in [(1260, "pg_authid"), (12_000, "pg_settings")] {
        facts.add_relation(Relation { system: true, ..table(oid, "pg_catalog", name) });
    }
    let secret = ["read table pg_catalog.pg_authid", "host system pg_catalog.pg_authid"];
    expect(&on(Action::Read, "pg_authid"), &facts, &usual(), &secret);
    let written = ["update table pg_catalog.pg_authid", "alter system pg_catalog.pg_authid"];
    expect(&on(Action::Update, "pg_authid"), &facts, &usual(), &written);
    let set = ["update table pg_catalog.pg_settings", "set setting pg_catalog.pg_settings"];
    expect(&on(Action::Update, "pg_settings"), &facts, &usual(), &set);
    // A user's table of that name is no secret.
    facts.add_relation(table(201, "evil", "pg_authid"));
    expect(&on(Action::Read, "evil.pg_authid"), &facts, &usual(), &["read table evil.pg_authid"]);
}

#[test]
fn connection_strings_are_secret_where_there_are_any() {
    let mut facts = facts();
    for (oid, name) in [(6100, "pg_subscription"), (12_001, "pg_user_mappings"), (2613, "pg_largeobject")] {
        facts.add_relation(Relation { system: true, ..table(oid, "pg_catalog", name) });
    }
    let view = |oid, name, base| Relation { kind: RelationKind::View, reads: vec![base], ..table(oid, "public", name) };
    facts.add_relation(view(300, "subs", 6100));
    facts.add_relation(view(301, "maps", 12_001));
    facts.add_relation(view(302, "larges", 2613));
    let analyzed = |sql: &str| {
        let script = crate::sql::analyze(sql.as_bytes(), &crate::sql::LexerSettings::default());
        script.statements.into_iter().next().expect("one statement")
    };
    let secrets = |sql: &str, facts: &Facts, context: &NameContext| {
        let effects = resolve(&analyzed(sql), facts, context).effects;
        effects.iter().any(|effect| effect.action == Action::Host)
    };
    let without = Facts { without_subscriptions: true, ..facts.clone() };
    let unmapped = Facts { without_user_mappings: true, ..facts.clone() };
    let pending = NameContext { definitions: defined("CREATE SERVER s FOREIGN DATA WRAPPER w"), ..usual() };
    for sql in ["select subconninfo from pg_subscription", "table subs", "select * from pg_subscription"] {
        assert!(secrets(sql, &facts, &usual()), "{sql}");
        assert!(!secrets(sql, &without, &usual()), "{sql}");
        assert!(secrets(sql, &without, &pending), "{sql}");
    }
    for sql in ["table maps", "table larges", "select umoptions from pg_user_mappings", "select 1 from pg_largeobject"]
    {
        assert!(secrets(sql, &without, &usual()), "{sql}");
    }
    for sql in ["table maps", "select umoptions from pg_user_mappings", "table pg_user_mapping"] {
        assert!(secrets(sql, &facts, &usual()) && secrets(sql, &unmapped, &pending), "{sql}");
        assert!(!secrets(sql, &unmapped, &usual()), "{sql}");
    }
    for sql in ["table larges", "select subconninfo from pg_subscription"] {
        assert!(secrets(sql, &unmapped, &usual()), "{sql}");
    }
    for sql in ["select subname from pg_subscription", "select srvname from pg_user_mappings"] {
        assert!(!secrets(sql, &facts, &usual()), "{sql}");
    }
    let both = "select m.srvname from pg_user_mappings m join maps on true";
    assert!(secrets(both, &facts, &usual()), "{both}");
}
