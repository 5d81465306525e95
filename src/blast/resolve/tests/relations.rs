//! Promise: what is done to a relation is followed to all that it reaches and runs.

use super::*;

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
fn policies_read_what_their_conditions_read() {
    let mut facts = facts();
    facts.add_relation(Relation { also_reads: vec![202], ..table(201, "public", "t") });
    let view = Relation { kind: RelationKind::View, ..table(202, "public", "allowed") };
    facts.add_relation(Relation { runs_on_read: vec![code("public", "wipe")], ..view });
    let read = ["read table public.t", "read view public.allowed?", "execute function public.wipe?"];
    expect(&on(Action::Read, "t"), &facts, &usual(), &read);
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
