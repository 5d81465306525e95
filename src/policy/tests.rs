//! The shipped policy, effect by effect; and what the engine makes of others.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::sql::{Action, Effect, Extent, Object, ObjectKind};
use ObjectKind as Kind;

fn effect(action: Action, kind: ObjectKind, name: &str) -> Effect {
    let object = match name.split_once('.') {
        Some((schema, name)) => Object::in_schema(kind, schema, name),
        None => Object::new(kind, name),
    };
    Effect::new(action, object)
}

fn identity() -> Identity {
    Identity { name: "app".to_owned(), kind: IdentityKind::Service, owner: None }
}

fn request(effects: &[Effect]) -> Request<'_> {
    Request { database: "shop", effects, rows: None, in_transaction: false, carrier: Carrier::Statement }
}

fn engine(text: &str) -> Result<Engine, PolicyErrors> {
    Engine::new(&[Source { name: "own.cedar".to_owned(), text: text.to_owned() }])
}

const PASS: Outcome = Outcome::Pass;
const HOLD: Outcome = Outcome::Hold { needs: 1 };
const DENY: Outcome = Outcome::Deny;

/// Every class of effects, and what the shipped policy says of it.
fn table() -> Vec<(Effect, Carrier, Outcome)> {
    use Action::*;
    let sql = [
        (effect(Read, Kind::Table, "public.orders"), PASS),
        (effect(Read, Kind::View, "pg_catalog.pg_hba_file_rules"), PASS),
        (effect(Lock, Kind::Table, "public.orders").harmless(), PASS),
        (effect(Lock, Kind::AdvisoryLock, "").harmless(), PASS),
        (effect(Lock, Kind::Table, "public.orders"), HOLD),
        (effect(Insert, Kind::Table, "public.orders").with_extent(Extent::Bounded), PASS),
        (effect(Insert, Kind::View, "public.orders_view").with_extent(Extent::Bounded), PASS),
        (effect(Insert, Kind::Relation, "orders").with_extent(Extent::Bounded), PASS),
        (effect(Insert, Kind::Table, "pg_catalog.pg_proc").with_extent(Extent::Bounded), HOLD),
        (effect(Insert, Kind::Table, "pg_proc").with_extent(Extent::Bounded), HOLD),
        (effect(Insert, Kind::LargeObject, "4242"), HOLD),
        (effect(Update, Kind::Table, "public.orders").with_extent(Extent::Bounded), PASS),
        (effect(Update, Kind::Sequence, "public.orders_id_seq").with_extent(Extent::Bounded), PASS),
        (effect(Update, Kind::Table, "public.orders").with_extent(Extent::Whole), HOLD),
        (effect(Update, Kind::Table, "public.orders"), HOLD),
        (effect(Update, Kind::Relation, "pg_settings").with_extent(Extent::Bounded), HOLD),
        (effect(Update, Kind::LargeObject, "4242").with_extent(Extent::Bounded), HOLD),
        (effect(Delete, Kind::Table, "public.orders").with_extent(Extent::Bounded), HOLD),
        (effect(Delete, Kind::Table, "public.orders").with_extent(Extent::Whole), HOLD),
        (effect(Delete, Kind::Table, "pg_temp.orders").temporary(), PASS),
        (effect(Truncate, Kind::Table, "public.orders"), HOLD),
        (effect(Drop, Kind::Table, "public.orders"), HOLD),
        (effect(Drop, Kind::Table, "orders").temporary(), PASS),
        (effect(Drop, Kind::View, "v").temporary(), PASS),
        (effect(Alter, Kind::Table, "public.orders"), HOLD),
        (effect(Alter, Kind::Table, "orders").temporary(), PASS),
        (effect(Create, Kind::Table, "public.orders"), HOLD),
        (effect(Create, Kind::Table, "orders").temporary(), PASS),
        (effect(Create, Kind::Cursor, "c").temporary(), PASS),
        (effect(Create, Kind::View, "v").temporary(), HOLD),
        (effect(Create, Kind::Function, "pg_temp.f").temporary(), HOLD),
        (effect(Create, Kind::Trigger, "t").temporary(), HOLD),
        (effect(Grant, Kind::Role, "app"), HOLD),
        (effect(Grant, Kind::Table, "t").temporary(), HOLD),
        (effect(Execute, Kind::Function, "public.wipe"), HOLD),
        (effect(Execute, Kind::Function, "pg_temp.f").temporary(), HOLD),
        (effect(Host, Kind::System, ""), HOLD),
        (effect(Host, Kind::File, "/etc/passwd"), DENY),
        (effect(Host, Kind::Program, "sh"), DENY),
        (effect(Set, Kind::Setting, "application_name").harmless(), PASS),
        (effect(Set, Kind::Setting, "session_replication_role"), HOLD),
        (effect(Set, Kind::Setting, "standard_conforming_strings"), DENY),
        (effect(Set, Kind::Setting, "standard_conforming_strings").harmless(), PASS),
        (effect(Set, Kind::Setting, "client_encoding"), DENY),
        (effect(Set, Kind::Setting, "local_preload_libraries"), DENY),
        (effect(Set, Kind::Setting, "dynamic_library_path"), DENY),
        (effect(Transaction, Kind::Transaction, "").harmless(), PASS),
        (effect(Transaction, Kind::Transaction, "gid"), HOLD),
        (effect(Maintain, Kind::Table, "public.orders").harmless(), PASS),
        (effect(Maintain, Kind::Table, "public.orders"), HOLD),
        (effect(Maintain, Kind::Table, "pg_temp.orders").temporary(), PASS),
        (effect(Maintain, Kind::Database, "shop"), HOLD),
        (effect(Maintain, Kind::Channel, "c"), PASS),
        (effect(Replicate, Kind::System, ""), DENY),
        (effect(Unknown, Kind::Other, ""), HOLD),
        (effect(Unknown, Kind::Table, "orders").temporary(), HOLD),
        // The harmless mark means nothing where it is not defined.
        (effect(Delete, Kind::Table, "public.orders").harmless(), HOLD),
        (effect(Unknown, Kind::Other, "").harmless(), HOLD),
        (effect(Host, Kind::File, "/etc/passwd").harmless(), DENY),
    ];
    sql.into_iter()
        .map(|(effect, outcome)| (effect, Carrier::Statement, outcome))
        .chain([(effect(Execute, Kind::Function, "lo_unlink"), Carrier::FunctionCall, DENY)])
        .collect()
}

fn outcomes(engine: &Engine) -> Vec<Outcome> {
    table()
        .iter()
        .map(|(effect, carrier, _)| {
            let effects = std::slice::from_ref(effect);
            engine.decide(&identity(), &Request { carrier: *carrier, ..request(effects) }).outcome
        })
        .collect()
}

#[test]
fn the_shipped_policy_says_what_it_should() {
    let engine = Engine::shipped();
    assert_eq!(engine.warnings(), []);
    for ((effect, carrier, expected), outcome) in table().into_iter().zip(outcomes(&engine)) {
        assert_eq!(outcome, expected, "{effect} {effect:?} {carrier:?}");
    }
}

#[test]
fn each_shipped_rule_matters() {
    let expected: Vec<Outcome> = table().into_iter().map(|(_, _, outcome)| outcome).collect();
    let rules: Vec<&str> = source::DEFAULT.split("@id(").skip(1).collect();
    assert!(rules.len() >= 10);
    for without in 0..rules.len() {
        let text: String =
            rules.iter().enumerate().filter(|(at, _)| *at != without).map(|(_, rule)| format!("@id({rule}")).collect();
        let engine = engine(&text).expect("the rest is well formed");
        assert_ne!(outcomes(&engine), expected, "nothing changes without @id({}", rules[without]);
    }
}

#[test]
fn every_action_can_be_asked() {
    let allow_all = engine("permit (principal, action, resource);").expect("well formed");
    for action in Action::ALL {
        let effects = [effect(action, Kind::Other, "x")];
        assert_eq!(allow_all.decide(&identity(), &request(&effects)).outcome, PASS, "{action}");
    }
    assert!(outcomes(&allow_all).iter().all(|outcome| *outcome == PASS));
    assert_eq!(allow_all.decide(&identity(), &request(&[])).outcome, PASS);
}

#[test]
fn the_worst_effect_decides_and_is_named() {
    let engine = Engine::shipped();
    let effects = [
        effect(Action::Read, Kind::Table, "public.users"),
        effect(Action::Delete, Kind::Table, "public.orders").with_extent(Extent::Bounded),
        effect(Action::Insert, Kind::Table, "public.log").with_extent(Extent::Bounded),
    ];
    let verdict = engine.decide(&identity(), &request(&effects));
    assert_eq!(verdict.outcome, HOLD);
    assert_eq!(verdict.policy, "default.cedar: destructive-waits");
    assert_eq!(verdict.reasons, ["delete table public.orders: it waits for a person"]);

    let denied = [effects[1].clone(), effect(Action::Host, Kind::Program, "sh")];
    let verdict = engine.decide(&identity(), &request(&denied));
    assert_eq!(verdict.outcome, DENY);
    assert_eq!(verdict.policy, "default.cedar: server-files-denied");
    assert_eq!(verdict.reasons.len(), 2);
}

#[test]
fn nothing_to_do_is_a_read_of_the_database() {
    let verdict = Engine::shipped().decide(&identity(), &request(&[]));
    assert_eq!(verdict.outcome, PASS);
    assert_eq!(verdict.policy, "default.cedar: reads-pass");
    assert_eq!(verdict.reasons, Vec::<String>::new());

    let only_shop =
        engine(r#"permit (principal, action == Action::"read", resource) when { resource.name == "shop" };"#)
            .expect("well formed");
    assert_eq!(only_shop.decide(&identity(), &request(&[])).outcome, PASS);
    assert_eq!(only_shop.decide(&identity(), &Request { database: "other", ..request(&[]) }).outcome, DENY);
}

#[test]
fn the_smallest_sufficient_number_of_approvals_is_needed() {
    let delete = [effect(Action::Delete, Kind::Table, "public.orders")];
    for (least, outcome) in
        [(0, PASS), (1, HOLD), (2, Outcome::Hold { needs: 2 }), (3, Outcome::Hold { needs: 3 }), (4, DENY)]
    {
        let engine = engine(&format!("permit (principal, action, resource) when {{ context.approvals >= {least} }};"))
            .expect("well formed");
        assert_eq!(engine.decide(&identity(), &request(&delete)).outcome, outcome, "{least}");
    }
}

#[test]
fn identity_schema_rows_and_groups_can_be_asked_about() {
    let engine = engine(
        r#"
        permit (principal, action in [Action::"write"], resource)
        when { principal.kind == "human" && resource has schema && resource.schema == "public" }
        unless { context has rows && context.rows > 100 };
        permit (principal == Identity::"root", action, resource);
        "#,
    )
    .expect("well formed");
    let human = Identity { name: "alice".to_owned(), kind: IdentityKind::Human, owner: None };
    let root = Identity { name: "root".to_owned(), ..human.clone() };
    let public = [effect(Action::Delete, Kind::Table, "public.orders")];
    let other = [effect(Action::Delete, Kind::Table, "orders")];
    let verdict =
        |identity: &Identity, effects: &[Effect], rows| engine.decide(identity, &Request { rows, ..request(effects) });
    assert_eq!(verdict(&human, &public, Some(100)).outcome, PASS);
    assert_eq!(verdict(&human, &public, None).policy, "own.cedar: policy 1");
    assert_eq!(verdict(&human, &public, Some(u64::MAX)).outcome, DENY);
    assert_eq!(verdict(&human, &other, None).outcome, DENY);
    assert_eq!(verdict(&identity(), &public, None).outcome, DENY);
    assert_eq!(verdict(&root, &other, None).policy, "own.cedar: policy 2");
}

#[test]
fn a_policy_that_fails_denies() {
    // The overflow is the only thing that strict validation lets fail.
    let engine = engine(
        "permit (principal, action, resource);
         forbid (principal, action, resource) when { context.approvals + 9223372036854775807 > context.approvals + 9223372036854775807 + 1 };",
    )
    .expect("well formed");
    let verdict = engine.decide(&identity(), &request(&[]));
    assert_eq!(verdict.outcome, DENY);
    assert!(verdict.reasons[0].contains("a policy failed"), "{:?}", verdict.reasons);
}

#[test]
fn what_is_wrong_with_a_policy_is_underlined() {
    for (text, place, said, underlined) in [
        ("permit (principal, action resource);", (1, 27), "unexpected token", "^"),
        (
            "permit (principal, action, resource)\nwhen { context.aprovals > 1 };",
            (2, 8),
            "`aprovals`",
            "       ^^^^^^^^^^^^^^^^",
        ),
        (
            "permit (principal, action == Action::\"delet\", resource);",
            (1, 30),
            "did you mean `Action::\"delete\"`?",
            "^^^^^^^^^^^^^^^",
        ),
        ("permit (principal, action, resource) when { principal.owner == \"x\" };", (1, 45), "owner", "^"),
        (
            "@id(\"a\") permit (principal, action, resource);\n@id(\"a\") permit (principal, action, resource);",
            (2, 1),
            "two policies have the id `a`",
            "^^^^^^^^",
        ),
    ] {
        let errors = engine(text).expect_err(text);
        assert_eq!(errors.0.len(), 1, "one mistake is told once: {errors}");
        let problem = &errors.0[0];
        let excerpt = problem.excerpt.as_ref().expect("a place");
        assert_eq!((excerpt.line, excerpt.column), place, "{problem}");
        let shown = problem.to_string();
        assert!(shown.starts_with(&format!("own.cedar:{}:{}: ", place.0, place.1)), "{shown}");
        assert!(shown.contains(said), "{shown}");
        assert!(shown.contains(underlined), "{shown}");
    }
    for (text, said) in [
        ("", "not one policy"),
        ("// nothing\n", "not one policy"),
        ("permit (principal == ?principal, action, resource);", "template"),
    ] {
        let errors = engine(text).expect_err(text);
        assert!(errors.to_string().contains(said), "{errors}");
    }
}

#[test]
fn the_version_follows_the_text() {
    let one = engine("permit (principal, action, resource);").expect("well formed");
    let two = engine("permit (principal, action, resource) ;").expect("well formed");
    assert_ne!(one.version(), two.version());
    assert_eq!(Engine::shipped().version(), Engine::shipped().version());
}

#[test]
fn reasons_are_bounded() {
    let effects: Vec<Effect> = (0..100).map(|at| effect(Action::Drop, Kind::Table, &format!("public.t{at}"))).collect();
    let verdict = Engine::shipped().decide(&identity(), &request(&effects));
    assert_eq!(verdict.reasons.len(), 9);
    assert_eq!(verdict.reasons[8], "and 92 more");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_names_can_be_asked_about(name in any::<String>(), schema in any::<Option<String>>(), who in any::<String>()) {
        let object = Object { kind: Kind::Table, schema, name };
        let effects = [Effect::new(Action::Delete, object)];
        let identity = Identity { name: who.clone(), kind: IdentityKind::Agent, owner: Some(who) };
        static SHIPPED: LazyLock<Engine> = LazyLock::new(Engine::shipped);
        prop_assert_eq!(SHIPPED.decide(&identity, &request(&effects)).outcome, HOLD);
    }
}
