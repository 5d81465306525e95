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
