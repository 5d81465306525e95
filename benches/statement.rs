//! What understanding and deciding one statement costs: `cargo bench`. The comparison with other
//! proxies, whole sessions against a real server, is `make bench`.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pgsluice::policy::{Carrier, Engine, Identity, IdentityKind, Request};
use pgsluice::sql::lexer::lex;
use pgsluice::sql::split::split;
use pgsluice::sql::{Action, Effect, LexerSettings, Limits, Object, ObjectKind, analyze};
use pgsluice::tlog::{Frontier, Hash};

/// Statements by size: what pgbench sends, a long list, many rows.
fn statements() -> Vec<(&'static str, String)> {
    let list: Vec<String> = (0..10_000).map(|number| number.to_string()).collect();
    let rows: Vec<String> = (0..30_000).map(|number| format!("({number}, 'some text for row {number}')")).collect();
    vec![
        ("pgbench", "SELECT abalance FROM pgbench_accounts WHERE aid = 4711;".to_owned()),
        ("in-list", format!("SELECT * FROM orders WHERE id IN ({})", list.join(","))),
        ("values", format!("INSERT INTO notes (id, text) VALUES {}", rows.join(","))),
    ]
}

fn cut(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cut into statements");
    let (settings, limits) = (LexerSettings::default(), Limits::default());
    for (name, sql) in statements() {
        group.throughput(Throughput::Bytes(sql.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(name), &sql, |bencher, sql| {
            bencher.iter(|| {
                let lexed = lex(black_box(sql.as_bytes()), &settings, &limits).expect("it is SQL");
                split(&lexed, &limits).expect("it is SQL").len()
            });
        });
    }
    group.finish();
}

/// What analysing costs by size: twice the text, twice the time.
fn analyse_by_size(criterion: &mut Criterion) {
    type Growing = (&'static str, fn(usize) -> String);
    let shapes: [Growing; 4] = [
        ("sum", |bytes| format!("SELECT 1{}", "+1".repeat(bytes / 2))),
        ("or", |bytes| format!("SELECT 1 FROM t WHERE a = 1{}", " OR a = 1".repeat(bytes / 9))),
        ("in-list", |bytes| format!("SELECT * FROM t WHERE a IN (1{})", ",1234567".repeat(bytes / 8))),
        ("rows", |bytes| format!("INSERT INTO t VALUES (1, 'a'){}", ",(1, 'abcdefgh')".repeat(bytes / 16))),
    ];
    let mut group = criterion.benchmark_group("analyse by size");
    for (name, text) in shapes {
        for kibibytes in [1, 8, 64, 512] {
            let sql = text(kibibytes << 10);
            group.throughput(Throughput::Bytes(sql.len() as u64));
            group.bench_with_input(BenchmarkId::new(name, format!("{kibibytes} KiB")), &sql, |bencher, sql| {
                bencher.iter(|| analyze(black_box(sql.as_bytes()), &LexerSettings::default()).statements.len());
            });
        }
    }
    group.finish();
}

fn decide(criterion: &mut Criterion) {
    let engine = Engine::shipped();
    let identity = Identity { name: "app".to_owned(), kind: IdentityKind::Service, owner: None };
    for action in [Action::Read, Action::Delete] {
        let effects = [Effect::new(action, Object::in_schema(ObjectKind::Table, "public", "orders"))];
        let request = Request {
            database: "shop",
            effects: &effects,
            rows: None,
            in_transaction: false,
            carrier: Carrier::Statement,
        };
        criterion.bench_function(&format!("decide one {action:?}"), |bencher| {
            bencher.iter(|| engine.decide(black_box(&identity), black_box(&request)));
        });
    }
}

fn grow(criterion: &mut Criterion) {
    let leaf = Hash::of_leaf(b"an entry of the log");
    criterion.bench_function("append a leaf to a tree", |bencher| {
        let mut tree = Frontier::default();
        bencher.iter(|| tree.append(black_box(leaf), |_, _, _| {}));
    });
}

criterion_group!(benches, cut, analyse_by_size, decide, grow);
criterion_main!(benches);
