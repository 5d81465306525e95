//! Promise: what destroys has no effect without an approval, what is harmless simply works, and a
//! policy that allows everything makes the proxy invisible. Each statement of `testdata/corpus`
//! runs against real Postgres, in a database made from `base.sql` that no other case has changed.
//! `more.jsonl` has further shapes, and what tools send; that its cases have the effects that they tell of, and the same
//! through a policy that allows everything, is tried only where `PGSLUICE_EVERY_CASE` is set: it takes minutes.

use std::path::Path;

use pgsluice::cli::demo::throwaway::Throwaway;
use serde::Deserialize;

use crate::support::wire::{Reply, Report, Wire, bind, execute, message, parse, query, sync};
use crate::support::{Proxy, postgres_options, start_postgres};

const STATEMENTS: &str = include_str!("../testdata/corpus/statements.jsonl");
const MORE: &str = include_str!("../testdata/corpus/more.jsonl");
const BASE: &str = include_str!("../testdata/corpus/base.sql");
const PROBE: &str =
    "select (select count(*) from orders)||'/'||(select count(*) from users)||'/'||(select sum(balance) from users)";
/// Puts the fixture's rows back.
const ROWS: &str = "truncate users, orders, audit, t_trig, t_rule, evil.users restart identity; \
    insert into users select g, 'u'||g, 'e'||g||'@x', 100 from generate_series(1, 100) g; \
    insert into orders select g, g, g from generate_series(1, 100) g; \
    insert into evil.users select * from users";
/// Tells a database whose rows alone have changed from one that has other objects than the fixture.
const OBJECTS: &str = "select (select md5(string_agg(p::text, '' order by oid)) from pg_proc p where oid > 16383), \
    (select md5(string_agg(row(relname, relnamespace, relowner, relacl, relpersistence, relchecks, reloptions, \
        relhasrules, relhastriggers, relrowsecurity)::text, '' order by oid)) from pg_class where oid > 16383), \
    (select count(*) from pg_attribute), (select count(*) from pg_type), (select count(*) from pg_depend), \
    (select count(*) from pg_db_role_setting)";
/// The tests that share the cases among them, so that they use all processors.
const PARTS: usize = 2;

#[derive(Deserialize)]
struct Case {
    id: String,
    sql: String,
    #[serde(default)]
    setup: String,
    #[serde(default)]
    session_before: Texts,
    #[serde(default)]
    session_after: Texts,
    #[serde(default)]
    startup: std::collections::BTreeMap<String, String>,
    /// The types that the client declares for the parameters, and their values.
    #[serde(default)]
    parameters: Vec<(String, String)>,
    proto: Protocol,
    role: String,
    probe: Option<String>,
    /// What the probe says before and after, or another remark, when run directly.
    effect: String,
    expected: Expected,
}

#[derive(Deserialize, Default)]
#[serde(untagged)]
enum Texts {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Protocol {
    Simple,
    Ext,
    CopyIn,
    ParseBind,
    #[serde(rename = "F")]
    FunctionCall,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Expected {
    Pass,
    Hold,
    Deny,
    Policy,
}

/// What a client sees of a case: the replies to its statements, or why it could not even log in.
type Seen = Result<Vec<Reply>, Report>;

/// A server with the fixture as a template database.
struct Stage {
    postgres: Throwaway,
    /// A database as the fixture made it: making one takes longer than most cases.
    untouched: Option<String>,
    /// What [`OBJECTS`] says of such a database.
    objects: String,
}

/// One run of one case.
struct Run {
    before: String,
    after: String,
    seen: Seen,
}

impl Texts {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::None => &[],
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

impl Stage {
    fn new() -> Self {
        let mut options = postgres_options();
        // A slot hands out what has been flushed only: a commit that does not wait for that may not be there yet.
        let settings = [
            ("wal_level", "logical"),
            ("max_prepared_transactions", "5"),
            ("max_connections", "100"),
            ("synchronous_commit", "on"),
        ];
        for (name, value) in settings {
            options.settings.push((name.to_owned(), value.to_owned()));
        }
        let postgres = start_postgres(&options);
        postgres.sql("postgres", "create database tpl").unwrap();
        postgres.sql("tpl", BASE).unwrap();
        let fixture = [("user", "postgres"), ("database", "tpl")];
        let objects = probed(&mut Wire::connect(postgres.port(), &fixture).unwrap(), OBJECTS);
        Self { postgres, untouched: None, objects }
    }

    /// The text of a case, with this server's port and directory and this case's database in it.
    fn localised(&self, text: &str, database: &str) -> String {
        text.replace("54987", &self.postgres.port().to_string())
            .replace("/tmp/pgsluice-case/pg", &self.postgres.directory().display().to_string())
            .replace("-d t1", &format!("-d {database}"))
            .replace("DATABASE t1", &format!("DATABASE {database}"))
    }

    /// Runs a case, its own statements through `port`.
    fn run(&mut self, case: &Case, port: u16) -> Run {
        let mut admin = self.direct("postgres", "postgres");
        // Roles are the server's, not the database's: an earlier case may have raised this one.
        expect_done(&mut admin, "alter role app nosuperuser password null; revoke pg_execute_server_program from app");
        let database = self.untouched.take().unwrap_or_else(|| {
            let database = format!("case_{}", case.id);
            expect_done(&mut admin, &format!("create database {database} template tpl strategy file_copy"));
            database
        });
        let mut owner = self.direct("postgres", &database);
        if !case.setup.is_empty() {
            expect_done(&mut owner, &self.localised(&case.setup, &database));
        }
        let victim = case.sql.contains("victim").then(|| self.direct("victim", &database));
        let probe = case.probe.as_deref().unwrap_or(PROBE);
        let before = probed(&mut owner, probe);
        let seen = self.play(case, port, &database, &mut owner);
        let mut after = probed(&mut owner, probe);
        for _ in 0..victim.as_ref().map_or(0, |_| 20) {
            // Ending a backend takes it a moment.
            std::thread::sleep(std::time::Duration::from_millis(20));
            after = probed(&mut owner, probe);
        }
        let rows_are_back = before == after || case.probe.is_none() && owner.query(ROWS).errors.is_empty();
        let is_fixture = case.setup.is_empty() && rows_are_back && probed(&mut owner, OBJECTS) == self.objects;
        drop(owner);
        if is_fixture {
            self.untouched = Some(database);
        } else {
            self.clear(&mut admin, &database);
        }
        Run { before, after, seen }
    }

    /// The part of a case that its client does.
    fn play(&self, case: &Case, port: u16, database: &str, owner: &mut Wire) -> Seen {
        let mut startup = vec![("user", case.role.as_str()), ("database", database)];
        startup.extend(case.startup.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let mut wire = Wire::connect(port, &startup)?;
        let mut replies = Vec::new();
        for sql in case.session_before.as_slice() {
            replies.push(withdrawing(&mut wire, &query(sql)));
        }
        let sql = self.localised(&case.sql, database);
        let messages = match case.proto {
            Protocol::Simple | Protocol::CopyIn => query(&sql),
            Protocol::Ext => {
                let values: Vec<_> = case.parameters.iter().map(|(_, value)| value.as_str()).collect();
                [declaring(&sql, &case.parameters, owner), bind(&values), execute(), sync()].concat()
            }
            Protocol::ParseBind => [parse(&sql), bind(&[]), sync()].concat(),
            Protocol::FunctionCall => function_call(&sql, owner),
        };
        replies.push(withdrawing(&mut wire, &messages));
        for sql in case.session_after.as_slice() {
            replies.push(withdrawing(&mut wire, &query(sql)));
        }
        Ok(replies)
    }

    fn direct(&self, role: &str, database: &str) -> Wire {
        Wire::connect(self.postgres.port(), &[("user", role), ("database", database)]).unwrap()
    }

    /// Removes what outlives a session: the database, slots, prepared transactions, a role.
    fn clear(&self, admin: &mut Wire, database: &str) {
        let mut inside = self.direct("postgres", database);
        for row in inside.query("select gid from pg_prepared_xacts where database = current_database()").rows {
            let name = row[0].clone().unwrap();
            expect_done(&mut inside, &format!("rollback prepared '{name}'"));
        }
        // A database with subscriptions cannot be dropped, nor a subscription while it may have a slot elsewhere.
        for row in inside.query("select quote_ident(subname) from pg_subscription s join pg_database d on d.oid = subdbid and datname = current_database()").rows {
            let name = row[0].clone().unwrap();
            for change in ["disable", "set (slot_name = none)"] {
                expect_done(&mut inside, &format!("alter subscription {name} {change}"));
            }
            expect_done(&mut inside, &format!("drop subscription {name}"));
        }
        drop(inside);
        admin.query(
            "select pg_terminate_backend(active_pid) from pg_replication_slots where active; \
             select pg_drop_replication_slot(slot_name) from pg_replication_slots",
        );
        expect_done(admin, &format!("drop database {database} with (force)"));
        expect_done(admin, "drop role if exists zrole");
    }
}

/// One part of the cases.
fn cases(of: &'static [&'static str], part: usize) -> impl Iterator<Item = Case> {
    let lines = of.iter().flat_map(|text| text.lines()).skip(part).step_by(PARTS);
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}")))
}

fn expect_done(wire: &mut Wire, sql: &str) {
    let reply = wire.query(sql);
    assert!(reply.errors.is_empty(), "{sql}: {:?}", reply.errors);
}

/// What the probe says now; an error is an answer too.
fn probed(wire: &mut Wire, probe: &str) -> String {
    let reply = wire.query(probe);
    match reply.errors.first() {
        Some(error) => error.code.clone(),
        None => {
            reply.rows.iter().flatten().map(|value| value.as_deref().unwrap_or("null")).collect::<Vec<_>>().join(" ")
        }
    }
}

/// Sends messages and reads the reply. What gets held is cancelled: this client has no friends.
fn withdrawing(wire: &mut Wire, messages: &[u8]) -> Reply {
    wire.raw(messages);
    wire.reply_with(|wire, message| match message.kind {
        b'N' if message.report().is_some_and(|notice| notice.is_hold()) => wire.cancel(),
        b'G' => {
            let columns = usize::from(u16::from_be_bytes([message.body[1], message.body[2]]));
            wire.send(b'd', format!("{}\n", vec!["1"; columns].join("\t")).as_bytes());
            wire.send(b'c', &[]);
        }
        _ => {}
    })
}

/// Parse of the unnamed statement with the types that the client declares for its parameters.
fn declaring(sql: &str, parameters: &[(String, String)], owner: &mut Wire) -> Vec<u8> {
    let mut message = parse(sql);
    // The length comes behind the kind; no types were declared so far.
    message.truncate(message.len() - 2);
    message.extend_from_slice(&u16::try_from(parameters.len()).unwrap().to_be_bytes());
    for (declared, _) in parameters {
        let oid = probed(owner, &format!("select '{declared}'::regtype::oid"));
        message.extend_from_slice(&oid.parse::<u32>().unwrap().to_be_bytes());
    }
    let length = u32::try_from(message.len() - 1).unwrap();
    message[1..5].copy_from_slice(&length.to_be_bytes());
    message
}

/// `<F FunctionCall name(argument)>` as a message: a function is called by OID, its arguments in text.
fn function_call(description: &str, owner: &mut Wire) -> Vec<u8> {
    let call = description.trim_start_matches("<F FunctionCall ").trim_end_matches('>');
    let (name, argument) = call.trim_end_matches(')').split_once('(').unwrap();
    let reply = owner.query(&format!("select oid from pg_proc where proname = '{name}'"));
    let oid: u32 = reply.rows[0][0].as_deref().unwrap().parse().unwrap();
    let mut body = oid.to_be_bytes().to_vec();
    body.extend_from_slice(&[0, 0, 0, u8::from(!argument.is_empty())]);
    if !argument.is_empty() {
        body.extend_from_slice(&u32::try_from(argument.len()).unwrap().to_be_bytes());
        body.extend_from_slice(argument.as_bytes());
    }
    body.extend_from_slice(&[0, 0]);
    message(b'F', &body)
}

/// What is wrong with how a case went under the shipped policy.
fn objection(case: &Case, guarded: &Run, direct: impl FnOnce() -> Run) -> Option<String> {
    let held = guarded.seen.iter().flatten().flat_map(|reply| &reply.notices).any(Report::is_hold);
    let refused = match &guarded.seen {
        Ok(replies) => replies.iter().any(|reply| !reply.errors.is_empty() || reply.status == 0),
        Err(_) => true,
    };
    match case.expected {
        Expected::Hold | Expected::Deny if guarded.before != guarded.after => {
            Some(format!("had an effect: {} -> {}", guarded.before, guarded.after))
        }
        Expected::Hold | Expected::Deny if !held && !refused => Some("was neither held nor refused".to_owned()),
        Expected::Pass => {
            let direct = direct();
            (direct.after != guarded.after || shape(&direct.seen) != shape(&guarded.seen)).then(|| {
                format!(
                    "differs from direct: {} {:?}, not {} {:?}",
                    guarded.after, guarded.seen, direct.after, direct.seen
                )
            })
        }
        Expected::Hold | Expected::Deny | Expected::Policy => None,
    }
}

/// What must be the same in two runs: everything but numbers, which may be times, ids or positions.
fn shape(seen: &Seen) -> Result<Vec<(String, Vec<String>)>, String> {
    let without_numbers = |text: &str| {
        text.split(|c: char| c.is_ascii_hexdigit()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("#")
    };
    let brief = |report: &Report| {
        let detail = report.detail.as_deref().map(without_numbers);
        format!("{} {} {} {detail:?} {:?}", report.severity, report.code, without_numbers(&report.message), report.hint)
    };
    match seen {
        Err(report) => Err(brief(report)),
        Ok(replies) => Ok(replies
            .iter()
            .map(|reply| {
                let mut parts: Vec<String> = reply.errors.iter().chain(&reply.notices).map(brief).collect();
                parts.extend(reply.tags.iter().cloned());
                parts.extend(reply.rows.iter().map(|row| without_numbers(&format!("{row:?}"))));
                (format!("{}{}", reply.kinds, char::from(reply.status)), parts)
            })
            .collect()),
    }
}

fn judge(objections: &[String]) {
    assert!(objections.is_empty(), "{} cases went wrong:\n{}", objections.len(), objections.join("\n"));
}

/// Every case of one part through the shipped policy, with nobody to approve.
fn destruction_waits(part: usize) {
    let mut stage = Stage::new();
    let proxy = Proxy::start(&stage.postgres);
    let mut objections = Vec::new();
    for case in cases(&[STATEMENTS, MORE], part) {
        let guarded = stage.run(&case, proxy.port());
        let direct_port = stage.postgres.port();
        let why = objection(&case, &guarded, || stage.run(&case, direct_port));
        objections.extend(why.map(|why| format!("{} {:?} {why}", case.id, case.sql)));
    }
    judge(&objections);
}

#[test]
fn destruction_waits_and_reads_flow_part_1() {
    destruction_waits(0);
}

#[test]
fn destruction_waits_and_reads_flow_part_2() {
    destruction_waits(1);
}

/// Every case of one part twice, directly and through a policy that allows everything, on two servers that
/// go through the same history. Directly, every effect that a case tells of must show: else the
/// tests above could not fail.
fn allowing_everything_makes_the_proxy_invisible(part: usize) {
    let (mut alone, mut fronted) = (Stage::new(), Stage::new());
    let mut proxy = Proxy::prepare(&fronted.postgres.url("postgres", "postgres"), &["--policies", "policies"]);
    allow_everything(&proxy.place.path().join("policies"));
    proxy.launch();
    let every = std::env::var_os("PGSLUICE_EVERY_CASE").is_some();
    let mut objections = Vec::new();
    for case in cases(if every { &[STATEMENTS, MORE] } else { &[STATEMENTS] }, part) {
        let direct = alone.run(&case, alone.postgres.port());
        let through = fronted.run(&case, proxy.port());
        if shape(&direct.seen) != shape(&through.seen) {
            objections.push(format!("{} {:?}: {:?}, not {:?}", case.id, case.sql, through.seen, direct.seen));
        }
        let moves = |run: &Run| run.before != run.after;
        if moves(&direct) != moves(&through) {
            objections.push(format!("{} {:?}: {} -> {}", case.id, case.sql, through.before, through.after));
        }
        if case.effect.contains(" -> ") && !moves(&direct) {
            objections.push(format!("{} {:?}: no effect directly, {:?}", case.id, case.sql, direct.seen));
        }
    }
    judge(&objections);
}

#[test]
fn allowing_everything_makes_the_proxy_invisible_part_1() {
    allowing_everything_makes_the_proxy_invisible(0);
}

#[test]
fn allowing_everything_makes_the_proxy_invisible_part_2() {
    allowing_everything_makes_the_proxy_invisible(1);
}

fn allow_everything(directory: &Path) {
    std::fs::create_dir(directory).unwrap();
    std::fs::write(directory.join("allow.cedar"), "permit(principal, action, resource);\n").unwrap();
}
