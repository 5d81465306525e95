use super::*;
use crate::blast::facts::{
    AssignmentCast, ColumnNames, ForeignKey, Reference, Rule, Trigger, UserFunction, UserOperator,
};
use crate::sql::Argument;

/// A database with the schemas `public` and `evil`, on Postgres 15.
fn facts() -> Facts {
    let mut facts = Facts { server_version: 150_018, ..Facts::default() };
    for schema in ["public", "evil", "pg_catalog", "information_schema"] {
        facts.schemas.insert(schema.to_owned());
    }
    facts.search_path = path(&["$user", "public"]);
    facts.add_relation(table(100, "public", "orders"));
    facts.add_relation(Relation { system: true, ..table(1259, "pg_catalog", "pg_class") });
    facts
}

fn table(oid: u32, schema: &str, name: &str) -> Relation {
    Relation { oid, schema: schema.to_owned(), name: name.to_owned(), ..Relation::default() }
}

fn path(schemas: &[&str]) -> SearchPath {
    SearchPath::Known(schemas.iter().map(|schema| (*schema).to_owned()).collect())
}

fn usual() -> NameContext {
    NameContext { search_path: path(&["$user", "public"]), role: "app".to_owned(), ..NameContext::default() }
}

fn code(schema: &str, name: &str) -> CodeUse {
    CodeUse {
        schema: Some(schema.to_owned()),
        name: name.to_owned(),
        oid: 20_000,
        hash: "ab".to_owned(),
        reviewed: false,
    }
}

fn function(facts: &mut Facts, schema: &str, name: &str) {
    let entry = UserFunction { schema: schema.to_owned(), code: code(schema, name), attribute: true };
    facts.functions.entry(name.to_owned()).or_default().push(entry);
}

fn name(written: &str) -> Name {
    match written.split_once('.') {
        Some((schema, name)) if !schema.is_empty() => Name { schema: Some(schema.to_owned()), name: name.to_owned() },
        _ => Name { schema: None, name: written.to_owned() },
    }
}

fn blank() -> Statement {
    Statement {
        span: 0..0,
        command: "SELECT".to_owned(),
        effects: Vec::new(),
        functions: Vec::new(),
        operators: Vec::new(),
        types: Vec::new(),
        session: Vec::new(),
        reasons: Vec::new(),
        depends_on_literals: false,
        untyped_values: false,
        strings: false,
        named_values: None,
        declared_types: Vec::new(),
        assigned: None,
        assumptions: Vec::new(),
    }
}

fn on(action: Action, written: &str) -> Statement {
    let Name { schema, name } = name(written);
    let effect = Effect::new(action, Object { kind: ObjectKind::Relation, schema, name });
    Statement { effects: vec![Effect { extent: Extent::Bounded, ..effect }], ..blank() }
}

fn calls(written: &str, notation: Notation) -> Statement {
    Statement { functions: vec![FunctionUse { name: name(written), notation }], ..blank() }
}

/// The effects as text: action, object, `?` where only possible.
fn shown(resolved: &Resolved) -> Vec<String> {
    let sure = |effect: &Effect| if effect.certainty == Certainty::Possible { "?" } else { "" };
    let show = |effect: &Effect| {
        format!("{} {} {}{}", effect.action, effect.object.kind.as_str(), effect.object, sure(effect))
    };
    resolved.effects.iter().map(show).collect()
}

#[track_caller]
fn expect(statement: &Statement, facts: &Facts, context: &NameContext, effects: &[&str]) {
    assert_eq!(shown(&resolve(statement, facts, context)), effects);
}

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
    let context = NameContext { pending_definitions: true, ..usual() };
    expect(&on(Action::Read, "new"), &facts(), &context, &["read table new", "execute table new?"]);
}

#[test]
fn builtins_pass_and_everything_else_executes() {
    let mut facts = facts();
    function(&mut facts, "public", "wipe");
    function(&mut facts, "public", "lower");
    function(&mut facts, "evil", "upper");
    let cases: [(&str, &[&str]); 10] = [
        ("now", &[]),
        ("pg_catalog.lower", &[]),
        ("information_schema._pg_expandarray", &[]),
        ("coalesce", &[]),
        ("upper", &[]),
        ("wipe", &["execute function public.wipe"]),
        ("lower", &["execute function public.lower?"]),
        ("evil.upper", &["execute function evil.upper"]),
        ("public.upper", &["execute function public.upper?"]),
        ("nobody", &["execute function nobody?"]),
    ];
    for (call, effects) in cases {
        expect(&calls(call, Notation::Call), &facts, &usual(), effects);
    }
    let unknown = NameContext { search_path: SearchPath::Unknown, ..usual() };
    expect(&calls("upper", Notation::Call), &facts, &unknown, &["execute function evil.upper?"]);
    expect(&calls("p", Notation::Procedure), &facts, &usual(), &["execute procedure p?"]);
}

#[test]
fn keywords_of_newer_servers_are_calls_on_older_ones() {
    let mut facts = facts();
    let call = calls("json_serialize", Notation::Call);
    expect(&call, &facts, &usual(), &["execute function json_serialize?"]);
    function(&mut facts, "public", "json_serialize");
    expect(&call, &facts, &usual(), &["execute function public.json_serialize"]);
    let newer = Facts { server_version: 170_000, functions: [].into(), ..facts };
    expect(&call, &newer, &usual(), &[]);
}

#[test]
fn attribute_notation_calls_functions_of_one_argument() {
    let mut facts = facts();
    function(&mut facts, "public", "wipe");
    let attribute = |name| calls(name, Notation::Attribute);
    expect(&attribute("wipe"), &facts, &usual(), &["execute function public.wipe?"]);
    expect(&attribute("lo_unlink"), &facts, &usual(), &["execute function pg_catalog.lo_unlink?"]);
    expect(&attribute("amount"), &facts, &usual(), &[]);
    facts.functions.values_mut().flatten().for_each(|function| function.attribute = false);
    expect(&attribute("wipe"), &facts, &usual(), &[]);
}

#[test]
fn reviewed_and_approved_code_passes() {
    let mut facts = facts();
    function(&mut facts, "public", "wipe");
    let call = calls("wipe", Notation::Call);
    let approved = |hash: &str| NameContext { approved: Arc::new([(20_000, hash.to_owned())].into()), ..usual() };
    expect(&call, &facts, &approved("ab"), &[]);
    expect(&call, &facts, &approved("cd"), &["execute function public.wipe"]);
    facts.functions.values_mut().flatten().for_each(|function| function.code.reviewed = true);
    expect(&call, &facts, &usual(), &[]);
}

#[test]
fn operators_count_where_the_search_path_finds_them() {
    let mut facts = facts();
    let operator = UserOperator { schema: "evil".to_owned(), code: code("evil", "eq"), operands: Operands::Builtin };
    facts.operators.insert("=".to_owned(), vec![operator]);
    let plain = Statement { operators: vec![name("=")], ..blank() };
    expect(&plain, &facts, &usual(), &[]);
    let evil = NameContext { search_path: path(&["evil", "pg_catalog", "public"]), ..usual() };
    expect(&plain, &facts, &evil, &["execute function evil.eq?"]);
    // IN, USING and CASE use it without writing it.
    expect(&blank(), &facts, &evil, &["execute function evil.eq?"]);
    let qualified = Statement { operators: vec![name("evil.=")], ..blank() };
    expect(&qualified, &facts, &usual(), &["execute function evil.eq?"]);
}

/// One operator of users does not make everything wait: somebody has to have a value for it.
#[test]
fn operators_of_types_of_users_count_where_such_values_are() {
    let mut facts = facts();
    facts.add_relation(Relation { has_user_types: true, ..table(101, "public", "typed") });
    facts.type_names.insert("op_t".to_owned());
    let operands = Operands::Users(vec![100]);
    facts.operators.insert(
        "=".to_owned(),
        vec![UserOperator { schema: "public".to_owned(), code: code("public", "eq"), operands }],
    );
    let runs = |statement: &Statement| !resolve(statement, &facts, &usual()).code.is_empty();
    let cast = |name_: &str| Statement { types: vec![name(name_)], ..blank() };
    for command in ["BEGIN", "SHOW", "SET", "COMMIT", "SELECT"] {
        assert!(!runs(&Statement { command: command.to_owned(), ..blank() }), "{command}");
    }
    assert!(!runs(&calls("now", Notation::Call)));
    assert!(runs(&cast("op_t")) && runs(&cast("op_t[]")));
    assert!(runs(&on(Action::Read, "orders")) && runs(&on(Action::Read, "typed")) && runs(&on(Action::Read, "new")));
    assert!(!runs(&on(Action::Read, "pg_class")) && !runs(&cast("int")));
}

#[test]
fn types_run_their_checks_and_casts() {
    let mut facts = facts();
    facts.types.insert("even".to_owned(), vec![code("public", "is_even")]);
    facts.types.insert("int4".to_owned(), vec![code("public", "to_int")]);
    let cast = |name_: &str| Statement { types: vec![name(name_)], ..blank() };
    expect(&cast("even"), &facts, &usual(), &["execute function public.is_even?"]);
    for written in ["integer", "int", "int4", "int[]"] {
        expect(&cast(written), &facts, &usual(), &["execute function public.to_int?"]);
    }
    expect(&cast("text"), &facts, &usual(), &[]);
    expect(&calls("int4", Notation::Call), &facts, &usual(), &["execute function public.to_int?"]);
    let populate = calls("json_populate_record", Notation::Call);
    let both = ["execute function public.is_even?", "execute function public.to_int?"];
    expect(&populate, &facts, &usual(), &both);
}

#[test]
fn unnamed_code_counts_where_something_is_computed() {
    let implicit = Facts { implicit_code: vec![code("public", "f")], ..facts() };
    expect(
        &on(Action::Read, "orders"),
        &implicit,
        &usual(),
        &["read table public.orders", "execute function public.f?"],
    );
    expect(&blank(), &implicit, &usual(), &[]);
}

#[test]
fn assignment_casts_count_where_something_takes_such_a_value() {
    let cast = |target, target_relations: &[u32], source_relations: Option<&[u32]>| {
        let set = |oids: &[u32]| oids.iter().copied().collect();
        let source_relations = source_relations.map(set);
        let target_relations = set(target_relations);
        let cast = AssignmentCast { code: code("public", "f"), target, target_relations, source_relations };
        let mut facts = Facts { assignment_casts: vec![cast], ..facts() };
        facts.add_relation(table(101, "public", "users"));
        facts
    };
    let (read, insert) = (on(Action::Read, "orders"), on(Action::Insert, "orders"));
    let runs = |statement: &Statement, facts: &Facts| {
        let resolved = resolve(statement, facts, &usual());
        assert!(resolved.code.len() <= 1);
        !resolved.code.is_empty()
    };
    // Into a column of that type.
    let assigned = cast(CastTarget::Assigned, &[100], None);
    assert!(runs(&insert, &assigned) && runs(&on(Action::Update, "orders"), &assigned));
    assert!(!runs(&on(Action::Insert, "users"), &assigned) && !runs(&read, &assigned));
    assert!(!runs(&on(Action::Delete, "orders"), &assigned));
    // Into a parameter.
    let execute = |arguments| {
        let change = SessionChange::ExecutePrepared { name: "q".to_owned(), arguments };
        Statement { session: vec![change], ..on(Action::Read, "users") }
    };
    assert!(runs(&execute(vec![Argument::Computed]), &assigned) && !runs(&execute(Vec::new()), &assigned));
    // A condition, a limit or a subscript.
    assert!(runs(&read, &cast(CastTarget::Plain, &[], None)));
    assert!(runs(&read, &cast(CastTarget::Plain, &[], Some(&[100]))));
    assert!(!runs(&on(Action::Read, "users"), &cast(CastTarget::Plain, &[], Some(&[100]))));
    assert!(!runs(&read, &cast(CastTarget::Other, &[], Some(&[100]))));
    let mut document = read;
    let name = Name { schema: None, name: "xmlconcat".to_owned() };
    document.functions.push(FunctionUse { name, notation: Notation::Call });
    assert!(runs(&document, &cast(CastTarget::Other, &[], Some(&[100]))));
}

#[test]
fn a_string_counts_beside_the_columns_that_it_may_be_read_as() {
    let mut facts = facts();
    facts.add_relation(Relation {
        runs_on_values: vec![code("public", "f")],
        value_columns: Some(vec!["list".to_owned()]),
        ..table(101, "public", "users")
    });
    let named = |names: Option<&[&str]>| {
        let named_values = names.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        Statement { untyped_values: true, strings: true, named_values, ..on(Action::Read, "users") }
    };
    let runs = |statement: &Statement, facts: &Facts| {
        let resolved = resolve(statement, facts, &usual());
        (!resolved.code.is_empty(), resolved.code_at_parse)
    };
    assert_eq!(runs(&named(Some(&["id", "list"])), &facts), (true, true));
    assert_eq!(runs(&named(None), &facts), (true, true));
    assert_eq!(runs(&named(Some(&["id"])), &facts), (false, false));
    assert_eq!(runs(&Statement { untyped_values: false, ..named(None) }, &facts), (false, false));
    // A parameter is read when it is bound.
    assert_eq!(runs(&Statement { strings: false, ..named(None) }, &facts), (true, false));
    // A cast of a string.
    facts.types.insert("dom".to_owned(), vec![code("public", "f")]);
    let cast = |strings| {
        let types = vec![Name { schema: None, name: "dom[]".to_owned() }];
        Statement { strings, untyped_values: true, types, ..blank() }
    };
    assert_eq!(runs(&cast(true), &facts), (true, true));
    assert_eq!(runs(&cast(false), &facts), (true, false));
}

#[test]
fn views_lead_to_their_relations_and_run_their_code() {
    let mut facts = facts();
    let view = |oid, name| Relation { kind: RelationKind::View, ..table(oid, "public", name) };
    facts.add_relation(Relation {
        reads: vec![100, 202],
        runs_on_read: vec![code("public", "wipe")],
        ..view(201, "v")
    });
    // Views may even read each other.
    facts.add_relation(Relation { reads: vec![201], ..view(202, "w") });
    let effects =
        ["read view public.w", "read view public.v", "execute function public.wipe?", "read table public.orders"];
    let resolved = resolve(&on(Action::Read, "w"), &facts, &usual());
    assert_eq!(BTreeSet::from_iter(shown(&resolved)), effects.map(str::to_owned).into());
    assert_eq!(resolved.reasons, ["reading public.v runs public.wipe()"]);
    assert_eq!(resolved.code, [code("public", "wipe")]);
}

#[test]
fn a_chain_of_views_of_any_length_is_followed() {
    let mut facts = facts();
    for oid in 1000..11_000 {
        let reads = vec![if oid == 1000 { 100 } else { oid - 1 }];
        facts.add_relation(Relation { kind: RelationKind::View, reads, ..table(oid, "public", &format!("v{oid}")) });
    }
    let resolved = resolve(&on(Action::Read, "v10999"), &facts, &usual());
    assert_eq!(resolved.effects.len(), 10_001);
    assert!(shown(&resolved).contains(&"read table public.orders".to_owned()));
}

#[test]
fn reading_a_materialized_view_runs_nothing_and_refreshing_it_does() {
    let mut facts = facts();
    let view = table(201, "public", "m");
    let kind = RelationKind::MaterializedView;
    facts.add_relation(Relation { kind, reads: vec![100], runs_on_read: vec![code("public", "wipe")], ..view });
    expect(&on(Action::Read, "m"), &facts, &usual(), &["read materialized_view public.m"]);
    let refresh = ["maintain materialized_view public.m", "execute function public.wipe?"];
    expect(&on(Action::Maintain, "m"), &facts, &usual(), &refresh);
}

#[test]
fn writing_to_a_view_reaches_its_table_unless_something_is_done_instead() {
    let mut facts = facts();
    let view = Relation { kind: RelationKind::View, reads: vec![100], ..table(201, "public", "v") };
    facts.add_relation(view.clone());
    let both = ["delete view public.v", "delete table public.orders"];
    expect(&on(Action::Delete, "v"), &facts, &usual(), &both);
    let trigger = Trigger {
        name: "io".to_owned(),
        code: code("public", "f"),
        events: Events { delete: true, ..Events::default() },
        instead_of: true,
    };
    facts.relations.insert(201, Relation { triggers: vec![trigger], ..view });
    let instead = ["delete view public.v", "execute function public.f?"];
    expect(&on(Action::Delete, "v"), &facts, &usual(), &instead);
    let both = ["update view public.v", "update table public.orders"];
    expect(&on(Action::Update, "v"), &facts, &usual(), &both);
}

#[test]
fn triggers_and_rules_run_on_their_events_only() {
    let mut facts = facts();
    let insert = Events { insert: true, ..Events::default() };
    let trigger =
        Trigger { name: "audit".to_owned(), code: code("public", "log_it"), events: insert, instead_of: false };
    let rule = Rule { name: "r_ins".to_owned(), events: insert, instead: false };
    let relation = Relation { triggers: vec![trigger], rules: vec![rule], ..table(201, "public", "t") };
    facts.add_relation(relation);
    let resolved = resolve(&on(Action::Insert, "t"), &facts, &usual());
    let effects = ["insert table public.t", "execute rule public.r_ins?", "execute function public.log_it?"];
    assert_eq!(shown(&resolved), effects);
    let reasons = ["rule r_ins on public.t rewrites the insert", "trigger audit on public.t runs public.log_it()"];
    assert_eq!(resolved.reasons, reasons);
    let planned = resolve_for_planning(&on(Action::Insert, "t"), &facts, &usual());
    assert_eq!(shown(&planned), effects[..2]);
    expect(&on(Action::Update, "t"), &facts, &usual(), &["update table public.t"]);
    expect(&on(Action::Read, "t"), &facts, &usual(), &["read table public.t"]);
}

#[test]
fn keys_spread_deletes_updates_and_truncates() {
    use ReferentialAction::{Cascade, NoAction, SetNull};
    let mut facts = facts();
    let key = |from, on_delete, on_update| ForeignKey {
        name: "fk".to_owned(),
        from,
        on_delete,
        on_update,
        columns: Some(vec!["id".to_owned()]),
    };
    let keys = vec![key(202, Cascade, NoAction), key(203, SetNull, Cascade)];
    facts.add_relation(Relation { referenced_by: keys, ..table(201, "public", "users") });
    facts.add_relation(Relation { referenced_by: vec![key(202, Cascade, NoAction)], ..table(202, "public", "a") });
    facts.add_relation(table(203, "public", "b"));
    let cases: [(Action, &[&str]); 4] = [
        (Action::Insert, &["insert table public.users"]),
        (Action::Delete, &["delete table public.users", "delete table public.a?", "update table public.b?"]),
        (Action::Update, &["update table public.users", "update table public.b?"]),
        (Action::Truncate, &["truncate table public.users", "truncate table public.a?", "truncate table public.b?"]),
    ];
    for (action, effects) in cases {
        expect(&on(action, "users"), &facts, &usual(), effects);
        assert_eq!(shown(&resolve_for_planning(&on(action, "users"), &facts, &usual())), effects[..1]);
    }
    // Only what assigns the key reaches further, but then any number of rows.
    let assigning = |column: &str| Statement { assigned: Some(vec![column.to_owned()]), ..on(Action::Update, "users") };
    expect(&assigning("name"), &facts, &usual(), &["update table public.users"]);
    let reached = resolve(&assigning("id"), &facts, &usual()).effects;
    assert_eq!((reached.len(), reached[1].extent), (2, Extent::Whole));
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
    let pending = NameContext { pending_definitions: true, ..usual() };
    assert_eq!(resolve(&update("id", &["staging"]), &facts, &pending).effects[0].extent, Extent::Bounded);
    let other = Statement { effects: on(Action::Update, "orders").effects, ..update("id", &["staging"]) };
    assert_eq!(resolve(&other, &facts, &usual()).effects[0].extent, Extent::Bounded);
}

#[test]
fn partitions_bring_their_own_triggers_code_and_servers() {
    let mut facts = facts();
    facts.add_relation(Relation {
        kind: RelationKind::PartitionedTable,
        children: vec![202, 203],
        ..table(201, "public", "t")
    });
    let check = code("public", "check");
    facts.add_relation(Relation { runs_on_write: vec![check], ..table(202, "public", "t1") });
    facts.add_relation(Relation { kind: RelationKind::ForeignTable, ..table(203, "public", "t2") });
    expect(&on(Action::Read, "t"), &facts, &usual(), &["read table public.t", "host foreign_table public.t2?"]);
    let insert = ["insert table public.t", "host foreign_table public.t2?", "execute function public.check?"];
    expect(&on(Action::Insert, "t"), &facts, &usual(), &insert);
}

/// A partitioned table that refers to another, with triggers on its partition.
fn partitioned(key: Option<&[&str]>) -> Facts {
    let mut facts = facts();
    let events = Events { insert: true, ..Events::default() };
    let trigger = Trigger { name: "tr".to_owned(), code: code("public", "f"), events, instead_of: false };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let own = Reference { name: "key".to_owned(), to: 100, columns: names(&["ref"]) };
    facts.add_relation(Relation {
        kind: RelationKind::PartitionedTable,
        children: vec![202],
        partition_key: key.map(names),
        references: vec![own],
        ..table(201, "public", "t")
    });
    facts.add_relation(Relation { triggers: vec![trigger], ..table(202, "public", "t1") });
    let columns = Some(names(&["id"]));
    let (on_delete, on_update) = (ReferentialAction::NoAction, ReferentialAction::Cascade);
    let key = ForeignKey { name: "key".to_owned(), from: 201, on_delete, on_update, columns };
    facts.relations.get_mut(&100).unwrap().referenced_by.push(key);
    facts
}

#[test]
fn an_update_that_may_move_rows_fires_other_triggers() {
    let fires = |written: &str, assigned: Option<&[&str]>, key: Option<&[&str]>| {
        let assigned = assigned.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        let update = Statement { assigned, ..on(Action::Update, written) };
        !resolve(&update, &partitioned(key), &usual()).code.is_empty()
    };
    let key = Some(["a"].as_slice());
    assert!(fires("t", Some(&["b", "a"]), key) && !fires("t", Some(&["b"]), key));
    assert!(fires("t", None, key) && fires("t", Some(&["b"]), None));
    assert!(!fires("t1", Some(&["a"]), key), "a partition's rows stay or are refused");
    // By a foreign key: it sets its own columns only.
    assert!(!fires("orders", Some(&["id"]), key) && fires("orders", Some(&["id"]), Some(&["ref"])));
    assert!(fires("orders", Some(&["id"]), None) && !fires("orders", Some(&["n"]), None));
    let planned = resolve_for_planning(&on(Action::Update, "t"), &partitioned(None), &usual());
    assert!(planned.code.is_empty());
}

#[test]
fn whatever_looks_at_a_table_runs_what_planning_does() {
    let runs = |table: u32, statement: &Statement| {
        let mut facts = partitioned(None);
        facts.relations.get_mut(&202).unwrap().triggers.clear();
        facts.relations.get_mut(&table).unwrap().runs_when_planned.push(code("public", "wipe"));
        !resolve(statement, &facts, &usual()).code.is_empty()
    };
    for action in [Action::Read, Action::Insert, Action::Update, Action::Delete, Action::Maintain] {
        assert!(runs(201, &on(action, "t")) && runs(202, &on(action, "t")), "{action}");
    }
    // Foreign keys look rows up in the other table.
    assert!(runs(100, &on(Action::Insert, "t")) && runs(202, &on(Action::Delete, "orders")));
    assert!(!runs(100, &on(Action::Delete, "t")) && !runs(100, &on(Action::Read, "t")));
    assert!(!runs(201, &on(Action::Insert, "orders")) && !runs(201, &on(Action::Read, "orders")));
    let update = |columns: &[&str]| {
        let assigned = Some(columns.iter().map(|name| (*name).to_owned()).collect());
        Statement { assigned, ..on(Action::Update, "t") }
    };
    assert!(runs(100, &update(&["ref"])) && !runs(100, &update(&["b"])));
    for name in ["pg_get_partition_constraintdef", "satisfies_hash_partition"] {
        assert!(runs(201, &calls(name, Notation::Call)) && runs(201, &calls(name, Notation::Attribute)), "{name}");
        assert!(!runs(100, &calls(name, Notation::Call)), "{name}");
    }
    let mut facts = facts();
    let kind = RelationKind::MaterializedView;
    facts.add_relation(Relation { kind, runs_when_planned: vec![code("public", "wipe")], ..table(201, "public", "m") });
    assert!(!resolve(&on(Action::Read, "m"), &facts, &usual()).code.is_empty());
}

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
fn definitions_run_event_triggers() {
    let facts = Facts { event_triggers: vec![code("public", "et")], ..facts() };
    let effects = ["execute function public.et?", "create table public.t"];
    let mut create = on(Action::Create, "t");
    create.effects[0].object.kind = ObjectKind::Table;
    expect(&create, &facts, &usual(), &effects);
    expect(&on(Action::Insert, "orders"), &facts, &usual(), &["insert table public.orders"]);
}

#[test]
fn declaring_a_cursor_counts_as_its_query() {
    let mut facts = facts();
    function(&mut facts, "public", "wipe");
    let body = Box::new(calls("wipe", Notation::Call));
    let declare = SessionChange::DeclareCursor { name: "c".to_owned(), body, hold: false };
    let statement = Statement { session: vec![declare], ..blank() };
    expect(&statement, &facts, &usual(), &["execute function public.wipe"]);
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

#[test]
fn policies_read_what_their_conditions_read() {
    let mut facts = facts();
    facts.add_relation(Relation { also_reads: vec![202], ..table(201, "public", "t") });
    let view = Relation { kind: RelationKind::View, ..table(202, "public", "allowed") };
    facts.add_relation(Relation { runs_on_read: vec![code("public", "wipe")], ..view });
    let read = ["read table public.t", "read view public.allowed?", "execute function public.wipe?"];
    expect(&on(Action::Read, "t"), &facts, &usual(), &read);
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
    let pending = NameContext { pending_definitions: true, ..usual() };
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
