//! `pgsluice check` tells by its exit code whether statements would pass, and where and why they would not.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use pgsluice::cli::demo::throwaway::{Authentication, Options};
use serde_json::Value;

use crate::support::{Proxy, certificate, finished, postgres_options, psql, shop, start_postgres, started};

fn check(arguments: &[&str], input: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgsluice"));
    let directory = tempfile::tempdir().unwrap();
    command.arg("check").args(arguments).current_dir(&directory).env("HOME", directory.path());
    command.env_remove("XDG_CONFIG_HOME").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that reads no stdin may be gone already.
    let _ = stdin.write_all(input.unwrap_or_default().as_bytes());
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn exit(arguments: &[&str]) -> i32 {
    check(arguments, None).status.code().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A script file that lives as long as the value.
fn script(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".sql").tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[test]
fn the_exit_code_is_the_worst_verdict() {
    assert_eq!(exit(&["SELECT 1", "SELECT lower('X')"]), 0);
    assert_eq!(exit(&["SELECT 1", "DELETE FROM orders"]), 4);
    assert_eq!(exit(&["DELETE FROM orders", "COPY t TO PROGRAM 'x'"]), 3);
    assert_eq!(exit(&["SELECT 'unterminated"]), 4);
    assert_eq!(exit(&["SELECT 1", "--format", "yaml"]), 2);
    assert_eq!(exit(&["-f", "/no/such/file.sql"]), 2);
    assert_eq!(exit(&["SELECT 1", "--as", "x:robot"]), 2);
    assert_eq!(exit(&["SELECT 1", "--policies", "/no/such/directory"]), 2);
    assert_eq!(exit(&["--", "-- nothing"]), 0);
}

#[test]
fn the_json_is_as_promised() {
    let document = json(&check(&["--format", "json", "SELECT 1;\n  DELETE FROM orders"], None));
    assert_eq!(document["version"], 1);
    assert_eq!(document["verdict"], "hold");
    let delete = &document["statements"][1];
    assert_eq!(delete["sql"], "DELETE FROM orders");
    assert_eq!((&delete["line"], &delete["column"]), (&Value::from(2), &Value::from(3)));
    assert_eq!(delete["verdict"], "hold");
    assert_eq!(delete["risk"], "critical");
    assert_eq!(delete["reversible"], false);
    assert_eq!(
        delete["actions"][0],
        serde_json::json!({"action": "delete", "kind": "table", "schema": null, "name": "orders", "certain": true})
    );
    assert!(delete["reasons"][0].as_str().unwrap().contains("no WHERE"));
    assert_eq!(delete["policy"], "default.cedar: destructive-waits");
    assert_eq!(delete["radius"], Value::Null);
    assert_eq!(document["statements"][0]["verdict"], "pass");
    assert_eq!(document["statements"][0]["risk"], "none");
}

#[test]
fn scripts_are_read_as_psql_reads_them() {
    let file = script(
        "\\set ON_ERROR_STOP on\n-- é\nCREATE TABLE t (a text);\nCOPY t FROM stdin;\nDROP TABLE x;\n\\.\n\
         SELECT 'é', 1 FROM t; DELETE FROM\n  t;\n\\i more.sql\n",
    );
    let path = file.path().to_str().unwrap();
    let output = check(&["--format", "json", "-f", path], None);
    let document = json(&output);
    let found: Vec<(String, u64, u64)> = document["statements"]
        .as_array()
        .unwrap()
        .iter()
        .map(|statement| {
            assert_eq!(statement["file"], path);
            let number = |key: &str| statement[key].as_u64().unwrap();
            (statement["command"].as_str().unwrap().to_owned(), number("line"), number("column"))
        })
        .collect();
    let expected = [("CREATE TABLE", 3, 1), ("COPY", 4, 1), ("SELECT", 7, 1), ("DELETE", 7, 23)];
    assert_eq!(found, expected.map(|(command, line, column)| (command.to_owned(), line, column)));
    let notes = document["notes"].as_array().unwrap();
    assert_eq!(notes.len(), 2);
    assert_eq!((notes[1]["line"].as_u64(), notes[1]["column"].as_u64()), (Some(9), Some(1)));
    assert!(notes[1]["text"].as_str().unwrap().contains("not checked"));
    assert_eq!(output.status.code(), Some(4));
}

#[test]
fn bytes_that_are_no_text_are_found_and_what_stands_around_them_is_read() {
    let statements = |bytes: &[u8]| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let document = json(&check(&["--format", "json", "-f", file.path().to_str().unwrap()], None));
        let statements = document["statements"].as_array().unwrap().clone();
        let seen = |statement: &Value| {
            let text = |key: &str| statement[key].to_string();
            format!("{}:{} {} {}", text("line"), text("column"), text("command"), statement["reasons"][0])
        };
        statements.iter().map(seen).collect::<Vec<_>>()
    };
    let seen = statements(b"SELECT 1;\n  SELECT '\xe9\xff', '\x80';\nTRUNCATE orders;\n");
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert!(
        seen[1].starts_with("2:3 \"unknown\"") && seen[1].contains("UTF-8 at line 2, column 11 (byte 20 "),
        "{seen:?}"
    );
    assert!(seen[2].starts_with("3:1 \"TRUNCATE\""), "{seen:?}");
    let seen = statements(b"SELECT 1;\nSELECT 2\0;\nTRUNCATE orders;\n");
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(
        seen[1].starts_with("2:1 \"unknown\"") && seen[1].contains("NUL byte at line 2, column 9 (byte 18 "),
        "{seen:?}"
    );
    // psql sends the rest of the line behind the rows.
    let seen = statements(b"COPY t FROM STDIN; TRUNCATE\n1;\n\\.\n  orders; DROP TABLE t;\n");
    let commands: Vec<_> = seen.iter().map(|line| line.split('"').nth(1).unwrap()).collect();
    assert_eq!(commands, ["COPY", "TRUNCATE", "DROP TABLE"], "{seen:?}");
    assert!(seen[1].starts_with("1:20 ") && seen[2].starts_with("4:11 "), "{seen:?}");
}

#[test]
fn stdin_is_a_script_too() {
    let document = json(&check(&["--format", "json"], Some("SELECT 1;\nTRUNCATE orders;\n")));
    assert_eq!(document["statements"][1]["line"], 2);
    assert_eq!(document["statements"][1]["risk"], "critical");
    let dash = check(&["-f", "-"], Some("SELECT 1"));
    assert_eq!(dash.status.code(), Some(0));
}

#[test]
fn what_statements_set_changes_how_the_next_are_read() {
    let script = "SET standard_conforming_strings = off; SELECT 'a\\'; DELETE FROM orders; --';\n";
    let document = json(&check(&["--format", "json"], Some(script)));
    assert_eq!(document["statements"].as_array().unwrap().len(), 2);
    let script = "SELECT 'a\\'; DELETE FROM orders; --';\n";
    let document = json(&check(&["--format", "json"], Some(script)));
    assert_eq!(document["statements"][1]["command"], "DELETE");
    let script = "PREPARE p AS DELETE FROM orders; EXECUTE p; EXECUTE q;";
    let document = json(&check(&["--format", "json"], Some(script)));
    assert_eq!(document["statements"][1]["actions"][0]["action"], "delete");
    let unknown = document["statements"][2]["actions"].as_array().unwrap();
    assert!(unknown.iter().any(|action| action["action"] == "unknown"));
}

#[test]
fn a_statement_that_cannot_be_read_hides_none_behind_it() {
    let file = script(
        "SELECT 1;\n  SELECT E'\\u12', \"é\";\nDROP TABLE orders;\n-- c\nSELECT 2, 'x ; y\n  ;  \nTRUNCATE\n users;\n",
    );
    let output = check(&["--format", "json", "-f", file.path().to_str().unwrap()], None);
    assert_eq!(output.status.code(), Some(4));
    let document = json(&output);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let found: Vec<_> = document["statements"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let action = text(&one["actions"][0]["action"]);
            (one["line"].as_u64().unwrap(), one["column"].as_u64().unwrap(), action, text(&one["verdict"]))
        })
        .collect();
    let expected = [
        (1, 1, "", "pass"),
        (2, 3, "unknown", "hold"),
        (3, 1, "drop", "hold"),
        (4, 1, "unknown", "hold"),
        (7, 1, "truncate", "hold"),
    ];
    assert_eq!(found, expected.map(|(line, column, action, verdict)| (line, column, action.into(), verdict.into())));
    let reason = |index: usize| text(&document["statements"][index]["reasons"][0]);
    assert_eq!(reason(1), "cannot be read: invalid escape in a string or identifier at line 2, column 10");
    assert_eq!(reason(3), "cannot be read: unterminated quoted string at line 5, column 11");
    assert_eq!(document["statements"][3]["sql"], "-- c\nSELECT 2, 'x ; y\n  ;");
    // Nothing but reads around it: it waits all the same.
    assert_eq!(check(&[], Some("SELECT 1;\nSELECT 'x;\nSELECT 2;\n")).status.code(), Some(4));
}

#[test]
fn pipelines_get_annotations_and_sarif() {
    let file = script("SELECT 1;\nALTER TABLE t\n  DROP COLUMN a;\n");
    let path = file.path().to_str().unwrap();
    let github = String::from_utf8(check(&["--format", "github", "-f", path], None).stdout).unwrap();
    assert!(github.starts_with(&format!("::error file={path},line=2,endLine=3,col=1,title=")), "{github}");
    assert_eq!(github.lines().count(), 1);

    let sarif = json(&check(&["--format", "sarif", "-f", path], None));
    assert_eq!(sarif["version"], "2.1.0");
    let run = &sarif["runs"][0];
    let result = &run["results"][0];
    assert_eq!(result["ruleId"], "drop-column");
    assert_eq!(result["level"], "error");
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], path);
    assert_eq!(place["region"], serde_json::json!({"startLine": 2, "startColumn": 1, "endLine": 3, "endColumn": 16}));
    let rules: Vec<&str> =
        run["tool"]["driver"]["rules"].as_array().unwrap().iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    for result in run["results"].as_array().unwrap() {
        assert!(rules.contains(&result["ruleId"].as_str().unwrap()));
    }
}

#[test]
fn rules_are_listed() {
    let text = String::from_utf8(check(&["--list-rules"], None).stdout).unwrap();
    assert!(text.contains("critical truncate (AccessExclusiveLock; cannot be undone)"));
    let listed = json(&check(&["--list-rules", "--format", "json"], None));
    assert!(listed["rules"].as_array().unwrap().len() > 50);
}

#[test]
fn identities_and_policies_decide() {
    let policies = tempfile::tempdir().unwrap();
    let policy = "@id(\"people\") permit (principal, action, resource) when { principal.kind == \"human\" };";
    std::fs::write(policies.path().join("own.cedar"), policy).unwrap();
    let directory = policies.path().to_str().unwrap();
    assert_eq!(exit(&["DROP TABLE t", "--policies", directory, "--as", "ann:human"]), 0);
    assert_eq!(exit(&["DROP TABLE t", "--policies", directory, "--as", "bot:agent"]), 3);
}

#[test]
fn no_input_is_too_much() {
    let deep = format!("SELECT {}1{};", "(".repeat(100_000), ")".repeat(100_000));
    let comments = format!("{}{}SELECT 1;", "/*".repeat(100_000), "*/".repeat(100_000));
    let chain = format!("SELECT 1{};", "+1".repeat(32_000));
    let list = format!("SELECT 1 FROM t WHERE a IN ({}1);", "1234567, ".repeat(1_200_000));
    let cases = format!("SELECT {}1{};", "CASE WHEN ".repeat(10_000), " THEN 1 END".repeat(10_000));
    let nots = format!("SELECT {} true;", "NOT ".repeat(50_000));
    let unfinished = "SELECT E'\\ud83d', 'x".to_owned();
    for (name, text) in [
        ("nested parentheses", deep),
        ("nested comments", comments),
        ("a chain", chain),
        ("10 MB of a list", list),
        ("nested CASE", cases),
        ("NOT NOT NOT", nots),
        ("a lone surrogate", unfinished),
        ("a NUL", "SELECT 1\0;".to_owned()),
    ] {
        let output = check(&["--format", "json"], Some(&text));
        assert!(matches!(output.status.code(), Some(0 | 4)), "{name}: {:?}", output.status);
    }
}

/// A statement that reaches further than it looks: lines of orders go by cascade, and a trigger writes a log.
const REACHING: &str = "DELETE FROM orders WHERE id < 100";

#[test]
fn a_server_is_asked_for_names_and_rows() {
    let postgres = shop();
    let url = postgres.url("postgres", "shop");
    let output = check(&["--upstream", &url, "--format", "json", REACHING, "SELECT * FROM orders"], None);
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
    let document = json(&output);
    let delete = &document["statements"][0];
    let action = serde_json::json!(
        {"action": "delete", "kind": "table", "schema": "public", "name": "orders", "certain": true});
    assert!(delete["actions"].as_array().unwrap().contains(&action), "{delete}");
    let radius = &delete["radius"];
    assert_eq!(radius["rows"]["basis"], "planner");
    assert!((50..200).contains(&radius["rows"]["value"].as_u64().unwrap()), "{radius}");
    let reached: Vec<_> = radius["relations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|relation| (relation["name"].as_str().unwrap(), relation["via"].as_str().unwrap()))
        .collect();
    assert!(reached.contains(&("orders", "statement")) && reached.contains(&("order_items", "cascade")), "{radius}");
    assert_eq!(radius["triggers"][0]["name"], "orders_audit");
    let rules: Vec<_> = delete["rules"].as_array().unwrap().iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    assert!(rules.contains(&"cascades"), "{rules:?}");
    assert_eq!(document["statements"][1]["radius"], Value::Null);
    assert_eq!(document["statements"][1]["actions"][0]["schema"], "public");
}

#[test]
fn nothing_that_is_checked_is_run() {
    let postgres = shop();
    let state = "select (select count(*) from orders), (select count(*) from pg_class), \
                 (select last_value from orders_id_seq), (select count(*) from orders_log)";
    postgres
        .sql("shop", "create function wipe() returns int immutable language sql as $$delete from orders; select 1$$")
        .unwrap();
    let before = postgres.sql("shop", state).unwrap();
    let script = "BEGIN;\nDELETE FROM orders;\nDROP TABLE order_items;\nCREATE TABLE x ();\n\
                  SELECT nextval('orders_id_seq'), wipe();\nDELETE FROM orders WHERE id = wipe();\n\
                  PREPARE p AS UPDATE orders SET status = $1 WHERE id = wipe() + $2;\nEXECUTE p('paid', 1);\n\
                  DO $$ begin delete from orders; end $$;\nCOMMIT;\n";
    for format in ["text", "json", "github", "sarif"] {
        let output = check(&["--upstream", &postgres.url("postgres", "shop"), "--format", format], Some(script));
        assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(postgres.sql("shop", state).unwrap(), before, "{format}");
    }
}

/// What is printed of a radius: labels and texts.
fn radius_lines(text: &str) -> Vec<(String, String)> {
    let labels = ["radius", "touches", "trigger", "depends", "warning"];
    text.lines()
        .filter_map(|line| line.trim_start().split_once(' '))
        .filter(|(label, _)| labels.contains(label))
        .map(|(label, text)| (label.to_owned(), text.trim_start().to_owned()))
        .collect()
}

#[test]
fn an_approver_reads_the_same_words() {
    let postgres = shop();
    let proxy = Proxy::start(&postgres);
    let text = String::from_utf8(check(&["--upstream", &postgres.url("postgres", "shop"), REACHING], None).stdout);
    let checked = radius_lines(&text.unwrap());
    let client = started(psql(&proxy.url("postgres", "shop")).args(["-c", REACHING]));
    let hold = proxy.held();
    let id = hold["id"].as_str().unwrap();
    let shown = radius_lines(&proxy.done(&["holds", "show", id]));
    proxy.done(&["holds", "deny", id, "--reason", "a test"]);
    let _ = client.wait_with_output();
    assert!(checked.len() >= 4, "{checked:?}");
    assert_eq!(checked, shown);
}

#[test]
fn pipelines_get_the_radius_too() {
    let postgres = shop();
    let url = postgres.url("postgres", "shop");
    let file = script(REACHING);
    let path = file.path().to_str().unwrap();
    let github = String::from_utf8(check(&["--upstream", &url, "--format", "github", "-f", path], None).stdout);
    let github = github.unwrap();
    assert!(github.contains("touches: delete table public.orders: "), "{github}");
    let sarif = json(&check(&["--upstream", &url, "--format", "sarif", "-f", path], None));
    assert_eq!(sarif["runs"][0]["results"][0]["properties"]["radius"]["rows"]["basis"], "planner");
}

#[test]
fn values_that_are_not_known_yet_are_no_obstacle() {
    let postgres = shop();
    let url = postgres.url("postgres", "shop");
    let script = "DELETE FROM orders WHERE customer_id = $1 AND status = $2;\n\
                  PREPARE p(int) AS DELETE FROM order_items WHERE order_id < $1;\nEXECUTE p(10);";
    let document = json(&check(&["--upstream", &url, "--format", "json"], Some(script)));
    for statement in [0, 2] {
        let radius = &document["statements"][statement]["radius"];
        assert_eq!(radius["rows"]["basis"], "planner", "{radius}");
        assert!(!radius["warnings"].to_string().contains("planner"), "{radius}");
    }
    assert_eq!(document["statements"][2]["radius"]["relations"][0]["name"], "order_items");
}

#[test]
fn names_are_those_of_whoever_would_run_it() {
    let postgres = shop();
    postgres
        .sql(
            "shop",
            "create schema archive; create table archive.orders (id int); create role reporter login; \
             alter role reporter set search_path = archive; create schema shop; create table shop.orders (id int)",
        )
        .unwrap();
    let url = postgres.url("postgres", "shop");
    let schema = |arguments: &[&str], sql: &str| {
        let arguments = [&["--upstream", &url, "--format", "json", sql], arguments].concat();
        let document = json(&check(&arguments, None));
        document["statements"].as_array().unwrap().last().unwrap()["actions"][0]["schema"].clone()
    };
    assert_eq!(schema(&[], "DELETE FROM orders"), "public");
    assert_eq!(schema(&["--as", "reporter"], "DELETE FROM orders"), "archive");
    assert_eq!(schema(&["--as", "reporter:human"], "DELETE FROM orders"), "archive");
    assert_eq!(schema(&["--as", "shop"], "DELETE FROM orders"), "shop");
    assert_eq!(schema(&[], "SET search_path = archive, public; DELETE FROM orders"), "archive");
    assert_eq!(schema(&[], "SET search_path = archive; RESET search_path; DELETE FROM orders"), "public");
    assert_eq!(schema(&[], "BEGIN; SET LOCAL search_path = archive; SELECT 1; COMMIT; DELETE FROM orders"), "public");
    assert_eq!(schema(&[], "BEGIN; SET search_path = archive; ROLLBACK; DELETE FROM orders"), "public");
}

#[test]
fn a_server_that_cannot_be_asked_is_one_clear_error() {
    let postgres = start_postgres(&Options { authentication: Authentication::ScramSha256, ..postgres_options() });
    let port = postgres.port();
    let good = postgres.url("postgres", "postgres");
    assert_eq!(exit(&["--upstream", &good, "SELECT 1"]), 0);
    let free = pgsluice::cli::demo::throwaway::free_port().unwrap();
    for (url, said) in [
        (format!("postgres://postgres:secret@127.0.0.1:{free}/postgres"), "onnection refused"),
        (format!("postgres://postgres:secret@127.0.0.1:{port}/postgres"), "password authentication failed"),
        (postgres.url("postgres", "nowhere"), "database \"nowhere\" does not exist"),
        (format!("postgres://postgres:secret@127.0.0.1:{port}/postgres?sslmode=require"), "TLS"),
    ] {
        let output = check(&["--upstream", &url, "DELETE FROM t"], None);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{stderr}");
        assert_eq!(stderr.matches("error:").count(), 1, "{stderr}");
        assert!(stderr.contains(said) && stderr.contains("127.0.0.1:") && !stderr.contains("secret"), "{stderr}");
    }
    assert_eq!(exit(&["--upstream", "mysql://127.0.0.1/x", "SELECT 1"]), 2);
}

#[test]
fn the_server_is_asked_over_tls() {
    let certificate = certificate();
    let postgres = start_postgres(&Options { certificate: Some(certificate.clone()), ..postgres_options() });
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("root.pem");
    std::fs::write(&root, &certificate.chain_pem).unwrap();
    let other = place.path().join("other.pem");
    std::fs::write(&other, crate::support::certificate().chain_pem).unwrap();
    let url = |root: &std::path::Path| {
        let url = postgres.url("postgres", "postgres");
        format!("{url}?sslmode=verify-full&sslrootcert={}", root.display())
    };
    assert_eq!(exit(&["--upstream", &url(&root), "SELECT 1"]), 0);
    assert_eq!(exit(&["--upstream", &url(&other), "SELECT 1"]), 1);
    let known = finished(psql(&url(&root)).args(["-c", "select 1"]));
    assert_eq!(known.code, Some(0), "the same URL works for libpq: {}", known.stderr);
}
