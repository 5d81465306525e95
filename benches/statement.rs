//! What understanding and deciding one statement costs: `cargo bench`. The comparison with other
//! proxies, whole sessions against a real server, is `make bench`.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pgsluice::audit::{Judged, Log, Microseconds, Options, Record, RecordKind, Scribe};
use pgsluice::policy::{Carrier, Engine, Identity, IdentityKind, Request};
use pgsluice::sql::lexer::lex;
use pgsluice::sql::split::split;
use pgsluice::sql::{Action, Effect, Fingerprinter, LexerSettings, Limits, Object, ObjectKind, analyze};
use pgsluice::tlog::{Frontier, Hash};
use pgsluice::wire::Header;

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

/// What a text costs that differs in literals only from one that was seen before.
fn recognise(criterion: &mut Criterion) {
    let (settings, limits) = (LexerSettings::default(), Limits::default());
    let mut fingerprinter = Fingerprinter::default();
    let sql = "SELECT abalance FROM pgbench_accounts WHERE aid = 4711;";
    criterion.bench_function("fingerprint of a pgbench text", |bencher| {
        bencher.iter(|| fingerprinter.read(black_box(sql.as_bytes()), &settings, &limits).map(|read| read.bytes.len()));
    });
}

/// Walking over the frames of a result.
fn scan(criterion: &mut Criterion) {
    let row = [&b"D\0\0\0\x0e\0\x01\0\0\0\x04"[..], b"1234"].concat();
    let rows = row.repeat(4_000);
    let mut group = criterion.benchmark_group("scan frames");
    group.throughput(Throughput::Bytes(rows.len() as u64));
    group.bench_function("4,000 small rows", |bencher| {
        bencher.iter(|| {
            let (mut at, mut frames) = (0, 0);
            while let Ok(Some(header)) = Header::backend(black_box(&rows[at..])) {
                at += header.total();
                frames += 1;
            }
            frames
        });
    });
    group.finish();
}

/// The record of a statement, from its parts into the log's queue; the writer works beside it.
fn record(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let log = Log::open(directory.path(), Options::default()).expect("a new log");
    let read = Effect::new(Action::Read, Object::in_schema(ObjectKind::Table, "public", "pgbench_accounts"));
    let mut kept = Record::new(RecordKind::Intent);
    kept.actions = Some([read].into());
    kept.verdict = Some("pass".into());
    let judged = Judged::of(kept);
    let mut scribe = Scribe::new("s-1", "app", "shop");
    let sql = b"SELECT abalance FROM pgbench_accounts WHERE aid = 4711;";
    let mut buffer = Vec::new();
    criterion.bench_function("record a read", |bencher| {
        bencher.iter(|| {
            let time = Microseconds(1_700_000_000_000_000);
            let taken = std::mem::take(&mut buffer);
            let encoded = scribe.intent(taken, time, 7, black_box(sql), |_| true, &judged);
            let mut encoded = encoded.expect("it is short");
            encoded.add_end(Some(1), None, Some(90));
            while log.try_append_encoded(&encoded).is_err() {
                std::thread::yield_now();
            }
            buffer = encoded.into_buffer();
        });
    });
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

criterion_group!(benches, cut, analyse_by_size, recognise, scan, decide, record, grow);
criterion_main!(benches);
