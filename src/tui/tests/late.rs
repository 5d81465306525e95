//! *Late tellings*: an answer and the stream tell of the same hold, in no order. What is older changes nothing.

use super::*;
use crate::gate::view::ApprovalView;
use crate::tui::holds::{Change, HISTORY_MAX, HoldKey, Holds};

/// A hold that two people have to approve.
fn twice(name: &str) -> HoldView {
    HoldView { needs: 2, ..low(name) }
}

fn approved_by(people: &[&str]) -> HoldView {
    let approval = |by: &&str| ApprovalView {
        by: (*by).to_owned(),
        at: "2026-01-01T03:00:10.000Z".to_owned(),
        reason: None,
        max_rows: None,
        remote: None,
    };
    HoldView { approvals: people.iter().map(approval).collect(), ..twice("h-7k2m") }
}

/// What is known of the hold after these tellings, and what the last of them changed.
fn after(tellings: &[HoldView]) -> (HoldView, Change) {
    let mut holds = Holds::default();
    let changes: Vec<Change> = tellings.iter().map(|telling| holds.take(telling.clone())).collect();
    let known = holds.find(&HoldKey::of(&tellings[0])).expect("it is known");
    (HoldView::clone(&known.view), *changes.last().expect("there are tellings"))
}

#[test]
fn a_radius_that_is_known_is_not_unknown_again() {
    let before = HoldView { radius: None, radius_pending: true, ..low("h-7k2m") };
    assert_eq!(after(&[before.clone(), low("h-7k2m")]), (low("h-7k2m"), Change::Changed));
    assert_eq!(after(&[before.clone(), low("h-7k2m"), before]), (low("h-7k2m"), Change::Nothing));
}

#[test]
fn an_approval_that_is_known_stays() {
    let (none, one) = (approved_by(&[]), approved_by(&["carol"]));
    assert_eq!(after(&[none.clone(), one.clone()]), (one.clone(), Change::Changed));
    assert_eq!(after(&[none.clone(), one.clone(), none]), (one, Change::Nothing));
}

#[test]
fn what_has_ended_does_not_wait_again() {
    let over = ended(low("h-7k2m"), HoldState::Denied, Some("bob"), None);
    assert_eq!(after(&[low("h-7k2m"), over.clone(), low("h-7k2m")]), (over.clone(), Change::Nothing));
    // Not where it still stands in the queue either, when the history has forgotten it.
    let mut desk = Desk::connected(80, 24, vec![low("h-7k2m")]);
    desk.key('j');
    desk.told(held(over));
    for number in 0..=HISTORY_MAX {
        let created_at = format!("2026-01-01T02:00:00.{number:06}Z");
        let other = HoldView { created_at, ..low("h-2222") };
        desk.state.update(Event::Link(held(ended(other, HoldState::Denied, None, None))), moment(desk.running));
    }
    desk.told(held(low("h-7k2m")));
    assert!(desk.sees("already decided by bob") && desk.sees("Waiting: 0"), "{}", desk.screen());
}

#[test]
fn an_open_dialog_does_not_go_back_either() {
    let mut desk = Desk::connected(80, 24, vec![approved_by(&["carol"])]);
    desk.key('j');
    desk.read();
    desk.key('a');
    desk.wait(501);
    desk.told(held(HoldView { digest: "0".repeat(64), ..approved_by(&[]) }));
    assert!(!desk.sees("not what you looked at"), "{}", desk.screen());
    assert_eq!(desk.state.selected().map(|entry| entry.view.approvals.len()), Some(1));
}

#[test]
fn a_radius_that_comes_late_is_shown_and_can_be_approved_then() {
    let before = HoldView { radius: None, radius_pending: true, ..low("h-7k2m") };
    let mut desk = Desk::connected(140, 45, vec![high("h-2222"), before]);
    desk.press(KeyCode::End);
    assert_eq!(desk.selected().as_deref(), Some("h-7k2m"));
    desk.read();
    assert!(desk.sees("being computed"), "{}", desk.screen());
    let (cursor, name) = (desk.cursor_row(), desk.selected());
    desk.key('a');
    assert!(desk.state.dialog.is_none() && desk.sees("still being computed"), "{}", desk.screen());
    desk.told(held(low("h-7k2m")));
    assert_eq!((desk.cursor_row(), desk.selected()), (cursor, name), "nothing moves");
    assert!(!desk.sees("what it would touch is being computed"), "{}", desk.screen());
    desk.key('a');
    assert!(desk.state.dialog.is_some(), "{}", desk.screen());
}

#[test]
fn an_approval_that_comes_late_is_counted_where_it_is_read() {
    let mut desk = Desk::connected(140, 45, vec![approved_by(&[])]);
    desk.key('j');
    assert!(desk.sees("approved by 0 of 2"), "{}", desk.screen());
    let cursor = desk.cursor_row();
    desk.told(held(approved_by(&["carol"])));
    assert!(desk.sees("approved by 1 of 2"), "{}", desk.screen());
    assert_eq!(desk.cursor_row(), cursor);
}

#[test]
fn answers_that_nobody_asked_for_change_nothing() {
    let mut desk = Desk::connected(80, 24, vec![low("h-7k2m")]);
    desk.key('j');
    desk.draw();
    let before = desk.screen();
    desk.told(Message::Blockers(id("h-2222"), Err("late".to_owned())));
    desk.told(Message::Count(id("h-2222"), Ok(Vec::new())));
    assert_eq!(desk.screen(), before);
}
