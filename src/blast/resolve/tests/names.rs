//! Promise: a name means what the server finds along the search path, and where that is not known, all that it may mean.

use super::*;

#[test]
fn relations_are_found_along_the_search_path() {
    let mut facts = facts();
    facts.add_relation(table(101, "evil", "orders"));
    facts.add_relation(Relation { kind: RelationKind::View, ..table(102, "public", "pg_class") });
    let read = on(Action::Read, "orders");
    expect(&read, &facts, &usual(), &["read table public.orders"]);
    let evil = NameContext { search_path: path(&["evil", "public"]), ..usual() };
    expect(&read, &facts, &evil, &["read table evil.orders"]);
    expect(&on(Action::Read, "public.orders"), &facts, &evil, &["read table public.orders"]);
    let user = NameContext { role: "evil".to_owned(), ..usual() };
    expect(&read, &facts, &user, &["read table evil.orders"]);
    let catalog = on(Action::Read, "pg_class");
    expect(&catalog, &facts, &usual(), &["read table pg_catalog.pg_class"]);
    let last = NameContext { search_path: path(&["public", "pg_catalog"]), ..usual() };
    expect(&catalog, &facts, &last, &["read view public.pg_class"]);
    expect(&on(Action::Read, "nowhere"), &facts, &usual(), &["read table nowhere"]);
}

#[test]
fn an_unknown_search_path_means_every_relation_of_the_name() {
    let mut facts = facts();
    facts.add_relation(table(101, "evil", "orders"));
    let context = NameContext { search_path: SearchPath::Unknown, ..usual() };
    let effects = ["delete table public.orders?", "delete table evil.orders?"];
    expect(&on(Action::Delete, "orders"), &facts, &context, &effects);
}

#[test]
fn temporary_relations_that_run_code_are_code() {
    let facts = facts();
    let runs = |context: &NameContext, action, written: &str| {
        let resolved = resolve(&on(action, written), &facts, context);
        resolved.effects.iter().any(|effect| effect.action == Action::Execute)
    };
    let code = NameContext { temporary_code: ["scratch".to_owned()].into_iter().collect(), ..usual() };
    assert!(runs(&code, Action::Insert, "scratch") && runs(&code, Action::Read, "pg_temp.scratch"));
    assert!(!runs(&code, Action::Read, "orders") && !runs(&code, Action::Read, "public.scratch"));
    let unseen = NameContext { unseen: true, temporary: ["scratch".to_owned()].into_iter().collect(), ..usual() };
    assert!(runs(&unseen, Action::Read, "orders") && !runs(&unseen, Action::Read, "public.orders"));
    assert!(!runs(&unseen, Action::Read, "scratch"));
}

#[test]
fn temporary_relations_hide_others() {
    let facts = facts();
    let context = NameContext { temporary: ["orders".to_owned()].into_iter().collect(), ..usual() };
    let resolved = resolve(&on(Action::Delete, "orders"), &facts, &context);
    assert_eq!(shown(&resolved), ["delete table pg_temp.orders"]);
    assert!(resolved.effects[0].temporary);
    expect(&on(Action::Delete, "public.orders"), &facts, &context, &["delete table public.orders"]);
    let last = NameContext { search_path: path(&["public", "pg_temp"]), ..context.clone() };
    expect(&on(Action::Delete, "orders"), &facts, &last, &["delete table public.orders"]);
    let unknown = NameContext { search_path: SearchPath::Unknown, ..context };
    expect(&on(Action::Delete, "orders"), &facts, &unknown, &["delete table public.orders"]);
}

/// Its number says whose a temporary schema is, and which is one's own is not known.
#[test]
fn a_temporary_schema_by_number_may_be_anothers() {
    let resolved = resolve(&on(Action::Drop, "pg_temp_3.mine"), &facts(), &usual());
    assert_eq!(shown(&resolved), ["drop table pg_temp_3.mine"]);
    assert!(!resolved.effects[0].temporary);
    let own = resolve(&on(Action::Drop, "pg_temp.mine"), &facts(), &usual());
    assert!(own.effects[0].temporary);
    let code = NameContext { temporary_code: ["mine".to_owned()].into_iter().collect(), ..usual() };
    let read = ["execute table pg_temp_3.mine?", "read table pg_temp_3.mine"];
    expect(&on(Action::Read, "pg_temp_3.mine"), &facts(), &code, &read);
}

#[test]
fn what_is_defined_in_the_open_transaction_is_not_trusted() {
    let context = NameContext { definitions: defined("CREATE TABLE new (a int)"), ..usual() };
    expect(&on(Action::Read, "new"), &facts(), &context, &["read table new", "execute table new?"]);
    expect(&on(Action::Read, "other"), &facts(), &context, &["read table other"]);
}

#[test]
fn a_bound_that_rests_on_a_column_which_is_not_there_is_none() {
    let with = |oid, table_name: &str, columns: &str, parents: &[u32]| Relation {
        columns: Some(ColumnNames::new(columns)),
        parents: parents.to_vec(),
        ..table(oid, "public", table_name)
    };
    let mut facts = facts();
    facts.add_relation(with(200, "users", "id\u{1}name", &[]));
    facts.add_relation(with(201, "staging", "user_id\u{1}day", &[]));
    facts.add_relation(with(202, "part", "", &[201]));
    let update = |column: &str, relations: &[&str]| {
        let statement = on(Action::Update, "users");
        let assumption = Assumption {
            object: statement.effects[0].object.clone(),
            action: Action::Update,
            column: column.to_owned(),
            relations: relations.iter().map(|relation| name(relation)).collect(),
        };
        Statement { assumptions: vec![assumption], ..statement }
    };
    let extent = |column: &str, relations: &[&str], context: &NameContext| {
        let resolved = resolve(&update(column, relations), &facts, context);
        assert_eq!(resolved.reasons.is_empty(), resolved.effects[0].extent == Extent::Bounded);
        resolved.effects[0].extent
    };
    for (column, relations) in
        [("id", &["staging"][..]), ("users", &["staging"]), ("id", &["part"]), ("day", &["users"])]
    {
        assert_eq!(extent(column, relations, &usual()), Extent::Whole, "{column}");
    }
    // `orders` is one whose columns are not known, and nobody knows of `elsewhere`.
    for (column, relations) in [
        ("user_id", &["staging"][..]),
        ("user_id", &["part"]),
        ("id", &["staging", "users"]),
        ("id", &["orders"]),
        ("id", &["elsewhere"]),
    ] {
        assert_eq!(extent(column, relations, &usual()), Extent::Bounded, "{column}");
    }
    let temporary = NameContext { temporary: ["staging"].into_iter().collect(), ..usual() };
    assert_eq!(extent("id", &["staging"], &temporary), Extent::Bounded);
    let pending = NameContext { definitions: defined("GRANT SELECT ON staging TO u"), ..usual() };
    assert_eq!(resolve(&update("id", &["staging"]), &facts, &pending).effects[0].extent, Extent::Whole);
    let other = Statement { effects: on(Action::Update, "orders").effects, ..update("id", &["staging"]) };
    assert_eq!(resolve(&other, &facts, &usual()).effects[0].extent, Extent::Bounded);
}

#[test]
fn a_schema_that_the_role_may_not_use_is_passed_over() {
    let mut facts = facts();
    facts.add_relation(table(200, "evil", "orders"));
    facts.schemas.insert("private".to_owned());
    facts.schema_users.insert("private".to_owned(), ["app".to_owned()].into());
    facts.add_relation(table(201, "private", "orders"));
    facts.superusers.insert("root".to_owned());
    let read = |role: &str, schemas: &[&str]| {
        let context = NameContext { role: role.to_owned(), search_path: path(schemas), ..usual() };
        shown(&resolve(&on(Action::Read, "orders"), &facts, &context))
    };
    let both = ["read table private.orders?", "read table public.orders?"];
    assert_eq!(read("other", &["private", "public", "evil"]), both);
    assert_eq!(read("app", &["private", "public"]), ["read table private.orders"]);
    assert_eq!(read("root", &["private", "public"]), ["read table private.orders"]);
    assert_eq!(read("other", &["private"]), ["read table private.orders"]);
    // What hides behind it is not the session's own for certain.
    let own = NameContext {
        role: "other".to_owned(),
        search_path: path(&["private", "pg_temp"]),
        temporary: ["orders"].into_iter().collect(),
        ..usual()
    };
    expect(&on(Action::Delete, "orders"), &facts, &own, &["delete table private.orders"]);
}

/// At login it is bytes in whichever encoding: which schema is the role's own is not known.
#[test]
fn a_role_beyond_ascii_may_have_any_schema_for_its_own() {
    let mut facts = facts();
    facts.add_relation(table(200, "evil", "orders"));
    let role = NameContext { role: "größe".to_owned(), ..usual() };
    let both = ["read table evil.orders?", "read table public.orders?"];
    let mut seen = shown(&resolve(&on(Action::Read, "orders"), &facts, &role));
    seen.sort();
    assert_eq!(seen, both);
    let without = NameContext { search_path: path(&["public"]), ..role };
    expect(&on(Action::Read, "orders"), &facts, &without, &["read table public.orders"]);
}

#[test]
fn search_paths_are_read_as_the_server_reads_them() {
    let cases = [
        (r#""$user", public"#, path(&["$user", "public"])),
        ("", path(&[])),
        (r#""""#, path(&[""])),
        ("A, \"A\" ,\"b\"\"c\"", path(&["a", "A", "b\"c"])),
        (r#"Evil, "Mixed ""x""", "$user" ,public"#, path(&["evil", "Mixed \"x\"", "$user", "public"])),
        ("a b", SearchPath::Unknown),
        ("\"a\" b", SearchPath::Unknown),
        ("a,,b", SearchPath::Unknown),
        ("a,", SearchPath::Unknown),
        ("\"a", SearchPath::Unknown),
        ("\u{c4}", SearchPath::Unknown),
    ];
    for (setting, expected) in cases {
        assert_eq!(SearchPath::parse(setting), expected, "{setting}");
    }
}
