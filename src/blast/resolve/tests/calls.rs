//! Promise: only reviewed or approved functions pass, however they are called.

use super::*;

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
fn definitions_run_event_triggers() {
    let facts = Facts { event_triggers: vec![code("public", "et")], ..facts() };
    let effects = ["execute function public.et?", "create table public.t"];
    let mut create = on(Action::Create, "t");
    create.effects[0].object.kind = ObjectKind::Table;
    expect(&create, &facts, &usual(), &effects);
    expect(&on(Action::Insert, "orders"), &facts, &usual(), &["insert table public.orders"]);
    let refresh = &analyzed("REFRESH MATERIALIZED VIEW m")[0];
    assert!(shown(&resolve(refresh, &facts, &usual())).contains(&"execute function public.et?".to_owned()));
    // From Postgres 17 on, REINDEX runs them as well.
    let own = NameContext { temporary: ["mine"].into_iter().collect(), ..usual() };
    let reindex = &analyzed("REINDEX TABLE mine")[0];
    let newer = Facts { server_version: 170_000, ..facts.clone() };
    assert!(!shown(&resolve(reindex, &facts, &own)).contains(&"execute function public.et?".to_owned()));
    assert!(shown(&resolve(reindex, &newer, &own)).contains(&"execute function public.et?".to_owned()));
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
