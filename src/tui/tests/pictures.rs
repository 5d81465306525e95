//! Pictures of every tab, dialog and error at three sizes, and the styles of what is dangerous.

use ratatui::style::{Color, Modifier};

use super::*;
use crate::audit::LogView;
use crate::audit::inspect::{CheckpointView, VerificationView};
use crate::blast::{Blocker, Blockers, Way};
use crate::catalog::examine::{Cell, Examined, Sample};
use crate::control::api::ErrorBody;
use crate::gate::view::ApprovalView;
use crate::tui::theme::{Characters, Theme};

const SIZES: [(u16, u16); 3] = [(60, 16), (80, 24), (140, 45)];

/// Takes a picture of what somebody has done, at each size.
fn pictures(name: &str, options: Options, act: impl Fn(&mut Desk)) {
    for (width, height) in SIZES {
        let mut desk = Desk::with(width, height, options);
        act(&mut desk);
        insta::assert_snapshot!(format!("{name}_{width}x{height}"), desk.screen());
    }
}

fn queue() -> Vec<HoldView> {
    let urgent = HoldView {
        in_transaction: true,
        expires_at: "2026-01-01T03:00:42.000Z".to_owned(),
        risk: Level::Critical,
        sql: "TRUNCATE customers CASCADE".to_owned(),
        identity: "bob".to_owned(),
        kind: IdentityKind::Human,
        owner: None,
        reason: None,
        tls: None,
        needs: 2,
        approvals: vec![ApprovalView {
            by: "carol".to_owned(),
            at: "2026-01-01T02:59:30.000Z".to_owned(),
            reason: Some("planned".to_owned()),
            max_rows: None,
            remote: Some("10.0.0.9:41000".to_owned()),
        }],
        ..high("h-2222")
    };
    let last = HoldView { expires_at: "2026-01-01T03:20:00.000Z".to_owned(), ..low("h-3333") };
    vec![urgent, high("h-7k2m"), last]
}

fn connected(desk: &mut Desk) {
    desk.told(Message::Connected(queue()));
}

fn log() -> LogView {
    LogView {
        vkey: "pgsluice/db1+a1b2c3d4+AQIDBA==".to_owned(),
        checkpoint: Some(CheckpointView {
            origin: "pgsluice/db1".to_owned(),
            size: 48_210,
            root: "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".to_owned(),
            published_at: Some("2026-01-01T02:59:59.800Z".to_owned()),
        }),
        checkpoint_error: None,
        failed: None,
        verification: None,
        verifying: false,
    }
}

#[test]
fn tabs() {
    let usual = Options::default();
    pictures("connecting", usual, |_| {});
    pictures("queue_empty", usual, |desk| {
        desk.told(Message::Connected(Vec::new()));
    });
    pictures("queue", usual, |desk| {
        connected(desk);
        desk.key('j');
        desk.key('j');
    });
    pictures("detail", usual, |desk| {
        connected(desk);
        desk.key('j');
        desk.key('j');
        desk.press(KeyCode::Enter);
        desk.press(KeyCode::PageDown);
    });
    pictures("filter", usual, |desk| {
        connected(desk);
        desk.key('/');
        desk.write("truncate");
    });
    pictures("history", usual, |desk| {
        connected(desk);
        desk.told(held(ended(low("h-3333"), HoldState::Denied, Some("bob"), Some("ask again on Monday"))));
        desk.told(held(ended(high("h-7k2m"), HoldState::Expired, None, None)));
        desk.key('3');
        desk.key('j');
    });
    pictures("audit", usual, |desk| {
        connected(desk);
        desk.key('4');
        let verification =
            VerificationView { at: "2026-01-01T02:30:00.000Z".to_owned(), size: Some(40_000), error: None };
        desk.told(Message::Audit(Box::new(LogView { verification: Some(verification), ..log() })));
    });
    pictures("help", usual, |desk| {
        connected(desk);
        desk.key('?');
    });
}

#[test]
fn live() {
    let usual = Options::default();
    let sessions = || {
        (1..=3)
            .map(|number| {
                serde_json::json!({
                    "id": format!("s-{number}"), "identity": "app", "kind": "service", "role": "app", "database": "shop",
                    "client": "10.0.0.7:5000", "application_name": "web", "tls": "TLSv1.3", "pid": 7, "since": "2026-01-01T02:00:00Z",
                    "statements": number * 1000,
                    "last": {"sql": "SELECT * FROM orders WHERE id = $1", "verdict": "pass", "at": "2026-01-01T02:59:59Z"},
                })
            })
            .collect::<Vec<_>>()
    };
    pictures("live_not_known", usual, |desk| {
        connected(desk);
        desk.key('2');
        let bare = serde_json::json!({"id": "s-1", "identity": "app", "kind": "service", "database": "shop", "client": "10.0.0.7:5000"});
        desk.told(Message::Sessions(vec![bare]));
        desk.told(Message::Statistics(serde_json::json!({"since": "2026-01-01T00:00:00.000Z", "sessions": 1})));
    });
    pictures("live", usual, |desk| {
        connected(desk);
        desk.key('2');
        desk.told(Message::Sessions(sessions()));
        let times = |scale: u64| {
            let buckets: Vec<_> = [1, 40, 900, 300, 20, 0, 3]
                .iter()
                .enumerate()
                .map(|(at, count)| serde_json::json!({"le": scale << at, "count": count}))
                .collect();
            serde_json::json!({"count": 1264, "p50": 4 * scale, "p99": 16 * scale, "p999": 64 * scale, "max": 60 * scale, "buckets": buckets})
        };
        let statistics = |pass: u64| {
            serde_json::json!({
                "since": "2026-01-01T00:00:00.000Z", "sessions": 3, "statements": {"pass": pass, "hold": 4, "deny": 1},
                "overhead_us": times(3), "upstream_us": times(200), "audit": {"queued": 0, "durable_lag_us": times(1000)},
            })
        };
        desk.told(Message::Statistics(statistics(1_000)));
        desk.running += Duration::from_secs(2);
        desk.told(Message::Statistics(statistics(1_259)));
    });
}

#[test]
fn dialogs() {
    let usual = Options::default();
    let open = |desk: &mut Desk, hold: HoldView, key: char, armed: bool| {
        desk.told(Message::Connected(vec![hold]));
        desk.key('j');
        desk.read();
        desk.key(key);
        if armed {
            desk.wait(500);
        }
    };
    pictures("approve_not_armed", usual, |desk| open(desk, low("h-7k2m"), 'a', false));
    pictures("approve_low", usual, |desk| open(desk, low("h-7k2m"), 'a', true));
    pictures("approve_high", usual, |desk| {
        open(desk, high("h-7k2m"), 'a', true);
        desk.write(REASON);
        desk.press(KeyCode::Tab);
        desk.write("orders");
        desk.press(KeyCode::Tab);
        desk.wait(500);
    });
    pictures("approve_too_long", usual, |desk| {
        let sql = format!("DELETE FROM orders WHERE id IN ({}0)", "1, ".repeat(400_000));
        desk.told(Message::Connected(vec![HoldView { sql, ..low("h-7k2m") }]));
        desk.key('j');
        desk.press(KeyCode::Enter);
        (0..8).for_each(|_| drop(desk.press(KeyCode::Down)));
        desk.key('a');
        assert!(desk.state.dialog.is_none());
    });
    pictures("deny", usual, |desk| {
        open(desk, high("h-7k2m"), 'd', true);
        desk.write("ask again on Monday");
    });
    pictures("already_decided", usual, |desk| {
        open(desk, low("h-7k2m"), 'a', true);
        desk.told(held(ended(low("h-7k2m"), HoldState::Denied, Some("bob"), None)));
    });
    pictures("refused", usual, |desk| {
        open(desk, low("h-7k2m"), 'a', true);
        desk.write(REASON);
        desk.press(KeyCode::Tab);
        desk.confirm();
        let error = ErrorBody {
            error: "alice cannot approve a statement of their own".to_owned(),
            hint: Some("ask somebody else".to_owned()),
            code: "own_statement".to_owned(),
        };
        desk.told(Message::Decided(id("h-7k2m"), Err(error)));
    });
}

#[test]
fn rows_behind_a_hold() {
    fn examined<T>(found: T) -> Examined<T> {
        Examined {
            relation: Some("public.orders".to_owned()),
            found: Some(found),
            refused: None,
            caveats: vec!["as the proxy's own user sees the committed rows now".to_owned()],
        }
    }
    pictures("rows", Options::default(), |desk| {
        connected(desk);
        desk.key('j');
        desk.key('j');
        assert_eq!(desk.key('s'), [Command::Sample(id("h-7k2m"))]);
        assert_eq!(desk.key('c'), [Command::Count(id("h-7k2m"))]);
        let cell = |value: &str| Cell { value: Some(value.to_owned()), bytes: Some(4) };
        let rows = vec![
            vec![cell("1"), cell("paid"), Cell { value: None, bytes: None }],
            vec![cell("2"), cell("o\u{200b}pen"), Cell { value: None, bytes: Some(90_000) }],
        ];
        let columns = ["id", "status", "note"].map(str::to_owned).to_vec();
        let sample = Sample { columns, omitted: vec!["shape".to_owned()], rows, more: true };
        desk.told(Message::Sample(id("h-7k2m"), Ok(vec![examined(sample)])));
        desk.told(Message::Count(id("h-7k2m"), Ok(vec![examined(48_017)])));
        desk.wait(9_000);
        desk.press(KeyCode::Enter);
        for _ in 0..34 {
            desk.press(KeyCode::Down);
        }
    });
}

#[test]
fn locks_in_its_way() {
    let blocker = Blocker {
        way: Way::Holds,
        pid: Some(4711),
        user: Some("app".to_owned()),
        application_name: Some("nightly\u{200b}".to_owned()),
        backend: Some("client backend".to_owned()),
        state: Some("idle in transaction".to_owned()),
        transaction_seconds: Some(240),
        waits: false,
        schema: Some("public".to_owned()),
        name: Some("orders".to_owned()),
        lock: Some("RowExclusiveLock".to_owned()),
    };
    pictures("locks", Options::default(), |desk| {
        connected(desk);
        desk.key('j');
        desk.key('j');
        assert_eq!(desk.key('w'), [Command::Blockers(id("h-7k2m"))]);
        let queued = Blocker { way: Way::Queued, pid: Some(4712), state: Some("active".to_owned()), ..blocker.clone() };
        let hidden = Blocker {
            way: Way::MayHoldRows,
            state: None,
            backend: None,
            transaction_seconds: None,
            application_name: None,
            ..blocker.clone()
        };
        desk.told(Message::Blockers(
            id("h-7k2m"),
            Ok(Blockers {
                at: "2026-01-01T03:00:00.000Z".to_owned(),
                sessions: Some(vec![blocker.clone(), queued, hidden]),
                more: 7,
                unknown: vec!["which lock it takes on old_orders".to_owned()],
            }),
        ));
        desk.wait(9_000);
        desk.press(KeyCode::Enter);
        for _ in 0..24 {
            desk.press(KeyCode::Down);
        }
    });
}

#[test]
fn errors() {
    let usual = Options::default();
    pictures("lost", usual, |desk| {
        connected(desk);
        desk.key('j');
        desk.told(Message::Lost("the proxy has stopped".to_owned()));
        desk.wait(12_000);
    });
    pictures("log_broken", usual, |desk| {
        connected(desk);
        desk.key('4');
        let error = Some("entry 17 is not what was written".to_owned());
        let verification = VerificationView { at: "2026-01-01T02:30:00.000Z".to_owned(), size: None, error };
        let failed = Some("no space left on device".to_owned());
        desk.told(Message::Audit(Box::new(LogView { verification: Some(verification), failed, ..log() })));
    });
    pictures("hidden_characters", usual, |desk| {
        let sql = "DELETE FROM orders -- \u{202e}slla\u{202c} WHERE id = 1\nAND note = '\u{200b}'".to_owned();
        desk.told(Message::Connected(vec![HoldView { sql, ..high("h-7k2m") }]));
        desk.key('j');
        desk.press(KeyCode::Enter);
        desk.press(KeyCode::PageDown);
    });
    let mut desk = Desk::connected(40, 10, queue());
    desk.key('j');
    insta::assert_snapshot!("too_small_40x10", desk.screen());
}

#[test]
fn ascii_is_ascii() {
    let theme = Theme { characters: Characters::Ascii, ..Theme::default() };
    pictures("ascii", Options { theme, ..Options::default() }, |desk| {
        connected(desk);
        desk.key('j');
        desk.key('j');
        desk.press(KeyCode::Enter);
        assert!(desk.screen().is_ascii(), "{}", desk.screen());
        desk.key('d');
        assert!(desk.screen().is_ascii(), "{}", desk.screen());
    });
}

/// The cell at which words begin.
fn cell_of<'a>(desk: &'a Desk, words: &str) -> &'a ratatui::buffer::Cell {
    let area = desk.buffer().area;
    let row = |y: u16| (0..area.width).map(|x| desk.buffer()[(x, y)].symbol()).collect::<Vec<_>>();
    let find = |y: u16| {
        let symbols = row(y);
        (0..symbols.len())
            .find(|x| symbols[*x..].concat().starts_with(words))
            .map(|x| (u16::try_from(x).expect("small"), y))
    };
    let at = (0..area.height).find_map(find).unwrap_or_else(|| panic!("no {words:?} in {}", desk.screen()));
    &desk.buffer()[at]
}

#[test]
fn what_is_dangerous_looks_so() {
    let danger = (Color::Black, Color::Yellow);
    let look = |desk: &Desk, words: &str| (cell_of(desk, words).fg, cell_of(desk, words).bg);
    let mut desk = Desk::connected(140, 45, queue());
    desk.key('j');
    desk.key('j');
    assert_eq!(look(&desk, "▲ CRITICAL"), danger);
    assert_eq!(look(&desk, "▲ HIGH"), danger);
    // What is selected keeps it.
    let row = desk.row_of("h-7k2m reporter").map(|row| u16::try_from(row).expect("small")).expect("there");
    assert!(desk.buffer()[(40, row)].modifier.contains(Modifier::REVERSED));
    assert_eq!(desk.buffer()[(1, row)].bg, Color::Yellow);
    // A time that runs out is underlined or coloured, and bold.
    assert_eq!(cell_of(&desk, "0:42").fg, Color::Yellow);
    assert!(cell_of(&desk, "0:42").modifier.contains(Modifier::BOLD));
    // What is not known, what cascades, and locks that are kept.
    assert_eq!(cell_of(&desk, "by cascade over").fg, Color::Yellow);
    assert_eq!(cell_of(&desk, "; what that does").fg, Color::Yellow);
    desk.told(Message::Audit(Box::new(LogView { failed: Some("disk".to_owned()), ..log() })));
    assert_eq!(look(&desk, "THE AUDIT LOG CANNOT"), danger);
    assert_eq!(desk.buffer()[(139, 1)].bg, Color::Yellow, "the banner is as wide as the screen");
    // The line that approves.
    let mut desk = Desk::reasoned(80, 24, high("h-7k2m"), 'a');
    desk.write("orders");
    desk.press(KeyCode::Tab);
    desk.wait(500);
    assert_eq!(look(&desk, " y approves "), danger);
    // And what is harmless does not.
    let desk = Desk::connected(140, 45, vec![HoldView { risk: Level::Low, ..low("h-7k2m") }]);
    assert_eq!(look(&desk, "○ low"), (Color::Blue, Color::Reset));
}

#[test]
fn where_there_is_little_room_what_matters_stays() {
    for width in [60, 80] {
        let sql = format!("DELETE FROM orders WHERE id IN ({}0)", "1,\n".repeat(40));
        let mut desk = Desk::connected(width, 16, vec![HoldView { sql, ..low("h-7k2m") }]);
        desk.key('j');
        assert!(desk.sees("read it all to approve"), "{}", desk.screen());
        for keys in ["a approve", "d deny", "? help", "q quit"] {
            assert!(desk.sees(keys), "{keys}: {}", desk.screen());
        }
        desk.press(KeyCode::Enter);
        assert!(desk.sees("q quit"), "{}", desk.screen());
    }
    let small = Desk::connected(20, 10, Vec::new());
    assert!(small.sees("decided."), "{}", small.screen());
}

#[test]
fn a_screen_can_shrink_and_grow() {
    let mut desk = Desk::connected(140, 45, queue());
    desk.key('j');
    desk.press(KeyCode::Enter);
    desk.read();
    for (width, height) in [(60, 16), (59, 16), (60, 15), (1, 1), (300, 100), (80, 24)] {
        desk.resize(width, height);
    }
    assert_eq!(desk.selected(), Some("h-2222".to_owned()));
}
