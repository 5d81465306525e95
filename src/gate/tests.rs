use std::sync::Mutex as StdMutex;

use super::*;
use crate::blast::Rows;
use crate::policy::{Identity, IdentityKind};
use crate::sql::risk::Risk;
use crate::sql::{Action, Effect, Object, ObjectKind};

pub(crate) fn request() -> HoldRequest {
    HoldRequest {
        sql: "DELETE FROM orders".into(),
        params: vec!["17::int4".to_owned()],
        identity: Identity { name: "app".to_owned(), kind: IdentityKind::Service, owner: None },
        session: "s1".to_owned(),
        database: "shop".to_owned(),
        client: "127.0.0.1:5000".to_owned(),
        application_name: "psql".to_owned(),
        tls: None,
        reason: None,
        actions: vec![Effect::new(Action::Delete, Object::in_schema(ObjectKind::Table, "public", "orders"))],
        reasons: vec!["deletes every row: no WHERE".to_owned()],
        risk: Risk::default(),
        verdict_policy: "default.cedar: destructive-waits".to_owned(),
        needs: 1,
        in_transaction: false,
        search_path: Some(vec!["public".to_owned()]),
        expiry_cap: None,
        wait: Wait::Inline,
        digest: [7; 32],
    }
}

pub(crate) fn radius(rows: u64) -> Radius {
    Radius {
        rows: Rows::planner(rows),
        relations: Vec::new(),
        triggers: Vec::new(),
        dependents: Vec::new(),
        warnings: Vec::new(),
    }
}

pub(super) fn by(name: &str) -> Approver {
    Approver::local(name)
}

fn nobody_records() -> Recorder {
    Arc::new(|_| Ok(()))
}

pub(super) fn gate() -> Gate {
    Gate::new(Options::default(), nobody_records())
}

/// A hold whose radius is known.
fn held(gate: &Gate, request: HoldRequest) -> Ticket {
    let ticket = gate.submit(request).expect("there is room");
    gate.attach_radius(ticket.id(), Some(radius(10)));
    ticket
}

#[tokio::test(start_paused = true)]
async fn an_approved_statement_may_run_once() {
    let gate = gate();
    let mut ticket = held(&gate, request());
    let approve = Approve { reason: Some("ok".into()), max_rows: Some(12), digest: None };
    let hold = gate.approve(ticket.id(), &by("bob"), approve).expect("approved");
    assert_eq!(hold.state, HoldState::Approved);
    let Decision::Approved { approvals, max_rows } = ticket.decided().await else { panic!("not approved") };
    assert_eq!((approvals[0].by.as_str(), approvals[0].reason.as_deref()), ("bob", Some("ok")));
    assert_eq!(max_rows, Some(12));
    let id = ticket.id().clone();
    drop(ticket);
    assert_eq!(gate.show(&id).expect("remembered").state, HoldState::Approved);
    let again = gate.approve(&id, &by("carol"), Approve::default()).expect_err("it is over");
    assert!(again.to_string().ends_with("already decided by bob: approved"), "{again}");
    assert_eq!(gate.list().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_denial_says_who_and_why() {
    let gate = gate();
    let mut ticket = held(&gate, request());
    gate.deny(ticket.id(), &by("bob"), Some("not today".into())).expect("denied");
    assert_eq!(ticket.decided().await, Decision::Denied { by: "bob".into(), reason: "not today".into() });
    let refused = gate.approve(ticket.id(), &by("carol"), Approve::default()).expect_err("it is over");
    assert_eq!(refused.code(), "denied");
}

#[tokio::test(start_paused = true)]
async fn a_hold_expires_in_its_time() {
    let gate = gate();
    for (in_transaction, cap, seconds) in
        [(false, None, 900), (true, None, 60), (true, Some(5), 5), (false, Some(5000), 900)]
    {
        let expiry_cap = cap.map(Duration::from_secs);
        let mut ticket = held(&gate, HoldRequest { in_transaction, expiry_cap, ..request() });
        let begun = Instant::now();
        assert_eq!(ticket.decided().await, Decision::Expired);
        assert_eq!(begun.elapsed().as_secs(), seconds);
        assert_eq!(gate.show(ticket.id()).expect("remembered").state, HoldState::Expired);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_nobody_polls_expires_as_well() {
    let gate = gate();
    let mut ticket = held(&gate, request());
    tokio::time::advance(Duration::from_secs(901)).await;
    let refused = gate.approve(ticket.id(), &by("bob"), Approve::default()).expect_err("too late");
    assert_eq!(refused.code(), "expired");
    assert_eq!(ticket.decided().await, Decision::Expired);
}

#[tokio::test(start_paused = true)]
async fn waiting_can_be_interrupted_and_resumed() {
    let gate = gate();
    let mut ticket = held(&gate, request());
    for _ in 0..3 {
        assert!(tokio::time::timeout(Duration::from_secs(1), ticket.decided()).await.is_err());
    }
    gate.approve(ticket.id(), &by("bob"), Approve::default()).expect("approved");
    assert!(matches!(ticket.decided().await, Decision::Approved { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_ticket_withdraws_and_an_ended_one_fails() {
    let gate = gate();
    let ticket = held(&gate, request());
    let id = ticket.id().clone();
    drop(ticket);
    assert_eq!(gate.show(&id).expect("remembered").state, HoldState::Withdrawn);

    let ticket = held(&gate, request());
    let id = ticket.id().clone();
    ticket.end(End::Failed, "the upstream is gone");
    let hold = gate.show(&id).expect("remembered");
    assert_eq!(hold.state, HoldState::Failed);
    assert_eq!(hold.ended.as_ref().and_then(|ended| ended.reason.as_deref()), Some("the upstream is gone"));
    assert!(gate.approve(&id, &by("bob"), Approve::default()).is_err());
}

#[tokio::test(start_paused = true)]
async fn an_approval_that_comes_too_late_is_none() {
    let gate = gate();
    let ticket = held(&gate, request());
    let id = ticket.id().clone();
    gate.approve(&id, &by("bob"), Approve::default()).expect("approved");
    drop(ticket);
    assert_eq!(gate.show(&id).expect("remembered").state, HoldState::Failed);
}

#[tokio::test(start_paused = true)]
async fn everybody_may_withdraw() {
    let gate = gate();
    let mut ticket = held(&gate, request());
    gate.withdraw(ticket.id(), &by("app"), None).expect("withdrawn");
    assert_eq!(ticket.decided().await, Decision::Withdrawn { by: "app".into() });
}

#[tokio::test(start_paused = true)]
async fn nobody_approves_their_own_statement() {
    let gate = gate();
    let identity = Identity { name: "reporter".to_owned(), kind: IdentityKind::Agent, owner: Some("alice".to_owned()) };
    let ticket = held(&gate, HoldRequest { identity, ..request() });
    for name in ["reporter", "alice"] {
        let refused = gate.approve(ticket.id(), &by(name), Approve::default()).expect_err(name);
        assert_eq!(refused, Refused::OwnStatement(name.to_owned()));
    }
    gate.approve(ticket.id(), &by("bob"), Approve::default()).expect("somebody else");

    let shared = Identity { name: "postgres".to_owned(), kind: IdentityKind::Service, owner: None };
    let ticket = held(&gate, HoldRequest { identity: shared, ..request() });
    gate.approve(ticket.id(), &by("postgres"), Approve::default()).expect("that name is no person");
}

#[tokio::test(start_paused = true)]
async fn only_approvers_decide_where_they_are_named() {
    let options = Options { approvers: vec!["bob".to_owned()], ..Options::default() };
    let gate = Gate::new(options, nobody_records());
    let ticket = held(&gate, request());
    assert_eq!(
        gate.approve(ticket.id(), &by("carol"), Approve::default()).expect_err("no approver"),
        Refused::NoApprover("carol".into())
    );
    assert!(gate.deny(ticket.id(), &by("carol"), None).is_err());
    gate.approve(ticket.id(), &by("bob"), Approve::default()).expect("approved");
}

#[tokio::test(start_paused = true)]
async fn a_quorum_needs_different_people() {
    let gate = gate();
    let mut ticket = held(&gate, HoldRequest { needs: 2, ..request() });
    let max_rows = |rows| Approve { max_rows: rows, ..Approve::default() };
    let hold = gate.approve(ticket.id(), &by("bob"), max_rows(Some(50))).expect("the first");
    assert_eq!(hold.state, HoldState::Pending);
    assert!(matches!(
        gate.approve(ticket.id(), &by("bob"), Approve::default()),
        Err(Refused::ApprovedAlready { needs: 2, .. })
    ));
    assert!(tokio::time::timeout(Duration::from_secs(1), ticket.decided()).await.is_err());
    gate.approve(ticket.id(), &by("carol"), max_rows(Some(30))).expect("the second");
    let Decision::Approved { approvals, max_rows } = ticket.decided().await else { panic!("not approved") };
    assert_eq!((approvals.len(), max_rows), (2, Some(30)));
}

#[tokio::test(start_paused = true)]
async fn a_bound_below_what_is_shown_decides_nothing() {
    let gate = gate();
    let ticket = held(&gate, request());
    let max_rows = |rows| Approve { max_rows: Some(rows), ..Approve::default() };
    let refused = gate.approve(ticket.id(), &by("bob"), max_rows(9)).expect_err("it touches more");
    assert_eq!(refused, Refused::TooMany { id: ticket.id().clone(), rows: 10, max_rows: 9 });
    assert_eq!(gate.show(ticket.id()).map(|hold| hold.state), Some(HoldState::Pending));
    gate.approve(ticket.id(), &by("bob"), max_rows(10)).expect("as many as it touches");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_approved_before_its_radius_is_known() {
    let gate = gate();
    let ticket = gate.submit(request()).expect("there is room");
    let refused = gate.approve(ticket.id(), &by("bob"), Approve::default()).expect_err("not yet");
    assert_eq!(refused, Refused::RadiusUnknownYet(ticket.id().clone()));
    // It is not waited for without end.
    tokio::time::advance(Duration::from_secs(10)).await;
    gate.approve(ticket.id(), &by("bob"), Approve::default()).expect("patience is over");

    let ticket = gate.submit(request()).expect("there is room");
    gate.attach_radius(ticket.id(), None);
    gate.approve(ticket.id(), &by("bob"), Approve::default()).expect("there is none to wait for");
}

#[tokio::test(start_paused = true)]
async fn a_radius_is_waited_for() {
    let gate = gate();
    let ticket = gate.submit(request()).expect("there is room");
    let begun = Instant::now();
    gate.radius_settled(ticket.id(), Duration::from_secs(3)).await;
    assert_eq!(begun.elapsed().as_secs(), 3);
    let attach = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        gate.attach_radius(ticket.id(), Some(radius(1)));
    };
    tokio::join!(gate.radius_settled(ticket.id(), Duration::from_secs(3)), attach);
    assert_eq!(begun.elapsed().as_secs(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_approval_is_bound_to_what_was_seen() {
    let gate = gate();
    let ticket = held(&gate, request());
    let seen = |hold: &Hold| Approve { digest: Some(HoldView::from(hold).digest), ..Approve::default() };
    let before = seen(&gate.show(ticket.id()).expect("it waits"));
    gate.attach_radius(ticket.id(), Some(radius(1_000_000)));
    let refused = gate.approve(ticket.id(), &by("bob"), before).expect_err("it has grown");
    assert_eq!(refused, Refused::Changed(ticket.id().clone()));
    let now = seen(&gate.show(ticket.id()).expect("it waits"));
    gate.approve(ticket.id(), &by("bob"), now).expect("seen");

    let other = held(&gate, HoldRequest { digest: [8; 32], ..request() });
    let first = held(&gate, request());
    let digest_of = |ticket: &Ticket| HoldView::from(gate.show(ticket.id()).expect("it waits").as_ref()).digest;
    assert_ne!(digest_of(&other), digest_of(&first));
}

#[tokio::test(start_paused = true)]
async fn what_waits_and_what_is_remembered_is_bounded() {
    let options = Options { live_max: 2, recent_max: 3, recent_bytes_max: usize::MAX, ..Options::default() };
    let gate = Gate::new(options, nobody_records());
    let tickets = [held(&gate, request()), held(&gate, request())];
    assert_eq!(gate.submit(request()).expect_err("full"), GateFull::Count(2));
    drop(tickets);
    for _ in 0..5 {
        drop(held(&gate, request()));
    }
    assert_eq!((gate.list().len(), gate.recent().len()), (0, 3));

    let options = Options { live_bytes_max: 10_000, recent_bytes_max: 10_000, ..Options::default() };
    let gate = Gate::new(options, nobody_records());
    let large = || HoldRequest { sql: "x".repeat(6_000).into(), ..request() };
    let ticket = held(&gate, large());
    assert_eq!(gate.submit(large()).expect_err("full"), GateFull::Bytes(10_000));
    drop(ticket);
    drop(held(&gate, large()));
    assert_eq!(gate.recent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn watchers_see_what_waits_and_what_changes() {
    let gate = gate();
    let first = held(&gate, request());
    let mut watch = gate.watch();
    let second = gate.submit(request()).expect("there is room");
    gate.attach_radius(second.id(), None);
    gate.approve(second.id(), &by("bob"), Approve::default()).expect("approved");
    let expected = [
        (first.id(), HoldState::Pending),
        (second.id(), HoldState::Pending),
        (second.id(), HoldState::Pending),
        (second.id(), HoldState::Approved),
    ];
    for (id, state) in expected {
        let WatchEvent::Changed(hold) = watch.next().await else { panic!("nothing was missed") };
        assert_eq!((&hold.id, hold.state), (id, state));
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_watcher_is_told_everything_anew() {
    let gate = gate();
    let mut watch = gate.watch();
    let ticket = held(&gate, request());
    for _ in 0..WATCH_CAPACITY {
        gate.attach_radius(ticket.id(), None);
    }
    assert!(matches!(watch.next().await, WatchEvent::Resync));
    let WatchEvent::Changed(hold) = watch.next().await else { panic!("told once") };
    assert_eq!(hold.id, *ticket.id());
    assert!(tokio::time::timeout(Duration::from_secs(1), watch.next()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn everything_is_recorded_in_order() {
    let seen = Arc::new(StdMutex::new(Vec::new()));
    let recorder: Recorder = {
        let seen = Arc::clone(&seen);
        Arc::new(move |event| {
            seen.lock().expect("nobody panics").push(match event {
                GateEvent::Held(hold) => format!("held {}", hold.needs),
                GateEvent::Approved(_, approval) => format!("approved by {}", approval.by),
                GateEvent::Ended(hold) => format!("ended {}", hold.state.as_str()),
            });
            Ok(())
        })
    };
    let gate = Gate::new(Options::default(), recorder);
    let mut ticket = held(&gate, HoldRequest { needs: 2, ..request() });
    gate.approve(ticket.id(), &by("bob"), Approve::default()).expect("the first");
    gate.approve(ticket.id(), &by("carol"), Approve::default()).expect("the second");
    ticket.decided().await;
    drop(ticket);
    drop(held(&gate, request()));
    assert_eq!(
        *seen.lock().expect("nobody panics"),
        ["held 2", "approved by bob", "approved by carol", "ended approved", "held 1", "ended withdrawn"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_recorded_is_not_held_and_not_approved() {
    let works = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let recorder: Recorder = {
        let works = Arc::clone(&works);
        Arc::new(move |_| {
            if works.load(std::sync::atomic::Ordering::Relaxed) { Ok(()) } else { Err(Unrecorded("disk full".into())) }
        })
    };
    let gate = Gate::new(Options::default(), recorder);
    let mut ticket = held(&gate, request());
    works.store(false, std::sync::atomic::Ordering::Relaxed);
    assert!(matches!(gate.submit(request()), Err(GateFull::Unrecorded(_))));
    let refused = gate.approve(ticket.id(), &by("bob"), Approve::default()).expect_err("not recorded");
    assert!(refused.to_string().contains("disk full"));
    assert_eq!(gate.show(ticket.id()).expect("it waits").approvals, []);
    gate.deny(ticket.id(), &by("bob"), None).expect("a denial needs no record");
    assert!(matches!(ticket.decided().await, Decision::Denied { .. }));
}

#[tokio::test]
async fn a_hold_reads_as_the_contract_says() {
    let gate = gate();
    let ticket = held(&gate, request());
    let view = HoldView::from(gate.show(ticket.id()).expect("it waits").as_ref());
    let json = serde_json::to_value(&view).expect("JSON");
    for key in [
        "id",
        "state",
        "sql",
        "params",
        "identity",
        "kind",
        "database",
        "actions",
        "radius",
        "verdict_policy",
        "created_at",
        "expires_at",
        "needs",
        "approvals",
        "in_transaction",
        "wait",
    ] {
        assert!(json.get(key).is_some(), "{key}");
    }
    assert_eq!(
        json["actions"][0],
        serde_json::json!({"action": "delete", "kind": "table", "schema": "public", "name": "orders", "certain": true})
    );
    let created = json["created_at"].as_str().expect("text");
    assert_eq!((created.len(), &created[23..]), (24, "Z"), "{created}");
    assert_eq!(serde_json::from_value::<HoldView>(json).expect("reads back"), view);
}
