use super::*;
use crate::blast::SearchPath;
use crate::blast::facts::{CodeUse, Events, ForeignKey, Rule, Trigger};
use crate::sql::{Object, ObjectKind};

fn table(oid: u32, name: &str, rows: Option<u64>) -> Relation {
    Relation { oid, schema: "public".to_owned(), name: name.to_owned(), rows, ..Relation::default() }
}

fn key(from: u32, on_delete: ReferentialAction, on_update: ReferentialAction) -> ForeignKey {
    ForeignKey { name: "fk".to_owned(), from, on_delete, on_update, columns: None }
}

fn events(action: Action) -> Events {
    Events {
        insert: action == Action::Insert,
        update: action == Action::Update,
        delete: action == Action::Delete,
        truncate: action == Action::Truncate,
    }
}

fn facts(relations: impl IntoIterator<Item = Relation>) -> Facts {
    let mut facts = Facts::default();
    facts.schemas.insert("public".to_owned());
    relations.into_iter().for_each(|relation| facts.add_relation(relation));
    facts
}

fn planned(name: &str, action: Action, rows: Rows) -> Planned {
    Planned { schema: "public".to_owned(), name: name.to_owned(), action: Some(action), rows }
}

fn of(action: Action, extent: Extent, name: &str, facts: &Facts, estimates: &Estimates, text: &str) -> Radius {
    let effect = Effect { extent, ..Effect::new(action, Object::new(ObjectKind::Relation, name)) };
    let statement = Statement { effects: vec![effect], ..Statement::default() };
    let names = NameContext { search_path: SearchPath::Known(vec!["public".to_owned()]), ..NameContext::default() };
    let resolved = Resolved::default();
    measure(&Measured { statement: &statement, text, resolved: &resolved, names: &names, facts }, estimates)
}

/// `action name via rows basis`, a relation each.
fn shown(radius: &Radius) -> Vec<String> {
    let rows = |rows: Rows| rows.value.map_or("?".to_owned(), |value| value.to_string());
    let show = |touched: &TouchedRelation| {
        format!("{} {} {:?} {} {:?}", touched.action, touched.name, touched.via, rows(touched.rows), touched.rows.basis)
    };
    radius.relations.iter().map(show).collect()
}

fn planner(name: &str, action: Action, rows: u64) -> Estimates {
    Estimates { planned: Some(vec![planned(name, action, Rows::planner(rows))]), ..Estimates::default() }
}

#[test]
fn cascades_take_their_share_and_go_on() {
    use ReferentialAction::{Cascade, NoAction, Restrict, SetNull};
    let facts = facts([
        Relation {
            referenced_by: vec![key(2, Cascade, NoAction), key(3, SetNull, NoAction), key(4, Restrict, NoAction)],
            ..table(1, "customers", Some(100))
        },
        Relation {
            referenced_by: vec![key(5, Cascade, NoAction), key(2, Cascade, Cascade)],
            ..table(2, "orders", Some(1000))
        },
        table(3, "visits", None),
        table(4, "debts", Some(7)),
        table(5, "order_items", Some(4001)),
    ]);
    let radius =
        of(Action::Delete, Extent::Bounded, "customers", &facts, &planner("customers", Action::Delete, 25), "");
    let expected = [
        "delete customers Statement 25 Planner",
        "delete orders Cascade 250 Statistics",
        "update visits Cascade ? Unknown",
        "delete order_items Cascade 1001 Statistics",
    ];
    assert_eq!(shown(&radius), expected);
    assert_eq!(radius.rows, Rows::planner(25));
    assert_eq!(radius.relations[0].share, Some(0.25));
    assert_eq!(radius.relations[2].share, None);
    assert!(radius.relations.iter().all(|touched| touched.lock.as_deref() == Some("RowExclusiveLock")));
}

#[test]
fn what_is_not_known_is_never_nothing() {
    let facts = facts([table(1, "orders", Some(50)), table(2, "fresh", None)]);
    let none = Estimates::default();
    let whole = of(Action::Delete, Extent::Whole, "orders", &facts, &none, "");
    assert_eq!((whole.rows, whole.warnings.len()), (Rows::statistics(50), 0));
    // At most all of it, and the reader is told.
    let bounded = of(Action::Delete, Extent::Bounded, "orders", &facts, &none, "");
    assert_eq!((bounded.rows, bounded.warnings.len()), (Rows::statistics(50), 1));
    for (action, name) in [(Action::Delete, "fresh"), (Action::Truncate, "fresh"), (Action::Insert, "orders")] {
        assert_eq!(of(action, Extent::Whole, name, &facts, &none, "").rows, Rows::UNKNOWN);
    }
    let missing = of(Action::Delete, Extent::Whole, "nowhere", &facts, &none, "");
    assert_eq!((missing.rows, shown(&missing)), (Rows::UNKNOWN, vec!["delete nowhere Statement ? Unknown".to_owned()]));
    assert_eq!(missing.warnings, ["nowhere is not in the catalog: how much it holds is not known"]);
    let now = Estimates { sizes: HashMap::from([(2, 9)]), ..Estimates::default() };
    assert_eq!(of(Action::Truncate, Extent::Whole, "fresh", &facts, &now, "").rows, Rows::statistics(9));
}

#[test]
fn partitions_share_what_their_table_loses() {
    let root = Relation { kind: RelationKind::PartitionedTable, children: vec![2, 3], ..table(1, "t", None) };
    let mut facts = facts([root, table(2, "t1", Some(30)), table(3, "t2", Some(10))]);
    let radius = of(Action::Delete, Extent::Bounded, "t", &facts, &planner("t", Action::Delete, 20), "");
    let expected =
        ["delete t Statement 20 Planner", "delete t1 Partition 15 Statistics", "delete t2 Partition 5 Statistics"];
    assert_eq!(shown(&radius), expected);
    let dropped = of(Action::Drop, Extent::Inapplicable, "t", &facts, &Estimates::default(), "DROP TABLE t");
    assert_eq!(dropped.rows, Rows::statistics(40));
    assert_eq!(dropped.relations.len(), 3);
    // One of unknown size makes the whole unknown.
    facts.add_relation(table(3, "t2", None));
    let truncated = of(Action::Truncate, Extent::Whole, "t", &facts, &Estimates::default(), "TRUNCATE t");
    assert_eq!(truncated.rows, Rows::UNKNOWN);
}

#[test]
fn views_triggers_and_rules_are_told() {
    let code = |reviewed| CodeUse {
        schema: Some("public".to_owned()),
        name: "f".to_owned(),
        oid: 9,
        hash: String::new(),
        reviewed,
    };
    let trigger = |name: &str, reviewed| Trigger {
        name: name.to_owned(),
        code: code(reviewed),
        events: events(Action::Delete),
        instead_of: false,
    };
    let rule = Rule { name: "r".to_owned(), events: events(Action::Update), instead: false };
    let view = Relation { kind: RelationKind::View, reads: vec![1], ..table(2, "v", None) };
    let base = Relation {
        triggers: vec![trigger("a", false), trigger("b", true)],
        rules: vec![rule],
        read_by: vec![2],
        ..table(1, "t", Some(10))
    };
    let over = Relation { kind: RelationKind::View, reads: vec![2], ..table(3, "w", None) };
    let facts = facts([base, Relation { read_by: vec![3], ..view }, over]);
    let deleted = of(Action::Delete, Extent::Bounded, "v", &facts, &planner("t", Action::Delete, 4), "");
    assert_eq!(shown(&deleted), ["delete v Statement 4 Planner", "delete t View 4 Planner"]);
    let triggers: Vec<_> = deleted.triggers.iter().map(|trigger| (trigger.name.as_str(), trigger.effects)).collect();
    assert_eq!(triggers, [("a", TriggerEffects::Unknown), ("b", TriggerEffects::Known)]);
    assert_eq!(deleted.triggers[0].function, "public.f()");
    let dependents: Vec<_> = deleted.dependents.iter().map(|dependent| dependent.name.as_str()).collect();
    assert_eq!(dependents, ["w"]);
    let updated = of(Action::Update, Extent::Whole, "t", &facts, &Estimates::default(), "");
    assert_eq!(updated.warnings, ["rule r on public.t rewrites the update: what it touches is not in these numbers"]);
    assert_eq!(updated.triggers, []);
}

#[test]
fn truncate_spreads_only_where_it_says_so() {
    let keys = vec![key(2, ReferentialAction::NoAction, ReferentialAction::NoAction)];
    let facts = facts([Relation { referenced_by: keys, ..table(1, "a", Some(3)) }, table(2, "b", Some(5))]);
    let none = Estimates::default();
    let plain = of(Action::Truncate, Extent::Whole, "a", &facts, &none, "truncate a");
    assert_eq!(shown(&plain), ["truncate a Statement 3 Statistics"]);
    let cascade = of(Action::Truncate, Extent::Whole, "a", &facts, &none, "truncate a cascade");
    assert_eq!(shown(&cascade), ["truncate a Statement 3 Statistics", "truncate b Cascade 5 Statistics"]);
    assert_eq!(cascade.rows, Rows::statistics(3));
}

#[test]
fn locks_follow_the_words() {
    let facts = facts([table(1, "t", Some(3))]);
    let cases = [
        (Action::Maintain, "VACUUM t", Some("ShareUpdateExclusiveLock")),
        (Action::Maintain, "vacuum full t", Some("AccessExclusiveLock")),
        (Action::Maintain, "REINDEX TABLE t", Some("ShareLock")),
        (Action::Maintain, "REINDEX TABLE CONCURRENTLY t", Some("ShareUpdateExclusiveLock")),
        (Action::Maintain, "ANALYZE t", Some("ShareUpdateExclusiveLock")),
        (Action::Drop, "DROP TABLE t", Some("AccessExclusiveLock")),
        (Action::Alter, "ALTER TABLE t ADD a int", Some("AccessExclusiveLock")),
        (Action::Alter, "ALTER TABLE t VALIDATE CONSTRAINT c", Some("ShareUpdateExclusiveLock")),
        (Action::Truncate, "TRUNCATE t", Some("AccessExclusiveLock")),
        (Action::Grant, "GRANT ALL ON t TO x", None),
    ];
    for (action, text, lock) in cases {
        let radius = of(action, Extent::Inapplicable, "t", &facts, &Estimates::default(), text);
        assert_eq!(radius.relations[0].lock.as_deref(), lock, "{text}");
    }
}

#[test]
fn long_chains_end_in_a_warning() {
    let chain = (1..1000).map(|oid| Relation {
        referenced_by: vec![key(oid + 1, ReferentialAction::Cascade, ReferentialAction::NoAction)],
        ..table(oid, &format!("t{oid}"), Some(2))
    });
    let facts = facts(chain);
    let radius = of(Action::Delete, Extent::Whole, "t1", &facts, &Estimates::default(), "");
    assert_eq!(radius.relations.len(), MOST_RELATIONS);
    assert_eq!(radius.warnings, ["at least 1 more relations are touched and not listed"]);
}

#[test]
fn sums_are_as_good_as_their_worst_part() {
    let (exact, planned, counted) = (Rows::exact(1), Rows::planner(2), Rows::statistics(3));
    assert_eq!(sum_of(exact, exact), Rows::exact(2));
    assert_eq!(sum_of(exact, planned), Rows::planner(3));
    assert_eq!(sum_of(counted, planned), Rows::statistics(5));
    assert_eq!(sum_of(counted, Rows::UNKNOWN), Rows::UNKNOWN);
    assert_eq!(sum_of(Rows::exact(u64::MAX), exact), Rows::exact(u64::MAX));
}
