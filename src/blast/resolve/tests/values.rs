//! Promise: what runs because a value becomes one of another type is seen where there is such a value.

use super::*;

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
