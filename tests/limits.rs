//! Promise: no text makes the analysis, `check` or the proxy panic, overflow its stack or take more than linear time.
//!
//! Time is not measured: the analysis counts how often it looks at a token.

use std::io::Write;
use std::process::{Command, Stdio};

use pgsluice::sql::lexer::lex;
use pgsluice::sql::{Action, LexerSettings, Limits, Script, Statement, analyze_within};

use crate::support::wire::Wire;
use crate::support::{Proxy, postgres};

/// Half the stack of a worker thread of the proxy.
const WORKER_STACK_BYTES: usize = pgsluice::proxy::workers::STACK_BYTES / 2;

/// A text of a kind, of about so many bytes.
type Growing = (&'static str, fn(usize) -> String);

fn repeated(before: &str, part: &str, behind: &str, bytes: usize) -> String {
    format!("{before}{}{behind}", part.repeat(bytes / part.len()))
}

fn nested(open: &str, inside: &str, close: &str, bytes: usize) -> String {
    let depth = bytes / (open.len() + close.len());
    format!("SELECT {}{inside}{}", open.repeat(depth), close.repeat(depth))
}

/// Flat texts: however long they are, they are understood.
const FLAT: &[Growing] = &[
    ("sum", |bytes| repeated("SELECT 1", "+1", "", bytes)),
    ("comparison", |bytes| repeated("SELECT 1", "<1", "", bytes)),
    ("and", |bytes| repeated("SELECT true", " AND true", "", bytes)),
    ("or", |bytes| repeated("SELECT true", " OR a = 1", " FROM t", bytes)),
    ("and of or", |bytes| repeated("DELETE FROM t WHERE a = 1", " OR b = 2 AND c = 3", "", bytes)),
    ("not", |bytes| repeated("SELECT ", "NOT ", "true", bytes)),
    ("concatenation", |bytes| repeated("SELECT ''", "||''", "", bytes)),
    ("cast", |bytes| repeated("SELECT 1", "::int", "", bytes)),
    ("subscript", |bytes| repeated("SELECT a", "[1]", " FROM t", bytes)),
    ("field", |bytes| repeated("SELECT (a)", ".b", " FROM t", bytes)),
    ("collate", |bytes| repeated("SELECT a", " COLLATE c", " FROM t", bytes)),
    ("is null", |bytes| repeated("SELECT a", " IS NULL", " FROM t", bytes)),
    ("at time zone", |bytes| repeated("SELECT a", " AT TIME ZONE 'z'", " FROM t", bytes)),
    ("in", |bytes| repeated("SELECT a", " IN (1)", " FROM t", bytes)),
    ("between", |bytes| repeated("SELECT a BETWEEN 1 AND 2", ", a BETWEEN b AND c", " FROM t", bytes)),
    ("when", |bytes| repeated("SELECT CASE a", " WHEN 1 THEN 2", " END FROM t", bytes)),
    ("list", |bytes| repeated("SELECT a FROM t WHERE a IN (0", ",1", ")", bytes)),
    ("list of calls", |bytes| repeated("SELECT a FROM t WHERE a IN (0", ",abs(1)", ")", bytes)),
    ("list of a delete", |bytes| repeated("DELETE FROM t WHERE a IN (0", ",b", ")", bytes)),
    ("array", |bytes| repeated("SELECT ARRAY[0", ",1", "]", bytes)),
    ("rows", |bytes| repeated("VALUES (1)", ",(1)", "", bytes)),
    ("rows of an insert", |bytes| repeated("INSERT INTO t VALUES (1, 'a')", ",(1, 'a')", "", bytes)),
    ("different rows", |bytes| repeated("INSERT INTO t VALUES (1)", ",(abs(1)),(2)", "", bytes)),
    ("targets", |bytes| repeated("SELECT a AS b", ", a AS b", " FROM t", bytes)),
    ("aliases", |bytes| repeated("SELECT 1 FROM t", ", t AS u", "", bytes)),
    ("joins", |bytes| repeated("SELECT 1 FROM t", " JOIN t ON true", "", bytes)),
    ("joins before their conditions", |bytes| {
        let count = bytes / 16;
        format!("SELECT 1 FROM t{}{}", " JOIN t".repeat(count), " ON true".repeat(count))
    }),
    ("union", |bytes| repeated("SELECT 1", " UNION SELECT 1", "", bytes)),
    ("with", |bytes| repeated("WITH a AS (SELECT 1)", ", a AS (SELECT 1)", " SELECT 1", bytes)),
    ("with recursive", |bytes| repeated("WITH RECURSIVE a AS (TABLE b)", ", b AS (TABLE a)", " SELECT 1", bytes)),
    ("assignments", |bytes| repeated("UPDATE t SET a = 1", ", (a) = (ROW(1))", " WHERE b = 1", bytes)),
    ("order", |bytes| repeated("SELECT 1 FROM t ORDER BY a", ", a DESC NULLS LAST", "", bytes)),
    ("windows", |bytes| repeated("SELECT 1 FROM t WINDOW a AS ()", ", a AS (a)", "", bytes)),
    ("statements", |bytes| repeated("SELECT 1", ";SELECT 1", "", bytes)),
    ("semicolons", |bytes| ";".repeat(bytes)),
    ("comments", |bytes| repeated("SELECT 1 ", "/*'*/--\n", "", bytes)),
    ("nested comments", |bytes| format!("{}{} SELECT 1", "/*".repeat(bytes / 4), "*/".repeat(bytes / 4))),
    ("continued strings", |bytes| repeated("SELECT 'a'", "\n'a'", "", bytes)),
    ("spaces", |bytes| format!("SELECT 'a'{}", " \n".repeat(bytes / 2))),
    ("one string", |bytes| format!("SELECT '{}'", "''".repeat(bytes / 2))),
    ("one name", |bytes| format!("SELECT {} FROM t", "n".repeat(bytes))),
    ("names", |bytes| (0..bytes / 12).fold("SELECT 1".to_owned(), |text, number| text + &format!(", f.n{number:07}"))),
    ("set", |bytes| repeated("SET search_path = a", ", b", "", bytes)),
    ("drop", |bytes| repeated("DROP TABLE a", ", b", "", bytes)),
    ("grant", |bytes| repeated("GRANT SELECT ON a", ", b", " TO c", bytes)),
    ("alter", |bytes| repeated("ALTER TABLE a ADD b int", ", DROP c", "", bytes)),
    ("columns", |bytes| repeated("CREATE TEMP TABLE a (b int", ", c int DEFAULT 1", ")", bytes)),
];

/// Texts that nest: deep ones are refused, for whatever they hold.
const NESTED: &[Growing] = &[
    ("parentheses", |bytes| nested("(", "1", ")", bytes)),
    ("subselects", |bytes| nested("(SELECT ", "1", ")", bytes)),
    ("subselects in from", |bytes| nested("* FROM (SELECT ", "1", ") a", bytes)),
    ("calls", |bytes| nested("abs(", "1", ")", bytes)),
    ("arrays", |bytes| nested("ARRAY[", "1", "]", bytes)),
    ("inner arrays", |bytes| nested("ARRAY[", "1", "]", 20).replacen("1", &nested("[", "1", "]", bytes)[7..], 1)),
    ("rows", |bytes| nested("ROW(", "1", ")", bytes)),
    ("cases", |bytes| nested("CASE WHEN true THEN ", "1", " END", bytes)),
    ("conditions", |bytes| nested("CASE WHEN ", "true", " THEN true END", bytes)),
    ("casts", |bytes| nested("CAST(", "1", " AS int)", bytes)),
    ("subscripts", |bytes| nested("a[", "1", "]", bytes)),
    ("signs", |bytes| nested("- ", "1", "", bytes)),
    ("operators before", |bytes| nested("@ ", "1", "", bytes)),
    ("exists", |bytes| nested("EXISTS (SELECT ", "1", ")", bytes)),
    ("joins", |bytes| {
        nested("* FROM (t JOIN ", "u", " ON true)", bytes).replacen("* FROM (t JOIN * FROM", "* FROM", 1)
    }),
    ("between", |bytes| nested("a BETWEEN 1 AND (", "2", ")", bytes)),
    ("type modifiers", |bytes| nested("1::numeric(", "1", ")", bytes)),
    ("explain", |bytes| repeated("", "EXPLAIN ", "SELECT 1", bytes)),
    ("with", |bytes| repeated("", "WITH a AS (", "SELECT 1", bytes)),
    ("brackets that do not match", |bytes| repeated("SELECT ", "([", "", bytes)),
    ("bodies", |bytes| repeated("CREATE FUNCTION f() RETURNS int ", "BEGIN ATOMIC ", "", bytes)),
];

fn analyzed(text: &[u8]) -> Script {
    analyze_within(text, &LexerSettings::default(), &Limits::INLINE.with_bytes(16 << 20))
}

/// Runs something with half the stack of a worker thread: an overflow would end the whole test program.
fn on_a_worker<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(WORKER_STACK_BYTES).spawn(run).unwrap().join().unwrap()
}

fn is_unknown(script: &Script) -> bool {
    script.statements.iter().any(Statement::has_unknown)
}

#[test]
fn flat_texts_of_any_length_are_understood() {
    on_a_worker(|| {
        for (name, text) in FLAT {
            let script = analyzed(text(64 << 10).as_bytes());
            assert!(!is_unknown(&script), "{name}: {:?}", script.statements.first().map(|first| &first.reasons));
        }
    });
}

#[test]
fn work_grows_with_the_text_and_no_faster() {
    on_a_worker(|| {
        for (name, text) in FLAT.iter().chain(NESTED) {
            let works = [4 << 10, 8 << 10, 16 << 10, 32 << 10].map(|bytes| analyzed(text(bytes).as_bytes()).work);
            let linear = works.windows(2).all(|pair| matches!(pair, [one, two] if *two <= one * 21 / 10 + 1_000));
            assert!(linear, "{name}: {works:?}");
        }
    });
}

#[test]
fn nested_texts_of_any_depth_are_refused_and_not_fallen_into() {
    on_a_worker(|| {
        for (name, text) in NESTED {
            for bytes in [64 << 10, 1 << 20] {
                let script = analyzed(text(bytes).as_bytes());
                assert!(is_unknown(&script), "{name}: {:?}", script.statements.first());
            }
        }
    });
}

#[test]
fn what_people_write_nests_less_deep_than_the_limit() {
    on_a_worker(|| {
        for (name, text) in [("calls", "abs("), ("parentheses", "("), ("subselects", "(SELECT ")] {
            let text = format!("SELECT {}1{}", text.repeat(30), ")".repeat(30));
            assert!(!is_unknown(&analyzed(text.as_bytes())), "{name}");
        }
        let cases = format!("SELECT {}1{}", "CASE WHEN a THEN ".repeat(30), " END".repeat(30));
        assert!(!is_unknown(&analyzed(cases.as_bytes())));
    });
}

#[test]
fn a_hundred_thousand_nested_comments_hide_nothing() {
    let comments = format!("{}{}", "/*".repeat(100_000), "*/".repeat(100_000));
    let script = analyzed(format!("{comments} SELECT 1 {comments}; DELETE FROM orders").as_bytes());
    let actions: Vec<Action> = script.statements.iter().flat_map(|one| &one.effects).map(|one| one.action).collect();
    assert_eq!((script.statements.len(), actions), (2, vec![Action::Delete]));
    // One end is missing: nothing of it is believed.
    let open = format!("{} SELECT 1", comments.strip_suffix("*/").unwrap());
    assert!(is_unknown(&analyzed(open.as_bytes())));
}

/// Texts that are none.
fn hostile_bytes() -> Vec<Vec<u8>> {
    [
        &b"\0"[..],
        b"SELECT 1\0; DELETE FROM t",
        b"SELECT '\xff'",
        b"SELECT 1 -- \xc3",
        b"SELECT \xed\xa0\x80",
        b"SELECT \xf4\x90\x80\x80",
        b"SELECT \xc0\xaf",
        b"SELECT E'\\ud83d'",
        b"SELECT E'\\ude00\\ud83d'",
        b"SELECT E'\\ud83dx'",
        b"SELECT U&'\\d83d'",
        b"SELECT U&\"\\de00\"",
        b"SELECT U&'\\+110000'",
        b"SELECT E'\\u0000'",
        b"SELECT E'\\xc3'",
        b"SELECT U&'a' UESCAPE 'ab'",
        b"SELECT \"\"",
        b"SELECT $99999999999999999999",
        b"SELECT 'a",
        b"SELECT $a$ $b$",
        b"\\",
        b"\xef\xbb\xbf",
    ]
    .map(<[u8]>::to_vec)
    .to_vec()
}

/// Long runs of one byte.
fn runs_of_bytes() -> Vec<Vec<u8>> {
    let bytes = b"'\"$\\()[.-/*\r@+E0\x80\xff";
    bytes.iter().flat_map(|byte| [vec![*byte; 70_000], [b"SELECT ".to_vec(), vec![*byte; 70_000]].concat()]).collect()
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    on_a_worker(|| {
        for text in hostile_bytes() {
            assert!(is_unknown(&analyzed(&text)), "{}", String::from_utf8_lossy(&text));
        }
        for text in runs_of_bytes() {
            let script = analyzed(&text);
            let shown = String::from_utf8_lossy(text.get(..20).unwrap()).into_owned();
            assert!(script.statements.iter().all(|statement| statement.span.end <= text.len()), "{shown}");
            assert!(script.work <= 1_000 + 300 * text.len(), "{shown}: {}", script.work);
        }
    });
}

#[test]
fn long_names_are_cut_as_the_server_cuts_them() {
    let long = format!("SELECT * FROM {}", "x".repeat(1 << 20));
    let script = analyzed(long.as_bytes());
    assert_eq!(script.statements[0].effects[0].object.name, "x".repeat(63));
    let lexed = lex("é".repeat(100).as_bytes(), &LexerSettings::default(), &Limits::INLINE).unwrap();
    assert_eq!(lexed.text(&lexed.tokens()[0]), "é".repeat(31));
}

#[test]
fn check_survives_texts_at_the_limits() {
    let list = format!("SELECT * FROM orders WHERE id IN ({}1)", "12345678,".repeat((10 << 20) / 9));
    let comments = format!("{}{} SELECT 1", "/*".repeat(100_000), "*/".repeat(100_000));
    let cases: [(&str, Vec<u8>, i32); 8] = [
        ("10 MB of an IN list", list.into_bytes(), 0),
        ("64 KB of a sum", repeated("SELECT 1", "+1", "", 64 << 10).into_bytes(), 0),
        ("nested comments", comments.into_bytes(), 0),
        ("a million semicolons", vec![b';'; 1_000_000], 0),
        ("nested parentheses", nested("(", "1", ")", 1 << 20).into_bytes(), 4),
        ("nested cases", nested("CASE WHEN true THEN ", "1", " END", 1 << 20).into_bytes(), 4),
        ("NUL", b"SELECT 1;\0DROP TABLE t".to_vec(), 4),
        ("no UTF-8", b"SELECT 1; SELECT '\xff'".to_vec(), 4),
    ];
    for (name, text, code) in cases {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgsluice"));
        command.args(["check", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(&text).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{name}: {}", said.chars().take(500).collect::<String>());
        assert!(!said.contains("panicked"), "{name}: {said}");
    }
}

/// What a long statement does is not told as often as others can run it by name: memory would grow with the product.
#[test]
fn check_bounds_what_is_run_by_name() {
    let calls = (0..4_000).map(|number| format!("f{number}()")).collect::<Vec<_>>().join(",");
    let script = format!("PREPARE q AS SELECT {calls};\n{}", "EXECUTE q;\n".repeat(4_000));
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgsluice"));
    command.args(["check", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(script.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert_eq!(output.status.code(), Some(4));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("4000 would wait for a person"), "{}", said.lines().last().unwrap());
    assert!(said.contains("runs the prepared statement q, one of too many"));
}

/// A message that runs one long statement many times, and one that changes names between, are judged without going
/// through it each time.
#[test]
fn a_proxy_bounds_what_is_run_by_name() {
    let postgres = postgres();
    let proxy = Proxy::start(&postgres);
    let mut client = Wire::connect(proxy.port(), &[("user", "postgres"), ("database", "postgres")]).unwrap();
    let columns = (0..3_000).map(|number| format!("abs({number})")).collect::<Vec<_>>().join(",");
    // The server allows 1,664 columns: it refuses to prepare it, behind us.
    let message = format!("PREPARE q AS SELECT {columns};{}", "EXECUTE q;".repeat(30_000));
    assert_eq!(client.query(&message).errors.len(), 1);
    let changing = "CREATE TEMP TABLE a (b int); EXECUTE q; DROP TABLE a;".repeat(100);
    client.send(b'Q', format!("PREPARE q AS SELECT 1; {changing}\0").as_bytes());
    let hold = proxy.deny_next("too many");
    assert!(hold["reasons"].to_string().contains("run too often between changes of names"), "{hold}");
    assert_eq!(client.reply().errors.len(), 1);
    assert!(client.query("SELECT 1").errors.is_empty());
}

#[test]
fn a_proxy_survives_texts_at_the_limits() {
    let postgres = postgres();
    let proxy = Proxy::start(&postgres);
    let startup = [("user", "postgres"), ("database", "postgres")];
    let flat = FLAT.iter().filter(|(name, _)| ["sum", "cast", "nested comments", "semicolons"].contains(name));
    let texts =
        flat.chain(NESTED).map(|(_, text)| text(64 << 10).into_bytes()).chain(hostile_bytes()).chain(runs_of_bytes());
    for text in texts {
        // Whatever becomes of it, held, refused or run: the proxy goes on.
        let mut client = Wire::connect(proxy.port(), &startup).unwrap();
        client.send(b'Q', &[text.as_slice(), b"\0"].concat());
        client.half_close();
    }
    let mut client = Wire::connect(proxy.port(), &startup).unwrap();
    assert!(client.query("SELECT 1").errors.is_empty());
    assert!(!proxy.log().contains("panicked"), "{}", proxy.log());
}

#[test]
fn what_cannot_be_read_is_not_taken_for_nothing() {
    let postgres = postgres();
    let proxy = Proxy::start(&postgres);
    let mut client = Wire::connect(proxy.port(), &[("user", "postgres"), ("database", "postgres")]).unwrap();
    assert!(client.query("CREATE TEMP TABLE kept AS SELECT 1 AS a").errors.is_empty());
    // An empty text passes, and is remembered.
    assert!(client.query(";").errors.is_empty());
    assert!(client.query("").errors.is_empty());
    let condition = format!("{}true{}", "(".repeat(100), ")".repeat(100));
    client.send(b'Q', format!("DELETE FROM kept WHERE {condition}\0").as_bytes());
    proxy.deny_next("nothing is known of it");
    assert_eq!(client.reply().errors.len(), 1);
    assert_eq!(client.query("SELECT count(*) FROM kept").rows, [[Some("1".to_owned())]]);
}
