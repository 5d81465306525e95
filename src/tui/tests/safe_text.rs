//! *Safe text*: nothing that others wrote steers the terminal or looks like something else.

use proptest::prelude::*;

use super::*;
use crate::audit::LogView;
use crate::audit::inspect::{CheckpointView, VerificationView};
use crate::blast::{Blocker, Blockers, Way};
use crate::catalog::examine::{Cell, Examined, Sample};
use crate::control::api::ErrorBody;
use crate::gate::view::{ActionView, ApprovalView, RiskView};
use crate::text::untrusted::is_deceptive;
use crate::tui::theme::{Characters, Theme};

/// A hold in which every text is somebody's.
fn hostile(text: &str) -> HoldView {
    let text = text.to_owned();
    let mut radius = radius(Rows::planner(5));
    for relation in &mut radius.relations {
        for field in [&mut relation.name, &mut relation.kind, &mut relation.action] {
            field.clone_from(&text);
        }
        relation.schema = Some(text.clone());
        relation.lock = Some(text.clone());
    }
    radius.triggers[0].name.clone_from(&text);
    radius.triggers[0].function.clone_from(&text);
    radius.dependents.push(crate::blast::radius::Dependent {
        kind: text.clone(),
        schema: text.clone(),
        name: text.clone(),
    });
    radius.warnings.push(text.clone());
    HoldView {
        sql: format!("DELETE FROM \"{text}\" WHERE '{text}' = $1 -- {text}"),
        params: vec![text.clone()],
        identity: text.clone(),
        owner: Some(text.clone()),
        session: text.clone(),
        database: text.clone(),
        client: text.clone(),
        application_name: text.clone(),
        tls: Some(text.clone()),
        reason: Some(text.clone()),
        actions: vec![ActionView {
            kind: text.clone(),
            schema: Some(text.clone()),
            name: text.clone(),
            ..high("h-7k2m").actions[0].clone()
        }],
        reasons: vec![text.clone()],
        risks: vec![RiskView {
            rule: text.clone(),
            level: Level::High,
            why: text.clone(),
            instead: Some(text.clone()),
        }],
        radius: Some(radius),
        verdict_policy: text.clone(),
        search_path: Some(vec![text.clone()]),
        approvals: vec![ApprovalView {
            by: text.clone(),
            at: text.clone(),
            reason: Some(text.clone()),
            max_rows: Some(3),
            remote: Some(text.clone()),
        }],
        digest: text,
        ..high("h-7k2m")
    }
}

fn is_clean(desk: &Desk) {
    for cell in desk.buffer().content() {
        assert!(!cell.symbol().chars().any(is_deceptive), "{:?} in {}", cell.symbol(), desk.screen());
    }
}

/// Everything that can be on the screen, with a text in all places where others write.
fn everywhere(text: &str, width: u16, height: u16) {
    let mut desk = Desk::connected(width, height, vec![hostile(text)]);
    is_clean(&desk);
    desk.key('j');
    let examined = |found| Examined {
        relation: Some(text.to_owned()),
        found,
        refused: Some(text.to_owned()),
        caveats: vec![text.to_owned()],
    };
    desk.key('s');
    let cell = Cell { value: Some(text.to_owned()), bytes: Some(1) };
    let sample =
        Sample { columns: vec![text.to_owned()], omitted: vec![text.to_owned()], rows: vec![vec![cell]], more: true };
    desk.told(Message::Sample(id("h-7k2m"), Ok(vec![examined(Some(sample)), examined(None)])));
    desk.key('c');
    desk.told(Message::Count(id("h-7k2m"), Err(text.to_owned())));
    desk.key('w');
    let blocker = Blocker {
        way: Way::Holds,
        pid: Some(4711),
        user: Some(text.to_owned()),
        application_name: Some(text.to_owned()),
        backend: Some(text.to_owned()),
        state: Some(text.to_owned()),
        transaction_seconds: Some(240),
        waits: true,
        schema: Some(text.to_owned()),
        name: Some(text.to_owned()),
        lock: Some(text.to_owned()),
    };
    let blockers =
        Blockers { at: text.to_owned(), sessions: Some(vec![blocker]), more: 1, unknown: vec![text.to_owned()] };
    desk.told(Message::Blockers(id("h-7k2m"), Ok(blockers)));
    for _ in 0..80 {
        let before = desk.state.scroll;
        desk.press(KeyCode::PageDown);
        is_clean(&desk);
        if desk.state.scroll == before {
            break;
        }
    }
    for opens in ['a', 'd'] {
        desk.key(opens);
        desk.wait(500);
        is_clean(&desk);
        desk.write(text);
        desk.paste(text);
        is_clean(&desk);
        desk.press(KeyCode::Esc);
    }
    desk.key('a');
    desk.wait(500);
    let error = ErrorBody { error: text.to_owned(), hint: Some(text.to_owned()), code: "x".to_owned() };
    desk.told(Message::Decided(id("h-7k2m"), Err(error)));
    is_clean(&desk);
    desk.told(held(ended(hostile(text), HoldState::Denied, Some(text), Some(text))));
    is_clean(&desk);
    desk.press(KeyCode::Esc);
    desk.key('3');
    desk.key('j');
    is_clean(&desk);
    desk.key('/');
    desk.write(text);
    is_clean(&desk);
    desk.press(KeyCode::Esc);
    desk.key('2');
    let session = serde_json::json!({
        "id": text, "identity": text, "kind": text, "database": text, "client": text, "application_name": text,
        "tls": text, "since": text, "statements": 1, "last": {"sql": text, "verdict": text, "at": text},
    });
    desk.told(Message::Sessions(vec![session]));
    desk.told(Message::Statistics(serde_json::json!({"since": text})));
    is_clean(&desk);
    desk.key('4');
    desk.told(Message::Audit(Box::new(LogView {
        vkey: text.to_owned(),
        checkpoint: Some(CheckpointView {
            origin: text.to_owned(),
            size: 1,
            root: text.to_owned(),
            published_at: Some(text.to_owned()),
        }),
        checkpoint_error: Some(text.to_owned()),
        failed: Some(text.to_owned()),
        verification: Some(VerificationView { at: text.to_owned(), size: None, error: Some(text.to_owned()) }),
        verifying: true,
    })));
    is_clean(&desk);
    desk.told(Message::Lost(text.to_owned()));
    is_clean(&desk);
}

#[test]
fn control_bidirectional_and_zero_width_characters_are_named_with_a_warning() {
    let hold = HoldView { sql: "DELETE FROM orders -- \u{202e}\u{200b}\u{1b}[2J".to_owned(), ..low("h-7k2m") };
    let mut desk = Desk::connected(80, 45, vec![hold]);
    desk.key('j');
    for words in ["<U+202E><U+200B><U+001B>[2J", "3 characters are not what a screen shows"] {
        assert!(desk.sees(words), "{words}: {}", desk.screen());
    }
}

#[test]
fn what_stands_behind_a_comment_does_not_look_like_part_of_it() {
    let sql = "TABLE t --x\n or id < 5\rOR true";
    let hold = || HoldView { sql: sql.to_owned(), ..low("h-7k2m") };
    let mut desk = Desk::connected(140, 45, vec![hold()]);
    assert!(desk.sees("TABLE t --x ⏎"), "{}", desk.screen());
    desk.key('j');
    assert!(desk.sees("│  or id < 5<U+000D>") && desk.sees("│ OR true"), "{}", desk.screen());
    let ascii = Theme { characters: Characters::Ascii, ..Theme::default() };
    let mut desk = Desk::with(140, 45, Options { theme: ascii, ..Options::default() });
    desk.told(Message::Connected(vec![hold()]));
    assert!(desk.sees("TABLE t --x <LF>"), "{}", desk.screen());
}

#[test]
fn the_names_of_hidden_characters_stand_out() {
    let hold = HoldView { sql: "\u{202e}".to_owned(), ..low("h-7k2m") };
    let mut desk = Desk::connected(140, 45, vec![hold]);
    desk.key('j');
    let area = desk.buffer().area;
    let marked = (0..area.height)
        .flat_map(|y| (60..area.width).map(move |x| (x, y)))
        .find(|at| desk.buffer()[*at].symbol() == "<" && desk.buffer()[*at].bg == ratatui::style::Color::Yellow);
    assert!(marked.is_some(), "{}", desk.screen());
}

#[test]
fn nothing_injects_escape_sequences() {
    let lie = "x\u{1b}]52;c;eA==\u{7}\u{9b}2J\u{202e}\u{2066}\u{200b}\u{feff}\r\n\u{0}approved by 2 of 2\u{e0041}e\u{301}\u{301}\u{301}\u{301}\u{301}";
    for (width, height) in [(60, 16), (80, 24), (140, 45)] {
        everywhere(lie, width, height);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_text_of_others_reaches_the_terminal_as_it_is(text in any::<String>()) {
        everywhere(&text, 80, 24);
    }
}

#[test]
fn what_is_copied_is_an_id_and_nothing_else() {
    let mut desk = Desk::connected(80, 24, vec![hostile("\u{1b}")]);
    desk.key('j');
    assert_eq!(desk.key('y'), [Command::Copy("h-7k2m".to_owned())]);
}
