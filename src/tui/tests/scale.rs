//! 1,000 holds and 5,000 sessions: what is made for a picture is bounded by the screen, what is kept is bounded too.

use super::*;
use crate::tui::holds::HISTORY_MAX;

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
    let session = |number: usize| serde_json::json!({"id": format!("s-{number}"), "identity": format!("app{number}"), "database": "shop"});
    for (width, height) in [(60, 16), (80, 24), (140, 45)] {
        let mut desk = Desk::connected(width, height, Vec::new());
        desk.key('2');
        desk.told(Message::Sessions((0..5_000).map(session).collect()));
        assert!(desk.sees("Sessions: 5000"), "{}", desk.screen());
        for _ in 0..50 {
            desk.press(KeyCode::PageDown);
            assert!(desk.shown.rows <= 2 * usize::from(height), "{} rows", desk.shown.rows);
        }
        desk.press(KeyCode::End);
        assert!(desk.sees("app4999"), "{}", desk.screen());
    }
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
