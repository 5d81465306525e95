//! Promise: a hold ends before a time limit of the server's own ends the session or the statement that waits.

use std::time::Instant;

use serde_json::{Value, json};

use crate::support::place::{DELETE, Place, passes};
use crate::support::wire::{Reply, Wire, bind, execute, parse, query, sync};

/// The seconds that a hold has from its beginning to its end.
fn seconds(hold: &Value) -> f64 {
    let time = |key: &str| hold[key].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    time("expires_at").duration_since(time("created_at")).as_secs_f64()
}

/// The hold expires, and says so, before the server's own limit ends the session.
#[track_caller]
fn expires_in_step(reply: &Reply) {
    assert_eq!((reply.errors.len(), reply.errors[0].code.as_str()), (1, "57014"), "{reply:?}");
    assert!(reply.errors[0].message.starts_with("pgsluice:") && reply.status != 0, "{reply:?}");
}

#[test]
fn a_hold_in_a_transaction_ends_before_the_server_ends_the_session() {
    let place = Place::open_with("alter role shop set idle_in_transaction_session_timeout = '2s'", &[]);
    let mut session = place.session();
    session.query("begin");
    let began = Instant::now();
    let reply = session.query(DELETE);
    expires_in_step(&reply);
    assert!(began.elapsed().as_secs_f64() < 2.0);
    assert_eq!((reply.status, session.query("rollback").status), (b'E', b'I'));

    // Outside of a transaction nothing limits it, and what the session sets counts at once.
    assert!(seconds(&place.waits(&mut session, DELETE)) > 100.0);
    for (set, most) in [
        ("set idle_in_transaction_session_timeout = '30s'", 29.0),
        ("set idle_in_transaction_session_timeout = 20000", 19.0),
        ("set idle_in_transaction_session_timeout = '0.25min'", 14.0),
    ] {
        passes(&mut session, set);
        session.query("begin");
        let lasts = seconds(&place.waits(&mut session, DELETE));
        assert!((most - 5.0..=most).contains(&lasts), "{set}: {lasts}");
        session.query("rollback");
    }
    passes(&mut session, "reset all");
    session.query("begin");
    let lasts = seconds(&place.waits(&mut session, DELETE));
    assert!(lasts <= 1.0, "{lasts}");
    session.query("rollback");
}

#[test]
fn the_limits_of_login_database_and_transaction_are_known() {
    let setup = "alter database shop set idle_in_transaction_session_timeout = '50s'";
    let place = Place::open_with(setup, &["--hold-expiry-in-transaction", "10min"]);
    let lasts = |session: &mut Wire, most: f64| {
        session.query("begin");
        let lasts = seconds(&place.waits(session, DELETE));
        assert!((most - 5.0..=most).contains(&lasts), "{most}: {lasts}");
        session.query("rollback");
    };
    lasts(&mut place.session(), 49.0);
    let mut session = place.session_with(&[("options", "-c idle_in_transaction_session_timeout=30s")]);
    lasts(&mut session, 29.0);
    // SET LOCAL ends with its transaction, and so does SET when that is rolled back.
    session.query("begin");
    passes(&mut session, "set local idle_in_transaction_session_timeout = '20s'");
    assert!(seconds(&place.waits(&mut session, DELETE)) <= 19.0);
    session.query("rollback");
    lasts(&mut session, 29.0);
    session.query("begin");
    passes(&mut session, "set idle_in_transaction_session_timeout = '20s'");
    session.query("rollback");
    lasts(&mut session, 29.0);
    // A batch that is pipelined behind the SET that shortens its time.
    session.raw(&[query("begin"), query("set idle_in_transaction_session_timeout = '10s'"), query(DELETE)].concat());
    let hold = place.proxy.deny_next("no");
    assert!(hold["in_transaction"] == json!(true) && seconds(&hold) <= 9.0, "{hold}");
    for _ in 0..3 {
        session.reply();
    }
}

#[test]
fn a_hold_ends_before_the_server_ends_an_idle_session_or_a_statement() {
    let place = Place::open();
    let mut session = place.session_with(&[("idle_session_timeout", "2s")]);
    expires_in_step(&session.query(DELETE));
    passes(&mut session, "select 1");

    // The clock of a statement runs from its Parse on, which the server has.
    passes(&mut session, "set idle_session_timeout = 0");
    passes(&mut session, "set statement_timeout = '2s'");
    session.raw(&[parse(DELETE), bind(&[]), execute(), sync()].concat());
    expires_in_step(&session.reply());
    // A simple query has not begun.
    assert!(seconds(&place.waits(&mut session, DELETE)) > 100.0);
}
