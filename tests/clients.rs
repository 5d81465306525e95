//! Promise: the tools that people use work as if the proxy were not there. What real clients say to a server is
//! recorded in `testdata/clients` (`scripts/record-clients`): here each session is replayed, message by message,
//! directly and through the proxy with the shipped policy. Nothing may wait, and the answers must be the same;
//! statements that define or destroy are marked in the recordings, and these must wait.

use std::collections::HashMap;
use std::path::Path;

use pgsluice::cli::demo::throwaway::Throwaway;
use serde::Deserialize;

use crate::support::wire::{Reply, Report, Wire, message, query, sync};
use crate::support::{Proxy, postgres_options, start_postgres};

const SCHEMA: &str = include_str!("../testdata/clients/schema.sql");
const OBJECTS: &str = include_str!("../testdata/clients/objects.sql");
/// The tests that share the sessions among them, so that they use all processors.
const PARTS: usize = 2;
/// Fewer statements than this, and recordings have been lost.
const STATEMENTS_AT_LEAST: usize = 2_000;
/// What these show differs from moment to moment: their answers are compared without rows.
const MOMENTARY: [&str; 6] =
    ["pg_stat_", "pg_locks", "pg_sleep", "pg_backend_memory_contexts", "pg_shmem", "pg_control_"];

/// A line of a recording.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Session { session: String, startup: HashMap<String, String> },
    Header(Header),
    Round(Round),
}

/// Where a recording comes from.
#[derive(Deserialize)]
struct Header {
    program: String,
    version: String,
    /// `recorded by ...`, or the document that the statements are taken from.
    source: String,
}

/// What a client sends before it is the server's turn.
#[derive(Deserialize)]
struct Round {
    /// Messages of the extended protocol. Behind them comes a simple query, or else Sync.
    #[serde(default)]
    messages: Vec<Said>,
    /// A simple query.
    query: Option<String>,
    /// What it sends when the server asks for rows.
    #[serde(default)]
    copy: Option<Value>,
    /// It defines or destroys: it waits.
    #[serde(default)]
    waits: bool,
    /// The SQLSTATE that the server answered with.
    #[serde(default)]
    error: Option<String>,
}

/// One message of the extended protocol.
#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Parse {
        parse: String,
        #[serde(default)]
        name: String,
        #[serde(default)]
        types: Vec<u32>,
    },
    Bind {
        bind: String,
        #[serde(default)]
        portal: String,
        #[serde(default)]
        formats: Vec<u16>,
        #[serde(default)]
        values: Vec<Option<Value>>,
        #[serde(default)]
        results: Vec<u16>,
    },
    Describe {
        describe: char,
        name: String,
    },
    Execute {
        execute: String,
        #[serde(default)]
        rows: u32,
    },
    Close {
        close: char,
        name: String,
    },
    Flush {
        #[expect(dead_code, reason = "it only names the message")]
        flush: bool,
    },
}

/// Text, or bytes that are none.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Hex { hex: String },
}

/// One session of one client.
struct Session {
    program: String,
    what: String,
    startup: HashMap<String, String>,
    rounds: Vec<Round>,
}

/// A server with the sample, and how to reach it.
struct Side {
    port: u16,
    /// OIDs by the names that recordings have for them.
    objects: HashMap<String, String>,
}

impl Round {
    fn texts(&self) -> Vec<&str> {
        let parsed = self.messages.iter().filter_map(|message| match message {
            Said::Parse { parse, .. } => Some(parse.as_str()),
            _ => None,
        });
        parsed.chain(self.query.as_deref()).collect()
    }

    /// Its bytes for one server.
    fn bytes(&self, side: &Side) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.messages.iter().flat_map(|message| message.bytes(side)).collect();
        bytes.extend(self.query.as_ref().map_or_else(sync, |sql| query(&side.localised(sql))));
        bytes
    }

    /// Whether its rows can be compared: they are text, and the same at any time.
    fn is_comparable(&self) -> bool {
        let binary = |message: &Said| matches!(message, Said::Bind { results, .. } if results.contains(&1));
        let momentary = |sql: &str| MOMENTARY.iter().any(|name| sql.contains(name));
        !self.messages.iter().any(binary) && !self.texts().into_iter().any(momentary)
    }
}

impl Said {
    fn bytes(&self, side: &Side) -> Vec<u8> {
        match self {
            Self::Parse { parse, name, types } => {
                let types: Vec<u8> = types.iter().flat_map(|oid| oid.to_be_bytes()).collect();
                let count = u16::try_from(types.len() / 4).unwrap().to_be_bytes();
                message(b'P', &[text(name), text(&side.localised(parse)), count.to_vec(), types].concat())
            }
            Self::Bind { bind, portal, formats, values, results } => {
                let mut body = [text(portal), text(bind), numbers(formats)].concat();
                body.extend(u16::try_from(values.len()).unwrap().to_be_bytes());
                for value in values {
                    match value {
                        None => body.extend((-1_i32).to_be_bytes()),
                        Some(value) => {
                            let value = value.bytes(side);
                            body.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
                            body.extend(value);
                        }
                    }
                }
                body.extend(numbers(results));
                message(b'B', &body)
            }
            Self::Describe { describe, name } => message(b'D', &[vec![*describe as u8], text(name)].concat()),
            Self::Execute { execute, rows } => message(b'E', &[text(execute), rows.to_be_bytes().to_vec()].concat()),
            Self::Close { close, name } => message(b'C', &[vec![*close as u8], text(name)].concat()),
            Self::Flush { .. } => message(b'H', &[]),
        }
    }
}

impl Value {
    fn bytes(&self, side: &Side) -> Vec<u8> {
        match self {
            Self::Text(text) => side.localised(text).into_bytes(),
            Self::Hex { hex } => {
                (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
            }
        }
    }
}

impl Side {
    fn new(port: u16) -> Self {
        let mut owner = Wire::connect(port, &[("user", "postgres"), ("database", "sample")]).unwrap();
        let objects = owner.query(OBJECTS).rows.into_iter().map(|row| {
            let mut columns = row.into_iter().map(Option::unwrap);
            (columns.next().unwrap(), columns.next().unwrap())
        });
        Self { port, objects: objects.collect() }
    }

    /// A text with this server's OIDs in place of `‹names›`.
    fn localised(&self, text: &str) -> String {
        let mut whole = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('‹') {
            whole.push_str(before);
            match after.split_once('›').and_then(|(name, tail)| Some((self.objects.get(name)?, tail))) {
                Some((oid, tail)) => {
                    whole.push_str(oid);
                    rest = tail;
                }
                None => {
                    whole.push('‹');
                    rest = after;
                }
            }
        }
        whole + rest
    }

    fn connect(&self, session: &Session) -> Result<Wire, Report> {
        let mut startup = vec![("user", "postgres")];
        if !session.startup.contains_key("database") {
            startup.push(("database", "sample"));
        }
        startup.extend(session.startup.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        Wire::connect(self.port, &startup)
    }

    /// Plays a round. What gets held is withdrawn.
    fn play(&self, wire: &mut Wire, round: &Round) -> Reply {
        wire.raw(&round.bytes(self));
        wire.reply_with(|wire, message| match message.kind {
            b'N' if message.report().is_some_and(|notice| notice.is_hold()) => wire.cancel(),
            b'G' => {
                if let Some(data) = &round.copy {
                    wire.send(b'd', &data.bytes(self));
                }
                wire.send(b'c', &[]);
            }
            _ => {}
        })
    }
}

/// A string with the zero byte that ends it.
fn text(string: &str) -> Vec<u8> {
    [string.as_bytes(), &[0]].concat()
}

fn numbers(list: &[u16]) -> Vec<u8> {
    let mut bytes = u16::try_from(list.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend(list.iter().flat_map(|number| number.to_be_bytes()));
    bytes
}

/// All recordings, in the order of their names.
fn recordings() -> Vec<(Header, Vec<Session>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/clients");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    paths.sort();
    paths.iter().map(|path| recording(path)).collect()
}

fn recording(path: &Path) -> (Header, Vec<Session>) {
    let mut header = None;
    let mut sessions: Vec<Session> = Vec::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        match serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error} in {line}", path.display())) {
            Line::Header(found) => header = Some(found),
            Line::Session { session, startup } => {
                let program = header.as_ref().map(|header: &Header| header.program.clone()).unwrap();
                sessions.push(Session { program, what: session, startup, rounds: Vec::new() });
            }
            Line::Round(round) => sessions.last_mut().unwrap().rounds.push(round),
        }
    }
    (header.unwrap(), sessions)
}

fn server() -> Throwaway {
    let mut options = postgres_options();
    for (name, value) in [("wal_level", "logical"), ("max_prepared_transactions", "5")] {
        options.settings.push((name.to_owned(), value.to_owned()));
    }
    let postgres = start_postgres(&options);
    postgres.sql("postgres", "create database sample").unwrap();
    postgres.sql("sample", SCHEMA).unwrap();
    postgres
}

/// What must be the same: messages, tags, notices, errors, and rows but for numbers in them, which may be OIDs,
/// times or ports.
fn shape(reply: &Reply, rows: bool) -> (String, Vec<String>) {
    let without_numbers = |text: &str| {
        text.split(|c: char| c.is_ascii_hexdigit()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("#")
    };
    let brief = |report: &Report| format!("{} {} {}", report.severity, report.code, without_numbers(&report.message));
    let mut kinds = reply.kinds.clone();
    let mut parts: Vec<String> = reply.errors.iter().chain(&reply.notices).map(brief).collect();
    if rows {
        parts.extend(reply.tags.iter().cloned());
        parts.extend(reply.rows.iter().map(|row| without_numbers(&format!("{row:?}"))));
    } else {
        kinds.retain(|kind| kind != 'D');
    }
    kinds.push(char::from(reply.status));
    (kinds, parts)
}

/// What is wrong with how a session went.
fn replay(session: &Session, direct: &Side, guarded: &Side) -> Vec<String> {
    let told = |round: &Round, why: &str| format!("{}, {}: {why}: {:?}", session.program, session.what, round.texts());
    let mut objections = Vec::new();
    let mut alone = direct.connect(session).unwrap();
    let mut through = match guarded.connect(session) {
        Ok(wire) => wire,
        Err(report) => return vec![format!("{}, {}: not let in: {report:?}", session.program, session.what)],
    };
    for round in &session.rounds {
        if round.waits {
            let reply = guarded.play(&mut guarded.connect(session).unwrap(), round);
            let refused = reply.errors.iter().any(|error| error.message.starts_with("pgsluice:"));
            if !refused && !reply.notices.iter().any(Report::is_hold) {
                objections.push(told(round, "does not wait"));
            }
            continue;
        }
        let (expected, found) = (direct.play(&mut alone, round), guarded.play(&mut through, round));
        if let Some(hold) = found.notices.iter().find(|notice| notice.is_hold()) {
            objections.push(told(round, &format!("waits: {hold:?}")));
        }
        let code = expected.errors.first().map(|error| error.code.clone());
        if code != round.error {
            objections.push(told(round, &format!("directly it ends with {:?}", expected.errors)));
        }
        let rows = round.is_comparable();
        let (expected, found) = (shape(&expected, rows), shape(&found, rows));
        if expected != found {
            objections.push(told(round, &format!("{found:?}, not {expected:?}")));
        }
    }
    objections
}

/// Every session of one part.
fn clients_work(part: usize) {
    let (alone, fronted) = (server(), server());
    let proxy = Proxy::start(&fronted);
    let (direct, mut guarded) = (Side::new(alone.port()), Side::new(fronted.port()));
    guarded.port = proxy.port();
    let sessions = recordings().into_iter().flat_map(|(_, sessions)| sessions);
    let mut objections = Vec::new();
    for session in sessions.skip(part).step_by(PARTS) {
        objections.extend(replay(&session, &direct, &guarded));
    }
    assert!(objections.is_empty(), "{} rounds went wrong:\n{}", objections.len(), objections.join("\n"));
}

#[test]
fn clients_work_as_without_the_proxy_part_1() {
    clients_work(0);
}

#[test]
fn clients_work_as_without_the_proxy_part_2() {
    clients_work(1);
}

/// What is not recorded cannot fail.
#[test]
fn every_client_has_statements() {
    let mut all = 0;
    for (header, sessions) in recordings() {
        let rounds = || sessions.iter().flat_map(|session| &session.rounds);
        let statements: usize = rounds().map(|round| round.texts().len()).sum();
        let waiting = rounds().filter(|round| round.waits).count();
        println!("{} {} ({}): {statements} statements, {waiting} wait", header.program, header.version, header.source);
        assert!(statements > 0, "{} says nothing", header.program);
        assert!(waiting * 2 < statements, "most of {} waits", header.program);
        all += statements;
    }
    assert!(all >= STATEMENTS_AT_LEAST, "only {all} statements are left");
}
