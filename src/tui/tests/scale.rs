//! 1,000 holds and 5,000 sessions: what is made for a picture is bounded by the screen, what is kept is bounded too.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::*;
use crate::control::{Client, Server};
use crate::gate::{self, Approver, Gate};
use crate::tui::document::work;
use crate::tui::holds::HISTORY_MAX;
use crate::tui::{link, shell};

fn many(count: usize) -> Vec<HoldView> {
    const LETTERS: &[u8] = b"23456789abcdefghjkmnpqrstuvwxyz";
    (0..count)
        .map(|number| {
            let letter = |place: u32| char::from(LETTERS[number / LETTERS.len().pow(place) % LETTERS.len()]);
            let name = format!("h-{}{}{}{}", letter(3), letter(2), letter(1), letter(0));
            let expires_at = format!("2026-01-01T03:{:02}:{:02}.000Z", 10 + number / 60 % 50, number % 60);
            HoldView { expires_at, ..low(&name) }
        })
        .collect()
}

fn sessions(count: usize) -> Message {
    let session = |number: usize| serde_json::json!({"id": format!("s-{number}"), "identity": format!("app{number:04}"), "database": "shop"});
    Message::Sessions((0..count).map(session).collect())
}

/// What each of some keys, and of some seconds that pass, makes of text: for the screen or not.
fn costs(desk: &mut Desk) -> Vec<usize> {
    let keys = [KeyCode::Down; 8].into_iter().chain([KeyCode::Char(' '), KeyCode::Enter, KeyCode::Down, KeyCode::Esc]);
    work::take();
    let mut costs: Vec<usize> = keys
        .map(|key| {
            desk.press(key);
            work::take()
        })
        .collect();
    for _ in 0..3 {
        desk.wait(1_000);
        costs.push(work::take());
    }
    costs
}

#[test]
fn a_picture_costs_the_same_whatever_the_number_of_holds() {
    for (width, height) in [(60, 16), (80, 24), (140, 45)] {
        let few = costs(&mut Desk::connected(width, height, many(1_000).drain(..100).collect()));
        assert!(few.iter().all(|cost| (1..4_000).contains(cost)), "{few:?}");
        assert_eq!(costs(&mut Desk::connected(width, height, many(1_000))), few, "{width}x{height}");
    }
}

#[test]
fn a_picture_costs_the_same_whatever_the_number_of_sessions() {
    for (width, height) in [(60, 16), (80, 24), (140, 45)] {
        let cost = |count: usize| {
            let mut desk = Desk::connected(width, height, Vec::new());
            desk.key('2');
            desk.told(sessions(count));
            costs(&mut desk)
        };
        let few = cost(100);
        assert!(few.iter().all(|cost| (1..4_000).contains(cost)), "{few:?}");
        assert_eq!(cost(5_000), few, "{width}x{height}");
    }
}

#[tokio::test]
async fn a_thousand_holds_over_the_socket_are_shown_and_what_is_kept_is_bounded() {
    let place = tempfile::tempdir().expect("a place");
    let gate = Gate::new(gate::Options::default(), Arc::new(|_| Ok(())));
    let server = Server::bind(place.path(), crate::control::State::new(gate.clone())).expect("a socket");
    let serving = tokio::spawn(server.serve());
    let fill = || -> Vec<gate::Ticket> {
        let request = |number: usize| gate::HoldRequest {
            sql: format!("DELETE FROM orders WHERE id = {number}").into(),
            ..gate::tests::request()
        };
        (0..1_000).map(|number| gate.submit(request(number)).expect("there is room")).collect()
    };
    let mut waiting = fill();
    let (tell, mut told) = mpsc::channel(shell::TELLINGS);
    let (_ask, asked) = mpsc::channel(shell::COMMANDS);
    let linked = tokio::spawn(link::run(Client::new(place.path()), tell, asked));
    let mut desk = Desk::new(140, 45);
    for _ in 0..3 {
        // Until all that waits is known here.
        let all = async {
            while !desk.sees("Waiting: 1000") {
                let message = told.recv().await.expect("the link runs");
                desk.state.update(Event::Link(message), moment(desk.running));
                if told.is_empty() {
                    desk.draw();
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), all).await.expect("all are told");
        assert!(desk.state.holds.count() <= 1_000 + 200 + HISTORY_MAX, "{}", desk.state.holds.count());
        // All of them end and others come, while nobody listens here: there are more changes than may wait.
        for ticket in &waiting {
            gate.deny(ticket.id(), &Approver::local("bob"), None).expect("denied");
        }
        waiting = fill();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(told.len() <= shell::TELLINGS);
        desk.state.update(Event::Tick, moment(desk.running));
        let message = told.recv().await.expect("the link runs");
        desk.state.update(Event::Link(message), moment(desk.running));
        desk.draw();
    }
    linked.abort();
    serving.abort();
}

#[test]
fn a_thousand_holds_cost_no_more_rows_than_the_screen_has() {
    for (width, height) in [(60, 16), (80, 24), (140, 45)] {
        let mut desk = Desk::connected(width, height, many(1_000));
        assert!(desk.sees("Queue 1000") && desk.sees("below"), "{}", desk.screen());
        for step in 0..60 {
            desk.press(if step % 3 == 0 { KeyCode::PageDown } else { KeyCode::Down });
            assert!(desk.shown.rows <= 2 * usize::from(height), "{} rows", desk.shown.rows);
        }
        desk.press(KeyCode::End);
        assert_eq!(desk.selected(), Some(many(1_000)[999].id.to_string()));
        assert!(desk.shown.rows <= 2 * usize::from(height));
    }
}

#[test]
fn five_thousand_sessions_cost_no_more_rows_than_the_screen_has() {
    for (width, height) in [(60, 16), (80, 24), (140, 45)] {
        let mut desk = Desk::connected(width, height, Vec::new());
        desk.key('2');
        desk.told(sessions(5_000));
        assert!(desk.sees("Sessions: 5000"), "{}", desk.screen());
        for _ in 0..50 {
            desk.press(KeyCode::PageDown);
            assert!(desk.shown.rows <= 2 * usize::from(height), "{} rows", desk.shown.rows);
        }
        desk.press(KeyCode::End);
        assert!(desk.sees("app4999"), "{}", desk.screen());
    }
}

/// All of it: what waits, and who is here.
fn full(width: u16, height: u16) -> Desk {
    let mut desk = Desk::connected(width, height, many(1_000));
    desk.told(sessions(5_000));
    desk
}

#[test]
fn every_one_of_a_thousand_holds_can_be_reached() {
    let mut desk = full(80, 24);
    let mut reached = HashSet::new();
    for step in 0..1_000 {
        desk.state.update(Event::Key(KeyEvent::new(KeyCode::Down, KeyModifiers::NONE)), moment(desk.running));
        let selected = desk.selected().expect("something is selected");
        if step % 100 == 0 {
            desk.draw();
            let row = desk.cursor_row().expect("the cursor is on the screen");
            assert!(desk.screen().lines().nth(row).is_some_and(|line| line.contains(&selected)), "{}", desk.screen());
        }
        reached.insert(selected);
    }
    assert_eq!(reached.len(), 1_000);
    let last = desk.selected();
    desk.press(KeyCode::Down);
    desk.press(KeyCode::End);
    assert_eq!(desk.selected(), last, "there is nothing behind the last");
    desk.press(KeyCode::Home);
    assert_eq!(desk.selected(), Some(many(1)[0].id.to_string()));
}

#[test]
fn the_last_of_a_thousand_holds_and_of_five_thousand_sessions_is_found() {
    let mut desk = full(80, 24);
    let last = many(1_000)[999].id.to_string();
    desk.key('/');
    desk.write(&last);
    desk.press(KeyCode::Enter);
    assert_eq!(desk.state.entries().len(), 1);
    desk.key('j');
    assert_eq!(desk.selected(), Some(last));
    desk.key('2');
    desk.key('/');
    desk.write("s-4999");
    assert!(desk.sees("app4999") && !desk.sees("app4998"), "{}", desk.screen());
}

#[test]
fn a_change_of_one_hold_makes_one_picture_and_one_page() {
    let mut desk = full(140, 45);
    desk.key('j');
    work::take();
    desk.draw();
    let picture = work::take();
    let change = |at: usize, rows: u64| {
        let hold = many(1_000).swap_remove(at);
        held(HoldView { radius: Some(radius(Rows::exact(rows))), digest: "e".repeat(64), ..hold })
    };
    // Of one that nobody looks at, wherever it stands: nothing is made but the picture.
    for at in [1, 500, 999] {
        desk.told(change(at, 7));
        assert_eq!(work::take(), picture, "{at}");
    }
    // The same again is no change.
    desk.state.update(Event::Link(change(500, 7)), moment(desk.running));
    assert_eq!(work::take(), 0);
    // Of the one that is read: its page, once.
    desk.state.update(Event::Link(change(0, 7)), moment(desk.running));
    assert!(work::take() > 0, "its page is made");
    desk.draw();
    let again = work::take();
    desk.draw();
    assert_eq!(work::take(), again, "and not again");
}

#[test]
fn what_is_kept_of_each_hold_is_bounded() {
    const TEXT: usize = 20_000;
    let mut desk = full(80, 24);
    for hold in many(1_000) {
        // Each changes, and is looked at, more than once.
        for rows in 0..3 {
            let sql = format!("DELETE FROM orders WHERE id = {rows} -- {}", "\u{130}".repeat(TEXT / 2));
            let changed = HoldView { sql, radius: Some(radius(Rows::exact(rows))), ..hold.clone() };
            desk.state.update(Event::Link(held(changed)), moment(desk.running));
        }
    }
    assert_eq!(desk.state.entries().len(), 1_000);
    // What is searched of it, in lower case, whose letters may take more bytes.
    let each = desk.state.holds.derived_bytes() / 1_000;
    assert!(each < 16 << 10, "{each} bytes for each hold");
    desk.press(KeyCode::Home);
    for _ in 0..100 {
        desk.press(KeyCode::Down);
        desk.key('w');
        desk.key('s');
    }
    assert!(desk.state.looks_kept() <= 32, "{}", desk.state.looks_kept());
}

#[test]
fn what_is_kept_of_the_past_is_bounded() {
    let mut desk = Desk::connected(80, 24, Vec::new());
    for (number, hold) in many(1_500).into_iter().enumerate() {
        let hold =
            HoldView { sql: format!("DELETE FROM orders WHERE id = {number} -- {}", "x".repeat(20_000)), ..hold };
        desk.state.update(Event::Link(held(hold.clone())), moment(desk.running));
        desk.state.update(Event::Link(held(ended(hold, HoldState::Denied, Some("bob"), None))), moment(desk.running));
    }
    desk.key('3');
    let kept = desk.state.entries().len();
    assert!(kept <= HISTORY_MAX && kept > 100, "{kept}");
    desk.key('1');
    assert!(desk.state.entries().len() <= 201, "{}", desk.state.entries().len());
}

#[test]
fn a_large_statement_is_shown_row_by_row() {
    let large =
        HoldView { sql: format!("DELETE FROM orders WHERE id IN ({}0)", "1, \n".repeat(100_000)), ..low("h-7k2m") };
    let mut desk = Desk::connected(80, 24, vec![large]);
    desk.key('j');
    for _ in 0..50 {
        desk.press(KeyCode::PageDown);
        assert!(desk.shown.rows <= 48);
    }
}
