use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::super::tests::{by, gate, radius, request};
use super::super::*;
use super::*;

fn ticket() -> HoldRequest {
    HoldRequest { wait: Wait::Ticket, ..request() }
}

/// What a statement with a ticket is told: a word, and the id.
fn asked(gate: &Gate, request: HoldRequest) -> (&'static str, HoldId) {
    match gate.claim(request).expect("there is room") {
        Claim::Held { hold, opening: Opening::New } => {
            gate.attach_radius(&hold.id, Some(radius(10)));
            ("opened", hold.id.clone())
        }
        Claim::Held { hold, opening: Opening::Known } => ("waits", hold.id.clone()),
        Claim::Denied(hold) => ("denied", hold.id.clone()),
        Claim::Approved(taken) => {
            let id = taken.id().clone();
            taken.used();
            ("approved", id)
        }
    }
}

fn state(gate: &Gate, id: &HoldId) -> HoldState {
    gate.show(id).expect("remembered").state
}

#[tokio::test(start_paused = true)]
async fn the_same_statement_has_one_ticket_and_passes_once() {
    let gate = gate();
    let (word, id) = asked(&gate, ticket());
    assert_eq!(word, "opened");
    assert_eq!(asked(&gate, ticket()), ("waits", id.clone()));
    assert_eq!(gate.list().len(), 1);
    gate.approve(&id, &by("bob"), Approve::default()).expect("approved");
    assert_eq!(asked(&gate, ticket()), ("approved", id.clone()));
    assert_eq!(state(&gate, &id), HoldState::Approved);
    let (word, other) = asked(&gate, ticket());
    assert_eq!(word, "opened");
    assert_ne!(other, id);
}

#[tokio::test(start_paused = true)]
async fn another_statement_has_another_ticket() {
    let gate = gate();
    let (_, id) = asked(&gate, ticket());
    gate.approve(&id, &by("bob"), Approve::default()).expect("approved");
    assert_eq!(asked(&gate, HoldRequest { digest: [8; 32], ..ticket() }).0, "opened");
    assert_eq!(asked(&gate, ticket()), ("approved", id));
}

#[tokio::test(start_paused = true)]
async fn an_approval_brings_its_rows_and_its_radius() {
    let gate = gate();
    let (_, id) = asked(&gate, HoldRequest { needs: 2, ..ticket() });
    let max_rows = |rows| Approve { max_rows: Some(rows), ..Approve::default() };
    gate.approve(&id, &by("bob"), max_rows(70)).expect("the first");
    assert_eq!(asked(&gate, ticket()), ("waits", id.clone()));
    gate.approve(&id, &by("carol"), max_rows(30)).expect("the second");
    let Ok(Claim::Approved(taken)) = gate.claim(ticket()) else { panic!("not approved") };
    assert_eq!((taken.max_rows(), taken.radius()), (Some(30), Some(&radius(10))));
    taken.used();
}

#[tokio::test(start_paused = true)]
async fn a_denial_stands_until_its_time_is_up() {
    let gate = gate();
    let (_, id) = asked(&gate, ticket());
    gate.deny(&id, &by("bob"), Some("no".into())).expect("denied");
    tokio::time::advance(Duration::from_secs(899)).await;
    assert_eq!(asked(&gate, ticket()), ("denied", id.clone()));
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(asked(&gate, ticket()).0, "opened");
    assert_eq!(state(&gate, &id), HoldState::Denied);
}

#[tokio::test(start_paused = true)]
async fn an_approval_that_nobody_uses_expires_and_is_recorded() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let recorder: Recorder = {
        let seen = Arc::clone(&seen);
        Arc::new(move |event| {
            if let GateEvent::Ended(hold) = event {
                seen.lock().expect("nobody panics").push(hold.state);
            }
            Ok(())
        })
    };
    let gate = Gate::new(Options::default(), recorder);
    let (_, approved) = asked(&gate, ticket());
    gate.approve(&approved, &by("bob"), Approve::default()).expect("approved");
    let (_, waits) = asked(&gate, HoldRequest { digest: [8; 32], ..ticket() });
    // Nobody asks the gate anything: it sees to it itself.
    tokio::time::sleep(Duration::from_secs(901)).await;
    let seen = seen.lock().expect("nobody panics").clone();
    assert_eq!(seen.iter().filter(|state| **state == HoldState::Expired).count(), 2, "{seen:?}");
    assert_eq!((state(&gate, &approved), state(&gate, &waits)), (HoldState::Expired, HoldState::Expired));
    assert_eq!(asked(&gate, ticket()).0, "opened");
}

#[tokio::test(start_paused = true)]
async fn an_approval_can_be_taken_back_before_it_is_used() {
    let gate = gate();
    for (withdraw, expected) in [(true, "opened"), (false, "denied")] {
        let (_, id) = asked(&gate, ticket());
        gate.approve(&id, &by("bob"), Approve::default()).expect("approved");
        if withdraw {
            gate.withdraw(&id, &by("carol"), None).expect("taken back");
        } else {
            gate.deny(&id, &by("carol"), None).expect("denied after all");
        }
        let (word, again) = asked(&gate, ticket());
        assert_eq!(word, expected);
        if withdraw {
            gate.withdraw(&again, &by("carol"), None).expect("out of the way");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_approval_taken_by_a_session_that_ends_has_failed() {
    let gate = gate();
    let (_, id) = asked(&gate, ticket());
    gate.approve(&id, &by("bob"), Approve::default()).expect("approved");
    drop(gate.claim(ticket()).expect("it is there"));
    assert_eq!(state(&gate, &id), HoldState::Failed);
    assert_eq!(asked(&gate, ticket()).0, "opened");
}

#[tokio::test(start_paused = true)]
async fn one_identity_leaves_room_for_others() {
    let gate = Gate::new(Options { tickets_max_per_identity: 2, ..Options::default() }, Arc::new(|_| Ok(())));
    let numbered = |number| HoldRequest { digest: [number; 32], ..ticket() };
    asked(&gate, numbered(1));
    asked(&gate, numbered(2));
    assert!(matches!(gate.claim(numbered(3)), Err(GateFull::Tickets { limit: 2, .. })));
    let mut other = numbered(4);
    other.identity.name = "other".to_owned();
    assert_eq!(asked(&gate, other).0, "opened");
}

#[tokio::test(start_paused = true)]
async fn what_is_decided_is_bounded() {
    let gate = Gate::new(Options { live_max: 2, ..Options::default() }, Arc::new(|_| Ok(())));
    let numbered = |number| HoldRequest { digest: [number; 32], ..ticket() };
    let approved: Vec<_> = (1..=3)
        .map(|number| {
            let (_, id) = asked(&gate, numbered(number));
            gate.approve(&id, &by("bob"), Approve::default()).expect("approved");
            id
        })
        .collect();
    let states: Vec<_> = approved.iter().map(|id| state(&gate, id)).collect();
    assert_eq!(states.iter().filter(|state| **state == HoldState::Expired).count(), 1, "{states:?}");
}

#[tokio::test(start_paused = true)]
async fn tickets_end_with_the_proxy() {
    let gate = gate();
    let (_, approved) = asked(&gate, ticket());
    gate.approve(&approved, &by("bob"), Approve::default()).expect("approved");
    let (_, waits) = asked(&gate, HoldRequest { digest: [8; 32], ..ticket() });
    gate.close("the proxy stopped");
    assert_eq!((state(&gate, &approved), state(&gate, &waits)), (HoldState::Failed, HoldState::Failed));
    assert!(gate.list().is_empty());
}
